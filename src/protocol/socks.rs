//! SOCKS 4, 4a and 5 (RFC 1928, RFC 1929): what a client asks a proxy to connect to, and whether it did.
//!
//! After the proxy's agreement the connection is probed again: HTTP or TLS to the target lies inside. Names and passwords
//! are not kept. Proof needs a request (or an offer of methods) of exact length and the proxy's answer to it; half a
//! connection, or its middle, shows nothing that other protocols would not.

use std::net::{Ipv4Addr, Ipv6Addr};

use memchr::memchr;

use super::{About, Next, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;

/// 4 or 5.
const VERSION: &str = "version";
/// The method of authentication that the proxy chose (RFC 1928 §3): its name, or its number.
const METHOD: &str = "method";
/// 1 where name and password were accepted, 0 where they were not.
const AUTHENTICATED: &str = "authenticated";
/// `connect`, `bind` or `udp_associate`.
const COMMAND: &str = "command";
/// Host and port that the client asks for.
const TARGET: &str = "target";
/// The proxy's answer: 0 (version 5) and 90 (version 4) are success.
const REPLY: &str = "reply";

pub(super) const SOCKS: Protocol = Protocol {
    name: "socks",
    about: About {
        title: "SOCKS",
        sources: "RFC 1928, RFC 1929, SOCKS 4 and 4a",
        reads: "Version, method, command, target, reply.",
        proves: "A request of exact length together with an answer that fits it, from the beginning of a connection.",
        limits: "User names and passwords are not kept; what is relayed is found anew.",
    },
    attributes: &[VERSION, METHOD, AUTHENTICATED, COMMAND, TARGET, REPLY],
    stream: Some(StreamEntry {
        first_byte: |byte| matches!(byte, 4 | 5),
        probe,
        start: || Box::<Connection>::default(),
    }),
    datagram: None,
};

crate::open_enum! {
    /// Methods of authentication, RFC 1928 §3.
    struct Method(u8) {
        /// None.
        NONE = 0 => "none",
        /// GSSAPI, RFC 1961.
        GSSAPI = 1 => "gssapi",
        /// Name and password, RFC 1929.
        PASSWORD = 2 => "password",
        /// The proxy accepts none of those offered.
        REFUSED = 0xff => "refused",
    }
}

crate::open_enum! {
    /// Commands, RFC 1928 §4.
    struct Command(u8) {
        /// Connect to the target.
        CONNECT = 1 => "connect",
        /// Wait for a connection of the target.
        BIND = 2 => "bind",
        /// Relay datagrams.
        UDP_ASSOCIATE = 3 => "udp_associate",
    }
}

/// Success of version 4.
const GRANTED: u8 = 90;
/// Bytes of an answer of version 4.
const REPLY_4: usize = 8;
/// Longest user name and host of version 4 that are waited for.
const MAX_STRING: usize = 256;

fn probe(opening: &Opening<'_>) -> Probe {
    if opening.midstream {
        return Probe::No;
    }
    let (spoken, reply) = (opening.spoken(), opening.reply());
    match exchange(spoken, reply) {
        Probe::No if reply.is_empty() && alone(spoken).is_some() => Probe::Yes,
        Probe::More if reply.is_empty() && alone(spoken).is_some() => Probe::Yes,
        // The packets of both sides may have changed places.
        Probe::No if !reply.is_empty() => exchange(reply, spoken),
        answer => answer,
    }
}

/// Who sends the two messages of version 5 at the start of `bytes`, where the other direction is not in the capture: the
/// client its methods and a request, or the proxy its choice and a reply.
fn alone(bytes: &[u8]) -> Option<Said> {
    const REPLIES: std::ops::RangeInclusive<u8> = 0..=8;
    if let Ok(offered) = methods(bytes) {
        let request = bytes.get(offered.len().saturating_add(2)..)?;
        if let Ok((1..=3, target, _)) = message_5(request)
            && !target.ends_with(":0")
        {
            return Some(Said::Request5);
        }
    }
    let reply = match bytes {
        [5, 0, reply @ ..] | [5, 2, 1, 0, reply @ ..] => reply,
        _ => return None,
    };
    message_5(reply)
        .is_ok_and(|(code, _, _)| REPLIES.contains(&code))
        .then_some(Said::Nothing)
}

/// A client's first message and the proxy's answer.
fn exchange(spoken: &[u8], reply: &[u8]) -> Probe {
    let answer = match spoken.first() {
        Some(4) => match request_4(spoken) {
            Ok(request) if request.length == spoken.len() => reply_4(reply),
            Err(Reject::Short(_)) => Probe::More,
            Ok(_) | Err(_) => return Probe::No,
        },
        Some(5) => match methods(spoken) {
            Ok(offered) => chosen(offered, spoken, reply),
            Err(Reject::Short(_)) => Probe::More,
            Err(_) => return Probe::No,
        },
        _ => return Probe::No,
    };
    match answer {
        Probe::More if !reply.is_empty() && !matches!(reply.first(), Some(0 | 5)) => Probe::No,
        answer => answer,
    }
}

fn reply_4(reply: &[u8]) -> Probe {
    match reply {
        [] | [0] => Probe::More,
        [0, 90..=93, rest @ ..] if rest.len() < REPLY_4.saturating_sub(2) => Probe::More,
        [0, 90..=93, ..] => Probe::Yes,
        _ => Probe::No,
    }
}

/// The choice of the proxy must be one of those that it was offered, and be all that it says unless it says more of 5.
fn chosen(offered: &[u8], spoken: &[u8], reply: &[u8]) -> Probe {
    let after = spoken.get(offered.len().saturating_add(2)..);
    let continues = matches!(after, Some([] | [1 | 5, ..]));
    match reply {
        _ if !continues => Probe::No,
        [] | [5] => Probe::More,
        [5, method] if *method == 0xff || offered.contains(method) => Probe::Yes,
        [5, method, 1 | 5, ..] if offered.contains(method) => Probe::Yes,
        _ => Probe::No,
    }
}

/// Whether `bytes` may be a client's first message.
fn is_opening(bytes: &[u8]) -> bool {
    bytes.first() == Some(&4) || matches!(methods(bytes), Ok(_) | Err(Reject::Short(_)))
}

/// The methods that a client of version 5 offers.
fn methods(bytes: &[u8]) -> Result<&[u8], Reject> {
    let mut cursor = Cursor::new(bytes);
    let (version, count) = (cursor.u8()?, cursor.u8()?);
    if version != 5 || count == 0 {
        return Err(Reject::Other);
    }
    let offered = cursor.take(usize::from(count))?;
    // Methods are 0 to 2, assigned up to 9, or private from 80h; none is offered twice.
    let known = |method: &u8| matches!(method, 0..=9 | 0x80..=0xfe);
    let once = offered
        .iter()
        .enumerate()
        .all(|(index, method)| !offered.iter().take(index).any(|before| before == method));
    if offered.iter().all(known) && once {
        Ok(offered)
    } else {
        Err(Reject::Other)
    }
}

/// A request of the client.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    command: Command,
    target: String,
    /// Its bytes.
    length: usize,
}

/// Version 4, and 4a: an address 0.0.0.x says that a name follows.
fn request_4(bytes: &[u8]) -> Result<Request, Reject> {
    let mut cursor = Cursor::new(bytes);
    let (version, command) = (cursor.u8()?, Command(cursor.u8()?));
    if version != 4 || !matches!(command, Command::CONNECT | Command::BIND) {
        return Err(Reject::Other);
    }
    let port = cursor.u16()?;
    let address = *cursor.array::<4>()?;
    if port == 0 || address == [0; 4] {
        return Err(Reject::Invalid("target"));
    }
    string(&mut cursor)?;
    let host = match address {
        [0, 0, 0, _] => {
            let host = string(&mut cursor)?;
            if host.is_empty() {
                return Err(Reject::Invalid("target"));
            }
            host.to_ascii_lowercase()
        }
        [0, ..] => return Err(Reject::Invalid("target")),
        address => Ipv4Addr::from(address).to_string(),
    };
    Ok(Request {
        command,
        target: format!("{host}:{port}"),
        length: cursor.offset(),
    })
}

/// Printable characters up to a NUL.
fn string(cursor: &mut Cursor<'_>) -> Result<String, Reject> {
    let rest = cursor.rest();
    let Some(end) = memchr(0, rest) else {
        if rest.len() > MAX_STRING || !rest.iter().all(|byte| byte.is_ascii_graphic()) {
            return Err(Reject::Other);
        }
        cursor.skip(rest.len().saturating_add(1))?;
        return Err(Reject::Other);
    };
    let text = cursor.take(end)?;
    cursor.skip(1)?;
    if text.len() > MAX_STRING || !text.iter().all(|byte| byte.is_ascii_graphic()) {
        return Err(Reject::Other);
    }
    Ok(String::from_utf8_lossy(text).into_owned())
}

/// Command or reply, then an address: what both messages of version 5 are made of (RFC 1928 §4, §6).
fn message_5(bytes: &[u8]) -> Result<(u8, String, usize), Reject> {
    let mut cursor = Cursor::new(bytes);
    let (version, code, reserved) = (cursor.u8()?, cursor.u8()?, cursor.u8()?);
    if version != 5 || reserved != 0 {
        return Err(Reject::Invalid("message"));
    }
    let host = match cursor.u8()? {
        1 => Ipv4Addr::from(*cursor.array::<4>()?).to_string(),
        3 => {
            let length = usize::from(cursor.u8()?);
            let name = cursor.take(length)?;
            if !name.iter().all(u8::is_ascii_graphic) {
                return Err(Reject::Invalid("host"));
            }
            String::from_utf8_lossy(name).to_ascii_lowercase()
        }
        4 => format!("[{}]", Ipv6Addr::from(*cursor.array::<16>()?)),
        _ => return Err(Reject::Invalid("address type")),
    };
    let port = cursor.u16()?;
    Ok((code, format!("{host}:{port}"), cursor.offset()))
}

/// One connection.
#[derive(Debug, Default)]
struct Connection {
    client: Option<Side>,
    said: Said,
    heard: Heard,
    command: Option<Command>,
}

/// What the client sent last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Said {
    #[default]
    Nothing,
    Methods,
    Request4,
    Request5,
}

/// What the proxy answers next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Heard {
    #[default]
    Method,
    Password,
    Reply,
}

/// What was read: bytes, or the end of what is of interest.
enum Read {
    Bytes(usize),
    /// The proxy agreed: what follows is the client's and the target's.
    Open(usize),
    /// What follows waits for the proxy's answer.
    Wait,
    End,
}

impl StreamDecoder for Connection {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let mut used: usize = 0;
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            if rest.is_empty() {
                return Step::Consumed;
            }
            if self.client.is_none() {
                let is_alone = alone(bytes) == Some(Said::Nothing);
                let is_client = !is_alone && is_opening(bytes);
                self.client = Some(if is_client { side } else { side.other() });
                if is_alone {
                    self.prove(5, notes);
                }
            }
            let client = self.client.unwrap_or(side);
            let read = if client == side {
                self.said(rest, notes)
            } else {
                self.heard(rest, notes)
            };
            match read {
                Ok(Read::Bytes(length)) => used = used.saturating_add(length),
                Ok(Read::Open(length)) => {
                    return Step::Handover {
                        consumed: used.saturating_add(length),
                        next: Next::Probe,
                    };
                }
                Ok(Read::Wait) => {
                    return Step::NeedMore {
                        consumed: used,
                        at_least: rest.len().saturating_add(1),
                    };
                }
                Ok(Read::End) => return Step::Done,
                Err(reject) => return reject.into_step(used, rest.len()),
            }
        }
    }
}

impl Connection {
    fn said(&mut self, bytes: &[u8], notes: &mut Notes<'_>) -> Result<Read, Reject> {
        match (self.said, bytes.first()) {
            (Said::Nothing, Some(4)) => {
                let request = request_4(bytes)?;
                self.said = Said::Request4;
                self.request(4, request.command, &request.target, notes);
                Ok(Read::Bytes(request.length))
            }
            (Said::Nothing, _) => {
                let offered = methods(bytes)?;
                self.said = Said::Methods;
                self.prove(5, notes);
                Ok(Read::Bytes(offered.len().saturating_add(2)))
            }
            // Name and password, RFC 1929 §2.
            (Said::Methods, Some(1)) => {
                let mut cursor = Cursor::new(bytes);
                cursor.skip(1)?;
                for _ in 0..2 {
                    let length = cursor.u8()?;
                    cursor.skip(usize::from(length))?;
                }
                Ok(Read::Bytes(cursor.offset()))
            }
            (Said::Methods, _) => {
                let (command, target, length) = message_5(bytes)?;
                self.said = Said::Request5;
                self.request(5, Command(command), &target, notes);
                Ok(Read::Bytes(length))
            }
            (Said::Request4 | Said::Request5, _) => Ok(Read::Wait),
        }
    }

    fn heard(&mut self, bytes: &[u8], notes: &mut Notes<'_>) -> Result<Read, Reject> {
        let mut cursor = Cursor::new(bytes);
        if self.said == Said::Request4 {
            let answer = cursor.array::<REPLY_4>()?[1];
            return Ok(self.reply(answer, answer == GRANTED, REPLY_4, notes));
        }
        match self.heard {
            Heard::Method => {
                cursor.skip(1)?;
                let method = Method(cursor.u8()?);
                notes.text(METHOD, &method.to_string());
                self.heard = match method {
                    Method::NONE => Heard::Reply,
                    Method::PASSWORD => Heard::Password,
                    _ => return Ok(Read::End),
                };
                Ok(Read::Bytes(cursor.offset()))
            }
            Heard::Password => {
                cursor.skip(1)?;
                let accepted = cursor.u8()? == 0;
                notes.number(AUTHENTICATED, u64::from(accepted));
                self.heard = Heard::Reply;
                Ok(match accepted {
                    true => Read::Bytes(cursor.offset()),
                    false => Read::End,
                })
            }
            Heard::Reply => {
                let (answer, _, length) = message_5(bytes)?;
                Ok(self.reply(answer, answer == 0, length, notes))
            }
        }
    }

    fn prove(&self, version: u64, notes: &mut Notes<'_>) {
        notes.proved();
        notes.number(VERSION, version);
        if let Some(client) = self.client {
            notes.client(client);
        }
    }

    fn request(&mut self, version: u64, command: Command, target: &str, notes: &mut Notes<'_>) {
        self.prove(version, notes);
        notes.text(COMMAND, &command.to_string());
        notes.text(TARGET, target);
        self.command = Some(command);
    }

    fn reply(&mut self, answer: u8, granted: bool, length: usize, notes: &mut Notes<'_>) -> Read {
        notes.number(REPLY, u64::from(answer));
        match self.command {
            _ if !granted => Read::End,
            // The first answer names where the proxy waits, the second tells that the target came.
            Some(Command::BIND) => {
                self.command = Some(Command::CONNECT);
                Read::Bytes(length)
            }
            Some(Command::UDP_ASSOCIATE) => Read::End,
            _ => Read::Open(length),
        }
    }
}

#[cfg(test)]
mod tests;
