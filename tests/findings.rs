//! Each code of a finding on a small capture that must raise it, and on one that looks alike and must not; and the display
//! filter shows the packets of its flows and no others.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a test that cannot go on fails, and what tests share is public to them"
)]

#[path = "../examples/generate-samples/generator/mod.rs"]
#[allow(dead_code, reason = "the samples are another test's")]
mod generator;
mod pipeline_support;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use exwire::attribution::Judged;
use exwire::audit::{CODES, Finding, Severity, audit};
use exwire::signature::Signatures;
use exwire::topology::Topology;
use generator::faults::{Case, TOPOLOGY, cases};

/// What an audit of a case says, with the packets of each flow.
struct Audited {
    findings: Vec<Finding>,
    packets: Vec<u64>,
}

fn audited(case: &Case, folder: &Path, signatures: &Signatures, topology: &Topology) -> Audited {
    let path = folder.join("case.pcap");
    std::fs::write(&path, &case.capture).unwrap();
    let scanned = pipeline_support::scan(&[pipeline_support::chain(&[path])], 1);
    let judged = Judged::of(scanned.ledger, signatures, topology);
    let mut packets = Vec::new();
    judged.for_each(|flow, _| {
        let errors = flow.errors.len() as u64;
        packets.push(flow.tracker.packets.a + flow.tracker.packets.b + errors);
    });
    Audited {
        findings: audit(&judged, signatures, topology),
        packets,
    }
}

fn topology(folder: &Path) -> Topology {
    let path = folder.join("topology.toml");
    std::fs::write(&path, TOPOLOGY).unwrap();
    Topology::read(&path).unwrap()
}

#[test]
fn each_code_is_raised_by_its_fault_and_not_by_what_looks_alike() {
    let folder = tempfile::tempdir().unwrap();
    let (signatures, topology) = (pipeline_support::signatures(), topology(folder.path()));
    let mut wrong = Vec::new();
    let mut shown: BTreeSet<(&str, bool)> = BTreeSet::new();
    for case in cases() {
        let audited = audited(&case, folder.path(), &signatures, &topology);
        let raised: Vec<&str> = audited
            .findings
            .iter()
            .map(|finding| finding.code)
            .collect();
        if raised.contains(&case.code) != case.raises {
            wrong.push(format!("{} {}: {raised:?}", case.code, case.shows));
        }
        shown.insert((case.code, case.raises));
        for finding in &audited.findings {
            assert!(!finding.message.is_empty(), "{finding:#?}");
            let is_error = finding.severity == Severity::Error;
            assert!(!is_error || !finding.evidence.is_empty(), "{finding:#?}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // The others are shown by flows of the samples, and beside what must not raise them in tests/judging.rs.
    for code in CODES {
        let is_of_samples =
            code.code < "EXW207" || matches!(code.code, "EXW301" | "EXW302" | "EXW303" | "EXW304");
        let both = [true, false].map(|raises| shown.contains(&(code.code, raises)));
        assert!(
            both == [true, true] || is_of_samples,
            "{} has no sample",
            code.code
        );
    }
}

#[test]
fn the_cases_stay_small() {
    let total: usize = cases().iter().map(|case| case.capture.len()).sum();
    assert!(total < 1024 * 1024, "{total} bytes");
}

/// Where tshark is installed: as many packets as the flows have.
#[test]
fn the_display_filter_shows_the_packets_of_the_flows() {
    let has_tshark = Command::new("tshark").arg("--version").output().is_ok();
    if !has_tshark {
        println!("skipped: no tshark");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (signatures, topology) = (pipeline_support::signatures(), topology(folder.path()));
    let mut wrong = Vec::new();
    for case in cases().iter().filter(|case| case.raises) {
        let audited = audited(case, folder.path(), &signatures, &topology);
        let finding = audited
            .findings
            .iter()
            .find(|finding| finding.code == case.code);
        let Some(finding) = finding.filter(|finding| !finding.flows.is_empty()) else {
            continue;
        };
        let path = folder.path().join("case.pcap");
        let output = Command::new("tshark")
            .args([
                "-n",
                "-r",
                path.to_str().unwrap(),
                "-Y",
                &finding.display_filter,
                "-T",
                "fields",
                "-e",
                "frame.number",
            ])
            .output()
            .unwrap();
        let shown = String::from_utf8(output.stdout).unwrap().lines().count() as u64;
        let expected: u64 = finding
            .flows
            .iter()
            .map(|number| audited.packets[usize::try_from(number).unwrap() - 1])
            .sum();
        if shown != expected {
            wrong.push(format!(
                "{}: {shown} of {expected} by {}",
                case.code, finding.display_filter
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
