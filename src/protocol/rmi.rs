//! Java Remote Method Invocation (Oracle's RMI wire protocol, section 10.2): how a connection begins.
//!
//! Proof is the header of a client, seven bytes that nothing else begins with. Calls are serialized objects and are not read.

use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;

/// Version of the protocol.
const VERSION: &str = "version";
/// `stream`, `single_op` or `multiplex`.
const MODE: &str = "mode";
/// How the server answered: `accepted` or `refused`.
const ANSWER: &str = "answer";

/// Java RMI.
pub(super) const RMI: Protocol = Protocol {
    name: "rmi",
    about: About {
        title: "Java Remote Method Invocation",
        sources: "Java RMI specification, chapter 10",
        reads: "Version and mode of the client's header, and whether the server takes it.",
        proves: "The client's header.",
        limits: "Calls are not read; nothing is proven from the middle of a connection.",
    },
    attributes: &[VERSION, MODE, ANSWER],
    stream: Some(StreamEntry {
        first_byte: |byte| byte == MAGIC[0],
        probe,
        start: || Box::<Connection>::default(),
    }),
    datagram: None,
};

const MAGIC: &[u8; 4] = b"JRMI";

fn probe(opening: &Opening<'_>) -> Probe {
    Probe::of(Header::parse(opening.spoken()))
}

/// Magic, version and mode.
struct Header {
    version: u16,
    mode: &'static str,
}

impl Header {
    const LENGTH: usize = 7;

    fn parse(bytes: &[u8]) -> Result<Self, Reject> {
        let magic = bytes.get(..MAGIC.len()).unwrap_or(bytes);
        if !MAGIC.starts_with(magic) {
            return Err(Reject::Other);
        }
        let mut cursor = Cursor::new(bytes);
        cursor.skip(MAGIC.len())?;
        let version = cursor.u16()?;
        let mode = match cursor.u8()? {
            0x4b => "stream",
            0x4c => "single_op",
            0x4d => "multiplex",
            _ => return Err(Reject::Invalid("mode")),
        };
        match version {
            1 | 2 => Ok(Self { version, mode }),
            _ => Err(Reject::Invalid("version")),
        }
    }
}

/// One connection: who sent the header.
#[derive(Default)]
struct Connection {
    client: Option<Side>,
}

impl StreamDecoder for Connection {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let Some(client) = self.client else {
            return match Header::parse(bytes) {
                Ok(header) => {
                    self.client = Some(side);
                    notes.proved();
                    notes.client(side);
                    notes.number(VERSION, u64::from(header.version));
                    notes.text(MODE, header.mode);
                    Step::Skip {
                        consumed: Header::LENGTH,
                        bytes: 0,
                    }
                }
                Err(reject) => reject.into_step(0, bytes.len()),
            };
        };
        if side == client {
            return Step::Consumed;
        }
        match bytes.first() {
            Some(0x4e) => notes.text(ANSWER, "accepted"),
            Some(0x4f) => notes.text(ANSWER, "refused"),
            _ => {}
        }
        Step::Done
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, conversation, only_registered_attributes, protocols, survives_every_cut,
        values,
    };
    use super::*;

    const HEADER: &[u8] = b"JRMI\x00\x02\x4b";

    #[test]
    fn header_and_answer_are_read() {
        let segments = [
            (CLIENT, HEADER),
            (SERVER, &b"\x4e\x00\x09127.0.0.1\x00\x00\x86\x92"[..]),
        ];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["rmi"]);
        assert_eq!(values(&recorder, "rmi", "version"), ["2"]);
        assert_eq!(values(&recorder, "rmi", "mode"), ["stream"]);
        assert_eq!(values(&recorder, "rmi", "answer"), ["accepted"]);
        assert_eq!(recorder.client, Some(CLIENT));
        only_registered_attributes(&recorder, &[&RMI]);
        survives_every_cut(&segments);
        let refused = conversation(&[(CLIENT, HEADER), (SERVER, &[0x4f])]);
        assert_eq!(values(&refused, "rmi", "answer"), ["refused"]);
    }

    #[test]
    fn other_headers_are_refused() {
        for bytes in [
            &b"JRMI\x00\x02\x4a"[..],
            b"JRMI\x00\x03\x4b",
            b"JRMX\x00\x02\x4b",
        ] {
            assert!(protocols(&conversation(&[(CLIENT, bytes)])).is_empty());
        }
    }
}
