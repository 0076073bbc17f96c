//! Episodes out of bytes.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use uuid::Uuid;

use super::super::{
    Attribute, Episode, Fact, Jitter, Layer, MediaOffer, Offer, Offered, Peek, ReceivedReport,
    Reports, RtpStream, Seen, SentReport, Sorted, StreamKey, Value, varint,
};
use super::{CAPTURES, FIRST_B, Glance, Names, OUT_OF_TIME, Place, SAID, TCP, V6};
use crate::flow::{Facts, MisorderCounts, Opening, TcpTracker, Tracker};
use crate::net::{Endpoint, FlowKey, PerSide, Side, Timestamp, Transport};

/// The order of a record, and whether it says more than counts.
pub(in crate::evidence) fn glance(record: &[u8]) -> Option<Glance> {
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
pub(in crate::evidence) fn decode(record: &[u8], names: &Names, tap: &Arc<str>) -> Option<Episode> {
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
        varint::take(&mut self.rest)
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
                Some(Box::new(self.tcp()?))
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
                overtaken: if out_of_order > 0 { self.small()? } else { 0 },
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
