//! Greetings that are late, and replies that are held back.

use crate::audit::Severity;
use crate::audit::check::{Check, Code, Told};
use crate::audit::gather::{Draft, Findings};
use crate::audit::scene::{Scene, Subject};

const LATE_GREETING: &Code = &Code {
    code: "EXW607",
    name: "late-greeting",
    meaning: "A mail server took five seconds or more to greet.",
    advice: "It waits for something before it speaks: usually the reverse look-up of the client's address or a block list, by a DNS server that does not answer; or it is under back pressure.",
};
const TARPIT: &Code = &Code {
    code: "EXW608",
    name: "tarpit",
    meaning: "A mail server took five seconds or more to answer a command.",
    advice: "Exchange holds back refusals by TarpitInterval of the receive connector (five seconds by default) and acknowledgments by MaxAcknowledgementDelay (30 seconds); else look at its resources, filters and look-ups.",
};

pub(in crate::audit) const DELAY: Check = Check {
    codes: &[LATE_GREETING, TARPIT],
    start: || Box::new(Told::by(&["smtp", "pop3", "imap"], check)),
};

/// Where senders become impatient, in nanoseconds; RFC 5321 4.5.3.2 lets them wait five minutes.
const LATE_NS: i64 = 5_000_000_000;

fn check(scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    let flow = subject.flow;
    let is_mail = ["smtp", "pop3", "imap"]
        .iter()
        .any(|name| flow.proves(name));
    let first = flow.tracker.tcp.as_ref().and_then(|tcp| tcp.first_answer());
    let late = first.filter(|first| first.is_greeting && first.server_ns >= LATE_NS);
    if let Some(late) = late.filter(|_| is_mail) {
        let seconds = late.server_ns / 1_000_000_000;
        let what = subject.what(scene.signatures);
        let message = format!(
            "{what} {}: the greeting comes after {seconds} s",
            subject.path()
        );
        let severity = subject.weight().min(Severity::Warning);
        let draft = Draft::of(LATE_GREETING, severity, subject, message);
        findings.find(subject, draft);
    }
    let slow = subject.texts(scene, "smtp", "slow_reply");
    if let Some((text, _)) = slow.first() {
        let message = format!("mail {}: replies are held back ({text})", subject.path());
        let severity = subject.weight().min(Severity::Warning);
        let sentences = slow.iter().map(|(_, sentence)| sentence.clone());
        let draft = Draft::of(TARPIT, severity, subject, message);
        findings.find(subject, draft.seen(sentences));
    }
}
