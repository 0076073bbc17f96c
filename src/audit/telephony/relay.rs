//! Clients to which a TURN relay gives no address (RFC 8656, MS-TURN): behind a NAT or a firewall their calls have no media.

use std::collections::BTreeMap;

use crate::audit::Severity;
use crate::audit::check::{Check, Code, Told};
use crate::audit::gather::{Cause, Draft, Findings};
use crate::audit::scene::{Scene, Subject, host, listener};
use crate::evidence::Offered;

const REFUSED: &Code = &Code {
    code: "EXW313",
    name: "relay-refused",
    meaning: "A relay of media refused an allocation although the request was signed, and gave out no address later.",
    advice: "401 and 441: user name or password are wrong, or the credentials that the Front End gave out have expired: compare the clocks. 486 and 508: the relay is full, or the client holds too much of it. Without a relayed address, calls through a NAT or a firewall have no media.",
};

pub(in crate::audit) const RELAY: Check = Check {
    codes: &[REFUSED],
    start: || Box::new(Told::by(&["stun"], check)),
};

/// The request that asks for an address.
const ALLOCATE: &str = "allocate ";

fn check(scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    if !subject.flow.proves("stun") {
        return;
    }
    let is_relay = |offered: &Offered| matches!(offered, Offered::Relay);
    if subject
        .flow
        .offers
        .keys()
        .any(|offer| is_relay(&offer.offered))
    {
        return;
    }
    // One finding a flow: a client that is refused asks again and again.
    let refusals: BTreeMap<&str, String> = subject
        .texts(scene, "stun", "refused")
        .into_iter()
        .filter_map(|(text, sentence)| Some((text.strip_prefix(ALLOCATE)?, sentence)))
        .collect();
    let Some((why, _)) = refusals.first_key_value() else {
        return;
    };
    let message = format!(
        "{} gets no address of the relay {}: it answers {why} to a signed request",
        host(subject.client()),
        listener(subject.server())
    );
    let cause = Cause::at(subject.server()).what((*why).to_owned());
    let severity = subject.weight().min(Severity::Warning);
    let draft = Draft::of(REFUSED, severity, subject, message);
    findings.find(subject, draft.caused_by(cause).seen(refusals.into_values()));
}
