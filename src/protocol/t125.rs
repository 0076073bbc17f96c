//! Multipoint communication service of T.120 (ITU-T T.125), with the conference of T.124 that it opens: NetMeeting's data
//! conferences, and RDP.
//!
//! Reads messages that X.224 put together ([`super::tpkt`]). Proof are the connect units in BER, and those units of a domain
//! (PER) whose length is exact. User data is passed over; of a conference only its kind is noted.

use super::ber::Element;
use super::{About, Protocol, Reject};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;

/// Kind of unit: `connect_initial`, `connect_response`, `send_data_request` ...
const UNIT: &str = "unit";
/// Result in a connect response (T.125 section 7, `Result`): 0 is success.
const RESULT: &str = "result";
/// What the connection is for: the unit of T.124 in it.
const CONFERENCE: &str = "conference";

/// Who makes the connection: `rdp`, or `t120` for conferences of all other kinds.
const APPLICATION: &str = "application";

/// T.125: carried by X.224, no stream of its own.
pub(super) const T125: Protocol = Protocol {
    name: "t125",
    about: About {
        title: "T.120 multipoint communication service (MCS)",
        sources: "ITU-T T.125, T.124, T.123",
        reads: "Connect-Initial and Connect-Response with the conference they make, and the kinds of domain units.",
        proves: "A connect unit with all of its fields, or a domain unit of exact length, in X.224.",
        limits: "Data of the conference is not looked at; encrypted conferences are not seen.",
    },
    attributes: &[UNIT, RESULT, CONFERENCE, APPLICATION],
    stream: None,
    datagram: None,
};

/// Octets at which a key of T.124 is looked for: it stands at the start of the user data.
const KEY_WINDOW: usize = 64;
/// `t124Identifier`: object {itu-t recommendation t 124 version 0 1} (T.124 section 8.7).
const T124: [u8; 7] = [0, 5, 0, 0x14, 0x7c, 0, 1];
/// Units of T.124 in a connect unit, by their index.
const CONFERENCES: [&str; 8] = [
    "conference_create_request",
    "conference_create_response",
    "conference_query_request",
    "conference_query_response",
    "conference_join_request",
    "conference_join_response",
    "conference_invite_request",
    "conference_invite_response",
];

/// A unit of MCS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit<'a> {
    /// The first one of the client, with the user data.
    ConnectInitial(&'a [u8]),
    /// Its answer: the result and the user data.
    ConnectResponse(u64, &'a [u8]),
    /// A unit of the domain, by name.
    Domain(&'static str),
}

/// Reads a whole message of X.224; `None` where it is no proof of T.125.
pub(super) fn message(bytes: &[u8]) -> Option<Unit<'_>> {
    match bytes {
        [0x7f, 0x65, rest @ ..] => connect_initial(rest).ok(),
        [0x7f, 0x66, rest @ ..] => connect_response(rest).ok(),
        _ => domain(bytes).map(Unit::Domain),
    }
}

impl Unit<'_> {
    /// Notes what it says; `side` sent it.
    pub(super) fn note(&self, side: Side, notes: &mut Notes<'_>) {
        notes.proved();
        let (name, client) = match self {
            Self::ConnectInitial(_) => ("connect_initial", Some(side)),
            Self::ConnectResponse(result, _) => {
                notes.number(RESULT, *result);
                ("connect_response", Some(side.other()))
            }
            Self::Domain(name) => (*name, None),
        };
        notes.text(UNIT, name);
        if let Some(client) = client {
            notes.client(client);
            notes.text(APPLICATION, if self.is_rdp() { "rdp" } else { "t120" });
        }
        if let Some(name) = self.conference() {
            notes.text(CONFERENCE, name);
        }
    }

    /// Whether the keys of RDP stand in the conference's data (MS-RDPBCGR 2.2.1.3 and 2.2.1.4).
    pub(super) fn is_rdp(&self) -> bool {
        let start = self.user_data();
        let start = start.get(..KEY_WINDOW).unwrap_or(start);
        [&b"\xc0\x00Duca"[..], b"\xc0\x00McDn"]
            .iter()
            .any(|key| memchr::memmem::find(start, key).is_some())
    }

    /// Whether the connection is made or refused.
    pub(super) const fn settles(&self) -> bool {
        matches!(self, Self::ConnectResponse(..))
    }

    fn user_data(&self) -> &[u8] {
        match self {
            Self::ConnectInitial(data) | Self::ConnectResponse(_, data) => data,
            Self::Domain(_) => &[],
        }
    }

    /// The unit of T.124: after the identifier and a length of one or two octets, an index of three bits.
    fn conference(&self) -> Option<&'static str> {
        let rest = self.user_data().strip_prefix(&T124)?;
        let first = match rest {
            [length, first, ..] if length & 0x80 == 0 => first,
            [length, _, first, ..] if length & 0xc0 == 0x80 => first,
            _ => return None,
        };
        // The highest bit stands for units of later versions.
        (first & 0x80 == 0)
            .then(|| CONFERENCES.get(usize::from(first >> 4)).copied())
            .flatten()
    }
}

/// The contents after a tag of two octets: all of the message.
fn contents(rest: &[u8]) -> Result<Cursor<'_>, Reject> {
    let mut cursor = Cursor::new(rest);
    let length = match cursor.u8()? {
        length @ 0..=0x7f => usize::from(length),
        0x81 => usize::from(cursor.u8()?),
        0x82 => usize::from(cursor.u16()?),
        _ => return Err(Reject::Invalid("length form")),
    };
    let contents = cursor.sub(length)?;
    match cursor.is_empty() {
        true => Ok(contents),
        false => Err(Reject::Invalid("length")),
    }
}

/// T.125 section 7, `Connect-Initial`: two selectors, a flag, three sets of parameters, user data.
fn connect_initial(rest: &[u8]) -> Result<Unit<'_>, Reject> {
    let mut cursor = contents(rest)?;
    for tag in [4, 4, 1, 0x30, 0x30, 0x30] {
        Element::expect(&mut cursor, tag)?;
    }
    let data = Element::expect(&mut cursor, 4)?;
    Ok(Unit::ConnectInitial(data.contents))
}

/// `Connect-Response`: a result, an identifier, one set of parameters, user data.
fn connect_response(rest: &[u8]) -> Result<Unit<'_>, Reject> {
    let mut cursor = contents(rest)?;
    let result = Element::expect(&mut cursor, 0x0a)?;
    let result = result.number().ok_or(Reject::Invalid("result"))?;
    Element::expect(&mut cursor, 2)?;
    Element::expect(&mut cursor, 0x30)?;
    let data = Element::expect(&mut cursor, 4)?;
    Ok(Unit::ConnectResponse(result, data.contents))
}

/// Units of a domain whose form is exact enough to be proof. The index is in the upper six bits of the first octet.
fn domain(bytes: &[u8]) -> Option<&'static str> {
    let (first, rest) = bytes.split_first()?;
    let name = match (first, rest) {
        (0x04, [1, _, 1, _]) => "erect_domain_request",
        (0x3e, [0, _, _, asked @ .., _, _]) if asked.len() == 2 && rest.ends_with(asked) => {
            "channel_join_confirm"
        }
        (0x64, _) if is_data(rest) => "send_data_request",
        (0x68, _) if is_data(rest) => "send_data_indication",
        (0x6c, _) if is_data(rest) => "uniform_send_data_request",
        (0x70, _) if is_data(rest) => "uniform_send_data_indication",
        _ => return None,
    };
    Some(name)
}

/// Initiator, channel, priority and segmentation, and data that ends with the message.
fn is_data(rest: &[u8]) -> bool {
    let [_, _, _, _, flags, length @ ..] = rest else {
        return false;
    };
    let is_exact = match length {
        [short, data @ ..] if short & 0x80 == 0 => usize::from(*short) == data.len(),
        [high, low, data @ ..] if high & 0xc0 == 0x80 => {
            usize::from(u16::from_be_bytes([high & 0x3f, *low])) == data.len()
        }
        _ => false,
    };
    is_exact && flags & 0x0f == 0 && flags & 0x30 != 0
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, conversation, midstream, only_registered_attributes, protocols,
        survives_every_cut, values,
    };
    use super::*;

    /// A data unit of X.224 in a packet.
    fn packet(data: &[u8]) -> Vec<u8> {
        let length = u16::try_from(data.len() + 7).unwrap().to_be_bytes();
        [&[3, 0], &length[..], &[2, 0xf0, 0x80], data].concat()
    }

    fn connect_initial(user: &[u8]) -> Vec<u8> {
        let mut fields = vec![4, 1, 1, 4, 1, 1, 1, 1, 0xff];
        for _ in 0..3 {
            fields.extend([0x30, 3, 2, 1, 2]);
        }
        fields.extend([4, u8::try_from(user.len()).unwrap()]);
        fields.extend(user);
        let mut bytes = vec![0x7f, 0x65, 0x81, u8::try_from(fields.len()).unwrap()];
        bytes.extend(fields);
        packet(&bytes)
    }

    fn connect_response() -> Vec<u8> {
        let user = [&T124[..], &[6, 0x14], b"\x01\xc0\x00McDn"].concat();
        let mut fields = vec![0x0a, 1, 0, 2, 1, 0, 0x30, 3, 2, 1, 2, 4];
        fields.push(u8::try_from(user.len()).unwrap());
        fields.extend(user);
        let mut bytes = vec![0x7f, 0x66, u8::try_from(fields.len()).unwrap()];
        bytes.extend(fields);
        packet(&bytes)
    }

    #[test]
    fn a_conference_is_made_and_named() {
        let user = [&T124[..], &[0x80, 3, 0x00, 8, 0]].concat();
        let (initial, response) = (connect_initial(&user), connect_response());
        let segments = [(CLIENT, &initial[..]), (SERVER, &response[..])];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["tpkt", "t125", "rdp"]);
        assert_eq!(
            values(&recorder, "t125", "unit"),
            ["connect_initial", "connect_response"]
        );
        assert_eq!(
            values(&recorder, "t125", "conference"),
            ["conference_create_request", "conference_create_response"]
        );
        assert_eq!(values(&recorder, "t125", "result"), ["0"]);
        assert_eq!(recorder.client, Some(CLIENT));
        only_registered_attributes(&recorder, &[&T125]);
        survives_every_cut(&segments);
    }

    #[test]
    fn a_conference_without_the_keys_of_rdp_is_not_rdp() {
        let initial = connect_initial(b"");
        let recorder = conversation(&[(CLIENT, &initial)]);
        assert_eq!(protocols(&recorder), ["tpkt", "t125"]);
        assert_eq!(values(&recorder, "t125", "application"), ["t120"]);
    }

    #[test]
    fn data_of_a_domain_is_known_from_the_middle() {
        let data = packet(&[0x64, 0, 7, 3, 0xeb, 0x70, 3, 1, 2, 3]);
        let recorder = midstream(&[(CLIENT, &data)]);
        assert_eq!(protocols(&recorder), ["tpkt", "t125"]);
        assert_eq!(values(&recorder, "t125", "unit"), ["send_data_request"]);
        let join = packet(&[0x3e, 0, 0, 7, 3, 0xeb, 3, 0xeb]);
        assert_eq!(protocols(&midstream(&[(SERVER, &join)])), ["tpkt", "t125"]);
    }

    #[test]
    fn inexact_units_are_not_taken() {
        for wrong in [
            &[0x64, 0, 7, 3, 0xeb, 0x70, 4, 1, 2, 3][..],
            &[0x64, 0, 7, 3, 0xeb, 0x71, 3, 1, 2, 3],
            &[0x3e, 0, 0, 7, 3, 0xeb, 3, 0xec],
            &[0x28],
            &[0x7f, 0x65, 2, 4, 0],
            &[0x7f, 0x66, 3, 0x0a, 1, 0],
        ] {
            assert_eq!(message(wrong), None, "{wrong:02x?}");
        }
    }
}
