//! Calls: which streams belong to which dialogue, and the figures of real ones beside those of another tool.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    unreachable_pub,
    missing_docs,
    reason = "a test may panic"
)]

mod pipeline_support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use exwire::attribution::{CallFlows, calls};
use exwire::audit::{audit, codes_of};
use exwire::capture::{Grouping, Input, plan};
use exwire::report::CallRecord;
use exwire::topology::Topology;
use pipeline_support::{Frame, Recording, chain, judge, real, scan, signatures};
use serde_json::{Value, json};

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/um-lync-calls.pcap")
}

/// The records of captures that are taps of their own.
fn records(taps: &[PathBuf]) -> Vec<Value> {
    let signatures = signatures();
    let chains: Vec<_> = taps
        .iter()
        .map(|path| chain(std::slice::from_ref(path)))
        .collect();
    let judged = judge(&scan(&chains, 2), &signatures);
    let findings = audit(&judged, &signatures, &Topology::default());
    let codes = codes_of(&findings, 1..=judged.len());
    calls(&CallFlows::of(&judged))
        .iter()
        .map(|call| serde_json::to_value(CallRecord::new(call, &codes)).unwrap())
        .collect()
}

fn call<'a>(records: &'a [Value], call_id: &str) -> &'a Value {
    let mut of_call = records.iter().filter(|call| call["call_id"] == call_id);
    let found = of_call.next().unwrap();
    assert!(of_call.next().is_none(), "one record for {call_id}");
    found
}

/// `from > to codec packets lost` of each stream.
fn streams(call: &Value) -> Vec<String> {
    let end = |end: &Value| format!("{}:{}", end["address"].as_str().unwrap(), end["port"]);
    let streams = call["streams"].as_array().unwrap().iter();
    streams
        .map(|stream| {
            format!(
                "{} > {} {} {} {}",
                end(&stream["from"]),
                end(&stream["to"]),
                stream["codec"].as_str().unwrap_or("?"),
                stream["packets"],
                stream["lost"]
            )
        })
        .collect()
}

#[test]
fn an_answered_call_has_both_directions_and_their_reports() {
    let records = records(&[sample()]);
    let call = call(&records, "call-plain-1@10.0.2.5");
    assert_eq!(call["from"], "sip:+15550100@10.0.2.5");
    assert_eq!(call["to"], "sip:200@10.0.0.60");
    assert_eq!(call["methods"], json!(["INVITE", "ACK", "BYE"]));
    assert_eq!(call["result"], "200 OK");
    assert!(call["start"].as_str() < call["answered"].as_str());
    assert!(call["answered"].as_str() < call["end"].as_str());
    assert_eq!(
        streams(call),
        [
            "10.0.2.5:20000 > 10.0.0.60:27012 PCMU 9 1",
            "10.0.0.60:27012 > 10.0.2.5:20000 PCMU 10 0"
        ]
    );
    // What the far end reports is what the capture shows.
    let lossy = &call["streams"][0];
    assert_eq!(lossy["rtcp"]["lost"], 1);
    assert_eq!(lossy["rtcp"]["packets_sent"], 9);
    assert!(lossy["mos"].as_f64() < call["streams"][1]["mos"].as_f64());
    assert!(
        lossy["max_delta_ms"].as_f64().unwrap() > 39.0,
        "a packet is missing"
    );
}

#[test]
fn keys_in_the_signalling_make_the_streams_srtp() {
    let records = records(&[sample()]);
    let encryption = |call_id: &str| {
        let call = call(&records, call_id);
        let streams = call["streams"].as_array().unwrap().clone();
        assert_eq!(streams.len(), 2);
        assert!(streams.iter().all(|stream| !stream["rtcp"].is_null()));
        streams[0]["encryption"].clone()
    };
    assert_eq!(encryption("call-secure-2@10.0.2.5"), "srtp");
    assert_eq!(encryption("call-odd-3@10.0.2.5"), "none");
}

#[test]
fn a_redirected_call_has_its_media_where_it_went() {
    let records = records(&[sample()]);
    let redirected = call(&records, "call-redirect-4@10.0.2.5");
    assert_eq!(redirected["result"], "302 Moved Temporarily");
    assert_eq!(redirected["answered"], Value::Null);
    assert_ne!(redirected["end"], Value::Null);
    assert_eq!(redirected["streams"], json!([]));
    let there = call(&records, "call-redirected-5@10.0.2.5");
    assert_eq!(there["streams"].as_array().unwrap().len(), 2);
    assert_eq!(there["streams"][0]["to"]["address"], "10.0.0.46");
}

#[test]
fn a_call_in_fragments_is_a_call() {
    let records = records(&[sample()]);
    let call = call(&records, "call-fragments-6@10.0.2.5");
    assert_eq!(call["result"], "200 OK");
    assert_eq!(call["streams"].as_array().unwrap().len(), 2);
}

#[test]
fn media_that_nobody_announced_stand_alone() {
    let records = records(&[sample()]);
    let alone: Vec<&Value> = records
        .iter()
        .filter(|call| call["call_id"].is_null())
        .collect();
    assert_eq!(alone.len(), 4);
    for call in &alone {
        assert_eq!(call["result"], Value::Null);
        assert_eq!(call["methods"], json!([]));
        assert_eq!(call["signalling"], json!([]));
        assert!(
            call["findings"]
                .as_array()
                .unwrap()
                .contains(&json!("EXW301"))
        );
    }
    assert_eq!(
        streams(alone[0]),
        ["10.0.2.5:20050 > 10.0.0.45:30000 G723 8 0"],
        "one direction only"
    );
    // Dynamic and unannounced: what it is stays unknown, its clock is told by its arrivals.
    let lync = &alone[1]["streams"][0];
    assert_eq!((&lync["codec"], &lync["mos"]), (&Value::Null, &Value::Null));
    assert_eq!(lync["clock_source"], "fitted");
}

#[test]
fn a_second_tap_of_the_same_wire_changes_no_count() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("other.pcap");
    std::fs::copy(sample(), &copy).unwrap();
    assert_eq!(records(&[sample(), copy]), records(&[sample()]));
}

#[test]
fn a_call_in_two_files_of_a_series_is_one() {
    let recording = Recording::read(&[sample()]);
    let folder = tempfile::tempdir().unwrap();
    let inputs: Vec<Input> = [0..12, 12..recording.frames.len()]
        .into_iter()
        .enumerate()
        .map(|(index, frames)| {
            let path = folder.path().join(format!("calls_{index:05}.pcap"));
            std::fs::write(&path, recording.pcap(frames, usize::MAX)).unwrap();
            Input::Path(path)
        })
        .collect();
    let plan = plan(&inputs, Grouping::Chain).unwrap();
    let signatures = signatures();
    let judged = judge(&scan(&plan.chains, 2), &signatures);
    let found: Vec<Value> = calls(&CallFlows::of(&judged))
        .iter()
        .map(|call| serde_json::to_value(CallRecord::new(call, &BTreeMap::new())).unwrap())
        .collect();
    assert_eq!(
        streams(call(&found, "call-plain-1@10.0.2.5")),
        streams(call(&records(&[sample()]), "call-plain-1@10.0.2.5"))
    );
}

#[test]
fn calls_that_share_a_port_one_after_the_other_keep_their_own_streams() {
    for (name, paths) in real(&["sip/bruteshark-sip-rtp-dvi4.pcap"]) {
        let records = records(&paths);
        assert_eq!(records.len(), 2, "{name}");
        assert_eq!(
            streams(call(&records, "1-2187@10.0.2.20")),
            ["10.0.2.15:30490 > 10.0.2.20:6000 DVI4 425 0"]
        );
        assert_eq!(
            streams(call(&records, "1-2189@10.0.2.20")),
            ["10.0.2.15:25146 > 10.0.2.20:6000 DVI4 425 0"]
        );
    }
}

#[test]
fn the_clock_of_a_dynamic_type_is_what_the_signalling_says() {
    let captures = [
        ("sip/bruteshark-sip-rtp-opus.pcap", "opus", 48000, 0.072),
        (
            "sip/rtpdump-sample2_vowifi_ipv4_esp_ipv4.pcap",
            "AMR",
            8000,
            24.327,
        ),
    ];
    for (name, codec, clock_rate, max_jitter_ms) in captures {
        for (_, paths) in real(&[name]) {
            let records = records(&paths);
            let stream = &records
                .iter()
                .find(|call| call["streams"] != json!([]))
                .unwrap()["streams"][0];
            assert_eq!(stream["codec"], codec);
            assert_eq!(stream["clock_rate"], clock_rate);
            assert_eq!(stream["clock_source"], "announced");
            let found = stream["max_jitter_ms"].as_f64().unwrap();
            assert!((found - max_jitter_ms).abs() < 0.01, "{name}: {found}");
        }
    }
}

#[test]
fn both_directions_of_a_real_call_measure_like_another_tool_says() {
    for (_, paths) in real(&["sip/rtppcap-nb6-telephone.pcap"]) {
        let records = records(&paths);
        let call = call(&records, "1135D8701739D86@10.251.23.139");
        assert_eq!(
            streams(call),
            [
                "109.3.79.137:44344 > 10.251.23.139:35560 PCMA 261 0",
                "10.251.23.139:35560 > 109.3.79.137:44344 PCMA 248 0"
            ]
        );
        let jitter: Vec<f64> = [0, 1]
            .iter()
            .map(|index| call["streams"][index]["max_jitter_ms"].as_f64().unwrap())
            .collect();
        assert!((jitter[0] - 11.261).abs() < 0.01 && (jitter[1] - 6.441).abs() < 0.01);
    }
}

#[test]
fn a_refused_change_of_media_ends_nothing() {
    for (_, paths) in real(&["sip/bruteshark-fax-call-t38-ca-tdm-sip-fb-1.pcap"]) {
        let records = records(&paths);
        let call = call(&records, "00e9d4a500e9d48-0015-0001-0000-0000@10.35.40.25");
        assert_eq!(
            call["result"], "200 OK",
            "a later INVITE was refused with 488"
        );
        let streams = call["streams"].as_array().unwrap();
        assert_eq!(streams.len(), 2);
        // The clock of one source is set back by 43 seconds in the middle.
        assert!(
            streams.iter().any(|stream| {
                (stream["max_jitter_ms"].as_f64().unwrap() - 2730.468).abs() < 0.1
            })
        );
    }
}

/// Datagrams between two hosts, 10.0.0.1 and 10.0.0.2, as a capture without link layer.
struct Wire(Vec<Frame>);

impl Wire {
    fn new() -> Self {
        Self(Vec::new())
    }

    /// A datagram at that millisecond, from a host and port to the other host's port.
    fn send(mut self, millis: i64, (host, port): (u8, u16), to: u16, payload: &[u8]) -> Self {
        let length = |more: usize| u16::try_from(payload.len() + more).unwrap().to_be_bytes();
        let mut bytes = vec![0x45, 0];
        bytes.extend(length(28));
        bytes.extend([0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, host, 10, 0, 0, 3 - host]);
        bytes.extend([port, to].map(u16::to_be_bytes).concat());
        bytes.extend(length(8));
        bytes.extend([0, 0]);
        bytes.extend(payload);
        self.0.push(Frame {
            nanos: millis * 1_000_000,
            wire_len: u32::try_from(bytes.len()).unwrap(),
            bytes,
        });
        self
    }

    /// An INVITE (from host 1) or its answer, with one media line and its formats.
    fn sip(self, millis: i64, host: u8, call_id: &str, port: u16, formats: &str) -> Self {
        let start = match host {
            1 => "INVITE sip:b@example.com SIP/2.0",
            _ => "SIP/2.0 200 OK",
        };
        let (types, maps) = formats.split_once('|').unwrap_or((formats, ""));
        let maps: String = maps
            .split_terminator('|')
            .map(|map| format!("a=rtpmap:{map}\r\n"))
            .collect();
        let message = format!(
            "{start}\r\nVia: SIP/2.0/UDP 10.0.0.1\r\nFrom: <sip:a@example.com>\r\nTo: <sip:b@example.com>\r\n\
             Call-ID: {call_id}\r\nCSeq: 1 INVITE\r\nContent-Type: application/sdp\r\n\r\n\
             v=0\r\no=- 1 1 IN IP4 10.0.0.{host}\r\ns=-\r\nc=IN IP4 10.0.0.{host}\r\nm=audio {port} RTP/AVP {types}\r\n{maps}"
        );
        self.send(millis, (host, 5060), 5060, message.as_bytes())
    }

    /// `count` packets of a payload type at 8 kHz, 20 ms each.
    fn rtp(mut self, millis: i64, from: (u8, u16), to: u16, kind: u8, count: u16) -> Self {
        for n in 0..count {
            let mut bytes = vec![0x80, kind];
            bytes.extend((n + 1).to_be_bytes());
            bytes.extend((u32::from(n) * 160).to_be_bytes());
            bytes.extend([0, 0, 0, from.0]);
            bytes.extend([0x55; 40]);
            self = self.send(millis + 20 * i64::from(n), from, to, &bytes);
        }
        self
    }

    fn records(self) -> Vec<Value> {
        let recording = Recording {
            link: 101,
            frames: self.0,
        };
        let folder = tempfile::tempdir().unwrap();
        records(&[recording.write(&folder.path().join("wire.pcap"))])
    }
}

#[test]
fn legs_that_announce_the_same_ends_both_have_the_streams() {
    let mut wire = Wire::new();
    for (millis, leg) in [(0, "outer"), (10, "inner")] {
        wire = wire
            .sip(millis, 1, leg, 6000, "8")
            .sip(millis + 5, 2, leg, 7000, "8");
    }
    let records = wire.rtp(100, (1, 6000), 7000, 8, 10).records();
    let expected = ["10.0.0.1:6000 > 10.0.0.2:7000 PCMA 10 0"];
    for leg in ["outer", "inner"] {
        assert_eq!(streams(call(&records, leg)), expected);
    }
}

#[test]
fn of_calls_that_share_one_end_the_last_has_the_stream() {
    let records = Wire::new()
        .sip(0, 1, "first", 6000, "8")
        .sip(2000, 1, "second", 6000, "8")
        .rtp(2100, (2, 7000), 6000, 8, 10)
        .sip(9000, 1, "third", 6000, "8")
        .records();
    let of = |call_id: &str| streams(call(&records, call_id)).len();
    assert_eq!([of("first"), of("second"), of("third")], [0, 1, 0]);
}

#[test]
fn numbers_of_payload_types_are_those_of_the_receiver() {
    let records = Wire::new()
        .sip(0, 1, "c", 6000, "97|97 iLBC/8000")
        .sip(5, 2, "c", 7000, "97|97 SPEEX/8000")
        .rtp(100, (1, 6000), 7000, 97, 10)
        .rtp(100, (2, 7000), 6000, 97, 10)
        .records();
    let codecs: Vec<&Value> = [0, 1]
        .iter()
        .map(|index| &call(&records, "c")["streams"][index]["codec"])
        .collect();
    assert_eq!(codecs, ["SPEEX", "iLBC"]);
}

#[test]
fn events_do_not_name_the_stream() {
    let mut wire = Wire::new()
        .sip(0, 1, "c", 6000, "8 101|101 telephone-event/8000")
        .sip(5, 2, "c", 7000, "8 101|101 telephone-event/8000")
        .rtp(100, (1, 6000), 7000, 8, 5);
    for n in 6..26_u16 {
        let mut bytes = vec![0x80, 101];
        bytes.extend(n.to_be_bytes());
        bytes.extend(800_u32.to_be_bytes());
        bytes.extend([0, 0, 0, 1, 5, 10, 0, 160]);
        wire = wire.send(100 + 20 * i64::from(n), (1, 6000), 7000, &bytes);
    }
    let records = wire.records();
    let stream = &call(&records, "c")["streams"][0];
    assert_eq!(stream["codec"], "PCMA");
    assert_eq!(stream["payload_types"], json!([8, 101]));
    assert_eq!(stream["packets"], 25);
    assert_eq!(stream["max_jitter_ms"], 0.0);
}

#[test]
fn reports_on_the_next_ports_give_loss_jitter_and_round_trip() {
    // A sender report of source 1, and 50 ms later a report on it by a receiver that held it for 10 ms.
    let mut sent = vec![0x80, 200, 0, 6, 0, 0, 0, 1, 0, 0, 0x12, 0x34, 0x56, 0x78];
    sent.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 1, 0x90]);
    let mut received = vec![0x81, 201, 0, 7, 0, 0, 0, 2, 0, 0, 0, 1, 64, 0, 0, 3];
    received.extend([0, 0, 0, 10, 0, 0, 0, 16, 0x12, 0x34, 0x56, 0x78]);
    received.extend(655_u32.to_be_bytes());
    let records = Wire::new()
        .sip(0, 1, "c", 6000, "0")
        .sip(5, 2, "c", 7000, "0")
        .rtp(100, (1, 6000), 7000, 0, 10)
        .send(300, (1, 6001), 7001, &sent)
        .send(350, (2, 7001), 6001, &received)
        .records();
    let stream = &call(&records, "c")["streams"][0];
    let rtcp = &stream["rtcp"];
    assert_eq!(rtcp["packets_sent"], 10);
    assert_eq!((&rtcp["lost"], &rtcp["reports"]), (&json!(3), &json!(1)));
    assert_eq!(rtcp["max_fraction_lost"], 0.25);
    assert_eq!(rtcp["jitter_ms"], 2.0, "16 units of 8000 Hz");
    assert_eq!(rtcp["round_trip_ms"], 40.005);
    assert_eq!(rtcp["max_round_trip_ms"], 40.005);
    assert!(stream["mos"].as_f64().unwrap() > 4.3);
}

#[test]
fn a_request_that_is_no_call_is_a_record_of_its_own() {
    let request = |status: &str| {
        format!(
            "{status}\r\nVia: SIP/2.0/UDP x\r\nFrom: <sip:a@x>\r\nTo: <sip:a@x>\r\nCall-ID: r\r\nCSeq: 1 REGISTER\r\n\r\n"
        )
    };
    let records = Wire::new()
        .send(
            0,
            (1, 5060),
            5060,
            request("REGISTER sip:x SIP/2.0").as_bytes(),
        )
        .send(
            9,
            (2, 5060),
            5060,
            request("SIP/2.0 401 Unauthorized").as_bytes(),
        )
        .records();
    let call = call(&records, "r");
    assert_eq!(call["methods"], json!(["REGISTER"]));
    assert_eq!(call["result"], "401 Unauthorized");
    assert_eq!(
        (&call["answered"], &call["end"]),
        (&Value::Null, &Value::Null)
    );
}
