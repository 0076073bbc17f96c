//! The table of live flows.
//!
//! States lie in one dense array; a hash table holds their indexes. A packet of a known flow costs one probe and
//! allocates nothing. A hand goes round the array to find idle flows, a few steps for each packet, so that neither
//! many flows nor jumps in time make a packet expensive.

use std::hash::BuildHasher;
use std::mem;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::order::{MisorderCounts, Progress};
use super::{Observation, Tracker, episode};
use crate::net::{FlowKey, PerSide, TcpFlags, Timestamp};

/// Most flows alive at once in one table, unless said otherwise: bounds memory under floods of addresses and ports.
pub const MAX_FLOWS: u32 = 1 << 20;

/// Flows that the hand passes for each packet. At two, idle flows go twice as fast as new ones can come.
const SWEEP_PER_PACKET: usize = 2;

/// Flows that the hand passes at once: side by side in memory, they cost less than one by one.
const SWEEP_BATCH: usize = 64;

/// Packet time between the starts of two rounds of the hand: idle times are minutes, so closer looks find little.
const ROUND: i64 = 10 * 1_000_000_000;

/// Flows of which the one idle for longest goes when the table is full.
const EVICTION_SAMPLE: usize = 16;

/// The state of one episode of a flow.
#[derive(Debug)]
#[repr(C)] // the hot part first
pub struct FlowState<S> {
    /// What its headers add up to.
    pub tracker: Tracker,
    progress: PerSide<Progress>,
    /// The latest packet time of the capture when its last packet came.
    active: Timestamp,
    /// The user of the table was told that it is idle, and no packet came since.
    is_idle: bool,
    /// What the user of the table keeps for it.
    pub inner: S,
}

impl<S> FlowState<S> {
    fn new(observation: &Observation, clock: Timestamp, inner: S) -> Self {
        let mut state = Self {
            tracker: Tracker::new(observation),
            progress: PerSide::default(),
            active: clock,
            is_idle: false,
            inner,
        };
        state.follow(observation);
        state
    }

    fn record(&mut self, observation: &Observation, clock: Timestamp) {
        self.active = clock;
        self.is_idle = false;
        self.tracker.record(observation);
        self.follow(observation);
    }

    /// Takes the order of a segment into account.
    fn follow(&mut self, observation: &Observation) {
        if let (Some(tcp), Some(tracker)) = (&observation.tcp, &mut self.tracker.tcp) {
            let side = observation.side;
            let counts: &mut MisorderCounts = &mut tracker.misorder[side];
            let (time, length) = (observation.time, observation.payload_len);
            if let Some(filler) = self.progress[side].advance(time, tcp, length, counts) {
                let trip = tracker.round_trip_micros();
                tracker.misorder[side].fill(filler, trip);
            }
            if tcp.flags.contains(TcpFlags::ACK) && !tcp.flags.contains(TcpFlags::RST) {
                let other = side.other();
                let counts = &mut tracker.misorder[other];
                self.progress[other].acknowledge(tcp, length == 0, counts);
            }
        }
    }
}

/// What the hand finds on its way.
#[derive(Debug)]
pub enum Found<'a, S> {
    /// A flow that was idle for so long that it is over.
    Over(FlowKey, FlowState<S>),
    /// A flow that was idle for as long as the user said, and may go on. It is found once, until it does.
    Idle(FlowKey, &'a mut FlowState<S>),
}

#[derive(Debug)]
#[repr(C)]
struct Entry<S> {
    key: FlowKey,
    state: FlowState<S>,
}

/// The flows that are alive, by key.
#[derive(Debug)]
pub struct FlowTable<S> {
    /// Indexes of `entries`. Invariant: exactly one for each entry, under the hash of its key.
    index: HashTable<u32>,
    entries: Vec<Entry<S>>,
    hasher: RandomState,
    limit: u32,
    /// The next entry that the hand looks at.
    hand: usize,
    /// Steps that the hand may make.
    owed: usize,
    /// The latest packet time that was seen. Idle times are measured by it: it never goes back, so that a flow that the
    /// hand has taken away would have been over in any case, whenever the hand comes by.
    clock: Timestamp,
    /// The clock when the hand began its last round.
    round: Timestamp,
    evicted: u64,
}

impl<S> Default for FlowTable<S> {
    fn default() -> Self {
        Self::with_limit(MAX_FLOWS)
    }
}

impl<S> FlowTable<S> {
    /// Bytes that a flow's place takes, what TCP headers say of it and what the user keeps elsewhere apart. Twice an index,
    /// since its table is half empty after it grew.
    pub const PLACE_BYTES: usize = size_of::<Entry<S>>() + 2 * size_of::<u32>();

    /// A table that holds at most `limit` flows, and at least one.
    pub fn with_limit(limit: u32) -> Self {
        Self {
            index: HashTable::new(),
            entries: Vec::new(),
            hasher: RandomState::default(),
            limit: limit.max(1),
            hand: 0,
            owed: 0,
            clock: Timestamp::from_nanos(i64::MIN),
            round: Timestamp::from_nanos(i64::MIN),
            evicted: 0,
        }
    }

    /// Takes a packet into account and gives the state of its flow; `make` makes that of a new one.
    ///
    /// Where the packet begins a new use of a known five-tuple (a SYN that does not belong to the connection known, or
    /// a pause beyond the idle time-out), the old state goes to `retire` first. So does another flow where the table is
    /// full.
    pub fn observe(
        &mut self,
        observation: &Observation,
        make: impl FnOnce(&Observation) -> S,
        retire: &mut impl FnMut(FlowKey, FlowState<S>),
    ) -> &mut FlowState<S> {
        self.owed = self.owed.saturating_add(SWEEP_PER_PACKET);
        self.clock = self.clock.max(observation.time);
        let key = observation.key;
        let hash = self.hasher.hash_one(key);
        let known = self
            .index
            .find(hash, |&at| {
                entry(&self.entries, at).is_some_and(|entry| entry.key == key)
            })
            .copied();
        let at = match known {
            Some(at) => {
                self.follow(at, observation, make, retire);
                at
            }
            None => {
                self.make_room(retire);
                let state = FlowState::new(observation, self.clock, make(observation));
                self.insert(hash, Entry { key, state })
            }
        };
        &mut self.entry_mut(at).state
    }

    /// Takes a packet of a known five-tuple into account.
    #[inline]
    fn follow(
        &mut self,
        at: u32,
        observation: &Observation,
        make: impl FnOnce(&Observation) -> S,
        retire: &mut impl FnMut(FlowKey, FlowState<S>),
    ) {
        let clock = self.clock;
        let state = &mut self.entry_mut(at).state;
        let idle = clock.since(state.active);
        if episode::begins(&state.tracker, idle, observation) {
            let new = FlowState::new(observation, clock, make(observation));
            retire(observation.key, mem::replace(state, new));
        } else {
            state.record(observation, clock);
        }
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "the index holds indexes of entries only"
    )]
    fn entry_mut(&mut self, at: u32) -> &mut Entry<S> {
        &mut self.entries[at as usize]
    }

    /// Takes notice of a packet's time, of whatever flow, and gives flows that were idle for too long to `found`, and shows
    /// it those that were idle for `rest` nanoseconds. Cheap enough to call for each packet: it looks at a few flows in turn,
    /// so a flow may stay a while after its time.
    pub fn expire(&mut self, now: Timestamp, rest: i64, found: &mut impl FnMut(Found<'_, S>)) {
        self.clock = self.clock.max(now);
        if self.owed < SWEEP_BATCH {
            return;
        }
        let steps = mem::take(&mut self.owed).min(self.entries.len());
        if self.hand == 0 {
            if self.clock.since(self.round) < ROUND.min(rest) {
                return;
            }
            self.round = self.clock;
        }
        for _ in 0..steps {
            let Some(Entry { key, state }) = self.entries.get_mut(self.hand) else {
                self.hand = 0;
                return;
            };
            let idle = self.clock.since(state.active);
            if idle > episode::LEAST_IDLE
                && idle > episode::idle_timeout(&state.tracker, key.transport)
            {
                self.remove(self.hand, &mut |key, state| found(Found::Over(key, state)));
                continue;
            }
            if idle > rest && !state.is_idle {
                state.is_idle = true;
                found(Found::Idle(*key, state));
            }
            self.hand = self.hand.saturating_add(1);
        }
    }

    /// Retires all flows, by the number of their first packet, then by key.
    pub fn drain(&mut self, retire: &mut impl FnMut(FlowKey, FlowState<S>)) {
        self.index.clear();
        self.hand = 0;
        let mut entries = mem::take(&mut self.entries);
        entries.sort_unstable_by_key(|entry| (entry.state.tracker.first_number, entry.key));
        for Entry { key, state } in entries {
            retire(key, state);
        }
    }

    /// Flows alive.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no flow is alive.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Flows that had to go before their time because the table was full, or the user's memory.
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// The states of all live flows, in no particular but always the same order: for budgets over all of them.
    pub fn states_mut(&mut self) -> impl Iterator<Item = &mut FlowState<S>> {
        self.entries.iter_mut().map(|entry| &mut entry.state)
    }

    fn insert(&mut self, hash: u64, entry: Entry<S>) -> u32 {
        let Self {
            index,
            entries,
            hasher,
            ..
        } = self;
        // the limit is a u32
        let at = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        index.insert_unique(hash, at, |&at| hash_at(entries, hasher, at));
        entries.push(entry);
        at
    }

    /// Where the table is full, lets one flow go.
    fn make_room(&mut self, retire: &mut impl FnMut(FlowKey, FlowState<S>)) {
        if self.entries.len() >= self.limit as usize {
            self.evict(retire);
        }
    }

    /// Lets one flow go before its time: the longest idle of the next few.
    pub fn evict(&mut self, retire: &mut impl FnMut(FlowKey, FlowState<S>)) {
        let start = if self.hand < self.entries.len() {
            self.hand
        } else {
            0
        };
        let sample = self
            .entries
            .iter()
            .enumerate()
            .skip(start)
            .take(EVICTION_SAMPLE);
        let Some((victim, _)) = sample.min_by_key(|(_, entry)| entry.state.tracker.last_seen)
        else {
            return;
        };
        self.hand = start.saturating_add(EVICTION_SAMPLE);
        self.evicted = self.evicted.saturating_add(1);
        self.remove(victim, retire);
    }

    /// Takes an entry out; the last one takes its place.
    fn remove(&mut self, at: usize, retire: &mut impl FnMut(FlowKey, FlowState<S>)) {
        let Self {
            index,
            entries,
            hasher,
            ..
        } = self;
        let (Some(entry), Some(last)) = (entries.get(at), entries.last()) else {
            return;
        };
        let hash = hasher.hash_one(entry.key);
        let last_hash = hasher.hash_one(last.key);
        let last_at = entries.len().saturating_sub(1);
        if let Ok(found) = index.find_entry(hash, |&index| index as usize == at) {
            found.remove();
        }
        if let Some(moved) = index.find_mut(last_hash, |&index| index as usize == last_at) {
            *moved = u32::try_from(at).unwrap_or(u32::MAX);
        }
        let Entry { key, state } = entries.swap_remove(at);
        retire(key, state);
    }
}

fn entry<S>(entries: &[Entry<S>], at: u32) -> Option<&Entry<S>> {
    entries.get(at as usize)
}

fn hash_at<S>(entries: &[Entry<S>], hasher: &RandomState, at: u32) -> u64 {
    entry(entries, at).map_or(0, |entry| hasher.hash_one(entry.key))
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
