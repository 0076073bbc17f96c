//! memcached: the text and the binary protocol over TCP, and the text protocol in datagrams.
//!
//! Proves: a storage command with all its numbers, a command together with an answer, several lines of statistics, or a binary
//! request and its response. Keys and values are not kept. A cache that answers strangers is a danger of its own: in datagrams
//! its answers are far longer than what was asked.

use super::{
    About, Datagram, DatagramDecoder, DatagramEntry, Opening, Probe, Protocol, Reject, Step,
    StreamDecoder, StreamEntry, text,
};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;

/// A command that was sent: its word, or the number of its operation.
const COMMAND: &str = "command";
/// The server's version.
const VERSION: &str = "version";

pub(super) const MEMCACHED: Protocol = Protocol {
    name: "memcached",
    about: About {
        title: "memcached",
        sources: "The memcached project, protocol.txt and protocol-binary",
        reads: "Commands without their keys, and the server's version.",
        proves: "A storage command with its numbers, a command and an answer to it, lines of statistics, or a binary request and its response.",
        limits: "Keys and values are not kept; the meta commands are not read.",
    },
    attributes: &[COMMAND, VERSION],
    stream: Some(StreamEntry {
        first_byte: |byte| matches!(byte, REQUEST | RESPONSE) || byte.is_ascii_alphabetic(),
        probe,
        start: || Box::<Connection>::default(),
    }),
    datagram: Some(DatagramEntry {
        first_byte: |_| true,
        start: || Box::new(Flow),
    }),
};

/// Magic bytes of the binary protocol.
const REQUEST: u8 = 0x80;
const RESPONSE: u8 = 0x81;
/// Longest key.
const MAX_KEY: u16 = 250;
/// Last operation of the binary protocol.
const LAST_OPERATION: u8 = 0x48;
/// Longest line that is waited for: many keys may be asked for at once.
const MAX_LINE: usize = 8192;
/// Lines of statistics that prove them.
const LEAST_STATISTICS: usize = 2;
/// Messages that are read: what follows adds nothing.
const MAX_MESSAGES: u16 = 256;

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line<'a> {
    /// `set key flags time bytes`: all the numbers are there. The bytes follow.
    Storage(&'static str, u64),
    /// Another command.
    Command(&'static str),
    /// `VALUE key flags bytes`; the bytes follow.
    Value(u64),
    Statistic,
    Version(&'a [u8]),
    /// A word that answers.
    Status,
}

fn line(line: &[u8]) -> Option<Line<'_>> {
    let mut words = line
        .split(|&byte| byte == b' ')
        .filter(|word| !word.is_empty());
    let verb = words.next()?;
    let arguments: Vec<&[u8]> = words.take(7).collect();
    let is_key = |key: &[u8]| {
        !key.is_empty() && key.len() <= usize::from(MAX_KEY) && key.iter().all(|byte| *byte > 0x20)
    };
    let number = |word: &[u8]| -> Option<u64> { std::str::from_utf8(word).ok()?.parse().ok() };
    let storage = |verb, least: usize| match arguments.as_slice() {
        [key, flags, time, bytes, rest @ ..] if is_key(key) && rest.len() <= least => {
            let is_time = number(time).is_some() || *time == b"-1";
            let is_rest = rest
                .iter()
                .all(|word| *word == b"noreply" || number(word).is_some());
            number(flags).filter(|_| is_time && is_rest)?;
            number(bytes).map(|bytes| Line::Storage(verb, bytes))
        }
        _ => None,
    };
    match (verb, arguments.as_slice()) {
        (b"set", _) => storage("set", 1),
        (b"add", _) => storage("add", 1),
        (b"replace", _) => storage("replace", 1),
        (b"append", _) => storage("append", 1),
        (b"prepend", _) => storage("prepend", 1),
        (b"cas", _) => storage("cas", 2),
        (b"get", [key, ..]) if is_key(key) => Some(Line::Command("get")),
        (b"gets", [key, ..]) if is_key(key) => Some(Line::Command("gets")),
        (b"delete", [key, ..]) if is_key(key) => Some(Line::Command("delete")),
        (b"incr", [key, by, ..]) if is_key(key) && number(by).is_some() => {
            Some(Line::Command("incr"))
        }
        (b"decr", [key, by, ..]) if is_key(key) && number(by).is_some() => {
            Some(Line::Command("decr"))
        }
        (b"touch", [key, time, ..]) if is_key(key) && number(time).is_some() => {
            Some(Line::Command("touch"))
        }
        (b"stats", [] | [_]) => Some(Line::Command("stats")),
        (b"version", []) => Some(Line::Command("version")),
        (b"flush_all", _) => Some(Line::Command("flush_all")),
        (b"VALUE", [key, flags, bytes]) | (b"VALUE", [key, flags, bytes, _]) if is_key(key) => {
            number(flags)?;
            number(bytes).map(Line::Value)
        }
        (b"STAT", [name, _, ..]) if is_key(name) => Some(Line::Statistic),
        (b"VERSION", [version]) if version.first().is_some_and(u8::is_ascii_digit) => {
            Some(Line::Version(version))
        }
        (
            b"END" | b"STORED" | b"NOT_STORED" | b"EXISTS" | b"NOT_FOUND" | b"DELETED" | b"TOUCHED"
            | b"OK" | b"ERROR",
            [],
        ) => Some(Line::Status),
        _ => None,
    }
}

/// What one side begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Sure,
    Command,
    Answer,
    /// A binary message and its opaque value.
    Binary(u8, [u8; 4]),
    Short,
    Other,
}

fn look(bytes: &[u8]) -> Look {
    if let Some(&(REQUEST | RESPONSE)) = bytes.first() {
        return match Header::parse(bytes) {
            Ok(header) => Look::Binary(header.operation, header.opaque),
            Err(Reject::Short(_)) => Look::Short,
            Err(_) => Look::Other,
        };
    }
    let Some((first, length)) = text::first_line(bytes) else {
        let starts: [&[u8]; 12] = [
            b"set ",
            b"add ",
            b"get ",
            b"gets ",
            b"stats",
            b"version",
            b"VALUE ",
            b"STAT ",
            b"VERSION ",
            b"END",
            b"STORED",
            b"delete ",
        ];
        let begins = |start: &&[u8]| {
            let common = bytes.len().min(start.len());
            common > 0 && bytes.get(..common) == start.get(..common)
        };
        let is_begun = starts.iter().any(begins) && text::is_plain(text::trimmed(bytes));
        return if is_begun { Look::Short } else { Look::Other };
    };
    let lines = bytes.split(|&byte| byte == b'\n');
    let statistics = || {
        lines
            .take_while(|first| line(text::trimmed(first)) == Some(Line::Statistic))
            .count()
    };
    match line(first) {
        Some(Line::Storage(..)) => Look::Sure,
        // The value must end where it says.
        Some(Line::Value(size)) => {
            let end = usize::try_from(size)
                .ok()
                .and_then(|size| size.checked_add(length));
            match end.and_then(|end| bytes.get(end..)) {
                Some([b'\r', b'\n', ..]) => Look::Sure,
                Some([] | [b'\r']) | None => Look::Answer,
                Some(_) => Look::Other,
            }
        }
        Some(Line::Statistic) if statistics() >= LEAST_STATISTICS => Look::Sure,
        Some(Line::Command(_)) => Look::Command,
        Some(Line::Statistic | Line::Version(_) | Line::Status) => Look::Answer,
        None => Look::Other,
    }
}

fn probe(opening: &Opening<'_>) -> Probe {
    use Look::{Answer, Binary, Command, Other, Short, Sure};
    let is_silent = opening.reply().is_empty();
    match (look(opening.spoken()), look(opening.reply())) {
        (Sure, _) | (_, Sure) | (Command, Answer) | (Answer, Command) => Probe::Yes,
        (Binary(asked, one), Binary(answered, other)) => {
            let magic = opening
                .bytes
                .iter()
                .any(|(_, bytes)| bytes.first() == Some(&RESPONSE));
            if magic && (asked, one) == (answered, other) {
                Probe::Yes
            } else {
                Probe::No
            }
        }
        (Short, _) | (_, Short) => Probe::More,
        (Command | Answer | Binary(..), Other) if is_silent => Probe::More,
        (Command | Answer | Binary(..) | Other, _) => Probe::No,
    }
}

/// The header of a binary message, 24 bytes.
struct Header {
    operation: u8,
    opaque: [u8; 4],
    body: u32,
}

impl Header {
    const BYTES: u64 = 24;

    fn parse(bytes: &[u8]) -> Result<Self, Reject> {
        let mut cursor = Cursor::new(bytes);
        let (magic, operation) = (cursor.u8()?, cursor.u8()?);
        let (key, extras, kind) = (cursor.u16()?, cursor.u8()?, cursor.u8()?);
        let status = cursor.u16()?;
        let body = cursor.u32()?;
        let opaque = *cursor.array()?;
        cursor.skip(8)?;
        let is_magic = matches!(magic, REQUEST | RESPONSE) && operation <= LAST_OPERATION;
        let is_size = matches!(extras, 0 | 4 | 8 | 20) && key <= MAX_KEY && kind == 0;
        let is_status = magic == REQUEST || status <= 0x0086;
        let least = u32::from(key).saturating_add(u32::from(extras));
        if !is_magic || !is_size || !is_status || body < least {
            return Err(Reject::Other);
        }
        Ok(Self {
            operation,
            opaque,
            body,
        })
    }
}

#[derive(Debug, Default)]
struct Connection {
    messages: u16,
}

impl StreamDecoder for Connection {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        self.messages = self.messages.saturating_add(1);
        if self.messages > MAX_MESSAGES {
            return Step::Done;
        }
        if let Some(&magic @ (REQUEST | RESPONSE)) = bytes.first() {
            return match Header::parse(bytes) {
                Ok(header) => {
                    notes.proved();
                    let client = if magic == REQUEST { side } else { side.other() };
                    notes.client(client);
                    if magic == REQUEST {
                        notes.text(COMMAND, &format!("0x{:02x}", header.operation));
                    }
                    Step::Skip {
                        consumed: 0,
                        bytes: Header::BYTES.saturating_add(u64::from(header.body)),
                    }
                }
                Err(Reject::Short(_)) => need(bytes.len()),
                Err(reject) => Step::Reject(reject),
            };
        }
        let Some((first, length)) = text::first_line(bytes) else {
            return match bytes.len() {
                0..=MAX_LINE => need(bytes.len()),
                _ => Step::Done,
            };
        };
        let follows = note(side, line(first), notes);
        Step::Skip {
            consumed: length,
            bytes: follows,
        }
    }
}

fn need(there: usize) -> Step {
    Step::NeedMore {
        consumed: 0,
        at_least: there.saturating_add(1),
    }
}

/// Notes a line; bytes that follow it, with their end.
fn note(side: Side, line: Option<Line<'_>>, notes: &mut Notes<'_>) -> u64 {
    let Some(line) = line else {
        return 0;
    };
    notes.proved();
    match line {
        Line::Storage(verb, _) | Line::Command(verb) => {
            notes.client(side);
            notes.text(COMMAND, verb);
        }
        Line::Value(_) | Line::Statistic | Line::Version(_) | Line::Status => {
            notes.client(side.other());
        }
    }
    match line {
        Line::Storage(_, bytes) | Line::Value(bytes) => bytes.saturating_add(2),
        Line::Version(version) => {
            notes.bytes(VERSION, version);
            0
        }
        Line::Command(_) | Line::Statistic | Line::Status => 0,
    }
}

/// Datagrams: eight bytes of header, then the text protocol.
struct Flow;

impl DatagramDecoder for Flow {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let mut cursor = Cursor::new(datagram.bytes);
        cursor.skip(2)?;
        let (number, total, reserved) = (cursor.u16()?, cursor.u16()?, cursor.u16()?);
        if number >= total || reserved != 0 {
            return Err(Reject::Other);
        }
        let (first, length) = text::first_line(cursor.rest()).ok_or(Reject::Other)?;
        let is_end = length == cursor.len();
        let is_line = cursor
            .rest()
            .get(..length)
            .is_some_and(|line| line.ends_with(b"\r\n"));
        match line(first).filter(|_| is_line && number == 0) {
            Some(Line::Status | Line::Command(_) | Line::Version(_)) if !is_end => {
                Err(Reject::Other)
            }
            Some(found) => {
                note(notes.side(), Some(found), notes);
                Ok(())
            }
            None => Err(Reject::Other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, conversation, datagrams, midstream, only_registered_attributes, protocols,
        survives_every_cut, values,
    };
    use super::*;

    #[test]
    fn text_commands_and_answers_are_read_without_keys_and_values() {
        let segments: [(Side, &[u8]); 6] = [
            (CLIENT, b"set secret 0 900 9\r\nmemcached\r\n"),
            (SERVER, b"STORED\r\n"),
            (CLIENT, b"get secret\r\n"),
            (SERVER, b"VALUE secret 0 9\r\nmemcached\r\nEND\r\n"),
            (CLIENT, b"version\r\n"),
            (SERVER, b"VERSION 1.6.21\r\n"),
        ];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["memcached"]);
        assert_eq!(
            values(&recorder, "memcached", "command"),
            ["get", "set", "version"]
        );
        assert_eq!(values(&recorder, "memcached", "version"), ["1.6.21"]);
        assert_eq!(recorder.client, Some(CLIENT));
        only_registered_attributes(&recorder, &[&MEMCACHED]);
        survives_every_cut(&segments);
    }

    /// A header without extras, key and value, of request or response.
    fn binary(magic: u8, opaque: u8) -> Vec<u8> {
        let mut bytes = vec![magic, 0x0b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, opaque];
        bytes.extend([0; 8]);
        bytes
    }

    #[test]
    fn a_binary_request_needs_its_response() {
        let (asked, answer) = (binary(REQUEST, 7), binary(RESPONSE, 7));
        let recorder = conversation(&[(CLIENT, &asked), (SERVER, &answer)]);
        assert_eq!(protocols(&recorder), ["memcached"]);
        assert_eq!(values(&recorder, "memcached", COMMAND), ["0x0b"]);
        for other in [binary(RESPONSE, 8), binary(REQUEST, 7)] {
            assert!(protocols(&conversation(&[(CLIENT, &asked), (SERVER, &other)])).is_empty());
        }
    }

    #[test]
    fn statistics_are_read_in_datagrams_too() {
        let answer = b"\0\x01\0\0\0\x02\0\0STAT pid 7\r\nSTAT uptime 9\r\n";
        let recorder = datagrams(&[(CLIENT, b"\0\x01\0\0\0\x01\0\0stats\r\n"), (SERVER, answer)]);
        assert_eq!(protocols(&recorder), ["memcached"]);
        let recorder = midstream(&[(SERVER, b"STAT pid 7\r\nSTAT uptime 9\r\nEND\r\n")]);
        assert_eq!(protocols(&recorder), ["memcached"]);
        assert!(protocols(&datagrams(&[(CLIENT, b"\0\x01\0\x02\0\x01\0\0stats\r\n")])).is_empty());
    }

    #[test]
    fn neighbours_are_not_memcached() {
        let pairs: [[&[u8]; 2]; 4] = [
            [b"get / HTTP/1.0\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n"],
            [b"stats\r\n", b"500 what?\r\n"],
            [b"set x\r\n", b"ok\r\n"],
            [b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10\x00\x00\x04\x00\x00\x05\x00\x00\x0a\x00\x00\x09\x00", b""],
        ];
        for [asked, answer] in pairs {
            let recorder = conversation(&[(CLIENT, asked), (SERVER, answer)]);
            assert!(!protocols(&recorder).contains(&"memcached"));
        }
    }
}
