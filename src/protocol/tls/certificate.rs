//! Certificate messages up to TLS 1.2 (RFC 5246 §7.4.2) and what the first certificate of the chain says (RFC 5280).
//!
//! Nothing is verified: the chain, the signature and the validity are for the peer to judge, and for an audit to read.

use std::ops::RangeInclusive;

use x509_parser::asn1_rs::Oid;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry as oid;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Name;

use crate::bytes::{Cursor, Short};
use crate::evidence::{Notes, Value};
use crate::net::Timestamp;

/// Alternative names kept of one certificate: those of large shared hosts go into the hundreds.
const MAX_NAMES: usize = 32;

const DAY_SECONDS: i64 = 86_400;
/// Letters of the random part of a relay's host names.
const TOR_RANDOM: RangeInclusive<usize> = 8..=20;
/// Seconds that a relay's certificate lasts: some whole number of days, or one second less.
const TOR_LASTS: RangeInclusive<i64> = 5 * DAY_SECONDS - 1..=365 * DAY_SECONDS;

/// Names of the attributes, which tell a server's certificate from a client's.
pub(in crate::protocol) struct Names {
    /// Subject, as a distinguished name.
    pub(in crate::protocol) subject: &'static str,
    /// Host names: alternative names, and the common name.
    pub(in crate::protocol) name: &'static str,
    /// Issuer, as a distinguished name.
    pub(in crate::protocol) issuer: &'static str,
    /// Start of validity.
    pub(in crate::protocol) not_before: &'static str,
    /// End of validity.
    pub(in crate::protocol) not_after: &'static str,
    /// 1 where issuer and subject are the same.
    pub(in crate::protocol) self_signed: &'static str,
    /// Key and signature, as `rsa 2048 sha256`.
    pub(in crate::protocol) key: &'static str,
}

/// Number of certificates in a Certificate message, and the first of them.
pub(super) fn chain(message: &[u8]) -> Result<(u64, &[u8]), Short> {
    let mut cursor = Cursor::new(message);
    let length = u24(&mut cursor)?;
    let mut list = cursor.sub(length)?;
    let mut count = 0_u64;
    let mut first = &[][..];
    while !list.is_empty() {
        let length = u24(&mut list)?;
        let certificate = list.take(length)?;
        if count == 0 {
            first = certificate;
        }
        count = count.saturating_add(1);
    }
    Ok((count, first))
}

/// Three bytes in network order, as the lengths of handshake messages are.
pub(in crate::protocol) fn u24(cursor: &mut Cursor<'_>) -> Result<usize, Short> {
    cursor
        .array()
        .map(|&[a, b, c]| usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c))
}

/// Notes what one certificate says. One that does not parse says nothing.
pub(super) fn note(der: &[u8], names: &Names, notes: &mut Notes<'_>) {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        return;
    };
    let subject = certificate.subject();
    let issuer = certificate.issuer();
    notes.text(names.subject, &subject.to_string());
    notes.text(names.issuer, &issuer.to_string());
    if subject.as_raw() == issuer.as_raw() {
        notes.number(names.self_signed, 1);
    }
    let common = subject.iter_common_name();
    for name in common.filter_map(|name| name.as_str().ok()).take(MAX_NAMES) {
        notes.text(names.name, name);
    }
    if let Ok(Some(alternative)) = certificate.subject_alternative_name() {
        for name in alternative.value.general_names.iter().take(MAX_NAMES) {
            if let GeneralName::DNSName(name) = name {
                notes.text(names.name, name);
            }
        }
    }
    let validity = certificate.validity();
    notes.value(names.not_before, time(validity.not_before));
    notes.value(names.not_after, time(validity.not_after));
    let signature = hash(&certificate.signature_algorithm.algorithm);
    notes.text(names.key, &format!("{}{signature}", key(&certificate)));
}

/// Whether a certificate is of the kind that relays of Tor make for themselves: the subject is nothing but the host
/// `www.<random>.net`, the issuer nothing but `www.<another>.com`, both random parts are 8 to 20 letters of base32, nobody is
/// named as alternative, and it lasts for whole days, five to a year of them, or ends one second before (Tor's
/// `tor_tls_context_init_certificates` and `router_initialize_tls_context`; its specification calls the names random).
/// Authorities have organisations, and hosts that sign for themselves are their own issuers.
pub(super) fn is_tor_like(der: &[u8]) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        return false;
    };
    let random = |name: &X509Name<'_>, end: &str| {
        let mut attributes = name.iter_attributes();
        let only = attributes.next().filter(|_| attributes.next().is_none())?;
        let host = (*only.attr_type() == oid::OID_X509_COMMON_NAME).then(|| only.as_str())?;
        let part = host.ok()?.strip_prefix("www.")?.strip_suffix(end)?;
        let is_base32 = part
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'));
        (TOR_RANDOM.contains(&part.len()) && is_base32).then(|| part.to_owned())
    };
    let validity = certificate.validity();
    let lasts = validity
        .not_after
        .timestamp()
        .saturating_sub(validity.not_before.timestamp());
    let is_of_days = [0, DAY_SECONDS - 1].contains(&(lasts % DAY_SECONDS));
    match (
        random(certificate.subject(), ".net"),
        random(certificate.issuer(), ".com"),
    ) {
        (Some(subject), Some(issuer)) => {
            subject != issuer
                && is_of_days
                && TOR_LASTS.contains(&lasts)
                && matches!(certificate.subject_alternative_name(), Ok(None))
        }
        _ => false,
    }
}

fn time(time: ASN1Time) -> Value {
    Value::Time(Timestamp::from_parts(time.timestamp(), 0))
}

/// Kind and size of the public key.
fn key(certificate: &X509Certificate<'_>) -> String {
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => format!("rsa {}", key.key_size()),
        Ok(PublicKey::EC(key)) => format!("ec {}", key.key_size()),
        Ok(PublicKey::DSA(_)) => "dsa".into(),
        _ if certificate.public_key().algorithm.algorithm == oid::OID_SIG_ED25519 => {
            "ed25519".into()
        }
        _ => "unknown".into(),
    }
}

/// The hash of a signature algorithm, with a space before it; nothing where it is unknown or part of the algorithm.
fn hash(algorithm: &Oid<'_>) -> &'static str {
    let known = [
        (oid::OID_PKCS1_MD2WITHRSAENC, " md2"),
        (oid::OID_PKCS1_MD5WITHRSAENC, " md5"),
        (oid::OID_PKCS1_SHA1WITHRSA, " sha1"),
        (oid::OID_SHA1_WITH_RSA, " sha1"),
        (oid::OID_PKCS1_SHA256WITHRSA, " sha256"),
        (oid::OID_SIG_ECDSA_WITH_SHA256, " sha256"),
        (oid::OID_PKCS1_SHA384WITHRSA, " sha384"),
        (oid::OID_SIG_ECDSA_WITH_SHA384, " sha384"),
        (oid::OID_PKCS1_SHA512WITHRSA, " sha512"),
        (oid::OID_SIG_ECDSA_WITH_SHA512, " sha512"),
        (oid::OID_PKCS1_RSASSAPSS, " pss"),
    ];
    let found = known.iter().find(|(oid, _)| oid == algorithm);
    found.map_or("", |(_, name)| name)
}
