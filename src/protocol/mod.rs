//! Application protocols: one file each, and the slice of all of them.
//!
//! A decoder says what bytes prove. It knows no port and no service. Adding one is its file, its `mod` line here and its
//! line in [`PROTOCOLS`]; names, attributes and first-byte dispatch derive from the registered constant.
//!
//! * A **stream** decoder reads the two directions of a TCP connection. It is chosen by its probe, a pure function of
//!   the first bytes, and answers each chunk with a [`Step`].
//! * A **datagram** decoder reads one UDP payload at a time; several may serve one flow (RFC 7983).

mod amqp;
mod bacnet;
mod ber;
mod bgp;
mod bitcoin;
mod bittorrent;
mod bjnp;
mod coap;
mod collectd;
mod conversation;
mod cql;
mod datagrams;
mod db_lsp_disc;
mod dcerpc;
mod dhcp;
mod dhcpv6;
mod diameter;
mod dnp3;
mod dns;
mod doip;
mod drda;
mod dtls;
mod elasticsearch;
mod enip;
mod fix;
mod ftp;
mod giop;
mod git;
mod gss;
mod gtp;
mod h225;
mod h245;
mod hsrp;
mod http;
mod iax2;
mod ident;
mod iec60870_104;
mod ike;
mod imap;
mod irc;
mod kafka;
mod kerberos;
mod kpasswd;
mod l2tp;
mod ldap;
mod ldp;
mod lines;
mod megaco;
mod memcached;
mod mgcp;
mod modbus;
mod mongodb;
mod mqtt;
mod msnp;
mod mysql;
mod negotiate_stream;
mod net_tcp;
mod netbios;
mod netbios_dgm;
mod netbios_ns;
mod netbios_ssn;
mod netflow;
mod nntp;
mod ntp;
mod nx;
mod opcua;
mod openflow;
mod openvpn;
mod oscar;
mod pcp;
mod per;
mod pop3;
mod postgresql;
mod pptp;
mod proxy_protocol;
mod quic;
mod radius;
mod raknet;
mod rdp;
mod rdp_udp;
mod redis;
mod rip;
mod rmcp;
mod rmi;
mod rsync;
mod rtcp;
mod rtmp;
mod rtp;
mod rtps;
mod rtsp;
mod rvp;
mod s7comm;
mod sap;
mod sdp;
mod sflow;
mod sip;
mod skinny;
mod slp;
mod smb;
mod smtp;
mod snmp;
mod socks;
mod spotify;
mod sql_browser;
mod ssdp;
mod ssh;
mod stun;
mod sunrpc;
mod syslog;
mod t125;
mod tacacs_plus;
mod tds;
mod telnet;
mod text;
mod tftp;
mod tls;
mod tns;
mod tpkt;
mod vnc;
mod websocket;
mod whatsapp;
mod whois;
mod wireguard;
mod ws_discovery;
mod x11;
mod x400;
mod xmpp;
mod ymsg;

pub use conversation::{Context, Conversation};
pub use datagrams::Datagrams;

use crate::bytes::Short;
use crate::evidence::Notes;
use crate::net::{PerSide, Side};

/// Every protocol, in the order of their names.
pub static PROTOCOLS: &[Protocol] = &[
    amqp::AMQP,
    bacnet::BACNET,
    bgp::BGP,
    bitcoin::BITCOIN,
    bittorrent::BITTORRENT,
    bjnp::BJNP,
    ldap::CLDAP,
    coap::COAP,
    collectd::COLLECTD,
    cql::CQL,
    db_lsp_disc::DB_LSP_DISC,
    dcerpc::DCERPC,
    dhcp::DHCP,
    dhcpv6::DHCPV6,
    diameter::DIAMETER,
    dnp3::DNP3,
    dns::DNS,
    doip::DOIP,
    drda::DRDA,
    dtls::DTLS,
    elasticsearch::ELASTICSEARCH,
    enip::ENIP,
    fix::FIX,
    ftp::FTP,
    giop::GIOP,
    git::GIT,
    gtp::GTP,
    h225::H225,
    h245::H245,
    hsrp::HSRP,
    http::HTTP,
    iax2::IAX2,
    ident::IDENT,
    iec60870_104::IEC60870_104,
    ike::IKE,
    imap::IMAP,
    irc::IRC,
    kafka::KAFKA,
    kerberos::KERBEROS,
    kpasswd::KPASSWD,
    l2tp::L2TP,
    ldap::LDAP,
    ldp::LDP,
    dns::LLMNR,
    bittorrent::LSD,
    dns::MDNS,
    megaco::MEGACO,
    memcached::MEMCACHED,
    mgcp::MGCP,
    modbus::MODBUS,
    mongodb::MONGODB,
    mqtt::MQTT,
    msnp::MSNP,
    mysql::MYSQL,
    netbios_dgm::NETBIOS_DGM,
    netbios_ns::NETBIOS_NS,
    netbios_ssn::NETBIOS_SSN,
    netflow::NETFLOW,
    net_tcp::NET_TCP,
    negotiate_stream::NNS,
    nntp::NNTP,
    ntp::NTP,
    nx::NX,
    opcua::OPCUA,
    openflow::OPENFLOW,
    openvpn::OPENVPN,
    oscar::OSCAR,
    pcp::PCP,
    pop3::POP3,
    postgresql::POSTGRESQL,
    pptp::PPTP,
    proxy_protocol::PROXY_PROTOCOL,
    quic::QUIC,
    radius::RADIUS,
    raknet::RAKNET,
    rdp::RDP,
    rdp_udp::RDP_UDP,
    redis::REDIS,
    rip::RIP,
    rip::RIPNG,
    rmcp::RMCP,
    rmi::RMI,
    rsync::RSYNC,
    rtcp::RTCP,
    rtmp::RTMP,
    rtp::RTP,
    rtps::RTPS,
    rtsp::RTSP,
    rvp::RVP,
    s7comm::S7COMM,
    sap::SAP,
    sdp::SDP,
    sflow::SFLOW,
    sip::SIP,
    skinny::SKINNY,
    slp::SLP,
    smb::SMB,
    smtp::SMTP,
    snmp::SNMP,
    socks::SOCKS,
    spotify::SPOTIFY,
    sql_browser::SQL_BROWSER,
    ssdp::SSDP,
    ssh::SSH,
    stun::STUN,
    sunrpc::SUNRPC,
    syslog::SYSLOG,
    t125::T125,
    tacacs_plus::TACACS_PLUS,
    tds::TDS,
    telnet::TELNET,
    tftp::TFTP,
    tls::TLS,
    tns::TNS,
    tpkt::TPKT,
    vnc::VNC,
    websocket::WEBSOCKET,
    whatsapp::WHATSAPP,
    whois::WHOIS,
    wireguard::WIREGUARD,
    ws_discovery::WS_DISCOVERY,
    x11::X11,
    x400::X400,
    xmpp::XMPP,
    ymsg::YMSG,
];

/// A registered protocol.
#[derive(Debug)]
pub struct Protocol {
    /// The name in the output contract: RFC name, lower case.
    pub name: &'static str,
    /// What it reads and proves, for people.
    pub about: About,
    /// Attributes that the decoder may note.
    pub attributes: &'static [&'static str],
    /// How it is read from a TCP stream.
    pub stream: Option<StreamEntry>,
    /// How it is read from a datagram.
    pub datagram: Option<DatagramEntry>,
}

/// A decoder in words; `docs/protocols.md` is written from these.
#[derive(Debug)]
pub struct About {
    /// The protocol's full name.
    pub title: &'static str,
    /// The documents that the decoder was written from.
    pub sources: &'static str,
    /// What of the protocol is read.
    pub reads: &'static str,
    /// Which bytes prove it.
    pub proves: &'static str,
    /// What it leaves alone or cannot know.
    pub limits: &'static str,
}

/// The registration of a stream decoder.
#[derive(Debug)]
pub struct StreamEntry {
    /// Whether the first byte of either direction can begin this protocol: a cheap filter before the probe.
    pub first_byte: fn(u8) -> bool,
    /// Whether the first bytes are this protocol.
    pub probe: fn(&Opening<'_>) -> Probe,
    /// A decoder for one connection.
    pub start: fn() -> Box<dyn StreamDecoder>,
}

/// The registration of a datagram decoder.
#[derive(Debug)]
pub struct DatagramEntry {
    /// Whether the first byte of a payload can begin this protocol.
    pub first_byte: fn(u8) -> bool,
    /// A decoder for one flow (a zero-sized one costs nothing).
    pub start: fn() -> Box<dyn DatagramDecoder>,
}

/// The first bytes of a connection, before it is known what they are.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// What each side sent so far, contiguous from its start.
    pub bytes: PerSide<&'a [u8]>,
    /// How many bytes behind those are known to be missing from the capture: what is there will not grow.
    pub missing: PerSide<u64>,
    /// The side that sent data first.
    pub first: Side,
    /// The beginning of the connection is not in the capture, or a gap came before these bytes: a probe must be stricter.
    pub midstream: bool,
}

impl<'a> Opening<'a> {
    /// What the side that spoke first sent.
    pub fn spoken(&self) -> &'a [u8] {
        self.bytes[self.first]
    }

    /// What the other side sent.
    pub fn reply(&self) -> &'a [u8] {
        self.bytes[self.first.other()]
    }

    /// What `look` says of the sides that spoke, of which one is enough: the better answer.
    pub fn either(&self, look: impl Fn(&[u8]) -> Probe) -> Probe {
        self.looks(look).fold(Probe::No, Probe::or)
    }

    /// What `look` says of the sides that spoke, which must agree: a side that is something else refuses both, except
    /// mid-stream, where its bytes may begin inside a message.
    pub fn agreed(&self, look: impl Fn(&[u8]) -> Probe) -> Probe {
        let mut best = Probe::No;
        for answer in self.looks(look) {
            if answer == Probe::No && !self.midstream {
                return Probe::No;
            }
            best = best.or(answer);
        }
        best
    }

    /// A silent side is nothing yet, and `look` is not asked for it.
    fn looks(&self, look: impl Fn(&[u8]) -> Probe) -> impl Iterator<Item = Probe> {
        let sides = [self.spoken(), self.reply()].into_iter();
        sides.filter(|bytes| !bytes.is_empty()).map(look)
    }
}

/// The answer of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// It is this protocol.
    Yes,
    /// It is not.
    No,
    /// It may be; more bytes will tell.
    More,
}

impl Probe {
    /// Yes where a message could be read, more where it ends too soon.
    pub fn of<T>(read: Result<T, Reject>) -> Self {
        match read {
            Ok(_) => Self::Yes,
            Err(Reject::Short(_)) => Self::More,
            Err(_) => Self::No,
        }
    }

    /// The better of two answers of which one is enough.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Yes, _) | (_, Self::Yes) => Self::Yes,
            (Self::More, _) | (_, Self::More) => Self::More,
            (Self::No, Self::No) => Self::No,
        }
    }
}

/// What a stream decoder did with a chunk.
#[derive(Debug)]
pub enum Step {
    /// `consumed` bytes are done with; the rest waits until `at_least` bytes stand after them.
    NeedMore {
        /// Bytes done with.
        consumed: usize,
        /// Bytes needed after the consumed ones (at least one more than are there).
        at_least: usize,
    },
    /// All bytes are done with.
    Consumed,
    /// `consumed` bytes are done with, and the next `bytes` bytes of this side carry nothing of interest: they are passed
    /// over without being kept, across gaps as well.
    Skip {
        /// Bytes done with.
        consumed: usize,
        /// Bytes to pass over after them; they may lie in this chunk.
        bytes: u64,
    },
    /// From here on both sides speak another protocol.
    Handover {
        /// Bytes of this chunk done with.
        consumed: usize,
        /// What comes next.
        next: Next,
    },
    /// Nobody wants more of this connection.
    Done,
    /// These bytes are not this protocol, or broken.
    Reject(Reject),
}

/// What follows a handover.
#[derive(Clone, Copy, Debug)]
pub enum Next {
    /// This protocol, without a probe.
    Protocol(&'static Protocol),
    /// Whatever the probes find.
    Probe,
}

/// Why a message was refused. Small, counted by layer and reason, never an error of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reject {
    /// The message claims more bytes than there are.
    Short(Short),
    /// A field has a value that the specification excludes.
    Invalid(&'static str),
    /// It is another protocol.
    Other,
}

impl Reject {
    /// What a stream decoder answers with it: a message that is short waits for what it lacks, others are refused. `consumed`
    /// bytes are done with, and `left` bytes stand after them.
    pub const fn into_step(self, consumed: usize, left: usize) -> Step {
        match self {
            Self::Short(short) => {
                let missing = if short.missing == 0 { 1 } else { short.missing };
                Step::NeedMore {
                    consumed,
                    at_least: left.saturating_add(missing),
                }
            }
            Self::Invalid(_) | Self::Other => Step::Reject(self),
        }
    }
}

impl From<Short> for Reject {
    fn from(short: Short) -> Self {
        Self::Short(short)
    }
}

/// Reads the two directions of one connection.
pub trait StreamDecoder: Send {
    /// Reads `bytes`, which `side` sent next. Called again at once with what is left after a [`Step::Skip`].
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step;

    /// After a gap in what `side` sent (or a mid-stream start): the offset in `bytes`, a segment's payload, at which a
    /// message begins. `None` passes the segment over and asks again at the next one.
    fn resume(&mut self, side: Side, bytes: &[u8]) -> Option<usize> {
        let _ = (side, bytes);
        None
    }

    /// Bytes of memory that it takes, about. It is asked after each segment, so that it goes over a few dozen pieces at most;
    /// what is not its own size counts where it can be kilobytes.
    fn held_bytes(&self) -> usize {
        size_of_val(self)
    }
}

/// One UDP payload.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// The captured bytes.
    pub bytes: &'a [u8],
    /// Length on the wire; more than `bytes` where the snap length cut it.
    pub wire_len: usize,
}

impl Datagram<'_> {
    /// Whether the snap length cut it.
    pub const fn is_cut(&self) -> bool {
        self.bytes.len() < self.wire_len
    }
}

/// Reads the datagrams of one flow.
pub trait DatagramDecoder: Send {
    /// Reads one datagram; a refusal leaves no notes.
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject>;

    /// Whether it remembers nothing, so that a new one will do as well: an idle flow keeps only those that do.
    fn is_blank(&self) -> bool {
        false
    }

    /// Bytes of memory that it takes, about.
    fn held_bytes(&self) -> usize {
        size_of_val(self)
    }
}

/// One bit for each protocol, in the order of [`PROTOCOLS`].
type Mask = u128;

/// For each first byte the protocols that it can begin.
fn by_first_byte(can_begin: impl Fn(&Protocol, u8) -> bool) -> Vec<Mask> {
    const {
        assert!(
            PROTOCOLS.len() <= Mask::BITS as usize,
            "one bit of a word stands for each protocol"
        )
    };
    let mask = |byte: u8| {
        let able = PROTOCOLS
            .iter()
            .enumerate()
            .filter(|(_, protocol)| can_begin(protocol, byte));
        able.fold(0, |mask, (index, _)| mask | 1 << index)
    };
    (0..=u8::MAX).map(mask).collect()
}

#[cfg(test)]
#[allow(dead_code, unused_imports, reason = "every decoder uses some of it")]
pub(crate) mod testing;
