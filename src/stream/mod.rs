//! Sequence order: from the segments of one direction of a TCP connection to its bytes in order, as [`Chunk`]s.
//!
//! A [`Stream`] passes data that comes in order straight through, without a copy, and stores only what lies beyond a
//! hole. Every byte position is given at most once and never out of order; what the capture does not show is given as a
//! [`Chunk::Gap`], never skipped in silence. Of two copies of a byte the first that was captured wins.
//!
//! It never looks at the bytes, knows neither ports nor protocols, and decides nothing by time: only the order of the capture counts.

mod held;
mod reassembly;
mod segment;

pub use reassembly::Stream;

use serde::Serialize;

use crate::net::Timestamp;

/// The packet that a segment came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Packet time.
    pub time: Timestamp,
    /// Number of the packet in the capture.
    pub frame: u64,
}

/// What a stream gives, in stream order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunk<'a> {
    /// The next bytes, of the packet at hand; never empty.
    Data(&'a [u8]),
    /// The next bytes, of a packet before: they waited for what comes before them, or for the start of the stream; never empty.
    Held(&'a [u8], Mark),
    /// The next bytes are not in the capture.
    Gap {
        /// How many are missing; 0 where only sequence numbers that start anew were seen, so that nobody can say.
        bytes: u64,
    },
}

/// How a segment lies to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SegmentKind {
    /// It continues the stream, or carries no data.
    InOrder,
    /// It lies beyond a hole (or, at a mid-stream start, before what came first).
    OutOfOrder,
    /// All its bytes were there before.
    Retransmission,
    /// Some of its bytes were there before.
    Overlap,
    /// It probes an idle connection with the sequence number before the next one (RFC 9293 §3.8.4).
    KeepAlive,
    /// It lies too far away to belong to the stream; not believed (RFC 9293 §3.10.7.4 has it dropped).
    OutsideWindow,
}

/// What went wrong in one direction. Segments, unless a name says bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Segments with no new byte, keep-alives apart.
    pub retransmitted: u32,
    /// Segments beyond a hole.
    pub out_of_order: u32,
    /// Segments with old and new bytes.
    pub overlaps: u32,
    /// Segments whose bytes differ from a copy that was still held. Copies that were given already are not kept, so
    /// a difference from them goes unseen.
    pub disagreements: u32,
    /// Keep-alive probes.
    pub keep_alives: u32,
    /// Segments too far from the stream to be believed.
    pub outside_window: u32,
    /// Holes in the capture that were given up.
    pub gaps: u32,
    /// Bytes in those holes, as far as their size is known.
    pub gap_bytes: u64,
    /// Bytes that the snap length cut from segments.
    pub cut_bytes: u64,
}
