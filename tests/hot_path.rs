//! A packet of a known flow allocates nothing: twice the packets cost the same number of allocations. And a flow takes no more
//! memory than is said, as long as it lives.
#![expect(unsafe_code, reason = "an allocator that counts is unsafe to write")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    unreachable_pub,
    missing_docs,
    reason = "a test may panic"
)]

mod pipeline_support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use pipeline_support::{Frame, Recording, chain, scan};

/// Counts what this thread asks for: other tests run beside it.
struct Counting;

thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
    /// Bytes that it holds, and the most that it held.
    static HELD: Cell<i64> = const { Cell::new(0) };
    static MOST: Cell<i64> = const { Cell::new(0) };
}

fn count(released: usize, asked: usize) {
    ASKED.set(ASKED.get() + u64::from(asked > 0));
    HELD.set(HELD.get() + asked as i64 - released as i64);
    MOST.set(MOST.get().max(HELD.get()));
}

// SAFETY: every call goes to the system's allocator unchanged; the counter does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(0, layout.size());
        // SAFETY: the caller's promises are handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(layout.size(), 0);
        // SAFETY: the caller's promises are handed on.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(layout.size(), size);
        // SAFETY: the caller's promises are handed on.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Flows that share the packets in turn.
const FLOWS: u32 = 4;
/// Packets of the shorter capture: beyond what decoders look at before they give up, and more than fills a block.
const PACKETS: u32 = 8_000;
/// Bytes of a capture for which its reader may allocate once: its blocks are recycled, yet each is accounted for.
const BYTES_PER_ALLOCATION: u64 = 256 * 1024;
/// What more the longer capture may cost: the longest record that a block's end cuts can be longer.
const SLACK: u64 = 2;

const CLIENT: [u8; 4] = [10, 0, 0, 1];
const SERVER: [u8; 4] = [10, 0, 0, 2];

fn sum(bytes: &[u8]) -> u32 {
    bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)))
        .sum()
}

/// The Internet checksum (RFC 1071).
fn checksum(mut sum: u32) -> [u8; 2] {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

/// An IPv4 packet in Ethernet; `at` is where the transport's checksum stands.
fn packet(
    number: u32,
    from_client: bool,
    protocol: u8,
    mut transport: Vec<u8>,
    at: usize,
) -> Frame {
    let (source, destination) = if from_client {
        (CLIENT, SERVER)
    } else {
        (SERVER, CLIENT)
    };
    let pseudo = sum(&source) + sum(&destination) + u32::from(protocol) + transport.len() as u32;
    let check = checksum(pseudo + sum(&transport));
    transport[at..at + 2].copy_from_slice(&check);
    let mut ip = vec![0x45, 0];
    ip.extend((20 + transport.len() as u16).to_be_bytes());
    ip.extend([0, 1, 0x40, 0, 64, protocol, 0, 0]);
    ip.extend(source);
    ip.extend(destination);
    let check = checksum(sum(&ip));
    ip[10..12].copy_from_slice(&check);
    let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    bytes.extend(ip);
    bytes.extend(transport);
    Frame {
        nanos: 1_700_000_000_000_000_000 + i64::from(number) * 1_000_000,
        wire_len: bytes.len() as u32,
        bytes,
    }
}

fn ports(flow: u32, from_client: bool) -> [u8; 4] {
    let (client, server) = (
        (50_000 + flow as u16).to_be_bytes(),
        7_777_u16.to_be_bytes(),
    );
    let [one, other] = if from_client {
        [client, server]
    } else {
        [server, client]
    };
    [one[0], one[1], other[0], other[1]]
}

fn segment(
    number: u32,
    flow: u32,
    from_client: bool,
    counts: [u32; 2],
    flags: u8,
    payload: &[u8],
) -> Frame {
    let mut tcp = ports(flow, from_client).to_vec();
    tcp.extend(counts.map(u32::to_be_bytes).concat());
    tcp.extend([0x50, flags, 0x20, 0, 0, 0, 0, 0]);
    tcp.extend(payload);
    packet(number, from_client, 6, tcp, 16)
}

fn datagram(number: u32, flow: u32, from_client: bool, payload: &[u8]) -> Frame {
    let mut udp = ports(flow, from_client).to_vec();
    udp.extend((8 + payload.len() as u16).to_be_bytes());
    udp.extend([0, 0]);
    udp.extend(payload);
    packet(number, from_client, 17, udp, 6)
}

/// Bytes that no protocol begins with.
const UNKNOWN: [u8; 120] = [0xee; 120];

/// Connections that open, and then carry unknown data in order, each segment acknowledged.
fn connections(packets: u32) -> Vec<Frame> {
    const SYN: u8 = 2;
    const ACK: u8 = 16;
    let mut frames = Vec::new();
    for flow in 0..FLOWS {
        let number = frames.len() as u32;
        frames.push(segment(number, flow, true, [99, 0], SYN, &[]));
        frames.push(segment(number + 1, flow, false, [299, 100], SYN | ACK, &[]));
        frames.push(segment(number + 2, flow, true, [100, 300], ACK, &[]));
    }
    let mut sent = 100;
    for round in 0..packets / (2 * FLOWS) {
        for flow in 0..FLOWS {
            let number = 3 * FLOWS + 2 * (round * FLOWS + flow);
            frames.push(segment(number, flow, true, [sent, 300], ACK, &UNKNOWN));
            let next = sent + UNKNOWN.len() as u32;
            frames.push(segment(number + 1, flow, false, [300, next], ACK, &[]));
        }
        sent += UNKNOWN.len() as u32;
    }
    frames
}

/// Connections that open with what both ends say first, and then carry `each` from the server, over and over.
fn talks(packets: u32, opening: &[(bool, Vec<u8>)], each: &[u8]) -> Vec<Frame> {
    const SYN: u8 = 2;
    const ACK: u8 = 16;
    let mut frames = Vec::new();
    let mut sent = [100, 300];
    for flow in 0..FLOWS {
        sent = [100, 300];
        let number = frames.len() as u32;
        frames.push(segment(number, flow, true, [99, 0], SYN, &[]));
        frames.push(segment(number + 1, flow, false, [299, 100], SYN | ACK, &[]));
        for (from_client, payload) in opening {
            let number = frames.len() as u32;
            let [ours, theirs] = if *from_client { [0, 1] } else { [1, 0] };
            let counts = [sent[ours], sent[theirs]];
            frames.push(segment(number, flow, *from_client, counts, ACK, payload));
            sent[ours] += payload.len() as u32;
        }
    }
    for _ in 0..packets / FLOWS {
        for flow in 0..FLOWS {
            let number = frames.len() as u32;
            frames.push(segment(number, flow, false, [sent[1], sent[0]], ACK, each));
        }
        sent[1] += each.len() as u32;
    }
    frames
}

/// A hello of TLS 1.2 in its record, without extensions (RFC 5246 section 7.4.1).
fn hello(kind: u8, suites: &[u8]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.push(0);
    body.extend(suites);
    let length = body.len() as u8;
    let mut record = vec![22, 3, 3, 0, length + 4, kind, 0, 0, length];
    record.extend(body);
    record
}

/// Conversations of unknown datagrams, both ways.
fn unknown_datagrams(packets: u32) -> Vec<Frame> {
    (0..packets)
        .map(|number| {
            datagram(
                number,
                number % FLOWS,
                (number / FLOWS).is_multiple_of(2),
                &UNKNOWN,
            )
        })
        .collect()
}

/// Speech: 20 ms of G.711 a packet (RFC 3550, RFC 3551).
fn speech(packets: u32) -> Vec<Frame> {
    (0..packets)
        .map(|number| {
            let (flow, order) = (number % FLOWS, number / FLOWS);
            let mut rtp = vec![0x80, 0];
            rtp.extend((order as u16).to_be_bytes());
            rtp.extend((order * 160).to_be_bytes());
            rtp.extend((0x1234_0000 + flow).to_be_bytes());
            rtp.extend([0xd5; 160]);
            datagram(number * 5, flow, true, &rtp)
        })
        .collect()
}

/// What a scan by one thread, which is this one, costs.
struct Cost {
    allocations: u64,
    packets: u64,
    bytes: u64,
}

fn cost(frames: Vec<Frame>) -> Cost {
    let folder = tempfile::tempdir().unwrap();
    let path = Recording { link: 1, frames }.write(&folder.path().join("generated.pcap"));
    let bytes = std::fs::metadata(&path).unwrap().len();
    let chains = [chain(&[path])];
    let before = ASKED.get();
    let scanned = scan(&chains, 1);
    let allocations = ASKED.get() - before;
    assert_eq!(scanned.ledger.episodes().count(), FLOWS as usize);
    let counters = &scanned.ledger.captures().values().next().unwrap().counters;
    assert!(counters.is_empty(), "{counters:?}");
    Cost {
        allocations,
        packets: scanned.packets,
        bytes,
    }
}

fn assert_nothing_per_packet(what: &str, capture: impl Fn(u32) -> Vec<Frame>) {
    // What is made once in a process is not part of the first capture's cost.
    cost(capture(100 * FLOWS));
    let short = cost(capture(PACKETS));
    let long = cost(capture(2 * PACKETS));
    let packets = long.packets - short.packets;
    let further = long.allocations.saturating_sub(short.allocations);
    let allowed = (long.bytes - short.bytes).div_ceil(BYTES_PER_ALLOCATION) + SLACK;
    assert!(short.allocations > 0 && packets >= u64::from(PACKETS));
    println!("{what}: {packets} further packets cost {further} further allocations of {allowed}");
    assert!(
        further <= allowed,
        "{what}: {packets} further packets cost {further} further allocations, expected {allowed} at most"
    );
}

#[test]
fn tcp_data_that_nobody_wants_allocates_nothing() {
    assert_nothing_per_packet("tcp", connections);
}

#[test]
fn datagrams_of_a_known_flow_allocate_nothing() {
    assert_nothing_per_packet("udp", unknown_datagrams);
}

#[test]
fn packets_of_a_measured_stream_allocate_nothing() {
    assert_nothing_per_packet("rtp", speech);
}

#[test]
fn the_body_of_a_message_allocates_nothing() {
    let request = b"GET /oab/ HTTP/1.1\r\nHost: mail.example.com\r\n\r\n".to_vec();
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 90000000\r\n\r\n".to_vec();
    let opening = [(true, request), (false, answer)];
    assert_nothing_per_packet("http", |packets| talks(packets, &opening, &[b'x'; 1000]));
}

#[test]
fn what_tls_hides_allocates_nothing() {
    let client = hello(1, &[0, 2, 0, 0x2f, 1, 0]);
    let server = hello(2, &[0, 0x2f, 0]);
    let opening = [(true, client), (false, server)];
    let mut record = vec![23, 3, 3, 0, 195];
    record.extend([0x5a; 195]);
    assert_nothing_per_packet("tls", |packets| talks(packets, &opening, &record));
}

#[test]
fn what_is_said_again_allocates_nothing() {
    let greeting = b"220 mail.example.com ESMTP\r\n".to_vec();
    let hello = b"EHLO client.example.com\r\n".to_vec();
    let opening = [(false, greeting), (true, hello)];
    assert_nothing_per_packet("smtp", |packets| talks(packets, &opening, b"250 ok\r\n"));
}

/// Flows that are alive at once: nine tenths of a table that has room for a power of two.
const ALIVE: u32 = 900;
/// Packet time between two of them, in milliseconds, where they rest as they would in an ordinary capture.
const SLOWLY: u32 = 400;

/// The opening of connections without payload.
fn half_open(flow: u32) -> Vec<Frame> {
    vec![segment(0, flow, true, [99, 0], 2, &[])]
}

/// A lookup of an address (RFC 1035 section 4.1).
fn lookup(flow: u32) -> Vec<Frame> {
    let question = b"\x04mail\x07example\x03com\0\0\x01\0\x01";
    let message = |flags: [u8; 2], answers: u8| {
        let mut message = vec![7, 7, flags[0], flags[1], 0, 1, 0, answers, 0, 0, 0, 0];
        message.extend(question);
        message
    };
    let mut answer = message([0x81, 0x80], 1);
    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 0, 0, 4, 10, 0, 0, 40]);
    vec![
        datagram(0, flow, true, &message([1, 0], 0)),
        datagram(0, flow, false, &answer),
    ]
}

/// A page that is asked for and comes.
fn page(flow: u32) -> Vec<Frame> {
    let request = b"GET /status HTTP/1.1\r\nHost: mail.example.com\r\n\r\n";
    let answer = b"HTTP/1.1 200 OK\r\nServer: lab\r\nContent-Length: 2\r\n\r\nok";
    let asked = 100 + request.len() as u32;
    vec![
        segment(0, flow, true, [99, 0], 2, &[]),
        segment(0, flow, false, [299, 100], 18, &[]),
        segment(0, flow, true, [100, 300], 16, request),
        segment(0, flow, false, [300, asked], 16, answer),
    ]
}

/// Bytes that a flow takes that is alive, where one comes each so many milliseconds; with what packing it takes in the end, which
/// in captures of many flows does not add up.
fn bytes_alive(each: u32, flow: impl Fn(u32) -> Vec<Frame>) -> i64 {
    let most = |flows: u32| {
        let frames = (0..flows).flat_map(|number| {
            let mut frames = flow(number);
            for frame in &mut frames {
                frame.nanos += i64::from(number * each) * 1_000_000;
            }
            frames
        });
        let folder = tempfile::tempdir().unwrap();
        let recording = Recording {
            link: 1,
            frames: frames.collect(),
        };
        let path = recording.write(&folder.path().join("generated.pcap"));
        drop(recording);
        let chains = [chain(&[path])];
        let before = HELD.get();
        MOST.set(before);
        let scanned = scan(&chains, 1);
        let most = MOST.get() - before;
        assert_eq!(scanned.ledger.episodes().count(), flows as usize);
        most
    };
    most(ALIVE);
    (most(2 * ALIVE) - most(ALIVE)) / i64::from(ALIVE)
}

#[test]
fn a_live_flow_takes_no_more_than_is_said() {
    for (what, bytes, most) in [
        ("half-open", bytes_alive(0, half_open), 800),
        ("lookup", bytes_alive(0, lookup), 1800),
        ("page", bytes_alive(0, page), 2000),
        ("resting lookup", bytes_alive(SLOWLY, lookup), 1050),
        ("resting page", bytes_alive(SLOWLY, page), 1350),
    ] {
        println!("{what}: {bytes} bytes");
        assert!(
            bytes <= most,
            "{what}: {bytes} bytes, expected {most} at most"
        );
    }
}
