//! Point-to-Point Tunnelling Protocol (RFC 2637): control of tunnels over TCP.
//!
//! Reads the type of each control message and the vendor of its sender; what tunnels carry is GRE. Proof is the magic cookie
//! with a type and the length that it must have.

use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;
use crate::open_enum;

/// Control message: `start_control_connection_request` ...
const MESSAGE: &str = "message";
/// What the sender says it is.
const VENDOR: &str = "vendor";

/// Tunnels.
pub(super) const PPTP: Protocol = Protocol {
    name: "pptp",
    about: About {
        title: "Point-to-Point Tunnelling Protocol",
        sources: "RFC 2637 section 2",
        reads: "Types of control messages, and the vendors of both ends.",
        proves: "The magic cookie with a type and the length that it must have.",
        limits: "Telephone numbers and names of hosts are not kept; the tunnel itself is GRE.",
    },
    attributes: &[MESSAGE, VENDOR],
    stream: Some(StreamEntry {
        first_byte: |byte| byte == 0,
        probe,
        start: || Box::new(Messages),
    }),
    datagram: None,
};

const COOKIE: u32 = 0x1a2b_3c4d;

open_enum! {
    /// Control messages.
    struct Kind(u16) {
        /// Opens the connection.
        START_REQUEST = 1 => "start_control_connection_request",
        /// Answers.
        START_REPLY = 2 => "start_control_connection_reply",
        /// Ends it.
        STOP_REQUEST = 3 => "stop_control_connection_request",
        /// Answers.
        STOP_REPLY = 4 => "stop_control_connection_reply",
        /// Still there?
        ECHO_REQUEST = 5 => "echo_request",
        /// Still there.
        ECHO_REPLY = 6 => "echo_reply",
        /// A call goes out.
        OUTGOING_REQUEST = 7 => "outgoing_call_request",
        /// Answers.
        OUTGOING_REPLY = 8 => "outgoing_call_reply",
        /// A call came in.
        INCOMING_REQUEST = 9 => "incoming_call_request",
        /// Answers.
        INCOMING_REPLY = 10 => "incoming_call_reply",
        /// It is up.
        INCOMING_CONNECTED = 11 => "incoming_call_connected",
        /// Ends a call.
        CLEAR_REQUEST = 12 => "call_clear_request",
        /// A call ended.
        DISCONNECT_NOTIFY = 13 => "call_disconnect_notify",
        /// Errors of a line.
        WAN_ERROR = 14 => "wan_error_notify",
        /// What was negotiated.
        SET_LINK = 15 => "set_link_info",
    }
}

impl Kind {
    /// Octets of a whole message.
    const fn length(self) -> usize {
        match self {
            Self::START_REQUEST | Self::START_REPLY => 156,
            Self::ECHO_REPLY => 20,
            Self::OUTGOING_REQUEST => 168,
            Self::OUTGOING_REPLY => 32,
            Self::INCOMING_REQUEST => 220,
            Self::INCOMING_REPLY | Self::SET_LINK => 24,
            Self::INCOMING_CONNECTED => 28,
            Self::DISCONNECT_NOTIFY => 148,
            Self::WAN_ERROR => 40,
            _ => 16,
        }
    }
}

/// Type of the message at `cursor`.
fn header(cursor: &mut Cursor<'_>) -> Result<Kind, Reject> {
    let (length, message, cookie) = (cursor.u16()?, cursor.u16()?, cursor.u32()?);
    let (kind, reserved) = (Kind(cursor.u16()?), cursor.u16()?);
    let fits = kind.name().is_some() && kind.length() == usize::from(length);
    if message != 1 || cookie != COOKIE || !fits || reserved != 0 {
        return Err(Reject::Other);
    }
    Ok(kind)
}

fn probe(opening: &Opening<'_>) -> Probe {
    opening.either(|bytes| Probe::of(header(&mut Cursor::new(bytes))))
}

/// All messages of one connection.
struct Messages;

impl Messages {
    fn read(cursor: &mut Cursor<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let kind = header(cursor)?;
        let rest = cursor.take(kind.length().saturating_sub(cursor.offset()))?;
        let side = notes.side();
        notes.proved();
        notes.text(MESSAGE, &kind.to_string());
        match kind {
            Kind::START_REQUEST => notes.client(side),
            Kind::START_REPLY => notes.client(side.other()),
            _ => return Ok(()),
        }
        // Behind sixteen octets of capabilities and the host's name, sixty-four octets each.
        let vendor = rest.get(80..).unwrap_or_default();
        notes.bytes(
            VENDOR,
            vendor.split(|byte| *byte == 0).next().unwrap_or_default(),
        );
        Ok(())
    }
}

impl StreamDecoder for Messages {
    fn data(&mut self, _side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let mut cursor = Cursor::new(bytes);
        match Self::read(&mut cursor, notes) {
            Ok(()) => Step::Skip {
                consumed: cursor.offset(),
                bytes: 0,
            },
            Err(reject) => reject.into_step(0, bytes.len()),
        }
    }

    fn resume(&mut self, _side: Side, bytes: &[u8]) -> Option<usize> {
        header(&mut Cursor::new(bytes)).is_ok().then_some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT as C, SERVER as S, conversation, midstream, only_registered_attributes, protocols,
        survives_every_cut, values,
    };
    use super::*;

    fn message(kind: u16, length: u16) -> Vec<u8> {
        let mut message = vec![0; usize::from(length)];
        message[..2].copy_from_slice(&length.to_be_bytes());
        message[3] = 1;
        message[4..8].copy_from_slice(&COOKIE.to_be_bytes());
        message[8..10].copy_from_slice(&kind.to_be_bytes());
        if length == 156 {
            message[28..34].copy_from_slice(b"secret");
            message[92..98].copy_from_slice(b"Router");
        }
        message
    }

    #[test]
    fn messages_and_vendors_are_read() {
        let segments = [
            (C, &message(1, 156)[..]),
            (S, &message(2, 156)),
            (C, &message(7, 168)),
        ];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["pptp"]);
        assert_eq!(recorder.client, Some(C));
        assert_eq!(
            values(&recorder, "pptp", "message"),
            [
                "outgoing_call_request",
                "start_control_connection_reply",
                "start_control_connection_request"
            ]
        );
        assert_eq!(values(&recorder, "pptp", "vendor"), ["Router", "Router"]);
        assert!(!format!("{:?}", recorder.facts).contains("secret"));
        only_registered_attributes(&recorder, &[&PPTP]);
        survives_every_cut(&segments);
    }

    #[test]
    fn an_echo_in_the_middle_is_known() {
        let recorder = midstream(&[(C, &message(5, 16))]);
        assert_eq!(values(&recorder, "pptp", "message"), ["echo_request"]);
    }

    #[test]
    fn other_lengths_types_and_cookies_are_refused() {
        let mut cookie = message(5, 16);
        cookie[4] = 0;
        for other in [message(1, 157), message(16, 16), message(6, 16), cookie] {
            assert!(protocols(&conversation(&[(C, &other)])).is_empty());
        }
    }
}
