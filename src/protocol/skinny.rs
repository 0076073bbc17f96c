//! Skinny Client Control Protocol (SCCP of Cisco): kinds of messages between phones and call managers, and where media go.
//!
//! Cisco publishes no description; header and messages are as commonly understood: length, header version, number of the message,
//! least significant byte first. Proof is messages of known numbers whose lengths fill what was sent. Names and numbers of phones
//! are never looked at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::bytes::{Cursor, Short};
use crate::evidence::{MediaOffer, Notes, Offered};
use crate::net::{Endpoint, Side, Transport};
use crate::open_enum;

/// Kind of message: `register`, `call_state` ... or its number.
const MESSAGE: &str = "message";
/// Version of the header.
const VERSION: &str = "version";

/// SCCP.
pub(super) const SKINNY: Protocol = Protocol {
    name: "skinny",
    about: About {
        title: "Skinny Client Control Protocol (SCCP)",
        sources: "No public specification; the header as commonly understood",
        reads: "Kinds of messages; addresses of media, each of which becomes an offer.",
        proves: "Messages of known numbers whose lengths fill what was sent.",
        limits: "Names, numbers and keys pressed are not looked at.",
    },
    attributes: &[MESSAGE, VERSION],
    stream: Some(StreamEntry {
        first_byte: |byte| byte % 4 == 0,
        probe,
        start: || Box::new(Messages),
    }),
    datagram: None,
};

/// Octets before the number of the message.
const HEADER: usize = 8;
/// Longest message, from its number on: answers to configuration requests are the longest, some 2 kB.
const MAX_LENGTH: u32 = 4096;
/// Weight of messages that tell enough also where another one is cut behind them.
const MANY: u32 = 6;
/// First header version with room for IPv6.
const IPV6_VERSION: u32 = 17;

open_enum! {
    /// Numbers of messages.
    struct Number(u32) {
        /// Is the other side there?
        KEEP_ALIVE = 0x00 => "keep_alive",
        /// A phone announces itself.
        REGISTER = 0x01 => "register",
        /// Its port for media.
        IP_PORT = 0x02 => "ip_port",
        /// A key.
        KEYPAD_BUTTON = 0x03 => "keypad_button",
        /// The receiver is lifted.
        OFF_HOOK = 0x06 => "off_hook",
        /// The receiver is put down.
        ON_HOOK = 0x07 => "on_hook",
        /// Which codecs.
        CAPABILITIES_RESPONSE = 0x10 => "capabilities_response",
        /// Reports an alarm.
        ALARM = 0x20 => "alarm",
        /// Where a phone receives media.
        OPEN_RECEIVE_CHANNEL_ACK = 0x22 => "open_receive_channel_ack",
        /// How a call was.
        CONNECTION_STATISTICS_RESPONSE = 0x23 => "connection_statistics_response",
        /// A key of the display.
        SOFT_KEY_EVENT = 0x26 => "soft_key_event",
        /// A phone leaves.
        UNREGISTER = 0x27 => "unregister",
        /// Registered.
        REGISTER_ACK = 0x81 => "register_ack",
        /// A tone begins.
        START_TONE = 0x82 => "start_tone",
        /// A tone ends.
        STOP_TONE = 0x83 => "stop_tone",
        /// Ringing.
        SET_RINGER = 0x85 => "set_ringer",
        /// A lamp.
        SET_LAMP = 0x86 => "set_lamp",
        /// Loudspeaker.
        SET_SPEAKER_MODE = 0x88 => "set_speaker_mode",
        /// Where a phone sends media.
        START_MEDIA_TRANSMISSION = 0x8a => "start_media_transmission",
        /// Media end.
        STOP_MEDIA_TRANSMISSION = 0x8b => "stop_media_transmission",
        /// Who calls whom.
        CALL_INFORMATION = 0x8f => "call_information",
        /// Which codecs?
        CAPABILITIES_REQUEST = 0x9b => "capabilities_request",
        /// Not registered.
        REGISTER_REJECT = 0x9d => "register_reject",
        /// Start again.
        RESET = 0x9f => "reset",
        /// The other side is there.
        KEEP_ALIVE_ACK = 0x100 => "keep_alive_ack",
        /// A phone shall receive media.
        OPEN_RECEIVE_CHANNEL = 0x105 => "open_receive_channel",
        /// It shall no longer.
        CLOSE_RECEIVE_CHANNEL = 0x106 => "close_receive_channel",
        /// How was the call?
        CONNECTION_STATISTICS_REQUEST = 0x107 => "connection_statistics_request",
        /// Keys of the display.
        SELECT_SOFT_KEYS = 0x110 => "select_soft_keys",
        /// State of a call.
        CALL_STATE = 0x111 => "call_state",
        /// A line of the display.
        DISPLAY_PROMPT_STATUS = 0x112 => "display_prompt_status",
        /// A line of the display is cleared.
        CLEAR_PROMPT_STATUS = 0x113 => "clear_prompt_status",
        /// A note on the display.
        DISPLAY_NOTIFY = 0x114 => "display_notify",
        /// A line is chosen.
        ACTIVATE_CALL_PLANE = 0x116 => "activate_call_plane",
        /// The number that was dialled.
        DIALED_NUMBER = 0x11d => "dialed_number",
    }
}

impl Number {
    /// Whether the number is one that phones or call managers send.
    const fn is_assigned(self) -> bool {
        matches!(self.0, 0..=0x4f | 0x80..=0x15f)
    }

    /// Least length of the message, from its number on, and greatest where it is fixed.
    const fn fits(self, length: u32) -> bool {
        match self {
            Self::KEEP_ALIVE | Self::KEEP_ALIVE_ACK | Self::CAPABILITIES_REQUEST => {
                matches!(length, 4 | 8)
            }
            Self::REGISTER => length >= 40,
            Self::CALL_STATE | Self::SELECT_SOFT_KEYS | Self::SOFT_KEY_EVENT => length >= 16,
            Self::SET_LAMP => length == 16,
            Self::START_MEDIA_TRANSMISSION => length >= 44,
            Self::OPEN_RECEIVE_CHANNEL_ACK => length >= 20,
            Self::SET_SPEAKER_MODE | Self::RESET => length == 8,
            _ => length >= 4,
        }
    }
}

fn probe(opening: &Opening<'_>) -> Probe {
    let sides = [opening.spoken(), opening.reply()].map(count);
    match sides {
        [None, _] => Probe::No,
        [_, None] if !opening.reply().is_empty() => Probe::No,
        [first, second] => {
            let weight = first.unwrap_or(0).saturating_add(second.unwrap_or(0));
            if weight >= 2 { Probe::Yes } else { Probe::More }
        }
    }
}

/// How much the whole messages of a side tell; `None` where something else is among them.
fn count(bytes: &[u8]) -> Option<u32> {
    let (mut rest, mut weight) = (bytes, 0_u32);
    while !rest.is_empty() {
        match Message::parse(rest) {
            Ok(message) => {
                weight = weight.saturating_add(message.weight());
                rest = rest.get(message.length..).unwrap_or_default();
            }
            // A few messages must fill what was sent, with no part of one behind them; many need not.
            Err(Reject::Short(_)) if weight < MANY => return Some(0),
            Err(Reject::Short(_)) => break,
            Err(_) => return None,
        }
    }
    Some(weight)
}

/// One message.
#[derive(Clone, Copy, Debug)]
struct Message<'a> {
    length: usize,
    version: u32,
    number: Number,
    body: Cursor<'a>,
}

impl<'a> Message<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, Reject> {
        let mut cursor = Cursor::new(bytes);
        let length = cursor.u32_le()?;
        if !(4..=MAX_LENGTH).contains(&length) || !length.is_multiple_of(4) {
            return Err(Reject::Other);
        }
        // The basic header, and those of call managers since 7.
        let version = cursor.u32_le()?;
        if !matches!(version, 0 | 9..=31) {
            return Err(Reject::Other);
        }
        let mut ahead = cursor;
        let number = Number(ahead.u32_le()?);
        if !number.is_assigned() || !number.fits(length) {
            return Err(Reject::Other);
        }
        let length = length as usize;
        let mut body = cursor.sub(length)?;
        body.skip(4)?;
        Ok(Self {
            length: HEADER.saturating_add(length),
            version,
            number,
            body,
        })
    }

    /// The basic header is mostly zeros: such a message tells half as much, a registration with the name of a device all.
    fn weight(&self) -> u32 {
        let name = self.body.rest().get(..16).unwrap_or_default();
        let end = name
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(name.len());
        let (name, padding) = name.split_at_checked(end).unwrap_or_default();
        let is_name = name.len() >= 3
            && name.iter().all(u8::is_ascii_alphanumeric)
            && padding.first().is_none_or(|byte| *byte == 0);
        match (self.version, self.number.name()) {
            (0, _) if self.number == Number::REGISTER && is_name => 2,
            (0, Some(_)) => 1,
            (0, None) => 0,
            (_, Some(_)) => 2,
            (_, None) => 1,
        }
    }

    /// Where media go, in the two messages that say it.
    fn media(&self) -> Result<Option<Endpoint>, Short> {
        let mut body = self.body;
        match self.number {
            // Status.
            Number::OPEN_RECEIVE_CHANNEL_ACK => {
                if body.u32_le()? != 0 {
                    return Ok(None);
                }
            }
            // Conference and party.
            Number::START_MEDIA_TRANSMISSION => body.skip(8)?,
            _ => return Ok(None),
        }
        let address: IpAddr = if self.version < IPV6_VERSION {
            Ipv4Addr::from(*body.array::<4>()?).into()
        } else {
            let kind = body.u32_le()?;
            let mut room = body.sub(16)?;
            match kind {
                0 => Ipv4Addr::from(*room.array::<4>()?).into(),
                1 => Ipv6Addr::from(*room.array::<16>()?).into(),
                _ => return Ok(None),
            }
        };
        let port = u16::try_from(body.u32_le()?).unwrap_or(0);
        let is_usable = port != 0 && !address.is_unspecified();
        Ok(is_usable.then(|| Endpoint::new(address, port)))
    }
}

/// All messages of one connection.
struct Messages;

impl StreamDecoder for Messages {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let message = match Message::parse(bytes) {
            Ok(message) => message,
            Err(reject) => return reject.into_step(0, bytes.len()),
        };
        notes.proved();
        // Numbers below 0x80 are those of phones.
        notes.client(if message.number.0 < 0x80 {
            side
        } else {
            side.other()
        });
        notes.text(MESSAGE, &message.number.to_string());
        notes.number(VERSION, u64::from(message.version));
        if let Ok(Some(endpoint)) = message.media() {
            let offer = MediaOffer {
                media: "audio".into(),
                profile: "RTP/AVP".into(),
                rtcp_port: endpoint.port.checked_add(1),
                direction: "recvonly".into(),
                ..MediaOffer::default()
            };
            notes.offer(Transport::UDP, endpoint, Offered::Media(Box::new(offer)));
        }
        Step::Skip {
            consumed: message.length,
            bytes: 0,
        }
    }

    fn resume(&mut self, _side: Side, bytes: &[u8]) -> Option<usize> {
        Message::parse(bytes).is_ok().then_some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, conversation, midstream, offers, only_registered_attributes, protocols,
        survives_every_cut, values,
    };
    use super::*;

    fn message(version: u8, number: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = u32::try_from(body.len() + 4)
            .unwrap()
            .to_le_bytes()
            .to_vec();
        bytes.extend([version, 0, 0, 0]);
        bytes.extend(u32::from(number).to_le_bytes());
        bytes.extend(body);
        bytes
    }

    #[test]
    fn media_are_offered_in_both_forms() {
        let ack = message(
            0,
            0x22,
            &[0, 0, 0, 0, 192, 0, 2, 7, 0x88, 0x13, 0, 0, 1, 0, 0, 0],
        );
        let mut body = vec![1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 192, 0, 2, 9];
        body.extend([0; 12]);
        body.extend([0x8a, 0x13, 0, 0]);
        body.extend([0; 8]);
        let start = message(20, 0x8a, &body);
        let segments = [(SERVER, &start[..]), (CLIENT, &ack[..])];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["skinny"]);
        assert_eq!(
            values(&recorder, "skinny", "message"),
            ["open_receive_channel_ack", "start_media_transmission"]
        );
        assert_eq!(values(&recorder, "skinny", "version"), ["0", "20"]);
        let offers: Vec<_> = offers(&recorder)
            .iter()
            .filter(
                |offer| matches!(&offer.offered, Offered::Media(media) if &*media.media == "audio"),
            )
            .map(|offer| offer.endpoint.to_string())
            .collect();
        assert_eq!(offers, ["192.0.2.7:5000", "192.0.2.9:5002"]);
        assert_eq!(recorder.client, Some(CLIENT));
        only_registered_attributes(&recorder, &[&SKINNY]);
        survives_every_cut(&segments);
    }

    #[test]
    fn a_registration_is_known_by_its_device() {
        let mut body = b"SEP001122334455\0".to_vec();
        body.extend([0; 24]);
        let register = message(0, 1, &body);
        let recorder = conversation(&[(CLIENT, &register)]);
        assert_eq!(values(&recorder, "skinny", "message"), ["register"]);
        assert!(!format!("{recorder:?}").contains("SEP0011"));
    }

    #[test]
    fn one_basic_message_waits_for_another() {
        let (alive, ack) = (message(0, 0, &[]), message(0, 0x100, &[]));
        assert!(protocols(&midstream(&[(CLIENT, &alive)])).is_empty());
        let recorder = midstream(&[(CLIENT, &alive), (SERVER, &ack)]);
        assert_eq!(protocols(&recorder), ["skinny"]);
    }

    #[test]
    fn other_numbers_versions_and_lengths_are_refused() {
        let mut longer = message(20, 0x26, &[0; 12]);
        longer.extend([0x16, 3, 1, 0]);
        longer.extend([0; 8]);
        for bytes in [
            message(20, 0x50, &[0; 12]),
            message(5, 0x26, &[0; 12]),
            message(20, 0x26, &[0; 4]),
            message(20, 0x86, &[0; 13]),
            longer,
        ] {
            assert!(
                protocols(&conversation(&[(CLIENT, &bytes)])).is_empty(),
                "{bytes:?}"
            );
        }
    }
}
