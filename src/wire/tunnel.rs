//! Encapsulations around a flow, as they are kept and printed.

use std::fmt;

use arrayvec::ArrayVec;

/// Link encapsulations (VLAN tags, MPLS labels, PPPoE ...) that are followed in one packet. Three are usual, five have been
/// seen; more are an attack or an error.
pub const MAX_TAGS: usize = 8;

/// Tunnels (GRE, VXLAN, IP in IP ...) that are followed in one packet: a mirror session of an overlay of a tunnel is three.
pub const MAX_TUNNELS: usize = 4;

/// The encapsulations of one packet, outermost first. Held in place: a tagged packet costs no allocation.
pub type Tunnels = ArrayVec<Tunnel, { MAX_TAGS + MAX_TUNNELS }>;

/// One encapsulation. Prints as reports name it: `vlan:12`, `gre`, `vxlan:99`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tunnel {
    /// IEEE 802.1Q or 802.1ad tag: the VLAN id, 12 bits.
    Vlan(u16),
    /// IEEE 802.1ah backbone tag: the service id, 24 bits.
    Pbb(u32),
    /// Cisco FabricPath.
    FabricPath,
    /// IEEE 802.1AE without encryption.
    MacSec,
    /// An MPLS label, 20 bits (RFC 3032).
    Mpls(u32),
    /// A PPPoE session (RFC 2516).
    PppoE,
    /// A service function header (RFC 8300).
    Nsh,
    /// GRE (RFC 2784, RFC 2890).
    Gre,
    /// The GRE of PPTP (RFC 2637).
    Pptp,
    /// NVGRE: the virtual subnet id, 24 bits (RFC 7637).
    NvGre(u32),
    /// Cisco ERSPAN, any type.
    Erspan,
    /// IPv4 in IPv4 (RFC 2003).
    IpIp,
    /// IPv6 in IPv4 (RFC 4213).
    SixInFour,
    /// IPv4 in IPv6 (RFC 2473).
    FourInSix,
    /// IPv6 in IPv6 (RFC 2473).
    SixInSix,
    /// Ethernet in IP (RFC 3378).
    EtherIp,
    /// A PIM register message (RFC 7761 §4.9.3).
    Pim,
    /// VXLAN: the network id, 24 bits (RFC 7348).
    Vxlan(u32),
    /// VXLAN with protocol type: the network id, 24 bits (draft-ietf-nvo3-vxlan-gpe).
    VxlanGpe(u32),
    /// GENEVE: the network id, 24 bits (RFC 8926).
    Geneve(u32),
    /// GTP-U: the tunnel endpoint id (3GPP TS 29.281).
    GtpU(u32),
    /// Teredo (RFC 4380).
    Teredo,
    /// L2TP version 2 (RFC 2661).
    L2tp,
    /// CAPWAP data (RFC 5415).
    Capwap,
}

impl Tunnel {
    /// Whether it counts against [`MAX_TAGS`]; otherwise against [`MAX_TUNNELS`].
    pub const fn is_tag(self) -> bool {
        matches!(
            self,
            Self::Vlan(_)
                | Self::Pbb(_)
                | Self::FabricPath
                | Self::MacSec
                | Self::Mpls(_)
                | Self::PppoE
                | Self::Nsh
        )
    }
}

impl fmt::Display for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, id) = match *self {
            Self::Vlan(id) => ("vlan", Some(u32::from(id))),
            Self::Pbb(id) => ("pbb", Some(id)),
            Self::FabricPath => ("fabricpath", None),
            Self::MacSec => ("macsec", None),
            Self::Mpls(label) => ("mpls", Some(label)),
            Self::PppoE => ("pppoe", None),
            Self::Nsh => ("nsh", None),
            Self::Gre => ("gre", None),
            Self::Pptp => ("pptp", None),
            Self::NvGre(id) => ("nvgre", Some(id)),
            Self::Erspan => ("erspan", None),
            Self::IpIp => ("ipip", None),
            Self::SixInFour => ("6in4", None),
            Self::FourInSix => ("4in6", None),
            Self::SixInSix => ("6in6", None),
            Self::EtherIp => ("etherip", None),
            Self::Pim => ("pim", None),
            Self::Vxlan(id) => ("vxlan", Some(id)),
            Self::VxlanGpe(id) => ("vxlan-gpe", Some(id)),
            Self::Geneve(id) => ("geneve", Some(id)),
            Self::GtpU(id) => ("gtp-u", Some(id)),
            Self::Teredo => ("teredo", None),
            Self::L2tp => ("l2tp", None),
            Self::Capwap => ("capwap", None),
        };
        match id {
            Some(id) => write!(f, "{name}:{id}"),
            None => f.write_str(name),
        }
    }
}
