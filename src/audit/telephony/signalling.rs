//! Requests of SIP that fail, with what Lync and UM say about it (MS-OCER; RFC 3261 20.43), and requests without an answer.

use std::collections::{BTreeMap, BTreeSet};

use crate::audit::Severity;
use crate::audit::check::{Check, Code, Told};
use crate::audit::gather::{Cause, Draft, Findings};
use crate::audit::scene::{Scene, Subject};

const REFUSED: &Code = &Code {
    code: "EXW305",
    name: "call-failed",
    meaning: "A SIP request was refused for good, not as ordinary calls are (challenges, busy or absent persons, calls that are taken back).",
    advice: "ms-diagnostics, Warning and Reason name the cause where they are there. 403 and 404: dial plan, UM mailbox policy, unknown gateway. 415 and 488: no codec or no SRTP in common. 503 and 504: the next hop.",
};
const UNANSWERED: &Code = &Code {
    code: "EXW306",
    name: "call-unanswered",
    meaning: "SIP requests were sent and nothing answered them.",
    advice: "Look whether requests reach the server (UDP and TCP differ in firewalls), whether the answer goes to the Via address of a NAT, and whether the service takes requests from this peer.",
};

pub(in crate::audit) const SIGNALLING: Check = Check {
    codes: &[REFUSED, UNANSWERED],
    start: || Box::new(Told::by(&["sip"], check)),
};

/// Answers that are part of a healthy call: challenges, cancelled and unanswered calls, busy and declining persons.
const ORDINARY: &[&str] = &["401", "407", "480", "486", "487", "600", "603"];
/// Requests are repeated for 32 seconds (timer B, RFC 3261 17.1.1.2); answers come in one. In nanoseconds.
const PATIENCE_NS: i64 = 8_000_000_000;

/// What the flow says of one call.
#[derive(Default)]
struct Said<'a> {
    methods: BTreeSet<&'a str>,
    statuses: BTreeMap<&'a str, String>,
    causes: Vec<String>,
    first: Option<(String, crate::net::Timestamp)>,
}

fn check(scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    if !subject.flow.proves("sip") {
        return;
    }
    for (call, said) in calls(scene, subject) {
        refused(subject, &said, findings);
        unanswered(subject, call, &said, findings);
    }
}

fn calls<'a>(scene: &Scene<'_>, subject: Subject<'a>) -> BTreeMap<u64, Said<'a>> {
    let mut calls: BTreeMap<u64, Said<'a>> = BTreeMap::new();
    for name in ["method", "status", "warning", "reason"] {
        for (fact, sight) in subject.flow.facts_of("sip", name) {
            let (Some(text), true) = (fact.value.as_text(), fact.subject != 0) else {
                continue;
            };
            let said = calls.entry(fact.subject).or_default();
            let frame = scene.frame(sight);
            let sentence = format!("{frame}: sip {name} `{text}`");
            match name {
                "method" => {
                    said.methods.insert(text);
                    let time = sight.seen.time;
                    if said.first.as_ref().is_none_or(|(_, first)| time < *first) {
                        said.first = Some((frame, time));
                    }
                }
                "status" => {
                    said.statuses.insert(text, sentence);
                }
                _ => said.causes.push(sentence),
            }
        }
    }
    calls
}

fn refused(subject: Subject<'_>, said: &Said<'_>, findings: &mut Findings<'_>) {
    let is_success = said.statuses.keys().any(|status| status.starts_with('2'));
    let failed = said.statuses.iter().rfind(|(status, _)| {
        let code = status.split(' ').next().unwrap_or_default();
        let is_refusal = matches!(code.as_bytes().first(), Some(b'4'..=b'6'));
        is_refusal && !ORDINARY.contains(&code)
    });
    let (Some((status, sentence)), false) = (failed, is_success) else {
        return;
    };
    let methods: Vec<&str> = said.methods.iter().copied().collect();
    let is_call = said.methods.contains("INVITE");
    let what = if is_call || methods.is_empty() {
        "the call".to_owned()
    } else {
        methods.join(" and ")
    };
    let why = said
        .causes
        .first()
        .and_then(|cause| Some(cause.split_once('`')?.1.trim_end_matches('`')));
    let why = why.map_or_else(String::new, |why| format!(" ({why})"));
    let message = format!("{what} {} fails with {status}{why}", subject.path());
    let severity = if is_call || said.methods.contains("REGISTER") {
        subject.weight().min(Severity::Warning)
    } else {
        Severity::Info
    };
    let mut seen = vec![sentence.clone()];
    seen.extend(said.causes.iter().cloned());
    let cause = Cause::at(subject.server()).what(format!("{status}{why}"));
    let draft = Draft::of(REFUSED, severity, subject, message);
    findings.find(subject, draft.caused_by(cause).seen(seen));
}

fn unanswered(subject: Subject<'_>, _: u64, said: &Said<'_>, findings: &mut Findings<'_>) {
    let flow = subject.flow;
    let asked = said
        .methods
        .iter()
        .any(|method| *method != "ACK" && *method != "CANCEL");
    let Some((frame, time)) = said
        .first
        .as_ref()
        .filter(|_| asked && said.statuses.is_empty())
    else {
        return;
    };
    // Answers may take another way than questions: only a conversation that shows none at all is silent.
    let is_silent = flow.tracker.packets[flow.client.other()] == 0
        || flow.facts_of("sip", "status").next().is_none();
    let waited = flow.tracker.last_seen.since(*time);
    if !is_silent || waited < PATIENCE_NS {
        return;
    }
    let methods: Vec<&str> = said.methods.iter().copied().collect();
    let message = format!(
        "{} {} is not answered in {} s",
        methods.join(" and "),
        subject.path(),
        waited / 1_000_000_000
    );
    let severity = subject.weight().min(Severity::Warning);
    let draft = Draft::of(UNANSWERED, severity, subject, message);
    findings.find(subject, draft.seen([format!("{frame}: the first request")]));
}
