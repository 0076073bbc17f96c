//! Named pipes: what each carries goes to a DCE/RPC decoder of its own, in order, for each direction.
//!
//! What is no DCE/RPC is left alone. Data of a handle whose opening was not seen is tried as well, where it is one
//! fragment from its first to its last byte.

use std::collections::BTreeMap;

use super::super::dcerpc::DCERPC;
use super::super::{Opening, Probe, Step, StreamDecoder};
use super::PIPE;
use crate::evidence::Notes;
use crate::net::{PerSide, Side};

/// Open pipes remembered: clients hold a handful; the one that was longest silent goes first.
const MAX_PIPES: usize = 32;
/// Pipes told apart in the facts of one flow; beyond it numbers begin again, long after the first were closed.
const MAX_NUMBERS: u32 = 256;
/// Bytes of one direction that wait for the rest of a fragment: the largest fragment fits.
const MAX_PENDING: usize = 64 * 1024;
/// Bytes that tell whether data is DCE/RPC: the header and the fields that a probe looks at.
const PREFIX: usize = 28;

/// Session and id of a file.
pub(super) type Handle = (u64, u128);

/// What a pipe wants of the data at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Appetite {
    /// None of it.
    Nothing,
    /// The first bytes, to see what it is.
    Prefix(usize),
    /// All of it.
    All,
}

/// The open pipes of one connection.
#[derive(Default)]
pub(super) struct Pipes {
    open: BTreeMap<Handle, Pipe>,
    /// Pipes so far.
    count: u32,
    /// Counts what happens, to know which pipe was longest silent.
    clock: u64,
}

#[derive(Default)]
struct Pipe {
    number: u32,
    /// Not yet noted.
    name: Option<Box<str>>,
    /// It is a pipe for certain.
    known: bool,
    decoder: Option<Box<dyn StreamDecoder>>,
    sides: PerSide<Inbox>,
    used: u64,
}

#[derive(Default)]
struct Inbox {
    pending: Vec<u8>,
    at_least: usize,
    skip: u64,
    lost: bool,
}

impl Inbox {
    fn lost() -> Self {
        Self {
            lost: true,
            ..Self::default()
        }
    }
}

impl Pipes {
    /// Bytes that open pipes hold, of which there are a few dozen at most.
    pub(super) fn held_bytes(&self) -> usize {
        let pipe = |pipe: &Pipe| {
            let decoder = pipe
                .decoder
                .as_ref()
                .map_or(0, |decoder| decoder.held_bytes());
            let pending = pipe.sides.iter().map(|(_, inbox)| inbox.pending.capacity());
            pending.fold(decoder, usize::saturating_add)
        };
        let pipes = self.open.len().saturating_mul(size_of::<(Handle, Pipe)>());
        self.open
            .values()
            .map(pipe)
            .fold(pipes, usize::saturating_add)
    }

    /// A file was opened that is a pipe (`known`), or may be one.
    pub(super) fn open(&mut self, handle: Handle, name: &str, known: bool, notes: &mut Notes<'_>) {
        self.open.remove(&handle);
        let pipe = self.pipe(handle);
        pipe.known = known;
        let name = name.trim_start_matches('\\');
        let name = match name.get(..5) {
            Some(prefix) if prefix.eq_ignore_ascii_case("PIPE\\") => name.get(5..),
            _ => Some(name),
        };
        pipe.name = name.filter(|name| !name.is_empty()).map(Box::from);
        if known {
            pipe.tell(notes);
        }
    }

    pub(super) fn close(&mut self, handle: Handle) {
        self.open.remove(&handle);
    }

    /// What is wanted of `length` bytes, of which `data` is there.
    pub(super) fn appetite(&self, handle: Handle, data: &[u8], length: usize) -> Appetite {
        let pipe = self.open.get(&handle);
        if length == 0 {
            return Appetite::Nothing;
        }
        if pipe.is_some_and(|pipe| pipe.decoder.is_some()) {
            return Appetite::All;
        }
        let wanted = PREFIX.min(length);
        if data.len() < wanted {
            return Appetite::Prefix(wanted);
        }
        let known = pipe.is_some_and(|pipe| pipe.known);
        if is_rpc(data) && (known || fragment(data) == Some(length)) {
            Appetite::All
        } else {
            Appetite::Nothing
        }
    }

    /// The side of `notes` sends `data` through the pipe.
    pub(super) fn feed(&mut self, handle: Handle, data: &[u8], notes: &mut Notes<'_>) {
        let pipe = self.pipe(handle);
        pipe.tell(notes);
        let side = notes.side();
        let mut inside = notes.inside(DCERPC.name);
        let mut part = inside.part(pipe.number);
        pipe.data(side, data, &mut part);
    }

    /// Bytes that `side` sent through the pipe were not read.
    pub(super) fn missed(&mut self, handle: Handle, side: Side) {
        if let Some(pipe) = self.open.get_mut(&handle) {
            pipe.sides[side] = Inbox::lost();
        }
    }

    /// Bytes that `side` sent through any pipe may be missing.
    pub(super) fn lost(&mut self, side: Side) {
        for pipe in self.open.values_mut() {
            pipe.sides[side] = Inbox::lost();
        }
    }

    fn pipe(&mut self, handle: Handle) -> &mut Pipe {
        self.clock = self.clock.saturating_add(1);
        if self.open.len() >= MAX_PIPES && !self.open.contains_key(&handle) {
            let silent = self.open.iter().min_by_key(|(_, pipe)| pipe.used);
            if let Some(handle) = silent.map(|(handle, _)| *handle) {
                self.open.remove(&handle);
            }
        }
        let (count, clock) = (&mut self.count, self.clock);
        let pipe = self.open.entry(handle).or_insert_with(|| {
            let number = (*count % MAX_NUMBERS).saturating_add(1);
            *count = count.wrapping_add(1);
            Pipe {
                number,
                ..Pipe::default()
            }
        });
        pipe.used = clock;
        pipe
    }
}

impl Pipe {
    fn tell(&mut self, notes: &mut Notes<'_>) {
        if let Some(name) = self.name.take() {
            notes.part(self.number).text(PIPE, &name);
        }
    }

    fn data(&mut self, side: Side, data: &[u8], notes: &mut Notes<'_>) {
        let Some(entry) = &DCERPC.stream else { return };
        let decoder = self.decoder.get_or_insert_with(entry.start);
        let inbox = &mut self.sides[side];
        let skipped = usize::try_from(inbox.skip)
            .unwrap_or(usize::MAX)
            .min(data.len());
        inbox.skip = inbox.skip.saturating_sub(skipped as u64);
        let mut data = data.get(skipped..).unwrap_or_default();
        if inbox.lost {
            let Some(offset) = decoder.resume(side, data) else {
                return;
            };
            data = data.get(offset..).unwrap_or_default();
            inbox.lost = false;
        }
        let mut pending = std::mem::take(&mut inbox.pending);
        if !pending.is_empty() {
            pending.extend_from_slice(data);
            if pending.len() < inbox.at_least {
                inbox.keep(pending);
                return;
            }
            data = &pending;
        }
        // Every turn consumes something or ends.
        while !data.is_empty() {
            match decoder.data(side, data, notes) {
                Step::NeedMore { consumed, at_least } => {
                    inbox.at_least = at_least;
                    inbox.keep(data.get(consumed..).unwrap_or_default().to_vec());
                    return;
                }
                Step::Skip { consumed, bytes } => {
                    let left = data.len().saturating_sub(consumed);
                    let here = usize::try_from(bytes).unwrap_or(usize::MAX).min(left);
                    inbox.skip = bytes.saturating_sub(here as u64);
                    let used = consumed.saturating_add(here);
                    if used == 0 {
                        return;
                    }
                    data = data.get(used..).unwrap_or_default();
                }
                Step::Consumed => return,
                Step::Handover { .. } | Step::Done | Step::Reject(_) => {
                    *inbox = Inbox::lost();
                    return;
                }
            }
        }
    }
}

impl Inbox {
    fn keep(&mut self, rest: Vec<u8>) {
        if rest.len() > MAX_PENDING || self.at_least > MAX_PENDING {
            *self = Self::lost();
        } else {
            self.pending = rest;
        }
    }
}

/// Whether data begins with a fragment of DCE/RPC.
fn is_rpc(data: &[u8]) -> bool {
    let Some(entry) = &DCERPC.stream else {
        return false;
    };
    let mut opening = Opening {
        bytes: PerSide::default(),
        missing: PerSide::default(),
        first: Side::A,
        midstream: true,
    };
    opening.bytes[Side::A] = data;
    // A greeting of RPC over HTTP has no place here.
    data.first() == Some(&5) && (entry.probe)(&opening) == Probe::Yes
}

/// Length that a fragment's header states (C706 12.6.3.1).
fn fragment(data: &[u8]) -> Option<usize> {
    let &[_, _, _, _, order, _, _, _, first, second] = data.first_chunk()?;
    let length = if order & 0xf0 == 0 {
        u16::from_be_bytes([first, second])
    } else {
        u16::from_le_bytes([first, second])
    };
    Some(usize::from(length))
}
