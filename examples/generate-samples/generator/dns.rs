//! DNS questions and answers (RFC 1035, RFC 2782), without compression of names.

use std::net::IpAddr;

use super::bytes::{cat, u8_of, u16_of};
use super::packet::octets;

#[derive(Clone, Copy)]
pub(crate) enum Kind {
    A = 1,
    Mx = 15,
    Aaaa = 28,
    Srv = 33,
}

pub(crate) fn question(id: u16, name: &str, kind: Kind) -> Vec<u8> {
    cat(&[
        &id.to_be_bytes(),
        &[1, 0, 0, 1, 0, 0, 0, 0, 0, 0],
        &asked(name, kind),
    ])
}

/// The answer to `question`: `answers` are records without their owner's name, which is the name asked.
pub(crate) fn answer(id: u16, name: &str, kind: Kind, answers: &[Vec<u8>]) -> Vec<u8> {
    let mut out = cat(&[
        &id.to_be_bytes(),
        &[0x85, 0x80, 0, 1],
        &u16_of(answers.len()).to_be_bytes(),
        &[0; 4],
        &asked(name, kind),
    ]);
    for record in answers {
        out.extend(cat(&[
            &encoded(name),
            &(kind as u16).to_be_bytes(),
            &[0, 1, 0, 0, 2, 0x58],
        ]));
        out.extend(u16_of(record.len()).to_be_bytes());
        out.extend(record);
    }
    out
}

/// An error instead of an answer (RFC 1035 §4.1.1).
pub(crate) fn failure(id: u16, name: &str, kind: Kind, code: u8) -> Vec<u8> {
    cat(&[
        &id.to_be_bytes(),
        &[0x85, 0x80 | code, 0, 1, 0, 0, 0, 0, 0, 0],
        &asked(name, kind),
    ])
}

pub(crate) fn address(address: IpAddr) -> Vec<u8> {
    octets(address)
}

pub(crate) fn exchanger(preference: u16, host: &str) -> Vec<u8> {
    cat(&[&preference.to_be_bytes(), &encoded(host)])
}

pub(crate) fn service(port: u16, host: &str) -> Vec<u8> {
    cat(&[&[0, 0, 0, 100], &port.to_be_bytes(), &encoded(host)])
}

/// A message over TCP: its length first (RFC 1035 §4.2.2).
pub(crate) fn over_tcp(message: &[u8]) -> Vec<u8> {
    cat(&[&u16_of(message.len()).to_be_bytes(), message])
}

fn asked(name: &str, kind: Kind) -> Vec<u8> {
    cat(&[&encoded(name), &(kind as u16).to_be_bytes(), &[0, 1]])
}

fn encoded(name: &str) -> Vec<u8> {
    name.split('.')
        .flat_map(|label| cat(&[&[u8_of(label.len())], label.as_bytes()]))
        .chain([0])
        .collect()
}
