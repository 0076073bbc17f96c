//! ICMP errors in words.

use crate::audit::scene;
use crate::evidence::{IcmpError, Seen};

/// "frame 9: 10.0.0.1 reports: communication administratively prohibited".
pub(in crate::audit) fn sentence(error: &IcmpError, seen: Seen) -> String {
    let what = match (error.version, error.kind, error.code) {
        (4, 3, 0) => "network unreachable",
        (4, 3, 1) => "host unreachable",
        (4, 3, 2) => "protocol unreachable",
        (4, 3, 3) | (6, 1, 4) => "port unreachable",
        (4, 3, 4) | (6, 2, _) => "packet too big",
        (4, 3, 9 | 10 | 13) | (6, 1, 1) => "communication administratively prohibited",
        (6, 1, 0) => "no route to destination",
        (6, 1, 3) => "address unreachable",
        (4, 11, _) | (6, 3, _) => "time exceeded",
        (4, 3, _) | (6, 1, _) => "destination unreachable",
        (4, 5, _) => "redirect",
        (4, 12, _) | (6, 4, _) => "parameter problem",
        _ => "ICMP error",
    };
    format!(
        "{}: {} reports {what} (type {} code {})",
        scene::seen(seen),
        error.reporter,
        error.kind,
        error.code
    )
}

/// Whether a packet was too large for the path.
pub(in crate::audit) const fn is_too_big(error: &IcmpError) -> bool {
    matches!(
        (error.version, error.kind, error.code),
        (4, 3, 4) | (6, 2, _)
    )
}
