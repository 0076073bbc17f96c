//! Layer Two Tunnelling Protocol (RFC 2661 version 2, RFC 3931 version 3): control of tunnels over UDP.
//!
//! Reads the type of control messages; what tunnels carry is no matter of this decoder. Proof is a control header with its exact
//! length, and a first attribute that says the type.

use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::open_enum;

/// Version: 2 or 3.
const VERSION: &str = "version";
/// Control message: `sccrq`, `icrq`, `hello` ..., as the specification abbreviates them.
const MESSAGE: &str = "message";

/// Tunnels.
pub(super) const L2TP: Protocol = Protocol {
    name: "l2tp",
    about: About {
        title: "Layer Two Tunnelling Protocol",
        sources: "RFC 2661 sections 3.1 and 4.1, RFC 3931 section 3.2",
        reads: "Types of control messages.",
        proves: "A control header with its exact length, and a first attribute that says the type.",
        limits: "Hosts and secrets are not looked at; data alone is not known.",
    },
    attributes: &[VERSION, MESSAGE],
    stream: None,
    datagram: Some(DatagramEntry {
        first_byte: |byte| byte == CONTROL,
        start: || Box::new(Messages),
    }),
};

/// A control message with a length and sequence numbers.
const CONTROL: u8 = 0xc8;
/// The attribute must be understood, is not hidden, and is as long as that of the type; it is the standard's own.
const TYPE_ATTRIBUTE: [u8; 6] = [0x80, 8, 0, 0, 0, 0];

open_enum! {
    /// Types of control messages (section 3.2).
    struct Kind(u16) {
        /// Opens a tunnel.
        SCCRQ = 1 => "sccrq",
        /// Answers.
        SCCRP = 2 => "sccrp",
        /// The tunnel is open.
        SCCCN = 3 => "scccn",
        /// The tunnel ends.
        STOP_CCN = 4 => "stop_ccn",
        /// Still there.
        HELLO = 6 => "hello",
        /// A call goes out.
        OCRQ = 7 => "ocrq",
        /// Answers.
        OCRP = 8 => "ocrp",
        /// The call is up.
        OCCN = 9 => "occn",
        /// A call came in.
        ICRQ = 10 => "icrq",
        /// Answers.
        ICRP = 11 => "icrp",
        /// The call is up.
        ICCN = 12 => "iccn",
        /// The call ends.
        CDN = 14 => "cdn",
        /// Errors of a line.
        WEN = 15 => "wen",
        /// What was negotiated.
        SLI = 16 => "sli",
        /// Got it (RFC 3931).
        ACK = 20 => "ack",
    }
}

struct Messages;

impl DatagramDecoder for Messages {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let mut cursor = Cursor::new(datagram.bytes);
        let (flags, version) = (cursor.u8()?, cursor.u8()?);
        let length = usize::from(cursor.u16()?);
        let is_exact = length == datagram.wire_len;
        if flags != CONTROL || !matches!(version, 2 | 3) || !is_exact {
            return Err(Reject::Other);
        }
        let (_tunnel_and_session, _sequence) = (cursor.u32()?, cursor.u32()?);
        // Without attributes it says that so much was received.
        if !cursor.is_empty() || datagram.is_cut() {
            if *cursor.array()? != TYPE_ATTRIBUTE {
                return Err(Reject::Invalid("first attribute"));
            }
            let kind = Kind(cursor.u16()?);
            if kind.name().is_none() {
                return Err(Reject::Invalid("type"));
            }
            notes.text(MESSAGE, &kind.to_string());
        }
        notes.proved();
        notes.number(VERSION, u64::from(version));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, datagrams, only_registered_attributes, protocols, values,
    };
    use super::*;

    const START: &[u8] = &[
        0xc8, 2, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 8, 0, 0, 0, 0, 0, 1,
    ];
    const RECEIVED: &[u8] = &[0xc8, 2, 0, 12, 0, 9, 0, 0, 0, 1, 0, 1];

    #[test]
    fn messages_are_named() {
        let recorder = datagrams(&[(CLIENT, START), (SERVER, RECEIVED)]);
        assert_eq!(protocols(&recorder), ["l2tp"]);
        assert_eq!(values(&recorder, "l2tp", "message"), ["sccrq"]);
        assert_eq!(values(&recorder, "l2tp", "version"), ["2", "2"]);
        only_registered_attributes(&recorder, &[&L2TP]);
        for length in 0..START.len() {
            assert!(protocols(&datagrams(&[(CLIENT, &START[..length])])).is_empty());
        }
    }

    #[test]
    fn other_versions_types_and_lengths_are_refused() {
        for (at, value) in [(1, 1), (3, 21), (12, 0), (13, 9), (19, 5)] {
            let mut other = START.to_vec();
            other[at] = value;
            assert!(protocols(&datagrams(&[(CLIENT, &other)])).is_empty());
        }
    }
}
