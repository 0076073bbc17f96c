//! Kerberos change and set password (RFC 3244): that somebody's password is changed, over UDP.
//!
//! Reads the header of a request or a reply; tickets and what they seal are never looked at. Proof is an exact length, a known
//! version, and a message of Kerberos of just the stated length.

use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject};
use crate::bytes::Cursor;
use crate::evidence::Notes;

/// `request`, `reply` or `error`.
const MESSAGE: &str = "message";
/// `change` for the sender's own password, `set` where Microsoft's version may name another's.
const VERSION: &str = "version";

/// Passwords.
pub(super) const KPASSWD: Protocol = Protocol {
    name: "kpasswd",
    about: About {
        title: "Kerberos change and set password",
        sources: "RFC 3244 section 2",
        reads: "Requests, replies and their version.",
        proves: "An exact length, a known version, and a message of Kerberos of just the stated length.",
        limits: "Who changes whose password is sealed; TCP is not read.",
    },
    attributes: &[MESSAGE, VERSION],
    stream: None,
    datagram: Some(DatagramEntry {
        // The higher octet of a length; tickets make datagrams of a few thousand octets at most.
        first_byte: |byte| byte < 0x20,
        start: || Box::new(Messages),
    }),
};

/// Tags of `AP-REQ`, `AP-REP` and `KRB-ERROR`, RFC 4120 section 5.10.
const AP_REQ: u8 = 0x6e;
const AP_REP: u8 = 0x6f;
const KRB_ERROR: u8 = 0x7e;
const CHANGE: u16 = 1;
const SET: u16 = 0xff80;

struct Messages;

impl DatagramDecoder for Messages {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let mut cursor = Cursor::new(datagram.bytes);
        let (length, version) = (usize::from(cursor.u16()?), cursor.u16()?);
        let size = usize::from(cursor.u16()?);
        let version = match version {
            CHANGE => "change",
            SET => "set",
            _ => return Err(Reject::Other),
        };
        if length != datagram.wire_len {
            return Err(Reject::Other);
        }
        let left = length.saturating_sub(cursor.offset());
        let tag = cursor.u8()?;
        let message = match tag {
            AP_REQ if size > 0 => "request",
            AP_REP if size > 0 => "reply",
            KRB_ERROR if size == 0 => "error",
            _ => return Err(Reject::Other),
        };
        // An error is all that is left; behind the others comes what is sealed.
        let element = element(&mut cursor)?;
        let fits = match size {
            0 => element == left,
            _ => element == size && size < left,
        };
        if !fits {
            return Err(Reject::Invalid("length"));
        }
        let side = notes.side();
        notes.proved();
        notes.client(match tag {
            AP_REQ => side,
            _ => side.other(),
        });
        notes.text(MESSAGE, message);
        notes.text(VERSION, version);
        Ok(())
    }
}

/// Octets of an element whose tag was read, with tag and length (X.690 section 8.1.3).
fn element(cursor: &mut Cursor<'_>) -> Result<usize, Reject> {
    let (head, content) = match cursor.u8()? {
        0x81 => (3, usize::from(cursor.u8()?)),
        0x82 => (4, usize::from(cursor.u16()?)),
        short if short < 0x80 => (2, usize::from(short)),
        _ => return Err(Reject::Invalid("length")),
    };
    Ok(content.saturating_add(head))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, datagrams, only_registered_attributes, protocols, values,
    };
    use super::*;

    fn message(version: u16, size: u8, rest: &[u8]) -> Vec<u8> {
        let [high, low] = version.to_be_bytes();
        let length = u8::try_from(rest.len() + 6).unwrap();
        [&[0, length, high, low, 0, size][..], rest].concat()
    }

    #[test]
    fn requests_replies_and_errors_are_told_apart() {
        let asked = message(0xff80, 5, &[0x6e, 0x81, 2, 1, 2, 0x75, 1, 9]);
        let answered = message(1, 3, &[0x6f, 1, 2, 0x75, 1, 9]);
        let refused = message(1, 0, &[0x7e, 0x82, 0, 1, 9]);
        let recorder = datagrams(&[(CLIENT, &asked), (SERVER, &answered), (SERVER, &refused)]);
        assert_eq!(protocols(&recorder), ["kpasswd"]);
        assert_eq!(recorder.client, Some(CLIENT));
        assert_eq!(
            values(&recorder, "kpasswd", "message"),
            ["error", "reply", "request"]
        );
        assert_eq!(values(&recorder, "kpasswd", "version"), ["change", "set"]);
        only_registered_attributes(&recorder, &[&KPASSWD]);
        for length in 0..asked.len() {
            assert!(protocols(&datagrams(&[(CLIENT, &asked[..length])])).is_empty());
        }
    }

    #[test]
    fn other_versions_tags_and_lengths_are_refused() {
        for bytes in [
            message(2, 5, &[0x6e, 0x81, 2, 1, 2, 0x75, 1, 9]),
            message(1, 4, &[0x6e, 0x81, 2, 1, 2, 0x75, 1, 9]),
            message(1, 5, &[0x6e, 0x81, 2, 1, 2]),
            message(1, 0, &[0x6e, 0x81, 2, 1, 2]),
            message(1, 5, &[0x30, 0x81, 2, 1, 2, 0x75, 1, 9]),
        ] {
            assert!(protocols(&datagrams(&[(CLIENT, &bytes)])).is_empty());
        }
    }
}
