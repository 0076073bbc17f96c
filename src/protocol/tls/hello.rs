//! Hello messages: what a client offers and a server chooses (RFC 8446 §4.1, RFC 5246 §7.4.1, RFC 6101 §5.6.1, and the
//! hello of SSL 2.0 in RFC 5246 appendix E.2); of DTLS as well (RFC 6347 §4.2.1, RFC 9147 §5.3), which has a cookie more.
//!
//! A hello that is cut short yields the fields that are there.

use tls_parser::TlsCipherSuite;

use crate::bytes::{Cursor, Short};
use crate::evidence::Notes;
use crate::open_enum;

use super::{
    ALPN, ALPN_OFFERED, CIPHER, CLIENT_VERSION, RESUMED, SERVER_NAME, SERVER_VERSION, SRTP_OFFERED,
    SRTP_PROFILE,
};

/// Names kept of one list: more is padding or an attack.
const MAX_NAMES: usize = 16;
/// The random of a ServerHello that asks the client to try again, RFC 8446 §4.1.3.
const RETRY: [u8; 8] = [0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11];

open_enum! {
    /// Protocol versions. Pre-standard versions of TLS 1.3 count as 1.3, those of DTLS as the TLS that they follow in number.
    pub(in crate::protocol) struct Version(u16) {
        /// SSL 2.0.
        SSL2 = 0x0002 => "ssl2",
        /// SSL 3.0.
        SSL3 = 0x0300 => "ssl3",
        /// TLS 1.0.
        TLS10 = 0x0301 => "1.0",
        /// TLS 1.1.
        TLS11 = 0x0302 => "1.1",
        /// TLS 1.2.
        TLS12 = 0x0303 => "1.2",
        /// TLS 1.3.
        TLS13 = 0x0304 => "1.3",
    }
}

open_enum! {
    /// Protection profiles of SRTP (IANA "DTLS-SRTP Protection Profiles").
    struct SrtpProfile(u16) {
        /// RFC 5764.
        AES128_CM_HMAC_SHA1_80 = 1 => "SRTP_AES128_CM_HMAC_SHA1_80",
        /// RFC 5764.
        AES128_CM_HMAC_SHA1_32 = 2 => "SRTP_AES128_CM_HMAC_SHA1_32",
        /// RFC 5764: authenticated, in clear.
        NULL_HMAC_SHA1_80 = 5 => "SRTP_NULL_HMAC_SHA1_80",
        /// RFC 5764: authenticated, in clear.
        NULL_HMAC_SHA1_32 = 6 => "SRTP_NULL_HMAC_SHA1_32",
        /// RFC 7714.
        AEAD_AES_128_GCM = 7 => "SRTP_AEAD_AES_128_GCM",
        /// RFC 7714.
        AEAD_AES_256_GCM = 8 => "SRTP_AEAD_AES_256_GCM",
        /// RFC 8723.
        DOUBLE_AEAD_AES_128_GCM = 9 => "DOUBLE_AEAD_AES_128_GCM_AEAD_AES_128_GCM",
        /// RFC 8723.
        DOUBLE_AEAD_AES_256_GCM = 10 => "DOUBLE_AEAD_AES_256_GCM_AEAD_AES_256_GCM",
    }
}

impl Version {
    /// A version of a hello's extension; drafts of 1.3 are 0x7F00 and above, values ending in A are GREASE (RFC 8701).
    fn of_extension(value: u16) -> Option<Self> {
        match value {
            0x7f00..=0x7fff => Some(Self::TLS13),
            DTLS_DRAFT | 0xfeff => Some(Self::TLS10),
            0xfefd => Some(Self::TLS12),
            0xfefc => Some(Self::TLS13),
            _ => Some(Self(value)).filter(|version| version.name().is_some()),
        }
    }
}

/// The version of DTLS before RFC 4347, which some clients of virtual private networks still speak.
pub(in crate::protocol) const DTLS_DRAFT: u16 = 0x0100;

/// Whether the version of a hello is one of DTLS.
const fn is_datagram(version: u16) -> bool {
    matches!(version, DTLS_DRAFT | 0xfefc..=0xfeff)
}

open_enum! {
    /// Extensions that are read, RFC 8446 §4.2.
    struct Extension(u16) {
        /// Server name indication.
        SERVER_NAME = 0 => "server_name",
        /// Keys of SRTP (RFC 5764).
        USE_SRTP = 14 => "use_srtp",
        /// Application protocols.
        ALPN = 16 => "application_layer_protocol_negotiation",
        /// Resumption in TLS 1.3.
        PRE_SHARED_KEY = 41 => "pre_shared_key",
        /// Versions, which since 1.3 stand here.
        SUPPORTED_VERSIONS = 43 => "supported_versions",
    }
}

/// Notes what a ClientHello offers. `Short` where it is cut; what stands before the cut is noted.
pub(super) fn client(bytes: &[u8], notes: &mut Notes<'_>) -> Result<(), Short> {
    let mut cursor = Cursor::new(bytes);
    let legacy = cursor.u16()?;
    let is_datagram = is_datagram(legacy);
    let legacy = Version::of_extension(legacy).unwrap_or(Version(legacy));
    cursor.skip(32)?;
    let session = usize::from(cursor.u8()?);
    cursor.skip(session)?;
    if is_datagram {
        let cookie = usize::from(cursor.u8()?);
        cursor.skip(cookie)?;
    }
    let ciphers = usize::from(cursor.u16()?);
    cursor.skip(ciphers)?;
    let compressions = usize::from(cursor.u8()?);
    cursor.skip(compressions)?;
    let mut version = legacy;
    let mut extensions = extensions(&mut cursor);
    while let Some((extension, mut body)) = extensions.next() {
        match extension {
            Extension::SERVER_NAME => server_names(body, notes).unwrap_or_default(),
            Extension::ALPN => names(body, ALPN_OFFERED, notes).unwrap_or_default(),
            Extension::USE_SRTP if is_datagram => {
                profiles(body, SRTP_OFFERED, notes).unwrap_or_default()
            }
            Extension::SUPPORTED_VERSIONS => {
                let mut versions = Cursor::new(body.rest().get(1..).unwrap_or_default());
                let offered = std::iter::from_fn(|| versions.u16().ok());
                version = offered
                    .filter_map(Version::of_extension)
                    .max()
                    .unwrap_or(legacy);
                body.skip(body.len())?;
            }
            _ => {}
        }
    }
    // Versions stand in an extension: whether there is one shows only at the end.
    extensions.complete()?;
    notes.text(CLIENT_VERSION, version.name().unwrap_or_default());
    Ok(())
}

/// What a ServerHello chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    /// The version that both speak from here on.
    pub(super) version: Version,
    /// The client is asked to try again with other parameters; nothing is final yet but the version.
    pub(super) retry: bool,
}

/// Notes what a ServerHello chooses.
pub(super) fn server(bytes: &[u8], notes: &mut Notes<'_>) -> Result<Chosen, Short> {
    let mut cursor = Cursor::new(bytes);
    let legacy = cursor.u16()?;
    let mut version = Version::of_extension(legacy).unwrap_or(Version(legacy));
    let retry = cursor.array::<32>()?.starts_with(&RETRY);
    // Drafts of 1.3 up to 21 have neither session nor compression.
    let draft = matches!(legacy, 0x7f00..=0x7fff);
    if !draft {
        let session = usize::from(cursor.u8()?);
        cursor.skip(session)?;
    }
    let cipher = cursor.u16()?;
    if !draft {
        cursor.u8()?;
    }
    match TlsCipherSuite::from_id(cipher) {
        Some(suite) => notes.text(CIPHER, suite.name),
        None => notes.text(CIPHER, &format!("0x{cipher:04X}")),
    }
    let mut extensions = extensions(&mut cursor);
    while let Some((extension, mut body)) = extensions.next() {
        match extension {
            Extension::ALPN => names(body, ALPN, notes).unwrap_or_default(),
            Extension::USE_SRTP if is_datagram(legacy) => {
                profiles(body, SRTP_PROFILE, notes).unwrap_or_default()
            }
            Extension::PRE_SHARED_KEY => notes.number(RESUMED, 1),
            Extension::SUPPORTED_VERSIONS => {
                let chosen = body.u16().ok().and_then(Version::of_extension);
                version = chosen.unwrap_or(version);
            }
            _ => {}
        }
    }
    extensions.complete()?;
    notes.text(SERVER_VERSION, version.name().unwrap_or_default());
    Ok(Chosen { version, retry })
}

/// The list of extensions at the end of a hello; none where nothing follows.
struct Extensions<'a> {
    list: Cursor<'a>,
    missing: usize,
}

fn extensions<'a>(cursor: &mut Cursor<'a>) -> Extensions<'a> {
    let claimed = usize::from(cursor.u16().unwrap_or(0));
    let there = claimed.min(cursor.len());
    Extensions {
        list: cursor.sub(there).unwrap_or(Cursor::new(&[])),
        missing: claimed.saturating_sub(there),
    }
}

impl<'a> Extensions<'a> {
    fn next(&mut self) -> Option<(Extension, Cursor<'a>)> {
        let kind = self.list.u16().ok()?;
        let length = self.list.u16().ok()?;
        Some((Extension(kind), self.list.sub(usize::from(length)).ok()?))
    }

    /// Whether the whole list was there.
    const fn complete(&self) -> Result<(), Short> {
        match self.missing {
            0 => Ok(()),
            missing => Err(Short { offset: 0, missing }),
        }
    }
}

/// RFC 6066 §3.
fn server_names(mut body: Cursor<'_>, notes: &mut Notes<'_>) -> Result<(), Short> {
    body.u16()?;
    for _ in 0..MAX_NAMES {
        let kind = body.u8()?;
        let length = body.u16()?;
        let name = body.take(usize::from(length))?;
        if kind == 0 {
            notes.text(
                SERVER_NAME,
                &String::from_utf8_lossy(name).to_ascii_lowercase(),
            );
        }
    }
    Ok(())
}

/// RFC 7301 §3.1; values of GREASE are no names.
fn names(
    mut body: Cursor<'_>,
    attribute: &'static str,
    notes: &mut Notes<'_>,
) -> Result<(), Short> {
    body.u16()?;
    for _ in 0..MAX_NAMES {
        let length = body.u8()?;
        let name = body.take(usize::from(length))?;
        if name.is_ascii() && name.iter().all(u8::is_ascii_graphic) {
            notes.bytes(attribute, name);
        }
    }
    Ok(())
}

/// RFC 5764 section 4.1.1.
fn profiles(
    mut body: Cursor<'_>,
    attribute: &'static str,
    notes: &mut Notes<'_>,
) -> Result<(), Short> {
    let length = body.u16()?;
    let mut list = body.sub(usize::from(length))?;
    for _ in 0..MAX_NAMES {
        let Ok(profile) = list.u16() else {
            break;
        };
        match SrtpProfile(profile).name() {
            Some(name) => notes.text(attribute, name),
            // Values set aside so that peers get used to unknown ones (RFC 8701).
            None if profile & 0x0f0f == 0x0a0a => {}
            None => notes.text(attribute, &format!("0x{profile:04X}")),
        }
    }
    Ok(())
}

/// A hello in the framing of SSL 2.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ssl2 {
    /// A client's, with the highest version that it speaks.
    Client(Version),
    /// A server's: both speak SSL 2.0.
    Server,
}

/// The SSL 2.0 hello at the start of `bytes`, and its length: two bytes of length with the high bit set, the type, the
/// version, then counted fields whose sum must be the length. `Short` where more bytes are needed to tell.
pub(super) fn ssl2(bytes: &[u8]) -> Result<Option<(Ssl2, usize)>, Short> {
    let mut cursor = Cursor::new(bytes);
    let length = cursor.u16()?;
    if length & 0x8000 == 0 {
        return Ok(None);
    }
    let length = usize::from(length & 0x7fff);
    let (hello, fixed, sum) = match cursor.u8()? {
        1 => {
            let version = Version(cursor.u16()?);
            if !matches!(version.0, 0x0002 | 0x0300..=0x0304) {
                return Ok(None);
            }
            let [ciphers, session, challenge] = [cursor.u16()?, cursor.u16()?, cursor.u16()?];
            let sane = ciphers > 0
                && ciphers.is_multiple_of(3)
                && matches!(session, 0 | 16)
                && (16..=32).contains(&challenge);
            if !sane {
                return Ok(None);
            }
            let sum = [ciphers, session, challenge].map(usize::from);
            (Ssl2::Client(version), 9, sum)
        }
        4 => {
            let (hit, kind, version) = (cursor.u8()?, cursor.u8()?, cursor.u16()?);
            let [certificate, ciphers, connection] = [cursor.u16()?, cursor.u16()?, cursor.u16()?];
            let sane = hit <= 1 && kind <= 1 && version == 2 && connection == 16;
            if !(sane && ciphers.is_multiple_of(3)) {
                return Ok(None);
            }
            let sum = [certificate, ciphers, connection].map(usize::from);
            (Ssl2::Server, 11, sum)
        }
        _ => return Ok(None),
    };
    let total: usize = sum.iter().sum();
    Ok((total.checked_add(fixed) == Some(length)).then_some((hello, length.saturating_add(2))))
}
