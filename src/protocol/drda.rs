//! DRDA (The Open Group, volumes 1 and 3): commands of a client to a DB2 or Derby server, and how it logs on.
//!
//! Reads the headers of the opening exchange and the security mechanism; names, passwords and data are never kept. Proof is an
//! exchange of attributes whose two lengths go together.

use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::bytes::{Cursor, Short};
use crate::evidence::Notes;
use crate::net::Side;
use crate::open_enum;

/// Command or reply, as the specification abbreviates it: `excsat`, `accsec` ...
const MESSAGE: &str = "message";
/// Security mechanism that the client wants: `password`, `encrypted_user_and_password`, `kerberos` ..., or its number.
const AUTH_MECHANISM: &str = "auth_mechanism";

/// Databases.
pub(super) const DRDA: Protocol = Protocol {
    name: "drda",
    about: About {
        title: "Distributed Relational Database Architecture",
        sources: "DRDA volume 3 (DDM): DSS, EXCSAT, ACCSEC, SECCHK, SECMEC",
        reads: "The opening exchange and the security mechanism.",
        proves: "An exchange of attributes whose two lengths go together.",
        limits: "Names, passwords and statements are not looked at; a connection without its opening is not known.",
    },
    attributes: &[MESSAGE, AUTH_MECHANISM],
    stream: Some(StreamEntry {
        // The higher octet of a length; the opening is short.
        first_byte: |byte| byte < 0x40,
        probe,
        start: || Box::new(Structures),
    }),
    datagram: None,
};

const MAGIC: u8 = 0xd0;
/// Octets of the outer header, and of the inner.
const OUTER: u16 = 6;
const INNER: u16 = 4;
/// The parameter that names the mechanism.
const SECMEC: u16 = 0x11a2;

open_enum! {
    /// Code points of the opening.
    struct CodePoint(u16) {
        /// Exchanges attributes.
        EXCSAT = 0x1041 => "excsat",
        /// Answers.
        EXCSATRD = 0x1443 => "excsatrd",
        /// Wants a security mechanism.
        ACCSEC = 0x106d => "accsec",
        /// Answers.
        ACCSECRD = 0x14ac => "accsecrd",
        /// Shows who it is.
        SECCHK = 0x106e => "secchk",
        /// Answers.
        SECCHKRM = 0x1219 => "secchkrm",
        /// Wants a database.
        ACCRDB = 0x2001 => "accrdb",
        /// Has it.
        ACCRDBRM = 0x2201 => "accrdbrm",
    }
}

open_enum! {
    /// Security mechanisms.
    struct Mechanism(u16) {
        /// In clear.
        PASSWORD = 3 => "password",
        /// Only who it is.
        USER = 4 => "user_only",
        /// Sealed with a key of its own.
        ENCRYPTED_PASSWORD = 7 => "encrypted_password",
        /// Sealed with a key of its own.
        ENCRYPTED_BOTH = 9 => "encrypted_user_and_password",
        /// Kerberos.
        KERBEROS = 11 => "kerberos",
    }
}

struct Structure {
    code: CodePoint,
    /// Octets behind both headers.
    rest: u16,
}

impl Structure {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Reject> {
        let length = cursor.u16()?;
        let (magic, format) = (cursor.u8()?, cursor.u8()?);
        let _correlation = cursor.u16()?;
        let (inner, code) = (cursor.u16()?, CodePoint(cursor.u16()?));
        let rest = inner.checked_sub(INNER);
        let is_whole = inner.checked_add(OUTER) == Some(length);
        let is_known = matches!(format & 0x0f, 1..=5) && format & 0x80 == 0;
        match rest {
            Some(rest) if magic == MAGIC && is_known && is_whole => Ok(Self { code, rest }),
            _ => Err(Reject::Other),
        }
    }
}

fn probe(opening: &Opening<'_>) -> Probe {
    opening.either(|bytes| match Structure::parse(&mut Cursor::new(bytes)) {
        Ok(first) if matches!(first.code, CodePoint::EXCSAT | CodePoint::EXCSATRD) => Probe::Yes,
        Ok(_) => Probe::No,
        read => Probe::of(read),
    })
}

/// All structures of one connection up to the open database.
struct Structures;

impl Structures {
    fn read(side: Side, cursor: &mut Cursor<'_>, notes: &mut Notes<'_>) -> Result<Step, Reject> {
        let structure = Structure::parse(cursor)?;
        let Some(name) = structure.code.name() else {
            // What else there is has another form of lengths, and is data.
            return Ok(Step::Done);
        };
        notes.proved();
        notes.text(MESSAGE, name);
        let body = cursor.take(usize::from(structure.rest))?;
        match structure.code {
            CodePoint::EXCSAT => notes.client(side),
            CodePoint::ACCSEC => {
                if let Ok(Some(mechanism)) = mechanism(body) {
                    notes.text(AUTH_MECHANISM, &mechanism.to_string());
                }
            }
            CodePoint::ACCRDBRM => return Ok(Step::Done),
            _ => {}
        }
        Ok(Step::Skip {
            consumed: cursor.offset(),
            bytes: 0,
        })
    }
}

/// The mechanism among parameters, each a length, a code point and a value.
fn mechanism(body: &[u8]) -> Result<Option<Mechanism>, Short> {
    let mut cursor = Cursor::new(body);
    while !cursor.is_empty() {
        let (length, code) = (cursor.u16()?, cursor.u16()?);
        if code == SECMEC {
            return Ok(Some(Mechanism(cursor.u16()?)));
        }
        cursor.skip(usize::from(length.saturating_sub(INNER)))?;
    }
    Ok(None)
}

impl StreamDecoder for Structures {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        Self::read(side, &mut Cursor::new(bytes), notes)
            .unwrap_or_else(|reject| reject.into_step(0, bytes.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT as C, SERVER as S, conversation, only_registered_attributes, protocols,
        survives_every_cut, values,
    };
    use super::*;

    fn structure(format: u8, code: u16, body: &[u8]) -> Vec<u8> {
        let inner = u8::try_from(body.len() + 4).unwrap();
        let head = [0, inner + 6, MAGIC, format, 0, 1, 0, inner];
        [&head[..], &code.to_be_bytes(), body].concat()
    }

    #[test]
    fn the_opening_and_the_mechanism_are_read() {
        let asked = structure(0x41, 0x1041, b"\0\x0a\x11\x5esecret");
        let wanted = structure(1, 0x106d, b"\0\x06\x21\x10ab\0\x06\x11\xa2\0\x03");
        let answered = structure(0x43, 0x1443, &[]);
        let segments = [(C, &[asked, wanted].concat()[..]), (S, &answered[..])];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["drda"]);
        assert_eq!(recorder.client, Some(C));
        assert_eq!(
            values(&recorder, "drda", "message"),
            ["accsec", "excsat", "excsatrd"]
        );
        assert_eq!(values(&recorder, "drda", "auth_mechanism"), ["password"]);
        assert!(!format!("{:?}", recorder.facts).contains("secret"));
        only_registered_attributes(&recorder, &[&DRDA]);
        survives_every_cut(&segments);
    }

    #[test]
    fn other_openings_are_refused() {
        let whole = structure(0x41, 0x1041, b"1234");
        for (at, value) in [(2, 0xd1), (3, 0x46), (3, 0x81), (7, 9), (8, 0x11)] {
            let mut other = whole.clone();
            other[at] = value;
            assert!(protocols(&conversation(&[(C, &other)])).is_empty());
        }
    }
}
