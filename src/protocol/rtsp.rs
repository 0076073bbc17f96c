//! Real-Time Streaming Protocol (RFC 2326, RFC 7826) on a stream: who asks for which stream, and where its media goes.
//!
//! Heads have the form of HTTP's. Descriptions are handed to SDP, the ports that a SETUP settles become offers, frames that
//! are interleaved (RFC 2326 §10.12) are passed over. Proved by a request or status line with the protocol's name. The
//! paths of URLs are kept without query and credentials; RTSP inside HTTP is not looked for.

use std::net::IpAddr;

use memchr::{memchr, memmem};

use super::http::Fields;
use super::text::{first_line, split_word};
use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry, sdp};
use crate::evidence::{MediaOffer, Notes, Offered};
use crate::net::{Endpoint, PerSide, Side, Transport};

/// The method of a request.
const METHOD: &str = "method";
/// The URL of a request, without query and credentials.
const URL: &str = "url";
/// Code and phrase of a response.
const STATUS: &str = "status";
/// The server's software.
const SERVER: &str = "server";
/// The client's software.
const USER_AGENT: &str = "user_agent";
/// A transport that a SETUP settled: `RTP/AVP`, `RTP/AVP/TCP` ...
const TRANSPORT: &str = "transport";
/// The scheme of an authentication field: `Basic`, `Digest`.
const AUTH: &str = "auth";

/// Control of streams.
pub(super) const RTSP: Protocol = Protocol {
    name: "rtsp",
    about: About {
        title: "Real-Time Streaming Protocol",
        sources: "RFC 2326, RFC 7826",
        reads: "Requests and responses: method, URL, software, authentication scheme, settled transports; descriptions go to SDP.",
        proves: "A request or status line that names RTSP.",
        limits: "Interleaved media is passed over; RTSP tunnelled in HTTP is not looked for.",
    },
    attributes: &[METHOD, URL, STATUS, SERVER, USER_AGENT, TRANSPORT, AUTH],
    stream: Some(StreamEntry {
        first_byte: |byte| byte.is_ascii_uppercase(),
        probe,
        start: || Box::<Connection>::default(),
    }),
    datagram: None,
};

/// Longest head: URLs and parameters stay far below.
const MAX_HEAD: usize = 16 * 1024;
/// Longest description that is waited for.
const MAX_BODY: u64 = 64 * 1024;
/// Longest method; the longest registered one has 13 letters.
const MAX_METHOD: usize = 20;

fn probe(opening: &Opening<'_>) -> Probe {
    let answers = opening.bytes.iter().map(|(side, bytes)| {
        if opening.missing[side] > 0 && begins(bytes) {
            Probe::Yes
        } else {
            start(bytes)
        }
    });
    answers.fold(Probe::No, Probe::or)
}

/// Whether a message that is cut in its first line cannot be anything else: a method and a URL of RTSP (RFC 2326 §3.2), or
/// the version and a status.
fn begins(bytes: &[u8]) -> bool {
    if let Some(status) = bytes
        .strip_prefix(b"RTSP/1.0 ")
        .or(bytes.strip_prefix(b"RTSP/2.0 "))
    {
        return matches!(status, [b'1'..=b'5', b, c, b' ', ..] if b.is_ascii_digit() && c.is_ascii_digit());
    }
    let (method, url) = split_word(bytes);
    (3..=MAX_METHOD).contains(&method.len())
        && method
            .iter()
            .all(|byte| byte.is_ascii_uppercase() || *byte == b'_')
        && !matches!(method, b"GET" | b"POST" | b"CONNECT")
        && [&b"rtsp://"[..], b"rtspu://", b"rtsps://"]
            .iter()
            .any(|scheme| url.starts_with(scheme))
}

/// Whether `bytes` begin with a request or status line.
fn start(bytes: &[u8]) -> Probe {
    if let Some((line, _)) = first_line(bytes) {
        return match StartLine::parse(line) {
            Some(_) => Probe::Yes,
            None => Probe::No,
        };
    }
    // No line begins with so many letters that are neither the name nor a method.
    let word = bytes.get(..MAX_METHOD).unwrap_or(bytes);
    let letters = memchr(b' ', word).map_or(word, |end| word.get(..end).unwrap_or(word));
    let is_method = |byte: &u8| byte.is_ascii_uppercase() || *byte == b'_';
    let is_name = letters.starts_with(b"RTSP/");
    let may_be = is_name || b"RTSP/".starts_with(letters) || letters.iter().all(is_method);
    if !bytes.is_empty() && bytes.len() < MAX_HEAD && may_be && letters.len() < MAX_METHOD {
        Probe::More
    } else {
        Probe::No
    }
}

/// The first line of a message.
enum StartLine<'a> {
    Request { method: &'a str, url: &'a str },
    Response { status: &'a str },
}

impl<'a> StartLine<'a> {
    /// RFC 2326 §6.1 and §7.1.
    fn parse(line: &'a [u8]) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?;
        if line.chars().any(char::is_control) {
            return None;
        }
        let response = line
            .strip_prefix("RTSP/1.0 ")
            .or(line.strip_prefix("RTSP/2.0 "));
        if let Some(status) = response {
            let code = status.get(..3)?;
            let is_code = code.bytes().all(|byte| byte.is_ascii_digit());
            return (is_code && status.chars().nth(3).is_none_or(|next| next == ' '))
                .then_some(Self::Response { status });
        }
        let request = line
            .strip_suffix(" RTSP/1.0")
            .or(line.strip_suffix(" RTSP/2.0"))?;
        let (method, url) = request.split_once(' ')?;
        let is_method = (3..=MAX_METHOD).contains(&method.len())
            && method
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        (is_method && !url.is_empty()).then_some(Self::Request { method, url })
    }
}

/// Both directions of a connection.
#[derive(Default)]
struct Connection {
    /// The description that a side is sending.
    description: PerSide<Option<usize>>,
}

impl StreamDecoder for Connection {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        if let Some(length) = self.description[side] {
            let Some(body) = bytes.get(..length) else {
                return Step::NeedMore {
                    consumed: 0,
                    at_least: length,
                };
            };
            self.description[side] = None;
            if let Some(session) = sdp::parse(body) {
                notes.inside(sdp::SDP.name).proved();
                session.note("", notes);
            }
            return skip(length, 0);
        }
        match bytes {
            [] => Step::Consumed,
            [b'\r' | b'\n', ..] => skip(1, 0),
            &[b'$', _, high, low, ..] => skip(4, u64::from(u16::from_be_bytes([high, low]))),
            [b'$', ..] => Step::NeedMore {
                consumed: 0,
                at_least: 4,
            },
            bytes => self.message(side, bytes, notes),
        }
    }

    fn resume(&mut self, side: Side, bytes: &[u8]) -> Option<usize> {
        self.description[side] = None;
        (start(bytes) == Probe::Yes).then_some(0)
    }
}

const fn skip(consumed: usize, bytes: u64) -> Step {
    Step::Skip { consumed, bytes }
}

impl Connection {
    fn message(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let Some(end) = memmem::find(bytes, b"\r\n\r\n").map(|at| at.saturating_add(4)) else {
            if bytes.len() > MAX_HEAD || start(bytes) == Probe::No {
                return Step::Reject(Reject::Invalid("head"));
            }
            // The capture may end here.
            if begins(bytes) || start(bytes) == Probe::Yes {
                notes.proved();
            }
            return Step::NeedMore {
                consumed: 0,
                at_least: bytes.len().saturating_add(1),
            };
        };
        let head = bytes.get(..end).unwrap_or_default();
        let Some((line, first)) = first_line(head) else {
            return Step::Reject(Reject::Invalid("head"));
        };
        let Some(line) = StartLine::parse(line) else {
            return Step::Reject(Reject::Invalid("head"));
        };
        let fields = Fields::parse(head.get(first..).unwrap_or_default());
        note(&line, &fields, notes);
        let length = fields.content_length().unwrap_or(0);
        let kind = fields.text("content-type").unwrap_or_default();
        let is_description = kind.to_ascii_lowercase().starts_with("application/sdp");
        match usize::try_from(length) {
            Ok(body) if is_description && (1..=MAX_BODY).contains(&length) => {
                self.description[side] = Some(body);
                skip(end, 0)
            }
            _ => skip(end, length),
        }
    }
}

fn note(line: &StartLine<'_>, fields: &Fields<'_>, notes: &mut Notes<'_>) {
    let side = notes.side();
    notes.proved();
    match line {
        StartLine::Request { method, url } => {
            // Servers announce and redirect as well: the usual ones of a client tell.
            if !matches!(
                *method,
                "ANNOUNCE" | "REDIRECT" | "OPTIONS" | "SET_PARAMETER"
            ) {
                notes.client(side);
            }
            notes.text(METHOD, method);
            notes.text(URL, &plain(url));
        }
        StartLine::Response { status } => {
            notes.text(STATUS, status);
            if let Some(transport) = fields.text("transport")
                && status.starts_with("200")
            {
                settled(&transport, notes);
            }
        }
    }
    for (name, field) in [(SERVER, "server"), (USER_AGENT, "user-agent")] {
        notes.text(name, &fields.text(field).unwrap_or_default());
    }
    for field in ["www-authenticate", "authorization"] {
        let value = fields.text(field).unwrap_or_default();
        if let Some((scheme, _)) = value.split_once(' ') {
            notes.text(AUTH, scheme);
        }
    }
}

/// A URL without query and credentials.
fn plain(url: &str) -> String {
    let url = url.split_once('?').map_or(url, |(url, _)| url);
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let host = rest.find('/').unwrap_or(rest.len());
            let user = rest.get(..host).and_then(|host| host.rfind('@'));
            let rest = user.and_then(|at| rest.get(at.saturating_add(1)..));
            rest.map_or_else(|| url.to_owned(), |rest| format!("{scheme}://{rest}"))
        }
        None => url.to_owned(),
    }
}

/// The Transport field of a response (RFC 2326 §12.39): the ports of both ends become offers.
fn settled(transport: &str, notes: &mut Notes<'_>) {
    let transport = transport.split_once(',').map_or(transport, |(one, _)| one);
    let mut words = transport.split(';').map(str::trim);
    let profile = words.next().unwrap_or_default();
    notes.text(TRANSPORT, profile);
    let value = |name: &str| {
        transport.split(';').find_map(|word| {
            let (key, value) = word.trim().split_once('=')?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    };
    if profile.to_ascii_uppercase().ends_with("/TCP") || value("interleaved").is_some() {
        return;
    }
    let address = |name: &str, own: IpAddr| {
        value(name)
            .and_then(|host| host.parse().ok())
            .unwrap_or(own)
    };
    let (server, client) = (notes.sender().address, notes.receiver().address);
    let ends = [
        ("server_port", address("source", server)),
        ("client_port", address("destination", client)),
    ];
    for (name, address) in ends {
        let Some((port, rtcp_port)) = value(name).and_then(ports) else {
            continue;
        };
        let media = MediaOffer {
            profile: profile.into(),
            rtcp_port,
            ..MediaOffer::default()
        };
        let endpoint = Endpoint::new(address, port);
        notes.offer(Transport::UDP, endpoint, Offered::Media(Box::new(media)));
    }
}

/// `first-last`, or one port.
fn ports(value: &str) -> Option<(u16, Option<u16>)> {
    let (first, last) = match value.split_once('-') {
        Some((first, last)) => (first, last.parse().ok()),
        None => (value, None),
    };
    let first = first.parse().ok().filter(|&port| port != 0)?;
    Some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::testing::{
        CLIENT as C, SERVER as S, conversation, midstream, offers, only_registered_attributes,
        protocols, survives_every_cut, values,
    };

    const DESCRIBE: &[u8] = b"DESCRIBE rtsp://anna:secret@192.0.2.7:8554/one?token=1 RTSP/1.0\r\nCSeq: 3\r\n\
        User-Agent: Player/1\r\nAuthorization: Digest username=\"anna\"\r\nAccept: application/sdp\r\n\r\n";
    const DESCRIPTION: &[u8] = b"RTSP/1.0 200 OK\r\nServer: Box/2\r\nContent-Type: application/sdp\r\nCSeq: 3\r\n\
        Content-Length: 88\r\n\r\nv=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=x\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\nm=video 5004 RTP/AVP 96\r\n";
    const SETUP: &[u8] = b"SETUP rtsp://192.0.2.7/one/track1 RTSP/1.0\r\nCSeq: 4\r\n\
        Transport: RTP/AVP;unicast;client_port=6000-6001\r\n\r\n";
    const SETTLED: &[u8] = b"RTSP/1.0 200 OK\r\nCSeq: 4\r\nSession: 1\r\n\
        Transport: RTP/AVP;unicast;client_port=6000-6001;server_port=7000;source=192.0.2.9\r\n\r\n";

    #[test]
    fn a_stream_is_described_and_set_up() {
        let segments: [(Side, &[u8]); 4] =
            [(C, DESCRIBE), (S, DESCRIPTION), (C, SETUP), (S, SETTLED)];
        let recorder = conversation(&segments);
        let of = |name| values(&recorder, "rtsp", name);
        assert_eq!(protocols(&recorder), ["rtsp", "sdp"]);
        assert_eq!(recorder.client, Some(C));
        assert_eq!(of("method"), ["DESCRIBE", "SETUP"]);
        assert_eq!(
            of("url"),
            ["rtsp://192.0.2.7/one/track1", "rtsp://192.0.2.7:8554/one"]
        );
        assert_eq!(of("status"), ["200 OK"]);
        assert_eq!(of("server"), ["Box/2"]);
        assert_eq!(of("user_agent"), ["Player/1"]);
        assert_eq!(of("transport"), ["RTP/AVP"]);
        assert_eq!(of("auth"), ["Digest"]);
        assert_eq!(values(&recorder, "sdp", "media"), ["video"]);
        let offered: Vec<String> = offers(&recorder)
            .iter()
            .filter(|offer| matches!(&offer.offered, Offered::Media(_)))
            .map(|offer| offer.endpoint.to_string())
            .collect();
        assert_eq!(
            offered,
            ["10.0.0.1:6000", "192.0.2.7:5004", "192.0.2.9:7000"]
        );
        assert!(!format!("{:?}", recorder.facts).contains("secret"));
        only_registered_attributes(&recorder, &[&RTSP, &sdp::SDP]);
        for length in 1..=segments.len() {
            survives_every_cut(&segments[..length]);
        }
    }

    #[test]
    fn interleaved_frames_are_passed_over() {
        let segments: [(Side, &[u8]); 3] = [
            (C, SETUP),
            (
                S,
                b"RTSP/1.0 200 OK\r\nTransport: RTP/AVP/TCP;interleaved=0-1;server_port=1-2\r\n\r\n$\x00\x00\x05RTSP/$\x01\0\0",
            ),
            (S, b"RTSP/1.0 454 Session Not Found\r\n\r\n"),
        ];
        let recorder = conversation(&segments);
        assert_eq!(
            values(&recorder, "rtsp", "status"),
            ["200 OK", "454 Session Not Found"]
        );
        assert!(offers(&recorder).is_empty());
        survives_every_cut(&segments);
    }

    #[test]
    fn requests_are_found_in_the_middle() {
        let recorder = midstream(&[
            (S, b"$\x01\x00\x10aaaa"),
            (C, b"PLAY * RTSP/2.0\r\nCSeq: 9\r\n\r\n"),
        ]);
        assert_eq!(values(&recorder, "rtsp", "method"), ["PLAY"]);
    }

    #[test]
    fn heads_of_other_protocols_are_refused() {
        for other in [
            &b"OPTIONS sip:a@b.example SIP/2.0\r\nVia: x\r\n\r\n"[..],
            b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
            b"SIP/2.0 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"RTSP/1.0 ok\r\n\r\n",
            b"describe rtsp://a RTSP/1.0\r\n\r\n",
            b"$\x00\x00\x01aRTSP/1.0 200 OK\r\n\r\n",
        ] {
            assert!(!protocols(&conversation(&[(C, other)])).contains(&"rtsp"));
        }
    }

    #[test]
    fn a_message_that_is_cut_in_or_after_its_first_line_is_rtsp() {
        use crate::protocol::testing::cut_conversation;
        for cut in [
            &b"DESCRIBE rtsp://192.0.2.1:8554/a"[..],
            b"RTSP/1.0 454 Session Not Fo",
            b"RTSP/1.0 200 OK\r\nCSe",
        ] {
            let shown = String::from_utf8_lossy(cut);
            let named = protocols(&cut_conversation(&[(Side::A, cut, 80)]));
            assert_eq!(named, ["rtsp"], "{shown}");
        }
        for other in [&b"GET rtsp://192.0.2.1/a"[..], b"DESCRIBE http://192.0.2"] {
            let named = protocols(&cut_conversation(&[(Side::A, other, 80)]));
            assert!(!named.contains(&"rtsp"));
        }
    }
}
