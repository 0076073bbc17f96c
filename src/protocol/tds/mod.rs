//! Tabular Data Stream: how a client logs in to SQL Server (MS-TDS 2.2) or Sybase (TDS 4.2, TDS 5.0).
//!
//! Reads the negotiation, the login's names of hosts and programs, GSS tokens, and how the login ended; users, passwords,
//! databases and statements are passed over. TLS travels inside pre-login packets, then directly on the connection: both are
//! shown to the decoder of TLS. Proof is a pre-login, a login, a login's answer or the headers of a request, each by its
//! lengths and fixed fields.

mod login;
mod tokens;
mod tunnel;

use self::login::{Login, Prelogin};
use self::tokens::Tokens;
use self::tunnel::{Tunnel, is_tls};
use super::gss::{
    self, GSS_ANONYMOUS, GSS_DOMAIN, GSS_HOST, GSS_MECHANISM, GSS_OFFERED, GSS_SERVICE, GSS_VERSION,
};
use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::{PerSide, Side};

/// The sender's version, `major.minor.build`.
const VERSION: &str = "version";
/// The version of TDS that a login asks for and an answer grants, such as `7.4`.
const TDS_VERSION: &str = "tds_version";
/// The instance that a pre-login names.
const INSTANCE: &str = "instance";
/// What the sender says of encryption: `off`, `on`, `not_supported`, `required`.
const ENCRYPTION: &str = "encryption";
/// What is encrypted: `none`, `login`, `all`.
const PROTECTION: &str = "protection";
/// The host that logs in.
const HOST: &str = "host";
/// The program that logs in.
const APPLICATION: &str = "application";
/// The server as the client names it, or the product as it names itself.
const SERVER: &str = "server";
/// `login` (user and password) or `integrated`.
const AUTH_MECHANISM: &str = "auth_mechanism";
/// `ok`, or the number of the error.
const AUTH_RESULT: &str = "auth_result";

pub(super) const TDS: Protocol = Protocol {
    name: "tds",
    about: About {
        title: "Tabular Data Stream (SQL Server, Sybase)",
        sources: "MS-TDS 2.2; TDS 5.0 functional specification",
        reads: "Pre-login, login without users and passwords, GSS tokens, the TLS inside, and how the login ended.",
        proves: "A pre-login, a login, its answer or the headers of a request by their lengths and fixed fields.",
        limits: "Statements and rows are not looked at; TDS 8.0 is TLS from its first byte, with `tds/8.0` in ALPN.",
    },
    attributes: &[
        VERSION,
        TDS_VERSION,
        INSTANCE,
        ENCRYPTION,
        PROTECTION,
        HOST,
        APPLICATION,
        SERVER,
        AUTH_MECHANISM,
        AUTH_RESULT,
        GSS_MECHANISM,
        GSS_OFFERED,
        GSS_DOMAIN,
        GSS_HOST,
        GSS_SERVICE,
        GSS_VERSION,
        GSS_ANONYMOUS,
    ],
    stream: Some(StreamEntry {
        first_byte: |byte| {
            matches!(
                byte,
                BATCH | OLD_LOGIN | CALL | REPLY | TRANSACTION | LOGIN7 | PRELOGIN
            )
        },
        probe,
        start: || Box::<Connection>::default(),
    }),
    datagram: None,
};

/// Types of packets, MS-TDS 2.2.3.1.1.
const BATCH: u8 = 1;
const OLD_LOGIN: u8 = 2;
const CALL: u8 = 3;
const REPLY: u8 = 4;
const TRANSACTION: u8 = 14;
const LOGIN7: u8 = 16;
const SSPI: u8 = 17;
const PRELOGIN: u8 = 18;
const HEADER_BYTES: usize = 8;
/// Largest packet that may be agreed upon, MS-TDS 2.2.6.4.
const MAX_PACKET: usize = 32_767;
/// Longest first packet before another size is agreed upon.
const MAX_FIRST: usize = 4096;

/// A packet.
struct Packet<'a> {
    kind: u8,
    body: &'a [u8],
}

impl<'a> Packet<'a> {
    fn parse(cursor: &mut Cursor<'a>) -> Result<Self, Reject> {
        let start = *cursor;
        let (kind, status) = (cursor.u8()?, cursor.u8()?);
        let is_kind = matches!(kind, 1..=4 | 6..=8 | 14..=18);
        // Bits that are in use: end of message, ignore, and two that reset the connection.
        if !is_kind || status & 0xe4 != 0 {
            return Err(Reject::Other);
        }
        let length = usize::from(cursor.u16()?);
        cursor.skip(3)?;
        // The window is not in use.
        if !(HEADER_BYTES..=MAX_PACKET).contains(&length) || cursor.u8()? != 0 {
            return Err(Reject::Other);
        }
        *cursor = start;
        let mut packet = cursor.sub(length)?;
        packet.skip(HEADER_BYTES)?;
        Ok(Self {
            kind,
            body: packet.rest(),
        })
    }
}

fn probe(opening: &Opening<'_>) -> Probe {
    opening.either(|bytes| {
        let mut cursor = Cursor::new(bytes);
        match Packet::parse(&mut cursor) {
            Ok(packet) if proves(&packet) => Probe::Yes,
            Err(Reject::Short(_)) if may_begin(bytes) => Probe::More,
            _ => Probe::No,
        }
    })
}

/// Whether the header of a packet that is not whole yet may be one that proves something.
fn may_begin(bytes: &[u8]) -> bool {
    let is_first = match bytes {
        [] => false,
        [OLD_LOGIN, status, rest @ ..] => {
            *status <= 1 && rest.first().is_none_or(|high| *high == 2)
        }
        [
            BATCH | CALL | REPLY | TRANSACTION | LOGIN7 | PRELOGIN,
            rest @ ..,
        ] => {
            rest.first().is_none_or(|status| *status <= 1)
                && rest
                    .get(1)
                    .is_none_or(|high| usize::from(*high) < MAX_FIRST >> 8)
        }
        [first] => *first == OLD_LOGIN,
        _ => false,
    };
    // No request begins with less than its headers, which a body shows soon.
    is_first
        && (!matches!(bytes.first(), Some(&(BATCH | CALL | TRANSACTION))) || may_request(bytes))
}

fn may_request(bytes: &[u8]) -> bool {
    let body = bytes.get(HEADER_BYTES..).unwrap_or_default();
    let length = body.len().min(REQUEST_HEADERS.len());
    body.get(..length) == REQUEST_HEADERS.get(..length)
}

/// What `ALL_HEADERS` begins with (MS-TDS 2.2.5.3): its length, and that and the type of the header of a transaction.
const REQUEST_HEADERS: &[u8] = &[22, 0, 0, 0, 18, 0, 0, 0, 2, 0];

fn proves(packet: &Packet<'_>) -> bool {
    match packet.kind {
        PRELOGIN => Prelogin::parse(packet.body).is_some(),
        LOGIN7 => Login::parse(packet.body).is_some(),
        OLD_LOGIN => Login::parse_old(packet.body).is_some(),
        REPLY => {
            Prelogin::parse(packet.body).is_some()
                || Tokens::read(packet.body, false).is_some_and(|tokens| tokens.granted.is_some())
        }
        // One request is outstanding at least, in the last four bytes of the headers.
        BATCH | CALL | TRANSACTION => {
            packet.body.starts_with(REQUEST_HEADERS)
                && matches!(packet.body.get(18..22), Some([_, 0, 0, 0]))
        }
        _ => false,
    }
}

/// One connection.
#[derive(Default)]
struct Connection {
    client: Option<Side>,
    /// Numbers of a Sybase client have their highest byte first.
    big_endian: bool,
    /// Sides that sent a pre-login: what comes in such packets after it is TLS.
    negotiated: PerSide<bool>,
    /// Everything after the handshake is encrypted.
    all: bool,
    tunnel: Tunnel,
}

impl StreamDecoder for Connection {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let mut cursor = Cursor::new(bytes);
        loop {
            let consumed = cursor.offset();
            let rest = cursor.rest();
            if rest.is_empty() {
                return Step::Consumed;
            }
            let done = if self.tunnel.is_used() && is_tls(rest) {
                tunnel::record(&mut cursor).and_then(|record| self.tunnel(side, record, notes))
            } else {
                Packet::parse(&mut cursor).and_then(|packet| self.packet(side, &packet, notes))
            };
            match done {
                Ok(true) => return Step::Done,
                Ok(false) => {}
                Err(reject) => return reject.into_step(consumed, rest.len()),
            }
        }
    }
}

impl Connection {
    /// Reads a packet. `true` where nothing of interest can come any more.
    fn packet(
        &mut self,
        side: Side,
        packet: &Packet<'_>,
        notes: &mut Notes<'_>,
    ) -> Result<bool, Reject> {
        let body = packet.body;
        match packet.kind {
            PRELOGIN if self.negotiated[side] => return self.tunnel(side, body, notes),
            PRELOGIN | REPLY if !self.negotiated[side] => {
                if let Some(prelogin) = Prelogin::parse(body) {
                    self.negotiated[side] = true;
                    self.prelogin(side, packet.kind, &prelogin, notes);
                    return Ok(false);
                }
            }
            _ => {}
        }
        match packet.kind {
            REPLY => {
                if let Some(tokens) = Tokens::read(body, self.big_endian) {
                    if tokens.granted.is_some() {
                        notes.proved();
                        self.is_client(side.other(), notes);
                    }
                    tokens.note(notes);
                    return Ok(tokens.is_end());
                }
            }
            LOGIN7 | OLD_LOGIN => {
                let login = if packet.kind == LOGIN7 {
                    Login::parse(body)
                } else {
                    Login::parse_old(body)
                };
                // A login of several packets goes on without a head.
                if let Some(login) = login {
                    notes.proved();
                    self.is_client(side, notes);
                    self.big_endian = login.big_endian;
                    login.note(notes);
                }
            }
            SSPI => {
                if let Some(token) = gss::mechanism(body) {
                    token.note(notes);
                }
            }
            _ if proves(packet) => {
                notes.proved();
                self.is_client(side, notes);
                return Ok(true);
            }
            _ => {}
        }
        Ok(false)
    }

    fn prelogin(&mut self, side: Side, kind: u8, prelogin: &Prelogin, notes: &mut Notes<'_>) {
        notes.proved();
        let client = if kind == PRELOGIN { side } else { side.other() };
        self.is_client(client, notes);
        prelogin.note(notes);
        // The server's answer is what holds (MS-TDS 2.2.6.5).
        if self.client == Some(side.other()) {
            let protection = prelogin.protection();
            self.all = protection == Some("all");
            notes.text(PROTECTION, protection.unwrap_or_default());
        }
    }

    fn is_client(&mut self, side: Side, notes: &mut Notes<'_>) {
        if self.client.is_none() {
            self.client = Some(side);
            notes.client(side);
        }
    }

    fn tunnel(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Result<bool, Reject> {
        self.tunnel.feed(side, bytes, notes)?;
        Ok(self.all && self.tunnel.is_over())
    }
}

#[cfg(test)]
mod tests;
