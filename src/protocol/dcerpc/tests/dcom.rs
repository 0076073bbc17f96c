//! Bindings of object exporters, as the resolver and the activators answer.

use super::*;

const RESOLVER: Uuid = uuid!("99fcfec4-5260-101b-bbcb-00aa0021347a");
const ACTIVATION: Uuid = uuid!("4d9f4ab8-7d1c-11cf-861e-0020af6e7c57");
const ACTIVATOR: Uuid = uuid!("000001a0-0000-0000-c000-000000000046");
const SCM_REPLY: Uuid = uuid!("000001b6-0000-0000-c000-000000000046");
const OUTPUT: Uuid = uuid!("00000339-0000-0000-c000-000000000046");

/// A DUALSTRINGARRAY of these bindings and one security binding, with its conformance.
fn array(bindings: &[(u16, &str)], wide: bool) -> Vec<u8> {
    let mut units: Vec<u16> = Vec::new();
    for (tower, text) in bindings {
        units.push(*tower);
        units.extend(text.encode_utf16());
        units.push(0);
    }
    units.push(0);
    let security = units.len() as u16;
    units.extend([10, 0xffff, 0, 0]);
    let count = units.len() as u64;
    let mut bytes = count.to_le_bytes()[..if wide { 8 } else { 4 }].to_vec();
    bytes.extend((count as u16).to_le_bytes());
    bytes.extend(security.to_le_bytes());
    bytes.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
    bytes
}

const BINDINGS: &[(u16, &str)] = &[
    (7, "SERVER"),
    (7, "SERVER[49664]"),
    (7, "192.0.2.9[49664]"),
    (15, "\\\\SERVER[\\PIPE\\atsvc]"),
    (31, "SERVER[593]"),
];

fn answered(interface: Uuid, opnum: u16, transfer: Uuid, stub: &[u8]) -> Recorder {
    let (first, second) = stub.split_at(stub.len() / 2);
    play(&[
        (
            CLIENT,
            pdu(11, 3, 1, &bind(&[(0, interface, 0, transfer)]), None),
        ),
        (
            SERVER,
            pdu(12, 3, 1, &ack("135", &[(0, 0, transfer)]), None),
        ),
        (CLIENT, pdu(0, 3, 2, &request(0, opnum, &[1; 24]), None)),
        (SERVER, pdu(2, 1, 2, &response(0, first), None)),
        (SERVER, pdu(2, 2, 2, &response(0, second), None)),
    ])
}

/// Offers as (port, address, host, operation).
fn exporters(recorder: &Recorder) -> Vec<(u16, String, String, &'static str)> {
    offers(recorder)
        .into_iter()
        .map(|offer| match offer.offered {
            Offered::Dcom {
                host, operation, ..
            } => (
                offer.endpoint.port,
                offer.endpoint.address.to_string(),
                host.to_string(),
                operation,
            ),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn expected(operation: &'static str) -> Vec<(u16, String, String, &'static str)> {
    [
        (593, "10.0.0.2", "SERVER"),
        (49664, "10.0.0.2", "SERVER"),
        (49664, "192.0.2.9", "192.0.2.9"),
    ]
    .map(|(port, address, host)| (port, address.to_owned(), host.to_owned(), operation))
    .to_vec()
}

#[test]
fn a_resolved_exporter_is_offered_in_both_encodings() {
    for (opnum, name) in [(0, "ResolveOxid"), (4, "ResolveOxid2")] {
        for (transfer, wide) in [(NDR, false), (NDR64, true)] {
            let mut stub = 0x0002_0000_u64.to_le_bytes()[..if wide { 8 } else { 4 }].to_vec();
            stub.extend(array(BINDINGS, wide));
            align(&mut stub, 4);
            stub.extend([0; 28]);
            let recorder = answered(RESOLVER, opnum, transfer, &stub);
            assert_eq!(exporters(&recorder), expected(name));
            assert_eq!(of(&recorder, "dcom_call"), [name]);
            assert_eq!(of(&recorder, "binding"), ["ncacn_ip_tcp:SERVER"]);
        }
    }
}

#[test]
fn the_resolvers_own_bindings_are_addresses_without_ports() {
    let mut stub = vec![5, 0, 7, 0, 0, 0, 2, 0];
    stub.extend(array(&[(7, "SERVER"), (7, "2001:db8::9")], false));
    align(&mut stub, 4);
    stub.extend([0; 8]);
    let recorder = answered(RESOLVER, 5, NDR, &stub);
    assert!(offers(&recorder).is_empty());
    assert_eq!(
        of(&recorder, "binding"),
        ["ncacn_ip_tcp:2001:db8::9", "ncacn_ip_tcp:SERVER"]
    );
}

#[test]
fn the_old_activation_names_the_exporter() {
    let mut stub = vec![0; 8];
    stub.extend([7; 8]);
    stub.extend([0, 0, 2, 0]);
    stub.extend(array(&[(7, "2001:db8::9[1234]")], false));
    align(&mut stub, 4);
    stub.extend([0; 40]);
    let offered = exporters(&answered(ACTIVATION, 0, NDR, &stub));
    let ports: Vec<_> = offered
        .iter()
        .map(|(port, address, ..)| (*port, &**address))
        .collect();
    assert_eq!(ports, [(1234, "10.0.0.2"), (1234, "2001:db8::9")]);
}

/// The answer of an activation whose properties hold these bytes of the resolver's.
fn activation(property: &[u8]) -> Vec<u8> {
    let serialized = |inner: &[u8]| {
        let mut bytes = vec![1, 0x10, 8, 0, 0xcc, 0xcc, 0xcc, 0xcc];
        bytes.extend((inner.len() as u32).to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(inner);
        bytes
    };
    let (output, reply) = (serialized(&[5; 24]), serialized(property));
    let mut header = Vec::new();
    // Whole size, size of the header, reserved, destination context.
    for number in [0_u32, 112, 0, 2, 2] {
        header.extend(number.to_le_bytes());
    }
    header.extend([0; 16]);
    header.extend([0, 0, 2, 0, 4, 0, 2, 0, 0, 0, 0, 0]);
    header.extend(2_u32.to_le_bytes());
    header.extend(OUTPUT.to_bytes_le());
    header.extend(SCM_REPLY.to_bytes_le());
    header.extend(2_u32.to_le_bytes());
    for property in [&output, &reply] {
        header.extend((property.len() as u32).to_le_bytes());
    }
    let mut blob = serialized(&header);
    blob.resize(112, 0);
    let mut object = 0x574f_454d_u32.to_le_bytes().to_vec();
    object.extend(4_u32.to_le_bytes());
    object.extend([0; 40]);
    object.extend([0; 8]);
    object.extend(blob);
    object.extend(output);
    object.extend(reply);
    let mut stub = vec![1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0];
    for _ in 0..2 {
        stub.extend((object.len() as u32).to_le_bytes());
    }
    stub.extend(object);
    align(&mut stub, 4);
    stub.extend([0; 4]);
    stub
}

fn scm_reply() -> Vec<u8> {
    let mut property = vec![0, 0, 0, 0, 0, 0, 2, 0];
    property.extend([7; 8]);
    property.extend([4, 0, 2, 0]);
    property.extend([0; 24]);
    property.extend(array(BINDINGS, false));
    property
}

#[test]
fn activations_name_the_exporter_in_their_properties() {
    for (opnum, name) in [(3, "RemoteGetClassObject"), (4, "RemoteCreateInstance")] {
        let recorder = answered(ACTIVATOR, opnum, NDR, &activation(&scm_reply()));
        assert_eq!(exporters(&recorder), expected(name));
    }
}

#[test]
fn failed_and_broken_answers_offer_nothing() {
    let failed = answered(
        ACTIVATOR,
        4,
        NDR,
        &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 7, 0x80],
    );
    assert!(offers(&failed).is_empty());
    assert_eq!(of(&failed, "dcom_call"), ["RemoteCreateInstance"]);
    let mut broken = activation(&scm_reply());
    let length = broken.len();
    for at in 0..length {
        broken[at] ^= 0xff;
        conversation(&[(SERVER, &pdu(2, 3, 2, &response(0, &broken), None))]);
        answered_quietly(&broken);
        broken[at] ^= 0xff;
    }
    // Counts that the stub cannot hold.
    let mut stub = vec![0, 0, 2, 0];
    stub.extend([0xff; 64]);
    assert!(of(&answered(RESOLVER, 0, NDR, &stub), "dcom_call").is_empty());
}

fn answered_quietly(stub: &[u8]) {
    conversation(&[
        (
            CLIENT,
            &pdu(11, 3, 1, &bind(&[(0, ACTIVATOR, 0, NDR)]), None),
        ),
        (SERVER, &pdu(12, 3, 1, &ack("135", &[(0, 0, NDR)]), None)),
        (CLIENT, &pdu(0, 3, 2, &request(0, 4, &[1; 24]), None)),
        (SERVER, &pdu(2, 3, 2, &response(0, stub), None)),
    ]);
}

#[test]
fn without_a_bind_nobody_is_taken_for_a_resolver() {
    let mut stub = vec![0, 0, 2, 0];
    stub.extend(array(BINDINGS, false));
    let recorder = midstream(&[
        (CLIENT, &pdu(0, 3, 2, &request(0, 4, &[1; 24]), None)),
        (SERVER, &pdu(2, 3, 2, &response(0, &stub), None)),
    ]);
    assert!(offers(&recorder).is_empty());
}
