//! QUIC in datagrams (RFC 9000, RFC 9001, RFC 9369, and drafts 29 to 34): versions, and the TLS hellos inside.
//!
//! The first packets of both sides are under keys that everybody can derive from the client's first packet (RFC 9001
//! §5.2): they are opened, their CRYPTO frames put together, and the hellos in them read as TLS. A packet that opens
//! proves the protocol and its roles; other packets with long headers, those of versions without published salts here
//! and those that the snap length cut prove it by their headers, as do the headers of Google's own QUIC. After the
//! hellos nothing more is looked at: later packets are under keys of the two ends.
//!
//! Limits: a server whose client was not captured is known by its headers alone; a flow that only has short headers is
//! not known at all.

mod crypto;
mod google;
mod header;
mod initial;

use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject, tls};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::{PerSide, Side};
use crypto::Crypto;
use header::{Kind, LongHeader};
use initial::Keys;

/// The version of the packets: `1`, `2`, `draft-29`, `Q043` ..., another one as its number.
const VERSION: &str = "version";
/// 1 where the server had the client prove its address first (RFC 9000 §8.1.2).
const RETRY: &str = "retry";
/// A version that a server names in a Version Negotiation packet.
const VERSION_OFFERED: &str = "version_offered";

/// QUIC.
pub(super) const QUIC: Protocol = Protocol {
    name: "quic",
    about: About {
        title: "QUIC",
        sources: "RFC 9000, RFC 9001, RFC 9369",
        reads: "Versions in long headers and in those of Google's QUIC, Initial packets under their published keys, and the TLS hellos in them.",
        proves: "An Initial packet that decrypts, a version negotiation or retry of exact form, or a long header of another known version.",
        limits: "Nothing is read after the hellos; a flow with nothing but short headers is not recognised.",
    },
    attributes: &[VERSION, RETRY, VERSION_OFFERED],
    stream: None,
    datagram: Some(DatagramEntry {
        // Long headers, and the public header of Google's QUIC. What else may come later needs no reader.
        first_byte: |byte| byte & 0x80 != 0 || google::has_version(byte),
        start: || Box::<Flow>::default(),
    }),
};

/// Packets in one datagram: each level of encryption once, and 0-RTT (RFC 9000 §12.2).
const MAX_COALESCED: usize = 8;
/// Initial packets of one flow that are tried: hellos fill a few, losses multiply them; behind that it is an attack, or
/// keys that cannot be had.
const MAX_INITIALS: u8 = 64;
/// Versions of a Version Negotiation packet that are noted.
const MAX_VERSIONS: usize = 16;

/// One flow. Most flows whose first byte fits are something else: they cost no more than this.
#[derive(Default)]
struct Flow {
    connection: Option<Box<Connection>>,
    /// Nothing more can be seen.
    done: bool,
}

impl DatagramDecoder for Flow {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        if self.done {
            return Ok(());
        }
        if let Some(public) = google::PublicHeader::parse(datagram.bytes) {
            public.note(notes);
            self.done = true;
            return Ok(());
        }
        if let Some(versions) = header::negotiation(datagram)? {
            notes.proved();
            notes.client(notes.side().other());
            for version in versions.take(MAX_VERSIONS) {
                notes.text(VERSION_OFFERED, &version.to_string());
            }
            return Ok(());
        }
        self.packets(datagram, notes)
    }
}

impl Flow {
    /// The packets of a datagram; the first one decides whether it is QUIC.
    fn packets(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let mut rest = datagram;
        for number in 0..MAX_COALESCED {
            let connection = self.connection.as_ref();
            let may_grease = connection.is_some_and(|connection| connection.opened);
            let header = match LongHeader::parse(rest, may_grease) {
                Ok(header) => header,
                Err(reject) if number == 0 => return Err(reject),
                // A packet with a short header, or padding.
                Err(_) => return Ok(()),
            };
            notes.proved();
            notes.text(VERSION, &header.version.to_string());
            match header.kind {
                Kind::Initial => self.initial(rest.bytes, &header, notes),
                Kind::ZeroRtt => notes.client(notes.side()),
                Kind::Handshake => {}
                Kind::Retry => {
                    notes.number(RETRY, 1);
                    notes.client(notes.side().other());
                }
            }
            let bytes = rest.bytes.get(header.end..).unwrap_or_default();
            if bytes.is_empty() {
                return Ok(());
            }
            rest = Datagram {
                bytes,
                wire_len: rest.wire_len.saturating_sub(header.end),
            };
        }
        Ok(())
    }

    fn initial(&mut self, bytes: &[u8], header: &LongHeader<'_>, notes: &mut Notes<'_>) {
        if !header.token.is_empty() {
            // Those of servers have none (RFC 9000 §17.2.2).
            notes.client(notes.side());
        }
        if self.done {
            return;
        }
        let connection = self.connection.get_or_insert_default();
        connection.initial(bytes, header, notes);
        if connection.is_finished() {
            self.connection = None;
            self.done = true;
        }
    }
}

/// What is known of the handshake.
#[derive(Default)]
struct Connection {
    /// Keys of the client's Initial packets and its server's.
    keys: Option<Keys>,
    /// A packet was opened with `keys`: until then they are those of what may be the client's first packet.
    opened: bool,
    tried: u8,
    crypto: PerSide<Crypto>,
    /// The hello of the side was read to its end.
    read: PerSide<bool>,
}

impl Connection {
    fn is_finished(&self) -> bool {
        self.read.a && self.read.b || self.tried >= MAX_INITIALS
    }

    /// Opens the Initial packet that `bytes` begin with, where it is whole and the keys can be had.
    fn initial(&mut self, bytes: &[u8], header: &LongHeader<'_>, notes: &mut Notes<'_>) {
        self.tried = self.tried.saturating_add(1);
        let side = notes.side();
        let packet = bytes.get(..header.end);
        let open = |keys: &Keys| keys.open(side, packet?, header.start);
        let known = self.keys.take();
        let known = known.and_then(|keys| keys.in_version(header.version));
        let mut payload = known.as_ref().and_then(open);
        let is_client = known.as_ref().is_none_or(|keys| keys.client == side);
        self.keys = known;
        if payload.is_none() && (is_client || !self.opened) {
            // The first packet of a client, or the first one after a Retry: its keys are its own.
            let Some(keys) = Keys::derive(header.version, header.destination, side) else {
                return;
            };
            payload = open(&keys);
            if payload.is_some() || !self.opened {
                self.keys = Some(keys);
            }
        }
        if let (Some(payload), Some(keys)) = (payload, &self.keys) {
            self.opened = true;
            notes.client(keys.client);
            let is_client = keys.client == side;
            self.crypto[side].frames(&payload);
            self.hello(side, is_client, notes);
        }
    }

    /// Reads what there is of the hello of `side`.
    fn hello(&mut self, side: Side, is_client: bool, notes: &mut Notes<'_>) {
        if self.read[side] {
            return;
        }
        let crypto = &mut self.crypto[side];
        let hello = tls::carried_hello(crypto.whole(), &mut notes.inside(tls::TLS.name));
        let Some(hello) = hello.filter(|hello| hello.is_client == is_client) else {
            return;
        };
        match hello.length {
            // The final hello follows it (RFC 8446 §4.1.4).
            Some(length) if hello.is_retry => crypto.pass(length),
            Some(_) => self.read[side] = true,
            None => {}
        }
    }
}

/// A number of one to eight bytes, whose length the two highest bits say (RFC 9000 §16).
fn varint(cursor: &mut Cursor<'_>) -> Result<u64, Reject> {
    let first = cursor.peek().unwrap_or(0);
    let bytes = cursor.take(1 << (first >> 6))?;
    let number = bytes
        .iter()
        .fold(0, |number: u64, &byte| number << 8 | u64::from(byte));
    let bits = bytes.len().saturating_mul(8).saturating_sub(2);
    Ok(number & (u64::MAX >> 64_usize.saturating_sub(bits)))
}

#[cfg(test)]
mod tests;
