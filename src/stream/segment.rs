//! A segment on the unwrapped line of stream positions.

/// Bytes of one segment at their positions. It covers `wire_len` positions, of which `bytes` are in the capture and the
/// rest was cut off by the snap length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'a> {
    pub(super) start: u64,
    pub(super) bytes: &'a [u8],
    pub(super) wire_len: u64,
}

impl<'a> Segment<'a> {
    /// The position after its last byte.
    pub(super) const fn end(&self) -> u64 {
        self.start.saturating_add(self.wire_len)
    }

    /// The part of it in `from..to`.
    pub(super) fn part(&self, from: u64, to: u64) -> Self {
        let from = from.clamp(self.start, self.end());
        let to = to.clamp(from, self.end());
        let skipped = usize::try_from(from.saturating_sub(self.start)).unwrap_or(usize::MAX);
        let length = to.saturating_sub(from);
        let bytes = self.bytes.get(skipped..).unwrap_or_default();
        let kept = usize::try_from(length)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        Self {
            start: from,
            bytes: bytes.get(..kept).unwrap_or_default(),
            wire_len: length,
        }
    }

    /// Whether two segments show different bytes for one position.
    pub(super) fn disagrees(&self, other: &Segment<'_>) -> bool {
        let (from, to) = (self.start.max(other.start), self.end().min(other.end()));
        let (ours, theirs) = (self.part(from, to), other.part(from, to));
        ours.bytes.iter().zip(theirs.bytes).any(|(a, b)| a != b)
    }
}
