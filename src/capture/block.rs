//! The unit of work between the reader and its consumers: bytes as they were read, and where the packets lie in them.

use crate::net::{LinkType, Timestamp};

/// Bytes of a new block. Large enough that a hand-over to another thread costs nothing per packet, small enough that
/// bytes and index stay in a core's second-level cache.
pub(super) const BLOCK_BYTES: usize = 256 * 1024;

/// One packet of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// When it was captured. A pcapng Simple Packet Block has no time: it gets that of the packet before it, or zero.
    pub time: Timestamp,
    /// What its bytes start with.
    pub link: LinkType,
    /// The captured bytes.
    pub bytes: &'a [u8],
    /// Bytes it had on the wire, as the capture claims. Not guaranteed to be at least the captured length.
    pub wire_len: u32,
    /// Its number within its chain, from 1. Packets that a filter rejects are counted too.
    pub number: u64,
    /// Its interface within its section of the file, from 0 (always 0 in pcap).
    pub interface: u32,
}

/// A packet in a block, without its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct PacketIndex {
    pub(super) time: Timestamp,
    /// Where its bytes start in the block.
    pub(super) offset: usize,
    pub(super) number: u64,
    pub(super) captured_len: u32,
    pub(super) wire_len: u32,
    pub(super) interface: u32,
    pub(super) link: LinkType,
    /// Whether the capture gives it a time.
    pub(super) timed: bool,
}

impl PacketIndex {
    /// Its bytes, out of those of its block.
    pub(super) fn bytes<'a>(&self, block: &'a [u8]) -> &'a [u8] {
        let bytes = block
            .get(self.offset..)
            .and_then(|rest| rest.get(..self.captured_len as usize));
        debug_assert!(bytes.is_some(), "the framer indexes what is there");
        bytes.unwrap_or_default()
    }
}

/// A run of packets of one file, with their bytes. Give an emptied block back to [`super::Reader::fill`]: it keeps its
/// memory.
#[derive(Debug, Default)]
pub struct Block {
    /// Always initialised to its full length; only the first `filled` bytes mean something.
    pub(super) bytes: Vec<u8>,
    pub(super) filled: usize,
    pub(super) packets: Vec<PacketIndex>,
    pub(super) file: usize,
}

impl Block {
    /// An empty block; its memory comes with the first [`super::Reader::fill`].
    pub fn new() -> Self {
        Self::default()
    }

    /// The packets, in file order.
    pub fn packets(&self) -> impl Iterator<Item = Packet<'_>> {
        self.packets.iter().map(|packet| Packet {
            time: packet.time,
            link: packet.link,
            bytes: packet.bytes(&self.bytes),
            wire_len: packet.wire_len,
            number: packet.number,
            interface: packet.interface,
        })
    }

    /// How many packets it holds.
    pub fn len(&self) -> usize {
        self.packets.len()
    }

    /// Whether it holds no packet.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// The file its packets are from: an index into [`super::Reader::summary`].
    pub fn file(&self) -> usize {
        self.file
    }

    /// Forgets the packets and keeps the memory, but for what a huge record had added.
    pub fn clear(&mut self) {
        self.filled = 0;
        self.packets.clear();
        if self.bytes.len() > BLOCK_BYTES {
            self.bytes.truncate(BLOCK_BYTES);
            self.bytes.shrink_to_fit();
        }
    }
}
