//! Session Initiation Protocol (RFC 3261), over UDP and TCP, with the Microsoft extensions that engineers look for.
//!
//! Reads start lines, the headers that identify a call, what clients and servers call themselves, why they refuse
//! (`Warning` of RFC 3261 20.43, `ms-diagnostics` of MS-OCER), how they authenticate, and every session description in
//! a body, multipart bodies (RFC 2046 5.1) included. Facts of one call have the FNV-1a hash (64 bit) of its Call-ID as
//! their subject; facts of the sender have the subject 0.
//!
//! Proves: a start line that names SIP/2.0, with one of the headers that every message must have. Over TCP a message
//! without Content-Length has no body, unless its type says that there is one: then it ends where the next begins, or with
//! the segment. After a successful NEGOTIATE (MS-SIPCOMP) the stream is compressed, and nothing more is read. Never
//! follows transactions: who is client is said once, by the first message.

mod head;

use memchr::memmem;

use self::head::{Head, StartLine};
use super::gss::{
    self, GSS_ANONYMOUS, GSS_DOMAIN, GSS_HOST, GSS_MECHANISM, GSS_OFFERED, GSS_SERVICE, GSS_VERSION,
};
use super::{
    About, Datagram, DatagramDecoder, DatagramEntry, Opening, Probe, Protocol, Reject, Step,
    StreamDecoder, StreamEntry, sdp,
};
use crate::evidence::Notes;
use crate::net::{PerSide, Side};

/// The Session Initiation Protocol.
pub(super) const SIP: Protocol = Protocol {
    name: "sip",
    about: About {
        title: "Session Initiation Protocol",
        sources: "RFC 3261, RFC 5626, MS-SIPRE, MS-SIPREGE, MS-SIPAE",
        reads: "Heads of requests and responses, also with compact and folded fields; session descriptions in their bodies are read as SDP.",
        proves: "A request or status line of SIP/2.0 with one of the fields that every message has.",
        limits: "Inside TLS nothing is seen; compressed signalling (MS-SIPCOMP) is not read.",
    },
    attributes: &[
        METHOD,
        STATUS,
        INVITE_STATUS,
        CALL_ID,
        CSEQ,
        FROM,
        TO,
        USER_AGENT,
        SERVER,
        CONTACT,
        WARNING,
        REASON,
        TRANSPORT,
        CHALLENGE,
        AUTHORIZATION,
        GSS_MECHANISM,
        GSS_OFFERED,
        GSS_DOMAIN,
        GSS_HOST,
        GSS_SERVICE,
        GSS_VERSION,
        GSS_ANONYMOUS,
    ],
    stream: Some(StreamEntry {
        first_byte: |byte| byte.is_ascii_uppercase() || byte == b'\r',
        probe,
        start: || Box::new(Stream::default()),
    }),
    datagram: Some(DatagramEntry {
        first_byte: |byte| byte.is_ascii_uppercase(),
        start: || Box::new(Datagrams),
    }),
};

/// The method of a request. About the call.
const METHOD: &str = "method";
/// Status code and phrase of a response: `486 Busy Here`. About the call.
const STATUS: &str = "status";
/// The same, of responses to INVITE only: how the call came out. About the call.
const INVITE_STATUS: &str = "invite_status";
/// The Call-ID itself. About the call.
const CALL_ID: &str = "call_id";
/// `number method`. About the call.
const CSEQ: &str = "cseq";
/// The URI of the From header, without parameters. About the call.
const FROM: &str = "from";
/// The URI of the To header, without parameters. About the call.
const TO: &str = "to";
/// The User-Agent header.
const USER_AGENT: &str = "user_agent";
/// The Server header.
const SERVER: &str = "server";
/// The URI of the Contact header, without parameters.
const CONTACT: &str = "contact";
/// The text of a Warning or `ms-diagnostics` header. About the call.
const WARNING: &str = "warning";
/// The Reason header of RFC 3326. About the call.
const REASON: &str = "reason";
/// A transport that a Via header names, lower case: a proxy tells so what the other legs use.
const TRANSPORT: &str = "transport";
/// A scheme that a server asks for: `NTLM`, `Kerberos`, `TLS-DSK`, `Digest` ...
const CHALLENGE: &str = "challenge";
/// The scheme of the credentials that a client sends.
const AUTHORIZATION: &str = "authorization";

/// Longest head (start line and headers): long route sets and certificates in NOTIFY stay below 8 KiB.
const MAX_HEAD: usize = 16 * 1024;
/// Longest body that is waited for: presence documents can be longer, session descriptions are not.
const MAX_BODY: usize = 64 * 1024;
/// Bytes of keep-alives before the first message.
const MAX_KEEP_ALIVE: usize = 8;
/// Multipart bodies within each other.
const MAX_NESTING: u8 = 3;
/// Parts read of one multipart body.
const MAX_PARTS: usize = 32;

/// Notes what the head of a message says.
fn note(head: &Head<'_>, notes: &mut Notes<'_>) {
    notes.proved();
    let side = notes.side();
    notes.about(0);
    head.transports()
        .for_each(|word| notes.text(TRANSPORT, &word));
    head.challenges()
        .for_each(|word| notes.text(CHALLENGE, word));
    head.credentials()
        .for_each(|word| notes.text(AUTHORIZATION, word));
    for token in head.tokens().filter_map(gss::mechanism_base64) {
        token.note(notes);
    }
    notes.text(USER_AGENT, &head.text(&["user-agent"]));
    notes.text(SERVER, &head.text(&["server"]));
    notes.text(CONTACT, &head.uri(&["contact", "m"]));
    let call_id = head.text(&["call-id", "i"]);
    if !call_id.is_empty() {
        notes.about(fnv1a(call_id.as_bytes()));
    }
    notes.text(CALL_ID, &call_id);
    let cseq = head.cseq();
    match head.start {
        StartLine::Request { method } => {
            notes.client(side);
            notes.text(METHOD, method);
        }
        StartLine::Response { status } => {
            notes.client(side.other());
            notes.text(STATUS, status);
            if cseq.ends_with(" INVITE") {
                notes.text(INVITE_STATUS, status);
            }
        }
    }
    notes.text(CSEQ, &cseq);
    notes.text(FROM, &head.uri(&["from", "f"]));
    notes.text(TO, &head.uri(&["to", "t"]));
    notes.text(REASON, &head.text(&["reason"]));
    for text in head.texts(&["warning", "ms-diagnostics", "ms-diagnostics-public"]) {
        notes.text(WARNING, &text);
    }
}

/// FNV-1a, 64 bit (draft-eastlake-fnv): the same subject for a call in every run and on every machine.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// What a body holds, and what has to be known of its message to read it.
#[derive(Debug)]
struct Body {
    call_id: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Session,
    Multipart { boundary: String },
}

impl Body {
    /// `None` for bodies that hold no session description.
    fn of(head: &Head<'_>) -> Option<Self> {
        let kind = Kind::of(&head.text(&["content-type", "c"]))?;
        let is_plain = matches!(&*head.text(&["content-encoding", "e"]), "" | "identity");
        is_plain.then(|| Self {
            call_id: head.text(&["call-id", "i"]).into_owned(),
            kind,
        })
    }

    fn read(&self, bytes: &[u8], notes: &mut Notes<'_>) {
        notes.about(fnv1a(self.call_id.as_bytes()));
        self.kind.read(bytes, &self.call_id, 0, notes);
    }
}

impl Kind {
    fn of(content_type: &str) -> Option<Self> {
        let (kind, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
        let kind = kind.trim().to_ascii_lowercase();
        if kind == "application/sdp" {
            return Some(Self::Session);
        }
        kind.strip_prefix("multipart/")?;
        let boundary = parameters.split(';').find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            let is_boundary = name.trim().eq_ignore_ascii_case("boundary");
            is_boundary.then(|| value.trim().trim_matches('"').to_owned())
        })?;
        (!boundary.is_empty()).then_some(Self::Multipart { boundary })
    }

    fn read(&self, bytes: &[u8], call_id: &str, nesting: u8, notes: &mut Notes<'_>) {
        match self {
            Self::Session => {
                if let Some(session) = sdp::parse(bytes) {
                    session.note(call_id, notes);
                }
            }
            Self::Multipart { boundary } => {
                let delimiter = format!("--{boundary}");
                // What comes before the first delimiter is a preamble (RFC 2046 section 5.1.1).
                for part in parts(bytes, delimiter.as_bytes()).take(MAX_PARTS) {
                    let Some((head, body)) = head::split_part(part) else {
                        continue;
                    };
                    if let Some(kind) = Self::of(&head::part_type(head))
                        && nesting < MAX_NESTING
                    {
                        kind.read(body, call_id, nesting.saturating_add(1), notes);
                    }
                }
            }
        }
    }
}

/// The bytes between delimiters, and after the last one.
fn parts<'a>(bytes: &'a [u8], delimiter: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut starts = memmem::find_iter(bytes, delimiter)
        .map(move |at| (at, at.saturating_add(delimiter.len())))
        .peekable();
    std::iter::from_fn(move || {
        let (_, start) = starts.next()?;
        let end = starts.peek().map_or(bytes.len(), |(next, _)| *next);
        bytes.get(start..end)
    })
}

/// One message in each datagram.
struct Datagrams;

impl DatagramDecoder for Datagrams {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let (head, body) = match head::find_end(datagram.bytes) {
            Some(end) => datagram.bytes.split_at_checked(end).unwrap_or_default(),
            // Cut by the snap length, or by a sender that leaves the empty line out.
            None => (head::whole_lines(datagram.bytes), &[][..]),
        };
        let parsed = match Head::parse(head) {
            None if datagram.is_cut() && head::begins(datagram.bytes) => {
                notes.proved();
                return Ok(());
            }
            None if datagram.is_cut() => Head::cut(head),
            parsed => parsed,
        };
        let head = parsed.ok_or(Reject::Other)?;
        note(&head, notes);
        if let Some(kind) = Body::of(&head) {
            let body = match head.content_length() {
                Some(length) => body.get(..length).unwrap_or(body),
                None => body,
            };
            let body = if datagram.is_cut() {
                head::whole_lines(body)
            } else {
                body
            };
            kind.read(body, notes);
        }
        Ok(())
    }
}

/// Both directions of a connection.
#[derive(Default)]
struct Stream {
    bodies: PerSide<Option<(Body, usize)>>,
    /// The head that is waited for was noted as far as it came.
    begun: PerSide<bool>,
}

impl StreamDecoder for Stream {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let mut used = 0;
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            match self.message(side, rest, notes) {
                Ok(Progress::Used(count)) => used = used.saturating_add(count),
                Ok(Progress::Wait { at_least }) if rest.is_empty() && at_least <= 1 => {
                    return Step::Consumed;
                }
                Ok(Progress::Wait { at_least }) => {
                    return Step::NeedMore {
                        consumed: used,
                        at_least,
                    };
                }
                Ok(Progress::Skip { consumed, bytes }) => {
                    return Step::Skip {
                        consumed: used.saturating_add(consumed),
                        bytes,
                    };
                }
                Ok(Progress::Compressed) => return Step::Done,
                // What was read before the broken bytes stays, and what comes after them is looked for.
                Err(reject) => match head::find_next_start(rest) {
                    Some(next) => used = used.saturating_add(next),
                    None if used > 0 => return Step::Consumed,
                    None => return Step::Reject(reject),
                },
            }
        }
    }

    fn resume(&mut self, side: Side, bytes: &[u8]) -> Option<usize> {
        self.bodies[side] = None;
        self.begun[side] = false;
        head::find_start(bytes)
    }
}

enum Progress {
    Used(usize),
    Wait { at_least: usize },
    Skip { consumed: usize, bytes: u64 },
    Compressed,
}

impl Stream {
    /// Reads one head or one body.
    fn message(
        &mut self,
        side: Side,
        bytes: &[u8],
        notes: &mut Notes<'_>,
    ) -> Result<Progress, Reject> {
        if let Some((body, length)) = self.bodies[side].take() {
            return Ok(match bytes.get(..length) {
                Some(whole) => {
                    body.read(whole, notes);
                    Progress::Used(length)
                }
                None => {
                    self.bodies[side] = Some((body, length));
                    Progress::Wait { at_least: length }
                }
            });
        }
        // Keep-alives between messages (RFC 5626 section 3.5.1).
        let keep_alive = bytes
            .iter()
            .take_while(|byte| matches!(byte, b'\r' | b'\n'))
            .count();
        if keep_alive > 0 {
            return Ok(Progress::Used(keep_alive));
        }
        let wait = Progress::Wait {
            at_least: bytes.len().saturating_add(1),
        };
        let Some(end) = head::find_end(bytes) else {
            if bytes.len() > MAX_HEAD || head::probe(bytes) == Probe::No {
                return Err(Reject::Other);
            }
            if head::begins(bytes) || head::probe(bytes) == Probe::Yes {
                notes.proved();
            }
            self.begin(side, bytes, notes);
            return Ok(wait);
        };
        self.begun[side] = false;
        let (head, rest) = bytes.split_at_checked(end).unwrap_or_default();
        let head = Head::parse(head).ok_or(Reject::Other)?;
        note(&head, notes);
        if head.starts_compression() {
            return Ok(Progress::Compressed);
        }
        let body = Body::of(&head);
        let length = head.content_length().unwrap_or_else(|| match &body {
            Some(_) => head::find_start(rest).unwrap_or(rest.len()),
            None => 0,
        });
        match body {
            Some(body) if length <= MAX_BODY => {
                self.bodies[side] = Some((body, length));
                Ok(Progress::Used(end))
            }
            _ => Ok(Progress::Skip {
                consumed: end,
                bytes: length as u64,
            }),
        }
    }

    /// Notes once what an incomplete head says: the rest may have been cut from the capture. A folded line may go on, and
    /// facts without their call would be misplaced.
    fn begin(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) {
        if self.begun[side] {
            return;
        }
        let lines = head::whole_lines(bytes);
        let lines = head::whole_lines(lines.strip_suffix(b"\n").unwrap_or(lines));
        if let Some(head) = Head::parse(lines)
            && !head.text(&["call-id", "i"]).is_empty()
        {
            self.begun[side] = true;
            note(&head, notes);
        }
    }
}

fn probe(opening: &Opening<'_>) -> Probe {
    let answers = opening.bytes.iter().map(|(side, bytes)| {
        let is_cut = opening.missing[side] > 0;
        let start = bytes
            .iter()
            .take(MAX_KEEP_ALIVE)
            .take_while(|byte| matches!(byte, b'\r' | b'\n'))
            .count();
        match bytes.get(start..) {
            Some([]) | None if start == 0 => Probe::No,
            Some([]) | None => Probe::More,
            Some(bytes) if is_cut && head::begins(bytes) => Probe::Yes,
            Some(bytes) => head::probe(bytes),
        }
    });
    answers.fold(Probe::No, Probe::or)
}

#[cfg(test)]
mod tests;
