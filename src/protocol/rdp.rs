//! Remote Desktop Protocol: how a connection begins (MS-RDPBCGR 2.2.1.1 and 2.2.1.2), in X.224 over TPKT (RFC 1006).
//!
//! Proves: a connection request that is as long as its three lengths say and carries a cookie, a routing token or a
//! negotiation request, or a confirm that carries a negotiation response; other X.224 over TPKT (T.125, X.400, H.323, S7) is not
//! RDP. Where TLS was chosen, what follows is for the probes. The user name in a cookie is never noted, and nothing
//! after the negotiation is read.

use super::{About, Next, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;
use crate::open_enum;

/// The Remote Desktop Protocol.
pub(super) const RDP: Protocol = Protocol {
    name: "rdp",
    about: About {
        title: "Remote Desktop Protocol",
        sources: "MS-RDPBCGR 1.3.1.1, 2.2.1; X.224; RFC 1006",
        reads: "The X.224 connection request and confirm: protocols offered, selected or refused.",
        proves: "A TPKT and X.224 connection whose negotiation structure or cookie is that of RDP.",
        limits: "What follows is encrypted and not read; a TLS handshake after the confirm is handed to the TLS decoder.",
    },
    attributes: &[OFFERED_PROTOCOL, SELECTED_PROTOCOL, FAILURE],
    stream: Some(StreamEntry {
        first_byte: |byte| byte == TPKT_VERSION,
        probe,
        start: || Box::new(Rdp::default()),
    }),
    datagram: None,
};

/// A protection that the client offers: `tls`, `credssp` ...
const OFFERED_PROTOCOL: &str = "offered_protocol";
/// The protection that the server chose; `rdp` is the one of RDP itself.
const SELECTED_PROTOCOL: &str = "selected_protocol";
/// Why the server refused (MS-RDPBCGR 2.2.1.2.2).
const FAILURE: &str = "failure";

const TPKT_VERSION: u8 = 3;
const TPKT_HEADER: usize = 4;
/// Longest message: the length indicator of X.224 is one byte, 255 is reserved (ISO 8073 section 13.2.1).
const MAX_MESSAGE: usize = TPKT_HEADER + 1 + 254;
/// Bits of `requestedProtocols` and values of `selectedProtocol` (MS-RDPBCGR 2.2.1.1.1).
const PROTECTIONS: [(u32, &str); 5] = [
    (1, "tls"),
    (2, "credssp"),
    (4, "rdstls"),
    (8, "credssp_early"),
    (16, "rdsaad"),
];

open_enum! {
    /// Failure codes.
    struct Failure(u32) {
        /// The server insists on TLS.
        SSL_REQUIRED = 1 => "ssl_required",
        /// The server does not do TLS.
        SSL_NOT_ALLOWED = 2 => "ssl_not_allowed",
        /// The server has no certificate.
        NO_CERTIFICATE = 3 => "no_certificate",
        /// The flags contradict each other.
        INCONSISTENT_FLAGS = 4 => "inconsistent_flags",
        /// The server insists on CredSSP.
        HYBRID_REQUIRED = 5 => "credssp_required",
        /// The server insists on TLS with a client certificate.
        SSL_WITH_USER_AUTH_REQUIRED = 6 => "client_certificate_required",
    }
}

fn probe(opening: &Opening<'_>) -> Probe {
    let sides = [opening.spoken(), opening.reply()].map(|bytes| match Message::parse(bytes) {
        Ok(message) if message.is_proof() => Probe::Yes,
        Err(Reject::Short(_)) if !bytes.is_empty() => Probe::More,
        _ => Probe::No,
    });
    if sides.contains(&Probe::Yes) {
        Probe::Yes
    } else if sides.contains(&Probe::More) {
        Probe::More
    } else {
        Probe::No
    }
}

/// A connection request or confirm.
#[derive(Clone, Copy, Debug)]
struct Message {
    /// Bytes on the wire.
    length: usize,
    content: Content,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// From the client: whether a cookie or token names the session, and the protections offered.
    Request { cookie: bool, offered: Option<u32> },
    /// From the server: the protection chosen; none by servers before Windows Server 2003 SP1.
    Confirm { selected: Option<u32> },
    /// From the server: no protection in common.
    Refusal(Failure),
}

impl Message {
    fn parse(bytes: &[u8]) -> Result<Self, Reject> {
        let mut cursor = Cursor::new(bytes);
        if cursor.u8()? != TPKT_VERSION || cursor.u8()? != 0 {
            return Err(Reject::Other);
        }
        let length = usize::from(cursor.u16()?);
        let indicator = usize::from(cursor.u8()?);
        if length > MAX_MESSAGE || indicator < 6 || length != indicator.saturating_add(5) {
            return Err(Reject::Other);
        }
        let code = cursor.u8()?;
        let (to, _from, class) = (cursor.u16()?, cursor.u16()?, cursor.u8()?);
        // Class 0, and a request knows no reference of the other side yet (RFC 1006 section 4).
        if class != 0 || (code == 0xe0 && to != 0) {
            return Err(Reject::Other);
        }
        let mut body = cursor.sub(indicator.saturating_sub(6))?;
        let content = match code {
            0xe0 => {
                let cookie = skip_cookie(&mut body);
                let offered = match body.rest() {
                    [] => None,
                    _ => Some(negotiation(&mut body, 1)?),
                };
                // A request with authentication carries a correlation identifier after it.
                Content::Request { cookie, offered }
            }
            0xd0 if body.is_empty() => Content::Confirm { selected: None },
            0xd0 if body.peek() == Some(3) => Content::Refusal(Failure(negotiation(&mut body, 3)?)),
            0xd0 => Content::Confirm {
                selected: Some(negotiation(&mut body, 2)?),
            },
            _ => return Err(Reject::Other),
        };
        Ok(Self { length, content })
    }

    /// Whether nothing but RDP sends such a message.
    fn is_proof(self) -> bool {
        match self.content {
            Content::Request { cookie, offered } => cookie || offered.is_some(),
            Content::Confirm { selected } => selected.is_some(),
            Content::Refusal(_) => true,
        }
    }
}

/// Passes over a cookie or a routing token: a line of text.
fn skip_cookie(body: &mut Cursor<'_>) -> bool {
    let rest = body.rest();
    let is_cookie = rest.starts_with(b"Cookie: mstshash=") || rest.starts_with(b"Cookie: msts=");
    match memchr::memmem::find(rest, b"\r\n") {
        Some(end) if is_cookie => body.skip(end.saturating_add(2)).is_ok(),
        _ => false,
    }
}

/// A negotiation structure of that type: type, flags, length 8, value.
fn negotiation(body: &mut Cursor<'_>, kind: u8) -> Result<u32, Reject> {
    let is_kind = body.u8()? == kind;
    let _flags = body.u8()?;
    let is_length = body.u16_le()? == 8;
    let value = body.u32_le()?;
    if is_kind && is_length && value < 0x100 {
        Ok(value)
    } else {
        Err(Reject::Invalid("negotiation"))
    }
}

/// One connection.
#[derive(Default)]
struct Rdp {
    client: Option<Side>,
}

impl StreamDecoder for Rdp {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        if self.client == Some(side) {
            // The answer is not in the capture: the client goes on with what was agreed.
            return Step::Handover {
                consumed: 0,
                next: Next::Probe,
            };
        }
        let message = match Message::parse(bytes) {
            Ok(message) => message,
            Err(Reject::Short(short)) => {
                return Step::NeedMore {
                    consumed: 0,
                    at_least: bytes.len().saturating_add(short.missing.max(1)),
                };
            }
            Err(reject) => return Step::Reject(reject),
        };
        notes.proved();
        match message.content {
            Content::Request { offered, .. } => {
                notes.client(side);
                self.client = Some(side);
                let offered = offered.unwrap_or(0);
                for (bit, name) in PROTECTIONS {
                    if offered & bit != 0 {
                        notes.text(OFFERED_PROTOCOL, name);
                    }
                }
                match bytes.get(message.length..) {
                    None | Some([]) => Step::Consumed,
                    Some(_) => Step::Handover {
                        consumed: message.length,
                        next: Next::Probe,
                    },
                }
            }
            Content::Confirm { selected } => {
                notes.client(side.other());
                let selected = selected.unwrap_or(0);
                let known = PROTECTIONS.iter().find(|(value, _)| *value == selected);
                let Some((_, name)) = known else {
                    notes.text(
                        SELECTED_PROTOCOL,
                        if selected == 0 { "rdp" } else { "unknown" },
                    );
                    return Step::Done;
                };
                notes.text(SELECTED_PROTOCOL, name);
                Step::Handover {
                    consumed: message.length,
                    next: Next::Probe,
                }
            }
            Content::Refusal(failure) => {
                notes.client(side.other());
                notes.text(FAILURE, &failure.to_string());
                Step::Done
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, conversation, only_registered_attributes, protocols, survives_every_cut,
        values,
    };
    use super::*;

    /// A message of X.224 with that code and content.
    fn message(code: u8, content: &[u8]) -> Vec<u8> {
        let indicator = u8::try_from(content.len()).unwrap() + 6;
        let mut bytes = vec![3, 0, 0, indicator + 5, indicator, code, 0, 0, 0x12, 0x34, 0];
        bytes.extend(content);
        bytes
    }

    fn request() -> Vec<u8> {
        message(
            0xe0,
            b"Cookie: mstshash=jdoe\r\n\x01\x00\x08\x00\x03\x00\x00\x00",
        )
    }

    const SELECTED_CREDSSP: [u8; 8] = [2, 0x1f, 8, 0, 2, 0, 0, 0];

    #[test]
    fn offer_and_choice_are_read_and_the_user_is_not() {
        let (request, confirm) = (request(), message(0xd0, &SELECTED_CREDSSP));
        let segments = [(CLIENT, &request[..]), (SERVER, &confirm)];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["rdp"]);
        assert_eq!(
            values(&recorder, "rdp", OFFERED_PROTOCOL),
            ["credssp", "tls"]
        );
        assert_eq!(values(&recorder, "rdp", SELECTED_PROTOCOL), ["credssp"]);
        assert!(!format!("{recorder:?}").contains("jdoe"));
        assert_eq!(recorder.client, Some(CLIENT));
        only_registered_attributes(&recorder, &[&RDP]);
        survives_every_cut(&segments);
    }

    #[test]
    fn tls_follows_its_choice() {
        let (request, confirm) = (request(), message(0xd0, &SELECTED_CREDSSP));
        let alert = [0x15, 3, 1, 0, 2, 2, 40];
        let recorder = conversation(&[(CLIENT, &request), (SERVER, &confirm), (CLIENT, &alert)]);
        assert_eq!(protocols(&recorder), ["rdp", "tls"]);
        let unanswered = conversation(&[(CLIENT, &request), (CLIENT, &alert)]);
        assert_eq!(protocols(&unanswered), ["rdp", "tls"]);
    }

    #[test]
    fn a_refusal_gives_its_reason() {
        let refusal = message(0xd0, &[3, 0, 8, 0, 5, 0, 0, 0]);
        let recorder = conversation(&[(SERVER, &refusal)]);
        assert_eq!(values(&recorder, "rdp", FAILURE), ["credssp_required"]);
        assert_eq!(recorder.client, Some(CLIENT));
    }

    #[test]
    fn a_confirm_without_choice_after_a_cookie_is_the_protection_of_rdp() {
        let request = message(0xe0, b"Cookie: mstshash=a\r\n");
        let confirm = message(0xd0, b"");
        let recorder = conversation(&[(CLIENT, &request), (SERVER, &confirm)]);
        assert_eq!(values(&recorder, "rdp", SELECTED_PROTOCOL), ["rdp"]);
    }

    #[test]
    fn other_users_of_tpkt_are_not_rdp() {
        let s7 = message(0xe0, &[0xc0, 1, 10, 0xc1, 2, 1, 0, 0xc2, 2, 1, 2]);
        let bare = message(0xe0, b"");
        let bare_confirm = message(0xd0, b"");
        let data = [3, 0, 0, 7, 2, 0xf0, 0x80];
        let wrong_length = [&request()[..3], &[99], &request()[4..]].concat();
        for opening in [&s7[..], &bare, &bare_confirm, &data, &wrong_length] {
            let recorder = conversation(&[(CLIENT, opening)]);
            assert!(protocols(&recorder).is_empty(), "{opening:02x?}");
        }
    }
}
