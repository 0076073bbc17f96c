//! TLS handshakes in clear as far as they are, and application data: versions 1.2 (RFC 5246) and 1.3 (RFC 8446).

use super::super::samples::bytes::{cat, u8_of, u16_of, u32_of};
use super::super::session::{Session, Side};
use super::super::world::World;

const HANDSHAKE: u8 = 22;

/// Key share of X25519MLKEM768 (draft-ietf-tls-ecdhe-mlkem): browsers of today send it, and their hello takes two segments.
const HYBRID: usize = 1216;

/// A handshake of TLS 1.3: all after the server's hello is sealed.
pub(super) fn handshake_13(world: &mut World, session: &mut Session, name: &str) {
    let is_browser = world.random.per_mille(600);
    let hello = hello_13(world, name, is_browser);
    session.client(record(HANDSHAKE, &hello));
    let answer = cat(&[
        &[3, 3],
        &world.random.prng.bytes(32),
        &[32],
        &world.random.prng.bytes(32),
        &[0x13, 1, 0],
    ]);
    // key_share and supported_versions (RFC 8446 §4.1.3)
    let share = if is_browser { 1120 } else { 32 };
    let group = if is_browser { [0x11, 0xec] } else { [0, 29] };
    let key = cat(&[
        &group,
        &u16_of(share).to_be_bytes(),
        &world.random.prng.bytes(share),
    ]);
    let extensions = cat(&[&extension(51, &key), &extension(43, &[3, 4])]);
    let hello = cat(&[
        &answer,
        &u16_of(extensions.len()).to_be_bytes(),
        &extensions,
    ]);
    session.server(cat(&[
        &record(HANDSHAKE, &message(2, &hello)),
        &record(20, &[1]),
    ]));
    let flight = world.random.between(1200, 4600);
    session.sealed(Side::Server, flight);
    session.client(record(20, &[1])).sealed(Side::Client, 74);
    session.sealed(Side::Server, 310);
}

fn hello_13(world: &mut World, name: &str, is_browser: bool) -> Vec<u8> {
    let mut shares = Vec::new();
    if is_browser {
        shares.extend([0x11, 0xec]);
        shares.extend(u16_of(HYBRID).to_be_bytes());
        shares.extend(world.random.prng.bytes(HYBRID));
    }
    shares.extend([0, 29, 0, 32]);
    shares.extend(world.random.prng.bytes(32));
    let alpn: &[u8] = if is_browser {
        b"\x00\x0c\x02h2\x08http/1.1"
    } else {
        b"\x00\x09\x08http/1.1"
    };
    let extensions = cat(&[
        &server_name(name),
        &extension(23, &[]),
        &extension(0xff01, &[0]),
        &extension(10, &[0, 8, 0x11, 0xec, 0, 29, 0, 23, 0, 24]),
        &extension(11, &[1, 0]),
        &extension(35, &[]),
        &extension(16, alpn),
        &extension(5, &[1, 0, 0, 0, 0]),
        &extension(13, &[0, 16, 4, 3, 8, 4, 4, 1, 5, 3, 8, 5, 5, 1, 8, 6, 6, 1]),
        &extension(18, &[]),
        &extension(51, &cat(&[&u16_of(shares.len()).to_be_bytes(), &shares])),
        &extension(45, &[1, 1]),
        &extension(43, &[4, 3, 4, 3, 3]),
    ]);
    hello(
        world,
        &[
            0x13, 1, 0x13, 2, 0x13, 3, 0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x2c, 0xc0, 0x30,
        ],
        &extensions,
    )
}

/// A handshake of TLS 1.2, as Exchange 2010 to 2016 have it: the certificate is in clear.
pub(super) fn handshake_12(world: &mut World, session: &mut Session, name: Option<&str>, of: &str) {
    let extensions = cat(&[
        &name.map(server_name).unwrap_or_default(),
        &extension(10, &[0, 6, 0, 29, 0, 23, 0, 24]),
        &extension(11, &[1, 0]),
        &extension(13, &[0, 8, 4, 1, 4, 3, 2, 1, 2, 3]),
        &extension(35, &[]),
        &extension(23, &[]),
        &extension(0xff01, &[0]),
    ]);
    let suites = [
        0xc0, 0x2c, 0xc0, 0x2b, 0xc0, 0x30, 0xc0, 0x2f, 0, 0x9f, 0, 0x9e,
    ];
    let opening = hello(world, &suites, &extensions);
    session.client(record(HANDSHAKE, &opening));
    let extensions = cat(&[&extension(23, &[]), &extension(0xff01, &[0])]);
    let answer = cat(&[
        &[3, 3],
        &world.random.prng.bytes(32),
        &[32],
        &world.random.prng.bytes(32),
        &[0xc0, 0x30, 0],
        &u16_of(extensions.len()).to_be_bytes(),
        &extensions,
    ]);
    let certificate = world.certificate(of);
    let one = cat(&[&length24(certificate.len()), certificate]);
    let chain = cat(&[&length24(one.len()), &one]);
    // curve x25519, an RSA signature of 256 bytes
    let exchange = cat(&[
        &[3, 0, 29, 32],
        &world.random.prng.bytes(32),
        &[4, 1, 1, 0],
        &world.random.prng.bytes(256),
    ]);
    session.server(record(
        HANDSHAKE,
        &cat(&[
            &message(2, &answer),
            &message(11, &chain),
            &message(12, &exchange),
            &message(14, &[]),
        ]),
    ));
    let key = cat(&[&[32], &world.random.prng.bytes(32)]);
    session.client(cat(&[
        &record(HANDSHAKE, &message(16, &key)),
        &record(20, &[1]),
        &record(HANDSHAKE, &world.random.prng.bytes(40)),
    ]));
    session.server(cat(&[
        &record(20, &[1]),
        &record(HANDSHAKE, &world.random.prng.bytes(40)),
    ]));
}

fn hello(world: &mut World, suites: &[u8], extensions: &[u8]) -> Vec<u8> {
    message(
        1,
        &cat(&[
            &[3, 3],
            &world.random.prng.bytes(32),
            &[32],
            &world.random.prng.bytes(32),
            &u16_of(suites.len()).to_be_bytes(),
            suites,
            &[1, 0],
            &u16_of(extensions.len()).to_be_bytes(),
            extensions,
        ]),
    )
}

fn server_name(name: &str) -> Vec<u8> {
    let length = u16_of(name.len());
    extension(
        0,
        &cat(&[
            &(length + 3).to_be_bytes(),
            &[0],
            &length.to_be_bytes(),
            name.as_bytes(),
        ]),
    )
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    cat(&[&kind.to_be_bytes(), &u16_of(body.len()).to_be_bytes(), body])
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    cat(&[&[kind], &length24(body.len()), body])
}

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    cat(&[&[kind, 3, 3], &u16_of(body.len()).to_be_bytes(), body])
}

fn length24(length: usize) -> [u8; 3] {
    let [_, a, b, c] = u32_of(length).to_be_bytes();
    [a, b, c]
}

/// The hello of a QUIC client: as above, with its transport parameters (RFC 9001 §8.2).
pub(super) fn quic_hello(world: &mut World, name: &str) -> Vec<u8> {
    let share = cat(&[&[0, 29, 0, 32], &world.random.prng.bytes(32)]);
    let parameters = cat(&[
        &[1, 4, 0x80, 0, 0x75, 0x30],
        &[4, 4, 0x80, 0x60, 0, 0],
        &[8, 2, 0x40, 0x64],
        &[15, 0],
    ]);
    let extensions = cat(&[
        &server_name(name),
        &extension(10, &[0, 4, 0, 29, 0, 23]),
        &extension(16, b"\x00\x03\x02h3"),
        &extension(13, &[0, 6, 4, 3, 8, 4, 4, 1]),
        &extension(51, &cat(&[&u16_of(share.len()).to_be_bytes(), &share])),
        &extension(45, &[1, 1]),
        &extension(43, &[2, 3, 4]),
        &extension(57, &parameters),
    ]);
    let suites = [0x13, 1, 0x13, 2];
    message(
        1,
        &cat(&[
            &[3, 3],
            &world.random.prng.bytes(32),
            &[0, 0, u8_of(suites.len())],
            &suites,
            &[1, 0],
            &u16_of(extensions.len()).to_be_bytes(),
            &extensions,
        ]),
    )
}
