//! What holds for any bytes.

use super::*;

/// What must hold for any packet: the payload lies within what was captured, and every packet is counted once.
fn holds(dissector: &mut Dissector, link: LinkType, bytes: &[u8], wire_len: u32) {
    let before = dissector.counters().packets;
    let layers = dissector.dissect(NOW, link, bytes, wire_len);
    assert!(layers.payload.len() <= layers.payload_wire_len as usize);
    assert!(layers.transport.is_none() || layers.network.is_some());
    let counters = dissector.counters();
    let sum = counters.complete
        + counters.truncated.total()
        + counters.malformed.total()
        + counters.unsupported.total()
        + counters.waiting_fragments
        + counters.nesting_limit;
    assert_eq!((counters.packets, sum), (before + 1, before + 1));
}

const LINKS: &[u16] = &[
    0, 1, 9, 10, 12, 14, 50, 51, 101, 104, 105, 108, 113, 127, 149, 178, 192, 228, 229, 239, 240,
    242, 258, 276, 290,
];

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn random_bytes_of_any_link_type_never_panic(
        packets in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..200), any::<u16>()), 1..8),
    ) {
        for &link in LINKS {
            let mut dissector = checking();
            for (bytes, wire_len) in &packets {
                holds(&mut dissector, LinkType(link), bytes, u32::from(*wire_len));
            }
        }
    }

    #[test]
    fn damaged_packets_never_panic(
        which in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let carriers = carriers();
        let (_, link, bytes, _) = &carriers[which.index(carriers.len())];
        let mut bytes = bytes.clone();
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let captured = cut.index(bytes.len() + 1);
        holds(&mut checking(), *link, &bytes[..captured], bytes.len() as u32);
        holds(&mut checking(), *link, &bytes, bytes.len() as u32);
    }

    #[test]
    fn fragments_of_any_shape_stay_within_bounds(
        pieces in prop::collection::vec((0_u16..64, any::<bool>(), 1_usize..20, 0_u8..3), 1..200),
    ) {
        let mut dissector = checking();
        for (offset, more, units, id) in pieces {
            let flags = offset | if more { 0x2000 } else { 0 };
            let mut packet = ip_v4_piece(17, flags, &vec![id; units * 8]);
            packet[5] = id;
            holds(&mut dissector, LinkType::RAW, &packet, packet.len() as u32);
        }
    }
}
