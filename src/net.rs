//! Vocabulary of the network: times, endpoints, flow keys, sides and sequence numbers.
//!
//! Plain values, shared by every module. Nothing here reads bytes, and nothing here knows a service.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use serde::{Serialize, Serializer};

/// A packet time: nanoseconds since 1970-01-01T00:00:00Z. Never the wall clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From nanoseconds since the epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From whole seconds and nanoseconds, saturating at the ends of the range (years 1677 to 2262).
    pub const fn from_parts(seconds: i64, nanos: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
    }

    /// Nanoseconds since the epoch.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Nanoseconds from `earlier` to `self`; negative where the order is the other way round.
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Timestamp {
    /// Length of `2026-01-31T23:59:59`.
    const SECOND: usize = 19;
    /// Length of `2026-01-31T23:59:59.123456789Z`.
    const TEXT: usize = Self::SECOND + 11;

    /// RFC 3339 in UTC, always with nine decimals; `None` for a year that it has no room for.
    fn text(self) -> Option<[u8; Self::TEXT]> {
        /// The second that was written last, and its text: packets of one second come together.
        type Last = Option<(i64, [u8; Timestamp::SECOND])>;
        thread_local! {
            static LAST: std::cell::Cell<Last> = const { std::cell::Cell::new(None) };
        }
        let second = self.0.div_euclid(1_000_000_000);
        let known = LAST.get().filter(|(known, _)| *known == second);
        let whole = match known {
            Some((_, whole)) => whole,
            None => {
                let time = jiff::Timestamp::from_second(second).ok()?;
                let whole = *format!("{time:.0}").as_bytes().first_chunk()?;
                LAST.set(Some((second, whole)));
                whole
            }
        };
        let mut text = [b'.'; Self::TEXT];
        let (head, tail) = text.split_at_mut(Self::SECOND);
        head.copy_from_slice(&whole);
        let mut nanos = self.0.rem_euclid(1_000_000_000);
        let (decimals, zone) = tail.split_at_mut(10);
        zone.copy_from_slice(b"Z");
        for decimal in decimals.iter_mut().skip(1).rev() {
            *decimal = b'0'.saturating_add(u8::try_from(nanos % 10).unwrap_or_default());
            nanos /= 10;
        }
        Some(text)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, always with nine decimals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text().as_ref().map(|text| str::from_utf8(text)) {
            Some(Ok(text)) => f.write_str(text),
            _ => write!(f, "{} ns", self.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.text().as_ref().map(|text| str::from_utf8(text)) {
            Some(Ok(text)) => serializer.serialize_str(text),
            _ => serializer.collect_str(self),
        }
    }
}

/// The kind of link that a packet was captured on: a LINKTYPE_ value of the tcpdump.org registry (or the DLT_ value that
/// old files hold in its place).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: an address family in the writer's byte order.
    pub const NULL: Self = Self(0);
    /// Ethernet.
    pub const ETHERNET: Self = Self(1);
    /// PPP, with or without HDLC address and control.
    pub const PPP: Self = Self(9);
    /// Raw IP, the DLT value of most BSDs.
    pub const RAW_BSD: Self = Self(12);
    /// Raw IP, the DLT value of OpenBSD.
    pub const RAW_OPENBSD: Self = Self(14);
    /// PPP in HDLC-like framing (RFC 1662), or Cisco PPP with HDLC framing.
    pub const PPP_HDLC: Self = Self(50);
    /// PPPoE session packets without Ethernet (RFC 2516).
    pub const PPP_ETHER: Self = Self(51);
    /// Raw IP, either version.
    pub const RAW: Self = Self(101);
    /// Cisco HDLC.
    pub const C_HDLC: Self = Self(104);
    /// IEEE 802.11.
    pub const IEEE802_11: Self = Self(105);
    /// OpenBSD loopback: an address family in network byte order.
    pub const LOOP: Self = Self(108);
    /// Linux cooked capture, version 1.
    pub const LINUX_SLL: Self = Self(113);
    /// IEEE 802.11 behind a radiotap header.
    pub const IEEE802_11_RADIOTAP: Self = Self(127);
    /// Per-Packet Information header.
    pub const PPI: Self = Self(192);
    /// Raw IPv4.
    pub const IPV4: Self = Self(228);
    /// Raw IPv6.
    pub const IPV6: Self = Self(229);
    /// Linux netfilter log messages.
    pub const NFLOG: Self = Self(239);
    /// Hilscher netANALYZER: four bytes, then Ethernet.
    pub const NETANALYZER: Self = Self(240);
    /// Apple PKTAP.
    pub const PKTAP: Self = Self(258);
    /// Linux cooked capture, version 2.
    pub const LINUX_SLL2: Self = Self(276);
    /// A kind of link for which the registry has no value, in a file of another registry. No value is assigned up there.
    pub const UNKNOWN: Self = Self(u16::MAX);
}

/// The transport of a flow: an IP protocol number (IANA "Assigned Internet Protocol Numbers").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Transport(pub u8);

impl Transport {
    /// Internet Control Message Protocol.
    pub const ICMP: Self = Self(1);
    /// Transmission Control Protocol.
    pub const TCP: Self = Self(6);
    /// User Datagram Protocol.
    pub const UDP: Self = Self(17);
    /// ICMP for IPv6.
    pub const ICMPV6: Self = Self(58);
    /// Stream Control Transmission Protocol.
    pub const SCTP: Self = Self(132);
    /// UDP-Lite.
    pub const UDP_LITE: Self = Self(136);

    /// Whether its endpoints have ports.
    pub const fn has_ports(self) -> bool {
        matches!(self, Self::TCP | Self::UDP | Self::SCTP | Self::UDP_LITE)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TCP => f.write_str("tcp"),
            Self::UDP => f.write_str("udp"),
            Self::SCTP => f.write_str("sctp"),
            Self::ICMP => f.write_str("icmp"),
            Self::ICMPV6 => f.write_str("icmpv6"),
            Self(number) => write!(f, "{number}"),
        }
    }
}

impl Serialize for Transport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The control bits of TCP, the low nine bits of the word they stand in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TcpFlags(pub u16);

impl TcpFlags {
    /// The sender has finished.
    pub const FIN: Self = Self(0x001);
    /// Synchronize sequence numbers.
    pub const SYN: Self = Self(0x002);
    /// Reset the connection.
    pub const RST: Self = Self(0x004);
    /// Push.
    pub const PSH: Self = Self(0x008);
    /// The acknowledgment counts.
    pub const ACK: Self = Self(0x010);
    /// The urgent pointer counts.
    pub const URG: Self = Self(0x020);
    /// Echo of a congestion mark (RFC 3168).
    pub const ECE: Self = Self(0x040);
    /// Congestion window reduced (RFC 3168).
    pub const CWR: Self = Self(0x080);
    /// Accurate ECN, once the nonce sum (RFC 9768).
    pub const AE: Self = Self(0x100);

    /// Whether all bits of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any bit of `other` is set.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The bits of both.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Display for TcpFlags {
    /// The names of the bits that are set, as in `SYN,ACK`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [(TcpFlags, &str); 9] = [
            (TcpFlags::SYN, "SYN"),
            (TcpFlags::FIN, "FIN"),
            (TcpFlags::RST, "RST"),
            (TcpFlags::PSH, "PSH"),
            (TcpFlags::ACK, "ACK"),
            (TcpFlags::URG, "URG"),
            (TcpFlags::ECE, "ECE"),
            (TcpFlags::CWR, "CWR"),
            (TcpFlags::AE, "AE"),
        ];
        let set = NAMES.iter().filter(|(flag, _)| self.contains(*flag));
        for (index, (_, name)) in set.enumerate() {
            if index != 0 {
                f.write_str(",")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

/// An address and a port; the port is 0 where the transport has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Endpoint {
    /// The IP address.
    pub address: IpAddr,
    /// The port, 0 where the transport has none.
    pub port: u16,
}

impl Endpoint {
    /// An endpoint of an address and a port.
    pub const fn new(address: IpAddr, port: u16) -> Self {
        Self { address, port }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            IpAddr::V4(address) => write!(f, "{address}:{}", self.port),
            IpAddr::V6(address) => write!(f, "[{address}]:{}", self.port),
        }
    }
}

/// One end of a flow, before anything proves which of them is the client: `A` is the lesser endpoint of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Side {
    /// The lesser endpoint of the flow key.
    A,
    /// The greater endpoint of the flow key.
    B,
}

impl Side {
    /// Both sides, in order.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// The other end.
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// The index of this side in a [`PerSide`] array: 0 or 1.
    pub const fn index(self) -> usize {
        match self {
            Self::A => 0,
            Self::B => 1,
        }
    }
}

/// A value for each side of a flow; indexed by [`Side`], so that it cannot be missed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct PerSide<T> {
    /// The value of [`Side::A`].
    pub a: T,
    /// The value of [`Side::B`].
    pub b: T,
}

impl<T> PerSide<T> {
    /// A value for each side.
    pub const fn new(a: T, b: T) -> Self {
        Self { a, b }
    }

    /// The values in order, `A` first.
    pub fn iter(&self) -> impl Iterator<Item = (Side, &T)> {
        [(Side::A, &self.a), (Side::B, &self.b)].into_iter()
    }
}

impl<T> std::ops::Index<Side> for PerSide<T> {
    type Output = T;
    fn index(&self, side: Side) -> &T {
        match side {
            Side::A => &self.a,
            Side::B => &self.b,
        }
    }
}

impl<T> std::ops::IndexMut<Side> for PerSide<T> {
    fn index_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::A => &mut self.a,
            Side::B => &mut self.b,
        }
    }
}

/// A TCP sequence number (RFC 9293 §3.4): arithmetic on it is modulo 2^32. It has no `Ord`, since that order is not transitive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SequenceNumber(pub u32);

impl SequenceNumber {
    /// The number `bytes` later.
    pub const fn advance(self, bytes: u32) -> Self {
        Self(self.0.wrapping_add(bytes))
    }

    /// How far it lies after `other`; negative where it lies before. At 2^31 both would be true: that reads as before.
    pub const fn distance_from(self, other: Self) -> i32 {
        self.0.wrapping_sub(other.0).cast_signed()
    }
}

/// What identifies a flow: the transport and its two endpoints, the lesser one first, so that both directions agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FlowKey {
    /// The transport.
    pub transport: Transport,
    /// The lesser endpoint.
    pub a: Endpoint,
    /// The greater endpoint (equal to `a` where a host talks to itself on one port).
    pub b: Endpoint,
}

impl FlowKey {
    /// The key of a packet from `source` to `destination`, and the side that sent it.
    pub fn of(transport: Transport, source: Endpoint, destination: Endpoint) -> (Self, Side) {
        if source <= destination {
            (
                Self {
                    transport,
                    a: source,
                    b: destination,
                },
                Side::A,
            )
        } else {
            (
                Self {
                    transport,
                    a: destination,
                    b: source,
                },
                Side::B,
            )
        }
    }

    /// The endpoint of a side.
    pub const fn endpoint(&self, side: Side) -> Endpoint {
        match side {
            Side::A => self.a,
            Side::B => self.b,
        }
    }
}

impl Hash for FlowKey {
    /// Three machine words for IPv4, six for IPv6: derived hashing of `IpAddr` costs several calls more on the hot path.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let ports = u64::from(self.a.port) << 32
            | u64::from(self.b.port) << 16
            | u64::from(self.transport.0);
        state.write_u64(ports);
        match (self.a.address, self.b.address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                state.write_u64(u64::from(a.to_bits()) << 32 | u64::from(b.to_bits()));
            }
            (a, b) => {
                for address in [a, b] {
                    match address {
                        IpAddr::V4(address) => state.write_u32(address.to_bits()),
                        IpAddr::V6(address) => state.write_u128(address.to_bits()),
                    }
                }
            }
        }
    }
}

impl fmt::Display for FlowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} - {}", self.transport, self.a, self.b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_have_one_key() {
        let low = Endpoint::new("10.0.0.1".parse().unwrap(), 50000);
        let high = Endpoint::new("10.0.0.2".parse().unwrap(), 25);
        let (there, from) = FlowKey::of(Transport::TCP, low, high);
        let (back, to) = FlowKey::of(Transport::TCP, high, low);
        assert_eq!(there, back);
        assert_eq!((from, to), (Side::A, Side::B));
        assert_eq!(there.endpoint(Side::B), high);
    }

    #[test]
    fn times_are_printed_in_utc_with_nanoseconds() {
        assert_eq!(
            Timestamp::from_parts(0, 1).to_string(),
            "1970-01-01T00:00:00.000000001Z"
        );
        assert_eq!(
            Timestamp::from_parts(1_700_000_000, 500_000_000).to_string(),
            "2023-11-14T22:13:20.500000000Z"
        );
    }

    #[test]
    fn order_goes_on_past_the_wrap() {
        let last = SequenceNumber(u32::MAX);
        assert_eq!(last.advance(1), SequenceNumber(0));
        assert_eq!(SequenceNumber(9).distance_from(last), 10);
        assert_eq!(last.distance_from(SequenceNumber(9)), -10);
        assert_eq!(
            SequenceNumber(1 << 31).distance_from(SequenceNumber(0)),
            i32::MIN
        );
    }
}
