//! From a transport segment to Ethernet frames: TCP, UDP and ICMP headers, IPv4 and IPv6, fragments, VLAN tags.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::bytes::{cat, u16_of};
use super::hosts::is_ours;

pub(crate) const ICMP: u8 = 1;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
const FRAGMENT: u8 = 44;

/// Largest IP packet on the wire of the samples.
const MTU: usize = 1500;

/// One IP packet before it is put on the wire.
#[derive(Clone)]
pub(crate) struct Packet {
    /// Microseconds since the start of the sample.
    pub(crate) at: u64,
    pub(crate) vlan: Option<u16>,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) protocol: u8,
    /// Transport header and payload, checksum in place.
    pub(crate) segment: Vec<u8>,
    /// The IP identification, where something else quotes it.
    pub(crate) id: Option<u16>,
    /// The two endpoints, source first; ports are 0 where the protocol has none.
    pub(crate) ports: (u16, u16),
}

impl Packet {
    pub(crate) fn udp(at: u64, from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Self {
        let length = u16_of(8 + payload.len());
        let mut segment = cat(&[
            &from.port().to_be_bytes(),
            &to.port().to_be_bytes(),
            &length.to_be_bytes(),
            &[0, 0],
            payload,
        ]);
        let sum = match transport_checksum(from.ip(), to.ip(), UDP, &segment) {
            0 => 0xFFFF,
            sum => sum,
        };
        put(&mut segment, 6, &sum.to_be_bytes());
        Self::carrying(at, from, to, UDP, segment)
    }

    pub(crate) fn carrying(
        at: u64,
        from: SocketAddr,
        to: SocketAddr,
        protocol: u8,
        segment: Vec<u8>,
    ) -> Self {
        Self {
            at,
            vlan: None,
            source: from.ip(),
            destination: to.ip(),
            protocol,
            segment,
            id: None,
            ports: (from.port(), to.port()),
        }
    }

    /// An ICMP "destination unreachable, communication administratively prohibited" (RFC 1812 §5.2.7.1, type 3
    /// code 13) about `offending`, which it quotes: the IP header and the first 8 bytes behind it.
    pub(crate) fn prohibited(at: u64, from: IpAddr, offending: &Self) -> Self {
        Self::unreachable(at, from, offending, 13)
    }

    /// An ICMP "destination unreachable" of any code, with an MTU of 1400 where packets are too large (RFC 1191).
    pub(crate) fn unreachable(at: u64, from: IpAddr, offending: &Self, code: u8) -> Self {
        let mtu = if code == 4 { [0x05, 0x78] } else { [0, 0] };
        let id = offending.id.expect("what is quoted has its identification");
        let quoted_header = ipv4_header(offending, id, offending.segment.len(), 0);
        let quoted = offending.segment.get(..8).unwrap_or(&offending.segment);
        let mut segment = cat(&[&[3, code, 0, 0, 0, 0], &mtu, &quoted_header, quoted]);
        let sum = checksum(&segment);
        put(&mut segment, 2, &sum.to_be_bytes());
        let (from, to) = (
            SocketAddr::new(from, 0),
            SocketAddr::new(offending.source, 0),
        );
        Self::carrying(at, from, to, ICMP, segment)
    }

    /// The frames of this packet, and the bytes that IP counts for it: one, or several fragments.
    pub(crate) fn frames(&self, ids: &mut Identifications) -> Vec<(Vec<u8>, usize)> {
        let id = self.id.unwrap_or_else(|| ids.next(self.source));
        match self.source {
            IpAddr::V4(_) => self.frames_v4(id),
            IpAddr::V6(_) => vec![self.frame_v6()],
        }
    }

    /// The one frame of this IPv4 packet however long it is.
    pub(crate) fn frames_of_any_size(&self, ids: &mut Identifications) -> Vec<u8> {
        let header = ipv4_header(self, ids.next(self.source), self.segment.len(), 0x4000);
        self.ethernet(0x0800, &[&header, &self.segment])
    }

    fn frames_v4(&self, id: u16) -> Vec<(Vec<u8>, usize)> {
        let room = (MTU - 20) / 8 * 8;
        let last = self.segment.len().div_ceil(room).max(1) - 1;
        let mut frames = Vec::new();
        for (number, piece) in self.segment.chunks(room).enumerate() {
            let more = if number < last { 0x2000 } else { 0 };
            let offset = u16_of(number * room / 8) | more;
            let header = ipv4_header(self, id, piece.len(), offset);
            frames.push((self.ethernet(0x0800, &[&header, piece]), 20 + piece.len()));
        }
        frames
    }

    fn frame_v6(&self) -> (Vec<u8>, usize) {
        assert!(self.segment.len() + 40 <= MTU && self.protocol != FRAGMENT);
        let header = cat(&[
            &[0x60, 0, 0, 0],
            &u16_of(self.segment.len()).to_be_bytes(),
            &[self.protocol, hops(self.source)],
            &octets(self.source),
            &octets(self.destination),
        ]);
        (
            self.ethernet(0x86DD, &[&header, &self.segment]),
            40 + self.segment.len(),
        )
    }

    /// Ethernet II with an optional 802.1Q tag, padded to 60 bytes as a switch delivers it.
    fn ethernet(&self, kind: u16, pieces: &[&[u8]]) -> Vec<u8> {
        let mut frame = cat(&[&hardware(self.destination), &hardware(self.source)]);
        if let Some(vlan) = self.vlan {
            frame.extend(0x8100_u16.to_be_bytes());
            frame.extend(vlan.to_be_bytes());
        }
        frame.extend(kind.to_be_bytes());
        for piece in pieces {
            frame.extend(*piece);
        }
        frame.resize(frame.len().max(60), 0);
        frame
    }
}

/// IP identifications: one counter for each sender, as Windows counts.
#[derive(Default)]
pub(crate) struct Identifications(BTreeMap<IpAddr, u16>);

impl Identifications {
    pub(crate) fn next(&mut self, sender: IpAddr) -> u16 {
        let start = octets(sender).iter().fold(0x1d3_u16, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(u16::from(*byte))
        });
        let counter = self.0.entry(sender).or_insert(start);
        *counter = counter.wrapping_add(1);
        *counter
    }
}

/// An IPv4 header without options around `length` bytes; `offset` carries the fragment flags.
pub(crate) fn ipv4_header(packet: &Packet, id: u16, length: usize, offset: u16) -> Vec<u8> {
    let fragments = packet.segment.len() + 20 > MTU;
    let flags = if fragments || packet.protocol == ICMP {
        offset
    } else {
        offset | 0x4000
    };
    let mut header = cat(&[
        &[0x45, 0],
        &u16_of(20 + length).to_be_bytes(),
        &id.to_be_bytes(),
        &flags.to_be_bytes(),
        &[hops(packet.source), packet.protocol, 0, 0],
        &octets(packet.source),
        &octets(packet.destination),
    ]);
    let sum = checksum(&header);
    put(&mut header, 10, &sum.to_be_bytes());
    header
}

/// Time to live as seen at the tap: 128 for our Windows hosts, less for who is far away.
fn hops(sender: IpAddr) -> u8 {
    if is_ours(sender) { 128 } else { 113 }
}

pub(crate) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// A locally administered hardware address made of the last four bytes of the IP address.
pub(crate) fn hardware(address: IpAddr) -> Vec<u8> {
    let octets = octets(address);
    let family = if address.is_ipv4() { 4 } else { 6 };
    let last = octets.get(octets.len() - 4..).unwrap_or(&octets);
    cat(&[&[2, family], last])
}

/// The checksum of TCP and UDP with the pseudo-header (RFC 793 §3.1, RFC 8200 §8.1).
pub(crate) fn transport_checksum(from: IpAddr, to: IpAddr, protocol: u8, segment: &[u8]) -> u16 {
    let length = u16_of(segment.len()).to_be_bytes();
    checksum(&cat(&[
        &octets(from),
        &octets(to),
        &[0, protocol],
        &length,
        segment,
    ]))
}

/// The Internet checksum (RFC 1071).
pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        sum += match *pair {
            [high, low] => u32::from(u16::from_be_bytes([high, low])),
            [high] => u32::from(high) << 8,
            _ => 0,
        };
    }
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded")
}

/// Overwrites bytes at an offset.
pub(crate) fn put(bytes: &mut [u8], offset: usize, value: &[u8]) {
    bytes
        .get_mut(offset..offset + value.len())
        .expect("inside the header")
        .copy_from_slice(value);
}
