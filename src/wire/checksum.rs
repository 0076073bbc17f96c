//! Internet checksums (RFC 1071): verified on request, counted, never a reason to drop a packet.

use std::net::IpAddr;

use super::Network;

/// What a checksum says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Checksum {
    /// Nobody asked, or there is no such layer.
    #[default]
    Unchecked,
    /// It fits.
    Good,
    /// It does not fit.
    Bad,
    /// It cannot be said: the capture is cut, the sender left it out, or the network card was still to fill it in.
    Unverifiable,
}

/// The checksums of the innermost headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checksums {
    /// Of the IPv4 header; IPv6 has none.
    pub network: Checksum,
    /// Of TCP, UDP, ICMP or ICMPv6.
    pub transport: Checksum,
}

impl Checksums {
    pub(super) const UNCHECKED: Self = Self {
        network: Checksum::Unchecked,
        transport: Checksum::Unchecked,
    };
}

/// The checksum of an IPv4 header, `stored` being its field.
pub(super) fn of_header(header: &[&[u8]], stored: u16) -> Checksum {
    if stored == 0 {
        return Checksum::Unverifiable;
    }
    if fold(header.iter().map(|part| sum(part)).sum()) == 0xffff {
        Checksum::Good
    } else {
        Checksum::Bad
    }
}

/// The checksum of a whole transport segment below `network`, `stored` being its field.
///
/// A card that fills checksums in gets the segment with the sum of the pseudo-header in the field, without the length where
/// it also cuts the segment to size; such a segment is unverifiable, not bad.
pub(super) fn of_segment(network: &Network, segment: &[u8], stored: u16) -> Checksum {
    let length = u64::try_from(segment.len()).unwrap_or(0);
    let addresses = match (network.source, network.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            sum(&source.octets()).saturating_add(sum(&destination.octets()))
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            sum(&source.octets()).saturating_add(sum(&destination.octets()))
        }
        _ => return Checksum::Unverifiable,
    };
    let pseudo = addresses
        .saturating_add(u64::from(network.protocol.0))
        .saturating_add(length);
    if fold(pseudo.saturating_add(sum(segment))) == 0xffff {
        Checksum::Good
    } else if stored == fold(pseudo) || stored == fold(pseudo.saturating_sub(length)) {
        Checksum::Unverifiable
    } else {
        Checksum::Bad
    }
}

/// The checksum of a message without pseudo-header (ICMP).
pub(super) fn of_message(message: &[u8]) -> Checksum {
    if fold(sum(message)) == 0xffff {
        Checksum::Good
    } else {
        Checksum::Bad
    }
}

/// The sum of the 16-bit words, not yet folded. The bound of a packet (4 GiB) keeps it far from overflow.
fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<4>();
    let mut total = words.iter().fold(0_u64, |total, word| {
        total.wrapping_add(u64::from(u32::from_be_bytes(*word)))
    });
    let mut last = [0_u8; 4];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    total = total.wrapping_add(u64::from(u32::from_be_bytes(last)));
    total
}

/// The one's complement sum in 16 bits.
fn fold(mut total: u64) -> u16 {
    while let Some(carry) = total.checked_shr(16).filter(|carry| *carry != 0) {
        total = (total & 0xffff).wrapping_add(carry);
    }
    u16::try_from(total).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_of_rfc_1071_sums_up() {
        let header = [
            0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8,
            0, 0xc7,
        ];
        assert_eq!(of_header(&[&header], 0xb861), Checksum::Good);
        let mut bad = header;
        bad[8] = 0x41;
        assert_eq!(of_header(&[&bad], 0xb861), Checksum::Bad);
    }

    #[test]
    fn an_odd_byte_counts_as_the_high_half_of_a_word() {
        assert_eq!(fold(sum(&[1])), 0x0100);
        assert_eq!(fold(sum(&[0, 1, 2])), 0x0201);
    }
}
