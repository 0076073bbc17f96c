use super::super::testing::{
    CLIENT, SERVER, conversation, midstream, offers, only_registered_attributes, protocols,
    survives_every_cut, values,
};
use super::*;
use crate::evidence::Offered;

const LOGIN: &[(crate::net::Side, &[u8])] = &[
    (SERVER, b"220-Contoso\r\n220 FTP server ready\r\n"),
    (CLIENT, b"USER anna\r\n"),
    (SERVER, b"331 Password required for anna.\r\n"),
    (CLIENT, b"PASS secret\r\n"),
    (SERVER, b"230 User anna logged in.\r\n"),
    (CLIENT, b"SYST\r\n"),
    (SERVER, b"215 UNIX Type: L8\r\n"),
    (CLIENT, b"FEAT\r\n"),
    (
        SERVER,
        b"211-Extensions:\r\n MDTM\r\n REST STREAM\r\n211 End\r\n",
    ),
    (CLIENT, b"PORT 10,0,0,1,4,56\r\n"),
    (SERVER, b"200 ok\r\n"),
    (CLIENT, b"RETR payroll.xls\r\n"),
    (SERVER, b"550 No such file.\r\n"),
];

#[test]
fn a_session_is_read_without_names_and_passwords() {
    let recorder = conversation(LOGIN);
    assert_eq!(protocols(&recorder), ["ftp"]);
    let of = |name| values(&recorder, "ftp", name);
    assert_eq!(of("banner"), ["Contoso"]);
    assert_eq!(
        of("command"),
        ["FEAT", "PASS", "PORT", "RETR", "SYST", "USER"]
    );
    assert_eq!(of("system"), ["UNIX Type: L8"]);
    assert_eq!(of("feature"), ["MDTM", "REST STREAM"]);
    assert_eq!(of("auth_mechanism"), ["USER"]);
    assert_eq!(of("auth_result"), ["230"]);
    assert_eq!(of("reply_error"), ["550"]);
    assert_eq!(recorder.client, Some(CLIENT));
    only_registered_attributes(&recorder, &[&FTP]);
    for fact in recorder.facts.keys() {
        let text = fact.value.to_string();
        assert!(
            !["anna", "secret", "payroll"]
                .iter()
                .any(|word| text.contains(word)),
            "{text}"
        );
    }
    survives_every_cut(LOGIN);
}

#[test]
fn data_connections_are_announced_by_either_end() {
    let recorder = conversation(&[
        (SERVER, b"220 (vsFTPd 3.0.3)\r\n"),
        (CLIENT, b"EPSV\r\n"),
        (SERVER, b"229 Entering Extended Passive Mode (|||6446|)\r\n"),
        (CLIENT, b"PASV\r\n"),
        (SERVER, b"227 Entering Passive Mode (192,0,2,7,4,56).\r\n"),
    ]);
    let at: Vec<String> = offers(&recorder)
        .iter()
        .filter(|offer| {
            offer.offered
                == Offered::Data {
                    protocol: "ftp_data",
                }
        })
        .map(|offer| offer.endpoint.to_string())
        .collect();
    assert_eq!(at, ["10.0.0.2:1080", "10.0.0.2:6446", "192.0.2.7:1080"]);
}

#[test]
fn tls_follows_an_agreed_auth() {
    let hello = b"\x16\x03\x01\x00\x2e\x01";
    let recorder = conversation(&[
        (SERVER, b"220 ready\r\n"),
        (CLIENT, b"AUTH TLS\r\n"),
        (SERVER, b"234 AUTH TLS OK.\r\n"),
        (CLIENT, hello),
    ]);
    assert_eq!(protocols(&recorder).first(), Some(&"ftp"));
    assert_eq!(values(&recorder, "ftp", "starttls"), ["AUTH TLS"]);
    let recorder = conversation(&[
        (SERVER, b"220 ready\r\n"),
        (CLIENT, b"AUTH TLS\r\n"),
        (SERVER, b"534 no\r\n"),
        (CLIENT, b"PROT P\r\n"),
    ]);
    assert_eq!(values(&recorder, "ftp", "starttls_refused"), ["534"]);
    assert_eq!(values(&recorder, "ftp", "protection"), ["P"]);
}

#[test]
fn a_plain_greeting_needs_a_login() {
    let recorder = conversation(&[(SERVER, b"220 ready\r\n"), (CLIENT, b"USER x\r\n")]);
    assert_eq!(protocols(&recorder), ["ftp"]);
    let recorder = conversation(&[(SERVER, b"220 ready\r\n"), (CLIENT, b"EHLO x\r\n")]);
    assert_eq!(protocols(&recorder), ["smtp"]);
    let recorder = conversation(&[(SERVER, b"220 ready\r\n")]);
    assert!(protocols(&recorder).is_empty());
}

#[test]
fn one_line_of_the_middle_may_prove_it() {
    let lists = b"211-Extensions supported:\r\n CLNT\r\n MDTM\r\n SIZE\r\n211 End.\r\n";
    let lines: [&[u8]; 5] = [
        lists,
        b"331 Password required\r\n",
        b"PASV\r\n",
        b"TYPE I\r\n",
        b"257 \"/\" is current directory.\r\n",
    ];
    for line in lines {
        assert_eq!(protocols(&midstream(&[(SERVER, line)])), ["ftp"]);
    }
}

#[test]
fn lines_of_neighbours_are_not_ftp() {
    let lines: [&[u8]; 9] = [
        b"220 mail.contoso.example ESMTP\r\n",
        b"220 ftp.contoso.example\r\n",
        b"+OK POP3 ready\r\n",
        b"200 news server ready\r\n",
        b"211 3 1 3 misc.test\r\n",
        b"RETR 1\r\n",
        b"USER a b c :d\r\n",
        b"PASS x\r\n",
        b"AUTH PLAIN\r\n",
    ];
    for line in lines {
        for play in [conversation, midstream] {
            let recorder = play(&[(SERVER, line)]);
            assert!(
                !protocols(&recorder).contains(&"ftp"),
                "{}",
                line.escape_ascii()
            );
        }
    }
}
