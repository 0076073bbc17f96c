//! Ledgers merge like sets, and a capture that was cut in parts gives what the whole gives.
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

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use exwire::attribution::{Attribution, Flow, Judged, Orientation, State};
use exwire::audit::{Severity, audit};
use exwire::evidence::{
    Attribute, CaptureRecord, Episode, Fact, IcmpError, Layer, Ledger, Merge, Offer, Offered, Seen,
    Value,
};
use exwire::flow::{Observation, TcpObservation, Tracker};
use exwire::net::{Endpoint, FlowKey, PerSide, Side, TcpFlags, Timestamp, Transport};
use exwire::scan::Scanned;
use exwire::signature::Signatures;
use exwire::topology::Topology;
use pipeline_support::{Random, Recording, chain, judge, real, samples, scan, signatures};
use proptest::prelude::*;

fn any_seen() -> impl Strategy<Value = Seen> {
    (1_u64..4).prop_map(|frame| Seen {
        frame,
        time: Timestamp::from_nanos(frame as i64),
    })
}

fn any_side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::A), Just(Side::B)]
}

fn address(last: u8) -> IpAddr {
    [10, 0, 0, last].into()
}

fn any_key() -> impl Strategy<Value = FlowKey> {
    let transport = prop_oneof![Just(Transport::TCP), Just(Transport::UDP)];
    (transport, 1_u16..3).prop_map(|(transport, port)| {
        let end = |port| Endpoint::new(address(1), port);
        FlowKey::of(transport, end(port), end(9)).0
    })
}

fn any_tap() -> impl Strategy<Value = Arc<str>> {
    prop_oneof![Just("one.pcap".into()), Just("other.pcap".into())]
}

prop_compose! {
    fn any_fact()(
        name in prop_oneof![Just("banner"), Just("command")],
        subject in 0_u64..2,
        number in 0_u64..2,
        side in any_side(),
    ) -> Fact {
        let attribute = Attribute { protocol: "smtp", name };
        Fact { attribute, subject, value: Value::Number(number), side }
    }
}

prop_compose! {
    fn any_offer()(port in 0_u16..2, last in 1_u8..3) -> Offer {
        Offer {
            transport: Transport::UDP,
            endpoint: Endpoint::new(address(last), port),
            by: address(1),
            to: address(2),
            offered: Offered::Host { name: "mail.example.com".into() },
        }
    }
}

prop_compose! {
    fn any_tracker(key: FlowKey)(
        time in 0_i64..2,
        side in any_side(),
        ip_bytes in 0_u32..2,
        isn in prop::option::of(0_u32..2),
        number in 1_u64..3,
    ) -> Tracker {
        Tracker::new(&Observation {
            time: Timestamp::from_nanos(time),
            key,
            side,
            ip_bytes,
            payload_len: 0,
            tcp: isn.map(|sequence| TcpObservation {
                sequence,
                acknowledgment: 0,
                flags: TcpFlags::SYN,
                window: 1,
            }),
            number,
        })
    }
}

/// Any episode out of few values, so that many share their place, and some are equal.
fn any_episode(tap: Arc<str>) -> impl Strategy<Value = Episode> {
    any_key().prop_flat_map(move |key| {
        let tap = tap.clone();
        (
            any_tracker(key),
            prop::collection::btree_map(any_fact(), any_seen(), 0..3),
            prop::collection::btree_map(any_offer(), any_seen(), 0..2),
            prop::option::of(any_seen()),
            prop::option::of(any_side()),
            0_u64..2,
        )
            .prop_map(
                move |(tracker, facts, offers, smtp, client, gap_bytes)| Episode {
                    key,
                    tap: tap.clone(),
                    last_frame: tracker.first_number,
                    tracker,
                    captures: vec![tap.clone()],
                    tunnel: Vec::new(),
                    protocols: smtp
                        .map(|seen| ("smtp", Layer { depth: 0, seen }))
                        .into_iter()
                        .collect(),
                    facts: facts.into_iter().collect(),
                    offers: offers.into_iter().collect(),
                    streams: BTreeMap::new(),
                    payload: Vec::new(),
                    reports: BTreeMap::new(),
                    client,
                    gap_bytes,
                    disagreements: 0,
                    left_out: 0,
                },
            )
    })
}

prop_compose! {
    fn any_icmp_error()(last in 1_u8..3, quoted_sender in any_side(), code in 0_u8..2) -> IcmpError {
        IcmpError { reporter: address(last), quoted_sender, version: 4, kind: 3, code }
    }
}

prop_compose! {
    fn any_record()(packets in 0_u64..3, drops in 0_u64..2, counter in 0_u64..2) -> CaptureRecord {
        CaptureRecord {
            packets,
            drops,
            counters: BTreeMap::from([("flows_evicted".into(), counter)]),
            ..CaptureRecord::default()
        }
    }
}

/// Any ledger of one chain.
fn any_chain() -> impl Strategy<Value = Ledger> {
    let any_errors = || prop::collection::btree_map(any_icmp_error(), any_seen(), 0..3);
    any_tap().prop_flat_map(move |tap| {
        (
            Just(tap.clone()),
            any_record(),
            prop::collection::vec(any_episode(tap), 0..4),
            prop::collection::btree_map(any_key(), any_errors(), 0..2),
        )
            .prop_map(|(tap, record, episodes, errors)| Ledger::new(tap, record, episodes, errors))
    })
}

/// Any ledger: none, one or several chains.
fn any_ledger() -> impl Strategy<Value = Ledger> {
    prop::collection::vec(any_chain(), 0..3).prop_map(|chains| {
        chains
            .into_iter()
            .fold(Ledger::default(), |all, one| merged(&all, &one))
    })
}

fn merged(one: &Ledger, other: &Ledger) -> Ledger {
    let mut all = one.clone();
    all.merge(other.clone());
    all
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn merging_is_associative(a in any_ledger(), b in any_ledger(), c in any_ledger()) {
        prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
    }

    #[test]
    fn merging_is_commutative(a in any_ledger(), b in any_ledger()) {
        prop_assert_eq!(merged(&a, &b), merged(&b, &a));
    }

    #[test]
    fn the_union_of_many_is_their_merge(a in any_ledger(), b in any_ledger(), c in any_ledger()) {
        let all = Ledger::union([a.clone(), b.clone(), c.clone()]);
        prop_assert_eq!(all, merged(&merged(&a, &b), &c));
    }

    #[test]
    fn the_empty_ledger_is_the_identity(a in any_ledger()) {
        prop_assert_eq!(&merged(&a, &Ledger::default()), &a);
        prop_assert_eq!(&merged(&Ledger::default(), &a), &a);
    }

    #[test]
    fn a_repeated_merge_changes_nothing(a in any_ledger(), b in any_ledger()) {
        prop_assert_eq!(&merged(&a, &a), &a);
        let both = merged(&a, &b);
        prop_assert_eq!(&merged(&both, &a), &both);
        prop_assert_eq!(&merged(&both, &b), &both);
    }

    #[test]
    fn a_merge_holds_each_episode_of_its_parts_once(a in any_ledger(), b in any_ledger()) {
        let both = merged(&a, &b);
        for episode in a.episodes().chain(b.episodes()) {
            let held = both.episodes().filter(|held| *held == episode).count();
            prop_assert_eq!(held, 1);
        }
        let places: Vec<_> = both.episodes().map(|episode| episode.place()).collect();
        prop_assert!(places.is_sorted());
    }
}

/// Real captures of many topics, small enough to be scanned many times.
const REAL: &[&str] = &[
    "mapi/zeek-dce-rpc-mapi.pcap",
    "rpc-epm/samr-acl_0.1_userb1.pcapng",
    "rpc-epm/suricata-dcerpc-zerologon-input.pcap",
    "sip/bruteshark-sip-rtp-g729a.pcap",
    "sip/bruteshark-magicjack__short_call.pcap",
    "smtp/markofu-evidence02.pcap",
    "ldap/elcabezzonn-tinkersec-ldapsearch.pcap",
    "dns/zeek-nmap-vsn.pcap",
    "dns/zeek-dns-edns-ecs.pcap",
    "encap/mercury-geneve.pcap",
    "tls/ndpi-starcraft_battle.pcap",
    "rtp/nfstream-skype.pcap",
];

/// What a flow is, but for what needs the whole of it in one place.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    protocols: BTreeSet<&'static str>,
    facts: BTreeSet<Fact>,
    offers: BTreeSet<Offer>,
}

/// What is counted of a flow: several taps may show the same packets, so that parts of a crossed flow do not add.
#[derive(Debug, PartialEq, Eq)]
struct Counted {
    packets: PerSide<u64>,
    bytes: PerSide<u64>,
    seen: [Timestamp; 2],
    tunnel: Vec<Box<str>>,
}

/// What attribution makes of a flow.
#[derive(Debug, PartialEq, Eq)]
struct Meant {
    client: Endpoint,
    orientation: Orientation,
    state: State,
    encryption: &'static str,
    protocols: Vec<&'static str>,
    service: Option<String>,
    verdict: String,
}

fn said(flow: &Flow) -> Said {
    // The time of a call needs request and answer in one capture.
    let is_measured = |fact: &&Fact| fact.attribute.name.starts_with("answered");
    Said {
        protocols: flow.protocols.keys().copied().collect(),
        facts: flow
            .facts
            .keys()
            .filter(|fact| !is_measured(fact))
            .cloned()
            .collect(),
        offers: flow.offers.keys().cloned().collect(),
    }
}

fn counted(flow: &Flow) -> Counted {
    Counted {
        packets: flow.tracker.packets,
        bytes: flow.tracker.bytes,
        seen: [flow.tracker.first_seen, flow.tracker.last_seen],
        tunnel: flow.tunnel.clone(),
    }
}

fn meant(flow: &Flow, attribution: &Attribution) -> Meant {
    Meant {
        client: flow.client(),
        orientation: flow.orientation,
        state: flow.state(),
        encryption: attribution.encryption.kind.word(),
        protocols: attribution.protocols.clone(),
        service: attribution.service.as_ref().map(ToString::to_string),
        verdict: format!("{:?}", attribution.verdict),
    }
}

/// One flow of a judged ledger.
#[derive(Debug)]
struct Seat {
    said: Said,
    counted: Counted,
    meant: Meant,
    captures: Vec<Arc<str>>,
}

/// Flows by key, then in order of time.
fn by_key(judged: &Judged<'_>) -> HashMap<FlowKey, Vec<Seat>> {
    let mut flows: HashMap<_, Vec<_>> = HashMap::new();
    for (flow, attribution) in &judged.all() {
        flows.entry(flow.key).or_default().push(Seat {
            said: said(flow),
            counted: counted(flow),
            meant: meant(flow, attribution),
            captures: flow.captures.clone(),
        });
    }
    flows
}

/// What audit calls an error, and of which flows.
fn errors(judged: &Judged<'_>, signatures: &Signatures) -> BTreeSet<(&'static str, FlowKey)> {
    let flows = judged.all();
    audit(judged, signatures, &Topology::default())
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .flat_map(|finding| finding.flows.iter().map(|flow| (finding.code, flow)))
        .map(|(code, flow)| (code, flows[flow as usize - 1].0.key))
        .collect()
}

/// How a capture in parts differs from the whole.
#[derive(Debug, Default)]
struct Differences {
    flows: usize,
    crossed: usize,
    /// Flows that a cut crossed, and that say less or more.
    said: usize,
    /// Flows that are taken for something else.
    meant: usize,
}

/// Scans a recording in parts, each a tap of its own, and merges them in any order.
fn scan_in_parts(
    recording: &Recording,
    cuts: &[usize],
    folder: &Path,
    random: &mut Random,
) -> Scanned {
    let mut parts: Vec<Ledger> = Vec::new();
    let mut start = 0;
    for end in cuts.iter().copied().chain([recording.frames.len()]) {
        let path: PathBuf = folder.join(format!("part{}.pcap", parts.len()));
        std::fs::write(&path, recording.pcap(start..end, usize::MAX)).unwrap();
        parts.push(scan(&[chain(&[path])], 1).ledger);
        start = end;
    }
    random.shuffle(&mut parts);
    let mut all = Scanned::default();
    for part in parts {
        all.ledger.merge(part);
    }
    all
}

/// Cuts a recording, merges its parts, and compares. Flows that no cut crossed must say and count the same; what is made
/// of them may differ only where a crossed flow of one of their hosts says something else. No cut makes an error.
fn compare(
    name: &str,
    recording: &Recording,
    random: &mut Random,
    signatures: &Signatures,
) -> Differences {
    let folder = tempfile::tempdir().unwrap();
    let path = recording.write(&folder.path().join("whole.pcap"));
    let whole = scan(&[chain(&[path])], 1);
    let most = 1 + random.below(5);
    let cuts = random.cuts(most, recording.frames.len());
    let in_parts = scan_in_parts(recording, &cuts, folder.path(), random);
    let is_crossed = |episode: &Episode| {
        let frames = episode.tracker.first_number..episode.last_frame;
        cuts.iter().any(|cut| frames.contains(&(*cut as u64)))
    };
    let episodes = whole.ledger.episodes();
    let crossed: BTreeSet<FlowKey> = episodes.filter(is_crossed).map(|one| one.key).collect();
    let [whole, in_parts] = [whole, in_parts].map(|scanned| judge(&scanned, signatures));
    let at = format!("{name}, cut at {cuts:?}");
    let [known, found] = [&whole, &in_parts].map(|judged| errors(judged, signatures));
    let invented: Vec<_> = found.difference(&known).collect();
    assert!(
        invented.is_empty(),
        "{at}: found in the parts only: {invented:?}"
    );
    let [whole, in_parts] = [whole, in_parts].map(|judged| by_key(&judged));
    let mut differences = Differences {
        flows: whole.len(),
        crossed: crossed.len(),
        ..Differences::default()
    };
    let mut keys: BTreeSet<FlowKey> = whole.keys().copied().collect();
    keys.extend(in_parts.keys());
    let nothing = Vec::new();
    let pair = |key: &FlowKey| [&whole, &in_parts].map(|flows| flows.get(key).unwrap_or(&nothing));
    let is_same = |key: &FlowKey, holds: fn(&Seat, &Seat) -> bool| {
        let [of_whole, of_parts] = pair(key);
        of_whole.len() == of_parts.len()
            && of_whole
                .iter()
                .zip(of_parts)
                .all(|(one, other)| holds(one, other))
    };
    let mut touched: BTreeSet<IpAddr> = BTreeSet::new();
    for key in &keys {
        let [of_whole, of_parts] = pair(key);
        if crossed.contains(key) {
            let captures: BTreeSet<_> = of_parts.iter().flat_map(|seat| &seat.captures).collect();
            assert!(captures.len() > 1, "{at}: {key} is in {captures:?}");
        } else {
            assert!(
                is_same(key, |one, other| one.counted == other.counted
                    && one.said == other.said),
                "{at}: no cut crosses {key}, and yet\n{of_whole:?}\nbecame\n{of_parts:?}"
            );
        }
        if !is_same(key, |one, other| one.said == other.said) {
            touched.extend([key.a.address, key.b.address]);
            for seat in of_whole.iter().chain(of_parts) {
                touched.extend(seat.said.offers.iter().map(|offer| offer.endpoint.address));
            }
            differences.said += 1;
        }
    }
    for key in &keys {
        if !is_same(key, |one, other| one.meant == other.meant) {
            let [of_whole, of_parts] = pair(key).map(|seats| {
                format!(
                    "{:?}",
                    seats.iter().map(|seat| &seat.meant).collect::<Vec<_>>()
                )
            });
            println!("{at}: {key} was\n{of_whole} and is\n{of_parts}");
            assert!(
                crossed.contains(key)
                    || touched.contains(&key.a.address)
                    || touched.contains(&key.b.address),
                "{at}: {key} is taken for something else, and nothing was lost"
            );
            differences.meant += 1;
        }
    }
    differences
}

fn compare_all(captures: Vec<(String, Vec<PathBuf>)>, rounds: u64) -> Differences {
    let signatures = signatures();
    let mut all = Differences::default();
    for (name, paths) in captures {
        let recording = Recording::read(&paths);
        for seed in 0..rounds {
            let found = compare(&name, &recording, &mut Random(seed), &signatures);
            all.flows += found.flows;
            all.crossed += found.crossed;
            all.said += found.said;
            all.meant += found.meant;
        }
    }
    println!("{all:?}");
    all
}

#[test]
fn samples_in_parts_give_what_the_whole_gives() {
    let found = compare_all(samples(), 12);
    assert!(found.crossed > 100, "{found:?}");
    assert!(found.said * 6 < found.crossed, "{found:?}");
    assert!(found.meant * 20 < found.crossed, "{found:?}");
}

#[test]
fn real_captures_in_parts_give_what_the_whole_gives() {
    let found = compare_all(real(REAL), 4);
    assert!(found.said * 6 <= found.crossed, "{found:?}");
    assert!(found.meant * 20 <= found.crossed, "{found:?}");
}
