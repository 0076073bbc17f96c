//! What all packets of a flow add up to.

use serde::Serialize;

use super::Observation;
use super::episode::idle_timeout;
use super::tcp::{Facts, TcpTracker};
use crate::net::{PerSide, Side, Timestamp, Transport};

/// Sums and extremes over the packets of a flow. The trackers of a flow that was cut anywhere merge to that of the
/// whole, except what needs the packets before: `longest_silence_ns`, `out_of_time`, [`TcpTracker::misorder`] and
/// [`Facts::FIN_FIRST`], which can differ.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[repr(C)] // what each packet touches comes first, in one cache line
pub struct Tracker {
    /// Latest packet time.
    pub last_seen: Timestamp,
    /// Packets that each side sent.
    pub packets: PerSide<u64>,
    /// Bytes that each side sent, by IP total lengths.
    pub bytes: PerSide<u64>,
    /// Payload bytes that each side sent, on the wire.
    pub payload_bytes: PerSide<u64>,
    /// Longest time without a packet of either side, in nanoseconds; a cut between parts does not count.
    pub longest_silence_ns: i64,
    /// Earliest packet time.
    pub first_seen: Timestamp,
    /// Least packet number.
    pub first_number: u64,
    /// The sender of the packet with the least number.
    pub first_sender: Side,
    /// TCP headers seen, if any.
    pub tcp: Option<Box<TcpTracker>>,
    /// Packets with an earlier time than one before them in the capture.
    pub out_of_time: u64,
}

impl Tracker {
    /// The tracker of a single packet.
    pub fn new(observation: &Observation) -> Self {
        let mut tracker = Self {
            last_seen: observation.time,
            packets: PerSide::default(),
            bytes: PerSide::default(),
            payload_bytes: PerSide::default(),
            longest_silence_ns: 0,
            first_seen: observation.time,
            first_number: observation.number,
            first_sender: observation.side,
            tcp: None,
            out_of_time: 0,
        };
        tracker.record(observation);
        tracker
    }

    /// Takes a packet into account. The order of TCP segments is left to the table, which knows the packets before.
    pub fn record(&mut self, observation: &Observation) {
        let side = observation.side;
        if observation.time < self.last_seen {
            self.out_of_time = self.out_of_time.saturating_add(1);
            self.first_seen = self.first_seen.min(observation.time);
        } else {
            let silence_ns = observation.time.since(self.last_seen);
            self.longest_silence_ns = self.longest_silence_ns.max(silence_ns);
            self.last_seen = observation.time;
        }
        if (observation.number, side) < (self.first_number, self.first_sender) {
            (self.first_number, self.first_sender) = (observation.number, side);
        }
        add(&mut self.packets[side], 1);
        add(&mut self.bytes[side], u64::from(observation.ip_bytes));
        add(
            &mut self.payload_bytes[side],
            u64::from(observation.payload_len),
        );
        if let Some(tcp) = &observation.tcp {
            self.tcp.get_or_insert_default().record(
                observation.time,
                side,
                tcp,
                observation.payload_len,
            );
        }
    }

    /// The tracker of two parts of one flow: associative and commutative.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        let Self {
            last_seen,
            packets,
            bytes,
            payload_bytes,
            longest_silence_ns,
            first_seen,
            first_number,
            first_sender,
            tcp,
            out_of_time,
        } = other;
        self.longest_silence_ns = self.longest_silence_ns.max(longest_silence_ns);
        self.last_seen = self.last_seen.max(last_seen);
        self.first_seen = self.first_seen.min(first_seen);
        (self.first_number, self.first_sender) =
            (self.first_number, self.first_sender).min((first_number, first_sender));
        for side in Side::BOTH {
            add(&mut self.packets[side], packets[side]);
            add(&mut self.bytes[side], bytes[side]);
            add(&mut self.payload_bytes[side], payload_bytes[side]);
        }
        self.tcp = match (self.tcp, tcp) {
            (Some(ours), Some(theirs)) => Some(Box::new(ours.merge(*theirs))),
            (ours, theirs) => ours.or(theirs),
        };
        add(&mut self.out_of_time, out_of_time);
        self
    }

    /// Whether this is the part of `earlier`'s flow that came after a cut, or shows it from another place: not idle for too
    /// long, and without an opening of its own.
    pub fn continues(&self, earlier: &Self, transport: Transport) -> bool {
        if self.first_seen.since(earlier.last_seen) > idle_timeout(earlier, transport) {
            return false;
        }
        match (&self.tcp, &earlier.tcp) {
            (Some(ours), Some(theirs)) => Side::BOTH.into_iter().all(|side| {
                match (ours.opening[side], theirs.opening[side]) {
                    (Some(ours), Some(theirs)) => ours.isn == theirs.isn,
                    (Some(_), None) => ours.facts[side].has(Facts::SYN_ACK),
                    (None, _) => true,
                }
            }),
            _ => true,
        }
    }

    /// Whether both sides sent packets.
    pub const fn is_two_way(&self) -> bool {
        self.packets.a > 0 && self.packets.b > 0
    }
}

const fn add(sum: &mut u64, value: u64) {
    *sum = sum.saturating_add(value);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::flow::TcpObservation;
    use crate::net::TcpFlags;
    use crate::net::{Endpoint, FlowKey, Transport};

    /// Any packet of one flow, TCP or not.
    fn any_observation() -> impl Strategy<Value = Observation> {
        let tcp = (0_u32..4, any::<u8>(), 0_u16..2).prop_map(|(sequence, flags, window)| {
            TcpObservation {
                sequence,
                acknowledgment: 0,
                flags: TcpFlags(u16::from(flags)),
                window,
            }
        });
        (
            -5_i64..5,
            any::<bool>(),
            any::<u32>(),
            0_u32..3,
            prop::option::of(tcp),
            0_u64..9,
        )
            .prop_map(|(time, is_a, ip_bytes, payload_len, tcp, number)| {
                let end = |port| Endpoint::new([10, 0, 0, 1].into(), port);
                Observation {
                    time: Timestamp::from_nanos(time),
                    key: FlowKey::of(Transport::TCP, end(1), end(2)).0,
                    side: if is_a { Side::A } else { Side::B },
                    ip_bytes,
                    payload_len,
                    tcp,
                    number,
                }
            })
    }

    fn track(observations: &[Observation]) -> Tracker {
        let mut tracker = Tracker::new(&observations[0]);
        for observation in &observations[1..] {
            tracker.record(observation);
        }
        tracker
    }

    fn without_order(mut tracker: Tracker) -> Tracker {
        tracker.out_of_time = 0;
        tracker.longest_silence_ns = 0;
        if let Some(tcp) = &mut tracker.tcp {
            for side in Side::BOTH {
                let bits = tcp.facts[side].bits() & !Facts::FIN_FIRST.bits();
                tcp.facts[side] = Facts::from_bits(bits);
            }
        }
        tracker
    }

    proptest! {
        #[test]
        fn a_flow_cut_anywhere_merges_to_the_whole(
            (packets, cut) in prop::collection::vec(any_observation(), 2..20).prop_flat_map(|packets| {
                let cut = 1..packets.len();
                (Just(packets), cut)
            }),
        ) {
            let merged = track(&packets[..cut]).merge(track(&packets[cut..]));
            let whole = track(&packets);
            prop_assert!(merged.out_of_time <= whole.out_of_time);
            prop_assert_eq!(without_order(merged), without_order(whole));
        }

        #[test]
        fn merging_is_associative_and_commutative(
            a in prop::collection::vec(any_observation(), 1..6),
            b in prop::collection::vec(any_observation(), 1..6),
            c in prop::collection::vec(any_observation(), 1..6),
        ) {
            let (a, b, c) = (track(&a), track(&b), track(&c));
            prop_assert_eq!(a.clone().merge(b.clone()), b.clone().merge(a.clone()));
            prop_assert_eq!(a.clone().merge(b.clone()).merge(c.clone()), a.merge(b.merge(c)));
        }
    }

    #[test]
    fn silence_is_measured_within_a_part_and_not_across_a_cut() {
        let at = |seconds: i64, number: u64| {
            let end = |port| Endpoint::new([10, 0, 0, 1].into(), port);
            Observation {
                time: Timestamp::from_nanos(seconds),
                key: FlowKey::of(Transport::TCP, end(1), end(2)).0,
                side: Side::A,
                ip_bytes: 40,
                payload_len: 0,
                tcp: None,
                number,
            }
        };
        let packets = [at(0, 1), at(2, 2), at(9, 3), at(12, 4)];
        assert_eq!(track(&packets).longest_silence_ns, 7);
        let cut = track(&packets[..2]).merge(track(&packets[2..]));
        assert_eq!(cut.longest_silence_ns, 3);
    }
}
