//! EXW3xx: whether media is announced, and where the documents put it.

use super::codes::{
    MEDIA_AT_CALL_ROUTER, MEDIA_ON_ODD_PORT, MEDIA_OUT_OF_RANGE, UNANNOUNCED_MEDIA,
};
use super::{Audit, Code, Draft, Severity, Subject, host};
use crate::attribution::Party;
use crate::net::Side;
use crate::signature::{Product, Role};

/// Media ports of Lync (blog): audio and video, and video conferencing (contradictions C05, C24).
const LYNC_MEDIA: std::ops::RangeInclusive<u16> = 50000..=65535;

pub(super) fn check(audit: &mut Audit<'_>, subject: Subject<'_>) {
    // What a relay passes on was announced to the relay.
    if !subject.attribution.spoken.contains(&"rtp") {
        return;
    }
    unannounced(audit, subject);
    odd_port(audit, subject);
    for party in [subject.client(), subject.server()] {
        out_of_range(audit, subject, party);
        call_router(audit, subject, party);
    }
}

fn draft(
    audit: &mut Audit<'_>,
    subject: Subject<'_>,
    code: &'static Code,
    severity: Severity,
    at: &Party,
    text: String,
) {
    let draft = Draft {
        code,
        severity,
        row: subject.best().cloned(),
        message: text,
        flow: Some(subject.flow.number),
        evidence: subject.evidence(&[]),
    };
    audit.find(at.endpoint.address.to_string(), draft);
}

fn unannounced(audit: &mut Audit<'_>, subject: Subject<'_>) {
    // Where signalling is encrypted, the announcement is hidden, not missing.
    let ends = [subject.flow.key.a.address, subject.flow.key.b.address];
    if subject.attribution.announced_media
        || ends
            .iter()
            .all(|address| audit.hidden_signalling().contains(address))
    {
        return;
    }
    // Readable signalling that speaks of other media makes the silence weigh more.
    let readable = audit.judged.offers.iter().any(|standing| {
        matches!(standing.offer.offered, crate::evidence::Offered::Media(_))
            && [subject.flow.key.a.address, subject.flow.key.b.address]
                .iter()
                .any(|address| standing.offer.by == *address || standing.offer.to == *address)
    });
    let severity = if readable && subject.is_known() {
        Severity::Warning
    } else {
        Severity::Info
    };
    let message = format!(
        "RTP {} that no signalling in the capture announced",
        subject.path()
    );
    draft(
        audit,
        subject,
        UNANNOUNCED_MEDIA,
        severity,
        subject.server(),
        message,
    );
}

/// An odd port that receives RTP (contradictions C02). Nothing is said of unknown hosts: a NAT may have moved the port.
fn odd_port(audit: &mut Audit<'_>, subject: Subject<'_>) {
    let receives = |side: Side| {
        subject
            .flow
            .streams
            .keys()
            .any(|stream| stream.side.other() == side)
    };
    for (party, side) in [
        (subject.client(), subject.flow.client),
        (subject.server(), subject.flow.client.other()),
    ] {
        let is_server = party
            .roles
            .iter()
            .any(|role| role.is_exchange() || role.is_lync());
        if party.endpoint.port % 2 == 1 && receives(side) && party.is_known && is_server {
            let message = format!("RTP to {} on odd port {}", host(party), party.endpoint.port);
            draft(
                audit,
                subject,
                MEDIA_ON_ODD_PORT,
                Severity::Warning,
                party,
                message,
            );
        }
    }
}

/// The range belongs to the product of the host that owns the port.
fn out_of_range(audit: &mut Audit<'_>, subject: Subject<'_>, party: &Party) {
    let is_lync = party.roles.iter().any(|role| role.is_lync());
    if !is_lync || !party.is_known || LYNC_MEDIA.contains(&party.endpoint.port) {
        return;
    }
    let message = format!(
        "RTP at {} on port {}, outside {} to {}",
        host(party),
        party.endpoint.port,
        LYNC_MEDIA.start(),
        LYNC_MEDIA.end()
    );
    draft(
        audit,
        subject,
        MEDIA_OUT_OF_RANGE,
        Severity::Warning,
        party,
        message,
    );
}

/// The call router of Exchange 2013 handles no media (um2013).
fn call_router(audit: &mut Audit<'_>, subject: Subject<'_>, party: &Party) {
    let is_router = party.is_known
        && party.roles.contains(&Role::ClientAccess)
        && !party.roles.contains(&Role::Mailbox)
        && party.product == Some(Product::Exchange2013);
    if is_router {
        let message = format!(
            "RTP at {}, a Client Access server, whose call router handles no media",
            host(party)
        );
        draft(
            audit,
            subject,
            MEDIA_AT_CALL_ROUTER,
            Severity::Error,
            party,
            message,
        );
    }
}
