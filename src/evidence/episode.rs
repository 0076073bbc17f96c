//! One connection or conversation, with everything that was seen of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::{Fact, Offer, Peek, Reports, RtpStream, Seen, Sorted, StreamKey};
use crate::flow::Tracker;
use crate::net::{FlowKey, Side, Timestamp};

/// Where a proven protocol lies in the flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Layer {
    /// Protocols below it: 0 = directly on the transport.
    pub depth: u8,
    /// Where it was proven first.
    pub seen: Seen,
}

/// One connection or conversation of a flow key, as one capture shows it. Owned and comparable; ordered by its first
/// packet, then by flow key ([`Episode::place`]); the derived order only settles which of two at one place comes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Episode {
    /// The flow key.
    pub key: FlowKey,
    /// The chain of captures it was seen in (a tap).
    pub tap: Arc<str>,
    /// What its headers add up to: volumes, times, TCP.
    pub tracker: Tracker,
    /// Greatest packet number.
    pub last_frame: u64,
    /// Captures of the chain that hold its packets, as given by the user, sorted. A list, because it is nearly always one.
    pub captures: Vec<Arc<str>>,
    /// Encapsulations around it, outermost first.
    pub tunnel: Vec<Box<str>>,
    /// Protocols that the payload proved.
    pub protocols: Sorted<&'static str, Layer>,
    /// Facts.
    pub facts: Sorted<Fact, Seen>,
    /// Offers made in it.
    pub offers: Sorted<Offer, Seen>,
    /// RTP streams measured in it.
    pub streams: BTreeMap<StreamKey, RtpStream>,
    /// Its first payload, where no protocol was proven.
    pub payload: Vec<Peek>,
    /// What RTCP in it says of streams.
    pub reports: BTreeMap<StreamKey, Reports>,
    /// The side that the protocol showed to be the client.
    pub client: Option<Side>,
    /// Bytes that the capture does not hold although they were sent, in both directions.
    pub gap_bytes: u64,
    /// Overlapping segments whose data disagreed with what came first.
    pub disagreements: u64,
    /// Facts and offers that bounds left out.
    pub left_out: u64,
}

impl Episode {
    /// The order of episodes: by first packet, then by flow key. Unique within one scan; two scans of one capture that differ
    /// (by a filter) can share a place.
    pub fn place(&self) -> (Timestamp, FlowKey, u64, Arc<str>) {
        (
            self.tracker.first_seen,
            self.key,
            self.tracker.first_number,
            Arc::clone(&self.tap),
        )
    }
}
