//! A flow where no row puts it: the service, the port, the roles, the end that opened it.

use super::proxy_port::proxied;
use crate::attribution::{Fit, Verdict};
use crate::audit::Severity;
use crate::audit::check::{Check, Code, Each};
use crate::audit::gather::{Cause, Draft, Findings};
use crate::audit::protection::is_clear_ad_lds;
use crate::audit::reachability::is_internal;
use crate::audit::scene::{Scene, Subject, host, is_server, listener};
use crate::evidence::Strength;
use crate::signature::{Kind, Role, Row, RowId, ServiceId};
use crate::topology::Zone;

const UNDOCUMENTED_SERVICE: &Code = &Code {
    code: "EXW101",
    name: "undocumented-service",
    meaning: "A service of the matrix was proven by its payload on a port, or between roles, that no row lists.",
    advice: "Move the service to its documented port, or name the changed port with --port or a row of your own.",
};
const UNDOCUMENTED_PORT: &Code = &Code {
    code: "EXW102",
    name: "undocumented-port",
    meaning: "A server of the topology file took traffic on a port that no row of the matrix lists for it.",
    advice: "Close the port, or add a row for it with --signatures.",
};
const CONTRADICTED_PORT: &Code = &Code {
    code: "EXW103",
    name: "contradicted-port",
    meaning: "A documented port carries another protocol than the documents say.",
    advice: "Find the program behind the connection; something else uses the port, or a device in between answers.",
};
const WRONG_ROLES: &Code = &Code {
    code: "EXW104",
    name: "wrong-roles",
    meaning: "The right service between hosts whose roles no row of the matrix joins.",
    advice: "Check the topology file, then the configuration that made these hosts speak to each other.",
};
const WRONG_DIRECTION: &Code = &Code {
    code: "EXW105",
    name: "wrong-direction",
    meaning: "A documented path that was opened by its listening end.",
    advice: "Check connectors and firewall rules: the documents name one side that opens this path.",
};

pub(in crate::audit) const PLACE: Check = Check {
    codes: &[
        UNDOCUMENTED_SERVICE,
        UNDOCUMENTED_PORT,
        CONTRADICTED_PORT,
        WRONG_ROLES,
        WRONG_DIRECTION,
    ],
    start: || Box::new(Each(check)),
};

fn check(scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    match &subject.attribution.verdict {
        Verdict::Documented(_) => {}
        _ if is_misplaced(scene, subject) => misplaced(scene, subject, findings),
        Verdict::Undocumented { .. } => undocumented_service(scene, subject, findings),
        Verdict::Contradicted { row, observed } => {
            contradicted(scene, subject, row, observed, findings);
        }
        Verdict::Unattributed => undocumented_port(subject, findings),
        Verdict::Unproven(_) => {}
    }
}

/// Known roles alone refute every row of this port, and the matrix speaks of one end at least.
fn is_misplaced(scene: &Scene<'_>, subject: Subject<'_>) -> bool {
    let Some((_, fit)) = misfit(scene, subject) else {
        return false;
    };
    let is_ours = is_server(subject.client()) || is_server(subject.server());
    let is_exchange = [subject.client(), subject.server()]
        .iter()
        .all(|party| party.roles.iter().any(|role| role.is_exchange()));
    // The data paths are complete between Exchange servers only.
    let fits = match is_exchange {
        true => subject.rows(scene.signatures).any(says_who),
        false => !subject.attribution.rows.is_empty(),
    };
    let is_other = matches!(subject.attribution.verdict, Verdict::Contradicted { .. });
    // Media at the wrong host, AD LDS without SSL, and mail that is proxied over the wrong port have checks of their own.
    let has_own = is_media(subject) || is_clear_ad_lds(subject) || proxied(subject).is_some();
    !fits && !is_other && !has_own && is_ours && (fit == Fit::Reversed || subject.is_known())
}

/// A rule of a firewall that names no client says which program listens, not who speaks to it: data paths say that.
fn says_who(row: &Row) -> bool {
    row.kind != Kind::FirewallRule || !row.from_roles.is_empty()
}

/// The row that explains best what is wrong: a reversed one before others. Where a rule opens the port to everybody, a data path
/// of the same service has to refute the ends.
fn misfit<'a>(scene: &Scene<'_>, subject: Subject<'a>) -> Option<(&'a RowId, Fit)> {
    let is_open = !subject.attribution.rows.is_empty();
    let service = subject.attribution.service.as_ref();
    let refutes = |id: &RowId| {
        let row = scene.signatures.matrix.row(id);
        row.is_some_and(|row| {
            row.kind == Kind::DataPath && service.is_some_and(|id| row.services.contains(id))
        })
    };
    let misfits = || {
        subject
            .attribution
            .misfits
            .iter()
            .filter(|(id, fit)| *fit >= Fit::Reversed && (!is_open || refutes(id)))
    };
    let found = misfits()
        .find(|(_, fit)| *fit == Fit::Reversed)
        .or_else(|| misfits().next())?;
    Some((&found.0, found.1))
}

fn misplaced(scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    let Some((row, fit)) = misfit(scene, subject) else {
        return;
    };
    let title = scene.title(row);
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
                subject.what(scene.signatures),
                subject.path()
            ),
        ),
        _ => (
            WRONG_ROLES,
            format!(
                "{} {}: no row joins {ends}",
                subject.what(scene.signatures),
                subject.path()
            ),
        ),
    };
    let is_open = !subject.attribution.rows.is_empty();
    let severity = if is_open {
        Severity::Warning
    } else if proven || (is_indicated && fit == Fit::Reversed && !is_soft(scene, row)) {
        Severity::Error
    } else {
        Severity::Warning
    };
    let draft = Draft::of(code, severity, subject, message).by_row(Some(row));
    findings.find(subject, draft.seen([format!("topology: {ends}")]));
}

/// Directions of media and of calls towards a Mediation server bind loosely (contradictions C05, C25).
fn is_soft(scene: &Scene<'_>, row: &RowId) -> bool {
    let loose = |id: &ServiceId| matches!(id.as_str(), "media" | "sip_mediation" | "lync_video");
    scene
        .signatures
        .matrix
        .row(row)
        .is_some_and(|row| row.services.iter().any(loose))
}

fn undocumented_service(scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    // Media and AD LDS without SSL have checks of their own, and what hosts without a role in the matrix do between them is not its matter.
    let is_foreign =
        subject.is_known() && !is_matrix_server(subject) && !is_server(subject.client());
    if is_foreign || is_clear_ad_lds(subject) || is_media(subject) {
        return;
    }
    let service = subject
        .attribution
        .service
        .as_ref()
        .and_then(|id| scene.signatures.catalog.service(id));
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
        subject.what(scene.signatures),
        subject.path()
    );
    let cause = Cause::at(subject.server()).what(subject.what(scene.signatures));
    let draft = Draft::of(UNDOCUMENTED_SERVICE, severity, subject, message).by_row(None);
    findings.find(subject, draft.caused_by(cause));
}

fn is_media(subject: Subject<'_>) -> bool {
    ["rtp", "rtcp"]
        .iter()
        .any(|word| subject.attribution.spoken.contains(word))
}

fn is_matrix_server(subject: Subject<'_>) -> bool {
    is_server(subject.server())
}

fn contradicted(
    scene: &Scene<'_>,
    subject: Subject<'_>,
    row: &RowId,
    observed: &str,
    findings: &mut Findings<'_>,
) {
    let claim = claim(scene, subject, row);
    let known = subject.server().is_known && is_matrix_server(subject);
    let severity = if known {
        Severity::Error
    } else {
        Severity::Warning
    };
    let message = format!(
        "{observed} {}, a port that is documented for {claim}",
        subject.path()
    );
    let cause = Cause::at(subject.server()).what(observed);
    let draft = Draft::of(CONTRADICTED_PORT, severity, subject, message).by_row(Some(row));
    findings.find(subject, draft.caused_by(cause));
}

/// What the matrix expects at the flow's port: the row where the topology tells who the ends are, else the services of
/// all rows of the port, because nothing says which of them is meant.
fn claim(scene: &Scene<'_>, subject: Subject<'_>, row: &RowId) -> String {
    let (transport, port) = (subject.flow.key.transport, subject.server().endpoint.port);
    let catalog = &scene.signatures.catalog;
    let rows = || scene.signatures.matrix.by_port(transport, port);
    let title = || {
        let row = scene.signatures.matrix.row(row);
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

fn undocumented_port(subject: Subject<'_>, findings: &mut Findings<'_>) {
    // What signalling announced is expected there, whatever its form.
    if subject.attribution.announced_media {
        return;
    }
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
    let cause = Cause::at(server).what(what);
    let draft = Draft::of(UNDOCUMENTED_PORT, severity, subject, message).by_row(None);
    findings.find(subject, draft.caused_by(cause).seen([state]));
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
