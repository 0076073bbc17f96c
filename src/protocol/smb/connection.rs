//! What is remembered of one connection: trees, requests without an answer, and pipes; and the choice of the reader for
//! each message.

use std::collections::BTreeMap;

use super::super::Probe;
use super::pipes::{Appetite, Handle, Pipes};
use super::{COMPRESSED, SEALED, VERSION, begins, one, two};
use crate::evidence::{Notes, Value};
use crate::net::{PerSide, Side};

/// Bytes of one message that are waited for: the largest fragment of DCE/RPC (65,535) with its headers, and any sane
/// Kerberos ticket. Longer ones are read as far as this.
pub(super) const MAX_UNIT: usize = 80 * 1024;
/// Requests without an answer that are remembered: clients are granted some hundreds of credits.
const MAX_PENDING: usize = 512;
/// Trees remembered: a terminal server's users share a connection, each with some.
const MAX_TREES: usize = 1024;

/// What to do with the bytes of a message.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum Unit {
    /// So many bytes of the message must be there to tell whether it is SMB.
    Unsure(usize),
    /// It is SMB, and so many bytes of the message must be there.
    Need(usize),
    /// So many bytes of the message are done with, seen or not.
    Pass(u64),
    /// It is no SMB.
    Foreign,
}

/// The state of one connection.
#[derive(Default)]
pub(in super::super) struct Connection {
    pub(super) one: one::Terms,
    /// What the messages of one compound refer to.
    pub(super) compounds: PerSide<two::Compound>,
    pub(super) pipes: Pipes,
    /// Whether a tree, by session and id, is the share of named pipes.
    trees: BTreeMap<(u64, u32), bool>,
    pending: BTreeMap<u64, Pending>,
    versions: PerSide<[bool; 4]>,
}

/// A request whose answer is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pending {
    /// Connects to a tree; whether its path names the share of named pipes.
    Tree(bool),
    /// Opens what may be a pipe: its name, as much as is shown of it, and whether the tree says that it is one.
    Open(Box<str>, bool),
    /// Asks for bytes of what may be a pipe.
    Read(Handle),
    /// Sends bytes in parts, and asks for others.
    Transact(Handle),
}

impl Pending {
    /// Opens `name`.
    pub(super) fn open(name: &str, is_pipe: bool) -> Self {
        Self::Open(name.chars().take(Value::MAX_TEXT).collect(), is_pipe)
    }
}

/// Bytes of a message that a pipe may want.
#[derive(Clone, Copy, Debug)]
pub(super) struct Carried {
    /// Offset in the message.
    pub(super) offset: usize,
    /// Their number.
    pub(super) length: usize,
}

impl Connection {
    /// Bytes that it holds beside its own size, about.
    pub(in super::super) fn held_bytes(&self) -> usize {
        let trees = self
            .trees
            .len()
            .saturating_mul(size_of::<((u64, u32), bool)>());
        let pending = self
            .pending
            .len()
            .saturating_mul(size_of::<(u64, Pending)>());
        self.pipes
            .held_bytes()
            .saturating_add(trees)
            .saturating_add(pending)
    }

    /// Reads the message at the start of `bytes`, which is `left` bytes long (several, where they are compounded).
    pub(in super::super) fn unit(
        &mut self,
        bytes: &[u8],
        left: u64,
        notes: &mut Notes<'_>,
    ) -> Unit {
        match begins(bytes, left) {
            Probe::No => return Unit::Foreign,
            Probe::More => return Unit::Unsure(bytes.len().saturating_add(1)),
            Probe::Yes => {}
        }
        notes.proved();
        let side = notes.side();
        match bytes.first() {
            Some(0xff) => {
                self.tell(side, 0, VERSION, 1, notes);
                one::unit(self, bytes, left, notes)
            }
            Some(0xfe) => {
                self.tell(side, 1, VERSION, 2, notes);
                two::unit(self, bytes, left, notes)
            }
            Some(0xfd) => {
                self.tell(side, 1, VERSION, 2, notes);
                self.tell(side, 2, SEALED, 1, notes);
                Unit::Pass(left)
            }
            _ => {
                self.tell(side, 1, VERSION, 2, notes);
                self.tell(side, 3, COMPRESSED, 1, notes);
                Unit::Pass(left)
            }
        }
    }

    /// Bytes of `side` are missing: its pipes must find their fragments again.
    pub(in super::super) fn lost(&mut self, side: Side) {
        self.compounds[side] = two::Compound::default();
        self.pipes.lost(side);
    }

    /// Notes what every message says, once.
    fn tell(
        &mut self,
        side: Side,
        what: usize,
        name: &'static str,
        number: u64,
        notes: &mut Notes<'_>,
    ) {
        if let Some(told) = self.versions[side].get_mut(what)
            && !std::mem::replace(told, true)
        {
            notes.number(name, number);
        }
    }

    pub(super) fn expect(&mut self, request: u64, pending: Pending) {
        if self.pending.len() >= MAX_PENDING {
            self.pending.pop_first();
        }
        self.pending.insert(request, pending);
    }

    pub(super) fn expected(&self, request: u64) -> Option<&Pending> {
        self.pending.get(&request)
    }

    pub(super) fn answered(&mut self, request: u64) -> Option<Pending> {
        self.pending.remove(&request)
    }

    /// A tree is there; `pipes` says whether it is the share of named pipes.
    pub(super) fn tree(&mut self, session: u64, tree: u32, pipes: bool) {
        if self.trees.len() >= MAX_TREES {
            self.trees.pop_first();
        }
        self.trees.insert((session, tree), pipes);
    }

    pub(super) fn forget_tree(&mut self, session: u64, tree: u32) {
        self.trees.remove(&(session, tree));
    }

    /// Whether the tree holds pipes; `None` where nobody saw what it is.
    pub(super) fn holds_pipes(&self, session: u64, tree: u32) -> Option<bool> {
        self.trees.get(&(session, tree)).copied()
    }

    /// Shows a pipe's decoder what `unit`, a message of `length` bytes of which some may be missing, carries. Answers
    /// how many bytes of the message must be there for that.
    pub(super) fn carried(
        &mut self,
        unit: &[u8],
        length: usize,
        handle: Handle,
        carried: Carried,
        notes: &mut Notes<'_>,
    ) -> Result<(), usize> {
        let end = carried.offset.saturating_add(carried.length).min(length);
        let there = unit.len().min(end);
        let data = unit.get(carried.offset..there).unwrap_or_default();
        let size = end.saturating_sub(carried.offset);
        match self.pipes.appetite(handle, data, size) {
            Appetite::Nothing => Ok(()),
            Appetite::Prefix(_) if carried.offset >= MAX_UNIT => Ok(()),
            Appetite::Prefix(bytes) => Err(carried.offset.saturating_add(bytes)),
            Appetite::All if data.len() == size => {
                self.pipes.feed(handle, data, notes);
                Ok(())
            }
            Appetite::All if end <= MAX_UNIT => Err(end),
            Appetite::All => {
                self.pipes.missed(handle, notes.side());
                Ok(())
            }
        }
    }
}

/// The bytes of `unit` from `offset`, `length` of them or as many as there are.
pub(super) fn slice(unit: &[u8], offset: usize, length: usize) -> &[u8] {
    let rest = unit.get(offset..).unwrap_or_default();
    rest.get(..length).unwrap_or(rest)
}

/// Text of UTF-16, least significant byte first, up to a NUL.
pub(super) fn utf16(bytes: &[u8]) -> String {
    let units = bytes.as_chunks::<2>().0.iter();
    let units = units
        .map(|&pair| u16::from_le_bytes(pair))
        .take_while(|&unit| unit != 0);
    char::decode_utf16(units)
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

/// Whether a path ends in the share of named pipes.
pub(super) fn names_pipes(path: &str) -> bool {
    let share = path.rsplit('\\').next().unwrap_or(path);
    share.eq_ignore_ascii_case("IPC$")
}
