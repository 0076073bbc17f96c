//! The bytes of one packet → [`Layers`]: link layer, tags, tunnels, IP, fragments, transport.
//!
//! [`Dissector::dissect`] never fails: `Layers` always exists, and its `stop` says why it ends where it does. A capture
//! that is short ([`Stop::Truncated`]) and a sender that lies ([`Stop::Malformed`]) are never confused; that is the work
//! of `window`, which knows for each nested length how much of it was on the wire and how much was captured. What a
//! lying length leaves readable is still read.
//!
//! Tunnels inside UDP are entered by port *and* by a strict reading of their header and of the IP header inside;
//! a packet that fails it stays what it is, a UDP datagram. No port means anything else here, and no payload of TCP or
//! UDP is looked at. Nothing is dropped for a bad checksum: hosts that offload checksums capture bad ones all day.
//!
//! The usual headers are read by etherparse (see `headers`); what it lacks or refuses is read here.
//!
//! An ordinary packet is read without allocation; only fragments of IP datagrams are copied, within [`Limits`].

mod capwap;
mod checksum;
mod counters;
mod dissector;
mod ethernet;
mod fragments;
mod gre;
mod gtp;
mod headers;
mod icmp;
mod ip;
mod l2tp;
mod linux_cooked;
mod metadata;
mod mpls;
mod null;
mod peek;
mod ppp;
mod tcp;
mod teredo;
mod tunnel;
mod udp;
mod vxlan;
mod wifi;
mod window;

use std::fmt;
use std::net::IpAddr;

pub use self::checksum::{Checksum, Checksums};
pub use self::counters::{Counters, PerLayer};
pub use self::dissector::{Dissector, Limits};
pub use self::fragments::FragmentCounters;
pub use self::icmp::{IcmpMessage, Quoted};
pub use self::peek::addresses;
pub use self::tcp::TcpHeader;
pub use self::tunnel::{MAX_TAGS, MAX_TUNNELS, Tunnel, Tunnels};
use crate::net::{Endpoint, Transport};

/// What one packet holds, down to the innermost transport.
#[derive(Clone, Debug)]
pub struct Layers<'a> {
    /// Encapsulations around the innermost IP header, outermost first.
    pub tunnels: Tunnels,
    /// The innermost IP header.
    pub network: Option<Network>,
    /// The transport header below [`Layers::network`].
    pub transport: Option<TransportHeader>,
    /// The captured bytes of the transport payload.
    pub payload: &'a [u8],
    /// The length that the payload had on the wire, in bytes; more than `payload.len()` where the capture is cut.
    pub payload_wire_len: u32,
    /// The flow that an ICMP error speaks about.
    pub quoted: Option<Quoted>,
    /// The innermost UDP header whose payload is a tunnel: its flow has ports where what it carries has none.
    pub carrier: Option<(Endpoint, Endpoint)>,
    /// What the checksums of the innermost headers say, where [`Limits::verify_checksums`] asks for it.
    pub checksums: Checksums,
    /// Why reading ended where it did.
    pub stop: Stop,
}

impl Layers<'_> {
    const fn empty() -> Self {
        Self {
            tunnels: Tunnels::new_const(),
            network: None,
            transport: None,
            payload: &[],
            payload_wire_len: 0,
            quoted: None,
            carrier: None,
            checksums: Checksums::UNCHECKED,
            stop: Stop::Complete,
        }
    }

    /// The flow of the tunnel around a packet without ports (ICMP or nothing in VXLAN, Teredo ...): source, destination.
    pub fn carrier_flow(&self) -> Option<(Endpoint, Endpoint)> {
        let carrier = self.carrier?;
        let has_none = match self.flow() {
            Some((transport, ..)) => !transport.has_ports(),
            None => self.stop == Stop::Complete,
        };
        has_none.then_some(carrier)
    }

    /// The flow that the packet belongs to: transport, source, destination; ports are 0 where the transport has none.
    /// `None` without a transport header: no IP, or a fragment that waits for the others.
    pub fn flow(&self) -> Option<(Transport, Endpoint, Endpoint)> {
        let network = self.network?;
        let (source, destination) = match self.transport? {
            TransportHeader::Tcp(tcp) => (tcp.source_port, tcp.destination_port),
            TransportHeader::Ports {
                source_port,
                destination_port,
            }
            | TransportHeader::Udp {
                source_port,
                destination_port,
            } => (source_port, destination_port),
            TransportHeader::Icmp(_) | TransportHeader::Other => (0, 0),
        };
        Some((
            network.protocol,
            Endpoint::new(network.source, source),
            Endpoint::new(network.destination, destination),
        ))
    }
}

/// The innermost IP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// The sender.
    pub source: IpAddr,
    /// The receiver.
    pub destination: IpAddr,
    /// What the packet carries, behind all extension headers.
    pub protocol: Transport,
    /// Length of the IP packet with its header on the wire, in bytes: what the header says, or what the frame holds where
    /// it says 0 (segmentation offload). Of a reassembled datagram, the whole of it.
    pub wire_len: u32,
    /// IPv4 time to live or IPv6 hop limit; tells a routed copy from a mirrored one.
    pub hop_limit: u8,
    /// IPv4 identification; 0 for IPv6.
    pub identification: u16,
    /// Whether this packet is a fragment, also where it is the one that completes the datagram.
    pub is_fragment: bool,
}

/// The transport header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportHeader {
    /// TCP, RFC 9293 §3.1.
    Tcp(TcpHeader),
    /// UDP, RFC 768.
    Udp {
        /// The port of the sender.
        source_port: u16,
        /// The port of the receiver.
        destination_port: u16,
    },
    /// The ports of SCTP, UDP-Lite or DCCP, or of a TCP or UDP header of which no more is readable.
    Ports {
        /// The port of the sender.
        source_port: u16,
        /// The port of the receiver.
        destination_port: u16,
    },
    /// ICMP or ICMPv6.
    Icmp(IcmpMessage),
    /// Any other protocol; [`Network::protocol`] says which.
    Other,
}

/// Why reading ended where it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Everything was read.
    Complete,
    /// The capture holds fewer bytes than were on the wire, and this layer is the first to miss some.
    Truncated {
        /// The layer that is cut.
        layer: Layer,
    },
    /// The sender contradicts itself. What was readable in spite of it was read.
    Malformed {
        /// The layer that contradicts itself.
        layer: Layer,
        /// In what.
        reason: Reason,
    },
    /// The layer carries something that is not read here.
    Unsupported {
        /// The layer that names what it carries.
        layer: Layer,
        /// The name: an ethertype, a PPP or IP protocol number, a link type ...
        value: u32,
    },
    /// A fragment whose datagram is not whole yet.
    Fragment,
    /// More tags than [`MAX_TAGS`] or tunnels than [`MAX_TUNNELS`].
    NestingLimit,
}

/// What a malformed layer contradicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The layer around it has no room for its header.
    Short,
    /// A version number that does not exist, or not here.
    Version,
    /// A length that is less than the header itself, or less than what the header announces.
    Length,
    /// A length that is more than the frame had on the wire.
    BeyondFrame,
    /// A field with an impossible value.
    Field,
    /// Fragments of one datagram that contradict each other.
    Overlap,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Short => "no room for the header",
            Self::Version => "unknown version",
            Self::Length => "length less than its header",
            Self::BeyondFrame => "length beyond the frame",
            Self::Field => "impossible value",
            Self::Overlap => "fragments contradict each other",
        })
    }
}

macro_rules! layers {
    ($($name:ident => $text:literal,)*) => {
        /// A layer of a packet, as [`Stop`] and [`Counters`] name it.
        #[allow(missing_docs, reason = "the names are those of the protocols")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Layer { $($name,)* }

        impl Layer {
            /// All layers.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name in counters and messages.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

layers! {
    Link => "link",
    Ethernet => "ethernet",
    EtherType => "ethertype",
    Vlan => "vlan",
    Llc => "llc",
    Pbb => "pbb",
    MacSec => "macsec",
    Nsh => "nsh",
    Mpls => "mpls",
    PppoE => "pppoe",
    Ppp => "ppp",
    Wifi => "802.11",
    Ipv4 => "ipv4",
    Ipv6 => "ipv6",
    Fragment => "fragment",
    Gre => "gre",
    Erspan => "erspan",
    Pim => "pim",
    Tcp => "tcp",
    Udp => "udp",
    Sctp => "sctp",
    Icmp => "icmp",
    Payload => "payload",
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
