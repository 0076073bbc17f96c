//! Link types that put their own header before a packet of another link type, and a few rare links.

use super::dissector::{Next, Step, Walk, malformed, unsupported};
use super::{Layer, Reason};
use crate::net::LinkType;

/// Where Darwin writes PKTAP without saying so (DLT_USER2 was its first value).
pub(super) const USER2: LinkType = LinkType(149);
/// LINKTYPE_IPOIB.
pub(super) const IP_OVER_INFINIBAND: LinkType = LinkType(242);
/// LINKTYPE_FDDI.
pub(super) const FDDI: LinkType = LinkType(10);
/// LINKTYPE_JUNIPER_ETHER.
pub(super) const JUNIPER_ETHERNET: LinkType = LinkType(178);

/// Per-Packet Information: version, flags, length, link type; then fields.
pub(super) fn ppi(walk: &mut Walk<'_>) -> Step {
    let header = *walk.window.array::<8>(Layer::Link)?;
    let length = usize::from(u16::from_le_bytes([header[2], header[3]]));
    let link = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
    behind(walk, length, 8, link)
}

/// Apple PKTAP: length, record type, link type; then interface and process.
pub(super) fn pktap(walk: &mut Walk<'_>) -> Step {
    let header = *walk.window.array::<12>(Layer::Link)?;
    let length = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
    let link = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
    behind(
        walk,
        usize::try_from(length).unwrap_or(usize::MAX),
        12,
        link,
    )
}

/// Goes past a header of `length` bytes, `read` of which are read.
fn behind(walk: &mut Walk<'_>, length: usize, read: usize, link: u32) -> Step {
    let Some(rest) = length.checked_sub(read) else {
        return malformed(Layer::Link, Reason::Length);
    };
    walk.window.skip(rest, Layer::Link)?;
    match u16::try_from(link).map(LinkType) {
        // A header within a header of its kind leads nowhere but deeper.
        Ok(LinkType::PPI | LinkType::PKTAP | USER2) | Err(_) => unsupported(Layer::Link, link),
        Ok(inner) => Ok(Next::Link(inner)),
    }
}

/// Netfilter log: address family, version, group; then attributes (length with its own header, type, both in the byte
/// order of the host) padded to four bytes. The packet is attribute 9.
pub(super) fn nflog(walk: &mut Walk<'_>) -> Step {
    const PAYLOAD: u16 = 9;
    let family = walk.window.array::<4>(Layer::Link)?[0];
    if !matches!(family, 2 | 10) {
        return unsupported(Layer::Link, u32::from(family));
    }
    loop {
        let header = *walk.window.array::<4>(Layer::Link)?;
        let length = usize::from(u16::from_le_bytes([header[0], header[1]]));
        let kind = u16::from_le_bytes([header[2], header[3]]);
        let Some(length) = length.checked_sub(4) else {
            return malformed(Layer::Link, Reason::Length);
        };
        if kind == PAYLOAD {
            if !walk.window.set_wire(length) {
                walk.note(Layer::Link, Reason::BeyondFrame);
            }
            return Ok(Next::Ip);
        }
        walk.window.skip(length.next_multiple_of(4), Layer::Link)?;
    }
}

/// Hilscher netANALYZER: four bytes of status, then Ethernet.
pub(super) fn net_analyzer(walk: &mut Walk<'_>) -> Step {
    walk.window.skip(4, Layer::Link)?;
    Ok(Next::Ethernet)
}

/// Global route header, then ethertype and two reserved bytes (RFC 4391 §6).
pub(super) fn ip_over_infiniband(walk: &mut Walk<'_>) -> Step {
    walk.window.skip(40, Layer::Link)?;
    let [high, low, _, _] = *walk.window.array::<4>(Layer::Link)?;
    Ok(Next::EtherType(u16::from_be_bytes([high, low])))
}

/// Frame control and two addresses, then LLC.
pub(super) fn fddi(walk: &mut Walk<'_>) -> Step {
    walk.window.skip(13, Layer::Link)?;
    Ok(Next::Llc)
}

/// Juniper: magic, flags; where flag 0x80 is set, extensions with their length; then Ethernet.
pub(super) fn juniper_ethernet(walk: &mut Walk<'_>) -> Step {
    let [m, g, c, flags] = *walk.window.array::<4>(Layer::Link)?;
    if [m, g, c] != *b"MGC" {
        return malformed(Layer::Link, Reason::Field);
    }
    if flags & 0x80 != 0 {
        let length = walk.window.u16(Layer::Link)?;
        walk.window.skip(usize::from(length), Layer::Link)?;
    }
    if flags & 0x02 != 0 {
        return unsupported(Layer::Link, u32::from(flags));
    }
    Ok(Next::Ethernet)
}
