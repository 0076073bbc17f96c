//! One thread's share of a chain: reads packets, keeps the flows of its lanes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::application::Application;
use super::share::{Dealt, LANES, Lane, Share};
use crate::capture::{Block, Packet};
use crate::evidence::{CaptureRecord, Episode, IcmpError, Moment, Seen};
use crate::flow::{FlowState, FlowTable, MAX_FLOWS, Observation, TcpObservation};
use crate::net::{Endpoint, FlowKey, Side, Timestamp, Transport};
use crate::wire::{Counters, Dissector, Layers, Limits, Quoted, TcpHeader, TransportHeader};

/// Flows alive at once in one lane: half of them, in all lanes together, are [`MAX_FLOWS`], because address pairs are never
/// spread evenly, least of all in front of a proxy.
const LANE_FLOWS: u32 = 2 * MAX_FLOWS / LANES as u32;
/// Bytes that all streams of a lane may hold out of order together, before the largest holder at hand gives up its own:
/// real captures hold kilobytes, a flood of holes must not fill the memory. 256 MiB in all lanes.
const LANE_HELD_BYTES: usize = 256 * 1024 * 1024 / LANES;
/// Flows of a lane whose ICMP errors are kept: a scan of a network that answers each probe with an error must stay bounded.
const LANE_QUOTED: usize = (1 << 16) / LANES;
/// Kinds of ICMP errors kept for one flow.
const MAX_ERRORS: usize = 8;

type State = Box<Application>;
type IcmpErrors = BTreeMap<FlowKey, BTreeMap<IcmpError, Seen>>;

/// Names that a worker puts into episodes.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// The chain.
    pub(super) tap: Arc<str>,
    /// Its files, in order.
    pub(super) files: Arc<[Arc<str>]>,
}

/// One thread's share of a chain.
pub(super) struct Worker {
    share: Share,
    /// Reads packets that are this worker's alone.
    own: Dissector,
    /// Reads packets that all workers read: fragments and everything else that one packet leaves for the next is here.
    common: Dissector,
    lanes: [Flows; LANES],
    /// The latest packet time, of whatever lane: by it all agree on which flows are over.
    clock: Timestamp,
    frame_bytes: u64,
}

/// What a worker saw.
#[derive(Default)]
pub(super) struct Finished {
    /// Connections and conversations.
    pub(super) episodes: Vec<Episode>,
    /// What ICMP says of flows.
    pub(super) icmp_errors: IcmpErrors,
    /// What bounds left out.
    pub(super) left_out: BTreeMap<&'static str, u64>,
}

/// The flows of one lane.
struct Flows {
    names: Names,
    table: FlowTable<State>,
    /// Flows that are over.
    episodes: Vec<Episode>,
    /// Bytes that streams hold out of order.
    held: usize,
    icmp_errors: IcmpErrors,
    left_out: BTreeMap<&'static str, u64>,
}

impl Worker {
    pub(super) fn new(names: &Names, share: Share) -> Self {
        let limits = Limits {
            verify_checksums: true,
            ..Limits::default()
        };
        Self {
            share,
            own: Dissector::new(limits),
            common: Dissector::new(limits),
            lanes: std::array::from_fn(|_| Flows::new(names.clone())),
            clock: Timestamp::from_nanos(i64::MIN),
            frame_bytes: 0,
        }
    }

    /// Scans all packets of a block.
    pub(super) fn scan(&mut self, block: &Block) {
        for packet in block.packets() {
            self.notice(packet);
            self.packet(packet, block.file(), None);
        }
    }

    /// Scans those packets of a block that are this worker's, or everyone's.
    pub(super) fn scan_share(&mut self, dealt: &Dealt) {
        for (packet, lane) in dealt.block.packets().zip(dealt.lanes()) {
            self.notice(packet);
            if lane.is_none_or(|lane| self.share.holds(lane)) {
                self.packet(packet, dealt.block.file(), lane);
            }
        }
    }

    /// What every packet counts for, whosever it is.
    fn notice(&mut self, packet: Packet<'_>) {
        self.clock = self.clock.max(packet.time);
        self.frame_bytes = self.frame_bytes.saturating_add(packet.wire_len.into());
    }

    /// Scans a packet, of which it may be known in which lane its flow is.
    fn packet(&mut self, packet: Packet<'_>, file: usize, lane: Option<Lane>) {
        let Self {
            share,
            own,
            common,
            lanes,
            clock,
            ..
        } = self;
        let file = u32::try_from(file).unwrap_or(u32::MAX);
        let dissector = if lane.is_some() { own } else { common };
        let layers = dissector.dissect(packet.time, packet.link, packet.bytes, packet.wire_len);
        let mut lanes = Lanes {
            lanes,
            share: *share,
        };
        if let Some(quoted) = &layers.quoted
            && let Some(flows) = lanes.between(quoted.source, quoted.destination)
        {
            let seen = Seen {
                frame: packet.number,
                time: packet.time,
            };
            flows.quoted(quoted, &layers, seen);
        }
        if let Some((source, destination)) = layers.carrier_flow()
            && let Some(flows) = lanes.between(source, destination)
        {
            let (key, side) = FlowKey::of(Transport::UDP, source, destination);
            let make = |_: &Observation| Box::new(Application::carrier(&layers));
            let observation = observe(&packet, key, side, None, &layers);
            flows.packet(*clock, &observation, file, None, &layers, make);
        }
        if let Some((transport, source, destination)) = layers.flow()
            && let Some(flows) = lanes.between(source, destination)
        {
            let (key, side) = FlowKey::of(transport, source, destination);
            let tcp = match &layers.transport {
                Some(TransportHeader::Tcp(tcp)) => Some(tcp),
                _ => None,
            };
            let make = |_: &Observation| Box::new(Application::new(key, &layers));
            let observation = observe(&packet, key, side, tcp, &layers);
            flows.packet(*clock, &observation, file, tcp, &layers, make);
        }
    }

    /// What the dissectors counted, each packet once over all workers.
    pub(super) fn counters(&self) -> Counters {
        let mut counters = *self.own.counters();
        if self.share.index == 0 {
            counters.merge(self.common.counters());
        }
        counters
    }

    /// Bytes of all packets on the wire, those of other workers included.
    pub(super) const fn frame_bytes(&self) -> u64 {
        self.frame_bytes
    }

    /// Everything that this worker saw.
    pub(super) fn finish(self) -> Finished {
        let mut finished = Finished::default();
        for mut flows in self.lanes {
            flows.drain();
            finished.episodes.append(&mut flows.episodes);
            finished.icmp_errors.append(&mut flows.icmp_errors);
            for (counter, count) in flows.left_out {
                add(&mut finished.left_out, counter, count);
            }
        }
        finished
    }
}

/// The lanes of a worker.
struct Lanes<'a> {
    lanes: &'a mut [Flows; LANES],
    share: Share,
}

impl Lanes<'_> {
    /// The flows between two endpoints, if they are this worker's.
    fn between(&mut self, one: Endpoint, other: Endpoint) -> Option<&mut Flows> {
        let lane = Lane::of(one.address, other.address);
        if !self.share.holds(lane) {
            return None;
        }
        self.lanes.get_mut(lane.index())
    }
}

/// Writes what dissectors counted into the capture's record.
pub(super) fn record(counters: &Counters, record: &mut CaptureRecord) {
    let mut add = |name: String, count: u64| {
        if count > 0 {
            record.counters.insert(name.into(), count);
        }
    };
    for (kind, layers) in [
        ("truncated", &counters.truncated),
        ("malformed", &counters.malformed),
        ("unsupported", &counters.unsupported),
    ] {
        for (layer, count) in layers.iter() {
            add(format!("{kind}_{layer}"), count);
        }
    }
    for (name, count) in [
        ("waiting_fragments", counters.waiting_fragments),
        ("nesting_limit", counters.nesting_limit),
        ("bad_network_checksums", counters.bad_network_checksums),
        ("bad_transport_checksums", counters.bad_transport_checksums),
    ] {
        add(name.to_owned(), count);
    }
}

fn add(counters: &mut BTreeMap<&'static str, u64>, counter: &'static str, count: u64) {
    if count > 0 {
        let sum = counters.entry(counter).or_default();
        *sum = sum.saturating_add(count);
    }
}

fn observe(
    packet: &Packet<'_>,
    key: FlowKey,
    side: Side,
    tcp: Option<&TcpHeader>,
    layers: &Layers<'_>,
) -> Observation {
    Observation {
        time: packet.time,
        key,
        side,
        ip_bytes: layers.network.map_or(0, |network| network.wire_len),
        payload_len: layers.payload_wire_len,
        tcp: tcp.map(|tcp| TcpObservation {
            sequence: tcp.sequence,
            acknowledgment: tcp.acknowledgment,
            flags: tcp.flags,
            window: tcp.window,
        }),
        number: packet.number,
    }
}

impl Flows {
    fn new(names: Names) -> Self {
        Self {
            names,
            table: FlowTable::with_limit(LANE_FLOWS),
            episodes: Vec::new(),
            held: 0,
            icmp_errors: IcmpErrors::new(),
            left_out: BTreeMap::new(),
        }
    }

    /// Takes a packet of one of these flows in; `clock` is the latest packet time of the capture.
    fn packet(
        &mut self,
        clock: Timestamp,
        observation: &Observation,
        file: u32,
        tcp: Option<&TcpHeader>,
        layers: &Layers<'_>,
        make: impl FnOnce(&Observation) -> State,
    ) {
        let Self {
            names,
            table,
            episodes,
            held,
            left_out,
            ..
        } = self;
        let mut retire = |key: FlowKey, state: FlowState<State>| {
            episodes.push(state.inner.finish(key, state.tracker, names));
        };
        table.expire(clock, &mut retire);
        let state = table.observe(observation, make, &mut retire);
        let moment = Moment {
            time: observation.time,
            frame: observation.number,
            key: observation.key,
            side: observation.side,
        };
        let (before, after) = state.inner.packet(moment, file, tcp, layers);
        *held = held.saturating_sub(before).saturating_add(after);
        if *held > LANE_HELD_BYTES && after > 0 {
            state.inner.flush(observation.key);
            *held = held.saturating_sub(after);
            add(left_out, "reassembly_given_up", 1);
        }
    }

    /// Lets all flows go.
    fn drain(&mut self) {
        let Self {
            names,
            table,
            episodes,
            left_out,
            ..
        } = self;
        add(left_out, "flows_evicted", table.evicted());
        episodes.reserve(table.len());
        table.drain(&mut |key, state| {
            episodes.push(state.inner.finish(key, state.tracker, names));
        });
    }

    fn quoted(&mut self, quoted: &Quoted, layers: &Layers<'_>, seen: Seen) {
        let Some(network) = layers.network else {
            return;
        };
        let (key, quoted_sender) = FlowKey::of(quoted.transport, quoted.source, quoted.destination);
        if self.icmp_errors.len() >= LANE_QUOTED && !self.icmp_errors.contains_key(&key) {
            add(&mut self.left_out, "icmp_errors_left_out", 1);
            return;
        }
        let version = if network.source.is_ipv4() { 4 } else { 6 };
        let error = IcmpError {
            reporter: network.source,
            quoted_sender,
            version,
            kind: quoted.kind,
            code: quoted.code,
        };
        let errors = self.icmp_errors.entry(key).or_default();
        if errors.len() < MAX_ERRORS || errors.contains_key(&error) {
            let first = errors.entry(error).or_insert(seen);
            *first = seen.min(*first);
        }
    }
}
