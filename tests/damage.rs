//! Damaged captures: a decoder may say less of them, never something wrong.
//!
//! Real captures are damaged in four ways and classified. What is named is held against what another dissector saw in the whole capture,
//! or what the decoders prove there. `EXWIRE_WRITE_DOCS=1` writes `docs/detection.md`.
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

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use exwire::net::{FlowKey, Side, Timestamp};
use exwire::signature::Signatures;
use exwire::wire::{Dissector, Limits};
use pipeline_support::{Random, Recording, chain, judge, scan, signatures};
use serde_json::Value;

/// Names of the other dissector, and ours.
const NAMES: &[(&str, &str)] = &[
    ("smtp", "smtp"),
    ("pop", "pop3"),
    ("imap", "imap"),
    ("http", "http"),
    ("http2", "http"),
    ("tls", "tls"),
    ("ssl", "tls"),
    ("dtls", "dtls"),
    ("ldap", "ldap"),
    ("cldap", "cldap"),
    ("kerberos", "kerberos"),
    ("dns", "dns"),
    ("mdns", "mdns"),
    ("llmnr", "llmnr"),
    ("dcerpc", "dcerpc"),
    ("smb", "smb"),
    ("smb2", "smb"),
    ("nbss", "netbios_ssn"),
    ("nbns", "netbios_ns"),
    ("nbdgm", "netbios_dgm"),
    ("sip", "sip"),
    ("rtp", "rtp"),
    ("srtp", "rtp"),
    ("rtcp", "rtcp"),
    ("srtcp", "rtcp"),
    ("stun", "stun"),
    ("classicstun", "stun"),
    ("tpkt", "tpkt"),
    ("h225", "h225"),
    ("t125", "t125"),
    ("x411", "x400"),
    ("x420", "x400"),
    ("s4406", "x400"),
    ("irc", "irc"),
    ("xmpp", "xmpp"),
    ("ssh", "ssh"),
    ("rdp", "rdp"),
    ("vnc", "vnc"),
    ("telnet", "telnet"),
    ("ftp", "ftp"),
    ("tftp", "tftp"),
    ("rpc", "sunrpc"),
    ("snmp", "snmp"),
    ("syslog", "syslog"),
    ("ntp", "ntp"),
    ("dhcp", "dhcp"),
    ("dhcpv6", "dhcpv6"),
    ("ssdp", "ssdp"),
    ("quic", "quic"),
    ("gquic", "quic"),
    ("wg", "wireguard"),
    ("openvpn", "openvpn"),
    ("isakmp", "ike"),
    ("bittorrent", "bittorrent"),
    ("bt-dht", "bittorrent"),
    ("bt-utp", "bittorrent"),
    ("socks", "socks"),
    ("mysql", "mysql"),
    ("pgsql", "postgresql"),
    ("tds", "tds"),
    ("redis", "redis"),
    ("resp", "redis"),
    ("mongo", "mongodb"),
    ("memcache", "memcached"),
    ("rtmpt", "rtmp"),
    ("rtsp", "rtsp"),
    ("mbtcp", "modbus"),
    ("mqtt", "mqtt"),
    ("amqp", "amqp"),
    ("git", "git"),
    ("radius", "radius"),
    ("whois", "whois"),
    ("nntp", "nntp"),
    ("rmi", "rmi"),
    ("websocket", "websocket"),
    ("diameter", "diameter"),
    ("mgcp", "mgcp"),
    ("skinny", "skinny"),
    ("h245", "h245"),
];

/// Names of a second classifier that looks at bytes, and ours.
const SECOND: &[(&str, &str)] = &[
    ("SMTP", "smtp"),
    ("SMTPS", "tls"),
    ("POP3", "pop3"),
    ("IMAP", "imap"),
    ("HTTP", "http"),
    ("TLS", "tls"),
    ("LDAP", "ldap"),
    ("Kerberos", "kerberos"),
    ("DNS", "dns"),
    ("RPC", "dcerpc"),
    ("DCE_RPC", "dcerpc"),
    ("SMBv1", "smb"),
    ("SMBv23", "smb"),
    ("SIP", "sip"),
    ("RTP", "rtp"),
    ("RTCP", "rtcp"),
    ("STUN", "stun"),
    ("DTLS", "dtls"),
    ("IRC", "irc"),
    ("Jabber", "xmpp"),
    ("SSH", "ssh"),
    ("RDP", "rdp"),
    ("VNC", "vnc"),
    ("Telnet", "telnet"),
    ("FTP_CONTROL", "ftp"),
    ("SNMP", "snmp"),
    ("NTP", "ntp"),
    ("DHCP", "dhcp"),
    ("SSDP", "ssdp"),
    ("QUIC", "quic"),
    ("BitTorrent", "bittorrent"),
    ("SOCKS", "socks"),
    ("MySQL", "mysql"),
    ("PostgreSQL", "postgresql"),
    ("Redis", "redis"),
    ("RTMP", "rtmp"),
    ("RTSP", "rtsp"),
    ("MQTT", "mqtt"),
    ("NetBIOS", "netbios_ns"),
    ("TFTP", "tftp"),
    ("Syslog", "syslog"),
    ("MsSQL-TDS", "tds"),
    ("H323", "h225"),
    ("MDNS", "mdns"),
    ("LLMNR", "llmnr"),
    ("Radius", "radius"),
];

/// Layers that say nothing of what a flow is.
const SILENT: &[&str] = &[
    "data",
    "data-text-lines",
    "malformed",
    "unreassembled",
    "tcp.segments",
    "_ws",
    "eth",
    "ip",
    "tcp",
    "udp",
    "media",
    "_ws.malformed",
    "_ws.short",
    "_ws.unreassembled",
    "vssmonitoring",
    "short",
];

/// Flows that a protocol needs in the ground truth for a line of its own.
const MIN_FLOWS: u32 = 10;
/// Least share of what is named that must be right.
const MIN_PRECISION: f64 = 0.99;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Damage {
    None,
    /// Snap length 96.
    Cut,
    /// Of each flow, the packets of the greater endpoint only.
    OneSided,
    /// Each packet is lost with a chance of 2 %.
    Lossy,
    /// Packets change places with those up to five before or behind.
    Shuffled,
}

const DAMAGES: [Damage; 4] = [
    Damage::Cut,
    Damage::OneSided,
    Damage::Lossy,
    Damage::Shuffled,
];

impl Damage {
    const fn title(self) -> &'static str {
        match self {
            Self::None => "whole",
            Self::Cut => "96 bytes",
            Self::OneSided => "one side",
            Self::Lossy => "2 % lost",
            Self::Shuffled => "shuffled",
        }
    }

    fn apply(self, recording: &mut Recording) {
        let mut random = Random(7);
        let frames = &mut recording.frames;
        match self {
            Self::None | Self::Cut => {}
            Self::OneSided => {
                let mut dissector = Dissector::new(Limits::default());
                let link = exwire::net::LinkType(recording.link);
                frames.retain(|frame| {
                    let time = Timestamp::from_nanos(frame.nanos);
                    let layers = dissector.dissect(time, link, &frame.bytes, frame.wire_len);
                    layers
                        .flow()
                        .is_none_or(|(transport, source, destination)| {
                            FlowKey::of(transport, source, destination).1 == Side::B
                        })
                });
            }
            Self::Lossy => frames.retain(|_| random.below(50) != 0),
            Self::Shuffled => {
                let mut placed: Vec<(usize, _)> = frames
                    .drain(..)
                    .enumerate()
                    .map(|(place, frame)| (place + random.below(6), frame))
                    .collect();
                placed.sort_by_key(|(place, _)| *place);
                frames.extend(placed.into_iter().map(|(_, frame)| frame));
            }
        }
    }
}

type Ends = (String, [(IpAddr, u16); 2]);

/// What the ground truth says of one flow.
struct Truth {
    names: BTreeSet<&'static str>,
    second: BTreeSet<&'static str>,
    told: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Score {
    truth: u32,
    found: u32,
    named: u32,
    confirmed: u32,
}

type Scores = BTreeMap<(&'static str, Damage), Score>;

fn translate(names: &[(&str, &'static str)], name: &str) -> Option<&'static str> {
    names
        .iter()
        .find(|(theirs, _)| *theirs == name)
        .map(|(_, ours)| *ours)
}

/// RPC in a named pipe is counted apart: it needs SMB to be seen first.
fn apart(mut names: BTreeSet<&'static str>) -> BTreeSet<&'static str> {
    if names.contains("smb") && names.remove("dcerpc") {
        names.insert("dcerpc in smb");
    }
    names
}

fn ends(transport: &str, one: (IpAddr, u16), other: (IpAddr, u16)) -> Ends {
    let mut both = [one, other];
    both.sort_unstable();
    (transport.to_owned(), both)
}

fn truth(path: &Path) -> Option<BTreeMap<Ends, Truth>> {
    let truth: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    // Keys in the file let the other dissector look inside: nobody else can.
    if truth["has_decryption_secrets"].as_bool() == Some(true) {
        return None;
    }
    let end = |end: &Value| {
        let address = end["addr"].as_str()?.parse().ok()?;
        Some((
            address,
            u16::try_from(end["port"].as_u64().unwrap_or(0)).ok()?,
        ))
    };
    let mut flows = BTreeMap::new();
    for flow in truth["flows"].as_array()? {
        let (Some(a), Some(b)) = (end(&flow["a"]), end(&flow["b"])) else {
            continue;
        };
        let seen: BTreeSet<&str> = flow["protocols"]
            .as_object()?
            .keys()
            .map(String::as_str)
            .filter(|name| !SILENT.contains(name))
            .collect();
        let names = seen
            .iter()
            .filter_map(|name| translate(NAMES, name))
            .collect();
        let ndpi = &flow["ndpi"];
        let second = if ndpi["confidence"] == "DPI" {
            let parts = ndpi["proto"].as_str().unwrap_or_default().split('.');
            parts.filter_map(|part| translate(SECOND, part)).collect()
        } else {
            BTreeSet::new()
        };
        let has_payload = flow["payload_bytes"].as_u64() != Some(0);
        let told = !seen.is_empty();
        let names = if has_payload {
            apart(names)
        } else {
            BTreeSet::new()
        };
        let key = ends(flow["transport"].as_str().unwrap_or_default(), a, b);
        flows.insert(
            key,
            Truth {
                names,
                second,
                told,
            },
        );
    }
    Some(flows)
}

fn score(
    damage: Damage,
    path: &Path,
    truth: &BTreeMap<Ends, Truth>,
    signatures: &Signatures,
    whole: &mut BTreeMap<Ends, BTreeSet<&'static str>>,
    scores: &mut Scores,
    wrong: &mut Vec<String>,
) {
    let judged = judge(&scan(&[chain(&[path.to_owned()])], 1), signatures);
    // Whether payload is left, and what is named: episodes of one five-tuple together.
    let mut ours: BTreeMap<Ends, (bool, BTreeSet<&'static str>)> = BTreeMap::new();
    for (flow, attribution) in &judged.all() {
        let [a, b] = [Side::A, Side::B].map(|side| flow.key.endpoint(side));
        let key = ends(
            &flow.key.transport.to_string(),
            (a.address, a.port),
            (b.address, b.port),
        );
        let entry = ours.entry(key).or_default();
        entry.0 |= flow.has_payload();
        entry.1.extend(&attribution.protocols);
    }
    if damage == Damage::None {
        for (key, (_, named)) in &ours {
            whole.insert(key.clone(), apart(named.clone()));
        }
    }
    let known: BTreeSet<&str> = NAMES.iter().map(|(_, ours)| *ours).collect();
    for (key, truth) in truth {
        let Some((has_payload, named)) = ours.remove(key) else {
            continue;
        };
        let named = apart(named);
        for name in truth.names.iter().filter(|_| has_payload) {
            let score = scores.entry((name, damage)).or_default();
            score.truth += 1;
            score.found += u32::from(named.contains(name));
        }
        if !truth.told && truth.second.is_empty() {
            continue;
        }
        for name in named {
            let base = name.split(' ').next().unwrap();
            let confirmed = truth.names.contains(name)
                || truth.second.contains(base)
                || !known.contains(base)
                || damage != Damage::None
                    && whole.get(key).is_some_and(|whole| whole.contains(name));
            let score = scores.entry((name, damage)).or_default();
            score.named += 1;
            score.confirmed += u32::from(confirmed);
            if !confirmed {
                wrong.push(format!("{damage:?} {} {name} {key:?}", path.display()));
            }
        }
    }
}

fn captures(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            captures(&path, files);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            files.push(path);
        }
    }
}

fn share(part: u32, whole: u32) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    format!("{:.3}", f64::from(part) / f64::from(whole))
}

fn page(scores: &Scores) -> String {
    let of = |name, damage| scores.get(&(name, damage)).copied().unwrap_or_default();
    let all = [Damage::None].into_iter().chain(DAMAGES);
    let mut page = String::from(
        "# Detection on damaged captures\n\nReal captures made by others, classified whole and damaged: cut to 96 bytes a packet; one endpoint's packets removed; every \
         fiftieth packet\nlost at random; packets moved by up to five places. The ground truth is what tshark sees in the whole capture. Recall counts flows in which \
         payload is left;\nprecision counts what is named, over all protocols: of whole captures against it,\nof damaged ones also against what is proven in the whole. Written by `EXWIRE_WRITE_DOCS=1 cargo test --test damage`.\n\n\
         A message that the snap length cuts is named by its beginning where that cannot be anything else. A handshake, a greeting, a call or an RPC bind that lies\n\
         behind the 96th byte, or in the direction that is missing, is not there to be read: recall falls, and precision must not. So with RPC in the pipes of\n\
         SMB, mailslots in datagrams, and replies of ONC RPC without their calls.\n\n| protocol | flows |",
    );
    for damage in all.clone() {
        write!(page, " {} |", damage.title()).unwrap();
    }
    page.push_str("\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n");
    let names: BTreeSet<&str> = scores.keys().map(|(name, _)| *name).collect();
    for name in names {
        let flows = of(name, Damage::None).truth;
        if flows < MIN_FLOWS {
            continue;
        }
        write!(page, "| {name} | {flows} |").unwrap();
        for damage in all.clone() {
            let score = of(name, damage);
            write!(page, " {} |", share(score.found, score.truth)).unwrap();
        }
        page.push('\n');
    }
    page.push_str("| **precision** | |");
    for damage in all {
        let (confirmed, named) = total(scores, damage);
        write!(page, " **{}** |", share(confirmed, named)).unwrap();
    }
    page.push('\n');
    page
}

fn total(scores: &Scores, damage: Damage) -> (u32, u32) {
    let of_damage = scores.iter().filter(|((_, at), _)| *at == damage);
    of_damage.fold((0, 0), |(confirmed, named), (_, score)| {
        (confirmed + score.confirmed, named + score.named)
    })
}

#[test]
fn damaged_captures_are_named_less_and_not_wrongly() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/captures");
    let named = std::env::var_os("EXWIRE_SHARED").map(|shared| Path::new(&shared).join("captures"));
    let Some(root) = std::iter::once(beside)
        .chain(named)
        .find(|folder| folder.is_dir())
    else {
        println!("skipped: no folder of real captures");
        return;
    };
    let writes = std::env::var_os("EXWIRE_WRITE_DOCS").is_some();
    let mut truths = Vec::new();
    captures(&root.join("truth"), &mut truths);
    truths.sort();
    let signatures = signatures();
    let queue = Mutex::new(truths.iter());
    let results = Mutex::new((Scores::new(), Vec::new()));
    let work = || {
        let folder = tempfile::tempdir().unwrap();
        let (mut scores, mut wrong) = (Scores::new(), Vec::new());
        loop {
            let Some(path) = queue.lock().unwrap().next() else {
                break;
            };
            let name = path.strip_prefix(root.join("truth")).unwrap();
            let capture = root.join(name).with_extension("");
            let (Some(truth), Some(recording)) = (truth(path), Recording::read_one(&capture))
            else {
                continue;
            };
            let mut whole = BTreeMap::new();
            for damage in [Damage::None].into_iter().chain(DAMAGES) {
                let mut damaged = recording.clone();
                damage.apply(&mut damaged);
                let snap = if damage == Damage::Cut {
                    96
                } else {
                    usize::MAX
                };
                let file = folder.path().join("damaged.pcap");
                fs::write(&file, damaged.pcap(0..damaged.frames.len(), snap)).unwrap();
                let before = wrong.len();
                score(
                    damage,
                    &file,
                    &truth,
                    &signatures,
                    &mut whole,
                    &mut scores,
                    &mut wrong,
                );
                for line in &mut wrong[before..] {
                    *line = line.replace(&file.display().to_string(), &name.display().to_string());
                }
            }
        }
        let mut results = results.lock().unwrap();
        for (key, score) in scores {
            let sum = results.0.entry(key).or_default();
            sum.truth += score.truth;
            sum.found += score.found;
            sum.named += score.named;
            sum.confirmed += score.confirmed;
        }
        results.1.extend(wrong);
    };
    std::thread::scope(|threads| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            threads.spawn(work);
        }
    });
    let (scores, mut wrong) = results.into_inner().unwrap();
    wrong.sort();
    println!("{}", wrong.join("\n"));
    if writes {
        let page_path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/detection.md");
        fs::write(page_path, page(&scores)).unwrap();
    }
    for damage in DAMAGES {
        let (confirmed, named) = total(&scores, damage);
        println!("{damage:?}: {confirmed} of {named} confirmed");
        assert!(named > 100, "{damage:?}: next to nothing was named");
        let precision = f64::from(confirmed) / f64::from(named);
        assert!(precision >= MIN_PRECISION, "{damage:?}: {precision}");
    }
}
