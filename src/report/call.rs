//! The record of a call, as `calls` puts it out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::schema::{Field, INTEGERS, Kind, TEXTS, field};
use super::{Column, Record};
use crate::attribution::{Call, CallStream, Far, Judged, NameSource};
use crate::evidence::Reports;
use crate::net::{Endpoint, Timestamp};

/// Milliseconds, printed to the microsecond.
#[derive(Clone, Copy, Debug)]
struct Millis(u64);

impl Millis {
    fn of_nanos(nanos: u64) -> Self {
        Self(nanos / 1000)
    }

    /// Of timestamp units, where the clock rate is known.
    fn of_units(units: u32, clock_rate: Option<u32>) -> Option<Self> {
        let micros = u64::from(units).saturating_mul(1_000_000);
        micros.checked_div(u64::from(clock_rate?)).map(Self)
    }
}

impl std::fmt::Display for Millis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

impl Serialize for Millis {
    #[expect(
        clippy::cast_precision_loss,
        reason = "three decimals; times stay far below 2^52 microseconds"
    )]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0 as f64 / 1000.0)
    }
}

/// A number of few decimals.
fn rounded(number: f64, decimals: i32) -> f64 {
    let scale = 10_f64.powi(decimals);
    (number * scale).round() / scale
}

/// One end of a stream.
#[derive(Clone, Debug, Serialize)]
struct End {
    address: IpAddr,
    port: u16,
    name: Option<Arc<str>>,
    name_source: Option<NameSource>,
}

impl From<Endpoint> for End {
    fn from(Endpoint { address, port }: Endpoint) -> Self {
        Self {
            address,
            port,
            name: None,
            name_source: None,
        }
    }
}

/// What RTCP says of a stream.
#[derive(Clone, Debug, Serialize)]
struct RtcpRecord {
    flows: Vec<u64>,
    /// Packets that the sender counted.
    packets_sent: Option<u32>,
    /// Packets that the receiver missed.
    lost: Option<i32>,
    /// Greatest part lost between two reports, 0 to 1.
    max_fraction_lost: Option<f64>,
    jitter_ms: Option<Millis>,
    max_jitter_ms: Option<Millis>,
    /// Report blocks seen.
    reports: u64,
    round_trip_ms: Option<Millis>,
    max_round_trip_ms: Option<Millis>,
}

impl RtcpRecord {
    fn new(far: &Far, clock_rate: Option<u32>) -> Self {
        let Far { reports, flows } = far;
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
        let has_reports = *blocks > 0;
        let fraction = f64::from(*max_fraction_lost) / 256.0;
        let jitter = |units| Millis::of_units(units, clock_rate);
        let mean = round_trip_sum_ns.checked_div(*round_trips);
        Self {
            flows: flows.clone(),
            packets_sent: sent.map(|sent| sent.packets),
            lost: received.map(|received| received.lost),
            max_fraction_lost: has_reports.then(|| rounded(fraction, 3)),
            jitter_ms: received.and_then(|received| jitter(received.jitter)),
            max_jitter_ms: jitter(*max_jitter).filter(|_| has_reports),
            reports: *blocks,
            round_trip_ms: mean.map(Millis::of_nanos),
            max_round_trip_ms: mean.map(|_| Millis::of_nanos(*round_trip_max_ns)),
        }
    }
}

/// One direction of media.
#[derive(Clone, Debug, Serialize)]
struct StreamRecord<'a> {
    flow: u64,
    ssrc: String,
    from: End,
    to: End,
    start: Timestamp,
    end: Timestamp,
    media: Option<&'a str>,
    payload_type: u8,
    payload_types: Vec<u8>,
    codec: Option<&'a str>,
    clock_rate: Option<u32>,
    clock_source: Option<&'static str>,
    encryption: &'static str,
    packets: u64,
    lost: i64,
    out_of_order: u64,
    duplicates: u64,
    jitter_ms: Option<Millis>,
    mean_jitter_ms: Option<Millis>,
    max_jitter_ms: Option<Millis>,
    max_delta_ms: Option<Millis>,
    mos: Option<f64>,
    rtcp: Option<RtcpRecord>,
}

impl<'a> StreamRecord<'a> {
    fn new(media: &CallStream<'a>) -> Self {
        let (stream, jitter) = (media.stream, &media.jitter);
        let clock_rate = media.clock.map(|(rate, _)| rate);
        let millis = |nanos| Millis::of_nanos(nanos);
        Self {
            flow: media.flow,
            ssrc: format!("{:#010x}", media.ssrc),
            from: media.from.into(),
            to: media.to.into(),
            start: stream.first_seen,
            end: stream.last_seen,
            media: media.media,
            payload_type: media.payload_type,
            payload_types: stream.payload_types.keys().copied().collect(),
            codec: media.codec,
            clock_rate,
            clock_source: media.clock.map(|(_, source)| source.word()),
            encryption: media.encryption,
            packets: stream.packets,
            lost: stream.lost,
            out_of_order: stream.out_of_order,
            duplicates: stream.duplicates,
            jitter_ms: jitter.map(|jitter| millis(jitter.last_ns())),
            mean_jitter_ms: jitter.and_then(|jitter| jitter.mean_ns()).map(millis),
            max_jitter_ms: jitter.map(|jitter| millis(jitter.max_ns)),
            max_delta_ms: (stream.packets > 1)
                .then(|| millis(u64::try_from(stream.max_delta_ns).unwrap_or(0))),
            mos: media.mos.map(|mos| rounded(mos, 2)),
            rtcp: media
                .far
                .as_ref()
                .map(|far| RtcpRecord::new(far, clock_rate)),
        }
    }

    fn cell(&self, column: &str) -> String {
        let end = |end: &End| Endpoint::new(end.address, end.port).to_string();
        let name = |end: &End| match (&end.name, end.name_source) {
            (Some(name), Some(source)) => format!("{name}{}", source.mark()),
            _ => end.address.to_string(),
        };
        let or_empty = |number: Option<Millis>| number.map(|n| n.to_string()).unwrap_or_default();
        let of_type = || format!("type {}", self.payload_type);
        match column {
            "call, streams" => format!("  {} to {}", end(&self.from), end(&self.to)),
            "result, codec" => self.codec.map_or_else(of_type, str::to_owned),
            "packets" => self.packets.to_string(),
            "lost" => self.lost.to_string(),
            "jitter" => or_empty(self.max_jitter_ms),
            "mos" => self.mos.map(|mos| format!("{mos:.2}")).unwrap_or_default(),
            "start" => self.start.to_string(),
            "names" => format!("{} to {}", name(&self.from), name(&self.to)),
            "rtt" => or_empty(self.rtcp.as_ref().and_then(|rtcp| rtcp.round_trip_ms)),
            "call id, ssrc" => self.ssrc.clone(),
            "flows" => self.flow.to_string(),
            _ => String::new(),
        }
    }
}

/// A call with its media, or media that no signalling announced.
#[derive(Clone, Debug, Serialize)]
pub struct CallRecord<'a> {
    call_id: Option<&'a str>,
    from: Option<&'a str>,
    to: Option<&'a str>,
    methods: &'a [&'a str],
    result: Option<&'a str>,
    start: Timestamp,
    answered: Option<Timestamp>,
    end: Option<Timestamp>,
    signalling: &'a [u64],
    streams: Vec<StreamRecord<'a>>,
    findings: Vec<&'static str>,
}

impl<'a> CallRecord<'a> {
    /// The record of a call; `codes` are those of the findings that name its flows.
    pub fn new(call: &'a Call<'a>, codes: &BTreeMap<u64, Vec<&'static str>>) -> Self {
        let mut findings: Vec<&'static str> = call
            .flows()
            .filter_map(|number| codes.get(&number))
            .flatten()
            .copied()
            .collect();
        findings.sort_unstable();
        findings.dedup();
        Self {
            call_id: call.call_id,
            from: call.from,
            to: call.to,
            methods: &call.methods,
            result: call.result,
            start: call.start,
            answered: call.answered,
            end: call.end,
            signalling: &call.signalling,
            streams: call.streams.iter().map(StreamRecord::new).collect(),
            findings,
        }
    }

    /// With the names of the ends of its streams.
    #[must_use]
    pub fn named(mut self, judged: &Judged<'_>) -> Self {
        let ends = self.streams.iter_mut();
        for end in ends.flat_map(|stream| [&mut stream.from, &mut stream.to]) {
            let name = judged.name(end.address);
            end.name_source = name.as_ref().map(|name| name.source);
            end.name = name.map(|name| name.text);
        }
        self
    }

    fn title(&self) -> String {
        match (self.from, self.to) {
            (None, None) if self.call_id.is_none() => "media without signalling".to_owned(),
            (from, to) => {
                // The scheme is the same for nearly all, and a line is short.
                let short = |uri: Option<&'a str>| {
                    let uri = uri.unwrap_or("?");
                    uri.strip_prefix("sip:").unwrap_or(uri)
                };
                format!("{} to {}", short(from), short(to))
            }
        }
    }
}

const fn column(name: &'static str, from_width: u16, is_number: bool) -> Column {
    Column {
        name,
        from_width,
        is_number,
    }
}

/// One end of a stream.
const END: Kind = Kind::Group(&[
    field("address", Kind::Text),
    field("port", Kind::Integer),
    field("name", Kind::Text),
    field("name_source", Kind::Text),
]);

/// What RTCP says.
const RTCP: Kind = Kind::Group(&[
    field("flows", INTEGERS),
    field("packets_sent", Kind::Integer),
    field("lost", Kind::Integer),
    field("max_fraction_lost", Kind::Number),
    field("jitter_ms", Kind::Number),
    field("max_jitter_ms", Kind::Number),
    field("reports", Kind::Integer),
    field("round_trip_ms", Kind::Number),
    field("max_round_trip_ms", Kind::Number),
]);

/// One direction of media.
const STREAM: Kind = Kind::Group(&[
    field("flow", Kind::Integer),
    field("ssrc", Kind::Text),
    field("from", END),
    field("to", END),
    field("start", Kind::Time),
    field("end", Kind::Time),
    field("media", Kind::Text),
    field("payload_type", Kind::Integer),
    field("payload_types", INTEGERS),
    field("codec", Kind::Text),
    field("clock_rate", Kind::Integer),
    field("clock_source", Kind::Text),
    field("encryption", Kind::Text),
    field("packets", Kind::Integer),
    field("lost", Kind::Integer),
    field("out_of_order", Kind::Integer),
    field("duplicates", Kind::Integer),
    field("jitter_ms", Kind::Number),
    field("mean_jitter_ms", Kind::Number),
    field("max_jitter_ms", Kind::Number),
    field("max_delta_ms", Kind::Number),
    field("mos", Kind::Number),
    field("rtcp", RTCP),
]);

impl Record for CallRecord<'_> {
    const CSV: &'static [&'static str] = &[
        "call_id",
        "from",
        "to",
        "methods",
        "result",
        "start",
        "answered",
        "end",
        "signalling",
        "streams_flow",
        "streams_ssrc",
        "streams_from_address",
        "streams_from_port",
        "streams_from_name",
        "streams_from_name_source",
        "streams_to_address",
        "streams_to_port",
        "streams_to_name",
        "streams_to_name_source",
        "streams_start",
        "streams_end",
        "streams_media",
        "streams_payload_type",
        "streams_codec",
        "streams_clock_rate",
        "streams_clock_source",
        "streams_encryption",
        "streams_packets",
        "streams_lost",
        "streams_out_of_order",
        "streams_duplicates",
        "streams_jitter_ms",
        "streams_mean_jitter_ms",
        "streams_max_jitter_ms",
        "streams_max_delta_ms",
        "streams_mos",
        "streams_rtcp_packets_sent",
        "streams_rtcp_lost",
        "streams_rtcp_max_fraction_lost",
        "streams_rtcp_jitter_ms",
        "streams_rtcp_max_jitter_ms",
        "streams_rtcp_reports",
        "streams_rtcp_round_trip_ms",
        "streams_rtcp_max_round_trip_ms",
        "findings",
    ];
    const FIELDS: &'static [Field] = &[
        field("call_id", Kind::Text),
        field("from", Kind::Text),
        field("to", Kind::Text),
        field("methods", TEXTS),
        field("result", Kind::Text),
        field("start", Kind::Time),
        field("answered", Kind::Time),
        field("end", Kind::Time),
        field("signalling", INTEGERS),
        field("streams", Kind::List(&STREAM)),
        field("findings", TEXTS),
    ];
    const TABLE: &'static [Column] = &[
        column("call, streams", 0, false),
        column("result, codec", 0, false),
        column("packets", 90, true),
        column("lost", 0, true),
        column("jitter", 0, true),
        column("mos", 0, true),
        column("flows", 100, false),
        column("rtt", 110, true),
        column("findings", 125, false),
        column("names", 150, false),
        column("start", 170, false),
        column("call id, ssrc", 190, false),
    ];

    fn cell(&self, column: &str) -> String {
        match column {
            "call, streams" => self.title(),
            "result, codec" => match self.result {
                Some(result) => result.to_owned(),
                None => self.methods.join(" "),
            },
            "start" => self.start.to_string(),
            "call id, ssrc" => self.call_id.unwrap_or_default().to_owned(),
            "flows" => {
                let numbers: Vec<String> =
                    self.signalling.iter().map(ToString::to_string).collect();
                numbers.join(" ")
            }
            "findings" => self.findings.join(" "),
            _ => String::new(),
        }
    }

    fn details(&self) -> usize {
        self.streams.len()
    }

    fn detail(&self, index: usize, column: &str) -> String {
        self.streams
            .get(index)
            .map(|stream| stream.cell(column))
            .unwrap_or_default()
    }
}
