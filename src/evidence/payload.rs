//! The first payload of a flow in which nothing was proven, for a person to go on from.

use serde::Serialize;

use super::Seen;
use crate::net::Side;

/// One packet's payload, as far as it is kept. Peeks of one flow add like sets: its first [`Peek::MAX`] stand.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Peek {
    /// The packet.
    pub seen: Seen,
    /// Who sent it.
    pub side: Side,
    /// Payload bytes on the wire.
    pub length: u32,
    /// The first of them, at most [`Peek::MAX_BYTES`].
    pub bytes: Box<[u8]>,
}

impl Peek {
    /// Packets that are kept of one flow: an opening, its answer, and how they go on.
    pub const MAX: usize = 6;
    /// Bytes kept of one packet: two packets are enough to tell noise from structure.
    pub const MAX_BYTES: usize = 64;
}
