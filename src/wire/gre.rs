//! GRE and its relatives: PPTP, NVGRE, the three types of ERSPAN; Ethernet in IP and PIM registers.

use super::dissector::{Next, Step, Walk, malformed, unsupported};
use super::ethernet::u24;
use super::{Layer, Reason, Tunnel};

const CHECKSUM: u16 = 0x8000;
const ROUTING: u16 = 0x4000;
const KEY: u16 = 0x2000;
const SEQUENCE: u16 = 0x1000;
const ACKNOWLEDGMENT: u16 = 0x0080;
const VERSION: u16 = 0x0007;

const TRANSPARENT_ETHERNET: u16 = 0x6558;
const PPTP: u16 = 0x880b;
const ERSPAN_1_AND_2: u16 = 0x88be;
const ERSPAN_3: u16 = 0x22eb;
const WCCP: u16 = 0x883e;

/// From the flags on: RFC 2784 with RFC 2890, RFC 1701 routing, RFC 2637.
pub(super) fn packet(walk: &mut Walk<'_>) -> Step {
    let flags = walk.window.u16(Layer::Gre)?;
    let kind = walk.window.u16(Layer::Gre)?;
    match (flags & VERSION, kind) {
        (0, _) => {}
        (1, PPTP) => return point_to_point(walk, flags),
        _ => return malformed(Layer::Gre, Reason::Version),
    }
    if flags & (CHECKSUM | ROUTING) != 0 {
        walk.window.skip(4, Layer::Gre)?;
    }
    let mut key = [0; 4];
    if flags & KEY != 0 {
        key = *walk.window.array(Layer::Gre)?;
    }
    if flags & SEQUENCE != 0 {
        walk.window.skip(4, Layer::Gre)?;
    }
    if flags & ROUTING != 0 {
        routes(walk)?;
    }
    match kind {
        // RFC 7637 §3.2: a key, and neither checksum nor sequence.
        TRANSPARENT_ETHERNET if flags & (CHECKSUM | KEY | SEQUENCE) == KEY => {
            let [vsid @ .., _] = key;
            walk.enter(Tunnel::NvGre(u24(vsid)))?;
            Ok(Next::Ethernet)
        }
        ERSPAN_1_AND_2 => erspan(walk, if flags & SEQUENCE == 0 { None } else { Some(1) }),
        ERSPAN_3 => erspan(walk, Some(2)),
        WCCP => {
            walk.enter(Tunnel::Gre)?;
            // Version 2 of WCCP has four bytes before the packet, version 1 has none.
            if walk.window.peek() != Some(0x45) {
                walk.window.skip(4, Layer::Gre)?;
            }
            Ok(Next::Ip)
        }
        other => {
            walk.enter(Tunnel::Gre)?;
            Ok(Next::EtherType(other))
        }
    }
}

/// Source route entries up to the empty one (RFC 1701).
fn routes(walk: &mut Walk<'_>) -> Result<(), super::Stop> {
    loop {
        let [f0, f1, _, length] = *walk.window.array::<4>(Layer::Gre)?;
        if [f0, f1, length] == [0, 0, 0] {
            return Ok(());
        }
        walk.window.skip(usize::from(length), Layer::Gre)?;
    }
}

/// RFC 2637 §4.1.
fn point_to_point(walk: &mut Walk<'_>, flags: u16) -> Step {
    if flags & KEY == 0 {
        return malformed(Layer::Gre, Reason::Field);
    }
    let [high, low, _, _] = *walk.window.array::<4>(Layer::Gre)?;
    for flag in [SEQUENCE, ACKNOWLEDGMENT] {
        if flags & flag != 0 {
            walk.window.skip(4, Layer::Gre)?;
        }
    }
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length == 0 {
        return Ok(Next::Done);
    }
    if !walk.window.set_wire(length) {
        walk.note(Layer::Gre, Reason::BeyondFrame);
    }
    walk.enter(Tunnel::Pptp)?;
    Ok(Next::Ppp)
}

/// draft-foschiano-erspan: type I has no header, type II has version 1, type III version 2.
fn erspan(walk: &mut Walk<'_>, version: Option<u8>) -> Step {
    walk.enter(Tunnel::Erspan)?;
    let Some(version) = version else {
        return Ok(Next::Ethernet);
    };
    let header = *walk.window.array::<8>(Layer::Erspan)?;
    if header[0] >> 4 != version {
        return malformed(Layer::Erspan, Reason::Version);
    }
    if version == 1 {
        return Ok(Next::Ethernet);
    }
    let [_, _, high, low] = *walk.window.array::<4>(Layer::Erspan)?;
    let word = u16::from_be_bytes([high, low]);
    if word & 1 != 0 {
        walk.window.skip(8, Layer::Erspan)?;
    }
    match word >> 10 & 0x1f {
        0 => Ok(Next::Ethernet),
        2 => Ok(Next::Ip),
        other => unsupported(Layer::Erspan, u32::from(other)),
    }
}

/// RFC 3378 §3: version 3, reserved bits.
pub(super) fn ether_ip(walk: &mut Walk<'_>) -> Step {
    if walk.window.u16(Layer::Gre)? & 0xf000 != 0x3000 {
        return malformed(Layer::Gre, Reason::Version);
    }
    walk.enter(Tunnel::EtherIp)?;
    Ok(Next::Ethernet)
}

/// RFC 7761 §4.9.3: only a register message carries a packet.
pub(super) fn pim_register(walk: &mut Walk<'_>) -> Step {
    const REGISTER: u8 = 0x21;
    const NULL_REGISTER: u8 = 0x40;
    let header = *walk.window.array::<4>(Layer::Pim)?;
    if header[0] != REGISTER {
        return unsupported(Layer::Pim, u32::from(header[0]));
    }
    let flags = walk.window.array::<4>(Layer::Pim)?[0];
    if flags & NULL_REGISTER != 0 || walk.window.wire() == 0 {
        return Ok(Next::Done);
    }
    walk.enter(Tunnel::Pim)?;
    Ok(Next::Ip)
}
