//! Message handling (X.400): how an association of message transfer (P1), submission (P3) or message store access (P7)
//! begins, in the upper layers of OSI over X.224 ([`super::tpkt`]).
//!
//! Reads the session units that connect, accept and refuse (X.225), the presentation units in their user data (X.226) and the
//! association in those (X.227). Proof is an identifier of the arc of message handling protocols (X.419 annex: 2.6.0) as an
//! application context or abstract syntax; or the mode of X.410-1984, which no other application has. Names and passwords of
//! message transfer agents, which stand in the same units, are never looked at, and messages are not read.

use super::ber::Element;
use super::{About, Protocol, Reject};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;

/// The application context, as dotted numbers.
const APPLICATION_CONTEXT: &str = "application_context";
/// An abstract syntax of message handling that was proposed, as dotted numbers.
const ABSTRACT_SYNTAX: &str = "abstract_syntax";
/// `p1` (transfer), `p3` (submission and delivery) or `p7` (message store).
const ACCESS: &str = "access";
/// Mode of presentation: `normal` or `x410_1984`.
const MODE: &str = "mode";
/// How the association was answered: `accepted` or `refused`.
const RESULT: &str = "result";

/// X.400: carried by X.224, no stream of its own.
pub(super) const X400: Protocol = Protocol {
    name: "x400",
    about: About {
        title: "X.400 message handling (P1, P3, P7)",
        sources: "ITU-T X.419, X.410 (1984), X.228, X.227, X.226, X.225",
        reads: "Session connect, accept and refuse with their application context and abstract syntaxes.",
        proves: "An application context or abstract syntax of message handling, or the presentation mode of X.410.",
        limits: "Messages and what identifies the agents are not looked at; nothing is proven from the middle of an association.",
    },
    attributes: &[APPLICATION_CONTEXT, ABSTRACT_SYNTAX, ACCESS, MODE, RESULT],
    stream: None,
    datagram: None,
};

/// Octets of identifiers under 2.6.0 (joint-iso-itu-t mhs protocols): application contexts and abstract syntaxes.
const CONTEXTS: [u8; 3] = [0x56, 0, 1];
const SYNTAXES: [u8; 3] = [0x56, 0, 2];
/// Parameter groups and parameters of session units that hold others (X.225 section 8.3).
const CONNECTION_IDENTIFIER: u8 = 1;
const CONNECT_ITEM: u8 = 5;
/// User data, and extended user data (version 2).
const USER_DATA: u8 = 193;
const EXTENDED_USER_DATA: u8 = 194;
/// Context tags are constructed where they hold elements.
const SET: u8 = 0x31;
const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 6;

/// One association, between its units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Association {
    is_proven: bool,
}

/// Whether more can be learned of an association.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Its answer is still to come.
    Open,
    /// It was accepted or refused.
    Settled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Connect,
    Accept,
    Refuse,
}

/// Whether a message is a session unit that connects or answers, whole and well formed.
pub(super) fn begins(message: &[u8]) -> bool {
    session(message).is_ok()
}

/// Reads a whole message of X.224 of an association that a session unit began.
pub(super) fn message(
    association: &mut Association,
    side: Side,
    message: &[u8],
    notes: &mut Notes<'_>,
) -> Outcome {
    let Ok((kind, user_data)) = session(message) else {
        return Outcome::Open;
    };
    notes.client(if kind == Kind::Connect {
        side
    } else {
        side.other()
    });
    let mut notes = notes.inside(X400.name);
    let presentation = user_data.and_then(|data| Presentation::parse(kind, data).ok());
    association.is_proven |= presentation.as_ref().is_some_and(|found| found.is_proof);
    if association.is_proven {
        notes.proved();
        if let Some(found) = &presentation {
            found.note(&mut notes);
        }
        match kind {
            Kind::Connect => {}
            // The association may be refused in a session that is not.
            Kind::Accept if presentation.is_some_and(|found| found.is_refused) => {
                notes.text(RESULT, "refused");
            }
            Kind::Accept => notes.text(RESULT, "accepted"),
            Kind::Refuse => notes.text(RESULT, "refused"),
        }
    }
    match kind {
        Kind::Connect => Outcome::Open,
        Kind::Accept | Kind::Refuse => Outcome::Settled,
    }
}

/// A session unit (X.225 section 8.2): identifier, length, parameters that fill it. CONNECT, ACCEPT and REFUSE stand alone
/// in a message. Returns its kind and user data.
fn session(message: &[u8]) -> Result<(Kind, Option<&[u8]>), Reject> {
    let mut cursor = Cursor::new(message);
    let kind = match cursor.u8()? {
        13 => Kind::Connect,
        14 => Kind::Accept,
        12 => Kind::Refuse,
        _ => return Err(Reject::Other),
    };
    let length = session_length(&mut cursor)?;
    let mut parameters = cursor.sub(length)?;
    if !cursor.is_empty() {
        return Err(Reject::Invalid("length"));
    }
    let (mut user_data, mut has_options) = (None, false);
    while !parameters.is_empty() {
        let code = parameters.u8()?;
        let length = session_length(&mut parameters)?;
        let value = parameters.take(length)?;
        match code {
            CONNECT_ITEM => has_options = true,
            USER_DATA | EXTENDED_USER_DATA => user_data = Some(value),
            // Data overflow to further units (version 2) is not put together.
            CONNECTION_IDENTIFIER | 17 | 20 | 49..=52 | 55 | 56 | 60 => {}
            _ => return Err(Reject::Invalid("parameter")),
        }
    }
    if kind == Kind::Refuse || has_options || user_data.is_some() {
        Ok((kind, user_data))
    } else {
        Err(Reject::Invalid("parameters"))
    }
}

/// One octet, or 255 and two (X.225 section 8.2.5).
fn session_length(cursor: &mut Cursor<'_>) -> Result<usize, Reject> {
    Ok(match cursor.u8()? {
        255 => usize::from(cursor.u16()?),
        short => usize::from(short),
    })
}

/// What a presentation unit shows.
#[derive(Debug, Default)]
struct Presentation<'a> {
    is_proof: bool,
    is_1984: bool,
    is_refused: bool,
    context: Option<&'a [u8]>,
    syntaxes: Vec<&'a [u8]>,
}

impl<'a> Presentation<'a> {
    /// CP or CPA (X.226 section 8.2): mode selector, then the parameters of that mode.
    fn parse(kind: Kind, data: &'a [u8]) -> Result<Self, Reject> {
        let mut cursor = Cursor::new(data);
        let unit = Element::expect(&mut cursor, SET)?;
        if unit.is_cut() {
            return Err(Reject::Invalid("length"));
        }
        let mode = child(&unit, 0xa0)
            .and_then(|selector| child(&selector, 0x80)?.number())
            .ok_or(Reject::Invalid("mode"))?;
        match mode {
            0 => Ok(Self::of_1984(kind, &unit)),
            1 => Ok(child(&unit, 0xa2)
                .map(|mode| Self::normal(kind, &mode))
                .unwrap_or_default()),
            _ => Err(Reject::Invalid("mode")),
        }
    }

    /// Parameters of RTORQ or RTOAC (X.228 section 9): what identifies the agents is in the connection data.
    fn of_1984(kind: Kind, unit: &Element<'a>) -> Self {
        let data = match kind {
            Kind::Connect => 0xa3,
            Kind::Accept => 0xa2,
            Kind::Refuse => return Self::default(),
        };
        Self {
            is_proof: child(unit, 0xa1).is_some_and(|open| child(&open, data).is_some()),
            is_1984: true,
            ..Self::default()
        }
    }

    fn normal(kind: Kind, mode: &Element<'a>) -> Self {
        let syntaxes: Vec<_> = child(mode, 0xa4)
            .iter()
            .flat_map(Element::children)
            .filter(|item| item.tag == SEQUENCE)
            .filter_map(|item| child(&item, OBJECT_IDENTIFIER))
            .map(|name| name.contents)
            .filter(|name| name.starts_with(&SYNTAXES))
            .collect();
        // Fully encoded data: a list whose value of ASN.1 is AARQ or AARE (X.227 section 9).
        let association = child(mode, 0x61)
            .and_then(|data| child(&data, SEQUENCE))
            .and_then(|list| child(&list, 0xa0))
            .and_then(|value| child(&value, if kind == Kind::Connect { 0x60 } else { 0x61 }));
        let context = association
            .and_then(|association| child(&association, 0xa1))
            .and_then(|context| child(&context, OBJECT_IDENTIFIER))
            .map(|name| name.contents)
            .filter(|name| name.starts_with(&CONTEXTS));
        let result = association
            .filter(|_| kind == Kind::Accept)
            .and_then(|association| child(&association, 0xa2))
            .and_then(|result| child(&result, 2)?.number());
        Self {
            is_proof: context.is_some() || !syntaxes.is_empty(),
            is_1984: false,
            is_refused: result.is_some_and(|result| result != 0),
            context,
            syntaxes,
        }
    }

    fn note(&self, notes: &mut Notes<'_>) {
        notes.text(MODE, if self.is_1984 { "x410_1984" } else { "normal" });
        for syntax in &self.syntaxes {
            notes.text(ABSTRACT_SYNTAX, &dotted(syntax));
        }
        if let Some(context) = self.context {
            notes.text(APPLICATION_CONTEXT, &dotted(context));
            // X.419 annex: arcs 4, 5, 11 and 12 give access to the store, 6 transfers, the others submit.
            match context.strip_prefix(&CONTEXTS) {
                Some([6]) => notes.text(ACCESS, "p1"),
                Some([4 | 5 | 11 | 12]) => notes.text(ACCESS, "p7"),
                Some([0..=3 | 7..=10]) => notes.text(ACCESS, "p3"),
                _ => {}
            }
        } else if self.is_1984 {
            notes.text(ACCESS, "p1");
        }
    }
}

/// The first element inside `element` with that tag, where it is whole.
fn child<'a>(element: &Element<'a>, tag: u8) -> Option<Element<'a>> {
    element
        .children()
        .find(|inside| inside.tag == tag && !inside.is_cut())
}

/// An object identifier under arc 2 as dotted numbers (X.690 section 8.19).
fn dotted(name: &[u8]) -> String {
    let Some((first, rest)) = name.split_first() else {
        return String::new();
    };
    let mut text = format!("2.{}", first.saturating_sub(80));
    let mut arc = 0_u64;
    for byte in rest {
        arc = arc
            .saturating_mul(128)
            .saturating_add(u64::from(byte & 0x7f));
        if byte & 0x80 == 0 {
            text.push_str(&format!(".{arc}"));
            arc = 0;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, conversation, only_registered_attributes, protocols, survives_every_cut,
        values,
    };
    use super::*;

    /// An element, or a parameter of a session unit: both have one octet of tag and one of length.
    fn tlv(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
        let contents = contents.concat();
        let mut bytes = vec![tag, u8::try_from(contents.len()).unwrap()];
        bytes.extend(contents);
        bytes
    }

    fn packet(data: &[u8]) -> Vec<u8> {
        let length = u16::try_from(data.len() + 7).unwrap().to_be_bytes();
        [&[3, 0], &length[..], &[2, 0xf0, 0x80], data].concat()
    }

    fn spdu(kind: u8, user_data: &[u8]) -> Vec<u8> {
        // Protocol options 0, version 1; functional units: half duplex, minor synchronize, exceptions, activities.
        let item = tlv(5, &[&[0x13, 1, 0, 0x16, 1, 1]]);
        let units = tlv(20, &[&[0x02, 0x49]]);
        packet(&tlv(kind, &[&item, &units, &tlv(USER_DATA, &[user_data])]))
    }

    /// RFC 1006 request from `MTA1` to `X400`.
    fn request() -> Vec<u8> {
        let mut bytes = vec![3, 0, 0, 26, 21, 0xe0, 0, 0, 0, 1, 0, 0xc0, 1, 11];
        bytes.extend(b"\xc1\x04MTA1\xc2\x04X400");
        bytes
    }

    fn oid(name: &[u8]) -> Vec<u8> {
        tlv(6, &[name])
    }

    /// CP in normal mode: ACSE (2.2.1.0.1), RTSE with P1 (2.6.0.2.12), and AARQ with `context`.
    fn connect(context: &[u8]) -> Vec<u8> {
        let ber = tlv(0x30, &[&oid(&[0x51, 1])]);
        let acse = tlv(0x30, &[&[2, 1, 1], &oid(&[0x52, 1, 0, 1]), &ber]);
        let rtse = tlv(0x30, &[&[2, 1, 3], &oid(&[0x56, 0, 2, 12]), &ber]);
        let aarq = tlv(0x60, &[&tlv(0xa1, &[&oid(context)])]);
        let data = tlv(0x61, &[&tlv(0x30, &[&[2, 1, 1], &tlv(0xa0, &[&aarq])])]);
        let mode = tlv(0xa2, &[&tlv(0xa4, &[&acse, &rtse]), &data]);
        spdu(13, &tlv(0x31, &[&tlv(0xa0, &[&[0x80, 1, 1]]), &mode]))
    }

    fn accept(result: u8) -> Vec<u8> {
        let context = tlv(0xa1, &[&oid(&[0x56, 0, 1, 6])]);
        let aare = tlv(0x61, &[&context, &tlv(0xa2, &[&[2, 1, result]])]);
        let data = tlv(0x61, &[&tlv(0x30, &[&[2, 1, 1], &tlv(0xa0, &[&aare])])]);
        spdu(
            14,
            &tlv(0x31, &[&tlv(0xa0, &[&[0x80, 1, 1]]), &tlv(0xa2, &[&data])]),
        )
    }

    #[test]
    fn transfer_in_normal_mode_is_read() {
        let (request, connect, accept) = (request(), connect(&[0x56, 0, 1, 6]), accept(0));
        let segments = [
            (CLIENT, &request[..]),
            (CLIENT, &connect[..]),
            (SERVER, &accept[..]),
        ];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["tpkt", "x400"]);
        assert_eq!(values(&recorder, "tpkt", "calling_tsap"), ["MTA1"]);
        assert_eq!(values(&recorder, "tpkt", "called_tsap"), ["X400"]);
        assert_eq!(
            values(&recorder, "x400", "application_context"),
            ["2.6.0.1.6", "2.6.0.1.6"]
        );
        assert_eq!(values(&recorder, "x400", "abstract_syntax"), ["2.6.0.2.12"]);
        assert_eq!(values(&recorder, "x400", "access"), ["p1", "p1"]);
        assert_eq!(values(&recorder, "x400", "mode"), ["normal", "normal"]);
        assert_eq!(values(&recorder, "x400", "result"), ["accepted"]);
        assert_eq!(recorder.client, Some(CLIENT));
        only_registered_attributes(&recorder, &[&X400]);
        survives_every_cut(&segments);
    }

    #[test]
    fn the_answer_alone_is_proof() {
        let recorder = conversation(&[(SERVER, &accept(1))]);
        assert_eq!(protocols(&recorder), ["tpkt", "x400"]);
        assert_eq!(values(&recorder, "x400", "result"), ["refused"]);
        assert_eq!(recorder.client, Some(CLIENT));
    }

    #[test]
    fn submission_and_store_are_told_apart() {
        for (arc, access) in [(0, "p3"), (10, "p3"), (5, "p7"), (11, "p7")] {
            let recorder = conversation(&[(CLIENT, &connect(&[0x56, 0, 1, arc]))]);
            assert_eq!(values(&recorder, "x400", "access"), [access]);
        }
    }

    #[test]
    fn transfer_of_1984_is_read_without_its_names() {
        // RTORQ: checkpoint size, window, connection data with name and password, P1.
        let open = tlv(0xa0, &[&tlv(0x31, &[&tlv(0xa0, &[b"\x16\x04MTA1"])])]);
        let parameters = tlv(
            0xa1,
            &[
                &[0x80, 1, 0, 0x81, 1, 3],
                &tlv(0xa3, &[&open]),
                &[0x84, 1, 1],
            ],
        );
        let connect = spdu(13, &tlv(0x31, &[&tlv(0xa0, &[&[0x80, 1, 0]]), &parameters]));
        let refuse = packet(&[12, 3, 0x32, 1, 2]);
        let segments = [(CLIENT, &connect[..]), (SERVER, &refuse[..])];
        let recorder = conversation(&segments);
        assert_eq!(values(&recorder, "x400", "mode"), ["x410_1984"]);
        assert_eq!(values(&recorder, "x400", "access"), ["p1"]);
        assert_eq!(values(&recorder, "x400", "result"), ["refused"]);
        assert!(!format!("{recorder:?}").contains("MTA1"));
        survives_every_cut(&segments);
    }

    #[test]
    fn units_over_several_packets_are_put_together() {
        let whole = connect(&[0x56, 0, 1, 6]);
        let (first, second) = whole[7..].split_at(40);
        let mut segments = packet(first);
        segments[6] = 0;
        segments.extend(packet(second));
        let recorder = conversation(&[(CLIENT, &segments)]);
        assert_eq!(values(&recorder, "x400", "access"), ["p1"]);
    }

    #[test]
    fn other_applications_of_session_are_not_message_handling() {
        // MMS: ISO 9506, 1.0.9506.2.1.
        let mms = tlv(0x30, &[&[2, 1, 3], &oid(&[0x28, 0xca, 0x22, 2, 1])]);
        let aarq = tlv(0x60, &[&tlv(0xa1, &[&oid(&[0x28, 0xca, 0x22, 2, 3])])]);
        let data = tlv(0x61, &[&tlv(0x30, &[&[2, 1, 1], &tlv(0xa0, &[&aarq])])]);
        let mode = tlv(0xa2, &[&tlv(0xa4, &[&mms]), &data]);
        let connect = spdu(13, &tlv(0x31, &[&tlv(0xa0, &[&[0x80, 1, 1]]), &mode]));
        let recorder = conversation(&[(CLIENT, &connect)]);
        assert_eq!(protocols(&recorder), ["tpkt"]);
        let bad_length = spdu(13, &[0x31, 0x7f, 0]);
        assert_eq!(protocols(&conversation(&[(CLIENT, &bad_length)])), ["tpkt"]);
    }
}
