//! The flows of real captures, as the dissector sees them, against an independent account of the same flows.
//!
//! Differences are printed; the captures that differ, and why, are listed in [`DIFFERING`].
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "a test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use exwire::net::{Endpoint, FlowKey, LinkType, Timestamp, Transport};
use exwire::wire::{Dissector, Limits, Tunnel};
use pcap_parser::{Block, PcapBlockOwned, PcapError, create_reader, traits::PcapNGPacketBlock};

/// Captures whose flows differ from the account, and why.
const DIFFERING: &[(&str, &str)] = &[
    ("encap/mercury-geneve.pcap", CARRIER),
    ("encap/suricata-output-eve-ftp-data-input.pcap", CARRIER),
    ("mixed/mercury-emix.pcap", CARRIER),
    ("sip/arkime-gtp-iphone.pcap", CARRIER),
    (
        "encap/peafowl-6in6_both.pcap",
        "a fragmented IPv6 packet in fragmented IPv6 packets: here it becomes whole, in the account it does not",
    ),
    (
        "smb/pcapplusplus-solaris.snoop",
        "a snoop file, which the reader of this test does not know",
    ),
];

/// Captures in which packets or payload bytes of some flow differ from the account, and why.
const VOLUMES: &[(&str, &str)] = &[
    ("encap/dpkt-nb6-http.pcap", CARRIER),
    ("encap/ndpi-capwap.pcap", CARRIER),
    ("encap/rtppcap-nb6-hotspot.pcap", CARRIER),
    (
        "fragments/zeek-ipv4-fragmented-1.pcap",
        "fragments that contradict each other: joined in the account, here the first has the flow to itself",
    ),
    (
        "encap/zeek-ipv6-mobility-dst-opts.pcap",
        "options of a destination header that contradict themselves are not read here",
    ),
    (
        "http/ndpi-ndpi_match_string_subprotocol__error.pcapng",
        CLAIMED,
    ),
    ("malformed/ndpi-tls_invalid_reads.pcap", CLAIMED),
    (
        "malformed/tcpdump-rpki-rtr-oobr.pcap",
        "a TCP header that lies about its length",
    ),
    (
        "malformed/pcapplusplus-clusterfuzz-testcase-minimized-fuzztarget-5421416466481152.pcap",
        LONGER,
    ),
    ("malformed/tcpdump-tftp-heapoverflow.pcap", LONGER),
    ("malformed/tcpdump-wb-oobr.pcap", LONGER),
    ("rtp/tcpdump-rtp-seg-fault-1.pcapng", LONGER),
    ("pcapng/bruteshark-telnet_-_char_mode.pcapng", KEEP_ALIVE),
    ("pcapng/bruteshark-telnet_-_line_mode.pcapng", KEEP_ALIVE),
];

/// What IP says counts, also where the frame holds less; the account counts what the frame holds.
const CLAIMED: &str = "an IP length beyond the frame";

/// What the IP packet holds counts; the account counts what the UDP header says.
const LONGER: &str = "a UDP length beyond the IP packet";

/// The account takes the byte of a TCP keep-alive for no payload.
const KEEP_ALIVE: &str = "TCP keep-alives with a byte";

/// The account takes the innermost TCP or UDP header; here the innermost IP header decides, so that the carrier of a
/// tunnelled ICMP message is a tunnel, not a flow.
const CARRIER: &str = "ICMP in a tunnel in UDP";

fn shared() -> Option<PathBuf> {
    let beside = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")).to_path_buf();
    let named = std::env::var_os("EXWIRE_SHARED").map(PathBuf::from);
    [Some(beside), named]
        .into_iter()
        .flatten()
        .map(|folder| folder.join("captures"))
        .find(|folder| folder.join("truth").is_dir())
}

fn captures(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            captures(&path, into);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            into.push(path);
        }
    }
}

/// What is compared of each flow.
#[derive(Debug, Default, PartialEq)]
struct Flow {
    packets: u64,
    /// On the wire.
    payload_bytes: u64,
    vlans: BTreeSet<u16>,
    tunnelled: bool,
}

type Flows = BTreeMap<FlowKey, Flow>;

/// Reads packets until the file ends or breaks: link type, time, captured bytes, length on the wire.
fn packets(bytes: &[u8], mut each: impl FnMut(LinkType, Timestamp, &[u8], u32)) {
    let Ok(mut reader) = create_reader(bytes.len().max(1 << 16), bytes) else {
        return;
    };
    let (mut links, mut nanos_per_tick) = (Vec::new(), Vec::new());
    loop {
        match reader.next() {
            Ok((offset, block)) => {
                match block {
                    PcapBlockOwned::LegacyHeader(header) => {
                        // The upper half holds the length of a frame check sequence.
                        links = vec![(header.network.0 & 0xffff) as u16];
                        nanos_per_tick = vec![if header.is_nanosecond_precision() {
                            1
                        } else {
                            1000
                        }];
                    }
                    PcapBlockOwned::Legacy(packet) => {
                        let fraction = i64::from(packet.ts_usec) * nanos_per_tick[0];
                        let time = Timestamp::from_parts(i64::from(packet.ts_sec), fraction);
                        let length = packet.data.len().min(packet.caplen as usize);
                        each(
                            LinkType(links[0]),
                            time,
                            &packet.data[..length],
                            packet.origlen,
                        );
                    }
                    PcapBlockOwned::NG(Block::SectionHeader(_)) => {
                        links.clear();
                        nanos_per_tick.clear();
                    }
                    PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
                        links.push(interface.linktype.0 as u16);
                        nanos_per_tick.push(
                            1_000_000_000
                                / interface.ts_resolution().unwrap_or(1_000_000).max(1) as i64,
                        );
                    }
                    PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                        if let Some(&link) = links.get(packet.if_id as usize) {
                            let ticks = i64::from(packet.ts_high) << 32 | i64::from(packet.ts_low);
                            let time = ticks.saturating_mul(nanos_per_tick[packet.if_id as usize]);
                            let length = packet.data.len().min(packet.caplen as usize);
                            each(
                                LinkType(link),
                                Timestamp::from_nanos(time),
                                &packet.data[..length],
                                packet.origlen,
                            );
                        }
                    }
                    PcapBlockOwned::NG(Block::SimplePacket(packet)) => {
                        if let Some(&link) = links.first() {
                            let data = packet.packet_data();
                            let length = data.len().min(packet.origlen as usize);
                            each(
                                LinkType(link),
                                Timestamp::from_nanos(0),
                                &data[..length],
                                packet.origlen,
                            );
                        }
                    }
                    PcapBlockOwned::NG(_) => {}
                }
                reader.consume(offset);
            }
            Err(PcapError::Incomplete(_)) => {
                let held = reader.data().len();
                if reader.refill().is_err() || reader.data().len() == held {
                    return;
                }
            }
            Err(_) => return,
        }
    }
}

fn seen(bytes: &[u8], dissector: &mut Dissector) -> Flows {
    let mut flows = Flows::new();
    packets(bytes, |link, time, data, length| {
        let layers = dissector.dissect(time, link, data, length);
        if let Some((transport @ (Transport::TCP | Transport::UDP), source, destination)) =
            layers.flow()
        {
            let flow = flows
                .entry(FlowKey::of(transport, source, destination).0)
                .or_default();
            flow.packets += 1;
            flow.payload_bytes += u64::from(layers.payload_wire_len);
            for tunnel in &layers.tunnels {
                match tunnel {
                    Tunnel::Vlan(id) => drop(flow.vlans.insert(*id)),
                    tunnel => flow.tunnelled |= !tunnel.is_tag(),
                }
            }
        }
    });
    flows
}

fn expected(truth: &serde_json::Value) -> Flows {
    let endpoint = |value: &serde_json::Value| {
        let address = value["addr"].as_str().unwrap().parse().unwrap();
        Endpoint::new(address, value["port"].as_u64().unwrap() as u16)
    };
    truth["flows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|flow| {
            let transport = if flow["transport"] == "tcp" {
                Transport::TCP
            } else {
                Transport::UDP
            };
            let key = FlowKey::of(transport, endpoint(&flow["a"]), endpoint(&flow["b"])).0;
            let count = |name: &str| flow[name].as_u64().unwrap();
            let vlans = flow["vlans"].as_array().unwrap().iter();
            let flow = Flow {
                packets: count("packets"),
                payload_bytes: count("payload_bytes"),
                vlans: vlans.map(|id| id.as_u64().unwrap() as u16).collect(),
                tunnelled: flow["tunnelled"].as_bool().unwrap(),
            };
            (key, flow)
        })
        .collect()
}

#[test]
fn flows_of_real_captures_are_those_of_the_independent_account() {
    let Some(folder) = shared() else {
        println!("skipped: no captures beside the project, and EXWIRE_SHARED is not set");
        return;
    };
    let mut accounts = Vec::new();
    captures(&folder.join("truth"), &mut accounts);
    accounts.sort();
    let (mut unexplained, mut explained, mut flows) = (Vec::new(), Vec::new(), 0);
    for account in accounts {
        let truth: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&account).unwrap()).unwrap();
        let name = truth["capture"].as_str().unwrap();
        let bytes = std::fs::read(folder.join(name)).unwrap();
        let mut dissector = Dissector::new(Limits {
            verify_checksums: true,
            ..Limits::default()
        });
        let (seen, expected) = (seen(&bytes, &mut dissector), expected(&truth));
        flows += expected
            .iter()
            .filter(|(flow, _)| seen.contains_key(flow))
            .count();
        let differs =
            |flow: &FlowKey, volume: &Flow| seen.get(flow).is_some_and(|other| other != volume);
        for (flow, volume) in expected
            .iter()
            .filter(|(flow, volume)| differs(flow, volume))
        {
            if VOLUMES.iter().any(|(capture, _)| *capture == name) {
                continue;
            }
            println!(
                "{name}\n  {flow}: packets and bytes {volume:?}, seen {:?}",
                seen[flow]
            );
            unexplained.push(name.to_owned());
        }
        if seen.keys().eq(expected.keys()) {
            continue;
        }
        match DIFFERING.iter().find(|(capture, _)| *capture == name) {
            Some((capture, _)) => explained.push(*capture),
            None => {
                println!("{name}");
                for flow in expected.keys().filter(|flow| !seen.contains_key(flow)) {
                    println!("  missed  {flow}");
                }
                for flow in seen.keys().filter(|flow| !expected.contains_key(flow)) {
                    println!("  invented {flow}");
                }
                unexplained.push(name.to_owned());
            }
        }
    }
    println!(
        "{flows} flows agree; {} captures differ for known reasons",
        explained.len()
    );
    assert!(
        unexplained.is_empty(),
        "{} captures differ: {unexplained:#?}",
        unexplained.len()
    );
    let stale: Vec<_> = DIFFERING
        .iter()
        .filter(|(capture, _)| !explained.contains(capture))
        .collect();
    assert!(
        stale.is_empty(),
        "captures that do not differ any more: {stale:#?}"
    );
}
