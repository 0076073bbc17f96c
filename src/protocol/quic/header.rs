//! Long headers, which all versions of QUIC share (RFC 8999, RFC 9000 §17.2).

use std::fmt;

use super::super::{Datagram, Reject};
use super::varint;
use crate::bytes::Cursor;

/// Longest connection identifier of the known versions (RFC 9000 §17.2).
const MAX_ID: usize = 20;
/// Least bytes of packet number and ciphertext: header protection takes a sample behind the longest packet number
/// (RFC 9001 §5.4.2).
const MIN_PROTECTED: usize = 4 + 16;
/// Integrity tag of a Retry packet (RFC 9001 §5.8).
const RETRY_TAG: usize = 16;

/// A version of QUIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version(pub(super) u32);

impl Version {
    /// RFC 9000.
    pub(super) const V1: Self = Self(1);
    /// RFC 9369.
    pub(super) const V2: Self = Self(0x6b33_43cf);

    /// The number of the draft, of those whose long headers are the final ones.
    pub(super) fn draft(self) -> Option<u32> {
        let number = self.0.checked_sub(0xff00_0000)?;
        (22..=34).contains(&number).then_some(number)
    }

    /// Whether it is in use and its long headers are those of RFC 9000: standards and drafts, mvfst's own versions, and
    /// Google's last ones.
    fn is_known(self) -> bool {
        const MVFST: std::ops::RangeInclusive<u32> = 0xface_b000..=0xface_b00f;
        matches!(self, Self::V1 | Self::V2)
            || self.draft().is_some()
            || MVFST.contains(&self.0)
            || matches!(&self.0.to_be_bytes(), b"Q050" | b"T050" | b"T051")
    }

    /// Set aside so that peers get used to unknown ones (RFC 9000 §15).
    const fn is_reserved(self) -> bool {
        self.0 & 0x0f0f_0f0f == 0x0a0a_0a0a
    }

    fn is_google(self) -> bool {
        matches!(
            self.0.to_be_bytes(),
            [b'Q' | b'T', b'0', b'0'..=b'9', b'0'..=b'9']
        )
    }

    /// The kind of packet by the two bits of its first byte (RFC 9000 §17.2, RFC 9369 §3.2).
    const fn kind(self, first: u8) -> Kind {
        let bits = first >> 4 & 3;
        let bits = match self {
            Self::V2 => bits.wrapping_sub(1) & 3,
            _ => bits,
        };
        match bits {
            0 => Kind::Initial,
            1 => Kind::ZeroRtt,
            2 => Kind::Handshake,
            _ => Kind::Retry,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (*self, self.draft()) {
            (Self::V1, _) => f.write_str("1"),
            (Self::V2, _) => f.write_str("2"),
            (_, Some(draft)) => write!(f, "draft-{draft}"),
            _ if self.is_google() => f.write_str(&String::from_utf8_lossy(&self.0.to_be_bytes())),
            _ => write!(f, "0x{:08x}", self.0),
        }
    }
}

/// What a packet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Initial,
    ZeroRtt,
    Handshake,
    Retry,
}

/// The header of the packet that a datagram begins with.
#[derive(Clone, Copy, Debug)]
pub(super) struct LongHeader<'a> {
    pub(super) version: Version,
    pub(super) kind: Kind,
    pub(super) destination: &'a [u8],
    /// Of an Initial packet; may be empty.
    pub(super) token: &'a [u8],
    /// Where the packet number starts.
    pub(super) start: usize,
    /// Where the packet ends; beyond the captured bytes where the snap length cut it.
    pub(super) end: usize,
}

impl<'a> LongHeader<'a> {
    /// Reads a header of a known version whose lengths fit the datagram. `may_grease` allows the fixed bit to be cleared,
    /// as the transport parameters of both sides' hellos can agree on (RFC 9287).
    pub(super) fn parse(datagram: Datagram<'a>, may_grease: bool) -> Result<Self, Reject> {
        const LONG: u8 = 0x80;
        const FIXED: u8 = 0x40;
        let mut cursor = Cursor::new(datagram.bytes);
        let first = cursor.u8()?;
        let version = Version(cursor.u32()?);
        let is_fixed = may_grease || first & FIXED != 0;
        if first & LONG == 0 || !is_fixed || !version.is_known() {
            return Err(Reject::Other);
        }
        let (destination, _source) = (id(&mut cursor)?, id(&mut cursor)?);
        let mut header = Self {
            version,
            kind: version.kind(first),
            destination,
            token: &[],
            start: cursor.offset(),
            end: datagram.wire_len,
        };
        match header.kind {
            Kind::Retry => {
                let left = header.end.saturating_sub(header.start);
                return if left > RETRY_TAG {
                    Ok(header)
                } else {
                    Err(Reject::Invalid("length of a retry"))
                };
            }
            Kind::Initial => {
                let length = varint(&mut cursor)?;
                header.token = cursor.take(usize::try_from(length).unwrap_or(usize::MAX))?;
            }
            Kind::ZeroRtt | Kind::Handshake => {}
        }
        let length = usize::try_from(varint(&mut cursor)?).unwrap_or(usize::MAX);
        header.start = cursor.offset();
        header.end = header.start.saturating_add(length);
        if length < MIN_PROTECTED || header.end > datagram.wire_len {
            return Err(Reject::Invalid("length"));
        }
        // Another packet (long or short), or zeros that fill the datagram.
        match datagram.bytes.get(header.end) {
            Some(&next) if next != 0 && next & FIXED == 0 && !may_grease => {
                Err(Reject::Invalid("next packet"))
            }
            _ => Ok(header),
        }
    }
}

fn id<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], Reject> {
    let length = usize::from(cursor.u8()?);
    if length > MAX_ID {
        return Err(Reject::Invalid("connection id"));
    }
    Ok(cursor.take(length)?)
}

/// The versions of a Version Negotiation packet (RFC 9000 §17.2.1), where `datagram` is one: each is known, reserved or
/// Google's, and one at least is known.
pub(super) fn negotiation(
    datagram: Datagram<'_>,
) -> Result<Option<impl Iterator<Item = Version>>, Reject> {
    let mut cursor = Cursor::new(datagram.bytes);
    let first = cursor.u8()?;
    if first & 0x80 == 0 || cursor.u32()? != 0 {
        return Ok(None);
    }
    id(&mut cursor)?;
    id(&mut cursor)?;
    let versions = cursor.rest().chunks_exact(4).map(|bytes| {
        let bytes = bytes.first_chunk().copied().unwrap_or_default();
        Version(u32::from_be_bytes(bytes))
    });
    let is_usual =
        |version: Version| version.is_known() || version.is_reserved() || version.is_google();
    let is_whole = datagram.is_cut() || cursor.len().is_multiple_of(4);
    if is_whole
        && versions.clone().all(is_usual)
        && versions.clone().any(|version| version.is_known())
    {
        Ok(Some(versions))
    } else {
        Err(Reject::Invalid("version negotiation"))
    }
}
