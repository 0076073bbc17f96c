//! Apache Kafka (kafka.apache.org, "Kafka protocol guide"): what a client asks of a broker, and how it logs on.
//!
//! Reads the header of each request, and the mechanism of a logon; topics and records are passed over. There is no magic number:
//! proof is a request whose size, interface, version, number and printable client name all fit.

use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;
use crate::open_enum;

/// What is asked: `produce`, `fetch`, `metadata` ..., or its number.
const REQUEST: &str = "request";
/// SASL mechanism that a client wants.
const AUTH_MECHANISM: &str = "auth_mechanism";

/// Message broker.
pub(super) const KAFKA: Protocol = Protocol {
    name: "kafka",
    about: About {
        title: "Apache Kafka",
        sources: "Kafka protocol guide",
        reads: "What clients ask for, and by which mechanism they log on.",
        proves: "A request whose size, interface, version, number and printable name of the client all fit.",
        limits: "Topics, records and the names of clients are not kept; a broker's side alone is not known.",
    },
    attributes: &[REQUEST, AUTH_MECHANISM],
    stream: Some(StreamEntry {
        // The highest octet of a size.
        first_byte: |byte| byte <= 1,
        probe,
        start: || Box::<Connection>::default(),
    }),
    datagram: None,
};

/// Sizes of requests up to what brokers accept when not told otherwise, with room.
const MAX_SIZE: u32 = 128 * 1024 * 1024;
/// Interfaces and their versions count upwards from nought; room for some years.
const MAX_INTERFACE: u16 = 100;
const MAX_VERSION: u16 = 24;
/// A connection numbers its requests upwards from nought; more would also be a text of another protocol.
const MAX_NUMBER: u32 = 0x00ff_ffff;
/// Longest name of a client or of a mechanism.
const MAX_NAME: usize = 255;

open_enum! {
    /// Interfaces.
    struct Interface(u16) {
        /// Sends records.
        PRODUCE = 0 => "produce",
        /// Wants records.
        FETCH = 1 => "fetch",
        /// Which offsets are there?
        LIST_OFFSETS = 2 => "list_offsets",
        /// Which topics and brokers are there?
        METADATA = 3 => "metadata",
        /// So far this group has read.
        OFFSET_COMMIT = 8 => "offset_commit",
        /// Who coordinates this group?
        FIND_COORDINATOR = 10 => "find_coordinator",
        /// A consumer comes.
        JOIN_GROUP = 11 => "join_group",
        /// Still there.
        HEARTBEAT = 12 => "heartbeat",
        /// Begins a logon.
        SASL_HANDSHAKE = 17 => "sasl_handshake",
        /// Which versions are spoken?
        API_VERSIONS = 18 => "api_versions",
        /// A new topic.
        CREATE_TOPICS = 19 => "create_topics",
        /// A topic goes.
        DELETE_TOPICS = 20 => "delete_topics",
        /// Goes on with a logon.
        SASL_AUTHENTICATE = 36 => "sasl_authenticate",
    }
}

struct Request<'a> {
    interface: Interface,
    mechanism: &'a [u8],
    /// Octets that were not read.
    rest: u64,
}

impl<'a> Request<'a> {
    fn parse(cursor: &mut Cursor<'a>) -> Result<Self, Reject> {
        let size = cursor.u32()?;
        let (interface, version) = (cursor.u16()?, cursor.u16()?);
        if size > MAX_SIZE || interface > MAX_INTERFACE || version > MAX_VERSION {
            return Err(Reject::Other);
        }
        let number = cursor.u32()?;
        let name = name(cursor)?;
        if number > MAX_NUMBER || !name.iter().all(u8::is_ascii_graphic) {
            return Err(Reject::Other);
        }
        let interface = Interface(interface);
        let mechanism = match interface {
            Interface::SASL_HANDSHAKE => self::name(cursor)?,
            _ => b"",
        };
        let read = cursor.offset().saturating_sub(size_of::<u32>()) as u64;
        let rest = u64::from(size).checked_sub(read);
        Ok(Self {
            interface,
            mechanism,
            rest: rest.ok_or(Reject::Invalid("size"))?,
        })
    }
}

/// A text behind its length.
fn name<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], Reject> {
    let length = usize::from(cursor.u16()?);
    if !(1..=MAX_NAME).contains(&length) {
        return Err(Reject::Invalid("length of a name"));
    }
    Ok(cursor.take(length)?)
}

fn probe(opening: &Opening<'_>) -> Probe {
    opening.either(|bytes| Probe::of(Request::parse(&mut Cursor::new(bytes))))
}

/// One connection.
#[derive(Default)]
struct Connection {
    client: Option<Side>,
}

impl StreamDecoder for Connection {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let mut cursor = Cursor::new(bytes);
        let is_broker = self.client.is_some_and(|client| client != side);
        let step = match is_broker {
            true => pass(&mut cursor),
            false => match Request::parse(&mut cursor) {
                Ok(request) => {
                    self.client = Some(side);
                    notes.proved();
                    notes.client(side);
                    notes.text(REQUEST, &request.interface.to_string());
                    notes.bytes(AUTH_MECHANISM, request.mechanism);
                    Ok(Step::Skip {
                        consumed: cursor.offset(),
                        bytes: request.rest,
                    })
                }
                // A broker was first, or this client does not tell its name here.
                Err(Reject::Other | Reject::Invalid(_)) => pass(&mut Cursor::new(bytes)),
                Err(short) => Err(short),
            },
        };
        step.unwrap_or_else(|reject| reject.into_step(0, bytes.len()))
    }

    fn resume(&mut self, side: Side, bytes: &[u8]) -> Option<usize> {
        let is_client = self.client.is_none_or(|client| client == side);
        (is_client && Request::parse(&mut Cursor::new(bytes)).is_ok()).then_some(0)
    }
}

/// Passes over a message.
fn pass(cursor: &mut Cursor<'_>) -> Result<Step, Reject> {
    let size = cursor.u32()?;
    if !(4..=MAX_SIZE).contains(&size) {
        return Err(Reject::Invalid("size"));
    }
    Ok(Step::Skip {
        consumed: cursor.offset(),
        bytes: u64::from(size),
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT as C, SERVER as S, conversation, midstream, only_registered_attributes, protocols,
        survives_every_cut, values,
    };
    use super::*;

    fn request(interface: u16, version: u16, body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(body.len() + 15).unwrap();
        let [high, low] = interface.to_be_bytes();
        let head = [&size.to_be_bytes()[..], &[high, low]].concat();
        [
            &head,
            &version.to_be_bytes()[..],
            b"\0\0\0\x07\0\x05prod1",
            body,
        ]
        .concat()
    }

    const ANSWER: &[u8] = &[0, 0, 0, 6, 0, 0, 0, 7, 0, 0];

    #[test]
    fn requests_and_the_logon_are_read() {
        let asked = [request(18, 0, &[]), request(17, 1, b"\0\x05PLAIN")].concat();
        let metadata = request(3, 9, &[0; 9]);
        let segments = [(C, &asked[..]), (S, ANSWER), (C, &metadata)];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["kafka"]);
        assert_eq!(recorder.client, Some(C));
        assert_eq!(
            values(&recorder, "kafka", "request"),
            ["api_versions", "metadata", "sasl_handshake"]
        );
        assert_eq!(values(&recorder, "kafka", "auth_mechanism"), ["PLAIN"]);
        assert!(!format!("{:?}", recorder.facts).contains("prod1"));
        only_registered_attributes(&recorder, &[&KAFKA]);
        survives_every_cut(&segments);
    }

    #[test]
    fn a_broker_that_was_seen_first_is_waited_for() {
        let fetch = request(1, 11, &[0; 30]);
        let recorder = midstream(&[(S, ANSWER), (C, &fetch), (S, ANSWER)]);
        assert_eq!(values(&recorder, "kafka", "request"), ["fetch"]);
        assert_eq!(recorder.client, Some(C));
        assert!(protocols(&conversation(&[(S, ANSWER)])).is_empty());
    }

    #[test]
    fn neighbours_with_a_length_in_front_are_refused() {
        for other in [
            // PostgreSQL, SMPP, Kerberos, Thrift.
            &b"\0\0\0\x22\0\x03\0\0user\0joe\0database\0joe\0\0\0\0\0\0"[..],
            b"\0\0\0\x21\0\0\0\x02\0\0\0\0\0\0\0\x01smpp\0pw\0\0\x34\0\0\0",
            b"\0\0\0\x40\x6a\x3e\x30\x3c\xa1\x03\x02\x01\x05\xa2\x03\x02\x01",
            b"\0\0\0\x25\x80\x01\0\x01\0\0\0\x0cset_keyspace\0\0\0\x01",
            &request(101, 0, &[]),
            &request(3, 25, &[]),
            b"\0\0\0\x09\0\x03\0\0\0\0\0\x07\0\x05prod1",
        ] {
            let recorder = conversation(&[(C, other)]);
            assert!(!protocols(&recorder).contains(&"kafka"));
        }
    }
}
