//! `BACnet/IP` (ISO 16484-5 annex J): what controllers of a building ask of each other.
//!
//! Reads the virtual link header, passes over network addresses and names the service; values are never looked at. Proof is
//! the link's type, a function and exactly its length, with the network layer's version where there is one.

use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject};
use crate::bytes::{Cursor, Short};
use crate::evidence::Notes;

/// Service: `who_is`, `i_am`, `read_property`, `write_property` ...
const SERVICE: &str = "service";

/// Buildings.
pub(super) const BACNET: Protocol = Protocol {
    name: "bacnet",
    about: About {
        title: "BACnet/IP",
        sources: "ISO 16484-5 clauses 6.2 and 20.1, annex J",
        reads: "Services that are asked for.",
        proves: "The type of the virtual link, a function with exactly its length, and the network layer's version.",
        limits: "Values are not looked at; secured links are not known.",
    },
    attributes: &[SERVICE],
    stream: None,
    datagram: Some(DatagramEntry {
        first_byte: |byte| byte == TYPE,
        start: || Box::new(Messages),
    }),
};

const TYPE: u8 = 0x81;
const HEADER: usize = 4;

struct Messages;

impl DatagramDecoder for Messages {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let mut cursor = Cursor::new(datagram.bytes);
        let (kind, function) = (cursor.u8()?, cursor.u8()?);
        let length = usize::from(cursor.u16()?);
        if kind != TYPE || length != datagram.wire_len {
            return Err(Reject::Other);
        }
        let body = length.saturating_sub(HEADER);
        let carries = match function {
            // Results, tables of broadcasts and of foreign devices (annex J.2).
            0 | 5 => body == 2,
            2 | 6 => body == 0,
            8 => body == 6,
            1 | 3 | 7 => body > 0 && body.is_multiple_of(10),
            // Forwarded with its origin, distributed, unicast and broadcast.
            4 => {
                cursor.skip(6)?;
                true
            }
            9..=11 => true,
            _ => false,
        };
        if !carries {
            return Err(Reject::Invalid("function or length"));
        }
        if matches!(function, 4 | 9..=11)
            && let Some(service) = network(&mut cursor)?
        {
            notes.text(SERVICE, service);
        }
        notes.proved();
        Ok(())
    }
}

/// The service behind the network layer's header (clauses 6.2.2 and 20.1).
fn network(cursor: &mut Cursor<'_>) -> Result<Option<&'static str>, Reject> {
    let (version, control) = (cursor.u8()?, cursor.u8()?);
    if version != 1 || control & 0x50 != 0 {
        return Err(Reject::Invalid("network layer"));
    }
    let has_destination = control & 0x20 != 0;
    for present in [has_destination, control & 0x08 != 0] {
        if present {
            let _network = cursor.u16()?;
            let length = usize::from(cursor.u8()?);
            cursor.skip(length)?;
        }
    }
    if has_destination {
        let _hops = cursor.u8()?;
    }
    if control & 0x80 != 0 {
        let _network_message = cursor.u8()?;
        return Ok(None);
    }
    Ok(application(cursor).unwrap_or(None))
}

fn application(cursor: &mut Cursor<'_>) -> Result<Option<&'static str>, Short> {
    let kind = cursor.u8()?;
    Ok(match kind >> 4 {
        0 => {
            let is_segmented = kind & 0x08 != 0;
            cursor.skip(if is_segmented { 4 } else { 2 })?;
            match cursor.u8()? {
                5 => Some("subscribe_cov"),
                6 => Some("atomic_read_file"),
                7 => Some("atomic_write_file"),
                10 => Some("create_object"),
                11 => Some("delete_object"),
                12 => Some("read_property"),
                14 => Some("read_property_multiple"),
                15 => Some("write_property"),
                16 => Some("write_property_multiple"),
                17 => Some("device_communication_control"),
                20 => Some("reinitialize_device"),
                26 => Some("read_range"),
                _ => None,
            }
        }
        1 => match cursor.u8()? {
            0 => Some("i_am"),
            1 => Some("i_have"),
            2 => Some("cov_notification"),
            3 => Some("event_notification"),
            6 => Some("time_synchronization"),
            7 => Some("who_has"),
            8 => Some("who_is"),
            9 => Some("utc_time_synchronization"),
            _ => None,
        },
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, datagrams, only_registered_attributes, protocols, values,
    };
    use super::*;

    const WHO_IS: &[u8] = &[0x81, 11, 0, 12, 1, 0x20, 0xff, 0xff, 0, 0xff, 0x10, 8];
    const READ: &[u8] = &[
        0x81, 10, 0, 17, 1, 4, 0, 5, 1, 12, 0x0c, 2, 0, 0, 0, 0x19, 85,
    ];

    #[test]
    fn services_are_named() {
        let recorder = datagrams(&[(CLIENT, WHO_IS), (SERVER, READ)]);
        assert_eq!(protocols(&recorder), ["bacnet"]);
        assert_eq!(
            values(&recorder, "bacnet", "service"),
            ["read_property", "who_is"]
        );
        only_registered_attributes(&recorder, &[&BACNET]);
        for length in 0..READ.len() {
            assert!(protocols(&datagrams(&[(CLIENT, &READ[..length])])).is_empty());
        }
    }

    #[test]
    fn messages_of_the_link_and_the_network_name_no_service() {
        let forwarded = [0x81, 4, 0, 14, 10, 0, 0, 1, 0xba, 0xc0, 1, 0x80, 0, 9];
        for bytes in [&forwarded[..], &[0x81, 0, 0, 6, 0, 0x30], &[0x81, 2, 0, 4]] {
            let recorder = datagrams(&[(CLIENT, bytes)]);
            assert_eq!(protocols(&recorder), ["bacnet"]);
            assert!(values(&recorder, "bacnet", "service").is_empty());
        }
    }

    #[test]
    fn other_lengths_functions_and_versions_are_refused() {
        for bytes in [
            &[0x81_u8, 11, 0, 11, 1, 0x20, 0xff, 0xff, 0, 0xff, 0x10, 8][..],
            &[0x81, 10, 0, 8, 2, 0, 0x10, 8],
            &[0x81, 10, 0, 8, 1, 0x40, 0x10, 8],
            &[0x81, 0, 0, 5, 0],
            &[0x81, 0x0c, 0, 6, 1, 0],
        ] {
            assert!(protocols(&datagrams(&[(CLIENT, bytes)])).is_empty());
        }
    }
}
