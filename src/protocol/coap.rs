//! Constrained Application Protocol (RFC 7252): what is asked of small devices, over UDP.
//!
//! Reads methods and the classes of answers; paths and payloads are not kept. Proof is a request whose options are registered,
//! in order, and name a path or a host; or the answer with its token.

use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::open_enum;

/// Method of a request.
const METHOD: &str = "method";
/// Code of a response, as `2.05`.
const CODE: &str = "code";

/// Small devices.
pub(super) const COAP: Protocol = Protocol {
    name: "coap",
    about: About {
        title: "Constrained Application Protocol",
        sources: "RFC 7252 sections 3 and 12, RFC 7641, RFC 7959, RFC 8132",
        reads: "Methods and codes of responses.",
        proves: "A request whose options are registered, in order, and name a path or a host; or the answer with its token.",
        limits: "Paths and payloads are not kept; TCP and DTLS are not read here.",
    },
    attributes: &[METHOD, CODE],
    stream: None,
    datagram: Some(DatagramEntry {
        // Version 1, a type, and a token of eight octets at most.
        first_byte: |byte| byte >> 6 == 1 && byte & 0x0f <= MAX_TOKEN,
        start: || Box::<Messages>::default(),
    }),
};

const MAX_TOKEN: u8 = 8;
const PAYLOAD: u8 = 0xff;
const URI_HOST: u16 = 3;
const URI_PATH: u16 = 11;
/// Registered options (section 12.2, RFC 7641, RFC 7959, RFC 8768).
const OPTIONS: [u16; 19] = [
    1, 3, 4, 5, 6, 7, 8, 11, 12, 14, 15, 16, 17, 20, 23, 27, 28, 35, 60,
];
/// A path or host of fewer characters than this may be chance.
const MIN_NAMED: usize = 3;

open_enum! {
    /// Methods (section 12.1.1, RFC 8132).
    struct Method(u8) {
        /// Reads.
        GET = 1 => "get",
        /// Sends.
        POST = 2 => "post",
        /// Writes.
        PUT = 3 => "put",
        /// Deletes.
        DELETE = 4 => "delete",
        /// Reads with a body.
        FETCH = 5 => "fetch",
        /// Changes.
        PATCH = 6 => "patch",
        /// Changes, however often.
        IPATCH = 7 => "ipatch",
    }
}

/// Number and token of the last request.
#[derive(Default)]
struct Messages {
    asked: Option<(u16, u64)>,
}

impl DatagramDecoder for Messages {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let mut cursor = Cursor::new(datagram.bytes);
        let (first, code, number) = (cursor.u8()?, cursor.u8()?, cursor.u16()?);
        let length = first & 0x0f;
        if first >> 6 != 1 || length > MAX_TOKEN {
            return Err(Reject::Other);
        }
        let token = cursor.take(usize::from(length))?;
        let token = token.iter().fold(u64::from(length) << 56, |all, byte| {
            all.rotate_left(8) ^ u64::from(*byte)
        });
        let named = options(&mut cursor, datagram.is_cut())?;
        let side = notes.side();
        if let Some(method) = Method(code).name() {
            if named < MIN_NAMED {
                return Err(Reject::Other);
            }
            self.asked = Some((number, token));
            notes.client(side);
            notes.text(METHOD, method);
        } else {
            let (class, detail) = (code >> 5, code & 0x1f);
            let is_answer = self.asked.is_some_and(|(asked, with)| {
                // An acknowledgement without a response has no token.
                (code == 0 && asked == number) || (code != 0 && with == token)
            });
            if !is_answer || !matches!(class, 0 | 2 | 4 | 5) {
                return Err(Reject::Other);
            }
            if code != 0 {
                notes.text(CODE, &format!("{class}.{detail:02}"));
            }
        }
        notes.proved();
        Ok(())
    }
}

/// Characters of path and host among the options, which must be registered and end where the payload begins.
fn options(cursor: &mut Cursor<'_>, is_cut: bool) -> Result<usize, Reject> {
    let (mut number, mut named) = (0_u16, 0_usize);
    while !cursor.is_empty() {
        let head = cursor.u8()?;
        if head == PAYLOAD {
            // A marker without a payload is wrong (section 3).
            return match cursor.is_empty() && !is_cut {
                true => Err(Reject::Invalid("payload")),
                false => Ok(named),
            };
        }
        let delta = extended(head >> 4, cursor)?;
        let length = usize::from(extended(head & 0x0f, cursor)?);
        number = number.saturating_add(delta);
        let value = cursor.take(length)?;
        if !OPTIONS.contains(&number) {
            return Err(Reject::Invalid("option"));
        }
        if matches!(number, URI_HOST | URI_PATH) {
            if !value.iter().all(u8::is_ascii_graphic) {
                return Err(Reject::Invalid("path or host"));
            }
            named = named.saturating_add(length);
        }
    }
    Ok(named)
}

/// Section 3.1: four bits, or one or two octets behind them.
fn extended(nibble: u8, cursor: &mut Cursor<'_>) -> Result<u16, Reject> {
    match nibble {
        13 => Ok(u16::from(cursor.u8()?).saturating_add(13)),
        14 => Ok(cursor.u16()?.saturating_add(269)),
        15 => Err(Reject::Invalid("option")),
        value => Ok(u16::from(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, datagrams, only_registered_attributes, protocols, values,
    };
    use super::*;

    const GET: &[u8] = b"\x42\x01\x00\x09\xab\xcd\xb4temp\x11\x00\xff?";
    const CONTENT: &[u8] = b"\x62\x45\x00\x09\xab\xcd\xc0\xff22";

    #[test]
    fn a_request_and_its_answer_are_read_and_no_path() {
        let empty = b"\x60\0\0\x09";
        let recorder = datagrams(&[(CLIENT, GET), (SERVER, empty), (SERVER, CONTENT)]);
        assert_eq!(protocols(&recorder), ["coap"]);
        assert_eq!(recorder.client, Some(CLIENT));
        assert_eq!(values(&recorder, "coap", "method"), ["get"]);
        assert_eq!(values(&recorder, "coap", "code"), ["2.05"]);
        assert!(!format!("{:?}", recorder.facts).contains("temp"));
        only_registered_attributes(&recorder, &[&COAP]);
        for length in 0..GET.len() {
            datagrams(&[(CLIENT, &GET[..length])]);
        }
    }

    #[test]
    fn long_options_are_read() {
        let long = b"\x40\x02\0\x01\x3d\x01device.a.orgxx\xdd\x1b\0aaaaaaaaaaaaa";
        assert!(protocols(&datagrams(&[(CLIENT, long)])).is_empty());
        let long = b"\x40\x02\0\x01\x3d\x01device.a.orgxx\x81a";
        assert_eq!(protocols(&datagrams(&[(CLIENT, long)])), ["coap"]);
    }

    #[test]
    fn answers_without_a_request_and_other_options_are_refused() {
        for bytes in [
            CONTENT,
            b"\x42\x01\0\x09\xab\xcd\xb2te",
            b"\x42\x01\0\x09\xab\xcd\x94temp",
            b"\x42\x01\0\x09\xab\xcd\xb4t\0mp",
            b"\x42\x08\0\x09\xab\xcd\xb4temp",
            b"\x42\x01\0\x09\xab\xcd\xb4temp\xff",
            b"\x42\x01\0\x09\xab\xcd\xb4temp\xf0",
        ] {
            assert!(protocols(&datagrams(&[(CLIENT, bytes)])).is_empty());
        }
    }
}
