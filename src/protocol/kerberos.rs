//! Kerberos version 5 (RFC 4120) with its key distribution centre, in datagrams and streams.
//!
//! Proves kinds of messages, errors, realms, the services that tickets are for, and encryption types. It keeps no client
//! name, no ticket and no key material. Messages inside other protocols (GSS tokens) and password changes (RFC 3244) are
//! not read here. Elements are walked one by one, so that a message that the capture cuts still says what it holds.

use super::ber::Element;
use super::{
    About, Datagram, DatagramDecoder, DatagramEntry, Opening, Probe, Protocol, Reject, Step,
    StreamDecoder, StreamEntry,
};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;

/// Kind of message.
const MESSAGE: &str = "message";
/// Error number and name.
const ERROR: &str = "error";
/// Realm of the service, or of the client in an answer.
const REALM: &str = "realm";
/// Service that a ticket is asked or given for, as `class/host`.
const SERVICE: &str = "service";
/// Encryption type: offered by the client, or used by the centre, as the side says.
const ETYPE: &str = "etype";
/// Pre-authentication data type of a request.
const PREAUTH: &str = "preauth";

/// Octets of a message that are waited for; of longer ones the beginning is read.
const MAX_WHOLE: usize = 64 * 1024;
/// Octets that a stream's message may claim: tickets with large authorisation data stay far below.
const MAX_MESSAGE: usize = 1024 * 1024;
/// Entries of a list (encryption types, pre-authentication data) that are read.
const MAX_LIST: usize = 32;
/// Components of a principal's name, and characters of the joined name.
const MAX_COMPONENTS: usize = 4;

/// Kerberos.
pub(super) const KERBEROS: Protocol = Protocol {
    name: "kerberos",
    about: About {
        title: "Kerberos",
        sources: "RFC 4120, MS-KILE",
        reads: "Kind of message, realm, service name, encryption types, pre-authentication, errors.",
        proves: "A message whose ASN.1 tag, version and kind agree.",
        limits: "Tickets are sealed; user names are not kept; password changes are not read, tickets inside other protocols are read there.",
    },
    attributes: &[MESSAGE, ERROR, REALM, SERVICE, ETYPE, PREAUTH],
    stream: Some(StreamEntry {
        // The high octet of a length below MAX_MESSAGE.
        first_byte: |byte| byte == 0,
        probe,
        start: || Box::new(Stream),
    }),
    datagram: Some(DatagramEntry {
        first_byte: |byte| Kind(byte & 0x1f).tag() == Some(byte),
        start: || Box::new(Flow),
    }),
};

crate::open_enum! {
    /// Messages with a centre (RFC 4120 section 7.5.7); the number is the application tag as well.
    pub(super) struct Kind(u8) {
        AS_REQ = 10 => "AS-REQ",
        AS_REP = 11 => "AS-REP",
        TGS_REQ = 12 => "TGS-REQ",
        TGS_REP = 13 => "TGS-REP",
        ERROR = 30 => "KRB-ERROR",
    }
}

impl Kind {
    /// The identifier octet: application class, constructed.
    const fn tag(self) -> Option<u8> {
        match self.name() {
            Some(_) => Some(0x60 | self.0),
            None => None,
        }
    }

    const fn is_request(self) -> bool {
        matches!(self, Self::AS_REQ | Self::TGS_REQ)
    }
}

/// Datagrams hold one message, without a length before it (RFC 4120 section 7.2.1).
struct Flow;

impl DatagramDecoder for Flow {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let message = Message::parse(datagram.bytes, datagram.wire_len)?;
        message.note(notes);
        Ok(())
    }
}

/// Messages over a stream are preceded by their length in four octets (RFC 4120 section 7.2.2).
struct Stream;

const PREFIX: usize = 4;
/// Octets that tell a message: prefix, two headers, version and type.
const DECISIVE: usize = PREFIX + 24;

fn probe(opening: &Opening<'_>) -> Probe {
    opening.agreed(probe_side)
}

fn probe_side(bytes: &[u8]) -> Probe {
    let Some((length, body)) = framed(bytes) else {
        return Probe::More;
    };
    if length > MAX_MESSAGE
        || body
            .first()
            .is_some_and(|&tag| Kind(tag & 0x1f).tag() != Some(tag))
    {
        return Probe::No;
    }
    match Message::parse(body.get(..length).unwrap_or(body), length) {
        Ok(_) => Probe::Yes,
        Err(_) if bytes.len() < DECISIVE && body.len() < length => Probe::More,
        Err(_) => Probe::No,
    }
}

fn framed(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut cursor = Cursor::new(bytes);
    let length = usize::try_from(cursor.u32().ok()?).ok()?;
    Some((length, cursor.rest()))
}

impl StreamDecoder for Stream {
    fn data(&mut self, _: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let Some((length, body)) = framed(bytes) else {
            return Step::NeedMore {
                consumed: 0,
                at_least: PREFIX,
            };
        };
        if length > MAX_MESSAGE {
            return Step::Reject(Reject::Invalid("message length"));
        }
        let needed = length.min(MAX_WHOLE);
        let there = body.get(..length).unwrap_or(body);
        let whole = there.len() >= needed;
        match Message::parse(there, length) {
            Ok(message) => message.note(notes),
            Err(_) if !whole => {}
            Err(reject) => return Step::Reject(reject),
        }
        if whole {
            Step::Skip {
                consumed: 0,
                bytes: PREFIX.saturating_add(length) as u64,
            }
        } else {
            // What is there is noted already: the capture may be cut.
            Step::NeedMore {
                consumed: 0,
                at_least: PREFIX.saturating_add(needed),
            }
        }
    }

    fn resume(&mut self, _: Side, bytes: &[u8]) -> Option<usize> {
        (probe_side(bytes) == Probe::Yes).then_some(0)
    }
}

/// A message whose tags, lengths, version and type agree.
struct Message<'a> {
    kind: Kind,
    body: Element<'a>,
}

impl<'a> Message<'a> {
    /// Reads a message of `length` octets, of which `bytes` are there.
    fn parse(bytes: &'a [u8], length: usize) -> Result<Self, Reject> {
        let outer = Element::parse(&mut Cursor::new(bytes))?;
        let kind = Kind(outer.tag & 0x1f);
        if kind.tag() != Some(outer.tag) || outer.total() != length {
            return Err(Reject::Other);
        }
        let body = Element::expect(&mut outer.cursor(), SEQUENCE)?;
        if body.total() != outer.length {
            return Err(Reject::Invalid("length"));
        }
        // Version and type are tagged from 1 in requests, from 0 elsewhere.
        let first = if kind.is_request() { 1 } else { 0 };
        let mut fields = body.cursor();
        let version = Element::expect(&mut fields, 0xa0 | first)?;
        let kind_again = Element::expect(&mut fields, 0xa1 + first)?;
        if integer(&version) != Some(5) || integer(&kind_again) != Some(u64::from(kind.0)) {
            return Err(Reject::Invalid("version or type"));
        }
        Ok(Self { kind, body })
    }

    fn note(&self, notes: &mut Notes<'_>) {
        notes.proved();
        let side = notes.side();
        let client = if self.kind.is_request() {
            side
        } else {
            side.other()
        };
        notes.client(client);
        notes.text(MESSAGE, &self.kind.to_string());
        for field in self.body.children() {
            match (self.kind, field.tag & 0x1f) {
                (Kind::AS_REQ | Kind::TGS_REQ, 3) => preauth(&field, notes),
                (Kind::AS_REQ | Kind::TGS_REQ, 4) => request(&field, notes),
                (Kind::AS_REP | Kind::TGS_REP, 3) => realm(&field, notes),
                (Kind::AS_REP | Kind::TGS_REP, 5) => ticket(&field, notes),
                (Kind::AS_REP | Kind::TGS_REP, 6) => encrypted(&field, notes),
                (Kind::ERROR, 6) => error(&field, notes),
                (Kind::ERROR, 9) => realm(&field, notes),
                (Kind::ERROR, 10) => service(&field, notes),
                _ => {}
            }
        }
    }
}

const SEQUENCE: u8 = 0x30;

/// The element inside an explicit tag.
fn inner<'a>(field: &Element<'a>) -> Option<Element<'a>> {
    field.children().next()
}

fn integer(field: &Element<'_>) -> Option<u64> {
    let number = inner(field)?;
    (number.tag == 2 && number.total() == field.length)
        .then(|| number.number())
        .flatten()
}

/// The sequence of pre-authentication data: its types only.
fn preauth(field: &Element<'_>, notes: &mut Notes<'_>) {
    let list = inner(field);
    for entry in list.iter().flat_map(Element::children).take(MAX_LIST) {
        let kind = entry.children().find(|part| part.tag == 0xa1);
        if let Some(kind) = kind.as_ref().and_then(integer) {
            match preauth_name(kind) {
                Some(name) => notes.text(PREAUTH, name),
                None => notes.text(PREAUTH, &kind.to_string()),
            }
        }
    }
}

/// `KDC-REQ-BODY`.
fn request(field: &Element<'_>, notes: &mut Notes<'_>) {
    for part in inner(field).iter().flat_map(Element::children) {
        match part.tag {
            0xa2 => realm(&part, notes),
            0xa3 => service(&part, notes),
            0xa8 => {
                let list = inner(&part);
                for number in list.iter().flat_map(Element::children).take(MAX_LIST) {
                    // Negative numbers are private ones, and no longer in use.
                    if let Some(number) = number.number() {
                        notes.number(ETYPE, number);
                    }
                }
            }
            _ => {}
        }
    }
}

/// `Ticket`: application 1.
fn ticket(field: &Element<'_>, notes: &mut Notes<'_>) {
    let ticket = inner(field).as_ref().and_then(inner);
    for part in ticket.iter().flat_map(Element::children) {
        match part.tag {
            0xa1 => realm(&part, notes),
            0xa2 => service(&part, notes),
            0xa3 => encrypted(&part, notes),
            _ => {}
        }
    }
}

/// `EncryptedData`: the type only.
fn encrypted(field: &Element<'_>, notes: &mut Notes<'_>) {
    let kind = inner(field).and_then(|data| data.children().find(|part| part.tag == 0xa0));
    if let Some(kind) = kind.as_ref().and_then(integer) {
        notes.number(ETYPE, kind);
    }
}

fn error(field: &Element<'_>, notes: &mut Notes<'_>) {
    if let Some(code) = integer(field) {
        match error_name(code) {
            Some(name) => notes.text(ERROR, &format!("{code} {name}")),
            None => notes.text(ERROR, &code.to_string()),
        }
    }
}

fn realm(field: &Element<'_>, notes: &mut Notes<'_>) {
    if let Some(realm) = inner(field).filter(|realm| !realm.is_cut()) {
        notes.bytes(REALM, realm.contents);
    }
}

/// `PrincipalName` of a service: its components, joined.
fn service(field: &Element<'_>, notes: &mut Notes<'_>) {
    let names = inner(field)
        .and_then(|name| name.children().find(|part| part.tag == 0xa1))
        .as_ref()
        .and_then(inner)
        .filter(|names| !names.is_cut());
    let joined = names
        .iter()
        .flat_map(Element::children)
        .take(MAX_COMPONENTS)
        .map(|name| String::from_utf8_lossy(name.contents).into_owned())
        .collect::<Vec<_>>()
        .join("/");
    notes.text(SERVICE, &joined);
}

/// Pre-authentication data types (RFC 4120 section 7.5.2, RFC 6113, MS-KILE 2.2.8; IANA registry).
const fn preauth_name(kind: u64) -> Option<&'static str> {
    Some(match kind {
        1 => "PA-TGS-REQ",
        2 => "PA-ENC-TIMESTAMP",
        3 => "PA-PW-SALT",
        11 => "PA-ETYPE-INFO",
        14 => "PA-PK-AS-REQ_OLD",
        16 => "PA-PK-AS-REQ",
        19 => "PA-ETYPE-INFO2",
        128 => "PA-PAC-REQUEST",
        129 => "PA-FOR-USER",
        130 => "PA-S4U-X509-USER",
        133 => "PA-FX-COOKIE",
        136 => "PA-FX-FAST",
        138 => "PA-ENCRYPTED-CHALLENGE",
        149 => "PA-REQ-ENC-PA-REP",
        150 => "PA-AS-FRESHNESS",
        161 => "KERB-KEY-LIST-REQ",
        165 => "PA-SUPPORTED-ENCTYPES",
        167 => "PA-PAC-OPTIONS",
        _ => return None,
    })
}

/// Error codes (RFC 4120 section 7.5.9).
const fn error_name(code: u64) -> Option<&'static str> {
    Some(match code {
        0 => "KDC_ERR_NONE",
        1 => "KDC_ERR_NAME_EXP",
        2 => "KDC_ERR_SERVICE_EXP",
        3 => "KDC_ERR_BAD_PVNO",
        4 => "KDC_ERR_C_OLD_MAST_KVNO",
        5 => "KDC_ERR_S_OLD_MAST_KVNO",
        6 => "KDC_ERR_C_PRINCIPAL_UNKNOWN",
        7 => "KDC_ERR_S_PRINCIPAL_UNKNOWN",
        8 => "KDC_ERR_PRINCIPAL_NOT_UNIQUE",
        9 => "KDC_ERR_NULL_KEY",
        10 => "KDC_ERR_CANNOT_POSTDATE",
        11 => "KDC_ERR_NEVER_VALID",
        12 => "KDC_ERR_POLICY",
        13 => "KDC_ERR_BADOPTION",
        14 => "KDC_ERR_ETYPE_NOSUPP",
        15 => "KDC_ERR_SUMTYPE_NOSUPP",
        16 => "KDC_ERR_PADATA_TYPE_NOSUPP",
        17 => "KDC_ERR_TRTYPE_NOSUPP",
        18 => "KDC_ERR_CLIENT_REVOKED",
        19 => "KDC_ERR_SERVICE_REVOKED",
        20 => "KDC_ERR_TGT_REVOKED",
        21 => "KDC_ERR_CLIENT_NOTYET",
        22 => "KDC_ERR_SERVICE_NOTYET",
        23 => "KDC_ERR_KEY_EXPIRED",
        24 => "KDC_ERR_PREAUTH_FAILED",
        25 => "KDC_ERR_PREAUTH_REQUIRED",
        26 => "KDC_ERR_SERVER_NOMATCH",
        27 => "KDC_ERR_MUST_USE_USER2USER",
        28 => "KDC_ERR_PATH_NOT_ACCEPTED",
        29 => "KDC_ERR_SVC_UNAVAILABLE",
        31 => "KRB_AP_ERR_BAD_INTEGRITY",
        32 => "KRB_AP_ERR_TKT_EXPIRED",
        33 => "KRB_AP_ERR_TKT_NYV",
        34 => "KRB_AP_ERR_REPEAT",
        35 => "KRB_AP_ERR_NOT_US",
        36 => "KRB_AP_ERR_BADMATCH",
        37 => "KRB_AP_ERR_SKEW",
        38 => "KRB_AP_ERR_BADADDR",
        39 => "KRB_AP_ERR_BADVERSION",
        40 => "KRB_AP_ERR_MSG_TYPE",
        41 => "KRB_AP_ERR_MODIFIED",
        42 => "KRB_AP_ERR_BADORDER",
        44 => "KRB_AP_ERR_BADKEYVER",
        45 => "KRB_AP_ERR_NOKEY",
        46 => "KRB_AP_ERR_MUT_FAIL",
        47 => "KRB_AP_ERR_BADDIRECTION",
        48 => "KRB_AP_ERR_METHOD",
        49 => "KRB_AP_ERR_BADSEQ",
        50 => "KRB_AP_ERR_INAPP_CKSUM",
        51 => "KRB_AP_PATH_NOT_ACCEPTED",
        52 => "KRB_ERR_RESPONSE_TOO_BIG",
        60 => "KRB_ERR_GENERIC",
        61 => "KRB_ERR_FIELD_TOOLONG",
        62 => "KDC_ERR_CLIENT_NOT_TRUSTED",
        63 => "KDC_ERR_KDC_NOT_TRUSTED",
        64 => "KDC_ERR_INVALID_SIG",
        65 => "KDC_ERR_KEY_TOO_WEAK",
        66 => "KDC_ERR_CERTIFICATE_MISMATCH",
        67 => "KRB_AP_ERR_NO_TGT",
        68 => "KDC_ERR_WRONG_REALM",
        69 => "KRB_AP_ERR_USER_TO_USER_REQUIRED",
        70 => "KDC_ERR_CANT_VERIFY_CERTIFICATE",
        71 => "KDC_ERR_INVALID_CERTIFICATE",
        72 => "KDC_ERR_REVOKED_CERTIFICATE",
        73 => "KDC_ERR_REVOCATION_STATUS_UNKNOWN",
        74 => "KDC_ERR_REVOCATION_STATUS_UNAVAILABLE",
        75 => "KDC_ERR_CLIENT_NAME_MISMATCH",
        76 => "KDC_ERR_KDC_NAME_MISMATCH",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::evidence::Recorder;

    fn tlv(tag: u8, contents: &[u8]) -> Vec<u8> {
        let mut element = vec![tag];
        if contents.len() < 0x80 {
            element.push(contents.len() as u8);
        } else {
            element.push(0x82);
            element.extend((contents.len() as u16).to_be_bytes());
        }
        element.extend(contents);
        element
    }

    fn int(tag: u8, value: u8) -> Vec<u8> {
        tlv(tag, &tlv(2, &[value]))
    }

    fn principal(tag: u8, parts: &[&str]) -> Vec<u8> {
        let parts: Vec<u8> = parts
            .iter()
            .flat_map(|part| tlv(0x1b, part.as_bytes()))
            .collect();
        let names = tlv(0xa1, &tlv(0x30, &parts));
        tlv(tag, &tlv(0x30, &[int(0xa0, 2), names].concat()))
    }

    fn ticket_request() -> Vec<u8> {
        let padata = tlv(
            0x30,
            &[int(0xa1, 1), tlv(0xa2, &tlv(4, &[7; 200]))].concat(),
        );
        let etypes: Vec<u8> = [18, 23]
            .iter()
            .flat_map(|&number| tlv(2, &[number]))
            .collect();
        let body = [
            tlv(0xa0, &tlv(3, &[0, 0x40, 0x81, 0, 0])),
            tlv(0xa2, &tlv(0x1b, b"EXAMPLE.COM")),
            principal(0xa3, &["exchangeMDB", "mail.example.com"]),
            tlv(0xa8, &tlv(0x30, &etypes)),
        ];
        let fields = [
            int(0xa1, 5),
            int(0xa2, 12),
            tlv(0xa3, &tlv(0x30, &padata)),
            tlv(0xa4, &tlv(0x30, &body.concat())),
        ];
        tlv(0x6c, &tlv(0x30, &fields.concat()))
    }

    fn refusal(code: u8) -> Vec<u8> {
        let fields = [
            int(0xa0, 5),
            int(0xa1, 30),
            int(0xa6, code),
            tlv(0xa9, &tlv(0x1b, b"EXAMPLE.COM")),
            principal(0xaa, &["krbtgt", "EXAMPLE.COM"]),
        ];
        tlv(0x7e, &tlv(0x30, &fields.concat()))
    }

    fn framed(message: &[u8]) -> Vec<u8> {
        [&(message.len() as u32).to_be_bytes()[..], message].concat()
    }

    fn of(recorder: &Recorder, name: &str) -> Vec<String> {
        only_registered_attributes(recorder, &[&KERBEROS]);
        values(recorder, "kerberos", name)
    }

    #[test]
    fn a_request_names_the_service_before_the_connection_exists() {
        let recorder = datagrams(&[(CLIENT, &ticket_request()), (SERVER, &refusal(25))]);
        assert_eq!(protocols(&recorder), ["kerberos"]);
        assert_eq!(recorder.client, Some(CLIENT));
        assert_eq!(of(&recorder, "message"), ["KRB-ERROR", "TGS-REQ"]);
        assert_eq!(
            of(&recorder, "service"),
            ["exchangeMDB/mail.example.com", "krbtgt/EXAMPLE.COM"]
        );
        // Of the request and of the refusal.
        assert_eq!(of(&recorder, "realm"), ["EXAMPLE.COM", "EXAMPLE.COM"]);
        assert_eq!(of(&recorder, "etype"), ["18", "23"]);
        assert_eq!(of(&recorder, "preauth"), ["PA-TGS-REQ"]);
        assert_eq!(of(&recorder, "error"), ["25 KDC_ERR_PREAUTH_REQUIRED"]);
    }

    #[test]
    fn several_messages_of_a_stream_are_read() {
        let asked = [framed(&ticket_request()), framed(&ticket_request())].concat();
        let refused = framed(&refusal(7));
        let segments: &[(Side, &[u8])] = &[(CLIENT, &asked), (SERVER, &refused)];
        let recorder = conversation(segments);
        assert_eq!(protocols(&recorder), ["kerberos"]);
        assert_eq!(of(&recorder, "error"), ["7 KDC_ERR_S_PRINCIPAL_UNKNOWN"]);
        survives_every_cut(segments);
    }

    #[test]
    fn a_cut_datagram_still_shows_what_it_holds() {
        let whole = ticket_request();
        let recorder = cut_datagram(&whole[..60], whole.len());
        assert_eq!(of(&recorder, "message"), ["TGS-REQ"]);
        assert!(of(&recorder, "service").is_empty());
    }

    #[test]
    fn prefixes_longer_messages_and_neighbours_are_refused() {
        let whole = ticket_request();
        for length in 0..whole.len() {
            assert!(protocols(&datagrams(&[(CLIENT, &whole[..length])])).is_empty());
        }
        let longer = [whole.clone(), vec![0]].concat();
        assert!(protocols(&datagrams(&[(CLIENT, &longer)])).is_empty());
        // A password change (RFC 3244) and a version that is not 5.
        let change = [&[0, 0, 0, 1, 0, 0][..], &whole].concat();
        assert!(protocols(&datagrams(&[(CLIENT, &change)])).is_empty());
        let mut old = refusal(1);
        old[8] = 4;
        assert!(protocols(&datagrams(&[(CLIENT, &old)])).is_empty());
        for bytes in [
            &b"\x00\x00\x00\x10\xffSMBr\0\0\0\0\0\0\0"[..],
            b"\x00\x00\x00\x00\x00\x00\x00\x00",
        ] {
            assert!(protocols(&conversation(&[(CLIENT, bytes)])).is_empty());
        }
    }
}
