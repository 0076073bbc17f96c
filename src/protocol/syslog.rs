//! Syslog (RFC 5424, RFC 3164) in datagrams (RFC 5426) and streams (RFC 6587): who reports, and how bad it is.
//!
//! A priority proves a datagram of plain text; a stream must show a time as well. Messages themselves are not kept.

use super::{
    About, Datagram, DatagramDecoder, DatagramEntry, Opening, Probe, Protocol, Reject, Step,
    StreamDecoder, StreamEntry,
};
use crate::evidence::Notes;
use crate::net::Side;

/// `rfc5424`, `rfc3164`, or `bare` where only a priority stands before the text.
const FORMAT: &str = "format";
/// What part of a system reports.
const FACILITY: &str = "facility";
/// How bad it is: `emergency` to `debug`.
const SEVERITY: &str = "severity";
/// The host that reports, by its own name.
const HOST: &str = "host";
/// The program that reports.
const PROGRAM: &str = "program";

/// Syslog.
pub(super) const SYSLOG: Protocol = Protocol {
    name: "syslog",
    about: About {
        title: "Syslog",
        sources: "RFC 3164, RFC 5424, RFC 5426, RFC 6587",
        reads: "Facility, severity, host and program.",
        proves: "A priority before plain text; on streams a time or version as well.",
        limits: "Messages are not kept; structured data is passed over.",
    },
    attributes: &[FORMAT, FACILITY, SEVERITY, HOST, PROGRAM],
    stream: Some(StreamEntry {
        first_byte: |byte| byte == b'<' || byte.is_ascii_digit(),
        probe,
        start: || Box::new(Connection),
    }),
    datagram: Some(DatagramEntry {
        first_byte: |byte| byte == b'<',
        start: || Box::new(Messages),
    }),
};

const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];
const SEVERITIES: [&str; 8] = [
    "emergency",
    "alert",
    "critical",
    "error",
    "warning",
    "notice",
    "info",
    "debug",
];
const MONTHS: [&[u8]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];
/// Characters of text after a priority that are beyond chance.
const LEAST_TEXT: usize = 4;
/// Octets of a message on a stream that are waited for (RFC 5424 section 6.1 wants 2,048 to be accepted).
const MAX_MESSAGE: usize = 8192;
/// Octets in which the fields before a message's text stand.
const HEAD: usize = 512;

/// The head of one message.
#[derive(Debug, PartialEq, Eq)]
struct Head<'a> {
    priority: usize,
    format: &'static str,
    host: &'a [u8],
    program: &'a [u8],
}

impl<'a> Head<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (priority, rest) = priority(bytes)?;
        let mut head = Self {
            priority,
            format: "bare",
            host: b"",
            program: b"",
        };
        if let Some(rest) = rest.strip_prefix(b"1 ")
            && let Some((time, rest)) = word(rest)
            && (time == b"-" || is_time_5424(time))
        {
            let (host, rest) = word(rest)?;
            let (program, _) = word(rest)?;
            head.format = "rfc5424";
            head.host = if host == b"-" { b"" } else { host };
            head.program = if program == b"-" { b"" } else { program };
        } else if let Some(rest) = after_time_3164(rest) {
            head.format = "rfc3164";
            let (first, rest) = word(rest).unwrap_or((b"", rest));
            // Some senders leave the host out: then the tag comes first.
            let (host, tag) = match first {
                [.., b':'] => (&b""[..], first),
                host => (host, word(rest).map_or(rest, |(tag, _)| tag)),
            };
            head.host = host;
            head.program = program(tag);
        }
        Some(head)
    }

    fn note(&self, notes: &mut Notes<'_>) {
        notes.proved();
        let side = notes.side();
        notes.client(side);
        notes.text(FORMAT, self.format);
        let facility = FACILITIES.get(self.priority / 8);
        notes.text(FACILITY, facility.copied().unwrap_or_default());
        let severity = SEVERITIES.get(self.priority % 8);
        notes.text(SEVERITY, severity.copied().unwrap_or_default());
        for (attribute, text) in [(HOST, self.host), (PROGRAM, self.program)] {
            if text.iter().all(u8::is_ascii_graphic) {
                notes.bytes(attribute, text);
            }
        }
    }
}

/// `<0>` to `<191>`, without zeros before.
fn priority(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let rest = bytes.strip_prefix(b"<")?;
    let end = rest.iter().take(4).position(|&byte| byte == b'>')?;
    let digits = rest.get(..end)?;
    let is_plain = matches!(digits, [b'0'] | [b'1'..=b'9', ..]);
    let value = number(digits)?;
    (is_plain && value <= 191).then_some((value, rest.get(end.saturating_add(1)..)?))
}

fn number(digits: &[u8]) -> Option<usize> {
    let all_digits = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    all_digits
        .then(|| std::str::from_utf8(digits).ok()?.parse().ok())
        .flatten()
}

fn word(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b' ', bytes)?;
    let (word, rest) = bytes.split_at_checked(end)?;
    Some((word, rest.get(1..)?))
}

/// Whether a time is that of RFC 3339: `2003-10-11T22:14:15`, and more.
fn is_time_5424(time: &[u8]) -> bool {
    let shape = b"dddd-dd-ddTdd:dd:dd";
    time.len() > shape.len()
        && time.iter().zip(shape).all(|(&byte, &shape)| match shape {
            b'd' => byte.is_ascii_digit(),
            shape => byte == shape,
        })
}

/// What follows a time of RFC 3164 section 4.1.2: `Oct 11 22:14:15 `.
fn after_time_3164(bytes: &[u8]) -> Option<&[u8]> {
    let (time, rest) = bytes.split_at_checked(16)?;
    let (month, time) = time.split_at_checked(3)?;
    let shape = b" _d dd:dd:dd ";
    let fits = time.iter().zip(shape).all(|(&byte, &shape)| match shape {
        b'd' => byte.is_ascii_digit(),
        b'_' => byte == b' ' || byte.is_ascii_digit(),
        shape => byte == shape,
    });
    (MONTHS.contains(&month) && fits).then_some(rest)
}

/// A tag up to the process or the colon.
fn program(tag: &[u8]) -> &[u8] {
    let end = tag
        .iter()
        .position(|byte| matches!(byte, b':' | b'[' | b' '))
        .unwrap_or(0);
    tag.get(..end).unwrap_or_default()
}

struct Messages;

impl DatagramDecoder for Messages {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let head = Head::parse(datagram.bytes).ok_or(Reject::Other)?;
        let (_, text) = priority(datagram.bytes).ok_or(Reject::Other)?;
        let text = text.get(..HEAD).unwrap_or(text).trim_ascii_end();
        let text = text.strip_suffix(b"\0").unwrap_or(text);
        let is_text = text
            .iter()
            .all(|byte| !byte.is_ascii_control() || byte.is_ascii_whitespace());
        if !is_text || text.len() < LEAST_TEXT {
            return Err(Reject::Other);
        }
        head.note(notes);
        Ok(())
    }
}

/// Where the message at the start of a stream begins, and its octets where it says them (RFC 6587 section 3.4.1).
fn framing(bytes: &[u8]) -> Option<(usize, Option<usize>)> {
    if bytes.first() == Some(&b'<') {
        return Some((0, None));
    }
    let (count, _) = word(bytes)?;
    let length = number(count).filter(|length| count.len() < 6 && *length > 0)?;
    Some((count.len().saturating_add(1), Some(length)))
}

fn probe(opening: &Opening<'_>) -> Probe {
    let bytes = opening.spoken();
    if !opening.reply().is_empty() {
        return Probe::No;
    }
    let can_begin = |byte: &u8| byte.is_ascii_digit() || *byte == b'<';
    let Some((start, _)) = framing(bytes) else {
        let is_count = bytes.len() < 6 && bytes.iter().all(can_begin);
        return if is_count { Probe::More } else { Probe::No };
    };
    let message = bytes.get(start..).unwrap_or_default();
    match Head::parse(message) {
        Some(head) if head.format != "bare" => Probe::Yes,
        _ if message.len() < 2 || (message.len() < 80 && priority(message).is_some()) => {
            Probe::More
        }
        _ if message.len() < 5 && message.iter().skip(1).all(u8::is_ascii_digit) => Probe::More,
        _ => Probe::No,
    }
}

/// One connection.
struct Connection;

impl StreamDecoder for Connection {
    fn data(&mut self, _: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let more = Step::NeedMore {
            consumed: 0,
            at_least: bytes.len().saturating_add(1),
        };
        let Some((start, length)) = framing(bytes) else {
            return if bytes.len() < 6 {
                more
            } else {
                Step::Reject(Reject::Other)
            };
        };
        let message = bytes.get(start..).unwrap_or_default();
        let length = match length {
            Some(length) => length,
            None => match memchr::memchr2(b'\n', 0, message) {
                Some(end) => end.saturating_add(1),
                None if message.len() < MAX_MESSAGE => return more,
                None => return Step::Done,
            },
        };
        let wanted = length.min(HEAD);
        let Some(head) = message.get(..wanted) else {
            return Step::NeedMore {
                consumed: 0,
                at_least: start.saturating_add(wanted),
            };
        };
        match Head::parse(head) {
            Some(head) => head.note(notes),
            None => return Step::Reject(Reject::Other),
        }
        Step::Skip {
            consumed: start,
            bytes: length as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, conversation, datagrams, only_registered_attributes, protocols, survives_every_cut,
        values,
    };
    use super::*;

    const NEW: &[u8] = b"<165>1 2003-10-11T22:14:15.003Z edge1.example.com smtpd 8710 ID47 - text";
    const OLD: &[u8] = b"<34>Oct 11 22:14:15 edge1 sshd[12]: text";

    #[test]
    fn both_formats_are_read() {
        let new = datagrams(&[(CLIENT, NEW)]);
        assert_eq!(protocols(&new), ["syslog"]);
        for (attribute, value) in [
            ("format", "rfc5424"),
            ("facility", "local4"),
            ("severity", "notice"),
            ("host", "edge1.example.com"),
            ("program", "smtpd"),
        ] {
            assert_eq!(values(&new, "syslog", attribute), [value]);
        }
        let old = datagrams(&[(CLIENT, OLD)]);
        assert_eq!(values(&old, "syslog", "format"), ["rfc3164"]);
        assert_eq!(values(&old, "syslog", "host"), ["edge1"]);
        assert_eq!(values(&old, "syslog", "program"), ["sshd"]);
        let no_host = datagrams(&[(CLIENT, b"<30>Oct  1 22:14:15 dhcpd: text text")]);
        assert!(values(&no_host, "syslog", "host").is_empty());
        assert_eq!(values(&no_host, "syslog", "program"), ["dhcpd"]);
        only_registered_attributes(&new, &[&SYSLOG]);
    }

    #[test]
    fn a_priority_before_text_is_enough_for_a_datagram() {
        for bytes in [
            &b"<13>hello world"[..],
            b"<189>123: *Mar  1 00:00:01: %SYS-5\0",
        ] {
            let recorder = datagrams(&[(CLIENT, bytes)]);
            assert_eq!(values(&recorder, "syslog", "format"), ["bare"]);
        }
        for bytes in [
            &b"<192>hello world"[..],
            b"<01>hello world",
            b"<>hello",
            b"<13>abc",
            b"<13>\x01\x02\x03\x04\x05",
            b"<?xml version='1.0'?>",
        ] {
            assert!(protocols(&datagrams(&[(CLIENT, bytes)])).is_empty());
        }
    }

    #[test]
    fn streams_are_framed_by_count_or_by_line() {
        let counted = [format!("{} ", NEW.len()).as_bytes(), NEW].concat();
        let lines = [OLD, b"\n", OLD, b"\n"].concat();
        for bytes in [counted, lines] {
            let twice = bytes.repeat(2);
            let recorder = conversation(&[(CLIENT, &twice)]);
            assert_eq!(protocols(&recorder), ["syslog"]);
            assert_eq!(recorder.client, Some(CLIENT));
            survives_every_cut(&[(CLIENT, &twice)]);
        }
        for bytes in [
            &b"220 smtp ready\r\n"[..],
            b"<13>hello world, no time\n",
            b"<stream:stream>",
        ] {
            assert!(!protocols(&conversation(&[(CLIENT, bytes)])).contains(&"syslog"));
        }
    }
}
