//! What the program says about each sample, against the manifest of its generator: every flow and every announced
//! endpoint, nothing more and nothing less.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a manifest that does not fit must fail the test"
)]

mod manifest_support;
mod signature_support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use exwire::attribution::Judged;
use exwire::audit::audit;
use exwire::capture::{Grouping, Input, plan};
use exwire::report::{EndpointRecord, FlowRecord};
use exwire::scan::{self, Options};
use exwire::topology::Topology;
use manifest_support::{Compared, common_fields, end, items, set_differences};
use serde_json::{Value, json};
use signature_support::signatures;

#[test]
fn the_healthy_site_is_told_as_its_manifest_tells_it() {
    compare("exchange2010-site");
}

#[test]
fn the_mirrored_site_is_told_as_its_manifest_tells_it() {
    compare("mirror-erspan-vlan");
}

#[test]
fn the_unhealthy_perimeter_is_told_as_its_manifest_tells_it() {
    compare("perimeter-unhealthy");
}

#[test]
fn the_rotated_captures_are_told_as_their_manifest_tells_them() {
    compare("rotated");
}

#[test]
fn the_calls_are_told_as_their_manifest_tells_them() {
    compare("um-lync-calls");
}

#[test]
fn every_manifest_has_a_test_here() {
    let here = include_str!("samples.rs");
    for entry in samples().join("expected").read_dir().unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy();
        assert!(here.contains(&format!("compare(\"{name}\")")), "{name}");
    }
}

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples")
}

/// Compares one sample; all that differs is told at once.
fn compare(name: &str) {
    let manifest = manifest(name);
    let seen = Seen::of(&manifest);
    let mut differences = Vec::new();
    if manifest["packets"] != json!(seen.packets) {
        differences.push(format!(
            "packets: {} expected, {} read",
            manifest["packets"], seen.packets
        ));
    }
    differences.extend(flow_differences(&manifest, &seen.flows));
    differences.extend(endpoint_differences(&manifest, &seen.endpoints));
    assert!(
        differences.is_empty(),
        "{name}:\n  {}",
        differences.join("\n  ")
    );
}

fn manifest(name: &str) -> Value {
    let path = samples().join("expected").join(format!("{name}.toml"));
    let text = std::fs::read_to_string(&path).unwrap();
    toml::from_str(&text).unwrap()
}

/// What the program says about the captures of a manifest.
struct Seen {
    packets: u64,
    flows: Vec<Value>,
    endpoints: Vec<Value>,
}

impl Seen {
    fn of(manifest: &Value) -> Self {
        let signatures = signatures();
        let topology = manifest["topology"].as_str().unwrap();
        let topology = Topology::read(&samples().join(topology)).unwrap();
        let inputs: Vec<Input> = items(&manifest["captures"])
            .map(|path| Input::Path(samples().join(path.as_str().unwrap())))
            .collect();
        let plan = plan(&inputs, Grouping::Auto).unwrap();
        let options = Options {
            threads: 2,
            filter: None,
            memory_limit: None,
        };
        let scanned = scan::scan(&plan.chains, &options, &()).unwrap();
        assert!(scanned.failures.is_empty(), "{:?}", scanned.failures);
        let judged = Judged::of(scanned.ledger, &signatures, &topology);
        let findings = audit(&judged, &signatures, &topology);
        let all = judged.all();
        let flows = all.iter().map(|(flow, attribution)| {
            let codes: BTreeSet<&'static str> = findings
                .iter()
                .filter(|finding| finding.flows.contains(flow.number))
                .map(|finding| finding.code)
                .collect();
            let codes: Vec<&'static str> = codes.into_iter().collect();
            serde_json::to_value(FlowRecord::new(flow, attribution, &codes)).unwrap()
        });
        let endpoints = EndpointRecord::all(&judged, &signatures);
        Self {
            packets: scanned.packets,
            flows: flows.collect(),
            endpoints: endpoints
                .iter()
                .map(|record| serde_json::to_value(record).unwrap())
                .collect(),
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn flow_differences(manifest: &Value, seen: &[Value]) -> Vec<String> {
    let mut left: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for flow in seen {
        let ends = (end(&flow["client"]), end(&flow["server"]));
        let key = format!("{} {} to {}", text(&flow["transport"]), ends.0, ends.1);
        left.entry(key).or_default().push(flow);
    }
    let mut differences = Vec::new();
    for expected in items(&manifest["flow"]) {
        let [transport, client, server, note] =
            ["transport", "client", "server", "note"].map(|field| text(&expected[field]));
        let key = format!("{transport} {client} to {server}");
        let found = left.get_mut(&key).filter(|flows| !flows.is_empty());
        let Some(flow) = found.map(|flows| flows.remove(0)) else {
            differences.push(format!("{key} ({note}): not reported"));
            continue;
        };
        for (field, expected, seen) in fields(expected, flow) {
            if expected != seen {
                differences.push(format!(
                    "{key} ({note}): {field} {expected} expected, {seen} seen"
                ));
            }
        }
    }
    // Errors of ICMP are told with the flow that they are about; manifests leave their own flows out.
    let more = left
        .into_iter()
        .filter(|(key, flows)| !flows.is_empty() && !key.starts_with("icmp"));
    differences.extend(more.map(|(key, _)| format!("{key}: reported, but not in the manifest")));
    differences
}

/// Each field of a flow that manifests state, as expected and as seen.
fn fields(expected: &Value, seen: &Value) -> Vec<Compared> {
    let same = [
        "state",
        "verdict",
        "packets",
        "bytes",
        "service",
        "protocols",
        "findings",
    ];
    common_fields(&same, expected, seen, &expected["tunnel"])
}

/// Towers and media lines: a set on both sides, since one may be announced more than once.
fn endpoint_differences(manifest: &Value, seen: &[Value]) -> Vec<String> {
    let expected = items(&manifest["endpoint"]).map(|endpoint| {
        let subject = [&endpoint["interface"], &endpoint["call_id"]].map(text);
        let [kind, place, name, service] =
            ["kind", "endpoint", "name", "service"].map(|field| text(&endpoint[field]));
        format!("{kind} {place} {} {name} {service}", subject.concat())
    });
    let seen = seen.iter().filter_map(|endpoint| {
        let place = end(endpoint);
        let said = |field: &str| text(&endpoint[field]);
        match said("kind").as_str() {
            "rpc" => Some(format!(
                "rpc {place} {} v{} {} {}",
                said("uuid"),
                said("version"),
                said("name"),
                said("service")
            )),
            // A media line serves media, whatever it is part of.
            "media" => Some(format!(
                "media {place} {} {} media",
                said("call_id"),
                said("profile")
            )),
            _ => None,
        }
    });
    set_differences("endpoint", expected, seen)
}
