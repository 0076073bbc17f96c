//! What a person wants to know first: services found, flows by verdict, worst findings first.

use std::collections::BTreeMap;

use super::Run;
use super::output::say;
use crate::attribution::{Attribution, Call};
use crate::audit::{Finding, Severity};
use crate::evidence::Ledger;
use crate::scan::{GIVEN_UP, LOCAL_TIMES};
use crate::signature::ServiceId;

/// Findings shown in a summary.
const MAX_FINDINGS: usize = 5;
/// Flows in which nothing is proven and no port is documented.
const UNNAMED: &str = "unnamed";
/// Services shown in a summary.
const MAX_SERVICES: usize = 12;

/// What is counted while flows go by.
#[derive(Debug, Default)]
pub(super) struct Tally {
    flows: u64,
    services: BTreeMap<ServiceId, u64>,
    /// What is spoken in flows without a service.
    others: BTreeMap<&'static str, u64>,
    verdicts: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// Counts a flow.
    pub(super) fn count(&mut self, attribution: &Attribution) {
        self.flows = self.flows.saturating_add(1);
        match &attribution.service {
            // Few services, many flows: a name is copied once.
            Some(service) => match self.services.get_mut(service) {
                Some(count) => *count = count.saturating_add(1),
                None => {
                    self.services.insert(service.clone(), 1);
                }
            },
            None => {
                let name = attribution.spoken.first().copied().unwrap_or(UNNAMED);
                add(&mut self.others, name, 1);
            }
        }
        add(&mut self.verdicts, attribution.verdict.word(), 1);
    }

    fn services(&self) -> String {
        let services = self.services.iter();
        list(services.map(|(service, count)| (service.as_str(), *count)))
    }
}

fn add<K: Ord>(counts: &mut BTreeMap<K, u64>, key: K, count: u64) {
    let sum = counts.entry(key).or_default();
    *sum = sum.saturating_add(count);
}

fn words(counts: &BTreeMap<&'static str, u64>) -> String {
    list(counts.iter().map(|(name, count)| (*name, *count)))
}

pub(super) fn flows(tally: &Tally, run: &Run, ledger: &Ledger, findings: &[Finding]) {
    say(&read(tally, run, ledger));
    for (title, names) in [
        ("services", tally.services()),
        ("others", words(&tally.others)),
    ] {
        if !names.is_empty() {
            say(&format!("{title}: {names}"));
        }
    }
    say(&format!("verdicts: {}", words(&tally.verdicts)));
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

pub(super) fn findings(
    tally: &Tally,
    run: &Run,
    ledger: &Ledger,
    findings: &[Finding],
    left: &LeftOut,
) {
    say(&read(tally, run, ledger));
    say(&format!("verdicts: {}", words(&tally.verdicts)));
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
        say(if is_selected {
            "no findings among those asked for"
        } else {
            "no other findings"
        });
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

pub(super) fn endpoints(count: usize, packets: u64) {
    say(&format!("{count} endpoints offered in {packets} packets"));
}

pub(super) fn calls(calls: &[Call<'_>], packets: u64) {
    let dialogues = calls.iter().filter(|call| call.call_id.is_some()).count();
    let streams = |announced: bool| -> usize {
        let of = calls
            .iter()
            .filter(|call| call.call_id.is_some() == announced);
        of.map(|call| call.streams.len()).sum()
    };
    say(&format!(
        "{dialogues} dialogues with {} streams, {} streams without signalling, in {packets} packets",
        streams(true),
        streams(false)
    ));
}

fn read(tally: &Tally, run: &Run, ledger: &Ledger) -> String {
    let drops: u64 = ledger.captures().values().map(|record| record.drops).sum();
    let lost = if drops > 0 {
        format!(", {drops} packets lost by the capturing host")
    } else {
        String::new()
    };
    let local: u64 = ledger
        .captures()
        .values()
        .filter_map(|record| record.counters.get(LOCAL_TIMES))
        .sum();
    let zone = if local > 0 {
        format!(", times of {local} files in the unknown zone of the machine that recorded them")
    } else {
        String::new()
    };
    let given_up: String = GIVEN_UP
        .into_iter()
        .filter_map(|(counter, what)| {
            let records = ledger.captures().values();
            let counts = records.filter_map(|record| record.counters.get(counter));
            let count: u64 = counts.sum();
            (count > 0).then(|| format!(", {count} {what}"))
        })
        .collect();
    format!(
        "{} packets, {} flows{lost}{zone}{given_up}",
        run.packets, tally.flows
    )
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
fn list<'a>(counts: impl Iterator<Item = (&'a str, u64)>) -> String {
    let mut counts: Vec<_> = counts.collect();
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
