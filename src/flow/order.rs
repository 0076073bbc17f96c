//! Retransmissions and misorder, counted from headers alone: so they are known for flows that nobody reassembles.

use serde::Serialize;

use super::TcpObservation;
use crate::net::SequenceNumber;
use crate::net::{TcpFlags, Timestamp};

/// Segments of one side that were not next. These need the packets before them: the counts of a flow that was cut in
/// parts can differ from those of the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct MisorderCounts {
    /// Segments with data, SYN or FIN that end at or before the furthest byte seen, keep-alives, hole fillers and what was
    /// captured twice apart.
    pub retransmissions: u32,
    /// Segments that fill the newest hole: captured late, or sent again because they were lost before the capture.
    pub out_of_order: u32,
}

impl MisorderCounts {
    pub(super) fn merge(self, other: Self) -> Self {
        let Self {
            retransmissions,
            out_of_order,
        } = other;
        Self {
            retransmissions: self.retransmissions.saturating_add(retransmissions),
            out_of_order: self.out_of_order.saturating_add(out_of_order),
        }
    }
}

/// Where one side of a connection stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Progress {
    #[default]
    Unknown,
    /// `hole_start..hole_end` is the newest hole, empty where both are equal; `next` follows the furthest byte. What lies from
    /// `fresh` on was first seen since `fresh_at`, in microseconds that wrap.
    At {
        next: SequenceNumber,
        hole_start: SequenceNumber,
        hole_end: SequenceNumber,
        fresh: SequenceNumber,
        fresh_at: u32,
    },
}

/// Nobody knows so soon that a segment was lost: what comes again within it was captured twice, as hosts do that pass packets
/// on, and whose card joins them. In microseconds, below the round trip of a local network.
const TOO_SOON: u32 = 100;

/// Microseconds of a time, which wrap after an hour.
fn wrapping_micros(time: Timestamp) -> u32 {
    let micros = time.nanos().div_euclid(1000).rem_euclid(1 << u32::BITS);
    u32::try_from(micros).unwrap_or(0)
}

impl Progress {
    /// Takes a segment of `payload_len` bytes into account.
    pub(super) fn advance(
        &mut self,
        time: Timestamp,
        tcp: &TcpObservation,
        payload_len: u32,
        counts: &mut MisorderCounts,
    ) {
        if tcp.flags.contains(TcpFlags::RST) {
            return;
        }
        let controls = u32::from(tcp.flags.contains(TcpFlags::SYN))
            + u32::from(tcp.flags.contains(TcpFlags::FIN));
        let length = payload_len.saturating_add(controls);
        let start = SequenceNumber(tcp.sequence);
        let end = start.advance(length);
        let now = wrapping_micros(time);
        let Self::At {
            next,
            hole_start,
            hole_end,
            fresh,
            fresh_at,
        } = self
        else {
            *self = Self::At {
                next: end,
                hole_start: end,
                hole_end: end,
                fresh: start,
                fresh_at: now,
            };
            return;
        };
        if length == 0 {
            return;
        }
        let is_fresh = now.wrapping_sub(*fresh_at) <= TOO_SOON;
        if end.distance_from(*next) > 0 {
            if !is_fresh {
                (*fresh, *fresh_at) = (*next, now);
            }
            if start.distance_from(*next) > 0 {
                (*hole_start, *hole_end) = (*next, start);
            }
            *next = end;
        } else if start.distance_from(*hole_start) >= 0 && hole_end.distance_from(end) >= 0 {
            // what is left of the hole; a filler in its middle keeps the later part
            *hole_start = end;
            counts.out_of_order = counts.out_of_order.saturating_add(1);
        } else if is_fresh && start.distance_from(*fresh) >= 0 {
            // Captured twice.
        } else if payload_len > 1 || controls > 0 || next.distance_from(start) != 1 {
            counts.retransmissions = counts.retransmissions.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Segments by offset and length from just before the wrap, a second apart, as (retransmissions, out of order).
    fn counts(segments: &[(u32, u32)]) -> (u32, u32) {
        counts_apart(1_000_000, segments)
    }

    /// The same, so many microseconds apart.
    fn counts_apart(micros: i64, segments: &[(u32, u32)]) -> (u32, u32) {
        let mut now = Timestamp::from_nanos(-1_000_000);
        let (mut progress, mut counts) = (Progress::default(), MisorderCounts::default());
        for &(offset, length) in segments {
            let tcp = TcpObservation {
                sequence: (u32::MAX - 4).wrapping_add(offset),
                acknowledgment: 0,
                flags: TcpFlags::ACK,
                window: 1,
            };
            now = Timestamp::from_nanos(now.nanos() + micros * 1000);
            progress.advance(now, &tcp, length, &mut counts);
        }
        (counts.retransmissions, counts.out_of_order)
    }

    #[test]
    fn segments_in_order_count_nothing() {
        assert_eq!(counts(&[(0, 3), (3, 3), (6, 0), (6, 3)]), (0, 0));
    }

    #[test]
    fn a_segment_seen_before_is_a_retransmission() {
        assert_eq!(counts(&[(0, 3), (3, 3), (3, 3), (0, 3)]), (2, 0));
    }

    #[test]
    fn a_segment_that_comes_again_at_once_was_captured_twice() {
        // As it was, and in parts: a card joined what the other side of the host saw one by one.
        let twice = [(0, 6), (0, 3), (3, 3), (6, 6), (6, 3), (9, 3)];
        assert_eq!(counts_apart(12, &twice), (0, 0));
        assert_eq!(counts_apart(300, &twice), (4, 0));
    }

    #[test]
    fn old_data_that_come_again_are_a_retransmission_however_soon_after_new_ones() {
        let (mut progress, mut counts) = (Progress::default(), MisorderCounts::default());
        for (micros, sequence) in [(0, 0), (500, 3), (510, 0), (520, 3)] {
            let tcp = TcpObservation {
                sequence,
                acknowledgment: 0,
                flags: TcpFlags::ACK,
                window: 1,
            };
            let time = Timestamp::from_nanos(micros * 1000);
            progress.advance(time, &tcp, 3, &mut counts);
        }
        assert_eq!(
            counts.retransmissions, 1,
            "the first segment, not the second"
        );
    }

    #[test]
    fn a_segment_that_fills_a_hole_is_out_of_order_once() {
        assert_eq!(counts(&[(0, 3), (6, 3), (3, 3)]), (0, 1));
        assert_eq!(counts(&[(0, 3), (6, 3), (3, 3), (3, 3)]), (1, 1));
        assert_eq!(counts(&[(0, 3), (9, 3), (3, 3), (6, 3)]), (0, 2));
    }

    #[test]
    fn a_hole_that_stays_counts_nothing() {
        assert_eq!(counts(&[(0, 3), (6, 3), (9, 3)]), (0, 0));
    }

    #[test]
    fn keep_alives_are_no_retransmissions() {
        assert_eq!(counts(&[(0, 3), (2, 1), (2, 0), (3, 3)]), (0, 0));
    }
}
