use super::super::testing::{
    CLIENT, SERVER, conversation, midstream, offers, only_registered_attributes, protocols,
    survives_every_cut, values,
};
use super::*;
use crate::evidence::Offered;

fn packet(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len() + 4).unwrap().to_be_bytes();
    [&[3, 0], &length[..], content].concat()
}

/// Version 5, no table, number 1.
const CAPABILITIES: &[u8] = &[0x02, 0x00, 1, 6, 0, 8, 0x81, 0x75, 0, 5];
/// Terminal type 50, number 0x3782de.
const DETERMINATION: &[u8] = &[0x01, 0x00, 50, 0x80, 0x37, 0x82, 0xde];
/// Channel 101 of G.711 A-law, 30 frames; session 1, reports to 192.0.2.7:5001.
const OPEN: &[u8] = &[
    0x03, 0x00, 0x00, 0x64, 0x0c, 0x20, 29, 0x80, 11, 0x0d, 0x00, 1, 0x00, 192, 0, 2, 7, 0x13,
    0x89, 0x80,
];
/// Its answer: session 1, media to 192.0.2.9:5000, reports to 5001.
const ACK: &[u8] = &[
    0x22, 0xc0, 0x00, 0x64, 0x02, 0x80, 16, 0x1c, 0x00, 0x00, 192, 0, 2, 9, 0x13, 0x88, 0x00, 192,
    0, 2, 9, 0x13, 0x89,
];

#[test]
fn channels_offer_where_media_will_go() {
    let all = [CAPABILITIES, DETERMINATION, OPEN].map(packet).concat();
    let ack = packet(ACK);
    let segments = [(CLIENT, &all[..]), (SERVER, &ack[..])];
    let recorder = conversation(&segments);
    assert_eq!(protocols(&recorder), ["h245"]);
    assert_eq!(
        values(&recorder, "h245", "message"),
        [
            "master_slave_determination",
            "open_logical_channel",
            "open_logical_channel_ack",
            "terminal_capability_set"
        ]
    );
    let offers = offers(&recorder);
    let offered: Vec<_> = offers
        .iter()
        .map(|offer| (offer.endpoint.to_string(), offer.offered.clone()))
        .collect();
    let [
        (reports, Offered::Media(first)),
        (media, Offered::Media(second)),
    ] = &offered[..]
    else {
        panic!("{offered:?}");
    };
    assert_eq!(
        (reports.as_str(), media.as_str()),
        ("192.0.2.7:5001", "192.0.2.9:5000")
    );
    assert_eq!((&*first.profile, first.rtcp_port), ("RTCP", Some(5001)));
    assert_eq!(*first.codecs, ["8 PCMA/8000".into()]);
    assert_eq!((&*second.media, second.rtcp_port), ("audio", Some(5001)));
    only_registered_attributes(&recorder, &[&H245]);
    survives_every_cut(&segments);
}

#[test]
fn each_proof_stands_alone_and_weak_messages_wait_for_one() {
    for content in [CAPABILITIES, DETERMINATION, OPEN, ACK] {
        assert_eq!(
            protocols(&midstream(&[(CLIENT, &packet(content))])),
            ["h245"]
        );
    }
    let weak = packet(&[0x21, 0x80, 1]);
    assert!(protocols(&conversation(&[(CLIENT, &weak)])).is_empty());
    let both = [weak, packet(DETERMINATION)].concat();
    assert_eq!(protocols(&conversation(&[(CLIENT, &both)])), ["h245"]);
}

#[test]
fn other_identifiers_and_lengths_are_refused() {
    let h225 = [0x02, 0x00, 1, 6, 0, 8, 0x91, 0x4a, 0, 5];
    let long = [DETERMINATION, &[0]].concat();
    let cut_address = &OPEN[..16];
    for content in [&h225[..], &long, cut_address] {
        assert!(protocols(&conversation(&[(CLIENT, &packet(content))])).is_empty());
    }
}

#[test]
fn video_channels_are_passed_over_to_their_address() {
    // H.263: CIF every 2nd picture, 384 kbit/s, no options; then session 2, media to 192.0.2.7:6000.
    let video = [
        0x03, 0x00, 0x00, 0x65, 0x08, 0xc4, 0x02, 0x80, 0x0e, 0xff, 0x04, 0x00, 10, 0x10, 0x00, 2,
        0x00, 192, 0, 2, 7, 0x17, 0x70,
    ];
    let recorder = conversation(&[(CLIENT, &packet(&video))]);
    let offers = offers(&recorder);
    let [offer] = &offers[..] else {
        panic!("{offers:?}");
    };
    assert_eq!(offer.endpoint.to_string(), "192.0.2.7:6000");
    assert!(matches!(&offer.offered, Offered::Media(media) if &*media.media == "video"));
}
