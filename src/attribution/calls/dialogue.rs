//! What the signalling says of one call.

use std::collections::{BTreeMap, BTreeSet};

use super::Call;
use crate::attribution::{Flow, Standing};
use crate::evidence::Seen;
use crate::net::{Endpoint, Timestamp};

/// A message of a call, as far as it is known: the first of its kind on a flow and from a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rung<'a> {
    /// Packet and time.
    pub seen: Seen,
    /// Number of the flow.
    pub flow: u64,
    /// Who sent it.
    pub from: Endpoint,
    /// Who received it.
    pub to: Endpoint,
    /// Method, or code and phrase.
    pub text: &'a str,
}

/// Everything with one Call-ID.
#[derive(Debug, Default)]
pub(super) struct Dialogue<'a> {
    /// Flows that carry it.
    pub(super) flows: BTreeSet<u64>,
    /// Media and candidates that it announced, by their packets.
    pub(super) offers: Vec<&'a Standing>,
    /// A set: an answer to INVITE is there as such and as an answer.
    ladder: BTreeSet<Rung<'a>>,
    first: Option<Seen>,
    methods: BTreeMap<&'a str, Seen>,
    statuses: BTreeMap<&'a str, Seen>,
    invite_statuses: BTreeMap<&'a str, Seen>,
    from: Option<(Seen, &'a str)>,
    to: Option<(Seen, &'a str)>,
}

/// Takes in what a flow says of calls.
pub(super) fn read<'a>(flow: &'a Flow, dialogues: &mut BTreeMap<&'a str, Dialogue<'a>>) {
    if !flow.proves("sip") {
        return;
    }
    let names: BTreeMap<u64, &str> = flow
        .facts_of("sip", "call_id")
        .filter_map(|(fact, _)| Some((fact.subject, fact.value.as_text()?)))
        .collect();
    for (fact, sight) in &flow.facts {
        if fact.attribute.protocol != "sip" {
            continue;
        }
        let (Some(call_id), Some(text)) = (names.get(&fact.subject), fact.value.as_text()) else {
            continue;
        };
        let dialogue = dialogues.entry(call_id).or_default();
        dialogue.flows.insert(flow.number);
        if matches!(fact.attribute.name, "method" | "status" | "invite_status") {
            dialogue.ladder.insert(Rung {
                seen: sight.seen,
                flow: flow.number,
                from: flow.key.endpoint(fact.side),
                to: flow.key.endpoint(fact.side.other()),
                text,
            });
        }
        dialogue.take(fact.attribute.name, text, sight.seen);
    }
}

impl<'a> Dialogue<'a> {
    fn take(&mut self, name: &str, text: &'a str, seen: Seen) {
        self.first = Some(self.first.map_or(seen, |first| first.min(seen)));
        let times = match name {
            "method" => &mut self.methods,
            "status" => &mut self.statuses,
            "invite_status" => &mut self.invite_statuses,
            "from" => return earliest(&mut self.from, text, seen),
            "to" => return earliest(&mut self.to, text, seen),
            _ => return,
        };
        let known = times.entry(text).or_insert(seen);
        *known = seen.min(*known);
    }

    /// The record of the call, without its media.
    pub(super) fn call(&self, call_id: &'a str) -> Call<'a> {
        let invite = self.methods.get("INVITE").copied();
        let statuses = if invite.is_some() || !self.invite_statuses.is_empty() {
            &self.invite_statuses
        } else {
            &self.statuses
        };
        let result = final_answer(statuses);
        let mut methods: Vec<(Seen, &str)> = self.methods.iter().map(|(m, s)| (*s, *m)).collect();
        methods.sort_unstable();
        let offered = self.offers.first().map(|standing| standing.sight.seen);
        let start = invite.or(self.first).or(offered);
        Call {
            call_id: Some(call_id),
            from: self.from.map(|(_, uri)| uri),
            to: self.to.map(|(_, uri)| uri),
            methods: methods.into_iter().map(|(_, method)| method).collect(),
            result: result.map(|(status, _)| status),
            start: start.map_or(Timestamp::default(), |seen| seen.time),
            answered: success(&self.invite_statuses).map(|(_, seen)| seen.time),
            end: self.end(),
            signalling: self.flows.iter().copied().collect(),
            streams: Vec::new(),
            ladder: self.ladder.iter().copied().collect(),
        }
    }

    /// When it ended: with BYE, or with the final refusal of the INVITE.
    pub(super) fn end(&self) -> Option<Timestamp> {
        let bye = self.methods.get("BYE").copied();
        let refused = || {
            let (status, seen) = final_answer(&self.invite_statuses)?;
            (!status.starts_with('2')).then_some(seen)
        };
        bye.or_else(refused).map(|seen| seen.time)
    }
}

fn earliest<'a>(known: &mut Option<(Seen, &'a str)>, text: &'a str, seen: Seen) {
    let candidate = (seen, text);
    *known = Some(known.map_or(candidate, |known| known.min(candidate)));
}

fn success<'a>(statuses: &BTreeMap<&'a str, Seen>) -> Option<(&'a str, Seen)> {
    let found = statuses
        .iter()
        .filter(|(status, _)| status.starts_with('2'));
    found
        .map(|(status, seen)| (*status, *seen))
        .min_by_key(|(_, seen)| *seen)
}

/// How it came out: the first success, since later requests within a call may fail without ending it; else the last
/// refusal, and a demand for credentials (401, 407) only where nothing came after it.
fn final_answer<'a>(statuses: &BTreeMap<&'a str, Seen>) -> Option<(&'a str, Seen)> {
    let refusals = || {
        let found = statuses
            .iter()
            .filter(|(status, _)| !status.starts_with('1'));
        found.map(|(status, seen)| (*status, *seen))
    };
    let is_challenge = |status: &str| status.starts_with("401") || status.starts_with("407");
    let latest = |challenges: bool| {
        refusals()
            .filter(|(status, _)| is_challenge(status) == challenges)
            .max_by_key(|(_, seen)| *seen)
    };
    success(statuses)
        .or_else(|| latest(false))
        .or_else(|| latest(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(frame: u64) -> Seen {
        Seen {
            time: Timestamp::from_parts(i64::try_from(frame).unwrap(), 0),
            frame,
        }
    }

    fn statuses(texts: &[&'static str]) -> BTreeMap<&'static str, Seen> {
        (1..).zip(texts).map(|(n, text)| (*text, seen(n))).collect()
    }

    #[test]
    fn a_success_stands_whatever_fails_later() {
        let of = |texts: &[&'static str]| final_answer(&statuses(texts)).map(|(status, _)| status);
        assert_eq!(
            of(&["100 Trying", "200 OK", "488 Not Acceptable Here"]),
            Some("200 OK")
        );
        assert_eq!(
            of(&["401 Unauthorized", "486 Busy Here"]),
            Some("486 Busy Here")
        );
        assert_eq!(
            of(&["486 Busy Here", "407 Proxy Authentication Required"]),
            Some("486 Busy Here")
        );
        assert_eq!(
            of(&["100 Trying", "401 Unauthorized"]),
            Some("401 Unauthorized")
        );
        assert_eq!(of(&["100 Trying", "180 Ringing"]), None);
    }

    #[test]
    fn the_caller_is_who_sent_the_first_message() {
        let mut dialogue = Dialogue::default();
        dialogue.take("from", "sip:callee@example.com", seen(9));
        dialogue.take("from", "sip:caller@example.com", seen(1));
        dialogue.take("method", "BYE", seen(9));
        dialogue.take("method", "INVITE", seen(1));
        dialogue.take("invite_status", "200 OK", seen(4));
        let call = dialogue.call("c");
        assert_eq!(call.from, Some("sip:caller@example.com"));
        assert_eq!(call.methods, ["INVITE", "BYE"]);
        assert_eq!(call.start, seen(1).time);
        assert_eq!(call.answered, Some(seen(4).time));
        assert_eq!(call.end, Some(seen(9).time));
    }

    #[test]
    fn a_refused_call_ends_with_its_refusal() {
        let mut dialogue = Dialogue::default();
        dialogue.take("method", "INVITE", seen(1));
        dialogue.take("invite_status", "486 Busy Here", seen(3));
        assert_eq!(dialogue.call("c").end, Some(seen(3).time));
        assert_eq!(dialogue.call("c").answered, None);
    }
}
