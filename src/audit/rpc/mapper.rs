//! An endpoint mapper that has no tower for what is asked.

use crate::audit::Severity;
use crate::audit::check::{Check, Code, Told};
use crate::audit::gather::{Cause, Draft, Findings};
use crate::audit::scene::{Scene, Subject};
use crate::evidence::{Offered, Value};

const NOT_REGISTERED: &Code = &Code {
    code: "EXW803",
    name: "endpoint-not-registered",
    meaning: "An endpoint mapper was asked for an interface and named no endpoint for it: the service is not running there.",
    advice: "Start the service on that server (information store, RPC Client Access, Active Directory), or find out why the client asks this server.",
};

pub(in crate::audit) const MAPPER: Check = Check {
    codes: &[NOT_REGISTERED],
    start: || Box::new(Told::by(&["dcerpc"], check)),
};

fn check(scene: &Scene<'_>, subject: Subject<'_>, findings: &mut Findings<'_>) {
    let statuses = subject.texts(scene, "dcerpc", "ept_status");
    let refused = statuses
        .iter()
        .find(|(text, _)| text.contains("not_registered") || text.contains("cant_perform"));
    let Some((text, sentence)) = refused else {
        return;
    };
    for (fact, sight) in subject.flow.facts_of("dcerpc", "ept_wanted") {
        let Value::Interface { uuid, major, minor } = fact.value else {
            continue;
        };
        let is_offered = subject.flow.offers.keys().any(
            |offer| matches!(offer.offered, Offered::Rpc { uuid: offered, .. } if offered == uuid),
        );
        if is_offered {
            continue;
        }
        let known = scene.signatures.interfaces.find(uuid, major, minor);
        let name = known.map_or_else(|| fact.value.to_string(), |known| known.name.to_string());
        let message = format!(
            "the endpoint mapper has no endpoint for {name} ({}): {text}",
            subject.path()
        );
        let severity = match known {
            Some(_) => subject.weight().max(Severity::Warning),
            None => subject.weight().min(Severity::Warning),
        };
        let asked = format!("{}: ept_map asks for {name}", scene.frame(sight));
        let cause = Cause::at(subject.server()).what(name);
        let draft = Draft::of(NOT_REGISTERED, severity, subject, message);
        let seen = [asked, sentence.clone()];
        findings.find(subject, draft.caused_by(cause).seen(seen));
    }
}
