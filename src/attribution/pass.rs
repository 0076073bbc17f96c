//! Going over all flows: records are read in order, judged in chunks side by side, and taken in order again.
//!
//! What is alive at a time is a few chunks, whatever the ledger holds. The result cannot depend on the number of threads:
//! each flow is judged alone, from what the survey found, and chunks are taken by their number.

use std::collections::BTreeMap;
use std::ops::Range;

use crossbeam_channel::bounded;

use super::claims::Claims;
use super::flow::Flow;
use super::{Judge, Judged, JudgedFlow, is_documented};
use crate::evidence::Records;

/// Flows of a chunk: enough that handing it over costs nothing, few enough that the chunks at work are megabytes.
const CHUNK: usize = 256;
/// Chunks at work for each thread: one, and one that waits for it.
const CHUNKS_PER_THREAD: usize = 2;

/// Records of flows in a row.
#[derive(Default)]
struct Chunk {
    /// Number of the first flow.
    first: u64,
    /// Place of each record, its packer, and where it lies in `bytes`.
    records: Vec<(u64, usize, Range<usize>)>,
    bytes: Vec<u8>,
}

impl Chunk {
    /// Numbers of its flows.
    fn numbers(&self) -> Range<u64> {
        self.first..self.first.saturating_add(self.records.len() as u64)
    }
}

/// Reads the records that begin flows.
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
    type Item = Chunk;

    fn next(&mut self) -> Option<Chunk> {
        let mut chunk = Chunk {
            first: self.number,
            ..Chunk::default()
        };
        while chunk.records.len() < CHUNK {
            let Some(record) = self.records.next() else {
                break;
            };
            let place = self.place;
            self.place = place.saturating_add(1);
            if self.judged.joints.is_absorbed(place, &mut self.absorbed) {
                continue;
            }
            let start = chunk.bytes.len();
            chunk.bytes.extend_from_slice(record.bytes);
            let range = start..chunk.bytes.len();
            chunk.records.push((place, record.packed, range));
        }
        self.number = chunk.numbers().end;
        (!chunk.records.is_empty()).then_some(chunk)
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
        mut take: impl FnMut(T) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut chunks = Chunks::of(self);
        if self.threads <= 1 {
            let judge = self.judge();
            return chunks.try_for_each(|chunk| take(work(self.flows_of(&chunk, &judge))));
        }
        let most = self.threads.saturating_mul(CHUNKS_PER_THREAD);
        let (give, given) = bounded::<(u64, Chunk)>(most);
        let (hand_in, results) = bounded::<(u64, T)>(most);
        std::thread::scope(|scope| {
            // Given up with this closure, however it ends: workers wait for as long as somebody could give or take.
            let (give, results) = (give, results);
            for _ in 0..self.threads {
                let (given, hand_in, work) = (given.clone(), hand_in.clone(), &work);
                scope.spawn(move || {
                    let judge = self.judge();
                    for (index, chunk) in given {
                        let done = work(self.flows_of(&chunk, &judge));
                        if hand_in.send((index, done)).is_err() {
                            // Nobody wants more: taking ended early.
                            return;
                        }
                    }
                });
            }
            drop((given, hand_in));
            let mut early: BTreeMap<u64, T> = BTreeMap::new();
            let (mut sent, mut taken) = (0_u64, 0_u64);
            loop {
                // What is at work or waits for its turn is bounded.
                while sent.saturating_sub(taken) < most as u64
                    && let Some(chunk) = chunks.next()
                {
                    // A worker that is gone has panicked: the scope says so.
                    if give.send((sent, chunk)).is_err() {
                        return Ok(());
                    }
                    sent = sent.saturating_add(1);
                }
                if taken == sent {
                    return Ok(());
                }
                let Ok((index, done)) = results.recv() else {
                    return Ok(());
                };
                early.insert(index, done);
                while let Some(done) = early.remove(&taken) {
                    take(done)?;
                    taken = taken.saturating_add(1);
                }
            }
        })
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

    /// The flows of a chunk, judged.
    fn flows_of(&self, chunk: &Chunk, judge: &Judge<'_>) -> Vec<JudgedFlow> {
        let flow = |(number, (place, packed, range)): (u64, &(u64, usize, Range<usize>))| {
            let record = chunk.bytes.get(range.clone())?;
            let flow = self.flow(number, *place, *packed, record)?;
            let attribution = judge.attribute(&flow);
            Some((flow, attribution))
        };
        let numbered = chunk.numbers().zip(&chunk.records);
        numbered.filter_map(flow).collect()
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
