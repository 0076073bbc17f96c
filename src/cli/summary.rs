//! What a person wants to know first: services found, flows by verdict, worst findings first.

use std::collections::BTreeMap;

use super::output::say;
use crate::attribution::{Call, Judged};
use crate::audit::{Finding, Severity};
use crate::scan::{LOCAL_TIMES, Scanned};

/// Findings shown in a summary.
const MAX_FINDINGS: usize = 5;
/// Flows in which nothing is proven and no port is documented.
const UNNAMED: &str = "unnamed";
/// Services shown in a summary.
const MAX_SERVICES: usize = 12;

pub(super) fn flows(judged: &Judged, scanned: &Scanned, findings: &[Finding]) {
    say(&read(judged, scanned));
    for (title, names) in [("services", services(judged)), ("others", others(judged))] {
        if !names.is_empty() {
            say(&format!("{title}: {names}"));
        }
    }
    say(&format!("verdicts: {}", verdicts(judged)));
    if !findings.is_empty() {
        say(&format!("findings: {}", severities(findings)));
        for finding in findings.iter().take(MAX_FINDINGS) {
            say(&format!(
                "  {} {} {}",
                finding.severity.word(),
                finding.code,
                finding.message
            ));
        }
        if findings.len() > MAX_FINDINGS {
            say(&format!(
                "  ... {} more: `exwire audit` lists them",
                findings.len().saturating_sub(MAX_FINDINGS)
            ));
        }
    }
}

/// What an audit does not show.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LeftOut {
    /// Findings that are allowed.
    pub(super) waived: usize,
    /// Findings of the baseline, where there is one.
    pub(super) known: Option<usize>,
    /// Findings of the baseline that are not found any more.
    pub(super) gone: usize,
    /// Whether only some codes were asked for.
    pub(super) is_selected: bool,
}

pub(super) fn findings(judged: &Judged, scanned: &Scanned, findings: &[Finding], left: &LeftOut) {
    say(&read(judged, scanned));
    say(&format!("verdicts: {}", verdicts(judged)));
    let LeftOut {
        waived,
        known,
        gone,
        is_selected,
    } = *left;
    if waived > 0 {
        say(&format!("allowed, and not shown: {waived}"));
    }
    if let Some(known) = known {
        say(&format!(
            "known from the baseline, and not shown: {known}; in the baseline, and not found now: {gone}"
        ));
    }
    if findings.is_empty() && (waived > 0 || known > Some(0) || is_selected) {
        say("no other findings");
        return;
    }
    say(&if findings.is_empty() {
        "no findings; what the captures do not show is not thereby healthy".to_owned()
    } else {
        format!(
            "findings: {}; `exwire explain CODE` says what a code means",
            severities(findings)
        )
    });
}

pub(super) fn endpoints(count: usize, scanned: &Scanned) {
    say(&format!(
        "{count} endpoints offered in {} packets",
        scanned.packets
    ));
}

pub(super) fn calls(calls: &[Call<'_>], scanned: &Scanned) {
    let dialogues = calls.iter().filter(|call| call.call_id.is_some()).count();
    let streams = |announced: bool| -> usize {
        let of = calls
            .iter()
            .filter(|call| call.call_id.is_some() == announced);
        of.map(|call| call.streams.len()).sum()
    };
    say(&format!(
        "{dialogues} dialogues with {} streams, {} streams without signalling, in {} packets",
        streams(true),
        streams(false),
        scanned.packets
    ));
}

fn read(judged: &Judged, scanned: &Scanned) -> String {
    let drops: u64 = scanned
        .ledger
        .captures()
        .values()
        .map(|record| record.drops)
        .sum();
    let lost = if drops > 0 {
        format!(", {drops} packets lost by the capturing host")
    } else {
        String::new()
    };
    let local: u64 = scanned
        .ledger
        .captures()
        .values()
        .filter_map(|record| record.counters.get(LOCAL_TIMES))
        .sum();
    let zone = if local > 0 {
        format!(", times of {local} files in the unknown zone of the machine that recorded them")
    } else {
        String::new()
    };
    format!(
        "{} packets, {} flows{lost}{zone}",
        scanned.packets,
        judged.attributions.len()
    )
}

fn services(judged: &Judged) -> String {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for attribution in &judged.attributions {
        if let Some(service) = &attribution.service {
            *counts.entry(service.as_str()).or_default() += 1;
        }
    }
    list(counts)
}

/// What is spoken in flows without a service.
fn others(judged: &Judged) -> String {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for attribution in &judged.attributions {
        if attribution.service.is_none() {
            let name = attribution.spoken.first().copied();
            *counts.entry(name.unwrap_or(UNNAMED)).or_default() += 1;
        }
    }
    list(counts)
}

fn verdicts(judged: &Judged) -> String {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for attribution in &judged.attributions {
        *counts.entry(attribution.verdict.word()).or_default() += 1;
    }
    list(counts)
}

fn severities(findings: &[Finding]) -> String {
    let mut parts = Vec::new();
    for (severity, word) in [
        (Severity::Error, "error"),
        (Severity::Warning, "warning"),
        (Severity::Info, "info"),
    ] {
        let count = findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .count();
        if count > 0 {
            let plural = if count > 1 && severity != Severity::Info {
                "s"
            } else {
                ""
            };
            parts.push(format!("{count} {word}{plural}"));
        }
    }
    parts.join(", ")
}

/// The most frequent first.
fn list(counts: BTreeMap<&str, u64>) -> String {
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    let mut parts: Vec<String> = counts
        .iter()
        .take(MAX_SERVICES)
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    if counts.len() > MAX_SERVICES {
        parts.push(format!(
            "{} more",
            counts.len().saturating_sub(MAX_SERVICES)
        ));
    }
    parts.join(", ")
}
