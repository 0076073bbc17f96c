//! The name service of NetBIOS over TCP/IP (RFC 1002 section 4.2): registrations, queries and status of names.
//!
//! The header is that of DNS, the names are not: each begins with a label of 32 letters from A to P, by which a message is
//! told from DNS before anything else is read. A positive answer offers its address as a host of that name.

use std::net::{IpAddr, Ipv4Addr};

use super::netbios::Name;
use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject};
use crate::bytes::Cursor;
use crate::evidence::{Notes, Offered};
use crate::net::{Endpoint, Transport};

/// `query`, `status`, `registration`, `release`, `wait` or `refresh`.
const OPERATION: &str = "operation";
/// A name that the message is about, with its kind: `MBX1<20>`.
const NAME: &str = "name";
/// Error of an answer, and the name it is about.
const RCODE: &str = "rcode";

/// The name service.
pub(super) const NETBIOS_NS: Protocol = Protocol {
    name: "netbios_ns",
    about: About {
        title: "NetBIOS Name Service",
        sources: "RFC 1001 section 14, RFC 1002 section 4.2",
        reads: "Operation, names with their kinds, errors; positive answers offer hosts by name.",
        proves: "A header whose counts and operation agree, and an encoded name in the first entry.",
        limits: "Scopes and statistics of nodes are passed over.",
    },
    attributes: &[OPERATION, NAME, RCODE],
    stream: None,
    datagram: Some(DatagramEntry {
        // The first octet is that of an identifier.
        first_byte: |_| true,
        start: || Box::new(Names),
    }),
};

/// Octets of the header.
const HEADER: usize = 12;

/// Types of entries (RFC 1002 section 4.2.1.3).
const TYPE_NAME: u16 = 0x20;
const TYPE_STATUS: u16 = 0x21;
const TYPE_A: u16 = 1;
const TYPE_NS: u16 = 2;
const TYPE_NULL: u16 = 10;
const CLASS_IN: u16 = 1;
/// The name belongs to a group.
const GROUP: u16 = 0x8000;

struct Names;

impl DatagramDecoder for Names {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        // Every message has its first entry's name here: the cheapest of all tests.
        if !matches!(datagram.bytes.get(HEADER), Some(0x20..=0x3f)) {
            return Err(Reject::Other);
        }
        let message = Message::parse(datagram)?;
        message.note(notes);
        Ok(())
    }
}

/// An entry with an address or a list of names.
struct Record<'a> {
    name: Name,
    kind: u16,
    data: &'a [u8],
}

/// One message.
struct Message<'a> {
    flags: u16,
    operation: &'static str,
    question: Option<Name>,
    answer: Option<Record<'a>>,
    additional: Option<Record<'a>>,
}

impl<'a> Message<'a> {
    fn parse(datagram: Datagram<'a>) -> Result<Self, Reject> {
        let mut cursor = Cursor::new(datagram.bytes);
        let _id = cursor.u16()?;
        let flags = cursor.u16()?;
        let counts = [cursor.u16()?, cursor.u16()?, cursor.u16()?, cursor.u16()?];
        let is_answer = flags & 0x8000 != 0;
        // RFC 1002 section 4.2.1.1; the bits between recursion and broadcast are zero.
        let sane = match (is_answer, counts) {
            (false, [1, 0, 0, 0 | 1]) => flags & 0x8f == 0 || flags & 0x8f == 0x80,
            (true, [0, 1, 0..=8, 0..=8]) | (true, [0, 0, 1, 0..=8]) => true,
            (true, [1, 0 | 1, 0, 0]) => true,
            _ => false,
        };
        if !sane || flags & 0x60 != 0 {
            return Err(Reject::Other);
        }
        let [questions, answers, authorities, additional] = counts;
        let mut message = Self {
            flags,
            operation: "query",
            question: None,
            answer: None,
            additional: None,
        };
        let mut kind = TYPE_NAME;
        if questions == 1 {
            let name = Name::parse(&mut cursor)?;
            kind = question_kind(&mut cursor, datagram.is_cut())?;
            message.question = Some(name);
        }
        message.operation = operation(flags, kind).ok_or(Reject::Other)?;
        let records = answers
            .saturating_add(authorities)
            .saturating_add(additional);
        for number in 0..records {
            let first = message.question.or(message.answer.as_ref().map(|a| a.name));
            match record(&mut cursor, first) {
                Ok(record) if number == 0 && !is_answer => message.additional = Some(record),
                Ok(record) if number == 0 => {
                    if record.kind == TYPE_STATUS {
                        message.operation = "status";
                    }
                    message.answer = Some(record);
                }
                Ok(_) => {}
                Err(Reject::Short(_)) if first.is_some() && datagram.is_cut() => break,
                Err(reject) => return Err(reject),
            }
        }
        if message.question.is_none() && message.answer.is_none() {
            return Err(Reject::Other);
        }
        Ok(message)
    }

    fn note(&self, notes: &mut Notes<'_>) {
        notes.proved();
        let is_answer = self.flags & 0x8000 != 0;
        let side = notes.side();
        notes.client(if is_answer { side.other() } else { side });
        notes.text(OPERATION, self.operation);
        let name = self.question.or(self.answer.as_ref().map(|a| a.name));
        let shown = name.and_then(|name| name.shown());
        notes.text(NAME, shown.as_deref().unwrap_or_default());
        let rcode = self.flags & 0xf;
        if is_answer && rcode != 0 {
            let text = format!("{rcode} {}", shown.unwrap_or_default());
            notes.text(RCODE, text.trim_end());
            return;
        }
        match &self.answer {
            Some(record) if record.kind == TYPE_STATUS => status(record, notes),
            Some(record) if self.operation == "query" => addresses(record, notes),
            _ => {}
        }
        // Who registers a name says where it is; that is no positive answer, and offers nothing.
        if let Some(shown) = self.additional.as_ref().and_then(|a| a.name.shown()) {
            notes.text(NAME, &shown);
        }
    }
}

/// The operation of a header's flags and a question's type (RFC 1002 section 4.2.1.1; F is that of several addresses).
const fn operation(flags: u16, kind: u16) -> Option<&'static str> {
    Some(match flags >> 11 & 0xf {
        0 if kind == TYPE_STATUS => "status",
        0 => "query",
        5 | 0xf => "registration",
        6 => "release",
        7 => "wait",
        8 | 9 => "refresh",
        _ => return None,
    })
}

/// The type of a question; where the capture ends before it, that of a name.
fn question_kind(cursor: &mut Cursor<'_>, is_cut: bool) -> Result<u16, Reject> {
    let mut read = || Ok::<_, Reject>((cursor.u16()?, cursor.u16()?));
    match read() {
        Ok((kind @ (TYPE_NAME | TYPE_STATUS), CLASS_IN)) => Ok(kind),
        Ok(_) => Err(Reject::Invalid("question type or class")),
        Err(Reject::Short(_)) if is_cut => Ok(TYPE_NAME),
        Err(reject) => Err(reject),
    }
}

/// An entry. Its name is encoded, or points to the first one.
fn record<'a>(cursor: &mut Cursor<'a>, first: Option<Name>) -> Result<Record<'a>, Reject> {
    let name = match (cursor.peek(), first) {
        (Some(high), Some(name)) if high >= 0xc0 => {
            if usize::from(cursor.u16()? & 0x3fff) != HEADER {
                return Err(Reject::Invalid("name pointer"));
            }
            name
        }
        _ => Name::parse(cursor)?,
    };
    let (kind, class) = (cursor.u16()?, cursor.u16()?);
    let known = matches!(kind, TYPE_NAME | TYPE_STATUS | TYPE_A | TYPE_NS | TYPE_NULL);
    if !known || class != CLASS_IN {
        return Err(Reject::Invalid("record type or class"));
    }
    cursor.skip(4)?;
    let length = usize::from(cursor.u16()?);
    let data = cursor.take(length)?;
    Ok(Record { name, kind, data })
}

/// Flags and addresses of a positive answer (RFC 1002 section 4.2.13).
fn addresses(record: &Record<'_>, notes: &mut Notes<'_>) {
    let Some(name) = record.name.host() else {
        return;
    };
    let (pairs, _) = record.data.as_chunks::<6>();
    for &[high, low, a, b, c, d] in pairs {
        let address = Ipv4Addr::new(a, b, c, d);
        let is_group = u16::from_be_bytes([high, low]) & GROUP != 0;
        if !is_group && !address.is_unspecified() && !address.is_broadcast() {
            offer(address.into(), name.clone(), notes);
        }
    }
}

/// The names of a node (RFC 1002 section 4.2.18), which is the sender.
fn status(record: &Record<'_>, notes: &mut Notes<'_>) {
    let mut cursor = Cursor::new(record.data);
    let count = cursor.u8().unwrap_or(0);
    let address = notes.sender().address;
    for _ in 0..count {
        let (Ok(octets), Ok(flags)) = (cursor.array::<16>(), cursor.u16()) else {
            return;
        };
        let name = Name::plain(octets);
        if let Some(shown) = name.shown() {
            notes.text(NAME, &shown);
        }
        if let Some(host) = name.host().filter(|_| flags & GROUP == 0) {
            offer(address, host, notes);
        }
    }
}

fn offer(address: IpAddr, name: Box<str>, notes: &mut Notes<'_>) {
    let host = Endpoint::new(address, 0);
    notes.offer(Transport::TCP, host, Offered::Host { name });
}

#[cfg(test)]
mod tests {
    use super::super::netbios::encoded;
    use super::super::testing::{
        CLIENT, SERVER, datagrams, offers, only_registered_attributes, protocols, values,
    };
    use super::*;

    fn header(flags: u16, counts: [u16; 4]) -> Vec<u8> {
        let mut bytes = vec![0x81, 0x02];
        bytes.extend(flags.to_be_bytes());
        bytes.extend(counts.iter().flat_map(|count| count.to_be_bytes()));
        bytes
    }

    fn query(name: &[u8], kind: u8) -> Vec<u8> {
        [&header(0x0110, [1, 0, 0, 0]), name, &[0, kind, 0, 1]].concat()
    }

    fn answer(name: &[u8], kind: u8, data: &[u8]) -> Vec<u8> {
        let length = u8::try_from(data.len()).unwrap();
        let fixed = [0, kind, 0, 1, 0, 0, 0, 9, 0, length];
        [&header(0x8580, [0, 1, 0, 0]), name, &fixed, data].concat()
    }

    #[test]
    fn a_positive_answer_offers_a_host() {
        let name = encoded("MBX1", 0x20);
        let found = answer(&name, 0x20, &[0x60, 0, 192, 0, 2, 9]);
        let recorder = datagrams(&[(CLIENT, &query(&name, 0x20)), (SERVER, &found)]);
        assert_eq!(protocols(&recorder), ["netbios_ns"]);
        assert_eq!(values(&recorder, "netbios_ns", "name"), ["MBX1<20>"; 2]);
        assert_eq!(values(&recorder, "netbios_ns", "operation"), ["query"; 2]);
        assert_eq!(recorder.client, Some(CLIENT));
        let offers = offers(&recorder);
        assert_eq!(offers.len(), 1);
        assert_eq!(offers[0].endpoint.to_string(), "192.0.2.9:0");
        let name = "mbx1".into();
        assert_eq!(offers[0].offered, Offered::Host { name });
        only_registered_attributes(&recorder, &[&NETBIOS_NS]);
    }

    #[test]
    fn a_group_or_a_domain_is_no_host() {
        for (kind, flags) in [(0x20, 0xe0), (0x1c, 0x60)] {
            let found = answer(&encoded("LAB", kind), 0x20, &[flags, 0, 192, 0, 2, 9]);
            let recorder = datagrams(&[(SERVER, &found)]);
            assert_eq!(protocols(&recorder), ["netbios_ns"]);
            assert!(offers(&recorder).is_empty());
        }
    }

    #[test]
    fn a_status_lists_the_names_of_its_sender() {
        let listed = b"\x02MBX1           \x20\x04\x00LAB            \x00\x84\x00";
        let asked = query(&encoded("*", 0), 0x21);
        let found = answer(&encoded("*", 0), 0x21, listed);
        let recorder = datagrams(&[(CLIENT, &asked), (SERVER, &found)]);
        assert_eq!(values(&recorder, "netbios_ns", "operation"), ["status"; 2]);
        let names = values(&recorder, "netbios_ns", "name");
        assert!(names.contains(&"MBX1<20>".to_owned()) && names.contains(&"LAB<00>".to_owned()));
        let offers = offers(&recorder);
        assert_eq!(offers.len(), 1);
        assert_eq!(offers[0].endpoint.address, offers[0].by);
    }

    #[test]
    fn a_registration_and_its_refusal_are_read() {
        let name = encoded("MBX1", 0);
        let registration = [
            &header(0x2910, [1, 0, 0, 1])[..],
            &name,
            &[0, 0x20, 0, 1, 0xc0, 12, 0, 0x20, 0, 1],
            &[0, 0, 0, 9, 0, 6, 0, 0, 192, 0, 2, 9],
        ]
        .concat();
        let mut refusal = answer(&name, 0x20, &[0, 0, 192, 0, 2, 9]);
        refusal[2..4].copy_from_slice(&0xad86_u16.to_be_bytes());
        let recorder = datagrams(&[(CLIENT, &registration), (SERVER, &refusal)]);
        let operations = values(&recorder, "netbios_ns", "operation");
        assert_eq!(operations, ["registration"; 2]);
        assert_eq!(values(&recorder, "netbios_ns", "rcode"), ["6 MBX1<00>"]);
        assert!(offers(&recorder).is_empty());
        for length in 0..registration.len() {
            datagrams(&[(CLIENT, &registration[..length])]);
        }
    }

    #[test]
    fn dns_and_broken_messages_are_refused_and_dns_does_not_take_these() {
        let dns = b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\0\0\x01\0\x01";
        let name = encoded("MBX1", 0);
        let wrong_type = query(&name, 1);
        let mut wrong_letters = query(&name, 0x20);
        wrong_letters[20] = b'Q';
        let mut wrong_counts = query(&name, 0x20);
        wrong_counts[5] = 2;
        let cut = query(&name, 0x20)[..47].to_vec();
        for bytes in [&dns[..], &wrong_type, &wrong_letters, &wrong_counts, &cut] {
            let found = protocols(&datagrams(&[(CLIENT, bytes)]));
            assert!(!found.contains(&"netbios_ns"), "{bytes:x?}");
        }
        for kind in [0x20, 0x21] {
            assert_eq!(
                protocols(&datagrams(&[(CLIENT, &query(&name, kind))])),
                ["netbios_ns"]
            );
        }
    }
}
