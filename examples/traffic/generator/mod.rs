//! Traffic of any size for measurements: the same bytes for the same seed (on the same platform, for the logarithms of the
//! arrival times), written as they come.
//!
//! Applications begin by chance, at the rates of the chosen [`Kind`]; each is one conversation or several that belong
//! together, and each conversation sends its packets at its own pace. All payloads that are not encrypted are messages as
//! their protocols have them. Nothing here is taken from a real capture.

#![expect(
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    reason = "a generator may panic; its numbers are its own"
)]

mod apps;
mod engine;
mod random;
#[path = "../../generate-samples/generator/mod.rs"]
#[allow(dead_code, reason = "only the builders of messages are used")]
mod samples;
mod session;
mod wire;
mod world;

pub(crate) use engine::{Extent, Made, generate};

/// What a capture is full of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// All that an office speaks: see `apps::OFFICE` for the proportions and why they are so.
    OfficeMix,
    /// An Exchange site: mail, Outlook over RPC and HTTPS, directory access, log shipping.
    ExchangeSite,
    /// Calls and nothing else: signalling, RTP and RTCP.
    CallCentre,
    /// Few long transfers in full segments, over HTTP, TLS and SMB.
    Bulk,
    /// Questions and answers of one small packet each: many flows.
    SmallPackets,
    /// SYNs from everywhere to one port, never answered.
    SynFlood,
    /// A number of flows with equally many packets each, all at once: for curves.
    Steady,
}

impl Kind {
    pub(crate) const ALL: [(&'static str, Self); 7] = [
        ("office-mix", Self::OfficeMix),
        ("exchange-site", Self::ExchangeSite),
        ("call-centre", Self::CallCentre),
        ("bulk", Self::Bulk),
        ("small-packets", Self::SmallPackets),
        ("syn-flood", Self::SynFlood),
        ("steady", Self::Steady),
    ];
}
