//! GPRS tunnelling control (3GPP TS 29.060 version 1, TS 29.274 version 2): how tunnels of mobile networks come and go.
//!
//! Reads the header of control messages; subscribers are never looked at. What the tunnels carry is no matter of this decoder.
//! Proof is an exact length with a known type, and for version 2 elements that fill the message.

use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject};
use crate::bytes::Cursor;
use crate::evidence::Notes;

/// Version of the messages: 1 or 2.
const VERSION: &str = "version";
/// Number of a message's type.
const MESSAGE: &str = "message";

/// Tunnels of mobile networks.
pub(super) const GTP: Protocol = Protocol {
    name: "gtp",
    about: About {
        title: "GPRS Tunnelling Protocol, control plane",
        sources: "3GPP TS 29.060 section 6, TS 29.274 section 5",
        reads: "Versions and types of control messages.",
        proves: "A header with an exact length and a known type; elements to the end for version 2.",
        limits: "Subscribers and bearers are not looked at; version 0 and charging (GTP') are not known.",
    },
    attributes: &[VERSION, MESSAGE],
    stream: None,
    datagram: Some(DatagramEntry {
        first_byte: |byte| matches!(byte, 0x30 | 0x32 | 0x40 | 0x48 | 0x50 | 0x58),
        start: || Box::new(Messages),
    }),
};

struct Messages;

impl DatagramDecoder for Messages {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let mut cursor = Cursor::new(datagram.bytes);
        let flags = cursor.u8()?;
        let kind = cursor.u8()?;
        let length = usize::from(cursor.u16()?);
        let version = flags >> 5;
        match version {
            1 => {
                let has_number = flags & 0x02 != 0;
                let tunnel = cursor.u32()?;
                let is_known = match kind {
                    // Echoes belong to no tunnel.
                    1 | 2 => tunnel == 0,
                    3 => true,
                    // Tunnels and their answers, errors, notices of subscribers and of handovers.
                    16..=22 | 26..=31 | 32..=37 | 48..=60 => true,
                    _ => false,
                };
                let is_exact = length.saturating_add(8) == datagram.wire_len && length >= 4;
                if !has_number || !is_known || !is_exact {
                    return Err(Reject::Other);
                }
                // Number of the message, then what the other two flags would say.
                let (_number, others) = (cursor.u16()?, cursor.u16()?);
                if others != 0 {
                    return Err(Reject::Invalid("unused fields"));
                }
            }
            2 => {
                let is_known = matches!(kind, 1..=3 | 25 | 26 | 32..=41 | 64..=73 | 95..=103
                    | 128..=142 | 149..=171 | 176 | 177 | 179 | 180 | 200 | 201 | 211 | 212);
                let has_tunnel = flags & 0x08 != 0;
                // Behind a piggybacked message comes another.
                let is_exact = length.saturating_add(4) == datagram.wire_len;
                let is_echo = matches!(kind, 1..=3);
                if !is_known || !is_exact || flags & 0x10 != 0 || is_echo == has_tunnel {
                    return Err(Reject::Other);
                }
                if has_tunnel {
                    let _tunnel = cursor.u32()?;
                }
                let number = cursor.u32()?;
                if number & 0xff != 0 {
                    return Err(Reject::Invalid("spare octet"));
                }
                elements(&mut cursor, datagram.is_cut())?;
            }
            _ => return Err(Reject::Other),
        }
        notes.proved();
        notes.number(VERSION, u64::from(version));
        notes.number(MESSAGE, u64::from(kind));
        Ok(())
    }
}

/// Elements to the end: type, length, instance, value (TS 29.274 section 8.2).
fn elements(cursor: &mut Cursor<'_>, is_cut: bool) -> Result<(), Reject> {
    let mut count = 0_u32;
    while !cursor.is_empty() {
        let kind = cursor.u8()?;
        let length = usize::from(cursor.u16()?);
        let spare = cursor.u8()? >> 4;
        if kind == 0 || spare != 0 {
            return Err(Reject::Invalid("element"));
        }
        match cursor.skip(length) {
            Ok(()) => count = count.saturating_add(1),
            Err(_) if is_cut && count > 0 => return Ok(()),
            Err(short) => return Err(short.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, cut_datagram, datagrams, only_registered_attributes, protocols, values,
    };
    use super::*;

    const ECHO: &[u8] = &[0x32, 1, 0, 4, 0, 0, 0, 0, 0, 9, 0, 0];
    const CREATE: &[u8] = &[
        0x48, 32, 0, 22, 0, 0, 0, 0, 0, 0, 9, 0, 82, 0, 1, 0, 6, 87, 0, 5, 0, 0, 1, 2, 3, 4,
    ];

    #[test]
    fn both_versions_are_known() {
        let recorder = datagrams(&[(CLIENT, ECHO), (SERVER, CREATE)]);
        assert_eq!(protocols(&recorder), ["gtp"]);
        assert_eq!(values(&recorder, "gtp", "version"), ["1", "2"]);
        assert_eq!(values(&recorder, "gtp", "message"), ["1", "32"]);
        only_registered_attributes(&recorder, &[&GTP]);
        for bytes in [ECHO, CREATE] {
            for length in 0..bytes.len() {
                assert!(protocols(&datagrams(&[(CLIENT, &bytes[..length])])).is_empty());
            }
        }
        assert_eq!(protocols(&cut_datagram(&CREATE[..23], 26)), ["gtp"]);
    }

    #[test]
    fn other_lengths_types_and_elements_are_refused() {
        for bytes in [
            &[0x32_u8, 1, 0, 4, 0, 0, 0, 1, 0, 9, 0, 0][..],
            &[0x32, 16, 0, 4, 0, 0, 0, 1, 0, 9, 0, 5],
            &[0x32, 255, 0, 4, 0, 0, 0, 1, 0, 9, 0, 0],
            &[0x30, 16, 0, 4, 0, 0, 0, 1, 0, 9, 0, 0],
            &[0x40, 32, 0, 4, 0, 0, 9, 0],
            &[0x40, 1, 0, 4, 0, 0, 9, 1],
            &[0x40, 1, 0, 9, 0, 0, 9, 0, 3, 0, 1, 0x10, 7],
            &[0x40, 1, 0, 9, 0, 0, 9, 0, 3, 0, 2, 0, 7],
        ] {
            assert!(
                protocols(&datagrams(&[(CLIENT, bytes)])).is_empty(),
                "{bytes:?}"
            );
        }
    }
}
