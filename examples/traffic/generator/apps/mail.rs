//! Mail: relays with STARTTLS, appliances in clear, mailboxes over IMAP and POP, log shipping.

use std::net::IpAddr;

use super::super::samples::tokens;
use super::super::session::{Fate, Path, Session, Side};
use super::super::wire::End;
use super::super::world::{Server, World, far};
use super::tls;

/// A message from the Internet to the edge, from the edge to the hub, and from the hub to the mailbox server; or outwards.
pub(super) fn relay(world: &mut World, sessions: &mut Vec<Session>) {
    let message = world.random.heavy_tailed(6000, 9_000_000);
    let outside: IpAddr = [203, 0, 113, world.random.between(1, 250) as u8].into();
    let from =
        |world: &mut World, server: Server| server.at(world.random.between(49_152, 65_535) as u16);
    let hops: [(End, End, Path, &str, &str); 2] = if world.random.per_mille(600) {
        let ephemeral = world.random.between(32_768, 60_999) as u16;
        [
            (
                far(outside, ephemeral),
                Server::Edge.at(25),
                Path::INTERNET,
                "mx.example.net",
                "edge1.example.com",
            ),
            (
                from(world, Server::Edge),
                Server::Hub.at(25),
                Path::LOCAL,
                "edge1.example.com",
                "hub1.example.com",
            ),
        ]
    } else {
        [
            (
                from(world, Server::Hub),
                Server::Edge.at(25),
                Path::LOCAL,
                "hub1.example.com",
                "edge1.example.com",
            ),
            (
                from(world, Server::Edge),
                far(outside, 25),
                Path::INTERNET,
                "edge1.example.com",
                "mx.example.net",
            ),
        ]
    };
    let mut start = 0;
    for (client, server, path, greets, greeted) in hops {
        let mut session = Session::tcp("smtp", (client, server), path, &mut world.random);
        greeting(&mut session, greets, greeted, client.address, true);
        session
            .client(*b"STARTTLS\r\n")
            .server(*b"220 2.0.0 SMTP server ready\r\n");
        tls::handshake_12(world, &mut session, Some(greeted), greeted);
        for (question, answer) in [(60, 330), (120, 100), (message, 160), (40, 90)] {
            session.sealed(Side::Client, question);
            session.sealed(Side::Server, answer).after(3000);
        }
        sessions.push(session.starting(start));
        start += 700_000;
    }
}

fn greeting(session: &mut Session, client: &str, server: &str, address: IpAddr, tls: bool) {
    session
        .server(
            format!("220 {server} Microsoft ESMTP MAIL Service ready at Thu, 2 May 2024 10:00:02 +0200\r\n").into_bytes(),
        )
        .after(2000);
    session.client(format!("EHLO {client}\r\n").into_bytes());
    let offered = if tls {
        "250-STARTTLS\r\n250-X-ANONYMOUSTLS\r\n"
    } else {
        ""
    };
    session.server(
        format!(
            "250-{server} Hello [{address}]\r\n250-SIZE 37748736\r\n250-PIPELINING\r\n250-DSN\r\n\
             250-ENHANCEDSTATUSCODES\r\n{offered}250-AUTH NTLM LOGIN\r\n250-X-EXPS GSSAPI NTLM\r\n250-8BITMIME\r\n\
             250-BINARYMIME\r\n250 CHUNKING\r\n"
        )
        .into_bytes(),
    );
}

/// A printer or a monitor that mails in clear.
pub(super) fn appliance(world: &mut World, sessions: &mut Vec<Session>) {
    let client = Server::Printers.at(world.random.between(1024, 65_535) as u16);
    let ends = (client, Server::Hub.at(25));
    let mut session = Session::tcp("smtp", ends, Path::LOCAL, &mut world.random);
    greeting(
        &mut session,
        "print1",
        "hub1.example.com",
        client.address,
        true,
    );
    let number = world.random.below(100_000);
    let user = world.workplace().user();
    let lines: String = (0..world.random.heavy_tailed(8, 4000))
        .map(|line| format!("tray {line}: paper is low, page {}\r\n", line * 7))
        .collect();
    for (question, answer) in [
        (
            "MAIL FROM:<print1@example.com>\r\n".to_owned(),
            "250 2.1.0 Sender OK\r\n".to_owned(),
        ),
        (
            format!("RCPT TO:<{user}@example.com>\r\n"),
            "250 2.1.5 Recipient OK\r\n".to_owned(),
        ),
        (
            "DATA\r\n".to_owned(),
            "354 Start mail input; end with <CRLF>.<CRLF>\r\n".to_owned(),
        ),
        (
            format!(
                "From: <print1@example.com>\r\nTo: <{user}@example.com>\r\nSubject: status {number}\r\n\
                 Message-ID: <{number}@print1>\r\n\r\n{lines}.\r\n"
            ),
            format!(
                "250 2.6.0 <{number}@print1> [InternalId={number}] Queued mail for delivery\r\n"
            ),
        ),
        (
            "QUIT\r\n".to_owned(),
            "221 2.0.0 Service closing transmission channel\r\n".to_owned(),
        ),
    ] {
        session.client(question.into_bytes());
        session.server(answer.into_bytes()).after(1500);
    }
    sessions.push(session);
}

/// A mailbox over IMAP or POP: in TLS from the start, or in clear.
pub(super) fn mailbox(world: &mut World, sessions: &mut Vec<Session>) {
    let host = world.workplace();
    let from = world.from(host);
    let is_clear = world.random.per_mille(200);
    let port = if is_clear {
        143
    } else {
        *world.random.one_of(&[993, 995])
    };
    let ends = (from, Server::ClientAccess.at(port));
    let mut session = Session::tcp("imap and pop", ends, Path::LOCAL, &mut world.random);
    let messages = world.random.heavy_tailed(1, 30);
    if is_clear {
        session.server(*b"* OK The Microsoft Exchange IMAP4 service is ready.\r\n");
        let login = format!("a1 LOGIN {} secret\r\n", host.user());
        session
            .client(login.into_bytes())
            .server(*b"a1 OK LOGIN completed.\r\n");
        session.client(*b"a2 SELECT INBOX\r\n");
        session.server(
            format!(
                "* {messages} EXISTS\r\n* 0 RECENT\r\n* FLAGS (\\Seen \\Answered)\r\n* OK [UIDVALIDITY 14] UIDVALIDITY value\r\n\
                 a2 OK [READ-WRITE] SELECT completed.\r\n"
            )
            .into_bytes(),
        );
        for number in 1..=messages {
            let length = world.random.heavy_tailed(800, 60_000);
            session.client(format!("a{} FETCH {number} (BODY[])\r\n", number + 2).into_bytes());
            let body = format!("* {number} FETCH (BODY[] {{{length}}}\r\n");
            session.say(Side::Server, body.into_bytes(), length);
            session.server(format!(")\r\na{} OK FETCH completed.\r\n", number + 2).into_bytes());
        }
        session.client(*b"z LOGOUT\r\n");
        session.server(*b"* BYE Microsoft Exchange Server IMAP4 server signing off.\r\nz OK LOGOUT completed.\r\n");
    } else {
        tls::handshake_12(
            world,
            &mut session,
            Some("mail.example.com"),
            "mail.example.com",
        );
        session.sealed(Side::Server, 90);
        for _ in 0..messages + 3 {
            session.sealed(Side::Client, 60);
            let answer = world.random.heavy_tailed(120, 400_000);
            session.sealed(Side::Server, answer).after(900);
        }
    }
    sessions.push(session);
}

/// Logs from one copy of a mailbox database to the other: a token, then blocks of 1 MB.
pub(super) fn log_shipping(world: &mut World, sessions: &mut Vec<Session>) {
    let from = Server::Mailbox.at(world.random.between(49_152, 65_535) as u16);
    let ends = (from, Server::OtherMailbox.at(64_327));
    let mut session = Session::tcp("log shipping", ends, Path::LOCAL, &mut world.random);
    let prng = &mut world.random.prng;
    session.client(tokens::spnego_kerberos(prng, "host/mbx2.example.com"));
    session.server(tokens::spnego_accepted_kerberos(prng));
    for _ in 0..world.random.between(1, 5) {
        session.say(Side::Client, [], 1 << 20);
        session.say(Side::Server, [], 24).after(2_000_000);
    }
    sessions.push(session.ending(Fate::Open));
}
