//! Modbus over TCP (Modbus Messaging on TCP/IP Implementation Guide 1.0b; Application Protocol Specification 1.1b3): functions
//! and exceptions.
//!
//! The header has no magic number. Proof is that units of both directions have the exact length of their function and go
//! together, or that two of one direction follow each other. Values of a plant are never looked at.

use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;
use crate::open_enum;

/// A function that was asked for or answered.
const FUNCTION: &str = "function";
/// Code of an exception.
const EXCEPTION: &str = "exception";

/// Modbus.
pub(super) const MODBUS: Protocol = Protocol {
    name: "modbus",
    about: About {
        title: "Modbus over TCP",
        sources: "Modbus Application Protocol 1.1b3, Messaging on TCP/IP 1.0b",
        reads: "Functions and exceptions.",
        proves: "Units of both directions, or two of one, whose lengths are those of their public functions.",
        limits: "Values are not looked at; a single unit proves nothing; private functions alone are not known.",
    },
    attributes: &[FUNCTION, EXCEPTION],
    stream: Some(StreamEntry {
        first_byte: |_| true,
        probe,
        start: || Box::new(Units),
    }),
    datagram: None,
};

/// Longest unit after its length field: 253 octets and the unit identifier.
const MAX_LENGTH: usize = 254;
/// Transactions of one connection count upwards: how far request and answer that were seen first may be apart.
const NEAR: u16 = 8;

open_enum! {
    /// Public functions.
    struct Function(u8) {
        /// Reads coils.
        READ_COILS = 1 => "read_coils",
        /// Reads discrete inputs.
        READ_DISCRETE_INPUTS = 2 => "read_discrete_inputs",
        /// Reads holding registers.
        READ_HOLDING_REGISTERS = 3 => "read_holding_registers",
        /// Reads input registers.
        READ_INPUT_REGISTERS = 4 => "read_input_registers",
        /// Writes one coil.
        WRITE_SINGLE_COIL = 5 => "write_single_coil",
        /// Writes one register.
        WRITE_SINGLE_REGISTER = 6 => "write_single_register",
        /// Writes coils.
        WRITE_MULTIPLE_COILS = 15 => "write_multiple_coils",
        /// Writes registers.
        WRITE_MULTIPLE_REGISTERS = 16 => "write_multiple_registers",
        /// Changes bits of a register.
        MASK_WRITE_REGISTER = 22 => "mask_write_register",
        /// Writes and reads registers.
        READ_WRITE_MULTIPLE_REGISTERS = 23 => "read_write_multiple_registers",
        /// Asks what the device is.
        ENCAPSULATED_INTERFACE = 43 => "encapsulated_interface",
    }
}

fn probe(opening: &Opening<'_>) -> Probe {
    let [spoken, reply] = [opening.spoken(), opening.reply()].map(units);
    match (spoken, reply) {
        (None, _) => Probe::No,
        (Some((_, 2..)), _) => Probe::Yes,
        (Some((Some(first), _)), Some((Some(second), _))) => match first.goes_with(second) {
            true => Probe::Yes,
            false => Probe::No,
        },
        _ if opening.reply().is_empty() => Probe::More,
        (_, None) => Probe::No,
        _ => Probe::More,
    }
}

/// The first unit of a side and how many there are; `None` where something else is among them.
fn units(bytes: &[u8]) -> Option<(Option<Unit>, u32)> {
    let (mut rest, mut first, mut count) = (bytes, None, 0_u32);
    while !rest.is_empty() {
        match Unit::parse(rest) {
            Ok(unit) if unit.is_public => {
                first.get_or_insert(unit);
                count = count.saturating_add(1);
                rest = rest.get(unit.length..).unwrap_or_default();
            }
            Err(Reject::Short(_)) => break,
            Ok(_) | Err(_) => return None,
        }
    }
    Some((first, count))
}

/// Header and function of a unit.
#[derive(Clone, Copy, Debug)]
struct Unit {
    transaction: u16,
    /// Octets with the header.
    length: usize,
    function: Function,
    exception: Option<u8>,
    /// The length is that of a request or response of a public function.
    is_public: bool,
}

impl Unit {
    fn parse(bytes: &[u8]) -> Result<Self, Reject> {
        let mut cursor = Cursor::new(bytes);
        let transaction = cursor.u16()?;
        if cursor.u16()? != 0 {
            return Err(Reject::Other);
        }
        let length = usize::from(cursor.u16()?);
        if !(2..=MAX_LENGTH).contains(&length) {
            return Err(Reject::Other);
        }
        let mut unit = cursor.sub(length)?;
        let _device = unit.u8()?;
        let code = unit.u8()?;
        let data = unit.rest();
        let is_exception = code & 0x80 != 0;
        let function = Function(code & 0x7f);
        let is_public = match (is_exception, data) {
            (true, [code]) => function.name().is_some() && matches!(code, 1..=6 | 8 | 10 | 11),
            (true, _) => false,
            (false, data) => is_exact(function, data),
        };
        Ok(Self {
            transaction,
            length: cursor.offset(),
            function,
            exception: data.first().copied().filter(|_| is_exception),
            is_public,
        })
    }

    /// Whether one may be the other's answer, or follow it closely.
    fn goes_with(self, other: Self) -> bool {
        let apart = self.transaction.wrapping_sub(other.transaction);
        let is_near = apart <= NEAR || apart >= 0_u16.wrapping_sub(NEAR);
        self.function == other.function || is_near
    }
}

/// Whether `data` has the form of a request or of a response of that function.
fn is_exact(function: Function, data: &[u8]) -> bool {
    let counted = |rest: &[u8], count: u8| count > 0 && rest.len() == usize::from(count);
    match (function.0, data) {
        // Address and quantity, or a count and that many octets.
        (1..=2, [_, _, high, low]) if (1..=2000).contains(&u16::from_be_bytes([*high, *low])) => {
            true
        }
        (3..=4, [_, _, high, low]) if (1..=125).contains(&u16::from_be_bytes([*high, *low])) => {
            true
        }
        (1..=2, [count, rest @ ..]) => counted(rest, *count),
        (3..=4 | 23, [count, rest @ ..]) if counted(rest, *count) => count % 2 == 0,
        (5, [_, _, 0 | 0xff, 0]) | (6, [_, _, _, _]) | (22, [_, _, _, _, _, _]) => true,
        (15 | 16, [_, _, high, low]) => (1..=1968).contains(&u16::from_be_bytes([*high, *low])),
        (15 | 16, [_, _, _, _, count, rest @ ..]) => counted(rest, *count),
        (23, [_, _, _, _, _, _, _, _, count, rest @ ..]) => counted(rest, *count),
        (43, [0x0d | 0x0e, _, ..]) => true,
        _ => false,
    }
}

/// All units of one connection.
struct Units;

impl StreamDecoder for Units {
    fn data(&mut self, _side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let unit = match Unit::parse(bytes) {
            Ok(unit) => unit,
            Err(reject) => return reject.into_step(0, bytes.len()),
        };
        notes.proved();
        notes.text(FUNCTION, &unit.function.to_string());
        if let Some(code) = unit.exception {
            notes.number(EXCEPTION, u64::from(code));
        }
        Step::Skip {
            consumed: unit.length,
            bytes: 0,
        }
    }

    fn resume(&mut self, _side: Side, bytes: &[u8]) -> Option<usize> {
        Unit::parse(bytes)
            .is_ok_and(|unit| unit.is_public)
            .then_some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, conversation, midstream, only_registered_attributes, protocols,
        survives_every_cut, values,
    };
    use super::*;

    const READ: &[u8] = &[0, 7, 0, 0, 0, 6, 1, 3, 0, 0, 0, 2];
    const REGISTERS: &[u8] = &[0, 7, 0, 0, 0, 7, 1, 3, 4, 0, 9, 0, 24];
    const REFUSED: &[u8] = &[0, 7, 0, 0, 0, 3, 1, 0x83, 2];

    #[test]
    fn requests_and_answers_are_paired() {
        let segments = [(CLIENT, READ), (SERVER, REGISTERS), (SERVER, REFUSED)];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["modbus"]);
        assert_eq!(
            values(&recorder, "modbus", "function"),
            ["read_holding_registers", "read_holding_registers"]
        );
        assert_eq!(values(&recorder, "modbus", "exception"), ["2"]);
        only_registered_attributes(&recorder, &[&MODBUS]);
        survives_every_cut(&segments);
    }

    #[test]
    fn one_direction_needs_two_units() {
        assert!(protocols(&conversation(&[(CLIENT, READ)])).is_empty());
        let twice = [READ, READ].concat();
        assert_eq!(protocols(&conversation(&[(CLIENT, &twice)])), ["modbus"]);
    }

    #[test]
    fn an_answer_before_the_next_request_is_known_in_the_middle() {
        let answer = [0xc2, 0x4a, 0, 0, 0, 4, 255, 1, 1, 1];
        let request = [0xc2, 0x4b, 0, 0, 0, 6, 255, 5, 0, 1, 0xff, 0];
        let recorder = midstream(&[(SERVER, &answer), (CLIENT, &request)]);
        assert_eq!(protocols(&recorder), ["modbus"]);
    }

    #[test]
    fn other_lengths_and_strangers_are_refused() {
        let long = [0, 7, 0, 0, 0, 7, 1, 3, 0, 0, 0, 2, 0];
        let far = [0x70, 7, 0, 0, 0, 5, 1, 1, 2, 0, 0];
        let many = [0, 7, 0, 0, 0, 6, 1, 3, 0, 0, 1, 2];
        for (first, second) in [(&long[..], READ), (&far, READ), (&many, REGISTERS)] {
            let recorder = conversation(&[(CLIENT, first), (SERVER, second)]);
            assert!(protocols(&recorder).is_empty(), "{first:?}");
        }
    }
}
