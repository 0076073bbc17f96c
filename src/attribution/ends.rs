//! Who is at the two ends of a flow: from the topology file, else inferred.

use std::fmt;
use std::net::IpAddr;

use super::Judge;
use super::flow::Flow;
use super::names::{Name, NameSource, Names};
use crate::net::Endpoint;
use crate::signature::{Product, Role};
use crate::topology::{Topology, Zone};

/// One end of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// Address and port.
    pub endpoint: Endpoint,
    /// Roles, in order.
    pub roles: Vec<Role>,
    /// The roles come from the topology file: they may contradict a row. Inferred ones never do.
    pub is_known: bool,
    /// Product, from the topology file.
    pub product: Option<Product>,
    /// Zone, from the topology file.
    pub zone: Option<Zone>,
    /// Name for people, and what says it.
    pub name: Option<Name>,
}

impl fmt::Display for Party {
    /// The address with its name. The name stands in front where the topology file or the host itself gives it; what others
    /// say comes behind, with its source.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        named(f, self.name.as_ref(), &self.endpoint.address)
    }
}

/// An endpoint with the name of its host.
#[derive(Clone, Copy, Debug)]
pub struct Listener<'a>(pub &'a Party);

impl fmt::Display for Listener<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        named(f, self.0.name.as_ref(), &self.0.endpoint)
    }
}

fn named(f: &mut fmt::Formatter<'_>, name: Option<&Name>, what: &dyn fmt::Display) -> fmt::Result {
    match name {
        None => write!(f, "{what}"),
        Some(Name { text, source }) if source.mark().is_empty() => {
            write!(f, "{text} ({what})")
        }
        Some(Name { text, source }) => write!(f, "{what} ({text} by {source})"),
    }
}

/// The name of an address that stands: of the topology file, else of the captures.
pub(super) fn name(address: IpAddr, topology: &Topology, names: &Names) -> Option<Name> {
    let given = topology.host(address).and_then(|host| host.name.as_deref());
    given
        .map(|text| Name {
            text: text.into(),
            source: NameSource::Topology,
        })
        .or_else(|| names.get(address))
}

/// Both ends of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The client.
    pub client: Party,
    /// The server.
    pub server: Party,
}

impl Judge<'_> {
    pub(super) fn ends(&self, flow: &Flow) -> Ends {
        Ends {
            client: self.party(flow.client()),
            server: self.party(flow.server()),
        }
    }

    fn party(&self, endpoint: Endpoint) -> Party {
        let address = endpoint.address;
        let host = self.topology.host(address);
        let zone = self.topology.zone(address);
        let mut roles: Vec<Role> = host
            .map(|host| host.roles.iter().copied().collect())
            .unwrap_or_default();
        let is_known = !roles.is_empty() || zone == Some(Zone::Internet);
        if roles.is_empty() && zone == Some(Zone::Internet) {
            roles.push(Role::Internet);
        }
        if !is_known {
            roles = self.inferred.roles(address).map(|(role, _)| role).collect();
        }
        Party {
            endpoint,
            roles,
            is_known,
            product: host.and_then(|host| host.product).or(self.topology.product),
            zone,
            name: name(address, self.topology, &self.flows.names),
        }
    }
}
