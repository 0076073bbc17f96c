//! Binding (C706 12.6.3.1 to 12.6.4.4, MS-RPCE 2.2.2): what a client proposes, what a server accepts.

use smallvec::SmallVec;
use uuid::{Uuid, uuid};

use super::pdu::{Header, Kind, Order, VERSION};
use crate::bytes::{Cursor, Short};
use crate::evidence::Value;

/// NDR in its 64-bit form (MS-RPCE 2.2.4.12).
const NDR64: Uuid = uuid!("71710533-beba-4937-8319-b5dbef9ccc36");
/// NDR (C706 14).
const NDR: Uuid = uuid!("8a885d04-1ceb-11c9-9fe8-08002b104860");
/// The first eight bytes that all identifiers of bind-time feature negotiation share (MS-RPCE 3.3.1.5.3).
const FEATURES: u64 = 0x6cb7_1c2c_9812_4540;

/// An interface or transfer syntax: identifier and version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Syntax {
    pub(super) uuid: Uuid,
    pub(super) major: u16,
    pub(super) minor: u16,
}

impl Syntax {
    fn parse(cursor: &mut Cursor<'_>, order: Order) -> Result<Self, Short> {
        let uuid = order.uuid(cursor)?;
        // One u32: the major version in its low half.
        let version = order.u32(cursor)?;
        let [high, low, major_high, major_low] = version.to_be_bytes();
        Ok(Self {
            uuid,
            major: u16::from_be_bytes([major_high, major_low]),
            minor: u16::from_be_bytes([high, low]),
        })
    }

    /// Whether it names an encoding, not a service.
    pub(super) fn is_transfer(&self) -> bool {
        self.uuid == NDR || self.uuid == NDR64 || self.uuid.as_u64_pair().0 == FEATURES
    }

    pub(super) fn is_ndr64(&self) -> bool {
        self.uuid == NDR64
    }

    pub(super) const fn value(self) -> Value {
        Value::Interface {
            uuid: self.uuid,
            major: self.major,
            minor: self.minor,
        }
    }
}

/// A presentation context that a client proposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Proposal {
    pub(super) context: u16,
    pub(super) interface: Syntax,
}

/// Proposals of a bind or alter_context: at most 255, as counted in one byte.
pub(super) type Proposals = SmallVec<[Proposal; 4]>;

/// The proposals of a bind or alter_context, as far as `bytes` (the PDU, perhaps its beginning) holds them whole.
pub(super) fn proposals(header: &Header, bytes: &[u8]) -> Proposals {
    let mut found = Proposals::new();
    let mut cursor = Cursor::new(bytes);
    let mut read = || -> Result<(), Short> {
        // Header, two maximum sizes, association group.
        cursor.skip(Header::BYTES.saturating_add(8))?;
        let count = cursor.u8()?;
        cursor.skip(3)?;
        for _ in 0..count {
            let context = header.order.u16(&mut cursor)?;
            let transfers = cursor.u8()?;
            cursor.skip(1)?;
            let interface = Syntax::parse(&mut cursor, header.order)?;
            found.push(Proposal { context, interface });
            for _ in 0..transfers {
                Syntax::parse(&mut cursor, header.order)?;
            }
        }
        Ok(())
    };
    // A cut PDU still proves the contexts before the cut.
    let _ = read();
    found
}

/// One result of a bind_ack or alter_context_resp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) result: u16,
    pub(super) reason: u16,
    pub(super) transfer: Syntax,
}

impl Outcome {
    pub(super) const ACCEPTED: u16 = 0;

    /// Why the context was refused (MS-RPCE 2.2.2.4, `p_provider_reason_t`).
    pub(super) const fn reason_name(&self) -> Option<&'static str> {
        match (self.result, self.reason) {
            (1, _) => Some("user rejection"),
            (2, 0) => Some("reason not specified"),
            (2, 1) => Some("abstract syntax not supported"),
            (2, 2) => Some("transfer syntaxes not supported"),
            (2, 3) => Some("local limit exceeded"),
            (2, _) => Some("provider rejection"),
            _ => None,
        }
    }
}

/// What a server answers to a bind.
#[derive(Debug, Default)]
pub(super) struct Acknowledgement<'a> {
    /// Text before the terminating NUL.
    pub(super) secondary_address: &'a [u8],
    pub(super) outcomes: SmallVec<[Outcome; 4]>,
}

/// The acknowledgement, as far as `bytes` holds it.
pub(super) fn acknowledgement<'a>(header: &Header, bytes: &'a [u8]) -> Acknowledgement<'a> {
    let mut found = Acknowledgement::default();
    let mut cursor = Cursor::new(bytes);
    let mut read = || -> Result<(), Short> {
        cursor.skip(Header::BYTES.saturating_add(8))?;
        let length = usize::from(header.order.u16(&mut cursor)?);
        let address = cursor.take(length)?;
        // Some servers leave the NUL out.
        found.secondary_address = address.split(|&byte| byte == 0).next().unwrap_or_default();
        cursor.align(4);
        let count = cursor.u8()?;
        cursor.skip(3)?;
        for _ in 0..count {
            let result = header.order.u16(&mut cursor)?;
            let reason = header.order.u16(&mut cursor)?;
            let transfer = Syntax::parse(&mut cursor, header.order)?;
            found.outcomes.push(Outcome {
                result,
                reason,
                transfer,
            });
        }
        Ok(())
    };
    let _ = read();
    found
}

/// Whether the bytes are one whole bind_nak that answers a foreign version with those that the server speaks, the
/// protocol's own first (C706 12.6.4.5): what a server says to whoever speaks something else.
pub(super) fn refuses_version(bytes: &[u8]) -> bool {
    let read = || -> Option<bool> {
        let header = Header::parse(bytes).ok()?;
        let mut cursor = Cursor::new(bytes.get(..header.length)?);
        cursor.skip(Header::BYTES).ok()?;
        let reason = NakReason(header.order.u16(&mut cursor).ok()?);
        let versions = usize::from(cursor.u8().ok()?);
        let listed = cursor.take(versions.checked_mul(2)?).ok()?;
        let is_alone = bytes.len() == header.length && header.kind == Kind::BIND_NAK;
        Some(is_alone && reason == NakReason::VERSION && listed.first() == Some(&VERSION))
    };
    read().unwrap_or(false)
}

crate::open_enum! {
    /// Why a bind was refused as a whole (C706 12.6.3.1, MS-RPCE 2.2.2.9).
    pub(super) struct NakReason(u16) {
        NOT_SPECIFIED = 0 => "reason not specified",
        CONGESTION = 1 => "temporary congestion",
        LOCAL_LIMIT = 2 => "local limit exceeded",
        ADDRESS = 3 => "called paddr unknown",
        VERSION = 4 => "protocol version not supported",
        CONTEXT = 5 => "default context not supported",
        USER_DATA = 6 => "user data not readable",
        NO_PSAP = 7 => "no psap available",
        AUTH_TYPE = 8 => "authentication type not recognized",
        CHECKSUM = 9 => "invalid checksum",
    }
}
