use super::*;
use crate::evidence::{Offer, Offered};
use crate::net::Side;
use crate::protocol::testing::tokens::{are_told, base64, nobody, ticket_for};
use crate::protocol::testing::{
    CLIENT as C, SERVER as S, conversation, midstream, offers, only_registered_attributes,
    protocols, survives_every_cut, values,
};

const NONE: [&str; 0] = [];

#[test]
fn a_request_and_its_response_are_read() {
    let segments: [(Side, &[u8]); 3] = [
        (
            C,
            b"POST /owa/auth.owa?user=anna HTTP/1.1\r\nHost: Mail.Contoso.example\r\nUser-Agent: Outlook\r\n\
              Authorization: Basic c2VjcmV0\r\nContent-Length: 12\r\n\r\nGET / HTTP/1",
        ),
        (
            S,
            b"HTTP/1.1 401 Unauthorized\r\nServer: Microsoft-IIS/7.5\r\nX-FEServer: EX1\r\n\
              WWW-Authenticate: Negotiate\r\nWWW-Authenticate: NTLM\r\nWWW-Authenticate: Basic realm=\"a, b\"\r\n\
              Content-Type: text/html\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 204 No Content\r\n\r\n",
        ),
        (C, b"GET /ews/exchange.asmx HTTP/1.0\r\n\r\n"),
    ];
    let recorder = conversation(&segments);
    let of = |name| values(&recorder, "http", name);
    assert_eq!(protocols(&recorder), ["http"]);
    assert_eq!(recorder.client, Some(C));
    assert_eq!(of("method"), ["GET", "POST"]);
    assert_eq!(of("path"), ["/ews/exchange.asmx", "/owa/auth.owa"]);
    assert_eq!(of("host"), ["mail.contoso.example"]);
    assert_eq!(of("user_agent"), ["Outlook"]);
    assert_eq!(of("content_type"), ["text/html"]);
    assert_eq!(of("status"), ["204", "401"]);
    assert_eq!(of("authenticate"), ["Basic", "NTLM", "Negotiate"]);
    assert_eq!(of("authorization"), ["Basic"]);
    assert_eq!(of("exchange_header"), ["X-FEServer: EX1"]);
    assert!(!format!("{:?}", recorder.facts).contains("c2VjcmV0"));
    only_registered_attributes(&recorder, &[&HTTP]);
    for length in 1..=segments.len() {
        survives_every_cut(&segments[..length]);
    }
}

#[test]
fn tokens_name_their_mechanism() {
    let recorder = conversation(&[
        (C, b"GET / HTTP/1.1\r\nAuthorization: Negotiate TlRMTVNTUAABAAAAl4II4g==\r\n\r\n"),
        (S, b"HTTP/1.1 401 no\r\nWWW-Authenticate: NTLM TlRMTVNTUAACAAAA\r\nContent-Length: 0\r\n\r\n"),
    ]);
    assert_eq!(values(&recorder, "http", "gss_mechanism"), ["ntlm", "ntlm"]);
    assert_eq!(values(&recorder, "http", "authorization"), ["Negotiate"]);
}

#[test]
fn tokens_name_service_realm_and_host_but_no_person() {
    let ticket = base64(&ticket_for("HTTP/ex1.a.example"));
    let nobody = base64(&nobody());
    let requests = format!(
        "GET /a HTTP/1.1\r\nAuthorization: Negotiate {ticket}\r\n\r\nGET /b HTTP/1.1\r\nAuthorization: NTLM {nobody}\r\n\r\n"
    );
    let recorder = conversation(&[(C, requests.as_bytes())]);
    are_told(&recorder, "http", "HTTP/ex1.a.example");
}

#[test]
fn chunks_are_passed_over() {
    let segments: [(Side, &[u8]); 2] = [
        (C, b"GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n"),
        (
            S,
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nHTTP/\r\n1A\r\nabcdefghijklmnopqrstuvwxyz\r\n\
              0\r\nTrailer: x\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        ),
    ];
    assert_eq!(
        values(&conversation(&segments), "http", "status"),
        ["200", "404"]
    );
    survives_every_cut(&segments);
}

#[test]
fn responses_to_head_and_304_have_no_body() {
    let segments: [(Side, &[u8]); 2] = [
        (C, b"HEAD /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\nGET /c HTTP/1.1\r\n\r\n"),
        (
            S,
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n\
              HTTP/1.1 304 Not Modified\r\nContent-Length: 900\r\n\r\nHTTP/1.1 500 Oops\r\n\r\nup to the end",
        ),
    ];
    assert_eq!(
        values(&conversation(&segments), "http", "status"),
        ["100", "200", "304", "500"]
    );
    survives_every_cut(&segments);
}

#[test]
fn connect_hands_over_to_what_follows() {
    let segments: [(Side, &[u8]); 4] = [
        (
            C,
            b"CONNECT mail.example:25 HTTP/1.0\r\nMozilla without colon\r\n\r\n",
        ),
        (S, b"HTTP/1.0 200 Connection established\r\n\r\n"),
        (S, b"220 mail.example ESMTP\r\n"),
        (C, b"EHLO a.example\r\n"),
    ];
    let recorder = conversation(&segments);
    assert_eq!(protocols(&recorder), ["http", "smtp"]);
    assert_eq!(values(&recorder, "http", "method"), ["CONNECT"]);
    survives_every_cut(&segments);
    let refused = conversation(&[segments[0], (S, b"HTTP/1.0 403 no\r\n\r\n"), segments[2]]);
    assert_eq!(protocols(&refused), ["http"]);
}

#[test]
fn an_upgrade_is_named() {
    let recorder = conversation(&[
        (C, b"GET /chat HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"),
        (
            S,
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x02hi",
        ),
    ]);
    assert_eq!(values(&recorder, "http", "upgrade"), ["websocket"]);
}

#[test]
fn the_server_behind_an_rpc_proxy_is_offered_where_its_address_is_named() {
    let asked = |target: &str| {
        let request = format!("RPC_IN_DATA /rpc/rpcproxy.dll?{target} HTTP/1.1\r\n\r\n");
        let offered = offers(&conversation(&[(C, request.as_bytes())]));
        let protocol = |offered| match offered {
            Offered::Protocol { protocol, .. } => protocol,
            other => panic!("{other:?}"),
        };
        let plain = |offer: Offer| (offer.endpoint.to_string(), protocol(offer.offered));
        offered.into_iter().map(plain).collect::<Vec<_>>()
    };
    assert_eq!(
        asked("192.0.2.7:6001"),
        [("192.0.2.7:6001".into(), "dcerpc")]
    );
    assert_eq!(
        asked("[2001:db8::7]:6004"),
        [("[2001:db8::7]:6004".into(), "dcerpc")]
    );
    for name in [
        "ex1.contoso.example:6001",
        "192.0.2.7",
        "192.0.2.7:0",
        "192.0.2.7:x",
    ] {
        assert!(asked(name).is_empty(), "{name}");
    }
}

#[test]
fn rpc_over_http_names_its_target_and_hands_both_channels_over() {
    // What follows is no RPC here: any protocol shows that the stream was handed over.
    let inner = b"EHLO a.example\r\n";
    let head = "/rpc/rpcproxy.dll?ex1.contoso.example:6001 HTTP/1.1\r\nContent-Length:";
    let inbound = format!("RPC_IN_DATA {head} 1073741824\r\n\r\n");
    let segments: [(Side, &[u8]); 2] = [(C, inbound.as_bytes()), (C, inner)];
    let recorder = conversation(&segments);
    assert_eq!(
        values(&recorder, "http", "rpc_target"),
        ["ex1.contoso.example:6001"]
    );
    assert_eq!(protocols(&recorder), ["http", "smtp"]);
    survives_every_cut(&segments);
    let outbound = format!("RPC_OUT_DATA {head} 16\r\n\r\n");
    let response = b"HTTP/1.1 200 Success\r\nContent-Type: application/rpc\r\nContent-Length: 1073741824\r\n\r\n";
    let segments: [(Side, &[u8]); 4] = [
        (C, outbound.as_bytes()),
        (C, inner),
        (S, response),
        (S, b"250 a.example\r\n"),
    ];
    let recorder = conversation(&segments);
    assert_eq!(protocols(&recorder), ["http", "smtp"]);
    assert_eq!(values(&recorder, "smtp", "helo"), ["a.example"]);
    survives_every_cut(&segments);
    let refused = conversation(&[
        segments[0],
        segments[1],
        (S, b"HTTP/1.1 401 no\r\nContent-Length: 0\r\n\r\n"),
        (C, b"GET /x HTTP/1.1\r\n\r\n"),
    ]);
    assert_eq!(protocols(&refused), ["http"]);
    assert!(values(&refused, "http", "method").contains(&"GET".to_owned()));
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64";

#[test]
fn http_2_with_prior_knowledge_is_read_up_to_its_end() {
    let segments: [(Side, &[u8]); 3] = [
        (C, PREFACE),
        (
            S,
            b"\0\0\0\x04\0\0\0\0\0\0\0\x03\0\x01\0\0\0\x01abc\0\0\x04\x03\0\0\0\0\x01\0\0\0\x08",
        ),
        (
            S,
            b"\0\0\x09\x07\0\0\0\0\0\0\0\0\x01\0\0\0\x0bx\0\0\x04\x03\0\0\0\0\x03\0\0\0\x63",
        ),
    ];
    let recorder = conversation(&segments);
    assert_eq!(protocols(&recorder), ["http"]);
    assert_eq!(values(&recorder, "http", "version"), ["2", "2"]);
    assert_eq!(
        values(&recorder, "http", "error"),
        ["99", "cancel", "enhance_your_calm"]
    );
    survives_every_cut(&segments);
}

#[test]
fn an_upgrade_to_http_2_goes_on_in_frames() {
    let segments: [(Side, &[u8]); 4] = [
        (
            C,
            b"GET / HTTP/1.1\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
        ),
        (
            S,
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        ),
        (C, PREFACE),
        (S, b"\0\0\x08\x07\0\0\0\0\0\0\0\0\x01\0\0\0\x01"),
    ];
    let recorder = conversation(&segments);
    assert_eq!(
        values(&recorder, "http", "version"),
        ["1.1", "1.1", "2", "2"]
    );
    assert_eq!(values(&recorder, "http", "error"), ["protocol_error"]);
    survives_every_cut(&segments);
}

#[test]
fn frames_that_no_settings_begin_are_refused() {
    for broken in [
        &b"\0\0\x04\x03\0\0\0\0\x01\0\0\0\x08"[..],
        b"\0\0\x05\x04\0\0\0\0\0",
        b"\0\0\0\x04\x02\0\0\0\0",
        b"\0\0\0\x04\0\0\0\0\x01",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ] {
        let recorder = conversation(&[(C, PREFACE), (S, broken)]);
        assert_eq!(values(&recorder, "http", "version"), ["2"], "{broken:?}");
    }
}

#[test]
fn a_request_without_a_version_counts_with_its_page() {
    let ask: (Side, &[u8]) = (C, b"GET /index.html\r\n");
    let recorder = conversation(&[ask, (S, b"\n<!DOCTYPE HTML PUBLIC>")]);
    assert_eq!(values(&recorder, "http", "version"), ["0.9"]);
    assert_eq!(values(&recorder, "http", "path"), ["/index.html"]);
    assert_eq!(recorder.client, Some(C));
    for other in [
        &b"500 syntax error\r\n"[..],
        b"+OK\r\n",
        b"<1.2@a.example>\r\n",
        b"\0",
    ] {
        let named = protocols(&conversation(&[ask, (S, other)]));
        assert!(named.is_empty(), "{named:?}");
    }
}

#[test]
fn queries_yield_what_names_no_person() {
    let recorder = conversation(&[(
        C,
        b"POST /Microsoft-Server-ActiveSync?User=anna&DeviceId=42&DeviceType=iPhone&Cmd=Sync HTTP/1.1\r\n\
          SOAPAction: \"urn:a/Get\"\r\n\r\nGET /owa/anna@a.example/x?anna HTTP/1.1\r\n\r\n",
    )]);
    let of = |name| values(&recorder, "http", name);
    assert_eq!(of("activesync_command"), ["Sync"]);
    assert_eq!(of("device_type"), ["iPhone"]);
    assert_eq!(of("soap_action"), ["urn:a/Get"]);
    assert_eq!(
        of("path"),
        ["/Microsoft-Server-ActiveSync", "/owa/<address>/x"]
    );
    assert!(!format!("{:?}", recorder.facts).contains("anna"));
}

#[test]
fn heads_are_found_alone_and_in_the_middle() {
    let response = b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n";
    assert_eq!(protocols(&conversation(&[(S, response)])), ["http"]);
    assert_eq!(conversation(&[(S, response)]).client, Some(C));
    let later = midstream(&[(S, &[0xaa; 1400]), (S, &[0xbb; 1400]), (S, response)]);
    assert_eq!(values(&later, "http", "server"), ["x"]);
    let cut = conversation(&[(C, b"GET /owa HTTP/1.1\r\nHost: a.example\r\nUser-Ag")]);
    assert_eq!(values(&cut, "http", "host"), ["a.example"]);
}

#[test]
fn other_protocols_of_the_same_form_are_refused() {
    for other in [
        &b"OPTIONS sip:a@b.example SIP/2.0\r\nVia: x\r\n\r\n"[..],
        b"SIP/2.0 200 OK\r\n\r\n",
        b"OPTIONS rtsp://a/b RTSP/1.0\r\n\r\n",
        b"RTSP/1.0 200 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"GET /\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"MAIL FROM:<a@b.example>\r\n",
    ] {
        assert!(!protocols(&conversation(&[(C, other)])).contains(&"http"));
        assert!(!protocols(&midstream(&[(C, other)])).contains(&"http"));
    }
}

#[test]
fn a_head_without_end_is_refused() {
    let mut head = b"GET / HTTP/1.1\r\n".to_vec();
    head.resize(100_000, b'a');
    let recorder = conversation(&[(C, &head), (C, b"GET /later HTTP/1.1\r\n\r\n")]);
    assert_eq!(values(&recorder, "http", "path"), ["/later"]);
    assert_eq!(values(&recorder, "http", "content_type"), NONE);
}
