//! CAPWAP data (RFC 5415 §4.3): frames that access points hand to their controller, readable where they are not in DTLS.

use super::dissector::Next;
use super::ethernet;
use super::udp::Carried;
use super::window::Window;
use super::{Layer, Tunnel, ip};

/// The header says that the frame is IEEE 802.11; otherwise it is IEEE 802.3.
const NATIVE: u8 = 0x01;
/// The header says that the frame comes in fragments.
const FRAGMENT: u8 = 0x80;

/// Only a whole data frame with IP inside is a tunnel.
pub(super) fn carried(whole: Window<'_>) -> Option<Carried> {
    let mut window = whole;
    // Version 0, and no DTLS.
    let [0, length, binding, flags] = *window.array::<4>(Layer::Udp).ok()? else {
        return None;
    };
    let rest = usize::from(length >> 3).checked_mul(4)?.checked_sub(4)?;
    if flags & FRAGMENT != 0 {
        return None;
    }
    window.skip(rest, Layer::Udp).ok()?;
    let next = if binding & NATIVE == 0 {
        ethernet::plausible(window).then_some(Next::Ethernet)?
    } else {
        data_frame(&mut window)?;
        let mut inner = window;
        let [0xaa, 0xaa, 0x03, 0, 0, 0, _, _] = *inner.array::<8>(Layer::Llc).ok()? else {
            return None;
        };
        ip::plausible(inner).then_some(Next::Llc)?
    };
    Some(Carried {
        tunnel: Some(Tunnel::Capwap),
        header_len: whole.bytes().len().saturating_sub(window.bytes().len()),
        next,
    })
}

/// Passes over the header of an IEEE 802.11 data frame. Cisco swaps the two bytes of frame control; the version in the
/// lowest bits is 0, and the type is data, in one order only.
fn data_frame(window: &mut Window<'_>) -> Option<()> {
    let header: &[u8; 24] = window.array(Layer::Wifi).ok()?;
    let is_data = |control: u8| control & 0x4f == 0x08;
    let (control, flags) = match (header[0], header[1]) {
        (control, flags) | (flags, control) if is_data(control) => (control, flags),
        _ => return None,
    };
    if flags & 0x40 != 0 {
        return None;
    }
    if flags & 0x03 == 0x03 {
        window.skip(6, Layer::Wifi).ok()?;
    }
    if control & 0x80 != 0 {
        window.skip(2, Layer::Wifi).ok()?;
    }
    Some(())
}
