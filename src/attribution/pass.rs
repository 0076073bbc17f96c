//! Going over all flows: records are read in order, judged in chunks side by side, and taken in order again.
//!
//! What is alive at a time is a few chunks, whatever the ledger holds. The result cannot depend on the number of threads:
//! each flow is judged alone, from what the survey found, and chunks are taken by their number.

use super::chunk::Chunk;
use super::claims::Claims;
use super::flow::Flow;
use super::{Judge, Judged, JudgedFlow, is_documented};
use crate::evidence::Records;
use crate::parallel::in_order;

/// Reads the records that begin flows, each chunk with the number of its first flow.
struct Chunks<'a> {
    judged: &'a Judged<'a>,
    records: Records<'a>,
    place: u64,
    absorbed: usize,
    number: u64,
}

impl<'a> Chunks<'a> {
    fn of(judged: &'a Judged<'a>) -> Self {
        Self {
            judged,
            records: Records::of(judged.ledger.packed()),
            place: 0,
            absorbed: 0,
            number: 1,
        }
    }
}

impl Iterator for Chunks<'_> {
    type Item = (u64, Chunk);

    fn next(&mut self) -> Option<(u64, Chunk)> {
        let mut chunk = Chunk::default();
        while !chunk.is_full()
            && let Some(record) = self.records.next()
        {
            let place = self.place;
            self.place = place.saturating_add(1);
            if !self.judged.joints.is_absorbed(place, &mut self.absorbed) {
                chunk.push(place, &record);
            }
        }
        let first = self.number;
        self.number = first.saturating_add(chunk.len());
        Some((first, chunk.some()?))
    }
}

impl<'a> Judged<'a> {
    /// Goes over all flows in chunks of some hundred: `work` makes something of a chunk's flows, on any thread; `take` gets
    /// that, chunk after chunk.
    ///
    /// # Errors
    /// What `take` says.
    pub fn map<T: Send, E>(
        &self,
        work: impl Fn(Vec<JudgedFlow>) -> T + Sync,
        take: impl FnMut(T) -> Result<(), E>,
    ) -> Result<(), E> {
        in_order(
            self.threads,
            Chunks::of(self),
            || self.judge(),
            |judge, (first, chunk)| work(self.flows_of(first, &chunk, judge)),
            take,
        )
    }

    fn judge(&self) -> Judge<'_> {
        Judge {
            signatures: self.signatures,
            topology: self.topology,
            flows: &self.flows,
            offers: &self.offers,
            inferred: &self.inferred,
            rules: &self.rules,
            claims: Claims::default(),
        }
    }

    /// The flows of a chunk, judged; `first` is the number of the first.
    fn flows_of(&self, first: u64, chunk: &Chunk, judge: &Judge<'_>) -> Vec<JudgedFlow> {
        let flow = |(number, (place, packed, record))| {
            let flow = self.flow(number, place, packed, record)?;
            let attribution = judge.attribute(&flow);
            Some((flow, attribution))
        };
        let records = chunk.iter();
        let mut flows = Vec::with_capacity(records.size_hint().0);
        flows.extend((first..).zip(records).filter_map(flow));
        flows
    }

    /// The flow that a record begins.
    fn flow(&self, number: u64, place: u64, packed: usize, record: &[u8]) -> Option<Flow> {
        let episode = self.ledger.packed().get(packed)?.decode(record)?;
        let known = (&self.ledger, &self.flows, &self.offers);
        let mut flow = self.joints.flow(place, episode, known, |transport, port| {
            is_documented(self.signatures, self.topology, transport, port)
        });
        flow.number = number;
        Some(flow)
    }
}
