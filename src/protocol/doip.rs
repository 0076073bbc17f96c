//! Diagnostics over IP (ISO 13400-2): testers and vehicles.
//!
//! Reads the header of each message; diagnostic data is never looked at. Proof is a version with its inverse, a known type, and a
//! length that the type may have.

use super::{
    About, Datagram, DatagramDecoder, DatagramEntry, Opening, Probe, Protocol, Reject, Step,
    StreamDecoder, StreamEntry,
};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;
use crate::open_enum;

/// Type of a message.
const MESSAGE: &str = "message";

/// Vehicles.
pub(super) const DOIP: Protocol = Protocol {
    name: "doip",
    about: About {
        title: "Diagnostics over IP",
        sources: "ISO 13400-2 clause 9",
        reads: "Types of messages.",
        proves: "A version with its inverse, a known type, and a length that the type may have.",
        limits: "Diagnostic data and identities of vehicles are not looked at.",
    },
    attributes: &[MESSAGE],
    stream: Some(StreamEntry {
        first_byte: |byte| is_version(byte),
        probe,
        start: || Box::new(Messages),
    }),
    datagram: Some(DatagramEntry {
        first_byte: |byte| is_version(byte),
        start: || Box::new(Messages),
    }),
};

const HEADER: usize = 8;
/// Longest message that a gateway takes.
const MAX_LENGTH: u32 = 16 * 1024 * 1024;

/// The editions of the standard, and what a tester says before it knows.
const fn is_version(byte: u8) -> bool {
    matches!(byte, 1..=4 | 0xff)
}

open_enum! {
    /// Types (table 17).
    struct Kind(u16) {
        /// The header was wrong.
        NACK = 0x0000 => "negative_acknowledge",
        /// Who is there?
        IDENTIFY = 0x0001 => "vehicle_identification_request",
        /// Is this one there, by its equipment?
        IDENTIFY_EID = 0x0002 => "vehicle_identification_request_eid",
        /// Is this one there, by its number?
        IDENTIFY_VIN = 0x0003 => "vehicle_identification_request_vin",
        /// I am.
        ANNOUNCEMENT = 0x0004 => "vehicle_announcement",
        /// Let me in.
        ACTIVATION_REQUEST = 0x0005 => "routing_activation_request",
        /// Yes or no.
        ACTIVATION_RESPONSE = 0x0006 => "routing_activation_response",
        /// Still there?
        ALIVE_REQUEST = 0x0007 => "alive_check_request",
        /// Still there.
        ALIVE_RESPONSE = 0x0008 => "alive_check_response",
        /// How is it?
        STATUS_REQUEST = 0x4001 => "entity_status_request",
        /// So.
        STATUS_RESPONSE = 0x4002 => "entity_status_response",
        /// Is there power?
        POWER_REQUEST = 0x4003 => "power_mode_request",
        /// So.
        POWER_RESPONSE = 0x4004 => "power_mode_response",
        /// Diagnostic data.
        DIAGNOSTIC = 0x8001 => "diagnostic_message",
        /// Passed on.
        DIAGNOSTIC_ACK = 0x8002 => "diagnostic_acknowledge",
        /// Not passed on.
        DIAGNOSTIC_NACK = 0x8003 => "diagnostic_negative_acknowledge",
    }
}

impl Kind {
    /// Lengths that a message may have.
    const fn lengths(self) -> std::ops::RangeInclusive<u32> {
        match self {
            Self::NACK | Self::POWER_RESPONSE => 1..=1,
            Self::IDENTIFY_EID => 6..=6,
            Self::IDENTIFY_VIN => 17..=17,
            Self::ANNOUNCEMENT => 32..=33,
            Self::ACTIVATION_REQUEST => 7..=11,
            Self::ACTIVATION_RESPONSE => 9..=13,
            Self::ALIVE_RESPONSE => 2..=2,
            Self::STATUS_RESPONSE => 3..=7,
            Self::DIAGNOSTIC | Self::DIAGNOSTIC_ACK | Self::DIAGNOSTIC_NACK => 5..=MAX_LENGTH,
            _ => 0..=0,
        }
    }
}

fn header(cursor: &mut Cursor<'_>) -> Result<(Kind, u32), Reject> {
    let (version, inverse) = (cursor.u8()?, cursor.u8()?);
    let (kind, length) = (Kind(cursor.u16()?), cursor.u32()?);
    let is_known = is_version(version) && inverse == !version && kind.name().is_some();
    if !is_known || !kind.lengths().contains(&length) {
        return Err(Reject::Other);
    }
    Ok((kind, length))
}

fn probe(opening: &Opening<'_>) -> Probe {
    opening.either(|bytes| Probe::of(header(&mut Cursor::new(bytes))))
}

/// All messages of one connection or flow.
struct Messages;

impl StreamDecoder for Messages {
    fn data(&mut self, _side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        match header(&mut Cursor::new(bytes)) {
            Ok((kind, length)) => {
                notes.proved();
                notes.text(MESSAGE, &kind.to_string());
                Step::Skip {
                    consumed: HEADER,
                    bytes: u64::from(length),
                }
            }
            Err(reject) => reject.into_step(0, bytes.len()),
        }
    }

    fn resume(&mut self, _side: Side, bytes: &[u8]) -> Option<usize> {
        header(&mut Cursor::new(bytes)).is_ok().then_some(0)
    }
}

impl DatagramDecoder for Messages {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let (kind, length) = header(&mut Cursor::new(datagram.bytes))?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length.saturating_add(HEADER) != datagram.wire_len {
            return Err(Reject::Invalid("length"));
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

    const ACTIVATE: &[u8] = &[2, 0xfd, 0, 5, 0, 0, 0, 7, 0x0e, 0x80, 0, 0, 0, 0, 0];
    const DATA: &[u8] = &[2, 0xfd, 0x80, 1, 0, 0, 0, 6, 0x0e, 0x80, 0xe4, 0, 0x3e, 0];

    #[test]
    fn messages_are_named() {
        let segments = [(C, ACTIVATE), (S, DATA)];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["doip"]);
        assert_eq!(
            values(&recorder, "doip", "message"),
            ["diagnostic_message", "routing_activation_request"]
        );
        only_registered_attributes(&recorder, &[&DOIP]);
        survives_every_cut(&segments);
        assert_eq!(protocols(&midstream(&[(S, DATA)])), ["doip"]);
        let search = [0xff, 0, 0, 1, 0, 0, 0, 0];
        assert_eq!(protocols(&datagrams(&[(C, &search)])), ["doip"]);
    }

    #[test]
    fn other_versions_types_and_lengths_are_refused() {
        for (at, value) in [(0, 5), (1, 0xfc), (2, 1), (3, 9), (7, 6), (7, 12)] {
            let mut other = ACTIVATE.to_vec();
            other[at] = value;
            assert!(protocols(&conversation(&[(C, &other)])).is_empty());
            assert!(protocols(&datagrams(&[(C, &other)])).is_empty());
        }
        assert!(protocols(&datagrams(&[(C, &DATA[..13])])).is_empty());
    }
}
