use super::super::testing::{
    CLIENT, SERVER, datagrams, only_registered_attributes, protocols, values,
};
use super::super::{Datagrams, tls};
use super::header::Version;
use super::initial::Keys;
use super::*;
use crate::evidence::{Moment, Recorder};
use crate::net::{Endpoint, FlowKey, Timestamp, Transport};

const DRAFT_29: Version = Version(0xff00_001d);
const ID: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8];

/// A ClientHello that asks for `name` and offers `h3` and TLS 1.3.
fn client_hello(name: &str) -> Vec<u8> {
    let counted = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat();
    let extension = |kind: u16, body: &[u8]| [&kind.to_be_bytes()[..], &counted(body)].concat();
    let host = counted(&[&[0][..], &counted(name.as_bytes())].concat());
    let extensions = [
        extension(0, &host),
        extension(16, &[0, 3, 2, b'h', b'3']),
        extension(43, &[2, 3, 4]),
    ]
    .concat();
    let head = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0]].concat();
    handshake(1, &[&head[..], &counted(&extensions)].concat())
}

/// A ServerHello that chooses TLS 1.3 and TLS_AES_128_GCM_SHA256.
fn server_hello(random: &[u8; 32]) -> Vec<u8> {
    let body = [
        &[3, 3][..],
        random,
        &[0, 0x13, 1, 0, 0, 6, 0, 43, 0, 2, 3, 4],
    ];
    handshake(2, &body.concat())
}

fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 0, 0, body.len() as u8][..], body].concat()
}

/// A CRYPTO frame of less than 16,384 bytes.
fn crypto(offset: u16, bytes: &[u8]) -> Vec<u8> {
    let wide = |number: u16| (number | 0x4000).to_be_bytes();
    [&[6][..], &wide(offset), &wide(bytes.len() as u16), bytes].concat()
}

/// The header of an Initial packet up to the packet number.
fn header(version: Version, destination: &[u8], token: &[u8], frames: usize) -> Vec<u8> {
    let first = if version == Version::V2 { 0xd0 } else { 0xc0 };
    let mut out = vec![first];
    out.extend(version.0.to_be_bytes());
    out.push(destination.len() as u8);
    out.extend(destination);
    out.extend([2, 9, 9, token.len() as u8]);
    out.extend(token);
    // Two bytes of number, sixteen of tag.
    out.extend((0x4000 | (frames + 18) as u16).to_be_bytes());
    out
}

struct Link {
    keys: Keys,
    version: Version,
    id: &'static [u8],
    token: &'static [u8],
}

fn link(version: Version) -> Link {
    Link {
        keys: Keys::derive(version, ID, CLIENT).unwrap(),
        version,
        id: ID,
        token: b"",
    }
}

impl Link {
    /// A datagram with one Initial packet.
    fn packet(&self, side: Side, number: u8, frames: &[&[u8]]) -> Vec<u8> {
        let mut frames = frames.concat();
        frames.resize(frames.len().max(64), 0);
        // To the client goes the identifier that it chose for itself.
        let id = if side == CLIENT { self.id } else { &[9, 9] };
        let header = header(self.version, id, self.token, frames.len());
        self.keys.seal(side, &header, number, &frames)
    }
}

fn hellos(recorder: &Recorder) -> [Vec<String>; 3] {
    ["server_name", "alpn_offered", "cipher"].map(|name| values(recorder, "tls", name))
}

#[test]
fn the_hellos_of_both_sides_are_read_in_every_version() {
    for (version, name) in [
        (Version::V1, "1"),
        (Version::V2, "2"),
        (DRAFT_29, "draft-29"),
        (Version(0xff00_0022), "draft-34"),
    ] {
        let link = link(version);
        let there = link.packet(CLIENT, 0, &[&crypto(0, &client_hello("a.example"))]);
        let ack = [2, 0, 0, 0, 0];
        let back = link.packet(SERVER, 0, &[&ack, &crypto(0, &server_hello(&[5; 32]))]);
        let recorder = datagrams(&[(CLIENT, &there), (SERVER, &back)]);
        assert_eq!(protocols(&recorder), ["quic", "tls"], "{name}");
        assert_eq!(
            recorder
                .protocols
                .iter()
                .find(|(name, _)| **name == "tls")
                .unwrap()
                .1
                .depth,
            1
        );
        assert_eq!(recorder.client, Some(CLIENT));
        assert_eq!(
            values(&recorder, "quic", VERSION),
            [name, name],
            "both sides"
        );
        assert_eq!(
            hellos(&recorder),
            [["a.example"], ["h3"], ["TLS_AES_128_GCM_SHA256"]]
        );
        assert_eq!(values(&recorder, "tls", "server_version"), ["1.3"]);
        only_registered_attributes(&recorder, &[&QUIC, &tls::TLS]);
    }
}

#[test]
fn a_hello_in_pieces_of_any_order_over_several_packets_is_put_together() {
    let link = link(Version::V1);
    let hello = client_hello("pieces.example");
    let (one, rest) = hello.split_at(50);
    let (two, three) = rest.split_at(20);
    let packets = [
        link.packet(
            CLIENT,
            0,
            &[&crypto(70, three), &[1, 0, 0], &crypto(0, &one[..7])],
        ),
        link.packet(CLIENT, 1, &[&crypto(40, &[&one[40..], two].concat())]),
        link.packet(CLIENT, 2, &[&crypto(5, &one[5..45])]),
    ];
    let all: Vec<(Side, &[u8])> = packets.iter().map(|packet| (CLIENT, &packet[..])).collect();
    let recorder = datagrams(&all);
    assert_eq!(values(&recorder, "tls", "server_name"), ["pieces.example"]);
    assert_eq!(values(&recorder, "tls", "client_version"), ["1.3"]);
    // Without the last piece, the beginning proves TLS and says no name.
    let recorder = datagrams(&all[..2]);
    assert_eq!(protocols(&recorder), ["quic", "tls"]);
    assert!(values(&recorder, "tls", "server_name").is_empty());
}

#[test]
fn after_a_retry_the_keys_come_from_the_identifier_of_the_server() {
    let first = link(Version::V1);
    let id = &[7, 7, 7, 7];
    let second = Link {
        keys: Keys::derive(Version::V1, id, CLIENT).unwrap(),
        version: Version::V1,
        id,
        token: b"token",
    };
    let retry = [
        &[0xf0, 0, 0, 0, 1, 2, 9, 9, 4, 7, 7, 7, 7][..],
        b"token",
        &[0; 16],
    ]
    .concat();
    let hello = client_hello("retry.example");
    let recorder = datagrams(&[
        (CLIENT, &first.packet(CLIENT, 0, &[&crypto(0, &hello)])),
        (SERVER, &retry),
        (CLIENT, &second.packet(CLIENT, 1, &[&crypto(0, &hello)])),
        (
            SERVER,
            &Link {
                token: b"",
                ..second
            }
            .packet(SERVER, 0, &[&crypto(0, &server_hello(&[5; 32]))]),
        ),
    ]);
    assert_eq!(values(&recorder, "quic", RETRY), ["1"]);
    assert_eq!(
        hellos(&recorder),
        [["retry.example"], ["h3"], ["TLS_AES_128_GCM_SHA256"]]
    );
}

#[test]
fn a_server_that_changes_to_version_2_and_asks_again_is_followed() {
    let (one, two) = (link(Version::V1), link(Version::V2));
    let mut again = [5; 32];
    again[..8].copy_from_slice(&[0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11]);
    let (retry, hello) = (server_hello(&again), server_hello(&[5; 32]));
    let recorder = datagrams(&[
        (
            CLIENT,
            &one.packet(CLIENT, 0, &[&crypto(0, &client_hello("two.example"))]),
        ),
        (SERVER, &two.packet(SERVER, 0, &[&crypto(0, &retry)])),
        (
            CLIENT,
            &two.packet(CLIENT, 1, &[&crypto(200, &client_hello("two.example"))]),
        ),
        (
            SERVER,
            &two.packet(SERVER, 1, &[&crypto(retry.len() as u16, &hello)]),
        ),
    ]);
    assert_eq!(
        values(&recorder, "quic", VERSION),
        ["1", "2", "2"],
        "of the client, of both"
    );
    assert_eq!(values(&recorder, "tls", "server_version"), ["1.3"]);
    let seen: Vec<u64> = recorder
        .facts
        .iter()
        .filter(|(fact, _)| fact.attribute.name == "cipher")
        .map(|(_, seen)| seen.frame)
        .collect();
    assert_eq!(seen, [2]);
}

#[test]
fn a_server_may_clear_the_fixed_bit_where_the_client_is_known() {
    let link = link(Version::V2);
    let there = link.packet(CLIENT, 0, &[&crypto(0, &client_hello("a.example"))]);
    let mut frames = crypto(0, &server_hello(&[5; 32]));
    frames.resize(64, 0);
    let mut header = header(Version::V2, &[9, 9], b"", frames.len());
    header[0] &= !0x40;
    let back = link.keys.seal(SERVER, &header, 0, &frames);
    let recorder = datagrams(&[(CLIENT, &there), (SERVER, &back)]);
    assert_eq!(
        values(&recorder, "tls", "cipher"),
        ["TLS_AES_128_GCM_SHA256"]
    );
    assert!(protocols(&datagrams(&[(SERVER, &back)])).is_empty());
}

#[test]
fn a_cut_packet_of_the_client_still_gives_the_keys_of_the_server() {
    let link = link(Version::V1);
    let there = link.packet(CLIENT, 0, &[&crypto(0, &client_hello("cut.example"))]);
    let back = link.packet(SERVER, 0, &[&crypto(0, &server_hello(&[5; 32]))]);
    let recorder = play(&[
        (CLIENT, &there[..60], there.len()),
        (SERVER, &back, back.len()),
    ]);
    assert_eq!(protocols(&recorder), ["quic", "tls"]);
    assert_eq!(recorder.client, Some(CLIENT));
    assert_eq!(
        values(&recorder, "tls", "cipher"),
        ["TLS_AES_128_GCM_SHA256"]
    );
}

#[test]
fn what_cannot_be_opened_is_proved_by_its_header_alone() {
    let link = link(Version::V1);
    let server = link.packet(SERVER, 0, &[&crypto(0, &server_hello(&[5; 32]))]);
    let mvfst = [&header(Version(0xface_b001), ID, b"", 46)[..], &[0x5a; 64]].concat();
    let mut broken = link.packet(CLIENT, 0, &[&crypto(0, &client_hello("x.example"))]);
    *broken.last_mut().unwrap() ^= 1;
    for (packet, version) in [(server, "1"), (mvfst, "0xfaceb001"), (broken, "1")] {
        let recorder = datagrams(&[(CLIENT, &packet)]);
        assert_eq!(protocols(&recorder), ["quic"]);
        assert_eq!(values(&recorder, "quic", VERSION), [version]);
        assert_eq!(recorder.client, None);
    }
}

#[test]
fn version_negotiation_names_versions_and_the_client() {
    let packet = |versions: &[u32]| {
        let mut out = vec![0x85, 0, 0, 0, 0, 2, 9, 9, 1, 8];
        out.extend(versions.iter().flat_map(|version| version.to_be_bytes()));
        out
    };
    let recorder = datagrams(&[(SERVER, &packet(&[0x1a2a_3a4a, 1, 0x5130_3436]))]);
    assert_eq!(recorder.client, Some(CLIENT));
    assert_eq!(
        values(&recorder, "quic", VERSION_OFFERED),
        ["0x1a2a3a4a", "1", "Q046"]
    );
    for versions in [&[][..], &[0x1a2a_3a4a], &[1, 0x1234_5678]] {
        assert!(protocols(&datagrams(&[(SERVER, &packet(versions))])).is_empty());
    }
}

#[test]
fn headers_of_googles_own_versions_are_recognised() {
    let id = [1, 2, 3, 4, 5, 6, 7, 8];
    let public = [&[0x0d][..], &id, b"Q043\x01", &[3; 12], &[0xa0, 1]].concat();
    let refusal = [&[0x0d][..], &id, b"Q043Q039Q035"].concat();
    let long = [
        b"\xc3Q046\x50",
        &id[..],
        &[0, 0, 0, 1],
        &[3; 12],
        &[0xa0, 1],
    ]
    .concat();
    let answer = [
        b"\xc3Q046\x05",
        &id[..],
        &[0, 0, 0, 1],
        &[3; 12],
        &[0xa0, 1],
    ]
    .concat();
    for (bytes, client, version) in [
        (&public, CLIENT, "Q043"),
        (&refusal, SERVER, "Q043"),
        (&long, CLIENT, "Q046"),
        (&answer, SERVER, "Q046"),
    ] {
        let recorder = datagrams(&[(CLIENT, bytes)]);
        assert_eq!(protocols(&recorder), ["quic"]);
        assert_eq!(recorder.client, Some(client), "{version}");
        assert_eq!(values(&recorder, "quic", VERSION), [version]);
    }
    for bytes in [
        [&[0x0d][..], &id, b"R043\x01", &[3; 14]].concat(),
        [&[0x0d][..], &id, b"Q099\x01", &[3; 14]].concat(),
        [&[0x0f][..], &id, b"Q043\x01", &[3; 14]].concat(),
        [b"\xc3Q046\x11", &id[..], &[3; 20]].concat(),
        public[..20].to_vec(),
    ] {
        assert!(protocols(&datagrams(&[(CLIENT, &bytes)])).is_empty());
    }
}

#[test]
fn other_traffic_is_not_quic() {
    let good = [&header(Version::V1, ID, b"", 46)[..], &[0x5a; 64]].concat();
    assert_eq!(protocols(&datagrams(&[(CLIENT, &good)])), ["quic"]);
    let changed = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    for bytes in [
        changed(0, 0x80),
        changed(0, 0x40),
        changed(4, 3),
        changed(5, 21),
        // A length beyond the datagram, and one that is too short for a sample.
        changed(18, 0x7f),
        [&header(Version::V1, ID, b"", 1)[..], &[0x5a; 19]].concat(),
        // What follows is neither a packet nor padding.
        [&good[..], &[0x3f; 8]].concat(),
        b"\x80\x60\x00\x01\x00\x00\x00\xa0\x01\x02\x03\x04\xff\xff\xff\xff".to_vec(),
        b"\xfe\xfd\x00\x00\x00\x00\x00\x00".to_vec(),
    ] {
        assert!(
            protocols(&datagrams(&[(CLIENT, &bytes)])).is_empty(),
            "{bytes:02x?}"
        );
    }
}

#[test]
fn after_the_hellos_nothing_more_is_read() {
    let link = link(Version::V1);
    let hello = |name| link.packet(CLIENT, 0, &[&crypto(0, &client_hello(name))]);
    let back = link.packet(SERVER, 0, &[&crypto(0, &server_hello(&[5; 32]))]);
    let recorder = datagrams(&[
        (CLIENT, &hello("first.example")),
        (SERVER, &back),
        (CLIENT, &hello("second.example")),
    ]);
    assert_eq!(values(&recorder, "tls", "server_name"), ["first.example"]);
}

#[test]
fn frames_that_reach_too_far_are_left_out_and_broken_ones_end_the_packet() {
    let mut crypto_frames = Crypto::default();
    crypto_frames.frames(&crypto(16_383, b"ab"));
    crypto_frames.frames(&[6, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, b'a']);
    crypto_frames.frames(&[&[2, 0, 0, 63, 0][..], &crypto(0, b"lost")].concat());
    crypto_frames.frames(&[&[8][..], &crypto(0, b"lost")].concat());
    assert!(crypto_frames.whole().is_empty());
    crypto_frames.frames(&[&[3, 0, 0, 1, 0, 0, 0, 1, 1, 1][..], &crypto(0, b"kept")].concat());
    assert_eq!(crypto_frames.whole(), b"kept");
}

#[test]
fn every_cut_and_every_flipped_byte_is_survived() {
    let link = link(Version::V1);
    let there = link.packet(CLIENT, 0, &[&crypto(0, &client_hello("a.example"))]);
    for length in 0..there.len() {
        play(&[(CLIENT, &there[..length], length)]);
        let cut = play(&[(CLIENT, &there[..length], there.len())]);
        assert!(cut.protocols.keys().all(|name| *name != "tls"));
        let mut flipped = there.clone();
        flipped[length] ^= 0xff;
        let flipped = play(&[(CLIENT, &flipped, there.len())]);
        assert!(
            flipped.protocols.keys().all(|name| *name != "tls"),
            "byte {length}"
        );
    }
}

/// Plays datagrams that the snap length may have cut: side, bytes, length on the wire.
fn play(packets: &[(Side, &[u8], usize)]) -> Recorder {
    let mut recorder = Recorder::default();
    let mut flow = Datagrams::default();
    let one = Endpoint::new("10.0.0.1".parse().unwrap(), 40000);
    let other = Endpoint::new("10.0.0.2".parse().unwrap(), 443);
    for (side, bytes, wire_len) in packets {
        let moment = Moment {
            time: Timestamp::default(),
            frame: 1,
            key: FlowKey::of(Transport::UDP, one, other).0,
            side: *side,
        };
        let datagram = Datagram {
            bytes,
            wire_len: *wire_len,
        };
        flow.datagram(datagram, moment, &mut recorder);
    }
    recorder
}
