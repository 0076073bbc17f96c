use std::net::IpAddr;

use super::super::testing::{CLIENT, SERVER, noise, only_registered_attributes, protocols, values};
use super::super::{Datagram, Datagrams};
use super::*;
use crate::evidence::{Moment, Recorder, RtpStream};
use crate::net::{Endpoint, FlowKey, Side, Timestamp, Transport};

/// A packet of 20 ms PCMU (or `kind`) with the given sequence number and timestamp.
fn packet(kind: u8, sequence: u16, timestamp: u32, ssrc: u32) -> Vec<u8> {
    let mut bytes = vec![0x80, kind];
    bytes.extend(sequence.to_be_bytes());
    bytes.extend(timestamp.to_be_bytes());
    bytes.extend(ssrc.to_be_bytes());
    bytes.extend([0x7f; 160]);
    bytes
}

fn play<'a>(datagrams: impl IntoIterator<Item = (i64, Side, &'a [u8])>) -> Recorder {
    let a = Endpoint::new(IpAddr::from([10, 0, 0, 1]), 50010);
    let b = Endpoint::new(IpAddr::from([10, 0, 0, 2]), 50020);
    let (key, _) = FlowKey::of(Transport::UDP, a, b);
    let (mut recorder, mut flow) = (Recorder::default(), Datagrams::default());
    for (frame, (micros, side, bytes)) in (1..).zip(datagrams) {
        let moment = Moment {
            time: Timestamp::from_nanos(micros * 1000),
            frame,
            key,
            side,
        };
        let wire_len = bytes.len();
        flow.datagram(Datagram { bytes, wire_len }, moment, &mut recorder);
    }
    recorder
}

/// Packets of one source at (microseconds, sequence, timestamp).
fn stream(kind: u8, packets: &[(i64, u16, u32)]) -> Recorder {
    let bytes: Vec<_> = packets
        .iter()
        .map(|&(time, sequence, timestamp)| (time, packet(kind, sequence, timestamp, 7)))
        .collect();
    play(
        bytes
            .iter()
            .map(|(time, bytes)| (*time, CLIENT, &bytes[..])),
    )
}

fn measured(recorder: &Recorder) -> &RtpStream {
    let key = StreamKey {
        side: CLIENT,
        ssrc: 7,
    };
    &recorder.streams[&key]
}

/// `count` packets, 20 ms each.
fn even(count: u16, first: u16) -> Vec<(i64, u16, u32)> {
    (0..count)
        .map(|n| {
            (
                i64::from(n) * 20_000,
                first.wrapping_add(n),
                u32::from(n) * 160,
            )
        })
        .collect()
}

#[test]
fn five_packets_that_advance_prove_a_stream() {
    let recorder = stream(0, &even(5, 65534));
    assert_eq!(protocols(&recorder), ["rtp"]);
    assert_eq!(values(&recorder, "rtp", SSRC), ["7"]);
    assert_eq!(values(&recorder, "rtp", PAYLOAD_TYPE), ["0"]);
    let stream = measured(&recorder);
    assert_eq!((stream.packets, stream.lost, stream.octets), (5, 0, 800));
    assert_eq!(
        (stream.jitter.last_ns(), stream.jitter.clock_rate),
        (0, 8000)
    );
    assert!(stream.dynamic_jitter.is_empty());
    only_registered_attributes(&recorder, &[&RTP]);
}

#[test]
fn fewer_packets_are_candidates_and_measured() {
    let recorder = stream(114, &even(4, 1));
    assert!(protocols(&recorder).is_empty());
    assert_eq!(values(&recorder, "rtp", CANDIDATE), ["114"]);
    assert_eq!(measured(&recorder).packets, 4);
}

#[test]
fn loss_disorder_and_repetition_are_told_apart() {
    let mut packets = even(10, 100);
    packets.remove(8);
    packets.swap(3, 4);
    packets.push(packets[5]);
    let recorder = stream(0, &packets);
    let stream = measured(&recorder);
    // 10 expected; 9 and a repetition received.
    assert_eq!((stream.packets, stream.lost), (10, 0));
    assert_eq!((stream.out_of_order, stream.duplicates), (1, 1));
}

#[test]
fn a_restart_is_no_loss() {
    let mut packets = even(6, 100);
    packets.extend(
        even(6, 0x9000)
            .iter()
            .map(|&(t, s, ts)| (t + 120_000, s, ts + 960)),
    );
    assert_eq!(measured(&stream(0, &packets)).lost, 0);
}

#[test]
fn jitter_is_that_of_the_specification() {
    // One packet comes 16 ms late, the next one in time: differences of 16 ms up and down.
    let mut packets = even(7, 1);
    packets[5].0 += 16_000;
    let recorder = stream(8, &packets);
    let stream = measured(&recorder);
    // 1 ms, then 1 ms + (16 ms - 1 ms) / 16.
    assert_eq!(stream.jitter.max_ns, 1_937_500);
    assert_eq!(stream.jitter.last_ns(), 1_937_500);
    assert_eq!(stream.max_delta_ns, 36_000_000);
}

#[test]
fn the_clock_of_a_dynamic_type_is_found_from_the_arrivals() {
    for rate in [8000, 16000, 48000, 90000] {
        let packets: Vec<_> = even(20, 1)
            .into_iter()
            .map(|(time, sequence, timestamp)| {
                (time + time % 7, sequence, timestamp / 160 * (rate / 50))
            })
            .collect();
        let recorder = stream(111, &packets);
        let stream = measured(&recorder);
        assert_eq!(stream.jitter.clock_rate, 0);
        assert_eq!(stream.fitting_jitter().unwrap().clock_rate, rate);
    }
}

/// Packets of one source at (microseconds, type with marker, sequence, timestamp, octets of payload).
fn mixed(packets: &[(i64, u8, u16, u32, usize)]) -> Recorder {
    let bytes: Vec<_> = packets
        .iter()
        .map(|&(time, kind, sequence, timestamp, length)| {
            let mut bytes = packet(kind, sequence, timestamp, 7);
            bytes.truncate(12 + length);
            bytes[12..].fill(0x0a);
            (time, bytes)
        })
        .collect();
    play(
        bytes
            .iter()
            .map(|(time, bytes)| (*time, CLIENT, &bytes[..])),
    )
}

/// `count` packets of a payload type from that packet on, 20 ms each.
fn voice(kind: u8, first: u16, count: u16, rate: u32) -> Vec<(i64, u8, u16, u32, usize)> {
    (first..first + count)
        .map(|n| {
            let timestamp = u32::from(n) * (rate / 50);
            (i64::from(n) * 20_000, kind, n, timestamp, 160)
        })
        .collect()
}

#[test]
fn events_and_comfort_noise_belong_to_their_stream() {
    let mut packets = voice(0, 0, 6, 8000);
    packets.push((120_000, 0x80 | 101, 6, 960, 4));
    packets.push((140_000, 13, 7, 1120, 1));
    let recorder = mixed(&packets);
    let stream = measured(&recorder);
    let expected = [(0, 6), (13, 1), (101, 1)];
    assert_eq!(stream.payload_types, expected.into());
    assert_eq!(values(&recorder, "rtp", PAYLOAD_TYPE), ["0", "13", "101"]);
    assert_eq!(stream.jitter.max_ns, 0);
}

#[test]
fn a_digit_shows_as_a_sixteenth_of_its_length() {
    // Eight packets of one event, whose timestamp stands still; then the voice goes on.
    for length in [4, 14] {
        let mut packets = voice(8, 1, 20, 8000);
        packets.extend((21..29).map(|n| (i64::from(n) * 20_000, 101, n, 21 * 160, length)));
        packets.extend(voice(8, 29, 20, 8000));
        let recorder = mixed(&packets);
        assert_eq!(measured(&recorder).jitter.max_ns, 10_000_000, "{length}");
    }
}

#[test]
fn events_beside_a_dynamic_voice_are_not_measured() {
    let mut packets = voice(96, 1, 20, 16000);
    packets.extend((21..29).map(|n| (i64::from(n) * 20_000, 101, n, 21 * 320, 4)));
    packets.extend(voice(96, 29, 20, 16000));
    let recorder = mixed(&packets);
    let jitter = measured(&recorder).fitting_jitter().unwrap();
    assert_eq!((jitter.clock_rate, jitter.max_ns), (16000, 10_000_000));
}

#[test]
fn silence_is_neither_jitter_nor_a_gap() {
    let mut packets = voice(0, 1, 5, 8000);
    packets.push((150_000, 13, 6, 960, 1));
    let mut after = voice(0, 60, 5, 8000);
    after.iter_mut().for_each(|packet| packet.2 -= 53);
    packets.extend(after.clone());
    // A pause that a marker ends.
    let mut last = voice(0, 90, 5, 8000);
    last.iter_mut().for_each(|packet| packet.2 -= 78);
    last[0].1 |= 0x80;
    packets.extend(last);
    let recorder = mixed(&packets);
    let stream = measured(&recorder);
    assert_eq!(stream.max_delta_ns, 20_000_000);
    // The noise came 30 ms late: that remains, decayed twice, when the voice goes on.
    assert!((1_800_000..3_700_000).contains(&stream.jitter.max_ns));
    assert_eq!((stream.lost, stream.out_of_order), (0, 0));
}

#[test]
fn packets_older_than_the_first_are_not_measured() {
    let mut packets = voice(0, 1000, 10, 8000);
    // The clock is set back by 20 seconds, and forward again.
    let mut back = voice(0, 1010, 10, 8000);
    back.iter_mut().for_each(|packet| packet.3 -= 160_000);
    packets.extend(back);
    packets.extend(voice(0, 1020, 10, 8000));
    let recorder = mixed(&packets);
    assert_eq!(measured(&recorder).jitter.max_ns, 0);
    assert_eq!(measured(&recorder).max_delta_ns, 20_000_000);
    let mut ahead = voice(0, 1030, 1, 8000);
    ahead[0].3 += 160_000;
    packets.extend(ahead);
    // A step forward is measured: the specification knows no bound.
    assert_eq!(measured(&mixed(&packets)).jitter.max_ns, 1_250_000_000);
}

#[test]
fn two_parts_of_a_stream_add() {
    let mut packets = voice(96, 0, 40, 48000);
    packets[30].0 += 16_000;
    let (one, other) = packets.split_at(20);
    let mut whole = measured(&mixed(one)).clone();
    whole.join(measured(&mixed(other)).clone());
    assert_eq!((whole.packets, whole.lost), (40, 0));
    assert_eq!(whole.payload_types, [(96, 40)].into());
    let jitter = whole.fitting_jitter().unwrap();
    assert_eq!((jitter.clock_rate, jitter.counted), (48000, 38));
    assert!(jitter.max_ns > 1_900_000 && jitter.mean_ns().unwrap() < jitter.max_ns);
}

#[test]
fn headers_that_do_not_fit_their_packet_are_refused() {
    let good = packet(0, 1, 2, 3);
    let with = |first: u8, second: u8, last: u8| {
        let mut bytes = good.clone();
        (bytes[0], bytes[1]) = (first, second);
        *bytes.last_mut().unwrap() = last;
        let wire_len = bytes.len();
        Header::parse(Datagram {
            bytes: &bytes,
            wire_len,
        })
        .map(|header| header.payload_bytes)
    };
    assert_eq!(with(0x80, 0, 0), Ok(160));
    assert_eq!(with(0x82, 0x80, 0), Ok(152));
    assert_eq!(with(0xa0, 0, 4), Ok(156));
    assert!(with(0xa0, 0, 0).is_err(), "padding of nothing");
    assert!(with(0xa0, 0, 161).is_err(), "padding of more than there is");
    assert!(with(0x90, 0, 0).is_err(), "extension of 0x7f7f words");
    assert!(with(0x40, 0, 0).is_err(), "version 1");
    assert!(with(0x80, 72, 0).is_err(), "type that RTCP owns");
    for length in 0..12 {
        let bytes = &good[..length];
        assert!(
            Header::parse(Datagram {
                bytes,
                wire_len: length
            })
            .is_err()
        );
    }
}

#[test]
fn a_header_is_read_from_a_packet_that_was_cut() {
    let mut bytes = packet(0, 1, 2, 3);
    bytes[0] = 0xb0;
    let cut = Datagram {
        bytes: &bytes[..12],
        wire_len: bytes.len(),
    };
    assert_eq!(Header::parse(cut).unwrap().payload_bytes, 156);
}

#[test]
fn random_bytes_are_not_rtp() {
    let mut random = noise();
    let datagrams: Vec<Vec<u8>> = (0..20_000)
        .map(|_| {
            let mut bytes: Vec<u8> = (0..24).map(|_| random()).collect();
            bytes[0] = 0x80 | bytes[0] & 0x3f;
            bytes
        })
        .collect();
    for flow in [&datagrams[..], &datagrams[..20]] {
        let recorder = play(flow.iter().map(|bytes| (0, CLIENT, &bytes[..])));
        assert!(protocols(&recorder).is_empty());
        assert!(recorder.streams.len() <= MAX_UNPROVEN);
    }
}

#[test]
fn a_fixed_header_with_a_counter_elsewhere_is_not_rtp() {
    // A name query (RFC 1035): what would be the sequence number are its flags.
    let queries: Vec<Vec<u8>> = (0..32)
        .map(|n| {
            vec![
                0x80, n, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1, b'a', 0, 0, 1, 0, 1,
            ]
        })
        .collect();
    let recorder = play(queries.iter().map(|bytes| (0, CLIENT, &bytes[..])));
    assert!(protocols(&recorder).is_empty());
}

#[test]
fn rtcp_before_rtp_on_one_port_hinders_neither() {
    let report = [0x80, 201, 0, 1, 0, 0, 0, 7];
    let mut datagrams: Vec<(i64, Side, Vec<u8>)> =
        (0..40).map(|n| (n, SERVER, report.to_vec())).collect();
    datagrams.extend(
        even(40, 1)
            .into_iter()
            .map(|(time, sequence, timestamp)| (time, CLIENT, packet(0, sequence, timestamp, 7))),
    );
    for rtp_first in [false, true] {
        if rtp_first {
            datagrams.rotate_left(40);
        }
        let recorder = play(
            datagrams
                .iter()
                .map(|(time, side, bytes)| (*time, *side, &bytes[..])),
        );
        assert!(recorder.protocols.keys().eq(&["rtcp", "rtp"]));
    }
}

#[test]
fn more_sources_than_are_measured_are_said() {
    let mut bytes: Vec<_> = even(5, 1)
        .into_iter()
        .map(|(_, sequence, timestamp)| packet(0, sequence, timestamp, 7))
        .collect();
    bytes.extend((100..300).map(|ssrc| packet(0, 1, 1, ssrc)));
    let recorder = play(bytes.iter().map(|bytes| (0, CLIENT, &bytes[..])));
    assert_eq!(recorder.streams.len(), MAX_SOURCES);
    assert_eq!(values(&recorder, "rtp", UNMEASURED), ["64"]);
}

/// The UDP payloads from 10.0.2.15 to port 6000 of a real call with G.729 (classic pcap, Ethernet, IPv4 without options).
fn real_call() -> Option<Vec<(i64, Vec<u8>)>> {
    let shared = std::env::var("EXWIRE_SHARED")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../shared").to_owned());
    let file = std::fs::read(format!(
        "{shared}/captures/sip/bruteshark-sip-rtp-g729a.pcap"
    ))
    .ok()?;
    let mut rest = file.get(24..)?;
    let mut datagrams = Vec::new();
    while let Some((record, after)) = rest.split_first_chunk::<16>() {
        let number =
            |at: usize| i64::from(u32::from_le_bytes(*record[at..].first_chunk().unwrap()));
        let (frame, after) = after.split_at(usize::try_from(number(8)).unwrap());
        if frame[23] == 17 && frame[36..38] == [0x17, 0x70] {
            datagrams.push((number(0) * 1_000_000 + number(4), frame[42..].to_vec()));
        }
        rest = after;
    }
    Some(datagrams)
}

#[test]
fn a_real_stream_measures_like_other_tools_say() {
    let Some(datagrams) = real_call() else {
        println!("skipped: no captures beside the project");
        return;
    };
    let recorder = play(
        datagrams
            .iter()
            .map(|(time, bytes)| (*time, CLIENT, &bytes[..])),
    );
    assert_eq!(protocols(&recorder), ["rtp"]);
    let [stream] = &recorder.streams.values().collect::<Vec<_>>()[..] else {
        panic!("one stream");
    };
    assert_eq!(
        (stream.packets, stream.lost, stream.duplicates),
        (425, 0, 0)
    );
    assert_eq!(stream.payload_types, [(18, 425)].into());
    assert_eq!(stream.jitter.max_ns / 1000, 143);
}
