//! Each code where it must be raised, and beside it where it must not.

use super::*;

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
