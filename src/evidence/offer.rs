//! Cross-flow knowledge: "this endpoint will serve X".

use std::net::IpAddr;

use serde::Serialize;
use uuid::Uuid;

use crate::net::{Endpoint, Transport};

/// An endpoint that somebody announced.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Offer {
    /// The transport of the offered endpoint.
    pub transport: Transport,
    /// The offered endpoint; port 0 where only a host is named.
    pub endpoint: Endpoint,
    /// Who announced it: the sender of the packet.
    pub by: IpAddr,
    /// To whom: the receiver of the packet.
    pub to: IpAddr,
    /// What it will serve.
    pub offered: Offered,
}

/// What an offered endpoint will serve.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Offered {
    /// An RPC interface, from a tower of the endpoint mapper (C706 appendix L).
    Rpc {
        /// The interface.
        uuid: Uuid,
        /// Major version.
        major: u16,
        /// Minor version.
        minor: u16,
        /// Protocol sequence: `ncacn_ip_tcp`, `ncadg_ip_udp` or `ncacn_http`.
        protocol_sequence: &'static str,
        /// The server's own name for the interface (`ept_lookup`), if it gave one.
        annotation: Option<Box<str>>,
        /// The address in the tower, where it is not the offered one (0.0.0.0, another card, behind NAT).
        tower_address: Option<IpAddr>,
    },
    /// An object exporter of DCOM: `IRemUnknown` and the objects behind it, from a string binding (MS-DCOM 2.2.19.3).
    Dcom {
        /// Protocol sequence: `ncacn_ip_tcp`, `ncadg_ip_udp` or `ncacn_http`.
        protocol_sequence: &'static str,
        /// The host as the binding names it: an address or a name.
        host: Box<str>,
        /// The operation that answered: `ResolveOxid2`, `RemoteCreateInstance` ...
        operation: &'static str,
    },
    /// A media line of a session description (RFC 8866).
    Media(Box<MediaOffer>),
    /// A transport candidate for a media line (RFC 8839, MS-ICE2).
    Candidate {
        /// `host`, `srflx`, `prflx` or `relay`; empty where the old form has none.
        kind: Box<str>,
        /// The call that it belongs to.
        call_id: Box<str>,
    },
    /// A relayed address (RFC 8656).
    Relay,
    /// A name of the host, from a DNS answer.
    Host {
        /// The name, lower case, without the final dot.
        name: Box<str>,
    },
    /// Another protocol, for which a port is named elsewhere: a database instance, a program of a portmapper, the data of a
    /// transfer.
    Protocol {
        /// What will be spoken there, by its name in the output.
        protocol: &'static str,
        /// What the announcer calls it (an instance, a program); empty where it has no name.
        name: Box<str>,
    },
    /// A connection for data that a control connection agrees upon (RFC 959).
    Data {
        /// The name under which such a flow is reported.
        protocol: &'static str,
    },
}

/// A media line: what is sent where, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct MediaOffer {
    /// `audio`, `video`, `application` ...
    pub media: Box<str>,
    /// The transport profile: `RTP/AVP`, `RTP/SAVP` ...
    pub profile: Box<str>,
    /// Formats in order, as `payload type name/clock` where the session maps them, else the number.
    pub codecs: Vec<Box<str>>,
    /// The RTCP port: `a=rtcp`, else the media port + 1; the media port itself with `a=rtcp-mux`.
    pub rtcp_port: Option<u16>,
    /// `sendrecv`, `sendonly`, `recvonly` or `inactive`.
    pub direction: Box<str>,
    /// SRTP keys or a DTLS fingerprint were offered (RFC 4568, RFC 5763).
    pub keyed: bool,
    /// The Call-ID of the dialogue that carried it; empty where none was seen.
    pub call_id: Box<str>,
}
