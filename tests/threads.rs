//! The result is the same for any number of threads, and for a capture in rotated files.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    unreachable_pub,
    missing_docs,
    reason = "a test may panic"
)]

mod pipeline_support;

use std::collections::BTreeMap;
use std::path::PathBuf;

use exwire::attribution::{CallFlows, calls};
use exwire::audit::audit;
use exwire::capture::{Grouping, Input, plan};
use exwire::report::{self, CallRecord, EndpointRecord, FlowRecord, Format, Record, Style};
use exwire::scan::Scanned;
use exwire::signature::Signatures;
use exwire::topology::Topology;
use pipeline_support::{Random, Recording, chain, judge, real, samples, scan, signatures};

/// Real captures with many hosts, tunnels, fragments, connections and calls.
const REAL: &[&str] = &[
    "rpc-epm/suricata-bug-5162-input.pcap",
    "rpc-epm/samr-acl_0.1_userb1.pcapng",
    "mapi/zeek-dce-rpc-mapi.pcap",
    "sip/ndpi-webex.pcap",
    "sip/bruteshark-sip-rtp-g729a.pcap",
    "sip/bruteshark-sip-rtp-dvi4.pcap",
    "sip/rtppcap-nb6-telephone.pcap",
    "stun/ndpi-teams.pcap",
    "rtp/nfstream-skype.pcap",
    "smtp/markofu-evidence02.pcap",
    "fragments/zeek-tls-tls-fragmented-handshake.pcap",
    "encap/mercury-geneve.pcap",
    "mixed/mercury-emix.pcap",
    "ldap/elcabezzonn-tinkersec-ldapsearch.pcap",
];

/// Records of `classify`, `audit`, `endpoints` and `calls`.
fn records(scanned: &Scanned, signatures: &Signatures) -> [String; 4] {
    let judged = judge(scanned, signatures);
    let findings = audit(&judged, signatures, &Topology::default());
    let all = judged.all();
    let flows = CallFlows::of(&judged);
    let codes = BTreeMap::new();
    [
        lines(
            all.iter()
                .map(|(flow, attribution)| FlowRecord::new(flow, attribution, &[])),
        ),
        lines(findings.iter()),
        lines(EndpointRecord::all(&judged, signatures).into_iter()),
        lines(
            calls(&flows)
                .iter()
                .map(|call| CallRecord::new(call, &codes)),
        ),
    ]
}

fn lines<R: Record>(records: impl Iterator<Item = R>) -> String {
    let style = Style {
        width: 80,
        colour: false,
    };
    let mut out = Vec::new();
    report::write(records, Format::Jsonl, style, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn all() -> Vec<(String, Vec<PathBuf>)> {
    let mut captures = samples();
    captures.extend(real(REAL));
    captures
}

#[test]
fn any_number_of_threads_gives_the_same_result() {
    let signatures = signatures();
    for (name, paths) in all() {
        let chains = [chain(&paths)];
        let one = scan(&chains, 1);
        let expected = records(&one, &signatures);
        assert!(!expected[0].is_empty(), "{name}: no flow");
        for threads in [2, 3, 8] {
            let many = scan(&chains, threads);
            assert_eq!(many.packets, one.packets, "{name}: {threads} threads");
            assert!(
                many.ledger == one.ledger,
                "{name}: {threads} threads give another ledger"
            );
            assert_eq!(
                records(&many, &signatures),
                expected,
                "{name}: {threads} threads"
            );
        }
    }
}

#[test]
fn captures_side_by_side_give_the_same_result_in_any_order() {
    let signatures = signatures();
    let mut chains: Vec<_> = samples().iter().map(|(_, paths)| chain(paths)).collect();
    let one = scan(&chains, 1);
    let expected = records(&one, &signatures);
    for (seed, threads) in [1, 2, 3, 8].into_iter().enumerate() {
        Random(seed as u64).shuffle(&mut chains);
        let many = scan(&chains, threads);
        assert!(many.ledger == one.ledger, "{threads} threads");
        assert_eq!(records(&many, &signatures), expected, "{threads} threads");
    }
}

/// Where the next frame is later than all before it: rotation there keeps files apart in time.
fn seams(recording: &Recording) -> Vec<usize> {
    let mut latest = i64::MIN;
    let mut seams = Vec::new();
    for (index, frame) in recording.frames.iter().enumerate() {
        let rest = &recording.frames[index..];
        if index > 0 && rest.iter().all(|later| later.nanos > latest) {
            seams.push(index);
        }
        latest = latest.max(frame.nanos);
    }
    seams
}

/// Records without the names of files.
fn without_captures(lines: &str) -> Vec<serde_json::Value> {
    lines
        .lines()
        .map(|line| {
            let mut record: serde_json::Value = serde_json::from_str(line).unwrap();
            if let Some(fields) = record.as_object_mut() {
                fields.remove("captures");
            }
            record
        })
        .collect()
}

#[test]
fn twenty_rotated_files_give_what_the_whole_capture_gives() {
    let signatures = signatures();
    let mut split_in_twenty = 0;
    for (name, paths) in all() {
        let recording = Recording::read(&paths);
        if recording.frames.len() > 1_500 {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let whole = scan(
            &[chain(&[recording.write(&folder.path().join("whole.pcap"))])],
            1,
        );
        let seams = seams(&recording);
        let chosen = Random(7).cuts(19, seams.len() + 1);
        let mut inputs = Vec::new();
        let mut start = 0;
        let ends = chosen.iter().map(|place| seams[place - 1]);
        for (index, end) in ends.chain([recording.frames.len()]).enumerate() {
            let path = folder.path().join(format!(
                "site_{:05}_20240101{:06}.pcap",
                index + 1,
                index * 100
            ));
            std::fs::write(&path, recording.pcap(start..end, usize::MAX)).unwrap();
            inputs.push(Input::Path(path));
            start = end;
        }
        Random(3).shuffle(&mut inputs);
        split_in_twenty += usize::from(inputs.len() == 20);
        let plan = plan(&inputs, Grouping::Auto).unwrap();
        assert_eq!(
            plan.chains.len(),
            1,
            "{name}: the files are one series, found {:?}",
            plan.chains
        );
        for threads in [1, 3] {
            let rotated = scan(&plan.chains, threads);
            let [expected, found] = [&whole, &rotated].map(|scanned| records(scanned, &signatures));
            for (expected, found) in expected.iter().zip(&found) {
                assert_eq!(
                    without_captures(found),
                    without_captures(expected),
                    "{name}: {} files, {threads} threads",
                    inputs.len()
                );
            }
            let named: usize = rotated
                .ledger
                .episodes()
                .map(|episode| episode.captures.len())
                .max()
                .unwrap();
            assert!(named >= 1 && named <= inputs.len());
        }
    }
    assert!(split_in_twenty >= 4, "{split_in_twenty}");
}
