use super::*;
use crate::protocol::testing::{
    CLIENT as C, SERVER as S, conversation, midstream, only_registered_attributes, protocols,
    survives_every_cut, values,
};

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 8).unwrap().to_be_bytes();
    [&[kind, 1, length[0], length[1], 0, 0, 1, 0][..], body].concat()
}

fn prelogin(encryption: u8) -> Vec<u8> {
    let mut body = vec![0, 0, 16, 0, 6, 1, 0, 22, 0, 1, 2, 0, 23, 0, 6, 0xff];
    body.extend([16, 0, 0x10, 0x75, 0, 0, encryption]);
    body.extend(b"LYNC1\0");
    body
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn login(integrated: bool, token: &[u8]) -> Vec<u8> {
    let texts = ["FE1", "secretuser", "pass", "RTCSRV", "sql1.example"];
    let mut body = vec![0; 94];
    body[4..8].copy_from_slice(&0x7400_0004_u32.to_le_bytes());
    body[8..12].copy_from_slice(&4096_u32.to_le_bytes());
    body[25] = if integrated { 0x83 } else { 3 };
    for (at, text) in [36, 40, 44, 48, 52].into_iter().zip(texts) {
        let offset = u16::try_from(body.len()).unwrap().to_le_bytes();
        body[at..at + 2].copy_from_slice(&offset);
        body[at + 2] = u8::try_from(text.len()).unwrap();
        body.extend(utf16(text));
    }
    let offset = u16::try_from(body.len()).unwrap().to_le_bytes();
    body[78..80].copy_from_slice(&offset);
    body[80] = u8::try_from(token.len()).unwrap();
    body.extend(token);
    let length = u32::try_from(body.len()).unwrap().to_le_bytes();
    body[..4].copy_from_slice(&length);
    packet(LOGIN7, &body)
}

fn token(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap().to_le_bytes();
    [&[kind][..], &length, value].concat()
}

fn granted() -> Vec<u8> {
    let name = utf16("Microsoft SQL Server");
    token(
        0xad,
        &[&[1, 0x74, 0, 0, 4, 20][..], &name, &[16, 0, 0x10, 0x75]].concat(),
    )
}

#[test]
fn a_login_is_read_without_its_user_and_password() {
    let (hello, answer) = (packet(PRELOGIN, &prelogin(2)), packet(REPLY, &prelogin(2)));
    let login = login(false, b"");
    let granted = packet(
        REPLY,
        &[token(0xe3, &[1, 0, 0]), granted(), vec![0xfd]].concat(),
    );
    let segments = [(C, &hello[..]), (S, &answer), (C, &login), (S, &granted)];
    let recorder = conversation(&segments);
    assert_eq!(protocols(&recorder), ["tds"]);
    assert_eq!(recorder.client, Some(C));
    let of = |name| values(&recorder, "tds", name);
    assert_eq!(of("version"), ["16.0.4213"; 2]);
    assert_eq!(of("encryption"), ["not_supported"; 2]);
    assert_eq!(of("protection"), ["none"; 2]);
    assert_eq!(of("instance"), ["LYNC1"; 2]);
    assert_eq!(of("tds_version"), ["7.4"; 2]);
    assert_eq!(of("host"), ["FE1"]);
    assert_eq!(of("application"), ["RTCSRV"]);
    assert_eq!(of("server"), ["Microsoft SQL Server", "sql1.example"]);
    assert_eq!(of("auth_mechanism"), ["login"]);
    assert_eq!(of("auth_result"), ["ok"]);
    let all = format!("{:?}", recorder.facts);
    assert!(!all.contains("secretuser") && !all.contains("pass\""));
    only_registered_attributes(&recorder, &[&TDS]);
    survives_every_cut(&segments);
}

#[test]
fn tokens_of_an_integrated_login_name_mechanism_host_and_domain() {
    let negotiate =
        b"NTLMSSP\0\x01\0\0\0\x07\x32\0\0\x07\0\x07\0\x23\0\0\0\x03\0\x03\0\x20\0\0\0MX1CONTOSO";
    let versioned = b"NTLMSSP\0\x01\0\0\0\x07\x32\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x06\x03\x80\x25\0\0\0\x0f";
    let (login, next) = (login(true, negotiate), packet(SSPI, versioned));
    let challenge = packet(REPLY, &token(0xed, b"NTLMSSP\0\x02\0\0\0"));
    let recorder = conversation(&[(C, &login), (S, &challenge), (C, &next)]);
    assert_eq!(values(&recorder, "tds", "auth_mechanism"), ["integrated"]);
    assert_eq!(values(&recorder, "tds", "gss_mechanism"), ["ntlm"; 2]);
    assert_eq!(values(&recorder, "tds", "gss_host"), ["MX1"]);
    assert_eq!(values(&recorder, "tds", "gss_domain"), ["CONTOSO"]);
    assert_eq!(values(&recorder, "tds", "gss_version"), ["6.3.9600"]);
}

#[test]
fn offers_services_and_nobody_are_told_as_tokens_tell_them() {
    let offer = b"\x60\x27\x06\x06\x2b\x06\x01\x05\x05\x02\xa0\x1d\x30\x1b\xa0\x19\x30\x17\
        \x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x06\x0a\x2b\x06\x01\x04\x01\x82\x37\x02\x02\x0a";
    let ticket =
        b"\x6e\x4a\x30\x48\xa0\x03\x02\x01\x05\xa1\x03\x02\x01\x0e\xa2\x07\x03\x05\0\0\0\0\0\
        \xa3\x33\x61\x31\x30\x2f\xa0\x03\x02\x01\x05\xa1\x09\x1b\x07EXAMPLE\
        \xa2\x1d\x30\x1b\xa0\x03\x02\x01\x02\xa1\x14\x30\x12\x1b\x04MSSQ\x1b\x0asq1.domain";
    let mut nobody = b"NTLMSSP\0\x03\0\0\0".to_vec();
    nobody.extend([0; 52]);
    let (ticket, nobody) = (packet(SSPI, ticket), packet(SSPI, &nobody));
    let recorder = conversation(&[(C, &login(true, offer)), (C, &ticket), (C, &nobody)]);
    assert_eq!(
        values(&recorder, "tds", "gss_offered"),
        ["kerberos", "ntlm"]
    );
    assert_eq!(values(&recorder, "tds", "gss_service"), ["MSSQ/sq1.domain"]);
    assert_eq!(values(&recorder, "tds", "gss_anonymous"), ["1"]);
}

#[test]
fn a_refused_login_gives_its_number_and_information_does_not() {
    let refused = [
        token(0xab, &[0x45, 0x16, 0, 0, 2, 0, 0, 0]),
        token(0xaa, &[0x18, 0x48, 0, 0, 1, 14, 0, 0]),
    ]
    .concat();
    let recorder = conversation(&[(C, &login(false, b"")), (S, &packet(REPLY, &refused))]);
    assert_eq!(values(&recorder, "tds", "auth_result"), ["18456"]);
}

const HELLO: [u8; 50] = {
    let mut hello = [9; 50];
    let head = [0x16, 3, 1, 0, 0x2d, 1, 0, 0, 0x29, 3, 1];
    let tail = [0, 0, 2, 0, 0x2f, 1, 0];
    let mut at = 0;
    while at < 11 {
        hello[at] = head[at];
        at += 1;
    }
    at = 0;
    while at < 7 {
        hello[43 + at] = tail[at];
        at += 1;
    }
    hello
};

#[test]
fn tls_inside_is_told_and_a_login_alone_may_be_what_it_protects() {
    let (hello, answer) = (packet(PRELOGIN, &prelogin(0)), packet(REPLY, &prelogin(0)));
    let tls = packet(PRELOGIN, &HELLO);
    let alert = packet(PRELOGIN, &[0x15, 3, 1, 0, 2, 1, 0]);
    let sealed = [0x17, 3, 1, 0, 4, 1, 2, 3, 4];
    let granted = packet(REPLY, &granted());
    let segments = [
        (C, &hello[..]),
        (S, &answer),
        (C, &tls),
        (S, &alert),
        (C, &sealed),
        (S, &granted),
    ];
    let recorder = conversation(&segments);
    assert_eq!(protocols(&recorder), ["tds", "tls"]);
    assert_eq!(values(&recorder, "tls", "client_version"), ["1.0"]);
    assert_eq!(values(&recorder, "tds", "protection"), ["login"]);
    assert_eq!(values(&recorder, "tds", "auth_result"), ["ok"]);
    survives_every_cut(&segments);

    let required = packet(REPLY, &prelogin(3));
    let recorder = conversation(&[(C, &hello), (S, &required)]);
    assert_eq!(values(&recorder, "tds", "encryption"), ["off", "required"]);
    assert_eq!(values(&recorder, "tds", "protection"), ["all"]);
}

/// A login record of TDS 5.0.
fn old_login() -> Vec<u8> {
    let field = |size: usize, text: &[u8]| {
        let mut field = text.to_vec();
        field.resize(size, 0);
        field.push(u8::try_from(text.len()).unwrap());
        field
    };
    let mut body = [
        field(30, b"HOST1"),
        field(30, b"secretuser"),
        field(30, b"hidden"),
    ]
    .concat();
    body.extend(field(30, b"123"));
    body.extend([3, 1, 6, 10, 9]);
    body.extend([0; 11]);
    body.extend([field(30, b"isql"), field(30, b"SYB1"), field(255, b"")].concat());
    body.extend([5, 0, 0, 0]);
    body.extend(field(10, b"CT-Library"));
    body.resize(504, 0);
    let mut packet = packet(OLD_LOGIN, &body);
    packet[1] = 0;
    packet
}

#[test]
fn a_login_of_sybase_is_read() {
    let rest = packet(OLD_LOGIN, &[0; 40]);
    let product = b"sql server";
    let value = [&[5, 5, 0, 0, 0, 10][..], product, &[12, 5, 0, 0]].concat();
    let notice = token(0xe5, &[0x45, 0x16, 0, 0, 2, 10, 5, 0]);
    let granted = packet(REPLY, &[notice, token(0xad, &value)].concat());
    let login = old_login();
    let segments = [(C, &login[..]), (C, &rest), (S, &granted)];
    let recorder = conversation(&segments);
    assert_eq!(protocols(&recorder), ["tds"]);
    assert_eq!(values(&recorder, "tds", "tds_version"), ["5.0"; 2]);
    assert_eq!(values(&recorder, "tds", "server"), ["SYB1", "sql server"]);
    assert_eq!(values(&recorder, "tds", "auth_result"), ["ok"]);
    let all = format!("{:?}", recorder.facts);
    assert!(!all.contains("secretuser") && !all.contains("hidden"));
    survives_every_cut(&segments);
}

#[test]
fn requests_and_answers_are_known_without_the_login() {
    let headers = [
        &[22, 0, 0, 0, 18, 0, 0, 0, 2, 0][..],
        &[7; 8],
        &[1, 0, 0, 0],
        b"s\0",
    ]
    .concat();
    let recorder = midstream(&[(C, &packet(BATCH, &headers))]);
    assert_eq!(protocols(&recorder), ["tds"]);
    assert_eq!(recorder.client, Some(C));
    let recorder = conversation(&[(S, &packet(REPLY, &granted()))]);
    assert_eq!(protocols(&recorder), ["tds"]);
    assert_eq!(recorder.client, Some(C));
}

#[test]
fn other_openings_are_not_tds() {
    let mut gap = prelogin(0);
    gap[2] = 17;
    let mut sizes = login(false, b"");
    sizes[8 + 8] = 1;
    sizes[8 + 9] = 0;
    let mut order = old_login();
    order[8 + 124] = 9;
    for other in [
        &packet(PRELOGIN, &gap)[..],
        &sizes,
        &order,
        &packet(REPLY, b"hello"),
        &packet(BATCH, b"s\0e\0"),
    ] {
        assert!(
            protocols(&conversation(&[(C, other)])).is_empty(),
            "{other:02x?}"
        );
    }
}
