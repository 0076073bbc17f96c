//! Every way to carry one packet.

use super::*;

/// Every way to carry the mail packet: name, link type, bytes, tunnels.
pub(super) fn carriers() -> Vec<(&'static str, LinkType, Vec<u8>, &'static str)> {
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
