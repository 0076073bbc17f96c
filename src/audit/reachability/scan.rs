//! A port scan is one finding, not one for each port.
//!
//! Clients are followed until they are over a threshold; from then on only what they scan is remembered, so that neither one
//! client's million ports nor a million clients fill memory.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use foldhash::fast::RandomState;

use super::{UNREACHED, is_group};
use crate::attribution::State;
use crate::audit::Severity;
use crate::audit::check::{Check, Code, Watch};
use crate::audit::few::{Few, Room};
use crate::audit::gather::{Cause, Draft, Findings};
use crate::audit::group::{Group, Named};
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
/// Clients that are followed: those with a try in vain, in the order of their first one.
const MAX_CLIENTS: usize = 4096;
/// Hosts, and ports, of a client that are followed, and what is counted of each: a scan is over the thresholds long before.
const MAX_TARGETS: usize = 256;
/// Targets of all clients together that are followed, three hundred bytes each at most.
const MAX_ALL_TARGETS: usize = 65_536;
/// Ends of all clients' flows that are remembered, some forty bytes each; beyond that counts are lower bounds.
const MAX_ENDS: usize = 131_072;

struct Scans {
    clients: HashMap<IpAddr, Tries, RandomState>,
    /// Flows of clients that are not followed.
    unfollowed: u64,
    targets: Room,
    ends: Room,
}

impl Default for Scans {
    fn default() -> Self {
        Self {
            clients: HashMap::default(),
            unfollowed: 0,
            targets: Room::of(MAX_ALL_TARGETS),
            ends: Room::of(MAX_ENDS),
        }
    }
}

/// What one client tried in vain.
struct Tries {
    flows: Group,
    count: u64,
    /// Number of the first packet.
    frame: u64,
    first: Timestamp,
    last: Timestamp,
    targets: Targets,
}

enum Targets {
    /// Below the thresholds so far.
    Some(Sought),
    /// Many ports of a host.
    Ports(IpAddr, Few<u16>),
    /// One port of many hosts.
    Hosts(u16, Few<IpAddr>),
}

/// Ports by host and hosts by port.
#[derive(Default)]
struct Sought {
    ports: BTreeMap<IpAddr, Few<u16>>,
    hosts: BTreeMap<u16, Few<IpAddr>>,
    held: usize,
    /// Targets without room.
    beyond: u64,
}

impl Watch for Scans {
    fn observe(&mut self, _: &Scene<'_>, subject: Subject<'_>, _: &mut Findings<'_>) {
        let flow = subject.flow;
        let in_vain = matches!(flow.state(), State::Attempted | State::Refused);
        if in_vain && flow.key.transport == Transport::TCP && !is_group(flow.server().address) {
            let tracker = &flow.tracker;
            let span = (tracker.first_seen, tracker.last_seen);
            self.tried(&subject.into(), tracker.first_number, span);
        }
    }

    fn finish(self: Box<Self>, _: &Scene<'_>, findings: &mut Findings<'_>) {
        findings.pass_over("flows in vain of clients beyond the first", self.unfollowed);
        let mut scanners = BTreeSet::new();
        let mut clients: Vec<(IpAddr, Tries)> = self.clients.into_iter().collect();
        clients.sort_unstable_by_key(|(client, _)| *client);
        for (client, tries) in clients {
            let what = match &tries.targets {
                Targets::Some(sought) => {
                    findings.pass_over("targets of possible scans", sought.beyond);
                    continue;
                }
                Targets::Ports(host, ports) => format!("{} ports of {host}", ports.count()),
                Targets::Hosts(port, hosts) => format!("port {port} of {} hosts", hosts.count()),
            };
            scanners.insert(client);
            let seconds = tries.last.since(tries.first) / 1_000_000_000;
            let draft = Draft {
                code: PORT_SCAN,
                severity: Severity::Warning,
                row: None,
                message: format!("{client} tries {what} in vain"),
                evidence: vec![format!(
                    "frame {}: the first of {} attempts in vain in {seconds} s",
                    tries.frame, tries.count
                )],
                cause: Cause::default().of_client(client),
            };
            findings.find_all(tries.flows, draft);
        }
        findings.covers(UNREACHED, &scanners);
    }
}

impl Scans {
    /// Takes in a try whose first packet has that number, and which lasted from the first to the last of these times.
    fn tried(&mut self, flow: &Named, frame: u64, (first, last): (Timestamp, Timestamp)) {
        let client = flow.client.address;
        let is_full = self.clients.len() >= MAX_CLIENTS;
        let tries = match self.clients.entry(client) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(_) if is_full => {
                self.unfollowed = self.unfollowed.saturating_add(1);
                return;
            }
            Entry::Vacant(free) => free.insert(Tries {
                flows: Group::default(),
                count: 0,
                frame,
                first,
                last,
                targets: Targets::Some(Sought::default()),
            }),
        };
        tries.count = tries.count.saturating_add(1);
        (tries.first, tries.last) = (tries.first.min(first), tries.last.max(last));
        tries.flows.add(flow, &mut self.ends);
        let (host, port) = (flow.server.address, flow.server.port);
        match &mut tries.targets {
            Targets::Some(sought) => {
                if let Some(found) = sought.add(host, port, &mut self.targets) {
                    self.targets.give_back(sought.held);
                    tries.targets = found;
                }
            }
            Targets::Ports(known, ports) if *known == host => ports.insert(port, MAX_TARGETS),
            Targets::Hosts(known, hosts) if *known == port => hosts.insert(host, MAX_TARGETS),
            Targets::Ports(..) | Targets::Hosts(..) => {}
        }
    }
}

impl Sought {
    /// Adds a target; what is scanned where that is over a threshold.
    fn add(&mut self, host: IpAddr, port: u16, room: &mut Room) -> Option<Targets> {
        self.add_to(|sought| &mut sought.ports, host, port, room);
        self.add_to(|sought| &mut sought.hosts, port, host, room);
        let ports = self.ports.get(&host)?;
        if ports.known().len() >= PORTS {
            return Some(Targets::Ports(host, ports.clone()));
        }
        let hosts = self.hosts.get(&port)?;
        (hosts.known().len() >= HOSTS).then(|| Targets::Hosts(port, hosts.clone()))
    }

    fn add_to<K: Ord, V: Ord>(
        &mut self,
        map: impl Fn(&mut Self) -> &mut BTreeMap<K, Few<V>>,
        key: K,
        value: V,
        room: &mut Room,
    ) {
        let targets = map(self);
        let is_full = targets.len() >= MAX_TARGETS && !targets.contains_key(&key);
        if is_full || !room.take() {
            self.beyond = self.beyond.saturating_add(1);
            return;
        }
        let values = targets.entry(key).or_default();
        let before = values.known().len();
        values.insert(value, MAX_TARGETS);
        if values.known().len() > before {
            self.held = self.held.saturating_add(1);
        } else {
            room.give_back(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Endpoint;

    fn flow(number: u64, client: u32, host: u32, port: u16) -> Named {
        Named {
            number,
            transport: Transport::TCP,
            client: Endpoint::new(IpAddr::V4(client.into()), 50_000),
            server: Endpoint::new(IpAddr::V4(host.into()), port),
            service: None,
        }
    }

    fn scan(flows: impl Iterator<Item = (u32, u32, u16)>) -> Scans {
        let mut scans = Scans::default();
        for (number, (client, host, port)) in (1..).zip(flows) {
            let now = Timestamp::default();
            scans.tried(&flow(number, client, host, port), number, (now, now));
        }
        scans
    }

    /// Targets that are held, of all clients.
    fn held(scans: &Scans) -> usize {
        let of = |tries: &Tries| match &tries.targets {
            Targets::Some(sought) => {
                let ports = sought.ports.values().map(|ports| ports.known().len());
                let hosts = sought.hosts.values().map(|hosts| hosts.known().len());
                let held: usize = ports.chain(hosts).sum();
                assert_eq!(held, sought.held);
                held
            }
            Targets::Ports(_, ports) => ports.known().len(),
            Targets::Hosts(_, hosts) => hosts.known().len(),
        };
        scans.clients.values().map(of).sum()
    }

    #[test]
    fn many_addresses_that_try_many_targets_are_held_in_bounded_memory() {
        // Each client is spread so thin that no threshold is ever crossed.
        let scans = scan((0..400_000).map(|at: u32| (at % 8000, at, (at % 60_000) as u16)));
        assert_eq!(scans.clients.len(), MAX_CLIENTS);
        assert!(held(&scans) <= MAX_ALL_TARGETS);
        let sets = scans.clients.values().map(|tries| tries.flows.ends());
        // The first client and the first listener of each need no room.
        assert!(sets.sum::<usize>() <= MAX_ENDS + 2 * MAX_CLIENTS);
        assert_eq!(scans.unfollowed, 400_000 / 8000 * (8000 - 4096));
    }

    #[test]
    fn a_client_over_a_threshold_gives_back_what_it_held() {
        let spread = (0..20).map(|host| (1, host, 25));
        let scans = scan(spread.chain((1..=2000).map(|port| (1, 7, port))));
        let tries = &scans.clients[&IpAddr::V4(1.into())];
        let Targets::Ports(host, ports) = &tries.targets else {
            panic!("ports of one host");
        };
        assert_eq!(*host, IpAddr::V4(7.into()));
        assert_eq!(ports.count(), "at least 256");
        assert_eq!(scans.targets.left(), MAX_ALL_TARGETS);
        assert_eq!(tries.count, 2020);
    }

    #[test]
    fn one_port_of_many_hosts_is_a_scan_too() {
        let scans = scan((0..60).map(|host| (1, host, 445)));
        let tries = &scans.clients[&IpAddr::V4(1.into())];
        assert!(matches!(&tries.targets, Targets::Hosts(445, hosts) if hosts.count() == "60"));
    }
}
