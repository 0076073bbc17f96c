//! The topology file: TOML, strictly read.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ipnet::IpNet;
use serde::Deserialize;
use toml::Spanned;

use super::{Host, Topology, Zone};
use crate::signature::{Product, Role};

/// A topology file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TopologyError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Something in the file is wrong.
    #[error("{}:{line}: {message}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What was expected, and what was found.
        message: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    edge_subscribed: Option<bool>,
    #[serde(default)]
    zones: Zones,
    #[serde(default)]
    host: Vec<Spanned<HostEntry>>,
    #[serde(default)]
    network: Vec<Spanned<NetworkEntry>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Zones {
    #[serde(default)]
    internal: Vec<Spanned<Arc<str>>>,
    #[serde(default)]
    perimeter: Vec<Spanned<Arc<str>>>,
    #[serde(default)]
    internet: Vec<Spanned<Arc<str>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HostEntry {
    name: Option<Arc<str>>,
    addresses: Vec<Spanned<Arc<str>>>,
    #[serde(default)]
    roles: BTreeSet<Role>,
    product: Option<Product>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NetworkEntry {
    name: Option<Arc<str>>,
    network: Spanned<Arc<str>>,
    #[serde(default)]
    roles: BTreeSet<Role>,
    product: Option<Product>,
}

impl Topology {
    /// Reads a topology file.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line.
    pub fn read(path: &Path) -> Result<Self, TopologyError> {
        let text = std::fs::read_to_string(path).map_err(|source| TopologyError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text).map_err(|(line, message)| TopologyError::Wrong {
            path: path.to_owned(),
            line,
            message,
        })
    }

    /// Reads the text of a topology file; an error is a line, from 1, and a message.
    pub(crate) fn parse(text: &str) -> Result<Self, (usize, String)> {
        let line = |offset: usize| {
            text.get(..offset)
                .unwrap_or(text)
                .matches('\n')
                .count()
                .saturating_add(1)
        };
        let file: File = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(1, |span| line(span.start));
            (at, error.message().trim().replace('\n', ", "))
        })?;
        let mut topology = Self {
            edge_subscribed: file.edge_subscribed,
            ..Self::default()
        };
        let zones = [
            (file.zones.internal, Zone::Internal),
            (file.zones.perimeter, Zone::Perimeter),
            (file.zones.internet, Zone::Internet),
        ];
        for (networks, zone) in zones {
            for text in networks {
                let at = line(text.span().start);
                let network = network(text.get_ref()).map_err(|message| (at, message))?;
                if topology.zones.iter().any(|(known, _)| *known == network) {
                    return Err((
                        at,
                        format!("expected a network in one zone, found {network} in two"),
                    ));
                }
                topology.zones.push((network, zone));
            }
        }
        for entry in file.host {
            let at = line(entry.span().start);
            let HostEntry {
                name,
                addresses,
                roles,
                product,
            } = entry.into_inner();
            if addresses.is_empty() {
                return Err((
                    at,
                    "expected at least one address of the host, found none".to_owned(),
                ));
            }
            for text in addresses {
                let at = line(text.span().start);
                let address: IpAddr = text.get_ref().parse().map_err(|_| {
                    (
                        at,
                        format!("expected an IP address, found `{}`", text.get_ref()),
                    )
                })?;
                let host = Host {
                    name: name.clone(),
                    roles: roles.clone(),
                    product,
                };
                if topology.hosts.insert(address, host).is_some() {
                    return Err((
                        at,
                        format!("expected one host for an address, found {address} in two"),
                    ));
                }
            }
        }
        for entry in file.network {
            let NetworkEntry {
                name,
                network: text,
                roles,
                product,
            } = entry.into_inner();
            let at = line(text.span().start);
            let network = network(text.get_ref()).map_err(|message| (at, message))?;
            if topology.networks.iter().any(|(known, _)| *known == network) {
                return Err((
                    at,
                    format!("expected one entry for a network, found {network} in two"),
                ));
            }
            topology.networks.push((
                network,
                Host {
                    name,
                    roles,
                    product,
                },
            ));
        }
        Ok(topology)
    }
}

/// A network, or a single address as a network of one.
fn network(text: &str) -> Result<IpNet, String> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map(|network| network.trunc())
        .map_err(|_| format!("expected a network such as 10.0.0.0/8, found `{text}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
edge_subscribed = true
[zones]
internal = ["10.0.0.0/8"]
perimeter = ["10.9.0.0/16"]
[[host]]
name = "edge1"
addresses = ["10.9.0.25", "2001:db8::25"]
roles = ["edge_transport"]
product = "exchange2010"
[[network]]
network = "10.1.0.0/16"
roles = ["client"]
"#;

    #[test]
    fn hosts_networks_and_zones_are_read() {
        let topology = Topology::parse(FILE).unwrap();
        let host = topology.host("10.9.0.25".parse().unwrap()).unwrap();
        assert!(host.roles.contains(&Role::EdgeTransport));
        assert_eq!(
            topology.host("10.1.2.3".parse().unwrap()).unwrap().roles,
            BTreeSet::from([Role::Client])
        );
        assert_eq!(
            topology.zone("10.9.0.25".parse().unwrap()),
            Some(Zone::Perimeter),
            "the narrower network wins"
        );
        assert_eq!(
            topology.zone("10.8.0.25".parse().unwrap()),
            Some(Zone::Internal)
        );
        assert_eq!(
            topology.zone("8.8.8.8".parse().unwrap()),
            Some(Zone::Internet)
        );
        assert_eq!(topology.has_edge(), Some(true));
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        let cases = [
            (
                "[[host]]\naddresses = [\"10.0.0.1\"]\nroles = [\"mailbx\"]",
                3,
                "nearest known one is `mailbox`",
            ),
            (
                "[[host]]\naddresses = [\"ten\"]",
                2,
                "expected an IP address, found `ten`",
            ),
            (
                "[zones]\ninternal = [\"10.0.0.0/99\"]",
                2,
                "expected a network",
            ),
            (
                "[[host]]\naddress = \"10.0.0.1\"",
                2,
                "unknown field `address`",
            ),
            (
                "[[host]]\naddresses = [\"10.0.0.1\"]\n[[host]]\naddresses = [\"10.0.0.1\"]",
                4,
                "in two",
            ),
        ];
        for (text, line, message) in cases {
            let (at, found) = Topology::parse(text).unwrap_err();
            assert_eq!(at, line, "{found}");
            assert!(found.contains(message), "{found}");
        }
    }
}
