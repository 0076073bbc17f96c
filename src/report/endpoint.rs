//! Offered endpoints, as `endpoints` puts them out.

use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;

use super::schema::{Field, INTEGERS, Kind, TEXTS, field};
use super::{Column, Record};
use crate::attribution::{Judged, NameSource, Standing};
use crate::evidence::Offered;
use crate::signature::{ServiceId, Signatures};

/// An endpoint that somebody announced.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EndpointRecord<'a> {
    /// An RPC interface, from the endpoint mapper.
    Rpc {
        /// Offered address.
        address: IpAddr,
        /// Offered port.
        port: u16,
        /// Transport.
        transport: String,
        /// Protocol sequence.
        protocol_sequence: &'static str,
        /// Interface.
        uuid: String,
        /// Version, `major.minor`.
        version: String,
        /// Usual name of the interface.
        name: Option<&'a str>,
        /// Service that it belongs to.
        service: Option<&'a ServiceId>,
        /// The server's own name for it.
        annotation: Option<&'a str>,
        /// The address in the answer, where another one is offered here.
        tower_address: Option<IpAddr>,
        /// Who asked.
        asked_by: IpAddr,
        /// Packet of the answer.
        frame: u64,
        /// Flows that went there.
        flows: Vec<u64>,
    },
    /// An object exporter of DCOM.
    Dcom {
        /// Offered address.
        address: IpAddr,
        /// Offered port.
        port: u16,
        /// Transport.
        transport: String,
        /// Protocol sequence.
        protocol_sequence: &'static str,
        /// The host as the binding names it.
        host: &'a str,
        /// The operation that answered.
        operation: &'static str,
        /// Who asked.
        asked_by: IpAddr,
        /// Packet of the answer.
        frame: u64,
        /// Flows that went there.
        flows: Vec<u64>,
    },
    /// A media line of a session description.
    Media {
        /// Offered address.
        address: IpAddr,
        /// Offered port.
        port: u16,
        /// RTCP port.
        rtcp_port: Option<u16>,
        /// Transport.
        transport: String,
        /// `audio`, `video` ...
        media: &'a str,
        /// Formats.
        codecs: &'a [Box<str>],
        /// Transport profile.
        profile: &'a str,
        /// Direction.
        direction: &'a str,
        /// Keys were announced.
        keyed: bool,
        /// The call.
        call_id: &'a str,
        /// Packet of the announcement.
        frame: u64,
        /// Flows that used it.
        flows: Vec<u64>,
    },
    /// A transport candidate for media.
    Candidate {
        /// Address.
        address: IpAddr,
        /// Port.
        port: u16,
        /// Transport.
        transport: String,
        /// `host`, `srflx`, `relay` ...
        candidate: &'a str,
        /// The call.
        call_id: &'a str,
        /// Packet of the announcement.
        frame: u64,
        /// Flows that used it.
        flows: Vec<u64>,
    },
    /// A connection for data that a control connection agreed upon.
    Data {
        /// Offered address.
        address: IpAddr,
        /// Offered port.
        port: u16,
        /// Transport.
        transport: String,
        /// What it carries: `ftp_data`.
        protocol: &'static str,
        /// Packet of the announcement.
        frame: u64,
        /// Flows that went there.
        flows: Vec<u64>,
    },
    /// A relayed address.
    Relay {
        /// Address.
        address: IpAddr,
        /// Port.
        port: u16,
        /// Transport.
        transport: String,
        /// Packet of the allocation.
        frame: u64,
        /// Flows that used it.
        flows: Vec<u64>,
    },
    /// Another protocol.
    Protocol {
        /// Address.
        address: IpAddr,
        /// Port.
        port: u16,
        /// Transport.
        transport: String,
        /// What is spoken there.
        protocol: &'static str,
        /// What the announcer calls it.
        name: &'a str,
        /// Packet of the announcement.
        frame: u64,
        /// Flows that went there.
        flows: Vec<u64>,
    },
}

impl<'a> EndpointRecord<'a> {
    /// The records of all offers with a port, by the packet that made them.
    pub fn all(judged: &'a Judged<'a>, signatures: &'a Signatures) -> Vec<Self> {
        let mut used: std::collections::HashMap<_, Vec<u64>> = std::collections::HashMap::new();
        for standing in judged.offers.iter() {
            used.entry((standing.offer.transport, standing.offer.endpoint))
                .or_default();
        }
        judged.for_each(|flow, _| {
            for endpoint in [flow.key.a, flow.key.b] {
                if let Some(flows) = used.get_mut(&(flow.key.transport, endpoint)) {
                    flows.push(flow.number);
                }
            }
        });
        let flows = |standing: &Standing| {
            used.get(&(standing.offer.transport, standing.offer.endpoint))
                .cloned()
                .unwrap_or_default()
        };
        judged
            .offers
            .iter()
            .filter_map(|standing| Self::of(standing, signatures, flows(standing)))
            .collect()
    }

    const fn address(&self) -> IpAddr {
        match self {
            Self::Rpc { address, .. }
            | Self::Dcom { address, .. }
            | Self::Media { address, .. }
            | Self::Candidate { address, .. }
            | Self::Data { address, .. }
            | Self::Relay { address, .. }
            | Self::Protocol { address, .. } => *address,
        }
    }

    fn of(standing: &'a Standing, signatures: &'a Signatures, flows: Vec<u64>) -> Option<Self> {
        let offer = &standing.offer;
        let (address, port) = (offer.endpoint.address, offer.endpoint.port);
        let (transport, frame) = (offer.transport.to_string(), standing.sight.seen.frame);
        Some(match &offer.offered {
            Offered::Rpc {
                uuid,
                major,
                minor,
                protocol_sequence,
                annotation,
                tower_address,
            } => {
                let known = signatures.interfaces.find(*uuid, *major, *minor);
                Self::Rpc {
                    address,
                    port,
                    transport,
                    protocol_sequence,
                    uuid: uuid.to_string(),
                    version: format!("{major}.{minor}"),
                    name: known.map(|interface| &*interface.name),
                    service: known.and_then(|interface| interface.service.as_ref()),
                    annotation: annotation.as_deref(),
                    tower_address: *tower_address,
                    asked_by: offer.to,
                    frame,
                    flows,
                }
            }
            Offered::Dcom {
                protocol_sequence,
                host,
                operation,
            } => Self::Dcom {
                address,
                port,
                transport,
                protocol_sequence,
                host,
                operation,
                asked_by: offer.to,
                frame,
                flows,
            },
            Offered::Media(media) => Self::Media {
                address,
                port,
                rtcp_port: media.rtcp_port,
                transport,
                media: &media.media,
                codecs: &media.codecs,
                profile: &media.profile,
                direction: &media.direction,
                keyed: media.keyed,
                call_id: &media.call_id,
                frame,
                flows,
            },
            Offered::Candidate { kind, call_id } => Self::Candidate {
                address,
                port,
                transport,
                candidate: kind,
                call_id,
                frame,
                flows,
            },
            Offered::Relay => Self::Relay {
                address,
                port,
                transport,
                frame,
                flows,
            },
            Offered::Protocol { protocol, name } => Self::Protocol {
                address,
                port,
                transport,
                protocol,
                name,
                frame,
                flows,
            },
            Offered::Data { protocol } => Self::Data {
                address,
                port,
                transport,
                protocol,
                frame,
                flows,
            },
            Offered::Host { .. } => return None,
        })
    }
}

/// An endpoint that somebody announced, with the name of its host.
#[derive(Clone, Debug, Serialize)]
pub struct NamedEndpoint<'a> {
    #[serde(flatten)]
    endpoint: EndpointRecord<'a>,
    host_name: Option<Arc<str>>,
    host_name_source: Option<NameSource>,
}

impl<'a> NamedEndpoint<'a> {
    /// The record of an endpoint, and the name of its host.
    pub fn new(endpoint: EndpointRecord<'a>, judged: &Judged<'_>) -> Self {
        let name = judged.name(endpoint.address());
        Self {
            host_name_source: name.as_ref().map(|name| name.source),
            host_name: name.map(|name| name.text),
            endpoint,
        }
    }
}

impl Record for NamedEndpoint<'_> {
    const CSV: &'static [&'static str] = <EndpointRecord<'_> as Record>::CSV;
    const FIELDS: &'static [Field] = <EndpointRecord<'_> as Record>::FIELDS;
    const TABLE: &'static [Column] = <EndpointRecord<'_> as Record>::TABLE;

    fn cell(&self, column: &str) -> String {
        let cell = self.endpoint.cell(column);
        match (column, &self.host_name, self.host_name_source) {
            ("endpoint", Some(name), Some(source)) => format!("{cell} ({name}{})", source.mark()),
            _ => cell,
        }
    }
}

const fn column(name: &'static str, from_width: u16) -> Column {
    Column {
        name,
        from_width,
        is_number: false,
    }
}

impl Record for EndpointRecord<'_> {
    const CSV: &'static [&'static str] = &[
        "kind",
        "address",
        "port",
        "transport",
        "protocol_sequence",
        "uuid",
        "version",
        "name",
        "service",
        "annotation",
        "protocol",
        "tower_address",
        "asked_by",
        "rtcp_port",
        "media",
        "codecs",
        "profile",
        "direction",
        "keyed",
        "candidate",
        "call_id",
        "frame",
        "flows",
        "host",
        "operation",
        "host_name",
        "host_name_source",
    ];
    const FIELDS: &'static [Field] = &[
        field("kind", Kind::Text),
        field("address", Kind::Text),
        field("port", Kind::Integer),
        field("transport", Kind::Text),
        field("protocol_sequence", Kind::Text),
        field("uuid", Kind::Text),
        field("version", Kind::Text),
        field("name", Kind::Text),
        field("service", Kind::Text),
        field("annotation", Kind::Text),
        field("protocol", Kind::Text),
        field("tower_address", Kind::Text),
        field("asked_by", Kind::Text),
        field("host", Kind::Text),
        field("operation", Kind::Text),
        field("rtcp_port", Kind::Integer),
        field("media", Kind::Text),
        field("codecs", TEXTS),
        field("profile", Kind::Text),
        field("direction", Kind::Text),
        field("keyed", Kind::Boolean),
        field("candidate", Kind::Text),
        field("call_id", Kind::Text),
        field("frame", Kind::Integer),
        field("flows", INTEGERS),
        field("host_name", Kind::Text),
        field("host_name_source", Kind::Text),
    ];
    const TABLE: &'static [Column] = &[
        column("kind", 0),
        column("endpoint", 0),
        column("what", 0),
        column("frame", 90),
        column("flows", 110),
    ];

    fn cell(&self, column: &str) -> String {
        let (kind, address, port, transport, frame, flows) = match self {
            Self::Rpc {
                address,
                port,
                transport,
                frame,
                flows,
                ..
            } => ("rpc", address, port, transport, frame, flows),
            Self::Dcom {
                address,
                port,
                transport,
                frame,
                flows,
                ..
            } => ("dcom", address, port, transport, frame, flows),
            Self::Media {
                address,
                port,
                transport,
                frame,
                flows,
                ..
            } => ("media", address, port, transport, frame, flows),
            Self::Candidate {
                address,
                port,
                transport,
                frame,
                flows,
                ..
            } => ("candidate", address, port, transport, frame, flows),
            Self::Data {
                address,
                port,
                transport,
                frame,
                flows,
                ..
            } => ("data", address, port, transport, frame, flows),
            Self::Relay {
                address,
                port,
                transport,
                frame,
                flows,
            } => ("relay", address, port, transport, frame, flows),
            Self::Protocol {
                address,
                port,
                transport,
                frame,
                flows,
                ..
            } => ("protocol", address, port, transport, frame, flows),
        };
        match (column, self) {
            ("kind", _) => kind.to_owned(),
            ("endpoint", _) => {
                format!("{}/{transport}", crate::net::Endpoint::new(*address, *port))
            }
            ("frame", _) => frame.to_string(),
            ("flows", _) => flows
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" "),
            (
                "what",
                Self::Rpc {
                    name,
                    uuid,
                    version,
                    annotation,
                    ..
                },
            ) => {
                let name = name.unwrap_or(uuid);
                match annotation {
                    Some(annotation) => format!("{name} {version} ({annotation})"),
                    None => format!("{name} {version}"),
                }
            }
            (
                "what",
                Self::Dcom {
                    host, operation, ..
                },
            ) => format!("object exporter at {host} ({operation})"),
            (
                "what",
                Self::Media {
                    media,
                    profile,
                    codecs,
                    call_id,
                    ..
                },
            ) => {
                format!("{media} {profile} {} call {call_id}", codecs.join(", "))
            }
            (
                "what",
                Self::Candidate {
                    candidate, call_id, ..
                },
            ) => format!("{candidate} call {call_id}"),
            ("what", Self::Data { protocol, .. }) => (*protocol).to_owned(),
            ("what", Self::Relay { .. }) => "relayed address".to_owned(),
            ("what", Self::Protocol { protocol, name, .. }) => {
                format!("{protocol} {name}").trim_end().to_owned()
            }
            _ => String::new(),
        }
    }
}
