//! Internet checksums (RFC 1071): verified on request, counted, never a reason to drop a packet.

use std::net::IpAddr;

use etherparse::Ipv4HeaderSlice;
use etherparse::checksum::Sum16BitWords;

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

/// The checksum of an IPv4 header.
pub(super) fn of_header(header: &Ipv4HeaderSlice<'_>) -> Checksum {
    if header.header_checksum() == 0 {
        return Checksum::Unverifiable;
    }
    of_message(header.slice())
}

/// The checksum of a whole transport segment below `network`, `stored` being its field.
///
/// A card that fills checksums in gets the segment with the sum of the pseudo-header in the field, without the length where
/// it also cuts the segment to size; such a segment is unverifiable, not bad.
pub(super) fn of_segment(network: &Network, segment: &[u8], stored: u16) -> Checksum {
    let mut sum = Sum16BitWords::new();
    let sum = match (network.source, network.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => sum
            .add_4bytes(source.octets())
            .add_4bytes(destination.octets()),
        (IpAddr::V6(source), IpAddr::V6(destination)) => sum
            .add_16bytes(source.octets())
            .add_16bytes(destination.octets()),
        _ => return Checksum::Unverifiable,
    };
    let Ok(length) = u32::try_from(segment.len()) else {
        return Checksum::Unverifiable;
    };
    let without_length = sum.add_2bytes([0, network.protocol.0]);
    let pseudo = without_length.clone().add_4bytes(length.to_be_bytes());
    let stands_for = |sum: &Sum16BitWords| stored == !u16::from_be(sum.ones_complement());
    if add(pseudo.clone(), segment).ones_complement() == 0 {
        Checksum::Good
    } else if stands_for(&pseudo) || stands_for(&without_length) {
        Checksum::Unverifiable
    } else {
        Checksum::Bad
    }
}

/// The checksum of a message without pseudo-header (ICMP).
pub(super) fn of_message(message: &[u8]) -> Checksum {
    if add(Sum16BitWords::new(), message).ones_complement() == 0 {
        Checksum::Good
    } else {
        Checksum::Bad
    }
}

/// Adds the words of a slice, eight bytes at a time into a sum so wide that no carry has to be brought back before its end: that
/// carry makes every step of etherparse's sum wait for the one before. A wide sum stands for its parts (RFC 1071 §2, part C).
fn add(mut sum: Sum16BitWords, bytes: &[u8]) -> Sum16BitWords {
    let (words, rest) = bytes.as_chunks::<8>();
    let wide = |word: &[u8; 8]| u128::from(u64::from_ne_bytes(*word));
    let total: u128 = words.iter().map(wide).sum();
    sum.add_16bytes(total.to_ne_bytes()).add_slice(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_of_rfc_1071_sums_up() {
        let mut header = [
            0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8,
            0, 0xc7,
        ];
        let checked = |header: &[u8]| of_header(&Ipv4HeaderSlice::from_slice(header).unwrap());
        assert_eq!(checked(&header), Checksum::Good);
        header[8] = 0x41;
        assert_eq!(checked(&header), Checksum::Bad);
    }

    #[test]
    fn wide_words_sum_up_to_what_narrow_ones_do() {
        let bytes: Vec<u8> = (0..1500_u32)
            .map(|n| (n * 167 + n / 7) as u8 | 0x80)
            .collect();
        for length in (0..80).chain([1459, 1460, 1500]) {
            let bytes = &bytes[..length];
            let narrow = Sum16BitWords::new().add_slice(bytes).ones_complement();
            let wide = add(Sum16BitWords::new(), bytes).ones_complement();
            assert_eq!(wide, narrow, "{length} bytes");
        }
    }

    #[test]
    fn an_odd_byte_counts_as_the_high_half_of_a_word() {
        assert_eq!(of_message(&[0xfe, 0xff, 0x01]), Checksum::Good);
        assert_eq!(of_message(&[0xff, 0xfe, 0x01]), Checksum::Bad);
    }
}
