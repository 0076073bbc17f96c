//! The stream itself: what to give, what to hold, and when to give a hole up.
//!
//! ```text
//!          next                     a hole is given up when
//!            |                      - the other side acknowledged past it (twice, if nothing follows it)
//!   given    |  hole   | held |     - what is held passes a limit (the only way where one direction was captured)
//! -----------+---------+------+--   - the flow ends
//! ```

use super::held::{Held, Overlap};
use super::segment::Segment;
use super::{Chunk, Counters, Mark, SegmentKind};
use crate::net::SequenceNumber;

/// How far from the next byte a segment or an acknowledgment may lie to be believed. Real windows are smaller by far,
/// though RFC 7323 §2.3 allows 2^30.
const REACH: u64 = 1 << 24;

/// Segments that must follow each other without a break, all beyond [`REACH`], until the stream goes on with them: a
/// capture that lost much continues there, a stray or forged segment does not.
const JUMP_SEGMENTS: u8 = 3;

/// Segments that a mid-stream start holds back before it decides where the stream starts, so that a capture whose
/// first packets are swapped loses nothing. An acknowledgment of them, or the end of the flow, decides at once.
const SETTLE_SEGMENTS: u8 = 3;

/// How far before its first segment a mid-stream start may move back: the window without scaling (RFC 9293 §3.1).
const SETTLE_REACH: u64 = 1 << 16;

/// Added to the first sequence number, so that a position never goes below zero.
const ORIGIN: u64 = 1 << 32;

/// One direction of a TCP connection. Positions are sequence numbers unwrapped to 64 bits: their low half is the
/// sequence number.
#[derive(Debug, Default)]
pub struct Stream {
    /// The position of the next byte to give.
    next: u64,
    /// The newest acknowledgment of the other side, 0 if there was none.
    acknowledged: u64,
    held: Option<Box<Held>>,
    counters: Counters,
    jump: Option<Jump>,
    phase: Phase,
    demand: Demand,
}

/// What is known of the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// Nothing was seen.
    #[default]
    Unstarted,
    /// The SYN was missed, and this many segments were held back: an earlier one may move the start back.
    Settling { segments: u8 },
    /// The start is fixed.
    Running,
}

/// Whether anybody wants the data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Demand {
    #[default]
    Wanted,
    Stopped,
}

/// Segments that follow each other out of reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Jump {
    next: SequenceNumber,
    segments: u8,
}

impl Stream {
    /// The SYN was seen: the first byte is `isn + 1`. Has no effect once the start is fixed. Data that came before
    /// the SYN is given with the next call that has a sink.
    pub fn syn(&mut self, isn: u32) {
        let first = SequenceNumber(isn).advance(1);
        match self.phase {
            Phase::Unstarted => self.next = ORIGIN.saturating_add(u64::from(first.0)),
            Phase::Settling { .. } => {
                let start = self.position(first);
                if start > self.next || self.next.saturating_sub(start) > SETTLE_REACH {
                    return;
                }
                self.next = start;
            }
            Phase::Running => return,
        }
        self.phase = Phase::Running;
    }

    /// Gives to `sink`, in order, what a segment makes available. In-order data is passed through without a copy.
    ///
    /// `sequence` is that of the first payload byte: one more than the header's in a SYN. The payload of a RST is no
    /// stream data and does not belong here. Where `wire_len` (payload bytes on the wire) is greater than
    /// `payload.len()`, the snap length cut the segment, and the rest is a gap. Without [`Stream::syn`], the first
    /// segments fix the start. What has to wait is given with its `mark`.
    pub fn push(
        &mut self,
        sequence: u32,
        payload: &[u8],
        wire_len: u32,
        mark: Mark,
        sink: &mut impl FnMut(Chunk<'_>),
    ) -> SegmentKind {
        let sequence = SequenceNumber(sequence);
        let captured = u64::try_from(payload.len()).unwrap_or(u64::MAX);
        if self.phase == Phase::Unstarted {
            self.next = ORIGIN.saturating_add(u64::from(sequence.0));
            self.phase = match self.demand {
                Demand::Wanted => Phase::Settling { segments: 0 },
                Demand::Stopped => Phase::Running,
            };
        }
        let segment = Segment {
            start: self.position(sequence),
            bytes: payload,
            wire_len: u64::from(wire_len).min(REACH).max(captured),
        };
        let kind = match self.phase {
            _ if self.is_keep_alive(&segment) => SegmentKind::KeepAlive,
            _ if segment.wire_len == 0 => SegmentKind::InOrder,
            _ if self.is_outside(&segment) => self.place_outside(sequence, &segment, sink),
            Phase::Settling { segments } => self.place_settling(&segment, segments, mark, sink),
            _ => self.place(&segment, mark, sink),
        };
        self.count(kind);
        kind
    }

    /// The other side acknowledged all bytes before `ack`: those never seen are a gap in the capture.
    ///
    /// A hole that held data follows is given up at once. One that nothing follows is given up when a second
    /// acknowledgment confirms it, since packets of two directions may be captured in the wrong order; there a single
    /// byte is taken to be the FIN, which has a sequence number too (RFC 9293 §3.4).
    pub fn acknowledged(&mut self, ack: u32, sink: &mut impl FnMut(Chunk<'_>)) {
        if self.phase == Phase::Unstarted || self.demand == Demand::Stopped {
            return;
        }
        let position = self.position(SequenceNumber(ack));
        if position.abs_diff(self.next) > REACH {
            self.believe_acknowledged_jump(SequenceNumber(ack), sink);
            return;
        }
        if position < self.next {
            return;
        }
        self.phase = Phase::Running;
        let confirmed = self.acknowledged.min(position);
        self.acknowledged = position;
        self.release(position, sink);
        let hole_end = self
            .held
            .as_ref()
            .and_then(|held| held.first_start())
            .map_or(confirmed, |start| start.min(confirmed));
        self.skip_unless_fin(hole_end, sink);
    }

    /// The flow ends (or its memory is needed elsewhere): gives all that is held, with the gaps between. The stream
    /// may go on afterwards.
    pub fn finish(&mut self, sink: &mut impl FnMut(Chunk<'_>)) {
        if self.phase == Phase::Unstarted {
            return;
        }
        self.phase = Phase::Running;
        self.release(u64::MAX, sink);
        self.skip_unless_fin(self.acknowledged, sink);
    }

    /// Whether [`Stream::finish`] would give nothing.
    pub fn is_quiet(&self) -> bool {
        self.held.is_none() && self.acknowledged <= self.next.saturating_add(1)
    }

    /// Nobody wants more: frees everything. Later segments are only counted. A hole is then passed over at once, so
    /// that a segment which fills it counts as sent again, and gaps are not counted any more.
    pub fn stop(&mut self) {
        self.held = None;
        self.demand = Demand::Stopped;
        if self.phase != Phase::Unstarted {
            self.phase = Phase::Running;
        }
    }

    /// Whether [`Stream::stop`] was called.
    pub fn is_stopped(&self) -> bool {
        self.demand == Demand::Stopped
    }

    /// What went wrong so far.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Bytes held in memory beyond holes, at most a mebibyte.
    pub fn held_bytes(&self) -> usize {
        self.held.as_ref().map_or(0, |held| held.bytes())
    }

    /// The position of a sequence number, taken as near to the next one as possible.
    fn position(&self, sequence: SequenceNumber) -> u64 {
        self.next
            .saturating_add_signed(i64::from(sequence.distance_from(self.next_sequence())))
    }

    fn next_sequence(&self) -> SequenceNumber {
        SequenceNumber((self.next & 0xffff_ffff) as u32)
    }

    /// RFC 9293 §3.8.4 and RFC 1122 §4.2.3.6: the sequence number before the next, with no data or one byte of
    /// garbage. A last byte sent again alone looks the same.
    fn is_keep_alive(&self, segment: &Segment<'_>) -> bool {
        segment.wire_len <= 1
            && segment.start.saturating_add(1) == self.next
            && (self.phase == Phase::Running || self.held.is_none())
    }

    fn is_outside(&self, segment: &Segment<'_>) -> bool {
        let back = match self.phase {
            Phase::Settling { .. } => SETTLE_REACH,
            Phase::Unstarted | Phase::Running => REACH,
        };
        segment.start > self.next.saturating_add(REACH)
            || segment.start < self.next.saturating_sub(back)
    }

    /// A segment out of reach is dropped, unless those before it went there too.
    fn place_outside(
        &mut self,
        sequence: SequenceNumber,
        segment: &Segment<'_>,
        sink: &mut impl FnMut(Chunk<'_>),
    ) -> SegmentKind {
        let length = u32::try_from(segment.wire_len).unwrap_or(u32::MAX);
        let before = match self.jump {
            Some(jump) if jump.next == sequence => jump.segments,
            _ => 0,
        };
        let jump = Jump {
            next: sequence.advance(length),
            segments: before.saturating_add(1),
        };
        self.jump = Some(jump);
        if jump.segments < JUMP_SEGMENTS {
            return SegmentKind::OutsideWindow;
        }
        self.jump_to(sequence, sink);
        self.deliver(
            &Segment {
                start: self.next,
                ..*segment
            },
            None,
            sink,
        );
        SegmentKind::OutOfOrder
    }

    fn believe_acknowledged_jump(&mut self, ack: SequenceNumber, sink: &mut impl FnMut(Chunk<'_>)) {
        if let Some(jump) = self.jump
            && u64::from(jump.next.distance_from(ack).unsigned_abs()) <= SETTLE_REACH
        {
            self.jump_to(jump.next, sink);
        }
    }

    /// Goes on at a number out of reach. Positions only grow: a jump back is one forward, of unknown size.
    fn jump_to(&mut self, sequence: SequenceNumber, sink: &mut impl FnMut(Chunk<'_>)) {
        self.phase = Phase::Running;
        self.jump = None;
        self.release(u64::MAX, sink);
        let distance = sequence.distance_from(self.next_sequence());
        let forward = u64::from(sequence.0.wrapping_sub(self.next_sequence().0));
        self.next = self.next.saturating_add(forward);
        self.gap(u64::try_from(distance).unwrap_or(0), sink);
    }

    /// Before the start is fixed, everything is held.
    fn place_settling(
        &mut self,
        segment: &Segment<'_>,
        segments: u8,
        mark: Mark,
        sink: &mut impl FnMut(Chunk<'_>),
    ) -> SegmentKind {
        self.jump = None;
        let held = self.held.get_or_insert_default();
        let continues = segment.start == held.end().unwrap_or(self.next);
        let overlap = held.insert(segment, mark);
        let is_over_limit = held.is_over_limit();
        self.next = self.next.min(segment.start);
        let segments = segments.saturating_add(1);
        self.phase = Phase::Settling { segments };
        let kind = self.kind_of(overlap, continues);
        if segments >= SETTLE_SEGMENTS || is_over_limit {
            self.phase = Phase::Running;
            self.release(self.acknowledged, sink);
        }
        kind
    }

    fn place(
        &mut self,
        segment: &Segment<'_>,
        mark: Mark,
        sink: &mut impl FnMut(Chunk<'_>),
    ) -> SegmentKind {
        self.jump = None;
        if segment.end() <= self.next {
            return SegmentKind::Retransmission;
        }
        if segment.start <= self.next {
            let is_old = segment.start < self.next;
            let overlap = self.deliver_around_held(&segment.part(self.next, segment.end()), sink);
            return self.kind_of(
                Overlap {
                    old: overlap.old || is_old,
                    ..overlap
                },
                true,
            );
        }
        match self.demand {
            Demand::Stopped => {
                self.next = segment.end();
                SegmentKind::OutOfOrder
            }
            Demand::Wanted => {
                let overlap = self.held.get_or_insert_default().insert(segment, mark);
                self.release(self.acknowledged, sink);
                self.kind_of(overlap, false)
            }
        }
    }

    fn kind_of(&mut self, overlap: Overlap, continues: bool) -> SegmentKind {
        if overlap.disagrees {
            self.counters.disagreements = self.counters.disagreements.saturating_add(1);
        }
        match (overlap.new, overlap.old) {
            (false, _) => SegmentKind::Retransmission,
            (true, true) => SegmentKind::Overlap,
            (true, false) if continues => SegmentKind::InOrder,
            (true, false) => SegmentKind::OutOfOrder,
        }
    }

    fn count(&mut self, kind: SegmentKind) {
        let counter = match kind {
            SegmentKind::InOrder => return,
            SegmentKind::OutOfOrder => &mut self.counters.out_of_order,
            SegmentKind::Retransmission => &mut self.counters.retransmitted,
            SegmentKind::Overlap => &mut self.counters.overlaps,
            SegmentKind::KeepAlive => &mut self.counters.keep_alives,
            SegmentKind::OutsideWindow => &mut self.counters.outside_window,
        };
        *counter = counter.saturating_add(1);
    }

    /// Gives a segment that starts at the next position, and the held pieces within it: they came first.
    fn deliver_around_held(
        &mut self,
        segment: &Segment<'_>,
        sink: &mut impl FnMut(Chunk<'_>),
    ) -> Overlap {
        let mut overlap = Overlap::default();
        while let Some(held) = &mut self.held
            && held
                .first_start()
                .is_some_and(|start| start < segment.end())
            && let Some((start, piece)) = held.pop_first()
        {
            let mark = piece.mark();
            let piece = piece.at(start);
            overlap.old = true;
            overlap.disagrees |= segment.disagrees(&piece);
            overlap.new |= self.next < start;
            self.deliver(&segment.part(self.next, start), None, sink);
            self.deliver(&piece, Some(mark), sink);
        }
        overlap.new |= self.next < segment.end();
        self.deliver(&segment.part(self.next, segment.end()), None, sink);
        self.release(self.acknowledged, sink);
        overlap
    }

    /// Gives held pieces as far as they follow, or as the holes before them are to be given up: holes that end at or
    /// before `acknowledged`, and those that a limit decides.
    fn release(&mut self, acknowledged: u64, sink: &mut impl FnMut(Chunk<'_>)) {
        while let Some(held) = &mut self.held {
            let Some(start) = held.first_start() else {
                self.held = None;
                return;
            };
            if start > self.next && start > acknowledged && !held.is_over_limit() {
                return;
            }
            if let Some((start, piece)) = held.pop_first() {
                self.skip_to(start, sink);
                self.deliver(&piece.at(start), Some(piece.mark()), sink);
            }
        }
    }

    /// Gives a segment, of the packet at hand or of the one that `mark` names.
    fn deliver(
        &mut self,
        segment: &Segment<'_>,
        mark: Option<Mark>,
        sink: &mut impl FnMut(Chunk<'_>),
    ) {
        self.next = self.next.max(segment.end());
        if self.demand == Demand::Stopped {
            return;
        }
        if !segment.bytes.is_empty() {
            sink(match mark {
                None => Chunk::Data(segment.bytes),
                Some(mark) => Chunk::Held(segment.bytes, mark),
            });
        }
        let captured = u64::try_from(segment.bytes.len()).unwrap_or(u64::MAX);
        let cut = segment.wire_len.saturating_sub(captured);
        if cut > 0 {
            self.counters.cut_bytes = self.counters.cut_bytes.saturating_add(cut);
            sink(Chunk::Gap { bytes: cut });
        }
    }

    /// Gives up what lies before `position`, unless it is one byte that may be a FIN.
    fn skip_unless_fin(&mut self, position: u64, sink: &mut impl FnMut(Chunk<'_>)) {
        if position > self.next.saturating_add(1) {
            self.skip_to(position, sink);
        }
    }

    fn skip_to(&mut self, position: u64, sink: &mut impl FnMut(Chunk<'_>)) {
        let bytes = position.saturating_sub(self.next);
        if bytes > 0 {
            self.next = position;
            self.gap(bytes, sink);
        }
    }

    fn gap(&mut self, bytes: u64, sink: &mut impl FnMut(Chunk<'_>)) {
        if self.demand == Demand::Stopped {
            return;
        }
        self.counters.gaps = self.counters.gaps.saturating_add(1);
        self.counters.gap_bytes = self.counters.gap_bytes.saturating_add(bytes);
        sink(Chunk::Gap { bytes });
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
