//! MPLS label stacks (RFC 3032). What the bottom label carries is not written in the packet, only agreed between routers:
//! it is taken for IP where it reads as IP, else for a pseudowire of Ethernet, with or without control word (RFC 4385).

use super::dissector::{Next, Step, Walk, unsupported};
use super::ethernet;
use super::window::Window;
use super::{Layer, Stop, Tunnel, ip};

/// Bytes that decide what is carried: control word, Ethernet and IPv6 header. A MAC address may start with the
/// half-byte of a control word, so with less than that nothing is certain.
const ENOUGH: usize = 4 + 14 + 40;

/// Label, bottom of stack.
fn entry(window: &mut Window<'_>) -> Result<(u32, bool), Stop> {
    let word = u32::from_be_bytes(*window.array(Layer::Mpls)?);
    Ok((word >> 12, word & 0x100 != 0))
}

/// From the topmost label on.
pub(super) fn stack(walk: &mut Walk<'_>) -> Step {
    loop {
        let (label, bottom) = entry(&mut walk.window)?;
        walk.enter(Tunnel::Mpls(label))?;
        if bottom {
            break;
        }
    }
    let window = walk.window;
    let Some(nibble) = window.peek().map(|byte| byte >> 4) else {
        return Err(window.short(1, Layer::Mpls));
    };
    if ip::plausible(window) {
        return Ok(Next::Ip);
    }
    if ethernet::plausible(window) {
        return Ok(Next::Ethernet);
    }
    match nibble {
        4 | 6 => Ok(Next::Ip),
        _ if window.is_cut() && window.bytes().len() < ENOUGH => {
            Err(Stop::Truncated { layer: Layer::Mpls })
        }
        0 => {
            walk.window.skip(4, Layer::Mpls)?;
            Ok(Next::Ethernet)
        }
        other => unsupported(Layer::Mpls, u32::from(other)),
    }
}

/// Whether the window starts with a label stack on top of a plausible IP header (MPLS in UDP, RFC 7510).
pub(super) fn plausible(mut window: Window<'_>) -> bool {
    for _ in 0..super::MAX_TAGS {
        match entry(&mut window) {
            Ok((_, false)) => {}
            Ok((_, true)) => return ip::plausible(window),
            Err(_) => return false,
        }
    }
    false
}
