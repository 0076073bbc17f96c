//! TLS and SSL on a stream (RFC 8446, RFC 5246, RFC 6101): versions, cipher, names, certificates of both sides, alerts,
//! and whether the handshake was completed.
//!
//! Reads records and the handshake messages in clear; keys and ciphertext are never looked at. Up to TLS 1.2 that shows
//! the certificates of both sides, in TLS 1.3 it does not: what is not visible is not said. A connection without its
//! handshake is known by its record headers. The imitation of a handshake before TURN (MS-TURN §2.1.1) is named as such
//! and hands over to what follows.

mod carried;
mod certificate;
mod connection;
mod handshake;
mod hello;
mod probe;
mod record;

use super::{About, Protocol, StreamEntry};
use connection::Connection;

pub(super) use carried::Carried;
pub(super) use certificate::u24;
pub(super) use handshake::{Exchange, Kind, Message, carried_hello};
pub(super) use hello::DTLS_DRAFT;
pub(super) use record::{Alert, Content};

/// The highest version that the client offers: `ssl2`, `ssl3`, `1.0` to `1.3`.
pub(super) const CLIENT_VERSION: &str = "client_version";
/// The version that the server chose.
pub(super) const SERVER_VERSION: &str = "server_version";
/// The cipher suite that the server chose, by its IANA name.
pub(super) const CIPHER: &str = "cipher";
/// The host that the client asked for, lower case.
pub(super) const SERVER_NAME: &str = "server_name";
/// An application protocol that the client offers.
pub(super) const ALPN_OFFERED: &str = "alpn_offered";
/// The application protocol that the server chose.
pub(super) const ALPN: &str = "alpn";
/// 1 where an earlier session was resumed.
pub(super) const RESUMED: &str = "resumed";
/// 1 where the server asked for a client certificate.
pub(super) const CLIENT_CERTIFICATE_REQUESTED: &str = "client_certificate_requested";
/// Certificates that the client sent; 0 = asked, and none sent.
pub(super) const CLIENT_CERTIFICATE: &str = "client_certificate";
/// 1 where the client signed with the key of its certificate.
pub(super) const CERTIFICATE_VERIFY: &str = "certificate_verify";
/// Level and description; `encrypted` where an alert came before the handshake was complete, but cannot be read.
pub(super) const ALERT: &str = "alert";
/// 1 where both sides finished the handshake.
pub(super) const ESTABLISHED: &str = "established";
/// 1 where data was sent under the session.
pub(super) const APPLICATION_DATA: &str = "application_data";
/// 1 where the handshake only imitates TLS (MS-TURN §2.1.1).
const PSEUDO: &str = "pseudo";
/// 1 where the server's certificate is of the kind that relays of Tor make for themselves.
pub(super) const TOR_LIKE: &str = "tor_like";
/// A protection profile of SRTP that the client offers; of DTLS only.
pub(super) const SRTP_OFFERED: &str = "srtp_offered";
/// The protection profile of SRTP that the server chose; of DTLS only.
pub(super) const SRTP_PROFILE: &str = "srtp_profile";

pub(super) const SERVER: certificate::Names = certificate::Names {
    subject: "certificate_subject",
    name: "certificate_name",
    issuer: "certificate_issuer",
    not_before: "certificate_not_before",
    not_after: "certificate_not_after",
    self_signed: "certificate_self_signed",
    key: "certificate_key",
};
pub(super) const CLIENT: certificate::Names = certificate::Names {
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
    about: About {
        title: "Transport Layer Security",
        sources: "RFC 6101, RFC 5246, RFC 8446, RFC 6066, RFC 7301, MS-TURN 2.1.1",
        reads: "Hellos, server name, ALPN, versions, cipher, certificates of both sides up to TLS 1.2, alerts, and whether the handshake was completed; the imitation of a handshake before TURN.",
        proves: "A hello of consistent lengths (of SSL 2 as well), or records that follow each other without a gap.",
        limits: "From TLS 1.3 on certificates are sealed, those of Tor's relays among them; chains and signatures are not checked; what the records carry is never seen.",
    },
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
        TOR_LIKE,
    ],
    stream: Some(StreamEntry {
        first_byte: |byte| matches!(byte, 20..=23) || byte & 0x80 != 0,
        probe: probe::probe,
        start: || Box::<Connection>::default(),
    }),
    datagram: None,
};

#[cfg(test)]
mod tests;
