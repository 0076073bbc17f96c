//! What a capture could not show is told, packets as well as flows.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a test that cannot go on fails, and what tests share is public to them"
)]

mod pipeline_support;

use std::collections::BTreeMap;

use exwire::attribution::Judged;
use exwire::audit::{Finding, audit};
use exwire::evidence::{CaptureRecord, Ledger};
use exwire::topology::Topology;

fn findings(record: CaptureRecord) -> Vec<Finding> {
    let ledger = Ledger::new("tap".into(), record, Vec::new(), BTreeMap::new());
    let (signatures, topology) = (pipeline_support::signatures(), Topology::default());
    audit(
        &Judged::of(ledger, &signatures, &topology),
        &signatures,
        &topology,
    )
}

#[test]
fn packets_that_were_lost_or_cut_short_are_told() {
    let mut record = CaptureRecord {
        packets: 100,
        drops: 1,
        ..CaptureRecord::default()
    };
    record.counters.insert("truncated_payload".into(), 3);
    record.counters.insert("truncated_tcp".into(), 2);
    record.counters.insert("malformed_tcp".into(), 50);
    let findings = findings(record);
    let [finding] = findings.as_slice() else {
        panic!("{findings:#?}");
    };
    assert_eq!(finding.code, "EXW990");
    assert_eq!(
        finding.message,
        "1 packet lost by the capturing host; 5 packets cut short by the capture"
    );
}

#[test]
fn a_capture_of_whole_packets_says_nothing_of_them() {
    let record = CaptureRecord {
        packets: 100,
        ..CaptureRecord::default()
    };
    assert!(findings(record).is_empty());
}
