//! A nested length: how much of a layer was on the wire, and how much of that was captured.
//!
//! This is the one place that decides between [`Stop::Truncated`] and [`Stop::Malformed`].

use super::headers::{Header, Refusal};
use super::{Layer, Reason, Stop};
use crate::bytes::Cursor;

/// What is left of the layer that is being read.
///
/// Invariant: `bytes.len() <= wire`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window<'a> {
    bytes: &'a [u8],
    wire: usize,
}

impl<'a> Window<'a> {
    /// A window over captured bytes that were `wire` bytes on the wire (at least as many as were captured).
    pub(super) fn new(bytes: &'a [u8], wire: usize) -> Self {
        Self {
            bytes,
            wire: wire.max(bytes.len()),
        }
    }

    /// The captured bytes that are left.
    pub(super) const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The bytes that were left on the wire.
    pub(super) const fn wire(&self) -> usize {
        self.wire
    }

    /// The same, as the public types count.
    pub(super) fn wire_u32(&self) -> u32 {
        u32::try_from(self.wire).unwrap_or(u32::MAX)
    }

    /// Whether the capture holds less than the wire did.
    pub(super) const fn is_cut(&self) -> bool {
        self.bytes.len() < self.wire
    }

    /// A cursor over the captured bytes.
    pub(super) const fn cursor(&self) -> Cursor<'a> {
        Cursor::new(self.bytes)
    }

    /// The next `N` bytes, which the window passes over.
    pub(super) fn array<const N: usize>(&mut self, layer: Layer) -> Result<&'a [u8; N], Stop> {
        match self.bytes.split_first_chunk() {
            Some((head, rest)) => {
                self.bytes = rest;
                self.wire = self.wire.saturating_sub(N);
                Ok(head)
            }
            None => Err(self.short(N, layer)),
        }
    }

    /// The next header, which the window passes over; where it cannot be read, the window stays.
    pub(super) fn header<H: Header<'a>>(&mut self, layer: Layer) -> Result<H, Stop> {
        match H::read(self.bytes) {
            Ok(header) => {
                self.skip(header.bytes().len(), layer)?;
                Ok(header)
            }
            Err(Refusal::Missing(count)) => Err(self.short(count, layer)),
            Err(Refusal::Contradiction(reason)) => Err(Stop::Malformed { layer, reason }),
        }
    }

    /// The next `count` bytes, which the window passes over.
    pub(super) fn take(&mut self, count: usize, layer: Layer) -> Result<&'a [u8], Stop> {
        match self.bytes.split_at_checked(count) {
            Some((head, rest)) => {
                self.bytes = rest;
                self.wire = self.wire.saturating_sub(count);
                Ok(head)
            }
            None => Err(self.short(count, layer)),
        }
    }

    /// Passes over `count` bytes.
    pub(super) fn skip(&mut self, count: usize, layer: Layer) -> Result<(), Stop> {
        self.take(count, layer).map(drop)
    }

    /// Two bytes in network order.
    pub(super) fn u16(&mut self, layer: Layer) -> Result<u16, Stop> {
        Ok(u16::from_be_bytes(*self.array(layer)?))
    }

    /// The first byte, without moving.
    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.first().copied()
    }

    /// Sets the length on the wire to what a header says. Says whether the frame had that much; where it had less, the
    /// claim is kept, so that what is missing counts as missing.
    pub(super) fn set_wire(&mut self, claimed: usize) -> bool {
        let held = claimed <= self.wire;
        self.bytes = self.bytes.get(..claimed).unwrap_or(self.bytes);
        self.wire = claimed;
        held
    }

    /// Why the next `count` bytes cannot be read.
    pub(super) fn short(&self, count: usize, layer: Layer) -> Stop {
        if count <= self.wire {
            Stop::Truncated { layer }
        } else {
            Stop::Malformed {
                layer,
                reason: Reason::Short,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_capture_is_truncated_and_a_short_packet_is_malformed() {
        let mut cut = Window::new(&[1, 2], 4);
        assert_eq!(
            cut.array::<4>(Layer::Udp),
            Err(Stop::Truncated { layer: Layer::Udp })
        );
        let mut whole = Window::new(&[1, 2], 2);
        assert_eq!(
            whole.array::<4>(Layer::Udp),
            Err(Stop::Malformed {
                layer: Layer::Udp,
                reason: Reason::Short
            })
        );
    }

    #[test]
    fn a_nested_length_cuts_padding_and_keeps_what_the_capture_misses() {
        let mut padded = Window::new(&[1, 2, 3, 4], 4);
        assert!(padded.set_wire(3));
        assert_eq!(padded.bytes(), [1, 2, 3]);
        assert!(!padded.set_wire(9));
        assert!(padded.is_cut());
    }
}
