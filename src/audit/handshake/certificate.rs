//! Certificates of servers against the time and the name that they are used for.

use crate::audit::Severity;
use crate::audit::check::{Check, Code, Told};
use crate::audit::gather::{Cause, Draft, Findings};
use crate::audit::scene::{Scene, Subject, host};
use crate::evidence::Value;

const EXPIRED: &Code = &Code {
    code: "EXW504",
    name: "certificate-expired",
    meaning: "A certificate was shown after the end of its validity, by the clock of the capturing machine. The five documents do not speak of validity.",
    advice: "Renew the certificate and assign it to the service (IIS, SMTP, UM); then check that the load balancer and the reverse proxy have it too.",
};
const NOT_YET_VALID: &Code = &Code {
    code: "EXW505",
    name: "certificate-not-yet-valid",
    meaning: "A certificate was shown before the begin of its validity, by the clock of the capturing machine. The five documents do not speak of validity.",
    advice: "Check the clocks: of the capturing machine, of the issuer, of both ends.",
};
const OTHER_NAME: &Code = &Code {
    code: "EXW506",
    name: "certificate-name-mismatch",
    meaning: "The certificate is not for the name that the client asked for (RFC 6125). The five documents do not speak of names.",
    advice: "Add the name to the certificate, or point the URL of the virtual directory, Autodiscover or the host name to a name that it has.",
};
const SELF_SIGNED: &Code = &Code {
    code: "EXW507",
    name: "certificate-self-signed",
    meaning: "A service for clients shows a certificate that it signed itself, and a client does not complete the handshake. The five documents speak of self-signed certificates between transport servers only.",
    advice: "Use a certificate of an issuer that the clients trust; between transport servers of one organization self-signed certificates are as documented.",
};

pub(in crate::audit) const CERTIFICATE: Check = Check {
    codes: &[EXPIRED, NOT_YET_VALID, OTHER_NAME, SELF_SIGNED],
    start: || Box::new(Told::by(&["tls", "dtls"], check)),
};

fn check(scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    let flow = subject.flow;
    for protocol in ["tls", "dtls"] {
        for (fact, sight) in flow.facts_of(protocol, "certificate_not_after") {
            let Value::Time(end) = fact.value else {
                continue;
            };
            if sight.seen.time > end {
                let when = format!("valid until {end}");
                validity(scene, subject, EXPIRED, (fact.side, sight), &when, findings);
            }
        }
        for (fact, sight) in flow.facts_of(protocol, "certificate_not_before") {
            let Value::Time(begin) = fact.value else {
                continue;
            };
            if sight.seen.time < begin {
                let when = format!("valid from {begin}");
                validity(
                    scene,
                    subject,
                    NOT_YET_VALID,
                    (fact.side, sight),
                    &when,
                    findings,
                );
            }
        }
    }
    // Mail servers encrypt with whom they meet, and direct trust looks at the certificate alone (ref2010).
    if !flow.proves("smtp") && flow.proves("tls") {
        name(scene, subject, findings);
        self_signed(scene, subject, findings);
    }
}

fn validity(
    scene: &Scene<'_>,
    subject: Subject<'_>,
    code: &'static Code,
    (side, sight): (crate::net::Side, crate::attribution::Sight),
    when: &str,
    findings: &mut Findings<'_>,
) {
    let is_client = side == subject.flow.client;
    let by = if is_client {
        subject.client()
    } else {
        subject.server()
    };
    let severity = super::severity(subject);
    // A connection that goes on shows that the other end does not mind.
    let severity = if is_established(subject) {
        severity.min(Severity::Warning)
    } else {
        severity
    };
    let verb = if code.code == EXPIRED.code {
        "has expired"
    } else {
        "is not valid yet"
    };
    let message = format!("the certificate of {} {verb} ({when})", host(by));
    let subject_name = subject.flow.texts("tls", "certificate_subject").next();
    let seen = format!(
        "{}: certificate `{}`, {when}",
        scene.frame(sight),
        subject_name.unwrap_or_default()
    );
    let cause = Cause::host(by.endpoint.address).what(when);
    let draft = Draft::of(code, severity, subject, message);
    findings.find(subject, draft.caused_by(cause).seen([seen]).by_row(None));
}

fn is_established(subject: Subject<'_>) -> bool {
    subject.flow.facts_of("tls", "established").next().is_some()
}

/// The sentence about the certificate that the server showed.
fn shown(scene: &Scene<'_>, subject: Subject<'_>) -> Option<String> {
    let server = subject.flow.client.other();
    let (fact, sight) = subject
        .flow
        .facts_of("tls", "certificate_subject")
        .find(|(fact, _)| fact.side == server)?;
    Some(format!(
        "{}: certificate `{}`",
        scene.frame(sight),
        fact.value
    ))
}

fn name(scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    let flow = subject.flow;
    let Some(wanted) = flow.texts("tls", "server_name").next() else {
        return;
    };
    let Some(certificate) = subject.attribution.encryption.certificate.as_deref() else {
        return;
    };
    let common = certificate.subject.as_deref().and_then(common_name);
    let mut names: Vec<&str> = certificate.names.iter().map(String::as_str).collect();
    if names.is_empty() {
        names.extend(common);
    }
    if names.is_empty() || names.iter().any(|name| covers(name, wanted)) {
        return;
    }
    let severity = match is_established(subject) {
        true => Severity::Info,
        false => super::severity(subject).min(Severity::Warning),
    };
    let message = format!(
        "the certificate of {} is for {}, not for `{wanted}`",
        host(subject.server()),
        some_of(&names)
    );
    let asked = subject.says(scene, "tls", "server_name", |name| name == wanted);
    let seen = asked.map(|(_, sentence)| sentence);
    let cause = Cause::at(subject.server()).what(wanted);
    let draft = Draft::of(OTHER_NAME, severity, subject, message);
    let draft = draft.seen(seen.into_iter().chain(shown(scene, subject)));
    findings.find(subject, draft.caused_by(cause).by_row(None));
}

/// Names of a certificate that a sentence tells.
const MAX_NAMES: usize = 4;

/// The first names, and how many more there are.
fn some_of(names: &[&str]) -> String {
    let shown: Vec<&str> = names.iter().copied().take(MAX_NAMES).collect();
    let more = names.len().saturating_sub(shown.len());
    match more {
        0 => shown.join(", "),
        more => format!("{} and {more} more names", shown.join(", ")),
    }
}

/// Services that clients use from anywhere.
const FOR_CLIENTS: &[&str] = &[
    "web",
    "owa",
    "ecp",
    "ews",
    "autodiscover",
    "activesync",
    "oab",
    "outlook_anywhere",
    "mapi_http",
    "pop3",
    "imap",
    "smtp_submission",
];

fn self_signed(scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    let service = subject.attribution.service.as_ref().map(|id| id.as_str());
    let is_for_clients = service.is_some_and(|service| FOR_CLIENTS.contains(&service));
    let certificate = subject.attribution.encryption.certificate.as_deref();
    let Some(certificate) = certificate.filter(|certificate| certificate.self_signed) else {
        return;
    };
    // A client that goes on knows the certificate, or does not mind.
    let is_refused = !is_established(subject);
    if !is_for_clients || !is_refused || !subject.server().is_known || !subject.is_ours() {
        return;
    }
    let message = format!(
        "{} shows clients a certificate that it signed itself (`{}`)",
        host(subject.server()),
        certificate.subject.as_deref().unwrap_or_default()
    );
    let draft = Draft::of(SELF_SIGNED, Severity::Warning, subject, message);
    findings.find(subject, draft.seen(shown(scene, subject)).by_row(None));
}

/// The common name of a subject as it is printed.
fn common_name(subject: &str) -> Option<&str> {
    subject
        .split(',')
        .find_map(|part| part.trim().strip_prefix("CN="))
}

/// Whether a name of a certificate covers a host name (RFC 6125 6.4.3): a star stands for the whole leftmost label.
fn covers(name: &str, wanted: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(rest) => wanted
            .split_once('.')
            .is_some_and(|(_, domain)| domain.eq_ignore_ascii_case(rest)),
        None => name.eq_ignore_ascii_case(wanted.trim_end_matches('.')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_covers_one_label_and_no_more() {
        assert!(covers("*.example.com", "mail.example.com"));
        assert!(!covers("*.example.com", "a.mail.example.com"));
        assert!(!covers("*.example.com", "example.com"));
        assert!(covers("Mail.example.com", "mail.example.com."));
    }
}
