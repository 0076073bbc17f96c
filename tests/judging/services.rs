//! What a flow is, by what is spoken, offered and indicated.

use super::*;

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
