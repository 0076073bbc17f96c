//! Sample "mirror-erspan-vlan": the beginning of the site's sample as mirror ports deliver it: in ERSPAN type II, in
//! VXLAN, and with two VLAN tags.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::bytes::cat;
use super::hosts::at;
use super::packet::{Identifications, Packet};
use super::trace::{Finished, Flow, Frame};

/// The mirroring switch, and the machine that captures (RFC 1918).
const SWITCH: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 9, 0, 1));
const COLLECTOR: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 9, 0, 9));
const GRE: u8 = 47;
/// Only flows that end before this moment of the site's sample (microseconds after its start) are taken.
const SHORT: u64 = 5_000_000;

/// What a flow is wrapped in; taken in turns.
#[derive(Clone, Copy)]
enum Wrapping {
    Erspan,
    Vxlan,
    DoubleTagged,
}

pub(crate) fn mirror(site: &Finished) -> Finished {
    let start = site.frames.first().map_or(0, |frame| frame.time) / 1_000_000 * 1_000_000;
    let flows: Vec<(Wrapping, Flow)> = site
        .flows
        .iter()
        .filter(|flow| taken(flow) && !outlives(site, flow, start + SHORT))
        .enumerate()
        .map(|(number, flow)| {
            let wrapping = match number % 3 {
                0 => Wrapping::Erspan,
                1 => Wrapping::Vxlan,
                _ => Wrapping::DoubleTagged,
            };
            (wrapping, flow.clone())
        })
        .collect();
    let announced = site
        .announced
        .iter()
        .filter(|one| {
            // what the endpoint mapper answers is there wherever its flow is, used or not
            let mapper = at(one.endpoint.ip(), 135);
            flows.iter().any(|(_, flow)| flow.server == mapper)
        })
        .cloned()
        .collect();
    let mut ids = Identifications::default();
    let mut sequence = 0_u32;
    let mut frames = Vec::new();
    for frame in &site.frames {
        let Some((wrapping, _)) = flows.iter().find(|(_, flow)| belongs(frame, flow)) else {
            continue;
        };
        let bytes = match wrapping {
            Wrapping::Erspan => {
                sequence += 1;
                erspan(frame, sequence, &mut ids)
            }
            Wrapping::Vxlan => vxlan(frame, &mut ids),
            Wrapping::DoubleTagged => double_tagged(frame),
        };
        // a mirror is a little late
        frames.push(Frame {
            time: frame.time + 35,
            bytes,
        });
    }
    let flows = flows
        .into_iter()
        .map(|(wrapping, flow)| wrapped(wrapping, flow))
        .collect();
    Finished {
        frames,
        flows,
        announced,
        calls: Vec::new(),
    }
}

fn wrapped(wrapping: Wrapping, flow: Flow) -> Flow {
    let tagged = !flow.tunnel.is_empty();
    let tunnel: &[&str] = match (wrapping, tagged) {
        (Wrapping::Erspan, false) => &["erspan"],
        (Wrapping::Erspan, true) => &["erspan", "vlan:101"],
        (Wrapping::Vxlan, false) => &["vxlan:5010"],
        (Wrapping::Vxlan, true) => &["vxlan:5010", "vlan:101"],
        (Wrapping::DoubleTagged, false) => &["vlan:200", "vlan:12"],
        (Wrapping::DoubleTagged, true) => &["vlan:200", "vlan:101"],
    };
    Flow { tunnel, ..flow }
}

/// A choice that stands alone: where a dynamic port is used, the endpoint mapper's answer is there too.
fn taken(flow: &Flow) -> bool {
    match flow.service {
        Some("dns" | "autodiscover" | "referral" | "address_book") => true,
        Some("kerberos" | "endpoint_mapper") => flow.transport == "tcp",
        Some("ldap") => flow.transport == "udp",
        _ => false,
    }
}

/// Whether a flow of the site has frames at `moment` or later.
pub(crate) fn outlives(site: &Finished, flow: &Flow, moment: u64) -> bool {
    site.frames
        .iter()
        .any(|frame| frame.time >= moment && belongs(frame, flow))
}

/// Whether a frame of the site's sample is one of a flow's: its addresses and ports are read where the generator
/// put them.
pub(crate) fn belongs(frame: &Frame, flow: &Flow) -> bool {
    let start = if frame.bytes.get(12..14) == Some(&[0x81, 0]) {
        18
    } else {
        14
    };
    let (from, length, ports, protocol) = if flow.client.is_ipv4() {
        (12, 4, 20, 9)
    } else {
        (8, 16, 40, 6)
    };
    let part =
        |offset: usize, length: usize| frame.bytes.get(start + offset..start + offset + length);
    let kind: &[u8] = if flow.client.is_ipv4() {
        &[8, 0]
    } else {
        &[0x86, 0xDD]
    };
    let expected: &[u8] = if flow.transport == "tcp" { &[6] } else { &[17] };
    let is = |one: SocketAddr, other: SocketAddr| {
        let addresses = cat(&[
            &super::packet::octets(one.ip()),
            &super::packet::octets(other.ip()),
        ]);
        let both = cat(&[&one.port().to_be_bytes(), &other.port().to_be_bytes()]);
        part(from, length * 2) == Some(&addresses) && part(ports, 4) == Some(&both)
    };
    frame.bytes.get(start - 2..start) == Some(kind)
        && part(protocol, 1) == Some(expected)
        && (is(flow.client, flow.server) || is(flow.server, flow.client))
}

/// GRE with a sequence number, then ERSPAN's header of 8 bytes: version 1, VLAN 12, session 7, index 3.
fn erspan(frame: &Frame, sequence: u32, ids: &mut Identifications) -> Vec<u8> {
    let segment = cat(&[
        &[0x10, 0, 0x88, 0xBE],
        &sequence.to_be_bytes(),
        &[0x10, 12, 0, 7, 0, 0, 0, 3],
        &frame.bytes,
    ]);
    let (from, to) = (SocketAddr::new(SWITCH, 0), SocketAddr::new(COLLECTOR, 0));
    outer(&Packet::carrying(0, from, to, GRE, segment), ids)
}

/// VXLAN (RFC 7348 §5), network 5010.
fn vxlan(frame: &Frame, ids: &mut Identifications) -> Vec<u8> {
    let payload = cat(&[&[8, 0, 0, 0], &[0, 0x13, 0x92, 0], &frame.bytes]);
    let (from, to) = (
        SocketAddr::new(SWITCH, 51_515),
        SocketAddr::new(COLLECTOR, 4789),
    );
    outer(&Packet::udp(0, from, to, &payload), ids)
}

/// A wrapped frame in one piece: the way to the collector carries jumbo frames.
fn outer(packet: &Packet, ids: &mut Identifications) -> Vec<u8> {
    packet.frames_of_any_size(ids)
}

/// A service tag (802.1ad) around the customer's tag, which is 12 where the frame had none.
fn double_tagged(frame: &Frame) -> Vec<u8> {
    let (addresses, rest) = frame.bytes.split_at(12);
    let customer: &[u8] = if rest.starts_with(&[0x81, 0]) {
        &[]
    } else {
        &[0x81, 0, 0, 12]
    };
    cat(&[addresses, &[0x88, 0xA8, 0, 200], customer, rest])
}
