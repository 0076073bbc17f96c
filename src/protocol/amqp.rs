//! AMQP 0-9-1 and its predecessors (amqp.org), and AMQP 1.0 (OASIS): version, mechanisms, and why a connection was closed.
//!
//! Reads the protocol header, and of 0-9-1 the connection's methods; credentials, names of queues and messages are passed
//! over. Proof is a protocol header of a published version, or a method of 0-9-1 in a frame that ends where it says.

use super::tls::TLS;
use super::{About, Next, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::bytes::{Cursor, Short};
use crate::evidence::Notes;
use crate::net::Side;

/// The version that a side speaks: `0-9-1`, `1.0`.
const VERSION: &str = "version";
/// The layer that a client of 1.0 begins with: `amqp`, `sasl`, `tls`.
const LAYER: &str = "layer";
/// The server's name and version of itself.
const PRODUCT: &str = "product";
/// A mechanism of authentication that the server offers.
const MECHANISM_OFFERED: &str = "mechanism_offered";
/// The mechanism that the client uses.
const AUTH_MECHANISM: &str = "auth_mechanism";
/// `ok` where the connection was opened.
const AUTH_RESULT: &str = "auth_result";
/// The code with which a side closed the connection.
const CLOSE_CODE: &str = "close_code";

pub(super) const AMQP: Protocol = Protocol {
    name: "amqp",
    about: About {
        title: "Advanced Message Queuing Protocol",
        sources: "AMQP 0-9-1 sections 4.2.2, 4.2.3 and its XML; AMQP 1.0 part 2.2",
        reads: "Protocol headers; of 0-9-1 product, mechanisms, opening and closing of the connection.",
        proves: "A protocol header of a published version, or a method of 0-9-1 in a frame that ends as it must.",
        limits: "Frames of 1.0 and messages are not read.",
    },
    attributes: &[
        VERSION,
        LAYER,
        PRODUCT,
        MECHANISM_OFFERED,
        AUTH_MECHANISM,
        AUTH_RESULT,
        CLOSE_CODE,
    ],
    stream: Some(StreamEntry {
        first_byte: |byte| matches!(byte, b'A' | METHOD),
        probe,
        start: || Box::<Connection>::default(),
    }),
    datagram: None,
};

const HEADER_BYTES: usize = 8;
/// Types of frames of 0-9-1.
const METHOD: u8 = 1;
const FRAME_END: u8 = 0xce;
/// Longest method that is read: the tables of servers take some hundred bytes.
const MAX_METHOD: u32 = 16 * 1024;
/// Largest frame: servers agree on 128 KiB, clients may ask for more.
const MAX_FRAME: u32 = 64 * 1024 * 1024;
/// Mechanisms that are kept of an offer.
const MAX_MECHANISMS: usize = 16;

/// What a protocol header says.
#[derive(Clone, Copy)]
struct Version {
    name: &'static str,
    layer: &'static str,
}

impl Version {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Reject> {
        for expected in *b"AMQP" {
            if cursor.u8()? != expected {
                return Err(Reject::Other);
            }
        }
        let (name, layer) = match *cursor.array::<4>()? {
            [0, 0, 9, 1] => ("0-9-1", ""),
            [1, 1, 0, 9] => ("0-9", ""),
            [1, 1, 8, 0] => ("0-8", ""),
            [1, 1, 0, 10] => ("0-10", ""),
            [0, 1, 0, 0] => ("1.0", "amqp"),
            [2, 1, 0, 0] => ("1.0", "tls"),
            [3, 1, 0, 0] => ("1.0", "sasl"),
            _ => return Err(Reject::Invalid("version")),
        };
        Ok(Self { name, layer })
    }
}

/// The header of a frame of 0-9-1.
#[derive(Clone, Copy)]
struct Frame {
    kind: u8,
    channel: u16,
    size: u32,
}

impl Frame {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Reject> {
        let frame = Self {
            kind: cursor.u8()?,
            channel: cursor.u16()?,
            size: cursor.u32()?,
        };
        if !matches!(frame.kind, METHOD..=3 | 8) || frame.size > MAX_FRAME {
            return Err(Reject::Invalid("frame"));
        }
        Ok(frame)
    }
}

/// A whole frame with a method of 0-9-1: class, method, arguments.
fn method<'a>(cursor: &mut Cursor<'a>) -> Result<(u16, u16, Cursor<'a>), Reject> {
    let frame = Frame::parse(cursor)?;
    if frame.kind != METHOD || !(4..=MAX_METHOD).contains(&frame.size) {
        return Err(Reject::Other);
    }
    let (class, method) = (peek_u16(cursor, 0)?, peek_u16(cursor, 2)?);
    // The connection has channel 0 for itself (section 4.2.3).
    let is_known = match class {
        10 => {
            frame.channel == 0
                && matches!(
                    method,
                    10 | 11 | 20 | 21 | 30 | 31 | 40 | 41 | 50 | 51 | 60 | 61 | 70 | 71
                )
        }
        20 => matches!(method, 10 | 11 | 20 | 21 | 40 | 41),
        40 => matches!(method, 10 | 11 | 20 | 21 | 30 | 31 | 40 | 51),
        50 => matches!(method, 10 | 11 | 20 | 21 | 30 | 31 | 40 | 41 | 50 | 51),
        60 => matches!(
            method,
            10 | 11 | 20 | 21 | 30 | 31 | 40 | 50 | 60 | 70..=72 | 80 | 90 | 100 | 110 | 111 | 120
        ),
        85 => matches!(method, 10 | 11),
        90 => matches!(method, 10 | 11 | 20 | 21 | 30 | 31),
        _ => false,
    };
    if !is_known || (class != 10 && frame.channel == 0) {
        return Err(Reject::Other);
    }
    let mut body = cursor.sub(frame.size as usize)?;
    if cursor.u8()? != FRAME_END {
        return Err(Reject::Invalid("frame end"));
    }
    body.skip(4)?;
    Ok((class, method, body))
}

fn peek_u16(cursor: &Cursor<'_>, skip: usize) -> Result<u16, Short> {
    let mut ahead = *cursor;
    ahead.skip(skip)?;
    ahead.u16()
}

fn probe(opening: &Opening<'_>) -> Probe {
    opening.either(|bytes| {
        let mut cursor = Cursor::new(bytes);
        let begins = match bytes.first() {
            Some(b'A') => Version::parse(&mut cursor).map(drop),
            _ => method(&mut cursor).map(drop),
        };
        Probe::of(begins)
    })
}

/// One connection.
#[derive(Default)]
struct Connection {
    /// Who sent a protocol header first.
    client: Option<Side>,
    is_modern: bool,
}

impl StreamDecoder for Connection {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let mut cursor = Cursor::new(bytes);
        loop {
            let consumed = cursor.offset();
            let rest = cursor.rest();
            let step = match rest {
                [] => return Step::Consumed,
                [b'A', ..] => self.header(side, &mut cursor, notes),
                // A frame of 1.0, or TLS after its header: the answer is not in the capture.
                _ if self.is_modern => return Step::Done,
                [METHOD, ..] => self.method(side, &mut cursor, notes),
                _ => pass(&mut cursor),
            };
            match step {
                Ok(None) => {}
                Ok(Some(step)) => return step,
                Err(reject) => return reject.into_step(consumed, rest.len()),
            }
        }
    }

    fn resume(&mut self, _side: Side, bytes: &[u8]) -> Option<usize> {
        method(&mut Cursor::new(bytes)).is_ok().then_some(0)
    }
}

/// Passes over a frame.
fn pass(cursor: &mut Cursor<'_>) -> Result<Option<Step>, Reject> {
    let frame = Frame::parse(cursor)?;
    Ok(Some(Step::Skip {
        consumed: cursor.offset(),
        bytes: u64::from(frame.size).saturating_add(1),
    }))
}

impl Connection {
    fn header(
        &mut self,
        side: Side,
        cursor: &mut Cursor<'_>,
        notes: &mut Notes<'_>,
    ) -> Result<Option<Step>, Reject> {
        if cursor.len() < HEADER_BYTES {
            return Err(Reject::Short(Short {
                offset: cursor.offset(),
                missing: HEADER_BYTES.saturating_sub(cursor.len()),
            }));
        }
        let version = Version::parse(cursor)?;
        notes.proved();
        notes.text(VERSION, version.name);
        notes.text(LAYER, version.layer);
        let client = *self.client.get_or_insert(side);
        // A server of 0-9-1 sends one only to refuse the client's.
        let is_refusal = client != side && version.layer.is_empty();
        if client == side || !is_refusal {
            notes.client(client);
        }
        self.is_modern = !version.layer.is_empty();
        let answered = client != side;
        Ok(match version.layer {
            "tls" if answered => Some(Step::Handover {
                consumed: cursor.offset(),
                next: Next::Protocol(&TLS),
            }),
            _ if answered => Some(Step::Done),
            _ => None,
        })
    }

    fn method(
        &mut self,
        side: Side,
        cursor: &mut Cursor<'_>,
        notes: &mut Notes<'_>,
    ) -> Result<Option<Step>, Reject> {
        let start = *cursor;
        let (class, method, mut body) = match method(cursor) {
            Err(Reject::Other) => {
                *cursor = start;
                return pass(cursor);
            }
            other => other?,
        };
        notes.proved();
        if class != 10 {
            // The connection is open already: nothing of interest comes before it is closed.
            return Ok(Some(Step::Done));
        }
        // Start, tune and their kind come from the server, the answers from the client.
        match method {
            10 | 20 | 30 | 41 => notes.client(side.other()),
            11 | 21 | 31 | 40 => notes.client(side),
            _ => {}
        }
        // What is cut within a method stays unsaid.
        let _cut = arguments(method, &mut body, notes);
        Ok(matches!(method, 41 | 50 | 51).then_some(Step::Done))
    }
}

/// Reads the arguments of a method of the connection.
fn arguments(method: u16, body: &mut Cursor<'_>, notes: &mut Notes<'_>) -> Option<()> {
    match method {
        10 => {
            let (major, minor) = (body.u8().ok()?, body.u8().ok()?);
            notes.text(
                VERSION,
                if (major, minor) == (0, 9) {
                    "0-9-1"
                } else {
                    "other"
                },
            );
            let table = body.u32().ok()?;
            product(body.sub(table as usize).ok()?, notes);
            let length = body.u32().ok()?;
            let offered = body.take(length as usize).ok()?;
            for name in offered.split(|byte| *byte == b' ').take(MAX_MECHANISMS) {
                notes.bytes(MECHANISM_OFFERED, name);
            }
        }
        11 => {
            let table = body.u32().ok()?;
            body.skip(table as usize).ok()?;
            notes.bytes(AUTH_MECHANISM, short(body)?);
        }
        41 => notes.text(AUTH_RESULT, "ok"),
        50 => notes.number(CLOSE_CODE, u64::from(body.u16().ok()?)),
        _ => {}
    }
    Some(())
}

/// A text with its length in one byte.
fn short<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    let length = usize::from(cursor.u8().ok()?);
    cursor.take(length).ok()
}

/// The server's name and version, from the properties that are texts or simple.
fn product(mut table: Cursor<'_>, notes: &mut Notes<'_>) -> Option<()> {
    let (mut name, mut version) = (None, None);
    while !table.is_empty() {
        let key = short(&mut table)?;
        let value = match table.u8().ok()? {
            b'S' | b'F' | b'A' => {
                let length = table.u32().ok()?;
                table.take(length as usize).ok()?
            }
            b't' => table.take(1).ok()?,
            b'I' => table.take(4).ok()?,
            _ => break,
        };
        match key {
            b"product" => name = Some(String::from_utf8_lossy(value)),
            b"version" => version = Some(String::from_utf8_lossy(value)),
            _ => {}
        }
    }
    notes.text(
        PRODUCT,
        format!("{} {}", name?, version.unwrap_or_default()).trim(),
    );
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::testing::{
        CLIENT as C, SERVER as S, TLS_HELLO, conversation, midstream, only_registered_attributes,
        protocols, survives_every_cut, values,
    };

    fn frame(kind: u8, channel: u8, body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&[kind, 0, channel][..], &size, body, &[FRAME_END]].concat()
    }

    const START: &[u8] = b"\0\x0a\0\x0a\0\x09\0\0\0\x33\x0ccapabilitiesF\0\0\0\0\x07productS\0\0\0\x06Rabbit\x07versionS\0\0\0\x013\
        \0\0\0\x0ePLAIN AMQPLAIN\0\0\0\x05en_US";

    #[test]
    fn a_connection_is_read_without_its_credentials() {
        let (hello, start) = (b"AMQP\0\0\x09\x01", frame(1, 0, START));
        let mut answer = b"\0\x0a\0\x0b\0\0\0\0\x05PLAIN\0\0\0\x0a\0user\0pass!\x05en_US".to_vec();
        answer[17] = 10;
        let (answer, open) = (frame(1, 0, &answer), frame(1, 0, b"\0\x0a\0\x29\0"));
        let segments = [(C, &hello[..]), (S, &start), (C, &answer), (S, &open)];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["amqp"]);
        assert_eq!(recorder.client, Some(C));
        assert_eq!(values(&recorder, "amqp", "version"), ["0-9-1"; 2]);
        assert_eq!(values(&recorder, "amqp", "product"), ["Rabbit 3"]);
        assert_eq!(
            values(&recorder, "amqp", "mechanism_offered"),
            ["AMQPLAIN", "PLAIN"]
        );
        assert_eq!(values(&recorder, "amqp", "auth_mechanism"), ["PLAIN"]);
        assert_eq!(values(&recorder, "amqp", "auth_result"), ["ok"]);
        assert!(!format!("{:?}", recorder.facts).contains("pass!"));
        only_registered_attributes(&recorder, &[&AMQP]);
        survives_every_cut(&segments);
    }

    #[test]
    fn a_refusal_gives_its_code() {
        let close = frame(1, 0, b"\0\x0a\0\x32\x01\x93\x02no\0\0\0\0");
        let recorder = conversation(&[(C, b"AMQP\0\0\x09\x01"), (S, &close)]);
        assert_eq!(values(&recorder, "amqp", "close_code"), ["403"]);
    }

    #[test]
    fn version_1_0_names_its_layer_and_may_turn_to_tls() {
        let sasl = b"AMQP\x03\x01\0\0";
        let recorder = conversation(&[(C, sasl), (S, sasl)]);
        assert_eq!(values(&recorder, "amqp", "version"), ["1.0"; 2]);
        assert_eq!(values(&recorder, "amqp", "layer"), ["sasl"; 2]);
        let hello = TLS_HELLO.to_vec();
        let tls = b"AMQP\x02\x01\0\0";
        let segments = [(C, &tls[..]), (S, tls), (C, &hello)];
        assert_eq!(protocols(&conversation(&segments)), ["amqp", "tls"]);
        survives_every_cut(&segments);
    }

    #[test]
    fn methods_are_known_without_the_beginning() {
        let publish = frame(1, 1, b"\0\x3c\0\x28\0\0\x05queue\x04task\0");
        let recorder = midstream(&[(C, &publish)]);
        assert_eq!(protocols(&recorder), ["amqp"]);
        assert_eq!(recorder.client, None);
    }

    #[test]
    fn other_openings_are_not_amqp() {
        let mut end = frame(1, 1, b"\0\x3c\0\x28\0\0");
        *end.last_mut().unwrap() = 0;
        for other in [
            &b"AMQP\0\x09\x09\x09"[..],
            &end,
            &frame(1, 0, b"\0\x3c\0\x28\0\0"),
            &frame(1, 1, b"\0\x3d\0\x28\0\0"),
            &frame(8, 0, b""),
        ] {
            assert!(protocols(&conversation(&[(C, other)])).is_empty());
        }
    }
}
