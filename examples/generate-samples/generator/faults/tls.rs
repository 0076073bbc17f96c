//! Handshakes that fail, and certificates that do not hold.

use super::super::bytes::cat;
use super::super::hosts::{CAS1, EDGE1, HUB1, OUTLOOK};
use super::super::tcp::{Side, Tcp};
use super::super::tls::{self, Identity, client_hello, handshake, record, server_hello};
use super::super::trace::{START, Trace};
use super::{Cases, SECOND, ends};

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;

/// 2029-06-01, after the end of the certificates of the samples; 2023-01-01, before their begin.
const AFTER: u64 = 1_874_966_400;
const BEFORE: u64 = 1_672_531_200;

/// A hello, what the server says to it, and who ends the connection.
fn hello(trace: &mut Trace, name: &str, answer: &[u8], reset: Option<Side>) {
    let (client, server) = ends(OUTLOOK, CAS1, 443);
    let mut tcp = Tcp::open(trace, 0, client, server);
    let random = tcp.random(32);
    tcp.client(&record(HANDSHAKE, &client_hello(&random, Some(name))));
    if !answer.is_empty() {
        tcp.server(answer);
    }
    match reset {
        Some(side) => tcp.reset(side),
        None => tcp.close(),
    }
}

/// The first flight of a server: hello, certificate, done.
fn flight(identity: &Identity) -> Vec<u8> {
    let messages = [
        server_hello(&[7; 32], &[8; 32]),
        identity.message(),
        handshake(14, &[]),
    ]
    .concat();
    record(HANDSHAKE, &messages)
}

fn cas() -> Identity {
    Identity::new(3, &["mail.example.com", "autodiscover.example.com"])
}

fn whole(trace: &mut Trace, name: &str) {
    let (client, server) = ends(OUTLOOK, CAS1, 443);
    let mut tcp = Tcp::open(trace, 0, client, server);
    tls::handshakes(&mut tcp, Some(name), &cas(), None);
    tls::turn(&mut tcp, 300, 500);
    tls::close(tcp);
}

/// A server that answers the hello with one alert.
fn alert(trace: &mut Trace, level: u8, description: u8) {
    hello(
        trace,
        "mail.example.com",
        &record(ALERT, &[level, description]),
        None,
    );
}

/// A client that refuses the certificate with an alert.
fn refused(trace: &mut Trace, description: u8) {
    let (client, server) = ends(OUTLOOK, CAS1, 443);
    let mut tcp = Tcp::open(trace, 0, client, server);
    let random = tcp.random(32);
    tcp.client(&record(
        HANDSHAKE,
        &client_hello(&random, Some("mail.example.com")),
    ));
    tcp.server(&flight(&cas()));
    tcp.client(&record(ALERT, &[2, description]));
    tcp.close();
}

/// A hello of both sides, the server's with that version.
fn version(trace: &mut Trace, minor: u8) {
    let mut answer = server_hello(&[7; 32], &[8; 32]);
    // The version follows type and length.
    if let Some(byte) = answer.get_mut(5) {
        *byte = minor;
    }
    let answer = record(HANDSHAKE, &cat(&[&answer, &handshake(14, &[])]));
    hello(trace, "mail.example.com", &answer, None);
}

pub(super) fn add(cases: &mut Cases) {
    cases.raises("EXW207", "a server chooses TLS 1.0", |t| version(t, 1));
    cases.spares("EXW207", "a server chooses TLS 1.2", |t| version(t, 3));
    cases.raises("EXW501", "no cipher suite in common", |t| alert(t, 2, 40));
    cases.spares(
        "EXW501",
        "a warning about the name, and the handshake goes on",
        |t| alert(t, 1, 112),
    );
    cases.raises("EXW502", "the client does not know the issuer", |t| {
        refused(t, 48)
    });
    cases.spares("EXW502", "a client that is through", |t| refused(t, 0));
    cases.raises("EXW503", "the server fails in itself", |t| alert(t, 2, 80));
    cases.spares("EXW503", "the server closes in order", |t| alert(t, 1, 0));
    let at = |cases: &mut Cases, code, raises, shows, start| {
        cases.add(code, raises, shows, start, |t| whole(t, "mail.example.com"));
    };
    at(cases, "EXW504", true, "a certificate after its end", AFTER);
    at(cases, "EXW504", false, "a certificate in its time", START);
    at(
        cases,
        "EXW505",
        true,
        "a certificate before its begin",
        BEFORE,
    );
    at(cases, "EXW505", false, "a certificate in its time", START);
    cases.raises("EXW506", "a name that the certificate does not have", |t| {
        whole(t, "legacy.example.com")
    });
    cases.spares("EXW506", "the second name of the certificate", |t| {
        whole(t, "AutoDiscover.example.com")
    });
    cases.raises(
        "EXW507",
        "a client that leaves at a self-signed certificate",
        |t| refused(t, 48),
    );
    cases.spares("EXW507", "a client that takes it", |t| {
        whole(t, "mail.example.com")
    });
    cases.raises("EXW508", "a reset after the hello", |t| {
        hello(t, "mail.example.com", b"", Some(Side::Server))
    });
    cases.spares("EXW508", "a hello that is answered", |t| {
        whole(t, "mail.example.com")
    });
    cases.raises(
        "EXW509",
        "a client that leaves after the certificate without a word",
        |t| {
            hello(t, "mail.example.com", &flight(&cas()), Some(Side::Client));
        },
    );
    cases.spares("EXW509", "EdgeSync's handshake comes to its end", |t| {
        let (client, server) = ends(HUB1, EDGE1, 50_636);
        let mut tcp = Tcp::open(t, SECOND, client, server);
        tls::handshakes(&mut tcp, None, &cas(), None);
        tls::turn(&mut tcp, 300, 500);
        tcp.reset(Side::Client);
    });
}
