//! Mail: refusals, delays, TLS that is not offered, masked or refused, and logins that fail.

use super::super::hosts::{EDGE1, HUB1, INTERNET_MAIL, SUBMITTER};
use super::super::tcp::Tcp;
use super::super::trace::Trace;
use super::{Cases, ends, lines};

/// A session in which `said` comes between EHLO and QUIT.
fn session(trace: &mut Trace, keyword: &str, said: &[&str]) {
    let (client, server) = ends(HUB1, EDGE1, 25);
    let mut tcp = Tcp::open(trace, 0, client, server);
    let keyword = format!("< 250-{keyword}");
    lines(
        &mut tcp,
        &[
            "< 220 edge1.example.com Microsoft ESMTP MAIL Service ready",
            "> EHLO hub1.example.com",
        ],
    );
    lines(
        &mut tcp,
        &["< 250-edge1.example.com Hello", &keyword, "< 250 8BITMIME"],
    );
    lines(&mut tcp, said);
    lines(&mut tcp, &["> QUIT", "< 221 2.0.0 bye"]);
    tcp.close();
}

const FROM: &str = "> MAIL FROM:<ann@example.com>";
const TO: &str = "> RCPT TO:<bob@example.net>";

pub(super) fn add(cases: &mut Cases) {
    cases.raises("EXW601", "relaying is not permitted", |t| {
        session(
            t,
            "STARTTLS",
            &[FROM, "< 250 2.1.0 ok", TO, "< 550 5.7.1 Unable to relay"],
        );
    });
    cases.spares("EXW601", "mail that is taken", |t| {
        session(
            t,
            "STARTTLS",
            &[
                FROM,
                "< 250 2.1.0 ok",
                TO,
                "< 250 2.1.5 550 is only a number here",
            ],
        );
    });
    cases.raises("EXW602", "back pressure puts mail off", |t| {
        session(
            t,
            "STARTTLS",
            &[FROM, "< 452 4.3.1 Insufficient system resources"],
        );
    });
    cases.spares("EXW602", "a refusal for good", |t| {
        session(t, "STARTTLS", &[FROM, "< 550 5.1.8 no such sender"]);
    });
    cases.raises("EXW603", "a firewall masks STARTTLS", |t| {
        session(t, "XXXXXXXA", &[FROM, "< 250 ok"])
    });
    cases.spares("EXW603", "an Exchange keyword that begins with X", |t| {
        session(t, "XEXCH50", &[FROM, "< 250 ok"])
    });
    cases.raises("EXW604", "Edge offers Hub no TLS", |t| {
        session(t, "SIZE", &[FROM, "< 250 ok"])
    });
    cases.spares("EXW604", "Edge offers Hub TLS, and nobody takes it", |t| {
        session(t, "STARTTLS", &[FROM, "< 250 ok"])
    });
    cases.raises("EXW605", "STARTTLS is answered by 454", |t| {
        session(
            t,
            "STARTTLS",
            &["> STARTTLS", "< 454 4.7.0 TLS not available"],
        );
    });
    cases.spares("EXW605", "another command is answered by 454", |t| {
        session(t, "STARTTLS", &[FROM, "< 454 4.7.0 not now"]);
    });
    let login = |t: &mut Trace, answer: &'static str| {
        let (client, server) = ends(SUBMITTER, HUB1, 587);
        let mut tcp = Tcp::open(t, 0, client, server);
        lines(
            &mut tcp,
            &[
                "< 220 hub1 ESMTP",
                "> EHLO pc60",
                "< 250-hub1",
                "< 250 AUTH LOGIN",
                "> AUTH LOGIN",
            ],
        );
        lines(
            &mut tcp,
            &[
                "< 334 VXNlcm5hbWU6",
                "> YW5u",
                "< 334 UGFzc3dvcmQ6",
                "> c2VjcmV0",
                answer,
            ],
        );
        tcp.close();
    };
    cases.raises("EXW606", "a wrong password", move |t| {
        login(t, "< 535 5.7.3 Authentication unsuccessful")
    });
    cases.spares("EXW606", "the right password", move |t| {
        login(t, "< 235 2.7.0 Authentication successful")
    });
    let greeting = |t: &mut Trace, wait: &'static str| {
        let (client, server) = ends(INTERNET_MAIL, EDGE1, 25);
        let mut tcp = Tcp::open(t, 0, client, server);
        lines(
            &mut tcp,
            &[wait, "< 220 edge1 ESMTP", "> QUIT", "< 221 bye"],
        );
        tcp.close();
    };
    cases.raises("EXW607", "a greeting after twenty seconds", move |t| {
        greeting(t, "~ 20000")
    });
    cases.spares("EXW607", "a greeting after two seconds", move |t| {
        greeting(t, "~ 2000")
    });
    cases.raises(
        "EXW608",
        "a refusal that is held back for five seconds",
        |t| {
            session(t, "STARTTLS", &[FROM, "~ 5200", "< 550 5.7.1 no"]);
        },
    );
    cases.spares("EXW608", "a client that waits for five seconds", |t| {
        session(t, "STARTTLS", &["~ 5200", FROM, "< 250 2.1.0 ok"]);
    });
}
