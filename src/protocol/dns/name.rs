//! Domain names (RFC 1035 section 3.1 and 4.1.4).

use std::fmt::Write as _;

use super::super::{Reject, text};
use crate::bytes::Cursor;

/// Octets of a name on the wire (RFC 1035 section 2.3.4).
const MAX_OCTETS: usize = 255;
/// Octets that most names have at most.
const USUAL_OCTETS: usize = 64;

/// Walks the name at `start` in `message`, and shows its labels to `label`. Returns the offset behind it.
///
/// Every pointer must point before the part that holds it, so that loops cannot be expressed.
pub(super) fn walk<'a>(
    message: &'a [u8],
    start: usize,
    mut label: impl FnMut(&'a [u8]),
) -> Result<usize, Reject> {
    let mut part = start;
    let mut behind = None;
    let mut octets = 0_usize;
    let mut cursor = Cursor::new(message);
    cursor.skip(start)?;
    loop {
        let length = cursor.u8()?;
        match length >> 6 {
            0 if length == 0 => return Ok(behind.unwrap_or(cursor.offset())),
            0 => {
                let there = cursor.rest();
                // What is there of a label that the capture cuts is shown as well.
                let taken = cursor.take(usize::from(length));
                label(taken.as_ref().unwrap_or(&there));
                taken?;
                octets = octets.saturating_add(usize::from(length)).saturating_add(1);
                if octets >= MAX_OCTETS {
                    return Err(Reject::Invalid("name length"));
                }
            }
            3 => {
                let target = usize::from(u16::from_be_bytes([length & 0x3f, cursor.u8()?]));
                behind.get_or_insert(cursor.offset());
                if target >= part {
                    return Err(Reject::Invalid("name pointer"));
                }
                part = target;
                cursor = Cursor::new(message);
                cursor.skip(target)?;
            }
            // Extended labels were never used (RFC 6891 section 5).
            _ => return Err(Reject::Invalid("label type")),
        }
    }
}

/// The offset behind the name at `start`.
pub(super) fn skip(message: &[u8], start: usize) -> Result<usize, Reject> {
    walk(message, start, |_| {})
}

/// The name at `start` as text: lower case, without the final dot, `.` for the root; octets that are no printable ASCII
/// and no UTF-8, and dots inside labels, are written as `\DDD` (RFC 1035 section 5.1).
pub(in crate::protocol) fn read(message: &[u8], start: usize) -> Result<(String, usize), Reject> {
    let mut name = String::with_capacity(USUAL_OCTETS);
    let behind = walk(message, start, |label| {
        if !name.is_empty() {
            name.push('.');
        }
        match std::str::from_utf8(label) {
            Ok(text) if !text.chars().any(|c| c == '.' || c.is_control()) => {
                let start = name.len();
                name.push_str(text);
                if let Some(added) = name.get_mut(start..) {
                    added.make_ascii_lowercase();
                }
            }
            _ => label.iter().for_each(|&byte| escape(byte, &mut name)),
        }
    })?;
    if name.is_empty() {
        name.push('.');
    }
    Ok((name, behind))
}

fn escape(byte: u8, name: &mut String) {
    if byte.is_ascii_graphic() && byte != b'.' {
        name.push(char::from(byte.to_ascii_lowercase()));
    } else {
        // Writing to a string cannot fail.
        let _ = write!(name, "\\{byte:03}");
    }
}

/// Octets of a cut name that are beyond chance.
const TELLING: usize = 8;

/// Whether what is there of a cut name is that of a host or service: letters, digits, hyphens and underscores; under
/// multicast any text (RFC 6763 section 4.1.1).
pub(super) fn begins(message: &[u8], start: usize, multicast: bool) -> bool {
    let mut octets = 0_usize;
    let mut sane = true;
    let is_host = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let _ = walk(message, start, |label| {
        sane &= label.iter().all(is_host) || (multicast && text::is_plain(label));
        octets = octets.saturating_add(label.len());
    });
    sane && octets >= TELLING && !is_netbios(message, start)
}

/// Whether the name at `start` begins with a half-ASCII encoded NetBIOS name (RFC 1001 section 14.1), or with a longer
/// label of that kind, as scanners send.
pub(super) fn is_netbios(message: &[u8], start: usize) -> bool {
    const ENCODED: u8 = 32;
    let mut cursor = Cursor::new(message);
    let length = cursor.skip(start).and_then(|()| cursor.u8());
    length.is_ok_and(|length| length >= ENCODED)
        && cursor
            .take(usize::from(ENCODED))
            .is_ok_and(|label| label.iter().all(|byte| (b'A'..=b'P').contains(byte)))
}
