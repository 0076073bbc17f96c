//! AD LDS of an Edge Transport server: without SSL only on the host itself (contradictions C08).

use crate::audit::Severity;
use crate::audit::check::{Check, Code, Told};
use crate::audit::gather::{Draft, Findings};
use crate::audit::scene::{Scene, Subject};
use crate::signature::Role;

/// The AD LDS port without SSL (ref2010, notes on Transport servers).
const PORT: u16 = 50389;

const AD_LDS_CLEAR: &Code = &Code {
    code: "EXW205",
    name: "ad-lds-clear",
    meaning: "AD LDS of an Edge Transport server was reached without SSL across the network.",
    advice: "Use 50636; keep 50389 for utilities on the Edge server itself.",
};

pub(in crate::audit) const AD_LDS: Check = Check {
    codes: &[AD_LDS_CLEAR],
    start: || Box::new(Told::by_any(ad_lds)),
};

/// Whether AD LDS is read in clear across the network.
pub(in crate::audit) fn is_clear_ad_lds(subject: Subject<'_>) -> bool {
    let flow = subject.flow;
    let is_local = flow.client().address == flow.server().address;
    flow.server().port == PORT && flow.proves("ldap") && !flow.proves("tls") && !is_local
}

/// AD LDS without SSL is for utilities on the Edge host itself (contradictions C08).
fn ad_lds(_: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    if !is_clear_ad_lds(subject) {
        return;
    }
    let roles = &subject.client().roles;
    let severity = if roles.contains(&Role::Admin) {
        Severity::Info
    } else if subject.is_known() && roles.iter().any(|role| role.is_exchange()) {
        Severity::Error
    } else {
        Severity::Warning
    };
    let message = format!("AD LDS read without SSL {}", subject.path());
    let draft = Draft::of(AD_LDS_CLEAR, severity, subject, message).by_row(subject.best());
    findings.find(subject, draft);
}
