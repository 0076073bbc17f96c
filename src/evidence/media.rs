//! Measurements of RTP streams (RFC 3550), in a form that adds.

use serde::Serialize;

use crate::net::{Side, Timestamp};

/// Which stream: the side that sends it, and its synchronisation source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct StreamKey {
    /// The sending side.
    pub side: Side,
    /// Synchronisation source identifier.
    pub ssrc: u32,
}

/// What was measured of one RTP stream.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct RtpStream {
    /// Time of its first packet.
    pub first_seen: Timestamp,
    /// Time of its last packet.
    pub last_seen: Timestamp,
    /// Payload types seen, in order of number.
    pub payload_types: Vec<u8>,
    /// Packets received, duplicates included.
    pub packets: u64,
    /// Payload octets.
    pub octets: u64,
    /// Packets expected less packets received (RFC 3550 A.3); negative with duplicates.
    pub lost: i64,
    /// Packets with a sequence number at or below the highest before them.
    pub out_of_order: u64,
    /// Packets whose sequence number had been received already.
    pub duplicates: u64,
    /// Interarrival jitter at the end, in timestamp units (RFC 3550 6.4.1).
    pub jitter: u64,
    /// Largest jitter at any packet, in microseconds.
    pub max_jitter_us: u64,
    /// Longest time between two packets, in nanoseconds.
    pub max_delta_ns: i64,
    /// Clock rate that the jitter was measured with, in Hz.
    pub clock_rate: u32,
}

/// What one RTCP report says of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct RtcpReport {
    /// The stream that is reported on.
    pub ssrc: u32,
    /// Cumulative number of packets lost (signed 24 bit).
    pub lost: i32,
    /// Interarrival jitter in timestamp units.
    pub jitter: u32,
}

impl RtpStream {
    /// Joins two parts of one stream: counts add, extremes stay, the later part's final values stand.
    pub fn join(&mut self, other: Self) {
        let Self {
            first_seen,
            last_seen,
            payload_types,
            packets,
            octets,
            lost,
            out_of_order,
            duplicates,
            jitter,
            max_jitter_us,
            max_delta_ns,
            clock_rate,
        } = other;
        if last_seen >= self.last_seen {
            self.jitter = jitter;
            self.clock_rate = clock_rate;
        }
        self.first_seen = self.first_seen.min(first_seen);
        self.last_seen = self.last_seen.max(last_seen);
        self.payload_types.extend(payload_types);
        self.payload_types.sort_unstable();
        self.payload_types.dedup();
        self.packets = self.packets.saturating_add(packets);
        self.octets = self.octets.saturating_add(octets);
        self.lost = self.lost.saturating_add(lost);
        self.out_of_order = self.out_of_order.saturating_add(out_of_order);
        self.duplicates = self.duplicates.saturating_add(duplicates);
        self.max_jitter_us = self.max_jitter_us.max(max_jitter_us);
        self.max_delta_ns = self.max_delta_ns.max(max_delta_ns);
    }
}
