//! Names that a DNS server does not give, where nobody gives them later.

use std::collections::{BTreeMap, BTreeSet};

use crate::audit::Severity;
use crate::audit::check::{Check, Code, Watch};
use crate::audit::gather::{Cause, Draft, Findings, Named};
use crate::audit::scene::{Scene, Subject};
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

#[derive(Default)]
struct Names {
    failures: Vec<(Named, Draft, Box<str>)>,
    /// First labels of names that something was answered for.
    given: BTreeSet<Box<str>>,
}

impl Watch for Names {
    fn observe(&mut self, scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
        for name in ["srv", "mx"] {
            let texts = subject.flow.texts("dns", name);
            self.given
                .extend(texts.map(|text| first_label(text).into()));
        }
        for (text, sentence) in subject.texts(scene, "dns", "rcode") {
            let (rcode, name) = text.split_once(' ').unwrap_or((text, ""));
            let is_missing = rcode.eq_ignore_ascii_case("NXDOMAIN");
            // What servers look for themselves: controllers, services, clients' settings.
            let is_looked_for = name.starts_with('_') || name.starts_with("autodiscover.");
            let is_server_fault = matches!(rcode, "SERVFAIL" | "REFUSED");
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
            if self.failures.len() < MAX_FAILURES {
                self.failures.push((subject.into(), draft, name.into()));
            } else {
                findings.find(subject, draft);
            }
        }
    }

    fn finish(mut self: Box<Self>, scene: &Scene<'_>, findings: &mut Findings<'_>) {
        for standing in scene.offers.iter() {
            if let Offered::Host { name } = &standing.offer.offered {
                self.given.insert(first_label(name).into());
            }
        }
        // One failing server is one finding; the names are its evidence.
        let mut names: BTreeMap<Cause, BTreeSet<Box<str>>> = BTreeMap::new();
        for (flow, draft, name) in self.failures {
            // A search list asks for one name below several domains until one of them has it.
            if self.given.contains(first_label(&name)) {
                continue;
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
