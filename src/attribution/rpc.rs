//! What a flow shows of RPC: interfaces with the operations that were called of them, and how soon the server answered.

mod channels;

use serde::Serialize;

use super::flow::Flow;
use crate::evidence::{Fact, Value};
use crate::signature::{InterfaceKind, Signatures};

pub(super) use channels::{Channel, Told, join_channels};

/// An RPC interface that a flow bound, or asked for without an answer in the capture.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Rpc {
    /// The interface.
    pub uuid: String,
    /// Its version, `major.minor`.
    pub version: String,
    /// Its usual name.
    pub name: Option<String>,
    /// Authentication of the connection's calls.
    pub auth_type: Option<String>,
    /// Level of protection of the calls.
    pub auth_level: Option<String>,
    /// The server accepted it; `null` where the capture does not show the answer.
    pub accepted: Option<bool>,
    /// Operations that were called, by number.
    pub operations: Vec<RpcOperation>,
    /// A power of ten that the number of answered calls reached.
    pub answered: Option<u64>,
    /// The fastest answer came within so many microseconds (a step of 1, 2, 5, 10 ...). Answers in a channel of RPC over HTTP
    /// are those to requests in another channel of the same virtual connection.
    pub fastest_us: Option<u64>,
    /// So did the slowest.
    pub slowest_us: Option<u64>,
    /// Faults, with status and meaning.
    pub faults: Vec<String>,
}

/// A called operation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct RpcOperation {
    /// Its number.
    pub number: u64,
    /// Its documented name.
    pub name: Option<String>,
}

/// Interfaces that the flow bound or asked for, with what was called of them.
pub(super) fn rpc(flow: &Flow, signatures: &Signatures) -> Vec<Rpc> {
    let is_bound = |value: &Value| {
        flow.facts_of("dcerpc", "bound")
            .any(|(fact, _)| fact.value == *value)
    };
    let refused_all = flow.facts_of("dcerpc", "bind_nak").next().is_some();
    let is_refused = |value: &Value| {
        let named = format!("{value}:");
        refused_all
            || flow
                .texts("dcerpc", "rejected")
                .any(|text| text.starts_with(&named))
    };
    let bound = flow
        .facts_of("dcerpc", "bound")
        .filter_map(|(fact, _)| entry(flow, fact, Some(true), signatures));
    let asked = flow
        .facts_of("dcerpc", "requested")
        .filter(|(fact, _)| !is_bound(&fact.value) && !is_refused(&fact.value))
        .filter_map(|(fact, _)| entry(flow, fact, None, signatures));
    let mut all: Vec<Rpc> = bound.chain(asked).collect();
    all.sort();
    all.dedup();
    all
}

fn entry(flow: &Flow, fact: &Fact, accepted: Option<bool>, signatures: &Signatures) -> Option<Rpc> {
    let Value::Interface { uuid, major, minor } = &fact.value else {
        return None;
    };
    let known = signatures.interfaces.find(*uuid, *major, *minor);
    if known.is_some_and(|interface| interface.kind == InterfaceKind::TransferSyntax) {
        return None;
    }
    let context = fact.subject;
    let text = |name: &'static str| {
        let mut known = flow.facts_of("dcerpc", name);
        let found = known
            .find(|(other, _)| other.subject == context)
            .or_else(|| flow.facts_of("dcerpc", name).next());
        found.map(|(found, _)| found.value.to_string())
    };
    // Datagrams name several interfaces in one context: then nobody knows whose call it was. A context that was asked for
    // and not accepted may be given to another interface later.
    let is_alone = flow
        .facts_of("dcerpc", fact.attribute.name)
        .all(|(other, _)| other.subject != context || other.value == fact.value);
    let of_context = |name: &'static str| {
        flow.facts_of("dcerpc", name)
            .filter(move |(other, _)| is_alone && other.subject == context)
            .map(|(other, _)| &other.value)
    };
    let numbers = |name: &'static str| of_context(name).filter_map(Value::as_number);
    let operation = |number: u64| RpcOperation {
        number,
        name: u16::try_from(number)
            .ok()
            .and_then(|number| known?.operation(number))
            .map(str::to_owned),
    };
    Some(Rpc {
        uuid: uuid.to_string(),
        version: format!("{major}.{minor}"),
        name: known.map(|interface| interface.name.to_string()),
        auth_type: text("auth_type"),
        auth_level: text("auth_level"),
        accepted,
        operations: numbers("opnum").map(operation).collect(),
        answered: numbers("answered").max(),
        fastest_us: numbers("answered_within").min(),
        slowest_us: numbers("answered_within").max(),
        faults: of_context("fault").map(ToString::to_string).collect(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use uuid::{Uuid, uuid};

    use super::super::Judged;
    use super::*;
    use crate::evidence::{Attribute, Episode, Ledger, Seen, Sorted};
    use crate::flow::{Observation, Tracker};
    use crate::net::{Endpoint, FlowKey, Timestamp, Transport};

    const STORE: Uuid = uuid!("a4f1db00-ca47-1067-b31f-00dd010662da");
    pub(super) const MAPPER: Uuid = uuid!("e1af8308-5d1f-11c9-91a4-08002b14a0fa");
    /// Call 1, first place.
    pub(super) const FIRST: u64 = 1 << 32;

    pub(super) const fn interface(uuid: Uuid, major: u16, minor: u16) -> Value {
        Value::Interface { uuid, major, minor }
    }

    pub(super) fn store() -> Value {
        interface(STORE, 0, 81)
    }

    /// A flow from that client port, of which these facts are known: name, subject, value.
    pub(super) fn episode(port: u16, facts: &[(&'static str, u64, Value)]) -> Episode {
        let client = Endpoint::new("10.0.0.1".parse().unwrap(), port);
        let server = Endpoint::new("10.0.0.2".parse().unwrap(), 6001);
        let (key, side) = FlowKey::of(Transport::TCP, client, server);
        let seen = Seen {
            time: Timestamp::from_nanos(i64::from(port)),
            frame: u64::from(port),
        };
        let fact = |(name, subject, value): &(&'static str, u64, Value)| Fact {
            attribute: Attribute {
                protocol: "dcerpc",
                name,
            },
            subject: *subject,
            value: value.clone(),
            side,
        };
        Episode {
            key,
            tap: "test".into(),
            tracker: Tracker::new(&Observation {
                time: seen.time,
                key,
                side,
                ip_bytes: 40,
                payload_len: 0,
                tcp: None,
                number: seen.frame,
            }),
            last_frame: seen.frame,
            captures: Vec::new(),
            tunnel: Vec::new(),
            protocols: Sorted::new(),
            facts: facts.iter().map(|known| (fact(known), seen)).collect(),
            offers: Sorted::new(),
            streams: BTreeMap::new(),
            payload: Vec::new(),
            reports: BTreeMap::new(),
            client: Some(side),
            gap_bytes: 0,
            disagreements: 0,
            left_out: 0,
        }
    }

    pub(super) fn settle(episodes: Vec<Episode>) -> Vec<Flow> {
        let record = crate::evidence::CaptureRecord::default();
        let ledger = Ledger::new("test".into(), record, episodes, BTreeMap::new());
        let signatures = Signatures::default();
        let topology = crate::topology::Topology::default();
        let judged = Judged::of(ledger, &signatures, &topology);
        judged.all().into_iter().map(|(flow, _)| flow).collect()
    }

    pub(super) fn rpc_of(flow: &Flow) -> Vec<Rpc> {
        rpc(flow, &Signatures::default())
    }

    pub(super) fn text(text: &str) -> Value {
        Value::text(text)
    }

    #[test]
    fn operations_times_and_faults_belong_to_their_interface() {
        let flows = settle(vec![episode(
            1,
            &[
                ("bound", 0, store()),
                ("bound", 1, interface(MAPPER, 3, 0)),
                ("requested", 0, store()),
                ("requested", 1, store()),
                ("opnum", 0, Value::Number(11)),
                ("opnum", 0, Value::Number(99)),
                ("opnum", 1, Value::Number(3)),
                ("answered", 0, Value::Number(1)),
                ("answered", 0, Value::Number(10)),
                ("answered_within", 0, Value::Number(500)),
                ("answered_within", 0, Value::Number(20_000)),
                ("fault", 0, text("0x00000005 access_denied")),
                ("auth_level", 0, text("privacy")),
                ("auth_level", 1, text("none")),
            ],
        )]);
        let found = rpc_of(&flows[0]);
        assert_eq!(found.len(), 2);
        let numbers =
            |rpc: &Rpc| -> Vec<u64> { rpc.operations.iter().map(|known| known.number).collect() };
        assert_eq!(numbers(&found[0]), [11, 99]);
        assert_eq!(found[0].accepted, Some(true));
        assert_eq!(found[0].answered, Some(10));
        assert_eq!(found[0].fastest_us, Some(500));
        assert_eq!(found[0].slowest_us, Some(20_000));
        assert_eq!(found[0].faults, ["0x00000005 access_denied"]);
        assert_eq!(found[0].auth_level.as_deref(), Some("privacy"));
        assert_eq!(numbers(&found[1]), [3]);
        assert_eq!((found[1].answered, found[1].faults.len()), (None, 0));
    }

    #[test]
    fn calls_of_one_context_with_two_interfaces_are_nobodys() {
        let facts = [
            ("bound", 0, store()),
            ("bound", 0, interface(MAPPER, 3, 0)),
            ("opnum", 0, Value::Number(3)),
            ("fault", 0, text("0x00000005 access_denied")),
        ];
        let flows = settle(vec![episode(1, &facts)]);
        let nothing = |rpc: &Rpc| rpc.operations.is_empty() && rpc.faults.is_empty();
        assert!(rpc_of(&flows[0]).iter().all(nothing));
    }

    #[test]
    fn a_bind_without_an_answer_is_asked_for_and_a_refused_one_is_not_listed() {
        let asked = settle(vec![episode(1, &[("requested", 0, store())])]);
        assert_eq!(rpc_of(&asked[0])[0].accepted, None);
        for (name, words) in [
            ("bind_nak", "temporary congestion"),
            (
                "rejected",
                "a4f1db00-ca47-1067-b31f-00dd010662da 0.81: abstract syntax not supported",
            ),
        ] {
            let facts = [("requested", 0, store()), (name, 0, text(words))];
            assert!(rpc_of(&settle(vec![episode(1, &facts)])[0]).is_empty());
        }
    }
}
