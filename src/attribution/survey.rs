//! The first look at a ledger: what must be known of all flows before one of them is judged.
//!
//! Which records are one flow (a cut between captures splits it, several taps show it), what was offered and by whom, which
//! roles follow, which ICMP errors belong to which flow. Records go by in order and are not kept, but those of flow keys
//! that come more than once, as long as they may belong together.
//!
//! A record is known by its place: how many come before it in the ledger.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use super::flow::{Flow, Flows, Sides, Sight};
use super::offers::Offers;
use super::rpc::{self, Bound, Channel};
use crate::evidence::{Episode, Fact, IcmpError, Ledger, Offer, Offered, Records, Seen, Value};
use crate::net::{FlowKey, PerSide, Side, Timestamp, Transport};
use crate::topology::Inferred;

/// How the records of a ledger make flows.
#[derive(Debug, Default)]
pub(super) struct Joints {
    /// Records of the ledger.
    pub(super) records: u64,
    /// Places of the records that belong to an earlier flow, in order.
    absorbed: Vec<u64>,
    /// What belongs to the flow of a record besides it: further records, by their packer.
    parts: BTreeMap<u64, Vec<(usize, Box<[u8]>)>>,
    errors: BTreeMap<u64, BTreeMap<IcmpError, Seen>>,
    bound: BTreeMap<u64, Vec<Bound>>,
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

    /// The flow of a record, with all that belongs to it, but its number and its client.
    pub(super) fn flow(
        &self,
        place: u64,
        episode: Episode,
        ledger: &Ledger,
        flows: &Flows,
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
        flow
    }

    /// What the flow of a record bound by what other flows show.
    pub(super) fn bound(&self, place: u64) -> &[Bound] {
        self.bound.get(&place).map_or(&[], Vec::as_slice)
    }
}

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
    /// All flows of the key, and when they began, where ICMP errors quote them.
    history: Vec<(u64, Timestamp)>,
}

/// What roles follow from, until it is known which end is the client.
struct Lesson {
    sides: Sides,
    packets: PerSide<u64>,
    bound: Vec<(Fact, Seen)>,
    proven: Vec<(&'static str, Seen)>,
}

/// Everything that the first look finds.
pub(super) struct Survey {
    pub(super) joints: Joints,
    pub(super) flows: Flows,
    pub(super) offers: Offers,
    pub(super) inferred: Inferred,
}

impl Survey {
    /// Looks at all records. `is_documented` says whether a port is listed in the matrix.
    pub(super) fn of(ledger: &Ledger, is_documented: impl Fn(Transport, u16) -> bool) -> Self {
        let mut looking = Looking {
            ledger,
            flows: Flows::of(ledger),
            joints: Joints::default(),
            open: HashMap::new(),
            offers: BTreeMap::new(),
            channels: Vec::new(),
            lessons: BTreeMap::new(),
            inferred: Inferred::default(),
        };
        let repeated = Repeated::of(ledger);
        let mut records = Records::of(ledger.packed());
        let mut place = 0;
        while let Some(record) = records.next() {
            let is_repeated = repeated.contains(&record.key);
            if (record.says || is_repeated)
                && let Some(packed) = ledger.packed().get(record.packed)
                && let Some(episode) = packed.decode(record.bytes)
            {
                let part = is_repeated.then_some((record.packed, record.bytes));
                looking.take(place, episode, part);
            }
            place += 1;
        }
        looking.joints.records = place;
        looking.finish(is_documented)
    }
}

struct Looking<'a> {
    ledger: &'a Ledger,
    flows: Flows,
    joints: Joints,
    open: HashMap<FlowKey, Open>,
    /// Where each offer was made first, and the place of its flow.
    offers: BTreeMap<Offer, (Sight, u64)>,
    channels: Vec<Channel>,
    lessons: BTreeMap<u64, Lesson>,
    inferred: Inferred,
}

impl Looking<'_> {
    /// Takes in a record; `part` is the record itself, where its key comes more than once.
    fn take(&mut self, place: u64, mut episode: Episode, part: Option<(usize, &[u8])>) {
        let tap = self.flows.tap(&episode.tap);
        let facts = std::mem::take(&mut episode.facts);
        let offers = std::mem::take(&mut episode.offers);
        let mut lesson = Lesson {
            sides: Sides::of(&episode),
            packets: episode.tracker.packets,
            bound: Vec::new(),
            proven: episode
                .protocols
                .iter()
                .filter(|(name, _)| Inferred::learns_from(name))
                .map(|(name, layer)| (*name, layer.seen))
                .collect(),
        };
        let is_repeated = part.is_some();
        let flow = match part {
            Some((packed, bytes)) => {
                let open = self.join(place, episode, tap, packed, bytes);
                lesson.sides = open.flow.sides();
                lesson.packets = open.flow.tracker.packets;
                open.place
            }
            None => place,
        };
        for (offer, seen) in offers {
            if let Offered::Host { name } = &offer.offered {
                let names = self.flows.names.entry(offer.endpoint.address).or_default();
                names.insert(name.clone());
            }
            let made = (Sight { seen, tap }, flow);
            let first = self.offers.entry(offer).or_insert(made);
            *first = made.min(*first);
        }
        let channel = Channel::of(&facts, flow, tap);
        // A text speaks for its sender, whichever end that is.
        let is_text = |(fact, _): &(&Fact, Seen)| matches!(fact.value, Value::Text(_));
        let texts = facts.iter().map(|(fact, seen)| (fact, *seen));
        let (key, first) = (lesson.sides.key, lesson.sides.first);
        self.inferred.learn(key, first, texts.filter(is_text));
        let is_bound = |(fact, _): &(Fact, Seen)| {
            fact.attribute.name == "bound" && matches!(fact.value, Value::Interface { .. })
        };
        lesson.bound = facts.into_iter().filter(is_bound).collect();
        match lesson.sides.told() {
            Some((client, _)) if !is_repeated && channel.is_none() => {
                lesson.teach(client, &mut self.inferred);
            }
            _ => self.put_off(flow, lesson, channel.is_some()),
        }
        self.channels.extend(channel);
    }

    /// Keeps what a record teaches until more is known of its flow: which end is the client, and what its channels bound.
    fn put_off(&mut self, flow: u64, lesson: Lesson, is_channel: bool) {
        match self.lessons.get_mut(&flow) {
            Some(known) => {
                let Lesson {
                    sides,
                    packets,
                    bound,
                    proven,
                } = lesson;
                (known.sides, known.packets) = (sides, packets);
                known.bound.extend(bound);
                known.proven.extend(proven);
            }
            None if lesson.bound.is_empty() && lesson.proven.is_empty() && !is_channel => {}
            None => {
                self.lessons.insert(flow, lesson);
            }
        }
    }

    /// Joins a record to the flow of its key that it continues, or begins another.
    fn join(
        &mut self,
        place: u64,
        mut episode: Episode,
        tap: u32,
        packed: usize,
        bytes: &[u8],
    ) -> &Open {
        // Streams and payload do not tell what belongs together.
        episode.streams.clear();
        episode.reports.clear();
        episode.payload.clear();
        let key = episode.key;
        let is_quoted = self.ledger.icmp_errors().contains_key(&key);
        let began = episode.tracker.first_seen;
        match self.open.entry(key) {
            Entry::Occupied(known) => {
                let open = known.into_mut();
                if episode.tracker.continues(&open.flow.tracker, key.transport) {
                    open.flow.join(episode, tap);
                    if let (true, Some((_, began))) = (is_quoted, open.history.last_mut()) {
                        *began = open.flow.tracker.first_seen;
                    }
                    let parts = self.joints.parts.entry(open.place).or_default();
                    parts.push((packed, bytes.into()));
                    self.joints.absorbed.push(place);
                } else {
                    open.flow = Flow::new(episode, tap);
                    open.place = place;
                    if is_quoted {
                        open.history.push((place, began));
                    }
                }
                open
            }
            Entry::Vacant(free) => free.insert(Open {
                place,
                flow: Flow::new(episode, tap),
                history: if is_quoted {
                    vec![(place, began)]
                } else {
                    Vec::new()
                },
            }),
        }
    }

    fn finish(self, is_documented: impl Fn(Transport, u16) -> bool) -> Survey {
        let Self {
            ledger,
            flows,
            mut joints,
            mut open,
            offers,
            channels,
            lessons,
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
        joints.bound = rpc::join_channels(channels);
        for (place, mut lesson) in lessons {
            let is_offered = |transport, endpoint| offers.is_offered(transport, endpoint);
            let (client, _) = lesson.sides.client(is_offered, &is_documented);
            let bound = joints.bound(place).iter().cloned();
            lesson
                .bound
                .extend(bound.map(|(context, interface, sight)| {
                    let fact = rpc::bound(context, interface, client.other());
                    (fact, sight.seen)
                }));
            lesson.teach(client, &mut inferred);
        }
        Survey {
            joints,
            flows,
            offers,
            inferred,
        }
    }
}

impl Lesson {
    fn teach(&self, client: Side, inferred: &mut Inferred) {
        let key = self.sides.key;
        let bound = self.bound.iter().map(|(fact, seen)| (fact, *seen));
        inferred.learn(key, client, bound);
        if self.packets[client.other()] > 0 {
            let server = key.endpoint(client.other()).address;
            for (protocol, seen) in &self.proven {
                inferred.answers(server, protocol, *seen);
            }
        }
    }
}
