use super::record::{PSEUDO_CLIENT, PSEUDO_CLIENT_END, PSEUDO_SERVER, PSEUDO_SERVER_END};
use super::*;
use crate::net::Side;
use crate::protocol::testing::{
    CLIENT as C, SERVER as S, conversation, midstream, only_registered_attributes, protocols,
    survives_every_cut, values,
};

fn record(content: u8, version: u16, body: &[u8]) -> Vec<u8> {
    let mut record = vec![content];
    record.extend_from_slice(&version.to_be_bytes());
    record.extend_from_slice(&(body.len() as u16).to_be_bytes());
    record.extend_from_slice(body);
    record
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![kind];
    message.extend_from_slice(&(body.len() as u32).to_be_bytes()[1..]);
    message.extend_from_slice(body);
    message
}

fn list16(items: &[&[u8]]) -> Vec<u8> {
    let items = items.concat();
    let mut list = (items.len() as u16).to_be_bytes().to_vec();
    list.extend_from_slice(&items);
    list
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &list16(&[body])].concat()
}

fn client_hello(extensions: &[Vec<u8>]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend_from_slice(&[7; 32]);
    body.push(0);
    body.extend_from_slice(&[0, 4, 0x13, 1, 0xc0, 0x2f, 1, 0]);
    body.extend_from_slice(&list16(&[&extensions.concat()]));
    message(1, &body)
}

fn server_hello(random: [u8; 32], cipher: u16, extensions: &[Vec<u8>]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend_from_slice(&random);
    body.push(0);
    body.extend_from_slice(&cipher.to_be_bytes());
    body.push(0);
    body.extend_from_slice(&list16(&[&extensions.concat()]));
    message(2, &body)
}

fn server_name() -> Vec<u8> {
    extension(0, &list16(&[&[0], &list16(&[b"EX1.contoso.example"])]))
}

fn alpn(name: &[u8]) -> Vec<u8> {
    extension(16, &list16(&[&[name.len() as u8], name]))
}

fn certificate(names: &[&str]) -> Vec<u8> {
    let chain: Vec<Vec<u8>> = names
        .iter()
        .map(|name| {
            let made = rcgen::generate_simple_self_signed(vec![(*name).to_owned()]).unwrap();
            let der = made.cert.der();
            [&(der.len() as u32).to_be_bytes()[1..], der].concat()
        })
        .collect();
    let chain = chain.concat();
    message(
        11,
        &[&(chain.len() as u32).to_be_bytes()[1..], &chain].concat(),
    )
}

const CHANGE: [u8; 6] = [20, 3, 3, 0, 1, 1];

fn finished() -> Vec<u8> {
    [&CHANGE[..], &record(22, 0x0303, &[0xee; 40])].concat()
}

fn hello() -> Vec<u8> {
    record(22, 0x0301, &client_hello(&[server_name(), alpn(b"h2")]))
}

fn mutual() -> Vec<(Side, Vec<u8>)> {
    let server = [
        server_hello([5; 32], 0xc02f, &[alpn(b"h2")]),
        certificate(&["ex1.contoso.example", "unused.example"]),
        message(12, &[0; 60]),
        message(13, &[1, 1, 0, 2, 4, 1, 0, 0]),
        message(14, &[]),
    ]
    .concat();
    let client = [
        certificate(&["lync1.contoso.example"]),
        message(16, &[0; 66]),
        message(15, &[4, 1, 0, 64]),
    ]
    .concat();
    vec![
        (C, hello()),
        (S, record(22, 0x0303, &server)),
        (C, [record(22, 0x0303, &client), finished()].concat()),
        (S, finished()),
        (C, record(23, 0x0303, &[1; 50])),
    ]
}

fn borrowed(segments: &[(Side, Vec<u8>)]) -> Vec<(Side, &[u8])> {
    segments
        .iter()
        .map(|(side, bytes)| (*side, bytes.as_slice()))
        .collect()
}

#[test]
fn a_mutual_handshake_shows_both_certificates() {
    let segments = mutual();
    let recorder = conversation(&borrowed(&segments));
    let tls = |name| values(&recorder, "tls", name);
    assert_eq!(protocols(&recorder), ["tls"]);
    assert_eq!(recorder.client, Some(C));
    assert_eq!(tls("client_version"), ["1.2"]);
    assert_eq!(tls("server_version"), ["1.2"]);
    assert_eq!(tls("cipher"), ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]);
    assert_eq!(tls("server_name"), ["ex1.contoso.example"]);
    assert_eq!(tls("alpn"), ["h2"]);
    assert!(tls("certificate_name").contains(&"ex1.contoso.example".to_owned()));
    assert!(!tls("certificate_name").contains(&"unused.example".to_owned()));
    assert_eq!(tls("certificate_self_signed"), ["1"]);
    assert_eq!(tls("certificate_key"), ["ec 256 sha256"]);
    assert_eq!(
        tls("certificate_not_before"),
        ["1975-01-01T00:00:00.000000000Z"]
    );
    for name in [
        "certificate_subject",
        "certificate_issuer",
        "client_certificate_subject",
        "client_certificate_issuer",
    ] {
        assert_eq!(tls(name), ["CN=rcgen self signed cert"], "{name}");
    }
    // The year 4096, as far as times reach.
    for name in ["certificate_not_after", "client_certificate_not_after"] {
        assert_eq!(tls(name), ["2262-04-11T23:47:16.854775807Z"], "{name}");
    }
    let begins = tls("client_certificate_not_before");
    assert_eq!(begins, tls("certificate_not_before"));
    assert_eq!(tls("client_certificate_self_signed"), ["1"]);
    assert_eq!(tls("client_certificate_key"), ["ec 256 sha256"]);
    assert_eq!(tls("alpn_offered"), ["h2"]);
    assert_eq!(tls("client_certificate_requested"), ["1"]);
    assert_eq!(tls("client_certificate"), ["1"]);
    assert!(tls("client_certificate_name").contains(&"lync1.contoso.example".to_owned()));
    assert_eq!(tls("certificate_verify"), ["1"]);
    assert_eq!(tls("established"), ["1"]);
    assert_eq!(tls("application_data"), ["1"]);
    assert_eq!(tls("resumed"), [""; 0]);
    only_registered_attributes(&recorder, &[&TLS]);
}

#[test]
fn every_cut_and_every_byte_alone_is_read() {
    let segments = mutual();
    for length in 1..=segments.len() {
        survives_every_cut(&borrowed(&segments[..length]));
    }
}

#[test]
fn a_message_over_several_records_is_read() {
    let hello = client_hello(&[server_name()]);
    let segment: Vec<u8> = hello
        .chunks(20)
        .flat_map(|part| record(22, 0x0301, part))
        .collect();
    let recorder = conversation(&[(C, &segment)]);
    assert_eq!(
        values(&recorder, "tls", "server_name"),
        ["ex1.contoso.example"]
    );
}

#[test]
fn tls_1_3_is_named_by_its_extension_and_ends_with_the_clients_finished() {
    let retry = {
        let mut random = [0; 32];
        random[..8].copy_from_slice(&[0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11]);
        random
    };
    let versions = extension(43, &[4, 0x1a, 0x1a, 3, 4]);
    let chosen = extension(43, &[3, 4]);
    let offer = || {
        record(
            22,
            0x0301,
            &client_hello(&[server_name(), versions.clone()]),
        )
    };
    let again = [&CHANGE[..], &offer()].concat();
    let ask = [
        record(
            22,
            0x0303,
            &server_hello(retry, 0x1301, std::slice::from_ref(&chosen)),
        ),
        CHANGE.to_vec(),
    ]
    .concat();
    let answer = [
        record(22, 0x0303, &server_hello([9; 32], 0x1301, &[chosen])),
        record(23, 0x0303, &[1; 400]),
    ]
    .concat();
    let first = offer();
    let done = record(23, 0x0303, &[2; 53]);
    let mut segments: Vec<(Side, &[u8])> = vec![(C, &first), (S, &ask), (C, &again), (S, &answer)];
    assert_eq!(
        values(&conversation(&segments), "tls", "established"),
        [""; 0]
    );
    segments.push((C, &done));
    let recorder = conversation(&segments);
    assert_eq!(values(&recorder, "tls", "server_version"), ["1.3"]);
    assert_eq!(
        values(&recorder, "tls", "cipher"),
        ["TLS_AES_128_GCM_SHA256"]
    );
    assert_eq!(values(&recorder, "tls", "established"), ["1"]);
    assert_eq!(values(&recorder, "tls", "certificate_subject"), [""; 0]);
    survives_every_cut(&segments);
}

#[test]
fn an_abbreviated_handshake_is_a_resumption() {
    let hello = hello();
    let answer = [
        record(22, 0x0303, &server_hello([5; 32], 0xc02f, &[])),
        finished(),
    ]
    .concat();
    let end = finished();
    let recorder = conversation(&[(C, &hello), (S, &answer), (C, &end)]);
    assert_eq!(values(&recorder, "tls", "resumed"), ["1"]);
    assert_eq!(values(&recorder, "tls", "established"), ["1"]);
}

#[test]
fn an_alert_ends_the_handshake_with_its_name() {
    let hello = hello();
    let recorder = conversation(&[(C, &hello), (S, &[21, 3, 1, 0, 2, 2, 40])]);
    assert_eq!(
        values(&recorder, "tls", "alert"),
        ["fatal handshake_failure"]
    );
    assert_eq!(values(&recorder, "tls", "established"), [""; 0]);
    let unknown = conversation(&[(C, &hello), (S, &[21, 3, 1, 0, 2, 2, 200])]);
    assert_eq!(values(&unknown, "tls", "alert"), ["fatal 200"]);
}

#[test]
fn an_empty_client_certificate_counts_none() {
    let hello = hello();
    let server = record(
        22,
        0x0303,
        &[
            server_hello([5; 32], 0xc02f, &[]),
            message(13, &[1, 1, 0, 2, 4, 1, 0, 0]),
        ]
        .concat(),
    );
    let client = record(22, 0x0303, &message(11, &[0, 0, 0]));
    let recorder = conversation(&[(C, &hello), (S, &server), (C, &client)]);
    assert_eq!(values(&recorder, "tls", "client_certificate"), ["0"]);
}

#[test]
fn the_imitation_before_turn_is_not_tls() {
    let client = [&PSEUDO_CLIENT[..], &[9; 32], &PSEUDO_CLIENT_END].concat();
    let server = [
        &PSEUDO_SERVER[..],
        &[9; 32],
        &[32],
        &[8; 32],
        &PSEUDO_SERVER_END,
    ]
    .concat();
    assert_eq!((client.len(), server.len()), (50, 83));
    let segments: [(Side, &[u8]); 3] = [
        (C, &client),
        (S, &server),
        (C, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ];
    let recorder = conversation(&segments);
    assert_eq!(values(&recorder, "tls", "pseudo"), ["1", "1"]);
    assert_eq!(values(&recorder, "tls", "cipher"), [""; 0]);
    assert_eq!(values(&recorder, "tls", "client_version"), [""; 0]);
    assert_eq!(protocols(&recorder), ["tls", "http"]);
    survives_every_cut(&segments);
    let one_way = conversation(&[segments[0], segments[2]]);
    assert_eq!(protocols(&one_way), ["tls", "http"]);
}

#[test]
fn a_hello_of_ssl_2_is_read() {
    let mut hello = vec![0x80, 0x1f, 1, 3, 1, 0, 6, 0, 0, 0, 16];
    hello.extend_from_slice(&[1, 0, 0x80, 0, 0, 4]);
    hello.extend_from_slice(&[7; 16]);
    hello[1] = (hello.len() - 2) as u8;
    let recorder = conversation(&[(C, &hello)]);
    assert_eq!(values(&recorder, "tls", "client_version"), ["1.0"]);
    let answer = record(22, 0x0301, &server_hello([5; 32], 0x0004, &[]));
    let recorder = conversation(&[(C, &hello), (S, &answer)]);
    assert_eq!(
        values(&recorder, "tls", "cipher"),
        ["TLS_RSA_WITH_RC4_128_MD5"]
    );
    survives_every_cut(&[(C, &hello), (S, &answer)]);
    hello[10] = 15;
    assert!(protocols(&conversation(&[(C, &hello)])).is_empty());
}

#[test]
fn a_connection_without_its_handshake_is_known_by_its_records() {
    let two = [
        record(23, 0x0303, &[1; 30]),
        record(23, 0x0303, &[2; 900])[..40].to_vec(),
    ]
    .concat();
    let recorder = midstream(&[(S, &two)]);
    assert_eq!(protocols(&recorder), ["tls"]);
    assert_eq!(values(&recorder, "tls", "application_data"), ["1"]);
    let header_alone = &record(23, 0x0303, &[1; 900])[..60];
    assert!(protocols(&midstream(&[(S, header_alone)])).is_empty());
}

#[test]
fn a_cut_hello_says_what_is_there() {
    let hello = record(
        22,
        0x0301,
        &client_hello(&[server_name(), extension(21, &[0; 300])]),
    );
    let recorder = conversation(&[(C, &hello[..120])]);
    assert_eq!(protocols(&recorder), ["tls"]);
    assert_eq!(
        values(&recorder, "tls", "server_name"),
        ["ex1.contoso.example"]
    );
    assert_eq!(values(&recorder, "tls", "client_version"), [""; 0]);
}

#[test]
fn openings_of_others_are_refused() {
    for other in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"220 mail ESMTP\r\n",
        &[0x16, 0x03, 0x01, 0xff, 0xff, 1, 0, 0, 0, 0, 0],
        &[0x16, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40],
        &[0x30, 0x0c, 2, 1, 1, 0x60, 7, 2, 1, 3, 4, 0, 0x80, 0],
        &[0x80, 0, 0, 0x28, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 2],
    ] {
        assert!(!protocols(&conversation(&[(C, other)])).contains(&"tls"));
    }
}

#[test]
fn a_record_that_is_cut_where_its_segment_ends_is_tls() {
    use crate::protocol::testing::cut_conversation;
    let record = [23, 3, 3, 0, 200, 1, 2, 3, 4, 5];
    let named = |missing| protocols(&cut_conversation(&[(Side::A, &record, missing)]));
    assert_eq!(named(195), ["tls"]);
    assert!(named(194).is_empty(), "its length is another");
    assert!(named(0).is_empty(), "more may come");
}

const DAY: u64 = 86_400;

/// A handshake in which the server shows a certificate of that subject, for these hosts, from that issuer, which lasts
/// for that many seconds.
fn shown(subject: &str, hosts: &[&str], issuer: &str, lasts: u64) -> Vec<String> {
    let named = |name: &str| {
        let mut parts = rcgen::DistinguishedName::new();
        for part in name.split(", ") {
            let kind = match part.split_once('=') {
                Some(("O", _)) => rcgen::DnType::OrganizationName,
                _ => rcgen::DnType::CommonName,
            };
            parts.push(kind, part.split_once('=').unwrap().1);
        }
        parts
    };
    let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
    let mut params = rcgen::CertificateParams::new(hosts).unwrap();
    params.distinguished_name = named(subject);
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = params.not_before + std::time::Duration::from_secs(lasts);
    let mut authority = rcgen::CertificateParams::default();
    authority.distinguished_name = named(issuer);
    let key = || rcgen::KeyPair::generate().unwrap();
    let made = params
        .signed_by(&key(), &rcgen::Issuer::new(authority, key()))
        .unwrap();
    let der = [&(made.der().len() as u32).to_be_bytes()[1..], made.der()].concat();
    let chain = [&(der.len() as u32).to_be_bytes()[1..], &der].concat();
    let server = [server_hello([5; 32], 0xc02f, &[]), message(11, &chain)].concat();
    let recorder = conversation(&borrowed(&[(C, hello()), (S, record(22, 0x0303, &server))]));
    assert_eq!(values(&recorder, "tls", "certificate_issuer"), [issuer]);
    values(&recorder, "tls", "tor_like")
}

#[test]
fn a_certificate_of_two_random_hosts_is_like_those_of_tor() {
    let (subject, issuer) = ("CN=www.s4ku5skjpa.net", "CN=www.37s7ngbjlqnr.com");
    for lasts in [5 * DAY - 1, 5 * DAY, 364 * DAY, 365 * DAY] {
        assert_eq!(shown(subject, &[], issuer, lasts), ["1"]);
    }
}

#[test]
fn certificates_of_others_are_not_like_those_of_tor() {
    let (subject, issuer) = ("CN=www.s4ku5skjpa.net", "CN=www.37s7ngbjlqnr.com");
    let none: [&str; 0] = [];
    for (subject, hosts, issuer, lasts) in [
        // Names that are no base32, too short, of other zones, or with more to them.
        ("CN=www.contoso-1.net", &none[..], issuer, 90 * DAY),
        ("CN=www.contoso.net", &none, issuer, 90 * DAY),
        ("CN=mail.s4ku5skjpa.net", &none, issuer, 90 * DAY),
        ("CN=www.s4ku5skjpa.com", &none, issuer, 90 * DAY),
        (subject, &none, "CN=www.s4ku5skjpa.com", 90 * DAY),
        (
            subject,
            &none,
            "O=Example, CN=www.37s7ngbjlqnr.com",
            90 * DAY,
        ),
        (subject, &none, "CN=Example Root", 90 * DAY),
        (subject, &none, subject, 90 * DAY),
        // A host that is named as alternative, and lives that are too long, too short or of no whole days.
        (subject, &["www.s4ku5skjpa.net"], issuer, 90 * DAY),
        (subject, &none, issuer, 366 * DAY),
        (subject, &none, issuer, 4 * DAY),
        (subject, &none, issuer, 90 * DAY + 3600),
    ] {
        assert!(
            shown(subject, hosts, issuer, lasts).is_empty(),
            "{subject} of {issuer}, {lasts} s"
        );
    }
}
