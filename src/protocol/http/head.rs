//! One message head, read by `httparse`, and what is noted of it.

use std::borrow::Cow;
use std::net::SocketAddr;

use memchr::{memchr, memrchr};

use super::fields::{Fields, MAX_FIELDS};
use super::{
    ACTIVESYNC_COMMAND, AUTHENTICATE, AUTHORIZATION, CONTENT_TYPE, DEVICE_TYPE, EXCHANGE_HEADER,
    HOST, METHOD, PATH, RPC_TARGET, SERVER, SOAP_ACTION, STATUS, USER_AGENT, VERSION,
};
use crate::evidence::{Notes, Offered};
use crate::net::{Endpoint, Transport};
use crate::protocol::{Reject, gss, rvp};

/// Headers that Exchange and Lync servers send, or their clients to them.
const NOTABLE: &[&str] = &[
    "ms-asprotocolversion",
    "ms-asprotocolversions",
    "ms-server-activesync",
    "ms-webstorage",
    "x-backendhttpstatus",
    "x-beserver",
    "x-calculatedbetarget",
    "x-calculatedfetarget",
    "x-clientapplication",
    "x-diaginfo",
    "x-feserver",
    "x-mapiapplication",
    "x-mapihttpcapability",
    "x-ms-namespace",
    "x-ms-server-fqdn",
    "x-ms-webticketsupported",
    "x-ms-webticketurl",
    "x-officefe",
    "x-officeversion",
    "x-owa-version",
    "x-requesttype",
    "x-responsecode",
    "x-serverapplication",
    "x-targetbeserver",
];

/// Schemes (IANA registry, and those of Microsoft) that count after the first of a header.
const SCHEMES: &[&str] = &[
    "Basic",
    "Bearer",
    "Digest",
    "Kerberos",
    "Negotiate",
    "NTLM",
    "Passport1.4",
    "TLS-DSK",
];

/// What a head begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start<'a> {
    Request { method: &'a str },
    Response { status: u16 },
}

/// A head.
#[derive(Debug)]
pub(super) struct Head<'a> {
    pub(super) start: Start<'a>,
    target: &'a str,
    minor: u8,
    fields: Fields<'a>,
}

impl<'a> Head<'a> {
    /// Reads a whole head. Where `httparse` refuses it (blanks in the target, a line without a colon), the first line
    /// still counts.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Reject> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let strict = if bytes.starts_with(b"HTTP/") {
            let mut response = httparse::Response::new(&mut headers);
            // Servers exist that put blanks before the colon, or break lines.
            let parsed = httparse::ParserConfig::default()
                .allow_spaces_after_header_name_in_responses(true)
                .allow_obsolete_multiline_headers_in_responses(true)
                .ignore_invalid_headers_in_responses(true)
                .parse_response(&mut response, bytes);
            parsed.ok().and_then(|_| {
                Some(Self {
                    start: Start::Response {
                        status: response.code?,
                    },
                    target: "",
                    minor: response.version?,
                    fields: Fields::of(response.headers),
                })
            })
        } else {
            let mut request = httparse::Request::new(&mut headers);
            let parsed = httparse::ParserConfig::default()
                .ignore_invalid_headers_in_requests(true)
                .parse_request(&mut request, bytes);
            parsed.ok().and_then(|_| {
                Some(Self {
                    start: Start::Request {
                        method: request.method?,
                    },
                    target: request.path?,
                    minor: request.version?,
                    fields: Fields::of(request.headers),
                })
            })
        };
        strict
            .or_else(|| Self::first_line(bytes))
            .ok_or(Reject::Invalid("head"))
    }

    fn first_line(bytes: &'a [u8]) -> Option<Self> {
        let end = memchr(b'\n', bytes)?;
        let (line, lines) = (bytes.get(..end)?, bytes.get(end.saturating_add(1)..)?);
        let line = std::str::from_utf8(line).ok()?.trim_end();
        let (first, rest) = line.split_once(' ')?;
        let (start, target, version) = if first.starts_with("HTTP/") {
            let status = rest.get(..3)?.parse().ok()?;
            (Start::Response { status }, "", first)
        } else {
            let (target, version) = rest.rsplit_once(' ')?;
            (Start::Request { method: first }, target.trim(), version)
        };
        let minor = match version {
            "HTTP/1.0" => 0,
            "HTTP/1.1" => 1,
            _ => return None,
        };
        Some(Self {
            start,
            target,
            minor,
            fields: Fields::parse(lines),
        })
    }

    /// Reads the whole lines of a head that is cut, and gives them to `read`.
    pub(super) fn read_cut(bytes: &[u8], read: impl FnOnce(&Head<'_>)) {
        let Some(end) = memrchr(b'\n', bytes) else {
            return;
        };
        let mut lines = bytes.get(..=end).unwrap_or_default().to_vec();
        lines.extend_from_slice(b"\r\n");
        if let Ok(head) = Head::parse(&lines) {
            read(&head);
        }
    }

    /// The first header of that name (lower case).
    pub(super) fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.fields.get(name)
    }

    pub(super) fn is_chunked(&self) -> bool {
        self.header("transfer-encoding").is_some_and(|coding| {
            let last = coding.len().saturating_sub(b"chunked".len());
            coding
                .get(last..)
                .is_some_and(|last| last.eq_ignore_ascii_case(b"chunked"))
        })
    }

    pub(super) fn content_length(&self) -> Option<u64> {
        self.fields.content_length()
    }

    /// Notes what the head says.
    pub(super) fn note(&self, notes: &mut Notes<'_>) {
        notes.text(VERSION, if self.minor == 0 { "1.0" } else { "1.1" });
        match self.start {
            Start::Request { method } => {
                notes.text(METHOD, method);
                rvp::note(Some((method, path_of(self.target))), &self.fields, notes);
                note_target(self.target, notes);
            }
            Start::Response { status } => {
                notes.number(STATUS, u64::from(status));
                rvp::note(None, &self.fields, notes);
            }
        }
        for (spelled, value) in self.fields.iter() {
            let name = spelled.to_ascii_lowercase();
            match name.as_str() {
                "host" => notes.text(HOST, &String::from_utf8_lossy(value).to_ascii_lowercase()),
                "user-agent" => notes.bytes(USER_AGENT, value),
                "server" => notes.bytes(SERVER, value),
                "content-type" => notes.bytes(CONTENT_TYPE, value),
                "soapaction" => {
                    let action = value.strip_prefix(b"\"").unwrap_or(value);
                    notes.bytes(SOAP_ACTION, action.strip_suffix(b"\"").unwrap_or(action));
                }
                "www-authenticate" => offered(value, notes),
                "authorization" => used(value, notes),
                known if NOTABLE.contains(&known) => {
                    let text = String::from_utf8_lossy(value);
                    notes.text(EXCHANGE_HEADER, &format!("{spelled}: {text}"));
                }
                _ => {}
            }
        }
    }
}

/// Notes the path of a target (an authority, where it is CONNECT's), and what may be kept of its query.
pub(super) fn note_target(target: &str, notes: &mut Notes<'_>) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = path_of(path);
    notes.text(PATH, &public(path));
    let lower = path.to_ascii_lowercase();
    if lower.contains("rpcproxy.dll") || lower.contains("rpcproxyshim.dll") {
        notes.text(RPC_TARGET, query);
        offer_target(query, notes);
    } else if lower.starts_with("/microsoft-server-activesync") {
        // Beside these two it names the user and his device.
        for (key, name) in [("cmd", ACTIVESYNC_COMMAND), ("devicetype", DEVICE_TYPE)] {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            let value = pairs.find(|(known, _)| known.eq_ignore_ascii_case(key));
            notes.text(name, value.map_or("", |(_, value)| value));
        }
    }
}

/// Offers the RPC server that a proxy is asked for, as `server:port` (MS-RPCH 2.2.2), where it is no name but an address.
fn offer_target(target: &str, notes: &mut Notes<'_>) {
    if let Ok(target) = target.parse::<SocketAddr>()
        && target.port() != 0
    {
        let endpoint = Endpoint::new(target.ip(), target.port());
        let offered = Offered::Protocol {
            protocol: "dcerpc",
            name: "behind an RPC proxy".into(),
        };
        notes.offer(Transport::TCP, endpoint, offered);
    }
}

/// A path without the names of persons that stand in it: addresses, and aliases of instant messaging.
fn public(path: &str) -> Cow<'_, str> {
    let path = rvp::without_alias(path);
    if !path.contains('@') {
        return Cow::Borrowed(path);
    }
    let parts = path.split('/').map(|part| match part {
        part if part.contains('@') => "<address>",
        part => part,
    });
    Cow::Owned(parts.collect::<Vec<_>>().join("/"))
}

/// The path of a target that may be a whole URL, as proxies are asked.
fn path_of(target: &str) -> &str {
    match target.split_once("://") {
        Some((_, rest)) => rest
            .find('/')
            .and_then(|start| rest.get(start..))
            .unwrap_or("/"),
        None => target,
    }
}

/// Schemes of WWW-Authenticate (RFC 9110 §11.6.1), with the server's token where one comes.
fn offered(value: &[u8], notes: &mut Notes<'_>) {
    for (index, challenge) in value.split(|&byte| byte == b',').enumerate() {
        let (scheme, token) = scheme(challenge);
        let scheme = String::from_utf8_lossy(scheme);
        let known = SCHEMES
            .iter()
            .any(|known| known.eq_ignore_ascii_case(&scheme));
        if known || (index == 0 && !scheme.contains('=')) {
            notes.text(AUTHENTICATE, &scheme);
            note_token(&scheme, token, notes);
        }
    }
}

/// The scheme of Authorization, and the mechanism of its token. What else follows are credentials.
fn used(value: &[u8], notes: &mut Notes<'_>) {
    let (scheme, token) = scheme(value);
    // A bare secret without a scheme is not shown.
    if scheme.len() <= 20 && scheme.iter().all(|byte| byte.is_ascii_graphic()) && !token.is_empty()
    {
        let scheme = String::from_utf8_lossy(scheme);
        notes.text(AUTHORIZATION, &scheme);
        note_token(&scheme, token, notes);
    }
}

fn scheme(value: &[u8]) -> (&[u8], &[u8]) {
    let value = value.trim_ascii();
    match memchr(b' ', value) {
        Some(space) => {
            let (scheme, rest) = value.split_at(space);
            (scheme, rest.trim_ascii())
        }
        None => (value, &[]),
    }
}

fn note_token(scheme: &str, token: &[u8], notes: &mut Notes<'_>) {
    let gss = ["NTLM", "Negotiate", "Kerberos"];
    if gss.iter().any(|known| known.eq_ignore_ascii_case(scheme))
        && let Some(token) = gss::mechanism_base64(token)
    {
        token.note(notes);
    }
}
