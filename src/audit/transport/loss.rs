//! Segments sent again or out of order, and receivers that do not read.

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
const SHUFFLED: &Code = &Code {
    code: "EXW416",
    name: "segments-out-of-order",
    meaning: "One segment in twenty of a connection, or more, was overtaken by a later one on its way: the sender takes it for lost and slows down (RFC 5681 3.2).",
    advice: "Look for parallel paths that packets of one connection are spread over: links shared packet by packet instead of flow by flow, two providers, a VPN or a filtering device with several processors.",
};

pub(in crate::audit) const LOSS: Check = Check {
    codes: &[LOSS_ON_PATH, FULL_RECEIVER, SHUFFLED],
    start: || Box::new(Each(check)),
};

/// Fewer than these are ordinary.
const MIN_RETRANSMISSIONS: u32 = 10;
/// One in so many segments with payload, at least: 5 %, from where TCP crawls.
const ONE_IN: u64 = 20;
/// Segments out of order that are no accident: three that overtake one segment have it sent again (RFC 5681 3.2), and a change
/// of route shuffles what is on its way once.
const MIN_OVERTAKEN: u16 = 10;
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
    let what = || subject.what(scene.signatures);
    for side in Side::BOTH {
        let again = tcp.misorder[side].retransmissions;
        let packets = flow.tracker.packets[side];
        if again >= MIN_RETRANSMISSIONS && u64::from(again).saturating_mul(ONE_IN) >= packets {
            let message = format!(
                "{} {}: {} sends {again} of {packets} packets again, which the path loses, or their acknowledgments",
                what(),
                subject.path(),
                host(party(side))
            );
            let sentence = format!("{again} of {packets} packets are retransmissions");
            let cause = Cause::at(subject.server()).of_client(flow.client().address);
            let draft = Draft::of(LOSS_ON_PATH, Severity::Warning, subject, message);
            findings.find(subject, draft.caused_by(cause).seen([sentence]));
        }
        let overtaken = tcp.misorder[side].overtaken;
        let is_shuffled = u64::from(overtaken).saturating_mul(ONE_IN) >= packets;
        // A capture that is itself out of order proves nothing of the path.
        if overtaken >= MIN_OVERTAKEN && is_shuffled && flow.tracker.out_of_time == 0 {
            let message = format!(
                "{} {}: segments of {} overtake each other",
                what(),
                subject.path(),
                host(party(side))
            );
            let sentence = format!(
                "{overtaken} of {packets} packets come behind a later one, within half a round trip: they were not sent again"
            );
            let [from, to] = [side, side.other()].map(|side| party(side).endpoint.address);
            let cause = Cause::host(from).of_client(to);
            let draft = Draft::of(SHUFFLED, Severity::Warning, subject, message);
            findings.find(subject, draft.caused_by(cause).seen([sentence]));
        }
        let full = tcp.zero_windows[side];
        if full >= MIN_ZERO_WINDOWS {
            let message = format!(
                "{} {}: {} does not read what it is sent",
                what(),
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
