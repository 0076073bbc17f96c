//! SDP before media: a stream belongs to a call that announced it.

use std::net::IpAddr;

use crate::audit::Severity;
use crate::audit::check::{Check, Code, Watch};
use crate::audit::few::Few;
use crate::audit::gather::{Cause, Draft, Findings};
use crate::audit::scene::{Scene, Subject};
use crate::evidence::Offered;

const UNANNOUNCED: &Code = &Code {
    code: "EXW301",
    name: "unannounced-media",
    meaning: "RTP that no signalling in the capture announced.",
    advice: "Signalling may be encrypted or taken elsewhere; otherwise find out who sends it.",
};

pub(in crate::audit) const ANNOUNCED: Check = Check {
    codes: &[UNANNOUNCED],
    start: || Box::new(Announcements::default()),
};

/// Hosts that are remembered, of each kind.
const MAX_HOSTS: usize = 65_536;

#[derive(Default)]
struct Announcements {
    /// Hosts that take part in encrypted signalling: there the announcement is hidden, not missing.
    hidden: Few<IpAddr>,
    /// Hosts that announce media, or are told of them, where it can be read.
    readable: Option<Few<IpAddr>>,
}

impl Watch for Announcements {
    fn observe(&mut self, scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
        let attribution = subject.attribution;
        let ends = [subject.flow.key.a.address, subject.flow.key.b.address];
        let service = attribution.service.as_ref().map(|service| service.as_str());
        let is_signalling = matches!(service, Some("sip" | "um_sip" | "sip_mediation" | "ocs_im"));
        if is_signalling && attribution.encryption.kind.hides() {
            for end in ends {
                self.hidden.insert(end, MAX_HOSTS);
            }
        }
        // What a relay passes on was announced to the relay.
        if !attribution.spoken.contains(&"rtp") || attribution.announced_media {
            return;
        }
        let readable = self.readable.get_or_insert_with(|| {
            let is_media = |offered: &Offered| matches!(offered, Offered::Media(_));
            let standing = scene.offers.iter();
            let mut readable = Few::default();
            for media in standing.filter(|standing| is_media(&standing.offer.offered)) {
                readable.insert(media.offer.by, MAX_HOSTS);
                readable.insert(media.offer.to, MAX_HOSTS);
            }
            readable
        });
        // Readable signalling that speaks of other media makes the silence weigh more.
        let is_readable = ends
            .iter()
            .any(|address| readable.known().contains(address));
        let severity = if is_readable && subject.is_known() {
            Severity::Warning
        } else {
            Severity::Info
        };
        let message = format!(
            "RTP {} that no signalling in the capture announced",
            subject.path()
        );
        let cause =
            Cause::host(subject.flow.server().address).of_client(subject.flow.client().address);
        let draft = Draft::of(UNANNOUNCED, severity, subject, message).caused_by(cause);
        findings.find(subject, draft);
    }

    fn finish(self: Box<Self>, _: &Scene<'_>, findings: &mut Findings<'_>) {
        findings.pass_over("hosts of sealed signalling", self.hidden.beyond());
        if let Some(readable) = &self.readable {
            findings.pass_over("hosts that announce media", readable.beyond());
        }
        let hidden = self.hidden.known();
        let is_hidden =
            |address: Option<IpAddr>| address.is_some_and(|address| hidden.contains(&address));
        // Where not all are known, whose announcement is hidden is not known either.
        let is_whole = self.hidden.is_whole();
        findings.retain(UNANNOUNCED, |cause| {
            is_whole && !(is_hidden(cause.address) && is_hidden(cause.client))
        });
    }
}
