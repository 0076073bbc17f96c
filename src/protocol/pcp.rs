//! Port Control Protocol (RFC 6887) and NAT-PMP (RFC 6886): hosts that open ports in their router.
//!
//! Reads requests and answers over UDP; addresses are not kept. Proof is a message of the one length that its operation has,
//! with unused octets of zero.

use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject};
use crate::bytes::{Cursor, Short};
use crate::evidence::Notes;

/// 0 for NAT-PMP, 2 for PCP.
const VERSION: &str = "version";
/// `announce`, `map`, `peer`; `address`, `map_udp`, `map_tcp` for NAT-PMP.
const OPERATION: &str = "operation";
/// The port within that shall be opened, or is.
const PORT: &str = "port";

/// Ports of a router.
pub(super) const PCP: Protocol = Protocol {
    name: "pcp",
    about: About {
        title: "Port Control Protocol and NAT-PMP",
        sources: "RFC 6886 section 3, RFC 6887 sections 7, 11 and 14",
        reads: "Operations, and which port within is opened.",
        proves: "A message of the one length that its operation has, with unused octets of zero.",
        limits: "Addresses are not kept; a bare question for the address alone proves nothing.",
    },
    attributes: &[VERSION, OPERATION, PORT],
    stream: None,
    datagram: Some(DatagramEntry {
        first_byte: |byte| matches!(byte, 0 | 2),
        start: || Box::new(Messages),
    }),
};

const RESPONSE: u8 = 0x80;
/// Thirty days in seconds: nobody asks for longer, and what is something else mostly does.
const MAX_LIFETIME: u32 = 30 * 24 * 3600;
/// The highest octets of an IPv4 address in IPv6.
const MAPPED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

struct Message {
    version: u8,
    operation: &'static str,
    is_response: bool,
    port: Option<u16>,
}

impl Message {
    fn parse(bytes: &[u8]) -> Result<Option<Self>, Short> {
        let mut cursor = Cursor::new(bytes);
        let (version, code) = (cursor.u8()?, cursor.u8()?);
        let (is_response, operation) = (code & RESPONSE != 0, code & !RESPONSE);
        let port = match version {
            0 => simple(&mut cursor, is_response, operation)?,
            2 => full(&mut cursor, is_response, operation)?,
            _ => None,
        };
        let operation = match (version, operation) {
            (0, 0) => "address",
            (0, 1) => "map_udp",
            (0, 2) => "map_tcp",
            (2, 0) => "announce",
            (2, 1) => "map",
            (2, 2) => "peer",
            _ => return Ok(None),
        };
        Ok(port.map(|port| Self {
            version,
            operation,
            is_response,
            port,
        }))
    }
}

/// NAT-PMP, whose messages have no more than sixteen octets.
fn simple(
    cursor: &mut Cursor<'_>,
    is_response: bool,
    operation: u8,
) -> Result<Option<Option<u16>>, Short> {
    let code = cursor.u16()?;
    if is_response {
        let _epoch = cursor.u32()?;
        // Success, unsupported, refused, failure, no room, unknown.
        if code > 5 {
            return Ok(None);
        }
    } else if code != 0 {
        return Ok(None);
    }
    if operation == 0 {
        let address = cursor.u32()?;
        let is_answer = is_response && (address != 0) == (code == 0);
        return Ok((is_answer && cursor.is_empty()).then_some(None));
    }
    let (within, _outside, lifetime) = (cursor.u16()?, cursor.u16()?, cursor.u32()?);
    let fits = cursor.is_empty() && within != 0 && lifetime <= MAX_LIFETIME;
    Ok(fits.then_some(Some(within)))
}

fn full(
    cursor: &mut Cursor<'_>,
    is_response: bool,
    operation: u8,
) -> Result<Option<Option<u16>>, Short> {
    let (reserved, result) = (cursor.u8()?, cursor.u8()?);
    let lifetime = cursor.u32()?;
    let mut fits = reserved == 0 && lifetime <= MAX_LIFETIME;
    if is_response {
        let (_epoch, zero) = (cursor.u32()?, cursor.array::<12>()?);
        fits &= result <= 13 && (result != 0 || *zero == [0; 12]);
    } else {
        let address = cursor.array::<16>()?;
        // The sender's own: of IPv4, or a real one of IPv6.
        let is_address = address.starts_with(&MAPPED)
            || matches!(address, [0x20..=0x3f | 0xfe | 0xfc | 0xfd, ..]);
        fits &= result == 0 && is_address;
    }
    if operation == 0 {
        return Ok((fits && is_response && cursor.is_empty()).then_some(None));
    }
    let (_nonce, protocol) = (cursor.array::<12>()?, cursor.u32()?);
    let (within, _outside) = (cursor.u16()?, cursor.u16()?);
    let _address = cursor.u128()?;
    if operation == 2 {
        let (_port, _reserved, _peer) = (cursor.u16()?, cursor.u16()?, cursor.u128()?);
    }
    // UDP, TCP, SCTP or all, and three octets of zero; options of four octets each may follow.
    fits &= matches!(protocol.to_be_bytes(), [0 | 6 | 17 | 132, 0, 0, 0]);
    Ok((fits && cursor.len().is_multiple_of(4)).then_some(Some(within)))
}

struct Messages;

impl DatagramDecoder for Messages {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        if datagram.is_cut() {
            return Err(Reject::Other);
        }
        let message = Message::parse(datagram.bytes)?.ok_or(Reject::Other)?;
        let side = notes.side();
        notes.proved();
        notes.client(if message.is_response {
            side.other()
        } else {
            side
        });
        notes.number(VERSION, u64::from(message.version));
        notes.text(OPERATION, message.operation);
        if let Some(port) = message.port {
            notes.number(PORT, u64::from(port));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, datagrams, only_registered_attributes, protocols, values,
    };
    use super::*;

    const MAP_UDP: &[u8] = &[0, 1, 0, 0, 0x32, 0xdd, 0x32, 0xdd, 0, 0, 0x0e, 0x10];
    const ADDRESS: &[u8] = &[0, 0x80, 0, 0, 0, 0, 0, 0x21, 192, 0, 2, 1];

    fn map() -> Vec<u8> {
        [
            &[2, 1, 0, 0, 0, 0, 0x0e, 0x10][..],
            &MAPPED,
            &[10, 0, 0, 1],
            &[7; 12],
            &[6, 0, 0, 0, 0, 80, 0, 80],
            &[0; 16],
        ]
        .concat()
    }

    #[test]
    fn both_versions_are_read() {
        let map = map();
        let announced = [&[2, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9][..], &[0; 12]].concat();
        let recorder = datagrams(&[
            (CLIENT, MAP_UDP),
            (SERVER, ADDRESS),
            (CLIENT, &map),
            (SERVER, &announced),
        ]);
        assert_eq!(protocols(&recorder), ["pcp"]);
        assert_eq!(recorder.client, Some(CLIENT));
        assert_eq!(
            values(&recorder, "pcp", "operation"),
            ["address", "announce", "map", "map_udp"]
        );
        assert_eq!(values(&recorder, "pcp", "port"), ["80", "13021"]);
        assert_eq!(values(&recorder, "pcp", "version"), ["0", "0", "2", "2"]);
        only_registered_attributes(&recorder, &[&PCP]);
        for bytes in [MAP_UDP, ADDRESS, &map] {
            for length in 0..bytes.len() {
                assert!(protocols(&datagrams(&[(CLIENT, &bytes[..length])])).is_empty());
            }
        }
    }

    #[test]
    fn other_lengths_lifetimes_and_codes_are_refused() {
        for (at, value) in [(0, 1), (1, 3), (2, 1), (8, 1)] {
            let mut other = MAP_UDP.to_vec();
            other[at] = value;
            assert!(protocols(&datagrams(&[(CLIENT, &other)])).is_empty());
        }
        for (at, value) in [(1, 3), (2, 1), (4, 1), (8, 1), (36, 7), (37, 1)] {
            let mut other = map();
            other[at] = value;
            assert!(protocols(&datagrams(&[(CLIENT, &other)])).is_empty());
        }
        for other in [
            &[0_u8, 0][..],
            &[0, 0x80, 0, 9, 0, 0, 0, 0x21, 192, 0, 2, 1],
        ] {
            assert!(protocols(&datagrams(&[(CLIENT, other)])).is_empty());
        }
    }
}
