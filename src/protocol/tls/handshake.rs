//! Handshake messages (RFC 8446 §4, RFC 5246 §7.4): found across records, and noted.

use super::connection::Connection;
use super::hello::{self, Version};
use super::{
    CERTIFICATE_VERIFY, CLIENT, CLIENT_CERTIFICATE, CLIENT_CERTIFICATE_REQUESTED, SERVER, TOR_LIKE,
    certificate,
};
use crate::bytes::{Cursor, Short};
use crate::evidence::Notes;
use crate::net::{Side, Transport};
use crate::open_enum;
use crate::protocol::Reject;

/// Bytes of one message that are kept while its records come: a chain of certificates is a few kilobytes, a list of
/// accepted issuers of a domain controller some tens.
const MAX_MESSAGE: usize = 128 * 1024;

open_enum! {
    /// Message types.
    pub(in crate::protocol) struct Kind(u8) {
        /// The server asks for a new handshake.
        HELLO_REQUEST = 0 => "hello_request",
        /// What the client offers.
        CLIENT_HELLO = 1 => "client_hello",
        /// What the server chose.
        SERVER_HELLO = 2 => "server_hello",
        /// DTLS: the client is asked to prove its address.
        HELLO_VERIFY_REQUEST = 3 => "hello_verify_request",
        /// RFC 5077.
        NEW_SESSION_TICKET = 4 => "new_session_ticket",
        /// A chain of certificates.
        CERTIFICATE = 11 => "certificate",
        /// The server's part of a key exchange.
        SERVER_KEY_EXCHANGE = 12 => "server_key_exchange",
        /// The server wants a certificate of the client.
        CERTIFICATE_REQUEST = 13 => "certificate_request",
        /// The server's turn is over.
        SERVER_HELLO_DONE = 14 => "server_hello_done",
        /// The client's signature.
        CERTIFICATE_VERIFY = 15 => "certificate_verify",
        /// The client's part of the key exchange.
        CLIENT_KEY_EXCHANGE = 16 => "client_key_exchange",
        /// The end.
        FINISHED = 20 => "finished",
        /// RFC 6066.
        CERTIFICATE_STATUS = 22 => "certificate_status",
        /// RFC 4680.
        SUPPLEMENTAL_DATA = 23 => "supplemental_data",
    }
}

/// A message.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Message<'a> {
    pub(in crate::protocol) kind: Kind,
    /// As far as it is there.
    pub(in crate::protocol) body: &'a [u8],
}

impl<'a> Message<'a> {
    const HEADER: usize = 4;

    /// The message at the start of `bytes`, and its length with the header; `None` where it is not whole.
    fn parse(bytes: &'a [u8]) -> Option<(Self, usize)> {
        let (kind, length) = header(bytes)?;
        let end = length.checked_add(Self::HEADER)?;
        let body = bytes.get(Self::HEADER..end)?;
        Some((Self { kind, body }, end))
    }

    /// The message at the start of `bytes`, as far as it is there.
    pub(super) fn cut(bytes: &'a [u8]) -> Self {
        let (kind, length) = header(bytes).unwrap_or((Kind::HELLO_REQUEST, 0));
        let body = bytes.get(Self::HEADER..).unwrap_or_default();
        Self {
            kind,
            body: body.get(..length).unwrap_or(body),
        }
    }
}

fn header(bytes: &[u8]) -> Option<(Kind, usize)> {
    let mut cursor = Cursor::new(bytes);
    let kind = Kind(cursor.u8().ok()?);
    Some((kind, certificate::u24(&mut cursor).ok()?))
}

/// Whether a record of `length` bytes, at whose start `cursor` stands, begins with a hello: type, a length that leaves
/// room for the fixed fields, and a version.
pub(super) fn begins_with_hello(length: u16, mut cursor: Cursor<'_>) -> bool {
    let Some((kind, message)) = header(cursor.rest()) else {
        return false;
    };
    let Ok(version) = cursor.skip(Message::HEADER).and_then(|()| cursor.u16()) else {
        return false;
    };
    // Up to a quarter of a megabyte: a hello may be cut over records, but not for long.
    let sane = match kind {
        Kind::CLIENT_HELLO => (41..1 << 18).contains(&message),
        Kind::SERVER_HELLO => (36..1 << 18).contains(&message),
        _ => false,
    };
    sane && length >= 6 && matches!(version, 0x0300..=0x0304 | 0x7f00..=0x7fff)
}

/// A hello that another protocol carries without records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::protocol) struct CarriedHello {
    /// It is a ClientHello.
    pub(in crate::protocol) is_client: bool,
    /// It asks the client to try again; the same side's final hello follows.
    pub(in crate::protocol) is_retry: bool,
    /// Its length, where it is there to its end.
    pub(in crate::protocol) length: Option<usize>,
}

/// Notes what the hello at the start of `bytes` says, as far as it is there; nothing where there is none.
pub(in crate::protocol) fn carried_hello(
    bytes: &[u8],
    notes: &mut Notes<'_>,
) -> Option<CarriedHello> {
    if !begins_with_hello(u16::MAX, Cursor::new(bytes)) {
        return None;
    }
    notes.proved();
    let (message, length) = match Message::parse(bytes) {
        Some((message, length)) => (message, Some(length)),
        None => (Message::cut(bytes), None),
    };
    let is_client = message.kind == Kind::CLIENT_HELLO;
    let is_retry = if is_client {
        // A cut one has said what stands before the cut.
        let _cut: Result<(), Short> = hello::client(message.body, notes);
        false
    } else {
        hello::server(message.body, notes).is_ok_and(|chosen| chosen.retry)
    };
    Some(CarriedHello {
        is_client,
        is_retry,
        length,
    })
}

/// Messages of one direction: what waits for the rest of a message.
#[derive(Debug, Default)]
pub(super) struct Handshake {
    waiting: Vec<u8>,
    /// A message was too long to be kept: what follows cannot be found.
    lost: bool,
}

impl Handshake {
    /// Bytes that wait.
    pub(super) const fn held_bytes(&self) -> usize {
        self.waiting.capacity()
    }
}

impl Connection {
    /// Reads the messages in a record of `side`.
    pub(super) fn handshake(
        &mut self,
        side: Side,
        record: &[u8],
        notes: &mut Notes<'_>,
    ) -> Result<(), Reject> {
        let handshake = &mut self.sides[side].handshake;
        if handshake.lost {
            return Ok(());
        }
        let mut waiting = std::mem::take(&mut handshake.waiting);
        if waiting.is_empty() {
            let used = self.messages(side, record, notes)?;
            waiting.extend_from_slice(record.get(used..).unwrap_or_default());
        } else {
            waiting.extend_from_slice(record);
            let used = self.messages(side, &waiting, notes)?;
            waiting.drain(..used.min(waiting.len()));
        }
        let handshake = &mut self.sides[side].handshake;
        if header(&waiting).is_some_and(|(_, length)| length > MAX_MESSAGE) {
            handshake.lost = true;
        } else {
            handshake.waiting = waiting;
        }
        Ok(())
    }

    /// Reads whole messages; returns how many bytes they take.
    fn messages(
        &mut self,
        side: Side,
        bytes: &[u8],
        notes: &mut Notes<'_>,
    ) -> Result<usize, Reject> {
        let mut used: usize = 0;
        while let Some((message, length)) = Message::parse(bytes.get(used..).unwrap_or_default()) {
            // One whose inner lengths lie has said what stands before the lie.
            let _cut: Result<(), Short> = self.exchange.message(side, message, notes);
            used = used.saturating_add(length);
        }
        let rest = bytes.get(used..).unwrap_or_default();
        if rest
            .first()
            .is_some_and(|&kind| Kind(kind).name().is_none())
        {
            return Err(Reject::Invalid("handshake type"));
        }
        Ok(used)
    }
}

/// What the messages of a handshake have shown so far.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Exchange {
    pub(in crate::protocol) client: Option<Side>,
    pub(in crate::protocol) version: Option<Version>,
    /// Messages of a full handshake followed the ServerHello, or may have been in a gap.
    pub(in crate::protocol) full: bool,
    /// The server asked for another hello.
    pub(in crate::protocol) retry: bool,
}

impl Exchange {
    /// Notes what a message of `side` says. `Short` where it is cut.
    pub(in crate::protocol) fn message(
        &mut self,
        side: Side,
        message: Message<'_>,
        notes: &mut Notes<'_>,
    ) -> Result<(), Short> {
        match message.kind {
            Kind::CLIENT_HELLO => {
                self.opened_by(side, notes);
                hello::client(message.body, notes)?;
            }
            Kind::SERVER_HELLO => {
                self.opened_by(side.other(), notes);
                let chosen = hello::server(message.body, notes)?;
                self.version = Some(chosen.version);
                self.retry = chosen.retry;
            }
            Kind::CERTIFICATE => self.certificate(side, message.body, notes)?,
            Kind::CERTIFICATE_REQUEST => {
                self.opened_by(side.other(), notes);
                notes.number(CLIENT_CERTIFICATE_REQUESTED, 1);
            }
            Kind::SERVER_KEY_EXCHANGE | Kind::SERVER_HELLO_DONE => {
                self.opened_by(side.other(), notes);
                self.full = true;
            }
            Kind::CERTIFICATE_VERIFY => {
                self.opened_by(side, notes);
                notes.number(CERTIFICATE_VERIFY, 1);
            }
            Kind::CLIENT_KEY_EXCHANGE => {
                self.opened_by(side, notes);
                self.full = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn opened_by(&mut self, side: Side, notes: &mut Notes<'_>) {
        self.client = Some(side);
        notes.client(side);
    }

    /// Whose certificate it is depends on who sent a hello; without one it cannot be told.
    fn certificate(&mut self, side: Side, body: &[u8], notes: &mut Notes<'_>) -> Result<(), Short> {
        self.full = true;
        // In TLS 1.3 the message is encrypted, and has another form.
        if self.version >= Some(Version::TLS13) {
            return Ok(());
        }
        let (count, first) = certificate::chain(body)?;
        if self.client == Some(side) {
            notes.number(CLIENT_CERTIFICATE, count);
            certificate::note(first, &CLIENT, notes);
        } else if self.client.is_some() {
            certificate::note(first, &SERVER, notes);
            // Relays speak TLS over TCP only.
            let is_stream = notes.moment().key.transport == Transport::TCP;
            if is_stream && certificate::is_tor_like(first) {
                notes.number(TOR_LIKE, 1);
            }
        }
        Ok(())
    }
}
