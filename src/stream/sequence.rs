//! Sequence numbers and their order (RFC 9293 §3.4).

/// A sequence number: arithmetic on it is modulo 2^32. It has no `Ord`, since that order is not transitive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SequenceNumber(pub u32);

impl SequenceNumber {
    /// The number `bytes` later.
    pub const fn advance(self, bytes: u32) -> Self {
        Self(self.0.wrapping_add(bytes))
    }

    /// How far it lies after `other`; negative where it lies before. At 2^31 both would be true: that reads as before.
    pub const fn distance_from(self, other: Self) -> i32 {
        self.0.wrapping_sub(other.0).cast_signed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_goes_on_past_the_wrap() {
        let last = SequenceNumber(u32::MAX);
        assert_eq!(last.advance(1), SequenceNumber(0));
        assert_eq!(SequenceNumber(9).distance_from(last), 10);
        assert_eq!(last.distance_from(SequenceNumber(9)), -10);
        assert_eq!(
            SequenceNumber(1 << 31).distance_from(SequenceNumber(0)),
            i32::MIN
        );
    }
}
