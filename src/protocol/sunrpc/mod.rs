//! ONC RPC (RFC 5531), once Sun RPC: calls and replies in datagrams, and in streams with record marking.
//!
//! Proves calls whose head is whole, and replies to calls that were seen. What a portmapper (RFC 1833) answers becomes the
//! offer of a port. Arguments of other programs, credentials and names of users are not kept.

mod message;
mod portmapper;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use super::{
    About, Datagram, DatagramDecoder, DatagramEntry, Opening, Probe, Protocol, Reject, Step,
    StreamDecoder, StreamEntry,
};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::{PerSide, Side};

use message::{Call, Reply};

/// Program and version that is called: `nfs 3`.
const PROGRAM: &str = "program";
/// Procedure of it: `nfs 3 procedure 6`.
const PROCEDURE: &str = "procedure";
/// Flavor of the credentials.
const FLAVOR: &str = "flavor";
/// Name of the calling machine, from credentials of the flavor `sys`.
const MACHINE: &str = "machine";
/// Why a call failed.
const ERROR: &str = "error";

/// ONC RPC.
pub(super) const SUNRPC: Protocol = Protocol {
    name: "sunrpc",
    about: About {
        title: "ONC Remote Procedure Call (Sun RPC)",
        sources: "RFC 5531, RFC 1833",
        reads: "Program, version, procedure, flavor of credentials, errors; ports in a portmapper's answers become offers.",
        proves: "The head of a call, or a reply to a call that was seen.",
        limits: "Arguments and results of other programs than the portmapper are not read.",
    },
    attributes: &[PROGRAM, PROCEDURE, FLAVOR, MACHINE, ERROR],
    stream: Some(StreamEntry {
        // The mark of a record: its last fragment, or one before, of less than 16 MB.
        first_byte: |byte| matches!(byte, 0 | 0x80),
        probe,
        start: || Box::<Connection>::default(),
    }),
    datagram: Some(DatagramEntry {
        // The first octet is that of an identifier.
        first_byte: |_| true,
        start: || Box::<Calls>::default(),
    }),
};

/// Calls of one flow that wait for their replies: clients keep few open, and a flood of calls must not grow.
const MAX_CALLS: usize = 64;

/// Calls that were seen, and the replies to them.
#[derive(Default)]
struct Calls {
    open: VecDeque<Call>,
}

impl Calls {
    /// Reads a message of `wire_len` octets, of which `bytes` are there.
    fn message(
        &mut self,
        bytes: &[u8],
        wire_len: usize,
        notes: &mut Notes<'_>,
    ) -> Result<(), Reject> {
        let mut cursor = Cursor::new(bytes);
        let (id, kind) = (cursor.u32()?, cursor.u32()?);
        let side = notes.side();
        match kind {
            message::CALL => {
                let call = Call::parse(id, &mut cursor, bytes.len() < wire_len)?;
                call.note(notes);
                notes.client(side);
                while self.open.len() >= MAX_CALLS {
                    self.open.pop_front();
                }
                self.open.push_back(call);
            }
            message::REPLY => {
                let reply = Reply::parse(&mut cursor)?;
                let asked = self.open.iter().position(|call| call.id == id);
                let call = asked.and_then(|index| self.open.remove(index));
                // Without its call a reply is a few small numbers.
                let call = call.ok_or(Reject::Other)?;
                reply.note(notes);
                notes.client(side.other());
                if reply.error.is_none() {
                    portmapper::answer(&call, cursor, notes);
                }
            }
            _ => return Err(Reject::Other),
        }
        notes.proved();
        Ok(())
    }
}

impl DatagramDecoder for Calls {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        // Call or reply, in four octets: the cheapest of all tests.
        if !matches!(datagram.bytes.get(4..8), Some([0, 0, 0, 0 | 1])) {
            return Err(Reject::Other);
        }
        self.message(datagram.bytes, datagram.wire_len, notes)
    }
}

/// Octets of the mark before each fragment (RFC 5531 section 11).
const MARK: usize = 4;
/// Octets at the start of a record that are looked at: the head of any call, with names of programs and addresses.
const HEAD: usize = 1024;
/// Records of this many octets are read whole: lists of a portmapper.
const WHOLE: usize = 16 * 1024;
/// Records beyond this many octets exist nowhere: NFS writes at most one megabyte.
const MAX_RECORD: usize = 8 * 1024 * 1024;

/// The mark of a fragment: whether it is the last, and its length.
fn mark(bytes: &[u8]) -> Option<(bool, usize)> {
    let mark = Cursor::new(bytes).u32().ok()?;
    let length = usize::try_from(mark & 0x7fff_ffff).ok()?;
    Some((mark >> 31 == 1, length))
}

/// Whether `bytes` begin with a record that holds a call.
fn probe_side(bytes: &[u8]) -> Probe {
    let Some((_, length)) = mark(bytes) else {
        return Probe::More;
    };
    if !(message::LEAST_CALL..=MAX_RECORD).contains(&length) {
        return Probe::No;
    }
    let record = bytes.get(MARK..).unwrap_or_default();
    let record = record.get(..length).unwrap_or(record);
    match message::begins_call(record, length) {
        Ok(()) => Probe::Yes,
        Err(Reject::Short(_)) if record.len() < length => Probe::More,
        Err(_) => Probe::No,
    }
}

fn probe(opening: &Opening<'_>) -> Probe {
    let answers = [opening.spoken(), opening.reply()].map(|bytes| match bytes {
        [] => Probe::No,
        bytes => probe_side(bytes),
    });
    match answers {
        [Probe::Yes, _] | [_, Probe::Yes] => Probe::Yes,
        [Probe::More, _] => Probe::More,
        _ => Probe::No,
    }
}

/// One connection.
#[derive(Default)]
struct Connection {
    calls: Calls,
    /// The next fragment continues a record whose beginning was read.
    continues: PerSide<bool>,
}

impl StreamDecoder for Connection {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let Some((is_last, length)) = mark(bytes) else {
            return Step::NeedMore {
                consumed: 0,
                at_least: MARK,
            };
        };
        if length > MAX_RECORD {
            return Step::Reject(Reject::Invalid("record mark"));
        }
        let skip = Step::Skip {
            consumed: MARK,
            bytes: length as u64,
        };
        if self.continues[side] {
            self.continues[side] = !is_last;
            return skip;
        }
        let wanted = if length <= WHOLE { length } else { HEAD };
        let there = bytes.get(MARK..).unwrap_or_default();
        let Some(record) = there.get(..wanted) else {
            // The capture may end here.
            if message::begins_call(there, length).is_ok() {
                notes.proved();
                notes.client(side);
            }
            return Step::NeedMore {
                consumed: 0,
                at_least: MARK.saturating_add(wanted),
            };
        };
        self.continues[side] = !is_last;
        match self.calls.message(record, length, notes) {
            // A reply whose call is not in the capture proves nothing, and breaks nothing.
            Ok(()) | Err(Reject::Other) => skip,
            Err(reject) => Step::Reject(reject),
        }
    }

    fn resume(&mut self, side: Side, bytes: &[u8]) -> Option<usize> {
        let record = bytes.get(MARK..).unwrap_or_default();
        let (_, length) = mark(bytes).filter(|(_, length)| *length <= MAX_RECORD)?;
        let is_call = message::begins_call(record, length).is_ok();
        let mut cursor = Cursor::new(record);
        let is_reply = cursor
            .u32()
            .is_ok_and(|id| self.calls.open.iter().any(|call| call.id == id))
            && cursor.u32().is_ok_and(|kind| kind == message::REPLY);
        self.continues[side] = false;
        (is_call || is_reply).then_some(0)
    }
}
