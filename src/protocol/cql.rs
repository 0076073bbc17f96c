//! Cassandra Query Language, native protocol versions 3 to 5 (Apache Cassandra): version and logon.
//!
//! Reads frames up to the end of the logon; statements and rows are never looked at. Proof is a client's first frame: a question
//! for options, which is all zero but for its opcode, or a startup that names its version of the language.

use memchr::memmem;

use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;

/// Version of the native protocol.
const VERSION: &str = "version";
/// Class that the server authenticates with, without its package.
const AUTH_MECHANISM: &str = "auth_mechanism";
/// `ok` or `failed`.
const AUTH_RESULT: &str = "auth_result";

/// Databases.
pub(super) const CQL: Protocol = Protocol {
    name: "cql",
    about: About {
        title: "Cassandra native protocol (CQL)",
        sources: "Apache Cassandra, native_protocol_v3 to v5, sections 2 and 4",
        reads: "The version, and how a client logs on.",
        proves: "A client's first frame: a question for options, or a startup that names its version of the language.",
        limits: "Statements and rows are not looked at; a connection without its beginning is not known.",
    },
    attributes: &[VERSION, AUTH_MECHANISM, AUTH_RESULT],
    stream: Some(StreamEntry {
        first_byte: |byte| matches!(byte, 3..=5),
        probe,
        start: || Box::<Connection>::default(),
    }),
    datagram: None,
};

const RESPONSE: u8 = 0x80;
const ERROR: u8 = 0;
const STARTUP: u8 = 1;
const READY: u8 = 2;
const AUTHENTICATE: u8 = 3;
const OPTIONS: u8 = 5;
const AUTH_SUCCESS: u8 = 0x10;
/// Longest frame of a logon that is waited for.
const MAX_BODY: u32 = 4096;

struct Frame<'a> {
    version: u8,
    opcode: u8,
    body: &'a [u8],
}

impl<'a> Frame<'a> {
    fn parse(cursor: &mut Cursor<'a>) -> Result<Self, Reject> {
        let version = cursor.u8()?;
        if !matches!(version & !RESPONSE, 3..=5) {
            return Err(Reject::Other);
        }
        let flags = cursor.u8()?;
        let _stream = cursor.u16()?;
        let (opcode, length) = (cursor.u8()?, cursor.u32()?);
        // Compressed, traced, with payload, with warnings, of a test version.
        if flags > 0x1f || opcode > AUTH_SUCCESS || length > MAX_BODY {
            return Err(Reject::Other);
        }
        let body = cursor.take(usize::try_from(length).unwrap_or(usize::MAX))?;
        Ok(Self {
            version,
            opcode,
            body,
        })
    }

    fn first(cursor: &mut Cursor<'a>) -> Result<Self, Reject> {
        let frame = Self::parse(cursor)?;
        let is_first = match frame.opcode {
            OPTIONS => frame.body.is_empty(),
            STARTUP => memmem::find(frame.body, b"\0\x0bCQL_VERSION\0").is_some(),
            _ => false,
        };
        if frame.version & RESPONSE != 0 || !is_first {
            return Err(Reject::Other);
        }
        Ok(frame)
    }
}

fn probe(opening: &Opening<'_>) -> Probe {
    opening.either(|bytes| Probe::of(Frame::first(&mut Cursor::new(bytes))))
}

/// One connection.
#[derive(Default)]
struct Connection {
    client: Option<Side>,
}

impl StreamDecoder for Connection {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let mut cursor = Cursor::new(bytes);
        let frame = match self.client {
            None => Frame::first(&mut cursor),
            Some(_) => Frame::parse(&mut cursor),
        };
        let frame = match frame {
            Ok(frame) => frame,
            Err(reject) => return reject.into_step(0, bytes.len()),
        };
        if self.client.is_none() {
            self.client = Some(side);
            notes.proved();
            notes.client(side);
            notes.number(VERSION, u64::from(frame.version));
        }
        if frame.version & RESPONSE != 0 {
            match frame.opcode {
                AUTHENTICATE => {
                    let class = frame.body.get(2..).unwrap_or_default();
                    let name = class.rsplit(|byte| *byte == b'.').next();
                    notes.bytes(AUTH_MECHANISM, name.unwrap_or_default());
                }
                READY | AUTH_SUCCESS => {
                    notes.text(AUTH_RESULT, "ok");
                    return Step::Done;
                }
                ERROR => {
                    notes.text(AUTH_RESULT, "failed");
                    return Step::Done;
                }
                _ => {}
            }
        }
        Step::Skip {
            consumed: cursor.offset(),
            bytes: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT as C, SERVER as S, conversation, only_registered_attributes, protocols,
        survives_every_cut, values,
    };
    use super::*;

    fn frame(version: u8, opcode: u8, body: &[u8]) -> Vec<u8> {
        let length = u8::try_from(body.len()).unwrap();
        [&[version, 0, 0, 1, opcode, 0, 0, 0, length][..], body].concat()
    }

    const VERSIONS: &[u8] = b"\0\x01\0\x0bCQL_VERSION\0\x053.4.0";

    #[test]
    fn version_and_logon_are_read() {
        let asked = [frame(4, 5, &[]), frame(4, 1, VERSIONS)].concat();
        let class = b"\0\x14org.x.PasswordAuther";
        for (opcode, result) in [(2, "ok"), (0x10, "ok"), (0, "failed")] {
            let answered = [frame(0x84, 3, class), frame(0x84, opcode, &[])].concat();
            let segments = [(C, &asked[..]), (S, &answered[..])];
            let recorder = conversation(&segments);
            assert_eq!(protocols(&recorder), ["cql"]);
            assert_eq!(recorder.client, Some(C));
            assert_eq!(values(&recorder, "cql", "version"), ["4"]);
            assert_eq!(
                values(&recorder, "cql", "auth_mechanism"),
                ["PasswordAuther"]
            );
            assert_eq!(values(&recorder, "cql", "auth_result"), [result]);
            only_registered_attributes(&recorder, &[&CQL]);
            survives_every_cut(&segments);
        }
    }

    #[test]
    fn other_first_frames_are_refused() {
        for other in [
            frame(4, 7, b"select"),
            frame(4, 1, b"\0\0"),
            frame(4, 5, b"x"),
            frame(0x84, 2, &[]),
            frame(6, 5, &[]),
        ] {
            assert!(protocols(&conversation(&[(C, &other)])).is_empty());
        }
    }
}
