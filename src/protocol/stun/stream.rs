//! Messages on a stream, and the three ways in which they stand there.

use super::message::{HEADER, Message, Signed, has_cookie, note};
use super::{CHANNEL_FIRST, CHANNEL_LAST, Carried};
use crate::bytes::{Cursor, Short};
use crate::evidence::Notes;
use crate::net::Side;
use crate::protocol::{Opening, Probe, Reject, Step, StreamDecoder};

/// First messages are small: the high byte of a type is at most 3, and so is that of the length of one below 1024 bytes.
pub(super) const MAX_FIRST_BYTE: u8 = 3;
/// Content types of MS-TURN frames (MS-TURN 2.2.3): control messages, and data between the ends.
const CONTROL: u8 = 2;
const END_TO_END: u8 = 3;

/// How messages stand on a stream. What is no message is data: a channel's, or media beside the checks of ICE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// One after the other; channel data is padded (RFC 8489 section 6.2.2, RFC 8656 section 12.5).
    Bare,
    /// Behind a length (RFC 4571).
    Length,
    /// Behind type and length (MS-TURN 2.2.3).
    Microsoft,
}

/// What stands next on a stream.
#[derive(Clone, Copy, Debug)]
struct Frame {
    header: usize,
    /// Bytes after the header.
    length: usize,
    /// Bytes that only fill up.
    padding: usize,
    is_message: bool,
}

impl Framing {
    const ALL: [Self; 3] = [Self::Bare, Self::Length, Self::Microsoft];

    /// The next frame. Beyond the header only the first bytes of the content are looked at.
    fn frame(self, bytes: &[u8]) -> Result<Frame, Reject> {
        let mut cursor = Cursor::new(bytes);
        let (header, length, is_message) = match self {
            Self::Bare => {
                let kind = cursor.u8()?;
                let _low = cursor.u8()?;
                let length = usize::from(cursor.u16()?);
                match kind {
                    0..=3 => (0, length.saturating_add(HEADER), true),
                    CHANNEL_FIRST..=CHANNEL_LAST => (4, length, false),
                    _ => return Err(Reject::Invalid("type")),
                }
            }
            Self::Length => {
                let length = usize::from(cursor.u16()?);
                let is_message = cursor.peek().is_some_and(|first| first <= 3);
                (2, length, is_message)
            }
            Self::Microsoft => {
                let kind = cursor.u8()?;
                let reserved = cursor.u8()?;
                let length = usize::from(cursor.u16()?);
                if !matches!(kind, CONTROL | END_TO_END) || reserved != 0 {
                    return Err(Reject::Invalid("frame type"));
                }
                // Connectivity checks between the ends travel as data.
                let is_message = cursor.peek().is_some_and(|first| first <= 3);
                (4, length, is_message)
            }
        };
        let padding = match self {
            Self::Bare if !is_message => length.next_multiple_of(4).saturating_sub(length),
            Self::Bare | Self::Length | Self::Microsoft => 0,
        };
        Ok(Frame {
            header,
            length,
            padding,
            is_message,
        })
    }

    /// Whether a message with a cookie begins here: `None` while too few bytes are there.
    fn begins(self, bytes: &[u8]) -> Option<bool> {
        let frame = match self.frame(bytes) {
            Ok(frame) => frame,
            Err(Reject::Short(_)) => return None,
            Err(_) => return Some(false),
        };
        let content = bytes.get(frame.header..).unwrap_or_default();
        let Ok(kind) = Cursor::new(content).u16() else {
            return None;
        };
        if !frame.is_message || kind > 0x3fff {
            return Some(false);
        }
        let mut cursor = Cursor::new(content);
        let fits = cursor
            .u16()
            .and_then(|_kind| cursor.u16())
            .map(|length| usize::from(length).saturating_add(HEADER) == frame.length);
        match fits {
            Err(Short { .. }) => None,
            Ok(false) => Some(false),
            Ok(true) => has_cookie(content),
        }
    }
}

pub(super) fn probe(opening: &Opening<'_>) -> Probe {
    opening.either(|bytes| look(bytes).0)
}

/// Whether one side begins with a message, and how it stands there.
fn look(bytes: &[u8]) -> (Probe, Option<Framing>) {
    let is_possible = bytes.first().is_some_and(|byte| *byte <= MAX_FIRST_BYTE);
    if !is_possible {
        return (Probe::No, None);
    }
    let begins = Framing::ALL.map(|framing| (framing, framing.begins(bytes)));
    if let Some((framing, _)) = begins.iter().find(|(_, begins)| *begins == Some(true)) {
        (Probe::Yes, Some(*framing))
    } else if begins.iter().any(|(_, begins)| begins.is_none()) {
        (Probe::More, None)
    } else {
        (Probe::No, None)
    }
}

/// One connection.
#[derive(Default)]
pub(super) struct Stream {
    framing: Option<Framing>,
    signed: Signed,
    carried: Carried,
}

impl StreamDecoder for Stream {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let _ = side;
        let mut used: usize = 0;
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            if rest.is_empty() {
                return Step::Consumed;
            }
            match self.frame(rest, notes) {
                Ok(length) => used = used.saturating_add(length),
                Err(reject) => return reject.into_step(used, rest.len()),
            }
        }
    }

    fn resume(&mut self, side: Side, bytes: &[u8]) -> Option<usize> {
        let _ = side;
        let framing = self.framing?;
        (framing.begins(bytes) == Some(true)).then_some(0)
    }
}

impl Stream {
    /// Reads the frame at the start of `bytes`; returns its length.
    fn frame(&mut self, bytes: &[u8], notes: &mut Notes<'_>) -> Result<usize, Reject> {
        let framing = match self.framing {
            Some(framing) => framing,
            None => match look(bytes) {
                (_, Some(framing)) => framing,
                (Probe::More, None) => return Err(missing(1)),
                (_, None) => return Err(Reject::Other),
            },
        };
        self.framing = Some(framing);
        let frame = framing.frame(bytes)?;
        let end = frame.header.saturating_add(frame.length);
        let total = end.saturating_add(frame.padding);
        if bytes.len() < total {
            return Err(missing(total.saturating_sub(bytes.len())));
        }
        let content = bytes.get(frame.header..end).unwrap_or_default();
        let data = if frame.is_message {
            match Message::parse(content, frame.length) {
                Ok(message) if message.is_proof() => note(&message, &mut self.signed, notes),
                // Behind a length, other protocols may stand beside messages.
                Err(reject) if framing == Framing::Bare => return Err(reject),
                _ => None,
            }
        } else {
            Some(content)
        };
        if let Some(data) = data {
            self.carried.data(data, notes);
        }
        Ok(total)
    }
}

fn missing(missing: usize) -> Reject {
    Reject::Short(Short { offset: 0, missing })
}
