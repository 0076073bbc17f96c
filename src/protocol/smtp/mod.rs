//! SMTP (RFC 5321) with the extensions of Exchange: banner, names, keywords, commands, authentication, the switch to TLS,
//! and refusals.
//!
//! Message content (DATA, BDAT, XEXCH50) is passed over and never kept, addresses only by their domain, credentials not at
//! all: of authentication only the mechanism and what [`gss`](super::gss) reads of its tokens. Replies are matched to
//! commands in order (RFC 2920). After `STARTTLS` (RFC 3207) or `X-ANONYMOUSTLS` and a 220 the connection is handed to
//! TLS with its first record; a capture that was decrypted before it was written goes on in clear.

mod connection;
mod line;
mod probe;

use super::gss::{
    GSS_ANONYMOUS, GSS_DOMAIN, GSS_HOST, GSS_MECHANISM, GSS_OFFERED, GSS_SERVICE, GSS_VERSION,
};
use super::{About, Protocol, StreamEntry};
use connection::Connection;

/// The server's greeting, without its code.
const BANNER: &str = "banner";
/// The name that a client gives in HELO, EHLO or LHLO.
const HELO: &str = "helo";
/// A line of the server's answer to EHLO: keyword and parameters.
const KEYWORD: &str = "keyword";
/// A command that the client sent, upper case, without parameters.
const COMMAND: &str = "command";
/// `STARTTLS` or `X-ANONYMOUSTLS`: the server agreed to it.
const STARTTLS: &str = "starttls";
/// Reply code of a refused switch to TLS.
const STARTTLS_REFUSED: &str = "starttls_refused";
/// An answer to EHLO that was read whole offers neither `STARTTLS` nor `X-ANONYMOUSTLS`.
const STARTTLS_MISSING: &str = "starttls_missing";
/// A command, and the step of the scale that its reply took at least: `RCPT 5 s`.
const SLOW_REPLY: &str = "slow_reply";
/// Mechanism of an AUTH command (RFC 4954), upper case.
const AUTH_MECHANISM: &str = "auth_mechanism";
/// Mechanism of an X-EXPS command, upper case.
const EXPS_MECHANISM: &str = "exps_mechanism";
/// Reply code that ended an authentication.
const AUTH_RESULT: &str = "auth_result";
/// A refusal: code, enhanced status and text, without mailbox names.
const REPLY_ERROR: &str = "reply_error";
/// Domain of a sender's address.
const MAIL_FROM: &str = "mail_from";
/// Domain of a recipient's address.
const RCPT_TO: &str = "rcpt_to";

pub(super) const SMTP: Protocol = Protocol {
    name: "smtp",
    about: About {
        title: "Simple Mail Transfer Protocol",
        sources: "RFC 5321, RFC 3207, RFC 3030, RFC 4954, MS-SMTPNTLM, Exchange's X- verbs",
        reads: "Greeting, EHLO keywords, AUTH and X-EXPS, STARTTLS and X-ANONYMOUSTLS, reply codes, replies that are late; mail bodies are passed over.",
        proves: "A greeting that names SMTP, or a greeting and a command or reply that only SMTP has.",
        limits: "After the switch to TLS nothing more is seen; of addresses only the domain is kept, of messages nothing.",
    },
    attributes: &[
        BANNER,
        HELO,
        KEYWORD,
        COMMAND,
        STARTTLS,
        STARTTLS_REFUSED,
        STARTTLS_MISSING,
        SLOW_REPLY,
        AUTH_MECHANISM,
        EXPS_MECHANISM,
        AUTH_RESULT,
        REPLY_ERROR,
        MAIL_FROM,
        RCPT_TO,
        GSS_MECHANISM,
        GSS_OFFERED,
        GSS_DOMAIN,
        GSS_HOST,
        GSS_SERVICE,
        GSS_VERSION,
        GSS_ANONYMOUS,
    ],
    stream: Some(StreamEntry {
        first_byte: |byte| matches!(byte, b'2' | b'3' | b'4' | b'5') || byte.is_ascii_alphabetic(),
        probe: probe::probe,
        start: || Box::<Connection>::default(),
    }),
    datagram: None,
};

#[cfg(test)]
mod tests;
