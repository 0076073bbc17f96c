//! What a segment hears whether it wants or not: ARP, SSDP, DHCP, announcements of hosts.

use std::net::{IpAddr, Ipv4Addr};

use super::super::samples::bytes::{cat, u8_of, u16_of};
use super::super::session::Session;
use super::super::wire::End;
use super::super::world::{Server, Workplace, World, group};

const ALL: IpAddr = IpAddr::V4(Ipv4Addr::BROADCAST);

pub(super) fn broadcast(world: &mut World, sessions: &mut Vec<Session>) {
    let host = world.workplace();
    let session = match world.random.below(20) {
        0..8 => address_resolution(world, host),
        8..11 => search(world, host),
        11..13 => lease(world, host),
        13..15 => announcement(host),
        15..17 => sync(world, host),
        _ => bridge(host),
    };
    sessions.push(session);
}

/// ARP (RFC 826): who has a neighbour's address, and the neighbour's answer if it is on.
fn address_resolution(world: &mut World, host: Workplace) -> Session {
    let (asking, asked) = (host.at(0), world.workplace().at(0));
    let octets = |end: &End| match end.address {
        IpAddr::V4(address) => address.octets(),
        IpAddr::V6(_) => [0; 4],
    };
    let frame = |to: [u8; 6], from: &End, kind: u8, target: [u8; 6], about: &End| {
        cat(&[
            &to,
            &from.mac,
            &[8, 6, 0, 1, 8, 0, 6, 4, 0, kind],
            &from.mac,
            &octets(from),
            &target,
            &octets(about),
        ])
    };
    let mut session = Session::raw("arp", asking);
    session.client(frame([0xff; 6], &asking, 1, [0; 6], &asked));
    if world.random.per_mille(800) {
        session
            .client(frame(asking.mac, &asked, 2, asking.mac, &asking))
            .after(300);
    }
    session
}

/// SSDP: a search, four times a second apart.
fn search(world: &mut World, host: Workplace) -> Session {
    let from = world.from(host);
    let to = group([239, 255, 255, 250].into(), 1900);
    let message =
        b"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\n\
        ST: urn:dial-multiscreen-org:service:dial:1\r\nUSER-AGENT: browser\r\n\r\n";
    let mut session = Session::udp("ssdp", (from, to));
    for _ in 0..4 {
        session.client(*message).after(1_000_000);
    }
    session
}

/// DHCP (RFC 2131): an INFORM or a request to all, and the server's answer to all.
fn lease(world: &mut World, host: Workplace) -> Session {
    let transaction = world.random.word().to_be_bytes();
    let end = host.at(68);
    let message = |operation: u8, options: &[u8]| {
        let mut message = cat(&[
            &[operation, 1, 6, 0],
            &transaction,
            &[0, 0, 0x80, 0],
            &[0; 16],
            &end.mac,
        ]);
        message.resize(236, 0);
        cat(&[&message, &[0x63, 0x82, 0x53, 0x63], options, &[255]])
    };
    let name = host.name();
    let asked = cat(&[
        &[53, 1, 3, 12, u8_of(name.len())],
        name.as_bytes(),
        &[60, 8],
        b"MSFT 5.0",
        &[55, 6, 1, 3, 6, 15, 44, 46],
    ]);
    let given = cat(&[
        &[53, 1, 5, 54, 4, 10, 0, 0, 10, 51, 4, 0, 1, 0x51, 0x80],
        &[
            1, 4, 255, 255, 0, 0, 3, 4, 10, 1, 0, 1, 6, 4, 10, 0, 0, 10, 15, 11,
        ],
        b"example.com",
    ]);
    let from = End {
        address: Ipv4Addr::UNSPECIFIED.into(),
        ..end
    };
    let mut session = Session::udp("dhcp", (from, group(ALL, 67)));
    session.client(message(1, &asked));
    if world.random.per_mille(500) {
        // The answer comes from the server's own address: another flow, of the same occasion.
        let mut answer = Session::udp("dhcp", (Server::Directory.at(67), group(ALL, 68)));
        answer.client(message(2, &given));
        return answer;
    }
    session
}

/// A host announces itself to the browsers of its domain (RFC 1002 §4.4, MS-BRWS §2.2.1).
fn announcement(host: Workplace) -> Session {
    let encode = |name: &str, suffix: u8| -> Vec<u8> {
        let padded = format!("{name:<15}");
        let letters = padded
            .bytes()
            .chain([suffix])
            .flat_map(|byte| [b'A' + (byte >> 4), b'A' + (byte & 15)]);
        [32].into_iter().chain(letters).chain([0]).collect()
    };
    let name = host.name();
    let announced = cat(&[
        &[1, 0, 0x80, 0xfc, 0x0a, 0],
        name.as_bytes(),
        &vec![0; 16 - name.len()],
        &[10, 0, 3, 0x10, 0, 0, 0x0f, 1, 0x55, 0xaa, 0],
    ]);
    let slot = b"\\MAILSLOT\\BROWSE\0";
    let counts = cat(&[
        &u16_of(announced.len()).to_le_bytes(),
        &u16_of(69 + slot.len()).to_le_bytes(),
    ]);
    // SMB_COM_TRANSACTION with a mailslot write of three setup words (MS-CIFS §2.2.4.33)
    let message = cat(&[
        b"\xffSMB\x25",
        &[0; 27],
        &[17, 0, 0],
        &u16_of(announced.len()).to_le_bytes(),
        &[0; 14],
        &[0; 4],
        &counts,
        &[3, 0, 1, 0, 0, 0, 2, 0],
        &u16_of(slot.len() + announced.len()).to_le_bytes(),
        slot,
        &announced,
    ]);
    let names = cat(&[&encode(&name, 0), &encode("EXAMPLE", 0x1d)]);
    let IpAddr::V4(address) = host.at(0).address else {
        unreachable!("workplaces have IPv4 addresses");
    };
    let datagram = cat(&[
        &[0x11, 2],
        &u16_of(host.0 + 1).to_be_bytes(),
        &address.octets(),
        &138_u16.to_be_bytes(),
        &u16_of(names.len() + message.len()).to_be_bytes(),
        &[0, 0],
        &names,
        &message,
    ]);
    let to = group(Ipv4Addr::new(10, 1, 255, 255).into(), 138);
    let mut session = Session::udp("netbios", (host.at(138), to));
    session.client(datagram);
    session
}

/// Dropbox looks for its like on the segment: JSON on UDP 17500.
fn sync(world: &mut World, host: Workplace) -> Session {
    let number = world.random.word();
    let message = format!(
        "{{\"host_int\": {number}, \"version\": [2, 0], \"displayname\": \"\", \"port\": 17500, \"namespaces\": [{}]}}",
        number >> 4
    );
    let mut session = Session::udp("db-lsp-disc", (host.at(17_500), group(ALL, 17_500)));
    session.client(message.into_bytes());
    session
}

/// A switch's spanning tree (IEEE 802.1D §9): no IP.
fn bridge(host: Workplace) -> Session {
    let end = host.at(0);
    let frame = cat(&[
        &[1, 0x80, 0xc2, 0, 0, 0],
        &end.mac,
        &[0, 38, 0x42, 0x42, 3, 0, 0, 0, 0, 0, 0x80, 1],
        &end.mac,
        &[0, 0, 0, 4, 0x80, 1],
        &end.mac,
        &[0x80, 2, 0, 0, 20, 0, 2, 0, 15, 0],
    ]);
    let mut session = Session::raw("stp", end);
    for _ in 0..5 {
        session.client(frame.clone()).after(2_000_000);
    }
    session
}
