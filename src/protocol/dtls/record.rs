//! The record layer of DTLS (RFC 6347 section 4.1, RFC 9147 section 4) and the fragments of handshake messages.

use arrayvec::ArrayVec;

use super::super::tls::{Alert, Content, DTLS_DRAFT, Kind, u24};
use crate::bytes::Cursor;
use crate::protocol::{Datagram, Reject};

/// RFC 6347 section 4.1: 2^14 bytes, and 2048 of expansion.
const MAX_RECORD: usize = (1 << 14) + 2048;
/// Least bytes of an encrypted record: a nonce and a tag of eight bytes each.
const MIN_ENCRYPTED: usize = 16;
/// Records of one datagram: a flight of small messages each in its own.
const MAX_RECORDS: usize = 16;
/// Bytes of one handshake message: a chain of certificates and a list of issuers need some thousands.
pub(super) const MAX_MESSAGE: usize = 64 * 1024;
/// Epochs that a flow whose handshake was not captured may have reached: each handshake makes one.
const MAX_BLIND_EPOCH: u16 = 255;
/// Acknowledgements of DTLS 1.3 (RFC 9147 section 7), and records with a connection identifier (RFC 9146).
const ACK: Content = Content(26);
const CONNECTION_ID: Content = Content(25);

/// CAPWAP's preamble for DTLS: version 0, type 1, and a reserved zero (RFC 5415 section 4.2).
const CAPWAP: [u8; 4] = [CAPWAP_FIRST, 0, 0, 0];
pub(super) const CAPWAP_FIRST: u8 = 1;

/// The records of a datagram.
#[derive(Debug)]
pub(super) struct Records<'a> {
    pub(super) records: ArrayVec<Record<'a>, MAX_RECORDS>,
    /// Encrypted records of DTLS 1.3 follow; the low bits of their epoch.
    pub(super) unified: Option<u8>,
}

impl<'a> Records<'a> {
    /// Reads the records that fill a datagram. A flow that is not `proven` is held to more.
    pub(super) fn parse(datagram: Datagram<'a>, proven: bool) -> Result<Self, Reject> {
        let (mut rest, mut left) = match datagram.bytes.strip_prefix(&CAPWAP) {
            Some(rest) => (rest, datagram.wire_len.saturating_sub(CAPWAP.len())),
            None => (datagram.bytes, datagram.wire_len),
        };
        let mut records = ArrayVec::new();
        while left > 0 {
            if rest.is_empty() && datagram.is_cut() && !records.is_empty() {
                break;
            }
            let remainder = Datagram {
                bytes: rest,
                wire_len: left,
            };
            if !records.is_empty()
                && let Some(epoch) = unified(remainder)
            {
                let unified = Some(epoch);
                return Ok(Self { records, unified });
            }
            let record = Record::parse(remainder, proven)?;
            left = left.saturating_sub(record.total());
            rest = rest.get(record.total()..).unwrap_or_default();
            if record.content == CONNECTION_ID {
                left = 0;
            }
            if records.try_push(record).is_err() {
                return Err(Reject::Invalid("records"));
            }
        }
        let unified = None;
        Ok(Self { records, unified })
    }
}

/// One record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    pub(super) content: Content,
    pub(super) epoch: u16,
    length: usize,
    /// As far as it was captured.
    body: &'a [u8],
    is_cut: bool,
}

impl<'a> Record<'a> {
    const HEADER: usize = 13;

    fn parse(datagram: Datagram<'a>, proven: bool) -> Result<Self, Reject> {
        let mut cursor = Cursor::new(datagram.bytes);
        let content = Content(cursor.u8()?);
        let version = cursor.u16()?;
        let epoch = cursor.u16()?;
        let sequence_high = cursor.u16()?;
        cursor.skip(4)?;
        let length = usize::from(cursor.u16()?);
        let is_version = matches!(version, 0xfefd | 0xfeff) || version == DTLS_DRAFT;
        if content == CONNECTION_ID {
            // Its length stands behind an identifier whose own length only the hellos say.
            return if proven && is_version {
                Ok(Self::blind(content, datagram))
            } else {
                Err(Reject::Other)
            };
        }
        if !is_version || length > MAX_RECORD {
            return Err(Reject::Other);
        }
        let body = cursor.rest();
        let record = Self {
            content,
            epoch,
            length,
            body: body.get(..length).unwrap_or(body),
            is_cut: body.len() < length,
        };
        if record.total() > datagram.wire_len || (record.is_cut && !datagram.is_cut()) {
            return Err(Reject::Invalid("record length"));
        }
        let is_plausible =
            proven || (version != DTLS_DRAFT && epoch <= MAX_BLIND_EPOCH && sequence_high == 0);
        let is_sane = match epoch {
            0 => record.is_clear(version, proven),
            _ => {
                is_plausible
                    && length >= MIN_ENCRYPTED
                    && (content.name().is_some() || (proven && content == ACK))
            }
        };
        if is_sane {
            Ok(record)
        } else {
            Err(Reject::Invalid("record"))
        }
    }

    const fn blind(content: Content, datagram: Datagram<'a>) -> Self {
        Self {
            content,
            epoch: 1,
            length: datagram.wire_len.saturating_sub(Self::HEADER),
            body: &[],
            is_cut: true,
        }
    }

    const fn total(&self) -> usize {
        Self::HEADER.saturating_add(self.length)
    }

    /// Whether its content in clear is what its type says.
    fn is_clear(&self, version: u16, proven: bool) -> bool {
        match self.content {
            Content::CHANGE_CIPHER_SPEC => match self.body {
                [1] => self.length == 1,
                // Before RFC 4347 a message number followed.
                [1, _, _] => version == DTLS_DRAFT && proven && self.length == 3,
                _ => false,
            },
            Content::ALERT => self.alert().is_some(),
            Content::HANDSHAKE => {
                self.length >= Fragment::HEADER && self.fragments().all(|fragment| fragment.is_ok())
            }
            ACK => proven,
            _ => false,
        }
    }

    /// Level and description of an alert in clear.
    pub(super) fn alert(&self) -> Option<(&'static str, &'static str)> {
        let &[level, description] = self.body else {
            return None;
        };
        let level = match level {
            1 => "warning",
            2 => "fatal",
            _ => return None,
        };
        let description = Alert(description).name()?;
        (self.length == 2).then_some((level, description))
    }

    /// The fragments of handshake messages in it, until one does not fit.
    pub(super) fn fragments(&self) -> impl Iterator<Item = Result<Fragment<'a>, Reject>> {
        let mut cursor = Cursor::new(self.body);
        let is_cut = self.is_cut;
        std::iter::from_fn(move || {
            if cursor.is_empty() {
                return None;
            }
            let fragment = Fragment::parse(&mut cursor, is_cut);
            if fragment.is_err() {
                cursor = Cursor::new(&[]);
            }
            Some(fragment)
        })
    }
}

/// A handshake message, or a part of one (RFC 6347 section 4.2.2).
#[derive(Clone, Copy, Debug)]
pub(super) struct Fragment<'a> {
    pub(super) kind: Kind,
    /// Bytes of the whole message.
    pub(super) length: usize,
    pub(super) sequence: u16,
    pub(super) offset: usize,
    pub(super) body: &'a [u8],
}

impl<'a> Fragment<'a> {
    const HEADER: usize = 12;

    fn parse(cursor: &mut Cursor<'a>, is_cut: bool) -> Result<Self, Reject> {
        let kind = Kind(cursor.u8()?);
        let length = u24(cursor)?;
        let sequence = cursor.u16()?;
        let offset = u24(cursor)?;
        let here = u24(cursor)?;
        let is_inside = offset.checked_add(here).is_some_and(|end| end <= length);
        let is_some = here > 0 || length == 0;
        if kind.name().is_none() || !is_inside || !is_some || length > MAX_MESSAGE {
            return Err(Reject::Invalid("handshake message"));
        }
        let body = match cursor.take(here) {
            Ok(body) => body,
            Err(_) if is_cut => cursor.take(cursor.len())?,
            Err(short) => return Err(short.into()),
        };
        Ok(Self {
            kind,
            length,
            sequence,
            offset,
            body,
        })
    }
}

/// The low bits of the epoch of an encrypted record of DTLS 1.3 (RFC 9147 section 4), if a datagram can begin with one.
pub(super) fn unified(datagram: Datagram<'_>) -> Option<u8> {
    let mut cursor = Cursor::new(datagram.bytes);
    let first = cursor.u8().ok()?;
    let (has_id, is_long, has_length) = (first & 0x10 != 0, first & 8 != 0, first & 4 != 0);
    if first >> 5 != 1 {
        return None;
    }
    let sequence = if is_long { 2 } else { 1 };
    if !has_id && has_length {
        cursor.skip(sequence).ok()?;
        let length = usize::from(cursor.u16().ok()?);
        let end = cursor.offset().saturating_add(length);
        return (length >= MIN_ENCRYPTED && end <= datagram.wire_len).then_some(first & 3);
    }
    (datagram.wire_len >= MIN_ENCRYPTED.saturating_add(sequence)).then_some(first & 3)
}
