//! Calls and replies (RFC 5531 section 9).

use super::super::Reject;
use super::portmapper::{self, Wanted};
use super::{ERROR, FLAVOR, MACHINE, PROCEDURE, PROGRAM};
use crate::bytes::Cursor;
use crate::evidence::Notes;

pub(super) const CALL: u32 = 0;
pub(super) const REPLY: u32 = 1;
/// The only version of the protocol.
const RPC_VERSION: u32 = 2;
/// Octets of the shortest call: identifier, kind, version, program, its version, procedure, two empty authenticators.
pub(super) const LEAST_CALL: usize = 40;
/// Octets of an authenticator's body (RFC 5531 section 8.2).
const MAX_BODY: u32 = 400;
/// Programs beyond are reserved (RFC 5531 section 8.4), and below nobody has one.
const PROGRAMS: std::ops::RangeInclusive<u32> = 100_000..=0x5fff_ffff;
/// Programs from here on are nobody's (RFC 5531 section 8.4): text and chance look like them.
const TRANSIENT: u32 = 0x4000_0000;
/// Versions of such programs are few.
const MAX_VERSION: u32 = 100;
/// Procedures of any known program are fewer.
const MAX_PROCEDURE: u32 = 1000;
/// Characters of a machine's name (RFC 5531 appendix A).
const MAX_MACHINE: u32 = 255;

/// The usual name of a program (IANA "Remote Procedure Call Program Numbers").
pub(super) fn program_name(program: u32) -> String {
    let name = match program {
        100_000 => "portmapper",
        100_001 => "rstatd",
        100_002 => "rusersd",
        100_003 => "nfs",
        100_004 => "ypserv",
        100_005 => "mount",
        100_007 => "ypbind",
        100_008 => "walld",
        100_009 => "yppasswdd",
        100_011 => "rquotad",
        100_012 => "sprayd",
        100_021 => "nlockmgr",
        100_024 => "status",
        100_026 => "bootparam",
        100_028 => "ypupdated",
        100_068 => "cmsd",
        100_083 => "ttdbserverd",
        100_133 => "nsm_addrand",
        100_227 => "nfs_acl",
        100_232 => "sadmind",
        100_235 => "cachefsd",
        100_300 => "nisd",
        390_113 => "netbackup",
        395_183 => "vxi11",
        program => return program.to_string(),
    };
    name.to_owned()
}

crate::open_enum! {
    /// Flavors of authentication (IANA "RPC Authentication Flavor Numbers").
    struct Flavor(u32) {
        /// Nobody.
        NONE = 0 => "none",
        /// A user by number, believed.
        SYS = 1 => "sys",
        /// A short hand for it.
        SHORT = 2 => "short",
        /// Diffie and Hellman.
        DH = 3 => "dh",
        /// Kerberos 4.
        KERBEROS = 4 => "kerberos4",
        /// RSA.
        RSA = 5 => "rsa",
        /// GSS-API (RFC 2203).
        GSS = 6 => "gss",
        /// TLS is asked for (RFC 9289).
        TLS = 7 => "tls",
    }
}

/// An authenticator: a flavor and its body.
fn authenticator<'a>(cursor: &mut Cursor<'a>) -> Result<(Flavor, &'a [u8]), Reject> {
    let (flavor, length) = (Flavor(cursor.u32()?), cursor.u32()?);
    let is_empty = matches!(flavor, Flavor::NONE | Flavor::TLS);
    if flavor.name().is_none() || length > MAX_BODY || (is_empty && length != 0) {
        return Err(Reject::Invalid("authenticator"));
    }
    Ok((flavor, opaque(cursor, length)?))
}

/// Octets, padded to a multiple of four.
pub(super) fn opaque<'a>(cursor: &mut Cursor<'a>, length: u32) -> Result<&'a [u8], Reject> {
    let length = usize::try_from(length).map_err(|_| Reject::Other)?;
    let padded = length.checked_next_multiple_of(4).ok_or(Reject::Other)?;
    let value = cursor.take(padded)?;
    Ok(value.get(..length).unwrap_or_default())
}

/// A counted string of printable characters.
pub(super) fn text<'a>(cursor: &mut Cursor<'a>, most: u32) -> Result<&'a str, Reject> {
    let length = cursor.u32()?;
    if length > most {
        return Err(Reject::Invalid("string length"));
    }
    let text = std::str::from_utf8(opaque(cursor, length)?).map_err(|_| Reject::Other)?;
    if text.chars().any(char::is_control) {
        return Err(Reject::Invalid("string"));
    }
    Ok(text)
}

/// A call that was seen.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: u32,
    pub(super) program: u32,
    pub(super) version: u32,
    pub(super) procedure: u32,
    /// Unknown where the capture cuts the first authenticator.
    flavor: Option<Flavor>,
    machine: Option<Box<str>>,
    /// What a portmapper is asked for.
    pub(super) wanted: Option<Wanted>,
}

impl Call {
    /// Reads what follows identifier and kind. Where the capture ends early, the first authenticator must be there, or the
    /// program be one with a name: two words that are fixed, one of few values, and no lie in what follows.
    pub(super) fn parse(id: u32, cursor: &mut Cursor<'_>, is_cut: bool) -> Result<Self, Reject> {
        if cursor.u32()? != RPC_VERSION {
            return Err(Reject::Other);
        }
        let (program, version, procedure) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
        // Scanners ask assigned programs for the versions 0 and FFFFFFFF, to be told which there are.
        let is_sane = program < TRANSIENT || (1..=MAX_VERSION).contains(&version);
        if !PROGRAMS.contains(&program) || procedure > MAX_PROCEDURE || !is_sane {
            return Err(Reject::Other);
        }
        let is_named = program_name(program).starts_with(|first: char| !first.is_ascii_digit());
        let (flavor, machine) = match authenticator(cursor) {
            Ok((Flavor::SYS, body)) => (Some(Flavor::SYS), Some(machine(body)?.into())),
            Ok((flavor, _)) => (Some(flavor), None),
            Err(Reject::Short(_)) if is_cut && is_named => (None, None),
            Err(reject) => return Err(reject),
        };
        match authenticator(cursor) {
            Ok(_) => {}
            Err(Reject::Short(_)) if is_cut => {}
            Err(_) if flavor.is_none() => {}
            Err(reject) => return Err(reject),
        }
        let mut call = Self {
            id,
            program,
            version,
            procedure,
            flavor,
            machine,
            wanted: None,
        };
        call.wanted = portmapper::wanted(&call, cursor);
        Ok(call)
    }

    pub(super) fn note(&self, notes: &mut Notes<'_>) {
        let name = program_name(self.program);
        let version = self.version;
        notes.text(PROGRAM, &format!("{name} {version}"));
        let procedure = self.procedure;
        notes.text(
            PROCEDURE,
            &format!("{name} {version} procedure {procedure}"),
        );
        if let Some(flavor) = self.flavor {
            notes.text(FLAVOR, &flavor.to_string());
        }
        notes.text(MACHINE, self.machine.as_deref().unwrap_or_default());
    }
}

/// The machine in credentials of the flavor `sys` (RFC 5531 appendix A).
fn machine(body: &[u8]) -> Result<&str, Reject> {
    let mut cursor = Cursor::new(body);
    let _stamp = cursor.u32();
    text(&mut cursor, MAX_MACHINE).map_err(|_| Reject::Invalid("credentials"))
}

/// Whether `record`, of `length` octets on the wire, begins with a call.
pub(super) fn begins_call(record: &[u8], length: usize) -> Result<(), Reject> {
    let mut cursor = Cursor::new(record);
    let (id, kind) = (cursor.u32()?, cursor.u32()?);
    if kind != CALL {
        return Err(Reject::Other);
    }
    Call::parse(id, &mut cursor, record.len() < length).map(drop)
}

/// A reply, as far as its results.
pub(super) struct Reply {
    pub(super) error: Option<&'static str>,
}

impl Reply {
    /// Reads what follows identifier and kind.
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Reject> {
        const ACCEPTED: u32 = 0;
        const DENIED: u32 = 1;
        const MISMATCH: u32 = 0;
        const AUTHENTICATION: u32 = 1;
        let error = match cursor.u32()? {
            ACCEPTED => {
                authenticator(cursor)?;
                match cursor.u32()? {
                    0 => None,
                    1 => Some("program_unavailable"),
                    2 => Some("program_mismatch"),
                    3 => Some("procedure_unavailable"),
                    4 => Some("garbage_arguments"),
                    5 => Some("system_error"),
                    _ => return Err(Reject::Invalid("accept status")),
                }
            }
            DENIED => match cursor.u32()? {
                MISMATCH => Some("rpc_mismatch"),
                AUTHENTICATION => Some("authentication_error"),
                _ => return Err(Reject::Invalid("reject status")),
            },
            _ => return Err(Reject::Invalid("reply status")),
        };
        Ok(Self { error })
    }

    pub(super) fn note(&self, notes: &mut Notes<'_>) {
        notes.text(ERROR, self.error.unwrap_or_default());
    }
}
