//! Time to read one packet, by kind of packet; figures are per packet, without reading files.
#![allow(clippy::unwrap_used, reason = "a bench")]

use divan::{Bencher, black_box, counter::ItemsCount};
use exwire::net::{LinkType, Timestamp};
use exwire::wire::{Dissector, Limits};

fn main() {
    divan::main();
}

const BATCH: usize = 1000;

fn ip_v4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
    let mut packet = vec![
        0x45, 0, length[0], length[1], 0, 1, 0x40, 0, 64, protocol, 0, 0,
    ];
    packet.extend([10, 0, 0, 1, 10, 0, 0, 2]);
    packet.extend(payload);
    packet
}

fn ip_v6(next: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let mut packet = vec![0x60, 0, 0, 0, length[0], length[1], next, 64];
    packet.extend([0x20; 32]);
    packet.extend(payload);
    packet
}

fn tcp(payload: usize) -> Vec<u8> {
    let mut segment = vec![
        0xc3, 0x50, 0, 25, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 1, 0, 0, 0, 0, 0,
    ];
    segment.resize(segment.len() + payload, b'x');
    segment
}

fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).unwrap().to_be_bytes();
    let port = port.to_be_bytes();
    let mut datagram = vec![0xc3, 0x50, port[0], port[1], length[0], length[1], 0, 0];
    datagram.extend(payload);
    datagram
}

fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2; 12];
    frame.extend(kind.to_be_bytes());
    frame.extend(payload);
    frame
}

fn vlan(kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut tagged = vec![0, 12];
    tagged.extend(kind.to_be_bytes());
    tagged.extend(payload);
    tagged
}

fn vxlan(frame: &[u8]) -> Vec<u8> {
    let mut carried = vec![8, 0, 0, 0, 0, 0, 99, 0];
    carried.extend(frame);
    carried
}

fn run(bencher: Bencher<'_, '_>, frame: Vec<u8>, limits: Limits) {
    let mut dissector = Dissector::new(limits);
    let wire_len = u32::try_from(frame.len()).unwrap();
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        for _ in 0..BATCH {
            let time = Timestamp::from_nanos(0);
            let layers = dissector.dissect(time, LinkType::ETHERNET, black_box(&frame), wire_len);
            black_box(&layers);
        }
    });
}

#[divan::bench]
fn ethernet_ipv4_tcp(bencher: Bencher<'_, '_>) {
    run(
        bencher,
        ethernet(0x0800, &ip_v4(6, &tcp(1000))),
        Limits::default(),
    );
}

#[divan::bench]
fn ethernet_ipv4_tcp_with_checksums(bencher: Bencher<'_, '_>) {
    let limits = Limits {
        verify_checksums: true,
        ..Limits::default()
    };
    run(bencher, ethernet(0x0800, &ip_v4(6, &tcp(1000))), limits);
}

#[divan::bench]
fn ethernet_ipv4_udp(bencher: Bencher<'_, '_>) {
    run(
        bencher,
        ethernet(0x0800, &ip_v4(17, &udp(53, &[0; 100]))),
        Limits::default(),
    );
}

#[divan::bench]
fn vlan_ipv6_tcp(bencher: Bencher<'_, '_>) {
    let frame = ethernet(0x8100, &vlan(0x86dd, &ip_v6(6, &tcp(1000))));
    run(bencher, frame, Limits::default());
}

#[divan::bench]
fn vxlan_ipv4_tcp(bencher: Bencher<'_, '_>) {
    let inner = ethernet(0x0800, &ip_v4(6, &tcp(1000)));
    run(
        bencher,
        ethernet(0x0800, &ip_v4(17, &udp(4789, &vxlan(&inner)))),
        Limits::default(),
    );
}

#[divan::bench]
fn fragments_of_one_datagram(bencher: Bencher<'_, '_>) {
    let datagram = udp(5060, &[b'x'; 2000]);
    let mut first = ip_v4(17, datagram.get(..1480).unwrap());
    let mut second = ip_v4(17, datagram.get(1480..).unwrap());
    if let (Some(flags), Some(offset)) = (first.get_mut(6..8), second.get_mut(6..8)) {
        flags.copy_from_slice(&[0x20, 0]);
        offset.copy_from_slice(&[0, 185]);
    }
    let frames = [ethernet(0x0800, &first), ethernet(0x0800, &second)];
    let mut dissector = Dissector::new(Limits::default());
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        for frame in frames.iter().cycle().take(BATCH) {
            let wire_len = u32::try_from(frame.len()).unwrap();
            let layers = dissector.dissect(
                Timestamp::from_nanos(0),
                LinkType::ETHERNET,
                black_box(frame),
                wire_len,
            );
            black_box(&layers);
        }
    });
}
