//! Internet Key Exchange (RFC 7296, RFC 2408 and 2409), bare or behind the marker that tells it from ESP (RFC 3948).
//!
//! Proves: a header of version 1.0 or 2.0 with an exchange and flags of that version, whose length is that of the
//! datagram; where the payloads are in clear, their lengths must add up to it, and in version 2 those before the
//! encrypted one. ESP itself and keep-alives prove nothing. Identities and keys are never noted.

use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::open_enum;

/// Internet Key Exchange.
pub(super) const IKE: Protocol = Protocol {
    name: "ike",
    about: About {
        title: "Internet Key Exchange",
        sources: "RFC 7296, RFC 2408, RFC 2409, RFC 3948 2.2",
        reads: "Version and exchange of each message, and whether it is behind the marker for address translation.",
        proves: "A header whose fields belong to its version, with a length and a chain of payloads that fill the datagram.",
        limits: "Payloads are only followed, not read; ESP is not looked at.",
    },
    attributes: &[VERSION, EXCHANGE, NAT_TRAVERSAL],
    stream: None,
    datagram: Some(DatagramEntry {
        // A random number, or the marker.
        first_byte: |_| true,
        start: || Box::new(Ike),
    }),
};

/// `1.0` or `2.0`.
const VERSION: &str = "version";
/// `main`, `aggressive`, `quick`, `ike_sa_init` ...
const EXCHANGE: &str = "exchange";
/// 1 where messages stand behind the marker of zeros (RFC 3948 section 2.2).
const NAT_TRAVERSAL: &str = "nat_traversal";

const HEADER: usize = 28;
/// Payloads of one message: proposals, keys, and vendors' marks.
const MAX_PAYLOADS: usize = 64;
/// Version 1: the payloads are encrypted.
const ENCRYPTED: u8 = 1;
/// Version 2: bits of the flags, and the one that the initiator of the association sets.
const FLAGS: u8 = 0x38;
const INITIATOR: u8 = 0x08;

open_enum! {
    /// Exchange types (RFC 2408 section 3.1, RFC 2409 appendix A, RFC 7296 section 3.1, RFC 5723, RFC 9242).
    struct Exchange(u8) {
        /// RFC 2408.
        BASE = 1 => "base",
        /// Identity protection.
        MAIN = 2 => "main",
        /// RFC 2408.
        AUTHENTICATION_ONLY = 3 => "authentication_only",
        /// In three messages.
        AGGRESSIVE = 4 => "aggressive",
        /// Notifications.
        INFORMATIONAL_V1 = 5 => "informational",
        /// Configuration (draft).
        TRANSACTION = 6 => "transaction",
        /// Keys of a child.
        QUICK = 32 => "quick",
        /// RFC 2409.
        NEW_GROUP = 33 => "new_group",
        /// First exchange of version 2.
        IKE_SA_INIT = 34 => "ike_sa_init",
        /// Second exchange.
        IKE_AUTH = 35 => "ike_auth",
        /// Keys of a child.
        CREATE_CHILD_SA = 36 => "create_child_sa",
        /// Notifications.
        INFORMATIONAL = 37 => "informational",
        /// RFC 5723.
        IKE_SESSION_RESUME = 38 => "ike_session_resume",
        /// RFC 9242.
        IKE_INTERMEDIATE = 43 => "ike_intermediate",
    }
}

/// The header of a message that fills its datagram.
struct Message {
    version: u8,
    exchange: Exchange,
    flags: u8,
    is_first: bool,
}

impl Message {
    fn parse(bytes: &[u8], wire_len: usize) -> Result<Self, Reject> {
        let mut cursor = Cursor::new(bytes);
        let (initiator, responder) = (cursor.u64()?, cursor.u64()?);
        let payload = cursor.u8()?;
        let version = cursor.u8()?;
        let exchange = Exchange(cursor.u8()?);
        let flags = cursor.u8()?;
        let number = cursor.u32()?;
        let length = cursor.u32()?;
        let is_first = responder == 0;
        let is_version = match (version, exchange.0) {
            (0x10, 1..=6 | 32..=33) => flags & !7 == 0,
            (0x20, 34..=38 | 43) => flags & !FLAGS == 0,
            _ => false,
        };
        // Only a first message has no responder yet, or one that takes it back.
        let may_be_first = matches!(
            exchange,
            Exchange::BASE
                | Exchange::MAIN
                | Exchange::AUTHENTICATION_ONLY
                | Exchange::AGGRESSIVE
                | Exchange::INFORMATIONAL_V1
                | Exchange::IKE_SA_INIT
                | Exchange::IKE_SESSION_RESUME
                | Exchange::INFORMATIONAL
        );
        let is_length = usize::try_from(length) == Ok(wire_len) && wire_len > HEADER;
        let is_sane = initiator != 0 && (may_be_first || !is_first) && is_length;
        if !is_version || !is_sane || (version == 0x20 && is_first && number > 1) {
            return Err(Reject::Other);
        }
        let is_encrypted = version == 0x10 && flags & ENCRYPTED != 0;
        let is_cut = bytes.len() < wire_len;
        let is_chain = if is_encrypted {
            payload != 0 && !is_first
        } else {
            is_chain(payload, version, cursor, is_cut)?
        };
        if !is_chain {
            return Err(Reject::Invalid("payloads"));
        }
        Ok(Self {
            version,
            exchange,
            flags,
            is_first,
        })
    }
}

/// Whether payloads of that version follow each other up to the end, or up to an encrypted one that fills the rest.
fn is_chain(first: u8, version: u8, mut cursor: Cursor<'_>, is_cut: bool) -> Result<bool, Reject> {
    let mut kind = first;
    for number in 0..MAX_PAYLOADS {
        if kind == 0 {
            return Ok(number > 0 && cursor.is_empty());
        }
        let is_known = match version {
            0x10 => matches!(kind, 1..=23 | 128..=255),
            _ => matches!(kind, 33..=54 | 128..=255),
        };
        if !is_known {
            return Ok(false);
        }
        if cursor.is_empty() && is_cut {
            return Ok(number > 0);
        }
        let (next, flags) = (cursor.u8()?, cursor.u8()?);
        let length = usize::from(cursor.u16()?);
        let Some(body) = length.checked_sub(4) else {
            return Ok(false);
        };
        if flags & 0x7f != 0 {
            return Ok(false);
        }
        match cursor.take(body) {
            // An encrypted payload is the last one; it names the first one inside.
            Ok(_) if version == 0x20 && matches!(kind, 46 | 53) => return Ok(cursor.is_empty()),
            Ok(_) => {}
            Err(_) if is_cut => return Ok(true),
            Err(short) => return Err(short.into()),
        }
        kind = next;
    }
    Ok(false)
}

struct Ike;

impl DatagramDecoder for Ike {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let marked = datagram.bytes.strip_prefix(&[0; 4]);
        let message = match marked {
            Some(bytes) => Message::parse(bytes, datagram.wire_len.saturating_sub(4)),
            None => Message::parse(datagram.bytes, datagram.wire_len),
        }?;
        notes.proved();
        notes.text(
            VERSION,
            match message.version {
                0x10 => "1.0",
                _ => "2.0",
            },
        );
        notes.text(EXCHANGE, message.exchange.name().unwrap_or_default());
        if marked.is_some() {
            notes.number(NAT_TRAVERSAL, 1);
        }
        let sender = notes.side();
        if message.version == 0x20 {
            let is_client = message.flags & INITIATOR != 0;
            notes.client(if is_client { sender } else { sender.other() });
        } else if message.is_first && message.exchange != Exchange::INFORMATIONAL_V1 {
            notes.client(sender);
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

    fn payload(next: u8, body: &[u8]) -> Vec<u8> {
        let length = (body.len() as u16 + 4).to_be_bytes();
        [&[next, 0][..], &length, body].concat()
    }

    fn message(head: [u8; 4], responder: u8, payloads: &[Vec<u8>]) -> Vec<u8> {
        let body = payloads.concat();
        let mut bytes = vec![0x5a; 8];
        bytes.extend([responder; 8]);
        bytes.extend(head);
        bytes.extend([0; 4]);
        bytes.extend((body.len() as u32 + 28).to_be_bytes());
        bytes.extend(body);
        bytes
    }

    fn init() -> Vec<u8> {
        let payloads = [
            payload(34, &[1; 40]),
            payload(40, &[2; 64]),
            payload(0, &[3; 32]),
        ];
        message([33, 0x20, 34, INITIATOR], 0, &payloads)
    }

    #[test]
    fn both_versions_are_read() {
        let main = message(
            [1, 0x10, 2, 0],
            0,
            &[payload(13, &[1; 48]), payload(0, &[2; 16])],
        );
        let recorder = datagrams(&[(CLIENT, &main)]);
        assert_eq!(protocols(&recorder), ["ike"]);
        assert_eq!(values(&recorder, "ike", "version"), ["1.0"]);
        assert_eq!(values(&recorder, "ike", "exchange"), ["main"]);
        assert_eq!(recorder.client, Some(CLIENT));
        let quick = message([8, 0x10, 32, ENCRYPTED], 7, &[vec![9; 64]]);
        assert_eq!(protocols(&datagrams(&[(CLIENT, &quick)])), ["ike"]);

        let auth = message([46, 0x20, 35, 0x20], 7, &[payload(36, &[5; 80])]);
        let recorder = datagrams(&[(CLIENT, &init()), (SERVER, &auth)]);
        assert_eq!(values(&recorder, "ike", "version"), ["2.0", "2.0"]);
        assert_eq!(
            values(&recorder, "ike", "exchange"),
            ["ike_auth", "ike_sa_init"]
        );
        only_registered_attributes(&recorder, &[&IKE]);
    }

    #[test]
    fn the_marker_shows_address_translation() {
        let marked = [&[0; 4][..], &init()].concat();
        let recorder = datagrams(&[(CLIENT, &marked)]);
        assert_eq!(values(&recorder, "ike", "nat_traversal"), ["1"]);
    }

    #[test]
    fn lengths_chains_and_versions_must_fit() {
        let whole = init();
        for length in 0..whole.len() {
            let cut = &whole[..length];
            assert!(!protocols(&datagrams(&[(CLIENT, cut)])).contains(&"ike"));
        }
        // The flags of version 2, the chain, the version, the exchange, the responder of a child.
        for (at, value) in [(19, 0x40), (31, 9), (17, 0x30), (18, 2), (18, 36)] {
            let mut bad = init();
            bad[at] = value;
            assert!(
                !protocols(&datagrams(&[(CLIENT, &bad)])).contains(&"ike"),
                "{at}"
            );
        }
        let esp = [7; 80];
        assert!(protocols(&datagrams(&[(CLIENT, &esp)])).is_empty());
        assert!(protocols(&datagrams(&[(CLIENT, &[0xff])])).is_empty());
    }
}
