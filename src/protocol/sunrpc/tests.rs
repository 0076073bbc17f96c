use super::super::testing::{
    CLIENT, SERVER, conversation, datagrams, midstream, offers, only_registered_attributes,
    protocols, survives_every_cut, values,
};
use super::*;
use crate::evidence::{Offered, Recorder};

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn string(text: &str) -> Vec<u8> {
    let mut bytes = words(&[u32::try_from(text.len()).unwrap()]);
    bytes.extend(text.as_bytes());
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn call(id: u32, target: [u32; 3], arguments: &[u8]) -> Vec<u8> {
    let [program, version, procedure] = target;
    let head = words(&[id, 0, 2, program, version, procedure, 0, 0, 0, 0]);
    [&head, arguments].concat()
}

fn reply(id: u32, results: &[u8]) -> Vec<u8> {
    [&words(&[id, 1, 0, 0, 0, 0]), results].concat()
}

fn record(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap();
    [&words(&[0x8000_0000 | length]), message].concat()
}

fn offered(recorder: &Recorder) -> Vec<String> {
    let shown = |offer: &crate::evidence::Offer| {
        let Offered::Protocol { protocol, name } = &offer.offered else {
            panic!("{offer:?}");
        };
        format!("{}/{} {protocol} {name}", offer.endpoint, offer.transport)
    };
    offers(recorder).iter().map(shown).collect()
}

fn with_credentials(id: u32) -> Vec<u8> {
    let body = [words(&[9]), string("nfs1"), words(&[0, 0, 0])].concat();
    let length = u32::try_from(body.len()).unwrap();
    [
        words(&[id, 0, 2, 100_003, 3, 1, 1, length]),
        body,
        words(&[0, 0]),
        words(&[4, 1]),
    ]
    .concat()
}

#[test]
fn a_call_shows_program_credentials_and_error() {
    let denied = words(&[7, 1, 1, 1, 5]);
    let recorder = datagrams(&[(CLIENT, &with_credentials(7)), (SERVER, &denied)]);
    assert_eq!(protocols(&recorder), ["sunrpc"]);
    assert_eq!(recorder.client, Some(CLIENT));
    for (attribute, value) in [
        ("program", "nfs 3"),
        ("procedure", "nfs 3 procedure 1"),
        ("flavor", "sys"),
        ("machine", "nfs1"),
        ("error", "authentication_error"),
    ] {
        assert_eq!(values(&recorder, "sunrpc", attribute), [value]);
    }
    only_registered_attributes(&recorder, &[&SUNRPC]);
}

#[test]
fn ports_that_a_portmapper_names_are_offered() {
    let asked = call(1, [100_000, 2, 3], &words(&[100_005, 1, 17, 0]));
    let recorder = datagrams(&[(CLIENT, &asked), (SERVER, &reply(1, &words(&[635])))]);
    assert_eq!(offered(&recorder), ["10.0.0.2:635/udp sunrpc mount 1"]);

    let arguments = [words(&[100_003, 4]), string("tcp"), string(""), string("")].concat();
    let asked = call(2, [100_000, 4, 3], &arguments);
    let answer = reply(2, &string("0.0.0.0.8.1"));
    let recorder = datagrams(&[(CLIENT, &asked), (SERVER, &answer)]);
    assert_eq!(offered(&recorder), ["10.0.0.2:2049/tcp sunrpc nfs 4"]);

    let list = words(&[1, 100_021, 4, 6, 4045, 1, 100_024, 1, 99, 1, 0]);
    let dump = call(3, [100_000, 2, 4], &[]);
    let played = [
        (CLIENT, &record(&dump)[..]),
        (SERVER, &record(&reply(3, &list))),
    ];
    assert_eq!(
        offered(&conversation(&played)),
        ["10.0.0.2:4045/tcp sunrpc nlockmgr 4"]
    );
    survives_every_cut(&played);

    let none = reply(1, &words(&[0]));
    let asked = call(1, [100_000, 2, 3], &words(&[100_005, 1, 17, 0]));
    assert!(offers(&datagrams(&[(CLIENT, &asked), (SERVER, &none)])).is_empty());
}

#[test]
fn a_list_of_rpcbind_is_read() {
    let entry = [
        words(&[1, 100_003, 3]),
        string("udp6"),
        string("::.8.1"),
        string("superuser"),
        words(&[0]),
    ];
    let dump = call(3, [100_000, 3, 4], &[]);
    let answer = reply(3, &entry.concat());
    let recorder = datagrams(&[(CLIENT, &dump), (SERVER, &answer)]);
    assert_eq!(offered(&recorder), ["10.0.0.2:2049/udp sunrpc nfs 3"]);
}

#[test]
fn a_record_in_fragments_and_its_successor_are_read() {
    let message = call(1, [100_003, 3, 7], &[b'x'; 64]);
    let (first, second) = message.split_at(48);
    let mut stream = words(&[48]);
    stream.extend(first);
    stream.extend(record(second));
    stream.extend(record(&call(2, [100_003, 3, 8], &[])));
    let recorder = conversation(&[(CLIENT, &stream)]);
    let procedures = values(&recorder, "sunrpc", "procedure");
    assert_eq!(procedures, ["nfs 3 procedure 7", "nfs 3 procedure 8"]);
    let recorder = midstream(&[(CLIENT, &record(&call(2, [100_003, 3, 8], &[])))]);
    assert_eq!(protocols(&recorder), ["sunrpc"]);
}

#[test]
fn long_records_are_passed_over() {
    let write = call(1, [100_003, 3, 7], &vec![0; WHOLE]);
    let both = [record(&write), record(&call(2, [100_003, 3, 8], &[]))].concat();
    let pieces: Vec<_> = both.chunks(1000).map(|piece| (CLIENT, piece)).collect();
    let recorder = conversation(&pieces);
    assert_eq!(values(&recorder, "sunrpc", "procedure").len(), 2);
}

#[test]
fn replies_alone_prefixes_and_wrong_values_prove_nothing() {
    assert!(protocols(&datagrams(&[(SERVER, &reply(1, &[]))])).is_empty());
    assert!(protocols(&conversation(&[(SERVER, &record(&reply(1, &[])))])).is_empty());
    let good = with_credentials(7);
    for length in 0..good.len() - 8 {
        assert!(protocols(&datagrams(&[(CLIENT, &good[..length])])).is_empty());
    }
    let clock = call(1, [u32::from_be_bytes(*b"INIT"), 0, 0], &[0; 8]);
    assert!(protocols(&datagrams(&[(CLIENT, &clock)])).is_empty());
    for (word, value) in [
        (1, 2),
        (2, 3),
        (3, 5),
        (3, 0x6000_0000),
        (5, 9999),
        (6, 99),
        (7, 500),
    ] {
        let mut bytes = good.clone();
        bytes[word * 4..][..4].copy_from_slice(&u32::to_be_bytes(value));
        assert!(protocols(&datagrams(&[(CLIENT, &bytes)])).is_empty());
        assert!(protocols(&conversation(&[(CLIENT, &record(&bytes))])).is_empty());
    }
}

#[test]
fn a_call_of_a_known_program_that_is_cut_before_its_credentials_end_is_a_call() {
    use crate::protocol::testing::{cut_conversation, cut_datagram};
    // NFS version 3, procedure 1, credentials of 44 octets.
    let call = [
        0x12, 0x34, 0x56, 0x78, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0x86, 0xa3, 0, 0, 0, 3, 0, 0, 0, 1,
        0, 0, 0, 1, 0, 0, 0, 44, 0, 0, 0, 0, 0, 0, 0, 7, b'c',
    ];
    let recorder = cut_datagram(&call, 140);
    assert_eq!(protocols(&recorder), ["sunrpc"]);
    assert_eq!(values(&recorder, "sunrpc", "program"), ["nfs 3"]);
    assert!(protocols(&cut_datagram(&call, call.len())).is_empty());
    let mut unknown = call;
    unknown[14] = 0x99;
    assert!(protocols(&cut_datagram(&unknown, 140)).is_empty());
    let record = [&[0x80, 0, 0, 140][..], &call[..26]].concat();
    let segments = [(Side::A, &record[..], 114)];
    assert_eq!(protocols(&cut_conversation(&segments)), ["sunrpc"]);
}
