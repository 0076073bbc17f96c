//! What differs between two captures: by service, client and server.
//!
//! Flows that share the three are one [`Conversation`]. Two sets of conversations give [`Change`]s: what is new, what is gone, what
//! has another verdict or protection, what got slower, and what fails now. Counts of flows alone are no change: captures are of
//! different length. What a capture does not show may have happened outside of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::{Attribution, Flow, Judged, Name, State};
use crate::signature::vocabulary::vocabulary;

/// Conversations kept of one capture: a flood of senders has no end.
const MAX_CONVERSATIONS: usize = 500_000;
/// Times kept of one conversation, the first ones: enough for a median.
const MAX_TIMES: usize = 4096;
/// A median is slower where it is so many times the one before ...
pub const SLOWER_FACTOR: u64 = 2;
/// ... and longer by at least so many microseconds: below, it is the noise of any network.
pub const SLOWER_LEAST_US: u64 = 5000;

vocabulary! {
    /// What happened to a conversation.
    Kind, "change" {
        /// It fails where it did not before: refused, or without an answer.
        Failing = "failing",
        /// Its verdict or its protection is another.
        Changed = "changed",
        /// Its median handshake or its median slowest answer is at least twice as long, and 5 ms longer.
        Slower = "slower",
        /// It was not there before.
        New = "new",
        /// It is not there any more.
        Gone = "gone",
    }
}

/// What makes flows one conversation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    /// The service; else what is spoken, in brackets; else transport and port.
    pub service: String,
    /// The client.
    pub client: IpAddr,
    /// The server.
    pub server: IpAddr,
}

/// The flows of one service between a client and a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conversation {
    /// How many flows.
    pub flows: u64,
    /// How many of them were refused, or got no answer.
    pub failed: u64,
    /// Their verdicts.
    pub verdicts: BTreeSet<&'static str>,
    /// How they are protected; of failed flows nothing.
    pub encryption: BTreeSet<&'static str>,
    /// Names of client and server.
    pub names: [Option<Name>; 2],
    handshakes_us: Vec<u64>,
    answers_us: Vec<u64>,
}

impl Conversation {
    /// Median time from SYN to SYN with ACK, in microseconds.
    pub fn handshake_us(&self) -> Option<u64> {
        median(&self.handshakes_us)
    }

    /// Median of the slowest RPC answers, in microseconds (a step of 1, 2, 5, 10 ...).
    pub fn answer_us(&self) -> Option<u64> {
        median(&self.answers_us)
    }

    fn add(&mut self, flow: &Flow, attribution: &Attribution) {
        self.flows = self.flows.saturating_add(1);
        let failed = matches!(flow.state(), State::Attempted | State::Refused);
        self.failed = self.failed.saturating_add(u64::from(failed));
        let ends = &attribution.ends;
        self.names = [ends.client.name.clone(), ends.server.name.clone()];
        if failed {
            return;
        }
        self.verdicts.insert(attribution.verdict.word());
        self.encryption.insert(attribution.encryption.kind.word());
        let tcp = flow.tracker.tcp.as_ref();
        let handshake = tcp.and_then(|tcp| tcp.handshake());
        let handshake = handshake.and_then(|times| u64::try_from(times.server_ns / 1000).ok());
        let slowest = attribution
            .rpc
            .iter()
            .filter_map(|rpc| rpc.slowest_us)
            .max();
        for (times, time) in [
            (&mut self.handshakes_us, handshake),
            (&mut self.answers_us, slowest),
        ] {
            if times.len() < MAX_TIMES {
                times.extend(time);
            }
        }
    }
}

/// The lower median.
fn median(times: &[u64]) -> Option<u64> {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let middle = sorted.len().checked_sub(1)? / 2;
    sorted.get(middle).copied()
}

/// All conversations of a capture.
#[derive(Clone, Debug, Default)]
pub struct Conversations {
    all: BTreeMap<Pair, Conversation>,
    /// Flows of conversations beyond the bound.
    pub left_out: u64,
}

impl Conversations {
    /// The conversations of what was judged.
    pub fn of(judged: &Judged<'_>) -> Self {
        let mut conversations = Self::default();
        judged.for_each(|flow, attribution| conversations.add(flow, attribution));
        conversations
    }

    fn add(&mut self, flow: &Flow, attribution: &Attribution) {
        let service = match (&attribution.service, attribution.spoken.as_slice()) {
            (Some(service), _) => service.to_string(),
            (None, []) => format!("{} {}", flow.key.transport, flow.server().port),
            (None, spoken) => format!("({})", spoken.join(" ")),
        };
        let pair = Pair {
            service,
            client: flow.client().address,
            server: flow.server().address,
        };
        if self.all.len() >= MAX_CONVERSATIONS && !self.all.contains_key(&pair) {
            self.left_out = self.left_out.saturating_add(1);
            return;
        }
        self.all.entry(pair).or_default().add(flow, attribution);
    }
}

/// What differs in one conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What happened, the worst first.
    pub kinds: Vec<Kind>,
    /// Of which conversation.
    pub pair: Pair,
    /// How it was; `None` where it is new.
    pub before: Option<Conversation>,
    /// How it is; `None` where it is gone.
    pub after: Option<Conversation>,
}

/// All changes, the worst first, then by service, client and server.
pub fn changes(before: Conversations, mut after: Conversations) -> Vec<Change> {
    let mut changes = Vec::new();
    for (pair, was) in before.all {
        let is = after.all.remove(&pair);
        let kinds = match &is {
            None => vec![Kind::Gone],
            Some(is) => kinds(&was, is),
        };
        if !kinds.is_empty() {
            changes.push(Change {
                kinds,
                pair,
                before: Some(was),
                after: is,
            });
        }
    }
    changes.extend(after.all.into_iter().map(|(pair, is)| {
        let is_failing = is.failed > 0 && is.failed == is.flows;
        let mut kinds = vec![Kind::New];
        if is_failing {
            kinds.insert(0, Kind::Failing);
        }
        Change {
            kinds,
            pair,
            before: None,
            after: Some(is),
        }
    }));
    changes.sort_by(|one, other| (&one.kinds, &one.pair).cmp(&(&other.kinds, &other.pair)));
    changes
}

fn kinds(was: &Conversation, is: &Conversation) -> Vec<Kind> {
    let slower = |was: Option<u64>, is: Option<u64>| {
        let (Some(was), Some(is)) = (was, is) else {
            return false;
        };
        is >= was.saturating_mul(SLOWER_FACTOR) && is.saturating_sub(was) >= SLOWER_LEAST_US
    };
    // Where nothing succeeded there is no verdict to compare.
    let both = was.failed < was.flows && is.failed < is.flows;
    let is_changed = both && (was.verdicts != is.verdicts || was.encryption != is.encryption);
    let is_slower =
        slower(was.handshake_us(), is.handshake_us()) || slower(was.answer_us(), is.answer_us());
    let found = [
        (Kind::Failing, was.failed == 0 && is.failed > 0),
        (Kind::Changed, is_changed),
        (Kind::Slower, is_slower),
    ];
    found
        .into_iter()
        .filter_map(|(kind, holds)| holds.then_some(kind))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation(
        flows: u64,
        failed: u64,
        verdict: &'static str,
        handshakes: &[u64],
    ) -> Conversation {
        Conversation {
            flows,
            failed,
            verdicts: BTreeSet::from([verdict]),
            handshakes_us: handshakes.to_vec(),
            ..Conversation::default()
        }
    }

    fn set(conversation: Option<Conversation>) -> Conversations {
        let pair = Pair {
            service: "smtp".to_owned(),
            client: "10.0.0.1".parse().unwrap(),
            server: "10.0.0.2".parse().unwrap(),
        };
        Conversations {
            all: conversation.map(|one| (pair, one)).into_iter().collect(),
            left_out: 0,
        }
    }

    #[track_caller]
    fn assert_change(was: Option<Conversation>, is: Option<Conversation>, expected: &[Kind]) {
        let changes = changes(set(was), set(is));
        let kinds: Vec<Kind> = changes
            .into_iter()
            .flat_map(|change| change.kinds)
            .collect();
        assert_eq!(kinds, expected);
    }

    #[test]
    fn what_comes_goes_fails_or_is_judged_otherwise_is_a_change() {
        let good = || Some(conversation(3, 0, "documented", &[]));
        assert_change(good(), good(), &[]);
        assert_change(good(), Some(conversation(9, 0, "documented", &[])), &[]);
        assert_change(None, good(), &[Kind::New]);
        assert_change(good(), None, &[Kind::Gone]);
        assert_change(
            good(),
            Some(conversation(3, 0, "contradicted", &[])),
            &[Kind::Changed],
        );
        assert_change(
            good(),
            Some(conversation(3, 1, "documented", &[])),
            &[Kind::Failing],
        );
        let failing = || Some(conversation(2, 2, "unproven", &[]));
        assert_change(good(), failing(), &[Kind::Failing]);
        assert_change(failing(), failing(), &[]);
        assert_change(None, failing(), &[Kind::Failing, Kind::New]);
    }

    #[test]
    fn slower_is_twice_as_long_and_more_than_noise() {
        let of = |times: &[u64]| Some(conversation(3, 0, "documented", times));
        assert_change(of(&[400, 500, 900]), of(&[900, 1_000, 2_000]), &[]);
        assert_change(
            of(&[400, 500, 900]),
            of(&[5_400, 5_500, 9_000]),
            &[Kind::Slower],
        );
        assert_change(of(&[20_000]), of(&[26_000]), &[]);
        assert_change(of(&[]), of(&[26_000]), &[]);
    }
}
