//! From a capture on disk to JSON lines: whole runs, and each stage of them.
//!
//! Three captures, made here: an office (the samples again and again, each time from other addresses), one bulk
//! transfer, and a SYN flood. They are written to a temporary folder, so reading is from the page cache.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a bench may panic"
)]

use std::fs;
use std::ops::Range;
use std::path::Path;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use exwire::attribution::Judged;
use exwire::audit::{Finding, audit};
use exwire::capture::{Block, Chain, Grouping, Input, Options, Reader, plan};
use exwire::protocol::PROTOCOLS;
use exwire::report::{FlowRecord, Format, Style, Writer};
use exwire::scan::{self, Scanned};
use exwire::signature::{Overrides, Signatures, Vocabulary};
use exwire::topology::Topology;
use tempfile::NamedTempFile;

/// Packets of each capture, about: enough that starting does not count.
const PACKETS: usize = 50_000;
/// The samples that the office is made of; all are pcap files of Ethernet frames with IPv4.
const SAMPLES: [&str; 3] = [
    "exchange2010-site.pcap",
    "perimeter-unhealthy.pcap",
    "um-lync-calls.pcap",
];
/// Ethernet header.
const ETHERNET: usize = 14;
/// IPv4 header without options.
const IPV4: usize = 20;
/// Payload of a full segment.
const SEGMENT: usize = 1460;
/// Segments that one acknowledgment is for (RFC 9293 §3.8.6.3).
const ACKED: u32 = 2;

fn main() {
    divan::main();
}

/// What a capture is full of.
#[derive(Clone, Copy, Debug)]
enum Traffic {
    Office,
    Bulk,
    SynFlood,
}

const ALL: [Traffic; 3] = [Traffic::Office, Traffic::Bulk, Traffic::SynFlood];

/// A pcap file that grows.
#[derive(Default)]
struct Pcap {
    bytes: Vec<u8>,
    packets: usize,
}

impl Pcap {
    fn push(&mut self, nanos: i64, frame: &[u8]) {
        if self.bytes.is_empty() {
            for word in [0xa1b2_3c4d, 0x0004_0002, 0, 0, 262_144, 1_u32] {
                self.bytes.extend(word.to_le_bytes());
            }
        }
        let (second, length) = (1_000_000_000, frame.len() as u32);
        for word in [
            (nanos / second) as u32,
            (nanos % second) as u32,
            length,
            length,
        ] {
            self.bytes.extend(word.to_le_bytes());
        }
        self.bytes.extend(frame);
        self.packets += 1;
    }

    fn of(traffic: Traffic) -> Self {
        match traffic {
            Traffic::Office => office(),
            Traffic::Bulk => bulk(),
            Traffic::SynFlood => syn_flood(),
        }
    }
}

/// A capture on disk, with what is needed to judge it.
struct Case {
    chains: Vec<Chain>,
    signatures: Signatures,
    topology: Topology,
    packets: usize,
    bytes: usize,
    _file: NamedTempFile,
}

impl Case {
    fn new(traffic: Traffic) -> Self {
        let pcap = Pcap::of(traffic);
        let file = NamedTempFile::new().unwrap();
        fs::write(file.path(), &pcap.bytes).unwrap();
        let known: Vec<(&str, &[&str])> = PROTOCOLS
            .iter()
            .map(|protocol| (protocol.name, protocol.attributes))
            .collect();
        let vocabulary = Vocabulary { protocols: &known };
        Self {
            chains: chains(file.path()),
            signatures: Signatures::load(&Overrides::default(), &vocabulary).unwrap(),
            topology: Topology::default(),
            packets: pcap.packets,
            bytes: pcap.bytes.len(),
            _file: file,
        }
    }

    fn scan(&self, threads: usize) -> Scanned {
        let options = scan::Options {
            threads,
            filter: None,
            memory_limit: None,
        };
        let scanned = scan::scan(&self.chains, &options, &()).unwrap();
        assert_eq!(scanned.packets, self.packets as u64);
        scanned
    }

    fn judge(&self, scanned: &Scanned) -> Judged<'_> {
        Judged::of(scanned.ledger.clone(), &self.signatures, &self.topology)
    }

    fn audit(&self, judged: &Judged<'_>) -> Vec<Finding> {
        audit(judged, &self.signatures, &self.topology)
    }

    /// Measures `stage`, in packets and bytes of the capture.
    fn bench<T>(&self, bencher: Bencher<'_, '_>, stage: impl Fn() -> T) {
        bencher
            .counter(ItemsCount::new(self.packets))
            .counter(BytesCount::new(self.bytes))
            .bench_local(stage);
    }
}

fn chains(path: &Path) -> Vec<Chain> {
    plan(&[Input::Path(path.to_owned())], Grouping::Separate)
        .unwrap()
        .chains
}

fn json_lines(judged: &Judged<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let style = Style {
        width: 80,
        colour: false,
    };
    let mut writer = Writer::new::<FlowRecord<'_>>(Format::Jsonl, style, &mut out).unwrap();
    let written = judged
        .try_for_each(|flow, attribution| writer.push(&FlowRecord::new(flow, attribution, &[])));
    written.and_then(|()| writer.finish()).unwrap();
    out
}

/// Everything, on one thread.
#[divan::bench(args = ALL)]
fn whole_run(bencher: Bencher<'_, '_>, traffic: Traffic) {
    let case = Case::new(traffic);
    case.bench(bencher, || {
        let judged = case.judge(&case.scan(1));
        (case.audit(&judged), json_lines(&judged))
    });
}

#[divan::bench(args = ALL)]
fn stage_1_scan(bencher: Bencher<'_, '_>, traffic: Traffic) {
    let case = Case::new(traffic);
    case.bench(bencher, || case.scan(1));
}

#[divan::bench(args = ALL)]
fn stage_1_scan_on_two_threads(bencher: Bencher<'_, '_>, traffic: Traffic) {
    let case = Case::new(traffic);
    case.bench(bencher, || case.scan(2));
}

#[divan::bench(args = ALL)]
fn stage_2_judge(bencher: Bencher<'_, '_>, traffic: Traffic) {
    let case = Case::new(traffic);
    let scanned = case.scan(1);
    case.bench(bencher, || case.judge(&scanned));
}

#[divan::bench(args = ALL)]
fn stage_3_audit(bencher: Bencher<'_, '_>, traffic: Traffic) {
    let case = Case::new(traffic);
    let judged = case.judge(&case.scan(1));
    case.bench(bencher, || case.audit(&judged));
}

#[divan::bench(args = ALL)]
fn stage_4_json_lines(bencher: Bencher<'_, '_>, traffic: Traffic) {
    let case = Case::new(traffic);
    let judged = case.judge(&case.scan(1));
    case.bench(bencher, || json_lines(&judged));
}

/// The samples one after the other, until there are enough packets, each round between other addresses. Addresses
/// inside messages stay what they are, so that offers of later rounds speak of the hosts of the first.
fn office() -> Pcap {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    let mut recordings: Vec<Vec<(i64, Vec<u8>)>> = Vec::new();
    for name in SAMPLES {
        let [chain] = &chains(&folder.join(name))[..] else {
            unreachable!("one file is one chain");
        };
        let mut reader = Reader::open(chain, &Options::default()).unwrap();
        let (mut block, mut frames) = (Block::new(), Vec::new());
        while reader.fill(&mut block).unwrap() {
            let packets = block.packets();
            frames.extend(packets.map(|packet| (packet.time.nanos(), packet.bytes.to_vec())));
        }
        recordings.push(frames);
    }
    let (mut pcap, mut clock) = (Pcap::default(), 0);
    for round in 0..=u8::MAX {
        for frames in &recordings {
            let start = clock;
            for (nanos, frame) in frames {
                let mut frame = frame.clone();
                shift_addresses(&mut frame, round);
                clock = start + nanos - frames[0].0;
                pcap.push(clock, &frame);
            }
        }
        if pcap.packets >= PACKETS {
            return pcap;
        }
    }
    unreachable!("256 rounds are enough");
}

/// Moves both addresses of a frame to networks `by` further on, and keeps its checksums true (RFC 1624).
fn shift_addresses(frame: &mut [u8], by: u8) {
    let ip = ETHERNET + if frame[12..14] == [0x81, 0] { 4 } else { 0 };
    let (protocol, transport, networks) = match frame[ip] >> 4 {
        4 => (frame[ip + 9], ip + IPV4, [ip + 12, ip + 16]),
        6 => (frame[ip + 6], ip + 40, [ip + 12, ip + 28]),
        _ => return,
    };
    let header = (frame[ip] >> 4 == 4).then_some(ip + 10);
    let pseudo = match protocol {
        6 => Some(transport + 16),
        17 => Some(transport + 6),
        _ => None,
    };
    for network in networks {
        let before = word(frame, network);
        frame[network + 1] = frame[network + 1].wrapping_add(by);
        let change = u32::from(!before) + u32::from(word(frame, network));
        for checksum in header.into_iter().chain(pseudo) {
            let sum = fold(u32::from(!word(frame, checksum)) + change);
            frame[checksum..checksum + 2].copy_from_slice(&(!sum).to_be_bytes());
        }
    }
}

fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn fold(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    ((sum & 0xffff) + (sum >> 16)) as u16
}

/// One long HTTP download.
fn bulk() -> Pcap {
    let (client, server) = (([10, 0, 0, 1], 50_000), ([10, 0, 0, 2], 80));
    let segments = PACKETS as u32 * ACKED / (ACKED + 1);
    let request = b"GET /oab/full.lzx HTTP/1.1\r\nHost: mail.example.com\r\n\r\n";
    let length = segments as usize * SEGMENT;
    let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    let (asked, told) = (1 + request.len() as u32, 1 + response.len() as u32);
    let mut pcap = Pcap::default();
    pcap.push(0, &segment(client, server, [0, 0], SYN, b""));
    pcap.push(1_000_000, &segment(server, client, [0, 1], SYN | ACK, b""));
    pcap.push(2_000_000, &segment(client, server, [1, 1], ACK, request));
    let first = segment(server, client, [1, asked], ACK, response.as_bytes());
    pcap.push(3_000_000, &first);
    for number in 0..segments {
        let sequence = told + number * SEGMENT as u32;
        let nanos = 4_000_000 + i64::from(number) * 12_000;
        let data = segment(server, client, [sequence, asked], ACK, &[0x5a; SEGMENT]);
        pcap.push(nanos, &data);
        if number % ACKED == 1 {
            let given = sequence + SEGMENT as u32;
            pcap.push(
                nanos + 1,
                &segment(client, server, [asked, given], ACK, b""),
            );
        }
    }
    pcap
}

/// A SYN from everywhere to one port, never answered.
fn syn_flood() -> Pcap {
    let mut pcap = Pcap::default();
    for number in 0..PACKETS as u32 {
        let client = ((0x0b00_0000 + number * 7).to_be_bytes(), 1024);
        let frame = segment(client, ([10, 0, 0, 2], 443), [number, 0], SYN, b"");
        pcap.push(i64::from(number) * 10_000, &frame);
    }
    pcap
}

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// A frame with one TCP segment; `numbers` are sequence and acknowledgment.
fn segment(
    source: ([u8; 4], u16),
    destination: ([u8; 4], u16),
    numbers: [u32; 2],
    flags: u8,
    payload: &[u8],
) -> Vec<u8> {
    let length = (IPV4 + 20 + payload.len()) as u16;
    let mut frame = vec![2; 12];
    frame.extend([0x08, 0, 0x45, 0]);
    frame.extend(length.to_be_bytes());
    frame.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
    frame.extend(source.0);
    frame.extend(destination.0);
    frame.extend(source.1.to_be_bytes());
    frame.extend(destination.1.to_be_bytes());
    frame.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
    frame.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    frame.extend(payload);
    let ip = ETHERNET..ETHERNET + IPV4;
    let header = sum(&frame, ip.clone());
    frame[ip.start + 10..ip.start + 12].copy_from_slice(&(!fold(header)).to_be_bytes());
    // The pseudo header: addresses, protocol and length (RFC 9293 §3.1).
    let pseudo = sum(&frame, ip.start + 12..ip.end) + 6 + u32::from(length) - IPV4 as u32;
    let whole = sum(&frame, ip.end..frame.len());
    let checksum = !fold(u32::from(fold(pseudo)) + u32::from(fold(whole)));
    frame[ip.end + 16..ip.end + 18].copy_from_slice(&checksum.to_be_bytes());
    frame
}

fn sum(bytes: &[u8], range: Range<usize>) -> u32 {
    let words = bytes[range].chunks(2);
    words
        .map(|word| (u32::from(word[0]) << 8) | word.get(1).map_or(0, |&low| u32::from(low)))
        .sum()
}
