//! A port scan is one finding, not one for each port.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::{UNREACHED, is_group};
use crate::attribution::State;
use crate::audit::Severity;
use crate::audit::check::{Check, Code, Watch};
use crate::audit::gather::{Cause, Draft, Findings, Named};
use crate::audit::scene::{Scene, Subject};
use crate::net::{Timestamp, Transport};

const PORT_SCAN: &Code = &Code {
    code: "EXW406",
    name: "port-scan",
    meaning: "One host tried many ports of a host, or one port of many hosts, and was refused or not answered. The five documents do not speak of scans.",
    advice: "If it is no inventory or vulnerability scanner of your own, isolate the host that scans; single refusals of it are not listed.",
};

pub(in crate::audit) const SCAN: Check = Check {
    codes: &[PORT_SCAN],
    start: || Box::new(Scans::default()),
};

/// Ports of one host that one client tries in vain: no service of the documents has as many.
const PORTS: usize = 25;
/// Hosts whose one port a client tries in vain.
const HOSTS: usize = 50;
/// Clients that are followed, each with so many targets: a scan is over the thresholds long before.
const MAX_CLIENTS: usize = 4096;
const MAX_TARGETS: usize = 256;
/// Flows that one finding lists.
const MAX_FLOWS: usize = 65_536;

#[derive(Default)]
struct Scans {
    clients: BTreeMap<IpAddr, Tries>,
}

/// What one client tried in vain.
#[derive(Default)]
struct Tries {
    ports: BTreeMap<IpAddr, BTreeSet<u16>>,
    hosts: BTreeMap<u16, BTreeSet<IpAddr>>,
    flows: Vec<Named>,
    count: u64,
    /// Number of the first packet.
    first: u64,
    span: Option<(Timestamp, Timestamp)>,
}

impl Watch for Scans {
    fn observe(&mut self, _: &Scene<'_>, subject: Subject<'_>, _: &mut Findings<'_>) {
        let flow = subject.flow;
        let in_vain = matches!(flow.state(), State::Attempted | State::Refused);
        let server = flow.server();
        if !in_vain || flow.key.transport != Transport::TCP || is_group(server.address) {
            return;
        }
        let client = flow.client().address;
        if self.clients.len() >= MAX_CLIENTS && !self.clients.contains_key(&client) {
            return;
        }
        let tries = self.clients.entry(client).or_default();
        let (first, last) = (flow.tracker.first_seen, flow.tracker.last_seen);
        let span = tries.span.get_or_insert((first, last));
        *span = (span.0.min(first), span.1.max(last));
        if tries.count == 0 {
            tries.first = flow.tracker.first_number;
        }
        tries.count = tries.count.saturating_add(1);
        if tries.flows.len() < MAX_FLOWS {
            tries.flows.push(subject.into());
        }
        insert(&mut tries.ports, server.address, server.port);
        insert(&mut tries.hosts, server.port, server.address);
    }

    fn finish(self: Box<Self>, _: &Scene<'_>, findings: &mut Findings<'_>) {
        let mut scanners = BTreeSet::new();
        for (client, tries) in self.clients {
            let most = |counts: &mut dyn Iterator<Item = usize>| counts.max().unwrap_or(0);
            let ports = most(&mut tries.ports.values().map(BTreeSet::len));
            let hosts = most(&mut tries.hosts.values().map(BTreeSet::len));
            let many = |count: usize| {
                if count >= MAX_TARGETS {
                    format!("at least {MAX_TARGETS}")
                } else {
                    count.to_string()
                }
            };
            let target = tries.ports.iter().max_by_key(|(_, ports)| ports.len());
            let what = match target {
                Some((host, _)) if ports >= PORTS => format!("{} ports of {host}", many(ports)),
                _ if hosts >= HOSTS => {
                    let most = tries.hosts.iter().max_by_key(|(_, hosts)| hosts.len());
                    let port = most.map_or(0, |(port, _)| *port);
                    format!("port {port} of {} hosts", many(hosts))
                }
                _ => continue,
            };
            scanners.insert(client);
            let seconds = tries
                .span
                .map_or(0, |(first, last)| last.since(first) / 1_000_000_000);
            let draft = |message: String| Draft {
                code: PORT_SCAN,
                severity: Severity::Warning,
                row: None,
                message,
                evidence: vec![format!(
                    "frame {}: the first of {} attempts in vain in {seconds} s",
                    tries.first, tries.count
                )],
                cause: Cause::default().of_client(client),
            };
            let message = format!("{client} tries {what} in vain");
            for flow in tries.flows {
                findings.find(flow, draft(message.clone()));
            }
        }
        findings.covers(UNREACHED, &scanners);
    }
}

fn insert<K: Ord, V: Ord>(targets: &mut BTreeMap<K, BTreeSet<V>>, key: K, value: V) {
    if targets.len() < MAX_TARGETS || targets.contains_key(&key) {
        let values = targets.entry(key).or_default();
        if values.len() < MAX_TARGETS {
            values.insert(value);
        }
    }
}
