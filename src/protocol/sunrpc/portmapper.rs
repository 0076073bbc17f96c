//! The portmapper and its successor rpcbind (RFC 1833): their answers offer ports.

use super::super::Reject;
use super::SUNRPC;
use super::message::{Call, program_name, text};
use crate::bytes::Cursor;
use crate::evidence::{Notes, Offered};
use crate::net::{Endpoint, Transport};

const PORTMAPPER: u32 = 100_000;
/// GETPORT of version 2, GETADDR of 3 and 4.
const GET: u32 = 3;
/// DUMP of all versions.
const DUMP: u32 = 4;
/// Entries of a list that are read: servers register some dozens.
const MAX_ENTRIES: usize = 512;
/// Characters of a network identifier, an address, an owner.
const MAX_TEXT: u32 = 255;
const TCP: u32 = 6;
const UDP: u32 = 17;

/// A program whose port is asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    program: u32,
    version: u32,
    transport: Transport,
}

/// What `call` asks a portmapper for; `cursor` stands at its arguments.
pub(super) fn wanted(call: &Call, cursor: &mut Cursor<'_>) -> Option<Wanted> {
    if call.program != PORTMAPPER || call.procedure != GET {
        return None;
    }
    let (program, version) = (cursor.u32().ok()?, cursor.u32().ok()?);
    let transport = if call.version == 2 {
        by_number(cursor.u32().ok()?)
    } else {
        by_identifier(text(cursor, MAX_TEXT).ok()?)
    };
    Some(Wanted {
        program,
        version,
        transport: transport?,
    })
}

/// Offers what the answer to `call` names; `cursor` stands at its results.
pub(super) fn answer(call: &Call, mut cursor: Cursor<'_>, notes: &mut Notes<'_>) {
    if call.program != PORTMAPPER {
        return;
    }
    match (&call.wanted, call.version, call.procedure) {
        (Some(wanted), 2, GET) => {
            if let Ok(port) = cursor.u32() {
                offer(wanted, u16::try_from(port).ok(), notes);
            }
        }
        (Some(wanted), _, GET) => {
            if let Ok(address) = text(&mut cursor, MAX_TEXT) {
                offer(wanted, port_of(address), notes);
            }
        }
        (None, version, DUMP) => {
            for _ in 0..MAX_ENTRIES {
                let Ok(Some((wanted, port))) = entry(version, &mut cursor) else {
                    return;
                };
                if let Some(wanted) = wanted {
                    offer(&wanted, port, notes);
                }
            }
        }
        _ => {}
    }
}

/// An entry of a list; `None` at its end.
type Entry = Option<(Option<Wanted>, Option<u16>)>;

fn entry(version: u32, cursor: &mut Cursor<'_>) -> Result<Entry, Reject> {
    if cursor.u32()? != 1 {
        return Ok(None);
    }
    let (program, program_version) = (cursor.u32()?, cursor.u32()?);
    let (transport, port) = if version == 2 {
        let transport = by_number(cursor.u32()?);
        (transport, u16::try_from(cursor.u32()?).ok())
    } else {
        let transport = by_identifier(text(cursor, MAX_TEXT)?);
        let port = port_of(text(cursor, MAX_TEXT)?);
        let _owner = text(cursor, MAX_TEXT)?;
        (transport, port)
    };
    let wanted = transport.map(|transport| Wanted {
        program,
        version: program_version,
        transport,
    });
    Ok(Some((wanted, port)))
}

/// A portmapper speaks of its own machine. Port 0 says that nobody is there.
fn offer(wanted: &Wanted, port: Option<u16>, notes: &mut Notes<'_>) {
    let Some(port) = port.filter(|&port| port != 0) else {
        return;
    };
    let name = format!("{} {}", program_name(wanted.program), wanted.version);
    let offered = Offered::Protocol {
        protocol: SUNRPC.name,
        name: name.into(),
    };
    let endpoint = Endpoint::new(notes.sender().address, port);
    notes.offer(wanted.transport, endpoint, offered);
}

const fn by_number(number: u32) -> Option<Transport> {
    match number {
        TCP => Some(Transport::TCP),
        UDP => Some(Transport::UDP),
        _ => None,
    }
}

/// RFC 5665 section 4.1.1.
fn by_identifier(identifier: &str) -> Option<Transport> {
    match identifier {
        "tcp" | "tcp6" => Some(Transport::TCP),
        "udp" | "udp6" => Some(Transport::UDP),
        _ => None,
    }
}

/// The port of a universal address: its last two numbers (RFC 5665 section 5.2.3.3).
fn port_of(address: &str) -> Option<u16> {
    let mut parts = address.rsplitn(3, '.');
    let (low, high) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    parts.next()?;
    Some(u16::from_be_bytes([high, low]))
}
