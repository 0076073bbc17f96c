//! EXW4xx: documented paths that do not work.

use std::net::IpAddr;

use super::codes::{ICMP_ERROR, INTERNAL_PATH_BLOCKED, NO_ANSWER, OFFERED_PORT_BLOCKED, REFUSED};
use super::{Audit, Code, Draft, Severity, Subject, host, listener};
use crate::attribution::{Party, State};
use crate::evidence::{IcmpError, Seen};
use crate::net::Transport;
use crate::signature::{Role, ServiceId};
use crate::topology::Zone;

pub(super) fn check(audit: &mut Audit<'_>, subject: Subject<'_>) {
    let flow = subject.flow;
    let state = flow.state();
    // UDP without an answer is telling only where the protocol asks questions.
    let asked = flow.key.transport == Transport::UDP
        && state == State::OneWay
        && flow.tracker.packets[flow.client] > 0
        && ["dns", "kerberos", "cldap"]
            .iter()
            .any(|protocol| flow.proves(protocol));
    let fails =
        matches!(state, State::Attempted | State::Refused) || asked || !flow.errors.is_empty();
    let is_documented = !subject.attribution.rows.is_empty();
    if !fails || !is_documented || is_group(flow.server().address) {
        return;
    }
    let offered = subject.attribution.offered && flow.key.transport == Transport::TCP;
    let known = subject.is_known();
    if let Some((error, seen)) = flow.errors.iter().next() {
        let sentence = icmp(error, *seen);
        let text = format!(
            "{} {}: {sentence}",
            subject.what(audit.signatures),
            subject.path()
        );
        let severity = if is_harmless(subject, error) {
            Severity::Info
        } else {
            severity(subject)
        };
        draft(audit, subject, ICMP_ERROR, severity, text, sentence);
    } else if state == State::Refused && !offered {
        let text = format!(
            "{} {} is refused",
            subject.what(audit.signatures),
            subject.path()
        );
        draft(
            audit,
            subject,
            REFUSED,
            severity(subject),
            text,
            syns(subject, "answered by RST"),
        );
    } else if !offered {
        let text = format!(
            "{} {} gets no answer",
            subject.what(audit.signatures),
            subject.path()
        );
        draft(
            audit,
            subject,
            NO_ANSWER,
            severity(subject),
            text,
            syns(subject, "without answer"),
        );
    }
    if offered && matches!(state, State::Attempted | State::Refused) {
        let text = format!(
            "{} {}: the endpoint mapper gave the port out, and it cannot be reached",
            subject.what(audit.signatures),
            subject.path()
        );
        let first = subject
            .attribution
            .because
            .first()
            .map(ToString::to_string)
            .unwrap_or_default();
        draft(
            audit,
            subject,
            OFFERED_PORT_BLOCKED,
            Severity::Error,
            text,
            first,
        );
    }
    if known
        && is_internal(subject.client())
        && is_internal(subject.server())
        && state != State::Refused
        && (flow.errors.is_empty() || !flow.errors.keys().all(|error| is_harmless(subject, error)))
    {
        let text = format!(
            "{} {} is blocked between internal servers",
            subject.what(audit.signatures),
            subject.path()
        );
        draft(
            audit,
            subject,
            INTERNAL_PATH_BLOCKED,
            Severity::Error,
            text,
            syns(subject, "without answer"),
        );
    }
}

/// Of known hosts it is an error. Where the port alone speaks, for a service that anybody uses, between hosts that the matrix
/// has no place for, it is a browser at most.
fn severity(subject: Subject<'_>) -> Severity {
    let has_role = !subject.client().roles.is_empty() || !subject.server().roles.is_empty();
    let service = subject.attribution.service.as_ref().map(ServiceId::as_str);
    let is_everyday = matches!(service, Some("web" | "dns"));
    if subject.is_known() {
        Severity::Error
    } else if is_everyday && !has_role {
        Severity::Info
    } else {
        Severity::Warning
    }
}

/// A group of hosts, of which none has to answer.
fn is_group(address: IpAddr) -> bool {
    address.is_multicast() || matches!(address, IpAddr::V4(address) if address.is_broadcast())
}

/// Errors of paths that work: the search for the largest packet, and a client that was gone before the last answer came.
fn is_harmless(subject: Subject<'_>, error: &IcmpError) -> bool {
    let flow = subject.flow;
    let is_too_big = matches!(
        (error.version, error.kind, error.code),
        (4, 3, 4) | (6, 2, _)
    );
    let is_port = matches!(
        (error.version, error.kind, error.code),
        (4, 3, 3) | (6, 1, 4)
    );
    let is_late = error.reporter == flow.client().address
        && error.reporter != flow.server().address
        && flow.tracker.packets[flow.client.other()] > 0;
    is_too_big || (is_port && is_late)
}

/// Exchange servers other than Edge, Lync servers, and domain controllers, where nothing may be restricted (contradictions C06, C44).
pub(super) fn is_internal(party: &Party) -> bool {
    let is_server = |role: &Role| {
        (role.is_exchange() && *role != Role::EdgeTransport)
            || role.is_lync()
            || *role == Role::DomainController
    };
    party.roles.iter().any(is_server)
        && !matches!(party.zone, Some(Zone::Perimeter | Zone::Internet))
}

fn draft(
    audit: &mut Audit<'_>,
    subject: Subject<'_>,
    code: &'static Code,
    severity: Severity,
    message: String,
    evidence: String,
) {
    let mut sentences = vec![evidence];
    let because = subject.attribution.because.iter().take(2);
    sentences.extend(because.map(ToString::to_string));
    sentences.retain(|sentence| !sentence.is_empty());
    let draft = Draft {
        code,
        severity,
        row: subject.best().cloned(),
        message,
        flow: Some(subject.flow.number),
        evidence: sentences,
    };
    let who = if subject.client().is_known {
        host(subject.client())
    } else {
        String::new()
    };
    audit.find(format!("{who} {}", listener(subject.server())), draft);
}

fn syns(subject: Subject<'_>, how: &str) -> String {
    let tracker = &subject.flow.tracker;
    match &tracker.tcp {
        Some(tcp) => {
            let count = tcp.syns[subject.flow.client];
            format!("frame {}: {count} SYN {how}", tracker.first_number)
        }
        None => format!(
            "frame {}: {} datagrams {how}",
            tracker.first_number, tracker.packets[subject.flow.client]
        ),
    }
}

/// "frame 9: 10.0.0.1 reports: communication administratively prohibited".
fn icmp(error: &IcmpError, seen: Seen) -> String {
    let what = match (error.version, error.kind, error.code) {
        (4, 3, 0) => "network unreachable",
        (4, 3, 1) => "host unreachable",
        (4, 3, 2) => "protocol unreachable",
        (4, 3, 3) | (6, 1, 4) => "port unreachable",
        (4, 3, 4) | (6, 2, _) => "packet too big",
        (4, 3, 9 | 10 | 13) | (6, 1, 1) => "communication administratively prohibited",
        (6, 1, 0) => "no route to destination",
        (6, 1, 3) => "address unreachable",
        (4, 11, _) | (6, 3, _) => "time exceeded",
        (4, 3, _) | (6, 1, _) => "destination unreachable",
        (4, 5, _) => "redirect",
        (4, 12, _) | (6, 4, _) => "parameter problem",
        _ => "ICMP error",
    };
    format!(
        "frame {}: {} reports {what} (type {} code {})",
        seen.frame, error.reporter, error.kind, error.code
    )
}
