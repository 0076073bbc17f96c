//! Episodes as bytes: a flow that carried no payload takes some forty of them, and no allocation of its own.
//!
//! A record holds numbers in groups of seven bits, times and packet numbers as differences to the first packet, and names
//! that decoders registered as their place in a table of the writer. It is no format for files: only the process that
//! wrote a record reads it, so a record that cannot be read is a mistake of this module, never of a capture.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use hashbrown::HashMap;
use uuid::Uuid;

use super::{
    Attribute, Episode, Fact, Jitter, Layer, MediaOffer, Offer, Offered, Peek, ReceivedReport,
    Reports, RtpStream, Seen, SentReport, Sorted, StreamKey, Value,
};
use crate::flow::{Facts, MisorderCounts, Opening, TcpTracker, Tracker};
use crate::net::{Endpoint, FlowKey, PerSide, Side, Timestamp, Transport};

/// Set in the first byte of a record: TCP headers were seen.
const TCP: u8 = 1;
/// The greater endpoint sent the first packet.
const FIRST_B: u8 = 1 << 1;
/// There is more than counters: decoders spoke, or a tunnel lies around it.
const SAID: u8 = 1 << 2;
/// The addresses are of IPv6.
const V6: u8 = 1 << 3;
/// Some packets came out of time.
const OUT_OF_TIME: u8 = 1 << 4;
/// Its packets lie in other captures than the first of the writer alone.
const CAPTURES: u8 = 1 << 5;

/// Names that records refer to.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    registered: Vec<&'static str>,
    captures: Vec<Arc<str>>,
    /// Places of registered names, by address and length: they are constants, few and never freed.
    places: HashMap<(usize, usize), u64, foldhash::fast::RandomState>,
}

impl Names {
    /// The place of a name that a decoder registered.
    fn place(&mut self, name: &'static str) -> u64 {
        let Self {
            registered, places, ..
        } = self;
        *places
            .entry((name.as_ptr().addr(), name.len()))
            .or_insert_with(|| {
                registered.push(name);
                (registered.len() as u64).saturating_sub(1)
            })
    }

    /// The place of a capture's name: a chain has few.
    fn capture(&mut self, name: &Arc<str>) -> u64 {
        let known = self.captures.iter().rposition(|known| known == name);
        let place = known.unwrap_or_else(|| {
            self.captures.push(Arc::clone(name));
            self.captures.len().saturating_sub(1)
        });
        place as u64
    }
}

/// The part of a record that orders it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) time: Timestamp,
    pub(super) key: FlowKey,
    pub(super) number: u64,
}

/// Appends a record.
pub(super) fn encode(episode: &Episode, names: &mut Names, out: &mut Vec<u8>) {
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

    fn number(&mut self, mut number: u64) {
        while number > 0x7f {
            self.out.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.out.push((number & 0x7f) as u8);
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
        // Only what was sent again can be stuck.
        for misorder in [misorder.a, misorder.b] {
            if misorder.retransmissions > 0 {
                self.number(u64::from(misorder.stuck));
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

/// What of a record can be told without reading it whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Glance {
    pub(super) place: Place,
    /// There is more than counters.
    pub(super) says: bool,
}

impl Glance {
    /// Of no record.
    pub(super) const NONE: Self = {
        let nowhere = Endpoint::new(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);
        Self {
            place: Place {
                time: Timestamp::from_nanos(0),
                key: FlowKey {
                    transport: Transport(0),
                    a: nowhere,
                    b: nowhere,
                },
                number: 0,
            },
            says: false,
        }
    };
}

/// The order of a record, and whether it says more than counts.
pub(super) fn glance(record: &[u8]) -> Option<Glance> {
    let mut from = Reader {
        rest: record,
        first: Seen {
            time: Timestamp::default(),
            frame: 0,
        },
    };
    let flags = from.byte()?;
    let time = from.nanos()?;
    let key = from.key(flags & V6 != 0)?;
    let number = from.number()?;
    Some(Glance {
        place: Place { time, key, number },
        says: flags & SAID != 0,
    })
}

/// Reads a record that [`encode`] wrote with these names.
pub(super) fn decode(record: &[u8], names: &Names, tap: &Arc<str>) -> Option<Episode> {
    let mut from = Reader {
        rest: record,
        first: Seen {
            time: Timestamp::default(),
            frame: 0,
        },
    };
    let flags = from.byte()?;
    let time = from.nanos()?;
    let key = from.key(flags & V6 != 0)?;
    let frame = from.number()?;
    from.first = Seen { time, frame };
    let (tracker, last_frame) = from.tracker(flags)?;
    let captures = if flags & CAPTURES == 0 {
        names.captures.first().cloned().into_iter().collect()
    } else {
        let count = from.number()?;
        from.list(count, |from| {
            let place = usize::try_from(from.number()?).ok()?;
            names.captures.get(place).cloned()
        })?
    };
    let mut episode = Episode {
        key,
        tap: Arc::clone(tap),
        tracker,
        last_frame,
        captures,
        tunnel: Vec::new(),
        protocols: Sorted::new(),
        facts: Sorted::new(),
        offers: Sorted::new(),
        streams: BTreeMap::new(),
        payload: Vec::new(),
        reports: BTreeMap::new(),
        client: None,
        gap_bytes: 0,
        disagreements: 0,
        left_out: 0,
    };
    if flags & SAID != 0 {
        from.sayings(&mut episode, names)?;
    }
    debug_assert!(from.rest.is_empty(), "a record is read to its end");
    Some(episode)
}

struct Reader<'a> {
    rest: &'a [u8],
    first: Seen,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*taken)
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        let mut shift = 0_u32;
        loop {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(number);
            }
            shift = shift.saturating_add(7);
        }
    }

    fn small<T: TryFrom<u64>>(&mut self) -> Option<T> {
        T::try_from(self.number()?).ok()
    }

    fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1).cast_signed() ^ (number & 1).cast_signed().wrapping_neg())
    }

    fn list<T>(
        &mut self,
        count: u64,
        mut read: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        (0..count).map(|_| read(self)).collect()
    }

    fn map<K: Ord, V>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Option<(K, V)>,
    ) -> Option<BTreeMap<K, V>> {
        let count = self.number()?;
        (0..count).map(|_| read(self)).collect()
    }

    fn sorted<K: Ord, V>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Option<(K, V)>,
    ) -> Option<Sorted<K, V>> {
        let count: usize = self.small()?;
        // A record is this process's own: its counts are true.
        let mut entries = Vec::with_capacity(count);
        for _ in 0..count {
            entries.push(read(self)?);
        }
        Some(Sorted::of_ascending(entries))
    }

    fn sized(&mut self) -> Option<&'a [u8]> {
        let length = self.small()?;
        self.take(length)
    }

    fn text(&mut self) -> Option<Box<str>> {
        Some(std::str::from_utf8(self.sized()?).ok()?.into())
    }

    fn name(&mut self, names: &Names) -> Option<&'static str> {
        let place: usize = self.small()?;
        names.registered.get(place).copied()
    }

    fn side(&mut self) -> Option<Side> {
        Some(side(self.byte()?))
    }

    /// A time in full.
    fn nanos(&mut self) -> Option<Timestamp> {
        Some(Timestamp::from_nanos(i64::from_le_bytes(self.array()?)))
    }

    fn time(&mut self) -> Option<Timestamp> {
        let nanos = self.first.time.nanos().wrapping_add(self.signed()?);
        Some(Timestamp::from_nanos(nanos))
    }

    fn frame(&mut self) -> Option<u64> {
        let difference = self.signed()?.cast_unsigned();
        Some(self.first.frame.wrapping_add(difference))
    }

    fn seen(&mut self) -> Option<Seen> {
        Some(Seen {
            time: self.time()?,
            frame: self.frame()?,
        })
    }

    fn address(&mut self) -> Option<IpAddr> {
        Some(match self.byte()? {
            4 => IpAddr::from(self.array::<4>()?),
            _ => IpAddr::from(self.array::<16>()?),
        })
    }

    fn port(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.array()?))
    }

    fn endpoint(&mut self) -> Option<Endpoint> {
        Some(Endpoint::new(self.address()?, self.port()?))
    }

    fn key(&mut self, is_v6: bool) -> Option<FlowKey> {
        let transport = Transport(self.byte()?);
        let mut end = || {
            let address = if is_v6 {
                self.address()?
            } else {
                IpAddr::from(self.array::<4>()?)
            };
            Some(Endpoint::new(address, self.port()?))
        };
        let (a, b) = (end()?, end()?);
        Some(FlowKey { transport, a, b })
    }

    fn optional<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.byte()? {
            0 => Some(None),
            _ => read(self).map(Some),
        }
    }

    fn per_side(&mut self) -> Option<PerSide<u64>> {
        Some(PerSide::new(self.number()?, self.number()?))
    }

    fn tracker(&mut self, flags: u8) -> Option<(Tracker, u64)> {
        let last_seen = self.time()?;
        let last_frame = self.frame()?;
        let tracker = Tracker {
            last_seen,
            packets: self.per_side()?,
            bytes: self.per_side()?,
            payload_bytes: self.per_side()?,
            first_seen: self.first.time,
            first_number: self.first.frame,
            first_sender: side(flags & FIRST_B),
            out_of_time: if flags & OUT_OF_TIME != 0 {
                self.number()?
            } else {
                0
            },
            longest_silence_ns: self.signed()?,
            tcp: if flags & TCP != 0 {
                Some(self.tcp()?)
            } else {
                None
            },
        };
        Some((tracker, last_frame))
    }

    fn tcp(&mut self) -> Option<TcpTracker> {
        let [a, b] = self.array()?;
        let mut present = u16::from_le_bytes(self.array()?);
        let mut is_next = || {
            let is_there = present & 1 != 0;
            present >>= 1;
            is_there
        };
        let openings = [is_next(), is_next()];
        let acks = [is_next(), is_next()];
        let data = [is_next(), is_next()];
        let counted: [bool; 10] = std::array::from_fn(|_| is_next());
        let mut opening = |is_there: bool| -> Option<Option<Opening>> {
            if !is_there {
                return Some(None);
            }
            let time = self.time()?;
            let isn = u32::from_le_bytes(self.array()?);
            Some(Some(Opening { time, isn }))
        };
        let opening = PerSide::new(opening(openings[0])?, opening(openings[1])?);
        let mut time = |is_there: bool| -> Option<Option<Timestamp>> {
            if is_there {
                self.time().map(Some)
            } else {
                Some(None)
            }
        };
        let first_ack = PerSide::new(time(acks[0])?, time(acks[1])?);
        let first_data = PerSide::new(time(data[0])?, time(data[1])?);
        let mut counts = [0_u32; 10];
        for (count, is_there) in counts.iter_mut().zip(counted) {
            if is_there {
                *count = self.small()?;
            }
        }
        let [
            syns_a,
            syns_b,
            resets_a,
            resets_b,
            zero_a,
            zero_b,
            again_a,
            again_b,
            order_a,
            order_b,
        ] = counts;
        let mut misorder = |retransmissions, out_of_order| {
            Some(MisorderCounts {
                retransmissions,
                out_of_order,
                stuck: if retransmissions > 0 {
                    self.small()?
                } else {
                    0
                },
            })
        };
        let misorder = PerSide::new(misorder(again_a, order_a)?, misorder(again_b, order_b)?);
        Some(TcpTracker {
            facts: PerSide::new(Facts::from_bits(a), Facts::from_bits(b)),
            opening,
            first_ack,
            first_data,
            syns: PerSide::new(syns_a, syns_b),
            resets: PerSide::new(resets_a, resets_b),
            zero_windows: PerSide::new(zero_a, zero_b),
            misorder,
        })
    }

    fn sayings(&mut self, episode: &mut Episode, names: &Names) -> Option<()> {
        episode.client = match self.byte()? {
            1 => Some(Side::A),
            2 => Some(Side::B),
            _ => None,
        };
        episode.gap_bytes = self.number()?;
        episode.disagreements = self.number()?;
        episode.left_out = self.number()?;
        let tunnels = self.number()?;
        episode.tunnel = self.list(tunnels, Self::text)?;
        episode.protocols = self.sorted(|from| {
            let name = from.name(names)?;
            let depth = from.byte()?;
            let seen = from.seen()?;
            Some((name, Layer { depth, seen }))
        })?;
        episode.facts = self.sorted(|from| Some((from.fact(names)?, from.seen()?)))?;
        episode.offers = self.sorted(|from| Some((from.offer(names)?, from.seen()?)))?;
        episode.streams = self.map(|from| Some((from.stream_key()?, from.stream()?)))?;
        let peeks = self.number()?;
        episode.payload = self.list(peeks, |from| {
            Some(Peek {
                seen: from.seen()?,
                side: from.side()?,
                length: from.small()?,
                bytes: from.sized()?.into(),
            })
        })?;
        episode.reports = self.map(|from| Some((from.stream_key()?, from.reports()?)))?;
        Some(())
    }

    fn fact(&mut self, names: &Names) -> Option<Fact> {
        let attribute = Attribute {
            protocol: self.name(names)?,
            name: self.name(names)?,
        };
        let subject = self.number()?;
        let tag = self.byte()?;
        let value = match tag >> 1 {
            0 => Value::Number(self.number()?),
            1 => Value::Text(self.text()?),
            2 => {
                let (uuid, major, minor) = self.interface()?;
                Value::Interface { uuid, major, minor }
            }
            3 => Value::Address(self.address()?),
            _ => Value::Time(self.nanos()?),
        };
        Some(Fact {
            attribute,
            subject,
            value,
            side: side(tag & 1),
        })
    }

    fn interface(&mut self) -> Option<(Uuid, u16, u16)> {
        let uuid = Uuid::from_bytes(self.array()?);
        Some((uuid, self.small()?, self.small()?))
    }

    fn offer(&mut self, names: &Names) -> Option<Offer> {
        Some(Offer {
            transport: Transport(self.byte()?),
            endpoint: self.endpoint()?,
            by: self.address()?,
            to: self.address()?,
            offered: self.offered(names)?,
        })
    }

    fn offered(&mut self, names: &Names) -> Option<Offered> {
        Some(match self.byte()? {
            0 => {
                let (uuid, major, minor) = self.interface()?;
                Offered::Rpc {
                    uuid,
                    major,
                    minor,
                    protocol_sequence: self.name(names)?,
                    annotation: self.optional(Self::text)?,
                    tower_address: self.optional(Self::address)?,
                }
            }
            1 => Offered::Dcom {
                protocol_sequence: self.name(names)?,
                host: self.text()?,
                operation: self.name(names)?,
            },
            2 => Offered::Media(Box::new(self.media()?)),
            3 => Offered::Candidate {
                kind: self.text()?,
                call_id: self.text()?,
            },
            4 => Offered::Relay,
            5 => Offered::Host { name: self.text()? },
            6 => Offered::Protocol {
                protocol: self.name(names)?,
                name: self.text()?,
            },
            _ => Offered::Data {
                protocol: self.name(names)?,
            },
        })
    }

    fn media(&mut self) -> Option<MediaOffer> {
        let (media, profile) = (self.text()?, self.text()?);
        let codecs = self.number()?;
        Some(MediaOffer {
            media,
            profile,
            codecs: self.list(codecs, Self::text)?,
            rtcp_port: self.optional(Self::small)?,
            direction: self.text()?,
            keyed: self.byte()? != 0,
            call_id: self.text()?,
        })
    }

    fn stream_key(&mut self) -> Option<StreamKey> {
        Some(StreamKey {
            side: self.side()?,
            ssrc: u32::from_le_bytes(self.array()?),
        })
    }

    fn stream(&mut self) -> Option<RtpStream> {
        Some(RtpStream {
            first_seen: self.time()?,
            last_seen: self.time()?,
            payload_types: self.map(|from| Some((from.byte()?, from.number()?)))?,
            packets: self.number()?,
            octets: self.number()?,
            out_of_order: self.number()?,
            duplicates: self.number()?,
            lost: self.signed()?,
            max_delta_ns: self.signed()?,
            jitter: self.jitter()?,
            dynamic_jitter: {
                let count = self.number()?;
                self.list(count, Self::jitter)?
            },
        })
    }

    fn jitter(&mut self) -> Option<Jitter> {
        Some(Jitter {
            clock_rate: self.small()?,
            scaled_ns: self.number()?,
            max_ns: self.number()?,
            sum_ns: self.number()?,
            counted: self.number()?,
            misfit_ns: self.number()?,
        })
    }

    fn reports(&mut self) -> Option<Reports> {
        Some(Reports {
            sent: self.optional(|from| {
                Some(SentReport {
                    time: from.time()?,
                    packets: from.small()?,
                    octets: from.small()?,
                })
            })?,
            received: self.optional(|from| {
                Some(ReceivedReport {
                    time: from.time()?,
                    lost: i32::try_from(from.signed()?).ok()?,
                    jitter: from.small()?,
                })
            })?,
            max_fraction_lost: self.byte()?,
            max_jitter: self.small()?,
            blocks: self.number()?,
            round_trips: self.number()?,
            round_trip_sum_ns: self.number()?,
            round_trip_max_ns: self.number()?,
        })
    }
}

const fn side(byte: u8) -> Side {
    if byte == 0 { Side::A } else { Side::B }
}
