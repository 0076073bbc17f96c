//! EXW2xx: whether a flow is encrypted and authenticated as documented.

use std::collections::BTreeSet;

use super::codes::{
    AD_LDS_CLEAR, AUTHENTICATION_MISMATCH, CLEAR_CREDENTIALS, CLEAR_TEXT, MUTUAL_TLS_MISSING,
    RPC_NOT_ENCRYPTED,
};
use super::{Audit, Draft, Severity, Subject, listener};
use crate::attribution::Encrypted;
use crate::signature::{Role, Row, RowId};

/// The AD LDS port without SSL (ref2010, notes on Transport servers).
const AD_LDS: u16 = 50389;

pub(super) fn check(audit: &mut Audit<'_>, subject: Subject<'_>) {
    clear_text(audit, subject);
    clear_credentials(audit, subject);
    authentication(audit, subject);
    ad_lds(audit, subject);
    mutual_tls(audit, subject);
}

fn draft(
    audit: &mut Audit<'_>,
    subject: Subject<'_>,
    code: &'static super::Code,
    severity: Severity,
    row: Option<RowId>,
    message: String,
) {
    let draft = Draft {
        code,
        severity,
        row,
        message,
        flow: Some(subject.flow.number),
        evidence: subject.evidence(&[]),
    };
    audit.find(listener(subject.server()), draft);
}

/// Clear text is a finding only where every row that fits says encrypted by default (contradictions C09), the roles are
/// known, and the row does not list a port that starts in clear on purpose (C36).
fn clear_text(audit: &mut Audit<'_>, subject: Subject<'_>) {
    let flow = subject.flow;
    let rpc = flow.proves("dcerpc");
    let is_clear = match subject.attribution.encryption.kind {
        Encrypted::None => flow.has_payload(),
        Encrypted::RpcIntegrity => rpc,
        _ => false,
    };
    if !is_clear || !subject.is_known() || is_mapper(subject) {
        return;
    }
    let paths = subject.paths(audit.signatures);
    let says_encrypted = |row: &&Row| row.encryption.default == Some(true);
    if paths.is_empty() || !paths.iter().all(says_encrypted) {
        return;
    }
    let Some(row) = paths.first() else { return };
    let (client, server) = (&subject.client().roles, &subject.server().roles);
    let between_hubs = client.contains(&Role::HubTransport) && server.contains(&Role::HubTransport);
    // A name look-up has no encryption to turn on; the row speaks of the whole access to the directory.
    if flow.proves("dns") || flow.proves("cldap") || flow.proves("kerberos") {
        return;
    }
    let (code, severity, how) = match (rpc, between_hubs, subject.server().endpoint.port) {
        (true, ..) => (
            RPC_NOT_ENCRYPTED,
            Severity::Error,
            "RPC calls below level privacy",
        ),
        // Permitted, not recommended (contradictions C48).
        (_, true, _) => (
            CLEAR_TEXT,
            Severity::Warning,
            "TLS is off (permitted between Hub Transport servers, not recommended)",
        ),
        // Documented, but a sustained exchange in clear is against the row (contradictions C36).
        (_, _, 80) => (
            CLEAR_TEXT,
            Severity::Warning,
            "in clear on the port without SSL",
        ),
        // Gateways may speak SIP in clear; Client Access to UM is a low finding (contradictions C11).
        _ if flow.proves("sip") => (CLEAR_TEXT, Severity::Warning, "SIP in clear"),
        _ => (CLEAR_TEXT, Severity::Error, "read in clear"),
    };
    let message = format!(
        "{} {}: {how}, and `{}` is encrypted by default",
        subject.what(audit.signatures),
        subject.path(),
        row.title
    );
    draft(
        audit,
        subject,
        code,
        severity,
        Some(row.id.clone()),
        message,
    );
}

/// The endpoint mapper itself is asked in clear by design.
fn is_mapper(subject: Subject<'_>) -> bool {
    subject
        .attribution
        .service
        .as_ref()
        .is_some_and(|service| service.as_str() == "endpoint_mapper")
}

/// A password in clear is proven by the payload alone, whatever the port.
fn clear_credentials(audit: &mut Audit<'_>, subject: Subject<'_>) {
    let flow = subject.flow;
    if flow.proves("tls") || subject.attribution.encryption.kind.hides() {
        return;
    }
    let says = |protocol: &'static str, name: &'static str, words: &[&str]| {
        let found = flow.texts(protocol, name).find(|text| {
            words.iter().any(|word| {
                text.split(' ')
                    .next()
                    .is_some_and(|t| t.eq_ignore_ascii_case(word))
            })
        });
        found.map(str::to_owned)
    };
    let simple = || says("ldap", "bind", &["simple"]);
    let seen = [
        (
            "SMTP AUTH",
            says("smtp", "auth_mechanism", &["LOGIN", "PLAIN"]),
        ),
        ("HTTP", says("http", "authorization", &["Basic"])),
        ("LDAP bind", simple()),
        (
            "POP3",
            says("pop3", "auth_mechanism", &["USER", "PLAIN", "LOGIN"]),
        ),
        ("IMAP", says("imap", "auth_mechanism", &["LOGIN", "PLAIN"])),
    ];
    for (protocol, mechanism) in seen {
        let Some(mechanism) = mechanism else { continue };
        let known = subject
            .server()
            .roles
            .iter()
            .any(|role| role.is_exchange() || role.is_lync());
        let message = format!(
            "{protocol} {mechanism} without encryption {}",
            subject.path()
        );
        let severity = if known {
            Severity::Error
        } else {
            Severity::Warning
        };
        draft(
            audit,
            subject,
            CLEAR_CREDENTIALS,
            severity,
            subject.best().cloned(),
            message,
        );
    }
}

/// A mechanism that no row that fits lists; only between known roles, and only where all rows name mechanisms.
fn authentication(audit: &mut Audit<'_>, subject: Subject<'_>) {
    let seen = &subject.attribution.authentication;
    if seen.is_empty() || !subject.is_known() || is_mapper(subject) {
        return;
    }
    let paths = subject.paths(audit.signatures);
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
        subject.what(audit.signatures),
        subject.path(),
        odd.join(", "),
        row.title,
        listed(row).join(", ")
    );
    draft(
        audit,
        subject,
        AUTHENTICATION_MISMATCH,
        Severity::Warning,
        Some(row.id.clone()),
        message,
    );
}

/// Whether AD LDS is read in clear across the network.
pub(super) fn is_clear_ad_lds(subject: Subject<'_>) -> bool {
    let flow = subject.flow;
    let is_local = flow.client().address == flow.server().address;
    flow.server().port == AD_LDS && flow.proves("ldap") && !flow.proves("tls") && !is_local
}

/// AD LDS without SSL is for utilities on the Edge host itself (contradictions C08).
fn ad_lds(audit: &mut Audit<'_>, subject: Subject<'_>) {
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
    draft(
        audit,
        subject,
        AD_LDS_CLEAR,
        severity,
        subject.best().cloned(),
        message,
    );
}

/// A whole handshake without a client certificate where the row knows nothing but mutual TLS.
fn mutual_tls(audit: &mut Audit<'_>, subject: Subject<'_>) {
    if subject.attribution.encryption.mutual != Some(false) || !subject.is_known() {
        return;
    }
    let paths = subject.paths(audit.signatures);
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
    draft(
        audit,
        subject,
        MUTUAL_TLS_MISSING,
        Severity::Error,
        Some(row.id.clone()),
        message,
    );
}
