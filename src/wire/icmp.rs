//! ICMP (RFC 792) and ICMPv6 (RFC 4443): type, code, and the flow that an error quotes.

use std::net::IpAddr;

use etherparse::{
    IpFragOffset, IpNumber, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice,
    Ipv6RawExtHeaderSlice,
};

use super::checksum;
use super::dissector::{Next, Step, Walk};
use super::window::Window;
use super::{Checksum, Layer, Transport, TransportHeader};
use crate::net::Endpoint;

/// Extension headers that are passed over in a quoted packet; one or two are usual, and the quotation is short.
const MAX_QUOTED_EXTENSIONS: usize = 4;

/// The head of an ICMP or ICMPv6 message; which of the two, [`super::Network::protocol`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpMessage {
    /// The type.
    pub kind: u8,
    /// The code.
    pub code: u8,
    /// The second word of the header: identifier and sequence, next-hop MTU, pointer ... by type.
    pub rest: u32,
}

/// The flow that an ICMP error speaks about: it was sent from `source` to `destination`, and the sender of the error
/// ([`super::Network::source`]) could not pass it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quoted {
    /// The transport of the quoted packet.
    pub transport: Transport,
    /// Who sent it.
    pub source: Endpoint,
    /// Who was to have it.
    pub destination: Endpoint,
    /// The type of the error.
    pub kind: u8,
    /// The code of the error.
    pub code: u8,
    /// The largest packet that the next link takes, in bytes, where the error is about size (RFC 1191, RFC 4443 §3.2).
    pub mtu: Option<u32>,
}

/// From the type on.
pub(super) fn message(walk: &mut Walk<'_>) -> Step {
    let whole = walk.window;
    // Read here: etherparse takes the whole message, and refuses timestamps with bytes behind them or cut off.
    let [kind, code, c0, c1, rest @ ..] = *walk.window.array::<8>(Layer::Icmp)?;
    let rest = u32::from_be_bytes(rest);
    walk.deliver(TransportHeader::Icmp(IcmpMessage { kind, code, rest }));
    let Some(network) = walk.layers.network else {
        return Ok(Next::Done);
    };
    let is_v6 = network.protocol == Transport::ICMPV6;
    if walk.verify_checksums {
        walk.layers.checksums.transport = if whole.is_cut() || !walk.checkable {
            Checksum::Unverifiable
        } else if is_v6 {
            checksum::of_segment(&network, whole.bytes(), u16::from_be_bytes([c0, c1]))
        } else {
            checksum::of_message(whole.bytes())
        };
    }
    let is_error = if is_v6 {
        matches!(kind, 1..=4)
    } else {
        matches!(kind, 3 | 11 | 12)
    };
    if is_error && let Some((transport, source, destination)) = quotation(walk.window) {
        walk.layers.quoted = Some(Quoted {
            transport,
            source,
            destination,
            kind,
            code,
            mtu: match (is_v6, kind, code) {
                (true, 2, _) => Some(rest),
                (false, 3, 4) => Some(rest & 0xffff),
                _ => None,
            },
        });
    }
    Ok(Next::Done)
}

/// The head of the packet that an error quotes: at least 8 bytes behind the IP header (RFC 792). Without ports where it
/// quotes a later fragment.
fn quotation(mut window: Window<'_>) -> Option<(Transport, Endpoint, Endpoint)> {
    let (protocol, source, destination, has_ports) = match window.peek()? >> 4 {
        4 => {
            let header: Ipv4HeaderSlice<'_> = window.header(Layer::Icmp).ok()?;
            (
                header.protocol(),
                IpAddr::V4(header.source_addr()),
                IpAddr::V4(header.destination_addr()),
                header.fragments_offset() == IpFragOffset::ZERO,
            )
        }
        6 => {
            let header: Ipv6HeaderSlice<'_> = window.header(Layer::Icmp).ok()?;
            let mut protocol = header.next_header();
            let mut has_ports = true;
            for _ in 0..MAX_QUOTED_EXTENSIONS {
                if protocol == IpNumber::IPV6_FRAGMENTATION_HEADER {
                    let header: Ipv6FragmentHeaderSlice<'_> = window.header(Layer::Icmp).ok()?;
                    protocol = header.next_header();
                    has_ports &= header.fragment_offset() == IpFragOffset::ZERO;
                } else if Ipv6RawExtHeaderSlice::header_type_supported(protocol) {
                    let header: Ipv6RawExtHeaderSlice<'_> = window.header(Layer::Icmp).ok()?;
                    protocol = header.next_header();
                } else {
                    break;
                }
            }
            (
                protocol,
                IpAddr::V6(header.source_addr()),
                IpAddr::V6(header.destination_addr()),
                has_ports,
            )
        }
        _ => return None,
    };
    let transport = Transport(protocol.0);
    let (from, to) = if has_ports && transport.has_ports() {
        (window.u16(Layer::Icmp).ok()?, window.u16(Layer::Icmp).ok()?)
    } else {
        (0, 0)
    };
    Some((
        transport,
        Endpoint::new(source, from),
        Endpoint::new(destination, to),
    ))
}
