//! Versions of TLS that their own documents have taken back (RFC 6176, RFC 7568, RFC 8996).

use crate::audit::Severity;
use crate::audit::check::{Check, Code, Told};
use crate::audit::gather::{Cause, Draft, Findings};
use crate::audit::scene::{Scene, Subject};

const DEPRECATED_TLS: &Code = &Code {
    code: "EXW207",
    name: "deprecated-tls",
    meaning: "A server chose a version of TLS or SSL that is deprecated: RFC 6176 (SSL 2.0), RFC 7568 (SSL 3.0), RFC 8996 (TLS 1.0, 1.1). The five documents name no version.",
    advice: "Enable TLS 1.2 at both ends (on Windows under SCHANNEL\\Protocols), then turn the old versions off.",
};

pub(in crate::audit) const DEPRECATED: Check = Check {
    codes: &[DEPRECATED_TLS],
    start: || Box::new(Told::by(&["tls"], check)),
};

fn check(scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    let found = subject.says(scene, "tls", "server_version", |version| {
        matches!(version, "ssl2" | "ssl3" | "1.0" | "1.1")
    });
    // The imitation of a handshake before TURN (MS-TURN 2.1.1) chooses nothing.
    let is_imitated = subject.flow.facts_of("tls", "pseudo").next().is_some();
    let (Some((version, sentence)), false) = (found, is_imitated) else {
        return;
    };
    // Broken for good, against out of date.
    let severity = match version {
        "ssl2" | "ssl3" if subject.is_ours() => Severity::Warning,
        _ => Severity::Info,
    };
    let named = match version {
        "ssl2" => "SSL 2.0".to_owned(),
        "ssl3" => "SSL 3.0".to_owned(),
        version => format!("TLS {version}"),
    };
    let message = format!(
        "{} {} uses {named}",
        subject.what(scene.signatures),
        subject.path()
    );
    let cause = Cause::at(subject.server()).what(version);
    let draft = Draft::of(DEPRECATED_TLS, severity, subject, message);
    findings.find(
        subject,
        draft.seen([sentence]).by_row(None).caused_by(cause),
    );
}
