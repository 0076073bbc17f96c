use super::*;
use crate::evidence::{Moment, Recorder};
use crate::net::{Endpoint, FlowKey, Timestamp, Transport};
use crate::protocol::testing::{
    CLIENT, SERVER, datagrams, only_registered_attributes, protocols, values,
};

const V12: u16 = 0xfefd;

fn record(content: u8, version: u16, epoch: u16, body: &[u8]) -> Vec<u8> {
    let mut record = vec![content];
    record.extend(version.to_be_bytes());
    record.extend(epoch.to_be_bytes());
    record.extend([0, 0, 0, 0, 0, 1]);
    record.extend((body.len() as u16).to_be_bytes());
    record.extend(body);
    record
}

fn u24(number: usize) -> [u8; 3] {
    let [_, a, b, c] = (number as u32).to_be_bytes();
    [a, b, c]
}

fn fragment(kind: u8, sequence: u16, body: &[u8], from: usize, to: usize) -> Vec<u8> {
    let mut message = vec![kind];
    message.extend(u24(body.len()));
    message.extend(sequence.to_be_bytes());
    message.extend(u24(from));
    message.extend(u24(to - from));
    message.extend(&body[from..to]);
    message
}

fn message(kind: u8, sequence: u16, body: &[u8]) -> Vec<u8> {
    record(22, V12, 0, &fragment(kind, sequence, body, 0, body.len()))
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u16).to_be_bytes();
    [&kind.to_be_bytes()[..], &length, body].concat()
}

fn extensions(list: &[Vec<u8>]) -> Vec<u8> {
    let list = list.concat();
    [&(list.len() as u16).to_be_bytes()[..], &list].concat()
}

fn client_hello(version: u16, cookie: &[u8]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    body.extend([7; 32]);
    body.push(0);
    body.push(cookie.len() as u8);
    body.extend(cookie);
    body.extend([0, 2, 0xc0, 0x2b, 1, 0]);
    body.extend(extensions(&[
        extension(0, b"\0\x12\0\0\x0fav.contoso.test"),
        extension(16, b"\0\x07\x06webrtc"),
        extension(14, &[0, 6, 0x3a, 0x3a, 0, 1, 0, 7, 0]),
    ]));
    body
}

fn server_hello(list: &[Vec<u8>]) -> Vec<u8> {
    let mut body = V12.to_be_bytes().to_vec();
    body.extend([8; 32]);
    body.extend([0, 0xc0, 0x2b, 0]);
    body.extend(extensions(list));
    body
}

fn certificate(name: &str) -> Vec<u8> {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let der = made.cert.der();
    [&u24(der.len() + 3)[..], &u24(der.len()), der].concat()
}

fn borrowed(played: &[(Side, Vec<u8>)]) -> Vec<(Side, &[u8])> {
    played
        .iter()
        .map(|(side, bytes)| (*side, &bytes[..]))
        .collect()
}

/// Shows one datagram of `wire_len` bytes to a decoder.
fn shown(dtls: &mut Dtls, bytes: &[u8], wire_len: usize) -> (Result<(), Reject>, Recorder) {
    let mut recorder = Recorder::default();
    let end = |host: &str| Endpoint::new(host.parse().unwrap(), 1);
    let moment = Moment {
        time: Timestamp::from_nanos(0),
        frame: 1,
        key: FlowKey::of(Transport::UDP, end("10.0.0.1"), end("10.0.0.2")).0,
        side: CLIENT,
    };
    let mut notes = recorder.notes(moment, "dtls", 0);
    let result = dtls.datagram(Datagram { bytes, wire_len }, &mut notes);
    notes.commit();
    (result, recorder)
}

fn handshake() -> Vec<(Side, Vec<u8>)> {
    let server = server_hello(&[
        extension(14, &[0, 2, 0, 1, 0]),
        extension(16, b"\0\x07\x06webrtc"),
        extension(41, &[0, 0]),
    ]);
    let chain = certificate("edge.contoso.test");
    let half = chain.len() / 2;
    let part = |from, to| record(22, V12, 0, &fragment(11, 2, &chain, from, to));
    let finished = [record(20, V12, 0, &[1]), record(22, V12, 1, &[9; 40])].concat();
    vec![
        (CLIENT, message(1, 0, &client_hello(V12, b""))),
        (SERVER, message(3, 0, b"\xfe\xff\x04cook")),
        (CLIENT, message(1, 1, &client_hello(V12, b"cook"))),
        (
            SERVER,
            [message(2, 1, &server), part(half, chain.len())].concat(),
        ),
        (
            SERVER,
            [part(0, half + 9), message(13, 3, &[1, 1, 0, 0])].concat(),
        ),
        (
            CLIENT,
            [
                message(11, 2, &certificate("phone.contoso.test")),
                message(16, 3, &[1; 66]),
                message(15, 4, &[4, 1, 0, 64]),
                finished.clone(),
            ]
            .concat(),
        ),
        (SERVER, finished),
        (CLIENT, record(23, V12, 1, &[5; 60])),
    ]
}

#[test]
fn a_handshake_with_fragments_out_of_order_shows_keys_names_and_both_certificates() {
    let played = handshake();
    let recorder = datagrams(&borrowed(&played));
    assert_eq!(protocols(&recorder), ["dtls"]);
    assert_eq!(recorder.client, Some(CLIENT));
    let is = |name: &str, expected: &[&str]| {
        assert_eq!(values(&recorder, "dtls", name), expected, "{name}");
    };
    is("client_version", &["1.2"]);
    is("server_version", &["1.2"]);
    is("cipher", &["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]);
    is("server_name", &["av.contoso.test"]);
    is("alpn_offered", &["webrtc"]);
    is("alpn", &["webrtc"]);
    is(
        "srtp_offered",
        &["SRTP_AEAD_AES_128_GCM", "SRTP_AES128_CM_HMAC_SHA1_80"],
    );
    is("srtp_profile", &["SRTP_AES128_CM_HMAC_SHA1_80"]);
    is("resumed", &["1"]);
    is("retry", &["1"]);
    is("client_certificate_requested", &["1"]);
    is("client_certificate", &["1"]);
    is("certificate_verify", &["1"]);
    is("established", &["1"]);
    is("application_data", &["1"]);
    let subject = "CN=rcgen self signed cert";
    for name in ["certificate_subject", "certificate_issuer"] {
        is(name, &[subject]);
    }
    for name in ["client_certificate_subject", "client_certificate_issuer"] {
        is(name, &[subject]);
    }
    let names = values(&recorder, "dtls", "certificate_name");
    assert!(names.contains(&"edge.contoso.test".to_owned()));
    let names = values(&recorder, "dtls", "client_certificate_name");
    assert!(names.contains(&"phone.contoso.test".to_owned()));
    is("certificate_self_signed", &["1"]);
    is("client_certificate_self_signed", &["1"]);
    is("certificate_key", &["ec 256 sha256"]);
    is("client_certificate_key", &["ec 256 sha256"]);
    for name in [
        "certificate_not_before",
        "certificate_not_after",
        "client_certificate_not_before",
        "client_certificate_not_after",
    ] {
        assert_eq!(values(&recorder, "dtls", name).len(), 1, "{name}");
    }
    only_registered_attributes(&recorder, &[&DTLS]);
}

#[test]
fn every_cut_is_survived() {
    let played = handshake();
    for (number, (side, bytes)) in played.iter().enumerate() {
        for length in 0..bytes.len() {
            let mut cut = borrowed(&played[..number]);
            cut.push((*side, &bytes[..length]));
            datagrams(&cut);
        }
    }
}

#[test]
fn a_snapped_hello_says_what_is_there() {
    let whole = message(1, 0, &client_hello(V12, b""));
    let cut = &whole[..whole.len() - 12];
    let (_, recorder) = shown(&mut Dtls::default(), cut, whole.len());
    assert_eq!(
        values(&recorder, "dtls", "server_name"),
        ["av.contoso.test"]
    );
}

#[test]
fn alerts_are_named_in_clear_and_known_when_encrypted() {
    let recorder = datagrams(&[
        (SERVER, &record(21, V12, 0, &[2, 40])),
        (SERVER, &record(21, V12, 1, &[0; 18])),
    ]);
    assert_eq!(
        values(&recorder, "dtls", "alert"),
        ["encrypted", "fatal handshake_failure"]
    );
}

#[test]
fn versions_before_and_after_are_named() {
    let hello = client_hello(0x0100, b"");
    let old = record(22, 0x0100, 0, &fragment(1, 0, &hello, 0, hello.len()));
    let recorder = datagrams(&[(CLIENT, &old)]);
    assert_eq!(values(&recorder, "dtls", "client_version"), ["1.0"]);
    let new = server_hello(&[extension(43, &[0xfe, 0xfc])]);
    let encrypted = [&[0x2c, 0, 1, 0, 40][..], &[3; 40]].concat();
    let data = [&[0x2f, 0, 1, 0, 40][..], &[3; 40]].concat();
    let recorder = datagrams(&[
        (SERVER, &[message(2, 0, &new), encrypted].concat()),
        (SERVER, &data),
        (CLIENT, &data),
    ]);
    assert_eq!(values(&recorder, "dtls", "server_version"), ["1.3"]);
    assert_eq!(values(&recorder, "dtls", "established"), ["1"]);
}

#[test]
fn records_behind_the_mark_of_capwap_are_read() {
    let marked = [
        &[1, 0, 0, 0][..],
        &message(1, 0, &client_hello(0xfeff, b"")),
    ]
    .concat();
    assert_eq!(protocols(&datagrams(&[(CLIENT, &marked)])), ["dtls"]);
}

#[test]
fn a_flow_without_its_handshake_is_known_by_its_records() {
    let data = record(23, V12, 1, &[5; 60]);
    assert_eq!(protocols(&datagrams(&[(CLIENT, &data)])), ["dtls"]);
}

#[test]
fn records_with_a_connection_identifier_and_acknowledgements_need_a_proof() {
    let identified = [&record(25, V12, 1, &[0; 8])[..], &[9; 40]].concat();
    let acknowledgement = record(26, V12, 0, &[0, 0]);
    for later in [&identified, &acknowledgement] {
        assert!(protocols(&datagrams(&[(CLIENT, later)])).is_empty());
        let mut dtls = Dtls {
            proven: true,
            ..Dtls::default()
        };
        assert!(shown(&mut dtls, later, later.len()).0.is_ok());
    }
}

#[test]
fn others_and_broken_lengths_are_refused() {
    let mut trailing = message(1, 0, &client_hello(V12, b""));
    trailing.push(0);
    let mut tls_record = record(22, 0x0303, 0, &[1; 40]);
    tls_record.truncate(50);
    let mut outside = message(1, 0, &client_hello(V12, b""));
    outside[20] = 1;
    let rtp = [&[0x80, 0, 0, 1][..], &[7; 20]].concat();
    let unified = [&[0x2f, 0, 1, 0, 40][..], &[3; 40]].concat();
    let first_epoch_data = record(23, V12, 0, &[5; 60]);
    let unknown = record(27, V12, 1, &[5; 60]);
    for other in [
        &trailing[..],
        &tls_record,
        &outside,
        &rtp,
        &unified,
        &first_epoch_data,
        &unknown,
    ] {
        let played = datagrams(&[(CLIENT, other)]);
        assert!(!protocols(&played).contains(&"dtls"), "{other:02x?}");
    }
}
