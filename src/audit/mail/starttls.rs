//! TLS that is not offered, masked by a device in between, or refused.

use crate::audit::Severity;
use crate::audit::check::{Check, Code, Told};
use crate::audit::gather::{Draft, Findings};
use crate::audit::scene::{Scene, Subject};
use crate::signature::Row;

const MASKED: &Code = &Code {
    code: "EXW603",
    name: "starttls-masked",
    meaning: "A device in between overwrote the offer of TLS in the answer to EHLO (a keyword of X's): mail goes in clear, and both servers look innocent.",
    advice: "Turn SMTP inspection off in the firewall on the way (\"fixup\", \"ESMTP inspection\", mail guard), or allow TLS in it.",
};
const NOT_OFFERED: &Code = &Code {
    code: "EXW604",
    name: "starttls-not-offered",
    meaning: "A server offers neither STARTTLS nor X-ANONYMOUSTLS although every row that fits says encrypted by default.",
    advice: "Check that the receive connector has a certificate for its FQDN with a private key, and that TLS is among its authentication mechanisms.",
};
const REFUSED: &Code = &Code {
    code: "EXW605",
    name: "starttls-refused",
    meaning: "The server offered TLS and refused the switch to it.",
    advice: "Assign a valid certificate to the mail service: without one that it can use, the server answers 454.",
};

pub(in crate::audit) const STARTTLS: Check = Check {
    codes: &[MASKED, NOT_OFFERED, REFUSED],
    start: || Box::new(Told::by(&["smtp"], check)),
};

/// X's in a row that no keyword has.
const MASK: &str = "XXXX";

fn check(scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    let flow = subject.flow;
    let is_masked = |text: &str| {
        let word = text.split(' ').next().unwrap_or_default();
        word.starts_with(MASK) && word.chars().all(|c| matches!(c, 'X' | 'A' | 'B' | 'C'))
    };
    if let Some((text, sentence)) = subject.says(scene, "smtp", "keyword", is_masked) {
        let message = format!(
            "mail {}: a device in between masks the offer of TLS (`{text}`)",
            subject.path()
        );
        let severity = subject.weight().max(Severity::Warning);
        let draft = Draft::of(MASKED, severity, subject, message);
        findings.find(subject, draft.seen([sentence]));
        return;
    }
    for (fact, sight) in flow.facts_of("smtp", "starttls_refused") {
        let message = format!(
            "mail {}: the switch to TLS is refused with {}",
            subject.path(),
            fact.value
        );
        let sentence = format!("{}: reply {} to STARTTLS", scene.frame(sight), fact.value);
        let draft = Draft::of(REFUSED, subject.weight(), subject, message);
        findings.find(subject, draft.seen([sentence]));
    }
    let missing = flow.facts_of("smtp", "starttls_missing").next();
    let Some((_, sight)) = missing.filter(|_| subject.is_known()) else {
        return;
    };
    let paths = subject.paths(scene.signatures);
    let says_encrypted = |row: &&Row| row.encryption.default == Some(true);
    if !paths.is_empty() && paths.iter().all(says_encrypted) {
        let message = format!("mail {}: the server offers no TLS", subject.path());
        let sentence = format!("{}: the answer to EHLO ends without it", scene.frame(sight));
        let draft = Draft::of(NOT_OFFERED, Severity::Warning, subject, message);
        findings.find(subject, draft.seen([sentence]));
    }
}
