//! What others chose (names of files, what servers say) may hold anything, also what looks like the output itself: every format
//! still parses, and each flow has the findings that audit has for it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod cli_support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use cli_support::{Run, sample};
use serde_json::Value;
use tempfile::TempDir;

/// Texts of the sample, and what stands in their places: as long, so that all lengths around them stay right.
const SWAPS: [(&str, &str); 2] = [
    // The subject of a certificate, names in greetings.
    ("hub1.example.com", "a\"findings\":[\",b"),
    // The software of a server.
    ("OpenSSH_8.9", "O,\"];SH_8.9"),
];

/// The name of the capture.
const NAME: &str = "\"findings\":[\"EXW998\"],\n,1,\"\r\n.pcap";

/// The sample with hostile texts, under a hostile name.
fn capture() -> (TempDir, String) {
    let mut bytes = fs::read(sample("perimeter-unhealthy.pcap")).unwrap();
    for (plain, hostile) in SWAPS {
        assert_eq!(plain.len(), hostile.len());
        let places: Vec<usize> = memchr::memmem::find_iter(&bytes, plain).collect();
        assert!(!places.is_empty(), "{plain}");
        for at in places {
            bytes[at..at + hostile.len()].copy_from_slice(hostile.as_bytes());
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(NAME);
    fs::write(&path, bytes).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

fn run(command: &str, capture: &str, format: &str) -> Run {
    let topology = sample("perimeter-unhealthy.topology.toml");
    Run::of(&[
        command,
        "-q",
        "--format",
        format,
        "--topology",
        &topology,
        capture,
    ])
}

/// The codes of each flow, as `audit` tells them.
fn audited(capture: &str) -> BTreeMap<u64, BTreeSet<String>> {
    let mut codes: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    for finding in run("audit", capture, "json").parsed() {
        for flow in finding["flows"].as_array().unwrap() {
            let code = finding["code"].as_str().unwrap().to_owned();
            codes
                .entry(flow.as_u64().unwrap())
                .or_default()
                .insert(code);
        }
    }
    assert!(codes.len() > 10, "{codes:?}");
    codes
}

impl Run {
    /// The records of `--format json`.
    fn parsed(&self) -> Vec<Value> {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

#[test]
fn json_holds_hostile_text_where_it_belongs_and_findings_in_their_field() {
    let (_folder, capture) = capture();
    let expected = audited(&capture);
    let records = run("classify", &capture, "json").parsed();
    assert_eq!(records, run("classify", &capture, "jsonl").records());
    for record in &records {
        let codes: BTreeSet<String> = serde_json::from_value(record["findings"].clone()).unwrap();
        let flow = record["flow"].as_u64().unwrap();
        assert_eq!(codes, expected.get(&flow).cloned().unwrap_or_default());
        let told = record["captures"][0].as_str().unwrap();
        assert!(told.ends_with(NAME), "{told}");
    }
    let said = |part: &str| {
        records.iter().any(|record| {
            let because = record["because"].as_array().unwrap();
            because
                .iter()
                .any(|text| text.as_str().unwrap().contains(part))
        })
    };
    for (_, hostile) in SWAPS {
        assert!(said(hostile), "{hostile}");
    }
    let subject = |record: &Value| record["encryption"]["certificate"]["subject"].clone();
    assert!(
        records
            .iter()
            .any(|record| subject(record) == "CN=a\"findings\":[\",b")
    );
}

#[test]
fn csv_holds_hostile_text_where_it_belongs_and_findings_in_their_column() {
    let (_folder, capture) = capture();
    let expected = audited(&capture);
    let out = run("classify", &capture, "csv").out;
    let mut reader = csv::Reader::from_reader(out.as_bytes());
    let columns = reader.headers().unwrap().clone();
    let at = |name: &str| columns.iter().position(|column| column == name).unwrap();
    let (flow, findings, captures) = (at("flow"), at("findings"), at("captures"));
    let mut rows = 0;
    for row in reader.records() {
        let row = row.unwrap();
        let codes: BTreeSet<String> = row[findings]
            .split_terminator(';')
            .map(str::to_owned)
            .collect();
        let number = row[flow].parse().unwrap();
        assert_eq!(codes, expected.get(&number).cloned().unwrap_or_default());
        assert!(row[captures].ends_with(NAME), "{}", &row[captures]);
        rows += 1;
    }
    assert_eq!(rows, run("classify", &capture, "jsonl").records().len());
}
