//! Calls whose answers name endpoints (the endpoint mapper, DCOM) on one connection: from the request, by its call id, to
//! the last fragment of the answer.

use std::collections::BTreeMap;

use super::ndr::Encoding;
use super::pdu::Header;
use super::{EPT_CUT, dcom, epm};
use crate::evidence::Notes;

/// Calls without an answer yet that are remembered; clients of the mapper wait for one before the next.
const MAX_OPEN: usize = 64;

/// An operation whose answer is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Mapper(epm::Operation),
    Dcom(dcom::Operation),
}

/// Calls without an answer, by call id.
#[derive(Default)]
pub(super) struct Calls(BTreeMap<u32, Call>);

struct Call {
    operation: Operation,
    /// The context is known to be the operation's.
    bound: bool,
    /// In NDR64.
    wide: bool,
    stub: Vec<u8>,
    /// Bytes beyond the bound.
    cut: u64,
}

impl Calls {
    /// Bytes that calls without an answer hold, of which there are a few dozen at most.
    pub(super) fn held_bytes(&self) -> usize {
        let stubs = self.0.values().map(|call| call.stub.capacity());
        let calls = self.0.len().saturating_mul(size_of::<(u32, Call)>());
        stubs.fold(calls, usize::saturating_add)
    }

    /// Whether a response with this call id is to be read.
    pub(super) fn awaits(&self, call_id: u32) -> bool {
        self.0.contains_key(&call_id)
    }

    /// The call has no answer that can be read.
    pub(super) fn forget(&mut self, call_id: u32) {
        self.0.remove(&call_id);
    }

    /// A request in a context that is the operation's (`ndr64` says in which encoding), or in an unknown one.
    pub(super) fn request(
        &mut self,
        header: &Header,
        operation: Operation,
        ndr64: Option<bool>,
        stub: &[u8],
        notes: &mut Notes<'_>,
    ) {
        let wide = match operation {
            Operation::Mapper(operation) => mapper_wide(header, operation, ndr64, stub, notes),
            Operation::Dcom(_) => ndr64,
        };
        let Some(wide) = wide else {
            return;
        };
        if self.0.len() >= MAX_OPEN {
            self.0.pop_first();
        }
        let call = Call {
            operation,
            bound: ndr64.is_some(),
            wide,
            stub: Vec::new(),
            cut: 0,
        };
        self.0.insert(header.call_id, call);
    }

    /// A fragment of an answer.
    pub(super) fn response(&mut self, header: &Header, stub: &[u8], notes: &mut Notes<'_>) {
        let others = |(id, _): &(&u32, &Call)| **id != header.call_id || !header.is_first();
        let held: usize = self
            .0
            .iter()
            .filter(others)
            .map(|(_, call)| call.stub.len())
            .sum();
        let Some(call) = self.0.get_mut(&header.call_id) else {
            return;
        };
        if header.is_first() {
            call.stub.clear();
        }
        let room = epm::MAX_REPLY_BYTES.saturating_sub(held);
        let (kept, cut) = stub.split_at(room.min(stub.len()));
        call.stub.extend_from_slice(kept);
        call.cut = call.cut.saturating_add(cut.len() as u64);
        if !header.is_last() {
            return;
        }
        let Some(call) = self.0.remove(&header.call_id) else {
            return;
        };
        let encoding = Encoding {
            order: header.order,
            wide: call.wide,
        };
        match call.operation {
            Operation::Mapper(operation) => {
                let reply = epm::Reply::parse(&call.stub, operation, encoding);
                if call.bound || reply.is_exact() {
                    reply.note(notes);
                }
            }
            Operation::Dcom(operation) => dcom::note(&call.stub, operation, encoding, notes),
        }
        if call.cut > 0 {
            notes.number(EPT_CUT, call.cut);
        }
    }
}

/// Notes what a request wants of the mapper; says in which encoding it is, where that is known or can be told.
fn mapper_wide(
    header: &Header,
    operation: epm::Operation,
    ndr64: Option<bool>,
    stub: &[u8],
    notes: &mut Notes<'_>,
) -> Option<bool> {
    let candidates: &[bool] = match ndr64 {
        Some(true) => &[true],
        Some(false) => &[false],
        None => &[false, true],
    };
    let wanted = candidates.iter().find_map(|&wide| {
        let encoding = Encoding {
            order: header.order,
            wide,
        };
        epm::wanted(stub, encoding)
            .ok()
            .map(|wanted| (wanted, wide))
    });
    if operation == epm::Operation::Map
        && let Some((interface, _)) = wanted
    {
        epm::note_wanted(interface, notes);
    }
    // Without a bind, only a request that names a tower shows that this is the mapper.
    ndr64.or(wanted.map(|(_, wide)| wide))
}
