//! The datagrams of one flow: every decoder whose first byte fits sees them, until it has refused too often.

use std::sync::LazyLock;

use smallvec::SmallVec;

use super::{Datagram, DatagramDecoder, Mask, PROTOCOLS, by_first_byte};
use crate::evidence::{Moment, Recorder};

/// Refusals without a single success before a decoder is no longer asked: enough for lost beginnings and mixed
/// traffic, few enough that a bulk transfer of something else costs nothing.
const MAX_REFUSALS: u8 = 16;

static FIRST_BYTES: LazyLock<Vec<Mask>> = LazyLock::new(|| {
    by_first_byte(|protocol, byte| {
        protocol
            .datagram
            .as_ref()
            .is_some_and(|entry| (entry.first_byte)(byte))
    })
});

/// The application side of one flow of datagrams.
#[derive(Default)]
pub struct Datagrams {
    decoders: SmallVec<[Seat; 2]>,
    given_up: Mask,
}

struct Seat {
    index: u32,
    refusals: u8,
    accepted: bool,
    decoder: Box<dyn DatagramDecoder>,
}

impl std::fmt::Debug for Datagrams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Datagrams")
            .field("decoders", &self.decoders.len())
            .finish_non_exhaustive()
    }
}

impl Datagrams {
    /// Shows one datagram to the decoders.
    pub fn datagram(&mut self, datagram: Datagram<'_>, moment: Moment, recorder: &mut Recorder) {
        let Some(&first) = datagram.bytes.first() else {
            return;
        };
        let mut left = FIRST_BYTES.get(usize::from(first)).copied().unwrap_or(0) & !self.given_up;
        while left != 0 {
            let index = left.trailing_zeros();
            left &= left.wrapping_sub(1);
            self.show(index, datagram, moment, recorder);
        }
    }

    fn show(
        &mut self,
        index: u32,
        datagram: Datagram<'_>,
        moment: Moment,
        recorder: &mut Recorder,
    ) {
        let Some(protocol) = PROTOCOLS.get(index as usize) else {
            return;
        };
        let position = match self.decoders.iter().position(|seat| seat.index == index) {
            Some(position) => position,
            None => {
                let Some(entry) = &protocol.datagram else {
                    return;
                };
                self.decoders.push(Seat {
                    index,
                    refusals: 0,
                    accepted: false,
                    decoder: (entry.start)(),
                });
                self.decoders.len().saturating_sub(1)
            }
        };
        let Some(seat) = self.decoders.get_mut(position) else {
            return;
        };
        let mut notes = recorder.notes(moment, protocol.name, 0);
        match seat.decoder.datagram(datagram, &mut notes) {
            Ok(()) => {
                notes.commit();
                seat.accepted = true;
            }
            Err(_) => {
                notes.discard();
                seat.refusals = seat.refusals.saturating_add(1);
                if !seat.accepted && seat.refusals >= MAX_REFUSALS {
                    self.decoders.swap_remove(position);
                    self.given_up |= 1 << index;
                }
            }
        }
    }
}
