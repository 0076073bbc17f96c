//! XMPP (RFC 6120): domains, mechanisms, authentication, the switch to TLS, and the errors that end a stream.
//!
//! Reads the tags of a connection up to the end of its authentication and nothing of the conversation after it: no names,
//! no messages. Proof is a stream header with the namespace of streams, or, in the middle of a connection, a stanza with
//! a namespace that is used in XMPP alone.

use memchr::{memchr, memmem};

use super::gss::{
    self, GSS_ANONYMOUS, GSS_DOMAIN, GSS_HOST, GSS_MECHANISM, GSS_OFFERED, GSS_SERVICE, GSS_VERSION,
};
use super::tls::TLS;
use super::{
    About, Next, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry, text,
};
use crate::evidence::Notes;
use crate::net::{PerSide, Side};

/// The domain that a stream is opened to.
const TO: &str = "to";
/// The domain that a stream comes from.
const FROM: &str = "from";
/// `jabber:client`, `jabber:server` or another namespace of the content.
const NAMESPACE: &str = "namespace";
/// A mechanism that the server offers.
const MECHANISM: &str = "mechanism";
/// The mechanism that the client chose.
const AUTH_MECHANISM: &str = "auth_mechanism";
/// `success` or `failure`.
const AUTH_RESULT: &str = "auth_result";
/// `STARTTLS`: the server agreed to it.
const STARTTLS: &str = "starttls";
/// `failure`, where it refused.
const STARTTLS_REFUSED: &str = "starttls_refused";
/// Condition of a stream error (RFC 6120 §4.9.3).
const STREAM_ERROR: &str = "stream_error";

pub(super) const XMPP: Protocol = Protocol {
    name: "xmpp",
    about: About {
        title: "Extensible Messaging and Presence Protocol",
        sources: "RFC 6120",
        reads: "The domains of a stream, mechanisms offered and chosen, STARTTLS, how the login ended, and stream errors.",
        proves: "A stream header with the namespace of streams; in the middle of a connection a stanza with a namespace of XMPP alone, or the end of a stream.",
        limits: "Nothing after the login is read; of addresses only the domain is kept.",
    },
    attributes: &[
        TO,
        FROM,
        NAMESPACE,
        MECHANISM,
        AUTH_MECHANISM,
        AUTH_RESULT,
        STARTTLS,
        STARTTLS_REFUSED,
        STREAM_ERROR,
        GSS_MECHANISM,
        GSS_OFFERED,
        GSS_DOMAIN,
        GSS_HOST,
        GSS_SERVICE,
        GSS_VERSION,
        GSS_ANONYMOUS,
    ],
    stream: Some(StreamEntry {
        first_byte: |byte| byte == b'<' || byte.is_ascii_whitespace(),
        probe,
        start: || Box::<Connection>::default(),
    }),
    datagram: None,
};

/// Namespace of streams, RFC 6120 §4.8.2.
const STREAMS: &[u8] = b"http://etherx.jabber.org/streams";
/// The end of a stream (RFC 6120 §4.4), which is sent alone.
const CLOSING: &[u8] = b"</stream:stream>";
/// Namespaces of the switch to TLS and of errors in a stream, RFC 6120 appendix A.
const TLS_NAMESPACE: &[u8] = b"urn:ietf:params:xml:ns:xmpp-tls";
/// Longest tag that is waited for: RFC 6120 §13.12 lets a server refuse stanzas beyond 10,000 bytes.
const MAX_TAG: usize = 10_000;
/// Longest text of an element that is waited for: tokens of an authentication.
const MAX_TEXT: usize = 16 * 1024;

fn probe(opening: &Opening<'_>) -> Probe {
    let answers = opening.bytes.iter().map(|(side, bytes)| {
        if opening.missing[side] > 0 && begins(bytes) {
            Probe::Yes
        } else {
            look(bytes, opening.midstream)
        }
    });
    answers.fold(Probe::No, Probe::or)
}

fn look(bytes: &[u8], midstream: bool) -> Probe {
    let mut rest = bytes.trim_ascii_start();
    if rest.is_empty() {
        return if bytes.is_empty() || bytes.len() > 16 {
            Probe::No
        } else {
            Probe::More
        };
    }
    if text::may_begin(rest, b"<?xml ") {
        let Some((_, after)) = tag(rest) else {
            return Probe::More;
        };
        rest = after.trim_ascii_start();
        if rest.is_empty() {
            return Probe::More;
        }
    }
    if midstream && rest == CLOSING {
        return Probe::Yes;
    }
    let known = [&b"<stream:stream "[..], b"<stream "];
    if known.iter().any(|start| text::may_begin(rest, start)) {
        return match tag(rest) {
            None => Probe::More,
            Some((tag, _)) => answer(memmem::find(tag, STREAMS).is_some()),
        };
    }
    let stanzas = [&b"<iq "[..], b"<message ", b"<presence "];
    if midstream && stanzas.iter().any(|start| text::may_begin(rest, start)) {
        // The stanza, and the first element in it.
        let Some((stanza, after)) = tag(rest) else {
            return Probe::More;
        };
        return match tag(after) {
            _ if stanza.ends_with(b"/>") => Probe::No,
            None => Probe::More,
            Some((child, _)) => answer(is_own(attribute(child, b"xmlns"))),
        };
    }
    Probe::No
}

/// Whether `bytes` begin with the header of a stream that is cut before its namespace: the usual prefix and name, after
/// an XML declaration as far as they are there.
fn begins(bytes: &[u8]) -> bool {
    const HEADER: &[u8] = b"<stream:stream ";
    const PREFIX: usize = 8;
    let start = bytes.trim_ascii_start();
    if start.starts_with(HEADER) {
        return true;
    }
    if !start.starts_with(b"<?xml ") {
        return false;
    }
    tag(start).is_some_and(|(_, after)| {
        let after = after.trim_ascii_start();
        after.len() >= PREFIX && text::may_begin(after, HEADER)
    })
}

fn answer(is: bool) -> Probe {
    if is { Probe::Yes } else { Probe::No }
}

/// Namespaces that are used in XMPP alone.
fn is_own(namespace: Option<&[u8]>) -> bool {
    let starts = [
        &b"http://jabber.org/protocol/"[..],
        b"jabber:",
        b"urn:xmpp:",
        b"urn:ietf:params:xml:ns:xmpp-",
    ];
    namespace.is_some_and(|name| starts.iter().any(|start| name.starts_with(start)))
}

/// The tag that begins here, with its brackets, and what follows it. A bracket in quotes does not end it.
fn tag(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut quote = None;
    for (index, &byte) in bytes.iter().enumerate().take(MAX_TAG) {
        match (byte, quote) {
            (b'"' | b'\'', None) => quote = Some(byte),
            (_, Some(open)) if open == byte => quote = None,
            (b'>', None) => return bytes.split_at_checked(index.saturating_add(1)),
            _ => {}
        }
    }
    None
}

/// Name of the element that `tag` opens or closes, with its slash.
fn name(tag: &[u8]) -> &[u8] {
    let inner = tag.get(1..).unwrap_or_default();
    let ends = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'>');
    // A closing tag begins with a slash.
    let end = inner.iter().skip(1).position(ends);
    let end = end.map(|end| end.saturating_add(1));
    inner.get(..end.unwrap_or(inner.len())).unwrap_or_default()
}

/// Value of an attribute.
fn attribute<'a>(tag: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    let mut rest = tag.get(name(tag).len().saturating_add(1)..)?;
    loop {
        rest = rest.trim_ascii_start();
        let equals = memchr(b'=', rest)?;
        let (key, after) = rest.split_at_checked(equals)?;
        let after = after.get(1..)?.trim_ascii_start();
        let (&quote, value) = after.split_first()?;
        if !matches!(quote, b'"' | b'\'') {
            return None;
        }
        let end = memchr(quote, value)?;
        let (value, next) = value.split_at_checked(end)?;
        if key.trim_ascii() == wanted {
            return Some(value);
        }
        rest = next.get(1..)?;
    }
}

/// Domain of an address (RFC 7622): without the name before it and the resource after it.
fn domain(address: &[u8]) -> String {
    let end = memchr(b'/', address).unwrap_or(address.len());
    let bare = address.get(..end).unwrap_or_default();
    let start = memchr(b'@', bare).map_or(0, |at| at.saturating_add(1));
    String::from_utf8_lossy(bare.get(start..).unwrap_or_default()).to_ascii_lowercase()
}

/// One connection.
#[derive(Debug, Default)]
struct Connection {
    /// Elements whose text is wanted.
    element: PerSide<Element>,
    /// A stream error was announced: its condition comes next.
    failing: PerSide<bool>,
    /// A switch to TLS was agreed: the next binary byte begins it.
    tls: bool,
    client: Option<Side>,
    /// A stream header was seen.
    opened: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Element {
    #[default]
    Other,
    Mechanism,
    Token,
}

impl StreamDecoder for Connection {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let mut used: usize = 0;
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            if rest.is_empty() {
                return Step::Consumed;
            }
            if text::next(rest, self.tls) == text::Next::Tls {
                return Step::Handover {
                    consumed: used,
                    next: Next::Protocol(&TLS),
                };
            }
            let start = memchr(b'<', rest).unwrap_or(rest.len());
            let content = rest.get(..start).unwrap_or_default();
            let element = self.element[side];
            if start == rest.len() {
                if element == Element::Other || start > MAX_TEXT {
                    return Step::Consumed;
                }
                return need(used, rest.len());
            }
            self.element[side] = Element::Other;
            match element {
                Element::Mechanism => notes.bytes(MECHANISM, content.trim_ascii()),
                Element::Token => note_token(content, notes),
                Element::Other => {}
            }
            used = used.saturating_add(start);
            let rest = bytes.get(used..).unwrap_or_default();
            let Some((tag, _)) = tag(rest) else {
                // The capture may end here.
                if !self.opened && begins(bytes) {
                    notes.proved();
                }
                if rest.len() >= MAX_TAG {
                    return Step::Reject(Reject::Invalid("tag"));
                }
                return need(used, rest.len());
            };
            used = used.saturating_add(tag.len());
            if self.tag(side, tag, notes) {
                return Step::Done;
            }
        }
    }

    fn resume(&mut self, side: Side, bytes: &[u8]) -> Option<usize> {
        self.element[side] = Element::Other;
        memchr(b'<', bytes)
    }
}

fn need(consumed: usize, there: usize) -> Step {
    Step::NeedMore {
        consumed,
        at_least: there.saturating_add(1),
    }
}

impl Connection {
    /// Reads one tag; true where nothing of interest can follow.
    fn tag(&mut self, side: Side, tag: &[u8], notes: &mut Notes<'_>) -> bool {
        let name = name(tag);
        if std::mem::take(&mut self.failing[side]) {
            notes.bytes(STREAM_ERROR, name);
            return false;
        }
        let is_empty = tag.ends_with(b"/>");
        match name {
            b"stream:stream" | b"stream" => self.stream(side, tag, notes),
            b"stream:error" => self.failing[side] = true,
            b"mechanism" => self.element[side] = Element::Mechanism,
            b"auth" | b"authenticate" => {
                self.identify(side, notes);
                notes.bytes(
                    AUTH_MECHANISM,
                    attribute(tag, b"mechanism").unwrap_or_default(),
                );
                self.element[side] = Element::Token;
            }
            b"challenge" | b"response" if !is_empty => self.element[side] = Element::Token,
            b"success" => {
                notes.text(AUTH_RESULT, "success");
                return true;
            }
            b"failure" if attribute(tag, b"xmlns") == Some(TLS_NAMESPACE) => {
                notes.text(STARTTLS_REFUSED, "failure");
            }
            b"failure" => notes.text(AUTH_RESULT, "failure"),
            b"proceed" => {
                notes.text(STARTTLS, "STARTTLS");
                self.tls = true;
            }
            // The last that a side sends proves a stream whose beginning is missing.
            b"/stream:stream" if !self.opened => notes.proved(),
            // The stream is compressed from here on (XEP-0138), or authentication was before.
            b"compressed" => return true,
            b"iq" | b"message" | b"presence" if !self.opened => {
                notes.proved();
                return true;
            }
            _ => {}
        }
        false
    }

    fn stream(&mut self, side: Side, tag: &[u8], notes: &mut Notes<'_>) {
        if !self.opened {
            self.opened = true;
            // The server's header names an id, a client's has none (RFC 6120 §4.7.3).
            let client = match attribute(tag, b"id") {
                None => side,
                Some(_) => side.other(),
            };
            self.identify(client, notes);
        }
        for (fact, key) in [(TO, &b"to"[..]), (FROM, b"from")] {
            notes.text(fact, &domain(attribute(tag, key).unwrap_or_default()));
        }
        notes.bytes(NAMESPACE, attribute(tag, b"xmlns").unwrap_or_default());
    }

    fn identify(&mut self, client: Side, notes: &mut Notes<'_>) {
        self.client = Some(client);
        notes.proved();
        notes.client(client);
    }
}

fn note_token(text: &[u8], notes: &mut Notes<'_>) {
    if let Some(token) = gss::mechanism_base64(text) {
        token.note(notes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::testing::tokens::{are_told, base64, nobody, ticket_for};
    use crate::protocol::testing::{
        CLIENT as C, SERVER as S, TLS_HELLO, conversation, midstream, only_registered_attributes,
        protocols, survives_every_cut, values,
    };

    const OPEN: (Side, &[u8]) = (
        C,
        b"<?xml version='1.0' ?><stream:stream to='IM.contoso.example' xmlns='jabber:client' \
          xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>",
    );
    const ANSWER: (Side, &[u8]) = (
        S,
        b"<?xml version='1.0'?><stream:stream id='1' from='im.contoso.example' xmlns='jabber:client' \
          xmlns:stream=\"http://etherx.jabber.org/streams\" version='1.0'>",
    );

    #[test]
    fn a_login_is_read_without_names() {
        let segments = [
            OPEN,
            ANSWER,
            (S, &b"<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism>\
               <mechanism>SCRAM-SHA-1</mechanism></mechanisms></stream:features>"[..]),
            (C, b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' a:x='>' mechanism='PLAIN'>AGFubmEAc2VjcmV0</auth>"),
            (S, b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>"),
            (S, b"<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"),
        ];
        let recorder = conversation(&segments);
        let of = |name| values(&recorder, "xmpp", name);
        assert_eq!(protocols(&recorder), ["xmpp"]);
        assert_eq!(recorder.client, Some(C));
        assert_eq!(of(TO), ["im.contoso.example"]);
        assert_eq!(of(FROM), ["im.contoso.example"]);
        assert_eq!(of(NAMESPACE), ["jabber:client"; 2]);
        assert_eq!(of(MECHANISM), ["PLAIN", "SCRAM-SHA-1"]);
        assert_eq!(of(AUTH_MECHANISM), ["PLAIN"]);
        assert_eq!(of(AUTH_RESULT), ["failure"]);
        assert_eq!(of(STREAM_ERROR), ["policy-violation"]);
        only_registered_attributes(&recorder, &[&XMPP]);
        survives_every_cut(&segments);
    }

    #[test]
    fn proceed_hands_over_to_tls() {
        let hello = TLS_HELLO.to_vec();
        let segments = [
            OPEN,
            ANSWER,
            (
                C,
                &b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"[..],
            ),
            (S, b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
            (C, &hello),
        ];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["xmpp", "tls"]);
        assert_eq!(values(&recorder, "xmpp", STARTTLS), ["STARTTLS"]);
        survives_every_cut(&segments);
    }

    #[test]
    fn tokens_name_service_realm_and_host_but_no_person() {
        let ticket = format!(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='GSSAPI'>{}</auth>",
            base64(&ticket_for("xmpp/ex1.a.example"))
        );
        let nobody = format!(
            "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{}</response>",
            base64(&nobody())
        );
        let segments = [
            OPEN,
            ANSWER,
            (C, ticket.as_bytes()),
            (
                S,
                &b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>"[..],
            ),
            (
                C,
                b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='NTLM'/>",
            ),
            (C, nobody.as_bytes()),
        ];
        let recorder = conversation(&segments);
        are_told(&recorder, "xmpp", "xmpp/ex1.a.example");
        survives_every_cut(&segments);
    }

    #[test]
    fn a_refused_starttls_is_told() {
        let recorder = conversation(&[
            OPEN,
            ANSWER,
            (C, b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
            (
                S,
                b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>",
            ),
        ]);
        assert_eq!(values(&recorder, "xmpp", STARTTLS_REFUSED), ["failure"]);
        assert!(values(&recorder, "xmpp", AUTH_RESULT).is_empty());
    }

    #[test]
    fn a_stanza_in_the_middle_is_known_by_its_namespace() {
        let iq = b"<iq type='get' id='x1' to='a@b.example'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>";
        assert_eq!(protocols(&midstream(&[(C, iq)])), ["xmpp"]);
        assert!(!format!("{:?}", midstream(&[(C, iq)]).facts).contains("b.example"));
    }

    #[test]
    fn the_end_of_a_stream_is_known_where_the_rest_is_missing() {
        assert_eq!(protocols(&midstream(&[(C, b"</stream:stream>")])), ["xmpp"]);
        assert!(protocols(&midstream(&[(C, b"</stream>")])).is_empty());
        assert!(protocols(&conversation(&[(C, b"</stream:stream>")])).is_empty());
    }

    #[test]
    fn addresses_are_cut_to_their_domain() {
        assert_eq!(domain(b"anna@Contoso.example/desk@home"), "contoso.example");
        assert_eq!(domain(b"contoso.example"), "contoso.example");
    }

    #[test]
    fn other_openings_are_not_xmpp() {
        let nothing: [&str; 0] = [];
        for bytes in [
            &b"<?xml version='1.0'?><soap:Envelope xmlns:soap='x'>"[..],
            b"<stream:stream xmlns='x' >",
            b"<html><body>",
            b"<iq type='get'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
            b"\x80\x00\x1e\xb2\x99",
            b"<34>something: failed\n",
        ] {
            assert_eq!(protocols(&conversation(&[(C, bytes)])), nothing);
        }
    }

    #[test]
    fn a_stream_header_that_is_cut_before_its_namespace_is_xmpp() {
        use crate::protocol::testing::cut_conversation;
        for cut in [
            &b"<stream:stream to='contoso.ex"[..],
            b"<?xml version='1.0'?><stream:st",
        ] {
            let named = protocols(&cut_conversation(&[(Side::A, cut, 100)]));
            assert_eq!(named, ["xmpp"]);
        }
        for other in [
            &b"<?xml version='1.0'?><strea"[..],
            b"<streams to='contoso.exa",
        ] {
            let named = protocols(&cut_conversation(&[(Side::A, other, 100)]));
            assert!(named.is_empty());
        }
    }
}
