//! Episodes into bytes.

use std::net::IpAddr;

use uuid::Uuid;

use super::super::{
    Attribute, Episode, Fact, Jitter, MediaOffer, Offer, Offered, ReceivedReport, Reports,
    RtpStream, Seen, SentReport, StreamKey, Value, varint,
};
use super::{CAPTURES, FIRST_B, Names, OUT_OF_TIME, SAID, TCP, V6};
use crate::flow::{MisorderCounts, TcpTracker, Tracker};
use crate::net::{Endpoint, FlowKey, PerSide, Side, Timestamp};

/// Appends a record.
pub(in crate::evidence) fn encode(episode: &Episode, names: &mut Names, out: &mut Vec<u8>) {
    // Every field is named, so that one that nobody packs does not compile.
    let Episode {
        key,
        tap: _,
        tracker,
        last_frame,
        captures,
        tunnel,
        protocols,
        facts,
        offers,
        streams,
        payload,
        reports,
        client,
        gap_bytes,
        disagreements,
        left_out,
    } = episode;
    let says = !(tunnel.is_empty()
        && protocols.is_empty()
        && facts.is_empty()
        && offers.is_empty()
        && streams.is_empty()
        && payload.is_empty()
        && reports.is_empty()
        && client.is_none()
        && *gap_bytes == 0
        && *disagreements == 0
        && *left_out == 0);
    let is_usual = matches!(captures.as_slice(), [one] if names.capture(one) == 0);
    let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    let is_v6 = key.a.address.is_ipv6() || key.b.address.is_ipv6();
    out.push(
        flag(tracker.tcp.is_some(), TCP)
            | flag(tracker.first_sender == Side::B, FIRST_B)
            | flag(says, SAID)
            | flag(is_v6, V6)
            | flag(tracker.out_of_time > 0, OUT_OF_TIME)
            | flag(!is_usual, CAPTURES),
    );
    let mut to = Writer {
        out,
        names,
        first: Seen {
            time: tracker.first_seen,
            frame: tracker.first_number,
        },
    };
    to.bytes(&tracker.first_seen.nanos().to_le_bytes());
    to.key(key, is_v6);
    to.number(tracker.first_number);
    to.tracker(tracker, *last_frame);
    if !is_usual {
        to.number(captures.len() as u64);
        for capture in captures {
            let place = to.names.capture(capture);
            to.number(place);
        }
    }
    if !says {
        return;
    }
    to.byte(match client {
        None => 0,
        Some(Side::A) => 1,
        Some(Side::B) => 2,
    });
    for count in [gap_bytes, disagreements, left_out] {
        to.number(*count);
    }
    to.number(tunnel.len() as u64);
    tunnel.iter().for_each(|tunnel| to.text(tunnel));
    to.number(protocols.len() as u64);
    for (protocol, layer) in protocols {
        to.name(protocol);
        to.byte(layer.depth);
        to.seen(layer.seen);
    }
    to.number(facts.len() as u64);
    for (fact, seen) in facts {
        to.fact(fact);
        to.seen(*seen);
    }
    to.number(offers.len() as u64);
    for (offer, seen) in offers {
        to.offer(offer);
        to.seen(*seen);
    }
    to.number(streams.len() as u64);
    for (key, stream) in streams {
        to.stream_key(*key);
        to.stream(stream);
    }
    to.number(payload.len() as u64);
    for peek in payload {
        to.seen(peek.seen);
        to.side(peek.side);
        to.number(u64::from(peek.length));
        to.sized(&peek.bytes);
    }
    to.number(reports.len() as u64);
    for (key, reports) in reports {
        to.stream_key(*key);
        to.reports(reports);
    }
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    names: &'a mut Names,
    first: Seen,
}

impl Writer<'_> {
    fn byte(&mut self, byte: u8) {
        self.out.push(byte);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn number(&mut self, number: u64) {
        varint::put(self.out, number);
    }

    /// A number that may be negative: small ones of either sign are short.
    fn signed(&mut self, number: i64) {
        self.number(((number << 1) ^ (number >> 63)).cast_unsigned());
    }

    fn sized(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.bytes(bytes);
    }

    fn text(&mut self, text: &str) {
        self.sized(text.as_bytes());
    }

    fn name(&mut self, name: &'static str) {
        let place = self.names.place(name);
        self.number(place);
    }

    fn side(&mut self, side: Side) {
        self.byte(u8::from(side == Side::B));
    }

    fn time(&mut self, time: Timestamp) {
        self.signed(time.nanos().wrapping_sub(self.first.time.nanos()));
    }

    fn seen(&mut self, seen: Seen) {
        self.time(seen.time);
        self.signed(seen.frame.wrapping_sub(self.first.frame).cast_signed());
    }

    fn address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => {
                self.byte(4);
                self.bytes(&address.octets());
            }
            IpAddr::V6(address) => {
                self.byte(6);
                self.bytes(&address.octets());
            }
        }
    }

    fn endpoint(&mut self, endpoint: Endpoint) {
        self.address(endpoint.address);
        self.bytes(&endpoint.port.to_le_bytes());
    }

    fn key(&mut self, key: &FlowKey, is_v6: bool) {
        self.byte(key.transport.0);
        for endpoint in [key.a, key.b] {
            if is_v6 {
                self.address(endpoint.address);
            } else if let IpAddr::V4(address) = endpoint.address {
                self.bytes(&address.octets());
            }
            self.bytes(&endpoint.port.to_le_bytes());
        }
    }

    fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.byte(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn tracker(&mut self, tracker: &Tracker, last_frame: u64) {
        let Tracker {
            last_seen,
            packets,
            bytes,
            payload_bytes,
            first_seen: _,
            first_number,
            first_sender: _,
            tcp,
            out_of_time,
            longest_silence_ns,
        } = tracker;
        self.time(*last_seen);
        self.signed(last_frame.wrapping_sub(*first_number).cast_signed());
        for counts in [packets, bytes, payload_bytes] {
            self.number(counts.a);
            self.number(counts.b);
        }
        if *out_of_time > 0 {
            self.number(*out_of_time);
        }
        self.signed(*longest_silence_ns);
        if let Some(tcp) = tcp {
            self.tcp(tcp);
        }
    }

    fn tcp(&mut self, tcp: &TcpTracker) {
        let TcpTracker {
            facts,
            opening,
            first_ack,
            first_data,
            syns,
            resets,
            zero_windows,
            misorder,
        } = tcp;
        self.bytes(&[facts.a.bits(), facts.b.bits()]);
        let openings = [opening.a, opening.b];
        let times = [first_ack.a, first_ack.b, first_data.a, first_data.b];
        let counts = counts(*syns, *resets, *zero_windows, *misorder);
        let mut present = 0_u16;
        let mut bit = 1_u16;
        let flags = openings.iter().map(Option::is_some);
        let flags = flags.chain(times.iter().map(Option::is_some));
        for is_there in flags.chain(counts.iter().map(|count| *count > 0)) {
            if is_there {
                present |= bit;
            }
            bit = bit.wrapping_shl(1);
        }
        self.bytes(&present.to_le_bytes());
        for opening in openings.into_iter().flatten() {
            self.time(opening.time);
            self.bytes(&opening.isn.to_le_bytes());
        }
        for time in times.into_iter().flatten() {
            self.time(time);
        }
        for count in counts.into_iter().filter(|count| *count > 0) {
            self.number(u64::from(count));
        }
        // Only what was sent again can be stuck, only what is out of order overtaken.
        for misorder in [misorder.a, misorder.b] {
            if misorder.retransmissions > 0 {
                self.number(u64::from(misorder.stuck));
            }
            if misorder.out_of_order > 0 {
                self.number(u64::from(misorder.overtaken));
            }
        }
    }

    fn fact(&mut self, fact: &Fact) {
        let Fact {
            attribute: Attribute { protocol, name },
            subject,
            value,
            side,
        } = fact;
        self.name(protocol);
        self.name(name);
        self.number(*subject);
        let tag = match value {
            Value::Number(_) => 0,
            Value::Text(_) => 1,
            Value::Interface { .. } => 2,
            Value::Address(_) => 3,
            Value::Time(_) => 4,
        };
        self.byte(tag << 1 | u8::from(*side == Side::B));
        match value {
            Value::Number(number) => self.number(*number),
            Value::Text(text) => self.text(text),
            Value::Interface { uuid, major, minor } => self.interface(*uuid, *major, *minor),
            Value::Address(address) => self.address(*address),
            Value::Time(time) => self.bytes(&time.nanos().to_le_bytes()),
        }
    }

    fn interface(&mut self, uuid: Uuid, major: u16, minor: u16) {
        self.bytes(uuid.as_bytes());
        self.number(u64::from(major));
        self.number(u64::from(minor));
    }

    fn offer(&mut self, offer: &Offer) {
        let Offer {
            transport,
            endpoint,
            by,
            to,
            offered,
        } = offer;
        self.byte(transport.0);
        self.endpoint(*endpoint);
        self.address(*by);
        self.address(*to);
        match offered {
            Offered::Rpc {
                uuid,
                major,
                minor,
                protocol_sequence,
                annotation,
                tower_address,
            } => {
                self.byte(0);
                self.interface(*uuid, *major, *minor);
                self.name(protocol_sequence);
                self.optional(annotation.as_deref(), Self::text);
                self.optional(*tower_address, Self::address);
            }
            Offered::Dcom {
                protocol_sequence,
                host,
                operation,
            } => {
                self.byte(1);
                self.name(protocol_sequence);
                self.text(host);
                self.name(operation);
            }
            Offered::Media(media) => {
                self.byte(2);
                self.media(media);
            }
            Offered::Candidate { kind, call_id } => {
                self.byte(3);
                self.text(kind);
                self.text(call_id);
            }
            Offered::Relay => self.byte(4),
            Offered::Host { name } => {
                self.byte(5);
                self.text(name);
            }
            Offered::Protocol { protocol, name } => {
                self.byte(6);
                self.name(protocol);
                self.text(name);
            }
            Offered::Data { protocol } => {
                self.byte(7);
                self.name(protocol);
            }
        }
    }

    fn media(&mut self, offer: &MediaOffer) {
        let MediaOffer {
            media,
            profile,
            codecs,
            rtcp_port,
            direction,
            keyed,
            call_id,
        } = offer;
        self.text(media);
        self.text(profile);
        self.number(codecs.len() as u64);
        codecs.iter().for_each(|codec| self.text(codec));
        self.optional(*rtcp_port, |to, port| to.number(u64::from(port)));
        self.text(direction);
        self.byte(u8::from(*keyed));
        self.text(call_id);
    }

    fn stream_key(&mut self, key: StreamKey) {
        self.side(key.side);
        self.bytes(&key.ssrc.to_le_bytes());
    }

    fn stream(&mut self, stream: &RtpStream) {
        let RtpStream {
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
        } = stream;
        self.time(*first_seen);
        self.time(*last_seen);
        self.number(payload_types.len() as u64);
        for (payload_type, packets) in payload_types {
            self.byte(*payload_type);
            self.number(*packets);
        }
        for count in [packets, octets, out_of_order, duplicates] {
            self.number(*count);
        }
        self.signed(*lost);
        self.signed(*max_delta_ns);
        self.jitter(jitter);
        self.number(dynamic_jitter.len() as u64);
        dynamic_jitter.iter().for_each(|jitter| self.jitter(jitter));
    }

    fn jitter(&mut self, jitter: &Jitter) {
        let Jitter {
            clock_rate,
            scaled_ns,
            max_ns,
            sum_ns,
            counted,
            misfit_ns,
        } = jitter;
        self.number(u64::from(*clock_rate));
        for value in [scaled_ns, max_ns, sum_ns, counted, misfit_ns] {
            self.number(*value);
        }
    }

    fn reports(&mut self, reports: &Reports) {
        let Reports {
            sent,
            received,
            blocks,
            max_fraction_lost,
            max_jitter,
            round_trips,
            round_trip_sum_ns,
            round_trip_max_ns,
        } = reports;
        self.optional(*sent, |to, sent| {
            let SentReport {
                time,
                packets,
                octets,
            } = sent;
            to.time(time);
            to.number(u64::from(packets));
            to.number(u64::from(octets));
        });
        self.optional(*received, |to, received| {
            let ReceivedReport { time, lost, jitter } = received;
            to.time(time);
            to.signed(i64::from(lost));
            to.number(u64::from(jitter));
        });
        self.byte(*max_fraction_lost);
        self.number(u64::from(*max_jitter));
        for value in [blocks, round_trips, round_trip_sum_ns, round_trip_max_ns] {
            self.number(*value);
        }
    }
}

/// The counts of a TCP connection in the order of their flags.
fn counts(
    syns: PerSide<u32>,
    resets: PerSide<u32>,
    zero_windows: PerSide<u32>,
    misorder: PerSide<MisorderCounts>,
) -> [u32; 10] {
    [
        syns.a,
        syns.b,
        resets.a,
        resets.b,
        zero_windows.a,
        zero_windows.b,
        misorder.a.retransmissions,
        misorder.b.retransmissions,
        misorder.a.out_of_order,
        misorder.b.out_of_order,
    ]
}
