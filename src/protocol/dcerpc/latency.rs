//! How long servers take to answer: from the last fragment of a request to the first of its answer, in packet time.
//!
//! Times become facts as the steps of a scale, and counts as powers of ten, so that facts stay few and merge as sets.

use smallvec::SmallVec;

use super::bind::Syntax;
use super::{ANSWERED, ANSWERED_WITHIN};
use crate::evidence::Notes;
use crate::net::Timestamp;

/// Calls of one connection that wait for their answers at a time; beyond it the oldest goes unmeasured. Clients have a
/// handful.
const MAX_OPEN: usize = 64;

/// Upper ends of the steps, in microseconds. A call that took longer than the last goes unmeasured: clients give up before.
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

/// Calls without an answer.
#[derive(Default)]
pub(super) struct Waiting(SmallVec<[(u32, Timestamp); 4]>);

impl Waiting {
    /// The last fragment of a request.
    pub(super) fn asked(&mut self, call_id: u32, time: Timestamp) {
        self.0.retain(|(known, _)| *known != call_id);
        if self.0.len() >= MAX_OPEN {
            self.0.remove(0);
        }
        self.0.push((call_id, time));
    }

    /// The first fragment of an answer: the step of the time that it took.
    pub(super) fn answered(&mut self, call_id: u32, time: Timestamp) -> Option<u64> {
        let place = self.0.iter().position(|(known, _)| *known == call_id)?;
        let (_, asked) = self.0.remove(place);
        // A negative time is no time: taps and clocks may disagree.
        let micros = u64::try_from(time.since(asked)).ok()?.div_ceil(1000);
        let step = STEPS_US.partition_point(|&end| end < micros);
        STEPS_US.get(step).copied()
    }
}

/// Whether so many calls are a number worth a fact.
pub(super) fn is_milestone(calls: u64) -> bool {
    calls
        .checked_ilog10()
        .is_some_and(|digits| 10_u64.checked_pow(digits) == Some(calls))
}

/// Notes that at least `calls` calls of `interface` were answered.
pub(super) fn note_answered(calls: u64, interface: Syntax, notes: &mut Notes<'_>) {
    notes.about(calls);
    notes.value(ANSWERED, interface.value());
}

/// Notes that a call of `interface` was answered within a step of the scale.
pub(super) fn note_within(step_us: u64, interface: Syntax, notes: &mut Notes<'_>) {
    notes.about(step_us);
    notes.value(ANSWERED_WITHIN, interface.value());
}
