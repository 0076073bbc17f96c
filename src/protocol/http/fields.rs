//! Header fields (RFC 9110 §5), as HTTP and its relatives write them.

use std::borrow::Cow;

/// Fields of one message: servers accept about a hundred.
pub(super) const MAX_FIELDS: usize = 128;

/// The fields of one head.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Fields<'a>(Vec<(&'a str, &'a [u8])>);

impl<'a> Fields<'a> {
    /// Reads the lines that follow a first line: up to the empty one, or up to one that is no field or not whole.
    pub(in crate::protocol) fn parse(lines: &'a [u8]) -> Self {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        // What was read before the line that stops it stands.
        let _stopped = httparse::parse_headers(lines, &mut fields);
        Self::of(&fields)
    }

    /// Takes over what `httparse` read.
    pub(super) fn of(fields: &[httparse::Header<'a>]) -> Self {
        let read = fields.iter().filter(|field| !field.name.is_empty());
        Self(read.map(|field| (field.name, field.value)).collect())
    }

    /// All of them, in their order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + '_ {
        self.0
            .iter()
            .map(|(name, value)| (*name, value.trim_ascii()))
    }

    /// The first field of that name, in whatever case.
    pub(in crate::protocol) fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The first field of that name that is not empty, as text.
    pub(in crate::protocol) fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        self.get(name)
            .filter(|value| !value.is_empty())
            .map(String::from_utf8_lossy)
    }

    /// The length of the body, where the sender says it.
    pub(in crate::protocol) fn content_length(&self) -> Option<u64> {
        std::str::from_utf8(self.get("content-length")?)
            .ok()?
            .parse()
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_before_a_broken_or_missing_line_stand() {
        let fields = Fields::parse(b"A: 1\r\nb:  two \r\nc: cut");
        assert_eq!(fields.text("a").as_deref(), Some("1"));
        assert_eq!(fields.get("B"), Some(&b"two"[..]));
        assert_eq!(fields.get("c"), None);
        assert_eq!(fields.text("d"), None);
    }
}
