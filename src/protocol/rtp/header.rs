//! The header of a packet, and whether it can be one.

use crate::bytes::Cursor;
use crate::protocol::{Datagram, Reject};

/// The protocol version (RFC 3550 section 5.1).
pub(super) const VERSION: u8 = 2;

/// The fields of a valid header (RFC 3550 section 5.1, appendix A.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The marker: begin of a talkspurt, end of a frame (RFC 3551).
    pub(super) marker: bool,
    /// The payload type.
    pub(super) payload_type: u8,
    /// The sequence number.
    pub(super) sequence: u16,
    /// The timestamp, in units of the payload type's clock.
    pub(super) timestamp: u32,
    /// The synchronisation source.
    pub(super) ssrc: u32,
    /// Octets of payload on the wire.
    pub(super) payload_bytes: usize,
    /// The payload can be one telephone event: four octets, of which one bit is reserved (RFC 4733 section 2.3).
    pub(super) is_event_like: bool,
}

impl Header {
    /// Reads a header and checks what one packet can tell: the version, a payload type that is assigned or dynamic, and that
    /// sources, extension and padding fit.
    pub(super) fn parse(datagram: Datagram<'_>) -> Result<Self, Reject> {
        let mut cursor = Cursor::new(datagram.bytes);
        let first = cursor.u8()?;
        let second = cursor.u8()?;
        if first >> 6 != VERSION {
            return Err(Reject::Invalid("version"));
        }
        let payload_type = second & 0x7f;
        if !is_known(payload_type) {
            return Err(Reject::Invalid("payload type"));
        }
        let header = Self {
            marker: second & 0x80 != 0,
            payload_type,
            sequence: cursor.u16()?,
            timestamp: cursor.u32()?,
            ssrc: cursor.u32()?,
            payload_bytes: 0,
            is_event_like: false,
        };
        let sources_bytes = usize::from(first & 0x0f).saturating_mul(4);
        let mut header_bytes = cursor.offset().saturating_add(sources_bytes);
        if first & 0x10 != 0 {
            header_bytes = header_bytes.saturating_add(4);
            // Of a packet cut before its extension, the rest says enough.
            let extension = cursor.skip(sources_bytes).and_then(|()| cursor.u32());
            match extension {
                Ok(extension) => {
                    let words = usize::try_from(extension & 0xffff).unwrap_or(usize::MAX);
                    header_bytes = header_bytes.saturating_add(words.saturating_mul(4));
                }
                Err(short) if !datagram.is_cut() => return Err(short.into()),
                Err(_) => {}
            }
        }
        let payload_bytes = datagram
            .wire_len
            .checked_sub(header_bytes)
            .ok_or(Reject::Invalid("length"))?;
        let padding = if first & 0x20 == 0 || datagram.is_cut() {
            0
        } else {
            match usize::from(datagram.bytes.last().copied().unwrap_or(0)) {
                0 => return Err(Reject::Invalid("padding")),
                count if count > payload_bytes => return Err(Reject::Invalid("padding")),
                count => count,
            }
        };
        let payload_bytes = payload_bytes.saturating_sub(padding);
        let flags = datagram.bytes.get(header_bytes.saturating_add(1));
        Ok(Self {
            payload_bytes,
            is_event_like: payload_bytes == 4 && flags.is_none_or(|flags| flags & 0x40 == 0),
            ..header
        })
    }
}

/// Whether the second byte is a type of RTCP (RFC 5761 section 4).
pub(super) fn is_rtcp(bytes: &[u8]) -> bool {
    matches!(bytes, [_, 192..=223, ..])
}

/// Assigned types of RFC 3551 table 4 and 5, 2 and 19 as older senders use them, and the dynamic ones, which begin at 35
/// where 96 to 127 do not suffice (RFC 5761 section 4).
const fn is_known(payload_type: u8) -> bool {
    matches!(payload_type, 0 | 2..=19 | 25 | 26 | 28 | 31..=63 | 96..=127)
}

/// Comfort noise (RFC 3389, and its number before that): sent in silence, at no regular times.
pub(super) const fn is_comfort_noise(payload_type: u8) -> bool {
    matches!(payload_type, 13 | 19)
}
