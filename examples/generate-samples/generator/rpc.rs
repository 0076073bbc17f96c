//! RPC conversations of the samples: the endpoint mapper's answers, then the dynamic ports they lead to.

use std::net::SocketAddr;

use super::bytes::{Prng, cat};
use super::dcerpc::{
    self, ASYNC_EMSMDB, EMSMDB, EPM, Interface, NETLOGON, NETLOGON_PRIVACY, NSPI, NTLM_PRIVACY,
    RFR, SPNEGO_PRIVACY,
};
use super::exchange::OFFICE_VLAN;
use super::hosts::{CAS1, DC1, HUB1, MBX1, OUTLOOK, at};
use super::tcp::Tcp;
use super::tokens;
use super::trace::{Announced, Flow, Trace};

/// Client and server.
pub(crate) type Ends = (SocketAddr, SocketAddr);

const SECOND: u64 = 1_000_000;

/// What to ask the endpoint mapper for, and where it leads.
pub(crate) type Question = (Interface, &'static str, u16);

/// Outlook finds the ports of store, address book and referral on the Client Access server, and uses them.
pub(crate) fn outlook(trace: &mut Trace) {
    let mapper = (at(OUTLOOK, 49_705), at(CAS1, 135));
    let questions = [
        (EMSMDB, "mapi", 59_532),
        (ASYNC_EMSMDB, "mapi_notification", 59_532),
        (RFR, "referral", 59_595),
        (NSPI, "address_book", 59_595),
    ];
    ask_mapper(trace, 4 * SECOND, mapper, &questions, Some(OFFICE_VLAN));
    trace.flow(
        mapped(mapper)
            .tagged()
            .note("endpoint mapper: EMSMDB and AsyncEMSMDB are at 59532, RFR and NSPI at 59595"),
    );

    let ends = (at(OUTLOOK, 49_707), at(CAS1, 59_595));
    let tcp = Tcp::open_in_vlan(trace, 4_300_000, OFFICE_VLAN, ends.0, ends.1);
    with_spnego(tcp, &[RFR], "CAS1", &[(0, 60, 110)], 0);
    trace.flow(
        private(ends, "referral")
            .tagged()
            .note("referral (RFR): which server answers NSPI?"),
    );

    let ends = (at(OUTLOOK, 49_708), at(CAS1, 59_595));
    let tcp = Tcp::open_in_vlan(trace, 4_700_000, OFFICE_VLAN, ends.0, ends.1);
    with_spnego(
        tcp,
        &[NSPI],
        "CAS1",
        &[(0, 60, 40), (12, 180, 290), (3, 120, 380), (1, 30, 24)],
        0,
    );
    trace.flow(
        private(ends, "address_book")
            .tagged()
            .note("address book (NSPI), sealed"),
    );

    let ends = (at(OUTLOOK, 49_709), at(CAS1, 59_532));
    let tcp = Tcp::open_in_vlan(trace, 5_200_000, OFFICE_VLAN, ends.0, ends.1);
    let operations = [
        (10, 290, 180),
        (11, 220, 500),
        (11, 160, 300),
        (11, 180, 120),
        (1, 40, 24),
    ];
    with_spnego(
        tcp,
        &[EMSMDB, ASYNC_EMSMDB],
        "CAS1",
        &operations,
        16 * SECOND,
    );
    trace.flow(
        private(ends, "mapi")
            .tagged()
            .note("MAPI (EMSMDB 0.81), sealed; lives through both rotations"),
    );
}

/// Hub Transport delivers to the mailbox by MAPI, with raw NTLM.
pub(crate) fn hub_to_mailbox(trace: &mut Trace) {
    let mapper = (at(HUB1, 50_260), at(MBX1, 135));
    ask_mapper(trace, 9 * SECOND, mapper, &[(EMSMDB, "mapi", 49_733)], None);
    trace.flow(mapped(mapper).note("endpoint mapper of the Mailbox server: EMSMDB is at 49733"));

    let ends = (at(HUB1, 50_261), at(MBX1, 49_733));
    let tcp = Tcp::open(trace, 9_200_000, ends.0, ends.1);
    with_ntlm(
        tcp,
        EMSMDB,
        NTLM_PRIVACY,
        ("HUB1", "MBX1"),
        &[(10, 280, 170), (11, 400, 110), (1, 40, 24)],
    );
    trace.flow(private(ends, "mapi").note("Hub delivers to the mailbox by MAPI, NTLM, sealed"));
}

/// A Client Access server's secure channel to the domain controller.
pub(crate) fn netlogon(trace: &mut Trace) {
    let mapper = (at(CAS1, 50_320), at(DC1, 135));
    ask_mapper(
        trace,
        2_600_000,
        mapper,
        &[(NETLOGON, "netlogon", 49_158)],
        None,
    );
    trace.flow(
        mapped(mapper).note("endpoint mapper of the domain controller: netlogon is at 49158"),
    );

    let ends = (at(CAS1, 50_321), at(DC1, 49_158));
    // NL_AUTH_MESSAGE (MS-NRPC §2.2.1.3.1): negotiate request and response, NetBIOS domain and computer name
    let hello = cat(&[&[0, 0, 0, 0, 3, 0, 0, 0], b"EXAMPLE\0CAS1\0"]);
    let welcome = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut tcp = Tcp::open(trace, 2_700_000, ends.0, ends.1);
    let port = ends.1.port();
    tcp.client(&dcerpc::bind(
        2,
        &[NETLOGON],
        Some((NETLOGON_PRIVACY, &hello)),
    ));
    tcp.server(&dcerpc::bind_ack(
        2,
        port,
        1,
        Some((NETLOGON_PRIVACY, &welcome)),
    ));
    for (call, question, answer) in [(2, 210, 160), (3, 150, 110)] {
        let stub = tcp.random(question / 16 * 16);
        let token = netlogon_signature(&mut tcp);
        tcp.client(&dcerpc::request(
            call,
            0,
            39,
            &stub,
            Some((NETLOGON_PRIVACY, &token)),
        ));
        let stub = tcp.random(answer / 16 * 16);
        let token = netlogon_signature(&mut tcp);
        tcp.server(&dcerpc::response(
            call,
            0,
            &stub,
            Some((NETLOGON_PRIVACY, &token)),
        ));
    }
    tcp.close();
    trace.flow(private(ends, "netlogon").note("netlogon's secure channel, sealed"));
}

/// NL_AUTH_SIGNATURE with RC4 sealing (MS-NRPC §2.2.1.3.2).
fn netlogon_signature(tcp: &mut Tcp<'_>) -> Vec<u8> {
    cat(&[&[0x77, 0, 0x7A, 0, 0xFF, 0xFF, 0, 0], &tcp.random(24)])
}

/// Asks the endpoint mapper at `ends` for each interface, without authentication, as every client does.
pub(crate) fn ask_mapper(
    trace: &mut Trace,
    start: u64,
    ends: Ends,
    questions: &[Question],
    vlan: Option<u16>,
) {
    for (interface, service, port) in questions {
        trace.announced.push(Announced {
            kind: "rpc",
            endpoint: at(ends.1.ip(), *port),
            what: format!(
                "{} v{}.{}",
                interface.uuid, interface.major, interface.minor
            ),
            name: interface.name,
            service,
        });
    }
    let mut tcp = match vlan {
        Some(vlan) => Tcp::open_in_vlan(trace, start, vlan, ends.0, ends.1),
        None => Tcp::open(trace, start, ends.0, ends.1),
    };
    tcp.client(&dcerpc::bind(1, &[EPM], None));
    tcp.server(&dcerpc::bind_ack(1, 135, 1, None));
    for (call, (interface, _, port)) in (2..).zip(questions) {
        tcp.client(&dcerpc::request(
            call,
            0,
            3,
            &dcerpc::ept_map(*interface),
            None,
        ));
        let stub = dcerpc::ept_mapped(*interface, at(ends.1.ip(), *port));
        tcp.server(&dcerpc::response(call, 0, &stub, None));
    }
    tcp.close();
}

/// Bind with SPNEGO that settles on NTLM, then sealed calls: (operation, arguments, results), `pause` apart.
pub(crate) fn with_spnego(
    mut tcp: Tcp<'_>,
    interfaces: &[Interface],
    server: &str,
    calls: &[(u16, usize, usize)],
    pause: u64,
) {
    let mut random = Prng::new(tcp.now());
    let first = *interfaces.first().expect("an interface");
    let token = tokens::spnego_ntlm(&tokens::ntlm_negotiate());
    tcp.client(&dcerpc::bind(1, interfaces, Some((SPNEGO_PRIVACY, &token))));
    let token = tokens::spnego_challenge(&tokens::ntlm_challenge(&mut random, server));
    let port = tcp.server_port();
    tcp.server(&dcerpc::bind_ack(
        1,
        port,
        interfaces.len(),
        Some((SPNEGO_PRIVACY, &token)),
    ));
    let token = tokens::ntlm_authenticate(&mut random, "ann", "PC50", server);
    let token = tokens::spnego_last(&token);
    tcp.client(&dcerpc::alter_context(1, first, (SPNEGO_PRIVACY, &token)));
    tcp.server(&dcerpc::alter_context_resp(
        1,
        (SPNEGO_PRIVACY, &tokens::spnego_completed()),
    ));
    sealed_calls(tcp, &mut random, SPNEGO_PRIVACY, calls, pause);
}

/// Bind with NTLM itself, whose third leg is an AUTH3 that nobody answers, then sealed calls.
pub(crate) fn with_ntlm(
    mut tcp: Tcp<'_>,
    interface: Interface,
    security: dcerpc::Security,
    (client, server): (&str, &str),
    calls: &[(u16, usize, usize)],
) {
    let mut random = Prng::new(tcp.now());
    let port = tcp.server_port();
    tcp.client(&dcerpc::bind(
        1,
        &[interface],
        Some((security, &tokens::ntlm_negotiate())),
    ));
    let token = tokens::ntlm_challenge(&mut random, server);
    tcp.server(&dcerpc::bind_ack(1, port, 1, Some((security, &token))));
    let token = tokens::ntlm_authenticate(&mut random, &format!("{client}$"), client, server);
    tcp.client(&dcerpc::auth3(1, (security, &token)));
    sealed_calls(tcp, &mut random, security, calls, 0);
}

fn sealed_calls(
    mut tcp: Tcp<'_>,
    random: &mut Prng,
    security: dcerpc::Security,
    calls: &[(u16, usize, usize)],
    pause: u64,
) {
    for (number, (operation, question, answer)) in (0..).zip(calls) {
        let call = number + 2;
        let stub = dcerpc::sealed(random, *question);
        let token = tokens::ntlm_signature(random, number);
        tcp.client(&dcerpc::request(
            call,
            0,
            *operation,
            &stub,
            Some((security, &token)),
        ));
        let stub = dcerpc::sealed(random, *answer);
        let token = tokens::ntlm_signature(random, number);
        tcp.server(&dcerpc::response(call, 0, &stub, Some((security, &token))));
        tcp.pause(pause);
    }
    tcp.close();
}

/// A flow to the endpoint mapper.
pub(crate) fn mapped(ends: Ends) -> Flow {
    Flow::tcp(ends.0, ends.1, "endpoint_mapper").proves(&["dcerpc"])
}

/// A flow of RPC at level privacy.
pub(crate) fn private(ends: Ends, service: &'static str) -> Flow {
    Flow::tcp(ends.0, ends.1, service)
        .proves(&["dcerpc"])
        .encrypted("rpc_privacy")
}
