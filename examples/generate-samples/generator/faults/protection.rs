//! Paths that are not encrypted or not authenticated as documented.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::dcerpc::{EMSMDB, NTLM_INTEGRITY, NTLM_PRIVACY, Security};
use super::super::hosts::{CAS1, EDGE1, HUB1, MBX1, SUBMITTER, at};
use super::super::smtp::{self, Protection};
use super::super::tcp::Tcp;
use super::super::tls::{self, Identity};
use super::super::trace::Trace;
use super::super::{ldap, rpc, tokens};
use super::{Cases, SECOND, ends, lines};

/// Mail from Hub to Edge.
fn mail(trace: &mut Trace, is_sealed: bool, shows_both: bool) {
    let edge = Identity::new(1, &["edge1.example.com", "edge1"]);
    let hub = Identity::new(2, &["hub1.example.com", "hub1"]);
    let (client, server) = ends(HUB1, EDGE1, 25);
    let mut tcp = Tcp::open(trace, 0, client, server);
    let protection = if is_sealed {
        Protection::StartTls(&edge, shows_both.then_some(&hub))
    } else {
        Protection::Clear
    };
    smtp::session(
        &mut tcp,
        "hub1.example.com",
        "edge1.example.com",
        protection,
    );
    if is_sealed {
        tls::close(tcp);
    } else {
        tcp.close();
    }
}

/// A login at Hub's submission port, in clear, of these lines.
fn login(trace: &mut Trace, said: &[&str]) {
    let (client, server) = ends(SUBMITTER, HUB1, 587);
    let mut tcp = Tcp::open(trace, 0, client, server);
    smtp::greeting(&mut tcp, "pc60", "hub1.example.com", true);
    lines(&mut tcp, said);
    lines(
        &mut tcp,
        &[
            "< 235 2.7.0 Authentication successful",
            "> QUIT",
            "< 221 bye",
        ],
    );
    tcp.close();
}

/// A password in two lines that anybody can read.
fn with_password(trace: &mut Trace) {
    let said = [
        "> AUTH LOGIN",
        "< 334 VXNlcm5hbWU6",
        "> Ym9i",
        "< 334 UGFzc3dvcmQ6",
        "> U2FtcGxlLVBhc3N3MHJk",
    ];
    login(trace, &said);
}

/// The three tokens of NTLM, of which none is a password.
fn with_ntlm(trace: &mut Trace) {
    let hello = STANDARD.encode(tokens::ntlm_negotiate());
    let challenge = STANDARD.encode(tokens::ntlm_challenge(&mut trace.random, "HUB1"));
    let proof = tokens::ntlm_authenticate(&mut trace.random, "ann", "PC60", "HUB1");
    let said = [
        "> AUTH NTLM",
        "< 334 ntlm supported",
        &format!("> {hello}"),
        &format!("< 334 {challenge}"),
        &format!("> {}", STANDARD.encode(proof)),
    ];
    login(trace, &said);
}

/// MAPI on the port that the mapper named, at that level.
fn mapi(trace: &mut Trace, security: Security) {
    let mapper = (at(CAS1, 50_090), at(MBX1, 135));
    rpc::ask_mapper(trace, 0, mapper, &[(EMSMDB, "mapi", 49_888)], None);
    let (client, server) = ends(CAS1, MBX1, 49_888);
    let tcp = Tcp::open(trace, SECOND, client, server);
    rpc::with_ntlm(tcp, EMSMDB, security, ("CAS1", "MBX1"), &[(10, 280, 170)]);
}

/// AD LDS of Edge read in clear.
fn ad_lds(trace: &mut Trace, client: std::net::IpAddr) {
    let (client, server) = ends(client, EDGE1, 50_389);
    let mut tcp = Tcp::open(trace, 0, client, server);
    let base = "OU=MSExchangeGateway";
    tcp.client(&ldap::search(2, base, &["proxyAddresses"]));
    tcp.server(&ldap::entry(
        2,
        base,
        &[("proxyAddresses", "SMTP:ann@example.com")],
    ));
    tcp.client(&ldap::unbind(3));
    tcp.close();
}

pub(super) fn add(cases: &mut Cases) {
    cases.raises("EXW201", "mail from Hub to Edge in clear", |t| {
        mail(t, false, false)
    });
    cases.spares("EXW201", "the same after STARTTLS", |t| mail(t, true, true));
    cases.raises("EXW202", "AUTH LOGIN without TLS", with_password);
    cases.spares("EXW202", "AUTH NTLM without TLS", with_ntlm);
    cases.raises(
        "EXW203",
        "Basic where the row lists only Windows authentication",
        with_password,
    );
    cases.spares("EXW203", "NTLM, which the row lists", with_ntlm);
    cases.raises("EXW204", "MAPI that is signed and not sealed", |t| {
        mapi(t, NTLM_INTEGRITY)
    });
    cases.spares("EXW204", "MAPI that is sealed", |t| mapi(t, NTLM_PRIVACY));
    cases.raises("EXW205", "Hub reads Edge's AD LDS in clear", |t| {
        ad_lds(t, HUB1)
    });
    cases.spares(
        "EXW205",
        "a utility on Edge itself reads it in clear",
        |t| ad_lds(t, EDGE1),
    );
    cases.raises("EXW206", "Hub shows Edge no certificate", |t| {
        mail(t, true, false)
    });
    cases.spares("EXW206", "both show a certificate", |t| mail(t, true, true));
}
