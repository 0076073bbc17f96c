//! What was not visible, so that silence is not read as health.

use crate::attribution::State;
use crate::audit::Severity;
use crate::audit::check::{Check, Code, Watch};
use crate::audit::gather::{Cause, Draft, Findings};
use crate::audit::scene::{Scene, Subject};

const NOT_VISIBLE: &Code = &Code {
    code: "EXW990",
    name: "not-visible",
    meaning: "How much of the traffic could not be judged: sealed, begun before the capture, seen from one side, in no known form, lost by the capturing host, cut short, or beyond a limit of the audit. No finding there does not mean that all is well. The five documents do not speak of captures.",
    advice: "To see more: begin the capture before the connections do, mirror both directions, keep whole packets (`-s 0`), capture to a faster disk or through a filter where packets are lost, and capture where the traffic is not yet or no longer sealed.",
};

pub(in crate::audit) const COVERAGE: Check = Check {
    codes: &[NOT_VISIBLE],
    start: || Box::new(Coverage::default()),
};

/// What the scan's counters of packets that a capture cuts begin with, one for each layer that misses bytes.
const TRUNCATED: &str = "truncated_";

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

    fn finish(self: Box<Self>, scene: &Scene<'_>, findings: &mut Findings<'_>) {
        let said = |(count, what): &(u64, &str)| (*count > 0).then(|| format!("{count} {what}"));
        let of_flows: Vec<String> = [
            (self.sealed, "sealed (what is inside is not judged)"),
            (
                self.midstream,
                "begun before the capture (their handshake is not judged)",
            ),
            (self.one_sided, "seen from one side only"),
            (self.unnamed, "in no form that is known"),
        ]
        .iter()
        .filter_map(said)
        .collect();
        let of_packets = [
            (lost(scene), "lost by the capturing host"),
            (cut(scene), "cut short by the capture"),
        ];
        let mut parts: Vec<String> = of_packets
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, how)| format!("{} {how}", many(count, "packet")))
            .collect();
        if !of_flows.is_empty() {
            parts.insert(
                0,
                format!("of {} {}", many(self.flows, "flow"), of_flows.join(", ")),
            );
        }
        let too_many: Vec<String> = findings
            .passed_over()
            .iter()
            .map(|(what, count)| format!("{count} {what} were too many to follow"))
            .collect();
        if parts.is_empty() && too_many.is_empty() {
            return;
        }
        if parts.is_empty() {
            let flows = many(self.flows, "flow");
            parts.push(format!("not all of {flows} could be followed"));
        }
        findings.tell(Draft {
            code: NOT_VISIBLE,
            severity: Severity::Info,
            row: None,
            message: parts.join("; "),
            evidence: too_many,
            cause: Cause::default(),
        });
    }
}

/// "1 flow", "2 flows".
fn many(count: u64, one: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {one}{plural}")
}

/// Packets that the capturing hosts say they lost (interface statistics of pcapng).
fn lost(scene: &Scene<'_>) -> u64 {
    let records = scene.judged.ledger().captures().values();
    records.fold(0, |sum, record| sum.saturating_add(record.drops))
}

/// Packets that the captures hold the beginning of.
fn cut(scene: &Scene<'_>) -> u64 {
    let records = scene.judged.ledger().captures().values();
    records
        .flat_map(|record| &record.counters)
        .filter(|(name, _)| name.starts_with(TRUNCATED))
        .fold(0, |sum, (_, count)| sum.saturating_add(*count))
}
