//! Telecontrol over TCP (IEC 60870-5-104): which commands and measurements stations exchange.
//!
//! Reads the control field of each unit and the type of its data; values of a plant are never looked at. Proof is a unit of the
//! two fixed forms, two units of data, or the very first one of a connection, each as long as its type demands.

use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;
use crate::open_enum;

/// What a unit of control asks or confirms: `startdt`, `stopdt`, `testfr`.
const CONTROL: &str = "control";
/// Type of the data: `single_command`, `interrogation` ..., or its number.
const TYPE: &str = "type";

/// Telecontrol.
pub(super) const IEC60870_104: Protocol = Protocol {
    name: "iec60870_104",
    about: About {
        title: "Telecontrol over TCP (IEC 60870-5-104)",
        sources: "IEC 60870-5-104 section 5, IEC 60870-5-101 section 7",
        reads: "Control functions and types of data.",
        proves: "A unit of control or of acknowledgement, two of data, or the first one of a connection, as long as its type demands.",
        limits: "Values are not looked at; transfers of files are known only beside other units.",
    },
    attributes: &[CONTROL, TYPE],
    stream: Some(StreamEntry {
        first_byte: |byte| byte == START,
        probe,
        start: || Box::new(Units),
    }),
    datagram: None,
};

const START: u8 = 0x68;
/// Octets of the control field.
const CONTROL_FIELD: usize = 4;
/// Longest unit after its length octet (section 5.1).
const MAX_LENGTH: usize = 253;

open_enum! {
    /// Types that change something, and the summons (IEC 60870-5-101 section 7.2.1).
    struct Type(u8) {
        /// Opens or closes.
        SINGLE_COMMAND = 45 => "single_command",
        /// Opens or closes, with two bits.
        DOUBLE_COMMAND = 46 => "double_command",
        /// One step up or down.
        STEP_COMMAND = 47 => "step_command",
        /// A wanted value.
        SET_POINT_NORMALIZED = 48 => "set_point_normalized",
        /// A wanted value.
        SET_POINT_SCALED = 49 => "set_point_scaled",
        /// A wanted value.
        SET_POINT_FLOAT = 50 => "set_point_float",
        /// Thirty-two bits.
        BITSTRING_COMMAND = 51 => "bitstring_command",
        /// Opens or closes, with the time.
        SINGLE_COMMAND_TIME = 58 => "single_command_time",
        /// Opens or closes, with the time.
        DOUBLE_COMMAND_TIME = 59 => "double_command_time",
        /// The station is up.
        END_OF_INITIALIZATION = 70 => "end_of_initialization",
        /// Say everything.
        INTERROGATION = 100 => "interrogation",
        /// Say the counters.
        COUNTER_INTERROGATION = 101 => "counter_interrogation",
        /// Say one value.
        READ = 102 => "read",
        /// Sets the clock.
        CLOCK = 103 => "clock",
        /// Starts the station again.
        RESET = 105 => "reset",
    }
}

/// Octets of one element of a type, without its address; `None` where they vary or the type is unknown.
const fn element(kind: u8) -> Option<usize> {
    Some(match kind {
        102 => 0,
        1 | 3 | 45..=47 | 70 | 100 | 101 | 105 | 113 => 1,
        5 | 21 | 104 | 106 => 2,
        9 | 11 | 48 | 49 | 110 | 111 => 3,
        2 | 4 | 51 => 4,
        6 | 7 | 13 | 15 | 20 | 50 | 112 => 5,
        10 | 12 => 6,
        103 => 7,
        8 | 14 | 16 | 30 | 31 | 58..=60 => 8,
        32 | 107 => 9,
        34 | 35 | 61 | 62 => 10,
        64 => 11,
        33 | 36 | 37 | 63 => 12,
        126 => 13,
        _ => return None,
    })
}

enum Unit {
    /// Data of a type, as long as it must be or not; `is_first` where nothing was sent or received before.
    Data {
        kind: Type,
        is_exact: bool,
        is_first: bool,
    },
    /// So much was received.
    Acknowledgement,
    Control(&'static str),
}

impl Unit {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Reject> {
        if cursor.u8()? != START {
            return Err(Reject::Other);
        }
        let length = usize::from(cursor.u8()?);
        if !(CONTROL_FIELD..=MAX_LENGTH).contains(&length) {
            return Err(Reject::Invalid("length"));
        }
        let mut unit = cursor.sub(length)?;
        let [low, high, received, last] = *unit.array::<CONTROL_FIELD>()?;
        match low & 3 {
            3 if unit.is_empty() && [high, received, last] == [0; 3] => match low {
                0x07 | 0x0b => Ok(Self::Control("startdt")),
                0x13 | 0x23 => Ok(Self::Control("stopdt")),
                0x43 | 0x83 => Ok(Self::Control("testfr")),
                _ => Err(Reject::Invalid("function")),
            },
            1 if unit.is_empty() && (low, high, received & 1) == (1, 0, 0) => {
                Ok(Self::Acknowledgement)
            }
            0 | 2 if received & 1 == 0 => {
                let (kind, qualifier) = (unit.u8()?, unit.u8()?);
                let _cause_and_station = unit.u32()?;
                let objects = usize::from(qualifier & 0x7f);
                let is_sequence = qualifier & 0x80 != 0;
                let size = |element: usize| match is_sequence {
                    true => objects.saturating_mul(element).saturating_add(3),
                    false => objects.saturating_mul(element.saturating_add(3)),
                };
                if kind == 0 || objects == 0 {
                    return Err(Reject::Invalid("type or number of objects"));
                }
                Ok(Self::Data {
                    kind: Type(kind),
                    is_exact: element(kind).map(size) == Some(unit.len()),
                    is_first: [low, high, received, last] == [0; CONTROL_FIELD],
                })
            }
            _ => Err(Reject::Invalid("control field")),
        }
    }
}

/// What the units of a side are worth, of which two make a proof; `None` where something else is among them.
fn worth(bytes: &[u8], midstream: bool) -> Option<u32> {
    let (mut cursor, mut worth) = (Cursor::new(bytes), 0_u32);
    while !cursor.is_empty() {
        worth = worth.saturating_add(match Unit::parse(&mut cursor) {
            Ok(Unit::Control(_) | Unit::Acknowledgement) => 2,
            Ok(Unit::Data {
                is_exact: true,
                is_first,
                ..
            }) if is_first && !midstream => 2,
            Ok(Unit::Data { is_exact: true, .. }) => 1,
            Ok(Unit::Data { .. }) => 0,
            Err(Reject::Short(_)) => break,
            Err(_) => return None,
        });
    }
    Some(worth)
}

fn probe(opening: &Opening<'_>) -> Probe {
    let sides = [opening.spoken(), opening.reply()];
    let [Some(spoken), Some(reply)] = sides.map(|bytes| worth(bytes, opening.midstream)) else {
        return Probe::No;
    };
    match spoken.saturating_add(reply) {
        2.. => Probe::Yes,
        _ => Probe::More,
    }
}

/// All units of one connection.
struct Units;

impl StreamDecoder for Units {
    fn data(&mut self, _side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let mut cursor = Cursor::new(bytes);
        match Unit::parse(&mut cursor) {
            Ok(unit) => {
                notes.proved();
                match unit {
                    Unit::Control(function) => notes.text(CONTROL, function),
                    Unit::Data { kind, .. } => notes.text(TYPE, &kind.to_string()),
                    Unit::Acknowledgement => {}
                }
                Step::Skip {
                    consumed: cursor.offset(),
                    bytes: 0,
                }
            }
            Err(reject) => reject.into_step(0, bytes.len()),
        }
    }

    fn resume(&mut self, _side: Side, bytes: &[u8]) -> Option<usize> {
        worth(bytes, true)
            .is_some_and(|worth| worth > 0)
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

    const START_DT: &[u8] = &[0x68, 4, 7, 0, 0, 0];
    const CONFIRMED: &[u8] = &[0x68, 4, 0x0b, 0, 0, 0];
    const SUMMONS: &[u8] = &[0x68, 14, 0, 0, 0, 0, 100, 1, 6, 0, 1, 0, 0, 0, 0, 20];
    const VALUES: &[u8] = &[0x68, 13, 2, 0, 2, 0, 1, 0x83, 20, 0, 1, 0, 9, 0, 0];

    #[test]
    fn commands_are_named_and_values_are_not() {
        let segments = [(C, START_DT), (S, CONFIRMED), (C, SUMMONS)];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["iec60870_104"]);
        assert_eq!(
            values(&recorder, "iec60870_104", "control"),
            ["startdt", "startdt"]
        );
        assert_eq!(values(&recorder, "iec60870_104", "type"), ["interrogation"]);
        only_registered_attributes(&recorder, &[&IEC60870_104]);
        survives_every_cut(&segments);
    }

    #[test]
    fn the_first_unit_of_a_connection_is_enough_and_later_ones_need_a_second() {
        let is_known = |recorder| protocols(&recorder) == ["iec60870_104"];
        assert!(is_known(conversation(&[(C, SUMMONS)])));
        assert!(!is_known(midstream(&[(C, SUMMONS)])));
        assert!(is_known(midstream(&[(C, SUMMONS), (S, SUMMONS)])));
        let sequence = [VALUES, &[0, 1, 1]].concat();
        let mut whole = sequence.clone();
        whole[1] = 16;
        assert!(is_known(midstream(&[(S, &[&whole[..], &whole].concat())])));
        assert!(!is_known(midstream(&[(S, &sequence)])));
    }

    #[test]
    fn other_control_fields_and_lengths_are_refused() {
        for other in [
            &[0x68_u8, 4, 0x0f, 0, 0, 0][..],
            &[0x68, 4, 7, 0, 0, 1],
            &[0x68, 4, 1, 1, 0, 0],
            &[0x68, 5, 7, 0, 0, 0, 0],
            &[0x68, 3, 7, 0, 0],
            &[0x68, 14, 0, 0, 0, 0, 0, 1, 6, 0, 1, 0, 0, 0, 0, 20],
            &[0x68, 15, 0, 0, 0, 0, 100, 1, 6, 0, 1, 0, 0, 0, 0, 20, 0],
            b"hello, world",
        ] {
            assert!(protocols(&conversation(&[(C, other)])).is_empty());
        }
    }
}
