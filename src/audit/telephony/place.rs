//! Where media run: on even ports, in the range of the product, never at the call router.

use crate::attribution::Party;
use crate::audit::Severity;
use crate::audit::check::{Check, Code, Told};
use crate::audit::gather::{Cause, Draft, Findings};
use crate::audit::scene::{Scene, Subject, host, is_server};
use crate::evidence::Offered;
use crate::net::{Endpoint, Side};
use crate::signature::{Product, Role};

/// Media ports of Lync (blog): audio and video, and video conferencing (contradictions C05, C24).
const LYNC_MEDIA: std::ops::RangeInclusive<u16> = 50000..=65535;

const ODD_PORT: &Code = &Code {
    code: "EXW302",
    name: "media-on-odd-port",
    meaning: "RTP on an odd port; the documents put it on an even one, with its companion on the next.",
    advice: "Check the port range of the device, and whether a NAT moved the port.",
};
const OUT_OF_RANGE: &Code = &Code {
    code: "EXW303",
    name: "media-out-of-range",
    meaning: "Media of a host outside the range that the documents give its product.",
    advice: "Set the media port range of the pool, and the firewall with it.",
};
const AT_CALL_ROUTER: &Code = &Code {
    code: "EXW304",
    name: "media-at-call-router",
    meaning: "Media at a Client Access server, whose call router handles signalling only.",
    advice: "The call router must redirect calls; check that the redirect reaches the Mailbox server.",
};

pub(in crate::audit) const PLACE: Check = Check {
    codes: &[ODD_PORT, OUT_OF_RANGE, AT_CALL_ROUTER],
    start: || Box::new(Told::by_any(check)),
};

fn check(scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    if !subject.attribution.spoken.contains(&"rtp") {
        return;
    }
    let mut find = |code: &'static Code, severity: Severity, at: &Party, message: String| {
        let cause = Cause::host(at.endpoint.address);
        let draft = Draft::of(code, severity, subject, message).caused_by(cause);
        findings.find(subject, draft);
    };
    let receives = |side: Side| {
        let mut streams = subject.flow.streams.keys();
        streams.any(|stream| stream.side.other() == side)
    };
    let client = subject.flow.client;
    for (party, side) in [
        (subject.client(), client),
        (subject.server(), client.other()),
    ] {
        let port = party.endpoint.port;
        // Nothing is said of unknown hosts: a NAT may have moved the port (contradictions C02).
        if !party.is_known {
            continue;
        }
        if port % 2 == 1
            && receives(side)
            && is_server(party)
            && !is_relayed(scene, subject, party.endpoint)
        {
            let message = format!("RTP to {} on odd port {port}", host(party));
            find(ODD_PORT, Severity::Warning, party, message);
        }
        // The range belongs to the product of the host that owns the port.
        if party.roles.iter().any(|role| role.is_lync()) && !LYNC_MEDIA.contains(&port) {
            let message = format!(
                "RTP at {} on port {port}, outside {} to {}",
                host(party),
                LYNC_MEDIA.start(),
                LYNC_MEDIA.end()
            );
            find(OUT_OF_RANGE, Severity::Warning, party, message);
        }
        // The call router of Exchange 2013 handles no media (um2013).
        let is_router = party.roles.contains(&Role::ClientAccess)
            && !party.roles.contains(&Role::Mailbox)
            && party.product == Some(Product::Exchange2013);
        if is_router {
            let message = format!(
                "RTP at {}, a Client Access server, whose call router handles no media",
                host(party)
            );
            find(AT_CALL_ROUTER, Severity::Error, party, message);
        }
    }
}

/// Whether that end is a port of a relay, which gives even and odd ones as they come (RFC 8656 section 7.2).
fn is_relayed(scene: &Scene<'_>, subject: Subject<'_>, end: Endpoint) -> bool {
    let offers = scene.offers.media(subject.flow);
    offers
        .iter()
        .any(|standing| standing.offer.endpoint == end && standing.offer.offered == Offered::Relay)
}
