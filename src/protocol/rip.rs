//! The routing information protocol: RIP (RFC 1058, RFC 2453) and RIPng (RFC 2080), which share the form of a message.
//!
//! Passwords and digests (RFC 4822) are not kept, nor are routes.

use std::net::Ipv4Addr;

use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject};
use crate::bytes::Cursor;
use crate::evidence::Notes;

/// 1 or 2 of RIP, 1 of RIPng.
const VERSION: &str = "version";
/// `request` or `response`.
const COMMAND: &str = "command";

/// RIP.
pub(super) const RIP: Protocol = Protocol {
    name: "rip",
    about: About {
        title: "Routing Information Protocol",
        sources: "RFC 1058, RFC 2453, RFC 4822",
        reads: "Version and command.",
        proves: "Entries of twenty octets to the end, each with a known family, zeros where they must be, and a metric.",
        limits: "Routes, passwords and digests are not kept.",
    },
    attributes: &[VERSION, COMMAND],
    stream: None,
    datagram: Some(DatagramEntry {
        first_byte: |byte| matches!(byte, REQUEST | RESPONSE),
        start: || Box::new(Family::Rip),
    }),
};

/// RIPng.
pub(super) const RIPNG: Protocol = Protocol {
    name: "ripng",
    about: About {
        title: "RIPng for IPv6",
        sources: "RFC 2080",
        reads: "Version and command.",
        proves: "Entries of twenty octets to the end, each with a possible prefix length and metric.",
        limits: "Routes are not kept.",
    },
    attributes: &[VERSION, COMMAND],
    stream: None,
    datagram: Some(DatagramEntry {
        first_byte: |byte| matches!(byte, REQUEST | RESPONSE),
        start: || Box::new(Family::Ng),
    }),
};

const REQUEST: u8 = 1;
const RESPONSE: u8 = 2;
/// The metric of what cannot be reached.
const INFINITY: u32 = 16;

/// Which of the two: RIP runs over IPv4, RIPng over IPv6.
enum Family {
    Rip,
    Ng,
}

impl DatagramDecoder for Family {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let mut cursor = Cursor::new(datagram.bytes);
        let (command, version, zero) = (cursor.u8()?, cursor.u8()?, cursor.u16()?);
        if zero != 0 || !matches!(version, 1 | 2) || datagram.wire_len % 20 != 4 {
            return Err(Reject::Other);
        }
        let is_6 = notes.receiver().address.is_ipv6();
        let is_sane = match self {
            Self::Rip if !is_6 => routes(&mut cursor, version),
            Self::Ng if is_6 && version == 1 => routes_ng(&mut cursor),
            Self::Rip | Self::Ng => false,
        };
        if !is_sane {
            return Err(Reject::Invalid("entry"));
        }
        notes.proved();
        notes.number(VERSION, version.into());
        let request = command == REQUEST;
        notes.text(COMMAND, if request { "request" } else { "response" });
        Ok(())
    }
}

/// Whether every entry that is there can be one (RFC 2453 sections 3.6, 4 and 4.1; RFC 4822 section 2).
fn routes(cursor: &mut Cursor<'_>, version: u8) -> bool {
    let mut count = 0_u16;
    while let Ok(entry) = cursor.array::<20>() {
        let [f, g, t, u, a, b, c, d, mask @ .., m0, m1, m2, m3] = *entry;
        let (family, tag) = (u16::from_be_bytes([f, g]), u16::from_be_bytes([t, u]));
        let address = Ipv4Addr::new(a, b, c, d);
        let metric = u32::from_be_bytes([m0, m1, m2, m3]);
        let is_plain = version == 2 || (tag == 0 && mask == [0; 8]);
        let sane = match family {
            // Authentication comes first, a digest again at the end.
            0xffff => version == 2 && (1..=3).contains(&tag),
            2 => is_plain && metric <= INFINITY && !address.is_multicast(),
            // The whole table is asked for.
            0 => address.is_unspecified() && metric == INFINITY,
            _ => false,
        };
        if !sane {
            return false;
        }
        count = count.saturating_add(1);
    }
    count > 0
}

/// RFC 2080 section 2.1.
fn routes_ng(cursor: &mut Cursor<'_>) -> bool {
    const NEXT_HOP: u8 = 0xff;
    let mut count = 0_u16;
    while let Ok(entry) = cursor.array::<20>() {
        let [.., length, metric] = *entry;
        let sane = match metric {
            NEXT_HOP => length == 0,
            metric => length <= 128 && (1..=16).contains(&metric),
        };
        if !sane {
            return false;
        }
        count = count.saturating_add(1);
    }
    count > 0
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, datagram_to, datagrams, only_registered_attributes, protocols, values,
    };
    use super::*;

    const ROUTE: [u8; 20] = [
        0, 2, 0, 0, 192, 0, 2, 0, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 1,
    ];

    fn message(head: [u8; 4], entries: &[[u8; 20]]) -> Vec<u8> {
        [&head[..], &entries.concat()].concat()
    }

    #[test]
    fn requests_and_responses_are_read() {
        let mut whole = [0; 20];
        whole[19] = 16;
        let mut password = [0; 20];
        password[..8].copy_from_slice(b"\xff\xff\0\x02pass");
        for (bytes, version, command) in [
            (message([1, 1, 0, 0], &[whole]), "1", "request"),
            (message([2, 2, 0, 0], &[ROUTE, ROUTE]), "2", "response"),
            (message([2, 2, 0, 0], &[password, ROUTE]), "2", "response"),
        ] {
            let recorder = datagrams(&[(CLIENT, &bytes)]);
            assert_eq!(protocols(&recorder), ["rip"]);
            assert_eq!(values(&recorder, "rip", "version"), [version]);
            assert_eq!(values(&recorder, "rip", "command"), [command]);
            only_registered_attributes(&recorder, &[&RIP]);
        }
    }

    #[test]
    fn ripng_is_told_by_the_family_of_addresses() {
        let mut entry = [0; 20];
        entry[18..].copy_from_slice(&[64, 1]);
        let bytes = message([2, 1, 0, 0], &[entry]);
        let recorder = datagram_to("ff02::9", &bytes);
        assert_eq!(protocols(&recorder), ["ripng"]);
        assert_eq!(values(&recorder, "ripng", "version"), ["1"]);
        assert_eq!(values(&recorder, "ripng", "command"), ["response"]);
        only_registered_attributes(&recorder, &[&RIPNG]);
    }

    #[test]
    fn prefixes_and_wrong_entries_are_refused() {
        let good = message([2, 2, 0, 0], &[ROUTE, ROUTE]);
        for length in (0..good.len()).filter(|length| *length != 24) {
            assert!(protocols(&datagrams(&[(CLIENT, &good[..length])])).is_empty());
        }
        for (at, value) in [(0, 3), (1, 3), (2, 1), (5, 3), (8, 224), (23, 17), (43, 99)] {
            let mut bytes = good.clone();
            bytes[at] = value;
            assert!(protocols(&datagrams(&[(CLIENT, &bytes)])).is_empty());
        }
        let tagged = message([2, 1, 0, 0], &[ROUTE]);
        assert!(protocols(&datagrams(&[(CLIENT, &tagged)])).is_empty());
    }
}
