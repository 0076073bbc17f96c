//! EXW50x: TLS that does not come about, and certificates that do not hold.

mod alert;
mod certificate;
mod silent;

pub(super) use alert::ALERT;
pub(super) use certificate::CERTIFICATE;
pub(super) use silent::SILENT;

use super::Severity;
use super::scene::Subject;

/// Between hosts of the matrix a failed handshake is an outage; between strangers on a port that anybody uses a browser left.
fn severity(subject: Subject<'_>) -> Severity {
    let has_role = [subject.client(), subject.server()]
        .iter()
        .any(|party| !party.roles.is_empty());
    let service = subject.attribution.service.as_ref().map(|id| id.as_str());
    let is_everyday = service.is_none_or(|service| service == "web") && !has_role;
    if subject.is_ours() && subject.is_known() {
        Severity::Error
    } else if subject.is_ours() || (!subject.attribution.rows.is_empty() && !is_everyday) {
        Severity::Warning
    } else {
        Severity::Info
    }
}
