//! EXW1xx: whether a flow belongs where it is.

use super::codes::{
    CONTRADICTED_PORT, MAIL_PATH, PERIMETER_PLACEMENT, PROXY_PORT, UNDOCUMENTED_PORT,
    UNDOCUMENTED_SERVICE, UNOFFERED_DYNAMIC_PORT, WRONG_DIRECTION, WRONG_ROLES,
};
use super::protection::is_clear_ad_lds;
use super::reachability::is_internal;
use super::{Audit, Draft, Severity, Subject, host, listener};
use crate::attribution::{Fit, Party, Verdict};
use crate::evidence::{Strength, Value};
use crate::net::Transport;
use crate::signature::{Role, RowId, ServiceId};
use crate::topology::Zone;

pub(super) fn check(audit: &mut Audit<'_>, subject: Subject<'_>) {
    match &subject.attribution.verdict {
        Verdict::Documented(_) => {}
        _ if is_misplaced(subject) => misplaced(audit, subject),
        Verdict::Undocumented { .. } => undocumented_service(audit, subject),
        Verdict::Contradicted { row, observed } => contradicted(audit, subject, row, observed),
        Verdict::Unattributed => undocumented_port(audit, subject),
        Verdict::Unproven(_) => {}
    }
    unoffered(audit, subject);
    proxy_port(audit, subject);
    mail_path(audit, subject);
}

/// Known roles alone refute every row of this port, and the matrix speaks of one end at least.
fn is_misplaced(subject: Subject<'_>) -> bool {
    let Some((_, fit)) = misfit(subject) else {
        return false;
    };
    let is_ours = is_server(subject.client()) || is_server(subject.server());
    let fits = !subject.attribution.rows.is_empty();
    let is_other = matches!(subject.attribution.verdict, Verdict::Contradicted { .. });
    // Media at the wrong host, and AD LDS without SSL, have checks of their own.
    let has_own = subject.attribution.spoken.contains(&"rtp") || is_clear_ad_lds(subject);
    !fits && !is_other && !has_own && is_ours && (fit == Fit::Reversed || subject.is_known())
}

/// The row that explains best what is wrong: a reversed one before others.
fn misfit(subject: Subject<'_>) -> Option<(&RowId, Fit)> {
    let misfits = || {
        subject
            .attribution
            .misfits
            .iter()
            .filter(|(_, fit)| *fit >= Fit::Reversed)
    };
    let found = misfits()
        .find(|(_, fit)| *fit == Fit::Reversed)
        .or_else(|| misfits().next())?;
    Some((&found.0, found.1))
}

fn misplaced(audit: &mut Audit<'_>, subject: Subject<'_>) {
    let Some((row, fit)) = misfit(subject) else {
        return;
    };
    let title = audit
        .signatures
        .matrix
        .row(row)
        .map(|row| row.title.to_string())
        .unwrap_or_default();
    let is_indicated = subject.attribution.strength >= Some(Strength::Indicated);
    let proven = subject.attribution.strength == Some(Strength::Proven);
    let roles = |roles: &[Role]| {
        roles
            .iter()
            .map(|role| role.word())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let ends = format!(
        "{} to {}",
        roles(&subject.client().roles),
        roles(&subject.server().roles)
    );
    let (code, message) = match fit {
        Fit::Reversed => (
            WRONG_DIRECTION,
            format!(
                "{} opened {}: `{title}` is opened by the other end",
                subject.what(audit.signatures),
                subject.path()
            ),
        ),
        _ => (
            WRONG_ROLES,
            format!(
                "{} {}: no row joins {ends}",
                subject.what(audit.signatures),
                subject.path()
            ),
        ),
    };
    let evidence = subject.evidence(&[format!("topology: {ends}")]);
    let draft = Draft {
        code,
        severity: if proven || (is_indicated && fit == Fit::Reversed && !is_soft(audit, row)) {
            Severity::Error
        } else {
            Severity::Warning
        },
        row: Some(row.clone()),
        message,
        flow: Some(subject.flow.number),
        evidence,
    };
    audit.find(listener(subject.server()), draft);
}

/// Directions of media and of calls towards a Mediation server bind loosely (contradictions C05, C25).
fn is_soft(audit: &Audit<'_>, row: &RowId) -> bool {
    let loose = |id: &ServiceId| matches!(id.as_str(), "media" | "sip_mediation" | "lync_video");
    audit
        .signatures
        .matrix
        .row(row)
        .is_some_and(|row| row.services.iter().any(loose))
}

fn undocumented_service(audit: &mut Audit<'_>, subject: Subject<'_>) {
    // Media and AD LDS without SSL have checks of their own, and what hosts without a role in the matrix do between them is not its matter.
    let is_foreign =
        subject.is_known() && !is_matrix_server(subject) && !is_server(subject.client());
    if is_foreign
        || is_clear_ad_lds(subject)
        || subject.attribution.spoken.contains(&"rtp")
        || subject.attribution.spoken.contains(&"rtcp")
    {
        return;
    }
    let service = subject
        .attribution
        .service
        .as_ref()
        .and_then(|id| audit.signatures.catalog.service(id));
    // Everyday protocols turn up anywhere; on a server of the topology their place is the question.
    let is_everyday =
        service.is_none_or(|service| service.generic) || subject.attribution.protocols == ["dns"];
    // Between internal servers nothing may be blocked, and nothing is a violation (contradictions C44).
    let is_inside =
        subject.is_known() && is_internal(subject.client()) && is_internal(subject.server());
    let severity = match (
        subject.server().is_known && is_matrix_server(subject),
        is_everyday,
    ) {
        (true, _) if is_inside => Severity::Info,
        (true, _) => Severity::Error,
        (false, false) => Severity::Warning,
        (false, true) => Severity::Info,
    };
    let message = format!(
        "{} {}: no row of the matrix lists it there",
        subject.what(audit.signatures),
        subject.path()
    );
    let draft = Draft {
        code: UNDOCUMENTED_SERVICE,
        severity,
        row: None,
        message,
        flow: Some(subject.flow.number),
        evidence: subject.evidence(&[]),
    };
    let cause = format!(
        "{} {}",
        listener(subject.server()),
        subject.what(audit.signatures)
    );
    audit.find(cause, draft);
}

fn is_matrix_server(subject: Subject<'_>) -> bool {
    is_server(subject.server())
}

/// Whether the matrix speaks of the host: an Exchange or Lync server.
fn is_server(party: &Party) -> bool {
    party
        .roles
        .iter()
        .any(|role| role.is_exchange() || role.is_lync())
}

fn contradicted(audit: &mut Audit<'_>, subject: Subject<'_>, row: &RowId, observed: &str) {
    let claim = claim(audit, subject, row);
    let known = subject.server().is_known && is_matrix_server(subject);
    let draft = Draft {
        code: CONTRADICTED_PORT,
        severity: if known {
            Severity::Error
        } else {
            Severity::Warning
        },
        row: Some(row.clone()),
        message: format!(
            "{observed} {}, a port that is documented for {claim}",
            subject.path()
        ),
        flow: Some(subject.flow.number),
        evidence: subject.evidence(&[]),
    };
    audit.find(format!("{} {observed}", listener(subject.server())), draft);
}

/// What the matrix expects at the flow's port: the row where the topology tells who the ends are, else the services of
/// all rows of the port, because nothing says which of them is meant.
fn claim(audit: &Audit<'_>, subject: Subject<'_>, row: &RowId) -> String {
    let (transport, port) = (subject.flow.key.transport, subject.server().endpoint.port);
    let catalog = &audit.signatures.catalog;
    let rows = || audit.signatures.matrix.by_port(transport, port);
    let title = || {
        let row = audit.signatures.matrix.row(row);
        format!("`{}`", row.map_or("", |row| &row.title))
    };
    if subject.server().is_known {
        return title();
    }
    let mut services: Vec<_> = rows()
        .filter_map(|row| Some((row, row.port_entry(transport, port)?)))
        .flat_map(|(row, entry)| row.services_at(entry))
        .filter_map(|id| catalog.service(id))
        .map(|service| (!service.generic, &*service.name))
        .collect();
    services.sort_unstable();
    services.dedup();
    let generic = services
        .iter()
        .filter(|(is_special, _)| !is_special)
        .count();
    let shown = if generic > 0 { generic } else { MAX_SERVICES };
    let names: Vec<&str> = services.iter().take(shown).map(|(_, name)| *name).collect();
    if names.is_empty() {
        title()
    } else {
        names.join(", ")
    }
}

/// Services of a port that are named in a sentence.
const MAX_SERVICES: usize = 3;

fn undocumented_port(audit: &mut Audit<'_>, subject: Subject<'_>) {
    let is_traffic = subject.flow.key.transport.has_ports();
    // Between internal servers nothing may be blocked, and nothing is a violation (contradictions C44).
    let both_servers =
        is_matrix_server(subject) && subject.client().roles.iter().any(|role| role.is_exchange());
    if !is_traffic || !subject.server().is_known || !is_matrix_server(subject) {
        return;
    }
    let from_outside = subject.client().zone == Some(Zone::Internet);
    let spoken = &subject.attribution.spoken;
    let is_housekeeping =
        !spoken.is_empty() && spoken.iter().all(|name| HOUSEKEEPING.contains(name));
    let severity = match (both_servers, from_outside) {
        (true, _) => Severity::Info,
        (false, true) => Severity::Error,
        (false, false) if is_housekeeping => Severity::Info,
        (false, false) => Severity::Warning,
    };
    let server = subject.server();
    let what = match subject.spoken() {
        Some(spoken) => format!("{spoken} from"),
        None => "traffic from".to_owned(),
    };
    let message = format!(
        "{what} {} to {}: no row of the matrix lists {}/{} for {}",
        host(subject.client()),
        listener(server),
        server.endpoint.port,
        subject.flow.key.transport,
        server
            .roles
            .iter()
            .map(|role| role.word())
            .collect::<Vec<_>>()
            .join(", ")
    );
    let state = format!(
        "{} packets, {}",
        total(subject),
        subject.flow.state().word()
    );
    let draft = Draft {
        code: UNDOCUMENTED_PORT,
        severity,
        row: None,
        message,
        flow: Some(subject.flow.number),
        evidence: subject.evidence(&[state]),
    };
    let cause = format!("{} {what}", listener(server));
    audit.find(cause, draft);
}

/// Protocols that keep any network going: addresses, names, clocks, routes. No matrix lists them, and inside they are at home.
const HOUSEKEEPING: &[&str] = &[
    "bgp",
    "dhcp",
    "dhcpv6",
    "dns",
    "hsrp",
    "ldp",
    "llmnr",
    "mdns",
    "netbios_dgm",
    "netbios_ns",
    "ntp",
    "rip",
    "ripng",
    "slp",
    "ssdp",
    "ws_discovery",
];

const fn total(subject: Subject<'_>) -> u64 {
    subject
        .flow
        .tracker
        .packets
        .a
        .saturating_add(subject.flow.tracker.packets.b)
}

/// A bound interface on a port that is neither fixed in the matrix nor announced in the capture.
fn unoffered(audit: &mut Audit<'_>, subject: Subject<'_>) {
    let flow = subject.flow;
    let server = flow.server();
    let fixed = audit
        .signatures
        .matrix
        .by_port(flow.key.transport, server.port)
        .next()
        .is_some();
    if fixed
        || subject.attribution.offered
        // Calls in pipes of SMB go where the files are: no mapper names that port.
        || !subject.attribution.spoken.contains(&"dcerpc")
        || flow.key.transport != Transport::TCP
    {
        return;
    }
    let Some((fact, sight)) = flow.facts_of("dcerpc", "bound").next() else {
        return;
    };
    let Value::Interface { uuid, major, minor } = &fact.value else {
        return;
    };
    let known = audit.signatures.interfaces.find(*uuid, *major, *minor);
    let name = known.map_or_else(
        || fact.value.to_string(),
        |interface| interface.name.to_string(),
    );
    // The mapper of this server answered somebody, and named other ports: then the absence says more.
    let mapper_seen = audit
        .judged
        .offers
        .iter()
        .any(|standing| standing.offer.by == server.address);
    let draft = Draft {
        code: UNOFFERED_DYNAMIC_PORT,
        severity: if mapper_seen && subject.server().is_known {
            Severity::Warning
        } else {
            Severity::Info
        },
        row: None,
        message: format!(
            "{name} bound {}: no endpoint mapper answer in the capture names that port",
            subject.path()
        ),
        flow: Some(flow.number),
        evidence: vec![format!(
            "{}: dcerpc bound {name}",
            audit.judged.flows.frame(sight)
        )],
    };
    audit.find(listener(subject.server()), draft);
}

/// Client Access to Client Access: POP3 over 995, IMAP4 over 993, whatever the client used (contradictions C33).
fn proxy_port(audit: &mut Audit<'_>, subject: Subject<'_>) {
    let both = [subject.client(), subject.server()]
        .iter()
        .all(|party| party.roles.contains(&Role::ClientAccess));
    let port = subject.server().endpoint.port;
    let (protocol, wanted) = match port {
        110 => ("POP3", 995),
        143 => ("IMAP4", 993),
        _ => return,
    };
    if !both || !subject.is_known() || subject.flow.key.transport != Transport::TCP {
        return;
    }
    let draft = Draft {
        code: PROXY_PORT,
        severity: Severity::Warning,
        row: subject.best().cloned(),
        message: format!(
            "{protocol} proxied {} over port {port}, expected {wanted}",
            subject.path()
        ),
        flow: Some(subject.flow.number),
        evidence: subject.evidence(&[]),
    };
    audit.find(listener(subject.server()), draft);
}

/// With a subscribed Edge, mail never passes a standalone Client Access server (contradictions C49).
fn mail_path(audit: &mut Audit<'_>, subject: Subject<'_>) {
    let ends = [subject.client(), subject.server()].map(|party| party.endpoint.address);
    if audit.topology.has_edge_at(ends) != Some(true) || !subject.flow.proves("smtp") {
        return;
    }
    let standalone = |roles: &[Role]| {
        roles.contains(&Role::ClientAccess)
            && !roles.contains(&Role::Mailbox)
            && !roles.contains(&Role::HubTransport)
    };
    let outside =
        |roles: &[Role]| roles.contains(&Role::Internet) || roles.contains(&Role::EdgeTransport);
    let (client, server) = (&subject.client().roles, &subject.server().roles);
    let is_mail = subject.server().endpoint.port == 25;
    if !is_mail
        || !((standalone(client) && outside(server)) || (standalone(server) && outside(client)))
    {
        return;
    }
    let assumed = audit.topology.edge_subscribed_at(ends).is_none();
    let draft = Draft {
        code: MAIL_PATH,
        severity: if assumed {
            Severity::Warning
        } else {
            Severity::Error
        },
        row: subject.best().cloned(),
        message: format!(
            "mail {} although an Edge Transport server is subscribed",
            subject.path()
        ),
        flow: Some(subject.flow.number),
        evidence: subject.evidence(&[]),
    };
    audit.find(listener(subject.server()), draft);
}

/// Placement of hosts: the Director belongs into the private network.
pub(super) fn check_hosts(audit: &mut Audit<'_>) {
    let misplaced: Vec<String> = audit
        .topology
        .hosts()
        .filter(|(address, host)| {
            host.roles.contains(&Role::LyncDirector)
                && audit.topology.zone(*address) == Some(Zone::Perimeter)
        })
        .map(|(address, host)| {
            format!(
                "{} ({address})",
                host.name.as_deref().unwrap_or("a Director")
            )
        })
        .collect();
    for who in misplaced {
        let draft = Draft {
            code: PERIMETER_PLACEMENT,
            severity: Severity::Error,
            row: None,
            message: format!("{who} is a Director in the perimeter network"),
            flow: None,
            evidence: vec!["topology: role lync_director, zone perimeter".to_owned()],
        };
        audit.find(who, draft);
    }
}
