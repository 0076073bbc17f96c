//! The commands around an audit: a topology from traffic, findings for other tools, the chain of one flow.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may panic"
)]

mod cli_support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cli_support::{Run, folder_with, sample};
use exwire::signature::{Product, Role};
use exwire::topology::{Topology, Zone};
use pcap_file::pcapng::PcapNgReader;
use pcap_file::pcapng::blocks::Block;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
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

/// What in a log is not as the schema of the standard says.
fn violations(log: &Value) -> Vec<String> {
    // The published schema has a pattern with a bracket too many, of fields that are not written.
    let schema = include_str!("schemas/sarif-2.1.0.json");
    let schema = schema.replace("^[a-zA-Z]{2}|^[a-zA-Z]{2}-[a-zA-Z]{2}]?$", "");
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    validator
        .iter_errors(log)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

#[test]
fn sarif_is_what_its_schema_says() {
    let calls = sample("um-lync-calls.pcap");
    let healthy = sample("exchange2010-site.pcap");
    let text = "[[allow]]\nreason = \"change 4711\"\nexpires = 2030-01-01\nports = [3389]\n";
    let (_folder, waivers) = folder_with("waivers.toml", text.as_bytes());
    let baseline = Run::of(&["audit", &healthy]).out;
    let (_folder, baseline) = folder_with("baseline.jsonl", baseline.as_bytes());
    for more in [
        vec![],
        vec![calls.as_str()],
        vec!["--only", "EXW109"],
        vec!["--waivers", &waivers],
        vec!["--baseline", &baseline],
    ] {
        assert_eq!(violations(&sarif(&more)), [""; 0]);
    }
}

#[test]
fn the_schema_of_sarif_is_in_force() {
    let mut log = sarif(&[]);
    log["runs"][0]["results"][0]["level"] = "fatal".into();
    assert_eq!(violations(&log).len(), 1);
}

#[test]
fn sarif_names_rules_places_and_fingerprints() {
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
fn help_offers_formats_where_there_are_some_and_only_there() {
    let capture = sample("um-lync-calls.pcap");
    for (arguments, has) in [
        (&["classify", &capture][..], true),
        (&["audit", &capture], true),
        (&["endpoints", &capture], true),
        (&["calls", &capture], true),
        (&["matrix"], true),
        (&["diff", &capture, &capture], true),
        (&["extract", "--flow", "1", &capture], false),
        (&["topology", &capture], false),
        (&["explain", "--flow", "1", &capture], false),
        (&["explain", "EXW101"], false),
        (&["explain"], false),
    ] {
        let help = Run::of(&[arguments[0], "--help"]);
        assert_eq!(help.out.contains("--format <"), has, "{}", help.out);
        let run = Run::of(&[arguments, &["--format", "json"]].concat());
        if has {
            assert!(run.status < 2, "{arguments:?}: {}", run.err);
        } else {
            run.assert_fails(2, &["no other format"]);
        }
    }
}

#[test]
fn an_explanation_goes_to_the_file_that_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("why.txt");
    let run = Run::of(&["explain", "exw201", "-o", file.to_str().unwrap()]);
    assert_eq!((run.status, run.out.as_str()), (0, ""));
    let told = fs::read_to_string(file).unwrap();
    assert_eq!(told, Run::of(&["explain", "EXW201"]).out);
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

/// Time in nanoseconds, captured and original length, and comments of a packet.
type Written = (u128, usize, u32, Vec<String>);

/// What a pcapng file holds: its packets, and the link type of each interface.
fn packets(path: &Path) -> (Vec<Written>, Vec<u32>) {
    let mut reader = PcapNgReader::new(fs::File::open(path).unwrap()).unwrap();
    let (mut packets, mut links) = (Vec::new(), Vec::new());
    while let Some(block) = reader.next_block() {
        match block.unwrap() {
            Block::InterfaceDescription(interface) => links.push(u32::from(interface.linktype)),
            Block::EnhancedPacket(packet) => {
                let comments = packet.options.iter().filter_map(|option| match option {
                    EnhancedPacketOption::Comment(text) => Some(text.to_string()),
                    _ => None,
                });
                let comments = comments.collect();
                let nanos = packet.timestamp.as_nanos();
                packets.push((nanos, packet.data.len(), packet.original_len, comments));
            }
            other => panic!("{other:?}"),
        }
    }
    (packets, links)
}

/// Runs `extract`, and gives its output's path with the folder that holds it.
fn extracted(arguments: &[&str]) -> (tempfile::TempDir, PathBuf, Run) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.pcapng");
    let mut all = vec!["extract", "-o", path.to_str().unwrap()];
    all.extend(arguments);
    let run = Run::of(&all);
    assert_eq!(run.status, 0, "{}", run.err);
    (folder, path, run)
}

#[test]
fn packets_of_a_finding_come_with_their_evidence() {
    let (capture, topology) = (
        sample("perimeter-unhealthy.pcap"),
        sample("perimeter-unhealthy.topology.toml"),
    );
    let (_folder, path, run) =
        extracted(&[&capture, "--topology", &topology, "--finding", "EXW404"]);
    run.assert_says(&["flows 1,"]);
    let (packets, links) = packets(&path);
    assert_eq!(links, [1], "Ethernet");
    // The answer of the endpoint mapper, from another flow, then the three SYN that nobody answered.
    assert_eq!(packets.len(), 4);
    let said = |index: usize, text: &str| {
        let (.., comments) = &packets[index];
        assert!(
            comments.iter().any(|comment| comment.contains(text)),
            "{text}: {comments:?}"
        );
    };
    said(0, "announces 10.0.0.30:49888 for flow 17");
    said(1, "flow 17: error EXW404: MAPI mailbox access");
    assert!(
        packets
            .iter()
            .skip(2)
            .all(|(.., comments)| comments.is_empty())
    );
}

#[test]
fn what_is_taken_out_is_classified_as_before() {
    let capture = sample("exchange2010-site.pcap");
    let topology = sample("exchange2010-site.topology.toml");
    let (_folder, path, _) = extracted(&[&capture, "--service", "smtp,edgesync", "--flow", "16"]);
    let path = path.to_str().unwrap();
    let records =
        |capture: &str| Run::of(&["classify", capture, "--topology", &topology]).records();
    let part = |record: &Value| -> Vec<Value> {
        let names = [
            "client",
            "server",
            "first_seen",
            "packets",
            "bytes",
            "state",
            "protocols",
            "service",
        ];
        names.iter().map(|name| record[*name].clone()).collect()
    };
    let is_wanted = |record: &&Value| {
        record["service"] == "smtp" || record["service"] == "edgesync" || record["flow"] == 16
    };
    let before = records(&capture);
    let before: Vec<Vec<Value>> = before.iter().filter(is_wanted).map(part).collect();
    // Packets of offers stand alone in flows of their own.
    let ends: BTreeSet<String> = before
        .iter()
        .map(|part| format!("{}{}", part[0], part[1]))
        .collect();
    let after: Vec<Vec<Value>> = records(path)
        .iter()
        .map(part)
        .filter(|part| ends.contains(&format!("{}{}", part[0], part[1])))
        .collect();
    assert!(!before.is_empty());
    // Names come from other flows as well: what remains must agree.
    let plain = |parts: Vec<Vec<Value>>| -> Vec<Vec<Value>> {
        parts.into_iter().map(|part| part[2..].to_vec()).collect()
    };
    assert_eq!(plain(after), plain(before));
}

#[test]
fn compressed_rotated_and_tunnelled_captures_keep_all_that_is_wanted() {
    let rotated = sample("rotated");
    let flows = Run::of(&["classify", &rotated]).records();
    let most = flows
        .iter()
        .max_by_key(|record| record["packets"][0].as_u64())
        .unwrap();
    let number = most["flow"].to_string();
    let (_folder, path, _) = extracted(&[&rotated, "--flow", &number]);
    let (packets, _) = packets(&path);
    let count: u64 = most["packets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n.as_u64().unwrap())
        .sum();
    assert_eq!(packets.len() as u64, count);
    let times: Vec<u128> = packets.iter().map(|(time, ..)| *time).collect();
    assert!(times.is_sorted());
    let (_folder, path, _) = extracted(&[&sample("mirror-erspan-vlan.pcapng"), "--flow", "1"]);
    let again = Run::of(&["classify", path.to_str().unwrap()]).records();
    assert_eq!(again.len(), 1);
    assert_ne!(
        again[0]["tunnel"],
        Value::Array(Vec::new()),
        "the frames are whole"
    );
}

#[test]
fn a_call_is_its_signalling_and_its_media() {
    let capture = sample("um-lync-calls.pcap");
    let (_folder, path, _) = extracted(&[&capture, "--call", "call-plain-1@10.0.2.5"]);
    let calls = Run::of(&["calls", path.to_str().unwrap()]).records();
    assert_eq!(calls[0]["call_id"], "call-plain-1@10.0.2.5");
    assert_eq!(calls[0]["streams"].as_array().unwrap().len(), 2);
}

#[test]
fn fragments_go_with_their_datagram() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/captures/fragments");
    let Ok(entries) = fs::read_dir(&folder) else {
        println!("skipped: no captures of fragments");
        return;
    };
    let mut seen = 0;
    for entry in entries {
        let path = entry.unwrap().path();
        let capture = path.to_str().unwrap();
        let flows = Run::of(&["classify", capture, "-q"]).records();
        if flows.is_empty() || flows.len() > 200 {
            continue;
        }
        let all: Vec<String> = flows
            .iter()
            .map(|record| record["flow"].to_string())
            .collect();
        let (_folder, out, _) = extracted(&[capture, "--flow", &all.join(",")]);
        let again = Run::of(&["classify", out.to_str().unwrap(), "-q"]).records();
        let volumes = |records: &[Value]| -> Vec<(Value, Value)> {
            let volume = |record: &Value| (record["packets"].clone(), record["bytes"].clone());
            records.iter().map(volume).collect()
        };
        assert_eq!(volumes(&again), volumes(&flows), "{capture}");
        seen += 1;
    }
    assert!(seen > 0);
}

#[test]
fn extract_says_what_it_needs() {
    let capture = sample("um-lync-calls.pcap");
    Run::of(&["extract", &capture, "--flow", "1"]).assert_fails(2, &["expected --output FILE"]);
    let out = "/nonexistent/out.pcapng";
    Run::of(&["extract", &capture, "-o", out])
        .assert_fails(2, &["expected --finding, --flow, --service or --call"]);
    Run::of(&["extract", "-", "-o", out, "--flow", "1"]).assert_fails(2, &["second pass"]);
    Run::of(&["extract", &capture, "-o", out, "--flow", "99"])
        .assert_fails(2, &["from 1 to 21, found 99"]);
    Run::of(&["extract", &capture, "-o", out, "--service", "smpt2"])
        .assert_fails(2, &["unknown service"]);
    Run::of(&[
        "extract",
        &capture,
        "-o",
        out,
        "--call",
        "call-plain-2@10.0.2.5",
    ])
    .assert_fails(2, &["unknown call", "call-plain-1@10.0.2.5"]);
    Run::of(&["extract", &capture, "-o", out, "--service", "rms"])
        .assert_fails(2, &["nothing to write"]);
    Run::of(&["extract", &capture, "-o", out, "--flow", "1"])
        .assert_fails(2, &["cannot write /nonexistent/out.pcapng"]);
}

#[test]
fn a_capture_differs_in_nothing_from_itself() {
    let capture = sample("exchange2010-site.pcap");
    let run = Run::of(&["diff", &capture, &capture]);
    assert_eq!((run.status, run.out.as_str()), (0, ""), "{}", run.err);
    run.assert_says(&["no differences"]);
}

#[test]
fn what_fails_changed_came_and_went_is_a_difference() {
    let (healthy, unhealthy) = (
        sample("exchange2010-site.pcap"),
        sample("perimeter-unhealthy.pcap"),
    );
    let run = Run::of(&["diff", &healthy, &unhealthy]);
    assert_eq!(run.status, 1, "{}", run.err);
    let records = run.records();
    let of = |service: &str, client: &str, server: &str| {
        let is_its = |record: &&Value| {
            record["service"] == service
                && record["client"]["address"] == client
                && record["server"]["address"] == server
        };
        records
            .iter()
            .find(is_its)
            .unwrap_or_else(|| panic!("{service} {client} {server}"))
    };
    let changes = |record: &Value| record["changes"].to_string();
    let edge = of("smtp", "192.0.2.25", "10.0.0.20");
    assert_eq!(changes(edge), r#"["failing","changed"]"#);
    assert_eq!(edge["before"]["encryption"][0], "starttls");
    assert_eq!(edge["after"]["encryption"][0], "none");
    assert_eq!(edge["after"]["failed"], 1);
    assert_eq!(
        changes(of("(ssh)", "203.0.113.80", "192.0.2.25")),
        r#"["new"]"#
    );
    let gone = of("global_catalog", "10.0.0.40", "10.0.0.10");
    assert_eq!(changes(gone), r#"["gone"]"#);
    assert_eq!(gone["after"], Value::Null);
    for format in ["table", "csv", "json"] {
        let run = Run::of(&["diff", &healthy, &unhealthy, "--format", format, "-q"]);
        assert!(run.out.contains("global_catalog"), "{format}");
    }
    Run::of(&["diff", &healthy]).assert_fails(2, &["AFTER"]);
    Run::of(&["diff", &healthy, "no-such.pcap"]).assert_fails(2, &["no-such.pcap"]);
}

#[test]
fn a_ladder_shows_who_sent_what_when() {
    let capture = sample("um-lync-calls.pcap");
    let ladder = |width: &str| {
        let run = Run::with(&["calls", "--ladder", &capture], |command| {
            command.env("COLUMNS", width);
        });
        assert_eq!(run.status, 0, "{}", run.err);
        run.out
    };
    let drawn = ladder("110");
    for line in [
        "Call call-plain-1@10.0.2.5\n",
        "  B: 10.0.0.60 (um1.example.com)\n",
        "  +0.000 s   |------ INVITE ------>|\n",
        "  +0.700 s   |<----- 200 OK -------|\n",
        "  +0.999 s   |----- RTP PCMU ----->|\n",
        "  flow 2, 10.0.2.5:20000 to 10.0.0.60:27012: PCMU, 9 packets, 1 lost, jitter up to 0.052 ms, MOS 3.38, none\n",
        "Call media without signalling\n",
    ] {
        assert!(drawn.contains(line), "{line}\n{drawn}");
    }
    assert!(!drawn.lines().any(|line| line.ends_with(' ')));
    // Lanes that do not fit give way to a list.
    assert!(ladder("40").contains("10.0.2.5 to 10.0.0.45: INVITE"));
    Run::of(&["calls", "--ladder", &capture, "--format", "json"])
        .assert_fails(2, &["--ladder: a ladder is text"]);
}
