//! Lines of text, as mail and chat protocols send them, and the TLS that such a connection turns to.
//!
//! A helper for decoders, no protocol of its own.

use memchr::memchr;

/// A line without its end.
pub(super) fn trimmed(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The first line of `bytes` where it is whole, without its end, and the length with its end.
pub(super) fn first_line(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let end = memchr(b'\n', bytes)?;
    Some((trimmed(bytes.get(..end)?), end.saturating_add(1)))
}

/// Whether `line` holds no control characters but tabs. Characters beyond ASCII pass: banners have them.
pub(super) fn is_plain(line: &[u8]) -> bool {
    line.iter()
        .all(|&byte| byte == b'\t' || (byte >= 0x20 && byte != 0x7f))
}

/// The first word, and what follows it without the space between.
pub(super) fn split_word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr(b' ', text).unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end).unwrap_or((text, &[]));
    (word, rest.strip_prefix(b" ").unwrap_or(rest))
}

/// Whether `text` begins with `prefix`, in whatever case.
pub(super) fn begins(text: &[u8], prefix: &[u8]) -> bool {
    text.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Whether `text` is a beginning of `whole`, or the other way round: more bytes may tell.
pub(super) fn may_begin(text: &[u8], whole: &[u8]) -> bool {
    let length = text.len().min(whole.len());
    length > 0
        && text
            .get(..length)
            .zip(whole.get(..length))
            .is_some_and(|(text, whole)| text.eq_ignore_ascii_case(whole))
}

/// Whether `text` holds `word`, in whatever case.
pub(super) fn holds(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len().max(1))
        .any(|window| window.eq_ignore_ascii_case(word))
}

/// A text as it may be shown: words with an address are persons.
pub(super) fn without_addresses(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let words = text.split_ascii_whitespace().map(|word| match word {
        word if word.contains('@') => "<address>",
        word => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Where the next line should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A line of text, or a part of one.
    Text,
    /// The first record of TLS.
    Tls,
    /// One byte more will tell.
    Unsure,
}

/// What begins here: text, or TLS. Where a switch was `agreed` any binary byte is its beginning (RFC 8446 §5.1, and the
/// hello of SSL 2.0); where the agreement may be missing from the capture, only a record header.
pub(super) const fn next(bytes: &[u8], agreed: bool) -> Next {
    match bytes {
        [0x16, 3, ..] => Next::Tls,
        [0x16 | 0x80..=0xff, ..] if agreed => Next::Tls,
        [0x16] => Next::Unsure,
        _ => Next::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_with_or_without_a_carriage_return() {
        assert_eq!(first_line(b"a b\r\nc"), Some((&b"a b"[..], 5)));
        assert_eq!(first_line(b"a\n"), Some((&b"a"[..], 2)));
        assert_eq!(first_line(b"a\r"), None);
    }

    #[test]
    fn addresses_are_not_shown() {
        assert_eq!(
            without_addresses(b"no mailbox  anna@contoso.example here"),
            "no mailbox <address> here"
        );
    }

    #[test]
    fn a_record_header_is_tls_whether_or_not_it_was_agreed() {
        assert_eq!(next(&[0x16, 3, 1], false), Next::Tls);
        assert_eq!(next(&[0x16], false), Next::Unsure);
        assert_eq!(next(&[0x16], true), Next::Tls);
        assert_eq!(next(&[0x80, 0x2e], true), Next::Tls);
        assert_eq!(next(&[0x80, 0x2e], false), Next::Text);
    }
}
