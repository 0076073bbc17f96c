//! What a relay carries between two ends: media and their handshakes (RFC 7983), each read by its own decoder.
//!
//! Those decoders hold single packets for nothing: what they prove here they prove as strictly as in a flow of its own.

use super::super::{Datagram, DatagramDecoder, Protocol, dtls, rtcp, rtp};
use crate::evidence::Notes;

/// Refusals before the first success after which a decoder is no longer asked.
const MAX_REFUSALS: u8 = 16;

/// Decoders of carried data, made when first needed.
#[derive(Default)]
pub(super) struct Carried {
    seats: Vec<Seat>,
}

struct Seat {
    protocol: &'static Protocol,
    decoder: Box<dyn DatagramDecoder>,
    refusals: u8,
    accepted: bool,
}

impl Carried {
    /// Reads what one packet carries, whole.
    pub(super) fn data(&mut self, bytes: &[u8], notes: &mut Notes<'_>) {
        static DTLS: Protocol = dtls::DTLS;
        static RTP: Protocol = rtp::RTP;
        static RTCP: Protocol = rtcp::RTCP;
        match bytes.first() {
            Some(20..=63) => self.show(&DTLS, bytes, notes),
            Some(128..=191) => {
                self.show(&RTP, bytes, notes);
                self.show(&RTCP, bytes, notes);
            }
            _ => {}
        }
    }

    fn show(&mut self, protocol: &'static Protocol, bytes: &[u8], notes: &mut Notes<'_>) {
        let is_same = |seat: &Seat| seat.protocol.name == protocol.name;
        let index = match self.seats.iter().position(is_same) {
            Some(index) => index,
            None => {
                let Some(entry) = &protocol.datagram else {
                    return;
                };
                self.seats.push(Seat {
                    protocol,
                    decoder: (entry.start)(),
                    refusals: 0,
                    accepted: false,
                });
                self.seats.len().saturating_sub(1)
            }
        };
        let Some(seat) = self.seats.get_mut(index) else {
            return;
        };
        if seat.refusals >= MAX_REFUSALS && !seat.accepted {
            return;
        }
        let datagram = Datagram {
            bytes,
            wire_len: bytes.len(),
        };
        // None of these decoders notes anything before it refuses.
        match seat
            .decoder
            .datagram(datagram, &mut notes.inside(protocol.name))
        {
            Ok(()) => seat.accepted = true,
            Err(_) => seat.refusals = seat.refusals.saturating_add(1),
        }
    }
}
