//! What all PDUs of the connection-oriented protocol share (C706 12.6.3, MS-RPCE 2.2.2): the header, the byte order, and
//! the security trailer.

use uuid::Uuid;

use super::super::Reject;
use crate::bytes::{Cursor, Short};

/// The protocol's major version.
pub(super) const VERSION: u8 = 5;

/// Byte order of a PDU's integers (C706 14.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    /// From the first byte of the data representation; the low nibble (character set) must be ASCII.
    pub(super) const fn parse(byte: u8) -> Option<Self> {
        match byte {
            0x10 => Some(Self::Little),
            0 => Some(Self::Big),
            _ => None,
        }
    }

    pub(super) fn u16(self, cursor: &mut Cursor<'_>) -> Result<u16, Short> {
        match self {
            Self::Little => cursor.u16_le(),
            Self::Big => cursor.u16(),
        }
    }

    pub(super) fn u32(self, cursor: &mut Cursor<'_>) -> Result<u32, Short> {
        match self {
            Self::Little => cursor.u32_le(),
            Self::Big => cursor.u32(),
        }
    }

    pub(super) fn u64(self, cursor: &mut Cursor<'_>) -> Result<u64, Short> {
        match self {
            Self::Little => cursor.u64_le(),
            Self::Big => cursor.u64(),
        }
    }

    /// A UUID: its first three fields are integers, the rest is bytes (C706 appendix A).
    pub(super) fn uuid(self, cursor: &mut Cursor<'_>) -> Result<Uuid, Short> {
        let bytes = *cursor.array::<16>()?;
        Ok(match self {
            Self::Little => Uuid::from_bytes_le(bytes),
            Self::Big => Uuid::from_bytes(bytes),
        })
    }
}

crate::open_enum! {
    /// PDU types of the connection-oriented protocol (C706 12.6.4, MS-RPCH 2.2.3.1 for RTS).
    pub(super) struct Kind(u8) {
        REQUEST = 0 => "request",
        RESPONSE = 2 => "response",
        FAULT = 3 => "fault",
        BIND = 11 => "bind",
        BIND_ACK = 12 => "bind_ack",
        BIND_NAK = 13 => "bind_nak",
        ALTER_CONTEXT = 14 => "alter_context",
        ALTER_CONTEXT_RESP = 15 => "alter_context_resp",
        AUTH3 = 16 => "auth3",
        SHUTDOWN = 17 => "shutdown",
        CO_CANCEL = 18 => "co_cancel",
        ORPHANED = 19 => "orphaned",
        RTS = 20 => "rts",
    }
}

impl Kind {
    /// Whether only clients send it; `None` where both may.
    pub(super) const fn is_of_client(self) -> Option<bool> {
        match self {
            Self::REQUEST
            | Self::BIND
            | Self::ALTER_CONTEXT
            | Self::AUTH3
            | Self::CO_CANCEL
            | Self::ORPHANED => Some(true),
            Self::RESPONSE
            | Self::FAULT
            | Self::BIND_ACK
            | Self::BIND_NAK
            | Self::ALTER_CONTEXT_RESP
            | Self::SHUTDOWN => Some(false),
            _ => None,
        }
    }

    /// The least fragment of this kind: header and fixed fields.
    pub(super) const fn least(self) -> usize {
        match self {
            Self::REQUEST | Self::RESPONSE | Self::FAULT => 24,
            Self::BIND | Self::ALTER_CONTEXT => 28,
            Self::BIND_ACK | Self::ALTER_CONTEXT_RESP => 26,
            Self::BIND_NAK => 18,
            Self::RTS => 20,
            _ => Header::BYTES,
        }
    }
}

/// The common header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) flags: u8,
    pub(super) order: Order,
    /// Length of the fragment: header and security trailer included.
    pub(super) length: usize,
    /// Length of the token after the security trailer's fixed part.
    pub(super) auth_length: usize,
    pub(super) call_id: u32,
}

impl Header {
    pub(super) const BYTES: usize = 16;
    /// Fixed part of the security trailer (MS-RPCE 2.2.2.11).
    pub(super) const TRAILER: usize = 8;
    const FIRST: u8 = 1;
    const LAST: u8 = 2;
    const OBJECT: u8 = 0x80;

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Reject> {
        let mut cursor = Cursor::new(bytes);
        let [version, minor, kind, flags, drep, float, zero, none] = *cursor.array::<8>()?;
        let kind = Kind(kind);
        if version != VERSION || minor > 1 || kind.name().is_none() {
            return Err(Reject::Other);
        }
        let order = Order::parse(drep).ok_or(Reject::Other)?;
        if float > 3 || zero != 0 || none != 0 {
            return Err(Reject::Other);
        }
        let length = usize::from(order.u16(&mut cursor)?);
        let auth_length = usize::from(order.u16(&mut cursor)?);
        let call_id = order.u32(&mut cursor)?;
        // Continued binds need not repeat their fixed fields; calls do.
        let repeats = matches!(kind, Kind::REQUEST | Kind::RESPONSE | Kind::FAULT);
        let least = if repeats || flags & Self::FIRST != 0 {
            kind.least()
        } else {
            Self::BYTES
        };
        let trailer = if auth_length == 0 {
            0
        } else {
            auth_length.saturating_add(Self::TRAILER)
        };
        // The token of a refused or third leg may leave no room for more than the header.
        if length < least || length < trailer.saturating_add(Self::BYTES) {
            return Err(Reject::Invalid("fragment length"));
        }
        Ok(Self {
            kind,
            flags,
            order,
            length,
            auth_length,
            call_id,
        })
    }

    /// Whether `bytes`, which may be short, can be the beginning of a header.
    pub(super) fn can_begin(bytes: &[u8]) -> bool {
        if bytes.len() >= Self::BYTES {
            return Self::parse(bytes).is_ok();
        }
        bytes.iter().zip(0..).all(|(&byte, offset)| match offset {
            0 => byte == VERSION,
            1 => byte <= 1,
            2 => Kind(byte).name().is_some(),
            4 => Order::parse(byte).is_some(),
            5 => byte <= 3,
            6 | 7 => byte == 0,
            _ => true,
        })
    }

    pub(super) const fn is_first(&self) -> bool {
        self.flags & Self::FIRST != 0
    }

    pub(super) const fn is_last(&self) -> bool {
        self.flags & Self::LAST != 0
    }

    /// Offset of a request's or response's stub.
    pub(super) fn stub_offset(&self) -> usize {
        if self.kind == Kind::REQUEST && self.flags & Self::OBJECT != 0 {
            40
        } else {
            24
        }
    }

    /// Offset of the security trailer, where there is one.
    pub(super) fn trailer_offset(&self) -> Option<usize> {
        let trailer = self.auth_length.checked_add(Self::TRAILER)?;
        (self.auth_length > 0)
            .then(|| self.length.checked_sub(trailer))
            .flatten()
    }
}

/// Security trailer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trailer {
    pub(super) service: AuthType,
    pub(super) level: AuthLevel,
    pub(super) padding: usize,
}

impl Trailer {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Reject> {
        let [service, level, padding, _, _, _, _, _] = *cursor.array::<8>()?;
        let (service, level) = (AuthType(service), AuthLevel(level));
        if level.name().is_none() {
            return Err(Reject::Invalid("authentication level"));
        }
        Ok(Self {
            service,
            level,
            padding: usize::from(padding),
        })
    }
}

crate::open_enum! {
    /// Security providers (MS-RPCE 2.2.1.1.7).
    pub(super) struct AuthType(u8) {
        NONE = 0 => "none",
        DCE_PRIVATE = 1 => "dce_private",
        DCE_PUBLIC = 2 => "dce_public",
        NEGOTIATE = 9 => "negotiate",
        NTLM = 10 => "ntlm",
        SCHANNEL = 14 => "schannel",
        KERBEROS = 16 => "kerberos",
        DPA = 17 => "dpa",
        MSN = 18 => "msn",
        DIGEST = 21 => "digest",
        NETLOGON = 68 => "netlogon",
        MSMQ = 100 => "msmq",
        DEFAULT = 255 => "default",
    }
}

crate::open_enum! {
    /// Authentication levels (MS-RPCE 2.2.1.1.8).
    pub(super) struct AuthLevel(u8) {
        DEFAULT = 0 => "default",
        NONE = 1 => "none",
        CONNECT = 2 => "connect",
        CALL = 3 => "call",
        PACKET = 4 => "packet",
        INTEGRITY = 5 => "integrity",
        PRIVACY = 6 => "privacy",
    }
}
