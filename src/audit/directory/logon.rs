//! Logons of Windows that fail.

use crate::audit::Severity;
use crate::audit::check::{Check, Code, Told};
use crate::audit::gather::{Cause, Draft, Findings};
use crate::audit::scene::{Scene, Subject};

const LOGON_FAILED: &Code = &Code {
    code: "EXW706",
    name: "logon-failed",
    meaning: "A server refused the set-up of a session or of a share (SMB).",
    advice: "The status says why: logon_failure is the password, access_denied the permission, bad_network_name a share that is not there.",
};

pub(in crate::audit) const LOGON: Check = Check {
    codes: &[LOGON_FAILED],
    start: || Box::new(Told::by(&["smb"], check)),
};

fn check(scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    for name in ["session_status", "tree_status"] {
        for (text, sentence) in subject.texts(scene, "smb", name) {
            let message = format!("SMB {} is refused: {text}", subject.path());
            let severity = subject.weight().min(Severity::Warning);
            let cause = Cause::at(subject.server()).of_client(subject.flow.client().address);
            let draft = Draft::of(LOGON_FAILED, severity, subject, message);
            findings.find(subject, draft.caused_by(cause.what(text)).seen([sentence]));
        }
    }
}
