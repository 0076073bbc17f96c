//! Sample "exchange2010-site": a healthy Exchange 2010 site with an Edge Transport server. Every flow is documented
//! and protected as documented, so an audit has nothing to say.

use std::net::SocketAddr;

use super::bytes::cat;
use super::directory;
use super::hosts::BROWSER_V6;
use super::hosts::{
    CAS1, CAS1_V6, EDGE1, HUB1, HUB2, INTERNET_CLIENT, INTERNET_MAIL, MBX1, MBX2, OUTLOOK,
    SUBMITTER, at,
};
use super::packet::octets;
use super::rpc;
use super::smtp::{self, Protection};
use super::tcp::Tcp;
use super::tls::{self, Identity};
use super::tokens;
use super::trace::{Finished, Flow, START, Trace};

/// The office network is behind a trunk: its frames carry this tag.
pub(crate) const OFFICE_VLAN: u16 = 101;

/// Start of everything that lives through the whole sample, which is 75 seconds long.
const SECOND: u64 = 1_000_000;

pub(crate) fn site() -> Finished {
    let mut trace = Trace::new(START, 2010);
    directory::lookups(&mut trace);
    directory::kerberos(&mut trace);
    directory::access(&mut trace);
    rpc::outlook(&mut trace);
    rpc::hub_to_mailbox(&mut trace);
    rpc::netlogon(&mut trace);
    mail(&mut trace);
    edge_sync(&mut trace);
    web(&mut trace);
    pop_and_imap(&mut trace);
    log_shipping(&mut trace);
    heartbeat(&mut trace);
    trace.finish()
}

fn mail(trace: &mut Trace) {
    let edge = Identity::new(1, &["edge1.example.com", "edge1"]);
    let hub = Identity::new(2, &["hub1.example.com", "hub1"]);
    let other_hub = Identity::new(3, &["hub2.example.com", "hub2"]);
    let (edge_name, hub_name) = ("edge1.example.com", "hub1.example.com");

    let ends = (at(INTERNET_MAIL, 40_112), at(EDGE1, 25));
    let mut tcp = Tcp::open(trace, 6 * SECOND, ends.0, ends.1);
    smtp::session(
        &mut tcp,
        "mail.example.net",
        edge_name,
        Protection::StartTls(&edge, None),
    );
    tls::close(tcp);
    trace.flow(protected(
        ends,
        "mail from the Internet to Edge, STARTTLS with Edge's certificate",
    ));

    let ends = (at(EDGE1, 51_733), at(HUB1, 25));
    let mut tcp = Tcp::open(trace, 8 * SECOND, ends.0, ends.1);
    smtp::session(
        &mut tcp,
        edge_name,
        hub_name,
        Protection::StartTls(&hub, Some(&edge)),
    );
    tls::close(tcp);
    trace.flow(
        protected(
            ends,
            "Edge to Hub, mutual TLS: both certificates are visible",
        )
        .mutual(),
    );

    let ends = (at(HUB1, 50_218), at(EDGE1, 25));
    let mut tcp = Tcp::open(trace, 11 * SECOND, ends.0, ends.1);
    smtp::session(
        &mut tcp,
        hub_name,
        edge_name,
        Protection::StartTls(&edge, Some(&hub)),
    );
    tls::close(tcp);
    trace.flow(protected(ends, "Hub to Edge, mutual TLS").mutual());

    let ends = (at(HUB1, 50_231), at(HUB2, 25));
    let mut tcp = Tcp::open(trace, 13 * SECOND, ends.0, ends.1);
    smtp::session(
        &mut tcp,
        hub_name,
        "hub2.example.com",
        Protection::AnonymousTls(&other_hub),
    );
    tls::close(tcp);
    trace.flow(protected(
        ends,
        "Hub to Hub, X-ANONYMOUSTLS with a self-signed certificate",
    ));

    let ends = (at(SUBMITTER, 49_377), at(HUB1, 587));
    let mut tcp = Tcp::open_in_vlan(trace, 16 * SECOND, OFFICE_VLAN, ends.0, ends.1);
    smtp::session(
        &mut tcp,
        "client60",
        hub_name,
        Protection::StartTls(&hub, None),
    );
    tls::close(tcp);
    trace.flow(
        Flow {
            service: Some("smtp_submission"),
            ..protected(
                ends,
                "a mail client submits on 587 after STARTTLS, over VLAN 101",
            )
        }
        .tagged(),
    );
}

fn protected(ends: rpc::Ends, note: &'static str) -> Flow {
    Flow::tcp(ends.0, ends.1, "smtp")
        .proves(&["smtp", "tls"])
        .encrypted("starttls")
        .note(note)
}

fn edge_sync(trace: &mut Trace) {
    let edge = Identity::new(1, &["edge1.example.com", "edge1"]);
    let ends = (at(HUB1, 50_240), at(EDGE1, 50_636));
    let mut tcp = Tcp::open(trace, 18 * SECOND, ends.0, ends.1);
    tls::handshakes(&mut tcp, None, &edge, None);
    for (question, answer) in [(96, 22), (110, 240), (360, 60)] {
        tls::turn(&mut tcp, question, answer);
    }
    tls::close(tcp);
    trace.flow(Flow::tcp(ends.0, ends.1, "edgesync").sealed().note(
        "EdgeSync from Hub to Edge: TLS with Edge's certificate; the LDAP inside stays hidden",
    ));
}

/// What Client Access shows.
fn cas1() -> Identity {
    Identity::new(
        4,
        &[
            "mail.example.com",
            "autodiscover.example.com",
            "cas1.example.com",
        ],
    )
}

fn web(trace: &mut Trace) {
    let cas = cas1();

    let ends = (at(INTERNET_CLIENT, 61_204), at(CAS1, 443));
    let mut tcp = Tcp::open(trace, 20 * SECOND, ends.0, ends.1);
    tls::handshakes(&mut tcp, Some("mail.example.com"), &cas, None);
    for (question, answer) in [(310, 700), (240, 320), (180, 160)] {
        tls::turn(&mut tcp, question, answer);
        tcp.pause(7 * SECOND);
    }
    tls::close(tcp);
    trace.flow(Flow::tcp(ends.0, ends.1, "web").sealed().note(
        "a browser at Outlook Web App: TLS for mail.example.com; crosses the rotation at 08:00:30",
    ));

    let ends = (at(BROWSER_V6, 61_377), at(CAS1_V6, 443));
    let mut tcp = Tcp::open(trace, 22 * SECOND, ends.0, ends.1);
    tls::handshakes(&mut tcp, Some("mail.example.com"), &cas, None);
    tls::turn(&mut tcp, 210, 260);
    tls::close(tcp);
    trace.flow(
        Flow::tcp(ends.0, ends.1, "web")
            .sealed()
            .note("the same over IPv6"),
    );

    let ends = (at(OUTLOOK, 49_702), at(CAS1, 80));
    let mut tcp = Tcp::open_in_vlan(trace, 3 * SECOND, OFFICE_VLAN, ends.0, ends.1);
    tcp.client(
        b"GET /autodiscover/autodiscover.xml HTTP/1.1\r\nHost: autodiscover.example.com\r\n\
          User-Agent: Microsoft Office/14.0 (Windows NT 6.1; Microsoft Outlook 14.0.7000; Pro)\r\n\
          Connection: close\r\n\r\n",
    );
    tcp.server(
        b"HTTP/1.1 302 Found\r\nLocation: https://mail.example.com/autodiscover/autodiscover.xml\r\n\
          Server: Microsoft-IIS/7.5\r\nX-Powered-By: ASP.NET\r\nDate: Thu, 02 May 2024 08:00:03 GMT\r\n\
          Content-Length: 0\r\nConnection: close\r\n\r\n",
    );
    tcp.close();
    trace.flow(
        Flow::tcp(ends.0, ends.1, "autodiscover")
            .proves(&["http"])
            .tagged()
            .note("Autodiscover on 80, answered by a redirect to HTTPS"),
    );
}

fn pop_and_imap(trace: &mut Trace) {
    let cas = cas1();
    for (start, client, port, service, note) in [
        (
            24,
            49_410,
            995,
            "pop3",
            "POP3 in TLS from the start; what is inside stays hidden",
        ),
        (
            26,
            49_433,
            993,
            "imap",
            "IMAP4 in TLS from the start; what is inside stays hidden",
        ),
    ] {
        let ends = (at(SUBMITTER, client), at(CAS1, port));
        let mut tcp = Tcp::open_in_vlan(trace, start * SECOND, OFFICE_VLAN, ends.0, ends.1);
        tls::handshakes(&mut tcp, Some("mail.example.com"), &cas, None);
        let banner = tls::application(&mut tcp, 54);
        tcp.server(&banner);
        tls::turn(&mut tcp, 20, 24);
        tls::turn(&mut tcp, 24, 40);
        tls::close(tcp);
        trace.flow(
            Flow::tcp(ends.0, ends.1, service)
                .sealed()
                .tagged()
                .note(note),
        );
    }
}

/// Log shipping: the byte format is not published, so only a SPNEGO token at the start is anything but noise.
fn log_shipping(trace: &mut Trace) {
    let ends = (at(MBX1, 52_019), at(MBX2, 64_327));
    let token = tokens::spnego_kerberos(&mut trace.random, "host/mbx2.example.com");
    let answer = tokens::spnego_accepted_kerberos(&mut trace.random);
    let mut tcp = Tcp::open(trace, 2 * SECOND, ends.0, ends.1);
    tcp.client(&token);
    tcp.server(&answer);
    for _ in 0..6 {
        let block = tcp.random(180);
        tcp.client(&block);
        let receipt = tcp.random(24);
        tcp.server(&receipt);
        tcp.pause(12 * SECOND);
    }
    tcp.leave();
    trace.flow(
        Flow::tcp(ends.0, ends.1, "log_shipping")
            .encrypted("unknown")
            .state("established")
            .verdict("unproven")
            .note("log shipping on its default port: a SPNEGO token, then bytes of a format nobody published"),
    );
}

/// Heartbeats of the two cluster nodes, every eight seconds here: each asks, and the other answers.
///
/// Route control protocol: a header of 16 bytes, identifier, version, type (0 request, 1 response), next header, length, sequence number,
/// little-endian. Microsoft has not published it; the layout is what public dissectors of it agree on.
fn heartbeat(trace: &mut Trace) {
    let (one, other) = (at(MBX1, 3343), at(MBX2, 3343));
    let message = |kind: u8, sequence: u32, from: SocketAddr, to: SocketAddr| {
        let header = cat(&[
            &[0x55; 4],
            &[1, 0, kind, 0, 1, 0, 56, 0],
            &sequence.to_le_bytes(),
        ]);
        // extension: the pair of IPv4 addresses, each with room for IPv6
        let pair = cat(&[&octets(from.ip()), &[0; 12], &octets(to.ip()), &[0; 12]]);
        cat(&[&header, &[0, 0, 40, 0, 0, 0, 0, 0], &pair])
    };
    for beat in 0..10_u32 {
        let start = 500_000 + u64::from(beat) * 8 * SECOND;
        for (late, from, to, first) in [(0, one, other, 0x41D0), (1_181_000, other, one, 0x9C07)] {
            trace.udp(start + late, from, to, &message(0, first + beat, from, to));
            trace.udp(
                start + late + 320,
                to,
                from,
                &message(1, first + beat, to, from),
            );
        }
    }
    trace.flow(
        Flow::udp(one, other, "cluster_heartbeat")
            .encrypted("unknown")
            .verdict("unproven")
            .note("cluster heartbeat, both ways on 3343: small datagrams of a format that Microsoft has not published"),
    );
}
