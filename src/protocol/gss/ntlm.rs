//! NTLMSSP messages (MS-NLMP §2.2.1): names of hosts and domains, and the version of the sender's operating system.
//!
//! Responses and users are measured, never read.

use super::{MAX_NAME, MAX_NAMES, Token, name};
use crate::bytes::Cursor;

const SIGNATURE: &[u8; 8] = b"NTLMSSP\0";
/// `NTLMSSP_NEGOTIATE_UNICODE`, §2.2.2.5.
const UNICODE: u32 = 1;
/// `NTLMSSP_NEGOTIATE_VERSION`, §2.2.2.5.
const VERSION: u32 = 0x0200_0000;
/// `NTLMSSP_REVISION_W2K3`, §2.2.2.10: the only revision there is.
const REVISION: u8 = 0x0f;

/// Reads one message. `None` where it is none.
pub(super) fn message(bytes: &[u8]) -> Option<Token> {
    let mut cursor = Cursor::new(bytes);
    if cursor.array().ok()? != SIGNATURE {
        return None;
    }
    let kind = cursor.u32_le().ok()?;
    let mut token = Token::of("ntlm");
    // What is cut off stays unsaid: the signature and the type are proof enough.
    let _cut = match kind {
        1 => negotiate(bytes, cursor, &mut token),
        2 => challenge(bytes, cursor, &mut token),
        3 => authenticate(bytes, cursor, &mut token),
        _ => return None,
    };
    Some(token)
}

/// `NEGOTIATE_MESSAGE`, §2.2.1.1: flags, domain and workstation, both in the OEM character set.
fn negotiate(bytes: &[u8], mut cursor: Cursor<'_>, token: &mut Token) -> Option<()> {
    let flags = cursor.u32_le().ok()?;
    token.domain = payload(bytes, &mut cursor).and_then(name);
    token.host = payload(bytes, &mut cursor).and_then(name);
    token.version = version(flags, &mut cursor);
    Some(())
}

/// `CHALLENGE_MESSAGE`, §2.2.1.2, and the pairs of its target information, §2.2.2.1.
fn challenge(bytes: &[u8], mut cursor: Cursor<'_>, token: &mut Token) -> Option<()> {
    let target = payload(bytes, &mut cursor);
    let flags = cursor.u32_le().ok()?;
    token.domain = target.and_then(|target| text(target, flags & UNICODE != 0));
    cursor.skip(16).ok()?;
    let information = payload(bytes, &mut cursor);
    token.version = version(flags, &mut cursor);
    let mut pairs = Cursor::new(information?);
    while token.server_names.len() < MAX_NAMES {
        let kind = pairs.u16_le().ok()?;
        let length = pairs.u16_le().ok()?;
        let value = pairs.take(usize::from(length)).ok()?;
        let Some(value) = text(value, true).filter(|_| matches!(kind, 1..=5)) else {
            match kind {
                0 => break,
                _ => continue,
            }
        };
        match kind {
            // The DNS name says more than the NetBIOS name, which comes first or last.
            1 => {
                token.host.get_or_insert_with(|| value.clone());
            }
            2 => {
                token.domain.get_or_insert_with(|| value.clone());
            }
            3 => token.host = Some(value.clone()),
            _ => {}
        }
        if !token.server_names.contains(&value) {
            token.server_names.push(value);
        }
    }
    Some(())
}

/// `AUTHENTICATE_MESSAGE`, §2.2.1.3: domain and workstation. Responses and the user are measured, never read.
fn authenticate(bytes: &[u8], mut cursor: Cursor<'_>, token: &mut Token) -> Option<()> {
    cursor.skip(8).ok()?;
    let response = cursor.u16_le().ok()?;
    cursor.skip(6).ok()?;
    let domain = payload(bytes, &mut cursor);
    let user = cursor.u16_le().ok()?;
    cursor.skip(6).ok()?;
    let host = payload(bytes, &mut cursor);
    cursor.skip(8).ok()?;
    // Flags are optional in the oldest messages, which are not Unicode.
    let flags = cursor.u32_le().unwrap_or_default();
    let unicode = flags & UNICODE != 0;
    token.domain = domain.and_then(|domain| text(domain, unicode));
    token.host = host.and_then(|host| text(host, unicode));
    token.anonymous = user == 0 && response == 0;
    token.version = version(flags, &mut cursor);
    Some(())
}

/// `VERSION`, §2.2.2.10, as `major.minor.build`: where the flags announce it, and where it ends with the revision that all
/// have. Old senders leave it out, and others leave it empty.
fn version(flags: u32, cursor: &mut Cursor<'_>) -> Option<String> {
    if flags & VERSION == 0 {
        return None;
    }
    let [major, minor, low, high, 0, 0, 0, REVISION] = *cursor.array().ok()? else {
        return None;
    };
    let build = u16::from_le_bytes([low, high]);
    (major != 0).then(|| format!("{major}.{minor}.{build}"))
}

/// A field of the payload: length, allocated length, offset from the start of the message. The cursor moves on even
/// where the field points nowhere.
fn payload<'a>(bytes: &'a [u8], cursor: &mut Cursor<'_>) -> Option<&'a [u8]> {
    let length = usize::from(cursor.u16_le().ok()?);
    cursor.u16_le().ok()?;
    let offset = usize::try_from(cursor.u32_le().ok()?).ok()?;
    let end = offset.checked_add(length)?;
    bytes.get(offset..end).filter(|field| !field.is_empty())
}

fn text(bytes: &[u8], unicode: bool) -> Option<String> {
    if !unicode {
        return name(bytes);
    }
    let units = bytes
        .as_chunks::<2>()
        .0
        .iter()
        .map(|&pair| u16::from_le_bytes(pair));
    let text: String = char::decode_utf16(units)
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .take(MAX_NAME)
        .collect();
    (!text.is_empty()).then_some(text)
}
