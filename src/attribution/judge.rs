//! Judging one flow: all evidence for all services weighed, and the verdict by the rows that fit.

use std::cmp::Reverse;
use std::sync::Arc;

use super::candidates::Rules;
use super::claims::Claims;
use super::{
    Attribution, Encrypted, Encryption, Ends, Evidence, Fit, Flow, Flows, Offers, RowFit, Source,
    Verdict, proof, rpc, security, unknown,
};
use crate::evidence::Strength;
use crate::signature::{RowId, ServiceId, Signatures};
use crate::topology::{Inferred, Topology};

/// Sentences kept for one flow: what a person would read.
const MAX_BECAUSE: usize = 12;

/// What attribution of a single flow may look at.
pub(super) struct Judge<'a> {
    pub(super) signatures: &'a Signatures,
    pub(super) topology: &'a Topology,
    pub(super) flows: &'a Flows,
    pub(super) offers: &'a Offers,
    pub(super) inferred: &'a Inferred,
    pub(super) rules: &'a Rules<'a>,
    pub(super) claims: Claims<'a>,
}

/// What the evidence for a flow comes to.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) service: Option<ServiceId>,
    pub(super) strength: Option<Strength>,
    pub(super) because: Arc<[Arc<str>]>,
    pub(super) rows: Arc<[RowId]>,
    pub(super) misfits: Arc<[(RowId, Fit)]>,
    pub(super) verdict: Verdict,
}

impl Judge<'_> {
    pub(super) fn attribute(&self, flow: &Flow) -> Attribution {
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
    pub(super) fn weigh(
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
