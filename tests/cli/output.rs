//! Formats, widths, colours, statuses and streams.

use super::*;

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
    let unread = |arguments: &[&str]| {
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
    };
    for format in ["jsonl", "json", "csv", "table"] {
        let mut arguments = vec!["classify", "--format", format, "--quiet"];
        arguments.extend(captures.iter().map(String::as_str));
        unread(&arguments);
    }
    unread(&["explain"]);
    unread(&["matrix", "--format", "json", "--quiet"]);
}

#[cfg(unix)]
#[test]
fn a_link_stays_a_link_and_a_pipe_a_pipe_where_the_output_goes_to_them() {
    use std::os::unix::fs::{FileTypeExt, symlink};

    let folder = tempfile::tempdir().unwrap();
    let [file, link, pipe] = ["file", "link", "pipe"].map(|name| folder.path().join(name));
    let expected = Run::of(&["explain", "EXW101"]).out;
    let to = |path: &Path| Run::of(&["explain", "EXW101", "-o", path.to_str().unwrap()]).status;

    fs::write(&file, "old").unwrap();
    symlink(&file, &link).unwrap();
    assert_eq!(to(&link), 0);
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&file).unwrap(), expected);

    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let read = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::read_to_string(pipe).unwrap()
    });
    assert_eq!(to(&pipe), 0);
    assert!(pipe.symlink_metadata().unwrap().file_type().is_fifo());
    assert_eq!(read.join().unwrap(), expected);
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
