//! OSCAR, the protocol of AIM and ICQ: frames (FLAP) and the first of their contents (SNAC).
//!
//! AOL published it once ("OSCAR Protocol", 2008). Proves: frames of exact length that follow each other, of which the first
//! begins a session. Names, passwords and messages are not read.

use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;

/// A family of services, by number: 1 is the session, 4 messages, 0x17 the login.
const FAMILY: &str = "family";

pub(super) const OSCAR: Protocol = Protocol {
    name: "oscar",
    about: About {
        title: "OSCAR (AIM, ICQ)",
        sources: "AOL, OSCAR Protocol (2008): FLAP and SNAC headers",
        reads: "The families of services that are used.",
        proves: "A first frame that begins a session with version 1 on either side.",
        limits: "The middle of a connection shows too little; names and messages are not read.",
    },
    attributes: &[FAMILY],
    stream: Some(StreamEntry {
        first_byte: |byte| byte == MARK,
        probe,
        start: || Box::new(Connection { frames: 0 }),
    }),
    datagram: None,
};

/// First byte of each frame.
const MARK: u8 = 0x2a;
/// Bytes of a frame's header.
const HEADER: usize = 6;
/// Channels: a session begins, data, errors, it ends, it is kept alive.
const SIGN_ON: u8 = 1;
const DATA: u8 = 2;
const LAST_CHANNEL: u8 = 5;
/// Frames that are read: families repeat.
const MAX_FRAMES: u16 = 256;

struct Frame<'a> {
    channel: u8,
    length: usize,
    /// As much of the content as is there.
    content: &'a [u8],
}

impl<'a> Frame<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, Reject> {
        let mut cursor = Cursor::new(bytes);
        if cursor.u8()? != MARK {
            return Err(Reject::Other);
        }
        let channel = cursor.u8()?;
        if !(SIGN_ON..=LAST_CHANNEL).contains(&channel) {
            return Err(Reject::Other);
        }
        cursor.skip(2)?;
        let length = usize::from(cursor.u16()?);
        let rest = cursor.rest();
        Ok(Self {
            channel,
            length,
            content: rest.get(..length).unwrap_or(rest),
        })
    }
}

/// Whether a session begins: version 1, and nothing or a chain of type, length and value.
fn look(bytes: &[u8]) -> Probe {
    let begins = || -> Result<bool, Reject> {
        let frame = Frame::parse(bytes)?;
        let is_room = (4..=4096).contains(&frame.length);
        if frame.channel != SIGN_ON || !is_room {
            return Ok(false);
        }
        let mut cursor = Cursor::new(frame.content);
        if cursor.u32()? != 1 {
            return Ok(false);
        }
        let mut left = frame.length.saturating_sub(4);
        while left > 0 {
            let (kind, length) = (cursor.u16()?, usize::from(cursor.u16()?));
            left = match left.checked_sub(length.saturating_add(4)) {
                Some(left) if kind < 0x1000 => left,
                _ => return Ok(false),
            };
            cursor.skip(length)?;
        }
        Ok(true)
    };
    match begins() {
        Ok(true) => Probe::Yes,
        Err(Reject::Short(_)) if !bytes.is_empty() => Probe::More,
        Ok(false) | Err(_) => Probe::No,
    }
}

fn probe(opening: &Opening<'_>) -> Probe {
    if opening.midstream {
        return Probe::No;
    }
    match [opening.spoken(), opening.reply()].map(look) {
        [Probe::Yes, Probe::Yes] => Probe::Yes,
        [Probe::Yes, Probe::No] if opening.reply().is_empty() => Probe::More,
        [Probe::Yes | Probe::More, Probe::Yes | Probe::More] => Probe::More,
        [Probe::More, Probe::No] if opening.reply().is_empty() => Probe::More,
        _ => Probe::No,
    }
}

struct Connection {
    frames: u16,
}

impl StreamDecoder for Connection {
    fn data(&mut self, _: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let frame = match Frame::parse(bytes) {
            Ok(frame) => frame,
            Err(reject) => return reject.into_step(0, bytes.len()),
        };
        let family = frame
            .content
            .first_chunk()
            .map(|family| u16::from_be_bytes(*family));
        match (frame.channel, family) {
            (DATA, Some(family)) => notes.number(FAMILY, u64::from(family)),
            (DATA, None) if frame.length >= 2 => {
                return Step::NeedMore {
                    consumed: 0,
                    at_least: bytes.len().saturating_add(1),
                };
            }
            _ => {}
        }
        notes.proved();
        self.frames = self.frames.saturating_add(1);
        if self.frames >= MAX_FRAMES {
            return Step::Done;
        }
        Step::Skip {
            consumed: HEADER,
            bytes: frame.length as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, conversation, only_registered_attributes, protocols, survives_every_cut,
        values,
    };
    use super::*;

    const HELLO: &[u8] = b"\x2a\x01\x00\x01\x00\x04\x00\x00\x00\x01";
    const COOKIE: &[u8] = b"\x2a\x01\x12\x34\x00\x0a\x00\x00\x00\x01\x00\x06\x00\x02ab";
    const DATA_FRAME: &[u8] = b"\x2a\x02\x12\x35\x00\x0a\x00\x17\x00\x06\x00\x00\x00\x00\x00\x00";

    #[test]
    fn sessions_of_both_sides_and_families_are_read() {
        let segments = [(SERVER, HELLO), (CLIENT, COOKIE), (CLIENT, DATA_FRAME)];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["oscar"]);
        assert_eq!(values(&recorder, "oscar", "family"), ["23"]);
        only_registered_attributes(&recorder, &[&OSCAR]);
        survives_every_cut(&segments);
    }

    #[test]
    fn one_side_alone_and_other_versions_are_not_enough() {
        assert!(protocols(&conversation(&[(SERVER, HELLO)])).is_empty());
        let mut other = COOKIE.to_vec();
        other[9] = 2;
        assert!(protocols(&conversation(&[(SERVER, HELLO), (CLIENT, &other)])).is_empty());
        assert!(protocols(&conversation(&[(SERVER, HELLO), (CLIENT, b"* OK\r\n")])).is_empty());
    }
}
