//! Whether a connection is IMAP. ACAP and other protocols have tags too: a command or an answer alone proves it only where
//! no other has it, the two together always.

use super::line::{Command, Response, is_tag_byte};
use crate::protocol::{Opening, Probe, text};

/// Longest beginning of a first line that is waited for: longer ones are commands with literals, or something else.
const MAX_START: usize = 1024;

pub(super) fn probe(opening: &Opening<'_>) -> Probe {
    use Look::{Command, Greeting, Other, Response, Short, Sure};
    match (look(opening.spoken()), look(opening.reply())) {
        (Sure, _) | (_, Sure) => Probe::Yes,
        (Greeting, _) if !opening.midstream => Probe::Yes,
        (Greeting | Response, Command) | (Command, Greeting | Response) => Probe::Yes,
        (Short, _) | (_, Short) => Probe::More,
        (Greeting | Response | Command, Other) if opening.reply().is_empty() => Probe::More,
        (Greeting | Response | Command | Other, _) => Probe::No,
    }
}

/// What the first line of one side looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Sure,
    Greeting,
    /// An answer that other protocols may send.
    Response,
    /// A command that other protocols may have.
    Command,
    Short,
    Other,
}

fn look(bytes: &[u8]) -> Look {
    let Some((line, _)) = text::first_line(bytes) else {
        let begins = match bytes {
            [b'*'] | [b'*', b' ', ..] => true,
            [first, ..] => is_tag_byte(*first) && may_be_command(text::trimmed(bytes)),
            [] => false,
        };
        return if begins && bytes.len() < MAX_START && text::is_plain(text::trimmed(bytes)) {
            Look::Short
        } else {
            Look::Other
        };
    };
    if !text::is_plain(line) {
        return Look::Other;
    }
    if let Some(response) = Response::parse(line) {
        return match response {
            _ if response.is_proof() => Look::Sure,
            Response::Greeting(_) => Look::Greeting,
            Response::Continue(_) => Look::Other,
            Response::Untagged(rest) if !is_known(rest) => Look::Other,
            Response::Untagged(_) | Response::Tagged { .. } => Look::Response,
        };
    }
    match Command::parse(line) {
        Some(command) if command.is_proof() => Look::Sure,
        Some(_) => Look::Command,
        None => Look::Other,
    }
}

/// Untagged responses that ACAP does not have, RFC 9051 §7.
fn is_known(rest: &[u8]) -> bool {
    let (word, _) = text::split_word(rest);
    let known = [
        &b"CAPABILITY"[..],
        b"ENABLED",
        b"ESEARCH",
        b"FLAGS",
        b"ID",
        b"LIST",
        b"LSUB",
        b"NAMESPACE",
        b"QUOTA",
        b"QUOTAROOT",
        b"SEARCH",
        b"STATUS",
        b"XLIST",
    ];
    known.iter().any(|known| known.eq_ignore_ascii_case(word))
        || (!word.is_empty() && word.iter().all(u8::is_ascii_digit))
}

/// A tag and the beginning of a word of letters.
fn may_be_command(bytes: &[u8]) -> bool {
    let (tag, rest) = text::split_word(bytes);
    let (word, _) = text::split_word(rest);
    tag.len() <= 32
        && tag.iter().copied().all(is_tag_byte)
        && word.len() <= 12
        && word.iter().all(u8::is_ascii_alphabetic)
}
