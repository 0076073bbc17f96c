//! Capture file formats: pcap and pcapng, little-endian, Ethernet.

use std::net::IpAddr;

use super::bytes::{cat, pad_to, u16_of, u32_of};
use super::packet::octets;
use super::trace::Frame;

/// Largest packet that a capture of the samples would keep.
const SNAP_LENGTH: u32 = 262_144;

/// A pcap file with microseconds (draft-ietf-opsawg-pcap).
pub(crate) fn pcap(frames: &[Frame]) -> Vec<u8> {
    let mut out = cat(&[
        &0xA1B2_C3D4_u32.to_le_bytes(),
        &2_u16.to_le_bytes(),
        &4_u16.to_le_bytes(),
        &[0; 8],
        &SNAP_LENGTH.to_le_bytes(),
        &1_u32.to_le_bytes(),
    ]);
    for frame in frames {
        let length = u32_of(frame.bytes.len()).to_le_bytes();
        let seconds = u32::try_from(frame.time / 1_000_000).expect("before 2106");
        let micros = u32::try_from(frame.time % 1_000_000).expect("less than a second");
        out.extend(seconds.to_le_bytes());
        out.extend(micros.to_le_bytes());
        out.extend(cat(&[&length, &length, &frame.bytes]));
    }
    out
}

/// A pcapng file of one interface with nanosecond times (draft-ietf-opsawg-pcapng), as `dumpcap` writes it: section
/// header, interface, packets, names, statistics.
pub(crate) fn pcapng(interface: &str, frames: &[Frame], names: &[(IpAddr, &str)]) -> Vec<u8> {
    let section = cat(&[
        &0x1A2B_3C4D_u32.to_le_bytes(),
        &1_u16.to_le_bytes(),
        &0_u16.to_le_bytes(),
        &[0xFF; 8],
        &option(3, b"sample network"),
        &option(4, b"exwire generate-samples"),
        &option(0, b""),
    ]);
    let description = cat(&[
        &1_u16.to_le_bytes(),
        &[0, 0],
        &SNAP_LENGTH.to_le_bytes(),
        &option(2, interface.as_bytes()),
        &option(9, &[9]),
        &option(0, b""),
    ]);
    let mut out = cat(&[&block(0x0A0D_0D0A, &section), &block(1, &description)]);
    for frame in frames {
        let length = u32_of(frame.bytes.len()).to_le_bytes();
        let mut body = cat(&[&[0; 4], &stamp(frame.time), &length, &length, &frame.bytes]);
        pad_to(&mut body, 4);
        out.extend(block(6, &body));
    }
    if !names.is_empty() {
        out.extend(block(4, &resolution(names)));
    }
    out.extend(block(5, &statistics(frames)));
    out
}

fn resolution(names: &[(IpAddr, &str)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (address, name) in names {
        let kind = if address.is_ipv4() { 1 } else { 2 };
        body.extend(option(
            kind,
            &cat(&[&octets(*address), name.as_bytes(), &[0]]),
        ));
    }
    body.extend(option(0, b""));
    body
}

fn statistics(frames: &[Frame]) -> Vec<u8> {
    let first = frames.first().map_or(0, |frame| frame.time);
    let last = frames.last().map_or(0, |frame| frame.time);
    let received = u64::try_from(frames.len()).expect("few").to_le_bytes();
    cat(&[
        &[0; 4],
        &stamp(last),
        &option(2, &stamp(first)),
        &option(3, &stamp(last)),
        &option(4, &received),
        &option(5, &[0; 8]),
        &option(0, b""),
    ])
}

/// A time in nanoseconds: the upper word first.
fn stamp(micros: u64) -> Vec<u8> {
    let nanos = (micros * 1000).to_le_bytes();
    let (low, high) = nanos.split_at(4);
    cat(&[high, low])
}

fn option(code: u16, value: &[u8]) -> Vec<u8> {
    let mut out = cat(&[
        &code.to_le_bytes(),
        &u16_of(value.len()).to_le_bytes(),
        value,
    ]);
    pad_to(&mut out, 4);
    out
}

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let length = u32_of(body.len() + 12).to_le_bytes();
    cat(&[&kind.to_le_bytes(), &length, body, &length])
}
