use super::*;
use crate::protocol::testing::{
    CLIENT as C, SERVER as S, conversation, midstream, only_registered_attributes, protocols,
    survives_every_cut, values,
};

const REQUEST: (Side, &[u8]) = (C, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");

fn socks(segments: &[(Side, &[u8])], name: &str) -> Vec<String> {
    values(&conversation(segments), "socks", name)
}

#[test]
fn http_is_found_after_version_4() {
    let segments = [
        (C, &[4, 1, 0, 80, 192, 0, 2, 7, b'm', b'e', 0][..]),
        (S, &[0, 90, 0, 0, 0, 0, 0, 0]),
        REQUEST,
    ];
    let recorder = conversation(&segments);
    assert_eq!(protocols(&recorder), ["socks", "http"]);
    assert_eq!(values(&recorder, "socks", VERSION), ["4"]);
    assert_eq!(values(&recorder, "socks", TARGET), ["192.0.2.7:80"]);
    assert_eq!(values(&recorder, "socks", REPLY), ["90"]);
    only_registered_attributes(&recorder, &[&SOCKS]);
    survives_every_cut(&segments);
}

#[test]
fn a_name_follows_in_version_4a() {
    let segments = [
        (
            C,
            &b"\x04\x01\x01\xbb\0\0\0\x01\0Mail.contoso.example\0"[..],
        ),
        (S, &[0, 91, 0, 0, 0, 0, 0, 0]),
    ];
    assert_eq!(socks(&segments, TARGET), ["mail.contoso.example:443"]);
    assert_eq!(socks(&segments, REPLY), ["91"]);
}

#[test]
fn version_5_is_read_without_name_and_password() {
    let segments = [
        (C, &[5, 2, 0, 2][..]),
        (S, &[5, 2]),
        (C, b"\x01\x04anna\x06secret"),
        (S, &[1, 0]),
        (C, b"\x05\x01\0\x03\x07example\0\x50"),
        (S, &[5, 0, 0, 1, 10, 0, 0, 9, 0x81, 0xbe]),
        REQUEST,
    ];
    let recorder = conversation(&segments);
    assert_eq!(protocols(&recorder), ["socks", "http"]);
    assert_eq!(values(&recorder, "socks", VERSION), ["5"]);
    assert_eq!(values(&recorder, "socks", METHOD), ["password"]);
    assert_eq!(values(&recorder, "socks", AUTHENTICATED), ["1"]);
    assert_eq!(values(&recorder, "socks", TARGET), ["example:80"]);
    assert_eq!(values(&recorder, "socks", COMMAND), ["connect"]);
    assert!(!format!("{:?}", recorder.facts).contains("anna"));
    only_registered_attributes(&recorder, &[&SOCKS]);
    survives_every_cut(&segments);
}

#[test]
fn a_refusal_ends_it() {
    let segments = [(C, &[5, 1, 0][..]), (S, &[5, 0xff])];
    assert_eq!(socks(&segments, METHOD), ["refused"]);
}

#[test]
fn other_protocols_are_not_socks() {
    let nothing: [&str; 0] = [];
    let others: &[&[(Side, &[u8])]] = &[
        // TDS, DCE/RPC, an answer that was not offered, no answer.
        &[(S, &[4, 1, 0, 25, 0, 0, 1, 0, 0xad, 0]), (C, &[1, 1, 0, 9])],
        &[(C, &[5, 0, 11, 3, 16, 0, 0, 0]), (S, &[5, 0, 12, 3])],
        &[(C, &[5, 1, 0]), (S, &[5, 2])],
        &[(C, &[5, 1, 0])],
        &[(C, &[4, 1, 0, 80, 192, 0, 2, 7, 0])],
    ];
    for segments in others {
        assert!(
            !protocols(&conversation(segments)).contains(&"socks"),
            "{segments:?}"
        );
    }
    assert_eq!(
        protocols(&midstream(&[(C, &[5, 1, 0]), (S, &[5, 0])])),
        nothing
    );
}

#[test]
fn both_messages_of_one_side_are_enough_where_the_other_is_missing() {
    let client = conversation(&[(C, &[5, 1, 0]), (C, &[5, 1, 0, 1, 192, 0, 2, 7, 0, 80])]);
    assert_eq!(protocols(&client), ["socks"]);
    assert_eq!(client.client, Some(C));
    assert_eq!(values(&client, "socks", TARGET), ["192.0.2.7:80"]);
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let proxy = conversation(&[
        (S, &[5, 0]),
        (S, &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
        (S, answer),
    ]);
    assert_eq!(protocols(&proxy), ["socks", "http"]);
    assert_eq!(proxy.client, Some(C));
    for other in [
        &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0][..],
        &[5, 1, 0, 5, 9, 0, 1, 192, 0, 2, 7, 0, 80],
        &[5, 1, 0, 5, 1, 0, 1, 192, 0, 2, 7, 0, 0],
    ] {
        assert!(protocols(&conversation(&[(C, other)])).is_empty());
    }
}

#[test]
fn an_answer_before_its_question_is_still_an_answer() {
    let recorder = conversation(&[(S, &[5, 0]), (C, &[5, 1, 0])]);
    assert_eq!(protocols(&recorder), ["socks"]);
    assert_eq!(recorder.client, Some(C));
}
