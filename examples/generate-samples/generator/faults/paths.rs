//! Paths that are blocked, cut off, silent, lossy, slow or too narrow; and what never shows.

use std::net::IpAddr;

use super::super::dcerpc::EMSMDB;
use super::super::hosts::{
    CAS1, DC1, EDGE1, FIREWALL, HUB1, INTERNET_MAIL, INTERNET_SCANNER, MBX1, MBX2, OUTLOOK,
    SUBMITTER, UM1, at,
};
use super::super::packet::Packet;
use super::super::tcp::{Side, Tcp};
use super::super::trace::Trace;
use super::super::{dns, ldap, rpc};
use super::{Cases, SECOND, ends, lines};

const HTTP: &[u8] = b"GET /owa/ HTTP/1.1\r\nHost: mail.example.com\r\n\r\n";
const OK: &[u8] =
    b"HTTP/1.1 302 Found\r\nLocation: https://mail.example.com/owa/\r\nContent-Length: 0\r\n\r\n";

fn unanswered(trace: &mut Trace, at_second: u64, client: IpAddr, server: IpAddr, port: u16) {
    let (client, server) = ends(client, server, port);
    drop(Tcp::new(trace, at_second * SECOND, client, server).unanswered());
}

fn web(trace: &mut Trace, at_second: u64, client: IpAddr, wait_ms: u64) {
    let (client, server) = ends(client, CAS1, 80);
    let mut tcp = Tcp::open(trace, at_second * SECOND, client, server);
    tcp.client(HTTP);
    tcp.pause(wait_ms * 1000);
    tcp.server(OK);
    tcp.close();
}

fn mail(trace: &mut Trace, at_second: u64) {
    let (client, server) = ends(HUB1, EDGE1, 25);
    let mut tcp = Tcp::open(trace, at_second * SECOND, client, server);
    lines(
        &mut tcp,
        &[
            "< 220 edge1 ESMTP",
            "> EHLO hub1",
            "< 250-edge1",
            "< 250 STARTTLS",
            "> QUIT",
            "< 221 bye",
        ],
    );
    tcp.close();
}

/// Heartbeats a second apart, of which those of some seconds are missing.
fn heartbeat(trace: &mut Trace, seconds: u64, missing: std::ops::Range<u64>) {
    let (one, other) = (at(MBX1, 3343), at(MBX2, 3343));
    for second in (0..seconds).filter(|second| !missing.contains(second)) {
        let beat = trace.random.bytes(40);
        trace.udp(second * SECOND, one, other, &beat);
        trace.udp(second * SECOND + 400, other, one, &beat);
    }
}

fn block(trace: &mut Trace) {
    for port in 0..60_u16 {
        let (client, server) = (
            at(INTERNET_SCANNER, 40_000 + port),
            at(EDGE1, 10 + port * 7),
        );
        Tcp::new(trace, u64::from(port) * 10_000, client, server).refused();
    }
}

pub(super) fn add(cases: &mut Cases) {
    cases.raises(
        "EXW401",
        "SYNs to Edge's port 25 that nobody answers",
        |t| unanswered(t, 0, HUB1, EDGE1, 25),
    );
    cases.spares("EXW401", "the same path, answered", |t| mail(t, 0));
    cases.raises("EXW402", "Edge refuses mail", |t| {
        let (client, server) = ends(HUB1, EDGE1, 25);
        Tcp::new(t, 0, client, server).refused();
    });
    cases.spares("EXW402", "a connection that is reset after its work", |t| {
        let (client, server) = ends(HUB1, EDGE1, 25);
        let mut tcp = Tcp::open(t, 0, client, server);
        lines(&mut tcp, &["< 220 edge1 ESMTP", "> QUIT", "< 221 bye"]);
        tcp.reset(Side::Client);
    });
    cases.raises(
        "EXW403",
        "a firewall says that the path is prohibited",
        |t| {
            let (client, server) = ends(HUB1, EDGE1, 25);
            let mut sent = Tcp::new(t, 0, client, server).unanswered();
            let mut first = sent.remove(0);
            first.id = Some(0x4242);
            let mut packets = t.packets.iter_mut();
            let same = packets.find(|packet| packet.at == first.at);
            *same.expect("it was sent") = first.clone();
            t.packets.push(Packet::prohibited(900, FIREWALL, &first));
        },
    );
    cases.spares("EXW403", "an ICMP error about another flow", |t| {
        mail(t, 0);
        let other = Packet::udp(500, at(OUTLOOK, 53_000), at(EDGE1, 9), b"x");
        let mut other = other;
        other.id = Some(7);
        t.packets.push(other.clone());
        t.packets.push(Packet::unreachable(900, EDGE1, &other, 3));
    });
    cases.raises(
        "EXW404",
        "the endpoint mapper offers a port that nobody answers",
        |t| {
            rpc::ask_mapper(
                t,
                0,
                (at(OUTLOOK, 50_100), at(CAS1, 135)),
                &[(EMSMDB, "mapi", 59_532)],
                None,
            );
            unanswered(t, 1, OUTLOOK, CAS1, 59_532);
        },
    );
    cases.spares(
        "EXW404",
        "the endpoint mapper offers a port, and another one is not answered",
        |t| {
            rpc::ask_mapper(
                t,
                0,
                (at(OUTLOOK, 50_100), at(CAS1, 135)),
                &[(EMSMDB, "mapi", 59_532)],
                None,
            );
            unanswered(t, 1, OUTLOOK, CAS1, 59_533);
        },
    );
    cases.raises("EXW405", "no answer between two internal servers", |t| {
        unanswered(t, 0, CAS1, MBX1, 135)
    });
    cases.spares(
        "EXW405",
        "no answer between an internal server and Edge",
        |t| unanswered(t, 0, HUB1, EDGE1, 25),
    );
    cases.raises("EXW406", "sixty ports of Edge are tried in vain", block);
    cases.spares("EXW406", "five ports of Edge are tried in vain", |t| {
        for port in [25, 80, 110, 443, 993] {
            unanswered(t, 0, INTERNET_SCANNER, EDGE1, port);
        }
    });
    cases.raises("EXW407", "a web request that is answered by a reset", |t| {
        let (client, server) = ends(OUTLOOK, CAS1, 80);
        let mut tcp = Tcp::open(t, 0, client, server);
        tcp.client(HTTP);
        tcp.reset(Side::Server);
    });
    let closed = |t: &mut Trace, by: Side| {
        let (client, server) = ends(OUTLOOK, CAS1, 80);
        let mut tcp = Tcp::open(t, 0, client, server);
        tcp.client(HTTP);
        tcp.close_from(by);
    };
    cases.raises(
        "EXW407",
        "a web request after which the server closes",
        move |t| closed(t, Side::Server),
    );
    cases.spares("EXW407", "a client that asks and closes itself", move |t| {
        closed(t, Side::Client)
    });
    cases.spares("EXW407", "a reset after the answer", |t| {
        let (client, server) = ends(OUTLOOK, CAS1, 80);
        let mut tcp = Tcp::open(t, 0, client, server);
        tcp.client(HTTP);
        tcp.server(OK);
        tcp.reset(Side::Server);
    });
    cases.raises(
        "EXW408",
        "a mail server that accepts and never greets",
        |t| {
            let (client, server) = ends(INTERNET_MAIL, EDGE1, 25);
            let mut tcp = Tcp::open(t, 0, client, server);
            tcp.pause(30 * SECOND);
            tcp.close();
        },
    );
    cases.spares("EXW408", "a mail server that greets late", |t| {
        let (client, server) = ends(INTERNET_MAIL, EDGE1, 25);
        let mut tcp = Tcp::open(t, 0, client, server);
        tcp.pause(12 * SECOND);
        tcp.server(b"220 edge1 ESMTP\r\n");
        tcp.close();
    });
    let copies = |t: &mut Trace, count: usize| {
        let (client, server) = ends(OUTLOOK, CAS1, 80);
        let mut tcp = Tcp::open(t, 0, client, server);
        for _ in 0..count {
            tcp.client(HTTP);
            tcp.again(Side::Client, HTTP);
            tcp.server(OK);
        }
        tcp.close();
    };
    cases.raises("EXW410", "every request is sent twice", move |t| {
        copies(t, 14)
    });
    cases.spares("EXW410", "two requests are sent twice", move |t| {
        copies(t, 2)
    });
    let full = |t: &mut Trace, count: usize| {
        let (client, server) = ends(OUTLOOK, CAS1, 80);
        let mut tcp = Tcp::open(t, 0, client, server);
        tcp.client(HTTP);
        tcp.server(OK);
        for _ in 0..count {
            tcp.full(Side::Client);
        }
        tcp.close();
    };
    cases.raises("EXW411", "a client whose buffer stays full", move |t| {
        full(t, 8)
    });
    cases.spares("EXW411", "a client whose buffer was full twice", move |t| {
        full(t, 2)
    });
    let behind = |t: &mut Trace, wait: u64, asked: bool| {
        let (client, server) = ends(OUTLOOK, CAS1, 80);
        let mut tcp = Tcp::open_over(t, 0, 20_000, client, server);
        for _ in 0..12 {
            tcp.client(HTTP);
            tcp.behind(Side::Server, [OK, OK], wait, asked);
        }
        tcp.close();
    };
    cases.raises(
        "EXW416",
        "segments that come 2 ms after the ones behind them, over a way of 20 ms",
        move |t| behind(t, 2_000, false),
    );
    cases.spares(
        "EXW416",
        "segments that are asked for and come 60 ms later",
        move |t| behind(t, 60_000, true),
    );
    cases.raises(
        "EXW410",
        "segments lost before the capture, asked for and sent again",
        move |t| behind(t, 60_000, true),
    );
    let far = |t: &mut Trace, wait: u64| {
        let (client, server) = ends(OUTLOOK, CAS1, 80);
        let mut tcp = Tcp::open_over(t, 0, wait, client, server);
        tcp.client(HTTP);
        tcp.server(OK);
        tcp.close();
    };
    cases.raises("EXW412", "a round trip of 900 ms", move |t| far(t, 900_000));
    cases.spares("EXW412", "a round trip of 90 ms", move |t| far(t, 90_000));
    cases.raises("EXW413", "an answer after eight seconds", |t| {
        web(t, 0, OUTLOOK, 8000)
    });
    cases.spares("EXW413", "an answer after half a second", |t| {
        web(t, 0, OUTLOOK, 500)
    });
    let large = |t: &mut Trace, repeats: usize| {
        let (client, server) = ends(OUTLOOK, CAS1, 80);
        let mut tcp = Tcp::open(t, 0, client, server);
        let body = [b'a'; 1200];
        tcp.client(&body);
        let offending = tcp.quoted();
        let now = tcp.now();
        tcp.beside(Packet::unreachable(now, FIREWALL, &offending, 4));
        for _ in 0..repeats {
            tcp.again(Side::Client, &body);
        }
        tcp.server(OK);
        tcp.close();
    };
    cases.raises(
        "EXW414",
        "a packet too large is sent again and again",
        move |t| large(t, 14),
    );
    cases.spares(
        "EXW414",
        "a packet too large is sent again once",
        move |t| large(t, 1),
    );
    let hole = |t: &mut Trace, length: usize| {
        let (client, server) = ends(OUTLOOK, CAS1, 80);
        let mut tcp = Tcp::open(t, 0, client, server);
        tcp.client(HTTP);
        tcp.server(OK);
        tcp.stuck(Side::Client, &vec![b'a'; length], b"the end", 6);
    };
    cases.raises(
        "EXW415",
        "a large segment is sent seven times, and only a small one behind it arrives",
        move |t| hole(t, 1400),
    );
    cases.spares(
        "EXW415",
        "a small segment is sent seven times, and only the one behind it arrives",
        move |t| hole(t, 500),
    );
    cases.raises("EXW901", "the heartbeat pauses for eight seconds", |t| {
        heartbeat(t, 30, 10..18)
    });
    cases.spares("EXW901", "the heartbeat misses two beats", |t| {
        heartbeat(t, 30, 10..12)
    });
    let nodes = |t: &mut Trace| {
        for minute in 0..3 {
            let ends = (at(MBX1, 50_200 + minute), at(MBX2, 135));
            rpc::ask_mapper(
                t,
                u64::from(minute) * 40 * SECOND,
                ends,
                &[(EMSMDB, "mapi", 59_532)],
                None,
            );
        }
    };
    cases.raises(
        "EXW902",
        "two nodes speak for a minute, and no heartbeat is among it",
        nodes,
    );
    cases.spares("EXW902", "the same with a heartbeat", move |t| {
        nodes(t);
        heartbeat(t, 10, 0..0);
    });
    let shipping = |t: &mut Trace, is_reset: bool| {
        let (client, server) = ends(MBX1, MBX2, 64_327);
        let mut tcp = Tcp::open(t, 0, client, server);
        let bytes = tcp.random(700);
        tcp.client(&bytes);
        let bytes = tcp.random(60);
        tcp.server(&bytes);
        if is_reset {
            tcp.reset(Side::Server);
        } else {
            tcp.close();
        }
    };
    cases.raises("EXW903", "log shipping is reset", move |t| {
        shipping(t, true)
    });
    cases.spares("EXW903", "log shipping ends in order", move |t| {
        shipping(t, false)
    });
    // Mail every half minute, and somebody asks the directory.
    let busy = |t: &mut Trace, asks: IpAddr| {
        for turn in 0..30 {
            let (client, server) = (at(HUB1, 51_000 + turn), at(EDGE1, 25));
            let mut tcp = Tcp::open(t, u64::from(turn) * 30 * SECOND, client, server);
            lines(&mut tcp, &["< 220 edge1 ESMTP", "> QUIT", "< 221 bye"]);
            tcp.close();
        }
        let (client, server) = ends(asks, DC1, 389);
        let mut tcp = Tcp::open(t, SECOND, client, server);
        tcp.client(&ldap::simple_bind(1, "", ""));
        tcp.server(&ldap::bound(1));
        tcp.client(&ldap::unbind(2));
        tcp.close();
    };
    cases.raises(
        "EXW904",
        "Hub works and only another host asks the controller",
        move |t| busy(t, UM1),
    );
    cases.spares("EXW904", "Hub works and asks the controller", move |t| {
        busy(t, HUB1)
    });
    let hours = |t: &mut Trace, synchronizes: bool| {
        for turn in 0..5 {
            let (client, server) = (at(HUB1, 51_000 + turn), at(EDGE1, 25));
            let mut tcp = Tcp::open(t, u64::from(turn) * 1200 * SECOND, client, server);
            lines(&mut tcp, &["< 220 edge1 ESMTP", "> QUIT", "< 221 bye"]);
            tcp.close();
        }
        if synchronizes {
            let (client, server) = ends(HUB1, EDGE1, 50_636);
            let mut tcp = Tcp::open(t, SECOND, client, server);
            tcp.client(b"\x16\x03\x03");
            tcp.server(b"\x15\x03\x03");
            tcp.close();
        }
    };
    cases.raises(
        "EXW905",
        "an hour of mail to Edge without EdgeSync",
        move |t| hours(t, false),
    );
    cases.spares(
        "EXW905",
        "an hour of mail to Edge with EdgeSync",
        move |t| hours(t, true),
    );
    cases.raises("EXW990", "bytes in no form that is known", move |t| {
        shipping(t, false)
    });
    cases.spares("EXW990", "a name asked and answered", |t| {
        let name = "dc1.example.com";
        let answer = dns::answer(1, name, dns::Kind::A, &[dns::address(DC1)]);
        t.exchange(
            0,
            at(SUBMITTER, 53_000),
            at(DC1, 53),
            (&dns::question(1, name, dns::Kind::A), &answer),
        );
    });
}
