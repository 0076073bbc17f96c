//! The walk through one packet: each protocol reads its header off the window and names what comes next.

use std::slice::IterMut;

use super::fragments::{self, Pool};
use super::window::Window;
use super::{
    Counters, Layer, Layers, Reason, Stop, Transport, TransportHeader, Tunnel, ethernet, gre, icmp,
    ip, linux_cooked, metadata, mpls, null, ppp, tcp, tunnel, udp, wifi,
};
use crate::net::{LinkType, Timestamp};

/// Reassembled datagrams within one packet: a fragmented datagram may carry a tunnel that carries a fragment, and so on.
const MAX_REASSEMBLIES: usize = tunnel::MAX_TUNNELS + 1;

/// Bounds of what a [`Dissector`] keeps and does.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Whether checksums are verified. They are only counted, and cost a pass over the packet.
    pub verify_checksums: bool,
    /// Datagrams that wait for fragments at once; the oldest is given up for a new one.
    pub fragment_datagrams: usize,
    /// Bytes of all waiting fragments together; the oldest datagrams are given up.
    pub fragment_bytes: usize,
    /// Nanoseconds of packet time that a datagram waits for its fragments.
    pub fragment_age_nanos: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            verify_checksums: false,
            fragment_datagrams: fragments::MAX_DATAGRAMS,
            fragment_bytes: fragments::MAX_BYTES,
            fragment_age_nanos: fragments::MAX_AGE_NANOS,
        }
    }
}

/// Reads packets. Holds the fragments that wait for their datagrams, and the counters; no other state goes from one
/// packet to the next.
#[derive(Debug)]
pub struct Dissector {
    limits: Limits,
    pool: Pool,
    reassembled: [Vec<u8>; MAX_REASSEMBLIES],
    counters: Counters,
}

impl Dissector {
    /// A dissector without any fragments.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            pool: Pool::new(&limits),
            reassembled: Default::default(),
            counters: Counters::default(),
        }
    }

    /// Reads the packet that was captured as `bytes`, and was `wire_len` bytes long on the wire.
    ///
    /// Never fails: [`Layers::stop`] says why reading ended where it did. A datagram that came in fragments is delivered
    /// with the packet that completes it. A `wire_len` below the captured length is taken for that length.
    pub fn dissect<'a>(
        &'a mut self,
        time: Timestamp,
        link: LinkType,
        bytes: &'a [u8],
        wire_len: u32,
    ) -> Layers<'a> {
        let wire = usize::try_from(wire_len).unwrap_or(usize::MAX);
        let mut walk = Walk {
            window: Window::new(bytes, wire),
            layers: Layers::empty(),
            time,
            verify_checksums: self.limits.verify_checksums,
            headless: false,
            checkable: true,
            noted: None,
            pool: &mut self.pool,
            reassembled: self.reassembled.iter_mut(),
        };
        let stop = walk.run(link);
        self.counters.fragments = walk.pool.counters;
        let mut layers = walk.layers;
        layers.stop = match (walk.noted, stop) {
            (Some(noted), _) => noted,
            (None, Stop::Complete) if layers.payload_wire_len as usize > layers.payload.len() => {
                Stop::Truncated {
                    layer: Layer::Payload,
                }
            }
            (None, stop) => stop,
        };
        self.counters.count(&layers);
        layers
    }

    /// What became of the packets so far.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }
}

/// What the rest of the window holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A packet of this link type.
    Link(LinkType),
    /// An Ethernet frame, from its destination address.
    Ethernet,
    /// What the ethertype says.
    EtherType(u16),
    /// IEEE 802.2.
    Llc,
    /// IEEE 802.11, from its frame control.
    Wifi,
    /// PPP, from its address or protocol field.
    Ppp,
    /// PPPoE, from its version field.
    PppoE,
    /// An MPLS label stack.
    Mpls,
    /// Either version of IP.
    Ip,
    /// What the IP protocol number says, below the IP header that was read last.
    Protocol(u8),
    /// Nothing more.
    Done,
}

/// What a protocol answers: what comes next, or why there is no next.
pub(super) type Step = Result<Next, Stop>;

/// The state of the walk through one packet.
pub(super) struct Walk<'a> {
    pub(super) window: Window<'a>,
    pub(super) layers: Layers<'a>,
    pub(super) time: Timestamp,
    pub(super) verify_checksums: bool,
    /// The window is the first fragment of a datagram that cannot be reassembled, so lengths inside may reach beyond it.
    pub(super) headless: bool,
    /// The window is all that the transport checksum covers, and the addresses are those that it covers.
    pub(super) checkable: bool,
    noted: Option<Stop>,
    pub(super) pool: &'a mut Pool,
    reassembled: IterMut<'a, Vec<u8>>,
}

impl<'a> Walk<'a> {
    fn run(&mut self, link: LinkType) -> Stop {
        let mut next = Next::Link(link);
        loop {
            let step = match next {
                Next::Link(link) => self.link(link),
                Next::Ethernet => ethernet::frame(self),
                Next::EtherType(kind) => ethernet::carried(self, kind),
                Next::Llc => ethernet::llc(self),
                Next::Wifi => wifi::frame(self),
                Next::Ppp => ppp::frame(self),
                Next::PppoE => ppp::session(self),
                Next::Mpls => mpls::stack(self),
                Next::Ip => ip::packet(self),
                Next::Protocol(number) => self.protocol(number),
                Next::Done => return Stop::Complete,
            };
            match step {
                Ok(following) => next = following,
                Err(stop) => return stop,
            }
        }
    }

    fn link(&mut self, link: LinkType) -> Step {
        match link {
            LinkType::ETHERNET => Ok(Next::Ethernet),
            LinkType::RAW
            | LinkType::RAW_BSD
            | LinkType::RAW_OPENBSD
            | LinkType::IPV4
            | LinkType::IPV6 => Ok(Next::Ip),
            LinkType::LINUX_SLL => linux_cooked::version_1(self),
            LinkType::LINUX_SLL2 => linux_cooked::version_2(self),
            LinkType::NULL | LinkType::LOOP => null::packet(self),
            LinkType::PPP | LinkType::PPP_HDLC => ppp::or_cisco(self),
            LinkType::PPP_ETHER => Ok(Next::PppoE),
            LinkType::C_HDLC => ppp::cisco(self),
            LinkType::IEEE802_11 => Ok(Next::Wifi),
            LinkType::IEEE802_11_RADIOTAP => wifi::radiotap(self),
            LinkType::PPI => metadata::ppi(self),
            LinkType::NFLOG => metadata::nflog(self),
            LinkType::NETANALYZER => metadata::net_analyzer(self),
            LinkType::PKTAP | metadata::USER2 => metadata::pktap(self),
            metadata::IP_OVER_INFINIBAND => metadata::ip_over_infiniband(self),
            metadata::FDDI => metadata::fddi(self),
            metadata::JUNIPER_ETHERNET => metadata::juniper_ethernet(self),
            LinkType(other) => unsupported(Layer::Link, u32::from(other)),
        }
    }

    fn protocol(&mut self, number: u8) -> Step {
        if let Some(network) = &mut self.layers.network {
            network.protocol = Transport(number);
        }
        match Transport(number) {
            Transport::TCP => tcp::segment(self),
            Transport::UDP => udp::datagram(self),
            Transport::ICMP | Transport::ICMPV6 => icmp::message(self),
            Transport::SCTP | Transport::UDP_LITE | ip::DCCP => udp::ports_only(self),
            ip::IN_IPV4 | ip::IN_IPV6 => ip::in_ip(self, number),
            ip::GRE => gre::packet(self),
            ip::AUTHENTICATION => ip::authentication(self),
            ip::MPLS => Ok(Next::Mpls),
            ip::ETHER_IP => gre::ether_ip(self),
            ip::PIM => gre::pim_register(self),
            ip::NO_NEXT_HEADER => Ok(Next::Done),
            Transport(number) => {
                self.deliver(TransportHeader::Other);
                unsupported(self.ip_layer(), u32::from(number))
            }
        }
    }

    /// The version of the IP header that was read last.
    pub(super) fn ip_layer(&self) -> Layer {
        match self.layers.network {
            Some(network) if network.source.is_ipv6() => Layer::Ipv6,
            _ => Layer::Ipv4,
        }
    }

    /// Keeps a transport header and takes the rest of the window for its payload.
    pub(super) fn deliver(&mut self, transport: TransportHeader) {
        self.layers.transport = Some(transport);
        self.layers.payload = self.window.bytes();
        self.layers.payload_wire_len = self.window.wire_u32();
    }

    /// Goes into an encapsulation.
    pub(super) fn enter(&mut self, tunnel: Tunnel) -> Result<(), Stop> {
        let limit = if tunnel.is_tag() {
            tunnel::MAX_TAGS
        } else {
            tunnel::MAX_TUNNELS
        };
        let alike = |other: &&Tunnel| other.is_tag() == tunnel.is_tag();
        if self.layers.tunnels.iter().filter(alike).count() >= limit {
            return Err(Stop::NestingLimit);
        }
        self.layers
            .tunnels
            .try_push(tunnel)
            .map_err(|_| Stop::NestingLimit)
    }

    /// Remembers a contradiction that does not keep the rest from being read. The outermost one is reported.
    pub(super) fn note(&mut self, layer: Layer, reason: Reason) {
        self.noted.get_or_insert(Stop::Malformed { layer, reason });
    }

    /// Goes on in a datagram that is whole now.
    pub(super) fn continue_in(&mut self, datagram: Vec<u8>) -> Result<(), Stop> {
        let slot = self.reassembled.next().ok_or(Stop::NestingLimit)?;
        *slot = datagram;
        self.window = Window::new(slot, slot.len());
        Ok(())
    }
}

/// The answer of a layer that carries what is not read here.
pub(super) const fn unsupported<T>(layer: Layer, value: u32) -> Result<T, Stop> {
    Err(Stop::Unsupported { layer, value })
}

/// The answer of a layer that contradicts itself.
pub(super) const fn malformed<T>(layer: Layer, reason: Reason) -> Result<T, Stop> {
    Err(Stop::Malformed { layer, reason })
}
