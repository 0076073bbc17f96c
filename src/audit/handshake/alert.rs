//! Alerts in words: who refused the handshake, and what that usually means.

use super::severity;
use crate::audit::check::{Check, Code, Told};
use crate::audit::gather::{Cause, Draft, Findings};
use crate::audit::scene::{Scene, Subject, host};

const NO_AGREEMENT: &Code = &Code {
    code: "EXW501",
    name: "tls-no-agreement",
    meaning: "One end ended the handshake because the two have no version, cipher or extension of TLS in common.",
    advice: "Compare what the client offers with what the server allows: SCHANNEL protocols and cipher suites in the registry, policies, and old clients or devices.",
};
const CERTIFICATE_REFUSED: &Code = &Code {
    code: "EXW502",
    name: "certificate-refused",
    meaning: "One end ended the handshake because of a certificate: its own was missing, or that of the other end was not accepted.",
    advice: "The end that sent the alert refuses: look there for a missing root certificate, and at the other end for an expired, wrong or missing certificate.",
};
const HANDSHAKE_FAILED: &Code = &Code {
    code: "EXW503",
    name: "handshake-failed",
    meaning: "One end ended the handshake with another fatal alert.",
    advice: "Read the event log (Schannel) of the end that sent the alert at that second.",
};

pub(in crate::audit) const ALERT: Check = Check {
    codes: &[NO_AGREEMENT, CERTIFICATE_REFUSED, HANDSHAKE_FAILED],
    start: || Box::new(Told::by(&["tls", "dtls"], check)),
};

/// Descriptions of alerts (RFC 5246 7.2, RFC 8446 6), their finding, and what they usually mean.
const MEANINGS: &[(&str, &Code, &str)] = &[
    (
        "protocol_version",
        NO_AGREEMENT,
        "no version of TLS in common",
    ),
    (
        "inappropriate_fallback",
        NO_AGREEMENT,
        "the client fell back to an older version than need be",
    ),
    (
        "handshake_failure",
        NO_AGREEMENT,
        "no cipher suite in common",
    ),
    (
        "insufficient_security",
        NO_AGREEMENT,
        "the server wants stronger ciphers",
    ),
    (
        "illegal_parameter",
        NO_AGREEMENT,
        "a value of the handshake is not allowed",
    ),
    (
        "missing_extension",
        NO_AGREEMENT,
        "a needed extension is missing",
    ),
    (
        "unsupported_extension",
        NO_AGREEMENT,
        "an extension came that nobody asked for",
    ),
    (
        "unrecognized_name",
        NO_AGREEMENT,
        "the server does not know the name that was asked for",
    ),
    (
        "no_application_protocol",
        NO_AGREEMENT,
        "no application protocol (ALPN) in common",
    ),
    (
        "no_certificate",
        CERTIFICATE_REFUSED,
        "it has no certificate to show",
    ),
    (
        "bad_certificate",
        CERTIFICATE_REFUSED,
        "the certificate is damaged or does not verify",
    ),
    (
        "unsupported_certificate",
        CERTIFICATE_REFUSED,
        "the kind of the certificate is not supported",
    ),
    (
        "certificate_revoked",
        CERTIFICATE_REFUSED,
        "the certificate is revoked",
    ),
    (
        "certificate_expired",
        CERTIFICATE_REFUSED,
        "the certificate has expired",
    ),
    (
        "certificate_unknown",
        CERTIFICATE_REFUSED,
        "the certificate is not accepted: often its name or its issuer",
    ),
    (
        "unknown_ca",
        CERTIFICATE_REFUSED,
        "the issuer of the certificate is not trusted",
    ),
    (
        "access_denied",
        CERTIFICATE_REFUSED,
        "the certificate is valid, and its holder is not let in",
    ),
    (
        "certificate_required",
        CERTIFICATE_REFUSED,
        "a client certificate is required",
    ),
    (
        "bad_certificate_status_response",
        CERTIFICATE_REFUSED,
        "the status of the certificate is not valid",
    ),
    (
        "decode_error",
        HANDSHAKE_FAILED,
        "a message could not be decoded",
    ),
    (
        "decrypt_error",
        HANDSHAKE_FAILED,
        "a signature or check value of the handshake is wrong",
    ),
    (
        "bad_record_mac",
        HANDSHAKE_FAILED,
        "a record was changed on its way, or the keys differ",
    ),
    (
        "unexpected_message",
        HANDSHAKE_FAILED,
        "a message came out of turn",
    ),
    (
        "record_overflow",
        HANDSHAKE_FAILED,
        "a record is too long: is this TLS at both ends?",
    ),
    (
        "internal_error",
        HANDSHAKE_FAILED,
        "the end that says so failed in itself",
    ),
];

fn check(scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    let flow = subject.flow;
    for protocol in ["tls", "dtls"] {
        for (fact, sight) in flow.facts_of(protocol, "alert") {
            let Some(text) = fact.value.as_text() else {
                continue;
            };
            let Some((level, name)) = text.split_once(' ') else {
                continue;
            };
            let Some((_, code, meaning)) = MEANINGS.iter().find(|(known, ..)| *known == name)
            else {
                continue;
            };
            // A warning about the name ends nothing.
            if level != "fatal" && name != "no_certificate" {
                continue;
            }
            let is_client = fact.side == flow.client;
            let by = if is_client {
                subject.client()
            } else {
                subject.server()
            };
            // A server that asked for a certificate and got none calls that a failed handshake.
            let sent = flow
                .facts_of(protocol, "client_certificate")
                .filter_map(|(fact, _)| fact.value.as_number())
                .max();
            let is_bare = !is_client && sent == Some(0);
            let (code, meaning) = if is_bare && name == "handshake_failure" {
                (CERTIFICATE_REFUSED, "the client showed no certificate")
            } else {
                (*code, *meaning)
            };
            let text = |name: &'static str| flow.texts(protocol, name).next();
            let mut seen = vec![format!(
                "{}: {} sends {protocol} alert {level} {name}",
                scene.frame(sight),
                host(by)
            )];
            if let Some(version) = text("client_version") {
                seen.push(format!("the client offers up to TLS {version}"));
            }
            if let Some(subject) = text("certificate_subject") {
                seen.push(format!("certificate `{subject}`"));
            }
            let message = format!(
                "TLS {} fails: {} says {name}, {meaning}",
                subject.path(),
                host(by)
            );
            let cause = Cause::at(subject.server()).what(format!("{is_client} {name}"));
            let draft = Draft::of(code, severity(subject), subject, message);
            findings.find(subject, draft.caused_by(cause).seen(seen));
        }
    }
}
