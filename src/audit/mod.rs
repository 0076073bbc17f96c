//! Findings: what does not belong, is not protected as documented, or does not work.
//!
//! Pure functions over attributions. Findings are grouped by cause, not by flow. Severity follows the documents and the
//! evidence: what is only assumed never becomes an error, and where products or roles are unknown no finding is made
//! that only one version of the documents supports (`contradictions`: general order of resolution).

mod baseline;
mod codes;
mod media;
mod membership;
mod numbers;
mod protection;
mod reachability;
mod selection;
mod waiving;

pub use baseline::{Baseline, BaselineError};
pub use codes::{CODES, Code};
pub use numbers::{FlowCodes, FlowNumbers, RowCodes, codes_of};
pub use selection::Selection;
pub use waiving::verify;

use std::cell::OnceCell;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::Serialize;

use crate::attribution::{Attribution, Flow, Judged, Listener, Party};
use crate::net::{Endpoint, Transport};
use crate::signature::{Kind, Role, Row, RowId, Signatures};
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
/// Flows that a display filter names one by one; more are shown by their server.
const MAX_FILTERED: usize = 8;
/// Listeners or hosts that a display filter names: more make a filter that nobody can read, and Wireshark hardly.
const MAX_LISTENERS: usize = 64;
/// Clients of one finding that are told apart: beyond this they are those of a flood, and their number says no more.
const MAX_CLIENTS: usize = 10_000;

/// All findings that no waiver silences: worst first, then by code, then by first flow.
pub fn audit(judged: &Judged, signatures: &Signatures, topology: &Topology) -> Vec<Finding> {
    review(judged, signatures, topology).findings
}

/// All findings, and those that waivers of the topology silence, each list worst first, then by code, then by first flow.
pub fn review(judged: &Judged, signatures: &Signatures, topology: &Topology) -> Review {
    review_with(judged, signatures, topology, |_, _| {})
}

/// Like [`review`]; `visit` sees each flow as it goes by, because going over all of them again costs as much.
pub fn review_with(
    judged: &Judged,
    signatures: &Signatures,
    topology: &Topology,
    mut visit: impl FnMut(&Flow, &Attribution),
) -> Review {
    let hidden_signalling = OnceCell::new();
    let mut drafts = Drafts::default();
    judged.for_each(|flow, attribution| {
        visit(flow, attribution);
        let subject = Subject { flow, attribution };
        let mut audit = Audit {
            judged,
            signatures,
            topology,
            hidden_signalling: &hidden_signalling,
            subject: Some(subject),
            drafts: &mut drafts,
        };
        membership::check(&mut audit, subject);
        protection::check(&mut audit, subject);
        media::check(&mut audit, subject);
        reachability::check(&mut audit, subject);
    });
    membership::check_hosts(&mut Audit {
        judged,
        signatures,
        topology,
        hidden_signalling: &hidden_signalling,
        subject: None,
        drafts: &mut drafts,
    });
    drafts.finish(signatures)
}

/// One flow with what it is.
#[derive(Clone, Copy)]
struct Subject<'a> {
    flow: &'a Flow,
    attribution: &'a Attribution,
}

impl<'a> Subject<'a> {
    /// The row that the verdict was measured by.
    fn best(&self) -> Option<&'a RowId> {
        self.attribution.rows.first()
    }

    /// Rows that it fits.
    fn rows(&self, signatures: &'a Signatures) -> impl Iterator<Item = &'a Row> {
        self.attribution
            .rows
            .iter()
            .filter_map(|id| signatures.matrix.row(id))
    }

    /// Data paths that it fits.
    fn paths(&self, signatures: &'a Signatures) -> Vec<&'a Row> {
        self.rows(signatures)
            .filter(|row| row.kind == Kind::DataPath)
            .collect()
    }

    /// The attribution's own evidence, after `more`.
    fn evidence(&self, more: &[String]) -> Vec<String> {
        let because = self.attribution.because.iter().map(ToString::to_string);
        more.iter()
            .cloned()
            .chain(because)
            .take(MAX_EVIDENCE)
            .collect()
    }

    const fn client(&self) -> &'a Party {
        &self.attribution.ends.client
    }

    const fn server(&self) -> &'a Party {
        &self.attribution.ends.server
    }

    /// Both ends' roles are known from the topology file.
    fn is_known(&self) -> bool {
        self.client().is_known && self.server().is_known
    }

    /// What it is called in messages.
    fn what(&self, signatures: &Signatures) -> String {
        let service = self
            .attribution
            .service
            .as_ref()
            .and_then(|id| signatures.catalog.service(id));
        let carriers = self.flow.carriers();
        let within = match carriers.as_slice() {
            [] => String::new(),
            carriers => format!(" through {}", carriers.join(" and ")),
        };
        match service {
            Some(service) => format!("{}{within}", service.name),
            None => match self.spoken() {
                Some(spoken) => format!("{spoken}{within}"),
                None => format!(
                    "{} port {}",
                    self.flow.key.transport,
                    self.server().endpoint.port
                ),
            },
        }
    }

    /// The protocols that are spoken, in words.
    fn spoken(&self) -> Option<String> {
        let spoken = &self.attribution.spoken;
        (!spoken.is_empty()).then(|| spoken.join(" and "))
    }

    /// "from X to Y:port".
    fn path(&self) -> String {
        format!(
            "from {} to {}",
            host(self.client()),
            listener(self.server())
        )
    }
}

/// An address with its name.
fn host(party: &Party) -> String {
    party.to_string()
}

/// An endpoint with its name.
fn listener(party: &Party) -> String {
    Listener(party).to_string()
}

/// What a check says; one cause gathers many.
struct Draft {
    code: &'static Code,
    severity: Severity,
    row: Option<RowId>,
    message: String,
    flow: Option<u64>,
    evidence: Vec<String>,
}

/// What makes two drafts one finding: the code, the row, the listening end, and the asking host; and the waiver that silences
/// it, because one client of many may be allowed.
type Cause = (&'static str, Option<RowId>, String, Option<usize>);

/// What is kept of a flow that a finding names: flows go by once.
#[derive(Clone, Copy, Debug)]
struct Place {
    number: u64,
    transport: Transport,
    client: Endpoint,
    server: Endpoint,
}

impl Place {
    const fn of(flow: &Flow) -> Self {
        Self {
            number: flow.number,
            transport: flow.key.transport,
            client: flow.client(),
            server: flow.server(),
        }
    }
}

struct Gathered {
    draft: Draft,
    fingerprint: String,
    flows: FlowNumbers,
    /// The first flows, for the display filter.
    first: Vec<Place>,
    clients: BTreeSet<IpAddr>,
    servers: BTreeSet<IpAddr>,
    listeners: BTreeSet<(Transport, Endpoint)>,
}

impl Gathered {
    const fn new(draft: Draft, fingerprint: String) -> Self {
        Self {
            draft,
            fingerprint,
            flows: FlowNumbers::new(),
            first: Vec::new(),
            clients: BTreeSet::new(),
            servers: BTreeSet::new(),
            listeners: BTreeSet::new(),
        }
    }

    fn take(&mut self, place: Place) {
        if self.flows.last() == Some(place.number) {
            return;
        }
        self.flows.push(place.number);
        if self.first.len() <= MAX_FILTERED {
            self.first.push(place);
        }
        keep(&mut self.clients, place.client.address, MAX_CLIENTS);
        keep(&mut self.servers, place.server.address, MAX_LISTENERS);
        let listener = (place.transport, place.server);
        keep(&mut self.listeners, listener, MAX_LISTENERS);
    }

    fn finding(self, signatures: &Signatures) -> Finding {
        let display_filter = display_filter(&self);
        let Self {
            draft,
            fingerprint,
            flows,
            clients,
            ..
        } = self;
        let Draft {
            code,
            severity,
            row,
            mut message,
            evidence,
            ..
        } = draft;
        match (clients.len(), flows.len()) {
            (_, 0 | 1) => {}
            (1, flows) => message.push_str(&format!(" ({flows} flows)")),
            (clients, flows) => {
                let is_more = clients > MAX_CLIENTS;
                let more = if is_more { "more than " } else { "" };
                let clients = clients.min(MAX_CLIENTS);
                message.push_str(&format!(
                    " ({flows} flows of {more}{clients} clients, this one first)"
                ));
            }
        }
        Finding {
            code: code.code,
            name: code.name,
            severity,
            message,
            documents: citations(signatures, row.as_ref(), code.code),
            row,
            display_filter,
            flows,
            evidence,
            advice: code.advice,
            fingerprint,
        }
    }
}

/// Adds to a set that need not hold more than one beyond `most`: that many are counted, not told apart.
fn keep<T: Ord>(set: &mut BTreeSet<T>, value: T, most: usize) {
    if set.len() <= most {
        set.insert(value);
    }
}

/// What was found so far.
#[derive(Default)]
struct Drafts {
    by_cause: BTreeMap<Cause, Gathered>,
    /// Waivers that spoke of a finding and are expired.
    expired: BTreeSet<usize>,
}

/// What the checks of one flow, or of no flow, look at.
struct Audit<'a> {
    judged: &'a Judged<'a>,
    signatures: &'a Signatures,
    topology: &'a Topology,
    /// Hosts that take part in encrypted signalling, once somebody asked.
    hidden_signalling: &'a OnceCell<BTreeSet<IpAddr>>,
    /// The flow that is being looked at.
    subject: Option<Subject<'a>>,
    drafts: &'a mut Drafts,
}

impl Audit<'_> {
    /// Hosts that take part in encrypted signalling. Few captures hold media that ask for them, so they are looked for then.
    fn hidden_signalling(&self) -> &BTreeSet<IpAddr> {
        let is_signalling = |attribution: &Attribution| {
            let service = attribution.service.as_ref().map(|service| service.as_str());
            matches!(service, Some("sip" | "um_sip" | "sip_mediation" | "ocs_im"))
                && attribution.encryption.kind.hides()
        };
        self.hidden_signalling.get_or_init(|| {
            let mut hosts = BTreeSet::new();
            self.judged.for_each(|flow, attribution| {
                if is_signalling(attribution) {
                    hosts.extend([flow.key.a.address, flow.key.b.address]);
                }
            });
            hosts
        })
    }

    /// Adds what a check found to its cause.
    fn find(&mut self, cause: String, draft: Draft) {
        let subject = self
            .subject
            .filter(|subject| draft.flow == Some(subject.flow.number));
        // A digest for each flow of a flood would cost more than the flow: it is made once a cause where nothing is waived.
        let fingerprint = |cause: &str| waiving::fingerprint(&draft, subject, cause);
        let waiver = match self.topology.waivers() {
            [] => None,
            _ => self.waiver(&draft, subject, &fingerprint(&cause)),
        };
        let key = (draft.code.code, draft.row.clone(), cause, waiver);
        let (severity, evidence) = (draft.severity, draft.evidence.clone());
        let gathered = match self.drafts.by_cause.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) => {
                let fingerprint = fingerprint(&free.key().2);
                free.insert(Gathered::new(draft, fingerprint))
            }
        };
        if let Some(subject) = subject {
            gathered.take(Place::of(subject.flow));
        }
        gathered.draft.severity = gathered.draft.severity.max(severity);
        for sentence in evidence {
            if gathered.draft.evidence.len() < MAX_EVIDENCE
                && !gathered.draft.evidence.contains(&sentence)
            {
                gathered.draft.evidence.push(sentence);
            }
        }
    }
}

impl Drafts {
    fn finish(self, signatures: &Signatures) -> Review {
        let Self { by_cause, expired } = self;
        let mut findings: Vec<(Finding, Option<usize>)> = by_cause
            .into_iter()
            .map(|((.., waiver), gathered)| (gathered.finding(signatures), waiver))
            .collect();
        findings.sort_by(|(one, _), (other, _)| {
            (
                std::cmp::Reverse(one.severity),
                one.code,
                one.flows.first(),
                &one.message,
            )
                .cmp(&(
                    std::cmp::Reverse(other.severity),
                    other.code,
                    other.flows.first(),
                    &other.message,
                ))
        });
        let mut review = Review {
            expired,
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

/// The row's own words, and those of the first rule that asks for the check.
fn citations(signatures: &Signatures, row: Option<&RowId>, code: &str) -> Vec<Citation> {
    let cite = |row: &Row| Citation {
        document: row.document.to_string(),
        table: row.table.to_string(),
        quote: row.quote.as_ref().unwrap_or(&row.title).to_string(),
    };
    let row = row.and_then(|id| signatures.matrix.row(id));
    // A rule speaks of the row where it shares a service with it and names no other hosts.
    let meets = |one: &[Role], other: &[Role]| one.iter().any(|role| other.contains(role));
    let ends = |rule: &Row, row: &Row| {
        let straight = [
            (&rule.from_roles, &row.from_roles),
            (&rule.to_roles, &row.to_roles),
        ];
        let met = straight
            .iter()
            .filter(|(rule, row)| meets(rule, row))
            .count();
        let other = straight
            .iter()
            .any(|(rule, row)| !rule.is_empty() && !meets(rule, row));
        (!other).then_some(met)
    };
    let fit = |rule: &Row| match row {
        None => Some(0),
        Some(row) if rule.document != row.document => None,
        Some(row) if !row.services.iter().any(|service| rule.documents(service)) => None,
        Some(row) => ends(rule, row),
    };
    let rule = signatures
        .matrix
        .rows()
        .iter()
        .filter(|rule| rule.kind == Kind::Rule && rule.check.as_deref() == Some(code))
        .filter_map(|rule| Some((fit(rule)?, rule)))
        .min_by_key(|(met, _)| std::cmp::Reverse(*met))
        .map(|(_, rule)| rule);
    row.into_iter().chain(rule).map(cite).collect()
}

/// A filter that shows the packets of the flows: the few one by one; of many their listeners, or their servers, or their
/// clients, whichever are few enough to be named.
fn display_filter(gathered: &Gathered) -> String {
    let host = |address: &IpAddr| {
        let field = if address.is_ipv4() {
            "ip.addr"
        } else {
            "ipv6.addr"
        };
        format!("{field} == {address}")
    };
    let one = |place: &Place| {
        let Place {
            transport,
            client,
            server,
            ..
        } = place;
        let hosts = format!("{} && {}", host(&client.address), host(&server.address));
        match *transport {
            Transport::TCP | Transport::UDP | Transport::SCTP => format!(
                "({hosts} && {transport}.port == {} && {transport}.port == {})",
                client.port, server.port
            ),
            _ => format!("({hosts})"),
        }
    };
    let listener = |(transport, server): &(Transport, Endpoint)| {
        let host = host(&server.address);
        format!("({host} && {transport}.port == {})", server.port)
    };
    let parts: BTreeSet<String> = if gathered.first.len() <= MAX_FILTERED {
        gathered.first.iter().map(one).collect()
    } else if gathered.listeners.len() <= MAX_LISTENERS {
        gathered.listeners.iter().map(listener).collect()
    } else if gathered.servers.len() <= MAX_LISTENERS {
        gathered.servers.iter().map(host).collect()
    } else if gathered.clients.len() <= MAX_LISTENERS {
        gathered.clients.iter().map(host).collect()
    } else {
        let transports = gathered.listeners.iter();
        transports
            .map(|(transport, _)| transport.to_string())
            .collect()
    };
    parts.into_iter().collect::<Vec<_>>().join(" || ")
}
