//! Packets too large for the path, where the sender does not learn it.

use crate::audit::Severity;
use crate::audit::check::{Check, Code, Each};
use crate::audit::gather::{Cause, Draft, Findings};
use crate::audit::reachability::{icmp, is_too_big};
use crate::audit::scene::{Scene, Subject};

const TOO_LARGE: &Code = &Code {
    code: "EXW414",
    name: "path-mtu",
    meaning: "A router says that packets are too large for the path, and the sender goes on sending them.",
    advice: "Let ICMP \"fragmentation needed\" (IPv4 type 3 code 4, IPv6 type 2) through to the sender, or lower the MTU or the MSS on the path (VPN, tunnel).",
};

pub(in crate::audit) const PATH_MTU: Check = Check {
    codes: &[TOO_LARGE],
    start: || Box::new(Each(check)),
};

/// A sender that hears of it sends what was on its way again, smaller, once: the ten segments of a first window (RFC 6928).
const MIN_RETRANSMISSIONS: u32 = 11;

fn check(scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    let flow = subject.flow;
    let Some(tcp) = &flow.tracker.tcp else { return };
    let told = flow.errors.iter().find(|(error, _)| is_too_big(error));
    let Some((error, seen)) = told else { return };
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
