//! What pcapng blocks other than packets say: names of addresses, and packets that the capture lost.

use std::collections::BTreeSet;
use std::net::IpAddr;

use pcap_parser::pcapng::{self as grammar, NameRecordType, PcapNGOption};

use super::super::format::Order;

/// Names kept per file, so that name blocks cannot fill the memory; a browser session has hundreds.
const MAX_NAMES: usize = 65_536;

/// Longest name kept: RFC 1035 section 3.1.
const MAX_NAME_BYTES: usize = 255;

const ISB_IFDROP: u16 = 5;
const ISB_OSDROP: u16 = 7;

/// What was noted in one file.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Notes {
    /// Names of addresses.
    pub(in super::super) names: BTreeSet<(IpAddr, String)>,
    /// Names beyond [`MAX_NAMES`] or [`MAX_NAME_BYTES`], or with control characters.
    pub(in super::super) names_dropped: u64,
    /// Losses that packet blocks report.
    pub(in super::super) packet_drops: u64,
    /// Losses at interfaces.
    pub(in super::super) interface_drops: u64,
    /// Losses in the operating system.
    pub(in super::super) system_drops: u64,
}

impl Notes {
    pub(super) fn add_packet_drops(&mut self, count: u64) {
        self.packet_drops = self.packet_drops.saturating_add(count);
    }

    pub(super) fn add_interface_drops(&mut self, (interface, system): (u64, u64)) {
        self.interface_drops = self.interface_drops.saturating_add(interface);
        self.system_drops = self.system_drops.saturating_add(system);
    }

    /// Reads a name resolution block. One that cannot be read is passed over: no packet depends on it.
    pub(super) fn add_names(&mut self, order: Order, block: &[u8]) {
        let parsed = match order {
            Order::Little => grammar::parse_nameresolutionblock_le(block),
            Order::Big => grammar::parse_nameresolutionblock_be(block),
        };
        let Ok((_, block)) = parsed else { return };
        for record in &block.nr {
            let value = record.record_value;
            let (address, names) = match record.record_type {
                NameRecordType::Ipv4 => {
                    let Some((address, names)) = value.split_first_chunk::<4>() else {
                        continue;
                    };
                    (IpAddr::from(*address), names)
                }
                NameRecordType::Ipv6 => {
                    let Some((address, names)) = value.split_first_chunk::<16>() else {
                        continue;
                    };
                    (IpAddr::from(*address), names)
                }
                _ => continue,
            };
            // Names end with a zero each; the padding is empty names.
            for name in names
                .split(|byte| *byte == 0)
                .filter(|name| !name.is_empty())
            {
                self.add_name(address, name);
            }
        }
    }

    fn add_name(&mut self, address: IpAddr, name: &[u8]) {
        let text = String::from_utf8_lossy(name);
        if self.names.len() >= MAX_NAMES
            || name.len() > MAX_NAME_BYTES
            || text.chars().any(char::is_control)
        {
            self.names_dropped = self.names_dropped.saturating_add(1);
        } else {
            self.names.insert((address, text.into_owned()));
        }
    }
}

/// Takes the running totals of drops at the interface and in the system from the options of a statistics block.
pub(super) fn read_drops(order: Order, list: &[PcapNGOption<'_>], drops: &mut (u64, u64)) {
    for (code, value) in options(list) {
        let Some(count) = value.first_chunk().map(|count| order.u64(*count)) else {
            continue;
        };
        match code {
            ISB_IFDROP => drops.0 = count,
            ISB_OSDROP => drops.1 = count,
            _ => {}
        }
    }
}

/// Code and value of the options up to the end mark, beyond which `pcap-parser` reads on; values without padding.
pub(super) fn options<'a>(list: &'a [PcapNGOption<'_>]) -> impl Iterator<Item = (u16, &'a [u8])> {
    list.iter()
        .map(|option| (option.code.0, option.as_bytes().unwrap_or_default()))
        .take_while(|(code, _)| *code != 0)
}
