//! L2TP version 2 (RFC 2661 §3.1): data messages with PPP inside.

use super::dissector::Next;
use super::udp::Carried;
use super::window::Window;
use super::{Layer, Tunnel, ppp};

const CONTROL: u16 = 0x8000;
const LENGTH: u16 = 0x4000;
const SEQUENCE: u16 = 0x0800;
const OFFSET: u16 = 0x0200;
/// Bits that must be zero, and the version.
const FIXED: u16 = 0x34ff;
const VERSION: u16 = 0x0002;

/// Only a data message with IP in PPP is a tunnel; control messages and link negotiation stay UDP.
pub(super) fn carried(whole: Window<'_>) -> Option<Carried> {
    let mut window = whole;
    let flags = window.u16(Layer::Udp).ok()?;
    if flags & CONTROL != 0 || flags & FIXED != VERSION {
        return None;
    }
    if flags & LENGTH != 0 && usize::from(window.u16(Layer::Udp).ok()?) != whole.wire() {
        return None;
    }
    // Tunnel and session.
    window.skip(4, Layer::Udp).ok()?;
    if flags & SEQUENCE != 0 {
        window.skip(4, Layer::Udp).ok()?;
    }
    if flags & OFFSET != 0 {
        let padding = window.u16(Layer::Udp).ok()?;
        window.skip(usize::from(padding), Layer::Udp).ok()?;
    }
    ppp::plausible(window).then(|| Carried {
        tunnel: Some(Tunnel::L2tp),
        header_len: whole.bytes().len().saturating_sub(window.bytes().len()),
        next: Next::Ppp,
    })
}
