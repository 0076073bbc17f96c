//! Conversations through the table: what is one flow, what is two, and what goes when.

use super::*;
use crate::flow::{TcpObservation, TcpState};
use crate::net::TcpFlags;
use crate::net::{Endpoint, Side, Transport};

const SECOND: i64 = 1_000_000_000;

const FIN: TcpFlags = TcpFlags::FIN;
const SYN: TcpFlags = TcpFlags::SYN;
const RST: TcpFlags = TcpFlags::RST;
const ACK: TcpFlags = TcpFlags::ACK;
const SYN_ACK: TcpFlags = SYN.union(ACK);
const FIN_ACK: TcpFlags = FIN.union(ACK);
const RST_ACK: TcpFlags = RST.union(ACK);

/// A table, and what it retired.
#[derive(Default)]
struct Run {
    table: FlowTable<u64>,
    retired: Vec<(FlowKey, FlowState<u64>)>,
    number: u64,
    time: i64,
}

impl Run {
    fn observe(&mut self, observation: Observation) {
        let retired = &mut self.retired;
        self.table
            .observe(&observation, |first| first.number, &mut |key, state| {
                retired.push((key, state));
            });
    }

    /// A packet of the one TCP flow of this run, a microsecond after the last.
    fn tcp(&mut self, side: Side, flags: TcpFlags, sequence: u32, payload_len: u32) -> &mut Self {
        self.number += 1;
        self.time += 1000;
        self.observe(Observation {
            time: Timestamp::from_nanos(self.time),
            number: self.number,
            payload_len,
            tcp: Some(TcpObservation {
                sequence,
                acknowledgment: 0,
                flags,
                window: 1000,
            }),
            ..packet(Transport::TCP, 50000, side)
        });
        self
    }

    fn a(&mut self, flags: TcpFlags, sequence: u32) -> &mut Self {
        self.tcp(Side::A, flags, sequence, 0)
    }

    fn b(&mut self, flags: TcpFlags, sequence: u32) -> &mut Self {
        self.tcp(Side::B, flags, sequence, 0)
    }

    fn handshake(&mut self, isn: u32) -> &mut Self {
        self.a(SYN, isn)
            .b(SYN_ACK, isn ^ 0xffff)
            .a(ACK, isn.wrapping_add(1))
    }

    fn pause(&mut self, seconds: i64) -> &mut Self {
        self.time += seconds * SECOND;
        self
    }

    /// The states of all episodes, in order.
    #[track_caller]
    fn has(&mut self, states: &[TcpState]) {
        let retired = &mut self.retired;
        self.table
            .drain(&mut |key, state| retired.push((key, state)));
        let found: Vec<_> = self
            .retired
            .iter()
            .map(|(_, state)| state.tracker.tcp.as_ref().unwrap().state())
            .collect();
        assert_eq!(found, states);
        let packets: u64 = self
            .retired
            .iter()
            .map(|(_, state)| state.tracker.packets.a + state.tracker.packets.b)
            .sum();
        assert_eq!(packets, self.number);
    }
}

fn packet(transport: Transport, port: u16, side: Side) -> Observation {
    let a = Endpoint::new([10, 0, 0, 1].into(), port);
    let b = Endpoint::new([10, 0, 0, 2].into(), 25);
    Observation {
        time: Timestamp::default(),
        key: FlowKey::of(transport, a, b).0,
        side,
        ip_bytes: 40,
        payload_len: 0,
        tcp: None,
        number: 0,
    }
}

use TcpState::{Attempted, Closed, Established, Midstream, Refused, Reset};

#[test]
fn a_connection_from_syn_to_fin_is_one_flow() {
    Run::default()
        .handshake(1)
        .a(FIN_ACK, 2)
        .b(FIN_ACK, 3)
        .a(ACK, 3)
        .has(&[Closed]);
}

#[test]
fn syn_retries_are_one_attempt() {
    let mut run = Run::default();
    run.a(SYN, 7)
        .pause(1)
        .a(SYN, 7)
        .pause(2)
        .a(SYN, 7)
        .has(&[Attempted]);
    let tcp = run.retired[0].1.tracker.tcp.as_ref().unwrap();
    assert_eq!(tcp.syns, PerSide::new(3, 0));
    assert_eq!(tcp.misorder.a.retransmissions, 2);
}

#[test]
fn syn_retries_after_a_refusal_are_one_attempt() {
    Run::default()
        .a(SYN, 7)
        .b(RST_ACK, 0)
        .a(SYN, 7)
        .b(RST_ACK, 0)
        .has(&[Refused]);
}

#[test]
fn a_retry_that_is_answered_after_a_refusal_is_one_flow() {
    Run::default()
        .a(SYN, 7)
        .b(RST_ACK, 0)
        .a(SYN, 7)
        .b(SYN_ACK, 9)
        .a(ACK, 8)
        .has(&[Established]);
}

#[test]
fn another_isn_is_another_attempt() {
    Run::default()
        .a(SYN, 7)
        .a(SYN, 8)
        .has(&[Attempted, Attempted]);
}

#[test]
fn a_reused_five_tuple_is_a_new_flow() {
    for (ending, state) in [(FIN_ACK, Closed), (RST, Reset), (ACK, Established)] {
        Run::default()
            .handshake(1)
            .a(ending, 2)
            .b(ending, 2)
            .handshake(900)
            .has(&[state, Established]);
    }
}

#[test]
fn a_reuse_whose_syn_was_missed_is_a_new_flow() {
    Run::default()
        .handshake(1)
        .a(FIN_ACK, 2)
        .b(FIN_ACK, 2)
        .b(SYN_ACK, 77)
        .a(ACK, 900)
        .has(&[Closed, Established]);
}

#[test]
fn a_five_tuple_reused_from_the_other_side_is_a_new_flow() {
    Run::default()
        .a(SYN, 1)
        .b(RST_ACK, 0)
        .b(SYN, 5)
        .a(SYN_ACK, 6)
        .b(ACK, 6)
        .has(&[Refused, Established]);
}

#[test]
fn a_syn_after_midstream_packets_is_a_new_flow() {
    Run::default()
        .tcp(Side::A, ACK, 50, 10)
        .b(ACK, 60)
        .handshake(900)
        .has(&[Midstream, Established]);
}

#[test]
fn a_simultaneous_open_is_one_flow() {
    Run::default()
        .a(SYN, 1)
        .b(SYN, 5)
        .a(SYN_ACK, 1)
        .b(SYN_ACK, 5)
        .a(ACK, 2)
        .has(&[Established]);
}

#[test]
fn answers_with_several_cookies_are_one_flow() {
    Run::default()
        .a(SYN, 1)
        .b(SYN_ACK, 5)
        .a(SYN, 1)
        .b(SYN_ACK, 6)
        .a(ACK, 2)
        .has(&[Established]);
}

#[test]
fn late_copies_of_a_handshake_belong_to_it() {
    Run::default()
        .handshake(1)
        .tcp(Side::A, ACK, 2, 10)
        .a(SYN, 1)
        .b(SYN_ACK, 1 ^ 0xffff)
        .a(RST, 12)
        .b(SYN_ACK, 1 ^ 0xffff)
        .has(&[Reset]);
}

#[test]
fn a_handshake_captured_in_any_order_is_one_flow() {
    let segments = [(Side::A, SYN, 1), (Side::B, SYN_ACK, 9), (Side::A, ACK, 2)];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2]] {
        let mut run = Run::default();
        for index in order {
            let (side, flags, sequence) = segments[index];
            run.tcp(side, flags, sequence, 0);
        }
        run.has(&[Established]);
    }
}

#[test]
fn a_half_open_scan_is_reset_and_the_next_is_new() {
    Run::default()
        .a(SYN, 1)
        .b(SYN_ACK, 5)
        .a(RST, 2)
        .a(SYN, 77)
        .b(RST_ACK, 0)
        .has(&[Reset, Refused]);
}

#[test]
fn a_syn_before_the_first_packet_in_time_belongs_to_the_flow() {
    let mut run = Run::default();
    run.pause(10)
        .tcp(Side::A, ACK, 51, 10)
        .tcp(Side::B, ACK, 60, 10);
    run.time -= SECOND;
    run.a(SYN, 50).has(&[Established]);
    let tracker = &run.retired[0].1.tracker;
    assert_eq!(tracker.out_of_time, 1);
    assert_eq!(tracker.first_seen, Timestamp::from_nanos(9 * SECOND + 3000));
    assert_eq!(tracker.last_seen, Timestamp::from_nanos(10 * SECOND + 2000));
    assert_eq!(tracker.first_number, 1);
}

#[test]
fn packets_out_of_time_order_stay_in_their_flow() {
    let mut run = Run::default();
    run.handshake(1).pause(5400).tcp(Side::A, ACK, 2, 10);
    run.time -= 3000 * SECOND;
    run.tcp(Side::B, ACK, 2, 10).has(&[Established]);
    assert_eq!(run.retired[0].1.tracker.out_of_time, 1);
}

#[test]
fn retransmissions_are_counted_past_the_wrap() {
    let mut run = Run::default();
    run.a(SYN, u32::MAX - 4)
        .b(SYN_ACK, 5)
        .tcp(Side::A, ACK, u32::MAX - 3, 10)
        .tcp(Side::A, ACK, 16, 10)
        .tcp(Side::A, ACK, 6, 10)
        .pause(1)
        .tcp(Side::A, ACK, u32::MAX - 3, 10)
        .tcp(Side::A, ACK, 26, 10)
        .has(&[Established]);
    let misorder = run.retired[0].1.tracker.tcp.as_ref().unwrap().misorder;
    assert_eq!(
        (misorder.a.retransmissions, misorder.a.out_of_order),
        (1, 1)
    );
}

#[test]
fn a_pause_beyond_the_time_out_begins_a_new_flow() {
    Run::default()
        .handshake(1)
        .pause(2 * 3600)
        .a(ACK, 2)
        .pause(3 * 3600)
        .a(ACK, 2)
        .has(&[Established, Midstream]);
    Run::default()
        .a(SYN, 1)
        .pause(200)
        .a(SYN, 1)
        .pause(300)
        .a(SYN, 1)
        .has(&[Attempted, Attempted]);
}

#[test]
fn datagrams_of_both_directions_are_one_flow_until_a_long_pause() {
    let mut run = Run::default();
    for (seconds, side) in [(0, Side::A), (1, Side::B), (500, Side::A), (1101, Side::A)] {
        run.observe(Observation {
            time: Timestamp::from_parts(seconds, 0),
            number: seconds as u64,
            ..packet(Transport::UDP, 50000, side)
        });
    }
    assert_eq!(run.retired.len(), 1);
    let tracker = &run.retired[0].1.tracker;
    assert!(tracker.is_two_way());
    assert_eq!(
        (tracker.packets, tracker.bytes),
        (PerSide::new(2, 1), PerSide::new(80, 40))
    );
    assert!(tracker.tcp.is_none());
    assert_eq!(run.table.len(), 1);
}

#[test]
fn a_new_flow_is_made_by_its_first_packet() {
    let mut run = Run::default();
    run.handshake(1).handshake(2);
    let inner: Vec<_> = run.retired.iter().map(|(_, state)| state.inner).collect();
    assert_eq!(inner, [1]);
    run.table.drain(&mut |_, state| assert_eq!(state.inner, 4));
    assert!(run.table.is_empty());
}

/// An idle time that no flow has.
const NEVER: i64 = i64::MAX;

/// Takes flows that are over, of a table that shows no others.
fn over(mut take: impl FnMut(FlowKey, FlowState<u64>)) -> impl FnMut(Found<'_, u64>) {
    move |found| match found {
        Found::Over(key, state) => take(key, state),
        Found::Idle(..) => panic!("nobody asked for it"),
    }
}

/// A datagram flow of its own for each number.
fn datagram(number: u64, seconds: i64) -> Observation {
    Observation {
        time: Timestamp::from_parts(seconds, 0),
        number,
        ..packet(Transport::UDP, number as u16, Side::A)
    }
}

#[test]
fn idle_flows_go_as_packet_time_passes() {
    let mut run = Run::default();
    for number in 0..1000 {
        run.observe(datagram(number, 0));
        run.table
            .expire(Timestamp::default(), NEVER, &mut |_| panic!("too early"));
    }
    let mut retired = Vec::new();
    let mut longest = 0;
    // one flow goes on: each of its packets pays for a few steps of the hand
    for packet in 0..2000 {
        run.observe(datagram(5, 600 + packet / 10));
        let before = retired.len();
        run.table.expire(
            Timestamp::from_parts(600 + packet / 10, 0),
            NEVER,
            &mut over(|_, state| retired.push(state.inner)),
        );
        longest = longest.max(retired.len() - before);
    }
    assert_eq!((run.table.len(), retired.len()), (1, 999));
    assert!(
        longest <= SWEEP_BATCH + SWEEP_PER_PACKET,
        "the work is spread"
    );
    retired.sort_unstable();
    assert!(!retired.contains(&5));
    // and the one that is left is still found
    run.observe(datagram(5, 800));
    assert_eq!(run.table.len(), 1);
}

#[test]
fn flows_that_are_not_idle_for_long_enough_stay() {
    let mut run = Run::default();
    for number in 0..200 {
        run.observe(datagram(number, 0));
        run.table
            .expire(Timestamp::from_parts(599, 0), NEVER, &mut |_| {
                panic!("too early")
            });
    }
    assert_eq!(run.table.len(), 200);
}

#[test]
fn an_idle_flow_is_shown_once_for_each_pause() {
    const REST: i64 = 5_000_000_000;
    let mut run = Run::default();
    let mut shown = Vec::new();
    // The first goes on in the middle, the others do not; one packet a second of another moves the hand.
    for second in 0..200 {
        for number in 0..40 {
            run.observe(datagram(1000 + number, second));
        }
        if second == 0 {
            (1..9).for_each(|number| run.observe(datagram(number, 0)));
        }
        if second == 100 {
            run.observe(datagram(1, 100));
        }
        let now = Timestamp::from_parts(second, 0);
        run.table.expire(now, REST, &mut |found| match found {
            Found::Idle(_, state) => shown.push((state.inner, second)),
            Found::Over(..) => panic!("too early"),
        });
    }
    let numbers = |from, to| {
        let mut shown: Vec<u64> = shown
            .iter()
            .filter(|(_, second)| (from..to).contains(second))
            .map(|(number, _)| *number)
            .collect();
        shown.sort_unstable();
        shown
    };
    assert!(numbers(0, 6).is_empty());
    assert_eq!(numbers(6, 20), (1..9).collect::<Vec<_>>());
    assert_eq!(numbers(20, 200).len(), 1, "{shown:?}");
}

#[test]
fn times_that_jump_back_end_no_flow_and_revive_none() {
    let reused = |expire: bool| {
        let mut run = Run::default();
        let mut retired = Vec::new();
        run.observe(datagram(1, 0));
        for number in 0..500 {
            run.observe(datagram(1000 + number, 5000));
            if expire {
                let now = Timestamp::from_parts(5000, 0);
                run.table
                    .expire(now, NEVER, &mut over(|_, state| retired.push(state.inner)));
            }
        }
        // late by more than any time-out: over already, whether the hand came by or not
        run.observe(datagram(1, 1));
        run.observe(datagram(1, 2));
        let over = retired.contains(&1) || run.retired.iter().any(|(_, state)| state.inner == 1);
        let late = run.table.states_mut().filter(|state| state.inner == 1);
        (
            over,
            late.map(|state| state.tracker.packets.a)
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(reused(false), (true, vec![2]));
    assert_eq!(reused(true), (true, vec![2]));
}

#[test]
fn a_full_table_lets_the_longest_idle_of_a_few_go() {
    let mut table = FlowTable::with_limit(10);
    let mut retired = Vec::new();
    for number in 0..15 {
        table.observe(
            &datagram(number, 100 - number as i64),
            |first| first.number,
            &mut |_, state: FlowState<u64>| retired.push(state.inner),
        );
    }
    assert_eq!(table.len(), 10);
    assert_eq!(table.evicted(), 5);
    assert_eq!(retired, [9, 10, 11, 12, 13]);
}

#[test]
fn all_flows_are_found_again_while_others_come_and_go() {
    let mut table = FlowTable::with_limit(64);
    let mut live = std::collections::BTreeMap::new();
    let mut seed = 1_u32;
    for number in 0..20_000_u64 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let flow = u64::from(seed >> 16) % 100;
        let observation = datagram(flow, number as i64 * 7);
        let mut gone = Vec::new();
        let state = table.observe(&observation, |_| flow, &mut |key, state: FlowState<u64>| {
            gone.push((key, state.tracker.packets.a));
        });
        assert_eq!(state.inner, flow);
        *live.entry(observation.key).or_insert(0) += 1;
        table.expire(
            observation.time,
            NEVER,
            &mut over(|key, state| gone.push((key, state.tracker.packets.a))),
        );
        for (key, packets) in gone {
            let known = live.get_mut(&key).unwrap();
            *known -= packets;
        }
    }
    table.drain(&mut |key, state| *live.get_mut(&key).unwrap() -= state.tracker.packets.a);
    assert!(
        live.values().all(|&packets| packets == 0),
        "each packet is in one flow"
    );
}

#[test]
fn the_end_is_in_the_order_of_first_packets() {
    let mut run = Run::default();
    for number in [5, 3, 9, 1] {
        run.observe(datagram(number, 0));
    }
    let mut order = Vec::new();
    run.table.drain(&mut |_, state| order.push(state.inner));
    assert_eq!(order, [1, 3, 5, 9]);
}

#[test]
fn a_state_is_small() {
    println!(
        "size_of::<FlowState<()>>() = {}",
        size_of::<FlowState<()>>()
    );
    println!("size_of::<Entry<()>>() = {}", size_of::<Entry<()>>());
    assert!(size_of::<FlowState<()>>() <= 176);
}
