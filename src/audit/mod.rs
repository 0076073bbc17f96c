//! Findings: what does not belong, is not protected as documented, or does not work, and why.
//!
//! A check is one file with its codes beside it (`check`): it sees each flow once, in order, and keeps what it needs for
//! what only all flows show. Findings are grouped by cause, not by flow, and folded where there are too many (`gather`).
//! Severity follows the documents and the evidence: what is only assumed never becomes an error, and where products or
//! roles are unknown no finding is made that only one version of the documents supports (`contradictions`: general order of
//! resolution). What was not visible is told apart from what is well (`missing::coverage`).

mod baseline;
mod check;
mod cite;
mod directory;
mod few;
mod filter;
mod gather;
mod group;
mod handshake;
mod mail;
mod membership;
mod missing;
mod numbers;
mod order;
mod protection;
mod reachability;
mod rpc;
mod scene;
mod selection;
mod telephony;
mod transport;
mod waiving;

pub use baseline::{Baseline, BaselineError};
pub use check::{CODES, Code};
pub use numbers::{FlowCodes, FlowNumbers, codes_of};
pub use selection::Selection;
pub use waiving::verify;

use std::collections::BTreeSet;

use gather::Findings;
use scene::{Scene, Subject};
use serde::Serialize;

use crate::attribution::{Attribution, Flow, Judged};
use crate::signature::{RowId, Signatures};
use crate::topology::Topology;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Deviates from the documents, or may.
    Warning,
    /// Proven to break what the documents require, or not to work.
    Error,
}

impl Severity {
    /// The contract's word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A citation of the documents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Citation {
    /// Short name of the document.
    pub document: String,
    /// Table or section.
    pub table: String,
    /// Its own words.
    pub quote: String,
}

/// A finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable code, `EXW...`.
    pub code: &'static str,
    /// Name of the code.
    pub name: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is the matter, in one sentence.
    pub message: String,
    /// The row that it was measured by.
    pub row: Option<RowId>,
    /// Numbers of the flows that show it.
    pub flows: FlowNumbers,
    /// What was seen, with packet numbers.
    pub evidence: Vec<String>,
    /// What the documents say.
    pub documents: Vec<Citation>,
    /// What to do.
    pub advice: &'static str,
    /// A Wireshark display filter that shows the packets.
    pub display_filter: String,
    /// What stays the same where the same cause shows again: of code, row and the hosts and ports that the cause names, never
    /// of names, packet numbers, times or flows.
    pub fingerprint: String,
}

/// What an audit comes to.
#[derive(Clone, Debug, Default)]
pub struct Review {
    /// The findings.
    pub findings: Vec<Finding>,
    /// Findings that a waiver of the topology silences, with its index there.
    pub waived: Vec<(Finding, usize)>,
    /// Waivers that spoke of a finding and are expired, by their index.
    pub expired: BTreeSet<usize>,
}

/// Sentences of evidence kept for one finding.
const MAX_EVIDENCE: usize = 6;

/// An audit at work: flows go in one after the other, findings come out.
pub struct Auditor<'a> {
    scene: Scene<'a>,
    watches: Vec<Box<dyn check::Watch>>,
    findings: Findings<'a>,
}

impl<'a> Auditor<'a> {
    /// An audit of what `judged` knows beside its flows.
    pub fn new(judged: &'a Judged<'a>, signatures: &'a Signatures, topology: &'a Topology) -> Self {
        Self {
            scene: Scene {
                judged,
                signatures,
                topology,
                offers: &judged.offers,
            },
            watches: check::CHECKS.iter().map(|check| (check.start)()).collect(),
            findings: Findings::new(topology, judged.last_seen),
        }
    }

    /// Takes in a flow. Flows come in the order of their numbers.
    pub fn observe(&mut self, flow: &Flow, attribution: &Attribution) {
        let sayers = flow.sayers();
        let subject = Subject::of(flow, attribution, &sayers);
        for watch in &mut self.watches {
            watch.observe(&self.scene, subject, &mut self.findings);
        }
    }

    /// All findings, and those that waivers of the topology silence, in the order of [`review`].
    pub fn finish(mut self) -> Review {
        for watch in self.watches {
            watch.finish(&self.scene, &mut self.findings);
        }
        self.findings.settle(self.scene.signatures)
    }
}

/// All findings that no waiver silences, in the order of [`review`].
pub fn audit(judged: &Judged, signatures: &Signatures, topology: &Topology) -> Vec<Finding> {
    review(judged, signatures, topology).findings
}

/// All findings, and those that waivers of the topology silence, each list in the order in which a person reads it: the worst
/// first; of those that are equally bad the first of each code before the second of any; then by code, then by first flow.
pub fn review(judged: &Judged, signatures: &Signatures, topology: &Topology) -> Review {
    let mut auditor = Auditor::new(judged, signatures, topology);
    judged.for_each(|flow, attribution| auditor.observe(flow, attribution));
    auditor.finish()
}
