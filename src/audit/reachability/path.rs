//! A documented path that gets no answer, is refused, or is reported unreachable; and how others fare on it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

use smallvec::SmallVec;

use super::icmp::{is_too_big, sentence};
use super::{is_group, is_internal, severity};
use crate::attribution::State;
use crate::audit::Severity;
use crate::audit::check::{Check, Code, Watch};
use crate::audit::few::{Few, Room};
use crate::audit::gather::{Cause, Draft, Findings};
use crate::audit::group::Named;
use crate::audit::scene::{Scene, Subject};
use crate::evidence::{IcmpError, Offered, Seen};
use crate::net::{Timestamp, Transport};

const NO_ANSWER: &Code = &Code {
    code: "EXW401",
    name: "no-answer",
    meaning: "A documented path got no answer.",
    advice: "Look for a firewall that drops the packets, a host that is down, or a return path elsewhere.",
};
const REFUSED: &Code = &Code {
    code: "EXW402",
    name: "refused",
    meaning: "A documented path was refused.",
    advice: "The host is up and nothing listens, or a firewall rejects: check the service.",
};
const ICMP_ERROR: &Code = &Code {
    code: "EXW403",
    name: "icmp-error",
    meaning: "A router or host reports that a documented path cannot be used.",
    advice: "The reporter of the ICMP error is the device to look at.",
};
const OFFERED_PORT_BLOCKED: &Code = &Code {
    code: "EXW404",
    name: "offered-port-blocked",
    meaning: "The endpoint mapper gave out a port that then could not be reached.",
    advice: "Open the dynamic RPC range between these hosts, or fix the service's port and open that one.",
};
const INTERNAL_PATH_BLOCKED: &Code = &Code {
    code: "EXW405",
    name: "internal-path-blocked",
    meaning: "Traffic between internal servers is blocked; the documents do not support any restriction there.",
    advice: "Remove the restriction between these servers.",
};

pub(in crate::audit) const PATH: Check = Check {
    codes: &[
        NO_ANSWER,
        REFUSED,
        ICMP_ERROR,
        OFFERED_PORT_BLOCKED,
        INTERNAL_PATH_BLOCKED,
    ],
    start: || Box::new(Paths::default()),
};

/// A SYN is repeated after a second (RFC 6298 2.1): a lone one that the capture's end follows sooner proves little. In
/// nanoseconds.
const PATIENCE_NS: i64 = 1_000_000_000;
/// Lone SYNs that wait for the capture to go on; a flood of them needs no patience.
const MAX_PENDING: usize = 4096;
/// Listeners of which it is remembered that they answered, and whom: of some hundred bytes each.
const MAX_ANSWERING: usize = 65_536;
const MAX_ANSWERED: usize = 262_144;
/// Clients of a listener that are remembered: the sentence says how many, and many are many.
const MAX_CLIENTS: usize = 64;
/// Ports of a host that a sentence names.
const MAX_PORTS: usize = 4;

/// What the flows so far show of who answers whom.
struct Paths {
    /// Clients that a listener answered.
    reached: BTreeMap<(IpAddr, u16), Few<IpAddr>>,
    room: Room,
    /// Answers of listeners that are not remembered.
    beyond: u64,
    /// Drafts of lone SYNs, until the capture goes on long enough.
    pending: VecDeque<(Timestamp, Named, SmallVec<[Draft; 1]>)>,
    now: Timestamp,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            reached: BTreeMap::new(),
            room: Room::of(MAX_ANSWERED),
            beyond: 0,
            pending: VecDeque::new(),
            now: Timestamp::default(),
        }
    }
}

impl Watch for Paths {
    fn observe(&mut self, scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
        let flow = subject.flow;
        self.now = self.now.max(flow.tracker.last_seen);
        self.flush(findings);
        let state = flow.state();
        let is_answered = flow.tracker.packets[flow.client.other()] > 0 && state != State::Refused;
        if is_answered {
            self.answered(subject);
        }
        let drafts = drafts(scene, subject, state);
        if drafts.is_empty() {
            return;
        }
        let tries = match &flow.tracker.tcp {
            Some(tcp) => u64::from(tcp.syns[flow.client]),
            None => flow.tracker.packets[flow.client],
        };
        let is_silent = matches!(state, State::Attempted | State::OneWay) && flow.errors.is_empty();
        let named = Named::from(subject);
        if tries < 2 && is_silent && self.pending.len() < MAX_PENDING {
            let told = |(mut draft, failure): (Draft, Failure<'_>)| {
                if !findings.has_words(&named, &draft) {
                    failure.say(scene, subject, &mut draft);
                }
                draft
            };
            let drafts = drafts.into_iter().map(told).collect();
            let last = flow.tracker.last_seen;
            self.pending.push_back((last, named, drafts));
        } else {
            for (draft, failure) in drafts {
                let say = |draft: &mut Draft| failure.say(scene, subject, draft);
                findings.find_unsaid(&named, draft, say);
            }
        }
    }

    fn finish(mut self: Box<Self>, _: &Scene<'_>, findings: &mut Findings<'_>) {
        self.flush(findings);
        findings.pass_over("answers of further listeners", self.beyond);
        for (_, flow, drafts) in std::mem::take(&mut self.pending) {
            for mut draft in drafts {
                draft.severity = Severity::Info;
                draft.message.push_str(" before the capture ends");
                findings.find_unsaid(&flow, draft, |_| {});
            }
        }
        for code in [NO_ANSWER, REFUSED] {
            let is_up = code.code == REFUSED.code;
            findings.remark(code, |cause, clients| self.others(cause, clients, is_up));
        }
    }
}

impl Paths {
    fn answered(&mut self, subject: Subject<'_>) {
        let (client, server) = (subject.flow.client(), subject.flow.server());
        let key = (server.address, server.port);
        if self.reached.len() >= MAX_ANSWERING && !self.reached.contains_key(&key) {
            self.beyond = self.beyond.saturating_add(1);
            return;
        }
        let clients = self.reached.entry(key).or_default();
        clients.insert_within(client.address, MAX_CLIENTS, &mut self.room);
    }

    /// Lets go of what waited long enough.
    fn flush(&mut self, findings: &mut Findings<'_>) {
        let now = self.now;
        while let Some((last, ..)) = self.pending.front()
            && now.since(*last) >= PATIENCE_NS
        {
            let Some((_, flow, drafts)) = self.pending.pop_front() else {
                return;
            };
            for draft in drafts {
                findings.find_unsaid(&flow, draft, |_| {});
            }
        }
    }

    /// Who else reaches the listener or its host: whether the fault lies on the path or at its end.
    fn others(&self, cause: &Cause, clients: &BTreeSet<IpAddr>, is_up: bool) -> Option<String> {
        let (address, port) = (cause.address?, cause.port?);
        let others = self.reached.get(&(address, port));
        let others = others.map_or(0, |reached| {
            let known = reached.known().iter();
            known.filter(|one| !clients.contains(one)).count()
        });
        let is_same = self
            .reached
            .get(&(address, port))
            .is_some_and(|reached| clients.is_subset(reached.known()));
        if others > 0 {
            let word = if others == 1 {
                "client reaches"
            } else {
                "clients reach"
            };
            return Some(format!(
                "{others} other {word} it in the same capture: the fault lies on this path"
            ));
        }
        if is_same {
            return Some(
                "other connections of the same client reach it: it fails at times".to_owned(),
            );
        }
        let ports: Vec<String> = self
            .reached
            .range((address, 0)..=(address, u16::MAX))
            .map(|((_, port), _)| port.to_string())
            .take(MAX_PORTS)
            .collect();
        match (ports.is_empty(), is_up) {
            (false, _) => Some(format!("the host answers on port {}", ports.join(", "))),
            // Where an answer may have been passed over, nothing is said.
            (true, false) if self.beyond > 0 => None,
            (true, false) => Some("the capture shows no answer of this host at all".to_owned()),
            (true, true) => None,
        }
    }
}

/// How a documented path fails.
#[derive(Clone, Copy)]
enum Failure<'a> {
    /// A router or host reports it.
    Reported(&'a IcmpError, Seen),
    Refused,
    Unanswered,
    /// The endpoint mapper gave the port out, and nothing is reached there.
    Offered,
    /// Nothing may be restricted between these two.
    Inside,
}

impl Failure<'_> {
    const fn code(self) -> &'static Code {
        match self {
            Self::Reported(..) => ICMP_ERROR,
            Self::Refused => REFUSED,
            Self::Unanswered => NO_ANSWER,
            Self::Offered => OFFERED_PORT_BLOCKED,
            Self::Inside => INTERNAL_PATH_BLOCKED,
        }
    }

    /// Puts a draft into words.
    fn say(self, scene: &Scene<'_>, subject: Subject<'_>, draft: &mut Draft) {
        let what = match subject.attribution.service {
            None if is_offered(scene, subject) => offered_interfaces(scene, subject),
            _ => subject.what(scene.signatures),
        };
        let path = subject.path();
        let is_refused = subject.flow.state() == State::Refused;
        let (how, seen) = match self {
            Self::Reported(error, seen) => {
                let sentence = sentence(error, seen);
                (format!(": {sentence}"), vec![sentence])
            }
            Self::Refused => {
                let seen = syns(subject, "answered by RST");
                (" is refused".to_owned(), vec![seen])
            }
            Self::Unanswered => {
                let seen = syns(subject, "without answer");
                (" gets no answer".to_owned(), vec![seen])
            }
            Self::Offered => {
                let (how, seen) = match is_refused {
                    true => ("refused", syns(subject, "answered by RST")),
                    false => ("not answered", syns(subject, "without answer")),
                };
                let how = format!(": the endpoint mapper gave the port out, and it is {how}");
                let offer = scene.offers.of_server(subject.flow).next();
                let offered = offer.map_or_else(String::new, |standing| {
                    let frame = scene.frame(standing.sight);
                    let offer = &standing.offer;
                    format!("{frame}: {} offers {}", offer.by, offer.endpoint)
                });
                (how, vec![offered, seen])
            }
            Self::Inside => {
                let seen = syns(subject, "without answer");
                (
                    " is blocked between internal servers".to_owned(),
                    vec![seen],
                )
            }
        };
        draft.message = format!("{what} {path}{how}");
        let because = subject.evidence(&[]);
        draft.see(seen.into_iter().chain(because.into_iter().take(2)));
    }
}

/// The drafts of a flow that fails, not in words yet.
fn drafts<'a>(
    scene: &Scene<'_>,
    subject: Subject<'a>,
    state: State,
) -> SmallVec<[(Draft, Failure<'a>); 2]> {
    let flow = subject.flow;
    let mut drafts = SmallVec::new();
    // UDP without an answer is telling only where the protocol asks questions.
    let asked = flow.key.transport == Transport::UDP
        && state == State::OneWay
        && flow.tracker.packets[flow.client] > 0
        && ["dns", "kerberos", "cldap"]
            .iter()
            .any(|protocol| flow.proves(protocol));
    let fails =
        matches!(state, State::Attempted | State::Refused) || asked || !flow.errors.is_empty();
    if !fails || is_group(flow.server().address) {
        return drafts;
    }
    let is_documented = !subject.attribution.rows.is_empty();
    // What the mapper names is expected there, whether a row knows the interface or not.
    let offered = is_offered(scene, subject);
    if !is_documented && !offered {
        return drafts;
    }
    let worst = flow
        .errors
        .iter()
        .find(|(error, _)| !is_harmless(subject, error));
    let harmless = flow.errors.keys().next().filter(|_| worst.is_none());
    let at = match harmless {
        // What breaks nothing is said once for each host that reports it.
        Some(error) => Cause::host(error.reporter).what("harmless"),
        None if subject.client().is_known => {
            Cause::at(subject.server()).of_client(flow.client().address)
        }
        None => Cause::at(subject.server()),
    };
    let mut draft = |failure: Failure<'a>, severity: Severity| {
        let draft = Draft::unsaid(failure.code(), severity, subject).caused_by(at.clone());
        drafts.push((draft, failure));
    };
    if let Some((error, seen)) = worst.or_else(|| flow.errors.iter().next()) {
        let severity = match worst {
            None => Severity::Info,
            Some(_) => severity(subject),
        };
        draft(Failure::Reported(error, *seen), severity);
    } else if state == State::Refused && !offered {
        draft(Failure::Refused, severity(subject));
    } else if !offered {
        // A lone datagram that nobody answers is lost now and then; its sender asks again from another port.
        let is_lone = asked && flow.tracker.packets[flow.client] == 1 && !subject.is_known();
        let severity = match is_lone {
            true => Severity::Info,
            false => severity(subject),
        };
        draft(Failure::Unanswered, severity);
    }
    if offered && matches!(state, State::Attempted | State::Refused) {
        draft(Failure::Offered, Severity::Error);
    }
    let is_inside = is_internal(subject.client()) && is_internal(subject.server());
    let is_harmless = !flow.errors.is_empty() && worst.is_none();
    if subject.is_known() && is_inside && state != State::Refused && !is_harmless {
        draft(Failure::Inside, Severity::Error);
    }
    drafts
}

/// Whether an endpoint mapper or a resolver of DCOM offered the flow's server.
fn is_offered(scene: &Scene<'_>, subject: Subject<'_>) -> bool {
    let flow = subject.flow;
    flow.key.transport == Transport::TCP && scene.offers.of_server(flow).next().is_some()
}

/// Names of the interfaces that an endpoint mapper or a resolver of DCOM offered at the flow's server.
fn offered_interfaces(scene: &Scene<'_>, subject: Subject<'_>) -> String {
    let names: BTreeSet<String> = scene
        .offers
        .of_server(subject.flow)
        .filter_map(|standing| match &standing.offer.offered {
            Offered::Rpc {
                uuid, major, minor, ..
            } => {
                let known = scene.signatures.interfaces.find(*uuid, *major, *minor);
                Some(known.map_or_else(|| uuid.to_string(), |known| known.name.to_string()))
            }
            Offered::Dcom { .. } => Some("DCOM object exporter".to_owned()),
            Offered::Media(_)
            | Offered::Candidate { .. }
            | Offered::Relay
            | Offered::Host { .. }
            | Offered::Protocol { .. }
            | Offered::Data { .. } => None,
        })
        .collect();
    let shown: Vec<String> = names.into_iter().take(MAX_PORTS).collect();
    shown.join(", ")
}

/// Errors of paths that work: the search for the largest packet, a client that was gone before the last answer came, and the
/// end of a call.
fn is_harmless(subject: Subject<'_>, error: &IcmpError) -> bool {
    let flow = subject.flow;
    let is_port = matches!(
        (error.version, error.kind, error.code),
        (4, 3, 3) | (6, 1, 4)
    );
    let is_late = error.reporter == flow.client().address
        && error.reporter != flow.server().address
        && flow.tracker.packets[flow.client.other()] > 0;
    // Whoever hangs up first closes the ports of the call while the other's last packets are on their way.
    let spoken = &subject.attribution.spoken;
    let is_media = spoken.iter().any(|name| matches!(*name, "rtp" | "rtcp"));
    let is_hung_up = is_media && flow.tracker.is_two_way();
    is_too_big(error) || (is_port && (is_late || is_hung_up))
}

fn syns(subject: Subject<'_>, how: &str) -> String {
    let tracker = &subject.flow.tracker;
    let client = subject.flow.client;
    let (count, what) = match &tracker.tcp {
        Some(tcp) => (u64::from(tcp.syns[client]), "SYN"),
        None if tracker.packets[client] == 1 => (1, "datagram"),
        None => (tracker.packets[client], "datagrams"),
    };
    format!("frame {}: {count} {what} {how}", tracker.first_number)
}
