use super::*;
use crate::protocol::testing::tokens::{are_told, base64, nobody, ticket_for};
use crate::protocol::testing::{
    CLIENT as C, SERVER as S, TLS_HELLO, conversation, midstream, only_registered_attributes,
    protocols, survives_every_cut, values,
};

const GREETING: (Side, &[u8]) = (S, b"+OK The Microsoft Exchange POP3 service is ready.\r\n");
const NONE: [&str; 0] = [];

fn pop3(segments: &[(Side, &[u8])], name: &str) -> Vec<String> {
    values(&conversation(segments), "pop3", name)
}

#[test]
fn a_session_is_read_without_names_passwords_and_messages() {
    let segments = [
        GREETING,
        (C, b"CAPA\r\n"),
        (S, b"+OK\r\nTOP\r\nUIDL\r\nSASL NTLM GSSAPI PLAIN\r\nUSER\r\nSTLS\r\n.\r\n"),
        (C, b"USER anna\r\n"),
        (S, b"+OK\r\n"),
        (C, b"PASS wonderland\r\n"),
        (S, b"+OK User successfully logged on.\r\n"),
        (C, b"STAT\r\nLIST\r\nRETR 1\r\n"),
        (S, b"+OK 1 20\r\n+OK\r\n1 20\r\n.\r\n+OK 20 octets\r\nSubject: x\r\n\r\n+OK not a reply\r\n..\r\n.\r\n"),
        (C, b"QUIT\r\n"),
        (S, b"-ERR mailbox of anna@contoso.example is locked\r\n"),
    ];
    let recorder = conversation(&segments);
    let of = |name| values(&recorder, "pop3", name);
    assert_eq!(protocols(&recorder), ["pop3"]);
    assert_eq!(recorder.client, Some(C));
    assert_eq!(
        of(BANNER),
        ["The Microsoft Exchange POP3 service is ready."]
    );
    assert_eq!(
        of(CAPABILITY),
        ["SASL NTLM GSSAPI PLAIN", "STLS", "TOP", "UIDL", "USER"]
    );
    assert_eq!(
        of(COMMAND),
        ["CAPA", "LIST", "PASS", "QUIT", "RETR", "STAT", "USER"]
    );
    assert_eq!(of(AUTH_MECHANISM), ["USER"]);
    assert_eq!(of(AUTH_RESULT), ["+OK"]);
    assert_eq!(of(REPLY_ERROR), ["mailbox of <address> is locked"]);
    let all = format!("{:?}", recorder.facts);
    assert!(!all.contains("anna") && !all.contains("wonderland") && !all.contains("Subject"));
    only_registered_attributes(&recorder, &[&POP3]);
    survives_every_cut(&segments);
}

#[test]
fn tokens_name_service_realm_and_host_but_no_person() {
    let ticket = format!("{}\r\n", base64(&ticket_for("pop/ex1.a.example")));
    let nobody = format!("{}\r\n", base64(&nobody()));
    let segments = [
        GREETING,
        (C, b"AUTH GSSAPI\r\n"),
        (S, b"+ \r\n"),
        (C, ticket.as_bytes()),
        (S, b"-ERR refused\r\n"),
        (C, b"AUTH NTLM\r\n"),
        (S, b"+ \r\n"),
        (C, nobody.as_bytes()),
        (S, b"-ERR refused\r\n"),
    ];
    let recorder = conversation(&segments);
    are_told(&recorder, "pop3", "pop/ex1.a.example");
    survives_every_cut(&segments);
}

#[test]
fn stls_hands_over_to_tls() {
    let hello = TLS_HELLO.to_vec();
    let segments = [
        GREETING,
        (C, b"STLS\r\n"),
        (S, b"+OK Begin TLS negotiation.\r\n"),
        (C, &hello),
    ];
    let recorder = conversation(&segments);
    assert_eq!(protocols(&recorder), ["pop3", "tls"]);
    assert_eq!(values(&recorder, "pop3", STARTTLS), ["STLS"]);
    survives_every_cut(&segments);
}

#[test]
fn a_refused_stls_is_told() {
    let segments = [
        GREETING,
        (C, b"STLS\r\n"),
        (S, b"-ERR Command is not valid in this state.\r\n"),
    ];
    assert_eq!(
        pop3(&segments, STARTTLS_REFUSED),
        ["Command is not valid in this state."]
    );
}

#[test]
fn tokens_of_an_authentication_name_the_mechanism() {
    let segments = [
        GREETING,
        (C, b"AUTH NTLM\r\n"),
        (S, b"+ \r\n"),
        (
            C,
            b"TlRMTVNTUAABAAAABwIAAgcABwAoAAAACAAIAC8AAAAKAGFKAAAAD1BPUDNET01QT1AzSE9TVA==\r\n",
        ),
        (
            S,
            b"-ERR Logon failure: unknown user name or bad password.\r\n",
        ),
        (C, b"QUIT\r\n"),
    ];
    let recorder = conversation(&segments);
    assert_eq!(values(&recorder, "pop3", AUTH_MECHANISM), ["NTLM"]);
    assert_eq!(values(&recorder, "pop3", GSS_MECHANISM), ["ntlm"]);
    assert_eq!(values(&recorder, "pop3", "gss_version"), ["10.0.19041"]);
    assert_eq!(values(&recorder, "pop3", AUTH_RESULT), ["-ERR"]);
    assert_eq!(values(&recorder, "pop3", COMMAND), ["AUTH", "QUIT"]);
    survives_every_cut(&segments);
}

#[test]
fn the_middle_of_a_connection_is_known_by_a_command_and_its_answer() {
    let recorder = midstream(&[
        (C, b"RETR 20\r\n"),
        (S, b"+OK 100220 octets\r\nFrom: x\r\n"),
    ]);
    assert_eq!(protocols(&recorder), ["pop3"]);
    assert_eq!(protocols(&midstream(&[(S, b"+OK 3 messages\r\n")])), NONE);
}

#[test]
fn other_protocols_are_not_pop3() {
    let others: &[&[(Side, &[u8])]] = &[
        &[(C, b"SET a b\r\n"), (S, b"+OK\r\n")],
        &[(C, b"AUTH x y\r\nQUIT\r\n"), (S, b"+OK\r\n+OK\r\n")],
        &[(C, b"STAT\r\n"), (S, b"-ERR unknown command\r\n")],
        &[(C, b"*1\r\n$4\r\nPING\r\n"), (S, b"+PONG\r\n")],
        &[
            (S, b"220 ftp ready\r\n"),
            (C, b"USER anna\r\n"),
            (S, b"331 password\r\n"),
        ],
        &[(C, b"USER anna\r\nPASS x\r\n"), (S, b"331 go on\r\n")],
        &[(C, b"LIST\r\n"), (S, b"215 list follows\r\n")],
        &[(S, b"* OK IMAP4 ready\r\n")],
        &[(S, b"+OK\x01\x02\r\n"), (C, b"x\r\n")],
    ];
    for segments in others {
        assert!(
            !protocols(&conversation(segments)).contains(&"pop3"),
            "{segments:?}"
        );
    }
}

#[test]
fn a_later_command_proves_where_the_answers_are_missing() {
    let named = |bytes: &[u8]| protocols(&conversation(&[(C, bytes)]));
    assert_eq!(named(b"AUTH\r\nCAPA\r\nQUIT\r\n"), ["pop3"]);
    assert!(named(b"USER a\r\nPASS b\r\nQUIT\r\n").is_empty());
    assert!(!named(b"USER a\r\nPASV\r\nCAPA\r\n").contains(&"pop3"));
}
