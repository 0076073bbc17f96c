//! Datagrams in pieces, and counters that add up.

use super::*;

fn flow_of(dissector: &mut Dissector, time: i64, packet: &[u8]) -> (Stop, Option<String>, Vec<u8>) {
    let layers = dissector.dissect(
        Timestamp::from_parts(time, 0),
        LinkType::RAW,
        packet,
        packet.len() as u32,
    );
    let flow = layers.flow().map(|_| names(&layers));
    (layers.stop, flow, layers.payload.to_vec())
}

/// A UDP datagram with 40 bytes of payload in three fragments of 16 bytes.
fn three_fragments() -> [Vec<u8>; 3] {
    let datagram = udp(88, &[7; 40]);
    [
        ip_v4_piece(17, 0x2000, &datagram[..16]),
        ip_v4_piece(17, 0x2002, &datagram[16..32]),
        ip_v4_piece(17, 0x0004, &datagram[32..]),
    ]
}

#[test]
fn fragments_in_any_order_and_repeated_make_one_datagram() {
    let pieces = three_fragments();
    for order in [[0, 0, 1, 2], [2, 1, 2, 0], [1, 1, 0, 2], [0, 2, 0, 1]] {
        let mut dissector = checking();
        for (index, &piece) in order.iter().enumerate() {
            let (stop, flow, payload) = flow_of(&mut dissector, 0, &pieces[piece]);
            if index < 3 {
                assert_eq!((stop, flow), (Stop::Fragment, None), "{order:?}");
            } else {
                assert_eq!(stop, Stop::Complete, "{order:?}");
                assert_eq!(flow.unwrap(), "udp 10.0.0.1:50000 > 10.0.0.2:88");
                assert_eq!(payload, [7; 40]);
            }
        }
        let fragments = dissector.counters().fragments;
        assert_eq!(
            (
                fragments.received,
                fragments.reassembled,
                fragments.duplicates
            ),
            (4, 1, 1)
        );
    }
}

#[test]
fn a_reassembled_datagram_has_the_length_of_the_whole() {
    let mut dissector = checking();
    let [first, second, last] = three_fragments();
    flow_of(&mut dissector, 0, &first);
    flow_of(&mut dissector, 0, &second);
    let layers = dissector.dissect(NOW, LinkType::RAW, &last, last.len() as u32);
    assert_eq!(layers.network.unwrap().wire_len, 20 + 48);
    assert!(layers.network.unwrap().is_fragment);
    assert_eq!(layers.payload_wire_len, 40);
}

#[test]
fn fragments_of_a_tunnel_and_in_a_tunnel_are_joined() {
    let inner = three_fragments();
    let outer: Vec<Vec<u8>> = inner
        .iter()
        .enumerate()
        .flat_map(|(index, piece)| {
            let carried = gre(0, 0x0800, &[piece]);
            let mut pieces = [
                ip_v4_piece(47, 0x2000, &carried[..24]),
                ip_v4_piece(47, 3, &carried[24..]),
            ];
            for piece in &mut pieces {
                piece[5] = index as u8;
            }
            pieces
        })
        .collect();
    let mut dissector = checking();
    let (last, others) = outer.split_last().unwrap();
    for piece in others {
        assert_eq!(flow_of(&mut dissector, 0, piece).1, None);
    }
    let layers = dissector.dissect(NOW, LinkType::RAW, last, last.len() as u32);
    assert_eq!(tunnels(&layers), "gre");
    assert_eq!(layers.payload, [7; 40]);
    assert_eq!(dissector.counters().fragments.reassembled, 4);
}

#[test]
fn ipv6_fragments_make_one_datagram() {
    let datagram = udp(88, &[7; 40]);
    let piece = |offset: u16, more: u16, bytes: &[u8]| {
        let header = [
            &[17, 0],
            (offset | more).to_be_bytes().as_slice(),
            &[0, 0, 0, 5],
        ]
        .concat();
        ip_v6(44, &join(&[&header, bytes]))
    };
    let mut dissector = checking();
    let (stop, ..) = flow_of(&mut dissector, 0, &piece(24, 0, &datagram[24..]));
    assert_eq!(stop, Stop::Fragment);
    let (stop, flow, payload) = flow_of(&mut dissector, 0, &piece(0, 1, &datagram[..24]));
    assert_eq!(stop, Stop::Complete);
    assert_eq!(flow.unwrap(), "udp [2001::1]:50000 > [2001:db8::2]:88");
    assert_eq!(payload, [7; 40]);
}

#[test]
fn overlapping_fragments_discard_the_datagram_for_good() {
    let [first, second, last] = three_fragments();
    let datagram = udp(88, &[8; 40]);
    let overlapping = ip_v4_piece(17, 0x2001, &datagram[8..32]);
    let mut dissector = checking();
    flow_of(&mut dissector, 0, &first);
    let overlap = Stop::Malformed {
        layer: Layer::Fragment,
        reason: Reason::Overlap,
    };
    for packet in [&overlapping, &second, &last, &first] {
        assert_eq!(flow_of(&mut dissector, 0, packet).0, overlap);
    }
    assert_eq!(dissector.counters().fragments.overlapping, 4);
    assert_eq!(dissector.counters().fragments.reassembled, 0);
    // what cannot be put together still has its ports where it begins
    assert!(flow_of(&mut dissector, 0, &first).1.is_some());
    assert!(flow_of(&mut dissector, 0, &second).1.is_none());
}

#[test]
fn a_datagram_that_waits_too_long_is_given_up() {
    let [first, second, last] = three_fragments();
    let mut dissector = checking();
    flow_of(&mut dissector, 0, &first);
    flow_of(&mut dissector, 20, &second);
    assert_eq!(flow_of(&mut dissector, 31, &last).0, Stop::Fragment);
    assert_eq!(dissector.counters().fragments.expired, 1);
}

#[test]
fn a_flood_of_fragments_stays_within_its_limits() {
    let limits = Limits {
        fragment_datagrams: 10,
        fragment_bytes: 100_000,
        ..Limits::default()
    };
    let mut dissector = Dissector::new(limits);
    for id in 0..1000_u16 {
        let mut packet = ip_v4_piece(17, 0x1f00, &[0; 8]);
        packet[4..6].copy_from_slice(&id.to_be_bytes());
        flow_of(&mut dissector, 0, &packet);
    }
    // One datagram of this kind takes 63 496 bytes, so that only one fits.
    assert_eq!(dissector.counters().fragments.evicted, 999);
    let mut scattered = Dissector::new(Limits::default());
    for offset in 0..200_u16 {
        flow_of(
            &mut scattered,
            0,
            &ip_v4_piece(17, 0x2000 | (offset * 2 + 2), &[0; 8]),
        );
    }
    assert_eq!(scattered.counters().fragments.evicted, 3);
}

#[test]
fn impossible_fragments_are_malformed() {
    for packet in [
        // Beyond 65 535 bytes; no whole number of units; empty.
        ip_v4_piece(17, 0x1fff, &[0; 64]),
        ip_v4_piece(17, 0x2000, &[0; 12]),
        ip_v4_piece(17, 0x2000, &[]),
    ] {
        let stop = flow_of(&mut checking(), 0, &packet).0;
        assert_eq!(
            stop,
            Stop::Malformed {
                layer: Layer::Fragment,
                reason: Reason::Length
            }
        );
    }
}

#[test]
fn a_first_fragment_that_the_capture_cuts_still_has_its_ports() {
    let datagram = udp(88, &[7; 3000]);
    let first = ip_v4_piece(17, 0x2000, &datagram[..1480]);
    let mut dissector = checking();
    let layers = dissector.dissect(NOW, LinkType::RAW, &first[..96], first.len() as u32);
    assert_eq!(names(&layers), "udp 10.0.0.1:50000 > 10.0.0.2:88");
    assert_eq!(layers.payload_wire_len, 3000);
    assert_eq!(
        layers.stop,
        Stop::Truncated {
            layer: Layer::Payload
        }
    );
    assert_eq!(dissector.counters().fragments.cut, 1);
}

#[test]
fn counters_of_two_dissectors_add_up() {
    let (mut one, mut other) = (checking(), checking());
    flow_of(&mut one, 0, &mail());
    flow_of(&mut other, 0, &mail());
    flow_of(&mut other, 0, &three_fragments()[0]);
    let mut sum = *one.counters();
    sum.merge(other.counters());
    assert_eq!(
        (sum.packets, sum.complete, sum.waiting_fragments),
        (3, 2, 1)
    );
    assert_eq!(sum.fragments.received, 1);
}
