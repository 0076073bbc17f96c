//! Who looks at which packets.
//!
//! Flows are shared out by address pair, into a fixed number of lanes: everything that is bounded (flows alive, bytes held
//! out of order, ICMP errors) is bounded for each lane, and a lane belongs to one worker as a whole. So what a bound leaves
//! out is the same for any number of workers.
//!
//! [`Dealt::deal`] looks at the addresses of each packet once, on the reading thread; a worker then reads only its own packets,
//! and those whose flow nobody knows before they are read (fragments, tunnels, ICMP errors, rare links), which all read.

use std::net::IpAddr;

use crate::capture::Block;
use crate::wire;

/// Parts into which the flows of a chain are divided; no more workers than that can share it.
pub(super) const LANES: usize = 8;

/// A packet that every worker has to read.
const EVERYONE: u8 = u8::MAX;

/// Number of a lane, below [`LANES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lane(u8);

impl Lane {
    /// The lane of an address pair; the same for both directions.
    pub(super) fn of(one: IpAddr, other: IpAddr) -> Self {
        let folded = |address: IpAddr| match address {
            IpAddr::V4(address) => u64::from(address.to_bits()),
            IpAddr::V6(address) => {
                let octets = address.octets();
                let halves = [octets.first_chunk(), octets.last_chunk()];
                let [high, low] = halves.map(|half| half.copied().map_or(0, u64::from_be_bytes));
                high ^ low
            }
        };
        // Mixed, because neighbours differ in their low bits only; the seed need not be secret: a lane is no bucket.
        let mixed = (folded(one) ^ folded(other)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let [high, ..] = mixed.to_be_bytes();
        Self(high >> (u8::BITS - LANES.ilog2()))
    }

    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Which lanes are a worker's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    /// Number of the worker, from 0.
    pub(super) index: usize,
    /// How many there are.
    pub(super) of: usize,
}

impl Share {
    /// Whether a lane is this worker's.
    pub(super) fn holds(self, lane: Lane) -> bool {
        self.of <= 1 || lane.index().checked_rem(self.of) == Some(self.index)
    }
}

/// A block, and for each of its packets who has to read it.
#[derive(Debug, Default)]
pub(super) struct Dealt {
    pub(super) block: Block,
    lanes: Vec<u8>,
}

impl Dealt {
    /// Looks at all packets of the block.
    pub(super) fn deal(&mut self) {
        self.lanes.clear();
        self.lanes.extend(self.block.packets().map(|packet| {
            wire::addresses(packet.link, packet.bytes)
                .map_or(EVERYONE, |(one, other)| Lane::of(one, other).0)
        }));
    }

    /// For each packet its lane; none where everyone has to read it.
    pub(super) fn lanes(&self) -> impl Iterator<Item = Option<Lane>> {
        let lane = |&lane: &u8| (lane != EVERYONE).then_some(Lane(lane));
        self.lanes.iter().map(lane)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_of_a_pair_lie_in_one_lane() {
        let one = |n: u8| IpAddr::from([10, 0, 0, n]);
        for (a, b) in (0..=255).flat_map(|a| [(a, 7), (a, a)]) {
            assert_eq!(Lane::of(one(a), one(b)), Lane::of(one(b), one(a)));
        }
    }

    #[test]
    fn neighbours_are_spread_over_all_lanes() {
        let mut counts = [0; LANES];
        for n in 0..=255 {
            counts[Lane::of([10, 0, 0, n].into(), [10, 0, 1, 1].into()).index()] += 1;
        }
        assert!(
            counts.iter().all(|count| (16..=64).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn every_lane_is_one_workers() {
        for of in 1..=LANES {
            for lane in (0..LANES as u8).map(Lane) {
                let holders = (0..of).filter(|&index| Share { index, of }.holds(lane));
                assert_eq!(holders.count(), 1);
            }
        }
    }
}
