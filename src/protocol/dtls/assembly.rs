//! Handshake messages out of fragments that may come twice, overlap, or arrive in any order.

use super::record::Fragment;

/// Messages of one direction that wait for fragments: those of a flight follow each other, and losses mix them.
const MAX_MESSAGES: usize = 4;
/// Fragments of one message that wait for an earlier one.
const MAX_HELD: usize = 64;

/// What waits in one direction. A message is at most [`super::record::MAX_MESSAGE`] bytes long, and nothing is kept of what was not sent:
/// the memory is bounded by `MAX_MESSAGES` messages, each twice.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    messages: Vec<Message>,
}

#[derive(Debug)]
struct Message {
    sequence: u16,
    length: usize,
    /// The message without a gap from its start.
    start: Vec<u8>,
    held: Vec<(usize, Vec<u8>)>,
    held_bytes: usize,
}

impl Assembly {
    /// Adds a fragment; the message, once it is whole.
    pub(super) fn add(&mut self, fragment: &Fragment<'_>) -> Option<Vec<u8>> {
        let is_same = |message: &Message| {
            (message.sequence, message.length) == (fragment.sequence, fragment.length)
        };
        let index = self.messages.iter().position(is_same).unwrap_or_else(|| {
            if self.messages.len() >= MAX_MESSAGES {
                self.messages.remove(0);
            }
            self.messages.push(Message {
                sequence: fragment.sequence,
                length: fragment.length,
                start: Vec::new(),
                held: Vec::new(),
                held_bytes: 0,
            });
            self.messages.len().saturating_sub(1)
        });
        let message = self.messages.get_mut(index)?;
        message.add(fragment.offset, fragment.body);
        if message.start.len() < message.length {
            return None;
        }
        Some(self.messages.remove(index).start)
    }
}

impl Message {
    fn add(&mut self, offset: usize, body: &[u8]) {
        if !self.append(offset, body) {
            let is_known = self
                .held
                .iter()
                .any(|(at, held)| *at == offset && held.len() >= body.len());
            let bytes = self.held_bytes.saturating_add(body.len());
            if !is_known && self.held.len() < MAX_HELD && bytes <= self.length {
                self.held_bytes = bytes;
                self.held.push((offset, body.to_vec()));
            }
            return;
        }
        while let Some(next) = self
            .held
            .iter()
            .position(|(offset, _)| *offset <= self.start.len())
        {
            let (offset, body) = self.held.swap_remove(next);
            self.held_bytes = self.held_bytes.saturating_sub(body.len());
            self.append(offset, &body);
        }
    }

    /// Appends what is new of a part that begins inside the start or right behind it.
    fn append(&mut self, offset: usize, body: &[u8]) -> bool {
        let Some(known) = self.start.len().checked_sub(offset) else {
            return false;
        };
        self.start
            .extend_from_slice(body.get(known..).unwrap_or_default());
        true
    }
}
