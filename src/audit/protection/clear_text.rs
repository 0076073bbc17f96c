//! What was read in clear: payload that the documents encrypt, calls below privacy, passwords.

use crate::attribution::Encrypted;
use crate::audit::Severity;
use crate::audit::check::{Check, Code, Told};
use crate::audit::gather::{Draft, Findings};
use crate::audit::scene::{Scene, Subject};
use crate::signature::{Role, Row};

use super::is_mapper;

const READ_IN_CLEAR: &Code = &Code {
    code: "EXW201",
    name: "clear-text",
    meaning: "The payload was read in clear although every row that fits says encrypted by default.",
    advice: "Turn TLS or RPC encryption on again at both ends, and look for a device that strips it.",
};
const CLEAR_CREDENTIALS: &Code = &Code {
    code: "EXW202",
    name: "clear-credentials",
    meaning: "A password crossed the network in clear.",
    advice: "Require TLS before authentication, and change the password.",
};
const RPC_NOT_ENCRYPTED: &Code = &Code {
    code: "EXW204",
    name: "rpc-not-encrypted",
    meaning: "RPC calls below authentication level privacy although every row that fits says encrypted by default.",
    advice: "Require encryption for RPC connections on the server.",
};

pub(in crate::audit) const CLEAR_TEXT: Check = Check {
    codes: &[READ_IN_CLEAR, CLEAR_CREDENTIALS, RPC_NOT_ENCRYPTED],
    start: || Box::new(Told::by_any(check)),
};

fn check(scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    clear_text(scene, subject, findings);
    clear_credentials(scene, subject, findings);
}

/// Clear text is a finding only where every row that fits says encrypted by default (contradictions C09), the roles are
/// known, and the row does not list a port that starts in clear on purpose (C36).
fn clear_text(scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
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
    let paths = subject.paths(scene.signatures);
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
            READ_IN_CLEAR,
            Severity::Warning,
            "TLS is off (permitted between Hub Transport servers, not recommended)",
        ),
        // Documented, but a sustained exchange in clear is against the row (contradictions C36).
        (_, _, 80) => (
            READ_IN_CLEAR,
            Severity::Warning,
            "in clear on the port without SSL",
        ),
        // Gateways may speak SIP in clear; Client Access to UM is a low finding (contradictions C11).
        _ if flow.proves("sip") => (READ_IN_CLEAR, Severity::Warning, "SIP in clear"),
        _ => (READ_IN_CLEAR, Severity::Error, "read in clear"),
    };
    let message = format!(
        "{} {}: {how}, and `{}` is encrypted by default",
        subject.what(scene.signatures),
        subject.path(),
        row.title
    );
    let draft = Draft::of(code, severity, subject, message).by_row(Some(&row.id));
    findings.find(subject, draft);
}

/// A password in clear is proven by the payload alone, whatever the port.
fn clear_credentials(scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    let flow = subject.flow;
    if flow.proves("tls") || subject.attribution.encryption.kind.hides() {
        return;
    }
    let says = |protocol: &'static str, name: &'static str, words: &[&str]| {
        subject.says(scene, protocol, name, |text| {
            let first = text.split(' ').next().unwrap_or(text);
            words.iter().any(|word| first.eq_ignore_ascii_case(word))
        })
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
        let Some((mechanism, sentence)) = mechanism else {
            continue;
        };
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
        let draft = Draft::of(CLEAR_CREDENTIALS, severity, subject, message);
        findings.find(subject, draft.seen([sentence]));
    }
}
