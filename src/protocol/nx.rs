//! NX: the lines in which a client and a server of NoMachine name themselves; what follows, TLS in current versions, is for
//! the probes.
//!
//! Proves: a first line that is a known name and a version of numbers. Nothing after the lines is read.

use memchr::memchr;

use super::{About, Next, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::evidence::Notes;
use crate::net::{PerSide, Side};

/// The NX protocol of NoMachine.
pub(super) const NX: Protocol = Protocol {
    name: "nx",
    about: About {
        title: "NX (NoMachine)",
        sources: "Unpublished; the lines that clients and servers send, as observed",
        reads: "The line in which each side names itself.",
        proves: "A first line of a known name and a version.",
        limits: "What follows is for other decoders; sessions through SSH are not visible.",
    },
    attributes: &[SOFTWARE],
    stream: Some(StreamEntry {
        first_byte: |byte| byte == b'N',
        probe,
        start: || Box::new(Nx::default()),
    }),
    datagram: None,
};

/// What a side calls itself: name and version.
const SOFTWARE: &str = "software";

/// How the line of a client or server begins.
const NAMES: [&[u8]; 2] = [b"NXSH-", b"NXD-"];
/// Longest line, with its end.
const MAX_LINE: usize = 32;

fn probe(opening: &Opening<'_>) -> Probe {
    opening.either(|bytes| match line(bytes) {
        Ok(Some(_)) => Probe::Yes,
        Ok(None) => Probe::More,
        Err(_) => Probe::No,
    })
}

/// The line at the start of `bytes`, without its end; `None` where it is not whole.
fn line(bytes: &[u8]) -> Result<Option<&[u8]>, Reject> {
    let end = memchr(b'\n', bytes);
    let line = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
    let version = NAMES.iter().find_map(|name| line.strip_prefix(*name));
    let is_begun = NAMES.iter().any(|name| name.starts_with(line));
    let is_version = version.is_some_and(|version| {
        let numbers = version.split(|byte| *byte == b'.');
        version.first().is_none_or(u8::is_ascii_digit)
            && numbers.clone().count() <= 4
            && numbers.flatten().all(u8::is_ascii_digit)
    });
    match (end, version) {
        (None, _) if (is_begun || is_version) && line.len() < MAX_LINE => Ok(None),
        (Some(_), Some([_, ..])) if is_version && line.len() < MAX_LINE => Ok(Some(line)),
        _ => Err(Reject::Other),
    }
}

/// One connection.
#[derive(Default)]
struct Nx {
    read: PerSide<bool>,
}

impl StreamDecoder for Nx {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let next = Next::Probe;
        if self.read[side] {
            // The other side's line was not captured.
            return Step::Handover { consumed: 0, next };
        }
        let line = match line(bytes) {
            Ok(Some(line)) => line,
            Ok(None) => {
                return Step::NeedMore {
                    consumed: 0,
                    at_least: bytes.len().saturating_add(1),
                };
            }
            Err(reject) => return Step::Reject(reject),
        };
        notes.proved();
        notes.bytes(SOFTWARE, line);
        let is_client = line.starts_with(NAMES[0]);
        notes.client(if is_client { side } else { side.other() });
        self.read[side] = true;
        let consumed = line.len().saturating_add(1);
        if self.read[side.other()] {
            return Step::Handover { consumed, next };
        }
        // A client may go on at once; what it sends then belongs behind the server's line.
        if bytes.len() > consumed {
            return Step::NeedMore {
                consumed,
                at_least: bytes.len().saturating_sub(consumed).saturating_add(1),
            };
        }
        Step::Consumed
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, conversation, only_registered_attributes, protocols, survives_every_cut,
        values,
    };
    use super::*;

    const HELLO: &[u8] = b"\x16\x03\x01\x00\x30\x01\x00\x00\x2c\x03\x03\
        01234567890123456789012345678901\x00\x00\x02\xc0\x2f\x01\x00\x00\x01";

    #[test]
    fn both_lines_are_read_and_tls_follows() {
        let segments = [
            (CLIENT, &b"NXSH-8.10.1\n"[..]),
            (SERVER, b"NXD-8.10.1\n"),
            (CLIENT, HELLO),
        ];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["nx", "tls"]);
        assert_eq!(
            values(&recorder, "nx", "software"),
            ["NXD-8.10.1", "NXSH-8.10.1"]
        );
        assert_eq!(recorder.client, Some(CLIENT));
        only_registered_attributes(&recorder, &[&NX]);
        survives_every_cut(&segments[..2]);
    }

    #[test]
    fn one_direction_alone_is_read() {
        let recorder = conversation(&[(CLIENT, b"NXSH-8.10.1\n"), (CLIENT, HELLO)]);
        assert_eq!(protocols(&recorder), ["nx", "tls"]);
    }

    #[test]
    fn other_lines_are_refused() {
        for other in [
            &b"NXSH-\n"[..],
            b"NXSH-8.x\n",
            b"NXP-8.1\n",
            b"NICK alice\r\n",
            b"NXSH-1.2.3.4.5\n",
            b"NXSH-11111111111111111111111111111111\n",
        ] {
            assert!(protocols(&conversation(&[(CLIENT, other)])).is_empty());
        }
    }
}
