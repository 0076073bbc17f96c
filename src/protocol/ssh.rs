//! SSH (RFC 4253 section 4.2): the identification lines with which both sides begin.
//!
//! Proves: a line of at most 255 bytes that begins with `SSH-2.0-` or `SSH-1.99-` and names a software, first in its
//! direction. Lines that a server may send before it are not read, nor anything after it.

use memchr::memchr;

use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::evidence::Notes;
use crate::net::{PerSide, Side};

/// The Secure Shell protocol.
pub(super) const SSH: Protocol = Protocol {
    name: "ssh",
    about: About {
        title: "Secure Shell",
        sources: "RFC 4253 4.2, 7.1",
        reads: "The identification lines.",
        proves: "A line that begins with `SSH-2.0-`, `SSH-1.99-` or `SSH-1.5-`.",
        limits: "Nothing after the identification is read.",
    },
    attributes: &[SOFTWARE],
    stream: Some(StreamEntry {
        first_byte: |byte| byte == b'S',
        probe,
        start: || Box::new(Ssh::default()),
    }),
    datagram: None,
};

/// What a side calls itself: software version and comments.
const SOFTWARE: &str = "software";

/// Protocol versions in use: 2.0, and 2.0 by a server that also speaks version 1 (RFC 4253 section 5.1).
const VERSIONS: [&[u8]; 2] = [b"SSH-2.0-", b"SSH-1.99-"];
/// Longest line, with its end.
const MAX_LINE: usize = 255;

fn probe(opening: &Opening<'_>) -> Probe {
    let sides = [opening.spoken(), opening.reply()].map(look);
    if sides.contains(&Probe::Yes) {
        Probe::Yes
    } else if sides.contains(&Probe::More) {
        Probe::More
    } else {
        Probe::No
    }
}

/// Whether one side begins with an identification line.
fn look(bytes: &[u8]) -> Probe {
    let is_begun = |version: &&[u8]| !bytes.is_empty() && version.starts_with(bytes);
    if VERSIONS.iter().any(is_begun) {
        return Probe::More;
    }
    let end = memchr(b'\n', bytes);
    let line = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
    match software(line) {
        Some(_) if line.len() < MAX_LINE => Probe::Yes,
        _ => Probe::No,
    }
}

/// Software and comments of an identification line without its line feed.
fn software(line: &[u8]) -> Option<&[u8]> {
    let named = VERSIONS
        .iter()
        .find_map(|version| line.strip_prefix(*version))?;
    let named = named.strip_suffix(b"\r").unwrap_or(named);
    let is_text = named.iter().all(|byte| (0x20..0x7f).contains(byte));
    (is_text && named.first().is_some_and(u8::is_ascii_graphic)).then_some(named)
}

/// One connection: which sides identified themselves.
#[derive(Default)]
struct Ssh {
    seen: PerSide<bool>,
}

impl StreamDecoder for Ssh {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let Some(end) = memchr(b'\n', bytes) else {
            // A capture may end in the line: what is there proves the protocol, and says no name yet.
            return match look(bytes) {
                Probe::No => Step::Reject(Reject::Other),
                sure => {
                    if sure == Probe::Yes {
                        notes.proved();
                    }
                    Step::NeedMore {
                        consumed: 0,
                        at_least: bytes.len().saturating_add(1),
                    }
                }
            };
        };
        let line = bytes.get(..end).unwrap_or_default();
        let Some(name) = software(line).filter(|_| line.len() < MAX_LINE) else {
            return Step::Reject(Reject::Other);
        };
        notes.proved();
        notes.bytes(SOFTWARE, name);
        self.seen[side] = true;
        if self.seen[side.other()] {
            return Step::Done;
        }
        // The other side may still identify itself; of this one nothing more can be read.
        Step::Skip {
            consumed: bytes.len(),
            bytes: u64::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, conversation, midstream, only_registered_attributes, protocols,
        survives_every_cut, values,
    };
    use super::*;

    const SERVER_LINE: &[u8] = b"SSH-2.0-OpenSSH_8.9p1 Ubuntu-3\r\n";

    #[test]
    fn both_identification_lines_are_read() {
        let segments = [
            (SERVER, SERVER_LINE),
            (CLIENT, &b"SSH-1.99-PuTTY\r\n\x00\x00\x05"[..]),
            (SERVER, b"\x00\x00\x04"),
        ];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["ssh"]);
        assert_eq!(
            values(&recorder, "ssh", SOFTWARE),
            ["OpenSSH_8.9p1 Ubuntu-3", "PuTTY"]
        );
        only_registered_attributes(&recorder, &[&SSH]);
        survives_every_cut(&segments);
    }

    #[test]
    fn the_line_of_one_side_proves_it() {
        for play in [conversation, midstream] {
            let recorder = play(&[(CLIENT, SERVER_LINE), (CLIENT, b"key exchange")]);
            assert_eq!(protocols(&recorder), ["ssh"]);
        }
    }

    #[test]
    fn a_line_that_the_capture_cuts_proves_it_but_names_nothing() {
        let recorder = conversation(&[(SERVER, b"SSH-2.0-Open")]);
        assert_eq!(protocols(&recorder), ["ssh"]);
        assert!(values(&recorder, "ssh", SOFTWARE).is_empty());
    }

    #[test]
    fn other_lines_are_not_ssh() {
        let long = [SERVER_LINE, &[b'x'; 300], b"\r\n"].concat();
        let no_name = b"SSH-2.0-\r\n";
        let binary = b"SSH-2.0-\x00\x01\r\n";
        let other = b"SSH-3.0-Open\r\n";
        let too_long = [b"SSH-2.0-", &long[..8], &[b'x'; 300][..], b"\r\n"].concat();
        for opening in [&no_name[..], binary, other, &too_long, b"220 SSH-2.0-x\r\n"] {
            let recorder = conversation(&[(SERVER, opening)]);
            assert!(
                protocols(&recorder).is_empty(),
                "{}",
                opening.escape_ascii()
            );
        }
    }
}
