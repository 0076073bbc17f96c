//! SNMP 1, 2c and 3 (RFC 1157, RFC 3416, RFC 3412) in BER, over UDP and, rarely, TCP (RFC 3430).
//!
//! Proves messages whose elements fit each other to the end. Communities, names of users and values are not kept.

use super::ber::Element;
use super::{
    About, Datagram, DatagramDecoder, DatagramEntry, Opening, Probe, Protocol, Reject, Step,
    StreamDecoder, StreamEntry,
};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;

/// `1`, `2c`, `2u` or `3`.
const VERSION: &str = "version";
/// `get`, `get_next`, `response`, `trap` ...
const PDU: &str = "pdu";
/// Error of a response.
const ERROR: &str = "error";
/// Security of version 3: `none`, `authenticated` or `private`.
const SECURITY: &str = "security";

/// Network management.
pub(super) const SNMP: Protocol = Protocol {
    name: "snmp",
    about: About {
        title: "Simple Network Management Protocol",
        sources: "RFC 1157, RFC 1901, RFC 3412, RFC 3416, RFC 3430",
        reads: "Version, kind of PDU, errors, the security of version 3.",
        proves: "A message whose elements are those of its version.",
        limits: "Communities, users, objects and values are not kept.",
    },
    attributes: &[VERSION, PDU, ERROR, SECURITY],
    stream: Some(StreamEntry {
        first_byte: |byte| byte == SEQUENCE,
        probe,
        start: || Box::new(Connection),
    }),
    datagram: Some(DatagramEntry {
        first_byte: |byte| byte == SEQUENCE,
        start: || Box::new(Datagrams),
    }),
};

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 2;
const OCTETS: u8 = 4;
const OBJECT: u8 = 6;
/// RFC 1155: an address, and hundredths of a second.
const ADDRESS: u8 = 0x40;
const TICKS: u8 = 0x43;
/// A trap of version 1 has fields of its own.
const TRAP_1: u8 = 0xa4;
/// The greatest message that is waited for on a stream: larger ones are noted by their beginning.
const MAX_WAIT: usize = 64 * 1024;

crate::open_enum! {
    /// Kinds of PDUs, RFC 3416 section 3.
    struct Kind(u8) {
        /// Asks for objects.
        GET = 0xa0 => "get",
        /// Asks for the objects after.
        GET_NEXT = 0xa1 => "get_next",
        /// Answers, also what is a report to the asker.
        RESPONSE = 0xa2 => "response",
        /// Changes objects.
        SET = 0xa3 => "set",
        /// Says that something happened, in version 1.
        TRAP_1 = 0xa4 => "trap",
        /// Asks for many objects after.
        GET_BULK = 0xa5 => "get_bulk",
        /// Says that something happened, and wants an answer.
        INFORM = 0xa6 => "inform",
        /// Says that something happened.
        TRAP_2 = 0xa7 => "trap2",
        /// Between engines.
        REPORT = 0xa8 => "report",
    }
}

crate::open_enum! {
    /// Errors, RFC 3416 section 3.
    struct Status(u64) {
        /// None.
        NONE = 0 => "no_error",
        /// Does not fit a datagram.
        TOO_BIG = 1 => "too_big",
        /// No such object.
        NO_SUCH_NAME = 2 => "no_such_name",
        /// The value is wrong.
        BAD_VALUE = 3 => "bad_value",
        /// The object cannot be changed.
        READ_ONLY = 4 => "read_only",
        /// Something else.
        GENERAL = 5 => "general_error",
        /// Not allowed.
        NO_ACCESS = 6 => "no_access",
        /// Not allowed.
        AUTHORIZATION = 16 => "authorization_error",
        /// The object cannot be changed.
        NOT_WRITABLE = 17 => "not_writable",
    }
}

/// What a message says.
#[derive(Debug, PartialEq, Eq)]
struct Message {
    version: &'static str,
    /// None where it is encrypted, or the capture ends before.
    kind: Option<Kind>,
    status: u64,
    security: Option<&'static str>,
    /// Octets of it on the wire.
    length: usize,
}

impl Message {
    fn parse(bytes: &[u8], is_cut: bool) -> Result<Self, Reject> {
        let outer = Element::expect(&mut Cursor::new(bytes), SEQUENCE)?;
        if outer.is_cut() && !is_cut {
            return Err(Reject::Short(crate::bytes::Short {
                offset: bytes.len(),
                missing: outer.total().saturating_sub(bytes.len()),
            }));
        }
        let mut cursor = outer.cursor();
        let version = Element::expect(&mut cursor, INTEGER)?;
        let mut message = Self {
            version: match (version.length, version.number()) {
                (1, Some(0)) => "1",
                (1, Some(1)) => "2c",
                // RFC 1910, historic.
                (1, Some(2)) => "2u",
                (1, Some(3)) => "3",
                _ => return Err(Reject::Other),
            },
            kind: None,
            status: 0,
            security: None,
            length: outer.total(),
        };
        if message.version == "3" {
            message.version_3(&mut cursor, is_cut)?;
        } else {
            Element::expect(&mut cursor, OCTETS)?;
            message.pdu(&mut cursor, is_cut)?;
        }
        Ok(message)
    }

    /// RFC 3412 section 6.
    fn version_3(&mut self, cursor: &mut Cursor<'_>, is_cut: bool) -> Result<(), Reject> {
        let header = Element::expect(cursor, SEQUENCE)?;
        let mut inside = header.cursor();
        let _id = Element::expect(&mut inside, INTEGER)?;
        let size = Element::expect(&mut inside, INTEGER)?.number();
        let flags = Element::expect(&mut inside, OCTETS)?;
        let model = Element::expect(&mut inside, INTEGER)?.number();
        let &[flags] = flags.contents else {
            return Err(Reject::Invalid("flags"));
        };
        if size.is_none() || model.is_none() || !inside.is_empty() {
            return Err(Reject::Invalid("header"));
        }
        self.security = Some(match flags & 3 {
            0 => "none",
            1 => "authenticated",
            3 => "private",
            _ => return Err(Reject::Invalid("flags")),
        });
        let _parameters = Element::expect(cursor, OCTETS)?;
        if cursor.is_empty() && is_cut {
            return Ok(());
        }
        let scoped = Element::parse(cursor)?;
        match scoped.tag {
            OCTETS if flags & 2 != 0 => Ok(()),
            SEQUENCE => {
                let mut inside = scoped.cursor();
                Element::expect(&mut inside, OCTETS)?;
                Element::expect(&mut inside, OCTETS)?;
                self.pdu(&mut inside, is_cut)
            }
            _ => Err(Reject::Other),
        }
    }

    /// RFC 3416 section 3; the trap of version 1 is that of RFC 1157 section 4.1.6.
    fn pdu(&mut self, cursor: &mut Cursor<'_>, is_cut: bool) -> Result<(), Reject> {
        let pdu = Element::parse(cursor)?;
        let kind = Kind(pdu.tag);
        if kind.name().is_none() || (!cursor.is_empty() && !is_cut) {
            return Err(Reject::Other);
        }
        self.kind = Some(kind);
        let mut inside = pdu.cursor();
        match self.fields(kind, &mut inside) {
            Err(Reject::Short(_)) if is_cut => Ok(()),
            result => result,
        }
    }

    fn fields(&mut self, kind: Kind, inside: &mut Cursor<'_>) -> Result<(), Reject> {
        if kind.0 == TRAP_1 {
            for tag in [OBJECT, ADDRESS, INTEGER, INTEGER, TICKS] {
                Element::expect(inside, tag)?;
            }
        } else {
            let _request = Element::expect(inside, INTEGER)?;
            let status = Element::expect(inside, INTEGER)?.number();
            let _index = Element::expect(inside, INTEGER)?;
            if kind == Kind::RESPONSE {
                self.status = status.ok_or(Reject::Invalid("error status"))?;
            }
        }
        // What is bound to what is not read; the list must end where the message does.
        Element::expect(inside, SEQUENCE)?;
        if inside.is_empty() {
            Ok(())
        } else {
            Err(Reject::Invalid("octets after the bindings"))
        }
    }

    fn note(&self, notes: &mut Notes<'_>) {
        notes.proved();
        notes.text(VERSION, self.version);
        notes.text(SECURITY, self.security.unwrap_or_default());
        let Some(kind) = self.kind else { return };
        notes.text(PDU, &kind.to_string());
        let side = notes.side();
        match kind {
            Kind::GET | Kind::GET_NEXT | Kind::SET | Kind::GET_BULK => notes.client(side),
            Kind::TRAP_1 | Kind::TRAP_2 | Kind::INFORM => notes.client(side),
            // A report, too, goes to who asked; a response to a notification is rare.
            _ => notes.client(side.other()),
        }
        if self.status != 0 {
            notes.text(ERROR, &Status(self.status).to_string());
        }
    }
}

struct Datagrams;

impl DatagramDecoder for Datagrams {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let message = Message::parse(datagram.bytes, datagram.is_cut())?;
        if message.length > datagram.wire_len {
            return Err(Reject::Invalid("length"));
        }
        message.note(notes);
        Ok(())
    }
}

fn probe(opening: &Opening<'_>) -> Probe {
    match Message::parse(opening.spoken(), false) {
        Ok(_) => Probe::Yes,
        // A long message need not be there to its end: what is there must fit.
        Err(Reject::Short(_)) if opening.spoken().len() < 8 => Probe::More,
        Err(Reject::Short(_)) => match Message::parse(opening.spoken(), true) {
            Ok(_) | Err(Reject::Short(_)) => Probe::More,
            Err(_) => Probe::No,
        },
        Err(_) => Probe::No,
    }
}

/// One connection.
struct Connection;

impl StreamDecoder for Connection {
    fn data(&mut self, _: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        match Message::parse(bytes, false) {
            Ok(message) => {
                message.note(notes);
                Step::Skip {
                    consumed: message.length,
                    bytes: 0,
                }
            }
            Err(Reject::Short(short)) if bytes.len().saturating_add(short.missing) > MAX_WAIT => {
                Step::Reject(Reject::Short(short))
            }
            Err(reject) => reject.into_step(0, bytes.len()),
        }
    }

    fn resume(&mut self, _: Side, bytes: &[u8]) -> Option<usize> {
        Message::parse(bytes, false).is_ok().then_some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, conversation, datagrams, only_registered_attributes, protocols,
        survives_every_cut, values,
    };
    use super::*;

    fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let contents = parts.concat();
        let length = u8::try_from(contents.len()).unwrap();
        [&[tag, length], &contents[..]].concat()
    }

    fn number(value: u8) -> Vec<u8> {
        vec![INTEGER, 1, value]
    }

    fn pdu(kind: Kind, error: u8) -> Vec<u8> {
        let object = element(OBJECT, &[b"\x2b\x06\x01\x02\x01\x01\x01\0"]);
        let bindings = element(SEQUENCE, &[&element(SEQUENCE, &[&object, b"\x05\0"])]);
        element(kind.0, &[&number(7), &number(error), &number(0), &bindings])
    }

    fn message(version: u8, pdu: &[u8]) -> Vec<u8> {
        element(SEQUENCE, &[&number(version), b"\x04\x06public", pdu])
    }

    fn message_3(flags: u8, body: &[u8]) -> Vec<u8> {
        let header = element(
            SEQUENCE,
            &[
                &number(9),
                b"\x02\x03\0\xff\xe3",
                &[OCTETS, 1, flags],
                &number(3),
            ],
        );
        element(SEQUENCE, &[&number(3), &header, b"\x04\x04user", body])
    }

    #[test]
    fn a_question_and_its_refusal_are_read() {
        let (get, refused) = (
            message(1, &pdu(Kind::GET, 0)),
            message(0, &pdu(Kind::RESPONSE, 2)),
        );
        let recorder = datagrams(&[(CLIENT, &get), (SERVER, &refused)]);
        assert_eq!(protocols(&recorder), ["snmp"]);
        assert_eq!(values(&recorder, "snmp", "version"), ["1", "2c"]);
        assert_eq!(values(&recorder, "snmp", "pdu"), ["get", "response"]);
        assert_eq!(values(&recorder, "snmp", "error"), ["no_such_name"]);
        assert_eq!(recorder.client, Some(CLIENT));
        assert!(
            recorder
                .facts
                .keys()
                .all(|fact| fact.value.to_string() != "public")
        );
        only_registered_attributes(&recorder, &[&SNMP]);
    }

    #[test]
    fn a_trap_and_messages_of_version_3_are_read() {
        let address = [ADDRESS, 4, 192, 0, 2, 1];
        let fields: [&[u8]; 6] = [
            b"\x06\x02\x2b\x06",
            &address,
            &number(6),
            &number(1),
            b"\x43\x01\x09",
            b"\x30\0",
        ];
        let trap = message(0, &element(TRAP_1, &fields));
        assert_eq!(
            values(&datagrams(&[(CLIENT, &trap)]), "snmp", "pdu"),
            ["trap"]
        );
        let scoped = element(SEQUENCE, &[b"\x04\0", b"\x04\0", &pdu(Kind::REPORT, 0)]);
        let recorder = datagrams(&[(SERVER, &message_3(0, &scoped))]);
        assert_eq!(values(&recorder, "snmp", "pdu"), ["report"]);
        assert_eq!(values(&recorder, "snmp", "security"), ["none"]);
        assert_eq!(recorder.client, Some(CLIENT));
        let recorder = datagrams(&[(CLIENT, &message_3(7, b"\x04\x03\x01\x02\x03"))]);
        assert_eq!(values(&recorder, "snmp", "version"), ["3"]);
        assert_eq!(values(&recorder, "snmp", "security"), ["private"]);
        assert!(values(&recorder, "snmp", "pdu").is_empty());
    }

    #[test]
    fn what_is_missing_or_wrong_is_refused() {
        let get = message(1, &pdu(Kind::GET, 0));
        for length in 0..get.len() {
            assert!(protocols(&datagrams(&[(CLIENT, &get[..length])])).is_empty());
        }
        for bytes in [
            // LDAP; another version; a flag without its companion; more after the bindings.
            b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\0\x80\0".to_vec(),
            message(4, &pdu(Kind::GET, 0)),
            message_3(2, b"\x04\x03\x01\x02\x03"),
            message(1, &[&pdu(Kind::GET, 0)[..], b"\x05\0"].concat()),
        ] {
            assert!(!protocols(&datagrams(&[(CLIENT, &bytes)])).contains(&"snmp"));
        }
    }

    #[test]
    fn a_stream_carries_several_messages() {
        let (get, refused) = (
            message(1, &pdu(Kind::GET, 0)),
            message(0, &pdu(Kind::RESPONSE, 2)),
        );
        let both = get.repeat(2);
        let recorder = conversation(&[(CLIENT, &both), (SERVER, &refused)]);
        assert_eq!(protocols(&recorder), ["snmp"]);
        assert_eq!(values(&recorder, "snmp", "pdu"), ["get", "response"]);
        survives_every_cut(&[(CLIENT, &get), (SERVER, &refused)]);
    }
}
