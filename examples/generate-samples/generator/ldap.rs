//! LDAP messages with the long lengths that Windows writes (RFC 4511; MS-ADTS §3.1.1.3), and the CLDAP ping
//! (MS-ADTS §6.3.3).

use super::bytes::{cat, der, der_integer, u32_of};

/// An element whose length takes four bytes however short it is.
fn long(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    let content = parts.concat();
    cat(&[&[tag, 0x84], &u32_of(content.len()).to_be_bytes(), &content])
}

fn text(value: &str) -> Vec<u8> {
    der(4, value.as_bytes())
}

fn message(id: u32, operation: Vec<u8>) -> Vec<u8> {
    long(0x30, &[der_integer(id), operation])
}

pub(crate) fn sasl_bind(id: u32, token: &[u8]) -> Vec<u8> {
    let credentials = long(0xA3, &[text("GSS-SPNEGO"), der(4, token)]);
    message(id, long(0x60, &[der_integer(3), text(""), credentials]))
}

pub(crate) fn sasl_bound(id: u32, token: &[u8]) -> Vec<u8> {
    message(
        id,
        long(
            0x61,
            &[der(0x0A, &[0]), text(""), text(""), der(0x87, token)],
        ),
    )
}

pub(crate) fn simple_bind(id: u32, name: &str, password: &str) -> Vec<u8> {
    let password = der(0x80, password.as_bytes());
    message(id, long(0x60, &[der_integer(3), text(name), password]))
}

pub(crate) fn bound(id: u32) -> Vec<u8> {
    message(id, long(0x61, &[der(0x0A, &[0]), text(""), text("")]))
}

/// A refused bind: result code and diagnostic message.
pub(crate) fn not_bound(id: u32, code: u8, diagnostic: &str) -> Vec<u8> {
    message(
        id,
        long(0x61, &[der(0x0A, &[code]), text(""), text(diagnostic)]),
    )
}

/// The end of a search with that result code.
pub(crate) fn failed(id: u32, code: u8) -> Vec<u8> {
    message(id, long(0x65, &[der(0x0A, &[code]), text(""), text("")]))
}

/// A search below `base` for objects of any class, asking for `attributes`.
pub(crate) fn search(id: u32, base: &str, attributes: &[&str]) -> Vec<u8> {
    let names: Vec<_> = attributes.iter().map(|name| text(name)).collect();
    let filter = der(0x87, b"objectClass");
    message(id, search_request(base, 2, filter, &names))
}

pub(crate) fn entry(id: u32, name: &str, attributes: &[(&str, &str)]) -> Vec<u8> {
    let list: Vec<_> = attributes
        .iter()
        .map(|(kind, value)| long(0x30, &[text(kind), long(0x31, &[text(value)])]))
        .collect();
    message(id, long(0x64, &[text(name), long(0x30, &list)]))
}

pub(crate) fn done(id: u32) -> Vec<u8> {
    message(id, long(0x65, &[der(0x0A, &[0]), text(""), text("")]))
}

pub(crate) fn unbind(id: u32) -> Vec<u8> {
    message(id, der(0x42, &[]))
}

/// The question "which domain controller are you" of the locator.
pub(crate) fn ping(id: u32) -> Vec<u8> {
    let equal = |name: &str, value: &[u8]| long(0xA3, &[text(name), der(4, value)]);
    let filter = long(
        0xA0,
        &[
            equal("DnsDomain", b"example.com"),
            equal("Host", b"CAS1"),
            equal("NtVer", &[0x16, 0, 0, 0]),
        ],
    );
    message(id, search_request("", 0, filter, &[text("Netlogon")]))
}

/// Its answer: NETLOGON_SAM_LOGON_RESPONSE_EX (MS-ADTS §6.3.1.9), names without compression.
pub(crate) fn pong(id: u32) -> Vec<u8> {
    let name = |text: &str| -> Vec<u8> {
        let labels = text.split('.').filter(|label| !label.is_empty());
        labels
            .flat_map(|l| cat(&[&[super::bytes::u8_of(l.len())], l.as_bytes()]))
            .chain([0])
            .collect()
    };
    let answer = cat(&[
        &[23, 0, 0, 0],
        // writable domain controller with global catalog, Kerberos, time service, directory
        &0x0000_F1FD_u32.to_le_bytes(),
        &[
            0x3B, 0x5E, 0x11, 0x40, 0x6A, 0x9C, 0x4D, 0x41, 0x9D, 0x27, 0x55, 0x90, 0x21, 0x7E,
            0x08, 0x66,
        ],
        &name("example.com"),
        &name("example.com"),
        &name("dc1.example.com"),
        &name("EXAMPLE"),
        &name("DC1"),
        &name(""),
        &name("Default-First-Site-Name"),
        &name("Default-First-Site-Name"),
        &[5, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF],
    ]);
    let value = long(0x31, &[der(4, &answer)]);
    let entry = long(
        0x64,
        &[
            text(""),
            long(0x30, &[long(0x30, &[text("Netlogon"), value])]),
        ],
    );
    cat(&[&message(id, entry), &done(id)])
}

fn search_request(base: &str, scope: u8, filter: Vec<u8>, attributes: &[Vec<u8>]) -> Vec<u8> {
    long(
        0x63,
        &[
            text(base),
            der(0x0A, &[scope]),
            der(0x0A, &[0]),
            der_integer(0),
            der_integer(120),
            der(1, &[0]),
            filter,
            long(0x30, attributes),
        ],
    )
}

/// A message after a bind with a security layer: its length, then the wrap token (RFC 4513 §5.2).
pub(crate) fn sealed(token: &[u8]) -> Vec<u8> {
    cat(&[&u32_of(token.len()).to_be_bytes(), token])
}
