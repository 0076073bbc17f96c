//! One thread's share of a chain: dissects every packet, keeps the flows of its address pairs.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::application::Application;
use super::budget::Budget;
use crate::capture::{Block, Packet};
use crate::evidence::{CaptureRecord, IcmpError, Moment, Packed, Packer, Seen, Store};
use crate::flow::{FlowState, FlowTable, Observation, TcpObservation};
use crate::net::{FlowKey, Side, Transport};
use crate::wire::{Dissector, Layers, Limits, Quoted, TcpHeader, TransportHeader};

/// Flows whose ICMP errors are kept: a scan of a network that answers each probe with an error must stay bounded.
const MAX_QUOTED: usize = 1 << 16;
/// Kinds of ICMP errors kept for one flow.
const MAX_ERRORS: usize = 8;

/// Which address pairs a worker keeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    /// Number of the worker, from 0.
    pub(super) index: usize,
    /// How many there are.
    pub(super) of: usize,
}

impl Share {
    /// Whether the pair is this worker's; the same for both directions.
    fn holds(self, one: IpAddr, other: IpAddr) -> bool {
        if self.of <= 1 {
            return true;
        }
        let folded = |address: IpAddr| match address {
            IpAddr::V4(address) => u64::from(address.to_bits()),
            IpAddr::V6(address) => {
                let [high, low] = [
                    address.octets().first_chunk(),
                    address.octets().last_chunk(),
                ]
                .map(|half| half.copied().map_or(0, u64::from_be_bytes));
                high ^ low
            }
        };
        // Mixed, because neighbours differ in their low bits only; the seed need not be secret: a share is no bucket.
        let mixed = (folded(one) ^ folded(other)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        (mixed as usize).checked_rem(self.of) == Some(self.index)
    }
}

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
    dissector: Dissector,
    flows: Flows,
    table: FlowTable<Box<Application>>,
    held: usize,
    most_held: usize,
    frame_bytes: u64,
}

/// What a worker collects besides live flows.
struct Flows {
    names: Names,
    /// Flows that are over: what they held while they lived is free at once.
    packer: Packer,
    icmp_errors: IcmpErrors,
    counters: BTreeMap<&'static str, u64>,
}

impl Worker {
    pub(super) fn new(names: &Names, store: &Arc<Store>, budget: Budget, share: Share) -> Self {
        let limits = Limits {
            verify_checksums: true,
            ..Limits::default()
        };
        Self {
            share,
            dissector: Dissector::new(limits),
            flows: Flows {
                names: names.clone(),
                packer: Packer::new(Arc::clone(&names.tap), Arc::clone(store)),
                icmp_errors: IcmpErrors::new(),
                counters: BTreeMap::new(),
            },
            table: FlowTable::with_limit(budget.table()),
            held: 0,
            most_held: budget.held_bytes,
            frame_bytes: 0,
        }
    }

    /// Scans the packets of one block.
    pub(super) fn scan(&mut self, block: &Block) {
        let file = u32::try_from(block.file()).unwrap_or(u32::MAX);
        for packet in block.packets() {
            self.packet(packet, file);
        }
    }

    fn packet(&mut self, packet: Packet<'_>, file: u32) {
        let Self {
            share,
            dissector,
            flows,
            table,
            held,
            most_held,
            frame_bytes,
        } = self;
        *frame_bytes = frame_bytes.saturating_add(u64::from(packet.wire_len));
        let layers = dissector.dissect(packet.time, packet.link, packet.bytes, packet.wire_len);
        // Every worker's clock goes with every packet, so that all agree on which flows are over.
        table.expire(packet.time, &mut |key, state| flows.retire(key, state));
        let seen = Seen {
            frame: packet.number,
            time: packet.time,
        };
        if let Some(quoted) = &layers.quoted
            && share.holds(quoted.source.address, quoted.destination.address)
        {
            flows.quoted(quoted, &layers, seen);
        }
        if let Some((source, destination)) = layers.carrier_flow()
            && share.holds(source.address, destination.address)
        {
            let (key, side) = FlowKey::of(Transport::UDP, source, destination);
            let observation = observe(&packet, key, side, None, &layers);
            let mut retire = |key, state| flows.retire(key, state);
            let make = |_: &Observation| Box::new(Application::carrier(&layers));
            let state = table.observe(&observation, make, &mut retire);
            let moment = Moment {
                time: packet.time,
                frame: packet.number,
                key,
                side,
            };
            state.inner.packet(moment, file, None, &layers);
        }
        let Some((transport, source, destination)) = layers.flow() else {
            return;
        };
        if !share.holds(source.address, destination.address) {
            return;
        }
        let (key, side) = FlowKey::of(transport, source, destination);
        let tcp = match &layers.transport {
            Some(TransportHeader::Tcp(tcp)) => Some(tcp),
            _ => None,
        };
        let observation = observe(&packet, key, side, tcp, &layers);
        let mut retire = |key, state| flows.retire(key, state);
        let make = |_: &Observation| Box::new(Application::new(key, &layers));
        let state = table.observe(&observation, make, &mut retire);
        let moment = Moment {
            time: packet.time,
            frame: packet.number,
            key,
            side,
        };
        let (before, after) = state.inner.packet(moment, file, tcp, &layers);
        *held = held.saturating_sub(before).saturating_add(after);
        if *held > *most_held && after > 0 {
            state.inner.flush(key);
            *held = held.saturating_sub(after);
            flows.count("reassembly_given_up", 1);
        }
    }

    /// What the dissector counted, into the capture's record.
    pub(super) fn count(&self, record: &mut CaptureRecord) {
        let counters = self.dissector.counters();
        record.frame_bytes = self.frame_bytes;
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
        add("waiting_fragments".to_owned(), counters.waiting_fragments);
        add("nesting_limit".to_owned(), counters.nesting_limit);
        add(
            "bad_network_checksums".to_owned(),
            counters.bad_network_checksums,
        );
        add(
            "bad_transport_checksums".to_owned(),
            counters.bad_transport_checksums,
        );
    }

    /// Everything that this worker saw.
    pub(super) fn finish(mut self) -> (Packed, IcmpErrors, BTreeMap<&'static str, u64>) {
        self.flows.count("flows_evicted", self.table.evicted());
        let Self {
            mut flows,
            mut table,
            ..
        } = self;
        table.drain(&mut |key, state| flows.retire(key, state));
        (flows.packer.finish(), flows.icmp_errors, flows.counters)
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
    /// Packs a flow that is over.
    fn retire(&mut self, key: FlowKey, state: FlowState<Box<Application>>) {
        let Names { tap, files } = &self.names;
        let episode = state.inner.finish(key, state.tracker, tap, files);
        self.packer.push(&episode);
    }

    fn count(&mut self, counter: &'static str, count: u64) {
        if count > 0 {
            let sum = self.counters.entry(counter).or_default();
            *sum = sum.saturating_add(count);
        }
    }

    fn quoted(&mut self, quoted: &Quoted, layers: &Layers<'_>, seen: Seen) {
        let Some(network) = layers.network else {
            return;
        };
        let (key, quoted_sender) = FlowKey::of(quoted.transport, quoted.source, quoted.destination);
        if self.icmp_errors.len() >= MAX_QUOTED && !self.icmp_errors.contains_key(&key) {
            self.count("icmp_errors_left_out", 1);
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
