//! Messages under a SASL security layer (RFC 4422 section 3.7): four octets of length, then a token of the mechanism.

use super::super::Reject;
use super::message::Message;
use crate::bytes::{Cursor, Short};

/// A wrapped message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wrapped {
    /// Octets, the length before it included.
    pub(super) total: usize,
    /// Whether it is encrypted, not only signed.
    pub(super) sealed: bool,
}

/// Whether `bytes`, from the middle of a connection, are wrapped messages to their end. NTLM's tokens are little more than
/// a version number: there the length must agree with the segment as well.
pub(super) fn is_chain(bytes: &[u8]) -> Result<bool, Reject> {
    let wrapped = Wrapped::parse(bytes)?;
    let is_ntlm = bytes.get(4) == Some(&1);
    let next = match bytes.get(wrapped.total..) {
        Some(next) => next,
        None => return Ok(!is_ntlm),
    };
    Ok(next.is_empty() || !matches!(Wrapped::parse(next), Err(Reject::Other)))
}

/// Octets that a wrapped message may claim (the layer's own limit, RFC 4752 section 3.1).
const MAX_LENGTH: u32 = 0x00ff_ffff;
/// Octets that the shortest token needs.
const LEAST: u32 = 16;
/// Octets of a signature of NTLM (MS-NLMP 2.2.2.9).
const NTLM_SIGNATURE: usize = 16;
/// Kerberos' object identifier, in DER.
const KERBEROS: [u8; 11] = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2];

impl Wrapped {
    /// Octets within which every token shows what it is.
    pub(super) const DECISIVE: usize = 64;

    /// Reads the wrapped message that `bytes` begin with; [`Reject::Short`] where more bytes would tell.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Reject> {
        let mut cursor = Cursor::new(bytes);
        let length = cursor.u32()?;
        if !(LEAST..=MAX_LENGTH).contains(&length) {
            return Err(Reject::Other);
        }
        let length = usize::try_from(length).map_err(|_| Reject::Other)?;
        Ok(Self {
            total: length.saturating_add(4),
            sealed: protection(cursor, length)?,
        })
    }
}

/// Whether a token seals. Tokens that are none are refused.
fn protection(mut cursor: Cursor<'_>, length: usize) -> Result<bool, Reject> {
    let start = cursor;
    match *cursor.array::<4>()? {
        // RFC 4121 section 4.2.6.2: three flags, a filler.
        [5, 4, flags @ 0..=7, 0xff] => Ok(flags & 2 != 0),
        // MS-NLMP 2.2.2.9: version 1, checksum, sequence number. Under signatures alone the message follows in clear.
        [1, 0, 0, 0] => {
            cursor.skip(NTLM_SIGNATURE - 4)?;
            let clear = match Message::parse(cursor.rest()) {
                Ok(message) => message.total == length.saturating_sub(NTLM_SIGNATURE),
                Err(Reject::Short(short)) if cursor.peek() == Some(0x30) => {
                    return Err(Reject::Short(short));
                }
                Err(_) if cursor.is_empty() => {
                    return Err(Reject::Short(Short {
                        offset: NTLM_SIGNATURE,
                        missing: 1,
                    }));
                }
                Err(_) => false,
            };
            Ok(!clear)
        }
        [0x60, ..] => old_kerberos(start),
        _ => Err(Reject::Other),
    }
}

/// RFC 4757 section 7.3: the frame of RFC 2743, then token 02 01, and algorithms; FFFF seals nothing.
fn old_kerberos(mut cursor: Cursor<'_>) -> Result<bool, Reject> {
    cursor.skip(1)?;
    let first = cursor.u8()?;
    if first & 0x80 != 0 {
        cursor.skip(usize::from(first & 0x7f).min(4))?;
    }
    if *cursor.array::<11>()? != KERBEROS {
        return Err(Reject::Other);
    }
    let [token, one, _, _, seal, seal_low, filler, filler_low] = *cursor.array::<8>()?;
    if (token, one, filler, filler_low) != (2, 1, 0xff, 0xff) {
        return Err(Reject::Other);
    }
    Ok((seal, seal_low) != (0xff, 0xff))
}
