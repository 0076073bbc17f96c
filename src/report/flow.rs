//! The record of a flow, as `classify` puts it out.

use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;

use super::schema::{Field, INTEGERS, Kind, TEXTS, field};
use super::{Column, Record, Row};
use crate::attribution::{Attribution, Encryption, Flow, NameSource, Party, Rpc};
use crate::net::Timestamp;
use crate::signature::{Role, RowId, ServiceId};

/// One end of a flow.
#[derive(Clone, Debug, Serialize)]
struct End<'a> {
    address: IpAddr,
    port: Option<u16>,
    roles: &'a [Role],
    name: Option<&'a str>,
    name_source: Option<NameSource>,
}

/// What the names of the columns of encryption begin with.
const ENCRYPTION_COLUMNS: &str = "encryption_";

/// One flow: what it is, how we know, what rows it fits.
#[derive(Clone, Debug, Serialize)]
pub struct FlowRecord<'a> {
    flow: u64,
    captures: Vec<&'a Arc<str>>,
    transport: String,
    client: End<'a>,
    server: End<'a>,
    orientation: &'static str,
    tunnel: &'a [Box<str>],
    first_seen: Timestamp,
    last_seen: Timestamp,
    packets: [u64; 2],
    bytes: [u64; 2],
    state: &'static str,
    protocols: &'a [&'static str],
    #[serde(skip)]
    spoken: &'a [&'static str],
    service: Option<&'a ServiceId>,
    strength: Option<&'static str>,
    because: &'a [Arc<str>],
    rows: &'a [RowId],
    verdict: &'static str,
    encryption: &'a Encryption,
    authentication: &'a [String],
    rpc: &'a [Rpc],
    findings: &'a [&'static str],
    /// From SYN to SYN with ACK, in microseconds.
    handshake_us: Option<i64>,
    /// Segments sent again, client to server and back.
    retransmissions: Option<[u32; 2]>,
    out_of_order: Option<[u32; 2]>,
    zero_windows: Option<[u32; 2]>,
    resets: Option<[u32; 2]>,
}

impl<'a> FlowRecord<'a> {
    /// The record of a flow; `findings` are the codes that name it.
    pub fn new(flow: &'a Flow, attribution: &'a Attribution, findings: &'a [&'static str]) -> Self {
        let (client, server) = (flow.client, flow.client.other());
        let end = |party: &'a Party| End {
            address: party.endpoint.address,
            port: flow
                .key
                .transport
                .has_ports()
                .then_some(party.endpoint.port),
            roles: &party.roles,
            name: party.name.as_ref().map(|name| &*name.text),
            name_source: party.name.as_ref().map(|name| name.source),
        };
        let tcp = flow.tracker.tcp.as_ref();
        Self {
            flow: flow.number,
            captures: flow.captures.iter().collect(),
            transport: flow.key.transport.to_string(),
            client: end(&attribution.ends.client),
            server: end(&attribution.ends.server),
            orientation: flow.orientation.word(),
            tunnel: &flow.tunnel,
            first_seen: flow.tracker.first_seen,
            last_seen: flow.tracker.last_seen,
            packets: [flow.tracker.packets[client], flow.tracker.packets[server]],
            bytes: [flow.tracker.bytes[client], flow.tracker.bytes[server]],
            state: flow.state().word(),
            protocols: &attribution.protocols,
            spoken: &attribution.spoken,
            service: attribution.service.as_ref(),
            strength: attribution.strength.map(|strength| strength.name()),
            because: &attribution.because,
            rows: &attribution.rows,
            verdict: attribution.verdict.word(),
            encryption: &attribution.encryption,
            authentication: &attribution.authentication,
            rpc: &attribution.rpc,
            findings,
            handshake_us: tcp
                .and_then(|tcp| tcp.handshake())
                .map(|handshake| handshake.server_ns / 1000),
            retransmissions: tcp
                .map(|tcp| [client, server].map(|side| tcp.misorder[side].retransmissions)),
            out_of_order: tcp
                .map(|tcp| [client, server].map(|side| tcp.misorder[side].out_of_order)),
            zero_windows: tcp.map(|tcp| [client, server].map(|side| tcp.zero_windows[side])),
            resets: tcp.map(|tcp| [client, server].map(|side| tcp.resets[side])),
        }
    }
}

const fn column(name: &'static str, from_width: u16, is_number: bool) -> Column {
    Column {
        name,
        from_width,
        is_number,
    }
}

/// One end.
const END: Kind = Kind::Group(&[
    field("address", Kind::Text),
    field("port", Kind::Integer),
    field("roles", TEXTS),
    field("name", Kind::Text),
    field("name_source", Kind::Text),
]);

/// A certificate.
const CERTIFICATE: Kind = Kind::Group(&[
    field("subject", Kind::Text),
    field("issuer", Kind::Text),
    field("names", TEXTS),
    field("not_before", Kind::Text),
    field("not_after", Kind::Text),
    field("self_signed", Kind::Boolean),
]);

/// The protection.
const ENCRYPTION: Kind = Kind::Group(&[
    field("kind", Kind::Text),
    field("version", Kind::Text),
    field("cipher", Kind::Text),
    field("server_name", Kind::Text),
    field("certificate", CERTIFICATE),
    field("mutual", Kind::Boolean),
]);

/// A called operation.
const OPERATION: Kind = Kind::Group(&[field("number", Kind::Integer), field("name", Kind::Text)]);

/// A bound interface.
const RPC: Kind = Kind::Group(&[
    field("uuid", Kind::Text),
    field("version", Kind::Text),
    field("name", Kind::Text),
    field("auth_type", Kind::Text),
    field("auth_level", Kind::Text),
    field("accepted", Kind::Boolean),
    field("operations", Kind::List(&OPERATION)),
    field("answered", Kind::Integer),
    field("fastest_us", Kind::Integer),
    field("slowest_us", Kind::Integer),
    field("faults", TEXTS),
]);

impl Record for FlowRecord<'_> {
    const CSV: &'static [&'static str] = &[
        "flow",
        "captures",
        "transport",
        "client_address",
        "client_port",
        "client_roles",
        "client_name",
        "client_name_source",
        "server_address",
        "server_port",
        "server_roles",
        "server_name",
        "server_name_source",
        "orientation",
        "tunnel",
        "first_seen",
        "last_seen",
        "packets_client",
        "packets_server",
        "bytes_client",
        "bytes_server",
        "state",
        "protocols",
        "service",
        "strength",
        "because",
        "rows",
        "verdict",
        "encryption_kind",
        "encryption_version",
        "encryption_cipher",
        "encryption_server_name",
        "encryption_certificate_subject",
        "encryption_certificate_issuer",
        "encryption_certificate_names",
        "encryption_certificate_not_before",
        "encryption_certificate_not_after",
        "encryption_certificate_self_signed",
        "encryption_mutual",
        "authentication",
        "rpc",
        "findings",
        "handshake_us",
        "retransmissions_client",
        "retransmissions_server",
        "out_of_order_client",
        "out_of_order_server",
        "zero_windows_client",
        "zero_windows_server",
        "resets_client",
        "resets_server",
    ];
    const FIELDS: &'static [Field] = &[
        field("flow", Kind::Integer),
        field("captures", TEXTS),
        field("transport", Kind::Text),
        field("client", END),
        field("server", END),
        field("orientation", Kind::Text),
        field("tunnel", TEXTS),
        field("first_seen", Kind::Time),
        field("last_seen", Kind::Time),
        field("packets", INTEGERS),
        field("bytes", INTEGERS),
        field("state", Kind::Text),
        field("protocols", TEXTS),
        field("service", Kind::Text),
        field("strength", Kind::Text),
        field("because", TEXTS),
        field("rows", TEXTS),
        field("verdict", Kind::Text),
        field("encryption", ENCRYPTION),
        field("authentication", TEXTS),
        field("rpc", Kind::List(&RPC)),
        field("findings", TEXTS),
        field("handshake_us", Kind::Integer),
        field("retransmissions", INTEGERS),
        field("out_of_order", INTEGERS),
        field("zero_windows", INTEGERS),
        field("resets", INTEGERS),
    ];
    const TABLE: &'static [Column] = &[
        column("flow", 0, true),
        column("client", 0, false),
        column("server", 0, false),
        column("service", 0, false),
        column("verdict", 0, false),
        column("strength", 110, false),
        column("findings", 130, false),
        column("protocols", 145, false),
        column("encryption", 160, false),
        column("state", 175, false),
        column("packets", 190, true),
        column("because", 230, false),
    ];

    fn csv(&self, row: &mut Row<'_>) {
        row.value(self.flow);
        row.list(self.captures.iter());
        row.text(&self.transport);
        for end in [&self.client, &self.server] {
            row.value(end.address);
            row.optional(end.port);
            row.list(end.roles.iter().map(|role| role.word()));
            row.optional(end.name);
            row.optional(end.name_source.map(NameSource::word));
        }
        row.text(self.orientation);
        row.list(self.tunnel.iter());
        row.value(self.first_seen);
        row.value(self.last_seen);
        for counts in [self.packets, self.bytes] {
            counts.into_iter().for_each(|count| row.value(count));
        }
        row.text(self.state);
        row.list(self.protocols.iter());
        row.optional(self.service);
        row.optional(self.strength);
        row.list(self.because.iter());
        row.list(self.rows.iter().map(|row| &row.0));
        row.text(self.verdict);
        let is_encryption = |column: &&&str| column.starts_with(ENCRYPTION_COLUMNS);
        let columns = Self::CSV.iter().filter(is_encryption);
        if self.encryption.is_plain() {
            for column in columns {
                let is_kind = *column == "encryption_kind";
                let kind = self.encryption.kind.word();
                row.text(if is_kind { kind } else { "" });
            }
        } else {
            let value = serde_json::json!({ "encryption": self.encryption });
            columns.for_each(|column| row.flattened(&value, column));
        }
        row.list(self.authentication.iter());
        if self.rpc.is_empty() {
            row.text("");
        } else {
            row.flattened(&serde_json::json!({ "rpc": self.rpc }), "rpc");
        }
        row.list(self.findings.iter());
        row.optional(self.handshake_us);
        for counts in [
            self.retransmissions,
            self.out_of_order,
            self.zero_windows,
            self.resets,
        ] {
            for side in [0, 1] {
                row.optional(counts.and_then(|counts| counts.get(side).copied()));
            }
        }
    }

    fn cell(&self, column: &str) -> String {
        let end = |end: &End<'_>| {
            let with_port = |host: String| match end.port {
                Some(port) => format!("{host}:{port}"),
                None => host,
            };
            // The topology's names are the reader's own; others stand beside the address, and what only others say has a mark.
            match (end.name, end.name_source) {
                (Some(name), Some(NameSource::Topology)) => with_port(name.to_owned()),
                (Some(name), Some(source)) => {
                    let address = with_port(end.address.to_string());
                    format!("{address} ({name}{})", source.mark())
                }
                _ => with_port(end.address.to_string()),
            }
        };
        match column {
            "flow" => self.flow.to_string(),
            "client" => end(&self.client),
            // A blank lets a narrow table break the line before the transport.
            "server" => format!("{} {}", end(&self.server), self.transport),
            // What is none of the services is named for what it is.
            "service" => match (self.service, self.spoken) {
                (Some(service), _) => service.to_string(),
                (None, []) => String::new(),
                (None, spoken) => format!("({})", spoken.join(" ")),
            },
            "verdict" => self.verdict.to_owned(),
            "strength" => self.strength.unwrap_or_default().to_owned(),
            "protocols" => self.protocols.join(" "),
            "encryption" => self.encryption.kind.word().to_owned(),
            "state" => self.state.to_owned(),
            "packets" => self.packets.iter().sum::<u64>().to_string(),
            "findings" => self.findings.join(" "),
            "because" => self
                .because
                .first()
                .map(ToString::to_string)
                .unwrap_or_default(),
            _ => String::new(),
        }
    }
}
