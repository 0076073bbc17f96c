//! The commands around an audit: a topology from traffic, findings for other tools, the chain of one flow.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod cli_support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use cli_support::{Run, folder_with, sample};
use exwire::signature::{Product, Role};
use exwire::topology::{Topology, Zone};
use serde_json::Value;

/// The sketch of a sample, as text and as the strict loader reads it.
fn sketched(name: &str) -> (String, Topology) {
    let run = Run::of(&["topology", &sample(name)]);
    assert_eq!(run.status, 0, "{}", run.err);
    let (folder, path) = folder_with("sketch.toml", run.out.as_bytes());
    let topology = Topology::read(path.as_ref()).unwrap();
    drop(folder);
    (run.out, topology)
}

fn roles(topology: &Topology, address: &str) -> BTreeSet<Role> {
    let host = topology.host(address.parse().unwrap());
    host.map(|host| host.roles.clone()).unwrap_or_default()
}

#[test]
fn a_sketch_of_a_site_is_a_topology_file_that_needs_no_change() {
    let (text, topology) = sketched("exchange2010-site.pcap");
    let expected = [
        ("10.0.0.10", vec![Role::DomainController, Role::DnsServer]),
        ("10.0.0.20", vec![Role::HubTransport]),
        ("10.0.0.30", vec![Role::ExchangeAny]),
        ("10.0.0.40", vec![Role::ClientAccess]),
        ("192.0.2.25", vec![Role::EdgeTransport]),
        ("10.0.1.50", vec![Role::Client]),
        ("198.51.100.25", vec![]),
    ];
    for (address, wanted) in expected {
        let found = roles(&topology, address);
        assert_eq!(found, wanted.into_iter().collect(), "{address}");
    }
    assert_eq!(topology.edge_subscribed, Some(true), "EdgeSync was seen");
    let zone = |address: &str| topology.zone(address.parse().unwrap());
    assert_eq!(zone("192.0.2.25"), Some(Zone::Perimeter));
    assert_eq!(zone("10.0.0.30"), Some(Zone::Internal));
    assert_eq!(zone("198.51.100.25"), Some(Zone::Internet));
    let name = |address: &str| {
        let host = topology.host(address.parse().unwrap()).unwrap();
        host.name.as_deref().map(str::to_owned)
    };
    assert_eq!(name("192.0.2.25").as_deref(), Some("edge1.example.com"));
    // The evidence stands beside the keys, with flows and frames.
    for said in [
        "edge_transport: serves edgesync in flow 31, corroborated",
        "domain_controller: answers Kerberos, frame 19",
        "smtp banner `hub1.example.com Microsoft ESMTP",
        "tls certificate_subject `CN=edge1.example.com`",
        "serves the RPC interface EMSMDB",
        "serves smtp on 25/tcp, proven, flow 25",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
}

#[test]
fn an_audit_by_its_own_sketch_finds_no_wrong_roles() {
    let (text, _) = sketched("exchange2010-site.pcap");
    let (_folder, path) = folder_with("sketch.toml", text.as_bytes());
    let run = Run::of(&[
        "audit",
        &sample("exchange2010-site.pcap"),
        "--topology",
        &path,
    ]);
    let codes: BTreeSet<String> = run
        .records()
        .iter()
        .map(|record| record["code"].as_str().unwrap().to_owned())
        .collect();
    assert!(
        !codes.contains("EXW104") && !codes.contains("EXW105"),
        "{codes:?}"
    );
}

#[test]
fn edgesync_against_its_direction_makes_no_edge_of_the_hub() {
    let (text, topology) = sketched("perimeter-unhealthy.pcap");
    assert_eq!(topology.edge_subscribed, None);
    for address in ["10.0.0.20", "192.0.2.25"] {
        assert_eq!(
            roles(&topology, address),
            BTreeSet::from([Role::ExchangeAny]),
            "{address}"
        );
    }
    assert!(text.contains("edgesync was opened towards it in flow 3, from 192.0.2.25"));
    assert!(
        text.contains("# ports = { smtp = [2526] }"),
        "for a person to confirm"
    );
    // A public server whose place nobody knows: zones would make it the Internet.
    assert_eq!(topology.zone("192.0.2.25".parse().unwrap()), None);
    assert!(
        text.contains(
            "# Zones are for you to tell: these servers have public addresses: 192.0.2.25"
        )
    );
}

#[test]
fn user_agents_tell_roles_and_products() {
    let (_, topology) = sketched("um-lync-calls.pcap");
    let host = |address: &str| topology.host(address.parse().unwrap()).unwrap();
    assert_eq!(host("10.0.0.60").product, Some(Product::Exchange2010));
    assert_eq!(host("10.0.0.46").product, Some(Product::Exchange2013));
    assert_eq!(
        roles(&topology, "10.0.0.46"),
        BTreeSet::from([Role::UnifiedMessaging])
    );
}

#[test]
fn a_topology_is_written_to_a_file_and_in_no_other_format() {
    let (folder, _) = folder_with("x", b"");
    let path = folder.path().join("sketch.toml");
    let capture = sample("um-lync-calls.pcap");
    let run = Run::of(&["topology", &capture, "-o", path.to_str().unwrap()]);
    assert_eq!((run.status, run.out.as_str()), (0, ""), "{}", run.err);
    assert!(fs::read_to_string(path).unwrap().contains("[[host]]"));
    Run::of(&["topology", &capture, "--format", "json"])
        .assert_fails(2, &["--format: a topology file is TOML"]);
}

/// The SARIF log of an audit of the unhealthy perimeter.
fn sarif(more: &[&str]) -> Value {
    let (capture, topology) = (
        sample("perimeter-unhealthy.pcap"),
        sample("perimeter-unhealthy.topology.toml"),
    );
    let mut arguments = vec![
        "audit",
        &capture,
        "--topology",
        &topology,
        "--format",
        "sarif",
    ];
    arguments.extend(more);
    serde_json::from_str(&Run::of(&arguments).out).unwrap()
}

#[test]
fn sarif_has_what_its_schema_requires() {
    let log = sarif(&[]);
    assert_eq!(log["version"], "2.1.0");
    let runs = log["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 1);
    // toolComponent requires a name, reportingDescriptor an id, result a message.
    let driver = &runs[0]["tool"]["driver"];
    assert_eq!(driver["name"], "exwire");
    let rules = driver["rules"].as_array().unwrap();
    for rule in rules {
        assert!(rule["id"].as_str().unwrap().starts_with("EXW"));
        for text in ["shortDescription", "fullDescription", "help"] {
            assert!(!rule[text]["text"].as_str().unwrap().is_empty());
        }
    }
    let results = runs[0]["results"].as_array().unwrap();
    let mut fingerprints = BTreeSet::new();
    for result in results {
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        let level = result["level"].as_str().unwrap();
        assert!(["none", "note", "warning", "error"].contains(&level));
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        fingerprints.insert(result["partialFingerprints"]["exwire/v1"].as_str().unwrap());
        assert_eq!(result["suppressions"], Value::Array(Vec::new()));
        for location in result["locations"].as_array().unwrap() {
            let uri = &location["physicalLocation"]["artifactLocation"]["uri"];
            assert!(
                uri.as_str()
                    .unwrap()
                    .ends_with("samples/perimeter-unhealthy.pcap")
            );
            assert_eq!(location["logicalLocations"].as_array().unwrap().len(), 2);
            assert!(
                location["message"]["text"]
                    .as_str()
                    .unwrap()
                    .starts_with("flow ")
            );
        }
    }
    assert_eq!(fingerprints.len(), results.len());
}

#[test]
fn sarif_holds_the_findings_of_the_other_formats() {
    let (capture, topology) = (
        sample("perimeter-unhealthy.pcap"),
        sample("perimeter-unhealthy.topology.toml"),
    );
    let run = Run::of(&["audit", &capture, "--topology", &topology]);
    let records: BTreeMap<String, String> = run
        .records()
        .iter()
        .map(|record| {
            let text = |name: &str| record[name].as_str().unwrap().to_owned();
            (text("fingerprint"), text("message"))
        })
        .collect();
    let log = sarif(&[]);
    let results = log["runs"][0]["results"].as_array().unwrap();
    let found: BTreeMap<String, String> = results
        .iter()
        .map(|result| {
            let print = result["partialFingerprints"]["exwire/v1"].as_str().unwrap();
            let text = result["message"]["text"].as_str().unwrap();
            (print.to_owned(), text.to_owned())
        })
        .collect();
    assert_eq!(found, records);
}

#[test]
fn sarif_says_what_is_allowed_and_why() {
    let text = "[[allow]]\nreason = \"change 4711\"\nexpires = 2030-01-01\nports = [3389]\n";
    let (_folder, path) = folder_with("waivers.toml", text.as_bytes());
    let log = sarif(&["--waivers", &path]);
    let results = log["runs"][0]["results"].as_array().unwrap();
    let suppressed: Vec<&Value> = results
        .iter()
        .filter(|result| result["suppressions"] != Value::Array(Vec::new()))
        .collect();
    assert_eq!(suppressed.len(), 1);
    let suppression = &suppressed[0]["suppressions"][0];
    assert_eq!(suppression["kind"], "external");
    assert_eq!(suppression["justification"], "change 4711");
}

#[test]
fn only_findings_have_sarif() {
    for command in ["classify", "endpoints", "calls"] {
        Run::of(&[command, &sample("um-lync-calls.pcap"), "--format", "sarif"])
            .assert_fails(2, &["--format: only `audit` has sarif"]);
    }
    Run::of(&["matrix", "--format", "sarif"]).assert_fails(2, &["only `audit` has sarif"]);
}

#[test]
fn the_chain_of_a_flow_leads_from_its_frames_to_its_findings() {
    let (capture, topology) = (
        sample("perimeter-unhealthy.pcap"),
        sample("perimeter-unhealthy.topology.toml"),
    );
    let run = Run::of(&["explain", "--flow", "17", &capture, "--topology", &topology]);
    assert_eq!(run.status, 0, "{}", run.err);
    let parts = [
        "Flow 17: tcp from cas1.example.com (10.0.0.40:",
        "\nPackets\n",
        "the server is mbx1.example.com (10.0.0.30): mailbox or cluster_node, by the topology file",
        "\nFacts, by time\n",
        "\nOffers of its endpoints, made elsewhere\n",
        "announced the RPC interface EMSMDB 0.81 at 10.0.0.30:49888",
        "\nEvidence, strongest first\n",
        "so it is mapi: indicated",
        "\nRows that fit, best first\n",
        "ref2010.client-access.to-mailbox",
        "\nVerdict: unproven",
        "\nFindings\n",
        "EXW404",
    ];
    let mut rest = run.out.as_str();
    for part in parts {
        let (_, after) = rest
            .split_once(part)
            .unwrap_or_else(|| panic!("{part}\n{}", run.out));
        rest = after;
    }
}

#[test]
fn a_chain_says_which_rows_contradict_and_why() {
    let (capture, topology) = (
        sample("perimeter-unhealthy.pcap"),
        sample("perimeter-unhealthy.topology.toml"),
    );
    let run = Run::of(&["explain", "--flow", "3", &capture, "--topology", &topology]);
    assert!(
        run.out
            .contains("joins these roles the other way round: the other end opens it")
    );
    assert!(
        run.out
            .contains("joins other roles: wants client mailbox, here edge_transport")
    );
}

#[test]
fn an_explanation_needs_a_code_or_a_flow_of_captures() {
    let capture = sample("um-lync-calls.pcap");
    Run::of(&["explain", "--flow", "99", &capture])
        .assert_fails(2, &["--flow: expected a number from 1 to 21, found 99"]);
    Run::of(&["explain", "--flow", "1"]).assert_fails(2, &["--flow: expected captures"]);
    Run::of(&["explain", "--flow", "0", &capture]).assert_fails(2, &["--flow"]);
    Run::of(&["explain", "EXW101", "EXW102"]).assert_fails(2, &["found also `EXW102`"]);
    Run::of(&["explain", "EXW1O1"]).assert_fails(2, &["unknown code `EXW1O1`"]);
}
