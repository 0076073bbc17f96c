//! Calls: signalling joined with the media that it announced, in both directions.
//!
//! A call is what shares one Call-ID, over all flows, legs and forks that carry it. A stream belongs to the call that announced
//! its endpoints while it lasted; one endpoint is enough, since a NAT may hide the other. Streams that nobody announced come
//! in calls without an identifier, one for each pair of endpoints. Pure functions over what is [`Judged`].
//!
//! Never says that a stream is missing: what a capture does not show may have taken another way.

mod dialogue;
mod quality;
mod stream;

use std::collections::BTreeMap;

pub use dialogue::Rung;
pub use stream::{CallStream, ClockSource, Far};

use self::dialogue::Dialogue;
use self::stream::Streams;
use super::{Judged, JudgedFlow};
use crate::evidence::Offered;
use crate::net::{FlowKey, Timestamp};

/// A dialogue with its media, or media without a dialogue.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// The identifier; `None` for streams that no signalling announced.
    pub call_id: Option<&'a str>,
    /// The URI of the caller.
    pub from: Option<&'a str>,
    /// The URI of the called.
    pub to: Option<&'a str>,
    /// Methods of the requests, in the order of their first one.
    pub methods: Vec<&'a str>,
    /// Code and phrase of the final answer: that of the INVITE where there is one.
    pub result: Option<&'a str>,
    /// The first INVITE, else the first message, else the first packet of the media.
    pub start: Timestamp,
    /// The first success of an INVITE.
    pub answered: Option<Timestamp>,
    /// BYE, or the final refusal; of media without a dialogue, their last packet.
    pub end: Option<Timestamp>,
    /// Numbers of the flows that carry the signalling.
    pub signalling: Vec<u64>,
    /// The media.
    pub streams: Vec<CallStream<'a>>,
    /// Its messages by time: of each kind the first on every flow and from every side.
    pub ladder: Vec<Rung<'a>>,
}

impl Call<'_> {
    /// Numbers of all its flows: signalling, media and their reports.
    pub fn flows(&self) -> impl Iterator<Item = u64> {
        let media = self.streams.iter().flat_map(|stream| {
            let reports = stream.far.iter().flat_map(|far| far.flows.iter().copied());
            std::iter::once(stream.flow).chain(reports)
        });
        self.signalling.iter().copied().chain(media)
    }
}

/// The flows that calls are made of: signalling, media, and reports on media.
#[derive(Debug)]
pub struct CallFlows<'a> {
    judged: &'a Judged<'a>,
    flows: Vec<JudgedFlow>,
}

impl<'a> CallFlows<'a> {
    /// Picks them out.
    pub fn of(judged: &'a Judged<'a>) -> Self {
        let flows = judged.keep(|flow, attribution| {
            flow.proves("sip")
                || !flow.streams.is_empty() && attribution.protocols.contains(&"rtp")
                || !flow.reports.is_empty()
        });
        Self { judged, flows }
    }
}

/// All calls, by their start.
pub fn calls<'a>(flows: &'a CallFlows<'a>) -> Vec<Call<'a>> {
    let judged = flows.judged;
    let mut dialogues: BTreeMap<&str, Dialogue<'_>> = BTreeMap::new();
    for (flow, _) in &flows.flows {
        dialogue::read(flow, &mut dialogues);
    }
    for standing in judged.offers.iter() {
        let (Offered::Media(_) | Offered::Candidate { .. }) = &standing.offer.offered else {
            continue;
        };
        if let Some(call_id) = standing.call_id() {
            let dialogue = dialogues.entry(call_id).or_default();
            dialogue.offers.push(standing);
            dialogue.flows.insert(standing.flow);
        }
    }
    let streams = Streams::of(flows);
    let mut calls: BTreeMap<Option<&str>, Call<'_>> = dialogues
        .iter()
        .map(|(call_id, dialogue)| (Some(*call_id), dialogue.call(call_id)))
        .collect();
    let mut unannounced: BTreeMap<FlowKey, Call<'_>> = BTreeMap::new();
    for stream in streams.all() {
        let announcing = streams.announcing(&stream, &dialogues);
        if announcing.is_empty() {
            let call = unannounced
                .entry(stream.key)
                .or_insert_with(|| without_dialogue(stream.stream.first_seen));
            call.end = call.end.max(Some(stream.stream.last_seen));
            call.start = call.start.min(stream.stream.first_seen);
            call.streams.push(streams.measure(&stream, None));
        }
        for call_id in announcing {
            if let Some(call) = calls.get_mut(&Some(call_id)) {
                let offers = dialogues.get(call_id).map(|dialogue| &dialogue.offers[..]);
                call.streams.push(streams.measure(&stream, offers));
            }
        }
    }
    let mut all: Vec<Call<'_>> = calls
        .into_values()
        .chain(unannounced.into_values())
        .collect();
    for call in &mut all {
        call.streams
            .sort_by_key(|stream| (stream.stream.first_seen, stream.flow, stream.ssrc));
    }
    // Stable, and the order before is that of identifiers and flow keys.
    all.sort_by_key(|call| (call.start, call.flows().min()));
    all
}

fn without_dialogue<'a>(start: Timestamp) -> Call<'a> {
    Call {
        call_id: None,
        from: None,
        to: None,
        methods: Vec::new(),
        result: None,
        start,
        answered: None,
        end: None,
        signalling: Vec::new(),
        streams: Vec::new(),
        ladder: Vec::new(),
    }
}
