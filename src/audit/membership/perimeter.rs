//! Where hosts stand: the Director belongs into the private network.

use crate::audit::Severity;
use crate::audit::check::{Check, Code, Watch};
use crate::audit::gather::{Cause, Draft, Findings};
use crate::audit::scene::{Scene, Subject};
use crate::signature::Role;
use crate::topology::Zone;

const PLACEMENT: &Code = &Code {
    code: "EXW109",
    name: "perimeter-placement",
    meaning: "A host stands in a zone where the documents forbid its role.",
    advice: "Move the host into the private network.",
};

pub(in crate::audit) const PERIMETER: Check = Check {
    codes: &[PLACEMENT],
    start: || Box::new(Hosts),
};

/// Looks at the topology alone.
struct Hosts;

impl Watch for Hosts {
    fn observe(&mut self, _: &Scene<'_>, _: Subject<'_>, _: &mut Findings<'_>) {}

    fn finish(self: Box<Self>, scene: &Scene<'_>, findings: &mut Findings<'_>) {
        for (address, host) in scene.topology.hosts() {
            let is_misplaced = host.roles.contains(&Role::LyncDirector)
                && scene.topology.zone(address) == Some(Zone::Perimeter);
            if !is_misplaced {
                continue;
            }
            let name = host.name.as_deref().unwrap_or("a Director");
            findings.tell(Draft {
                code: PLACEMENT,
                severity: Severity::Error,
                row: None,
                message: format!("{name} ({address}) is a Director in the perimeter network"),
                evidence: vec!["topology: role lync_director, zone perimeter".to_owned()],
                cause: Cause::host(address),
            });
        }
    }
}
