mod calls;
mod channels;
mod dcom;

use std::net::IpAddr;

use uuid::{Uuid, uuid};

use super::super::testing::*;
use super::DCERPC;
use crate::evidence::{Offered, Recorder};
use crate::net::{Side, Transport};
use crate::protocol::testing::tokens::ntlm_authenticate;

const NDR: Uuid = uuid!("8a885d04-1ceb-11c9-9fe8-08002b104860");
const NDR64: Uuid = uuid!("71710533-beba-4937-8319-b5dbef9ccc36");
const FEATURES: Uuid = uuid!("6cb71c2c-9812-4540-0300-000000000000");
const MAPPER: Uuid = super::epm::INTERFACE;
const STORE: Uuid = uuid!("a4f1db00-ca47-1067-b31f-00dd010662da");

/// A PDU: `auth` is type, level and token.
fn pdu(kind: u8, flags: u8, call: u32, body: &[u8], auth: Option<(u8, u8, &[u8])>) -> Vec<u8> {
    let mut tail = Vec::new();
    let mut auth_length = 0;
    if let Some((service, level, token)) = auth {
        tail.extend([0; 4]);
        tail.extend([service, level, 4, 0, 0, 0, 0, 0]);
        tail.extend(token);
        auth_length = token.len() as u16;
    }
    let mut pdu = vec![5, 0, kind, flags, 0x10, 0, 0, 0];
    pdu.extend(((16 + body.len() + tail.len()) as u16).to_le_bytes());
    pdu.extend(auth_length.to_le_bytes());
    pdu.extend(call.to_le_bytes());
    pdu.extend(body);
    pdu.extend(tail);
    pdu
}

fn syntax(uuid: Uuid, major: u16, minor: u16) -> Vec<u8> {
    [
        &uuid.to_bytes_le()[..],
        &major.to_le_bytes(),
        &minor.to_le_bytes(),
    ]
    .concat()
}

fn bind(contexts: &[(u16, Uuid, u16, Uuid)]) -> Vec<u8> {
    let mut body = vec![
        0xd0,
        0x16,
        0xd0,
        0x16,
        0,
        0,
        0,
        0,
        contexts.len() as u8,
        0,
        0,
        0,
    ];
    for &(context, interface, major, transfer) in contexts {
        body.extend(context.to_le_bytes());
        body.extend([1, 0]);
        body.extend(syntax(interface, major, 0));
        body.extend(syntax(transfer, 2, 0));
    }
    body
}

fn ack(address: &str, outcomes: &[(u16, u16, Uuid)]) -> Vec<u8> {
    let mut body = vec![0xd0, 0x16, 0xd0, 0x16, 1, 0, 0, 0];
    body.extend((address.len() as u16 + 1).to_le_bytes());
    body.extend(address.as_bytes());
    body.push(0);
    while !body.len().is_multiple_of(4) {
        body.push(0);
    }
    body.extend([outcomes.len() as u8, 0, 0, 0]);
    for &(result, reason, transfer) in outcomes {
        body.extend(result.to_le_bytes());
        body.extend(reason.to_le_bytes());
        body.extend(syntax(transfer, 2, 0));
    }
    body
}

fn request(context: u16, opnum: u16, stub: &[u8]) -> Vec<u8> {
    let mut body = (stub.len() as u32).to_le_bytes().to_vec();
    body.extend(context.to_le_bytes());
    body.extend(opnum.to_le_bytes());
    body.extend(stub);
    body
}

fn response(context: u16, stub: &[u8]) -> Vec<u8> {
    request(context, 0, stub)
}

fn tower(interface: Uuid, last: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut tower = (3 + last.len() as u16).to_le_bytes().to_vec();
    for uuid in [interface, NDR] {
        tower.extend([19, 0, 13]);
        tower.extend(uuid.to_bytes_le());
        tower.extend([3, 0, 2, 0, 1, 0]);
    }
    tower.extend([1, 0, 11, 2, 0, 0, 0]);
    for (id, value) in last {
        tower.extend([1, 0, *id]);
        tower.extend((value.len() as u16).to_le_bytes());
        tower.extend(value);
    }
    tower
}

fn tcp(interface: Uuid, port: u16, address: [u8; 4]) -> Vec<u8> {
    tower(
        interface,
        &[(7, port.to_be_bytes().to_vec()), (9, address.to_vec())],
    )
}

fn align(stub: &mut Vec<u8>, to: usize) {
    while !stub.len().is_multiple_of(to) {
        stub.push(0);
    }
}

fn map_request(tower: &[u8]) -> Vec<u8> {
    let mut stub = vec![1, 0, 0, 0];
    stub.extend([0; 16]);
    stub.extend([2, 0, 0, 0]);
    stub.extend((tower.len() as u32).to_le_bytes());
    stub.extend((tower.len() as u32).to_le_bytes());
    stub.extend(tower);
    align(&mut stub, 4);
    stub.extend([0; 20]);
    stub.extend([4, 0, 0, 0]);
    stub
}

fn map_response(towers: &[Vec<u8>], wide: bool) -> Vec<u8> {
    let count = |stub: &mut Vec<u8>, value: u64| {
        if wide {
            align(stub, 8);
            stub.extend(value.to_le_bytes());
        } else {
            align(stub, 4);
            stub.extend((value as u32).to_le_bytes());
        }
    };
    let mut stub = vec![0; 20];
    stub.extend((towers.len() as u32).to_le_bytes());
    count(&mut stub, 8);
    count(&mut stub, 0);
    count(&mut stub, towers.len() as u64);
    for number in 0..towers.len() {
        count(&mut stub, number as u64 + 3);
    }
    for tower in towers {
        count(&mut stub, tower.len() as u64);
        stub.extend((tower.len() as u32).to_le_bytes());
        stub.extend(tower);
    }
    align(&mut stub, 4);
    stub.extend([0; 4]);
    stub
}

fn of(recorder: &Recorder, name: &str) -> Vec<String> {
    values(recorder, "dcerpc", name)
}

/// Values of an attribute with what they are about.
fn said(recorder: &Recorder, name: &str) -> Vec<(u64, String)> {
    super::super::testing::said(recorder, "dcerpc", name)
}

/// Offers as (port, address, tower address).
fn endpoints(recorder: &Recorder) -> Vec<(u16, String, Option<IpAddr>)> {
    offers(recorder)
        .into_iter()
        .map(|offer| match offer.offered {
            Offered::Rpc { tower_address, .. } => (
                offer.endpoint.port,
                offer.endpoint.address.to_string(),
                tower_address,
            ),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn play(segments: &[(Side, Vec<u8>)]) -> Recorder {
    let borrowed: Vec<(Side, &[u8])> = segments.iter().map(|(s, b)| (*s, &b[..])).collect();
    let recorder = conversation(&borrowed);
    only_registered_attributes(&recorder, &[&DCERPC]);
    survives_every_cut(&borrowed);
    recorder
}

#[test]
fn only_accepted_contexts_are_bound() {
    let recorder = play(&[
        (
            CLIENT,
            pdu(
                11,
                3,
                1,
                &bind(&[
                    (0, STORE, 0, NDR),
                    (1, STORE, 0, NDR64),
                    (2, MAPPER, 3, NDR),
                    (3, STORE, 0, FEATURES),
                ]),
                None,
            ),
        ),
        (
            SERVER,
            pdu(
                12,
                3,
                1,
                &ack(
                    "1025",
                    &[(0, 0, NDR), (2, 2, NDR), (2, 1, NDR), (3, 3, NDR)],
                ),
                None,
            ),
        ),
        (CLIENT, pdu(0, 3, 2, &request(0, 10, &[7; 40]), None)),
    ]);
    assert_eq!(protocols(&recorder), ["dcerpc"]);
    assert_eq!(recorder.client, Some(CLIENT));
    assert_eq!(of(&recorder, "bound"), [format!("{STORE} 0.0")]);
    assert_eq!(
        of(&recorder, "rejected"),
        [format!("{MAPPER} 3.0: abstract syntax not supported")]
    );
    assert_eq!(of(&recorder, "secondary_address"), ["1025"]);
    assert_eq!(of(&recorder, "auth_level"), ["none"]);
    assert_eq!(of(&recorder, "opnum"), ["10"]);
    assert!(
        !of(&recorder, "requested")
            .iter()
            .any(|v| v.contains("8a885d04"))
    );
}

#[test]
fn the_level_of_requests_is_read_from_their_trailers() {
    let token = [0_u8; 16];
    let recorder = play(&[
        (
            CLIENT,
            pdu(
                11,
                3,
                1,
                &bind(&[(0, STORE, 0, NDR)]),
                Some((10, 6, b"NTLMSSP\0")),
            ),
        ),
        (SERVER, pdu(12, 3, 1, &ack("6001", &[(0, 0, NDR)]), None)),
        (
            CLIENT,
            pdu(0, 3, 2, &request(0, 11, &[9; 3000]), Some((10, 5, &token))),
        ),
        (
            SERVER,
            pdu(2, 3, 2, &response(0, &[9; 50]), Some((10, 5, &token))),
        ),
    ]);
    assert_eq!(of(&recorder, "bind_auth_level"), ["privacy"]);
    assert_eq!(of(&recorder, "auth_level"), ["integrity", "integrity"]);
    assert!(
        of(&recorder, "auth_type")
            .iter()
            .all(|service| service == "ntlm")
    );
}

#[test]
fn tokens_of_a_bind_and_its_third_leg_say_who_sends_them() {
    let challenge = b"NTLMSSP\0\x02\0\0\0\x06\0\x06\0\x38\0\0\0\x05\x82\x89\xa2\x11\x22\x33\x44\x55\x66\x77\x88\
        \0\0\0\0\0\0\0\0\0\0\0\0\x3e\0\0\0\x0a\0\x63\x45\0\0\0\x0fD\0O\0M\0";
    let last = ntlm_authenticate("DOM", "PC7", 6, 24);
    let recorder = play(&[
        (
            CLIENT,
            pdu(
                11,
                3,
                1,
                &bind(&[(0, STORE, 0, NDR)]),
                Some((10, 6, b"NTLMSSP\0\x01\0\0\0")),
            ),
        ),
        (
            SERVER,
            pdu(
                12,
                3,
                1,
                &ack("6001", &[(0, 0, NDR)]),
                Some((10, 6, challenge)),
            ),
        ),
        (CLIENT, pdu(16, 3, 1, &[0; 4], Some((10, 6, &last)))),
    ]);
    assert_eq!(of(&recorder, "mechanism"), ["ntlm"; 2]);
    assert_eq!(of(&recorder, "gss_domain"), ["DOM"; 2]);
    assert_eq!(of(&recorder, "gss_host"), ["PC7"]);
    assert_eq!(of(&recorder, "gss_version"), ["10.0.17763"; 2]);
}

#[test]
fn calls_at_level_connect_carry_no_trailer() {
    let recorder = play(&[
        (
            CLIENT,
            pdu(
                11,
                3,
                1,
                &bind(&[(0, STORE, 0, NDR)]),
                Some((9, 2, &[1; 20])),
            ),
        ),
        (CLIENT, pdu(0, 3, 2, &request(0, 1, &[]), None)),
    ]);
    assert_eq!(of(&recorder, "auth_level"), ["connect"]);
    assert_eq!(of(&recorder, "auth_type"), ["negotiate"]);
}

#[test]
fn every_tower_of_a_map_answer_becomes_an_offer_in_both_encodings() {
    for (transfer, wide) in [(NDR, false), (NDR64, true)] {
        let towers = [
            tcp(STORE, 1058, [10, 0, 0, 2]),
            tcp(STORE, 1059, [192, 0, 2, 9]),
            tcp(STORE, 1060, [0, 0, 0, 0]),
            tower(
                STORE,
                &[(15, b"\\PIPE\\x\0".to_vec()), (17, b"\\\\S\0".to_vec())],
            ),
            tower(STORE, &[(31, vec![0x17, 0x71]), (9, vec![0, 0, 0, 0])]),
        ];
        let stub = map_response(&towers, wide);
        let (first, second) = stub.split_at(100);
        let recorder = play(&[
            (
                CLIENT,
                pdu(11, 3, 1, &bind(&[(0, MAPPER, 3, transfer)]), None),
            ),
            (
                SERVER,
                pdu(12, 3, 1, &ack("135", &[(0, 0, transfer)]), None),
            ),
            (
                CLIENT,
                pdu(0, 3, 2, &request(0, 3, &map_request(&towers[0])), None),
            ),
            (SERVER, pdu(2, 1, 2, &response(0, first), None)),
            (SERVER, pdu(2, 2, 2, &response(0, second), None)),
        ]);
        let other = Some("192.0.2.9".parse().unwrap());
        let zero = Some("0.0.0.0".parse().unwrap());
        assert_eq!(
            endpoints(&recorder),
            [
                (1058, "10.0.0.2".into(), None),
                (1059, "10.0.0.2".into(), other),
                (1060, "10.0.0.2".into(), zero),
                (6001, "10.0.0.2".into(), zero),
                (1059, "192.0.2.9".into(), None),
            ]
        );
        assert_eq!(of(&recorder, "pipe"), ["\\PIPE\\x"]);
        if !wide {
            assert_eq!(of(&recorder, "ept_wanted"), [format!("{STORE} 3.1")]);
        }
    }
}

#[test]
fn a_lookup_answer_gives_the_servers_own_names() {
    let tower = tcp(STORE, 2000, [10, 0, 0, 2]);
    let mut stub = vec![0; 20];
    stub.extend([1, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
    stub.extend([0; 16]);
    stub.extend([3, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0]);
    stub.extend(b"Store\0");
    align(&mut stub, 4);
    stub.extend((tower.len() as u32).to_le_bytes());
    stub.extend((tower.len() as u32).to_le_bytes());
    stub.extend(&tower);
    align(&mut stub, 4);
    stub.extend([0; 4]);
    let recorder = play(&[
        (CLIENT, pdu(11, 3, 1, &bind(&[(0, MAPPER, 3, NDR)]), None)),
        (SERVER, pdu(12, 3, 1, &ack("135", &[(0, 0, NDR)]), None)),
        (CLIENT, pdu(0, 3, 2, &request(0, 2, &[0; 48]), None)),
        (SERVER, pdu(2, 3, 2, &response(0, &stub), None)),
    ]);
    let Offered::Rpc { annotation, .. } = &offers(&recorder)[0].offered else {
        panic!("no interface");
    };
    assert_eq!(annotation.as_deref(), Some("Store"));
}

#[test]
fn without_a_bind_only_an_exact_map_answer_to_a_map_request_counts() {
    let tower = tcp(STORE, 1058, [10, 0, 0, 2]);
    let asked = pdu(0, 3, 2, &request(0, 3, &map_request(&tower)), None);
    let mut stub = map_response(&[tower], false);
    let answered = pdu(2, 3, 2, &response(0, &stub), None);
    let recorder = midstream(&[(CLIENT, &asked), (SERVER, &answered)]);
    assert_eq!(endpoints(&recorder).len(), 1);
    stub.extend([1; 40]);
    let padded = pdu(2, 3, 2, &response(0, &stub), None);
    assert!(endpoints(&midstream(&[(CLIENT, &asked), (SERVER, &padded)])).is_empty());
    assert!(endpoints(&midstream(&[(SERVER, &answered)])).is_empty());
}

#[test]
fn refusals_and_faults_are_named() {
    let mut fault = response(0, &[]);
    fault.extend(0x1c01_0003_u32.to_le_bytes());
    fault.extend([0; 4]);
    let recorder = play(&[
        (CLIENT, pdu(0, 3, 2, &request(0, 7, &[1; 8]), None)),
        (SERVER, pdu(3, 3, 2, &fault, None)),
        (CLIENT, pdu(11, 3, 3, &bind(&[(0, STORE, 0, NDR)]), None)),
        (SERVER, pdu(13, 3, 3, &[8, 0, 0], None)),
    ]);
    assert_eq!(
        of(&recorder, "fault"),
        ["0x1c010003 nca_s_unk_if: the server has no such interface"]
    );
    assert_eq!(
        of(&recorder, "bind_nak"),
        ["authentication type not recognized"]
    );
}

#[test]
fn big_endian_pdus_are_read() {
    let mut bytes = vec![5, 0, 11, 3, 0, 0, 0, 0, 0, 72, 0, 0, 0, 0, 0, 1];
    bytes.extend([0x10, 0, 0x10, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 4, 1, 0]);
    bytes.extend(STORE.as_bytes());
    bytes.extend([0, 81, 0, 0]);
    bytes.extend(NDR.as_bytes());
    bytes.extend([0, 0, 0, 2]);
    let recorder = play(&[(CLIENT, bytes)]);
    assert_eq!(of(&recorder, "requested"), [format!("{STORE} 0.81")]);
}

#[test]
fn a_server_may_greet_before_it_is_bound() {
    let recorder = play(&[
        (SERVER, b"ncacn_http/1.0".to_vec()),
        (CLIENT, pdu(11, 3, 1, &bind(&[(0, STORE, 0, NDR)]), None)),
    ]);
    assert_eq!(recorder.client, Some(CLIENT));
    assert_eq!(of(&recorder, "requested").len(), 1);
}

#[test]
fn a_lost_beginning_is_resumed_at_the_next_header() {
    let mut first = vec![0xaa; 30];
    first.extend(pdu(0, 3, 9, &request(1, 4, &[5; 12]), None));
    let second = pdu(0, 3, 10, &request(1, 5, &[5; 12]), None);
    let recorder = midstream(&[(CLIENT, &first), (CLIENT, &second)]);
    assert_eq!(of(&recorder, "opnum"), ["5"]);
}

#[test]
fn openings_of_other_protocols_are_refused() {
    for bytes in [
        &b"\x05\x01\x00"[..],
        b"\x05\x01\x00\x03\x09localhost\x00\x50",
        b"\x05\x00\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50",
        b"nick x\r\nuser",
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        assert!(!protocols(&conversation(&[(CLIENT, bytes)])).contains(&"dcerpc"));
    }
    let mut worm = vec![4; 97];
    worm.extend([1; 279]);
    assert!(protocols(&datagrams(&[(CLIENT, &worm)])).is_empty());
}

/// A connectionless PDU.
fn connectionless(kind: u8, interface: Uuid, opnum: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![4, kind, 0x20, 0, 0x10, 0, 0, 0];
    bytes.extend([0; 16]);
    bytes.extend(interface.to_bytes_le());
    bytes.extend([7; 16]);
    bytes.extend([0; 4]);
    bytes.extend([3, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend(opnum.to_le_bytes());
    bytes.extend([0xff; 4]);
    bytes.extend((body.len() as u16).to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(body);
    bytes
}

#[test]
fn the_mapper_answers_in_datagrams_as_well() {
    let udp = tower(STORE, &[(8, vec![4, 0]), (9, vec![10, 0, 0, 2])]);
    let asked = connectionless(0, MAPPER, 3, &map_request(&udp));
    let answered = connectionless(2, MAPPER, 3, &map_response(&[udp], false));
    let recorder = datagrams(&[(CLIENT, &asked), (SERVER, &answered)]);
    only_registered_attributes(&recorder, &[&DCERPC]);
    assert_eq!(recorder.client, Some(CLIENT));
    assert_eq!(of(&recorder, "bound"), [format!("{MAPPER} 3.0")]);
    let offer = &offers(&recorder)[0];
    assert_eq!(
        (offer.transport, offer.endpoint.port),
        (Transport::UDP, 1024)
    );
    for length in 0..answered.len() {
        assert!(protocols(&datagrams(&[(SERVER, &answered[..length])])).is_empty());
    }
    assert_eq!(of(&recorder, "opnum"), ["3"]);
    assert_eq!(of(&recorder, "auth_level"), ["none", "none"]);
    let mut longer = answered.clone();
    longer.push(0);
    assert!(protocols(&datagrams(&[(SERVER, &longer)])).is_empty());
}
