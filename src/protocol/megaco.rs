//! Megaco, the text form of H.248.1 (RFC 3525 annex B): how a controller directs media gateways, over UDP.
//!
//! Reads the version and the kind of the first transaction; terminations and media inside are not read. Proof is a version and
//! the sender's name in its brackets, followed by a transaction.

use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject};
use crate::evidence::Notes;

/// Version of the message.
const VERSION: &str = "version";
/// `transaction`, `reply`, `pending`, `acknowledgement` or `error`.
const MESSAGE: &str = "message";

/// Media gateways.
pub(super) const MEGACO: Protocol = Protocol {
    name: "megaco",
    about: About {
        title: "Gateway control (H.248, Megaco), text",
        sources: "RFC 3525 annex B",
        reads: "The version and the kind of the first transaction.",
        proves: "A version and the sender's name in its brackets, followed by a transaction.",
        limits: "Terminations and media are not read; the binary form and TCP are not known.",
    },
    attributes: &[VERSION, MESSAGE],
    stream: None,
    datagram: Some(DatagramEntry {
        first_byte: |byte| matches!(byte, b'!' | b'M' | b'm'),
        start: || Box::new(Messages),
    }),
};

/// Words that begin a body, long and short.
const BODIES: [(&[u8], &[u8], &str); 5] = [
    (b"TRANSACTION", b"T", "transaction"),
    (b"REPLY", b"P", "reply"),
    (b"PENDING", b"PN", "pending"),
    (b"TRANSACTIONRESPONSEACK", b"K", "acknowledgement"),
    (b"ERROR", b"ER", "error"),
];
/// A name of a sender is shorter.
const MAX_NAME: usize = 256;

struct Messages;

impl DatagramDecoder for Messages {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let (version, message) = parse(datagram.bytes).ok_or(Reject::Other)?;
        notes.proved();
        notes.number(VERSION, u64::from(version));
        notes.text(MESSAGE, message);
        Ok(())
    }
}

fn parse(text: &[u8]) -> Option<(u8, &'static str)> {
    let rest = match text.strip_prefix(b"!/") {
        Some(rest) => rest,
        None => {
            let (word, rest) = text.split_at_checked(7)?;
            word.eq_ignore_ascii_case(b"MEGACO/").then_some(rest)?
        }
    };
    let (version, rest) = rest.split_first()?;
    let version = version
        .checked_sub(b'0')
        .filter(|number| (1..=4).contains(number))?;
    let name = spaces(rest).filter(|name| name.len() < rest.len())?;
    let close = match name.first()? {
        b'[' => b']',
        b'<' => b'>',
        _ => return None,
    };
    let end = memchr::memchr(close, name.get(..MAX_NAME.min(name.len()))?)?;
    // A port may follow the brackets.
    let rest = name.get(end..)?.get(1..)?;
    let begin = rest.iter().position(|byte| byte.is_ascii_whitespace())?;
    let port = rest.get(..begin)?;
    let is_port = |port: &[u8]| port.iter().all(u8::is_ascii_digit);
    if !port.is_empty() && !port.strip_prefix(b":").is_some_and(is_port) {
        return None;
    }
    let body = spaces(rest.get(begin..)?)?;
    let end = body.iter().position(|byte| !byte.is_ascii_alphabetic())?;
    let (word, rest) = body.split_at_checked(end)?;
    let sign = *spaces(rest)?.first()?;
    if !matches!(sign, b'=' | b'{') {
        return None;
    }
    let is_word = |(long, short, _): &&(&[u8], &[u8], _)| {
        word.eq_ignore_ascii_case(long) || word.eq_ignore_ascii_case(short)
    };
    BODIES
        .iter()
        .find(is_word)
        .map(|(.., name)| (version, *name))
}

/// What is left behind white space.
fn spaces(text: &[u8]) -> Option<&[u8]> {
    let begin = text.iter().position(|byte| !byte.is_ascii_whitespace())?;
    text.get(begin..)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{CLIENT, datagrams, only_registered_attributes, protocols, values};
    use super::*;

    #[test]
    fn long_and_short_words_are_read() {
        for (text, message) in [
            (&b"!/1 <mgc>\nT=5{C=-{AV=DS/1{AT{M}}}}"[..], "transaction"),
            (
                b"MEGACO/3 [192.0.2.1]:2944 Reply = 5 { Context = 1 }",
                "reply",
            ),
            (b"!/2 [192.0.2.1]:2944\r\nPN=5{}", "pending"),
            (b"!/1 <gw> K{5}", "acknowledgement"),
            (b"!/1 <gw> ER=403{}", "error"),
        ] {
            let recorder = datagrams(&[(CLIENT, text)]);
            assert_eq!(protocols(&recorder), ["megaco"]);
            assert_eq!(values(&recorder, "megaco", "message"), [message]);
            assert_eq!(values(&recorder, "megaco", "version").len(), 1);
            only_registered_attributes(&recorder, &[&MEGACO]);
            for length in 0..text.len() {
                datagrams(&[(CLIENT, &text[..length])]);
            }
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            &b"!/0 <mgc> T=5{"[..],
            b"!/1<mgc> T=5{",
            b"!/1 mgc T=5{",
            b"!/1 <mgc T=5{",
            b"!/1 <mgc>:x T=5{",
            b"!/1 <mgc> X=5{",
            b"!/1 <mgc> T 5",
            b"MEGACO 1 <mgc> T=5{",
        ] {
            assert!(protocols(&datagrams(&[(CLIENT, text)])).is_empty());
        }
    }
}
