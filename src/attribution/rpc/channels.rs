//! The channels of a virtual connection of RPC over HTTP (MS-RPCH): each shows one direction, and they are joined by the cookie
//! that both name. A bind in one channel and its answer in another are a bound interface, a request and its answer a time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::super::flow::Sight;
use crate::evidence::{Attribute, Episode, Fact, Value, answered_within, milestone};
use crate::net::{Side, Timestamp};

/// Bits of a subject that name the presentation context; call id and place stand above them.
const CONTEXT: u64 = 0xffff;

/// What a flow says of the virtual connections that it is a channel of.
#[derive(Debug)]
pub(in super::super) struct Channel {
    /// The place of its flow.
    flow: u64,
    /// Where its packets were seen: requests and answers on other ways, or by other clocks, are not each other's.
    hop: Hop,
    cookies: Vec<String>,
    proposed: Vec<(u64, Value)>,
    accepted: Vec<(u64, Sight)>,
    calls: Vec<(u64, Sight)>,
    answers: Vec<(u64, Sight)>,
}

/// The tap, and both hosts: a proxy hands the same calls of the same virtual connection on to the server behind it.
type Hop = (u32, IpAddr, IpAddr);

impl Channel {
    /// What an episode says, if it is part of a channel.
    pub(in super::super) fn of(episode: &Episode, flow: u64, tap: u32) -> Option<Self> {
        let of = |name: &'static str| {
            let is_meant = move |fact: &Fact| {
                fact.attribute.protocol == "dcerpc" && fact.attribute.name == name
            };
            let facts = episode.facts.iter();
            facts.filter(move |(fact, _)| is_meant(fact))
        };
        let sights = |name: &'static str| {
            of(name)
                .map(|(fact, seen)| (fact.subject, Sight { seen: *seen, tap }))
                .collect()
        };
        let cookies: Vec<String> = of("virtual_connection")
            .filter_map(|(fact, _)| fact.value.as_text().map(str::to_owned))
            .collect();
        if cookies.is_empty() {
            return None;
        }
        let proposed = of("proposed").map(|(fact, _)| (fact.subject, fact.value.clone()));
        Some(Self {
            flow,
            hop: (tap, episode.key.a.address, episode.key.b.address),
            cookies,
            proposed: proposed.collect(),
            accepted: sights("accepted"),
            calls: sights("channel_call"),
            answers: sights("channel_answer"),
        })
    }
}

/// What a channel is told by another.
#[derive(Debug)]
pub(in super::super) struct Told {
    name: &'static str,
    context: u64,
    value: Value,
    /// Where the server said it.
    pub(in super::super) sight: Sight,
}

impl Told {
    /// The fact; the server says it.
    pub(in super::super) fn fact(&self, server: Side) -> Fact {
        Fact {
            attribute: Attribute {
                protocol: "dcerpc",
                name: self.name,
            },
            subject: self.context,
            value: self.value.clone(),
            side: server,
        }
    }
}

/// What the channels of each virtual connection tell each other, by the places of their flows. Both the flow of a bind and that
/// of its answer bound what was accepted; how soon calls were answered belongs to the flow that answers.
pub(in super::super) fn join_channels(mut channels: Vec<Channel>) -> BTreeMap<u64, Vec<Told>> {
    channels.sort_by_key(|channel| channel.flow);
    let mut connections: BTreeMap<&str, Vec<&Channel>> = BTreeMap::new();
    for channel in &channels {
        for cookie in &channel.cookies {
            connections.entry(cookie).or_default().push(channel);
        }
    }
    let mut joined: BTreeMap<u64, Vec<Told>> = BTreeMap::new();
    for channels in connections.values() {
        join_binds(channels, &mut joined);
        join_calls(channels, &mut joined);
    }
    joined
}

fn join_binds(channels: &[&Channel], joined: &mut BTreeMap<u64, Vec<Told>>) {
    let mut proposed: BTreeMap<u64, &Value> = BTreeMap::new();
    let mut accepted: BTreeMap<u64, Sight> = BTreeMap::new();
    for channel in channels {
        let proposals = channel.proposed.iter();
        proposed.extend(proposals.map(|(subject, value)| (*subject, value)));
        for (subject, sight) in &channel.accepted {
            let first = accepted.entry(*subject).or_insert(*sight);
            *first = (*sight).min(*first);
        }
    }
    for (subject, interface) in proposed {
        let Some(sight) = accepted.get(&(subject & !CONTEXT)) else {
            continue;
        };
        let mut flows: Vec<u64> = channels.iter().map(|channel| channel.flow).collect();
        flows.dedup();
        for flow in flows {
            joined.entry(flow).or_default().push(Told {
                name: "bound",
                context: subject & CONTEXT,
                value: interface.clone(),
                sight: *sight,
            });
        }
    }
}

fn join_calls(channels: &[&Channel], joined: &mut BTreeMap<u64, Vec<Told>>) {
    let mut calls: BTreeSet<(Hop, u64, Timestamp)> = BTreeSet::new();
    for channel in channels {
        let sights = channel.calls.iter();
        calls.extend(sights.map(|(subject, sight)| (channel.hop, *subject, sight.seen.time)));
    }
    if calls.is_empty() {
        return;
    }
    // How often each context of a flow was answered, and where first within each step.
    let mut counts: BTreeMap<(u64, u64), (u64, Sight)> = BTreeMap::new();
    let mut steps: BTreeMap<(u64, u64, u64), Sight> = BTreeMap::new();
    for channel in channels {
        for (subject, sight) in &channel.answers {
            let time = sight.seen.time;
            let known = (channel.hop, *subject, time);
            // Where a call id comes again, the last request before the answer is answered.
            let step = match calls.range(..=known).next_back() {
                Some((hop, call, asked)) if (hop, call) == (&channel.hop, subject) => {
                    answered_within(*asked, time)
                }
                _ => None,
            };
            let Some(step) = step else {
                continue;
            };
            let context = subject & CONTEXT;
            let first = steps.entry((channel.flow, context, step)).or_insert(*sight);
            *first = (*sight).min(*first);
            let (count, first) = counts.entry((channel.flow, context)).or_insert((0, *sight));
            *count = count.saturating_add(1);
            *first = (*sight).min(*first);
        }
    }
    let mut tell = |flow: u64, name, context, number, sight| {
        joined.entry(flow).or_default().push(Told {
            name,
            context,
            value: Value::Number(number),
            sight,
        });
    };
    for ((flow, context, step), sight) in steps {
        tell(flow, "answered_within", context, step, sight);
    }
    for ((flow, context), (count, sight)) in counts {
        if let Some(power) = milestone(count) {
            tell(flow, "answered", context, power, sight);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::uuid;

    use super::super::tests::{FIRST, MAPPER, episode, interface, rpc_of, settle, store, text};
    use super::*;
    use crate::attribution::Flow;
    use crate::evidence::Seen;

    fn cookie(name: &str) -> (&'static str, u64, Value) {
        ("virtual_connection", 0, text(name))
    }

    fn call(id: u64) -> (&'static str, u64, Value) {
        ("channel_call", id << 32 | 7, Value::Number(11))
    }

    fn answer(id: u64) -> (&'static str, u64, Value) {
        ("channel_answer", id << 32 | 7, Value::Number(1))
    }

    /// A channel from that client port, all of which is seen at that time, in microseconds.
    fn at(micros: i64, port: u16, facts: &[(&'static str, u64, Value)]) -> Episode {
        let mut episode = episode(port, facts);
        let later = |(fact, seen): (Fact, Seen)| {
            let time = Timestamp::from_nanos(micros * 1000);
            (fact, Seen { time, ..seen })
        };
        episode.facts = episode.facts.into_iter().map(later).collect();
        episode
    }

    fn numbers(flow: &Flow, name: &'static str) -> Vec<(u64, u64)> {
        flow.facts_of("dcerpc", name)
            .filter_map(|(fact, _)| Some((fact.subject, fact.value.as_number()?)))
            .collect()
    }

    #[test]
    fn the_channels_of_a_virtual_connection_tell_each_other_what_was_bound() {
        let ndr = || interface(uuid!("8a885d04-1ceb-11c9-9fe8-08002b104860"), 2, 0);
        let inbound = |name| {
            let mapper = interface(MAPPER, 3, 0);
            [
                cookie(name),
                ("requested", 7, store()),
                ("proposed", FIRST | 7, store()),
                ("proposed", FIRST | 1 << 16 | 8, mapper),
            ]
        };
        let outbound = |name| [cookie(name), ("accepted", FIRST, ndr())];
        let flows = settle(vec![
            episode(1, &inbound("one")),
            episode(2, &outbound("one")),
            episode(3, &inbound("two")),
        ]);
        let bound = |flow: &Flow| -> Vec<(u64, Value, u64, Side)> {
            flow.facts_of("dcerpc", "bound")
                .map(|(fact, sight)| {
                    let frame = sight.seen.frame;
                    (fact.subject, fact.value.clone(), frame, fact.side)
                })
                .collect()
        };
        let server = flows[0].client.other();
        // The second proposal was not accepted; the third flow has no answer.
        for flow in &flows[..2] {
            assert_eq!(bound(flow), [(7, store(), 2, server)]);
        }
        assert!(bound(&flows[2]).is_empty());
        assert_eq!(rpc_of(&flows[0])[0].accepted, Some(true));
    }

    #[test]
    fn answers_in_one_channel_are_timed_from_the_requests_in_another() {
        let flows = settle(vec![
            at(1_000, 1, &[cookie("one"), call(2), call(3), call(4)]),
            at(4_500, 2, &[cookie("one"), answer(2), ("bound", 7, store())]),
            at(
                3_000_000,
                3,
                &[cookie("one"), answer(3), ("bound", 7, store())],
            ),
            // Of another virtual connection, and to nothing that was asked.
            at(4_000_000, 4, &[cookie("two"), answer(4)]),
            at(4_000_000, 5, &[cookie("one"), answer(9)]),
        ]);
        assert_eq!(numbers(&flows[1], "answered_within"), [(7, 5_000)]);
        assert_eq!(numbers(&flows[1], "answered"), [(7, 1)]);
        assert_eq!(numbers(&flows[2], "answered_within"), [(7, 5_000_000)]);
        for place in [0, 3, 4] {
            assert!(numbers(&flows[place], "answered_within").is_empty());
        }
        let rpc = &rpc_of(&flows[2])[0];
        assert_eq!((rpc.answered, rpc.slowest_us), (Some(1), Some(5_000_000)));
    }

    #[test]
    fn a_proxy_and_its_client_wait_for_themselves() {
        let mut behind = at(2_000, 3, &[cookie("one"), call(2)]);
        let mut answered = at(2_400, 4, &[cookie("one"), answer(2)]);
        for episode in [&mut behind, &mut answered] {
            episode.key.b.address = "10.0.0.3".parse().unwrap();
        }
        let flows = settle(vec![
            at(1_000, 1, &[cookie("one"), call(2)]),
            at(2_900, 2, &[cookie("one"), answer(2)]),
            behind,
            answered,
        ]);
        let steps: Vec<_> = flows
            .iter()
            .flat_map(|flow| numbers(flow, "answered_within"))
            .collect();
        assert_eq!(steps, [(7, 2_000), (7, 500)]);
    }

    #[test]
    fn an_answer_before_its_request_is_none() {
        let flows = settle(vec![
            at(1_000, 1, &[cookie("one"), answer(2)]),
            at(2_000, 2, &[cookie("one"), call(2)]),
        ]);
        assert!(numbers(&flows[0], "answered_within").is_empty());
        assert!(numbers(&flows[0], "answered").is_empty());
    }
}
