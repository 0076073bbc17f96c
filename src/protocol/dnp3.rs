//! DNP3 (IEEE 1815): which functions a master asks of an outstation.
//!
//! Reads frames of the data link and the function in their first application fragment; values of a plant are never looked at.
//! Proof is a header with its own checksum.

use super::{
    About, Datagram, DatagramDecoder, DatagramEntry, Opening, Probe, Protocol, Reject, Step,
    StreamDecoder, StreamEntry,
};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;
use crate::open_enum;

/// Function that was asked for or answered.
const FUNCTION: &str = "function";

/// Telecontrol.
pub(super) const DNP3: Protocol = Protocol {
    name: "dnp3",
    about: About {
        title: "Distributed Network Protocol 3",
        sources: "IEEE 1815 sections 4.2, 8.2 and 9.2",
        reads: "Functions that masters ask for and outstations answer.",
        proves: "A header of the data link with its checksum.",
        limits: "Values are not looked at; checksums of data are not computed.",
    },
    attributes: &[FUNCTION],
    stream: Some(StreamEntry {
        first_byte: |byte| byte == START[0],
        probe,
        start: || Box::new(Frames),
    }),
    datagram: Some(DatagramEntry {
        first_byte: |byte| byte == START[0],
        start: || Box::new(Frames),
    }),
};

const START: [u8; 2] = [5, 0x64];
/// Octets of the header before its checksum.
const HEADER: usize = 8;
/// Octets that the length counts in any frame: control and addresses.
const COUNTED: usize = 5;
/// Octets of a block of data, which has a checksum of two.
const BLOCK: usize = 16;
const CHECKSUM: usize = 2;
/// The frame comes from a master.
const FROM_MASTER: u8 = 0x80;
/// The first segment of a fragment.
const FIRST: u8 = 0x40;

open_enum! {
    /// Functions of the application layer.
    struct Function(u8) {
        /// Got it.
        CONFIRM = 0 => "confirm",
        /// Wants values.
        READ = 1 => "read",
        /// Writes values.
        WRITE = 2 => "write",
        /// Names what it will operate.
        SELECT = 3 => "select",
        /// Operates what was named.
        OPERATE = 4 => "operate",
        /// Operates at once.
        DIRECT_OPERATE = 5 => "direct_operate",
        /// Operates at once, without an answer.
        DIRECT_OPERATE_NO_ACK = 6 => "direct_operate_no_ack",
        /// Starts the outstation again.
        COLD_RESTART = 13 => "cold_restart",
        /// Starts its application again.
        WARM_RESTART = 14 => "warm_restart",
        /// Stops an application.
        STOP_APPLICATION = 18 => "stop_application",
        /// May it speak on its own?
        ENABLE_UNSOLICITED = 20 => "enable_unsolicited",
        /// It may not.
        DISABLE_UNSOLICITED = 21 => "disable_unsolicited",
        /// How long does a message take?
        DELAY_MEASURE = 23 => "delay_measure",
        /// An answer.
        RESPONSE = 129 => "response",
        /// Said on its own.
        UNSOLICITED_RESPONSE = 130 => "unsolicited_response",
    }
}

struct Frame {
    from_master: bool,
    function: Option<Function>,
}

impl Frame {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Reject> {
        let from_master = header(&mut cursor.clone())?.1 & FROM_MASTER != 0;
        let (length, _) = header(cursor)?;
        let data = length.saturating_sub(COUNTED);
        let checksums = data.div_ceil(BLOCK).saturating_mul(CHECKSUM);
        let data = cursor.take(data.saturating_add(checksums))?;
        // Transport, application control, function.
        let function = match data {
            [transport, _, function, _, _, ..] if transport & FIRST != 0 => {
                Some(Function(*function))
            }
            _ => None,
        };
        Ok(Self {
            from_master,
            function,
        })
    }

    fn note(&self, side: Side, notes: &mut Notes<'_>) {
        notes.proved();
        notes.client(if self.from_master { side } else { side.other() });
        if let Some(function) = self.function {
            notes.text(FUNCTION, &function.to_string());
        }
    }
}

/// Length and control of a frame.
fn header(cursor: &mut Cursor<'_>) -> Result<(usize, u8), Reject> {
    if *cursor.clone().array::<2>()? != START {
        return Err(Reject::Other);
    }
    let bytes = *cursor.array::<HEADER>()?;
    let [_, _, length, control, ..] = bytes;
    let length = usize::from(length);
    if length < COUNTED || cursor.u16_le()? != checksum(&bytes) {
        return Err(Reject::Invalid("length or checksum"));
    }
    Ok((length, control))
}

/// IEEE 1815 section 9.2.4: the polynomial 0x3d65, least bit first, inverted.
fn checksum(bytes: &[u8]) -> u16 {
    const POLYNOMIAL: u16 = 0xa6bc;
    let step = |value: u16, _| (value >> 1) ^ (POLYNOMIAL * (value & 1));
    let byte = |value: u16, byte: &u8| (0..u8::BITS).fold(value ^ u16::from(*byte), step);
    !bytes.iter().fold(0, byte)
}

fn probe(opening: &Opening<'_>) -> Probe {
    opening.either(|bytes| Probe::of(header(&mut Cursor::new(bytes))))
}

/// All frames of one connection or flow.
struct Frames;

impl StreamDecoder for Frames {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let mut cursor = Cursor::new(bytes);
        match Frame::parse(&mut cursor) {
            Ok(frame) => {
                frame.note(side, notes);
                Step::Skip {
                    consumed: cursor.offset(),
                    bytes: 0,
                }
            }
            Err(reject) => reject.into_step(0, bytes.len()),
        }
    }

    fn resume(&mut self, _side: Side, bytes: &[u8]) -> Option<usize> {
        header(&mut Cursor::new(bytes)).is_ok().then_some(0)
    }
}

impl DatagramDecoder for Frames {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let frame = Frame::parse(&mut Cursor::new(datagram.bytes))?;
        frame.note(notes.side(), notes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT as C, SERVER as S, conversation, datagrams, only_registered_attributes, protocols,
        survives_every_cut, values,
    };
    use super::*;

    fn frame(control: u8, data: &[u8]) -> Vec<u8> {
        let length = u8::try_from(data.len() + COUNTED).unwrap();
        let mut frame = vec![5, 0x64, length, control, 3, 0, 4, 0];
        frame.extend(checksum(&frame).to_le_bytes());
        for block in data.chunks(BLOCK) {
            frame.extend(block);
            frame.extend(checksum(block).to_le_bytes());
        }
        frame
    }

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        // IEEE 1815: the check value of "123456789".
        assert_eq!(checksum(b"123456789"), 0xea82);
    }

    #[test]
    fn functions_of_both_sides_are_read() {
        let asked = frame(0xc4, &[&[0xc0, 0xc1, 5][..], &[0; 20]].concat());
        let answered = frame(0x44, &[0xc0, 0xc1, 129, 0, 0]);
        let segments = [(C, &asked[..]), (S, &answered[..])];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["dnp3"]);
        assert_eq!(recorder.client, Some(C));
        assert_eq!(
            values(&recorder, "dnp3", "function"),
            ["direct_operate", "response"]
        );
        only_registered_attributes(&recorder, &[&DNP3]);
        survives_every_cut(&segments);
        let recorder = datagrams(&segments);
        assert_eq!(values(&recorder, "dnp3", "function").len(), 2);
    }

    #[test]
    fn later_segments_and_frames_without_data_name_no_function() {
        let recorder = conversation(&[(S, &frame(0x44, &[0x81, 1, 2, 3])), (S, &frame(0, &[]))]);
        assert_eq!(protocols(&recorder), ["dnp3"]);
        assert_eq!(recorder.client, Some(C));
        assert!(values(&recorder, "dnp3", "function").is_empty());
    }

    #[test]
    fn a_wrong_checksum_is_refused() {
        let mut wrong = frame(0xc4, &[0xc0, 0xc1, 1]);
        wrong[4] ^= 1;
        assert!(protocols(&conversation(&[(C, &wrong)])).is_empty());
        assert!(protocols(&datagrams(&[(C, &wrong)])).is_empty());
        assert!(protocols(&conversation(&[(C, b"\x05\x64")])).is_empty());
    }
}
