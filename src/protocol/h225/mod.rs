//! H.323 call signalling (ITU-T H.225.0): calls over TCP, as messages of Q.931 in packets of TPKT without X.224; and
//! registration, admission and status (RAS) over UDP.
//!
//! A call is proven by a message whose information elements fill its packet and whose user-to-user element holds H.323's object
//! identifier; RAS by the same identifier at its place in a discovery or registration. Offers media of fast start; the
//! address of the control channel (H.245) is a fact, since it carries no media. Names and numbers of parties are passed over.

mod body;
mod q931;
mod types;

use body::{Body, Ras};
use q931::Message;
use uuid::Uuid;

use super::{
    About, Datagram, DatagramDecoder, DatagramEntry, Opening, Probe, Protocol, Reject, Step,
    StreamDecoder, StreamEntry, h245, tpkt,
};
use crate::evidence::{Notes, Offered};
use crate::net::{Side, Transport};

/// Kind of message: `setup`, `connect`, `registration_request` ...
const MESSAGE: &str = "message";
/// Version of H.225.0.
const VERSION: &str = "version";
/// The call's globally unique identifier.
const CALL_ID: &str = "call_id";
/// Address and port of the control channel (H.245).
const CONTROL_ADDRESS: &str = "control_address";
/// Address and port for call signalling that a registration names.
const SIGNAL_ADDRESS: &str = "signal_address";
/// Why a call ended (Q.850).
const CAUSE: &str = "cause";
/// Why a call ended, in H.323's words.
const RELEASE_REASON: &str = "release_reason";

/// H.225.0.
pub(super) const H225: Protocol = Protocol {
    name: "h225",
    about: About {
        title: "H.323 call signalling and RAS (H.225.0)",
        sources: "ITU-T H.225.0, H.323, Q.931, X.691",
        reads: "Kinds of messages, causes, call identifiers, control and signalling addresses; control channels and the media of fast start become offers.",
        proves: "A Q.931 message with H.323's object identifier in it, or a RAS discovery or registration with it.",
        limits: "Fields behind forms that are not in use are not read; RAS without discovery or registration proves nothing.",
    },
    attributes: &[
        MESSAGE,
        VERSION,
        CALL_ID,
        CONTROL_ADDRESS,
        SIGNAL_ADDRESS,
        CAUSE,
        RELEASE_REASON,
    ],
    stream: Some(StreamEntry {
        first_byte: |byte| byte == 3,
        probe,
        start: || Box::new(Calls),
    }),
    datagram: Some(DatagramEntry {
        // An index in five bits, or an extension.
        first_byte: |byte| byte >> 2 < 25 || byte >= 0x80,
        start: || Box::<Registration>::default(),
    }),
};

fn probe(opening: &Opening<'_>) -> Probe {
    opening.either(probe_side)
}

/// Looks for a message that is proof behind those that are none.
fn probe_side(bytes: &[u8]) -> Probe {
    let mut rest = bytes;
    while !rest.is_empty() {
        let (content, length) = match tpkt::packet(rest) {
            Ok(packet) => packet,
            Err(Reject::Short(_))
                if matches!(
                    rest,
                    [] | [_] | [_, _] | [_, _, _] | [_, _, _, _] | [_, _, _, _, 8, ..]
                ) =>
            {
                return Probe::More;
            }
            Err(_) => return Probe::No,
        };
        match Message::parse(content) {
            Ok(message) if message.user.and_then(Body::parse).is_some() => return Probe::Yes,
            Ok(_) => {}
            Err(_) if content.is_empty() => {}
            Err(_) => return Probe::No,
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    if bytes.is_empty() {
        Probe::No
    } else {
        Probe::More
    }
}

struct Calls;

impl StreamDecoder for Calls {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        match tpkt::packet(bytes) {
            Ok((content, length)) => {
                if let Ok(message) = Message::parse(content) {
                    call(side, message, notes);
                }
                Step::Skip {
                    consumed: length,
                    bytes: 0,
                }
            }
            Err(reject) => reject.into_step(0, bytes.len()),
        }
    }

    fn resume(&mut self, _side: Side, bytes: &[u8]) -> Option<usize> {
        let (content, _) = tpkt::packet(bytes).ok()?;
        Message::parse(content).is_ok().then_some(0)
    }
}

/// Notes one message of a call.
fn call(side: Side, message: Message<'_>, notes: &mut Notes<'_>) {
    notes.about(u64::from(message.call));
    let body = message.user.and_then(Body::parse);
    if body.is_some() {
        notes.proved();
        if message.call != 0 {
            notes.client(if message.is_from_caller {
                side
            } else {
                side.other()
            });
        }
    }
    notes.text(MESSAGE, &message.kind.to_string());
    if let Some(cause) = message.cause {
        notes.number(CAUSE, u64::from(cause));
    }
    let Some(body) = body else {
        return;
    };
    if let Some(version) = body.version {
        notes.number(VERSION, u64::from(version));
    }
    let call_id = body
        .call_id
        // Some endpoints have none, and send zeros.
        .filter(|id| id.iter().any(|byte| *byte != 0))
        .map(|id| Uuid::from_bytes(*id).to_string())
        .unwrap_or_default();
    notes.text(CALL_ID, &call_id);
    notes.text(RELEASE_REASON, body.reason.unwrap_or_default());
    if let Some(control) = body.control {
        notes.text(CONTROL_ADDRESS, &control.to_string());
        let offered = Offered::Protocol {
            protocol: h245::H245.name,
            name: Box::default(),
        };
        notes.offer(Transport::TCP, control, offered);
    }
    for channel in body.channels {
        h245::fast_start(channel, &call_id, notes);
    }
    for control in body.tunnelled {
        h245::message(control, &call_id, &mut notes.inside(h245::H245.name));
    }
}

/// RAS of one flow.
#[derive(Default)]
struct Registration {
    is_proven: bool,
}

impl DatagramDecoder for Registration {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let message = Ras::parse(datagram.bytes).ok_or(Reject::Other)?;
        match message.version {
            Some(version) => {
                self.is_proven = true;
                notes.number(VERSION, u64::from(version));
            }
            None if !self.is_proven => return Err(Reject::Other),
            None => {}
        }
        notes.proved();
        if let Some(is_request) = message.is_request {
            let side = notes.side();
            notes.client(if is_request { side } else { side.other() });
        }
        notes.text(MESSAGE, message.name);
        for endpoint in message.signal {
            notes.text(SIGNAL_ADDRESS, &endpoint.to_string());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
