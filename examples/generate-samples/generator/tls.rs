//! TLS 1.2 handshakes with certificates in clear and real Ed25519 signatures (RFC 5246, RFC 8422), then records of
//! encrypted data. Keys and certificates are fixed: Ed25519 signs the same bytes the same way each time.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, SerialNumber, SigningKey, date_time_ymd,
};

use super::bytes::{Prng, cat, hex, u8_of, u16_of, u32_of};
use super::tcp::Tcp;

/// TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256.
const SUITE: [u8; 2] = [0xC0, 0x2B];
const ED25519: [u8; 2] = [8, 7];
const HANDSHAKE: u8 = 22;

/// A host's self-signed certificate and its key.
pub(crate) struct Identity {
    pub(crate) certificate: Vec<u8>,
    key: KeyPair,
}

impl Identity {
    /// The certificate that `names` share; the first is the subject. `number` makes key and serial.
    pub(crate) fn new(number: u8, names: &[&str]) -> Self {
        // PKCS #8 version 1 with an Ed25519 seed (RFC 8410 §7)
        let seed = Prng::new(0x6b65_7900 + u64::from(number)).bytes(32);
        let pkcs8 = cat(&[&hex("302e020100300506032b657004220420"), &seed]);
        let key = KeyPair::try_from(pkcs8.as_slice()).expect("a valid key");
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CommonName, names.first().expect("a name").as_str());
        let mut params = CertificateParams::new(names).expect("valid names");
        params.distinguished_name = subject;
        params.not_before = date_time_ymd(2023, 11, 1);
        params.not_after = date_time_ymd(2028, 11, 1);
        params.serial_number = Some(SerialNumber::from_slice(&[0x4A, 0x11, 0, number]));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.self_signed(&key).expect("signs").der().to_vec();
        Self { certificate, key }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature = self.key.sign(message).expect("signs");
        cat(&[&ED25519, &u16_of(signature.len()).to_be_bytes(), &signature])
    }

    pub(super) fn message(&self) -> Vec<u8> {
        let one = cat(&[&length24(self.certificate.len()), &self.certificate]);
        handshake(11, &cat(&[&length24(one.len()), &one]))
    }
}

/// A complete handshake over `tcp`: the server shows its certificate, and the client its own where it has one.
pub(crate) fn handshakes(
    tcp: &mut Tcp<'_>,
    server_name: Option<&str>,
    server: &Identity,
    client: Option<&Identity>,
) {
    let client_random = tcp.random(32);
    let hello = client_hello(&client_random, server_name);
    tcp.client(&record(HANDSHAKE, &hello));

    let server_random = tcp.random(32);
    let session = tcp.random(32);
    let key = tcp.random(32);
    // named curve x25519, an uncompressed 32-byte key
    let parameters = cat(&[&[3, 0, 29, 32], &key]);
    let signed = server.sign(&cat(&[&client_random, &server_random, &parameters]));
    let mut flight = vec![
        server_hello(&server_random, &session),
        server.message(),
        handshake(12, &cat(&[&parameters, &signed])),
    ];
    if client.is_some() {
        // certificate types: ECDSA sign; signature algorithms: Ed25519; no names of authorities
        flight.push(handshake(13, &[1, 64, 0, 2, 8, 7, 0, 0]));
    }
    flight.push(handshake(14, &[]));
    let flight = flight.concat();
    tcp.server(&record(HANDSHAKE, &flight));

    let client_key = tcp.random(32);
    let exchange = handshake(16, &cat(&[&[32], &client_key]));
    let mut transcript = cat(&[&hello, &flight]);
    let mut reply = Vec::new();
    if let Some(client) = client {
        let messages = cat(&[&client.message(), &exchange]);
        transcript.extend(&messages);
        reply.extend(record(HANDSHAKE, &messages));
        reply.extend(record(HANDSHAKE, &handshake(15, &client.sign(&transcript))));
    } else {
        reply.extend(record(HANDSHAKE, &exchange));
    }
    let finished = tcp.random(40);
    reply.extend(record(20, &[1]));
    reply.extend(record(HANDSHAKE, &finished));
    tcp.client(&reply);

    let finished = tcp.random(40);
    tcp.server(&cat(&[&record(20, &[1]), &record(HANDSHAKE, &finished)]));
}

/// A record of encrypted application data: explicit nonce, `length` bytes, tag (RFC 5288).
pub(crate) fn application(tcp: &mut Tcp<'_>, length: usize) -> Vec<u8> {
    let sealed = tcp.random(8 + length + 16);
    record(23, &sealed)
}

/// An encrypted question and its encrypted answer.
pub(crate) fn turn(tcp: &mut Tcp<'_>, question: usize, answer: usize) {
    let sealed = application(tcp, question);
    tcp.client(&sealed);
    let sealed = application(tcp, answer);
    tcp.server(&sealed);
}

/// The encrypted close_notify alert, then the close.
pub(crate) fn close(mut tcp: Tcp<'_>) {
    let alert = tcp.random(26);
    tcp.client(&record(21, &alert));
    tcp.close();
}

pub(super) fn client_hello(random: &[u8], server_name: Option<&str>) -> Vec<u8> {
    let mut extensions = Vec::new();
    if let Some(name) = server_name {
        let length = u16_of(name.len());
        let list = cat(&[
            &(length + 3).to_be_bytes(),
            &[0],
            &length.to_be_bytes(),
            name.as_bytes(),
        ]);
        extensions.extend(extension(0, &list));
    }
    extensions.extend(extension(10, &[0, 4, 0, 29, 0, 23]));
    extensions.extend(extension(11, &[1, 0]));
    extensions.extend(extension(13, &[0, 4, 8, 7, 4, 3]));
    extensions.extend(extension(23, &[]));
    let suites = [0xC0, 0x2C, 0xC0, 0x2B, 0xC0, 0x30, 0xC0, 0x2F];
    handshake(
        1,
        &cat(&[
            &[3, 3],
            random,
            &[0, 0, u8_of(suites.len())],
            &suites,
            &[1, 0],
            &u16_of(extensions.len()).to_be_bytes(),
            &extensions,
        ]),
    )
}

pub(super) fn server_hello(random: &[u8], session: &[u8]) -> Vec<u8> {
    let extensions = cat(&[&extension(11, &[1, 0]), &extension(23, &[])]);
    let length = u16_of(extensions.len()).to_be_bytes();
    handshake(
        2,
        &cat(&[
            &[3, 3],
            random,
            &[32],
            session,
            &SUITE,
            &[0],
            &length,
            &extensions,
        ]),
    )
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    cat(&[&kind.to_be_bytes(), &u16_of(body.len()).to_be_bytes(), body])
}

pub(super) fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    cat(&[&[kind], &length24(body.len()), body])
}

pub(super) fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    cat(&[&[kind, 3, 3], &u16_of(body.len()).to_be_bytes(), body])
}

fn length24(length: usize) -> Vec<u8> {
    u32_of(length).to_be_bytes().into_iter().skip(1).collect()
}
