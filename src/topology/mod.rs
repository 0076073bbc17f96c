//! Who is who: hosts and networks to roles, products, names and zones.
//!
//! From a file that the user writes ([`Topology::read`]), and inferred from facts where the file is silent
//! ([`Inferred`]). It never reads a packet, and it never decides a verdict.

mod allow;
mod file;
mod infer;

pub use allow::{About, Waiver};
pub use file::TopologyError;
pub use infer::{Clue, Inferred};

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use ipnet::IpNet;

use crate::signature::{Product, Role, ServiceId};

/// Where a host stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Zone {
    /// The organisation's own network.
    Internal,
    /// The perimeter network.
    Perimeter,
    /// Everything else.
    Internet,
}

impl Zone {
    /// The word in files and messages.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Perimeter => "perimeter",
            Self::Internet => "internet",
        }
    }
}

/// What a topology file says of one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Name for people.
    pub name: Option<Arc<str>>,
    /// Roles; several on one host.
    pub roles: BTreeSet<Role>,
    /// Product.
    pub product: Option<Product>,
    /// Active Directory site.
    pub site: Option<Arc<str>>,
    /// Ports of this host that a service was moved to.
    pub ports: Vec<MovedPort>,
}

/// A port of one host that a service was moved to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedPort {
    /// The service.
    pub service: ServiceId,
    /// The port.
    pub port: u16,
    /// Line of the file, from 1.
    line: usize,
}

impl MovedPort {
    /// Line of the topology file, from 1.
    pub const fn line(&self) -> usize {
        self.line
    }
}

/// What a topology file says of one Active Directory site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Site {
    /// Whether an Edge Transport server is subscribed to it.
    pub edge_subscribed: Option<bool>,
}

/// A topology: what the user knows of the network.
#[derive(Clone, Debug)]
pub struct Topology {
    /// Whether an Edge Transport server is subscribed; `None` where the file is silent.
    pub edge_subscribed: Option<bool>,
    /// Product of hosts for which none is named.
    pub product: Option<Product>,
    hosts: BTreeMap<IpAddr, Host>,
    networks: Vec<(IpNet, Host)>,
    zones: Vec<(IpNet, Zone)>,
    sites: BTreeMap<Arc<str>, Site>,
    waivers: Vec<Waiver>,
    path: Arc<Path>,
}

impl Default for Topology {
    fn default() -> Self {
        Self {
            edge_subscribed: None,
            product: None,
            hosts: BTreeMap::new(),
            networks: Vec::new(),
            zones: Vec::new(),
            sites: BTreeMap::new(),
            waivers: Vec::new(),
            path: Path::new("").into(),
        }
    }
}

impl Topology {
    /// Whether anything is known at all.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty() && self.networks.is_empty() && self.zones.is_empty()
    }

    /// What the file says of an address: the host, else the narrowest network that holds it.
    pub fn host(&self, address: IpAddr) -> Option<&Host> {
        self.hosts.get(&address).or_else(|| {
            self.networks
                .iter()
                .filter(|(network, _)| network.contains(&address))
                .max_by_key(|(network, _)| network.prefix_len())
                .map(|(_, host)| host)
        })
    }

    /// The zone of an address; `None` where the file names no zones.
    pub fn zone(&self, address: IpAddr) -> Option<Zone> {
        if self.zones.is_empty() {
            return None;
        }
        let narrowest = self
            .zones
            .iter()
            .filter(|(network, _)| network.contains(&address))
            .max_by_key(|(net, _)| net.prefix_len());
        Some(narrowest.map_or(Zone::Internet, |(_, zone)| *zone))
    }

    /// All hosts that have an entry of their own.
    pub fn hosts(&self) -> impl Iterator<Item = (IpAddr, &Host)> {
        self.hosts.iter().map(|(address, host)| (*address, host))
    }

    /// Findings that are allowed, in the order of the files.
    pub fn waivers(&self) -> &[Waiver] {
        &self.waivers
    }

    /// Ports that services were moved to on single hosts.
    pub fn moved_ports(&self) -> impl Iterator<Item = &MovedPort> {
        let hosts = self.hosts.values();
        let networks = self.networks.iter().map(|(_, host)| host);
        hosts.chain(networks).flat_map(|host| &host.ports)
    }

    /// The service that was moved to a port of a host.
    pub fn moved_to(&self, address: IpAddr, port: u16) -> Option<&ServiceId> {
        let moved = &self.host(address)?.ports;
        let found = moved.iter().find(|moved| moved.port == port);
        found.map(|moved| &moved.service)
    }

    /// The error for something wrong at a line of the topology file.
    pub fn wrong(&self, line: usize, message: String) -> TopologyError {
        TopologyError::Wrong {
            path: self.path.to_path_buf(),
            line,
            message,
        }
    }

    /// Whether the file calls a host or a network by that name.
    fn knows(&self, name: &str) -> bool {
        let hosts = self.hosts.values();
        let networks = self.networks.iter().map(|(_, host)| host);
        hosts
            .chain(networks)
            .any(|host| host.name.as_deref() == Some(name))
    }

    /// What the file says of an Edge subscription for traffic between two hosts: their sites before the whole. Where two sites
    /// differ, one that is subscribed decides.
    pub fn edge_subscribed_at(&self, ends: [IpAddr; 2]) -> Option<bool> {
        let of_site = |address: IpAddr| {
            let site = self.host(address)?.site.as_ref()?;
            self.sites.get(site)?.edge_subscribed
        };
        let stated = ends.into_iter().filter_map(of_site).max();
        stated.or(self.edge_subscribed)
    }

    /// Whether an Edge Transport server is subscribed for traffic between two hosts: what the file says, else whether it lists
    /// one (contradictions C49).
    pub fn has_edge_at(&self, ends: [IpAddr; 2]) -> Option<bool> {
        self.edge_subscribed_at(ends).or_else(|| {
            let edge = self
                .hosts
                .values()
                .any(|host| host.roles.contains(&Role::EdgeTransport));
            edge.then_some(true)
        })
    }
}
