//! Errors of Kerberos (RFC 4120 7.5.9) and what they usually mean in a domain.

use crate::audit::Severity;
use crate::audit::check::{Check, Code, Told};
use crate::audit::gather::{Cause, Draft, Findings};
use crate::audit::scene::{Scene, Subject};

const REFUSED: &Code = &Code {
    code: "EXW702",
    name: "kerberos-error",
    meaning: "A domain controller refused a ticket.",
    advice: "Unknown server: register the service principal name, once (`setspn -x` finds duplicates). Unknown or revoked client, failed pre-authentication: the account and its password. Encryption type: keys of the account against what the client may use.",
};
const SKEW: &Code = &Code {
    code: "EXW703",
    name: "clock-skew",
    meaning: "Clocks differ by more than Kerberos allows (KRB_AP_ERR_SKEW; five minutes in Windows): nobody at that host can log on.",
    advice: "Set the clock of the asking host right (`w32tm /query /status` at both ends; virtual machines that take the time of their host are usual suspects).",
};

pub(in crate::audit) const KERBEROS: Check = Check {
    codes: &[REFUSED, SKEW],
    start: || Box::new(Told::by(&["kerberos"], check)),
};

/// Ordinary steps of a healthy exchange: credentials are asked for, a longer answer goes over TCP, another realm is named.
const ORDINARY: &[&str] = &["0", "25", "52", "68"];

/// Error codes and what they usually mean.
const MEANINGS: &[(&str, &str)] = &[
    ("6", "the account does not exist"),
    (
        "7",
        "no account has this service principal name, or two have",
    ),
    ("8", "two accounts have the same principal name"),
    ("12", "policy forbids the logon (hours, workstation)"),
    ("13", "an option is not allowed: delegation or forwarding"),
    ("14", "no encryption type in common"),
    ("18", "the account is disabled, expired or locked out"),
    ("23", "the password has expired"),
    ("24", "the password is wrong"),
    ("29", "the controller cannot be reached behind it"),
    (
        "31",
        "the ticket was sealed with another password: a stale one, or a wrong service principal name",
    ),
    ("32", "the ticket has expired"),
    ("33", "the ticket is not valid yet: clocks differ"),
    ("34", "a repeated request"),
    ("37", "clocks differ by more than is allowed"),
    (
        "41",
        "the ticket is for another account: a duplicate or misplaced service principal name",
    ),
    ("60", "unspecified"),
];

fn check(scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    for (text, sentence) in subject.texts(scene, "kerberos", "error") {
        let number = text.split(' ').next().unwrap_or_default();
        if ORDINARY.contains(&number) {
            continue;
        }
        let meaning = MEANINGS.iter().find(|(known, _)| *known == number);
        let meaning = meaning.map_or("refused", |(_, meaning)| meaning);
        let is_skew = matches!(number, "37" | "33");
        let code = if is_skew { SKEW } else { REFUSED };
        let severity = match number {
            "37" | "33" => subject.weight().max(Severity::Warning),
            // Ordinary life of persons and of clients that try.
            "6" | "13" | "24" | "34" => subject.weight().min(Severity::Info),
            _ => subject.weight().min(Severity::Warning),
        };
        let mut seen = vec![sentence];
        let service = subject.flow.texts("kerberos", "service").next();
        if let Some(service) = service {
            seen.push(format!("asked for `{service}`"));
        }
        let name = text.split(' ').nth(1).unwrap_or(number);
        let message = format!("Kerberos {}: {meaning} ({name})", subject.path());
        let cause = Cause::at(subject.server()).of_client(subject.flow.client().address);
        let draft = Draft::of(code, severity, subject, message);
        findings.find(subject, draft.caused_by(cause.what(number)).seen(seen));
    }
}
