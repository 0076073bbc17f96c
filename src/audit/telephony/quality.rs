//! How media arrive: loss as RFC 3550 counts it.

use crate::audit::Severity;
use crate::audit::check::{Check, Code, Each};
use crate::audit::gather::{Cause, Draft, Findings};
use crate::audit::scene::{Scene, Subject, host};

const LOSSY: &Code = &Code {
    code: "EXW311",
    name: "media-loss",
    meaning: "A media stream lost five percent of its packets or more before the capture.",
    advice: "Look upstream of the capture: queues without priority for voice, a line that is full, wireless. `exwire calls` shows jitter and what the far end reports.",
};

pub(in crate::audit) const QUALITY: Check = Check {
    codes: &[LOSSY],
    start: || Box::new(Each(check)),
};

/// Packets before a share means something.
const MIN_PACKETS: u64 = 100;
/// One packet in so many: from there on concealment is heard.
const ONE_IN: i64 = 20;

fn check(_: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    if !subject.attribution.spoken.contains(&"rtp") {
        return;
    }
    for (key, stream) in &subject.flow.streams {
        let expected = i64::try_from(stream.packets)
            .unwrap_or(i64::MAX)
            .saturating_add(stream.lost);
        let is_bad = stream.lost > 0 && stream.lost.saturating_mul(ONE_IN) >= expected;
        if stream.packets < MIN_PACKETS || !is_bad {
            continue;
        }
        let sender = if key.side == subject.flow.client {
            subject.client()
        } else {
            subject.server()
        };
        let message = format!(
            "media of {} {}: {} of {expected} packets are lost",
            host(sender),
            subject.path(),
            stream.lost
        );
        let cause = Cause::host(sender.endpoint.address);
        let draft = Draft::of(LOSSY, Severity::Warning, subject, message);
        findings.find(subject, draft.caused_by(cause));
    }
}
