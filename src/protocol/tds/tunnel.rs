//! The TLS that travels inside pre-login packets, and after its handshake directly on the connection.

use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::{PerSide, Side};
use crate::protocol::tls::TLS;
use crate::protocol::{Reject, Step, StreamDecoder};

/// Bytes of one side that wait for the rest of a message: a record of TLS and its packets fit.
const MAX_PENDING: usize = 32 * 1024;

/// The decoder of the carried TLS.
#[derive(Default)]
pub(super) struct Tunnel {
    state: State,
    sides: PerSide<Waiting>,
}

#[derive(Default)]
enum State {
    #[default]
    Unused,
    Reading(Box<dyn StreamDecoder>),
    Over,
}

#[derive(Default)]
struct Waiting {
    pending: Vec<u8>,
    at_least: usize,
    skip: u64,
}

/// Whether a record of TLS begins here, where only that or a packet can.
pub(super) fn is_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [20..=23] | [20..=23, 3, ..])
}

/// The next record, with its header.
pub(super) fn record<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], Reject> {
    let mut header = *cursor;
    header.skip(3)?;
    let length = usize::from(header.u16()?);
    Ok(cursor.take(length.saturating_add(5))?)
}

impl Tunnel {
    pub(super) const fn is_used(&self) -> bool {
        !matches!(self.state, State::Unused)
    }

    /// Whether nothing more of it can be seen.
    pub(super) const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Shows `bytes`, which `side` sent next, to the decoder.
    pub(super) fn feed(
        &mut self,
        side: Side,
        bytes: &[u8],
        notes: &mut Notes<'_>,
    ) -> Result<(), Reject> {
        if let (State::Unused, Some(entry)) = (&self.state, &TLS.stream) {
            self.state = State::Reading((entry.start)());
        }
        let State::Reading(decoder) = &mut self.state else {
            return Ok(());
        };
        let waiting = &mut self.sides[side];
        waiting
            .pending
            .extend_from_slice(waiting_for(bytes, &mut waiting.skip));
        while !waiting.pending.is_empty() && waiting.pending.len() >= waiting.at_least {
            let step = decoder.data(side, &waiting.pending, &mut notes.inside(TLS.name));
            let (consumed, skip) = match step {
                Step::NeedMore { consumed, at_least } => {
                    waiting.at_least = at_least.max(1);
                    waiting.pending.drain(..consumed.min(waiting.pending.len()));
                    break;
                }
                Step::Consumed => (waiting.pending.len(), 0),
                Step::Skip { consumed, bytes } => (consumed, bytes),
                Step::Done | Step::Handover { .. } => {
                    self.state = State::Over;
                    return Ok(());
                }
                Step::Reject(reject) => {
                    self.state = State::Over;
                    return Err(reject);
                }
            };
            waiting.at_least = 0;
            waiting.pending.drain(..consumed.min(waiting.pending.len()));
            waiting.skip = skip;
            let rest = waiting_for(&waiting.pending, &mut waiting.skip).len();
            waiting
                .pending
                .drain(..waiting.pending.len().saturating_sub(rest));
            if consumed == 0 && skip == 0 {
                break;
            }
        }
        if waiting.pending.len() > MAX_PENDING {
            self.state = State::Over;
        }
        Ok(())
    }
}

/// What is left of `bytes` after what is to be passed over.
fn waiting_for<'a>(bytes: &'a [u8], skip: &mut u64) -> &'a [u8] {
    let over = usize::try_from(*skip)
        .unwrap_or(usize::MAX)
        .min(bytes.len());
    *skip = skip.saturating_sub(over as u64);
    bytes.get(over..).unwrap_or_default()
}
