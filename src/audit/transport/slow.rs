//! Slow networks against slow servers: the round trip of the handshake against the time to the first answer.

use crate::audit::Severity;
use crate::audit::check::{Check, Code, Each};
use crate::audit::gather::{Cause, Draft, Findings};
use crate::audit::scene::{Scene, Subject};

const SLOW_NETWORK: &Code = &Code {
    code: "EXW412",
    name: "slow-network",
    meaning: "The round trip of the handshake took 500 ms or more.",
    advice: "Measure the path between the two hosts (lines, VPN, filtering devices): the server's program has no part in a handshake.",
};
const SLOW_SERVER: &Code = &Code {
    code: "EXW413",
    name: "slow-server",
    meaning: "The first answer took three seconds or more beyond the round trip: the network is fast, the service is slow.",
    advice: "Look at the server: its load, its domain controller and DNS (a slow look-up is waited for inside), its disks.",
};

pub(in crate::audit) const SLOW: Check = Check {
    codes: &[SLOW_NETWORK, SLOW_SERVER],
    start: || Box::new(Each(check)),
};

/// A round trip beyond that of any landline on earth, in nanoseconds.
const SLOW_HANDSHAKE_NS: i64 = 500_000_000;
/// An answer that a person notices and a probe of a load balancer gives up on, in nanoseconds.
const SLOW_ANSWER_NS: i64 = 3_000_000_000;
/// Protocols with findings of their own for slow answers.
const OWN: &[&str] = &["smtp", "pop3", "imap", "dcerpc"];
/// Protocols in which the first answer to the first bytes may take its time by design: events are waited for.
const WAITING: &[&str] = &["sip", "log_shipping"];

fn check(scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    let flow = subject.flow;
    let Some(tcp) = &flow.tracker.tcp else { return };
    if subject.attribution.rows.is_empty() {
        return;
    }
    let what = || subject.what(scene.signatures);
    let millis = |nanos: i64| nanos / 1_000_000;
    let trip = tcp.handshake().map(|handshake| {
        let near = handshake.client_ns.unwrap_or(0);
        handshake.server_ns.saturating_add(near)
    });
    let cause = || Cause::at(subject.server()).of_client(flow.client().address);
    if let Some(trip) = trip.filter(|&trip| trip >= SLOW_HANDSHAKE_NS) {
        let message = format!(
            "{} {}: a round trip takes {} ms",
            what(),
            subject.path(),
            millis(trip)
        );
        let sentence = format!(
            "frame {}: SYN to acknowledgment in {} ms",
            flow.tracker.first_number,
            millis(trip)
        );
        let draft = Draft::of(SLOW_NETWORK, Severity::Info, subject, message);
        findings.find(subject, draft.caused_by(cause()).seen([sentence]));
    }
    let spoken = &subject.attribution.spoken;
    let is_other = spoken
        .iter()
        .any(|name| OWN.contains(name) || WAITING.contains(name));
    let Some(answer) = tcp.first_answer().filter(|_| !is_other) else {
        return;
    };
    let beyond = answer.server_ns.saturating_sub(trip.unwrap_or(0));
    if beyond < SLOW_ANSWER_NS || answer.is_greeting {
        return;
    }
    let message = format!(
        "{} {}: the first answer takes {} ms",
        what(),
        subject.path(),
        millis(answer.server_ns)
    );
    let sentence = match trip {
        Some(trip) => format!(
            "a round trip takes {} ms: the network is not what is slow",
            millis(trip)
        ),
        None => "the round trip was not seen".to_owned(),
    };
    let severity = if trip.is_some() && subject.is_ours() {
        Severity::Warning
    } else {
        Severity::Info
    };
    let draft = Draft::of(SLOW_SERVER, severity, subject, message);
    findings.find(subject, draft.caused_by(cause()).seen([sentence]));
}
