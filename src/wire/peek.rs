//! A look at the addresses of a packet before it is read, for those who share packets out.

use std::net::IpAddr;

use super::{ethernet, linux_cooked, udp};
use crate::net::{LinkType, Transport};

/// Tags that are looked past; packets with more are rare.
const MAX_TAGS: usize = 2;

/// The addresses of a packet whose flow certainly lies between them: IP in Ethernet, in a Linux cooked capture or by itself, no
/// fragment, TCP or UDP, no port of a tunnel. `None` for every other packet: only reading it whole tells.
///
/// [`super::Dissector::dissect`] of such a packet finds no flow between other addresses, and leaves nothing behind that
/// matters for another packet.
pub fn addresses(link: LinkType, bytes: &[u8]) -> Option<(IpAddr, IpAddr)> {
    let packet = match link {
        LinkType::ETHERNET => behind_tags(bytes.get(12..)?)?,
        LinkType::LINUX_SLL if !linux_cooked::is_netlink(bytes) => behind_tags(bytes.get(14..)?)?,
        LinkType::RAW | LinkType::IPV4 | LinkType::IPV6 => bytes,
        _ => return None,
    };
    match packet.first()? >> 4 {
        4 => version_4(packet),
        6 => version_6(packet),
        _ => None,
    }
}

/// The IP packet behind an ethertype, or behind the ethertypes of tags.
fn behind_tags(mut rest: &[u8]) -> Option<&[u8]> {
    for _ in 0..=MAX_TAGS {
        let (&[high, low], carried) = rest.split_first_chunk()?;
        match u16::from_be_bytes([high, low]) {
            ethernet::IPV4 | ethernet::IPV6 => return Some(carried),
            kind if ethernet::is_vlan(kind) => rest = carried.get(2..)?,
            _ => return None,
        }
    }
    None
}

fn version_4(packet: &[u8]) -> Option<(IpAddr, IpAddr)> {
    let header: &[u8; 20] = packet.first_chunk()?;
    let [
        version,
        _,
        _,
        _,
        _,
        _,
        f0,
        f1,
        _,
        protocol,
        _,
        _,
        addresses @ ..,
    ] = *header;
    let [s0, s1, s2, s3, d0, d1, d2, d3] = addresses;
    let is_fragment = u16::from_be_bytes([f0, f1]) & 0x3fff != 0;
    let transport = packet.get(usize::from(version & 0x0f).saturating_mul(4)..)?;
    (!is_fragment && is_plain(protocol, transport))
        .then(|| ([s0, s1, s2, s3].into(), [d0, d1, d2, d3].into()))
}

fn version_6(packet: &[u8]) -> Option<(IpAddr, IpAddr)> {
    let (header, transport) = packet.split_first_chunk::<40>()?;
    let address = |at| -> Option<[u8; 16]> { header.get(at..)?.first_chunk().copied() };
    is_plain(header[6], transport).then_some((address(8)?.into(), address(24)?.into()))
}

/// Whether a transport carries nothing that has addresses of its own.
fn is_plain(protocol: u8, transport: &[u8]) -> bool {
    match Transport(protocol) {
        Transport::TCP => true,
        Transport::UDP => match *transport {
            [s0, s1, d0, d1, ..] => {
                let ports = [[s0, s1], [d0, d1]].map(u16::from_be_bytes);
                !ports.into_iter().any(udp::may_be_tunnel)
            }
            _ => false,
        },
        _ => false,
    }
}
