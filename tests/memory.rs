//! What a memory limit does, and that nobody sees it in the result.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    unreachable_pub,
    missing_docs,
    reason = "a test that cannot go on fails"
)]

mod cli_support;
mod pipeline_support;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use cli_support::{Run, sample};
use etherparse::PacketBuilder;
use exwire::evidence::{Episode, Packer, Store};
use exwire::flow::{Observation, TcpObservation, Tracker};
use exwire::net::{Endpoint, FlowKey, TcpFlags, Timestamp, Transport};
use pipeline_support::{Frame, Recording};

/// A capture of many flows and protocols.
const SITE: &str = "exchange2010-site.pcap";
/// So little that everything is spilled.
const TINY: &str = "1M";

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn a_limit_changes_no_result() {
    for name in [SITE, "perimeter-unhealthy.pcap", "um-lync-calls.pcap"] {
        let path = sample(name);
        for command in ["classify", "audit", "endpoints", "calls"] {
            let with = |limit: &[&str]| {
                let mut arguments = vec![command, "-q", "--format", "jsonl", path.as_str()];
                arguments.extend(limit);
                Run::of(&arguments)
            };
            let (free, tight) = (with(&[]), with(&["--memory-limit", TINY]));
            assert_eq!(free.status, tight.status, "{command} {name}");
            assert!(free.out == tight.out, "{command} {name} differs");
            assert!(!free.out.is_empty() || command != "classify", "{name}");
        }
    }
}

/// Flows of one host with another, all alive together, which speak three times with long pauses: lookups and pages.
const TALKERS: u16 = 1200;
const TURNS: u16 = 3;

/// A lookup of a name that differs from turn to turn, or its answer (RFC 1035 section 4.1).
fn lookup(turn: u16, is_answer: bool) -> Vec<u8> {
    let mut message = vec![7, turn as u8, if is_answer { 0x81 } else { 1 }, 0];
    message.extend([0, 1, 0, u8::from(is_answer), 0, 0, 0, 0, 5]);
    message.extend(format!("mail{turn}").bytes());
    message.extend(b"\x07example\x03com\0\0\x01\0\x01");
    if is_answer {
        message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 0, 0, 4, 10, 0, 7, turn as u8]);
    }
    message
}

/// What a client or its server says in one turn.
fn page(turn: u16, is_answer: bool) -> Vec<u8> {
    if is_answer {
        return b"HTTP/1.1 200 OK\r\nServer: lab\r\nContent-Length: 2\r\n\r\nok".to_vec();
    }
    format!("GET /owa/{turn} HTTP/1.1\r\nHost: mail{turn}.example.com\r\n\r\n").into_bytes()
}

fn talkers() -> Recording {
    const CLIENT: [u8; 4] = [10, 0, 0, 1];
    const SERVER: [u8; 4] = [10, 0, 0, 2];
    let mut frames = Vec::new();
    let mut send = |turn: u16, flow: u16, from_client: bool, sent: [u32; 2], payload: &[u8]| {
        let (from, to) = if from_client {
            (CLIENT, SERVER)
        } else {
            (SERVER, CLIENT)
        };
        let ends = |server: u16| {
            let client = 10_000 + flow;
            if from_client {
                (client, server)
            } else {
                (server, client)
            }
        };
        let ip = PacketBuilder::ipv4(from, to, 64);
        let mut bytes = Vec::new();
        if flow.is_multiple_of(2) {
            let (source, destination) = ends(53);
            ip.udp(source, destination)
                .write(&mut bytes, payload)
                .unwrap();
        } else {
            let (source, destination) = ends(80);
            let [ours, theirs] = if from_client {
                sent
            } else {
                [sent[1], sent[0]]
            };
            let tcp = ip.tcp(source, destination, ours, 60_000);
            let tcp = match (payload.is_empty(), from_client) {
                (true, true) => tcp.syn(),
                (true, false) => tcp.syn().ack(theirs),
                (false, _) => tcp.ack(theirs),
            };
            tcp.write(&mut bytes, payload).unwrap();
        }
        let millis = i64::from(turn) * 60_000 + i64::from(flow) * 2 + i64::from(!from_client);
        frames.push(Frame {
            nanos: 1_700_000_000_000_000_000 + millis * 1_000_000,
            wire_len: bytes.len() as u32,
            bytes,
        });
    };
    let mut sent = [100, 300];
    for turn in 0..TURNS {
        let [question, answer] = [false, true].map(|is_answer| page(turn, is_answer));
        for flow in 0..TALKERS {
            if flow.is_multiple_of(2) {
                send(turn, flow, true, sent, &lookup(turn, false));
                send(turn, flow, false, sent, &lookup(turn, true));
                continue;
            }
            if turn == 0 {
                send(turn, flow, true, [99, 0], &[]);
                send(turn, flow, false, [100, 299], &[]);
            }
            send(turn, flow, true, sent, &question);
            send(
                turn,
                flow,
                false,
                [sent[0] + question.len() as u32, sent[1]],
                &answer,
            );
        }
        sent = [
            sent[0] + question.len() as u32,
            sent[1] + answer.len() as u32,
        ];
    }
    Recording { link: 101, frames }
}

#[test]
fn live_flows_that_go_early_for_the_limit_are_whole_in_the_result() {
    let folder = tempfile::tempdir().unwrap();
    let path = talkers().write(&folder.path().join("talkers.pcap"));
    let path = path.to_str().unwrap();
    let with = |limit: &[&str]| {
        let mut arguments = vec!["classify", "--format", "jsonl", path];
        arguments.extend(limit);
        Run::of(&arguments)
    };
    let (free, tight) = (with(&[]), with(&["--memory-limit", TINY]));
    assert_eq!(free.records().len(), usize::from(TALKERS));
    assert!(free.out == tight.out, "a flow that went early is another");
    tight.assert_says(&["flows ended early"]);
    assert!(!free.err.contains("flows ended early"), "{}", free.err);
}

#[test]
fn the_temporary_file_is_gone_after_success_error_and_a_closed_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let path = sample(SITE);
    let spilling = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_exwire"));
        command
            .args(["classify", "-q", "--memory-limit", TINY])
            .env("TMPDIR", folder.path())
            .stderr(Stdio::null());
        command
    };
    let status = |command: &mut Command| command.stdout(Stdio::null()).status().unwrap();
    assert!(status(spilling().arg(&path)).success());
    assert_eq!(names_in(folder.path()), [""; 0]);
    let nowhere = folder.path().join("no/such/folder/out.csv");
    assert!(!status(spilling().arg(&path).arg("--output").arg(nowhere)).success());
    assert_eq!(names_in(folder.path()), [""; 0]);
    let mut child = spilling()
        .arg(&path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    child.wait().unwrap();
    assert_eq!(names_in(folder.path()), [""; 0]);
}

#[test]
fn a_size_that_is_none_is_refused_with_an_example() {
    let path = sample(SITE);
    for wrong in [
        "",
        "0",
        "many",
        "512X",
        "-1",
        "1.5G",
        "99999999999999999999T",
    ] {
        let argument = format!("--memory-limit={wrong}");
        let run = Run::of(&["classify", &argument, &path]);
        run.assert_fails(2, &["--memory-limit"]);
    }
    Run::of(&["classify", "--memory-limit=512X", &path])
        .assert_fails(2, &["expected a size such as 512M or 2G, found `512X`"]);
}

/// A SYN that nobody answers.
fn half_open(number: u32) -> Episode {
    let host = |number: u32| [10, 1, (number >> 8 & 0xff) as u8, (number & 0xff) as u8];
    let client = Endpoint::new(
        host(number / 50_000).into(),
        (number % 50_000) as u16 + 1024,
    );
    let server = Endpoint::new([192, 0, 2, 1].into(), 443);
    let (key, side) = FlowKey::of(Transport::TCP, client, server);
    Episode {
        key,
        tap: "test".into(),
        tracker: Tracker::new(&Observation {
            time: Timestamp::from_nanos(1_700_000_000_000_000_000 + i64::from(number) * 2000),
            key,
            side,
            ip_bytes: 40,
            payload_len: 0,
            tcp: Some(TcpObservation {
                sequence: number.wrapping_mul(0x9e37_79b9),
                acknowledgment: 0,
                flags: TcpFlags::SYN,
                window: 64_240,
            }),
            number: u64::from(number) + 1,
        }),
        last_frame: u64::from(number) + 1,
        captures: vec!["test".into()],
        tunnel: Vec::new(),
        protocols: Default::default(),
        facts: Default::default(),
        offers: Default::default(),
        streams: Default::default(),
        payload: Vec::new(),
        reports: Default::default(),
        client: None,
        gap_bytes: 0,
        disagreements: 0,
        left_out: 0,
    }
}

#[test]
fn a_half_open_flow_that_is_over_takes_less_than_fifty_bytes() {
    const FLOWS: u32 = 100_000;
    let store = Arc::new(Store::default());
    let mut packer = Packer::new("test".into(), Arc::clone(&store));
    (0..FLOWS).for_each(|number| packer.push(&half_open(number)));
    drop(packer.finish());
    let each = store.held() / u64::from(FLOWS);
    assert!(each < 50, "{each} bytes");
}

#[test]
fn flows_beyond_the_limit_are_in_the_file_and_not_in_memory() {
    let store = Arc::new(Store::with_limit(100_000));
    let mut packer = Packer::new("test".into(), Arc::clone(&store));
    (0..50_000).for_each(|number| packer.push(&half_open(number)));
    drop(packer.finish());
    assert!(store.held() <= 100_000 && store.spilled() > 4 * store.held());
    assert!(store.trouble().is_none());
}
