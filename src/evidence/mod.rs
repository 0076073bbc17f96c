//! The neck of the hourglass: what scanning hands to judging.
//!
//! A [`Fact`] is positive and comes from bytes; absence is never a fact. An [`Offer`] says that an endpoint will serve
//! something. Decoders write both through [`Notes`]; a [`Recorder`] keeps them for one flow; an [`Episode`] is one
//! connection or conversation with all that was seen of it; a [`Ledger`] is a canonical set of episodes that merges.
//!
//! This module knows no protocol, no service and no port matrix.

mod codec;
mod episode;
mod fact;
mod least;
mod ledger;
mod media;
mod offer;
mod packed;
mod payload;
mod recorder;
mod scale;
mod sorted;
mod store;
pub(crate) mod varint;

pub use episode::{Episode, Layer};
pub use fact::{Attribute, Fact, Value};
pub use least::Least;
pub use ledger::{CaptureRecord, IcmpError, Ledger, Merge};
pub use media::{Jitter, ReceivedReport, Reports, RtpStream, SentReport, StreamKey, assigned_type};
pub use offer::{MediaOffer, Offer, Offered};
pub use packed::{Packed, Packer, Rested};
pub(crate) use packed::{Record, Records};
pub use payload::Peek;
pub use recorder::{Moment, Notes, Recorder, Seen};
pub use scale::{answered_within, milestone};
pub use sorted::{Entries, Sorted};
pub use store::{Pressed, Store};

use serde::Serialize;

/// How sure an attribution is. Ordered, and joined by maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// The port alone says so. A port never raises it further.
    Assumed,
    /// An offer, or another flow of the same endpoint, says so.
    Indicated,
    /// Two independent indications agree.
    Corroborated,
    /// The payload says so.
    Proven,
}

impl Strength {
    /// The contract's word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Assumed => "assumed",
            Self::Indicated => "indicated",
            Self::Corroborated => "corroborated",
            Self::Proven => "proven",
        }
    }
}
