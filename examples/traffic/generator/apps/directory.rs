//! The domain: Kerberos, LDAP, the locator, netlogon's secure channel, time.

use super::super::samples::bytes::cat;
use super::super::samples::dcerpc::{self, EPM, NETLOGON, NETLOGON_PRIVACY};
use super::super::samples::{kerberos, ldap, tokens};
use super::super::session::{Fate, Path, Session, Side};
use super::super::world::{Server, World};

/// A log-on (with the round without pre-authentication before it), or a ticket for a service.
pub(super) fn ticket(world: &mut World, sessions: &mut Vec<Session>) {
    let host = world.workplace();
    let (user, server) = (host.user(), world.domain_controller(88));
    let from = world.from(host);
    // Tickets with their groups do not fit a datagram: Windows begins with TCP (MS-KILE §3.1.5.1).
    let mut session = Session::tcp("kerberos", (from, server), Path::LOCAL, &mut world.random);
    let prng = &mut world.random.prng;
    let services = [
        "cifs/files1.example.com",
        "exchangeMDB/cas1.example.com",
        "HTTP/mail.example.com",
        "ldap/dc1.example.com",
        "host/print1.example.com",
    ];
    if prng.next().is_multiple_of(4) {
        let question = kerberos::as_req(prng, &user, false);
        session.client(kerberos::over_tcp(&question));
        session.server(kerberos::over_tcp(&kerberos::preauthentication_required()));
        sessions.push(session);
        let from = world.from(host);
        let mut session = Session::tcp("kerberos", (from, server), Path::LOCAL, &mut world.random);
        let prng = &mut world.random.prng;
        session.client(kerberos::over_tcp(&kerberos::as_req(prng, &user, true)));
        session.server(kerberos::over_tcp(&kerberos::as_rep(prng, &user)));
        sessions.push(session.starting(3000));
    } else {
        let service = services[(prng.next() % 5) as usize];
        session.client(kerberos::over_tcp(&kerberos::tgs_req(prng, service)));
        session.server(kerberos::over_tcp(&kerberos::tgs_rep(prng, &user, service)));
        sessions.push(session);
    }
}

/// "Which domain controller are you?", over UDP.
pub(super) fn locate(world: &mut World, sessions: &mut Vec<Session>) {
    let host = world.workplace();
    let from = world.from(host);
    let mut session = Session::udp("cldap", (from, world.domain_controller(389)));
    session.client(ldap::ping(1));
    session.server(ldap::pong(1)).after(400);
    sessions.push(session);
}

/// LDAP: a bind with Kerberos, then searches in wrap tokens, or in clear where a program binds anonymously.
pub(super) fn search(world: &mut World, sessions: &mut Vec<Session>) {
    let host = world.workplace();
    let from = world.from(host);
    let port = if world.random.per_mille(300) {
        3268
    } else {
        389
    };
    let server = world.domain_controller(port);
    let mut session = Session::tcp("ldap", (from, server), Path::LOCAL, &mut world.random);
    let prng = &mut world.random.prng;
    session.client(ldap::search(
        1,
        "",
        &["defaultNamingContext", "supportedCapabilities"],
    ));
    session.server(cat(&[
        &ldap::entry(1, "", &[("defaultNamingContext", "DC=example,DC=com")]),
        &ldap::done(1),
    ]));
    let token = tokens::spnego_kerberos(prng, "ldap/dc1.example.com");
    session.client(ldap::sasl_bind(2, &token));
    let token = tokens::spnego_accepted_kerberos(prng);
    session.server(ldap::sasl_bound(2, &token));
    for number in 0..1 + prng.next() % 12 {
        let question = 120 + (prng.next() % 300) as usize;
        let token = tokens::gss_sealed(prng, false, number, question);
        session.client(ldap::sealed(&token));
        let answer = 200 + (prng.next() % 5000) as usize;
        let token = tokens::gss_sealed(prng, true, number, answer);
        session.server(ldap::sealed(&token)).after(500);
    }
    sessions.push(session);
}

/// A member's secure channel: the endpoint mapper, then sealed calls of netlogon.
pub(super) fn secure_channel(world: &mut World, sessions: &mut Vec<Session>) {
    let host = world.workplace();
    let mapper = Server::Directory.at(135);
    let served = Server::Directory.at(49_158);
    let from = world.from(host);
    let mut session = Session::tcp("dcerpc", (from, mapper), Path::LOCAL, &mut world.random);
    session.client(dcerpc::bind(1, &[EPM], None));
    session.server(dcerpc::bind_ack(1, 135, 1, None));
    session.client(dcerpc::request(2, 0, 3, &dcerpc::ept_map(NETLOGON), None));
    let endpoint = std::net::SocketAddr::new(served.address, served.port);
    let answer = dcerpc::ept_mapped(NETLOGON, endpoint);
    session.server(dcerpc::response(2, 0, &answer, None));
    sessions.push(session);

    let from = world.from(host);
    let mut session = Session::tcp("dcerpc", (from, served), Path::LOCAL, &mut world.random);
    let prng = &mut world.random.prng;
    // NL_AUTH_MESSAGE (MS-NRPC §2.2.1.3.1)
    let hello = cat(&[
        &[0, 0, 0, 0, 3, 0, 0, 0],
        b"EXAMPLE\0",
        host.name().as_bytes(),
        &[0],
    ]);
    let welcome = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    session.client(dcerpc::bind(
        2,
        &[NETLOGON],
        Some((NETLOGON_PRIVACY, &hello)),
    ));
    session.server(dcerpc::bind_ack(
        2,
        served.port,
        1,
        Some((NETLOGON_PRIVACY, &welcome)),
    ));
    for call in 0..3 {
        let mut sealed = |length: usize| {
            let stub = dcerpc::sealed(prng, length);
            // NL_AUTH_SIGNATURE (MS-NRPC §2.2.1.3.2)
            let token = cat(&[&[0x77, 0, 0x7a, 0, 0xff, 0xff, 0, 0], &prng.bytes(24)]);
            (stub, token)
        };
        let (stub, token) = sealed(208);
        let security = Some((NETLOGON_PRIVACY, token.as_slice()));
        session.client(dcerpc::request(call + 3, 0, 39, &stub, security));
        let (stub, token) = sealed(160);
        let security = Some((NETLOGON_PRIVACY, token.as_slice()));
        session
            .server(dcerpc::response(call + 3, 0, &stub, security))
            .after(600);
    }
    sessions.push(session.ending(Fate::Closed(Side::Client)).starting(5000));
}

/// A client's question about the time (RFC 5905 §7.3) with the authenticator of a domain (MS-SNTP §2.2.1).
pub(super) fn time(world: &mut World, sessions: &mut Vec<Session>) {
    let host = world.workplace();
    let server = world.domain_controller(123);
    let mut session = Session::udp("ntp", (host.at(123), server));
    let sign = |world: &mut World| world.random.prng.bytes(20);
    let mut question = vec![0xdb, 0, 0x11, 0xe9];
    question.resize(40, 0);
    question.extend(world.random.prng.bytes(8));
    question.extend(sign(world));
    let mut answer = vec![0x1c, 3, 0x11, 0xe9, 0, 0, 0x0b, 0, 0, 0, 0x1c, 0];
    answer.extend([10, 0, 0, 10]);
    for _ in 0..4 {
        answer.extend([0xe9, 0xdd, 0x5f, 0x80]);
        answer.extend(world.random.prng.bytes(4));
    }
    answer.extend(sign(world));
    session.client(question);
    session.server(answer).after(300);
    sessions.push(session);
}
