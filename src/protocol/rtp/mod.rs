//! Real-time Transport Protocol (RFC 3550): proof by content alone, and the quality of each stream. SRTP (RFC 3711) leaves
//! the header in clear and is read alike.
//!
//! A header has few fixed bits. One packet therefore proves nothing: where all datagrams of a flow could be RTP,
//! its payload types are noted as candidates, for a session description may have announced the endpoint. The flow is
//! proven by [`MIN_STREAK`] packets of one source whose sequence numbers and timestamps advance as those of a medium do.
//! Streams are measured from their first packet in either case; without a proof or an offer they say nothing.
//!
//! Never reads payloads, and cannot tell RTP from SRTP.

mod header;
mod source;

use self::header::Header;
use self::source::Source;
use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject};
use crate::evidence::{Notes, StreamKey};

/// The Real-time Transport Protocol.
pub(super) const RTP: Protocol = Protocol {
    name: "rtp",
    about: About {
        title: "Real-time Transport Protocol",
        sources: "RFC 3550 appendix A, RFC 3551, RFC 3711, RFC 7983",
        reads: "Headers: source, payload type, sequence, timestamp; loss and jitter as in RFC 3550.",
        proves: "Packets of one source in a row whose sequence numbers and timestamps advance like those of a medium; a single packet only becomes a candidate.",
        limits: "SRTP has the same header: encryption is known from the signalling or from DTLS, not from the packet.",
    },
    attributes: &[SSRC, PAYLOAD_TYPE, CANDIDATE, UNMEASURED],
    stream: None,
    datagram: Some(DatagramEntry {
        first_byte: |byte| byte >> 6 == header::VERSION,
        start: || Box::new(Rtp::default()),
    }),
};

/// A synchronisation source whose packets proved the protocol.
const SSRC: &str = "ssrc";
/// A payload type of a proven source. About the source.
const PAYLOAD_TYPE: &str = "payload_type";
/// A payload type of packets that could be RTP, in a flow where all of them could be.
const CANDIDATE: &str = "candidate";
/// A flow had more sources than are measured; the number is that bound.
const UNMEASURED: &str = "unmeasured";

/// Packets of one source that must advance like a medium, after its first: four chance agreements of the 32 bits that
/// identify a source are out of the question, and a deliberate header of another protocol has no timestamp that fits.
const MIN_STREAK: u8 = 4;
/// Sources measured in one flow: a conference with a gallery of videos and their repair streams has some thirty.
const MAX_SOURCES: usize = 64;
/// Sources measured in a flow before it is proven: random bytes make a new one with each datagram.
const MAX_UNPROVEN: usize = 16;
/// Sources of a single packet from which an unproven flow counts as random bytes.
const MAX_STRANGERS: usize = 4;

/// One flow.
#[derive(Default)]
struct Rtp {
    sources: Vec<Source>,
    /// The source of the last packet: nearly always that of the next one.
    last: usize,
    /// A datagram that began like RTP was not.
    refuted: bool,
    proven: bool,
    unmeasured: bool,
}

impl DatagramDecoder for Rtp {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        // On a shared port (RFC 5761), RTCP must not make this decoder look out of place.
        if header::is_rtcp(datagram.bytes) {
            return Ok(());
        }
        let header = Header::parse(datagram).inspect_err(|_| self.refuted = true)?;
        let key = StreamKey {
            side: notes.side(),
            ssrc: header.ssrc,
        };
        let proven = self.proven;
        let Some(source) = self.source(key) else {
            if proven && !std::mem::replace(&mut self.unmeasured, true) {
                notes.number(UNMEASURED, MAX_SOURCES as u64);
            }
            return if proven {
                Ok(())
            } else {
                Err(Reject::Invalid("source"))
            };
        };
        let is_new_type = source.packet(&header, notes);
        let is_proof = source.streak() >= MIN_STREAK;
        let payload_type = u64::from(header.payload_type);
        if is_proof && source.announce() {
            notes.proved();
            notes.about(u64::from(key.ssrc));
            notes.number(SSRC, u64::from(key.ssrc));
            for known in source.payload_types() {
                notes.number(PAYLOAD_TYPE, u64::from(known));
            }
        } else if is_new_type && source.is_announced() {
            notes.about(u64::from(key.ssrc));
            notes.number(PAYLOAD_TYPE, payload_type);
        }
        self.proven |= is_proof;
        if is_new_type && !self.proven && !self.refuted && self.strangers() < MAX_STRANGERS {
            notes.about(0);
            notes.number(CANDIDATE, payload_type);
        }
        Ok(())
    }
}

impl Rtp {
    /// The source of that key, made at its first packet while there is room.
    fn source(&mut self, key: StreamKey) -> Option<&mut Source> {
        let room = if self.proven {
            MAX_SOURCES
        } else {
            MAX_UNPROVEN
        };
        if self.sources.get(self.last).map(Source::key) != Some(key) {
            self.last = match self.sources.iter().position(|source| source.key() == key) {
                Some(known) => known,
                None if self.sources.len() < room => {
                    self.sources.push(Source::new(key));
                    self.sources.len().saturating_sub(1)
                }
                None => return None,
            };
        }
        self.sources.get_mut(self.last)
    }

    fn strangers(&self) -> usize {
        self.sources
            .iter()
            .filter(|source| source.is_stranger())
            .count()
    }
}

#[cfg(test)]
mod tests;
