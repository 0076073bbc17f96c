//! Pre-login and login: MS-TDS 2.2.6.5 and 2.2.6.4, and the login record of TDS 4.2 and 5.0.

use super::{
    APPLICATION, AUTH_MECHANISM, ENCRYPTION, HOST, INSTANCE, PROTECTION, SERVER, TDS_VERSION,
    VERSION,
};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::protocol::gss::{self, Token};

/// Options of a pre-login.
const OPTION_VERSION: u8 = 0;
const OPTION_ENCRYPTION: u8 = 1;
const OPTION_INSTANCE: u8 = 2;
const LAST_OPTION: u8 = 7;
const TERMINATOR: u8 = 0xff;
/// Options with their offsets and lengths; none stands twice.
const MAX_OPTIONS: usize = 8;
/// Longest name that is kept, in characters (MS-TDS 2.2.6.4).
const MAX_NAME: usize = 128;

/// What a side says before the login.
#[derive(Debug, Default)]
pub(super) struct Prelogin {
    version: String,
    encryption: Option<u8>,
    instance: Option<String>,
}

impl Prelogin {
    /// The options: the version first, each within the message, the first one's value right behind their list.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(body);
        let mut prelogin = Self::default();
        let mut first = None;
        for number in 0..=MAX_OPTIONS {
            let option = cursor.u8().ok()?;
            if option == TERMINATOR {
                return (first == Some(cursor.offset())).then_some(prelogin);
            }
            let offset = usize::from(cursor.u16().ok()?);
            let length = usize::from(cursor.u16().ok()?);
            let value = body.get(offset..offset.checked_add(length)?)?;
            if option > LAST_OPTION || (number == 0) != (option == OPTION_VERSION) {
                return None;
            }
            match (option, value) {
                (OPTION_VERSION, [major, minor, high, low, _, _]) => {
                    first = Some(offset);
                    let build = u16::from_be_bytes([*high, *low]);
                    prelogin.version = format!("{major}.{minor}.{build}");
                }
                (OPTION_ENCRYPTION, [how]) => prelogin.encryption = Some(*how),
                (OPTION_VERSION | OPTION_ENCRYPTION, _) => return None,
                (OPTION_INSTANCE, [name @ .., 0]) => prelogin.instance = plain(name),
                _ => {}
            }
        }
        None
    }

    pub(super) fn note(&self, notes: &mut Notes<'_>) {
        notes.text(VERSION, &self.version);
        notes.text(INSTANCE, self.instance.as_deref().unwrap_or_default());
        // A client that shows a certificate says so in the highest bit.
        let how = match self.encryption.map(|how| how & 0x7f) {
            Some(0) => "off",
            Some(1) => "on",
            Some(2) => "not_supported",
            Some(3) => "required",
            _ => "",
        };
        notes.text(ENCRYPTION, how);
    }

    /// What a server's answer means for the connection: `off` still encrypts the login.
    pub(super) fn protection(&self) -> Option<&'static str> {
        match self.encryption? & 0x7f {
            0 => Some("login"),
            1 | 3 => Some("all"),
            2 => Some("none"),
            _ => None,
        }
    }
}

/// Who logs in, but for the user.
#[derive(Debug, Default)]
pub(super) struct Login {
    tds_version: String,
    host: Option<String>,
    application: Option<String>,
    server: Option<String>,
    is_integrated: bool,
    token: Option<Token>,
    pub(super) big_endian: bool,
}

impl Login {
    /// `LOGIN7`: length, version and packet size must make sense, and its texts come after its fixed part.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(body);
        let length = cursor.u32_le().ok()? as usize;
        let tds_version = cursor.u32_le().ok()?;
        let packet_size = cursor.u32_le().ok()?;
        let tds_version = match tds_version {
            0x7000_0000 => "7.0",
            0x7100_0000 | 0x7100_0001 | 0x0100_0071 => "7.1",
            0x7209_0002 | 0x0200_0972 => "7.2",
            0x730a_0003 | 0x0300_0a73 | 0x730b_0003 | 0x0300_0b73 => "7.3",
            0x7400_0004 | 0x0400_0074 => "7.4",
            0x0800_0000 => "8.0",
            _ => return None,
        };
        let fits = packet_size == 0 || (512..=32_767).contains(&packet_size);
        if length < body.len() || length < FIXED_LOGIN || !fits {
            return None;
        }
        let flags = *body.get(25)?;
        let integrated = flags & 0x80 != 0;
        Some(Self {
            tds_version: tds_version.to_owned(),
            host: text(body, 36)?,
            application: text(body, 48)?,
            server: text(body, 52)?,
            is_integrated: integrated,
            token: value(body, 78, 1).and_then(gss::mechanism),
            big_endian: false,
        })
    }

    /// The login record before TDS 7: fields of fixed size, each with its length behind it.
    pub(super) fn parse_old(body: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(body);
        let host = field::<30>(&mut cursor)?;
        let (_user, _password) = (field::<30>(&mut cursor)?, field::<30>(&mut cursor)?);
        // DB-Library puts an address where the padding of the process should be.
        cursor.skip(30).ok()?;
        if cursor.u8().ok()? > 30 {
            return None;
        }
        // Byte order of numbers, of characters, of floating-point numbers and dates.
        let order = cursor.array::<5>().ok()?;
        let [int2 @ 2..=3, int4 @ 0..=1, 6..=7, 4..=12, 8..=9] = *order else {
            return None;
        };
        cursor.skip(11).ok()?;
        let application = field::<30>(&mut cursor)?;
        let server = field::<30>(&mut cursor)?;
        // Passwords for other servers, in a form of their own.
        cursor.skip(256).ok()?;
        let [major @ 4..=5, minor, 0, 0] = *cursor.array::<4>().ok()? else {
            return None;
        };
        let _library = field::<10>(&mut cursor)?;
        Some(Self {
            tds_version: format!("{major}.{minor}"),
            host: plain(host),
            application: plain(application),
            server: plain(server),
            is_integrated: false,
            token: None,
            big_endian: int2 == 2 && int4 == 0,
        })
    }

    /// Notes what it says. That it could be read shows that nothing encrypts.
    pub(super) fn note(&self, notes: &mut Notes<'_>) {
        notes.text(TDS_VERSION, &self.tds_version);
        for (name, value) in [
            (HOST, &self.host),
            (APPLICATION, &self.application),
            (SERVER, &self.server),
        ] {
            notes.text(name, value.as_deref().unwrap_or_default());
        }
        let how = if self.is_integrated {
            "integrated"
        } else {
            "login"
        };
        notes.text(AUTH_MECHANISM, how);
        notes.text(PROTECTION, "none");
        if let Some(token) = &self.token {
            token.note(notes);
        }
    }
}

/// Bytes of a LOGIN7 before its texts, before version 7.2.
const FIXED_LOGIN: usize = 86;

/// What the offset and the length (in units of `size` bytes) at `at` point to; empty where a cut leaves nothing.
fn value(body: &[u8], at: usize, size: usize) -> Option<&[u8]> {
    let mut cursor = Cursor::new(body.get(at..)?);
    let offset = usize::from(cursor.u16_le().ok()?);
    let length = usize::from(cursor.u16_le().ok()?).checked_mul(size)?;
    if length == 0 {
        return Some(&[]);
    }
    if offset < FIXED_LOGIN {
        return None;
    }
    let rest = body.get(offset..).unwrap_or_default();
    Some(rest.get(..length).unwrap_or(rest))
}

/// A text of UTF-16. `None` where it cannot be one.
#[expect(
    clippy::option_option,
    reason = "an empty text is none, a wrong one refuses the login"
)]
fn text(body: &[u8], at: usize) -> Option<Option<String>> {
    let units = value(body, at, 2)?;
    if units.len() > MAX_NAME.saturating_mul(2) {
        return None;
    }
    Some(utf16(units))
}

/// A text of UTF-16, where there is one.
pub(super) fn utf16(bytes: &[u8]) -> Option<String> {
    let units = bytes.as_chunks::<2>().0.iter();
    let text: String = char::decode_utf16(units.map(|&pair| u16::from_le_bytes(pair)))
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .filter(|character| !character.is_control())
        .take(MAX_NAME)
        .collect();
    (!text.is_empty()).then_some(text)
}

/// A field of `N` bytes: the text, zeros, and the text's length in one byte more.
fn field<'a, const N: usize>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    let bytes = cursor.array::<N>().ok()?;
    let length = usize::from(cursor.u8().ok()?);
    let (text, padding) = bytes.split_at_checked(length)?;
    padding.iter().all(|byte| *byte == 0).then_some(text)
}

fn plain(name: &[u8]) -> Option<String> {
    let is_plain = !name.is_empty() && name.iter().all(|byte| (0x20..0x7f).contains(byte));
    is_plain.then(|| String::from_utf8_lossy(name).into_owned())
}
