//! Logins of mail clients and servers that fail.

use crate::audit::Severity;
use crate::audit::check::{Check, Code, Told};
use crate::audit::gather::{Draft, Findings};
use crate::audit::scene::{Scene, Subject};

const LOGIN_FAILED: &Code = &Code {
    code: "EXW606",
    name: "mail-login-failed",
    meaning: "An authentication over SMTP, POP3 or IMAP4 failed.",
    advice: "One user: the password. Everybody: the server's way to its domain controller, the mechanism of the connector, or a service that is turned off for the mailbox.",
};

pub(in crate::audit) const LOGIN: Check = Check {
    codes: &[LOGIN_FAILED],
    start: || Box::new(Told::by(&["smtp", "pop3", "imap"], check)),
};

fn check(scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    for protocol in ["smtp", "pop3", "imap"] {
        let failed = subject
            .flow
            .facts_of(protocol, "auth_result")
            .find(|(fact, _)| {
                let number = fact.value.as_number().is_some_and(|number| number >= 400);
                let word = fact.value.as_text();
                number || word.is_some_and(|word| matches!(word, "-ERR" | "NO" | "BAD"))
            });
        let Some((fact, sight)) = failed else {
            continue;
        };
        let message = format!("the {protocol} login {} fails", subject.path());
        let sentence = format!(
            "{}: {protocol} login answered by {}",
            scene.frame(sight),
            fact.value
        );
        let severity = subject.weight().min(Severity::Warning);
        let draft = Draft::of(LOGIN_FAILED, severity, subject, message);
        findings.find(subject, draft.seen([sentence]));
    }
}
