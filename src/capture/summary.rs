//! What is known of a capture file once it is read.

use std::net::IpAddr;
use std::path::PathBuf;

use super::compression::Compression;
use super::error::CaptureError;
use super::format::Format;
use crate::net::{LinkType, Timestamp};

/// Packets that a capture says it lost. The numbers overlap: writers report the same loss in more than one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops {
    /// As packet blocks report them (pcapng `epb_dropcount`, and the obsolete Packet Block), or
    /// records (snoop `Cumulative Drops`).
    pub packets: u64,
    /// As statistics report them for the interfaces (pcapng `isb_ifdrop`).
    pub interfaces: u64,
    /// As statistics report them for the operating system (pcapng `isb_osdrop`).
    pub system: u64,
}

/// One file of a chain, as far as it has been read. What only the whole file tells (drops, names, error) is set at its
/// end.
#[derive(Clone, Debug, Default)]
pub struct FileSummary {
    /// As given, or `-` for standard input.
    pub path: PathBuf,
    /// None where the file could not be opened.
    pub format: Option<Format>,
    /// Compressions around it, outermost first.
    pub compression: Vec<Compression>,
    /// The link types of its packets, in the order of their first ones.
    pub links: Vec<LinkType>,
    /// Whole packets, those that a filter rejected included.
    pub packets: u64,
    /// Packets that a filter rejected.
    pub filtered: u64,
    /// Captured bytes of its packets.
    pub bytes: u64,
    /// Packets whose block has no time.
    pub untimed: u64,
    /// The earliest packet time.
    pub first_time: Option<Timestamp>,
    /// The latest packet time.
    pub last_time: Option<Timestamp>,
    /// Whether its times are those of the recording machine's zone, which the file does not name (Network Monitor before
    /// version 2.3): they stand here as if they were UTC.
    pub local_times: bool,
    /// Whether its first packet is earlier than packets of the file before it in the chain.
    pub overlaps: bool,
    /// What it reports to have lost.
    pub drops: Drops,
    /// Names of addresses (pcapng Name Resolution Blocks), sorted.
    pub names: Vec<(IpAddr, String)>,
    /// Names that were not kept, because there were too many, or they were none.
    pub names_dropped: u64,
    /// Why it was not read, or not to its end; [`CaptureError::Truncated`] and [`CaptureError::Malformed`] tell a cut
    /// file from a damaged one.
    pub error: Option<CaptureError>,
}
