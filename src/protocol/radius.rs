//! RADIUS (RFC 2865, RFC 2866, RFC 5176): requests for access and accounting, and their answers.
//!
//! Names of users, passwords and what authenticates are not kept.

use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject};
use crate::bytes::Cursor;
use crate::evidence::Notes;

/// `access_request`, `access_accept` ...
const MESSAGE: &str = "message";
/// Name of the access server that asks.
const NAS: &str = "nas";

/// Remote authentication.
pub(super) const RADIUS: Protocol = Protocol {
    name: "radius",
    about: About {
        title: "Remote Authentication Dial In User Service",
        sources: "RFC 2865, RFC 2866, RFC 3579, RFC 5176, RFC 5997",
        reads: "Kind of message and name of the access server.",
        proves: "A stated length, attributes to the end with the lengths that they must have, and one that the message must have or the request it answers.",
        limits: "Users, passwords and digests are not kept; RADIUS over TLS is TLS.",
    },
    attributes: &[MESSAGE, NAS],
    stream: None,
    datagram: Some(DatagramEntry {
        first_byte: |byte| Code(byte).name().is_some(),
        start: || Box::<Messages>::default(),
    }),
};

crate::open_enum! {
    /// Codes, RFC 2865 section 4, RFC 2866, RFC 5176, RFC 5997.
    struct Code(u8) {
        /// May this user in?
        ACCESS_REQUEST = 1 => "access_request",
        /// Yes.
        ACCESS_ACCEPT = 2 => "access_accept",
        /// No.
        ACCESS_REJECT = 3 => "access_reject",
        /// This happened.
        ACCOUNTING_REQUEST = 4 => "accounting_request",
        /// Noted.
        ACCOUNTING_RESPONSE = 5 => "accounting_response",
        /// Say more.
        ACCESS_CHALLENGE = 11 => "access_challenge",
        /// Are you there?
        STATUS_SERVER = 12 => "status_server",
        /// Throw the user out.
        DISCONNECT_REQUEST = 40 => "disconnect_request",
        /// Done.
        DISCONNECT_ACK = 41 => "disconnect_ack",
        /// Not done.
        DISCONNECT_NAK = 42 => "disconnect_nak",
        /// Change what the user may do.
        COA_REQUEST = 43 => "coa_request",
        /// Done.
        COA_ACK = 44 => "coa_ack",
        /// Not done.
        COA_NAK = 45 => "coa_nak",
    }
}

impl Code {
    const fn is_request(self) -> bool {
        matches!(
            self,
            Self::ACCESS_REQUEST
                | Self::ACCOUNTING_REQUEST
                | Self::STATUS_SERVER
                | Self::DISCONNECT_REQUEST
                | Self::COA_REQUEST
        )
    }
}

/// Octets before the attributes.
const HEADER: usize = 20;
/// RFC 2865 section 3.
const MAX_LENGTH: usize = 4096;
/// Attributes of four octets (RFC 2865, RFC 2866): numbers and addresses.
const FOUR_OCTETS: [u8; 24] = [
    4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 15, 16, 23, 27, 28, 29, 37, 38, 40, 41, 42, 43, 46, 61,
];
const NAS_ADDRESS: u8 = 4;
const NAS_IDENTIFIER: u8 = 32;
const STATUS_TYPE: u8 = 40;
const EAP: u8 = 79;
const AUTHENTICATOR: u8 = 80;
const NAS_ADDRESS_6: u8 = 95;

/// The identifier of the last request, for the answers that say nothing else.
#[derive(Default)]
struct Messages {
    asked: Option<u8>,
}

impl DatagramDecoder for Messages {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let mut cursor = Cursor::new(datagram.bytes);
        let (code, id) = (Code(cursor.u8()?), cursor.u8()?);
        let length = usize::from(cursor.u16()?);
        if !(HEADER..=MAX_LENGTH).contains(&length) || length != datagram.wire_len {
            return Err(Reject::Other);
        }
        cursor.skip(16)?;
        let mut telling = false;
        let mut access_server = &b""[..];
        while !cursor.is_empty() {
            let attribute = cursor
                .u8()
                .and_then(|kind| Ok((kind, usize::from(cursor.u8()?))))
                .and_then(|(kind, length)| {
                    let value = cursor.take(length.saturating_sub(2))?;
                    Ok((kind, length, value))
                });
            let (kind, length, value) = match attribute {
                Ok(attribute) => attribute,
                Err(_) if datagram.is_cut() && telling => break,
                Err(short) => return Err(short.into()),
            };
            let fits = kind != 0
                && length >= 2
                && (length == 6 || !FOUR_OCTETS.contains(&kind))
                && (length == 18 || kind != AUTHENTICATOR);
            if !fits {
                return Err(Reject::Invalid("attribute"));
            }
            telling |= match code {
                Code::ACCOUNTING_REQUEST => kind == STATUS_TYPE,
                Code::ACCESS_REQUEST => matches!(
                    kind,
                    NAS_ADDRESS | NAS_IDENTIFIER | NAS_ADDRESS_6 | EAP | AUTHENTICATOR
                ),
                _ => FOUR_OCTETS.contains(&kind) || kind == AUTHENTICATOR,
            };
            if kind == NAS_IDENTIFIER {
                access_server = value;
            }
        }
        if code.is_request() {
            self.asked = Some(id).filter(|_| telling);
        }
        if !telling && self.asked != Some(id) {
            return Err(Reject::Other);
        }
        notes.proved();
        let side = notes.side();
        notes.client(if code.is_request() {
            side
        } else {
            side.other()
        });
        notes.text(MESSAGE, &code.to_string());
        notes.bytes(NAS, access_server);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, datagrams, only_registered_attributes, protocols, values,
    };
    use super::*;

    fn message(code: u8, attributes: &[u8]) -> Vec<u8> {
        let length = u8::try_from(HEADER + attributes.len()).unwrap();
        [&[code, 7, 0, length][..], &[0x5a; 16], attributes].concat()
    }

    #[test]
    fn a_request_and_its_bare_answer_are_read() {
        let asked = message(1, b"\x01\x06user\x20\x06wlc1\x04\x06\xc0\0\x02\x01");
        let recorder = datagrams(&[(CLIENT, &asked), (SERVER, &message(3, b""))]);
        assert_eq!(protocols(&recorder), ["radius"]);
        let messages = values(&recorder, "radius", "message");
        assert_eq!(messages, ["access_reject", "access_request"]);
        assert_eq!(values(&recorder, "radius", "nas"), ["wlc1"]);
        assert_eq!(recorder.client, Some(CLIENT));
        only_registered_attributes(&recorder, &[&RADIUS]);
        for length in 0..asked.len() {
            assert!(protocols(&datagrams(&[(CLIENT, &asked[..length])])).is_empty());
        }
    }

    #[test]
    fn answers_without_a_request_need_an_attribute() {
        assert!(protocols(&datagrams(&[(SERVER, &message(5, b""))])).is_empty());
        let accepted = message(2, b"\x06\x06\0\0\0\x02");
        assert_eq!(protocols(&datagrams(&[(SERVER, &accepted)])), ["radius"]);
    }

    #[test]
    fn wrong_attributes_and_lengths_are_refused() {
        for attributes in [
            &b"\x04\x05\xc0\0\x02"[..],
            b"\x50\x06\0\0\0\0",
            b"\0\x06\0\0\0\0",
            b"\x20\x01",
            b"\x20\x09abc",
            b"\x01\x06user",
        ] {
            let bytes = message(1, attributes);
            assert!(protocols(&datagrams(&[(CLIENT, &bytes)])).is_empty());
        }
        let mut long = message(1, b"\x20\x06wlc1");
        long.push(0);
        assert!(protocols(&datagrams(&[(CLIENT, &long)])).is_empty());
    }
}
