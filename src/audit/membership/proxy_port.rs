//! Client Access to Client Access: POP3 over 995, IMAP4 over 993, whatever the client used (contradictions C33).

use crate::audit::Severity;
use crate::audit::check::{Check, Code, Each};
use crate::audit::gather::{Draft, Findings};
use crate::audit::scene::{Scene, Subject};
use crate::net::Transport;
use crate::signature::Role;

const WRONG_PORT: &Code = &Code {
    code: "EXW107",
    name: "proxy-port",
    meaning: "A Client Access server proxies POP3 or IMAP4 to another one over a port other than 995 or 993.",
    advice: "Use SSL between Client Access servers: 995 for POP3, 993 for IMAP4.",
};

pub(in crate::audit) const PROXY_PORT: Check = Check {
    codes: &[WRONG_PORT],
    start: || Box::new(Each(check)),
};

fn check(_: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    let Some((protocol, wanted)) = proxied(subject) else {
        return;
    };
    let port = subject.server().endpoint.port;
    let message = format!(
        "{protocol} proxied {} over port {port}, expected {wanted}",
        subject.path()
    );
    findings.find(
        subject,
        Draft::of(WRONG_PORT, Severity::Warning, subject, message),
    );
}

/// What one Client Access server proxies to another over the wrong port, and the port that it should be.
pub(super) fn proxied(subject: Subject<'_>) -> Option<(&'static str, u16)> {
    let wanted = match subject.server().endpoint.port {
        110 => ("POP3", 995),
        143 => ("IMAP4", 993),
        _ => return None,
    };
    let both = [subject.client(), subject.server()]
        .iter()
        .all(|party| party.roles.contains(&Role::ClientAccess));
    let is_tcp = subject.flow.key.transport == Transport::TCP;
    (both && subject.is_known() && is_tcp).then_some(wanted)
}
