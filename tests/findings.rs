//! Each code of a finding on a small capture that must raise it, and on one that looks alike and must not: its meaning, the
//! words of the documents, its evidence, and the display filter, which shows the packets of its flows and no others.
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

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use exwire::attribution::Judged;
use exwire::audit::{CODES, Finding, audit};
use exwire::extract::{Wanted, extract};
use exwire::topology::Topology;
use generator::faults::cases;
use pipeline_support::{Frame, Recording, chain, scan, signatures};
use tempfile::TempDir;

/// A case, and what an audit says of it.
struct Audited {
    code: &'static str,
    raises: bool,
    shows: &'static str,
    capture: Recording,
    /// Those of the code.
    findings: Vec<Told>,
    /// All codes that are raised.
    raised: Vec<&'static str>,
    /// Packets, by number, that announce what other flows are for.
    announcing: BTreeSet<usize>,
}

struct Told {
    finding: Finding,
    /// The packets of its flows.
    frames: Vec<Frame>,
}

/// All cases, audited once for all tests.
static CASES: LazyLock<Vec<Audited>> = LazyLock::new(|| {
    let (folder, signatures) = (tempfile::tempdir().unwrap(), signatures());
    let path = |name: &str| folder.path().join(name);
    let audited = |case: generator::faults::Case| {
        std::fs::write(path("case.pcap"), &case.capture).unwrap();
        std::fs::write(path("case.toml"), &case.topology).unwrap();
        let topology = Topology::read(&path("case.toml")).unwrap();
        let files = [path("case.pcap")];
        let scanned = scan(&[chain(&files)], 1);
        let judged = Judged::of(scanned.ledger, &signatures, &topology);
        let all = audit(&judged, &signatures, &topology);
        let raised = all.iter().map(|finding| finding.code).collect();
        let findings = all
            .into_iter()
            .filter(|finding| finding.code == case.code)
            .map(|finding| Told {
                frames: frames_of(&finding, &judged, &files, &path("flows.pcapng")),
                finding,
            })
            .collect();
        let announcing = judged
            .offers
            .iter()
            .map(|standing| standing.sight.seen.frame as usize)
            .collect();
        Audited {
            code: case.code,
            raises: case.raises,
            shows: case.shows,
            capture: Recording::read(&files),
            findings,
            raised,
            announcing,
        }
    };
    cases().into_iter().map(audited).collect()
});

/// The packets of a finding's flows, as `extract` takes them out.
fn frames_of(finding: &Finding, judged: &Judged<'_>, files: &[PathBuf], out: &Path) -> Vec<Frame> {
    if finding.flows.is_empty() {
        return Vec::new();
    }
    let mut wanted = Wanted::default();
    judged.for_each(|flow, _| {
        if finding.flows.contains(flow.number) {
            let tracker = &flow.tracker;
            wanted.flow(flow.key, tracker.first_seen, tracker.last_seen, Vec::new());
        }
    });
    let mut file = std::fs::File::create(out).unwrap();
    extract(&[chain(files)], None, wanted, &mut file).unwrap();
    Recording::read(&[out.to_owned()]).frames
}

fn raising() -> impl Iterator<Item = &'static Audited> {
    CASES.iter().filter(|case| case.raises)
}

/// Fails with all that is wrong.
fn none_of(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn each_code_is_raised_by_its_fault_and_not_by_what_looks_alike() {
    let is_wrong = |case: &&Audited| case.raised.contains(&case.code) != case.raises;
    let tell = |case: &Audited| format!("{} {}: {:?}", case.code, case.shows, case.raised);
    none_of(CASES.iter().filter(is_wrong).map(tell).collect());
}

#[test]
fn every_code_has_a_pair_of_samples() {
    let shown: BTreeSet<_> = CASES.iter().map(|case| (case.code, case.raises)).collect();
    let lacks =
        |code: &&str| [true, false].map(|raises| shown.contains(&(*code, raises))) != [true; 2];
    let codes: Vec<&str> = CODES.iter().map(|code| code.code).collect();
    none_of(
        codes
            .iter()
            .filter(|code| lacks(code))
            .map(|code| (*code).to_owned())
            .collect(),
    );
    let strangers = shown.iter().filter(|(code, _)| !codes.contains(code));
    none_of(strangers.map(|(code, _)| (*code).to_owned()).collect());
}

/// What is said of a code where the documents have no words for it.
const SILENT: &str = "The five documents ";

#[test]
fn every_code_quotes_the_documents_or_says_that_they_are_silent() {
    let mut wrong = Vec::new();
    for code in CODES {
        let quotes: Vec<bool> = raising()
            .filter(|case| case.code == code.code)
            .flat_map(|case| &case.findings)
            .map(|told| {
                told.finding
                    .documents
                    .iter()
                    .any(|cited| !cited.quote.is_empty())
            })
            .collect();
        let is_silent = code.meaning.contains(SILENT);
        if quotes.is_empty() || quotes.contains(&is_silent) {
            wrong.push(format!(
                "{}: quotes {quotes:?}, said to be silent: {is_silent}",
                code.code
            ));
        }
    }
    none_of(wrong);
}

#[test]
fn every_code_says_what_it_means_and_what_to_do() {
    let is_sentence = |text: &str| text.len() > 20 && text.ends_with(['.', ')']);
    for code in CODES {
        assert!(is_sentence(code.meaning), "{code:?}");
        assert!(is_sentence(code.advice), "{code:?}");
        let is_word = |c: char| c.is_ascii_lowercase() || c == '-';
        assert!(
            !code.name.is_empty() && code.name.chars().all(is_word),
            "{code:?}"
        );
    }
}

/// The packets that evidence names, by number.
fn named(finding: &Finding) -> BTreeSet<usize> {
    let sentences = finding.evidence.iter();
    let places = sentences.flat_map(|sentence| sentence.split("frame ").skip(1));
    places
        .filter_map(|rest| {
            rest.split(|c: char| !c.is_ascii_digit())
                .next()?
                .parse()
                .ok()
        })
        .collect()
}

/// What is seen has its packets, among those of the flows or among those that announced them; what is missed has none.
#[test]
fn the_evidence_names_packets_of_the_flows() {
    let mut wrong = Vec::new();
    for case in raising() {
        for Told { finding, frames } in &case.findings {
            let named = named(finding);
            let is_foreign = |number: &&usize| {
                let frame = &case.capture.frames[**number - 1];
                !frames.contains(frame) && !case.announcing.contains(number)
            };
            let foreign: Vec<&usize> = named.iter().filter(is_foreign).collect();
            if named.is_empty() != finding.flows.is_empty() || !foreign.is_empty() {
                wrong.push(format!(
                    "{}: {foreign:?} of {:?}",
                    case.code, finding.evidence
                ));
            }
        }
    }
    none_of(wrong);
}

#[test]
fn the_cases_stay_small() {
    let frames = CASES.iter().flat_map(|case| &case.capture.frames);
    let total: usize = frames.map(|frame| frame.bytes.len() + 16).sum();
    assert!(total < 1024 * 1024, "{total} bytes");
}

/// More flows than that are shown by what they have in common.
const SHOWN_EXACTLY: u64 = 8;

/// Where tshark is installed: exactly the packets of the flows, also where others resemble them.
#[test]
fn the_display_filter_shows_the_packets_of_the_flows_and_no_others() {
    if Command::new("tshark").arg("--version").output().is_err() {
        println!("skipped: no tshark");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for case in raising() {
        for Told { finding, frames } in &case.findings {
            let filter = &finding.display_filter;
            if finding.flows.is_empty() {
                assert_eq!(filter, "", "{}", case.code);
                continue;
            }
            let mut capture = case.capture.clone();
            let is_exact = finding.flows.len() as u64 <= SHOWN_EXACTLY;
            capture.frames.extend(resembling(frames, is_exact));
            let shown: Vec<&Frame> = shown(filter, &capture, &folder)
                .into_iter()
                .map(|number| &capture.frames[number - 1])
                .collect();
            if shown != frames.iter().collect::<Vec<_>>() {
                let counts = (shown.len(), frames.len());
                wrong.push(format!("{}: {counts:?} by {filter}", case.code));
            }
        }
    }
    none_of(wrong);
}

/// Numbers of the packets that tshark shows.
fn shown(filter: &str, capture: &Recording, folder: &TempDir) -> Vec<usize> {
    let path = capture.write(&folder.path().join("case.pcap"));
    let output = Command::new("tshark")
        .args(["-n", "-r", path.to_str().unwrap(), "-Y", filter])
        .args(["-T", "fields", "-e", "frame.number"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{filter}: {told}");
    let numbers = String::from_utf8(output.stdout).unwrap();
    numbers
        .lines()
        .map(|number| number.parse().unwrap())
        .collect()
}

/// Where addresses and ports are in a frame of Ethernet with an IPv4 header without options.
const ADDRESSES: std::ops::Range<usize> = 26..34;
const PORTS: std::ops::Range<usize> = 34..38;

/// For each conversation a packet from another host, one to another host, and where all of them are named one from another port
/// and one to another port.
fn resembling(frames: &[Frame], with_ports: bool) -> Vec<Frame> {
    let mut conversations: BTreeMap<Vec<u8>, &Frame> = BTreeMap::new();
    for frame in frames {
        let is_conversation = matches!(frame.bytes[23], 6 | 17);
        if is_conversation {
            let key = frame.bytes[ADDRESSES.start..PORTS.end].to_vec();
            conversations.entry(key).or_insert(frame);
        }
    }
    let last_bytes = [ADDRESSES.start + 3, ADDRESSES.end - 1];
    let first_bytes = [PORTS.start, PORTS.start + 2]
        .into_iter()
        .filter(|_| with_ports);
    let places: Vec<usize> = last_bytes.into_iter().chain(first_bytes).collect();
    let changed = |frame: &Frame, place: usize| {
        let mut frame = frame.clone();
        frame.bytes[place] ^= 0x40;
        frame
    };
    conversations
        .into_values()
        .flat_map(|frame| places.iter().map(|place| changed(frame, *place)))
        .collect()
}
