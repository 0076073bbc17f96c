//! Elasticsearch and OpenSearch transport (elastic/elasticsearch, `TcpHeader`): what nodes of a search cluster speak.
//!
//! Reads the header of each message; actions and documents are never looked at. Proof is a header: its mark, a length, known
//! bits of status and a version that exists. The ping is proof only with one of them.

use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;

/// Version of the sender's transport: `6.8.0`.
const VERSION: &str = "version";

/// Search clusters.
pub(super) const ELASTICSEARCH: Protocol = Protocol {
    name: "elasticsearch",
    about: About {
        title: "Elasticsearch transport",
        sources: "Elasticsearch source, TcpHeader and TcpTransport",
        reads: "The version of each sender.",
        proves: "A header with its mark, a length, known bits of status and a version that exists.",
        limits: "Actions and documents are not looked at; the interface for users is HTTP.",
    },
    attributes: &[VERSION],
    stream: Some(StreamEntry {
        first_byte: |byte| byte == b'E',
        probe,
        start: || Box::new(Messages),
    }),
    datagram: None,
};

const MARK: &[u8; 2] = b"ES";
/// Number, status and version, which the length counts.
const COUNTED: u32 = 13;
/// A node refuses what would fill most of its memory; none has so much.
const MAX_LENGTH: u32 = 1 << 30;
/// Length of a ping, which has nothing behind it.
const PING: u32 = u32::MAX;
/// Answer, error, compressed, handshake.
const STATUS: u8 = 0x0f;
/// Versions are two decimal digits each for minor, patch and build; 2.0 to 9.
const VERSIONS: std::ops::Range<u32> = 2_000_000..10_000_000;

/// Version and octets left of a message, or nothing of a ping.
fn header(cursor: &mut Cursor<'_>) -> Result<Option<(u32, u32)>, Reject> {
    if cursor.array()? != MARK {
        return Err(Reject::Other);
    }
    let length = cursor.u32()?;
    if length == PING {
        return Ok(None);
    }
    let (_number, status, version) = (cursor.u64()?, cursor.u8()?, cursor.u32()?);
    let is_version = VERSIONS.contains(&version) || version >> 27 == 1;
    if !(COUNTED..=MAX_LENGTH).contains(&length) || status & !STATUS != 0 || !is_version {
        return Err(Reject::Invalid("length, status or version"));
    }
    Ok(Some((version, length.saturating_sub(COUNTED))))
}

fn probe(opening: &Opening<'_>) -> Probe {
    opening.either(|bytes| match header(&mut Cursor::new(bytes)) {
        Ok(None) => Probe::More,
        read => Probe::of(read),
    })
}

/// All messages of one connection.
struct Messages;

impl StreamDecoder for Messages {
    fn data(&mut self, _side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let mut cursor = Cursor::new(bytes);
        match header(&mut cursor) {
            Ok(message) => {
                if let Some((version, _)) = message {
                    notes.proved();
                    // OpenSearch sets a bit above the digits.
                    let digits = version & 0x07ff_ffff;
                    let part = |unit: u32| digits.checked_div(unit).unwrap_or(0) % 100;
                    let (major, minor, patch) = (part(1_000_000), part(10_000), part(100));
                    notes.text(VERSION, &format!("{major}.{minor}.{patch}"));
                }
                Step::Skip {
                    consumed: cursor.offset(),
                    bytes: message.map_or(0, |(_, rest)| u64::from(rest)),
                }
            }
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

    fn message(status: u8, version: u32) -> Vec<u8> {
        let head = [&MARK[..], &[0, 0, 0, 16], &[0; 7], &[9, status]].concat();
        [&head[..], &version.to_be_bytes(), b"abc"].concat()
    }

    #[test]
    fn versions_are_read() {
        let (asked, answered) = (message(8, 6_080_099), message(9, 0x0800_0000 | 2_110_099));
        let ping = b"ES\xff\xff\xff\xff";
        let segments = [(C, &asked[..]), (S, ping), (S, &answered)];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["elasticsearch"]);
        assert_eq!(
            values(&recorder, "elasticsearch", "version"),
            ["2.11.0", "6.8.0"]
        );
        only_registered_attributes(&recorder, &[&ELASTICSEARCH]);
        survives_every_cut(&segments);
        assert_eq!(protocols(&midstream(&[(S, &answered)])), ["elasticsearch"]);
    }

    #[test]
    fn pings_alone_and_other_headers_are_refused() {
        for other in [
            &b"ES\xff\xff\xff\xff"[..],
            &message(0x10, 6_080_099),
            &message(0, 1_000_000),
            &message(0, 10_000_000),
            b"ESMTP",
        ] {
            assert!(protocols(&conversation(&[(C, other)])).is_empty());
        }
    }
}
