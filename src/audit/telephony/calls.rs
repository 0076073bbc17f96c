//! Calls that were answered, and what came of their media: none, one way only, to another place, in another form.
//!
//! Only calls with one audio address at each end are judged: where proxies, forks or ICE announce several, which one was
//! taken is not known. Media may take a way that the capture does not see, so nothing here is an error.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::attribution::Standing;
use crate::audit::Severity;
use crate::audit::check::{Check, Code, Watch};
use crate::audit::gather::{Cause, Draft, Findings};
use crate::audit::group::Named;
use crate::audit::scene::{Scene, Subject};
use crate::evidence::{MediaOffer, Offered};
use crate::net::{Endpoint, Timestamp, Transport};
use crate::signature::RowId;

const NO_MEDIA: &Code = &Code {
    code: "EXW307",
    name: "call-without-media",
    meaning: "A call was answered and lasted, and no media between the announced addresses is in the capture.",
    advice: "If the capture should show them: the media range (UDP) is blocked, or an announced address is not reachable from the other end (NAT, wrong interface). Otherwise capture at the host that announces the address.",
};
const ONE_WAY: &Code = &Code {
    code: "EXW308",
    name: "one-way-media",
    meaning: "Of an answered call only one direction of the media is in the capture: one person hears nothing.",
    advice: "Look at the way towards the address where nothing arrives: firewall, NAT, routing; then whether that address can be reached from the other end at all.",
};
const ELSEWHERE: &Code = &Code {
    code: "EXW309",
    name: "media-elsewhere",
    meaning: "Media go to another address than the other end announced.",
    advice: "A NAT rewrites addresses, or an end answers to where packets come from; where it is not meant, announce the outside address or use the A/V Edge.",
};
const OTHER_CODEC: &Code = &Code {
    code: "EXW310",
    name: "codec-mismatch",
    meaning: "Media arrive in a payload type that the receiver did not announce.",
    advice: "Compare the codecs of gateway and UM or Lync: the receiver drops what it did not announce, and the call is silent.",
};
const OTHER_PROFILE: &Code = &Code {
    code: "EXW312",
    name: "srtp-mismatch",
    meaning: "One end announced SRTP, the other plain RTP, for one call.",
    advice: "Set encryption of media alike at both ends: VoIP security of the dial plan, SRTP of the gateway, media encryption of the Lync policy.",
};

pub(in crate::audit) const CALLS: Check = Check {
    codes: &[NO_MEDIA, ONE_WAY, ELSEWHERE, OTHER_CODEC, OTHER_PROFILE],
    start: || Box::new(Calls::default()),
};

/// Calls that are followed; further ones go unjudged.
const MAX_CALLS: usize = 8192;
/// Endpoints of media that are remembered.
const MAX_ENDPOINTS: usize = 65_536;
/// Streams of one endpoint that are told apart by their time: a gateway takes a port again for each call, a relay has one for
/// all; calls of an endpoint with more are not judged.
const MAX_STREAMS: usize = 64;
/// A shorter call may have ended before anybody spoke, in nanoseconds.
const MIN_CALL_NS: i64 = 3_000_000_000;
/// Packets of a direction that is there: one second of usual audio.
const MIN_PACKETS: u64 = 50;
/// Payload types that go with any codec: comfort noise, and the usual one of telephone events (RFC 3389, RFC 4733).
const WITH_ANY: &[u8] = &[13, 101];

#[derive(Default)]
struct Calls {
    calls: BTreeMap<Box<str>, Call>,
    /// Streams by where they go.
    to: BTreeMap<Endpoint, Vec<Stream>>,
    /// Where streams go and when, by where they come from.
    from: BTreeMap<Endpoint, Vec<(Endpoint, Span)>>,
    /// Calls that are not followed.
    unfollowed: u64,
    /// Streams whose ends are not remembered.
    beyond: u64,
}

/// First and last packet.
type Span = (Timestamp, Timestamp);

#[derive(Default)]
struct Call {
    flow: Option<Named>,
    /// What the signalling was measured by.
    row: Option<RowId>,
    answered: Option<(Timestamp, String)>,
    ended: Option<Timestamp>,
    /// The first of its messages, and the last packet of its signalling.
    first: Option<Timestamp>,
    last: Timestamp,
}

impl Call {
    /// Whether something is of the time of the call, not of another at the same ports.
    fn covers(&self, (first, last): Span) -> bool {
        let is_over = |ended: Timestamp| first > ended;
        self.first.is_none_or(|began| last >= began) && !self.ended.is_some_and(is_over)
    }
}

struct Stream {
    span: Span,
    packets: u64,
    /// The type of most packets.
    kind: u8,
    flow: Named,
}

impl Watch for Calls {
    fn observe(&mut self, scene: &Scene<'_>, subject: Subject<'_>, _: &mut Findings<'_>) {
        let flow = subject.flow;
        if flow.proves("sip") {
            self.signalling(scene, subject);
        }
        if !subject.attribution.spoken.contains(&"rtp") {
            return;
        }
        for (key, stream) in &flow.streams {
            let (from, to) = (
                flow.key.endpoint(key.side),
                flow.key.endpoint(key.side.other()),
            );
            let most = stream.payload_types.iter().max_by_key(|(_, count)| **count);
            let Some((&kind, _)) = most else { continue };
            let is_new = !self.to.contains_key(&to) || !self.from.contains_key(&from);
            if is_new && self.to.len().max(self.from.len()) >= MAX_ENDPOINTS {
                self.beyond = self.beyond.saturating_add(1);
                continue;
            }
            let span = (stream.first_seen, stream.last_seen);
            push(self.from.entry(from).or_default(), (to, span));
            let known = Stream {
                span,
                packets: stream.packets,
                kind,
                flow: subject.into(),
            };
            push(self.to.entry(to).or_default(), known);
        }
    }

    fn finish(self: Box<Self>, scene: &Scene<'_>, findings: &mut Findings<'_>) {
        findings.pass_over("messages of SIP calls", self.unfollowed);
        // Without them silence could be their absence here.
        findings.pass_over("media streams", self.beyond);
        if self.beyond > 0 {
            return;
        }
        let mut media: BTreeMap<&str, Vec<(&Standing, &MediaOffer)>> = BTreeMap::new();
        for standing in scene.offers.iter() {
            if let Offered::Media(offer) = &standing.offer.offered
                && let Some(call_id) = standing.call_id()
                && self.calls.contains_key(call_id)
            {
                media.entry(call_id).or_default().push((standing, offer));
            }
        }
        for (call_id, call) in &self.calls {
            if let Some(offers) = media.get(&**call_id) {
                self.judge(call_id, call, offers, findings);
            }
        }
    }
}

/// Keeps one more than are told apart: that there are too many.
fn push<T>(known: &mut Vec<T>, one: T) {
    if known.len() <= MAX_STREAMS {
        known.push(one);
    }
}

impl Calls {
    /// Streams of the time of a call that arrive at an endpoint.
    fn arriving<'a>(&'a self, call: &'a Call, end: Endpoint) -> impl Iterator<Item = &'a Stream> {
        let streams = self.to.get(&end).into_iter().flatten();
        streams.filter(|stream| call.covers(stream.span))
    }

    /// Whether media arrive anywhere at a host.
    fn hears(&self, address: IpAddr) -> bool {
        let ports = Endpoint::new(address, 0)..=Endpoint::new(address, u16::MAX);
        self.to.range(ports).next().is_some()
    }

    /// Whether more streams leave or reach an endpoint than are told apart.
    fn is_crowded(&self, end: Endpoint) -> bool {
        self.to.get(&end).is_some_and(|it| it.len() > MAX_STREAMS)
            || self.from.get(&end).is_some_and(|it| it.len() > MAX_STREAMS)
    }

    fn signalling(&mut self, scene: &Scene<'_>, subject: Subject<'_>) {
        let flow = subject.flow;
        let names: BTreeMap<u64, &str> = flow
            .facts_of("sip", "call_id")
            .filter_map(|(fact, _)| Some((fact.subject, fact.value.as_text()?)))
            .collect();
        for name in ["method", "invite_status"] {
            for (fact, sight) in flow.facts_of("sip", name) {
                let (Some(call_id), Some(text)) = (names.get(&fact.subject), fact.value.as_text())
                else {
                    continue;
                };
                if self.calls.len() >= MAX_CALLS && !self.calls.contains_key(*call_id) {
                    self.unfollowed = self.unfollowed.saturating_add(1);
                    continue;
                }
                let call = self.calls.entry((*call_id).into()).or_default();
                call.last = call.last.max(flow.tracker.last_seen);
                let time = sight.seen.time;
                call.first = Some(call.first.map_or(time, |first| first.min(time)));
                if text.starts_with('2') {
                    let seen = format!("{}: {text}", scene.frame(sight));
                    if call.flow.is_none() {
                        call.flow = Some(subject.into());
                        call.row = subject.best().cloned();
                    }
                    let first = call.answered.get_or_insert((time, seen));
                    first.0 = first.0.min(time);
                } else if text == "BYE" {
                    call.ended = Some(call.ended.map_or(time, |ended| ended.min(time)));
                }
            }
        }
    }

    fn judge(
        &self,
        call_id: &str,
        call: &Call,
        offers: &[(&Standing, &MediaOffer)],
        findings: &mut Findings<'_>,
    ) {
        let (Some(flow), Some((answered, seen))) = (&call.flow, &call.answered) else {
            return;
        };
        let audio = || {
            offers.iter().filter(|(standing, offer)| {
                let endpoint = standing.offer.endpoint;
                &*offer.media == "audio" && endpoint.port != 0 && !endpoint.address.is_unspecified()
            })
        };
        let ends: BTreeSet<Endpoint> = audio()
            .map(|(standing, _)| standing.offer.endpoint)
            .collect();
        let [one, other] = ends.iter().copied().collect::<Vec<_>>()[..] else {
            return;
        };
        if one.address == other.address || self.is_crowded(one) || self.is_crowded(other) {
            return;
        }
        let announced: Vec<String> = audio()
            .map(|(standing, offer)| {
                format!(
                    "frame {}: {} announced, {}",
                    standing.sight.seen.frame, standing.offer.endpoint, offer.profile
                )
            })
            .collect();
        let find = |findings: &mut Findings<'_>,
                    code,
                    severity,
                    at: Endpoint,
                    text: String,
                    flows: &[Named]| {
            let mut draft = Draft {
                code,
                severity,
                row: call.row.clone(),
                message: text,
                evidence: Vec::new(),
                cause: Cause::host(at.address),
            };
            draft = draft.seen(std::iter::once(seen.clone()).chain(announced.iter().cloned()));
            let all: Vec<Named> = std::iter::once(flow).chain(flows).cloned().collect();
            findings.find_in(&all, draft);
        };
        let keyed = |end: Endpoint| -> BTreeSet<bool> {
            audio()
                .filter(|(standing, _)| standing.offer.endpoint == end)
                .filter_map(|(standing, _)| standing.keyed())
                .collect()
        };
        if keyed(one).intersection(&keyed(other)).next().is_none() {
            let text =
                format!("call {call_id}: SRTP at one end, plain RTP at the other ({one}, {other})");
            find(findings, OTHER_PROFILE, Severity::Warning, one, text, &[]);
        }
        let lasted = call.ended.unwrap_or(call.last).since(*answered);
        let may_send = audio().all(|(_, offer)| matches!(&*offer.direction, "sendrecv" | ""));
        let heard = |end: Endpoint| -> u64 {
            let packets = self.arriving(call, end).map(|stream| stream.packets);
            packets.fold(0, u64::saturating_add)
        };
        let carrier = |end: Endpoint| -> Vec<Named> {
            let first = self.arriving(call, end).next();
            first
                .map(|stream| stream.flow.clone())
                .into_iter()
                .collect()
        };
        for (here, there) in [(one, other), (other, one)] {
            // Sent from here, heard elsewhere than announced.
            let mut going = self.from.get(&here).into_iter().flatten();
            let elsewhere = going.find(|(to, span)| *to != there && call.covers(*span));
            if let Some((to, _)) = elsewhere.filter(|_| heard(there) == 0) {
                let text =
                    format!("call {call_id}: media of {here} go to {to}, announced was {there}");
                find(
                    findings,
                    ELSEWHERE,
                    Severity::Warning,
                    there,
                    text,
                    &carrier(*to),
                );
                return;
            }
        }
        match (heard(one), heard(other)) {
            (0, 0) if lasted >= MIN_CALL_NS && may_send => {
                let is_seen = [one, other].iter().any(|end| self.hears(end.address));
                let severity = if is_seen {
                    Severity::Warning
                } else {
                    Severity::Info
                };
                let text = format!(
                    "call {call_id} is answered and lasts {} s, and no media between {one} and {other} is seen",
                    lasted / 1_000_000_000
                );
                find(findings, NO_MEDIA, severity, one, text, &[]);
            }
            (0, packets) | (packets, 0) if packets >= MIN_PACKETS && may_send => {
                let (silent, to) = if heard(one) == 0 {
                    (one, other)
                } else {
                    (other, one)
                };
                let text = format!(
                    "call {call_id} is one-way: media arrive at {to} only, nothing at {silent}"
                );
                find(
                    findings,
                    ONE_WAY,
                    Severity::Warning,
                    silent,
                    text,
                    &carrier(to),
                );
            }
            _ => {}
        }
        for end in [one, other] {
            let number = |codec: &str| codec.split(' ').next()?.parse::<u8>().ok();
            let listed: BTreeSet<u8> = audio()
                .filter(|(standing, _)| standing.offer.endpoint == end)
                .flat_map(|(_, offer)| offer.codecs.iter().filter_map(|codec| number(codec)))
                .collect();
            let is_strange = |stream: &&Stream| {
                let kind = &stream.kind;
                let is_known = listed.contains(kind) || WITH_ANY.contains(kind);
                !is_known && stream.flow.transport == Transport::UDP
            };
            let mut arriving = self.arriving(call, end);
            if !listed.is_empty()
                && let Some(stream) = arriving.find(is_strange)
            {
                let text = format!(
                    "call {call_id}: payload type {} arrives at {end}, which announced {}",
                    stream.kind,
                    listed
                        .iter()
                        .map(ToString::to_string)
                        .collect::<Vec<_>>()
                        .join(", ")
                );
                find(
                    findings,
                    OTHER_CODEC,
                    Severity::Warning,
                    end,
                    text,
                    std::slice::from_ref(&stream.flow),
                );
            }
        }
    }
}
