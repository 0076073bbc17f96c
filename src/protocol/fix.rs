//! Financial Information eXchange, FIX 4.0 to 5.0 (tag=value encoding): version, kinds of messages, and who logs on.
//!
//! Reads the first three fields of a message; names of parties, accounts and orders are passed over. Proof is the fixed
//! beginning of a message: version, length and type, in this order.

use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;

/// Version of the session layer: `FIX.4.2`, `FIXT.1.1`.
const VERSION: &str = "version";
/// A type of message (tag 35), such as `A` for a logon.
const MESSAGE_TYPE: &str = "message_type";

pub(super) const FIX: Protocol = Protocol {
    name: "fix",
    about: About {
        title: "Financial Information eXchange",
        sources: "FIX 4.4 volume 2, message format; FIXT 1.1",
        reads: "Version, length and type of messages.",
        proves: "Version, length and type in this order at the beginning of a message.",
        limits: "Parties and orders are not looked at; binary encodings are not known.",
    },
    attributes: &[VERSION, MESSAGE_TYPE],
    stream: Some(StreamEntry {
        first_byte: |byte| byte == b'8',
        probe,
        start: || Box::<Connection>::default(),
    }),
    datagram: None,
};

/// Between fields.
const SOH: u8 = 1;
/// `10=`, three digits, and the end.
const TRAILER_BYTES: usize = 7;
/// Digits of a length: no message takes 100 MB.
const MAX_DIGITS: usize = 8;
/// Longest version and type.
const MAX_VALUE: usize = 16;
/// Messages of a connection that are read: the logon and what it is for.
const MAX_MESSAGES: u32 = 64;

/// The beginning of a message.
struct Head<'a> {
    version: &'a [u8],
    kind: &'a [u8],
    /// Bytes of the whole message.
    length: usize,
}

impl<'a> Head<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, Reject> {
        let mut cursor = Cursor::new(bytes);
        let version = field(&mut cursor, b"8=", MAX_VALUE)?;
        let is_version = matches!(
            version,
            [b'F', b'I', b'X', b'.', b'4', b'.', b'0'..=b'4'] | b"FIXT.1.1" | b"FIX.5.0"
        );
        if !is_version {
            return Err(Reject::Other);
        }
        let digits = field(&mut cursor, b"9=", MAX_DIGITS)?;
        let body = cursor.offset();
        let length = std::str::from_utf8(digits)
            .ok()
            .and_then(|digits| digits.parse::<usize>().ok())
            .filter(|_| digits.iter().all(u8::is_ascii_digit))
            .ok_or(Reject::Other)?;
        let kind = field(&mut cursor, b"35=", MAX_VALUE)?;
        if kind.is_empty() || !kind.iter().all(u8::is_ascii_alphanumeric) || length < kind.len() {
            return Err(Reject::Other);
        }
        Ok(Self {
            version,
            kind,
            length: body.saturating_add(length).saturating_add(TRAILER_BYTES),
        })
    }
}

/// The value of the field with that tag.
fn field<'a>(cursor: &mut Cursor<'a>, tag: &[u8], most: usize) -> Result<&'a [u8], Reject> {
    for expected in tag {
        if cursor.u8()? != *expected {
            return Err(Reject::Other);
        }
    }
    let mut ahead = *cursor;
    for length in 0..=most {
        match ahead.u8()? {
            SOH => {
                let value = cursor.take(length)?;
                cursor.skip(1)?;
                return Ok(value);
            }
            byte if byte.is_ascii_graphic() => {}
            _ => return Err(Reject::Other),
        }
    }
    Err(Reject::Other)
}

fn probe(opening: &Opening<'_>) -> Probe {
    opening.either(|bytes| Probe::of(Head::parse(bytes)))
}

/// One connection.
#[derive(Default)]
struct Connection {
    messages: u32,
    logged_on: bool,
}

impl StreamDecoder for Connection {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let head = match Head::parse(bytes) {
            Ok(head) => head,
            Err(reject) => return reject.into_step(0, bytes.len()),
        };
        notes.proved();
        notes.bytes(VERSION, head.version);
        notes.bytes(MESSAGE_TYPE, head.kind);
        // The initiator logs on first, and nothing comes before it.
        if self.messages == 0 && head.kind == b"A" && !self.logged_on {
            notes.client(side);
            self.logged_on = true;
        }
        self.messages = self.messages.saturating_add(1);
        if self.messages >= MAX_MESSAGES {
            return Step::Done;
        }
        Step::Skip {
            consumed: 0,
            bytes: head.length as u64,
        }
    }

    fn resume(&mut self, _side: Side, bytes: &[u8]) -> Option<usize> {
        Head::parse(bytes).is_ok().then_some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::testing::{
        CLIENT as C, SERVER as S, conversation, midstream, only_registered_attributes, protocols,
        survives_every_cut, values,
    };

    const LOGON: &[u8] = b"8=FIX.4.2\x019=20\x0135=A\x0149=BANK\x01108=30\x0110=123\x01";
    const BEAT: &[u8] = b"8=FIX.4.2\x019=5\x0135=0\x0110=064\x01";

    #[test]
    fn version_and_types_are_read_and_no_party() {
        let two = [BEAT, BEAT].concat();
        let segments = [(C, LOGON), (S, LOGON), (C, &two[..])];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["fix"]);
        assert_eq!(recorder.client, Some(C));
        assert_eq!(values(&recorder, "fix", "version"), ["FIX.4.2"; 2]);
        assert_eq!(values(&recorder, "fix", "message_type"), ["0", "A", "A"]);
        assert!(!format!("{:?}", recorder.facts).contains("BANK"));
        only_registered_attributes(&recorder, &[&FIX]);
        survives_every_cut(&segments);
        assert_eq!(protocols(&midstream(&[(S, BEAT)])), ["fix"]);
    }

    #[test]
    fn other_openings_are_not_fix() {
        for other in [
            &b"8=FIX.9.2\x019=5\x0135=0\x01"[..],
            b"8=FIX.4.2\x0135=0\x019=5\x01",
            b"8=FIX.4.2\x019=x\x0135=0\x01",
            b"8=FIX.4.2 9=5 35=0",
        ] {
            assert!(protocols(&conversation(&[(C, other)])).is_empty());
        }
    }
}
