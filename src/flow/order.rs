//! Retransmissions and misorder, counted from headers alone: so they are known for flows that nobody reassembles.

use serde::Serialize;

use super::TcpObservation;
use crate::net::SequenceNumber;
use crate::net::{TcpFlags, Timestamp};

/// Segments of one side that were not next. These need the packets before them: the counts of a flow that was cut in
/// parts can differ from those of the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct MisorderCounts {
    /// Segments with data, SYN or FIN that end at or before the furthest byte seen, keep-alives and what was captured twice
    /// apart; of those that fill the newest hole the ones that the other side had asked for a round trip before: they were
    /// lost before the capture.
    pub retransmissions: u32,
    /// The other segments that fill the newest hole.
    pub out_of_order: u32,
    /// Of these, the ones that came within half a round trip of the hole, before its sender could hear of it: some path lets
    /// segments overtake each other.
    pub overtaken: u16,
    /// How often the segment was sent again that the other side waits for, where it is larger than what every path carries
    /// and one behind it is known to have arrived; 0 as soon as the other side has it.
    pub stuck: u16,
}

impl MisorderCounts {
    pub(super) fn merge(self, other: Self) -> Self {
        let Self {
            retransmissions,
            out_of_order,
            overtaken,
            stuck,
        } = other;
        Self {
            retransmissions: self.retransmissions.saturating_add(retransmissions),
            out_of_order: self.out_of_order.saturating_add(out_of_order),
            overtaken: self.overtaken.saturating_add(overtaken),
            stuck: self.stuck.max(stuck),
        }
    }

    /// Counts a segment that fills a hole, by the round trip of the connection in microseconds where that is known. Half of
    /// it is the bound, because a handshake may wait for the address of the other end (ARP) as no later segment does.
    pub(super) const fn fill(&mut self, filler: Filler, round_trip: Option<u32>) {
        match (round_trip, filler.within, filler.asked_before) {
            (Some(trip), _, Some(asked)) if asked >= trip => {
                self.retransmissions = self.retransmissions.saturating_add(1);
                return;
            }
            (Some(trip), Some(within), _) if within <= trip / 2 => {
                self.overtaken = self.overtaken.saturating_add(1);
            }
            _ => {}
        }
        self.out_of_order = self.out_of_order.saturating_add(1);
    }
}

/// A segment that fills the newest hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Filler {
    /// At most so many microseconds after the hole opened; `None` where other new data began since.
    within: Option<u32>,
    /// At least so many microseconds after it, where the other side had said twice that it waits for this segment.
    asked_before: Option<u32>,
}

/// Where one side of a connection stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Progress {
    #[default]
    Unknown,
    /// `hole_start..hole_end` is the newest hole, empty where both are equal; `next` follows the furthest byte. What lies from
    /// `fresh` on was first seen since `fresh_at`, in microseconds that wrap. The other side has all before `acked`, as it said
    /// last with that window; `is_held` where it said so twice, as it does when something behind arrives (RFC 5681 2). The hole
    /// opened at `hole_at`, in steps that wrap.
    At {
        next: SequenceNumber,
        hole_start: SequenceNumber,
        hole_end: SequenceNumber,
        fresh: SequenceNumber,
        fresh_at: u32,
        acked: SequenceNumber,
        window: u16,
        is_held: bool,
        hole_at: u8,
    },
}

/// What every path carries of a segment, in bytes: 1280 less the headers of IPv6 and TCP (RFC 8200 5).
pub const CARRIED: u32 = 1220;

/// Nobody knows so soon that a segment was lost: what comes again within it was captured twice, as hosts do that pass packets
/// on, and whose card joins them, and as a mirror of two ports does. In microseconds, below the round trip of a local network.
///
/// What this loses is a fast retransmission (RFC 5681 3.2) of data that the capture saw first less than 100 microseconds before:
/// three more segments, their acknowledgments and the segment sent again would have to pass in that time, which takes two hosts
/// in one rack that lose what they send each other. Older data that come again are counted however soon they follow new ones.
/// Against tshark, which has no such bound, on 672 captures of real networks: each flow of five retransmissions or more that
/// counts fewer here is one whose every packet was captured two to four times.
const TOO_SOON: u32 = 100;

/// Microseconds of a step of the time at which a hole opened, as a power of two: 4 ms, so that a byte holds a second.
const HOLE_STEP: u32 = 12;

/// Steps of a time, which wrap after a second.
const fn hole_steps(micros: u32) -> u8 {
    let [_, low, ..] = (micros >> (HOLE_STEP - 8)).to_le_bytes();
    low
}

/// Microseconds of a time, which wrap after an hour.
fn wrapping_micros(time: Timestamp) -> u32 {
    let micros = time.nanos().div_euclid(1000).rem_euclid(1 << u32::BITS);
    u32::try_from(micros).unwrap_or(0)
}

impl Progress {
    /// Takes a segment of `payload_len` bytes into account; returns what is known of it where it fills the newest hole.
    pub(super) fn advance(
        &mut self,
        time: Timestamp,
        tcp: &TcpObservation,
        payload_len: u32,
        counts: &mut MisorderCounts,
    ) -> Option<Filler> {
        if tcp.flags.contains(TcpFlags::RST) {
            return None;
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
            acked,
            is_held,
            hole_at,
            ..
        } = self
        else {
            *self = Self::At {
                next: end,
                hole_start: end,
                hole_end: end,
                fresh: start,
                fresh_at: now,
                acked: start,
                window: 0,
                is_held: false,
                hole_at: 0,
            };
            return None;
        };
        if length == 0 {
            return None;
        }
        let is_fresh = now.wrapping_sub(*fresh_at) <= TOO_SOON;
        if end.distance_from(*next) > 0 {
            if !is_fresh {
                (*fresh, *fresh_at) = (*next, now);
            }
            if start.distance_from(*next) > 0 {
                (*hole_start, *hole_end, *hole_at) = (*next, start, hole_steps(now));
            }
            *next = end;
        } else if start.distance_from(*hole_start) >= 0 && hole_end.distance_from(end) >= 0 {
            let is_latest = fresh.distance_from(*hole_start) <= 0;
            let steps = hole_steps(now).wrapping_sub(*hole_at).saturating_sub(1);
            let is_asked = *is_held && start == *acked;
            // what is left of the hole; a filler in its middle keeps the later part
            *hole_start = end;
            return Some(Filler {
                within: is_latest.then(|| now.wrapping_sub(*fresh_at)),
                asked_before: is_asked.then(|| u32::from(steps) << HOLE_STEP),
            });
        } else if is_fresh && start.distance_from(*fresh) >= 0 {
            // Captured twice.
        } else if payload_len > 1 || controls > 0 || next.distance_from(start) != 1 {
            counts.retransmissions = counts.retransmissions.saturating_add(1);
            if *is_held && start == *acked && payload_len > CARRIED {
                counts.stuck = counts.stuck.saturating_add(1);
            }
        }
        None
    }
}

impl Progress {
    /// Takes into account what the other side acknowledges, in a segment without payload where it is `bare`.
    pub(super) fn acknowledge(
        &mut self,
        tcp: &TcpObservation,
        bare: bool,
        counts: &mut MisorderCounts,
    ) {
        let Self::At {
            next,
            acked,
            window,
            is_held,
            ..
        } = self
        else {
            return;
        };
        let acknowledgment = SequenceNumber(tcp.acknowledgment);
        let ahead = acknowledgment.distance_from(*acked);
        if ahead > 0 {
            (*acked, *is_held) = (acknowledgment, false);
            counts.stuck = 0;
        } else if ahead == 0 && bare && tcp.window == *window {
            *is_held = *is_held || next.distance_from(acknowledgment) > 0;
        }
        *window = tcp.window;
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
        let counts = counted(micros, None, segments);
        (counts.retransmissions, counts.out_of_order)
    }

    /// The same, with that round trip in microseconds.
    fn counted(micros: i64, round_trip: Option<u32>, segments: &[(u32, u32)]) -> MisorderCounts {
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
            if let Some(filler) = progress.advance(now, &tcp, length, &mut counts) {
                counts.fill(filler, round_trip);
            }
        }
        counts
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

    /// A large segment and a small one behind it, of which the other side says so often that it waits for the first; then the
    /// first again, and what else the other side says.
    fn stuck(large: u32, said: usize, again: usize, then: &[u32]) -> u16 {
        let (mut progress, mut counts) = (Progress::default(), MisorderCounts::default());
        let mut now = Timestamp::default();
        let tcp = |sequence, acknowledgment| TcpObservation {
            sequence,
            acknowledgment,
            flags: TcpFlags::ACK,
            window: 1,
        };
        let mut send = |progress: &mut Progress, counts: &mut MisorderCounts, at, length| {
            now = Timestamp::from_nanos(now.nanos() + 200_000_000);
            progress.advance(now, &tcp(at, 0), length, counts);
        };
        send(&mut progress, &mut counts, 0, 10);
        progress.acknowledge(&tcp(0, 10), true, &mut counts);
        send(&mut progress, &mut counts, 10, large);
        send(&mut progress, &mut counts, 10 + large, 10);
        for _ in 0..said {
            progress.acknowledge(&tcp(0, 10), true, &mut counts);
        }
        for _ in 0..again {
            send(&mut progress, &mut counts, 10, large);
        }
        for acknowledgment in then {
            progress.acknowledge(&tcp(0, *acknowledgment), true, &mut counts);
        }
        counts.stuck
    }

    #[test]
    fn a_large_segment_that_the_other_side_waits_for_in_vain_is_stuck() {
        assert_eq!(stuck(1448, 1, 6, &[]), 6);
        assert_eq!(stuck(1448, 1, 6, &[10]), 6, "it says so once more");
    }

    #[test]
    fn what_arrives_in_the_end_is_not_stuck() {
        assert_eq!(stuck(1448, 1, 6, &[1468]), 0);
    }

    #[test]
    fn where_nothing_behind_it_arrived_the_path_may_be_dead() {
        assert_eq!(stuck(1448, 0, 6, &[]), 0);
    }

    #[test]
    fn what_every_path_carries_is_not_too_large() {
        assert_eq!(stuck(1220, 1, 6, &[]), 0);
    }

    #[test]
    fn a_segment_that_fills_a_hole_is_out_of_order_once() {
        assert_eq!(counts(&[(0, 3), (6, 3), (3, 3)]), (0, 1));
        assert_eq!(counts(&[(0, 3), (6, 3), (3, 3), (3, 3)]), (1, 1));
        assert_eq!(counts(&[(0, 3), (9, 3), (3, 3), (6, 3)]), (0, 2));
    }

    #[test]
    fn what_fills_a_hole_sooner_than_its_sender_can_hear_of_it_was_overtaken() {
        let swapped = [(0, 3), (6, 3), (3, 3), (9, 3), (15, 3), (12, 3)];
        let overtaken = |micros, trip| counted(micros, trip, &swapped).overtaken;
        assert_eq!(overtaken(2000, Some(20_000)), 2);
        assert_eq!(overtaken(12_000, Some(20_000)), 0, "more than half of it");
        assert_eq!(overtaken(2000, None), 0, "nobody knows");
        let later = [(0, 3), (6, 3), (9, 3), (3, 3)];
        let counts = counted(2000, Some(20_000), &later);
        assert_eq!(
            (counts.overtaken, counts.out_of_order),
            (0, 1),
            "new data between"
        );
    }

    /// A hole of which the other side says so often that it waits for it, filled after so many milliseconds over a way of 20 ms.
    fn filled(said: usize, millis: i64) -> (u32, u32) {
        let (mut progress, mut counts) = (Progress::default(), MisorderCounts::default());
        let tcp = |sequence, acknowledgment| TcpObservation {
            sequence,
            acknowledgment,
            flags: TcpFlags::ACK,
            window: 1,
        };
        for (sequence, at) in [(0, 0), (20, 10), (10, 10 + millis)] {
            let time = Timestamp::from_nanos(at * 1_000_000);
            if let Some(filler) = progress.advance(time, &tcp(sequence, 0), 10, &mut counts) {
                counts.fill(filler, Some(20_000));
            }
            for _ in 0..said {
                progress.acknowledge(&tcp(0, 10), true, &mut counts);
            }
        }
        (counts.retransmissions, counts.out_of_order)
    }

    #[test]
    fn what_the_other_side_asked_for_a_round_trip_before_was_lost_before_the_capture() {
        assert_eq!(filled(2, 40), (1, 0));
        assert_eq!(
            filled(2, 12),
            (0, 1),
            "it was on its way when it was asked for"
        );
        assert_eq!(filled(0, 40), (0, 1), "nobody asked");
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
