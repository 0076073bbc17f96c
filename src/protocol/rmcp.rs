//! Remote management of servers (DMTF ASF 2.0, IPMI 2.0 section 13): RMCP with ASF or IPMI inside, over UDP.
//!
//! Reads what is carried and how it authenticates; commands are never looked at. Proof is the header, and a message of ASF with
//! its enterprise number or one of IPMI with its exact length.

use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject};
use crate::bytes::Cursor;
use crate::evidence::Notes;

/// `asf` or `ipmi`.
const CLASS: &str = "class";
/// How a message of IPMI authenticates: `none`, `md2`, `md5`, `password`, `oem`, `rmcp+`.
const AUTH_MECHANISM: &str = "auth_mechanism";

/// Management of servers.
pub(super) const RMCP: Protocol = Protocol {
    name: "rmcp",
    about: About {
        title: "Remote Management Control Protocol (ASF, IPMI)",
        sources: "DMTF DSP0136 section 3.2, IPMI 2.0 section 13.6",
        reads: "What is carried, and how it authenticates.",
        proves: "The header, and ASF with its enterprise number or IPMI with its exact length.",
        limits: "Commands and users are not looked at.",
    },
    attributes: &[CLASS, AUTH_MECHANISM],
    stream: None,
    datagram: Some(DatagramEntry {
        first_byte: |byte| byte == VERSION,
        start: || Box::new(Messages),
    }),
};

const VERSION: u8 = 6;
const ASF: u8 = 6;
const IPMI: u8 = 7;
/// The enterprise number of the standard's own messages.
const ENTERPRISE: u32 = 4542;
/// The format of sessions of IPMI 2.0.
const RMCP_PLUS: u8 = 6;

struct Messages;

impl DatagramDecoder for Messages {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let mut cursor = Cursor::new(datagram.bytes);
        let (version, reserved) = (cursor.u8()?, cursor.u8()?);
        let (_number, class) = (cursor.u8()?, cursor.u8()?);
        if version != VERSION || reserved != 0 {
            return Err(Reject::Other);
        }
        // What is left of the datagram must be just as long as its header says.
        let left = |cursor: &Cursor<'_>| datagram.wire_len.saturating_sub(cursor.offset());
        match class {
            ASF => {
                let (enterprise, _kind_and_tag) = (cursor.u32()?, cursor.u16()?);
                let (_reserved, length) = (cursor.u8()?, usize::from(cursor.u8()?));
                if enterprise != ENTERPRISE || length != left(&cursor) {
                    return Err(Reject::Other);
                }
                notes.text(CLASS, "asf");
            }
            IPMI => {
                let format = cursor.u8()?;
                let mechanism = match format {
                    0 => "none",
                    1 => "md2",
                    2 => "md5",
                    4 => "password",
                    5 => "oem",
                    RMCP_PLUS => "rmcp+",
                    _ => return Err(Reject::Other),
                };
                let is_whole = if format == RMCP_PLUS {
                    let payload = cursor.u8()?;
                    let (_session, _number) = (cursor.u32_le()?, cursor.u32_le()?);
                    let length = usize::from(cursor.u16_le()?);
                    // Where the session signs, a trailer follows.
                    let is_signed = payload & 0x40 != 0;
                    length == left(&cursor) || (is_signed && length < left(&cursor))
                } else {
                    let (_number, _session) = (cursor.u32_le()?, cursor.u32_le()?);
                    if format != 0 {
                        let _code = cursor.u128()?;
                    }
                    // Seven octets are the least that a message has; one of padding may follow.
                    let length = usize::from(cursor.u8()?);
                    let extra = left(&cursor).checked_sub(length);
                    length >= 7 && matches!(extra, Some(0 | 1))
                };
                if !is_whole {
                    return Err(Reject::Invalid("length"));
                }
                notes.text(CLASS, "ipmi");
                notes.text(AUTH_MECHANISM, mechanism);
            }
            _ => return Err(Reject::Other),
        }
        notes.proved();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, datagrams, only_registered_attributes, protocols, values,
    };
    use super::*;

    const PING: &[u8] = &[6, 0, 0xff, 6, 0, 0, 0x11, 0xbe, 0x80, 0, 0, 0];
    const ASKED: &[u8] = &[
        6, 0, 0xff, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0x20, 0x18, 0xc8, 0x81, 0, 0x38, 0x8e, 4, 0xb5,
    ];

    #[test]
    fn what_is_carried_is_told() {
        let plus = [&[6, 0, 0xff, 7, 6, 0x10][..], &[0; 8], &[2, 0, 1, 2]].concat();
        let signed = [&[6, 0, 0xff, 7, 2][..], &[9; 24], &[7], &[1; 7]].concat();
        let recorder = datagrams(&[
            (CLIENT, PING),
            (CLIENT, ASKED),
            (SERVER, &plus),
            (SERVER, &signed),
        ]);
        assert_eq!(protocols(&recorder), ["rmcp"]);
        assert_eq!(values(&recorder, "rmcp", "class"), ["asf", "ipmi", "ipmi"]);
        assert_eq!(
            values(&recorder, "rmcp", "auth_mechanism"),
            ["md5", "none", "rmcp+"]
        );
        only_registered_attributes(&recorder, &[&RMCP]);
        for bytes in [PING, ASKED] {
            for length in 0..bytes.len() {
                assert!(protocols(&datagrams(&[(CLIENT, &bytes[..length])])).is_empty());
            }
        }
    }

    #[test]
    fn other_headers_and_lengths_are_refused() {
        for (at, value) in [(1, 1), (3, 8), (7, 0xbf), (11, 1)] {
            let mut other = PING.to_vec();
            other[at] = value;
            assert!(protocols(&datagrams(&[(CLIENT, &other)])).is_empty());
        }
        for (at, value) in [(4, 3), (13, 6), (13, 10)] {
            let mut other = ASKED.to_vec();
            other[at] = value;
            assert!(protocols(&datagrams(&[(CLIENT, &other)])).is_empty());
        }
    }
}
