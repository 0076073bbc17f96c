//! Attributions and findings on flows made for them: each code where it must be raised, and beside it where it must not.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use exwire::attribution::{Encrypted, Judged, JudgedFlow, UNTOLD};
use exwire::audit::{CODES, Finding, Severity, audit};
use exwire::evidence::Strength;
use exwire::evidence::{
    Attribute, CaptureRecord, Episode, Fact, Layer, Ledger, Offer, Offered, Recorder, Seen, Value,
};
use exwire::flow::{Observation, TcpObservation, Tracker};
use exwire::net::{Endpoint, FlowKey, Side, TcpFlags, Timestamp, Transport};
use exwire::protocol::PROTOCOLS;
use exwire::signature::{CHECKS, Overrides, Signatures, Vocabulary};
use exwire::topology::Topology;

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

fn signatures() -> Signatures {
    let known: Vec<(&str, &[&str])> = PROTOCOLS
        .iter()
        .map(|entry| (entry.name, entry.attributes))
        .collect();
    Signatures::load(&Overrides::default(), &Vocabulary { protocols: &known }).unwrap()
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

fn findings_with(topology: &str, flows: Vec<Connection>) -> Vec<Finding> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), topology).unwrap();
    let topology = Topology::read(file.path()).unwrap();
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

#[test]
fn proxied_pop3_must_use_995() {
    let proxied = |port: u16| Connection::new("10.0.0.40:50000", &format!("10.0.0.41:{port}"));
    assert_eq!(codes(vec![proxied(110)]), [("EXW107", Severity::Warning)]);
    assert_eq!(codes(vec![proxied(995).proves("tls")]), []);
}

#[test]
fn a_director_in_the_perimeter_is_misplaced() {
    let found = findings_with(TOPOLOGY, Vec::new());
    assert_eq!(
        found.iter().map(|finding| finding.code).collect::<Vec<_>>(),
        ["EXW109"]
    );
    assert!(found[0].message.starts_with("director (192.0.2.60)"));
    let inside = TOPOLOGY.replace("192.0.2.60", "10.0.0.60");
    assert_eq!(findings_with(&inside, Vec::new()), []);
}

#[test]
fn mapi_below_privacy_is_found_and_at_privacy_is_not() {
    const EMSMDB: &str = "a4f1db00-ca47-1067-b31f-00dd010662da";
    let mapi = |level| Connection::new("10.0.0.40:50000", "10.0.0.30:49500").bound(EMSMDB, level);
    let of = |level| {
        codes(vec![mapi(level)])
            .into_iter()
            .filter(|(code, _)| *code == "EXW204")
            .collect::<Vec<_>>()
    };
    assert_eq!(of("integrity"), [("EXW204", Severity::Error)]);
    assert_eq!(of("privacy"), []);
}

#[test]
fn a_dynamic_port_that_nobody_offered_is_only_worth_knowing() {
    const EMSMDB: &str = "a4f1db00-ca47-1067-b31f-00dd010662da";
    let found = codes(vec![
        Connection::new("10.0.0.40:50000", "10.0.0.30:49500").bound(EMSMDB, "privacy"),
    ]);
    assert_eq!(found, [("EXW106", Severity::Info)]);
}

#[test]
fn an_object_exporter_that_was_resolved_explains_its_port() {
    const WMI: &str = "9556dc99-828c-11cf-a37e-00aa003240c7";
    let flows = |to: &str| {
        vec![
            Connection::new("10.0.0.40:50000", "10.0.0.30:49500").bound(WMI, "privacy"),
            Connection::new("10.0.0.40:50001", "10.0.0.30:135").resolves(to),
        ]
    };
    let unoffered = |to| codes(flows(to)).iter().any(|(code, _)| *code == "EXW106");
    assert!(!unoffered("10.0.0.30:49500"));
    assert!(unoffered("10.0.0.30:49501"));
    let judged = judged(&Topology::default(), flows("10.0.0.30:49500"));
    let (_, exporter) = judged
        .iter()
        .find(|(flow, _)| flow.server().port == 49500)
        .unwrap();
    assert_eq!(
        exporter
            .because
            .iter()
            .map(|text| &**text)
            .collect::<Vec<_>>(),
        [
            "frame 4: OXID resolution (ResolveOxid2) answered 10.0.0.30:49500",
            "frame 3: dcerpc: auth_level `privacy`",
        ]
    );
}

#[test]
fn operations_have_their_documented_names_and_a_bind_alone_is_as_asked() {
    const EMSMDB: &str = "a4f1db00-ca47-1067-b31f-00dd010662da";
    let store = || Value::Interface {
        uuid: EMSMDB.parse().unwrap(),
        major: 0,
        minor: 81,
    };
    let asked = || {
        Connection::new("10.0.0.40:50000", "10.0.0.30:6001")
            .proves("dcerpc")
            .says("dcerpc", "requested", store())
            .says("dcerpc", "opnum", Value::Number(10))
            .says("dcerpc", "opnum", Value::Number(99))
    };
    let of = |flow| judged(&Topology::default(), vec![flow])[0].1.clone();
    let open = of(asked());
    let names: Vec<_> = open.rpc[0]
        .operations
        .iter()
        .map(|operation| operation.name.as_deref())
        .collect();
    assert_eq!(names, [Some("EcDoConnectEx"), None]);
    assert_eq!(open.rpc[0].accepted, None);
    assert_eq!(open.service.unwrap().to_string(), "mapi");
    assert_eq!(open.strength, Some(Strength::Indicated));
    let bound = of(asked().bound(EMSMDB, "privacy"));
    assert_eq!(bound.rpc[0].accepted, Some(true));
    assert_eq!(bound.strength, Some(Strength::Proven));
}

#[test]
fn edge_and_hub_need_mutual_tls() {
    let handshake = |certificates: u64| {
        Connection::new("10.0.0.20:50000", "192.0.2.25:25")
            .proves("smtp")
            .proves("tls")
            .text("tls", "server_version", "1.2")
            .text("tls", "certificate_subject", "CN=edge")
            .says("tls", "established", Value::Number(1))
            .says("tls", "client_certificate", Value::Number(certificates))
    };
    assert_eq!(codes(vec![handshake(0)]), [("EXW206", Severity::Error)]);
    assert_eq!(codes(vec![handshake(1)]), []);
}

#[test]
fn without_a_topology_clear_smtp_is_no_finding() {
    let clear = || Connection::new("10.0.0.20:50000", "192.0.2.25:25").proves("smtp");
    assert_eq!(codes(vec![clear()]), [("EXW201", Severity::Error)]);
    assert_eq!(findings_with("", vec![clear()]), []);
}

#[test]
fn a_password_in_clear_is_found_wherever_it_is_seen() {
    let login = || {
        Connection::new("203.0.113.9:50000", "198.51.100.7:2500")
            .proves("smtp")
            .text("smtp", "auth_mechanism", "LOGIN")
    };
    let of = |flow| {
        findings_with("", vec![flow])
            .into_iter()
            .map(|finding| finding.code)
            .collect::<Vec<_>>()
    };
    assert!(of(login()).contains(&"EXW202"));
    assert!(!of(login().proves("tls")).contains(&"EXW202"));
}

#[test]
fn many_unanswered_attempts_are_one_finding() {
    let attempts = (0..500_u16).map(|n| {
        let mut attempt =
            Connection::unanswered(&format!("10.0.0.20:{}", 40_000 + n), "192.0.2.25:25");
        attempt.0.tracker.first_number = u64::from(n) + 1;
        attempt
    });
    let found = findings(attempts.collect());
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!((found[0].code, found[0].flows.len()), ("EXW401", 500));
    assert!(found[0].message.ends_with("(500 flows)"));
    assert!(found[0].display_filter.contains("tcp.port == 25"));
    assert!(
        !found[0].display_filter.contains("40001"),
        "grouped by the listening end"
    );
}

#[test]
fn ten_thousand_different_failures_are_a_list_that_a_person_can_read() {
    let flows = (0..10_000_u32).map(|n| {
        let (client, server) = (n % 100, n / 100);
        let port = [25, 135, 443, 389, 5060][(n % 5) as usize];
        let mut attempt = Connection::unanswered(
            &format!("10.0.1.{client}:{}", 30_000 + n),
            &format!("10.3.0.{server}:{port}"),
        );
        attempt.0.tracker.first_number = u64::from(n) + 1;
        attempt
    });
    let found = findings(flows.collect());
    assert!(found.len() < 200, "{}", found.len());
    let named: usize = found.iter().map(|finding| finding.flows.len()).sum();
    assert!(named >= 10_000, "folded findings name all their flows");
    let folded = found.iter().find(|finding| finding.flows.len() > 1000);
    assert!(
        folded.unwrap().message.contains(" clients to "),
        "{found:#?}"
    );
}

#[test]
fn a_blocked_path_between_internal_servers_is_said_as_such() {
    let found = codes(vec![Connection::unanswered(
        "10.0.0.40:50000",
        "10.0.0.30:135",
    )]);
    assert_eq!(
        found,
        [("EXW401", Severity::Error), ("EXW405", Severity::Error)]
    );
}

#[test]
fn edgesync_from_the_edge_is_the_wrong_way_round() {
    let found = findings(vec![
        Connection::new("192.0.2.25:50000", "10.0.0.20:50636").proves("tls"),
    ]);
    assert_eq!(
        found
            .iter()
            .map(|finding| (finding.code, finding.severity))
            .collect::<Vec<_>>(),
        [("EXW105", Severity::Warning)],
        "the port alone says that it is EdgeSync"
    );
    assert!(
        found[0]
            .documents
            .iter()
            .any(|citation| citation.document == "ref2010"),
        "{:?}",
        found[0].documents
    );
}

#[test]
fn every_code_is_stable_and_explained() {
    let mut before = "";
    for code in CODES {
        assert!(code.code > before, "{} is out of order", code.code);
        assert!(CHECKS.contains(&code.code));
        assert!(code.meaning.ends_with('.') && code.advice.ends_with('.'));
        before = code.code;
    }
    assert_eq!(CODES.len(), CHECKS.len());
}

#[test]
fn roles_inferred_from_other_flows_indicate_and_say_so() {
    const EMSMDB: &str = "a4f1db00-ca47-1067-b31f-00dd010662da";
    let shipping = || Connection::new("10.0.0.30:50000", "10.0.0.31:64327");
    let serves = |host: &str| {
        Connection::new("10.0.1.9:50000", &format!("{host}:49500")).bound(EMSMDB, "privacy")
    };
    let of = |flows| {
        let judged = judged(&Topology::default(), flows);
        let (_, shipping) = judged
            .iter()
            .find(|(flow, _)| flow.server().port == 64327)
            .unwrap();
        let service = shipping.service.as_ref().map(ToString::to_string);
        (
            service.unwrap(),
            shipping.strength.unwrap(),
            shipping.because[0].clone(),
        )
    };
    let (service, strength, because) = of(vec![shipping()]);
    assert_eq!(
        (&*service, strength),
        ("log_shipping", Strength::Assumed),
        "{because}"
    );
    let (service, strength, because) =
        of(vec![shipping(), serves("10.0.0.30"), serves("10.0.0.31")]);
    assert_eq!((&*service, strength), ("log_shipping", Strength::Indicated));
    assert!(
        because.starts_with("inferred from other flows"),
        "{because}"
    );
}

#[test]
fn an_inferred_role_is_never_held_against_a_host() {
    let smtp = Connection::new("10.0.0.30:50000", "10.0.0.31:25")
        .proves("smtp")
        .text(
            "smtp",
            "banner",
            "220 mail Microsoft ESMTP MAIL Service ready",
        );
    let found = findings_with("", vec![smtp]);
    assert_eq!(
        found,
        [],
        "the row for Hub to Hub says encrypted, but nobody said that these are"
    );
}

#[test]
fn a_search_for_persons_of_netmeeting_is_the_user_locator() {
    let service = |base: &str| {
        let flow = Connection::new("10.0.1.5:50000", "10.0.0.30:522")
            .proves("ldap")
            .text("ldap", "base", base);
        let judged = judged(&Topology::default(), vec![flow]);
        let attribution = &judged[0].1;
        (
            attribution.service.as_ref().unwrap().as_str().to_owned(),
            attribution.strength,
        )
    };
    let proven = |id: &str| (id.to_owned(), Some(Strength::Proven));
    assert_eq!(service("objectClass=RTPerson"), proven("uls"));
    assert_eq!(
        service("c=-,o=Microsoft,objectClass=RTPerson"),
        proven("uls")
    );
}

#[test]
fn the_imitated_handshake_is_the_edge_and_no_weak_tls() {
    let turn = Connection::new("198.51.100.9:50000", "192.0.2.70:443")
        .proves("tls")
        .says("tls", "pseudo", Value::Number(1))
        .proves("stun")
        .text("stun", "dialect", "ms_turn");
    let judged = judged(&Topology::default(), vec![turn]);
    let (_, attribution) = judged.first().unwrap();
    let service = attribution.service.as_ref().unwrap();
    assert_eq!(service.as_str(), "stun_turn");
    assert_eq!(attribution.strength, Some(Strength::Proven));
    assert_eq!(attribution.encryption.kind, Encrypted::Unknown);
}

#[test]
fn media_beside_a_handshake_of_dtls_are_srtp() {
    let media = |profile: Option<&str>| {
        let flow = Connection::new("10.0.1.9:50000", "10.0.1.10:50002")
            .proves("dtls")
            .proves("rtp")
            .text("dtls", "server_version", "1.2")
            .text("dtls", "cipher", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256");
        let flow = match profile {
            Some(profile) => flow.text("dtls", "srtp_profile", profile),
            None => flow,
        };
        let judged = judged(&Topology::default(), vec![flow]);
        let (_, attribution) = judged.first().unwrap();
        attribution.encryption.clone()
    };
    let keyed = media(Some("SRTP_AES128_CM_HMAC_SHA1_80"));
    assert_eq!(keyed.kind, Encrypted::Srtp);
    assert_eq!(keyed.cipher.unwrap(), "SRTP_AES128_CM_HMAC_SHA1_80");
    assert_eq!(media(Some("SRTP_NULL_HMAC_SHA1_80")).kind, Encrypted::None);
    let unkeyed = media(None);
    assert_eq!(unkeyed.kind, Encrypted::Dtls);
    assert_eq!(unkeyed.version.unwrap(), "1.2");
}

#[test]
fn an_announced_data_connection_is_named_between_the_hosts_that_agreed_upon_it_alone() {
    let of = |data: Connection| {
        let mut control = Connection::new("10.0.1.9:50000", "203.0.113.7:21").proves("ftp");
        let offer = Offer {
            transport: Transport::TCP,
            endpoint: Endpoint::new("203.0.113.7".parse().unwrap(), 49_152),
            by: "203.0.113.7".parse().unwrap(),
            to: "10.0.1.9".parse().unwrap(),
            offered: Offered::Data {
                protocol: "ftp_data",
            },
        };
        let seen = Seen {
            frame: 4,
            time: Timestamp::from_nanos(4),
        };
        control.0.offers.insert_least(offer, seen);
        let judged = judged(&Topology::default(), vec![control, data]);
        let (_, attribution) = judged
            .iter()
            .find(|(flow, _)| flow.server().port == 49_152)
            .unwrap();
        attribution.protocols.clone()
    };
    let server = "203.0.113.7:49152";
    assert_eq!(of(Connection::new("10.0.1.9:50001", server)), ["ftp_data"]);
    assert!(of(Connection::new("10.0.1.8:50001", server)).is_empty());
    assert!(of(Connection::unanswered("10.0.1.9:50001", server)).is_empty());
}

#[test]
fn what_a_pipe_carries_says_more_than_smb_and_is_protected_as_its_pipes_are() {
    const ATTENDANT: &str = "67df7c70-0f04-11ce-b13f-00aa003bac6c";
    let smb = || {
        Connection::new("10.0.0.30:50000", "10.0.0.31:445")
            .proves("netbios_ssn")
            .proves("smb")
            .says("smb", "version", Value::Number(2))
            .text("smb", "gss_mechanism", "kerberos")
    };
    let of = |flow| {
        let judged = judged(&Topology::default(), vec![flow]);
        let (_, flow) = judged.first().unwrap();
        let service = flow.service.as_ref().map(ToString::to_string);
        (service.unwrap(), flow.encryption.kind.word())
    };
    assert_eq!(of(smb()), ("smb_file".to_owned(), "none"));
    let sealed = smb().says("smb", "sealed", Value::Number(1));
    assert_eq!(of(sealed), ("smb_file".to_owned(), "smb3"));
    let calls = of(smb().bound(ATTENDANT, "privacy"));
    assert_eq!(calls, ("system_attendant".to_owned(), "rpc_privacy"));
    let mut beside = smb().bound(ATTENDANT, "privacy");
    beside.0.facts = std::mem::take(&mut beside.0.facts)
        .into_iter()
        .chain(
            smb()
                .text("dcerpc", "auth_level", "none")
                .0
                .facts
                .into_iter()
                .map(|(mut fact, seen)| {
                    fact.subject = 2 << 32;
                    (fact, seen)
                }),
        )
        .collect();
    assert_eq!(of(beside), ("system_attendant".to_owned(), "none"));
    let judged = judged(&Topology::default(), vec![smb()]);
    let (_, flow) = judged.first().unwrap();
    assert_eq!(flow.authentication, ["kerberos"]);
}

/// The flow's datagrams, where the protocol is not spoken over TCP.
fn over(transport: Transport, mut flow: Connection) -> Connection {
    if transport == Transport::UDP {
        flow.0.key.transport = Transport::UDP;
        flow.0.tracker.tcp = None;
    }
    flow
}

#[test]
fn a_protocol_without_a_place_in_the_matrix_is_never_taken_for_a_service() {
    let signatures = signatures();
    let has_place = |name: &str| {
        let mut services = signatures.catalog.services();
        services.any(|service| service.protocols.iter().any(|spoken| **spoken == *name))
    };
    let foreign: Vec<&'static str> = PROTOCOLS
        .iter()
        .map(|protocol| protocol.name)
        .filter(|name| !has_place(name))
        .collect();
    assert!(foreign.contains(&"ssh") && foreign.contains(&"openvpn"));
    let claims = |transport, port| signatures.matrix.by_port(transport, port).next().is_some();
    // Of a range its ends; both hosts have roles that rows join, so that roles speak as well.
    let ports: Vec<(Transport, u16)> = [Transport::TCP, Transport::UDP]
        .into_iter()
        .flat_map(|transport| (1..=u16::MAX).map(move |port| (transport, port)))
        .filter(|(transport, port)| {
            let beside = |port| claims(*transport, port);
            let is_within =
                beside(port.saturating_sub(1)) && port.checked_add(1).is_none_or(beside);
            beside(*port) && !is_within
        })
        .collect();
    assert!(ports.len() > 30, "{ports:?}");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), TOPOLOGY).unwrap();
    let topology = Topology::read(file.path()).unwrap();
    for name in foreign {
        // Whatever lies inside it, such as the TLS of a VPN, is as foreign.
        let flows = ports.iter().flat_map(|&(transport, port)| {
            let plain = Connection::new("10.0.0.20:50000", &format!("192.0.2.25:{port}"));
            let inside = Connection::new("10.0.0.40:50001", &format!("10.0.0.30:{port}"));
            let hello = |flow: Connection| flow.text("tls", "server_name", "webconf.example.com");
            [
                over(transport, plain.proves(name)),
                over(transport, hello(inside.proves(name).proves("tls"))),
            ]
        });
        let judged = judged(&topology, flows.collect());
        for (flow, attribution) in judged.iter() {
            // Proxies stand back behind what they carry.
            let is_passed_on = name == "proxy_protocol" && flow.proves("tls");
            let strength = attribution.strength;
            assert!(
                strength.is_none() || (is_passed_on && strength < Some(Strength::Proven)),
                "{name} on {}: {:?} {:?}",
                flow.server(),
                attribution.service,
                attribution.because
            );
            let says = |text: &Arc<str>| text.starts_with("frame 3: ") && text.contains(name);
            assert!(
                is_passed_on || attribution.because.iter().any(says),
                "{name}: {:?}",
                attribution.because
            );
        }
    }
}

#[test]
fn a_port_is_judged_by_what_is_spoken_on_the_transport() {
    let of = |protocols: &[&'static str], port: u16| {
        let flow = Connection::new("203.0.113.9:50000", &format!("198.51.100.7:{port}"));
        let flow = protocols.iter().fold(flow, |flow, name| flow.proves(name));
        let judged = judged(&Topology::default(), vec![flow]);
        let attribution = &judged[0].1;
        let service = attribution.service.as_ref().map(ToString::to_string);
        (service, attribution.verdict.word())
    };
    let web = || Some("web".to_owned());
    assert_eq!(of(&["openvpn", "tls"], 443), (None, "contradicted"));
    assert_eq!(of(&["tpkt", "s7comm"], 102), (None, "contradicted"));
    assert_eq!(of(&["tpkt"], 102), (Some("x400".into()), "unproven"));
    assert_eq!(of(&["proxy_protocol", "tls"], 443), (web(), "unproven"));
    assert_eq!(of(&["socks", "tls"], 443), (web(), "unproven"));
}

#[test]
fn a_contradiction_names_the_application_and_the_frame_that_proved_it() {
    let of = |flow: Connection| {
        let found = findings_with("", vec![flow]);
        assert_eq!(found[0].code, "EXW103", "{found:#?}");
        (found[0].message.clone(), found[0].evidence.clone())
    };
    let to = |port: u16| Connection::new("203.0.113.9:50000", &format!("198.51.100.7:{port}"));
    let ssh = to(443).proves("ssh").text("ssh", "software", "OpenSSH_9.6");
    let (message, evidence) = of(ssh);
    assert_eq!(
        message,
        "ssh from 203.0.113.9 to 198.51.100.7:443, a port that is documented for SIP signalling, Web (HTTP or HTTPS)"
    );
    assert_eq!(evidence, ["frame 3: ssh: software `OpenSSH_9.6`"]);
    let desktop = to(1503).proves("tpkt").proves("rdp").proves("t125");
    assert!(of(desktop).0.starts_with("rdp from"), "not t125 in it");
    let files = to(135).proves("netbios_ssn").proves("smb").proves("dcerpc");
    assert!(
        of(files).0.starts_with("smb from"),
        "not the calls in its pipes"
    );
}

#[test]
fn media_in_a_relay_are_the_relays() {
    let of = |flow: Connection| {
        let judged = judged(&Topology::default(), vec![over(Transport::UDP, flow)]);
        let attribution = &judged[0].1;
        let service = attribution.service.as_ref().map(ToString::to_string);
        (service.unwrap(), attribution.because.clone())
    };
    let relay = || {
        Connection::new("203.0.113.9:50000", "198.51.100.7:3478")
            .proves("stun")
            .text("stun", "dialect", "ms_turn")
    };
    let (service, because) = of(relay().proves("rtp"));
    assert_eq!(service, "stun_turn");
    assert!(
        because.iter().any(|text| text.contains("rtp, inside stun")),
        "{because:?}"
    );
    let beside = Connection::new("203.0.113.9:50000", "198.51.100.7:50002").proves("rtp");
    assert_eq!(of(beside).0, "media");
}

#[test]
fn every_protocol_is_read_in_clear_or_known_to_tell_nothing() {
    /// Protocols whose payload the decoder reads because it is in clear. A new protocol is put here, or among the others.
    const CLEAR: &[&str] = &[
        "amqp",
        "bacnet",
        "bgp",
        "bitcoin",
        "bittorrent",
        "bjnp",
        "cldap",
        "coap",
        "cql",
        "db_lsp_disc",
        "dhcp",
        "dhcpv6",
        "diameter",
        "dnp3",
        "dns",
        "doip",
        "drda",
        "elasticsearch",
        "enip",
        "fix",
        "ftp",
        "giop",
        "git",
        "gtp",
        "h225",
        "h245",
        "hsrp",
        "http",
        "iax2",
        "ident",
        "iec60870_104",
        "imap",
        "irc",
        "kafka",
        "l2tp",
        "ldap",
        "ldp",
        "llmnr",
        "lsd",
        "mdns",
        "megaco",
        "memcached",
        "mgcp",
        "modbus",
        "mongodb",
        "mqtt",
        "msnp",
        "mysql",
        "netbios_dgm",
        "netbios_ns",
        "netflow",
        "nntp",
        "ntp",
        "openflow",
        "oscar",
        "pcp",
        "pop3",
        "pptp",
        "radius",
        "raknet",
        "redis",
        "rip",
        "ripng",
        "rmi",
        "rsync",
        "rtmp",
        "rtps",
        "rtsp",
        "rvp",
        "s7comm",
        "sap",
        "sdp",
        "sflow",
        "sip",
        "skinny",
        "slp",
        "smb",
        "smtp",
        "snmp",
        "spotify",
        "sql_browser",
        "ssdp",
        "sunrpc",
        "syslog",
        "t125",
        "telnet",
        "tftp",
        "tns",
        "vnc",
        "websocket",
        "whois",
        "ws_discovery",
        "x11",
        "x400",
        "xmpp",
        "ymsg",
    ];
    for protocol in PROTOCOLS {
        let name = protocol.name;
        assert!(
            CLEAR.contains(&name) != UNTOLD.contains(&name),
            "{name} is to be in one of the two lists"
        );
        let flow = Connection::new("203.0.113.9:50000", "198.51.100.7:40000").proves(name);
        let judged = judged(&Topology::default(), vec![flow]);
        let kind = judged[0].1.encryption.kind;
        assert_eq!(kind == Encrypted::None, CLEAR.contains(&name), "{name}");
    }
    for name in UNTOLD {
        assert!(PROTOCOLS.iter().any(|protocol| protocol.name == *name));
    }
}

#[test]
fn the_housekeeping_of_a_network_is_no_warning() {
    let to = |port: u16, name| {
        let flow = Connection::new("10.0.1.9:50000", &format!("10.0.0.20:{port}"));
        codes(vec![over(Transport::UDP, flow.proves(name))])
    };
    assert_eq!(to(137, "netbios_ns"), [("EXW102", Severity::Info)]);
    assert_eq!(to(123, "ntp"), [("EXW102", Severity::Info)]);
    assert_eq!(to(3702, "ws_discovery"), [("EXW102", Severity::Info)]);
    assert_eq!(to(161, "snmp"), [("EXW102", Severity::Warning)]);
}

#[test]
fn calls_in_pipes_need_no_mapper() {
    const LSARPC: &str = "12345778-1234-abcd-ef00-0123456789ab";
    let pipes = Connection::new("203.0.113.9:50000", "198.51.100.7:445")
        .proves("netbios_ssn")
        .proves("smb")
        .bound(LSARPC, "privacy");
    assert_eq!(findings_with("", vec![pipes]), []);
}

#[test]
fn flows_that_are_alike_share_what_rows_say_and_others_do_not() {
    let judged = judged(
        &Topology::default(),
        vec![
            Connection::unanswered("10.0.1.1:50000", "10.0.0.1:443"),
            Connection::unanswered("10.0.1.2:50001", "10.0.0.2:443"),
            Connection::unanswered("10.0.1.3:50002", "10.0.0.3:25"),
            Connection::new("10.0.1.4:50003", "10.0.0.4:443").proves("tls"),
        ],
    );
    let [(_, one), (_, like), (_, port), (_, proven)] = &judged[..] else {
        panic!("{judged:?}");
    };
    assert_eq!(one.because, like.because);
    assert!(Arc::ptr_eq(&one.because, &like.because) && Arc::ptr_eq(&one.rows, &like.rows));
    assert_ne!(one.ends, like.ends);
    assert_ne!(one.rows, port.rows);
    assert_ne!(one.because, proven.because);
}
