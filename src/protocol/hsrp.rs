//! The hot standby protocol of Cisco's routers (RFC 2281; version 2 as its own documentation describes it).
//!
//! The password that version 1 sends in clear is not kept.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject};
use crate::bytes::Cursor;
use crate::evidence::{Notes, Value};

/// 1 or 2.
const VERSION: &str = "version";
/// State of the sender: `active`, `standby` ...
const STATE: &str = "state";
/// Number of the group.
const GROUP: &str = "group";
/// The address that the group shares.
const ADDRESS: &str = "address";

/// Hot standby routers.
pub(super) const HSRP: Protocol = Protocol {
    name: "hsrp",
    about: About {
        title: "Hot Standby Router Protocol",
        sources: "RFC 2281; Cisco's description of version 2",
        reads: "Version, state, group and shared address.",
        proves: "A message of fixed length with known values, sent to the routers' multicast group.",
        limits: "Passwords and digests are not kept.",
    },
    attributes: &[VERSION, STATE, GROUP, ADDRESS],
    stream: None,
    datagram: Some(DatagramEntry {
        first_byte: |byte| byte <= 2,
        start: || Box::new(Routers),
    }),
};

/// Groups of routers: of version 1, and of version 2.
const ROUTERS_1: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 2));
const ROUTERS_2: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 102));
const ROUTERS_6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x66));

struct Routers;

impl DatagramDecoder for Routers {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let mut cursor = Cursor::new(datagram.bytes);
        match notes.receiver().address {
            ROUTERS_1 => version_1(&mut cursor, notes),
            ROUTERS_2 | ROUTERS_6 => version_2(&mut cursor, notes),
            _ => Err(Reject::Other),
        }
    }
}

/// RFC 2281 section 5.1.
fn version_1(cursor: &mut Cursor<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
    const ADVERTISE: u8 = 3;
    let (version, operation) = (cursor.u8()?, cursor.u8()?);
    if version != 0 || operation > ADVERTISE {
        return Err(Reject::Other);
    }
    if operation == ADVERTISE {
        // Kind 1, ten octets after it, and a state of 1 to 3.
        let (kind, length, state) = (cursor.u16()?, cursor.u16()?, cursor.u8()?);
        if kind != 1 || length != 10 || !(1..=3).contains(&state) {
            return Err(Reject::Other);
        }
        cursor.skip(9)?;
        notes.proved();
        notes.number(VERSION, 1);
        return Ok(());
    }
    let state = match cursor.u8()? {
        0 => "initial",
        1 => "learn",
        2 => "listen",
        4 => "speak",
        8 => "standby",
        16 => "active",
        _ => return Err(Reject::Invalid("state")),
    };
    let (hello, hold) = (cursor.u8()?, cursor.u8()?);
    let (_priority, group, reserved) = (cursor.u8()?, cursor.u8()?, cursor.u8()?);
    cursor.skip(8)?;
    let address = Ipv4Addr::from(*cursor.array::<4>()?);
    if hello > hold || reserved != 0 || address.is_multicast() {
        return Err(Reject::Invalid("times or address"));
    }
    note(1, state, group.into(), address.into(), notes);
    Ok(())
}

/// A chain of type, length and value; the group's state is of type 1 and forty octets.
fn version_2(cursor: &mut Cursor<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
    const STATES: [&str; 7] = [
        "disabled", "initial", "learn", "listen", "speak", "standby", "active",
    ];
    while !cursor.is_empty() {
        let (kind, length) = (cursor.u8()?, cursor.u8()?);
        let mut value = cursor.sub(length.into())?;
        if (kind, length) != (1, 40) {
            continue;
        }
        let (version, operation) = (value.u8()?, value.u8()?);
        let state = STATES.get(usize::from(value.u8()?));
        let family = value.u8()?;
        let group = value.u16()?;
        value.skip(6 + 4)?;
        let (hello, hold) = (value.u32()?, value.u32()?);
        let address = match family {
            4 => IpAddr::from(*value.array::<4>()?),
            6 => IpAddr::from(*value.array::<16>()?),
            _ => return Err(Reject::Other),
        };
        let (Some(state), 2, 0..=2) = (state, version, operation) else {
            return Err(Reject::Other);
        };
        if hello > hold {
            return Err(Reject::Invalid("times"));
        }
        note(2, state, group, address, notes);
        return Ok(());
    }
    Err(Reject::Other)
}

fn note(version: u64, state: &str, group: u16, address: IpAddr, notes: &mut Notes<'_>) {
    notes.proved();
    notes.number(VERSION, version);
    notes.text(STATE, state);
    notes.number(GROUP, group.into());
    if !address.is_unspecified() {
        notes.value(ADDRESS, Value::Address(address));
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{datagram_to as to, only_registered_attributes, protocols, values};
    use super::*;

    const HELLO: &[u8] = b"\0\0\x10\x03\x0a\x78\x07\0cisco\0\0\0\xc0\0\x02\x01";

    fn hello_2(family: u8, address: &[u8]) -> Vec<u8> {
        let mut bytes = vec![1, 40, 2, 0, 6, family, 0, 7, 0, 0, 0xc, 7, 0xac, 1];
        bytes.extend([0, 0, 0, 100, 0, 0, 0xb, 0xb8, 0, 0, 0x27, 0x10]);
        bytes.extend(address);
        bytes.resize(42, 0);
        bytes
    }

    #[test]
    fn a_hello_of_either_version_shows_group_and_address() {
        let v6 = [&[0xfe, 0x80][..], &[0; 13], &[1]].concat();
        for (group, bytes, version, address) in [
            ("224.0.0.2", HELLO.to_vec(), "1", "192.0.2.1"),
            ("224.0.0.102", hello_2(4, &[192, 0, 2, 1]), "2", "192.0.2.1"),
            ("ff02::66", hello_2(6, &v6), "2", "fe80::1"),
        ] {
            let recorder = to(group, &bytes);
            assert_eq!(protocols(&recorder), ["hsrp"]);
            assert_eq!(values(&recorder, "hsrp", "version"), [version]);
            assert_eq!(values(&recorder, "hsrp", "state"), ["active"]);
            assert_eq!(values(&recorder, "hsrp", "group"), ["7"]);
            assert_eq!(values(&recorder, "hsrp", "address"), [address]);
            only_registered_attributes(&recorder, &[&HSRP]);
            assert!(protocols(&to("192.0.2.9", &bytes)).is_empty());
            for length in 0..20 {
                assert!(protocols(&to(group, &bytes[..length])).is_empty());
            }
        }
    }

    #[test]
    fn an_advertisement_is_read_and_wrong_values_are_refused() {
        let advertise = [0, 3, 0, 1, 0, 10, 2, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        assert_eq!(protocols(&to("224.0.0.2", &advertise)), ["hsrp"]);
        for (at, value) in [(0, 1), (1, 4), (2, 3), (3, 99), (7, 1), (16, 224)] {
            let mut bytes = HELLO.to_vec();
            bytes[at] = value;
            assert!(!protocols(&to("224.0.0.2", &bytes)).contains(&"hsrp"));
        }
    }
}
