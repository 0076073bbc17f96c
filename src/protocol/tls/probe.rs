//! Whether a connection is TLS: by a hello, or in the middle by records that follow each other without a gap.

use super::record::{Content, Record, alert};
use super::{handshake, hello};
use crate::bytes::Cursor;
use crate::protocol::{Opening, Probe, Reject};

/// A hello on either side, or records on either side that follow each other without a gap.
pub(super) fn probe(opening: &Opening<'_>) -> Probe {
    let missing = |side| usize::try_from(opening.missing[side]).unwrap_or(usize::MAX);
    let sides = [opening.first, opening.first.other()]
        .map(|side| look_before(opening.bytes[side], missing(side)));
    let both = sides.iter().filter(|look| **look == Look::Header).count() == 2;
    if both || sides.contains(&Look::Sure) {
        Probe::Yes
    } else if sides.contains(&Look::Header) || sides.contains(&Look::Short) {
        Probe::More
    } else {
        Probe::No
    }
}

/// What the first bytes of one side look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// TLS.
    Sure,
    /// One header, which may be chance.
    Header,
    /// Too few bytes to tell.
    Short,
    /// Something else, or nothing.
    Other,
}

pub(super) fn look(bytes: &[u8]) -> Look {
    look_before(bytes, 0)
}

/// The same where `missing` bytes behind `bytes` are not in the capture.
fn look_before(bytes: &[u8], missing: usize) -> Look {
    if bytes.is_empty() {
        return Look::Other;
    }
    match hello::ssl2(bytes) {
        Ok(Some(_)) => return Look::Sure,
        Err(_) if bytes.first().is_some_and(|byte| byte & 0x80 != 0) => return Look::Short,
        _ => {}
    }
    let mut cursor = Cursor::new(bytes);
    let record = match Record::parse(&mut cursor) {
        Ok(record) => record,
        Err(Reject::Short(_)) if matches!(bytes, [20..=23] | [20..=23, 3, ..]) => {
            return Look::Short;
        }
        Err(_) => return Look::Other,
    };
    if record.content == Content::HANDSHAKE && handshake::begins_with_hello(record.length, cursor) {
        return Look::Sure;
    }
    let mut records: usize = 0;
    let mut rest = bytes;
    loop {
        let mut cursor = Cursor::new(rest);
        match Record::parse(&mut cursor) {
            Ok(next) if next.version == record.version => {
                records = records.saturating_add(1);
                match rest.get(next.total()..) {
                    // A record that ends with the segment: its length is right by chance once in 65,536.
                    Some([]) if next.length >= 17 || records > 1 => return Look::Sure,
                    Some([]) if alert(next, cursor.rest()).is_some() => return Look::Sure,
                    Some([]) => return Look::Header,
                    Some(more) => rest = more,
                    None if records > 1 => return Look::Sure,
                    // The same for one that is cut, by what is missing of its segment.
                    None if next.length >= 17
                        && missing > 0
                        && next.total() == rest.len().saturating_add(missing) =>
                    {
                        return Look::Sure;
                    }
                    None => return Look::Header,
                }
            }
            Err(Reject::Short(_)) if records > 0 => {
                return if records > 1 {
                    Look::Sure
                } else {
                    Look::Header
                };
            }
            _ => return Look::Other,
        }
    }
}
