//! PPP (RFC 1661, RFC 1662), PPPoE sessions (RFC 2516) and Cisco HDLC.

use super::dissector::{Next, Step, Walk, malformed, unsupported};
use super::window::Window;
use super::{Layer, Reason, Tunnel, ip};

/// Address and control of HDLC-like framing, which peers may agree to leave out (RFC 1661 §6.6).
const ADDRESS_AND_CONTROL: [u8; 2] = [ALL_STATIONS, 0x03];
/// The address; no protocol has this number.
const ALL_STATIONS: u8 = 0xff;
const IPV4: u16 = 0x0021;
const IPV6: u16 = 0x0057;

/// A PPP session in Ethernet, from the version field on.
pub(super) fn session(walk: &mut Walk<'_>) -> Step {
    let header = *walk.window.array::<6>(Layer::PppoE)?;
    let [version_and_type, code, _, _, high, low] = header;
    if version_and_type != 0x11 {
        return malformed(Layer::PppoE, Reason::Version);
    }
    if code != 0 {
        return unsupported(Layer::PppoE, u32::from(code));
    }
    walk.enter(Tunnel::PppoE)?;
    if !walk
        .window
        .set_wire(usize::from(u16::from_be_bytes([high, low])))
    {
        walk.note(Layer::PppoE, Reason::BeyondFrame);
    }
    Ok(Next::Ppp)
}

/// From the address field, where there is one, else from the protocol field.
pub(super) fn frame(walk: &mut Walk<'_>) -> Step {
    match protocol(&mut walk.window)? {
        IPV4 | IPV6 => Ok(Next::Ip),
        0x0281 | 0x0283 => Ok(Next::Mpls),
        other => unsupported(Layer::Ppp, u32::from(other)),
    }
}

/// The protocol number: one byte where it is compressed, which its lowest bit shows (RFC 1661 §2, §6.5).
fn protocol(window: &mut Window<'_>) -> Result<u16, super::Stop> {
    if window.peek() == Some(ALL_STATIONS) && *window.array::<2>(Layer::Ppp)? != ADDRESS_AND_CONTROL
    {
        return unsupported(Layer::Ppp, u32::from(ALL_STATIONS));
    }
    match *window.array::<1>(Layer::Ppp)? {
        [low] if low & 1 != 0 => Ok(u16::from(low)),
        [high] => Ok(u16::from_be_bytes([
            high,
            window.array::<1>(Layer::Ppp)?[0],
        ])),
    }
}

/// Whether the window starts with a PPP frame that carries a plausible IP header.
pub(super) fn plausible(mut window: Window<'_>) -> bool {
    matches!(protocol(&mut window), Ok(IPV4 | IPV6)) && ip::plausible(window)
}

/// PPP on a serial line: Cisco HDLC is told from it by its address field.
pub(super) fn or_cisco(walk: &mut Walk<'_>) -> Step {
    match walk.window.peek() {
        Some(0x0f | 0x8f) => cisco(walk),
        _ => Ok(Next::Ppp),
    }
}

/// Cisco HDLC: address, control, ethertype.
pub(super) fn cisco(walk: &mut Walk<'_>) -> Step {
    let [_, _, high, low] = *walk.window.array::<4>(Layer::Link)?;
    Ok(Next::EtherType(u16::from_be_bytes([high, low])))
}
