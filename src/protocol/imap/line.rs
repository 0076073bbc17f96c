//! Lines of IMAP: commands, responses and literals (RFC 9051 §9).

use memchr::memchr;

use crate::protocol::text;

/// Longest tag that is believed; clients use a few characters.
const MAX_TAG: usize = 32;

/// Verbs with arguments, and whether they must have some: RFC 9051, RFC 3501, RFC 2971, RFC 9208, RFC 4314, RFC 5256, RFC
/// 6851, and the XLIST of Gmail.
const VERBS: &[(&str, bool)] = &[
    ("CAPABILITY", false),
    ("NOOP", false),
    ("LOGOUT", false),
    ("STARTTLS", false),
    ("IDLE", false),
    ("NAMESPACE", false),
    ("CHECK", false),
    ("CLOSE", false),
    ("EXPUNGE", false),
    ("UNSELECT", false),
    ("LOGIN", true),
    ("AUTHENTICATE", true),
    ("ENABLE", true),
    ("ID", true),
    ("SELECT", true),
    ("EXAMINE", true),
    ("CREATE", true),
    ("DELETE", true),
    ("RENAME", true),
    ("SUBSCRIBE", true),
    ("UNSUBSCRIBE", true),
    ("LIST", true),
    ("LSUB", true),
    ("XLIST", true),
    ("STATUS", true),
    ("APPEND", true),
    ("SEARCH", true),
    ("SORT", true),
    ("THREAD", true),
    ("FETCH", true),
    ("STORE", true),
    ("COPY", true),
    ("MOVE", true),
    ("UID", true),
    ("GETQUOTA", true),
    ("GETQUOTAROOT", true),
    ("SETQUOTA", true),
    ("GETACL", true),
    ("SETACL", true),
    ("MYRIGHTS", true),
    ("GETMETADATA", true),
    ("COMPRESS", true),
];

/// Whether a tag may begin with that byte: a stricter set than the grammar's, which clients keep to.
pub(super) fn is_tag_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

fn tag(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (tag, rest) = text::split_word(line);
    let is_tag = (1..=MAX_TAG).contains(&tag.len()) && tag.iter().copied().all(is_tag_byte);
    is_tag.then_some((tag, rest))
}

/// A command of the client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Command<'a> {
    pub(super) tag: &'a [u8],
    pub(super) verb: &'static str,
    pub(super) argument: &'a [u8],
}

impl<'a> Command<'a> {
    /// A tag, a known verb, and arguments where the verb takes them.
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        let (tag, rest) = tag(line)?;
        let (word, argument) = text::split_word(rest);
        let &(verb, takes) = VERBS
            .iter()
            .find(|(verb, _)| verb.as_bytes().eq_ignore_ascii_case(word))?;
        let fits = takes != argument.trim_ascii().is_empty() && text::is_plain(line);
        fits.then_some(Self {
            tag,
            verb,
            argument,
        })
    }

    /// No other protocol has it in this form.
    pub(super) fn is_proof(&self) -> bool {
        let (word, _) = text::split_word(self.argument);
        match self.verb {
            "CAPABILITY" | "LSUB" | "XLIST" | "NAMESPACE" | "UNSELECT" | "GETQUOTAROOT" => true,
            "UID" => [&b"FETCH"[..], b"STORE", b"SEARCH", b"COPY", b"MOVE"]
                .iter()
                .any(|verb| verb.eq_ignore_ascii_case(word)),
            _ => false,
        }
    }
}

/// A response of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Response<'a> {
    /// Untagged `OK`, `PREAUTH` or `BYE`, without that word.
    Greeting(&'a [u8]),
    /// What follows the asterisk.
    Untagged(&'a [u8]),
    /// What follows the plus sign.
    Continue(&'a [u8]),
    /// The end of a command.
    Tagged {
        tag: &'a [u8],
        /// `OK`, `NO` or `BAD`.
        status: &'static str,
        text: &'a [u8],
    },
}

impl<'a> Response<'a> {
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        match line {
            [b'*', b' ', rest @ ..] => {
                let (word, after) = text::split_word(rest);
                let greets = [&b"OK"[..], b"PREAUTH", b"BYE"]
                    .iter()
                    .any(|status| status.eq_ignore_ascii_case(word));
                Some(match greets {
                    true => Self::Greeting(after),
                    false => Self::Untagged(rest),
                })
            }
            [b'+'] => Some(Self::Continue(&[])),
            [b'+', b' ', rest @ ..] => Some(Self::Continue(rest)),
            _ => {
                let (tag, rest) = tag(line)?;
                let (word, text) = text::split_word(rest);
                let status = ["OK", "NO", "BAD"]
                    .into_iter()
                    .find(|status| status.as_bytes().eq_ignore_ascii_case(word))?;
                Some(Self::Tagged { tag, status, text })
            }
        }
    }

    /// No other protocol has it in this form.
    pub(super) fn is_proof(&self) -> bool {
        match self {
            Self::Greeting(text) => {
                text::holds(text, b"IMAP") || text::begins(text, b"[CAPABILITY ")
            }
            Self::Untagged(rest) => {
                let (word, after) = text::split_word(rest);
                let (second, last) = text::split_word(after);
                let is = |known: &[u8], word: &[u8]| known.eq_ignore_ascii_case(word);
                if !word.is_empty() && word.iter().all(u8::is_ascii_digit) {
                    return match last {
                        [] => {
                            is(b"EXISTS", second) || is(b"RECENT", second) || is(b"EXPUNGE", second)
                        }
                        [b'(', ..] => is(b"FETCH", second),
                        _ => false,
                    };
                }
                (is(b"CAPABILITY", word) && text::holds(after, b"IMAP4"))
                    || ((is(b"FLAGS", word) || is(b"LIST", word) || is(b"LSUB", word))
                        && after.starts_with(b"("))
            }
            Self::Continue(_) | Self::Tagged { .. } => false,
        }
    }
}

/// Bytes of the literal that a line announces at its end: `{12}`, `{12+}` (RFC 7888), `~{12}` (RFC 3516).
pub(super) fn literal(line: &[u8]) -> Option<u64> {
    let line = line.strip_suffix(b"}")?;
    let line = line.strip_suffix(b"+").unwrap_or(line);
    let open = line.iter().rposition(|&byte| byte == b'{')?;
    let digits = line.get(open..)?.strip_prefix(b"{")?;
    // RFC 9051 §4.3: at most 2^63 - 1; no message is that long.
    if digits.is_empty() || digits.len() > 12 {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The response code at the start of `text`, without its brackets, and what follows it.
pub(super) fn code(text: &[u8]) -> (&[u8], &[u8]) {
    let inner = text.strip_prefix(b"[");
    let parts = inner.and_then(|inner| {
        let (code, rest) = inner.split_at_checked(memchr(b']', inner)?)?;
        Some((code, rest.strip_prefix(b"]").unwrap_or(rest)))
    });
    parts.unwrap_or((&[], text))
}

/// `text` without its response code.
pub(super) fn without_code(text: &[u8]) -> &[u8] {
    code(text).1
}

/// Name and version in the list of ID, RFC 2971 §3.3; other fields may name persons.
pub(super) fn product(list: &[u8]) -> String {
    let mut strings = list.split(|&byte| byte == b'"').skip(1).step_by(2);
    let (mut name, mut version) = (String::new(), String::new());
    while let (Some(key), Some(value)) = (strings.next(), strings.next()) {
        let value = String::from_utf8_lossy(value);
        if key.eq_ignore_ascii_case(b"name") {
            name = value.into_owned();
        } else if key.eq_ignore_ascii_case(b"version") {
            version = value.into_owned();
        }
    }
    format!("{name} {version}").trim().to_owned()
}
