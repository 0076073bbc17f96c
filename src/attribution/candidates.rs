//! The evidence for every service that a flow may be: proof, offers, indications, roles, and the port's claim.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;
use uuid::Uuid;

use super::flow::{Flow, Sight};
use super::offers::Standing;
use super::rows::{Fit, RowFit};
use super::{Encryption, Evidence, Judge, Source};
use crate::evidence::{Fact, Offered, Strength, Value};
use crate::signature::{Catalog, Condition, InterfaceKind, Kind, ServiceId};

/// Interfaces told that a port was given out for: a program that has more of them is known by the first.
const MAX_MAPPINGS: usize = 3;

/// A condition, and what it shows where a flow fulfils it.
#[derive(Clone, Copy, Debug)]
struct Rule<'a> {
    service: &'a ServiceId,
    condition: &'a Condition,
    strength: Strength,
    source: Source,
}

/// The conditions of all services in order, by what each asks for first.
#[derive(Debug)]
pub(super) struct Rules<'a> {
    rules: Vec<Rule<'a>>,
    /// By protocol and attribute, which is empty where the protocol is enough.
    by_first: HashMap<(&'a str, &'a str), Vec<usize>, RandomState>,
    /// What the services of the catalog are spoken in.
    spoken: HashSet<&'a str, RandomState>,
}

impl<'a> Rules<'a> {
    pub(super) fn of(catalog: &'a Catalog) -> Self {
        let mut rules = Vec::new();
        for service in catalog.services() {
            let rule = |condition, strength, source| Rule {
                service: &service.id,
                condition,
                strength,
                source,
            };
            let proofs = service.proof.iter();
            rules.extend(proofs.map(|proof| rule(proof, Strength::Proven, Source::Payload)));
            let hints = service.indicates.iter();
            rules.extend(hints.map(|hint| rule(hint, Strength::Indicated, Source::Content)));
        }
        let mut by_first: HashMap<(&str, &str), Vec<usize>, RandomState> = HashMap::default();
        for (index, rule) in rules.iter().enumerate() {
            let protocol = &*rule.condition.protocol;
            let attribute = match rule.condition.interface {
                Some(_) => "bound",
                None => rule.condition.attribute.as_deref().unwrap_or_default(),
            };
            by_first
                .entry((protocol, attribute))
                .or_default()
                .push(index);
        }
        let spoken = catalog
            .services()
            .flat_map(|service| service.protocols.iter().map(|protocol| &**protocol))
            .collect();
        Self {
            rules,
            by_first,
            spoken,
        }
    }

    /// The rules that a flow with these protocols, and its facts, can fulfil, in order.
    fn of_flow(&self, flow: &Flow, protocols: &[&'static str]) -> impl Iterator<Item = &Rule<'a>> {
        let facts = flow.facts.as_slice();
        let same =
            |(one, _): &(Fact, Sight), (next, _): &(Fact, Sight)| one.attribute == next.attribute;
        let attributes = facts
            .chunk_by(same)
            .filter_map(|facts| facts.first())
            .map(|(fact, _)| (fact.attribute.protocol, fact.attribute.name));
        let asked = protocols.iter().map(|protocol| (*protocol, ""));
        let lists = asked
            .chain(attributes)
            .filter_map(|first| self.by_first.get(&first));
        let mut indexes: Vec<usize> = lists.flatten().copied().collect();
        indexes.sort_unstable();
        indexes.dedup();
        indexes
            .into_iter()
            .filter_map(|index| self.rules.get(index))
    }
}

impl Judge<'_> {
    /// The evidence that the flow itself gives, and what was announced of it.
    pub(super) fn candidates(
        &self,
        flow: &Flow,
        protocols: &[&'static str],
        spoken: &[&'static str],
    ) -> Vec<Evidence> {
        let mut evidence = Vec::new();
        // What lies inside a protocol that no service speaks (TLS of a VPN, of a database) is that protocol's, and no evidence.
        if self.is_all_foreign(spoken) {
            return evidence;
        }
        self.by_conditions(flow, protocols, &mut evidence);
        self.by_interfaces(flow, &mut evidence);
        self.by_offers(flow, &mut evidence);
        evidence
    }

    /// Whether something is spoken, and nothing of it in any service of the catalog.
    fn is_all_foreign(&self, spoken: &[&'static str]) -> bool {
        let is_foreign = |name: &&'static str| !self.rules.spoken.contains(name);
        !spoken.is_empty() && spoken.iter().all(is_foreign)
    }

    fn by_conditions(&self, flow: &Flow, protocols: &[&'static str], evidence: &mut Vec<Evidence>) {
        for rule in self.rules.of_flow(flow, protocols) {
            let texts = rule
                .condition
                .all()
                .map(|part| self.fulfilled(flow, protocols, part));
            if let Some(texts) = texts.collect::<Option<Vec<_>>>() {
                evidence.push(Evidence {
                    service: rule.service.clone(),
                    strength: rule.strength,
                    text: texts.join(", and ").into(),
                    source: rule.source,
                });
            }
        }
    }

    /// The sentence for a condition that the flow fulfils, apart from those that it comes with.
    fn fulfilled(
        &self,
        flow: &Flow,
        protocols: &[&'static str],
        condition: &Condition,
    ) -> Option<String> {
        let protocol = *protocols
            .iter()
            .find(|protocol| **protocol == &*condition.protocol)?;
        if let Some(wanted) = condition.interface {
            let (fact, sight) = flow.facts_of(protocol, "bound").find(
                |(fact, _)| matches!(fact.value, Value::Interface { uuid, .. } if uuid == wanted),
            )?;
            return Some(format!(
                "{}: {protocol} bound {}",
                self.flows.frame(sight),
                self.interface(&fact.value)
            ));
        }
        let Some(attribute) = condition.attribute.as_deref() else {
            // Media in the datagrams of a relay are the relay's; where they are sent without it is another flow.
            if flow.is_inside(protocol, "stun") {
                return None;
            }
            return Some(match flow.protocols.get(protocol) {
                Some((layer, tap)) => {
                    format!(
                        "{}: {protocol}",
                        self.flows.frame(Sight {
                            seen: layer.seen,
                            tap: *tap
                        })
                    )
                }
                None => format!("{protocol}, announced by signalling"),
            });
        };
        let passes = |value: &Value| {
            condition
                .test
                .as_ref()
                .is_none_or(|test| match value.as_text() {
                    Some(text) => test.passes(text),
                    None => test.passes(&value.to_string()),
                })
        };
        let (fact, sight) = flow
            .facts_named(protocol, attribute)
            .find(|(fact, _)| passes(&fact.value))?;
        Some(format!(
            "{}: {protocol} {attribute} `{}`",
            self.flows.frame(sight),
            fact.value
        ))
    }

    /// Interfaces with a service of their own; a bind whose answer is missing only indicates.
    fn by_interfaces(&self, flow: &Flow, evidence: &mut Vec<Evidence>) {
        for (name, strength, word) in [
            ("bound", Strength::Proven, "bound"),
            ("requested", Strength::Indicated, "asked for"),
        ] {
            for (fact, sight) in flow.facts_of("dcerpc", name) {
                let Value::Interface { uuid, major, minor } = &fact.value else {
                    continue;
                };
                let known = self.signatures.interfaces.find(*uuid, *major, *minor);
                let Some(service) = known.and_then(|interface| interface.service.clone()) else {
                    continue;
                };
                let text = format!(
                    "{}: dcerpc {word} {}",
                    self.flows.frame(sight),
                    self.interface(&fact.value)
                );
                evidence.push(Evidence {
                    service,
                    strength,
                    text: text.into(),
                    source: Source::Interface,
                });
            }
        }
    }

    /// Where an endpoint mapper gave out the flow's server endpoint, for interfaces of whatever service.
    pub(super) fn mappings(&self, flow: &Flow) -> impl Iterator<Item = String> {
        let offers = self.offers.of_server(flow);
        let mapped = offers.filter_map(|standing| match &standing.offer.offered {
            Offered::Rpc {
                uuid, major, minor, ..
            } => Some(self.mapped(standing, *uuid, *major, *minor)),
            Offered::Dcom { .. }
            | Offered::Media(_)
            | Offered::Candidate { .. }
            | Offered::Relay
            | Offered::Host { .. }
            | Offered::Protocol { .. }
            | Offered::Data { .. } => None,
        });
        mapped.take(MAX_MAPPINGS)
    }

    fn mapped(&self, standing: &Standing, uuid: Uuid, major: u16, minor: u16) -> String {
        let value = Value::Interface { uuid, major, minor };
        format!(
            "{}: ept_map answered {} at {}",
            self.flows.frame(standing.sight),
            self.interface(&value),
            standing.offer.endpoint
        )
    }

    fn by_offers(&self, flow: &Flow, evidence: &mut Vec<Evidence>) {
        for standing in self.offers.of_server(flow) {
            let Offered::Rpc {
                uuid,
                major,
                minor,
                annotation,
                ..
            } = &standing.offer.offered
            else {
                continue;
            };
            let known = self.signatures.interfaces.find(*uuid, *major, *minor);
            let service = known
                .and_then(|interface| interface.service.clone())
                .or_else(|| {
                    let plain =
                        known.is_none_or(|interface| interface.kind == InterfaceKind::Service);
                    let exchange = annotation
                        .as_deref()
                        .is_some_and(|name| name.to_lowercase().contains("exchange"));
                    (plain && exchange).then(|| ServiceId("exchange_rpc".into()))
                });
            let Some(service) = service else { continue };
            let text = self.mapped(standing, *uuid, *major, *minor);
            evidence.push(Evidence {
                service,
                strength: Strength::Indicated,
                text: text.into(),
                source: Source::Offer,
            });
        }
        for (standing, protocol, name) in self.offers.protocols(flow) {
            let is_whole = |proof: &&Condition| {
                *proof.protocol == *protocol
                    && proof.interface.is_none()
                    && proof.attribute.is_none()
            };
            for service in self.signatures.catalog.services() {
                if service.proof.iter().any(|proof| is_whole(&proof)) {
                    let text = format!(
                        "{}: {} announced {protocol} {name} at {}",
                        self.flows.frame(standing.sight),
                        standing.offer.by,
                        standing.offer.endpoint
                    );
                    evidence.push(Evidence {
                        service: service.id.clone(),
                        strength: Strength::Indicated,
                        text: text.into(),
                        source: Source::Offer,
                    });
                }
            }
        }
        for (index, standing) in self.offers.media(flow).into_iter().enumerate().take(2) {
            let what = match &standing.offer.offered {
                Offered::Media(media) => format!("{} {}", media.media, media.profile),
                Offered::Candidate { kind, .. } => format!("{kind} candidate"),
                Offered::Relay
                | Offered::Rpc { .. }
                | Offered::Dcom { .. }
                | Offered::Host { .. }
                | Offered::Protocol { .. }
                | Offered::Data { .. } => "relay".to_owned(),
            };
            let text = format!(
                "{}: {} announced {what} at {}",
                self.flows.frame(standing.sight),
                standing.offer.by,
                standing.offer.endpoint
            );
            let service = ServiceId("media".into());
            let source = if index == 0 {
                Source::Offer
            } else {
                Source::Answer
            };
            evidence.push(Evidence {
                service,
                strength: Strength::Indicated,
                text: text.into(),
                source,
            });
        }
    }

    /// What is seen beside services: the object exporter that the server's endpoint was announced to be, the server behind a
    /// proxy, what a certificate looks like, and what RPC refused and why.
    pub(super) fn remarks(&self, flow: &Flow) -> Vec<String> {
        let exporters =
            self.offers
                .of_server(flow)
                .filter_map(|standing| match &standing.offer.offered {
                    Offered::Dcom { operation, .. } => Some(format!(
                        "{}: OXID resolution ({operation}) answered {}",
                        self.flows.frame(standing.sight),
                        standing.offer.endpoint
                    )),
                    _ => None,
                });
        let targets = flow.facts_of("http", "rpc_target").map(|(fact, sight)| {
            format!(
                "{}: the RPC proxy is asked for {}",
                self.flows.frame(sight),
                fact.value
            )
        });
        let relays = flow.facts_of("tls", "tor_like").map(|(_, sight)| {
            format!(
                "{}: the certificate is of the kind that relays of Tor make for themselves",
                self.flows.frame(sight)
            )
        });
        let refusals = ["bind_nak", "rejected", "fault"]
            .into_iter()
            .flat_map(|name| {
                flow.facts_of("dcerpc", name).map(move |(fact, sight)| {
                    format!(
                        "{}: dcerpc {name} `{}`",
                        self.flows.frame(sight),
                        fact.value
                    )
                })
            });
        let mut remarks: Vec<String> = Vec::new();
        for remark in exporters.chain(targets).chain(relays).chain(refusals) {
            if !remarks.contains(&remark) {
                remarks.push(remark);
            }
        }
        remarks
    }

    /// What rows say of the protocol that is spoken on the transport: roles that a topology file gives indicate, the port
    /// alone only claims.
    pub(super) fn by_rows(
        &self,
        flow: &Flow,
        spoken: &[&'static str],
        fits: &[RowFit<'_>],
        encryption: &Encryption,
    ) -> Vec<Evidence> {
        let mut evidence = Vec::new();
        if self.is_all_foreign(spoken) {
            return evidence;
        }
        let at_port = || fits.iter().filter(|fit| fit.at_port && fit.speaks);
        // Where the roles refute every row, the port still claims what they say: the verdict tells.
        let refuted = at_port().all(RowFit::contradicts);
        // Many rows of one port name the same services: one sentence a service and source.
        let mut said: Vec<(&ServiceId, Source)> = Vec::new();
        for fit in at_port().filter(|fit| refuted || !fit.contradicts()) {
            let roles_match = fit.from == Fit::Matches
                && fit.to == Fit::Matches
                && fit.row.kind == Kind::DataPath;
            for service in fit.services() {
                let is_said = |source| said.contains(&(service, source));
                if is_said(Source::Port) && (!roles_match || is_said(Source::Roles)) {
                    continue;
                }
                let Some(known) = self.signatures.catalog.service(service) else {
                    continue;
                };
                let is_its =
                    |protocol: &&'static str| known.protocols.iter().any(|its| **its == **protocol);
                if !spoken.is_empty() && !spoken.iter().any(is_its) {
                    continue;
                }
                if roles_match && !is_said(Source::Roles) {
                    let who = if fit.is_known {
                        "topology"
                    } else {
                        "inferred from other flows"
                    };
                    let text = format!("{who}: the roles are those of `{}`", fit.row.title);
                    evidence.push(Evidence {
                        service: service.clone(),
                        strength: Strength::Indicated,
                        text: text.into(),
                        source: Source::Roles,
                    });
                    said.push((service, Source::Roles));
                }
                if said.contains(&(service, Source::Port)) {
                    continue;
                }
                let secured = encryption.kind.hides() && fit.is_secured();
                let claim = if self.moved(flow) == Some(service) {
                    "was given by the topology file to"
                } else {
                    "is documented for"
                };
                let text = format!(
                    "port {}/{} {claim} {}{}",
                    flow.server().port,
                    flow.key.transport,
                    known.name,
                    if secured {
                        ", secured as it is here"
                    } else {
                        ""
                    }
                );
                evidence.push(Evidence {
                    service: service.clone(),
                    strength: Strength::Assumed,
                    text: text.into(),
                    source: Source::Port,
                });
                said.push((service, Source::Port));
            }
        }
        evidence
    }

    /// An interface by name and version, else by its identifier.
    fn interface(&self, value: &Value) -> String {
        match value {
            Value::Interface { uuid, major, minor } => {
                match self.signatures.interfaces.find(*uuid, *major, *minor) {
                    Some(interface) => format!("{} {major}.{minor}", interface.name),
                    None => value.to_string(),
                }
            }
            _ => value.to_string(),
        }
    }
}
