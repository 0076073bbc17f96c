//! Detection of the connection-oriented protocol: strict headers, and chains of them.

use super::super::{Opening, Probe};
use super::bind;
use super::pdu::{Header, Kind};
use super::rts;
use crate::bytes::{Cursor, Short};

/// What a server says first on an RPC-over-HTTP endpoint (RPC over HTTP v1, MS-RPCH).
pub(super) const HTTP_GREETING: &[u8] = b"ncacn_http/1.0";
/// Context ids and operation numbers that a beginning without a bind may show: no known client goes near.
const MAX_LIKELY_CONTEXT: u16 = 0xff;
const MAX_LIKELY_OPNUM: u16 = 0x3ff;

/// A bind may come first, or anything where its beginning is missing. A server that was sent something else says so in its
/// own protocol: then its answer alone proves it.
pub(super) fn probe(opening: &Opening<'_>) -> Probe {
    if bind::refuses_version(opening.reply()) {
        return Probe::Yes;
    }
    opening.agreed(|bytes| probe_side(bytes, opening.midstream))
}

fn probe_side(bytes: &[u8], midstream: bool) -> Probe {
    if bytes.first() == HTTP_GREETING.first() {
        return match bytes.get(..HTTP_GREETING.len()) {
            Some(HTTP_GREETING) => Probe::Yes,
            None if HTTP_GREETING.starts_with(bytes) => Probe::More,
            Some(_) | None => Probe::No,
        };
    }
    if !Header::can_begin(bytes) {
        return Probe::No;
    }
    let Ok(header) = Header::parse(bytes) else {
        return Probe::More;
    };
    let next = bytes.get(header.length..).unwrap_or_default();
    if !next.is_empty() && !Header::can_begin(next) {
        return Probe::No;
    }
    if midstream || header.kind == Kind::REQUEST {
        return likely(&header, bytes);
    }
    if header.kind == Kind::RTS {
        return rts::probe(&header, bytes);
    }
    Probe::Yes
}

/// Whether a header's first fields are those of a real fragment as well.
pub(super) fn likely(header: &Header, bytes: &[u8]) -> Probe {
    let mut cursor = Cursor::new(bytes);
    let mut numbers = || {
        cursor.skip(20)?;
        Ok::<_, Short>((
            header.order.u16(&mut cursor)?,
            header.order.u16(&mut cursor)?,
        ))
    };
    if header.kind == Kind::RTS {
        return rts::probe(header, bytes);
    }
    match (header.kind, numbers()) {
        (Kind::REQUEST | Kind::RESPONSE | Kind::FAULT, Err(_)) => Probe::More,
        (Kind::REQUEST, Ok((context, opnum))) => {
            if context <= MAX_LIKELY_CONTEXT && opnum <= MAX_LIKELY_OPNUM {
                Probe::Yes
            } else {
                Probe::No
            }
        }
        (Kind::RESPONSE | Kind::FAULT, Ok((context, _))) if context > MAX_LIKELY_CONTEXT => {
            Probe::No
        }
        _ => Probe::Yes,
    }
}
