//! `OpenFlow` (Open Networking Foundation, Switch Specification 1.0 to 1.5): what controllers and switches say to each other.
//!
//! Reads the headers; what tables hold is passed over. Proof is a greeting or an echo of exact form, or two messages of one
//! version. Version 1.2 is left alone: its header is also that of TPKT (RFC 1006).

use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;

/// Version of the messages: `1.0`, `1.1`, `1.3`, `1.4`, `1.5`.
const VERSION: &str = "version";
/// Number of a message's type.
const MESSAGE: &str = "message";

/// Control of switches.
pub(super) const OPENFLOW: Protocol = Protocol {
    name: "openflow",
    about: About {
        title: "OpenFlow",
        sources: "OpenFlow Switch Specification 1.0 section 5, 1.3 and 1.5 section 7",
        reads: "Versions and types of messages.",
        proves: "A greeting or an echo of exact form, or two messages of one version.",
        limits: "Tables and packets inside are passed over; version 1.2 is not known.",
    },
    attributes: &[VERSION, MESSAGE],
    stream: Some(StreamEntry {
        first_byte: |byte| version(byte).is_some(),
        probe,
        start: || Box::new(Messages),
    }),
    datagram: None,
};

const HEADER: usize = 8;
const HELLO: u8 = 0;
const ECHO_REQUEST: u8 = 2;
const ECHO_REPLY: u8 = 3;
/// The only element of a greeting: a map of the versions that are spoken (1.3 section 7.5.1).
const VERSIONS: u16 = 1;

const fn version(byte: u8) -> Option<(&'static str, u8)> {
    // With the last type of that version.
    match byte {
        1 => Some(("1.0", 21)),
        2 => Some(("1.1", 23)),
        4 => Some(("1.3", 29)),
        5 => Some(("1.4", 33)),
        6 => Some(("1.5", 35)),
        _ => None,
    }
}

#[derive(Clone, Copy)]
struct Header {
    number: u8,
    version: &'static str,
    kind: u8,
    /// With the header.
    length: usize,
}

impl Header {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Reject> {
        let number = cursor.u8()?;
        let (version, last) = version(number).ok_or(Reject::Other)?;
        let kind = cursor.u8()?;
        let length = usize::from(cursor.u16()?);
        let _transaction = cursor.u32()?;
        if kind > last || length < HEADER {
            return Err(Reject::Invalid("type or length"));
        }
        Ok(Self {
            number,
            version,
            kind,
            length,
        })
    }

    /// Whether `body` is that of a greeting or of an echo without anything in it.
    fn is_exact(self, body: &[u8]) -> bool {
        let is_hello = self.kind == HELLO;
        match body.first_chunk::<8>() {
            _ if body.is_empty() => is_hello || matches!(self.kind, ECHO_REQUEST | ECHO_REPLY),
            Some([kind, code, long, length, ..]) => {
                is_hello
                    && u16::from_be_bytes([*kind, *code]) == VERSIONS
                    && usize::from(u16::from_be_bytes([*long, *length])) == body.len()
            }
            None => false,
        }
    }
}

/// The version that a side speaks and what its messages are worth, of which two make a proof; `None` where something else is
/// among them.
fn worth(bytes: &[u8]) -> Option<(Option<u8>, u32)> {
    let (mut cursor, mut spoken, mut worth) = (Cursor::new(bytes), None, 0_u32);
    while !cursor.is_empty() {
        let header = match Header::parse(&mut cursor) {
            Ok(header) => header,
            Err(Reject::Short(_)) => break,
            Err(_) => return None,
        };
        // Only a greeting may be of a newer version than what follows.
        let is_like =
            spoken.is_none_or(|(version, kind)| version == header.number || kind == HELLO);
        let body = cursor.take(header.length.saturating_sub(HEADER));
        let Ok(body) = body else { break };
        if !is_like || (header.kind == HELLO && !header.is_exact(body)) {
            return None;
        }
        spoken = Some((header.number, header.kind));
        worth = worth.saturating_add(1 + u32::from(header.is_exact(body)));
    }
    Some((spoken.map(|(version, _)| version), worth))
}

fn probe(opening: &Opening<'_>) -> Probe {
    match [opening.spoken(), opening.reply()].map(worth) {
        [None, _] | [_, None] => Probe::No,
        [Some((_, 2..)), _] | [_, Some((_, 2..))] => Probe::Yes,
        [Some((Some(one), _)), Some((Some(other), _))] if one == other => Probe::Yes,
        _ => Probe::More,
    }
}

/// All messages of one connection.
struct Messages;

impl StreamDecoder for Messages {
    fn data(&mut self, _side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        match Header::parse(&mut Cursor::new(bytes)) {
            Ok(header) => {
                notes.proved();
                notes.text(VERSION, header.version);
                notes.number(MESSAGE, u64::from(header.kind));
                Step::Skip {
                    consumed: HEADER,
                    bytes: header.length.saturating_sub(HEADER) as u64,
                }
            }
            Err(reject) => reject.into_step(0, bytes.len()),
        }
    }

    fn resume(&mut self, _side: Side, bytes: &[u8]) -> Option<usize> {
        worth(bytes)
            .is_some_and(|(_, worth)| worth > 0)
            .then_some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT as C, SERVER as S, conversation, midstream, only_registered_attributes, protocols,
        survives_every_cut, values,
    };
    use super::*;

    const HELLO_13: &[u8] = &[4, 0, 0, 16, 0, 0, 0, 1, 0, 1, 0, 8, 0, 0, 0, 0x12];
    const HELLO_10: &[u8] = &[1, 0, 0, 8, 0, 0, 0, 9];
    const FEATURES: &[u8] = &[4, 5, 0, 8, 0, 0, 0, 2];
    const MOD: &[u8] = &[4, 14, 0, 12, 0, 0, 0, 3, 1, 2, 3, 4];

    #[test]
    fn versions_and_messages_are_read() {
        let segments = [(C, HELLO_13), (S, HELLO_10), (S, FEATURES), (S, MOD)];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["openflow"]);
        assert_eq!(
            values(&recorder, "openflow", "version"),
            ["1.0", "1.3", "1.3"]
        );
        let messages = values(&recorder, "openflow", "message");
        assert_eq!(messages, ["0", "0", "5", "14"]);
        only_registered_attributes(&recorder, &[&OPENFLOW]);
        survives_every_cut(&segments);
    }

    #[test]
    fn without_a_greeting_two_messages_of_one_version_are_needed() {
        assert!(protocols(&midstream(&[(C, MOD)])).is_empty());
        assert_eq!(
            protocols(&midstream(&[(C, &[MOD, FEATURES].concat())])),
            ["openflow"]
        );
        assert_eq!(
            protocols(&midstream(&[(C, MOD), (S, FEATURES)])),
            ["openflow"]
        );
        let other = [5, 5, 0, 8, 0, 0, 0, 2];
        assert!(protocols(&midstream(&[(C, &[MOD, &other].concat())])).is_empty());
    }

    #[test]
    fn tpkt_and_strangers_are_refused() {
        for other in [
            &[3_u8, 0, 0, 8, 2, 0xf0, 0x80, 1][..],
            &[3, 0, 0, 11, 6, 0xe0, 0, 0, 0, 1, 0],
            &[4, 0, 0, 12, 0, 0, 0, 1, 1, 2, 3, 4],
            &[4, 30, 0, 8, 0, 0, 0, 1],
            &[1, 0, 0, 7, 0, 0, 0, 1],
        ] {
            let recorder = conversation(&[(C, other)]);
            assert!(!protocols(&recorder).contains(&"openflow"), "{other:?}");
        }
    }
}
