//! Service Location Protocol (RFC 2165 version 1, RFC 2608 version 2): who looks for services on a network.
//!
//! Reads the header of each message over UDP; services and scopes are not kept. Proof is a header with its exact length, unused
//! bits of zero and the tag of a language.

use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::open_enum;

/// Version: 1 or 2.
const VERSION: &str = "version";
/// Kind of message: `service_request`, `service_reply` ...
const MESSAGE: &str = "message";

/// Discovery of services.
pub(super) const SLP: Protocol = Protocol {
    name: "slp",
    about: About {
        title: "Service Location Protocol",
        sources: "RFC 2608 section 8, RFC 2165 section 4",
        reads: "Versions and kinds of messages.",
        proves: "A header with its exact length, unused bits of zero and the tag of a language.",
        limits: "Services and scopes are not kept; TCP is not read.",
    },
    attributes: &[VERSION, MESSAGE],
    stream: None,
    datagram: Some(DatagramEntry {
        first_byte: |byte| matches!(byte, 1 | 2),
        start: || Box::new(Messages),
    }),
};

open_enum! {
    /// Functions of both versions.
    struct Function(u8) {
        /// Who offers this?
        SERVICE_REQUEST = 1 => "service_request",
        /// These.
        SERVICE_REPLY = 2 => "service_reply",
        /// I offer this.
        REGISTRATION = 3 => "service_registration",
        /// I do not any more.
        DEREGISTRATION = 4 => "service_deregistration",
        /// Noted.
        ACKNOWLEDGE = 5 => "service_acknowledge",
        /// What is it like?
        ATTRIBUTE_REQUEST = 6 => "attribute_request",
        /// This.
        ATTRIBUTE_REPLY = 7 => "attribute_reply",
        /// A directory is here.
        DIRECTORY = 8 => "directory_agent_advertisement",
        /// Which types are there?
        TYPE_REQUEST = 9 => "service_type_request",
        /// These.
        TYPE_REPLY = 10 => "service_type_reply",
        /// A service is here.
        SERVICE_AGENT = 11 => "service_agent_advertisement",
    }
}

struct Messages;

impl DatagramDecoder for Messages {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let mut cursor = Cursor::new(datagram.bytes);
        let (version, function) = (cursor.u8()?, Function(cursor.u8()?));
        let name = function.name().ok_or(Reject::Other)?;
        let (length, tag) = match version {
            1 => {
                let length = usize::from(cursor.u16()?);
                let (flags, dialect) = (cursor.u8()?, cursor.u8()?);
                let tag = cursor.take(2)?;
                let _encoding = cursor.u16()?;
                let _number = cursor.u16()?;
                if flags & 0x07 != 0 || dialect != 0 || function == Function::SERVICE_AGENT {
                    return Err(Reject::Other);
                }
                (length, tag)
            }
            2 => {
                let high = usize::from(cursor.u8()?) << 16;
                let length = high | usize::from(cursor.u16()?);
                let flags = cursor.u16()?;
                let (extension, offset) = (cursor.u8()?, cursor.u16()?);
                let _number = cursor.u16()?;
                let size = usize::from(cursor.u16()?);
                let is_inside = extension == 0 && usize::from(offset) < length;
                if flags & 0x1fff != 0 || !is_inside || !(2..=8).contains(&size) {
                    return Err(Reject::Other);
                }
                (length, cursor.take(size)?)
            }
            _ => return Err(Reject::Other),
        };
        let is_tag = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
        if length != datagram.wire_len || !tag.iter().all(is_tag) {
            return Err(Reject::Invalid("length or language"));
        }
        notes.proved();
        notes.number(VERSION, u64::from(version));
        notes.text(MESSAGE, name);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, datagrams, only_registered_attributes, protocols, values,
    };
    use super::*;

    const ONE: &[u8] = &[1, 6, 0, 14, 0, 0, b'e', b'n', 0, 3, 0, 9, 0, 0];
    const TWO: &[u8] = &[
        2, 1, 0, 0, 18, 0x20, 0, 0, 0, 0, 0, 9, 0, 2, b'e', b'n', 0, 0,
    ];

    #[test]
    fn both_versions_are_read() {
        let recorder = datagrams(&[(CLIENT, ONE), (SERVER, TWO)]);
        assert_eq!(protocols(&recorder), ["slp"]);
        assert_eq!(values(&recorder, "slp", "version"), ["1", "2"]);
        assert_eq!(
            values(&recorder, "slp", "message"),
            ["attribute_request", "service_request"]
        );
        only_registered_attributes(&recorder, &[&SLP]);
        for length in 0..TWO.len() {
            assert!(protocols(&datagrams(&[(CLIENT, &TWO[..length])])).is_empty());
        }
    }

    #[test]
    fn other_headers_are_refused() {
        for (at, value) in [(0, 3), (1, 12), (4, 19), (6, 1), (7, 1), (13, 9), (14, 0)] {
            let mut other = TWO.to_vec();
            other[at] = value;
            assert!(protocols(&datagrams(&[(CLIENT, &other)])).is_empty());
        }
        for (at, value) in [(1, 11), (3, 15), (4, 1), (5, 1), (6, 0)] {
            let mut other = ONE.to_vec();
            other[at] = value;
            assert!(protocols(&datagrams(&[(CLIENT, &other)])).is_empty());
        }
    }
}
