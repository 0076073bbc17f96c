use super::super::testing::tokens::{are_told, base64, nobody, ticket_for};
use super::super::testing::{
    CLIENT, SERVER as ANSWERER, conversation, datagrams, midstream, offers,
    only_registered_attributes, protocols, survives_every_cut, values,
};
use super::*;
use crate::evidence::{MediaOffer, Offered, Recorder};
use crate::net::{Endpoint, Transport};

const OFFER: &str = "v=0\r\no=- 0 0 IN IP4 10.0.0.1\r\ns=session\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n\
    m=audio 50010 RTP/SAVP 104 0\r\na=rtpmap:104 SILK/16000\r\na=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:abc|2^31\r\n";

fn invite(body: &str) -> Vec<u8> {
    let head = "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/TLS 10.0.0.1:5061;branch=z9hG4bK1\r\n\
        From: \"Alice, A\" <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.com;user=phone>\r\n\
        Call-ID: call-1\r\nCSeq: 1 INVITE\r\nUser-Agent: UCCAPI/15.0\r\nContact: <sip:alice@10.0.0.1:5061;transport=tls>\r\n\
        Content-Type: application/sdp\r\n";
    format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn reply(status: &str, extra: &str) -> Vec<u8> {
    format!(
        "SIP/2.0 {status}\r\nVia: SIP/2.0/TCP 10.0.0.1\r\nFrom: <sip:alice@example.com>;tag=1\r\n\
         To: <sip:bob@example.com>;tag=2\r\nCall-ID: call-1\r\nCSeq: 1 INVITE\r\n{extra}Content-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

fn media(recorder: &Recorder) -> Vec<(Transport, String, MediaOffer)> {
    let media = |offer: crate::evidence::Offer| match offer.offered {
        Offered::Media(media) => Some((offer.transport, offer.endpoint.to_string(), *media)),
        _ => None,
    };
    offers(recorder).into_iter().filter_map(media).collect()
}

#[test]
fn a_call_over_udp_is_read_with_its_offer() {
    let recorder = datagrams(&[
        (CLIENT, &invite(OFFER)),
        (
            ANSWERER,
            &reply("486 Busy Here", "ms-diagnostics: 5;reason=\"busy\"\r\n"),
        ),
    ]);
    assert_eq!(protocols(&recorder), ["sip"]);
    assert_eq!(recorder.client, Some(CLIENT));
    assert_eq!(values(&recorder, "sip", METHOD), ["INVITE"]);
    assert_eq!(values(&recorder, "sip", STATUS), ["486 Busy Here"]);
    assert_eq!(values(&recorder, "sip", INVITE_STATUS), ["486 Busy Here"]);
    assert_eq!(
        values(&recorder, "sip", FROM),
        ["sip:alice@example.com", "sip:alice@example.com"]
    );
    assert_eq!(values(&recorder, "sip", TO)[0], "sip:bob@example.com");
    assert_eq!(
        values(&recorder, "sip", CONTACT),
        ["sip:alice@10.0.0.1:5061"]
    );
    assert_eq!(values(&recorder, "sip", TRANSPORT), ["tcp", "tls"]);
    assert_eq!(values(&recorder, "sip", WARNING), ["5;reason=\"busy\""]);
    let [(transport, endpoint, offer)] = &media(&recorder)[..] else {
        panic!("one medium");
    };
    assert_eq!(
        (*transport, endpoint.as_str()),
        (Transport::UDP, "10.0.0.1:50010")
    );
    assert_eq!(offer.codecs, ["104 SILK/16000".into(), "0".into()]);
    assert_eq!((offer.rtcp_port, offer.keyed), (Some(50011), true));
    assert_eq!(&*offer.call_id, "call-1");
    only_registered_attributes(&recorder, &[&SIP, &sdp::SDP]);
}

#[test]
fn a_cancelled_call_says_why_and_how_it_authenticates() {
    let cancel = b"BYE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nFrom: <sip:a@b.example>\r\nTo: <sip:c@b.example>\r\n\
        Call-ID: call-1\r\nCSeq: 2 BYE\r\nReason: Q.850;cause=16;text=\"Terminated\"\r\n\
        Proxy-Authorization: Kerberos qop=\"auth\", response=\"c2VjcmV0\"\r\nContent-Length: 0\r\n\r\n";
    let refusal = reply(
        "401 Unauthorized",
        "Server: RTC/5.0\r\nWWW-Authenticate: NTLM realm=\"a\"\r\nWWW-Authenticate: TLS-DSK realm=\"a\"\r\n",
    );
    let recorder = datagrams(&[(CLIENT, cancel), (ANSWERER, &refusal)]);
    assert_eq!(
        values(&recorder, "sip", REASON),
        ["Q.850;cause=16;text=\"Terminated\""]
    );
    assert_eq!(values(&recorder, "sip", CHALLENGE), ["NTLM", "TLS-DSK"]);
    assert_eq!(values(&recorder, "sip", AUTHORIZATION), ["Kerberos"]);
    assert_eq!(values(&recorder, "sip", "server"), ["RTC/5.0"]);
    assert!(!format!("{recorder:?}").contains("c2VjcmV0"));
}

#[test]
fn security_tokens_name_service_realm_and_host_but_no_person() {
    let register = |scheme: &str, token: &[u8]| {
        format!(
            "REGISTER sip:a.example SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nFrom: <sip:a@a.example>\r\nTo: <sip:a@a.example>\r\n\
            Call-ID: r\r\nCSeq: 1 REGISTER\r\nAuthorization: {scheme} qop=\"auth\", realm=\"SIP Communications Service\", \
            targetname=\"sip/fe1.a.example\", gssapi-data=\"{}\", version=4\r\nContent-Length: 0\r\n\r\n",
            base64(token)
        )
    };
    let (ticket, nobody) = (
        register("Kerberos", &ticket_for("sip/fe1.a.example")),
        register("NTLM", &nobody()),
    );
    // A record of TLS, which is no token.
    let certificate = register("TLS-DSK", b"\x16\x03\x01\0\x04\x0e\0\0\0");
    let messages = [ticket, nobody, certificate];
    let sent = messages.each_ref().map(|text| (CLIENT, text.as_bytes()));
    let recorder = datagrams(&sent);
    are_told(&recorder, "sip", "sip/fe1.a.example");
    only_registered_attributes(&recorder, &[&SIP]);
}

#[test]
fn facts_of_a_call_have_the_hash_of_its_id_as_subject() {
    let recorder = datagrams(&[(CLIENT, &invite(OFFER))]);
    let subject = |name: &str| {
        let fact = recorder
            .facts
            .keys()
            .find(|fact| fact.attribute.name == name);
        fact.unwrap().subject
    };
    assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
    assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    assert_eq!(subject(METHOD), fnv1a(b"call-1"));
    assert_eq!(subject("media"), fnv1a(b"call-1"));
    assert_eq!(subject(USER_AGENT), 0);
}

#[test]
fn a_message_in_many_segments_is_read() {
    survives_every_cut(&[(CLIENT, &invite(OFFER)), (ANSWERER, &reply("200 OK", ""))]);
    let mut both = b"\r\n\r\n".to_vec();
    both.extend(invite(OFFER));
    both.extend(b"\r\n");
    both.extend(b"ACK sip:bob@example.com SIP/2.0\r\ni: call-1\r\nCSeq: 1 ACK\r\nl: 0\r\n\r\n");
    survives_every_cut(&[(CLIENT, &both)]);
    let recorder = conversation(&[(CLIENT, &both)]);
    assert_eq!(values(&recorder, "sip", METHOD), ["ACK", "INVITE"]);
    assert_eq!(media(&recorder).len(), 1);
}

#[test]
fn compact_and_folded_headers_of_any_case_are_read() {
    let recorder = datagrams(&[(
        CLIENT,
        b"MESSAGE im:bob@example.com SIP/2.0\r\nv: SIP/2.0/UDP h\r\nF: \r\n <sip:alice@example.com>\r\n\
          t:sip:bob@example.com;tag=3\r\nI : x\r\ncSEQ:  7\r\n\tMESSAGE\r\nUSER-AGENT: a\r\n b\r\n\r\n",
    )]);
    assert_eq!(values(&recorder, "sip", FROM), ["sip:alice@example.com"]);
    assert_eq!(values(&recorder, "sip", TO), ["sip:bob@example.com"]);
    assert_eq!(values(&recorder, "sip", CALL_ID), ["x"]);
    assert_eq!(values(&recorder, "sip", CSEQ), ["7 MESSAGE"]);
    assert_eq!(values(&recorder, "sip", USER_AGENT), ["a b"]);
}

#[test]
fn every_session_description_of_a_multipart_body_is_read() {
    let second = OFFER
        .replace("50010", "50020")
        .replace("10.0.0.1", "10.9.9.9");
    let body = format!(
        "--b\r\nContent-Type: application/sdp\r\nContent-Disposition: session; ms-proxy-2007fallback\r\n\r\n{OFFER}\r\n\
         --b\r\nContent-Type: text/plain\r\n\r\nv=0\r\n--b\r\nContent-Type: Application/SDP; x=y\r\n\r\n{second}\r\n--b--\r\n"
    );
    let message = String::from_utf8(invite(&body)).unwrap().replace(
        "Content-Type: application/sdp\r\nContent-Length",
        "Content-Type: multipart/alternative; boundary=\"b\"\r\nContent-Length",
    );
    for recorder in [
        datagrams(&[(CLIENT, message.as_bytes())]),
        conversation(&[(CLIENT, message.as_bytes())]),
    ] {
        let endpoints: Vec<_> = media(&recorder).into_iter().map(|(_, e, _)| e).collect();
        assert_eq!(endpoints, ["10.0.0.1:50010", "10.9.9.9:50020"]);
    }
}

#[test]
fn a_content_length_of_more_than_came_loses_no_offer_over_udp() {
    let message = String::from_utf8(invite(OFFER)).unwrap();
    for wrong in ["9999", "-1", "x"] {
        let length = format!("Content-Length: {}", OFFER.len());
        let message = message.replace(&length, &format!("Content-Length: {wrong}"));
        let recorder = datagrams(&[(CLIENT, message.as_bytes())]);
        assert_eq!(media(&recorder).len(), 1, "{wrong}");
    }
}

#[test]
fn a_stream_without_content_length_is_read_on() {
    let length = format!("Content-Length: {}\r\n", OFFER.len());
    let message = String::from_utf8(invite(OFFER))
        .unwrap()
        .replace(&length, "");
    let both = format!("{message}BYE sip:b@c SIP/2.0\r\nCSeq: 2 BYE\r\n\r\n");
    let recorder = conversation(&[(CLIENT, both.as_bytes())]);
    assert_eq!(values(&recorder, "sip", METHOD), ["BYE", "INVITE"]);
    assert_eq!(media(&recorder).len(), 1);
}

#[test]
fn a_direction_alone_and_a_missing_beginning_are_enough() {
    let recorder = midstream(&[(ANSWERER, &reply("180 Ringing", "Server: RTC/5.0\r\n"))]);
    assert_eq!(protocols(&recorder), ["sip"]);
    assert_eq!(recorder.client, Some(CLIENT));
    assert_eq!(values(&recorder, "sip", SERVER), ["RTC/5.0"]);
}

#[test]
fn an_incomplete_head_says_what_came_of_it() {
    let message = invite(OFFER);
    let cut = message
        .windows(12)
        .position(|bytes| bytes == b"Content-Type")
        .unwrap();
    let recorder = conversation(&[(CLIENT, &message[..cut])]);
    assert_eq!(protocols(&recorder), ["sip"]);
    assert_eq!(values(&recorder, "sip", METHOD), ["INVITE"]);
    assert!(values(&recorder, "sip", CONTACT).is_empty(), "it may go on");
}

#[test]
fn a_stream_is_taken_up_again_at_the_next_start_line() {
    let mut stream = Stream::default();
    let mut segment = b"a=x SIP/2.0\r\nVia: SIP/2.0/TCP h\r\n\r\nrest\r\n".to_vec();
    let start = segment.len();
    segment.extend(reply("200 OK", ""));
    assert_eq!(stream.resume(ANSWERER, &segment), Some(start));
    assert_eq!(stream.resume(ANSWERER, &segment[..start]), None);
}

#[test]
fn a_wrong_content_length_costs_no_other_message() {
    let message = String::from_utf8(invite(OFFER)).unwrap();
    let length = format!("Content-Length: {}", OFFER.len());
    for wrong in [OFFER.len() - 9, OFFER.len() + 40] {
        let mut both = message
            .replace(&length, &format!("Content-Length: {wrong}"))
            .into_bytes();
        both.extend(reply("100 Trying", ""));
        both.extend(reply("180 Ringing", ""));
        let recorder = conversation(&[(CLIENT, &both)]);
        assert!(values(&recorder, "sip", STATUS).contains(&"180 Ringing".to_owned()));
        assert_eq!(media(&recorder).len(), 1);
    }
}

#[test]
fn nothing_is_read_after_compression_was_agreed_on() {
    let request = b"NEGOTIATE sip:127.0.0.1:5061 SIP/2.0\r\nCSeq: 1 NEGOTIATE\r\nCompression: LZ77-64K\r\n\r\n";
    let agreed = b"SIP/2.0 200 OK\r\nCSeq: 1 NEGOTIATE\r\n\r\n";
    let recorder = conversation(&[
        (CLIENT, request),
        (ANSWERER, agreed),
        (CLIENT, &invite(OFFER)),
    ]);
    assert_eq!(values(&recorder, "sip", METHOD), ["NEGOTIATE"]);
}

#[test]
fn neighbours_are_not_taken_for_sip() {
    let others: [&[u8]; 12] = [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"OPTIONS rtsp://a/b RTSP/1.0\r\nCSeq: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nVia: 1.1 a\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n",
        b"EHLO example.com\r\n",
        b"NICK sip:a SIP/2.1\r\nVia: a\r\n\r\n",
        b"SIP/2.0 99 Low\r\nVia: a\r\n\r\n",
        b"SIP/2.0 2000 Long\r\nVia: a\r\n\r\n",
        b"SIP/2.0 200 OK\r\n\r\n",
        b"INVITE bob SIP/2.0\r\nVia: a\r\n\r\n",
        b"INVITE sip:a b SIP/2.0\r\nVia: a\r\n\r\n",
        b"invite sip:a SIP/2.0\r\nVia: a\r\n\r\n",
    ];
    for bytes in others {
        let text = String::from_utf8_lossy(bytes);
        assert!(
            !protocols(&datagrams(&[(CLIENT, bytes)])).contains(&"sip"),
            "{text}"
        );
        assert!(
            !protocols(&conversation(&[(CLIENT, bytes)])).contains(&"sip"),
            "{text}"
        );
    }
}

#[test]
fn a_datagram_cut_within_its_description_offers_what_is_whole() {
    let message = invite(OFFER);
    let cut = message.len() - 12;
    let mut recorder = Recorder::default();
    let a = Endpoint::new("10.0.0.1".parse().unwrap(), 1);
    let b = Endpoint::new("10.0.0.2".parse().unwrap(), 2);
    let (key, side) = crate::net::FlowKey::of(Transport::UDP, a, b);
    let moment = crate::evidence::Moment {
        time: crate::net::Timestamp::default(),
        frame: 1,
        key,
        side,
    };
    let datagram = Datagram {
        bytes: &message[..cut],
        wire_len: message.len(),
    };
    super::super::Datagrams::default().datagram(datagram, moment, &mut recorder);
    assert_eq!(media(&recorder).len(), 1);
    assert!(values(&recorder, "sdp", "crypto").is_empty());
}

#[test]
fn a_message_that_is_cut_in_or_after_its_first_line_is_sip() {
    use crate::protocol::testing::{cut_conversation, cut_datagram};
    for cut in [
        &b"SIP/2.0 200 OK\r\nVi"[..],
        b"SIP/2.0 480 Temporarily not avail",
        b"INVITE sip:anna@contoso.example SIP/2.0\r\nRecord-R",
        b"REGISTER sip:contoso.example",
        b"BENOTIFY sips:anna@contoso.example:5061;opaque=user:epid SI",
    ] {
        let shown = String::from_utf8_lossy(cut);
        assert_eq!(protocols(&cut_datagram(cut, 700)), ["sip"], "{shown}");
        let segment = [(Side::A, cut, 600)];
        assert_eq!(protocols(&cut_conversation(&segment)), ["sip"], "{shown}");
        let whole = cut_datagram(cut, cut.len());
        assert!(protocols(&whole).is_empty(), "{shown}");
    }
    for other in [
        &b"INVITE tel:+15550100"[..],
        b"OPTIONS sip:",
        b"PLAY sip:anna@contoso.example",
        b"OPTIONS sip:contoso.example HTTP/1.1",
        b"SIP/2.0 900 No",
        b"SIP/2.1 200 OK\r\nVi",
    ] {
        let shown = String::from_utf8_lossy(other);
        assert!(protocols(&cut_datagram(other, 700)).is_empty(), "{shown}");
    }
}
