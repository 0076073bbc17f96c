//! MQTT 3.1, 3.1.1 and 5 (OASIS): the version that a client speaks, whether it shows a password, and the answer.
//!
//! Reads CONNECT and CONNACK; identifiers, names, passwords and topics are passed over. Proof is a CONNECT: its type, the
//! protocol's name with its own length, and a level and flags that fit it.

use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;

/// `3.1`, `3.1.1` or `5`.
const VERSION: &str = "version";
/// `login` where the client sends a password, `none` where not.
const AUTH_MECHANISM: &str = "auth_mechanism";
/// `ok`, or the number of the refusal.
const AUTH_RESULT: &str = "auth_result";

pub(super) const MQTT: Protocol = Protocol {
    name: "mqtt",
    about: About {
        title: "MQTT",
        sources: "MQTT 3.1.1 sections 2.2, 3.1, 3.2; MQTT 5 section 3.1; MQTT 3.1",
        reads: "CONNECT and its answer: version, whether a password is sent, the result.",
        proves: "A CONNECT with the protocol's name, and a level and flags that fit.",
        limits: "Identifiers, topics and messages are not looked at; a connection without its CONNECT is not known.",
    },
    attributes: &[VERSION, AUTH_MECHANISM, AUTH_RESULT],
    stream: Some(StreamEntry {
        first_byte: |byte| byte == CONNECT,
        probe,
        start: || Box::<Connection>::default(),
    }),
    datagram: None,
};

const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
/// A bridge of Mosquitto says so in the level's highest bit.
const BRIDGE: u8 = 0x80;
const USER: u8 = 0x80;
const PASSWORD: u8 = 0x40;

/// What a client begins with.
struct Connect {
    version: &'static str,
    flags: u8,
    /// Bytes of the message after what was read.
    rest: usize,
}

impl Connect {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Reject> {
        if cursor.u8()? != CONNECT {
            return Err(Reject::Other);
        }
        let length = length(cursor)?;
        let start = cursor.offset();
        if cursor.u8()? != 0 {
            return Err(Reject::Other);
        }
        let name: &[u8] = match cursor.u8()? {
            4 => b"MQTT",
            6 => b"MQIsdp",
            _ => return Err(Reject::Other),
        };
        for expected in name {
            if cursor.u8()? != *expected {
                return Err(Reject::Other);
            }
        }
        let version = match (name.len(), cursor.u8()? & !BRIDGE) {
            (6, 3) => "3.1",
            (4, 4) => "3.1.1",
            (4, 5) => "5",
            _ => return Err(Reject::Invalid("level")),
        };
        let flags = cursor.u8()?;
        let _keep_alive = cursor.u16()?;
        let read = cursor.offset().saturating_sub(start);
        // The lowest bit is reserved, and there is no third quality of service; an identifier has a length at least.
        let rest = length.checked_sub(read).filter(|rest| *rest >= 2);
        let Some(rest) = rest.filter(|_| flags & 1 == 0 && flags & 0x18 != 0x18) else {
            return Err(Reject::Invalid("flags or length"));
        };
        Ok(Self {
            version,
            flags,
            rest,
        })
    }
}

/// Groups of seven bits, least first; four at most (section 2.2.3).
fn length(cursor: &mut Cursor<'_>) -> Result<usize, Reject> {
    let mut length = 0;
    for shift in [0, 7, 14, 21] {
        let byte = cursor.u8()?;
        length |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(length);
        }
    }
    Err(Reject::Invalid("length"))
}

fn probe(opening: &Opening<'_>) -> Probe {
    opening.either(|bytes| Probe::of(Connect::parse(&mut Cursor::new(bytes))))
}

/// One connection.
#[derive(Default)]
struct Connection {
    client: Option<Side>,
}

impl StreamDecoder for Connection {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let mut cursor = Cursor::new(bytes);
        let step = match self.client {
            Some(client) if client == side => pass(&mut cursor),
            Some(_) => answer(&mut cursor, notes),
            None => Connect::parse(&mut cursor).map(|connect| {
                self.client = Some(side);
                notes.proved();
                notes.client(side);
                notes.text(VERSION, connect.version);
                let shows = connect.flags & (USER | PASSWORD) != 0;
                notes.text(AUTH_MECHANISM, if shows { "login" } else { "none" });
                Step::Skip {
                    consumed: cursor.offset(),
                    bytes: connect.rest as u64,
                }
            }),
        };
        match step {
            Ok(step) => step,
            Err(reject) => reject.into_step(0, bytes.len()),
        }
    }
}

/// Passes over a message.
fn pass(cursor: &mut Cursor<'_>) -> Result<Step, Reject> {
    cursor.skip(1)?;
    let length = length(cursor)?;
    Ok(Step::Skip {
        consumed: cursor.offset(),
        bytes: length as u64,
    })
}

/// CONNACK, section 3.2; anything else is an exchange of MQTT 5 that comes before it.
fn answer(cursor: &mut Cursor<'_>, notes: &mut Notes<'_>) -> Result<Step, Reject> {
    let mut start = *cursor;
    if start.u8()? != CONNACK {
        return pass(cursor);
    }
    if length(&mut start)? < 2 {
        return Err(Reject::Invalid("length"));
    }
    let _session = start.u8()?;
    match start.u8()? {
        0 => notes.text(AUTH_RESULT, "ok"),
        refusal => notes.text(AUTH_RESULT, &refusal.to_string()),
    }
    Ok(Step::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::testing::{
        CLIENT as C, SERVER as S, conversation, midstream, only_registered_attributes, protocols,
        survives_every_cut, values,
    };

    fn connect(name: &str, level: u8, flags: u8) -> Vec<u8> {
        let body = [
            &[0, u8::try_from(name.len()).unwrap()],
            name.as_bytes(),
            &[level, flags, 0, 60],
            b"\0\x08secretid\0\x04user\0\x04pass",
        ]
        .concat();
        [&[CONNECT, u8::try_from(body.len()).unwrap()][..], &body].concat()
    }

    #[test]
    fn version_and_result_are_read_and_nothing_of_the_client() {
        let connect = connect("MQTT", 4, 0xc2);
        let segments = [(C, &connect[..]), (S, &[CONNACK, 2, 0, 5])];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["mqtt"]);
        assert_eq!(recorder.client, Some(C));
        assert_eq!(values(&recorder, "mqtt", "version"), ["3.1.1"]);
        assert_eq!(values(&recorder, "mqtt", "auth_mechanism"), ["login"]);
        assert_eq!(values(&recorder, "mqtt", "auth_result"), ["5"]);
        let all = format!("{:?}", recorder.facts);
        assert!(!all.contains("secretid") && !all.contains("pass"));
        only_registered_attributes(&recorder, &[&MQTT]);
        survives_every_cut(&segments);
    }

    #[test]
    fn older_and_newer_versions_are_known_also_where_a_client_connects_late() {
        let recorder = midstream(&[(C, &connect("MQIsdp", 0x83, 2)), (S, &[CONNACK, 2, 0, 0])]);
        assert_eq!(values(&recorder, "mqtt", "version"), ["3.1"]);
        assert_eq!(values(&recorder, "mqtt", "auth_mechanism"), ["none"]);
        assert_eq!(values(&recorder, "mqtt", "auth_result"), ["ok"]);
        let five = connect("MQTT", 5, 2);
        let segments = [(C, &five[..]), (S, &[0xf0, 1, 0, CONNACK, 3, 0, 0x87, 0])];
        let recorder = conversation(&segments);
        assert_eq!(values(&recorder, "mqtt", "version"), ["5"]);
        assert_eq!(values(&recorder, "mqtt", "auth_result"), ["135"]);
        survives_every_cut(&segments);
    }

    #[test]
    fn other_openings_are_not_mqtt() {
        for other in [
            &connect("MQTT", 3, 2)[..],
            &connect("MQTX", 4, 2),
            &connect("MQTT", 4, 1),
            &[CONNECT, 11, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 60, 0],
            &[CONNACK, 2, 0, 0],
        ] {
            assert!(protocols(&conversation(&[(C, other)])).is_empty());
        }
    }
}
