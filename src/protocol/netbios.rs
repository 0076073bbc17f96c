//! NetBIOS names as they stand on the wire (RFC 1001 section 14.1): sixteen octets, each written as two letters.
//!
//! A helper for decoders, no protocol of its own.

use super::Reject;
use crate::bytes::Cursor;

/// Letters of an encoded name.
const ENCODED: u8 = 32;
/// Octets of a name: fifteen characters and its kind.
const OCTETS: usize = 16;
/// Octets of a label (RFC 1002 section 4.1).
const MAX_LABEL: u8 = 63;

/// A name and its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name([u8; OCTETS]);

impl Name {
    /// A name that is not encoded.
    pub(super) const fn plain(octets: &[u8; OCTETS]) -> Self {
        Self(*octets)
    }

    /// Reads an encoded name and passes over its scope.
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Reject> {
        let label = cursor.u8()?;
        // Scanners send longer labels, to see who reads past the sixteenth octet.
        let more = label.checked_sub(ENCODED).filter(|_| label <= MAX_LABEL);
        let more = more.ok_or(Reject::Other)?;
        let letters = cursor.array::<{ ENCODED as usize }>()?;
        let mut octets = [0; OCTETS];
        let (pairs, _) = letters.as_chunks::<2>();
        for (octet, &[high, low]) in octets.iter_mut().zip(pairs) {
            *octet = nibble(high)? << 4 | nibble(low)?;
        }
        cursor.skip(more.into())?;
        // The scope.
        loop {
            match cursor.u8()? {
                0 => return Ok(Self(octets)),
                label if label <= MAX_LABEL => {
                    let label = cursor.take(label.into())?;
                    if !label.iter().all(u8::is_ascii_graphic) {
                        return Err(Reject::Invalid("scope"));
                    }
                }
                _ => return Err(Reject::Invalid("scope")),
            }
        }
    }

    /// Whether `bytes`, which the capture cuts, begin an encoded name.
    pub(super) fn begins(bytes: &[u8]) -> bool {
        match bytes {
            [ENCODED, letters @ ..] => letters
                .iter()
                .take(ENCODED.into())
                .all(|letter| nibble(*letter).is_ok()),
            _ => bytes.is_empty(),
        }
    }

    /// The last octet: what bears the name (00 a workstation, 20 a file server, 1b, 1c, 1d, 1e of a domain or workgroup).
    pub(super) const fn kind(&self) -> u8 {
        let [.., kind] = self.0;
        kind
    }

    /// The name without padding, or `None` where it is not printable.
    pub(super) fn text(&self) -> Option<String> {
        let [text @ .., _] = &self.0;
        let text = text.trim_ascii_end();
        let end = memchr::memchr(0, text).unwrap_or(text.len());
        let text = text.get(..end).unwrap_or_default();
        let is_plain = text.iter().all(|byte| !byte.is_ascii_control());
        (is_plain && !text.is_empty()).then(|| String::from_utf8_lossy(text).into_owned())
    }

    /// The name with its kind in the usual form: `MBX1<20>`.
    pub(super) fn shown(&self) -> Option<String> {
        Some(format!("{}<{:02x}>", self.text()?, self.kind()))
    }

    /// The name of a host, in lower case, where the name is one that a host alone bears.
    pub(super) fn host(&self) -> Option<Box<str>> {
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let text = self.text()?;
        (matches!(self.kind(), 0 | 0x20) && text.bytes().all(is_host))
            .then(|| text.to_ascii_lowercase().into())
    }
}

/// The value of a letter.
fn nibble(letter: u8) -> Result<u8, Reject> {
    match letter {
        b'A'..=b'P' => Ok(letter.wrapping_sub(b'A')),
        _ => Err(Reject::Other),
    }
}

/// The sixteen octets of `name` and `kind`, encoded, without scope.
#[cfg(test)]
pub(super) fn encoded(name: &str, kind: u8) -> Vec<u8> {
    let mut octets = format!("{name:<15}").into_bytes();
    octets.push(kind);
    let letters = octets
        .iter()
        .flat_map(|octet| [b'A' + (octet >> 4), b'A' + (octet & 15)]);
    std::iter::once(ENCODED)
        .chain(letters)
        .chain(std::iter::once(0))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_with_kind_and_scope() {
        let mut bytes = encoded("MBX1", 0x20);
        bytes.pop();
        bytes.extend_from_slice(b"\x03lab\0rest");
        let mut cursor = Cursor::new(&bytes);
        let name = Name::parse(&mut cursor).unwrap();
        assert_eq!(name.shown().as_deref(), Some("MBX1<20>"));
        assert_eq!(name.host().as_deref(), Some("mbx1"));
        assert_eq!(cursor.rest(), b"rest");
    }

    #[test]
    fn other_labels_and_unprintable_names_are_refused() {
        for bytes in [&b"\x03www\0"[..], &[b' '; 40], &[0; 40], b"\x20ABC"] {
            assert!(Name::parse(&mut Cursor::new(bytes)).is_err());
        }
        let browsers = Name::plain(b"\x01\x02__MSBROWSE__\x02\x01");
        assert_eq!(browsers.shown(), None);
        let any = Name::plain(b"*\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        assert_eq!(any.shown().as_deref(), Some("*<00>"));
        assert_eq!(any.host(), None);
    }
}
