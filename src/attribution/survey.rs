//! The first look at a ledger: what must be known of all flows before one of them is judged.
//!
//! Which records are one flow (a cut between captures splits it, several taps show it), what was offered and by whom, which
//! roles follow, which ICMP errors belong to which flow. Records go by in order and are not kept, but those of flow keys
//! that come more than once, as long as they may belong together.
//!
//! A record is known by its place: how many come before it in the ledger.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::convert::Infallible;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::chunk::Chunk;
use super::flow::{Flow, Flows, Sides, Sight};
use super::offers::Offers;
use super::rpc::{self, Channel, Told};
use crate::evidence::{Episode, IcmpError, Ledger, Offer, Records, Seen, Sorted};
use crate::net::{FlowKey, Timestamp, Transport};
use crate::parallel::in_order;
use crate::topology::Inferred;

/// How the records of a ledger make flows.
#[derive(Debug, Default)]
pub(super) struct Joints {
    /// Records of the ledger.
    pub(super) records: u64,
    /// Places of the records that belong to an earlier flow, in order.
    absorbed: Vec<u64>,
    /// What belongs to the flow of a record besides it: further records, by their packer.
    parts: BTreeMap<u64, Vec<Kept>>,
    errors: BTreeMap<u64, BTreeMap<IcmpError, Seen>>,
    /// What a channel of RPC over HTTP is told by another.
    told: BTreeMap<u64, Vec<Told>>,
}

impl Joints {
    /// How many flows there are.
    pub(super) fn flows(&self) -> u64 {
        self.records.saturating_sub(self.absorbed.len() as u64)
    }

    /// The number of the flow that a record begins.
    fn number(&self, place: u64) -> u64 {
        let absorbed = self.absorbed.partition_point(|known| *known < place);
        place.saturating_sub(absorbed as u64).saturating_add(1)
    }

    /// Whether a record belongs to an earlier flow. `next` is how many of those have gone by.
    pub(super) fn is_absorbed(&self, place: u64, next: &mut usize) -> bool {
        let is_absorbed = self.absorbed.get(*next) == Some(&place);
        if is_absorbed {
            *next = next.saturating_add(1);
        }
        is_absorbed
    }

    /// The flow of a record, with all that belongs to it, but its number.
    pub(super) fn flow(
        &self,
        place: u64,
        episode: Episode,
        (ledger, flows, offers): (&Ledger, &Flows, &Offers),
        is_documented: impl Fn(Transport, u16) -> bool,
    ) -> Flow {
        let tap = flows.tap(&episode.tap);
        let mut flow = Flow::new(episode, tap);
        for (packed, bytes) in self.parts.get(&place).into_iter().flatten() {
            let packed = ledger.packed().get(*packed);
            if let Some(episode) = packed.and_then(|packed| packed.decode(bytes)) {
                let tap = flows.tap(&episode.tap);
                flow.join(episode, tap);
            }
        }
        if let Some(errors) = self.errors.get(&place) {
            flow.errors.clone_from(errors);
        }
        let is_offered = |transport, endpoint| offers.is_offered(transport, endpoint);
        (flow.client, flow.orientation) = flow.sides().client(is_offered, is_documented);
        let server = flow.client.other();
        for told in self.told.get(&place).into_iter().flatten() {
            flow.facts.insert_least(told.fact(server), told.sight);
        }
        flow
    }
}

/// A record, by its packer.
type Kept = (usize, Box<[u8]>);

/// Bits of the filter for each record, and how many of them a key sets: one key of two hundred seems to be known that is not,
/// and is looked at more closely for nothing.
const FILTER_BITS: u64 = 16;
const FILTER_PROBES: u32 = 4;

/// Keys that come more than once. Some may be among them that do not.
struct Repeated {
    hasher: RandomState,
    hashes: HashSet<u64, RandomState>,
}

impl Repeated {
    fn of(ledger: &Ledger) -> Self {
        let hasher = RandomState::default();
        let bits = ledger
            .most_episodes()
            .saturating_mul(FILTER_BITS)
            .next_power_of_two()
            .max(64);
        let mut filter = vec![0_u64; usize::try_from(bits / 64).unwrap_or(1)];
        let mut hashes: HashSet<u64, RandomState> = HashSet::default();
        // Flows that an ICMP error quotes need the closer look as well.
        hashes.extend(ledger.icmp_errors().keys().map(|key| hasher.hash_one(key)));
        for packed in ledger.packed() {
            packed.for_each_key(|key| {
                let hash = hasher.hash_one(key);
                let mut is_known = true;
                // All bits of a key lie in one word, so that it costs one look at memory.
                let word = (hash >> 32) & (bits / 64).saturating_sub(1);
                let Some(word) = usize::try_from(word)
                    .ok()
                    .and_then(|word| filter.get_mut(word))
                else {
                    return;
                };
                for probe in 0..FILTER_PROBES {
                    let bit = 1_u64 << ((hash >> (6 * probe)) & 63);
                    is_known &= *word & bit != 0;
                    *word |= bit;
                }
                if is_known {
                    hashes.insert(hash);
                }
            });
        }
        Self { hasher, hashes }
    }

    fn contains(&self, key: &FlowKey) -> bool {
        !self.hashes.is_empty() && self.hashes.contains(&self.hasher.hash_one(key))
    }
}

/// The latest flow of a key that comes more than once.
struct Open {
    place: u64,
    /// Its counters, without what decoders said.
    flow: Flow,
    /// Its first record.
    first: Kept,
    /// All flows of the key, and when they began, where ICMP errors quote them.
    history: Vec<(u64, Timestamp)>,
}

/// Everything that the first look finds.
pub(super) struct Survey {
    pub(super) joints: Joints,
    pub(super) flows: Flows,
    pub(super) offers: Offers,
    pub(super) inferred: Inferred,
}

impl Survey {
    /// Looks at all records, which so many threads unpack. `is_documented` says whether a port is listed in the matrix.
    pub(super) fn of(
        ledger: &Ledger,
        threads: usize,
        is_documented: impl Fn(Transport, u16) -> bool,
    ) -> Self {
        let mut looking = Looking {
            ledger,
            flows: Flows::of(ledger),
            joints: Joints::default(),
            open: HashMap::default(),
            offers: BTreeMap::new(),
            channels: Vec::new(),
            later: BTreeMap::new(),
            inferred: Inferred::default(),
        };
        let repeated = Repeated::of(ledger);
        let mut records = Records::of(ledger.packed());
        let mut place = 0_u64;
        let chunks = std::iter::from_fn(|| {
            let mut chunk = Chunk::default();
            while !chunk.is_full()
                && let Some(record) = records.next()
            {
                if record.says || repeated.contains(&record.key) {
                    chunk.push(place, &record);
                }
                place = place.saturating_add(1);
            }
            chunk.some()
        });
        let unpack = |chunk: Chunk| {
            let episodes: Vec<Option<Episode>> = chunk
                .iter()
                .map(|(_, packed, record)| ledger.packed().get(packed)?.decode(record))
                .collect();
            (chunk, episodes)
        };
        let done: Result<(), Infallible> = in_order(
            threads,
            chunks,
            || (),
            |(), chunk| unpack(chunk),
            |(chunk, episodes)| {
                for ((place, packed, bytes), episode) in chunk.iter().zip(episodes) {
                    if let Some(episode) = episode {
                        let is_repeated = repeated.contains(&episode.key);
                        looking.take(place, episode, (packed, bytes), is_repeated);
                    }
                }
                Ok(())
            },
        );
        let Ok(()) = done;
        looking.joints.records = place;
        looking.finish(is_documented)
    }
}

struct Looking<'a> {
    ledger: &'a Ledger,
    flows: Flows,
    joints: Joints,
    open: HashMap<FlowKey, Open, RandomState>,
    /// Where each offer was made first, and the place of its flow.
    offers: BTreeMap<Offer, (Sight, u64)>,
    channels: Vec<Channel>,
    /// First records of flows that teach something once more is known: which end is the client, what their channels bound, or
    /// what else belongs to them.
    later: BTreeMap<u64, Kept>,
    inferred: Inferred,
}

impl Looking<'_> {
    /// Takes in a record, which may be one of several of its key.
    fn take(
        &mut self,
        place: u64,
        episode: Episode,
        (packed, bytes): (usize, &[u8]),
        is_repeated: bool,
    ) {
        let tap = self.flows.tap(&episode.tap);
        let teaches = !episode.facts.is_empty()
            || !episode.offers.is_empty()
            || !episode.protocols.is_empty();
        let first = if is_repeated {
            self.join(place, &episode, tap, (packed, bytes))
        } else {
            place
        };
        if !teaches {
            return;
        }
        for (offer, seen) in &episode.offers {
            let made = (Sight { seen: *seen, tap }, first);
            match self.offers.get_mut(offer) {
                Some(known) => *known = made.min(*known),
                None => {
                    self.offers.insert(offer.clone(), made);
                }
            }
        }
        let channel = Channel::of(&episode, first, tap);
        match Sides::of(&episode).told() {
            Some((client, _)) if !is_repeated && channel.is_none() => {
                let mut flow = Flow::new(episode, tap);
                flow.client = client;
                learn(&flow, &mut self.flows, &mut self.inferred);
            }
            _ => {
                let open = self.open.get(&episode.key).filter(|_| is_repeated);
                let kept = || match open {
                    Some(open) => open.first.clone(),
                    None => (packed, bytes.into()),
                };
                self.later.entry(first).or_insert_with(kept);
            }
        }
        self.channels.extend(channel);
    }

    /// Joins a record to the flow of its key that it continues, or begins another. Gives the place of the flow.
    fn join(
        &mut self,
        place: u64,
        episode: &Episode,
        tap: u32,
        (packed, bytes): (usize, &[u8]),
    ) -> u64 {
        let key = episode.key;
        let is_quoted = self.ledger.icmp_errors().contains_key(&key);
        let began = episode.tracker.first_seen;
        match self.open.entry(key) {
            Entry::Occupied(known) => {
                let open = known.into_mut();
                if episode.tracker.continues(&open.flow.tracker, key.transport) {
                    open.flow.join(counters(episode), tap);
                    if let (true, Some((_, began))) = (is_quoted, open.history.last_mut()) {
                        *began = open.flow.tracker.first_seen;
                    }
                    let parts = self.joints.parts.entry(open.place).or_default();
                    parts.push((packed, bytes.into()));
                    self.joints.absorbed.push(place);
                } else {
                    open.flow = Flow::new(counters(episode), tap);
                    open.place = place;
                    open.first = (packed, bytes.into());
                    if is_quoted {
                        open.history.push((place, began));
                    }
                }
                open.place
            }
            Entry::Vacant(free) => {
                free.insert(Open {
                    place,
                    flow: Flow::new(counters(episode), tap),
                    first: (packed, bytes.into()),
                    history: if is_quoted {
                        vec![(place, began)]
                    } else {
                        Vec::new()
                    },
                });
                place
            }
        }
    }

    fn finish(self, is_documented: impl Fn(Transport, u16) -> bool) -> Survey {
        let Self {
            ledger,
            mut flows,
            mut joints,
            mut open,
            offers,
            channels,
            later,
            mut inferred,
        } = self;
        for (key, errors) in ledger.icmp_errors() {
            let Some(open) = open.remove(key) else {
                continue;
            };
            for (error, seen) in errors {
                // An error belongs to the flow that was open when it came.
                let history = &open.history;
                let began = |(_, began): &&(u64, Timestamp)| *began <= seen.time;
                let place = history.iter().rev().find(began).or_else(|| history.first());
                if let Some((place, _)) = place {
                    let known = joints.errors.entry(*place).or_default();
                    known.insert(*error, *seen);
                }
            }
        }
        let made = offers
            .into_iter()
            .map(|(offer, (sight, place))| (offer, sight, joints.number(place)));
        let offers = Offers::of(made);
        joints.told = rpc::join_channels(channels);
        for (place, (packed, bytes)) in later {
            let packed = ledger.packed().get(packed);
            if let Some(episode) = packed.and_then(|packed| packed.decode(&bytes)) {
                let known = (ledger, &flows, &offers);
                let flow = joints.flow(place, episode, known, &is_documented);
                learn(&flow, &mut flows, &mut inferred);
            }
        }
        Survey {
            joints,
            flows,
            offers,
            inferred,
        }
    }
}

/// What a flow teaches of its hosts.
fn learn(flow: &Flow, flows: &mut Flows, inferred: &mut Inferred) {
    let facts = flow.facts.iter().map(|(fact, sight)| (fact, sight.seen));
    inferred.learn(flow.key, flow.client, facts);
    if flow.tracker.packets[flow.client.other()] > 0 {
        for (protocol, (layer, _)) in &flow.protocols {
            inferred.answers(flow.server().address, protocol, layer.seen);
        }
    }
    flows.names.learn(flow);
}

/// An episode without what decoders said of it, and without streams: what tells that another one continues it.
fn counters(episode: &Episode) -> Episode {
    Episode {
        key: episode.key,
        tap: Arc::clone(&episode.tap),
        tracker: episode.tracker.clone(),
        last_frame: episode.last_frame,
        captures: Vec::new(),
        tunnel: Vec::new(),
        protocols: Sorted::new(),
        facts: Sorted::new(),
        offers: Sorted::new(),
        streams: BTreeMap::new(),
        payload: Vec::new(),
        reports: BTreeMap::new(),
        client: episode.client,
        gap_bytes: 0,
        disagreements: 0,
        left_out: 0,
    }
}
