//! What the dissector met: fixed tables, summed over packets and mergeable over shards.

use super::fragments::FragmentCounters;
use super::{Checksum, Layer, Layers, Stop};

/// A count for each layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerLayer([u64; Layer::ALL.len()]);

impl PerLayer {
    /// The count of a layer.
    pub fn of(&self, layer: Layer) -> u64 {
        self.0.get(layer as usize).copied().unwrap_or(0)
    }

    /// The layers with a count that is not 0.
    pub fn iter(&self) -> impl Iterator<Item = (Layer, u64)> + '_ {
        Layer::ALL
            .iter()
            .map(|&layer| (layer, self.of(layer)))
            .filter(|&(_, count)| count != 0)
    }

    /// The sum over all layers.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    fn add(&mut self, layer: Layer) {
        if let Some(count) = self.0.get_mut(layer as usize) {
            *count = count.saturating_add(1);
        }
    }

    fn merge(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count = count.saturating_add(more);
        }
    }
}

/// What became of the packets. Every packet is in exactly one of the counts of [`Stop`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// All packets.
    pub packets: u64,
    /// Packets read to the end.
    pub complete: u64,
    /// Packets that the capture cuts, by the first layer that misses bytes.
    pub truncated: PerLayer,
    /// Packets that contradict themselves, by layer.
    pub malformed: PerLayer,
    /// Packets that carry what is not read here, by the layer that names it.
    pub unsupported: PerLayer,
    /// Fragments that wait, or waited in vain, for the rest of their datagram.
    pub waiting_fragments: u64,
    /// Packets with too many tags or tunnels.
    pub nesting_limit: u64,
    /// Packets whose IPv4 header checksum is wrong.
    pub bad_network_checksums: u64,
    /// Packets whose transport checksum is wrong.
    pub bad_transport_checksums: u64,
    /// What became of the fragments.
    pub fragments: FragmentCounters,
}

impl Counters {
    pub(super) fn count(&mut self, layers: &Layers<'_>) {
        let one_more = |count: &mut u64| *count = count.saturating_add(1);
        one_more(&mut self.packets);
        match layers.stop {
            Stop::Complete => one_more(&mut self.complete),
            Stop::Truncated { layer } => self.truncated.add(layer),
            Stop::Malformed { layer, .. } => self.malformed.add(layer),
            Stop::Unsupported { layer, .. } => self.unsupported.add(layer),
            Stop::Fragment => one_more(&mut self.waiting_fragments),
            Stop::NestingLimit => one_more(&mut self.nesting_limit),
        }
        if layers.checksums.network == Checksum::Bad {
            one_more(&mut self.bad_network_checksums);
        }
        if layers.checksums.transport == Checksum::Bad {
            one_more(&mut self.bad_transport_checksums);
        }
    }

    /// Adds the counts of another dissector (of another shard, or another capture).
    pub fn merge(&mut self, other: &Self) {
        let Self {
            packets,
            complete,
            truncated,
            malformed,
            unsupported,
            waiting_fragments,
            nesting_limit,
            bad_network_checksums,
            bad_transport_checksums,
            fragments,
        } = other;
        for (count, more) in [
            (&mut self.packets, packets),
            (&mut self.complete, complete),
            (&mut self.waiting_fragments, waiting_fragments),
            (&mut self.nesting_limit, nesting_limit),
            (&mut self.bad_network_checksums, bad_network_checksums),
            (&mut self.bad_transport_checksums, bad_transport_checksums),
        ] {
            *count = count.saturating_add(*more);
        }
        self.truncated.merge(truncated);
        self.malformed.merge(malformed);
        self.unsupported.merge(unsupported);
        self.fragments.merge(fragments);
    }
}
