//! One message: header, attributes, and what they say.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{CLASS, ERROR, METHOD, MS_VERSION, REALM, SOFTWARE};
use crate::bytes::{Cursor, Short};
use crate::evidence::{Notes, Offered};
use crate::net::{Endpoint, Transport};
use crate::open_enum;
use crate::protocol::Reject;

/// RFC 8489 section 5.
pub(super) const HEADER: usize = 20;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
/// The first attribute of MS-TURN messages (MS-TURN 2.2.2).
const MS_COOKIE: [u8; 8] = [0, 0x0f, 0, 4, 0x72, 0xc6, 0x4b, 0xc6];

open_enum! {
    /// Attributes (IANA "STUN Attributes", RFC 3489, MS-TURN 2.2.2).
    struct Kind(u16) {
        /// Reflected address; of an allocation in MS-TURN, the relayed one.
        MAPPED_ADDRESS = 0x0001 => "MAPPED-ADDRESS",
        /// RFC 3489.
        RESPONSE_ADDRESS = 0x0002 => "RESPONSE-ADDRESS",
        /// Which address to answer from.
        CHANGE_REQUEST = 0x0003 => "CHANGE-REQUEST",
        /// RFC 3489.
        SOURCE_ADDRESS = 0x0004 => "SOURCE-ADDRESS",
        /// RFC 3489.
        CHANGED_ADDRESS = 0x0005 => "CHANGED-ADDRESS",
        /// RFC 3489.
        REFLECTED_FROM = 0x000b => "REFLECTED-FROM",
        /// What went wrong.
        ERROR_CODE = 0x0009 => "ERROR-CODE",
        /// Realm of long-term credentials.
        REALM = 0x0014 => "REALM",
        /// Relayed address.
        XOR_RELAYED_ADDRESS = 0x0016 => "XOR-RELAYED-ADDRESS",
        /// Version of the Microsoft protocols.
        MS_VERSION = 0x8008 => "MS-VERSION",
        /// XOR-MAPPED-ADDRESS of drafts.
        DRAFT_XOR_MAPPED_ADDRESS = 0x8020 => "XOR-MAPPED-ADDRESS",
        /// Description of the agent.
        SOFTWARE = 0x8022 => "SOFTWARE",
    }
}

/// Which specification a message follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    /// RFC 5389 and later.
    Modern,
    /// MS-TURN, after an early draft of TURN.
    Microsoft,
    /// RFC 3489.
    Classic,
}

/// A message whose lengths agree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    dialect: Dialect,
    kind: u16,
    /// Cookie and transaction identifier, with which addresses are masked.
    mask: &'a [u8; 16],
    /// The attributes, as far as they were captured.
    body: &'a [u8],
    /// Attributes are padded to four bytes.
    is_padded: bool,
}

impl<'a> Message<'a> {
    /// Reads a message of `wire_len` bytes, of which `bytes` were captured.
    pub(super) fn parse(bytes: &'a [u8], wire_len: usize) -> Result<Self, Reject> {
        let mut cursor = Cursor::new(bytes);
        let kind = cursor.u16()?;
        let length = usize::from(cursor.u16()?);
        if kind > 0x3fff || length.saturating_add(HEADER) != wire_len {
            return Err(Reject::Other);
        }
        let mask: &[u8; 16] = cursor.array()?;
        let is_cut = bytes.len() < wire_len;
        let mut message = Self {
            dialect: dialect(mask, cursor.rest()),
            kind,
            mask,
            body: cursor.rest(),
            is_padded: true,
        };
        if message.dialect == Dialect::Classic && (is_cut || !message.is_classic()) {
            return Err(Reject::Invalid("message of RFC 3489"));
        }
        let fits = message.fits(is_cut) || {
            // Agents of Lync pad their attributes, or do not.
            message.is_padded = false;
            message.dialect == Dialect::Microsoft && message.fits(is_cut)
        };
        if fits {
            Ok(message)
        } else {
            Err(Reject::Invalid("attributes"))
        }
    }

    /// Whether it cannot be anything else: it carries a cookie, or attributes of RFC 3489.
    pub(super) const fn is_proof(&self) -> bool {
        !matches!(self.dialect, Dialect::Classic) || !self.body.is_empty()
    }

    /// Whether attributes fill the message exactly; of a cut one, as far as it was captured.
    fn fits(&self, is_cut: bool) -> bool {
        let is_whole = !self.is_padded || self.body.len().is_multiple_of(4);
        is_cut || (is_whole && self.attributes().all(|attribute| attribute.is_ok()))
    }

    /// A method of RFC 3489, with attributes that it defines and values that they may have.
    fn is_classic(&self) -> bool {
        matches!(
            self.kind,
            0x0001 | 0x0101 | 0x0111 | 0x0002 | 0x0102 | 0x0112
        ) && self.attributes().all(|attribute| {
            attribute.is_ok_and(|(kind, value)| match kind {
                Kind::MAPPED_ADDRESS
                | Kind::RESPONSE_ADDRESS
                | Kind::SOURCE_ADDRESS
                | Kind::CHANGED_ADDRESS
                | Kind::REFLECTED_FROM
                | Kind::DRAFT_XOR_MAPPED_ADDRESS => matches!(value, [0, 1, _, _, _, _, _, _]),
                Kind::CHANGE_REQUEST => matches!(value, [0, 0, 0, 0 | 2 | 4 | 6]),
                Kind::ERROR_CODE => error_code(value).is_some(),
                Kind(0x0006 | 0x0007 | 0x000a) | Kind::SOFTWARE => value.len().is_multiple_of(4),
                // MESSAGE-INTEGRITY.
                Kind(0x0008) => value.len() == 20,
                _ => false,
            })
        })
    }

    fn attributes(&self) -> Attributes<'a> {
        Attributes {
            cursor: Cursor::new(self.body),
            is_padded: self.is_padded,
        }
    }

    /// Method and class. The class is spread over two bits (RFC 8489 section 5); MS-TURN has one type beside that.
    fn method(&self) -> (u16, &'static str) {
        let method = self.kind & 0xf | self.kind >> 1 & 0x70 | self.kind >> 2 & 0xf80;
        let class = match (self.kind >> 8 & 1, self.kind >> 4 & 1) {
            (1, 1) if self.dialect == Dialect::Microsoft && method == 5 => "indication",
            (0, 0) => "request",
            (0, _) => "indication",
            (_, 0) => "success",
            _ => "error",
        };
        (method, class)
    }

    fn method_name(&self, method: u16) -> Option<&'static str> {
        Some(match (method, self.dialect) {
            (4, Dialect::Microsoft) => "send",
            (5, Dialect::Microsoft) => "data",
            (6, Dialect::Microsoft) => "set_active_destination",
            (1, _) => "binding",
            (2, _) => "shared_secret",
            (3, _) => "allocate",
            (4, _) => "refresh",
            (6, _) => "send",
            (7, _) => "data",
            (8, _) => "create_permission",
            (9, _) => "channel_bind",
            (10, _) => "connect",
            (11, _) => "connection_bind",
            (12, _) => "connection_attempt",
            _ => return None,
        })
    }

    /// An address, unmasked where it is masked (RFC 8489 section 14.2).
    fn address(&self, value: &[u8], is_masked: bool) -> Result<Endpoint, Reject> {
        let mask = if is_masked { *self.mask } else { [0; 16] };
        let mut cursor = Cursor::new(value);
        let (_zero, family) = (cursor.u8()?, cursor.u8()?);
        let [high, low, ..] = mask;
        let port = cursor.u16()? ^ u16::from_be_bytes([high, low]);
        let mask = u128::from_be_bytes(mask);
        let address: IpAddr = match family {
            1 => {
                let [a, b, c, d, ..] = mask.to_be_bytes();
                Ipv4Addr::from_bits(cursor.u32()? ^ u32::from_be_bytes([a, b, c, d])).into()
            }
            2 => Ipv6Addr::from_bits(cursor.u128()? ^ mask).into(),
            _ => return Err(Reject::Invalid("address family")),
        };
        if cursor.is_empty() {
            Ok(Endpoint::new(address, port))
        } else {
            Err(Reject::Invalid("address length"))
        }
    }
}

fn dialect(mask: &[u8; 16], body: &[u8]) -> Dialect {
    if mask.starts_with(&COOKIE) {
        Dialect::Modern
    } else if body.starts_with(&MS_COOKIE) {
        Dialect::Microsoft
    } else {
        Dialect::Classic
    }
}

/// Whether `bytes` may begin a message with a cookie: `None` while too few of them are there.
pub(super) fn has_cookie(bytes: &[u8]) -> Option<bool> {
    let is_begun = |at: usize, cookie: &[u8]| {
        let there = bytes.get(at..).unwrap_or_default();
        let common = there.len().min(cookie.len());
        there.get(..common) == cookie.get(..common)
    };
    let is_modern = is_begun(4, &COOKIE);
    let is_microsoft = is_begun(HEADER, &MS_COOKIE);
    if is_modern && bytes.len() >= HEADER {
        return Some(true);
    }
    if is_microsoft && bytes.len() >= HEADER.saturating_add(MS_COOKIE.len()) {
        return Some(true);
    }
    (!is_modern && !is_microsoft).then_some(false)
}

/// Attributes in order, until one does not fit.
struct Attributes<'a> {
    cursor: Cursor<'a>,
    is_padded: bool,
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<(Kind, &'a [u8]), Short>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.cursor.is_empty() {
            return None;
        }
        let attribute = self.attribute();
        if attribute.is_err() {
            self.cursor = Cursor::new(&[]);
        }
        Some(attribute)
    }
}

impl<'a> Attributes<'a> {
    fn attribute(&mut self) -> Result<(Kind, &'a [u8]), Short> {
        let kind = Kind(self.cursor.u16()?);
        let length = self.cursor.u16()?;
        let value = self.cursor.take(usize::from(length))?;
        if self.is_padded {
            self.cursor.align(4);
        }
        Ok((kind, value))
    }
}

/// Code and reason of an ERROR-CODE (RFC 8489 section 14.8).
fn error_code(value: &[u8]) -> Option<(u16, &[u8])> {
    match value {
        [0, 0, class @ 3..=6, number @ 0..=99, reason @ ..] => {
            let hundreds = u16::from(*class).saturating_mul(100);
            Some((hundreds.saturating_add(u16::from(*number)), reason))
        }
        _ => None,
    }
}

/// Notes what a message says.
pub(super) fn note(message: &Message<'_>, notes: &mut Notes<'_>) {
    notes.proved();
    let (method, class) = message.method();
    match message.method_name(method) {
        Some(name) => notes.text(METHOD, name),
        None => notes.number(METHOD, u64::from(method)),
    }
    notes.text(CLASS, class);
    // ICE asks in both directions; only clients ask for a relay.
    if method == 3 {
        let is_request = class == "request";
        let sender = notes.side();
        notes.client(if is_request { sender } else { sender.other() });
    }
    for (kind, value) in message.attributes().map_while(Result::ok) {
        match kind {
            Kind::SOFTWARE => notes.bytes(SOFTWARE, trimmed(value)),
            Kind::REALM => notes.bytes(REALM, trimmed(value)),
            Kind::MS_VERSION => {
                if let Ok(version) = Cursor::new(value).u32() {
                    notes.number(MS_VERSION, u64::from(version));
                }
            }
            Kind::ERROR_CODE => {
                if let Some((code, reason)) = error_code(value) {
                    let reason = String::from_utf8_lossy(trimmed(reason));
                    notes.text(ERROR, format!("{code} {reason}").trim_end());
                }
            }
            Kind::XOR_RELAYED_ADDRESS if message.dialect == Dialect::Modern => {
                if let Ok(relayed) = message.address(value, true) {
                    notes.offer(Transport::UDP, relayed, Offered::Relay);
                }
            }
            // A relay of MS-TURN has the transport of the request.
            Kind::MAPPED_ADDRESS
                if message.dialect == Dialect::Microsoft && (method, class) == (3, "success") =>
            {
                if let Ok(relayed) = message.address(value, false) {
                    let transport = notes.moment().key.transport;
                    notes.offer(transport, relayed, Offered::Relay);
                }
            }
            _ => {}
        }
    }
}

/// A text without the spaces and zero bytes with which old agents pad it.
fn trimmed(text: &[u8]) -> &[u8] {
    let end = text
        .iter()
        .rposition(|byte| !matches!(byte, 0 | b' '))
        .and_then(|last| text.get(..=last));
    end.unwrap_or_default()
}
