//! Teredo (RFC 4380): IPv6 in UDP, behind an optional authentication and an optional origin indication.

use etherparse::Ipv6HeaderSlice;

use super::dissector::Next;
use super::udp::Carried;
use super::window::Window;
use super::{Layer, Tunnel};

/// The inner packet must fill the datagram exactly, and speak for an address of Teredo or a link-local one (bubbles and
/// router solicitations).
pub(super) fn carried(whole: Window<'_>) -> Option<Carried> {
    let mut window = whole;
    if window.bytes().starts_with(&[0, 1]) {
        let [_, _, id_len, value_len] = *window.array::<4>(Layer::Udp).ok()?;
        // Both values, a nonce of 8 bytes, a confirmation (§5.1.1).
        let rest = usize::from(id_len)
            .saturating_add(usize::from(value_len))
            .saturating_add(9);
        window.skip(rest, Layer::Udp).ok()?;
    }
    if window.bytes().starts_with(&[0, 0]) {
        window.skip(8, Layer::Udp).ok()?;
    }
    let header_len = whole.bytes().len().saturating_sub(window.bytes().len());
    let header: Ipv6HeaderSlice<'_> = window.header(Layer::Udp).ok()?;
    let known = |address: [u8; 16]| match address {
        [0x20, 0x01, 0, 0, ..] => true,
        [0xfe, second, ..] => second & 0xc0 == 0x80,
        _ => false,
    };
    let consistent = usize::from(header.payload_length()) == window.wire()
        && (known(header.source()) || known(header.destination()));
    consistent.then_some(Carried {
        tunnel: Some(Tunnel::Teredo),
        header_len,
        next: Next::Ip,
    })
}
