//! Segments sent again, and receivers that do not read.

use crate::audit::Severity;
use crate::audit::check::{Check, Code, Each};
use crate::audit::gather::{Cause, Draft, Findings};
use crate::audit::scene::{Scene, Subject, host};
use crate::net::Side;

const LOSS_ON_PATH: &Code = &Code {
    code: "EXW410",
    name: "retransmissions",
    meaning: "Many segments of a connection were sent again: they or their acknowledgments were lost.",
    advice: "Look at errors and drops of the switch ports and the duplex between the two hosts; retransmissions that the capture shows were lost beyond it, seen from the sender.",
};
const FULL_RECEIVER: &Code = &Code {
    code: "EXW411",
    name: "zero-window",
    meaning: "A receiver said again and again that its buffer is full: the program behind it does not read.",
    advice: "Look at the receiving host, not at the network: processor, disk, garbage collection, or a scanner that sits between.",
};

pub(in crate::audit) const LOSS: Check = Check {
    codes: &[LOSS_ON_PATH, FULL_RECEIVER],
    start: || Box::new(Each(check)),
};

/// Fewer than these are ordinary.
const MIN_RETRANSMISSIONS: u32 = 10;
/// One in so many segments with payload, at least: 5 %, from where TCP crawls.
const ONE_IN: u64 = 20;
/// Full buffers that are no accident.
const MIN_ZERO_WINDOWS: u32 = 5;

fn check(scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    let flow = subject.flow;
    let Some(tcp) = &flow.tracker.tcp else { return };
    if subject.attribution.rows.is_empty() {
        return;
    }
    let party = |side: Side| {
        if side == flow.client {
            subject.client()
        } else {
            subject.server()
        }
    };
    let what = subject.what(scene.signatures);
    for side in Side::BOTH {
        let again = tcp.misorder[side].retransmissions;
        let packets = flow.tracker.packets[side];
        if again >= MIN_RETRANSMISSIONS && u64::from(again).saturating_mul(ONE_IN) >= packets {
            let message = format!(
                "{what} {}: {} sends much of it again",
                subject.path(),
                host(party(side))
            );
            let sentence = format!("{again} of {packets} packets are retransmissions");
            let cause = Cause::at(subject.server()).of_client(flow.client().address);
            let draft = Draft::of(LOSS_ON_PATH, Severity::Warning, subject, message);
            findings.find(subject, draft.caused_by(cause).seen([sentence]));
        }
        let full = tcp.zero_windows[side];
        if full >= MIN_ZERO_WINDOWS {
            let message = format!(
                "{what} {}: {} does not read what it is sent",
                subject.path(),
                host(party(side))
            );
            let sentence = format!("{full} segments of it say that its buffer is full (window 0)");
            let cause = Cause::host(party(side).endpoint.address);
            let draft = Draft::of(FULL_RECEIVER, Severity::Warning, subject, message);
            findings.find(subject, draft.caused_by(cause).seen([sentence]));
        }
    }
}
