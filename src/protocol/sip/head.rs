//! The head of a message: start line and headers.

use std::borrow::Cow;

use memchr::{memchr, memmem};

use crate::protocol::Probe;

/// Longest start line: request URIs with opaque parameters of a front end have some hundred bytes.
const MAX_START_LINE: usize = 1024;
/// Headers read of one message: long route sets have some fifty.
const MAX_HEADERS: usize = 256;
/// Longest method name; the longest registered one has nine letters.
const MAX_METHOD: usize = 20;

/// Headers with which a server asks for authentication (RFC 3261 sections 20.27, 20.44).
const CHALLENGES: &[&str] = &["www-authenticate", "proxy-authenticate"];
/// Headers with which a client authenticates (RFC 3261 sections 20.7, 20.28).
const CREDENTIALS: &[&str] = &["authorization", "proxy-authorization"];

/// A start line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StartLine<'a> {
    /// `INVITE sip:user@host SIP/2.0`.
    Request {
        /// The method, as on the wire.
        method: &'a str,
    },
    /// `SIP/2.0 486 Busy Here`.
    Response {
        /// Code and phrase.
        status: &'a str,
    },
}

impl<'a> StartLine<'a> {
    /// Reads a line without its end. The version is SIP/2.0, a request names a URI with a scheme, a status lies in
    /// 100 to 699 (RFC 3261 sections 7.1 and 7.2).
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        if let Some(status) = line.strip_prefix(b"SIP/2.0 ") {
            let [a @ b'1'..=b'6', b, c, rest @ ..] = status else {
                return None;
            };
            let is_code = a.is_ascii_digit() && b.is_ascii_digit() && c.is_ascii_digit();
            if !is_code || !matches!(rest, [] | [b' ', ..]) {
                return None;
            }
            let status = printable(status).trim_end();
            return Some(Self::Response { status });
        }
        let line = line.strip_suffix(b" SIP/2.0")?;
        let (method, uri) = line.split_at_checked(memchr(b' ', line)?)?;
        let uri = uri.get(1..)?;
        let scheme = uri.get(..memchr(b':', uri)?)?;
        let is_scheme = matches!(scheme, [first, rest @ ..] if first.is_ascii_alphabetic()
            && rest.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte)));
        let is_uri = uri.iter().all(|byte| *byte > b' ' && *byte != 0x7f);
        (is_method(method) && is_scheme && is_uri).then(|| Self::Request {
            method: printable(method),
        })
    }
}

/// Registered methods and their extensions are capital letters.
fn is_method(bytes: &[u8]) -> bool {
    (1..=MAX_METHOD).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_uppercase)
}

/// The longest beginning that is UTF-8.
fn printable(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
            std::str::from_utf8(valid).unwrap_or_default()
        }
    }
}

/// Whether `bytes` begin with a start line; [`Probe::More`] while its line has not ended and nothing speaks against it.
pub(super) fn probe(bytes: &[u8]) -> Probe {
    let line = bytes.get(..MAX_START_LINE).unwrap_or(bytes);
    if let Some(end) = memchr(b'\n', line) {
        let line = line.get(..end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        return match StartLine::parse(line) {
            Some(_) => Probe::Yes,
            None => Probe::No,
        };
    }
    if line.len() == MAX_START_LINE {
        return Probe::No;
    }
    let version = b"SIP/2.0 ".get(..line.len().min(8)).unwrap_or_default();
    let may_be = match memchr(b' ', line) {
        _ if line.starts_with(version) => true,
        None => is_method(line),
        Some(end) => {
            let (method, uri) = line.split_at_checked(end).unwrap_or_default();
            let uri = uri.get(1..).unwrap_or_default();
            let scheme = uri.get(..memchr(b':', uri).unwrap_or(uri.len()));
            let mut scheme = scheme.unwrap_or_default().iter();
            is_method(method)
                && scheme.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte))
        }
    };
    if may_be { Probe::More } else { Probe::No }
}

/// Methods of RFC 3261, its extensions, and MS-SIP.
const METHODS: &[&[u8]] = &[
    b"ACK",
    b"BENOTIFY",
    b"BYE",
    b"CANCEL",
    b"INFO",
    b"INVITE",
    b"MESSAGE",
    b"NEGOTIATE",
    b"NOTIFY",
    b"OPTIONS",
    b"PRACK",
    b"PUBLISH",
    b"REFER",
    b"REGISTER",
    b"SERVICE",
    b"SUBSCRIBE",
    b"UPDATE",
];

/// Whether a message that is cut in its start line cannot be anything else: a known method and a URI of SIP, or the version
/// and a status.
pub(super) fn begins(bytes: &[u8]) -> bool {
    if let Some(status) = bytes.strip_prefix(b"SIP/2.0 ") {
        let is_code = matches!(status, [b'1'..=b'6', b, c, b' ', ..] if b.is_ascii_digit() && c.is_ascii_digit());
        return is_code && !status.iter().any(u8::is_ascii_control);
    }
    let Some((method, uri)) = memchr(b' ', bytes).and_then(|end| bytes.split_at_checked(end))
    else {
        return false;
    };
    let uri = uri.get(1..).unwrap_or_default();
    let Some(address) = [&b"sip:"[..], b"sips:"]
        .iter()
        .find_map(|scheme| uri.strip_prefix(*scheme))
    else {
        return false;
    };
    let end = memchr(b' ', address).unwrap_or(address.len());
    let (address, version) = address.split_at_checked(end).unwrap_or_default();
    METHODS.contains(&method)
        && !address.is_empty()
        && address.iter().all(u8::is_ascii_graphic)
        && b" SIP/2.0\r".starts_with(version)
}

/// Where the first start line in `bytes` begins, at the beginning of a line.
pub(super) fn find_start(bytes: &[u8]) -> Option<usize> {
    let mut line_start = 0;
    let mut looked_until = 0;
    let mut refused = None;
    for at in memmem::find_iter(bytes, b"SIP/2.0") {
        let between = bytes.get(looked_until..at).unwrap_or_default();
        if let Some(newline) = memchr::memrchr(b'\n', between) {
            line_start = looked_until.saturating_add(newline).saturating_add(1);
        }
        looked_until = at;
        // A line that names the version twice is looked at once.
        if refused == Some(line_start) {
            continue;
        }
        if probe(bytes.get(line_start..).unwrap_or_default()) == Probe::Yes {
            return Some(line_start);
        }
        refused = Some(line_start);
    }
    None
}

/// Where the first start line after the first line of `bytes` begins.
pub(super) fn find_next_start(bytes: &[u8]) -> Option<usize> {
    let next_line = memchr(b'\n', bytes)?.saturating_add(1);
    let start = find_start(bytes.get(next_line..)?)?;
    Some(next_line.saturating_add(start))
}

/// The offset after the empty line that ends a head.
pub(super) fn find_end(bytes: &[u8]) -> Option<usize> {
    for newline in memchr::memchr_iter(b'\n', bytes) {
        let after = newline.saturating_add(1);
        match bytes.get(after..) {
            Some([b'\n', ..]) => return Some(after.saturating_add(1)),
            Some([b'\r', b'\n', ..]) => return Some(after.saturating_add(2)),
            _ => {}
        }
    }
    None
}

/// `bytes` up to the end of the last line that is whole.
pub(super) fn whole_lines(bytes: &[u8]) -> &[u8] {
    let end = memchr::memrchr(b'\n', bytes).map_or(0, |at| at.saturating_add(1));
    bytes.get(..end).unwrap_or_default()
}

/// Headers and body of a body part, after its delimiter.
pub(super) fn split_part(part: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = memchr(b'\n', part)?;
    let part = part.get(start..)?;
    part.split_at_checked(find_end(part)?)
}

/// The content type of a body part.
pub(super) fn part_type(head: &[u8]) -> Cow<'_, str> {
    headers(head)
        .find(|(name, _)| {
            name.eq_ignore_ascii_case(b"content-type") || name.eq_ignore_ascii_case(b"c")
        })
        .map_or(Cow::Borrowed(""), |(_, value)| unfold(value))
}

/// Start line and headers of one message.
#[derive(Debug)]
pub(super) struct Head<'a> {
    /// The start line.
    pub(super) start: StartLine<'a>,
    headers: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Head<'a> {
    /// Reads a head. `None` unless the start line is one, and a header that every message must have follows (RFC 3261
    /// section 8.1.1).
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let head = Self::cut(bytes)?;
        let must = [
            &["call-id", "i"][..],
            &["cseq"],
            &["via", "v"],
            &["from", "f"],
            &["to", "t"],
        ];
        must.iter()
            .any(|names| head.values(names).next().is_some())
            .then_some(head)
    }

    /// Reads what is there of a head that the capture cuts: the start line, and headers as far as they are whole.
    pub(super) fn cut(bytes: &'a [u8]) -> Option<Self> {
        let end = memchr(b'\n', bytes)?;
        let line = bytes.get(..end)?;
        if line.len() > MAX_START_LINE {
            return None;
        }
        let start = StartLine::parse(line.strip_suffix(b"\r").unwrap_or(line))?;
        let headers = headers(bytes.get(end.saturating_add(1)..)?);
        Some(Self {
            start,
            headers: headers.take(MAX_HEADERS).collect(),
        })
    }

    fn values<'b>(&'b self, names: &'b [&str]) -> impl Iterator<Item = &'a [u8]> {
        self.headers
            .iter()
            .filter(|(header, _)| {
                names
                    .iter()
                    .any(|name| header.eq_ignore_ascii_case(name.as_bytes()))
            })
            .map(|(_, value)| *value)
    }

    /// The first header of that name or its compact form, unfolded; empty where there is none.
    pub(super) fn text(&self, names: &[&str]) -> Cow<'a, str> {
        self.values(names).next().map_or(Cow::Borrowed(""), unfold)
    }

    /// All headers of these names, unfolded.
    pub(super) fn texts<'b>(&'b self, names: &'b [&str]) -> impl Iterator<Item = Cow<'a, str>> {
        self.values(names).map(unfold)
    }

    /// The URI of a name-addr or addr-spec (RFC 3261 section 20.10), without parameters and headers.
    pub(super) fn uri(&self, names: &[&str]) -> String {
        let text = self.text(names);
        let uri = match text.split_once('<') {
            Some((_, uri)) => uri.split('>').next().unwrap_or_default(),
            None => text.as_ref(),
        };
        let uri = uri.split([';', '?', ',']).next().unwrap_or_default();
        uri.trim().to_owned()
    }

    /// `number method`.
    pub(super) fn cseq(&self) -> String {
        let text = self.text(&["cseq"]);
        let mut words = text.split_whitespace();
        match (words.next(), words.next()) {
            (Some(number), Some(method)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                format!("{number} {method}")
            }
            _ => String::new(),
        }
    }

    /// The transports of the Via headers, lower case: `SIP/2.0/TLS host ...`.
    pub(super) fn transports(&self) -> impl Iterator<Item = String> {
        self.values(&["via", "v"]).filter_map(|value| {
            let text = printable(value);
            let mut parts = text.split('/').map(str::trim);
            let is_sip = parts.next() == Some("SIP") && parts.next() == Some("2.0");
            let transport = parts.next()?.split_whitespace().next()?;
            is_sip.then(|| transport.to_ascii_lowercase())
        })
    }

    /// The schemes that a server asks for.
    pub(super) fn challenges(&self) -> impl Iterator<Item = &'a str> {
        self.schemes(CHALLENGES)
    }

    /// The schemes that a client uses.
    pub(super) fn credentials(&self) -> impl Iterator<Item = &'a str> {
        self.schemes(CREDENTIALS)
    }

    fn schemes(&self, names: &'static [&str]) -> impl Iterator<Item = &'a str> {
        self.values(names)
            .filter_map(|value| printable(value).split_whitespace().next())
    }

    /// The security tokens of the authentication headers, in base64 (MS-SIPAE 2.2.1): `gssapi-data="..."`.
    pub(super) fn tokens(&self) -> impl Iterator<Item = &'a [u8]> {
        const NAME: &[u8] = b"gssapi-data=\"";
        let headers = self.values(CHALLENGES).chain(self.values(CREDENTIALS));
        headers.filter_map(|value| {
            let at = memmem::find(value, NAME)?;
            let token = value.get(at.checked_add(NAME.len())?..)?;
            token.get(..memchr(b'"', token)?)
        })
    }

    /// Bytes of the body; `None` where no header says so, or what it says is no length.
    pub(super) fn content_length(&self) -> Option<usize> {
        self.text(&["content-length", "l"]).trim().parse().ok()
    }

    /// Whether this message makes compression begin (MS-SIPCOMP 3.1.5): NEGOTIATE was answered with success.
    pub(super) fn starts_compression(&self) -> bool {
        let is_success =
            matches!(self.start, StartLine::Response { status } if status.starts_with('2'));
        is_success && self.cseq().ends_with(" NEGOTIATE")
    }
}

/// Names and values; a folded value (RFC 3261 section 7.3.1) still has its line ends.
fn headers(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        loop {
            let mut end = memchr(b'\n', rest)?;
            while let Some(b' ' | b'\t') = rest.get(end.saturating_add(1)) {
                let from = end.saturating_add(1);
                match memchr(b'\n', rest.get(from..)?) {
                    Some(next) => end = from.saturating_add(next),
                    None => break,
                }
            }
            let line = rest.get(..end)?;
            rest = rest.get(end.saturating_add(1)..)?;
            if let Some((name, value)) =
                memchr(b':', line).and_then(|colon| line.split_at_checked(colon))
            {
                return Some((name.trim_ascii(), value.get(1..)?.trim_ascii()));
            }
        }
    })
}

fn unfold(value: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(value);
    if text.contains('\n') {
        let lines: Vec<&str> = text.split('\n').map(str::trim).collect();
        return Cow::Owned(lines.join(" "));
    }
    text
}
