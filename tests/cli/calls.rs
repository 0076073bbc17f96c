//! Calls have the fields that are promised, and their tables and columns hold them.

use super::*;

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
