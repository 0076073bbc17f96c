//! A canonical set of episodes, and its merge.
//!
//! A ledger is a set: merging is set union, hence associative, commutative and idempotent with the empty ledger as
//! identity, volumes included. Episodes that a cut between captures split are joined in the judge half, by a pure
//! function over the sorted set.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;

use super::{Episode, Seen};
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

/// The result of scanning: the neck between bytes and verdicts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ledger {
    captures: BTreeMap<Arc<str>, CaptureRecord>,
    episodes: Vec<Episode>,
    icmp_errors: BTreeMap<FlowKey, BTreeMap<IcmpError, Seen>>,
}

impl Ledger {
    /// A ledger of one chain of captures, from its parts in any order.
    pub fn new(
        tap: Arc<str>,
        record: CaptureRecord,
        mut episodes: Vec<Episode>,
        icmp_errors: BTreeMap<FlowKey, BTreeMap<IcmpError, Seen>>,
    ) -> Self {
        sort(&mut episodes);
        Self {
            captures: BTreeMap::from([(tap, record)]),
            episodes,
            icmp_errors,
        }
    }

    /// The chains of captures that were read, by name.
    pub const fn captures(&self) -> &BTreeMap<Arc<str>, CaptureRecord> {
        &self.captures
    }

    /// The episodes, ordered by first packet time, then by flow key.
    pub fn episodes(&self) -> &[Episode] {
        &self.episodes
    }

    /// ICMP errors, by the flow that they quote.
    pub const fn icmp_errors(&self) -> &BTreeMap<FlowKey, BTreeMap<IcmpError, Seen>> {
        &self.icmp_errors
    }
}

fn sort(episodes: &mut Vec<Episode>) {
    // Where places are equal the whole decides: else the order would be that of merging, and equals not be neighbours.
    episodes.sort_by(|one, other| one.place().cmp(&other.place()).then_with(|| one.cmp(other)));
    episodes.dedup();
}

impl Ledger {
    /// The union of ledgers, sorted once: many chains of captures would otherwise be sorted again with each.
    pub fn union(ledgers: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Self::default();
        for ledger in ledgers {
            all.absorb(ledger);
        }
        sort(&mut all.episodes);
        all
    }

    /// Takes everything of `other` in; the episodes are left to be sorted.
    fn absorb(&mut self, other: Self) {
        let Self {
            captures,
            episodes,
            icmp_errors,
        } = other;
        for (tap, record) in captures {
            match self.captures.entry(tap) {
                std::collections::btree_map::Entry::Vacant(free) => {
                    free.insert(record);
                }
                // The same chain scanned by several shards, or again: one record describes it all.
                std::collections::btree_map::Entry::Occupied(mut taken) => {
                    if record > *taken.get() {
                        taken.insert(record);
                    }
                }
            }
        }
        if self.episodes.is_empty() {
            self.episodes = episodes;
        } else {
            self.episodes.extend(episodes);
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

impl Merge for Ledger {
    fn merge(&mut self, other: Self) {
        let is_sorted = self.episodes.is_empty() || other.episodes.is_empty();
        self.absorb(other);
        if !is_sorted {
            sort(&mut self.episodes);
        }
    }
}
