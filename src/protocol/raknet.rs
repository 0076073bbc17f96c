//! RakNet (RakNet reference, "Offline messages"): games that find each other and connect, over UDP.
//!
//! Reads the messages before a connection; what games send over it is not known. Proof is the sixteen octets that those messages
//! hold at a fixed place.

use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject};
use crate::evidence::Notes;

/// `unconnected_ping`, `unconnected_pong`, `open_connection_request`, `open_connection_reply` ...
const MESSAGE: &str = "message";

/// Games.
pub(super) const RAKNET: Protocol = Protocol {
    name: "raknet",
    about: About {
        title: "RakNet",
        sources: "RakNet source, RakPeer.cpp and MessageIdentifiers.h",
        reads: "Kinds of messages before a connection.",
        proves: "The sixteen octets that those messages hold at a fixed place.",
        limits: "A connection without its beginning is not known; games are not told apart.",
    },
    attributes: &[MESSAGE],
    stream: None,
    datagram: Some(DatagramEntry {
        first_byte: |byte| message(byte).is_some(),
        start: || Box::new(Messages),
    }),
};

const MAGIC: &[u8; 16] = b"\x00\xff\xff\x00\xfe\xfe\xfe\xfe\xfd\xfd\xfd\xfd\x12\x34\x56\x78";

/// Name of a message and place of the magic octets in it.
const fn message(kind: u8) -> Option<(&'static str, usize)> {
    Some(match kind {
        // Behind a time; behind a time and who it is.
        0x01 | 0x02 => ("unconnected_ping", 9),
        0x1c => ("unconnected_pong", 17),
        0x05 | 0x07 => ("open_connection_request", 1),
        0x06 | 0x08 => ("open_connection_reply", 1),
        0x19 => ("incompatible_protocol_version", 2),
        _ => return None,
    })
}

struct Messages;

impl DatagramDecoder for Messages {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let kind = datagram.bytes.first().copied().unwrap_or_default();
        let (name, at) = message(kind).ok_or(Reject::Other)?;
        let rest = datagram.bytes.get(at..).unwrap_or_default();
        if !rest.starts_with(MAGIC) {
            return Err(Reject::Other);
        }
        notes.proved();
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

    #[test]
    fn messages_before_a_connection_are_named() {
        let ping = [&[1; 9][..], MAGIC, &[7; 8]].concat();
        let pong = [&[0x1c; 17][..], MAGIC, b"\0\x03abc"].concat();
        let asked = [&[5][..], MAGIC, &[6]].concat();
        let recorder = datagrams(&[(CLIENT, &ping), (SERVER, &pong), (CLIENT, &asked)]);
        assert_eq!(protocols(&recorder), ["raknet"]);
        assert_eq!(
            values(&recorder, "raknet", "message"),
            [
                "open_connection_request",
                "unconnected_ping",
                "unconnected_pong"
            ]
        );
        only_registered_attributes(&recorder, &[&RAKNET]);
        for length in 0..17 {
            assert!(protocols(&datagrams(&[(CLIENT, &asked[..length])])).is_empty());
        }
    }

    #[test]
    fn other_places_are_refused() {
        let wrong = [&[5, 0][..], MAGIC].concat();
        assert!(protocols(&datagrams(&[(CLIENT, &wrong)])).is_empty());
        assert!(protocols(&datagrams(&[(CLIENT, &[0x1b; 40])])).is_empty());
    }
}
