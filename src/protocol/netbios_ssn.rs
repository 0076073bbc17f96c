//! The NetBIOS session service (RFC 1002 4.3), and the transport of SMB over TCP that keeps its framing (MS-SMB2 2.1):
//! four bytes before each message, type and length.
//!
//! Says who calls whom and how the call is answered, and brings each message to SMB. Proof is a session request with two
//! encoded names, an answer of its exact length, or a message that is SMB. It never keeps what a message holds.

use memchr::memmem;

use super::smb::{self, Connection, Unit};
use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::{PerSide, Side};

/// NetBIOS name that a session is for, with its suffix in hexadecimal: `SERVER<20>`.
const CALLED: &str = "called";
/// NetBIOS name of the caller.
const CALLING: &str = "calling";
/// How the call was answered: `positive`, `retarget`, or why not.
const ANSWER: &str = "answer";

pub(super) const NETBIOS_SSN: Protocol = Protocol {
    name: "netbios_ssn",
    about: About {
        title: "NetBIOS session service and SMB's direct TCP transport",
        sources: "RFC 1002 4.3, MS-SMB2 2.1",
        reads: "Session requests with their names, answers, keep-alives, and the framing of SMB messages.",
        proves: "A request with two encoded names, a negative answer of exactly five bytes, or a frame that holds SMB of its length.",
        limits: "Frames that carry no SMB are passed over; a keep-alive alone proves nothing.",
    },
    attributes: &[CALLED, CALLING, ANSWER],
    stream: Some(StreamEntry {
        first_byte: |byte| Kind(byte).name().is_some(),
        probe,
        start: || Box::<Session>::default(),
    }),
    datagram: None,
};

/// Bytes before each message.
const PREFIX: usize = 4;
/// Bytes of an encoded name without a scope: length, 32 letters, the end (RFC 1001 14.1).
const NAME: usize = 34;
/// Frames without proof that a probe passes over.
const MAX_PROBED: usize = 4;
/// Longest session request: two names with scopes (RFC 1001 14.1: 255 bytes each).
const MAX_REQUEST: usize = 510;
/// Bytes of the magic number of SMB, without its first.
const SMB_MAGIC: &[u8; 3] = b"SMB";

crate::open_enum! {
    /// Types, RFC 1002 4.3.1.
    struct Kind(u8) {
        MESSAGE = 0x00 => "message",
        REQUEST = 0x81 => "request",
        POSITIVE = 0x82 => "positive",
        NEGATIVE = 0x83 => "negative",
        RETARGET = 0x84 => "retarget",
        KEEPALIVE = 0x85 => "keepalive",
    }
}

crate::open_enum! {
    /// Why a call is refused, RFC 1002 4.3.4.
    struct Refusal(u8) {
        NOT_LISTENING_CALLED = 0x80 => "not listening on called name",
        NOT_LISTENING_CALLING = 0x81 => "not listening for calling name",
        NOT_PRESENT = 0x82 => "called name not present",
        RESOURCES = 0x83 => "insufficient resources",
        UNSPECIFIED = 0x8f => "unspecified error",
    }
}

/// Type and length of a frame. Direct TCP has 24 bits of length; the session service uses the low 17 of them.
fn frame(bytes: &[u8]) -> Option<(Kind, u64)> {
    let &[kind, high, middle, low] = bytes.first_chunk()?;
    let length = u64::from(u32::from_be_bytes([0, high, middle, low]));
    Some((Kind(kind), length))
}

fn probe(opening: &Opening<'_>) -> Probe {
    opening.either(probe_side)
}

/// Whether the bytes of one side are frames, the last of which proves it.
fn probe_side(bytes: &[u8]) -> Probe {
    let mut rest = bytes;
    for _ in 0..MAX_PROBED {
        let Some((kind, length)) = frame(rest) else {
            // Up to the last bit of the length only a message may be long.
            return match rest {
                [] => Probe::More,
                [kind, high, ..] if *high > 1 && *kind != 0 => Probe::No,
                [kind, ..] if Kind(*kind).name().is_some() => Probe::More,
                _ => Probe::No,
            };
        };
        let body = rest.get(PREFIX..).unwrap_or_default();
        match kind {
            Kind::MESSAGE if body.is_empty() && length > 0 => return Probe::More,
            Kind::MESSAGE => return smb::begins(body, length),
            Kind::REQUEST => return probe_request(body, length),
            // Scanners are answered so, whatever they sent.
            Kind::NEGATIVE if length == 1 => {
                return match body {
                    [] => Probe::More,
                    [reason] if Refusal(*reason).name().is_some() => Probe::Yes,
                    _ => Probe::No,
                };
            }
            Kind::POSITIVE | Kind::KEEPALIVE if length == 0 => rest = body,
            _ => return Probe::No,
        }
    }
    Probe::No
}

fn probe_request(body: &[u8], length: u64) -> Probe {
    let possible = 2 * NAME as u64..=MAX_REQUEST as u64;
    if !possible.contains(&length) {
        return Probe::No;
    }
    match body.get(..NAME) {
        Some(name) if decoded(&mut Cursor::new(name)).is_ok() => Probe::Yes,
        Some(_) => Probe::No,
        None => Probe::More,
    }
}

/// The state of one connection.
#[derive(Default)]
struct Session {
    smb: Connection,
    /// Bytes left of the message that each side is in.
    left: PerSide<u64>,
    proved: bool,
}

impl StreamDecoder for Session {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        if self.left[side] > 0 {
            return self.message(side, 0, bytes, notes);
        }
        let Some((kind, length)) = frame(bytes) else {
            return match bytes.first() {
                Some(&byte) if Kind(byte).name().is_some() => need(PREFIX),
                _ => Step::Reject(Reject::Other),
            };
        };
        if kind == Kind::MESSAGE {
            self.left[side] = length;
            return self.message(side, PREFIX, bytes, notes);
        }
        let whole = PREFIX.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
        let fits = match kind {
            Kind::REQUEST => whole <= PREFIX.saturating_add(MAX_REQUEST),
            Kind::POSITIVE | Kind::KEEPALIVE => length == 0,
            Kind::NEGATIVE => length == 1,
            Kind::RETARGET => length == 6,
            _ => false,
        };
        if !fits {
            return Step::Reject(Reject::Invalid("length"));
        }
        let Some(body) = bytes.get(PREFIX..whole) else {
            return need(whole);
        };
        if let Err(reject) = control(side, kind, body, notes) {
            return Step::Reject(reject);
        }
        self.prove(notes);
        skip(0, whole as u64)
    }

    fn held_bytes(&self) -> usize {
        size_of_val(self).saturating_add(self.smb.held_bytes())
    }

    fn resume(&mut self, side: Side, bytes: &[u8]) -> Option<usize> {
        self.left[side] = 0;
        self.smb.lost(side);
        let starts = memmem::find_iter(bytes, SMB_MAGIC)
            .filter_map(|magic| magic.checked_sub(PREFIX.saturating_add(1)));
        starts.into_iter().find(|&start| {
            let rest = bytes.get(start..).unwrap_or_default();
            let body = rest.get(PREFIX..).unwrap_or_default();
            frame(rest).is_some_and(|(kind, length)| {
                kind == Kind::MESSAGE && smb::begins(body, length) == Probe::Yes
            })
        })
    }
}

const fn need(at_least: usize) -> Step {
    Step::NeedMore {
        consumed: 0,
        at_least,
    }
}

const fn skip(consumed: usize, bytes: u64) -> Step {
    Step::Skip { consumed, bytes }
}

impl Session {
    fn prove(&mut self, notes: &mut Notes<'_>) {
        if !std::mem::replace(&mut self.proved, true) {
            notes.proved();
        }
    }

    /// A message, or one of those that are compounded in it, at `start` of `bytes`.
    fn message(&mut self, side: Side, start: usize, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let left = self.left[side];
        let body = bytes.get(start..).unwrap_or_default();
        if left == 0 {
            return skip(start, 0);
        }
        if body.is_empty() {
            return Step::NeedMore {
                consumed: start,
                at_least: 1,
            };
        }
        let there = usize::try_from(left).unwrap_or(usize::MAX);
        let body = body.get(..there).unwrap_or(body);
        match self.smb.unit(body, left, &mut notes.inside(smb::NAME)) {
            Unit::Unsure(at_least) => Step::NeedMore {
                consumed: start,
                at_least,
            },
            Unit::Need(at_least) => {
                self.prove(notes);
                Step::NeedMore {
                    consumed: start,
                    at_least,
                }
            }
            Unit::Pass(length) => {
                self.prove(notes);
                self.left[side] = left.saturating_sub(length);
                skip(start, length)
            }
            // Something else of NetBIOS.
            Unit::Foreign if self.proved => {
                self.left[side] = 0;
                skip(start, left)
            }
            Unit::Foreign => {
                self.left[side] = 0;
                Step::Reject(Reject::Other)
            }
        }
    }
}

/// A frame that is no message.
fn control(side: Side, kind: Kind, body: &[u8], notes: &mut Notes<'_>) -> Result<(), Reject> {
    match kind {
        Kind::REQUEST => {
            let mut names = Cursor::new(body);
            let (called, calling) = (decoded(&mut names)?, decoded(&mut names)?);
            notes.text(CALLED, &called);
            notes.text(CALLING, &calling);
            notes.client(side);
        }
        Kind::POSITIVE | Kind::RETARGET => {
            notes.text(ANSWER, &kind.to_string());
            notes.client(side.other());
        }
        Kind::NEGATIVE => {
            let reason = body.first().copied().unwrap_or_default();
            notes.text(ANSWER, &Refusal(reason).to_string());
            notes.client(side.other());
        }
        _ => {}
    }
    Ok(())
}

/// A name in the first-level encoding of RFC 1001 14.1: two letters for each byte, fifteen of the name and a suffix.
fn decoded(cursor: &mut Cursor<'_>) -> Result<String, Reject> {
    if cursor.u8()? != 0x20 {
        return Err(Reject::Invalid("name"));
    }
    let letters = *cursor.array::<32>()?;
    let mut name = Vec::new();
    for &[high, low] in letters.as_chunks::<2>().0 {
        match (high.wrapping_sub(b'A'), low.wrapping_sub(b'A')) {
            (high @ 0..16, low @ 0..16) => name.push(high << 4 | low),
            _ => return Err(Reject::Invalid("name")),
        }
    }
    // The scope, label by label.
    loop {
        match cursor.u8()? {
            0 => break,
            length @ 1..64 => cursor.skip(usize::from(length))?,
            _ => return Err(Reject::Invalid("name")),
        }
    }
    let suffix = name.pop().unwrap_or_default();
    let name = String::from_utf8_lossy(&name);
    let name = name.trim_end_matches([' ', '\0']);
    Ok(format!("{name}<{suffix:02x}>"))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    fn encoded(name: &[u8; 16]) -> Vec<u8> {
        let mut bytes = vec![0x20];
        bytes.extend(
            name.iter()
                .flat_map(|byte| [b'A' + (byte >> 4), b'A' + (byte & 15)]),
        );
        bytes.push(0);
        bytes
    }

    fn request() -> Vec<u8> {
        let mut bytes = vec![0x81, 0, 0, 68];
        bytes.extend(encoded(b"FS1            \x20"));
        bytes.extend(encoded(b"PC7            \x00"));
        bytes
    }

    const NEGATIVE: &[u8] = &[0x83, 0, 0, 1, 0x82];

    #[test]
    fn a_call_and_its_answer_are_read() {
        let request = request();
        let segments = [(CLIENT, &request[..]), (SERVER, &[0x82, 0, 0, 0])];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["netbios_ssn"]);
        assert_eq!(values(&recorder, "netbios_ssn", "called"), ["FS1<20>"]);
        assert_eq!(values(&recorder, "netbios_ssn", "calling"), ["PC7<00>"]);
        assert_eq!(values(&recorder, "netbios_ssn", "answer"), ["positive"]);
        assert_eq!(recorder.client, Some(CLIENT));
        only_registered_attributes(&recorder, &[&NETBIOS_SSN]);
        survives_every_cut(&segments);
    }

    #[test]
    fn a_refusal_alone_proves_it_whatever_was_sent_before() {
        let recorder = conversation(&[(CLIENT, b"\x01\x02\x03\x04"), (SERVER, NEGATIVE)]);
        assert_eq!(protocols(&recorder), ["netbios_ssn"]);
        assert_eq!(
            values(&recorder, "netbios_ssn", "answer"),
            ["called name not present"]
        );
        assert_eq!(recorder.client, Some(CLIENT));
        let longer = [NEGATIVE, b"x"].concat();
        assert!(protocols(&conversation(&[(SERVER, &longer)])).is_empty());
    }

    #[test]
    fn a_session_goes_on_after_a_gap() {
        let echo = [
            &[0, 0, 0, 39][..],
            b"\xffSMB\x2b\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            &[1, 1, 0, 2, 0, 0, 0],
        ]
        .concat();
        let mut session = Session::default();
        assert_eq!(
            session.resume(CLIENT, &[b"tail of a file", &echo[..]].concat()),
            Some(14)
        );
        assert_eq!(session.resume(CLIENT, b"nothing of SMB here"), None);
        assert_eq!(
            protocols(&midstream(&[(SERVER, &echo)])),
            ["netbios_ssn", "smb"]
        );
    }

    #[test]
    fn what_only_looks_like_a_frame_is_none() {
        let mut request = request();
        request[10] = b'Q';
        for other in [
            &request[..],
            &[0x85, 0, 0, 0],
            &[0x82, 0, 0, 0],
            &[0x83, 0, 0, 1, 0x7f],
            &[0, 0, 0, 2, 1, 2],
            &[0],
        ] {
            assert!(
                protocols(&conversation(&[(CLIENT, other)])).is_empty(),
                "{other:?}"
            );
        }
    }

    #[test]
    fn a_retargeted_call_is_said_so() {
        let request = request();
        let answer = [0x84, 0, 0, 6, 10, 0, 0, 9, 0, 139];
        let recorder = conversation(&[(CLIENT, &request), (SERVER, &answer)]);
        assert_eq!(values(&recorder, "netbios_ssn", "answer"), ["retarget"]);
    }
}
