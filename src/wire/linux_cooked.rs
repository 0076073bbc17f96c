//! Linux cooked captures (`any` device), versions 1 and 2.
//!
//! Read here: etherparse refuses version 1 with packet types and hardware that it does not know, and lacks version 2.

use super::Layer;
use super::dissector::{Next, Step, Walk, unsupported};

/// ARPHRD_NETLINK: netlink messages, not packets.
const NETLINK: u16 = 824;
/// The protocol of IEEE 802.2 frames.
const LLC: u16 = 4;

/// Sixteen bytes: the protocol is last.
pub(super) fn version_1(walk: &mut Walk<'_>) -> Step {
    let header: &[u8; 16] = walk.window.array(Layer::Link)?;
    carried(
        u16::from_be_bytes([header[2], header[3]]),
        u16::from_be_bytes([header[14], header[15]]),
    )
}

/// Whether a packet of version 1 holds a message of netlink, and no protocol.
pub(super) fn is_netlink(packet: &[u8]) -> bool {
    let hardware = packet.get(2..).and_then(|rest| rest.first_chunk());
    hardware.is_some_and(|hardware| u16::from_be_bytes(*hardware) == NETLINK)
}

/// Twenty bytes: the protocol is first.
pub(super) fn version_2(walk: &mut Walk<'_>) -> Step {
    let header: &[u8; 20] = walk.window.array(Layer::Link)?;
    carried(
        u16::from_be_bytes([header[8], header[9]]),
        u16::from_be_bytes([header[0], header[1]]),
    )
}

fn carried(hardware: u16, protocol: u16) -> Step {
    match (hardware, protocol) {
        (NETLINK, _) => unsupported(Layer::Link, u32::from(hardware)),
        (_, LLC) => Ok(Next::Llc),
        (_, ethertype) => Ok(Next::EtherType(ethertype)),
    }
}
