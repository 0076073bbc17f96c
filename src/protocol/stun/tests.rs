use super::super::testing::{
    CLIENT, SERVER, conversation, datagrams, offers, only_registered_attributes, protocols,
    survives_every_cut, values,
};
use super::*;
use crate::evidence::Offered;

const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const TRANSACTION: [u8; 12] = *b"transaction!";
const MS_COOKIE: (u16, &[u8]) = (0x000f, &[0x72, 0xc6, 0x4b, 0xc6]);
const MAPPED: (u16, &[u8]) = (1, &[0, 1, 0xc3, 0x50, 10, 0, 0, 9]);

/// A message of that type; the first four bytes of its identifier are the cookie, or not.
fn message(kind: u16, start: [u8; 4], attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (kind, value) in attributes {
        body.extend(kind.to_be_bytes());
        body.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        body.extend(*value);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    let mut bytes = kind.to_be_bytes().to_vec();
    bytes.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    bytes.extend(start);
    bytes.extend(TRANSACTION);
    bytes.extend(body);
    bytes
}

fn binding() -> Vec<u8> {
    message(1, COOKIE, &[(0x0006, b"alice:bob"), (0x8022, b"agent 1")])
}

fn ms_request() -> Vec<u8> {
    message(3, [9; 4], &[MS_COOKIE, (0x8008, &[0, 0, 0, 6])])
}

#[test]
fn a_binding_request_is_read_without_its_user() {
    let recorder = datagrams(&[(CLIENT, &binding())]);
    assert_eq!(protocols(&recorder), ["stun"]);
    assert_eq!(values(&recorder, "stun", METHOD), ["binding"]);
    assert_eq!(values(&recorder, "stun", CLASS), ["request"]);
    assert_eq!(values(&recorder, "stun", SOFTWARE), ["agent 1"]);
    assert!(!format!("{recorder:?}").contains("alice"));
    assert_eq!(recorder.client, None, "both ends of a call ask");
    only_registered_attributes(&recorder, &[&STUN]);
}

#[test]
fn a_relayed_address_is_unmasked_and_offered() {
    // 10.0.0.7:50000, and 2001:db8::7 port 50001.
    let four = [
        0,
        1,
        0xc3 ^ 0x21,
        0x50 ^ 0x12,
        10 ^ 0x21,
        0x12,
        0xa4,
        7 ^ 0x42,
    ];
    let mut six = vec![0, 2, 0xc3 ^ 0x21, 0x51 ^ 0x12];
    let address: std::net::Ipv6Addr = "2001:db8::7".parse().unwrap();
    let mask = [&COOKIE[..], &TRANSACTION].concat();
    six.extend(address.octets().iter().zip(mask).map(|(a, b)| a ^ b));
    let answer = message(0x0103, COOKIE, &[(0x16, &four), (0x16, &six)]);
    let recorder = datagrams(&[(SERVER, &answer)]);
    let relays: Vec<_> = offers(&recorder)
        .into_iter()
        .map(|offer| {
            assert_eq!(
                (offer.transport, &offer.offered),
                (crate::net::Transport::UDP, &Offered::Relay)
            );
            offer.endpoint.to_string()
        })
        .collect();
    assert_eq!(relays, ["10.0.0.7:50000", "[2001:db8::7]:50001"]);
    assert_eq!(recorder.client, Some(CLIENT));
}

#[test]
fn an_error_gives_code_reason_and_realm() {
    let refusal = message(
        0x0113,
        COOKIE,
        &[(9, b"\0\0\x04\x01Unauthorized\0"), (0x14, b"example.com\0")],
    );
    let recorder = datagrams(&[(SERVER, &refusal)]);
    assert_eq!(values(&recorder, "stun", ERROR), ["401 Unauthorized"]);
    assert_eq!(values(&recorder, "stun", REALM), ["example.com"]);
}

#[test]
fn a_signed_request_that_is_refused_tells_a_login_from_its_challenge() {
    let signed: &[(u16, &[u8])] = &[
        (6, b"user"),
        (0x14, b"example.com\0"),
        (0x15, b"nonce\0\0\0"),
        (8, &[7; 20]),
    ];
    let asked = |attributes| message(0x0003, COOKIE, attributes);
    let refused = |code: &[u8]| message(0x0113, COOKIE, &[(9, code)]);
    let refusals = |code: &[u8], attributes| {
        let recorder = datagrams(&[(CLIENT, &asked(attributes)), (SERVER, &refused(code))]);
        values(&recorder, "stun", REFUSED)
    };
    let unauthorized = b"\0\0\x04\x01Unauthorized\0";
    assert_eq!(
        refusals(unauthorized, signed),
        ["allocate 401 Unauthorized"]
    );
    // The challenge of a first request, and a nonce that has grown old.
    assert!(refusals(unauthorized, &[]).is_empty());
    assert!(refusals(b"\0\0\x04\x26Stale Nonce\0", signed).is_empty());
}

#[test]
fn the_dialect_of_lync_is_read() {
    let answer = message(0x0103, [9; 4], &[MS_COOKIE, MAPPED]);
    let indication = message(0x0115, [9; 4], &[MS_COOKIE, (0x13, b"data")]);
    let recorder = datagrams(&[
        (CLIENT, &ms_request()),
        (SERVER, &answer),
        (SERVER, &indication),
    ]);
    // Each side said it.
    assert_eq!(
        values(&recorder, "stun", METHOD),
        ["allocate", "allocate", "data"]
    );
    assert_eq!(
        values(&recorder, "stun", CLASS),
        ["indication", "request", "success"]
    );
    assert_eq!(values(&recorder, "stun", MS_VERSION), ["6"]);
    let relays = offers(&recorder);
    assert_eq!(relays[0].endpoint.to_string(), "10.0.0.9:50000");
}

#[test]
fn unpadded_attributes_are_of_lync_only() {
    let mut lync = ms_request();
    lync.extend([0x80, 0x22, 0, 3, b'a', b'b', b'c']);
    lync[3] += 7;
    assert_eq!(protocols(&datagrams(&[(CLIENT, &lync)])), ["stun"]);
    let mut other = binding();
    other.extend([0x80, 0x22, 0, 3, b'a', b'b', b'c']);
    other[3] += 7;
    assert!(protocols(&datagrams(&[(CLIENT, &other)])).is_empty());
}

#[test]
fn the_classic_form_needs_attributes_that_rfc_3489_defines() {
    let bare = message(1, [9; 4], &[]);
    let change = message(1, [9; 4], &[(3, &[0, 0, 0, 6])]);
    let answer = message(0x0101, [9; 4], &[MAPPED, (4, MAPPED.1), (5, MAPPED.1)]);
    for good in [&change, &answer] {
        assert_eq!(protocols(&datagrams(&[(CLIENT, good)])), ["stun"]);
    }
    let unknown = message(1, [9; 4], &[(0x99, &[0, 0, 0, 6])]);
    let value = message(1, [9; 4], &[(3, &[0, 0, 1, 6])]);
    let method = message(5, [9; 4], &[(3, &[0, 0, 0, 6])]);
    for bad in [&bare, &unknown, &value, &method] {
        assert!(protocols(&datagrams(&[(CLIENT, bad)])).is_empty());
    }
}

#[test]
fn lengths_must_agree() {
    let mut longer = binding();
    longer.push(0);
    let mut attribute = binding();
    attribute[23] = 200;
    for bad in [longer, attribute] {
        assert!(protocols(&datagrams(&[(CLIENT, &bad)])).is_empty());
    }
    for length in 0..binding().len() {
        assert!(protocols(&datagrams(&[(CLIENT, &binding()[..length])])).is_empty());
    }
}

#[test]
fn a_message_that_the_snap_length_cut_is_read_as_far_as_it_goes() {
    let whole = binding();
    let mut recorder = crate::evidence::Recorder::default();
    let moment = datagram_moment();
    let mut notes = recorder.notes(moment, "stun", 0);
    let cut = Datagram {
        bytes: &whole[..30],
        wire_len: whole.len(),
    };
    assert!(Stun::default().datagram(cut, &mut notes).is_ok());
    notes.commit();
    assert_eq!(values(&recorder, "stun", METHOD), ["binding"]);
}

fn datagram_moment() -> crate::evidence::Moment {
    let end = |port| crate::net::Endpoint::new("10.0.0.1".parse().unwrap(), port);
    let (key, side) = crate::net::FlowKey::of(crate::net::Transport::UDP, end(1), end(2));
    crate::evidence::Moment {
        time: crate::net::Timestamp::default(),
        frame: 1,
        key,
        side,
    }
}

#[test]
fn channels_are_taken_only_after_a_proof() {
    let channel = |length: usize| Datagram {
        bytes: &[0x40, 1, 0, 3, b'a', b'b', b'c', 0, 0][..length],
        wire_len: length,
    };
    let multiplexed = Datagram {
        bytes: &[0xff, 0x10, 0, 10, 0, 0, 0, 0, 0, 0, 0, 1, b'a', b'b'],
        wire_len: 14,
    };
    let mut recorder = crate::evidence::Recorder::default();
    let mut notes = recorder.notes(datagram_moment(), "stun", 0);
    let mut stun = Stun::default();
    assert!(stun.datagram(channel(8), &mut notes).is_err());
    let binding = binding();
    let proof = Datagram {
        bytes: &binding,
        wire_len: binding.len(),
    };
    assert!(stun.datagram(proof, &mut notes).is_ok());
    for good in [channel(7), channel(8), multiplexed] {
        assert!(stun.datagram(good, &mut notes).is_ok(), "{good:?}");
    }
    assert!(stun.datagram(channel(6), &mut notes).is_err());
}

#[test]
fn media_and_names_are_not_stun() {
    let rtp = [&[0x80, 0, 0, 1][..], &[7; 20]].concat();
    let dtls = [&[22, 0xfe, 0xff, 0, 0][..], &[7; 20]].concat();
    // A question for the name a.b.c.d.
    let dns = b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x01a\x01b\x01c\x01d\0\0\x01\0\x01";
    for other in [&rtp[..], &dtls, dns] {
        assert!(!protocols(&datagrams(&[(CLIENT, other)])).contains(&"stun"));
        assert!(!protocols(&conversation(&[(CLIENT, other)])).contains(&"stun"));
    }
}

/// `message` behind the header of each framing.
fn framed(message: &[u8]) -> [Vec<u8>; 3] {
    let length = u16::try_from(message.len()).unwrap().to_be_bytes();
    [
        message.to_vec(),
        [&length[..], message].concat(),
        [&[2, 0][..], &length, message].concat(),
    ]
}

#[test]
fn messages_are_read_from_a_stream_in_each_framing() {
    let answer = message(0x0101, COOKIE, &[(0x20, MAPPED.1)]);
    for (one, other) in framed(&binding()).into_iter().zip(framed(&answer)) {
        let two = [other.clone(), other].concat();
        let segments = [(CLIENT, &one[..]), (SERVER, &two)];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["stun"]);
        assert_eq!(values(&recorder, "stun", CLASS), ["request", "success"]);
        survives_every_cut(&segments);
    }
}

#[test]
fn media_between_messages_is_passed_over() {
    let [_, request, _] = framed(&binding());
    let [_, media, _] = framed(&[0x80; 50]);
    let [_, answer, _] = framed(&message(0x0101, COOKIE, &[]));
    let segments = [
        (CLIENT, &request[..]),
        (SERVER, &media[..]),
        (SERVER, &answer[..]),
    ];
    let recorder = conversation(&segments);
    assert_eq!(values(&recorder, "stun", CLASS), ["request", "success"]);
    survives_every_cut(&segments);
}

#[test]
fn turn_of_lync_follows_the_imitated_handshake() {
    let mut client = vec![0x16, 3, 1, 0, 0x2d, 1, 0, 0, 0x29, 3, 1];
    client.extend([7; 32]);
    client.extend([0, 0, 2, 0, 0x18, 1, 0]);
    let mut server = vec![0x16, 3, 1, 0, 0x4e, 2, 0, 0, 0x46, 3, 1];
    server.extend([7; 32]);
    server.push(32);
    server.extend([7; 32]);
    server.extend([0, 0x18, 0, 0x0e, 0, 0, 0]);
    let [_, _, request] = framed(&ms_request());
    let segments = [(CLIENT, &client[..]), (SERVER, &server), (CLIENT, &request)];
    let recorder = conversation(&segments);
    assert_eq!(protocols(&recorder), ["tls", "stun"]);
    assert_eq!(values(&recorder, "stun", METHOD), ["allocate"]);
    survives_every_cut(&segments);
}

const INTEGRITY: (u16, &[u8]) = (8, &[0xaa; 20]);

/// 10.0.0.9:50000, masked with the cookie.
const MASKED: [u8; 8] = [
    0,
    1,
    0xc3 ^ 0x21,
    0x50 ^ 0x12,
    10 ^ 0x21,
    0x12,
    0xa4,
    9 ^ 0x42,
];

#[test]
fn a_check_of_ice_shows_role_choice_and_agent() {
    let check = |role: u16| {
        message(
            1,
            COOKIE,
            &[
                (6, b"alice:bob"),
                (role, &[1; 8]),
                (0x25, b""),
                (0x8070, &[0, 0, 0, 2]),
                INTEGRITY,
            ],
        )
    };
    let recorder = datagrams(&[(CLIENT, &check(0x802a)), (SERVER, &check(0x8029))]);
    assert_eq!(
        values(&recorder, "stun", "ice_role"),
        ["controlled", "controlling"]
    );
    assert_eq!(values(&recorder, "stun", "use_candidate"), ["1", "1"]);
    assert_eq!(values(&recorder, "stun", "ms_implementation"), ["2", "2"]);
    assert_eq!(
        values(&recorder, "stun", "authentication"),
        ["short_term", "short_term"]
    );
    only_registered_attributes(&recorder, &[&STUN]);
}

#[test]
fn an_allocation_shows_realm_and_kind_of_credentials_but_no_user() {
    let refusal = message(0x0113, COOKIE, &[(9, b"\0\0\x04\x26Stale Nonce")]);
    let again = message(
        3,
        COOKIE,
        &[
            (6, b"alice"),
            (0x14, b"contoso.test"),
            (0x15, b"n"),
            INTEGRITY,
        ],
    );
    let recorder = datagrams(&[(SERVER, &refusal), (CLIENT, &again)]);
    assert_eq!(
        values(&recorder, "stun", "method"),
        ["allocate", "allocate"]
    );
    assert_eq!(values(&recorder, "stun", "class"), ["error", "request"]);
    assert_eq!(values(&recorder, "stun", "error"), ["438 Stale Nonce"]);
    assert_eq!(values(&recorder, "stun", "realm"), ["contoso.test"]);
    assert_eq!(values(&recorder, "stun", "authentication"), ["long_term"]);
    assert!(!format!("{recorder:?}").contains("alice"));
    assert_eq!(recorder.client, Some(CLIENT));
}

#[test]
fn mapped_addresses_are_read_in_each_dialect() {
    let modern = message(0x0101, COOKIE, &[(0x20, &MASKED), (0x8022, b"s")]);
    let classic = message(0x0101, [9; 4], &[MAPPED]);
    let mut masked = MAPPED.1.to_vec();
    for (byte, mask) in masked[2..].iter_mut().zip([9, 9, 9, 9, 9, 9]) {
        *byte ^= mask;
    }
    let lync = message(0x0103, [9; 4], &[MS_COOKIE, (0x8020, &masked)]);
    for (bytes, dialect) in [
        (&modern, "rfc8489"),
        (&classic, "rfc3489"),
        (&lync, "ms_turn"),
    ] {
        let recorder = datagrams(&[(SERVER, bytes)]);
        assert_eq!(
            values(&recorder, "stun", "mapped_address"),
            ["10.0.0.9:50000"]
        );
        assert_eq!(values(&recorder, "stun", "dialect"), [dialect]);
    }
    let software = datagrams(&[(SERVER, &modern)]);
    assert_eq!(values(&software, "stun", "software"), ["s"]);
}

#[test]
fn a_request_to_a_lync_relay_says_what_it_will_carry() {
    let request = message(
        3,
        [9; 4],
        &[MS_COOKIE, (0x8008, &[0, 0, 0, 6]), (0x8055, &[0, 2, 0, 0])],
    );
    let recorder = datagrams(&[(CLIENT, &request)]);
    assert_eq!(values(&recorder, "stun", "ms_service_quality"), ["video"]);
    assert_eq!(values(&recorder, "stun", "ms_version"), ["6"]);
    let active = message(6, [9; 4], &[MS_COOKIE, (0x11, MAPPED.1)]);
    let recorder = datagrams(&[(CLIENT, &active)]);
    assert_eq!(
        values(&recorder, "stun", "method"),
        ["set_active_destination"]
    );
    assert_eq!(
        values(&recorder, "stun", "peer_address"),
        ["10.0.0.9:50000"]
    );
}

fn rtp(number: u8) -> Vec<u8> {
    let mut packet = vec![0x80, 0, 0, number, 0, 0, number, 0xa0, 1, 2, 3, 4];
    packet.extend([0xd5; 21]);
    packet
}

fn channel_data(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u16).to_be_bytes();
    [&[0x40, 0][..], &length, data].concat()
}

#[test]
fn media_in_a_channel_is_read_as_media() {
    let bind = message(9, COOKIE, &[(0x0c, &[0x40, 0, 0, 0]), (0x12, &MASKED)]);
    let media: Vec<_> = (0..6).map(|number| channel_data(&rtp(number))).collect();
    let mut played = vec![(CLIENT, &bind[..])];
    played.extend(media.iter().map(|packet| (CLIENT, &packet[..])));
    let recorder = datagrams(&played);
    assert_eq!(protocols(&recorder), ["stun", "rtp"]);
    assert_eq!(values(&recorder, "stun", "channel"), ["16384"]);
    assert_eq!(
        values(&recorder, "stun", "peer_address"),
        ["10.0.0.9:50000"]
    );
    assert_eq!(recorder.client, Some(CLIENT));

    // On a stream, data is padded.
    let padded: Vec<Vec<u8>> = media
        .iter()
        .map(|packet| {
            let mut packet = packet.clone();
            packet.resize(packet.len().next_multiple_of(4), 0);
            packet
        })
        .collect();
    let mut played = vec![(CLIENT, &bind[..])];
    played.extend(padded.iter().map(|packet| (CLIENT, &packet[..])));
    assert_eq!(protocols(&conversation(&played)), ["stun", "rtp"]);
    survives_every_cut(&played);
}

#[test]
fn media_and_handshakes_in_indications_are_read() {
    let mut played = Vec::new();
    let alert = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 2, 40];
    played.push(message(0x0017, COOKIE, &[(0x12, &MASKED), (0x13, &alert)]));
    for number in 0..6 {
        let data = rtp(number);
        played.push(message(0x0017, COOKIE, &[(0x12, &MASKED), (0x13, &data)]));
    }
    let report = [0x80, 201, 0, 1, 0, 0, 0, 7];
    played.push(message(0x0017, COOKIE, &[(0x12, &MASKED), (0x13, &report)]));
    let played: Vec<_> = played.iter().map(|bytes| (SERVER, &bytes[..])).collect();
    let recorder = datagrams(&played);
    assert_eq!(protocols(&recorder), ["stun", "dtls", "rtp", "rtcp"]);
    assert_eq!(recorder.client, Some(CLIENT));
    // The padding of an attribute is not part of the data.
    assert_eq!(
        values(&recorder, "dtls", "alert"),
        ["fatal handshake_failure"]
    );
}

#[test]
fn media_behind_the_header_of_lync_is_read() {
    let [_, _, request] = framed(&ms_request());
    let media: Vec<_> = (0..6)
        .map(|number| {
            let data = rtp(number);
            let length = (data.len() as u16).to_be_bytes();
            [&[3, 0][..], &length, &data].concat()
        })
        .collect();
    let mut played = vec![(CLIENT, &request[..])];
    played.extend(media.iter().map(|packet| (SERVER, &packet[..])));
    assert_eq!(protocols(&conversation(&played)), ["stun", "rtp"]);
    survives_every_cut(&played);
}

#[test]
fn a_message_with_both_cookies_is_of_lync() {
    let send = message(4, COOKIE, &[MS_COOKIE, (0x12, MAPPED.1), (0x13, b"data")]);
    let recorder = datagrams(&[(CLIENT, &send)]);
    assert_eq!(values(&recorder, "stun", "method"), ["send"]);
    assert_eq!(values(&recorder, "stun", "dialect"), ["ms_turn"]);
    assert_eq!(
        values(&recorder, "stun", "peer_address"),
        ["10.0.0.9:50000"]
    );
    assert_eq!(recorder.client, Some(CLIENT));
}

#[test]
fn a_multiplexed_message_proves_as_a_bare_one() {
    let binding = binding();
    let length = (binding.len() as u16 + 8).to_be_bytes();
    let whole = [&[0xff, 0x10][..], &length, &[7; 8], &binding].concat();
    let recorder = datagrams(&[(CLIENT, &whole)]);
    assert_eq!(protocols(&recorder), ["stun"]);
    assert_eq!(values(&recorder, "stun", "method"), ["binding"]);
    for length in 0..whole.len() {
        assert!(protocols(&datagrams(&[(CLIENT, &whole[..length])])).is_empty());
    }
}

#[test]
fn media_behind_a_multiplexed_channel_of_lync_is_read() {
    let binding = binding();
    let media: Vec<_> = (0..6)
        .map(|number| {
            let data = rtp(number);
            let length = (data.len() as u16 + 8).to_be_bytes();
            [&[0xff, 0x10][..], &length, &[7; 8], &data].concat()
        })
        .collect();
    let mut played = vec![(CLIENT, &binding[..])];
    played.extend(media.iter().map(|packet| (SERVER, &packet[..])));
    assert_eq!(protocols(&datagrams(&played)), ["stun", "rtp"]);
}

#[test]
fn the_last_attribute_may_lack_its_padding_where_a_cookie_stands() {
    let head = b"\0\x03\0\x0a\x21\x12\xa4\x42transaction!";
    let request = [&head[..], b"\x40\0\0\x06secret"].concat();
    let named = protocols(&datagrams(&[(CLIENT, &request)]));
    assert_eq!(named, ["stun"]);
    let mut long = request.clone();
    long[23] = 7;
    assert!(protocols(&datagrams(&[(CLIENT, &long)])).is_empty());
}
