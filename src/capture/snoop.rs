//! snoop, the captures of Solaris (RFC 1761): a file header, then records, all in network byte order.

use super::block::PacketIndex;
use super::frame::{Damage, max_captured};
use crate::net::{LinkType, Timestamp};

const FILE_HEADER_BYTES: usize = 16;
const RECORD_HEADER_BYTES: usize = 24;
/// The only version that the RFC and Solaris know.
const VERSION: u32 = 2;
/// Most bytes behind a packet: the RFC pads to a multiple of four, and writers that append a trailer stay far below.
const MAX_PADDING: u32 = 256;

/// Frames the records of one file.
#[derive(Clone, Debug, Default)]
pub(super) struct Framer {
    /// From the file header, once that is read.
    link: Option<LinkType>,
    /// The running total of the records, which is the loss of the file.
    drops: u32,
}

impl Framer {
    /// Packets that the file says were lost.
    pub(super) const fn drops(&self) -> u32 {
        self.drops
    }

    /// See [`super::frame::Framer::frame`].
    pub(super) fn frame(
        &mut self,
        bytes: &[u8],
        position: &mut usize,
        packets: &mut Vec<PacketIndex>,
    ) -> Result<usize, Damage> {
        let link = match self.link {
            Some(link) => link,
            None => {
                let Some(raw) = bytes.get(*position..).and_then(|rest| rest.first_chunk()) else {
                    return Ok(FILE_HEADER_BYTES);
                };
                let link = file_header(raw)?;
                *position = position.saturating_add(FILE_HEADER_BYTES);
                *self.link.insert(link)
            }
        };
        let max_captured = max_captured(link);
        loop {
            let rest = bytes.get(*position..).unwrap_or_default();
            let Some(header) = rest.first_chunk::<RECORD_HEADER_BYTES>() else {
                return Ok(RECORD_HEADER_BYTES);
            };
            let [wire_len, captured_len, record_len, drops, seconds, micros] = words(header);
            if captured_len > max_captured {
                return Err(Damage::new(
                    format!("a captured length of at most {max_captured}"),
                    format!("{captured_len}"),
                ));
            }
            // At most a quarter of a megabyte and the header: no overflow.
            let least = captured_len.saturating_add(24);
            if !(least..=least.saturating_add(MAX_PADDING)).contains(&record_len) {
                return Err(Damage::new(
                    format!("a record length of {least} with its padding"),
                    format!("{record_len}"),
                ));
            }
            let record_bytes = record_len as usize;
            if rest.len() < record_bytes {
                return Ok(record_bytes);
            }
            self.drops = self.drops.max(drops);
            packets.push(PacketIndex {
                time: Timestamp::from_parts(
                    i64::from(seconds),
                    i64::from(micros).saturating_mul(1_000),
                ),
                offset: position.saturating_add(RECORD_HEADER_BYTES),
                number: 0,
                captured_len,
                wire_len,
                interface: 0,
                link,
                timed: true,
            });
            *position = position.saturating_add(record_bytes);
        }
    }
}

/// The six words of a record header: original length, included length, record length, cumulative drops, seconds,
/// microseconds.
fn words(header: &[u8; RECORD_HEADER_BYTES]) -> [u32; 6] {
    let mut words = [0; 6];
    for (word, bytes) in words.iter_mut().zip(header.chunks_exact(4)) {
        *word = u32::from_be_bytes(bytes.first_chunk().copied().unwrap_or_default());
    }
    words
}

fn file_header(raw: &[u8; FILE_HEADER_BYTES]) -> Result<LinkType, Damage> {
    let [_magic @ .., v0, v1, v2, v3, d0, d1, d2, d3] = *raw;
    let version = u32::from_be_bytes([v0, v1, v2, v3]);
    if version != VERSION {
        return Err(Damage::new(
            format!("snoop version {VERSION}"),
            format!("version {version}"),
        ));
    }
    Ok(link(u32::from_be_bytes([d0, d1, d2, d3])))
}

/// The link type of a datalink code: those of RFC 1761, and of Solaris' own <sys/dlpi.h>. Others have no LINKTYPE value
/// that says the same.
fn link(code: u32) -> LinkType {
    const TOKEN_RING: LinkType = LinkType(6);
    const FDDI: LinkType = LinkType(10);
    match code {
        // IEEE 802.3 and Ethernet: the frame itself tells them apart.
        0 | 4 => LinkType::ETHERNET,
        2 => TOKEN_RING,
        8 => FDDI,
        // DL_IPV4 and DL_IPV6: tunnel interfaces.
        0x8000_0001 => LinkType::IPV4,
        0x8000_0002 => LinkType::IPV6,
        _ => LinkType::UNKNOWN,
    }
}
