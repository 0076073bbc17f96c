//! A canonical set of episodes, and its merge.
//!
//! A ledger is a set: merging is set union, hence associative, commutative and idempotent with the empty ledger as
//! identity, volumes included. Episodes that a cut between captures split are joined in the judge half, by a pure
//! function over the sorted set. They are packed as soon as they end, because a flood has more flows than memory has room
//! for; who reads them gets them one after the other.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::{fmt, io};

use serde::Serialize;

use super::{Episode, Packed, Packer, Records, Seen, Store};
use crate::net::{FlowKey, Side, Timestamp};

/// Joins two results into one: associative, commutative, with `Default` as identity.
pub trait Merge {
    /// Takes everything of `other` in.
    fn merge(&mut self, other: Self);
}

/// An ICMP or ICMPv6 error that quotes a flow (RFC 792, RFC 4443).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct IcmpError {
    /// The host that sent the error.
    pub reporter: IpAddr,
    /// The side of the flow whose packet caused it.
    pub quoted_sender: Side,
    /// IP version of the error: 4 or 6.
    pub version: u8,
    /// ICMP type.
    pub kind: u8,
    /// ICMP code.
    pub code: u8,
}

/// What was read of one chain of captures.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct CaptureRecord {
    /// Files of the chain, in time order, as given by the user.
    pub files: Vec<Arc<str>>,
    /// Packets read.
    pub packets: u64,
    /// Sum of original frame lengths, in bytes.
    pub frame_bytes: u64,
    /// Time of the earliest packet.
    pub first_seen: Option<Timestamp>,
    /// Time of the latest packet.
    pub last_seen: Option<Timestamp>,
    /// Packets that the capturing machine says it lost.
    pub drops: u64,
    /// Counters of the scan, by name (why packets made no flow, limits that were reached, seams).
    pub counters: BTreeMap<Box<str>, u64>,
    /// Names of addresses that the capture's name resolution blocks give.
    pub names: BTreeSet<(IpAddr, Box<str>)>,
    /// Why reading ended early, one line a file.
    pub errors: Vec<Box<str>>,
}

/// The result of scanning: the neck between bytes and verdicts. Its episodes are packed, in memory or in a temporary file.
#[derive(Clone, Default)]
pub struct Ledger {
    captures: BTreeMap<Arc<str>, CaptureRecord>,
    packed: Vec<Packed>,
    icmp_errors: BTreeMap<FlowKey, BTreeMap<IcmpError, Seen>>,
}

impl Ledger {
    /// A ledger of one chain of captures, from its parts in any order.
    pub fn new(
        tap: Arc<str>,
        record: CaptureRecord,
        episodes: Vec<Episode>,
        icmp_errors: BTreeMap<FlowKey, BTreeMap<IcmpError, Seen>>,
    ) -> Self {
        let store = Arc::new(Store::default());
        let mut packers: BTreeMap<Arc<str>, Packer> = BTreeMap::new();
        for episode in &episodes {
            packers
                .entry(Arc::clone(&episode.tap))
                .or_insert_with(|| Packer::new(Arc::clone(&episode.tap), Arc::clone(&store)))
                .push(episode);
        }
        let packed = packers.into_values().map(Packer::finish).collect();
        Self::of(tap, record, packed, icmp_errors)
    }

    /// A ledger of one chain of captures, of which some packers hold the episodes.
    pub fn of(
        tap: Arc<str>,
        record: CaptureRecord,
        packed: Vec<Packed>,
        icmp_errors: BTreeMap<FlowKey, BTreeMap<IcmpError, Seen>>,
    ) -> Self {
        Self {
            captures: BTreeMap::from([(tap, record)]),
            packed,
            icmp_errors,
        }
    }

    /// The chains of captures that were read, by name.
    pub const fn captures(&self) -> &BTreeMap<Arc<str>, CaptureRecord> {
        &self.captures
    }

    /// The episodes, unpacked one by one, ordered by first packet time, then by flow key.
    pub fn episodes(&self) -> impl Iterator<Item = Episode> + '_ {
        let mut records = Records::of(&self.packed);
        std::iter::from_fn(move || {
            let record = records.next()?;
            self.packed.get(record.packed)?.decode(record.bytes)
        })
    }

    /// The packed episodes.
    pub(crate) fn packed(&self) -> &[Packed] {
        &self.packed
    }

    /// How many episodes there are at most: those that were scanned twice count twice.
    pub(crate) fn most_episodes(&self) -> u64 {
        self.packed.iter().map(Packed::len).sum()
    }

    /// ICMP errors, by the flow that they quote.
    pub const fn icmp_errors(&self) -> &BTreeMap<FlowKey, BTreeMap<IcmpError, Seen>> {
        &self.icmp_errors
    }

    /// Where its episodes are kept, and what else must stay within the limit of memory.
    pub fn store(&self) -> Arc<Store> {
        let packed = self.packed.first().map(Packed::store);
        packed.map_or_else(Arc::default, Arc::clone)
    }

    /// What went wrong with the temporary file, if anything did: then episodes are missing.
    pub fn trouble(&self) -> Option<Arc<io::Error>> {
        self.packed
            .iter()
            .find_map(|packed| packed.store().trouble())
    }

    /// The union of ledgers.
    pub fn union(ledgers: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Self::default();
        for ledger in ledgers {
            all.merge(ledger);
        }
        all
    }
}

impl Merge for Ledger {
    fn merge(&mut self, other: Self) {
        let Self {
            captures,
            packed,
            icmp_errors,
        } = other;
        for (tap, record) in captures {
            match self.captures.entry(tap) {
                Entry::Vacant(free) => {
                    free.insert(record);
                }
                // The same chain scanned by several shards, or again: one record describes it all.
                Entry::Occupied(mut taken) => {
                    if record > *taken.get() {
                        taken.insert(record);
                    }
                }
            }
        }
        // Episodes that several hold are told once when they are gone over: see `Records`.
        for packed in packed {
            if !self.packed.iter().any(|known| known.is_same(&packed)) {
                self.packed.push(packed);
            }
        }
        for (key, errors) in icmp_errors {
            let known = self.icmp_errors.entry(key).or_default();
            for (error, seen) in errors {
                let first = known.entry(error).or_insert(seen);
                *first = seen.min(*first);
            }
        }
    }
}

impl PartialEq for Ledger {
    /// However the episodes are packed.
    fn eq(&self, other: &Self) -> bool {
        self.captures == other.captures
            && self.icmp_errors == other.icmp_errors
            && self.episodes().eq(other.episodes())
    }
}

impl Eq for Ledger {}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger")
            .field("captures", &self.captures)
            .field("episodes", &self.episodes().collect::<Vec<_>>())
            .field("icmp_errors", &self.icmp_errors)
            .finish()
    }
}
