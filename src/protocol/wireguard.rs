//! WireGuard (the protocol's paper, section 5.4): its four messages, by their fixed lengths.
//!
//! Proves: an initiation or a response of exactly its length, whose keys look like the random numbers that they are; or
//! data of one receiver whose counters advance packet by packet. A cookie is taken where the flow was proven before. The
//! messages carry no names: who the peers are stays hidden.

use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::PerSide;
use crate::open_enum;

/// WireGuard.
pub(super) const WIREGUARD: Protocol = Protocol {
    name: "wireguard",
    about: About {
        title: "WireGuard",
        sources: "Donenfeld, \"WireGuard: Next Generation Kernel Network Tunnel\", 5.4",
        reads: "The type of each message.",
        proves: "A handshake message of its exact length with random keys, or three data messages in a row of one receiver.",
        limits: "Nothing else is in clear.",
    },
    attributes: &[MESSAGE],
    stream: None,
    datagram: Some(DatagramEntry {
        first_byte: |byte| Kind(byte).name().is_some(),
        start: || Box::<WireGuard>::default(),
    }),
};

/// `initiation`, `response`, `cookie_reply` or `data`.
const MESSAGE: &str = "message";

open_enum! {
    /// Types of messages.
    struct Kind(u8) {
        /// First message of a handshake.
        INITIATION = 1 => "initiation",
        /// Second message.
        RESPONSE = 2 => "response",
        /// The peer is under load.
        COOKIE_REPLY = 3 => "cookie_reply",
        /// Data under the session.
        DATA = 4 => "data",
    }
}

/// Data messages in a row that prove a flow whose handshake was not captured.
const MIN_STREAK: u8 = 3;
/// Greatest step of a counter within such a row.
const MAX_STEP: u64 = 1024;
/// Header, counter and tag of a data message; its content is padded to as many bytes.
const DATA_BLOCK: usize = 16;
/// Different bytes among 32 of a key: random ones have 30 on average, and fewer than this in none of 10^12.
const MIN_DISTINCT: usize = 18;
/// Different bytes among the 16 of a tag.
const MIN_DISTINCT_TAG: usize = 9;

/// One flow.
#[derive(Default)]
struct WireGuard {
    proven: bool,
    sides: PerSide<Counter>,
}

/// Data messages of one direction.
#[derive(Default)]
struct Counter {
    receiver: u32,
    number: u64,
    streak: u8,
}

impl DatagramDecoder for WireGuard {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let mut cursor = Cursor::new(datagram.bytes);
        let kind = Kind(cursor.u8()?);
        let (&reserved, index) = (cursor.array::<3>()?, cursor.u32_le()?);
        if reserved != [0; 3] {
            return Err(Reject::Other);
        }
        let is_sane = match (kind, datagram.wire_len) {
            (Kind::INITIATION, 148) => distinct(*cursor.array::<32>()?) >= MIN_DISTINCT,
            (Kind::RESPONSE, 92) => {
                cursor.skip(4)?;
                distinct(*cursor.array::<32>()?) >= MIN_DISTINCT
            }
            (Kind::COOKIE_REPLY, 64) => self.proven,
            (Kind::DATA, length) if length >= 32 && length.is_multiple_of(DATA_BLOCK) => {
                let counter = &mut self.sides[notes.side()];
                counter.packet(index, cursor.u64_le()?);
                let tag = datagram.bytes.last_chunk::<DATA_BLOCK>();
                let is_random = tag.is_some_and(|tag| distinct(*tag) >= MIN_DISTINCT_TAG);
                self.proven || (counter.streak >= MIN_STREAK && is_random && index != 0)
            }
            _ => return Err(Reject::Invalid("length")),
        };
        if !is_sane {
            return Err(Reject::Invalid("message"));
        }
        self.proven = true;
        notes.proved();
        notes.text(MESSAGE, kind.name().unwrap_or_default());
        match kind {
            Kind::INITIATION => notes.client(notes.side()),
            Kind::RESPONSE => notes.client(notes.side().other()),
            _ => {}
        }
        Ok(())
    }
}

impl Counter {
    fn packet(&mut self, receiver: u32, number: u64) {
        let step = number.wrapping_sub(self.number);
        let is_next = receiver == self.receiver && (1..=MAX_STEP).contains(&step);
        let streak = if is_next { self.streak } else { 0 };
        *self = Self {
            receiver,
            number,
            streak: streak.saturating_add(1),
        };
    }
}

/// How many different bytes there are.
fn distinct<const N: usize>(mut bytes: [u8; N]) -> usize {
    bytes.sort_unstable();
    bytes.chunk_by(|a, b| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, datagrams, only_registered_attributes, protocols, values,
    };
    use super::*;

    fn message(kind: u8, length: usize) -> Vec<u8> {
        let random = (0..length).map(|at| (at * 37 % 251) as u8);
        let mut bytes: Vec<u8> = random.collect();
        bytes[..4].copy_from_slice(&[kind, 0, 0, 0]);
        bytes
    }

    fn data(receiver: u8, counter: u8, length: usize) -> Vec<u8> {
        let mut bytes = message(4, length);
        bytes[4..16].copy_from_slice(&[receiver, 1, 1, 1, counter, 0, 0, 0, 0, 0, 0, 0]);
        bytes
    }

    #[test]
    fn a_handshake_is_known_by_either_message() {
        let initiation = message(1, 148);
        let response = message(2, 92);
        let cookie = message(3, 64);
        let recorder = datagrams(&[(CLIENT, &initiation), (SERVER, &cookie)]);
        assert_eq!(protocols(&recorder), ["wireguard"]);
        assert_eq!(
            values(&recorder, "wireguard", "message"),
            ["cookie_reply", "initiation"]
        );
        assert_eq!(recorder.client, Some(CLIENT));
        let recorder = datagrams(&[(SERVER, &response)]);
        assert_eq!(recorder.client, Some(CLIENT));
        only_registered_attributes(&recorder, &[&WIREGUARD]);
        assert!(protocols(&datagrams(&[(SERVER, &cookie)])).is_empty());
    }

    #[test]
    fn data_needs_counters_that_advance() {
        let rows = |packets: &[Vec<u8>]| {
            let played: Vec<_> = packets.iter().map(|bytes| (CLIENT, &bytes[..])).collect();
            protocols(&datagrams(&played))
        };
        let good = [data(7, 1, 32), data(7, 2, 48), data(7, 4, 96)];
        assert_eq!(rows(&good), ["wireguard"]);
        assert!(rows(&good[..2]).is_empty());
        assert!(rows(&[data(7, 1, 32), data(7, 1, 32), data(7, 1, 32)]).is_empty());
        assert!(rows(&[data(7, 1, 32), data(8, 2, 32), data(7, 3, 32)]).is_empty());
        assert!(rows(&[data(7, 1, 41), data(7, 2, 41), data(7, 3, 41)]).is_empty());
    }

    #[test]
    fn other_lengths_and_regular_bytes_are_refused() {
        let mut zeros = vec![0; 148];
        zeros[0] = 1;
        let mut reserved = message(1, 148);
        reserved[2] = 1;
        for bad in [&zeros, &reserved, &message(1, 149), &message(2, 91)] {
            assert!(!protocols(&datagrams(&[(CLIENT, bad)])).contains(&"wireguard"));
        }
        let whole = message(1, 148);
        for length in 0..148 {
            let cut = &whole[..length];
            assert!(!protocols(&datagrams(&[(CLIENT, cut)])).contains(&"wireguard"));
        }
    }
}
