//! Binds that a server refuses (C706 12.6.4).

use crate::audit::Severity;
use crate::audit::check::{Check, Code, Told};
use crate::audit::gather::{Cause, Draft, Findings};
use crate::audit::scene::{Scene, Subject};

const BIND_REFUSED: &Code = &Code {
    code: "EXW802",
    name: "rpc-bind-refused",
    meaning: "A server refused a bind, or an interface of it.",
    advice: "Not supported interfaces: the service is stopped, or another program took its port. Authentication types: what both ends accept. Congestion: the server's load.",
};

pub(in crate::audit) const BIND: Check = Check {
    codes: &[BIND_REFUSED],
    start: || Box::new(Told::by(&["dcerpc"], check)),
};

/// Clients ask for the 64-bit form of the same interface beside the plain one, and servers may have one of them only.
const OF_FORM: &str = "transfer syntaxes";

fn check(scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    for name in ["bind_nak", "rejected"] {
        for (text, sentence) in subject.texts(scene, "dcerpc", name) {
            if text.contains(OF_FORM) {
                continue;
            }
            let known = interface(scene, text);
            let what = known.map_or_else(|| text.to_owned(), |name| format!("{name} ({text})"));
            let message = format!("RPC {}: the bind is refused: {what}", subject.path());
            let severity = subject.weight().min(Severity::Warning);
            let cause = Cause::at(subject.server()).what(text);
            let draft = Draft::of(BIND_REFUSED, severity, subject, message);
            findings.find(subject, draft.caused_by(cause).seen([sentence]));
        }
    }
}

/// The name of the interface that a text begins with (`UUID MAJOR.MINOR: ...`).
fn interface<'a>(scene: &Scene<'a>, text: &str) -> Option<&'a str> {
    let (interface, _) = text.split_once(':')?;
    let (uuid, version) = interface.split_once(' ')?;
    let (major, minor) = version.split_once('.')?;
    let (major, minor) = (major.parse().ok()?, minor.parse().ok()?);
    let known = scene
        .signatures
        .interfaces
        .find(uuid.parse().ok()?, major, minor)?;
    Some(&known.name)
}
