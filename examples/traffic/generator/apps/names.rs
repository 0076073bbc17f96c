//! Names: DNS, and what a segment is asked: LLMNR, mDNS, NetBIOS.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::samples::bytes::cat;
use super::super::samples::dns::{self, Kind};
use super::super::session::Session;
use super::super::world::{Server, Workplace, World, group, local};

/// The lookup of a site at a domain controller.
pub(super) fn question(world: &mut World, host: Workplace, site: usize) -> Session {
    let from = world.from(host);
    let server = world.domain_controller(53);
    let mut session = Session::udp("dns", (from, server));
    let (id, name) = (world.random.short(), world.sites[site].name.clone());
    let address = dns::address(world.site_address(site));
    session.client(dns::question(id, &name, Kind::A));
    session
        .server(dns::answer(id, &name, Kind::A, &[address]))
        .after(if world.random.per_mille(700) {
            300
        } else {
            22_000
        });
    session
}

/// Any lookup: of a site, of a service of the domain, of a name that is not there.
pub(super) fn lookup(world: &mut World, sessions: &mut Vec<Session>) {
    let host = world.workplace();
    match world.random.below(10) {
        0..6 => {
            let site = world.site();
            sessions.push(question(world, host, site));
        }
        6..8 => {
            let from = world.from(host);
            let mut session = Session::udp("dns", (from, world.domain_controller(53)));
            let id = world.random.short();
            let names = [
                "_ldap._tcp.dc._msdcs.example.com",
                "_kerberos._tcp.example.com",
                "_sipinternaltls._tcp.example.com",
            ];
            let name = *world.random.one_of(&names);
            let target = [dns::service(389, "dc1.example.com")];
            session.client(dns::question(id, name, Kind::Srv));
            session
                .server(dns::answer(id, name, Kind::Srv, &target))
                .after(300);
            sessions.push(session);
        }
        8 => {
            let from = world.from(host);
            let mut session = Session::udp("dns", (from, world.domain_controller(53)));
            let id = world.random.short();
            let servers = [
                Server::ClientAccess,
                Server::Files,
                Server::Hub,
                Server::Updates,
                Server::Terminals,
            ];
            let server = *world.random.one_of(&servers);
            let name = format!("{}.example.com", server.name());
            let address = dns::address(server.at(0).address);
            session.client(dns::question(id, &name, Kind::A));
            session
                .server(dns::answer(id, &name, Kind::A, &[address]))
                .after(250);
            sessions.push(session);
        }
        _ => {
            let from = world.from(host);
            let mut session = Session::udp("dns", (from, world.domain_controller(53)));
            let id = world.random.short();
            let name = format!("wpad{}.example.com", world.random.below(9));
            session.client(dns::question(id, &name, Kind::Aaaa));
            // NXDOMAIN
            let mut answer = dns::answer(id, &name, Kind::Aaaa, &[]);
            answer[3] |= 3;
            session.server(answer).after(250);
            sessions.push(session);
        }
    }
}

/// A question to the whole segment, repeated where nobody answers.
pub(super) fn segment(world: &mut World, sessions: &mut Vec<Session>) {
    let host = world.workplace();
    match world.random.below(3) {
        0 => {
            // LLMNR (RFC 4795) over IPv4 and IPv6
            let name = format!("pc{:04}", world.random.below(2000));
            let mut message = dns::question(world.random.short(), &name, Kind::A);
            message[2] = 0;
            let port = world.port(host);
            let to = group(IpAddr::from([224, 0, 0, 252]), 5355);
            let mut session = Session::udp("llmnr", (host.at(port), to));
            session
                .client(message.clone())
                .client(message.clone())
                .after(410_000);
            sessions.push(session);
            let to = group(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 3).into(), 5355);
            let from = local(link_local(host), port);
            let mut session = Session::udp("llmnr", (from, to));
            session
                .client(message.clone())
                .client(message)
                .after(410_000);
            sessions.push(session);
        }
        1 => {
            // NetBIOS name query (RFC 1002 §4.2.12), thrice
            let name = format!("{:<15}", host.name());
            let encoded: Vec<u8> = name
                .bytes()
                .chain([0x20])
                .flat_map(|byte| [b'A' + (byte >> 4), b'A' + (byte & 15)])
                .collect();
            let message = cat(&[
                &world.random.short().to_be_bytes(),
                &[1, 0x10, 0, 1, 0, 0, 0, 0, 0, 0, 32],
                &encoded,
                &[0, 0, 32, 0, 1],
            ]);
            let from = host.at(137);
            let to = group(Ipv4Addr::new(10, 1, 255, 255).into(), 137);
            let mut session = Session::udp("netbios", (from, to));
            session.client(message.clone());
            session.client(message.clone()).after(750_000);
            session.client(message).after(750_000);
            sessions.push(session);
        }
        _ => {
            // mDNS (RFC 6762): who prints?
            let mut message = dns::question(0, "_ipp._tcp.local", Kind::Srv);
            message[2] = 0;
            let to = group(IpAddr::from([224, 0, 0, 251]), 5353);
            let mut session = Session::udp("mdns", (host.at(5353), to));
            session
                .client(message.clone())
                .client(message)
                .after(1_000_000);
            sessions.push(session);
        }
    }
}

fn link_local(host: Workplace) -> IpAddr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0x00ff, 0xfe00, host.0 as u16 + 1).into()
}
