//! Sorted runs of packed episodes, and going over many of them in one order.
//!
//! A [`Packer`] takes episodes as they end, in any order. What it has gathered is sorted now and then and becomes a run:
//! blocks of records, compressed, because flows of one time look alike. [`Records`] merges the runs of all packers.

use std::cmp::Reverse;
use std::collections::binary_heap::PeekMut;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

use super::Episode;
use super::codec::{self, Glance, Names, Place};
use super::store::{Pressed, Store};
use super::varint;
use crate::net::{FlowKey, Timestamp};

/// Bytes of records that a packer gathers before it sorts them. Runs grow with what is there already, so that going over
/// them needs a hundred or two at a time whatever the capture; each costs a block then.
const RUN_BYTES: usize = 1 << 20;
/// Bytes of a run at most.
const MAX_RUN_BYTES: usize = 16 << 20;
/// Runs of one packer after which they grow.
const GROW_AFTER: u64 = 32;
/// Bytes of records that are compressed together: more would press little further, and going over runs holds one of each.
const BLOCK_BYTES: usize = 32 << 10;

/// Takes episodes of one chain of captures in, and keeps them small.
#[derive(Debug)]
pub struct Packer {
    tap: Arc<str>,
    store: Arc<Store>,
    names: Names,
    bytes: Vec<u8>,
    /// Time of the first packet, and where the record lies in `bytes`.
    index: Vec<(i64, u32, u32)>,
    runs: Vec<Arc<Run>>,
    /// Bytes of records in runs.
    packed: u64,
    block: Vec<u8>,
}

impl Packer {
    /// A packer for episodes of that chain.
    pub fn new(tap: Arc<str>, store: Arc<Store>) -> Self {
        Self {
            tap,
            store,
            names: Names::default(),
            bytes: Vec::new(),
            index: Vec::new(),
            runs: Vec::new(),
            packed: 0,
            block: Vec::new(),
        }
    }

    /// Takes an episode in. All of them are of the packer's chain.
    pub fn push(&mut self, episode: &Episode) {
        debug_assert!(episode.tap == self.tap, "one chain, one packer");
        let start = self.bytes.len();
        codec::encode(episode, &mut self.names, &mut self.bytes);
        self.pushed(episode.tracker.first_seen, start);
    }

    /// Packs an episode that may go on, without taking it in: only this packer can read it.
    pub fn rest(&mut self, episode: &Episode) -> Rested {
        let start = self.bytes.len();
        codec::encode(episode, &mut self.names, &mut self.bytes);
        let record = self.bytes.get(start..).unwrap_or_default().into();
        self.bytes.truncate(start);
        Rested(record)
    }

    /// Reads an episode that goes on.
    pub fn wake(&self, rested: &Rested) -> Option<Episode> {
        codec::decode(&rested.0, &self.names, &self.tap)
    }

    /// Takes an episode in that did not go on.
    pub fn push_rested(&mut self, rested: &Rested) {
        let Some(glance) = codec::glance(&rested.0) else {
            return;
        };
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&rested.0);
        self.pushed(glance.place.time, start);
    }

    /// Takes note of a record that begins at `start`.
    fn pushed(&mut self, first_seen: Timestamp, start: usize) {
        let length = self.bytes.len().saturating_sub(start);
        let place = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        self.index
            .push((first_seen.nanos(), place(start), place(length)));
        let packed = usize::try_from(self.packed / GROW_AFTER).unwrap_or(usize::MAX);
        if self.bytes.len() >= packed.clamp(RUN_BYTES, MAX_RUN_BYTES) {
            self.seal();
        }
    }

    /// Sorts what was gathered and makes a run of it.
    fn seal(&mut self) {
        let Self {
            store,
            bytes,
            index,
            runs,
            packed,
            block,
            ..
        } = self;
        if index.is_empty() {
            return;
        }
        let record = |start: u32, length: u32| {
            let end = start.saturating_add(length) as usize;
            bytes.get(start as usize..end).unwrap_or_default()
        };
        let place = |&(_, start, length): &(i64, u32, u32)| {
            codec::glance(record(start, length)).map(|glance| glance.place)
        };
        index.sort_by(|one, other| {
            one.0
                .cmp(&other.0)
                .then_with(|| place(one).cmp(&place(other)))
        });
        let mut run = Run {
            blocks: Vec::new(),
            records: index.len() as u64,
        };
        block.clear();
        for &(_, start, length) in index.iter() {
            varint::put(block, u64::from(length));
            block.extend_from_slice(record(start, length));
            if block.len() >= BLOCK_BYTES {
                run.push(block, store);
            }
        }
        run.push(block, store);
        run.blocks.shrink_to_fit();
        *packed = packed.saturating_add(bytes.len() as u64);
        runs.push(Arc::new(run));
        bytes.clear();
        index.clear();
    }

    /// What was taken in.
    pub fn finish(mut self) -> Packed {
        self.seal();
        let Self {
            tap,
            store,
            names,
            runs,
            ..
        } = self;
        Packed {
            tap,
            store,
            names: Arc::new(names),
            runs,
        }
    }
}

/// An episode at rest: what was seen of a flow that may go on, packed.
#[derive(Debug)]
pub struct Rested(Box<[u8]>);

impl Rested {
    /// Bytes that it takes.
    pub const fn bytes(&self) -> usize {
        self.0.len()
    }
}

/// Records in order.
#[derive(Debug)]
struct Run {
    blocks: Vec<Pressed>,
    records: u64,
}

impl Run {
    fn push(&mut self, block: &mut Vec<u8>, store: &Store) {
        if !block.is_empty() {
            self.blocks.push(store.press(block));
            block.clear();
        }
    }
}

/// Packed episodes of one chain of captures, by one packer.
#[derive(Clone, Debug)]
pub struct Packed {
    tap: Arc<str>,
    store: Arc<Store>,
    names: Arc<Names>,
    runs: Vec<Arc<Run>>,
}

impl Packed {
    pub(super) const fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// How many episodes there are, those included that another packer has as well.
    pub(super) fn len(&self) -> u64 {
        self.runs.iter().map(|run| run.records).sum()
    }

    /// Whether both are the same packer's work: a merge with itself adds nothing.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.names, &other.names)
    }

    /// Reads one of its records.
    pub(crate) fn decode(&self, record: &[u8]) -> Option<Episode> {
        codec::decode(record, &self.names, &self.tap)
    }

    /// Goes over the flow keys of all records, in no order that means anything.
    pub(crate) fn for_each_key(&self, mut visit: impl FnMut(&FlowKey)) {
        for run in &self.runs {
            let Some(mut cursor) = Cursor::new(0, self, run) else {
                continue;
            };
            loop {
                visit(&cursor.glance.place.key);
                if !cursor.advance() {
                    break;
                }
            }
        }
    }
}

/// One run that is gone over.
struct Cursor<'a> {
    packed: usize,
    store: &'a Store,
    blocks: std::slice::Iter<'a, Pressed>,
    block: Vec<u8>,
    /// The record at hand.
    start: usize,
    end: usize,
    glance: Glance,
}

impl<'a> Cursor<'a> {
    /// At the first record.
    fn new(index: usize, packed: &'a Packed, run: &'a Run) -> Option<Self> {
        let mut cursor = Self {
            packed: index,
            store: &packed.store,
            blocks: run.blocks.iter(),
            block: Vec::new(),
            start: 0,
            end: 0,
            glance: Glance::NONE,
        };
        cursor.advance().then_some(cursor)
    }

    fn record(&self) -> &[u8] {
        self.block.get(self.start..self.end).unwrap_or_default()
    }

    /// Goes to the next record; `false` after the last one.
    fn advance(&mut self) -> bool {
        if self.end >= self.block.len() && !self.next_block() {
            return false;
        }
        let mut rest = self.block.get(self.end..).unwrap_or_default();
        let length = varint::take(&mut rest).and_then(|length| usize::try_from(length).ok());
        let Some(length) = length else {
            return self.broken();
        };
        self.start = self.block.len().saturating_sub(rest.len());
        self.end = self.start.saturating_add(length);
        match codec::glance(self.record()) {
            Some(glance) => {
                self.glance = glance;
                true
            }
            None => self.broken(),
        }
    }

    fn next_block(&mut self) -> bool {
        let Some(block) = self.blocks.next() else {
            return false;
        };
        (self.start, self.end) = (0, 0);
        self.store.unpress(block, &mut self.block) || self.end()
    }

    /// What was written is not what is read.
    fn broken(&mut self) -> bool {
        self.store.broken();
        self.end()
    }

    fn end(&mut self) -> bool {
        self.blocks = [].iter();
        self.block.clear();
        (self.start, self.end) = (0, 0);
        false
    }
}

/// A record in its order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    /// Whose record it is, by index.
    pub(crate) packed: usize,
    /// Its bytes.
    pub(crate) bytes: &'a [u8],
    /// Its flow.
    pub(crate) key: FlowKey,
    /// There is more than counters.
    pub(crate) says: bool,
}

/// All records of several packers, each once, by first packet, then by flow key, then as [`Episode`] orders.
pub(crate) struct Records<'a> {
    all: &'a [Packed],
    cursors: Vec<Cursor<'a>>,
    heads: BinaryHeap<Reverse<(Place, usize)>>,
    current: Vec<u8>,
    /// Records of one place that were put in order.
    tied: VecDeque<(usize, Vec<u8>)>,
}

impl<'a> Records<'a> {
    pub(crate) fn of(all: &'a [Packed]) -> Self {
        let mut cursors = Vec::new();
        let mut heads = BinaryHeap::new();
        for (index, packed) in all.iter().enumerate() {
            for run in &packed.runs {
                if let Some(cursor) = Cursor::new(index, packed, run) {
                    heads.push(Reverse((cursor.glance.place, cursors.len())));
                    cursors.push(cursor);
                }
            }
        }
        Self {
            all,
            cursors,
            heads,
            current: Vec::new(),
            tied: VecDeque::new(),
        }
    }

    /// The next record.
    pub(crate) fn next(&mut self) -> Option<Record<'_>> {
        if self.tied.is_empty() {
            let (packed, glance) = self.take()?;
            let is_tied = |Reverse((place, _)): &Reverse<(Place, usize)>| *place == glance.place;
            if !self.heads.peek().is_some_and(is_tied) {
                return Some(record(packed, &self.current, glance));
            }
            self.gather(packed, glance.place);
        }
        let (packed, bytes) = self.tied.pop_front()?;
        self.current = bytes;
        let glance = codec::glance(&self.current)?;
        Some(record(packed, &self.current, glance))
    }

    /// Copies the least record and goes on in its run.
    fn take(&mut self) -> Option<(usize, Glance)> {
        let mut head = self.heads.peek_mut()?;
        let Reverse((_, index)) = *head;
        let cursor = self.cursors.get_mut(index)?;
        let (packed, glance) = (cursor.packed, cursor.glance);
        self.current.clear();
        self.current.extend_from_slice(cursor.record());
        if cursor.advance() {
            *head = Reverse((cursor.glance.place, index));
        } else {
            PeekMut::pop(head);
            // Its blocks are of no use any more.
            if let Some(cursor) = self.cursors.get_mut(index) {
                cursor.block = Vec::new();
            }
        }
        Some((packed, glance))
    }

    /// Puts the records of one place in order, of which the first is at hand: each once.
    fn gather(&mut self, packed: usize, place: Place) {
        let mut records = vec![(packed, std::mem::take(&mut self.current))];
        while let Some(Reverse((next, _))) = self.heads.peek()
            && *next == place
        {
            if let Some((packed, _)) = self.take() {
                records.push((packed, std::mem::take(&mut self.current)));
            }
        }
        let decode = |(index, bytes): (usize, Vec<u8>)| {
            let episode = self.all.get(index)?.decode(&bytes)?;
            Some(((Arc::clone(&episode.tap), episode), (index, bytes)))
        };
        let mut decoded: Vec<_> = records.into_iter().filter_map(decode).collect();
        decoded.sort_by(|(one, _), (other, _)| one.cmp(other));
        decoded.dedup_by(|(one, _), (other, _)| one == other);
        self.tied
            .extend(decoded.into_iter().map(|(_, record)| record));
    }
}

const fn record(packed: usize, bytes: &[u8], glance: Glance) -> Record<'_> {
    Record {
        packed,
        bytes,
        key: glance.place.key,
        says: glance.says,
    }
}
