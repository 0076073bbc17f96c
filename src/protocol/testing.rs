//! Helpers for decoder tests: feed bytes, read back what was noted.

mod shown;

use std::panic::Location;

use super::{Context, Conversation, Datagram, Datagrams, Protocol};
use crate::evidence::{Moment, Offer, Recorder, Value};
use crate::net::{Endpoint, FlowKey, Side, Timestamp, Transport};

pub(crate) use Side::{A as CLIENT, B as SERVER};

fn moment(transport: Transport, side: Side, frame: u64) -> Moment {
    let a = Endpoint::new("10.0.0.1".parse().unwrap(), 40000);
    let b = Endpoint::new("10.0.0.2".parse().unwrap(), 40001);
    let (key, _) = FlowKey::of(transport, a, b);
    Moment {
        time: Timestamp::from_nanos(frame as i64 * 1_000_000),
        frame,
        key,
        side,
    }
}

/// Plays `segments` through detection and decoding, one packet each.
pub(crate) fn conversation(segments: &[(Side, &[u8])]) -> Recorder {
    play(segments, false)
}

/// The same with a second between packets, for what depends on time.
pub(crate) fn conversation_in_seconds(segments: &[(Side, &[u8])]) -> Recorder {
    let mut recorder = Recorder::default();
    let mut conversation = Conversation::default();
    for (number, (side, bytes)) in segments.iter().enumerate() {
        let mut moment = moment(Transport::TCP, *side, number as u64 + 1);
        moment.time = Timestamp::from_nanos(number as i64 * 1_000_000_000);
        let context = Context {
            moment,
            midstream: false,
        };
        conversation.data(bytes, context, &mut recorder);
    }
    recorder
}

/// The same for a connection whose beginning is missing.
pub(crate) fn midstream(segments: &[(Side, &[u8])]) -> Recorder {
    play(segments, true)
}

fn play(segments: &[(Side, &[u8])], midstream: bool) -> Recorder {
    let mut recorder = Recorder::default();
    let mut conversation = Conversation::default();
    for (number, (side, bytes)) in segments.iter().enumerate() {
        let context = Context {
            moment: moment(Transport::TCP, *side, number as u64 + 1),
            midstream,
        };
        conversation.data(bytes, context, &mut recorder);
    }
    recorder
}

/// Plays segments that the snap length cut: behind each the bytes of its number are missing.
pub(crate) fn cut_conversation(segments: &[(Side, &[u8], u64)]) -> Recorder {
    let mut recorder = Recorder::default();
    let mut conversation = Conversation::default();
    for (number, (side, bytes, missing)) in segments.iter().enumerate() {
        let context = Context {
            moment: moment(Transport::TCP, *side, number as u64 + 1),
            midstream: false,
        };
        conversation.data(bytes, context, &mut recorder);
        if *missing > 0 {
            conversation.gap(*missing, context, &mut recorder);
        }
    }
    recorder
}

/// Plays one datagram of `wire_len` bytes, of which the snap length left `bytes`.
pub(crate) fn cut_datagram(bytes: &[u8], wire_len: usize) -> Recorder {
    let mut recorder = Recorder::default();
    let datagram = Datagram { bytes, wire_len };
    let moment = moment(Transport::UDP, CLIENT, 1);
    Datagrams::default().datagram(datagram, moment, &mut recorder);
    recorder
}

/// Plays one datagram to `receiver`, a group or a host.
pub(crate) fn datagram_to(receiver: &str, bytes: &[u8]) -> Recorder {
    let receiver = Endpoint::new(receiver.parse().unwrap(), 40001);
    let from = match receiver.address.is_ipv6() {
        true => "2001:db8::1",
        false => "192.0.2.1",
    };
    let sender = Endpoint::new(from.parse().unwrap(), 40000);
    let (key, side) = FlowKey::of(Transport::UDP, sender, receiver);
    let moment = Moment {
        key,
        side,
        ..moment(Transport::UDP, CLIENT, 1)
    };
    let mut recorder = Recorder::default();
    let datagram = Datagram {
        bytes,
        wire_len: bytes.len(),
    };
    Datagrams::default().datagram(datagram, moment, &mut recorder);
    recorder
}

/// Plays datagrams.
pub(crate) fn datagrams(datagrams: &[(Side, &[u8])]) -> Recorder {
    let mut recorder = Recorder::default();
    let mut flow = Datagrams::default();
    for (number, (side, bytes)) in datagrams.iter().enumerate() {
        let datagram = Datagram {
            bytes,
            wire_len: bytes.len(),
        };
        flow.datagram(
            datagram,
            moment(Transport::UDP, *side, number as u64 + 1),
            &mut recorder,
        );
    }
    recorder
}

/// Proven protocols, lowest first.
pub(crate) fn protocols(recorder: &Recorder) -> Vec<&'static str> {
    let mut layers: Vec<_> = recorder
        .protocols
        .iter()
        .map(|(name, layer)| (*layer, *name))
        .collect();
    layers.sort_unstable();
    layers.into_iter().map(|(_, name)| name).collect()
}

/// Values of one attribute, in order.
pub(crate) fn values(recorder: &Recorder, protocol: &str, name: &str) -> Vec<String> {
    let values = said(recorder, protocol, name);
    values.into_iter().map(|(_, value)| value).collect()
}

/// Values of one attribute with the subjects that they are of, in order.
pub(crate) fn said(recorder: &Recorder, protocol: &str, name: &str) -> Vec<(u64, String)> {
    let of = |attribute: &crate::evidence::Attribute| {
        attribute.protocol == protocol && attribute.name == name
    };
    let facts = recorder.facts.keys();
    let values: Vec<(u64, String)> = facts
        .filter(|fact| of(&fact.attribute))
        .map(|fact| (fact.subject, fact.value.to_string()))
        .collect();
    if !values.is_empty() {
        shown::attribute(protocol, name);
    }
    values
}

/// Offers, in order.
#[track_caller]
pub(crate) fn offers(recorder: &Recorder) -> Vec<Offer> {
    let offers: Vec<Offer> = recorder.offers.keys().cloned().collect();
    for offer in &offers {
        shown::offer(Location::caller(), offer);
    }
    offers
}

/// Feeds every prefix of `segments`' last packet, and the whole byte by byte: nothing may panic, and the byte-wise
/// result must equal that of whole segments.
pub(crate) fn survives_every_cut(segments: &[(Side, &[u8])]) {
    let Some(((side, last), before)) = segments.split_last() else {
        return;
    };
    for length in 0..last.len() {
        let mut cut = before.to_vec();
        cut.push((*side, &last[..length]));
        conversation(&cut);
        midstream(&cut);
    }
    let bytewise: Vec<(Side, &[u8])> = segments
        .iter()
        .flat_map(|(side, bytes)| bytes.chunks(1).map(move |byte| (*side, byte)))
        .collect();
    let (whole, slow) = (conversation(segments), conversation(&bytewise));
    // How long an answer took depends on the packets.
    let facts = |recorder: &Recorder| {
        let mut facts: Vec<_> = recorder.facts.keys().cloned().collect();
        facts.retain(|fact| fact.attribute.name != "answered_within");
        facts
    };
    assert_eq!(protocols(&whole), protocols(&slow), "byte by byte");
    assert_eq!(facts(&whole), facts(&slow), "byte by byte");
}

/// Every attribute that was noted is registered with its protocol.
pub(crate) fn only_registered_attributes(recorder: &Recorder, known: &[&Protocol]) {
    for fact in recorder.facts.keys() {
        let Some(protocol) = known
            .iter()
            .find(|protocol| protocol.name == fact.attribute.protocol)
        else {
            continue;
        };
        assert!(
            protocol.attributes.contains(&fact.attribute.name),
            "{} is not registered",
            fact.attribute
        );
        assert!(!matches!(&fact.value, Value::Text(text) if text.is_empty()));
    }
}

/// A whole hello of a TLS client, with which most handshakes that others agree upon begin.
pub(crate) const TLS_HELLO: &[u8] = &[
    0x16, 3, 1, 0, 0x2d, 1, 0, 0, 0x29, 3, 1, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9,
    9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 0, 0, 2, 0, 0x2f, 1, 0,
];

/// Bytes without any order, the same in every run.
pub(crate) fn noise() -> impl FnMut() -> u8 {
    let mut state = 1_u64;
    move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as u8
    }
}

/// GSS tokens as their carriers show them, with invented hosts and nobody's credentials.
pub(crate) mod tokens {
    use super::{Recorder, values};

    pub(crate) const SPNEGO: &[u8] = &[6, 6, 0x2b, 6, 1, 5, 5, 2];
    pub(crate) const NTLM: &[u8] = &[6, 10, 0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 2, 10];
    pub(crate) const KERBEROS: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2];
    pub(crate) const MS_KERBEROS: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 1, 2, 2];

    /// An element of DER whose length has two octets.
    pub(crate) fn der(tag: u8, content: &[&[u8]]) -> Vec<u8> {
        let content = content.concat();
        let mut element = vec![tag, 0x82];
        element.extend_from_slice(&(content.len() as u16).to_be_bytes());
        element.extend_from_slice(&content);
        element
    }

    pub(crate) fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    /// `NegTokenInit` in its GSS frame, RFC 4178 section 4.2.1.
    pub(crate) fn spnego_init(mechanisms: &[&[u8]], token: Option<&[u8]>) -> Vec<u8> {
        let list = der(0xa0, &[&der(0x30, mechanisms)]);
        let token = token.map_or(Vec::new(), |token| der(0xa2, &[&der(4, &[token])]));
        der(0x60, &[SPNEGO, &der(0xa0, &[&der(0x30, &[&list, &token])])])
    }

    /// `AP-REQ`, RFC 4120 section 5.5.1, with a ticket for `service`, written `class/host`.
    pub(crate) fn ap_request(realm: &str, service: &str) -> Vec<u8> {
        let parts: Vec<u8> = service
            .split('/')
            .flat_map(|part| der(0x1b, &[part.as_bytes()]))
            .collect();
        let names = der(0xa1, &[&der(0x30, &[&parts])]);
        let principal = der(0x30, &[&[0xa0, 3, 2, 1, 2], &names]);
        let ticket = [
            &[0xa0, 3, 2, 1, 5][..],
            &der(0xa1, &[&der(0x1b, &[realm.as_bytes()])]),
            &der(0xa2, &[&principal]),
        ];
        let fields = [
            &[0xa0, 3, 2, 1, 5, 0xa1, 3, 2, 1, 0x0e][..],
            &[0xa2, 7, 3, 5, 0, 0, 0, 0, 0],
            &der(0xa3, &[&der(0x61, &[&der(0x30, &ticket)])]),
        ];
        der(0x6e, &[&der(0x30, &fields)])
    }

    /// `AUTHENTICATE_MESSAGE`, MS-NLMP 2.2.1.3: `user` and `response` are the lengths that it claims.
    pub(crate) fn ntlm_authenticate(
        domain: &str,
        workstation: &str,
        user: u16,
        response: u16,
    ) -> Vec<u8> {
        const HEADER: u16 = 72;
        let (domain, workstation) = (utf16(domain), utf16(workstation));
        let field = |length: u16, offset: u16| {
            let [low, high] = length.to_le_bytes();
            let [at, above] = offset.to_le_bytes();
            [low, high, low, high, at, above, 0, 0]
        };
        let end = HEADER + domain.len() as u16;
        [
            &b"NTLMSSP\0\x03\0\0\0"[..],
            &field(0, HEADER),
            &field(response, HEADER),
            &field(domain.len() as u16, HEADER),
            &field(user, end),
            &field(workstation.len() as u16, end),
            &field(0, end),
            // Unicode, and Windows 10.0 in its build 17763.
            &0x0200_0001_u32.to_le_bytes(),
            &[10, 0, 0x63, 0x45, 0, 0, 0, 0x0f],
            &domain,
            &workstation,
        ]
        .concat()
    }

    /// A first token for Negotiate: Kerberos and NTLM are offered, a ticket of realm A.EXAMPLE for `service` comes along.
    pub(crate) fn ticket_for(service: &str) -> Vec<u8> {
        let framed = der(
            0x60,
            &[KERBEROS, &[1, 0], &ap_request("A.EXAMPLE", service)],
        );
        spnego_init(&[MS_KERBEROS, NTLM], Some(&framed))
    }

    /// A last NTLM message of nobody, from the workstation EX1.
    pub(crate) fn nobody() -> Vec<u8> {
        ntlm_authenticate("", "EX1", 0, 0)
    }

    /// The carrier told what both of these say, for the `service` of the ticket.
    #[track_caller]
    pub(crate) fn are_told(recorder: &Recorder, carrier: &str, service: &str) {
        let of = |name| values(recorder, carrier, name);
        assert_eq!(of("gss_mechanism"), ["kerberos", "ntlm"]);
        assert_eq!(of("gss_offered"), ["kerberos", "ntlm"]);
        assert_eq!(of("gss_service"), [service]);
        assert_eq!(of("gss_domain"), ["A.EXAMPLE"]);
        assert_eq!(of("gss_host"), ["EX1"]);
        assert_eq!(of("gss_version"), ["10.0.17763"]);
        assert_eq!(of("gss_anonymous"), ["1"]);
    }

    /// RFC 4648 section 4, as protocols of lines carry tokens.
    pub(crate) fn base64(token: &[u8]) -> String {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(token)
    }
}
