//! One connection: heads of both directions, and where their bodies end (RFC 9112 §6).

use std::collections::VecDeque;

use memchr::{memchr, memmem};

use super::frames::{self, Frame};
use super::head::{self, Head, Start};
use super::{UPGRADE, VERSION, probe};
use crate::evidence::Notes;
use crate::net::{PerSide, Side};
use crate::protocol::text::begins;
use crate::protocol::{Next, Reject, Step, StreamDecoder, websocket};

/// Longest head: servers refuse more (IIS: 16 KiB by default, others up to 64 KiB).
const MAX_HEAD: usize = 64 * 1024;
/// A head that was still one after so many bytes is not checked again with every segment.
const CHECKED_START: usize = 2048;
/// Longest line with the size of a chunk, extensions included.
const MAX_CHUNK_LINE: usize = 4096;
/// With it a server agrees to WebSocket, RFC 6455 §4.2.2.
const WEBSOCKET_ACCEPT: &str = "sec-websocket-accept";
/// Requests that may wait for their responses. Beyond it the order is lost, as it is where one side was not captured.
const MAX_OUTSTANDING: usize = 256;
/// An RPC_OUT_DATA request is held back until its response tells whether RPC follows: longer bodies are none (MS-RPCH
/// §2.1.2.1.2 has 76 and 120 bytes).
const MAX_HELD: u64 = 1024;
/// Bodies of RPC_IN_DATA below this are the exchanges that come before the channel: empty while authenticating, 4 bytes
/// of an echo request.
const LEAST_CHANNEL: u64 = 1024;

/// One connection.
#[derive(Debug, Default)]
pub(super) struct Connection {
    sides: PerSide<Part>,
    /// Requests whose responses are to come.
    outstanding: VecDeque<Asked>,
}

/// What one direction is in the middle of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    /// A head; so many bytes were searched for its end.
    #[default]
    Head,
    /// A head that is not whole: so many bytes were searched for its end.
    Searched(usize),
    /// A line with the size of a chunk.
    ChunkSize,
    /// The line that ends a chunk.
    ChunkEnd,
    /// Lines after the last chunk.
    Trailers,
    /// The body of RPC_OUT_DATA, which waits for the response.
    Held(u64),
    /// The first frame of HTTP/2.
    Settings,
    /// A frame of HTTP/2.
    Frame,
}

/// What a response must know of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Head,
    Connect,
    RpcOut,
    Other,
}

impl StreamDecoder for Connection {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let mut used: usize = 0;
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            if rest.is_empty() {
                return Step::Consumed;
            }
            let (length, then) = match self.part(side, rest, notes) {
                Ok(progress) => progress,
                Err(reject) => {
                    self.sides[side] = Part::Head;
                    return Step::Reject(reject);
                }
            };
            used = used.saturating_add(length);
            match then {
                Then::Go => {}
                Then::More(at_least) => {
                    return Step::NeedMore {
                        consumed: used,
                        at_least,
                    };
                }
                Then::Skip(bytes) => {
                    return Step::Skip {
                        consumed: used,
                        bytes,
                    };
                }
                Then::Handover(next) => {
                    return Step::Handover {
                        consumed: used,
                        next,
                    };
                }
                Then::Done => return Step::Done,
            }
        }
    }

    fn resume(&mut self, side: Side, bytes: &[u8]) -> Option<usize> {
        let found = probe::is_head(bytes).then_some(0);
        if found.is_some() {
            self.sides[side] = Part::Head;
            // A request may have been in the gap: the order is lost.
            self.outstanding.clear();
        }
        found
    }
}

/// What comes after the bytes that were read.
enum Then {
    /// More of the same chunk.
    Go,
    /// At least so many bytes.
    More(usize),
    /// So many bytes of a body.
    Skip(u64),
    /// Another protocol.
    Handover(Next),
    /// Nothing of interest.
    Done,
}

impl Connection {
    fn part(
        &mut self,
        side: Side,
        bytes: &[u8],
        notes: &mut Notes<'_>,
    ) -> Result<(usize, Then), Reject> {
        match self.sides[side] {
            Part::Head => self.head(side, bytes, 0, notes),
            Part::Searched(searched) => self.head(side, bytes, searched, notes),
            Part::Held(body) => self.held(side, bytes, body),
            Part::Settings if probe::PREFACE.starts_with(bytes) => {
                Ok((0, Then::More(bytes.len().saturating_add(1))))
            }
            // After an upgrade the client still sends the preface.
            Part::Settings if bytes.starts_with(probe::PREFACE) => {
                Ok((probe::PREFACE.len(), Then::Go))
            }
            part @ (Part::Settings | Part::Frame) => {
                let frame = frames::frame(bytes, part == Part::Settings, notes)?;
                Ok(match frame {
                    Frame::More(at_least) => (0, Then::More(at_least)),
                    Frame::Pass(head, length) => {
                        self.sides[side] = Part::Frame;
                        (head, Then::Skip(length))
                    }
                })
            }
            Part::ChunkSize => self.line(side, bytes, |line| {
                let size = chunk_size(line).ok_or(Reject::Invalid("chunk size"))?;
                Ok(match size {
                    0 => (Part::Trailers, Then::Go),
                    _ => (Part::ChunkEnd, Then::Skip(size)),
                })
            }),
            Part::ChunkEnd => self.line(side, bytes, |line| match line {
                [] => Ok((Part::ChunkSize, Then::Go)),
                _ => Err(Reject::Invalid("end of chunk")),
            }),
            Part::Trailers => self.line(side, bytes, |line| {
                Ok(match line {
                    [] => (Part::Head, Then::Go),
                    _ => (Part::Trailers, Then::Go),
                })
            }),
        }
    }

    /// Reads a line of chunked framing (RFC 9112 §7.1).
    fn line(
        &mut self,
        side: Side,
        bytes: &[u8],
        read: impl Fn(&[u8]) -> Result<(Part, Then), Reject>,
    ) -> Result<(usize, Then), Reject> {
        let Some(end) = memchr(b'\n', bytes) else {
            if bytes.len() > MAX_CHUNK_LINE {
                return Err(Reject::Invalid("chunk line"));
            }
            return Ok((0, Then::More(bytes.len().saturating_add(1))));
        };
        let line = bytes.get(..end).unwrap_or_default();
        let (part, then) = read(line.strip_suffix(b"\r").unwrap_or(line))?;
        self.sides[side] = part;
        Ok((end.saturating_add(1), then))
    }

    fn head(
        &mut self,
        side: Side,
        bytes: &[u8],
        searched: usize,
        notes: &mut Notes<'_>,
    ) -> Result<(usize, Then), Reject> {
        // Empty lines before a request are passed over, RFC 9112 §2.2.
        let empty = bytes
            .iter()
            .take_while(|byte| matches!(byte, b'\r' | b'\n'))
            .count();
        if empty > 0 {
            return Ok((empty, Then::Go));
        }
        if bytes.starts_with(probe::PREFACE) {
            notes.proved();
            notes.client(side);
            notes.text(VERSION, "2");
            self.sides = PerSide::new(Part::Settings, Part::Settings);
            return Ok((probe::PREFACE.len(), Then::Go));
        }
        if let Some((target, _)) = probe::simple_request(bytes) {
            notes.proved();
            notes.client(side);
            notes.text(VERSION, "0.9");
            head::note_target(target, notes);
            return Ok((bytes.len(), Then::Done));
        }
        let Some(end) = end_of_head(bytes, searched) else {
            return self.unfinished(side, bytes, searched, notes);
        };
        self.sides[side] = Part::Head;
        let head = Head::parse(bytes.get(..end).unwrap_or_default())?;
        head.note(notes);
        notes.proved();
        let then = match head.start {
            Start::Request { method } => {
                notes.client(side);
                self.request(side, method, &head)
            }
            Start::Response { status } => {
                notes.client(side.other());
                self.response(side, status, &head, notes)
            }
        };
        Ok((end, then))
    }

    /// The head is not whole, and may never be: at first sight it says what its whole lines prove.
    fn unfinished(
        &mut self,
        side: Side,
        bytes: &[u8],
        searched: usize,
        notes: &mut Notes<'_>,
    ) -> Result<(usize, Then), Reject> {
        let is_head = searched > CHECKED_START || probe::is_head(bytes);
        if bytes.len() > MAX_HEAD || !(is_head || probe::may_be_head(bytes)) {
            return Err(Reject::Invalid("head"));
        }
        if searched == 0 && is_head {
            notes.proved();
            Head::read_cut(bytes, |head| head.note(notes));
        }
        // The end may have begun within the last three bytes.
        self.sides[side] = Part::Searched(bytes.len().saturating_sub(3));
        Ok((0, Then::More(bytes.len().saturating_add(1))))
    }

    /// Where the body of a request ends, RFC 9112 §6.3.
    fn request(&mut self, side: Side, method: &str, head: &Head<'_>) -> Then {
        let asked = match method {
            "HEAD" => Asked::Head,
            // Version 1 of RPC over HTTP connects likewise (MS-RPCH 2.1.1.1).
            "CONNECT" | "RPC_CONNECT" => Asked::Connect,
            "RPC_OUT_DATA" => Asked::RpcOut,
            _ => Asked::Other,
        };
        if self.outstanding.len() >= MAX_OUTSTANDING {
            self.outstanding.clear();
        }
        self.outstanding.push_back(asked);
        if head.is_chunked() {
            self.sides[side] = Part::ChunkSize;
            return Then::Go;
        }
        let body = head.content_length().unwrap_or(0);
        match method {
            "RPC_IN_DATA" if body >= LEAST_CHANNEL => Then::Handover(Next::Probe),
            "RPC_OUT_DATA" if (1..=MAX_HELD).contains(&body) => {
                self.sides[side] = Part::Held(body);
                Then::Go
            }
            _ if body > 0 => Then::Skip(body),
            _ => Then::Go,
        }
    }

    /// A channel's request waits for its response, which hands over; any other makes it an ordinary body.
    fn held(&mut self, side: Side, bytes: &[u8], body: u64) -> Result<(usize, Then), Reject> {
        if self.outstanding.contains(&Asked::RpcOut) && bytes.len() as u64 <= body {
            return Ok((0, Then::More(bytes.len().saturating_add(1))));
        }
        self.sides[side] = Part::Head;
        Ok((0, Then::Skip(body)))
    }

    /// Where the body of a response ends, RFC 9112 §6.3.
    fn response(
        &mut self,
        side: Side,
        status: u16,
        head: &Head<'_>,
        notes: &mut Notes<'_>,
    ) -> Then {
        if status == 101 {
            return self.upgraded(head, notes);
        }
        if (100..200).contains(&status) {
            return Then::Go;
        }
        let asked = self.outstanding.pop_front();
        match asked {
            Some(Asked::Connect) if (200..300).contains(&status) => {
                return Then::Handover(Next::Probe);
            }
            Some(Asked::RpcOut) if status == 200 => return Then::Handover(Next::Probe),
            // The request is not in the capture; the media type tells (MS-RPCH §2.1.2.1.4).
            None if status == 200
                && head.header("content-type") == Some(b"application/rpc")
                && head
                    .content_length()
                    .is_some_and(|length| length >= LEAST_CHANNEL) =>
            {
                return Then::Handover(Next::Probe);
            }
            _ => {}
        }
        if asked == Some(Asked::Head) || matches!(status, 204 | 304) {
            return Then::Go;
        }
        if head.is_chunked() {
            self.sides[side] = Part::ChunkSize;
            return Then::Go;
        }
        match head.content_length() {
            Some(0) => Then::Go,
            Some(length) => Then::Skip(length),
            // Up to the end of the connection.
            None => Then::Skip(u64::MAX),
        }
    }

    /// What both sides agreed to speak from here on, RFC 9110 §7.8.
    fn upgraded(&mut self, head: &Head<'_>, notes: &mut Notes<'_>) -> Then {
        let upgrade = head.header("upgrade").unwrap_or_default();
        notes.bytes(UPGRADE, upgrade);
        if upgrade.eq_ignore_ascii_case(b"websocket") && head.header(WEBSOCKET_ACCEPT).is_some() {
            Then::Handover(Next::Protocol(&websocket::WEBSOCKET))
        } else if upgrade.eq_ignore_ascii_case(b"h2c") {
            self.sides = PerSide::new(Part::Settings, Part::Settings);
            Then::Go
        } else if begins(upgrade, b"TLS/") {
            // RFC 2817.
            Then::Handover(Next::Probe)
        } else {
            Then::Done
        }
    }
}

/// Offset behind the empty line that ends a head. `searched` bytes hold none.
fn end_of_head(bytes: &[u8], searched: usize) -> Option<usize> {
    let rest = bytes.get(searched..)?;
    let regular = memmem::find(rest, b"\r\n\r\n").map(|offset| offset.saturating_add(4));
    let until = rest.get(..regular.unwrap_or(rest.len()))?;
    let bare = memmem::find(until, b"\n\n").map(|offset| offset.saturating_add(2));
    bare.or(regular)
        .map(|offset| searched.saturating_add(offset))
}

/// The size in a chunk's first line: hexadecimal, extensions after a semicolon.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let end = memchr(b';', line).unwrap_or(line.len());
    let digits = line.get(..end)?.trim_ascii();
    if digits.is_empty() || digits.len() > 15 {
        return None;
    }
    digits.iter().try_fold(0, |size: u64, &digit| {
        let digit = char::from(digit).to_digit(16)?;
        Some(size << 4 | u64::from(digit))
    })
}
