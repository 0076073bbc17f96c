use super::*;
use crate::net::Side;
use crate::protocol::testing::tokens::{are_told, base64, nobody, ticket_for};
use crate::protocol::testing::{
    CLIENT as C, SERVER as S, TLS_HELLO, conversation, conversation_in_seconds, midstream,
    only_registered_attributes, protocols, survives_every_cut, values,
};

const GREETING: (Side, &[u8]) = (
    S,
    b"220 ex1.contoso.example Microsoft ESMTP MAIL Service ready at Mon, 1 Jun 2009 10:00:00 +0200\r\n",
);
const KEYWORDS: (Side, &[u8]) = (
    S,
    b"250-ex1.contoso.example Hello [10.0.0.1]\r\n250-SIZE\r\n250-PIPELINING\r\n250-STARTTLS\r\n\
      250-X-ANONYMOUSTLS\r\n250-AUTH NTLM\r\n250-X-EXPS GSSAPI NTLM\r\n250 XEXCH50\r\n",
);
const HELLO: (Side, &[u8]) = (C, b"EHLO ex2.contoso.example\r\n");

fn smtp(segments: &[(Side, &[u8])], name: &str) -> Vec<String> {
    values(&conversation(segments), "smtp", name)
}

const NONE: [&str; 0] = [];

#[test]
fn a_handshake_after_a_request_for_tls_is_enough_where_the_answers_are_missing() {
    let recorder = conversation(&[
        (C, b"EHLO hub1.contoso.example\r\n"),
        (C, b"STARTTLS\r\n"),
        (C, TLS_HELLO),
    ]);
    assert_eq!(protocols(&recorder), ["smtp", "tls"]);
}

#[test]
fn a_delivery_is_read_without_its_content() {
    let segments = [
        GREETING,
        HELLO,
        KEYWORDS,
        (C, b"MAIL FROM:<anna@Contoso.example> SIZE=99\r\nRCPT TO:<bob@fabrikam.example>\r\nDATA\r\n"),
        (S, b"250 2.1.0 Sender OK\r\n250 2.1.5 Recipient OK\r\n354 Start mail input\r\n"),
        (C, b"Subject: x\r\n\r\nQUIT\r\nEHLO evil\r\n..\r\n550 no\r\n"),
        (C, b"the end\r\n."),
        (C, b"\r\nQUIT\r\n"),
        (S, b"250 2.6.0 Queued\r\n221 2.0.0 Bye\r\n"),
    ];
    let recorder = conversation(&segments);
    let of = |name| values(&recorder, "smtp", name);
    assert_eq!(protocols(&recorder), ["smtp"]);
    assert_eq!(recorder.client, Some(C));
    assert!(of(BANNER)[0].starts_with("ex1.contoso.example Microsoft ESMTP MAIL Service ready"));
    assert_eq!(of(HELO), ["ex2.contoso.example"]);
    assert_eq!(
        of(KEYWORD),
        [
            "AUTH NTLM",
            "PIPELINING",
            "SIZE",
            "STARTTLS",
            "X-ANONYMOUSTLS",
            "X-EXPS GSSAPI NTLM",
            "XEXCH50"
        ]
    );
    assert_eq!(of(COMMAND), ["DATA", "EHLO", "MAIL", "QUIT", "RCPT"]);
    assert_eq!(of(MAIL_FROM), ["contoso.example"]);
    assert_eq!(of(RCPT_TO), ["fabrikam.example"]);
    assert_eq!(of(REPLY_ERROR), NONE);
    only_registered_attributes(&recorder, &[&SMTP]);
    for length in 1..=segments.len() {
        survives_every_cut(&segments[..length]);
    }
}

#[test]
fn an_agreed_switch_hands_over_to_tls() {
    for verb in ["STARTTLS", "X-ANONYMOUSTLS"] {
        let command = format!("{verb}\r\n");
        let segments = [
            GREETING,
            HELLO,
            KEYWORDS,
            (C, command.as_bytes()),
            (S, b"220 2.0.0 SMTP server ready\r\n"),
            (C, TLS_HELLO),
        ];
        let recorder = conversation(&segments);
        assert_eq!(values(&recorder, "smtp", STARTTLS), [verb]);
        assert_eq!(protocols(&recorder), ["smtp", "tls"]);
        assert_eq!(values(&recorder, "smtp", BANNER).len(), 1);
        survives_every_cut(&segments);
    }
}

#[test]
fn a_decrypted_capture_goes_on_in_clear() {
    let recorder = conversation(&[
        GREETING,
        HELLO,
        KEYWORDS,
        (C, b"STARTTLS\r\n"),
        (S, b"220 ready\r\n"),
        (C, b"EHLO inside.example\r\n"),
    ]);
    assert_eq!(protocols(&recorder), ["smtp"]);
    assert!(values(&recorder, "smtp", HELO).contains(&"inside.example".to_owned()));
}

#[test]
fn a_refused_switch_says_its_code() {
    let segments = [
        GREETING,
        HELLO,
        KEYWORDS,
        (C, b"STARTTLS\r\n"),
        (S, b"454 4.7.0 not now\r\n"),
    ];
    assert_eq!(smtp(&segments, STARTTLS_REFUSED), ["454"]);
    assert_eq!(smtp(&segments, REPLY_ERROR), ["454 4.7.0 not now"]);
    assert_eq!(smtp(&segments, STARTTLS), NONE);
}

#[test]
fn ntlm_of_exchange_is_named_and_no_credential_is_kept() {
    let segments = [
        GREETING,
        HELLO,
        KEYWORDS,
        (
            C,
            b"X-EXPS NTLM TlRMTVNTUAABAAAAl4II4gAAAAAAAAAAAAAAAAAAAAAGAbEdAAAADw==\r\n",
        ),
        (S, b"334 TlRMTVNTUAACAAAA\r\n"),
        (C, b"TlRMTVNTUAADAAAAGAAYAHAAAAA=\r\n"),
        (S, b"235 2.7.0 Authentication successful\r\n"),
    ];
    assert_eq!(smtp(&segments, EXPS_MECHANISM), ["NTLM"]);
    assert_eq!(smtp(&segments, GSS_MECHANISM), ["ntlm", "ntlm"]);
    assert_eq!(smtp(&segments, "gss_version"), ["6.1.7601"]);
    assert_eq!(smtp(&segments, AUTH_RESULT), ["235"]);
    survives_every_cut(&segments);
    let login = [
        GREETING,
        HELLO,
        KEYWORDS,
        (C, b"auth login\r\n"),
        (S, b"334 VXNlcm5hbWU6\r\n"),
        (C, b"c2VjcmV0\r\n"),
        (S, b"535 5.7.8 no\r\n"),
    ];
    let recorder = conversation(&login);
    assert_eq!(values(&recorder, "smtp", AUTH_MECHANISM), ["LOGIN"]);
    assert_eq!(values(&recorder, "smtp", AUTH_RESULT), ["535"]);
    assert!(!format!("{:?}", recorder.facts).contains("c2VjcmV0"));
}

#[test]
fn tokens_name_service_realm_and_host_but_no_person() {
    let ticket = format!(
        "X-EXPS GSSAPI {}\r\n",
        base64(&ticket_for("SmtpSvc/ex1.a.example"))
    );
    let nobody = format!("{}\r\n", base64(&nobody()));
    let segments = [
        GREETING,
        HELLO,
        KEYWORDS,
        (C, ticket.as_bytes()),
        (S, b"535 5.7.3 no\r\n"),
        (C, b"AUTH NTLM\r\n"),
        (S, b"334 \r\n"),
        (C, nobody.as_bytes()),
        (S, b"535 5.7.3 no\r\n"),
    ];
    let recorder = conversation(&segments);
    are_told(&recorder, "smtp", "SmtpSvc/ex1.a.example");
    survives_every_cut(&segments);
}

#[test]
fn an_answer_that_looks_like_an_extension_is_not_shown() {
    let segments = [
        GREETING,
        HELLO,
        KEYWORDS,
        (C, b"AUTH LOGIN\r\n"),
        (C, b"Xsecret9\r\n"),
    ];
    assert_eq!(smtp(&segments, COMMAND), ["AUTH", "EHLO"]);
}

#[test]
fn a_command_before_the_greeting_leaves_replies_in_order() {
    let recorder = conversation(&[HELLO, GREETING, KEYWORDS]);
    assert_eq!(values(&recorder, "smtp", BANNER).len(), 1);
    assert_eq!(values(&recorder, "smtp", KEYWORD).len(), 7);
}

#[test]
fn chunks_are_passed_over_by_their_count() {
    let segments = [
        GREETING,
        HELLO,
        KEYWORDS,
        (
            C,
            b"BDAT 10\r\nQUIT\r\nNOOPBDAT 6 LAST\r\nVRFY\r\nRSET\r\nXEXCH50 7 2\r\n",
        ),
        (S, b"250 OK\r\n250 OK\r\n250 OK\r\n354 send\r\n"),
        (C, b"HELP\r\n\x01"),
        (C, b"NOOP\r\n"),
        (S, b"250 OK\r\n"),
    ];
    assert_eq!(
        smtp(&segments, COMMAND),
        ["BDAT", "EHLO", "NOOP", "RSET", "XEXCH50"]
    );
    survives_every_cut(&segments);
}

#[test]
fn a_refused_message_leaves_commands_readable() {
    let segments = [
        GREETING,
        HELLO,
        KEYWORDS,
        (C, b"MAIL FROM:<>\r\nRCPT TO:<x@y.example>\r\nDATA\r\n"),
        (
            S,
            b"250 OK\r\n550 5.1.1 <x@y.example> unknown\r\n554 5.5.1 no\r\n",
        ),
        (C, b"QUIT\r\n"),
    ];
    assert!(smtp(&segments, COMMAND).contains(&"QUIT".to_owned()));
    assert_eq!(
        smtp(&segments, REPLY_ERROR),
        ["550 5.1.1 <address> unknown", "554 5.5.1 no"]
    );
}

#[test]
fn one_side_alone_is_read() {
    let client = [
        HELLO,
        (C, b"MAIL FROM:<a@b.example>\r\nDATA\r\n"),
        (C, b"QUIT\r\n.\r\nRSET\r\n"),
    ];
    let recorder = conversation(&client);
    assert_eq!(
        values(&recorder, "smtp", COMMAND),
        ["DATA", "EHLO", "MAIL", "RSET"]
    );
    assert_eq!(recorder.client, Some(C));
    let server = [
        GREETING,
        KEYWORDS,
        (S, b"220 2.0.0 ready\r\n"),
        (S, &[0x16, 3, 1, 0, 0x4a, 2, 0, 0, 0x46, 3, 1]),
    ];
    let recorder = conversation(&server);
    assert!(values(&recorder, "smtp", KEYWORD).contains(&"XEXCH50".to_owned()));
    assert_eq!(protocols(&recorder), ["smtp", "tls"]);
    assert_eq!(recorder.client, Some(C));
}

#[test]
fn the_middle_of_a_connection_is_recognised() {
    assert_eq!(
        protocols(&midstream(&[(C, b"RCPT TO:<a@b.example>\r\n")])),
        ["smtp"]
    );
    assert_eq!(
        protocols(&midstream(&[(S, b"250 2.1.5 Recipient OK\r\n")])),
        ["smtp"]
    );
    assert!(protocols(&midstream(&[(S, b"250 OK\r\n")])).is_empty());
    let refused = [(S, &b"421 4.3.2 Service not available\r\n"[..])];
    assert_eq!(protocols(&conversation(&refused)), ["smtp"]);
}

#[test]
fn other_protocols_that_greet_alike_are_refused() {
    for segments in [
        &[
            (S, &b"220 ftp.example FTP server ready\r\n"[..]),
            (C, b"USER anonymous\r\n"),
            (S, b"331 Password\r\n"),
        ][..],
        &[(S, b"220 x\r\n331 y\r\n230 z\r\n250 CWD ok\r\n")],
        &[(S, b"200 NNTP Service ready\r\n"), (C, b"MODE READER\r\n")],
        &[(S, b"+OK POP3 ready\r\n"), (C, b"USER a\r\n")],
        &[(C, b"DATA\r\n")],
        &[(C, b"MAIL\x00FROM:<a@b>\r\n")],
        &[(C, b"HELP me please\r\n")],
    ] {
        assert!(!protocols(&conversation(segments)).contains(&"smtp"));
        assert!(!protocols(&midstream(segments)).contains(&"smtp"));
    }
}

#[test]
fn a_line_without_end_costs_no_memory() {
    let long = vec![b'a'; 200_000];
    let recorder = conversation(&[GREETING, HELLO, KEYWORDS, (C, &long), (C, b"x\r\nNOOP\r\n")]);
    assert!(values(&recorder, "smtp", COMMAND).contains(&"NOOP".to_owned()));
}

#[test]
fn link_state_between_routing_groups_shows_as_a_verb_and_no_more() {
    let segments: [(Side, &[u8]); 4] = [
        (S, b"220 mail.contoso.example ESMTP\r\n"),
        (C, b"EHLO a.contoso.example\r\n"),
        (S, b"250 X-LINK2STATE\r\n"),
        (C, b"X-LINK2STATE LAST CHUNK={00000001} secret\r\n"),
    ];
    let recorder = conversation(&segments);
    assert_eq!(
        values(&recorder, "smtp", "command"),
        ["EHLO", "X-LINK2STATE"]
    );
    assert!(!format!("{:?}", recorder.facts).contains("secret"));
}

#[test]
fn an_answer_to_ehlo_without_tls_is_noted_when_it_was_read_whole() {
    let missing = |lines: &[u8]| {
        let segments = [GREETING, HELLO, (S, lines)];
        !values(&conversation(&segments), "smtp", STARTTLS_MISSING).is_empty()
    };
    assert!(missing(
        b"250-mail.contoso.example\r\n250-SIZE\r\n250 OK\r\n"
    ));
    assert!(!missing(
        b"250-mail.contoso.example\r\n250-StartTLS\r\n250 OK\r\n"
    ));
    assert!(!missing(
        b"250-mail.contoso.example\r\n250-X-ANONYMOUSTLS\r\n250 OK\r\n"
    ));
    assert!(
        !missing(b"250-mail.contoso.example\r\n250-SIZE\r\n"),
        "not whole"
    );
    assert!(!missing(b"250 mail.contoso.example\r\n"), "no list at all");
}

#[test]
fn a_reply_that_is_held_back_is_a_step_of_the_scale() {
    // Each packet comes a second after the one before.
    let slow = |between: usize| {
        let mut segments = vec![
            GREETING,
            HELLO,
            KEYWORDS,
            (C, &b"MAIL FROM:<a@b.example>\r\n"[..]),
        ];
        // Lines of nobody's, to let time pass.
        segments.extend(std::iter::repeat_n((C, &b""[..]), between));
        segments.push((S, b"250 2.1.0 ok\r\n"));
        values(&conversation_in_seconds(&segments), "smtp", SLOW_REPLY)
    };
    assert_eq!(slow(0), [""; 0]);
    assert_eq!(slow(6), ["MAIL 5 s"]);
    assert_eq!(slow(31), ["MAIL 30 s"]);
}
