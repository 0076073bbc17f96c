//! RTMP (Adobe's Real Time Messaging Protocol, version 1.0): the handshake of fixed length, and the first command.
//!
//! Proves: both sides begin with the version and 1536 bytes, and either one gives the other's bytes back (section 5.2.4), or the
//! first message after the handshake is a `connect` command. Media is passed over.

use memchr::memmem;

use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::evidence::Notes;
use crate::net::{PerSide, Side};

/// Version of the handshake: 3.
const VERSION: &str = "version";
/// The application that the client connects to.
const APPLICATION: &str = "application";

pub(super) const RTMP: Protocol = Protocol {
    name: "rtmp",
    about: About {
        title: "Real Time Messaging Protocol",
        sources: "Adobe's Real Time Messaging Protocol specification 1.0, 5.2 and 7.2.1.1",
        reads: "The handshake, and the application that the client connects to.",
        proves: "A handshake whose bytes come back, or one after which the client sends `connect`.",
        limits: "Both directions must be in the capture from their beginning; RTMPE and media are not read.",
    },
    attributes: &[VERSION, APPLICATION],
    stream: Some(StreamEntry {
        first_byte: |byte| byte == 3,
        probe,
        start: || Box::<Connection>::default(),
    }),
    datagram: None,
};

/// Version byte of both sides.
const PLAIN: u8 = 3;
/// Bytes of each handshake message after the version.
const MESSAGE: usize = 1536;
/// Bytes of the version and the first message.
const FIRST: usize = MESSAGE + 1;
/// Bytes that must come back: chance does not repeat them.
const ECHO: usize = 32;
/// Bytes of the first command that are read.
const COMMAND: usize = 256;

/// The time of the first message is followed by zeros, or by the version of a player or server.
fn begins(bytes: &[u8]) -> Option<bool> {
    match bytes {
        [] => None,
        [PLAIN, _, _, _, _, 0, 0, 0, 0, ..] => Some(true),
        // A version of four small numbers, as Flash Player writes it.
        [PLAIN, _, _, _, _, major, ..] if bytes.len() > 8 => {
            Some((1..=32).contains(major) || *major == 0x80)
        }
        [PLAIN, ..] if bytes.len() <= 8 => None,
        _ => Some(false),
    }
}

fn probe(opening: &Opening<'_>) -> Probe {
    let (spoken, reply) = (opening.spoken(), opening.reply());
    // A packet of TPKT begins with the same byte: its length, or the whole of it, tells.
    let sides = [begins(spoken), begins(reply)];
    if opening.midstream || sides.contains(&Some(false)) {
        return Probe::No;
    }
    if spoken.len() < FIRST || reply.len() < FIRST.saturating_add(ECHO).saturating_add(8) {
        return Probe::More;
    }
    let is_sent = |bytes: &[u8]| {
        let content = bytes.get(9..FIRST).unwrap_or_default();
        content.iter().any(|byte| *byte != 0)
    };
    let zeros = spoken.get(5..9) == Some(&[0; 4]) && reply.get(5..9) == Some(&[0; 4]);
    let is_signed = is_digested(spoken) && is_digested(reply);
    if echoes(spoken, reply) || (zeros && is_sent(spoken)) || is_signed {
        Probe::Yes
    } else {
        Probe::No
    }
}

/// Players since version 9 sign the handshake, and name their version where others send zeros.
fn is_digested(bytes: &[u8]) -> bool {
    bytes.get(5).is_some_and(|major| *major != 0)
}

/// Whether `reply` gives back what the first message of `spoken` holds after its time.
fn echoes(spoken: &[u8], reply: &[u8]) -> bool {
    let sent = spoken.get(9..).and_then(|sent| sent.get(..ECHO));
    let back = reply
        .get(FIRST.saturating_add(8)..)
        .and_then(|back| back.get(..ECHO));
    sent.is_some_and(|sent| sent.iter().any(|byte| *byte != 0)) && sent == back
}

#[derive(Debug, Default)]
struct Connection {
    client: Option<Side>,
    /// The beginnings of the first messages, for the other side to give back.
    sent: PerSide<Option<[u8; ECHO]>>,
    /// The second message was read.
    answered: PerSide<bool>,
    proved: bool,
}

impl StreamDecoder for Connection {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let client = *self.client.get_or_insert(side);
        if self.sent[side].is_none() {
            let Some(first) = bytes.get(..FIRST) else {
                return need(bytes.len(), FIRST);
            };
            if begins(first) != Some(true) {
                return Step::Reject(Reject::Other);
            }
            self.sent[side] = first
                .get(9..)
                .and_then(|content| content.first_chunk())
                .copied();
            return Step::Skip {
                consumed: FIRST,
                bytes: 0,
            };
        }
        if !self.answered[side] {
            let Some(second) = bytes.get(..MESSAGE) else {
                return need(bytes.len(), MESSAGE);
            };
            let back = second.get(8..).and_then(|content| content.first_chunk());
            if back.is_some() && back == self.sent[side.other()].as_ref() {
                self.prove(client, notes);
            }
            self.answered[side] = true;
            return Step::Skip {
                consumed: MESSAGE,
                bytes: 0,
            };
        }
        if side != client {
            return Step::Skip {
                consumed: bytes.len(),
                bytes: u64::MAX,
            };
        }
        self.command(bytes, client, notes)
    }
}

fn need(there: usize, whole: usize) -> Step {
    Step::NeedMore {
        consumed: 0,
        at_least: whole.max(there.saturating_add(1)),
    }
}

impl Connection {
    fn prove(&mut self, client: Side, notes: &mut Notes<'_>) {
        notes.proved();
        if !std::mem::replace(&mut self.proved, true) {
            notes.client(client);
            notes.number(VERSION, u64::from(PLAIN));
        }
    }

    /// The first messages of the client: `connect` in AMF 0, and the application in its object (section 7.2.1.1).
    fn command(&mut self, bytes: &[u8], client: Side, notes: &mut Notes<'_>) -> Step {
        let start = bytes.get(..COMMAND).unwrap_or(bytes);
        let Some(at) = memmem::find(start, b"\x02\x00\x07connect\x00") else {
            return if bytes.len() < COMMAND {
                need(bytes.len(), bytes.len())
            } else {
                Step::Done
            };
        };
        let object = start.get(at..).unwrap_or_default();
        let application = memmem::find(object, b"\x00\x03app\x02").and_then(|at| {
            let (length, text) = object.get(at.saturating_add(6)..)?.split_at_checked(2)?;
            let length = usize::from(u16::from_be_bytes(*length.first_chunk()?));
            text.get(..length)
        });
        let is_whole = application.is_some()
            || start.len() == COMMAND
            || memmem::find(object, b"\0\0\t").is_some();
        if !is_whole {
            self.prove(client, notes);
            return need(bytes.len(), bytes.len());
        }
        self.prove(client, notes);
        notes.bytes(APPLICATION, application.unwrap_or_default());
        Step::Done
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, conversation, midstream, only_registered_attributes, protocols,
        survives_every_cut, values,
    };
    use super::*;

    /// The version and a first message with `zeros`, and content that begins with `seed`.
    fn first(zeros: [u8; 4], seed: u8) -> Vec<u8> {
        let mut bytes = vec![PLAIN, 0, 0, 1, seed];
        bytes.extend(zeros);
        bytes.extend((0..MESSAGE - 8).map(|index| (index as u8).wrapping_mul(31) ^ seed));
        bytes
    }

    fn second(other: &[u8]) -> Vec<u8> {
        let mut bytes = other[1..5].to_vec();
        bytes.extend([0, 0, 0, 9]);
        bytes.extend(&other[9..]);
        bytes
    }

    const CONNECT: &[u8] = b"\x03\0\0\0\0\0\x25\x14\0\0\0\0\x02\0\x07connect\0\x3f\xf0\0\0\0\0\0\0\x03\0\x03app\x02\0\x04live\0\0\t";

    #[test]
    fn a_handshake_that_comes_back_and_connect_are_read() {
        let (asked, answer) = (first([0; 4], 7), first([0; 4], 9));
        let server = [answer.clone(), second(&asked)].concat();
        let client = [second(&answer), CONNECT.to_vec()].concat();
        let segments: [(Side, &[u8]); 3] = [(CLIENT, &asked), (SERVER, &server), (CLIENT, &client)];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["rtmp"]);
        assert_eq!(values(&recorder, "rtmp", "version"), ["3"]);
        assert_eq!(values(&recorder, "rtmp", "application"), ["live"]);
        assert_eq!(recorder.client, Some(CLIENT));
        only_registered_attributes(&recorder, &[&RTMP]);
        survives_every_cut(&segments);
        assert!(protocols(&midstream(&segments)).is_empty());
    }

    #[test]
    fn a_signed_handshake_is_proven_by_connect() {
        let (asked, answer) = (first([9, 0, 124, 2], 7), first([4, 5, 0, 1], 9));
        let server = [answer, vec![1; MESSAGE]].concat();
        let client = [vec![2; MESSAGE], CONNECT.to_vec()].concat();
        let mut segments: Vec<(Side, &[u8])> = vec![(CLIENT, &asked), (SERVER, &server)];
        assert!(protocols(&conversation(&segments)).is_empty());
        segments.push((CLIENT, &client));
        assert_eq!(protocols(&conversation(&segments)), ["rtmp"]);
    }

    #[test]
    fn packets_of_tpkt_are_not_rtmp() {
        let request =
            b"\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00";
        let confirm =
            b"\x03\x00\x00\x13\x0e\xd0\x00\x00\x12\x34\x00\x02\x1f\x08\x00\x02\x00\x00\x00";
        let recorder = conversation(&[(CLIENT, request), (SERVER, confirm)]);
        assert!(!protocols(&recorder).contains(&"rtmp"));
    }
}
