//! ICMP (RFC 792) and ICMPv6 (RFC 4443): type, code, and the flow that an error quotes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::checksum;
use super::dissector::{Next, Step, Walk};
use super::{Checksum, Layer, Transport, TransportHeader};
use crate::bytes::{Cursor, Short};
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
    let header = *walk.window.array::<8>(Layer::Icmp)?;
    let [kind, code, c0, c1, rest @ ..] = header;
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
    if is_error && let Ok(Some((transport, source, destination))) = quotation(walk.window.bytes()) {
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
fn quotation(bytes: &[u8]) -> Result<Option<(Transport, Endpoint, Endpoint)>, Short> {
    let mut cursor = Cursor::new(bytes);
    let (protocol, source, destination, has_ports) = match cursor.peek().map(|byte| byte >> 4) {
        Some(4) => {
            let header: &[u8; 20] = cursor.array()?;
            let [.., s0, s1, s2, s3, d0, d1, d2, d3] = *header;
            let header_len = usize::from(header[0] & 0x0f).saturating_mul(4);
            let Some(options_len) = header_len.checked_sub(20) else {
                return Ok(None);
            };
            cursor.skip(options_len)?;
            let offset = u16::from_be_bytes([header[6], header[7]]) & 0x1fff;
            (
                header[9],
                IpAddr::V4(Ipv4Addr::new(s0, s1, s2, s3)),
                IpAddr::V4(Ipv4Addr::new(d0, d1, d2, d3)),
                offset == 0,
            )
        }
        Some(6) => {
            cursor.skip(6)?;
            let mut protocol = cursor.u8()?;
            cursor.skip(1)?;
            let source = IpAddr::V6(Ipv6Addr::from(cursor.u128()?));
            let destination = IpAddr::V6(Ipv6Addr::from(cursor.u128()?));
            let mut has_ports = true;
            for _ in 0..MAX_QUOTED_EXTENSIONS {
                match protocol {
                    0 | 43 | 60 => {
                        protocol = cursor.u8()?;
                        let units = usize::from(cursor.u8()?);
                        cursor.skip(units.saturating_mul(8).saturating_add(6))?;
                    }
                    44 => {
                        protocol = cursor.u8()?;
                        cursor.skip(1)?;
                        has_ports &= cursor.u16()? & 0xfff8 == 0;
                        cursor.skip(4)?;
                    }
                    _ => break,
                }
            }
            (protocol, source, destination, has_ports)
        }
        _ => return Ok(None),
    };
    let transport = Transport(protocol);
    let (from, to) = if has_ports && transport.has_ports() {
        (cursor.u16()?, cursor.u16()?)
    } else {
        (0, 0)
    };
    Ok(Some((
        transport,
        Endpoint::new(source, from),
        Endpoint::new(destination, to),
    )))
}
