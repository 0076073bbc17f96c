//! WhatsApp's chat connection: that a telephone is connected, and nothing else.
//!
//! There is no public description; the opening is as commonly understood. Proof is a client's opening: two letters, a version and
//! a first frame of the old or the new handshake.

use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;

/// Version of the handshake.
const VERSION: &str = "version";

/// Chat.
pub(super) const WHATSAPP: Protocol = Protocol {
    name: "whatsapp",
    about: About {
        title: "WhatsApp chat",
        sources: "No public specification; the opening as commonly understood, Noise Protocol Framework",
        reads: "The version of the handshake.",
        proves: "A client's opening: two letters, a version, and a first frame of the old or the new handshake.",
        limits: "All that follows is sealed; calls are not known.",
    },
    attributes: &[VERSION],
    stream: Some(StreamEntry {
        first_byte: |byte| byte == b'W',
        probe,
        start: || Box::new(Connection),
    }),
    datagram: None,
};

const OPENING: &[u8; 2] = b"WA";
/// A list in the binary form of XML that the old handshake begins with.
const LIST: u8 = 0xf8;
/// The hello of the new one: a message in a message, with a key of thirty-two octets.
const HELLO: u8 = 0x12;
/// The field that holds it.
const KEY: [u8; 2] = [0x0a, 0x20];
/// Longest first frame.
const MAX_FRAME: usize = 1024;

/// Versions of the handshake and of its words.
fn opening(cursor: &mut Cursor<'_>) -> Result<(u8, u8), Reject> {
    if cursor.array()? != OPENING {
        return Err(Reject::Other);
    }
    let (major, minor) = (cursor.u8()?, cursor.u8()?);
    if !(1..=9).contains(&major) || minor > 9 {
        return Err(Reject::Invalid("version"));
    }
    let high = cursor.u8()?;
    let length = usize::from(cursor.u16()?);
    if high != 0 || !(1..=MAX_FRAME).contains(&length) {
        return Err(Reject::Invalid("length"));
    }
    let first = cursor.array::<4>()?;
    let is_frame = match first {
        [LIST, count, ..] => (1..=16).contains(count),
        [HELLO, size, rest @ ..] => usize::from(*size).saturating_add(2) <= length && *rest == KEY,
        _ => false,
    };
    if !is_frame {
        return Err(Reject::Invalid("first frame"));
    }
    Ok((major, minor))
}

fn probe(bytes: &Opening<'_>) -> Probe {
    bytes.either(|bytes| Probe::of(opening(&mut Cursor::new(bytes))))
}

struct Connection;

impl StreamDecoder for Connection {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        match opening(&mut Cursor::new(bytes)) {
            Ok((major, minor)) => {
                notes.proved();
                notes.client(side);
                notes.text(VERSION, &format!("{major}.{minor}"));
                Step::Done
            }
            // The server may come first in a capture; only the client's opening tells.
            Err(Reject::Other) => Step::Consumed,
            Err(reject) => reject.into_step(0, bytes.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT as C, SERVER as S, conversation, only_registered_attributes, protocols,
        survives_every_cut, values,
    };
    use super::*;

    #[test]
    fn both_handshakes_are_known() {
        let key = [&b"WA\x06\x03\0\0\x24\x12\x22\x0a\x20"[..], &[7; 32]].concat();
        let list = b"WA\x01\x05\0\0\x17\xf8\x05\x01\xa5\x91\x89";
        for (bytes, version) in [(&key[..], "6.3"), (list, "1.5")] {
            let segments = [(C, bytes), (S, &[0, 0, 5, 1, 2, 3, 4, 5][..])];
            let recorder = conversation(&segments);
            assert_eq!(protocols(&recorder), ["whatsapp"]);
            assert_eq!(recorder.client, Some(C));
            assert_eq!(values(&recorder, "whatsapp", "version"), [version]);
            only_registered_attributes(&recorder, &[&WHATSAPP]);
            survives_every_cut(&segments);
        }
    }

    #[test]
    fn other_openings_are_refused() {
        for other in [
            &b"WA\x0a\x05\0\0\x17\xf8\x05\x01\xa5"[..],
            b"WA\x01\x05\x01\0\x17\xf8\x05\x01\xa5",
            b"WA\x01\x05\0\x17\x17\xf8\x05\x01\xa5",
            b"WA\x01\x05\0\0\x17\xf8\x20\x01\xa5",
            b"WA\x06\x03\0\0\x24\x12\x22\x0a\x21",
            b"WATCH inbox\r\n",
        ] {
            assert!(protocols(&conversation(&[(C, other)])).is_empty());
        }
    }
}
