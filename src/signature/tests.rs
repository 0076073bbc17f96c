//! What the loader accepts and refuses, with the place and the words of each refusal; overrides, search, roles.

use std::path::PathBuf;

use super::load::Loader;
use super::*;

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
    let readme = include_str!("../../signatures/README.md");
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

#[test]
fn an_unknown_key_names_file_line_and_row() {
    let text = whole().replacen("title = \"One\"", "tittle = \"One\"", 1);
    let (file, line, row, message) = refusal(&[("own.toml", &text)]);
    assert_eq!(
        (file.as_str(), line, row.as_deref()),
        ("own.toml", 8, Some(ONE))
    );
    assert!(
        message.starts_with("unknown field `tittle`, expected one of `id`, "),
        "{message}"
    );
    let error = load(&[("own.toml", &text)]).unwrap_err().to_string();
    assert!(
        error.starts_with("own.toml:8: `ref2010.test.one`: unknown field `tittle`"),
        "{error}"
    );
}

#[test]
fn an_unknown_key_of_a_file_a_service_and_an_interface_is_refused() {
    let (_, line, row, message) = refusal(&[("own.toml", "documnet = \"x\"\n")]);
    assert_eq!((line, row), (1, None));
    assert!(message.starts_with("unknown field `documnet`"), "{message}");
    let text = whole().replacen("name = \"Mail\"", "nmae = \"Mail\"", 1);
    let (_, line, row, message) = refusal(&[("own.toml", &text)]);
    assert_eq!(line, 28);
    assert_eq!(row.as_deref(), Some("smtp"));
    assert!(message.starts_with("unknown field `nmae`"), "{message}");
    let text = whole().replacen("sure = \"M\"", "shure = \"M\"", 1);
    let (_, _, row, message) = refusal(&[("own.toml", &text)]);
    assert_eq!(row.as_deref(), Some(EMSMDB));
    assert!(message.starts_with("unknown field `shure`"), "{message}");
}

#[test]
fn broken_toml_names_its_line() {
    let (file, line, row, _) = refusal(&[("own.toml", "document = \"x\"\ntable = = 1\n")]);
    assert_eq!((file.as_str(), line, row), ("own.toml", 2, None));
}

#[test]
fn unknown_words_name_the_nearest_known_one() {
    refused(
        "\"hub_transport\"",
        "\"hub_tranport\"",
        ONE,
        "unknown role `hub_tranport`, the nearest known one is `hub_transport`",
    );
    refused(
        "direction = \"from_opens\"",
        "products = [\"exchange2011\"]\ndirection = \"from_opens\"",
        ONE,
        "unknown product `exchange2011`, the nearest known one is `exchange2010`",
    );
    refused(
        "kind = \"data_path\"",
        "kind = \"data_paths\"",
        ONE,
        "unknown kind `data_paths`, the nearest known one is `data_path`",
    );
    refused(
        "transport = \"tcp\"",
        "transport = \"tpc\"",
        ONE,
        "unknown transport `tpc`",
    );
    refused(
        "port = 25 ",
        "dynamic = \"rcp\" ",
        ONE,
        "unknown dynamic port `rcp`",
    );
    refused(
        "port = 25 ",
        "dynamic = \"ephemerel\" ",
        ONE,
        "unknown dynamic port `ephemerel`, the nearest known one is `ephemeral`",
    );
    refused(
        "direction = \"from_opens\"",
        "direction = \"from_open\"",
        ONE,
        "unknown direction `from_open`, the nearest known one is `from_opens`",
    );
    refused(
        "polarity = \"must\"",
        "polarity = \"must_nott\"",
        RULE_ONE,
        "unknown polarity `must_nott`, the nearest known one is `must_not`",
    );
    refused(
        "kind = \"service\"",
        "kind = \"servce\"",
        EMSMDB,
        "unknown kind of interface `servce`, the nearest known one is `service`",
    );
}

#[test]
fn unknown_references_name_the_nearest_known_one() {
    refused(
        "services = [\"smtp\"]",
        "services = [\"smpt\"]",
        ONE,
        "unknown service `smpt`, the nearest known one is `smtp`",
    );
    refused(
        "services = [\"smtp\"]",
        "services = [\"web\"]",
        ONE,
        "unknown service `web`",
    );
    refused(
        "service = \"smtp\"",
        "service = \"smtps\"",
        EMSMDB,
        "unknown service `smtps`, the nearest known one is `smtp`",
    );
    refused(
        "check = \"EXW201\"",
        "check = \"EXW208\"",
        RULE_ONE,
        "unknown check `EXW208`, the nearest known one is `EXW108`",
    );
    refused(
        "protocol = \"smtp\"",
        "protocol = \"smtpd\"",
        "smtp",
        "unknown protocol `smtpd`, the nearest known one is `smtp`",
    );
    refused(
        "attribute = \"banner\"",
        "attribute = \"baner\"",
        "smtp",
        "unknown attribute `baner` of protocol `smtp`, the nearest known one is `banner`",
    );
}

#[test]
fn a_service_of_a_later_file_is_known() {
    assert!(load(&[("a.toml", &[HEAD, ROW].concat()), ("b.toml", SERVICE)]).is_ok());
}

#[test]
fn duplicates_name_the_earlier_place() {
    let already = |what: &str, place: &str| {
        format!(
            "expected a new {what}, found one that {place} has already (set `replace = true` to replace it)"
        )
    };
    let other = [HEAD, ROW].concat();
    let (file, line, row, message) = refusal(&[("own.toml", &whole()), ("other.toml", &other)]);
    assert_eq!(
        (file.as_str(), line, row.as_deref()),
        ("other.toml", 5, Some(ONE))
    );
    assert_eq!(message, already("row", "own.toml:5"));
    let (file, line, row, message) = refusal(&[("own.toml", &whole()), ("other.toml", SERVICE)]);
    assert_eq!(
        (file.as_str(), line, row.as_deref()),
        ("other.toml", 1, Some("smtp"))
    );
    assert_eq!(message, already("service", "own.toml:26"));
    let (_, line, row, message) = refusal(&[("own.toml", &[&whole(), INTERFACE].concat())]);
    assert_eq!((line, row.as_deref()), (39, Some(EMSMDB)));
    assert_eq!(message, already("interface", "own.toml:32"));
}

#[test]
fn an_interface_may_stand_twice_only_with_other_versions() {
    let second = INTERFACE.replace("[\"0.81\"]", "[\"1.0\"]");
    assert!(load(&[("own.toml", &[&whole(), second.as_str()].concat())]).is_ok());
    let overlapping = INTERFACE.replace("[\"0.81\"]", "[\"1.0\", \"0.81\"]");
    let (_, _, row, message) = refusal(&[("own.toml", &[&whole(), overlapping.as_str()].concat())]);
    assert_eq!(row.as_deref(), Some(EMSMDB));
    assert!(message.starts_with("expected a new interface"), "{message}");
}

#[test]
fn impossible_ports_are_refused() {
    for (port, found) in [("0", "0"), ("70000", "70000"), ("-1", "-1")] {
        refused(
            "port = 25",
            &format!("port = {port}"),
            ONE,
            &format!("expected a port from 1 to 65535, found {found}"),
        );
    }
    refused(
        "port = 25",
        "range = [0, 70000]",
        ONE,
        "expected a port from 1 to 65535, found 0",
    );
    refused(
        "port = 25",
        "range = [17000, 16000]",
        ONE,
        "expected a range from a lower to a higher port, found 17000 to 16000",
    );
    refused(
        "port = 25",
        "range = [25, 25]",
        ONE,
        "expected a range from a lower to a higher port, found 25 to 25",
    );
    let one = "expected exactly one of `port`, `range` and `dynamic`";
    refused("port = 25", "port = 25, range = [25, 26]", ONE, one);
    refused("port = 25", "port = 25, dynamic = \"rpc\"", ONE, one);
    refused("port = 25", "range = [25, 26], dynamic = \"rpc\"", ONE, one);
    refused(", port = 25", "", ONE, one);
    refused(
        "ports = [{ transport = \"tcp\", port = 25 }]",
        "ports = []",
        ONE,
        "expected at least one port in a data path, found none",
    );
}

#[test]
fn a_rule_has_a_check_or_a_reason_but_not_both() {
    refused(
        "check = \"EXW201\"\n",
        "",
        RULE_ONE,
        "expected `check` or `unchecked` in a rule, found neither",
    );
    refused(
        "check = \"EXW201\"",
        "check = \"EXW201\"\nunchecked = \"no\"",
        RULE_ONE,
        "expected `check` or `unchecked`, found both",
    );
    refused(
        "rule = \"Something holds.\"\n",
        "",
        RULE_ONE,
        "expected `rule` in words, found none",
    );
    refused(
        "polarity = \"must\"\n",
        "",
        RULE_ONE,
        "expected `polarity` in a rule, found none",
    );
}

#[test]
fn an_unchecked_rule_keeps_its_reason() {
    let text = whole().replace("check = \"EXW201\"", "unchecked = \"not on the wire\"");
    let rows = load(&[("own.toml", &text)]).unwrap();
    assert_eq!(rows[1].check, None);
    assert_eq!(rows[1].check_reason.as_deref(), Some("not on the wire"));
}

#[test]
fn what_a_row_must_have_is_asked_for() {
    refused(
        "to_roles = [\"edge_transport\"]\n",
        "",
        ONE,
        "missing field `to_roles`",
    );
    refused(
        "direction = \"from_opens\"\n",
        "",
        ONE,
        "missing field `direction`",
    );
    refused(
        "services = [\"smtp\"]\n",
        "",
        ONE,
        "missing field `services`",
    );
    for (key, message) in [
        (
            "document",
            "expected `document` at the head of the file, found none",
        ),
        ("table", "expected `table`, found none"),
        ("products", "expected `products`, found none"),
    ] {
        let head: String = HEAD
            .lines()
            .filter(|line| !line.starts_with(key))
            .map(|line| format!("{line}\n"))
            .collect();
        let (_, line, row, found) = refusal(&[("own.toml", &[&head, ROW, SERVICE].concat())]);
        assert_eq!((line, row.as_deref()), (4, Some(ONE)));
        assert_eq!(found, message);
    }
    let (_, _, _, found) = refusal(&[("own.toml", &whole().replace("[\"exchange2010\"]", "[]"))]);
    assert_eq!(found, "expected `products`, found none");
}

#[test]
fn an_id_has_only_letters_digits_dots_and_hyphens() {
    for id in ["", "Ref2010.one", "ref2010 one", "ref2010_one"] {
        let text = whole().replace(ONE, id);
        let (_, _, row, message) = refusal(&[("own.toml", &text)]);
        assert_eq!(row.as_deref(), Some(id));
        assert_eq!(
            message,
            format!("expected an id of a-z, 0-9, `.` and `-`, found `{id}`")
        );
    }
}

#[test]
fn a_port_names_only_services_of_its_row() {
    let text = whole().replace("port = 25 }", "port = 25, services = [\"smtp\"] }");
    let rows = load(&[("own.toml", &text)]).unwrap();
    assert_eq!(rows[0].ports[0].services, [ServiceId("smtp".into())]);
    refused(
        "port = 25 }",
        "port = 25, services = [\"dns\"] }",
        ONE,
        "expected a service of the row at its port, found `dns`",
    );
}

#[test]
fn a_test_needs_an_attribute_and_a_text() {
    refused(
        "attribute = \"banner\", ",
        "",
        "smtp",
        "expected `attribute` beside a test, found none",
    );
    refused(
        "prefix = \"220\"",
        "prefix = []",
        "smtp",
        "expected a text or a list of texts in a test, found an empty one",
    );
    refused(
        "prefix = \"220\"",
        "contains = [\"ESMTP\", \"\"]",
        "smtp",
        "expected a text or a list of texts in a test, found an empty one",
    );
}

#[test]
fn a_condition_may_come_with_others_once() {
    let further = "{ protocol = \"smtp\", attribute = \"banner\", equals = \"DSN\" }";
    let with = |further: &str| format!("prefix = \"220\", with = [{further}]");
    let text = whole().replace("prefix = \"220\"", &with(further));
    assert!(load(&[("own.toml", &text)]).is_ok());
    refused(
        "prefix = \"220\"",
        &with("{ protocol = \"smtp\", attribute = \"banner\", with = [{ protocol = \"smtp\" }] }"),
        "smtp",
        "expected `with` once in a condition, found one inside another",
    );
}

#[test]
fn the_whole_that_a_service_is_part_of_must_be_known() {
    refused(
        "protocols = [\"smtp\"]",
        "protocols = [\"smtp\"]\npart_of = \"smpt\"",
        "smtp",
        "unknown service `smpt`, the nearest known one is `smtp`",
    );
}

#[test]
fn an_interface_version_has_two_numbers() {
    for version in ["1", "1.x", "1.70000", "v1.0", ""] {
        refused(
            "\"0.81\"",
            &format!("\"{version}\""),
            EMSMDB,
            &format!("expected a version such as `1.0`, found `{version}`"),
        );
    }
}

#[test]
fn replace_replaces_what_other_files_said() {
    let changed = [HEAD, ROW]
        .concat()
        .replace("port = 25", "port = 2500")
        .replace("document =", "replace = true\ndocument =");
    let rows = load(&[("own.toml", &whole()), ("other.toml", &changed)]).unwrap();
    assert_eq!(rows.len(), 2);
    let row = rows.iter().find(|row| &*row.id.0 == ONE).unwrap();
    assert_eq!(row.ports[0].ports, Ports::Single(2500));
    // Inside one file a second row of the same id stays a mistake.
    let twice = [changed.as_str(), ROW].concat();
    let (_, line, row, message) = refusal(&[("own.toml", &whole()), ("other.toml", &twice)]);
    assert_eq!((line, row.as_deref()), (15, Some(ONE)));
    assert!(message.contains("other.toml:6"), "{message}");
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("exwire-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn a_folder_is_read_in_order_of_names_and_only_its_toml_files() {
    let folder = folder("signatures");
    std::fs::write(folder.join("b.toml"), SERVICE).unwrap();
    std::fs::write(folder.join("a.toml"), [HEAD, ROW].concat()).unwrap();
    std::fs::write(folder.join("notes.txt"), "not TOML").unwrap();
    let mut loader = Loader::default();
    loader.folder(&folder).unwrap();
    assert_eq!(loader.finish(&VOCABULARY).unwrap().0.len(), 1);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_folder_without_toml_files_is_refused() {
    let folder = folder("empty");
    std::fs::write(folder.join("notes.txt"), "not TOML").unwrap();
    let error = Loader::default().folder(&folder).unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "{}: expected 1 to 1000 .toml files, found 0",
            folder.display()
        )
    );
    std::fs::remove_dir_all(&folder).unwrap();
    let error = Loader::default().folder(&folder).unwrap_err();
    assert!(matches!(error, SignatureError::Read { .. }), "{error}");
}

#[test]
fn port_overrides_are_read_in_four_forms() {
    for text in [
        "log_shipping=64400",
        "log_shipping=tcp/64400",
        "media=50000-59999",
        "media=udp/50000-59999",
        "um2013.listening.call-router=tcp/5080",
    ] {
        assert_eq!(text.parse::<PortOverride>().unwrap().to_string(), text);
    }
    let spaced: PortOverride = " log_shipping = 64400 ".parse().unwrap();
    assert_eq!(spaced.to_string(), "log_shipping=64400");
}

#[test]
fn port_overrides_that_mean_nothing_are_refused() {
    for text in [
        "",
        "64400",
        "log_shipping",
        "log_shipping=",
        "=64400",
        "log_shipping=0",
        "log_shipping=65536",
        "log_shipping=-5",
        "log_shipping=5-",
        "log_shipping=9-9",
        "log_shipping=9-8",
        "log_shipping=tcp/",
        "log_shipping=1,2",
    ] {
        assert_eq!(
            text.parse::<PortOverride>().unwrap_err(),
            format!(
                "expected SERVICE=PORT, SERVICE=FIRST-LAST or SERVICE=tcp/PORT, found `{text}`"
            )
        );
    }
    assert_eq!(
        "log_shipping=sctp/1".parse::<PortOverride>().unwrap_err(),
        "unknown transport `sctp`, the nearest known one is `tcp`"
    );
}

/// The compiled-in files with ports changed. What conditions may name is checked against the decoders elsewhere: here every
/// protocol has every attribute.
fn with_ports(ports: &[&str]) -> Result<Matrix, SignatureError> {
    let services = include_str!("../../signatures/services.toml");
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

#[test]
fn a_changed_log_shipping_port_moves_its_rows() {
    let before = with_ports(&[]).unwrap();
    let after = with_ports(&["log_shipping=64400"]).unwrap();
    let paths = ["ref2010.mailbox.log-shipping", "ref2010.mailbox.seeding"];
    for id in paths {
        assert!(ids(&before, Transport::TCP, 64327).contains(&id.to_owned()));
        assert!(!ids(&before, Transport::TCP, 64400).contains(&id.to_owned()));
        assert!(!ids(&after, Transport::TCP, 64327).contains(&id.to_owned()));
        assert!(ids(&after, Transport::TCP, 64400).contains(&id.to_owned()));
    }
}

#[test]
fn a_changed_port_leaves_the_ports_of_other_services_alone() {
    let id = |text: &str| RowId(text.into());
    let ports = |matrix: &Matrix, row: &str| -> Vec<String> {
        let row = matrix.row(&id(row)).unwrap();
        row.ports.iter().map(ToString::to_string).collect()
    };
    let matrix = with_ports(&["ldap=1389", "mapi=6005", "um_sip=5080"]).unwrap();
    assert_eq!(
        ports(&matrix, "ref2010.mailbox.active-directory"),
        [
            "1389/tcp+udp",
            "3268/tcp",
            "88/tcp+udp",
            "53/tcp+udp",
            "135/tcp",
            "dynamic rpc/tcp"
        ]
    );
    // The endpoint mapper stays; the dynamic port may now be this one.
    assert_eq!(
        ports(&matrix, "ref2010.mailbox.mapi-access"),
        ["135/tcp", "6005/tcp", "dynamic rpc/tcp"]
    );
    assert_eq!(
        ports(&matrix, "ref2010.um.phone"),
        ["5080/tcp", "16000-17000/tcp", "1024-65535/udp"]
    );
}

#[test]
fn a_port_that_several_services_share_stays_beside_the_new_one() {
    let matrix = with_ports(&["owa=8443"]).unwrap();
    let row = matrix.row(&RowId("mail2013.clients.https".into())).unwrap();
    let ports: Vec<String> = row.ports.iter().map(ToString::to_string).collect();
    assert_eq!(ports, ["443/tcp", "8443/tcp"]);
    assert_eq!(row.ports[1].services, [ServiceId("owa".into())]);
}

#[test]
fn a_row_can_be_moved_alone() {
    let matrix = with_ports(&["um2013.listening.call-router=5080"]).unwrap();
    let router = "um2013.listening.call-router".to_owned();
    assert!(ids(&matrix, Transport::TCP, 5080).contains(&router));
    assert!(!ids(&matrix, Transport::TCP, 5061).contains(&router));
    let service = "um2013.listening.um-service".to_owned();
    assert!(ids(&matrix, Transport::TCP, 5062).contains(&service));
}

#[test]
fn an_override_of_what_no_row_has_is_refused() {
    let refusal = |text: &str| with_ports(&[text]).unwrap_err().to_string();
    assert_eq!(
        refusal("log_shiping=64400"),
        "--port log_shiping=64400: unknown service `log_shiping`, the nearest known one is `log_shipping`"
    );
    assert_eq!(
        refusal("um2013.listening.call-ruoter=5080"),
        "--port um2013.listening.call-ruoter=5080: unknown row `um2013.listening.call-ruoter`, \
         the nearest known one is `um2013.listening.call-router`"
    );
    assert_eq!(
        refusal("powershell=5986"),
        "--port powershell=5986: expected a service with a port in the matrix, found `powershell`, which has none"
    );
}

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
