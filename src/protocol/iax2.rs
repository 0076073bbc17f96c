//! Inter-Asterisk eXchange version 2 (RFC 5456): calls of another telephony, signalling and voice in one flow.
//!
//! Reads the control messages of full frames; who calls whom is not kept, and voice is passed over. Proof is the first frame of
//! a call, a registration or a poke: numbers that begin at nought, and elements that fill the frame.

use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::open_enum;

/// Control message: `new`, `accept`, `hangup` ...
const MESSAGE: &str = "message";

/// Calls.
pub(super) const IAX2: Protocol = Protocol {
    name: "iax2",
    about: About {
        title: "Inter-Asterisk eXchange",
        sources: "RFC 5456 sections 6 and 8",
        reads: "Control messages.",
        proves: "The first frame of a call, a registration or a poke, with elements that fill it.",
        limits: "Numbers and names of callers are not kept; a call without its beginning is not known; voice is not measured.",
    },
    attributes: &[MESSAGE],
    stream: None,
    datagram: Some(DatagramEntry {
        first_byte: |byte| byte & FULL != 0,
        start: || Box::<Frames>::default(),
    }),
};

/// A full frame, in the highest bit of the sender's call number.
const FULL: u8 = 0x80;
/// The frame type of control messages.
const CONTROL: u8 = 6;
/// The only version, as an element (section 8.6.10).
const VERSION: [u8; 4] = [0x0b, 2, 0, 2];
/// Elements have numbers up to this (section 8.6).
const LAST_ELEMENT: u8 = 0x38;

open_enum! {
    /// Control messages (section 8.4).
    struct Kind(u8) {
        /// A call.
        NEW = 1 => "new",
        /// Is somebody there?
        PING = 2 => "ping",
        /// Yes.
        PONG = 3 => "pong",
        /// Got it.
        ACK = 4 => "ack",
        /// The end.
        HANGUP = 5 => "hangup",
        /// No.
        REJECT = 6 => "reject",
        /// The call is taken.
        ACCEPT = 7 => "accept",
        /// Who are you?
        AUTHREQ = 8 => "authreq",
        /// This one.
        AUTHREP = 9 => "authrep",
        /// No such call.
        INVAL = 10 => "inval",
        /// How long does it take?
        LAGRQ = 11 => "lagrq",
        /// This long.
        LAGRP = 12 => "lagrp",
        /// Here I am.
        REGREQ = 13 => "regreq",
        /// Who are you?
        REGAUTH = 14 => "regauth",
        /// Noted.
        REGACK = 15 => "regack",
        /// No.
        REGREJ = 16 => "regrej",
        /// I go.
        REGREL = 17 => "regrel",
        /// A frame is missing.
        VNAK = 18 => "vnak",
        /// Is a switch there?
        POKE = 30 => "poke",
        /// Say it again with a token.
        CALLTOKEN = 40 => "calltoken",
    }
}

#[derive(Default)]
struct Frames {
    is_known: bool,
}

impl DatagramDecoder for Frames {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let mut cursor = Cursor::new(datagram.bytes);
        let (source, destination) = (cursor.u16()?, cursor.u16()?);
        let time = cursor.u32()?;
        let (sent, received) = (cursor.u8()?, cursor.u8()?);
        let (frame, kind) = (cursor.u8()?, Kind(cursor.u8()?));
        if source & 0x8000 == 0 || frame != CONTROL || kind.name().is_none() {
            return Err(Reject::Other);
        }
        let begins = matches!(kind, Kind::NEW | Kind::REGREQ | Kind::REGREL | Kind::POKE)
            && destination == 0
            && (sent, received) == (0, 0)
            && source & 0x7fff != 0
            && time <= 0xffff;
        if !begins && !self.is_known {
            return Err(Reject::Other);
        }
        // A call begins with the version, and may hold elements of its maker.
        let is_call = begins && kind == Kind::NEW;
        if is_call && *cursor.array()? != VERSION {
            return Err(Reject::Invalid("version"));
        }
        while !cursor.is_empty() {
            let (element, length) = (cursor.u8()?, usize::from(cursor.u8()?));
            if element == 0 || (element > LAST_ELEMENT && !is_call) {
                return Err(Reject::Invalid("element"));
            }
            match cursor.skip(length) {
                Err(_) if datagram.is_cut() => break,
                skipped => skipped?,
            }
        }
        self.is_known = true;
        notes.proved();
        notes.text(MESSAGE, &kind.to_string());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, datagrams, only_registered_attributes, protocols, values,
    };
    use super::*;

    const NEW: &[u8] = &[
        0x80, 4, 0, 0, 0, 0, 0, 1, 0, 0, 6, 1, 11, 2, 0, 2, 2, 3, b'j', b'o', b'e',
    ];
    const ACCEPT: &[u8] = &[0x80, 9, 0, 4, 0, 0, 0, 8, 0, 1, 6, 7];

    #[test]
    fn messages_are_named_and_callers_are_not() {
        let own = [NEW, &[0xff, 1, 7]].concat();
        let recorder = datagrams(&[(CLIENT, &own), (SERVER, ACCEPT)]);
        assert_eq!(protocols(&recorder), ["iax2"]);
        assert_eq!(values(&recorder, "iax2", "message"), ["accept", "new"]);
        assert!(!format!("{:?}", recorder.facts).contains("joe"));
        only_registered_attributes(&recorder, &[&IAX2]);
        for length in 0..NEW.len() {
            datagrams(&[(CLIENT, &NEW[..length])]);
        }
    }

    #[test]
    fn an_answer_alone_and_other_beginnings_are_refused() {
        assert!(protocols(&datagrams(&[(SERVER, ACCEPT)])).is_empty());
        for (at, value) in [
            (0, 0),
            (3, 1),
            (5, 1),
            (8, 1),
            (10, 5),
            (11, 7),
            (12, 0x40),
            (13, 9),
        ] {
            let mut other = NEW.to_vec();
            other[at] = value;
            assert!(protocols(&datagrams(&[(CLIENT, &other)])).is_empty());
        }
    }
}
