//! From a capture on disk to its records: whole runs, and each stage of them.
//!
//! The captures are made by the generator of `examples/traffic`, written to a temporary folder, so that reading is from the page
//! cache.
#![allow(clippy::unwrap_used, reason = "a bench may panic")]

#[path = "../examples/traffic/generator/mod.rs"]
#[allow(dead_code, unused_imports, reason = "a bench needs only some of it")]
mod traffic;

use std::fs;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use exwire::attribution::Judged;
use exwire::audit::{Finding, audit};
use exwire::capture::{Block, Chain, Grouping, Input, Options, Packet, Reader, plan};
use exwire::evidence::Ledger;
use exwire::protocol::PROTOCOLS;
use exwire::report::{FlowRecord, Format, Style, Writer};
use exwire::scan::{self, Scanned};
use exwire::signature::{Overrides, Signatures, Vocabulary};
use exwire::topology::Topology;
use exwire::wire::{Dissector, Limits};
use tempfile::NamedTempFile;
use traffic::{Extent, Kind, generate};

/// Packets of each capture: enough that starting does not count.
const PACKETS: u64 = 50_000;
const SEED: u64 = 1;

fn main() {
    divan::main();
}

const ALL: [Kind; 6] = [
    Kind::OfficeMix,
    Kind::ExchangeSite,
    Kind::CallCentre,
    Kind::Bulk,
    Kind::SmallPackets,
    Kind::SynFlood,
];

/// A capture on disk, with what is needed to judge it.
struct Case {
    chains: Vec<Chain>,
    signatures: Signatures,
    topology: Topology,
    packets: u64,
    bytes: u64,
    _file: NamedTempFile,
}

impl Case {
    fn new(kind: Kind) -> Self {
        let mut pcap = Vec::new();
        let made = generate(kind, Extent::Packets(PACKETS), 0, SEED, &mut pcap).unwrap();
        let file = NamedTempFile::new().unwrap();
        fs::write(file.path(), &pcap).unwrap();
        let known: Vec<(&str, &[&str])> = PROTOCOLS
            .iter()
            .map(|protocol| (protocol.name, protocol.attributes))
            .collect();
        let vocabulary = Vocabulary { protocols: &known };
        Self {
            chains: plan(&[Input::Path(file.path().to_owned())], Grouping::Separate)
                .unwrap()
                .chains,
            signatures: Signatures::load(&Overrides::default(), &vocabulary).unwrap(),
            topology: Topology::default(),
            packets: made.packets,
            bytes: made.bytes,
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
        assert_eq!(scanned.packets, self.packets);
        scanned
    }

    fn ledger(&self) -> Ledger {
        self.scan(1).ledger
    }

    fn judge(&self, ledger: Ledger) -> Judged<'_> {
        Judged::of(ledger, &self.signatures, &self.topology)
    }

    fn audit(&self, judged: &Judged<'_>) -> Vec<Finding> {
        audit(judged, &self.signatures, &self.topology)
    }

    /// What is measured, in packets and bytes of the capture.
    fn counted<'a, 'b>(&self, bencher: Bencher<'a, 'b>) -> Bencher<'a, 'b> {
        bencher
            .counter(ItemsCount::new(self.packets))
            .counter(BytesCount::new(self.bytes))
    }

    fn packets(&self, mut visit: impl FnMut(&Packet<'_>)) {
        for chain in &self.chains {
            let mut reader = Reader::open(chain, &Options::default()).unwrap();
            let mut block = Block::new();
            while reader.fill(&mut block).unwrap() {
                block.packets().for_each(|packet| visit(&packet));
            }
        }
    }
}

fn write(judged: &Judged<'_>, format: Format) -> Vec<u8> {
    let mut out = Vec::new();
    let style = Style {
        width: 120,
        colour: false,
    };
    let mut writer = Writer::new::<FlowRecord<'_>>(format, style, &mut out).unwrap();
    let written = judged
        .try_for_each(|flow, attribution| writer.push(&FlowRecord::new(flow, attribution, &[])));
    written.and_then(|()| writer.finish()).unwrap();
    out
}

/// Everything, on one thread.
#[divan::bench(args = ALL)]
fn whole_run(bencher: Bencher<'_, '_>, kind: Kind) {
    let case = Case::new(kind);
    case.counted(bencher).bench_local(|| {
        let judged = case.judge(case.ledger());
        (case.audit(&judged), write(&judged, Format::Jsonl))
    });
}

#[divan::bench(args = ALL)]
fn stage_1_frame(bencher: Bencher<'_, '_>, kind: Kind) {
    let case = Case::new(kind);
    case.counted(bencher).bench_local(|| {
        let mut bytes = 0;
        case.packets(|packet| bytes += packet.bytes.len());
        bytes
    });
}

/// Framing, and the layers of each packet with their checksums.
#[divan::bench(args = ALL)]
fn stage_2_dissect(bencher: Bencher<'_, '_>, kind: Kind) {
    let case = Case::new(kind);
    case.counted(bencher).bench_local(|| {
        let mut dissector = Dissector::new(Limits {
            verify_checksums: true,
            ..Limits::default()
        });
        let mut payload = 0;
        case.packets(|packet| {
            let layers = dissector.dissect(packet.time, packet.link, packet.bytes, packet.wire_len);
            payload += layers.payload.len();
        });
        payload
    });
}

/// Framing, dissecting, flows, reassembly, decoders: all that makes a ledger.
#[divan::bench(args = ALL)]
fn stage_3_scan(bencher: Bencher<'_, '_>, kind: Kind) {
    let case = Case::new(kind);
    case.counted(bencher).bench_local(|| case.scan(1));
}

#[divan::bench(args = ALL)]
fn stage_3_scan_on_two_threads(bencher: Bencher<'_, '_>, kind: Kind) {
    let case = Case::new(kind);
    case.counted(bencher).bench_local(|| case.scan(2));
}

/// Two captures of the same, as of two taps: nothing is new, and all must be compared.
#[divan::bench(args = ALL)]
fn stage_4_merge(bencher: Bencher<'_, '_>, kind: Kind) {
    let case = Case::new(kind);
    let ledger = case.ledger();
    case.counted(bencher)
        .with_inputs(|| [ledger.clone(), ledger.clone()])
        .bench_local_values(Ledger::union);
}

#[divan::bench(args = ALL)]
fn stage_5_attribute(bencher: Bencher<'_, '_>, kind: Kind) {
    let case = Case::new(kind);
    let ledger = case.ledger();
    case.counted(bencher)
        .with_inputs(|| ledger.clone())
        .bench_local_values(|ledger| case.judge(ledger).len());
}

#[divan::bench(args = ALL)]
fn stage_6_audit(bencher: Bencher<'_, '_>, kind: Kind) {
    let case = Case::new(kind);
    let judged = case.judge(case.ledger());
    case.counted(bencher).bench_local(|| case.audit(&judged));
}

/// Each format, for the flows of the office.
#[divan::bench(args = Format::ALL)]
fn stage_7_write(bencher: Bencher<'_, '_>, format: Format) {
    let case = Case::new(Kind::OfficeMix);
    if format.is_available() {
        let judged = case.judge(case.ledger());
        case.counted(bencher).bench_local(|| write(&judged, format));
    }
}

/// Lines of a SYN flood, where each packet is a record.
#[divan::bench]
fn stage_7_write_a_flood(bencher: Bencher<'_, '_>) {
    let case = Case::new(Kind::SynFlood);
    let judged = case.judge(case.ledger());
    case.counted(bencher)
        .bench_local(|| write(&judged, Format::Jsonl));
}
