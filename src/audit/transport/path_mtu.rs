//! Packets too large for the path, where the sender does not learn it.

use crate::audit::Severity;
use crate::audit::check::{Check, Code, Each};
use crate::audit::gather::{Cause, Draft, Findings};
use crate::audit::reachability::{icmp, is_too_big};
use crate::audit::scene::{Scene, Subject, host};
use crate::flow::{CARRIED, TcpTracker};
use crate::net::Side;

const TOO_LARGE: &Code = &Code {
    code: "EXW414",
    name: "path-mtu",
    meaning: "A router says that packets are too large for the path, and the sender goes on sending them.",
    advice: "Let ICMP \"fragmentation needed\" (IPv4 type 3 code 4, IPv6 type 2) through to the sender, or lower the MTU or the MSS on the path (VPN, tunnel).",
};

const BLACK_HOLE: &Code = &Code {
    code: "EXW415",
    name: "path-mtu-black-hole",
    meaning: "A large segment was sent again and again and never arrived, while a later one did, and no ICMP error said why: packets above some size are lost on the path (RFC 2923).",
    advice: "Lower the MTU or clamp the MSS on the path (VPN, tunnel, PPPoE), and let ICMP \"fragmentation needed\" (IPv4 type 3 code 4, IPv6 type 2) through to the sender; `ping -f -l 1472` finds the size.",
};

pub(in crate::audit) const PATH_MTU: Check = Check {
    codes: &[TOO_LARGE, BLACK_HOLE],
    start: || Box::new(Each(check)),
};

/// A sender that hears of it sends what was on its way again, smaller, once: the ten segments of a first window (RFC 6928).
const MIN_RETRANSMISSIONS: u32 = 11;

/// A segment that is lost so often in a row, while others pass, is not lost by chance.
const MIN_STUCK: u16 = 4;

fn check(scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    let flow = subject.flow;
    let Some(tcp) = &flow.tracker.tcp else { return };
    let told = flow.errors.iter().find(|(error, _)| is_too_big(error));
    let Some((error, seen)) = told else {
        return black_hole(scene, subject, tcp, findings);
    };
    let again = tcp.misorder[error.quoted_sender].retransmissions;
    if again < MIN_RETRANSMISSIONS {
        return;
    }
    let message = format!(
        "{} {}: packets are too large for the path, and {again} are sent again",
        subject.what(scene.signatures),
        subject.path()
    );
    let cause = Cause::host(error.reporter);
    let draft = Draft::of(TOO_LARGE, Severity::Warning, subject, message);
    findings.find(subject, draft.caused_by(cause).seen([icmp(error, *seen)]));
}

fn black_hole(
    scene: &Scene<'_>,
    subject: Subject<'_>,
    tcp: &TcpTracker,
    findings: &mut Findings<'_>,
) {
    let flow = subject.flow;
    for side in Side::BOTH {
        let stuck = tcp.misorder[side].stuck;
        if stuck < MIN_STUCK {
            continue;
        }
        let sender = if side == flow.client {
            subject.client()
        } else {
            subject.server()
        };
        let message = format!(
            "{} {}: large packets of {} are lost on the path, small ones arrive, and no ICMP error says so",
            subject.what(scene.signatures),
            subject.path(),
            host(sender)
        );
        let sentence = format!(
            "frame {}: a segment of more than {CARRIED} bytes is sent again {stuck} times and never acknowledged; a later one arrived",
            flow.tracker.first_number
        );
        let cause = Cause::at(subject.server()).of_client(flow.client().address);
        let draft = Draft::of(BLACK_HOLE, subject.weight(), subject, message);
        findings.find(subject, draft.caused_by(cause).seen([sentence]));
    }
}
