//! Remote Desktop Protocol: how a connection begins (MS-RDPBCGR 2.2.1.1 and 2.2.1.2), in the variable part of the connection
//! units of X.224.
//!
//! Proves: a connection request that carries a cookie, a routing token or a negotiation request, a confirm that carries a
//! negotiation response, or a T.125 conference whose data are keyed for RDP. The units themselves are those of [`super::tpkt`].
//! The user name in a cookie is never noted, and nothing after the negotiation is read.

use super::{About, Protocol, Reject};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::open_enum;

/// The Remote Desktop Protocol: no stream of its own.
pub(super) const RDP: Protocol = Protocol {
    name: "rdp",
    about: About {
        title: "Remote Desktop Protocol",
        sources: "MS-RDPBCGR 1.3.1.1, 2.2.1; X.224; RFC 1006",
        reads: "The X.224 connection request and confirm: protocols offered, selected or refused.",
        proves: "A negotiation structure or cookie of RDP in an X.224 connection, or its key in a T.125 conference.",
        limits: "What follows the negotiation is not read, except a TLS handshake; user names in cookies are not kept.",
    },
    attributes: &[OFFERED_PROTOCOL, SELECTED_PROTOCOL, FAILURE],
    stream: None,
    datagram: None,
};

/// A protection that the client offers: `tls`, `credssp` ...
const OFFERED_PROTOCOL: &str = "offered_protocol";
/// The protection that the server chose; `rdp` is the one of RDP itself.
const SELECTED_PROTOCOL: &str = "selected_protocol";
/// Why the server refused (MS-RDPBCGR 2.2.1.2.2).
const FAILURE: &str = "failure";

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

/// What the negotiation leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is not one of RDP.
    Other,
    /// RDP goes on in packets.
    Rdp,
    /// Another protocol protects what follows.
    Protected,
    /// The server refused.
    Refused,
}

/// Reads the variable part of a connection request or confirm; `is_known` where the request was one of RDP.
pub(super) fn negotiate(
    is_request: bool,
    is_known: bool,
    variable: &[u8],
    notes: &mut Notes<'_>,
) -> Outcome {
    let content = match Content::parse(is_request, variable) {
        Ok(content) if content.is_proof() || is_known => content,
        _ => return Outcome::Other,
    };
    notes.proved();
    match content {
        Content::Request { offered, .. } => {
            for (bit, name) in PROTECTIONS {
                if offered.unwrap_or(0) & bit != 0 {
                    notes.text(OFFERED_PROTOCOL, name);
                }
            }
            Outcome::Rdp
        }
        Content::Confirm { selected } => {
            let selected = selected.unwrap_or(0);
            let known = PROTECTIONS.iter().find(|(value, _)| *value == selected);
            match known {
                Some((_, name)) => {
                    notes.text(SELECTED_PROTOCOL, name);
                    Outcome::Protected
                }
                None if selected == 0 => {
                    notes.text(SELECTED_PROTOCOL, "rdp");
                    Outcome::Rdp
                }
                None => {
                    notes.text(SELECTED_PROTOCOL, "unknown");
                    Outcome::Refused
                }
            }
        }
        Content::Refusal(failure) => {
            notes.text(FAILURE, &failure.to_string());
            Outcome::Refused
        }
    }
}

/// What a connection request or confirm holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// From the client: whether a cookie or token names the session, and the protections offered.
    Request { cookie: bool, offered: Option<u32> },
    /// From the server: the protection chosen; none by servers before Windows Server 2003 SP1.
    Confirm { selected: Option<u32> },
    /// From the server: no protection in common.
    Refusal(Failure),
}

impl Content {
    fn parse(is_request: bool, variable: &[u8]) -> Result<Self, Reject> {
        let mut body = Cursor::new(variable);
        Ok(match (is_request, body.peek()) {
            (true, _) => {
                let cookie = skip_cookie(&mut body);
                let offered = match body.rest() {
                    [] => None,
                    _ => Some(negotiation(&mut body, 1)?),
                };
                // A request with authentication carries a correlation identifier after it.
                Self::Request { cookie, offered }
            }
            (false, None) => Self::Confirm { selected: None },
            (false, Some(3)) => Self::Refusal(Failure(negotiation(&mut body, 3)?)),
            (false, Some(_)) => Self::Confirm {
                selected: Some(negotiation(&mut body, 2)?),
            },
        })
    }

    /// Whether nothing but RDP sends such a message.
    fn is_proof(self) -> bool {
        match self {
            Self::Request { cookie, offered } => cookie || offered.is_some(),
            Self::Confirm { selected } => selected.is_some(),
            Self::Refusal(_) => true,
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
        assert_eq!(protocols(&recorder), ["tpkt", "rdp"]);
        assert_eq!(
            values(&recorder, "rdp", "offered_protocol"),
            ["credssp", "tls"]
        );
        assert_eq!(values(&recorder, "rdp", "selected_protocol"), ["credssp"]);
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
        assert_eq!(protocols(&recorder), ["tpkt", "rdp", "tls"]);
        let unanswered = conversation(&[(CLIENT, &request), (CLIENT, &alert)]);
        assert_eq!(protocols(&unanswered), ["tpkt", "rdp", "tls"]);
    }

    #[test]
    fn a_refusal_gives_its_reason() {
        let refusal = message(0xd0, &[3, 0, 8, 0, 5, 0, 0, 0]);
        let recorder = conversation(&[(SERVER, &refusal)]);
        assert_eq!(values(&recorder, "rdp", "failure"), ["credssp_required"]);
        assert_eq!(recorder.client, Some(CLIENT));
    }

    #[test]
    fn a_confirm_without_choice_after_a_cookie_is_the_protection_of_rdp() {
        let request = message(0xe0, b"Cookie: mstshash=a\r\n");
        let confirm = message(0xd0, b"");
        let recorder = conversation(&[(CLIENT, &request), (SERVER, &confirm)]);
        assert_eq!(values(&recorder, "rdp", "selected_protocol"), ["rdp"]);
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
            assert!(!protocols(&recorder).contains(&"rdp"), "{opening:02x?}");
        }
    }
}
