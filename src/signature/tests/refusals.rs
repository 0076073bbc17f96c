//! What the loader refuses, and how it says so.

use super::*;

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
        "unknown transport `tpc`, the nearest known one is `tcp`",
    );
    refused(
        "port = 25 ",
        "dynamic = \"rcp\" ",
        ONE,
        "unknown dynamic port `rcp`, the nearest known one is `rpc`",
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
fn unknown_references_name_the_nearest_known_one_or_the_few_there_are() {
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
        "unknown service `web`, expected one of smtp",
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
        "protocol `smtp`: unknown attribute `baner`, the nearest known one is `banner`",
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
