//! Session announcements (SAP, RFC 2974): which sessions a multicast group will hear, as session descriptions.
//!
//! Proves announcements and deletions, and offers the media of an announced session. Payloads that are encrypted or
//! compressed are not read, and authentication data is passed over.

use std::net::IpAddr;

use memchr::{memchr, memrchr};

use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject, sdp};
use crate::bytes::Cursor;
use crate::evidence::{Notes, Value};

/// `announcement` or `deletion`.
const MESSAGE: &str = "message";
/// The address of the message's originating source.
const ORIGIN: &str = "origin";

/// Session announcements.
pub(super) const SAP: Protocol = Protocol {
    name: "sap",
    about: About {
        title: "Session Announcement Protocol",
        sources: "RFC 2974",
        reads: "Announcements and deletions of sessions; their SDP is handed on.",
        proves: "A header with a session description behind it, or a deletion with the line of an origin.",
        limits: "Encrypted and compressed announcements prove nothing.",
    },
    attributes: &[MESSAGE, ORIGIN],
    stream: None,
    datagram: Some(DatagramEntry {
        first_byte: |byte| byte >> 5 == VERSION,
        start: || Box::new(Announcements),
    }),
};

const VERSION: u8 = 1;
/// The address of the originating source is an IPv6 address.
const IPV6: u8 = 0x10;
/// A session is deleted.
const DELETION: u8 = 0x04;
/// The payload is encrypted, or compressed; or the bit that must be zero is set.
const UNREADABLE: u8 = 0x08 | 0x02 | 0x01;
/// The type of the payload where none is named.
const SESSION: &[u8] = b"application/sdp";

struct Announcements;

impl DatagramDecoder for Announcements {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let message = Message::parse(datagram.bytes)?;
        let text = if datagram.is_cut() {
            // The last line is not whole.
            let end = memrchr(b'\n', message.payload).unwrap_or(0);
            message.payload.get(..end).unwrap_or_default()
        } else {
            message.payload
        };
        let session = sdp::parse(text);
        // A deletion may hold the line of the origin alone (RFC 2974 section 4).
        let is_origin = message.deletes && text.starts_with(b"o=");
        if session.is_none() && !is_origin {
            return Err(Reject::Invalid("payload"));
        }
        notes.proved();
        notes.value(ORIGIN, Value::Address(message.origin));
        if message.deletes {
            notes.text(MESSAGE, "deletion");
        } else {
            notes.text(MESSAGE, "announcement");
            if let Some(session) = session {
                notes.inside(sdp::SDP.name).proved();
                session.note("", notes);
            }
        }
        Ok(())
    }
}

/// One message.
struct Message<'a> {
    deletes: bool,
    origin: IpAddr,
    payload: &'a [u8],
}

impl<'a> Message<'a> {
    /// RFC 2974 section 3, figure 1.
    fn parse(bytes: &'a [u8]) -> Result<Self, Reject> {
        let mut cursor = Cursor::new(bytes);
        let flags = cursor.u8()?;
        if flags >> 5 != VERSION || flags & UNREADABLE != 0 {
            return Err(Reject::Other);
        }
        let authentication = usize::from(cursor.u8()?).saturating_mul(4);
        let _hash = cursor.u16()?;
        let origin = if flags & IPV6 == 0 {
            IpAddr::from(*cursor.array::<4>()?)
        } else {
            IpAddr::from(*cursor.array::<16>()?)
        };
        cursor.skip(authentication)?;
        let payload = cursor.rest();
        // Where no type stands before a zero, it is a session description.
        let payload = match memchr(0, payload).and_then(|end| payload.split_at_checked(end)) {
            Some((kind, rest)) if kind.eq_ignore_ascii_case(SESSION) => {
                rest.get(1..).unwrap_or_default()
            }
            _ => payload,
        };
        Ok(Self {
            deletes: flags & DELETION != 0,
            origin,
            payload,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, cut_datagram, datagrams, offers, only_registered_attributes, protocols, values,
    };
    use super::*;

    const TEXT: &[u8] = b"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=x\r\nc=IN IP4 233.252.0.1/16\r\nm=video 5004 udp 33\r\n";

    fn message(head: &[u8], payload: &[u8]) -> Vec<u8> {
        [head, payload].concat()
    }

    #[test]
    fn an_announced_session_is_offered_to_its_group() {
        let typed = message(b"\x20\x00\x12\x34\xc0\x00\x02\x09application/sdp\0", TEXT);
        let bare = message(b"\x20\x01\x12\x34\xc0\x00\x02\x09AUTH", TEXT);
        let v6 = message(
            b"\x30\x00\x12\x34\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x09application/sdp\0",
            TEXT,
        );
        for (bytes, origin) in [
            (typed, "192.0.2.9"),
            (bare, "192.0.2.9"),
            (v6, "2001:db8::9"),
        ] {
            let recorder = datagrams(&[(CLIENT, &bytes)]);
            assert_eq!(protocols(&recorder), ["sap", "sdp"]);
            assert_eq!(values(&recorder, "sap", ORIGIN), [origin]);
            assert_eq!(values(&recorder, "sap", MESSAGE), ["announcement"]);
            let endpoints: Vec<_> = offers(&recorder)
                .iter()
                .map(|offer| offer.endpoint.to_string())
                .collect();
            assert_eq!(endpoints, ["233.252.0.1:5004"]);
            only_registered_attributes(&recorder, &[&SAP, &sdp::SDP]);
        }
    }

    #[test]
    fn a_deletion_offers_nothing() {
        for payload in [&b"o=- 1 1 IN IP4 192.0.2.9\r\n"[..], TEXT] {
            let bytes = message(b"\x24\x00\x12\x34\xc0\x00\x02\x09", payload);
            let recorder = datagrams(&[(CLIENT, &bytes)]);
            assert_eq!(protocols(&recorder), ["sap"]);
            assert_eq!(values(&recorder, "sap", MESSAGE), ["deletion"]);
            assert!(offers(&recorder).is_empty());
        }
    }

    #[test]
    fn what_cannot_be_read_or_is_something_else_proves_nothing() {
        let head = b"\x20\x00\x12\x34\xc0\x00\x02\x09";
        for bytes in [
            message(b"\x22\x00\x12\x34\xc0\x00\x02\x09", TEXT),
            message(b"\x21\x00\x12\x34\xc0\x00\x02\x09", TEXT),
            message(b"\x40\x00\x12\x34\xc0\x00\x02\x09", TEXT),
            message(b"\x20\xff\x12\x34\xc0\x00\x02\x09", TEXT),
            message(head, b"o=- 1 1 IN IP4 192.0.2.9\r\n"),
            message(head, b"text/plain\0v=0\r\n"),
            message(head, b""),
        ] {
            assert!(protocols(&datagrams(&[(CLIENT, &bytes)])).is_empty());
        }
    }

    #[test]
    fn every_prefix_is_survived_and_a_cut_line_is_left_out() {
        let whole = message(b"\x20\x00\x12\x34\xc0\x00\x02\x09application/sdp\0", TEXT);
        for length in 0..whole.len() {
            datagrams(&[(CLIENT, &whole[..length])]);
        }
        let recorder = cut_datagram(&whole[..whole.len() - 15], whole.len());
        assert_eq!(protocols(&recorder), ["sap", "sdp"]);
        assert!(offers(&recorder).is_empty());
    }
}
