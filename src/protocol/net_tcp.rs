//! .NET message framing (MC-NMF 2.2) over TCP, as WCF services speak it: the service that a client asks for, the
//! upgrade of the stream, and a refusal.
//!
//! Reads the preamble alone; envelopes are never looked at. Proof is the beginning of a preamble: version 1.0, a mode, and
//! a via that is a URI. After an upgrade the stream is that of TLS or NegotiateStream.

use super::negotiate_stream::NNS;
use super::tls::TLS;
use super::{About, Next, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;

/// The URI of the service that the client asks for.
const VIA: &str = "via";
/// `singleton`, `duplex`, `simplex`, `singleton_sized`.
const MODE: &str = "mode";
/// Encoding of the envelopes: `soap12_utf8`, `binary_session`, ... or a content type.
const ENCODING: &str = "encoding";
/// What the stream is upgraded to (a content type), or `none`.
const UPGRADE: &str = "upgrade";
/// Why the server refuses.
const FAULT: &str = "fault";

pub(super) const NET_TCP: Protocol = Protocol {
    name: "net_tcp",
    about: About {
        title: ".NET message framing over TCP",
        sources: "MC-NMF 2.2",
        reads: "The preamble: the service's URI, mode, encoding and upgrade; faults.",
        proves: "Version, mode and a URI at the beginning of a preamble.",
        limits: "Envelopes are not read; a connection without its beginning is not known.",
    },
    attributes: &[VIA, MODE, ENCODING, UPGRADE, FAULT],
    stream: Some(StreamEntry {
        first_byte: |byte| byte == 0,
        probe,
        start: || Box::<Connection>::default(),
    }),
    datagram: None,
};

/// Longest via and longest content type or fault that WCF takes.
const MAX_VIA: usize = 2048;
const MAX_TEXT: usize = 256;
const MODES: [&str; 4] = ["singleton", "duplex", "simplex", "singleton_sized"];
/// Section 2.2.3.4.1.
const ENCODINGS: [&str; 9] = [
    "soap11_utf8",
    "soap11_utf16",
    "soap11_utf16le",
    "soap12_utf8",
    "soap12_utf16",
    "soap12_utf16le",
    "soap12_mtom",
    "soap12_binary",
    "soap12_binary_session",
];

fn probe(opening: &Opening<'_>) -> Probe {
    opening.either(|bytes| Probe::of(preamble(bytes)))
}

/// Version, mode and via.
fn preamble(bytes: &[u8]) -> Result<(), Reject> {
    let mut cursor = Cursor::new(bytes);
    for expected in [0, 1, 0, 1] {
        if cursor.u8()? != expected {
            return Err(Reject::Other);
        }
    }
    let is_mode = matches!(cursor.u8()?, 1..=4);
    if !is_mode || cursor.u8()? != 2 {
        return Err(Reject::Other);
    }
    text(&mut cursor, MAX_VIA).and_then(|via| is_uri(via).then_some(()).ok_or(Reject::Other))
}

/// A scheme, and something of printable characters after it.
fn is_uri(via: &[u8]) -> bool {
    let Some(scheme) = memchr::memmem::find(via, b"://") else {
        return false;
    };
    let is_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-');
    via.get(..scheme)
        .is_some_and(|scheme| !scheme.is_empty() && scheme.iter().all(is_scheme))
        && via.iter().all(u8::is_ascii_graphic)
}

/// A size in groups of seven bits, least first (section 2.2.2), and as many bytes.
fn text<'a>(cursor: &mut Cursor<'a>, most: usize) -> Result<&'a [u8], Reject> {
    let mut size = 0;
    for shift in [0, 7, 14] {
        let byte = cursor.u8()?;
        size |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            if size > most {
                return Err(Reject::Invalid("size"));
            }
            return Ok(cursor.take(size)?);
        }
    }
    Err(Reject::Invalid("size"))
}

/// A record of the preamble.
enum Record<'a> {
    Version,
    Mode(u8),
    Via(&'a [u8]),
    KnownEncoding(u8),
    Encoding(&'a [u8]),
    Fault(&'a [u8]),
    Upgrade(&'a [u8]),
    UpgradeResponse,
    Ack,
    End,
    /// Envelopes and the end of the session.
    Message,
}

impl<'a> Record<'a> {
    fn parse(cursor: &mut Cursor<'a>) -> Result<Self, Reject> {
        Ok(match cursor.u8()? {
            0 => {
                cursor.skip(2)?;
                Self::Version
            }
            1 => Self::Mode(cursor.u8()?),
            2 => Self::Via(text(cursor, MAX_VIA)?),
            3 => Self::KnownEncoding(cursor.u8()?),
            4 => Self::Encoding(text(cursor, MAX_TEXT)?),
            5..=7 => Self::Message,
            8 => Self::Fault(text(cursor, MAX_TEXT)?),
            9 => Self::Upgrade(text(cursor, MAX_TEXT)?),
            10 => Self::UpgradeResponse,
            11 => Self::Ack,
            12 => Self::End,
            _ => return Err(Reject::Invalid("record")),
        })
    }
}

/// One connection.
#[derive(Default)]
struct Connection {
    client: Option<Side>,
    /// What the client asked to upgrade to.
    upgrade: Option<Next>,
    asked: bool,
}

impl StreamDecoder for Connection {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let mut cursor = Cursor::new(bytes);
        loop {
            let consumed = cursor.offset();
            let rest = cursor.len();
            if rest == 0 {
                return Step::Consumed;
            }
            if self.asked && self.client == Some(side) {
                // The answer is not in the capture: the client goes on with what it asked for.
                return self.upgraded(consumed);
            }
            match Record::parse(&mut cursor) {
                Ok(record) => {
                    if let Some(step) = self.record(side, &record, cursor.offset(), notes) {
                        return step;
                    }
                }
                Err(reject) => return reject.into_step(consumed, rest),
            }
        }
    }
}

impl Connection {
    fn record(
        &mut self,
        side: Side,
        record: &Record<'_>,
        end: usize,
        notes: &mut Notes<'_>,
    ) -> Option<Step> {
        match *record {
            Record::Version => {}
            Record::Mode(mode) => {
                let mode = MODES.get(usize::from(mode).saturating_sub(1));
                notes.text(MODE, mode.copied().unwrap_or("unknown"));
            }
            Record::Via(via) => {
                if !is_uri(via) {
                    return Some(Step::Reject(Reject::Invalid("via")));
                }
                notes.proved();
                notes.client(side);
                notes.bytes(VIA, via);
                self.client = Some(side);
            }
            Record::KnownEncoding(encoding) => {
                let encoding = ENCODINGS.get(usize::from(encoding));
                notes.text(ENCODING, encoding.copied().unwrap_or("unknown"));
            }
            Record::Encoding(content_type) => notes.bytes(ENCODING, content_type),
            Record::Upgrade(to) => {
                notes.bytes(UPGRADE, to);
                self.asked = true;
                self.upgrade = match to {
                    b"application/ssl-tls" => Some(Next::Protocol(&TLS)),
                    b"application/negotiate" => Some(Next::Protocol(&NNS)),
                    _ => None,
                };
            }
            Record::UpgradeResponse => return Some(self.upgraded(end)),
            Record::End => notes.text(UPGRADE, "none"),
            Record::Fault(why) => {
                notes.bytes(FAULT, why);
                return Some(Step::Done);
            }
            Record::Ack | Record::Message => return Some(Step::Done),
        }
        None
    }

    fn upgraded(&self, consumed: usize) -> Step {
        match self.upgrade {
            Some(next) => Step::Handover { consumed, next },
            None => Step::Done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::testing::{
        CLIENT as C, SERVER as S, TLS_HELLO, conversation, only_registered_attributes, protocols,
        survives_every_cut, values,
    };

    const VIA_URI: &str = "net.tcp://mx1.example/Microsoft.Exchange.MailboxReplicationService";

    fn named(kind: u8, text: &str) -> Vec<u8> {
        [&[kind, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
    }

    fn preamble() -> Vec<u8> {
        [&[0, 1, 0, 1, 2][..], &named(2, VIA_URI), &[3, 8]].concat()
    }

    #[test]
    fn a_preamble_names_service_mode_and_encoding_and_ends_in_clear() {
        let (preamble, fault) = (
            [&preamble()[..], &[12]].concat(),
            named(8, "http://schemas.example/faults/EndpointNotFound"),
        );
        let segments = [(C, &preamble[..]), (S, &fault)];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["net_tcp"]);
        assert_eq!(recorder.client, Some(C));
        assert_eq!(values(&recorder, "net_tcp", "via"), [VIA_URI]);
        assert_eq!(values(&recorder, "net_tcp", "mode"), ["duplex"]);
        assert_eq!(
            values(&recorder, "net_tcp", "encoding"),
            ["soap12_binary_session"]
        );
        assert_eq!(values(&recorder, "net_tcp", "upgrade"), ["none"]);
        assert_eq!(
            values(&recorder, "net_tcp", "fault"),
            ["http://schemas.example/faults/EndpointNotFound"]
        );
        only_registered_attributes(&recorder, &[&NET_TCP]);
        survives_every_cut(&segments);
    }

    #[test]
    fn an_upgrade_hands_over_to_what_was_asked_for() {
        let hello = TLS_HELLO.to_vec();
        let tls = [preamble(), named(9, "application/ssl-tls")].concat();
        let segments = [(C, &tls[..]), (S, &[10][..]), (C, &hello)];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["net_tcp", "tls"]);
        assert_eq!(
            values(&recorder, "net_tcp", "upgrade"),
            ["application/ssl-tls"]
        );
        survives_every_cut(&segments);
        assert_eq!(
            protocols(&conversation(&[(C, &tls), (C, &hello)])),
            ["net_tcp", "tls"]
        );

        let negotiate = [preamble(), named(9, "application/negotiate")].concat();
        let token =
            b"\x16\x01\x00\x00\x20NTLMSSP\0\x01\0\0\0\x07\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        let segments = [(C, &negotiate[..]), (S, &[10][..]), (C, &token[..])];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["net_tcp", "nns"]);
        assert_eq!(values(&recorder, "nns", "gss_mechanism"), ["ntlm"]);
        survives_every_cut(&segments);
    }

    #[test]
    fn an_unknown_upgrade_ends_what_can_be_read() {
        let other = [preamble(), named(9, "application/other")].concat();
        let recorder = conversation(&[(C, &other), (S, &[10]), (C, &[1, 2, 3])]);
        assert_eq!(protocols(&recorder), ["net_tcp"]);
    }

    #[test]
    fn what_is_no_preamble_is_not_net_tcp() {
        let not_a_uri = [&[0, 1, 0, 1, 2][..], &named(2, "Microsoft.Exchange")].concat();
        let version_2 = [&[0, 2, 0][..], &preamble()[3..]].concat();
        let mode_5 = [&[0, 1, 0, 1, 5][..], &preamble()[5..]].concat();
        for other in [
            &not_a_uri[..],
            &version_2,
            &mode_5,
            &[0, 1, 0, 1, 2, 2, 0xff, 0xff, 0xff],
        ] {
            assert!(protocols(&conversation(&[(C, other)])).is_empty());
        }
    }
}
