//! Captures, words and files that are given, and what is said where they are wrong.

use super::*;

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
    let plain = folder.path().join("plain");
    fs::write(&plain, "").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions();
    assert_eq!(
        mode(Path::new(target)),
        mode(&plain),
        "read by whom the umask admits"
    );

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
        .assert_fails(2, &["cannot write", &nowhere, "No such file or directory"]);
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_one_reason() {
    let calls = sample("um-lync-calls.pcap");
    for option in ["--topology", "--waivers", "--baseline", "--signatures"] {
        let run = Run::of(&["audit", &calls, option, "no-such-file"]);
        run.assert_fails(2, &["error: cannot read no-such-file: "]);
        assert_eq!(run.err.matches("os error").count(), 1, "{}", run.err);
    }
}
