//! How the memory that a run may use is shared out.
//!
//! Flows are most of it: the live ones with what their decoders said, and those that are over, packed. Where live flows have
//! used half of their share, the idle ones rest sooner; where they have used all of it, those that were idle for longest go
//! early (counted as `flows_evicted`; what comes of them later is joined when they are judged). Packed flows go to a temporary
//! file. What one flow may hold has bounds of its own. The shares do not depend on the number of threads.

use super::share::LANES;
use super::worker::Bounds;

/// What a run needs whatever it reads: the program, signatures, blocks of captures in flight, chunks at work.
const FIXED_BYTES: u64 = 64 << 20;
/// Live flows of a lane at least, whatever the limit: some hundreds. With fewer, ordinary connections would be torn.
const LEAST_LIVE_BYTES: usize = 1 << 19;
/// Chains of captures that are counted upon to be scanned at once.
const MOST_CHAINS: usize = 8;

/// What a run may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// For each lane of a chain.
    pub(super) bounds: Bounds,
    /// Bytes of packed flows in memory.
    pub(super) packed_bytes: u64,
}

impl Budget {
    /// Shares out that many bytes for so many chains of captures.
    pub(super) fn of(limit: Option<u64>, chains: usize) -> Self {
        let most = Bounds::default();
        let Some(limit) = limit else {
            return Self {
                bounds: most,
                packed_bytes: u64::MAX,
            };
        };
        // Half for live flows, a quarter for packed ones, an eighth for streams; the rest is for judging, which begins when
        // the live flows have gone.
        let rest = limit.saturating_sub(FIXED_BYTES);
        let lanes = (LANES as u64).saturating_mul(chains.clamp(1, MOST_CHAINS) as u64);
        let lane = rest / lanes.max(1);
        let part = |of: u64| usize::try_from(lane / of).unwrap_or(usize::MAX);
        Self {
            bounds: Bounds {
                live_bytes: part(2).max(LEAST_LIVE_BYTES),
                held_bytes: part(8).min(most.held_bytes),
                ..most
            },
            packed_bytes: rest / 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shared_out_is_not_more_than_there_is() {
        for (limit, chains) in [(128_u64 << 20, 1), (512 << 20, 1), (4 << 30, 3)] {
            let Budget {
                bounds,
                packed_bytes,
            } = Budget::of(Some(limit), chains);
            let lane = bounds.live_bytes as u64 + bounds.held_bytes as u64;
            let lanes = LANES as u64 * chains as u64;
            assert!(FIXED_BYTES + lane * lanes + packed_bytes <= limit);
        }
    }

    #[test]
    fn a_limit_below_what_is_fixed_leaves_room_for_ordinary_connections() {
        let budget = Budget::of(Some(1), 1);
        assert_eq!(budget.bounds.live_bytes, LEAST_LIVE_BYTES);
        assert_eq!(budget.packed_bytes, 0);
    }
}
