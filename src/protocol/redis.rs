//! Redis (RESP, the Redis serialization protocol, versions 2 and 3): commands, errors and the server's version.
//!
//! Proves: a request in the form of an array whose first string is a word, or lines of known commands that are answered in the
//! form of RESP. Keys, values and passwords are passed over.

use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry, text};
use crate::evidence::Notes;
use crate::net::{PerSide, Side};

/// A command that the client sent, upper case.
const COMMAND: &str = "command";
/// The first word of an error: `NOAUTH`, `WRONGPASS`, `ERR` ...
const ERROR: &str = "error";
/// The server's version, where INFO or HELLO says it.
const VERSION: &str = "version";

pub(super) const REDIS: Protocol = Protocol {
    name: "redis",
    about: About {
        title: "Redis serialization protocol",
        sources: "The Redis documentation, \"Redis serialization protocol specification\"",
        reads: "Commands without arguments, the kind of errors, and the server's version.",
        proves: "A request as an array of strings, or known commands in lines with answers of the protocol.",
        limits: "Keys, values and passwords are not kept.",
    },
    attributes: &[COMMAND, ERROR, VERSION],
    stream: Some(StreamEntry {
        first_byte: |byte| byte == b'*' || byte.is_ascii_alphabetic(),
        probe,
        start: || Box::<Connection>::default(),
    }),
    datagram: None,
};

/// Longest header or simple line that is waited for.
const MAX_LINE: usize = 4096;
/// Largest string that is read: answers to INFO. Longer ones are passed over.
const MAX_READ: u64 = 8192;
/// Largest string and array that a server takes (proto-max-bulk-len, and the bound of its parser).
const MAX_STRING: u64 = 512 * 1024 * 1024;
const MAX_ITEMS: u64 = 1024 * 1024;
/// Lines in a row that are nothing known.
const MAX_STRANGE: u8 = 4;

/// Commands that are sent in lines by hand, by scripts and by scanners. POP3 has the first two as well.
const IN_LINES: &[&str] = &[
    "AUTH",
    "QUIT",
    "CLIENT",
    "CONFIG",
    "DBSIZE",
    "DEL",
    "ECHO",
    "EXISTS",
    "FLUSHALL",
    "FLUSHDB",
    "GET",
    "HELLO",
    "INFO",
    "KEYS",
    "PING",
    "SAVE",
    "SELECT",
    "SET",
    "SLAVEOF",
    "SUBSCRIBE",
];

/// The number in a header such as `*3` or `$-1`; `None` inside for the null of version 2.
fn number(line: &[u8], most: u64) -> Option<Option<u64>> {
    let digits = line.get(1..)?;
    if digits == b"-1" {
        return Some(None);
    }
    let is_number = (1..=10).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (is_number && number <= most).then_some(Some(number))
}

/// Upper case of a word that can be a command.
fn word(bytes: &[u8]) -> Option<String> {
    let is_part = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'.');
    let is_word = (2..=32).contains(&bytes.len()) && bytes.iter().all(is_part);
    is_word.then(|| String::from_utf8_lossy(bytes).to_ascii_uppercase())
}

fn probe(opening: &Opening<'_>) -> Probe {
    let (spoken, reply) = (opening.spoken(), opening.reply());
    match (request(spoken), request(reply)) {
        (Probe::Yes, _) | (_, Probe::Yes) => Probe::Yes,
        (Probe::More, _) => Probe::More,
        _ if opening.midstream => Probe::No,
        _ => in_lines(spoken, reply),
    }
}

/// Whether an array of strings begins here, and its first string is a word: `*2`, `$4`, `PING` in lines of their own.
fn request(bytes: &[u8]) -> Probe {
    if bytes.first() != Some(&b'*') {
        return Probe::No;
    }
    let (mut rest, mut wanted) = (bytes, 0);
    for (most, mark) in [(MAX_ITEMS, b'*'), (MAX_STRING, b'$')] {
        let Some((line, length)) = text::first_line(rest) else {
            let begins = rest.first().is_none_or(|byte| *byte == mark);
            return if begins && rest.len() < 16 {
                Probe::More
            } else {
                Probe::No
            };
        };
        let ends = rest
            .get(..length)
            .is_some_and(|line| line.ends_with(b"\r\n"));
        match number(line, most) {
            Some(Some(count)) if count > 0 && ends && line.first() == Some(&mark) => wanted = count,
            _ => return Probe::No,
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    let Some(wanted) = usize::try_from(wanted).ok().filter(|wanted| *wanted <= 32) else {
        return Probe::No;
    };
    let Some((first, after)) = rest.split_at_checked(wanted) else {
        return Probe::More;
    };
    match (word(first), after) {
        (Some(_), [b'\r', b'\n', ..]) => Probe::Yes,
        (Some(_), [] | [b'\r']) => Probe::More,
        _ => Probe::No,
    }
}

/// Whether known commands in lines are answered as by Redis.
fn in_lines(spoken: &[u8], reply: &[u8]) -> Probe {
    let (mut is_own, mut rest) = (false, spoken);
    while let Some((line, length)) = text::first_line(rest) {
        let verb = text::split_word(line).0;
        let Some(index) = IN_LINES
            .iter()
            .position(|known| known.as_bytes().eq_ignore_ascii_case(verb))
        else {
            return Probe::No;
        };
        is_own |= index >= 2;
        rest = rest.get(length..).unwrap_or_default();
    }
    let Some((answer, _)) = text::first_line(reply) else {
        let may = matches!(
            reply.first(),
            None | Some(b'+' | b'-' | b':' | b'$' | b'*' | b'%')
        );
        return if is_own && may {
            Probe::More
        } else {
            Probe::No
        };
    };
    let is_answer = match answer {
        // A value is never answered so; POP3 servers greet so whoever asks them for a page.
        b"+OK" | b"+PONG" => !text::split_word(spoken).0.eq_ignore_ascii_case(b"GET"),
        [b'-', text @ ..] => word(text::split_word(text).0).is_some(),
        [b':', ..] => number(answer, u64::MAX).is_some(),
        [b'$', ..] => number(answer, MAX_STRING).is_some(),
        [b'*' | b'%', ..] => number(answer, MAX_ITEMS).is_some(),
        _ => false,
    };
    if is_own && is_answer {
        Probe::Yes
    } else {
        Probe::No
    }
}

#[derive(Debug, Default)]
struct Connection {
    client: Option<Side>,
    /// The next string of the side begins a request.
    begins: PerSide<bool>,
    strange: u8,
}

impl StreamDecoder for Connection {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let mut used: usize = 0;
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            let Some((line, length)) = text::first_line(rest) else {
                return match rest.len() {
                    0 => Step::Consumed,
                    1..=MAX_LINE => need(used, rest.len()),
                    _ => Step::Reject(Reject::Invalid("line")),
                };
            };
            if let Some(Some(string)) =
                number(line, MAX_STRING).filter(|_| line.first() == Some(&b'$'))
            {
                let whole = string.saturating_add(2);
                let is_read = whole <= MAX_READ;
                let content = rest.get(length..).unwrap_or_default();
                let Some(content) = usize::try_from(whole)
                    .ok()
                    .filter(|_| is_read)
                    .map(|whole| content.get(..whole))
                else {
                    return Step::Skip {
                        consumed: used.saturating_add(length),
                        bytes: whole,
                    };
                };
                let Some(content) = content else {
                    return need(used, rest.len());
                };
                self.string(side, text::trimmed(content), notes);
                used = used.saturating_add(length).saturating_add(content.len());
                continue;
            }
            used = used.saturating_add(length);
            if !self.line(side, line, notes) {
                return Step::Done;
            }
        }
    }

    fn resume(&mut self, side: Side, bytes: &[u8]) -> Option<usize> {
        (self.client == Some(side) && request(bytes) == Probe::Yes).then_some(0)
    }
}

fn need(consumed: usize, there: usize) -> Step {
    Step::NeedMore {
        consumed,
        at_least: there.saturating_add(1),
    }
}

impl Connection {
    fn identify(&mut self, client: Side, notes: &mut Notes<'_>) {
        self.client = Some(client);
        notes.proved();
        notes.client(client);
    }

    /// Reads a line outside of strings; false where nothing more can be made of the connection.
    fn line(&mut self, side: Side, line: &[u8], notes: &mut Notes<'_>) -> bool {
        if self.client.is_none() {
            self.identify(side, notes);
        }
        let is_client = self.client == Some(side);
        match line.first() {
            Some(b'*') if number(line, MAX_ITEMS).is_some() => self.begins[side] = is_client,
            Some(b'-') if !is_client => {
                if let Some(kind) = line
                    .get(1..)
                    .and_then(|text| word(text::split_word(text).0))
                {
                    notes.text(ERROR, &kind);
                }
            }
            Some(
                b'+' | b':' | b'$' | b'%' | b'_' | b',' | b'#' | b'(' | b'=' | b'~' | b'>' | b'|'
                | b'*',
            ) if !is_client => {}
            Some(_) if is_client => match word(text::split_word(line).0) {
                Some(verb) if IN_LINES.contains(&verb.as_str()) => notes.text(COMMAND, &verb),
                _ => self.strange = self.strange.saturating_add(1),
            },
            _ => self.strange = self.strange.saturating_add(1),
        }
        self.strange < MAX_STRANGE
    }

    fn string(&mut self, side: Side, content: &[u8], notes: &mut Notes<'_>) {
        if std::mem::take(&mut self.begins[side]) {
            if let Some(verb) = word(content) {
                self.identify(side, notes);
                notes.text(COMMAND, &verb);
            }
        } else if self.client == Some(side.other()) {
            let label = b"redis_version:";
            let mut lines = content.split(|&byte| byte == b'\n').take(64);
            if let Some(version) = lines.find_map(|line| line.strip_prefix(label)) {
                notes.bytes(VERSION, text::trimmed(version));
            }
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

    const SESSION: &[(Side, &[u8])] = &[
        (CLIENT, b"*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n"),
        (SERVER, b"-WRONGPASS invalid\r\n"),
        (CLIENT, b"*1\r\n$4\r\ninfo\r\n"),
        (SERVER, b"$31\r\n# Server\r\nredis_version:7.2.4\r\n\r\n"),
        (CLIENT, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\n*9\r\nx\r\n"),
        (SERVER, b"+OK\r\n"),
    ];

    #[test]
    fn a_session_is_read_without_keys_and_passwords() {
        let recorder = conversation(SESSION);
        assert_eq!(protocols(&recorder), ["redis"]);
        assert_eq!(
            values(&recorder, "redis", "command"),
            ["AUTH", "INFO", "SET"]
        );
        assert_eq!(values(&recorder, "redis", "error"), ["WRONGPASS"]);
        assert_eq!(values(&recorder, "redis", "version"), ["7.2.4"]);
        assert_eq!(recorder.client, Some(CLIENT));
        only_registered_attributes(&recorder, &[&REDIS]);
        survives_every_cut(SESSION);
    }

    #[test]
    fn a_large_string_is_passed_over() {
        let large = [
            b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$20000\r\n".as_slice(),
            &[b'x'; 20_000],
            b"\r\n",
        ]
        .concat();
        let segments: [(Side, &[u8]); 2] = [(CLIENT, &large), (CLIENT, b"*1\r\n$4\r\nPING\r\n")];
        assert_eq!(
            values(&conversation(&segments), "redis", COMMAND),
            ["PING", "SET"]
        );
        assert_eq!(protocols(&midstream(&segments)), ["redis"]);
    }

    #[test]
    fn commands_in_lines_need_an_answer_of_the_protocol() {
        let asked: (Side, &[u8]) = (CLIENT, b"AUTH a b\r\nPING\r\n");
        assert_eq!(
            protocols(&conversation(&[asked, (SERVER, b"+OK\r\nstrange\r\n")])),
            ["redis"]
        );
        assert!(protocols(&conversation(&[asked])).is_empty());
        assert!(protocols(&conversation(&[asked, (SERVER, b"500 what?\r\n")])).is_empty());
    }

    #[test]
    fn neighbours_are_not_redis() {
        let pairs: [[&[u8]; 2]; 4] = [
            [b"AUTH\r\n", b"+OK\r\n"],
            [b"* OK IMAP4rev1 ready\r\n", b"a CAPABILITY\r\n"],
            [b"GET / HTTP/1.0\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n"],
            [b"*2\n$4\nPING\n", b""],
        ];
        for [asked, answer] in pairs {
            let recorder = conversation(&[(CLIENT, asked), (SERVER, answer)]);
            assert!(!protocols(&recorder).contains(&"redis"));
        }
    }
}
