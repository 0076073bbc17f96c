//! SSH (RFC 4253): the identification lines with which both sides begin, and the list of algorithms after them.
//!
//! Proves: a line of at most 255 bytes that begins with `SSH-2.0-`, `SSH-1.99-`, `SSH-1.5-` or `SSH-1.3-` and names a
//! software (section 4.2), or a whole `SSH_MSG_KEXINIT` (section 7.1), which shows a connection whose identification is not in
//! the capture. Lines that a server may send before its identification are passed over. Nothing after it is read.

use memchr::memchr;

use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry, text};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::{PerSide, Side};

/// The Secure Shell protocol.
pub(super) const SSH: Protocol = Protocol {
    name: "ssh",
    about: About {
        title: "Secure Shell",
        sources: "RFC 4253 4.2, 5.1, 6, 7.1",
        reads: "The software that each side names in its identification line.",
        proves: "A line that begins with `SSH-2.0-`, `SSH-1.99-`, `SSH-1.5-` or `SSH-1.3-`, or a packet with lists of algorithms.",
        limits: "Algorithms are recognised, not noted; nothing after them is read; a connection of which only encrypted packets were captured is not recognised.",
    },
    attributes: &[SOFTWARE],
    stream: Some(StreamEntry {
        // An identification, or the length of a packet, which is far below 65,536.
        first_byte: |byte| matches!(byte, b'S' | 0),
        probe,
        start: || Box::new(Ssh::default()),
    }),
    datagram: None,
};

/// What a side calls itself: software version and comments.
const SOFTWARE: &str = "software";

/// Protocol versions in use: 2.0, 2.0 by a server that also speaks version 1 (RFC 4253 section 5.1), and version 1 itself.
const VERSIONS: [&[u8]; 4] = [b"SSH-2.0-", b"SSH-1.99-", b"SSH-1.5-", b"SSH-1.3-"];
/// Longest line, with its end.
const MAX_LINE: usize = 255;
/// Lines that a server may send before its identification: a notice of some screens.
const MAX_LINES_BEFORE: u16 = 128;

fn probe(opening: &Opening<'_>) -> Probe {
    opening.either(look)
}

/// Whether one side begins with an identification line or lists of algorithms.
fn look(bytes: &[u8]) -> Probe {
    if bytes.first() == Some(&0) {
        return algorithms(bytes);
    }
    let is_begun = |version: &&[u8]| version.starts_with(bytes);
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

/// `SSH_MSG_KEXINIT`, RFC 4253 section 12.
const KEXINIT: u8 = 20;
/// Largest packet that an implementation must take, RFC 4253 section 6.1.
const MAX_PACKET: u32 = 35_000;
/// Lists in it: key exchange, host keys, and cipher, code, compression and language for either direction.
const LISTS: usize = 10;
/// Lists that a packet must show where the rest of it is not there: no side may leave the first two empty.
const LEAST_LISTS: usize = 2;

/// Whether a packet with lists of algorithms begins here (RFC 4253 sections 6 and 7.1).
fn algorithms(bytes: &[u8]) -> Probe {
    let mut cursor = Cursor::new(bytes);
    let mut lists = 0;
    let mut walk = || -> Result<bool, Reject> {
        let (length, padding) = (cursor.u32()?, cursor.u8()?);
        let is_padded = padding >= 4 && length.wrapping_add(4) % 8 == 0;
        if length > MAX_PACKET || !is_padded || cursor.u8()? != KEXINIT {
            return Ok(false);
        }
        cursor.skip(16)?;
        while lists < LISTS {
            let list = cursor.u32()?;
            let is_empty = list == 0;
            if list > length || (is_empty && lists < LEAST_LISTS) {
                return Ok(false);
            }
            let names = cursor.take(usize::try_from(list).unwrap_or(usize::MAX))?;
            let is_name = |name: &[u8]| !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
            if !is_empty && !names.split(|&byte| byte == b',').all(is_name) {
                return Ok(false);
            }
            lists = lists.saturating_add(1);
        }
        let (follows, reserved) = (cursor.u8()?, cursor.u32()?);
        let end = usize::try_from(length).ok().and_then(|length| {
            let packet = length.checked_add(4)?;
            packet.checked_sub(usize::from(padding))
        });
        Ok(follows <= 1 && reserved == 0 && end == Some(cursor.offset()))
    };
    match walk() {
        Ok(true) => Probe::Yes,
        Ok(false) => Probe::No,
        Err(_) if lists >= LEAST_LISTS => Probe::Yes,
        Err(_) => Probe::More,
    }
}

/// One connection: which sides identified themselves.
#[derive(Default)]
struct Ssh {
    seen: PerSide<bool>,
    /// Lines before an identification.
    before: u16,
}

impl StreamDecoder for Ssh {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let mut used: usize = 0;
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            if rest.is_empty() {
                return Step::Consumed;
            }
            if rest.first() == Some(&0) {
                match algorithms(rest) {
                    Probe::Yes => {
                        notes.proved();
                        return Step::Done;
                    }
                    Probe::More => return need(used, rest.len()),
                    Probe::No => return Step::Reject(Reject::Other),
                }
            }
            let Some(end) = memchr(b'\n', rest) else {
                // A capture may end in the line: what is there proves the protocol, and says no name yet.
                return match look(rest) {
                    Probe::No if rest.len() >= MAX_LINE || !text::is_plain(text::trimmed(rest)) => {
                        Step::Reject(Reject::Other)
                    }
                    sure => {
                        if sure == Probe::Yes {
                            notes.proved();
                        }
                        need(used, rest.len())
                    }
                };
            };
            let line = rest.get(..end).unwrap_or_default();
            used = used.saturating_add(end).saturating_add(1);
            if let Some(name) = software(line).filter(|_| line.len() < MAX_LINE) {
                notes.proved();
                notes.bytes(SOFTWARE, name);
                break;
            }
            let is_notice = text::is_plain(text::trimmed(line)) && !line.starts_with(b"SSH-");
            self.before = self.before.saturating_add(1);
            if !is_notice || self.before > MAX_LINES_BEFORE {
                return Step::Reject(Reject::Other);
            }
        }
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

fn need(consumed: usize, there: usize) -> Step {
    Step::NeedMore {
        consumed,
        at_least: there.saturating_add(1),
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
    fn version_1_is_ssh_as_well() {
        let recorder = conversation(&[(SERVER, b"SSH-1.5-1.2.26\n"), (CLIENT, b"SSH-1.5-x\n")]);
        assert_eq!(protocols(&recorder), ["ssh"]);
        assert_eq!(values(&recorder, "ssh", "software"), ["1.2.26", "x"]);
    }

    #[test]
    fn lines_before_the_identification_are_passed_over() {
        let segments = [
            (
                SERVER,
                &b"Authorized use only.\r\n\r\nSSH-2.0-Gate_1\r\n"[..],
            ),
            (CLIENT, b"SSH-2.0-PuTTY\r\n"),
        ];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["ssh"]);
        assert_eq!(values(&recorder, "ssh", SOFTWARE), ["Gate_1", "PuTTY"]);
        survives_every_cut(&segments);
    }

    /// A packet with ten lists, its padding, and `reserved` as its last field.
    fn kexinit(reserved: u32) -> Vec<u8> {
        let mut payload = vec![KEXINIT];
        payload.extend([0x5a; 16]);
        let lists = [
            "curve25519-sha256,diffie-hellman-group14-sha1",
            "ssh-ed25519",
            "aes128-ctr",
        ];
        for list in lists
            .into_iter()
            .chain(["hmac-sha2-256", "none"])
            .chain([""; 5])
        {
            payload.extend((list.len() as u32).to_be_bytes());
            payload.extend(list.as_bytes());
        }
        payload.push(0);
        payload.extend(reserved.to_be_bytes());
        let padding = 4 + (8 - (payload.len() + 5 + 4) % 8) % 8;
        let mut packet = ((payload.len() + 1 + padding) as u32)
            .to_be_bytes()
            .to_vec();
        packet.push(padding as u8);
        packet.extend(payload);
        packet.extend(vec![0; padding]);
        packet
    }

    #[test]
    fn lists_of_algorithms_prove_it_where_the_identification_is_missing() {
        let packet = kexinit(0);
        for play in [conversation, midstream] {
            assert_eq!(protocols(&play(&[(SERVER, &packet)])), ["ssh"]);
            assert_eq!(
                protocols(&play(&[(SERVER, &packet[..100])])),
                ["ssh"],
                "cut"
            );
        }
        survives_every_cut(&[(SERVER, &packet)]);
    }

    #[test]
    fn packets_that_are_no_lists_are_not_ssh() {
        let mut empty_name = kexinit(0);
        empty_name[26] = b',';
        let mut other_message = kexinit(0);
        other_message[5] = 21;
        for packet in [
            kexinit(1),
            empty_name,
            other_message,
            kexinit(0)[..40].to_vec(),
        ] {
            assert!(protocols(&midstream(&[(SERVER, &packet)])).is_empty());
        }
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
