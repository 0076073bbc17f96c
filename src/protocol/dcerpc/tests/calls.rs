//! Operations, times of answers, refusals; connectionless messages.

use super::*;

fn bound(interface: Uuid) -> Vec<(Side, Vec<u8>)> {
    vec![
        (
            CLIENT,
            pdu(11, 3, 1, &bind(&[(0, interface, 0, NDR)]), None),
        ),
        (SERVER, pdu(12, 3, 1, &ack("1025", &[(0, 0, NDR)]), None)),
    ]
}

#[test]
fn operations_belong_to_the_context_that_they_were_called_in() {
    let mut segments = bound(STORE);
    for (call, context, opnum) in [(2, 0, 10), (3, 0, 11), (4, 0, 11), (5, 9, 3)] {
        let body = request(context, opnum, &[7; 40]);
        segments.push((CLIENT, pdu(0, 3, call, &body, None)));
    }
    let called = [(0, "10"), (0, "11"), (9, "3")].map(|(context, name)| (context, name.to_owned()));
    assert_eq!(said(&play(&segments), "opnum"), called);
}

#[test]
fn the_time_to_an_answer_is_a_step_of_the_scale_and_the_count_a_power_of_ten() {
    let mut segments = bound(STORE);
    for call in 2..14 {
        segments.push((CLIENT, pdu(0, 3, call, &request(0, 11, &[7; 40]), None)));
        segments.push((SERVER, pdu(2, 3, call, &response(0, &[7; 40]), None)));
    }
    // Two calls at once: the answer of the first comes last, three packets after it.
    for (side, call) in [(CLIENT, 20), (CLIENT, 21), (SERVER, 21), (SERVER, 20)] {
        let body = if side == CLIENT {
            request(0, 11, &[])
        } else {
            response(0, &[])
        };
        let kind = if side == CLIENT { 0 } else { 2 };
        segments.push((side, pdu(kind, 3, call, &body, None)));
    }
    let recorder = play(&segments);
    // Packets are a millisecond apart.
    assert_eq!(
        said(&recorder, "answered_within"),
        [(0, "1000".to_owned()), (0, "5000".to_owned())]
    );
    assert_eq!(
        said(&recorder, "answered"),
        [(0, "1".to_owned()), (0, "10".to_owned())]
    );
}

#[test]
fn a_request_without_an_answer_or_an_answer_without_a_request_has_no_time() {
    let mut segments = bound(STORE);
    segments.push((CLIENT, pdu(0, 3, 2, &request(0, 11, &[]), None)));
    segments.push((SERVER, pdu(2, 3, 3, &response(0, &[]), None)));
    let recorder = play(&segments);
    assert!(of(&recorder, "answered").is_empty() && of(&recorder, "answered_within").is_empty());
}

#[test]
fn a_fault_is_an_answer() {
    let mut segments = bound(STORE);
    let mut fault = response(0, &[]);
    fault.extend(5_u32.to_le_bytes());
    fault.extend([0; 4]);
    segments.push((CLIENT, pdu(0, 3, 2, &request(0, 11, &[]), None)));
    segments.push((SERVER, pdu(3, 3, 2, &fault, None)));
    let recorder = play(&segments);
    assert_eq!(
        of(&recorder, "fault"),
        ["0x00000005 access_denied: access is denied"]
    );
    assert_eq!(of(&recorder, "answered").len(), 1);
}

#[test]
fn sealed_answers_of_the_mapper_are_not_read() {
    let towers = [tcp(STORE, 1058, [10, 0, 0, 2])];
    let token = [0_u8; 16];
    let recorder = play(&[
        (
            CLIENT,
            pdu(
                11,
                3,
                1,
                &bind(&[(0, MAPPER, 3, NDR)]),
                Some((10, 6, b"NTLMSSP\0")),
            ),
        ),
        (SERVER, pdu(12, 3, 1, &ack("135", &[(0, 0, NDR)]), None)),
        (
            CLIENT,
            pdu(
                0,
                3,
                2,
                &request(0, 3, &map_request(&towers[0])),
                Some((10, 6, &token)),
            ),
        ),
        (
            SERVER,
            pdu(
                2,
                3,
                2,
                &response(0, &map_response(&towers, false)),
                Some((10, 6, &token)),
            ),
        ),
    ]);
    assert!(offers(&recorder).is_empty() && of(&recorder, "ept_wanted").is_empty());
    assert_eq!(of(&recorder, "auth_level"), ["privacy", "privacy"]);
}

/// A bind_nak that names the version that the server speaks.
fn refusal() -> Vec<u8> {
    pdu(13, 3, 0x4001_0800, &[4, 0, 1, 5, 0, 0, 0, 0], None)
}

#[test]
fn a_server_that_is_sent_something_else_proves_itself_by_its_refusal() {
    let foreign = b"\0\0\0\xa4\xfe\xedsomething else";
    let recorder = conversation(&[(CLIENT, foreign), (SERVER, &refusal())]);
    assert_eq!(protocols(&recorder), ["dcerpc"]);
    assert_eq!(recorder.client, Some(CLIENT));
    assert_eq!(
        of(&recorder, "bind_nak"),
        ["protocol version not supported"]
    );
    let mut more = refusal();
    more.push(0);
    for odd in [
        &refusal()[..20],
        &more,
        &pdu(13, 3, 1, &[4, 0, 1, 9, 0, 0, 0, 0], None),
    ] {
        assert!(protocols(&conversation(&[(CLIENT, foreign), (SERVER, odd)])).is_empty());
    }
}

#[test]
fn a_server_that_answers_smb_with_a_refusal_speaks_rpc_and_not_smb() {
    let negotiate =
        b"\0\0\0\x2f\xffSMB\x72\0\0\0\0\x08\x01\x40\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x40\x06\0\0\x01\0\
        \0\x0c\0\x02NT LM 0.12\0";
    let alone = conversation(&[(CLIENT, negotiate)]);
    assert_eq!(protocols(&alone), ["netbios_ssn", "smb"]);
    let segments = [
        (CLIENT, &negotiate[..]),
        (SERVER, &refusal()),
        (CLIENT, negotiate),
    ];
    let recorder = conversation(&segments);
    assert_eq!(protocols(&recorder), ["dcerpc"]);
    assert_eq!(recorder.client, Some(CLIENT));
    assert_eq!(
        of(&recorder, "bind_nak"),
        ["protocol version not supported"]
    );
    survives_every_cut(&segments[..2]);
}

#[test]
fn an_answer_that_proves_nothing_leaves_what_the_client_began_with() {
    let request = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
    let recorder = conversation(&[(CLIENT, request), (SERVER, b"\x05\0\x0dsomething else")]);
    assert_eq!(protocols(&recorder), ["http"]);
    let recorder = conversation(&[(CLIENT, request), (SERVER, &refusal())]);
    assert_eq!(protocols(&recorder), ["dcerpc"]);
}

#[test]
fn connectionless_calls_are_timed_from_their_first_sending() {
    let ask = connectionless(0, STORE, 7, &[1; 12]);
    let answer = connectionless(2, STORE, 7, &[2; 12]);
    // Asked again after 1 ms and after the answer; answered after 2 ms, and once more.
    let recorder = datagrams(&[
        (CLIENT, &ask),
        (CLIENT, &ask),
        (SERVER, &answer),
        (CLIENT, &ask),
        (SERVER, &answer),
    ]);
    assert_eq!(of(&recorder, "answered_within"), ["2000"]);
    assert_eq!(of(&recorder, "answered"), ["1"]);
    let mut next = connectionless(2, STORE, 7, &[2; 12]);
    // Another call of the same activity.
    next[64] = 9;
    let recorder = datagrams(&[(CLIENT, &ask), (SERVER, &next)]);
    assert!(of(&recorder, "answered_within").is_empty());
}

#[test]
fn connectionless_calls_show_operation_refusal_and_acknowledgement() {
    let call = connectionless(0, STORE, 7, &[1; 12]);
    let fack = connectionless(
        9,
        STORE,
        7,
        &[0, 0, 8, 0, 0, 0x10, 0, 0, 0, 0x10, 0, 0, 1, 0, 0, 0],
    );
    let reject = connectionless(6, STORE, 7, &0x1c01_0003_u32.to_le_bytes());
    let fault = connectionless(3, STORE, 8, &0x1c01_0002_u32.to_le_bytes());
    let recorder = datagrams(&[
        (CLIENT, &call),
        (SERVER, &fack),
        (SERVER, &reject),
        (SERVER, &fault),
    ]);
    only_registered_attributes(&recorder, &[&DCERPC]);
    assert_eq!(of(&recorder, "opnum"), ["7"]);
    assert_eq!(of(&recorder, "message"), ["fack", "fault", "reject"]);
    assert_eq!(
        of(&recorder, "fault"),
        [
            "0x1c010002 nca_s_op_rng_error: the interface has no such operation",
            "0x1c010003 nca_s_unk_if: the server has no such interface",
        ]
    );
    assert!(of(&recorder, "bound").is_empty());
}

#[test]
fn the_level_of_a_connectionless_call_stands_behind_its_padded_body() {
    let mut call = connectionless(0, STORE, 7, &[1; 12]);
    call[78] = 10;
    call.extend([0; 4]);
    call.extend([6, 0]);
    call.extend([9; 16]);
    let recorder = datagrams(&[(CLIENT, &call)]);
    assert_eq!(of(&recorder, "auth_type"), ["ntlm"]);
    assert_eq!(of(&recorder, "auth_level"), ["privacy"]);
}

fn der(tag: u8, content: &[&[u8]]) -> Vec<u8> {
    let content = content.concat();
    [&[tag, content.len() as u8][..], &content].concat()
}

#[test]
fn a_token_shows_its_mechanism_and_the_service_of_its_ticket() {
    let text = |text: &str| der(0x1b, &[text.as_bytes()]);
    let names = der(0x30, &[&text("exchangeMDB"), &text("ex1.contoso.example")]);
    let principal = der(0x30, &[&[0xa0, 3, 2, 1, 2], &der(0xa1, &[&names])]);
    let realm = der(0xa1, &[&text("CONTOSO.EXAMPLE")]);
    let fields = [&[0xa0, 3, 2, 1, 5][..], &realm, &der(0xa2, &[&principal])];
    let ticket = der(0x61, &[&der(0x30, &fields)]);
    let request = der(
        0x30,
        &[
            &[0xa0, 3, 2, 1, 5],
            &[0xa1, 3, 2, 1, 14],
            &[0xa2, 7, 3, 5, 0, 0x20, 0, 0, 0],
            &der(0xa3, &[&ticket]),
        ],
    );
    let token = der(0x6e, &[&request]);
    let bind = bind(&[(0, STORE, 0, NDR)]);
    let recorder = play(&[(CLIENT, pdu(11, 3, 1, &bind, Some((16, 6, &token))))]);
    assert_eq!(of(&recorder, "mechanism"), ["kerberos"]);
    assert_eq!(
        of(&recorder, "service"),
        ["exchangeMDB/ex1.contoso.example"]
    );
}

#[test]
fn the_mapper_says_why_it_has_no_answer() {
    let mut stub = map_response(&[], false);
    let status = stub.len() - 4;
    stub[status..].copy_from_slice(&0x16c9_a0d6_u32.to_le_bytes());
    let asked = map_request(&tcp(STORE, 0, [0; 4]));
    let recorder = play(&[
        (CLIENT, pdu(11, 3, 1, &bind(&[(0, MAPPER, 3, NDR)]), None)),
        (SERVER, pdu(12, 3, 1, &ack("135", &[(0, 0, NDR)]), None)),
        (CLIENT, pdu(0, 3, 2, &request(0, 3, &asked), None)),
        (SERVER, pdu(2, 3, 2, &response(0, &stub), None)),
    ]);
    assert_eq!(
        of(&recorder, "ept_status"),
        ["0x16c9a0d6 ept_s_not_registered: nothing is registered for the interface"]
    );
}

#[test]
fn an_answer_beyond_the_bound_is_cut_and_counted() {
    let mut segments = vec![
        (CLIENT, pdu(11, 3, 1, &bind(&[(0, MAPPER, 3, NDR)]), None)),
        (SERVER, pdu(12, 3, 1, &ack("135", &[(0, 0, NDR)]), None)),
        (CLIENT, pdu(0, 3, 2, &request(0, 2, &[0; 48]), None)),
    ];
    for (flags, length) in [
        (1, 60_000),
        (0, 60_000),
        (0, 60_000),
        (0, 60_000),
        (2, 60_000),
    ] {
        segments.push((
            SERVER,
            pdu(2, flags, 2, &response(0, &vec![0; length]), None),
        ));
    }
    let borrowed: Vec<(Side, &[u8])> = segments.iter().map(|(s, b)| (*s, &b[..])).collect();
    let over = 5 * 60_000 - super::super::epm::MAX_REPLY_BYTES;
    assert_eq!(of(&conversation(&borrowed), "ept_cut"), [over.to_string()]);
}
