//! General Inter-ORB Protocol (OMG CORBA part 2, clause 9): what objects of CORBA send each other over TCP.
//!
//! Reads the header of each message; operations and arguments are never looked at. Proof is a header: its mark, a version, known
//! flags and type, and a sane size.

use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;
use crate::open_enum;

/// Version of the messages.
const VERSION: &str = "version";
/// Type of a message: `request`, `reply` ...
const MESSAGE: &str = "message";

/// Distributed objects.
pub(super) const GIOP: Protocol = Protocol {
    name: "giop",
    about: About {
        title: "General Inter-ORB Protocol (CORBA)",
        sources: "OMG CORBA 3.3 part 2, clause 9.4",
        reads: "Versions and types of messages.",
        proves: "A header: its mark, a version, known flags and type, and a sane size.",
        limits: "Operations and arguments are not looked at; multicast (MIOP) is not known.",
    },
    attributes: &[VERSION, MESSAGE],
    stream: Some(StreamEntry {
        first_byte: |byte| matches!(byte, b'G' | b'Z'),
        probe,
        start: || Box::new(Messages),
    }),
    datagram: None,
};

/// Largest message: what is longer comes in fragments.
const MAX_SIZE: u32 = 256 * 1024 * 1024;
/// Byte order, and that fragments follow.
const FLAGS: u8 = 0x03;

open_enum! {
    /// Types of messages (clause 9.4.1).
    struct Kind(u8) {
        /// Calls an operation.
        REQUEST = 0 => "request",
        /// Answers.
        REPLY = 1 => "reply",
        /// Forget it.
        CANCEL_REQUEST = 2 => "cancel_request",
        /// Where is this object?
        LOCATE_REQUEST = 3 => "locate_request",
        /// There.
        LOCATE_REPLY = 4 => "locate_reply",
        /// The end.
        CLOSE_CONNECTION = 5 => "close_connection",
        /// Not understood.
        MESSAGE_ERROR = 6 => "message_error",
        /// More of the one before.
        FRAGMENT = 7 => "fragment",
    }
}

struct Header {
    minor: u8,
    kind: Kind,
    size: u32,
}

impl Header {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Reject> {
        // Compressed messages have a mark of their own.
        if !matches!(cursor.array()?, b"GIOP" | b"ZIOP") {
            return Err(Reject::Other);
        }
        let (major, minor, flags) = (cursor.u8()?, cursor.u8()?, cursor.u8()?);
        let kind = Kind(cursor.u8()?);
        let size = if flags & 1 == 0 {
            cursor.u32()?
        } else {
            cursor.u32_le()?
        };
        let is_known = major == 1 && minor <= 3 && flags & !FLAGS == 0 && kind.name().is_some();
        if !is_known || size > MAX_SIZE {
            return Err(Reject::Invalid("version, flags, type or size"));
        }
        Ok(Self { minor, kind, size })
    }
}

fn probe(opening: &Opening<'_>) -> Probe {
    opening.either(|bytes| Probe::of(Header::parse(&mut Cursor::new(bytes))))
}

/// All messages of one connection.
struct Messages;

impl StreamDecoder for Messages {
    fn data(&mut self, _side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let mut cursor = Cursor::new(bytes);
        match Header::parse(&mut cursor) {
            Ok(header) => {
                notes.proved();
                notes.text(VERSION, &format!("1.{}", header.minor));
                notes.text(MESSAGE, &header.kind.to_string());
                Step::Skip {
                    consumed: cursor.offset(),
                    bytes: u64::from(header.size),
                }
            }
            Err(reject) => reject.into_step(0, bytes.len()),
        }
    }

    fn resume(&mut self, _side: Side, bytes: &[u8]) -> Option<usize> {
        Header::parse(&mut Cursor::new(bytes)).is_ok().then_some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT as C, SERVER as S, conversation, midstream, only_registered_attributes, protocols,
        survives_every_cut, values,
    };
    use super::*;

    #[test]
    fn both_byte_orders_are_read() {
        let asked = b"GIOP\x01\x02\x01\0\x03\0\0\0abc";
        let answered = b"ZIOP\x01\x00\x00\x01\0\0\0\x02ab";
        let segments = [(C, &asked[..]), (S, &answered[..])];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["giop"]);
        assert_eq!(values(&recorder, "giop", "version"), ["1.0", "1.2"]);
        assert_eq!(values(&recorder, "giop", "message"), ["reply", "request"]);
        only_registered_attributes(&recorder, &[&GIOP]);
        survives_every_cut(&segments);
        assert_eq!(protocols(&midstream(&[(S, answered)])), ["giop"]);
    }

    #[test]
    fn other_versions_flags_types_and_sizes_are_refused() {
        for other in [
            &b"GIOP\x02\x00\x00\x01\0\0\0\x02"[..],
            b"GIOP\x01\x04\x00\x01\0\0\0\x02",
            b"GIOP\x01\x00\x04\x01\0\0\0\x02",
            b"GIOP\x01\x00\x00\x08\0\0\0\x02",
            b"GIOP\x01\x00\x00\x01\xff\0\0\x02",
            b"GET / HTTP/1.1\r\n",
        ] {
            assert!(!protocols(&conversation(&[(C, other)])).contains(&"giop"));
        }
    }
}
