//! The streams of calls: which call announced them, what they carry, and how well they arrived.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::CallFlows;
use super::dialogue::Dialogue;
use super::quality::{self, Measured};
use crate::attribution::{Attribution, Flow, Standing};
use crate::evidence::{Jitter, MediaOffer, Offered, Reports, RtpStream, StreamKey, assigned_type};
use crate::net::{Endpoint, FlowKey, Side, Timestamp, Transport};

/// Media that arrive so long after the end of a call are still its own, in nanoseconds: packets on their way.
const LINGER_NS: i64 = 2_000_000_000;
/// Reports may come so long before or after the packets that they are about, in nanoseconds: a goodbye, or silence at first.
const REPORT_SLACK_NS: i64 = 30_000_000_000;

/// Where the clock rate of a stream is known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockSource {
    /// RFC 3551 assigns it to the payload type.
    Assigned,
    /// The call's session description says it.
    Announced,
    /// It is the usual one that fits the arrivals best.
    Fitted,
}

impl ClockSource {
    /// The word for outputs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Assigned => "assigned",
            Self::Announced => "announced",
            Self::Fitted => "fitted",
        }
    }
}

/// What RTCP says of a stream.
#[derive(Clone, Debug)]
pub struct Far {
    /// The reports.
    pub reports: Reports,
    /// Numbers of the flows that carry them.
    pub flows: Vec<u64>,
}

/// One direction of media.
#[derive(Clone, Debug)]
pub struct CallStream<'a> {
    /// Number of its flow.
    pub flow: u64,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Who sends it.
    pub from: Endpoint,
    /// Who receives it.
    pub to: Endpoint,
    /// `audio`, `video` ... as announced.
    pub media: Option<&'a str>,
    /// The payload type of most packets, events and comfort noise aside.
    pub payload_type: u8,
    /// What that type is, by the session description or by RFC 3551.
    pub codec: Option<&'a str>,
    /// Clock rate in Hz that jitter was measured with, and how it is known.
    pub clock: Option<(u32, ClockSource)>,
    /// The measurements.
    pub stream: &'a RtpStream,
    /// Jitter at that clock rate.
    pub jitter: Option<Jitter>,
    /// What the far end says.
    pub far: Option<Far>,
    /// Mean opinion score, 1 to 4.5, estimated; `None` where the codec has no published parameters.
    pub mos: Option<f64>,
    /// How it is protected.
    pub encryption: &'static str,
}

/// A stream in its flow.
pub(super) struct Found<'a> {
    pub(super) key: FlowKey,
    pub(super) stream: &'a RtpStream,
    flow: &'a Flow,
    attribution: &'a Attribution,
    source: StreamKey,
}

impl Found<'_> {
    fn from(&self) -> Endpoint {
        self.key.endpoint(self.source.side)
    }

    fn to(&self) -> Endpoint {
        self.key.endpoint(self.source.side.other())
    }
}

/// All flows with media, and where to look for reports.
pub(super) struct Streams<'a> {
    flows: &'a CallFlows<'a>,
    reporting: HashMap<FlowKey, Vec<&'a Flow>>,
}

impl<'a> Streams<'a> {
    pub(super) fn of(flows: &'a CallFlows<'a>) -> Self {
        let mut reporting: HashMap<FlowKey, Vec<&Flow>> = HashMap::new();
        let all = flows.flows.iter().map(|(flow, _)| flow);
        for flow in all.filter(|flow| !flow.reports.is_empty()) {
            reporting.entry(flow.key).or_default().push(flow);
        }
        Self { flows, reporting }
    }

    /// The streams of flows that are RTP. Where only the payload says so, a source that came once may be a chance agreement.
    pub(super) fn all(&self) -> impl Iterator<Item = Found<'a>> {
        let media = self
            .flows
            .flows
            .iter()
            .filter(|(_, attribution)| attribution.protocols.contains(&"rtp"));
        media.flat_map(|(flow, attribution)| {
            flow.streams
                .iter()
                .filter(|(_, stream)| attribution.announced_media || stream.packets > 1)
                .map(move |(source, stream)| Found {
                    key: flow.key,
                    stream,
                    flow,
                    attribution,
                    source: *source,
                })
        })
    }

    /// The calls that announced it: those that name both of its ends before those that name one, those that it can belong to by
    /// time before others. Legs of one conversation may announce the same ends; of calls that share one end, the last counts.
    pub(super) fn announcing(
        &self,
        found: &Found<'_>,
        dialogues: &BTreeMap<&'a str, Dialogue<'a>>,
    ) -> Vec<&'a str> {
        let mut claims: BTreeMap<&str, (u8, Timestamp)> = BTreeMap::new();
        for endpoint in [found.from(), found.to()] {
            let mut here: BTreeMap<&str, Timestamp> = BTreeMap::new();
            for standing in self.flows.judged.offers.at(Transport::UDP, endpoint) {
                if let Some(call_id) = standing.call_id() {
                    // In the order of packets: the first announcement stays.
                    here.entry(call_id).or_insert(standing.sight.seen.time);
                }
            }
            for (call_id, time) in here {
                let (ends, first) = claims.entry(call_id).or_insert((0, time));
                *ends = ends.saturating_add(1);
                *first = time.min(*first);
            }
        }
        let lasts = |call_id: &str, announced: Timestamp| {
            let end = dialogues.get(call_id).and_then(Dialogue::end);
            announced <= found.stream.last_seen
                && end.is_none_or(|end| found.stream.first_seen.since(end) <= LINGER_NS)
        };
        let weight = |(call_id, (ends, announced)): (&str, (u8, Timestamp))| {
            (lasts(call_id, announced), ends)
        };
        let Some(best) = claims.iter().map(|(id, claim)| weight((id, *claim))).max() else {
            return Vec::new();
        };
        claims.retain(|call_id, claim| weight((call_id, *claim)) == best);
        if best == (true, 2) {
            return claims.into_keys().collect();
        }
        let before = |announced: Timestamp| announced <= found.stream.first_seen;
        let last = claims
            .into_iter()
            .max_by_key(|(call_id, (_, announced))| (before(*announced), *announced, *call_id));
        last.into_iter().map(|(call_id, _)| call_id).collect()
    }

    /// The stream as part of a call that made these offers.
    pub(super) fn measure(
        &self,
        found: &Found<'a>,
        offers: Option<&[&'a Standing]>,
    ) -> CallStream<'a> {
        let announced = Announced::of(found, offers.unwrap_or_default());
        let (payload_type, codec) = main_type(found.stream, &announced);
        let (clock, jitter) = clock(found.stream, payload_type, codec);
        let far = self.far(found, &announced);
        let codec = codec.map(|codec| codec.name);
        let round_trip_ms = far
            .as_ref()
            .and_then(|far| {
                far.reports
                    .round_trip_sum_ns
                    .checked_div(far.reports.round_trips)
            })
            .map_or(0.0, millis);
        let mos = codec.and_then(|codec| {
            let measured = Measured {
                lost: lost_part(found.stream),
                jitter_ms: jitter
                    .and_then(|jitter| jitter.mean_ns())
                    .map_or(0.0, millis),
                round_trip_ms,
            };
            quality::mos(codec, measured)
        });
        CallStream {
            flow: found.flow.number,
            ssrc: found.source.ssrc,
            from: found.from(),
            to: found.to(),
            media: announced.media().map(|media| &*media.media),
            payload_type,
            codec,
            clock,
            stream: found.stream,
            jitter,
            far,
            mos,
            encryption: found.attribution.encryption.kind.word(),
        }
    }

    /// Reports about the stream: on its own flow (RFC 5761), on the next ports, or where the call said.
    fn far(&self, found: &Found<'_>, announced: &Announced<'_>) -> Option<Far> {
        let ports = |end: Endpoint| {
            let offered = announced.at(end).filter_map(|media| media.rtcp_port);
            let next = end.port.checked_add(1);
            let ports: BTreeSet<u16> = [end.port].into_iter().chain(next).chain(offered).collect();
            ports
                .into_iter()
                .map(move |port| Endpoint::new(end.address, port))
        };
        let mut far: Option<Far> = None;
        for from in ports(found.from()) {
            for to in ports(found.to()) {
                let (key, side) = FlowKey::of(Transport::UDP, from, to);
                for flow in self.reporting.get(&key).into_iter().flatten() {
                    if let Some(reports) = about(flow, found, side) {
                        let far = far.get_or_insert_with(|| Far {
                            reports: Reports::default(),
                            flows: Vec::new(),
                        });
                        far.reports.join(*reports);
                        far.flows.push(flow.number);
                    }
                }
            }
        }
        if let Some(far) = &mut far {
            far.flows.sort_unstable();
        }
        far
    }
}

/// What a flow reports on a stream that `side` of it sends, if both are of one time.
fn about<'a>(flow: &'a Flow, found: &Found<'_>, side: Side) -> Option<&'a Reports> {
    let is_apart = flow.tracker.first_seen.since(found.stream.last_seen) > REPORT_SLACK_NS
        || found.stream.first_seen.since(flow.tracker.last_seen) > REPORT_SLACK_NS;
    if is_apart {
        return None;
    }
    flow.reports.get(&StreamKey {
        side,
        ssrc: found.source.ssrc,
    })
}

/// Media lines of the call that name an end of the stream, the latest first.
struct Announced<'a> {
    receiver: Vec<&'a MediaOffer>,
    sender: Vec<&'a MediaOffer>,
    others: Vec<&'a MediaOffer>,
    to: Endpoint,
}

impl<'a> Announced<'a> {
    fn of(found: &Found<'_>, offers: &[&'a Standing]) -> Self {
        let mut announced = Self {
            receiver: Vec::new(),
            sender: Vec::new(),
            others: Vec::new(),
            to: found.to(),
        };
        for standing in offers.iter().rev() {
            if let Offered::Media(media) = &standing.offer.offered {
                let list = if standing.offer.endpoint == found.to() {
                    &mut announced.receiver
                } else if standing.offer.endpoint == found.from() {
                    &mut announced.sender
                } else {
                    &mut announced.others
                };
                list.push(media);
            }
        }
        announced
    }

    fn at(&self, end: Endpoint) -> impl Iterator<Item = &'a MediaOffer> {
        let own = if end == self.to {
            &self.receiver
        } else {
            &self.sender
        };
        own.iter().copied()
    }

    fn media(&self) -> Option<&'a MediaOffer> {
        self.receiver.iter().chain(&self.sender).copied().next()
    }

    /// What a payload type is. The receiver's numbers count (RFC 3264 section 5.1), then those of the sender; where a NAT hides
    /// both, those of any line of the call.
    fn codec(&self, payload_type: u8) -> Option<Codec<'a>> {
        let lines = self.receiver.iter().chain(&self.sender).chain(&self.others);
        lines
            .flat_map(|media| media.codecs.iter())
            .find_map(|codec| {
                Codec::parse(codec).filter(|codec| codec.payload_type == payload_type)
            })
    }
}

/// `96 opus/48000/2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Codec<'a> {
    payload_type: u8,
    name: &'a str,
    clock_rate: u32,
}

impl<'a> Codec<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (payload_type, map) = text.split_once(' ')?;
        let mut parts = map.trim().split('/');
        Some(Self {
            payload_type: payload_type.parse().ok()?,
            name: parts.next()?,
            clock_rate: parts.next()?.trim().parse().ok()?,
        })
    }

    fn assigned(payload_type: u8) -> Option<Self> {
        let (name, clock_rate) = assigned_type(payload_type)?;
        Some(Self {
            payload_type,
            name,
            clock_rate,
        })
    }

    /// Whether it accompanies a medium: events (RFC 4733) and comfort noise (RFC 3389).
    fn accompanies(&self) -> bool {
        ["telephone-event", "tone", "CN"]
            .iter()
            .any(|name| self.name.eq_ignore_ascii_case(name))
    }
}

/// The payload type of most packets, and what it is.
fn main_type<'a>(stream: &RtpStream, announced: &Announced<'a>) -> (u8, Option<Codec<'a>>) {
    let types = stream.payload_types.iter().map(|(number, packets)| {
        let codec = Codec::assigned(*number).or_else(|| announced.codec(*number));
        let is_medium = !codec.is_some_and(|codec| codec.accompanies());
        ((is_medium, *packets, std::cmp::Reverse(*number)), codec)
    });
    types
        .max_by_key(|(weight, _)| *weight)
        .map_or((0, None), |((.., number), codec)| (number.0, codec))
}

/// The clock of a payload type, and the jitter at it.
fn clock(
    stream: &RtpStream,
    payload_type: u8,
    codec: Option<Codec<'_>>,
) -> (Option<(u32, ClockSource)>, Option<Jitter>) {
    let measured = |jitter: &Jitter| (jitter.counted > 0).then_some(*jitter);
    if let Some((_, rate)) = assigned_type(payload_type) {
        let jitter = measured(&stream.jitter);
        return (Some((rate, ClockSource::Assigned)), jitter);
    }
    if let Some(Codec { clock_rate, .. }) = codec {
        let mut jitters = stream.dynamic_jitter.iter();
        let jitter = jitters.find(|jitter| jitter.clock_rate == clock_rate);
        let source = ClockSource::Announced;
        return (Some((clock_rate, source)), jitter.and_then(measured));
    }
    let jitter = stream.fitting_jitter().and_then(measured);
    let clock = jitter.map(|jitter| (jitter.clock_rate, ClockSource::Fitted));
    (clock, jitter)
}

/// The part of the expected packets that did not come.
#[expect(
    clippy::cast_precision_loss,
    reason = "a part to some digits; counts of packets stay far below 2^52"
)]
fn lost_part(stream: &RtpStream) -> f64 {
    let received = i64::try_from(stream.packets).unwrap_or(i64::MAX);
    let expected = received.saturating_add(stream.lost);
    if stream.lost <= 0 || expected <= 0 {
        return 0.0;
    }
    stream.lost as f64 / expected as f64
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds to some digits; times stay far below 2^52 nanoseconds"
)]
fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}
