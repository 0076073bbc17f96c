//! Captures with short snap lengths: nothing breaks, volumes stay those of the wire, and nothing new is named.
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

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use exwire::evidence::Ledger;
use exwire::net::FlowKey;
use pipeline_support::{Recording, chain, judge, samples, scan, signatures};

const SNAPS: [usize; 13] = [0, 1, 14, 20, 34, 42, 54, 60, 68, 96, 128, 200, 256];

/// Link, tunnel, network and transport headers of any packet of the samples end before this.
const HEADERS: usize = 128;

/// Packets and bytes of each flow, both directions together.
fn volumes(ledger: &Ledger) -> BTreeMap<FlowKey, (u64, u64)> {
    let mut volumes: BTreeMap<FlowKey, (u64, u64)> = BTreeMap::new();
    for episode in ledger.episodes() {
        let (packets, bytes) = volumes.entry(episode.key).or_default();
        *packets += episode.tracker.packets.a + episode.tracker.packets.b;
        *bytes += episode.tracker.bytes.a + episode.tracker.bytes.b;
    }
    volumes
}

fn protocols(ledger: &Ledger) -> BTreeMap<FlowKey, BTreeSet<&'static str>> {
    let mut protocols: BTreeMap<FlowKey, BTreeSet<&'static str>> = BTreeMap::new();
    for episode in ledger.episodes() {
        protocols
            .entry(episode.key)
            .or_default()
            .extend(episode.protocols.keys());
    }
    protocols
}

/// Pairs of hosts that send fragments of IPv4 without a tunnel, the lesser first.
fn fragmented(recording: &Recording) -> BTreeSet<[IpAddr; 2]> {
    recording
        .frames
        .iter()
        .filter_map(|frame| frame.bytes.get(..34)?.first_chunk::<34>())
        .filter(|bytes| bytes[12..14] == [8, 0] && (bytes[20] & 0x3f, bytes[21]) != (0, 0))
        .map(|bytes| {
            let end = |at: usize| IpAddr::from([0, 1, 2, 3].map(|index| bytes[at + index]));
            let mut pair = [end(26), end(30)];
            pair.sort();
            pair
        })
        .collect()
}

#[test]
fn short_captures_keep_volumes_and_name_nothing_new() {
    let signatures = signatures();
    let folder = tempfile::tempdir().unwrap();
    for (name, paths) in samples() {
        let recording = Recording::read(&paths);
        let whole = scan(&[chain(&paths)], 1).ledger;
        let record = |ledger: &Ledger| ledger.captures().values().next().unwrap().clone();
        let (whole_record, whole_volumes, whole_protocols) =
            (record(&whole), volumes(&whole), protocols(&whole));
        let fragmented = fragmented(&recording);
        assert_eq!(whole_record.packets, recording.frames.len() as u64);
        for snap in SNAPS {
            let path = folder.path().join("short.pcap");
            std::fs::write(&path, recording.pcap(0..recording.frames.len(), snap)).unwrap();
            let scanned = scan(&[chain(&[path])], 1);
            let at = format!("{name} at {snap}");
            assert!(scanned.failures.is_empty(), "{at}: {:?}", scanned.failures);
            let short = &scanned.ledger;
            assert_eq!(record(short).packets, whole_record.packets, "{at}");
            assert_eq!(record(short).frame_bytes, whole_record.frame_bytes, "{at}");
            if snap >= HEADERS {
                let found = volumes(short);
                assert!(found.keys().eq(whole_volumes.keys()), "{at}");
                for (key, volume) in found {
                    let known = whole_volumes[&key];
                    // Of a datagram in fragments that cannot be joined only the first is known to be the flow's.
                    if fragmented.contains(&[key.a.address, key.b.address]) {
                        assert!(volume.0 == known.0 && volume.1 <= known.1, "{at}: {key}");
                    } else {
                        assert_eq!(volume, known, "{at}: {key}");
                    }
                }
            } else {
                let sum = |volumes: &BTreeMap<FlowKey, (u64, u64)>| {
                    volumes.values().map(|volume| volume.0).sum::<u64>()
                };
                assert!(sum(&volumes(short)) <= whole_record.packets, "{at}");
            }
            for (key, named) in protocols(short) {
                let known = whole_protocols.get(&key).cloned().unwrap_or_default();
                assert!(
                    named.is_subset(&known),
                    "{at}: {key} is {named:?} in the short capture and {known:?} in the whole"
                );
            }
            let judged = judge(&scanned, &signatures);
            assert_eq!(judged.all().len() as u64, judged.len());
        }
    }
}
