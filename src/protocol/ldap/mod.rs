//! LDAP version 3 (RFC 4511) over streams, and connectionless LDAP (MS-ADTS 6.3.3, RFC 1798) in datagrams.
//!
//! Proves operations, how clients bind, result codes, search bases, StartTLS (RFC 4511 section 4.14), and whether a SASL
//! security layer signs or seals. It keeps no password and no entry; large bodies are passed over.

mod connectionless;
mod message;
mod wrap;

use std::collections::BTreeSet;

use super::gss::{GSS_DOMAIN, GSS_HOST, GSS_VERSION};
use super::tls::TLS;
use super::{
    About, DatagramEntry, Next, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry,
    gss,
};
use crate::evidence::Notes;
use crate::net::Side;
use message::{Authentication, Message, Operation, ResultCode};
use wrap::Wrapped;

/// Operation.
const OPERATION: &str = "operation";
/// How a client binds.
const BIND: &str = "bind";
/// Distinguished name that a client binds as.
const BIND_NAME: &str = "bind_name";
/// Result of a bind.
const BIND_RESULT: &str = "bind_result";
/// The server's own words about a refused bind.
const DIAGNOSTIC: &str = "diagnostic";
/// Mechanism that the tokens of a bind choose.
const MECHANISM: &str = "mechanism";
/// Service that a bind's Kerberos ticket is for.
const SERVICE: &str = "service";
/// Result of another operation, where it is a failure.
const RESULT: &str = "result";
/// Base object of a search, or the entry that is added or changed: either says which tree it is.
const BASE: &str = "base";
/// Object identifier of an extended operation.
const EXTENDED: &str = "extended";
/// What became of StartTLS.
const STARTTLS: &str = "starttls";
/// `sealed` or `signed`: what the security layer does.
const SEALED: &str = "sealed";
/// Domain that a client looks for a controller of.
const DOMAIN: &str = "domain";
/// Name of a domain controller.
const CONTROLLER: &str = "controller";

/// LDAP.
pub(super) const LDAP: Protocol = Protocol {
    name: "ldap",
    about: About {
        title: "Lightweight Directory Access Protocol",
        sources: "RFC 4511, RFC 4513, MS-ADTS 5.1.1",
        reads: "Operations, binds with their mechanism and result, bases of searches, extended operations, StartTLS, failures.",
        proves: "A message whose identifier, operation and lengths are whole.",
        limits: "After a bind with a security layer only whether it signs or seals is read; passwords, filters and entries are not kept.",
    },
    attributes: &[
        OPERATION,
        BIND,
        BIND_NAME,
        BIND_RESULT,
        DIAGNOSTIC,
        MECHANISM,
        SERVICE,
        RESULT,
        BASE,
        EXTENDED,
        STARTTLS,
        SEALED,
        GSS_DOMAIN,
        GSS_HOST,
        GSS_VERSION,
    ],
    stream: Some(StreamEntry {
        // A message, or the length before a wrapped one.
        first_byte: |byte| byte == 0x30 || byte == 0,
        probe,
        start: || Box::new(Stream::default()),
    }),
    datagram: None,
};

/// Connectionless LDAP.
pub(super) const CLDAP: Protocol = Protocol {
    name: "cldap",
    about: About {
        title: "Connectionless LDAP",
        sources: "MS-ADTS 6.3.3, RFC 1798",
        reads: "The netlogon ping: search, domain, answering controller.",
        proves: "A whole LDAP message in a datagram.",
        limits: "Of the controller's answers only the extended form of a logon response is read.",
    },
    attributes: &[OPERATION, RESULT, BASE, DOMAIN, CONTROLLER],
    stream: None,
    datagram: Some(DatagramEntry {
        first_byte: |byte| byte == 0x30,
        start: || Box::new(connectionless::Flow),
    }),
};

/// Octets of a message that is read whole: bind tokens and filters fit; of longer ones the beginning is read.
const MAX_WHOLE: usize = 64 * 1024;
/// Search bases of one connection that are told apart; further ones are noted again, which costs time only.
const MAX_BASES: usize = 64;
/// Object identifier of StartTLS.
const STARTTLS_OID: &[u8] = b"1.3.6.1.4.1.1466.20037";

fn probe(opening: &Opening<'_>) -> Probe {
    opening.agreed(|bytes| probe_side(bytes, opening.midstream))
}

fn probe_side(bytes: &[u8], midstream: bool) -> Probe {
    let (answer, decisive) = if bytes.first() == Some(&0x30) {
        (is_chain(bytes), Message::DECISIVE)
    } else if midstream {
        // Nothing but a bind leads to a security layer.
        (wrap::is_chain(bytes), Wrapped::DECISIVE)
    } else {
        return Probe::No;
    };
    match answer {
        Ok(true) => Probe::Yes,
        Err(Reject::Short(_)) if bytes.len() < decisive => Probe::More,
        Ok(false) | Err(_) => Probe::No,
    }
}

/// Whether `bytes` begin with a message, after which another or a wrapped one may begin.
fn is_chain(bytes: &[u8]) -> Result<bool, Reject> {
    let message = Message::parse(bytes)?;
    let next = bytes.get(message.total..).unwrap_or_default();
    Ok(next.is_empty() || matches!(next.first(), Some(0x30 | 0)))
}

/// One connection.
#[derive(Default)]
struct Stream {
    /// Operations noted already, as a set of identifier octets.
    operations: BTreeSet<u8>,
    bases: BTreeSet<Vec<u8>>,
    /// Message id of a StartTLS request without an answer.
    starttls: Option<u64>,
    /// A SASL bind was seen: its layer may be one whose tokens are not known here.
    sasl: bool,
    /// Protections noted already: sealed or only signed.
    protections: BTreeSet<bool>,
}

impl StreamDecoder for Stream {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        if bytes.first() != Some(&0x30) {
            return self.wrapped(bytes, notes);
        }
        let message = match Message::parse(bytes) {
            Ok(message) => message,
            Err(reject) => return reject.into_step(0, bytes.len()),
        };
        if self.operations.insert(message.operation.0) {
            notes.proved();
            notes.client(if message.operation.is_request() {
                side
            } else {
                side.other()
            });
            notes.text(OPERATION, &message.operation.to_string());
        }
        let needed = message.total.min(MAX_WHOLE);
        let is_there = bytes.len() >= needed;
        if message.operation.is_read() {
            let taken = self.read(&message, is_there, notes);
            if taken && is_there {
                return starttls(message.total);
            }
            if !is_there {
                // What is there is noted already: the capture may be cut.
                return Step::NeedMore {
                    consumed: 0,
                    at_least: needed,
                };
            }
        }
        Step::Skip {
            consumed: 0,
            bytes: message.total as u64,
        }
    }

    fn resume(&mut self, _: Side, bytes: &[u8]) -> Option<usize> {
        (probe_side(bytes, true) == Probe::Yes).then_some(0)
    }
}

/// The next octets of both sides are TLS.
fn starttls(consumed: usize) -> Step {
    Step::Handover {
        consumed,
        next: Next::Protocol(&TLS),
    }
}

impl Stream {
    fn wrapped(&mut self, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let wrapped = match Wrapped::parse(bytes) {
            Ok(wrapped) => wrapped,
            Err(Reject::Short(_)) if bytes.len() < Wrapped::DECISIVE => {
                return Step::NeedMore {
                    consumed: 0,
                    at_least: bytes.len().saturating_add(1),
                };
            }
            Err(reject) => {
                return match unknown_layer(bytes) {
                    Some(bytes) if self.sasl => Step::Skip { consumed: 0, bytes },
                    _ => Step::Reject(reject),
                };
            }
        };
        notes.proved();
        if self.protections.insert(wrapped.sealed) {
            notes.text(SEALED, if wrapped.sealed { "sealed" } else { "signed" });
        }
        Step::Skip {
            consumed: 0,
            bytes: wrapped.total as u64,
        }
    }

    /// Notes what a message says; returns whether it is the server's consent to TLS.
    fn read(&mut self, message: &Message<'_>, is_there: bool, notes: &mut Notes<'_>) -> bool {
        match message.operation {
            Operation::BIND_REQUEST => self.bind(message, is_there, notes),
            // RFC 4511 4.5.1, 4.6, 4.7: the name stands first in each.
            Operation::SEARCH_REQUEST | Operation::ADD_REQUEST | Operation::MODIFY_REQUEST => {
                if let Some(base) = message.field(4)
                    && !self.bases.contains(base)
                {
                    notes.bytes(BASE, base);
                    if self.bases.len() < MAX_BASES {
                        self.bases.insert(base.to_vec());
                    }
                }
            }
            Operation::EXTENDED_REQUEST => {
                let oid = message.field(0x80).unwrap_or_default();
                notes.bytes(EXTENDED, oid);
                if oid == STARTTLS_OID {
                    self.starttls = Some(message.id);
                }
            }
            Operation::BIND_RESPONSE => bind_response(message, is_there, notes),
            Operation::EXTENDED_RESPONSE if is_there => {
                return self.extended_response(message, notes);
            }
            _ => failure(message, notes),
        }
        false
    }

    fn bind(&mut self, message: &Message<'_>, is_there: bool, notes: &mut Notes<'_>) {
        let Some((name, authentication)) = message::bind(&message.body) else {
            return;
        };
        // Other forms (account names) say who a person is, not what the service is.
        if name.contains(&b'=') {
            notes.bytes(BIND_NAME, name);
        }
        let token = match authentication {
            Authentication::Simple => {
                notes.text(BIND, "simple");
                return;
            }
            Authentication::Unauthenticated => {
                notes.text(BIND, "unauthenticated");
                return;
            }
            Authentication::Anonymous => {
                notes.text(BIND, "anonymous");
                return;
            }
            Authentication::Sasl { mechanism, token } => {
                self.sasl = true;
                let mechanism = String::from_utf8_lossy(mechanism);
                notes.text(BIND, &format!("sasl {mechanism}"));
                token
            }
            Authentication::Sicily { token } => {
                self.sasl = true;
                notes.text(BIND, "sicily");
                token
            }
        };
        if is_there {
            chosen(token, notes);
        }
    }

    fn extended_response(&mut self, message: &Message<'_>, notes: &mut Notes<'_>) -> bool {
        let oid = message.field(0x8a).unwrap_or_default();
        notes.bytes(EXTENDED, oid);
        failure(message, notes);
        let asked = self.starttls == Some(message.id) && message.id != 0;
        if !asked && oid != STARTTLS_OID {
            return false;
        }
        self.starttls = None;
        let accepted =
            message::result(&message.body).is_some_and(|(code, _)| code == ResultCode::SUCCESS);
        notes.text(STARTTLS, if accepted { "accepted" } else { "refused" });
        accepted
    }
}

/// Octets of a message under a security layer whose tokens are not known here.
fn unknown_layer(bytes: &[u8]) -> Option<u64> {
    match bytes.first_chunk() {
        Some(&[0, a, b, c]) => Some(u64::from(u32::from_be_bytes([0, a, b, c])).saturating_add(4)),
        _ => None,
    }
}

fn bind_response(message: &Message<'_>, is_there: bool, notes: &mut Notes<'_>) {
    if let Some((code, diagnostic)) = message::result(&message.body)
        && code != ResultCode::SASL_BIND_IN_PROGRESS
    {
        notes.text(BIND_RESULT, &code.text());
        if !code.is_good() {
            let text = diagnostic.split(|&byte| byte == 0).next();
            notes.bytes(DIAGNOSTIC, text.unwrap_or_default());
        }
    }
    if is_there && let Some(token) = message.field(0x87) {
        chosen(token, notes);
    }
}

/// Notes the mechanism that a token chooses, the service that its ticket is for, and who sends it.
fn chosen(token: &[u8], notes: &mut Notes<'_>) {
    if let Some(token) = gss::mechanism(token) {
        if token.mechanism != "negotiate" {
            notes.text(MECHANISM, token.mechanism);
        }
        notes.text(SERVICE, token.service.as_deref().unwrap_or_default());
        token.note_sender(notes);
    }
}

fn failure(message: &Message<'_>, notes: &mut Notes<'_>) {
    if let Some((code, _)) = message::result(&message.body)
        && !code.is_good()
    {
        notes.text(RESULT, &code.text());
    }
}

#[cfg(test)]
mod tests;
