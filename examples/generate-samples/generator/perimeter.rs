//! Sample "perimeter-unhealthy": what goes wrong around an Edge Transport server. Each flow shows one thing.

use super::bytes::{cat, hex};
use super::dcerpc::{EMSMDB, NTLM_PRIVACY};
use super::dns::{self, Kind};
use super::hosts::{
    CAS1, CAS13, EDGE1, FIREWALL, HUB1, INTERNET_DNS, INTERNET_MAIL, INTERNET_MAIL2,
    INTERNET_REFUSER, INTERNET_SCANNER, MBX1, MBX2, SUBMITTER, at,
};
use super::ldap;
use super::packet::Packet;
use super::rpc;
use super::smtp::{self, Protection};
use super::tcp::Tcp;
use super::tls::{self, Identity};
use super::trace::{Finished, Flow, START, Trace};

const SECOND: u64 = 1_000_000;
/// 11:00:00, three hours after the other samples of that day.
const LATER: u64 = START + 3 * 3600;

pub(crate) fn perimeter() -> Finished {
    let mut trace = Trace::new(LATER, 2525);
    clear_mail(&mut trace);
    edge_sync(&mut trace);
    wrong_services(&mut trace);
    undocumented(&mut trace);
    blocked(&mut trace);
    rpc_troubles(&mut trace);
    clear_password(&mut trace);
    client_access_in_the_path(&mut trace);
    trace.finish()
}

fn clear_mail(trace: &mut Trace) {
    for (start, client, server, names, note) in [
        (
            0,
            at(HUB1, 50_501),
            at(EDGE1, 25),
            ("hub1.example.com", "edge1.example.com"),
            "Hub to Edge without TLS",
        ),
        (
            2,
            at(EDGE1, 51_802),
            at(HUB1, 25),
            ("edge1.example.com", "hub1.example.com"),
            "Edge to Hub without TLS: the message can be read",
        ),
    ] {
        let mut tcp = Tcp::open(trace, start * SECOND, client, server);
        smtp::session(&mut tcp, names.0, names.1, Protection::Clear);
        tcp.close_from(super::tcp::Side::Server);
        trace.flow(
            Flow::tcp(client, server, "smtp")
                .proves(&["smtp"])
                .finds(&["EXW201", "EXW604"])
                .note(note),
        );
    }
}

fn edge_sync(trace: &mut Trace) {
    let hub = Identity::new(2, &["hub1.example.com", "hub1"]);
    let ends = (at(EDGE1, 51_810), at(HUB1, 50_636));
    let mut tcp = Tcp::open(trace, 4 * SECOND, ends.0, ends.1);
    tls::handshakes(&mut tcp, None, &hub, None);
    tls::turn(&mut tcp, 120, 60);
    tls::close(tcp);
    trace.flow(
        Flow::tcp(ends.0, ends.1, "edgesync")
            .sealed()
            .finds(&["EXW105"])
            .note("EdgeSync's port opened by Edge towards Hub: the wrong way round"),
    );

    let ends = (at(HUB1, 50_510), at(EDGE1, 50_389));
    let mut tcp = Tcp::open(trace, 5 * SECOND, ends.0, ends.1);
    let (account, base) = (
        "CN=ESRA.edge1,CN=Users,OU=MSExchangeGateway",
        "OU=MSExchangeGateway",
    );
    let name = "CN=ann,OU=Recipients,OU=MSExchangeGateway";
    tcp.client(&ldap::simple_bind(1, account, "Sample-Passw0rd"));
    tcp.server(&ldap::bound(1));
    tcp.client(&ldap::search(
        2,
        base,
        &["proxyAddresses", "msExchSafeSendersHash"],
    ));
    tcp.server(&cat(&[
        &ldap::entry(2, name, &[("proxyAddresses", "SMTP:ann@example.com")]),
        &ldap::done(2),
    ]));
    tcp.client(&ldap::unbind(3));
    tcp.close();
    trace.flow(
        Flow::tcp(ends.0, ends.1, "ad_lds")
            .proves(&["ldap"])
            .verdict("undocumented")
            .finds(&["EXW202", "EXW205"])
            .note("Hub reads Edge's AD LDS on 50389 in clear, with a password in the simple bind"),
    );
}

fn wrong_services(trace: &mut Trace) {
    let ends = (at(INTERNET_SCANNER, 41_022), at(EDGE1, 25));
    let mut tcp = Tcp::open(trace, 7 * SECOND, ends.0, ends.1);
    tcp.client(
        b"GET / HTTP/1.1\r\nHost: 192.0.2.25:25\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n",
    );
    tcp.server(
        b"HTTP/1.1 200 OK\r\nServer: Microsoft-IIS/7.5\r\nContent-Type: text/html\r\nContent-Length: 21\r\n\r\n\
          <html>welcome</html>\n",
    );
    tcp.close();
    trace.flow(
        Flow::tcp(ends.0, ends.1, "web")
            .proves(&["http"])
            .verdict("contradicted")
            .finds(&["EXW103"])
            .note("a web server answers on Edge's port 25"),
    );

    for (start, client, server, note) in [
        (
            8,
            at(INTERNET_SCANNER, 41_030),
            at(EDGE1, 443),
            "SSH answers on Edge's port 443",
        ),
        (
            9,
            at(INTERNET_SCANNER, 41_031),
            at(CAS1, 443),
            "SSH answers on Client Access's port 443",
        ),
    ] {
        ssh(trace, start * SECOND, (client, server));
        trace.flow(
            Flow::tcp(client, server, "ssh")
                .unknown()
                .proves(&["ssh"])
                .encrypted("unknown")
                .verdict("contradicted")
                .finds(&["EXW103"])
                .note(note),
        );
    }
}

/// Identification strings, and the key exchange offers of both ends (RFC 4253 §4.2, §7.1).
pub(super) fn ssh(trace: &mut Trace, start: u64, ends: rpc::Ends) {
    let lists = [
        "curve25519-sha256",
        "ssh-ed25519",
        "aes256-ctr",
        "aes256-ctr",
        "hmac-sha2-256",
        "hmac-sha2-256",
        "none",
        "none",
        "",
        "",
    ];
    let mut tcp = Tcp::open(trace, start, ends.0, ends.1);
    let offer = |tcp: &mut Tcp<'_>| {
        let mut body = cat(&[&[20], &tcp.random(16)]);
        for list in lists {
            body.extend(super::bytes::u32_of(list.len()).to_be_bytes());
            body.extend(list.as_bytes());
        }
        body.extend([0; 5]);
        let padding = 8 - (body.len() + 5) % 8 + 8;
        let length = super::bytes::u32_of(body.len() + padding + 1);
        let filling = tcp.random(padding);
        cat(&[
            &length.to_be_bytes(),
            &[super::bytes::u8_of(padding)],
            &body,
            &filling,
        ])
    };
    tcp.server(b"SSH-2.0-OpenSSH_9.2\r\n");
    tcp.client(b"SSH-2.0-OpenSSH_8.9\r\n");
    let offered = offer(&mut tcp);
    tcp.client(&offered);
    let offered = offer(&mut tcp);
    tcp.server(&offered);
    tcp.close();
}

fn undocumented(trace: &mut Trace) {
    let ends = (at(HUB1, 50_520), at(EDGE1, 2526));
    let edge = Identity::new(1, &["edge1.example.com", "edge1"]);
    let mut tcp = Tcp::open(trace, 10 * SECOND, ends.0, ends.1);
    let protection = Protection::StartTls(&edge, None);
    smtp::session(
        &mut tcp,
        "hub1.example.com",
        "edge1.example.com",
        protection,
    );
    tls::close(tcp);
    trace.flow(
        Flow::tcp(ends.0, ends.1, "smtp")
            .proves(&["smtp", "tls"])
            .encrypted("starttls")
            .verdict("undocumented")
            .finds(&["EXW101"])
            .note("SMTP, proven, on port 2526 that no document lists"),
    );

    let ends = (at(INTERNET_SCANNER, 41_040), at(EDGE1, 3389));
    let mut tcp = Tcp::open(trace, 12 * SECOND, ends.0, ends.1);
    // TPKT, X.224 connection request with cookie and negotiation request; connection confirm (MS-RDPBCGR §2.2.1.1)
    let request = cat(&[
        &hex("0300002b26e00000000000"),
        b"Cookie: mstshash=admin\r\n",
        &hex("0100080003000000"),
    ]);
    tcp.client(&request);
    tcp.server(&hex("030000130ed000001234000201080002000000"));
    tcp.close();
    trace.flow(
        Flow::tcp(ends.0, ends.1, "rdp")
            .unknown()
            .proves(&["tpkt", "rdp"])
            .encrypted("unknown")
            .verdict("unattributed")
            .finds(&["EXW102"])
            .note("Remote Desktop to Edge from the Internet"),
    );

    let ends = (at(INTERNET_SCANNER, 41_041), at(EDGE1, 4444));
    let mut tcp = Tcp::open(trace, 13 * SECOND, ends.0, ends.1);
    for (question, answer) in [(40, 12), (77, 200)] {
        // first bytes that no protocol begins with
        let body = tcp.random(question);
        tcp.client(&cat(&[&[0xC7, 0x9E, 0x8D], &body]));
        let body = tcp.random(answer);
        tcp.server(&cat(&[&[0xC7, 0x9F, 0x8D], &body]));
    }
    tcp.close();
    trace.flow(
        Flow::tcp(ends.0, ends.1, "unknown")
            .unknown()
            .encrypted("unknown")
            .verdict("unattributed")
            .finds(&["EXW102"])
            .note("something unknown on port 4444 of Edge, from the Internet"),
    );
}

fn blocked(trace: &mut Trace) {
    let (client, server) = (at(EDGE1, 57_120), at(INTERNET_DNS, 53));
    let question = dns::question(0x5151, "example.net", Kind::Mx);
    for wait in [0, 1, 2, 4] {
        trace.udp(15 * SECOND + wait * SECOND, client, server, &question);
    }
    trace.flow(
        Flow::udp(client, server, "dns")
            .proves(&["dns"])
            .state("one_way")
            .finds(&["EXW401"])
            .note("Edge asks an outside DNS server four times and is never answered"),
    );

    let ends = (at(EDGE1, 51_820), at(INTERNET_MAIL, 25));
    Tcp::new(trace, 16 * SECOND, ends.0, ends.1).unanswered();
    trace.flow(attempted(
        ends,
        "smtp",
        &["EXW401"],
        "Edge sends mail: nobody answers its SYNs",
    ));

    let ends = (at(EDGE1, 51_821), at(INTERNET_REFUSER, 25));
    Tcp::new(trace, 17 * SECOND, ends.0, ends.1).refused();
    trace.flow(
        attempted(
            ends,
            "smtp",
            &["EXW402"],
            "Edge sends mail: the other end refuses with RST",
        )
        .state("refused"),
    );

    let ends = (at(EDGE1, 51_822), at(HUB1, 25));
    let sent = Tcp::new(trace, 18 * SECOND, ends.0, ends.1).unanswered();
    trace.packets.truncate(trace.packets.len() - sent.len());
    for (id, packet) in (0x7A01..).zip(sent) {
        let packet = Packet {
            id: Some(id),
            ..packet
        };
        trace
            .packets
            .push(Packet::prohibited(packet.at + 600, FIREWALL, &packet));
        trace.packets.push(packet);
    }
    trace.flow(attempted(
        ends,
        "smtp",
        &["EXW403"],
        "Edge delivers to Hub: the firewall answers \"administratively prohibited\"",
    ));
}

fn rpc_troubles(trace: &mut Trace) {
    let mapper = (at(CAS1, 50_601), at(MBX1, 135));
    rpc::ask_mapper(
        trace,
        20 * SECOND,
        mapper,
        &[(EMSMDB, "mapi", 49_888)],
        None,
    );
    trace.flow(rpc::mapped(mapper).note("the Mailbox server offers EMSMDB at 49888"));

    let ends = (at(CAS1, 50_602), at(MBX1, 49_888));
    Tcp::new(trace, 20_300_000, ends.0, ends.1).unanswered();
    trace.flow(attempted(
        ends,
        "mapi",
        &["EXW404", "EXW405"],
        "the port offered for MAPI does not answer: a firewall between Exchange servers",
    ));

    let ends = (at(CAS1, 50_603), at(MBX2, 49_999));
    let tcp = Tcp::open(trace, 22 * SECOND, ends.0, ends.1);
    rpc::with_ntlm(
        tcp,
        EMSMDB,
        NTLM_PRIVACY,
        ("CAS1", "MBX2"),
        &[(10, 280, 170), (11, 300, 310)],
    );
    trace.flow(
        rpc::private(ends, "mapi")
            .finds(&["EXW106"])
            .note("MAPI, proven, on a dynamic port that no endpoint mapper answer names"),
    );
}

fn clear_password(trace: &mut Trace) {
    let ends = (at(SUBMITTER, 49_610), at(HUB1, 587));
    let mut tcp = Tcp::open(trace, 24 * SECOND, ends.0, ends.1);
    smtp::greeting(&mut tcp, "client60", "hub1.example.com", false);
    // "Username:", "bob", "Password:", "Sample-Passw0rd"
    for (question, answer) in [
        ("AUTH LOGIN\r\n", "334 VXNlcm5hbWU6\r\n"),
        ("Ym9i\r\n", "334 UGFzc3dvcmQ6\r\n"),
        (
            "U2FtcGxlLVBhc3N3MHJk\r\n",
            "235 2.7.0 Authentication successful\r\n",
        ),
    ] {
        tcp.client(question.as_bytes());
        tcp.server(answer.as_bytes());
    }
    smtp::message(&mut tcp);
    tcp.close_from(super::tcp::Side::Server);
    trace.flow(
        Flow::tcp(ends.0, ends.1, "smtp_submission")
            .proves(&["smtp"])
            .finds(&["EXW201", "EXW202", "EXW203", "EXW604"])
            .note("AUTH LOGIN without TLS: the password can be read"),
    );
}

fn client_access_in_the_path(trace: &mut Trace) {
    let cas = Identity::new(5, &["cas13.example.com", "cas13"]);
    let ends = (at(INTERNET_MAIL2, 38_800), at(CAS13, 25));
    let mut tcp = Tcp::open(trace, 26 * SECOND, ends.0, ends.1);
    let protection = Protection::StartTls(&cas, None);
    smtp::session(
        &mut tcp,
        "mail2.example.net",
        "cas13.example.com",
        protection,
    );
    tls::close(tcp);
    trace.flow(
        Flow::tcp(ends.0, ends.1, "smtp")
            .proves(&["smtp", "tls"])
            .encrypted("starttls")
            .finds(&["EXW108"])
            .note("Internet mail reaches a 2013 Client Access server although an Edge server is subscribed"),
    );
}

/// A connection that never came to be: what it was for is known from its port or from an offer.
fn attempted(
    ends: rpc::Ends,
    service: &'static str,
    findings: &'static [&'static str],
    note: &'static str,
) -> Flow {
    Flow::tcp(ends.0, ends.1, service)
        .encrypted("unknown")
        .state("attempted")
        .verdict("unproven")
        .finds(findings)
        .note(note)
}
