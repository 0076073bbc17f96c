//! What an audit shows of what it finds: selected codes, waivers, baselines, moved ports.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod cli_support;

use std::collections::BTreeSet;
use std::fs;

use cli_support::{Run, folder_with, sample};
use serde_json::Value;

/// An audit of the unhealthy perimeter with its topology.
fn audit(more: &[&str]) -> Run {
    let (capture, topology) = (
        sample("perimeter-unhealthy.pcap"),
        sample("perimeter-unhealthy.topology.toml"),
    );
    let mut arguments = vec!["audit", &capture, "--topology", &topology];
    arguments.extend(more);
    Run::of(&arguments)
}

fn codes(run: &Run) -> Vec<String> {
    let code = |record: &Value| record["code"].as_str().unwrap().to_owned();
    run.records().iter().map(code).collect()
}

#[test]
fn only_what_is_asked_for_is_shown_and_decides_the_status() {
    let all = codes(&audit(&[]));
    let only = audit(&["--only", "EXW108,exw302", "--fail-on", "error"]);
    assert_eq!(
        codes(&only).into_iter().collect::<BTreeSet<_>>(),
        BTreeSet::from(["EXW108".to_owned()])
    );
    assert_eq!(only.status, 1);
    let ignored = codes(&audit(&["--ignore", "EXW101", "--ignore", "EXW102"]));
    let rest: Vec<String> = all
        .into_iter()
        .filter(|code| !matches!(code.as_str(), "EXW101" | "EXW102"))
        .collect();
    assert_eq!(ignored, rest);
    let none = audit(&["--only", "EXW302"]);
    assert_eq!((none.status, none.out.as_str()), (0, ""));
    none.assert_says(&["no findings among those asked for"]);
}

#[test]
fn unknown_codes_products_and_files_are_said_before_the_first_packet() {
    audit(&["--only", "EXW99"])
        .assert_fails(2, &["unknown code `EXW99`, the nearest known one is"]);
    audit(&["--ignore", "clear-text"]).assert_fails(2, &["unknown code `CLEAR-TEXT`"]);
    audit(&["--product", "exchange2012"]).assert_fails(2, &["exchange2010"]);
    audit(&["--baseline", "no-such.json"]).assert_fails(2, &["no-such.json: "]);
    audit(&["--waivers", "no-such.toml"]).assert_fails(2, &["no-such.toml: "]);
}

#[test]
fn against_its_own_output_nothing_is_new() {
    let all = audit(&[]);
    for text in [all.out.clone(), audit(&["--format", "json"]).out] {
        let (_folder, baseline) = folder_with("before", text.as_bytes());
        let again = audit(&["--baseline", &baseline]);
        assert_eq!((again.status, again.out.as_str()), (0, ""), "{}", again.err);
        again.assert_says(&[&format!(
            "not shown: {}; in the baseline, and not found now: 0",
            all.records().len()
        )]);
    }
    let mut records = all.records();
    let new = records.remove(3);
    let lines: Vec<String> = records.iter().map(Value::to_string).collect();
    let (_folder, baseline) = folder_with("before.jsonl", lines.join("\n").as_bytes());
    let run = audit(&["--baseline", &baseline]);
    assert_eq!(run.records(), [new]);
}

#[test]
fn a_fingerprint_is_one_findings_own_and_needs_no_names() {
    let prints = |run: &Run| -> Vec<String> {
        let of = |record: &Value| record["fingerprint"].as_str().unwrap().to_owned();
        run.records().iter().map(of).collect()
    };
    let named = audit(&[]);
    let all = prints(&named);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    // The same topology without names: the same findings.
    let topology = fs::read_to_string(sample("perimeter-unhealthy.topology.toml")).unwrap();
    let unnamed: String = topology
        .lines()
        .filter(|line| !line.starts_with("name ="))
        .map(|line| format!("{line}\n"))
        .collect();
    let (_folder, path) = folder_with("topology.toml", unnamed.as_bytes());
    let capture = sample("perimeter-unhealthy.pcap");
    let run = Run::of(&["audit", &capture, "--topology", &path]);
    let sorted = |mut prints: Vec<String>| {
        prints.sort();
        prints
    };
    assert_eq!(sorted(prints(&run)), sorted(all));
}

/// Records in an order that does not depend on what else is shown.
fn by_print(mut records: Vec<Value>) -> Vec<Value> {
    records.sort_by_key(|record| record["fingerprint"].to_string());
    records
}

#[test]
fn a_waiver_silences_its_finding_until_it_expires_by_packet_time() {
    let waiver = |expires: &str| {
        format!(
            "[[allow]]\nreason = \"change 4711\"\nexpires = {expires}\nservers = [\"edge1.example.com\"]\nports = [3389]\n"
        )
    };
    let is_rdp = |record: &Value| record["message"].as_str().unwrap().starts_with("rdp from");
    let all = audit(&[]).records();
    assert_eq!(all.iter().filter(|record| is_rdp(record)).count(), 1);
    // The sample is of 2 May 2024.
    let (_folder, path) = folder_with("waivers.toml", waiver("2024-05-02").as_bytes());
    let run = audit(&["--waivers", &path]);
    let rest: Vec<Value> = all
        .iter()
        .filter(|record| !is_rdp(record))
        .cloned()
        .collect();
    let codes = |records: &[Value]| -> Vec<Value> {
        records
            .iter()
            .map(|record| record["code"].clone())
            .collect()
    };
    let told = run.records();
    // The next of its code takes its place.
    assert_eq!(codes(&told)[..2], codes(&all)[..2]);
    assert_eq!(by_print(told), by_print(rest));
    run.assert_says(&["allowed, and not shown: 1"]);
    let (_folder, path) = folder_with("waivers.toml", waiver("2023-01-31").as_bytes());
    let run = audit(&["--waivers", &path, "--quiet"]);
    assert_eq!(run.records(), all);
    run.assert_says(&[&format!(
        "warning: {path}:1: what is allowed here expired at 2023-01-31T23:59:59.999999999Z: change 4711"
    )]);
}

#[test]
fn a_waiver_for_one_client_leaves_the_others() {
    let text = "[[allow]]\nreason = \"scanner\"\nexpires = 2030-01-01\nclients = [\"203.0.113.80\"]\ncodes = [\"EXW102\"]\n";
    let (_folder, path) = folder_with("waivers.toml", text.as_bytes());
    let clients = |run: &Run| {
        run.records()
            .iter()
            .filter(|record| record["code"] == "EXW102")
            .filter(|record| record["message"].as_str().unwrap().contains("203.0.113.80"))
            .count()
    };
    assert!(clients(&audit(&[])) > 0);
    assert_eq!(clients(&audit(&["--waivers", &path])), 0);
}

#[test]
fn words_of_waivers_and_moved_ports_are_checked_with_their_lines() {
    let cases = [
        (
            "[[allow]]\nreason = \"r\"\nexpires = 2030-01-01\ncodes = [\"EXW9\"]\n",
            "waivers.toml:1: unknown code `EXW9`",
        ),
        (
            "[[allow]]\nreason = \"r\"\nexpires = 2030-01-01\nservices = [\"smttp\"]\n",
            "unknown service `smttp`, the nearest known one is `smtp`",
        ),
        (
            "[[allow]]\nreason = \"r\"\nexpires = 2030-01-01\nrows = [\"blog.exchange.smpt\"]\n",
            "unknown row `blog.exchange.smpt`, the nearest",
        ),
        ("[[host]]\n", "waivers.toml:1: unknown field `host`"),
    ];
    for (text, said) in cases {
        let (_folder, path) = folder_with("waivers.toml", text.as_bytes());
        audit(&["--waivers", &path]).assert_fails(2, &[said]);
    }
    let capture = sample("perimeter-unhealthy.pcap");
    let cases = [
        (
            "[[host]]\naddresses = [\"10.0.0.1\"]\nports = { smpt = 2525 }\n",
            "topology.toml:3: unknown service `smpt`",
        ),
        (
            "[[host]]\naddresses = [\"10.0.0.1\"]\nports = { smtp = 0 }\n",
            "topology.toml:3: expected a port from 1 to 65535",
        ),
        (
            "[[host]]\naddresses = [\"10.0.0.1\"]\nsite = \"hq\"\n",
            "topology.toml:3: unknown site `hq`",
        ),
    ];
    for (text, said) in cases {
        let (_folder, path) = folder_with("topology.toml", text.as_bytes());
        Run::of(&["classify", &capture, "--topology", &path]).assert_fails(2, &[said]);
    }
}

#[test]
fn a_port_that_a_service_was_moved_to_on_one_host_is_documented_there() {
    let capture = sample("perimeter-unhealthy.pcap");
    let topology = fs::read_to_string(sample("perimeter-unhealthy.topology.toml")).unwrap();
    let at = |record: &&Value| record["server"]["port"] == 2526;
    let verdict = |text: &str| {
        let (_folder, path) = folder_with("topology.toml", text.as_bytes());
        let run = Run::of(&["classify", &capture, "--topology", &path]);
        let records = run.records();
        let record = records.iter().find(at).unwrap();
        record["verdict"].as_str().unwrap().to_owned()
    };
    assert_eq!(verdict(&topology), "undocumented");
    let edge = "name = \"edge1.example.com\"\n";
    assert!(topology.contains(edge));
    let moved = topology.replace(edge, &format!("{edge}ports = {{ smtp = 2526 }}\n"));
    assert_eq!(verdict(&moved), "documented");
}

#[test]
fn the_sample_topology_shows_every_key_and_is_read() {
    let capture = sample("exchange2010-site.pcap");
    let run = Run::of(&["classify", &capture, "--topology", &sample("topology.toml")]);
    assert_eq!(run.status, 0, "{}", run.err);
}

#[test]
fn the_subscription_of_a_site_goes_before_that_of_the_whole() {
    let capture = sample("perimeter-unhealthy.pcap");
    let topology = fs::read_to_string(sample("perimeter-unhealthy.topology.toml")).unwrap();
    let mail_path = |text: &str| {
        let (_folder, path) = folder_with("topology.toml", text.as_bytes());
        codes(&Run::of(&["audit", &capture, "--topology", &path])).contains(&"EXW108".to_owned())
    };
    assert!(mail_path(&topology));
    let host = "name = \"cas13.example.com\"\n";
    assert!(topology.contains(host));
    let branch = topology.replace(host, &format!("{host}site = \"branch\"\n"))
        + "\n[[site]]\nname = \"branch\"\nedge_subscribed = false\n";
    assert!(!mail_path(&branch));
}
