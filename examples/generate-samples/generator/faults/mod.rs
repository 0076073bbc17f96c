//! Small captures, one for each code of a finding, and beside each one that looks alike and must not raise it.
//!
//! They are not stored: the tests of findings build them in memory. Each is a handful of packets between the hosts of
//! [`TOPOLOGY`].

mod calls;
mod mail;
mod media;
mod names;
mod paths;
mod places;
mod protection;
mod rpc;
mod tls;

use std::net::{IpAddr, SocketAddr};

use super::files;
use super::hosts::at;
use super::tcp::Tcp;
use super::trace::{START, Trace};

const SECOND: u64 = 1_000_000;

/// A capture that shows a fault, or only looks like it.
pub(crate) struct Case {
    /// The code.
    pub(crate) code: &'static str,
    /// The code must be raised.
    pub(crate) raises: bool,
    /// What it shows.
    pub(crate) shows: &'static str,
    /// A pcap file.
    pub(crate) capture: Vec<u8>,
    /// Who is who, as a topology file.
    pub(crate) topology: String,
}

/// Who is who where a case does not say otherwise.
const TOPOLOGY: &str = r#"
edge_subscribed = true
[zones]
internal = ["10.0.0.0/8"]
perimeter = ["192.0.2.0/24"]
[[host]]
name = "dc1"
addresses = ["10.0.0.10"]
roles = ["domain_controller", "dns_server"]
[[host]]
name = "hub1"
addresses = ["10.0.0.20"]
roles = ["hub_transport"]
product = "exchange2010"
[[host]]
name = "mbx1"
addresses = ["10.0.0.30"]
roles = ["mailbox", "cluster_node"]
product = "exchange2010"
[[host]]
name = "mbx2"
addresses = ["10.0.0.31"]
roles = ["mailbox", "cluster_node"]
product = "exchange2010"
[[host]]
name = "cas1"
addresses = ["10.0.0.40"]
roles = ["client_access"]
product = "exchange2010"
[[host]]
name = "cas2"
addresses = ["10.0.0.41"]
roles = ["client_access"]
product = "exchange2010"
[[host]]
name = "cas13"
addresses = ["10.0.0.45"]
roles = ["client_access"]
product = "exchange2013"
[[host]]
name = "mbx13"
addresses = ["10.0.0.46"]
roles = ["mailbox"]
product = "exchange2013"
[[host]]
name = "um1"
addresses = ["10.0.0.60"]
roles = ["unified_messaging"]
product = "exchange2010"
[[host]]
name = "admin1"
addresses = ["10.0.0.70"]
roles = ["admin"]
[[host]]
name = "edge1"
addresses = ["192.0.2.25"]
roles = ["edge_transport"]
product = "exchange2010"
[[host]]
name = "gateway1"
addresses = ["10.0.2.5"]
roles = ["ip_gateway"]
[[host]]
name = "mediation1"
addresses = ["10.0.3.20"]
roles = ["lync_mediation"]
product = "lync2010"
[[network]]
name = "office"
network = "10.0.1.0/24"
roles = ["client"]
"#;

/// All cases, by area.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Cases {
        cases: Vec::new(),
        topology: TOPOLOGY.to_owned(),
    };
    places::add(&mut cases);
    protection::add(&mut cases);
    media::add(&mut cases);
    paths::add(&mut cases);
    tls::add(&mut cases);
    mail::add(&mut cases);
    names::add(&mut cases);
    rpc::add(&mut cases);
    calls::add(&mut cases);
    cases.cases
}

/// Cases as they are added.
struct Cases {
    cases: Vec<Case>,
    /// Of the cases that are added next.
    topology: String,
}

impl Cases {
    /// Adds cases with a topology of their own.
    fn among(&mut self, topology: String, add: impl FnOnce(&mut Self)) {
        let before = std::mem::replace(&mut self.topology, topology);
        add(self);
        self.topology = before;
    }

    /// A capture that must raise the code.
    fn raises(&mut self, code: &'static str, shows: &'static str, play: impl FnOnce(&mut Trace)) {
        self.add(code, true, shows, START, play);
    }

    /// One that looks alike and must not.
    fn spares(&mut self, code: &'static str, shows: &'static str, play: impl FnOnce(&mut Trace)) {
        self.add(code, false, shows, START, play);
    }

    fn add(
        &mut self,
        code: &'static str,
        raises: bool,
        shows: &'static str,
        start: u64,
        play: impl FnOnce(&mut Trace),
    ) {
        let mut trace = Trace::new(start, 7001);
        play(&mut trace);
        let capture = files::pcap(&trace.frames());
        self.cases.push(Case {
            code,
            raises,
            shows,
            capture,
            topology: self.topology.clone(),
        });
    }
}

/// Client and server, with their ports.
fn ends(client: IpAddr, server: IpAddr, port: u16) -> (SocketAddr, SocketAddr) {
    (at(client, 50_100), at(server, port))
}

/// A connection in lines: `> ` from the client, `< ` from the server, `~ ` a pause in milliseconds.
fn lines(tcp: &mut Tcp<'_>, lines: &[&str]) {
    for line in lines {
        match line.split_at(2) {
            ("> ", text) => tcp.client(format!("{text}\r\n").as_bytes()),
            ("< ", text) => tcp.server(format!("{text}\r\n").as_bytes()),
            (_, millis) => tcp.pause(millis.parse::<u64>().expect("a number") * 1000),
        }
    }
}
