//! One request for every web service, and beside it one that other sites send with the same words.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod signature_support;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use exwire::attribution::{Encrypted, Judged, JudgedFlow};
use exwire::evidence::{CaptureRecord, Episode, Ledger, Moment, Recorder, Strength};
use exwire::flow::{Observation, TcpObservation, Tracker};
use exwire::net::{Endpoint, FlowKey, Side, TcpFlags, Timestamp, Transport};
use exwire::protocol::{Context, Conversation};
use exwire::signature::Signatures;
use exwire::topology::Topology;
use signature_support::signatures;

const CLIENT: &str = "10.0.1.5:50000";
const SERVER: &str = "10.0.0.40:80";
const OK: &str = "HTTP/1.1 200 OK\r\nServer: Apache\r\nContent-Length: 0\r\n\r\n";

fn end(text: &str) -> Endpoint {
    let (address, port) = text.rsplit_once(':').unwrap();
    Endpoint::new(address.parse().unwrap(), port.parse().unwrap())
}

/// A connection with what its client and its server say in turn; a SYN alone where nobody says anything.
fn episode(client: &str, server: &str, said: &[&[u8]]) -> Episode {
    let (key, asking) = FlowKey::of(Transport::TCP, end(client), end(server));
    let mut number = 0;
    let mut packet = |side: Side, flags: u16, payload_len: u32| {
        number += 1;
        Observation {
            time: Timestamp::from_nanos(number),
            key,
            side,
            ip_bytes: 40 + payload_len,
            payload_len,
            tcp: Some(TcpObservation {
                sequence: 1,
                acknowledgment: 1,
                flags: TcpFlags(flags),
                window: 1000,
            }),
            number: number.unsigned_abs(),
        }
    };
    let mut tracker = Tracker::new(&packet(asking, 0x02, 0));
    let (mut recorder, mut conversation) = (Recorder::default(), Conversation::default());
    if !said.is_empty() {
        tracker.record(&packet(asking.other(), 0x12, 0));
    }
    for (turn, bytes) in said.iter().enumerate() {
        let side = if turn % 2 == 0 {
            asking
        } else {
            asking.other()
        };
        let seen = packet(side, 0x18, u32::try_from(bytes.len()).unwrap());
        tracker.record(&seen);
        let moment = Moment {
            time: seen.time,
            frame: seen.number,
            key,
            side,
        };
        let midstream = false;
        conversation.data(bytes, Context { moment, midstream }, &mut recorder);
    }
    Episode {
        key,
        tap: "test".into(),
        tracker,
        last_frame: 9,
        captures: Vec::new(),
        tunnel: Vec::new(),
        protocols: recorder.protocols.into_sorted(),
        facts: recorder.facts.into_sorted(),
        offers: recorder.offers.into_sorted(),
        streams: recorder.streams,
        payload: Vec::new(),
        reports: recorder.reports,
        client: recorder.client,
        gap_bytes: 0,
        disagreements: 0,
        left_out: recorder.left_out,
    }
}

static SIGNATURES: LazyLock<Signatures> = LazyLock::new(signatures);

fn judged(episodes: Vec<Episode>) -> Vec<JudgedFlow> {
    let ledger = Ledger::new(
        "test".into(),
        CaptureRecord::default(),
        episodes,
        BTreeMap::new(),
    );
    Judged::of(ledger, &SIGNATURES, &Topology::default()).all()
}

/// The service that a request and its response prove.
fn proven(request: &str, response: &str) -> String {
    // Lines, with the ends that the wire has.
    let wire = |text: &str| {
        format!(
            "{}\r\n\r\n",
            text.trim().replace("\r\n", "\n").replace('\n', "\r\n")
        )
    };
    let (request, response) = (wire(request), wire(response));
    let judged = judged(vec![episode(
        CLIENT,
        SERVER,
        &[request.as_bytes(), response.as_bytes()],
    )]);
    let attribution = &judged[0].1;
    assert_eq!(attribution.strength, Some(Strength::Proven), "{request}");
    attribution.service.as_ref().unwrap().as_str().to_owned()
}

#[test]
fn each_service_of_exchange_is_proven_by_its_requests() {
    for (service, request) in [
        ("owa", "GET /OWA/ HTTP/1.1\nHost: mail.example"),
        ("owa", "POST /owa/auth.owa HTTP/1.1\nHost: mail.example"),
        ("owa", "GET /owa/14.3.123.3/themes/base/x.gif HTTP/1.1"),
        (
            "owa",
            "POST /owa/anna@a.example/service.svc HTTP/1.1\nX-OWA-Version: 15.1",
        ),
        ("owa", "GET /exchweb/bin/auth/owalogon.asp HTTP/1.1"),
        (
            "owa",
            "SUBSCRIBE /exchange/anna/Inbox HTTP/1.1\nNotification-type: update",
        ),
        ("owa", "GET /oma/(x)/oma.aspx HTTP/1.1"),
        ("ecp", "GET /ecp/default.aspx HTTP/1.1"),
        ("ecp", "GET /ECP HTTP/1.1"),
        (
            "ews",
            "POST /EWS/Exchange.asmx HTTP/1.1\nUser-Agent: ExchangeServicesClient/15.0",
        ),
        ("ews", "POST /ews/mrsproxy.svc HTTP/1.1"),
        (
            "availability",
            "POST /ews/exchange.asmx HTTP/1.1\nSOAPAction: \"http://schemas.microsoft.com/exchange/services/2006/messages/GetUserAvailability\"",
        ),
        (
            "play_on_phone",
            "POST /ews/exchange.asmx HTTP/1.1\nSOAPAction: http://schemas.microsoft.com/exchange/services/2006/messages/PlayOnPhone",
        ),
        (
            "autodiscover",
            "POST /Autodiscover/Autodiscover.xml HTTP/1.1",
        ),
        (
            "autodiscover",
            "POST /autodiscover/autodiscover.svc HTTP/1.1",
        ),
        (
            "autodiscover",
            "GET /autodiscover/autodiscover.json/v1.0/a@a.example?Protocol=ews HTTP/1.1",
        ),
        (
            "activesync",
            "POST /Microsoft-Server-ActiveSync?Cmd=Sync&User=anna&DeviceId=1&DeviceType=iPhone HTTP/1.1",
        ),
        (
            "activesync",
            "OPTIONS /microsoft-server-activesync HTTP/1.1",
        ),
        (
            "oab",
            "GET /OAB/c4a1b1a4-0000-4000-8000-000000000001/oab.xml HTTP/1.1",
        ),
        (
            "mapi_http",
            "POST /mapi/emsmdb/?MailboxId=1@a.example HTTP/1.1\nX-RequestType: Connect",
        ),
        (
            "mapi_http",
            "POST /x HTTP/1.1\nContent-Type: application/mapi-http",
        ),
        (
            "outlook_anywhere",
            "RPC_IN_DATA /rpc/rpcproxy.dll?ex1.a.example:6001 HTTP/1.1\nContent-Length: 0",
        ),
        (
            "outlook_anywhere",
            "RPC_OUT_DATA /RpcWithCert/RpcProxy.dll?ex1:6004 HTTP/1.1\nContent-Length: 0",
        ),
        (
            "powershell",
            "POST /PowerShell?PSVersion=5.1 HTTP/1.1\nContent-Type: application/soap+xml;charset=UTF-8",
        ),
        (
            "powershell",
            "POST /powershell/ HTTP/1.1\nUser-Agent: Microsoft WinRM Client",
        ),
        (
            "calendar_publishing",
            "GET /owa/calendar/5a@a.example/1b/calendar.html HTTP/1.1",
        ),
        ("um_web_services", "POST /UnifiedMessaging/um.asmx HTTP/1.1"),
        ("rms", "POST /_wmcs/licensing/server.asmx HTTP/1.1"),
        (
            "rvp",
            "SUBSCRIBE /instmsg/aliases/anna HTTP/1.1\nHost: im.example",
        ),
    ] {
        assert_eq!(proven(request, OK), service, "{request}");
    }
}

#[test]
fn headers_of_exchange_servers_tell_what_a_path_alone_does_not() {
    let webdav = "HTTP/1.1 207 Multi-Status\nServer: Microsoft-IIS/6.0\nMS-WebStorage: 6.5.7638\nContent-Length: 0";
    assert_eq!(proven("PROPFIND /exchange/anna HTTP/1.1", webdav), "owa");
    assert_eq!(proven("PROPFIND /public/ HTTP/1.1", webdav), "owa");
    assert_eq!(proven("GET /public/logo.png HTTP/1.1", OK), "web");
    let owa = "HTTP/1.1 200 OK\nX-OWA-Version: 15.0.847.30\nX-FEServer: CAS1\nContent-Length: 0";
    assert_eq!(proven("GET /owa/x HTTP/1.1", owa), "owa");
    assert_eq!(
        proven(
            "GET /ecp/x HTTP/1.1",
            "HTTP/1.1 200 OK\nX-FEServer: CAS1\nContent-Length: 0"
        ),
        "ecp"
    );
    let mobile = "HTTP/1.1 200 OK\nMS-Server-ActiveSync: 15.0\nContent-Length: 0";
    assert_eq!(proven("OPTIONS /eas HTTP/1.1", mobile), "activesync");
    let proxy = "HTTP/1.1 401 Unauthorized\nX-FEServer: CAS1\nContent-Length: 0";
    let ask = "RPC_IN_DATA /rpc/rpcproxy.dll?9a@a.example:443 HTTP/1.1\nContent-Length: 0";
    assert_eq!(proven(ask, proxy), "outlook_anywhere");
}

#[test]
fn each_service_of_lync_is_proven_by_its_requests() {
    for request in [
        "GET /Autodiscover/AutodiscoverService.svc/root?sipuri=a@a.example HTTP/1.1\nHost: lyncdiscover.a.example",
        "POST /ucwa/v1/applications HTTP/1.1",
        "POST /Mcx/McxService.svc HTTP/1.1",
        "POST /WebTicket/WebTicketService.svc/mex HTTP/1.1",
        "POST /CertProv/CertProvisioningService.svc HTTP/1.1",
        "POST /GroupExpansion/Service.svc HTTP/1.1",
        "GET /abs/handler/F-0e2f.lsabs HTTP/1.1",
        "POST /LocationInformation/LIService.svc HTTP/1.1",
        "POST /RequestHandlerExt/ucdevice.upx HTTP/1.1",
        "GET /DeviceUpdateFiles_Int/UCPhone/x.cat HTTP/1.1",
        "GET /lwa/WebPages/LwaClient.aspx HTTP/1.1",
        "POST /DataCollabWeb/x HTTP/1.1",
        "POST /RgsClients/AgentService.asmx HTTP/1.1",
        "GET /meet/anna/ABCD1234 HTTP/1.1\nHost: lync.a.example",
        "GET /meet/anna/ABCD1234 HTTP/1.1\nUser-Agent: OC/15.0.4420.1017 (Microsoft Lync)",
        "GET /dialin HTTP/1.1\nUser-Agent: Mozilla/5.0 (compatible; Skype for Business 2016)",
        "GET /abs/x HTTP/1.1\nUser-Agent: UCCAPI/4.0.7577.4392 OC/4.0.7577.4392 (Microsoft Lync 2010)",
        "POST /PhoneConferencing/x HTTP/1.1\nUser-Agent: UCCAPI/15.0",
        "POST /PersistentChat/x HTTP/1.1\nUser-Agent: OC/15.0",
    ] {
        assert_eq!(proven(request, OK), "lync_web", "{request}");
    }
    let front_end = "HTTP/1.1 200 OK\nX-MS-Server-Fqdn: fe1.a.example\nContent-Length: 0";
    assert_eq!(proven("GET /meet/anna/1 HTTP/1.1", front_end), "lync_web");
    assert_eq!(proven("GET /conf/x HTTP/1.1", front_end), "lync_web");
    let discover = "GET / HTTP/1.1\nHost: LyncDiscover.a.example";
    assert_eq!(proven(discover, front_end), "lync_web");
    let refused = "HTTP/1.1 401 Unauthorized\nX-MS-WebTicketURL: https://a.example/WebTicket/x\nContent-Length: 0";
    assert_eq!(proven("GET /x HTTP/1.1", refused), "lync_web");
    let office = "HTTP/1.1 200 OK\nX-OfficeFE: WAC1\nX-OfficeVersion: 15.0\nContent-Length: 0";
    assert_eq!(
        proven("GET /hosting/discovery/ HTTP/1.1", office),
        "lync_web"
    );
    assert_eq!(proven("GET /m/Presenter.aspx HTTP/1.1", office), "lync_web");
}

#[test]
fn the_same_words_on_other_sites_are_only_web() {
    for request in [
        "GET /owasp/top10 HTTP/1.1",
        "GET /owa/modules/base/js/owa.tracker-combined-min.js HTTP/1.1",
        "GET /exchange/rates HTTP/1.1",
        "PROPFIND /exchange/files/ HTTP/1.1",
        "GET /exchweb/ HTTP/1.1",
        "GET /public/css/main.css HTTP/1.1",
        "GET /oma/standards.html HTTP/1.1",
        "GET /ecpay/checkout HTTP/1.1",
        "GET /ecp/index.php HTTP/1.1",
        "GET /ews/2024/quakes.json HTTP/1.1",
        "POST /service HTTP/1.1\nSOAPAction: \"urn:weather/GetUser\"",
        "GET /autodiscover/ HTTP/1.1",
        "GET /blog/microsoft-server-activesync HTTP/1.1",
        "GET /Microsoft-Server-ActiveSync.html HTTP/1.1",
        "GET /oab/index.html HTTP/1.1",
        "GET /mapi/nspire HTTP/1.1",
        "GET /mapi/search HTTP/1.1\nContent-Type: application/json",
        "RPC_IN_DATA /rpc/rpcproxy.dll?localhost:3388 HTTP/1.1\nContent-Length: 0",
        "GET /powershell/ HTTP/1.1",
        "GET /powershellgallery HTTP/1.1",
        "GET /owa/calendar/2024 HTTP/1.1",
        "GET /unifiedmessaging/faq.html HTTP/1.1",
        "GET /wmcs/licensing HTTP/1.1",
        "SUBSCRIBE /upnp/event HTTP/1.1\nNT: upnp:event",
        "GET /instmsg/about.html HTTP/1.1",
        "GET /meet/anna/ABCD1234 HTTP/1.1\nHost: meet.example",
        "GET /meeting HTTP/1.1\nUser-Agent: OC/15.0",
        "GET /dialin HTTP/1.1\nUser-Agent: Mozilla/5.0",
        "GET /join/now HTTP/1.1",
        "GET /conf/2024 HTTP/1.1",
        "GET /abs/brakes HTTP/1.1",
        "GET /reach/ HTTP/1.1",
        "GET /lwa/ HTTP/1.1",
        "POST /requesthandler/x HTTP/1.1",
        "GET /ucwa/ HTTP/1.1",
        "GET /persistentchat/ HTTP/1.1",
        "GET /phoneconferencing/ HTTP/1.1",
        "GET /hosting/discovery HTTP/1.1",
        "GET /m/presenter.aspx HTTP/1.1",
        "GET / HTTP/1.1\nHost: lyncdiscover.a.example",
    ] {
        assert_eq!(proven(request, OK), "web", "{request}");
    }
}

#[test]
fn a_call_back_port_explains_an_unanswered_connection() {
    let subscribe =
        b"SUBSCRIBE /instmsg/aliases/anna HTTP/1.1\r\nRVP-Notifications-Version: 0.2\r\n\
        Call-Back: http://10.0.1.5:2980\r\nContent-Length: 0\r\n\r\n";
    let back = |to: &str| {
        let judged = judged(vec![
            episode(CLIENT, SERVER, &[subscribe, OK.as_bytes()]),
            episode("10.0.0.40:1099", to, &[]),
        ]);
        let place = judged.iter().position(|(flow, _)| flow.server() == end(to));
        let attribution = &judged[place.unwrap()].1;
        let service = attribution.service.as_ref();
        (
            service.map(|service| service.as_str().to_owned()),
            attribution.strength,
        )
    };
    assert_eq!(
        back("10.0.1.5:2980"),
        (Some("rvp".to_owned()), Some(Strength::Indicated))
    );
    assert_eq!(back("10.0.1.5:2981"), (None, None));
}

#[test]
fn names_in_tls_only_indicate() {
    // A hello of TLS 1.2 with one cipher and a server name, and the server's choice of a protocol.
    let indicated = |name: &str| {
        let length = |extra: usize| u16::try_from(name.len() + extra).unwrap().to_be_bytes();
        let mut hello = b"\x03\x03".to_vec();
        hello.extend([7; 32]);
        hello.extend(b"\x00\x00\x02\x00\x2f\x01\x00");
        for part in [length(9), [0, 0], length(5), length(3)] {
            hello.extend(part);
        }
        hello.push(0);
        hello.extend(length(0));
        hello.extend(name.bytes());
        let mut record = b"\x16\x03\x01".to_vec();
        let size = u16::try_from(hello.len()).unwrap();
        record.extend((size + 4).to_be_bytes());
        record.extend([1, 0]);
        record.extend(size.to_be_bytes());
        record.extend(hello);
        let judged = judged(vec![episode(CLIENT, "10.0.0.40:40443", &[&record])]);
        let attribution = &judged[0].1;
        let service = attribution
            .service
            .as_ref()
            .map(|id| id.as_str().to_owned());
        (service.unwrap_or_default(), attribution.strength)
    };
    for (name, service) in [
        ("autodiscover.a.example", "autodiscover"),
        ("lyncdiscover.a.example", "lync_web"),
        ("LyncDiscoverInternal.a.example", "lync_web"),
        ("sip.a.example", "sip"),
        ("sipexternal.a.example", "sip"),
        ("webconf.a.example", "psom"),
        ("gateway.push.apple.com", "apple_push"),
        ("owa.a.example", "owa"),
        ("imap.a.example", "imap"),
        ("pop.a.example", "pop3"),
        ("smtp.a.example", "smtp_submission"),
        ("activesync.a.example", "activesync"),
    ] {
        let expected = (service.to_owned(), Some(Strength::Indicated));
        assert_eq!(indicated(name), expected, "{name}");
    }
    for name in [
        "sipgate.example",
        "webconference.example",
        "meet.example",
        "av.example",
        "lyncdiscovery.example",
        "push.apple.com.example",
        "owasp.example",
        "poplar.example",
    ] {
        assert_eq!(indicated(name), (String::new(), None), "{name}");
    }
}

#[test]
fn a_chosen_application_protocol_indicates_its_service() {
    let mut hello = b"\x16\x03\x01\x00\x2d\x01\x00\x00\x29\x03\x03".to_vec();
    hello.extend([7; 32]);
    hello.extend(b"\x00\x00\x02\x00\x2f\x01\x00");
    let indicated = |chosen: &str| {
        let length = u8::try_from(chosen.len()).unwrap();
        let mut answer = vec![0x16, 3, 3, 0, 51 + length, 2, 0, 0, 47 + length, 3, 3];
        answer.extend([8; 32]);
        answer.extend([
            0,
            0,
            0x2f,
            0,
            0,
            7 + length,
            0,
            16,
            0,
            3 + length,
            0,
            1 + length,
        ]);
        answer.push(length);
        answer.extend(chosen.bytes());
        let judged = judged(vec![episode(CLIENT, "10.0.0.40:40443", &[&hello, &answer])]);
        let attribution = &judged[0].1;
        let service = attribution.service.as_ref();
        service.map(|id| (id.as_str().to_owned(), attribution.strength))
    };
    for (chosen, service) in [
        ("h2", "web"),
        ("http/1.1", "web"),
        ("imap", "imap"),
        ("pop3", "pop3"),
        ("sip/2", "sip"),
        ("stun.turn", "stun_turn"),
    ] {
        let expected = (service.to_owned(), Some(Strength::Indicated));
        assert_eq!(indicated(chosen), Some(expected), "{chosen}");
    }
    assert_eq!(indicated("mqtt"), None);
}

#[test]
fn tls_behind_a_proxy_that_was_asked_by_connect_is_no_upgrade() {
    // A hello of TLS 1.2 with one cipher.
    let mut hello = b"\x16\x03\x01\x00\x2d\x01\x00\x00\x29\x03\x03".to_vec();
    hello.extend([7; 32]);
    hello.extend(b"\x00\x00\x02\x00\x2f\x01\x00");
    let kind = |ask: &[u8], answer: &[u8]| {
        let judged = judged(vec![episode(
            CLIENT,
            "10.0.0.40:8080",
            &[ask, answer, &hello],
        )]);
        assert_eq!(judged[0].1.protocols, ["http", "tls"]);
        judged[0].1.encryption.kind
    };
    assert_eq!(
        kind(
            b"CONNECT mail.example:443 HTTP/1.1\r\n\r\n",
            b"HTTP/1.1 200 Connection established\r\n\r\n"
        ),
        Encrypted::Tls
    );
    assert_eq!(
        kind(
            b"OPTIONS * HTTP/1.1\r\nUpgrade: TLS/1.0\r\nConnection: Upgrade\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: TLS/1.0, HTTP/1.1\r\n\r\n"
        ),
        Encrypted::Starttls
    );
}
