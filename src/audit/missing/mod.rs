//! EXW90x: what the documents let expect and the capture does not show, and what it cannot show.

mod cluster;
mod coverage;
mod paths;

pub(super) use cluster::CLUSTER;
pub(super) use coverage::COVERAGE;
pub(super) use paths::PATHS;

use std::net::IpAddr;

/// Two hosts, in order.
fn pair(one: IpAddr, other: IpAddr) -> (IpAddr, IpAddr) {
    (one.min(other), one.max(other))
}
