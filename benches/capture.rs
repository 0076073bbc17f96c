//! How fast captures are framed: packets and bytes per second, warm, from memory.
#![allow(clippy::unwrap_used, reason = "a bench may panic")]

use std::io::Cursor;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use exwire::capture::{Block, Options, Reader};

/// Packets per file: enough that opening it does not count.
const PACKETS: u32 = 400_000;

fn main() {
    divan::main();
}

/// A pcap file of packets of one size.
fn pcap(size: u32) -> Vec<u8> {
    let mut file = vec![
        0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0,
    ];
    for second in 0..PACKETS {
        for word in [second, 0, size, size] {
            file.extend(word.to_le_bytes());
        }
        file.resize(file.len() + size as usize, 0x5a);
    }
    file
}

/// A pcapng file of packets of one size, a multiple of four.
fn pcapng(size: u32) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [
        0x0a0d_0d0a,
        28,
        0x1a2b_3c4d,
        1,
        u32::MAX,
        u32::MAX,
        28,
        1,
        20,
        1,
        0,
        20_u32,
    ] {
        file.extend(word.to_le_bytes());
    }
    let total = size + 32;
    for low in 0..PACKETS {
        for word in [6, total, 0, 1, low, size, size] {
            file.extend(word.to_le_bytes());
        }
        file.resize(file.len() + size as usize, 0x5a);
        file.extend(total.to_le_bytes());
    }
    file
}

fn frame(bencher: Bencher<'_, '_>, file: Vec<u8>) {
    let length = file.len();
    let mut block = Block::new();
    bencher
        .counter(ItemsCount::new(PACKETS))
        .counter(BytesCount::new(length))
        .with_inputs(|| Cursor::new(file.clone()))
        .bench_local_values(|file| {
            let mut reader = Reader::from_stream(file, "bench", &Options::default()).unwrap();
            let mut packets = 0;
            while reader.fill(&mut block).unwrap() {
                packets += block.len();
            }
            assert_eq!(packets, PACKETS as usize);
        });
}

#[divan::bench(args = [64, 400])]
fn pcap_is_framed(bencher: Bencher<'_, '_>, size: u32) {
    frame(bencher, pcap(size));
}

#[divan::bench(args = [64, 400])]
fn pcapng_is_framed(bencher: Bencher<'_, '_>, size: u32) {
    frame(bencher, pcapng(size));
}

#[divan::bench(args = [400])]
fn gzip_is_decompressed_and_framed(bencher: Bencher<'_, '_>, size: u32) {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, &pcap(size)).unwrap();
    frame(bencher, encoder.finish().unwrap());
}
