//! What the fuzz targets and the seeds share: scripts, and players of scripts.
//!
//! A script is a list of messages, each with the side that sends it. As bytes, each message is two bytes, little endian
//! (the side in the top bit, the length below it; a length beyond the end is cut), and the message itself.

use std::collections::BTreeMap;
use std::io::Read;

use exwire::capture::{Block, Options, Packet, Reader};
use exwire::evidence::{Moment, Recorder};
use exwire::net::{Endpoint, FlowKey, PerSide, Side, Timestamp, Transport};
use exwire::protocol::{Context, Conversation, Datagram, Datagrams, PROTOCOLS};
use exwire::stream::{Chunk, Mark, Stream};
use exwire::wire::{Dissector, Layers, Limits};

/// The bit of a message's head that names the side.
const SIDE_B: u16 = 0x8000;

/// Messages, each with its sender.
pub type Script<'a> = Vec<(Side, &'a [u8])>;

/// Reads a script; any bytes are one.
pub fn script(mut bytes: &[u8]) -> Script<'_> {
    let mut messages = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk() {
        let head = u16::from_le_bytes(*head);
        let side = if head & SIDE_B == 0 { Side::A } else { Side::B };
        let (message, rest) = rest.split_at(rest.len().min(usize::from(head & !SIDE_B)));
        messages.push((side, message));
        bytes = rest;
    }
    messages
}

/// Writes a message at the end of a script; what is longer than a message can be is left out.
pub fn write(script: &mut Vec<u8>, side: Side, message: &[u8]) {
    let message = &message[..message.len().min(usize::from(!SIDE_B))];
    let bit = if side == Side::A { 0 } else { SIDE_B };
    script.extend((message.len() as u16 | bit).to_le_bytes());
    script.extend(message);
}

fn moment(transport: Transport, side: Side, frame: u64) -> Moment {
    let end = |last, port| Endpoint::new([10, 0, 0, last].into(), port);
    Moment {
        time: Timestamp::from_nanos(frame as i64 * 1_000_000),
        frame,
        key: FlowKey::of(transport, end(1, 40_000), end(2, 40_001)).0,
        side,
    }
}

/// Plays a script as a TCP connection that is captured whole; answers what was recorded, and what reached the decoders.
/// Messages are cut into segments of the `sizes`, which are taken round and round; 0 sends the segment before again.
pub fn connection(script: &Script<'_>, sizes: &[u8], order: Order) -> (Recorder, PerSide<Vec<u8>>) {
    let mut sizes = sizes.iter().cycle();
    let (mut recorder, mut conversation) = (Recorder::default(), Conversation::default());
    let mut streams = PerSide::<Stream>::default();
    let mut given = PerSide::<Vec<u8>>::default();
    let mut next = PerSide::new(u32::MAX - 40, 7);
    for side in Side::BOTH {
        streams[side].syn(next[side].wrapping_sub(1));
    }
    for (number, &(side, message)) in script.iter().enumerate() {
        let context = Context {
            moment: moment(Transport::TCP, side, number as u64 + 1),
            midstream: false,
        };
        let mut segments: Vec<(u32, &[u8])> = Vec::new();
        let mut rest = message;
        while !rest.is_empty() {
            let size = sizes.next().map_or(rest.len(), |&size| usize::from(size));
            if size == 0 {
                segments.extend(segments.last().copied());
            }
            // One byte follows a segment that is sent again: the sizes may all be 0.
            let size = if size == 0 { 1 } else { size.min(rest.len()) };
            let (segment, after) = rest.split_at(size);
            segments.push((next[side], segment));
            next[side] = next[side].wrapping_add(segment.len() as u32);
            rest = after;
        }
        if order == Order::EachPairSwapped {
            segments
                .chunks_exact_mut(2)
                .for_each(|pair| pair.swap(0, 1));
        }
        for (sequence, segment) in segments {
            streams[side].push(
                sequence,
                segment,
                segment.len() as u32,
                Mark::default(),
                &mut |chunk| match chunk {
                    Chunk::Data(bytes) | Chunk::Held(bytes, _) => {
                        given[side].extend(bytes);
                        conversation.data(bytes, context, &mut recorder);
                    }
                    Chunk::Gap { .. } => panic!("a gap where nothing is missing"),
                },
            );
        }
    }
    (recorder, given)
}

/// Facts, offers and proven protocols, for comparison.
pub fn said(recorder: &Recorder) -> impl PartialEq + std::fmt::Debug + use<> {
    let protocols: Vec<_> = recorder.protocols.keys().copied().collect();
    let facts: Vec<_> = recorder
        .facts
        .iter()
        .map(|(fact, seen)| (fact.clone(), *seen))
        .collect();
    let offers: Vec<_> = recorder
        .offers
        .iter()
        .map(|(offer, seen)| (offer.clone(), *seen))
        .collect();
    (protocols, facts, offers)
}

/// What is noted must be registered with its protocol, and within its bounds.
pub fn check(recorder: &Recorder, messages: usize) {
    for fact in recorder.facts.keys() {
        let attribute = fact.attribute;
        let registered = PROTOCOLS.iter().any(|protocol| {
            protocol.name == attribute.protocol && protocol.attributes.contains(&attribute.name)
        });
        assert!(registered, "{} is not registered", fact.attribute);
    }
    assert!(recorder.offers.len() <= Recorder::MAX_OFFERS);
    let facts = recorder.facts.iter().map(|(_, seen)| seen);
    let mut seen = facts.chain(recorder.offers.iter().map(|(_, seen)| seen));
    assert!(seen.all(|seen| (1..=messages as u64).contains(&seen.frame)));
}

/// The order of segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As they were sent.
    Sent,
    /// The second of each pair before the first.
    EachPairSwapped,
}

/// Plays a script as datagrams of one flow, captured whole.
pub fn datagrams(script: &Script<'_>) -> Recorder {
    let (mut recorder, mut flow) = (Recorder::default(), Datagrams::default());
    for (number, &(side, bytes)) in script.iter().enumerate() {
        let wire_len = bytes.len();
        let moment = moment(Transport::UDP, side, number as u64 + 1);
        flow.datagram(Datagram { bytes, wire_len }, moment, &mut recorder);
    }
    recorder
}

/// The scripts of a capture's flows, as bytes.
pub fn scripts(capture: impl Read + Send + 'static) -> BTreeMap<FlowKey, Vec<u8>> {
    let mut scripts = BTreeMap::<FlowKey, Vec<u8>>::new();
    each_packet(capture, |_, layers| {
        if let Some((transport, source, destination)) = layers.flow()
            && !layers.payload.is_empty()
        {
            let (key, side) = FlowKey::of(transport, source, destination);
            write(scripts.entry(key).or_default(), side, layers.payload);
        }
    });
    scripts
}

/// Reads the packets of a capture.
pub fn each_packet(
    capture: impl Read + Send + 'static,
    mut visit: impl FnMut(&Packet<'_>, &Layers<'_>),
) {
    let mut reader = Reader::from_stream(capture, "seed", &Options::default()).expect("a capture");
    let (mut block, mut dissector) = (Block::new(), Dissector::new(Limits::default()));
    while reader.fill(&mut block).expect("no filter, no error") {
        for packet in block.packets() {
            let layers = dissector.dissect(packet.time, packet.link, packet.bytes, packet.wire_len);
            visit(&packet, &layers);
        }
    }
}
