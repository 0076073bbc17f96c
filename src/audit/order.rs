//! In which order findings are read: a person sees the first screen.

use std::cmp::Reverse;

use super::{Finding, Severity};

/// Findings as a person reads them: the worst first; of those that are equally bad the first of each code before the second of
/// any, so that what is repeated hides nothing that stands alone; then by code, then by first flow.
pub(super) fn arranged<T>(mut findings: Vec<T>, finding: impl Fn(&T) -> &Finding) -> Vec<T> {
    findings.sort_by(|one, other| by_code(finding(one)).cmp(&by_code(finding(other))));
    let mut before = None;
    let mut ranked: Vec<((Reverse<Severity>, bool), T)> = findings
        .into_iter()
        .map(|item| {
            let Finding { severity, code, .. } = finding(&item);
            let kind = (*severity, *code);
            let is_repeated = before.replace(kind) == Some(kind);
            ((Reverse(kind.0), is_repeated), item)
        })
        .collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, item)| item).collect()
}

/// The worst first, then by code, then by first flow.
pub(super) fn by_code(finding: &Finding) -> (Reverse<Severity>, &'static str, Option<u64>, &str) {
    let severity = Reverse(finding.severity);
    let first = finding.flows.first();
    (severity, finding.code, first, &finding.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(severity: Severity, code: &'static str, first: u64) -> Finding {
        Finding {
            code,
            name: "",
            severity,
            message: String::new(),
            row: None,
            flows: [first].into_iter().collect(),
            evidence: Vec::new(),
            documents: Vec::new(),
            advice: "",
            display_filter: String::new(),
            fingerprint: String::new(),
        }
    }

    #[test]
    fn what_stands_alone_comes_before_what_is_repeated_and_never_before_what_is_worse() {
        let shuffled = [
            (Severity::Warning, "EXW101", 1),
            (Severity::Error, "EXW205", 9),
            (Severity::Error, "EXW202", 7),
            (Severity::Info, "EXW990", 0),
            (Severity::Error, "EXW201", 3),
            (Severity::Error, "EXW202", 4),
            (Severity::Warning, "EXW202", 2),
            (Severity::Error, "EXW201", 5),
            (Severity::Error, "EXW201", 4),
        ];
        let findings = shuffled.map(|(severity, code, first)| finding(severity, code, first));
        let read: Vec<_> = arranged(findings.into(), |finding| finding)
            .iter()
            .map(|finding| (finding.severity, finding.code, finding.flows.first()))
            .collect();
        let wanted = [
            (Severity::Error, "EXW201", 3),
            (Severity::Error, "EXW202", 4),
            (Severity::Error, "EXW205", 9),
            (Severity::Error, "EXW201", 4),
            (Severity::Error, "EXW201", 5),
            (Severity::Error, "EXW202", 7),
            (Severity::Warning, "EXW101", 1),
            (Severity::Warning, "EXW202", 2),
            (Severity::Info, "EXW990", 0),
        ];
        assert_eq!(
            read,
            wanted.map(|(severity, code, first)| (severity, code, Some(first)))
        );
    }
}
