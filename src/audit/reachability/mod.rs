//! EXW40x: documented paths that cannot be reached, and services that are reached and do not answer.

mod icmp;
mod path;
mod reset;
mod scan;

pub(super) use icmp::{is_too_big, sentence as icmp};
pub(super) use path::PATH;
pub(super) use reset::RESET;
pub(super) use scan::SCAN;

use std::net::IpAddr;

use super::Severity;
use super::scene::Subject;
use crate::attribution::Party;
use crate::signature::{Role, ServiceId};
use crate::topology::Zone;

/// Codes of single paths that cannot be reached; a scan is said once instead.
const UNREACHED: &[&str] = &["EXW102", "EXW401", "EXW402", "EXW403", "EXW405"];

/// Of known hosts it is an error. Where the port alone speaks, for a service that anybody uses, between hosts that the matrix
/// has no place for, it is a browser at most.
fn severity(subject: Subject<'_>) -> Severity {
    let has_role = !subject.client().roles.is_empty() || !subject.server().roles.is_empty();
    let service = subject.attribution.service.as_ref().map(ServiceId::as_str);
    let is_everyday = matches!(service, Some("web" | "dns"));
    if subject.is_known() {
        Severity::Error
    } else if is_everyday && !has_role {
        Severity::Info
    } else {
        Severity::Warning
    }
}

/// A group of hosts, of which none has to answer.
fn is_group(address: IpAddr) -> bool {
    address.is_multicast() || matches!(address, IpAddr::V4(address) if address.is_broadcast())
}

/// Exchange servers other than Edge, Lync servers, and domain controllers, where nothing may be restricted (contradictions C06, C44).
pub(super) fn is_internal(party: &Party) -> bool {
    let is_server = |role: &Role| {
        (role.is_exchange() && *role != Role::EdgeTransport)
            || role.is_lync()
            || *role == Role::DomainController
    };
    party.roles.iter().any(is_server)
        && !matches!(party.zone, Some(Zone::Perimeter | Zone::Internet))
}
