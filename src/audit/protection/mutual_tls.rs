//! Mutual TLS where the documents require it.

use crate::audit::Severity;
use crate::audit::check::{Check, Code, Told};
use crate::audit::gather::{Draft, Findings};
use crate::audit::scene::{Scene, Subject};
use crate::signature::Row;

const MUTUAL_TLS_MISSING: &Code = &Code {
    code: "EXW206",
    name: "mutual-tls-missing",
    meaning: "The path requires mutual TLS, and a handshake that was seen whole had no client certificate.",
    advice: "Check the certificates of both servers and the Edge subscription or trusted application.",
};

pub(in crate::audit) const MUTUAL_TLS: Check = Check {
    codes: &[MUTUAL_TLS_MISSING],
    start: || Box::new(Told::by_any(mutual_tls)),
};

/// A whole handshake without a client certificate where the row knows nothing but mutual TLS.
fn mutual_tls(scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    if subject.attribution.encryption.mutual != Some(false) || !subject.is_known() {
        return;
    }
    let paths = subject.paths(scene.signatures);
    let wants = |row: &&Row| {
        let mut listed = row
            .auth_default
            .iter()
            .chain(&row.auth_supported)
            .peekable();
        listed.peek().is_some()
            && listed.all(|word| matches!(&**word, "mutual_tls" | "direct_trust"))
    };
    let (Some(row), true) = (paths.first(), paths.iter().all(wants)) else {
        return;
    };
    let message = format!(
        "TLS without a client certificate {}: `{}` requires mutual TLS",
        subject.path(),
        row.title
    );
    let draft =
        Draft::of(MUTUAL_TLS_MISSING, Severity::Error, subject, message).by_row(Some(&row.id));
    findings.find(subject, draft);
}
