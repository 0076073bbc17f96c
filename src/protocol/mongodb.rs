//! MongoDB wire protocol: which commands are sent, and by what mechanism a client authenticates.
//!
//! Reads the header of each message and the name of its command; documents are passed over. Proof is a header of a known
//! operation with the fixed fields of that operation behind it, and a document that fits into the message.

use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::bytes::{Cursor, Short};
use crate::evidence::Notes;
use crate::net::Side;

/// A command that the client sent.
const COMMAND: &str = "command";
/// The mechanism with which the client authenticates.
const AUTH_MECHANISM: &str = "auth_mechanism";

pub(super) const MONGODB: Protocol = Protocol {
    name: "mongodb",
    about: About {
        title: "MongoDB wire protocol",
        sources: "MongoDB manual, wire protocol: OP_MSG, OP_QUERY, OP_REPLY, OP_COMPRESSED; bsonspec.org",
        reads: "Message headers, names of commands, and the mechanism of a login.",
        proves: "A header of a known operation, its fixed fields, and a document that fits into the message.",
        limits: "Documents are not looked at; commands in compressed messages and the oldest operations are not named.",
    },
    attributes: &[COMMAND, AUTH_MECHANISM],
    stream: Some(StreamEntry {
        // The lowest byte of a length.
        first_byte: |_| true,
        probe,
        start: || Box::<Connection>::default(),
    }),
    datagram: None,
};

const HEADER_BYTES: usize = 16;
/// Largest message that servers take.
const MAX_MESSAGE: usize = 48_000_000;
const REPLY: u32 = 1;
const QUERY: u32 = 2004;
const COMPRESSED: u32 = 2012;
const MSG: u32 = 2013;
/// Bytes of a message that are read: fixed fields, and the beginning of a command or of a login.
const READ_BYTES: usize = 512;
/// Longest name of a command or a collection.
const MAX_NAME: usize = 128;
/// Messages of a connection that are read: the login and the first commands.
const MAX_MESSAGES: u32 = 64;

fn is_length(length: usize) -> bool {
    (HEADER_BYTES..=MAX_MESSAGE).contains(&length)
}

/// A message, as far as it is read.
#[derive(Debug, PartialEq, Eq)]
struct Message<'a> {
    length: u32,
    is_request: bool,
    /// The first document, cut at the end of what was read.
    document: Option<&'a [u8]>,
}

impl<'a> Message<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, Reject> {
        let mut cursor = Cursor::new(bytes);
        let length = cursor.u32_le()?;
        if !is_length(length as usize) {
            return Err(Reject::Other);
        }
        let _request = cursor.u32_le()?;
        let answers = cursor.u32_le()?;
        let operation = cursor.u32_le()?;
        let invalid = Err(Reject::Invalid("operation"));
        match operation {
            MSG => {
                // Checksum, more to come, exhaust; then a section of kind 0 or 1.
                if cursor.u32_le()? & !0x0001_0003 != 0 {
                    return invalid;
                }
                match cursor.u8()? {
                    0 => {}
                    1 => return Err(Reject::Other),
                    _ => return invalid,
                }
            }
            QUERY => {
                if cursor.u32_le()? > 0xff || answers != 0 {
                    return invalid;
                }
                let rest = cursor.rest();
                let name = rest.get(..MAX_NAME).unwrap_or(rest);
                let Some(end) = memchr::memchr(0, name) else {
                    return if name.len() < MAX_NAME {
                        Err(Reject::Short(Short {
                            offset: cursor.offset(),
                            missing: 1,
                        }))
                    } else {
                        invalid
                    };
                };
                let name = cursor.take(end)?;
                if !name.contains(&b'.') || !name.iter().all(u8::is_ascii_graphic) {
                    return invalid;
                }
                cursor.skip(9)?;
            }
            REPLY => {
                let flags = cursor.u32_le()?;
                cursor.skip(12)?;
                let count = cursor.u32_le()?;
                if flags > 0xf || answers == 0 || count > length / 5 {
                    return invalid;
                }
                if count == 0 {
                    return if length == 36 {
                        Ok(Self {
                            length,
                            is_request: false,
                            document: None,
                        })
                    } else {
                        invalid
                    };
                }
            }
            COMPRESSED => {
                let inner = cursor.u32_le()?;
                let size = cursor.u32_le()?;
                let compressor = cursor.u8()?;
                if !matches!(inner, REPLY | QUERY | MSG)
                    || size as usize > MAX_MESSAGE
                    || compressor > 3
                {
                    return invalid;
                }
                return Ok(Self {
                    length,
                    is_request: answers == 0,
                    document: None,
                });
            }
            _ => return Err(Reject::Other),
        }
        let room = (length as usize).checked_sub(cursor.offset());
        let document = cursor.rest();
        let size = cursor.u32_le()? as usize;
        if size < 5 || room.is_none_or(|room| size > room) {
            return invalid;
        }
        // A document of nothing, or an element of a known type.
        match cursor.u8()? {
            0 if size == 5 => {}
            1..=0x13 | 0x7f | 0xff if size > 5 => {}
            _ => return invalid,
        }
        Ok(Self {
            length,
            is_request: answers == 0,
            document: Some(document.get(..size).unwrap_or(document)),
        })
    }

    /// The name of the first element: that of the command, where a client sends it.
    fn command(&self) -> Option<&'a [u8]> {
        let elements = self.document?.get(5..)?;
        let elements = elements.get(..MAX_NAME).unwrap_or(elements);
        let name = elements.split(|byte| *byte == 0).next()?;
        let is_name = !name.is_empty()
            && name.len() < elements.len()
            && name
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        is_name.then_some(name)
    }

    /// The text element `mechanism`.
    fn mechanism(&self) -> Option<&'a [u8]> {
        let document = self.document?;
        let at = memchr::memmem::find(document, b"\x02mechanism\0")?;
        let mut cursor = Cursor::new(document.get(at.saturating_add(11)..)?);
        let size = (cursor.u32_le().ok()? as usize).checked_sub(1)?;
        let name = cursor.take(size).ok()?;
        let is_name = |byte: &u8| {
            byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
        };
        name.iter().all(is_name).then_some(name)
    }
}

fn probe(opening: &Opening<'_>) -> Probe {
    opening.either(|bytes| {
        // The operation is soon enough to refuse what is something else.
        let operation = bytes.get(12..16).and_then(|bytes| bytes.first_chunk::<4>());
        let operation = operation.map(|bytes| u32::from_le_bytes(*bytes));
        match (operation, Message::parse(bytes)) {
            (_, Ok(message)) => {
                // An empty or a compressed answer alone has little to show.
                let is_enough = message.document.is_some() || message.is_request;
                if is_enough { Probe::Yes } else { Probe::No }
            }
            (Some(_), Err(Reject::Short(_))) => Probe::More,
            (None, Err(Reject::Short(_))) if !opening.midstream => Probe::More,
            _ => Probe::No,
        }
    })
}

/// One connection.
#[derive(Default)]
struct Connection {
    messages: u32,
}

impl StreamDecoder for Connection {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        // What is read of a message must be there before, so that it does not matter how it was cut.
        let length = bytes
            .first_chunk::<4>()
            .map(|length| u32::from_le_bytes(*length) as usize);
        let needed = length.unwrap_or(4).clamp(4, READ_BYTES);
        if bytes.len() < needed {
            return Step::NeedMore {
                consumed: 0,
                at_least: needed,
            };
        }
        let whole = bytes.get(..length.unwrap_or(0)).unwrap_or(bytes);
        let head = whole.get(..READ_BYTES).unwrap_or(whole);
        let message = match Message::parse(head) {
            Ok(message) => message,
            // Another operation, or sections in another order.
            Err(Reject::Other) if length.is_some_and(is_length) => {
                return Step::Skip {
                    consumed: 0,
                    bytes: length.unwrap_or(0) as u64,
                };
            }
            Err(Reject::Short(_)) => return Step::Reject(Reject::Invalid("length")),
            Err(reject) => return Step::Reject(reject),
        };
        notes.proved();
        if message.is_request {
            notes.client(side);
            if let Some(command) = message.command() {
                notes.bytes(COMMAND, command);
                if command == b"saslStart" {
                    notes.bytes(AUTH_MECHANISM, message.mechanism().unwrap_or_default());
                }
            }
        } else {
            notes.client(side.other());
        }
        self.messages = self.messages.saturating_add(1);
        if self.messages >= MAX_MESSAGES {
            return Step::Done;
        }
        Step::Skip {
            consumed: 0,
            bytes: u64::from(message.length),
        }
    }

    fn resume(&mut self, _side: Side, bytes: &[u8]) -> Option<usize> {
        Message::parse(bytes).is_ok().then_some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::testing::{
        CLIENT as C, SERVER as S, conversation, midstream, only_registered_attributes, protocols,
        survives_every_cut, values,
    };

    fn message(answers: u8, operation: u32, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 16).unwrap().to_le_bytes();
        [
            &length[..],
            &[9, 0, 0, 0, answers, 0, 0, 0],
            &operation.to_le_bytes(),
            body,
        ]
        .concat()
    }

    fn document(elements: &[u8]) -> Vec<u8> {
        let size = u32::try_from(elements.len() + 5).unwrap().to_le_bytes();
        [&size[..], elements, &[0]].concat()
    }

    fn query(elements: &[u8]) -> Vec<u8> {
        let body = [
            &[4, 0, 0, 0][..],
            b"admin.$cmd\0",
            &[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
            &document(elements),
        ]
        .concat();
        message(0, QUERY, &body)
    }

    #[test]
    fn commands_and_mechanism_are_read_and_nothing_of_their_documents() {
        let hello = query(b"\x10isMaster\0\x01\0\0\0");
        let reply = [
            &[8, 0, 0, 0][..],
            &[0; 12],
            &[1, 0, 0, 0],
            &document(b"\x08ok\0\x01"),
        ]
        .concat();
        let reply = message(9, REPLY, &reply);
        let login = document(b"\x10saslStart\0\x01\0\0\0\x02mechanism\0\x0e\0\0\0SCRAM-SHA-256\0\x05payload\0\x0a\0\0\0\0n,,n=secret");
        let login = message(0, MSG, &[&[0; 5][..], &login].concat());
        let compressed = message(9, COMPRESSED, &[0xdd, 7, 0, 0, 64, 0, 0, 0, 1, 1, 2, 3]);
        let segments = [(C, &hello[..]), (S, &reply), (C, &login), (S, &compressed)];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["mongodb"]);
        assert_eq!(recorder.client, Some(C));
        assert_eq!(
            values(&recorder, "mongodb", "command"),
            ["isMaster", "saslStart"]
        );
        assert_eq!(
            values(&recorder, "mongodb", "auth_mechanism"),
            ["SCRAM-SHA-256"]
        );
        assert!(!format!("{:?}", recorder.facts).contains("secret"));
        only_registered_attributes(&recorder, &[&MONGODB]);
        survives_every_cut(&segments);
        assert_eq!(midstream(&[(S, &reply)]).client, Some(C));
    }

    #[test]
    fn a_large_message_is_passed_over() {
        let mut elements = b"\x02insert\0\x05\0\0\0mail\0\x05body\0\x88\x13\0\0\0".to_vec();
        elements.extend([7; 5000]);
        let insert = message(0, MSG, &[&[0; 5][..], &document(&elements)].concat());
        let find = query(b"\x10ping\0\x01\0\0\0");
        let segments = [(C, &insert[..]), (C, &find)];
        let recorder = conversation(&segments);
        assert_eq!(values(&recorder, "mongodb", "command"), ["insert", "ping"]);
        survives_every_cut(&segments);
    }

    #[test]
    fn other_openings_are_not_mongodb() {
        let good = query(b"\x10ping\0\x01\0\0\0");
        let (mut flags, mut name, mut size) = (good.clone(), good.clone(), good.clone());
        flags[17] = 1;
        name[25] = b'x';
        size[39] = 99;
        let nothing = message(9, REPLY, &[0; 20]);
        for other in [
            &flags[..],
            &name,
            &size,
            &nothing,
            &message(0, 2005, &[0; 40]),
        ] {
            assert!(
                protocols(&conversation(&[(C, other)])).is_empty(),
                "{other:02x?}"
            );
        }
    }
}
