//! How long servers take to answer: from the last fragment of a request to the first of its answer, in packet time.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use crate::evidence::{answered_within, milestone};
use crate::net::Timestamp;

/// Calls of one connection that wait for their answers at a time; beyond it the oldest goes unmeasured. Clients have a
/// handful.
const MAX_OPEN: usize = 64;

/// Presentation contexts of one connection whose answers are counted; calls of further ones go uncounted. Windows clients
/// use a handful.
const MAX_CONTEXTS: usize = 256;

/// Calls without an answer, by what identifies a call, and how many were answered in each context.
pub(super) struct Waiting<Call> {
    open: SmallVec<[(Call, Timestamp); 4]>,
    answered: BTreeMap<u16, u64>,
}

impl<Call> Default for Waiting<Call> {
    fn default() -> Self {
        Self {
            open: SmallVec::new(),
            answered: BTreeMap::new(),
        }
    }
}

impl<Call: Copy + PartialEq> Waiting<Call> {
    /// The last fragment of a request; where identifiers come again, the last request that has it is answered.
    pub(super) fn asked(&mut self, call: Call, time: Timestamp) {
        self.open.retain(|(known, _)| *known != call);
        self.wait(call, time);
    }

    /// The same where a request that is sent again is still the same call: it waits since the first.
    pub(super) fn asked_again(&mut self, call: Call, time: Timestamp) {
        if self.open.iter().all(|(known, _)| *known != call) {
            self.wait(call, time);
        }
    }

    fn wait(&mut self, call: Call, time: Timestamp) {
        if self.open.len() >= MAX_OPEN {
            self.open.remove(0);
        }
        self.open.push((call, time));
    }

    /// The first fragment of an answer: the step of the time that it took.
    pub(super) fn answered(&mut self, call: Call, time: Timestamp) -> Option<u64> {
        let place = self.open.iter().position(|(known, _)| *known == call)?;
        let (_, asked) = self.open.remove(place);
        answered_within(asked, time)
    }

    /// Counts an answered call; says the count where it is a power of ten.
    pub(super) fn milestone(&mut self, context: u16) -> Option<u64> {
        if self.answered.len() >= MAX_CONTEXTS && !self.answered.contains_key(&context) {
            return None;
        }
        let calls = self.answered.entry(context).or_default();
        *calls = calls.saturating_add(1);
        milestone(*calls).filter(|power| power == calls)
    }
}
