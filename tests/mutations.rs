//! Hostile packets: whatever the bytes are, nothing panics, and any number of threads sees the same.
//!
//! Payloads of the samples and of real captures are changed where decoders are easily wrong: lengths, cuts, repetitions, and
//! payloads of other flows. `EXWIRE_MUTATIONS=N` goes through every real capture, N times each; `EXWIRE_FIRST_SEED` says where
//! to begin, so that a failure, which names its seed, comes again at once.
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

use std::fs;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use exwire::net::{LinkType, Timestamp};
use exwire::wire::{self, Dissector, Limits};
use pipeline_support::{Random, Recording, chain, judge, real, samples, scan, signatures};

/// Real captures that between them have most of the protocols.
const REAL: &[&str] = &[
    "rpc-epm/suricata-bug-5162-input.pcap",
    "sip/rtppcap-nb6-telephone.pcap",
    "stun/ndpi-teams.pcap",
    "smtp/markofu-evidence02.pcap",
    "ldap/elcabezzonn-tinkersec-ldapsearch.pcap",
    "mixed/mercury-emix.pcap",
];
/// Mutations of each capture.
const ROUNDS: u64 = 2;
/// Frames that are kept of a capture: beginnings of connections matter more than their length.
const MAX_FRAMES: usize = 600;
/// Values of lengths and counts at which arithmetic goes wrong.
const EXTREMES: &[&[u8]] = &[
    &[0],
    &[1],
    &[0x7f],
    &[0x80],
    &[0xff],
    &[0, 0],
    &[0x7f, 0xff],
    &[0x80, 0],
    &[0xff, 0xff],
    &[0, 0, 0, 0],
    &[0x7f, 0xff, 0xff, 0xff],
    &[0x80, 0, 0, 0],
    &[0xff, 0xff, 0xff, 0xff],
    &[0x84, 0xff, 0xff, 0xff, 0xff],
    b"99999999999999999999",
    b"-1",
    b"\r\n\r\n",
];

/// Where the payload of each frame lies; frames without one are left out.
fn payloads(recording: &Recording) -> Vec<(usize, Range<usize>)> {
    let mut dissector = Dissector::new(Limits::default());
    let mut found = Vec::new();
    for (index, frame) in recording.frames.iter().enumerate() {
        let time = Timestamp::from_nanos(frame.nanos);
        let link = LinkType(recording.link);
        let layers = dissector.dissect(time, link, &frame.bytes, frame.wire_len);
        let length = layers.payload.len();
        // A payload that was put together from fragments lies elsewhere.
        let start = (layers.payload.as_ptr() as usize).checked_sub(frame.bytes.as_ptr() as usize);
        if let Some(start) = start
            && length > 0
            && start + length <= frame.bytes.len()
        {
            found.push((index, start..start + length));
        }
    }
    found
}

/// Changes about every third payload. Lengths of segments stay, so that the stream goes on.
fn mutate(recording: &mut Recording, payloads: &[(usize, Range<usize>)], random: &mut Random) {
    // The beginning of a payload has the lengths and the kinds.
    let place = |random: &mut Random, length: usize| {
        let limit = if random.below(3) == 0 {
            length
        } else {
            length.min(24)
        };
        random.below(limit)
    };
    for (index, range) in payloads {
        if random.below(3) != 0 {
            continue;
        }
        let kind = random.below(8);
        let other = &payloads[random.below(payloads.len())];
        let spliced = &recording.frames[other.0].bytes;
        let spliced = spliced.get(other.1.clone()).unwrap_or_default().to_vec();
        let frame = &mut recording.frames[*index];
        let payload = &mut frame.bytes[range.clone()];
        let at = place(random, payload.len());
        match kind {
            0 => payload[at] ^= 1 << random.below(8),
            1..=3 => {
                let extreme = EXTREMES[random.below(EXTREMES.len())];
                for (byte, value) in payload[at..].iter_mut().zip(extreme) {
                    *byte = *value;
                }
            }
            // The rest of the payload is a payload of another flow, or this one from its start again.
            4 => {
                for (byte, value) in payload[at..].iter_mut().zip(&spliced) {
                    *byte = *value;
                }
            }
            5 => {
                let again = payload.to_vec();
                for (byte, value) in payload[at..].iter_mut().zip(&again) {
                    *byte = *value;
                }
            }
            6 => {
                let fill = EXTREMES[random.below(5)][0];
                payload[at..].fill(fill);
            }
            _ => frame.bytes.truncate(range.start + at),
        }
    }
}

fn everything() -> Vec<(String, Vec<PathBuf>)> {
    let Some((_, some)) = real(&REAL[..1]).pop() else {
        return Vec::new();
    };
    let root = some[0].parent().unwrap().parent().unwrap().to_owned();
    let mut found = Vec::new();
    for topic in fs::read_dir(root).unwrap() {
        let topic = topic.unwrap().path();
        if topic.is_dir() && !topic.ends_with("truth") {
            for file in fs::read_dir(topic).unwrap() {
                let path = file.unwrap().path();
                found.push((path.display().to_string(), vec![path]));
            }
        }
    }
    found.sort();
    found
}

fn survives(file: &Path, seen: &str) {
    let chains = [chain(&[file.to_owned()])];
    let scanned = catch_unwind(AssertUnwindSafe(|| {
        let (one, three) = (scan(&chains, 1), scan(&chains, 3));
        assert!(one.ledger == three.ledger, "three threads see another");
        assert_eq!(one.packets, three.packets);
        one
    }));
    let judged = scanned.map(|scanned| {
        catch_unwind(AssertUnwindSafe(|| {
            drop(judge(&scanned, &signatures()));
        }))
    });
    assert!(matches!(judged, Ok(Ok(()))), "{seen}");
}

#[test]
fn mutated_captures_are_scanned_without_a_panic() {
    let rounds = std::env::var("EXWIRE_MUTATIONS").ok();
    let rounds: Option<u64> = rounds.map(|rounds| rounds.parse().unwrap());
    let captures = match rounds {
        Some(_) => everything(),
        None => samples().into_iter().chain(real(REAL)).collect(),
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mutated.pcap");
    let mut failures = Vec::new();
    let first = std::env::var("EXWIRE_FIRST_SEED").map_or(0, |seed| seed.parse().unwrap());
    for seed in first..first + rounds.unwrap_or(ROUNDS) {
        for (name, paths) in &captures {
            let Some(mut recording) = Recording::read_one(&paths[0]) else {
                continue;
            };
            recording.frames.truncate(MAX_FRAMES);
            let payloads = payloads(&recording);
            if payloads.is_empty() {
                continue;
            }
            mutate(&mut recording, &payloads, &mut Random(seed));
            recording.write(&file);
            let seen = format!("{name}, seed {seed}");
            if catch_unwind(|| survives(&file, &seen)).is_err() {
                failures.push(seen);
            }
        }
        println!("round {seed} done");
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn the_addresses_of_a_glance_are_those_that_reading_finds() {
    let mut random = Random(1);
    let (mut glanced, mut flows) = (0, 0);
    for (_, paths) in samples().into_iter().chain(real(REAL)) {
        let Some(mut recording) = Recording::read_one(&paths[0]) else {
            continue;
        };
        recording.frames.truncate(MAX_FRAMES);
        let link = LinkType(recording.link);
        let mut dissector = Dissector::new(Limits::default());
        for frame in &mut recording.frames {
            // The frame as it is, then with headers that lie.
            for _ in 0..8 {
                let bytes = &frame.bytes;
                if let Some((one, other)) = wire::addresses(link, bytes) {
                    glanced += 1;
                    let before = dissector.counters().fragments;
                    let time = Timestamp::from_nanos(frame.nanos);
                    let layers = dissector.dissect(time, link, bytes, frame.wire_len);
                    assert_eq!((layers.quoted, layers.carrier), (None, None));
                    if let Some((_, source, destination)) = layers.flow() {
                        flows += 1;
                        assert_eq!((source.address, destination.address), (one, other));
                    }
                    assert_eq!(dissector.counters().fragments, before);
                }
                let at = random.below(frame.bytes.len().clamp(1, 60));
                if let Some(byte) = frame.bytes.get_mut(at) {
                    *byte = random.below(256) as u8;
                }
            }
        }
    }
    assert!(glanced > 1_000 && flows > 1_000, "{glanced}, {flows}");
}
