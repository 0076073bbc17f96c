//! Faults of RPC calls (C706 appendix E, MS-RPCE 3.3).

use crate::audit::Severity;
use crate::audit::check::{Check, Code, Told};
use crate::audit::gather::{Cause, Draft, Findings};
use crate::audit::scene::{Scene, Subject};

const RPC_FAULT: &Code = &Code {
    code: "EXW801",
    name: "rpc-fault",
    meaning: "A server answered a call with a fault.",
    advice: "Access denied: the account, or calls below the level that the server wants. Too busy or out of memory: the server's load. Unknown interface: the service behind the port is not running, or another one.",
};

pub(in crate::audit) const FAULT: Check = Check {
    codes: &[RPC_FAULT],
    start: || Box::new(Told::by(&["dcerpc"], check)),
};

/// Faults that tell of the server's state more than of one call.
const GRAVE: &[&str] = &[
    "nca_s_server_too_busy",
    "nca_s_fault_remote_no_memory",
    "nca_s_unk_if",
    "nca_s_comm_failure",
    "access",
];

fn check(scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    for (text, sentence) in subject.texts(scene, "dcerpc", "fault") {
        let is_grave = GRAVE.iter().any(|word| text.contains(word));
        let severity = match is_grave {
            true => subject.weight().min(Severity::Warning),
            false => Severity::Info,
        };
        let message = format!(
            "{} {}: a call fails with {text}",
            subject.what(scene.signatures),
            subject.path()
        );
        let cause = Cause::host(subject.flow.server().address).what(text);
        let draft = Draft::of(RPC_FAULT, severity, subject, message);
        findings.find(subject, draft.caused_by(cause).seen([sentence]));
    }
}
