//! HTTP/1 (RFC 9112, RFC 9110): heads of requests and responses, authentication by scheme and mechanism, the headers that
//! tell Exchange and Lync, and what a connection turns into (CONNECT, Upgrade, WebSocket, RPC over HTTP). A request of
//! HTTP/0.9 counts where a page answers it.
//!
//! Bodies are passed over by their length or chunk by chunk, never read; credentials are not kept, nor queries of URLs, but
//! for the server that an RPC proxy is asked for (MS-RPCH §2.2.2) and two words of ActiveSync. HTTP/2 without TLS (RFC 9113
//! §3.3, an upgrade, and §3.4, prior knowledge) is followed frame by frame, its compressed heads are not read. Heads are
//! recognised after a gap and in the middle of a connection, frames are not.

mod connection;
mod fields;
mod frames;
mod head;
mod probe;

use super::gss::{
    GSS_ANONYMOUS, GSS_DOMAIN, GSS_HOST, GSS_MECHANISM, GSS_OFFERED, GSS_SERVICE, GSS_VERSION,
};
use super::{About, Protocol, StreamEntry};
use connection::Connection;

pub(super) use fields::Fields;

/// `0.9`, `1.0`, `1.1` or `2`, as each side says it.
const VERSION: &str = "version";
/// The method of a request.
const METHOD: &str = "method";
/// The path of a request, without its query.
const PATH: &str = "path";
/// The server and port that a request asks an RPC proxy for.
const RPC_TARGET: &str = "rpc_target";
/// The command of an ActiveSync request (MS-ASHTTP §2.2.1.1.1.2), where its query can be read.
const ACTIVESYNC_COMMAND: &str = "activesync_command";
/// What an ActiveSync device calls its kind (MS-ASHTTP §2.2.1.1.1.1.3).
const DEVICE_TYPE: &str = "device_type";
/// The operation that a SOAP 1.1 request asks for.
const SOAP_ACTION: &str = "soap_action";
/// The host that a request is for.
const HOST: &str = "host";
/// The client's software.
const USER_AGENT: &str = "user_agent";
/// The server's software.
const SERVER: &str = "server";
/// The status code of a response.
const STATUS: &str = "status";
/// An authentication scheme that the server offers.
const AUTHENTICATE: &str = "authenticate";
/// The authentication scheme that the client uses.
const AUTHORIZATION: &str = "authorization";
/// The media type of a body.
const CONTENT_TYPE: &str = "content_type";
/// A header that Exchange or Lync sends, as `Name: value`.
const EXCHANGE_HEADER: &str = "exchange_header";
/// What a connection was upgraded to (RFC 9110 §7.8).
const UPGRADE: &str = "upgrade";
/// Why a connection or request of HTTP/2 ended, as its frames say (RFC 9113 §7).
const ERROR: &str = "error";

pub(super) const HTTP: Protocol = Protocol {
    name: "http",
    about: About {
        title: "Hypertext Transfer Protocol",
        sources: "RFC 9110, RFC 9112, RFC 9113, RFC 1945, MS-RPCH, MS-ASHTTP, RFC 4559",
        reads: "Heads of requests and responses: method, path, host, software, status, authentication schemes and what their tokens tell, SOAP actions, headers of Exchange and Lync, tunnels of CONNECT, upgrades, and the channels of RPC over HTTP; the address of a server behind an RPC proxy becomes an offer.",
        proves: "A request line or status line of HTTP/1, the preface of HTTP/2, or a bare request that a page of HTML answers.",
        limits: "Bodies are passed over; of query strings only the target of RPC over HTTP and the command and device type of ActiveSync are kept; of HTTP/2 only settings and errors are read, no heads.",
    },
    attributes: &[
        VERSION,
        METHOD,
        PATH,
        RPC_TARGET,
        ACTIVESYNC_COMMAND,
        DEVICE_TYPE,
        SOAP_ACTION,
        HOST,
        USER_AGENT,
        SERVER,
        STATUS,
        AUTHENTICATE,
        AUTHORIZATION,
        CONTENT_TYPE,
        EXCHANGE_HEADER,
        UPGRADE,
        ERROR,
        GSS_MECHANISM,
        GSS_OFFERED,
        GSS_DOMAIN,
        GSS_HOST,
        GSS_SERVICE,
        GSS_VERSION,
        GSS_ANONYMOUS,
    ],
    stream: Some(StreamEntry {
        first_byte: |byte| byte.is_ascii_uppercase(),
        probe: probe::probe,
        start: || Box::<Connection>::default(),
    }),
    datagram: None,
};

#[cfg(test)]
mod tests;
