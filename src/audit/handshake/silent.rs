//! A hello without an answer, and handshakes that break off without a word.

use super::severity;
use crate::attribution::State;
use crate::audit::Severity;
use crate::audit::check::{Check, Code, Told};
use crate::audit::gather::{Cause, Draft, Findings};
use crate::audit::scene::{Scene, Subject};
use crate::flow::Facts;

const NO_HELLO: &Code = &Code {
    code: "EXW508",
    name: "tls-unanswered",
    meaning: "A client began TLS, and the server ended the connection or kept silent instead of answering.",
    advice: "Windows resets without an alert where no certificate with a private key is bound to the port, or no version or cipher is in common: check the binding, then SCHANNEL. A device in between that wants no TLS looks the same.",
};
const BROKEN_OFF: &Code = &Code {
    code: "EXW509",
    name: "handshake-broken-off",
    meaning: "Both ends said hello, and the connection ended before the handshake did, without a readable alert.",
    advice: "The end that closes refuses: of a client often the certificate (name, issuer, date), of a server a missing client certificate.",
};

pub(in crate::audit) const SILENT: Check = Check {
    codes: &[NO_HELLO, BROKEN_OFF],
    start: || Box::new(Told::by(&["tls"], check)),
};

/// A handshake takes a second at most; nobody waits longer for the answer than this, in nanoseconds.
const SILENCE_NS: i64 = 10_000_000_000;
/// Bytes of the longest handshake with its certificates: with more, something else was said that the capture does not show.
const MAX_HANDSHAKE_BYTES: u64 = 64 * 1024;

fn check(scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    let flow = subject.flow;
    let Some(tcp) = &flow.tracker.tcp else { return };
    let (client, server) = (flow.client, flow.client.other());
    let opened = tcp.facts[client].has(Facts::SYN) && tcp.facts[server].has(Facts::SYN_ACK);
    let has = |name: &'static str| flow.facts_of("tls", name).next().is_some();
    let hello = flow
        .facts_of("tls", "client_version")
        .find(|(fact, _)| fact.side == client);
    let Some((_, sight)) = hello else { return };
    let is_told = flow
        .texts("tls", "alert")
        .any(|alert| alert.starts_with("fatal"));
    if !opened || is_told || has("pseudo") || has("established") {
        return;
    }
    let state = flow.state();
    let has_ended = matches!(state, State::Reset | State::Closed);
    let lasted = flow.tracker.last_seen.since(sight.seen.time);
    let version = match flow.texts("tls", "client_version").next() {
        Some("ssl2") => "SSL 2.0".to_owned(),
        Some("ssl3") => "SSL 3.0".to_owned(),
        Some(version) => format!("TLS {version}"),
        None => return,
    };
    let offer = match flow.texts("tls", "server_name").next() {
        Some(name) => format!("up to {version} for `{name}`"),
        None => format!("up to {version}"),
    };
    let seen = format!("{}: the client offers {offer}", scene.frame(sight));
    let by = if tcp.resets[server] > 0 {
        "the server resets"
    } else if tcp.resets[client] > 0 {
        "the client resets"
    } else if has_ended {
        "the connection is closed"
    } else {
        "nothing comes"
    };
    // The answer may be in clear, or be cut out of the capture: bytes that were sent are no silence.
    let is_silent =
        !has("server_version") && (flow.tracker.payload_bytes[server] == 0 || flow.proves("smtp"));
    let cause = Cause::at(subject.server()).what(by);
    if is_silent && (has_ended || lasted >= SILENCE_NS) {
        // A client that resets has not waited.
        let severity = match by {
            "the client resets" => Severity::Info,
            _ => severity(subject),
        };
        let message = format!(
            "TLS {} is not answered: {by} after the hello",
            subject.path()
        );
        let draft = Draft::of(NO_HELLO, severity, subject, message);
        findings.find(subject, draft.caused_by(cause).seen([seen]));
        return;
    }
    let bytes = flow.tracker.payload_bytes;
    let is_short = bytes.a.saturating_add(bytes.b) <= MAX_HANDSHAKE_BYTES;
    if has("server_version") && !has("application_data") && has_ended && is_short {
        let message = format!("TLS {}: {by} before the handshake is done", subject.path());
        let severity = severity(subject).min(Severity::Warning);
        let draft = Draft::of(BROKEN_OFF, severity, subject, message);
        findings.find(subject, draft.caused_by(cause).seen([seen]));
    }
}
