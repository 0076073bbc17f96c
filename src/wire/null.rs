//! BSD loopback: four bytes of address family, in the byte order of the host that wrote the capture, or in network order
//! (LINKTYPE_LOOP). The values are so small that the order shows.

use super::Layer;
use super::dissector::{Next, Step, Walk, unsupported};

/// From the address family on.
pub(super) fn packet(walk: &mut Walk<'_>) -> Step {
    // Some writers put PPP here, which HDLC address and control give away.
    if walk.window.bytes().first_chunk() == Some(&[0xff, 0x03]) {
        return Ok(Next::Ppp);
    }
    let family = *walk.window.array::<4>(Layer::Link)?;
    let value = u32::from_be_bytes(family).min(u32::from_le_bytes(family));
    match u16::try_from(value) {
        // AF_INET; AF_INET6 of Linux, Windows, NetBSD and OpenBSD, FreeBSD, Darwin.
        Ok(2 | 10 | 23 | 24 | 28 | 30) => Ok(Next::Ip),
        // Some writers put the ethertype here.
        Ok(ethertype @ 0x0600..) => Ok(Next::EtherType(ethertype)),
        _ => unsupported(Layer::Link, value),
    }
}
