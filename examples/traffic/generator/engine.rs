//! The clock: arrivals by chance, and the next packet of all that are under way.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io::{self, Write};

use super::Kind;
use super::apps;
use super::session::Session;
use super::wire::Wire;
use super::world::World;

/// 2024-05-02T08:00:00Z, in microseconds.
const START: u64 = 1_714_636_800_000_000;

/// How much is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Extent {
    /// Of the file.
    Bytes(u64),
    Packets(u64),
}

/// What was written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Made {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    /// Packet time from first to last, microseconds.
    pub(crate) microseconds: u64,
    /// Flows, packets and bytes by application.
    pub(crate) by_name: BTreeMap<&'static str, [u64; 3]>,
}

/// Writes a capture of `kind` until it has the wanted extent. `flows` counts where the kind has a fixed number of them.
pub(crate) fn generate(
    kind: Kind,
    extent: Extent,
    flows: usize,
    seed: u64,
    out: &mut dyn Write,
) -> io::Result<Made> {
    let mut world = World::new(seed);
    let noise = |length| super::random::Random::new(seed ^ 0x6e6f).prng.bytes(length);
    let mut wire = Wire::new(out, noise)?;
    let mut clock = Clock::default();
    let mut mix = apps::Mix::new(kind, extent, flows);
    let mut made = Made::default();
    let mut arrival = START;
    loop {
        let is_full = match extent {
            Extent::Bytes(bytes) => wire.bytes >= bytes,
            Extent::Packets(packets) => wire.packets >= packets,
        };
        let next = clock.next_time();
        if is_full {
            break;
        }
        if next.is_none_or(|next| next >= arrival) {
            let Some(gap) = mix.arrive(&mut world) else {
                if next.is_none() {
                    break;
                }
                arrival = u64::MAX;
                continue;
            };
            for session in mix.sessions.drain(..) {
                made.by_name.entry(session.name).or_default()[0] += 1;
                clock.add(arrival + session.start, session);
            }
            arrival += gap;
            continue;
        }
        let Some((now, index)) = clock.pop() else {
            break;
        };
        let before = (wire.packets, wire.bytes);
        let Some(session) = clock.sessions[index].as_mut() else {
            continue;
        };
        let wait = session.next(now, &mut wire, &mut world.random)?;
        if let Some(counts) = made.by_name.get_mut(session.name) {
            counts[1] += wire.packets - before.0;
            counts[2] += wire.bytes - before.1;
        }
        made.microseconds = now - START;
        match wait {
            Some(wait) => clock.again(now + wait, index),
            None => clock.remove(index),
        }
    }
    made.packets = wire.packets;
    made.bytes = wire.bytes;
    Ok(made)
}

/// Sessions under way, by the time of their next packets.
#[derive(Default)]
struct Clock {
    due: BinaryHeap<Reverse<(u64, u64, usize)>>,
    sessions: Vec<Option<Session>>,
    free: Vec<usize>,
    /// Keeps the order of those that are due at the same time.
    count: u64,
}

impl Clock {
    fn next_time(&self) -> Option<u64> {
        self.due.peek().map(|Reverse((time, ..))| *time)
    }

    fn pop(&mut self) -> Option<(u64, usize)> {
        let Reverse((time, _, index)) = self.due.pop()?;
        Some((time, index))
    }

    fn add(&mut self, time: u64, session: Session) {
        let index = self.free.pop().unwrap_or(self.sessions.len());
        if index == self.sessions.len() {
            self.sessions.push(None);
        }
        self.sessions[index] = Some(session);
        self.again(time, index);
    }

    fn again(&mut self, time: u64, index: usize) {
        self.count += 1;
        self.due.push(Reverse((time, self.count, index)));
    }

    fn remove(&mut self, index: usize) {
        self.sessions[index] = None;
        self.free.push(index);
    }
}
