//! Network Monitor captures: byte by byte from the format's description, and as another program writes them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    unreachable_pub,
    reason = "a test"
)]

mod capture_support;

use std::process::Command;

use capture_support::{Drip, netmon, read, read_bytes};
use exwire::capture::{CaptureError, Format};

/// 2010-03-04 05:06:07.008 UTC.
const START: i64 = 1_267_679_167_008_000_000;

#[test]
fn times_before_version_2_3_count_from_a_start_in_an_unknown_zone() {
    for minor in 0..=2 {
        let (seen, summary) =
            read_bytes(&netmon(minor, &[(0, 1, b"abc"), (1_500, 1, b"de")])).unwrap();
        assert!(summary.error.is_none(), "{:?}", summary.error);
        assert_eq!(summary.format, Some(Format::NetMon));
        assert!(summary.local_times);
        assert_eq!((seen[0].nanos, seen[1].nanos), (START, START + 1_500_000));
        assert_eq!(
            (seen[0].bytes.as_slice(), seen[0].wire_len, seen[0].link),
            (&b"abc"[..], 13, 1)
        );
        assert_eq!((seen[1].bytes.as_slice(), seen[1].number), (&b"de"[..], 2));
    }
}

#[test]
fn from_version_2_3_each_frame_has_its_time_in_utc() {
    let (seen, summary) = read_bytes(&netmon(3, &[(0, 1, b"abc"), (7, 1, b"de")])).unwrap();
    assert!(summary.error.is_none() && !summary.local_times);
    assert_eq!((seen[0].nanos, seen[1].nanos), (0, 7_000));
}

#[test]
fn version_1_counts_milliseconds_and_has_short_records() {
    let mut file = b"RTSS".to_vec();
    file.extend([1, 1, 1, 0]);
    for word in [1999_u16, 12, 5, 31, 23, 59, 59, 0] {
        file.extend(word.to_le_bytes());
    }
    file.resize(128, 0);
    file[24..32].copy_from_slice(b"\x8b\0\0\0\x04\0\0\0");
    file.extend(b"\x05\0\0\0\x40\0\x03\0abc");
    file.extend(128_u32.to_le_bytes());
    let (seen, summary) = read_bytes(&file).unwrap();
    assert!(summary.error.is_none(), "{:?}", summary.error);
    assert_eq!(
        (seen[0].nanos, seen[0].wire_len),
        (946_684_799_005_000_000, 64)
    );
    assert_eq!(seen[0].bytes, b"abc");
}

#[test]
fn media_types_become_link_types_and_events_are_passed_over() {
    let wireless = b"\x02\x06\0xyzframe";
    let file = netmon(
        3,
        &[
            (0, 1, b"e"),
            (1, 0xfffb, b"interface names"),
            (2, 9, b"i"),
            (3, 0xe000 + 113, b"c"),
            (4, 6, wireless),
            (5, 4, b"a"),
            (6, 0xffff, b"filter"),
        ],
    );
    let (seen, summary) = read_bytes(&file).unwrap();
    assert!(summary.error.is_none(), "{:?}", summary.error);
    let links: Vec<u16> = seen.iter().map(|packet| packet.link).collect();
    assert_eq!(links, [1, 101, 113, 105, u16::MAX]);
    assert_eq!(
        (seen[3].bytes.as_slice(), seen[3].wire_len),
        (&b"frame"[..], 15)
    );
}

#[test]
fn parts_without_frames_may_stand_anywhere() {
    // The table first, a comment between the frames, padding and user data behind them.
    let plain = netmon(0, &[(0, 1, b"abc"), (9, 1, b"de")]);
    let (first, second) = (&plain[128..147], &plain[147..165]);
    let mut file = plain[..128].to_vec();
    file.extend([136_u32, 136 + 19 + 5].map(u32::to_le_bytes).concat());
    file.extend(first);
    file.extend(b"note!");
    file.extend(second);
    file.extend(b"\0\0\0user");
    let comment = 136 + 19;
    let user = file.len() as u32 - 4;
    for (at, words) in [(24, [128, 8]), (32, [user, 4]), (40, [comment, 5])] {
        file[at..at + 8].copy_from_slice(&words.map(u32::to_le_bytes).concat());
    }
    for read in [read_bytes(&file), read(Drip::new(&file))] {
        let (seen, summary) = read.unwrap();
        assert!(summary.error.is_none(), "{:?}", summary.error);
        let bytes: Vec<&[u8]> = seen.iter().map(|packet| packet.bytes.as_slice()).collect();
        assert_eq!(bytes, [&b"abc"[..], b"de"]);
    }
}

#[test]
fn a_table_that_lists_other_places_is_damage_and_costs_no_packet() {
    let mut file = netmon(3, &[(0, 1, b"abc"), (7, 1, b"de")]);
    let end = file.len();
    file[end - 4] ^= 1;
    let (seen, summary) = read_bytes(&file).unwrap();
    assert_eq!(seen.len(), 2);
    match summary.error {
        Some(CaptureError::Malformed { expected, .. }) => {
            assert_eq!(expected, "a table of the 2 frames before it");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_prefix_delivers_its_whole_packets_and_says_that_it_was_cut() {
    let file = netmon(3, &[(0, 1, b"abc"), (7, 1, b"defgh")]);
    for length in 128..file.len() {
        let (seen, summary) = read_bytes(&file[..length]).unwrap();
        let whole = usize::from(length >= 162) + usize::from(length >= 198);
        assert_eq!(seen.len(), whole, "{length}");
        assert!(
            matches!(summary.error, Some(CaptureError::Truncated { .. })),
            "{length}: {:?}",
            summary.error
        );
    }
    let (_, summary) = read_bytes(&file).unwrap();
    assert!(summary.error.is_none());
}

#[test]
fn wrong_headers_are_malformed_and_say_why() {
    let good = netmon(3, &[(0, 1, b"abc")]);
    for (at, byte, words) in [
        (5, 3, "version 3.3"),
        (10, 13, "2010-13-4"),
        (140, 0xff, "captured length"),
    ] {
        let mut file = good.clone();
        file[at] = byte;
        if at == 140 {
            file[142] = 0xff;
        }
        let (_, summary) = read_bytes(&file).unwrap();
        let text = summary.error.unwrap().to_string();
        assert!(text.contains("malformed") && text.contains(words), "{text}");
    }
}

/// Wireshark's own writer, where it is installed: packets, lengths and times to the microsecond are those of the pcap.
#[test]
fn what_editcap_writes_is_read_as_the_original() {
    let sample = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/samples/perimeter-unhealthy.pcap"
    );
    let folder = tempfile::tempdir().unwrap();
    let (original, _) = read(std::fs::File::open(sample).unwrap()).unwrap();
    for (kind, micros) in [("netmon1", 1_000), ("netmon2", 1)] {
        let out = folder.path().join(kind);
        match Command::new("editcap")
            .args(["-F", kind, sample])
            .arg(&out)
            .status()
        {
            Ok(status) => assert!(status.success()),
            Err(error) => {
                println!("skipped: editcap cannot be run: {error}");
                return;
            }
        }
        let (seen, summary) = read(std::fs::File::open(&out).unwrap()).unwrap();
        assert!(summary.error.is_none(), "{:?}", summary.error);
        assert_eq!(seen.len(), original.len());
        for (seen, original) in seen.iter().zip(&original) {
            assert_eq!(
                (&seen.bytes, seen.wire_len, seen.link),
                (&original.bytes, original.wire_len, original.link)
            );
            let off = (seen.nanos - original.nanos).abs();
            assert!(off <= 1_000 * micros, "{off} ns");
        }
    }
}
