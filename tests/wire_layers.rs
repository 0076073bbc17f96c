//! Each link layer, tag, tunnel and transport on bytes built here: what is read, what a short capture and a lying
//! header lead to, and that nothing panics.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test"
)]

use exwire::net::{LinkType, TcpFlags, Timestamp, Transport};
use exwire::wire::{Checksum, Dissector, Layer, Layers, Limits, Reason, Stop, TransportHeader};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

const NOW: Timestamp = Timestamp::from_nanos(0);
const PAYLOAD: &[u8] = b"EHLO x\r\n";

fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn length(bytes: usize) -> [u8; 2] {
    (bytes as u16).to_be_bytes()
}

fn checksum(bytes: &[u8]) -> [u8; 2] {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u32::from(low)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

fn ip_v4_piece(protocol: u8, flags_and_offset: u16, payload: &[u8]) -> Vec<u8> {
    let (size, flags) = (length(20 + payload.len()), flags_and_offset.to_be_bytes());
    let mut header = vec![
        0x45, 0, size[0], size[1], 0x12, 0x34, flags[0], flags[1], 64, protocol, 0, 0,
    ];
    header.extend([10, 0, 0, 1, 10, 0, 0, 2]);
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum);
    join(&[&header, payload])
}

fn ip_v4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ip_v4_piece(protocol, 0x4000, payload)
}

fn ip_v6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = vec![0x60, 0, 0, 0];
    header.extend(length(payload.len()));
    header.extend([next, 64]);
    header.extend([0x20, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    header.extend([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    join(&[&header, payload])
}

fn tcp(payload: &[u8]) -> Vec<u8> {
    let header = [
        0xc3, 0x50, 0, 25, 0, 0, 0, 7, 0, 0, 0, 9, 0x60, 0x12, 0x20, 0, 0, 0, 0, 0, 2, 4, 5, 0xb4,
    ];
    join(&[&header, payload])
}

fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    join(&[
        &[0xc3, 0x50],
        &port.to_be_bytes(),
        &length(8 + payload.len()),
        &[0, 0],
        payload,
    ])
}

fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
    join(&[&[2; 12], &kind.to_be_bytes(), payload])
}

fn tag(id: u16, kind: u16, payload: &[u8]) -> Vec<u8> {
    join(&[&id.to_be_bytes(), &kind.to_be_bytes(), payload])
}

/// IPv4 with TCP and a payload: what most packets here carry.
fn mail() -> Vec<u8> {
    ip_v4(6, &tcp(PAYLOAD))
}

fn mail_frame() -> Vec<u8> {
    ethernet(0x0800, &mail())
}

fn gre(flags: u16, kind: u16, rest: &[&[u8]]) -> Vec<u8> {
    join(&[&flags.to_be_bytes(), &kind.to_be_bytes(), &rest.concat()])
}

fn over_ip(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ethernet(0x0800, &ip_v4(protocol, payload))
}

fn over_udp(port: u16, payload: &[u8]) -> Vec<u8> {
    over_ip(17, &udp(port, payload))
}

fn checking() -> Dissector {
    Dissector::new(Limits {
        verify_checksums: true,
        ..Limits::default()
    })
}

fn read<T>(link: LinkType, bytes: &[u8], check: impl FnOnce(&Layers<'_>) -> T) -> T {
    check(&checking().dissect(NOW, link, bytes, bytes.len() as u32))
}

fn tunnels(layers: &Layers<'_>) -> String {
    let names: Vec<_> = layers.tunnels.iter().map(ToString::to_string).collect();
    names.join(" ")
}

fn names(layers: &Layers<'_>) -> String {
    let (transport, from, to) = layers.flow().unwrap();
    format!("{transport} {from} > {to}")
}

const MAIL: &str = "tcp 10.0.0.1:50000 > 10.0.0.2:25";

/// Every way to carry the mail packet: name, link type, bytes, tunnels.
fn carriers() -> Vec<(&'static str, LinkType, Vec<u8>, &'static str)> {
    let (mail, frame) = (mail(), mail_frame());
    let snap = join(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &mail]);
    let ppp = join(&[&[0xff, 3, 0, 0x21], &mail]);
    let pppoe = join(&[&[0x11, 0, 0, 1], &length(ppp.len()), &ppp]);
    let mpls = join(&[&[0, 6, 0x41, 64], &mail]);
    let wifi = join(&[&[0x88, 1], &[0; 22], &[0, 0], &snap]);
    let in_ether = LinkType::ETHERNET;
    vec![
        ("ethernet II", in_ether, frame.clone(), ""),
        (
            "802.1Q",
            in_ether,
            ethernet(0x8100, &tag(12, 0x0800, &mail)),
            "vlan:12",
        ),
        (
            "802.1ad",
            in_ether,
            ethernet(0x88a8, &tag(0xe005, 0x8100, &tag(12, 0x0800, &mail))),
            "vlan:5 vlan:12",
        ),
        (
            "tag with LLC",
            in_ether,
            ethernet(0x9100, &tag(5, snap.len() as u16, &snap)),
            "vlan:5",
        ),
        ("802.3", in_ether, ethernet(snap.len() as u16, &snap), ""),
        ("mpls", in_ether, ethernet(0x8847, &mpls), "mpls:100"),
        (
            "mpls pseudowire",
            in_ether,
            ethernet(0x8847, &join(&[&[0, 6, 0x41, 64], &[0; 4], &frame])),
            "mpls:100",
        ),
        (
            "mpls pseudowire without control word",
            in_ether,
            ethernet(0x8848, &join(&[&[0, 6, 0x41, 64], &frame])),
            "mpls:100",
        ),
        (
            "mpls stack",
            in_ether,
            ethernet(0x8847, &join(&[&[0, 0, 0x70, 64], &mpls])),
            "mpls:7 mpls:100",
        ),
        (
            "802.1ah",
            in_ether,
            ethernet(0x88e7, &join(&[&[0, 0, 1, 0], &frame])),
            "pbb:256",
        ),
        ("pppoe", in_ether, ethernet(0x8864, &pppoe), "pppoe"),
        (
            "macsec without encryption",
            in_ether,
            ethernet(0x88e5, &join(&[&[0, 0, 0, 0, 0, 1, 8, 0], &mail, &[0; 16]])),
            "macsec",
        ),
        ("ppp", LinkType::PPP, ppp.clone(), ""),
        ("ppp compressed", LinkType::PPP, join(&[&[0x21], &mail]), ""),
        ("ppp over hdlc", LinkType::PPP_HDLC, ppp.clone(), ""),
        ("pppoe alone", LinkType::PPP_ETHER, pppoe, "pppoe"),
        (
            "cisco hdlc",
            LinkType::C_HDLC,
            join(&[&[0x0f, 0, 8, 0], &mail]),
            "",
        ),
        (
            "cisco hdlc as ppp",
            LinkType::PPP,
            join(&[&[0x0f, 0, 8, 0], &mail]),
            "",
        ),
        ("null", LinkType::NULL, join(&[&[2, 0, 0, 0], &mail]), ""),
        (
            "null swapped",
            LinkType::NULL,
            join(&[&[0, 0, 0, 2], &mail]),
            "",
        ),
        ("loop", LinkType::LOOP, join(&[&[0, 0, 0, 2], &mail]), ""),
        ("raw", LinkType::RAW, mail.clone(), ""),
        ("raw bsd", LinkType::RAW_BSD, mail.clone(), ""),
        ("raw openbsd", LinkType::RAW_OPENBSD, mail.clone(), ""),
        ("raw ipv4", LinkType::IPV4, mail.clone(), ""),
        (
            "sll",
            LinkType::LINUX_SLL,
            join(&[&[0; 14], &[8, 0], &mail]),
            "",
        ),
        (
            "sll2",
            LinkType::LINUX_SLL2,
            join(&[&[8, 0], &[0; 18], &mail]),
            "",
        ),
        ("802.11", LinkType::IEEE802_11, wifi.clone(), ""),
        (
            "radiotap",
            LinkType::IEEE802_11_RADIOTAP,
            join(&[&[0, 0, 9, 0, 2, 0, 0, 0, 0], &wifi]),
            "",
        ),
        (
            "radiotap with padded data",
            LinkType::IEEE802_11_RADIOTAP,
            join(&[
                &[0, 0, 17, 0, 3, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0x20],
                &wifi[..26],
                &[0, 0],
                &snap,
            ]),
            "",
        ),
        (
            "ppi",
            LinkType::PPI,
            join(&[&[0, 0, 8, 0, 1, 0, 0, 0], &frame]),
            "",
        ),
        (
            "nflog",
            LinkType::NFLOG,
            join(&[
                &[2, 0, 0, 1, 5, 0, 10, 0, 0, 0, 0, 0],
                &((mail.len() + 4) as u16).to_le_bytes(),
                &[9, 0],
                &mail,
            ]),
            "",
        ),
        (
            "netanalyzer",
            LinkType::NETANALYZER,
            join(&[&[0; 4], &frame]),
            "",
        ),
        (
            "pktap",
            LinkType::PKTAP,
            join(&[&[16, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0], &frame]),
            "",
        ),
        (
            "gre",
            in_ether,
            over_ip(47, &gre(0, 0x0800, &[&mail])),
            "gre",
        ),
        (
            "gre with all optional parts",
            in_ether,
            over_ip(47, &gre(0xb000, 0x0800, &[&[0; 12], &mail])),
            "gre",
        ),
        (
            "gre with routes",
            in_ether,
            over_ip(
                47,
                &gre(
                    0x4000,
                    0x0800,
                    &[&[0; 4], &[8, 0, 0, 4, 1, 2, 3, 4], &[0; 4], &mail],
                ),
            ),
            "gre",
        ),
        (
            "pptp",
            in_ether,
            over_ip(
                47,
                &gre(0x3081, 0x880b, &[&length(ppp.len()), &[0; 10], &ppp]),
            ),
            "pptp",
        ),
        (
            "nvgre",
            in_ether,
            over_ip(47, &gre(0x2000, 0x6558, &[&[0, 0, 77, 0], &frame])),
            "nvgre:77",
        ),
        (
            "erspan I",
            in_ether,
            over_ip(47, &gre(0, 0x88be, &[&frame])),
            "erspan",
        ),
        (
            "erspan II",
            in_ether,
            over_ip(
                47,
                &gre(
                    0x1000,
                    0x88be,
                    &[&[0; 4], &[0x10, 0, 0, 0, 0, 0, 0, 0], &frame],
                ),
            ),
            "erspan",
        ),
        (
            "erspan III",
            in_ether,
            over_ip(
                47,
                &gre(0x1000, 0x22eb, &[&[0; 4], &[0x20], &[0; 11], &frame]),
            ),
            "erspan",
        ),
        (
            "erspan III with platform header",
            in_ether,
            over_ip(
                47,
                &gre(
                    0x1000,
                    0x22eb,
                    &[&[0; 4], &[0x20], &[0; 10], &[1], &[0; 8], &frame],
                ),
            ),
            "erspan",
        ),
        ("ip in ip", in_ether, over_ip(4, &mail), "ipip"),
        (
            "ipv4 in ipv6",
            in_ether,
            ethernet(0x86dd, &ip_v6(4, &mail)),
            "4in6",
        ),
        ("mpls in ip", in_ether, over_ip(137, &mpls), "mpls:100"),
        (
            "ethernet in ip",
            in_ether,
            over_ip(97, &join(&[&[0x30, 0], &frame])),
            "etherip",
        ),
        (
            "pim register",
            in_ether,
            over_ip(103, &join(&[&[0x21, 0, 0, 0, 0, 0, 0, 0], &mail])),
            "pim",
        ),
        (
            "authentication header",
            in_ether,
            over_ip(51, &join(&[&[6, 4], &[0; 22], &tcp(PAYLOAD)])),
            "",
        ),
        (
            "vxlan",
            in_ether,
            over_udp(4789, &join(&[&[8, 0, 0, 0, 0, 0, 99, 0], &frame])),
            "vxlan:99",
        ),
        (
            "vxlan on the port of linux",
            in_ether,
            over_udp(8472, &join(&[&[8, 0, 0, 0, 0, 0, 99, 0], &frame])),
            "vxlan:99",
        ),
        (
            "vxlan-gpe",
            in_ether,
            over_udp(4790, &join(&[&[12, 0, 0, 1, 0, 0, 99, 0], &mail])),
            "vxlan-gpe:99",
        ),
        (
            "vxlan-gpe with service header",
            in_ether,
            over_udp(
                4790,
                &join(&[
                    &[12, 0, 0, 4, 0, 0, 99, 0],
                    &[0, 2, 1, 1, 0, 0, 0, 0],
                    &mail,
                ]),
            ),
            "vxlan-gpe:99 nsh",
        ),
        (
            "geneve",
            in_ether,
            over_udp(
                6081,
                &join(&[&[1, 0, 0x65, 0x58, 0, 0, 7, 0], &[0; 4], &frame]),
            ),
            "geneve:7",
        ),
        (
            "gtp-u",
            in_ether,
            over_udp(
                2152,
                &join(&[
                    &[0x34, 255],
                    &length(mail.len() + 8),
                    &[0, 0, 1, 0, 0, 0, 0, 0x85, 1, 0, 9, 0],
                    &mail,
                ]),
            ),
            "gtp-u:256",
        ),
        (
            "l2tp",
            in_ether,
            over_udp(
                1701,
                &join(&[&[0x40, 2], &length(8 + ppp.len()), &[0, 1, 0, 2], &ppp]),
            ),
            "l2tp",
        ),
        (
            "l2tp with sequence and offset",
            in_ether,
            over_udp(
                1701,
                &join(&[&[0x0a, 2, 0, 1, 0, 2, 0, 0, 0, 0, 0, 2, 0, 0], &ppp]),
            ),
            "l2tp",
        ),
        ("mpls in udp", in_ether, over_udp(6635, &mpls), "mpls:100"),
        (
            "capwap",
            in_ether,
            over_udp(
                5247,
                &join(&[
                    &[0, 0x10, 0x43, 0],
                    &[0; 4],
                    &[1, 0x88],
                    &[0; 22],
                    &[0, 0],
                    &snap,
                ]),
            ),
            "capwap",
        ),
        (
            "mirrored overlay",
            in_ether,
            over_ip(
                47,
                &gre(
                    0x1000,
                    0x88be,
                    &[
                        &[0; 4],
                        &[0x10, 0, 0, 0, 0, 0, 0, 0],
                        &over_udp(4789, &join(&[&[8, 0, 0, 0, 0, 0, 99, 0], &frame])),
                    ],
                ),
            ),
            "erspan vxlan:99",
        ),
    ]
}

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
