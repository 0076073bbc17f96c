//! Label Distribution Protocol (RFC 5036): routers of an MPLS network that find each other, over UDP, and exchange labels, over TCP.
//!
//! Reads the header of each unit and the type of its first message; labels are never looked at. Proof is a unit whose first
//! message is of a known type, as long as the unit lets it be.

use super::{
    About, Datagram, DatagramDecoder, DatagramEntry, Opening, Probe, Protocol, Reject, Step,
    StreamDecoder, StreamEntry,
};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;
use crate::open_enum;

/// Type of a unit's first message.
const MESSAGE: &str = "message";

/// Labels.
pub(super) const LDP: Protocol = Protocol {
    name: "ldp",
    about: About {
        title: "Label Distribution Protocol",
        sources: "RFC 5036 sections 3.1 and 3.5",
        reads: "Types of messages, of each unit the first.",
        proves: "A unit whose first message is of a known type, with a length and a first element that fit.",
        limits: "Labels and networks are not looked at.",
    },
    attributes: &[MESSAGE],
    stream: Some(StreamEntry {
        first_byte: |byte| byte == 0,
        probe,
        start: || Box::new(Units),
    }),
    datagram: Some(DatagramEntry {
        first_byte: |byte| byte == 0,
        start: || Box::new(Units),
    }),
};

const VERSION: u16 = 1;
/// Octets before those that the length of a unit counts.
const BEFORE: usize = 4;
/// Identifier of the router and of its labels, header and number of a message.
const LEAST: usize = 14;
/// Longest unit unless agreed otherwise (section 3.1).
const MAX_UNIT: usize = 4096;

open_enum! {
    /// Types of messages (section 3.5 and 4.1).
    struct Kind(u16) {
        /// Something happened.
        NOTIFICATION = 0x0001 => "notification",
        /// Here I am.
        HELLO = 0x0100 => "hello",
        /// Opens a session.
        INITIALIZATION = 0x0200 => "initialization",
        /// Still there.
        KEEP_ALIVE = 0x0201 => "keep_alive",
        /// My addresses.
        ADDRESS = 0x0300 => "address",
        /// Not mine any more.
        ADDRESS_WITHDRAW = 0x0301 => "address_withdraw",
        /// A label for a network.
        LABEL_MAPPING = 0x0400 => "label_mapping",
        /// Give me a label.
        LABEL_REQUEST = 0x0401 => "label_request",
        /// This label goes.
        LABEL_WITHDRAW = 0x0402 => "label_withdraw",
        /// I do not need it.
        LABEL_RELEASE = 0x0403 => "label_release",
        /// Forget my request.
        LABEL_ABORT = 0x0404 => "label_abort_request",
    }
}

impl Kind {
    /// The type of the element that must come first; a keepalive has none.
    const fn first_element(self) -> Option<u16> {
        match self {
            Self::NOTIFICATION => Some(0x0300),
            Self::HELLO => Some(0x0400),
            Self::INITIALIZATION => Some(0x0500),
            Self::KEEP_ALIVE => None,
            Self::ADDRESS | Self::ADDRESS_WITHDRAW => Some(0x0101),
            // The network that the label is for.
            _ => Some(0x0100),
        }
    }
}

/// Type of the first message, and octets of the whole unit.
fn unit(cursor: &mut Cursor<'_>) -> Result<(Kind, usize), Reject> {
    let (version, length) = (cursor.u16()?, usize::from(cursor.u16()?));
    if version != VERSION || !(LEAST..=MAX_UNIT).contains(&length) {
        return Err(Reject::Other);
    }
    let (_router, labels) = (cursor.u32()?, cursor.u16()?);
    let (kind, message) = (Kind(cursor.u16()?), usize::from(cursor.u16()?));
    let _number = cursor.u32()?;
    // Identifier and header of the message lie before what its length counts.
    let fits = message >= 4 && message.saturating_add(10) <= length;
    if kind.name().is_none() || !fits {
        return Err(Reject::Invalid("type or length"));
    }
    match kind.first_element() {
        // Labels belong to the whole router here, nobody has other spaces.
        None if message != 4 || labels != 0 => return Err(Reject::Invalid("keepalive")),
        Some(_) if message < 8 => return Err(Reject::Invalid("length")),
        Some(expected) if cursor.u16()? & 0x3fff != expected => {
            return Err(Reject::Invalid("first element"));
        }
        _ => {}
    }
    Ok((kind, length.saturating_add(BEFORE)))
}

fn probe(opening: &Opening<'_>) -> Probe {
    opening.either(|bytes| Probe::of(unit(&mut Cursor::new(bytes))))
}

/// All units of one session or flow.
struct Units;

impl StreamDecoder for Units {
    fn data(&mut self, _side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let mut cursor = Cursor::new(bytes);
        match unit(&mut cursor) {
            Ok((kind, length)) => {
                notes.proved();
                notes.text(MESSAGE, &kind.to_string());
                Step::Skip {
                    consumed: cursor.offset(),
                    bytes: length.saturating_sub(cursor.offset()) as u64,
                }
            }
            Err(reject) => reject.into_step(0, bytes.len()),
        }
    }

    fn resume(&mut self, _side: Side, bytes: &[u8]) -> Option<usize> {
        unit(&mut Cursor::new(bytes)).is_ok().then_some(0)
    }
}

impl DatagramDecoder for Units {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let (kind, length) = unit(&mut Cursor::new(datagram.bytes))?;
        if kind != Kind::HELLO || length != datagram.wire_len {
            return Err(Reject::Other);
        }
        notes.proved();
        notes.text(MESSAGE, &kind.to_string());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT as C, SERVER as S, conversation, datagrams, midstream, only_registered_attributes,
        protocols, survives_every_cut, values,
    };
    use super::*;

    fn unit(kind: [u8; 2], elements: &[u8]) -> Vec<u8> {
        let message = u8::try_from(elements.len() + 4).unwrap();
        let head = [0, 1, 0, message + 10, 192, 0, 2, 1, 0, 0];
        [&head[..], &kind, &[0, message, 0, 0, 0, 9], elements].concat()
    }

    const HELLO: &[u8] = &[4, 0, 0, 4, 0, 15, 0, 0];

    #[test]
    fn messages_are_named() {
        let opened = unit([2, 0], &[5, 0, 0, 2, 0, 1]);
        let both = [unit([2, 1], &[]), unit([4, 0], &[1, 0, 0, 1, 2])].concat();
        let segments = [(C, &opened[..]), (S, &both[..])];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["ldp"]);
        assert_eq!(
            values(&recorder, "ldp", "message"),
            ["initialization", "keep_alive", "label_mapping"]
        );
        only_registered_attributes(&recorder, &[&LDP]);
        survives_every_cut(&segments);
        assert_eq!(protocols(&midstream(&[(S, &both)])), ["ldp"]);
    }

    #[test]
    fn a_search_over_udp_is_known() {
        let hello = unit([1, 0], HELLO);
        let recorder = datagrams(&[(C, &hello)]);
        assert_eq!(values(&recorder, "ldp", "message"), ["hello"]);
        for length in 0..hello.len() {
            assert!(protocols(&datagrams(&[(C, &hello[..length])])).is_empty());
        }
    }

    #[test]
    fn other_versions_types_and_elements_are_refused() {
        let hello = unit([1, 0], HELLO);
        for (at, value) in [(1, 2), (2, 0x20), (11, 1), (13, 3), (13, 13), (18, 5)] {
            let mut other = hello.clone();
            other[at] = value;
            assert!(protocols(&datagrams(&[(C, &other)])).is_empty());
            assert!(protocols(&conversation(&[(C, &other)])).is_empty());
        }
        let alive = unit([2, 1], &[1]);
        assert!(protocols(&conversation(&[(C, &alive)])).is_empty());
    }
}
