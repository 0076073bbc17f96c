//! SMB: version 1 (MS-CIFS, MS-SMB), versions 2 and 3 (MS-SMB2).
//!
//! Says which dialect was negotiated, whether messages are signed or sealed, who authenticates by what, which shares and
//! named pipes are used, and what failed. What named pipes carry is given to the DCE/RPC decoder, each pipe on its own.
//! File names, contents of files, accounts and answers to challenges are never kept; data of files is passed over unread.
//!
//! On a stream SMB has no framing of its own: the session service ([`super::netbios_ssn`]) brings one message at a time.

mod connection;
mod one;
mod pipes;
mod status;
mod two;

use super::{About, Probe, Protocol, gss};
pub(super) use connection::{Connection, Unit};

/// The protocol's name, for carriers.
pub(super) const NAME: &str = "smb";

/// Version of the messages: 1, or 2 (which SMB 3 uses as well).
const VERSION: &str = "version";
/// Dialect that the server chose.
const DIALECT: &str = "dialect";
/// Dialect that the client offered.
const OFFERED: &str = "offered";
/// Signing as the side that says it wants it: `enabled`, `required` or (SMB 1) `disabled`.
const SIGNING: &str = "signing";
/// Cipher that the server chose (SMB 3.1.1).
const CIPHER: &str = "cipher";
/// 1 where sealed messages were seen (SMB 3).
const SEALED: &str = "sealed";
/// 1 where compressed messages were seen (SMB 3.1.1).
const COMPRESSED: &str = "compressed";
/// `guest` or `anonymous`, where the server says so of a session.
const SESSION: &str = "session";
/// Path of a share that a client connects to.
const TREE: &str = "tree";
/// Named pipe that was opened. Its subject is that of its first RPC context.
const PIPE: &str = "pipe";
/// Operating system as a side of SMB 1 names it.
const NATIVE_OS: &str = "native_os";
/// Software as a side of SMB 1 names it.
const NATIVE_LAN_MANAGER: &str = "native_lan_manager";
/// Status of a refused negotiation.
const NEGOTIATE_STATUS: &str = "negotiate_status";
/// Status of a refused session.
const SESSION_STATUS: &str = "session_status";
/// Status of a refused tree.
const TREE_STATUS: &str = "tree_status";
/// Status of a refused open.
const CREATE_STATUS: &str = "create_status";

/// SMB.
pub(super) const SMB: Protocol = Protocol {
    name: NAME,
    about: About {
        title: "Server Message Block",
        sources: "MS-CIFS 2.2, MS-SMB 2.2, MS-SMB2 2.2",
        reads: "Negotiation, session set-up, trees, opens and their failures, and the RPC of named pipes; mailslots are read by netbios_dgm.",
        proves: "The magic number, a documented command, and sizes that agree with each other and with the carrier's length.",
        limits: "Nothing of files is kept; nothing is unsealed or decompressed; pipes opened within a compound are tried by content.",
    },
    attributes: &[
        VERSION,
        DIALECT,
        OFFERED,
        SIGNING,
        CIPHER,
        SEALED,
        COMPRESSED,
        SESSION,
        TREE,
        PIPE,
        NATIVE_OS,
        NATIVE_LAN_MANAGER,
        NEGOTIATE_STATUS,
        SESSION_STATUS,
        TREE_STATUS,
        CREATE_STATUS,
        gss::GSS_MECHANISM,
        gss::GSS_OFFERED,
        gss::GSS_DOMAIN,
        gss::GSS_HOST,
        gss::GSS_SERVICE,
        gss::GSS_VERSION,
        gss::GSS_ANONYMOUS,
    ],
    stream: None,
    datagram: None,
};

/// Whether a message of `length` bytes that begins with `bytes` is SMB.
pub(super) fn begins(bytes: &[u8], length: u64) -> Probe {
    match bytes {
        [0xff, b'S', b'M', b'B', ..] => one::begins(bytes, length),
        [0xfe, b'S', b'M', b'B', ..] => two::begins(bytes, length),
        [0xfd, b'S', b'M', b'B', ..] => two::sealed_begins(bytes, length),
        [0xfc, b'S', b'M', b'B', ..] => two::compressed_begins(bytes, length),
        _ if bytes.len() < 4
            && length > 4
            && bytes
                .iter()
                .zip(b"\xffSMB")
                .enumerate()
                .all(|(at, (byte, want))| {
                    byte == want || (at == 0 && (0xfc..=0xff).contains(byte))
                }) =>
        {
            Probe::More
        }
        _ => Probe::No,
    }
}

#[cfg(test)]
mod tests;
