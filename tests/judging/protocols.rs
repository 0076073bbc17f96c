//! What holds for every protocol, and for flows that are alike.

use super::*;

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

/// With debug assertions, as tests are built, each of these flows is also judged by all that could speak of it
/// (`Judge::attribute`), and each check of payload is asked of it in vain (`Told`).
#[test]
fn flows_that_say_nothing_come_to_the_same_alone_and_among_others() {
    let topology = topology(TOPOLOGY);
    let servers = [
        "10.0.0.20:25",
        "192.0.2.25:25",
        "192.0.2.25:50636",
        "203.0.113.9:443",
        "10.9.9.9:7",
    ];
    let clients = ["10.0.0.20", "192.0.2.25", "203.0.113.4", "10.1.1.1"];
    let pairs = || {
        clients
            .iter()
            .flat_map(|client| servers.iter().map(move |server| (client, server)))
    };
    let like = |(client, server): (&&str, &&str)| {
        let closed = || {
            let mut flow = Connection::new(&format!("{client}:40000"), server);
            flow.0.tracker.payload_bytes = Default::default();
            flow
        };
        let silent = || Connection::unanswered(&format!("{client}:40001"), server);
        [silent(), closed(), over(Transport::UDP, silent())]
    };
    let mut among: Vec<JudgedFlow> = judged(&topology, pairs().flat_map(like).collect());
    let mut alone: Vec<JudgedFlow> = pairs()
        .flat_map(like)
        .flat_map(|flow| judged(&topology, vec![flow]))
        .collect();
    for flows in [&mut among, &mut alone] {
        flows.sort_by_key(|(flow, _)| flow.key);
    }
    assert_eq!(among.len(), clients.len() * servers.len() * 3);
    for ((flow, shared), (same, own)) in among.iter().zip(&alone) {
        assert!(flow.is_mute() && flow.key == same.key);
        assert_eq!(shared, own);
    }
    let verdicts: std::collections::BTreeSet<_> = among
        .iter()
        .map(|(_, shared)| shared.verdict.word())
        .collect();
    assert!(verdicts.len() > 1, "{verdicts:?}");
    assert!(!findings(pairs().flat_map(like).collect()).is_empty());
}
