//! TACACS+ (RFC 8907): that administrators log on to devices, and whether the session is obfuscated.
//!
//! Reads the header of each packet; bodies are never looked at, obfuscated or not. Proof is a version, type, flags and length
//! that fit, at the first packet of a session or in one that ends where the capture of its side does.

use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;

/// `authentication`, `authorization` or `accounting`.
const MESSAGE: &str = "message";
/// `obfuscated` or `none`, which the sender should not do.
const PROTECTION: &str = "protection";

/// Administration of devices.
pub(super) const TACACS_PLUS: Protocol = Protocol {
    name: "tacacs_plus",
    about: About {
        title: "TACACS+",
        sources: "RFC 8907 section 4",
        reads: "Types of packets, and whether their bodies are obfuscated.",
        proves: "A header whose fields fit, at the first packet of a session or filling what its side sent.",
        limits: "Users, commands and passwords are not looked at.",
    },
    attributes: &[MESSAGE, PROTECTION],
    stream: Some(StreamEntry {
        first_byte: |byte| matches!(byte, 0xc0 | 0xc1),
        probe,
        start: || Box::new(Packets),
    }),
    datagram: None,
};

const HEADER: usize = 12;
/// RFC 8907 section 4.4 lets a server refuse longer bodies than this.
const MAX_BODY: u32 = 65_535;
/// The shortest body is that of a reply, section 5.2.
const MIN_BODY: u32 = 5;
/// The body is not obfuscated.
const UNENCRYPTED: u8 = 1;
/// One connection for several sessions.
const SINGLE_CONNECT: u8 = 4;

struct Header {
    kind: &'static str,
    sequence: u8,
    flags: u8,
    length: u32,
}

impl Header {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Reject> {
        let version = cursor.u8()?;
        let kind = match cursor.u8()? {
            1 => "authentication",
            2 => "authorization",
            3 => "accounting",
            _ => return Err(Reject::Other),
        };
        let (sequence, flags) = (cursor.u8()?, cursor.u8()?);
        let _session = cursor.u32()?;
        let length = cursor.u32()?;
        let fits = matches!(version, 0xc0 | 0xc1)
            && sequence != 0
            && flags & !(UNENCRYPTED | SINGLE_CONNECT) == 0
            && (MIN_BODY..=MAX_BODY).contains(&length);
        if !fits {
            return Err(Reject::Other);
        }
        Ok(Self {
            kind,
            sequence,
            flags,
            length,
        })
    }
}

fn probe(opening: &Opening<'_>) -> Probe {
    opening.agreed(|bytes| match Header::parse(&mut Cursor::new(bytes)) {
        Ok(header) => {
            let end = HEADER.saturating_add(usize::try_from(header.length).unwrap_or(usize::MAX));
            if header.sequence <= 2 && !opening.midstream || end == bytes.len() {
                Probe::Yes
            } else {
                Probe::More
            }
        }
        read => Probe::of(read),
    })
}

/// All packets of one connection.
struct Packets;

impl StreamDecoder for Packets {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        match Header::parse(&mut Cursor::new(bytes)) {
            Ok(header) => {
                notes.proved();
                // Clients send odd numbers.
                let is_client = header.sequence & 1 == 1;
                notes.client(if is_client { side } else { side.other() });
                notes.text(MESSAGE, header.kind);
                let is_clear = header.flags & UNENCRYPTED != 0;
                notes.text(PROTECTION, if is_clear { "none" } else { "obfuscated" });
                Step::Skip {
                    consumed: HEADER,
                    bytes: u64::from(header.length),
                }
            }
            Err(reject) => reject.into_step(0, bytes.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT as C, SERVER as S, conversation, midstream, only_registered_attributes, protocols,
        survives_every_cut, values,
    };
    use super::*;

    fn packet(kind: u8, sequence: u8, flags: u8) -> Vec<u8> {
        [
            &[0xc0, kind, sequence, flags, 9, 8, 7, 6, 0, 0, 0, 6][..],
            b"secret",
        ]
        .concat()
    }

    #[test]
    fn types_and_protection_are_read_and_bodies_are_not() {
        let (asked, answered) = (packet(1, 1, 0), packet(1, 2, 1));
        let segments = [(C, &asked[..]), (S, &answered[..])];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["tacacs_plus"]);
        assert_eq!(recorder.client, Some(C));
        let messages = values(&recorder, "tacacs_plus", "message");
        assert_eq!(messages, ["authentication", "authentication"]);
        assert_eq!(
            values(&recorder, "tacacs_plus", "protection"),
            ["none", "obfuscated"]
        );
        assert!(!format!("{:?}", recorder.facts).contains("secret"));
        only_registered_attributes(&recorder, &[&TACACS_PLUS]);
        survives_every_cut(&segments);
    }

    #[test]
    fn in_the_middle_a_packet_must_be_whole() {
        let whole = packet(3, 7, 0);
        assert_eq!(protocols(&midstream(&[(C, &whole)])), ["tacacs_plus"]);
        assert!(protocols(&midstream(&[(C, &whole[..16])])).is_empty());
    }

    #[test]
    fn other_versions_types_flags_and_lengths_are_refused() {
        for (at, value) in [(0, 0xc2), (1, 4), (2, 0), (3, 2), (9, 1), (11, 4)] {
            let mut other = packet(1, 1, 0);
            other[at] = value;
            assert!(protocols(&conversation(&[(C, &other)])).is_empty());
        }
    }
}
