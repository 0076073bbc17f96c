//! MSNP (Microsoft Notification Protocol, the MSN Messenger service): versions, commands and the switch between servers.
//!
//! Written from draft-movva-msn-messenger-protocol and from what the protocol shows. Proves: a list of versions, or a command with
//! a transaction number and arguments of its own form. Names and messages are passed over.

use memchr::memchr;

use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry, text};
use crate::evidence::Notes;
use crate::net::Side;

/// A command of either side.
const COMMAND: &str = "command";
/// A version that is offered or chosen: `MSNP18` ...
const VERSION: &str = "version";

pub(super) const MSNP: Protocol = Protocol {
    name: "msnp",
    about: About {
        title: "Microsoft Notification Protocol (MSN Messenger)",
        sources: "draft-movva-msn-messenger-protocol-00",
        reads: "Versions and commands.",
        proves: "A list of versions, or a login or message in the form of the protocol.",
        limits: "Names and messages are not kept.",
    },
    attributes: &[COMMAND, VERSION],
    stream: Some(StreamEntry {
        first_byte: |byte| byte.is_ascii_uppercase(),
        probe,
        start: || Box::new(Connection { strange: 0 }),
    }),
    datagram: None,
};

/// Longest line that is waited for.
const MAX_LINE: usize = 4096;
/// Largest body of a message: 1664 bytes by the draft, and files of later versions.
const MAX_BODY: u64 = 64 * 1024;
/// Lines in a row that are no commands, before the stream is taken for something else.
const MAX_STRANGE: u8 = 8;
/// Commands whose last argument is the length of a body that follows.
const WITH_BODY: &[&[u8]] = &[
    b"MSG", b"UUX", b"UBX", b"ADL", b"RML", b"GCF", b"PAG", b"NOT", b"UUN", b"UBN", b"FQY",
];

/// Words of a line.
fn words(line: &[u8]) -> Vec<&[u8]> {
    line.split(|&byte| byte == b' ').take(16).collect()
}

/// Three capitals or digits.
fn is_command(word: &[u8]) -> bool {
    word.len() == 3
        && word
            .iter()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

fn is_number(word: &[u8]) -> bool {
    (1..=10).contains(&word.len()) && word.iter().all(u8::is_ascii_digit)
}

fn is_version(word: &[u8]) -> bool {
    word.strip_prefix(b"MSNP").is_some_and(is_number)
}

fn is_address(word: &[u8]) -> bool {
    let host = memchr(b'@', word).and_then(|at| word.get(at.saturating_add(1)..));
    host.is_some_and(|host| host.contains(&b'.'))
}

/// Whether no other protocol has this line.
fn is_proof(line: &[u8]) -> bool {
    match words(line).as_slice() {
        [b"VER", number, versions @ ..] => {
            is_number(number) && versions.iter().any(|word| is_version(word))
        }
        [b"CVR", number, locale, ..] => is_number(number) && locale.starts_with(b"0x"),
        [b"USR", number, how, ..] => {
            is_number(number)
                && (matches!(*how, b"TWN" | b"SSO" | b"MD5" | b"OK") || is_address(how))
        }
        [b"ANS" | b"CAL" | b"ADD", number, rest @ ..] => {
            is_number(number) && rest.iter().any(|word| is_address(word))
        }
        [b"XFR", number, b"SB" | b"NS", ..] => is_number(number),
        [b"JOI" | b"BYE", who, ..] => is_address(who),
        [b"MSG", number, b"U" | b"N" | b"A" | b"D", length] => {
            is_number(number) && is_number(length)
        }
        [b"MSG", who, _, length] => (is_address(who) || *who == b"Hotmail") && is_number(length),
        _ => false,
    }
}

fn probe(opening: &Opening<'_>) -> Probe {
    opening.either(look)
}

fn look(bytes: &[u8]) -> Probe {
    match text::first_line(bytes) {
        Some((line, _)) if text::is_plain(line) && is_proof(line) => Probe::Yes,
        Some(_) => Probe::No,
        None => {
            let first = text::split_word(bytes).0;
            let begins = [
                &b"VER"[..],
                b"CVR",
                b"USR",
                b"ANS",
                b"CAL",
                b"XFR",
                b"JOI",
                b"MSG",
            ];
            let common = first.len().min(3);
            let is_begun = common > 0
                && first.len() <= 3
                && begins
                    .iter()
                    .any(|command| command.get(..common) == first.get(..common));
            if is_begun && text::is_plain(text::trimmed(bytes)) {
                Probe::More
            } else {
                Probe::No
            }
        }
    }
}

struct Connection {
    strange: u8,
}

impl StreamDecoder for Connection {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let Some((line, length)) = text::first_line(bytes) else {
            return match bytes.len() {
                0..=MAX_LINE => Step::NeedMore {
                    consumed: 0,
                    at_least: bytes.len().saturating_add(1),
                },
                _ => Step::Reject(Reject::Invalid("line")),
            };
        };
        let words = words(line);
        let command = words.first().copied().unwrap_or_default();
        if !is_command(command) || !text::is_plain(line) {
            self.strange = self.strange.saturating_add(1);
            if self.strange >= MAX_STRANGE {
                return Step::Reject(Reject::Other);
            }
            return Step::Skip {
                consumed: length,
                bytes: 0,
            };
        }
        self.strange = 0;
        if is_proof(line) {
            notes.proved();
            // Only a client offers versions with the name of its own protocol of chat, and asks who may be called.
            if matches!(command, b"CVR" | b"CAL") && words.len() > 5 {
                notes.client(side);
            }
        }
        notes.bytes(COMMAND, command);
        for version in words
            .iter()
            .filter(|word| command == b"VER" && is_version(word))
        {
            notes.bytes(VERSION, version);
        }
        let body = words
            .last()
            .filter(|word| WITH_BODY.contains(&command) && words.len() > 1 && is_number(word))
            .and_then(|word| std::str::from_utf8(word).ok()?.parse::<u64>().ok())
            .filter(|length| *length <= MAX_BODY);
        Step::Skip {
            consumed: length,
            bytes: body.unwrap_or(0),
        }
    }

    fn resume(&mut self, _: Side, bytes: &[u8]) -> Option<usize> {
        (look(bytes) == Probe::Yes).then_some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, conversation, midstream, only_registered_attributes, protocols,
        survives_every_cut, values,
    };
    use super::*;

    #[test]
    fn versions_and_commands_are_read_and_messages_passed_over() {
        let segments: [(Side, &[u8]); 4] = [
            (CLIENT, b"VER 1 MSNP9 MSNP8 CVR0\r\n"),
            (SERVER, b"VER 1 MSNP8 CVR0\r\n"),
            (CLIENT, b"CVR 2 0x0409 winnt 5.1 i386 MSNMSGR 5.0 MSMSGS anna@contoso.example\r\n"),
            (SERVER, b"MSG bob@contoso.example Bob 13\r\nVER 1 secret\nMSG bob@contoso.example Bob 1\r\nx"),
        ];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["msnp"]);
        assert_eq!(
            values(&recorder, "msnp", "version"),
            ["MSNP8", "MSNP8", "MSNP9"]
        );
        assert_eq!(
            values(&recorder, "msnp", "command"),
            ["CVR", "MSG", "VER", "VER"]
        );
        assert_eq!(recorder.client, Some(CLIENT));
        only_registered_attributes(&recorder, &[&MSNP]);
        survives_every_cut(&segments);
    }

    #[test]
    fn a_line_of_the_middle_may_prove_it() {
        let lines: [&[u8]; 4] = [
            b"USR 93 anna@contoso.example 1835.2001.26\r\n",
            b"MSG 95 U 6\r\nsecret",
            b"JOI bob@contoso.example Bob 1616\r\n",
            b"XFR 5 SB 192.0.2.7:1863 CKI 17\r\n",
        ];
        for line in lines {
            assert_eq!(protocols(&midstream(&[(CLIENT, line)])), ["msnp"]);
        }
    }

    #[test]
    fn other_lines_are_not_msnp() {
        let lines: [&[u8]; 5] = [
            b"VER 1 HTTP/1.1\r\n",
            b"MSG hello world\r\n",
            b"GET / HTTP/1.0\r\n\r\n",
            b"USR anna\r\n",
            b"ADD 1\r\n",
        ];
        for line in lines {
            assert!(!protocols(&conversation(&[(CLIENT, line)])).contains(&"msnp"));
        }
    }
}
