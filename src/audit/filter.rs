//! Wireshark display filters that show the packets of a finding's flows, and no others where that can be said briefly.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::few::{Few, Room};
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
/// Ports that are named where there are too many hosts.
const MAX_SERVER_PORTS: usize = 16;

/// A client and the endpoint that it asks.
type Path = (Transport, Endpoint, IpAddr);

/// The flows that a filter has to show.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// Ports of the clients; `None` where there are too many paths.
    paths: Option<BTreeMap<Path, Few<u16>>>,
    /// This and what follows it hold one more than can be named, so that too many is known from just enough.
    listeners: BTreeSet<(Transport, Endpoint)>,
    hosts: BTreeSet<IpAddr>,
    ports: BTreeSet<(Transport, u16)>,
    clients: BTreeSet<IpAddr>,
    is_begun: bool,
}

impl Shown {
    /// Adds a flow; the port of its client where `room` is left.
    pub(super) fn add(
        &mut self,
        transport: Transport,
        client: Endpoint,
        server: Endpoint,
        room: &mut Room,
    ) {
        if !std::mem::replace(&mut self.is_begun, true) {
            self.paths = Some(BTreeMap::new());
        }
        if let Some(paths) = &mut self.paths {
            let ports = paths
                .entry((transport, server, client.address))
                .or_default();
            ports.insert_within(client.port, MAX_PORTS, room);
        }
        self.bound();
        insert(&mut self.listeners, MAX_LISTENERS, (transport, server));
        insert(&mut self.hosts, MAX_HOSTS, server.address);
        insert(&mut self.ports, MAX_SERVER_PORTS, (transport, server.port));
        insert(&mut self.clients, 1, client.address);
    }

    /// Takes in the flows of another.
    pub(super) fn join(&mut self, other: Self) {
        let Self {
            paths,
            listeners,
            hosts,
            ports,
            clients,
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
                    ours.entry(path).or_default().join(ports);
                }
            }
            (ours, _) => *ours = None,
        }
        self.bound();
        for listener in listeners {
            insert(&mut self.listeners, MAX_LISTENERS, listener);
        }
        for host in hosts {
            insert(&mut self.hosts, MAX_HOSTS, host);
        }
        for port in ports {
            insert(&mut self.ports, MAX_SERVER_PORTS, port);
        }
        for client in clients {
            insert(&mut self.clients, 1, client);
        }
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
        let Some(paths) = &self.paths else {
            return if self.is_begun {
                self.broad()
            } else {
                String::new()
            };
        };
        let parts: Vec<String> = paths.iter().map(|(path, ports)| one(path, ports)).collect();
        parts.join(" || ")
    }

    /// What many paths have in common: their one client if it is one, and the least that can be named of their servers.
    fn broad(&self) -> String {
        let servers: Vec<String> = if self.listeners.len() <= MAX_LISTENERS {
            self.listeners.iter().map(listener).collect()
        } else if self.hosts.len() <= MAX_HOSTS {
            self.hosts.iter().map(|host| address(*host)).collect()
        } else if self.ports.len() <= MAX_SERVER_PORTS {
            self.ports.iter().map(port).collect()
        } else {
            Vec::new()
        };
        let servers = servers.join(" || ");
        match self.clients.first() {
            Some(client) if self.clients.len() == 1 && servers.is_empty() => address(*client),
            Some(client) if self.clients.len() == 1 => {
                format!("{} && ({servers})", address(*client))
            }
            // Hosts and ports without end: whatever may be theirs.
            _ if servers.is_empty() => "ip || ipv6".to_owned(),
            _ => servers,
        }
    }
}

/// Adds to a set that holds one more than `most`.
fn insert<T: Ord>(set: &mut BTreeSet<T>, most: usize, item: T) {
    if set.len() <= most {
        set.insert(item);
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

/// `tcp.port == 25`.
fn port((transport, port): &(Transport, u16)) -> String {
    if transport.has_ports() {
        format!("{transport}.port == {port}")
    } else {
        // What carries no ports is named by its number.
        let number = transport.0;
        format!("(ip.proto == {number} || ipv6.nxt == {number})")
    }
}

/// Both hosts. Where they are one, each of the packet's addresses is meant, not any of them.
fn between(client: IpAddr, server: IpAddr) -> String {
    if client != server {
        return format!("{} && {}", address(client), address(server));
    }
    let protocol = if server.is_ipv4() { "ip" } else { "ipv6" };
    format!("{protocol}.src == {server} && {protocol}.dst == {server}")
}

fn one((transport, server, client): &Path, ports: &Few<u16>) -> String {
    let hosts = between(*client, server.address);
    if !transport.has_ports() {
        return format!("({hosts})");
    }
    if !ports.is_whole() {
        return format!("({hosts} && {transport}.port == {})", server.port);
    }
    let mut others = ports.known().clone();
    let mut parts = Vec::new();
    // Two ports that are the same: each of the packet's ports is meant, not any of them.
    if others.remove(&server.port) {
        parts.push(format!(
            "({hosts} && {transport}.srcport == {0} && {transport}.dstport == {0})",
            server.port
        ));
    }
    if !others.is_empty() {
        let from = clients(*transport, &others);
        parts.push(format!(
            "({hosts}{from} && {transport}.port == {})",
            server.port
        ));
    }
    parts.join(" || ")
}

/// The ports of clients, if they can be named.
fn clients(transport: Transport, ports: &BTreeSet<u16>) -> String {
    let ranges = ranges(ports);
    match ranges.as_slice() {
        [(first, last)] if first == last => format!(" && {transport}.port == {first}"),
        ranges if ranges.len() <= MAX_RANGES => {
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
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(flows: &[(Transport, &str, &str)]) -> String {
        let mut shown = Shown::default();
        for (transport, client, server) in flows {
            let end = |text: &str| {
                let end: std::net::SocketAddr = text.parse().unwrap();
                Endpoint::new(end.ip(), end.port())
            };
            let room = &mut Room::of(MAX_PORTS);
            shown.add(*transport, end(client), end(server), room);
        }
        shown.filter()
    }

    #[test]
    fn a_flow_is_named_by_both_hosts_and_both_ports() {
        assert_eq!(
            shown(&[(Transport::TCP, "10.0.0.1:50000", "10.0.0.2:25")]),
            "(ip.addr == 10.0.0.1 && ip.addr == 10.0.0.2 && tcp.port == 50000 && tcp.port == 25)"
        );
    }

    #[test]
    fn ports_and_hosts_that_are_the_same_are_named_by_their_direction() {
        assert_eq!(
            shown(&[(Transport::UDP, "10.0.0.1:3343", "10.0.0.2:3343")]),
            "(ip.addr == 10.0.0.1 && ip.addr == 10.0.0.2 && udp.srcport == 3343 && udp.dstport == 3343)"
        );
        assert_eq!(
            shown(&[(Transport::TCP, "[::1]:50000", "[::1]:25")]),
            "(ipv6.src == ::1 && ipv6.dst == ::1 && tcp.port == 50000 && tcp.port == 25)"
        );
    }

    #[test]
    fn a_scan_of_a_host_shows_what_else_the_host_does_with_nobody() {
        let servers: Vec<String> = (1..100).map(|port| format!("10.0.0.2:{port}")).collect();
        let flows: Vec<_> = servers
            .iter()
            .map(|server| (Transport::TCP, "10.0.0.1:50000", server.as_str()))
            .collect();
        assert_eq!(
            shown(&flows),
            "ip.addr == 10.0.0.1 && (ip.addr == 10.0.0.2)"
        );
    }

    #[test]
    fn a_scan_of_a_network_is_shown_by_its_port() {
        let servers: Vec<String> = (1..200).map(|host| format!("10.0.0.{host}:445")).collect();
        let flows: Vec<_> = servers
            .iter()
            .map(|server| (Transport::TCP, "10.0.1.1:50000", server.as_str()))
            .collect();
        assert_eq!(shown(&flows), "ip.addr == 10.0.1.1 && (tcp.port == 445)");
    }
}
