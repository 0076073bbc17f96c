//! How long something took, as a step of a scale: times become facts that way, so that facts stay few and merge as sets.

use crate::net::Timestamp;

/// Upper ends of the steps, in microseconds.
const STEPS_US: [u64; 24] = [
    100,
    200,
    500,
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    200_000_000,
    500_000_000,
    1_000_000_000,
    2_000_000_000,
    5_000_000_000,
];

/// The step within which an answer came, in microseconds: its upper end. `None` where the time is negative, because taps and
/// clocks may disagree, or beyond the last step: clients give up before.
pub fn answered_within(asked: Timestamp, answered: Timestamp) -> Option<u64> {
    let micros = u64::try_from(answered.since(asked)).ok()?.div_ceil(1000);
    let step = STEPS_US.partition_point(|&end| end < micros);
    STEPS_US.get(step).copied()
}

/// The greatest power of ten that a number reaches: counts become facts that way. `None` of nothing.
pub fn milestone(number: u64) -> Option<u64> {
    10_u64.checked_pow(number.checked_ilog10()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_the_upper_end_of_its_step() {
        let within =
            |nanos| answered_within(Timestamp::from_nanos(0), Timestamp::from_nanos(nanos));
        assert_eq!(within(0), Some(100));
        assert_eq!(within(100_000), Some(100));
        assert_eq!(within(100_001), Some(200));
        assert_eq!(within(3_000_000_000), Some(5_000_000));
        assert_eq!(within(-1), None);
        assert_eq!(within(5_000_000_000_001), None);
    }

    #[test]
    fn a_count_is_the_power_of_ten_that_it_reached() {
        let of = [0, 1, 9, 10, 99, 100].map(milestone);
        assert_eq!(of, [None, Some(1), Some(1), Some(10), Some(10), Some(100)]);
    }
}
