//! One synchronisation source: its sequence numbers (RFC 3550 appendix A.1, A.3) and its jitter (section 6.4.1, A.8).

use super::header::{Header, is_comfort_noise};
use crate::evidence::{Jitter, Notes, RtpStream, StreamKey, assigned_type};
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
/// Clock rates in use for dynamic payload types, in Hz. Jitter is measured at each: which one it is, a session description
/// says, in another flow.
const RATES: [u32; 10] = [
    8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 90000,
];
/// Most octets of an event (RFC 4733): four, or the four with an index and a tag of SRTP.
const MAX_EVENT_BYTES: usize = 32;

/// What is known of one source.
#[derive(Debug)]
pub(super) struct Source {
    key: StreamKey,
    sequence: Sequence,
    streak: u8,
    announced: bool,
    /// A bit for each payload type seen.
    types: u128,
    last: Option<Last>,
    clock: Clock,
}

/// The packet before.
#[derive(Clone, Copy, Debug)]
struct Last {
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
            last: None,
            clock: Clock::default(),
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
        let last = self.last.replace(Last {
            timestamp: header.timestamp,
            payload_type: header.payload_type,
            sequence: header.sequence,
        });
        let stream = notes.stream(self.key, || RtpStream::starting(time));
        let kind = Kind::of(header, last);
        self.clock.packet(header, kind, time, arrival, stream);
        let of_type = stream.payload_types.entry(header.payload_type).or_default();
        *of_type = of_type.saturating_add(1);
        stream.first_seen = stream.first_seen.min(time);
        stream.last_seen = stream.last_seen.max(time);
        stream.packets = stream.packets.saturating_add(1);
        stream.octets = stream.octets.saturating_add(header.payload_bytes as u64);
        stream.lost = self.sequence.lost();
        match arrival {
            Arrival::InOrder | Arrival::Leap => {}
            Arrival::Late => stream.out_of_order = stream.out_of_order.saturating_add(1),
            Arrival::Duplicate => stream.duplicates = stream.duplicates.saturating_add(1),
        }
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
}

/// What a packet means for jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Its type has a clock rate of its own, in Hz.
    Assigned(u32),
    /// Its clock rate is known from signalling only.
    Dynamic,
    /// A telephone event: its timestamp stands still (RFC 4733 section 2.2.1).
    Event,
}

impl Kind {
    fn of(header: &Header, last: Option<Last>) -> Self {
        let stands_still = |last: Last| {
            (last.payload_type, last.timestamp) == (header.payload_type, header.timestamp)
        };
        match assigned_type(header.payload_type) {
            Some((_, rate)) => Self::Assigned(rate),
            None if header.is_event_like => Self::Event,
            None if header.payload_bytes <= MAX_EVENT_BYTES && last.is_some_and(stands_still) => {
                Self::Event
            }
            None => Self::Dynamic,
        }
    }
}

/// Arrivals and timestamps of the packets before. Arrivals count from the packet before, whatever it is; timestamps from the
/// last packet with a clock: so a digit shows as a sixteenth of its length. Packets older than the first one say nothing. In
/// both the figures are those of other tools.
#[derive(Debug, Default)]
struct Clock {
    /// Arrival of the packet before, and whether it was comfort noise.
    last: Option<(Timestamp, bool)>,
    /// Arrival of the last packet that was not older than the first one.
    compared: Timestamp,
    /// Timestamp units since the first packet.
    elapsed: i64,
    last_timestamp: u32,
    /// The last packet of an assigned type: timestamp, clock rate.
    assigned: Option<(u32, u32)>,
    /// The last packet of any type but events: timestamp, and clock rate if assigned.
    medium: Option<(u32, Option<u32>)>,
}

impl Clock {
    fn packet(
        &mut self,
        header: &Header,
        kind: Kind,
        time: Timestamp,
        arrival: Arrival,
        stream: &mut RtpStream,
    ) {
        let is_noise = is_comfort_noise(header.payload_type);
        let last = self.last.replace((time, is_noise));
        let last_timestamp = std::mem::replace(&mut self.last_timestamp, header.timestamp);
        if let Some((before, after_noise)) = last {
            let advance = header.timestamp.wrapping_sub(last_timestamp).cast_signed();
            self.elapsed = self.elapsed.saturating_add(i64::from(advance));
            // Silence says nothing about the network: the marker ends it (RFC 3551 section 4.1), comfort noise fills it.
            let counts = !header.marker && !is_noise && !after_noise;
            if counts {
                stream.max_delta_ns = stream.max_delta_ns.max(time.since(before));
            }
            if self.elapsed < 0 {
                return;
            }
            // Of a source that begins anew, nothing compares (RFC 3550 A.1).
            if arrival != Arrival::Leap {
                let delta_ns = time.since(self.compared);
                self.measure(header.timestamp, kind, delta_ns, counts, stream);
            }
        }
        self.compared = time;
        match kind {
            Kind::Assigned(rate) => {
                self.assigned = Some((header.timestamp, rate));
                self.medium = Some((header.timestamp, Some(rate)));
            }
            Kind::Dynamic => self.medium = Some((header.timestamp, None)),
            Kind::Event => {}
        }
    }

    fn measure(
        &self,
        timestamp: u32,
        kind: Kind,
        delta_ns: i64,
        counts: bool,
        stream: &mut RtpStream,
    ) {
        if let (Kind::Assigned(rate), Some((before, rate_before))) = (kind, self.assigned)
            && rate == rate_before
        {
            stream.jitter.clock_rate = rate;
            let advance = timestamp.wrapping_sub(before).cast_signed();
            step(
                &mut stream.jitter,
                difference_ns(delta_ns, advance, rate),
                counts,
            );
        }
        if kind == Kind::Dynamic && stream.dynamic_jitter.is_empty() {
            stream.dynamic_jitter.extend(RATES.map(|rate| {
                if stream.jitter.clock_rate == rate {
                    stream.jitter
                } else {
                    Jitter::at(rate)
                }
            }));
        }
        let (own, Some((before, rate_before))) = (kind.rate(), self.medium) else {
            return;
        };
        if kind == Kind::Event {
            return;
        }
        let advance = timestamp.wrapping_sub(before).cast_signed();
        for jitter in &mut stream.dynamic_jitter {
            let rate = jitter.clock_rate;
            // Across a change of clocks timestamps do not compare (RFC 7160).
            if own.unwrap_or(rate) != rate || rate_before.unwrap_or(rate) != rate {
                continue;
            }
            let difference_ns = difference_ns(delta_ns, advance, rate);
            step(jitter, difference_ns, counts);
            if kind == Kind::Dynamic && rate_before.is_none() {
                jitter.misfit_ns = jitter.misfit_ns.saturating_add(difference_ns);
            }
        }
    }
}

impl Kind {
    const fn rate(self) -> Option<u32> {
        match self {
            Self::Assigned(rate) => Some(rate),
            Self::Dynamic | Self::Event => None,
        }
    }
}

/// By how much two arrivals `delta_ns` apart differ from timestamps `advance` units apart.
fn difference_ns(delta_ns: i64, advance: i32, rate: u32) -> u64 {
    let nominal_ns = i64::from(advance)
        .saturating_mul(1_000_000_000)
        .checked_div(i64::from(rate))
        .unwrap_or(0);
    delta_ns.saturating_sub(nominal_ns).unsigned_abs()
}

/// RFC 3550 A.8: the jitter moves by a sixteenth of what the difference exceeds it.
fn step(jitter: &mut Jitter, difference_ns: u64, counts: bool) {
    jitter.scaled_ns = jitter
        .scaled_ns
        .saturating_add(difference_ns)
        .saturating_sub(jitter.scaled_ns / 16);
    if counts {
        jitter.max_ns = jitter.max_ns.max(jitter.last_ns());
        jitter.sum_ns = jitter.sum_ns.saturating_add(jitter.last_ns());
        jitter.counted = jitter.counted.saturating_add(1);
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
