//! Media Gateway Control Protocol (RFC 3435): commands and responses in datagrams, and the session descriptions in them.
//!
//! Proof is a command line of five exact words, or a response to a transaction that was seen; a response alone only where
//! parameters of the protocol follow it. Several messages may share a datagram. Digits that were dialled are never noted.

use super::text::is_plain;
use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject, sdp};
use crate::evidence::Notes;

/// A command: `CRCX`, `NTFY` ...
const VERB: &str = "verb";
/// The version after `MGCP`.
const VERSION: &str = "version";
/// The endpoint that a command is about.
const ENDPOINT: &str = "endpoint";
/// Identifier of a transaction.
const TRANSACTION: &str = "transaction";
/// Code of a response.
const RESPONSE_CODE: &str = "response_code";
/// Identifier of a call.
const CALL_ID: &str = "call_id";

/// MGCP.
pub(super) const MGCP: Protocol = Protocol {
    name: "mgcp",
    about: About {
        title: "Media Gateway Control Protocol",
        sources: "RFC 3435",
        reads: "Commands with endpoint and version, response codes, call identifiers; session descriptions are handed on.",
        proves: "A command line with verb, transaction, endpoint and version, or the response to one.",
        limits: "Events and digits are not looked at; a bare response without its command proves nothing.",
    },
    attributes: &[VERB, VERSION, ENDPOINT, TRANSACTION, RESPONSE_CODE, CALL_ID],
    stream: None,
    datagram: Some(DatagramEntry {
        first_byte: |byte| byte.is_ascii_alphanumeric(),
        start: || Box::<Gateway>::default(),
    }),
};

/// RFC 3435 section 3.2.1.1. Verbs of experiments begin with an X and are not taken.
const VERBS: [&str; 10] = [
    "EPCF", "CRCX", "MDCX", "DLCX", "RQNT", "NTFY", "AUEP", "AUCX", "RSIP", "MESG",
];
/// Names of parameters that a response may have (section 3.2.2).
const PARAMETERS: [&str; 24] = [
    "K", "B", "C", "I", "N", "X", "L", "M", "R", "S", "D", "O", "P", "E", "Z", "Q", "T", "A", "ES",
    "RM", "RD", "PL", "MD", "DQ",
];
/// Transactions remembered: of a busy gateway some dozens are open at a time.
const MAX_TRANSACTIONS: usize = 64;

/// MGCP of one flow.
#[derive(Default)]
struct Gateway {
    /// Transactions of commands, the oldest first.
    open: Vec<u32>,
}

impl DatagramDecoder for Gateway {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let mut rest = datagram.bytes;
        if !begins(rest) {
            return Err(Reject::Other);
        }
        loop {
            let (message, next) = split(rest);
            self.message(message, notes)?;
            match next {
                Some(next) if !next.trim_ascii().is_empty() => rest = next,
                _ => return Ok(()),
            }
        }
    }
}

/// The first line without its end, and its length with it. Gateways end lines with CR LF, LF, and some with CR.
fn first_line(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let end = memchr::memchr2(b'\r', b'\n', bytes)?;
    let (line, rest) = bytes.split_at_checked(end)?;
    let is_pair = rest.starts_with(b"\r\n");
    Some((line, end.saturating_add(if is_pair { 2 } else { 1 })))
}

/// Whether the first line is that of a message: most datagrams of other text are told by it.
fn begins(bytes: &[u8]) -> bool {
    let (first, _) = first_line(bytes).unwrap_or((bytes, bytes.len()));
    let is_message = |text: &str| Command::parse(text).is_some() || response(text).is_some();
    std::str::from_utf8(first).is_ok_and(is_message)
}

/// The first message of a datagram, and what follows a line with a dot (section 3.5.5).
fn split(bytes: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut from = 0;
    while let Some((line, length)) = bytes.get(from..).and_then(first_line) {
        let end = from.saturating_add(length);
        if line == b"." {
            return (
                bytes.get(..from).unwrap_or_default(),
                Some(bytes.get(end..).unwrap_or_default()),
            );
        }
        from = end;
    }
    (bytes, None)
}

impl Gateway {
    fn message(&mut self, message: &[u8], notes: &mut Notes<'_>) -> Result<(), Reject> {
        let (first, length) = first_line(message).unwrap_or((message, message.len()));
        let mut rest = message.get(length..).unwrap_or_default();
        let text = std::str::from_utf8(first).map_err(|_| Reject::Other)?;
        if !is_plain(first) {
            return Err(Reject::Other);
        }
        if let Some(command) = Command::parse(text) {
            if self.open.len() >= MAX_TRANSACTIONS {
                self.open.remove(0);
            }
            self.open.push(command.transaction);
            notes.proved();
            notes.text(VERB, command.verb);
            notes.text(ENDPOINT, command.endpoint);
            notes.text(VERSION, command.version);
            notes.number(TRANSACTION, u64::from(command.transaction));
        } else {
            let (code, transaction) = response(text).ok_or(Reject::Other)?;
            let is_known = self.open.contains(&transaction);
            let has_parameter = first_line(rest).is_some_and(|(line, _)| parameter(line).is_some());
            if !is_known && !has_parameter {
                return Err(Reject::Other);
            }
            notes.proved();
            notes.number(RESPONSE_CODE, u64::from(code));
            notes.number(TRANSACTION, u64::from(transaction));
        }
        let mut call_id = String::new();
        while let Some((line, length)) = first_line(rest) {
            rest = rest.get(length..).unwrap_or_default();
            match parameter(line) {
                Some(("C", value)) => {
                    notes.text(CALL_ID, value);
                    call_id = value.to_owned();
                }
                Some(_) => {}
                // An empty line: descriptions follow.
                None if line.is_empty() => break,
                None => return Ok(()),
            }
        }
        if let Some(session) = sdp::parse(rest) {
            notes.inside(sdp::SDP.name).proved();
            session.note(&call_id, notes);
        }
        Ok(())
    }
}

/// `CRCX 1204 aaln/1@gw.example.com MGCP 1.0 profile` (section 3.2.1).
struct Command<'a> {
    verb: &'static str,
    transaction: u32,
    endpoint: &'a str,
    version: &'a str,
}

impl<'a> Command<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let verb = words.next()?;
        let verb = VERBS
            .iter()
            .find(|known| known.eq_ignore_ascii_case(verb))?;
        let transaction = transaction(words.next()?)?;
        let endpoint = words.next()?;
        let (local, domain) = endpoint.rsplit_once('@')?;
        let is_protocol = words.next()?.eq_ignore_ascii_case("MGCP");
        let version = words.next()?;
        let (major, minor) = version.split_once('.')?;
        let is_number =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let is_command = is_protocol
            && !local.is_empty()
            && !domain.is_empty()
            && is_number(major)
            && is_number(minor);
        is_command.then_some(Self {
            verb,
            transaction,
            endpoint,
            version,
        })
    }
}

/// Up to nine digits, not zero (section 3.2.1.2).
fn transaction(word: &str) -> Option<u32> {
    let is_digits = word.len() <= 9 && word.bytes().all(|byte| byte.is_ascii_digit());
    is_digits
        .then(|| word.parse().ok())?
        .filter(|number| *number != 0)
}

/// `200 1204 OK`: code and transaction (section 3.2.2).
fn response(line: &str) -> Option<(u16, u32)> {
    let mut words = line.split_ascii_whitespace();
    let code = words.next().filter(|code| code.len() == 3)?;
    let code: u16 = code.parse().ok()?;
    let is_code = matches!(code, 0 | 100..=299 | 400..=599 | 800..=999);
    let transaction = transaction(words.next()?)?;
    is_code.then_some((code, transaction))
}

/// `I: 32F345E2`, where it is one of the protocol.
fn parameter(line: &[u8]) -> Option<(&'static str, &str)> {
    let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
    let name = PARAMETERS
        .iter()
        .find(|known| known.eq_ignore_ascii_case(name.trim()))?;
    Some((name, value.trim()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, datagrams, offers, only_registered_attributes, protocols, values,
    };
    use super::*;

    const CREATE: &[u8] = b"CRCX 1204 aaln/1@gw.example.com MGCP 1.0\r\nC: A3C47F21\r\nL: p:10, a:PCMU\r\nM: recvonly\r\n\r\n";
    const CREATED: &[u8] = b"200 1204 OK\r\nI: 32F345E2\r\n\r\nv=0\r\no=- 25678 753849 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 3456 RTP/AVP 0\r\n";

    #[test]
    fn a_connection_is_created_and_its_media_offered() {
        let recorder = datagrams(&[(CLIENT, CREATE), (SERVER, CREATED)]);
        assert_eq!(protocols(&recorder), ["mgcp", "sdp"]);
        assert_eq!(values(&recorder, "mgcp", "verb"), ["CRCX"]);
        assert_eq!(values(&recorder, "mgcp", "version"), ["1.0"]);
        assert_eq!(
            values(&recorder, "mgcp", "endpoint"),
            ["aaln/1@gw.example.com"]
        );
        assert_eq!(values(&recorder, "mgcp", "transaction"), ["1204", "1204"]);
        assert_eq!(values(&recorder, "mgcp", "response_code"), ["200"]);
        assert_eq!(values(&recorder, "mgcp", "call_id"), ["A3C47F21"]);
        let offers = offers(&recorder);
        assert_eq!(offers[0].endpoint.to_string(), "192.0.2.7:3456");
        only_registered_attributes(&recorder, &[&MGCP]);
        for length in 0..CREATED.len() {
            datagrams(&[
                (SERVER, &CREATED[..length]),
                (CLIENT, &CREATE[..length.min(CREATE.len())]),
            ]);
        }
    }

    #[test]
    fn messages_that_share_a_datagram_are_all_read() {
        let both = b"200 2005 OK\nI: 1\n.\nNTFY 2006 *@gw MGCP 0.1\nX: 1\nO: l/hd\n";
        let recorder = datagrams(&[(CLIENT, both)]);
        assert_eq!(values(&recorder, "mgcp", "verb"), ["NTFY"]);
        assert_eq!(values(&recorder, "mgcp", "response_code"), ["200"]);
    }

    #[test]
    fn a_bare_response_needs_its_command() {
        let recorder = datagrams(&[(SERVER, b"200 7 OK\r\n")]);
        assert!(protocols(&recorder).is_empty());
        let recorder = datagrams(&[
            (CLIENT, b"RSIP 7 *@gw MGCP 1.0\nRM: restart\n"),
            (SERVER, b"510 7 no\n"),
        ]);
        assert_eq!(values(&recorder, "mgcp", "response_code"), ["510"]);
    }

    #[test]
    fn lines_may_end_with_a_carriage_return_alone() {
        let recorder = datagrams(&[(CLIENT, b"RQNT 1 *@gw MGCP 0.1\rC: 7\rX: 1\r")]);
        assert_eq!(values(&recorder, "mgcp", "version"), ["0.1"]);
        assert_eq!(values(&recorder, "mgcp", "call_id"), ["7"]);
    }

    #[test]
    fn other_lines_are_refused() {
        for line in [
            &b"CRCX 0 a@b MGCP 1.0\n"[..],
            b"CRCX 1 ab MGCP 1.0\n",
            b"CRCX 1 a@b MGCP one\n",
            b"OPTIONS sip:a@b SIP/2.0\n",
            b"220 mail.example.com ESMTP\n",
            b"200 5 subject\nFrom: a\n",
        ] {
            assert!(
                protocols(&datagrams(&[(CLIENT, line)])).is_empty(),
                "{line:?}"
            );
        }
    }
}
