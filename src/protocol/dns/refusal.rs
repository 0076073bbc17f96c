//! Refusals of messages that make no sense: a server gives back what it was sent, with nothing but the bits of an answer set
//! (RFC 1035 section 4.1.1). Scanners ask such things, and only the pair proves the protocol.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use super::super::Datagram;
use super::message::{Header, Rcode};
use crate::net::Side;

/// Octets of a message without extensions (RFC 1035 section 4.2.1).
const MAX_MESSAGE: usize = 512;
/// Bits of the flags that an answer takes over: operation, and whether recursion is desired.
const REPEATED: u16 = 0x7900;
/// Bits that say that it is an answer, and the one that is always zero.
const ANSWER: u16 = 0x8000;
const ZERO: u16 = 0x0040;

/// What was sent last that could be a question, by what an answer repeats of it.
#[derive(Debug, Default)]
pub(super) struct Broken(Option<(Side, u64)>);

impl Broken {
    /// Whether nothing is remembered.
    pub(super) const fn is_blank(&self) -> bool {
        self.0.is_none()
    }

    /// The code with which a server refuses what the other side sent before; else what is sent now is remembered.
    pub(super) fn refusal(&mut self, datagram: Datagram<'_>, side: Side) -> Option<Rcode> {
        let [a, b, high, low, counts @ ..] = datagram.bytes.get(..Header::BYTES)? else {
            return None;
        };
        // At most one question, and nothing else.
        let is_question = matches!(counts, [0, 0 | 1, 0, 0, 0, 0, 0, 0]);
        if !is_question || datagram.is_cut() || datagram.bytes.len() > MAX_MESSAGE {
            return None;
        }
        let flags = u16::from_be_bytes([*high, *low]);
        let behind = datagram.bytes.get(4..)?;
        let repeated = FixedState::default().hash_one((a, b, flags & REPEATED, behind));
        if flags & ANSWER == 0 {
            self.0 = Some((side, repeated));
            return None;
        }
        let code = Rcode(flags & 0xf);
        let refuses = matches!(
            code,
            Rcode::FORMAT_ERROR | Rcode::SERVER_FAILURE | Rcode::NOT_IMPLEMENTED | Rcode::REFUSED
        );
        let is_its = self.0 == Some((side.other(), repeated));
        (refuses && is_its && flags & ZERO == 0).then_some(code)
    }
}
