//! Names, tickets, directories, and logons of Windows.

use super::super::bytes::{cat, u32_of};
use super::super::hosts::{ADMIN, CAS1, DC1, HUB1, MBX1, at};
use super::super::tcp::Tcp;
use super::super::trace::Trace;
use super::super::{dns, kerberos, ldap};
use super::{Cases, SECOND, ends};

fn asked(trace: &mut Trace, second: u64, id: u16, name: &str, code: u8) {
    let question = dns::question(id, name, dns::Kind::A);
    let answer = match code {
        0 => dns::answer(id, name, dns::Kind::A, &[dns::address(MBX1)]),
        code => dns::failure(id, name, dns::Kind::A, code),
    };
    trace.exchange(
        second * SECOND,
        at(HUB1, 53_000 + id),
        at(DC1, 53),
        (&question, &answer),
    );
}

fn ticket(trace: &mut Trace, error: u32) {
    let question = kerberos::tgs_req(&mut trace.random, "HTTP/mail.example.com");
    let answer = kerberos::refused(error, &["HTTP", "mail.example.com"]);
    trace.exchange(0, at(CAS1, 53_100), at(DC1, 88), (&question, &answer));
}

fn directory(trace: &mut Trace, answer: &[u8], question: &[u8]) {
    let (client, server) = ends(CAS1, DC1, 389);
    let mut tcp = Tcp::open(trace, 0, client, server);
    tcp.client(question);
    tcp.server(answer);
    tcp.client(&ldap::unbind(9));
    tcp.close();
}

/// A message of SMB 2 in its frame (MS-SMB2 §2.2.1): an answer to a session set-up.
fn smb(command: u16, status: u32, is_answer: bool, body: &[u8]) -> Vec<u8> {
    let flags = u32::from(is_answer);
    let message = cat(&[
        b"\xFESMB",
        &64_u16.to_le_bytes(),
        &[1, 0],
        &status.to_le_bytes(),
        &command.to_le_bytes(),
        &[1, 0],
        &flags.to_le_bytes(),
        &[0; 4],
        &1_u64.to_le_bytes(),
        &[0; 8],
        &[0; 8],
        &[0; 16],
        body,
    ]);
    cat(&[&u32_of(message.len()).to_be_bytes(), &message])
}

fn session(trace: &mut Trace, status: u32) {
    let (client, server) = ends(ADMIN, MBX1, 445);
    let mut tcp = Tcp::open(trace, 0, client, server);
    let question = cat(&[
        &25_u16.to_le_bytes(),
        &[0, 1],
        &[0; 8],
        &88_u16.to_le_bytes(),
        &[0; 2],
        &[0; 8],
    ]);
    tcp.client(&smb(1, 0, false, &question));
    let answer = cat(&[
        &9_u16.to_le_bytes(),
        &[0; 2],
        &72_u16.to_le_bytes(),
        &[0; 3],
    ]);
    tcp.server(&smb(1, status, true, &answer));
    tcp.close();
}

pub(super) fn add(cases: &mut Cases) {
    cases.raises("EXW701", "the server cannot resolve the next hop", |t| {
        asked(t, 0, 1, "smarthost.example.net", 2)
    });
    cases.spares(
        "EXW701",
        "a search list that finds the name in the second domain",
        |t| {
            asked(t, 0, 1, "mbx1.sub.example.com", 3);
            asked(t, 1, 2, "mbx1.example.com", 0);
        },
    );
    cases.raises("EXW702", "no account has the service principal name", |t| {
        ticket(t, 7)
    });
    cases.spares("EXW702", "pre-authentication is asked for", |t| {
        ticket(t, 25)
    });
    cases.raises("EXW703", "clocks differ", |t| ticket(t, 37));
    cases.spares("EXW703", "another error of Kerberos", |t| ticket(t, 7));
    let bind = || ldap::simple_bind(1, "CN=svc", "secret");
    cases.raises("EXW704", "a wrong password at the directory", move |t| {
        let text = "80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data 52e, v1db1";
        directory(t, &ldap::not_bound(1, 49, text), &bind());
    });
    cases.spares("EXW704", "a bind that is accepted", move |t| {
        directory(t, &ldap::bound(1), &bind())
    });
    let search = || ldap::search(2, "DC=example,DC=com", &["mail"]);
    cases.raises("EXW705", "a controller that is busy", move |t| {
        directory(t, &ldap::failed(2, 51), &search())
    });
    cases.spares("EXW705", "an object that is not there", move |t| {
        directory(t, &ldap::failed(2, 32), &search())
    });
    cases.raises("EXW706", "a logon that fails", |t| session(t, 0xC000_006D));
    cases.spares("EXW706", "a logon in two steps", |t| {
        session(t, 0xC000_0016)
    });
}
