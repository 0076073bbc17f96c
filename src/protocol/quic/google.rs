//! Google's QUIC before it took over the standard's headers: the public header up to Q043, and the first long headers of
//! Q044 to Q048. Both write the version as text; nothing behind the header is read.

use super::VERSION;
use crate::bytes::Cursor;
use crate::evidence::Notes;

/// Least bytes behind the header of a client's packet: packet number, hash, and a frame.
const MIN_REST: usize = 1 + 12 + 1;

/// The part of a header that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PublicHeader {
    version: [u8; 4],
    is_client: bool,
}

/// Whether the flags of a public header say that a version and a connection identifier follow, and no other bit that
/// later versions gave up is set.
pub(super) const fn has_version(flags: u8) -> bool {
    flags & 0b1100_1011 == 0b0000_1001
}

impl PublicHeader {
    /// The header at the start of a datagram, where it names a version.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(bytes);
        let first = cursor.u8().ok()?;
        if first & 0x80 == 0 {
            return has_version(first).then(|| Self::public(cursor))?;
        }
        let version = *cursor.array().ok()?;
        let number = number(version).filter(|number| (44..=48).contains(number));
        // Lengths of the two identifiers, less three: one of them is left out.
        let is_client = match cursor.u8().ok()? {
            0x50 => true,
            0x05 => false,
            _ => return None,
        };
        number?;
        (cursor.len() >= 8 + MIN_REST).then_some(Self { version, is_client })
    }

    fn public(mut cursor: Cursor<'_>) -> Option<Self> {
        cursor.skip(8).ok()?;
        let mut versions = cursor
            .rest()
            .chunks(4)
            .map(|version| number(*version.first_chunk()?));
        // A server that knows another version only names those that it knows.
        let is_client = versions.len() < 2 || !versions.all(|number| number.is_some());
        let version = *cursor.array().ok()?;
        number(version).filter(|number| (9..=43).contains(number))?;
        (!is_client || cursor.len() >= MIN_REST).then_some(Self { version, is_client })
    }

    /// Notes what it proves.
    pub(super) fn note(&self, notes: &mut Notes<'_>) {
        let side = notes.side();
        notes.proved();
        notes.client(if self.is_client { side } else { side.other() });
        notes.bytes(VERSION, &self.version);
    }
}

/// `Q043` is 43.
fn number(version: [u8; 4]) -> Option<u8> {
    match version {
        [b'Q', b'0', tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => {
            let digit = |digit: u8| digit.saturating_sub(b'0');
            Some(digit(tens).saturating_mul(10).saturating_add(digit(ones)))
        }
        _ => None,
    }
}
