//! MPLS label stacks (RFC 3032). What the bottom label carries is not written in the packet, only agreed between routers:
//! it is taken for IP where it reads as IP, else for a pseudowire of Ethernet, with or without control word (RFC 4385).

use super::dissector::{Next, Step, Walk, unsupported};
use super::ethernet;
use super::window::Window;
use super::{Layer, Stop, Tunnel, ip};

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
    match walk.window.peek().map(|byte| byte >> 4) {
        Some(4 | 6) if !ethernet::plausible(walk.window) => Ok(Next::Ip),
        Some(0) if !ethernet::plausible(walk.window) => {
            walk.window.skip(4, Layer::Mpls)?;
            Ok(Next::Ethernet)
        }
        Some(_) if ethernet::plausible(walk.window) => Ok(Next::Ethernet),
        Some(nibble) => unsupported(Layer::Mpls, u32::from(nibble)),
        None => Err(walk.window.short(1, Layer::Mpls)),
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
