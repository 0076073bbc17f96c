//! Helpers for decoder tests: feed bytes, read back what was noted.

use super::{Context, Conversation, Datagram, Datagrams, Protocol};
use crate::evidence::{Moment, Offer, Recorder, Value};
use crate::net::{Endpoint, FlowKey, Side, Timestamp, Transport};

pub(crate) use Side::{A as CLIENT, B as SERVER};

fn moment(transport: Transport, side: Side, frame: u64) -> Moment {
    let a = Endpoint::new("10.0.0.1".parse().unwrap(), 40000);
    let b = Endpoint::new("10.0.0.2".parse().unwrap(), 40001);
    let (key, _) = FlowKey::of(transport, a, b);
    Moment {
        time: Timestamp::from_nanos(frame as i64 * 1_000_000),
        frame,
        key,
        side,
    }
}

/// Plays `segments` through detection and decoding, one packet each.
pub(crate) fn conversation(segments: &[(Side, &[u8])]) -> Recorder {
    play(segments, false)
}

/// The same for a connection whose beginning is missing.
pub(crate) fn midstream(segments: &[(Side, &[u8])]) -> Recorder {
    play(segments, true)
}

fn play(segments: &[(Side, &[u8])], midstream: bool) -> Recorder {
    let mut recorder = Recorder::default();
    let mut conversation = Conversation::default();
    for (number, (side, bytes)) in segments.iter().enumerate() {
        let context = Context {
            moment: moment(Transport::TCP, *side, number as u64 + 1),
            midstream,
        };
        conversation.data(bytes, context, &mut recorder);
    }
    recorder
}

/// Plays segments that the snap length cut: behind each the bytes of its number are missing.
pub(crate) fn cut_conversation(segments: &[(Side, &[u8], u64)]) -> Recorder {
    let mut recorder = Recorder::default();
    let mut conversation = Conversation::default();
    for (number, (side, bytes, missing)) in segments.iter().enumerate() {
        let context = Context {
            moment: moment(Transport::TCP, *side, number as u64 + 1),
            midstream: false,
        };
        conversation.data(bytes, context, &mut recorder);
        if *missing > 0 {
            conversation.gap(*missing, context, &mut recorder);
        }
    }
    recorder
}

/// Plays one datagram of `wire_len` bytes, of which the snap length left `bytes`.
pub(crate) fn cut_datagram(bytes: &[u8], wire_len: usize) -> Recorder {
    let mut recorder = Recorder::default();
    let datagram = Datagram { bytes, wire_len };
    let moment = moment(Transport::UDP, CLIENT, 1);
    Datagrams::default().datagram(datagram, moment, &mut recorder);
    recorder
}

/// Plays datagrams.
pub(crate) fn datagrams(datagrams: &[(Side, &[u8])]) -> Recorder {
    let mut recorder = Recorder::default();
    let mut flow = Datagrams::default();
    for (number, (side, bytes)) in datagrams.iter().enumerate() {
        let datagram = Datagram {
            bytes,
            wire_len: bytes.len(),
        };
        flow.datagram(
            datagram,
            moment(Transport::UDP, *side, number as u64 + 1),
            &mut recorder,
        );
    }
    recorder
}

/// Proven protocols, lowest first.
pub(crate) fn protocols(recorder: &Recorder) -> Vec<&'static str> {
    let mut layers: Vec<_> = recorder
        .protocols
        .iter()
        .map(|(name, layer)| (*layer, *name))
        .collect();
    layers.sort_unstable();
    layers.into_iter().map(|(_, name)| name).collect()
}

/// Values of one attribute, in order.
pub(crate) fn values(recorder: &Recorder, protocol: &str, name: &str) -> Vec<String> {
    let of = |attribute: &crate::evidence::Attribute| {
        attribute.protocol == protocol && attribute.name == name
    };
    recorder
        .facts
        .keys()
        .filter(|fact| of(&fact.attribute))
        .map(|fact| fact.value.to_string())
        .collect()
}

/// Offers, in order.
pub(crate) fn offers(recorder: &Recorder) -> Vec<Offer> {
    recorder.offers.keys().cloned().collect()
}

/// Feeds every prefix of `segments`' last packet, and the whole byte by byte: nothing may panic, and the byte-wise
/// result must equal that of whole segments.
pub(crate) fn survives_every_cut(segments: &[(Side, &[u8])]) {
    let Some(((side, last), before)) = segments.split_last() else {
        return;
    };
    for length in 0..last.len() {
        let mut cut = before.to_vec();
        cut.push((*side, &last[..length]));
        conversation(&cut);
        midstream(&cut);
    }
    let bytewise: Vec<(Side, &[u8])> = segments
        .iter()
        .flat_map(|(side, bytes)| bytes.chunks(1).map(move |byte| (*side, byte)))
        .collect();
    let (whole, slow) = (conversation(segments), conversation(&bytewise));
    let facts = |recorder: &Recorder| recorder.facts.keys().cloned().collect::<Vec<_>>();
    assert_eq!(protocols(&whole), protocols(&slow), "byte by byte");
    assert_eq!(facts(&whole), facts(&slow), "byte by byte");
}

/// Every attribute that was noted is registered with its protocol.
pub(crate) fn only_registered_attributes(recorder: &Recorder, known: &[&Protocol]) {
    for fact in recorder.facts.keys() {
        let Some(protocol) = known
            .iter()
            .find(|protocol| protocol.name == fact.attribute.protocol)
        else {
            continue;
        };
        assert!(
            protocol.attributes.contains(&fact.attribute.name),
            "{} is not registered",
            fact.attribute
        );
        assert!(!matches!(&fact.value, Value::Text(text) if text.is_empty()));
    }
}
