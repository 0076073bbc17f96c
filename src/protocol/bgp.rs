//! Border Gateway Protocol 4 (RFC 4271): who peers with whom, and why a session ended.
//!
//! Reads the header of each message, the opening and notifications; routes are passed over. Proof is the marker of ones with a
//! length that fits the type.

use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;
use crate::open_enum;

/// Kind of message.
const MESSAGE: &str = "message";
/// Number of the autonomous system that opens.
const AUTONOMOUS_SYSTEM: &str = "as";
/// Code of a notification.
const ERROR: &str = "error";

/// Routing between networks.
pub(super) const BGP: Protocol = Protocol {
    name: "bgp",
    about: About {
        title: "Border Gateway Protocol",
        sources: "RFC 4271 section 4, RFC 2918, RFC 8654",
        reads: "Kinds of messages, the autonomous systems that open, codes of notifications.",
        proves: "The marker of sixteen octets of ones with a length that fits the type.",
        limits: "Routes are passed over.",
    },
    attributes: &[MESSAGE, AUTONOMOUS_SYSTEM, ERROR],
    stream: Some(StreamEntry {
        first_byte: |byte| byte == 0xff,
        probe,
        start: || Box::new(Messages),
    }),
    datagram: None,
};

const MARKER: &[u8; 16] = &[0xff; 16];
const HEADER: u16 = 19;
/// The only version in use.
const VERSION: u8 = 4;

open_enum! {
    /// Types of messages.
    struct Kind(u8) {
        /// Opens a session.
        OPEN = 1 => "open",
        /// Routes come or go.
        UPDATE = 2 => "update",
        /// The session ends.
        NOTIFICATION = 3 => "notification",
        /// Still there.
        KEEPALIVE = 4 => "keepalive",
        /// Send all again (RFC 2918).
        ROUTE_REFRESH = 5 => "route_refresh",
    }
}

struct Message {
    kind: Kind,
    autonomous_system: Option<u16>,
    error: Option<u8>,
    /// Octets that were not read.
    rest: u64,
}

impl Message {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Reject> {
        if cursor.array()? != MARKER {
            return Err(Reject::Other);
        }
        let (length, kind) = (cursor.u16()?, Kind(cursor.u8()?));
        let least = match kind {
            Kind::OPEN => 29,
            Kind::UPDATE | Kind::ROUTE_REFRESH => 23,
            Kind::NOTIFICATION => 21,
            Kind::KEEPALIVE => HEADER,
            _ => return Err(Reject::Invalid("type")),
        };
        if length < least || (kind == Kind::KEEPALIVE && length != HEADER) {
            return Err(Reject::Invalid("length"));
        }
        let (mut autonomous_system, mut error) = (None, None);
        if kind == Kind::OPEN {
            if cursor.u8()? != VERSION {
                return Err(Reject::Invalid("version"));
            }
            autonomous_system = Some(cursor.u16()?);
        } else if kind == Kind::NOTIFICATION {
            error = Some(cursor.u8()?);
        }
        Ok(Self {
            kind,
            autonomous_system,
            error,
            rest: usize::from(length).saturating_sub(cursor.offset()) as u64,
        })
    }
}

fn probe(opening: &Opening<'_>) -> Probe {
    opening.either(|bytes| Probe::of(Message::parse(&mut Cursor::new(bytes))))
}

/// All messages of one session.
struct Messages;

impl StreamDecoder for Messages {
    fn data(&mut self, _side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let mut cursor = Cursor::new(bytes);
        match Message::parse(&mut cursor) {
            Ok(message) => {
                notes.proved();
                notes.text(MESSAGE, &message.kind.to_string());
                if let Some(number) = message.autonomous_system {
                    notes.number(AUTONOMOUS_SYSTEM, u64::from(number));
                }
                if let Some(code) = message.error {
                    notes.number(ERROR, u64::from(code));
                }
                Step::Skip {
                    consumed: cursor.offset(),
                    bytes: message.rest,
                }
            }
            Err(reject) => reject.into_step(0, bytes.len()),
        }
    }

    fn resume(&mut self, _side: Side, bytes: &[u8]) -> Option<usize> {
        memchr::memmem::find(bytes, MARKER)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT as C, SERVER as S, conversation, cut_conversation, midstream,
        only_registered_attributes, protocols, survives_every_cut, values,
    };
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len() + 19).unwrap();
        [&MARKER[..], &length.to_be_bytes(), &[kind], body].concat()
    }

    #[test]
    fn peers_and_the_reason_of_an_end_are_read() {
        let open = message(1, &[4, 0xfd, 0xe8, 0, 180, 192, 0, 2, 1, 0]);
        let rest = [message(4, &[]), message(3, &[6, 2])].concat();
        let segments = [(C, &open[..]), (S, &rest[..])];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["bgp"]);
        assert_eq!(
            values(&recorder, "bgp", "message"),
            ["keepalive", "notification", "open"]
        );
        assert_eq!(values(&recorder, "bgp", "as"), ["65000"]);
        assert_eq!(values(&recorder, "bgp", "error"), ["6"]);
        only_registered_attributes(&recorder, &[&BGP]);
        survives_every_cut(&segments);
    }

    #[test]
    fn routes_in_the_middle_and_after_a_gap_are_known() {
        let update = message(2, &[0, 0, 0, 0]);
        let recorder = midstream(&[(S, &update)]);
        assert_eq!(values(&recorder, "bgp", "message"), ["update"]);
        let after = [&[1, 2, 3], &message(5, &[0, 1, 0, 1])[..]].concat();
        let recorder = cut_conversation(&[(S, &update, 5), (S, &after, 0)]);
        assert_eq!(
            values(&recorder, "bgp", "message"),
            ["route_refresh", "update"]
        );
    }

    #[test]
    fn other_lengths_types_and_versions_are_refused() {
        for other in [
            message(4, &[0]),
            message(1, &[3, 0, 1, 0, 180, 192, 0, 2, 1, 0]),
            message(1, &[4, 0, 1]),
            message(6, &[0; 9]),
            message(2, &[0]),
            vec![0xff; 40],
        ] {
            assert!(protocols(&conversation(&[(C, &other)])).is_empty());
        }
    }
}
