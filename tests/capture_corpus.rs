//! Real captures: each opens or says why not, and gives the packets that another program counted.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    unreachable_pub,
    missing_docs,
    reason = "a test may panic"
)]

mod capture_support;

use std::fs;
use std::path::{Path, PathBuf};

use capture_support::drain;
use exwire::capture::{Grouping, Input, Options, Reader, plan};
use exwire::net::{LinkType, Timestamp};

const SUNATM: LinkType = LinkType(123);

/// The folder of real captures, which is no part of the project.
fn corpus() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/captures");
    let named = std::env::var_os("EXWIRE_SHARED").map(|shared| Path::new(&shared).join("captures"));
    let found = std::iter::once(beside)
        .chain(named)
        .find(|folder| folder.is_dir());
    if found.is_none() {
        println!("skipped: no folder of real captures");
    }
    found
}

fn files_below(folder: &Path, out: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files_below(&path, out);
        } else {
            out.push(path);
        }
    }
}

#[test]
fn real_captures_have_as_many_packets_as_tshark_counts() {
    let Some(corpus) = corpus() else { return };
    let mut truths = Vec::new();
    files_below(&corpus.join("truth"), &mut truths);
    let mut disagreements = Vec::new();
    let (mut compared, mut cut) = (0, 0);
    for truth in truths {
        let name = truth
            .strip_prefix(corpus.join("truth"))
            .unwrap()
            .with_extension("");
        let truth: serde_json::Value = serde_json::from_slice(&fs::read(&truth).unwrap()).unwrap();
        let path = corpus.join(&name);
        let name = name.display().to_string();
        let plan = plan(&[Input::Path(path)], Grouping::Separate).unwrap();
        let (seen, summaries) = drain(Reader::open(&plan.chains[0], &Options::default()).unwrap());
        let summary = &summaries[0];
        let expected = truth["packets"].as_u64().unwrap();
        let tshark_failed = truth["exit_code"] != 0;
        compared += 1;
        if tshark_failed {
            cut += 1;
        }
        if seen.len() as u64 != expected || summary.error.is_some() != tshark_failed {
            disagreements.push(format!(
                "{name}: {} packets, tshark {expected}; {:?}",
                seen.len(),
                summary.error.as_ref().map(ToString::to_string)
            ));
        }
        // tshark takes a header of four bytes off the packets of SunATM.
        let wire: u64 = seen.iter().map(|packet| u64::from(packet.wire_len)).sum();
        if truth["frame_bytes"].as_u64() != Some(wire) && summary.links != [SUNATM] {
            disagreements.push(format!(
                "{name}: {wire} bytes on the wire, tshark {}",
                truth["frame_bytes"]
            ));
        }
        if summary.untimed > 0 || name.starts_with("malformed") {
            continue;
        }
        // The truth has the times of the first and the last packet, the summary the earliest and the latest.
        for (own, key) in [(seen.first(), "first_time"), (seen.last(), "last_time")] {
            let (Some(own), Some(nanos)) = (own, truth[key].as_str().and_then(nanos_of)) else {
                continue;
            };
            let in_summary = summary.first_time <= Some(Timestamp::from_nanos(own.nanos))
                && summary.last_time >= Some(Timestamp::from_nanos(own.nanos));
            if own.nanos != nanos || !in_summary {
                disagreements.push(format!(
                    "{name}: {key} {}, tshark {}",
                    own.nanos, truth[key]
                ));
            }
        }
    }
    println!("{compared} captures compared, {cut} of them cut");
    assert!(disagreements.is_empty(), "{}", disagreements.join("\n"));
}

/// Nanoseconds from seconds with decimals, as text; none where tshark prints a fraction of more than a second, or where
/// 64 bits do not suffice.
fn nanos_of(text: &str) -> Option<i64> {
    let (seconds, fraction) = text.split_once('.')?;
    if fraction.len() > 9 || seconds.starts_with('-') {
        return None;
    }
    let nanos: i64 = format!("{fraction:0<9}").parse().ok()?;
    let seconds: i64 = seconds.parse().ok()?;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
}

#[test]
fn the_whole_folder_can_be_planned() {
    let Some(corpus) = corpus() else { return };
    let plan = plan(&[Input::Path(corpus)], Grouping::Auto).unwrap();
    for chain in plan.chains.iter().filter(|chain| chain.inputs().len() > 1) {
        let names: Vec<String> = chain
            .inputs()
            .iter()
            .map(|input| input.path().display().to_string())
            .collect();
        println!("one chain: {}", names.join(", "));
    }
    for error in &plan.rejected {
        println!("rejected: {error}");
    }
    println!(
        "{} chains, {} passed over",
        plan.chains.len(),
        plan.passed_over.len()
    );
    let read: usize = plan.chains.iter().map(|chain| chain.inputs().len()).sum();
    assert!(read >= 600, "{read}");
}
