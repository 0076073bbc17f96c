//! Reassembly of IP fragments of both versions, for hostile captures: bounded in datagrams, bytes, age and pieces.
//!
//! Fragments may come in any order, and more than once. Fragments that overlap without being the same bytes are how
//! filters are fooled (RFC 1858, RFC 5722): such a datagram is discarded as a whole, and what comes of it later too.
//! etherparse's pool has no bound on datagrams and bytes, and takes the later of two bytes that contradict each other.
//! Cost for each fragment: one hash look-up, one binary search in at most [`MAX_PIECES`], one copy.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hashbrown::HashMap;

use super::dissector::malformed;
use super::{Layer, Limits, Network, Reason, Stop};
use crate::net::Timestamp;

/// Datagrams that wait at once. Hosts keep some hundreds; a mirror port sees many hosts.
pub(super) const MAX_DATAGRAMS: usize = 4096;
/// Bytes of waiting datagrams together, 16 MiB: a busy server's fragments of many seconds.
pub(super) const MAX_BYTES: usize = 16 << 20;
/// How long a datagram waits, in nanoseconds of packet time: 30 seconds, as hosts do; RFC 8200 §4.5 has 60 at most.
pub(super) const MAX_AGE_NANOS: i64 = 30_000_000_000;
/// Separate runs of bytes within one waiting datagram. Fragments come nearly in order, so even of 45 (64 KiB over
/// Ethernet) few are apart; thousands of 8 bytes are an attack.
const MAX_PIECES: usize = 64;
/// The largest payload of an IP datagram (RFC 791 §3.1, RFC 8200 §3).
const MAX_PAYLOAD: usize = 65_535;

/// What became of the fragments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FragmentCounters {
    /// Fragments that were whole in the capture.
    pub received: u64,
    /// Fragments that the capture cuts, which cannot be reassembled.
    pub cut: u64,
    /// Fragments that came again with the same bytes.
    pub duplicates: u64,
    /// Fragments that contradict their datagram, or belong to one that was discarded for that.
    pub overlapping: u64,
    /// Datagrams that became whole.
    pub reassembled: u64,
    /// Datagrams given up after [`Limits::fragment_age_nanos`].
    pub expired: u64,
    /// Datagrams given up for a limit on datagrams, bytes or pieces.
    pub evicted: u64,
}

impl FragmentCounters {
    /// Adds the counts of another dissector.
    pub fn merge(&mut self, other: &Self) {
        let Self {
            received,
            cut,
            duplicates,
            overlapping,
            reassembled,
            expired,
            evicted,
        } = other;
        for (count, more) in [
            (&mut self.received, received),
            (&mut self.cut, cut),
            (&mut self.duplicates, duplicates),
            (&mut self.overlapping, overlapping),
            (&mut self.reassembled, reassembled),
            (&mut self.expired, expired),
            (&mut self.evicted, evicted),
        ] {
            *count = count.saturating_add(*more);
        }
    }
}

/// What fragments of one datagram share (RFC 791 §3.2, RFC 8200 §4.5). VLAN tags and tunnels are not part of it:
/// fragments may come over different links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    identification: u32,
}

impl Key {
    pub(super) const fn new(network: &Network, protocol: u8, identification: u32) -> Self {
        Self {
            source: network.source,
            destination: network.destination,
            protocol,
            identification,
        }
    }
}

/// One fragment, as its headers describe it.
#[derive(Debug)]
pub(super) struct Fragment<'a> {
    pub(super) key: Key,
    /// Where its bytes belong.
    pub(super) offset: usize,
    /// Whether more follow.
    pub(super) more: bool,
    /// Bytes of IP header, with extension headers, before the fragmented part.
    pub(super) header_len: usize,
    /// What the datagram carries; counts in the first fragment only.
    pub(super) protocol: u8,
    pub(super) bytes: &'a [u8],
}

/// A datagram that is whole.
#[derive(Debug)]
pub(super) struct Datagram {
    pub(super) header_len: usize,
    pub(super) protocol: u8,
    pub(super) bytes: Vec<u8>,
}

#[derive(Debug)]
struct Waiting {
    serial: u64,
    since: Timestamp,
    /// Its fragments contradict each other: what still comes is not listened to.
    discarded: bool,
    first: Option<(usize, u8)>,
    total: Option<usize>,
    /// Runs of bytes that are there: start and end, in order, apart from each other.
    pieces: Vec<(usize, usize)>,
    buffer: Vec<u8>,
}

/// The datagrams that wait for fragments.
#[derive(Debug)]
pub(super) struct Pool {
    waiting: HashMap<Key, Waiting, foldhash::fast::RandomState>,
    /// In order of arrival, for expiry and eviction; holds exactly the keys of `waiting`.
    order: BTreeMap<u64, Key>,
    serial: u64,
    bytes: usize,
    max_datagrams: usize,
    max_bytes: usize,
    max_age_nanos: i64,
    pub(super) counters: FragmentCounters,
}

impl Pool {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            waiting: HashMap::default(),
            order: BTreeMap::new(),
            serial: 0,
            bytes: 0,
            max_datagrams: limits.fragment_datagrams,
            max_bytes: limits.fragment_bytes,
            max_age_nanos: limits.fragment_age_nanos,
            counters: FragmentCounters::default(),
        }
    }

    /// Takes a fragment; answers the datagram where this completes it.
    pub(super) fn push(
        &mut self,
        time: Timestamp,
        fragment: &Fragment<'_>,
    ) -> Result<Datagram, Stop> {
        self.counters.received = self.counters.received.saturating_add(1);
        self.expire(time);
        let end = fragment.offset.saturating_add(fragment.bytes.len());
        if end > MAX_PAYLOAD || fragment.bytes.is_empty() {
            return malformed(Layer::Fragment, Reason::Length);
        }
        if fragment.more && !fragment.bytes.len().is_multiple_of(8) {
            return malformed(Layer::Fragment, Reason::Length);
        }
        let (serial, order) = (&mut self.serial, &mut self.order);
        let waiting = self.waiting.entry(fragment.key).or_insert_with(|| {
            *serial = serial.saturating_add(1);
            order.insert(*serial, fragment.key);
            Waiting::new(*serial, time)
        });
        let before = waiting.buffer.len();
        let placed = waiting.place(fragment, end);
        self.bytes = self
            .bytes
            .saturating_sub(before)
            .saturating_add(waiting.buffer.len());
        let counters = &mut self.counters;
        match placed {
            Placed::Incomplete => {}
            Placed::Duplicate => counters.duplicates = counters.duplicates.saturating_add(1),
            Placed::Contradiction => {
                counters.overlapping = counters.overlapping.saturating_add(1);
                return malformed(Layer::Fragment, Reason::Overlap);
            }
            Placed::TooScattered => {
                self.remove(fragment.key);
                self.counters.evicted = self.counters.evicted.saturating_add(1);
            }
            Placed::Whole => {
                counters.reassembled = counters.reassembled.saturating_add(1);
                if let Some(whole) = self.remove(fragment.key)
                    && let Some((header_len, protocol)) = whole.first
                {
                    return Ok(Datagram {
                        header_len,
                        protocol,
                        bytes: whole.buffer,
                    });
                }
            }
        }
        self.evict();
        Err(Stop::Fragment)
    }

    fn remove(&mut self, key: Key) -> Option<Waiting> {
        let waiting = self.waiting.remove(&key)?;
        self.order.remove(&waiting.serial);
        self.bytes = self.bytes.saturating_sub(waiting.buffer.len());
        Some(waiting)
    }

    /// The datagram that came first, and its time.
    fn oldest(&self) -> Option<(Key, Timestamp)> {
        let (_, key) = self.order.first_key_value()?;
        Some((*key, self.waiting.get(key)?.since))
    }

    fn expire(&mut self, now: Timestamp) {
        while let Some((key, since)) = self.oldest()
            && now.since(since) > self.max_age_nanos
        {
            self.remove(key);
            self.counters.expired = self.counters.expired.saturating_add(1);
        }
    }

    fn evict(&mut self) {
        while (self.waiting.len() > self.max_datagrams || self.bytes > self.max_bytes)
            && let Some((key, _)) = self.oldest()
        {
            self.remove(key);
            self.counters.evicted = self.counters.evicted.saturating_add(1);
        }
    }
}

enum Placed {
    Incomplete,
    Duplicate,
    Contradiction,
    TooScattered,
    Whole,
}

impl Waiting {
    const fn new(serial: u64, since: Timestamp) -> Self {
        Self {
            serial,
            since,
            discarded: false,
            first: None,
            total: None,
            pieces: Vec::new(),
            buffer: Vec::new(),
        }
    }

    fn place(&mut self, fragment: &Fragment<'_>, end: usize) -> Placed {
        if self.discarded {
            return Placed::Contradiction;
        }
        let start = fragment.offset;
        if !self.agrees(fragment.more, end) {
            return self.discard();
        }
        // The first piece that ends behind the start; the one that may hold or meet the new bytes.
        let index = self
            .pieces
            .partition_point(|&(_, piece_end)| piece_end <= start);
        match self.pieces.get(index) {
            Some(&(piece_start, piece_end)) if piece_start <= start && end <= piece_end => {
                return if self.buffer.get(start..end) == Some(fragment.bytes) {
                    Placed::Duplicate
                } else {
                    self.discard()
                };
            }
            Some(&(piece_start, _)) if piece_start < end => return self.discard(),
            _ => {}
        }
        if !fragment.more {
            self.total = Some(end);
        }
        if start == 0 {
            self.first = Some((fragment.header_len, fragment.protocol));
        }
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
        if let Some(room) = self.buffer.get_mut(start..end) {
            room.copy_from_slice(fragment.bytes);
        }
        self.join(index, start, end);
        match (self.pieces.as_slice(), self.total) {
            (&[(0, there)], Some(total)) if there == total => Placed::Whole,
            (pieces, _) if pieces.len() > MAX_PIECES => Placed::TooScattered,
            _ => Placed::Incomplete,
        }
    }

    /// Whether a fragment fits what is known of the end of the datagram.
    fn agrees(&self, more: bool, end: usize) -> bool {
        match self.total {
            Some(total) if more => end <= total,
            Some(total) => end == total,
            None => more || self.pieces.last().is_none_or(|&(_, last)| last <= end),
        }
    }

    fn discard(&mut self) -> Placed {
        self.discarded = true;
        self.pieces = Vec::new();
        self.buffer = Vec::new();
        Placed::Contradiction
    }

    /// Adds a run that touches at most the piece before `index` and the one at it.
    fn join(&mut self, index: usize, start: usize, end: usize) {
        let meets_next = self.pieces.get(index).is_some_and(|&(next, _)| next == end);
        let before = index
            .checked_sub(1)
            .and_then(|before| self.pieces.get_mut(before));
        let extended = match before {
            Some(piece) if piece.1 == start => {
                piece.1 = end;
                true
            }
            _ => false,
        };
        match (extended, meets_next) {
            (true, true) => {
                let (_, next_end) = self.pieces.remove(index);
                if let Some(piece) = index
                    .checked_sub(1)
                    .and_then(|before| self.pieces.get_mut(before))
                {
                    piece.1 = next_end;
                }
            }
            (true, false) => {}
            (false, true) => {
                if let Some(next) = self.pieces.get_mut(index) {
                    next.0 = start;
                }
            }
            (false, false) => self.pieces.insert(index, (start, end)),
        }
    }
}
