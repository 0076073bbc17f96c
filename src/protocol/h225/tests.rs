//! Calls and registrations, in bytes written from the recommendation.

use super::super::testing::{
    CLIENT, SERVER, conversation, datagrams, midstream, offers, only_registered_attributes,
    protocols, survives_every_cut, values,
};
use super::*;
use crate::evidence::Offered;

const CALL: [u8; 16] = [
    0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x00,
];
const IDENTIFIER: [u8; 6] = [0, 8, 0x91, 0x4a, 0, 4];
/// A packet with a message of Q.931: `elements`, then a user-to-user element of `user`.
fn packet(from_caller: bool, kind: u8, elements: &[u8], user: &[u8]) -> Vec<u8> {
    let flag = if from_caller { 0 } else { 0x80 };
    let mut content = vec![8, 2, flag, 7, kind];
    content.extend(elements);
    content.push(0x7e);
    content.extend(u16::try_from(user.len() + 1).unwrap().to_be_bytes());
    content.push(5);
    content.extend(user);
    let length = u16::try_from(content.len() + 4).unwrap().to_be_bytes();
    [&[3, 0], &length[..], &content].concat()
}

/// Aligned PER: single bits, and octets from the next boundary on.
#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    used: usize,
}

impl Writer {
    /// Bits as digits, with blanks between fields.
    fn bits(mut self, digits: &str) -> Self {
        for digit in digits.bytes().filter(|digit| *digit != b' ') {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            *self.bytes.last_mut().unwrap() |= (digit - b'0') << (7 - self.used % 8);
            self.used += 1;
        }
        self
    }

    fn octets(mut self, octets: &[u8]) -> Self {
        self.bytes.extend(octets);
        self.used = self.bytes.len() * 8;
        self
    }

    /// Octets after their number.
    fn string(self, octets: &[u8]) -> Self {
        self.octets(&[u8::try_from(octets.len()).unwrap()])
            .octets(octets)
    }

    /// An address of IPv4 in H.225.0.
    fn address(self, last: u8, port: u16) -> Self {
        self.bits("0 000")
            .octets(&[192, 0, 2, last])
            .octets(&port.to_be_bytes())
    }

    /// A terminal of a vendor with product `ex` and version `1`.
    fn terminal(self) -> Self {
        self.bits("0 010001 0 11 0")
            .octets(&[9, 0, 0, 0x3d, 1, b'e', b'x', 0, b'1'])
            .bits("00 00")
    }

    /// The identifier as an addition.
    fn call_id(self) -> Self {
        self.string(&Self::default().bits("0").octets(&CALL).bytes)
    }
}

/// Setup from alias `ab` and number `123` with fast start (G.711 mu-law, to 192.0.2.7:5000).
fn setup() -> Vec<u8> {
    let address = |writer: Writer, port: u16| {
        writer
            .bits("0 0 0 000 0")
            .octets(&[192, 0, 2, 7])
            .octets(&port.to_be_bytes())
    };
    // Session 1; media and control channel.
    let session = Writer::default().bits("0 0010100000").octets(&[1]);
    let session = address(address(session, 5000), 5001).bytes;
    // Nothing forward, the reverse channel has parameters.
    let channel = Writer::default()
        .bits("0 1")
        .octets(&[0, 5])
        .bits("0 0 0 001 1 0 000001")
        .octets(&[0])
        .bits("0 1 0 011 0 0011")
        .octets(&[19])
        .bits("1 0 000000")
        .string(&session)
        .bytes;
    let channels = Writer::default().octets(&[1]).string(&channel).bytes;
    let user = Writer::default()
        .bits("00 0 0 0 000 1 0100000")
        .string(&IDENTIFIER)
        .octets(&[2])
        .bits("0 1")
        .octets(&[1, 0, b'a', 0, b'b'])
        .bits("0 0 0000010")
        .octets(&[0x12])
        .bits("0011")
        .terminal()
        .bits("0")
        .octets(&CALL)
        .bits("0 00 0 00")
        // Seven additions: the third and the last are there.
        .bits("0 000110 0010001")
        .call_id()
        .string(&channels)
        .bytes;
    packet(true, 5, &[4, 3, 0x88, 0xc0, 0xa5, 0x28, 2, b'a', 0], &user)
}

/// Connect with a control address, 192.0.2.9:1232.
fn connect() -> Vec<u8> {
    let user = Writer::default()
        .bits("00 0 0 0 010 1 1")
        .string(&IDENTIFIER)
        .address(9, 1232)
        .terminal()
        .octets(&CALL)
        .bits("0 000000 1")
        .call_id()
        .bytes;
    packet(false, 7, &[], &user)
}

/// A facility that moves control to 192.0.2.9:1233.
fn facility() -> Vec<u8> {
    let moved = Writer::default().address(9, 1233).bytes;
    let user = Writer::default()
        .bits("00 0 0 0 110 1 000")
        .string(&IDENTIFIER)
        .bits("0 11 0 000110 1000001")
        .call_id()
        .string(&moved)
        .bytes;
    packet(false, 0x62, &[], &user)
}

/// Release because nobody answered (cause 19), in H.323's words undefined.
fn release() -> Vec<u8> {
    let user = Writer::default()
        .bits("00 0 0 0 101 0 1")
        .string(&IDENTIFIER)
        .bits("0 1011")
        .bytes;
    packet(false, 0x5a, &[8, 2, 0x80, 0x93], &user)
}

#[test]
fn a_call_is_read_from_setup_to_release() {
    let (setup, connect, facility, release) = (setup(), connect(), facility(), release());
    let segments = [
        (CLIENT, &setup[..]),
        (SERVER, &connect[..]),
        (SERVER, &facility[..]),
        (SERVER, &release[..]),
    ];
    let recorder = conversation(&segments);
    assert_eq!(protocols(&recorder), ["h225"]);
    assert_eq!(
        values(&recorder, "h225", "message"),
        ["connect", "facility", "release_complete", "setup"]
    );
    assert_eq!(values(&recorder, "h225", "version"), ["4", "4"]);
    assert_eq!(
        values(&recorder, "h225", "call_id"),
        ["11223344-5566-7788-99aa-bbccddeeff00"; 2]
    );
    assert_eq!(
        values(&recorder, "h225", "control_address"),
        ["192.0.2.9:1232", "192.0.2.9:1233"]
    );
    let offered: Vec<_> = offers(&recorder)
        .into_iter()
        .filter(|offer| !matches!(offer.offered, Offered::Media(_)))
        .map(|offer| (offer.endpoint.to_string(), offer.offered))
        .collect();
    let control = |endpoint: &str| {
        let protocol = Offered::Protocol {
            protocol: "h245",
            name: "".into(),
        };
        (endpoint.to_owned(), protocol)
    };
    assert_eq!(
        offered,
        [control("192.0.2.9:1232"), control("192.0.2.9:1233")]
    );
    assert_eq!(values(&recorder, "h225", "cause"), ["19"]);
    assert_eq!(values(&recorder, "h225", "release_reason"), ["undefined"]);
    assert_eq!(recorder.client, Some(CLIENT));
    only_registered_attributes(&recorder, &[&H225]);
    survives_every_cut(&segments);
}

#[test]
fn fast_start_offers_media() {
    let recorder = conversation(&[(CLIENT, &setup())]);
    let mut offers = offers(&recorder);
    offers.retain(|offer| matches!(offer.offered, Offered::Media(_)));
    let [offer] = &offers[..] else {
        panic!("{offers:?}");
    };
    assert_eq!(offer.endpoint.to_string(), "192.0.2.7:5000");
    let Offered::Media(media) = &offer.offered else {
        panic!("{offer:?}");
    };
    assert_eq!((&*media.media, media.rtcp_port), ("audio", Some(5001)));
    assert_eq!(&*media.call_id, "11223344-5566-7788-99aa-bbccddeeff00");
}

#[test]
fn tunnelled_control_is_read_as_itself() {
    let determination = [0x01, 0x00, 50, 0x80, 0x37, 0x82, 0xde];
    let tunnel = Writer::default().octets(&[1]).string(&determination).bytes;
    // A facility without additions; then whether control is tunnelled, and the tunnel.
    let user = Writer::default()
        .bits("00 1 0 0 110 0 000")
        .string(&IDENTIFIER)
        .bits("0 11 0 000010 011")
        .string(&[0x80])
        .string(&tunnel)
        .bytes;
    let recorder = conversation(&[(CLIENT, &packet(true, 0x62, &[], &user))]);
    assert_eq!(protocols(&recorder), ["h225", "h245"]);
    assert_eq!(
        values(&recorder, "h245", "message"),
        ["master_slave_determination"]
    );
}

#[test]
fn the_middle_of_a_call_is_known_and_keep_alives_are_passed_over() {
    let bytes = [&[3, 0, 0, 4][..], &release()].concat();
    let recorder = midstream(&[(SERVER, &bytes)]);
    assert_eq!(protocols(&recorder), ["h225"]);
    assert_eq!(recorder.client, Some(CLIENT));
}

#[test]
fn other_content_of_tpkt_is_not_h225() {
    let x224 = [3, 0, 0, 11, 6, 0xe0, 0, 0, 0, 1, 0];
    let mut isdn = release();
    let at = isdn.windows(2).position(|two| two == [0x91, 0x4a]).unwrap();
    isdn[at] = 0x90;
    let mut overlong = release();
    overlong[3] += 1;
    for bytes in [&x224[..], &isdn, &overlong] {
        let recorder = conversation(&[(CLIENT, bytes)]);
        assert!(!protocols(&recorder).contains(&"h225"));
    }
}

/// Registration number 1 of 192.0.2.7:1720.
const REGISTRATION: &[u8] = &[
    0x0c, 0x00, 0x00, 0x00, 6, 0, 8, 0x91, 0x4a, 0, 4, 0x80, 1, 0x00, 192, 0, 2, 7, 0x06, 0xb8,
];

#[test]
fn registrations_name_their_signalling_address() {
    let admission = [0x26, 0x48, 0x00, 0x02, 0x18];
    let recorder = datagrams(&[(CLIENT, REGISTRATION), (CLIENT, &admission)]);
    assert_eq!(protocols(&recorder), ["h225"]);
    assert_eq!(
        values(&recorder, "h225", "message"),
        ["admission_request", "registration_request"]
    );
    assert_eq!(
        values(&recorder, "h225", "signal_address"),
        ["192.0.2.7:1720"]
    );
    assert_eq!(recorder.client, Some(CLIENT));
    assert!(protocols(&datagrams(&[(CLIENT, &admission)])).is_empty());
    for length in 0..REGISTRATION.len() {
        datagrams(&[(CLIENT, &REGISTRATION[..length])]);
    }
}
