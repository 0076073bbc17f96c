//! What the loader accepts and refuses, with the place and the words of each refusal; overrides, search, roles.

use std::path::PathBuf;

use super::load::Loader;
use super::*;

mod lookups;
mod overriding;
mod refusals;

const VOCABULARY: Vocabulary<'static> = Vocabulary {
    protocols: &[
        ("smtp", &["banner"]),
        ("dcerpc", &["bound"]),
        ("http", &["path", "server"]),
    ],
};

const HEAD: &str =
    "document = \"ref2010\"\ntable = \"Transport\"\nproducts = [\"exchange2010\"]\n\n";

const ROW: &str = r#"[[row]]
id = "ref2010.test.one"
kind = "data_path"
title = "One"
from_roles = ["hub_transport"]
to_roles = ["edge_transport"]
direction = "from_opens"
ports = [{ transport = "tcp", port = 25 }]
services = ["smtp"]
"#;

const RULE: &str = r#"[[row]]
id = "ref2010.rule.one"
kind = "rule"
title = "A rule"
from_roles = []
to_roles = []
direction = "not_stated"
ports = []
polarity = "must"
rule = "Something holds."
services = []
check = "EXW201"
"#;

const SERVICE: &str = r#"[[service]]
id = "smtp"
name = "Mail"
protocols = ["smtp"]
proof = [{ protocol = "smtp", attribute = "banner", prefix = "220" }]
source = "RFC 5321"
"#;

const INTERFACE: &str = r#"[[interface]]
uuid = "a4f1db00-ca47-1067-b31f-00dd010662da"
versions = ["0.81"]
name = "EMSMDB"
service = "smtp"
sure = "M"
kind = "service"
"#;

/// Everything that can stand in a file, once.
fn whole() -> String {
    [HEAD, ROW, RULE, SERVICE, INTERFACE].concat()
}

fn load(files: &[(&str, &str)]) -> Result<Vec<Row>, SignatureError> {
    let mut loader = Loader::default();
    for (name, text) in files {
        loader.text(name, text)?;
    }
    loader.finish(&VOCABULARY).map(|(rows, ..)| rows)
}

/// File, line, row and message of the refusal.
fn refusal(files: &[(&str, &str)]) -> (String, usize, Option<String>, String) {
    match load(files).unwrap_err() {
        SignatureError::Wrong {
            file,
            line,
            row,
            message,
        } => (file, line, row, message),
        other => panic!("expected a place in a file, found {other}"),
    }
}

/// The refusal of the whole file after one change: its row, its message, and its line.
#[track_caller]
fn refused(from: &str, to: &str, id: &str, message: &str) {
    let whole = whole();
    let at = whole.find(from).unwrap();
    let (file, line, row, found) = refusal(&[("own.toml", &whole.replacen(from, to, 1))]);
    assert_eq!(found, message);
    assert_eq!(row.as_deref(), Some(id));
    assert_eq!(file, "own.toml");
    let line_of = |at: usize| whole[..at].matches('\n').count() + 1;
    // Either the changed line itself, or the header of its table.
    let (changed, header) = (line_of(at), line_of(whole[..at].rfind("[[").unwrap()));
    assert!(
        line == changed || line == header,
        "expected line {changed} or {header}, found {line}"
    );
}

const ONE: &str = "ref2010.test.one";

const RULE_ONE: &str = "ref2010.rule.one";

const EMSMDB: &str = "a4f1db00-ca47-1067-b31f-00dd010662da";

#[test]
fn the_sample_itself_is_accepted() {
    let rows = load(&[("own.toml", &whole())]).unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(&*rows[0].id.0, ONE);
    assert_eq!(rows[0].from_roles, [Role::HubTransport]);
    assert_eq!(&*rows[0].product, "exchange2010");
    assert_eq!(rows[1].check.as_deref(), Some("EXW201"));
    assert_eq!(rows[1].check_reason, None);
}

#[test]
fn the_example_of_the_readme_is_accepted() {
    let readme = include_str!("../../../signatures/README.md");
    let examples: Vec<&str> = readme
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert_eq!(examples.len(), 3);
    let services = "[[service]]\nid = \"owa\"\nname = \"x\"\nprotocols = []\nsource = \"x\"\n\
                    [[service]]\nid = \"log_shipping\"\nname = \"x\"\nprotocols = []\nsource = \"x\"\n\
                    [[service]]\nid = \"mapi\"\nname = \"x\"\nprotocols = []\nsource = \"x\"\n";
    let files: Vec<(&str, &str)> = [("services.toml", services)]
        .into_iter()
        .chain(
            examples
                .iter()
                .map(|example| ("signatures/README.md", *example)),
        )
        .collect();
    assert_eq!(load(&files).unwrap().len(), 1);
}

/// The compiled-in files with ports changed. What conditions may name is checked against the decoders elsewhere: here every
/// protocol has every attribute.
fn with_ports(ports: &[&str]) -> Result<Matrix, SignatureError> {
    let services = include_str!("../../../signatures/services.toml");
    let words = |key: &str| -> Vec<&'static str> {
        services
            .split(&format!("{key} = \""))
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect()
    };
    let attributes = words("attribute");
    let protocols: Vec<(&str, &[&str])> = words("protocol")
        .into_iter()
        .map(|protocol| (protocol, attributes.as_slice()))
        .collect();
    let overrides = Overrides {
        directories: Vec::new(),
        ports: ports.iter().map(|text| text.parse().unwrap()).collect(),
    };
    let known = Vocabulary {
        protocols: &protocols,
    };
    Signatures::load(&overrides, &known).map(|signatures| signatures.matrix)
}

fn ids(matrix: &Matrix, transport: Transport, port: u16) -> Vec<String> {
    matrix
        .by_port(transport, port)
        .map(|row| row.id.to_string())
        .collect()
}
