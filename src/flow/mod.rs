//! Flows: which packets belong together, and what their headers prove.
//!
//! A [`FlowTable`] finds the state of a packet's flow with one probe, tells a reused five-tuple from a continued one,
//! and lets idle flows go by packet time. A [`Tracker`] sums what headers say: volumes, times, and the facts from which
//! [`state`] derives a [`TcpState`]. Trackers of parts of a flow merge to that of the whole.
//!
//! It never looks at payload, knows no protocol above TCP, reads no clock, and lets no hash order out.

mod episode;
mod order;
mod table;
mod tcp;
mod tracker;

pub use order::{CARRIED, MisorderCounts};
pub use table::{FlowState, FlowTable, Found, MAX_FLOWS};
pub use tcp::{Facts, FirstAnswer, Handshake, Opening, TcpState, TcpTracker, state};
pub use tracker::Tracker;

use crate::net::{FlowKey, Side, TcpFlags, Timestamp};

/// What the headers of one packet say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Packet time.
    pub time: Timestamp,
    /// The flow.
    pub key: FlowKey,
    /// The side that sent it.
    pub side: Side,
    /// Total length of the IP packet on the wire, in bytes.
    pub ip_bytes: u32,
    /// Length of the transport's payload on the wire, in bytes.
    pub payload_len: u32,
    /// The TCP header; `None` for other transports and where it is not in the capture.
    pub tcp: Option<TcpObservation>,
    /// Number of the packet within the run.
    pub number: u64,
}

/// What a TCP header says (RFC 9293 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpObservation {
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgment number; meaningless without [`TcpFlags::ACK`].
    pub acknowledgment: u32,
    /// Control bits.
    pub flags: TcpFlags,
    /// Window, not scaled.
    pub window: u16,
}
