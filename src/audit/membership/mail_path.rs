//! With a subscribed Edge, mail never passes a standalone Client Access server (contradictions C49).

use crate::audit::Severity;
use crate::audit::check::{Check, Code, Told};
use crate::audit::gather::{Draft, Findings};
use crate::audit::scene::{Scene, Subject};
use crate::signature::Role;

const AROUND_EDGE: &Code = &Code {
    code: "EXW108",
    name: "mail-path",
    meaning: "Mail passes a Client Access server although an Edge Transport server is subscribed.",
    advice: "Route mail between the Edge and the Mailbox servers of the subscribed site.",
};

pub(in crate::audit) const MAIL_PATH: Check = Check {
    codes: &[AROUND_EDGE],
    start: || Box::new(Told::by(&["smtp"], check)),
};

fn check(scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    let ends = [subject.client(), subject.server()].map(|party| party.endpoint.address);
    if scene.topology.has_edge_at(ends) != Some(true) || !subject.flow.proves("smtp") {
        return;
    }
    let standalone = |roles: &[Role]| {
        roles.contains(&Role::ClientAccess)
            && !roles.contains(&Role::Mailbox)
            && !roles.contains(&Role::HubTransport)
    };
    let outside =
        |roles: &[Role]| roles.contains(&Role::Internet) || roles.contains(&Role::EdgeTransport);
    let (client, server) = (&subject.client().roles, &subject.server().roles);
    let is_mail = subject.server().endpoint.port == 25;
    if !is_mail
        || !((standalone(client) && outside(server)) || (standalone(server) && outside(client)))
    {
        return;
    }
    // Whether the server that the topology lists is subscribed is only assumed.
    let severity = match scene.topology.edge_subscribed_at(ends) {
        None => Severity::Warning,
        Some(_) => Severity::Error,
    };
    let message = format!(
        "mail {} although an Edge Transport server is subscribed",
        subject.path()
    );
    findings.find(subject, Draft::of(AROUND_EDGE, severity, subject, message));
}
