//! Binds and operations of LDAP that fail (RFC 4511 appendix A; the data codes of Active Directory).

use crate::audit::Severity;
use crate::audit::check::{Check, Code, Told};
use crate::audit::gather::{Cause, Draft, Findings};
use crate::audit::scene::{Scene, Subject};

const BIND_FAILED: &Code = &Code {
    code: "EXW704",
    name: "directory-login-failed",
    meaning: "A directory server refused a bind.",
    advice: "The data code in the answer says why (52e password, 532 expired, 533 disabled, 775 locked); `strongerAuthRequired` means that the controller wants signing or TLS.",
};
const OPERATION_FAILED: &Code = &Code {
    code: "EXW705",
    name: "directory-error",
    meaning: "A directory server could not or would not do what was asked.",
    advice: "`busy`, `unavailable`, `adminLimitExceeded` and `timeLimitExceeded` speak of the controller's load; `operationsError` often of a search before a bind; `referral` of a controller of another domain.",
};

pub(in crate::audit) const LDAP: Check = Check {
    codes: &[BIND_FAILED, OPERATION_FAILED],
    start: || Box::new(Told::by(&["ldap"], check)),
};

/// Data codes in the diagnostic message of a failed bind.
const DATA: &[(&str, &str)] = &[
    ("data 525", "the user does not exist"),
    ("data 52e", "wrong password"),
    ("data 52f", "restricted account"),
    ("data 530", "not at this time"),
    ("data 531", "not from this computer"),
    ("data 532", "the password has expired"),
    ("data 533", "the account is disabled"),
    ("data 57", "a parameter is wrong"),
    ("data 701", "the account has expired"),
    ("data 773", "the password must be changed first"),
    ("data 775", "the account is locked out"),
];
/// Results that tell of trouble of the server, not of a question without an answer.
const TROUBLE: &[&str] = &["1", "2", "3", "11", "51", "52", "53", "80"];

fn check(scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    let is_success = |text: &str| matches!(text.split(' ').next(), Some("0" | "14"));
    for (text, sentence) in subject.texts(scene, "ldap", "bind_result") {
        if is_success(text) {
            continue;
        }
        let diagnostics = subject.texts(scene, "ldap", "diagnostic");
        let meaning = DATA.iter().find(|(data, _)| {
            diagnostics
                .iter()
                .any(|(text, _)| text.contains(&format!("{data},")) || text.ends_with(data))
        });
        let meaning = meaning.map_or_else(String::new, |(_, meaning)| format!(": {meaning}"));
        let message = format!(
            "the directory login {} fails with {text}{meaning}",
            subject.path()
        );
        let mut seen = vec![sentence];
        seen.extend(diagnostics.into_iter().map(|(_, sentence)| sentence));
        let severity = subject.weight().min(Severity::Warning);
        let cause = Cause::at(subject.server()).of_client(subject.flow.client().address);
        let draft = Draft::of(BIND_FAILED, severity, subject, message);
        findings.find(subject, draft.caused_by(cause.what(text)).seen(seen));
    }
    for (text, sentence) in subject.texts(scene, "ldap", "result") {
        let number = text.split(' ').next().unwrap_or_default();
        if !TROUBLE.contains(&number) {
            continue;
        }
        let message = format!(
            "{} {} answers {text}",
            subject.what(scene.signatures),
            subject.path()
        );
        let severity = subject.weight().min(Severity::Warning);
        let cause = Cause::at(subject.server()).what(text);
        let draft = Draft::of(OPERATION_FAILED, severity, subject, message);
        findings.find(subject, draft.caused_by(cause).seen([sentence]));
    }
}
