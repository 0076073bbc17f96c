//! Packets per second through the flow table and the streams.

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use exwire::flow::{FlowTable, Found, Observation, TcpObservation};
use exwire::net::{Endpoint, FlowKey, TcpFlags, Timestamp, Transport};
use exwire::stream::{Chunk, Mark, Stream};

/// Packets of each run.
const PACKETS: u32 = 200_000;

fn main() {
    divan::main();
}

/// Packet `number` of the TCP flow `flow`.
fn packet(number: u32, flow: u32, flags: TcpFlags) -> Observation {
    let client = Endpoint::new((0x0a00_0000 + flow / 1000).to_be_bytes().into(), 50_000);
    let [.., high, low] = (flow % 1000 + 1024).to_be_bytes();
    let server = Endpoint::new([10, 200, 0, 1].into(), u16::from_be_bytes([high, low]));
    let (key, side) = FlowKey::of(Transport::TCP, client, server);
    Observation {
        time: Timestamp::from_nanos(i64::from(number) * 1000),
        key,
        side,
        ip_bytes: 1500,
        payload_len: 1460,
        tcp: Some(TcpObservation {
            sequence: number.wrapping_mul(1460),
            acknowledgment: 0,
            flags,
            window: 1000,
        }),
        number: u64::from(number),
    }
}

fn observe(table: &mut FlowTable<()>, packets: &[Observation]) {
    for packet in packets {
        let mut retire = |_, state| {
            black_box(state);
        };
        black_box(table.observe(packet, |_| (), &mut retire));
        let mut found = |found: Found<'_, ()>| {
            black_box(&found);
        };
        table.expire(packet.time, i64::MAX, &mut found);
    }
}

/// Packets of known flows, in turn.
#[divan::bench(args = [1, 1_000, 100_000])]
fn known_flows(bencher: Bencher<'_, '_>, flows: u32) {
    let packets: Vec<_> = (0..PACKETS)
        .map(|number| packet(number, number % flows, TcpFlags::ACK))
        .collect();
    let mut table = FlowTable::default();
    observe(&mut table, &packets);
    bencher
        .counter(ItemsCount::new(PACKETS))
        .bench_local(|| observe(&mut table, &packets));
}

/// A new flow with each packet.
#[divan::bench]
fn syn_flood(bencher: Bencher<'_, '_>) {
    let packets: Vec<_> = (0..PACKETS)
        .map(|number| packet(number, number, TcpFlags::SYN))
        .collect();
    bencher
        .counter(ItemsCount::new(PACKETS))
        .with_inputs(FlowTable::default)
        .bench_local_refs(|table| observe(table, &packets));
}

/// A new flow with each packet, in a table that is full.
#[divan::bench]
fn syn_flood_of_a_full_table(bencher: Bencher<'_, '_>) {
    let packets: Vec<_> = (0..PACKETS)
        .map(|number| packet(number, number, TcpFlags::SYN))
        .collect();
    bencher
        .counter(ItemsCount::new(PACKETS))
        .with_inputs(|| FlowTable::with_limit(10_000))
        .bench_local_refs(|table| observe(table, &packets));
}

/// Segments of one stream, pushed in the order of `sequences`.
fn push(sequences: &[u32]) -> u64 {
    let payload = [7; 1460];
    let mut stream = Stream::default();
    stream.syn(u32::MAX);
    let mut given = 0;
    for &sequence in sequences {
        stream.push(
            black_box(sequence),
            &payload,
            1460,
            Mark::default(),
            &mut |chunk| {
                if let Chunk::Data(bytes) | Chunk::Held(bytes, _) = chunk {
                    given += black_box(bytes).len() as u64;
                }
            },
        );
    }
    given
}

/// The order of the segments of a stream.
#[derive(Clone, Copy, Debug)]
enum Order {
    Sorted,
    EachPairSwapped,
}

#[divan::bench(args = [Order::Sorted, Order::EachPairSwapped])]
fn stream(bencher: Bencher<'_, '_>, order: Order) {
    let sequences: Vec<_> = (0..PACKETS)
        .map(|index| match order {
            Order::Sorted => index,
            Order::EachPairSwapped => index ^ 1,
        })
        .map(|index| index.wrapping_mul(1460))
        .collect();
    bencher
        .counter(ItemsCount::new(PACKETS))
        .counter(BytesCount::new(u64::from(PACKETS) * 1460))
        .bench_local(|| push(&sequences));
}
