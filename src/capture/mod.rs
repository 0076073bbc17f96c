//! Capture files: from a path, a folder or standard input to packets.
//!
//! [`plan()`] sorts inputs into chains (a rotated series is one chain), [`Reader`] reads a chain block by block. Formats
//! (pcap, pcapng, snoop, Network Monitor) and compressions (gzip, zstd, lz4, bzip2, xz) are told by content, never by a file name. There
//! is one path for plain files, compressed files and pipes: a [`Block`] of bytes is read, its records are framed where
//! they lie, and the block is handed on whole; nobody copies a packet. An emptied block goes back to the reader.
//!
//! A broken or truncated capture never loses what stands before the damage: its error is in its [`FileSummary`], and
//! the next file of the chain is read.
//!
//! What this module never does: look into a packet, know a protocol, sort packets by time, or drop one unasked.

mod block;
mod compression;
mod error;
mod filter;
mod format;
mod frame;
mod lookahead;
mod netmon;
mod pcap;
mod pcapng;
mod plan;
mod reader;
mod series;
mod snoop;
mod source;
mod summary;

pub use block::{Block, Packet};
pub use compression::Compression;
pub use error::CaptureError;
pub use format::{Foreign, Format};
pub use plan::{Chain, Grouping, Input, PassedOver, Plan, plan};
pub use reader::{Options, Reader};
pub use summary::{Drops, FileSummary};
