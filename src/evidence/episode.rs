//! One connection or conversation, with everything that was seen of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::{Fact, Offer, RtpStream, Seen, StreamKey};
use crate::net::{FlowKey, PerSide, Side, Timestamp};

/// How an episode began, as far as the capture shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Opened {
    /// A SYN was seen.
    Syn {
        /// The side that sent it.
        by: Side,
        /// Its initial sequence number.
        isn: u32,
    },
    /// A TCP connection whose beginning the capture does not hold.
    Midstream,
    /// Not a TCP connection.
    Datagram,
}

/// What was seen of a TCP connection: monotone facts and counters. The state is derived from them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct TcpRecord {
    /// SYN without ACK, per sender.
    pub syn: PerSide<bool>,
    /// SYN with ACK, per sender.
    pub syn_ack: PerSide<bool>,
    /// ACK after the handshake, or data, per sender.
    pub ack: PerSide<bool>,
    /// FIN, per sender.
    pub fin: PerSide<bool>,
    /// RST segments, per sender.
    pub resets: PerSide<u64>,
    /// A RST answered the SYN.
    pub refused: bool,
    /// SYN segments beyond the first.
    pub syn_retries: u64,
    /// From SYN to SYN-ACK, in nanoseconds.
    pub syn_to_syn_ack_ns: Option<i64>,
    /// From SYN-ACK to the ACK that completes the handshake, in nanoseconds.
    pub syn_ack_to_ack_ns: Option<i64>,
    /// Segments sent again, per sender.
    pub retransmissions: PerSide<u64>,
    /// Segments out of order, per sender.
    pub out_of_order: PerSide<u64>,
    /// Zero-window advertisements, per sender.
    pub zero_windows: PerSide<u64>,
    /// Bytes that the capture does not hold, per sender.
    pub gap_bytes: PerSide<u64>,
    /// Overlapping data that disagreed, per sender, in segments.
    pub disagreements: PerSide<u64>,
}

/// Where a proven protocol lies in the flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Layer {
    /// Protocols below it: 0 = directly on the transport.
    pub depth: u8,
    /// Where it was proven first.
    pub seen: Seen,
}

/// One connection or conversation of a flow key, as one capture shows it. Owned, ordered by time and key, comparable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Episode {
    /// Time of the first packet.
    pub first_seen: Timestamp,
    /// The flow key.
    pub key: FlowKey,
    /// Number of the first packet within its chain of captures, from 1.
    pub first_frame: u64,
    /// The chain of captures it was seen in (a tap).
    pub tap: Arc<str>,
    /// How it began.
    pub opened: Opened,
    /// Time of the last packet.
    pub last_seen: Timestamp,
    /// Greatest packet number.
    pub last_frame: u64,
    /// Captures of the chain that hold its packets, as given by the user.
    pub captures: Vec<Arc<str>>,
    /// The side that sent the first packet.
    pub first_sender: Side,
    /// Packets, per sender.
    pub packets: PerSide<u64>,
    /// IP total lengths, per sender, in bytes.
    pub bytes: PerSide<u64>,
    /// Transport payload, per sender, in bytes.
    pub payload_bytes: PerSide<u64>,
    /// Packets that came out of time order.
    pub out_of_time: u64,
    /// What was seen of TCP, where the transport is TCP.
    pub tcp: Option<TcpRecord>,
    /// Encapsulations around it, outermost first.
    pub tunnel: Vec<Box<str>>,
    /// Protocols that the payload proved.
    pub protocols: BTreeMap<&'static str, Layer>,
    /// Facts.
    pub facts: BTreeMap<Fact, Seen>,
    /// Offers made in it.
    pub offers: BTreeMap<Offer, Seen>,
    /// RTP streams measured in it.
    pub streams: BTreeMap<StreamKey, RtpStream>,
    /// The side that the protocol showed to be the client.
    pub client: Option<Side>,
    /// Facts and offers that bounds left out.
    pub left_out: u64,
}

impl Episode {
    /// The facts of one attribute, in order.
    pub fn facts_of<'a>(
        &'a self,
        protocol: &'a str,
        name: &'a str,
    ) -> impl Iterator<Item = (&'a Fact, Seen)> + 'a {
        self.facts
            .iter()
            .filter(move |(fact, _)| {
                fact.attribute.protocol == protocol && fact.attribute.name == name
            })
            .map(|(fact, seen)| (fact, *seen))
    }
}
