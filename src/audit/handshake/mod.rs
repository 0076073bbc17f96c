//! EXW50x: TLS that does not come about, and certificates that do not hold.

mod alert;
mod certificate;
mod silent;

pub(super) use alert::ALERT;
pub(super) use certificate::CERTIFICATE;
pub(super) use silent::SILENT;

use super::Severity;
use super::scene::Subject;

/// Between hosts of the matrix a failed handshake is an outage; elsewhere somebody's browser may have left.
fn severity(subject: Subject<'_>) -> Severity {
    let is_documented = !subject.attribution.rows.is_empty();
    if subject.is_ours() && subject.is_known() {
        Severity::Error
    } else if subject.is_ours() || is_documented {
        Severity::Warning
    } else {
        Severity::Info
    }
}
