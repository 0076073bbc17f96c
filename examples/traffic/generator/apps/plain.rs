//! Traffic of one sort, for measurements of one thing.

use super::super::samples::dns::{self, Kind};
use super::super::session::{Fate, Path, Session, Side};
use super::super::wire::End;
use super::super::world::{Server, World, far, local};
use super::{files, tls};

/// Bytes of a long transfer.
const TRANSFER: usize = 120_000_000;
/// Bytes of a packet of `Steady`, about, where its extent is in bytes.
pub(super) const STEADY_BYTES: u64 = 500;
/// Payload of the data of `Steady`.
const STEADY_PAYLOAD: usize = 600;
/// Packets that open and close a connection, with its request: below this, a flow is of datagrams.
const AROUND: usize = 9;

pub(super) fn download(world: &mut World, sessions: &mut Vec<Session>) {
    let host = world.workplace();
    let from = world.from(host);
    let ends = (from, Server::Updates.at(80));
    let mut session = Session::tcp("download", ends, Path::LOCAL, &mut world.random);
    session.client(*b"GET /oab/full.lzx HTTP/1.1\r\nHost: mail.example.com\r\n\r\n");
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {TRANSFER}\r\n\r\n");
    session.say(Side::Server, head.into_bytes(), TRANSFER);
    sessions.push(session);
}

pub(super) fn sealed_download(world: &mut World, sessions: &mut Vec<Session>) {
    let host = world.workplace();
    let site = world.site();
    let ends = world.towards(host, site, 443);
    let mut session = Session::tcp("sealed download", ends, Path::LOCAL, &mut world.random);
    let name = world.sites[site].name.clone();
    tls::handshake_13(world, &mut session, &name);
    session.sealed(Side::Client, 300);
    session.sealed(Side::Server, TRANSFER);
    sessions.push(session);
}

pub(super) fn backup(world: &mut World, sessions: &mut Vec<Session>) {
    let host = world.workplace();
    let from = world.from(host);
    let mut connection = files::Connection::open(world, (from, Server::Files.at(445)));
    connection.file("backup\\disk0.vhdx", TRANSFER, true);
    sessions.push(connection.session);
}

/// A SYN of a flood: from an address of its own, and nothing after it.
pub(super) fn syn(world: &mut World, number: u32) -> Session {
    let [_, b, c, d] = number.wrapping_mul(7).to_be_bytes();
    let from = far([11, b, c, d].into(), 1024 + (number >> 24) as u16);
    let mut session = Session::tcp(
        "syn",
        (from, Server::ClientAccess.at(443)),
        Path::INTERNET,
        &mut world.random,
    );
    session = session.ending(Fate::Once);
    session
}

/// A flow of so many packets: a lookup and its answers, or a download.
pub(super) fn steady(world: &mut World, number: usize, packets: usize) -> Session {
    let [_, a, b, c] = ((number / 16_000) as u32).to_be_bytes();
    let port = 1024 + (number % 16_000) as u16;
    let from: End = local([10, a.wrapping_add(64), b, c].into(), port);
    if packets < AROUND {
        let mut session = Session::udp("steady", (from, Server::Directory.at(53)));
        let id = world.random.short();
        for turn in 0..packets {
            let name = "mail.example.com";
            if turn % 2 == 0 {
                session.client(dns::question(id, name, Kind::A)).after(2000);
            } else {
                let address = dns::address([10, 0, 0, 40].into());
                session
                    .server(dns::answer(id, name, Kind::A, &[address]))
                    .after(300);
            }
        }
        return session;
    }
    let mut session = Session::tcp(
        "steady",
        (from, Server::Updates.at(80)),
        Path::LOSSLESS,
        &mut world.random,
    );
    session.client(*b"GET /status HTTP/1.1\r\nHost: wsus1.example.com\r\n\r\n");
    // One acknowledgment for two segments.
    let segments = (packets - AROUND) * 2 / 3 + 1;
    let length = segments * STEADY_PAYLOAD;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    session.server(head.into_bytes());
    for _ in 0..segments {
        session.say(Side::Server, [], STEADY_PAYLOAD);
    }
    session
}
