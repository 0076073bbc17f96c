use super::*;
use crate::protocol::testing::tokens::{are_told, base64, nobody, ticket_for};
use crate::protocol::testing::{
    CLIENT as C, SERVER as S, TLS_HELLO, conversation, midstream, only_registered_attributes,
    protocols, survives_every_cut, values,
};

const GREETING: (Side, &[u8]) = (
    S,
    b"* OK [CAPABILITY IMAP4rev1 STARTTLS] The Microsoft Exchange IMAP4 service is ready.\r\n",
);
const NONE: [&str; 0] = [];

#[test]
fn a_session_is_read_without_names_passwords_and_messages() {
    let segments = [
        GREETING,
        (C, b"a1 capability\r\n"),
        (S, b"* CAPABILITY IMAP4 AUTH=NTLM IDLE\r\na1 OK CAPABILITY completed.\r\n"),
        (C, b"a2 ID (\"name\" \"Thunderbird\" \"version\" \"17.0.8\" \"user\" \"anna\")\r\n"),
        (S, b"* ID (\"name\" \"Microsoft.Exchange.Imap4.Imap4Server\" \"version\" \"15.1\")\r\na2 OK\r\n"),
        (C, b"a3 LOGIN anna wonderland\r\n"),
        (S, b"a3 NO LOGIN failed for anna@contoso.example.\r\n"),
        (C, b"a4 LOGIN {4+}\r\nanna {10}\r\n"),
        (S, b"+ Ready for additional command text.\r\n"),
        (C, b"wonderland\r\na5 SELECT INBOX\r\n"),
        (S, b"a4 OK LOGIN completed.\r\n* 1 EXISTS\r\na5 OK [READ-WRITE] SELECT completed.\r\n"),
        (C, b"a6 FETCH 1 BODY[]\r\n"),
        (S, b"* 1 FETCH (BODY[] {38}\r\nSubject: x\r\n\r\n* OK not a line\r\na6 NO x FLAGS ())\r\n"),
        (S, b"a6 OK FETCH completed.\r\n"),
        (C, b"a7 IDLE\r\nDONE\r\na8 LOGOUT\r\n"),
    ];
    let recorder = conversation(&segments);
    let of = |name| values(&recorder, "imap", name);
    assert_eq!(protocols(&recorder), ["imap"]);
    assert_eq!(recorder.client, Some(C));
    assert_eq!(
        of(BANNER),
        ["The Microsoft Exchange IMAP4 service is ready."]
    );
    assert_eq!(
        of(CAPABILITY),
        ["AUTH=NTLM", "IDLE", "IMAP4", "IMAP4rev1", "STARTTLS"]
    );
    assert_eq!(
        of(COMMAND),
        [
            "CAPABILITY",
            "FETCH",
            "ID",
            "IDLE",
            "LOGIN",
            "LOGOUT",
            "SELECT"
        ]
    );
    assert_eq!(of(AUTH_MECHANISM), ["LOGIN"]);
    assert_eq!(of(AUTH_RESULT), ["NO", "OK"]);
    assert_eq!(of(REPLY_ERROR), ["NO LOGIN failed for <address>"]);
    assert_eq!(of(CLIENT_PRODUCT), ["Thunderbird 17.0.8"]);
    assert_eq!(
        of(SERVER_PRODUCT),
        ["Microsoft.Exchange.Imap4.Imap4Server 15.1"]
    );
    let all = format!("{:?}", recorder.facts);
    assert!(!all.contains("anna") && !all.contains("wonderland") && !all.contains("Subject"));
    only_registered_attributes(&recorder, &[&IMAP]);
    survives_every_cut(&segments);
}

#[test]
fn starttls_hands_over_to_tls() {
    let hello = TLS_HELLO.to_vec();
    let segments = [
        (S, &b"* OK ready\r\n"[..]),
        (C, b". STARTTLS\r\n"),
        (S, b". OK Begin TLS negotiation now\r\n"),
        (C, &hello),
    ];
    let recorder = conversation(&segments);
    assert_eq!(protocols(&recorder), ["imap", "tls"]);
    assert_eq!(values(&recorder, "imap", STARTTLS), ["STARTTLS"]);
    survives_every_cut(&segments);
}

#[test]
fn a_refused_starttls_is_told() {
    let recorder = conversation(&[
        GREETING,
        (C, b"x STARTTLS\r\n"),
        (S, b"x BAD Command received in invalid state.\r\n"),
    ]);
    assert_eq!(
        values(&recorder, "imap", STARTTLS_REFUSED),
        ["Command received in invalid state."]
    );
}

#[test]
fn a_refused_literal_is_not_waited_for() {
    let recorder = conversation(&[
        GREETING,
        (C, b"a APPEND Sent {9000}\r\n"),
        (S, b"a NO too large\r\n"),
        (C, b"b LOGOUT\r\n"),
    ]);
    assert_eq!(values(&recorder, "imap", COMMAND), ["APPEND", "LOGOUT"]);
}

#[test]
fn tokens_of_an_authentication_name_the_mechanism() {
    let segments = [
        GREETING,
        (C, b"a001 AUTHENTICATE NTLM\r\n"),
        (S, b"+ \r\n"),
        (
            C,
            b"TlRMTVNTUAABAAAABwIAAgcABwAoAAAACAAIAC8AAAAKAGFKAAAAD1BPUDNET01QT1AzSE9TVA==\r\n",
        ),
        (S, b"a001 NO AUTHENTICATE failed.\r\n"),
    ];
    let recorder = conversation(&segments);
    assert_eq!(values(&recorder, "imap", AUTH_MECHANISM), ["NTLM"]);
    assert_eq!(values(&recorder, "imap", GSS_MECHANISM), ["ntlm"]);
    assert_eq!(values(&recorder, "imap", "gss_version"), ["10.0.19041"]);
    assert_eq!(values(&recorder, "imap", AUTH_RESULT), ["NO"]);
    survives_every_cut(&segments);
}

#[test]
fn tokens_name_service_realm_and_host_but_no_person() {
    let ticket = format!("{}\r\n", base64(&ticket_for("imap/ex1.a.example")));
    let nobody = format!("{}\r\n", base64(&nobody()));
    let segments = [
        GREETING,
        (C, b"a1 AUTHENTICATE GSSAPI\r\n"),
        (S, b"+ \r\n"),
        (C, ticket.as_bytes()),
        (S, b"a1 NO AUTHENTICATE failed.\r\n"),
        (C, b"a2 AUTHENTICATE NTLM\r\n"),
        (S, b"+ \r\n"),
        (C, nobody.as_bytes()),
        (S, b"a2 NO AUTHENTICATE failed.\r\n"),
    ];
    let recorder = conversation(&segments);
    are_told(&recorder, "imap", "imap/ex1.a.example");
    survives_every_cut(&segments);
}

#[test]
fn the_middle_of_a_connection_is_known_by_a_command_and_its_answer() {
    let recorder = midstream(&[
        (S, b"16 OK IDLE completed\r\n"),
        (C, b"17 list \"\" \"Sent\"\r\n"),
        (S, b"17 OK LIST completed\r\n"),
    ]);
    assert_eq!(protocols(&recorder), ["imap"]);
    assert_eq!(
        protocols(&midstream(&[(
            S,
            b"* 21 FETCH (UID 13 BODY[] {180237}\r\nReceived: x"
        )])),
        ["imap"]
    );
    assert_eq!(protocols(&midstream(&[(S, b"16 OK fine\r\n")])), NONE);
}

#[test]
fn other_protocols_are_not_imap() {
    let others: &[&[(Side, &[u8])]] = &[
        &[
            (S, b"* ACAP (IMPLEMENTATION \"x\") (STARTTLS)\r\n"),
            (C, b"a NOOP\r\n"),
        ],
        &[
            (C, b"GET /list HTTP/1.1\r\nHost: x\r\n\r\n"),
            (S, b"HTTP/1.1 200 OK\r\n\r\n"),
        ],
        &[(S, b"+OK IMAP is elsewhere\r\n"), (C, b"QUIT\r\n")],
        &[(S, b"220 mail ESMTP\r\n"), (C, b"EHLO x\r\n")],
        &[(C, b"12 LOGIN x\r\n"), (S, b"welcome\r\n")],
        &[(C, b"*1\r\n$4\r\nPING\r\n"), (S, b"+PONG\r\n")],
    ];
    for segments in others {
        assert!(
            !protocols(&conversation(segments)).contains(&"imap"),
            "{segments:?}"
        );
    }
}
