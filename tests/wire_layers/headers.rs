//! What is read of headers, and where lengths lie, layers end or nothing is known.

use super::*;

#[test]
fn every_carrier_leads_to_the_same_flow_and_payload() {
    for (name, link, bytes, expected) in carriers() {
        read(link, &bytes, |layers| {
            assert_eq!(layers.stop, Stop::Complete, "{name}");
            assert_eq!(names(layers), MAIL, "{name}");
            assert_eq!(tunnels(layers), expected, "{name}");
            assert_eq!(layers.payload, PAYLOAD, "{name}");
            assert_eq!(layers.payload_wire_len as usize, PAYLOAD.len(), "{name}");
            assert_eq!(layers.network.unwrap().protocol, Transport::TCP, "{name}");
            assert_eq!(layers.checksums.network, Checksum::Good, "{name}");
        });
    }
}

#[test]
fn every_cut_of_every_carrier_is_truncated_and_keeps_the_length_on_the_wire() {
    for (name, link, bytes, _) in carriers() {
        for captured in 0..bytes.len() {
            let mut dissector = checking();
            let layers = dissector.dissect(NOW, link, &bytes[..captured], bytes.len() as u32);
            let trailer = if name.starts_with("macsec") { 16 } else { 0 };
            if captured + trailer >= bytes.len() {
                continue;
            }
            assert!(
                matches!(layers.stop, Stop::Truncated { .. }),
                "{name} cut at {captured}: {:?}",
                layers.stop
            );
            if layers
                .flow()
                .is_some_and(|(transport, ..)| transport == Transport::TCP)
            {
                assert_eq!(names(&layers), MAIL, "{name} cut at {captured}");
                if matches!(layers.transport, Some(TransportHeader::Tcp(_))) {
                    assert_eq!(
                        layers.payload_wire_len as usize,
                        PAYLOAD.len(),
                        "{name} cut at {captured}"
                    );
                }
            }
            assert_eq!(dissector.counters().truncated.total(), 1);
        }
    }
}

#[test]
fn bytes_behind_the_packet_are_no_payload() {
    for (name, link, bytes, expected) in carriers() {
        // Netfilter attributes and the trailer of MACsec are not open-ended.
        if matches!(name, "macsec without encryption") {
            continue;
        }
        let padded = join(&[&bytes, &[0xee; 6]]);
        read(link, &padded, |layers| {
            assert_eq!(names(layers), MAIL, "{name}");
            assert_eq!(tunnels(layers), expected, "{name}");
            assert_eq!(layers.payload, PAYLOAD, "{name}");
        });
    }
}

#[test]
fn tcp_is_read_with_its_segment_size() {
    read(LinkType::ETHERNET, &mail_frame(), |layers| {
        let Some(TransportHeader::Tcp(tcp)) = layers.transport else {
            panic!("{:?}", layers.transport);
        };
        assert_eq!(
            (tcp.sequence, tcp.acknowledgment, tcp.window),
            (7, 9, 0x2000)
        );
        assert_eq!(tcp.flags, TcpFlags::SYN.union(TcpFlags::ACK));
        assert_eq!(tcp.flags.to_string(), "SYN,ACK");
        assert_eq!(tcp.maximum_segment, Some(1460));
        assert_eq!(layers.network.unwrap().wire_len, 20 + 24 + 8);
        assert_eq!(layers.network.unwrap().identification, 0x1234);
    });
}

#[test]
fn ipv6_extension_headers_lead_to_the_transport() {
    let chain = join(&[
        &[60, 0, 0, 0, 0, 0, 0, 0],
        &[43, 1],
        &[0; 14],
        &[135, 0, 0, 0, 0, 0, 0, 0],
        &[51, 0, 0, 0, 0, 0, 0, 0],
        &[44, 4],
        &[0; 22],
        // An atomic fragment is a whole datagram.
        &[17, 0, 0, 0, 0, 0, 0, 9],
        &udp(88, PAYLOAD),
    ]);
    read(LinkType::IPV6, &ip_v6(0, &chain), |layers| {
        assert_eq!(names(layers), "udp [2001::1]:50000 > [2001:db8::2]:88");
        assert_eq!(layers.payload, PAYLOAD);
        assert_eq!(layers.stop, Stop::Complete);
    });
}

#[test]
fn ipv6_is_found_behind_every_loopback_family() {
    for family in [10, 23, 24, 28, 30] {
        let packet = join(&[&[family, 0, 0, 0], &ip_v6(17, &udp(88, PAYLOAD))]);
        read(LinkType::NULL, &packet, |layers| {
            assert_eq!(layers.payload, PAYLOAD, "{family}");
        });
    }
}

#[test]
fn ipv6_is_found_in_tunnels() {
    let inner = ip_v6(17, &udp(88, PAYLOAD));
    let teredo = join(&[&[0, 1, 0, 0], &[0; 9], &[0, 0, 1, 2, 3, 4, 5, 6], &inner]);
    for (bytes, expected) in [
        (over_ip(41, &inner), "6in4"),
        (ethernet(0x86dd, &ip_v6(41, &inner)), "6in6"),
        (over_udp(3544, &teredo), "teredo"),
    ] {
        read(LinkType::ETHERNET, &bytes, |layers| {
            assert_eq!(tunnels(layers), expected);
            assert_eq!(names(layers), "udp [2001::1]:50000 > [2001:db8::2]:88");
        });
    }
}

#[test]
fn a_tunnel_port_with_another_payload_is_plain_udp() {
    let frame = mail_frame();
    let broken_inner = join(&[
        &[8, 0, 0, 0, 0, 0, 99, 0],
        &frame[..14],
        &[0x45, 0, 0xff],
        &frame[17..],
    ]);
    let reserved = join(&[&[8, 0, 0, 0, 0, 0, 99, 1], &frame]);
    let teredo = join(&[&ip_v6(17, &udp(88, PAYLOAD)), &[0]]);
    for (port, payload) in [
        (4789, broken_inner.as_slice()),
        (4789, &reserved),
        (4790, &reserved),
        (6081, &frame),
        (2152, &[0x30, 1, 0, 0, 0, 0, 0, 0]),
        (3544, &teredo),
        (1701, &[0xc8, 2, 0, 12, 0, 1, 0, 0, 0, 0, 0, 0]),
        (6635, PAYLOAD),
        (5247, PAYLOAD),
    ] {
        read(LinkType::ETHERNET, &over_udp(port, payload), |layers| {
            assert_eq!(tunnels(layers), "", "{port}");
            assert_eq!(
                names(layers),
                format!("udp 10.0.0.1:50000 > 10.0.0.2:{port}")
            );
            assert_eq!(layers.payload, payload);
            assert_eq!(layers.stop, Stop::Complete);
        });
    }
}

#[test]
fn tags_and_tunnels_end_at_their_limits() {
    let mut tagged = mail();
    let mut kind = 0x0800;
    for _ in 0..9 {
        tagged = tag(1, kind, &tagged);
        kind = 0x8100;
    }
    let mut tunnelled = mail();
    for _ in 0..5 {
        tunnelled = ip_v4(4, &tunnelled);
    }
    for bytes in [ethernet(kind, &tagged), ethernet(0x0800, &tunnelled)] {
        let mut dissector = checking();
        let layers = dissector.dissect(NOW, LinkType::ETHERNET, &bytes, bytes.len() as u32);
        assert_eq!(layers.stop, Stop::NestingLimit);
        assert_eq!(dissector.counters().nesting_limit, 1);
    }
}

#[test]
fn lying_lengths_are_malformed_and_what_is_readable_is_read() {
    let with = |offset: usize, value: &[u8]| {
        let mut frame = mail_frame();
        frame[offset..offset + value.len()].copy_from_slice(value);
        frame
    };
    let udp_with = |value: [u8; 2]| {
        let mut frame = over_udp(88, PAYLOAD);
        frame[38..40].copy_from_slice(&value);
        frame
    };
    let malformed = |layer, reason| Stop::Malformed { layer, reason };
    for (frame, stop, has_flow) in [
        (
            with(14, &[0x44]),
            malformed(Layer::Ipv4, Reason::Length),
            false,
        ),
        (
            with(14, &[0x75]),
            malformed(Layer::Ipv4, Reason::Version),
            false,
        ),
        (
            with(16, &[0, 19]),
            malformed(Layer::Ipv4, Reason::Length),
            false,
        ),
        (
            with(16, &[9, 0]),
            malformed(Layer::Ipv4, Reason::BeyondFrame),
            true,
        ),
        (
            with(16, &[0, 30]),
            malformed(Layer::Tcp, Reason::Short),
            true,
        ),
        (
            with(46, &[0x40]),
            malformed(Layer::Tcp, Reason::Length),
            true,
        ),
        (
            with(46, &[0xf0]),
            malformed(Layer::Tcp, Reason::Length),
            true,
        ),
        (
            udp_with([0, 7]),
            malformed(Layer::Udp, Reason::Length),
            true,
        ),
        (
            udp_with([9, 0]),
            malformed(Layer::Udp, Reason::BeyondFrame),
            true,
        ),
        (
            ethernet(1500, &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0]),
            malformed(Layer::Ethernet, Reason::BeyondFrame),
            false,
        ),
        (
            vec![2; 10],
            malformed(Layer::Ethernet, Reason::Short),
            false,
        ),
    ] {
        read(LinkType::ETHERNET, &frame, |layers| {
            assert_eq!(layers.stop, stop);
            assert_eq!(layers.flow().is_some(), has_flow, "{stop:?}");
        });
    }
}

#[test]
fn what_carries_no_ip_is_unsupported_and_named() {
    let wifi = join(&[&[0x08, 0x40], &[0; 40]]);
    for (link, bytes, layer, value) in [
        (
            LinkType::ETHERNET,
            ethernet(0x0806, &[0; 28]),
            Layer::EtherType,
            0x0806,
        ),
        (
            LinkType::ETHERNET,
            ethernet(38, &[0x42; 38]),
            Layer::Llc,
            0x42,
        ),
        (LinkType::ETHERNET, over_ip(89, &[0; 8]), Layer::Ipv4, 89),
        (
            LinkType::PPP,
            vec![0xff, 3, 0xc0, 0x21, 1, 1],
            Layer::Ppp,
            0xc021,
        ),
        (LinkType::IEEE802_11, wifi, Layer::Wifi, 0x0840),
        (LinkType(290), vec![0; 8], Layer::Link, 290),
    ] {
        read(link, &bytes, |layers| {
            assert_eq!(layers.stop, Stop::Unsupported { layer, value })
        });
    }
}

#[test]
fn a_length_of_zero_is_taken_from_the_frame() {
    let mut frame = mail_frame();
    frame[16..18].copy_from_slice(&[0, 0]);
    read(LinkType::ETHERNET, &frame, |layers| {
        assert_eq!(layers.stop, Stop::Complete);
        assert_eq!(layers.payload, PAYLOAD);
        assert_eq!(layers.network.unwrap().wire_len, 52);
    });
    let mut packet = ip_v6(6, &tcp(PAYLOAD));
    packet[4..6].copy_from_slice(&[0, 0]);
    read(LinkType::IPV6, &packet, |layers| {
        assert_eq!(layers.payload, PAYLOAD)
    });
}

#[test]
fn checksums_are_counted_and_offload_is_no_error() {
    let pseudo = join(&[
        &[10, 0, 0, 1, 10, 0, 0, 2, 0, 6],
        &length(tcp(PAYLOAD).len()),
    ]);
    let mut segment = tcp(PAYLOAD);
    let right = checksum(&join(&[&pseudo, &segment]));
    segment[16..18].copy_from_slice(&right);
    let (good, mut offloaded) = (segment.clone(), tcp(PAYLOAD));
    let partial = checksum(&pseudo).map(|byte| !byte);
    offloaded[16..18].copy_from_slice(&partial);
    let mut wrong = segment;
    wrong[17] ^= 1;
    let mut dissector = checking();
    for (segment, expected) in [
        (good, Checksum::Good),
        (offloaded, Checksum::Unverifiable),
        (wrong, Checksum::Bad),
    ] {
        let packet = ip_v4(6, &segment);
        let layers = dissector.dissect(NOW, LinkType::RAW, &packet, packet.len() as u32);
        assert_eq!(layers.checksums.transport, expected);
        assert_eq!(layers.stop, Stop::Complete);
    }
    assert_eq!(dissector.counters().bad_transport_checksums, 1);
}

#[test]
fn an_icmp_error_names_the_flow_that_it_quotes() {
    let quoted = mail();
    let error = join(&[&[3, 4, 0, 0, 0, 0, 5, 0xdc], &quoted[..28]]);
    read(LinkType::RAW, &ip_v4(1, &error), |layers| {
        let quoted = layers.quoted.unwrap();
        assert_eq!(quoted.transport, Transport::TCP);
        assert_eq!(quoted.source.to_string(), "10.0.0.1:50000");
        assert_eq!(quoted.destination.to_string(), "10.0.0.2:25");
        assert_eq!((quoted.kind, quoted.code, quoted.mtu), (3, 4, Some(1500)));
        assert_eq!(layers.flow().unwrap().1.port, 0);
    });
    let echo = join(&[&[8, 0, 0, 0, 0, 0, 0, 1], &quoted]);
    read(LinkType::RAW, &ip_v4(1, &echo), |layers| {
        assert_eq!(layers.quoted, None)
    });
    let too_big = join(&[&[2, 0, 0, 0, 0, 0, 5, 0], &ip_v6(17, &udp(88, &[]))]);
    read(LinkType::RAW, &ip_v6(58, &too_big), |layers| {
        let quoted = layers.quoted.unwrap();
        assert_eq!(quoted.destination.to_string(), "[2001:db8::2]:88");
        assert_eq!(quoted.mtu, Some(1280));
    });
}

#[test]
fn sctp_has_ports() {
    read(
        LinkType::RAW,
        &ip_v4(132, &[0, 80, 0, 90, 0, 0, 0, 0]),
        |layers| {
            assert_eq!(names(layers), "sctp 10.0.0.1:80 > 10.0.0.2:90");
        },
    );
}
