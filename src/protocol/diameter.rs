//! Diameter (RFC 6733) over TCP: commands, applications and results.
//!
//! Proof is a header whose reserved bits are zero, followed by attributes that fill the message. Of the attributes, result and
//! product are read; names of users, sessions and hosts are passed over. Diameter over SCTP is not read.

use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;
use crate::open_enum;

/// A command: `capabilities_exchange`, `device_watchdog` ...
const COMMAND: &str = "command";
/// Number of an application (IANA, "Application IDs").
const APPLICATION: &str = "application";
/// Result of an answer.
const RESULT_CODE: &str = "result_code";
/// Name of a node's product.
const PRODUCT: &str = "product";

/// Diameter.
pub(super) const DIAMETER: Protocol = Protocol {
    name: "diameter",
    about: About {
        title: "Diameter",
        sources: "RFC 6733",
        reads: "Commands, applications, result codes, names of products.",
        proves: "A message whose reserved bits are zero and whose attributes fill it.",
        limits: "Read over TCP, not over SCTP; attributes of applications are not looked at.",
    },
    attributes: &[COMMAND, APPLICATION, RESULT_CODE, PRODUCT],
    stream: Some(StreamEntry {
        first_byte: |byte| byte == VERSION,
        probe,
        start: || Box::new(Peer),
    }),
    datagram: None,
};

const VERSION: u8 = 1;
const HEADER: usize = 20;
/// Longest message that is read whole; longer ones are proven by their beginning and passed over.
const MAX_MESSAGE: usize = 64 * 1024;
/// The set bit of a request, and those that must be zero (section 3).
const REQUEST: u8 = 0x80;
const RESERVED: u8 = 0x0f;
/// Attributes (section 4.5).
const RESULT_CODE_AVP: u32 = 268;
const PRODUCT_NAME_AVP: u32 = 269;

open_enum! {
    /// Commands of the base protocol, and of the applications seen most.
    struct Command(u32) {
        /// CER and CEA.
        CAPABILITIES_EXCHANGE = 257 => "capabilities_exchange",
        /// RAR and RAA.
        RE_AUTH = 258 => "re_auth",
        /// AAR and AAA.
        AA = 265 => "aa",
        /// DER and DEA of EAP.
        EAP = 268 => "diameter_eap",
        /// ACR and ACA.
        ACCOUNTING = 271 => "accounting",
        /// CCR and CCA.
        CREDIT_CONTROL = 272 => "credit_control",
        /// ASR and ASA.
        ABORT_SESSION = 274 => "abort_session",
        /// STR and STA.
        SESSION_TERMINATION = 275 => "session_termination",
        /// DWR and DWA.
        DEVICE_WATCHDOG = 280 => "device_watchdog",
        /// DPR and DPA.
        DISCONNECT_PEER = 282 => "disconnect_peer",
        /// UDR and UDA of 3GPP Sh.
        USER_DATA = 306 => "user_data",
        /// PUR and PUA of 3GPP Sh.
        PROFILE_UPDATE = 307 => "profile_update",
        /// SNR and SNA of 3GPP Sh.
        SUBSCRIBE_NOTIFICATIONS = 308 => "subscribe_notifications",
        /// PNR and PNA of 3GPP Sh.
        PUSH_NOTIFICATION = 309 => "push_notification",
    }
}

fn probe(opening: &Opening<'_>) -> Probe {
    opening.either(probe_side)
}

fn probe_side(bytes: &[u8]) -> Probe {
    let header = match Header::parse(bytes) {
        Ok(header) => header,
        Err(Reject::Short(_)) => return Probe::More,
        Err(_) => return Probe::No,
    };
    let body = bytes.get(HEADER..bytes.len().min(header.length));
    let is_whole = bytes.len() >= header.length;
    match attributes(body.unwrap_or_default(), is_whole, |_, _| {}) {
        // Of a long message, three attributes tell.
        Ok(count) if is_whole || count >= 3 => Probe::Yes,
        Ok(_) => Probe::More,
        Err(_) => Probe::No,
    }
}

/// Section 3.
#[derive(Clone, Copy, Debug)]
struct Header {
    length: usize,
    is_request: bool,
    command: Command,
    application: u32,
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<Self, Reject> {
        let mut cursor = Cursor::new(bytes);
        let first = cursor.u32()?;
        let [version, ..] = first.to_be_bytes();
        let length = (first & 0x00ff_ffff) as usize;
        if version != VERSION || length < HEADER || !length.is_multiple_of(4) {
            return Err(Reject::Other);
        }
        let second = cursor.u32()?;
        let [flags, ..] = second.to_be_bytes();
        // An error is said in answers alone.
        if flags & RESERVED != 0 || flags & 0xa0 == 0xa0 {
            return Err(Reject::Other);
        }
        let application = cursor.u32()?;
        cursor.skip(8)?;
        Ok(Self {
            length,
            is_request: flags & REQUEST != 0,
            command: Command(second & 0x00ff_ffff),
            application,
        })
    }
}

/// Shows each whole attribute (section 4.1) to `read`; returns how many there are. Attributes of a whole message fill it;
/// the last one of a part may be cut.
fn attributes(
    body: &[u8],
    is_whole: bool,
    mut read: impl FnMut(u32, &[u8]),
) -> Result<u32, Reject> {
    let mut cursor = Cursor::new(body);
    let mut count = 0_u32;
    while !cursor.is_empty() {
        match attribute(&mut cursor) {
            Ok((code, value)) => {
                read(code, value);
                count = count.saturating_add(1);
            }
            Err(Reject::Short(_)) if !is_whole => break,
            Err(reject) => return Err(reject),
        }
    }
    match (is_whole, count) {
        (true, 0) => Err(Reject::Invalid("no attributes")),
        _ => Ok(count),
    }
}

fn attribute<'a>(cursor: &mut Cursor<'a>) -> Result<(u32, &'a [u8]), Reject> {
    let code = cursor.u32()?;
    let second = cursor.u32()?;
    let [flags, ..] = second.to_be_bytes();
    let length = (second & 0x00ff_ffff) as usize;
    let has_vendor = flags & 0x80 != 0;
    let header = if has_vendor { 12 } else { 8 };
    if flags & 0x1f != 0 || length < header || code == 0 {
        return Err(Reject::Invalid("attribute"));
    }
    if has_vendor {
        cursor.skip(4)?;
    }
    let value = cursor.take(length.saturating_sub(header))?;
    cursor.skip(length.next_multiple_of(4).saturating_sub(length))?;
    // Codes of vendors are a space of their own.
    Ok((if has_vendor { 0 } else { code }, value))
}

/// One connection between two nodes.
struct Peer;

impl StreamDecoder for Peer {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let more = |at_least: usize| Step::NeedMore {
            consumed: 0,
            at_least,
        };
        let header = match Header::parse(bytes) {
            Ok(header) => header,
            Err(reject) => return reject.into_step(0, bytes.len()),
        };
        if header.length <= MAX_MESSAGE {
            let Some(body) = bytes.get(HEADER..header.length) else {
                return more(header.length);
            };
            let read = attributes(body, true, |code, value| match (code, value) {
                (RESULT_CODE_AVP, [a, b, c, d]) => {
                    notes.number(RESULT_CODE, u64::from(u32::from_be_bytes([*a, *b, *c, *d])));
                }
                (PRODUCT_NAME_AVP, name) => notes.bytes(PRODUCT, name),
                _ => {}
            });
            if let Err(reject) = read {
                return Step::Reject(reject);
            }
        }
        notes.proved();
        notes.text(COMMAND, &header.command.to_string());
        notes.number(APPLICATION, u64::from(header.application));
        // Who connects asks for capabilities (section 5.3); later both sides ask.
        if header.command == Command::CAPABILITIES_EXCHANGE {
            notes.client(if header.is_request {
                side
            } else {
                side.other()
            });
        }
        Step::Skip {
            consumed: 0,
            bytes: header.length as u64,
        }
    }

    fn resume(&mut self, _side: Side, bytes: &[u8]) -> Option<usize> {
        (probe_side(bytes) == Probe::Yes).then_some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, conversation, midstream, only_registered_attributes, protocols,
        survives_every_cut, values,
    };
    use super::*;

    fn avp(code: u32, value: &[u8]) -> Vec<u8> {
        let length = u32::try_from(value.len() + 8).unwrap() | 0x4000_0000;
        let mut bytes = [code.to_be_bytes(), length.to_be_bytes()].concat();
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn message(flags: u8, command: u32, avps: &[Vec<u8>]) -> Vec<u8> {
        let body = avps.concat();
        let length = u32::try_from(body.len() + 20).unwrap() | 0x0100_0000;
        let command = command | u32::from(flags) << 24;
        let mut bytes = [length.to_be_bytes(), command.to_be_bytes()].concat();
        bytes.extend([0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 2]);
        bytes.extend(body);
        bytes
    }

    #[test]
    fn capabilities_and_results_are_read() {
        let request = message(0x80, 257, &[avp(264, b"a.example.com"), avp(269, b"node")]);
        let answer = message(
            0,
            257,
            &[avp(268, &[0, 0, 7, 0xd1]), avp(264, b"b.example")],
        );
        let segments = [(CLIENT, &request[..]), (SERVER, &answer[..])];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["diameter"]);
        assert_eq!(
            values(&recorder, "diameter", "command"),
            ["capabilities_exchange", "capabilities_exchange"]
        );
        assert_eq!(values(&recorder, "diameter", "application"), ["4", "4"]);
        assert_eq!(values(&recorder, "diameter", "result_code"), ["2001"]);
        assert_eq!(values(&recorder, "diameter", "product"), ["node"]);
        assert_eq!(recorder.client, Some(CLIENT));
        only_registered_attributes(&recorder, &[&DIAMETER]);
        survives_every_cut(&segments);
    }

    #[test]
    fn an_answer_from_the_middle_is_known() {
        let answer = message(
            0x40,
            306,
            &[avp(263, b"session"), avp(268, &[0, 0, 7, 0xd1])],
        );
        let recorder = midstream(&[(SERVER, &answer)]);
        assert_eq!(values(&recorder, "diameter", "command"), ["user_data"]);
    }

    #[test]
    fn bits_that_must_be_zero_and_lengths_are_checked() {
        let good = message(0x80, 280, &[avp(264, b"a.example.com")]);
        for (at, value) in [
            (0, 2),
            (3, 21),
            (4, 0x81),
            (4, 0xa0),
            (24, 0x41),
            (27, 4),
            (27, 60),
        ] {
            let mut wrong = good.clone();
            wrong[at] = value;
            assert!(
                protocols(&conversation(&[(CLIENT, &wrong)])).is_empty(),
                "{at}"
            );
        }
        let empty = message(0x80, 280, &[]);
        assert!(protocols(&conversation(&[(CLIENT, &empty)])).is_empty());
    }
}
