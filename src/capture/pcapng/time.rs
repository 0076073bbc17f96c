//! The clock of a pcapng interface: ticks to nanoseconds since the epoch, in integers.

use pcap_parser::pcapng::PcapNGOption;

use super::super::format::Order;
use super::notes::options;
use crate::net::Timestamp;

const IF_TSRESOL: u16 = 9;
const IF_TSOFFSET: u16 = 14;

/// `if_tsresol` where an interface has none: microseconds.
const DEFAULT_RESOLUTION: u8 = 6;

/// How the time stamps of an interface are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    unit: Unit,
    offset_nanos: i64,
}

/// The length of a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// This many nanoseconds.
    Nanos(u64),
    /// So many of them are a nanosecond.
    PerNano(u128),
    /// So many halvings of a second.
    Halvings(u32),
}

impl Clock {
    /// From the options of an interface description.
    pub(super) fn of(order: Order, list: &[PcapNGOption<'_>]) -> Self {
        let mut resolution = DEFAULT_RESOLUTION;
        let mut offset_seconds = 0;
        for (code, value) in options(list) {
            match (code, value) {
                (IF_TSRESOL, [value, ..]) => resolution = *value,
                (IF_TSOFFSET, value) => {
                    if let Some(seconds) = value.first_chunk() {
                        offset_seconds = i64::from_ne_bytes(order.u64(*seconds).to_ne_bytes());
                    }
                }
                _ => {}
            }
        }
        Self {
            unit: Unit::of(resolution),
            offset_nanos: Timestamp::from_parts(offset_seconds, 0).nanos(),
        }
    }

    /// The time of `ticks`, saturating at the ends of [`Timestamp`].
    pub(super) fn time(self, ticks: u64) -> Timestamp {
        let nanos = match self.unit {
            Unit::Nanos(nanos) => ticks
                .checked_mul(nanos)
                .and_then(|nanos| i64::try_from(nanos).ok()),
            Unit::PerNano(count) => u128::from(ticks)
                .checked_div(count)
                .and_then(|nanos| i64::try_from(nanos).ok()),
            Unit::Halvings(count) => {
                let nanos = u128::from(ticks).saturating_mul(1_000_000_000);
                i64::try_from(nanos.checked_shr(count).unwrap_or(0)).ok()
            }
        };
        Timestamp::from_nanos(nanos.unwrap_or(i64::MAX).saturating_add(self.offset_nanos))
    }
}

impl Unit {
    /// From `if_tsresol`: the highest bit chooses between powers of ten and of two.
    fn of(resolution: u8) -> Self {
        let exponent = u32::from(resolution & 0x7f);
        if resolution & 0x80 != 0 {
            return Self::Halvings(exponent);
        }
        match 9_u32.checked_sub(exponent) {
            Some(digits) => Self::Nanos(10_u64.saturating_pow(digits)),
            None => Self::PerNano(10_u128.saturating_pow(exponent.saturating_sub(9))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nanos(resolution: u8, ticks: u64) -> i64 {
        let clock = Clock {
            unit: Unit::of(resolution),
            offset_nanos: 0,
        };
        clock.time(ticks).nanos()
    }

    #[test]
    fn powers_of_ten_and_of_two_are_read_without_rounding() {
        assert_eq!(nanos(0, 3), 3_000_000_000);
        assert_eq!(nanos(6, 1_700_000_000_000_001), 1_700_000_000_000_001_000);
        assert_eq!(nanos(9, 7), 7);
        assert_eq!(nanos(12, 1_999), 1);
        assert_eq!(nanos(0x80 | 1, 3), 1_500_000_000);
        assert_eq!(nanos(0x80 | 32, 0x1_8000_0000), 1_500_000_000);
    }

    #[test]
    fn absurd_clocks_saturate() {
        assert_eq!(nanos(0, u64::MAX), i64::MAX);
        assert_eq!(nanos(0x80, u64::MAX), i64::MAX);
        assert_eq!(nanos(127, u64::MAX), 0);
        assert_eq!(nanos(255, u64::MAX), 0);
    }
}
