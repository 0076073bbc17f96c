//! pcapng: a sequence of blocks, each with type and length (draft-ietf-opsawg-pcapng).
//!
//! Blocks are framed here. Packet blocks are read in place; the rare blocks (section header, interface, statistics,
//! names) are read by `pcap-parser`, but for the numbers in their options, which it always takes for little-endian.

mod notes;
mod time;

use pcap_parser::pcapng as grammar;

use super::block::PacketIndex;
use super::format::Order;
use super::frame::{Damage, MAX_RECORD_BYTES, max_captured};
use crate::net::{LinkType, Timestamp};
pub(super) use notes::Notes;
use time::Clock;

/// Type, length, and length again.
const EMPTY_BLOCK_BYTES: usize = 12;

/// Type to original length of an Enhanced Packet Block, and of the obsolete Packet Block, which shares its layout.
const PACKET_HEADER_BYTES: usize = 28;

/// Type to original length of a Simple Packet Block.
const SIMPLE_HEADER_BYTES: usize = 12;

/// Interfaces in a section. Captures of container hosts have hundreds; far more means that a file is there to take memory.
const MAX_INTERFACES: usize = 65_536;

/// Longest block that is given to `pcap-parser`, whose list of options takes ten times the memory of the block. Real ones
/// are far below.
const MAX_PARSED_BYTES: usize = 4 * 1024 * 1024;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const NAME_RESOLUTION: u32 = 4;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;

/// EPB option: packets lost between this one and the one before.
const EPB_DROPCOUNT: u16 = 4;
/// Value of the obsolete Packet Block's drop count where the writer did not know.
const DROPS_UNKNOWN: u16 = 0xffff;

/// Frames the blocks of one file.
#[derive(Clone, Debug, Default)]
pub(super) struct Framer {
    /// The byte order of the section; none before the first one.
    order: Option<Order>,
    /// The interfaces of the section.
    interfaces: Vec<Interface>,
    /// Bytes of a block of no interest that are still to be passed over.
    skip: u64,
    /// The time of the last packet that had one: what a Simple Packet Block gets.
    last_time: Timestamp,
    notes: Notes,
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link: LinkType,
    /// Longest packet that was captured; 0 for no limit.
    snaplen: u32,
    max_captured: u32,
    clock: Clock,
    /// Drops at the interface and in the system: running totals, so the last statistics count.
    drops: (u64, u64),
}

impl Framer {
    /// Bytes of a block that are still to be passed over.
    pub(super) fn skip(&self) -> u64 {
        self.skip
    }

    /// Forgets that a block is being passed over, so that framing can be tried elsewhere.
    pub(super) fn restart(&mut self) {
        self.skip = 0;
    }

    /// The link types of the section's interfaces.
    pub(super) fn links(&self) -> impl Iterator<Item = LinkType> {
        self.interfaces.iter().map(|interface| interface.link)
    }

    /// What blocks other than packets said, and drops; statistics of the section that is open are included.
    pub(super) fn notes(&self) -> Notes {
        let mut notes = self.notes.clone();
        for interface in &self.interfaces {
            notes.add_interface_drops(interface.drops);
        }
        notes
    }

    /// See [`super::frame::Framer::frame`].
    pub(super) fn frame(
        &mut self,
        bytes: &[u8],
        position: &mut usize,
        packets: &mut Vec<PacketIndex>,
    ) -> Result<usize, Damage> {
        loop {
            let rest = bytes.get(*position..).unwrap_or_default();
            if self.skip > 0 {
                let passed = usize::try_from(self.skip)
                    .unwrap_or(usize::MAX)
                    .min(rest.len());
                self.skip = self.skip.saturating_sub(passed as u64);
                *position = position.saturating_add(passed);
                if self.skip > 0 {
                    return Ok(1);
                }
                continue;
            }
            let Some(head) = rest.first_chunk::<EMPTY_BLOCK_BYTES>() else {
                return Ok(EMPTY_BLOCK_BYTES);
            };
            let order = self.order_at(head)?;
            let kind = order.u32([head[0], head[1], head[2], head[3]]);
            let total = order.u32([head[4], head[5], head[6], head[7]]);
            let length = block_length(kind, total)?;
            let Some(block) = rest.get(..length) else {
                if let Some(limit) = longest(kind) {
                    if length > limit {
                        return Err(Damage::new(
                            format!("a block of at most {limit} bytes"),
                            format!("one of {length}"),
                        ));
                    }
                    return Ok(length);
                }
                self.skip = length as u64;
                continue;
            };
            let trailer = block.last_chunk().map_or(0, |trailer| order.u32(*trailer));
            if trailer != total {
                return Err(Damage::new(
                    format!("the block's length {total} again at its end"),
                    format!("{trailer}"),
                ));
            }
            self.block(kind, order, block, *position, packets)?;
            *position = position.saturating_add(length);
        }
    }

    /// The byte order for the block that starts with `head`: its own where it is a section header.
    fn order_at(&self, head: &[u8; EMPTY_BLOCK_BYTES]) -> Result<Order, Damage> {
        if head.first_chunk() == Some(&SECTION_HEADER.to_be_bytes()) {
            return match [head[8], head[9], head[10], head[11]] {
                [0x4d, 0x3c, 0x2b, 0x1a] => Ok(Order::Little),
                [0x1a, 0x2b, 0x3c, 0x4d] => Ok(Order::Big),
                magic => Err(Damage::new(
                    "the byte-order magic 1a2b3c4d of a section",
                    format!("{:08x}", u32::from_be_bytes(magic)),
                )),
            };
        }
        self.order
            .ok_or_else(|| Damage::new("a section header", format!("{head:02x?}")))
    }

    fn block(
        &mut self,
        kind: u32,
        order: Order,
        block: &[u8],
        at: usize,
        packets: &mut Vec<PacketIndex>,
    ) -> Result<(), Damage> {
        match kind {
            ENHANCED_PACKET | OBSOLETE_PACKET => packets.push(self.packet(kind, order, block, at)?),
            SIMPLE_PACKET => packets.push(self.simple_packet(order, block, at)?),
            SECTION_HEADER => self.section(order, block)?,
            INTERFACE_DESCRIPTION => self.interface(order, block)?,
            INTERFACE_STATISTICS => self.statistics(order, block),
            NAME_RESOLUTION => self.notes.add_names(order, block),
            _ => {}
        }
        Ok(())
    }

    fn packet(
        &mut self,
        kind: u32,
        order: Order,
        block: &[u8],
        at: usize,
    ) -> Result<PacketIndex, Damage> {
        let Some(h) = block.first_chunk::<PACKET_HEADER_BYTES>() else {
            return Err(too_short(block.len()));
        };
        let index = if kind == OBSOLETE_PACKET {
            let drops = order.u16([h[10], h[11]]);
            if drops != DROPS_UNKNOWN {
                self.notes.add_packet_drops(u64::from(drops));
            }
            u32::from(order.u16([h[8], h[9]]))
        } else {
            order.u32([h[8], h[9], h[10], h[11]])
        };
        let high = order.u32([h[12], h[13], h[14], h[15]]);
        let low = order.u32([h[16], h[17], h[18], h[19]]);
        let captured_len = order.u32([h[20], h[21], h[22], h[23]]);
        let wire_len = order.u32([h[24], h[25], h[26], h[27]]);
        let interface = self.interface_of(index)?;
        let padded = (captured_len as usize).next_multiple_of(4);
        let room = block
            .len()
            .saturating_sub(PACKET_HEADER_BYTES.saturating_add(4));
        if captured_len > interface.max_captured || padded > room {
            return Err(Damage::new(
                format!(
                    "a captured length of at most {}",
                    room.min(interface.max_captured as usize)
                ),
                format!("{captured_len}"),
            ));
        }
        self.last_time = interface.clock.time(u64::from(high) << 32 | u64::from(low));
        if padded < room && kind == ENHANCED_PACKET {
            let options = block
                .get(PACKET_HEADER_BYTES.saturating_add(padded)..)
                .unwrap_or_default();
            self.packet_options(order, options);
        }
        Ok(PacketIndex {
            time: self.last_time,
            offset: at.saturating_add(PACKET_HEADER_BYTES),
            number: 0,
            captured_len,
            wire_len,
            interface: index,
            link: interface.link,
            timed: true,
        })
    }

    /// Reads the drop count among the options of a packet. In place: `pcap-parser` would allocate a list per packet.
    fn packet_options(&mut self, order: Order, mut options: &[u8]) {
        while let Some([a, b, c, d]) = options.first_chunk() {
            let (code, length) = (order.u16([*a, *b]), usize::from(order.u16([*c, *d])));
            if code == 0 {
                return;
            }
            let value = options.get(4..).unwrap_or_default();
            if code == EPB_DROPCOUNT
                && length == 8
                && let Some(count) = value.first_chunk()
            {
                self.notes.add_packet_drops(order.u64(*count));
            }
            options = value.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
    }

    fn simple_packet(
        &mut self,
        order: Order,
        block: &[u8],
        at: usize,
    ) -> Result<PacketIndex, Damage> {
        let Some(h) = block.first_chunk::<SIMPLE_HEADER_BYTES>() else {
            return Err(too_short(block.len()));
        };
        let wire_len = order.u32([h[8], h[9], h[10], h[11]]);
        let interface = self.interface_of(0)?;
        let room = block
            .len()
            .saturating_sub(SIMPLE_HEADER_BYTES.saturating_add(4));
        let snaplen = match interface.snaplen {
            0 => u32::MAX,
            limit => limit,
        };
        let captured_len = wire_len
            .min(snaplen)
            .min(u32::try_from(room).unwrap_or(u32::MAX));
        if captured_len > interface.max_captured {
            return Err(Damage::new(
                format!("a packet of at most {} bytes", interface.max_captured),
                format!("{captured_len}"),
            ));
        }
        Ok(PacketIndex {
            time: self.last_time,
            offset: at.saturating_add(SIMPLE_HEADER_BYTES),
            number: 0,
            captured_len,
            wire_len,
            interface: 0,
            link: interface.link,
            timed: false,
        })
    }

    fn interface_of(&self, index: u32) -> Result<Interface, Damage> {
        self.interfaces.get(index as usize).copied().ok_or_else(|| {
            Damage::new(
                format!("an interface below {}", self.interfaces.len()),
                format!("interface {index}"),
            )
        })
    }

    /// A new section: byte order and interfaces start again.
    fn section(&mut self, order: Order, block: &[u8]) -> Result<(), Damage> {
        let (_, header) = grammar::parse_sectionheaderblock(block)
            .map_err(|_| Damage::new("a section header", "a broken one"))?;
        // Minor version 2 was written by mistake and means 0 (draft section 4.1); no minor version changed the grammar.
        if header.major_version != 1 {
            return Err(Damage::new(
                "pcapng version 1",
                format!("version {}.{}", header.major_version, header.minor_version),
            ));
        }
        self.notes = self.notes();
        self.interfaces.clear();
        self.order = Some(order);
        Ok(())
    }

    fn interface(&mut self, order: Order, block: &[u8]) -> Result<(), Damage> {
        if self.interfaces.len() >= MAX_INTERFACES {
            return Err(Damage::new(
                format!("at most {MAX_INTERFACES} interfaces in a section"),
                "one more",
            ));
        }
        let parsed = match order {
            Order::Little => grammar::parse_interfacedescriptionblock_le(block),
            Order::Big => grammar::parse_interfacedescriptionblock_be(block),
        };
        let (_, description) =
            parsed.map_err(|_| Damage::new("an interface description", "a broken one"))?;
        let [_, _, high, low] = description.linktype.0.to_be_bytes();
        let link = LinkType(u16::from_be_bytes([high, low]));
        self.interfaces.push(Interface {
            link,
            snaplen: description.snaplen,
            max_captured: max_captured(link),
            clock: Clock::of(order, &description.options),
            drops: (0, 0),
        });
        Ok(())
    }

    /// Statistics that cannot be read are passed over: no packet depends on them.
    fn statistics(&mut self, order: Order, block: &[u8]) {
        let parsed = match order {
            Order::Little => grammar::parse_interfacestatisticsblock_le(block),
            Order::Big => grammar::parse_interfacestatisticsblock_be(block),
        };
        if let Ok((_, statistics)) = parsed
            && let Some(interface) = self.interfaces.get_mut(statistics.if_id as usize)
        {
            notes::read_drops(order, &statistics.options, &mut interface.drops);
        }
    }
}

/// The longest block of a type that is read, and so must be in memory as a whole; others are passed over as they come.
fn longest(kind: u32) -> Option<usize> {
    match kind {
        ENHANCED_PACKET | OBSOLETE_PACKET | SIMPLE_PACKET => Some(MAX_RECORD_BYTES),
        SECTION_HEADER | INTERFACE_DESCRIPTION | NAME_RESOLUTION | INTERFACE_STATISTICS => {
            Some(MAX_PARSED_BYTES)
        }
        _ => None,
    }
}

fn block_length(kind: u32, total: u32) -> Result<usize, Damage> {
    let length = total as usize;
    // Types that no block has, so that line ends rewritten by a transfer show (draft section 10.1).
    if matches!(
        (kind >> 8, kind & 0x00ff_ffff),
        (0x000a_0d0a | 0x000d_0d0a, _) | (_, 0x000a_0d0a | 0x000a_0d0d)
    ) {
        return Err(Damage::new(
            "a block",
            "a section header that a transfer in text mode has damaged",
        ));
    }
    // Some writers leave the padding out of the length, but not out of the file.
    match length.checked_next_multiple_of(4) {
        Some(length) if length >= EMPTY_BLOCK_BYTES => Ok(length),
        _ => Err(Damage::new(
            "a block length of at least 12",
            format!("{length}"),
        )),
    }
}

fn too_short(length: usize) -> Damage {
    Damage::new("a packet block", format!("a block of {length} bytes"))
}
