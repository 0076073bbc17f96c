//! WebSocket frames (RFC 6455 §5), after an HTTP connection agreed to speak them: kinds of frames, why it was closed.
//!
//! No frame is recognised by itself: the decoder is only started by the agreement. Payloads are passed over, but for the
//! two bytes of a closing frame's code. Proved by a frame with a known opcode whose reserved bits are zero, or used as
//! RFC 7692 has them.

use super::{About, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::bytes::{Cursor, Short};
use crate::evidence::Notes;
use crate::net::{PerSide, Side};
use crate::open_enum;

/// The kind of a frame: `text`, `binary`, `continuation`, `close`, `ping`, `pong`.
const OPCODE: &str = "opcode";
/// The code of a closing frame (RFC 6455 §7.4), 0 where it has none.
const CLOSE_CODE: &str = "close_code";
/// What a sender does that RFC 6455 forbids.
const FAULT: &str = "fault";

/// Frames inside an upgraded HTTP connection.
pub(super) const WEBSOCKET: Protocol = Protocol {
    name: "websocket",
    about: About {
        title: "WebSocket",
        sources: "RFC 6455, RFC 7692",
        reads: "Frames after the upgrade of an HTTP connection: kinds of frames and the code of the closing one.",
        proves: "A frame after an agreed upgrade, with a known opcode and reserved bits as specified.",
        limits: "What frames carry is not read; without the upgrade nothing is recognised.",
    },
    attributes: &[OPCODE, CLOSE_CODE, FAULT],
    stream: Some(StreamEntry {
        first_byte: |_| false,
        probe: |_| Probe::No,
        start: || Box::<Frames>::default(),
    }),
    datagram: None,
};

/// Longest payload of a control frame, RFC 6455 §5.5.
const MAX_CONTROL: u64 = 125;

open_enum! {
    /// Kinds of frames, RFC 6455 §5.2.
    struct Opcode(u8) {
        /// More of a message.
        CONTINUATION = 0 => "continuation",
        /// Text.
        TEXT = 1 => "text",
        /// Bytes.
        BINARY = 2 => "binary",
        /// The end.
        CLOSE = 8 => "close",
        /// Is the other side there?
        PING = 9 => "ping",
        /// It is.
        PONG = 10 => "pong",
    }
}

/// Both directions of a connection.
#[derive(Default)]
struct Frames {
    /// Whether a side masks its frames: clients do, servers do not (§5.1).
    masked: PerSide<Option<bool>>,
    closed: PerSide<bool>,
}

impl StreamDecoder for Frames {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let mut cursor = Cursor::new(bytes);
        let frame = match Frame::parse(&mut cursor) {
            Ok(frame) => frame,
            Err(reject) => return reject.into_step(0, bytes.len()),
        };
        let known = self.masked[side].or(self.masked[side.other()].map(|other| !other));
        if known.is_some_and(|known| known != frame.masked) {
            return Step::Reject(Reject::Invalid("mask"));
        }
        self.masked[side] = Some(frame.masked);
        let head = bytes.len().saturating_sub(cursor.len());
        if let Some(fault) = frame.fault() {
            self.note(side, &frame, notes);
            notes.text(FAULT, fault);
            return Step::Done;
        }
        if frame.opcode == Opcode::CLOSE {
            let wanted = usize::try_from(frame.length).unwrap_or(usize::MAX).min(2);
            let Some(code) = cursor.rest().get(..wanted) else {
                return Step::NeedMore {
                    consumed: 0,
                    at_least: head.saturating_add(wanted),
                };
            };
            notes.number(CLOSE_CODE, frame.code(code));
            self.closed[side] = true;
        }
        self.note(side, &frame, notes);
        if self.closed.iter().all(|(_, closed)| *closed) {
            return Step::Done;
        }
        Step::Skip {
            consumed: head,
            bytes: frame.length,
        }
    }
}

impl Frames {
    fn note(&self, side: Side, frame: &Frame, notes: &mut Notes<'_>) {
        notes.proved();
        notes.client(if frame.masked { side } else { side.other() });
        notes.text(OPCODE, frame.opcode.name().unwrap_or_default());
    }
}

/// The head of a frame.
struct Frame {
    last: bool,
    opcode: Opcode,
    masked: bool,
    key: [u8; 4],
    length: u64,
}

impl Frame {
    /// RFC 6455 §5.2. The first reserved bit marks a compressed message (RFC 7692 §6).
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Reject> {
        let (first, second) = (cursor.u8()?, cursor.u8()?);
        let opcode = Opcode(first & 0x0f);
        let compressed = first & 0x40 != 0;
        if opcode.name().is_none() || first & 0x30 != 0 {
            return Err(Reject::Invalid("opcode"));
        }
        if compressed && !matches!(opcode, Opcode::TEXT | Opcode::BINARY) {
            return Err(Reject::Invalid("compressed"));
        }
        let length = match second & 0x7f {
            126 => u64::from(cursor.u16()?),
            127 => long(cursor)?,
            short => u64::from(short),
        };
        if length >> 63 != 0 {
            return Err(Reject::Invalid("length"));
        }
        let masked = second & 0x80 != 0;
        Ok(Self {
            last: first & 0x80 != 0,
            opcode,
            masked,
            key: if masked { *cursor.array()? } else { [0; 4] },
            length,
        })
    }

    fn fault(&self) -> Option<&'static str> {
        let control = self.opcode.0 >= Opcode::CLOSE.0;
        match self {
            _ if control && self.length > MAX_CONTROL => Some("control frame too long"),
            _ if control && !self.last => Some("control frame in fragments"),
            _ => None,
        }
    }

    /// The code of a closing frame.
    fn code(&self, bytes: &[u8]) -> u64 {
        match (bytes, self.key) {
            (&[high, low], [a, b, ..]) => u64::from(u16::from_be_bytes([high ^ a, low ^ b])),
            _ => 0,
        }
    }
}

fn long(cursor: &mut Cursor<'_>) -> Result<u64, Short> {
    cursor.array::<8>().map(|bytes| u64::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::testing::{
        CLIENT as C, SERVER as S, conversation, only_registered_attributes, protocols,
        survives_every_cut, values,
    };

    const ASK: &[u8] =
        b"GET /chat HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    const AGREE: &[u8] =
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

    #[test]
    fn frames_after_the_upgrade_are_named_and_passed_over() {
        let mut long = vec![0xc2, 0x7e, 0x01, 0x00];
        long.resize(4 + 256, b'H');
        long.extend([0x8a, 0x00]);
        let segments: [(Side, &[u8]); 6] = [
            (C, ASK),
            (S, AGREE),
            (
                C,
                b"\x01\x82\x01\x02\x03\x04ii\x89\x80\0\0\0\0\x80\x81\0\0\0\0i",
            ),
            (S, &long),
            (S, b"\x88\x02\x03\xe8"),
            (C, b"\x88\x82\xff\x00\xff\x00\xfc\xe8"),
        ];
        let recorder = conversation(&segments);
        let of = |name| values(&recorder, "websocket", name);
        assert_eq!(protocols(&recorder), ["http", "websocket"]);
        assert_eq!(
            of("opcode"),
            [
                "binary",
                "close",
                "close",
                "continuation",
                "ping",
                "pong",
                "text"
            ]
        );
        assert_eq!(of("close_code"), ["1000", "1000"]);
        only_registered_attributes(&recorder, &[&WEBSOCKET]);
        survives_every_cut(&segments);
    }

    #[test]
    fn a_control_frame_of_many_bytes_is_a_fault() {
        let recorder = conversation(&[(C, ASK), (S, AGREE), (S, b"\x88\x7e\x01\x02aa")]);
        assert_eq!(protocols(&recorder), ["http", "websocket"]);
        assert_eq!(
            values(&recorder, "websocket", "fault"),
            ["control frame too long"]
        );
        let recorder = conversation(&[(C, ASK), (S, AGREE), (S, b"\x09\x00")]);
        assert_eq!(
            values(&recorder, "websocket", "fault"),
            ["control frame in fragments"]
        );
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let none = ["http"];
        for broken in [
            &b"\x83\x00"[..],
            b"\x91\x00",
            b"\xc9\x00",
            b"\x82\x7f\x80\0\0\0\0\0\0\x01",
            b"HTTP/1.1 200 OK\r\n\r\n",
        ] {
            let recorder = conversation(&[(C, ASK), (S, AGREE), (S, broken)]);
            assert_eq!(protocols(&recorder), none, "{broken:?}");
        }
        let alike = conversation(&[(C, ASK), (S, AGREE), (S, b"\x81\0"), (C, b"\x8a\0")]);
        assert_eq!(values(&alike, "websocket", "opcode"), ["text"]);
    }

    #[test]
    fn without_the_agreement_nothing_is_a_frame() {
        assert!(protocols(&conversation(&[(C, b"\x81\x02hi")])).is_empty());
        let bare = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
        let recorder = conversation(&[(C, ASK), (S, bare), (S, b"\x81\x02hi")]);
        assert_eq!(protocols(&recorder), ["http"]);
    }
}
