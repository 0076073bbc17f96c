//! Conversations from packets to judged flows: protocols on ports of others are named by their bytes, noise is named by nobody,
//! and the channels of RPC over HTTP are one connection.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    unreachable_pub,
    missing_docs,
    reason = "a test may panic"
)]

mod pipeline_support;

use std::collections::BTreeSet;

use etherparse::PacketBuilder;
use exwire::attribution::{Encrypted, JudgedFlow};
use exwire::evidence::Strength;
use exwire::net::Transport;
use exwire::signature::Ports;
use pipeline_support::{Frame, Random, Recording, chain, judge, scan, signatures};

const CLIENT: [u8; 4] = [10, 0, 0, 1];
const SERVER: [u8; 4] = [10, 0, 0, 2];

/// Whether the client sends it, and what.
type Spoken = (bool, Vec<u8>);

/// Flows of one recording, each from a port of its own, a millisecond between packets.
#[derive(Default)]
struct Talk {
    frames: Vec<Frame>,
    flows: u16,
}

impl Talk {
    fn push(&mut self, bytes: Vec<u8>) {
        self.frames.push(Frame {
            nanos: self.frames.len() as i64 * 1_000_000,
            wire_len: bytes.len() as u32,
            bytes,
        });
    }

    fn source(&mut self) -> u16 {
        self.flows += 1;
        10_000 + self.flows
    }

    /// A connection with its handshake. The port that it comes from.
    fn tcp(&mut self, port: u16, spoken: &[Spoken]) -> u16 {
        let from = self.source();
        let mut next = [1_000_u32, 9_000];
        let builder = |is_client: bool, next: &[u32; 2]| {
            let (source, target) = if is_client {
                (CLIENT, SERVER)
            } else {
                (SERVER, CLIENT)
            };
            let (one, other) = if is_client {
                (from, port)
            } else {
                (port, from)
            };
            PacketBuilder::ethernet2([2; 6], [4; 6])
                .ipv4(source, target, 64)
                .tcp(one, other, next[usize::from(!is_client)], 8192)
        };
        let write = |packet: etherparse::PacketBuilderStep<etherparse::TcpHeader>, bytes: &[u8]| {
            let mut out = Vec::new();
            packet.write(&mut out, bytes).unwrap();
            out
        };
        self.push(write(builder(true, &next).syn(), &[]));
        next[0] += 1;
        self.push(write(builder(false, &next).syn().ack(next[0]), &[]));
        next[1] += 1;
        for (is_client, bytes) in spoken {
            let acknowledged = next[usize::from(*is_client)];
            self.push(write(builder(*is_client, &next).ack(acknowledged), bytes));
            let own = usize::from(!is_client);
            next[own] += bytes.len() as u32;
        }
        from
    }

    /// Datagrams. The port that the client's come from.
    fn udp(&mut self, port: u16, spoken: &[Spoken]) -> u16 {
        let from = self.source();
        for (is_client, bytes) in spoken {
            let (source, target) = if *is_client {
                (CLIENT, SERVER)
            } else {
                (SERVER, CLIENT)
            };
            let (one, other) = if *is_client {
                (from, port)
            } else {
                (port, from)
            };
            let mut out = Vec::new();
            PacketBuilder::ethernet2([2; 6], [4; 6])
                .ipv4(source, target, 64)
                .udp(one, other)
                .write(&mut out, bytes)
                .unwrap();
            self.push(out);
        }
        from
    }

    fn judged(self) -> Vec<JudgedFlow> {
        let folder = tempfile::tempdir().unwrap();
        let recording = Recording {
            link: 1,
            frames: self.frames,
        };
        let file = recording.write(&folder.path().join("talk.pcap"));
        let signatures = signatures();
        let flows = judge(&scan(&[chain(&[file])], 1), &signatures).all();
        assert_eq!(flows.len(), usize::from(self.flows));
        flows
    }
}

/// The port, what is spoken there, and the verdict.
fn told((flow, attribution): &JudgedFlow) -> (u16, &'static str, &'static str) {
    let [protocol] = attribution.protocols[..] else {
        return (flow.server().port, "", attribution.verdict.word());
    };
    (flow.server().port, protocol, attribution.verdict.word())
}

fn asked(text: &str) -> Spoken {
    (true, text.replace('\n', "\r\n").into_bytes())
}

fn answered(text: &str) -> Spoken {
    (false, text.replace('\n', "\r\n").into_bytes())
}

fn http() -> Vec<Spoken> {
    vec![
        asked("GET / HTTP/1.1\nHost: www.example.com\n\n"),
        answered("HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
    ]
}

fn ssh() -> Vec<Spoken> {
    vec![
        answered("SSH-2.0-OpenSSH_9.6\n"),
        asked("SSH-2.0-PuTTY_Release_0.80\n"),
    ]
}

fn smtp() -> Vec<Spoken> {
    vec![
        answered("220 mail.example.com ESMTP ready\n"),
        asked("EHLO client.example.com\n"),
        answered("250-mail.example.com Hello\n250 SIZE 10240000\n"),
        asked("QUIT\n"),
        answered("221 bye\n"),
    ]
}

fn sip() -> Vec<Spoken> {
    let fields = "Via: SIP/2.0/TCP 10.0.0.1:10001;branch=z9hG4bK1\nFrom: <sip:a@example.com>;tag=1\nTo: <sip:a@example.com>\n\
                  Call-ID: 1@10.0.0.1\nCSeq: 1 REGISTER\nContent-Length: 0\n\n";
    vec![
        asked(&format!(
            "REGISTER sip:example.com SIP/2.0\nMax-Forwards: 70\n{fields}"
        )),
        answered(&format!("SIP/2.0 401 Unauthorized\n{fields}")),
    ]
}

fn dns() -> Vec<Spoken> {
    let question = b"\x04mail\x07example\x03com\0\0\x01\0\x01";
    let asked = [&b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0"[..], question].concat();
    let answer = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x07";
    let answered = [
        &b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0"[..],
        question,
        answer,
    ]
    .concat();
    vec![(true, asked), (false, answered)]
}

#[test]
fn a_protocol_is_named_on_the_port_of_another() {
    let mut talk = Talk::default();
    talk.tcp(25, &http());
    talk.tcp(443, &ssh());
    talk.tcp(50_636, &smtp());
    talk.tcp(5061, &sip());
    talk.udp(5000, &dns());
    talk.tcp(5001, &framed(dns()));
    talk.udp(3478, &dns());
    let flows = talk.judged();
    let told: Vec<_> = flows.iter().map(told).collect();
    assert_eq!(
        told,
        [
            (25, "http", "contradicted"),
            (443, "ssh", "contradicted"),
            (50_636, "smtp", "contradicted"),
            (5061, "sip", "documented"),
            (5000, "dns", "undocumented"),
            (5001, "dns", "undocumented"),
            (3478, "dns", "contradicted"),
        ]
    );
    // The row of 5061 is right, and what it asks for is not there.
    assert_eq!(flows[3].1.encryption.kind, Encrypted::None);
}

/// Ports that the matrix names, by transport; of a range both ends.
fn documented() -> BTreeSet<(Transport, u16)> {
    let signatures = signatures();
    let rows = signatures.matrix.rows();
    let mut ports = BTreeSet::new();
    for (row, port) in rows
        .iter()
        .flat_map(|row| row.ports.iter().map(move |port| (row, port)))
    {
        let ends = match port.ports {
            Ports::Single(port) => [port, port],
            Ports::Range(first, last) => [first, last],
            Ports::Dynamic(_) => continue,
        };
        for transport in [Transport::TCP, Transport::UDP] {
            let listed = ends.into_iter().filter(|end| row.lists(transport, *end));
            ports.extend(listed.map(|end| (transport, end)));
        }
    }
    ports
}

/// Bytes without any order.
fn noise(random: &mut Random) -> Vec<u8> {
    let length = 1 + random.below(600);
    (0..length).map(|_| random.below(256) as u8).collect()
}

/// Lines of words that nobody speaks.
fn babble(random: &mut Random) -> Vec<u8> {
    let mut text = Vec::new();
    for _ in 0..1 + random.below(6) {
        for _ in 0..1 + random.below(8) {
            let letters = 1 + random.below(9);
            text.extend((0..letters).map(|_| b'a' + random.below(26) as u8));
            text.push(b' ');
        }
        text.extend(b"\r\n");
    }
    text
}

/// Datagrams that begin as RTP does, and go on without its order.
fn like_media(random: &mut Random) -> Vec<u8> {
    let mut bytes = noise(random);
    bytes[0] = 0x80;
    bytes
}

#[test]
fn noise_on_a_documented_port_is_named_by_nobody() {
    let ports = documented();
    assert!(ports.len() > 60, "{}", ports.len());
    let mut random = Random(25);
    let kinds: [fn(&mut Random) -> Vec<u8>; 3] = [noise, babble, like_media];
    let mut talk = Talk::default();
    for (transport, port) in ports {
        for kind in kinds {
            let spoken: Vec<Spoken> = (0..2 + random.below(5))
                .map(|_| (random.below(2) == 0, kind(&mut random)))
                .collect();
            match transport {
                Transport::TCP => talk.tcp(port, &spoken),
                _ => talk.udp(port, &spoken),
            };
        }
    }
    for (flow, attribution) in talk.judged() {
        let (key, named) = (flow.key, &attribution.protocols);
        assert!(named.is_empty(), "{key:?}: {named:?}");
        let strength = attribution.strength;
        assert!(strength <= Some(Strength::Assumed), "{key:?}: {strength:?}");
    }
}

/// Messages behind their lengths.
fn framed(messages: Vec<Spoken>) -> Vec<Spoken> {
    let frame = |bytes: Vec<u8>| [&(bytes.len() as u16).to_be_bytes()[..], &bytes].concat();
    messages
        .into_iter()
        .map(|(is_client, bytes)| (is_client, frame(bytes)))
        .collect()
}

/// A PDU of RPC: its body behind the header.
fn pdu(kind: u8, call: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![5, 0, kind, 3, 0x10, 0, 0, 0];
    bytes.extend((16 + body.len() as u16).to_le_bytes());
    bytes.extend([0, 0]);
    bytes.extend(call.to_le_bytes());
    bytes.extend(body);
    bytes
}

/// Opens a channel of one virtual connection; the last commands tell which.
fn channel(commands: u16, last: &[u8]) -> Vec<u8> {
    let cookie = |fill: u8| [&[3, 0, 0, 0][..], &[fill; 16]].concat();
    let mut body = vec![0, 0];
    body.extend(commands.to_le_bytes());
    body.extend([6, 0, 0, 0, 1, 0, 0, 0]);
    body.extend([cookie(7), cookie(8), last.to_vec()].concat());
    pdu(20, 0, &body)
}

#[test]
fn a_call_of_rpc_over_http_is_timed_from_one_channel_to_the_other() {
    const STORE: [u8; 20] = [
        0x00, 0xdb, 0xf1, 0xa4, 0x47, 0xca, 0x67, 0x10, 0xb3, 0x1f, 0x00, 0xdd, 0x01, 0x06, 0x62,
        0xda, 0, 0, 0x51, 0,
    ];
    const NDR: [u8; 20] = [
        0x04, 0x5d, 0x88, 0x8a, 0xeb, 0x1c, 0xc9, 0x11, 0x9f, 0xe8, 0x08, 0x00, 0x2b, 0x10, 0x48,
        0x60, 2, 0, 0, 0,
    ];
    let head = |method: &str, length: u32| {
        asked(&format!(
            "{method} /rpc/rpcproxy.dll?10.0.0.9:6001 HTTP/1.1\nHost: mail.example.com\nContent-Length: {length}\n\n"
        ))
    };
    let sizes = [0xd0, 0x16, 0xd0, 0x16, 0, 0, 0, 0];
    let bind = [&sizes[..], &[1, 0, 0, 0, 0, 0, 1, 0], &STORE, &NDR].concat();
    let accepted = [
        &sizes[..],
        &[5, 0],
        b"6001\0\0",
        &[1, 0, 0, 0, 0, 0, 0, 0],
        &NDR,
    ]
    .concat();
    let opening = [
        4, 0, 0, 0, 0, 0, 0, 64, 5, 0, 0, 0, 0xe0, 0x93, 4, 0, 12, 0, 0, 0,
    ];
    let opening = channel(6, &[&opening[..], &[9; 16]].concat());
    let request = [&[0; 4][..], &[0, 0, 11, 0], &[1; 40]].concat();
    let response = [&[0; 4][..], &[0, 0, 0, 0], &[1; 40]].concat();
    let mut talk = Talk::default();
    talk.tcp(
        80,
        &[
            head("RPC_IN_DATA", 1 << 30),
            (true, opening),
            (true, pdu(11, 1, &bind)),
            (true, pdu(0, 2, &request)),
        ],
    );
    talk.tcp(
        80,
        &[
            head("RPC_OUT_DATA", 76),
            (true, channel(4, &[0, 0, 0, 0, 0, 0, 1, 0])),
            answered("HTTP/1.1 200 Success\nContent-Type: application/rpc\nContent-Length: 1073741824\n\n"),
            (false, pdu(20, 0, &[0, 0, 1, 0, 2, 0, 0, 0, 0xc0, 0xd4, 1, 0])),
            (false, pdu(12, 1, &accepted)),
            (false, pdu(2, 2, &response)),
        ],
    );
    let flows = talk.judged();
    for (_, attribution) in &flows {
        assert_eq!(attribution.protocols, ["http", "dcerpc"]);
        assert_eq!(attribution.rpc.len(), 1);
        assert_eq!(attribution.rpc[0].accepted, Some(true));
    }
    let [asks, answers] = [&flows[0].1.rpc[0], &flows[1].1.rpc[0]];
    let called: Vec<u64> = asks.operations.iter().map(|called| called.number).collect();
    assert_eq!(called, [11]);
    assert_eq!((asks.answered, asks.slowest_us), (None, None));
    // Eight packets lie between, a millisecond each.
    assert_eq!(
        (answers.answered, answers.slowest_us),
        (Some(1), Some(10_000))
    );
}
