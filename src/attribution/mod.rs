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

use std::cmp::Reverse;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use candidates::Rules;
use claims::Claims;
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

/// What attribution of a single flow may look at.
struct Judge<'a> {
    signatures: &'a Signatures,
    topology: &'a Topology,
    flows: &'a Flows,
    offers: &'a Offers,
    inferred: &'a Inferred,
    rules: &'a Rules<'a>,
    claims: Claims<'a>,
}

/// What the evidence for a flow comes to.
#[derive(Clone, Debug)]
struct Outcome {
    service: Option<ServiceId>,
    strength: Option<Strength>,
    because: Arc<[Arc<str>]>,
    rows: Arc<[RowId]>,
    misfits: Arc<[(RowId, Fit)]>,
    verdict: Verdict,
}

impl Judge<'_> {
    fn attribute(&self, flow: &Flow) -> Attribution {
        let ends = self.ends(flow);
        if flow.is_mute() && !self.offers.touch(flow) {
            let attribution = self.by_rows_alone(flow, ends);
            debug_assert_eq!(
                attribution,
                self.by_all(flow, attribution.ends.clone()),
                "a flow that says nothing, and of which nothing is said, is what rows say of its ends"
            );
            return attribution;
        }
        self.by_all(flow, ends)
    }

    /// What a flow is that says nothing, and of which nothing is said (of a scan, of a flood, of a host that is down):
    /// what rows say of its ends.
    fn by_rows_alone(&self, flow: &Flow, ends: Ends) -> Attribution {
        let encryption = Encryption::default();
        let claim = self.claim(flow, &ends, &[], &[], &encryption);
        let Outcome {
            service,
            strength,
            because,
            rows,
            misfits,
            verdict,
        } = claim.outcome.clone();
        Attribution {
            service,
            strength,
            because,
            rows,
            misfits,
            verdict,
            ends,
            protocols: Vec::new(),
            spoken: Vec::new(),
            encryption,
            authentication: Vec::new(),
            rpc: Vec::new(),
            offered: false,
            announced_media: false,
        }
    }

    /// What a flow is by all that it says, that was said of it, and that rows say of its ends.
    fn by_all(&self, flow: &Flow, ends: Ends) -> Attribution {
        let media = self.offers.media(flow);
        let mut protocols = flow.layers();
        let mut spoken = flow.spoken();
        // A valid RTP header alone is no proof; together with an announcement of its endpoint it is.
        let announced_media = !media.is_empty();
        let is_candidate =
            |name| announced_media && flow.facts_of(name, "candidate").next().is_some();
        for name in ["rtp", "rtcp"] {
            if !protocols.contains(&name) && is_candidate(name) {
                protocols.push(name);
                spoken.push(name);
            }
        }
        // Files have no form: what was agreed upon names the connection that carries them.
        let carries = flow
            .tracker
            .payload_bytes
            .iter()
            .any(|(_, bytes)| *bytes > 0);
        for name in self.offers.data(flow).filter(|_| carries) {
            if !protocols.contains(&name) {
                protocols.push(name);
                spoken.push(name);
            }
        }
        let keyed = media.iter().filter_map(|standing| standing.keyed()).max();
        let encryption = security::encryption(flow, &protocols, keyed);
        let claim = self.claim(flow, &ends, &protocols, &spoken, &encryption);
        let mut evidence = self.candidates(flow, &protocols, &spoken);
        let is_told = evidence
            .iter()
            .any(|evidence| evidence.source >= Source::Interface)
            && !flow.proves("stun");
        let remarks = self.remarks(flow);
        let mut outcome = if evidence.is_empty() && remarks.is_empty() {
            claim.outcome.clone()
        } else {
            evidence.extend(claim.evidence.iter().cloned());
            let fits = &claim.fits;
            self.weigh(
                flow,
                evidence,
                remarks,
                fits,
                &encryption,
                &protocols,
                &spoken,
            )
        };
        let mut more = Vec::new();
        // Where the payload names no service, it still says what is spoken; a relay, whose media are inside.
        if !is_told {
            more.extend(proof::sentences(flow, self.flows));
        }
        if outcome.service.is_none() {
            more.extend(self.mappings(flow));
        }
        if protocols.is_empty() {
            more.extend(unknown::describe(flow, self.flows));
        }
        if !more.is_empty() {
            let because = outcome.because.iter().cloned();
            outcome.because = because.chain(more.into_iter().map(Arc::from)).collect();
        }
        Attribution {
            service: outcome.service,
            strength: outcome.strength,
            because: outcome.because,
            rows: outcome.rows,
            misfits: outcome.misfits,
            verdict: outcome.verdict,
            ends,
            encryption,
            authentication: security::authentication(flow),
            rpc: rpc::rpc(flow, self.signatures),
            offered: announced_media || self.offers.of_server(flow).next().is_some(),
            announced_media,
            protocols,
            spoken,
        }
    }

    /// What all evidence for a flow comes to, given the rows that may be meant.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one flow's picture, each of its own kind"
    )]
    fn weigh(
        &self,
        flow: &Flow,
        mut evidence: Vec<Evidence>,
        remarks: Vec<String>,
        fits: &[RowFit<'_>],
        encryption: &Encryption,
        protocols: &[&'static str],
        spoken: &[&'static str],
    ) -> Outcome {
        evidence.extend(self.variant(&evidence, fits));
        let chosen = self.choose(&evidence, fits, protocols);
        let weight = |evidence: &Evidence| {
            (
                chosen.as_ref() != Some(&evidence.service),
                Reverse(evidence.strength),
                Reverse(evidence.source),
            )
        };
        evidence.sort_by_cached_key(weight);
        let strength = chosen
            .as_ref()
            .map(|service| combined(&evidence, service, encryption, fits));
        let rows = self.order(flow, fits, chosen.as_ref(), strength);
        let verdict = self.verdict(fits, &rows, chosen.as_ref(), strength, spoken);
        let (mut claims, shown): (Vec<_>, Vec<_>) = evidence
            .into_iter()
            .partition(|evidence| evidence.strength == Strength::Assumed);
        // Once more than a port speaks, what the port claims of other services is no evidence any more.
        if strength > Some(Strength::Assumed) {
            claims.retain(|claim| chosen.as_ref() == Some(&claim.service));
        }
        let sentences = |evidence: Vec<Evidence>| evidence.into_iter().map(|known| known.text);
        let mut because: Vec<Arc<str>> = Vec::new();
        for sentence in sentences(shown)
            .chain(remarks.into_iter().map(Arc::from))
            .chain(sentences(claims))
        {
            if because.len() >= MAX_BECAUSE {
                break;
            }
            if !because.contains(&sentence) {
                because.push(sentence);
            }
        }
        Outcome {
            because: because.into(),
            rows: rows.into_iter().map(|fit| fit.row.id.clone()).collect(),
            misfits: fits
                .iter()
                .filter(|fit| fit.contradicts())
                .map(|fit| (fit.row.id.clone(), fit.worst()))
                .collect(),
            service: chosen,
            strength,
            verdict,
        }
    }

    /// The service with the strongest evidence. Where only a port or roles speak and several services share them, the
    /// generic one stands for all; where the payload speaks, a special one wins, proven by an interface or otherwise. What
    /// is spoken in all layers comes before what one of them carries (Outlook Anywhere before the MAPI within).
    fn choose(
        &self,
        evidence: &[Evidence],
        fits: &[RowFit<'_>],
        protocols: &[&'static str],
    ) -> Option<ServiceId> {
        let rank = |evidence: &Evidence| {
            let is_carrier =
                evidence.source == Source::Payload && self.is_generic(&evidence.service);
            let source = if is_carrier {
                Source::Answer
            } else {
                evidence.source
            };
            (evidence.strength, source)
        };
        let (strength, source) = evidence.iter().map(rank).max()?;
        let mut strongest: Vec<&ServiceId> = evidence
            .iter()
            .filter(|evidence| rank(evidence) == (strength, source))
            .map(|evidence| &evidence.service)
            .collect();
        strongest.sort();
        strongest.dedup();
        // A part stands for the whole that the same evidence shows.
        let whole = |id: &ServiceId| self.signatures.catalog.service(id)?.part_of.clone();
        let wholes: Vec<ServiceId> = strongest.iter().filter_map(|id| whole(id)).collect();
        strongest.retain(|id| !wholes.contains(id));
        let prefer_generic = source <= Source::Roles && strongest.len() > 1;
        let fitting = || fits.iter().filter(|fit| !fit.contradicts());
        let score = |id: &ServiceId| {
            fitting()
                .filter(|fit| fit.services().contains(id))
                .map(RowFit::score)
                .max()
                .unwrap_or(0)
        };
        let place = |id: &ServiceId| {
            fits.iter()
                .position(|fit| fit.services().contains(id))
                .unwrap_or(usize::MAX)
        };
        let is_in_all_layers = |id: &ServiceId| {
            let service = self.signatures.catalog.service(id);
            service.is_some_and(|service| {
                let mut layers = protocols.iter();
                layers.all(|layer| service.protocols.iter().any(|spoken| **spoken == **layer))
            })
        };
        let weight = |id: &ServiceId| {
            (
                self.is_generic(id) == prefer_generic,
                is_in_all_layers(id),
                score(id),
                Reverse(place(id)),
                Reverse(id.clone()),
            )
        };
        strongest.into_iter().max_by_key(|id| weight(id)).cloned()
    }

    fn is_generic(&self, id: &ServiceId) -> bool {
        self.signatures
            .catalog
            .service(id)
            .is_some_and(|service| service.generic)
    }

    /// The payload proves a generic service on a port that is documented for one variant of it alone (LDAP on the port of
    /// the global catalog): the proof is the variant's.
    fn variant(&self, evidence: &[Evidence], fits: &[RowFit<'_>]) -> Option<Evidence> {
        let proven = |evidence: &&Evidence| evidence.strength == Strength::Proven;
        let generic = evidence.iter().find(proven)?;
        if evidence
            .iter()
            .filter(proven)
            .any(|evidence| !self.is_generic(&evidence.service))
        {
            return None;
        }
        let at_port = || {
            fits.iter()
                .filter(|fit| fit.at_port && fit.speaks && !fit.contradicts())
        };
        if at_port().any(|fit| fit.services().contains(&generic.service)) {
            return None;
        }
        let mut variants = at_port()
            .flat_map(RowFit::services)
            .filter(|id| self.is_variant(&generic.service, id));
        let first = variants.next()?;
        variants.all(|other| other == first).then(|| Evidence {
            service: first.clone(),
            ..generic.clone()
        })
    }

    /// Whether a service is spoken in the protocol that proves the generic one.
    fn is_variant(&self, generic: &ServiceId, id: &ServiceId) -> bool {
        let catalog = &self.signatures.catalog;
        let (Some(generic), Some(service)) = (catalog.service(generic), catalog.service(id)) else {
            return false;
        };
        let spoken = |protocol: &Arc<str>| service.protocols.contains(protocol);
        !service.generic
            && generic
                .proof
                .iter()
                .any(|condition| spoken(&condition.protocol))
    }

    fn verdict(
        &self,
        fits: &[RowFit<'_>],
        rows: &[&RowFit<'_>],
        service: Option<&ServiceId>,
        strength: Option<Strength>,
        spoken: &[&'static str],
    ) -> Verdict {
        let proven = service.filter(|_| strength == Some(Strength::Proven));
        let at_port = fits
            .iter()
            .filter(|fit| fit.at_port)
            .max_by_key(|fit| fit.score());
        // Roles or product speak against every row of the port, the protocol does not.
        let refuted = fits
            .iter()
            .filter(|fit| fit.at_port && fit.speaks)
            .max_by_key(|fit| fit.score());
        match (rows.first(), proven, refuted, at_port) {
            (Some(best), Some(_), ..) => Verdict::Documented(best.row.id.clone()),
            (Some(best), None, ..) => Verdict::Unproven(best.row.id.clone()),
            (None, Some(service), Some(_), _) | (None, Some(service), None, None) => {
                Verdict::Undocumented {
                    service: service.clone(),
                }
            }
            // The claim of the port stands until the payload proves or refutes it.
            (None, None, Some(fit), _) => Verdict::Unproven(fit.row.id.clone()),
            (None, _, None, Some(fit)) if !spoken.is_empty() => Verdict::Contradicted {
                row: fit.row.id.clone(),
                observed: spoken.join(" and "),
            },
            (None, _, None, Some(_)) => Verdict::Unattributed,
            (None, None, None, None) => Verdict::Unattributed,
        }
    }
}

/// Sentences kept for one flow: what a person would read.
const MAX_BECAUSE: usize = 12;

/// The joined strength of all evidence for a service: the maximum, and two independent indications corroborate.
fn combined(
    evidence: &[Evidence],
    service: &ServiceId,
    encryption: &Encryption,
    fits: &[RowFit<'_>],
) -> Strength {
    let of_service = || {
        evidence
            .iter()
            .filter(|evidence| evidence.service == *service)
    };
    let strongest = of_service()
        .map(|evidence| evidence.strength)
        .max()
        .unwrap_or(Strength::Assumed);
    if strongest != Strength::Indicated {
        return strongest;
    }
    let mut sources: Vec<Source> = of_service()
        .filter(|evidence| evidence.strength == Strength::Indicated)
        .map(|evidence| evidence.source)
        .collect();
    // TLS where the row wants it is no indication alone, but it agrees with one.
    let secured = |fit: &RowFit<'_>| {
        fit.services().contains(service) && fit.is_secured() && !fit.contradicts()
    };
    if encryption.kind == Encrypted::Tls && fits.iter().any(secured) {
        sources.push(Source::Secured);
    }
    sources.sort_unstable();
    sources.dedup();
    if sources.len() > 1 {
        Strength::Corroborated
    } else {
        Strength::Indicated
    }
}

/// Whether one of the roles satisfies a row's list.
pub(crate) fn any_satisfies(roles: &[Role], wanted: &[Role]) -> bool {
    roles
        .iter()
        .any(|role| wanted.iter().any(|wanted| role.satisfies(*wanted)))
}
