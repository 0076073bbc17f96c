//! X Window System (X11 protocol, release 6.9, section 8): the setup of a connection.
//!
//! Reads the client's setup and the server's answer; authorization data is not kept, and nothing after is looked at. Proof is
//! the client's setup: byte order, the version that never changed, unused octets of zero and a named authorization.

use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;

/// Name of the authorization protocol, `none` where there is none.
const AUTH_MECHANISM: &str = "auth_mechanism";
/// `ok`, `failed` or `continued`.
const AUTH_RESULT: &str = "auth_result";

/// Windows over the network.
pub(super) const X11: Protocol = Protocol {
    name: "x11",
    about: About {
        title: "X Window System",
        sources: "X Window System Protocol, section 8",
        reads: "The authorization that a client shows by name, and the server's answer.",
        proves: "A client's setup: byte order, version 11.0, unused octets of zero and lengths that go together.",
        limits: "A connection without its setup is not known; requests and events are not looked at.",
    },
    attributes: &[AUTH_MECHANISM, AUTH_RESULT],
    stream: Some(StreamEntry {
        // A server alone proves nothing, and is asked for with its client.
        first_byte: |byte| matches!(byte, LITTLE | BIG),
        probe,
        start: || Box::<Connection>::default(),
    }),
    datagram: None,
};

const LITTLE: u8 = b'l';
const BIG: u8 = b'B';
/// Longest name and data of an authorization that are waited for.
const MAX_AUTHORIZATION: u16 = 256;

struct Setup<'a> {
    name: &'a [u8],
    /// Octets of authorization data, with padding.
    rest: u64,
}

impl<'a> Setup<'a> {
    fn parse(cursor: &mut Cursor<'a>) -> Result<Self, Reject> {
        let number: fn([u8; 2]) -> u16 = match cursor.u8()? {
            LITTLE => u16::from_le_bytes,
            BIG => u16::from_be_bytes,
            _ => return Err(Reject::Other),
        };
        if cursor.u8()? != 0 {
            return Err(Reject::Other);
        }
        let version = [number(*cursor.array()?), number(*cursor.array()?)];
        let (name, data) = (number(*cursor.array()?), number(*cursor.array()?));
        let unused = cursor.u16()?;
        let is_sane = name <= MAX_AUTHORIZATION && data <= MAX_AUTHORIZATION;
        // Data without a name would be for nobody.
        if version != [11, 0] || unused != 0 || !is_sane || (name == 0 && data != 0) {
            return Err(Reject::Invalid("version or authorization"));
        }
        let name = cursor.take(usize::from(name))?;
        if !name.iter().all(u8::is_ascii_graphic) {
            return Err(Reject::Invalid("name of the authorization"));
        }
        let padding = name.len().wrapping_neg() & 3;
        let data = usize::from(data).next_multiple_of(4);
        Ok(Self {
            name,
            rest: padding.saturating_add(data) as u64,
        })
    }
}

fn probe(opening: &Opening<'_>) -> Probe {
    opening.either(|bytes| Probe::of(Setup::parse(&mut Cursor::new(bytes))))
}

/// One connection.
#[derive(Default)]
struct Connection {
    client: Option<Side>,
}

impl StreamDecoder for Connection {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        if self.client.is_some_and(|client| client != side) {
            let result = match bytes.first() {
                Some(0) => "failed",
                Some(1) => "ok",
                _ => "continued",
            };
            notes.text(AUTH_RESULT, result);
            return Step::Done;
        }
        if self.client.is_some() {
            return Step::Consumed;
        }
        let mut cursor = Cursor::new(bytes);
        match Setup::parse(&mut cursor) {
            Ok(setup) => {
                self.client = Some(side);
                notes.proved();
                notes.client(side);
                notes.bytes(
                    AUTH_MECHANISM,
                    if setup.name.is_empty() {
                        b"none"
                    } else {
                        setup.name
                    },
                );
                Step::Skip {
                    consumed: cursor.offset(),
                    bytes: setup.rest,
                }
            }
            Err(reject) => reject.into_step(0, bytes.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT as C, SERVER as S, conversation, only_registered_attributes, protocols,
        survives_every_cut, values,
    };
    use super::*;

    const SETUP: &[u8] = b"l\0\x0b\0\0\0\x12\0\x10\0\0\0MIT-MAGIC-COOKIE-1\0\0secretsecretsecr";

    #[test]
    fn the_authorization_is_named_and_its_data_is_not_kept() {
        let segments = [(C, SETUP), (S, &[1, 0, 11, 0, 0, 0, 2, 0][..])];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["x11"]);
        assert_eq!(recorder.client, Some(C));
        assert_eq!(
            values(&recorder, "x11", "auth_mechanism"),
            ["MIT-MAGIC-COOKIE-1"]
        );
        assert_eq!(values(&recorder, "x11", "auth_result"), ["ok"]);
        assert!(!format!("{:?}", recorder.facts).contains("secret"));
        only_registered_attributes(&recorder, &[&X11]);
        survives_every_cut(&segments);
    }

    #[test]
    fn a_client_without_authorization_is_refused_or_not() {
        for (byte, result) in [(0, "failed"), (2, "continued")] {
            let setup = [BIG, 0, 0, 11, 0, 0, 0, 0, 0, 0, 0, 0];
            let recorder = conversation(&[(C, &setup), (S, &[byte])]);
            assert_eq!(values(&recorder, "x11", "auth_mechanism"), ["none"]);
            assert_eq!(values(&recorder, "x11", "auth_result"), [result]);
        }
    }

    #[test]
    fn other_versions_and_lengths_are_refused() {
        for other in [
            &b"l\0\x0a\0\0\0\0\0\0\0\0\0"[..],
            b"l\0\x0b\0\0\0\0\0\0\0\x01\0",
            b"l\0\x0b\0\0\0\0\0\x10\0\0\0",
            b"l\0\x0b\0\0\0\0\x10\0\0\0\0",
            b"l\0\0\x0b\0\0\0\0\0\0\0\0",
            b"l\0\x0b\0\0\0\x02\0\0\0\0\0\x01\x02",
            b"login: ",
        ] {
            assert!(protocols(&conversation(&[(C, other)])).is_empty());
        }
    }
}
