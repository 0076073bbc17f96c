//! pcap: a file header, then records (draft-ietf-opsawg-pcap). The file header is read by `pcap-parser`; record headers
//! are four words, read in place.

use super::block::PacketIndex;
use super::format::{Order, Variant};
use super::frame::{Damage, max_captured};
use crate::net::{LinkType, Timestamp};

const FILE_HEADER_BYTES: usize = 24;
const RECORD_HEADER_BYTES: usize = 16;
/// Kuznetsov's patch adds interface index, protocol, packet type and padding.
const MODIFIED_RECORD_HEADER_BYTES: usize = 24;

/// Frames the records of one file.
#[derive(Clone, Debug)]
pub(super) struct Framer {
    order: Order,
    variant: Variant,
    /// From the file header, once that is read.
    header: Option<Header>,
}

#[derive(Clone, Copy, Debug)]
struct Header {
    link: LinkType,
    lengths: Lengths,
    max_captured: u32,
}

/// How a writer orders captured and original length (libpcap sf-pcap.c: the order changed with version 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lengths {
    CapturedFirst,
    OriginalFirst,
    /// Version 2.3: the lesser one is the captured length.
    Either,
}

impl Framer {
    pub(super) fn new(order: Order, variant: Variant) -> Self {
        Self {
            order,
            variant,
            header: None,
        }
    }

    /// See [`super::frame::Framer::frame`].
    pub(super) fn frame(
        &mut self,
        bytes: &[u8],
        position: &mut usize,
        packets: &mut Vec<PacketIndex>,
    ) -> Result<usize, Damage> {
        let header = match self.header {
            Some(header) => header,
            None => {
                let Some(raw) = bytes.get(*position..).and_then(|rest| rest.first_chunk()) else {
                    return Ok(FILE_HEADER_BYTES);
                };
                let header = self.file_header(raw)?;
                *position = position.saturating_add(FILE_HEADER_BYTES);
                *self.header.insert(header)
            }
        };
        // The order is settled outside the loop: records are the hot path.
        match self.order {
            Order::Little => self.records(u32::from_le_bytes, header, bytes, position, packets),
            Order::Big => self.records(u32::from_be_bytes, header, bytes, position, packets),
        }
    }

    fn file_header(&self, raw: &[u8; FILE_HEADER_BYTES]) -> Result<Header, Damage> {
        // `pcap-parser` knows the modified magic in one byte order only; the layout of the file header is the same.
        let mut standard = *raw;
        let magic = match self.order {
            Order::Little => 0xa1b2_c3d4_u32.to_le_bytes(),
            Order::Big => 0xa1b2_c3d4_u32.to_be_bytes(),
        };
        if let Some(place) = standard.first_chunk_mut() {
            *place = magic;
        }
        let (_, header) = pcap_parser::parse_pcap_header(&standard)
            .map_err(|_| Damage::new("a pcap file header", "bytes that are none"))?;
        // libpcap reads version 2 and the 543.0 of DG/UX; anything else is no pcap that anybody wrote.
        let lengths = match (header.version_major, header.version_minor) {
            (2, 0..=2) | (543, _) => Lengths::OriginalFirst,
            (2, 3) => Lengths::Either,
            (2, _) => Lengths::CapturedFirst,
            (major, minor) => {
                return Err(Damage::new(
                    "pcap version 2",
                    format!("version {major}.{minor}"),
                ));
            }
        };
        // The upper half of the word holds the length of frame check sequences (draft section 4).
        let [_, _, high, low] = header.network.0.to_be_bytes();
        let link = LinkType(u16::from_be_bytes([high, low]));
        Ok(Header {
            link,
            lengths,
            max_captured: max_captured(link),
        })
    }

    fn records(
        &self,
        word: impl Fn([u8; 4]) -> u32,
        header: Header,
        bytes: &[u8],
        position: &mut usize,
        packets: &mut Vec<PacketIndex>,
    ) -> Result<usize, Damage> {
        let header_bytes = match self.variant {
            Variant::Modified => MODIFIED_RECORD_HEADER_BYTES,
            Variant::Micro | Variant::Nano => RECORD_HEADER_BYTES,
        };
        let nanos_per_unit = match self.variant {
            Variant::Nano => 1,
            Variant::Micro | Variant::Modified => 1_000,
        };
        loop {
            let rest = bytes.get(*position..).unwrap_or_default();
            let Some(h) = rest.first_chunk::<RECORD_HEADER_BYTES>() else {
                return Ok(header_bytes);
            };
            let seconds = word([h[0], h[1], h[2], h[3]]);
            let fraction = word([h[4], h[5], h[6], h[7]]);
            let first = word([h[8], h[9], h[10], h[11]]);
            let second = word([h[12], h[13], h[14], h[15]]);
            let swapped = match header.lengths {
                Lengths::CapturedFirst => false,
                Lengths::OriginalFirst => true,
                Lengths::Either => first > second,
            };
            let (captured_len, wire_len) = if swapped {
                (second, first)
            } else {
                (first, second)
            };
            if captured_len > header.max_captured {
                return Err(Damage::new(
                    format!("a captured length of at most {}", header.max_captured),
                    format!("{captured_len}"),
                ));
            }
            let record_bytes = header_bytes.saturating_add(captured_len as usize);
            if rest.len() < record_bytes {
                return Ok(record_bytes);
            }
            packets.push(PacketIndex {
                time: Timestamp::from_parts(
                    i64::from(seconds),
                    i64::from(fraction).saturating_mul(nanos_per_unit),
                ),
                offset: position.saturating_add(header_bytes),
                number: 0,
                captured_len,
                wire_len,
                interface: 0,
                link: header.link,
                timed: true,
            });
            *position = position.saturating_add(record_bytes);
        }
    }
}
