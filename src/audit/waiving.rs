//! What the user allowed, and how a finding is known again.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ring::digest;

use super::CODES;
use super::check::Code;
use super::gather::{Cause, Draft};
use super::group::{Group, Named};
use crate::net::{Endpoint, Timestamp, Transport};
use crate::signature::{RowId, ServiceId, Signatures, UnknownWord};
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

/// Whose flows a draft speaks of, as far as waivers ask: what several flows do not share is left out, so that who allows one
/// end does not allow all.
#[derive(Default)]
pub(super) struct Whose<'a> {
    pub(super) transport: Option<Transport>,
    pub(super) service: Option<&'a ServiceId>,
    client: Option<IpAddr>,
    server: Option<Endpoint>,
}

impl<'a> From<&'a Named> for Whose<'a> {
    fn from(flow: &'a Named) -> Self {
        Self {
            transport: Some(flow.transport),
            service: flow.service.as_ref(),
            client: Some(flow.client.address),
            server: Some(flow.server),
        }
    }
}

impl From<&Group> for Whose<'_> {
    fn from(group: &Group) -> Self {
        Self {
            transport: group.transport(),
            service: None,
            client: group.only_client(),
            server: group.only_listener(),
        }
    }
}

/// The first waiver that silences a draft; those that are expired at `now` are noted instead.
pub(super) fn waiver(
    topology: &Topology,
    now: Timestamp,
    draft: &Draft,
    whose: &Whose<'_>,
    fingerprint: &str,
    expired: &mut BTreeSet<usize>,
) -> Option<usize> {
    let about = About {
        code: draft.code.code,
        fingerprint,
        row: draft.row.as_ref().map(|row| &*row.0),
        service: whose.service.map(ServiceId::as_str),
        transport: whose.transport,
        client: whose.client,
        server: whose.server,
    };
    for (index, waiver) in topology.waivers().iter().enumerate() {
        if !waiver.speaks_of(&about, topology) {
            continue;
        }
        if !waiver.is_expired(now) {
            return Some(index);
        }
        expired.insert(index);
    }
    None
}

/// A digest of code, row and cause, which names hosts by addresses: another capture may not show their names. A finding that
/// stands for many causes has its severity as well.
pub(super) fn fingerprint(
    code: &Code,
    row: Option<&RowId>,
    transport: Option<Transport>,
    cause: &Cause,
    severity: Option<&str>,
) -> String {
    let Cause {
        address,
        port,
        client,
        what,
    } = cause;
    let whole = [
        code.code.to_owned(),
        row.map(ToString::to_string).unwrap_or_default(),
        transport
            .map(|transport| transport.to_string())
            .unwrap_or_default(),
        address
            .map(|address| address.to_string())
            .unwrap_or_default(),
        port.map(|port| port.to_string()).unwrap_or_default(),
        client.map(|client| client.to_string()).unwrap_or_default(),
        what.clone(),
        severity.unwrap_or("").to_owned(),
    ]
    .join("\n");
    let digest = digest::digest(&digest::SHA256, whole.as_bytes());
    let bytes = digest.as_ref().iter().take(FINGERPRINT_BYTES);
    bytes.map(|byte| format!("{byte:02x}")).collect()
}
