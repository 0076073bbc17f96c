use std::collections::BTreeMap;
use std::sync::Arc;

use super::share::{Dealt, LANES, Share};
use super::worker::{Bounds, Finished, Names, Worker};
use crate::capture::{Options, Reader};
use crate::evidence::{Ledger, Store};
use crate::wire::Counters;

const SERVER: [u8; 4] = [192, 0, 2, 1];
const SYN: u8 = 2;
const ACK: u8 = 16;

/// An IPv4 packet without checksum.
fn packet(protocol: u8, source: [u8; 4], destination: [u8; 4], transport: &[u8]) -> Vec<u8> {
    let length = 20 + transport.len() as u16;
    let [high, low] = length.to_be_bytes();
    let mut bytes = vec![0x45, 0, high, low, 0, 1, 0, 0, 64, protocol, 0, 0];
    bytes.extend(source);
    bytes.extend(destination);
    bytes.extend(transport);
    bytes
}

fn segment(source: [u8; 4], port: u16, sequence: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    packet(
        6,
        source,
        SERVER,
        &tcp([port, 25], sequence, flags, payload),
    )
}

fn tcp(ports: [u16; 2], sequence: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut tcp = ports.map(u16::to_be_bytes).concat();
    tcp.extend(sequence.to_be_bytes());
    tcp.extend([0, 0, 0, 0, 0x50, flags, 0x20, 0, 0, 0, 0, 0]);
    tcp.extend(payload);
    tcp
}

/// A fragment of a datagram of which no other comes.
fn fragment(number: u16) -> Vec<u8> {
    let mut bytes = packet(17, [10, 9, 0, 1], SERVER, &[0; 64]);
    bytes[4..6].copy_from_slice(&number.to_be_bytes());
    bytes[6] = 0x20;
    bytes
}

/// A flood: SYNs from everywhere to one port, each answered with an ICMP error; streams with holes that nobody acknowledges;
/// fragments without end.
fn flood() -> Vec<u8> {
    let mut packets = Vec::new();
    for number in 0..3_000_u16 {
        let [high, low] = number.to_be_bytes();
        let attacker = [10, 0, high, low];
        let syn = segment(attacker, 1024 + number, 7, SYN, &[]);
        let mut error = vec![3, 3, 0, 0, 0, 0, 0, 0];
        error.extend(&syn);
        packets.push(syn);
        packets.push(packet(1, SERVER, attacker, &error));
        // Beyond a hole of one byte each.
        let sequence = 9 + 101 * u32::from(number / 16);
        packets.push(segment(
            [10, 1, 0, low & 15],
            9,
            sequence,
            ACK,
            &[b'x'; 100],
        ));
        packets.push(fragment(number));
    }
    file(&packets)
}

/// A capture of IP packets, ten milliseconds apart.
fn file(packets: &[Vec<u8>]) -> Vec<u8> {
    let mut file = [
        0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0,
    ]
    .to_vec();
    for (number, bytes) in packets.iter().enumerate() {
        let (time, micros) = (
            1_700_000_000 + number as u32 / 100,
            number as u32 % 100 * 10_000,
        );
        let length = bytes.len() as u32;
        for word in [time, micros, length, length] {
            file.extend(word.to_le_bytes());
        }
        file.extend(bytes);
    }
    file
}

/// What so many workers see, and how each counter adds up.
fn shared(
    file: &[u8],
    workers: usize,
    bounds: Bounds,
) -> (Ledger, BTreeMap<&'static str, u64>, Counters) {
    let names = Names {
        tap: "flood".into(),
        files: ["flood".into()].into(),
    };
    let store = Arc::new(Store::default());
    let new = |index| Worker::new(&names, Share { index, of: workers }, bounds, &store);
    let mut running: Vec<Worker> = (0..workers).map(new).collect();
    let file = std::io::Cursor::new(file.to_vec());
    let mut reader = Reader::from_stream(file, "flood", &Options::default()).unwrap();
    let mut dealt = Dealt::default();
    while reader.fill(&mut dealt.block).unwrap() {
        dealt.deal();
        for worker in &mut running {
            match workers {
                1 => worker.scan(&dealt.block),
                _ => worker.scan_share(&dealt),
            }
        }
    }
    let (mut ledgers, mut sums) = (Vec::new(), BTreeMap::new());
    let mut counters = Counters::default();
    for Finished {
        ledger,
        left_out,
        counters: counted,
        ..
    } in running.into_iter().map(Worker::finish)
    {
        ledgers.push(ledger);
        counters.merge(&counted);
        for (counter, count) in left_out {
            *sums.entry(counter).or_default() += count;
        }
    }
    (Ledger::union(ledgers), sums, counters)
}

#[test]
fn what_bounds_leave_out_is_counted_and_the_same_for_any_number_of_workers() {
    let file = flood();
    let bounds = Bounds {
        flows: 40,
        held_bytes: 10_000,
        quoted: 20,
        ..Bounds::default()
    };
    let (ledger, left_out, counters) = shared(&file, 1, bounds);
    for counter in [
        "flows_evicted",
        "icmp_errors_left_out",
        "reassembly_given_up",
    ] {
        assert!(
            left_out.get(counter).is_some_and(|&count| count > 0),
            "{counter}"
        );
    }
    assert!(ledger.icmp_errors().len() <= LANES * bounds.quoted);
    assert_eq!(counters.packets, 12_000);
    assert!(counters.fragments.evicted + counters.fragments.expired + 4096 >= 3_000);
    for workers in [2, 3, 8] {
        let many = shared(&file, workers, bounds);
        assert!(many.0 == ledger, "{workers} workers see another");
        assert_eq!(
            (many.1, many.2),
            (left_out.clone(), counters),
            "{workers} workers"
        );
    }
}

/// What one worker sees, and how many flows it let go early.
fn alone(file: &[u8], bounds: Bounds) -> (Ledger, u64) {
    let (ledger, left_out, _) = shared(file, 1, bounds);
    let evicted = left_out.get("flows_evicted").copied().unwrap_or_default();
    (ledger, evicted)
}

#[test]
fn what_rests_between_its_packets_is_the_same_as_what_does_not() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/samples");
    let files = std::fs::read_dir(folder).unwrap();
    let paths = files.map(|entry| entry.unwrap().path());
    let is_capture = |path: &std::path::PathBuf| path.to_string_lossy().contains(".pcap");
    let captures = paths
        .filter(is_capture)
        .map(|path| std::fs::read(path).unwrap());
    let mut count = 0;
    for file in captures.chain([flood()]) {
        let with = |rest| {
            alone(
                &file,
                Bounds {
                    rest,
                    ..Bounds::default()
                },
            )
        };
        let (awake, resting) = (with(i64::MAX), with(0));
        assert!(awake == resting, "a flow that rested is another");
        count += 1;
    }
    assert!(count > 4, "{count} captures");
}

#[test]
fn what_live_flows_hold_is_bounded_and_the_same_for_any_number_of_workers() {
    let file = flood();
    let bounds = Bounds {
        live_bytes: 20_000,
        ..Bounds::default()
    };
    let (ledger, left_out, counters) = shared(&file, 1, bounds);
    // Some hundred bytes each: the lanes held a few dozen.
    let evicted = left_out.get("flows_evicted").copied().unwrap_or_default();
    assert!((5_000..6_000).contains(&evicted), "{evicted}");
    for workers in [2, 8] {
        let many = shared(&file, workers, bounds);
        assert!(many.0 == ledger, "{workers} workers see another");
        assert_eq!(
            (many.1, many.2),
            (left_out.clone(), counters),
            "{workers} workers"
        );
    }
}

#[test]
fn a_flow_that_is_larger_than_the_bound_goes_itself() {
    let bounds = Bounds {
        live_bytes: 1,
        ..Bounds::default()
    };
    let (ledger, evicted) = alone(&flood(), bounds);
    assert!(evicted > 6_000, "{evicted}");
    assert!(ledger.episodes().count() > 6_000);
}

#[test]
fn a_flood_within_the_bounds_leaves_nothing_out() {
    let (ledger, left_out, _) = shared(&flood(), 2, Bounds::default());
    assert_eq!(left_out, BTreeMap::new());
    assert_eq!(ledger.icmp_errors().len(), 3_000);
}

#[test]
fn a_fact_names_the_packet_that_holds_it_where_data_waited() {
    // No SYN, and nobody acknowledges: three segments settle where the stream starts. The fifth comes before the fourth.
    let requests = ["/one", "/two", "/three", "/four", "/five"];
    let text = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\n");
    let mut sequence = 1000;
    let mut packets = Vec::new();
    for path in requests {
        let request = text(path);
        packets.push(segment(
            [10, 0, 0, 1],
            4000,
            sequence,
            ACK,
            request.as_bytes(),
        ));
        sequence += request.len() as u32;
    }
    packets.swap(3, 4);
    let (ledger, ..) = shared(&file(&packets), 1, Bounds::default());
    let episode = ledger.episodes().next().unwrap();
    let mut seen: Vec<(String, u64)> = episode
        .facts
        .iter()
        .filter_map(|(fact, seen)| Some((fact.value.as_text()?.to_owned(), seen.frame)))
        .filter(|(text, _)| text.starts_with('/'))
        .collect();
    seen.sort_by_key(|(_, frame)| *frame);
    let expected = [
        ("/one", 1),
        ("/two", 2),
        ("/three", 3),
        ("/five", 4),
        ("/four", 5),
    ];
    assert_eq!(seen, expected.map(|(path, frame)| (path.to_owned(), frame)));
}

#[test]
fn a_greeting_that_only_its_answer_explains_is_told_of_its_own_packet() {
    let client = [10, 0, 0, 1];
    let greeting = tcp([25, 4000], 501, ACK, b"220 ready\r\n");
    let packets = [
        segment(client, 4000, 99, SYN, &[]),
        packet(6, SERVER, client, &tcp([25, 4000], 500, SYN | ACK, &[])),
        packet(6, SERVER, client, &greeting),
        segment(client, 4000, 100, ACK, b"EHLO a.example\r\n"),
    ];
    let (ledger, ..) = shared(&file(&packets), 1, Bounds::default());
    let episode = ledger.episodes().next().unwrap();
    let told = |text: &str| {
        let mut facts = episode.facts.iter();
        let found =
            facts.find(|(fact, _)| fact.value.as_text().is_some_and(|it| it.contains(text)));
        found.map(|(_, seen)| seen.frame)
    };
    assert_eq!((told("ready"), told("a.example")), (Some(3), Some(4)));
}
