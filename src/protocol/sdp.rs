//! Session descriptions (RFC 8866), carried in the bodies of other protocols: which media are expected where.
//!
//! Offer and answer have one form and are read alike: each `m=` line with an address of its own or of the session becomes
//! a [`MediaOffer`], each ICE candidate (RFC 8839, RFC 6544, and the two forms of MS-ICE and MS-ICE2) a candidate offer.
//! A port of 0 (rejected, RFC 3264 section 6) and the address 0.0.0.0 (hold, RFC 2543) offer nothing, a host name is a
//! fact. Never asks whether the other side agreed, and never resolves a name.
//!
//! Limits: of `m=audio 5000/2`, the first port only is offered; encodings other than UTF-8 are read lossily.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{About, Protocol};
use crate::evidence::{Attribute, MediaOffer, Notes, Offered, Value};
use crate::net::{Endpoint, Transport};

/// Session descriptions: no stream and no datagram of their own.
pub(super) const SDP: Protocol = Protocol {
    name: NAME,
    about: About {
        title: "Session Description Protocol",
        sources: "RFC 8866, RFC 3264, RFC 3605, RFC 4568, RFC 8839, MS-SDPEXT, MS-ICE2",
        reads: "Media lines, addresses, formats, keying, candidates: each media address becomes an offer.",
        proves: "The protocol that carries it says that it is one, and it begins with the line of version 0.",
        limits: "Keys are seen to be there, never kept; host names are noted, never resolved; whether the other side agreed is not asked.",
    },
    attributes: &[
        ORIGIN,
        MEDIA,
        PROFILE,
        REJECTED,
        HELD,
        HOST_NAME,
        CRYPTO,
        FINGERPRINT,
        ENCRYPTION,
    ],
    stream: None,
    datagram: None,
};

const NAME: &str = "sdp";
/// The unicast address of the `o=` line.
const ORIGIN: &str = "origin";
/// A kind of media: `audio`, `video`, `application`, `image` ...
const MEDIA: &str = "media";
/// A transport profile: `RTP/AVP`, `RTP/SAVP`, `TCP/RTP/SAVP`, `udptl` ...
const PROFILE: &str = "profile";
/// A kind of media that was refused with port 0.
const REJECTED: &str = "rejected";
/// A kind of media whose sending was stopped: the unspecified address, or `a=inactive`.
const HELD: &str = "held";
/// A host name where an address would name the endpoint.
const HOST_NAME: &str = "host_name";
/// A suite of `a=crypto` (RFC 4568).
const CRYPTO: &str = "crypto";
/// The hash function of `a=fingerprint` (RFC 8122).
const FINGERPRINT: &str = "fingerprint";
/// The word of `a=encryption` (MS-SDPEXT 3.1.5.11): `required`, `optional` or `rejected`.
const ENCRYPTION: &str = "encryption";

/// Media lines kept of one session: a conference with a gallery of videos has some twenty.
const MAX_MEDIA: usize = 64;
/// Entries of one kind (formats, candidates, suites) kept of one media line: an Edge client with several
/// cards lists some forty candidates.
const MAX_ENTRIES: usize = 128;

/// The port of the discard service (RFC 863), which stands for "none" where the grammar asks for a port.
const DISCARD: u16 = 9;
/// Addresses kept of one media line, and of the session: layered multicast has a few (RFC 8866 section 5.7).
const MAX_HOSTS: usize = 8;

/// A session description.
#[derive(Debug)]
pub(super) struct Session {
    origin: Box<str>,
    shared: Block,
    media: Vec<Media>,
}

/// A media line with its attributes.
#[derive(Debug)]
struct Media {
    kind: Box<str>,
    port: u16,
    profile: Box<str>,
    formats: Vec<Box<str>>,
    maps: Vec<(Box<str>, Box<str>)>,
    rtcp_port: Option<u16>,
    rtcp_mux: bool,
    block: Block,
}

/// What may stand above all media lines, or below one.
#[derive(Debug, Default)]
struct Block {
    hosts: Vec<Host>,
    direction: Option<Box<str>>,
    suites: Vec<Box<str>>,
    hashes: Vec<Box<str>>,
    encryption: Option<Box<str>>,
    candidates: Vec<Candidate>,
}

#[derive(Clone, Debug)]
enum Host {
    Address(IpAddr),
    Name(Box<str>),
}

#[derive(Debug)]
struct Candidate {
    transport: Transport,
    endpoint: Endpoint,
    kind: Box<str>,
}

/// Reads a session description; `None` where `body` does not begin with its version line. Lines may end with LF alone;
/// unknown and broken lines are passed over. Of a body that was cut, the caller leaves the last, incomplete line out.
pub(super) fn parse(body: &[u8]) -> Option<Session> {
    let text = String::from_utf8_lossy(body);
    let mut lines = text
        .split(['\n', '\r'])
        .map(str::trim_end)
        .filter(|line| !line.is_empty());
    (lines.next()?.trim_start() == "v=0").then_some(())?;
    let mut session = Session {
        origin: Box::default(),
        shared: Block::default(),
        media: Vec::new(),
    };
    // The attributes below a broken media line belong to nobody.
    let mut orphaned = false;
    for line in lines {
        match line.split_once('=') {
            Some(("m", value)) => {
                if session.media.len() >= MAX_MEDIA {
                    break;
                }
                let media = Media::parse(value);
                orphaned = media.is_none();
                session.media.extend(media);
            }
            Some(_) if orphaned => {}
            Some(("o", value)) if session.origin.is_empty() => {
                session.origin = value.split_whitespace().nth(5).unwrap_or_default().into();
            }
            Some((kind, value)) => match session.media.last_mut() {
                Some(media) => media.line(kind, value),
                None => session.shared.line(kind, value),
            },
            None => {}
        }
    }
    Some(session)
}

impl Session {
    /// Notes its facts, and offers its media and candidates for the call `call_id`.
    pub(super) fn note(&self, call_id: &str, notes: &mut Notes<'_>) {
        fact(notes, ORIGIN, &self.origin);
        for media in &self.media {
            self.note_media(media, call_id, notes);
        }
    }

    fn note_media(&self, media: &Media, call_id: &str, notes: &mut Notes<'_>) {
        let (own, shared) = (&media.block, &self.shared);
        fact(notes, MEDIA, &media.kind);
        fact(notes, PROFILE, &media.profile);
        for suite in own.suites.iter().chain(&shared.suites) {
            fact(notes, CRYPTO, suite);
        }
        for hash in own.hashes.iter().chain(&shared.hashes) {
            fact(notes, FINGERPRINT, hash);
        }
        if let Some(word) = own.encryption.as_ref().or(shared.encryption.as_ref()) {
            fact(notes, ENCRYPTION, word);
        }
        if media.port == 0 {
            fact(notes, REJECTED, &media.kind);
            return;
        }
        let direction = own.direction.as_deref().or(shared.direction.as_deref());
        if direction == Some("inactive") {
            fact(notes, HELD, &media.kind);
        }
        let transport = media.transport();
        let keyed = [own, shared]
            .iter()
            .any(|block| !block.suites.is_empty() || !block.hashes.is_empty());
        let hosts = if own.hosts.is_empty() {
            &shared.hosts
        } else {
            &own.hosts
        };
        let offer = MediaOffer {
            media: media.kind.clone(),
            profile: media.profile.clone(),
            codecs: media.codecs(),
            rtcp_port: media.rtcp_port(),
            direction: direction.unwrap_or("sendrecv").into(),
            keyed,
            call_id: short(call_id),
        };
        for host in hosts {
            let address = match host {
                Host::Name(name) => {
                    fact(notes, HOST_NAME, name);
                    continue;
                }
                // With the discard port, candidates are still to come (RFC 8840 section 4.1.1).
                Host::Address(address) if address.is_unspecified() => {
                    if media.port != DISCARD {
                        fact(notes, HELD, &media.kind);
                    }
                    continue;
                }
                Host::Address(address) => *address,
            };
            let endpoint = Endpoint::new(address, media.port);
            notes.offer(transport, endpoint, Offered::Media(Box::new(offer.clone())));
        }
        for candidate in own.candidates.iter().chain(&shared.candidates) {
            let offered = Offered::Candidate {
                kind: candidate.kind.clone(),
                call_id: short(call_id),
            };
            notes.offer(candidate.transport, candidate.endpoint, offered);
        }
    }
}

fn fact(notes: &mut Notes<'_>, name: &'static str, text: &str) {
    if !text.is_empty() {
        let attribute = Attribute {
            protocol: NAME,
            name,
        };
        notes.carried(attribute, Value::text(text));
    }
}

impl Media {
    /// `audio 49170/2 RTP/AVP 0 8` (RFC 8866 section 5.14).
    fn parse(value: &str) -> Option<Self> {
        let mut words = value.split_whitespace();
        let kind = words.next()?;
        let port = words.next()?;
        let port = port.split_once('/').map_or(port, |(first, _)| first);
        Some(Self {
            kind: short(kind),
            port: port.parse().ok()?,
            profile: short(words.next()?),
            formats: words.take(MAX_ENTRIES).map(short).collect(),
            maps: Vec::new(),
            rtcp_port: None,
            rtcp_mux: false,
            block: Block::default(),
        })
    }

    fn line(&mut self, kind: &str, value: &str) {
        let (name, rest) = value.split_once(':').unwrap_or((value, ""));
        match (kind, name) {
            ("a", "rtpmap") => {
                if let Some((format, map)) = rest.trim().split_once(' ')
                    && self.maps.len() < MAX_ENTRIES
                {
                    self.maps.push((short(format), short(map.trim())));
                }
            }
            ("a", "rtcp") => {
                let port = rest.split_whitespace().next();
                self.rtcp_port = port.and_then(|port| port.parse().ok());
            }
            ("a", "rtcp-mux") => self.rtcp_mux = true,
            _ => self.block.line(kind, value),
        }
    }

    fn transport(&self) -> Transport {
        let is_tcp = self.profile.split('/').next();
        if is_tcp.is_some_and(|first| first.eq_ignore_ascii_case("tcp")) {
            Transport::TCP
        } else {
            Transport::UDP
        }
    }

    /// RFC 5761 section 5.1.1, RFC 3605, RFC 3550 section 11; nothing for media that are not RTP.
    fn rtcp_port(&self) -> Option<u16> {
        let is_rtp = self
            .profile
            .split('/')
            .any(|part| part.eq_ignore_ascii_case("rtp"));
        if !is_rtp {
            return None;
        }
        if self.rtcp_mux {
            return Some(self.port);
        }
        self.rtcp_port.or_else(|| self.port.checked_add(1))
    }

    fn codecs(&self) -> Vec<Box<str>> {
        let codec = |format: &str| {
            let map = self.maps.iter().find(|(number, _)| &**number == format);
            map.map_or_else(
                || format.into(),
                |(_, map)| format!("{format} {map}").into(),
            )
        };
        self.formats.iter().map(|format| codec(format)).collect()
    }
}

impl Block {
    fn line(&mut self, kind: &str, value: &str) {
        match kind {
            "c" if self.hosts.len() < MAX_HOSTS => self.hosts.extend(Host::parse(value)),
            "a" => self.attribute(value),
            _ => {}
        }
    }

    fn attribute(&mut self, value: &str) {
        let (name, rest) = value.split_once(':').unwrap_or((value, ""));
        let word = |index| rest.split_whitespace().nth(index).map(short);
        match name {
            "sendrecv" | "sendonly" | "recvonly" | "inactive" => {
                self.direction = Some(name.into());
            }
            "crypto" => push(&mut self.suites, word(1)),
            "fingerprint" => push(&mut self.hashes, word(0)),
            "encryption" => self.encryption = word(0),
            "candidate" | "x-candidate-ipv6" => {
                push(&mut self.candidates, Candidate::parse(rest));
            }
            _ => {}
        }
    }
}

impl Host {
    /// `IN IP4 224.2.1.1/127/3` (RFC 8866 section 5.7).
    fn parse(value: &str) -> Option<Self> {
        let mut words = value.split_whitespace();
        let _network = words.next().filter(|kind| *kind == "IN")?;
        let _version = words.next().filter(|kind| kind.starts_with("IP"))?;
        let address = words.next()?;
        let address = address.split_once('/').map_or(address, |(first, _)| first);
        Some(parse_address(address).map_or_else(|| Self::Name(short(address)), Self::Address))
    }
}

impl Candidate {
    /// RFC 8839 section 5.1: `foundation component transport priority address port typ kind ...`; MS-ICE 2.2.1 (after
    /// draft-ietf-mmusic-ice-06): `id component password transport priority address port`. Candidates without a port of
    /// their own (RFC 6544 active ones name the discard port) and host names offer nothing.
    fn parse(value: &str) -> Option<Self> {
        let words: Vec<&str> = value.split_whitespace().take(12).collect();
        let word = |index: usize| words.get(index).copied();
        let _component: u16 = word(1)?.parse().ok()?;
        let is_new = word(6).is_some_and(|typ| typ.eq_ignore_ascii_case("typ"));
        let (transport, address, port, kind) = if is_new {
            (word(2)?, word(4)?, word(5)?, word(7)?)
        } else {
            (word(3)?, word(5)?, word(6)?, "")
        };
        let transport = match transport.get(..3)? {
            udp if udp.eq_ignore_ascii_case("udp") => Transport::UDP,
            tcp if tcp.eq_ignore_ascii_case("tcp") => Transport::TCP,
            _ => return None,
        };
        let port: u16 = port.parse().ok()?;
        let address = parse_address(address).filter(|address| !address.is_unspecified())?;
        let is_discard = transport == Transport::TCP && port == DISCARD;
        (port != 0 && !is_discard).then(|| Self {
            transport,
            endpoint: Endpoint::new(address, port),
            kind: short(&kind.to_ascii_lowercase()),
        })
    }
}

/// An address, in brackets or with a zone as some senders write IPv6; addresses of IPv4 mapped into IPv6 as IPv4.
fn parse_address(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Some(address.into());
    }
    let text = text.trim_start_matches('[').trim_end_matches(']');
    let text = text.split_once('%').map_or(text, |(address, _)| address);
    let address: Ipv6Addr = text.parse().ok()?;
    Some(IpAddr::from(address).to_canonical())
}

fn push<T>(list: &mut Vec<T>, item: Option<T>) {
    if list.len() < MAX_ENTRIES {
        list.extend(item);
    }
}

/// A word as a report may print it, bounded.
fn short(word: &str) -> Box<str> {
    let printed = word.chars().filter(|c| !c.is_control());
    printed.take(Value::MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{CLIENT, datagrams, offers, values};
    use crate::evidence::{MediaOffer, Offered, Recorder};
    use crate::net::Transport;

    fn carried(body: &str) -> Recorder {
        let head = "OPTIONS sip:a@b SIP/2.0\r\nCall-ID: c\r\nContent-Type: application/sdp\r\n\r\n";
        datagrams(&[(CLIENT, format!("{head}{body}").as_bytes())])
    }

    fn media(recorder: &Recorder) -> Vec<(Transport, String, MediaOffer)> {
        let media = |offer: crate::evidence::Offer| match offer.offered {
            Offered::Media(media) => Some((offer.transport, offer.endpoint.to_string(), *media)),
            _ => None,
        };
        offers(recorder).into_iter().filter_map(media).collect()
    }

    fn candidates(recorder: &Recorder) -> Vec<String> {
        let candidate = |offer: crate::evidence::Offer| match offer.offered {
            Offered::Candidate { kind, .. } => {
                Some(format!("{} {} {kind}", offer.transport, offer.endpoint))
            }
            _ => None,
        };
        offers(recorder).into_iter().filter_map(candidate).collect()
    }

    #[test]
    fn a_media_line_inherits_from_the_session_what_it_does_not_say() {
        let recorder = carried(
            "v=0\no=- 1 1 IN IP4 192.0.2.9\nc=IN IP4 192.0.2.1/127\na=sendonly\na=fingerprint:sha-256 AA\n\
             m=audio 6000/2 RTP/AVP 0\nm=video 6002 RTP/AVPF 96\nc=IN IP6 2001:db8::1\na=recvonly\na=rtcp:7000 IN IP4 192.0.2.1\n\
             m=image 6004 udptl t38\nm=applicationsharing 6006 TCP/RTP/SAVP 127\na=rtcp-mux\n",
        );
        let found: Vec<_> = media(&recorder)
            .into_iter()
            .map(|(transport, endpoint, media)| {
                let MediaOffer {
                    rtcp_port,
                    direction,
                    keyed,
                    ..
                } = media;
                format!("{transport} {endpoint} {rtcp_port:?} {direction} {keyed}")
            })
            .collect();
        assert_eq!(
            found,
            [
                "tcp 192.0.2.1:6006 Some(6006) sendonly true",
                "udp 192.0.2.1:6000 Some(6001) sendonly true",
                "udp 192.0.2.1:6004 None sendonly true",
                "udp [2001:db8::1]:6002 Some(7000) recvonly true",
            ]
        );
        assert_eq!(values(&recorder, "sdp", super::ORIGIN), ["192.0.2.9"]);
        assert_eq!(
            values(&recorder, "sdp", super::MEDIA),
            ["applicationsharing", "audio", "image", "video"]
        );
        assert_eq!(
            values(&recorder, "sdp", super::PROFILE),
            ["RTP/AVP", "RTP/AVPF", "TCP/RTP/SAVP", "udptl"]
        );
        assert_eq!(values(&recorder, "sdp", super::FINGERPRINT), ["sha-256"]);
    }

    #[test]
    fn keying_is_named_and_no_key_is_kept() {
        let recorder = carried(
            "v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 6000 RTP/AVP 0\r\na=encryption:optional\r\n\
             a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0|2^31|1:1\r\nm=video 6002 RTP/AVP 31\r\na=encryption:rejected\r\n",
        );
        assert_eq!(
            values(&recorder, "sdp", super::CRYPTO),
            ["AES_CM_128_HMAC_SHA1_80"]
        );
        assert_eq!(
            values(&recorder, "sdp", super::ENCRYPTION),
            ["optional", "rejected"]
        );
        let keyed: Vec<bool> = media(&recorder)
            .iter()
            .map(|(_, _, media)| media.keyed)
            .collect();
        assert_eq!(keyed, [true, false]);
        assert!(!format!("{recorder:?}").contains("c2VjcmV0"));
    }

    #[test]
    fn rejected_and_held_media_and_host_names_offer_nothing() {
        let recorder = carried(
            "v=0\r\nc=IN IP4 192.0.2.1\r\nm=image 0 udptl t38\r\nm=audio 6000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n\
             m=video 6002 RTP/AVP 31\r\nc=IN IP4 host.example.com\r\nm=audio $ RTP/AVP 8\r\na=crypto:1 X inline:y\r\n",
        );
        assert!(offers(&recorder).is_empty());
        assert_eq!(values(&recorder, "sdp", super::REJECTED), ["image"]);
        assert_eq!(values(&recorder, "sdp", super::HELD), ["audio"]);
        assert_eq!(
            values(&recorder, "sdp", super::HOST_NAME),
            ["host.example.com"]
        );
        assert!(values(&recorder, "sdp", super::CRYPTO).is_empty());
    }

    #[test]
    fn candidates_of_both_forms_are_offered() {
        let recorder = carried(
            "v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 6000 RTP/AVP 0\r\n\
             a=candidate:1 1 UDP 2130706431 192.0.2.1 6000 typ host \r\n\
             a=candidate:2 2 TCP-PASS 6556159 198.51.100.7 50001 typ relay raddr 192.0.2.1 rport 9\r\n\
             a=candidate:3 1 TCP 1 192.0.2.1 9 typ host tcptype active\r\n\
             a=candidate:4 1 UDP 1 name.local 6000 typ host\r\n\
             a=candidate:VOyTmTyY 1 2kuYX2LaSw UDP 0.830 203.0.113.4 50010\r\n\
             a=x-candidate-ipv6:5 1 UDP 1 2001:db8::5 6008 typ srflx raddr :: rport 0\r\n\
             a=candidate:broken\r\na=candidate:6 1 UDP 1 192.0.2.1 99999 typ host\r\n",
        );
        assert_eq!(
            candidates(&recorder),
            [
                "tcp 198.51.100.7:50001 relay",
                "udp 192.0.2.1:6000 host",
                "udp 203.0.113.4:50010 ",
                "udp [2001:db8::5]:6008 srflx",
            ]
        );
        assert_eq!(media(&recorder).len(), 1);
    }

    #[test]
    fn other_bodies_are_no_session_descriptions() {
        assert!(super::parse(b"").is_none());
        assert!(super::parse(b"v=1\r\n").is_none());
        assert!(super::parse(b"\xff\xfe").is_none());
        assert!(super::parse(b"\r\nv=0").is_some());
    }
}
