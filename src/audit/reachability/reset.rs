//! Reached, and not served: a service that accepts and then resets, closes or keeps silent.

use super::{is_group, severity};
use crate::attribution::State;
use crate::audit::Severity;
use crate::audit::check::{Check, Code, Each};
use crate::audit::gather::{Cause, Draft, Findings};
use crate::audit::scene::{Scene, Subject};
use crate::flow::Facts;
use crate::net::Transport;

const CUT_OFF: &Code = &Code {
    code: "EXW407",
    name: "cut-off",
    meaning: "A connection was accepted, asked, and ended by the server's end without a byte of an answer.",
    advice: "Compare the time to live of the RST with that of the SYN: another value is a device in between (firewall, load balancer without a living server). Else read the server's event log at that second.",
};
const SILENT: &Code = &Code {
    code: "EXW408",
    name: "silent-service",
    meaning: "A connection was accepted and then nothing was answered for ten seconds or more: the port is open, the service hangs.",
    advice: "Restart or debug the service at the server; a load balancer or a proxy accepts connections for dead servers too. Back pressure of Exchange transport does this on 25.",
};

pub(in crate::audit) const RESET: Check = Check {
    codes: &[CUT_OFF, SILENT],
    start: || Box::new(Each(check)),
};

/// Clients give up after some ten seconds, and persons before, in nanoseconds.
const SILENCE_NS: i64 = 10_000_000_000;
/// Services of which nobody has published whether the receiver answers at all.
const ONE_WAY: &[&str] = &["log_shipping"];
/// Services whose server speaks first.
const GREETING: &[&str] = &["smtp", "smtp_submission", "pop3", "imap"];

fn check(scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    let flow = subject.flow;
    let (client, server) = (flow.client, flow.client.other());
    let Some(tcp) = &flow.tracker.tcp else { return };
    let opened = tcp.facts[client].has(Facts::SYN) && tcp.facts[server].has(Facts::SYN_ACK);
    let is_documented = !subject.attribution.rows.is_empty();
    if flow.key.transport != Transport::TCP
        || !opened
        || !is_documented
        || is_group(flow.server().address)
        || flow.tracker.payload_bytes[server] > 0
    {
        return;
    }
    let asked = flow.tracker.payload_bytes[client] > 0;
    let service = subject.attribution.service.as_ref().map(|id| id.as_str());
    let greets = service.is_some_and(|service| GREETING.contains(&service));
    let lasted = flow.tracker.last_seen.since(flow.tracker.first_seen);
    let what = subject.what(scene.signatures);
    let path = subject.path();
    // Where the port alone speaks of everyday services between strangers, this is how browsers leave.
    let weight = severity(subject).min(Severity::Warning);
    // Where the client is done first, the server's end only agrees.
    let closed = tcp.closed_first();
    // A device that answers SYN for a dead server resets at once.
    let is_reset = tcp.resets[server] > 0
        && tcp.resets[client] == 0
        && closed != Some(client)
        && flow.state() == State::Reset;
    let is_closed = asked && closed == Some(server) && flow.state() == State::Closed;
    let is_one_way = service.is_some_and(|service| ONE_WAY.contains(&service));
    // A hello without an answer is told as such.
    let is_hello = flow.facts_of("tls", "client_version").next().is_some();
    if is_one_way || is_hello {
        return;
    }
    if (asked || greets) && (is_reset || is_closed) {
        let how = if is_reset { "reset" } else { "closed" };
        let after = if asked {
            "after the first request"
        } else {
            "without a greeting"
        };
        let message = format!("{what} {path}: the connection is accepted and {how} {after}");
        let bytes = flow.tracker.payload_bytes[client];
        let sentence = format!(
            "frame {}: {bytes} bytes of the client, none of the server",
            flow.tracker.first_number
        );
        let cause = Cause::at(subject.server()).what(how);
        let draft = Draft::of(CUT_OFF, weight, subject, message).caused_by(cause);
        findings.find(subject, draft.seen([sentence]));
    } else if (asked || greets) && lasted >= SILENCE_NS {
        let message = format!("{what} {path}: the connection is accepted and never answered");
        let sentence = format!(
            "frame {}: open for {} s without a byte of the server",
            flow.tracker.first_number,
            lasted / 1_000_000_000
        );
        let draft = Draft::of(SILENT, weight, subject, message);
        findings.find(subject, draft.seen([sentence]));
    }
}
