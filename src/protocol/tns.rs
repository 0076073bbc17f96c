//! Oracle Net (TNS): which database service a client asks for, and whether it is let in.
//!
//! Oracle publishes no specification; header and connect packet are as commonly understood. Proof is a connect packet: no
//! checksums, a version that exists, and a description that ends where the packet does.

use memchr::memmem;

use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;

/// Service or instance that the client asks for.
const SERVICE: &str = "service";
/// `accepted`, `refused` or `redirected`.
const RESULT: &str = "result";

/// Oracle database.
pub(super) const TNS: Protocol = Protocol {
    name: "tns",
    about: About {
        title: "Oracle Net (Transparent Network Substrate)",
        sources: "No public specification; the connect packet as commonly understood",
        reads: "The service that is asked for, and the listener's answer.",
        proves: "A connect packet without checksums, with a version that exists and a description that ends where the packet does.",
        limits: "Users, hosts and programs are not kept; nothing behind the answer is read.",
    },
    attributes: &[SERVICE, RESULT],
    stream: Some(StreamEntry {
        // The higher octet of a packet's length, of which a connect packet has few.
        first_byte: |byte| byte < 0x10,
        probe,
        start: || Box::<Connection>::default(),
    }),
    datagram: None,
};

const HEADER: usize = 8;
const CONNECT: u8 = 1;
/// Fixed part of a connect packet, with the header.
const MIN_CONNECT: usize = 34;
/// Versions in use: Oracle 7 to what may follow 23.
const VERSIONS: std::ops::RangeInclusive<u16> = 300..=340;
/// Names in a description are shorter.
const MAX_SERVICE: usize = 128;

/// Type and length of a packet.
fn header(cursor: &mut Cursor<'_>) -> Result<(u8, usize), Reject> {
    let (length, checksum) = (usize::from(cursor.u16()?), cursor.u16()?);
    let (kind, _flags, header_checksum) = (cursor.u8()?, cursor.u8()?, cursor.u16()?);
    if length < HEADER || checksum != 0 || header_checksum != 0 || !(1..=19).contains(&kind) {
        return Err(Reject::Other);
    }
    Ok((kind, length))
}

/// The description in a connect packet, as far as it is in there.
fn connect<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], Reject> {
    let (kind, length) = header(cursor)?;
    if kind != CONNECT || length < MIN_CONNECT {
        return Err(Reject::Other);
    }
    let (version, compatible) = (cursor.u16()?, cursor.u16()?);
    if !VERSIONS.contains(&version) || !VERSIONS.contains(&compatible) || compatible > version {
        return Err(Reject::Invalid("version"));
    }
    // Options, sizes of units, characteristics, turns, the value of one.
    cursor.skip(12)?;
    let (size, offset) = (usize::from(cursor.u16()?), usize::from(cursor.u16()?));
    let end = offset.saturating_add(size);
    // A long description comes in the next packet.
    if offset < MIN_CONNECT || (end != length && offset != length) {
        return Err(Reject::Invalid("place of the description"));
    }
    let rest = cursor.take(length.saturating_sub(cursor.offset()))?;
    let before = offset.saturating_sub(length.saturating_sub(rest.len()));
    Ok(rest.get(before..).unwrap_or_default())
}

fn probe(opening: &Opening<'_>) -> Probe {
    opening.either(|bytes| Probe::of(connect(&mut Cursor::new(bytes))))
}

/// The value of a parameter in a description.
fn parameter<'a>(description: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let upper = description.to_ascii_uppercase();
    let at = memmem::find(&upper, name)?.checked_add(name.len())?;
    let value = description.get(at..)?;
    let end = memchr::memchr(b')', value)?;
    value.get(..end).filter(|value| value.len() <= MAX_SERVICE)
}

/// One connection.
#[derive(Default)]
struct Connection {
    client: Option<Side>,
}

impl Connection {
    fn read(
        &mut self,
        side: Side,
        cursor: &mut Cursor<'_>,
        notes: &mut Notes<'_>,
    ) -> Result<Step, Reject> {
        if self.client.is_some_and(|client| client != side) {
            let result = match header(cursor)?.0 {
                2 => "accepted",
                4 => "refused",
                5 => "redirected",
                // The client shall say it again.
                11 => {
                    return Ok(Step::Skip {
                        consumed: cursor.offset(),
                        bytes: 0,
                    });
                }
                _ => return Ok(Step::Done),
            };
            notes.text(RESULT, result);
            return Ok(Step::Done);
        }
        if self.client.is_some() {
            // The description again, or by itself.
            let (_, length) = header(cursor)?;
            return Ok(Step::Skip {
                consumed: HEADER,
                bytes: length.saturating_sub(HEADER) as u64,
            });
        }
        let description = connect(cursor)?;
        self.client = Some(side);
        notes.proved();
        notes.client(side);
        let service =
            parameter(description, b"(SERVICE_NAME=").or_else(|| parameter(description, b"(SID="));
        notes.bytes(SERVICE, service.unwrap_or_default());
        Ok(Step::Skip {
            consumed: cursor.offset(),
            bytes: 0,
        })
    }
}

impl StreamDecoder for Connection {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        self.read(side, &mut Cursor::new(bytes), notes)
            .unwrap_or_else(|reject| reject.into_step(0, bytes.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT as C, SERVER as S, conversation, only_registered_attributes, protocols,
        survives_every_cut, values,
    };
    use super::*;

    fn connect(version: u16, description: &str) -> Vec<u8> {
        let size = u8::try_from(description.len()).unwrap();
        let head = [0, 34 + size, 0, 0, CONNECT, 0, 0, 0];
        let place = [0, size, 0, 34, 0, 0, 0, 0, 0, 0];
        [
            &head[..],
            &version.to_be_bytes(),
            &300_u16.to_be_bytes(),
            &[0; 12],
            &place[..4],
            &place[4..],
            description.as_bytes(),
        ]
        .concat()
    }

    const DESCRIPTION: &str = "(DESCRIPTION=(CONNECT_DATA=(service_name=orcl.x)(CID=(USER=joe))))";

    fn with_length(mut bytes: Vec<u8>) -> Vec<u8> {
        bytes[1] = u8::try_from(bytes.len()).unwrap();
        bytes
    }

    #[test]
    fn the_service_and_the_answer_are_read_and_no_user() {
        let connect = with_length(connect(318, DESCRIPTION));
        for (kind, result) in [(2, "accepted"), (4, "refused"), (5, "redirected")] {
            let answer = [0, 10, 0, 0, kind, 0, 0, 0, 1, 2];
            let segments = [
                (C, &connect[..]),
                (S, &[0, 8, 0, 0, 11, 0, 0, 0]),
                (C, &connect),
                (S, &answer),
            ];
            let recorder = conversation(&segments);
            assert_eq!(protocols(&recorder), ["tns"]);
            assert_eq!(recorder.client, Some(C));
            assert_eq!(values(&recorder, "tns", "service"), ["orcl.x"]);
            assert_eq!(values(&recorder, "tns", "result"), [result]);
            assert!(!format!("{:?}", recorder.facts).contains("joe"));
            only_registered_attributes(&recorder, &[&TNS]);
            survives_every_cut(&segments);
        }
    }

    #[test]
    fn other_versions_checksums_and_places_are_refused() {
        let whole = with_length(connect(318, DESCRIPTION));
        for (at, value) in [(2, 1), (4, 2), (6, 1), (8, 2), (27, 20), (25, 1)] {
            let mut other = whole.clone();
            other[at] = value;
            assert!(protocols(&conversation(&[(C, &other)])).is_empty());
        }
    }
}
