//! The tokens with which a server answers a login: MS-TDS 2.2.7, and those of TDS 5.0.

use super::login::utf16;
use super::{AUTH_RESULT, SERVER, TDS_VERSION, VERSION};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::protocol::gss::{self, Token};

/// Tokens read of one answer: a login is answered by a dozen.
const MAX_TOKENS: usize = 64;
/// Messages up to this class inform, those above are errors.
const LAST_INFORMATION: u8 = 10;

/// What an answer says of the login.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    pub(super) granted: Option<Granted>,
    error: Option<u32>,
    token: Option<Token>,
}

/// `LOGINACK`.
#[derive(Debug)]
pub(super) struct Granted {
    tds_version: String,
    product: Option<String>,
    version: String,
    /// TDS 5.0: 5 is success, 6 failure, 7 that it goes on. SQL Server puts the kind of its interface here.
    status: u8,
}

impl Tokens {
    /// `None` where the first token is none of a login's answer. What comes after the last known one stays unread.
    pub(super) fn read(body: &[u8], big_endian: bool) -> Option<Self> {
        let mut cursor = Cursor::new(body);
        let mut tokens = Self::default();
        for number in 0..MAX_TOKENS {
            let Ok(kind) = cursor.u8() else {
                break;
            };
            let is_known = matches!(kind, 0xaa | 0xab | 0xad | 0xe2 | 0xe3 | 0xe5 | 0xed);
            if !is_known && number == 0 {
                return None;
            }
            if !is_known {
                break;
            }
            let length = if big_endian {
                cursor.u16()
            } else {
                cursor.u16_le()
            };
            // A packet may end within a token.
            let Ok(value) = length.and_then(|length| cursor.sub(usize::from(length))) else {
                break;
            };
            match kind {
                0xad => tokens.granted = Some(Granted::parse(value)?),
                0xaa | 0xe5 => tokens.message(kind, value, big_endian),
                0xed => tokens.token = gss::mechanism(value.rest()),
                _ => {}
            }
        }
        Some(tokens)
    }

    /// Number, state and class of a message; its text is not read.
    fn message(&mut self, kind: u8, mut value: Cursor<'_>, big_endian: bool) {
        let number = if big_endian {
            value.u32()
        } else {
            value.u32_le()
        };
        let (Ok(number), Ok(_state), Ok(class)) = (number, value.u8(), value.u8()) else {
            return;
        };
        if kind == 0xaa || class > LAST_INFORMATION {
            self.error.get_or_insert(number);
        }
    }

    pub(super) fn note(&self, notes: &mut Notes<'_>) {
        if let Some(token) = &self.token {
            token.note(notes);
        }
        if let Some(granted) = &self.granted {
            notes.text(TDS_VERSION, &granted.tds_version);
            notes.text(VERSION, &granted.version);
            notes.text(SERVER, granted.product.as_deref().unwrap_or_default());
        }
        match (&self.error, &self.granted) {
            (Some(number), _) => notes.text(AUTH_RESULT, &number.to_string()),
            (None, Some(granted)) if granted.is_success() => notes.text(AUTH_RESULT, "ok"),
            _ => {}
        }
    }

    /// Whether the login is over.
    pub(super) fn is_end(&self) -> bool {
        self.error.is_some() || self.granted.as_ref().is_some_and(Granted::is_success)
    }
}

impl Granted {
    fn parse(mut value: Cursor<'_>) -> Option<Self> {
        let status = value.u8().ok()?;
        let &[major, minor, _, _] = value.array::<4>().ok()?;
        let length = usize::from(value.u8().ok()?);
        let (tds_version, product) = match major {
            4 | 5 if minor < 10 => {
                let product = value.take(length).ok()?;
                (
                    format!("{major}.{minor}"),
                    Some(
                        String::from_utf8_lossy(product)
                            .trim_matches('\0')
                            .to_owned(),
                    ),
                )
            }
            7 => (
                "7.0".to_owned(),
                utf16(value.take(length.saturating_mul(2)).ok()?),
            ),
            0x71..=0x74 => (
                format!("7.{}", major & 15),
                utf16(value.take(length.saturating_mul(2)).ok()?),
            ),
            8 => (
                "8.0".to_owned(),
                utf16(value.take(length.saturating_mul(2)).ok()?),
            ),
            _ => return None,
        };
        let &[first, second, high, low] = value.array::<4>().ok()?;
        let build = u16::from_be_bytes([high, low]);
        value.is_empty().then_some(Self {
            version: format!("{first}.{second}.{build}"),
            tds_version,
            product,
            status,
        })
    }

    const fn is_success(&self) -> bool {
        !matches!(self.status, 6 | 7)
    }
}
