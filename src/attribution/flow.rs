//! Flows: the episodes of a ledger, joined where a cut between captures split them, with client and server told apart.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use smallvec::SmallVec;

use super::names::Names;
use crate::evidence::{
    Attribute, Episode, Fact, IcmpError, Layer, Ledger, Offer, Peek, Reports, RtpStream, Seen,
    Sorted, StreamKey,
};
use crate::flow::{TcpState, TcpTracker, Tracker};
use crate::net::{Endpoint, FlowKey, Side, Transport};

/// Why one end of a flow is taken for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Orientation {
    /// It sent the SYN, or the other end answered one.
    Handshake,
    /// The protocol shows who asks.
    Protocol,
    /// The other end had been offered.
    Offer,
    /// Only the other end's port is documented or well known.
    Port,
    /// It sent the first packet.
    FirstPacket,
}

impl Orientation {
    /// The contract's word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Protocol => "protocol",
            Self::Offer => "offer",
            Self::Port => "port",
            Self::FirstPacket => "first_packet",
        }
    }
}

/// State of a flow, in the contract's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// SYN without answer.
    Attempted,
    /// A RST answers the SYN.
    Refused,
    /// Opened, and not seen to end.
    Established,
    /// Ended by FIN of each side.
    Closed,
    /// Ended by RST.
    Reset,
    /// The opening was not seen.
    Midstream,
    /// Only one side sent.
    OneWay,
    /// Both sides sent.
    TwoWay,
}

impl State {
    /// The contract's word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Attempted => "attempted",
            Self::Refused => "refused",
            Self::Established => "established",
            Self::Closed => "closed",
            Self::Reset => "reset",
            Self::Midstream => "midstream",
            Self::OneWay => "one_way",
            Self::TwoWay => "two_way",
        }
    }
}

/// Where something was seen: a packet of a tap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sight {
    /// Packet and time.
    pub seen: Seen,
    /// Index of the tap in [`Flows::taps`].
    pub tap: u32,
}

/// Facts that are gone through one by one for those of an attribute.
const FEW_FACTS: usize = 32;
/// Protocols that only cut a stream into messages: what they carry is the application.
const FRAMINGS: &[&str] = &["netbios_ssn", "tpkt"];

/// One connection or conversation.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Number within the run, from 1.
    pub number: u64,
    /// The flow key.
    pub key: FlowKey,
    /// The client's side.
    pub client: Side,
    /// Why it is the client.
    pub orientation: Orientation,
    /// What its headers add up to.
    pub tracker: Tracker,
    /// Captures that hold its packets, as given by the user.
    pub captures: Vec<Arc<str>>,
    /// Encapsulations around it, outermost first.
    pub tunnel: Vec<Box<str>>,
    /// Protocols that the payload proved.
    pub protocols: Sorted<&'static str, (Layer, u32)>,
    /// Facts.
    pub facts: Sorted<Fact, Sight>,
    /// Offers made in it.
    pub offers: Sorted<Offer, Sight>,
    /// RTP streams measured in it.
    pub streams: BTreeMap<StreamKey, RtpStream>,
    /// Its first payload and the tap that shows it; of use only where no protocol is proven.
    pub payload: Vec<(Peek, u32)>,
    /// What RTCP in it says of streams.
    pub reports: BTreeMap<StreamKey, Reports>,
    /// ICMP errors that quote it.
    pub errors: BTreeMap<IcmpError, Seen>,
    /// The side that the protocol showed to be the client.
    protocol_client: Option<Side>,
    /// The tap that shows it first in the ledger.
    tap: u32,
    /// What each tap shows of it, where there are several: with one, the flow itself is its view.
    views: BTreeMap<u32, View>,
}

/// What one tap shows of a flow, where counts add up.
#[derive(Clone, Debug)]
struct View {
    tracker: Tracker,
    streams: BTreeMap<StreamKey, RtpStream>,
    reports: BTreeMap<StreamKey, Reports>,
}

impl View {
    fn of(episode: &mut Episode) -> Self {
        Self {
            tracker: episode.tracker.clone(),
            streams: std::mem::take(&mut episode.streams),
            reports: std::mem::take(&mut episode.reports),
        }
    }

    /// Takes in what the same tap shows later: counts add.
    fn join(&mut self, later: Self) {
        let Self {
            tracker,
            streams,
            reports,
        } = later;
        self.tracker = self.tracker.clone().merge(tracker);
        for (key, stream) in streams {
            match self.streams.entry(key) {
                Entry::Occupied(mut known) => known.get_mut().join(stream),
                Entry::Vacant(free) => {
                    free.insert(stream);
                }
            }
        }
        for (key, reports) in reports {
            self.reports.entry(key).or_default().join(reports);
        }
    }
}

impl Flow {
    /// The flow of an episode, before anything is known of other flows.
    pub(super) fn new(mut episode: Episode, tap: u32) -> Self {
        let View {
            tracker,
            streams,
            reports,
        } = View::of(&mut episode);
        let mut flow = Self {
            number: 0,
            key: episode.key,
            client: tracker.first_sender,
            orientation: Orientation::FirstPacket,
            tracker,
            captures: std::mem::take(&mut episode.captures),
            tunnel: std::mem::take(&mut episode.tunnel),
            protocols: Sorted::new(),
            facts: Sorted::new(),
            offers: Sorted::new(),
            streams,
            payload: Vec::new(),
            reports,
            errors: BTreeMap::new(),
            protocol_client: None,
            tap,
            views: BTreeMap::new(),
        };
        flow.join_sayings(episode, tap);
        flow
    }

    /// Takes in an episode that continues this flow, or shows it from another tap.
    pub(super) fn join(&mut self, mut episode: Episode, tap: u32) {
        let view = View::of(&mut episode);
        self.join_sayings(episode, tap);
        if tap == self.tap && self.views.is_empty() {
            let mut whole = self.take_view();
            whole.join(view);
            self.show(whole);
        } else {
            self.join_view(view, tap);
        }
    }

    /// One tap in parts adds; another tap sees the same packets again.
    fn join_view(&mut self, view: View, tap: u32) {
        if self.views.is_empty() {
            let first = self.take_view();
            self.views.insert(self.tap, first);
        }
        match self.views.entry(tap) {
            Entry::Occupied(mut known) => known.get_mut().join(view),
            Entry::Vacant(free) => {
                free.insert(view);
            }
        }
        let mut views = self.views.values();
        let Some(first) = views.next() else { return };
        let mut whole = first.clone();
        for view in views {
            whole.tracker = overlay(whole.tracker, &view.tracker);
            keep_fuller(&mut whole.streams, &view.streams, |stream| stream.packets);
            keep_fuller(&mut whole.reports, &view.reports, |reports| reports.blocks);
        }
        self.show(whole);
    }

    fn take_view(&mut self) -> View {
        View {
            tracker: self.tracker.clone(),
            streams: std::mem::take(&mut self.streams),
            reports: std::mem::take(&mut self.reports),
        }
    }

    fn show(&mut self, view: View) {
        self.tracker = view.tracker;
        self.streams = view.streams;
        self.reports = view.reports;
    }

    /// Takes in what decoders said in an episode.
    fn join_sayings(&mut self, episode: Episode, tap: u32) {
        for capture in episode.captures {
            if let Err(place) = self.captures.binary_search(&capture) {
                self.captures.insert(place, capture);
            }
        }
        let sight = |seen: Seen| Sight { seen, tap };
        join(&mut self.protocols, episode.protocols, |layer| (layer, tap));
        join(&mut self.facts, episode.facts, sight);
        join(&mut self.offers, episode.offers, sight);
        self.protocol_client = self.protocol_client.or(episode.client);
        self.join_payload(episode.payload, tap);
    }

    /// The first payload of one tap stands: another shows the same packets again.
    fn join_payload(&mut self, payload: Vec<Peek>, tap: u32) {
        if self.payload.first().is_some_and(|(_, other)| *other != tap) {
            return;
        }
        if payload.is_empty() {
            return;
        }
        self.payload
            .extend(payload.into_iter().map(|peek| (peek, tap)));
        self.payload.sort_unstable();
        self.payload.dedup();
        self.payload.truncate(Peek::MAX);
    }

    /// What tells which end is the client.
    pub(super) fn sides(&self) -> Sides {
        Sides {
            key: self.key,
            handshake: self.tracker.tcp.as_deref().and_then(TcpTracker::client),
            protocol: self.protocol_client,
            first: self.tracker.first_sender,
        }
    }

    /// The client's endpoint.
    pub const fn client(&self) -> Endpoint {
        self.key.endpoint(self.client)
    }

    /// The server's endpoint.
    pub const fn server(&self) -> Endpoint {
        self.key.endpoint(self.client.other())
    }

    /// The state, in the contract's words.
    pub fn state(&self) -> State {
        match &self.tracker.tcp {
            Some(tcp) => match tcp.state() {
                TcpState::Attempted => State::Attempted,
                TcpState::Refused => State::Refused,
                TcpState::Established => State::Established,
                TcpState::Closed => State::Closed,
                TcpState::Reset => State::Reset,
                TcpState::Midstream => State::Midstream,
            },
            None if self.tracker.is_two_way() => State::TwoWay,
            None => State::OneWay,
        }
    }

    /// Proven protocols in the order of layers.
    pub fn layers(&self) -> Vec<&'static str> {
        let mut layers: Vec<_> = self
            .protocols
            .iter()
            // Packet numbers of several taps do not compare: times do.
            .map(|(name, (layer, _))| (layer.depth, layer.seen.time, layer.seen.frame, *name))
            .collect();
        layers.sort_unstable();
        layers.into_iter().map(|(.., name)| name).collect()
    }

    /// The depth of a proven protocol: 0 lies directly on the transport.
    fn depth(&self, protocol: &str) -> Option<u8> {
        self.protocols.get(protocol).map(|(layer, _)| layer.depth)
    }

    /// Whether a protocol below passes on what others speak: a header for proxies, a proxy that was asked to connect.
    fn passes_on(&self, protocol: &str) -> bool {
        matches!(protocol, "proxy_protocol" | "socks")
            || (protocol == "http" && self.texts("http", "method").any(|word| word == "CONNECT"))
    }

    /// What is spoken on the transport: the lowest of the proven protocols. One that only frames messages, or passes on a
    /// connection, stands back behind what it carries, where that is known; what else lies inside says nothing of the port.
    pub fn spoken(&self) -> Vec<&'static str> {
        // Nearly all flows.
        match self.protocols.as_slice() {
            [] => return Vec::new(),
            [(only, _)] => return vec![only],
            _ => {}
        }
        let layers = self.layers();
        let stands_back = |name: &&str| FRAMINGS.contains(name) || self.passes_on(name);
        let mut depths: Vec<u8> = layers.iter().filter_map(|name| self.depth(name)).collect();
        depths.sort_unstable();
        depths.dedup();
        let at = |depth: &u8| -> Vec<&'static str> {
            let is_there = |name: &&&str| self.depth(name) == Some(*depth);
            layers.iter().filter(is_there).copied().collect()
        };
        let is_meant = |names: &Vec<&str>| !names.iter().all(stands_back);
        let meant = depths.iter().map(at).find(is_meant);
        meant.or_else(|| depths.last().map(at)).unwrap_or_default()
    }

    /// Protocols that pass the connection on to what is spoken, outermost first.
    pub fn carriers(&self) -> Vec<&'static str> {
        let spoken = self.spoken();
        let depth = spoken.iter().filter_map(|name| self.depth(name)).min();
        let is_below = |name: &&str| self.depth(name) < depth && self.passes_on(name);
        self.layers().into_iter().filter(is_below).collect()
    }

    /// Whether a protocol was seen only within another, as media in the datagrams of a relay.
    pub fn is_inside(&self, protocol: &str, outer: &str) -> bool {
        matches!((self.depth(protocol), self.depth(outer)), (Some(depth), Some(outer)) if depth > outer)
    }

    /// Whether the payload proved that protocol.
    pub fn proves(&self, protocol: &str) -> bool {
        self.protocols.get(protocol).is_some()
    }

    /// The facts of one attribute, in order.
    pub fn facts_of(
        &self,
        protocol: &'static str,
        name: &'static str,
    ) -> impl Iterator<Item = (&Fact, Sight)> {
        let wanted = Attribute { protocol, name };
        self.facts_where(
            move |attribute| *attribute < wanted,
            move |attribute| *attribute == wanted,
        )
    }

    /// The facts of an attribute whose name signatures give, in order.
    pub fn facts_named<'a>(
        &'a self,
        protocol: &'static str,
        name: &'a str,
    ) -> impl Iterator<Item = (&'a Fact, Sight)> {
        let first = Attribute { protocol, name: "" };
        self.facts_where(
            move |attribute| *attribute < first,
            move |attribute| attribute.name == name && attribute.protocol == protocol,
        )
    }

    /// The facts of one attribute, none of which lies among those `before`.
    fn facts_where(
        &self,
        before: impl Fn(&Attribute) -> bool,
        is_meant: impl Fn(&Attribute) -> bool + Copy,
    ) -> impl Iterator<Item = (&Fact, Sight)> {
        let facts = self.facts.as_slice();
        // Whether two names are the same is seen at once, which comes first is not.
        let start = if facts.len() <= FEW_FACTS {
            0
        } else {
            facts.partition_point(|(fact, _)| before(&fact.attribute))
        };
        facts
            .iter()
            .skip(start)
            .skip_while(move |(fact, _)| !is_meant(&fact.attribute))
            .take_while(move |(fact, _)| is_meant(&fact.attribute))
            .map(|(fact, sight)| (fact, *sight))
    }

    /// The texts of one attribute, in order.
    pub fn texts(&self, protocol: &'static str, name: &'static str) -> impl Iterator<Item = &str> {
        self.facts_of(protocol, name)
            .filter_map(|(fact, _)| fact.value.as_text())
    }

    /// Whether nothing is known of it but what headers say: no payload that a decoder, or a person, could make anything of.
    pub fn is_mute(&self) -> bool {
        self.protocols.is_empty()
            && self.facts.is_empty()
            && self.offers.is_empty()
            && self.streams.is_empty()
            && self.reports.is_empty()
            && self.payload.is_empty()
    }

    /// Protocols that are proven, or of which a fact is known, each once.
    pub fn sayers(&self) -> SmallVec<[&'static str; 8]> {
        let mut sayers: SmallVec<[&'static str; 8]> = self.protocols.keys().copied().collect();
        // Facts are in the order of their protocols.
        let mut latest = "";
        for fact in self.facts.keys() {
            let protocol = fact.attribute.protocol;
            if protocol != latest && !sayers.contains(&protocol) {
                sayers.push(protocol);
            }
            latest = protocol;
        }
        sayers
    }

    /// Whether either side sent payload.
    pub const fn has_payload(&self) -> bool {
        self.tracker.payload_bytes.a > 0 || self.tracker.payload_bytes.b > 0
    }
}

/// Takes in what another episode says, each with where it was seen: the first stands.
fn join<K: Ord, V, S: Ord>(known: &mut Sorted<K, S>, more: Sorted<K, V>, seen: impl Fn(V) -> S) {
    let more = more.into_iter().map(|(key, value)| (key, seen(value)));
    let is_first = known.is_empty();
    let mut all: Vec<(K, S)> = std::mem::take(known).into_iter().chain(more).collect();
    if !is_first {
        // Two runs in order: this merges them.
        all.sort();
        all.dedup_by(|(one, _), (other, _)| one == other);
    }
    *known = Sorted::of_ascending(all);
}

/// Of two views of one stream the fuller one stands.
fn keep_fuller<T: Clone>(
    known: &mut BTreeMap<StreamKey, T>,
    seen: &BTreeMap<StreamKey, T>,
    count: impl Fn(&T) -> u64,
) {
    for (key, stream) in seen {
        if known
            .get(key)
            .is_none_or(|known| count(stream) > count(known))
        {
            known.insert(*key, stream.clone());
        }
    }
}

/// Two views of one flow: of each direction the fuller one stands, because a tap may see one direction only, or begin late.
/// What headers prove is joined; the handshake's times stay those of one tap, because clocks differ.
fn overlay(mut one: Tracker, other: &Tracker) -> Tracker {
    if other.first_seen < one.first_seen {
        one.first_seen = other.first_seen;
        one.first_number = other.first_number;
        one.first_sender = other.first_sender;
    }
    one.last_seen = one.last_seen.max(other.last_seen);
    let is_fuller = |side: &Side| other.packets[*side] > one.packets[*side];
    let fuller: Vec<Side> = Side::BOTH.into_iter().filter(is_fuller).collect();
    for &side in &fuller {
        one.packets[side] = other.packets[side];
        one.bytes[side] = other.bytes[side];
        one.payload_bytes[side] = other.payload_bytes[side];
    }
    match (&mut one.tcp, &other.tcp) {
        (Some(tcp), Some(other)) => {
            for side in Side::BOTH {
                tcp.facts[side] = tcp.facts[side].with(other.facts[side]);
            }
            for side in fuller {
                tcp.resets[side] = other.resets[side];
                tcp.zero_windows[side] = other.zero_windows[side];
                tcp.misorder[side] = other.misorder[side];
            }
            let openings = |tcp: &TcpTracker| {
                tcp.opening
                    .iter()
                    .filter(|(_, opening)| opening.is_some())
                    .count()
            };
            if openings(other) > openings(tcp) {
                (tcp.opening, tcp.first_ack, tcp.first_data, tcp.syns) =
                    (other.opening, other.first_ack, other.first_data, other.syns);
            }
        }
        (tcp @ None, Some(other)) => *tcp = Some(other.clone()),
        (_, None) => {}
    }
    one
}

/// What of a flow tells which end is the client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sides {
    pub(super) key: FlowKey,
    /// The side that asked for the connection.
    pub(super) handshake: Option<Side>,
    /// The side that the protocol showed to be the client.
    pub(super) protocol: Option<Side>,
    /// The sender of the first packet.
    pub(super) first: Side,
}

impl Sides {
    /// What one episode of a flow tells.
    pub(super) fn of(episode: &Episode) -> Self {
        Self {
            key: episode.key,
            handshake: episode.tracker.tcp.as_deref().and_then(TcpTracker::client),
            protocol: episode.client,
            first: episode.tracker.first_sender,
        }
    }

    /// The client, where the flow alone tells it.
    pub(super) fn told(&self) -> Option<(Side, Orientation)> {
        let by_handshake = self.handshake.map(|side| (side, Orientation::Handshake));
        by_handshake.or_else(|| self.protocol.map(|side| (side, Orientation::Protocol)))
    }

    /// The client, by what was offered and what is documented where the flow does not tell it.
    pub(super) fn client(
        &self,
        is_offered: impl Fn(Transport, Endpoint) -> bool,
        is_documented: impl Fn(Transport, u16) -> bool,
    ) -> (Side, Orientation) {
        if let Some(told) = self.told() {
            return told;
        }
        let (key, transport) = (self.key, self.key.transport);
        let only = |holds: &dyn Fn(Side) -> bool| match Side::BOTH.map(holds) {
            [true, false] => Some(Side::A),
            [false, true] => Some(Side::B),
            [true, true] | [false, false] => None,
        };
        let offered = |side: Side| is_offered(transport, key.endpoint(side));
        let documented = |side: Side| is_documented(transport, key.endpoint(side).port);
        let well_known = |side: Side| transport.has_ports() && key.endpoint(side).port < 1024;
        let by_port = || only(&documented).or_else(|| only(&well_known));
        only(&offered)
            .map(|server| (server.other(), Orientation::Offer))
            .or_else(|| by_port().map(|server| (server.other(), Orientation::Port)))
            .unwrap_or((self.first, Orientation::FirstPacket))
    }
}

/// Where flows were seen, and what their addresses are called.
#[derive(Clone, Debug, Default)]
pub struct Flows {
    /// Names of the taps.
    pub taps: Vec<Arc<str>>,
    /// Names of addresses.
    pub names: Names,
}

impl Flows {
    /// The taps of a ledger, and the names that its captures give.
    pub(super) fn of(ledger: &Ledger) -> Self {
        Self {
            taps: ledger.captures().keys().cloned().collect(),
            names: Names::of(ledger),
        }
    }

    /// Place of a tap in [`Flows::taps`].
    pub(super) fn tap(&self, tap: &Arc<str>) -> u32 {
        let place = self.taps.binary_search(tap).ok();
        place
            .and_then(|place| u32::try_from(place).ok())
            .unwrap_or(0)
    }

    /// "frame 17", with the tap where there are several.
    pub fn frame(&self, sight: Sight) -> String {
        match self.taps.get(sight.tap as usize) {
            Some(tap) if self.taps.len() > 1 => format!("frame {} of {tap}", sight.seen.frame),
            _ => format!("frame {}", sight.seen.frame),
        }
    }
}
