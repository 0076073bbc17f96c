//! SMTP sessions as text: banner, EHLO with the keywords of an Exchange connector, TLS begun or not, a message.

use super::tcp::Tcp;
use super::tls::{self, Identity};

/// How the two ends protect the session.
#[derive(Clone, Copy)]
pub(crate) enum Protection<'a> {
    /// Nobody asks for TLS.
    Clear,
    /// STARTTLS, the client showing its certificate where it has one.
    StartTls(&'a Identity, Option<&'a Identity>),
    /// X-ANONYMOUSTLS, as between Hub Transport servers.
    AnonymousTls(&'a Identity),
}

pub(crate) fn session(tcp: &mut Tcp<'_>, client: &str, server: &str, protection: Protection<'_>) {
    greeting(
        tcp,
        client,
        server,
        !matches!(protection, Protection::Clear),
    );
    match protection {
        Protection::Clear => {
            message(tcp);
            return;
        }
        Protection::StartTls(identity, client_identity) => {
            tcp.client(b"STARTTLS\r\n");
            tcp.server(b"220 2.0.0 SMTP server ready\r\n");
            tls::handshakes(tcp, Some(server), identity, client_identity);
        }
        Protection::AnonymousTls(identity) => {
            tcp.client(b"X-ANONYMOUSTLS\r\n");
            tcp.server(b"220 2.0.0 SMTP server ready\r\n");
            tls::handshakes(tcp, None, identity, None);
        }
    }
    // EHLO again, envelope (pipelined), message: all of it encrypted
    for (question, answer) in [(24, 190), (80, 45), (230, 60)] {
        tls::turn(tcp, question, answer);
    }
}

/// Banner and EHLO.
pub(crate) fn greeting(tcp: &mut Tcp<'_>, client: &str, server: &str, offers_tls: bool) {
    let banner = format!(
        "220 {server} Microsoft ESMTP MAIL Service ready at Thu, 2 May 2024 10:00:02 +0200\r\n"
    );
    tcp.server(banner.as_bytes());
    tcp.client(format!("EHLO {client}\r\n").as_bytes());
    let tls = if offers_tls {
        "250-STARTTLS\r\n250-X-ANONYMOUSTLS\r\n"
    } else {
        ""
    };
    let keywords = format!(
        "250-{server} Hello [{}]\r\n250-SIZE 10485760\r\n250-PIPELINING\r\n250-DSN\r\n\
         250-ENHANCEDSTATUSCODES\r\n{tls}250-AUTH NTLM LOGIN\r\n250-X-EXPS GSSAPI NTLM\r\n250-8BITMIME\r\n\
         250-BINARYMIME\r\n250-CHUNKING\r\n250-XEXCH50\r\n250 XSHADOW\r\n",
        tcp.client_address()
    );
    tcp.server(keywords.as_bytes());
}

/// One message in clear, and QUIT.
pub(crate) fn message(tcp: &mut Tcp<'_>) {
    for (question, answer) in [
        (
            "MAIL FROM:<ann@example.com> SIZE=412\r\n",
            "250 2.1.0 Sender OK\r\n",
        ),
        (
            "RCPT TO:<bob@example.net>\r\n",
            "250 2.1.5 Recipient OK\r\n",
        ),
        (
            "DATA\r\n",
            "354 Start mail input; end with <CRLF>.<CRLF>\r\n",
        ),
        (
            "From: Ann <ann@example.com>\r\nTo: Bob <bob@example.net>\r\nSubject: minutes\r\n\
             Date: Thu, 2 May 2024 10:00:03 +0200\r\nMessage-ID: <4711@hub1.example.com>\r\n\r\n\
             Dear Bob,\r\n\r\nthe minutes follow tomorrow.\r\n\r\nAnn\r\n.\r\n",
            "250 2.6.0 <4711@hub1.example.com> [InternalId=12] Queued mail for delivery\r\n",
        ),
        (
            "QUIT\r\n",
            "221 2.0.0 Service closing transmission channel\r\n",
        ),
    ] {
        tcp.client(question.as_bytes());
        tcp.server(answer.as_bytes());
    }
}
