//! Ethernet: Ethernet II, IEEE 802.3 with LLC and SNAP, VLAN tags of all kinds, and what an ethertype carries.

use etherparse::{Ethernet2HeaderSlice, SingleVlanHeaderSlice};

use super::dissector::{Next, Step, Walk, malformed, unsupported};
use super::window::Window;
use super::{Layer, Reason, Tunnel, ip};

const ARP: u16 = 0x0806;
pub(super) const IPV4: u16 = 0x0800;
pub(super) const IPV6: u16 = 0x86dd;
/// Values from here on are ethertypes; up to 1500 they are lengths (IEEE 802.3 §3.2.6).
const FIRST_ETHERTYPE: u16 = 0x0600;
const LONGEST_LENGTH: u16 = 1500;
/// Bytes of a MACsec integrity check value at the end of a frame (IEEE 802.1AE §14.1).
const MACSEC_ICV: usize = 16;

/// IEEE 802.1Q, 802.1ad, and the values that switches used for stacked tags before it.
pub(super) const fn is_vlan(ethertype: u16) -> bool {
    matches!(ethertype, 0x8100 | 0x88a8 | 0x9100 | 0x9200 | 0x9300)
}

/// From the destination address on.
pub(super) fn frame(walk: &mut Walk<'_>) -> Step {
    let header: Ethernet2HeaderSlice<'_> = walk.window.header(Layer::Ethernet)?;
    let kind = header.ether_type().0;
    if kind == IPV4 {
        return Ok(Next::Ip);
    }
    type_or_length(walk, kind)
}

fn type_or_length(walk: &mut Walk<'_>, kind: u16) -> Step {
    if kind >= FIRST_ETHERTYPE {
        return Ok(Next::EtherType(kind));
    }
    if kind > LONGEST_LENGTH {
        return unsupported(Layer::Ethernet, u32::from(kind));
    }
    if !walk.window.set_wire(usize::from(kind)) {
        walk.note(Layer::Ethernet, Reason::BeyondFrame);
    }
    Ok(Next::Llc)
}

/// IEEE 802.2 LLC, and SNAP on top of it (RFC 1042).
pub(super) fn llc(walk: &mut Walk<'_>) -> Step {
    const SNAP: [u8; 3] = [0xaa, 0xaa, 0x03];
    const IP: [u8; 3] = [0x06, 0x06, 0x03];
    match *walk.window.array::<3>(Layer::Llc)? {
        SNAP => match *walk.window.array::<5>(Layer::Llc)? {
            // RFC 1042, and its bridged twin of IEEE 802.1H.
            [0, 0, 0 | 0xf8, high, low] => Ok(Next::EtherType(u16::from_be_bytes([high, low]))),
            [_, _, _, high, low] => {
                unsupported(Layer::Llc, u32::from(u16::from_be_bytes([high, low])))
            }
        },
        IP => Ok(Next::Ip),
        [destination, _, _] => unsupported(Layer::Llc, u32::from(destination)),
    }
}

/// What an ethertype carries.
pub(super) fn carried(walk: &mut Walk<'_>, kind: u16) -> Step {
    match kind {
        IPV4 | IPV6 => Ok(Next::Ip),
        kind if is_vlan(kind) => {
            let tag: SingleVlanHeaderSlice<'_> = walk.window.header(Layer::Vlan)?;
            walk.enter(Tunnel::Vlan(tag.vlan_identifier().value()))?;
            type_or_length(walk, tag.ether_type().0)
        }
        0x8847 | 0x8848 => Ok(Next::Mpls),
        0x8864 => Ok(Next::PppoE),
        0x880b => Ok(Next::Ppp),
        0x6558 => Ok(Next::Ethernet),
        // IEEE 802.1ah §9.7: flags and a 24-bit service id, then a whole frame.
        0x88e7 => {
            let [_, service @ ..] = *walk.window.array::<4>(Layer::Pbb)?;
            walk.enter(Tunnel::Pbb(u24(service)))?;
            Ok(Next::Ethernet)
        }
        // Cisco VN-Tag: four bytes, then the ethertype.
        0x8926 => {
            walk.window.skip(4, Layer::Vlan)?;
            walk.window.u16(Layer::Vlan).map(Next::EtherType)
        }
        // Cisco FabricPath: tree and time to live, then a whole frame.
        0x8903 => {
            walk.window.skip(2, Layer::Vlan)?;
            walk.enter(Tunnel::FabricPath)?;
            Ok(Next::Ethernet)
        }
        // Cisco MetaData: version, length, option and security group, then the ethertype.
        0x8909 => {
            walk.window.skip(6, Layer::Vlan)?;
            walk.window.u16(Layer::Vlan).map(Next::EtherType)
        }
        0x88e5 => macsec(walk),
        0x894f => nsh(walk),
        other => unsupported(Layer::EtherType, u32::from(other)),
    }
}

/// IEEE 802.1AE §9: readable where the frame is only authenticated.
fn macsec(walk: &mut Walk<'_>) -> Step {
    let control = walk.window.array::<6>(Layer::MacSec)?[0];
    if control & 0x20 != 0 {
        walk.window.skip(8, Layer::MacSec)?;
    }
    if control & 0x0c != 0 {
        return unsupported(Layer::MacSec, u32::from(control));
    }
    walk.enter(Tunnel::MacSec)?;
    let kind = walk.window.u16(Layer::MacSec)?;
    let Some(inner) = walk.window.wire().checked_sub(MACSEC_ICV) else {
        return malformed(Layer::MacSec, Reason::Short);
    };
    walk.window.set_wire(inner);
    Ok(Next::EtherType(kind))
}

/// RFC 8300 §2.2: the length counts words of the whole header.
pub(super) fn nsh(walk: &mut Walk<'_>) -> Step {
    let base = *walk.window.array::<4>(Layer::Nsh)?;
    let length = usize::from(base[1] & 0x3f).saturating_mul(4);
    let Some(rest) = length.checked_sub(4) else {
        return malformed(Layer::Nsh, Reason::Length);
    };
    walk.window.skip(rest, Layer::Nsh)?;
    walk.enter(Tunnel::Nsh)?;
    match base[3] {
        1 | 2 => Ok(Next::Ip),
        3 => Ok(Next::Ethernet),
        5 => Ok(Next::Mpls),
        other => unsupported(Layer::Nsh, u32::from(other)),
    }
}

/// An ARP message about IPv4 on Ethernet (RFC 826), up to its operation: a request or a reply.
const ARP_FOR_IPV4: [[u8; 8]; 2] = [[0, 1, 8, 0, 6, 4, 0, 1], [0, 1, 8, 0, 6, 4, 0, 2]];

/// Whether the window starts with an Ethernet frame that carries a plausible IP header, tagged or not, or ARP for IPv4.
pub(super) fn plausible(mut window: Window<'_>) -> bool {
    let mut read = || -> Option<bool> {
        let header: Ethernet2HeaderSlice<'_> = window.header(Layer::Ethernet).ok()?;
        let mut kind = header.ether_type().0;
        for _ in 0..super::MAX_TAGS {
            match kind {
                IPV4 | IPV6 => return Some(ip::plausible(window)),
                ARP => {
                    let start = window.array::<8>(Layer::Ethernet).ok()?;
                    return Some(ARP_FOR_IPV4.contains(start));
                }
                _ if is_vlan(kind) => {
                    let tag: SingleVlanHeaderSlice<'_> = window.header(Layer::Vlan).ok()?;
                    kind = tag.ether_type().0;
                }
                _ => return None,
            }
        }
        None
    };
    read().unwrap_or(false)
}

/// A 24-bit number in network order.
pub(super) const fn u24(bytes: [u8; 3]) -> u32 {
    let [high, middle, low] = bytes;
    u32::from_be_bytes([0, high, middle, low])
}
