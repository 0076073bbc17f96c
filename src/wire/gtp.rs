//! GTP-U (3GPP TS 29.281 §5): user packets of mobile networks.

use super::dissector::Next;
use super::udp::Carried;
use super::window::Window;
use super::{Layer, Tunnel, ip};

/// A user packet.
const G_PDU: u8 = 255;

/// Only a user packet with IP inside is a tunnel; signalling stays UDP.
pub(super) fn carried(whole: Window<'_>) -> Option<Carried> {
    let mut window = whole;
    let [flags, G_PDU, l0, l1, id @ ..] = *window.array::<8>(Layer::Udp).ok()? else {
        return None;
    };
    // Version 1, protocol type GTP, spare bit.
    if flags & 0xf8 != 0x30 || usize::from(u16::from_be_bytes([l0, l1])) != window.wire() {
        return None;
    }
    if flags & 0x07 != 0 {
        let [_, _, _, mut extension] = *window.array::<4>(Layer::Udp).ok()?;
        if flags & 0x04 == 0 {
            extension = 0;
        }
        // Each extension shrinks the window, so that the chain ends.
        while extension != 0 {
            let words = usize::from(window.array::<1>(Layer::Udp).ok()?[0]);
            let body = words.checked_mul(4)?.checked_sub(2)?;
            window.skip(body, Layer::Udp).ok()?;
            [extension] = *window.array::<1>(Layer::Udp).ok()?;
        }
    }
    ip::plausible(window).then(|| Carried {
        tunnel: Some(Tunnel::GtpU(u32::from_be_bytes(id))),
        header_len: whole.bytes().len().saturating_sub(window.bytes().len()),
        next: Next::Ip,
    })
}
