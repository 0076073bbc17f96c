//! Whether bytes begin an HTTP message. SIP and RTSP have the same form, with another name after the target or at the
//! start; methods that no list knows count only with the name of HTTP.

use memchr::memchr;

use crate::protocol::text::first_line;
use crate::protocol::{Opening, Probe};

/// What a client that knows HTTP/2 sends first, RFC 9113 §3.4.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Methods of RFC 9110, WebDAV (RFC 4918, RFC 3253, RFC 5323), Exchange's DAV and notifications, RVP, RPC over HTTP (MS-RPCH
/// §2.1.2.1), and of UPnP's events.
const METHODS: &[&[u8]] = &[
    b"GET",
    b"HEAD",
    b"POST",
    b"PUT",
    b"DELETE",
    b"CONNECT",
    b"OPTIONS",
    b"TRACE",
    b"PATCH",
    b"PROPFIND",
    b"PROPPATCH",
    b"MKCOL",
    b"COPY",
    b"MOVE",
    b"LOCK",
    b"UNLOCK",
    b"SEARCH",
    b"REPORT",
    b"BCOPY",
    b"BMOVE",
    b"BDELETE",
    b"BPROPFIND",
    b"BPROPPATCH",
    b"POLL",
    b"NOTIFY",
    b"SUBSCRIBE",
    b"UNSUBSCRIBE",
    b"SUBSCRIPTIONS",
    b"SUBSCRIBERS",
    b"ACL",
    b"RPC_IN_DATA",
    b"RPC_OUT_DATA",
    b"RPC_CONNECT",
    b"RDG_IN_DATA",
    b"RDG_OUT_DATA",
    b"MERGE",
    b"CHECKOUT",
    b"VERSION-CONTROL",
    b"MKACTIVITY",
    b"X-MS-ENUMATTS",
];
/// Longest method.
const MAX_METHOD: usize = 20;
/// Characters of a target, for a known method, that count even though the line's end is not there: more than chance.
const LEAST_TARGET: usize = 24;

pub(super) fn probe(opening: &Opening<'_>) -> Probe {
    let sides = [opening.spoken(), opening.reply()];
    if sides.iter().any(|bytes| is_head(bytes)) {
        Probe::Yes
    } else if simple_request(opening.spoken()).is_some() {
        // The answer has no head: only a page of HTML tells it from other protocols of one line.
        match opening.reply().trim_ascii_start() {
            [] => Probe::More,
            [b'<', b'!' | b'h' | b'H', ..] => Probe::Yes,
            _ => Probe::No,
        }
    } else if sides.iter().any(|bytes| may_be_head(bytes)) {
        Probe::More
    } else {
        Probe::No
    }
}

/// Whether `bytes` begin a request or a response.
pub(super) fn is_head(bytes: &[u8]) -> bool {
    if let [
        b'H',
        b'T',
        b'T',
        b'P',
        b'/',
        b'1',
        b'.',
        b'0' | b'1',
        rest @ ..,
    ] = bytes
    {
        return matches!(rest, [b' ', b'1'..=b'5', b'0'..=b'9', b'0'..=b'9', ..]);
    }
    let Some((method, rest)) = method(bytes) else {
        return false;
    };
    match memchr(b'\n', rest) {
        Some(end) => {
            let line = rest.get(..end).unwrap_or_default();
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let target = [&b" HTTP/1.1"[..], b" HTTP/1.0"]
                .into_iter()
                .find_map(|version| line.strip_suffix(version));
            (target.is_some_and(|target| !target.is_empty())
                && line.iter().all(|&byte| byte >= 0x20))
                || bytes.starts_with(PREFACE)
        }
        // "INVITE sip:", "DESCRIBE rtsp:" and the like have no path.
        None => {
            METHODS.contains(&method)
                && is_target(rest)
                && rest.len() >= LEAST_TARGET
                && rest.iter().all(|&byte| byte == b'\r' || byte >= 0x20)
                && !rest.ends_with(b" RTSP/1.0\r")
                && !rest.ends_with(b" SIP/2.0\r")
        }
    }
}

/// The target of a request of HTTP/0.9 (RFC 1945 §4.1), a line without a version, and the line's length.
pub(super) fn simple_request(bytes: &[u8]) -> Option<(&str, usize)> {
    let (line, length) = first_line(bytes)?;
    let target = std::str::from_utf8(line.strip_prefix(b"GET ")?).ok()?;
    let is_plain = |byte: u8| byte.is_ascii_graphic();
    (target.starts_with('/') && target.bytes().all(is_plain)).then_some((target, length))
}

/// Whether more bytes may make it one.
pub(super) fn may_be_head(bytes: &[u8]) -> bool {
    if bytes.is_empty() || memchr(b'\n', bytes).is_some() {
        return !bytes.is_empty() && PREFACE.starts_with(bytes);
    }
    if b"HTTP/1.".starts_with(bytes.get(..7).unwrap_or(bytes)) && bytes.len() < 12 {
        return true;
    }
    match method(bytes) {
        Some((method, _)) => METHODS.contains(&method) || PREFACE.starts_with(method),
        None => {
            METHODS.iter().any(|method| method.starts_with(bytes)) || PREFACE.starts_with(bytes)
        }
    }
}

/// The method, and what follows it.
fn method(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = bytes.get(..MAX_METHOD.saturating_add(1)).unwrap_or(bytes);
    let space = memchr(b' ', start)?;
    let (method, rest) = (bytes.get(..space)?, bytes.get(space.saturating_add(1)..)?);
    let token = |byte: &u8| byte.is_ascii_uppercase() || matches!(byte, b'_' | b'-');
    (method.len() >= 3 && method.iter().all(token)).then_some((method, rest))
}

/// The beginning of a target: a path, a URL, an authority, or all of the server.
fn is_target(rest: &[u8]) -> bool {
    rest.starts_with(b"/") || rest.starts_with(b"http://") || rest.starts_with(b"https://")
}
