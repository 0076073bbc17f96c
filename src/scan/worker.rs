//! One thread's share of a chain: reads packets, keeps the flows of its lanes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::application::{Application, Change};
use super::share::{Dealt, LANES, Lane, Share};
use crate::capture::{Block, Packet};
use crate::evidence::{CaptureRecord, IcmpError, Ledger, Moment, Packer, Seen, Store};
use crate::flow::{FlowState, FlowTable, Found, MAX_FLOWS, Observation, TcpObservation};
use crate::net::{Endpoint, FlowKey, Side, Timestamp, Transport};
use crate::wire::{Counters, Dissector, Layers, Limits, Quoted, TcpHeader, TransportHeader};

/// Kinds of ICMP errors kept for one flow.
const MAX_ERRORS: usize = 8;

/// Counters of the capture's record.
pub(super) const FLOWS_EVICTED: &str = "flows_evicted";
pub(super) const REASSEMBLY_GIVEN_UP: &str = "reassembly_given_up";
pub(super) const ICMP_ERRORS_LEFT_OUT: &str = "icmp_errors_left_out";
pub(super) const FRAGMENTS_GIVEN_UP: &str = "fragments_given_up";
pub(super) const FACTS_LEFT_OUT: &str = "facts_left_out";

/// Packet time in nanoseconds after which an idle flow rests. Pauses of people and programs that go on are mostly shorter, and
/// most lookups are never heard of again.
const REST: i64 = 10 * 1_000_000_000;
/// The same where half of the memory for live flows is in use.
const REST_SOON: i64 = 1_000_000_000;

/// What one lane may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Flows alive at once.
    pub(super) flows: u32,
    /// Bytes that all streams may hold out of order together, before the largest holder at hand gives up its own.
    pub(super) held_bytes: usize,
    /// Bytes that all live flows may take together, before those that were idle for longest go.
    pub(super) live_bytes: usize,
    /// Packet time in nanoseconds after which an idle flow rests.
    pub(super) rest: i64,
    /// Flows whose ICMP errors are kept.
    pub(super) quoted: usize,
}

impl Default for Bounds {
    /// Twice a lane's part of [`MAX_FLOWS`], because address pairs are never spread evenly, least of all in front of a proxy;
    /// 32 MiB out of order, of which real captures hold kilobytes; ICMP errors of 8,192 flows, against scans of a network that
    /// answers each probe with one.
    fn default() -> Self {
        Self {
            flows: (2 * MAX_FLOWS) >> LANES.ilog2(),
            held_bytes: 32 << 20,
            live_bytes: usize::MAX,
            rest: REST,
            quoted: 8192,
        }
    }
}

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
    ended: Ended,
    /// The latest packet time, of whatever lane: by it all agree on which flows are over.
    clock: Timestamp,
    frame_bytes: u64,
}

/// What a worker saw.
pub(super) struct Finished {
    /// Connections and conversations, and what ICMP says of them.
    pub(super) ledger: Ledger,
    /// What bounds left out.
    pub(super) left_out: BTreeMap<&'static str, u64>,
    /// What dissectors counted, each packet once over all workers.
    pub(super) counters: Counters,
    /// Bytes of all packets on the wire, those of other workers included.
    pub(super) frame_bytes: u64,
}

/// Flows that are over: what they held while they lived is free at once.
struct Ended {
    names: Names,
    packer: Packer,
    /// Facts and offers that bounds of a flow left out, of all flows.
    facts_left_out: u64,
}

impl Ended {
    fn take(&mut self, key: FlowKey, state: FlowState<State>, load: &mut Load) {
        let FlowState { tracker, inner, .. } = state;
        load.release(&inner);
        let left_out = inner.finish(key, tracker, &self.names, &mut self.packer);
        self.facts_left_out = self.facts_left_out.saturating_add(left_out);
    }

    /// A flow is idle, and may go on.
    fn rest(&mut self, key: FlowKey, state: &mut FlowState<State>, load: &mut Load) {
        let FlowState { tracker, inner, .. } = state;
        load.change(inner.rest(key, tracker, &self.names, &mut self.packer));
    }
}

/// What the live flows of a lane hold.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    /// Bytes that streams hold out of order.
    held: usize,
    /// Bytes that the flows take beside those, about.
    live: usize,
}

impl Load {
    /// A flow takes more or less than before.
    fn change(&mut self, Change { before, after }: Change) {
        self.live = self.live.saturating_sub(before).saturating_add(after);
    }

    /// A flow goes.
    fn release(&mut self, flow: &Application) {
        self.held = self.held.saturating_sub(flow.held());
        self.live = self.live.saturating_sub(flow.weight());
    }
}

/// The flows of one lane.
struct Flows {
    bounds: Bounds,
    table: FlowTable<State>,
    load: Load,
    icmp_errors: IcmpErrors,
    left_out: BTreeMap<&'static str, u64>,
}

impl Worker {
    pub(super) fn new(names: &Names, share: Share, bounds: Bounds, store: &Arc<Store>) -> Self {
        let limits = Limits {
            verify_checksums: true,
            ..Limits::default()
        };
        Self {
            share,
            own: Dissector::new(limits),
            common: Dissector::new(limits),
            lanes: std::array::from_fn(|_| Flows::new(bounds)),
            ended: Ended {
                names: names.clone(),
                packer: Packer::new(Arc::clone(&names.tap), Arc::clone(store)),
                facts_left_out: 0,
            },
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
            ended,
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
            flows.packet(*clock, &observation, file, &layers, make, ended);
        }
        if let Some((transport, source, destination)) = layers.flow()
            && let Some(flows) = lanes.between(source, destination)
        {
            let (key, side) = FlowKey::of(transport, source, destination);
            let make = |_: &Observation| Box::new(Application::new(key, &layers));
            let observation = observe(&packet, key, side, tcp(&layers), &layers);
            flows.packet(*clock, &observation, file, &layers, make, ended);
        }
    }

    /// Everything that this worker saw.
    pub(super) fn finish(self) -> Finished {
        let Self {
            share,
            own,
            common,
            lanes,
            mut ended,
            frame_bytes,
            ..
        } = self;
        let mut counters = *own.counters();
        if share.index == 0 {
            counters.merge(common.counters());
        }
        let (mut icmp_errors, mut left_out) = (IcmpErrors::new(), BTreeMap::new());
        for mut flows in lanes {
            flows.drain(&mut ended);
            icmp_errors.append(&mut flows.icmp_errors);
            for (counter, count) in flows.left_out {
                add(&mut left_out, counter, count);
            }
        }
        let Ended {
            names,
            packer,
            facts_left_out,
        } = ended;
        add(&mut left_out, FACTS_LEFT_OUT, facts_left_out);
        let record = CaptureRecord::default();
        Finished {
            ledger: Ledger::of(names.tap, record, vec![packer.finish()], icmp_errors),
            left_out,
            counters,
            frame_bytes,
        }
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
        ("fragments_cut", counters.fragments.cut),
        ("fragments_overlapping", counters.fragments.overlapping),
        ("fragments_expired", counters.fragments.expired),
        (FRAGMENTS_GIVEN_UP, counters.fragments.evicted),
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

fn tcp<'a>(layers: &'a Layers<'_>) -> Option<&'a TcpHeader> {
    match &layers.transport {
        Some(TransportHeader::Tcp(tcp)) => Some(tcp),
        _ => None,
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
    fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            table: FlowTable::with_limit(bounds.flows),
            load: Load::default(),
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
        layers: &Layers<'_>,
        make: impl FnOnce(&Observation) -> State,
        ended: &mut Ended,
    ) {
        let Self {
            bounds,
            table,
            load,
            left_out,
            ..
        } = self;
        let rest = if load.live > bounds.live_bytes / 2 {
            bounds.rest.min(REST_SOON)
        } else {
            bounds.rest
        };
        table.expire(clock, rest, &mut |found| match found {
            Found::Over(key, state) => ended.take(key, state, load),
            Found::Idle(key, state) => ended.rest(key, state, load),
        });
        let state = table.observe(observation, make, &mut |key, state| {
            ended.take(key, state, load);
        });
        let moment = Moment {
            time: observation.time,
            frame: observation.number,
            key: observation.key,
            side: observation.side,
        };
        let flow = &mut state.inner;
        let held = flow.held();
        load.change(flow.packet(moment, file, tcp(layers), layers, &ended.packer));
        load.held = load.held.saturating_sub(held).saturating_add(flow.held());
        if load.held > bounds.held_bytes && flow.held() > 0 {
            load.held = load.held.saturating_sub(flow.held());
            flow.flush(observation.key);
            add(left_out, REASSEMBLY_GIVEN_UP, 1);
        }
        while load.live > bounds.live_bytes && !table.is_empty() {
            table.evict(&mut |key, state| ended.take(key, state, load));
        }
    }

    /// Lets all flows go.
    fn drain(&mut self, ended: &mut Ended) {
        let Self {
            table,
            load,
            left_out,
            ..
        } = self;
        add(left_out, FLOWS_EVICTED, table.evicted());
        table.drain(&mut |key, state| ended.take(key, state, load));
        debug_assert!(
            load.held == 0 && load.live == 0,
            "what came is what went: {load:?}"
        );
    }

    fn quoted(&mut self, quoted: &Quoted, layers: &Layers<'_>, seen: Seen) {
        let Some(network) = layers.network else {
            return;
        };
        let (key, quoted_sender) = FlowKey::of(quoted.transport, quoted.source, quoted.destination);
        if self.icmp_errors.len() >= self.bounds.quoted && !self.icmp_errors.contains_key(&key) {
            add(&mut self.left_out, ICMP_ERRORS_LEFT_OUT, 1);
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
