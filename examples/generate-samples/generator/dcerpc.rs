//! Connection-oriented DCE/RPC, little-endian (C706 §12.6; MS-RPCE §2.2.2), and the endpoint mapper (C706 appendices
//! L and O).

use std::net::SocketAddr;

use super::bytes::{Prng, cat, hex, pad_to, u8_of, u16_of, u32_of};
use super::trace::ipv4_octets;

const REQUEST: u8 = 0;
const RESPONSE: u8 = 2;
const BIND: u8 = 11;
const BIND_ACK: u8 = 12;
const ALTER_CONTEXT: u8 = 14;
const ALTER_CONTEXT_RESP: u8 = 15;
const AUTH3: u8 = 16;
const FAULT: u8 = 3;
const BIND_NAK: u8 = 13;

const NDR: Interface = Interface::new("8a885d04-1ceb-11c9-9fe8-08002b104860", 2, 0, "NDR");
const FEATURES: Interface = Interface::new(
    "6cb71c2c-9812-4540-0300-000000000000",
    1,
    0,
    "bind-time features",
);

/// An RPC interface, as published.
#[derive(Clone, Copy)]
pub(crate) struct Interface {
    pub(crate) uuid: &'static str,
    pub(crate) major: u16,
    pub(crate) minor: u16,
    pub(crate) name: &'static str,
}

impl Interface {
    const fn new(uuid: &'static str, major: u16, minor: u16, name: &'static str) -> Self {
        Self {
            uuid,
            major,
            minor,
            name,
        }
    }
}

pub(crate) const EPM: Interface =
    Interface::new("e1af8308-5d1f-11c9-91a4-08002b14a0fa", 3, 0, "epmapper");
pub(crate) const EMSMDB: Interface =
    Interface::new("a4f1db00-ca47-1067-b31f-00dd010662da", 0, 81, "EMSMDB");
pub(crate) const ASYNC_EMSMDB: Interface =
    Interface::new("5261574a-4572-206e-b268-6b199213b4e4", 0, 1, "AsyncEMSMDB");
pub(crate) const NSPI: Interface =
    Interface::new("f5cc5a18-4264-101a-8c59-08002b2f8426", 56, 0, "NSPI");
pub(crate) const RFR: Interface =
    Interface::new("1544f5e0-613c-11d1-93df-00c04fd7bd09", 1, 0, "RFR");
pub(crate) const NETLOGON: Interface =
    Interface::new("12345678-1234-abcd-ef00-01234567cffb", 1, 0, "netlogon");

/// Authentication type and level of a security trailer (MS-RPCE §2.2.1.1.7, §2.2.1.1.8).
#[derive(Clone, Copy)]
pub(crate) struct Security {
    pub(crate) kind: u8,
    pub(crate) level: u8,
}

pub(crate) const SPNEGO_PRIVACY: Security = Security { kind: 9, level: 6 };
pub(crate) const NTLM_PRIVACY: Security = Security { kind: 10, level: 6 };
/// Calls are signed, and their arguments can be read.
pub(crate) const NTLM_INTEGRITY: Security = Security { kind: 10, level: 5 };
pub(crate) const NETLOGON_PRIVACY: Security = Security { kind: 68, level: 6 };

impl Interface {
    /// The UUID as little-endian hosts write it.
    fn uuid_bytes(self) -> Vec<u8> {
        let bytes = hex(self.uuid);
        let (first, rest) = bytes.split_at(4);
        let (second, rest) = rest.split_at(2);
        let (third, last) = rest.split_at(2);
        let reversed = |part: &[u8]| part.iter().rev().copied().collect::<Vec<u8>>();
        cat(&[&reversed(first), &reversed(second), &reversed(third), last])
    }

    fn syntax(self) -> Vec<u8> {
        cat(&[
            &self.uuid_bytes(),
            &self.major.to_le_bytes(),
            &self.minor.to_le_bytes(),
        ])
    }
}

fn pdu(kind: u8, call: u32, body: &[u8], security: Option<(Security, &[u8])>) -> Vec<u8> {
    let unit = if matches!(kind, REQUEST | RESPONSE) {
        16
    } else {
        4
    };
    let mut rest = body.to_vec();
    let mut token_length = 0;
    if let Some((Security { kind, level }, token)) = security {
        // the trailer is aligned from the start of the stub data, which begins on a multiple of 8
        pad_to(&mut rest, 4);
        let stub_at = if unit == 16 { 8 } else { 0 };
        let aligned = stub_at + (rest.len() - stub_at).next_multiple_of(unit);
        rest.resize(aligned, 0);
        let padding = u8_of(rest.len() - body.len());
        rest.extend([kind, level, padding, 0, 1, 0, 0, 0]);
        rest.extend(token);
        token_length = token.len();
    }
    // first and last fragment; a bind says also that it can sign headers
    let flags = if matches!(kind, BIND | BIND_ACK | ALTER_CONTEXT | ALTER_CONTEXT_RESP) {
        7
    } else {
        3
    };
    cat(&[
        &[5, 0, kind, flags, 0x10, 0, 0, 0],
        &u16_of(16 + rest.len()).to_le_bytes(),
        &u16_of(token_length).to_le_bytes(),
        &call.to_le_bytes(),
        &rest,
    ])
}

/// A bind for `interfaces`, each with NDR; where it is secured, also with the feature negotiation of Windows.
pub(crate) fn bind(
    call: u32,
    interfaces: &[Interface],
    security: Option<(Security, &[u8])>,
) -> Vec<u8> {
    pdu(
        BIND,
        call,
        &contexts(interfaces, 0, security.is_some()),
        security,
    )
}

/// The continuation of a bind whose mechanism needs more legs.
pub(crate) fn alter_context(
    call: u32,
    interface: Interface,
    security: (Security, &[u8]),
) -> Vec<u8> {
    pdu(
        ALTER_CONTEXT,
        call,
        &contexts(&[interface], 0x6011, false),
        Some(security),
    )
}

fn contexts(interfaces: &[Interface], group: u32, features: bool) -> Vec<u8> {
    let mut items: Vec<_> = interfaces
        .iter()
        .map(|interface| (*interface, NDR))
        .collect();
    if let (true, Some(first)) = (features, interfaces.first()) {
        items.push((*first, FEATURES));
    }
    let mut body = cat(&[
        &5840_u16.to_le_bytes(),
        &5840_u16.to_le_bytes(),
        &group.to_le_bytes(),
        &[u8_of(items.len()), 0, 0, 0],
    ]);
    for (number, (abstract_syntax, transfer)) in items.into_iter().enumerate() {
        body.extend(u16_of(number).to_le_bytes());
        body.extend([1, 0]);
        body.extend(abstract_syntax.syntax());
        body.extend(transfer.syntax());
    }
    body
}

/// The acceptance of a bind with `count` interfaces, by the server's `port`.
pub(crate) fn bind_ack(
    call: u32,
    port: u16,
    count: usize,
    security: Option<(Security, &[u8])>,
) -> Vec<u8> {
    let address = format!("{port}\0");
    pdu(
        BIND_ACK,
        call,
        &accepted(&address, count, security.is_some()),
        security,
    )
}

pub(crate) fn alter_context_resp(call: u32, security: (Security, &[u8])) -> Vec<u8> {
    pdu(
        ALTER_CONTEXT_RESP,
        call,
        &accepted("", 1, false),
        Some(security),
    )
}

fn accepted(address: &str, count: usize, features: bool) -> Vec<u8> {
    let mut body = cat(&[
        &5840_u16.to_le_bytes(),
        &5840_u16.to_le_bytes(),
        &0x6011_u32.to_le_bytes(),
        &u16_of(address.len()).to_le_bytes(),
        address.as_bytes(),
    ]);
    pad_to(&mut body, 4);
    body.extend([u8_of(count + usize::from(features)), 0, 0, 0]);
    for _ in 0..count {
        body.extend(cat(&[&[0; 4], &NDR.syntax()]));
    }
    if features {
        // result 3: negotiate_ack, the features taken (MS-RPCE §2.2.2.4)
        body.extend(cat(&[&[3, 0, 3, 0], &[0; 20]]));
    }
    body
}

/// The third leg of NTLM.
pub(crate) fn auth3(call: u32, security: (Security, &[u8])) -> Vec<u8> {
    pdu(AUTH3, call, &[0; 4], Some(security))
}

pub(crate) fn request(
    call: u32,
    context: u16,
    operation: u16,
    stub: &[u8],
    security: Option<(Security, &[u8])>,
) -> Vec<u8> {
    let body = cat(&[
        &u32_of(stub.len()).to_le_bytes(),
        &context.to_le_bytes(),
        &operation.to_le_bytes(),
        stub,
    ]);
    pdu(REQUEST, call, &body, security)
}

pub(crate) fn response(
    call: u32,
    context: u16,
    stub: &[u8],
    security: Option<(Security, &[u8])>,
) -> Vec<u8> {
    let body = cat(&[
        &u32_of(stub.len()).to_le_bytes(),
        &context.to_le_bytes(),
        &[0, 0],
        stub,
    ]);
    pdu(RESPONSE, call, &body, security)
}

/// A fault with that status (C706 §12.6.4.7).
pub(crate) fn fault(call: u32, status: u32) -> Vec<u8> {
    let body = cat(&[
        &32_u32.to_le_bytes(),
        &[0; 4],
        &status.to_le_bytes(),
        &[0; 4],
    ]);
    pdu(FAULT, call, &body, None)
}

/// The refusal of a bind with that reason, and version 5.0 as the supported one (C706 §12.6.4.5).
pub(crate) fn bind_nak(call: u32, reason: u16) -> Vec<u8> {
    pdu(
        BIND_NAK,
        call,
        &cat(&[&reason.to_le_bytes(), &[1, 5, 0]]),
        None,
    )
}

/// ept_map's answer where nothing is registered.
pub(crate) fn ept_not_registered() -> Vec<u8> {
    cat(&[
        &[0; 24],
        &4_u32.to_le_bytes(),
        &[0; 8],
        &0x16C9_A0D6_u32.to_le_bytes(),
    ])
}

/// ept_map's arguments: which endpoint serves `interface` over TCP?
pub(crate) fn ept_map(interface: Interface) -> Vec<u8> {
    let tower = tower(interface, 135, &[0; 4]);
    let length = u32_of(tower.len()).to_le_bytes();
    let mut stub = cat(&[
        &[1, 0, 0, 0],
        &[0; 16],
        &[2, 0, 0, 0],
        &length,
        &length,
        &tower,
    ]);
    pad_to(&mut stub, 4);
    cat(&[&stub, &[0; 20], &4_u32.to_le_bytes()])
}

/// ept_map's answer: one tower that names `endpoint`.
pub(crate) fn ept_mapped(interface: Interface, endpoint: SocketAddr) -> Vec<u8> {
    let tower = tower(interface, endpoint.port(), &ipv4_octets(endpoint.ip()));
    let length = u32_of(tower.len()).to_le_bytes();
    let one = 1_u32.to_le_bytes();
    let mut stub = cat(&[
        &[0; 20],
        &one,
        &4_u32.to_le_bytes(),
        &[0; 4],
        &one,
        &3_u32.to_le_bytes(),
        &length,
        &length,
        &tower,
    ]);
    pad_to(&mut stub, 4);
    cat(&[&stub, &[0; 4]])
}

fn tower(interface: Interface, port: u16, address: &[u8]) -> Vec<u8> {
    let floor = |left: &[u8], right: &[u8]| {
        let (l, r) = (
            u16_of(left.len()).to_le_bytes(),
            u16_of(right.len()).to_le_bytes(),
        );
        cat(&[&l, left, &r, right])
    };
    let syntax = |syntax: Interface| {
        let left = cat(&[&[0x0D], &syntax.uuid_bytes(), &syntax.major.to_le_bytes()]);
        floor(&left, &syntax.minor.to_le_bytes())
    };
    cat(&[
        &5_u16.to_le_bytes(),
        &syntax(interface),
        &syntax(NDR),
        &floor(&[0x0B], &[0, 0]),
        &floor(&[0x07], &port.to_be_bytes()),
        &floor(&[0x09], address),
    ])
}

/// Encrypted arguments: `length` random bytes, already padded as a sealed stub is.
pub(crate) fn sealed(random: &mut Prng, length: usize) -> Vec<u8> {
    random.bytes(length.next_multiple_of(16))
}
