use super::super::testing::tokens::{ntlm_authenticate, ticket_for};
use super::super::testing::*;
use super::{CLDAP, LDAP};
use crate::evidence::{Offered, Recorder};
use crate::net::Side;

/// An element with the long length that Windows writes.
fn long(tag: u8, contents: &[u8]) -> Vec<u8> {
    let mut element = vec![tag, 0x84];
    element.extend((contents.len() as u32).to_be_bytes());
    element.extend(contents);
    element
}

fn short(tag: u8, contents: &[u8]) -> Vec<u8> {
    let mut element = vec![tag, contents.len() as u8];
    element.extend(contents);
    element
}

fn message(id: u8, operation: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    let body = long(operation, &parts.concat());
    long(0x30, &[short(2, &[id]), body].concat())
}

fn bind(name: &[u8], choice: Vec<u8>) -> Vec<u8> {
    message(1, 0x60, &[short(2, &[3]), short(4, name), choice])
}

fn result(id: u8, operation: u8, code: u8, text: &[u8]) -> Vec<u8> {
    let parts = [short(0x0a, &[code]), short(4, b""), short(4, text)];
    message(id, operation, &parts)
}

fn of(recorder: &Recorder, name: &str) -> Vec<String> {
    values(recorder, "ldap", name)
}

fn play(segments: &[(Side, Vec<u8>)]) -> Recorder {
    let borrowed: Vec<(Side, &[u8])> = segments.iter().map(|(s, b)| (*s, &b[..])).collect();
    let recorder = conversation(&borrowed);
    only_registered_attributes(&recorder, &[&LDAP, &CLDAP]);
    survives_every_cut(&borrowed);
    recorder
}

#[test]
fn a_simple_bind_shows_its_name_and_result_but_no_password() {
    let recorder = play(&[
        (CLIENT, bind(b"cn=reader,dc=x", short(0x80, b"secret"))),
        (SERVER, result(1, 0x61, 49, b"80090308: data 52e\0")),
    ]);
    assert_eq!(protocols(&recorder), ["ldap"]);
    assert_eq!(recorder.client, Some(CLIENT));
    assert_eq!(of(&recorder, "bind"), ["simple"]);
    assert_eq!(of(&recorder, "bind_name"), ["cn=reader,dc=x"]);
    assert_eq!(of(&recorder, "bind_result"), ["49 invalidCredentials"]);
    assert_eq!(of(&recorder, "diagnostic"), ["80090308: data 52e"]);
    assert!(
        !recorder
            .facts
            .keys()
            .any(|fact| fact.value.to_string().contains("secret"))
    );
}

#[test]
fn kinds_of_binds_are_told_apart() {
    let sasl = [short(4, b"GSS-SPNEGO"), short(4, b"NTLMSSP\0\x01\0\0\0")].concat();
    for (name, choice, expected) in [
        (&b""[..], short(0x80, b""), "anonymous"),
        (b"cn=x", short(0x80, b""), "unauthenticated"),
        (b"", short(0xa3, &sasl), "sasl GSS-SPNEGO"),
        (b"NTLM", short(0x8a, b"NTLMSSP\0\x01\0\0\0"), "sicily"),
    ] {
        assert_eq!(
            of(&play(&[(CLIENT, bind(name, choice))]), "bind"),
            [expected]
        );
    }
}

#[test]
fn tokens_of_a_bind_name_mechanism_and_service() {
    let ticket = ticket_for("ldap/dc1.a.example");
    let sasl = [short(4, b"GSS-SPNEGO"), long(4, &ticket)].concat();
    let chosen = [
        short(0x0a, &[14]),
        short(4, b""),
        short(4, b""),
        long(0x87, &ntlm_authenticate("CONTOSO", "EX1", 0, 0)),
    ];
    let recorder = play(&[
        (CLIENT, bind(b"", long(0xa3, &sasl))),
        (SERVER, message(1, 0x61, &chosen)),
    ]);
    assert_eq!(of(&recorder, "mechanism"), ["kerberos", "ntlm"]);
    assert_eq!(of(&recorder, "service"), ["ldap/dc1.a.example"]);
    assert_eq!(of(&recorder, "gss_domain"), ["A.EXAMPLE", "CONTOSO"]);
    assert_eq!(of(&recorder, "gss_host"), ["EX1"]);
    assert_eq!(of(&recorder, "gss_version"), ["10.0.17763"]);
    // The bind goes on.
    assert!(of(&recorder, "bind_result").is_empty());
}

#[test]
fn searches_show_their_base_and_large_entries_are_passed_over() {
    let numbers = [
        short(0x0a, &[2]),
        short(0x0a, &[0]),
        short(2, &[0]),
        short(2, &[0]),
    ]
    .concat();
    let search = message(
        2,
        0x63,
        &[
            short(4, b"CN=Services"),
            numbers,
            short(1, &[0]),
            short(0x87, b"cn"),
            long(0x30, b""),
        ],
    );
    let entry = message(2, 0x64, &[short(4, b"cn=a"), long(0x30, &[0; 3000])]);
    let mut answer = entry;
    answer.extend(result(2, 0x65, 32, b""));
    let (first, second) = answer.split_at(1500);
    let recorder = play(&[
        (CLIENT, search),
        (SERVER, first.to_vec()),
        (SERVER, second.to_vec()),
    ]);
    assert_eq!(of(&recorder, "base"), ["CN=Services"]);
    assert_eq!(of(&recorder, "result"), ["32 noSuchObject"]);
    assert_eq!(
        of(&recorder, "operation"),
        ["searchRequest", "searchResDone", "searchResEntry"]
    );
}

#[test]
fn an_accepted_starttls_hands_the_connection_over() {
    let ask = message(5, 0x77, &[short(0x80, b"1.3.6.1.4.1.1466.20037")]);
    for (code, expected) in [(0, "accepted"), (52, "refused")] {
        let recorder = play(&[(CLIENT, ask.clone()), (SERVER, result(5, 0x78, code, b""))]);
        assert_eq!(of(&recorder, "starttls"), [expected]);
        assert_eq!(of(&recorder, "extended"), ["1.3.6.1.4.1.1466.20037"]);
    }
    let after = bind(b"cn=x", short(0x80, b"y"));
    let recorder = conversation(&[
        (CLIENT, &ask),
        (SERVER, &result(5, 0x78, 0, b"")),
        (CLIENT, b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03"),
        (CLIENT, &after),
    ]);
    assert!(of(&recorder, "bind").is_empty());
}

#[test]
fn a_security_layer_signs_or_seals() {
    let sasl = [short(4, b"GSSAPI"), short(4, b"")].concat();
    let start = (CLIENT, bind(b"", short(0xa3, &sasl)));
    let wrap = |token: &[u8], body: &[u8]| {
        let mut bytes = ((token.len() + body.len()) as u32).to_be_bytes().to_vec();
        bytes.extend(token);
        bytes.extend(body);
        bytes
    };
    let cfx = |flags| [5, 4, flags, 0xff, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let ntlm = [1, 0, 0, 0, 7, 7, 7, 7, 7, 7, 7, 7, 0, 0, 0, 0];
    let clear = message(3, 0x63, &[short(4, b"dc=x"), vec![9; 40]]);
    for (bytes, expected) in [
        (wrap(&cfx(6), &[9; 60]), "sealed"),
        (wrap(&cfx(4), &[9; 60]), "signed"),
        (wrap(&ntlm, &[9; 60]), "sealed"),
        (wrap(&ntlm, &clear), "signed"),
    ] {
        let twice = [bytes.clone(), bytes].concat();
        assert_eq!(
            of(&play(&[start.clone(), (CLIENT, twice)]), "sealed"),
            [expected]
        );
    }
}

#[test]
fn other_protocols_in_ber_are_refused() {
    for bytes in [
        // SNMP version 2c, get.
        &b"\x30\x26\x02\x01\x01\x04\x06public\xa0\x19\x02\x01\x01\x02\x01\x00\x02\x01\x00\x30\x0e\x30\x0c"[..],
        // SNMP version 3.
        b"\x30\x3e\x02\x01\x03\x30\x11\x02\x04\x30\xf6\xf3\xd5\x02\x03\x00\xff\xe3\x04\x01\x04",
        // CredSSP.
        b"\x30\x37\xa0\x03\x02\x01\x02\xa1\x30\x30\x2e\x30\x2c\xa0\x2a\x04\x28NTLMSSP\0",
        // An unbind with contents.
        b"\x30\x07\x02\x01\x01\x42\x02\x00\x00",
        b"0123456789 hello",
    ] {
        assert!(protocols(&conversation(&[(CLIENT, bytes)])).is_empty());
        assert!(protocols(&datagrams(&[(CLIENT, bytes)])).is_empty());
    }
}

#[test]
fn a_controller_answers_a_ping_with_its_name() {
    let equal =
        |name: &[u8], value: &[u8]| short(0xa3, &[short(4, name), short(4, value)].concat());
    let filter = short(
        0xa0,
        &[
            equal(b"DnsDomain", b"example.com."),
            equal(b"NtVer", &[6, 0, 0, 0]),
        ]
        .concat(),
    );
    let numbers = [
        short(0x0a, &[0]),
        short(0x0a, &[0]),
        short(2, &[0]),
        short(2, &[0]),
    ]
    .concat();
    let ping = message(
        1,
        0x63,
        &[
            short(4, b"dc=example"),
            numbers,
            short(1, &[0]),
            filter,
            long(0x30, &short(4, b"Netlogon")),
        ],
    );
    let mut blob = vec![23, 0, 0, 0, 0xfd, 0xf3, 1, 0];
    blob.extend([5; 16]);
    blob.extend(b"\x07example\x03com\0\xc0\x18\x03DC1\xc0\x18");
    let attribute = short(
        0x30,
        &[short(4, b"Netlogon"), short(0x31, &short(4, &blob))].concat(),
    );
    let mut pong = message(1, 0x64, &[short(4, b""), long(0x30, &attribute)]);
    pong.extend(result(1, 0x65, 0, b""));
    let recorder = datagrams(&[(CLIENT, &ping), (SERVER, &pong)]);
    only_registered_attributes(&recorder, &[&CLDAP]);
    assert_eq!(protocols(&recorder), ["cldap"]);
    assert_eq!(recorder.client, Some(CLIENT));
    assert_eq!(
        values(&recorder, "cldap", "domain"),
        ["example.com", "example.com"]
    );
    assert_eq!(
        values(&recorder, "cldap", "controller"),
        ["dc1.example.com"]
    );
    let offered = &offers(&recorder)[0];
    let name = "dc1.example.com".into();
    assert_eq!(offered.offered, Offered::Host { name });
    assert_eq!(offered.endpoint.to_string(), "10.0.0.2:0");
    assert_eq!(values(&recorder, "cldap", "base"), ["dc=example"]);
    assert_eq!(
        values(&recorder, "cldap", "operation"),
        ["searchRequest", "searchResDone", "searchResEntry"]
    );
    let refused = result(1, 0x65, 53, b"");
    assert_eq!(
        values(&datagrams(&[(SERVER, &refused)]), "cldap", "result"),
        ["53 unwillingToPerform"]
    );
    for length in 0..pong.len() {
        datagrams(&[(SERVER, &pong[..length])]);
    }
    pong.push(0);
    assert!(protocols(&datagrams(&[(SERVER, &pong)])).is_empty());
}
