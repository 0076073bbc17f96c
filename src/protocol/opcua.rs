//! OPC UA binary (IEC 62541-6, OPC 10000-6 section 7.1): endpoints, and how the channel is secured.
//!
//! Reads greetings and the opening of a channel; requests and values are passed over. Proof is a greeting whose buffers are as
//! large as they must be, a channel with a policy of the OPC Foundation, or a message of a channel with a sane length.

use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;

/// URL that the client asks for.
const ENDPOINT: &str = "endpoint";
/// Security policy of the channel, the last part of its URI: `None`, `Basic256Sha256` ...
const SECURITY_POLICY: &str = "security_policy";

/// Automation.
pub(super) const OPCUA: Protocol = Protocol {
    name: "opcua",
    about: About {
        title: "OPC Unified Architecture, binary over TCP",
        sources: "OPC 10000-6 sections 6.7 and 7.1",
        reads: "The endpoint that is asked for and the security policy of the channel.",
        proves: "A greeting whose buffers are large enough, a channel with a policy of the OPC Foundation, or a message of a channel with a sane length.",
        limits: "Requests, values and sessions are passed over.",
    },
    attributes: &[ENDPOINT, SECURITY_POLICY],
    stream: Some(StreamEntry {
        first_byte: |byte| matches!(byte, b'H' | b'A' | b'E' | b'R' | b'O' | b'M' | b'C'),
        probe,
        start: || Box::new(Messages),
    }),
    datagram: None,
};

/// Least size of a buffer (section 7.1.2.3).
const MIN_BUFFER: u32 = 8192;
/// Larger messages than this would not be sent in one chunk.
const MAX_CHUNK: u32 = 16 * 1024 * 1024;
/// Longest URL (section 7.1.2.3) and longest URI of a policy.
const MAX_TEXT: usize = 4096;
const POLICIES: &[u8] = b"http://opcfoundation.org/UA/SecurityPolicy#";

struct Message<'a> {
    endpoint: &'a [u8],
    policy: &'a [u8],
    is_hello: bool,
    /// Octets that were not read.
    rest: u64,
}

impl<'a> Message<'a> {
    fn parse(cursor: &mut Cursor<'a>) -> Result<Self, Reject> {
        let (kind, chunk) = (cursor.array::<3>()?, cursor.u8()?);
        if !matches!(chunk, b'F' | b'C' | b'A') {
            return Err(Reject::Other);
        }
        let length = cursor.u32_le()?;
        let (mut endpoint, mut policy) = (&b""[..], &b""[..]);
        let least = match kind {
            b"HEL" | b"ACK" => {
                let _version = cursor.u32_le()?;
                let buffers = [cursor.u32_le()?, cursor.u32_le()?];
                let _limits = cursor.u64_le()?;
                if chunk != b'F' || buffers.iter().any(|size| *size < MIN_BUFFER) {
                    return Err(Reject::Invalid("buffer"));
                }
                if kind == b"HEL" {
                    endpoint = text(cursor)?;
                }
                28
            }
            b"OPN" => {
                let _channel = cursor.u32_le()?;
                let uri = text(cursor)?;
                policy = uri.strip_prefix(POLICIES).ok_or(Reject::Other)?;
                16
            }
            // Channel, token, sequence and request.
            b"MSG" | b"CLO" => 24,
            _ => return Err(Reject::Other),
        };
        let rest = u64::from(length).checked_sub(cursor.offset() as u64);
        let rest = rest.filter(|_| (least..=MAX_CHUNK).contains(&length));
        Ok(Self {
            endpoint,
            policy,
            is_hello: kind == b"HEL",
            rest: rest.ok_or(Reject::Invalid("length"))?,
        })
    }
}

/// A string behind its length (section 5.2.2.4).
fn text<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], Reject> {
    let length = usize::try_from(cursor.u32_le()?).unwrap_or(usize::MAX);
    if length > MAX_TEXT {
        return Err(Reject::Invalid("length of a string"));
    }
    Ok(cursor.take(length)?)
}

fn probe(opening: &Opening<'_>) -> Probe {
    opening.either(|bytes| Probe::of(Message::parse(&mut Cursor::new(bytes))))
}

/// All messages of one connection.
struct Messages;

impl StreamDecoder for Messages {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let mut cursor = Cursor::new(bytes);
        match Message::parse(&mut cursor) {
            Ok(message) => {
                notes.proved();
                if message.is_hello {
                    notes.client(side);
                }
                notes.bytes(ENDPOINT, message.endpoint);
                notes.bytes(SECURITY_POLICY, message.policy);
                Step::Skip {
                    consumed: cursor.offset(),
                    bytes: message.rest,
                }
            }
            Err(reject) => reject.into_step(0, bytes.len()),
        }
    }

    fn resume(&mut self, _side: Side, bytes: &[u8]) -> Option<usize> {
        Message::parse(&mut Cursor::new(bytes)).is_ok().then_some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT as C, SERVER as S, conversation, midstream, only_registered_attributes, protocols,
        survives_every_cut, values,
    };
    use super::*;

    fn message(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 8).unwrap();
        [&kind[..], &length.to_le_bytes(), body].concat()
    }

    fn hello(buffer: u32) -> Vec<u8> {
        let sizes = [0, buffer, 65535, 0, 0, 16].map(u32::to_le_bytes).concat();
        message(b"HELF", &[&sizes[..], b"opc.tcp://plc:48"].concat())
    }

    #[test]
    fn endpoint_and_policy_are_read() {
        let acknowledged = message(
            b"ACKF",
            &[0, 8192, 8192, 0, 0].map(u32::to_le_bytes).concat(),
        );
        let uri = b"http://opcfoundation.org/UA/SecurityPolicy#Basic256Sha256";
        let length = u32::try_from(uri.len()).unwrap().to_le_bytes();
        let opened = message(b"OPNF", &[&[0; 4], &length[..], uri, &[0xff; 8]].concat());
        let hello = hello(8192);
        let segments = [(C, &hello[..]), (S, &acknowledged), (C, &opened)];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["opcua"]);
        assert_eq!(recorder.client, Some(C));
        assert_eq!(values(&recorder, "opcua", "endpoint"), ["opc.tcp://plc:48"]);
        let policies = values(&recorder, "opcua", "security_policy");
        assert_eq!(policies, ["Basic256Sha256"]);
        only_registered_attributes(&recorder, &[&OPCUA]);
        survives_every_cut(&segments);
    }

    #[test]
    fn a_message_in_the_middle_is_known() {
        let recorder = midstream(&[(S, &message(b"MSGF", &[0; 40]))]);
        assert_eq!(protocols(&recorder), ["opcua"]);
        assert_eq!(recorder.client, None);
    }

    #[test]
    fn small_buffers_and_other_policies_are_refused() {
        let other = message(
            b"OPNF",
            &[&[0; 4], &[4, 0, 0, 0][..], b"none", &[0; 8]].concat(),
        );
        for bytes in [
            &hello(100)[..],
            &other,
            &message(b"MSGF", &[0; 8]),
            &message(b"MSGX", &[0; 40]),
            b"HELO mail.example.com\r\n",
            b"MSGF\xff\xff\xff\xff\0\0\0\0",
        ] {
            let recorder = conversation(&[(C, bytes)]);
            assert!(!protocols(&recorder).contains(&"opcua"));
        }
    }
}
