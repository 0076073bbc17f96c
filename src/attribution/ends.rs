//! Who is at the two ends of a flow: from the topology file, else inferred.

use super::Judge;
use super::flow::Flow;
use crate::net::Endpoint;
use crate::signature::{Product, Role};
use crate::topology::Zone;

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
    /// Name for people.
    pub name: Option<String>,
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
        let named = host.and_then(|host| host.name.as_deref());
        Party {
            endpoint,
            roles,
            is_known,
            product: host.and_then(|host| host.product).or(self.topology.product),
            zone,
            name: named
                .or_else(|| self.flows.name(address))
                .map(str::to_owned),
        }
    }
}
