//! Whether a connection is SMTP. FTP greets with 220 as well, and answers in the same form: a greeting counts only with
//! the word SMTP, an enhanced status code (RFC 3463) or a client that says EHLO or HELO.

use memchr::memchr;

use super::line::{self, Command, Reply};
use crate::protocol::{Opening, Probe};

pub(super) fn probe(opening: &Opening<'_>) -> Probe {
    let sides = [opening.spoken(), opening.reply()].map(look);
    let greeting = sides.contains(&Look::Greeting);
    if sides.contains(&Look::Sure) {
        Probe::Yes
    } else if sides.contains(&Look::Short) || (greeting && opening.reply().is_empty()) {
        Probe::More
    } else {
        Probe::No
    }
}

/// What the first bytes of one side look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// SMTP.
    Sure,
    /// A greeting or reply that other protocols send too.
    Greeting,
    /// Too few bytes to tell.
    Short,
    /// Something else, or nothing.
    Other,
}

fn look(bytes: &[u8]) -> Look {
    let Some(end) = memchr(b'\n', bytes) else {
        return unfinished(bytes);
    };
    let line = trimmed(bytes.get(..end).unwrap_or_default());
    if !line.iter().all(|byte| *byte >= 0x20 || *byte == b'\t') {
        return Look::Other;
    }
    if Reply::parse(line).is_some() {
        return replies(bytes);
    }
    match Command::parse(line) {
        Some(command) if is_proof(&command) => Look::Sure,
        _ => Look::Other,
    }
}

/// The first line is not whole.
fn unfinished(bytes: &[u8]) -> Look {
    let code = matches!(
        bytes,
        [b'2'..=b'5'] | [b'2'..=b'5', b'0'..=b'5'] | [b'2'..=b'5', b'0'..=b'5', b'0'..=b'9', ..]
    );
    if code {
        return match Reply::parse(bytes) {
            None if bytes.len() > 3 => Look::Other,
            Some(reply) if is_greeting(&reply) && says_smtp(reply.text) => Look::Sure,
            _ => Look::Short,
        };
    }
    let starts = |verb: &[u8]| {
        let length = verb.len().min(bytes.len());
        let (start, verb) = (bytes.get(..length), verb.get(..length));
        length > 0
            && matches!((start, verb), (Some(start), Some(verb)) if start.eq_ignore_ascii_case(verb))
    };
    if [&b"EHLO "[..], b"HELO ", b"MAIL FROM:", b"RCPT TO:"]
        .into_iter()
        .any(starts)
    {
        Look::Short
    } else {
        Look::Other
    }
}

/// Commands with arguments that only SMTP has.
fn is_proof(command: &Command<'_>) -> bool {
    let path = |prefix: &[u8]| {
        let start = command.argument.get(..prefix.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    match command.verb.as_str() {
        "EHLO" | "HELO" => {
            let name = line::word(command.argument);
            !name.is_empty()
                && name.len() == command.argument.len()
                && name.iter().all(u8::is_ascii_graphic)
        }
        "MAIL" => path(b"FROM:"),
        "RCPT" => path(b"TO:"),
        "X-ANONYMOUSTLS" => command.argument.is_empty(),
        "X-EXPS" | "XEXCH50" | "X-LINK2STATE" => !command.argument.is_empty(),
        _ => false,
    }
}

fn is_greeting(reply: &Reply<'_>) -> bool {
    matches!(reply.code, 220 | 421 | 554)
}

fn says_smtp(text: &[u8]) -> bool {
    text.windows(4)
        .any(|word| word.eq_ignore_ascii_case(b"SMTP"))
}

/// Replies at the start of one side, as far as they are there.
fn replies(bytes: &[u8]) -> Look {
    let mut greeted = false;
    let mut first = true;
    for line in bytes.split(|&byte| byte == b'\n').map(trimmed) {
        let Some(reply) = Reply::parse(line) else {
            break;
        };
        let status = reply.has_status();
        let proof = match reply.code {
            220 | 421 | 554 if first && says_smtp(reply.text) => true,
            // The second answer of an SMTP server is to EHLO; that of an FTP server asks for a password.
            250 => greeted || status || is_keyword(&reply),
            220 | 221 | 354 | 400..=599 => status,
            _ => false,
        };
        if proof {
            return Look::Sure;
        }
        greeted = reply.code == 220 && !reply.more;
        first = false;
    }
    match Reply::parse(trimmed(
        bytes
            .split(|&byte| byte == b'\n')
            .next()
            .unwrap_or_default(),
    )) {
        Some(reply) if matches!(reply.code, 220 | 250) => Look::Greeting,
        _ => Look::Other,
    }
}

/// Lines of an answer to EHLO that no other protocol sends.
fn is_keyword(reply: &Reply<'_>) -> bool {
    let keyword = line::word(reply.text);
    [
        &b"PIPELINING"[..],
        b"8BITMIME",
        b"ENHANCEDSTATUSCODES",
        b"STARTTLS",
        b"X-ANONYMOUSTLS",
        b"CHUNKING",
        b"SMTPUTF8",
        b"XEXCH50",
    ]
    .into_iter()
    .any(|known| known.eq_ignore_ascii_case(keyword))
}

fn trimmed(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Whether `bytes` begin with a command or a reply, after a gap in a connection that is known to be SMTP.
pub(super) fn is_line(bytes: &[u8]) -> bool {
    let end = memchr(b'\n', bytes).unwrap_or(bytes.len());
    let line = trimmed(bytes.get(..end).unwrap_or_default());
    Reply::parse(line).is_some() || Command::parse(line).is_some()
}
