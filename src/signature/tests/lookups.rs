//! What is found in what was loaded.

use super::*;

#[test]
fn search_finds_by_every_field_and_puts_the_port_itself_first() {
    let matrix = with_ports(&[]).unwrap();
    let all = matrix.search(&Query::default());
    assert_eq!(all.len(), matrix.rows().len());
    let by = |query: Query| -> Vec<&str> {
        matrix.search(&query).iter().map(|row| &*row.id.0).collect()
    };
    let port = by(Query {
        port: Some(64327),
        ..Query::default()
    });
    let exact = |id: &str| port.iter().position(|found| *found == id).unwrap();
    assert!(exact("ref2010.mailbox.log-shipping") < exact("um2013.listening.rtp"));
    let cluster = by(Query {
        role: Some(Role::ClusterNode),
        port: Some(3343),
        ..Query::default()
    });
    assert!(cluster.contains(&"ref2010.mailbox.clustering"));
    assert!(!cluster.contains(&"um2013.listening.rtp"));
    let lync = by(Query {
        product: Some(Product::Lync2013),
        ..Query::default()
    });
    assert!(lync.contains(&"blog.lync.sip") && !lync.contains(&"ref2010.um.phone"));
    assert_eq!(
        by(Query {
            row: Some("ref2010.um.phone".to_owned()),
            ..Query::default()
        }),
        ["ref2010.um.phone"]
    );
    let edgesync = by(Query {
        service: Some(ServiceId("edgesync".into())),
        ..Query::default()
    });
    assert!(edgesync.contains(&"mail2013.edge.edgesync"));
    let text = by(Query {
        text: Some("DIRECT TRUST".to_owned()),
        ..Query::default()
    });
    assert!(text.contains(&"ref2010.rule.direct-trust"));
    assert!(
        by(Query {
            text: Some("no such words".to_owned()),
            ..Query::default()
        })
        .is_empty()
    );
}

#[test]
fn prohibitions_and_wide_ranges_document_no_port() {
    let matrix = with_ports(&[]).unwrap();
    let udp = ids(&matrix, Transport::UDP, 5060);
    assert!(!udp.contains(&"um2013.rule.call-router-no-udp".to_owned()));
    assert!(!ids(&matrix, Transport::UDP, 40000).contains(&"um2013.listening.rtp".to_owned()));
    assert!(ids(&matrix, Transport::TCP, 16500).contains(&"ref2010.um.phone".to_owned()));
    for port in [0, 1, 65535] {
        assert!(ids(&matrix, Transport::TCP, port).is_empty());
    }
}

#[test]
fn a_port_that_the_other_end_opens_is_printed_and_documents_nothing() {
    let matrix = with_ports(&[]).unwrap();
    let row = matrix
        .row(&RowId("ref2010.client-access.ocs".into()))
        .unwrap();
    assert!(row.lists(Transport::TCP, 5076));
    assert!(!row.lists(Transport::TCP, 5061));
    let listed = ids(&matrix, Transport::TCP, 5061);
    assert!(!listed.contains(&row.id.to_string()));
    assert!(listed.contains(&"ref2010.rule.ocs-out".to_owned()));
    let printed = serde_json::to_value(&row.ports).unwrap();
    assert_eq!(printed[1]["port"], 5061);
    assert_eq!(printed[1]["reversed"], true);
    assert_eq!(row.ports[0].to_string(), "5075-5077/tcp");
    assert_eq!(row.ports[1].to_string(), "5061/tcp reversed");
}

#[test]
fn roles_satisfy_what_includes_them() {
    use Role::*;
    for (host, wanted) in [
        (Mailbox, Mailbox),
        (Mailbox, ExchangeAny),
        (EdgeTransport, ExchangeAny),
        (ExchangeAny, Mailbox),
        (Mailbox, ClusterNode),
        (DomainController, DnsServer),
        (LyncFrontEnd, LyncServer),
        (LyncServer, LyncFrontEnd),
        (Ocs, LyncServer),
        (LyncEdgeExternal, LyncEdge),
        (LyncEdge, LyncEdgeInternal),
        (LyncClient, Client),
        (Client, LyncClient),
        (Internet, Client),
        (AdRms, Any),
        (SqlServer, InternalNetwork),
    ] {
        assert!(host.satisfies(wanted), "{host} for {wanted}");
    }
}

#[test]
fn roles_do_not_satisfy_what_excludes_them() {
    use Role::*;
    for (host, wanted) in [
        (Mailbox, HubTransport),
        (ClientAccess, ClusterNode),
        (DnsServer, DomainController),
        (LyncFrontEnd, LyncMediation),
        (LyncEdgeExternal, LyncEdgeInternal),
        (LyncClient, LyncServer),
        (Client, ExchangeAny),
        (IpGateway, LyncMediation),
        (Admin, Client),
        // Mail to and from the Internet is not mail of a client inside.
        (Client, Internet),
        // Lync servers inside are not reached from the Internet (contradictions C23).
        (Internet, LyncClient),
        (Internet, InternalNetwork),
    ] {
        assert!(!host.satisfies(wanted), "{host} for {wanted}");
    }
}

#[test]
fn a_version_is_its_product_and_not_the_other_way_round() {
    assert!(Product::Lync2010.is(Product::Lync));
    assert!(Product::Lync2013.is(Product::Lync));
    assert!(Product::Ocs2007R2.is(Product::Lync));
    assert!(Product::Exchange2010.is(Product::Exchange2010));
    assert!(!Product::Lync.is(Product::Lync2013));
    assert!(!Product::Exchange2010.is(Product::Exchange2013));
    assert!(!Product::Exchange2013.is(Product::Lync));
}

#[test]
fn tests_of_values_ignore_the_case_of_letters() {
    let texts = |text: &str| vec![std::sync::Arc::from(text), std::sync::Arc::from("other")];
    let equals = Test {
        equals: texts("/owa"),
        ..Test::default()
    };
    assert!(equals.passes("/OWA") && equals.passes("Other") && !equals.passes("/owa/"));
    let framed = Test {
        prefix: texts("/oab/"),
        contains: texts("-11d0"),
        suffix: texts(".xml"),
        ..Test::default()
    };
    assert!(framed.passes("/OAB/0a-11d0/oab.XML"));
    assert!(!framed.passes("/oab/oab.xml") && !framed.passes("/oab/0a-11d0/oab.xml/"));
}

#[test]
fn an_interface_is_found_by_version_then_by_major_then_by_identifier() {
    let own = [
        SERVICE,
        INTERFACE,
        &INTERFACE.replace("0.81", "3.0").replace("EMSMDB", "NEWER"),
    ]
    .concat();
    let mut loader = Loader::default();
    loader.text("own.toml", &own).unwrap();
    let (_, _, known) = loader.finish(&VOCABULARY).unwrap();
    let uuid = known[0].uuid;
    let interfaces = Interfaces {
        by_uuid: BTreeMap::from([(uuid, known)]),
    };
    let name = |major, minor| {
        interfaces
            .find(uuid, major, minor)
            .map(|found| &*found.name)
    };
    assert_eq!(name(3, 0), Some("NEWER"));
    assert_eq!(name(3, 7), Some("NEWER"));
    assert_eq!(name(9, 9), Some("EMSMDB"));
    assert_eq!(interfaces.find(uuid::Uuid::nil(), 0, 81), None);
}

#[test]
fn an_operation_is_found_by_its_number() {
    let own = INTERFACE.replace(
        "kind = ",
        "operations = [\"EcDoConnect\", \"\", \"EcDoRpc\"]\nkind = ",
    );
    let mut loader = Loader::default();
    loader.text("own.toml", &[SERVICE, &own].concat()).unwrap();
    let (_, _, known) = loader.finish(&VOCABULARY).unwrap();
    let names: Vec<_> = (0..4).map(|number| known[0].operation(number)).collect();
    assert_eq!(names, [Some("EcDoConnect"), None, Some("EcDoRpc"), None]);
}

#[test]
fn operations_are_identifiers_each_once_and_the_last_has_a_name() {
    let kind = "sure = \"M\"";
    for (operations, message) in [
        (
            r#"["Two words"]"#.to_owned(),
            "expected the name of an operation in letters, digits and `_`, found `Two words`",
        ),
        (
            r#"["One", "", "One"]"#.to_owned(),
            "expected each operation once, found `One` twice",
        ),
        (
            r#"["One", ""]"#.to_owned(),
            "expected a name for the last operation, found none",
        ),
        (
            format!("[{}\"x\"]", "\"\", ".repeat(Interface::MAX_OPERATIONS)),
            "expected at most 512 operations, found 513",
        ),
    ] {
        let to = format!("{kind}\noperations = {operations}");
        refused(kind, &to, EMSMDB, message);
    }
}
