//! rsync daemon (samba.org, rsyncd): the version that both ends speak, and which module a client wants.
//!
//! Reads the greetings and the lines behind them; files are never looked at. Proof is a greeting of a known version.

use super::lines::{LineReader, Lines};
use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry, text};
use crate::evidence::Notes;
use crate::net::{PerSide, Side};

/// Version of the protocol.
const VERSION: &str = "version";
/// Module that the client wants.
const MODULE: &str = "module";
/// `ok` where the server lets the client in at once, `challenge` where it wants a password.
const AUTH_RESULT: &str = "auth_result";

/// Files.
pub(super) const RSYNC: Protocol = Protocol {
    name: "rsync",
    about: About {
        title: "rsync daemon",
        sources: "rsync source, clientserver.c; rsyncd.conf(5)",
        reads: "Versions, the module that is wanted, and whether a password is.",
        proves: "A greeting of a known version.",
        limits: "Files and their names are not looked at; rsync over SSH is SSH.",
    },
    attributes: &[VERSION, MODULE, AUTH_RESULT],
    stream: Some(StreamEntry {
        first_byte: |byte| byte == b'@',
        probe,
        start: || Box::<Connection>::default(),
    }),
    datagram: None,
};

const GREETING: &[u8] = b"@RSYNCD: ";
/// Longest line that is waited for: a greeting with all its digests is shorter.
const MAX_LINE: usize = 512;

/// The version in a greeting.
fn version(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(GREETING)?;
    let version = rest.split(|byte| *byte == b' ').next()?;
    let is_number = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
    let is_version = version.first().is_some_and(u8::is_ascii_digit)
        && version.len() <= 8
        && version.iter().all(is_number);
    is_version.then_some(version)
}

fn probe(opening: &Opening<'_>) -> Probe {
    opening.either(|bytes| match text::first_line(bytes) {
        Some((line, _)) if version(line).is_some() => Probe::Yes,
        None if bytes.len() <= MAX_LINE && starts(bytes) => Probe::More,
        _ => Probe::No,
    })
}

/// Whether a greeting may become of what is there.
fn starts(bytes: &[u8]) -> bool {
    bytes.starts_with(GREETING) || GREETING.starts_with(bytes)
}

/// One connection.
#[derive(Default)]
struct Connection {
    lines: Lines,
    greeted: PerSide<bool>,
    is_over: bool,
}

impl LineReader for Connection {
    fn lines(&mut self) -> &mut Lines {
        &mut self.lines
    }

    fn longest(&self, _side: Side) -> usize {
        MAX_LINE
    }

    fn line(&mut self, side: Side, line: &[u8], notes: &mut Notes<'_>) -> Result<(), Reject> {
        if let Some(version) = version(line) {
            self.greeted[side] = true;
            notes.proved();
            notes.bytes(VERSION, version);
        } else if let Some(word) = line.strip_prefix(GREETING) {
            // Only a server says more than its version.
            notes.client(side.other());
            match word {
                b"OK" => notes.text(AUTH_RESULT, "ok"),
                _ if word.starts_with(b"AUTHREQD ") => notes.text(AUTH_RESULT, "challenge"),
                _ => {}
            }
            self.is_over = true;
        } else if self.greeted[side] && self.greeted[side.other()] && line.is_ascii() {
            // What comes next is the server's message of the day, or a logon.
            notes.bytes(MODULE, line);
            notes.client(side);
            self.greeted = PerSide::default();
        }
        Ok(())
    }
}

impl StreamDecoder for Connection {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let step = self.read(side, bytes, notes);
        if self.is_over { Step::Done } else { step }
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
    fn version_module_and_challenge_are_read_and_no_password() {
        for (word, result) in [
            (&b"@RSYNCD: OK\n"[..], "ok"),
            (b"@RSYNCD: AUTHREQD abc\n", "challenge"),
        ] {
            let segments = [
                (S, &b"@RSYNCD: 31.0 sha512 md5\n"[..]),
                (C, b"@RSYNCD: 30.0\n"),
                (C, b"backup\n"),
                (S, b"Welcome\n"),
                (S, word),
                (C, b"joe secret\n"),
            ];
            let recorder = conversation(&segments);
            assert_eq!(protocols(&recorder), ["rsync"]);
            assert_eq!(recorder.client, Some(C));
            assert_eq!(values(&recorder, "rsync", "version"), ["30.0", "31.0"]);
            assert_eq!(values(&recorder, "rsync", "module"), ["backup"]);
            assert_eq!(values(&recorder, "rsync", "auth_result"), [result]);
            assert!(!format!("{:?}", recorder.facts).contains("secret"));
            only_registered_attributes(&recorder, &[&RSYNC]);
            survives_every_cut(&segments);
        }
    }

    #[test]
    fn other_greetings_are_refused() {
        for other in [
            &b"@RSYNCD: x\n"[..],
            b"@RSYNCD 31.0\n",
            b"@RSYNCD: 123456789\n",
        ] {
            assert!(protocols(&conversation(&[(S, other)])).is_empty());
        }
    }
}
