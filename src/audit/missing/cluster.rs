//! Nodes of one cluster: the heartbeat that stops or is not there, and log shipping that is interrupted.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::pair;
use crate::attribution::State;
use crate::audit::Severity;
use crate::audit::check::{Check, Code, Watch};
use crate::audit::gather::{Cause, Draft, Findings};
use crate::audit::scene::{Scene, Subject, host};
use crate::net::{Timestamp, Transport};
use crate::signature::Role;

const HEARTBEAT_GAP: &Code = &Code {
    code: "EXW901",
    name: "heartbeat-gap",
    meaning: "The heartbeat between two cluster nodes paused for five seconds or more: with its defaults the cluster takes a node of its subnet for dead after five.",
    advice: "Look for what happened at that second: backup, snapshot or migration of a virtual machine, a full line, a network card that saves power. `Get-ClusterLog` names the node that was given up.",
};
const HEARTBEAT_MISSING: &Code = &Code {
    code: "EXW902",
    name: "heartbeat-missing",
    meaning: "Two cluster nodes are seen speaking with each other for a minute or more, and no heartbeat (UDP 3343) is among it.",
    advice: "Check that UDP 3343 passes between the nodes in both directions and that the cluster service runs on both; the heartbeat may have a network of its own that this capture does not show.",
};
const SHIPPING_INTERRUPTED: &Code = &Code {
    code: "EXW903",
    name: "log-shipping-interrupted",
    meaning: "A connection for log shipping was reset.",
    advice: "Look at the copy status of both servers (`Get-MailboxDatabaseCopyStatus`): the queue grows until it is opened again; then for a device in between that ends long connections.",
};

pub(in crate::audit) const CLUSTER: Check = Check {
    codes: &[HEARTBEAT_GAP, HEARTBEAT_MISSING, SHIPPING_INTERRUPTED],
    start: || Box::new(Nodes::default()),
};

/// The port of the heartbeat (ref2010, notes on Mailbox servers).
const HEARTBEAT: u16 = 3343;
/// Five heartbeats of one second, in nanoseconds.
const GAP_NS: i64 = 5_000_000_000;
/// Beats in a row whose absence is a pause: the cluster's own default.
const MISSED: i64 = 5;
/// As long as this a heartbeat cannot be overlooked, in nanoseconds.
const LONG_ENOUGH_NS: i64 = 60_000_000_000;
/// Pairs of nodes that are followed: clusters have sixteen nodes at most.
const MAX_PAIRS: usize = 1024;

#[derive(Default)]
struct Nodes {
    pairs: BTreeMap<(IpAddr, IpAddr), Pair>,
    /// Flows of pairs that are not followed.
    unfollowed: u64,
}

#[derive(Default)]
struct Pair {
    /// When known nodes were seen with each other, first and last.
    spoke: Option<(Timestamp, Timestamp)>,
    /// A heartbeat of known nodes was seen.
    beats: bool,
    /// The last packet of a heartbeat.
    last: Option<Timestamp>,
}

impl Watch for Nodes {
    fn observe(&mut self, scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
        let flow = subject.flow;
        let ends = [subject.client(), subject.server()];
        let between = pair(flow.key.a.address, flow.key.b.address);
        let is_heartbeat = flow.key.transport == Transport::UDP && flow.server().port == HEARTBEAT;
        if is_heartbeat && flow.tracker.is_two_way() {
            heartbeat(subject, self.pair(between), findings);
        }
        let service = subject.attribution.service.as_ref().map(|id| id.as_str());
        if service == Some("log_shipping") && flow.state() == State::Reset {
            let message = format!(
                "{} {} is reset",
                subject.what(scene.signatures),
                subject.path()
            );
            let draft = Draft::of(SHIPPING_INTERRUPTED, Severity::Warning, subject, message);
            findings.find(subject, draft);
        }
        let are_nodes = ends
            .iter()
            .all(|end| end.is_known && end.roles.contains(&Role::ClusterNode));
        if !are_nodes || flow.key.a.address == flow.key.b.address {
            return;
        }
        let Some(pair) = self.pair(between) else {
            return;
        };
        if is_heartbeat {
            pair.beats = true;
        } else if flow.tracker.is_two_way() {
            let (first, last) = (flow.tracker.first_seen, flow.tracker.last_seen);
            let span = pair.spoke.get_or_insert((first, last));
            *span = (span.0.min(first), span.1.max(last));
        }
    }

    fn finish(self: Box<Self>, scene: &Scene<'_>, findings: &mut Findings<'_>) {
        findings.pass_over("flows of further pairs of nodes", self.unfollowed);
        for (between, pair) in self.pairs {
            let Some((first, last)) = pair.spoke else {
                continue;
            };
            let seconds = last.since(first) / 1_000_000_000;
            if last.since(first) < LONG_ENOUGH_NS || pair.beats {
                continue;
            }
            let row = scene.signatures.matrix.rows().iter().find(|row| {
                row.checks
                    .iter()
                    .any(|check| **check == *HEARTBEAT_MISSING.code)
            });
            findings.tell(Draft {
                code: HEARTBEAT_MISSING,
                severity: Severity::Warning,
                row: row.map(|row| row.id.clone()),
                message: format!(
                    "the cluster nodes {} and {} exchange no heartbeat",
                    scene.named(between.0),
                    scene.named(between.1)
                ),
                evidence: vec![format!(
                    "they are seen with each other for {seconds} s, never on UDP {HEARTBEAT}"
                )],
                cause: Cause::host(between.0).of_client(between.1),
            });
        }
    }
}

impl Nodes {
    /// What is known of two hosts, where there is room for them.
    fn pair(&mut self, between: (IpAddr, IpAddr)) -> Option<&mut Pair> {
        if self.pairs.len() >= MAX_PAIRS && !self.pairs.contains_key(&between) {
            self.unfollowed = self.unfollowed.saturating_add(1);
            return None;
        }
        Some(self.pairs.entry(between).or_default())
    }
}

fn heartbeat(subject: Subject<'_>, pair: Option<&mut Pair>, findings: &mut Findings<'_>) {
    let flow = subject.flow;
    let tracker = &flow.tracker;
    // A pause that ends a flow is one between two flows.
    let mut before = None;
    if let Some(pair) = pair {
        before = pair.last.map(|last| tracker.first_seen.since(last));
        pair.last = pair.last.max(Some(tracker.last_seen));
    }
    let silence = before.unwrap_or(0).max(tracker.longest_silence_ns);
    // A cluster may be set to beat more slowly: a pause is one against the usual distance of two beats.
    let lasted = flow.tracker.last_seen.since(flow.tracker.first_seen);
    let packets = flow
        .tracker
        .packets
        .a
        .saturating_add(flow.tracker.packets.b);
    let usual = lasted.saturating_mul(2) / i64::try_from(packets).unwrap_or(i64::MAX).max(1);
    if silence < GAP_NS || silence < usual.saturating_mul(MISSED) {
        return;
    }
    let message = format!(
        "the heartbeat between {} and {} pauses for {} s",
        host(subject.client()),
        host(subject.server()),
        silence / 1_000_000_000
    );
    let severity = if subject.is_known() {
        Severity::Error
    } else {
        Severity::Warning
    };
    let draft = Draft::of(HEARTBEAT_GAP, severity, subject, message);
    findings.find(subject, draft);
}
