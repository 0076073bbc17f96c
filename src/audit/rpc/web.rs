//! Web services that answer with errors of the server.

use crate::audit::Severity;
use crate::audit::check::{Check, Code, Told};
use crate::audit::gather::{Cause, Draft, Findings};
use crate::audit::scene::{Scene, Subject};

const SERVER_ERROR: &Code = &Code {
    code: "EXW805",
    name: "web-server-error",
    meaning: "A web service answered with an error of the server (5xx).",
    advice: "500: the application (event log, IIS log with its sub-status). 502 and 504: a proxy or load balancer that does not reach the server behind it. 503: the application pool is stopped, or the server is out of service.",
};

pub(in crate::audit) const WEB: Check = Check {
    codes: &[SERVER_ERROR],
    start: || Box::new(Told::by(&["http"], check)),
};

fn check(scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    for (fact, sight) in subject.flow.facts_of("http", "status") {
        let Some(status @ 500..=599) = fact.value.as_number() else {
            continue;
        };
        let meaning = match status {
            500 => "internal error",
            501 => "not implemented",
            502 => "bad gateway: the server behind it was not reached or not understood",
            503 => "service unavailable",
            504 => "the server behind it did not answer in time",
            _ => "error of the server",
        };
        let message = format!(
            "{} {} answers {status}: {meaning}",
            subject.what(scene.signatures),
            subject.path()
        );
        let mut seen = vec![format!("{}: HTTP status {status}", scene.frame(sight))];
        let path = subject.flow.texts("http", "path").next();
        seen.extend(path.map(|path| format!("path `{path}`")));
        let severity = subject.weight().min(Severity::Warning);
        let cause = Cause::at(subject.server()).what(status.to_string());
        let draft = Draft::of(SERVER_ERROR, severity, subject, message);
        findings.find(subject, draft.caused_by(cause).seen(seen));
    }
}
