//! The web: TLS, QUIC and what is still in clear.

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey, quic};
use ring::hkdf;

use super::super::samples::bytes::{cat, u8_of, u16_of};
use super::super::session::{Fate, Path, Session, Side};
use super::super::world::{Server, World};
use super::{names, tls};

/// Largest response of a page: a video, an installer.
const LARGEST: usize = 12_000_000;

/// A page: lookups where nothing is cached, then connections to one host or several, requests on each.
pub(super) fn page(world: &mut World, sessions: &mut Vec<Session>) {
    let host = world.workplace();
    let mut start = 0;
    for _ in 0..world.random.between(1, 3) {
        let site = world.site();
        if world.random.per_mille(450) {
            sessions.push(names::question(world, host, site).starting(start));
        }
        let ends = world.towards(host, site, 443);
        let mut session = Session::tcp("web over TLS", ends, Path::INTERNET, &mut world.random);
        let name = world.sites[site].name.clone();
        tls::handshake_13(world, &mut session, &name);
        // Most connections carry one request or two, few carry many.
        let requests = world.random.heavy_tailed(1, 40);
        for number in 0..requests {
            let question = world.random.between(180, 1200);
            session.sealed(Side::Client, question);
            if number > 0 {
                session.after(world.random.exponential(400_000.0) as u64);
            }
            let answer = world.random.heavy_tailed(1500, LARGEST);
            session.sealed(Side::Server, answer).after(25_000);
        }
        let fate = match world.random.below(10) {
            0..6 => Fate::Closed(Side::Client),
            6..8 => Fate::Closed(Side::Server),
            8 => Fate::Reset(Side::Client),
            _ if requests > 10 => Fate::Older,
            _ => Fate::Open,
        };
        sessions.push(session.ending(fate).starting(start + 24_000));
        start += world.random.between(20_000, 300_000) as u64;
    }
}

/// HTTP in clear: revocation lists and updates.
pub(super) fn plain(world: &mut World, sessions: &mut Vec<Session>) {
    let host = world.workplace();
    let site = world.site();
    let (ends, name, path) = if world.random.per_mille(300) {
        let from = world.from(host);
        let ends = (from, Server::Updates.at(8530));
        (ends, "wsus1.example.com:8530".to_owned(), Path::LOCAL)
    } else {
        let ends = world.towards(host, site, 80);
        (ends, world.sites[site].name.clone(), Path::INTERNET)
    };
    let mut session = Session::tcp("http", ends, path, &mut world.random);
    for _ in 0..world.random.between(1, 3) {
        let number = world.random.word();
        session.client(
            format!(
                "GET /content/{:02x}/{number:08x}.crl HTTP/1.1\r\nHost: {name}\r\nUser-Agent: Microsoft-CryptoAPI/10.0\r\n\
                 Accept: */*\r\nConnection: Keep-Alive\r\n\r\n",
                number & 0xff
            )
            .into_bytes(),
        );
        let body = world.random.heavy_tailed(700, 4_000_000);
        session
            .say(
                Side::Server,
                format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {body}\r\n\
                     Server: Microsoft-IIS/10.0\r\nCache-Control: max-age=3600\r\n\r\n"
                )
                .into_bytes(),
                body,
            )
            .after(3000);
    }
    sessions.push(session);
}

/// The published salt of QUIC version 1 (RFC 9001 §5.2).
const SALT: [u8; 20] = [
    0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad,
    0xcc, 0xbb, 0x7f, 0x0a,
];
/// Least payload of a datagram with an Initial packet (RFC 9000 §14.1).
const INITIAL: usize = 1200;

/// QUIC to a site: a true Initial packet, then noise behind headers of 1-RTT packets.
pub(super) fn datagrams(world: &mut World, sessions: &mut Vec<Session>) {
    let host = world.workplace();
    let site = world.site();
    let ends = world.towards(host, site, 443);
    let mut session = Session::udp("quic", ends);
    let name = world.sites[site].name.clone();
    let (theirs, ours) = (world.random.prng.bytes(8), world.random.prng.bytes(8));
    let hello = tls::quic_hello(world, &name);
    session.client(initial(&theirs, &hello));
    // The server's Initial and Handshake packets; their keys are nobody's business here.
    let long = cat(&[&[0xe2, 0, 0, 0, 1, 0, 8], &ours, &[0x44, 0x90]]);
    session.say(Side::Server, long, 1168).after(19_000);
    let short = |id: &[u8]| cat(&[&[0x4a], id]);
    let (to_server, to_client): (std::rc::Rc<[u8]>, std::rc::Rc<[u8]>) =
        (short(&ours).into(), short(&[]).into());
    for _ in 0..world.random.heavy_tailed(1, 20) {
        let question = world.random.between(40, 600);
        session
            .say(Side::Client, to_server.clone(), question)
            .after(2000);
        let mut left = world.random.heavy_tailed(2000, 4_000_000);
        let mut wait = 20_000;
        while left > 0 {
            let part = left.clamp(30, 1230);
            session
                .say(Side::Server, to_client.clone(), part)
                .after(wait);
            left = left.saturating_sub(part);
            wait = 130;
            if world.random.per_mille(300) {
                session.say(Side::Client, to_server.clone(), 26).after(60);
            }
        }
    }
    sessions.push(session);
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// A client's first packet, protected as RFC 9001 §5 says.
fn initial(connection: &[u8], hello: &[u8]) -> Vec<u8> {
    let expand = |secret: &hkdf::Prk, label: &str, length: usize| {
        let label = cat(&[
            &u16_of(length).to_be_bytes(),
            &[u8_of(label.len() + 6)],
            b"tls13 ",
            label.as_bytes(),
            &[0],
        ]);
        let mut out = vec![0; length];
        secret
            .expand(&[&label], Length(length))
            .and_then(|okm| okm.fill(&mut out))
            .expect("short keys");
        out
    };
    let shared = hkdf::Salt::new(hkdf::HKDF_SHA256, &SALT).extract(connection);
    let secret = expand(&shared, "client in", 32);
    let secret = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, &secret);
    let key = UnboundKey::new(&AES_128_GCM, &expand(&secret, "quic key", 16)).expect("16 bytes");
    let key = LessSafeKey::new(key);
    let mask_key = expand(&secret, "quic hp", 16);
    let mask_key = quic::HeaderProtectionKey::new(&quic::AES_128, &mask_key).expect("16 bytes");
    // A CRYPTO frame with the hello, then padding; packet number 0, of four bytes.
    let mut plain = cat(&[&[6, 0], &varint(hello.len()), hello]);
    let header_length = 1 + 4 + 1 + connection.len() + 1 + 1 + 2 + 4;
    plain.resize(INITIAL - header_length - 16, 0);
    let mut header = cat(&[
        &[0xc3, 0, 0, 0, 1, u8_of(connection.len())],
        connection,
        &[0, 0],
        &varint(4 + plain.len() + 16),
        &[0; 4],
    ]);
    let nonce: [u8; 12] = expand(&secret, "quic iv", 12).try_into().expect("12 bytes");
    key.seal_in_place_append_tag(
        Nonce::assume_unique_for_key(nonce),
        Aad::from(&header),
        &mut plain,
    )
    .expect("seals");
    let mask = mask_key.new_mask(&plain[..16]).expect("16 bytes");
    let number = header.len() - 4;
    header[0] ^= mask[0] & 0x0f;
    for (byte, mask) in header[number..].iter_mut().zip(&mask[1..]) {
        *byte ^= mask;
    }
    cat(&[&header, &plain])
}

/// A variable-length integer of two bytes (RFC 9000 §16).
fn varint(value: usize) -> [u8; 2] {
    (u16_of(value) | 0x4000).to_be_bytes()
}
