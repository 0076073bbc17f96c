//! Each decoder on the conversations that the samples and the generator's captures have of it, from probe to facts.
//!
//! The list comes from the registry: a protocol that no capture at hand speaks has no line. Framing, dissecting and reassembly
//! are done before the clock starts.
#![allow(clippy::unwrap_used, reason = "a bench may panic")]

#[path = "../examples/traffic/generator/mod.rs"]
#[allow(dead_code, unused_imports, reason = "a bench needs only some of it")]
mod traffic;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use exwire::attribution::Judged;
use exwire::capture::{Block, Chain, Grouping, Input, Options, Reader, plan};
use exwire::evidence::{Moment, Recorder};
use exwire::net::{FlowKey, Side, TcpFlags};
use exwire::protocol::{Context, Conversation, Datagram, Datagrams, PROTOCOLS};
use exwire::scan;
use exwire::signature::{Overrides, Signatures, Vocabulary};
use exwire::stream::{Chunk, Mark, Stream};
use exwire::topology::Topology;
use exwire::wire::{Dissector, Limits, TransportHeader};
use traffic::{Extent, Kind, generate};

/// Packets of each made capture.
const PACKETS: u64 = 30_000;
/// Payload bytes for one decoder, at most: what many flows say alike need not be said longer.
const MAX_BYTES: usize = 4 << 20;

fn main() {
    divan::main();
}

/// What one packet brought.
struct Message {
    moment: Moment,
    bytes: Vec<u8>,
    gap: u64,
}

/// The payload of a flow, in order.
struct Speech {
    is_tcp: bool,
    midstream: bool,
    messages: Vec<Message>,
}

impl Speech {
    fn bytes(&self) -> usize {
        self.messages
            .iter()
            .map(|message| message.bytes.len())
            .sum()
    }

    fn play(&self) -> Recorder {
        let mut recorder = Recorder::default();
        let (mut conversation, mut datagrams) = (Conversation::default(), Datagrams::default());
        for Message { moment, bytes, gap } in &self.messages {
            if self.is_tcp {
                let context = Context {
                    moment: *moment,
                    midstream: self.midstream,
                };
                if *gap > 0 {
                    conversation.gap(*gap, context, &mut recorder);
                }
                conversation.data(bytes, context, &mut recorder);
            } else {
                let datagram = Datagram {
                    bytes,
                    wire_len: bytes.len(),
                };
                datagrams.datagram(datagram, *moment, &mut recorder);
            }
        }
        recorder
    }
}

/// Speeches by the protocols that they prove.
static SPOKEN: LazyLock<BTreeMap<&'static str, Vec<Speech>>> = LazyLock::new(|| {
    let mut spoken = BTreeMap::new();
    let folder = tempfile::tempdir().unwrap();
    let mut captures: Vec<PathBuf> = samples();
    for (name, kind) in Kind::ALL {
        let mut pcap = Vec::new();
        generate(kind, Extent::Packets(PACKETS), 100, 1, &mut pcap).unwrap();
        let path = folder.path().join(name);
        fs::write(&path, pcap).unwrap();
        captures.push(path);
    }
    for capture in captures {
        listen(&capture, &mut spoken);
    }
    spoken
});

fn samples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let is_capture = |path: &PathBuf| {
        let kind = path.extension().and_then(|kind| kind.to_str());
        kind.is_some_and(|kind| kind.starts_with("pcap"))
    };
    let mut captures: Vec<_> = files.filter(is_capture).collect();
    captures.sort();
    captures
}

/// Protocols by flow, as a whole run finds them.
fn proven(chains: &[Chain]) -> HashMap<FlowKey, Vec<&'static str>> {
    let options = scan::Options {
        threads: 1,
        filter: None,
        memory_limit: None,
    };
    let scanned = scan::scan(chains, &options, &()).unwrap();
    let known: Vec<(&str, &[&str])> = PROTOCOLS
        .iter()
        .map(|protocol| (protocol.name, protocol.attributes))
        .collect();
    let vocabulary = Vocabulary { protocols: &known };
    let signatures = Signatures::load(&Overrides::default(), &vocabulary).unwrap();
    let topology = Topology::default();
    let judged = Judged::of(scanned.ledger, &signatures, &topology);
    let mut found = HashMap::new();
    judged.for_each(|flow, attribution| {
        found.insert(flow.key, attribution.spoken.clone());
    });
    found
}

/// Adds the speeches of a capture.
fn listen(capture: &Path, spoken: &mut BTreeMap<&'static str, Vec<Speech>>) {
    let input = Input::Path(capture.to_owned());
    let chains = plan(&[input], Grouping::Separate).unwrap().chains;
    let proven = proven(&chains);
    let mut flows: BTreeMap<FlowKey, (Speech, [Stream; 2])> = BTreeMap::new();
    let mut dissector = Dissector::new(Limits::default());
    for chain in &chains {
        let mut reader = Reader::open(chain, &Options::default()).unwrap();
        let mut block = Block::new();
        while reader.fill(&mut block).unwrap() {
            for packet in block.packets() {
                let layers =
                    dissector.dissect(packet.time, packet.link, packet.bytes, packet.wire_len);
                let Some((transport, source, destination)) = layers.flow() else {
                    continue;
                };
                let (key, side) = FlowKey::of(transport, source, destination);
                let moment = Moment {
                    time: packet.time,
                    frame: packet.number,
                    key,
                    side,
                };
                let tcp = match &layers.transport {
                    Some(TransportHeader::Tcp(tcp)) => Some(tcp),
                    _ => None,
                };
                let is_syn = tcp.is_some_and(|tcp| tcp.flags.contains(TcpFlags::SYN));
                let (speech, streams) = flows.entry(key).or_insert_with(|| {
                    let speech = Speech {
                        is_tcp: tcp.is_some(),
                        midstream: !is_syn,
                        messages: Vec::new(),
                    };
                    (speech, Default::default())
                });
                let messages = &mut speech.messages;
                let (Some(tcp), [one, other]) = (tcp, streams) else {
                    messages.push(Message {
                        moment,
                        bytes: layers.payload.to_vec(),
                        gap: 0,
                    });
                    continue;
                };
                let stream = if side == Side::A { one } else { other };
                if is_syn {
                    stream.syn(tcp.sequence);
                    continue;
                }
                let mut missing = 0;
                let mut take = |chunk: Chunk<'_>| match chunk {
                    Chunk::Gap { bytes } => missing = bytes,
                    Chunk::Data(bytes) | Chunk::Held(bytes, _) => messages.push(Message {
                        moment,
                        bytes: bytes.to_vec(),
                        gap: std::mem::take(&mut missing),
                    }),
                };
                stream.push(
                    tcp.sequence,
                    layers.payload,
                    layers.payload_wire_len,
                    Mark::default(),
                    &mut take,
                );
            }
        }
    }
    for (key, (speech, _)) in flows {
        // A speech counts for the highest protocol that it proves: the one that the lower ones carry.
        let Some(protocol) = proven.get(&key).and_then(|all| all.last().copied()) else {
            continue;
        };
        let speeches = spoken.entry(protocol).or_default();
        if speeches.iter().map(Speech::bytes).sum::<usize>() < MAX_BYTES {
            speeches.push(speech);
        }
    }
}

fn protocols() -> Vec<&'static str> {
    let names = PROTOCOLS.iter().map(|protocol| protocol.name);
    names.filter(|name| SPOKEN.contains_key(name)).collect()
}

/// Items are packets with payload.
#[divan::bench(args = protocols())]
fn decoder(bencher: Bencher<'_, '_>, protocol: &str) {
    let Some(speeches) = SPOKEN.get(protocol) else {
        return;
    };
    let packets: usize = speeches.iter().map(|speech| speech.messages.len()).sum();
    let bytes: usize = speeches.iter().map(Speech::bytes).sum();
    bencher
        .counter(ItemsCount::new(packets))
        .counter(BytesCount::new(bytes))
        .bench_local(|| {
            for speech in speeches {
                black_box(speech.play());
            }
        });
}
