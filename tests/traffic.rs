//! The traffic that is made for measurements is the same each time, and is read as what it was made to be.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

#[path = "../examples/traffic/generator/mod.rs"]
mod generator;
mod signature_support;

use std::collections::BTreeMap;
use std::fs;

use exwire::attribution::Judged;
use exwire::capture::{Grouping, Input, plan};
use exwire::scan;
use exwire::topology::Topology;
use generator::{Extent, Kind, Made, generate};
use signature_support::signatures;

/// Flows of `Kind::Steady`.
const FLOWS: usize = 200;

fn capture(kind: Kind, extent: Extent, seed: u64) -> (Vec<u8>, Made) {
    let mut file = Vec::new();
    let made = generate(kind, extent, FLOWS, seed, &mut file).unwrap();
    (file, made)
}

/// Flows by what their payload proved, joined by blanks, and all packets.
fn read(file: &[u8]) -> (BTreeMap<String, u64>, u64) {
    let stored = tempfile::NamedTempFile::new().unwrap();
    fs::write(stored.path(), file).unwrap();
    let input = Input::Path(stored.path().to_owned());
    let chains = plan(&[input], Grouping::Separate).unwrap().chains;
    let options = scan::Options {
        threads: 1,
        filter: None,
        memory_limit: None,
    };
    let scanned = scan::scan(&chains, &options, &()).unwrap();
    assert!(scanned.failures.is_empty(), "{:?}", scanned.failures);
    let signatures = signatures();
    let topology = Topology::default();
    let judged = Judged::of(scanned.ledger, &signatures, &topology);
    let mut found: BTreeMap<String, u64> = BTreeMap::new();
    judged.for_each(|_, attribution| {
        *found.entry(attribution.protocols.join(" ")).or_default() += 1;
    });
    (found, scanned.packets)
}

#[test]
fn one_seed_gives_the_same_bytes_and_another_one_others() {
    for (name, kind) in Kind::ALL {
        let extent = Extent::Packets(2000);
        let (first, made) = capture(kind, extent, 7);
        assert!(first == capture(kind, extent, 7).0, "{name} differs");
        assert!(first != capture(kind, extent, 8).0, "{name} is the same");
        assert_eq!(made.bytes, first.len() as u64);
    }
}

#[test]
fn every_packet_is_whole() {
    for (name, kind) in Kind::ALL {
        let (file, made) = capture(kind, Extent::Packets(3000), 3);
        assert_eq!(read(&file).1, made.packets, "{name}");
    }
}

#[test]
fn the_office_speaks_what_it_was_made_to_speak() {
    let (file, _) = capture(Kind::OfficeMix, Extent::Bytes(12_000_000), 1);
    let (found, _) = read(&file);
    for proven in [
        "dns",
        "tls",
        "quic tls",
        "http",
        "netbios_ssn smb",
        "smtp tls",
        "dcerpc",
        "ldap",
        "cldap",
        "kerberos",
        "ntp",
        "llmnr",
        "mdns",
        "netbios_ns",
        "ssdp",
        "snmp",
        "syslog",
        "tds",
    ] {
        assert!(found.contains_key(proven), "no {proven} among {found:?}");
    }
    // What proves nothing: connections that do not come about, print jobs, and flows that the end of the file cut short.
    let flows: u64 = found.values().sum();
    let silent = found.get("").copied().unwrap_or(0);
    assert!(
        silent * 8 < flows,
        "{silent} of {flows} flows prove nothing"
    );
}

#[test]
fn the_call_centre_signals_and_talks() {
    let (file, _) = capture(Kind::CallCentre, Extent::Packets(12_000), 1);
    let (found, _) = read(&file);
    assert!(
        found.contains_key("sip") && found.contains_key("rtp"),
        "{found:?}"
    );
}

#[test]
fn steady_traffic_has_as_many_flows_as_were_asked_for() {
    for packets in [1000, 6000] {
        let (file, _) = capture(Kind::Steady, Extent::Packets(packets), 1);
        let (found, _) = read(&file);
        let flows: u64 = found.values().sum();
        assert!(
            (FLOWS as u64 * 9 / 10..=FLOWS as u64).contains(&flows),
            "{flows} flows of {packets} packets"
        );
    }
}
