//! IEEE 802.11 data frames, and the radiotap header that capture drivers put before them. Protected frames stay closed.

use super::dissector::{Next, Step, Walk, malformed, unsupported};
use super::{Layer, Reason};

/// Frame control, duration, three addresses, sequence control (IEEE 802.11 §9.3.2.1).
const HEADER: usize = 24;

/// Radiotap: version, padding, length, presence bits; then fields in the order of the bits (radiotap.org).
pub(super) fn radiotap(walk: &mut Walk<'_>) -> Step {
    const EXTENDED: u32 = 1 << 31;
    const CLOCK: u32 = 1;
    const FLAGS: u32 = 1 << 1;
    const PADDED: u8 = 0x20;
    let mut fields = walk.window.cursor();
    let [version, _, low, high] = *walk.window.array::<4>(Layer::Link)?;
    let length = usize::from(u16::from_le_bytes([low, high]));
    if version != 0 {
        return malformed(Layer::Link, Reason::Version);
    }
    let Some(rest) = length.checked_sub(8) else {
        return malformed(Layer::Link, Reason::Length);
    };
    walk.window.skip(rest.saturating_add(4), Layer::Link)?;
    // The header is there as a whole, so its own cursor ends with it.
    let padded = fields.sub(length).and_then(|mut header| {
        header.skip(4)?;
        let present = header.u32_le()?;
        let mut word = present;
        while word & EXTENDED != 0 {
            word = header.u32_le()?;
        }
        if present & CLOCK != 0 {
            header.align(8);
            header.skip(8)?;
        }
        Ok(present & FLAGS != 0 && header.u8()? & PADDED != 0)
    });
    data_frame(walk, padded.unwrap_or(false))
}

/// From the frame control on.
pub(super) fn frame(walk: &mut Walk<'_>) -> Step {
    data_frame(walk, false)
}

fn data_frame(walk: &mut Walk<'_>, padded: bool) -> Step {
    let header: &[u8; HEADER] = walk.window.array(Layer::Wifi)?;
    let (control, flags) = (header[0], header[1]);
    let (is_data, has_body, has_qos) = (
        control & 0x0c == 0x08,
        control & 0x40 == 0,
        control & 0x80 != 0,
    );
    if !is_data || !has_body || flags & 0x40 != 0 {
        return unsupported(Layer::Wifi, u32::from(u16::from_be_bytes([control, flags])));
    }
    let mut length = HEADER;
    // To and from a distribution system: a fourth address.
    if flags & 0x03 == 0x03 {
        walk.window.skip(6, Layer::Wifi)?;
        length = length.saturating_add(6);
    }
    let mut aggregated = false;
    if has_qos {
        aggregated = walk.window.array::<2>(Layer::Wifi)?[0] & 0x80 != 0;
        length = length.saturating_add(2);
        if flags & 0x80 != 0 {
            walk.window.skip(4, Layer::Wifi)?;
            length = length.saturating_add(4);
        }
    }
    if padded {
        let padding = length.next_multiple_of(4).saturating_sub(length);
        walk.window.skip(padding, Layer::Wifi)?;
    }
    if aggregated {
        // Two addresses and a length before the first of several packets; the others are not followed.
        walk.window.skip(12, Layer::Wifi)?;
        let inner = walk.window.u16(Layer::Wifi)?;
        if !walk.window.set_wire(usize::from(inner)) {
            walk.note(Layer::Wifi, Reason::BeyondFrame);
        }
    }
    Ok(Next::Llc)
}
