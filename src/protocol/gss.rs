//! GSS tokens (RFC 2743, RFC 4178, RFC 4121, MS-SPNG, MS-NLMP, RFC 4120), as SMTP, HTTP, LDAP and DCE/RPC carry them:
//! which mechanism authenticates, and the names of hosts, domains and services and the sender's version that stand in clear
//! beside it.
//!
//! A helper for decoders, no protocol of its own. It never reads a user name, a response, a key or an authenticator.
//! What a short token still shows is said; a length beyond its end is cut, not refused.

mod ntlm;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::ber::Element;
use crate::bytes::Cursor;
use crate::evidence::Notes;

/// `ntlm`, `kerberos`, `negoex` or `negotiate` (see [`Token::mechanism`]); of either side.
pub(super) const GSS_MECHANISM: &str = "gss_mechanism";
/// A mechanism that was offered.
pub(super) const GSS_OFFERED: &str = "gss_offered";
/// The sender's domain or the ticket's realm.
pub(super) const GSS_DOMAIN: &str = "gss_domain";
/// The sending host.
pub(super) const GSS_HOST: &str = "gss_host";
/// The service that a Kerberos ticket is for.
pub(super) const GSS_SERVICE: &str = "gss_service";
/// Version of the sender's operating system, as `major.minor.build` (NTLM).
pub(super) const GSS_VERSION: &str = "gss_version";
/// 1 where nobody was authenticated.
pub(super) const GSS_ANONYMOUS: &str = "gss_anonymous";

/// Bytes of a token that are read: names stand at its beginning, tickets with large authorisation data come after.
const MAX_TOKEN: usize = 16 * 1024;
/// Mechanisms read of one offer: Windows offers five.
const MAX_OFFERED: usize = 8;
/// Names read of one token, and characters of each: a DNS name fits.
const MAX_NAMES: usize = 8;
const MAX_NAME: usize = 255;

/// What a token shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Token {
    /// `ntlm`, `kerberos`, `negoex`, or `negotiate` where several mechanisms are only offered, or none is named.
    pub(super) mechanism: &'static str,
    /// Mechanisms that a first SPNEGO token offers, in its order.
    pub(super) offered: Vec<&'static str>,
    /// The sender's domain: of the account (NTLM authenticate), of the server (NTLM challenge), or the realm of the
    /// ticket (Kerberos).
    pub(super) domain: Option<String>,
    /// The sending host: the workstation (NTLM negotiate, authenticate) or the server's computer name (challenge).
    pub(super) host: Option<String>,
    /// Every name of an NTLM challenge: NetBIOS and DNS names of the computer, its domain and forest.
    pub(super) server_names: Vec<String>,
    /// The service that a Kerberos ticket is for, as `class/host`.
    pub(super) service: Option<String>,
    /// Version of the sender's operating system, as an NTLM message says it: `10.0.17763`. Servers that are no Windows say
    /// what they stand for.
    pub(super) version: Option<String>,
    /// An NTLM authenticate message without a user and a response.
    pub(super) anonymous: bool,
}

impl Token {
    const fn of(mechanism: &'static str) -> Self {
        Self {
            mechanism,
            offered: Vec::new(),
            domain: None,
            host: None,
            server_names: Vec::new(),
            service: None,
            version: None,
            anonymous: false,
        }
    }

    /// Notes what the token shows under the names above, which the decoder must have registered as its own.
    pub(super) fn note(&self, notes: &mut Notes<'_>) {
        notes.text(GSS_MECHANISM, self.mechanism);
        for offered in &self.offered {
            notes.text(GSS_OFFERED, offered);
        }
        notes.text(GSS_SERVICE, self.service.as_deref().unwrap_or_default());
        self.note_sender(notes);
        if self.anonymous {
            notes.number(GSS_ANONYMOUS, 1);
        }
    }

    /// Notes domain, host and version of the sender, for decoders that have names of their own for the rest.
    pub(super) fn note_sender(&self, notes: &mut Notes<'_>) {
        for (name, value) in [
            (GSS_DOMAIN, &self.domain),
            (GSS_HOST, &self.host),
            (GSS_VERSION, &self.version),
        ] {
            notes.text(name, value.as_deref().unwrap_or_default());
        }
    }
}

/// Reads one token: SPNEGO, NTLMSSP, or Kerberos with or without the GSS frame. `None` where it is none of them.
pub(super) fn mechanism(token: &[u8]) -> Option<Token> {
    let token = token.get(..MAX_TOKEN).unwrap_or(token);
    if let Some(token) = ntlm::message(token) {
        return Some(token);
    }
    if token.starts_with(b"NEGOEXTS") {
        return Some(Token::of("negoex"));
    }
    // Wrap and MIC tokens of RFC 4121 §4.2.6: flags know three bits, a filler of FF follows.
    if let [0x05 | 0x04, 0x04, 0..=7, 0xff, ..] = token {
        return Some(Token::of("kerberos"));
    }
    let mut cursor = Cursor::new(token);
    let (tag, body) = element(&mut cursor)?;
    match tag {
        0x60 => initial(body),
        0xa0 => offer(body),
        0xa1 => response(body),
        0x6e => ap_req(body),
        0x6f => proves(body, 0x0f),
        0x7e => proves(body, 0x1e),
        _ => None,
    }
}

/// The same for a token in base64 (RFC 4648 §4), as SMTP and HTTP carry it. A last, incomplete group is left out.
pub(super) fn mechanism_base64(text: &[u8]) -> Option<Token> {
    const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const ENGINE: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
    let text = text.trim_ascii();
    let text = text.get(..MAX_TOKEN / 3 * 4).unwrap_or(text);
    let padding = text.iter().rev().take_while(|&&byte| byte == b'=').count();
    let text = text.get(..text.len().saturating_sub(padding))?;
    // One character left over holds no whole byte.
    let text = if text.len() % 4 == 1 {
        text.get(..text.len().saturating_sub(1))?
    } else {
        text
    };
    mechanism(&ENGINE.decode(text).ok()?)
}

/// `OBJECT IDENTIFIER` contents.
fn named(oid: &[u8]) -> Option<&'static str> {
    match oid {
        [0x2a, 0x86, 0x48, 0x86 | 0x82, 0xf7, 0x12, 1, 2, 2, ..] => Some("kerberos"),
        [0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 2, 0x0a] => Some("ntlm"),
        [0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 2, 0x1e] => Some("negoex"),
        [0x2b, 6, 1, 5, 5, 2] => Some("negotiate"),
        _ => None,
    }
}

/// `[APPLICATION 0]`, RFC 2743 §3.1: the mechanism's identifier, then its own token.
fn initial(mut body: Cursor<'_>) -> Option<Token> {
    let (tag, oid) = element(&mut body)?;
    let name = named(oid.rest()).filter(|_| tag == 0x06)?;
    match name {
        "negotiate" => match element(&mut body) {
            Some((0xa0, offered)) => offer(offered),
            Some((0xa1, chosen)) => response(chosen),
            _ => Some(Token::of(name)),
        },
        "kerberos" => {
            // RFC 4121 §4.1: two bytes name the token; 01 00 is an AP-REQ.
            let found = match body.u16() {
                Ok(0x0100) => element(&mut body).and_then(|(_, message)| ap_req(message)),
                _ => None,
            };
            Some(found.unwrap_or(Token::of(name)))
        }
        _ => Some(ntlm::message(body.rest()).unwrap_or(Token::of(name))),
    }
}

/// `NegTokenInit`, RFC 4178 §4.2.1. A token sent along for the first offer tells more than the list.
fn offer(mut body: Cursor<'_>) -> Option<Token> {
    let (_, mut sequence) = element(&mut body).filter(|(tag, _)| *tag == 0x30)?;
    let mut offered = Vec::new();
    let mut found = None;
    while let Some((tag, mut field)) = element(&mut sequence) {
        match (tag, element(&mut field)) {
            (0xa0, Some((0x30, mut list))) => {
                while let Some((0x06, oid)) = element(&mut list) {
                    if let Some(name) = named(oid.rest()).filter(|name| !offered.contains(name))
                        && offered.len() < MAX_OFFERED
                    {
                        offered.push(name);
                    }
                }
            }
            (0xa2, Some((0x04, token))) => found = inner(token.rest()),
            (0xa1 | 0xa3, _) => {}
            _ => return None,
        }
    }
    let mut token = found.unwrap_or(match offered.as_slice() {
        [] => return None,
        [only] => Token::of(only),
        _ => Token::of("negotiate"),
    });
    token.offered = offered;
    Some(token)
}

/// `NegTokenResp`, RFC 4178 §4.2.2.
fn response(mut body: Cursor<'_>) -> Option<Token> {
    let (_, mut sequence) = element(&mut body).filter(|(tag, _)| *tag == 0x30)?;
    let mut chosen = None;
    let mut found = None;
    while let Some((tag, mut field)) = element(&mut sequence) {
        match (tag, element(&mut field)) {
            (0xa1, Some((0x06, oid))) => chosen = named(oid.rest()),
            (0xa2, Some((0x04, token))) => found = inner(token.rest()),
            (0xa0, Some((0x0a, _))) | (0xa3, _) => {}
            _ => return None,
        }
    }
    Some(found.unwrap_or(Token::of(chosen.unwrap_or("negotiate"))))
}

/// A token carried by SPNEGO: never SPNEGO again, so that nesting ends here.
fn inner(token: &[u8]) -> Option<Token> {
    match token.first()? {
        0xa0 | 0xa1 => None,
        0x60 => {
            let (_, mut body) = element(&mut Cursor::new(token))?;
            let again = body;
            let (_, oid) = element(&mut body)?;
            (named(oid.rest())? != "negotiate")
                .then(|| initial(again))
                .flatten()
        }
        _ => mechanism(token),
    }
}

/// `AP-REQ`, RFC 4120 §5.5.1: the ticket's realm and service stand in clear.
fn ap_req(body: Cursor<'_>) -> Option<Token> {
    let mut token = proves(body, 0x0e)?;
    if let Some((realm, service)) = ticket(body) {
        token.domain = name(realm);
        token.service = service;
    }
    Some(token)
}

/// Realm and service name of the ticket (RFC 4120 §5.3) in an AP-REQ.
fn ticket(mut body: Cursor<'_>) -> Option<(&[u8], Option<String>)> {
    let (_, mut fields) = element(&mut body)?;
    let mut ticket = field(&mut fields, 0xa3)?;
    let (_, mut ticket) = element(&mut ticket).filter(|(tag, _)| *tag == 0x61)?;
    let (_, mut ticket) = element(&mut ticket)?;
    let (_, realm) = element(&mut field(&mut ticket, 0xa1)?)?;
    let mut service = || {
        let (_, mut principal) = element(&mut field(&mut ticket, 0xa2)?)?;
        let (_, mut parts) = element(&mut field(&mut principal, 0xa1)?)?;
        let mut service = String::new();
        while let Some((0x1b, part)) = element(&mut parts) {
            if !service.is_empty() {
                service.push('/');
            }
            service.push_str(&name(part.rest())?);
            if service.len() > MAX_NAME {
                return None;
            }
        }
        (!service.is_empty()).then_some(service)
    };
    Some((realm.rest(), service()))
}

/// A Kerberos message begins with version 5 and repeats its type (RFC 4120 §5.5).
fn proves(mut body: Cursor<'_>, kind: u8) -> Option<Token> {
    let (tag, fields) = element(&mut body)?;
    let expected = [0xa0, 3, 2, 1, 5, 0xa1, 3, 2, 1, kind];
    (tag == 0x30 && fields.rest().starts_with(&expected)).then_some(Token::of("kerberos"))
}

/// The content of the next field with that tag.
fn field<'a>(fields: &mut Cursor<'a>, wanted: u8) -> Option<Cursor<'a>> {
    loop {
        let (tag, content) = element(fields)?;
        if tag == wanted {
            return Some(content);
        }
    }
}

/// A DER element: tag and content, cut at the end of the bytes. Long lengths need not be minimal.
fn element<'a>(cursor: &mut Cursor<'a>) -> Option<(u8, Cursor<'a>)> {
    let element = Element::parse(cursor).ok()?;
    Some((element.tag, element.cursor()))
}

fn name(bytes: &[u8]) -> Option<String> {
    let bytes = bytes.get(..MAX_NAME).unwrap_or(bytes);
    (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::testing::tokens::*;

    fn challenge_message() -> Vec<u8> {
        let target = utf16("CONTOSO");
        let pair = |kind: u16, text: &str| {
            let mut pair = kind.to_le_bytes().to_vec();
            pair.extend_from_slice(&(text.len() as u16 * 2).to_le_bytes());
            pair.extend_from_slice(&utf16(text));
            pair
        };
        let info = [
            pair(2, "CONTOSO"),
            pair(1, "EX1"),
            pair(4, "contoso.example"),
            pair(3, "ex1.contoso.example"),
            pair(0, ""),
        ]
        .concat();
        let mut message = b"NTLMSSP\0\x02\0\0\0".to_vec();
        message.extend_from_slice(&[14, 0, 14, 0, 56, 0, 0, 0]);
        message.extend_from_slice(&0x0202_8201_u32.to_le_bytes());
        message.extend_from_slice(&[7; 8]);
        message.extend_from_slice(&[0; 8]);
        message.extend_from_slice(&(info.len() as u16).to_le_bytes());
        message.extend_from_slice(&(info.len() as u16).to_le_bytes());
        message.extend_from_slice(&70_u32.to_le_bytes());
        message.extend_from_slice(&[6, 3, 0x80, 0x25, 0, 0, 0, 0x0f]);
        message.extend_from_slice(&target);
        message.extend_from_slice(&info);
        message
    }

    #[test]
    fn several_offers_without_a_token_are_only_negotiate() {
        let token = mechanism(&spnego_init(&[MS_KERBEROS, KERBEROS, NTLM], None)).unwrap();
        assert_eq!(token.mechanism, "negotiate");
        assert_eq!(token.offered, ["kerberos", "ntlm"]);
    }

    #[test]
    fn one_offer_names_the_mechanism() {
        assert_eq!(
            mechanism(&spnego_init(&[NTLM], None)).unwrap().mechanism,
            "ntlm"
        );
    }

    #[test]
    fn a_kerberos_token_sent_along_names_service_and_realm() {
        let framed = der(
            0x60,
            &[
                KERBEROS,
                &[1, 0],
                &ap_request("CONTOSO.EXAMPLE", "exchangeMDB/ex1.contoso.example"),
            ],
        );
        let token = mechanism(&spnego_init(&[MS_KERBEROS, NTLM], Some(&framed))).unwrap();
        assert_eq!(token.mechanism, "kerberos");
        assert_eq!(
            token.service.as_deref(),
            Some("exchangeMDB/ex1.contoso.example")
        );
        assert_eq!(token.domain.as_deref(), Some("CONTOSO.EXAMPLE"));
        assert_eq!(mechanism(&framed).unwrap().service, token.service);
        assert_eq!(
            mechanism(&ap_request(
                "CONTOSO.EXAMPLE",
                "exchangeMDB/ex1.contoso.example"
            ))
            .unwrap()
            .service,
            token.service
        );
    }

    #[test]
    fn the_chosen_mechanism_of_a_response_is_read() {
        let response = der(
            0xa1,
            &[&der(
                0x30,
                &[&[0xa0, 3, 0x0a, 1, 1], &der(0xa1, &[MS_KERBEROS])],
            )],
        );
        assert_eq!(mechanism(&response).unwrap().mechanism, "kerberos");
        let ntlm = der(
            0xa1,
            &[&der(
                0x30,
                &[
                    &[0xa0, 3, 0x0a, 1, 1],
                    &der(0xa1, &[NTLM]),
                    &der(0xa2, &[&der(4, &[&challenge_message()])]),
                ],
            )],
        );
        assert_eq!(
            mechanism(&ntlm).unwrap().host.as_deref(),
            Some("ex1.contoso.example")
        );
    }

    #[test]
    fn an_ntlm_challenge_names_the_server() {
        let token = mechanism(&challenge_message()).unwrap();
        assert_eq!(token.mechanism, "ntlm");
        assert_eq!(token.domain.as_deref(), Some("CONTOSO"));
        assert_eq!(token.host.as_deref(), Some("ex1.contoso.example"));
        assert_eq!(
            token.server_names,
            ["CONTOSO", "EX1", "contoso.example", "ex1.contoso.example"]
        );
        assert_eq!(token.version.as_deref(), Some("6.3.9600"));
    }

    #[test]
    fn a_version_is_said_only_where_it_is_announced_and_ends_with_its_revision() {
        let version = |flags: u8, version: [u8; 8]| {
            let mut message = b"NTLMSSP\0\x01\0\0\0\x97\x82\x08".to_vec();
            message.push(flags);
            message.extend([0; 16]);
            message.extend(version);
            mechanism(&message).unwrap().version
        };
        let windows = [10, 0, 0x63, 0x45, 0, 0, 0, 0x0f];
        assert_eq!(version(0xe2, windows).as_deref(), Some("10.0.17763"));
        assert_eq!(version(0xe0, windows), None);
        assert_eq!(version(0xe2, [0; 8]), None);
        assert_eq!(version(0xe2, *b"WORKDOMA"), None);
    }

    #[test]
    fn an_ntlm_authenticate_names_domain_and_workstation() {
        let token = mechanism(&ntlm_authenticate("CONTOSO", "PC7", 6, 24)).unwrap();
        assert_eq!(token.domain.as_deref(), Some("CONTOSO"));
        assert_eq!(token.host.as_deref(), Some("PC7"));
        assert_eq!(token.version.as_deref(), Some("10.0.17763"));
        assert!(!token.anonymous);
        assert!(
            mechanism(&ntlm_authenticate("CONTOSO", "PC7", 0, 0))
                .unwrap()
                .anonymous
        );
    }

    #[test]
    fn base64_is_read_with_and_without_its_end() {
        let token = mechanism_base64(b"TlRMTVNTUAABAAAAl4II4gAAAAAAAAAAAAAAAAAAAAAGAbEdAAAADw==");
        assert_eq!(token.unwrap().mechanism, "ntlm");
        assert_eq!(
            mechanism_base64(b"TlRMTVNTUAABAAAAl").unwrap().mechanism,
            "ntlm"
        );
        assert_eq!(mechanism_base64(b"dXNlcm5hbWU="), None);
        assert_eq!(mechanism_base64(b"not base64!"), None);
    }

    #[test]
    fn other_bytes_are_no_token() {
        for other in [
            &b""[..],
            b"NTLMSSP\0\x09\0\0\0",
            b"\x30\x0c\x02\x01\x01\x60",
            b"GET / HTTP/1.1",
            &[0x60, 0x03, 0x06, 0x01, 0x01],
        ] {
            assert_eq!(mechanism(other), None);
        }
    }

    #[test]
    fn every_cut_of_a_token_is_read_without_panic() {
        let framed = der(
            0x60,
            &[
                KERBEROS,
                &[1, 0],
                &ap_request("CONTOSO.EXAMPLE", "exchangeMDB/ex1.contoso.example"),
            ],
        );
        for token in [
            spnego_init(&[MS_KERBEROS, NTLM], Some(&framed)),
            spnego_init(&[NTLM], Some(&challenge_message())),
            challenge_message(),
            ntlm_authenticate("CONTOSO", "PC7", 6, 24),
        ] {
            for length in 0..token.len() {
                let _ = mechanism(&token[..length]);
            }
        }
    }

    #[test]
    fn nested_spnego_does_not_recurse() {
        let mut token = spnego_init(&[NTLM], None);
        for _ in 0..200 {
            token = spnego_init(&[NTLM], Some(&token));
        }
        assert_eq!(mechanism(&token).unwrap().mechanism, "ntlm");
    }
}
