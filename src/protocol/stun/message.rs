//! One message: header, attributes, and what they say.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    AUTHENTICATION, CHANNEL, CLASS, DIALECT, ERROR, ICE_ROLE, MAPPED_ADDRESS, METHOD,
    MS_IMPLEMENTATION, MS_SERVICE_QUALITY, MS_VERSION, PEER_ADDRESS, REALM, REFUSED, SOFTWARE,
    USE_CANDIDATE,
};
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
        /// Who asks; never noted.
        USERNAME = 0x0006 => "USERNAME",
        /// A code over the message, under the key of the user.
        MESSAGE_INTEGRITY = 0x0008 => "MESSAGE-INTEGRITY",
        /// RFC 3489.
        REFLECTED_FROM = 0x000b => "REFLECTED-FROM",
        /// The channel to bind.
        CHANNEL_NUMBER = 0x000c => "CHANNEL-NUMBER",
        /// MS-TURN: where to send to.
        DESTINATION_ADDRESS = 0x0011 => "DESTINATION-ADDRESS",
        /// The other end of relayed data; in clear in MS-TURN.
        XOR_PEER_ADDRESS = 0x0012 => "XOR-PEER-ADDRESS",
        /// Relayed data.
        DATA = 0x0013 => "DATA",
        /// What went wrong.
        ERROR_CODE = 0x0009 => "ERROR-CODE",
        /// Realm of long-term credentials.
        REALM = 0x0014 => "REALM",
        /// Relayed address.
        XOR_RELAYED_ADDRESS = 0x0016 => "XOR-RELAYED-ADDRESS",
        /// A code as MESSAGE-INTEGRITY, by another hash.
        MESSAGE_INTEGRITY_SHA256 = 0x001c => "MESSAGE-INTEGRITY-SHA256",
        /// Reflected address.
        XOR_MAPPED_ADDRESS = 0x0020 => "XOR-MAPPED-ADDRESS",
        /// ICE: this pair is to be used.
        USE_CANDIDATE = 0x0025 => "USE-CANDIDATE",
        /// Version of the Microsoft protocols.
        MS_VERSION = 0x8008 => "MS-VERSION",
        /// XOR-MAPPED-ADDRESS of drafts.
        DRAFT_XOR_MAPPED_ADDRESS = 0x8020 => "XOR-MAPPED-ADDRESS",
        /// Description of the agent.
        SOFTWARE = 0x8022 => "SOFTWARE",
        /// ICE: the sender lets the other end choose.
        ICE_CONTROLLED = 0x8029 => "ICE-CONTROLLED",
        /// ICE: the sender chooses.
        ICE_CONTROLLING = 0x802a => "ICE-CONTROLLING",
        /// What the relay is to carry (MS-TURN 2.2.2.19).
        MS_SERVICE_QUALITY = 0x8055 => "MS-SERVICE-QUALITY",
        /// Version of an ICE agent (MS-ICE2 2.2).
        MS_IMPLEMENTATION_VERSION = 0x8070 => "IMPLEMENTATION-VERSION",
    }
}

open_enum! {
    /// What an allocation of MS-TURN carries.
    struct StreamType(u16) {
        /// Speech.
        AUDIO = 1 => "audio",
        /// Pictures.
        VIDEO = 2 => "video",
        /// A second picture.
        SUPPLEMENTAL_VIDEO = 3 => "supplemental_video",
        /// Application sharing and files.
        DATA = 4 => "data",
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
            // Agents of Lync pad their attributes, or do not; those of others leave it out at the end.
            message.is_padded = false;
            let may_be = match message.dialect {
                Dialect::Microsoft => true,
                Dialect::Modern => !message.body.len().is_multiple_of(4),
                Dialect::Classic => false,
            };
            may_be && message.fits(is_cut)
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

impl Dialect {
    const fn name(self) -> &'static str {
        match self {
            Self::Modern => "rfc8489",
            Self::Microsoft => "ms_turn",
            Self::Classic => "rfc3489",
        }
    }
}

/// Newer agents of Lync send both cookies: the attribute decides what the methods mean.
fn dialect(mask: &[u8; 16], body: &[u8]) -> Dialect {
    if body.starts_with(&MS_COOKIE) {
        Dialect::Microsoft
    } else if mask.starts_with(&COOKIE) {
        Dialect::Modern
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

/// The nonce of a signed request is too old (RFC 8489 section 14.8): the client asks again with the new one.
const STALE_NONCE: u16 = 438;

/// The latest request to a relay that was signed, by its transaction: an error that answers it is no challenge.
#[derive(Debug, Default)]
pub(super) struct Signed(Option<[u8; 16]>);

/// Notes what a message says. Returns the data that it relays.
pub(super) fn note<'a>(
    message: &Message<'a>,
    signed: &mut Signed,
    notes: &mut Notes<'_>,
) -> Option<&'a [u8]> {
    notes.proved();
    let (method, class) = message.method();
    let name = message.method_name(method);
    match name {
        Some(name) => notes.text(METHOD, name),
        None => notes.number(METHOD, u64::from(method)),
    }
    notes.text(CLASS, class);
    notes.text(DIALECT, message.dialect.name());
    if let Some(is_sender) = is_client(name.unwrap_or_default(), class) {
        let sender = notes.side();
        notes.client(if is_sender { sender } else { sender.other() });
    }
    let mut credentials = Credentials::default();
    let mut data = None;
    let is_of_relay = is_client(name.unwrap_or_default(), class).is_some();
    let answers_signed = class == "error" && is_of_relay && signed.0.as_ref() == Some(message.mask);
    for (kind, value) in message.attributes().map_while(Result::ok) {
        if let (true, Kind::ERROR_CODE, Some((code, reason))) =
            (answers_signed, kind, error_code(value))
            && code != STALE_NONCE
        {
            let reason = String::from_utf8_lossy(trimmed(reason));
            let refused = format!("{} {code} {reason}", name.unwrap_or_default());
            notes.text(REFUSED, refused.trim_end());
        }
        match kind {
            Kind::DATA if matches!(name, Some("send" | "data")) => data = Some(value),
            Kind::USERNAME => credentials.user = true,
            Kind::MESSAGE_INTEGRITY | Kind::MESSAGE_INTEGRITY_SHA256 => {
                credentials.signature = true;
            }
            Kind::REALM => {
                credentials.realm = true;
                notes.bytes(REALM, trimmed(value));
            }
            _ => message.attribute(kind, value, name.unwrap_or_default(), notes),
        }
    }
    if class == "request" {
        notes.text(AUTHENTICATION, credentials.mechanism());
        if is_of_relay && credentials.signature {
            signed.0 = Some(*message.mask);
        }
    }
    data
}

/// Whether the sender of a message is the client of a relay, where the message shows it. ICE asks in both directions;
/// only clients ask a relay.
fn is_client(method: &str, class: &str) -> Option<bool> {
    match (method, class) {
        ("send", "indication") => Some(true),
        ("data" | "connection_attempt", "indication") => Some(false),
        (
            "allocate"
            | "refresh"
            | "create_permission"
            | "channel_bind"
            | "connect"
            | "connection_bind"
            | "set_active_destination"
            | "send",
            _,
        ) => Some(class == "request"),
        _ => None,
    }
}

/// What a request shows to be allowed (RFC 8489 section 9); never the values.
#[derive(Default)]
struct Credentials {
    user: bool,
    realm: bool,
    signature: bool,
}

impl Credentials {
    const fn mechanism(&self) -> &'static str {
        match (self.signature, self.realm, self.user) {
            (true, true, _) => "long_term",
            (true, false, true) => "short_term",
            _ => "",
        }
    }
}

impl Message<'_> {
    /// Notes what one attribute of a message of `method` says.
    fn attribute(&self, kind: Kind, value: &[u8], method: &str, notes: &mut Notes<'_>) {
        let class = self.method().1;
        let is_microsoft = self.dialect == Dialect::Microsoft;
        let number = || Cursor::new(value).u32().ok();
        match kind {
            Kind::SOFTWARE => notes.bytes(SOFTWARE, trimmed(value)),
            Kind::MS_VERSION => {
                if let Some(version) = number() {
                    notes.number(MS_VERSION, u64::from(version));
                }
            }
            Kind::MS_IMPLEMENTATION_VERSION => {
                if let Some(version) = number() {
                    notes.number(MS_IMPLEMENTATION, u64::from(version));
                }
            }
            Kind::MS_SERVICE_QUALITY => {
                let stream = Cursor::new(value).u16().map(StreamType);
                if let Some(name) = stream.ok().and_then(StreamType::name) {
                    notes.text(MS_SERVICE_QUALITY, name);
                }
            }
            Kind::ERROR_CODE => {
                if let Some((code, reason)) = error_code(value) {
                    let reason = String::from_utf8_lossy(trimmed(reason));
                    notes.text(ERROR, format!("{code} {reason}").trim_end());
                }
            }
            Kind::ICE_CONTROLLED if class == "request" => notes.text(ICE_ROLE, "controlled"),
            Kind::ICE_CONTROLLING if class == "request" => notes.text(ICE_ROLE, "controlling"),
            Kind::USE_CANDIDATE if class == "request" => notes.number(USE_CANDIDATE, 1),
            Kind::CHANNEL_NUMBER if method == "channel_bind" => {
                if let Ok(channel) = Cursor::new(value).u16() {
                    notes.number(CHANNEL, u64::from(channel));
                }
            }
            Kind::XOR_RELAYED_ADDRESS if self.dialect == Dialect::Modern => {
                if let Ok(relayed) = self.address(value, true) {
                    notes.offer(Transport::UDP, relayed, Offered::Relay);
                }
            }
            // A relay of MS-TURN has the transport of the request, and its address stands where others reflect.
            Kind::MAPPED_ADDRESS if is_microsoft => {
                if let (Ok(relayed), "allocate", "success") =
                    (self.address(value, false), method, class)
                {
                    let transport = notes.moment().key.transport;
                    notes.offer(transport, relayed, Offered::Relay);
                }
            }
            Kind::MAPPED_ADDRESS if class == "success" => {
                self.endpoint(MAPPED_ADDRESS, value, false, notes);
            }
            Kind::XOR_MAPPED_ADDRESS | Kind::DRAFT_XOR_MAPPED_ADDRESS if class == "success" => {
                self.endpoint(MAPPED_ADDRESS, value, true, notes);
            }
            Kind::XOR_PEER_ADDRESS => self.endpoint(PEER_ADDRESS, value, !is_microsoft, notes),
            Kind::DESTINATION_ADDRESS if is_microsoft => {
                self.endpoint(PEER_ADDRESS, value, false, notes);
            }
            _ => {}
        }
    }

    fn endpoint(
        &self,
        attribute: &'static str,
        value: &[u8],
        is_masked: bool,
        notes: &mut Notes<'_>,
    ) {
        if let Ok(endpoint) = self.address(value, is_masked) {
            notes.text(attribute, &endpoint.to_string());
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
