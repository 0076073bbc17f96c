//! One message head, read by `httparse`, and what is noted of it.

use memchr::{memchr, memrchr};

use super::{
    AUTHENTICATE, AUTHORIZATION, CONTENT_TYPE, EXCHANGE_HEADER, HOST, METHOD, PATH, RPC_TARGET,
    SERVER, STATUS, USER_AGENT, VERSION,
};
use crate::evidence::Notes;
use crate::protocol::{Reject, gss};

/// Headers of one message: servers accept about a hundred.
const MAX_HEADERS: usize = 128;

/// Headers that Exchange and Lync servers send, or their clients to them.
const NOTABLE: &[&str] = &[
    "x-feserver",
    "x-beserver",
    "x-calculatedbetarget",
    "x-calculatedfetarget",
    "x-targetbeserver",
    "x-owa-version",
    "x-requesttype",
    "x-diaginfo",
    "x-ms-server-fqdn",
    "ms-server-activesync",
    "ms-asprotocolversion",
    "ms-webstorage",
    "x-clientapplication",
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
    headers: Vec<(&'a str, &'a [u8])>,
}

impl<'a> Head<'a> {
    /// Reads a whole head. Where `httparse` refuses it (blanks in the target, a line without a colon), the first line
    /// still counts.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Reject> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
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
                    headers: owned(response.headers),
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
                    headers: owned(request.headers),
                })
            })
        };
        strict
            .or_else(|| Self::first_line(bytes))
            .ok_or(Reject::Invalid("head"))
    }

    fn first_line(bytes: &'a [u8]) -> Option<Self> {
        let end = memchr(b'\n', bytes)?;
        let (line, rest) = (bytes.get(..end)?, bytes.get(end.saturating_add(1)..)?);
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let headers = match httparse::parse_headers(rest, &mut headers) {
            Ok(httparse::Status::Complete((_, headers))) => owned(headers),
            _ => Vec::new(),
        };
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
            headers,
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
        let mut headers = self.headers.iter();
        headers
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim_ascii())
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
        std::str::from_utf8(self.header("content-length")?)
            .ok()?
            .parse()
            .ok()
    }

    /// Notes what the head says.
    pub(super) fn note(&self, notes: &mut Notes<'_>) {
        notes.text(VERSION, if self.minor == 0 { "1.0" } else { "1.1" });
        match self.start {
            Start::Request { method } => {
                notes.text(METHOD, method);
                // The target of CONNECT is an authority.
                let (path, query) = match self.target.split_once('?') {
                    Some((path, query)) => (path, query),
                    None => (self.target, ""),
                };
                let path = path_of(path);
                notes.text(PATH, path);
                if path.to_ascii_lowercase().contains("rpcproxy.dll") {
                    notes.text(RPC_TARGET, query);
                }
            }
            Start::Response { status } => notes.number(STATUS, u64::from(status)),
        }
        for (name, value) in &self.headers {
            let name = name.to_ascii_lowercase();
            let value = value.trim_ascii();
            match name.as_str() {
                "host" => notes.text(HOST, &String::from_utf8_lossy(value).to_ascii_lowercase()),
                "user-agent" => notes.bytes(USER_AGENT, value),
                "server" => notes.bytes(SERVER, value),
                "content-type" => notes.bytes(CONTENT_TYPE, value),
                "www-authenticate" => offered(value, notes),
                "authorization" => used(value, notes),
                known if NOTABLE.contains(&known) => {
                    let text = String::from_utf8_lossy(value);
                    notes.text(EXCHANGE_HEADER, &format!("{}: {text}", self.spelled(known)));
                }
                _ => {}
            }
        }
    }

    /// The name as the sender spelled it.
    fn spelled(&self, name: &str) -> &'a str {
        let mut headers = self.headers.iter();
        headers
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map_or("", |(known, _)| known)
    }
}

fn owned<'a>(headers: &[httparse::Header<'a>]) -> Vec<(&'a str, &'a [u8])> {
    headers
        .iter()
        .map(|header| (header.name, header.value))
        .collect()
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
