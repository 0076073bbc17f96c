//! Names that a DNS server does not give, where nobody gives them later.

use std::collections::{BTreeMap, BTreeSet};

use crate::audit::Severity;
use crate::audit::check::{Check, Code, Watch};
use crate::audit::few::Few;
use crate::audit::gather::{Cause, Draft, Findings};
use crate::audit::group::Named;
use crate::audit::scene::{Scene, Subject, is_server};
use crate::evidence::Offered;

const NAME_FAILURE: &Code = &Code {
    code: "EXW701",
    name: "name-not-resolved",
    meaning: "A DNS server answered with an error, and no answer in the capture gives the name.",
    advice: "NXDOMAIN: the record is missing, or the client asks the wrong server (an outside one for inside names). SERVFAIL and REFUSED: the server cannot or will not ask further; look at its forwarders and zones.",
};

pub(in crate::audit) const NAMES: Check = Check {
    codes: &[NAME_FAILURE],
    start: || Box::new(Names::default()),
};

/// Failed answers that are remembered until the end, when it is known what was answered after all.
const MAX_FAILURES: usize = 4096;
/// Names of mail servers and services that were given, of some hundred bytes each.
const MAX_GIVEN: usize = 16_384;

#[derive(Default)]
struct Names {
    failures: Vec<(Named, Draft, Box<str>)>,
    /// Failed answers that there was no room for.
    beyond: u64,
    /// First labels of names that a mail server or a service was answered for.
    given: Few<Box<str>>,
}

impl Watch for Names {
    fn observe(&mut self, scene: &Scene<'_>, subject: Subject<'_>, _: &mut Findings<'_>) {
        if subject.is_mute {
            return;
        }
        for name in ["srv", "mx"] {
            for text in subject.flow.texts("dns", name) {
                self.given.insert(first_label(text).into(), MAX_GIVEN);
            }
        }
        for (text, sentence) in subject.texts(scene, "dns", "rcode") {
            if self.failures.len() >= MAX_FAILURES {
                self.beyond = self.beyond.saturating_add(1);
                continue;
            }
            let (rcode, name) = text.split_once(' ').unwrap_or((text, ""));
            // Clients offer a change of a zone without a signature first, and are refused by design.
            if name.starts_with("update ") {
                continue;
            }
            let is_missing = rcode.eq_ignore_ascii_case("NXDOMAIN");
            // What servers look for themselves: controllers, services, clients' settings.
            let client = subject.client();
            let is_looked_for = (client.is_known && is_server(client) && !name.ends_with(".arpa"))
                || name.starts_with('_')
                || name.starts_with("autodiscover.");
            // Who an address belongs to, nobody's service waits for, unless it is one of ours.
            let is_reverse = name.ends_with(".arpa") && !subject.is_ours();
            let is_server_fault = matches!(rcode, "SERVFAIL" | "REFUSED") && !is_reverse;
            let severity = if is_server_fault || (is_missing && is_looked_for && subject.is_ours())
            {
                subject.weight().min(Severity::Warning)
            } else {
                Severity::Info
            };
            let server = subject.server();
            let message = format!("DNS {}: {rcode} for `{name}`", subject.path());
            let cause = Cause::at(server).what(rcode);
            let draft = Draft::of(NAME_FAILURE, severity, subject, message);
            let draft = draft.caused_by(cause).seen([sentence]);
            self.failures.push((subject.into(), draft, name.into()));
        }
    }

    fn finish(self: Box<Self>, scene: &Scene<'_>, findings: &mut Findings<'_>) {
        findings.pass_over("failed answers of DNS", self.beyond);
        findings.pass_over("names that DNS gave", self.given.beyond());
        let labels = self.failures.iter().map(|(.., name)| first_label(name));
        let mut lacking: BTreeSet<Box<str>> = labels.map(Box::from).collect();
        for standing in scene.offers.iter() {
            if let Offered::Host { name } = &standing.offer.offered {
                lacking.remove(first_label(name));
            }
        }
        for given in self.given.known() {
            lacking.remove(given);
        }
        // One failing server is one finding; the names are its evidence.
        let mut names: BTreeMap<Cause, BTreeSet<Box<str>>> = BTreeMap::new();
        for (flow, mut draft, name) in self.failures {
            // A search list asks for one name below several domains until one of them has it.
            if !lacking.contains(first_label(&name)) {
                continue;
            }
            // Among those that were passed over it may be.
            if !self.given.is_whole() {
                draft.severity = Severity::Info;
            }
            names.entry(draft.cause.clone()).or_default().insert(name);
            findings.find(flow, draft);
        }
        findings.remark(NAME_FAILURE, |cause, _| {
            let names = names.get(cause)?;
            (names.len() > 1).then(|| format!("{} names in all", names.len()))
        });
    }
}

/// The part before the first dot, or the whole locator of a service (`_ldap._tcp`).
fn first_label(name: &str) -> &str {
    let name = name.split(' ').next().unwrap_or(name);
    if name.starts_with('_') {
        return name;
    }
    name.split('.').next().unwrap_or(name)
}
