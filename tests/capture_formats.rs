//! Captures written byte by byte: every layout that the formats allow, and every way to break them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    unreachable_pub,
    missing_docs,
    reason = "a test may panic"
)]

mod capture_support;

use std::net::IpAddr;

use capture_support::{
    BIG, Drip, LITTLE, Order, pcap, pcapng, read, read_bytes, snoop, snoop_header, snoop_record,
};
use exwire::capture::{CaptureError, Format};
use proptest::prelude::*;

#[test]
fn pcap_is_read_in_both_byte_orders_and_both_resolutions() {
    for order in [LITTLE, BIG] {
        for (magic, format, nanos) in [
            (0xa1b2_c3d4, Format::Pcap, 7_000),
            (0xa1b2_3c4d, Format::PcapNano, 7),
        ] {
            let mut file = order.pcap(magic, 4, 1);
            file.extend(order.record(1_700_000_000, 7, 60, b"abc"));
            file.extend(order.record(4_000_000_000, 0, 2, b"de"));
            let (seen, summary) = read_bytes(&file).unwrap();
            assert_eq!(summary.format, Some(format));
            assert!(summary.error.is_none());
            assert_eq!(seen.len(), 2);
            assert_eq!(seen[0].nanos, 1_700_000_000_000_000_000 + nanos);
            assert_eq!(
                (seen[0].bytes.as_slice(), seen[0].wire_len),
                (&b"abc"[..], 60)
            );
            // Seconds are unsigned: times after 2038 stay after 2038.
            assert_eq!(seen[1].nanos, 4_000_000_000_000_000_000);
            assert_eq!((seen[1].number, seen[1].link), (2, 1));
        }
    }
}

#[test]
fn a_file_as_another_program_writes_it_is_read() {
    // Written down from the format's description, without the builder.
    let file = [
        0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0x65, 0, 0,
        0, //
        1, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 9, 0, 0, 0, 0x45, 0x00,
    ];
    let (seen, _) = read_bytes(&file).unwrap();
    assert_eq!(seen.len(), 1);
    assert_eq!(
        (seen[0].nanos, seen[0].link, seen[0].wire_len),
        (1_000_002_000, 101, 9)
    );
    assert_eq!(seen[0].bytes, [0x45, 0]);
}

#[test]
fn modified_pcap_has_longer_record_headers() {
    for order in [LITTLE, BIG] {
        let mut file = order.pcap(0xa1b2_cd34, 4, 1);
        for byte in [1, 2] {
            let mut record = order.record(5, 6, 1, &[]);
            record[if order.big { 11 } else { 8 }] = 1;
            record.extend([0; 8]);
            record.push(byte);
            file.extend(record);
        }
        let (seen, summary) = read_bytes(&file).unwrap();
        assert_eq!(summary.format, Some(Format::PcapModified));
        assert!(summary.error.is_none(), "{:?}", summary.error);
        assert_eq!(seen.len(), 2);
        assert_eq!(
            (seen[1].bytes.as_slice(), seen[1].nanos),
            (&[2][..], 5_000_006_000)
        );
    }
}

#[test]
fn the_frame_check_sequence_bits_of_the_link_word_are_masked() {
    let mut file = LITTLE.pcap(0xa1b2_c3d4, 4, 0x2400_0071);
    file.extend(LITTLE.record(0, 0, 1, b"x"));
    assert_eq!(read_bytes(&file).unwrap().0[0].link, 113);
}

#[test]
fn old_versions_with_swapped_lengths_are_read() {
    for (minor, swapped) in [(2, true), (3, true), (3, false), (4, false)] {
        let mut file = LITTLE.pcap(0xa1b2_c3d4, minor, 1);
        let mut record = LITTLE.record(0, 0, 100, b"abcd");
        if swapped {
            record[8..16].rotate_left(4);
        }
        file.extend(record);
        let (seen, summary) = read_bytes(&file).unwrap();
        assert!(summary.error.is_none(), "2.{minor} {swapped}");
        assert_eq!((seen[0].bytes.len(), seen[0].wire_len), (4, 100));
    }
}

#[test]
fn sections_of_both_byte_orders_have_interfaces_of_their_own() {
    let mut file = Vec::new();
    for (order, link, minor) in [(LITTLE, 1, 0), (BIG, 101, 2)] {
        file.extend(order.section(minor));
        file.extend(order.interface(113, 0, &[]));
        file.extend(order.interface(link, 0, &[]));
        file.extend(order.packet(1, 3_000_000, 4, b"data", &[]));
    }
    let (seen, summary) = read_bytes(&file).unwrap();
    assert!(summary.error.is_none(), "{:?}", summary.error);
    let links: Vec<u16> = seen.iter().map(|packet| packet.link).collect();
    assert_eq!(links, [1, 101]);
    assert!(
        seen.iter()
            .all(|packet| packet.nanos == 3_000_000_000 && packet.interface == 1)
    );
}

#[test]
fn each_interface_has_its_own_clock() {
    for order in [LITTLE, BIG] {
        let clock = |resolution: u8, offset: i64| {
            let mut options = order.option(2, b"eth0");
            options.extend(order.option(9, &[resolution]));
            options.extend(order.option(14, &order.u64(offset as u64)));
            options.extend(order.option(0, b""));
            // Behind the end of options nothing counts.
            options.extend(order.option(9, &[0]));
            order.interface(1, 0, &options)
        };
        let mut file = order.section(0);
        for interface in [
            clock(9, 0),
            clock(3, 100),
            clock(0x80 | 20, 0),
            clock(6, -1),
        ] {
            file.extend(interface);
        }
        for interface in 0..4 {
            file.extend(order.packet(interface, 3 << 20, 1, b"x", &[]));
        }
        let (seen, _) = read_bytes(&file).unwrap();
        let nanos: Vec<i64> = seen.iter().map(|packet| packet.nanos).collect();
        let ticks = 3 << 20;
        let millis = (ticks + 100_000) * 1_000_000;
        assert_eq!(
            nanos,
            [ticks, millis, 3_000_000_000, ticks * 1_000 - 1_000_000_000]
        );
    }
}

#[test]
fn a_simple_packet_is_cut_by_the_snap_length_and_takes_the_time_before_it() {
    let mut file = LITTLE.section(0);
    file.extend(LITTLE.interface(1, 5, &[]));
    file.extend(LITTLE.packet(0, 9_000_000, 1, b"x", &[]));
    for (wire_len, bytes) in [(3_u32, &b"abc\0"[..]), (100, b"abcde\0\0\0")] {
        file.extend(LITTLE.block(3, &[&LITTLE.u32(wire_len)[..], bytes].concat()));
    }
    let (seen, summary) = read_bytes(&file).unwrap();
    assert_eq!(
        (seen[1].bytes.as_slice(), seen[1].wire_len),
        (&b"abc"[..], 3)
    );
    assert_eq!(
        (seen[2].bytes.as_slice(), seen[2].wire_len),
        (&b"abcde"[..], 100)
    );
    assert_eq!(seen[2].nanos, 9_000_000_000);
    assert_eq!(summary.untimed, 2);
}

#[test]
fn an_obsolete_packet_block_is_read_with_its_drops() {
    let mut file = LITTLE.section(0);
    file.extend(LITTLE.interface(1, 0, &[]));
    for drops in [4, 0xffff] {
        let packet = LITTLE.packet(0, 1_000_000, 3, b"abc", &[]);
        let mut body = packet[8..packet.len() - 4].to_vec();
        body[2..4].copy_from_slice(&LITTLE.u16(drops));
        file.extend(LITTLE.block(2, &body));
    }
    let (seen, summary) = read_bytes(&file).unwrap();
    assert_eq!(seen.len(), 2);
    assert_eq!(
        (seen[1].bytes.as_slice(), seen[1].nanos),
        (&b"abc"[..], 1_000_000_000)
    );
    assert_eq!(summary.drops.packets, 4);
}

#[test]
fn drops_of_statistics_are_running_totals_per_interface_and_section() {
    let mut file = Vec::new();
    for order in [BIG, LITTLE] {
        file.extend(order.section(0));
        file.extend(order.interface(1, 0, &[]));
        let lost = order.option(4, &order.u64(2));
        file.extend(order.packet(0, 0, 3, b"abc", &[order.option(1, b"note"), lost].concat()));
        for total in [5, 7] {
            let mut body = order.u32(0).to_vec();
            body.extend([0; 8]);
            body.extend(order.option(5, &order.u64(total)));
            body.extend(order.option(7, &order.u64(total * 10)));
            file.extend(order.block(5, &body));
        }
    }
    let (_, summary) = read_bytes(&file).unwrap();
    assert_eq!(summary.drops.packets, 4);
    assert_eq!(summary.drops.interfaces, 14);
    assert_eq!(summary.drops.system, 140);
}

#[test]
fn name_blocks_give_names_of_both_families() {
    for order in [LITTLE, BIG] {
        let record = |kind: u16, value: &[u8]| order.option(kind, value);
        let v6: [u8; 16] = "2001:db8::5"
            .parse::<std::net::Ipv6Addr>()
            .unwrap()
            .octets();
        let mut body = record(1, b"\x0a\x00\x00\x05ex1.example.com\0ex1\0");
        body.extend(record(2, &[&v6[..], b"ex1.example.com\0"].concat()));
        body.extend(record(9, b"unknown"));
        body.extend(record(0, b""));
        let mut file = order.section(0);
        file.extend(order.block(4, &body));
        file.extend(order.interface(1, 0, &[]));
        file.extend(order.packet(0, 0, 1, b"x", &[]));
        let (_, summary) = read_bytes(&file).unwrap();
        let v4: IpAddr = "10.0.0.5".parse().unwrap();
        let expected = vec![
            (v4, "ex1".to_owned()),
            (v4, "ex1.example.com".to_owned()),
            (IpAddr::from(v6), "ex1.example.com".to_owned()),
        ];
        assert_eq!(summary.names, expected);
    }
}

#[test]
fn unknown_blocks_are_passed_over_whatever_their_size() {
    let mut file = LITTLE.section(0);
    file.extend(LITTLE.interface(1, 0, &[]));
    for (kind, size) in [(0x0a, 20), (0x8000_0001, 700_000), (0x0bad, 0), (9, 3)] {
        file.extend(LITTLE.block(kind, &vec![0x5a; size]));
        file.extend(LITTLE.packet(0, 0, 1, &[1], &[]));
    }
    let (seen, summary) = read_bytes(&file).unwrap();
    assert!(summary.error.is_none(), "{:?}", summary.error);
    assert_eq!(seen.len(), 4);
}

#[test]
fn a_block_length_that_leaves_out_the_padding_is_tolerated() {
    let mut file = [LITTLE.section(0), LITTLE.interface(1, 0, &[])].concat();
    for bytes in [b"abc", b"def"] {
        let mut packet = LITTLE.packet(0, 0, 3, bytes, &[]);
        let length = LITTLE.u32(packet.len() as u32 - 1);
        let trailer = packet.len() - 4;
        packet[4..8].copy_from_slice(&length);
        packet[trailer..].copy_from_slice(&length);
        file.extend(packet);
    }
    let (seen, summary) = read_bytes(&file).unwrap();
    assert!(summary.error.is_none(), "{:?}", summary.error);
    assert_eq!((seen.len(), seen[1].bytes.as_slice()), (2, &b"def"[..]));
}

#[test]
fn a_packet_larger_than_a_block_is_delivered() {
    // D-Bus has no limit at 256 KiB.
    let large = vec![7_u8; 3_000_000];
    let mut file = LITTLE.pcap(0xa1b2_c3d4, 4, 231);
    for bytes in [b"a", &large[..], b"b"] {
        file.extend(LITTLE.record(0, 0, bytes.len() as u32, bytes));
    }
    let (seen, _) = read_bytes(&file).unwrap();
    assert_eq!(seen.len(), 3);
    assert_eq!(seen[1].bytes, large);
}

#[test]
fn an_absurd_captured_length_ends_the_file_as_malformed() {
    let mut file = pcap(&[(1, b"abc")]);
    let place = file.len() as u64;
    let mut record = LITTLE.record(2, 0, 4, b"abcd");
    record[8..12].copy_from_slice(&LITTLE.u32(262_145));
    file.extend(record);
    let (seen, summary) = read_bytes(&file).unwrap();
    assert_eq!(seen.len(), 1);
    match summary.error {
        Some(CaptureError::Malformed { offset, found, .. }) => {
            assert_eq!((offset, found.as_str()), (place, "262145"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_contradicts_pcapng_is_malformed_and_says_why() {
    let head = [LITTLE.section(0), LITTLE.interface(1, 0, &[])].concat();
    let packet = LITTLE.packet(0, 0, 4, b"abcd", &[]);
    let broken = |at: usize, value: u32| {
        let mut packet = packet.clone();
        packet[at..at + 4].copy_from_slice(&LITTLE.u32(value));
        packet
    };
    let last = packet.len() - 4;
    for (block, words) in [
        (broken(8, 3), "an interface below 1"),
        (broken(20, 400), "a captured length of at most 4"),
        (broken(20, u32::MAX), "a captured length of at most 4"),
        (broken(4, 8), "at least 12"),
        (broken(last, 40), "again at its end"),
        (broken(0, 0x0a0d_0a1c), "a block"),
        (LITTLE.block(6, b"short"), "a packet block"),
    ] {
        let file = [&head[..], &packet, &block].concat();
        let (seen, summary) = read_bytes(&file).unwrap();
        assert_eq!(seen.len(), 1, "{words}");
        match summary.error {
            Some(CaptureError::Malformed {
                offset, expected, ..
            }) => {
                assert_eq!(offset, (head.len() + packet.len()) as u64);
                assert!(expected.contains(words), "{expected}");
            }
            other => panic!("{words}: {other:?}"),
        }
    }
}

#[test]
fn snoop_is_read_with_its_padding_and_its_drops() {
    // Written down from RFC 1761, without the builder.
    let mut file = b"snoop\0\0\0\0\0\0\x02\0\0\0\x04".to_vec();
    file.extend(b"\0\0\0\x3c\0\0\0\x03\0\0\0\x1c\0\0\0\x05\xee\x6b\x28\0\0\0\0\x07abc\0");
    file.extend(snoop_record(9, 5, 999_999, 4, b"defg"));
    let (seen, summary) = read_bytes(&file).unwrap();
    assert_eq!(summary.format, Some(Format::Snoop));
    assert_eq!(Format::Snoop.to_string(), "snoop");
    assert!(summary.error.is_none(), "{:?}", summary.error);
    assert_eq!(
        (seen[0].bytes.as_slice(), seen[0].wire_len),
        (&b"abc"[..], 60)
    );
    // Seconds are unsigned: times after 2038 stay after 2038.
    assert_eq!(seen[0].nanos, 4_000_000_000_000_007_000);
    assert_eq!(
        (seen[1].bytes.as_slice(), seen[1].nanos),
        (&b"defg"[..], 5_999_999_000)
    );
    assert_eq!((seen[1].link, seen[1].number), (1, 2));
    // A running total, not a count for each record.
    assert_eq!(summary.drops.packets, 9);
}

#[test]
fn datalinks_of_snoop_become_link_types_and_unknown_ones_are_no_damage() {
    for (code, link) in [
        (0, 1),
        (4, 1),
        (2, 6),
        (8, 10),
        (0x8000_0001, 228),
        (0x8000_0002, 229),
        (9, u16::MAX),
    ] {
        let file = [snoop_header(2, code), snoop_record(0, 1, 0, 1, b"x")].concat();
        let (seen, summary) = read_bytes(&file).unwrap();
        assert!(summary.error.is_none(), "{code}");
        assert_eq!(seen[0].link, link, "{code}");
    }
}

#[test]
fn what_contradicts_snoop_is_malformed_and_says_why() {
    let good = snoop(&[(1, b"abcd")]);
    let lying = |at: usize, value: u32| {
        let mut record = snoop_record(0, 2, 0, 4, b"abcd");
        record[at..at + 4].copy_from_slice(&BIG.u32(value));
        record
    };
    for (record, words) in [
        (lying(4, 262_145), "a captured length of at most 262144"),
        (lying(4, u32::MAX), "a captured length of at most 262144"),
        (lying(4, 5), "a record length of 29"),
        (lying(8, 0), "a record length of 28"),
        (lying(8, 27), "a record length of 28"),
        (lying(8, u32::MAX), "a record length of 28"),
    ] {
        let (seen, summary) = read_bytes(&[&good[..], &record].concat()).unwrap();
        assert_eq!(seen.len(), 1, "{words}");
        match summary.error {
            Some(CaptureError::Malformed {
                offset, expected, ..
            }) => {
                assert_eq!(offset, good.len() as u64);
                assert!(expected.contains(words), "{expected}");
            }
            other => panic!("{words}: {other:?}"),
        }
    }
    for version in [1, 3] {
        let (seen, summary) = read_bytes(&snoop_header(version, 4)).unwrap();
        assert!(seen.is_empty());
        assert!(matches!(
            summary.error,
            Some(CaptureError::Malformed { .. })
        ));
    }
}

/// Every prefix delivers exactly the packets that are whole in it, and says that it is cut unless it ends between
/// records. `magic` bytes tell the format, `ends` are the places behind which a record ends.
fn check_prefixes(file: &[u8], magic: usize, ends: &[usize], between: &[usize]) {
    for length in 1..file.len() {
        let Ok((seen, summary)) = read_bytes(&file[..length]) else {
            assert!(length < magic, "{length}");
            continue;
        };
        let whole = ends.iter().filter(|end| **end <= length).count();
        assert_eq!(seen.len(), whole, "prefix of {length}");
        let cut = matches!(summary.error, Some(CaptureError::Truncated { .. }));
        assert_eq!(
            cut,
            !between.contains(&length),
            "prefix of {length}: {:?}",
            summary.error
        );
    }
}

#[test]
fn every_prefix_of_a_pcap_file_delivers_its_whole_packets() {
    for order in [LITTLE, BIG] {
        let mut file = order.pcap(0xa1b2_c3d4, 4, 1);
        let mut between = vec![file.len()];
        for bytes in [&b"abcdef"[..], b"", b"xyz"] {
            file.extend(order.record(1, 2, 6, bytes));
            between.push(file.len());
        }
        check_prefixes(&file, 4, &between[1..], &between);
    }
}

#[test]
fn every_prefix_of_a_pcapng_file_delivers_its_whole_packets() {
    for order in [LITTLE, BIG] {
        let (mut file, mut ends, mut between) = (Vec::new(), Vec::new(), Vec::new());
        let blocks = |order: Order| {
            [
                (order.section(0), false),
                (order.interface(1, 0, &order.option(9, &[9])), false),
                (
                    order.packet(0, 1, 6, b"abcdef", &order.option(1, b"note")),
                    true,
                ),
                (order.block(0x0a, b"secrets"), false),
                (order.block(3, &[&order.u32(4)[..], b"abcd"].concat()), true),
                (order.block(4, &order.option(0, b"")), false),
                (order.packet(0, 1, 6, b"", &[]), true),
            ]
        };
        for (block, is_packet) in blocks(order) {
            file.extend(block);
            between.push(file.len());
            if is_packet {
                ends.push(file.len());
            }
        }
        check_prefixes(&file, 4, &ends, &between);
    }
}

#[test]
fn every_prefix_of_a_snoop_file_delivers_its_whole_packets() {
    let mut file = snoop_header(2, 4);
    let mut between = vec![file.len()];
    for bytes in [&b"abcdef"[..], b"", b"xyz"] {
        file.extend(snoop_record(0, 1, 2, 6, bytes));
        between.push(file.len());
    }
    check_prefixes(&file, 8, &between[1..], &between);
}

#[test]
fn single_byte_reads_give_the_same_packets() {
    for file in [
        pcap(&[(1, b"abc"), (2, b""), (3, b"defgh")]),
        pcapng(&[(1, b"abc"), (2, b""), (3, b"defgh")]),
        snoop(&[(1, b"abc"), (2, b""), (3, b"defgh")]),
    ] {
        assert_eq!(
            read(Drip::new(&file)).unwrap().0,
            read_bytes(&file).unwrap().0
        );
    }
}

#[test]
fn packets_across_many_blocks_are_numbered_and_whole() {
    let bodies: Vec<Vec<u8>> = (0..3000_u32)
        .map(|n| vec![n as u8; (n % 1500) as usize])
        .collect();
    let packets: Vec<(u32, &[u8])> = (0..).zip(bodies.iter().map(Vec::as_slice)).collect();
    for file in [pcap(&packets), pcapng(&packets), snoop(&packets)] {
        let (seen, summary) = read_bytes(&file).unwrap();
        assert_eq!(summary.packets, 3000);
        assert_eq!(
            summary.bytes,
            bodies.iter().map(|body| body.len() as u64).sum::<u64>()
        );
        for (index, packet) in seen.iter().enumerate() {
            assert_eq!(packet.number, index as u64 + 1);
            assert_eq!(packet.bytes, bodies[index]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn random_bytes_behind_any_magic_never_panic(
        start in 0_usize..10,
        mut bytes in proptest::collection::vec(any::<u8>(), 0..600),
        flips in proptest::collection::vec((any::<u16>(), any::<u8>()), 0..6),
    ) {
        let good = [pcap(&[(1, b"abc"), (2, b"defgh")]), pcapng(&[(1, b"abc"), (2, b"defgh")])].concat();
        let mut file = match start {
            0 => LITTLE.pcap(0xa1b2_c3d4, 4, 1),
            1 => BIG.pcap(0xa1b2_cd34, 3, 1),
            2 => [LITTLE.section(0), LITTLE.interface(1, 0, &[])].concat(),
            3 => [BIG.section(0), BIG.interface(1, 0, &[])].concat(),
            4 => vec![0x1f, 0x8b, 8, 0],
            5 => vec![0x28, 0xb5, 0x2f, 0xfd],
            6 => snoop_header(2, 4),
            7 => snoop(&[(1, b"abc"), (2, b"defgh")]),
            8 => good[good.len() / 2 - 50..].to_vec(),
            _ => good.clone(),
        };
        for (place, flip) in flips {
            let place = usize::from(place) % file.len();
            file[place] ^= flip;
        }
        file.append(&mut bytes);
        let _ = read_bytes(&file);
    }
}
