//! DNS (RFC 1035) in datagrams and streams, and its two relatives of the local link: multicast DNS (RFC 6762) and LLMNR
//! (RFC 4795), which share the format.
//!
//! Proves names asked for, error codes, and answers: every address in an answer becomes the offer of a named host, for the
//! name asked and each canonical name on the way. Which of the three a datagram belongs to is told by the multicast
//! group it was sent to, and for unicast answers by header bits that only one of them sets. NetBIOS names are refused.
//! DNSSEC is not checked, zone transfers are read up to some records of each message, and names are never resolved.

mod message;
mod name;
mod refusal;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    About, Datagram, DatagramDecoder, DatagramEntry, Opening, Probe, Protocol, Reject, Step,
    StreamDecoder, StreamEntry,
};
use crate::bytes::Cursor;
use crate::evidence::{Notes, Offered};
use crate::net::{Endpoint, Side, Transport};
pub(in crate::protocol) use name::read as read_name;

use message::{Header, Kind, Message, Rcode, Record, Section};
use refusal::Broken;

/// Name asked for.
const QUERY: &str = "query";
/// Type asked for.
const TYPE: &str = "type";
/// Error and the name it is about.
const RCODE: &str = "rcode";
/// Service record: `owner -> host:port`.
const SRV: &str = "srv";
/// Mail exchanger: `owner -> host`.
const MX: &str = "mx";
/// Names that one address of an answer is offered under: the name asked and its aliases.
const MAX_ALIASES: usize = 8;

const ATTRIBUTES: &[&str] = &[QUERY, TYPE, RCODE, SRV, MX];

/// DNS.
pub(super) const DNS: Protocol = Protocol {
    name: "dns",
    about: About {
        title: "Domain Name System",
        sources: "RFC 1035, RFC 2782, RFC 3596, RFC 6891",
        reads: "Questions and answers: names, types, error codes, services and mail exchangers; an address in an answer becomes the offer of a host.",
        proves: "A header whose counts agree with the sections that follow; or a message that makes no sense and the refusal that repeats it.",
        limits: "Of one message 64 records are read, also of zone transfers; signatures are not checked; encrypted DNS is TLS, HTTP or QUIC.",
    },
    attributes: ATTRIBUTES,
    stream: Some(StreamEntry {
        // The first octet is that of a length.
        first_byte: |_| true,
        probe,
        start: || Box::new(Stream::default()),
    }),
    datagram: Some(DatagramEntry {
        first_byte: |_| true,
        start: || Box::new(Flow::of(Family::Dns)),
    }),
};

/// LLMNR.
pub(super) const LLMNR: Protocol = Protocol {
    name: "llmnr",
    about: About {
        title: "Link-Local Multicast Name Resolution",
        sources: "RFC 4795",
        reads: "Questions and answers of the local link, as of DNS.",
        proves: "A whole DNS message to the multicast group of LLMNR, or one whose flags only LLMNR sets.",
        limits: "A message to a single host whose flags fit plain DNS as well is named dns.",
    },
    attributes: ATTRIBUTES,
    stream: None,
    datagram: Some(DatagramEntry {
        first_byte: |_| true,
        start: || Box::new(Flow::of(Family::Llmnr)),
    }),
};

/// Multicast DNS.
pub(super) const MDNS: Protocol = Protocol {
    name: "mdns",
    about: About {
        title: "Multicast DNS",
        sources: "RFC 6762, RFC 6763",
        reads: "Questions and answers of the local link, as of DNS.",
        proves: "A whole DNS message to the multicast group, an answer with the header that RFC 6762 fixes, or a question for a service in `.local`.",
        limits: "Other messages to a single host are named dns; who is the client is not said.",
    },
    attributes: ATTRIBUTES,
    stream: None,
    datagram: Some(DatagramEntry {
        first_byte: |_| true,
        start: || Box::new(Flow::of(Family::Mdns)),
    }),
};

/// Who shares the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Dns,
    Llmnr,
    Mdns,
}

impl Family {
    /// The family of a datagram to `receiver` that begins with `bytes`.
    fn of(bytes: &[u8], receiver: IpAddr) -> Self {
        const MDNS_4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
        const MDNS_6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
        const LLMNR_4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 252);
        const LLMNR_6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 3);
        match receiver {
            IpAddr::V4(MDNS_4) | IpAddr::V6(MDNS_6) => return Self::Mdns,
            IpAddr::V4(LLMNR_4) | IpAddr::V6(LLMNR_6) => return Self::Llmnr,
            _ => {}
        }
        // RFC 6762 section 18: identifier zero, authoritative, and nothing else.
        if bytes.starts_with(&[0, 0, 0x84, 0]) {
            return Self::Mdns;
        }
        match Header::parse(bytes, usize::MAX, false) {
            Ok(header) if header.is_link_local() => Self::Llmnr,
            Ok(_) if browses_local(bytes) => Self::Mdns,
            _ => Self::Dns,
        }
    }
}

/// Whether the first question is for a service of the local link (RFC 6763 section 4.1), asked without the multicast group.
fn browses_local(bytes: &[u8]) -> bool {
    name::skip(bytes, Header::BYTES)
        .ok()
        .and_then(|end| bytes.get(..end))
        .is_some_and(|asked| {
            asked.ends_with(b"\x04_tcp\x05local\0") || asked.ends_with(b"\x04_udp\x05local\0")
        })
}

/// Datagrams of one flow, for one of the family.
struct Flow {
    family: Family,
    /// A message with a question or a record was accepted: bare headers may follow.
    known: bool,
    broken: Broken,
}

impl Flow {
    fn of(family: Family) -> Self {
        Self {
            family,
            known: false,
            broken: Broken::default(),
        }
    }

    fn message(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let multicast = self.family == Family::Mdns;
        let message = Message::parse(datagram.bytes, datagram.wire_len, multicast)?;
        if message.header.is_bare() && (!self.known || message.header.is_stateful()) {
            return Err(Reject::Other);
        }
        self.known = true;
        note(&message, self.family, notes);
        Ok(())
    }
}

impl DatagramDecoder for Flow {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        if Family::of(datagram.bytes, notes.receiver().address) != self.family {
            return Err(Reject::Other);
        }
        self.message(datagram, notes).or_else(|reject| {
            let side = notes.side();
            let code = match self.family {
                Family::Dns => self.broken.refusal(datagram, side),
                Family::Llmnr | Family::Mdns => None,
            };
            let code = code.ok_or(reject)?;
            notes.proved();
            notes.client(side.other());
            notes.text(RCODE, &code.to_string());
            Ok(())
        })
    }

    fn is_blank(&self) -> bool {
        !self.known && self.broken.is_blank()
    }
}

/// Messages over a stream are preceded by their length (RFC 1035 section 4.2.2).
const PREFIX: usize = 2;

fn probe(opening: &Opening<'_>) -> Probe {
    opening.agreed(|bytes| probe_side(bytes, opening.midstream))
}

/// Where a connection's beginning is missing, a message must be there to its end.
fn probe_side(bytes: &[u8], midstream: bool) -> Probe {
    let Some((length, body)) = framed(bytes) else {
        return Probe::More;
    };
    if length < Header::BYTES {
        return Probe::No;
    }
    if body.len() < Header::BYTES {
        return if can_begin(body) {
            Probe::More
        } else {
            Probe::No
        };
    }
    let there = body.get(..length).unwrap_or(body);
    match Message::parse(there, length, false) {
        // Nothing but a header proves nothing.
        Ok(message) if message.header.is_bare() && !message.header.is_stateful() => Probe::No,
        Ok(message) if message.header.is_stateful() => {
            if stateful(there) && !midstream && !message.cut {
                Probe::Yes
            } else {
                Probe::No
            }
        }
        Ok(message) if midstream && message.cut => Probe::No,
        Ok(_) => Probe::Yes,
        Err(Reject::Short(_)) if there.len() < length => Probe::More,
        Err(_) => Probe::No,
    }
}

/// Whether fewer octets than a header can begin one.
fn can_begin(body: &[u8]) -> bool {
    match *body {
        [_, _, flags, ..] => matches!(flags >> 3 & 0xf, 0 | 2 | 4..=6),
        _ => true,
    }
}

/// Whether the body of a stateful operation is a chain of type, length and value (RFC 8490 section 5.4.4).
fn stateful(message: &[u8]) -> bool {
    let mut cursor = Cursor::new(message);
    let mut chain = || {
        cursor.skip(Header::BYTES)?;
        while !cursor.is_empty() {
            cursor.skip(2)?;
            let length = usize::from(cursor.u16()?);
            cursor.skip(length)?;
        }
        Ok::<_, crate::bytes::Short>(())
    };
    message.len() > Header::BYTES && chain().is_ok()
}

/// The length of a message, and what is there from its start.
fn framed(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut cursor = Cursor::new(bytes);
    let length = cursor.u16().ok()?;
    Some((usize::from(length), cursor.rest()))
}

/// One connection.
#[derive(Default)]
struct Stream {
    known: bool,
}

impl StreamDecoder for Stream {
    fn data(&mut self, _: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let Some((length, body)) = framed(bytes) else {
            return Step::NeedMore {
                consumed: 0,
                at_least: PREFIX,
            };
        };
        let there = body.get(..length).unwrap_or(body);
        let whole = there.len() == length;
        match Message::parse(there, length, false) {
            Ok(message) => {
                let alone = message.header.is_bare() && !message.header.is_stateful();
                if alone && !self.known {
                    return Step::Reject(Reject::Other);
                }
                self.known = true;
                note(&message, Family::Dns, notes);
            }
            Err(_) if !whole => {}
            Err(reject) => return Step::Reject(reject),
        }
        let end = PREFIX.saturating_add(length);
        if whole {
            Step::Skip {
                consumed: end,
                bytes: 0,
            }
        } else {
            // What is there is noted already: the capture may be cut.
            Step::NeedMore {
                consumed: 0,
                at_least: end,
            }
        }
    }

    fn resume(&mut self, _: Side, bytes: &[u8]) -> Option<usize> {
        (probe_side(bytes, true) == Probe::Yes).then_some(0)
    }
}

fn note(message: &Message<'_>, family: Family, notes: &mut Notes<'_>) {
    let header = message.header;
    notes.proved();
    // Everybody is a client in a multicast group.
    if family != Family::Mdns {
        let side = notes.side();
        notes.client(if header.is_response() {
            side.other()
        } else {
            side
        });
    }
    let asked = message.question.and_then(|question| {
        let (name, _) = name::read(message.bytes, question.name).ok()?;
        notes.text(QUERY, &name);
        notes.text(TYPE, &question.kind.to_string());
        Some(name)
    });
    if !header.is_response() {
        return;
    }
    let rcode = header.rcode();
    if rcode != Rcode::NO_ERROR {
        // A zone that may not be changed is no name that is missing (RFC 2136).
        let update = if header.is_update() { "update " } else { "" };
        let name = asked.as_deref().unwrap_or_default();
        notes.text(RCODE, format!("{rcode} {update}{name}").trim_end());
    }
    answers(message, asked, notes);
}

fn answers(message: &Message<'_>, asked: Option<String>, notes: &mut Notes<'_>) {
    // The name asked, and each canonical name in the order of the answer.
    let mut aliases: Vec<String> = asked.into_iter().collect();
    let is_of_service = |record: &Record<'_>| matches!(record.kind, Kind::SRV | Kind::MX);
    let names_services = message.records.iter().any(is_of_service);
    for record in &message.records {
        // Other additional records are the addresses of name servers.
        if record.section == Section::Additional && !names_services {
            continue;
        }
        let Ok((owner, _)) = name::read(message.bytes, record.name) else {
            continue;
        };
        let target = |skip: usize| {
            let at = record.offset.saturating_add(skip);
            name::read(message.bytes, at).ok().map(|(name, _)| name)
        };
        let mut data = Cursor::new(record.data);
        match record.kind {
            Kind::A => {
                if let (Ok(bits), true) = (data.u32(), data.is_empty()) {
                    offer(
                        IpAddr::V4(Ipv4Addr::from_bits(bits)),
                        owner,
                        &aliases,
                        notes,
                    );
                }
            }
            Kind::AAAA => {
                if let (Ok(bits), true) = (data.u128(), data.is_empty()) {
                    offer(
                        IpAddr::V6(Ipv6Addr::from_bits(bits)),
                        owner,
                        &aliases,
                        notes,
                    );
                }
            }
            Kind::CNAME => {
                if aliases.last() == Some(&owner)
                    && aliases.len() < MAX_ALIASES
                    && let Some(name) = target(0)
                {
                    aliases.push(name);
                }
            }
            Kind::SRV => {
                let port = data.skip(4).and_then(|()| data.u16());
                if let (Ok(port), Some(host)) = (port, target(6)) {
                    notes.text(SRV, &format!("{owner} -> {host}:{port}"));
                }
            }
            Kind::MX => {
                if let Some(host) = target(2) {
                    notes.text(MX, &format!("{owner} -> {host}"));
                }
            }
            _ => {}
        }
    }
}

/// Offers `address` as a host of its owner's name and, where the owner is an alias' end, of each name before it.
fn offer(address: IpAddr, owner: String, aliases: &[String], notes: &mut Notes<'_>) {
    if address.is_unspecified() {
        return;
    }
    let mut put = |name: &str| {
        let name = name.into();
        let host = Endpoint::new(address, 0);
        notes.offer(Transport::TCP, host, Offered::Host { name });
    };
    match aliases.iter().position(|alias| *alias == owner) {
        Some(last) => aliases
            .iter()
            .take(last.saturating_add(1))
            .for_each(|name| put(name)),
        None => put(&owner),
    }
}

#[cfg(test)]
mod tests;
