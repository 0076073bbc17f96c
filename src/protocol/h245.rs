//! Control of H.323 calls (ITU-T H.245) in packets of TPKT, without X.224: kinds of messages, and where media will go.
//!
//! A stream is known by a terminal capability set (its protocol identifier), by a master-slave determination of exact
//! length, or by a logical channel that decodes as a whole; on any port, since the port is agreed in H.225.0. The same
//! messages arrive inside H.225.0, as fast start and by tunnelling. Offers an address only where every field before it was
//! understood: channels of data, with encryption, or with capabilities outside the usual, offer nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::per::{Choice, Per};
use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry, tpkt};
use crate::evidence::{MediaOffer, Notes, Offered};
use crate::net::{Endpoint, Side, Transport};

/// Kind of message: `terminal_capability_set`, `open_logical_channel` ...
const MESSAGE: &str = "message";

/// H.245.
pub(super) const H245: Protocol = Protocol {
    name: "h245",
    about: About {
        title: "H.245 call control of H.323",
        sources: "ITU-T H.245, H.323, X.691",
        reads: "Kinds of messages; media addresses of logical channels, each of which becomes an offer.",
        proves: "A capability set with its protocol identifier, a master-slave determination of exact length, or a whole channel.",
        limits: "Capabilities are not listed; channels with unusual capabilities show no address.",
    },
    attributes: &[MESSAGE],
    stream: Some(StreamEntry {
        first_byte: |byte| byte == 3,
        probe,
        start: || Box::new(Control),
    }),
    datagram: None,
};

/// Requests, responses, commands and indications by their index (H.245 annex A).
const REQUESTS: [&str; 11] = [
    "non_standard",
    "master_slave_determination",
    "terminal_capability_set",
    "open_logical_channel",
    "close_logical_channel",
    "request_channel_close",
    "multiplex_entry_send",
    "request_multiplex_entry",
    "request_mode",
    "round_trip_delay_request",
    "maintenance_loop_request",
];
const RESPONSES: [&str; 19] = [
    "non_standard",
    "master_slave_determination_ack",
    "master_slave_determination_reject",
    "terminal_capability_set_ack",
    "terminal_capability_set_reject",
    "open_logical_channel_ack",
    "open_logical_channel_reject",
    "close_logical_channel_ack",
    "request_channel_close_ack",
    "request_channel_close_reject",
    "multiplex_entry_send_ack",
    "multiplex_entry_send_reject",
    "request_multiplex_entry_ack",
    "request_multiplex_entry_reject",
    "request_mode_ack",
    "request_mode_reject",
    "round_trip_delay_response",
    "maintenance_loop_ack",
    "maintenance_loop_reject",
];
const COMMANDS: [&str; 7] = [
    "non_standard",
    "maintenance_loop_off_command",
    "send_terminal_capability_set",
    "encryption_command",
    "flow_control_command",
    "end_session_command",
    "miscellaneous_command",
];
const INDICATIONS: [&str; 14] = [
    "non_standard",
    "function_not_understood",
    "master_slave_determination_release",
    "terminal_capability_set_release",
    "open_logical_channel_confirm",
    "request_channel_close_release",
    "multiplex_entry_send_release",
    "request_multiplex_entry_release",
    "request_mode_release",
    "miscellaneous_indication",
    "jitter_indication",
    "h223_skew_indication",
    "new_atm_vc_indication",
    "user_input",
];
/// Object identifier of H.245 but for its version: {itu-t recommendation h 245 version}.
const IDENTIFIER: [u8; 5] = [0, 8, 0x81, 0x75, 0];

fn probe(opening: &Opening<'_>) -> Probe {
    opening.either(probe_side)
}

/// Looks for a message that is proof behind those that are none.
fn probe_side(bytes: &[u8]) -> Probe {
    let mut rest = bytes;
    while !rest.is_empty() {
        match tpkt::packet(rest) {
            Ok((content, length)) => {
                match Message::parse(content) {
                    Some(message) if message.is_proof => return Probe::Yes,
                    Some(_) => {}
                    None if content.is_empty() => {}
                    None => return Probe::No,
                }
                rest = rest.get(length..).unwrap_or_default();
            }
            Err(Reject::Short(_)) => return Probe::More,
            Err(_) => return Probe::No,
        }
    }
    if bytes.is_empty() {
        Probe::No
    } else {
        Probe::More
    }
}

struct Control;

impl StreamDecoder for Control {
    fn data(&mut self, _side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        match tpkt::packet(bytes) {
            Ok((content, length)) => {
                message(content, "", notes);
                Step::Skip {
                    consumed: length,
                    bytes: 0,
                }
            }
            Err(reject) => reject.into_step(0, bytes.len()),
        }
    }

    fn resume(&mut self, _side: Side, bytes: &[u8]) -> Option<usize> {
        let (content, _) = tpkt::packet(bytes).ok()?;
        Message::parse(content).map(|_| 0)
    }
}

/// Notes one message of the call `call_id`; messages that are not understood say nothing.
pub(super) fn message(content: &[u8], call_id: &str, notes: &mut Notes<'_>) {
    let Some(message) = Message::parse(content) else {
        return;
    };
    if message.is_proof {
        notes.proved();
    }
    notes.text(MESSAGE, message.name);
    for channel in message.channels {
        channel.offer(call_id, notes);
    }
}

/// Offers the addresses of a logical channel that was proposed with the call itself (H.323 section 8.1.7).
pub(super) fn fast_start(channel: &[u8], call_id: &str, notes: &mut Notes<'_>) {
    let mut channels = Vec::new();
    if open_channel(&mut Per::new(channel), &mut channels).is_some() {
        for channel in channels {
            channel.offer(call_id, notes);
        }
    }
}

/// A message, as far as it is read.
#[derive(Debug)]
struct Message {
    name: &'static str,
    is_proof: bool,
    channels: Vec<Channel>,
}

impl Message {
    fn parse(content: &[u8]) -> Option<Self> {
        let mut per = Per::new(content);
        let mut channels = Vec::new();
        let names: &[&str] = match per.choice(4)? {
            Choice::Root(0) => &REQUESTS,
            Choice::Root(1) => &RESPONSES,
            Choice::Root(2) => &COMMANDS,
            Choice::Root(3) => &INDICATIONS,
            Choice::Root(_) | Choice::Extension(..) => return None,
        };
        let root = u32::try_from(names.len()).ok()?;
        let name = match per.choice(root)? {
            Choice::Root(index) => names.get(usize::try_from(index).ok()?)?,
            Choice::Extension(..) if per.offset() == content.len() => "extension",
            Choice::Extension(..) => return None,
        };
        let is_understood = match name {
            "master_slave_determination" => determination(&mut per).is_some(),
            "terminal_capability_set" => capability_set(&mut per).is_some(),
            "open_logical_channel" => open_channel(&mut per, &mut channels).is_some(),
            "open_logical_channel_ack" => acknowledgement(&mut per, &mut channels).is_some(),
            _ => false,
        };
        // A capability set is proven by its identifier; the rest is not read.
        let is_whole = name == "terminal_capability_set" || per.offset() == content.len();
        let is_channel = name.starts_with("open") && channels.is_empty();
        let is_proof = is_understood && is_whole && !is_channel;
        Some(Self {
            name,
            is_proof,
            channels: if is_proof { channels } else { Vec::new() },
        })
    }
}

fn determination(per: &mut Per<'_>) -> Option<()> {
    let is_extended = per.flag()?;
    let _terminal_type = per.number(256)?;
    let _number = per.number(1 << 24)?;
    per.skip_additions(is_extended)
}

fn capability_set(per: &mut Per<'_>) -> Option<()> {
    // Extension, and three optional tables.
    per.bits(4)?;
    let _sequence = per.number(256)?;
    is_identifier(per.string()?, &IDENTIFIER).then_some(())
}

/// Whether an object identifier is that one, with a version behind it.
pub(super) fn is_identifier(name: &[u8], identifier: &[u8; 5]) -> bool {
    matches!(name.strip_prefix(identifier), Some([_]))
}

/// What one logical channel says of its addresses.
#[derive(Clone, Copy, Debug)]
struct Channel {
    kind: &'static str,
    codec: &'static str,
    media: Option<Endpoint>,
    control: Option<Endpoint>,
}

impl Channel {
    fn offer(&self, call_id: &str, notes: &mut Notes<'_>) {
        let usable = |endpoint: &Endpoint| endpoint.port != 0 && !endpoint.address.is_unspecified();
        let media = self.media.filter(usable);
        let control = self.control.filter(usable);
        let paired = |endpoint: Endpoint| {
            control
                .filter(|control| control.address == endpoint.address)
                .map(|control| control.port)
        };
        let (endpoint, profile, rtcp_port) = match (media, control) {
            (Some(media), _) => (media, "RTP/AVP", paired(media)),
            // Who opens a channel names where its reports shall go, and the other side where the media shall.
            (None, Some(control)) => (control, "RTCP", Some(control.port)),
            (None, None) => return,
        };
        let codecs = Some(self.codec).filter(|codec| !codec.is_empty());
        let offer = MediaOffer {
            media: self.kind.into(),
            profile: profile.into(),
            codecs: codecs.into_iter().map(Into::into).collect(),
            rtcp_port,
            direction: "recvonly".into(),
            keyed: false,
            call_id: call_id.into(),
        };
        notes.offer(Transport::UDP, endpoint, Offered::Media(Box::new(offer)));
    }
}

/// `OpenLogicalChannel`: the forward channel and, in fast start, a reverse one.
fn open_channel(per: &mut Per<'_>, channels: &mut Vec<Channel>) -> Option<()> {
    let (is_extended, has_reverse) = (per.flag()?, per.flag()?);
    let _number = per.number(0xffff)?;
    let (is_forward_extended, has_port) = (per.flag()?, per.flag()?);
    if has_port {
        per.number(0x1_0000)?;
    }
    let kind = data_type(per)?;
    match per.choice(3)? {
        Choice::Extension(0, inside) => channels.extend(parameters(inside, kind)?),
        Choice::Extension(..) => {}
        Choice::Root(_) => return None,
    }
    per.skip_additions(is_forward_extended)?;
    if has_reverse {
        let (is_reverse_extended, has_parameters) = (per.flag()?, per.flag()?);
        let kind = data_type(per)?;
        if has_parameters {
            match per.choice(2)? {
                Choice::Extension(0, inside) => channels.extend(parameters(inside, kind)?),
                Choice::Extension(..) => {}
                Choice::Root(_) => return None,
            }
        }
        per.skip_additions(is_reverse_extended)?;
    }
    per.skip_additions(is_extended)
}

/// Kind of media, and the codec where RTP has a number for it.
type Kind = (&'static str, &'static str);

fn data_type(per: &mut Per<'_>) -> Option<Kind> {
    match per.choice(6)? {
        Choice::Root(1) => Some(("", "")),
        Choice::Root(2) => video(per).map(|()| ("video", "")),
        Choice::Root(3) => audio(per).map(|codec| ("audio", codec)),
        Choice::Root(_) => None,
        Choice::Extension(..) => Some(("media", "")),
    }
}

fn audio(per: &mut Per<'_>) -> Option<&'static str> {
    let index = match per.choice(14)? {
        Choice::Root(index) => index,
        Choice::Extension(..) => return Some(""),
    };
    let codec = match index {
        1 => "8 PCMA/8000",
        3 => "0 PCMU/8000",
        5 => "9 G722/8000",
        8 => {
            per.number(256)?;
            per.flag()?;
            return Some("4 G723/8000");
        }
        9 => "15 G728/8000",
        10 | 11 => "18 G729/8000",
        2 | 4 | 6 | 7 => "",
        _ => return None,
    };
    per.number(256)?;
    Some(codec)
}

/// `H261VideoCapability`, `H263VideoCapability` and all additions, H.264 among them; the others are not in use.
fn video(per: &mut Per<'_>) -> Option<()> {
    match per.choice(5)? {
        Choice::Root(1) => {
            let is_extended = per.flag()?;
            let intervals = [per.flag()?, per.flag()?];
            for _ in intervals.iter().filter(|is_there| **is_there) {
                per.number(4)?;
            }
            per.flag()?;
            per.number(19_200)?;
            per.flag()?;
            per.skip_additions(is_extended)
        }
        Choice::Root(3) => {
            let is_extended = per.flag()?;
            let optional = per.bits(7)?;
            for _ in 0..(optional >> 2).count_ones() {
                per.number(32)?;
            }
            per.number(192_400)?;
            per.bits(5)?;
            if optional & 2 != 0 {
                per.number(524_288)?;
            }
            if optional & 1 != 0 {
                per.number(0x1_0000)?;
            }
            per.skip_additions(is_extended)
        }
        Choice::Root(_) => None,
        Choice::Extension(..) => Some(()),
    }
}

/// `H2250LogicalChannelParameters`, up to the addresses.
fn parameters(mut per: Per<'_>, (kind, codec): Kind) -> Option<Option<Channel>> {
    let _is_extended = per.flag()?;
    let has = |optional: u32, index: u32| optional & (1 << (9 - index)) != 0;
    let optional = per.bits(10)?;
    if has(optional, 0) {
        return None;
    }
    let _session = per.number(256)?;
    if has(optional, 1) {
        per.number(255)?;
    }
    let media = optional_address(&mut per, has(optional, 2))?;
    if has(optional, 3) {
        per.flag()?;
    }
    let control = optional_address(&mut per, has(optional, 4))?;
    Some((media.is_some() || control.is_some()).then_some(Channel {
        kind,
        codec,
        media,
        control,
    }))
}

/// `OpenLogicalChannelAck`: where the other side shall send to. Channels of two directions are not read.
fn acknowledgement(per: &mut Per<'_>, channels: &mut Vec<Channel>) -> Option<()> {
    let (is_extended, has_reverse) = (per.flag()?, per.flag()?);
    if has_reverse {
        return None;
    }
    let _number = per.number(0xffff)?;
    if !is_extended {
        return Some(());
    }
    for (index, mut inside) in per.additions()? {
        if index == 1
            && let Choice::Root(0) = inside.choice(1)?
        {
            channels.extend(acknowledged(inside)?);
        }
    }
    Some(())
}

/// `H2250LogicalChannelAckParameters`, up to the addresses.
fn acknowledged(mut per: Per<'_>) -> Option<Option<Channel>> {
    let _is_extended = per.flag()?;
    let [
        non_standard,
        has_session,
        has_media,
        has_control,
        _payload_type,
    ] = [
        per.flag()?,
        per.flag()?,
        per.flag()?,
        per.flag()?,
        per.flag()?,
    ];
    if non_standard {
        return None;
    }
    // Sessions 1 and 2 are the first audio and the first video of a call (H.245 section B.3.1).
    let kind = match has_session.then(|| per.number(255)) {
        Some(session) => match session? {
            0 => "audio",
            1 => "video",
            _ => "media",
        },
        None => "media",
    };
    let media = optional_address(&mut per, has_media)?;
    let control = optional_address(&mut per, has_control)?;
    Some((media.is_some() || control.is_some()).then_some(Channel {
        kind,
        codec: "",
        media,
        control,
    }))
}

fn optional_address(per: &mut Per<'_>, is_there: bool) -> Option<Option<Endpoint>> {
    match is_there {
        true => address(per).map(Some),
        false => Some(None),
    }
}

/// `TransportAddress`: IPv4 and IPv6, unicast and multicast; no other is in use.
fn address(per: &mut Per<'_>) -> Option<Endpoint> {
    let is_ipv6 = match per.choice(2)? {
        Choice::Root(0) => match per.choice(5)? {
            Choice::Root(0) => false,
            Choice::Root(2) => true,
            Choice::Root(_) | Choice::Extension(..) => return None,
        },
        Choice::Root(_) => match per.choice(2)? {
            Choice::Root(index) => index == 1,
            Choice::Extension(..) => return None,
        },
        Choice::Extension(..) => return None,
    };
    let is_extended = per.flag()?;
    let address: IpAddr = match is_ipv6 {
        true => Ipv6Addr::from(*per.array::<16>()?).into(),
        false => Ipv4Addr::from(*per.array::<4>()?).into(),
    };
    let port = u16::try_from(per.number(0x1_0000)?).ok()?;
    per.skip_additions(is_extended)?;
    Some(Endpoint::new(address, port))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, conversation, midstream, offers, only_registered_attributes, protocols,
        survives_every_cut, values,
    };
    use super::*;

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
        0x22, 0xc0, 0x00, 0x64, 0x02, 0x80, 16, 0x1c, 0x00, 0x00, 192, 0, 2, 9, 0x13, 0x88, 0x00,
        192, 0, 2, 9, 0x13, 0x89,
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
            0x03, 0x00, 0x00, 0x65, 0x08, 0xc4, 0x02, 0x80, 0x0e, 0xff, 0x04, 0x00, 10, 0x10, 0x00,
            2, 0x00, 192, 0, 2, 7, 0x17, 0x70,
        ];
        let recorder = conversation(&[(CLIENT, &packet(&video))]);
        let offers = offers(&recorder);
        let [offer] = &offers[..] else {
            panic!("{offers:?}");
        };
        assert_eq!(offer.endpoint.to_string(), "192.0.2.7:6000");
        assert!(matches!(&offer.offered, Offered::Media(media) if &*media.media == "video"));
    }
}
