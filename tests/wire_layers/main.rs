//! Each link layer, tag, tunnel and transport on bytes built here: what is read, what a short capture and a lying
//! header lead to, and that nothing panics.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test"
)]

mod carriers;
mod fragments;
mod headers;
mod hostile;

use carriers::carriers;
use exwire::net::{LinkType, TcpFlags, Timestamp, Transport};
use exwire::wire::{Checksum, Dissector, Layer, Layers, Limits, Reason, Stop, TransportHeader};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

const NOW: Timestamp = Timestamp::from_nanos(0);

const PAYLOAD: &[u8] = b"EHLO x\r\n";

fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn length(bytes: usize) -> [u8; 2] {
    (bytes as u16).to_be_bytes()
}

fn checksum(bytes: &[u8]) -> [u8; 2] {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u32::from(low)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

fn ip_v4_piece(protocol: u8, flags_and_offset: u16, payload: &[u8]) -> Vec<u8> {
    let (size, flags) = (length(20 + payload.len()), flags_and_offset.to_be_bytes());
    let mut header = vec![
        0x45, 0, size[0], size[1], 0x12, 0x34, flags[0], flags[1], 64, protocol, 0, 0,
    ];
    header.extend([10, 0, 0, 1, 10, 0, 0, 2]);
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum);
    join(&[&header, payload])
}

fn ip_v4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ip_v4_piece(protocol, 0x4000, payload)
}

fn ip_v6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = vec![0x60, 0, 0, 0];
    header.extend(length(payload.len()));
    header.extend([next, 64]);
    header.extend([0x20, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    header.extend([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    join(&[&header, payload])
}

fn tcp(payload: &[u8]) -> Vec<u8> {
    let header = [
        0xc3, 0x50, 0, 25, 0, 0, 0, 7, 0, 0, 0, 9, 0x60, 0x12, 0x20, 0, 0, 0, 0, 0, 2, 4, 5, 0xb4,
    ];
    join(&[&header, payload])
}

fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    join(&[
        &[0xc3, 0x50],
        &port.to_be_bytes(),
        &length(8 + payload.len()),
        &[0, 0],
        payload,
    ])
}

fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
    join(&[&[2; 12], &kind.to_be_bytes(), payload])
}

fn tag(id: u16, kind: u16, payload: &[u8]) -> Vec<u8> {
    join(&[&id.to_be_bytes(), &kind.to_be_bytes(), payload])
}

/// IPv4 with TCP and a payload: what most packets here carry.
fn mail() -> Vec<u8> {
    ip_v4(6, &tcp(PAYLOAD))
}

fn mail_frame() -> Vec<u8> {
    ethernet(0x0800, &mail())
}

fn gre(flags: u16, kind: u16, rest: &[&[u8]]) -> Vec<u8> {
    join(&[&flags.to_be_bytes(), &kind.to_be_bytes(), &rest.concat()])
}

fn over_ip(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ethernet(0x0800, &ip_v4(protocol, payload))
}

fn over_udp(port: u16, payload: &[u8]) -> Vec<u8> {
    over_ip(17, &udp(port, payload))
}

fn checking() -> Dissector {
    Dissector::new(Limits {
        verify_checksums: true,
        ..Limits::default()
    })
}

fn read<T>(link: LinkType, bytes: &[u8], check: impl FnOnce(&Layers<'_>) -> T) -> T {
    check(&checking().dissect(NOW, link, bytes, bytes.len() as u32))
}

fn tunnels(layers: &Layers<'_>) -> String {
    let names: Vec<_> = layers.tunnels.iter().map(ToString::to_string).collect();
    names.join(" ")
}

fn names(layers: &Layers<'_>) -> String {
    let (transport, from, to) = layers.flow().unwrap();
    format!("{transport} {from} > {to}")
}

const MAIL: &str = "tcp 10.0.0.1:50000 > 10.0.0.2:25";
