//! Records have the fields that are promised, with their types.

use super::*;

#[test]
fn flows_have_the_fields_of_the_contract() {
    let (mut certificates, mut interfaces) = (0, 0);
    for name in [
        "exchange2010-site.pcap",
        "um-lync-calls.pcap",
        "mirror-erspan-vlan.pcapng",
    ] {
        let run = Run::of(&["classify", &sample(name), "--format", "jsonl"]);
        for (index, record) in run.records().iter().enumerate() {
            assert_fields(
                record,
                &[
                    "flow",
                    "captures",
                    "transport",
                    "client",
                    "server",
                    "orientation",
                    "tunnel",
                    "first_seen",
                    "last_seen",
                    "packets",
                    "bytes",
                    "state",
                    "protocols",
                    "service",
                    "strength",
                    "because",
                    "rows",
                    "verdict",
                    "encryption",
                    "authentication",
                    "rpc",
                    "findings",
                ],
                &[
                    "handshake_us",
                    "retransmissions",
                    "out_of_order",
                    "zero_windows",
                    "resets",
                ],
            );
            assert_eq!(record["flow"], index + 1);
            for end in ["client", "server"] {
                assert_fields(
                    &record[end],
                    &["address", "port", "roles", "name"],
                    &["name_source"],
                );
            }
            for pair in ["packets", "bytes"] {
                assert_eq!(record[pair].as_array().unwrap().len(), 2);
            }
            for time in ["first_seen", "last_seen"] {
                let text = record[time].as_str().unwrap();
                assert_eq!((text.len(), text.ends_with('Z')), (30, true), "{text}");
            }
            let words = [
                (
                    "orientation",
                    &["handshake", "protocol", "offer", "port", "first_packet"][..],
                ),
                (
                    "verdict",
                    &[
                        "documented",
                        "unproven",
                        "undocumented",
                        "contradicted",
                        "unattributed",
                    ],
                ),
                (
                    "state",
                    &[
                        "attempted",
                        "refused",
                        "established",
                        "closed",
                        "reset",
                        "midstream",
                        "one_way",
                        "two_way",
                    ],
                ),
            ];
            for (field, known) in words {
                assert!(
                    known.contains(&record[field].as_str().unwrap()),
                    "{field}: {}",
                    record[field]
                );
            }
            assert_fields(
                &record["encryption"],
                &[
                    "kind",
                    "version",
                    "cipher",
                    "server_name",
                    "certificate",
                    "mutual",
                ],
                &[],
            );
            certificates += usize::from(record["encryption"]["certificate"].is_object());
            for interface in record["rpc"].as_array().unwrap() {
                assert_fields(
                    interface,
                    &["uuid", "version", "name", "auth_type", "auth_level"],
                    &[
                        "accepted",
                        "operations",
                        "answered",
                        "fastest_us",
                        "slowest_us",
                        "faults",
                    ],
                );
                interfaces += 1;
            }
        }
    }
    assert!(certificates > 0 && interfaces > 0);
}

#[test]
fn findings_have_the_fields_of_the_contract() {
    let topology = sample("perimeter-unhealthy.topology.toml");
    let run = Run::of(&[
        "audit",
        &sample("perimeter-unhealthy.pcap"),
        "--topology",
        &topology,
    ]);
    let records = run.records();
    assert!(records.len() > 10, "{}", records.len());
    for record in &records {
        assert_fields(
            record,
            &[
                "code",
                "name",
                "severity",
                "message",
                "row",
                "flows",
                "evidence",
                "documents",
                "advice",
                "display_filter",
                "fingerprint",
            ],
            &[],
        );
        let code = record["code"].as_str().unwrap();
        assert!(code.len() == 6 && code.starts_with("EXW"), "{code}");
        assert!(["info", "warning", "error"].contains(&record["severity"].as_str().unwrap()));
        for citation in record["documents"].as_array().unwrap() {
            assert_fields(citation, &["document", "table", "quote"], &[]);
        }
        let explained = Run::of(&["explain", code]);
        assert!(explained.out.starts_with(code), "{}", explained.out);
    }
    let classified = Run::of(&[
        "classify",
        &sample("perimeter-unhealthy.pcap"),
        "--topology",
        &topology,
    ])
    .records();
    for record in &records {
        for flow in record["flows"].as_array().unwrap() {
            let flow = &classified[flow.as_u64().unwrap() as usize - 1];
            assert!(
                flow["findings"]
                    .as_array()
                    .unwrap()
                    .contains(&record["code"])
            );
        }
    }
}

#[test]
fn endpoints_have_the_fields_of_the_contract() {
    let mut kinds = BTreeSet::new();
    for name in ["exchange2010-site.pcap", "um-lync-calls.pcap"] {
        for record in Run::of(&["endpoints", &sample(name)]).records() {
            let kind = record["kind"].as_str().unwrap().to_owned();
            match kind.as_str() {
                "rpc" => assert_fields(
                    &record,
                    &[
                        "kind",
                        "address",
                        "port",
                        "transport",
                        "uuid",
                        "version",
                        "name",
                        "service",
                        "annotation",
                        "asked_by",
                        "frame",
                        "flows",
                    ],
                    &[
                        "protocol_sequence",
                        "tower_address",
                        "host_name",
                        "host_name_source",
                    ],
                ),
                "media" => assert_fields(
                    &record,
                    &[
                        "kind",
                        "address",
                        "port",
                        "rtcp_port",
                        "media",
                        "codecs",
                        "profile",
                        "direction",
                        "call_id",
                        "frame",
                        "flows",
                    ],
                    &["transport", "keyed", "host_name", "host_name_source"],
                ),
                other => assert!(["candidate", "relay"].contains(&other), "{other}"),
            }
            kinds.insert(kind);
        }
    }
    assert!(
        kinds.contains("rpc") && kinds.contains("media"),
        "{kinds:?}"
    );
}

#[test]
fn a_name_says_whose_word_it_is() {
    let of = |name: &str, port: u16| -> (Value, Value) {
        let records = Run::of(&["classify", &sample(name)]).records();
        let is_its = |record: &&Value| record["server"]["port"] == port;
        let server = records.iter().find(is_its).unwrap()["server"].clone();
        (server["name"].clone(), server["name_source"].clone())
    };
    let pair = |name: &str, source: &str| (Value::from(name), Value::from(source));
    let site = "exchange2010-site.pcap";
    assert_eq!(of(site, 50636), pair("edge1.example.com", "certificate"));
    // Of the controller a certificate says nothing: its name is what it answers of itself.
    assert_eq!(of(site, 88), pair("dc1.example.com", "announced"));
    let table = |width: &str| {
        let arguments = ["classify", &sample(site), "--format", "table"];
        Run::with(&arguments, |command| {
            command.env("COLUMNS", width);
        })
        .out
    };
    assert!(table("200").contains("10.0.0.10:88 (dc1.example.com) tcp"));
    assert!(
        table("200").contains("(hub1.example.com?)"),
        "of an IPv6 address, by DNS alone"
    );
}

/// Fields of a row in the output contract.
const ROW: &[&str] = &[
    "id",
    "document",
    "table",
    "product",
    "kind",
    "title",
    "from_roles",
    "to_roles",
    "direction",
    "ports",
    "auth_default",
    "auth_supported",
    "encryption",
    "configurable",
    "condition",
    "polarity",
    "program",
    "rule",
    "check",
];

/// What the program prints besides.
const MORE_OF_A_ROW: &[&str] = &[
    "products",
    "check_reason",
    "checks",
    "quote",
    "services",
    "inferred",
];

#[test]
fn rows_have_the_fields_of_the_contract() {
    let run = Run::of(&["matrix", "--format", "json"]);
    let rows: Value = serde_json::from_str(&run.out).unwrap();
    let rows = rows.as_array().unwrap();
    assert!(rows.len() > 100);
    let shapes = ["port", "range", "dynamic"];
    for row in rows {
        assert_fields(row, ROW, MORE_OF_A_ROW);
        let object = row.as_object().unwrap();
        for key in [
            "id",
            "document",
            "table",
            "product",
            "kind",
            "title",
            "direction",
        ] {
            assert!(object[key].is_string(), "{}: {key}", row["id"]);
        }
        for key in ["from_roles", "to_roles", "auth_default", "auth_supported"] {
            assert!(object[key].is_array(), "{}: {key}", row["id"]);
        }
        for key in [
            "configurable",
            "condition",
            "polarity",
            "program",
            "rule",
            "check",
        ] {
            assert!(
                object[key].is_string() || object[key].is_null(),
                "{}: {key}",
                row["id"]
            );
        }
        assert_fields(&row["encryption"], &["supported", "how", "default"], &[]);
        for port in object["ports"].as_array().unwrap() {
            let port = port.as_object().unwrap();
            let shape: Vec<&str> = shapes
                .into_iter()
                .filter(|shape| port.contains_key(*shape))
                .collect();
            assert_eq!(shape.len(), 1, "{}", row["id"]);
            match shape[0] {
                "port" => assert!(port["port"].is_u64()),
                "range" => {
                    let ends: Vec<u64> = port["range"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .filter_map(Value::as_u64)
                        .collect();
                    assert!(matches!(ends[..], [first, last] if first < last));
                }
                _ => assert!(port["dynamic"].is_string()),
            }
            assert!(
                matches!(port["transport"].as_str(), Some("tcp" | "udp" | "both")),
                "{}",
                row["id"]
            );
            assert!(port.contains_key("protocol") && port.contains_key("secured"));
            for key in port.keys() {
                let is_known = ["transport", "protocol", "secured", "reversed", "services"]
                    .contains(&key.as_str())
                    || shapes.contains(&key.as_str());
                assert!(is_known, "{}: {key}", row["id"]);
            }
        }
    }
    let of_port = Run::of(&["matrix", "--port", "50636", "--format", "jsonl"]).records();
    assert!(!of_port.is_empty() && of_port.len() < rows.len());
    let lists = |entry: &Value| {
        let range = entry["range"].as_array().map(|ends| {
            let [first, last] = [0, 1].map(|end| ends[end].as_u64().unwrap());
            (first..=last).contains(&50636)
        });
        entry["port"] == 50636 || range == Some(true)
    };
    for row in &of_port {
        let ports = row["ports"].as_array().unwrap();
        assert!(ports.iter().any(lists), "{row}");
    }
}
