//! TLS and SSL on a stream (RFC 8446, RFC 5246, RFC 6101): versions, cipher, names, certificates of both sides, alerts,
//! and whether the handshake was completed.
//!
//! Reads records and the handshake messages in clear; keys and ciphertext are never looked at. Up to TLS 1.2 that shows
//! the certificates of both sides, in TLS 1.3 it does not: what is not visible is not said. A connection without its
//! handshake is known by its record headers. The imitation of a handshake before TURN (MS-TURN §2.1.1) is named as such
//! and hands over to what follows.

mod certificate;
mod handshake;
mod hello;

use super::{Next, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::bytes::{Cursor, Short};
use crate::evidence::Notes;
use crate::net::{PerSide, Side};
use crate::open_enum;
use handshake::Handshake;
use hello::{Ssl2, Version};

/// The highest version that the client offers: `ssl2`, `ssl3`, `1.0` to `1.3`.
const CLIENT_VERSION: &str = "client_version";
/// The version that the server chose.
const SERVER_VERSION: &str = "server_version";
/// The cipher suite that the server chose, by its IANA name.
const CIPHER: &str = "cipher";
/// The host that the client asked for, lower case.
const SERVER_NAME: &str = "server_name";
/// An application protocol that the client offers.
const ALPN_OFFERED: &str = "alpn_offered";
/// The application protocol that the server chose.
const ALPN: &str = "alpn";
/// 1 where an earlier session was resumed.
const RESUMED: &str = "resumed";
/// 1 where the server asked for a client certificate.
const CLIENT_CERTIFICATE_REQUESTED: &str = "client_certificate_requested";
/// Certificates that the client sent; 0 = asked, and none sent.
const CLIENT_CERTIFICATE: &str = "client_certificate";
/// 1 where the client signed with the key of its certificate.
const CERTIFICATE_VERIFY: &str = "certificate_verify";
/// Level and description; `encrypted` where an alert came before the handshake was complete, but cannot be read.
const ALERT: &str = "alert";
/// 1 where both sides finished the handshake.
const ESTABLISHED: &str = "established";
/// 1 where data was sent under the session.
const APPLICATION_DATA: &str = "application_data";
/// 1 where the handshake only imitates TLS (MS-TURN §2.1.1).
const PSEUDO: &str = "pseudo";

const SERVER: certificate::Names = certificate::Names {
    subject: "certificate_subject",
    name: "certificate_name",
    issuer: "certificate_issuer",
    not_before: "certificate_not_before",
    not_after: "certificate_not_after",
    self_signed: "certificate_self_signed",
    key: "certificate_key",
};
const CLIENT: certificate::Names = certificate::Names {
    subject: "client_certificate_subject",
    name: "client_certificate_name",
    issuer: "client_certificate_issuer",
    not_before: "client_certificate_not_before",
    not_after: "client_certificate_not_after",
    self_signed: "client_certificate_self_signed",
    key: "client_certificate_key",
};

pub(super) const TLS: Protocol = Protocol {
    name: "tls",
    attributes: &[
        CLIENT_VERSION,
        SERVER_VERSION,
        CIPHER,
        SERVER_NAME,
        ALPN_OFFERED,
        ALPN,
        RESUMED,
        SERVER.subject,
        SERVER.name,
        SERVER.issuer,
        SERVER.not_before,
        SERVER.not_after,
        SERVER.self_signed,
        SERVER.key,
        CLIENT_CERTIFICATE_REQUESTED,
        CLIENT_CERTIFICATE,
        CLIENT.subject,
        CLIENT.name,
        CLIENT.issuer,
        CLIENT.not_before,
        CLIENT.not_after,
        CLIENT.self_signed,
        CLIENT.key,
        CERTIFICATE_VERIFY,
        ALERT,
        ESTABLISHED,
        APPLICATION_DATA,
        PSEUDO,
    ],
    stream: Some(StreamEntry {
        first_byte: |byte| matches!(byte, 20..=23) || byte & 0x80 != 0,
        probe,
        start: || Box::<Connection>::default(),
    }),
    datagram: None,
};

/// Record contents, RFC 8446 §5.1: 2^14 bytes, and 2048 of expansion up to TLS 1.2.
const MAX_RECORD: u16 = (1 << 14) + 2048;
/// A Finished message of TLS 1.3 under encryption: 4 + 32 + 1 + 16 bytes. Alerts are shorter.
const LEAST_FINISHED: u16 = 53;

open_enum! {
    /// Record types.
    struct Content(u8) {
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
    struct Alert(u8) {
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
struct Record {
    content: Content,
    version: u16,
    length: u16,
}

impl Record {
    const HEADER: usize = 5;

    /// Reads a header whose fields agree with each other.
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Reject> {
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

    fn total(self) -> usize {
        Self::HEADER.saturating_add(usize::from(self.length))
    }
}

/// The client's imitation of a hello, MS-TURN §2.1.1: one suite, without session and extensions. Time and random follow
/// the first 11 bytes, `END` those.
const PSEUDO_CLIENT: [u8; 11] = [0x16, 3, 1, 0, 0x2d, 1, 0, 0, 0x29, 3, 1];
const PSEUDO_CLIENT_END: [u8; 7] = [0, 0, 2, 0, 0x18, 1, 0];
/// The server's: the hello and its end in one record, without certificate and key exchange.
const PSEUDO_SERVER: [u8; 11] = [0x16, 3, 1, 0, 0x4e, 2, 0, 0, 0x46, 3, 1];
const PSEUDO_SERVER_END: [u8; 7] = [0, 0x18, 0, 0x0e, 0, 0, 0];
const PSEUDO_CLIENT_LENGTH: usize = 50;
const PSEUDO_SERVER_LENGTH: usize = 83;

/// Whether `bytes` begin with an imitated message of the client (`true`) or the server (`false`).
fn pseudo(bytes: &[u8]) -> Option<bool> {
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

/// A hello on either side, or records on either side that follow each other without a gap.
fn probe(opening: &Opening<'_>) -> Probe {
    let sides = [opening.spoken(), opening.reply()].map(look);
    let both = sides.iter().filter(|look| **look == Look::Header).count() == 2;
    if both || sides.contains(&Look::Sure) {
        Probe::Yes
    } else if sides.contains(&Look::Header) || sides.contains(&Look::Short) {
        Probe::More
    } else {
        Probe::No
    }
}

/// What the first bytes of one side look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// TLS.
    Sure,
    /// One header, which may be chance.
    Header,
    /// Too few bytes to tell.
    Short,
    /// Something else, or nothing.
    Other,
}

fn look(bytes: &[u8]) -> Look {
    if bytes.is_empty() {
        return Look::Other;
    }
    match hello::ssl2(bytes) {
        Ok(Some(_)) => return Look::Sure,
        Err(_) if bytes.first().is_some_and(|byte| byte & 0x80 != 0) => return Look::Short,
        _ => {}
    }
    let mut cursor = Cursor::new(bytes);
    let record = match Record::parse(&mut cursor) {
        Ok(record) => record,
        Err(Reject::Short(_)) if matches!(bytes, [20..=23] | [20..=23, 3, ..]) => {
            return Look::Short;
        }
        Err(_) => return Look::Other,
    };
    if record.content == Content::HANDSHAKE && handshake::begins_with_hello(record.length, cursor) {
        return Look::Sure;
    }
    let mut records: usize = 0;
    let mut rest = bytes;
    loop {
        let mut cursor = Cursor::new(rest);
        match Record::parse(&mut cursor) {
            Ok(next) if next.version == record.version => {
                records = records.saturating_add(1);
                match rest.get(next.total()..) {
                    // A record that ends with the segment: its length is right by chance once in 65,536.
                    Some([]) if next.length >= 17 || records > 1 => return Look::Sure,
                    Some([]) if alert(next, cursor.rest()).is_some() => return Look::Sure,
                    Some([]) => return Look::Header,
                    Some(more) => rest = more,
                    None if records > 1 => return Look::Sure,
                    None => return Look::Header,
                }
            }
            Err(Reject::Short(_)) if records > 0 => {
                return if records > 1 {
                    Look::Sure
                } else {
                    Look::Header
                };
            }
            _ => return Look::Other,
        }
    }
}

/// Level and description of an alert in clear.
fn alert(record: Record, body: &[u8]) -> Option<(&'static str, Alert)> {
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

/// One connection.
#[derive(Debug, Default)]
struct Connection {
    phase: Phase,
    client: Option<Side>,
    version: Option<Version>,
    /// Messages of a full handshake followed the ServerHello, or may have been in a gap.
    full: bool,
    retry: bool,
    sides: PerSide<Half>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Phase {
    /// Nothing was read.
    #[default]
    Start,
    /// The handshake, or what the capture has of it.
    Handshake,
    /// The imitation: what follows is something else.
    Pseudo,
    /// SSL 2.0: the server's hello is the last that can be read.
    Ssl2,
}

/// One direction.
#[derive(Debug, Default)]
struct Half {
    /// It sent records before.
    seen: bool,
    handshake: Handshake,
    /// After ChangeCipherSpec up to TLS 1.2.
    encrypted: bool,
    /// It sent its Finished.
    finished: bool,
    /// It was looked at before the first record was whole.
    peeked: bool,
}

impl StreamDecoder for Connection {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let mut used: usize = 0;
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            if rest.is_empty() {
                return Step::Consumed;
            }
            match self.record(side, rest, notes) {
                Ok(Progress::Record(length)) => used = used.saturating_add(length),
                Ok(Progress::More(at_least)) => {
                    return Step::NeedMore {
                        consumed: used,
                        at_least,
                    };
                }
                Ok(Progress::Pass(length)) => {
                    return Step::Skip {
                        consumed: used,
                        bytes: length as u64,
                    };
                }
                Ok(Progress::Handover(length)) => {
                    return Step::Handover {
                        consumed: used.saturating_add(length),
                        next: Next::Probe,
                    };
                }
                Ok(Progress::Done) => return Step::Done,
                Err(reject) => return Step::Reject(reject),
            }
        }
    }

    fn resume(&mut self, side: Side, bytes: &[u8]) -> Option<usize> {
        let half = &mut self.sides[side];
        half.handshake = Handshake::default();
        // A certificate may have been in the gap: a resumption cannot be told any more.
        self.full = true;
        (look(bytes) == Look::Sure).then_some(0)
    }
}

/// What became of a record.
enum Progress {
    /// So many bytes were read.
    Record(usize),
    /// So many bytes are needed.
    More(usize),
    /// So many bytes are of no interest.
    Pass(usize),
    /// So many bytes were read, then comes something else.
    Handover(usize),
    /// Nothing more can be seen.
    Done,
}

impl Connection {
    fn record(
        &mut self,
        side: Side,
        bytes: &[u8],
        notes: &mut Notes<'_>,
    ) -> Result<Progress, Reject> {
        match self.phase {
            Phase::Start | Phase::Ssl2 => match hello::ssl2(bytes) {
                Ok(Some((hello, length))) => return Ok(self.ssl2(side, hello, length, notes)),
                Err(short) if bytes.first().is_some_and(|byte| byte & 0x80 != 0) => {
                    return Ok(Progress::More(bytes.len().saturating_add(short.missing)));
                }
                _ => {}
            },
            // The server's message may not be in the capture.
            Phase::Pseudo if pseudo(bytes).is_none() && self.client == Some(side) => {
                return Ok(Progress::Handover(0));
            }
            Phase::Pseudo | Phase::Handshake => {}
        }
        let mut cursor = Cursor::new(bytes);
        let record = match Record::parse(&mut cursor) {
            Err(Reject::Short(_)) => return Ok(Progress::More(Record::HEADER)),
            other => other?,
        };
        let body = cursor.rest().get(..usize::from(record.length));
        let encrypted = self.sides[side].encrypted;
        match (record.content, body) {
            (Content::HANDSHAKE, None) if !encrypted => {
                self.peek(side, record, cursor.rest(), notes);
                Ok(Progress::More(record.total()))
            }
            (Content::HANDSHAKE, Some(body)) if !encrypted => {
                if let Some(client) = pseudo(bytes) {
                    return Ok(self.pseudo(side, client, record, notes));
                }
                notes.proved();
                self.phase = Phase::Handshake;
                self.sides[side].seen = true;
                self.handshake(side, body, notes)?;
                Ok(Progress::Record(record.total()))
            }
            (Content::CHANGE_CIPHER_SPEC | Content::ALERT, None) if record.length <= 2 => {
                Ok(Progress::More(record.total()))
            }
            (Content::ALERT, Some(body)) if !encrypted && record.length == 2 => {
                let (level, description) =
                    alert(record, body).ok_or(Reject::Invalid("alert level"))?;
                notes.proved();
                notes.text(ALERT, &format!("{level} {description}"));
                self.phase = Phase::Handshake;
                self.sides[side].seen = true;
                if level == "fatal" {
                    return Ok(Progress::Done);
                }
                Ok(Progress::Record(record.total()))
            }
            (Content::CHANGE_CIPHER_SPEC, Some(&[1])) => {
                notes.proved();
                self.change_cipher(side, notes);
                Ok(Progress::Record(record.total()))
            }
            (Content::CHANGE_CIPHER_SPEC, _) => Err(Reject::Invalid("change cipher spec")),
            _ => Ok(self.opaque(side, record, notes)),
        }
    }

    /// An SSL 2.0 hello. A client that knows more is answered in records.
    fn ssl2(&mut self, side: Side, hello: Ssl2, length: usize, notes: &mut Notes<'_>) -> Progress {
        notes.proved();
        match hello {
            Ssl2::Client(version) => {
                self.client = Some(side);
                notes.client(side);
                notes.text(CLIENT_VERSION, version.name().unwrap_or_default());
                self.phase = Phase::Ssl2;
                self.sides[side].seen = true;
                Progress::Record(length)
            }
            Ssl2::Server => {
                notes.client(side.other());
                notes.text(SERVER_VERSION, Version::SSL2.name().unwrap_or_default());
                Progress::Done
            }
        }
    }

    /// The imitation. The server's message ends it.
    fn pseudo(
        &mut self,
        side: Side,
        client: bool,
        record: Record,
        notes: &mut Notes<'_>,
    ) -> Progress {
        notes.proved();
        notes.number(PSEUDO, 1);
        self.phase = Phase::Pseudo;
        let (sender, progress) = if client {
            (side, Progress::Record(record.total()))
        } else {
            (side.other(), Progress::Handover(record.total()))
        };
        notes.client(sender);
        self.client = Some(sender);
        progress
    }

    /// The first record of a side is not whole yet, and may never be: says what its beginning proves.
    fn peek(&mut self, side: Side, record: Record, body: &[u8], notes: &mut Notes<'_>) {
        let half = &mut self.sides[side];
        if half.seen || half.peeked || body.len() < 4 {
            return;
        }
        half.peeked = true;
        if !handshake::begins_with_hello(record.length, Cursor::new(body)) {
            return;
        }
        notes.proved();
        if PSEUDO_CLIENT.get(Record::HEADER..) == body.get(..6)
            || PSEUDO_SERVER.get(Record::HEADER..) == body.get(..6)
        {
            return;
        }
        let cut = handshake::Message::cut(body);
        let _cut: Result<(), Short> = self.message(side, cut, notes);
    }

    fn change_cipher(&mut self, side: Side, notes: &mut Notes<'_>) {
        self.phase = Phase::Handshake;
        self.sides[side].seen = true;
        // In TLS 1.3 it only pleases middleboxes, and hellos in clear may follow.
        if self.retry || self.version >= Some(Version::TLS13) {
            return;
        }
        self.sides[side].encrypted = true;
        let server = self.client == Some(side.other());
        if server && self.version.is_some() && !self.full {
            notes.number(RESUMED, 1);
        }
    }

    /// A record that cannot be read: what its place in the stream shows.
    fn opaque(&mut self, side: Side, record: Record, notes: &mut Notes<'_>) -> Progress {
        notes.proved();
        let modern = self.version >= Some(Version::TLS13);
        let unread = self.phase == Phase::Start;
        self.phase = Phase::Handshake;
        let alone = !self.sides[side.other()].seen;
        let half = &mut self.sides[side];
        half.seen = true;
        match record.content {
            Content::HANDSHAKE => half.finished = true,
            Content::APPLICATION_DATA if modern => {
                half.finished |= self.client != Some(side) || record.length >= LEAST_FINISHED;
            }
            Content::APPLICATION_DATA => {
                // Before its own ChangeCipherSpec a side sends data only in early data of TLS 1.3, or where the
                // handshake is not in the capture.
                if unread || half.encrypted {
                    notes.number(APPLICATION_DATA, 1);
                    if unread || alone || self.both_finished() {
                        notes.number(ESTABLISHED, 1);
                        return Progress::Done;
                    }
                }
            }
            Content::ALERT if !self.both_finished() && !unread => notes.text(ALERT, "encrypted"),
            _ => {}
        }
        if self.both_finished() {
            notes.number(ESTABLISHED, 1);
            if modern {
                return Progress::Done;
            }
        }
        Progress::Pass(record.total())
    }

    fn both_finished(&self) -> bool {
        self.sides.iter().all(|(_, half)| half.finished)
    }
}

#[cfg(test)]
mod tests;
