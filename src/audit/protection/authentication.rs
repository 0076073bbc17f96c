//! Authentication against what rows list as default and supported.

use std::collections::BTreeSet;

use crate::audit::Severity;
use crate::audit::check::{Check, Code, Told};
use crate::audit::gather::{Draft, Findings};
use crate::audit::scene::{Scene, Subject};
use crate::signature::Row;

use super::is_mapper;

const AUTHENTICATION_MISMATCH: &Code = &Code {
    code: "EXW203",
    name: "authentication-mismatch",
    meaning: "The authentication seen is neither the default nor a supported one of any row that fits.",
    advice: "Check the connector's or virtual directory's authentication settings.",
};

pub(in crate::audit) const AUTHENTICATION: Check = Check {
    codes: &[AUTHENTICATION_MISMATCH],
    start: || Box::new(Told::by_any(authentication)),
};

/// A mechanism that no row that fits lists; only between known roles, and only where all rows name mechanisms.
fn authentication(scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    let seen = &subject.attribution.authentication;
    if seen.is_empty() || !subject.is_known() || is_mapper(subject) {
        return;
    }
    let paths = subject.paths(scene.signatures);
    let listed = |row: &Row| {
        let words: BTreeSet<_> = row
            .auth_default
            .iter()
            .chain(&row.auth_supported)
            .cloned()
            .collect();
        words.into_iter().collect::<Vec<_>>()
    };
    if paths.is_empty() || paths.iter().any(|row| listed(row).is_empty()) {
        return;
    }
    let equal = |seen: &str, word: &str| {
        seen == word
            || matches!(
                (seen, word),
                (
                    "kerberos" | "ntlm" | "negotiate",
                    "negotiate" | "integrated_windows"
                ) | ("certificate", "mutual_tls" | "direct_trust")
                    | ("negotiate" | "exchangeauth", "kerberos" | "ntlm")
            )
    };
    let admits = |mechanism: &str| {
        paths
            .iter()
            .any(|row| listed(row).iter().any(|word| equal(mechanism, word)))
    };
    // What no document speaks of (netlogon's own channel, tokens) is neither default nor against it.
    let is_documented = |mechanism: &&str| {
        matches!(
            *mechanism,
            "kerberos" | "ntlm" | "negotiate" | "basic" | "digest" | "anonymous" | "certificate"
        )
    };
    let mechanisms = seen.iter().map(String::as_str).filter(is_documented);
    let odd: Vec<&str> = mechanisms.filter(|mechanism| !admits(mechanism)).collect();
    let (Some(row), false) = (paths.first(), odd.is_empty()) else {
        return;
    };
    let message = format!(
        "{} {}: authenticated by {}, `{}` lists {}",
        subject.what(scene.signatures),
        subject.path(),
        odd.join(", "),
        row.title,
        listed(row).join(", ")
    );
    let draft = Draft::of(AUTHENTICATION_MISMATCH, Severity::Warning, subject, message)
        .by_row(Some(&row.id));
    findings.find(subject, draft);
}
