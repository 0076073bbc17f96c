//! Findings by cause: what checks say of single flows, gathered, and folded where one cause shows in many places.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::check::Code;
use super::filter::Shown;
use super::scene::Subject;
use super::waiving::{fingerprint, waiver};
use super::{Finding, FlowNumbers, MAX_EVIDENCE, Review, Severity, cite};
use crate::attribution::Party;
use crate::net::{Endpoint, Timestamp, Transport};
use crate::signature::{RowId, ServiceId, Signatures};
use crate::topology::Topology;

/// Findings of one code before they are folded: what a person can take in at a glance.
const MAX_OF_CODE: usize = 12;
/// Findings of one run: more than that is no list to work through.
const MAX_FINDINGS: usize = 150;
/// Causes of one code that are kept apart while flows are read: a scan must not fill memory.
const MAX_CAUSES: usize = 2048;
/// Clients and listeners that are counted for one finding; beyond that the count is a lower bound.
const MAX_COUNTED: usize = 4096;

/// What a check says of a flow; one cause gathers many.
pub(super) struct Draft {
    pub(super) code: &'static Code,
    pub(super) severity: Severity,
    pub(super) row: Option<RowId>,
    pub(super) message: String,
    pub(super) evidence: Vec<String>,
    /// What makes it another finding than the like at the same place.
    pub(super) cause: Cause,
}

impl Draft {
    /// A draft about a flow's server, by the row that the flow was measured by.
    pub(super) fn of(
        code: &'static Code,
        severity: Severity,
        subject: Subject<'_>,
        message: String,
    ) -> Self {
        Self {
            code,
            severity,
            row: subject.best().cloned(),
            message,
            evidence: subject.evidence(&[]),
            cause: Cause::at(subject.server()),
        }
    }

    /// With sentences of evidence before those of the attribution.
    pub(super) fn seen(mut self, sentences: impl IntoIterator<Item = String>) -> Self {
        let mut evidence: Vec<String> = sentences.into_iter().collect();
        evidence.append(&mut self.evidence);
        evidence.retain(|sentence| !sentence.is_empty());
        evidence.dedup();
        evidence.truncate(MAX_EVIDENCE);
        self.evidence = evidence;
        self
    }

    /// Measured by another row.
    pub(super) fn by_row(mut self, row: Option<&RowId>) -> Self {
        self.row = row.cloned();
        self
    }

    /// With another cause.
    pub(super) fn caused_by(mut self, cause: Cause) -> Self {
        self.cause = cause;
        self
    }
}

/// A flow as a finding names it: for checks that speak after it went by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Named {
    pub(super) number: u64,
    pub(super) transport: Transport,
    pub(super) client: Endpoint,
    pub(super) server: Endpoint,
    pub(super) service: Option<ServiceId>,
}

impl From<Subject<'_>> for Named {
    fn from(subject: Subject<'_>) -> Self {
        let flow = subject.flow;
        Self {
            number: flow.number,
            transport: flow.key.transport,
            client: flow.client(),
            server: flow.server(),
            service: subject.attribution.service.clone(),
        }
    }
}

/// Where something is the matter, from the finest: what, whose, at which port, at which host.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cause {
    pub(super) address: Option<IpAddr>,
    pub(super) port: Option<u16>,
    pub(super) client: Option<IpAddr>,
    pub(super) what: String,
}

impl Cause {
    /// A listening endpoint.
    pub(super) fn at(party: &Party) -> Self {
        Self {
            address: Some(party.endpoint.address),
            port: Some(party.endpoint.port),
            ..Self::default()
        }
    }

    /// A host, whatever its port.
    pub(super) fn host(address: IpAddr) -> Self {
        Self {
            address: Some(address),
            ..Self::default()
        }
    }

    /// Of one client alone.
    pub(super) fn of_client(mut self, client: IpAddr) -> Self {
        self.client = Some(client);
        self
    }

    /// Of this kind alone.
    pub(super) fn what(mut self, what: impl Into<String>) -> Self {
        self.what = what.into();
        self
    }

    /// The cause with the least of it left out: first clients, then ports, then hosts, then the kind.
    fn folded(&self, level: usize) -> Self {
        Self {
            address: self.address.filter(|_| level < 3),
            port: self.port.filter(|_| level < 2),
            client: self.client.filter(|_| level < 1),
            what: match level {
                0..=3 => self.what.clone(),
                _ => String::new(),
            },
        }
    }
}

/// Levels of folding; at the last one a code has one finding of each severity.
const LEVELS: usize = 5;

/// What makes two drafts one finding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    /// 0 while drafts are gathered: there one cause takes the worst severity.
    severity: Option<Severity>,
    row: Option<RowId>,
    cause: Cause,
    transport: Option<Transport>,
    /// The waiver that silences it, because one client of many may be allowed.
    waiver: Option<usize>,
}

/// A finding that grows.
struct Gathered {
    draft: Draft,
    flows: FlowNumbers,
    /// Flows that were found after later ones, and those of findings that were folded into it.
    late: Vec<u64>,
    clients: BTreeSet<IpAddr>,
    listeners: BTreeSet<(Transport, Endpoint)>,
    shown: Shown,
    /// Of the first flow: what the documents are asked for where no row is at hand.
    service: Option<ServiceId>,
}

impl Gathered {
    fn new(draft: Draft, flow: Option<&Named>) -> Self {
        Self {
            draft,
            service: flow.and_then(|flow| flow.service.clone()),
            flows: FlowNumbers::new(),
            late: Vec::new(),
            clients: BTreeSet::new(),
            listeners: BTreeSet::new(),
            shown: Shown::default(),
        }
    }

    fn add(&mut self, flow: &Named) {
        match self.flows.last() {
            // One flow may be found twice.
            Some(last) if last == flow.number => return,
            Some(last) if last > flow.number => self.late.push(flow.number),
            _ => self.flows.push(flow.number),
        }
        if self.clients.len() < MAX_COUNTED {
            self.clients.insert(flow.client.address);
        }
        if self.listeners.len() < MAX_COUNTED {
            self.listeners.insert((flow.transport, flow.server));
        }
        self.shown.add(flow.transport, flow.client, flow.server);
    }

    fn learn(&mut self, severity: Severity, evidence: &[String]) {
        self.draft.severity = self.draft.severity.max(severity);
        for sentence in evidence {
            if self.draft.evidence.len() < MAX_EVIDENCE && !self.draft.evidence.contains(sentence) {
                self.draft.evidence.push(sentence.clone());
            }
        }
    }

    /// Takes a later one in.
    fn join(&mut self, other: Self) {
        let Self {
            draft,
            flows,
            late,
            clients,
            listeners,
            shown,
            service: _,
        } = other;
        self.learn(draft.severity, &draft.evidence);
        self.late.extend(flows.iter().chain(late));
        self.clients.extend(clients);
        self.listeners.extend(listeners);
        self.shown.join(shown);
    }

    fn first(&self) -> Option<u64> {
        self.flows
            .first()
            .into_iter()
            .chain(self.late.first().copied())
            .min()
    }

    fn finding(self, key: &Key, signatures: &Signatures) -> Finding {
        let Self {
            draft,
            mut flows,
            mut late,
            clients,
            listeners,
            shown,
            service,
        } = self;
        if !late.is_empty() {
            late.extend(flows.iter());
            late.sort_unstable();
            flows = late.into_iter().collect();
        }
        let mut message = draft.message;
        let many = flows.len();
        match (clients.len(), listeners.len()) {
            _ if many < 2 => {}
            (0 | 1, 0 | 1) => message.push_str(&format!(" ({many} flows)")),
            (clients, 0 | 1) => {
                message.push_str(&format!(
                    " ({many} flows of {clients} clients, this one first)"
                ));
            }
            (0 | 1, places) => {
                message.push_str(&format!(
                    " ({many} flows to {places} endpoints, this one first)"
                ));
            }
            (clients, places) => {
                message.push_str(&format!(
                    " ({many} flows of {clients} clients to {places} endpoints, this one first)"
                ));
            }
        }
        Finding {
            code: draft.code.code,
            name: draft.code.name,
            severity: draft.severity,
            message,
            documents: cite::citations(
                signatures,
                draft.row.as_ref(),
                service.as_ref(),
                draft.code.code,
            ),
            row: draft.row,
            display_filter: shown.filter(),
            flows,
            evidence: draft.evidence,
            advice: draft.code.advice,
            fingerprint: key.fingerprint(draft.code),
        }
    }
}

impl Key {
    fn fingerprint(&self, code: &Code) -> String {
        let severity = self.severity.map(Severity::word);
        fingerprint(
            code,
            self.row.as_ref(),
            self.transport,
            &self.cause,
            severity,
        )
    }
}

/// What the checks found so far.
pub(super) struct Findings<'a> {
    topology: &'a Topology,
    /// The end of the capture: what waivers are measured by.
    now: Timestamp,
    by_code: BTreeMap<&'static str, BTreeMap<Key, Gathered>>,
    /// Waivers that spoke of a finding and are expired.
    expired: BTreeSet<usize>,
}

impl<'a> Findings<'a> {
    pub(super) fn new(topology: &'a Topology, now: Option<Timestamp>) -> Self {
        Self {
            topology,
            now: now.unwrap_or_default(),
            by_code: BTreeMap::new(),
            expired: BTreeSet::new(),
        }
    }

    /// Adds what a check found in a flow to its cause.
    pub(super) fn find(&mut self, flow: impl Into<Named>, draft: Draft) {
        let flow = flow.into();
        self.gather(draft, Some(&flow)).add(&flow);
    }

    /// Adds what several flows show together, the one that carries it first.
    pub(super) fn find_in(&mut self, flows: &[Named], draft: Draft) {
        let gathered = self.gather(draft, flows.first());
        for flow in flows {
            gathered.add(flow);
        }
    }

    /// Adds what no single flow shows.
    pub(super) fn tell(&mut self, draft: Draft) {
        self.gather(draft, None);
    }

    fn gather(&mut self, draft: Draft, flow: Option<&Named>) -> &mut Gathered {
        let mut key = Key {
            severity: None,
            row: draft.row.clone(),
            cause: draft.cause.clone(),
            transport: flow.map(|flow| flow.transport),
            waiver: None,
        };
        if !self.topology.waivers().is_empty() {
            let fingerprint = key.fingerprint(draft.code);
            let (topology, now) = (self.topology, self.now);
            key.waiver = waiver(topology, now, &draft, flow, &fingerprint, &mut self.expired);
        }
        let causes = self.by_code.entry(draft.code.code).or_default();
        if causes.len() >= MAX_CAUSES && !causes.contains_key(&key) {
            key = Key {
                severity: Some(draft.severity),
                row: None,
                cause: Cause::default(),
                transport: None,
                waiver: key.waiver,
            };
        }
        match causes.entry(key) {
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert(Gathered::new(draft, flow))
            }
            std::collections::btree_map::Entry::Occupied(taken) => {
                let gathered = taken.into_mut();
                gathered.learn(draft.severity, &draft.evidence);
                gathered
            }
        }
    }

    /// Adds to the findings of a code what is only known at the end.
    pub(super) fn remark(
        &mut self,
        code: &'static Code,
        mut say: impl FnMut(&Cause, &BTreeSet<IpAddr>) -> Option<String>,
    ) {
        for (key, gathered) in self.by_code.get_mut(code.code).into_iter().flatten() {
            if let Some(sentence) = say(&key.cause, &gathered.clients) {
                gathered.draft.evidence.insert(0, sentence);
                gathered.draft.evidence.truncate(MAX_EVIDENCE);
            }
        }
    }

    /// Leaves out the findings of a code whose cause `keep` refuses.
    pub(super) fn retain(&mut self, code: &'static Code, keep: impl Fn(&Cause) -> bool) {
        if let Some(causes) = self.by_code.get_mut(code.code) {
            causes.retain(|key, _| keep(&key.cause));
        }
    }

    /// Leaves out findings of these codes that only these clients show: another finding says it of all of them.
    pub(super) fn covers(&mut self, codes: &[&'static str], clients: &BTreeSet<IpAddr>) {
        for code in codes {
            if let Some(causes) = self.by_code.get_mut(code) {
                causes.retain(|_, gathered| {
                    gathered.clients.is_empty() || !gathered.clients.is_subset(clients)
                });
            }
        }
    }

    /// All findings, folded where there are too many: worst first, then by code, then by first flow.
    pub(super) fn settle(self, signatures: &Signatures) -> Review {
        let mut by_code: Vec<(usize, BTreeMap<Key, Gathered>)> = self
            .by_code
            .into_values()
            .map(|mut causes| {
                let mut level = 0;
                while causes.len() > MAX_OF_CODE && level < LEVELS {
                    level += 1;
                    causes = fold(causes, level);
                }
                (level, causes)
            })
            .collect();
        let count = |by_code: &[(usize, BTreeMap<Key, Gathered>)]| -> usize {
            by_code.iter().map(|(_, causes)| causes.len()).sum()
        };
        while count(&by_code) > MAX_FINDINGS {
            let open = by_code.iter_mut().filter(|(level, _)| *level < LEVELS);
            let Some((level, causes)) = open.max_by_key(|(_, causes)| causes.len()) else {
                break;
            };
            *level += 1;
            *causes = fold(std::mem::take(causes), *level);
        }
        let gathered = by_code.into_iter().flat_map(|(_, causes)| causes);
        let mut findings: Vec<(Finding, Option<usize>)> = gathered
            .map(|(key, gathered)| (gathered.finding(&key, signatures), key.waiver))
            .collect();
        findings.sort_by(|(one, _), (other, _)| order(one).cmp(&order(other)));
        let mut review = Review {
            expired: self.expired,
            ..Review::default()
        };
        for (finding, waiver) in findings {
            match waiver {
                None => review.findings.push(finding),
                Some(waiver) => review.waived.push((finding, waiver)),
            }
        }
        review
    }
}

fn order(finding: &Finding) -> (std::cmp::Reverse<Severity>, &str, Option<u64>, &str) {
    let first = finding.flows.first();
    let severity = std::cmp::Reverse(finding.severity);
    (severity, finding.code, first, &finding.message)
}

/// Joins what is alike but for the finest part of the cause, the earliest flow first.
fn fold(causes: BTreeMap<Key, Gathered>, level: usize) -> BTreeMap<Key, Gathered> {
    let mut ordered: Vec<(Key, Gathered)> = causes.into_iter().collect();
    ordered.sort_by_key(|(_, gathered)| gathered.first());
    let mut folded: BTreeMap<Key, Gathered> = BTreeMap::new();
    for (key, gathered) in ordered {
        let key = Key {
            severity: Some(gathered.draft.severity),
            row: key.row.filter(|_| level < 4),
            cause: key.cause.folded(level),
            transport: key.transport.filter(|_| level < 4),
            waiver: key.waiver,
        };
        match folded.entry(key) {
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert(gathered);
            }
            std::collections::btree_map::Entry::Occupied(mut taken) => {
                taken.get_mut().join(gathered);
            }
        }
    }
    folded
}
