//! Reading of BER and DER elements (ITU-T X.690) as LDAP and Kerberos use them: tags of one octet, definite lengths in any
//! form. A helper for decoders, no protocol of its own; it knows no schema.

use asn1_rs::{FromBer, Header};

use super::Reject;
use crate::bytes::{Cursor, Short};

/// Octets of identifier and length: longer lengths than four octets exceed anything that these protocols send.
/// Windows writes `84 xx xx xx xx` for all lengths, which BER allows.
const MAX_HEADER: usize = 6;

/// An element: its tag, and of its contents what is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element<'a> {
    /// Identifier octet.
    pub(super) tag: u8,
    /// Contents; fewer than `length` octets where the bytes end before.
    pub(super) contents: &'a [u8],
    /// Length of the contents as claimed.
    pub(super) length: usize,
    /// Octets of identifier and length.
    pub(super) header: usize,
}

impl<'a> Element<'a> {
    /// Reads the element that `cursor` is at, and passes over it.
    pub(super) fn parse(cursor: &mut Cursor<'a>) -> Result<Self, Reject> {
        let before = cursor.len();
        let Some(tag) = cursor.peek() else {
            return Err(Short {
                offset: cursor.offset(),
                missing: 1,
            }
            .into());
        };
        if tag & 0x1f == 0x1f {
            return Err(Reject::Invalid("tag of several octets"));
        }
        let (rest, parsed) = Header::from_ber(cursor.rest()).map_err(|error| match error {
            asn1_rs::Err::Incomplete(_) => Reject::Short(Short {
                offset: cursor.offset(),
                missing: 1,
            }),
            asn1_rs::Err::Error(_) | asn1_rs::Err::Failure(_) => Reject::Invalid("length form"),
        })?;
        let header = before.saturating_sub(rest.len());
        let length = parsed
            .length()
            .definite()
            .map_err(|_| Reject::Invalid("length form"))?;
        if header > MAX_HEADER {
            return Err(Reject::Invalid("length form"));
        }
        cursor.skip(header)?;
        let there = length.min(cursor.len());
        Ok(Self {
            tag,
            contents: cursor.take(there)?,
            length,
            header,
        })
    }

    /// The same, for an element that must have this tag.
    pub(super) fn expect(cursor: &mut Cursor<'a>, tag: u8) -> Result<Self, Reject> {
        let element = Self::parse(cursor)?;
        if element.tag == tag {
            Ok(element)
        } else {
            Err(Reject::Invalid("tag"))
        }
    }

    /// Octets of the whole element.
    pub(super) const fn total(&self) -> usize {
        self.header.saturating_add(self.length)
    }

    /// Whether the bytes end inside it.
    pub(super) const fn is_cut(&self) -> bool {
        self.contents.len() < self.length
    }

    /// A cursor over the contents.
    pub(super) const fn cursor(&self) -> Cursor<'a> {
        Cursor::new(self.contents)
    }

    /// The elements inside, as far as they can be read.
    pub(super) fn children(&self) -> impl Iterator<Item = Element<'a>> + use<'a> {
        let mut cursor = self.cursor();
        std::iter::from_fn(move || Element::parse(&mut cursor).ok())
    }

    /// The value of a whole INTEGER or ENUMERATED that is not negative and fits.
    pub(super) fn number(&self) -> Option<u64> {
        let sane = !self.is_cut() && (1..=9).contains(&self.length);
        let is_negative = self.contents.first().is_some_and(|byte| byte & 0x80 != 0);
        if !sane || is_negative {
            return None;
        }
        self.contents.iter().try_fold(0_u64, |value, &byte| {
            value.checked_mul(256)?.checked_add(u64::from(byte))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(bytes: &[u8]) -> Result<Element<'_>, Reject> {
        Element::parse(&mut Cursor::new(bytes))
    }

    #[test]
    fn long_lengths_need_not_be_minimal() {
        let whole = element(&[4, 0x84, 0, 0, 0, 1, 9]).unwrap();
        assert_eq!((whole.contents, whole.total()), (&[9][..], 7));
    }

    #[test]
    fn indefinite_lengths_and_long_tags_are_refused() {
        assert!(element(&[0x30, 0x80, 0, 0]).is_err());
        assert!(element(&[0x3f, 0x81, 1, 0]).is_err());
        assert!(element(&[0x30, 0x85, 0, 0, 0, 0, 1]).is_err());
    }

    #[test]
    fn a_cut_element_keeps_what_is_there_and_gives_no_number() {
        let cut = element(&[2, 2, 1]).unwrap();
        assert!(cut.is_cut());
        assert_eq!(cut.number(), None);
        assert_eq!(element(&[2, 2, 1, 0]).unwrap().number(), Some(256));
        assert_eq!(element(&[2, 1, 0x80]).unwrap().number(), None);
    }
}
