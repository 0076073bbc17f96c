//! Segments that wait beyond a hole.

use std::collections::BTreeMap;

use super::Mark;
use super::segment::Segment;

/// Most bytes that one direction may hold: more than the windows in common use, so that a segment sent again one round
/// trip later still finds its place, and little enough that many broken connections fit in memory.
pub(super) const MAX_HELD_BYTES: usize = 1 << 20;

/// Most pieces that one direction may hold: bounds what tiny segments cost beyond their bytes.
pub(super) const MAX_HELD_PIECES: usize = 1024;

/// Pieces by position. Invariant: no two overlap, none is empty, and all lie at or beyond the stream's next position.
///
/// A segment costs a tree step for each piece it touches, and it touches no more pieces than it has bytes.
#[derive(Debug, Default)]
pub(super) struct Held {
    pieces: BTreeMap<u64, Piece>,
    bytes: usize,
}

/// A copy of (a part of) a segment.
#[derive(Debug)]
pub(super) struct Piece {
    bytes: Box<[u8]>,
    wire_len: u64,
    mark: Mark,
}

impl Piece {
    /// The piece as the segment that it was, at its position.
    pub(super) fn at(&self, start: u64) -> Segment<'_> {
        Segment {
            start,
            bytes: &self.bytes,
            wire_len: self.wire_len,
        }
    }

    /// The packet that it came in.
    pub(super) const fn mark(&self) -> Mark {
        self.mark
    }
}

/// How a segment lies to what is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Overlap {
    /// It has positions that were not there.
    pub(super) new: bool,
    /// It has positions that were there.
    pub(super) old: bool,
    /// A byte of it differs from the one that is there.
    pub(super) disagrees: bool,
}

impl Held {
    /// Copies those parts of the segment for which nothing is held yet.
    pub(super) fn insert(&mut self, segment: &Segment<'_>, mark: Mark) -> Overlap {
        let mut overlap = Overlap::default();
        let mut missing = Vec::new();
        let mut at = segment.start;
        let before = self.pieces.range(..segment.start).next_back();
        for (&start, piece) in before
            .into_iter()
            .chain(self.pieces.range(segment.start..segment.end()))
        {
            let piece = piece.at(start);
            if piece.end() <= segment.start {
                continue;
            }
            if at < start {
                missing.push(segment.part(at, start));
            }
            overlap.old = true;
            overlap.disagrees |= segment.disagrees(&piece);
            at = piece.end();
        }
        if at < segment.end() {
            missing.push(segment.part(at, segment.end()));
        }
        overlap.new = !missing.is_empty();
        for part in missing {
            self.bytes = self.bytes.saturating_add(part.bytes.len());
            let piece = Piece {
                bytes: part.bytes.into(),
                wire_len: part.wire_len,
                mark,
            };
            self.pieces.insert(part.start, piece);
        }
        overlap
    }

    /// Where the first piece starts.
    pub(super) fn first_start(&self) -> Option<u64> {
        self.pieces.first_key_value().map(|(&start, _)| start)
    }

    /// The position after the last piece.
    pub(super) fn end(&self) -> Option<u64> {
        self.pieces
            .last_key_value()
            .map(|(&start, piece)| piece.at(start).end())
    }

    /// Takes the first piece out.
    pub(super) fn pop_first(&mut self) -> Option<(u64, Piece)> {
        let (start, piece) = self.pieces.pop_first()?;
        self.bytes = self.bytes.saturating_sub(piece.bytes.len());
        Some((start, piece))
    }

    /// Bytes in memory.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a limit is passed, so that the first hole must be given up.
    pub(super) fn is_over_limit(&self) -> bool {
        self.bytes > MAX_HELD_BYTES || self.pieces.len() > MAX_HELD_PIECES
    }
}
