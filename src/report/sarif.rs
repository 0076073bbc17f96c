//! Findings as SARIF 2.1.0 (OASIS), for the tools that collect findings of many programs.
//!
//! Rules are the codes with their help; a result has the finding's fingerprint, the capture as its physical location, and the ends
//! of its flows as logical ones. Waived findings are there, as suppressed with their reason. The structures hold what is
//! written and no more: of the schema most is about source code.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use crate::attribution::{Judged, Listener};
use crate::audit::{CODES, Finding, Review, Severity};

/// Flows of one finding that become locations: a person looks at a few, and a flood has millions.
const MAX_LOCATIONS: usize = 8;

/// A log of one run.
#[derive(Clone, Debug, Serialize)]
pub struct Sarif {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Value; 1],
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifResult<'a> {
    rule_id: &'static str,
    rule_index: usize,
    level: &'static str,
    message: Message<'a>,
    locations: Vec<Value>,
    /// The version of the way it is made is part of the name.
    partial_fingerprints: BTreeMap<&'static str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    baseline_state: Option<&'static str>,
    suppressions: Vec<Suppression<'a>>,
    properties: Value,
}

#[derive(Clone, Debug, Serialize)]
struct Message<'a> {
    text: &'a str,
}

#[derive(Clone, Debug, Serialize)]
struct Suppression<'a> {
    kind: &'static str,
    status: &'static str,
    justification: &'a str,
}

/// Where a flow is.
struct Place {
    captures: Vec<Arc<str>>,
    ends: [String; 2],
    transport: String,
}

impl Sarif {
    /// The log of a review; against a baseline everything that is left is new.
    pub fn new(judged: &Judged<'_>, review: &Review, is_against_baseline: bool) -> Self {
        let waived = review.waived.iter().map(|(finding, _)| finding);
        let mut places: BTreeMap<u64, Place> = BTreeMap::new();
        let wanted: std::collections::BTreeSet<u64> = review
            .findings
            .iter()
            .chain(waived)
            .flat_map(|finding| finding.flows.iter().take(MAX_LOCATIONS))
            .collect();
        judged.for_each(|flow, attribution| {
            if wanted.contains(&flow.number) {
                let ends = &attribution.ends;
                let place = Place {
                    captures: flow.captures.clone(),
                    ends: [&ends.client, &ends.server].map(|end| Listener(end).to_string()),
                    transport: flow.key.transport.to_string(),
                };
                places.insert(flow.number, place);
            }
        });
        let result = |finding, reason| result(finding, &places, reason, is_against_baseline);
        let shown = review.findings.iter().map(|finding| result(finding, None));
        let waivers = judged.topology().waivers();
        let waived = review.waived.iter().map(|(finding, waiver)| {
            let waiver = waivers.get(*waiver);
            result(finding, waiver.map(|waiver| &*waiver.reason))
        });
        let results: Vec<Value> = shown.chain(waived).map(|result| json!(result)).collect();
        let captures: Vec<Value> = judged
            .ledger()
            .captures()
            .values()
            .flat_map(|record| &record.files)
            .map(|file| json!({"location": {"uri": uri(file)}}))
            .collect();
        let run = json!({
            "tool": {"driver": {
                "name": env!("CARGO_PKG_NAME"),
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules(),
            }},
            "artifacts": captures,
            "columnKind": "unicodeCodePoints",
            "results": results,
        });
        Self {
            schema: "https://json.schemastore.org/sarif-2.1.0.json",
            version: "2.1.0",
            runs: [run],
        }
    }

    /// Writes the log.
    ///
    /// # Errors
    /// What the output says.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, self)?;
        out.write_all(b"\n")
    }
}

fn rules() -> Vec<Value> {
    let rule = |code: &&crate::audit::Code| {
        json!({
            "id": code.code,
            "name": code.name,
            "shortDescription": {"text": code.name.replace('-', " ")},
            "fullDescription": {"text": code.meaning},
            "help": {"text": format!("{} What to do: {}", code.meaning, code.advice)},
        })
    };
    CODES.iter().map(rule).collect()
}

fn result<'a>(
    finding: &'a Finding,
    places: &BTreeMap<u64, Place>,
    waived: Option<&'a str>,
    is_against_baseline: bool,
) -> SarifResult<'a> {
    let index = CODES.iter().position(|code| code.code == finding.code);
    let flows = finding.flows.iter().take(MAX_LOCATIONS);
    let locations = flows.filter_map(|number| Some(location(number, places.get(&number)?)));
    SarifResult {
        rule_id: finding.code,
        rule_index: index.unwrap_or_default(),
        level: match finding.severity {
            Severity::Info => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        },
        message: Message {
            text: &finding.message,
        },
        locations: locations.collect(),
        partial_fingerprints: BTreeMap::from([("exwire/v1", &*finding.fingerprint)]),
        baseline_state: is_against_baseline.then_some("new"),
        suppressions: waived
            .map(|justification| Suppression {
                kind: "external",
                status: "accepted",
                justification,
            })
            .into_iter()
            .collect(),
        properties: json!({
            "row": finding.row,
            "evidence": finding.evidence,
            "documents": finding.documents,
            "displayFilter": finding.display_filter,
            "flows": finding.flows.len(),
        }),
    }
}

fn location(number: u64, place: &Place) -> Value {
    let [client, server] = &place.ends;
    let transport = &place.transport;
    let mut location = json!({
        "logicalLocations": [
            {"name": client, "fullyQualifiedName": format!("{transport} client {client}"), "kind": "resource"},
            {"name": server, "fullyQualifiedName": format!("{transport} server {server}"), "kind": "resource"},
        ],
        "message": {"text": format!("flow {number}: {transport} from {client} to {server}")},
    });
    if let (Some(capture), Some(fields)) = (place.captures.first(), location.as_object_mut()) {
        let artifact = json!({"artifactLocation": {"uri": uri(capture)}});
        fields.insert("physicalLocation".to_owned(), artifact);
    }
    location
}

/// A path as a URI reference (RFC 3986): what is not allowed in one is escaped.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => {
                uri.push(char::from(byte));
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_escaped_as_references() {
        assert_eq!(uri("day 1/a#b.pcap"), "day%201/a%23b.pcap");
        assert_eq!(uri("c:x.pcap"), "c%3Ax.pcap", "no scheme");
    }
}
