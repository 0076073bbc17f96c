//! What the framers of all formats have in common.

use super::block::PacketIndex;
use super::{netmon, pcap, pcapng, snoop};
use crate::net::LinkType;

/// Longest packet that a capture may hold (libpcap `MAXIMUM_SNAPLEN`): a longer claim means that the file is damaged.
const MAX_CAPTURED_BYTES: u32 = 262_144;

/// Longest packet of the bus captures (libpcap `max_snaplen_for_dlt`).
const MAX_BUS_CAPTURED_BYTES: u32 = 128 * 1024 * 1024;

/// Longest record that is held in memory: the longest packet, with room for the options of its block. A block of
/// bytes grows up to this, and only as far as the file really has bytes.
pub(super) const MAX_RECORD_BYTES: usize = 129 * 1024 * 1024;

/// LINKTYPE numbers of D-Bus, Linux USB, EBHSCR and USBPcap, whose packets may be huge.
const BUSES: [u16; 5] = [231, 189, 220, 279, 249];

/// The longest packet of a link type.
pub(super) fn max_captured(link: LinkType) -> u32 {
    if BUSES.contains(&link.0) {
        MAX_BUS_CAPTURED_BYTES
    } else {
        MAX_CAPTURED_BYTES
    }
}

/// A record that contradicts the format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Damage {
    pub(super) expected: String,
    pub(super) found: String,
}

impl Damage {
    pub(super) fn new(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            expected: expected.into(),
            found: found.into(),
        }
    }
}

/// Finds records in bytes. It keeps what later records depend on, and no packet.
#[derive(Clone, Debug)]
pub(super) enum Framer {
    Pcap(pcap::Framer),
    PcapNg(Box<pcapng::Framer>),
    Snoop(snoop::Framer),
    NetMon(Box<netmon::Framer>),
}

impl Framer {
    /// Frames whole records from `position` on and moves it behind the last of them; packets go to `packets` (their
    /// `number` is not set). Answers how many bytes the next record needs, as far as it can be told.
    ///
    /// On damage `position` stands at the damaged record, and packets before it have been pushed.
    pub(super) fn frame(
        &mut self,
        bytes: &[u8],
        position: &mut usize,
        packets: &mut Vec<PacketIndex>,
    ) -> Result<usize, Damage> {
        match self {
            Self::Pcap(framer) => framer.frame(bytes, position, packets),
            Self::PcapNg(framer) => framer.frame(bytes, position, packets),
            Self::Snoop(framer) => framer.frame(bytes, position, packets),
            Self::NetMon(framer) => framer.frame(bytes, position, packets),
        }
    }

    /// Bytes that the file should still have had, where it ended with `left` bytes that make no record: what was
    /// expected and what was found. Nothing where it ended between records.
    pub(super) fn missing(&self, needed: usize, left: usize) -> Option<Damage> {
        if let Self::PcapNg(framer) = self
            && framer.skip() > 0
        {
            return Some(Damage::new(
                format!("{} more bytes of a block", framer.skip()),
                "the end of the file",
            ));
        }
        if let Self::NetMon(framer) = self
            && let Some(damage) = framer.unfinished()
        {
            return Some(damage);
        }
        (left > 0).then(|| {
            Damage::new(
                format!("a record of at least {needed} bytes"),
                format!("the end of the file after {left}"),
            )
        })
    }
}
