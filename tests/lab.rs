//! What the program says about the captures of the lab, where real servers spoke, against the manifests of its driver:
//! every flow, every offer, every call and every cause, nothing more and nothing less.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a manifest that does not fit must fail the test"
)]

use std::collections::btree_map::Entry;
mod manifest_support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use manifest_support::{Compared, common_fields, end, items, set_differences};
use serde_json::{Value, json};

#[test]
fn every_capture_of_the_lab_is_told_as_its_manifest_tells_it() {
    let mut differences = Vec::new();
    for name in manifests() {
        differences.extend(
            compare(&name)
                .into_iter()
                .map(|line| format!("{name}: {line}")),
        );
    }
    assert!(differences.is_empty(), "\n  {}", differences.join("\n  "));
}

#[test]
fn each_cause_with_a_code_is_told_on_the_first_screen_of_an_audit() {
    for name in manifests() {
        let manifest = manifest(&name);
        let table = printed("audit", "table", &manifest);
        let first: Vec<&str> = table.lines().take(SCREEN.1).collect();
        let is_shown = |code: &str| {
            let mut heads = first.iter().map(|line| line.split_whitespace().nth(1));
            heads.any(|word| word == Some(code))
        };
        for cause in items(&manifest["cause"]) {
            let code = cause["code"].as_str();
            assert!(
                code.is_none_or(is_shown),
                "{name}: {}\n{table}",
                cause["words"]
            );
        }
    }
}

#[test]
fn a_blocked_port_says_what_it_was_given_out_for_though_no_document_knows_that_service() {
    let flows = run("classify", &manifest("b3-rpc-blocked"));
    let mut unanswered = flows.iter().filter(|flow| flow["state"] == "attempted");
    assert!(unanswered.clone().count() > 0);
    assert!(unanswered.all(|flow| {
        let told = strings(&flow["because"]);
        told.iter().any(|text| text.contains("ept_map answered"))
    }));
}

#[test]
fn the_captures_of_the_lab_stay_small_and_each_belongs_to_a_manifest() {
    let claimed: BTreeSet<String> = manifests()
        .iter()
        .flat_map(|name| strings(&manifest(name)["captures"]))
        .collect();
    let stored: BTreeSet<String> = files(".zst").into_iter().collect();
    assert_eq!(claimed, stored);
    let bytes: u64 = stored
        .iter()
        .map(|name| captures().join(name).metadata().unwrap().len())
        .sum();
    assert!(bytes < 20 << 20, "{bytes} bytes");
}

fn captures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/lab/captures")
}

/// File names that end so, sorted.
fn files(end: &str) -> Vec<String> {
    let mut names: Vec<String> = captures()
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(end))
        .collect();
    names.sort();
    names
}

fn manifests() -> Vec<String> {
    files(".toml")
        .iter()
        .map(|name| name.trim_end_matches(".toml").to_owned())
        .filter(|name| name != "topology")
        .collect()
}

/// A manifest; one that is `like` another tells the same, but for what it says itself.
fn manifest(name: &str) -> Value {
    let text = std::fs::read_to_string(captures().join(format!("{name}.toml"))).unwrap();
    let mut own: Value = toml::from_str(&text).unwrap();
    if let Some(like) = own["like"].as_str() {
        let plain = manifest(like);
        for list in ["flow", "endpoint", "call", "cause"] {
            own[list] = plain[list].clone();
        }
    }
    own
}

/// The records of one command over the captures of a manifest.
fn run(command: &str, manifest: &Value) -> Vec<Value> {
    printed(command, "jsonl", manifest)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// What one command prints of the captures of a manifest on a terminal of 80 columns.
fn printed(command: &str, format: &str, manifest: &Value) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_exwire"))
        .arg(command)
        .args(strings(&manifest["captures"]))
        .args(["--format", format, "--topology"])
        .arg(manifest["topology"].as_str().unwrap())
        .env("COLUMNS", SCREEN.0.to_string())
        .current_dir(captures())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        matches!(output.status.code(), Some(0 | 1)),
        "{command}: {told}"
    );
    String::from_utf8(output.stdout).unwrap()
}

/// All that differs in one manifest.
fn compare(name: &str) -> Vec<String> {
    let manifest = manifest(name);
    let flows = run("classify", &manifest);
    let findings = run("audit", &manifest);
    let mut differences = flow_differences(&manifest, &flows);
    differences.extend(finding_differences(&manifest, &findings, &flows));
    // A capture that cuts packets off may not show what announces a call.
    if strings(&manifest["differs"]).contains(&"calls".to_owned()) {
        return differences;
    }
    differences.extend(set_differences(
        "endpoint",
        items(&manifest["endpoint"]).map(|it| listed(it, &ENDPOINT)),
        run("endpoints", &manifest)
            .iter()
            .filter(|record| matches!(record["kind"].as_str(), Some("rpc" | "media" | "relay")))
            .map(|record| listed(&flat(record), &ENDPOINT)),
    ));
    // Registrations are dialogues, but no calls.
    let mut calls = run("calls", &manifest);
    calls.retain(|call| !strings(&call["methods"]).contains(&"REGISTER".to_owned()));
    differences.extend(call_differences(&manifest, &calls));
    differences
}

fn strings(list: &Value) -> Vec<String> {
    items(list)
        .map(|it| it.as_str().unwrap().to_owned())
        .collect()
}

fn key(flow: &Value) -> String {
    let transport = flow["transport"].as_str().unwrap();
    format!(
        "{transport} {} to {}",
        end(&flow["client"]),
        end(&flow["server"])
    )
}

/// Errors of ICMP and neighbour discovery are no flows of the manifests.
fn is_icmp(flow: &Value) -> bool {
    flow["transport"].as_str().unwrap().starts_with("icmp")
}

fn flow_differences(manifest: &Value, flows: &[Value]) -> Vec<String> {
    let mut left: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    // Around a packet without ports (ICMP), the datagrams of the tunnel are told as a flow of their own.
    let is_carrier = |flow: &Value| manifest["carrier"] == json!(end(&flow["server"]));
    let told = flows
        .iter()
        .filter(|flow| !is_icmp(flow) && !is_carrier(flow));
    for flow in told {
        left.entry(key(flow)).or_default().push(flow);
    }
    // What another kind of capture cannot show as the plain one does.
    let differs = strings(&manifest["differs"]);
    let mut differences = Vec::new();
    for expected in items(&manifest["flow"]) {
        let [transport, client, server, note] = ["transport", "client", "server", "note"]
            .map(|field| expected[field].as_str().unwrap().to_owned());
        let key = format!("{transport} {client} to {server}");
        let mut take = |key: &str| {
            let flows = left.get_mut(key).filter(|flows| !flows.is_empty())?;
            Some(flows.remove(0))
        };
        let turned_key = format!("{transport} {server} to {client}");
        let mut expected = expected.clone();
        let flow = match take(&key) {
            Some(flow) => flow,
            // Which end of a pair speaks first is chance, and neither is the server.
            None if is_pair(&expected)
                && let Some(flow) = take(&turned_key) =>
            {
                expected = turned(expected);
                flow
            }
            None => {
                differences.push(format!("{key} ({note}): not reported"));
                continue;
            }
        };
        for (field, expected, seen) in fields(&expected, flow, &manifest["tunnel"]) {
            if expected != seen && !differs.iter().any(|differ| differ == field) {
                differences.push(format!(
                    "{key} ({note}): {field} {expected} expected, {seen} seen"
                ));
            }
        }
    }
    let more = left.into_iter().filter(|(_, flows)| !flows.is_empty());
    differences.extend(more.map(|(key, _)| format!("{key}: reported, but not in the manifest")));
    differences
}

/// Both ends do the same.
fn is_pair(flow: &Value) -> bool {
    flow["service"] == "media" || flow["service"] == "cluster_heartbeat"
}

/// The flow as seen from its other end.
fn turned(mut flow: Value) -> Value {
    for field in ["packets", "bytes"] {
        if let Some(pair) = flow[field].as_array_mut() {
            pair.reverse();
        }
    }
    flow
}

/// Each field of a flow that manifests state, as expected and as seen.
fn fields(expected: &Value, seen: &Value, tunnel: &Value) -> Vec<Compared> {
    let same = [
        "state",
        "packets",
        "bytes",
        "service",
        "protocols",
        "verdict",
        "authentication",
    ];
    let mut fields = common_fields(&same, expected, seen, tunnel);
    let [told, seen_codes] = [expected, seen].map(|flow| {
        let codes: BTreeSet<String> = strings(&flow["findings"]).into_iter().collect();
        json!(codes)
    });
    fields.push(("findings", told, seen_codes));
    let rpc: BTreeSet<String> = items(&seen["rpc"]).map(|it| listed(it, &RPC)).collect();
    let bound: BTreeSet<String> = items(&expected["rpc"]).map(|it| listed(it, &RPC)).collect();
    fields.push(("rpc", json!(bound), json!(rpc)));
    fields
}

/// Columns and lines of a terminal.
const SCREEN: (usize, usize) = (80, 24);

/// What identifies a bound interface.
const RPC: [&str; 4] = ["uuid", "version", "auth_type", "auth_level"];

/// What identifies an offer.
const ENDPOINT: [&str; 6] = ["kind", "endpoint", "uuid", "version", "call_id", "profile"];

/// These fields of a record, as one line.
fn listed(record: &Value, fields: &[&str]) -> String {
    let told = fields.iter().map(|field| match &record[*field] {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    told.collect::<Vec<_>>().join(" ")
}

/// An endpoint as manifests list it.
fn flat(record: &Value) -> Value {
    let mut flat = record.clone();
    flat["endpoint"] = json!(end(record));
    flat
}

/// What audit says of the capture as a whole: how much of it could not be judged. It names no flow.
const SUMMARY: &str = "EXW990";

/// Every finding must name exactly the flows that are said to show it, and every cause with a code be told about its flows.
fn finding_differences(manifest: &Value, findings: &[Value], flows: &[Value]) -> Vec<String> {
    let keys: BTreeMap<u64, String> = flows
        .iter()
        .map(|flow| (flow["flow"].as_u64().unwrap(), key(flow)))
        .collect();
    let mut told = BTreeSet::new();
    for finding in findings {
        let code = finding["code"].as_str().unwrap();
        let mut named = items(&finding["flows"]).peekable();
        if named.peek().is_none() && code != SUMMARY {
            told.insert(format!("{code} of no flow"));
        }
        told.extend(named.map(|number| about(code, &keys[&number.as_u64().unwrap()])));
    }
    let mut differences = Vec::new();
    if !strings(&manifest["differs"]).contains(&"findings".to_owned()) {
        let expected = items(&manifest["flow"]).flat_map(|flow| {
            let [transport, client, server] =
                ["transport", "client", "server"].map(|field| flow[field].as_str().unwrap());
            let key = format!("{transport} {client} to {server}");
            let codes = strings(&flow["findings"]);
            codes.into_iter().map(move |code| about(&code, &key))
        });
        differences.extend(set_differences("finding", expected, told.iter().cloned()));
    }
    for cause in items(&manifest["cause"]) {
        let Some(code) = cause["code"].as_str() else {
            continue;
        };
        let flows = strings(&cause["flows"]);
        let is_told = if flows.is_empty() {
            told.iter().any(|line| line.starts_with(code))
        } else {
            flows.iter().all(|key| told.contains(&about(code, key)))
        };
        if !is_told {
            differences.push(format!("{code} is not told: {} {flows:?}", cause["words"]));
        }
    }
    differences
}

/// A finding about one flow, as one line. Pairs have no server: either end may stand first.
fn about(code: &str, key: &str) -> String {
    let (transport, ends) = key.split_once(' ').unwrap();
    let mut ends: Vec<&str> = ends.split(" to ").collect();
    ends.sort_unstable();
    format!("{code} of {transport} {}", ends.join(" and "))
}

/// Calls by their call id, and each stream by its ends and its SSRC, with what tshark counts.
fn call_differences(manifest: &Value, seen: &[Value]) -> Vec<String> {
    let by_id = |calls: &[&Value]| -> BTreeMap<String, Value> {
        let mut found: BTreeMap<String, Value> = BTreeMap::new();
        for call in calls {
            let id = call["call_id"].as_str().unwrap_or("unannounced").to_owned();
            match found.entry(id) {
                Entry::Vacant(place) => {
                    place.insert((*call).clone());
                }
                // Manifests list all media that nobody announced together.
                Entry::Occupied(mut place) => {
                    let streams = items(&call["streams"]).cloned();
                    let known = place.get_mut()["streams"].as_array_mut().unwrap();
                    known.extend(streams);
                }
            }
        }
        found
    };
    let expected = by_id(&items(&manifest["call"]).collect::<Vec<_>>());
    let seen = by_id(&seen.iter().collect::<Vec<_>>());
    let mut differences = set_differences("call", expected.keys().cloned(), seen.keys().cloned());
    for (id, expected) in &expected {
        let Some(seen) = seen.get(id) else { continue };
        if expected["result"] != seen["result"] {
            differences.push(format!(
                "call {id}: result {} expected, {} seen",
                expected["result"], seen["result"]
            ));
        }
        differences.extend(set_differences(
            &format!("call {id}: stream"),
            items(&expected["streams"]).map(|it| listed(it, &STREAM)),
            items(&seen["streams"]).map(|it| {
                let mut stream = it.clone();
                stream["from"] = json!(end(&it["from"]));
                stream["to"] = json!(end(&it["to"]));
                listed(&stream, &STREAM)
            }),
        ));
        // Copies of packets come at other times than the packets.
        if strings(&manifest["differs"]).contains(&"jitter".to_owned()) {
            continue;
        }
        for stream in items(&expected["streams"]) {
            differences.extend(jitter_difference(id, stream, seen));
        }
    }
    differences
}

/// What must be as tshark counts it.
const STREAM: [&str; 6] = ["from", "to", "ssrc", "codec", "packets", "lost"];

/// How far a jitter may be from tshark's, which prints microseconds.
const JITTER_TOLERANCE_MS: f64 = 0.002;

/// Mean and highest jitter of one stream, as tshark has them and as seen.
fn jitter_difference(id: &str, expected: &Value, call: &Value) -> Option<String> {
    // A relay sends the same stream on.
    let seen = items(&call["streams"]).find(|stream| {
        stream["ssrc"] == expected["ssrc"]
            && json!(end(&stream["from"])) == expected["from"]
            && json!(end(&stream["to"])) == expected["to"]
    })?;
    let differs = ["mean_jitter_ms", "max_jitter_ms"]
        .into_iter()
        .find(|field| {
            let [told, seen] = [expected, seen].map(|stream| stream[*field].as_f64());
            !told
                .zip(seen)
                .is_some_and(|(told, seen)| (told - seen).abs() <= JITTER_TOLERANCE_MS)
        })?;
    Some(format!(
        "call {id}: {differs} of {} {} expected, {} seen",
        expected["ssrc"], expected[differs], seen[differs]
    ))
}
