//! What a memory limit does, and that nobody sees it in the result.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod cli_support;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use cli_support::{Run, sample};
use exwire::evidence::{Episode, Packer, Store};
use exwire::flow::{Observation, TcpObservation, Tracker};
use exwire::net::{Endpoint, FlowKey, TcpFlags, Timestamp, Transport};

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
