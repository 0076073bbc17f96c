//! Wireshark display filters that show the packets of a finding's flows, and no others where that can be said briefly.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::net::{Endpoint, Transport};

/// Paths that are named with the ports of their clients; more are shown by their listeners.
const MAX_PATHS: usize = 8;
/// Ranges of client ports that are named for one path; more are shown as all of the path.
const MAX_RANGES: usize = 8;
/// Client ports that are remembered of one path.
const MAX_PORTS: usize = 4096;
/// Listeners that are named; more are shown by their hosts.
const MAX_LISTENERS: usize = 16;
/// Hosts that are named: a filter is a line.
const MAX_HOSTS: usize = 64;

/// A client and the endpoint that it asks.
type Path = (Transport, Endpoint, IpAddr);

/// The flows that a filter has to show.
#[derive(Default)]
pub(super) struct Shown {
    /// Ports of the clients; `None` where there are too many paths.
    paths: Option<BTreeMap<Path, BTreeSet<u16>>>,
    listeners: BTreeSet<(Transport, Endpoint)>,
    hosts: BTreeSet<IpAddr>,
    is_begun: bool,
}

impl Shown {
    /// Adds a flow.
    pub(super) fn add(&mut self, transport: Transport, client: Endpoint, server: Endpoint) {
        if !std::mem::replace(&mut self.is_begun, true) {
            self.paths = Some(BTreeMap::new());
        }
        if let Some(paths) = &mut self.paths {
            let ports = paths
                .entry((transport, server, client.address))
                .or_default();
            if ports.len() < MAX_PORTS {
                ports.insert(client.port);
            }
        }
        self.bound();
        if self.listeners.len() <= MAX_LISTENERS {
            self.listeners.insert((transport, server));
        }
        if self.hosts.len() < MAX_HOSTS {
            self.hosts.insert(server.address);
        }
    }

    /// Takes in the flows of another.
    pub(super) fn join(&mut self, other: Self) {
        let Self {
            paths,
            listeners,
            hosts,
            is_begun,
        } = other;
        if !is_begun {
            return;
        }
        if !std::mem::replace(&mut self.is_begun, true) {
            self.paths = Some(BTreeMap::new());
        }
        match (&mut self.paths, paths) {
            (Some(ours), Some(theirs)) => {
                for (path, ports) in theirs {
                    ours.entry(path).or_default().extend(ports);
                }
            }
            (ours, _) => *ours = None,
        }
        self.bound();
        self.listeners.extend(listeners);
        self.hosts.extend(hosts);
    }

    fn bound(&mut self) {
        if self
            .paths
            .as_ref()
            .is_some_and(|paths| paths.len() > MAX_PATHS)
        {
            self.paths = None;
        }
    }

    /// The filter; empty where there is no flow.
    pub(super) fn filter(&self) -> String {
        let parts: Vec<String> = match &self.paths {
            Some(paths) => paths.iter().map(|(path, ports)| one(path, ports)).collect(),
            None if self.listeners.len() <= MAX_LISTENERS => {
                self.listeners.iter().map(listener).collect()
            }
            None => self.hosts.iter().map(|host| address(*host)).collect(),
        };
        parts.join(" || ")
    }
}

/// `ip.addr == 10.0.0.1`.
fn address(address: IpAddr) -> String {
    let field = if address.is_ipv4() {
        "ip.addr"
    } else {
        "ipv6.addr"
    };
    format!("{field} == {address}")
}

fn listener((transport, server): &(Transport, Endpoint)) -> String {
    let host = address(server.address);
    if transport.has_ports() {
        format!("({host} && {transport}.port == {})", server.port)
    } else {
        format!("({host})")
    }
}

fn one((transport, server, client): &Path, ports: &BTreeSet<u16>) -> String {
    let hosts = format!("{} && {}", address(*client), address(server.address));
    if !transport.has_ports() {
        return format!("({hosts})");
    }
    let ranges = ranges(ports);
    let from = match ranges.as_slice() {
        [(first, last)] if first == last => format!(" && {transport}.port == {first}"),
        ranges if ranges.len() <= MAX_RANGES && ports.len() < MAX_PORTS => {
            let set: Vec<String> = ranges
                .iter()
                .map(|(first, last)| {
                    if first == last {
                        first.to_string()
                    } else {
                        format!("{first}..{last}")
                    }
                })
                .collect();
            format!(" && {transport}.port in {{{}}}", set.join(", "))
        }
        _ => String::new(),
    };
    format!("({hosts}{from} && {transport}.port == {})", server.port)
}

/// Runs of neighbouring ports.
fn ranges(ports: &BTreeSet<u16>) -> Vec<(u16, u16)> {
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for &port in ports {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(port) => *last = port,
            _ => ranges.push((port, port)),
        }
    }
    ranges
}
