//! The connectionless protocol (C706 12.5): every datagram names its interface and operation.
//!
//! Datagrams of fragmented calls are noted, but not put together.

use uuid::Uuid;

use super::super::{Datagram, DatagramDecoder, Reject};
use super::bind::Syntax;
use super::epm::{self, Operation, Reply};
use super::latency::Waiting;
use super::ndr::Encoding;
use super::pdu::{AuthLevel, AuthType, Order};
use super::{
    ANSWERED, ANSWERED_WITHIN, AUTH_LEVEL, AUTH_TYPE, BOUND, FAULT, MESSAGE, OPNUM, REQUESTED,
    status,
};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;

/// The protocol's major version.
pub(super) const VERSION: u8 = 4;

crate::open_enum! {
    /// PDU types of the connectionless protocol (C706 12.5.3).
    pub(super) struct Kind(u8) {
        REQUEST = 0 => "request",
        PING = 1 => "ping",
        RESPONSE = 2 => "response",
        FAULT = 3 => "fault",
        WORKING = 4 => "working",
        NOCALL = 5 => "nocall",
        REJECT = 6 => "reject",
        ACK = 7 => "ack",
        CANCEL = 8 => "cl_cancel",
        FACK = 9 => "fack",
        CANCEL_ACK = 10 => "cancel_ack",
    }
}

/// What identifies a call: the activity, and its number there (C706 12.5.2.9 and 12.5.2.13).
type Call = (Uuid, u32);

/// One flow: every datagram stands for itself, and answers are timed.
#[derive(Default)]
pub(super) struct Datagrams {
    waiting: Waiting<Call>,
    /// The call that was answered last: a client that missed the answer sends its request again.
    done: Option<Call>,
}

/// The header: 80 bytes.
struct Header {
    kind: Kind,
    /// The message has several fragments.
    fragment: bool,
    /// The first, or only, of them.
    first: bool,
    /// The last, or only, of them.
    last: bool,
    call: Call,
    order: Order,
    interface: Syntax,
    opnum: u16,
    auth: AuthType,
    body: usize,
}

impl Header {
    const BYTES: usize = 80;
    /// More of the call follows, or came before.
    const FRAGMENT: u8 = 4;
    /// Nothing of it follows.
    const LAST: u8 = 2;
    /// Reserved bits of the two flag bytes.
    const RESERVED_1: u8 = 0x81;
    const RESERVED_2: u8 = 0xfd;
    /// Fragments of one call: even the largest arguments need far fewer.
    const MAX_FRAGMENTS: u16 = 0x1000;

    fn parse(datagram: Datagram<'_>) -> Result<Self, Reject> {
        let mut cursor = Cursor::new(datagram.bytes);
        let [version, kind, flags1, flags2, drep, float, zero, _] = *cursor.array::<8>()?;
        let kind = Kind(kind);
        if version != VERSION
            || kind.name().is_none()
            || flags1 & Self::RESERVED_1 != 0
            || flags2 & Self::RESERVED_2 != 0
            || float > 3
            || zero != 0
        {
            return Err(Reject::Other);
        }
        let order = Order::parse(drep).ok_or(Reject::Other)?;
        let _object = order.uuid(&mut cursor)?;
        let uuid = order.uuid(&mut cursor)?;
        let activity = order.uuid(&mut cursor)?;
        let _boot_time = order.u32(&mut cursor)?;
        let version = order.u32(&mut cursor)?;
        let sequence = order.u32(&mut cursor)?;
        let opnum = order.u16(&mut cursor)?;
        cursor.skip(4)?;
        let body = usize::from(order.u16(&mut cursor)?);
        let number = order.u16(&mut cursor)?;
        let auth = AuthType(cursor.u8()?);
        cursor.skip(1)?;
        let claimed = Self::BYTES.saturating_add(body);
        let fits = if auth == AuthType::NONE {
            claimed == datagram.wire_len
        } else {
            claimed < datagram.wire_len
        };
        if !fits || uuid.is_nil() || activity.is_nil() || number > Self::MAX_FRAGMENTS {
            return Err(Reject::Invalid("datagram length or identifiers"));
        }
        let [high, low, major_high, major_low] = version.to_be_bytes();
        Ok(Self {
            kind,
            fragment: flags1 & Self::FRAGMENT != 0,
            first: number == 0,
            last: flags1 & (Self::FRAGMENT | Self::LAST) != Self::FRAGMENT,
            call: (activity, sequence),
            order,
            interface: Syntax {
                uuid,
                major: u16::from_be_bytes([major_high, major_low]),
                minor: u16::from_be_bytes([high, low]),
            },
            opnum,
            auth,
            body,
        })
    }

    /// How the body is protected: the security trailer begins with it, at the next multiple of eight (MS-RPCE 2.2.3.4).
    fn level(&self, rest: &[u8]) -> Option<AuthLevel> {
        if self.auth == AuthType::NONE {
            return Some(AuthLevel::NONE);
        }
        let level = rest.get(self.body.checked_next_multiple_of(8)?)?;
        Some(AuthLevel(*level)).filter(|level| level.name().is_some())
    }

    fn client(&self, side: Side) -> Option<Side> {
        match self.kind {
            Kind::REQUEST | Kind::PING | Kind::ACK | Kind::CANCEL => Some(side),
            Kind::RESPONSE
            | Kind::FAULT
            | Kind::WORKING
            | Kind::NOCALL
            | Kind::REJECT
            | Kind::CANCEL_ACK => Some(side.other()),
            // Either side acknowledges fragments.
            _ => None,
        }
    }
}

impl DatagramDecoder for Datagrams {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let header = Header::parse(datagram)?;
        notes.proved();
        if let Some(client) = header.client(notes.side()) {
            notes.client(client);
        }
        match header.kind {
            Kind::REQUEST => {
                notes.value(REQUESTED, header.interface.value());
                notes.number(OPNUM, u64::from(header.opnum));
                notes.text(AUTH_TYPE, &header.auth.to_string());
            }
            // The call was executed: the server has the interface.
            Kind::RESPONSE => notes.value(BOUND, header.interface.value()),
            other => notes.text(MESSAGE, &other.to_string()),
        }
        self.time(&header, notes);
        let rest = datagram.bytes.get(Header::BYTES..).unwrap_or_default();
        let body = rest.get(..header.body).unwrap_or(rest);
        let level = header.level(rest);
        if matches!(header.kind, Kind::REQUEST | Kind::RESPONSE)
            && let Some(level) = level
        {
            notes.text(AUTH_LEVEL, &level.to_string());
        }
        match header.kind {
            Kind::FAULT | Kind::REJECT => {
                if let Ok(code) = header.order.u32(&mut Cursor::new(body)) {
                    notes.text(FAULT, &status::text(code));
                }
            }
            Kind::REQUEST | Kind::RESPONSE
                if is_mapper(&header.interface.uuid) && level != Some(AuthLevel::PRIVACY) =>
            {
                mapper(&header, body, notes);
            }
            _ => {}
        }
        Ok(())
    }
}

impl Datagrams {
    /// Takes the time of a call from the last fragment of the request, where it was first sent, to the first of the answer.
    fn time(&mut self, header: &Header, notes: &mut Notes<'_>) {
        let time = notes.moment().time;
        match header.kind {
            Kind::REQUEST if header.last && self.done != Some(header.call) => {
                self.waiting.asked_again(header.call, time);
            }
            Kind::RESPONSE | Kind::FAULT if header.first => {
                let Some(step) = self.waiting.answered(header.call, time) else {
                    return;
                };
                self.done = Some(header.call);
                notes.number(ANSWERED_WITHIN, step);
                if let Some(calls) = self.waiting.milestone(0) {
                    notes.number(ANSWERED, calls);
                }
            }
            _ => {}
        }
    }
}

fn is_mapper(interface: &Uuid) -> bool {
    *interface == epm::INTERFACE
}

fn mapper(header: &Header, stub: &[u8], notes: &mut Notes<'_>) {
    let Some(operation) = Operation::of(header.opnum).filter(|_| !header.fragment) else {
        return;
    };
    let encoding = Encoding {
        order: header.order,
        wide: false,
    };
    if header.kind == Kind::RESPONSE {
        Reply::parse(stub, operation, encoding).note(notes);
    } else if operation == Operation::Map
        && let Ok(interface) = epm::wanted(stub, encoding)
    {
        epm::note_wanted(interface, notes);
    }
}
