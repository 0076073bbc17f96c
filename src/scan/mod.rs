//! The only place where the pipeline is put together: captures to a ledger.
//!
//! A chain of captures is read block by block. With one thread everything happens in turn; with more, a reader reads,
//! decompresses and frames blocks and looks at the addresses of their packets, while workers scan them: every worker goes
//! through every block, and reads the packets whose address pair is its share (see `share`). No packet is copied, and the
//! result cannot depend on the number of workers: each flow is seen by one of them, whole and in order. Workers' ledgers
//! are merged.
//!
//! Blocks are recycled, and bounded channels hold the reader back where the workers are slower.

mod application;
mod budget;
mod share;
mod worker;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_channel::bounded;

use crate::capture::{self, Block, CaptureError, Chain, FileSummary, Reader};
use crate::evidence::{CaptureRecord, Ledger, Store};
use crate::wire::Counters;
use budget::Budget;
use share::{Dealt, LANES, Share};
use worker::{Bounds, Finished, Names, Worker};

/// Blocks between the reader and the workers: enough to ride out a slow moment, few enough to stay in the caches.
const BLOCKS_IN_FLIGHT: usize = 8;

/// How captures are scanned.
#[derive(Clone, Debug)]
pub struct Options {
    /// Threads that scan; at least 1. The result is the same for any number.
    pub threads: usize,
    /// A capture filter in libpcap's language.
    pub filter: Option<String>,
    /// Bytes of memory that the run may use, about; `None` for what it needs.
    pub memory_limit: Option<u64>,
}

/// What happens while scanning, for a progress bar. Called from several threads.
pub trait Progress: Sync {
    /// So many further bytes of the captures, as they lie on disk, have been read.
    fn read(&self, bytes: u64);
}

/// Nobody watches.
impl Progress for () {
    fn read(&self, _: u64) {}
}

/// The result of a scan.
#[derive(Debug, Default)]
pub struct Scanned {
    /// What was seen.
    pub ledger: Ledger,
    /// Captures that were not read, or not to their end, in the order of the captures.
    pub failures: Vec<CaptureError>,
    /// Packets read, those included that a filter rejected.
    pub packets: u64,
}

/// Scans chains of captures into one ledger.
///
/// # Errors
/// [`CaptureError::Filter`] where the filter cannot be compiled. Errors of captures are in [`Scanned::failures`].
pub fn scan(
    chains: &[Chain],
    options: &Options,
    progress: &dyn Progress,
) -> Result<Scanned, CaptureError> {
    let threads = options.threads.max(1);
    let side_by_side = threads.min(chains.len()).max(1);
    let workers = threads.div_ceil(side_by_side).min(LANES);
    let next = AtomicUsize::new(0);
    let budget = Budget::of(options.memory_limit, chains.len());
    let store = Arc::new(Store::with_limit(budget.packed_bytes));
    let scan_some = || {
        let mut done = Vec::new();
        while let Some((index, chain)) = take(&next, chains) {
            done.push((
                index,
                scan_chain(chain, options, workers, (budget.bounds, &store), progress),
            ));
        }
        done
    };
    let mut results = if side_by_side == 1 {
        scan_some()
    } else {
        std::thread::scope(|scope| {
            let running: Vec<_> = (0..side_by_side).map(|_| scope.spawn(scan_some)).collect();
            running
                .into_iter()
                .flat_map(|thread| thread.join().unwrap_or_default())
                .collect()
        })
    };
    results.sort_by_key(|(index, _)| *index);
    let mut all = Scanned::default();
    let mut ledgers = Vec::with_capacity(results.len());
    for (_, result) in results {
        match result {
            Ok(Scanned {
                ledger,
                failures,
                packets,
            }) => {
                ledgers.push(ledger);
                all.failures.extend(failures);
                all.packets = all.packets.saturating_add(packets);
            }
            Err(error @ CaptureError::Filter { .. }) => return Err(error),
            Err(error) => all.failures.push(error),
        }
    }
    all.ledger = Ledger::union(ledgers);
    Ok(all)
}

/// The next chain that nobody has taken.
fn take<'a>(next: &AtomicUsize, chains: &'a [Chain]) -> Option<(usize, &'a Chain)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    chains.get(index).map(|chain| (index, chain))
}

fn scan_chain(
    chain: &Chain,
    options: &Options,
    workers: usize,
    (bounds, store): (Bounds, &Arc<Store>),
    progress: &dyn Progress,
) -> Result<Scanned, CaptureError> {
    let mut reader = Reader::open(
        chain,
        &capture::Options {
            filter: options.filter.clone(),
        },
    )?;
    let name = |path: &Path| -> Arc<str> { path.display().to_string().into() };
    let files: Arc<[Arc<str>]> = chain
        .inputs()
        .iter()
        .map(|input| name(input.path()))
        .collect();
    let tap = files.first().cloned().unwrap_or_else(|| "".into());
    let names = Names {
        tap: Arc::clone(&tap),
        files: Arc::clone(&files),
    };
    let new_worker =
        |index: usize| Worker::new(&names, Share { index, of: workers }, bounds, store);
    let finished = if workers == 1 {
        let mut worker = new_worker(0);
        let mut block = Block::new();
        let mut before = 0;
        while reader.fill(&mut block)? {
            worker.scan(&block);
            report(&reader, &mut before, progress);
        }
        vec![worker.finish()]
    } else {
        share_blocks(
            &mut reader,
            (0..workers).map(new_worker).collect(),
            progress,
        )?
    };
    let mut record = CaptureRecord {
        files: files.to_vec(),
        ..CaptureRecord::default()
    };
    let mut counters = Counters::default();
    let mut ledgers = Vec::new();
    let mut left_out = Vec::new();
    for worker in finished {
        counters.merge(&worker.counters);
        record.frame_bytes = worker.frame_bytes;
        left_out.push(worker.left_out);
        ledgers.push(worker.ledger);
    }
    worker::record(&counters, &mut record);
    for (counter, count) in left_out.into_iter().flatten() {
        let sum = record.counters.entry(counter.into()).or_default();
        *sum = sum.saturating_add(count);
    }
    let packets = reader.summary().iter().map(|file| file.packets).sum();
    let failures: Vec<CaptureError> = reader
        .summary()
        .iter()
        .filter_map(|file| file.error.clone())
        .collect();
    describe(&mut record, reader.summary());
    ledgers.push(Ledger::new(tap, record, Vec::new(), Default::default()));
    Ok(Scanned {
        ledger: Ledger::union(ledgers),
        failures,
        packets,
    })
}

/// Counter of the files whose times are local to the recording machine, in a zone that they do not name.
pub const LOCAL_TIMES: &str = "capture.files_in_local_time";

/// Counters of what was given up so that memory stays bounded, and what they count in words.
pub const GIVEN_UP: [(&str, &str); 5] = [
    (
        worker::FACTS_LEFT_OUT,
        "facts and offers of flows that said too many",
    ),
    (
        worker::FLOWS_EVICTED,
        "flows ended early, whose parts were joined",
    ),
    (
        worker::REASSEMBLY_GIVEN_UP,
        "times that a stream's bytes out of order were too many",
    ),
    (
        worker::ICMP_ERRORS_LEFT_OUT,
        "ICMP errors of flows that were too many",
    ),
    (
        worker::FRAGMENTS_GIVEN_UP,
        "fragmented datagrams that were too many",
    ),
];

/// What the files of a chain say of themselves.
fn describe(record: &mut CaptureRecord, files: &[FileSummary]) {
    for file in files {
        record.packets = record.packets.saturating_add(file.packets);
        record.first_seen = [record.first_seen, file.first_time]
            .into_iter()
            .flatten()
            .min();
        record.last_seen = [record.last_seen, file.last_time]
            .into_iter()
            .flatten()
            .max();
        // The same loss is reported in several places: the largest figure holds the others.
        let lost = file
            .drops
            .packets
            .max(file.drops.interfaces)
            .max(file.drops.system);
        record.drops = record.drops.saturating_add(lost);
        record.names.extend(
            file.names
                .iter()
                .map(|(address, name)| (*address, name.as_str().into())),
        );
        if file.local_times {
            let files = record.counters.entry(LOCAL_TIMES.into()).or_default();
            *files = files.saturating_add(1);
        }
        record
            .errors
            .extend(file.error.as_ref().map(|error| error.to_string().into()));
    }
}

fn report(reader: &Reader, before: &mut u64, progress: &dyn Progress) {
    let read = reader.bytes_read();
    progress.read(read.saturating_sub(*before));
    *before = read;
}

/// Reads on this thread while the workers scan on theirs. A block goes back to the reader when the last worker is done
/// with it.
fn share_blocks(
    reader: &mut Reader,
    workers: Vec<Worker>,
    progress: &dyn Progress,
) -> Result<Vec<Finished>, CaptureError> {
    let (give_back, free) = bounded::<Dealt>(BLOCKS_IN_FLIGHT.saturating_mul(2));
    std::thread::scope(|scope| {
        let (inputs, running): (Vec<_>, Vec<_>) = workers
            .into_iter()
            .map(|mut worker| {
                let (send, receive) = bounded::<Arc<Dealt>>(BLOCKS_IN_FLIGHT);
                let give_back = give_back.clone();
                let thread = scope.spawn(move || {
                    for dealt in receive {
                        worker.scan_share(&dealt);
                        if let Some(dealt) = Arc::into_inner(dealt) {
                            // A full channel means enough blocks are free already.
                            let _ = give_back.try_send(dealt);
                        }
                    }
                    worker.finish()
                });
                (send, thread)
            })
            .unzip();
        let mut before = 0;
        let outcome = loop {
            let mut dealt = free.try_recv().unwrap_or_default();
            match reader.fill(&mut dealt.block) {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(error) => break Err(error),
            }
            report(reader, &mut before, progress);
            dealt.deal();
            let dealt = Arc::new(dealt);
            for input in &inputs {
                // A worker that is gone has panicked: its join below says so.
                let _ = input.send(Arc::clone(&dealt));
            }
        };
        drop(inputs);
        let finished: Vec<Finished> = running
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect();
        outcome.map(|()| finished)
    })
}

#[cfg(test)]
mod tests;
