//! Who is who: hosts and networks to roles, products, names and zones.
//!
//! From a file that the user writes ([`Topology::read`]), and inferred from facts where the file is silent
//! ([`Inferred`]). It never reads a packet, and it never decides a verdict.

mod file;
mod infer;

pub use file::TopologyError;
pub use infer::{Clue, Inferred};

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::signature::{Product, Role};

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
}

/// A topology: what the user knows of the network.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    /// Whether an Edge Transport server is subscribed; `None` where the file is silent.
    pub edge_subscribed: Option<bool>,
    hosts: BTreeMap<IpAddr, Host>,
    networks: Vec<(IpNet, Host)>,
    zones: Vec<(IpNet, Zone)>,
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

    /// Whether an Edge Transport server is subscribed: what the file says, else whether it lists one (contradictions C49).
    pub fn has_edge(&self) -> Option<bool> {
        self.edge_subscribed.or_else(|| {
            let edge = self
                .hosts
                .values()
                .any(|host| host.roles.contains(&Role::EdgeTransport));
            edge.then_some(true)
        })
    }
}
