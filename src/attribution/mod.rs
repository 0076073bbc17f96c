//! From facts to services and verdicts: pure functions over a ledger, offers first, then flows.
//!
//! An [`Attribution`] keeps the evidence that it rests on; a [`Verdict`] names the matrix row that it was measured by.
//! A port is the claim under audit and never raises [`Strength`] above `Assumed`. Nothing here sees a byte.
//!
//! Judged flows are gone over once, in order, with [`Judged::for_each`]; who needs several at hand asks [`Judged::keep`] for
//! those. There is no way to a flow by its number, because a capture may hold more flows than memory does.

mod calls;
mod candidates;
mod changes;
mod chunk;
mod claims;
mod ends;
mod flow;
mod judge;
mod names;
mod offers;
mod pass;
mod proof;
mod rows;
mod rpc;
mod security;
mod sketch;
mod survey;
mod unknown;

pub use calls::{Call, CallFlows, CallStream, ClockSource, Far, Rung, calls};
pub use changes::{
    Change, Conversation, Conversations, Kind as ChangeKind, Pair, SLOWER_FACTOR, SLOWER_LEAST_US,
    changes,
};
pub use ends::{Ends, Listener, Party};
pub use flow::{Flow, Flows, Orientation, Sight, State};
pub use names::{Name, NameSource, Names};
pub use offers::{Offers, Standing};
pub use rows::{Fit, RowFit};
pub use rpc::{Rpc, RpcOperation};
pub use security::{Certificate, Encrypted, Encryption, UNTOLD};
pub use sketch::{Served, Sketch, Sketched, private};

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use candidates::Rules;
use judge::Judge;
use survey::{Joints, Survey};

use crate::evidence::{Ledger, Strength};
use crate::net::{Timestamp, Transport};
use crate::signature::{Role, RowId, ServiceId, Signatures};
use crate::topology::{Inferred, Topology};

/// What a flow was measured to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The row lists this service here, and the payload proves it.
    Documented(RowId),
    /// The row lists it, but nothing seen proves or refutes the claim.
    Unproven(RowId),
    /// The service is proven, where no row lists it.
    Undocumented {
        /// The proven service.
        service: ServiceId,
    },
    /// The row lists one service; another protocol is proven.
    Contradicted {
        /// The row.
        row: RowId,
        /// What the payload proved.
        observed: String,
    },
    /// No row lists the port, and no service is proven.
    Unattributed,
}

impl Verdict {
    /// The contract's word.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Documented(_) => "documented",
            Self::Unproven(_) => "unproven",
            Self::Undocumented { .. } => "undocumented",
            Self::Contradicted { .. } => "contradicted",
            Self::Unattributed => "unattributed",
        }
    }
}

/// Evidence for a service, readable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The service that it speaks for.
    pub service: ServiceId,
    /// How far it goes alone.
    pub strength: Strength,
    /// The sentence, with its packet number.
    pub text: Arc<str>,
    /// What speaks; independent indications differ in it.
    source: Source,
}

/// What speaks for a service, the less telling first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    /// The port.
    Port,
    /// Roles that the topology file gives.
    Roles,
    /// TLS where a row wants it.
    Secured,
    /// What the payload hints at: names, user agents.
    Content,
    /// An announcement of the endpoint.
    Offer,
    /// An announcement by the other end.
    Answer,
    /// An RPC interface.
    Interface,
    /// The payload.
    Payload,
}

/// What one flow is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribution {
    /// The service, if any.
    pub service: Option<ServiceId>,
    /// How sure.
    pub strength: Option<Strength>,
    /// The evidence, strongest first. Shared, like rows and misfits, by the flows that are alike in it.
    pub because: Arc<[Arc<str>]>,
    /// Rows that it fits, best first.
    pub rows: Arc<[RowId]>,
    /// Rows of the same port or service that its roles or its opening end contradict, best first.
    pub misfits: Arc<[(RowId, Fit)]>,
    /// The verdict.
    pub verdict: Verdict,
    /// Who is at both ends.
    pub ends: Ends,
    /// Proven protocols in the order of layers; media and connections for data that were announced are named as well.
    pub protocols: Vec<&'static str>,
    /// Of these what is spoken on the transport, whatever frames, passes on, or lies inside.
    pub spoken: Vec<&'static str>,
    /// How it is protected.
    pub encryption: Encryption,
    /// Mechanisms seen.
    pub authentication: Vec<String>,
    /// RPC interfaces, bound or asked for.
    pub rpc: Vec<Rpc>,
    /// Somebody announced the server's endpoint (or, for media, either end).
    pub offered: bool,
    /// Signalling announced this media.
    pub announced_media: bool,
}

/// Everything that judging knows, before findings.
#[derive(Debug)]
pub struct Judged<'a> {
    ledger: Ledger,
    signatures: &'a Signatures,
    topology: &'a Topology,
    joints: Joints,
    rules: Rules<'a>,
    threads: usize,
    /// Taps and names.
    pub flows: Flows,
    /// Offers by endpoint.
    pub offers: Offers,
    /// Roles inferred from facts.
    pub inferred: Inferred,
    /// Time of the latest packet of the captures.
    pub last_seen: Option<Timestamp>,
}

impl<'a> Judged<'a> {
    /// Judges a ledger, on one thread.
    pub fn of(ledger: Ledger, signatures: &'a Signatures, topology: &'a Topology) -> Self {
        Self::with_threads(ledger, signatures, topology, 1)
    }

    /// Judges a ledger on so many threads. What comes out is the same.
    pub fn with_threads(
        ledger: Ledger,
        signatures: &'a Signatures,
        topology: &'a Topology,
        threads: usize,
    ) -> Self {
        let Survey {
            joints,
            flows,
            offers,
            inferred,
        } = Survey::of(&ledger, threads, |transport, port| {
            is_documented(signatures, topology, transport, port)
        });
        let last_seen = ledger
            .captures()
            .values()
            .filter_map(|record| record.last_seen)
            .max();
        Self {
            ledger,
            signatures,
            topology,
            joints,
            rules: Rules::of(&signatures.catalog),
            threads,
            flows,
            offers,
            inferred,
            last_seen,
        }
    }

    /// The name of an address that stands: of the topology file, else of the captures.
    pub fn name(&self, address: IpAddr) -> Option<Name> {
        ends::name(address, self.topology, &self.flows.names)
    }

    /// What was judged.
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The rows and services that it was judged by.
    pub const fn signatures(&self) -> &'a Signatures {
        self.signatures
    }

    /// What the user knows of the network.
    pub const fn topology(&self) -> &'a Topology {
        self.topology
    }

    /// How many flows there are.
    pub fn len(&self) -> u64 {
        self.joints.flows()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Goes over all flows once, in order: by first packet, then by flow key.
    pub fn for_each(&self, mut visit: impl FnMut(&Flow, &Attribution)) {
        let done: Result<(), Infallible> = self.try_for_each(|flow, attribution| {
            visit(flow, attribution);
            Ok(())
        });
        let Ok(()) = done;
    }

    /// Goes over all flows once, in order, until one of them is trouble.
    ///
    /// # Errors
    /// What `visit` says.
    pub fn try_for_each<E>(
        &self,
        mut visit: impl FnMut(&Flow, &Attribution) -> Result<(), E>,
    ) -> Result<(), E> {
        self.map(
            |flows| flows,
            |flows| {
                let mut flows = flows.iter();
                flows.try_for_each(|(flow, attribution)| visit(flow, attribution))
            },
        )
    }

    /// The flows that are wanted, in order: for what must have several at hand. Memory is bounded by what is wanted.
    pub fn keep(&self, mut wanted: impl FnMut(&Flow, &Attribution) -> bool) -> Vec<JudgedFlow> {
        let mut kept = Vec::new();
        self.for_each(|flow, attribution| {
            if wanted(flow, attribution) {
                kept.push((flow.clone(), attribution.clone()));
            }
        });
        kept
    }

    /// All of them at once: for captures that are known to be small.
    pub fn all(&self) -> Vec<JudgedFlow> {
        self.keep(|_, _| true)
    }
}

/// A flow with what it is.
pub type JudgedFlow = (Flow, Attribution);

/// Whether a port is listed in the matrix, or the user says that it was moved there.
fn is_documented(
    signatures: &Signatures,
    topology: &Topology,
    transport: Transport,
    port: u16,
) -> bool {
    signatures.matrix.by_port(transport, port).next().is_some()
        || topology.moved_ports().any(|moved| moved.port == port)
}

/// Whether one of the roles satisfies a row's list.
pub(crate) fn any_satisfies(roles: &[Role], wanted: &[Role]) -> bool {
    roles
        .iter()
        .any(|role| wanted.iter().any(|wanted| role.satisfies(*wanted)))
}
