//! A TLS stream inside the numbered messages of another protocol.

use super::connection::Connection;
use super::probe::{Look, look};
use crate::evidence::Notes;
use crate::net::{PerSide, Side};
use crate::protocol::{Step, StreamDecoder};

/// Bytes of one side that wait for the rest of a record: the longest one, and the message that ends it.
const MAX_WAITING: usize = 32 * 1024;
/// Messages of one side that wait for an earlier one: the windows of such protocols are smaller.
const MAX_HELD: u32 = 32;
/// Bytes of a message that may wait: they travel in packets.
const MAX_MESSAGE: usize = 2048;

/// Reads the messages in their order.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Carried {
    connection: Connection,
    sides: PerSide<Half>,
    done: bool,
}

/// One direction.
#[derive(Debug, Default)]
struct Half {
    /// The number of the next message; none before the hello.
    next: Option<u32>,
    held: Vec<(u32, Vec<u8>)>,
    waiting: Vec<u8>,
    skip: u64,
}

impl Carried {
    /// Whether nothing more can be seen.
    pub(in crate::protocol) const fn is_done(&self) -> bool {
        self.done
    }

    /// Whether `bytes` begin with a hello.
    pub(in crate::protocol) fn is_start(bytes: &[u8]) -> bool {
        look(bytes) == Look::Sure
    }

    /// `side` sent the message of that number. `notes` are those of TLS. A stream begins with a hello; what comes before is
    /// no part of it.
    pub(in crate::protocol) fn message(
        &mut self,
        side: Side,
        number: u32,
        bytes: &[u8],
        notes: &mut Notes<'_>,
    ) {
        if self.done || bytes.is_empty() {
            return;
        }
        let next = match self.sides[side].next {
            Some(next) => next,
            None if Self::is_start(bytes) => number,
            None => return,
        };
        match number.wrapping_sub(next) {
            0 => {
                self.stream(side, bytes, notes);
                self.sides[side].next = Some(next.wrapping_add(1));
                self.held(side, notes);
            }
            1..MAX_HELD if bytes.len() <= MAX_MESSAGE => {
                let held = &mut self.sides[side].held;
                if held.iter().all(|(known, _)| *known != number) {
                    held.push((number, bytes.to_vec()));
                }
            }
            // It came before, or is far away.
            _ => {}
        }
    }

    /// Reads what waited for the message before it.
    fn held(&mut self, side: Side, notes: &mut Notes<'_>) {
        while !self.done {
            let half = &mut self.sides[side];
            let is_next = |(number, _): &(u32, Vec<u8>)| Some(*number) == half.next;
            let Some(index) = half.held.iter().position(is_next) else {
                return;
            };
            let (number, bytes) = half.held.swap_remove(index);
            half.next = Some(number.wrapping_add(1));
            self.stream(side, &bytes, notes);
        }
    }

    /// `bytes` come next in the stream.
    fn stream(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) {
        let half = &mut self.sides[side];
        let mut waiting = std::mem::take(&mut half.waiting);
        waiting.extend_from_slice(bytes);
        let mut used: usize = 0;
        loop {
            let half = &mut self.sides[side];
            let rest = waiting.get(used..).unwrap_or_default();
            let passed = usize::try_from(half.skip)
                .unwrap_or(usize::MAX)
                .min(rest.len());
            half.skip = half.skip.saturating_sub(passed as u64);
            used = used.saturating_add(passed);
            let rest = waiting.get(used..).unwrap_or_default();
            if rest.is_empty() {
                return;
            }
            match self.connection.data(side, rest, notes) {
                Step::Consumed => return,
                Step::NeedMore { consumed, .. } => {
                    waiting.drain(..used.saturating_add(consumed));
                    self.done = waiting.len() > MAX_WAITING;
                    self.sides[side].waiting = waiting;
                    return;
                }
                Step::Skip { consumed, bytes } => {
                    used = used.saturating_add(consumed);
                    self.sides[side].skip = bytes;
                    if consumed == 0 && bytes == 0 {
                        return;
                    }
                }
                Step::Handover { .. } | Step::Done | Step::Reject(_) => {
                    self.done = true;
                    return;
                }
            }
        }
    }
}
