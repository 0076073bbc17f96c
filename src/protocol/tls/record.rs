//! The record layer (RFC 8446 §5): headers, alerts, and the imitation of a handshake before TURN (MS-TURN §2.1.1).

use crate::bytes::Cursor;
use crate::open_enum;
use crate::protocol::Reject;

/// Record contents, RFC 8446 §5.1: 2^14 bytes, and 2048 of expansion up to TLS 1.2.
const MAX_RECORD: u16 = (1 << 14) + 2048;
open_enum! {
    /// Record types.
    pub(in crate::protocol) struct Content(u8) {
        /// Everything after it is encrypted, up to TLS 1.2.
        CHANGE_CIPHER_SPEC = 20 => "change_cipher_spec",
        /// An alert.
        ALERT = 21 => "alert",
        /// Handshake messages.
        HANDSHAKE = 22 => "handshake",
        /// Data, and in TLS 1.3 everything that is encrypted.
        APPLICATION_DATA = 23 => "application_data",
        /// RFC 6520.
        HEARTBEAT = 24 => "heartbeat",
    }
}

open_enum! {
    /// Alert descriptions, RFC 8446 §6 and RFC 5246 §7.2.
    pub(in crate::protocol) struct Alert(u8) {
        /// Regular end.
        CLOSE_NOTIFY = 0 => "close_notify",
        /// A message out of order.
        UNEXPECTED_MESSAGE = 10 => "unexpected_message",
        /// Wrong authentication code.
        BAD_RECORD_MAC = 20 => "bad_record_mac",
        /// TLS 1.0.
        DECRYPTION_FAILED = 21 => "decryption_failed",
        /// Too long.
        RECORD_OVERFLOW = 22 => "record_overflow",
        /// Up to TLS 1.2.
        DECOMPRESSION_FAILURE = 30 => "decompression_failure",
        /// No common parameters.
        HANDSHAKE_FAILURE = 40 => "handshake_failure",
        /// SSL 3.0: the client has none.
        NO_CERTIFICATE = 41 => "no_certificate",
        /// Broken certificate.
        BAD_CERTIFICATE = 42 => "bad_certificate",
        /// Unknown kind of certificate.
        UNSUPPORTED_CERTIFICATE = 43 => "unsupported_certificate",
        /// Revoked.
        CERTIFICATE_REVOKED = 44 => "certificate_revoked",
        /// Expired, or not yet valid.
        CERTIFICATE_EXPIRED = 45 => "certificate_expired",
        /// Not accepted for another reason.
        CERTIFICATE_UNKNOWN = 46 => "certificate_unknown",
        /// A field out of range.
        ILLEGAL_PARAMETER = 47 => "illegal_parameter",
        /// No trusted issuer.
        UNKNOWN_CA = 48 => "unknown_ca",
        /// Valid, but not allowed.
        ACCESS_DENIED = 49 => "access_denied",
        /// Cannot be parsed.
        DECODE_ERROR = 50 => "decode_error",
        /// A signature or Finished is wrong.
        DECRYPT_ERROR = 51 => "decrypt_error",
        /// TLS 1.0.
        EXPORT_RESTRICTION = 60 => "export_restriction",
        /// No common version.
        PROTOCOL_VERSION = 70 => "protocol_version",
        /// The client's suites are too weak.
        INSUFFICIENT_SECURITY = 71 => "insufficient_security",
        /// Not the peer's fault.
        INTERNAL_ERROR = 80 => "internal_error",
        /// RFC 7507.
        INAPPROPRIATE_FALLBACK = 86 => "inappropriate_fallback",
        /// The user gave up.
        USER_CANCELED = 90 => "user_canceled",
        /// Up to TLS 1.2.
        NO_RENEGOTIATION = 100 => "no_renegotiation",
        /// An extension is missing.
        MISSING_EXTENSION = 109 => "missing_extension",
        /// An extension that was not offered.
        UNSUPPORTED_EXTENSION = 110 => "unsupported_extension",
        /// RFC 6066.
        CERTIFICATE_UNOBTAINABLE = 111 => "certificate_unobtainable",
        /// No such host here.
        UNRECOGNIZED_NAME = 112 => "unrecognized_name",
        /// RFC 6066.
        BAD_CERTIFICATE_STATUS_RESPONSE = 113 => "bad_certificate_status_response",
        /// RFC 6066.
        BAD_CERTIFICATE_HASH_VALUE = 114 => "bad_certificate_hash_value",
        /// RFC 4279.
        UNKNOWN_PSK_IDENTITY = 115 => "unknown_psk_identity",
        /// TLS 1.3: the client must have one.
        CERTIFICATE_REQUIRED = 116 => "certificate_required",
        /// RFC 7301.
        NO_APPLICATION_PROTOCOL = 120 => "no_application_protocol",
    }
}

/// Record header, RFC 8446 §5.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) content: Content,
    pub(super) version: u16,
    pub(super) length: u16,
}

impl Record {
    pub(super) const HEADER: usize = 5;

    /// Reads a header whose fields agree with each other.
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Reject> {
        let record = Self {
            content: Content(cursor.u8()?),
            version: cursor.u16()?,
            length: cursor.u16()?,
        };
        let sane = match record.content {
            Content::CHANGE_CIPHER_SPEC => record.length == 1,
            // In clear two bytes; encrypted at least as much again as a code and a padding.
            Content::ALERT => matches!(record.length, 2 | 17..=256),
            Content::HANDSHAKE => (4..=MAX_RECORD).contains(&record.length),
            Content::APPLICATION_DATA => record.length <= MAX_RECORD,
            Content::HEARTBEAT => (19..=MAX_RECORD).contains(&record.length),
            _ => false,
        };
        if sane && matches!(record.version, 0x0300..=0x0304) {
            Ok(record)
        } else {
            Err(Reject::Invalid("record header"))
        }
    }

    pub(super) fn total(self) -> usize {
        Self::HEADER.saturating_add(usize::from(self.length))
    }
}

/// The client's imitation of a hello, MS-TURN §2.1.1: one suite, without session and extensions. Time and random follow
/// the first 11 bytes, `END` those.
pub(super) const PSEUDO_CLIENT: [u8; 11] = [0x16, 3, 1, 0, 0x2d, 1, 0, 0, 0x29, 3, 1];
pub(super) const PSEUDO_CLIENT_END: [u8; 7] = [0, 0, 2, 0, 0x18, 1, 0];
/// The server's: the hello and its end in one record, without certificate and key exchange.
pub(super) const PSEUDO_SERVER: [u8; 11] = [0x16, 3, 1, 0, 0x4e, 2, 0, 0, 0x46, 3, 1];
pub(super) const PSEUDO_SERVER_END: [u8; 7] = [0, 0x18, 0, 0x0e, 0, 0, 0];
pub(super) const PSEUDO_CLIENT_LENGTH: usize = 50;
pub(super) const PSEUDO_SERVER_LENGTH: usize = 83;

/// Whether `bytes` begin with an imitated message of the client (`true`) or the server (`false`).
pub(super) fn pseudo(bytes: &[u8]) -> Option<bool> {
    let is = |start: &[u8], length: usize, end: &[u8]| {
        let message = bytes.get(..length);
        message.is_some_and(|message| message.starts_with(start) && message.ends_with(end))
    };
    if is(&PSEUDO_CLIENT, PSEUDO_CLIENT_LENGTH, &PSEUDO_CLIENT_END) {
        Some(true)
    } else {
        is(&PSEUDO_SERVER, PSEUDO_SERVER_LENGTH, &PSEUDO_SERVER_END).then_some(false)
    }
}

/// Level and description of an alert in clear.
pub(super) fn alert(record: Record, body: &[u8]) -> Option<(&'static str, Alert)> {
    let (Content::ALERT, 2, &[level, description, ..]) = (record.content, record.length, body)
    else {
        return None;
    };
    let level = match level {
        1 => "warning",
        2 => "fatal",
        _ => return None,
    };
    Some((level, Alert(description)))
}
