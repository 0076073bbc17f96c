//! Canon's protocol for printers and scanners (BJNP), over UDP.
//!
//! Canon publishes no description; the header is as commonly understood. Proof is its mark, a kind of device and the exact length
//! of the payload.

use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject};
use crate::bytes::Cursor;
use crate::evidence::Notes;

/// `printer` or `scanner`.
const DEVICE: &str = "device";
/// Number of the command.
const COMMAND: &str = "command";

/// Printers.
pub(super) const BJNP: Protocol = Protocol {
    name: "bjnp",
    about: About {
        title: "Canon printers and scanners (BJNP)",
        sources: "No public specification; the header as commonly understood",
        reads: "The kind of device and the number of the command.",
        proves: "The mark, a kind of device and the exact length of the payload.",
        limits: "Jobs are not looked at; TCP is not read.",
    },
    attributes: &[DEVICE, COMMAND],
    stream: None,
    datagram: Some(DatagramEntry {
        first_byte: |byte| matches!(byte, b'B' | b'M'),
        start: || Box::new(Messages),
    }),
};

/// Octets before the payload.
const HEADER: usize = 16;
/// An answer.
const RESPONSE: u8 = 0x80;

struct Messages;

impl DatagramDecoder for Messages {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let mut cursor = Cursor::new(datagram.bytes);
        if !matches!(cursor.array()?, b"BJNP" | b"BJNB" | b"MFNP") {
            return Err(Reject::Other);
        }
        let (kind, command) = (cursor.u8()?, cursor.u8()?);
        let _status_and_number = cursor.u32()?;
        let _session = cursor.u16()?;
        let length = usize::try_from(cursor.u32()?).unwrap_or(usize::MAX);
        let device = match kind & !RESPONSE {
            1 => "printer",
            2 => "scanner",
            _ => return Err(Reject::Invalid("device")),
        };
        if length.saturating_add(HEADER) != datagram.wire_len {
            return Err(Reject::Invalid("length"));
        }
        let side = notes.side();
        notes.proved();
        notes.client(if kind & RESPONSE == 0 {
            side
        } else {
            side.other()
        });
        notes.text(DEVICE, device);
        notes.number(COMMAND, u64::from(command));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, datagrams, only_registered_attributes, protocols, values,
    };
    use super::*;

    const SEARCH: &[u8] = b"BJNP\x02\x01\0\0\x17\xa4\0\0\0\0\0\0";

    #[test]
    fn device_and_command_are_read() {
        let answer = b"BJNP\x81\x20\0\0\x17\xa4\0\0\0\0\0\x02ab";
        let recorder = datagrams(&[(SERVER, answer), (CLIENT, SEARCH)]);
        assert_eq!(protocols(&recorder), ["bjnp"]);
        assert_eq!(recorder.client, Some(CLIENT));
        assert_eq!(values(&recorder, "bjnp", "device"), ["printer", "scanner"]);
        assert_eq!(values(&recorder, "bjnp", "command"), ["1", "32"]);
        only_registered_attributes(&recorder, &[&BJNP]);
        for length in 0..SEARCH.len() {
            assert!(protocols(&datagrams(&[(CLIENT, &SEARCH[..length])])).is_empty());
        }
    }

    #[test]
    fn other_marks_devices_and_lengths_are_refused() {
        for (at, value) in [(3, b'Q'), (4, 3), (15, 1)] {
            let mut other = SEARCH.to_vec();
            other[at] = value;
            assert!(protocols(&datagrams(&[(CLIENT, &other)])).is_empty());
        }
    }
}
