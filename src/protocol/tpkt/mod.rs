//! ISO transport over TCP: packets of TPKT (RFC 1006, RFC 2126) that carry units of X.224, and what is known to ride on them:
//! RDP, T.125, S7 communication, X.400.
//!
//! A stream of packets whose lengths agree in both layers proves it, also from the middle. Users of the header of TPKT alone
//! (H.225.0, H.245) have decoders of their own. Messages are put together only until the protocol on top is known; what
//! follows is passed over. The names of endpoints (TSAPs) are noted, user data never.

mod tpdu;

pub(super) use tpdu::packet;

use std::fmt::Write as _;

use tpdu::{Tpdu, Unit};

use super::{
    About, Next, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry, rdp, s7comm,
    t125, x400,
};
use crate::evidence::Notes;
use crate::net::{PerSide, Side};

/// The calling endpoint: text where it is printable, else hexadecimal digits.
const CALLING_TSAP: &str = "calling_tsap";
/// The called endpoint, in the same form.
const CALLED_TSAP: &str = "called_tsap";
/// Class of transport: 0 or 2.
const CLASS: &str = "class";
/// Reason of a disconnect request (X.224 section 13.5.3).
const DISCONNECT_REASON: &str = "disconnect_reason";

/// ISO transport over TCP.
pub(super) const TPKT: Protocol = Protocol {
    name: "tpkt",
    about: About {
        title: "ISO transport service on top of TCP (TPKT, X.224)",
        sources: "RFC 1006, RFC 2126, ITU-T X.224",
        reads: "Connection requests, confirms and disconnects with their endpoint names; data for RDP, T.125, S7 and X.400.",
        proves: "A TPKT packet whose length agrees with the X.224 unit in it.",
        limits: "H.225.0 and H.245 use the header of TPKT without X.224 and are named as themselves.",
    },
    attributes: &[CALLING_TSAP, CALLED_TSAP, CLASS, DISCONNECT_REASON],
    stream: Some(StreamEntry {
        first_byte: |byte| byte == 3,
        probe,
        start: || Box::<Transport>::default(),
    }),
    datagram: None,
};

/// Octets of a message put together from several units: connection messages of X.400 and of T.125 are smaller, and
/// nothing later is read. Longer ones are looked at by their beginning.
const MAX_MESSAGE: usize = 16 * 1024;
/// Messages of one side that are looked at: whoever has not said by then what it is will not.
const MAX_MESSAGES: u8 = 64;

fn probe(opening: &Opening<'_>) -> Probe {
    opening.either(|bytes| Probe::of(Tpdu::parse(bytes)))
}

/// One connection.
#[derive(Default)]
struct Transport {
    sides: PerSide<Incoming>,
    user: User,
}

/// What one side is in the middle of.
#[derive(Default)]
struct Incoming {
    message: Vec<u8>,
    messages: u8,
}

/// Who rides on the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum User {
    #[default]
    Unknown,
    /// RDP was asked for; other bytes than packets mean that TLS or its own fast path follows.
    Rdp,
    /// The upper layers of OSI.
    Session(x400::Association),
}

impl StreamDecoder for Transport {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let tpdu = match Tpdu::parse(bytes) {
            Ok(tpdu) => tpdu,
            Err(Reject::Short(short)) => {
                return more(bytes, bytes.len().saturating_add(short.missing.max(1)));
            }
            // After RDP's negotiation come records of TLS, or its fast path.
            Err(_) if self.user == User::Rdp => {
                return match bytes {
                    [0x14..=0x17] => more(bytes, 2),
                    [0x14..=0x17, 3, ..] => Step::Handover {
                        consumed: 0,
                        next: Next::Probe,
                    },
                    _ => Step::Done,
                };
            }
            Err(reject) => return Step::Reject(reject),
        };
        notes.proved();
        match tpdu.unit {
            Unit::Connection {
                is_request,
                class,
                variable,
            } => self
                .connection(side, is_request, class, variable, notes)
                .after(tpdu.length),
            Unit::Disconnect { reason } => {
                notes.number(DISCONNECT_REASON, u64::from(reason));
                Then::GoOn.after(tpdu.length)
            }
            Unit::Data { is_last } => {
                let Some(packet) = bytes.get(..tpdu.length) else {
                    return more(bytes, tpdu.length);
                };
                let data = packet.get(tpdu.header..).unwrap_or_default();
                self.message(side, data, is_last, notes).after(tpdu.length)
            }
            Unit::Other => Then::GoOn.after(tpdu.length),
        }
    }

    fn resume(&mut self, side: Side, bytes: &[u8]) -> Option<usize> {
        self.sides[side].message.clear();
        Tpdu::parse(bytes).is_ok().then_some(0)
    }

    fn held_bytes(&self) -> usize {
        let messages = self.sides.iter().map(|(_, side)| side.message.capacity());
        messages.fold(size_of_val(self), usize::saturating_add)
    }
}

/// What follows a unit.
enum Then {
    GoOn,
    Handover,
    Done,
}

impl Then {
    const fn after(self, length: usize) -> Step {
        match self {
            // A step of its own for each unit: a broken one after it takes nothing with it.
            Self::GoOn => Step::Skip {
                consumed: length,
                bytes: 0,
            },
            Self::Handover => Step::Handover {
                consumed: length,
                next: Next::Probe,
            },
            Self::Done => Step::Done,
        }
    }
}

fn more(bytes: &[u8], at_least: usize) -> Step {
    Step::NeedMore {
        consumed: 0,
        at_least: at_least.max(bytes.len().saturating_add(1)),
    }
}

impl Transport {
    fn connection(
        &mut self,
        side: Side,
        is_request: bool,
        class: u8,
        variable: &[u8],
        notes: &mut Notes<'_>,
    ) -> Then {
        notes.client(if is_request { side } else { side.other() });
        notes.number(CLASS, u64::from(class));
        for (code, value) in tpdu::parameters(variable).unwrap_or_default() {
            match code {
                0xc1 => notes.text(CALLING_TSAP, &readable(value)),
                0xc2 => notes.text(CALLED_TSAP, &readable(value)),
                _ => {}
            }
        }
        let is_known = self.user == User::Rdp;
        match rdp::negotiate(
            is_request,
            is_known,
            variable,
            &mut notes.inside(rdp::RDP.name),
        ) {
            rdp::Outcome::Other => Then::GoOn,
            rdp::Outcome::Rdp => {
                self.user = User::Rdp;
                Then::GoOn
            }
            rdp::Outcome::Protected => Then::Handover,
            rdp::Outcome::Refused => Then::Done,
        }
    }

    /// A part of a message arrived. The parts of long messages that nobody reads are forgotten.
    fn message(&mut self, side: Side, data: &[u8], is_last: bool, notes: &mut Notes<'_>) -> Then {
        let mut incoming = std::mem::take(&mut self.sides[side]);
        let then = if is_last && incoming.message.is_empty() {
            self.whole(side, data, &mut incoming.messages, notes)
        } else {
            let room = MAX_MESSAGE.saturating_sub(incoming.message.len());
            let kept = data.get(..room).unwrap_or(data);
            incoming.message.extend_from_slice(kept);
            if is_last {
                let message = std::mem::take(&mut incoming.message);
                self.whole(side, &message, &mut incoming.messages, notes)
            } else {
                Then::GoOn
            }
        };
        self.sides[side] = incoming;
        then
    }

    fn whole(&mut self, side: Side, message: &[u8], count: &mut u8, notes: &mut Notes<'_>) -> Then {
        if message.is_empty() {
            // An acknowledgement of S7: data without data, and without an end.
            return Then::GoOn;
        }
        *count = count.saturating_add(1);
        if *count > MAX_MESSAGES {
            return Then::Done;
        }
        if let User::Session(association) = &mut self.user {
            return match x400::message(association, side, message, notes) {
                x400::Outcome::Open => Then::GoOn,
                x400::Outcome::Settled => Then::Done,
            };
        }
        if let Some(mcs) = t125::message(message) {
            let mut inside = notes.inside(t125::T125.name);
            mcs.note(side, &mut inside);
            if mcs.is_rdp() {
                inside.inside(rdp::RDP.name).proved();
            }
            // Of a conference that was made no more is read; RDP goes on with bytes that are no packets.
            return match mcs.settles() {
                true => Then::Done,
                false => Then::GoOn,
            };
        }
        if self.user == User::Unknown {
            if s7comm::message(message, &mut notes.inside(s7comm::S7COMM.name)) {
                return Then::GoOn;
            }
            let mut association = x400::Association::default();
            if x400::begins(message) {
                let outcome = x400::message(&mut association, side, message, notes);
                self.user = User::Session(association);
                if outcome == x400::Outcome::Settled {
                    return Then::Done;
                }
            }
        }
        Then::GoOn
    }
}

/// A name of an endpoint as it may be shown.
fn readable(name: &[u8]) -> String {
    if !name.is_empty() && name.iter().all(|byte| (0x20..0x7f).contains(byte)) {
        return String::from_utf8_lossy(name).into_owned();
    }
    name.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, conversation, midstream, only_registered_attributes, protocols,
        survives_every_cut, values,
    };
    use super::*;

    /// From 0x0600 to `SIMATIC-ROOT-HMI`, as a panel asks a controller.
    const REQUEST: &[u8] =
        b"\x03\x00\x00\x24\x1f\xe0\x00\x00\x00\x09\x00\xc1\x02\x06\x00\xc2\x10SIMATIC-ROOT-HMI\xc0\x01\x0a";
    const CONFIRM: &[u8] = &[3, 0, 0, 14, 9, 0xd0, 0, 9, 0, 9, 0, 0xc0, 1, 10];
    const DISCONNECT: &[u8] = &[3, 0, 0, 11, 6, 0x80, 0, 9, 0, 9, 128];

    #[test]
    fn endpoints_class_and_reason_are_noted() {
        let segments = [(CLIENT, REQUEST), (SERVER, CONFIRM), (SERVER, DISCONNECT)];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["tpkt"]);
        assert_eq!(values(&recorder, "tpkt", "calling_tsap"), ["0600"]);
        assert_eq!(
            values(&recorder, "tpkt", "called_tsap"),
            ["SIMATIC-ROOT-HMI"]
        );
        assert_eq!(values(&recorder, "tpkt", "class"), ["0", "0"]);
        assert_eq!(values(&recorder, "tpkt", "disconnect_reason"), ["128"]);
        assert_eq!(recorder.client, Some(CLIENT));
        only_registered_attributes(&recorder, &[&TPKT]);
        survives_every_cut(&segments);
    }

    #[test]
    fn data_prove_it_from_the_middle_and_from_their_header() {
        let long = [3, 0, 2, 0, 2, 0xf0, 0x80, 0x72, 3];
        for bytes in [&long[..], &[3, 0, 0, 7, 2, 0xf0, 0]] {
            let recorder = midstream(&[(SERVER, bytes)]);
            assert_eq!(protocols(&recorder), ["tpkt"], "{bytes:02x?}");
        }
    }

    #[test]
    fn a_confirm_with_a_broken_variable_part_is_still_one() {
        let confirm = [
            3, 0, 0, 19, 14, 0xd0, 0, 0, 0x12, 0x34, 0, 2, 3, 0, 0, 1, 0, 0, 2,
        ];
        let recorder = conversation(&[(SERVER, &confirm)]);
        assert_eq!(protocols(&recorder), ["tpkt"]);
        assert!(values(&recorder, "tpkt", "calling_tsap").is_empty());
    }

    #[test]
    fn the_header_of_tpkt_alone_is_no_proof() {
        let q931 = [3, 0, 0, 13, 8, 2, 0, 1, 5, 4, 2, 0x88, 0xc0];
        let rtmp = [3, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3];
        let h245 = [3, 0, 0, 7, 0x21, 0x80, 1];
        for bytes in [&q931[..], &rtmp, &h245] {
            assert!(!protocols(&conversation(&[(CLIENT, bytes)])).contains(&"tpkt"));
        }
    }

    #[test]
    fn a_broken_packet_takes_nothing_from_those_before_it() {
        let bytes = [CONFIRM, &[3, 1, 0, 0, 0, 0, 0, 0]].concat();
        let recorder = conversation(&[(SERVER, &bytes)]);
        assert_eq!(values(&recorder, "tpkt", "class"), ["0"]);
    }
}
