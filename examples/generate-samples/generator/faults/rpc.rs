//! Calls that fail or wait, mappers without an endpoint, web services with errors.

use super::super::dcerpc::{self, EMSMDB, EPM, NSPI};
use super::super::hosts::{CAS1, OUTLOOK, at};
use super::super::rpc;
use super::super::tcp::Tcp;
use super::super::trace::Trace;
use super::{Cases, SECOND, ends};

/// A connection to the port that the mapper named for the address book, whose bind and call are answered so.
fn call(trace: &mut Trace, wait_ms: u64, bound: &[u8], answer: Option<&[u8]>) {
    let (client, server) = ends(OUTLOOK, CAS1, 59_532);
    let mapper = (at(OUTLOOK, 50_090), at(CAS1, 135));
    let question = (NSPI, "address_book", server.port());
    rpc::ask_mapper(trace, 0, mapper, &[question], None);
    let mut tcp = Tcp::open(trace, SECOND, client, server);
    tcp.client(&dcerpc::bind(1, &[NSPI], None));
    tcp.server(bound);
    if let Some(answer) = answer {
        tcp.client(&dcerpc::request(2, 0, 4, &[0; 24], None));
        tcp.pause(wait_ms * 1000);
        tcp.server(answer);
    }
    tcp.close();
}

fn mapper(trace: &mut Trace, stub: &[u8]) {
    let (client, server) = ends(OUTLOOK, CAS1, 135);
    let mut tcp = Tcp::open(trace, 0, client, server);
    tcp.client(&dcerpc::bind(1, &[EPM], None));
    tcp.server(&dcerpc::bind_ack(1, 135, 1, None));
    tcp.client(&dcerpc::request(2, 0, 3, &dcerpc::ept_map(EMSMDB), None));
    tcp.server(&dcerpc::response(2, 0, stub, None));
    tcp.close();
}

fn web(trace: &mut Trace, status: &str) {
    let (client, server) = ends(OUTLOOK, CAS1, 80);
    let mut tcp = Tcp::open(trace, 0, client, server);
    tcp.client(
        b"GET /autodiscover/autodiscover.xml HTTP/1.1\r\nHost: autodiscover.example.com\r\n\r\n",
    );
    tcp.server(
        format!("HTTP/1.1 {status}\r\nServer: Microsoft-IIS/7.5\r\nContent-Length: 0\r\n\r\n")
            .as_bytes(),
    );
    tcp.close();
}

pub(super) fn add(cases: &mut Cases) {
    let bound = || dcerpc::bind_ack(1, 59_532, 1, None);
    let answered = || dcerpc::response(2, 0, &[0; 24], None);
    cases.raises("EXW801", "the server is too busy", move |t| {
        call(t, 1, &bound(), Some(&dcerpc::fault(2, 0x1C01_0014)))
    });
    cases.spares("EXW801", "a call that is answered", move |t| {
        call(t, 1, &bound(), Some(&answered()))
    });
    cases.raises("EXW802", "a bind that is refused", |t| {
        call(t, 1, &dcerpc::bind_nak(1, 2), None)
    });
    cases.spares("EXW802", "a bind that is accepted", move |t| {
        call(t, 1, &bound(), Some(&answered()))
    });
    cases.raises("EXW803", "nothing is registered for EMSMDB", |t| {
        mapper(t, &dcerpc::ept_not_registered())
    });
    cases.spares("EXW803", "EMSMDB is registered", |t| {
        let (_, server) = ends(OUTLOOK, CAS1, 59_532);
        mapper(t, &dcerpc::ept_mapped(EMSMDB, server));
    });
    cases.raises("EXW804", "a call of six seconds", move |t| {
        call(t, 6 * SECOND / 1000, &bound(), Some(&answered()))
    });
    cases.spares("EXW804", "a call of half a second", move |t| {
        call(t, 500, &bound(), Some(&answered()))
    });
    cases.raises("EXW805", "Autodiscover is unavailable", |t| {
        web(t, "503 Service Unavailable")
    });
    cases.spares("EXW805", "Autodiscover wants credentials", |t| {
        web(t, "401 Unauthorized\r\nWWW-Authenticate: Negotiate")
    });
}
