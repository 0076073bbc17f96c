//! The identification protocol (RFC 1413): who owns the other end of a connection.
//!
//! Proves: a pair of ports that is asked for, and an answer that repeats it with a word of the protocol. Names of users are
//! never kept.

use super::{About, Opening, Probe, Protocol, Step, StreamDecoder, StreamEntry, text};
use crate::evidence::Notes;
use crate::net::Side;

/// `USERID`, or the error that was answered: `NO-USER`, `HIDDEN-USER` ...
const ANSWER: &str = "answer";
/// The operating system that the answer names.
const SYSTEM: &str = "system";

pub(super) const IDENT: Protocol = Protocol {
    name: "ident",
    about: About {
        title: "Identification Protocol",
        sources: "RFC 1413",
        reads: "The kind of the answer and the operating system in it.",
        proves: "A pair of ports, and an answer that repeats it with a word of the protocol.",
        limits: "The user is not kept; a question without its answer proves nothing.",
    },
    attributes: &[ANSWER, SYSTEM],
    stream: Some(StreamEntry {
        first_byte: |byte| byte.is_ascii_digit() || byte == b' ',
        probe,
        start: || Box::new(Connection),
    }),
    datagram: None,
};

/// Longest line, RFC 1413 section 6.
const MAX_LINE: usize = 1000;
/// Errors of RFC 1413 section 4.
const ERRORS: [&str; 4] = ["INVALID-PORT", "NO-USER", "HIDDEN-USER", "UNKNOWN-ERROR"];

/// `port , port`, both of them real.
fn ports(text: &[u8]) -> Option<(u16, u16)> {
    let mut parts = text.split(|&byte| byte == b',');
    let mut next = || -> Option<u16> {
        let port = parts.next()?.trim_ascii();
        std::str::from_utf8(port)
            .ok()?
            .parse()
            .ok()
            .filter(|port| *port != 0)
    };
    let pair = (next()?, next()?);
    parts.next().is_none().then_some(pair)
}

/// An answer: its ports, its kind, and the system that it names.
fn answer(line: &[u8]) -> Option<((u16, u16), &'static str, &[u8])> {
    let mut parts = line.splitn(4, |&byte| byte == b':').map(<[u8]>::trim_ascii);
    let pair = ports(parts.next()?)?;
    let kind = parts.next()?;
    let word = parts.next()?;
    if kind.eq_ignore_ascii_case(b"USERID") {
        let system = word.split(|&byte| byte == b',').next().unwrap_or_default();
        parts.next()?;
        let is_system = !system.is_empty() && system.iter().all(u8::is_ascii_graphic);
        return is_system.then_some((pair, "USERID", system));
    }
    let is_it = |error: &&&str| error.as_bytes().eq_ignore_ascii_case(word);
    let error = ERRORS.iter().find(is_it)?;
    kind.eq_ignore_ascii_case(b"ERROR")
        .then_some((pair, error, &[]))
}

fn probe(opening: &Opening<'_>) -> Probe {
    let (spoken, reply) = (opening.spoken(), opening.reply());
    let Some((asked, length)) = text::first_line(spoken) else {
        let is_begun = |byte: &u8| byte.is_ascii_digit() || b", ".contains(byte);
        let may = spoken.len() < 32 && spoken.iter().all(is_begun) && reply.is_empty();
        return if may { Probe::More } else { Probe::No };
    };
    let Some(pair) = ports(asked).filter(|_| length == spoken.len()) else {
        return Probe::No;
    };
    match text::first_line(reply) {
        Some((line, _)) if answer(line).is_some_and(|(answered, ..)| answered == pair) => {
            Probe::Yes
        }
        None if reply.len() < MAX_LINE && text::is_plain(text::trimmed(reply)) => Probe::More,
        _ => Probe::No,
    }
}

struct Connection;

impl StreamDecoder for Connection {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let Some((line, length)) = text::first_line(bytes) else {
            if bytes.len() > MAX_LINE {
                return Step::Done;
            }
            return Step::NeedMore {
                consumed: 0,
                at_least: bytes.len().saturating_add(1),
            };
        };
        if let Some((_, kind, system)) = answer(line) {
            notes.proved();
            notes.client(side.other());
            notes.text(ANSWER, kind);
            notes.bytes(SYSTEM, system);
            return Step::Done;
        }
        Step::Skip {
            consumed: length,
            bytes: 0,
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

    #[test]
    fn an_answer_to_a_pair_of_ports_is_read_without_its_user() {
        let segments: [(Side, &[u8]); 2] = [
            (CLIENT, b"6193, 23\r\n"),
            (SERVER, b"6193, 23 : USERID : UNIX : anna\r\n"),
        ];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["ident"]);
        assert_eq!(values(&recorder, "ident", "answer"), ["USERID"]);
        assert_eq!(values(&recorder, "ident", "system"), ["UNIX"]);
        assert_eq!(recorder.client, Some(CLIENT));
        only_registered_attributes(&recorder, &[&IDENT]);
        survives_every_cut(&segments);
        let refused = conversation(&[
            (CLIENT, b"6193,23\r\n"),
            (SERVER, b"6193,23:ERROR:HIDDEN-USER\r\n"),
        ]);
        assert_eq!(values(&refused, "ident", ANSWER), ["HIDDEN-USER"]);
    }

    #[test]
    fn other_answers_are_not_ident() {
        let answers: [&[u8]; 4] = [
            b"6193, 24 : USERID : UNIX : anna\r\n",
            b"6193, 23 : USERID : UNIX\r\n",
            b"6193, 23 : ERROR : STRANGE\r\n",
            b"200 ok\r\n",
        ];
        for answer in answers {
            let recorder = conversation(&[(CLIENT, b"6193, 23\r\n"), (SERVER, answer)]);
            assert!(protocols(&recorder).is_empty(), "{}", answer.escape_ascii());
        }
        assert!(protocols(&conversation(&[(CLIENT, b"6193, 23\r\n")])).is_empty());
    }
}
