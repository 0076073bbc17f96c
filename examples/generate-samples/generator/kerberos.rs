//! Kerberos messages (RFC 4120 §5): what a domain controller sees on port 88, and the tickets inside other protocols.
//! Encrypted parts are random bytes.

use super::bytes::{Prng, cat, der, der_integer, der_of, u32_of};

/// aes256-cts-hmac-sha1-96.
const AES256: u32 = 18;
const REALM: &str = "EXAMPLE.COM";

/// NT-PRINCIPAL and NT-SRV-INST (RFC 4120 §6.2).
const PRINCIPAL: u32 = 1;
const SERVICE: u32 = 2;

pub(crate) fn as_req(random: &mut Prng, user: &str, authenticated: bool) -> Vec<u8> {
    let mut padata = vec![];
    if authenticated {
        padata.push(pa(2, &encrypted(random, None, 60)));
    }
    // PA-PAC-REQUEST (MS-KILE §2.2.3): include it
    padata.push(pa(128, &der(0x30, &explicit(0, &der(1, &[0xFF])))));
    let body = der_of(
        0x30,
        &[
            explicit(0, &der(3, &[0, 0x40, 0x81, 0, 0x10])),
            explicit(1, &name(PRINCIPAL, &[user])),
            explicit(2, &realm()),
            explicit(3, &name(SERVICE, &["krbtgt", REALM])),
            explicit(5, &time("20370913024805Z")),
            explicit(7, &der_integer(random.word() >> 1)),
            explicit(8, &encryption_types()),
        ],
    );
    request(10, 0x6A, &padata, &body)
}

pub(crate) fn as_rep(random: &mut Prng, user: &str) -> Vec<u8> {
    reply(random, 11, 0x6B, user, "krbtgt/EXAMPLE.COM")
}

pub(crate) fn tgs_req(random: &mut Prng, service: &str) -> Vec<u8> {
    let padata = [pa(1, &ap_req(random, "krbtgt/EXAMPLE.COM"))];
    let body = der_of(
        0x30,
        &[
            explicit(0, &der(3, &[0, 0x40, 0x81, 0, 0])),
            explicit(2, &realm()),
            explicit(3, &service_name(service)),
            explicit(5, &time("20370913024805Z")),
            explicit(7, &der_integer(random.word() >> 1)),
            explicit(8, &encryption_types()),
        ],
    );
    request(12, 0x6C, &padata, &body)
}

/// What the client can decrypt.
fn encryption_types() -> Vec<u8> {
    der_of(
        0x30,
        &[der_integer(AES256), der_integer(17), der_integer(23)],
    )
}

pub(crate) fn tgs_rep(random: &mut Prng, user: &str, service: &str) -> Vec<u8> {
    reply(random, 13, 0x6D, user, service)
}

/// "Additional pre-authentication required" (RFC 4120 §7.5.9, error 25).
pub(crate) fn preauthentication_required() -> Vec<u8> {
    let offered = [
        pa(
            19,
            &der(0x30, &der(0x30, &explicit(0, &der_integer(AES256)))),
        ),
        pa(2, &[]),
    ];
    let parts = [
        explicit(0, &der_integer(5)),
        explicit(1, &der_integer(30)),
        explicit(4, &time("20240502080001Z")),
        explicit(5, &der_integer(142_336)),
        explicit(6, &der_integer(25)),
        explicit(9, &realm()),
        explicit(10, &name(SERVICE, &["krbtgt", REALM])),
        explicit(12, &der(4, &der_of(0x30, &offered))),
    ];
    der(0x7E, &der_of(0x30, &parts))
}

/// A refusal with that error (RFC 4120 §7.5.9).
pub(crate) fn refused(error: u32, service: &[&str]) -> Vec<u8> {
    let parts = [
        explicit(0, &der_integer(5)),
        explicit(1, &der_integer(30)),
        explicit(4, &time("20240502080001Z")),
        explicit(5, &der_integer(142_336)),
        explicit(6, &der_integer(error)),
        explicit(9, &realm()),
        explicit(10, &name(SERVICE, service)),
    ];
    der(0x7E, &der_of(0x30, &parts))
}

pub(crate) fn ap_req(random: &mut Prng, service: &str) -> Vec<u8> {
    let parts = [
        explicit(0, &der_integer(5)),
        explicit(1, &der_integer(14)),
        explicit(2, &der(3, &[0, 0x20, 0, 0, 0])),
        explicit(3, &ticket(random, service)),
        explicit(4, &encrypted(random, None, 84)),
    ];
    der(0x6E, &der_of(0x30, &parts))
}

pub(crate) fn ap_rep(random: &mut Prng) -> Vec<u8> {
    let parts = [
        explicit(0, &der_integer(5)),
        explicit(1, &der_integer(15)),
        explicit(2, &encrypted(random, None, 78)),
    ];
    der(0x6F, &der_of(0x30, &parts))
}

/// A message over TCP: its length first (RFC 4120 §7.2.2).
pub(crate) fn over_tcp(message: &[u8]) -> Vec<u8> {
    cat(&[&u32_of(message.len()).to_be_bytes(), message])
}

fn request(kind: u32, tag: u8, padata: &[Vec<u8>], body: &[u8]) -> Vec<u8> {
    let parts = [
        explicit(1, &der_integer(5)),
        explicit(2, &der_integer(kind)),
        explicit(3, &der_of(0x30, padata)),
        explicit(4, body),
    ];
    der(tag, &der_of(0x30, &parts))
}

fn reply(random: &mut Prng, kind: u32, tag: u8, user: &str, service: &str) -> Vec<u8> {
    let parts = [
        explicit(0, &der_integer(5)),
        explicit(1, &der_integer(kind)),
        explicit(3, &realm()),
        explicit(4, &name(PRINCIPAL, &[user])),
        explicit(5, &ticket(random, service)),
        explicit(6, &encrypted(random, None, 120)),
    ];
    der(tag, &der_of(0x30, &parts))
}

fn ticket(random: &mut Prng, service: &str) -> Vec<u8> {
    let parts = [
        explicit(0, &der_integer(5)),
        explicit(1, &realm()),
        explicit(2, &service_name(service)),
        explicit(3, &encrypted(random, Some(4), 140)),
    ];
    der(0x61, &der_of(0x30, &parts))
}

fn encrypted(random: &mut Prng, version: Option<u32>, length: usize) -> Vec<u8> {
    let mut parts = vec![explicit(0, &der_integer(AES256))];
    parts.extend(version.map(|version| explicit(1, &der_integer(version))));
    parts.push(explicit(2, &der(4, &random.bytes(length))));
    der_of(0x30, &parts)
}

fn pa(kind: u32, value: &[u8]) -> Vec<u8> {
    der_of(
        0x30,
        &[explicit(1, &der_integer(kind)), explicit(2, &der(4, value))],
    )
}

fn service_name(service: &str) -> Vec<u8> {
    name(SERVICE, &service.split('/').collect::<Vec<_>>())
}

fn name(kind: u32, parts: &[&str]) -> Vec<u8> {
    let parts: Vec<_> = parts
        .iter()
        .map(|part| der(0x1B, part.as_bytes()))
        .collect();
    der_of(
        0x30,
        &[
            explicit(0, &der_integer(kind)),
            explicit(1, &der_of(0x30, &parts)),
        ],
    )
}

fn realm() -> Vec<u8> {
    der(0x1B, REALM.as_bytes())
}

fn time(text: &str) -> Vec<u8> {
    der(0x18, text.as_bytes())
}

fn explicit(number: u8, content: &[u8]) -> Vec<u8> {
    der(0xA0 | number, content)
}
