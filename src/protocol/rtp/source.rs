//! One synchronisation source: its sequence numbers (RFC 3550 appendix A.1, A.3) and its jitter (section 6.4.1).

use super::header::{Header, clock_rate, is_comfort_noise};
use crate::evidence::{Notes, RtpStream, StreamKey};
use crate::net::Timestamp;

/// A greater step forward in sequence numbers is a restart, if the next packet confirms it (RFC 3550 A.1).
const MAX_DROPOUT: u16 = 3000;
/// A step back of at most this many packets is disorder (RFC 3550 A.1).
const MAX_MISORDER: u16 = 100;
/// Greatest step forward in sequence numbers between packets that count as proof.
const MAX_STEP: u16 = 16;
/// Greatest step forward in timestamps between packets that count as proof: half a minute of a 90 kHz clock.
const MAX_ADVANCE: i32 = 30 * 90_000;
/// Greatest step back: frames of video are sent in decoding order, some tenths of a second before they are shown.
const MAX_RETREAT: i32 = -90_000;
/// A greater difference between arrivals and timestamps is a source that set its clock anew, and no jitter.
const MAX_DIFFERENCE_NS: i64 = 10_000_000_000;
/// Clock rates in use for dynamic payload types, in Hz. Without a session description the one that fits the arrivals best
/// is taken; the first while nothing speaks for another.
const RATES: [u32; 6] = [8000, 16000, 24000, 32000, 48000, 90000];

/// What is known of one source.
#[derive(Debug)]
pub(super) struct Source {
    key: StreamKey,
    sequence: Sequence,
    streak: u8,
    announced: bool,
    /// A bit for each payload type seen.
    types: u128,
    has_static_type: bool,
    last: Option<Last>,
    meters: [Meter; RATES.len()],
    static_meter: Meter,
}

/// The packet before.
#[derive(Clone, Copy, Debug)]
struct Last {
    time: Timestamp,
    timestamp: u32,
    payload_type: u8,
    sequence: u16,
}

impl Source {
    pub(super) fn new(key: StreamKey) -> Self {
        Self {
            key,
            sequence: Sequence::default(),
            streak: 0,
            announced: false,
            types: 0,
            has_static_type: false,
            last: None,
            meters: RATES.map(Meter::new),
            static_meter: Meter::new(RATES[0]),
        }
    }

    pub(super) const fn key(&self) -> StreamKey {
        self.key
    }

    /// Packets in a row that advanced as those of a medium do.
    pub(super) const fn streak(&self) -> u8 {
        self.streak
    }

    pub(super) const fn is_announced(&self) -> bool {
        self.announced
    }

    /// Says once that the source is proven.
    pub(super) const fn announce(&mut self) -> bool {
        !std::mem::replace(&mut self.announced, true)
    }

    /// Whether nothing came of it after its first packet.
    pub(super) const fn is_stranger(&self) -> bool {
        self.sequence.received <= 1
    }

    pub(super) fn payload_types(&self) -> impl Iterator<Item = u8> {
        let types = self.types;
        (0..128).filter(move |number| types >> number & 1 != 0)
    }

    /// Measures a packet; returns whether its payload type is new.
    pub(super) fn packet(&mut self, header: &Header, notes: &mut Notes<'_>) -> bool {
        let time = notes.moment().time;
        self.judge(header);
        let arrival = self.sequence.packet(header.sequence);
        let is_new_type = self.types >> header.payload_type & 1 == 0;
        self.types |= 1 << header.payload_type;
        self.has_static_type |= clock_rate(header.payload_type).is_some();
        self.time(header, time, arrival);
        let meter = self.meter();
        let stream = notes.stream(self.key, || RtpStream {
            first_seen: time,
            last_seen: time,
            payload_types: Vec::new(),
            packets: 0,
            octets: 0,
            lost: 0,
            out_of_order: 0,
            duplicates: 0,
            jitter: 0,
            max_jitter_us: 0,
            max_delta_ns: 0,
            clock_rate: 0,
        });
        if is_new_type {
            stream.payload_types.push(header.payload_type);
            stream.payload_types.sort_unstable();
        }
        stream.max_delta_ns = stream.max_delta_ns.max(time.since(stream.last_seen));
        stream.first_seen = stream.first_seen.min(time);
        stream.last_seen = stream.last_seen.max(time);
        stream.packets = stream.packets.saturating_add(1);
        stream.octets = stream.octets.saturating_add(header.payload_bytes as u64);
        stream.lost = self.sequence.lost();
        match arrival {
            Arrival::InOrder | Arrival::Leap => {}
            Arrival::Late => stream.out_of_order = stream.out_of_order.saturating_add(1),
            Arrival::Duplicate => {
                stream.out_of_order = stream.out_of_order.saturating_add(1);
                stream.duplicates = stream.duplicates.saturating_add(1);
            }
        }
        stream.clock_rate = meter.rate;
        stream.jitter = meter.jitter_units();
        stream.max_jitter_us = u64::try_from(meter.max_ns).unwrap_or(0) / 1000;
        is_new_type
    }

    /// Counts the packets that speak for a medium. A repeated packet (captured twice, or sent again for redundancy) does not.
    fn judge(&mut self, header: &Header) {
        let Some(last) = self.last else {
            return;
        };
        let step = header.sequence.wrapping_sub(last.sequence);
        let advance = header.timestamp.wrapping_sub(last.timestamp).cast_signed();
        if (1..=MAX_STEP).contains(&step) && (MAX_RETREAT..=MAX_ADVANCE).contains(&advance) {
            self.streak = self.streak.saturating_add(1);
        } else if step != 0 {
            self.streak = 0;
        }
    }

    /// Interarrival jitter, between packets of one payload type: another may have another clock. Comfort noise comes
    /// when nothing is said, and is left out.
    fn time(&mut self, header: &Header, time: Timestamp, arrival: Arrival) {
        let last = self.last.replace(Last {
            time,
            timestamp: header.timestamp,
            payload_type: header.payload_type,
            sequence: header.sequence,
        });
        let Some(last) = last.filter(|last| last.payload_type == header.payload_type) else {
            return;
        };
        if is_comfort_noise(header.payload_type) || arrival == Arrival::Leap {
            return;
        }
        let delta_ns = time.since(last.time);
        let advance = header.timestamp.wrapping_sub(last.timestamp).cast_signed();
        match clock_rate(header.payload_type) {
            Some(rate) => {
                self.static_meter.rate = rate;
                self.static_meter.step(delta_ns, advance, header.marker);
            }
            None => {
                for meter in &mut self.meters {
                    meter.step(delta_ns, advance, header.marker);
                }
            }
        }
    }

    /// The meter that counts: that of static payload types where any was seen, else the one that fits best.
    fn meter(&self) -> Meter {
        if self.has_static_type {
            return self.static_meter;
        }
        let [first, others @ ..] = self.meters;
        others.into_iter().fold(first, |best, next| {
            if next.sum_ns < best.sum_ns {
                next
            } else {
                best
            }
        })
    }
}

/// Interarrival jitter at one clock rate.
#[derive(Clone, Copy, Debug)]
struct Meter {
    rate: u32,
    /// Sixteen times the jitter, in nanoseconds: the division of RFC 3550 A.8 loses nothing so.
    scaled_ns: i64,
    max_ns: i64,
    /// Sum of all differences, in nanoseconds.
    sum_ns: i64,
}

impl Meter {
    const fn new(rate: u32) -> Self {
        Self {
            rate,
            scaled_ns: 0,
            max_ns: 0,
            sum_ns: 0,
        }
    }

    /// Two packets arrived `delta_ns` apart; their timestamps differ by `advance`. The greatest jitter leaves the first
    /// packet after a silence out, which its marker shows: the pause says nothing about the network.
    fn step(&mut self, delta_ns: i64, advance: i32, is_first_after_silence: bool) {
        let nominal_ns = i64::from(advance)
            .saturating_mul(1_000_000_000)
            .checked_div(i64::from(self.rate))
            .unwrap_or(0);
        let difference = delta_ns.saturating_sub(nominal_ns).saturating_abs();
        self.sum_ns = self.sum_ns.saturating_add(difference);
        if difference > MAX_DIFFERENCE_NS {
            return;
        }
        self.scaled_ns = self
            .scaled_ns
            .saturating_add(difference)
            .saturating_sub(self.scaled_ns / 16);
        if !is_first_after_silence {
            self.max_ns = self.max_ns.max(self.scaled_ns / 16);
        }
    }

    /// The jitter in units of the clock.
    fn jitter_units(&self) -> u64 {
        let units = i128::from(self.scaled_ns / 16) * i128::from(self.rate) / 1_000_000_000;
        u64::try_from(units).unwrap_or(0)
    }
}

/// How a sequence number stands to those before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arrival {
    /// Above the highest before it.
    InOrder,
    /// Below, for the first time as far as the window tells.
    Late,
    /// Received already.
    Duplicate,
    /// Far from all before: a restart if the next packet confirms it.
    Leap,
}

/// Sequence numbers (RFC 3550 A.1), with a window that tells late packets from repeated ones.
#[derive(Debug, Default)]
struct Sequence {
    received: u64,
    /// Packets expected before the last restart.
    expected_before: u64,
    base: u16,
    highest: u16,
    cycles: u32,
    /// The number that would confirm a restart.
    restart: Option<u16>,
    /// Bit n: `highest - n` was received.
    window: u128,
}

impl Sequence {
    fn packet(&mut self, number: u16) -> Arrival {
        self.received = self.received.saturating_add(1);
        if self.received == 1 {
            self.begin(number);
            return Arrival::InOrder;
        }
        let step = number.wrapping_sub(self.highest);
        let back = self.highest.wrapping_sub(number);
        if (1..MAX_DROPOUT).contains(&step) {
            self.advance(number, step);
            Arrival::InOrder
        } else if back <= MAX_MISORDER {
            let bit = 1u128.checked_shl(u32::from(back)).unwrap_or(0);
            let is_known = self.window & bit != 0;
            self.window |= bit;
            if is_known {
                Arrival::Duplicate
            } else {
                Arrival::Late
            }
        } else if self.restart == Some(number) {
            // The packet that leapt was the first of the new series.
            self.expected_before = self.expected();
            self.begin(number.wrapping_sub(1));
            self.advance(number, 1);
            Arrival::InOrder
        } else {
            self.restart = Some(number.wrapping_add(1));
            Arrival::Leap
        }
    }

    fn advance(&mut self, number: u16, step: u16) {
        if number < self.highest {
            self.cycles = self.cycles.saturating_add(1);
        }
        self.highest = number;
        self.window = self.window.checked_shl(u32::from(step)).unwrap_or(0) | 1;
        self.restart = None;
    }

    const fn begin(&mut self, number: u16) {
        self.base = number;
        self.highest = number;
        self.cycles = 0;
        self.restart = None;
        self.window = 1;
    }

    /// Packets expected up to the highest number.
    fn expected(&self) -> u64 {
        let highest = u64::from(self.cycles).saturating_mul(1 << 16) + u64::from(self.highest);
        let series = highest
            .saturating_sub(u64::from(self.base))
            .saturating_add(1);
        self.expected_before.saturating_add(series)
    }

    /// Packets expected less packets received (RFC 3550 A.3).
    fn lost(&self) -> i64 {
        let expected = i64::try_from(self.expected()).unwrap_or(i64::MAX);
        expected.saturating_sub(i64::try_from(self.received).unwrap_or(i64::MAX))
    }
}
