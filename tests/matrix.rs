//! The compiled-in matrix against the five documents: counts, quotes, ports, and what `matrix --format json` prints.
//!
//! The documents are not part of the project. Where their folder is missing, the test that reads them says so and passes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test"
)]

mod signature_support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use exwire::net::Transport;
use exwire::signature::{
    CHECKS, DOCUMENTS, Dynamic, Kind, Polarity, Ports, Product, Role, Row, RowId, ServiceId,
    Signatures,
};
use serde_json::Value;
use signature_support::signatures;

fn id(text: &str) -> RowId {
    RowId(text.into())
}

fn row<'a>(signatures: &'a Signatures, text: &str) -> &'a Row {
    signatures
        .matrix
        .row(&id(text))
        .unwrap_or_else(|| panic!("no row `{text}`"))
}

#[test]
fn every_table_has_as_many_rows_as_the_document_prints() {
    let signatures = signatures();
    let mut counts: BTreeMap<(&str, &str, Kind), usize> = BTreeMap::new();
    for row in signatures.matrix.rows() {
        if row.kind != Kind::Rule {
            *counts
                .entry((&row.document, &row.table, row.kind))
                .or_default() += 1;
        }
    }
    let expected = BTreeMap::from([
        (
            ("um2013", "UM inbound firewall rules", Kind::FirewallRule),
            8,
        ),
        (("um2013", "UM listening ports", Kind::ListeningPort), 4),
        (
            ("ref2010", "Transport server data paths", Kind::DataPath),
            11,
        ),
        (("ref2010", "Mailbox server data paths", Kind::DataPath), 18),
        (
            ("ref2010", "Client Access server data paths", Kind::DataPath),
            19,
        ),
        (
            (
                "ref2010",
                "Unified Messaging server data paths",
                Kind::DataPath,
            ),
            7,
        ),
        (
            ("ref2010", "Windows Firewall rules", Kind::FirewallRule),
            54,
        ),
        (("blog", "Lync", Kind::DataPath), 11),
        (("blog", "Exchange", Kind::DataPath), 8),
        (("blog", "Remote access", Kind::DataPath), 2),
        (("legacy", "Protocols", Kind::DataPath), 11),
        (("mail2013", "Clients and services", Kind::DataPath), 5),
        (
            (
                "mail2013",
                "Mail flow (no Edge Transport servers)",
                Kind::DataPath,
            ),
            4,
        ),
        (
            (
                "mail2013",
                "Mail flow with Edge Transport servers",
                Kind::DataPath,
            ),
            7,
        ),
    ]);
    assert_eq!(counts, expected);
}

#[test]
fn the_prose_of_every_document_is_there() {
    let signatures = signatures();
    for (document, least) in [
        ("um2013", 30),
        ("ref2010", 65),
        ("blog", 25),
        ("legacy", 13),
        ("mail2013", 45),
    ] {
        let rules = signatures
            .matrix
            .rows()
            .iter()
            .filter(|row| &*row.document == document && row.kind == Kind::Rule)
            .count();
        assert!(
            rules >= least,
            "{document}: {rules} rules, expected {least}"
        );
    }
}

#[test]
fn every_row_is_whole() {
    let signatures = signatures();
    let mut ids = BTreeSet::new();
    for row in signatures.matrix.rows() {
        let at = &row.id;
        assert!(ids.insert(at), "{at} twice");
        assert!(DOCUMENTS.contains(&&*row.document), "{at}");
        assert!(
            at.0.starts_with(&format!("{}.", row.document)),
            "{at} is of {}",
            row.document
        );
        assert!(row.check.is_some() != row.check_reason.is_some(), "{at}");
        if let Some(check) = row.check.as_deref() {
            assert!(CHECKS.contains(&check), "{at}: {check}");
        }
        assert!(
            row.check_reason
                .as_ref()
                .is_none_or(|reason| reason.len() > 5),
            "{at}"
        );
        assert!(row.quote.is_some(), "{at} quotes nothing");
        assert!(!row.products.is_empty(), "{at}");
        for service in &row.services {
            assert!(
                signatures.catalog.service(service).is_some(),
                "{at}: {service}"
            );
        }
        let is_rule = row.kind == Kind::Rule;
        assert_eq!(row.polarity.is_some(), is_rule, "{at}");
        assert_eq!(row.rule.is_some(), is_rule, "{at}");
        assert_eq!(
            row.program.is_some(),
            row.kind == Kind::FirewallRule && &*row.document == "ref2010",
            "{at}"
        );
    }
}

#[test]
fn every_document_is_of_its_products() {
    let signatures = signatures();
    for row in signatures.matrix.rows() {
        let expected: &[Product] = match &*row.document {
            "um2013" => &[Product::Exchange2013, Product::Lync],
            "ref2010" => &[Product::Exchange2010, Product::ExchangeLegacy],
            "blog" => &[Product::Lync, Product::Exchange2010, Product::Exchange2013],
            "legacy" => &[Product::ExchangeLegacy],
            _ => &[Product::Exchange2013, Product::Exchange2010],
        };
        assert!(
            row.products
                .iter()
                .all(|product| expected.contains(product)),
            "{}",
            row.id
        );
        // There is no Hub Transport and no Unified Messaging server in Exchange 2013 (contradictions C28).
        if row.products == [Product::Exchange2013] {
            for role in row.from_roles.iter().chain(&row.to_roles) {
                assert!(
                    !matches!(role, Role::HubTransport | Role::UnifiedMessaging),
                    "{}",
                    row.id
                );
            }
        }
    }
}

#[test]
fn every_service_and_interface_is_known_and_used() {
    let signatures = signatures();
    for interface in signatures.interfaces.iter() {
        if let Some(service) = &interface.service {
            assert!(
                signatures.catalog.service(service).is_some(),
                "{}",
                interface.name
            );
        }
    }
    let unused: Vec<&ServiceId> = signatures
        .catalog
        .services()
        .map(|service| &service.id)
        .filter(|service| signatures.matrix.by_service(service).next().is_none())
        .filter(|service| {
            !signatures
                .interfaces
                .iter()
                .any(|interface| interface.service.as_ref() == Some(*service))
        })
        .collect();
    // Not documented, yet worth a name when seen.
    assert_eq!(unused, [&ServiceId("powershell".into())]);
}

/// `../shared/documents`, or the same folder below `EXWIRE_SHARED`.
/// The folder of the documents; where it is missing, that is said.
fn documents() -> Option<PathBuf> {
    let beside = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")).to_owned();
    std::iter::once(beside)
        .chain(std::env::var_os("EXWIRE_SHARED").map(PathBuf::from))
        .map(|shared| shared.join("documents"))
        .find(|folder| folder.is_dir())
        .or_else(|| {
            println!(
                "skipped: no folder `shared/documents` beside the project, and EXWIRE_SHARED is not set"
            );
            None
        })
}

/// Without tags and entities, white space collapsed.
fn plain(text: &str) -> String {
    let mut bare = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        bare.push_str(before);
        // A `<` that opens no tag is a character of the text.
        let is_tag = after.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '!');
        match after.split_once('>').filter(|_| is_tag) {
            Some((_, after)) => {
                bare.push(' ');
                rest = after;
            }
            None => {
                bare.push('<');
                rest = after;
            }
        }
    }
    bare.push_str(rest);
    let bare = bare
        .replace("&quot;", "\"")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&nbsp;", " ")
        .replace("&amp;", "&")
        .replace("**", "");
    bare.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn tags_entities_and_white_space_are_taken_out() {
    assert_eq!(
        plain("a <b>c</b>\n\t&quot;d&quot;  <td\n x=1>e"),
        "a c \"d\" e"
    );
    assert_eq!(plain("1 < 2"), "1 < 2");
}

#[test]
fn every_quote_is_in_its_document() {
    let Some(folder) = documents() else { return };
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    // Files begin with the number of the document in the order of the matrix.
    let text_of: BTreeMap<&str, String> = DOCUMENTS
        .iter()
        .enumerate()
        .map(|(number, document)| {
            let prefix = format!("{number:03}_");
            let file = files
                .iter()
                .find(|file| {
                    file.file_name()
                        .is_some_and(|name| name.to_string_lossy().starts_with(&prefix))
                })
                .unwrap_or_else(|| panic!("no file {prefix}* for {document}"));
            (*document, plain(&std::fs::read_to_string(file).unwrap()))
        })
        .collect();
    let signatures = signatures();
    let missing: Vec<String> = signatures
        .matrix
        .rows()
        .iter()
        .filter_map(|row| {
            let quote = plain(row.quote.as_deref()?);
            (!text_of[&*row.document].contains(&quote)).then(|| format!("{}: {quote}", row.id))
        })
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
    let titles: Vec<String> = signatures
        .matrix
        .rows()
        .iter()
        .filter(|row| row.kind != Kind::Rule)
        .filter(|row| !text_of[&*row.document].contains(&plain(&row.title)))
        .map(|row| format!("{}: {}", row.id, row.title))
        .collect();
    assert!(titles.is_empty(), "{titles:#?}");
}

#[test]
fn ports_of_tables_are_in_the_quoted_document() {
    let Some(folder) = documents() else { return };
    let mut numbers: BTreeMap<&str, BTreeSet<u16>> = BTreeMap::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Some(document) = name
            .get(..3)
            .and_then(|number| number.parse::<usize>().ok())
            .and_then(|number| DOCUMENTS.get(number))
        else {
            continue;
        };
        let text = plain(&std::fs::read_to_string(&path).unwrap());
        numbers.insert(
            document,
            text.split(|c: char| !c.is_ascii_digit())
                .filter_map(|digits| digits.parse().ok())
                .collect(),
        );
    }
    // Named without a port, or by the protocol's name; such rows are marked as inferred.
    let by_word: &[(&str, u16)] = &[("um2013", 80), ("um2013", 443), ("legacy", 25)];
    for row in signatures().matrix.rows() {
        let known = &numbers[&*row.document];
        for entry in &row.ports {
            let ends = match entry.ports {
                Ports::Single(port) => vec![port],
                Ports::Range(first, last) => vec![first, last],
                Ports::Dynamic(_) => vec![],
            };
            for port in ends {
                let is_inferred = row.inferred && by_word.contains(&(&*row.document, port));
                assert!(known.contains(&port) || is_inferred, "{}: {port}", row.id);
            }
        }
    }
}

#[test]
fn no_row_names_a_port_that_no_document_contains() {
    // Ports that a reader may expect; a signature for one would not come from the documents.
    let tcp = [
        636, 3269, 464, 1433, 465, 2525, 717, 475, 1993, 1995, 9955, 81, 3389, 5985, 5986, 137,
        138, 139, 5064, 5070, 5072, 5086, 5087, 4443, 8080, 119, 563, 890,
    ];
    let udp = [123, 464, 137, 138];
    let signatures = signatures();
    for row in signatures.matrix.rows() {
        for (transport, ports) in [(Transport::TCP, &tcp[..]), (Transport::UDP, &udp[..])] {
            for port in ports {
                let entry = row.port_entry(transport, *port);
                assert!(
                    entry.is_none_or(|entry| !matches!(entry.ports, Ports::Single(_))),
                    "{}: {port}",
                    row.id
                );
            }
        }
    }
    for (transport, ports) in [(Transport::TCP, &tcp[..]), (Transport::UDP, &udp[..])] {
        for port in ports {
            let rows: Vec<_> = signatures.matrix.by_port(transport, *port).collect();
            assert!(rows.is_empty(), "{port}: {}", rows[0].id);
        }
    }
    // 444 is the Lync Front End's alone, 587 is no port of an Edge server (contradictions C19).
    for row in signatures.matrix.by_port(Transport::TCP, 444) {
        assert_eq!(row.to_roles, [Role::LyncFrontEnd], "{}", row.id);
    }
    for row in signatures.matrix.by_port(Transport::TCP, 587) {
        assert!(!row.to_roles.contains(&Role::EdgeTransport), "{}", row.id);
    }
}

#[test]
fn a_path_with_the_endpoint_mapper_has_a_dynamic_port() {
    // Contradictions C50.
    for row in signatures().matrix.rows() {
        if row.kind == Kind::DataPath && row.lists(Transport::TCP, 135) {
            assert!(row.has_dynamic(Dynamic::Rpc, Transport::TCP), "{}", row.id);
        }
    }
}

#[test]
fn firewall_rules_name_no_source_and_only_tcp() {
    for row in signatures().matrix.rows() {
        if row.kind == Kind::FirewallRule {
            assert!(row.from_roles.is_empty(), "{}", row.id);
            assert!(
                !row.ports
                    .iter()
                    .any(|entry| entry.transport.admits(Transport::UDP)),
                "{}",
                row.id
            );
        }
    }
}

#[test]
fn edgesync_is_opened_towards_edge_and_nothing_else_uses_its_port() {
    // Contradictions C07, C08, C46.
    let signatures = signatures();
    let rows: Vec<&Row> = signatures.matrix.by_port(Transport::TCP, 50636).collect();
    assert!(rows.len() >= 3);
    for row in rows {
        assert_eq!(row.to_roles, [Role::EdgeTransport], "{}", row.id);
        assert_eq!(&*row.services[0].0, "edgesync", "{}", row.id);
        assert_eq!(row.services.len(), 1, "{}", row.id);
        let from = if row.products == [Product::Exchange2013] {
            Role::Mailbox
        } else {
            Role::HubTransport
        };
        assert_eq!(row.from_roles, [from], "{}", row.id);
    }
}

#[test]
fn unified_messaging_ports_are_secured_as_their_version_says() {
    // Contradictions C03, C11, C12, C40.
    let signatures = signatures();
    let secured = |text: &str, port: u16| {
        row(&signatures, text)
            .port_entry(Transport::TCP, port)
            .unwrap_or_else(|| panic!("{text} has no {port}"))
            .secured
    };
    for port in [5060, 5065, 5067] {
        assert_eq!(secured("ref2010.um.phone", port), Some(false));
    }
    for port in [5061, 5066, 5068] {
        assert_eq!(secured("ref2010.um.phone", port), Some(true));
    }
    for port in [5065, 5066, 5067, 5068] {
        assert_eq!(secured("um2013.listening.worker-process", port), None);
    }
    assert_eq!(secured("um2013.listening.um-service", 5062), Some(false));
    assert_eq!(secured("um2013.listening.um-service", 5063), Some(true));
    for row in signatures.matrix.by_port(Transport::TCP, 5062) {
        let to_2010 = row.to_roles.contains(&Role::UnifiedMessaging);
        assert!(
            !to_2010 || row.from_roles == [Role::ClientAccess],
            "{}",
            row.id
        );
    }
}

#[test]
fn sip_over_udp_is_documented_between_lync_hosts_only() {
    // Contradictions C01.
    let signatures = signatures();
    for port in [5060, 5061] {
        for row in signatures.matrix.by_port(Transport::UDP, port) {
            assert_eq!(&*row.id.0, "blog.lync.sip");
            let roles = row.from_roles.iter().chain(&row.to_roles);
            assert!(roles.clone().all(|role| !role.is_exchange()));
        }
    }
    assert_eq!(
        row(&signatures, "um2013.rule.call-router-no-udp").polarity,
        Some(Polarity::MustNot)
    );
}

#[test]
fn office_communications_server_and_client_access_open_different_ports() {
    // Contradictions C10: 5075-5077 are opened by OCS, 5061 by Client Access.
    let signatures = signatures();
    let pairs = |port: u16, from: Role, to: Role| {
        signatures
            .matrix
            .by_port(Transport::TCP, port)
            .filter(|row| row.from_roles == [from] && row.to_roles == [to])
            .count()
    };
    assert!(pairs(5076, Role::Ocs, Role::ClientAccess) > 0);
    assert_eq!(pairs(5076, Role::ClientAccess, Role::Ocs), 0);
    assert!(pairs(5061, Role::ClientAccess, Role::Ocs) > 0);
    assert_eq!(pairs(5061, Role::Ocs, Role::ClientAccess), 0);
}

#[test]
fn imap_is_on_its_own_ports_whatever_the_note_misprints() {
    // Contradictions C04, C29.
    let signatures = signatures();
    for row in signatures.matrix.by_service(&ServiceId("imap".into())) {
        for entry in &row.ports {
            if let Ports::Single(port) = entry.ports {
                let is_imap = matches!(port, 143 | 993);
                assert!(is_imap || row.services.len() > 1, "{}: {port}", row.id);
            }
        }
    }
}

#[test]
fn the_store_listens_on_6003_on_mailbox_servers_only() {
    // Contradictions C51.
    let signatures = signatures();
    let rows: Vec<&Row> = signatures.matrix.by_port(Transport::TCP, 6003).collect();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].kind, Kind::FirewallRule);
    assert_eq!(rows[0].to_roles, [Role::Mailbox]);
}

#[test]
fn one_row_as_json_is_what_the_document_says() {
    let signatures = signatures();
    let value = serde_json::to_value(row(&signatures, "ref2010.mailbox.clustering")).unwrap();
    assert_eq!(value["document"], "ref2010");
    assert_eq!(value["product"], "exchange2010");
    assert_eq!(value["kind"], "data_path");
    assert_eq!(value["title"], "Clustering");
    assert_eq!(value["direction"], "from_opens");
    assert_eq!(value["ports"][0]["port"], 135);
    assert_eq!(value["ports"][0]["secured"], Value::Null);
    assert_eq!(value["ports"][1]["dynamic"], "rpc");
    assert_eq!(value["ports"][2]["port"], 3343);
    assert_eq!(value["ports"][2]["transport"], "udp");
    assert_eq!(value["ports"][3]["dynamic"], "high");
    assert_eq!(value["encryption"]["supported"], true);
    assert_eq!(value["encryption"]["how"], "IPsec");
    assert_eq!(value["encryption"]["default"], false);
    assert_eq!(value["polarity"], Value::Null);
    assert_eq!(value["check"], Value::Null);
    assert!(value["check_reason"].is_string());
    let value = serde_json::to_value(row(&signatures, "ref2010.um.phone")).unwrap();
    assert_eq!(
        value["ports"][6]["range"],
        serde_json::json!([16000, 17000])
    );
}
