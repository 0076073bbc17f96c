//! A sketch of the network, from what flows prove: for a person to correct and to give back as a topology file.
//!
//! Everything in it has its evidence. Roles come from what hosts say and serve, never from a port alone; zones from the kind of
//! an address, which is said; products from versions that software tells.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{Attribution, Flow, Judged, Name, Verdict};
use crate::evidence::{Strength, Value};
use crate::net::Transport;
use crate::signature::{Product, Role, ServiceId};

/// Services, sayings and other lists of one host: a person reads them, and hostile captures have no end.
const MAX_ITEMS: usize = 24;

/// What a host serves at one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// The service, else what is spoken.
    pub what: String,
    /// How sure the service is.
    pub strength: Option<Strength>,
    /// The number of the first flow that shows it.
    pub flow: u64,
    /// How many flows show it.
    pub flows: u64,
    /// The evidence of the first flow.
    pub because: String,
    /// The service, where it is proven and no row lists the port.
    pub moved: Option<ServiceId>,
}

/// What was seen of one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketched {
    /// Its names, the most trusted first.
    pub names: Vec<Name>,
    /// Its roles, with the evidence of each.
    pub roles: BTreeMap<Role, BTreeSet<String>>,
    /// The products that its software names, with the evidence of each.
    pub products: BTreeMap<Product, String>,
    /// What it serves, by port.
    pub serves: BTreeMap<(Transport, u16), Served>,
    /// What it says of itself: banners, programs, certificates, interfaces.
    pub says: BTreeSet<String>,
    /// Services of clients that it asked for, with the first flow of each.
    pub asks: BTreeMap<ServiceId, u64>,
}

impl Sketched {
    /// Whether it plays a part that the matrix speaks of.
    pub fn is_server(&self) -> bool {
        !self.roles.is_empty()
    }
}

/// A sketch of the network.
#[derive(Clone, Debug, Default)]
pub struct Sketch {
    /// The hosts that serve or ask for something.
    pub hosts: BTreeMap<IpAddr, Sketched>,
    /// EdgeSync in its documented direction: the number of the flow, and its evidence.
    pub edge_sync: Option<(u64, String)>,
}

/// Services whose server has one role in every row that names them, and what makes their clients.
const SERVERS: &[(&str, Role, Option<Role>)] = &[
    ("edgesync", Role::EdgeTransport, Some(Role::HubTransport)),
    ("owa", Role::ClientAccess, None),
    ("ecp", Role::ClientAccess, None),
    ("ews", Role::ClientAccess, None),
    ("oab", Role::ClientAccess, None),
    ("activesync", Role::ClientAccess, None),
    ("outlook_anywhere", Role::ClientAccess, None),
    ("mapi_http", Role::ClientAccess, None),
    ("autodiscover", Role::ClientAccess, None),
    ("availability", Role::ClientAccess, None),
    ("global_catalog", Role::DomainController, None),
    ("netlogon", Role::DomainController, None),
    ("cluster_rpc", Role::ClusterNode, Some(Role::ClusterNode)),
    ("rms", Role::AdRms, None),
    ("lync_focus", Role::LyncFrontEnd, None),
    ("sip_mediation", Role::LyncMediation, None),
];

/// Services that end users' programs ask for.
const OF_CLIENTS: &[&str] = &[
    "owa",
    "activesync",
    "outlook_anywhere",
    "mapi_http",
    "autodiscover",
    "oab",
    "smtp_submission",
    "pop3",
    "imap",
];

impl Sketch {
    /// The sketch of what was judged.
    pub fn of(judged: &Judged<'_>) -> Self {
        let mut sketch = Self::default();
        judged.for_each(|flow, attribution| sketch.learn(judged, flow, attribution));
        for (address, host) in &mut sketch.hosts {
            for (role, clues) in judged.inferred.roles(*address) {
                let because = host.roles.entry(role).or_default();
                because.extend(
                    clues
                        .iter()
                        .map(|clue| format!("{}, frame {}", clue.because, clue.seen.frame)),
                );
            }
            // What is said in general stands back behind a role of its own.
            let is_special = |role: &Role| role.is_exchange() && *role != Role::ExchangeAny;
            if host.roles.keys().any(is_special)
                && let Some(general) = host.roles.remove(&Role::ExchangeAny)
            {
                host.says.extend(general);
            }
            host.names = judged.flows.names.all(*address).collect();
        }
        sketch
    }

    fn learn(&mut self, judged: &Judged<'_>, flow: &Flow, attribution: &Attribution) {
        let (client, server) = (flow.client().address, flow.server());
        let answers = flow.tracker.packets[flow.client.other()] > 0;
        for (fact, sight) in &flow.facts {
            let Value::Text(text) = &fact.value else {
                continue;
            };
            let host = self
                .hosts
                .entry(flow.key.endpoint(fact.side).address)
                .or_default();
            let (protocol, name) = (fact.attribute.protocol, fact.attribute.name);
            if SAYINGS.contains(&(protocol, name)) && host.says.len() < MAX_ITEMS {
                host.says.insert(format!("{protocol} {name} `{text}`"));
            }
            if let Some(product) = product(protocol, name, text) {
                let because = format!("{protocol} {name} `{text}`, {}", judged.flows.frame(*sight));
                host.products.entry(product).or_insert(because);
            }
        }
        if !answers || !flow.key.transport.has_ports() {
            return;
        }
        for rpc in attribution
            .rpc
            .iter()
            .filter(|rpc| rpc.accepted == Some(true))
        {
            let host = self.hosts.entry(server.address).or_default();
            if let (Some(name), true) = (&rpc.name, host.says.len() < MAX_ITEMS) {
                host.says.insert(format!("serves the RPC interface {name}"));
            }
        }
        let spoken = attribution.spoken.join(" ");
        let service = attribution.service.as_ref();
        let is_sure = attribution.strength >= Some(Strength::Corroborated);
        if spoken.is_empty() && !is_sure {
            return;
        }
        // Media are offered from call to call: their ports are nobody's to list.
        let is_media = service.is_some_and(|service| service.as_str() == "media");
        let because = attribution
            .because
            .first()
            .map(ToString::to_string)
            .unwrap_or_default();
        let host = self.hosts.entry(server.address).or_default();
        let at = (flow.key.transport, server.port);
        if let Some(served) = host.serves.get_mut(&at) {
            served.flows = served.flows.saturating_add(1);
        } else if !is_media && host.serves.len() < MAX_ITEMS {
            let moved = match &attribution.verdict {
                Verdict::Undocumented { service } => Some(service.clone()),
                Verdict::Documented(_)
                | Verdict::Unproven(_)
                | Verdict::Contradicted { .. }
                | Verdict::Unattributed => None,
            };
            let served = Served {
                what: service.map_or(spoken, ToString::to_string),
                strength: attribution.strength,
                flow: flow.number,
                flows: 1,
                because: because.clone(),
                moved,
            };
            host.serves.insert(at, served);
        }
        let Some(service) = service.filter(|_| is_sure) else {
            return;
        };
        let clue = |end: &str| {
            let strength = attribution.strength.map_or("", Strength::name);
            format!(
                "{end} {service} in flow {}, {strength}: {because}",
                flow.number
            )
        };
        let found = SERVERS.iter().find(|(id, ..)| *id == service.as_str());
        // EdgeSync goes from the inside to the perimeter: towards a private address from another it is what an audit must
        // judge, and no ground to take the one for the other.
        let is_private = |address: IpAddr| private(address).is_some();
        let is_backwards =
            service.as_str() == "edgesync" && is_private(server.address) && !is_private(client);
        if is_backwards {
            let host = self.hosts.entry(server.address).or_default();
            host.says.insert(format!(
                "edgesync was opened towards it in flow {}, from {client}, against the documented direction",
                flow.number
            ));
        }
        if let Some((id, of_server, of_client)) = found.filter(|_| !is_backwards) {
            self.add(server.address, *of_server, clue("serves"));
            if let Some(role) = of_client {
                self.add(client, *role, clue("opens"));
            }
            if *id == "edgesync" && self.edge_sync.is_none() {
                self.edge_sync = Some((flow.number, because));
            }
        }
        if OF_CLIENTS.contains(&service.as_str()) {
            let asks = &mut self.hosts.entry(client).or_default().asks;
            asks.entry(service.clone()).or_insert(flow.number);
        }
    }

    /// One clue of a kind is enough: the first.
    fn add(&mut self, address: IpAddr, role: Role, clue: String) {
        let clues = self
            .hosts
            .entry(address)
            .or_default()
            .roles
            .entry(role)
            .or_default();
        if clues.is_empty() {
            clues.insert(clue);
        }
    }
}

/// Blocks of addresses that are private by their kind (RFC 1918, RFC 6598).
const PRIVATE: [(Ipv4Addr, u8); 4] = [
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
];

/// The private block that holds an address: of those above, or the site's own of RFC 4193.
pub fn private(address: IpAddr) -> Option<IpNet> {
    match address {
        IpAddr::V4(address) => PRIVATE
            .iter()
            .filter_map(|(network, prefix)| Ipv4Net::new(*network, *prefix).ok())
            .find(|network| network.contains(&address))
            .map(IpNet::V4),
        IpAddr::V6(address) if address.is_unique_local() => {
            let site = Ipv6Net::new(address, 48).ok()?;
            Some(IpNet::V6(site.trunc()))
        }
        IpAddr::V6(_) => None,
    }
}

/// Facts that tell a person what a host is.
const SAYINGS: &[(&str, &str)] = &[
    ("smtp", "banner"),
    ("sip", "server"),
    ("sip", "user_agent"),
    ("tls", "certificate_subject"),
    ("http", "server"),
    ("http", "exchange_header"),
    ("kerberos", "realm"),
];

/// The product whose version a fact names.
fn product(protocol: &str, attribute: &str, text: &str) -> Option<Product> {
    let text = text.to_ascii_lowercase();
    let version = |name: &str| text.split_once(name).map(|(_, rest)| rest.trim_start());
    match (protocol, attribute) {
        ("http", "exchange_header") => {
            if version("x-feserver:").is_some() || version("x-calculatedbetarget:").is_some() {
                return Some(Product::Exchange2013);
            }
            let version = version("x-owa-version:")?;
            match version.split('.').next()? {
                "14" => Some(Product::Exchange2010),
                "15" => Some(Product::Exchange2013),
                "6" => Some(Product::ExchangeLegacy),
                _ => None,
            }
        }
        ("sip", "server" | "user_agent") => {
            if let Some(version) = version("msexchangeum/") {
                return match version.split('.').next()? {
                    "14" => Some(Product::Exchange2010),
                    "15" => Some(Product::Exchange2013),
                    _ => None,
                };
            }
            let version = version("rtc/").or_else(|| version("rtcc/"))?;
            let is = |known: &str| version.starts_with(known);
            if is("3.5") {
                Some(Product::Ocs2007R2)
            } else if is("4.") {
                Some(Product::Lync2010)
            } else if is("5.") {
                Some(Product::Lync2013)
            } else {
                None
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_name_products_and_unknown_ones_none() {
        let cases = [
            (
                "http",
                "exchange_header",
                "X-OWA-Version: 14.3.123.3",
                Some(Product::Exchange2010),
            ),
            ("http", "exchange_header", "X-OWA-Version: 8.3.1.0", None),
            (
                "http",
                "exchange_header",
                "X-FEServer: EX1",
                Some(Product::Exchange2013),
            ),
            ("sip", "server", "RTC/4.0", Some(Product::Lync2010)),
            (
                "sip",
                "user_agent",
                "RTCC/5.0.0.0 MediationServer",
                Some(Product::Lync2013),
            ),
            ("sip", "server", "RTC/6.0", None),
            (
                "sip",
                "server",
                "MSExchangeUM/15.00.0847.030",
                Some(Product::Exchange2013),
            ),
            ("smtp", "banner", "RTC/4.0", None),
        ];
        for (protocol, attribute, text, expected) in cases {
            assert_eq!(product(protocol, attribute, text), expected, "{text}");
        }
    }
}
