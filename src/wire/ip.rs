//! IPv4 (RFC 791) and IPv6 (RFC 8200) with their extension headers, the authentication header (RFC 4302), and IP in IP.

use std::net::IpAddr;

use etherparse::{
    IpAuthHeaderSlice, IpNumber, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice,
    Ipv6RawExtHeaderSlice,
};

use super::checksum;
use super::dissector::{Next, Step, Walk, malformed};
use super::fragments::{Fragment, Key};
use super::window::Window;
use super::{Checksums, Layer, Network, Reason, Stop, Transport, Tunnel};

/// IPv4 in IP.
pub(super) const IN_IPV4: Transport = Transport(4);
/// DCCP, which has its ports where UDP has them.
pub(super) const DCCP: Transport = Transport(33);
/// IPv6 in IP.
pub(super) const IN_IPV6: Transport = Transport(41);
/// Generic routing encapsulation.
pub(super) const GRE: Transport = Transport(47);
/// The authentication header.
pub(super) const AUTHENTICATION: Transport = Transport(51);
/// The end of an IPv6 header chain.
pub(super) const NO_NEXT_HEADER: Transport = Transport(59);
/// Ethernet in IP.
pub(super) const ETHER_IP: Transport = Transport(97);
/// Protocol independent multicast.
pub(super) const PIM: Transport = Transport(103);
/// MPLS in IP (RFC 4023).
pub(super) const MPLS: Transport = Transport(137);

/// The key of an IPv6 datagram has no protocol (RFC 8200 §4.5); the number of the fragment header stands in its place.
const FRAGMENT: u8 = 44;

/// Either version, by its first half-byte.
pub(super) fn packet(walk: &mut Walk<'_>) -> Step {
    match walk.window.peek().map(|byte| byte >> 4) {
        Some(4) => version_4(walk),
        Some(6) => version_6(walk),
        Some(_) => malformed(Layer::Ipv4, Reason::Version),
        None => Err(walk.window.short(1, Layer::Ipv4)),
    }
}

/// Enters the header that is in the one read last.
pub(super) fn in_ip(walk: &mut Walk<'_>, number: u8) -> Step {
    let outer_is_v6 = walk
        .layers
        .network
        .is_some_and(|network| network.source.is_ipv6());
    let inner_is_v6 = Transport(number) == IN_IPV6;
    walk.enter(match (outer_is_v6, inner_is_v6) {
        (false, false) => Tunnel::IpIp,
        (false, true) => Tunnel::SixInFour,
        (true, false) => Tunnel::FourInSix,
        (true, true) => Tunnel::SixInSix,
    })?;
    if inner_is_v6 {
        version_6(walk)
    } else {
        version_4(walk)
    }
}

fn version_4(walk: &mut Walk<'_>) -> Step {
    let frame = walk.window;
    let header: Ipv4HeaderSlice<'_> = walk.window.header(Layer::Ipv4)?;
    let header_len = header.slice().len();
    // Segmentation offload leaves the length to the network card.
    let (length, offloaded) = match header.total_len() {
        0 => (frame.wire(), true),
        length => (usize::from(length), false),
    };
    let Some(payload_len) = length.checked_sub(header_len) else {
        return malformed(Layer::Ipv4, Reason::Length);
    };
    if !walk.window.set_wire(payload_len) {
        walk.note(Layer::Ipv4, Reason::BeyondFrame);
    }
    let protocol = header.protocol().0;
    let identification = header.identification();
    let network = Network {
        source: IpAddr::V4(header.source_addr()),
        destination: IpAddr::V4(header.destination_addr()),
        protocol: Transport(protocol),
        wire_len: saturated(length),
        hop_limit: header.ttl(),
        identification,
        is_fragment: header.is_fragmenting_payload(),
    };
    begin(walk, network);
    if walk.verify_checksums && !offloaded {
        walk.layers.checksums.network = checksum::of_header(&header);
    }
    if !network.is_fragment {
        return Ok(Next::Protocol(protocol));
    }
    let piece = Piece {
        key: Key::new(&network, protocol, u32::from(identification)),
        offset: usize::from(header.fragments_offset().byte_offset()),
        more: header.more_fragments(),
        header_len,
        protocol,
    };
    fragment(walk, &piece)
}

fn version_6(walk: &mut Walk<'_>) -> Step {
    let header: Ipv6HeaderSlice<'_> = walk.window.header(Layer::Ipv6)?;
    // 0 is what a jumbogram says (RFC 2675), or segmentation offload; either way the frame has the length.
    let payload_len = match header.payload_length() {
        0 => walk.window.wire(),
        length => usize::from(length),
    };
    if !walk.window.set_wire(payload_len) {
        walk.note(Layer::Ipv6, Reason::BeyondFrame);
    }
    let next_header = header.next_header().0;
    begin(
        walk,
        Network {
            source: IpAddr::V6(header.source_addr()),
            destination: IpAddr::V6(header.destination_addr()),
            protocol: Transport(next_header),
            wire_len: saturated(payload_len.saturating_add(header.header_len())),
            hop_limit: header.hop_limit(),
            identification: 0,
            is_fragment: false,
        },
    );
    extensions(walk, next_header)
}

/// A new innermost IP header: what was read of an outer transport is the tunnel's, not the flow's.
fn begin(walk: &mut Walk<'_>, network: Network) {
    walk.layers.network = Some(network);
    walk.layers.transport = None;
    walk.layers.payload = &[];
    walk.layers.payload_wire_len = 0;
    walk.layers.checksums = Checksums::UNCHECKED;
    walk.headless = false;
    walk.checkable = true;
}

/// The IPv6 extension headers up to the transport (RFC 8200 §4).
fn extensions(walk: &mut Walk<'_>, mut next_header: u8) -> Step {
    loop {
        match next_header {
            // Hop-by-hop, routing, destination options, mobility, HIP, Shim6.
            kind if Ipv6RawExtHeaderSlice::header_type_supported(IpNumber(kind)) => {
                let header: Ipv6RawExtHeaderSlice<'_> = walk.window.header(Layer::Ipv6)?;
                // A route or a home address stands for an address of the header in the checksum (RFC 8200 §8.1).
                walk.checkable &= !matches!(next_header, 43 | 60);
                next_header = header.next_header().0;
            }
            FRAGMENT => return fragment_header(walk),
            other => return Ok(Next::Protocol(other)),
        }
    }
}

/// RFC 8200 §4.5.
fn fragment_header(walk: &mut Walk<'_>) -> Step {
    let header: Ipv6FragmentHeaderSlice<'_> = walk.window.header(Layer::Fragment)?;
    let protocol = header.next_header().0;
    // An atomic fragment is a whole datagram (RFC 6946).
    if !header.is_fragmenting_payload() {
        return extensions(walk, protocol);
    }
    let Some(network) = &mut walk.layers.network else {
        return Ok(Next::Done);
    };
    network.is_fragment = true;
    network.protocol = Transport(protocol);
    let headers = usize::try_from(network.wire_len)
        .unwrap_or(usize::MAX)
        .saturating_sub(walk.window.wire());
    let piece = Piece {
        key: Key::new(network, FRAGMENT, header.identification()),
        offset: usize::from(header.fragment_offset().byte_offset()),
        more: header.more_fragments(),
        header_len: headers,
        protocol,
    };
    fragment(walk, &piece)
}

struct Piece {
    key: Key,
    offset: usize,
    more: bool,
    header_len: usize,
    protocol: u8,
}

fn fragment(walk: &mut Walk<'_>, piece: &Piece) -> Step {
    let window = walk.window;
    if window.is_cut() {
        walk.pool.counters.cut = walk.pool.counters.cut.saturating_add(1);
        if piece.offset != 0 {
            return Err(Stop::Truncated {
                layer: Layer::Fragment,
            });
        }
        // With a short snap length, this is all that ever comes.
        return ports_only(walk, piece.protocol);
    }
    let pushed = walk.pool.push(
        walk.time,
        &Fragment {
            key: piece.key,
            offset: piece.offset,
            more: piece.more,
            header_len: piece.header_len,
            protocol: piece.protocol,
            bytes: window.bytes(),
        },
    );
    let datagram = match pushed {
        Ok(datagram) => datagram,
        Err(Stop::Malformed { layer, reason }) if piece.offset == 0 => {
            walk.note(layer, reason);
            return ports_only(walk, piece.protocol);
        }
        Err(stop) => return Err(stop),
    };
    if let Some(network) = &mut walk.layers.network {
        network.wire_len = saturated(datagram.header_len.saturating_add(datagram.bytes.len()));
    }
    walk.continue_in(datagram.bytes)?;
    after_fragment(walk, datagram.protocol)
}

/// The datagram cannot be had, but its first fragment is here, and has the ports: the flow exists.
fn ports_only(walk: &mut Walk<'_>, protocol: u8) -> Step {
    walk.headless = true;
    walk.checkable = false;
    after_fragment(walk, protocol)
}

fn after_fragment(walk: &mut Walk<'_>, protocol: u8) -> Step {
    match walk.ip_layer() {
        Layer::Ipv6 => extensions(walk, protocol),
        _ => Ok(Next::Protocol(protocol)),
    }
}

/// Passes over an authentication header: what it authenticates is in clear.
pub(super) fn authentication(walk: &mut Walk<'_>) -> Step {
    let layer = walk.ip_layer();
    let header: IpAuthHeaderSlice<'_> = walk.window.header(layer)?;
    after_fragment(walk, header.next_header().0)
}

/// Whether the window starts with an IP header that is consistent: version, lengths within the window, and, for IPv4, a
/// checksum that fits (or is left to the network card). For tunnels that are known only by a port.
pub(super) fn plausible(mut window: Window<'_>) -> bool {
    let wire = window.wire();
    match window.peek().map(|byte| byte >> 4) {
        Some(4) => {
            let Ok(header) = window.header::<Ipv4HeaderSlice<'_>>(Layer::Ipv4) else {
                return false;
            };
            let length = usize::from(header.total_len());
            (length == 0 || (header.slice().len()..=wire).contains(&length))
                && checksum::of_header(&header) != checksum::Checksum::Bad
        }
        Some(6) => window
            .header::<Ipv6HeaderSlice<'_>>(Layer::Ipv6)
            .is_ok_and(|header| usize::from(header.payload_length()) <= window.wire()),
        _ => false,
    }
}

fn saturated(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
