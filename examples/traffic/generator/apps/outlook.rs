//! Outlook: over RPC to dynamic ports, and over HTTPS.

use std::net::SocketAddr;

use super::super::samples::dcerpc::{
    self, ASYNC_EMSMDB, EMSMDB, EPM, Interface, NSPI, NTLM_PRIVACY, RFR, SPNEGO_PRIVACY, Security,
};
use super::super::samples::tokens;
use super::super::session::{Fate, Path, Session, Side};
use super::super::world::{Server, Workplace, World};
use super::tls;

const MAPI: u16 = 59_532;
const ADDRESS_BOOK: u16 = 59_595;

/// Asks the endpoint mapper, then uses store and address book, sealed.
pub(super) fn over_rpc(world: &mut World, sessions: &mut Vec<Session>) {
    let host = world.workplace();
    let from = world.from(host);
    let ends = (from, Server::ClientAccess.at(135));
    let mut session = Session::tcp("dcerpc", ends, Path::LOCAL, &mut world.random);
    session.client(dcerpc::bind(1, &[EPM], None));
    session.server(dcerpc::bind_ack(1, 135, 1, None));
    let questions = [
        (EMSMDB, MAPI),
        (ASYNC_EMSMDB, MAPI),
        (RFR, ADDRESS_BOOK),
        (NSPI, ADDRESS_BOOK),
    ];
    for (call, (interface, port)) in (2..).zip(questions) {
        session.client(dcerpc::request(
            call,
            0,
            3,
            &dcerpc::ept_map(interface),
            None,
        ));
        let endpoint = SocketAddr::new(ends.1.address, port);
        let answer = dcerpc::ept_mapped(interface, endpoint);
        session
            .server(dcerpc::response(call, 0, &answer, None))
            .after(200);
    }
    sessions.push(session);
    let calls = world.random.heavy_tailed(4, 300);
    sessions.push(bound(world, host, (&[EMSMDB, ASYNC_EMSMDB], MAPI), calls).starting(8000));
    if world.random.per_mille(400) {
        sessions.push(bound(world, host, (&[RFR], ADDRESS_BOOK), 1).starting(6000));
        let calls = world.random.between(2, 9);
        sessions.push(bound(world, host, (&[NSPI], ADDRESS_BOOK), calls).starting(30_000));
    }
}

/// A connection to a dynamic port: SPNEGO with NTLM, or NTLM itself, then sealed calls.
fn bound(
    world: &mut World,
    host: Workplace,
    (interfaces, port): (&[Interface], u16),
    calls: usize,
) -> Session {
    let from = world.from(host);
    let ends = (from, Server::ClientAccess.at(port));
    let mut session = Session::tcp("mapi", ends, Path::LOCAL, &mut world.random);
    let raw = world.random.per_mille(200);
    let prng = &mut world.random.prng;
    let negotiate = tokens::ntlm_negotiate();
    let challenge = tokens::ntlm_challenge(prng, "CAS1");
    let last = tokens::ntlm_authenticate(prng, &host.user(), &host.name(), "CAS1");
    let count = interfaces.len();
    let security: Security = if raw { NTLM_PRIVACY } else { SPNEGO_PRIVACY };
    if raw {
        session.client(dcerpc::bind(1, interfaces, Some((security, &negotiate))));
        session.server(dcerpc::bind_ack(
            1,
            port,
            count,
            Some((security, &challenge)),
        ));
        session.client(dcerpc::auth3(1, (security, &last)));
    } else {
        let (first, second, third) = (
            tokens::spnego_ntlm(&negotiate),
            tokens::spnego_challenge(&challenge),
            tokens::spnego_last(&last),
        );
        session.client(dcerpc::bind(1, interfaces, Some((security, &first))));
        session.server(dcerpc::bind_ack(1, port, count, Some((security, &second))));
        session.client(dcerpc::alter_context(1, interfaces[0], (security, &third)));
        session.server(dcerpc::alter_context_resp(
            1,
            (security, &tokens::spnego_completed()),
        ));
    }
    for number in 0..calls as u32 {
        let (question, answer) = (
            world.random.between(60, 900),
            world.random.between(80, 4700),
        );
        let prng = &mut world.random.prng;
        let stub = dcerpc::sealed(prng, question);
        let token = tokens::ntlm_signature(prng, number);
        let sealed = Some((security, token.as_slice()));
        session.client(dcerpc::request(number + 2, 0, 11, &stub, sealed));
        if number > 2 {
            let pause = world.random.exponential(900_000.0) as u64;
            session.after(pause);
        }
        let prng = &mut world.random.prng;
        let stub = dcerpc::sealed(prng, answer);
        let token = tokens::ntlm_signature(prng, number);
        let sealed = Some((security, token.as_slice()));
        session
            .server(dcerpc::response(number + 2, 0, &stub, sealed))
            .after(1500);
    }
    let fate = match calls {
        0..20 => Fate::Closed(Side::Client),
        20..40 => Fate::Open,
        _ => Fate::Older,
    };
    session.ending(fate)
}

/// MAPI over HTTP, Exchange Web Services or ActiveSync, which look alike: TLS 1.2, questions and answers.
pub(super) fn over_https(world: &mut World, sessions: &mut Vec<Session>) {
    let host = world.workplace();
    let from = world.from(host);
    let ends = (from, Server::ClientAccess.at(443));
    let mut session = Session::tcp("Outlook HTTPS", ends, Path::LOCAL, &mut world.random);
    let name = if world.random.per_mille(150) {
        "autodiscover.example.com"
    } else {
        "mail.example.com"
    };
    tls::handshake_12(world, &mut session, Some(name), "mail.example.com");
    for number in 0..world.random.heavy_tailed(3, 120) {
        let question = world.random.between(300, 2500);
        session.sealed(Side::Client, question);
        if number > 1 {
            session.after(world.random.exponential(700_000.0) as u64);
        }
        let answer = world.random.heavy_tailed(400, 3_000_000);
        session.sealed(Side::Server, answer).after(4000);
    }
    let fate = if world.random.per_mille(500) {
        Fate::Open
    } else {
        Fate::Closed(Side::Server)
    };
    sessions.push(session.ending(fate));
}
