//! Findings by cause: what checks say of single flows, gathered, and folded where one cause shows in many places.

use std::collections::{BTreeMap, BTreeSet, HashMap, btree_map, hash_map};
use std::net::IpAddr;

use foldhash::fast::RandomState;

use super::check::Code;
use super::few::Room;
use super::group::{Group, Named};
use super::order::arranged;
use super::scene::Subject;
use super::waiving::{Whose, fingerprint, waiver};
use super::{Finding, MAX_EVIDENCE, Review, Severity, cite};
use crate::attribution::Party;
use crate::net::{Timestamp, Transport};
use crate::signature::{RowId, ServiceId, Signatures};
use crate::topology::Topology;

/// Findings of one code before they are folded: what a person can take in at a glance.
const MAX_OF_CODE: usize = 12;
/// Findings of one run: more than that is no list to work through.
const MAX_FINDINGS: usize = 150;
/// Causes of one code that are kept apart while flows are read: a scan must not fill memory.
const MAX_CAUSES_OF_CODE: usize = 2048;
/// Causes of all codes that are kept apart, of one to three kilobytes each.
const MAX_CAUSES: usize = 16_384;
/// Ends of flows that all findings remember together, some forty bytes each; beyond that counts are lower bounds.
const MAX_ENDS: usize = 262_144;

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
            message,
            evidence: subject.evidence(&[]),
            ..Self::unsaid(code, severity, subject)
        }
    }

    /// A draft about a flow's server that is not in words yet.
    pub(super) fn unsaid(code: &'static Code, severity: Severity, subject: Subject<'_>) -> Self {
        Self {
            code,
            severity,
            row: subject.best().cloned(),
            message: String::new(),
            evidence: Vec::new(),
            cause: Cause::at(subject.server()),
        }
    }

    /// With sentences of evidence before those of the attribution.
    pub(super) fn seen(mut self, sentences: impl IntoIterator<Item = String>) -> Self {
        let because = std::mem::take(&mut self.evidence);
        self.see(sentences.into_iter().chain(because));
        self
    }

    /// Takes these sentences for its evidence.
    pub(super) fn see(&mut self, sentences: impl IntoIterator<Item = String>) {
        self.evidence = sentences.into_iter().collect();
        self.evidence.retain(|sentence| !sentence.is_empty());
        self.evidence.dedup();
        self.evidence.truncate(MAX_EVIDENCE);
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

/// Where something is the matter, from the finest: what, whose, at which port, at which host.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    group: Group,
    /// Of the first flow: what the documents are asked for where no row is at hand.
    service: Option<ServiceId>,
}

impl Gathered {
    /// Whether there is room for more evidence.
    const fn quotes_more(&self) -> bool {
        self.draft.evidence.len() < MAX_EVIDENCE
    }

    fn learn(&mut self, severity: Severity, evidence: &[String]) {
        self.draft.severity = self.draft.severity.max(severity);
        for sentence in evidence {
            if self.quotes_more() && !self.draft.evidence.contains(sentence) {
                self.draft.evidence.push(sentence.clone());
            }
        }
    }

    /// One of many, of which the first speaks for all.
    fn joined(mut self, others: Vec<Self>) -> Self {
        if others.is_empty() {
            return self;
        }
        let mut groups = vec![std::mem::take(&mut self.group)];
        for other in others {
            let Self {
                draft,
                group,
                service: _,
            } = other;
            self.learn(draft.severity, &draft.evidence);
            groups.push(group);
        }
        self.group = Group::joined(groups);
        self
    }

    fn finding(self, key: &Key, signatures: &Signatures) -> Finding {
        let Self {
            draft,
            group,
            service,
        } = self;
        let (flows, words, display_filter) = group.told();
        Finding {
            code: draft.code.code,
            name: draft.code.name,
            severity: draft.severity,
            message: draft.message + &words,
            documents: cite::citations(
                signatures,
                draft.row.as_ref(),
                service.as_ref(),
                draft.code.code,
            ),
            row: draft.row,
            display_filter,
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
    by_code: BTreeMap<&'static str, HashMap<Key, Gathered, RandomState>>,
    /// Causes in `by_code`.
    causes: usize,
    /// For the ends of all flows.
    room: Room,
    /// Waivers that spoke of a finding and are expired.
    expired: BTreeSet<usize>,
    /// What checks passed over because it was too much.
    beyond: BTreeMap<&'static str, u64>,
}

impl<'a> Findings<'a> {
    pub(super) fn new(topology: &'a Topology, now: Option<Timestamp>) -> Self {
        Self {
            topology,
            now: now.unwrap_or_default(),
            by_code: BTreeMap::new(),
            causes: 0,
            room: Room::of(MAX_ENDS),
            expired: BTreeSet::new(),
            beyond: BTreeMap::new(),
        }
    }

    /// Adds what a check found in a flow to its cause.
    pub(super) fn find(&mut self, flow: impl Into<Named>, draft: Draft) {
        self.find_in(&[flow.into()], draft);
    }

    /// Adds what a check found in a flow to its cause; `say` puts it into words where they are wanted. Of a million flows that
    /// have one cause a handful are quoted.
    pub(super) fn find_unsaid(&mut self, flow: &Named, draft: Draft, say: impl FnOnce(&mut Draft)) {
        self.add(std::slice::from_ref(flow), draft, say);
    }

    /// Adds what several flows show together, the one that carries it first.
    pub(super) fn find_in(&mut self, flows: &[Named], draft: Draft) {
        self.add(flows, draft, |_| {});
    }

    fn add(&mut self, flows: &[Named], draft: Draft, say: impl FnOnce(&mut Draft)) {
        let whose = flows.first().map(Whose::from).unwrap_or_default();
        let mut room = self.room;
        let gathered = self.gather(draft, &whose, say);
        for flow in flows {
            gathered.group.add(flow, &mut room);
        }
        self.room = room;
    }

    /// Adds what a group of flows shows together.
    pub(super) fn find_all(&mut self, group: Group, draft: Draft) {
        let whose = Whose::from(&group);
        let gathered = self.gather(draft, &whose, |_| {});
        gathered.group = Group::joined([std::mem::take(&mut gathered.group), group]);
    }

    /// Adds what no single flow shows.
    pub(super) fn tell(&mut self, draft: Draft) {
        self.gather(draft, &Whose::default(), |_| {});
    }

    /// Whether the cause of a draft is known, and all is quoted of it that will be: then no words of it are wanted, now or
    /// later in the flows.
    pub(super) fn has_words(&mut self, flow: &Named, draft: &Draft) -> bool {
        let key = self.key(draft, &Whose::from(flow));
        let causes = self.by_code.get(draft.code.code);
        let known = causes.and_then(|causes| causes.get(&key));
        known.is_some_and(|gathered| !gathered.quotes_more())
    }

    /// Whether nothing was found so far.
    pub(super) fn is_empty(&self) -> bool {
        self.by_code.is_empty()
    }

    /// Notes that a check passed something over because a limit was reached.
    pub(super) fn pass_over(&mut self, what: &'static str, count: u64) {
        if count > 0 {
            let known = self.beyond.entry(what).or_default();
            *known = known.saturating_add(count);
        }
    }

    /// What was passed over so far, and how often.
    pub(super) const fn passed_over(&self) -> &BTreeMap<&'static str, u64> {
        &self.beyond
    }

    /// What makes a draft one finding with others.
    fn key(&mut self, draft: &Draft, whose: &Whose<'_>) -> Key {
        let mut key = Key {
            severity: None,
            row: draft.row.clone(),
            cause: draft.cause.clone(),
            transport: whose.transport,
            waiver: None,
        };
        if !self.topology.waivers().is_empty() {
            let fingerprint = key.fingerprint(draft.code);
            let (topology, now) = (self.topology, self.now);
            key.waiver = waiver(topology, now, draft, whose, &fingerprint, &mut self.expired);
        }
        key
    }

    fn gather(
        &mut self,
        mut draft: Draft,
        whose: &Whose<'_>,
        say: impl FnOnce(&mut Draft),
    ) -> &mut Gathered {
        let mut key = self.key(&draft, whose);
        let causes = self.by_code.entry(draft.code.code).or_default();
        let is_full = causes.len() >= MAX_CAUSES_OF_CODE || self.causes >= MAX_CAUSES;
        if is_full && !causes.contains_key(&key) {
            key = Key {
                severity: Some(draft.severity),
                row: None,
                cause: Cause::default(),
                transport: None,
                waiver: key.waiver,
            };
        }
        match causes.entry(key) {
            hash_map::Entry::Vacant(free) => {
                self.causes = self.causes.saturating_add(1);
                say(&mut draft);
                debug_assert!(!draft.message.is_empty(), "the first of a cause is told");
                free.insert(Gathered {
                    draft,
                    group: Group::default(),
                    service: whose.service.cloned(),
                })
            }
            hash_map::Entry::Occupied(taken) => {
                let gathered = taken.into_mut();
                if gathered.quotes_more() {
                    say(&mut draft);
                }
                gathered.learn(draft.severity, &draft.evidence);
                gathered
            }
        }
    }

    /// Adds to the findings of a code what is only known at the end, where all clients are counted.
    pub(super) fn remark(
        &mut self,
        code: &'static Code,
        mut say: impl FnMut(&Cause, &BTreeSet<IpAddr>) -> Option<String>,
    ) {
        for (key, gathered) in self.by_code.get_mut(code.code).into_iter().flatten() {
            let clients = gathered.group.clients();
            let sentence = clients.and_then(|clients| say(&key.cause, clients));
            if let Some(sentence) = sentence {
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
                    let seen = gathered.group.clients();
                    seen.is_none_or(|seen| seen.is_empty() || !seen.is_subset(clients))
                });
            }
        }
    }

    /// All findings, folded where there are too many, in the order in which they are read.
    pub(super) fn settle(self, signatures: &Signatures) -> Review {
        let mut by_code: Vec<(usize, BTreeMap<Key, Gathered>)> = self
            .by_code
            .into_values()
            .map(|causes| {
                let mut causes: BTreeMap<Key, Gathered> = causes.into_iter().collect();
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
        let mut review = Review {
            expired: self.expired,
            ..Review::default()
        };
        for (key, gathered) in by_code.into_iter().flat_map(|(_, causes)| causes) {
            let finding = gathered.finding(&key, signatures);
            match key.waiver {
                None => review.findings.push(finding),
                Some(waiver) => review.waived.push((finding, waiver)),
            }
        }
        review.findings = arranged(review.findings, |finding| finding);
        review.waived = arranged(review.waived, |(finding, _)| finding);
        review
    }
}

/// Joins what is alike but for the finest part of the cause, the earliest flow first.
fn fold(causes: BTreeMap<Key, Gathered>, level: usize) -> BTreeMap<Key, Gathered> {
    let mut ordered: Vec<(Key, Gathered)> = causes.into_iter().collect();
    ordered.sort_by_key(|(_, gathered)| gathered.group.first());
    let mut folded: BTreeMap<Key, (Gathered, Vec<Gathered>)> = BTreeMap::new();
    for (key, gathered) in ordered {
        let key = Key {
            severity: Some(gathered.draft.severity),
            row: key.row.filter(|_| level < 4),
            cause: key.cause.folded(level),
            transport: key.transport.filter(|_| level < 4),
            waiver: key.waiver,
        };
        match folded.entry(key) {
            btree_map::Entry::Vacant(free) => {
                free.insert((gathered, Vec::new()));
            }
            btree_map::Entry::Occupied(mut taken) => taken.get_mut().1.push(gathered),
        }
    }
    let join = |(key, (first, others)): (Key, (Gathered, _))| (key, first.joined(others));
    folded.into_iter().map(join).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Endpoint;

    const CODE: &Code = &Code {
        code: "EXW401",
        name: "",
        meaning: "",
        advice: "",
    };

    /// The flow of that number, its draft, and the words for it.
    fn failing(number: u64) -> (Named, Draft, impl FnOnce(&mut Draft)) {
        let low = u16::try_from(number % 40).unwrap();
        let server = Endpoint::new(IpAddr::V4((0x0a00_0000 + u32::from(low)).into()), 25);
        let flow = Named {
            number,
            transport: Transport::TCP,
            client: Endpoint::new(IpAddr::V4([10, 1, 1, 1].into()), 40_000),
            server,
            service: None,
        };
        let draft = Draft {
            code: CODE,
            severity: match number {
                900.. => Severity::Error,
                _ => Severity::Info,
            },
            row: None,
            message: String::new(),
            evidence: Vec::new(),
            cause: Cause {
                address: Some(server.address),
                port: Some(server.port),
                ..Cause::default()
            },
        };
        // Now and then a sentence that was said before: there is room for another one then.
        let say = move |draft: &mut Draft| {
            draft.message = format!("flow {number} to {server} fails");
            draft.see([format!("frame {}", number / 100), "always".to_owned()]);
        };
        (flow, draft, say)
    }

    #[test]
    fn what_is_said_only_where_it_is_wanted_is_what_would_be_said_of_each() {
        let (topology, signatures) = (Topology::default(), Signatures::default());
        let mut each = Findings::new(&topology, None);
        let mut wanted = Findings::new(&topology, None);
        let mut waited = Findings::new(&topology, None);
        let mut waiting = Vec::new();
        let mut said = 0;
        for number in 1..=1000 {
            let (flow, mut draft, say) = failing(number);
            say(&mut draft);
            each.find(flow, draft);
            let (flow, draft, say) = failing(number);
            wanted.find_unsaid(&flow, draft, |draft| {
                said += 1;
                say(draft);
            });
            // As checks do that wait for what follows: words are made before it is known that they are not wanted.
            let (flow, mut draft, say) = failing(number);
            if !waited.has_words(&flow, &draft) {
                say(&mut draft);
            }
            waiting.push((flow, draft));
            if waiting.len() == 7 {
                for (flow, draft) in waiting.drain(..) {
                    waited.find_unsaid(&flow, draft, |_| {});
                }
            }
        }
        for (flow, draft) in waiting {
            waited.find_unsaid(&flow, draft, |_| {});
        }
        let each = each.settle(&signatures).findings;
        assert!(
            !each.is_empty()
                && each
                    .iter()
                    .any(|finding| finding.severity == Severity::Error)
        );
        assert_eq!(each, wanted.settle(&signatures).findings);
        assert_eq!(each, waited.settle(&signatures).findings);
        assert!(said < 1000, "{said}");
    }
}
