//! What the user allowed, and how a finding is known again.

use ring::digest;

use super::{Audit, CODES, Draft, Subject, host, listener};
use crate::signature::{ServiceId, Signatures, UnknownWord};
use crate::topology::{About, Topology, TopologyError};

/// Bytes of a digest that make a fingerprint: 128 bits, so that no two of any collection of findings meet.
const FINGERPRINT_BYTES: usize = 16;

/// Checks the words of a topology file that only codes, services and rows can answer for.
///
/// # Errors
/// The first unknown word, with its file and line.
pub fn verify(topology: &Topology, signatures: &Signatures) -> Result<(), TopologyError> {
    let services = || signatures.catalog.services().map(|known| known.id.as_str());
    let is_service = |id: &ServiceId| signatures.catalog.service(id).is_some();
    for moved in topology.moved_ports() {
        if !is_service(&moved.service) {
            let unknown = UnknownWord::new("service", moved.service.as_str(), services());
            return Err(topology.wrong(moved.line(), unknown.to_string()));
        }
    }
    let rows = || signatures.matrix.rows().iter().map(|row| &*row.id.0);
    for waiver in topology.waivers() {
        let codes = || CODES.iter().map(|code| code.code);
        let unknown = |what, word: &str| match what {
            "code" => UnknownWord::new(what, word, codes()),
            "service" => UnknownWord::new(what, word, services()),
            _ => UnknownWord::new(what, word, rows()),
        };
        let code = waiver
            .codes
            .iter()
            .find(|code| !codes().any(|known| known == &***code));
        let service = waiver.services.iter();
        let service = service
            .map(|id| ServiceId(id.clone()))
            .find(|id| !is_service(id));
        let row = waiver
            .rows
            .iter()
            .find(|row| !rows().any(|known| known == &***row));
        let wrong = code
            .map(|code| unknown("code", code))
            .or_else(|| service.map(|id| unknown("service", id.as_str())))
            .or_else(|| row.map(|row| unknown("row", row)));
        if let Some(wrong) = wrong {
            return Err(TopologyError::Wrong {
                path: waiver.path.to_path_buf(),
                line: waiver.line,
                message: wrong.to_string(),
            });
        }
    }
    Ok(())
}

impl Audit<'_> {
    /// The first waiver that silences a draft; one that is expired is noted instead.
    pub(super) fn waiver(
        &mut self,
        draft: &Draft,
        subject: Option<Subject<'_>>,
        fingerprint: &str,
    ) -> Option<usize> {
        let flow = subject.map(|subject| subject.flow);
        let service = subject.and_then(|subject| subject.attribution.service.as_ref());
        let about = About {
            code: draft.code.code,
            fingerprint,
            row: draft.row.as_ref().map(|row| &*row.0),
            service: service.map(ServiceId::as_str),
            transport: flow.map(|flow| flow.key.transport),
            client: flow.map(|flow| flow.client().address),
            server: flow.map(|flow| flow.server()),
        };
        let now = self.judged.last_seen.unwrap_or_default();
        for (index, waiver) in self.topology.waivers().iter().enumerate() {
            if !waiver.speaks_of(&about, self.topology) {
                continue;
            }
            if !waiver.is_expired(now) {
                return Some(index);
            }
            self.drafts.expired.insert(index);
        }
        None
    }
}

/// A digest of code, row and cause. Names in the cause give way to addresses: another capture may not show them.
pub(super) fn fingerprint(draft: &Draft, subject: Option<Subject<'_>>, cause: &str) -> String {
    let mut cause = cause.to_owned();
    for party in subject
        .iter()
        .flat_map(|subject| [subject.server(), subject.client()])
    {
        cause = cause.replace(&listener(party), &party.endpoint.to_string());
        cause = cause.replace(&host(party), &party.endpoint.address.to_string());
    }
    let row = draft.row.as_ref().map_or("", |row| &*row.0);
    let transport = subject.map(|subject| subject.flow.key.transport.to_string());
    let whole = [
        draft.code.code,
        row,
        transport.as_deref().unwrap_or(""),
        &cause,
    ]
    .join("\n");
    let digest = digest::digest(&digest::SHA256, whole.as_bytes());
    let bytes = digest.as_ref().iter().take(FINGERPRINT_BYTES);
    bytes.map(|byte| format!("{byte:02x}")).collect()
}
