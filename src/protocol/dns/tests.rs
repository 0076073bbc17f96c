use super::super::testing::*;
use super::{DNS, Family, LLMNR, MDNS};
use crate::evidence::{Offered, Recorder};
use crate::net::Side;

fn header(flags: u16, counts: [u16; 4]) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34];
    bytes.extend(flags.to_be_bytes());
    counts
        .iter()
        .for_each(|count| bytes.extend(count.to_be_bytes()));
    bytes
}

fn name(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

fn question(text: &str, kind: u16) -> Vec<u8> {
    [name(text), kind.to_be_bytes().to_vec(), vec![0, 1]].concat()
}

fn record(owner: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = owner.to_vec();
    bytes.extend(kind.to_be_bytes());
    bytes.extend([0, 1, 0, 0, 0, 60]);
    bytes.extend((data.len() as u16).to_be_bytes());
    bytes.extend(data);
    bytes
}

fn query(text: &str, kind: u16) -> Vec<u8> {
    [header(0x0100, [1, 0, 0, 0]), question(text, kind)].concat()
}

/// An answer by way of an alias.
fn answer() -> Vec<u8> {
    [
        header(0x8180, [1, 2, 0, 0]),
        question("Mail.Example.COM", 1),
        record(&[0xc0, 12], 5, &name("srv1.example.com")),
        record(&name("srv1.example.com"), 1, &[192, 0, 2, 7]),
    ]
    .concat()
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes()[..], message].concat()
}

fn of(recorder: &Recorder, name: &str) -> Vec<String> {
    values(recorder, "dns", name)
}

fn names(recorder: &Recorder) -> Vec<String> {
    let host = |offer: crate::evidence::Offer| match offer.offered {
        Offered::Host { name } => format!("{} {name}", offer.endpoint),
        other => panic!("{other:?}"),
    };
    offers(recorder).into_iter().map(host).collect()
}

/// What one datagram to `receiver` says.
fn sent(receiver: &str, bytes: &[u8]) -> Recorder {
    let recorder = datagram_to(receiver, bytes);
    only_registered_attributes(&recorder, &[&DNS, &LLMNR, &MDNS]);
    recorder
}

fn to(receiver: &str, bytes: &[u8]) -> Vec<&'static str> {
    protocols(&sent(receiver, bytes))
}

#[test]
fn an_answer_names_its_address_for_the_name_asked_and_its_alias() {
    let recorder = datagrams(&[(CLIENT, &query("Mail.Example.COM", 1)), (SERVER, &answer())]);
    assert_eq!(protocols(&recorder), ["dns"]);
    assert_eq!(recorder.client, Some(CLIENT));
    assert_eq!(
        of(&recorder, "query"),
        ["mail.example.com", "mail.example.com"]
    );
    assert_eq!(
        names(&recorder),
        [
            "192.0.2.7:0 mail.example.com",
            "192.0.2.7:0 srv1.example.com"
        ]
    );
}

#[test]
fn services_and_errors_are_facts() {
    let mut service = vec![0, 0, 0, 100, 0x13, 0xc5];
    service.extend(name("edge.example"));
    let found = [
        header(0x8180, [1, 1, 0, 1]),
        question("_sip._tls.example", 33),
        record(&[0xc0, 12], 33, &service),
        record(&name("edge.example"), 1, &[192, 0, 2, 8]),
    ]
    .concat();
    let missing = [header(0x8183, [1, 0, 0, 0]), question("gone.example", 1)].concat();
    let recorder = datagrams(&[(SERVER, &found), (SERVER, &missing)]);
    assert_eq!(
        of(&recorder, "srv"),
        ["_sip._tls.example -> edge.example:5061"]
    );
    assert_eq!(of(&recorder, "rcode"), ["NXDOMAIN gone.example"]);
    assert_eq!(names(&recorder), ["192.0.2.8:0 edge.example"]);
    assert_eq!(recorder.client, Some(CLIENT));
}

#[test]
fn types_and_mail_exchangers_are_facts() {
    let mut exchanger = vec![0, 10];
    exchanger.extend(name("Edge.Example"));
    let found = [
        header(0x8180, [1, 1, 0, 0]),
        question("example", 15),
        record(&[0xc0, 12], 15, &exchanger),
    ]
    .concat();
    let recorder = datagrams(&[(CLIENT, &query("new.example", 28)), (SERVER, &found)]);
    assert_eq!(of(&recorder, "mx"), ["example -> edge.example"]);
    assert_eq!(of(&recorder, "type"), ["AAAA", "MX"]);
}

#[test]
fn a_bare_refusal_counts_only_where_a_question_was_seen() {
    let refusal = header(0x8185, [0; 4]);
    assert!(protocols(&datagrams(&[(SERVER, &refusal)])).is_empty());
    let recorder = datagrams(&[(CLIENT, &query("a.example", 1)), (SERVER, &refusal)]);
    assert_eq!(of(&recorder, "rcode"), ["REFUSED"]);
}

#[test]
fn a_zone_that_may_not_be_changed_is_no_missing_name() {
    let zone = question("example", 6);
    let asked = [header(0x2800, [1, 0, 0, 0]), zone.clone()].concat();
    let refused = [header(0xa805, [1, 0, 0, 0]), zone].concat();
    let recorder = datagrams(&[(CLIENT, &asked), (SERVER, &refused)]);
    assert_eq!(of(&recorder, "rcode"), ["REFUSED update example"]);
}

#[test]
fn a_refusal_of_an_unknown_operation_gives_the_question_back() {
    let refusal = |flags| [header(flags, [1, 0, 0, 0]), question("a.example", 16)].concat();
    for flags in [0x8884, 0xb084] {
        let recorder = datagrams(&[(SERVER, &refusal(flags))]);
        assert_eq!(of(&recorder, "rcode"), ["NOTIMP a.example"]);
    }
    assert!(protocols(&datagrams(&[(SERVER, &refusal(0x8885))])).is_empty());
    assert!(protocols(&datagrams(&[(CLIENT, &refusal(0x0800))])).is_empty());
}

#[test]
fn what_makes_no_sense_is_dns_where_a_server_refuses_it_word_for_word() {
    // A class that nobody assigned, a question that ends in its name, one with something behind it, nothing at all.
    let mut class = [header(0, [1, 0, 0, 0]), question("a.example", 16)].concat();
    *class.last_mut().unwrap() = 0x3f;
    let cut = [header(0, [1, 0, 0, 0]), vec![6]].concat();
    let longer = [
        header(0x4900, [1, 0, 0, 0]),
        question("a.example", 6),
        vec![0; 7],
    ]
    .concat();
    let answered = |message: &[u8], flags: [u8; 2]| {
        let mut answer = message.to_vec();
        answer[2] |= flags[0];
        answer[3] |= flags[1];
        answer
    };
    for (asked, code) in [
        (class, "NOTIMP"),
        (cut, "FORMERR"),
        (longer, "NOTIMP"),
        (header(0, [0; 4]), "REFUSED"),
    ] {
        let number = match code {
            "FORMERR" => 1,
            "NOTIMP" => 4,
            _ => 5,
        };
        let refusal = answered(&asked, [0x80, 0x80 | number]);
        let recorder = datagrams(&[(CLIENT, &asked), (SERVER, &refusal)]);
        assert_eq!(protocols(&recorder), ["dns"], "{asked:x?}");
        assert_eq!(of(&recorder, "rcode"), [code]);
        assert_eq!(recorder.client, Some(CLIENT));
        // Alone, from the same side, of something else, or without a refusal it is nothing.
        let mut other = refusal.clone();
        other[0] ^= 1;
        for (side, answer) in [
            (CLIENT, &refusal),
            (SERVER, &other),
            (SERVER, &answered(&asked, [0x80, 0x80])),
            (SERVER, &answered(&asked, [0x82, 0x80 | number | 0x40])),
        ] {
            let recorder = datagrams(&[(CLIENT, &asked), (side, answer)]);
            assert!(protocols(&recorder).is_empty(), "{answer:x?}");
        }
        assert!(protocols(&datagrams(&[(SERVER, &refusal)])).is_empty());
    }
}

#[test]
fn messages_over_a_stream_are_read_one_after_the_other() {
    let two = [
        framed(&query("a.example", 1)),
        framed(&query("b.example", 28)),
    ]
    .concat();
    let reply = framed(&answer());
    let segments: &[(Side, &[u8])] = &[(CLIENT, &two), (SERVER, &reply)];
    let recorder = conversation(segments);
    assert_eq!(protocols(&recorder), ["dns"]);
    assert_eq!(
        of(&recorder, "query"),
        ["a.example", "b.example", "mail.example.com"]
    );
    survives_every_cut(segments);
    assert_eq!(protocols(&midstream(&[(SERVER, &reply)])), ["dns"]);
}

#[test]
fn every_prefix_is_refused_unless_the_capture_cut_it() {
    let whole = answer();
    for length in 0..whole.len() {
        assert!(protocols(&datagrams(&[(SERVER, &whole[..length])])).is_empty());
    }
    let question_end = 12 + question("Mail.Example.COM", 1).len();
    for length in question_end..whole.len() {
        let cut = super::Message::parse(&whole[..length], whole.len(), false);
        assert!(cut.is_ok(), "{length}");
    }
    let longer = [answer(), vec![0]].concat();
    assert!(protocols(&datagrams(&[(SERVER, &longer)])).is_empty());
}

#[test]
fn a_cut_message_needs_a_question_a_record_or_a_name() {
    let parse = |bytes: &[u8]| super::Message::parse(bytes, 200, false).is_ok();
    let long = [
        header(0x0100, [1, 0, 0, 0]),
        name("autodiscover.example.com"),
    ]
    .concat();
    assert!(parse(&long[..30]));
    assert!(!parse(&long[..16]));
    // An answer to a NetBIOS status request has no question.
    let mut status = header(0x8400, [0, 1, 0, 0]);
    status.extend(name("CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
    assert!(!parse(&status));
    status.extend([0, 0x21, 0, 1, 0, 0, 0, 0, 0, 0x65, 1]);
    assert!(!parse(&status));
}

#[test]
fn loops_and_wrong_pointers_are_refused() {
    for owner in [[0xc0, 12], [0xc0, 14], [0xff, 0xff]] {
        let bytes = [
            header(0x0100, [1, 0, 0, 0]),
            owner.to_vec(),
            vec![0, 1, 0, 1],
        ]
        .concat();
        assert!(protocols(&datagrams(&[(CLIENT, &bytes)])).is_empty());
    }
}

#[test]
fn netbios_names_are_not_dns() {
    let encoded = "CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for kind in [0x20, 0x21] {
        let bytes = [header(0x0110, [1, 0, 0, 0]), question(encoded, kind)].concat();
        assert_eq!(protocols(&datagrams(&[(CLIENT, &bytes)])), ["netbios_ns"]);
    }
}

#[test]
fn other_protocols_are_refused() {
    for bytes in [
        // RTP, STUN, NTP and text.
        &b"\x80\x00\x00\x01\x00\x00\x00\xa0\xde\xad\xbe\xef\x00\x01\x02\x03\x04\x05\x06\x07"[..],
        b"\x00\x01\x00\x00\x21\x12\xa4\x42\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b",
        b"\x1b\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        b"OPTIONS sip:a SIP/2.0\r\n",
        &[0; 40],
        &[0xff; 40],
    ] {
        assert!(
            !protocols(&datagrams(&[(CLIENT, bytes)])).contains(&"dns"),
            "{bytes:x?}"
        );
        assert!(!protocols(&conversation(&[(CLIENT, bytes)])).contains(&"dns"));
    }
}

#[test]
fn the_relatives_are_told_by_group_and_header() {
    let browse = [
        header(0, [2, 0, 0, 0]),
        question("_http._tcp.local", 12),
        question("_ipp._tcp.local", 12),
    ]
    .concat();
    assert_eq!(to("224.0.0.251", &browse), ["mdns"]);
    assert_eq!(to("ff02::fb", &browse), ["mdns"]);
    assert_eq!(to("224.0.0.252", &query("host", 1)), ["llmnr"]);
    assert_eq!(to("ff02::1:3", &query("host", 28)), ["llmnr"]);
    assert_eq!(to("192.0.2.53", &query("host", 1)), ["dns"]);
    let found = [
        header(0x8000, [1, 1, 0, 0]),
        question("host", 1),
        record(&name("host"), 1, &[192, 0, 2, 9]),
    ]
    .concat();
    assert_eq!(to("192.0.2.53", &found), ["llmnr"]);
    assert_eq!(
        Family::of(&answer(), "192.0.2.53".parse().unwrap()),
        Family::Dns
    );
}

#[test]
fn the_relatives_read_what_dns_reads() {
    let service = [&[0, 0, 0, 100, 0x13, 0xc5][..], &name("host.local")].concat();
    let exchanger = [&[0, 10][..], &name("host.local")].concat();
    let missing = [
        header(0x8403, [1, 2, 0, 0]),
        question("_sip._tcp.local", 33),
        record(&[0xc0, 12], 33, &service),
        record(&name("mail.local"), 15, &exchanger),
    ]
    .concat();
    for (group, protocol) in [("224.0.0.251", "mdns"), ("224.0.0.252", "llmnr")] {
        let recorder = sent(group, &missing);
        let of = |name| values(&recorder, protocol, name);
        assert_eq!(of("query"), ["_sip._tcp.local"]);
        assert_eq!(of("type"), ["SRV"]);
        assert_eq!(of("rcode"), ["NXDOMAIN _sip._tcp.local"]);
        assert_eq!(of("srv"), ["_sip._tcp.local -> host.local:5061"]);
        assert_eq!(of("mx"), ["mail.local -> host.local"]);
    }
}

#[test]
fn a_question_that_is_cut_inside_its_first_label_is_a_question() {
    let header = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0";
    let long = [&header[..], b"\x1elong-name-of-a-ser"].concat();
    let named = |bytes: &[u8], wire_len| protocols(&cut_datagram(bytes, wire_len));
    assert_eq!(named(&long, 60), ["dns"]);
    assert!(named(&long, long.len()).is_empty(), "whole, it is broken");
    assert!(
        named(&long[..18], 60).is_empty(),
        "five letters may be chance"
    );
    let spaced = [&header[..], b"\x1eprinter on the fl"].concat();
    assert!(named(&spaced, 60).is_empty(), "no name of a host");
    let multicast = [
        &b"\0\0\x84\0\0\0\0\x01\0\0\0\0\x1e"[..],
        b"Printer on the fl",
    ]
    .concat();
    assert!(named(&multicast, 60).is_empty(), "a record is needed");
}
