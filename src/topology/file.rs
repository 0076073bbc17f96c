//! The topology file: TOML, strictly read.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ipnet::IpNet;
use serde::Deserialize;
use toml::Spanned;

use super::allow::AllowEntry;
use super::{Host, MovedPort, Site, Topology, Zone};
use crate::signature::{Product, Role, ServiceId, UnknownWord};

/// A topology file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TopologyError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
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
    product: Option<Product>,
    #[serde(default)]
    zones: Zones,
    #[serde(default)]
    site: Vec<Spanned<SiteEntry>>,
    #[serde(default)]
    host: Vec<Spanned<HostEntry>>,
    #[serde(default)]
    network: Vec<Spanned<NetworkEntry>>,
    #[serde(default)]
    allow: Vec<Spanned<AllowEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SiteEntry {
    name: Arc<str>,
    edge_subscribed: Option<bool>,
}

/// A port, or several.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected a port from 1 to 65535, or a list of them"
)]
enum PortList {
    One(std::num::NonZeroU16),
    Several(Vec<std::num::NonZeroU16>),
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
    site: Option<Spanned<Arc<str>>>,
    #[serde(default)]
    ports: BTreeMap<Spanned<Arc<str>>, PortList>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NetworkEntry {
    name: Option<Arc<str>>,
    network: Spanned<Arc<str>>,
    #[serde(default)]
    roles: BTreeSet<Role>,
    product: Option<Product>,
    site: Option<Spanned<Arc<str>>>,
    #[serde(default)]
    ports: BTreeMap<Spanned<Arc<str>>, PortList>,
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
        let wrong = |(line, message)| TopologyError::Wrong {
            path: path.to_owned(),
            line,
            message,
        };
        let mut topology = Self::parse(&text).map_err(wrong)?;
        topology.path = path.into();
        for waiver in &mut topology.waivers {
            waiver.path = path.into();
        }
        Ok(topology)
    }

    /// Reads a file that holds `[[allow]]` tables alone, and adds them.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line.
    pub fn read_waivers(&mut self, path: &Path) -> Result<(), TopologyError> {
        let text = std::fs::read_to_string(path).map_err(|source| TopologyError::Read {
            path: path.to_owned(),
            source,
        })?;
        let wrong = |(line, message)| TopologyError::Wrong {
            path: path.to_owned(),
            line,
            message,
        };
        let file: Waivers =
            toml::from_str(&text).map_err(|error| wrong(describe(&text, &error)))?;
        for entry in file.allow {
            let mut waiver = self.waiver(&text, entry).map_err(wrong)?;
            waiver.path = path.into();
            self.waivers.push(waiver);
        }
        Ok(())
    }

    /// Reads the text of a topology file; an error is a line, from 1, and a message.
    pub(crate) fn parse(text: &str) -> Result<Self, (usize, String)> {
        let line = |offset: usize| line(text, offset);
        let file: File = toml::from_str(text).map_err(|error| describe(text, &error))?;
        let mut topology = Self {
            edge_subscribed: file.edge_subscribed,
            product: file.product,
            ..Self::default()
        };
        for entry in file.site {
            let at = line(entry.span().start);
            let SiteEntry {
                name,
                edge_subscribed,
            } = entry.into_inner();
            let site = Site { edge_subscribed };
            if topology.sites.insert(Arc::clone(&name), site).is_some() {
                return Err((
                    at,
                    format!("expected one entry for a site, found `{name}` in two"),
                ));
            }
        }
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
                site,
                ports,
            } = entry.into_inner();
            let site = topology.site(site).map_err(|(from, m)| (line(from), m))?;
            let ports = moved(text, ports);
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
                    site: site.clone(),
                    ports: ports.clone(),
                };
                if topology.hosts.insert(address, host).is_some() {
                    return Err((
                        at,
                        format!("expected one host for an address, found {address} in two"),
                    ));
                }
            }
        }
        let whole = text;
        for entry in file.network {
            let NetworkEntry {
                name,
                network: text,
                roles,
                product,
                site,
                ports,
            } = entry.into_inner();
            let site = topology.site(site).map_err(|(from, m)| (line(from), m))?;
            let ports = moved(whole, ports);
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
                    site,
                    ports,
                },
            ));
        }
        for entry in file.allow {
            let waiver = topology.waiver(text, entry)?;
            topology.waivers.push(waiver);
        }
        Ok(topology)
    }

    /// The name of a site that has an entry; an error is an offset and a message.
    fn site(&self, name: Option<Spanned<Arc<str>>>) -> Result<Option<Arc<str>>, (usize, String)> {
        let Some(name) = name else { return Ok(None) };
        let at = name.span().start;
        let name = name.into_inner();
        if self.sites.contains_key(&name) {
            return Ok(Some(name));
        }
        let known = self.sites.keys().map(|site| &**site);
        Err((at, UnknownWord::new("site", &name, known).to_string()))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Waivers {
    #[serde(default)]
    allow: Vec<Spanned<AllowEntry>>,
}

/// The line of an offset, from 1.
pub(super) fn line(text: &str, offset: usize) -> usize {
    let before = text.get(..offset).unwrap_or(text);
    before.matches('\n').count().saturating_add(1)
}

/// Line and message of what the parser says.
fn describe(text: &str, error: &toml::de::Error) -> (usize, String) {
    let at = error.span().map_or(1, |span| line(text, span.start));
    (at, error.message().trim().replace('\n', ", "))
}

fn moved(text: &str, ports: BTreeMap<Spanned<Arc<str>>, PortList>) -> Vec<MovedPort> {
    let mut moved = Vec::new();
    for (service, ports) in ports {
        let line = line(text, service.span().start);
        let service = ServiceId(service.into_inner());
        let ports = match ports {
            PortList::One(port) => vec![port],
            PortList::Several(ports) => ports,
        };
        moved.extend(ports.into_iter().map(|port| MovedPort {
            service: service.clone(),
            port: port.get(),
            line,
        }));
    }
    moved
}

/// A network, or a single address as a network of one.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
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
        let ends = ["10.9.0.25".parse().unwrap(), "8.8.8.8".parse().unwrap()];
        assert_eq!(topology.has_edge_at(ends), Some(true));
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
