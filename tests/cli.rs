//! The program as a user meets it: exit status, messages, shapes of the output.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    unreachable_pub,
    missing_docs,
    reason = "a test may panic"
)]

mod cli_support;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use cli_support::{Run, folder_with, names, sample};
use serde_json::Value;

const SCANNING: [&str; 4] = ["classify", "audit", "endpoints", "calls"];

#[test]
fn a_missing_file_is_named() {
    for command in SCANNING {
        Run::of(&[command, "no-such.pcap"]).assert_fails(
            2,
            &["error: no-such.pcap: expected a capture or a folder, found no such file"],
        );
    }
}

#[test]
fn what_is_no_capture_is_said_to_be_what_it_is() {
    let pdf = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n";
    let cases: [(&str, &[u8], &str); 4] = [
        ("empty.pcap", b"", "expected a capture, found an empty file"),
        (
            "notes.pcap",
            b"hello, world\n",
            "expected a capture (pcap, pcapng, snoop or Network Monitor), found text",
        ),
        (
            "report.pcap",
            pdf,
            "expected a capture (pcap, pcapng, snoop or Network Monitor), found a PDF document",
        ),
        (
            "noise.pcap",
            &[0xee; 64],
            "expected a capture (pcap, pcapng, snoop or Network Monitor), found",
        ),
    ];
    for (name, bytes, said) in cases {
        let (_folder, path) = folder_with(name, bytes);
        Run::of(&["classify", &path]).assert_fails(2, &["error: ", &path, said]);
    }
}

#[test]
fn a_folder_without_captures_is_an_error_and_one_with_captures_passes_the_rest_over() {
    let (folder, _) = folder_with("notes.txt", b"hello");
    let path = folder.path().to_str().unwrap();
    Run::of(&["classify", path]).assert_fails(
        2,
        &[
            path,
            "expected a folder with captures, found none (files: 1)",
        ],
    );
    fs::copy(
        sample("um-lync-calls.pcap"),
        folder.path().join("calls.pcap"),
    )
    .unwrap();
    let run = Run::of(&["classify", path]);
    assert_eq!(run.status, 0, "{}", run.err);
    assert_eq!(run.records().len(), 21);
    run.assert_says(&["1 files in folders are no captures", "notes.txt"]);
}

#[test]
fn a_truncated_capture_gives_what_was_readable_and_status_3() {
    let whole = fs::read(sample("um-lync-calls.pcap")).unwrap();
    let (_folder, path) = folder_with("cut.pcap", &whole[..20_000]);
    let run = Run::of(&["classify", &path]);
    assert_eq!(run.status, 3, "{}", run.err);
    let packets: u64 = run
        .records()
        .iter()
        .flat_map(|record| record["packets"].as_array().unwrap().clone())
        .map(|packets| packets.as_u64().unwrap())
        .sum();
    assert_eq!(packets, 103, "all packets before the cut");
    run.assert_says(&[&format!(
        "warning: {path}: truncated at byte 19701: expected a record of at least 400 bytes, \
         found the end of the file after 299"
    )]);
}

#[test]
fn a_missing_capture_beside_a_good_one_is_partial() {
    let run = Run::of(&["endpoints", &sample("um-lync-calls.pcap"), "no-such.pcap"]);
    assert_eq!(run.status, 3, "{}", run.err);
    assert_eq!(run.records().len(), 12);
    run.assert_says(&["warning: no-such.pcap: expected a capture or a folder"]);
}

#[test]
fn unknown_words_are_answered_with_the_nearest_known_one() {
    let calls = sample("um-lync-calls.pcap");
    let cases: [(&[&str], &str); 9] = [
        (&["clasify", &calls], "'classify'"),
        (&["classify", &calls, "--fromat", "csv"], "'--format'"),
        (
            &["classify", &calls, "--format", "jsno"],
            "unknown format `jsno`, the nearest known one is `json`",
        ),
        (
            &["classify", &calls, "--port", "log_shiping=64400"],
            "unknown service `log_shiping`, the nearest known one is `log_shipping`",
        ),
        (&["audit", &calls, "--fail-on", "warn"], "'warning'"),
        (
            &["matrix", "--role", "mailbx"],
            "unknown role `mailbx`, the nearest known one is `mailbox`",
        ),
        (
            &["matrix", "--product", "exchang2010"],
            "the nearest known one is `exchange2010`",
        ),
        (
            &["matrix", "--service", "smtq"],
            "unknown service `smtq`, the nearest known one is `smtp`",
        ),
        (
            &["explain", "EXW20"],
            "unknown code `EXW20`, the nearest known one is `EXW201`",
        ),
    ];
    for (arguments, said) in cases {
        Run::of(arguments).assert_fails(2, &["error: ", said]);
    }
}

#[test]
fn wrong_values_are_answered_with_what_was_expected() {
    let calls = sample("um-lync-calls.pcap");
    let cases: [(&[&str], &[&str]); 6] = [
        (&["classify"], &["<CAPTURE>..."]),
        (
            &["classify", &calls, "--threads", "0"],
            &["'--threads <N>'", "1..=256"],
        ),
        (
            &["classify", &calls, "--chain", "--separate"],
            &["'--chain'", "'--separate'"],
        ),
        (
            &["classify", &calls, "--port", "smtp=0"],
            &["expected SERVICE=PORT", "found `smtp=0`"],
        ),
        (
            &["matrix", "--port", "70000"],
            &["expected a port from 1 to 65535", "found `70000`"],
        ),
        (&["classify", "-", "-"], &["expected standard input once"]),
    ];
    for (arguments, said) in cases {
        Run::of(arguments).assert_fails(2, said);
    }
}

#[cfg(feature = "libpcap")]
#[test]
fn a_filter_admits_its_packets_and_a_bad_one_is_said() {
    let calls = sample("um-lync-calls.pcap");
    Run::of(&["classify", &calls, "--filter", "tcp_port"]).assert_fails(
        2,
        &["error: filter `tcp_port`: expected an expression for link type 1, found: "],
    );
    let run = Run::of(&["classify", &calls, "--filter", "tcp port 5060"]);
    assert_eq!(run.status, 0);
    let records = run.records();
    assert_eq!(records.len(), 4);
    for record in records {
        assert_eq!(record["transport"], "tcp");
        assert_eq!(record["server"]["port"], 5060);
    }
}

#[test]
fn a_mistake_in_a_topology_is_named_with_its_line() {
    let text = b"[[host]]\naddresses = [\"10.0.0.1\"]\nroles = [\"mailbx\"]\n";
    let (_folder, path) = folder_with("site.toml", text);
    Run::of(&["audit", &sample("um-lync-calls.pcap"), "--topology", &path]).assert_fails(
        2,
        &[&format!("{path}:3: "), "the nearest known one is `mailbox`"],
    );
    Run::of(&[
        "audit",
        &sample("um-lync-calls.pcap"),
        "--topology",
        "no-such.toml",
    ])
    .assert_fails(2, &["no-such.toml"]);
}

#[test]
fn a_mistake_in_a_signature_is_named_with_its_line() {
    let text =
        b"[[service]]\nid = \"pager\"\nname = \"Pager\"\nprotocls = [\"smtp\"]\nsource = \"us\"\n";
    let (folder, path) = folder_with("own.toml", text);
    let folder = folder.path().to_str().unwrap();
    for arguments in [
        vec!["classify", "no-such.pcap", "--signatures", folder],
        vec!["matrix", "--signatures", folder],
        vec!["explain", "--signatures", folder],
    ] {
        Run::of(&arguments).assert_fails(2, &[&format!("{path}:4: "), "protocls"]);
    }
}

#[test]
fn a_signature_of_ones_own_is_used() {
    let text = b"[[service]]\nid = \"pager\"\nname = \"Pager\"\nprotocols = [\"smtp\"]\n\
                 proof = [{ protocol = \"smtp\", attribute = \"banner\" }]\nsource = \"us\"\n";
    let (folder, _) = folder_with("own.toml", text);
    let run = Run::of(&[
        "classify",
        &sample("perimeter-unhealthy.pcap"),
        "--signatures",
        folder.path().to_str().unwrap(),
    ]);
    assert_eq!(run.status, 0, "{}", run.err);
    let said = |record: &Value| {
        record["because"].to_string().contains("Pager") || record["service"] == "pager"
    };
    assert!(run.records().iter().any(said));
}

/// The verdict and the rows of the only flow with that server port.
fn verdict_at(records: &[Value], port: u16) -> (String, usize) {
    let mut found = records
        .iter()
        .filter(|record| record["server"]["port"] == port);
    let record = found.next().unwrap();
    assert!(found.next().is_none());
    (
        record["verdict"].as_str().unwrap().to_owned(),
        record["rows"].as_array().unwrap().len(),
    )
}

#[test]
fn a_changed_port_is_documented_in_place_of_the_printed_one() {
    let capture = sample("perimeter-unhealthy.pcap");
    let plain = Run::of(&["classify", &capture]).records();
    let changed = Run::of(&["classify", &capture, "--port", "smtp=2526"]).records();
    assert_eq!(verdict_at(&plain, 2526), ("undocumented".to_owned(), 0));
    let (verdict, rows) = verdict_at(&changed, 2526);
    assert_eq!(verdict, "documented");
    assert!(rows > 0);

    let run = Run::of(&[
        "matrix",
        "--port",
        "log_shipping=64400",
        "--service",
        "log_shipping",
        "--format",
        "jsonl",
    ]);
    assert_eq!(run.status, 0, "{}", run.err);
    let listed = |port: u16| {
        run.records()
            .iter()
            .any(|row| row["ports"].to_string().contains(&port.to_string()))
    };
    assert!(listed(64400));
}

#[test]
fn standard_input_is_read_plain_and_compressed() {
    let path = sample("um-lync-calls.pcap");
    let bytes = fs::read(&path).unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&bytes).unwrap();
    let packed = packed.finish().unwrap();
    assert!(packed.len() < bytes.len());
    let expected = Run::of(&["classify", &path]);
    for input in [bytes, packed] {
        let run = Run::with(&["classify", "-"], |command| {
            command.write_stdin(input);
        });
        assert_eq!(run.status, 0, "{}", run.err);
        assert_eq!(
            run.out,
            expected.out.replace(&format!("[\"{path}\"]"), "[\"-\"]")
        );
    }
    let nothing = Run::with(&["classify", "-"], |command| {
        command.write_stdin(Vec::new());
    });
    nothing.assert_fails(
        2,
        &["error: ", "-: expected a capture, found an empty file"],
    );
}

#[test]
fn a_file_is_written_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("flows.jsonl");
    let target = target.to_str().unwrap();
    let calls = sample("um-lync-calls.pcap");

    Run::of(&["classify", "no-such.pcap", "--output", target]).assert_fails(2, &["no-such.pcap"]);
    assert!(names(&folder).is_empty(), "nothing is written on failure");

    let run = Run::of(&["classify", &calls, "--output", target]);
    assert_eq!((run.status, run.out.as_str()), (0, ""));
    assert_eq!(names(&folder), [Path::new("flows.jsonl")]);
    let written = fs::read_to_string(target).unwrap();
    assert_eq!(written, Run::of(&["classify", &calls]).out);

    Run::of(&["classify", "no-such.pcap", "-o", target]).assert_fails(2, &["no-such.pcap"]);
    assert_eq!(
        fs::read_to_string(target).unwrap(),
        written,
        "what was there stays"
    );

    let (taken, _) = folder_with("inside", b"");
    let path = taken.path().to_str().unwrap();
    Run::of(&["classify", &calls, "--output", path]).assert_fails(2, &["cannot write", path]);
    assert_eq!(names(&taken), [Path::new("inside")]);
    let nowhere = format!("{path}/no-such/flows.jsonl");
    Run::of(&["classify", &calls, "--output", &nowhere])
        .assert_fails(2, &["cannot write", &nowhere]);
}

fn fields(value: &Value) -> BTreeSet<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

fn assert_fields(value: &Value, contract: &[&str], additions: &[&str]) {
    let expected: BTreeSet<&str> = contract.iter().chain(additions).copied().collect();
    assert_eq!(fields(value), expected);
}

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

#[test]
fn calls_have_the_fields_of_the_contract() {
    let records = Run::of(&["calls", &sample("um-lync-calls.pcap")]).records();
    let call = [
        "call_id",
        "from",
        "to",
        "methods",
        "result",
        "start",
        "answered",
        "end",
        "signalling",
        "streams",
        "findings",
    ];
    let stream = [
        "flow",
        "ssrc",
        "from",
        "to",
        "payload_type",
        "codec",
        "packets",
        "lost",
        "out_of_order",
        "duplicates",
        "jitter_ms",
        "max_delta_ms",
        "mos",
        "rtcp",
    ];
    let more = [
        "start",
        "end",
        "media",
        "payload_types",
        "clock_rate",
        "clock_source",
        "encryption",
        "mean_jitter_ms",
        "max_jitter_ms",
    ];
    let mut streams = 0;
    for record in &records {
        assert_fields(record, &call, &[]);
        for of_call in record["streams"].as_array().unwrap() {
            assert_fields(of_call, &stream, &more);
            assert_fields(
                &of_call["from"],
                &["address", "port"],
                &["name", "name_source"],
            );
            assert_fields(
                &of_call["to"],
                &["address", "port"],
                &["name", "name_source"],
            );
            assert!(of_call["ssrc"].as_str().unwrap().starts_with("0x"));
            streams += 1;
        }
    }
    assert!(records.len() > 5 && streams > 10);
}

#[test]
fn columns_of_the_streams_of_a_call_run_in_step() {
    let run = Run::of(&["calls", &sample("um-lync-calls.pcap"), "--format", "csv"]);
    let mut rows = csv::Reader::from_reader(run.out.as_bytes());
    let columns = rows.headers().unwrap().clone();
    let at = |name: &str| columns.iter().position(|column| column == name).unwrap();
    let first = rows.records().next().unwrap().unwrap();
    assert_eq!(&first[at("streams_from_port")], "20000;27012");
    assert_eq!(&first[at("streams_to_port")], "27012;20000");
    assert_eq!(&first[at("streams_packets")], "9;10");
    assert_eq!(&first[at("streams_lost")], "1;0");
    assert_eq!(&first[at("streams_rtcp_packets_sent")], "9;");
}

#[test]
fn streams_stand_below_their_call_at_any_width() {
    for width in ["80", "160"] {
        let arguments = ["calls", &sample("um-lync-calls.pcap"), "--format", "table"];
        let run = Run::with(&arguments, |command| {
            command.env("COLUMNS", width);
        });
        let widest = run.out.lines().map(|line| line.chars().count()).max();
        assert!(widest <= width.parse().ok(), "{}", run.out);
        let line = |text: &str| run.out.lines().position(|line| line.contains(text));
        assert!(line("+15550100@10.0.2.5") < line("10.0.2.5:20000"));
        assert!(line("10.0.2.5:20000") < line("10.0.2.5:20010"));
        for heading in ["call, streams", "result, codec", "lost", "jitter", "mos"] {
            assert!(run.out.lines().next().unwrap().contains(heading));
        }
    }
}

#[test]
fn rows_have_the_fields_of_the_contract() {
    let run = Run::of(&["matrix", "--format", "json"]);
    let rows: Value = serde_json::from_str(&run.out).unwrap();
    let rows = rows.as_array().unwrap();
    assert!(rows.len() > 100);
    let contract = [
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
    for row in rows {
        let found = fields(row);
        for field in contract {
            assert!(found.contains(field), "{field} of {row}");
        }
        for field in ["supported", "how", "default"] {
            assert!(fields(&row["encryption"]).contains(field), "{row}");
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

#[test]
fn all_formats_hold_the_same_records() {
    let topology = sample("perimeter-unhealthy.topology.toml");
    let capture = sample("perimeter-unhealthy.pcap");
    let calls = sample("um-lync-calls.pcap");
    let commands: [&[&str]; 5] = [
        &["calls", &calls],
        &["classify", &capture],
        &["audit", &capture, "--topology", &topology],
        &["endpoints", &capture],
        &["matrix"],
    ];
    for command in commands {
        let of = |format: &str| Run::of(&[command, &["--format", format]].concat());
        let lines = of("jsonl").records();
        let array: Vec<Value> = serde_json::from_str(&of("json").out).unwrap();
        assert_eq!(array, lines, "{command:?}");
        let text = of("csv").out;
        let mut rows = csv::Reader::from_reader(text.as_bytes());
        let columns = rows.headers().unwrap().clone();
        let different: BTreeSet<&str> = columns.iter().collect();
        assert_eq!(
            different.len(),
            columns.len(),
            "each column once: {columns:?}"
        );
        let rows: Vec<csv::StringRecord> = rows.records().collect::<Result<_, _>>().unwrap();
        assert_eq!(rows.len(), lines.len(), "{command:?}");
        // A column that no record fills, though the records' objects have it, is misspelt.
        for (row, line) in rows.iter().zip(&lines) {
            for (column, cell) in columns.iter().zip(row) {
                match line.get(column) {
                    Some(Value::String(text)) => assert_eq!(cell, text, "{column}"),
                    Some(Value::Number(number)) => assert_eq!(cell, number.to_string(), "{column}"),
                    Some(Value::Null) => assert_eq!(cell, "", "{column}"),
                    _ => {}
                }
            }
        }
        let table = of("table").out;
        assert!(table.lines().count() > lines.len(), "{command:?}");
    }
}

#[test]
fn columns_of_csv_are_stable() {
    let header = |command: &str| {
        let run = Run::of(&[command, &sample("um-lync-calls.pcap"), "--format", "csv"]);
        run.out.lines().next().unwrap().to_owned()
    };
    assert_eq!(
        header("classify"),
        "flow,captures,transport,client_address,client_port,client_roles,client_name,client_name_source,server_address,server_port,\
         server_roles,server_name,server_name_source,orientation,tunnel,first_seen,last_seen,packets_client,packets_server,bytes_client,\
         bytes_server,state,protocols,service,strength,because,rows,verdict,encryption_kind,encryption_version,\
         encryption_cipher,encryption_server_name,encryption_certificate_subject,encryption_certificate_issuer,\
         encryption_certificate_names,encryption_certificate_not_before,encryption_certificate_not_after,\
         encryption_certificate_self_signed,encryption_mutual,authentication,rpc,findings,handshake_us,\
         retransmissions_client,retransmissions_server,out_of_order_client,out_of_order_server,zero_windows_client,\
         zero_windows_server,resets_client,resets_server"
    );
    assert_eq!(
        header("audit"),
        "code,name,severity,message,row,flows,evidence,documents,advice,display_filter,fingerprint"
    );
    assert_eq!(
        header("endpoints"),
        "kind,address,port,transport,protocol_sequence,uuid,version,name,service,annotation,protocol,tower_address,asked_by,\
         rtcp_port,media,codecs,profile,direction,keyed,candidate,call_id,frame,flows,host,operation,\
         host_name,host_name_source"
    );
    assert_eq!(
        header("calls"),
        "call_id,from,to,methods,result,start,answered,end,signalling,streams_flow,streams_ssrc,streams_from_address,\
         streams_from_port,streams_from_name,streams_from_name_source,streams_to_address,streams_to_port,streams_to_name,streams_to_name_source,streams_start,streams_end,streams_media,\
         streams_payload_type,streams_codec,streams_clock_rate,streams_clock_source,streams_encryption,streams_packets,\
         streams_lost,streams_out_of_order,streams_duplicates,streams_jitter_ms,streams_mean_jitter_ms,\
         streams_max_jitter_ms,streams_max_delta_ms,streams_mos,streams_rtcp_packets_sent,streams_rtcp_lost,\
         streams_rtcp_max_fraction_lost,streams_rtcp_jitter_ms,streams_rtcp_max_jitter_ms,streams_rtcp_reports,\
         streams_rtcp_round_trip_ms,streams_rtcp_max_round_trip_ms,findings"
    );
}

#[test]
fn nested_columns_of_csv_are_filled() {
    let run = Run::of(&[
        "classify",
        &sample("exchange2010-site.pcap"),
        "--format",
        "csv",
    ]);
    let mut rows = csv::Reader::from_reader(run.out.as_bytes());
    let columns = rows.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = rows.records().collect::<Result<_, _>>().unwrap();
    for wanted in [
        "client_address",
        "server_port",
        "packets_client",
        "packets_server",
        "bytes_client",
        "bytes_server",
        "encryption_kind",
        "encryption_version",
        "encryption_cipher",
        "encryption_server_name",
        "encryption_certificate_subject",
        "encryption_certificate_not_after",
        "encryption_mutual",
        "handshake_us",
        "retransmissions_client",
        "zero_windows_server",
    ] {
        let place = columns.iter().position(|column| column == wanted).unwrap();
        assert!(
            rows.iter().any(|row| !row[place].is_empty()),
            "{wanted} is never filled"
        );
    }
}

#[test]
fn a_table_keeps_to_the_width() {
    for width in ["60", "80", "120", "200"] {
        let run = Run::with(
            &[
                "classify",
                &sample("um-lync-calls.pcap"),
                "--format",
                "table",
            ],
            |command| {
                command.env("COLUMNS", width);
            },
        );
        let widest = run
            .out
            .lines()
            .map(|line| line.chars().count())
            .max()
            .unwrap();
        assert!(
            widest <= width.parse().unwrap(),
            "{widest} columns of {width}"
        );
    }
}

#[test]
fn findings_decide_the_status_of_audit_alone() {
    let topology = sample("perimeter-unhealthy.topology.toml");
    let bad = sample("perimeter-unhealthy.pcap");
    let bad = |fail_on: &[&str]| {
        Run::of(&[&["audit", &bad, "--topology", &topology], fail_on].concat()).status
    };
    assert_eq!(bad(&[]), 1);
    assert_eq!(bad(&["--fail-on", "error"]), 1);
    assert_eq!(bad(&["--fail-on", "never"]), 0);
    let noted = sample("um-lync-calls.pcap");
    let noted = |fail_on: &[&str]| Run::of(&[&["audit", &noted], fail_on].concat()).status;
    assert_eq!(noted(&[]), 0);
    assert_eq!(noted(&["--fail-on", "warning"]), 0);
    assert_eq!(noted(&["--fail-on", "info"]), 1);
    let classified = Run::of(&[
        "classify",
        &sample("perimeter-unhealthy.pcap"),
        "--topology",
        &topology,
    ]);
    assert_eq!(classified.status, 0);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let captures = [
        "exchange2010-site.pcap",
        "perimeter-unhealthy.pcap",
        "um-lync-calls.pcap",
    ]
    .map(sample);
    for format in ["jsonl", "json", "csv", "table"] {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_exwire"))
            .arg("classify")
            .args(&captures)
            .args(["--format", format, "--quiet"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            (output.status.code(), said.as_str()),
            (Some(0), ""),
            "{format}"
        );
    }
    for arguments in [&["explain"][..], &["matrix", "--format", "json", "--quiet"]] {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_exwire"))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            (output.status.code(), said.as_str()),
            (Some(0), ""),
            "{arguments:?}"
        );
    }
}

#[test]
fn a_pipe_gets_no_colour_and_a_terminal_gets_it_unless_told_not_to() {
    let calls = sample("um-lync-calls.pcap");
    let piped = Run::of(&["classify", &calls, "--format", "table"]);
    assert!(!piped.out.contains('\x1b') && !piped.err.contains('\x1b'));
    // `script` gives the program a terminal.
    let line = format!(
        "{} classify {calls} --quiet --format table",
        env!("CARGO_BIN_EXE_exwire")
    );
    let on_terminal = |no_color: Option<&str>| {
        let mut command = std::process::Command::new("script");
        command
            .args(["-qec", &line, "/dev/null"])
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .stdin(Stdio::null());
        if let Some(value) = no_color {
            command.env("NO_COLOR", value);
        }
        let output = command.output().ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let Some(coloured) = on_terminal(None) else {
        println!("skipped: no `script` to make a terminal");
        return;
    };
    assert!(coloured.contains("\x1b["), "{coloured}");
    let plain = on_terminal(Some("1")).unwrap();
    assert!(
        plain.contains("documented") && !plain.contains("\x1b["),
        "{plain}"
    );
}

#[test]
fn quiet_says_nothing_on_standard_error() {
    let calls = sample("um-lync-calls.pcap");
    let (folder, _) = folder_with("notes.txt", b"hello");
    fs::copy(&calls, folder.path().join("calls.pcap")).unwrap();
    let folder = folder.path().to_str().unwrap();
    for command in SCANNING {
        assert_ne!(Run::of(&[command, &calls]).err, "");
        for capture in [calls.as_str(), folder] {
            let run = Run::of(&[command, capture, "--quiet"]);
            assert_eq!((run.status, run.err.as_str()), (0, ""));
            assert_ne!(run.out, "");
        }
    }
    assert_eq!(Run::of(&["matrix", "-q"]).err, "");
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let captures = ["exchange2010-site.pcap", "um-lync-calls.pcap"].map(sample);
    for command in SCANNING {
        let of = |threads: &str| {
            Run::of(&[command, &captures[0], &captures[1], "--threads", threads]).out
        };
        let one = of("1");
        assert_ne!(one, "");
        assert_eq!(of("3"), one);
        assert_eq!(of("16"), one);
    }
}

#[test]
fn help_fits_a_terminal_of_80_columns() {
    for command in [
        "",
        "classify",
        "audit",
        "endpoints",
        "calls",
        "matrix",
        "explain",
    ] {
        for flag in ["-h", "--help"] {
            let arguments: Vec<&str> = [command, flag]
                .into_iter()
                .filter(|word| !word.is_empty())
                .collect();
            let run = Run::with(&arguments, |command| {
                command.env("COLUMNS", "80");
            });
            assert_eq!((run.status, run.err.as_str()), (0, ""));
            assert!(run.out.contains("Usage: exwire"), "{}", run.out);
            for line in run.out.lines() {
                assert!(line.chars().count() <= 80, "{arguments:?}: {line}");
            }
        }
    }
    let nothing = Run::of(&[]);
    assert_eq!(nothing.status, 2);
    nothing.assert_says(&["Usage: exwire", "classify"]);
}
