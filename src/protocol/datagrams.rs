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

/// Decoders that remember nothing from one datagram to the next.
static FORGETFUL: LazyLock<Mask> = LazyLock::new(|| {
    let protocols = PROTOCOLS.iter().enumerate();
    let entries =
        protocols.filter_map(|(index, protocol)| Some((index, protocol.datagram.as_ref()?)));
    let forgetful = entries.filter(|(_, entry)| size_of_val(&*(entry.start)()) == 0);
    forgetful.fold(0, |mask, (index, _)| mask | 1 << index)
});

/// The application side of one flow of datagrams.
#[derive(Default)]
pub struct Datagrams {
    /// How each decoder that was asked did.
    asked: SmallVec<[Asked; 5]>,
    /// The decoders among them that may remember something.
    decoders: Vec<(u8, Box<dyn DatagramDecoder>)>,
    given_up: Mask,
}

/// How a decoder did so far.
struct Asked {
    index: u8,
    refusals: u8,
    accepted: bool,
}

impl std::fmt::Debug for Datagrams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Datagrams")
            .field("asked", &self.asked.len())
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
            // of 128 at most
            let index = u8::try_from(left.trailing_zeros()).unwrap_or(u8::MAX);
            left &= left.wrapping_sub(1);
            self.show(index, datagram, moment, recorder);
        }
    }

    /// The flow is idle: keeps only decoders that remember something.
    pub fn rest(&mut self) {
        self.decoders.retain(|(_, decoder)| !decoder.is_blank());
        self.decoders.shrink_to_fit();
    }

    /// Bytes that the decoders take, about, beside what lies in itself.
    pub fn held_bytes(&self) -> usize {
        let decoders = self.decoders.iter();
        let held = decoders.map(|(_, decoder)| decoder.held_bytes());
        let places = self.decoders.capacity();
        let places = places.saturating_mul(size_of::<(u8, Box<dyn DatagramDecoder>)>());
        held.fold(places, usize::saturating_add)
    }

    fn show(&mut self, index: u8, datagram: Datagram<'_>, moment: Moment, recorder: &mut Recorder) {
        let Some(protocol) = PROTOCOLS.get(usize::from(index)) else {
            return;
        };
        let Some(entry) = &protocol.datagram else {
            return;
        };
        let mut notes = recorder.notes(moment, protocol.name, 0);
        let answer = if *FORGETFUL & 1 << index != 0 {
            (entry.start)().datagram(datagram, &mut notes)
        } else {
            let place = self.decoders.iter().position(|(of, _)| *of == index);
            let place = place.unwrap_or_else(|| {
                self.decoders.push((index, (entry.start)()));
                self.decoders.len().saturating_sub(1)
            });
            let Some((_, decoder)) = self.decoders.get_mut(place) else {
                return;
            };
            decoder.datagram(datagram, &mut notes)
        };
        let is_accepted = answer.is_ok();
        if is_accepted {
            notes.commit();
        } else {
            notes.discard();
        }
        self.answered(index, is_accepted);
    }

    /// Takes note of what a decoder said of a datagram.
    fn answered(&mut self, index: u8, is_accepted: bool) {
        let place = self.asked.iter().position(|asked| asked.index == index);
        let Some(asked) = place.and_then(|place| self.asked.get_mut(place)) else {
            self.asked.push(Asked {
                index,
                refusals: u8::from(!is_accepted),
                accepted: is_accepted,
            });
            return;
        };
        asked.accepted |= is_accepted;
        asked.refusals = asked.refusals.saturating_add(u8::from(!is_accepted));
        if !asked.accepted && asked.refusals >= MAX_REFUSALS {
            self.asked.retain(|asked| asked.index != index);
            self.decoders.retain(|(of, _)| *of != index);
            self.given_up |= 1 << index;
        }
    }
}
