//! STUN and TURN (RFC 8489, RFC 8656), their ancestor (RFC 3489) and the dialect of Lync (MS-TURN): methods, versions,
//! errors, and the relayed addresses that a server gives out.
//!
//! Proves: a message whose length is that of its datagram or frame, whose attributes fill it exactly, and which carries
//! the magic cookie: in its header, or as first attribute (MS-TURN). Without a cookie only methods, attributes and values of
//! RFC 3489 count, and a bare header never. Channel data (RFC 8656 section 12.4) and the multiplexed channel of Lync
//! relays are taken where the flow was proven before.
//!
//! On a stream, messages stand bare, behind a length (RFC 4571) or behind the header of MS-TURN. What a relay carries, in
//! indications, in channels and beside messages on a stream, is shown to the decoders of media and of their keys
//! (RFC 7983): they are proven by it one layer above. User names are never noted; of credentials only the realm and their
//! kind are.

mod carried;
mod message;
mod stream;

use self::carried::Carried;
use self::message::{Message, Signed, note};
use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject, StreamEntry};
use crate::bytes::Cursor;
use crate::evidence::Notes;

/// Session Traversal Utilities for NAT, and traversal using relays.
pub(super) const STUN: Protocol = Protocol {
    name: "stun",
    about: About {
        title: "STUN and TURN",
        sources: "RFC 8489, RFC 8656, RFC 3489, MS-TURN, MS-ICE2",
        reads: "Messages with the addresses, roles, realms, errors and versions that they name, in datagrams and in three framings over TCP; relayed addresses become offers; RTP, RTCP and DTLS that a relay carries.",
        proves: "A message whose attributes fill it exactly, with the magic cookie, or in the classic form (RFC 3489) at least one attribute and none that this form does not know.",
        limits: "Integrity is not checked; user names are not kept; of what a relay carries, only media and their handshakes are read.",
    },
    attributes: &[
        METHOD,
        CLASS,
        DIALECT,
        SOFTWARE,
        REALM,
        AUTHENTICATION,
        ERROR,
        REFUSED,
        MAPPED_ADDRESS,
        PEER_ADDRESS,
        CHANNEL,
        ICE_ROLE,
        USE_CANDIDATE,
        MS_VERSION,
        MS_IMPLEMENTATION,
        MS_SERVICE_QUALITY,
    ],
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
/// `rfc8489`, `rfc3489`, or `ms_turn` for the dialect of Lync.
const DIALECT: &str = "dialect";
/// How a request is signed: `long_term` (with a realm) or `short_term` (ICE), RFC 8489 section 9.
const AUTHENTICATION: &str = "authentication";
/// An address as which the server sees the client, with its port.
const MAPPED_ADDRESS: &str = "mapped_address";
/// The other end of what a relay carries, with its port.
const PEER_ADDRESS: &str = "peer_address";
/// A channel that was bound.
const CHANNEL: &str = "channel";
/// `controlling` or `controlled` (RFC 8445); the side is that of the agent.
const ICE_ROLE: &str = "ice_role";
/// 1 where an agent chose this pair of addresses (RFC 8445).
const USE_CANDIDATE: &str = "use_candidate";
/// The version of a Microsoft agent of ICE (MS-ICE2 2.2).
const MS_IMPLEMENTATION: &str = "ms_implementation";
/// What a client of a Lync relay wants carried: `audio`, `video`, `supplemental_video`, `data`.
const MS_SERVICE_QUALITY: &str = "ms_service_quality";
/// What an agent calls itself.
const SOFTWARE: &str = "software";
/// The realm of long-term credentials.
const REALM: &str = "realm";
/// The version of the Microsoft protocols that an agent speaks (MS-TURN 2.2.2).
const MS_VERSION: &str = "ms_version";
/// Error code and reason.
const ERROR: &str = "error";
/// A request that a relay refuses although it was signed: method, code and reason. A challenge or a stale nonce is none.
const REFUSED: &str = "refused";

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
    signed: Signed,
    carried: Carried,
}

impl DatagramDecoder for Stun {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        if datagram.bytes.first().is_some_and(|byte| *byte > 3) {
            return self.channel(datagram, notes);
        }
        self.message(datagram, notes)
    }
}

impl Stun {
    fn message(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let message = Message::parse(datagram.bytes, datagram.wire_len)?;
        if !(message.is_proof() || self.proven) {
            return Err(Reject::Invalid("a header without a cookie"));
        }
        self.proven = true;
        if let Some(data) = note(&message, &mut self.signed, notes) {
            self.carried.data(data, notes);
        }
        Ok(())
    }

    fn channel(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let data = channel(datagram)?.ok_or(Reject::Other)?;
        let is_cut = datagram.is_cut();
        let is_multiplexed = datagram.bytes.first() == Some(&MULTIPLEXED);
        // Relays of Lync and its successors multiplex whole messages: with a cookie, they prove the flow as bare ones do.
        if is_multiplexed && !is_cut && data.first().is_some_and(|byte| *byte <= 3) {
            let content = Datagram {
                bytes: data,
                wire_len: data.len(),
            };
            return self.message(content, notes);
        }
        if !self.proven {
            return Err(Reject::Other);
        }
        if !is_cut {
            self.carried.data(data, notes);
        }
        Ok(())
    }
}

/// The data of a channel, if a datagram is channel data as long as it says; padding is allowed (RFC 8656 section 12.5).
fn channel(datagram: Datagram<'_>) -> Result<Option<&[u8]>, Reject> {
    let mut cursor = Cursor::new(datagram.bytes);
    let channel = cursor.u16()?;
    let length = usize::from(cursor.u16()?);
    let over = |header: usize| datagram.wire_len.checked_sub(length.saturating_add(header));
    let (fits, header) = if channel == 0xff10 {
        let fits = over(4) == Some(0) || over(MULTIPLEXED_HEADER) == Some(0);
        (fits, MULTIPLEXED_HEADER)
    } else {
        (over(4).is_some_and(|padding| padding < 4), 4)
    };
    let data = datagram.bytes.get(header..).unwrap_or_default();
    // Without the padding.
    Ok(fits.then(|| data.get(..length).unwrap_or(data)))
}

#[cfg(test)]
mod tests;
