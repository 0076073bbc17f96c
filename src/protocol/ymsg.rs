//! YMSG, the protocol of Yahoo! Messenger. It was never published: the header is known from what every client sends, and
//! nothing is read but it.
//!
//! Proves: the magic, a length that fits, and a body of numbered fields between `C0 80`.

use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;

/// Version of the protocol.
const VERSION: &str = "version";

pub(super) const YMSG: Protocol = Protocol {
    name: "ymsg",
    about: About {
        title: "Yahoo! Messenger",
        sources: "No public specification; the header as all clients send it",
        reads: "The version.",
        proves: "A header with its magic number, and fields between the separators of the protocol.",
        limits: "Names and messages are not read.",
    },
    attributes: &[VERSION],
    stream: Some(StreamEntry {
        first_byte: |byte| byte == b'Y',
        probe,
        start: || Box::new(Connection),
    }),
    datagram: None,
};

const MAGIC: &[u8; 4] = b"YMSG";
/// Bytes of the header.
const HEADER: usize = 20;
/// Between key and value, and after each value.
const SEPARATOR: [u8; 2] = [0xc0, 0x80];
/// Longest key: a decimal number.
const MAX_KEY: usize = 5;
/// Latest version of the protocol with some room; early versions write the number in the other order.
const MAX_VERSION: u16 = 32;

struct Header {
    version: u16,
    body: usize,
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<Self, Reject> {
        let mut cursor = Cursor::new(bytes);
        if cursor.array::<4>()? != MAGIC {
            return Err(Reject::Other);
        }
        let version = cursor.u16()?;
        cursor.skip(2)?;
        let body = usize::from(cursor.u16()?);
        cursor.skip(HEADER.saturating_sub(10))?;
        let version = version.min(version.swap_bytes());
        let content = cursor.rest();
        let content = content.get(..body).unwrap_or(content);
        let digits = content
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let after = content.get(digits..).unwrap_or_default();
        let is_field = (1..=MAX_KEY).contains(&digits) && after.starts_with(&SEPARATOR);
        let is_cut = content.len() < body && content.len() < MAX_KEY.saturating_add(2);
        if is_cut && (after.is_empty() || SEPARATOR.starts_with(after)) {
            cursor.skip(content.len().saturating_add(1))?;
        }
        if !(1..=MAX_VERSION).contains(&version) || (body > 0 && !is_field) {
            return Err(Reject::Other);
        }
        Ok(Self { version, body })
    }
}

fn probe(opening: &Opening<'_>) -> Probe {
    opening.either(|bytes| match Header::parse(bytes) {
        Ok(_) => Probe::Yes,
        Err(Reject::Short(_)) if bytes.iter().zip(MAGIC).all(|(is, want)| is == want) => {
            Probe::More
        }
        Err(_) => Probe::No,
    })
}

struct Connection;

impl StreamDecoder for Connection {
    fn data(&mut self, _: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        match Header::parse(bytes) {
            Ok(header) => {
                notes.proved();
                notes.number(VERSION, u64::from(header.version));
                Step::Skip {
                    consumed: HEADER,
                    bytes: header.body as u64,
                }
            }
            Err(reject) => reject.into_step(0, bytes.len()),
        }
    }

    fn resume(&mut self, _: Side, bytes: &[u8]) -> Option<usize> {
        Header::parse(bytes).is_ok().then_some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, conversation, midstream, only_registered_attributes, protocols,
        survives_every_cut, values,
    };
    use super::*;

    const PING: &[u8] = b"YMSG\x00\x10\x00\x00\x00\x09\x00\x8a\x00\x00\x00\x00\x00\x40\x37\xb70\xc0\x80anna\xc0\x80";

    #[test]
    fn header_and_first_field_prove_it() {
        for play in [conversation, midstream] {
            let recorder = play(&[(CLIENT, PING), (SERVER, PING)]);
            assert_eq!(protocols(&recorder), ["ymsg"]);
            assert_eq!(values(&recorder, "ymsg", "version"), ["16", "16"]);
            only_registered_attributes(&recorder, &[&YMSG]);
        }
        survives_every_cut(&[(CLIENT, PING), (SERVER, PING)]);
    }

    #[test]
    fn other_messages_are_not_ymsg() {
        let mut other = PING.to_vec();
        other[21] = b'x';
        for bytes in [&other[..], b"YMSG hello, how are you today?"] {
            assert!(protocols(&conversation(&[(CLIENT, bytes)])).is_empty());
        }
    }
}
