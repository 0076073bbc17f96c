//! The connection-oriented protocol: framing, and what is remembered of one connection.

mod binds;

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Next, Probe, Reject, Step, StreamDecoder};
use super::bind::{NakReason, Proposals, Syntax};
use super::body::{fault, stub, token};
use super::calls::{Calls, Operation};
use super::latency::Waiting;
use super::pdu::{self, AuthLevel, AuthType, Header, Kind, Trailer};
use super::probe::{HTTP_GREETING, likely};
use super::rts::Rts;
use super::{
    ANSWERED, ANSWERED_WITHIN, AUTH_LEVEL, AUTH_TYPE, BIND_NAK, CHANNEL_ANSWER, CHANNEL_CALL,
    GREETING, OPNUM, dcom, epm,
};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::{PerSide, Side};

/// Presentation contexts remembered: Windows clients use a handful, servers allow some dozens.
const MAX_CONTEXTS: usize = 256;
/// Binds without an answer yet that are remembered.
const MAX_BINDS: usize = 64;
/// What was said already and need not be said again; beyond it facts are noted anew, which costs time only.
const MAX_NOTED: usize = 1024;

/// What an RPC proxy answers with instead of RPC.
const HTTP_RESPONSE: &[u8] = b"HTTP/1.";

/// The state of one connection.
#[derive(Default)]
pub(super) struct Stream {
    sides: PerSide<Position>,
    /// Accepted contexts.
    contexts: BTreeMap<u16, Context>,
    /// Proposals without an answer, by call id.
    proposals: BTreeMap<u32, Proposals>,
    calls: Calls,
    waiting: Waiting<u32>,
    noted: BTreeSet<Noted>,
    proved: bool,
    /// A bind was seen: contexts that it does not explain are not the mapper's.
    bind_seen: bool,
    /// A channel of RPC over HTTP: what the other side answers comes in another connection.
    is_channel: bool,
    /// Protection that the last bind announced.
    announced: Option<(AuthType, AuthLevel)>,
}

/// Where one side's stream stands.
#[derive(Clone, Copy, Default)]
enum Position {
    /// At a header.
    #[default]
    Header,
    /// At the security trailer of a fragment whose stub was passed over.
    Trailer {
        kind: Kind,
        context: u16,
        auth_length: usize,
    },
}

#[derive(Clone, Copy)]
struct Context {
    interface: Syntax,
    ndr64: bool,
}

/// What a fact was said of: context, what, value, side.
type Noted = (u16, &'static str, u64, Side);

impl StreamDecoder for Stream {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        if let Position::Trailer {
            kind,
            context,
            auth_length,
        } = self.sides[side]
        {
            return self.trailer(kind, context, auth_length, bytes, notes);
        }
        if bytes.first() == HTTP_GREETING.first() {
            return greeting(side, bytes, notes);
        }
        // A channel that fails ends with an ordinary response.
        if self.is_channel && bytes.first() == HTTP_RESPONSE.first() {
            return http_response(bytes);
        }
        if bytes.len() < Header::BYTES {
            if !Header::can_begin(bytes) {
                return Step::Reject(Reject::Other);
            }
            return Step::NeedMore {
                consumed: 0,
                at_least: Header::BYTES,
            };
        }
        let header = match Header::parse(bytes) {
            Ok(header) => header,
            Err(reject) => return Step::Reject(reject),
        };
        if !self.proved {
            notes.proved();
            self.proved = true;
        }
        if let Some(of_client) = header.kind.is_of_client() {
            let client = if of_client { side } else { side.other() };
            if self.is_news(0, "client", 0, client) {
                notes.client(client);
            }
        }
        match header.kind {
            Kind::REQUEST | Kind::RESPONSE | Kind::FAULT => self.call(header, bytes, notes),
            _ => self.control(header, bytes, notes),
        }
    }

    fn held_bytes(&self) -> usize {
        size_of_val(self).saturating_add(self.calls.held_bytes())
    }

    fn resume(&mut self, side: Side, bytes: &[u8]) -> Option<usize> {
        self.sides[side] = Position::Header;
        memchr::memchr_iter(pdu::VERSION, bytes).find(|&offset| {
            let rest = bytes.get(offset..).unwrap_or_default();
            let Ok(header) = Header::parse(rest) else {
                return false;
            };
            let next = rest.get(header.length..).unwrap_or_default();
            (next.is_empty() || Header::can_begin(next)) && likely(&header, rest) == Probe::Yes
        })
    }
}

fn http_response(bytes: &[u8]) -> Step {
    if bytes.starts_with(HTTP_RESPONSE) {
        return Step::Handover {
            consumed: 0,
            next: Next::Probe,
        };
    }
    if HTTP_RESPONSE.starts_with(bytes) {
        return Step::NeedMore {
            consumed: 0,
            at_least: HTTP_RESPONSE.len(),
        };
    }
    Step::Reject(Reject::Other)
}

fn greeting(side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
    if bytes.starts_with(HTTP_GREETING) {
        notes.proved();
        notes.client(side.other());
        notes.bytes(GREETING, HTTP_GREETING);
        return Step::Skip {
            consumed: HTTP_GREETING.len(),
            bytes: 0,
        };
    }
    if HTTP_GREETING.starts_with(bytes) {
        return Step::NeedMore {
            consumed: 0,
            at_least: HTTP_GREETING.len(),
        };
    }
    Step::Reject(Reject::Other)
}

impl Stream {
    /// Whether this is said for the first time.
    fn is_news(&mut self, context: u16, what: &'static str, value: u64, side: Side) -> bool {
        if self.noted.len() >= MAX_NOTED {
            return !self.noted.contains(&(context, what, value, side));
        }
        self.noted.insert((context, what, value, side))
    }

    /// Requests, responses and faults: their stubs are passed over, unless they may be the mapper's.
    fn call(&mut self, header: Header, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let need = |at_least| Step::NeedMore {
            consumed: 0,
            at_least,
        };
        let mut cursor = Cursor::new(bytes);
        let numbers = cursor.skip(20).and_then(|()| {
            Ok((
                header.order.u16(&mut cursor)?,
                header.order.u16(&mut cursor)?,
            ))
        });
        let Ok((context, number)) = numbers else {
            return need(24.min(header.length));
        };
        notes.about(u64::from(context));
        let side = notes.side();
        if header.kind == Kind::REQUEST && self.is_news(context, OPNUM, u64::from(number), side) {
            notes.number(OPNUM, u64::from(number));
        }
        self.time(&header, context, number, notes);
        let whole = bytes.get(..header.length);
        let wanted = match header.kind {
            Kind::REQUEST => self.followed(&header, context, number).is_some(),
            Kind::RESPONSE => self.calls.awaits(header.call_id),
            _ => true,
        };
        match whole {
            None if wanted => return need(header.length),
            None => return self.pass_over(&header, context, notes),
            Some(_) => {}
        }
        let whole = whole.unwrap_or_default();
        let trailer = header
            .trailer_offset()
            .and_then(|offset| whole.get(offset..))
            .map(|rest| Trailer::parse(&mut Cursor::new(rest)));
        let trailer = match trailer {
            Some(Ok(trailer)) => Some(trailer),
            // An authentication that makes no sense is no reason to doubt the call.
            Some(Err(_)) => return skip(header.length),
            None => None,
        };
        self.note_protection(header.kind, context, trailer, notes);
        let sealed = trailer.is_some_and(|trailer| trailer.level == AuthLevel::PRIVACY);
        if wanted && header.kind == Kind::FAULT {
            self.calls.forget(header.call_id);
            fault(&header, whole, notes);
        } else if wanted && !sealed {
            let stub = stub(&header, whole, trailer);
            if header.kind != Kind::REQUEST {
                self.calls.response(&header, stub, notes);
            } else if let Some(operation) = self.followed(&header, context, number) {
                let ndr64 = self.contexts.get(&context).map(|known| known.ndr64);
                self.calls.request(&header, operation, ndr64, stub, notes);
            }
        } else if wanted {
            self.calls.forget(header.call_id);
        }
        skip(header.length)
    }

    /// Passes over the rest of a fragment that is not all there; its security trailer is read when it comes.
    fn pass_over(&mut self, header: &Header, context: u16, notes: &mut Notes<'_>) -> Step {
        // Header and fixed fields are read.
        const READ: usize = 24;
        let to_trailer = header
            .trailer_offset()
            .and_then(|offset| offset.checked_sub(READ));
        let Some(bytes) = to_trailer else {
            if header.auth_length == 0 {
                self.note_protection(header.kind, context, None, notes);
            }
            return skip(header.length);
        };
        self.sides[notes.side()] = Position::Trailer {
            kind: header.kind,
            context,
            auth_length: header.auth_length,
        };
        Step::Skip {
            consumed: READ,
            bytes: bytes as u64,
        }
    }

    fn trailer(
        &mut self,
        kind: Kind,
        context: u16,
        auth_length: usize,
        bytes: &[u8],
        notes: &mut Notes<'_>,
    ) -> Step {
        if bytes.len() < Header::TRAILER {
            return Step::NeedMore {
                consumed: 0,
                at_least: Header::TRAILER,
            };
        }
        self.sides[notes.side()] = Position::Header;
        if let Ok(trailer) = Trailer::parse(&mut Cursor::new(bytes)) {
            notes.about(u64::from(context));
            self.note_protection(kind, context, Some(trailer), notes);
        }
        skip(Header::TRAILER.saturating_add(auth_length))
    }

    /// Notes how a call is protected. Without a trailer that is as the bind said: calls at level `connect` carry none.
    fn note_protection(
        &mut self,
        kind: Kind,
        context: u16,
        trailer: Option<Trailer>,
        notes: &mut Notes<'_>,
    ) {
        let (service, level) = match (trailer, self.announced) {
            (Some(trailer), _) => (trailer.service, trailer.level),
            (None, Some((service, AuthLevel::CONNECT))) => (service, AuthLevel::CONNECT),
            (None, Some(_)) if kind == Kind::REQUEST => (AuthType::NONE, AuthLevel::NONE),
            (None, _) => return,
        };
        let side = notes.side();
        if self.is_news(context, AUTH_TYPE, u64::from(service.0), side) {
            notes.text(AUTH_TYPE, &service.to_string());
        }
        if self.is_news(context, AUTH_LEVEL, u64::from(level.0), side) {
            notes.text(AUTH_LEVEL, &level.to_string());
        }
    }

    /// Everything that is no call. Short ones are read whole; of a long one that is not all there yet, what can be
    /// read is noted at once, because the capture may be cut.
    fn control(&mut self, header: Header, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let whole = bytes.get(..header.length);
        let there = whole.unwrap_or(bytes);
        match header.kind {
            Kind::BIND | Kind::ALTER_CONTEXT => self.bind(&header, there, whole.is_some(), notes),
            Kind::BIND_ACK | Kind::ALTER_CONTEXT_RESP => {
                self.acknowledge(&header, there, whole.is_some(), notes);
            }
            Kind::BIND_NAK if whole.is_some() => {
                let mut cursor = Cursor::new(there);
                let reason = cursor
                    .skip(Header::BYTES)
                    .and_then(|()| header.order.u16(&mut cursor));
                if let Ok(reason) = reason {
                    notes.text(BIND_NAK, &NakReason(reason).to_string());
                }
                self.proposals.remove(&header.call_id);
            }
            Kind::RTS => {
                self.is_channel = true;
                if let Some(Ok(rts)) = whole.map(|whole| Rts::parse(&header, whole)) {
                    rts.note(notes);
                }
            }
            _ => {}
        }
        let carries_token = header.auth_length > 0 && header.kind != Kind::RTS;
        match whole {
            Some(whole) => {
                if carries_token {
                    token(&header, whole, notes);
                }
                skip(header.length)
            }
            None if header.kind.least() > Header::BYTES || carries_token => Step::NeedMore {
                consumed: 0,
                at_least: header.length,
            },
            None => skip(header.length),
        }
    }

    /// Takes the time of a call from the last fragment of the request to the first of the answer. In a channel the other half
    /// comes elsewhere.
    fn time(&mut self, header: &Header, context: u16, opnum: u16, notes: &mut Notes<'_>) {
        let time = notes.moment().time;
        match header.kind {
            Kind::REQUEST if header.is_last() => {
                self.waiting.asked(header.call_id, time);
                if self.is_channel {
                    notes.about(call_subject(header.call_id, 0, context));
                    notes.number(CHANNEL_CALL, u64::from(opnum));
                    notes.about(u64::from(context));
                }
            }
            Kind::RESPONSE | Kind::FAULT if header.is_first() => {
                let Some(step) = self.waiting.answered(header.call_id, time) else {
                    if self.is_channel {
                        notes.about(call_subject(header.call_id, 0, context));
                        notes.number(CHANNEL_ANSWER, u64::from(header.kind == Kind::RESPONSE));
                        notes.about(u64::from(context));
                    }
                    return;
                };
                let side = notes.side();
                if self.is_news(context, ANSWERED_WITHIN, step, side) {
                    notes.number(ANSWERED_WITHIN, step);
                }
                if let Some(calls) = self.waiting.milestone(context) {
                    notes.number(ANSWERED, calls);
                }
            }
            _ => {}
        }
    }

    /// The operation of a request whose answer can be followed and names endpoints.
    fn followed(&self, header: &Header, context: u16, opnum: u16) -> Option<Operation> {
        if !header.is_first() || !header.is_last() {
            return None;
        }
        match self
            .contexts
            .get(&context)
            .map(|known| known.interface.uuid)
        {
            Some(epm::INTERFACE) => epm::Operation::of(opnum).map(Operation::Mapper),
            Some(interface) => dcom::Operation::of(interface, opnum).map(Operation::Dcom),
            None => epm::Operation::of(opnum)
                .filter(|&operation| operation == epm::Operation::Map && !self.bind_seen)
                .map(Operation::Mapper),
        }
    }
}

/// What facts are about that the channels of a virtual connection are joined by.
fn call_subject(call_id: u32, place: u16, context: u16) -> u64 {
    u64::from(call_id) << 32 | u64::from(place) << 16 | u64::from(context)
}

const fn skip(length: usize) -> Step {
    Step::Skip {
        consumed: 0,
        bytes: length as u64,
    }
}
