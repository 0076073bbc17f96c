//! Rows of the documented matrix.

use std::fmt;
use std::sync::Arc;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use super::vocabulary::vocabulary;
use crate::net::Transport;

/// The id of a row: stable, as in `ref2010.transport.hub-to-hub`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RowId(pub Arc<str>);

/// The id of a service in the catalog, as in `edgesync`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ServiceId(pub Arc<str>);

impl ServiceId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

vocabulary! {
    /// A role that a host plays in the documents.
    Role, "role" {
        /// Hub Transport server.
        HubTransport = "hub_transport",
        /// Edge Transport server.
        EdgeTransport = "edge_transport",
        /// Mailbox server.
        Mailbox = "mailbox",
        /// Client Access server.
        ClientAccess = "client_access",
        /// Unified Messaging server.
        UnifiedMessaging = "unified_messaging",
        /// Any Exchange server.
        ExchangeAny = "exchange_any",
        /// Node of a failover cluster.
        ClusterNode = "cluster_node",
        /// Domain controller or global catalog.
        DomainController = "domain_controller",
        /// Active Directory Rights Management Services.
        AdRms = "ad_rms",
        /// DNS server.
        DnsServer = "dns_server",
        /// VoIP gateway, IP PBX or session border controller.
        IpGateway = "ip_gateway",
        /// Lync Front End server.
        LyncFrontEnd = "lync_front_end",
        /// Lync Edge server.
        LyncEdge = "lync_edge",
        /// External interface of a Lync Edge server.
        LyncEdgeExternal = "lync_edge_external",
        /// Internal interface of a Lync Edge server.
        LyncEdgeInternal = "lync_edge_internal",
        /// Lync Mediation server.
        LyncMediation = "lync_mediation",
        /// Lync Director.
        LyncDirector = "lync_director",
        /// A/V Authentication service.
        LyncAvAuthentication = "lync_av_authentication",
        /// Lync Autodiscover service.
        LyncAutodiscover = "lync_autodiscover",
        /// Lync server whose role is not named.
        LyncServer = "lync_server",
        /// Lync client.
        LyncClient = "lync_client",
        /// The internal network.
        InternalNetwork = "internal_network",
        /// Reverse proxy.
        ReverseProxy = "reverse_proxy",
        /// Office Communications Server.
        Ocs = "ocs",
        /// SQL Server.
        SqlServer = "sql_server",
        /// Exchange Conferencing server.
        ConferencingServer = "conferencing_server",
        /// X.400 message transfer agent.
        X400Mta = "x400_mta",
        /// End-user client: Outlook, SMTP, IMAP, POP, HTTP.
        Client = "client",
        /// The Internet.
        Internet = "internet",
        /// Administrator's host.
        Admin = "admin",
        /// Backup host.
        Backup = "backup",
        /// Anyone.
        Any = "any",
    }
}

impl Role {
    /// Whether the documents count the role as an Exchange server.
    pub const fn is_exchange(self) -> bool {
        matches!(
            self,
            Self::HubTransport
                | Self::EdgeTransport
                | Self::Mailbox
                | Self::ClientAccess
                | Self::UnifiedMessaging
                | Self::ExchangeAny
                | Self::ClusterNode
        )
    }

    /// Whether the documents count the role as a Lync or Office Communications server.
    pub const fn is_lync(self) -> bool {
        matches!(
            self,
            Self::LyncFrontEnd
                | Self::LyncEdge
                | Self::LyncEdgeExternal
                | Self::LyncEdgeInternal
                | Self::LyncMediation
                | Self::LyncDirector
                | Self::LyncAvAuthentication
                | Self::LyncAutodiscover
                | Self::LyncServer
                | Self::Ocs
        )
    }

    /// Whether a host that plays `self` satisfies a row that names `wanted`.
    pub fn satisfies(self, wanted: Self) -> bool {
        self == wanted
            || match wanted {
                Self::Any => true,
                Self::InternalNetwork => self != Self::Internet,
                Self::ExchangeAny => self.is_exchange(),
                Self::LyncServer => self.is_lync(),
                Self::LyncEdge => matches!(self, Self::LyncEdgeExternal | Self::LyncEdgeInternal),
                Self::LyncEdgeExternal | Self::LyncEdgeInternal => self == Self::LyncEdge,
                Self::ClusterNode => self == Self::Mailbox,
                // Name servers of others stand in the Internet.
                Self::DnsServer => matches!(self, Self::DomainController | Self::Internet),
                // A host known only as "some Exchange server" may be any of them.
                Self::HubTransport
                | Self::EdgeTransport
                | Self::Mailbox
                | Self::ClientAccess
                | Self::UnifiedMessaging => self == Self::ExchangeAny,
                Self::LyncFrontEnd
                | Self::LyncMediation
                | Self::LyncDirector
                | Self::LyncAvAuthentication
                | Self::LyncAutodiscover => self == Self::LyncServer,
                Self::Client => matches!(self, Self::LyncClient | Self::Internet),
                // Users on the Internet reach Exchange as clients; Lync knows them only at the Edge and the reverse proxy,
                // whose rows name the Internet.
                Self::LyncClient => self == Self::Client,
                Self::DomainController
                | Self::AdRms
                | Self::IpGateway
                | Self::ReverseProxy
                | Self::Ocs
                | Self::SqlServer
                | Self::ConferencingServer
                | Self::X400Mta
                | Self::Admin
                | Self::Backup
                | Self::Internet => false,
            }
    }
}

vocabulary! {
    /// What a row is.
    Kind, "kind" {
        /// A data path of a table.
        DataPath = "data_path",
        /// A listening port of a table.
        ListeningPort = "listening_port",
        /// A firewall rule: shows that a port is admitted, never that a flow is expected.
        FirewallRule = "firewall_rule",
        /// A statement of the prose or the notes.
        Rule = "rule",
    }
}

vocabulary! {
    /// Who opens the path.
    Direction, "direction" {
        /// The `from` end opens it.
        FromOpens = "from_opens",
        /// Either end may.
        Either = "either",
        /// The document does not say.
        NotStated = "not_stated",
    }
}

vocabulary! {
    /// What a rule says of its subject.
    Polarity, "polarity" {
        /// It is required.
        Must = "must",
        /// It is forbidden.
        MustNot = "must_not",
        /// It is allowed.
        May = "may",
        /// It is how things are.
        Describes = "describes",
    }
}

vocabulary! {
    /// A product and its generation.
    Product, "product" {
        /// Exchange Server 2010.
        Exchange2010 = "exchange2010",
        /// Exchange Server 2013 and 2016.
        Exchange2013 = "exchange2013",
        /// Exchange Server 5.5, 2000 and 2003.
        ExchangeLegacy = "exchange_legacy",
        /// Lync Server, any version.
        Lync = "lync",
        /// Lync Server 2010.
        Lync2010 = "lync2010",
        /// Lync Server 2013.
        Lync2013 = "lync2013",
        /// Office Communications Server 2007 R2.
        Ocs2007R2 = "ocs2007r2",
    }
}

impl Product {
    /// Whether a host of this product is one that a row for `wanted` speaks of.
    pub const fn is(self, wanted: Self) -> bool {
        self as u8 == wanted as u8
            || matches!(
                (self, wanted),
                (
                    Self::Lync2010 | Self::Lync2013 | Self::Ocs2007R2,
                    Self::Lync
                )
            )
    }
}

vocabulary! {
    /// The transport that a row names.
    RowTransport, "transport" {
        /// TCP only.
        Tcp = "tcp",
        /// UDP only.
        Udp = "udp",
        /// TCP and UDP.
        Both = "both",
    }
}

impl RowTransport {
    /// Whether a flow of `transport` can be meant.
    pub fn admits(self, transport: Transport) -> bool {
        match self {
            Self::Tcp => transport == Transport::TCP,
            Self::Udp => transport == Transport::UDP,
            Self::Both => transport == Transport::TCP || transport == Transport::UDP,
        }
    }
}

vocabulary! {
    /// A port that is not fixed.
    Dynamic, "dynamic port" {
        /// Handed out by the RPC endpoint mapper.
        Rpc = "rpc",
        /// Agreed by signalling.
        Media = "media",
        /// "Randomly allocated, high".
        High = "high",
        /// Chosen by the client's host.
        Ephemeral = "ephemeral",
        /// Configured by the administrator.
        UserDefined = "user-defined",
        /// No restriction.
        Any = "any",
    }
}

/// The ports of one entry of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ports {
    /// One port.
    Single(u16),
    /// First and last port.
    Range(u16, u16),
    /// Not fixed.
    Dynamic(Dynamic),
}

impl Ports {
    /// Whether a fixed port or range holds `port`; a dynamic port never says so.
    pub const fn holds(self, port: u16) -> bool {
        match self {
            Self::Single(only) => only == port,
            Self::Range(first, last) => first <= port && port <= last,
            Self::Dynamic(_) => false,
        }
    }
}

/// One port entry of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowPort {
    /// The transport.
    pub transport: RowTransport,
    /// The ports.
    pub ports: Ports,
    /// The protocol as printed.
    pub protocol: Option<Arc<str>>,
    /// Whether the document calls it secured; `None` where it is silent.
    pub secured: Option<bool>,
    /// The `to` end opens this port on the `from` end. It is printed with its row and documents nothing there; a row for
    /// that direction does.
    pub reversed: bool,
    /// The services of the row that use this port, where the row has ports for different services; empty for all of them.
    pub services: Vec<ServiceId>,
}

impl Serialize for RowPort {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("transport", &self.transport)?;
        match self.ports {
            Ports::Single(port) => map.serialize_entry("port", &port)?,
            Ports::Range(first, last) => map.serialize_entry("range", &[first, last])?,
            Ports::Dynamic(dynamic) => map.serialize_entry("dynamic", &dynamic)?,
        }
        map.serialize_entry("protocol", &self.protocol)?;
        map.serialize_entry("secured", &self.secured)?;
        if self.reversed {
            map.serialize_entry("reversed", &true)?;
        }
        if !self.services.is_empty() {
            map.serialize_entry("services", &self.services)?;
        }
        map.end()
    }
}

impl fmt::Display for RowPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ports {
            Ports::Single(port) => write!(f, "{port}")?,
            Ports::Range(first, last) => write!(f, "{first}-{last}")?,
            Ports::Dynamic(dynamic) => write!(f, "dynamic {dynamic}")?,
        }
        match self.transport {
            RowTransport::Both => f.write_str("/tcp+udp")?,
            transport => write!(f, "/{transport}")?,
        }
        f.write_str(if self.reversed { " reversed" } else { "" })
    }
}

/// What a row says of encryption.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encryption {
    /// Whether it is supported; `None` where the document is silent.
    pub supported: Option<bool>,
    /// By what means, as printed.
    pub how: Option<Arc<str>>,
    /// Whether it is on by default; `None` where the document is silent.
    pub default: Option<bool>,
}

/// A row of the documented matrix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Stable id.
    pub id: RowId,
    /// Short name of the document.
    pub document: Arc<str>,
    /// Table, or heading of the section, that holds it.
    pub table: Arc<str>,
    /// Products that it applies to, as one word each, joined by `+`.
    pub product: Arc<str>,
    /// Products that it applies to.
    pub products: Vec<Product>,
    /// What it is.
    pub kind: Kind,
    /// Title as printed.
    pub title: Arc<str>,
    /// Roles at the opening end; empty where the document names none.
    pub from_roles: Vec<Role>,
    /// Roles at the listening end; empty where the document names none.
    pub to_roles: Vec<Role>,
    /// Who opens it.
    pub direction: Direction,
    /// Its ports.
    pub ports: Vec<RowPort>,
    /// Default authentication.
    pub auth_default: Vec<Arc<str>>,
    /// Supported authentication.
    pub auth_supported: Vec<Arc<str>>,
    /// Encryption.
    pub encryption: Encryption,
    /// Whether and how the port can be changed.
    pub configurable: Option<Arc<str>>,
    /// When the row applies.
    pub condition: Option<Arc<str>>,
    /// What a rule says of its subject.
    pub polarity: Option<Polarity>,
    /// Program of a firewall rule.
    pub program: Option<Arc<str>>,
    /// The rule in words.
    pub rule: Option<Arc<str>>,
    /// The audit check that applies it.
    pub check: Option<Arc<str>>,
    /// Why there is no check.
    pub check_reason: Option<Arc<str>>,
    /// All checks that measure flows by it: that of a rule, or those that apply the columns of a path.
    pub checks: Vec<Arc<str>>,
    /// The document's own words, short.
    pub quote: Option<Arc<str>>,
    /// Services that the row documents.
    pub services: Vec<ServiceId>,
    /// Roles or transport follow from the rest of the document rather than from the row itself.
    pub inferred: bool,
}

impl Row {
    /// Whether a fixed port of the row holds `port` of `transport`.
    pub fn lists(&self, transport: Transport, port: u16) -> bool {
        self.port_entry(transport, port).is_some()
    }

    /// The narrowest entry of the row that holds `port` of `transport`.
    pub fn port_entry(&self, transport: Transport, port: u16) -> Option<&RowPort> {
        let width = |entry: &&RowPort| match entry.ports {
            Ports::Range(first, last) => last.saturating_sub(first),
            Ports::Single(_) | Ports::Dynamic(_) => 0,
        };
        self.ports
            .iter()
            .filter(|entry| {
                entry.transport.admits(transport) && entry.ports.holds(port) && !entry.reversed
            })
            .min_by_key(width)
    }

    /// The services that the row speaks of at one of its ports.
    pub fn services_at<'a>(&'a self, entry: &'a RowPort) -> &'a [ServiceId] {
        if entry.services.is_empty() {
            &self.services
        } else {
            &entry.services
        }
    }

    /// Whether the row has a port of that dynamic kind.
    pub fn has_dynamic(&self, dynamic: Dynamic, transport: Transport) -> bool {
        self.ports.iter().any(|entry| {
            entry.ports == Ports::Dynamic(dynamic) && entry.transport.admits(transport)
        })
    }

    /// Whether it speaks of the service.
    pub fn documents(&self, service: &ServiceId) -> bool {
        self.services.contains(service)
    }
}
