//! A TCP connection as two Windows hosts hold it, seen by a tap between them: handshake, data, acknowledgements, close.

use std::net::{IpAddr, SocketAddr};

use super::bytes::{cat, u8_of, u16_of};
use super::packet::{self, Packet};
use super::trace::Trace;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;

/// Window announced in the SYN (not scaled), and later ones in units of 256 bytes.
const FIRST_WINDOW: u16 = 8192;
const LATER_WINDOW: u16 = 513;

/// How long Windows waits for data to carry an acknowledgement, microseconds.
const DELAYED_ACKNOWLEDGEMENT: u64 = 200_000;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

impl Side {
    fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

struct End {
    address: SocketAddr,
    next: u32,
    /// What this end has acknowledged of the other.
    acknowledged: u32,
}

pub(crate) struct Tcp<'a> {
    trace: &'a mut Trace,
    client: End,
    server: End,
    /// Time of the next packet, microseconds since the start of the sample.
    now: u64,
    round_trip: u64,
    vlan: Option<u16>,
    last: Option<Side>,
}

impl<'a> Tcp<'a> {
    /// A connection that is not yet opened; the round trip follows from who is far away.
    pub(crate) fn new(
        trace: &'a mut Trace,
        at: u64,
        client: SocketAddr,
        server: SocketAddr,
    ) -> Self {
        let far = [client, server]
            .iter()
            .any(|end| !super::hosts::is_ours(end.ip()));
        let (client_next, server_next) = (trace.random.word(), trace.random.word());
        let end = |address, next| End {
            address,
            next,
            acknowledged: 0,
        };
        Self {
            trace,
            client: end(client, client_next),
            server: end(server, server_next),
            now: at,
            round_trip: if far { 23_400 } else { 380 },
            vlan: None,
            last: None,
        }
    }

    /// An established connection: the three packets of the handshake are sent.
    pub(crate) fn open(
        trace: &'a mut Trace,
        at: u64,
        client: SocketAddr,
        server: SocketAddr,
    ) -> Self {
        Self::new(trace, at, client, server).established()
    }

    /// As `open`, over a way of that round trip in microseconds.
    pub(crate) fn open_over(
        trace: &'a mut Trace,
        at: u64,
        round_trip: u64,
        client: SocketAddr,
        server: SocketAddr,
    ) -> Self {
        let mut tcp = Self::new(trace, at, client, server);
        tcp.round_trip = round_trip;
        tcp.established()
    }

    /// As `open`, each frame with an 802.1Q tag.
    pub(crate) fn open_in_vlan(
        trace: &'a mut Trace,
        at: u64,
        vlan: u16,
        client: SocketAddr,
        server: SocketAddr,
    ) -> Self {
        let mut tcp = Self::new(trace, at, client, server);
        tcp.vlan = Some(vlan);
        tcp.established()
    }

    fn established(mut self) -> Self {
        self.segment(Side::Client, SYN, &[]);
        self.now += self.round_trip / 2;
        self.segment(Side::Server, SYN | ACK, &[]);
        self.now += self.round_trip / 2;
        self.segment(Side::Client, ACK, &[]);
        self.now += 90;
        self
    }

    /// SYNs that nobody answers, repeated after 3 and 6 seconds as Windows does.
    pub(crate) fn unanswered(mut self) -> Vec<Packet> {
        let mut sent = Vec::new();
        for wait in [3_000_000, 6_000_000, 0] {
            sent.extend(self.segment(Side::Client, SYN, &[]));
            self.client.next = self.client.next.wrapping_sub(1);
            self.now += wait;
        }
        sent
    }

    /// A SYN answered by RST, tried three times half a second apart.
    pub(crate) fn refused(mut self) {
        for _ in 0..3 {
            self.segment(Side::Client, SYN, &[]);
            self.now += self.round_trip / 2;
            self.server.next = 0;
            self.segment(Side::Server, RST | ACK, &[]);
            self.client.next = self.client.next.wrapping_sub(1);
            self.now += 500_000;
        }
    }

    pub(crate) fn client(&mut self, bytes: &[u8]) {
        self.send(Side::Client, bytes);
    }

    pub(crate) fn server(&mut self, bytes: &[u8]) {
        self.send(Side::Server, bytes);
    }

    /// Waits before the next packet; meanwhile the delayed acknowledgement of the last one is due.
    pub(crate) fn pause(&mut self, microseconds: u64) {
        let then = self.now + microseconds;
        if let Some(last) = self.last
            && microseconds > 2 * DELAYED_ACKNOWLEDGEMENT
        {
            self.now += DELAYED_ACKNOWLEDGEMENT;
            self.acknowledge(last.other());
        }
        self.now = then;
    }

    /// Time of the next packet.
    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    /// The address of the client.
    pub(crate) fn client_address(&self) -> IpAddr {
        self.client.address.ip()
    }

    /// The port of the server.
    pub(crate) fn server_port(&self) -> u16 {
        self.server.address.port()
    }

    /// Random bytes from the sample's own source.
    pub(crate) fn random(&mut self, count: usize) -> Vec<u8> {
        self.trace.random.bytes(count)
    }

    /// Data in as many segments as it needs; the other end acknowledges each second one, and what is left when the
    /// same end goes on.
    pub(crate) fn send(&mut self, from: Side, bytes: &[u8]) {
        let largest = self.largest_segment();
        self.send_in(from, bytes, largest);
    }

    /// As `send`, with segments of at most `size` bytes.
    pub(crate) fn send_in(&mut self, from: Side, bytes: &[u8], size: usize) {
        if self.last == Some(from) {
            self.acknowledge(from.other());
        }
        let count = bytes.len().div_ceil(size);
        for (number, piece) in bytes.chunks(size).enumerate() {
            let push = if number + 1 == count { PSH } else { 0 };
            self.segment(from, ACK | push, piece);
            self.now += 13;
            if number % 2 == 1 && number + 1 < count {
                self.acknowledge(from.other());
            }
        }
        self.last = Some(from);
        self.now += self.round_trip / 2 + 210;
    }

    fn acknowledge(&mut self, by: Side) {
        let heard = match by {
            Side::Client => self.server.next != self.client.acknowledged,
            Side::Server => self.client.next != self.server.acknowledged,
        };
        if heard {
            self.now += self.round_trip / 2;
            self.segment(by, ACK, &[]);
        }
    }

    /// The same bytes once more, with the sequence number that they had.
    pub(crate) fn again(&mut self, from: Side, bytes: &[u8]) {
        let length = super::bytes::u32_of(bytes.len());
        let sender = match from {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        };
        sender.next = sender.next.wrapping_sub(length);
        self.now += 300_000;
        self.segment(from, ACK | PSH, bytes);
    }

    /// A segment that never arrives, however often it is sent, and a later one that does: the other end keeps to what it has.
    pub(crate) fn stuck(&mut self, from: Side, large: &[u8], later: &[u8], times: usize) {
        let lost = super::bytes::u32_of(large.len());
        self.segment(from, ACK, large);
        self.segment(from, ACK | PSH, later);
        let sent = match from {
            Side::Client => self.client.next,
            Side::Server => self.server.next,
        };
        let first = sent
            .wrapping_sub(super::bytes::u32_of(later.len()))
            .wrapping_sub(lost);
        self.now += self.round_trip / 2;
        for _ in 0..2 {
            self.segment(from.other(), ACK, &[]);
            self.rewrite(8, &first.to_be_bytes());
        }
        for _ in 0..times {
            self.now += 300_000;
            self.sender(from).next = first;
            self.segment(from, ACK, large);
        }
        self.sender(from).next = sent;
    }

    /// A segment that comes so many microseconds after the one behind it; where `asked`, the other end says twice before that it
    /// waits for it.
    pub(crate) fn behind(&mut self, from: Side, bytes: [&[u8]; 2], wait: u64, asked: bool) {
        let [late, early] = bytes;
        let first = self.sender(from).next;
        self.sender(from).next = first.wrapping_add(super::bytes::u32_of(late.len()));
        self.segment(from, ACK | PSH, early);
        let sent = self.sender(from).next;
        for _ in 0..if asked { 2 } else { 0 } {
            self.segment(from.other(), ACK, &[]);
            self.rewrite(8, &first.to_be_bytes());
        }
        self.now += wait;
        self.sender(from).next = first;
        self.segment(from, ACK, late);
        self.sender(from).next = sent;
        self.last = Some(from);
        self.now += self.round_trip / 2 + 210;
    }

    fn sender(&mut self, side: Side) -> &mut End {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    /// Puts other bytes into the header of the packet that was just sent.
    fn rewrite(&mut self, at: usize, bytes: &[u8]) {
        let packet = self.trace.packets.last_mut().expect("just sent");
        packet::put(&mut packet.segment, 16, &[0, 0]);
        packet::put(&mut packet.segment, at, bytes);
        let segment = packet.segment.clone();
        let (source, destination) = (packet.source, packet.destination);
        let sum = packet::transport_checksum(source, destination, packet::TCP, &segment);
        packet::put(&mut packet.segment, 16, &sum.to_be_bytes());
    }

    /// An acknowledgement that says that the buffer is full.
    pub(crate) fn full(&mut self, from: Side) {
        self.now += 200_000;
        self.segment(from, ACK, &[]);
        self.rewrite(14, &[0, 0]);
    }

    /// A reset in the middle of the connection.
    pub(crate) fn reset(mut self, from: Side) {
        self.segment(from, RST | ACK, &[]);
    }

    /// The latest packet, as an error of ICMP quotes it.
    pub(crate) fn quoted(&mut self) -> Packet {
        let packet = self.trace.packets.last_mut().expect("just sent");
        packet.id = Some(0x4242);
        packet.clone()
    }

    /// A packet of somebody else.
    pub(crate) fn beside(&mut self, packet: Packet) {
        self.trace.packets.push(packet);
    }

    /// An orderly close begun by the client: FIN, FIN, ACK.
    pub(crate) fn close(self) {
        self.close_from(Side::Client);
    }

    /// An orderly close begun by either end.
    pub(crate) fn close_from(mut self, from: Side) {
        if self.last == Some(from) {
            self.acknowledge(from.other());
        }
        self.segment(from, FIN | ACK, &[]);
        self.now += self.round_trip / 2 + 60;
        self.segment(from.other(), FIN | ACK, &[]);
        self.now += self.round_trip / 2;
        self.segment(from, ACK, &[]);
    }

    /// Leaves the connection open at the end of the sample, with everything acknowledged.
    pub(crate) fn leave(mut self) {
        if let Some(last) = self.last {
            self.now += DELAYED_ACKNOWLEDGEMENT;
            self.acknowledge(last.other());
        }
    }

    fn largest_segment(&self) -> usize {
        if self.client.address.is_ipv4() {
            1460
        } else {
            1440
        }
    }

    fn segment(&mut self, from: Side, flags: u8, payload: &[u8]) -> Option<Packet> {
        let options = if flags & SYN != 0 {
            let size = u16_of(self.largest_segment()).to_be_bytes();
            // MSS, no-operation, window scale 8, two no-operations, SACK permitted (RFC 9293, RFC 7323, RFC 2018)
            cat(&[&[2, 4], &size, &[1, 3, 3, 8, 1, 1, 4, 2]])
        } else {
            Vec::new()
        };
        let (sender, receiver) = match from {
            Side::Client => (&mut self.client, &mut self.server),
            Side::Server => (&mut self.server, &mut self.client),
        };
        let acknowledgement = if flags & ACK != 0 { receiver.next } else { 0 };
        let window = match flags {
            _ if flags & RST != 0 => 0,
            _ if flags & SYN != 0 => FIRST_WINDOW,
            _ => LATER_WINDOW,
        };
        let mut segment = cat(&[
            &sender.address.port().to_be_bytes(),
            &receiver.address.port().to_be_bytes(),
            &sender.next.to_be_bytes(),
            &acknowledgement.to_be_bytes(),
            &[u8_of((20 + options.len()) / 4) << 4, flags],
            &window.to_be_bytes(),
            &[0, 0, 0, 0],
            &options,
            payload,
        ]);
        let (source, destination) = (sender.address, receiver.address);
        let sum = packet::transport_checksum(source.ip(), destination.ip(), packet::TCP, &segment);
        packet::put(&mut segment, 16, &sum.to_be_bytes());
        let length = super::bytes::u32_of(payload.len()) + u32::from(flags & (SYN | FIN) != 0);
        sender.next = sender.next.wrapping_add(length);
        sender.acknowledged = acknowledgement;
        let mut packet = Packet::carrying(self.now, source, destination, packet::TCP, segment);
        packet.vlan = self.vlan;
        self.trace.packets.push(packet.clone());
        Some(packet)
    }
}
