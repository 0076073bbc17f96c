//! Sample "exchange2010-site", part: the domain controller. DNS, Kerberos, LDAP and the locator's ping.

use super::dns::{self, Kind};
use super::hosts::{CAS1, DC1, DC1_V6, HUB1, HUB1_V6, MBX1, MBX2, at};
use super::kerberos;
use super::ldap;
use super::tcp::Tcp;
use super::tokens;
use super::trace::{Flow, Trace};

const SECOND: u64 = 1_000_000;

/// A question and its records.
type Lookup = (&'static str, Kind, Vec<Vec<u8>>);

pub(crate) fn lookups(trace: &mut Trace) {
    let lookups: [(_, Lookup); 4] = [
        (
            at(MBX2, 61_033),
            ("cas1.example.com", Kind::A, vec![dns::address(CAS1)]),
        ),
        (
            at(HUB1, 52_718),
            (
                "example.net",
                Kind::Mx,
                vec![dns::exchanger(10, "mail.example.net")],
            ),
        ),
        (
            at(CAS1, 53_006),
            ("hub1.example.com", Kind::Aaaa, vec![dns::address(HUB1_V6)]),
        ),
        (
            at(CAS1, 53_009),
            (
                "_ldap._tcp.dc._msdcs.example.com",
                Kind::Srv,
                vec![dns::service(389, "dc1.example.com")],
            ),
        ),
    ];
    let server = at(DC1, 53);
    for (number, (client, (name, kind, records))) in (0_u16..).zip(lookups) {
        let id = 0x3a10 + number * 0x111;
        let question = dns::question(id, name, kind);
        let answer = dns::answer(id, name, kind, &records);
        let start = 100_000 + u64::from(number) * 40_000;
        trace.exchange(start, client, server, (&question, &answer));
        trace.flow(
            Flow::udp(client, server, "dns")
                .proves(&["dns"])
                .note("a name asked over UDP"),
        );
    }

    let client = at(HUB1, 50_190);
    let name = "_gc._tcp.example.com";
    let records = [
        dns::service(3268, "dc1.example.com"),
        dns::service(3268, "dc2.example.com"),
    ];
    let mut tcp = Tcp::open(trace, 400_000, client, server);
    tcp.client(&dns::over_tcp(&dns::question(0x77f0, name, Kind::Srv)));
    tcp.server(&dns::over_tcp(&dns::answer(
        0x77f0,
        name,
        Kind::Srv,
        &records,
    )));
    tcp.close();
    trace.flow(
        Flow::tcp(client, server, "dns")
            .proves(&["dns"])
            .note("the global catalog asked over TCP"),
    );
}

pub(crate) fn kerberos(trace: &mut Trace) {
    let server = at(DC1, 88);
    let steps: [(_, _, Vec<u8>, Vec<u8>, _); 4] = {
        let random = &mut trace.random;
        [
            (
                at(CAS1, 53_101),
                900_000,
                kerberos::as_req(random, "CAS1$", false),
                kerberos::preauthentication_required(),
                "Kerberos: the server logs on, first told to pre-authenticate",
            ),
            (
                at(CAS1, 53_102),
                910_000,
                kerberos::as_req(random, "CAS1$", true),
                kerberos::as_rep(random, "CAS1$"),
                "Kerberos: it logs on",
            ),
            (
                at(CAS1, 53_120),
                1_010_000,
                kerberos::tgs_req(random, "ldap/dc1.example.com"),
                kerberos::tgs_rep(random, "CAS1$", "ldap/dc1.example.com"),
                "Kerberos: a ticket for ldap/dc1.example.com",
            ),
            (
                at(MBX1, 53_507),
                1_040_000,
                kerberos::tgs_req(random, "host/mbx2.example.com"),
                kerberos::tgs_rep(random, "MBX1$", "host/mbx2.example.com"),
                "Kerberos: a ticket for host/mbx2.example.com",
            ),
        ]
    };
    for (client, start, question, answer, note) in steps {
        trace.exchange(start, client, server, (&question, &answer));
        trace.flow(protected(
            Flow::udp(client, server, "kerberos")
                .proves(&["kerberos"])
                .note(note),
        ));
    }

    let client = at(HUB1, 50_195);
    let service = "exchangeMDB/mbx1.example.com";
    let question = kerberos::tgs_req(&mut trace.random, service);
    let answer = kerberos::tgs_rep(&mut trace.random, "HUB1$", service);
    let mut tcp = Tcp::open(trace, 1_100_000, client, server);
    tcp.client(&kerberos::over_tcp(&question));
    tcp.server(&kerberos::over_tcp(&answer));
    tcp.close();
    let flow = Flow::tcp(client, server, "kerberos").proves(&["kerberos"]);
    trace.flow(protected(flow.note(
        "Kerberos over TCP: a ticket for exchangeMDB/mbx1.example.com",
    )));
}

/// Kerberos protects its own messages; the flow as such is neither clear nor encrypted.
fn protected(flow: Flow) -> Flow {
    flow.encrypted("unknown")
}

pub(crate) fn access(trace: &mut Trace) {
    let (client, server) = (at(CAS1, 53_200), at(DC1, 389));
    trace.exchange(1_300_000, client, server, (&ldap::ping(1), &ldap::pong(1)));
    trace.flow(
        Flow::udp(client, server, "ldap")
            .proves(&["cldap"])
            .note("the domain controller locator's ping"),
    );

    for (start, client, server, service, note) in [
        (
            1_400_000,
            at(CAS1, 50_301),
            at(DC1, 389),
            "ldap",
            "configuration read, sealed after a Kerberos bind",
        ),
        (
            1_700_000,
            at(CAS1, 50_302),
            at(DC1, 3268),
            "global_catalog",
            "recipients read from the global catalog, sealed after a Kerberos bind",
        ),
        (
            2_100_000,
            at(HUB1_V6, 50_410),
            at(DC1_V6, 389),
            "ldap",
            "Hub Transport reads the configuration over IPv6, sealed",
        ),
    ] {
        sealed_session(trace, start, (client, server));
        trace.flow(
            Flow::tcp(client, server, service)
                .proves(&["ldap"])
                .encrypted("gssapi")
                .note(note),
        );
    }
}

/// A SASL bind with Kerberos, then searches that only the two ends can read.
fn sealed_session(trace: &mut Trace, start: u64, (client, server): super::rpc::Ends) {
    let token = tokens::spnego_kerberos(&mut trace.random, "ldap/dc1.example.com");
    let answer = tokens::spnego_accepted_kerberos(&mut trace.random);
    let messages: Vec<(Vec<u8>, Vec<u8>)> = [(0_u64, 120, 260), (1, 60, 90)]
        .into_iter()
        .map(|(sequence, question, answer)| {
            let first = 0x2f00_1a00 + sequence;
            let question = tokens::gss_sealed(&mut trace.random, false, first, question);
            let answer = tokens::gss_sealed(&mut trace.random, true, first, answer);
            (ldap::sealed(&question), ldap::sealed(&answer))
        })
        .collect();
    let mut tcp = Tcp::open(trace, start, client, server);
    tcp.client(&ldap::sasl_bind(1, &token));
    tcp.server(&ldap::sasl_bound(1, &answer));
    for (question, answer) in messages {
        tcp.client(&question);
        tcp.server(&answer);
        tcp.pause(SECOND / 10);
    }
    tcp.close();
}
