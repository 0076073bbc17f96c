//! Git's own transport (gitprotocol-pack, gitprotocol-common): what a client asks a daemon for.
//!
//! Proves: a packet line of exact length with the request of a service, or the first line of a daemon's list of references with
//! its capabilities. The content of repositories is passed over.

use memchr::{memchr, memmem};

use super::{About, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::evidence::Notes;
use crate::net::Side;

/// `git-upload-pack`, `git-receive-pack` or `git-upload-archive`.
const SERVICE: &str = "service";
/// The path of the repository.
const REPOSITORY: &str = "repository";
/// The host that the client names.
const HOST: &str = "host";
/// The software that the server names among its capabilities.
const AGENT: &str = "agent";

pub(super) const GIT: Protocol = Protocol {
    name: "git",
    about: About {
        title: "Git transport",
        sources: "gitprotocol-common(5), gitprotocol-pack(5)",
        reads: "The service, repository and host that are asked for, and the server's software.",
        proves: "A packet line of exact length that asks for a service, or the first reference with capabilities.",
        limits: "Objects are passed over; Git over HTTP or SSH is HTTP or SSH.",
    },
    attributes: &[SERVICE, REPOSITORY, HOST, AGENT],
    stream: Some(StreamEntry {
        first_byte: |byte| byte.is_ascii_hexdigit(),
        probe: |opening| opening.either(|bytes| read(bytes).0),
        start: || Box::new(Connection),
    }),
    datagram: None,
};

/// Longest packet line, gitprotocol-common(5).
const MAX_LINE: usize = 65_520;
/// Services of a daemon.
const SERVICES: [&str; 3] = ["git-upload-pack", "git-receive-pack", "git-upload-archive"];

/// What stands at the start of one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line<'a> {
    Request {
        service: &'static str,
        path: &'a [u8],
        /// What follows the path and its NUL.
        rest: &'a [u8],
    },
    /// Capabilities after the first reference.
    References(&'a [u8]),
}

fn read(bytes: &[u8]) -> (Probe, Option<Line<'_>>) {
    let Some((digits, content)) = bytes.split_at_checked(4) else {
        let is_begun = !bytes.is_empty() && bytes.iter().all(is_digit);
        return (if is_begun { Probe::More } else { Probe::No }, None);
    };
    let length = std::str::from_utf8(digits)
        .ok()
        .filter(|_| digits.iter().all(is_digit))
        .and_then(|digits| usize::from_str_radix(digits, 16).ok())
        .filter(|length| (5..=MAX_LINE).contains(length));
    let Some(length) = length else {
        return (Probe::No, None);
    };
    let wanted = length.saturating_sub(4);
    let Some(line) = content.get(..wanted) else {
        let is_service = |service: &&str| {
            let common = content.len().min(service.len());
            content.get(..common) == service.as_bytes().get(..common)
        };
        let may = SERVICES.iter().any(is_service) || content.iter().take(40).all(is_digit);
        return (if may { Probe::More } else { Probe::No }, None);
    };
    match request(line).or_else(|| references(line)) {
        Some(line) => (Probe::Yes, Some(line)),
        None => (Probe::No, None),
    }
}

/// Lower case in practice, either by specification.
fn is_digit(byte: &u8) -> bool {
    byte.is_ascii_hexdigit()
}

fn request(line: &[u8]) -> Option<Line<'_>> {
    let (service, rest) = SERVICES.iter().find_map(|service| {
        let rest = line.strip_prefix(service.as_bytes())?;
        Some((*service, rest.strip_prefix(b" ")?))
    })?;
    let end = memchr(0, rest)?;
    let (path, rest) = rest.split_at_checked(end)?;
    let is_plain = path.iter().all(|byte| *byte >= 0x20) && line.ends_with(b"\0");
    (is_plain && matches!(path, [b'/' | b'~', ..])).then_some(Line::Request {
        service,
        path,
        rest: rest.get(1..)?,
    })
}

/// An object identifier of SHA-1 or SHA-256, a reference, and capabilities after a NUL.
fn references(line: &[u8]) -> Option<Line<'_>> {
    let end = memchr(b' ', line).filter(|end| matches!(end, 40 | 64))?;
    let (id, rest) = line.split_at_checked(end)?;
    let nul = memchr(0, rest)?;
    let name = rest.get(1..nul)?;
    let is_reference = name == b"HEAD" || name == b"capabilities^{}" || name.starts_with(b"refs/");
    (id.iter().all(is_digit) && is_reference)
        .then_some(Line::References(rest.get(nul..)?.get(1..)?))
}

struct Connection;

impl StreamDecoder for Connection {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        match read(bytes) {
            (
                _,
                Some(Line::Request {
                    service,
                    path,
                    rest,
                }),
            ) => {
                notes.proved();
                notes.client(side);
                notes.text(SERVICE, service);
                notes.bytes(REPOSITORY, path);
                let host = rest.strip_prefix(b"host=").unwrap_or_default();
                let end = memchr(0, host).unwrap_or(host.len());
                notes.bytes(HOST, host.get(..end).unwrap_or_default());
                Step::Skip {
                    consumed: bytes.len(),
                    bytes: u64::MAX,
                }
            }
            (_, Some(Line::References(capabilities))) => {
                notes.proved();
                notes.client(side.other());
                let start = memmem::find(capabilities, b"agent=");
                let agent = start.and_then(|start| capabilities.get(start.saturating_add(6)..));
                let agent = agent.unwrap_or_default();
                let end = agent.iter().position(|byte| !byte.is_ascii_graphic());
                notes.bytes(
                    AGENT,
                    agent.get(..end.unwrap_or(agent.len())).unwrap_or_default(),
                );
                Step::Done
            }
            (Probe::More, None) => Step::NeedMore {
                consumed: 0,
                at_least: bytes.len().saturating_add(1),
            },
            (_, None) => Step::Reject(Reject::Other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, conversation, midstream, only_registered_attributes, protocols,
        survives_every_cut, values,
    };
    use super::*;

    const REQUEST: &[u8] = b"0033git-upload-pack /project.git\0host=myserver.com\0";
    const ANSWER: &[u8] = b"0053aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa HEAD\0multi_ack agent=git/2.40.1 thin-pack\n";

    #[test]
    fn request_and_capabilities_are_read() {
        let segments: [(Side, &[u8]); 2] = [(CLIENT, REQUEST), (SERVER, ANSWER)];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["git"]);
        assert_eq!(values(&recorder, "git", "service"), ["git-upload-pack"]);
        assert_eq!(values(&recorder, "git", "repository"), ["/project.git"]);
        assert_eq!(values(&recorder, "git", "host"), ["myserver.com"]);
        assert_eq!(values(&recorder, "git", "agent"), ["git/2.40.1"]);
        assert_eq!(recorder.client, Some(CLIENT));
        only_registered_attributes(&recorder, &[&GIT]);
        survives_every_cut(&segments);
        assert_eq!(protocols(&midstream(&[(SERVER, ANSWER)])), ["git"]);
    }

    #[test]
    fn other_lines_are_not_git() {
        let lines: [&[u8]; 4] = [
            b"0032git-upload-pack /project.git\0host=myserver.com\0",
            b"0033git-upload-pack project.git\0 host=myserver.com\0",
            b"0000",
            b"0016hello everybody!!!",
        ];
        for line in lines {
            let recorder = conversation(&[(CLIENT, line), (SERVER, b"ERR")]);
            assert!(protocols(&recorder).is_empty(), "{}", line.escape_ascii());
        }
    }
}
