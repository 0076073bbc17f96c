//! STUN and TURN (RFC 8489, RFC 8656), their ancestor (RFC 3489) and the dialect of Lync (MS-TURN): methods, versions,
//! errors, and the relayed addresses that a server gives out.
//!
//! Proves: a message whose length is that of its datagram or frame, whose attributes fill it exactly, and which carries
//! the magic cookie: in its header, or as first attribute (MS-TURN). Without a cookie only methods, attributes and values of
//! RFC 3489 count, and a bare header never. Channel data (RFC 8656 section 12.4) and the multiplexed channel of Lync
//! relays are taken where the flow was proven before.
//!
//! On a stream, messages stand bare, behind a length (RFC 4571) or behind the header of MS-TURN; what else stands there is
//! passed over. User names are never noted; of credentials only the realm is.

mod message;
mod stream;

use self::message::{Message, note};
use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject, StreamEntry};
use crate::bytes::Cursor;
use crate::evidence::Notes;

/// Session Traversal Utilities for NAT, and traversal using relays.
pub(super) const STUN: Protocol = Protocol {
    name: "stun",
    about: About {
        title: "STUN and TURN",
        sources: "RFC 8489, RFC 8656, RFC 3489, MS-TURN, MS-ICE2",
        reads: "Message headers and the attributes that name software, realm, error and version; over TCP also in the framing of RFC 4571.",
        proves: "A header whose length and attributes fill the message exactly, with the magic cookie or, in the classic form, an attribute list that is whole.",
        limits: "Integrity is not checked; data inside channels is not looked at.",
    },
    attributes: &[METHOD, CLASS, SOFTWARE, REALM, MS_VERSION, ERROR],
    stream: Some(StreamEntry {
        // Types, and the high byte of a length.
        first_byte: |byte| byte <= stream::MAX_FIRST_BYTE,
        probe: stream::probe,
        start: || Box::<stream::Stream>::default(),
    }),
    datagram: Some(DatagramEntry {
        // Channels follow messages: RFC 7983 section 7, and the multiplexed channel.
        first_byte: |byte| matches!(byte, 0..=3 | CHANNEL_FIRST..=CHANNEL_LAST | MULTIPLEXED),
        start: || Box::new(Stun::default()),
    }),
};

/// `binding`, `allocate` ...; a number where it has no name.
const METHOD: &str = "method";
/// `request`, `indication`, `success` or `error`.
const CLASS: &str = "class";
/// What an agent calls itself.
const SOFTWARE: &str = "software";
/// The realm of long-term credentials.
const REALM: &str = "realm";
/// The version of the Microsoft protocols that an agent speaks (MS-TURN 2.2.2).
const MS_VERSION: &str = "ms_version";
/// Error code and reason.
const ERROR: &str = "error";

/// First bytes of channel numbers (RFC 8656 section 12, RFC 7983).
const CHANNEL_FIRST: u8 = 0x40;
const CHANNEL_LAST: u8 = 0x4f;
/// First byte of the channel that multiplexes sessions of Lync relays: 0xff10.
const MULTIPLEXED: u8 = 0xff;
/// Channel, length and session of a multiplexed datagram.
const MULTIPLEXED_HEADER: usize = 12;

/// One flow.
#[derive(Default)]
struct Stun {
    proven: bool,
}

impl DatagramDecoder for Stun {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        if datagram.bytes.first().is_some_and(|byte| *byte > 3) {
            return if self.proven && is_channel(datagram)? {
                Ok(())
            } else {
                Err(Reject::Other)
            };
        }
        let message = Message::parse(datagram.bytes, datagram.wire_len)?;
        if !(message.is_proof() || self.proven) {
            return Err(Reject::Invalid("a header without a cookie"));
        }
        self.proven = true;
        note(&message, notes);
        Ok(())
    }
}

/// Whether a datagram is channel data as long as it says; padding is allowed (RFC 8656 section 12.5).
fn is_channel(datagram: Datagram<'_>) -> Result<bool, Reject> {
    let mut cursor = Cursor::new(datagram.bytes);
    let channel = cursor.u16()?;
    let length = usize::from(cursor.u16()?);
    let over = |header: usize| datagram.wire_len.checked_sub(length.saturating_add(header));
    Ok(if channel == 0xff10 {
        over(4) == Some(0) || over(MULTIPLEXED_HEADER) == Some(0)
    } else {
        over(4).is_some_and(|padding| padding < 4)
    })
}

#[cfg(test)]
mod tests;
