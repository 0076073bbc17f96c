//! Flows where no document puts them: the port, the service, the roles, the direction, the version, the zone.

use std::net::{IpAddr, SocketAddr};

use super::super::dcerpc::{EMSMDB, NTLM_PRIVACY};
use super::super::hosts::{
    CAS1, CAS2, CAS13, EDGE1, FIREWALL, HUB1, INTERNET_MAIL, INTERNET_SCANNER, MBX1, MBX2, OUTLOOK,
    at,
};
use super::super::smtp::{self, Protection};
use super::super::tcp::Tcp;
use super::super::tls::{self, Identity};
use super::super::trace::Trace;
use super::super::{perimeter, rpc};
use super::{Cases, SECOND, TOPOLOGY, ends, lines};

const HUB: &str = "hub1.example.com";

fn edge() -> Identity {
    Identity::new(1, &["edge1.example.com", "edge1"])
}

/// Mail over STARTTLS from a host of that name, with the certificates of both ends.
fn mail(trace: &mut Trace, name: &str, (client, server): (SocketAddr, SocketAddr)) {
    let (edge, other) = (edge(), Identity::new(2, &[name]));
    let mut tcp = Tcp::open(trace, 0, client, server);
    let protection = Protection::StartTls(&edge, Some(&other));
    smtp::session(&mut tcp, name, "edge1.example.com", protection);
    tls::close(tcp);
}

/// A whole handshake, and something sealed.
fn sealed(trace: &mut Trace, client: IpAddr, server: IpAddr, port: u16) {
    let (client, server) = ends(client, server, port);
    let mut tcp = Tcp::open(trace, 0, client, server);
    tls::handshakes(&mut tcp, None, &edge(), None);
    tls::turn(&mut tcp, 120, 60);
    tls::close(tcp);
}

/// Bytes of no known form, to the port of log shipping, whose form is not published.
fn shipped(trace: &mut Trace, client: IpAddr) {
    let (client, server) = ends(client, MBX1, 64_327);
    let mut tcp = Tcp::open(trace, 0, client, server);
    let bytes = tcp.random(300);
    tcp.client(&bytes);
    let bytes = tcp.random(40);
    tcp.server(&bytes);
    tcp.close();
}

/// Bytes of no known form, to port 4444.
fn unknown(trace: &mut Trace, server: IpAddr) {
    let (client, server) = ends(INTERNET_SCANNER, server, 4444);
    let mut tcp = Tcp::open(trace, 0, client, server);
    let bytes = tcp.random(40);
    tcp.client(&[&[0xC7, 0x9E, 0x8D], bytes.as_slice()].concat());
    let bytes = tcp.random(12);
    tcp.server(&[&[0xC7, 0x9F, 0x8D], bytes.as_slice()].concat());
    tcp.close();
}

fn mapi(trace: &mut Trace) {
    let (client, server) = ends(CAS1, MBX1, 49_888);
    let tcp = Tcp::open(trace, SECOND, client, server);
    rpc::with_ntlm(
        tcp,
        EMSMDB,
        NTLM_PRIVACY,
        ("CAS1", "MBX1"),
        &[(10, 280, 170)],
    );
}

fn proxied(trace: &mut Trace) {
    let (client, server) = ends(CAS1, CAS2, 110);
    let mut tcp = Tcp::open(trace, 0, client, server);
    lines(
        &mut tcp,
        &[
            "< +OK The Microsoft Exchange POP3 service is ready.",
            "> CAPA",
            "< +OK",
            "< STLS",
            "< .",
            "> QUIT",
            "< +OK bye",
        ],
    );
    tcp.close();
}

pub(super) fn add(cases: &mut Cases) {
    services(cases);
    paths(cases);
    hosts(cases);
}

fn services(cases: &mut Cases) {
    cases.raises(
        "EXW101",
        "SMTP on port 2526, which no document lists",
        |t| mail(t, HUB, ends(HUB1, EDGE1, 2526)),
    );
    cases.spares("EXW101", "the same session on port 25", |t| {
        mail(t, HUB, ends(HUB1, EDGE1, 25))
    });
    cases.raises("EXW102", "something unknown on port 4444 of Edge", |t| {
        unknown(t, EDGE1)
    });
    cases.spares(
        "EXW102",
        "the same bytes to a host that the topology does not list",
        |t| unknown(t, FIREWALL),
    );
    cases.raises("EXW103", "SSH answers on Edge's port 25", |t| {
        perimeter::ssh(t, 0, ends(INTERNET_SCANNER, EDGE1, 25))
    });
    cases.spares(
        "EXW103",
        "a web request on port 25 that a mail server answers",
        |t| {
            let (client, server) = ends(INTERNET_SCANNER, EDGE1, 25);
            let mut tcp = Tcp::open(t, 0, client, server);
            tcp.server(b"220 edge1.example.com Microsoft ESMTP MAIL Service ready\r\n");
            tcp.client(b"GET / HTTP/1.1\r\nHost: 192.0.2.25:25\r\n\r\n");
            tcp.server(b"500 5.3.3 Unrecognized command\r\n");
            tcp.close();
        },
    );
}

fn paths(cases: &mut Cases) {
    cases.raises("EXW104", "Client Access opens EdgeSync", |t| {
        sealed(t, CAS1, EDGE1, 50_636)
    });
    cases.spares("EXW104", "Hub Transport opens EdgeSync", |t| {
        sealed(t, HUB1, EDGE1, 50_636)
    });
    cases.raises(
        "EXW104",
        "Client Access opens the port of log shipping",
        |t| shipped(t, CAS1),
    );
    cases.spares(
        "EXW104",
        "a Mailbox server opens the port of log shipping",
        |t| shipped(t, MBX2),
    );
    cases.raises("EXW105", "Edge opens EdgeSync towards Hub", |t| {
        sealed(t, EDGE1, HUB1, 50_636)
    });
    cases.spares("EXW105", "Hub opens EdgeSync towards Edge", |t| {
        sealed(t, HUB1, EDGE1, 50_636)
    });
    cases.raises(
        "EXW106",
        "MAPI on a port that no mapper named, though one was asked",
        |t| {
            let mapper = (at(CAS1, 50_090), at(MBX1, 135));
            rpc::ask_mapper(t, 0, mapper, &[(EMSMDB, "mapi", 49_777)], None);
            mapi(t);
        },
    );
    cases.spares("EXW106", "MAPI on the port that the mapper named", |t| {
        let mapper = (at(CAS1, 50_090), at(MBX1, 135));
        rpc::ask_mapper(t, 0, mapper, &[(EMSMDB, "mapi", 49_888)], None);
        mapi(t);
    });
    cases.raises("EXW107", "POP3 is proxied over 110", proxied);
    cases.spares("EXW107", "POP3 is proxied over 995", |t| {
        sealed(t, CAS1, CAS2, 995)
    });
    cases.raises(
        "EXW110",
        "EdgeSync from a Mailbox server of 2010, whose Hub Transport servers do that",
        |t| sealed(t, MBX1, EDGE1, 50_636),
    );
    cases.spares(
        "EXW110",
        "EdgeSync from a Hub Transport server of 2010",
        |t| sealed(t, HUB1, EDGE1, 50_636),
    );
}

fn hosts(cases: &mut Cases) {
    let around = |t: &mut Trace| mail(t, "mail.example.net", ends(INTERNET_MAIL, CAS13, 25));
    cases.raises(
        "EXW108",
        "mail from the Internet passes Client Access, with Edge subscribed",
        around,
    );
    let alone = TOPOLOGY.replace("edge_subscribed = true", "edge_subscribed = false");
    cases.among(alone, |cases| {
        cases.spares("EXW108", "the same mail, and no Edge is subscribed", around);
    });
    let director = |address: &str| {
        format!(
            "{TOPOLOGY}\n[[host]]\nname = \"director\"\naddresses = [\"{address}\"]\nroles = [\"lync_director\"]\n"
        )
    };
    let any = |t: &mut Trace| sealed(t, OUTLOOK, CAS1, 443);
    cases.among(director("192.0.2.60"), |cases| {
        cases.raises("EXW109", "a Director in the perimeter network", any);
    });
    cases.among(director("10.0.3.60"), |cases| {
        cases.spares("EXW109", "a Director in the private network", any);
    });
}
