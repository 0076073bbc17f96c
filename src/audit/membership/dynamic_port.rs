//! The endpoint mapper before a dynamic port.

use std::net::IpAddr;

use crate::audit::Severity;
use crate::audit::check::{Check, Code, Watch};
use crate::audit::few::Few;
use crate::audit::gather::{Draft, Findings};
use crate::audit::scene::{Scene, Subject};
use crate::evidence::{Offered, Value};
use crate::net::Transport;

const UNOFFERED: &Code = &Code {
    code: "EXW106",
    name: "unoffered-dynamic-port",
    meaning: "An RPC interface was bound on a dynamic port that no endpoint mapper answer in the capture names.",
    advice: "A client may know the port from before the capture; otherwise ask the endpoint mapper what it registers.",
};

pub(in crate::audit) const DYNAMIC_PORT: Check = Check {
    codes: &[UNOFFERED],
    start: || Box::new(Ports::default()),
};

/// Servers that are remembered; of others the absence says less.
const MAX_SERVERS: usize = 65_536;

#[derive(Default)]
struct Ports {
    /// Servers whose mapper answered somebody.
    mapped: Option<Few<IpAddr>>,
}

impl Watch for Ports {
    fn observe(&mut self, scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
        let flow = subject.flow;
        let server = flow.server();
        // Calls in pipes of SMB go where the files are: no mapper names that port.
        let is_rpc = subject.attribution.spoken.contains(&"dcerpc");
        if subject.attribution.offered || !is_rpc || flow.key.transport != Transport::TCP {
            return;
        }
        let matrix = &scene.signatures.matrix;
        let is_fixed = matrix.by_port(Transport::TCP, server.port).next().is_some();
        let Some((fact, sight)) = flow.facts_of("dcerpc", "bound").next() else {
            return;
        };
        let Value::Interface { uuid, major, minor } = &fact.value else {
            return;
        };
        if is_fixed {
            return;
        }
        let known = scene.signatures.interfaces.find(*uuid, *major, *minor);
        let name = known.map_or_else(
            || fact.value.to_string(),
            |interface| interface.name.to_string(),
        );
        // The mapper of this server answered somebody, and named other ports: then the absence says more.
        let mapped = self.mapped.get_or_insert_with(|| {
            let is_rpc = |offered: &Offered| matches!(offered, Offered::Rpc { .. });
            let standing = scene.offers.iter();
            let mut mapped = Few::default();
            for offer in standing.filter(|standing| is_rpc(&standing.offer.offered)) {
                mapped.insert(offer.offer.by, MAX_SERVERS);
            }
            mapped
        });
        let severity = if mapped.known().contains(&server.address) && subject.server().is_known {
            Severity::Warning
        } else {
            Severity::Info
        };
        let message = format!(
            "{name} bound {}: no endpoint mapper answer in the capture names that port",
            subject.path()
        );
        let mut draft = Draft::of(UNOFFERED, severity, subject, message).by_row(None);
        draft.evidence = vec![format!("{}: dcerpc bound {name}", scene.frame(sight))];
        findings.find(subject, draft);
    }

    fn finish(self: Box<Self>, _: &Scene<'_>, findings: &mut Findings<'_>) {
        if let Some(mapped) = &self.mapped {
            findings.pass_over("servers whose mapper answered", mapped.beyond());
        }
    }
}
