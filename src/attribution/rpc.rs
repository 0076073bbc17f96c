//! What a flow shows of RPC: interfaces with the operations that were called of them, and how soon the server answered; and
//! the channels of RPC over HTTP, which show it in halves.

use std::collections::BTreeMap;

use serde::Serialize;

use super::flow::{Flow, Sight};
use crate::evidence::{Attribute, Fact, Value};
use crate::signature::{InterfaceKind, Signatures};

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
    /// The fastest answer came within so many microseconds (a step of 1, 2, 5, 10 ...).
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
        let mut of_context = flow.facts_of("dcerpc", name);
        let found = of_context
            .find(|(other, _)| other.subject == context)
            .or_else(|| flow.facts_of("dcerpc", name).next());
        found.map(|(found, _)| found.value.to_string())
    };
    // These are said of the interface itself; their subject is a number.
    let numbers = |name: &'static str| {
        flow.facts_of("dcerpc", name)
            .filter(|(other, _)| other.value == fact.value)
            .map(|(other, _)| other.subject)
    };
    let operation = |number: u64| RpcOperation {
        number,
        name: u16::try_from(number)
            .ok()
            .and_then(|number| known?.operation(number))
            .map(str::to_owned),
    };
    // Pipes and datagrams have several interfaces in one context: then nobody knows whose fault it was.
    let is_alone = flow
        .facts_of("dcerpc", "bound")
        .all(|(other, _)| other.subject != context || other.value == fact.value);
    let faults = flow
        .facts_of("dcerpc", "fault")
        .filter(|(fault, _)| is_alone && fault.subject == context)
        .map(|(fault, _)| fault.value.to_string());
    let mut operations: Vec<RpcOperation> = numbers("operation").map(operation).collect();
    operations.sort();
    operations.dedup();
    Some(Rpc {
        uuid: uuid.to_string(),
        version: format!("{major}.{minor}"),
        name: known.map(|interface| interface.name.to_string()),
        auth_type: text("auth_type"),
        auth_level: text("auth_level"),
        accepted,
        operations,
        answered: numbers("answered").max(),
        fastest_us: numbers("answered_within").min(),
        slowest_us: numbers("answered_within").max(),
        faults: faults.collect(),
    })
}

/// Bits of a subject of `proposed` and `accepted` that name the presentation context.
const CONTEXT: u64 = 0xffff;

/// Binds in one channel of a virtual connection, and their answers in another: both flows bound what was accepted.
pub(super) fn join_channels(flows: &mut [Flow]) {
    let mut connections: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (place, flow) in flows.iter().enumerate() {
        for cookie in flow.texts("dcerpc", "virtual_connection") {
            connections
                .entry(cookie.to_owned())
                .or_default()
                .push(place);
        }
    }
    for places in connections.values() {
        let mut proposed: BTreeMap<u64, Value> = BTreeMap::new();
        let mut accepted: BTreeMap<u64, Sight> = BTreeMap::new();
        for flow in places.iter().filter_map(|&place| flows.get(place)) {
            for (fact, _) in flow.facts_of("dcerpc", "proposed") {
                proposed.insert(fact.subject, fact.value.clone());
            }
            for (fact, sight) in flow.facts_of("dcerpc", "accepted") {
                let first = accepted.entry(fact.subject).or_insert(sight);
                *first = sight.min(*first);
            }
        }
        for (subject, interface) in proposed {
            let Some(sight) = accepted.get(&(subject & !CONTEXT)) else {
                continue;
            };
            for &place in places {
                let Some(flow) = flows.get_mut(place) else {
                    continue;
                };
                let fact = Fact {
                    attribute: Attribute {
                        protocol: "dcerpc",
                        name: "bound",
                    },
                    subject: subject & CONTEXT,
                    value: interface.clone(),
                    side: flow.client.other(),
                };
                let first = flow.facts.entry(fact).or_insert(*sight);
                *first = (*sight).min(*first);
            }
        }
    }
}
