//! Documented paths between hosts of the topology file that a long capture never shows.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::audit::Severity;
use crate::audit::check::{Check, Code, Watch};
use crate::audit::gather::{Cause, Draft, Findings};
use crate::audit::scene::{Scene, Subject};
use crate::net::Timestamp;
use crate::signature::{Kind, Role, Row};

const NO_DIRECTORY: &Code = &Code {
    code: "EXW904",
    name: "directory-not-asked",
    meaning: "An Exchange server works for ten minutes or more, and asks no domain controller, although other hosts are seen to.",
    advice: "Check which controllers the server has chosen (`Get-ExchangeServer -Status`), and whether its way to them passes this capture at all.",
};
const EDGESYNC_SILENT: &Code = &Code {
    code: "EXW905",
    name: "edgesync-silent",
    meaning: "A subscribed Edge Transport server exchanges mail with the organization for an hour or more, and no EdgeSync (50636) is seen.",
    advice: "Run `Test-EdgeSynchronization` on a Hub Transport or Mailbox server, and check that 50636 passes from there to the Edge server.",
};

pub(in crate::audit) const PATHS: Check = Check {
    codes: &[NO_DIRECTORY, EDGESYNC_SILENT],
    start: || Box::new(Paths::default()),
};

/// Exchange reads its configuration again every few minutes, in nanoseconds.
const DIRECTORY_NS: i64 = 600_000_000_000;
/// Configuration is synchronized every few minutes, recipients more seldom, in nanoseconds.
const EDGESYNC_NS: i64 = 3_600_000_000_000;
/// Fewer flows are no work.
const MIN_FLOWS: u64 = 20;
/// Hosts that are followed: the topology file names them.
const MAX_HOSTS: usize = 4096;
/// Services of a domain controller.
const DIRECTORY: &[&str] = &["ldap", "global_catalog", "kerberos", "netlogon", "dns"];
/// The port of EdgeSync.
const EDGESYNC: u16 = 50636;

#[derive(Default)]
struct Paths {
    hosts: BTreeMap<IpAddr, Active>,
    /// Somebody asked a domain controller.
    is_directory_seen: bool,
    /// Edge servers with mail to or from inside, or synchronized.
    edges: BTreeMap<IpAddr, Edge>,
    /// Flows of hosts that are not followed.
    unfollowed: u64,
}

#[derive(Default)]
struct Edge {
    mail: Active,
    is_synchronized: bool,
}

#[derive(Default)]
struct Active {
    flows: u64,
    span: Option<(Timestamp, Timestamp)>,
    asks_directory: bool,
}

impl Active {
    fn see(&mut self, subject: Subject<'_>) {
        let (first, last) = (
            subject.flow.tracker.first_seen,
            subject.flow.tracker.last_seen,
        );
        let span = self.span.get_or_insert((first, last));
        *span = (span.0.min(first), span.1.max(last));
        self.flows = self.flows.saturating_add(1);
    }

    fn lasted(&self) -> i64 {
        self.span.map_or(0, |(first, last)| last.since(first))
    }
}

impl Watch for Paths {
    fn observe(&mut self, _: &Scene<'_>, subject: Subject<'_>, _: &mut Findings<'_>) {
        if !subject.flow.tracker.is_two_way() {
            return;
        }
        let service = subject.attribution.service.as_ref().map(|id| id.as_str());
        let is_directory = service.is_some_and(|service| DIRECTORY.contains(&service));
        self.is_directory_seen |= is_directory;
        for end in [subject.client(), subject.server()] {
            let is_ours = end.is_known
                && end
                    .roles
                    .iter()
                    .any(|role| role.is_exchange() && *role != Role::EdgeTransport);
            if !is_ours {
                continue;
            }
            let address = end.endpoint.address;
            match followed(&mut self.hosts, address) {
                Some(active) => {
                    active.see(subject);
                    active.asks_directory |=
                        is_directory && address == subject.flow.client().address;
                }
                None => self.unfollowed = self.unfollowed.saturating_add(1),
            }
        }
        for (edge, inside) in [
            (subject.client(), subject.server()),
            (subject.server(), subject.client()),
        ] {
            let is_edge = edge.is_known && edge.roles.contains(&Role::EdgeTransport);
            let is_inside = inside.is_known
                && inside
                    .roles
                    .iter()
                    .any(|role| matches!(role, Role::HubTransport | Role::Mailbox));
            if !is_edge || !is_inside {
                continue;
            }
            let Some(edge) = followed(&mut self.edges, edge.endpoint.address) else {
                self.unfollowed = self.unfollowed.saturating_add(1);
                continue;
            };
            if subject.flow.server().port == EDGESYNC {
                edge.is_synchronized = true;
            } else if subject.flow.proves("smtp") {
                edge.mail.see(subject);
            }
        }
    }

    fn finish(self: Box<Self>, scene: &Scene<'_>, findings: &mut Findings<'_>) {
        let mut tell = |code: &'static Code, address: IpAddr, message: String, active: &Active| {
            let roles = scene.topology.host(address).map(|host| &host.roles);
            let is_meant = |row: &&Row| match code.code == NO_DIRECTORY.code {
                true => {
                    row.to_roles.contains(&Role::DomainController)
                        && row
                            .from_roles
                            .iter()
                            .any(|role| roles.is_some_and(|roles| roles.contains(role)))
                }
                false => row
                    .services
                    .iter()
                    .any(|service| service.as_str() == "edgesync"),
            };
            let rows = scene.signatures.matrix.rows().iter();
            let row = rows.filter(|row| row.kind == Kind::DataPath).find(is_meant);
            findings.tell(Draft {
                code,
                severity: Severity::Info,
                row: row.map(|row| row.id.clone()),
                message,
                evidence: vec![format!(
                    "{} flows in {} minutes",
                    active.flows,
                    active.lasted() / 60_000_000_000
                )],
                cause: Cause::host(address),
            });
        };
        for (address, active) in &self.hosts {
            let is_busy = active.flows >= MIN_FLOWS && active.lasted() >= DIRECTORY_NS;
            if self.is_directory_seen && is_busy && !active.asks_directory {
                let message = format!("{} asks no domain controller", scene.named(*address));
                tell(NO_DIRECTORY, *address, message, active);
            }
        }
        for (address, edge) in &self.edges {
            let is_due = scene.topology.has_edge_at([*address; 2]) == Some(true)
                && edge.mail.lasted() >= EDGESYNC_NS;
            if is_due && !edge.is_synchronized {
                let message = format!("no EdgeSync reaches {}", scene.named(*address));
                tell(EDGESYNC_SILENT, *address, message, &edge.mail);
            }
        }
        findings.pass_over("flows of further servers", self.unfollowed);
    }
}

/// What is known of a host, where there is room for it.
fn followed<T: Default>(hosts: &mut BTreeMap<IpAddr, T>, address: IpAddr) -> Option<&mut T> {
    if hosts.len() >= MAX_HOSTS && !hosts.contains_key(&address) {
        return None;
    }
    Some(hosts.entry(address).or_default())
}
