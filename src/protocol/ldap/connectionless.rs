//! Connectionless LDAP: how clients look for a domain controller (MS-ADTS 6.3.3).

use std::net::IpAddr;

use super::super::ber::Element;
use super::super::{Datagram, DatagramDecoder, Reject, dns};
use super::message::{Message, Operation};
use super::{BASE, CONTROLLER, DOMAIN, OPERATION, failure};
use crate::bytes::Cursor;
use crate::evidence::{Notes, Offered};
use crate::net::{Endpoint, Transport};

/// Messages in one datagram: an entry and its end are usual.
const MAX_MESSAGES: usize = 8;
/// Depth and number of filter parts that are read: a ping is one conjunction of four.
const MAX_PARTS: usize = 16;

/// One flow.
pub(super) struct Flow;

impl DatagramDecoder for Flow {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let mut rest = datagram.bytes;
        let mut left = datagram.wire_len;
        for number in 0..MAX_MESSAGES {
            let message = match Message::parse(rest) {
                Ok(message) => message,
                // The first message proves the protocol, a cut second one takes nothing back.
                Err(Reject::Short(_)) if number > 0 && datagram.is_cut() => break,
                Err(reject) => return Err(reject),
            };
            if message.total > left {
                return Err(Reject::Invalid("message length"));
            }
            note(&message, notes);
            left = left.saturating_sub(message.total);
            rest = rest.get(message.total..).unwrap_or_default();
            if left == 0 || rest.is_empty() {
                break;
            }
        }
        if left > 0 && !datagram.is_cut() {
            return Err(Reject::Invalid("octets after the last message"));
        }
        Ok(())
    }
}

fn note(message: &Message<'_>, notes: &mut Notes<'_>) {
    notes.proved();
    let side = notes.side();
    notes.client(if message.operation.is_request() {
        side
    } else {
        side.other()
    });
    notes.text(OPERATION, &message.operation.to_string());
    match message.operation {
        Operation::SEARCH_REQUEST => {
            notes.bytes(BASE, message.field(4).unwrap_or_default());
            // Base, scope, aliases, two limits, types only, filter.
            if let Some(filter) = message.body.children().nth(6) {
                ping(&filter, notes);
            }
        }
        Operation::SEARCH_ENTRY => controller(&message.body, notes),
        operation if operation.is_result() => failure(message, notes),
        _ => {}
    }
}

/// `(&(DnsDomain=...)...)`: the domain that is looked for.
fn ping(filter: &Element<'_>, notes: &mut Notes<'_>) {
    const AND: u8 = 0xa0;
    const EQUAL: u8 = 0xa3;
    if filter.tag != AND {
        return;
    }
    for part in filter
        .children()
        .take(MAX_PARTS)
        .filter(|part| part.tag == EQUAL)
    {
        let mut sides = part.children();
        if let (Some(name), Some(value)) = (sides.next(), sides.next())
            && name.contents.eq_ignore_ascii_case(b"DnsDomain")
            && !value.is_cut()
        {
            let domain = value.contents.strip_suffix(b".").unwrap_or(value.contents);
            notes.bytes(DOMAIN, domain);
        }
    }
}

/// An entry whose attribute `netlogon` is a `NETLOGON_SAM_LOGON_RESPONSE_EX` (MS-ADTS 6.3.1.9): forest, domain and host.
fn controller(entry: &Element<'_>, notes: &mut Notes<'_>) {
    let attributes = entry.children().nth(1);
    let blob = attributes
        .iter()
        .flat_map(Element::children)
        .take(MAX_PARTS)
        .find_map(|attribute| {
            let mut parts = attribute.children();
            let name = parts.next()?;
            let value = parts.next()?.children().next()?;
            name.contents
                .eq_ignore_ascii_case(b"netlogon")
                .then_some(value)
        });
    let Some(blob) = blob.filter(|blob| !blob.is_cut()) else {
        return;
    };
    if let Ok((domain, host)) = names(blob.contents) {
        notes.text(DOMAIN, &domain);
        notes.text(CONTROLLER, &host);
        let address: IpAddr = notes.sender().address;
        let name = host.into();
        notes.offer(
            Transport::TCP,
            Endpoint::new(address, 0),
            Offered::Host { name },
        );
    }
}

/// Domain and host of the answer; its names are compressed as those of DNS are.
fn names(blob: &[u8]) -> Result<(String, String), Reject> {
    const RESPONSE: u16 = 23;
    const RESPONSE_USER_UNKNOWN: u16 = 25;
    let mut cursor = Cursor::new(blob);
    let opcode = cursor.u16_le()?;
    if !matches!(opcode, RESPONSE | RESPONSE_USER_UNKNOWN) {
        return Err(Reject::Invalid("netlogon opcode"));
    }
    // Padding, flags, domain identifier.
    cursor.skip(2 + 4 + 16)?;
    let (_forest, at) = dns::read_name(blob, cursor.offset())?;
    let (domain, at) = dns::read_name(blob, at)?;
    let (host, _) = dns::read_name(blob, at)?;
    Ok((domain, host))
}
