//! collectd's binary protocol (collectd.org, "Binary protocol"): measurements of hosts to a server, over UDP.
//!
//! Walks the parts of a datagram and says how it is protected; measurements are never looked at. Proof is a host with parts
//! that fill the datagram, or one part that signs or seals all of it.

use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject};
use crate::bytes::Cursor;
use crate::evidence::Notes;

/// `none`, `signed` or `encrypted`.
const PROTECTION: &str = "protection";

/// Measurements.
pub(super) const COLLECTD: Protocol = Protocol {
    name: "collectd",
    about: About {
        title: "collectd",
        sources: "collectd wiki, Binary protocol",
        reads: "How datagrams are protected.",
        proves: "A host with parts that fill the datagram, or one part that signs or seals all of it.",
        limits: "Hosts, users and measurements are not kept.",
    },
    attributes: &[PROTECTION],
    stream: None,
    datagram: Some(DatagramEntry {
        first_byte: |byte| matches!(byte, 0 | 2),
        start: || Box::new(Parts),
    }),
};

const HOST: u16 = 0;
const SIGNATURE: u16 = 0x0200;
const ENCRYPTION: u16 = 0x0210;
/// Octets of type and length of a part.
const HEADER: usize = 4;
/// Octets of a signature before the user's name.
const SIGNED: usize = 36;
/// Octets of what is sealed at least: the length of the user's name, a vector and a digest.
const SEALED: usize = 38;
/// Longest name of a host.
const MAX_HOST: usize = 256;

struct Parts;

impl DatagramDecoder for Parts {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let mut cursor = Cursor::new(datagram.bytes);
        let (kind, length) = (cursor.u16()?, usize::from(cursor.u16()?));
        let protection = match kind {
            HOST => {
                let name = cursor.take(length.checked_sub(HEADER).ok_or(Reject::Other)?)?;
                let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_".contains(byte);
                let fits = match name.split_last() {
                    Some((0, name)) => {
                        (1..MAX_HOST).contains(&name.len()) && name.iter().all(is_name)
                    }
                    _ => false,
                };
                if !fits {
                    return Err(Reject::Other);
                }
                parts(&mut cursor, datagram.is_cut())?;
                "none"
            }
            SIGNATURE if length > SIGNED => {
                cursor.skip(length.saturating_sub(HEADER))?;
                if cursor.u16()? != HOST {
                    return Err(Reject::Other);
                }
                "signed"
            }
            ENCRYPTION if length == datagram.wire_len => {
                let user = usize::from(cursor.u16()?);
                let name = cursor.take(user)?;
                let is_name = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
                if !is_name || user.saturating_add(SEALED) >= length {
                    return Err(Reject::Other);
                }
                "encrypted"
            }
            _ => return Err(Reject::Other),
        };
        notes.proved();
        notes.text(PROTECTION, protection);
        Ok(())
    }
}

/// Parts up to the end, of which the first two and one of values or of a notification must be whole.
fn parts(cursor: &mut Cursor<'_>, is_cut: bool) -> Result<(), Reject> {
    let mut count = 0_u32;
    while !cursor.is_empty() {
        let (kind, length) = (cursor.u16()?, usize::from(cursor.u16()?));
        let fits = match kind {
            // Times and intervals are numbers, the others texts or values.
            1 | 7..=9 | 0x0101 => length == 12,
            0 | 2..=6 | 0x0100 => length > HEADER,
            _ => false,
        };
        if !fits {
            return Err(Reject::Invalid("part"));
        }
        match cursor.skip(length.saturating_sub(HEADER)) {
            Ok(()) => count = count.saturating_add(1),
            Err(_) if is_cut && count >= 2 => return Ok(()),
            Err(short) => return Err(short.into()),
        }
    }
    match count {
        2.. => Ok(()),
        _ => Err(Reject::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{CLIENT, datagrams, only_registered_attributes, protocols, values};
    use super::*;

    fn clear() -> Vec<u8> {
        let time = [&[0, 8, 0, 12][..], &[9; 8]].concat();
        [&b"\0\0\0\x08srv\0"[..], &time, b"\0\x02\0\x08cpu\0"].concat()
    }

    #[test]
    fn each_protection_is_told() {
        let signed = [&[2, 0, 0, 37][..], &[7; 32], b"u", &clear()].concat();
        let sealed = [&[2, 0x10, 0, 47, 0, 4][..], b"user", &[7; 37]].concat();
        for (bytes, protection) in [(clear(), "none"), (signed, "signed"), (sealed, "encrypted")] {
            let recorder = datagrams(&[(CLIENT, &bytes)]);
            assert_eq!(protocols(&recorder), ["collectd"]);
            assert_eq!(values(&recorder, "collectd", "protection"), [protection]);
            only_registered_attributes(&recorder, &[&COLLECTD]);
            for length in 0..bytes.len() {
                datagrams(&[(CLIENT, &bytes[..length])]);
            }
        }
    }

    #[test]
    fn other_parts_are_refused() {
        let whole = clear();
        for (at, value) in [
            (1, 1),
            (3, 9),
            (4, b' '),
            (9, 10),
            (11, 13),
            (21, 0x20),
            (23, 9),
        ] {
            let mut other = whole.clone();
            other[at] = value;
            assert!(
                protocols(&datagrams(&[(CLIENT, &other)])).is_empty(),
                "{at}"
            );
        }
    }
}
