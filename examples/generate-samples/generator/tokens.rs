//! Authentication tokens: NTLMSSP (MS-NLMP §2.2.1), SPNEGO (RFC 4178) and Kerberos in GSS-API (RFC 4121).

use super::bytes::{Prng, cat, der, der_of, hex, u16_of, u32_of, utf16};
use super::kerberos;

const SPNEGO: &str = "06062b0601050502";
const NTLMSSP: &str = "060a2b06010401823702020a";
const KERBEROS: &str = "06092a864886f712010202";
const MS_KERBEROS: &str = "06092a864882f712010202";

/// Unicode, sign, seal, NTLM, always sign, extended session security, target information, version, 128 bit, key
/// exchange, 56 bit.
const NTLM_FLAGS: u32 = 0xE288_8235;

/// Product version 6.1.7601, NTLMSSP revision 15: Windows Server 2008 R2.
const NTLM_VERSION: [u8; 8] = [6, 1, 0xB1, 0x1D, 0, 0, 0, 15];

pub(crate) fn ntlm_negotiate() -> Vec<u8> {
    cat(&[
        b"NTLMSSP\0",
        &1_u32.to_le_bytes(),
        &NTLM_FLAGS.to_le_bytes(),
        &[0; 16],
        &NTLM_VERSION,
    ])
}

pub(crate) fn ntlm_challenge(random: &mut Prng, computer: &str) -> Vec<u8> {
    let target = utf16("EXAMPLE");
    let information = target_information(computer);
    let target_at = 56;
    let information_at = target_at + target.len();
    cat(&[
        b"NTLMSSP\0",
        &2_u32.to_le_bytes(),
        &field(target.len(), target_at),
        &(NTLM_FLAGS | 0x1_0000).to_le_bytes(),
        &random.bytes(8),
        &[0; 8],
        &field(information.len(), information_at),
        &NTLM_VERSION,
        &target,
        &information,
    ])
}

pub(crate) fn ntlm_authenticate(random: &mut Prng, user: &str, from: &str, to: &str) -> Vec<u8> {
    // NTLMv2: proof, then version 1.1, reserved, time, challenge, reserved, target information (MS-NLMP §2.2.2.7)
    let proof = random.bytes(16);
    let challenge = random.bytes(8);
    let response = cat(&[
        &proof,
        &[1, 1, 0, 0, 0, 0, 0, 0],
        &filetime(),
        &challenge,
        &[0; 4],
        &target_information(to),
        &[0; 4],
    ]);
    let (domain, user, from) = (utf16("EXAMPLE"), utf16(user), utf16(from));
    let (lm, key) = (vec![0; 24], random.bytes(16));
    let mut offset = 88;
    let mut fields = Vec::new();
    let mut bodies = Vec::new();
    for body in [&domain, &user, &from, &lm, &response, &key] {
        fields.push(field(body.len(), offset));
        offset += body.len();
        bodies.extend(body);
    }
    let [domain, user, from, lm, response, key] = fields.try_into().expect("six fields");
    cat(&[
        b"NTLMSSP\0",
        &3_u32.to_le_bytes(),
        &lm,
        &response,
        &domain,
        &user,
        &from,
        &key,
        &NTLM_FLAGS.to_le_bytes(),
        &NTLM_VERSION,
        &random.bytes(16),
        &bodies,
    ])
}

/// The signature of a sealed message (MS-NLMP §2.2.2.9.2).
pub(crate) fn ntlm_signature(random: &mut Prng, sequence: u32) -> Vec<u8> {
    cat(&[
        &1_u32.to_le_bytes(),
        &random.bytes(8),
        &sequence.to_le_bytes(),
    ])
}

fn field(length: usize, offset: usize) -> Vec<u8> {
    let length = u16_of(length).to_le_bytes();
    cat(&[&length, &length, &u32_of(offset).to_le_bytes()])
}

fn target_information(computer: &str) -> Vec<u8> {
    let dns = format!("{}.example.com", computer.to_lowercase());
    let pair = |kind: u16, value: &[u8]| {
        cat(&[
            &kind.to_le_bytes(),
            &u16_of(value.len()).to_le_bytes(),
            value,
        ])
    };
    cat(&[
        &pair(2, &utf16("EXAMPLE")),
        &pair(1, &utf16(computer)),
        &pair(4, &utf16("example.com")),
        &pair(3, &utf16(&dns)),
        &pair(7, &filetime()),
        &pair(0, &[]),
    ])
}

/// 2024-05-02T08:00:00Z in units of 100 ns since 1601.
fn filetime() -> [u8; 8] {
    ((1_714_636_800_u64 + 11_644_473_600) * 10_000_000).to_le_bytes()
}

/// The first SPNEGO token, offering Kerberos and NTLM, with a token for Kerberos.
pub(crate) fn spnego_kerberos(random: &mut Prng, service: &str) -> Vec<u8> {
    let token = gss_kerberos(random, service);
    negotiation(&[MS_KERBEROS, KERBEROS, NTLMSSP], &token)
}

/// The first SPNEGO token, offering NTLM alone.
pub(crate) fn spnego_ntlm(token: &[u8]) -> Vec<u8> {
    negotiation(&[NTLMSSP], token)
}

/// The answer that chose NTLM and carries its challenge.
pub(crate) fn spnego_challenge(token: &[u8]) -> Vec<u8> {
    response(1, Some(NTLMSSP), token)
}

/// The initiator's last token.
pub(crate) fn spnego_last(token: &[u8]) -> Vec<u8> {
    der(0xA1, &der(0x30, &der(0xA2, &der(4, token))))
}

/// The answer that completes Kerberos.
pub(crate) fn spnego_accepted_kerberos(random: &mut Prng) -> Vec<u8> {
    let reply = cat(&[&hex(KERBEROS), &[2, 0], &kerberos::ap_rep(random)]);
    response(0, Some(MS_KERBEROS), &der(0x60, &reply))
}

/// The answer that completes a negotiation without a further token.
pub(crate) fn spnego_completed() -> Vec<u8> {
    der(0xA1, &der(0x30, &der(0xA0, &der(0x0A, &[0]))))
}

fn negotiation(mechanisms: &[&str], token: &[u8]) -> Vec<u8> {
    let list: Vec<u8> = mechanisms.iter().flat_map(|oid| hex(oid)).collect();
    let inner = der_of(
        0x30,
        &[der(0xA0, &der(0x30, &list)), der(0xA2, &der(4, token))],
    );
    der(0x60, &cat(&[&hex(SPNEGO), &der(0xA0, &inner)]))
}

fn response(state: u8, mechanism: Option<&str>, token: &[u8]) -> Vec<u8> {
    let mut parts = vec![der(0xA0, &der(0x0A, &[state]))];
    parts.extend(mechanism.map(|oid| der(0xA1, &hex(oid))));
    parts.push(der(0xA2, &der(4, token)));
    der(0xA1, &der_of(0x30, &parts))
}

/// A Kerberos AP-REQ for a service in a GSS token (RFC 4121 §4.1).
pub(crate) fn gss_kerberos(random: &mut Prng, service: &str) -> Vec<u8> {
    let request = kerberos::ap_req(random, service);
    der(0x60, &cat(&[&hex(KERBEROS), &[1, 0], &request]))
}

/// A sealed message in a wrap token (RFC 4121 §4.2.6.2): flags "sealed" and "acceptor's subkey".
pub(crate) fn gss_sealed(
    random: &mut Prng,
    by_acceptor: bool,
    sequence: u64,
    length: usize,
) -> Vec<u8> {
    let flags = if by_acceptor { 7 } else { 6 };
    cat(&[
        &[5, 4, flags, 0xFF, 0, 0, 0, 28],
        &sequence.to_be_bytes(),
        &random.bytes(length + 44),
    ])
}
