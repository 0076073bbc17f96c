//! Logons of Windows that fail, and NTLM where Kerberos is the default.

use crate::audit::Severity;
use crate::audit::check::{Check, Code, Each};
use crate::audit::gather::{Cause, Draft, Findings};
use crate::audit::scene::{Scene, Subject};

const NTLM: &Code = &Code {
    code: "EXW706",
    name: "ntlm-instead-of-kerberos",
    meaning: "NTLM was used where every row that fits names Kerberos as the default.",
    advice: "Usually the service principal name is missing or the client asks by address instead of by name; NTLM works, and loads the domain controllers with every connection.",
};
const LOGON_FAILED: &Code = &Code {
    code: "EXW707",
    name: "logon-failed",
    meaning: "A server refused the set-up of a session or of a share (SMB).",
    advice: "The status says why: logon_failure is the password, access_denied the permission, bad_network_name a share that is not there.",
};

pub(in crate::audit) const LOGON: Check = Check {
    codes: &[NTLM, LOGON_FAILED],
    start: || Box::new(Each(check)),
};

fn check(scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings) {
    ntlm(scene, subject, findings);
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

fn ntlm(scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings) {
    let seen = &subject.attribution.authentication;
    let uses = |word: &str| seen.iter().any(|mechanism| mechanism == word);
    if !uses("ntlm") || uses("kerberos") || !subject.is_known() {
        return;
    }
    let paths = subject.paths(scene.signatures);
    let wants_kerberos = |row: &&crate::signature::Row| {
        !row.auth_default.is_empty() && row.auth_default.iter().all(|word| &**word == "kerberos")
    };
    let (Some(row), true) = (paths.first(), paths.iter().all(wants_kerberos)) else {
        return;
    };
    let message = format!(
        "{} {}: NTLM, where `{}` has Kerberos by default",
        subject.what(scene.signatures),
        subject.path(),
        row.title
    );
    let draft = Draft::of(NTLM, Severity::Info, subject, message).by_row(Some(&row.id));
    findings.find(subject, draft);
}
