use super::super::dcerpc::DCERPC;
use super::super::netbios_ssn::NETBIOS_SSN;
use super::super::testing::*;
use super::*;
use crate::evidence::Recorder;
use crate::net::Side;

fn frame(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u32).to_be_bytes()[..], message].concat()
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Fields of a header of SMB 2.
#[derive(Clone, Copy, Default)]
struct Two {
    command: u16,
    status: u32,
    flags: u32,
    next: u32,
    message: u64,
    tree: u32,
}

const REQUEST: u32 = 0;
const RESPONSE: u32 = 1;
const RELATED: u32 = 4;

impl Two {
    fn with(self, body: &[u8]) -> Vec<u8> {
        let mut bytes = b"\xfeSMB\x40\0\0\0".to_vec();
        bytes.extend(self.status.to_le_bytes());
        bytes.extend(self.command.to_le_bytes());
        bytes.extend([1, 0]);
        bytes.extend(self.flags.to_le_bytes());
        bytes.extend(self.next.to_le_bytes());
        bytes.extend(self.message.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(self.tree.to_le_bytes());
        bytes.extend(0x51_u64.to_le_bytes());
        bytes.extend([0; 16]);
        bytes.extend(body);
        bytes
    }
}

/// A message of SMB 2 on tree 5 in its frame.
fn two(command: u16, flags: u32, message: u64, body: &[u8]) -> Vec<u8> {
    let header = Two {
        command,
        flags,
        message,
        tree: 5,
        ..Two::default()
    };
    frame(&header.with(body))
}

fn failed(command: u16, status: u32) -> Vec<u8> {
    let header = Two {
        command,
        status,
        flags: RESPONSE,
        ..Two::default()
    };
    frame(&header.with(&[9, 0, 0, 0, 0, 0, 0, 0, 0]))
}

/// Offset and length of what follows a body of so many bytes.
fn after(body: usize, what: &[u8]) -> Vec<u8> {
    let mut fields = (64 + body as u16).to_le_bytes().to_vec();
    fields.extend((what.len() as u16).to_le_bytes());
    fields
}

fn negotiate_request() -> Vec<u8> {
    let mut body = vec![36, 0, 2, 0, 1, 0, 0, 0];
    body.extend([0; 28]);
    body.extend([0x02, 0x02, 0x11, 0x03]);
    two(0, REQUEST, 0, &body)
}

fn negotiate_response() -> Vec<u8> {
    let token = spnego_offer();
    let mut body = vec![65, 0, 3, 0, 0x11, 0x03, 1, 0];
    body.extend([0; 48]);
    body.extend(after(64, &token));
    let contexts = (128 + token.len() as u32).next_multiple_of(8);
    body.extend(contexts.to_le_bytes());
    body.extend(&token);
    body.resize(contexts as usize - 64, 0);
    body.extend([2, 0, 4, 0, 0, 0, 0, 0, 1, 0, 2, 0]);
    two(0, RESPONSE, 0, &body)
}

fn der(tag: u8, content: &[&[u8]]) -> Vec<u8> {
    let content = content.concat();
    let mut element = vec![tag, 0x82];
    element.extend((content.len() as u16).to_be_bytes());
    element.extend(content);
    element
}

const SPNEGO: &[u8] = &[6, 6, 0x2b, 6, 1, 5, 5, 2];
const NTLM: &[u8] = &[6, 10, 0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 2, 10];
const KERBEROS: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2];

fn spnego_offer() -> Vec<u8> {
    let list = der(0xa0, &[&der(0x30, &[KERBEROS, NTLM])]);
    der(0x60, &[SPNEGO, &der(0xa0, &[&der(0x30, &[&list])])])
}

/// A Kerberos request for `cifs/fs1`.
fn ticket() -> Vec<u8> {
    let parts = der(0x30, &[&der(0x1b, &[b"cifs"]), &der(0x1b, &[b"fs1"])]);
    let service = der(0x30, &[&[0xa0, 3, 2, 1, 2], &der(0xa1, &[&parts])]);
    let fields = [
        &[0xa0, 3, 2, 1, 5][..],
        &der(0xa1, &[&der(0x1b, &[b"EXAMPLE.ORG"])]),
        &der(0xa2, &[&service]),
    ];
    let ticket = der(0x61, &[&der(0x30, &fields)]);
    let fields = [
        &[0xa0, 3, 2, 1, 5, 0xa1, 3, 2, 1, 0x0e][..],
        &[0xa2, 7, 3, 5, 0, 0, 0, 0, 0],
        &der(0xa3, &[&ticket]),
    ];
    der(
        0x60,
        &[KERBEROS, &[1, 0], &der(0x6e, &[&der(0x30, &fields)])],
    )
}

/// An NTLM authenticate message without a user, from `PC7` of `DOM`.
fn ntlm_anonymous() -> Vec<u8> {
    let mut message = b"NTLMSSP\0\x03\0\0\0".to_vec();
    for (length, offset) in [(0, 72), (0, 72), (3, 72), (0, 75), (3, 75), (0, 78)] {
        message.extend(u16::to_le_bytes(length));
        message.extend(u16::to_le_bytes(length));
        message.extend(u32::to_le_bytes(offset));
    }
    message.extend([0, 0, 0, 2, 6, 0, 0x71, 0x17, 0, 0, 0, 0x0f]);
    message.extend(b"DOMPC7");
    message
}

fn session_request(token: &[u8]) -> Vec<u8> {
    let mut body = vec![25, 0, 0, 1];
    body.extend([0; 8]);
    body.extend(after(24, token));
    body.extend([0; 8]);
    body.extend(token);
    two(1, REQUEST, 1, &body)
}

fn session_response(flags: u16) -> Vec<u8> {
    let mut body = vec![9, 0];
    body.extend(flags.to_le_bytes());
    body.extend(after(8, &[]));
    two(1, RESPONSE, 1, &body)
}

fn tree_connect(path: &str, share: u8) -> [Vec<u8>; 2] {
    let path = utf16(path);
    let mut body = vec![9, 0, 0, 0];
    body.extend(after(8, &path));
    body.extend(path);
    let answer = [16, 0, share, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    [two(3, REQUEST, 2, &body), two(3, RESPONSE, 2, &answer)]
}

fn file(number: u8) -> [u8; 16] {
    [number; 16]
}

fn create(name: &str, number: u8) -> [Vec<u8>; 2] {
    let name = utf16(name);
    let mut body = vec![0; 44];
    body[0] = 57;
    body.extend(after(56, &name));
    body.extend([0; 8]);
    body.extend(&name);
    let mut answer = vec![0; 64];
    answer[0] = 89;
    answer.extend(file(number));
    answer.extend([0; 8]);
    let message = 10 + u64::from(number);
    [
        two(5, REQUEST, message, &body),
        two(5, RESPONSE, message, &answer),
    ]
}

fn write_body(number: u8, data: &[u8]) -> Vec<u8> {
    let mut body = vec![49, 0, 112, 0];
    body.extend((data.len() as u32).to_le_bytes());
    body.extend([0; 8]);
    body.extend(file(number));
    body.extend([0; 16]);
    body.extend(data);
    body
}

fn write(number: u8, data: &[u8]) -> Vec<u8> {
    two(9, REQUEST, 20, &write_body(number, data))
}

fn read_request(message: u64, number: u8) -> Vec<u8> {
    let mut body = vec![49, 0, 80, 0, 0, 4, 0, 0];
    body.extend([0; 8]);
    body.extend(file(number));
    body.extend([0; 17]);
    two(8, REQUEST, message, &body)
}

fn read_response(message: u64, data: &[u8]) -> Vec<u8> {
    let mut body = vec![17, 0, 80, 0];
    body.extend((data.len() as u32).to_le_bytes());
    body.extend([0; 8]);
    body.extend(data);
    two(8, RESPONSE, message, &body)
}

fn transceive(message: u64, number: u8, input: &[u8], output: &[u8]) -> [Vec<u8>; 2] {
    let body = |input: &[u8], output: &[u8]| {
        let mut body = vec![57, 0, 0, 0, 0x17, 0xc0, 0x11, 0];
        body.extend(file(number));
        for field in [120, input.len() as u32, 0, 120, output.len() as u32] {
            body.extend(field.to_le_bytes());
        }
        body.resize(56, 0);
        body
    };
    let mut request = body(input, &[]);
    // The response has no field of a largest output.
    request.extend(input);
    let mut response = body(&[], &[]);
    response[32..36].copy_from_slice(&112_u32.to_le_bytes());
    response[36..40].copy_from_slice(&(output.len() as u32).to_le_bytes());
    response.truncate(48);
    response.extend(output);
    [
        two(11, REQUEST, message, &request),
        two(11, RESPONSE, message, &response),
    ]
}

const NDR: [u8; 20] = [
    0x04, 0x5d, 0x88, 0x8a, 0xeb, 0x1c, 0xc9, 0x11, 0x9f, 0xe8, 0x08, 0x00, 0x2b, 0x10, 0x48, 0x60,
    2, 0, 0, 0,
];
const SAMR: &str = "12345778-1234-abcd-ef00-0123456789ac";
const LSARPC: &str = "12345778-1234-abcd-ef00-0123456789ab";

fn pdu(kind: u8, call: u8, body: &[u8]) -> Vec<u8> {
    let mut pdu = vec![5, 0, kind, 3, 0x10, 0, 0, 0];
    pdu.extend((16 + body.len() as u16).to_le_bytes());
    pdu.extend([0, 0, call, 0, 0, 0]);
    pdu.extend(body);
    pdu
}

/// A bind of context 0 to an interface of version 1.0.
fn bind(interface: &str) -> Vec<u8> {
    let uuid: uuid::Uuid = interface.parse().unwrap();
    let mut body = vec![0xb8, 0x10, 0xb8, 0x10, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0];
    body.extend(uuid.to_bytes_le());
    body.extend([1, 0, 0, 0]);
    body.extend(NDR);
    pdu(11, 1, &body)
}

fn bind_ack() -> Vec<u8> {
    let mut body = vec![0xb8, 0x10, 0xb8, 0x10, 1, 0, 0, 0, 2, 0, b'x', 0];
    body.extend([1, 0, 0, 0, 0, 0, 0, 0]);
    body.extend(NDR);
    pdu(12, 1, &body)
}

fn call(opnum: u8) -> Vec<u8> {
    pdu(0, 2, &[4, 0, 0, 0, 0, 0, opnum, 0, 1, 2, 3, 4])
}

fn played(segments: &[(Side, Vec<u8>)]) -> Recorder {
    conversation(&borrowed(segments))
}

fn borrowed(segments: &[(Side, Vec<u8>)]) -> Vec<(Side, &[u8])> {
    let segments = segments.iter();
    segments.map(|(side, bytes)| (*side, &bytes[..])).collect()
}

fn asked([request, response]: [Vec<u8>; 2]) -> [(Side, Vec<u8>); 2] {
    [(CLIENT, request), (SERVER, response)]
}

/// A session with two pipes that bind context 0 to different interfaces, their messages interleaved.
fn two_pipes() -> Vec<(Side, Vec<u8>)> {
    let mut segments = vec![
        (CLIENT, negotiate_request()),
        (SERVER, negotiate_response()),
    ];
    segments.extend(asked(tree_connect(r"\\fs1\IPC$", 2)));
    segments.extend(asked(create("samr", 1)));
    segments.extend(asked(create("lsarpc", 2)));
    segments.push((CLIENT, write(1, &bind(SAMR))));
    segments.push((CLIENT, write(2, &bind(LSARPC))));
    segments.push((CLIENT, read_request(30, 1)));
    segments.push((CLIENT, read_request(31, 2)));
    // The answer for the first pipe comes in two reads.
    segments.push((SERVER, read_response(31, &bind_ack())));
    segments.push((SERVER, read_response(30, &bind_ack()[..20])));
    segments.push((CLIENT, read_request(32, 1)));
    segments.push((SERVER, read_response(32, &bind_ack()[20..])));
    segments.extend(asked(transceive(33, 2, &call(44), &pdu(2, 2, &[0; 8]))));
    segments
}

#[test]
fn negotiation_shows_dialects_signing_and_cipher() {
    let recorder = played(&[
        (CLIENT, negotiate_request()),
        (SERVER, negotiate_response()),
    ]);
    assert_eq!(protocols(&recorder), ["netbios_ssn", "smb"]);
    assert_eq!(recorder.client, Some(CLIENT));
    assert_eq!(values(&recorder, "smb", "version"), ["2", "2"]);
    assert_eq!(values(&recorder, "smb", "offered"), ["2.0.2", "3.1.1"]);
    assert_eq!(values(&recorder, "smb", "dialect"), ["3.1.1"]);
    assert_eq!(values(&recorder, "smb", "signing"), ["enabled", "required"]);
    assert_eq!(values(&recorder, "smb", "cipher"), ["aes-128-gcm"]);
    // What a server can do is not what was done.
    assert_eq!(
        values(&recorder, "smb", "gss_offered"),
        ["kerberos", "ntlm"]
    );
    assert!(values(&recorder, "smb", "gss_mechanism").is_empty());
}

#[test]
fn a_session_shows_its_mechanism_and_for_whom_a_ticket_is() {
    let recorder = played(&[
        (CLIENT, session_request(&ticket())),
        (SERVER, session_response(0)),
    ]);
    assert_eq!(values(&recorder, "smb", "gss_mechanism"), ["kerberos"]);
    assert_eq!(values(&recorder, "smb", "gss_service"), ["cifs/fs1"]);
    assert_eq!(values(&recorder, "smb", "gss_domain"), ["EXAMPLE.ORG"]);
}

#[test]
fn sessions_of_nobody_are_said_to_be_so() {
    let recorder = played(&[
        (CLIENT, session_request(&ntlm_anonymous())),
        (SERVER, session_response(3)),
    ]);
    assert_eq!(values(&recorder, "smb", "gss_anonymous"), ["1"]);
    assert_eq!(values(&recorder, "smb", "gss_host"), ["PC7"]);
    assert_eq!(values(&recorder, "smb", "gss_version"), ["6.0.6001"]);
    assert_eq!(values(&recorder, "smb", "session"), ["anonymous", "guest"]);
}

#[test]
fn what_is_refused_is_said_with_its_status() {
    let recorder = played(&[
        (SERVER, failed(0, 0xc000_00bb)),
        (SERVER, failed(1, 0xc000_006d)),
        (SERVER, failed(1, status::MORE_PROCESSING_REQUIRED)),
        (SERVER, failed(3, 0xc000_00cc)),
        (SERVER, failed(5, 0xc000_0abc)),
    ]);
    for (name, status) in [
        ("negotiate_status", "0xc00000bb not_supported"),
        ("session_status", "0xc000006d logon_failure"),
        ("tree_status", "0xc00000cc bad_network_name"),
        ("create_status", "0xc0000abc"),
    ] {
        assert_eq!(values(&recorder, "smb", name), [status]);
    }
}

#[test]
fn pipes_of_one_connection_keep_their_contexts_apart() {
    let recorder = played(&two_pipes());
    assert_eq!(protocols(&recorder), ["netbios_ssn", "smb", "dcerpc"]);
    assert_eq!(values(&recorder, "smb", "tree"), [r"\\fs1\IPC$"]);
    assert_eq!(values(&recorder, "smb", "pipe"), ["samr", "lsarpc"]);
    assert_eq!(
        said(&recorder, "dcerpc", "bound"),
        [
            (1 << 32, format!("{SAMR} 1.0")),
            (2 << 32, format!("{LSARPC} 1.0")),
        ]
    );
    assert_eq!(
        said(&recorder, "smb", "pipe")[1],
        (2 << 32, "lsarpc".to_owned())
    );
    assert_eq!(
        said(&recorder, "dcerpc", "opnum"),
        [(2 << 32, "44".to_owned())]
    );
    only_registered_attributes(&recorder, &[&SMB, &NETBIOS_SSN, &DCERPC]);
}

#[test]
fn every_cut_is_survived_and_bytes_may_come_one_by_one() {
    let segments = two_pipes();
    survives_every_cut(&borrowed(&segments));
    for end in 1..segments.len() {
        survives_every_cut(&borrowed(&segments[..end]));
    }
}

#[test]
fn a_pipe_whose_opening_was_not_seen_is_known_by_its_first_fragment() {
    let recorder = midstream(&borrowed(&[
        (CLIENT, write(9, &bind(SAMR))),
        (CLIENT, read_request(30, 9)),
        (SERVER, read_response(30, &bind_ack())),
    ]));
    assert_eq!(
        values(&recorder, "dcerpc", "bound"),
        [format!("{SAMR} 1.0")]
    );
    assert!(values(&recorder, "smb", "pipe").is_empty());
    // Data that only begins so is none.
    let longer = [bind(SAMR), vec![0; 9]].concat();
    let recorder = midstream(&borrowed(&[(CLIENT, write(9, &longer))]));
    assert_eq!(protocols(&recorder), ["netbios_ssn", "smb"]);
}

#[test]
fn files_are_passed_over_whatever_they_hold() {
    let mut segments = Vec::from(asked(tree_connect(r"\\fs1\data", 1)));
    segments.extend(asked(create("bind.bin", 3)));
    segments.push((CLIENT, write(3, &bind(SAMR))));
    segments.push((CLIENT, write(3, &vec![0x41; 200_000])));
    segments.push((
        CLIENT,
        two(6, REQUEST, 40, &[&[24; 8][..], &file(3)].concat()),
    ));
    segments.extend(asked(tree_connect(r"\\fs1\more", 1)));
    let recorder = played(&segments);
    assert_eq!(protocols(&recorder), ["netbios_ssn", "smb"]);
    assert_eq!(
        values(&recorder, "smb", "tree"),
        [r"\\fs1\data", r"\\fs1\more"]
    );
    assert!(values(&recorder, "smb", "pipe").is_empty());
}

#[test]
fn compounded_messages_refer_to_the_file_before() {
    let first = Two {
        command: 8,
        message: 50,
        tree: 5,
        next: 120,
        ..Two::default()
    };
    let mut read = vec![49, 0, 80, 0, 0, 4, 0, 0];
    read.extend([0; 8]);
    read.extend(file(1));
    read.resize(56, 0);
    let second = Two {
        command: 9,
        message: 51,
        flags: RELATED,
        tree: u32::MAX,
        ..Two::default()
    };
    let mut body = write_body(1, &bind(SAMR));
    body[16..32].copy_from_slice(&[0xff; 16]);
    let compound = frame(&[first.with(&read), second.with(&body)].concat());
    let mut segments = Vec::from(asked(tree_connect(r"\\fs1\IPC$", 2)));
    segments.extend(asked(create("samr", 1)));
    segments.push((CLIENT, compound));
    segments.push((SERVER, read_response(50, &bind_ack())));
    let recorder = played(&segments);
    assert_eq!(
        values(&recorder, "dcerpc", "bound"),
        [format!("{SAMR} 1.0")]
    );
    survives_every_cut(&borrowed(&segments));
}

#[test]
fn pipes_are_bounded_and_the_longest_silent_goes_first() {
    let mut segments = Vec::from(asked(tree_connect(r"\\fs1\IPC$", 2)));
    for number in 0..100 {
        segments.extend(asked(create("samr", number)));
    }
    segments.push((CLIENT, write(99, &bind(SAMR))));
    segments.push((CLIENT, read_request(200, 99)));
    segments.push((SERVER, read_response(200, &bind_ack())));
    let recorder = played(&segments);
    assert_eq!(values(&recorder, "dcerpc", "bound").len(), 1);
}

#[test]
fn sealed_and_compressed_messages_are_told_by_their_headers() {
    let mut sealed = b"\xfdSMB".to_vec();
    sealed.extend([7; 32]);
    sealed.extend(100_u32.to_le_bytes());
    sealed.extend([0, 0, 1, 0]);
    sealed.extend([0x51; 8]);
    sealed.extend([9; 100]);
    let mut compressed = b"\xfcSMB".to_vec();
    compressed.extend(500_u32.to_le_bytes());
    compressed.extend([1, 0, 0, 0, 0, 0, 0, 0]);
    compressed.extend([9; 50]);
    let recorder = midstream(&borrowed(&[
        (CLIENT, frame(&sealed)),
        (SERVER, frame(&compressed)),
    ]));
    assert_eq!(protocols(&recorder), ["netbios_ssn", "smb"]);
    assert_eq!(values(&recorder, "smb", "sealed"), ["1"]);
    assert_eq!(values(&recorder, "smb", "compressed"), ["1"]);
    // A length that is not that of the frame is another protocol's.
    sealed.push(0);
    assert!(protocols(&midstream(&borrowed(&[(CLIENT, frame(&sealed))]))).is_empty());
}

/// A message of SMB 1 in its frame: command, status, parameter words, data.
fn one(command: u8, status: u32, flags: u8, words: &[u8], data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\xffSMB".to_vec();
    bytes.push(command);
    bytes.extend(status.to_le_bytes());
    bytes.extend([flags, 1, 0x40]);
    bytes.extend([0; 12]);
    bytes.extend([8, 0, 7, 0, 6, 0, 5, 0]);
    bytes.push(words.len() as u8 / 2);
    bytes.extend(words);
    bytes.extend((data.len() as u16).to_le_bytes());
    bytes.extend(data);
    frame(&bytes)
}

const ONE_RESPONSE: u8 = 0x80;

fn one_negotiation() -> Vec<(Side, Vec<u8>)> {
    let mut words = vec![1, 0, 3];
    words.resize(34, 0);
    vec![
        (
            CLIENT,
            one(0x72, 0, 0, &[], b"\x02LANMAN1.0\0\x02NT LM 0.12\0"),
        ),
        (SERVER, one(0x72, 0, ONE_RESPONSE, &words, &[0; 8])),
    ]
}

#[test]
fn version_1_shows_dialect_signing_and_software() {
    let mut segments = one_negotiation();
    // Session set-up with answers of 24 bytes, and a tree connect chained to it.
    let mut words = vec![0x75, 0, 0, 0];
    words.resize(14, 0);
    words.extend([24, 0, 0, 0]);
    words.resize(26, 0);
    let mut data = vec![0x55; 24];
    data.extend(b"someone\0DOM\0Windows 5.1\0LAN Manager\0");
    let chained = 33 + words.len() + 2 + data.len();
    words[2..4].copy_from_slice(&(chained as u16).to_le_bytes());
    let path = br"\\FS1\IPC$";
    data.extend([4, 0xff, 0, 0, 0, 0, 0, 1, 0]);
    data.extend((path.len() as u16 + 6).to_le_bytes());
    data.push(0);
    data.extend(path);
    data.extend(b"\0IPC\0");
    segments.push((CLIENT, one(0x73, 0, 0, &words, &data)));
    segments.push((
        SERVER,
        one(
            0x73,
            0,
            ONE_RESPONSE,
            &[0xff, 0, 0, 0, 1, 0],
            b"Unix\0Samba\0",
        ),
    ));
    segments.push((SERVER, one(0x75, 0xc000_00cc, ONE_RESPONSE, &[], &[])));
    segments.push((SERVER, one(0x75, 0x0043_0001, ONE_RESPONSE, &[], &[])));
    let recorder = played(&segments);
    assert_eq!(protocols(&recorder), ["netbios_ssn", "smb"]);
    for (name, wanted) in [
        ("offered", &["LANMAN1.0", "NT LM 0.12"][..]),
        ("dialect", &["NT LM 0.12"]),
        ("signing", &["disabled"]),
        ("gss_mechanism", &["ntlm"]),
        ("gss_domain", &["DOM"]),
        ("native_os", &["Unix", "Windows 5.1"]),
        ("native_lan_manager", &["LAN Manager", "Samba"]),
        ("session", &["guest"]),
        ("tree", &[r"\\FS1\IPC$"]),
        ("version", &["1", "1"]),
    ] {
        assert_eq!(values(&recorder, "smb", name), wanted, "{name}");
    }
    assert!(
        values(&recorder, "smb", "tree_status").contains(&"0xc00000cc bad_network_name".into())
    );
    let facts = recorder.facts.keys();
    assert!(
        facts
            .map(|fact| fact.value.to_string())
            .all(|text| text != "someone")
    );
    survives_every_cut(&borrowed(&segments));
}

/// Opening of a pipe, a transaction on it, then a write and a read.
fn one_pipe() -> Vec<(Side, Vec<u8>)> {
    let mut segments = one_negotiation();
    let mut words = vec![0xff, 0, 0, 0];
    words.resize(48, 0);
    segments.push((CLIENT, one(0xa2, 0, 0, &words, b"\\samr\0")));
    let mut words = vec![0xff, 0, 0, 0, 0, 0x34, 0x12];
    words.resize(63, 0);
    words.extend([2, 0, 7, 0, 0]);
    segments.push((SERVER, one(0xa2, 0, ONE_RESPONSE, &words, &[])));
    let transact = |words: usize, at: usize, data: &[u8], setup: &[u8]| {
        let mut fields = vec![0; words];
        fields[at..at + 2].copy_from_slice(&(data.len() as u16).to_le_bytes());
        fields[2..4].copy_from_slice(&(data.len() as u16).to_le_bytes());
        let offset = 32 + 1 + words + setup.len() + 2;
        fields[at + 2..at + 4].copy_from_slice(&(offset as u16).to_le_bytes());
        fields[words - 2] = setup.len() as u8 / 2;
        fields.extend(setup);
        fields
    };
    let data = bind(SAMR);
    let words = transact(28, 22, &data, &[0x26, 0, 0x34, 0x12]);
    segments.push((CLIENT, one(0x25, 0, 0, &words, &data)));
    let data = bind_ack();
    let words = transact(20, 12, &data, &[]);
    segments.push((SERVER, one(0x25, 0, ONE_RESPONSE, &words, &data)));
    let data = call(5);
    let mut words = vec![0xff, 0, 0, 0, 0x34, 0x12];
    words.resize(20, 0);
    words.extend((data.len() as u16).to_le_bytes());
    words.extend([63, 0, 0, 0, 0, 0]);
    segments.push((CLIENT, one(0x2f, 0, 0, &words, &data)));
    let mut words = vec![0xff, 0, 0, 0, 0x34, 0x12];
    words.resize(20, 0);
    segments.push((CLIENT, one(0x2e, 0, 0, &words, &[])));
    let data = pdu(3, 2, &[0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0]);
    let mut words = vec![0xff, 0, 0, 0];
    words.resize(10, 0);
    words.extend((data.len() as u16).to_le_bytes());
    words.extend([59, 0]);
    words.resize(24, 0);
    segments.push((SERVER, one(0x2e, 0, ONE_RESPONSE, &words, &data)));
    segments
}

#[test]
fn version_1_carries_rpc_in_transactions_reads_and_writes() {
    let segments = one_pipe();
    let recorder = played(&segments);
    assert_eq!(protocols(&recorder), ["netbios_ssn", "smb", "dcerpc"]);
    assert_eq!(values(&recorder, "smb", "pipe"), ["samr"]);
    assert_eq!(
        values(&recorder, "dcerpc", "bound"),
        [format!("{SAMR} 1.0")]
    );
    assert_eq!(values(&recorder, "dcerpc", "opnum"), ["5"]);
    assert_eq!(
        values(&recorder, "dcerpc", "fault"),
        ["0x00000005 access_denied: access is denied"]
    );
    survives_every_cut(&borrowed(&segments));
}

#[test]
fn transactions_by_name_show_the_pipe() {
    let mut words = vec![0; 28];
    words[22] = 0;
    let segment = one(0x25, 0, 0, &words, b"\\PIPE\\LANMAN\0");
    let recorder = played(&[(CLIENT, segment)]);
    assert_eq!(values(&recorder, "smb", "pipe"), ["LANMAN"]);
}

#[test]
fn lengths_that_point_elsewhere_are_survived() {
    let whole = two_pipes();
    for (index, (side, bytes)) in whole.iter().enumerate() {
        for at in 4..bytes.len() {
            let mut broken = whole.clone();
            broken[index] = (*side, bytes.clone());
            broken[index].1[at] ^= 0xff;
            played(&broken);
        }
    }
}

#[test]
fn a_message_cut_by_a_short_snap_length_is_known() {
    // 68 bytes of Ethernet, IP and TCP leave 14.
    let whole = one(0x72, 0, 0, &[], b"\x02NT LM 0.12\0");
    let recorder = played(&[(CLIENT, whole[..14].to_vec())]);
    assert_eq!(protocols(&recorder), ["netbios_ssn", "smb"]);
    assert_eq!(values(&recorder, "smb", "version"), ["1"]);
}

#[test]
fn openings_of_others_are_no_smb() {
    for other in [
        &b"\xffSMBx"[..],
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00\x00\x00\x40\xffSMC\x72\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        b"\x00\x00\x00\x40\xffSMB\x60\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        b"\x00\x00\x00\x70\xfeSMB\x41\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    ] {
        let recorder = conversation(&[(CLIENT, other)]);
        assert!(recorder.protocols.keys().all(|name| *name != "smb"), "{other:?}");
    }
}
