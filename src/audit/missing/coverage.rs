//! What was not visible, so that silence is not read as health.

use crate::attribution::State;
use crate::audit::Severity;
use crate::audit::check::{Check, Code, Watch};
use crate::audit::gather::{Cause, Draft, Findings};
use crate::audit::scene::{Scene, Subject};

const NOT_VISIBLE: &Code = &Code {
    code: "EXW990",
    name: "not-visible",
    meaning: "How much of the traffic could not be judged: sealed, begun before the capture, seen from one side, or in no known form. No finding there does not mean that all is well. The five documents do not speak of captures.",
    advice: "To see more: begin the capture before the connections do, mirror both directions, keep whole packets, and capture where the traffic is not yet or no longer sealed.",
};

pub(in crate::audit) const COVERAGE: Check = Check {
    codes: &[NOT_VISIBLE],
    start: || Box::new(Coverage::default()),
};

/// Flows by what hides them; one may be hidden in several ways.
#[derive(Default)]
struct Coverage {
    flows: u64,
    sealed: u64,
    midstream: u64,
    one_sided: u64,
    unnamed: u64,
}

impl Watch for Coverage {
    fn observe(&mut self, _: &Scene<'_>, subject: Subject<'_>, _: &mut Findings<'_>) {
        let flow = subject.flow;
        let add = |count: &mut u64, holds: bool| {
            *count = count.saturating_add(u64::from(holds));
        };
        add(&mut self.flows, true);
        add(
            &mut self.sealed,
            subject.attribution.encryption.kind.hides(),
        );
        let state = flow.state();
        add(&mut self.midstream, state == State::Midstream);
        // A SYN without an answer is an event; a conversation without its other side is a blind spot.
        let is_silent = matches!(state, State::Attempted | State::Refused);
        let is_tcp = flow.tracker.tcp.is_some();
        add(
            &mut self.one_sided,
            is_tcp && !is_silent && !flow.tracker.is_two_way(),
        );
        let is_unnamed = flow.has_payload() && subject.attribution.protocols.is_empty();
        add(&mut self.unnamed, is_unnamed);
    }

    fn finish(self: Box<Self>, _: &Scene<'_>, findings: &mut Findings<'_>) {
        let parts: Vec<String> = [
            (self.sealed, "sealed (what is inside is not judged)"),
            (
                self.midstream,
                "begun before the capture (their handshake is not judged)",
            ),
            (self.one_sided, "seen from one side only"),
            (self.unnamed, "in no form that is known"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
        if parts.is_empty() {
            return;
        }
        findings.tell(Draft {
            code: NOT_VISIBLE,
            severity: Severity::Info,
            row: None,
            message: format!("of {} flows {}", self.flows, parts.join(", ")),
            evidence: Vec::new(),
            cause: Cause::default(),
        });
    }
}
