//! Real-Time Publish-Subscribe (OMG DDSI-RTPS 2.5): participants of a data distribution service.
//!
//! Reads the header of each message; data is never looked at. Proof is the mark, version 2 and submessages whose lengths end
//! within the datagram.

use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject};
use crate::bytes::Cursor;
use crate::evidence::Notes;

/// Version of the sender.
const VERSION: &str = "version";
/// Number of the sender's vendor, as the OMG assigned it.
const VENDOR: &str = "vendor";

/// Distributed data.
pub(super) const RTPS: Protocol = Protocol {
    name: "rtps",
    about: About {
        title: "Real-Time Publish-Subscribe (DDS)",
        sources: "OMG DDSI-RTPS 2.5 clause 9.4",
        reads: "Versions and vendors.",
        proves: "The mark, version 2 and submessages that end within the datagram.",
        limits: "Topics and data are not looked at.",
    },
    attributes: &[VERSION, VENDOR],
    stream: None,
    datagram: Some(DatagramEntry {
        first_byte: |byte| byte == b'R',
        start: || Box::new(Messages),
    }),
};

/// Octets of the header with the sender's prefix.
const HEADER: usize = 20;
/// How a vendor asks whether somebody is there, in place of a prefix.
const PING: &[u8] = b"NDDSPING";

struct Messages;

impl DatagramDecoder for Messages {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let mut cursor = Cursor::new(datagram.bytes);
        if !matches!(cursor.array()?, b"RTPS" | b"RTPX") {
            return Err(Reject::Other);
        }
        let (major, minor, vendor) = (cursor.u8()?, cursor.u8()?, cursor.u16()?);
        if major != 2 || minor > 9 {
            return Err(Reject::Invalid("version"));
        }
        if cursor.rest() != PING {
            cursor.skip(HEADER.saturating_sub(cursor.offset()))?;
            let (_kind, flags) = (cursor.u8()?, cursor.u8()?);
            let length = match flags & 1 {
                0 => cursor.u16()?,
                _ => cursor.u16_le()?,
            };
            let end = cursor.offset().saturating_add(usize::from(length));
            if end > datagram.wire_len {
                return Err(Reject::Invalid("length of a submessage"));
            }
        }
        notes.proved();
        notes.text(VERSION, &format!("{major}.{minor}"));
        notes.number(VENDOR, u64::from(vendor));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{CLIENT, datagrams, only_registered_attributes, protocols, values};
    use super::*;

    fn message(major: u8, length: u8) -> Vec<u8> {
        let head = [&b"RTPS"[..], &[major, 3, 1, 1], &[7; 12]].concat();
        [&head[..], &[9, 1, length, 0], &[0; 8]].concat()
    }

    #[test]
    fn versions_and_vendors_are_read() {
        let whole = message(2, 8);
        for bytes in [&whole[..], b"RTPS\x02\x03\x01\x01NDDSPING"] {
            let recorder = datagrams(&[(CLIENT, bytes)]);
            assert_eq!(protocols(&recorder), ["rtps"]);
            assert_eq!(values(&recorder, "rtps", "version"), ["2.3"]);
            assert_eq!(values(&recorder, "rtps", "vendor"), ["257"]);
            only_registered_attributes(&recorder, &[&RTPS]);
        }
        for length in 0..whole.len() {
            assert!(protocols(&datagrams(&[(CLIENT, &whole[..length])])).is_empty());
        }
    }

    #[test]
    fn other_versions_and_lengths_are_refused() {
        for bytes in [
            message(3, 8),
            message(2, 9),
            b"RTPZ\x02\x03\x01\x01NDDSPING".to_vec(),
        ] {
            assert!(protocols(&datagrams(&[(CLIENT, &bytes)])).is_empty());
        }
    }
}
