//! Spotify's search for players on the local network: a broadcast with a fixed beginning.
//!
//! There is no public description; the eight octets at the beginning are as commonly observed. Nothing else is read.

use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject};
use crate::evidence::Notes;

/// Players on the local network.
pub(super) const SPOTIFY: Protocol = Protocol {
    name: "spotify",
    about: About {
        title: "Spotify discovery on the local network",
        sources: "No public specification; the beginning as commonly observed",
        reads: "Nothing but the beginning.",
        proves: "The eight octets with which each message begins, and identifiers behind them.",
        limits: "The music comes by HTTPS.",
    },
    attributes: &[],
    stream: None,
    datagram: Some(DatagramEntry {
        first_byte: |byte| byte == BEGINNING[0],
        start: || Box::new(Messages),
    }),
};

const BEGINNING: &[u8; 8] = b"SpotUdp0";
/// With the identifiers of the sender.
const MIN_LENGTH: usize = 32;

struct Messages;

impl DatagramDecoder for Messages {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        if !datagram.bytes.starts_with(BEGINNING) || datagram.wire_len < MIN_LENGTH {
            return Err(Reject::Other);
        }
        notes.proved();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{CLIENT, datagrams, protocols};
    use super::*;

    #[test]
    fn its_beginning_is_known_and_no_other() {
        let whole = [&BEGINNING[..], &[7; 32]].concat();
        assert_eq!(protocols(&datagrams(&[(CLIENT, &whole)])), ["spotify"]);
        for length in 0..MIN_LENGTH {
            assert!(protocols(&datagrams(&[(CLIENT, &whole[..length])])).is_empty());
        }
        let other = [&b"SpotUdp1"[..], &[7; 32]].concat();
        assert!(protocols(&datagrams(&[(CLIENT, &other)])).is_empty());
    }
}
