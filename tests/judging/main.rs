//! Attributions and findings on flows made for them: each code where it must be raised, and beside it where it must not.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod findings;
mod protocols;
mod services;

#[path = "../signature_support/mod.rs"]
mod signature_support;

use std::collections::BTreeMap;
use std::sync::Arc;

use exwire::attribution::{Encrypted, Judged, JudgedFlow, UNTOLD};
use exwire::audit::{CODES, Finding, Severity, audit};
use exwire::evidence::{
    Attribute, CaptureRecord, Episode, Fact, Layer, Ledger, Offer, Offered, Recorder, Seen,
    Strength, Value,
};
use exwire::flow::{Observation, TcpObservation, Tracker};
use exwire::net::{Endpoint, FlowKey, Side, TcpFlags, Timestamp, Transport};
use exwire::protocol::PROTOCOLS;
use exwire::signature::CHECKS;
use exwire::topology::Topology;
use signature_support::signatures;

const TOPOLOGY: &str = r#"
edge_subscribed = true
[zones]
internal = ["10.0.0.0/8"]
perimeter = ["192.0.2.0/24"]
[[host]]
addresses = ["10.0.0.20"]
roles = ["hub_transport"]
product = "exchange2010"
[[host]]
addresses = ["10.0.0.30"]
roles = ["mailbox"]
product = "exchange2010"
[[host]]
addresses = ["10.0.0.40", "10.0.0.41"]
roles = ["client_access"]
product = "exchange2010"
[[host]]
addresses = ["192.0.2.25"]
roles = ["edge_transport"]
product = "exchange2010"
[[host]]
name = "director"
addresses = ["192.0.2.60"]
roles = ["lync_director"]
[[network]]
network = "10.0.1.0/24"
roles = ["client"]
"#;

/// A TCP connection with payload both ways.
struct Connection(Episode);

impl Connection {
    fn new(client: &str, server: &str) -> Self {
        Self::with(client, server, true)
    }

    /// Only a SYN, sent again after a second.
    fn unanswered(client: &str, server: &str) -> Self {
        Self::with(client, server, false)
    }

    fn with(client: &str, server: &str, answered: bool) -> Self {
        let end = |text: &str| {
            let (address, port) = text.rsplit_once(':').unwrap();
            Endpoint::new(address.parse().unwrap(), port.parse().unwrap())
        };
        let (client, server) = (end(client), end(server));
        let (key, asking) = FlowKey::of(Transport::TCP, client, server);
        let packet = |number: u64, side: Side, flags: u8, payload_len: u32| Observation {
            time: Timestamp::from_nanos(number as i64),
            key,
            side,
            ip_bytes: 40 + payload_len,
            payload_len,
            tcp: Some(TcpObservation {
                sequence: 1,
                acknowledgment: 1,
                flags: TcpFlags(u16::from(flags)),
                window: 1000,
            }),
            number,
        };
        let mut tracker = Tracker::new(&packet(1, asking, 0x02, 0));
        if !answered {
            let mut again = packet(2, asking, 0x02, 0);
            again.time = Timestamp::from_nanos(1_000_000_000);
            tracker.record(&again);
        }
        if answered {
            tracker.record(&packet(2, asking.other(), 0x12, 0));
            tracker.record(&packet(3, asking, 0x18, 100));
            tracker.record(&packet(4, asking.other(), 0x18, 100));
        }
        let Recorder {
            protocols,
            facts,
            offers,
            streams,
            reports,
            client,
            left_out,
            ..
        } = Recorder::default();
        Self(Episode {
            key,
            tap: "test".into(),
            tracker,
            last_frame: 4,
            captures: Vec::new(),
            tunnel: Vec::new(),
            protocols: protocols.into_sorted(),
            facts: facts.into_sorted(),
            offers: offers.into_sorted(),
            streams,
            payload: Vec::new(),
            reports,
            client,
            gap_bytes: 0,
            disagreements: 0,
            left_out,
        })
    }

    fn proves(mut self, protocol: &'static str) -> Self {
        let depth = u8::try_from(self.0.protocols.len()).unwrap();
        let seen = Seen {
            frame: 3,
            time: Timestamp::from_nanos(3),
        };
        self.0
            .protocols
            .insert_least(protocol, Layer { depth, seen });
        self
    }

    fn says(mut self, protocol: &'static str, name: &'static str, value: Value) -> Self {
        let seen = Seen {
            frame: 4,
            time: Timestamp::from_nanos(4),
        };
        let fact = Fact {
            attribute: Attribute { protocol, name },
            subject: 0,
            value,
            side: Side::A,
        };
        self.0.facts.insert_least(fact, seen);
        self
    }

    /// The server of another connection answers a DCOM resolution with this endpoint.
    fn resolves(mut self, to: &str) -> Self {
        let (address, port) = to.rsplit_once(':').unwrap();
        let endpoint = Endpoint::new(address.parse().unwrap(), port.parse().unwrap());
        let offer = Offer {
            transport: Transport::TCP,
            endpoint,
            by: endpoint.address,
            to: self.0.key.a.address,
            offered: Offered::Dcom {
                protocol_sequence: "ncacn_ip_tcp",
                host: "server".into(),
                operation: "ResolveOxid2",
            },
        };
        let seen = Seen {
            frame: 4,
            time: Timestamp::from_nanos(4),
        };
        self.0.offers.insert_least(offer, seen);
        self
    }

    fn text(self, protocol: &'static str, name: &'static str, text: &str) -> Self {
        self.says(protocol, name, Value::text(text))
    }

    fn bound(self, uuid: &str, level: &str) -> Self {
        let value = Value::Interface {
            uuid: uuid.parse().unwrap(),
            major: 0,
            minor: 81,
        };
        self.proves("dcerpc")
            .says("dcerpc", "bound", value)
            .text("dcerpc", "auth_level", level)
            .text("dcerpc", "auth_type", "ntlm")
    }
}

fn ledger(flows: Vec<Connection>) -> Ledger {
    let episodes = flows.into_iter().map(|flow| flow.0).collect();
    Ledger::new(
        "test".into(),
        CaptureRecord::default(),
        episodes,
        BTreeMap::new(),
    )
}

fn judged(topology: &Topology, flows: Vec<Connection>) -> Vec<JudgedFlow> {
    Judged::of(ledger(flows), &signatures(), topology).all()
}

fn topology(text: &str) -> Topology {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    Topology::read(file.path()).unwrap()
}

fn findings_with(text: &str, flows: Vec<Connection>) -> Vec<Finding> {
    let topology = topology(text);
    let signatures = signatures();
    let judged = Judged::of(ledger(flows), &signatures, &topology);
    let mut found = audit(&judged, &signatures, &topology);
    // What could not be judged is said in every run; its own test looks for it.
    found.retain(|finding| finding.code != "EXW990");
    found
}

fn findings(flows: Vec<Connection>) -> Vec<Finding> {
    let mut found = findings_with(TOPOLOGY, flows);
    // The misplaced Director of the topology is in every run; its own test looks for it.
    found.retain(|finding| finding.code != "EXW109");
    found
}

fn codes(flows: Vec<Connection>) -> Vec<(&'static str, Severity)> {
    findings(flows)
        .iter()
        .map(|finding| (finding.code, finding.severity))
        .collect()
}

/// The flow's datagrams, where the protocol is not spoken over TCP.
fn over(transport: Transport, mut flow: Connection) -> Connection {
    if transport == Transport::UDP {
        flow.0.key.transport = Transport::UDP;
        flow.0.tracker.tcp = None;
    }
    flow
}
