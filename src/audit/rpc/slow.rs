//! Calls that take long, where the round trip does not.

use crate::audit::Severity;
use crate::audit::check::{Check, Code, Told};
use crate::audit::gather::{Cause, Draft, Findings};
use crate::audit::scene::{Scene, Subject};

const SLOW_CALLS: &Code = &Code {
    code: "EXW804",
    name: "slow-calls",
    meaning: "RPC calls took two seconds or more at the server.",
    advice: "Look at the server behind the interface: disks of the store, its domain controllers, its processors; the counter of RPC averaged latency should be below ten milliseconds.",
};

pub(in crate::audit) const SLOW: Check = Check {
    codes: &[SLOW_CALLS],
    start: || Box::new(Told::by(&["dcerpc"], check)),
};

/// Steps of the scale from which a person waits, in microseconds.
const SLOW_US: u64 = 2_000_000;
/// Services whose calls wait for events by design.
const WAITING: &[&str] = &["mapi_notification", "cluster_rpc"];

fn check(scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    let steps = subject.flow.facts_of("dcerpc", "answered_within");
    let slow = steps.filter_map(|(fact, sight)| Some((fact.value.as_number()?, sight)));
    let Some((micros, sight)) = slow
        .filter(|(micros, _)| *micros >= SLOW_US)
        .max_by_key(|(micros, _)| *micros)
    else {
        return;
    };
    // Asynchronous calls are answered when something happens (EcDoAsyncWaitEx).
    let waits = |id: &str| WAITING.contains(&id);
    let mut bound = subject.attribution.rpc.iter();
    let has_waiting = bound.any(|rpc| {
        rpc.name
            .as_deref()
            .is_some_and(|name| name.contains("Async"))
    });
    if has_waiting
        || subject
            .attribution
            .service
            .as_ref()
            .is_some_and(|id| waits(id.as_str()))
    {
        return;
    }
    let seconds = micros / 1_000_000;
    let message = format!(
        "{} {}: a call takes up to {seconds} s",
        subject.what(scene.signatures),
        subject.path()
    );
    let sentence = format!(
        "{}: answered within {seconds} s, not sooner",
        scene.frame(sight)
    );
    let severity = subject.weight().min(Severity::Warning);
    let cause = Cause::at(subject.server());
    let draft = Draft::of(SLOW_CALLS, severity, subject, message);
    findings.find(subject, draft.caused_by(cause).seen([sentence]));
}
