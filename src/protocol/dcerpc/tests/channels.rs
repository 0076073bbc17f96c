//! RPC over HTTP: channels, alone and in the bodies of their requests and responses.

use super::*;

const CONNECTION: Uuid = uuid!("0fc3b7a1-9d5e-4c5c-8f7b-3f2f6a7e1c11");
const CHANNEL: Uuid = uuid!("7a3d4e5f-0011-4233-8455-66778899aabb");

fn command(kind: u32, value: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes(), value].concat()
}

fn rts(flags: u16, commands: &[Vec<u8>]) -> Vec<u8> {
    let mut body = flags.to_le_bytes().to_vec();
    body.extend((commands.len() as u16).to_le_bytes());
    body.extend(commands.concat());
    pdu(20, 3, 0, &body, None)
}

fn version() -> Vec<u8> {
    command(6, &[1, 0, 0, 0])
}

fn cookie(value: Uuid) -> Vec<u8> {
    command(3, &value.to_bytes_le())
}

/// Opens the OUT channel.
fn conn_a1() -> Vec<u8> {
    let window = command(0, &[0, 0, 1, 0]);
    rts(0, &[version(), cookie(CONNECTION), cookie(CHANNEL), window])
}

/// Opens the IN channel.
fn conn_b1() -> Vec<u8> {
    let group = command(12, &[9; 16]);
    let (lifetime, keepalive) = (command(4, &[0, 0, 0, 64]), command(5, &[0xe0, 0x93, 4, 0]));
    rts(
        0,
        &[
            version(),
            cookie(CONNECTION),
            cookie(CHANNEL),
            lifetime,
            keepalive,
            group,
        ],
    )
}

const IN: &[u8] = b"RPC_IN_DATA /rpc/rpcproxy.dll?ex1.contoso.example:6001 HTTP/1.1\r\nContent-Length: 1073741824\r\n\r\n";
const OUT: &[u8] = b"RPC_OUT_DATA /rpc/rpcproxy.dll?ex1.contoso.example:6001 HTTP/1.1\r\nContent-Length: 76\r\n\r\n";
const OK: &[u8] =
    b"HTTP/1.1 200 Success\r\nContent-Type: application/rpc\r\nContent-Length: 1073741824\r\n\r\n";

/// Subject of the first proposal of call 1.
const FIRST: u64 = 1 << 32;
/// Subject of call 2 in context 0.
const CALL: u64 = 2 << 32;

#[test]
fn the_in_channel_shows_what_is_asked_and_called() {
    let segments = [
        (CLIENT, IN.to_vec()),
        (CLIENT, conn_b1()),
        (
            CLIENT,
            pdu(
                11,
                3,
                1,
                &bind(&[(0, STORE, 0, NDR), (1, STORE, 0, NDR64)]),
                None,
            ),
        ),
        (CLIENT, pdu(0, 3, 2, &request(0, 10, &[7; 40]), None)),
    ];
    let recorder = play(&segments);
    assert_eq!(protocols(&recorder), ["http", "dcerpc"]);
    assert_eq!(recorder.client, Some(CLIENT));
    assert_eq!(of(&recorder, "rts"), ["CONN/B1"]);
    assert_eq!(
        of(&recorder, "virtual_connection"),
        [CONNECTION.to_string()]
    );
    let store = format!("{STORE} 0.0");
    assert_eq!(of(&recorder, "requested"), [store.clone(), store.clone()]);
    assert_eq!(
        said(&recorder, "proposed"),
        [(FIRST, store.clone()), (FIRST | 1 << 16 | 1, store.clone())]
    );
    assert_eq!(said(&recorder, "opnum"), [(0, "10".to_owned())]);
    assert_eq!(said(&recorder, "channel_call"), [(CALL, "10".to_owned())]);
    assert!(of(&recorder, "channel_answer").is_empty());
    assert!(of(&recorder, "bound").is_empty());
}

#[test]
fn the_out_channel_shows_what_is_accepted_and_answered() {
    let conn_a3 = rts(0, &[command(2, &[0xc0, 0xd4, 1, 0])]);
    let mut fault = response(0, &[]);
    fault.extend(0x1c01_0014_u32.to_le_bytes());
    fault.extend([0; 4]);
    let segments = [
        (CLIENT, OUT.to_vec()),
        (CLIENT, conn_a1()),
        (SERVER, OK.to_vec()),
        (SERVER, conn_a3),
        (
            SERVER,
            pdu(12, 3, 1, &ack("6001", &[(0, 0, NDR), (2, 2, NDR)]), None),
        ),
        (SERVER, pdu(3, 3, 2, &fault, None)),
        (SERVER, pdu(2, 1, 3, &response(1, &[7; 40]), None)),
        (SERVER, pdu(2, 2, 3, &response(1, &[7; 40]), None)),
    ];
    let recorder = play(&segments);
    assert_eq!(protocols(&recorder), ["http", "dcerpc"]);
    assert_eq!(of(&recorder, "rts"), ["CONN/A1", "CONN/A3"]);
    assert_eq!(
        of(&recorder, "virtual_connection"),
        [CONNECTION.to_string()]
    );
    assert_eq!(said(&recorder, "accepted"), [(FIRST, format!("{NDR} 2.0"))]);
    let second = (3 << 32 | 1, "1".to_owned());
    assert_eq!(
        said(&recorder, "channel_answer"),
        [(CALL, "0".to_owned()), second]
    );
    assert!(of(&recorder, "channel_call").is_empty());
    assert!(of(&recorder, "answered_within").is_empty());
    assert_eq!(
        of(&recorder, "fault"),
        ["0x1c010014 nca_s_server_too_busy: the server is too busy"]
    );
}

#[test]
fn the_proxy_names_its_client_to_the_server_behind_it_on_any_port() {
    let mut address = vec![0, 0, 0, 0, 192, 0, 2, 77];
    address.extend([0; 12]);
    let commands = [
        version(),
        cookie(CONNECTION),
        cookie(CHANNEL),
        command(0, &[0, 0, 1, 0]),
        command(2, &[0xc0, 0xd4, 1, 0]),
        command(12, &[9; 16]),
        command(11, &address),
    ];
    let recorder = play(&[
        (SERVER, b"ncacn_http/1.0".to_vec()),
        (CLIENT, rts(8, &commands)),
        (CLIENT, pdu(11, 3, 1, &bind(&[(0, STORE, 0, NDR)]), None)),
    ]);
    assert_eq!(of(&recorder, "greeting"), ["ncacn_http/1.0"]);
    assert_eq!(of(&recorder, "rts"), ["CONN/B2"]);
    assert_eq!(of(&recorder, "rts_client"), ["192.0.2.77"]);
    assert_eq!(
        said(&recorder, "proposed"),
        [(FIRST, format!("{STORE} 0.0"))]
    );
}

#[test]
fn other_control_messages_are_named_by_what_they_do() {
    let flow = [vec![0; 8], CHANNEL.to_bytes_le().to_vec()].concat();
    let pad = [&3_u32.to_le_bytes()[..], &[0; 3]].concat();
    for (message, name) in [
        (
            rts(2, &[command(13, &[0; 4]), command(1, &flow)]),
            "flow_control_ack",
        ),
        (rts(1, &[]), "ping"),
        (rts(4, &[command(13, &[0; 4]), command(10, &[])]), "recycle"),
        (rts(0x40, &[]), "echo"),
        (rts(0x20, &[command(7, &[])]), "eof"),
        (rts(0, &[command(0, &[0; 4]), version()]), "CONN/B3"),
        (
            rts(0, &[version(), command(0, &[0; 4]), command(2, &[0; 4])]),
            "CONN/C",
        ),
        (rts(0, &[command(8, &pad)]), "other"),
    ] {
        assert_eq!(of(&play(&[(CLIENT, message)]), "rts"), [name]);
    }
}

#[test]
fn a_channel_that_fails_ends_in_http() {
    let failed = b"HTTP/1.1 503 RPC Error: 6ba\r\nContent-Length: 0\r\n\r\n";
    let recorder = play(&[
        (CLIENT, IN.to_vec()),
        (CLIENT, conn_b1()),
        (SERVER, failed.to_vec()),
    ]);
    assert_eq!(values(&recorder, "http", "status"), ["503"]);
}

#[test]
fn version_1_speaks_both_directions_after_its_connect() {
    let recorder = play(&[
        (
            CLIENT,
            b"RPC_CONNECT ex1.contoso.example:593 HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        ),
        (SERVER, b"HTTP/1.1 200 Success\r\n\r\n".to_vec()),
        (SERVER, b"ncacn_http/1.0".to_vec()),
        (CLIENT, pdu(11, 3, 1, &bind(&[(0, MAPPER, 3, NDR)]), None)),
        (SERVER, pdu(12, 3, 1, &ack("593", &[(0, 0, NDR)]), None)),
    ]);
    assert_eq!(protocols(&recorder), ["http", "dcerpc"]);
    assert_eq!(of(&recorder, "bound"), [format!("{MAPPER} 3.0")]);
}

#[test]
fn control_messages_that_make_no_sense_say_nothing() {
    for odd in [
        rts(0, &[command(99, &[0; 4])]),
        rts(0, &[command(8, &[0xff; 4])]),
        rts(0, &[command(11, &[2, 0, 0, 0])]),
    ] {
        assert!(of(&play(&[(CLIENT, odd)]), "rts").is_empty());
    }
    let mut foreign = rts(0, &[version()]);
    foreign[16] = 0xff;
    assert!(protocols(&conversation(&[(CLIENT, &foreign)])).is_empty());
}
