//! Offers by endpoint: what somebody announced, and the flows that it explains.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::flow::{Flow, Sight};
use crate::evidence::{Offer, Offered};
use crate::net::{Endpoint, Transport};

/// An offer, and where it was made.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The offer.
    pub offer: Offer,
    /// Where it was seen first.
    pub sight: Sight,
    /// Number of the flow that carried it.
    pub flow: u64,
}

impl Standing {
    /// The call that it belongs to.
    pub fn call_id(&self) -> Option<&str> {
        let call_id = match &self.offer.offered {
            Offered::Media(media) => &media.call_id,
            Offered::Candidate { call_id, .. } => call_id,
            Offered::Rpc { .. }
            | Offered::Dcom { .. }
            | Offered::Relay
            | Offered::Host { .. }
            | Offered::Protocol { .. }
            | Offered::Data { .. } => return None,
        };
        (!call_id.is_empty()).then_some(call_id)
    }

    /// Whether media keys were announced with it, or a profile that has keys; `None` where it is no media line.
    pub fn keyed(&self) -> Option<bool> {
        match &self.offer.offered {
            Offered::Media(media) => Some(media.keyed || media.profile.contains("SAVP")),
            Offered::Rpc { .. }
            | Offered::Dcom { .. }
            | Offered::Candidate { .. }
            | Offered::Relay
            | Offered::Host { .. }
            | Offered::Protocol { .. }
            | Offered::Data { .. } => None,
        }
    }
}

/// All offers of a ledger, by the endpoint that they announce.
#[derive(Debug, Default)]
pub struct Offers {
    standing: Vec<Standing>,
    by_endpoint: HashMap<(Transport, Endpoint), Vec<usize>, RandomState>,
    rtcp: HashMap<Endpoint, Vec<usize>, RandomState>,
}

impl Offers {
    /// All offers, each with where it was made first, and the number of the flow that carried it.
    pub(super) fn of(made: impl Iterator<Item = (Offer, Sight, u64)>) -> Self {
        let mut all = Self::default();
        let mut standing: Vec<Standing> = made
            .map(|(offer, sight, flow)| Standing { offer, sight, flow })
            .collect();
        standing.sort_by(|one, other| (one.sight, &one.offer).cmp(&(other.sight, &other.offer)));
        for (index, Standing { offer, .. }) in standing.iter().enumerate() {
            all.by_endpoint
                .entry((offer.transport, offer.endpoint))
                .or_default()
                .push(index);
            if let Offered::Media(media) = &offer.offered
                && let Some(port) = media.rtcp_port
            {
                all.rtcp
                    .entry(Endpoint::new(offer.endpoint.address, port))
                    .or_default()
                    .push(index);
            }
        }
        all.standing = standing;
        all
    }

    /// All offers, by the packet that made them.
    pub fn iter(&self) -> impl Iterator<Item = &Standing> {
        self.standing.iter()
    }

    /// Whether a port of an endpoint was offered.
    pub(super) fn is_offered(&self, transport: Transport, endpoint: Endpoint) -> bool {
        endpoint.port != 0 && self.by_endpoint.contains_key(&(transport, endpoint))
    }

    /// Whether anything was announced of either end of a flow.
    pub(super) fn touch(&self, flow: &Flow) -> bool {
        let ends = [flow.key.a, flow.key.b];
        let is_offered =
            |end: &Endpoint| self.by_endpoint.contains_key(&(flow.key.transport, *end));
        !self.standing.is_empty()
            && ends
                .iter()
                .any(|end| is_offered(end) || self.rtcp.contains_key(end))
    }

    /// Offers of an endpoint.
    pub fn at(&self, transport: Transport, endpoint: Endpoint) -> impl Iterator<Item = &Standing> {
        let indexes = self.by_endpoint.get(&(transport, endpoint));
        indexes
            .into_iter()
            .flatten()
            .filter_map(|&index| self.standing.get(index))
    }

    /// RPC offers of the flow's server endpoint: interfaces, and object exporters of DCOM.
    pub fn of_server(&self, flow: &Flow) -> impl Iterator<Item = &Standing> {
        self.at(flow.key.transport, flow.server())
            .filter(|standing| {
                matches!(
                    standing.offer.offered,
                    Offered::Rpc { .. } | Offered::Dcom { .. }
                )
            })
    }

    /// The protocols, and their names, that were offered at the flow's server endpoint.
    pub fn protocols(&self, flow: &Flow) -> impl Iterator<Item = (&Standing, &'static str, &str)> {
        let offers = self.at(flow.key.transport, flow.server());
        offers.filter_map(|standing| match &standing.offer.offered {
            Offered::Protocol { protocol, name } => Some((standing, *protocol, &**name)),
            Offered::Rpc { .. }
            | Offered::Dcom { .. }
            | Offered::Media(_)
            | Offered::Candidate { .. }
            | Offered::Relay
            | Offered::Host { .. }
            | Offered::Data { .. } => None,
        })
    }

    /// What the connection for data that this flow is was announced to carry, in the order of announcements: one between
    /// the two hosts that agreed upon it, and not before they did.
    pub fn data(&self, flow: &Flow) -> impl Iterator<Item = &'static str> {
        let ends = [flow.key.a, flow.key.b];
        let at_ends = ends
            .into_iter()
            .flat_map(|endpoint| self.at(flow.key.transport, endpoint));
        at_ends.filter_map(move |standing| {
            let offer = &standing.offer;
            let hosts = ends.map(|endpoint| endpoint.address);
            let is_theirs = hosts.contains(&offer.by) && hosts.contains(&offer.to);
            let is_later = standing.sight.seen.time <= flow.tracker.last_seen;
            match offer.offered {
                Offered::Data { protocol } if is_theirs && is_later => Some(protocol),
                _ => None,
            }
        })
    }

    /// Media offers and candidates of either endpoint of a flow, RTCP ports included.
    pub fn media(&self, flow: &Flow) -> Vec<&Standing> {
        let mut found: Vec<&Standing> = Vec::new();
        for endpoint in [flow.key.a, flow.key.b] {
            let at_rtcp = self
                .rtcp
                .get(&endpoint)
                .into_iter()
                .flatten()
                .filter_map(|&index| self.standing.get(index));
            let media = self.at(flow.key.transport, endpoint).filter(|standing| {
                matches!(
                    standing.offer.offered,
                    Offered::Media(_) | Offered::Candidate { .. } | Offered::Relay
                )
            });
            found.extend(media);
            if flow.key.transport == Transport::UDP {
                found.extend(at_rtcp);
            }
        }
        found
    }
}
