//! FTP (RFC 959, RFC 2228, RFC 2428, RFC 4217): greeting, commands, the switch to TLS, and the data connections that are
//! agreed upon.
//!
//! Each address that `PORT`, `EPRT`, `PASV` or `EPSV` names becomes the offer of a data connection. Names of users, passwords,
//! accounts and files are never kept. Replies have the form of SMTP's and NNTP's: a greeting counts only where it names FTP, or
//! a client's command follows that FTP alone has.

mod connection;
mod line;
mod probe;

use super::{About, Protocol, StreamEntry};
use connection::Connection;

/// The text of the greeting, without its code.
const BANNER: &str = "banner";
/// A command that the client sent, upper case, without parameters.
const COMMAND: &str = "command";
/// The operating system that the server names (reply 215).
const SYSTEM: &str = "system";
/// A feature that the server lists (RFC 2389).
const FEATURE: &str = "feature";
/// Mechanism of a login: `USER`, or that of an AUTH command (RFC 2228), upper case.
const AUTH_MECHANISM: &str = "auth_mechanism";
/// Reply code that ended a login.
const AUTH_RESULT: &str = "auth_result";
/// The mechanism of AUTH that the server agreed to and that TLS follows (RFC 4217).
const STARTTLS: &str = "starttls";
/// Reply code of a refused switch to TLS.
const STARTTLS_REFUSED: &str = "starttls_refused";
/// Level of protection that the client asks for on data connections (RFC 4217): `C`, `S`, `E` or `P`.
const PROTECTION: &str = "protection";
/// Code of a reply that refuses (4xx and 5xx).
const REPLY_ERROR: &str = "reply_error";
/// What the announced connections will carry: named without a decoder of its own, for files have no form.
const DATA: &str = "ftp_data";

pub(super) const FTP: Protocol = Protocol {
    name: "ftp",
    about: About {
        title: "File Transfer Protocol",
        sources: "RFC 959, RFC 2228, RFC 2389, RFC 2428, RFC 4217",
        reads: "Greeting, commands, features, the switch to TLS, how the login ended, and the addresses of data connections.",
        proves: "A greeting that names FTP, or a command or reply that only FTP has.",
        limits: "Names of users, names of files and passwords are not kept; a data connection is known by its announcement alone.",
    },
    attributes: &[
        BANNER,
        COMMAND,
        SYSTEM,
        FEATURE,
        AUTH_MECHANISM,
        AUTH_RESULT,
        STARTTLS,
        STARTTLS_REFUSED,
        PROTECTION,
        REPLY_ERROR,
    ],
    stream: Some(StreamEntry {
        first_byte: |byte| matches!(byte, b'1'..=b'5') || byte.is_ascii_alphabetic(),
        probe: probe::probe,
        start: || Box::<Connection>::default(),
    }),
    datagram: None,
};

#[cfg(test)]
mod tests;
