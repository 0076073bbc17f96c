//! What the payload proved, in a sentence for each protocol: its first packet, and what it says of itself. For flows whose
//! protocols name no service, where these sentences are all that a person has; never evidence for a service.

use super::Flows;
use super::flow::{Flow, Sight};
use crate::evidence::Fact;

/// What a person wants to know first of a protocol, the more telling first: who speaks, then in what version, then what about.
const TELLING: &[&str] = &[
    "software",
    "banner",
    "program",
    "client_product",
    "server_product",
    "server",
    "user_agent",
    "system",
    "vendor_class",
    "server_name",
    "certificate_subject",
    "selected_protocol",
    "offered_protocol",
    "server_version",
    "version",
    "application",
    "method",
    "command",
    "request",
    "query",
    "operation",
    "message",
    "exchange",
    "pdu",
    "kind",
    "host",
    "name",
    "domain",
    "target",
    "reply",
];
/// Characters of a value that are shown: a banner may be long.
const MAX_VALUE: usize = 80;

/// One sentence for each proven protocol, in the order of layers.
pub(super) fn sentences(flow: &Flow, flows: &Flows) -> Vec<String> {
    let sentence = |name: &'static str| {
        let (layer, tap) = flow.protocols.get(name)?;
        let sight = Sight {
            seen: layer.seen,
            tap: *tap,
        };
        let within = if flow.is_inside(name, "stun") {
            ", inside stun"
        } else {
            ""
        };
        let said = said(flow, name).map_or_else(String::new, |said| format!(": {said}"));
        Some(format!("{}: {name}{within}{said}", flows.frame(sight)))
    };
    flow.layers().into_iter().filter_map(sentence).collect()
}

/// The most telling fact of a protocol: "software OpenSSH_9.6".
fn said(flow: &Flow, protocol: &'static str) -> Option<String> {
    let own = || {
        let facts = flow.facts.keys();
        facts.filter(|fact| fact.attribute.protocol == protocol)
    };
    let rank = |fact: &&Fact| TELLING.iter().position(|name| *name == fact.attribute.name);
    let told = own().filter_map(|fact| Some((rank(&fact)?, fact)));
    // Of several facts of one attribute the first.
    let most_telling = told.min_by_key(|(rank, _)| *rank).map(|(_, fact)| fact);
    let fact = most_telling.or_else(|| own().find(|fact| fact.value.as_text().is_some()))?;
    let value = fact.value.to_string();
    let shown: String = value.chars().take(MAX_VALUE).collect();
    let more = if shown.len() < value.len() { "..." } else { "" };
    Some(format!("{} `{shown}{more}`", fact.attribute.name))
}
