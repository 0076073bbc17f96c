//! Ports by version: a path that the documents give another version of the product only (contradictions C12, C40, C43).

use crate::attribution::{Fit, Verdict};
use crate::audit::Severity;
use crate::audit::check::{Check, Code, Each};
use crate::audit::gather::{Draft, Findings};
use crate::audit::scene::{Scene, Subject, is_server};
use crate::evidence::Strength;

const OTHER_VERSION: &Code = &Code {
    code: "EXW110",
    name: "other-version",
    meaning: "A path that the documents know, but not for the version of these hosts.",
    advice: "Check the `product` of both hosts in the topology file, then which service listens there: each version has ports of its own.",
};

pub(in crate::audit) const VERSION: Check = Check {
    codes: &[OTHER_VERSION],
    start: || Box::new(Each(check)),
};

fn check(scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    let attribution = subject.attribution;
    let answers = subject.flow.tracker.packets[subject.flow.client.other()] > 0;
    if !attribution.rows.is_empty() || !subject.is_known() || !answers {
        return;
    }
    // A service that is proven and in no row has its own finding.
    if let Verdict::Undocumented { .. } | Verdict::Contradicted { .. } = attribution.verdict {
        return;
    }
    let Some((row, _)) = attribution
        .misfits
        .iter()
        .find(|(_, fit)| *fit == Fit::OtherProduct)
    else {
        return;
    };
    let server = subject.server();
    let (Some(product), true) = (server.product, is_server(server)) else {
        return;
    };
    let severity = match attribution.strength {
        Some(Strength::Proven | Strength::Corroborated) => Severity::Warning,
        _ => Severity::Info,
    };
    let message = format!(
        "{} {}: `{}` is not documented for {}",
        subject.what(scene.signatures),
        subject.path(),
        scene.title(row),
        product.word()
    );
    let draft = Draft::of(OTHER_VERSION, severity, subject, message).by_row(Some(row));
    findings.find(subject, draft);
}
