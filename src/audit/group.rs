//! The flows of one cause, and of them as much as a finding tells: numbers, how many ends, what a filter shows.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::FlowNumbers;
use super::few::{Few, Room};
use super::filter::Shown;
use super::scene::Subject;
use crate::net::{Endpoint, Transport};
use crate::signature::ServiceId;

/// Clients and listeners that are counted for one finding; beyond that the count is a lower bound.
const MAX_COUNTED: usize = 4096;
/// Numbers that may wait out of order, whatever the size of the set that they belong to.
const MIN_LATE: usize = 512;
/// Bytes of a set for each number that may wait for it: then what waits is never larger than the set, and sorting it in costs
/// a few steps for each number.
const BYTES_PER_LATE: usize = 8;

/// A flow as a finding names it: for checks that speak after it went by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Named {
    pub(super) number: u64,
    pub(super) transport: Transport,
    pub(super) client: Endpoint,
    pub(super) server: Endpoint,
    pub(super) service: Option<ServiceId>,
}

impl From<Subject<'_>> for Named {
    fn from(subject: Subject<'_>) -> Self {
        let flow = subject.flow;
        Self {
            number: flow.number,
            transport: flow.key.transport,
            client: flow.client(),
            server: flow.server(),
            service: subject.attribution.service.clone(),
        }
    }
}

/// Flows that grow in number, and stay small: two or three bytes each, and their ends as far as there is room.
#[derive(Debug, Default)]
pub(super) struct Group {
    flows: FlowNumbers,
    /// Flows that were found after later ones.
    late: Vec<u64>,
    clients: Few<IpAddr>,
    listeners: Few<(Transport, Endpoint)>,
    shown: Shown,
}

impl Group {
    /// Adds a flow; its ends where `room` is left.
    pub(super) fn add(&mut self, flow: &Named, room: &mut Room) {
        match self.flows.last() {
            // One flow may be found twice.
            Some(last) if last == flow.number => return,
            Some(last) if last > flow.number => self.late.push(flow.number),
            _ => self.flows.push(flow.number),
        }
        if self.late.len() >= MIN_LATE.max(self.flows.size_bytes() / BYTES_PER_LATE) {
            self.sort_in();
        }
        // Most of a flood come when there is nothing left to count.
        if !self.clients.is_settled(MAX_COUNTED, *room) {
            self.clients
                .insert_within(flow.client.address, MAX_COUNTED, room);
        }
        if !self.listeners.is_settled(MAX_COUNTED, *room) {
            self.listeners
                .insert_within((flow.transport, flow.server), MAX_COUNTED, room);
        }
        self.shown
            .add(flow.transport, flow.client, flow.server, room);
    }

    /// All flows of some groups.
    pub(super) fn joined(groups: impl IntoIterator<Item = Self>) -> Self {
        let mut whole = Self::default();
        let mut flows = Vec::new();
        for group in groups {
            let Self {
                flows: numbers,
                late,
                clients,
                listeners,
                shown,
            } = group;
            flows.push(numbers);
            whole.late.extend(late);
            whole.clients.join(clients);
            whole.listeners.join(listeners);
            whole.shown.join(shown);
        }
        whole.flows = FlowNumbers::union(&flows);
        whole
    }

    fn sort_in(&mut self) {
        if self.late.is_empty() {
            return;
        }
        let mut late = std::mem::take(&mut self.late);
        late.sort_unstable();
        let late = late.into_iter().collect();
        self.flows = FlowNumbers::union(&[std::mem::take(&mut self.flows), late]);
    }

    /// The least number of a flow.
    pub(super) fn first(&self) -> Option<u64> {
        let late = self.late.iter().copied().min();
        self.flows.first().into_iter().chain(late).min()
    }

    /// The clients, where all of them found room.
    pub(super) fn clients(&self) -> Option<&BTreeSet<IpAddr>> {
        Some(self.clients.known()).filter(|_| self.clients.is_whole())
    }

    /// The client, where there is but one.
    pub(super) fn only_client(&self) -> Option<IpAddr> {
        only(&self.clients).copied()
    }

    /// The listener, where there is but one.
    pub(super) fn only_listener(&self) -> Option<Endpoint> {
        only(&self.listeners).map(|(_, listener)| *listener)
    }

    /// The transport, where there is but one.
    pub(super) fn transport(&self) -> Option<Transport> {
        let mut transports = self
            .listeners
            .known()
            .iter()
            .map(|(transport, _)| *transport);
        let first = transports.next()?;
        transports
            .all(|transport| transport == first)
            .then_some(first)
    }

    /// Ends that are remembered.
    #[cfg(test)]
    pub(super) fn ends(&self) -> usize {
        self.clients.known().len() + self.listeners.known().len()
    }

    /// Numbers of all flows, how many flows of how many ends in words, and a filter that shows them.
    pub(super) fn told(mut self) -> (FlowNumbers, String, String) {
        self.sort_in();
        let many = self.flows.len();
        let one_client = only(&self.clients).is_some();
        let one_listener = only(&self.listeners).is_some();
        let (clients, listeners) = (self.clients.count(), self.listeners.count());
        let words = match (one_client, one_listener) {
            _ if many < 2 => String::new(),
            (true, true) => format!(" ({many} flows)"),
            (false, true) => format!(" ({many} flows of {clients} clients, this one first)"),
            (true, false) => format!(" ({many} flows to {listeners} endpoints, this one first)"),
            (false, false) => format!(
                " ({many} flows of {clients} clients to {listeners} endpoints, this one first)"
            ),
        };
        (self.flows, words, self.shown.filter())
    }
}

fn only<T: Ord>(few: &Few<T>) -> Option<&T> {
    let mut known = few.known().iter();
    known
        .next()
        .filter(|_| known.next().is_none() && few.is_whole())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(number: u64) -> Named {
        let low = u32::try_from(number).unwrap();
        Named {
            number,
            transport: Transport::TCP,
            client: Endpoint::new(IpAddr::V4((0x0a00_0000 + low % 7).into()), 40_000),
            server: Endpoint::new(IpAddr::V4((0xc0a8_0000 + low).into()), 25),
            service: None,
        }
    }

    #[test]
    fn flows_found_in_any_order_come_out_in_theirs() {
        let mut group = Group::default();
        let mut room = Room::of(usize::MAX);
        for number in (1..=3000).rev().chain(3001..=3010).chain([7, 7]) {
            group.add(&flow(number), &mut room);
        }
        assert_eq!(group.first(), Some(1));
        let (flows, words, _) = group.told();
        assert!(flows.iter().eq(1..=3010));
        assert_eq!(
            words,
            " (3010 flows of 7 clients to 3010 endpoints, this one first)"
        );
    }

    #[test]
    fn a_flood_of_addresses_is_counted_as_far_as_there_is_room() {
        let mut group = Group::default();
        let mut room = Room::of(1000);
        for number in 1..=100_000 {
            group.add(&flow(number), &mut room);
        }
        assert!(group.ends() <= 1002);
        let (flows, words, filter) = group.told();
        assert_eq!(flows.len(), 100_000);
        assert!(words.contains("to at least 9"), "{words}");
        assert!(flows.size_bytes() < 100, "a run of neighbours");
        assert!(filter.len() < 4096, "{filter}");
    }

    #[test]
    fn groups_that_share_flows_count_them_once() {
        let group = |numbers: &[u64]| {
            let (mut group, mut room) = (Group::default(), Room::of(100));
            for number in numbers {
                group.add(&flow(*number), &mut room);
            }
            group
        };
        let whole = Group::joined([group(&[1, 5, 9]), group(&[9, 2]), group(&[3, 4, 5])]);
        assert_eq!(whole.first(), Some(1));
        let (flows, ..) = whole.told();
        assert_eq!(flows.iter().collect::<Vec<_>>(), [1, 2, 3, 4, 5, 9]);
    }
}
