//! Measurements of RTP streams and of what RTCP reports on them (RFC 3550), in a form that adds.

use std::collections::BTreeMap;

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
    /// Packets of each payload type.
    pub payload_types: BTreeMap<u8, u64>,
    /// Packets received, duplicates included.
    pub packets: u64,
    /// Payload octets.
    pub octets: u64,
    /// Packets expected less packets received (RFC 3550 A.3); negative with duplicates.
    pub lost: i64,
    /// Packets with a sequence number below the highest before them, received for the first time.
    pub out_of_order: u64,
    /// Packets whose sequence number had been received already.
    pub duplicates: u64,
    /// Longest time between two packets, in nanoseconds; silence does not count.
    pub max_delta_ns: i64,
    /// Jitter of the payload types whose clock rate RFC 3551 assigns.
    pub jitter: Jitter,
    /// Jitter with the dynamic payload types, once for each clock rate that they may have: which one it is, signalling says.
    pub dynamic_jitter: Vec<Jitter>,
}

/// Interarrival jitter (RFC 3550 6.4.1, A.8) at one clock rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Jitter {
    /// Clock rate in Hz; 0 where nothing was measured.
    pub clock_rate: u32,
    /// Sixteen times the jitter after the last packet, in nanoseconds: the division of A.8 loses nothing so.
    pub scaled_ns: u64,
    /// Greatest jitter after any packet, in nanoseconds; packets around silence do not count.
    pub max_ns: u64,
    /// Sum of the jitter after each packet that counts, in nanoseconds.
    pub sum_ns: u64,
    /// Packets that count.
    pub counted: u64,
    /// Sum of the differences between arrivals and timestamps of dynamic types, in nanoseconds: least at the true clock rate.
    pub misfit_ns: u64,
}

impl Jitter {
    /// Nothing measured yet.
    pub const fn at(clock_rate: u32) -> Self {
        Self {
            clock_rate,
            scaled_ns: 0,
            max_ns: 0,
            sum_ns: 0,
            counted: 0,
            misfit_ns: 0,
        }
    }

    /// The jitter after the last packet, in nanoseconds.
    pub const fn last_ns(&self) -> u64 {
        self.scaled_ns / 16
    }

    /// The mean jitter in nanoseconds; `None` where nothing was measured.
    pub const fn mean_ns(&self) -> Option<u64> {
        self.sum_ns.checked_div(self.counted)
    }

    fn join(&mut self, later: bool, other: Self) {
        let Self {
            clock_rate,
            scaled_ns,
            max_ns,
            sum_ns,
            counted,
            misfit_ns,
        } = other;
        if clock_rate != 0 && (later || self.clock_rate == 0) {
            (self.clock_rate, self.scaled_ns) = (clock_rate, scaled_ns);
        }
        self.max_ns = self.max_ns.max(max_ns);
        self.sum_ns = self.sum_ns.saturating_add(sum_ns);
        self.counted = self.counted.saturating_add(counted);
        self.misfit_ns = self.misfit_ns.saturating_add(misfit_ns);
    }
}

/// Name and clock rate in Hz of a payload type that RFC 3551 section 6 assigns (and of the reserved numbers that older
/// senders use); `None` for dynamic ones. The clock of G.722 is 8000 Hz although it samples at 16000.
pub const fn assigned_type(payload_type: u8) -> Option<(&'static str, u32)> {
    Some(match payload_type {
        0 => ("PCMU", 8000),
        1 => ("1016", 8000),
        2 => ("G721", 8000),
        3 => ("GSM", 8000),
        4 => ("G723", 8000),
        5 => ("DVI4", 8000),
        6 => ("DVI4", 16000),
        7 => ("LPC", 8000),
        8 => ("PCMA", 8000),
        9 => ("G722", 8000),
        10 | 11 => ("L16", 44100),
        12 => ("QCELP", 8000),
        13 | 19 => ("CN", 8000),
        14 => ("MPA", 90000),
        15 => ("G728", 8000),
        16 => ("DVI4", 11025),
        17 => ("DVI4", 22050),
        18 => ("G729", 8000),
        25 => ("CelB", 90000),
        26 => ("JPEG", 90000),
        28 => ("nv", 90000),
        31 => ("H261", 90000),
        32 => ("MPV", 90000),
        33 => ("MP2T", 90000),
        34 => ("H263", 90000),
        _ => return None,
    })
}

/// Clock rates that are guessed, in Hz, the most usual first: those of audio files are too near to others.
const GUESSED: [u32; 6] = [8000, 16000, 24000, 32000, 48000, 90000];

impl RtpStream {
    /// The jitter at the usual clock rate that fits the arrivals of dynamic types best.
    pub fn fitting_jitter(&self) -> Option<&Jitter> {
        GUESSED
            .iter()
            .filter_map(|rate| {
                self.dynamic_jitter
                    .iter()
                    .find(|jitter| jitter.clock_rate == *rate)
            })
            .min_by_key(|jitter| jitter.misfit_ns)
    }

    /// A stream whose first packet comes at that time; nothing is counted yet.
    pub const fn starting(time: Timestamp) -> Self {
        Self {
            first_seen: time,
            last_seen: time,
            payload_types: BTreeMap::new(),
            packets: 0,
            octets: 0,
            lost: 0,
            out_of_order: 0,
            duplicates: 0,
            max_delta_ns: 0,
            jitter: Jitter::at(0),
            dynamic_jitter: Vec::new(),
        }
    }

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
            max_delta_ns,
            jitter,
            dynamic_jitter,
        } = other;
        let later = last_seen >= self.last_seen;
        self.jitter.join(later, jitter);
        for jitter in dynamic_jitter {
            let known = self
                .dynamic_jitter
                .iter_mut()
                .find(|known| known.clock_rate == jitter.clock_rate);
            match known {
                Some(known) => known.join(later, jitter),
                None => self.dynamic_jitter.push(jitter),
            }
        }
        self.first_seen = self.first_seen.min(first_seen);
        self.last_seen = self.last_seen.max(last_seen);
        for (payload_type, packets) in payload_types {
            let known = self.payload_types.entry(payload_type).or_default();
            *known = known.saturating_add(packets);
        }
        self.packets = self.packets.saturating_add(packets);
        self.octets = self.octets.saturating_add(octets);
        self.lost = self.lost.saturating_add(lost);
        self.out_of_order = self.out_of_order.saturating_add(out_of_order);
        self.duplicates = self.duplicates.saturating_add(duplicates);
        self.max_delta_ns = self.max_delta_ns.max(max_delta_ns);
    }
}

/// What RTCP says of one stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Reports {
    /// The sender's last count.
    pub sent: Option<SentReport>,
    /// The receiver's last report block.
    pub received: Option<ReceivedReport>,
    /// Report blocks of receivers.
    pub blocks: u64,
    /// Greatest part of packets that was lost between two reports, in 256ths.
    pub max_fraction_lost: u8,
    /// Greatest jitter reported, in timestamp units.
    pub max_jitter: u32,
    /// Round trips measured: from the capturing point to the receiver and back (RFC 3550 6.4.1).
    pub round_trips: u64,
    /// Sum of the round trips, in nanoseconds.
    pub round_trip_sum_ns: u64,
    /// Longest round trip, in nanoseconds.
    pub round_trip_max_ns: u64,
}

/// The counts of a sender report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct SentReport {
    /// Packet time.
    pub time: Timestamp,
    /// Packets sent since the stream began.
    pub packets: u32,
    /// Payload octets sent since the stream began.
    pub octets: u32,
}

/// What a report block says of the stream as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ReceivedReport {
    /// Packet time.
    pub time: Timestamp,
    /// Cumulative number of packets lost: 24 bit, negative with duplicates.
    pub lost: i32,
    /// Interarrival jitter in timestamp units.
    pub jitter: u32,
}

impl Reports {
    /// Joins two parts: counts add, extremes stay, the later part's last reports stand.
    pub fn join(&mut self, other: Self) {
        let Self {
            sent,
            received,
            blocks,
            max_fraction_lost,
            max_jitter,
            round_trips,
            round_trip_sum_ns,
            round_trip_max_ns,
        } = other;
        self.sent = self.sent.max(sent);
        self.received = self.received.max(received);
        self.blocks = self.blocks.saturating_add(blocks);
        self.max_fraction_lost = self.max_fraction_lost.max(max_fraction_lost);
        self.max_jitter = self.max_jitter.max(max_jitter);
        self.round_trips = self.round_trips.saturating_add(round_trips);
        self.round_trip_sum_ns = self.round_trip_sum_ns.saturating_add(round_trip_sum_ns);
        self.round_trip_max_ns = self.round_trip_max_ns.max(round_trip_max_ns);
    }
}
