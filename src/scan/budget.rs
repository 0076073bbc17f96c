//! How the memory that a run may use is shared out.
//!
//! Flows are most of it: the live ones in the tables, and those that are over, packed. A table that is full lets flows go
//! early (counted as `flows_evicted`; what comes of them later is joined when they are judged), packed flows go to a
//! temporary file. What one flow may hold has bounds of its own.

use crate::flow::MAX_FLOWS;

/// What a run needs whatever it reads: the program, signatures, blocks of captures in flight, chunks at work.
const FIXED_BYTES: u64 = 64 << 20;
/// A live flow, about: one that carried nothing yet holds less, one in the middle of a message more.
const LIVE_FLOW_BYTES: u64 = 1024;
/// Live flows of a table at least, whatever the limit: with fewer, ordinary connections would be torn.
const LEAST_FLOWS: u64 = 1 << 12;
/// Bytes that all streams may hold out of order together, before the largest holder at hand gives up its own: real captures
/// hold kilobytes, a flood of holes must not fill the memory.
const HELD_BYTES: u64 = 256 << 20;

/// What a worker, or all of them, may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Budget {
    /// Flows alive at once, in all tables.
    pub(super) flows: u64,
    /// Bytes that streams hold out of order.
    pub(super) held_bytes: usize,
    /// Bytes of packed flows in memory.
    pub(super) packed_bytes: u64,
}

impl Budget {
    /// Shares out that many bytes.
    pub(super) fn of(limit: Option<u64>) -> Self {
        let Some(limit) = limit else {
            return Self {
                flows: u64::MAX,
                held_bytes: usize::try_from(HELD_BYTES).unwrap_or(usize::MAX),
                packed_bytes: u64::MAX,
            };
        };
        // Half for live flows, a quarter for packed ones, an eighth for streams; the rest is for judging, which begins when
        // the live flows have gone.
        let rest = limit.saturating_sub(FIXED_BYTES);
        let flows = (rest / 2 / LIVE_FLOW_BYTES).max(LEAST_FLOWS);
        let held = (rest / 8).min(HELD_BYTES);
        Self {
            flows,
            held_bytes: usize::try_from(held).unwrap_or(usize::MAX),
            packed_bytes: rest / 4,
        }
    }

    /// The share of one of several workers.
    pub(super) fn share(self, workers: usize) -> Self {
        let workers = workers.max(1);
        Self {
            flows: self.flows / workers as u64,
            held_bytes: self.held_bytes / workers,
            ..self
        }
    }

    /// Flows that one table may hold.
    pub(super) fn table(self) -> u32 {
        u32::try_from(self.flows).map_or(MAX_FLOWS, |flows| flows.min(MAX_FLOWS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shared_out_is_not_more_than_there_is() {
        for limit in [128_u64 << 20, 512 << 20, 4 << 30] {
            let budget = Budget::of(Some(limit));
            let live = budget.flows * LIVE_FLOW_BYTES;
            assert!(FIXED_BYTES + live + budget.packed_bytes + budget.held_bytes as u64 <= limit);
        }
    }

    #[test]
    fn a_limit_below_what_is_fixed_leaves_room_for_ordinary_connections() {
        let budget = Budget::of(Some(1));
        assert_eq!((budget.flows, budget.packed_bytes), (LEAST_FLOWS, 0));
    }
}
