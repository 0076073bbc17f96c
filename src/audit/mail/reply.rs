//! SMTP refusals with their enhanced codes (RFC 5321 4.2, RFC 3463), and what Exchange means by them.

use crate::audit::Severity;
use crate::audit::check::{Check, Code, Told};
use crate::audit::gather::{Cause, Draft, Findings};
use crate::audit::scene::{Scene, Subject};

const REJECTED: &Code = &Code {
    code: "EXW601",
    name: "mail-rejected",
    meaning: "A mail server refused a command for good (5xx).",
    advice: "The enhanced code says what was refused: 5.1.x an address, 5.2.x the mailbox, 5.3.x the server, 5.4.x routing, 5.5.x the order of commands, 5.7.x permission; then read the receive connector's settings and its protocol log.",
};
const DEFERRED: &Code = &Code {
    code: "EXW602",
    name: "mail-deferred",
    meaning: "A mail server put a command off (4xx): mail queues at the sender.",
    advice: "Read the code: 4.3.x are resources of the server (back pressure: disk and memory of the queue database, services), 4.4.x the connection, 4.7.x policy such as throttling and greylisting.",
};

pub(in crate::audit) const REPLY: Check = Check {
    codes: &[REJECTED, DEFERRED],
    start: || Box::new(Told::by(&["smtp"], check)),
};

/// Beginnings of replies, what they mean, and whether the service as a whole is affected.
const MEANINGS: &[(&str, &str, bool)] = &[
    (
        "421 4.3.2",
        "the service is not available or being stopped (also: a receive connector whose component is inactive)",
        true,
    ),
    (
        "421 4.4.2",
        "the connection idled or lasted too long",
        false,
    ),
    (
        "421 4.7.0",
        "too many errors or connections from this source",
        false,
    ),
    (
        "421",
        "the service closes the connection: not available or too many connections",
        true,
    ),
    (
        "450 4.7.1",
        "put off by policy: greylisting or a look-up that failed",
        false,
    ),
    (
        "451 4.7.0",
        "a temporary error of the server: in Exchange often a proxy target or a look-up that failed",
        true,
    ),
    ("451 4.4.0", "routing or DNS failed at the server", true),
    (
        "451 4.3.2",
        "the server does not take mail at present",
        true,
    ),
    (
        "452 4.3.1",
        "back pressure: not enough disk or memory at the server",
        true,
    ),
    ("452 4.5.3", "too many recipients", false),
    (
        "454 4.7.0",
        "authentication or TLS is temporarily not possible",
        true,
    ),
    ("454 4.7.5", "the certificate could not be verified", true),
    (
        "500",
        "a command that the server does not know: a client that is none, or a device that changes commands",
        false,
    ),
    ("501 5.1.", "an address that is not valid", false),
    ("502", "a command that the server does not offer", false),
    ("503", "a command out of order", false),
    ("504", "a mechanism that the server does not offer", false),
    ("530 5.7.0", "TLS is required before mail", true),
    ("530 5.7.1", "the client is not authenticated", true),
    (
        "530 5.7.57",
        "the client is not authenticated to send anonymous mail",
        true,
    ),
    ("535", "the authentication was not successful", true),
    ("550 5.1.", "no such recipient", false),
    ("550 5.7.1", "relaying or sending is not permitted", false),
    (
        "550 5.7.54",
        "relaying is not permitted for this client",
        false,
    ),
    (
        "550 5.7.60",
        "the client may not send as this sender",
        false,
    ),
    ("552 5.3.4", "the message is larger than the limit", false),
    ("554 5.4.", "routing failed or mail loops", true),
    (
        "554 5.7.1",
        "refused by policy: a filter or a block list",
        false,
    ),
];
/// Commands of no account that servers refuse by habit.
const HABITUAL: &[&str] = &["500", "502", "503", "504", "252"];

fn check(scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    for (text, sentence) in subject.texts(scene, "smtp", "reply_error") {
        let known = MEANINGS.iter().find(|(begin, ..)| text.starts_with(begin));
        let (meaning, is_service) = known.map_or(("", false), |(_, text, whole)| (*text, *whole));
        let mut words = text.split(' ');
        let number = words.next().unwrap_or_default();
        let is_status = |word: &&str| word.split('.').count() == 3 && !word.contains(':');
        let status = words.next().filter(is_status).unwrap_or_default();
        // What is wrong with the words of a command says nothing of the mail yet.
        let is_syntax = number == "501" && !status.starts_with("5.1.");
        let is_habitual = HABITUAL.contains(&number) || is_syntax;
        let severity = if is_habitual {
            Severity::Info
        } else if is_service {
            subject.weight()
        } else {
            subject.weight().min(Severity::Warning)
        };
        let (code, how) = if number.starts_with('4') {
            (DEFERRED, "is put off")
        } else {
            (REJECTED, "is refused")
        };
        let meaning = if meaning.is_empty() {
            String::new()
        } else {
            format!(": {meaning}")
        };
        let what = if is_habitual { "a command" } else { "mail" };
        let message = format!(
            "{what} {} {how} with {}{meaning}",
            subject.path(),
            format!("{number} {status}").trim_end()
        );
        let cause = Cause::at(subject.server()).what(format!("{number} {status}"));
        let draft = Draft::of(code, severity, subject, message);
        findings.find(subject, draft.caused_by(cause).seen([sentence]));
    }
}
