//! .NET NegotiateStream (MS-NNS 2.2): who authenticates how, and whether what follows is sealed.
//!
//! Reads the handshake's frames and the beginning of the first frame of data; nothing after it. Proof is a frame whose
//! token is one of GSS, or, where the handshake is missing, a frame of data that is a Kerberos wrap token by all of its
//! fixed fields. Tokens are read by the helper for GSS, which keeps no user and no key.

use super::gss::{
    self, GSS_ANONYMOUS, GSS_DOMAIN, GSS_HOST, GSS_MECHANISM, GSS_OFFERED, GSS_SERVICE, GSS_VERSION,
};
use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;

/// `sealed` or `signed`: what protects the data, where Kerberos does and so shows it.
const PROTECTION: &str = "protection";
/// The status with which a handshake failed (`HRESULT`, hexadecimal).
const ERROR: &str = "error";

pub(super) const NNS: Protocol = Protocol {
    name: "nns",
    about: About {
        title: ".NET NegotiateStream",
        sources: "MS-NNS 2.2; RFC 4178, RFC 4121, MS-NLMP",
        reads: "The tokens of the handshake: mechanism, host, domain, service; its failure; whether data is sealed.",
        proves: "A handshake frame with a GSS token in it, or a frame of data that is a Kerberos wrap token.",
        limits: "What protects data under NTLM is not visible; what was not protected is not read.",
    },
    attributes: &[
        GSS_MECHANISM,
        GSS_OFFERED,
        GSS_DOMAIN,
        GSS_HOST,
        GSS_SERVICE,
        GSS_VERSION,
        GSS_ANONYMOUS,
        PROTECTION,
        ERROR,
    ],
    stream: Some(StreamEntry {
        // A handshake frame, or any length of a frame of data.
        first_byte: |_| true,
        probe,
        start: || Box::new(Connection),
    }),
    datagram: None,
};

/// `HandshakeDone`, `HandshakeError`, `HandshakeInProgress`.
const DONE: u8 = 0x14;
const FAILED: u8 = 0x15;
const GOING_ON: u8 = 0x16;
/// Identifier, version 1.0, size.
const HEADER_BYTES: usize = 5;
/// Bytes of a token that name its mechanism: header, identifiers and the first entry of an offer.
const TOKEN_BEGINNING: usize = 64;
/// Largest frame of data, section 2.2.2.
const MAX_DATA: u32 = 0xfc30;
/// A wrap token's header, RFC 4121 section 4.2.6.2.
const WRAP_BYTES: u32 = 16;

fn probe(opening: &Opening<'_>) -> Probe {
    opening.either(|bytes| {
        if opening.midstream && Wrap::parse(bytes).is_some() {
            return Probe::Yes;
        }
        handshake_begins(bytes)
    })
}

/// Whether a frame with a token of GSS begins here.
fn handshake_begins(bytes: &[u8]) -> Probe {
    match bytes {
        [GOING_ON | DONE] | [GOING_ON | DONE, 1] | [GOING_ON | DONE, 1, 0] => return Probe::More,
        [GOING_ON | DONE, 1, 0, _] => return Probe::More,
        [GOING_ON | DONE, 1, 0, ..] => {}
        _ => return Probe::No,
    }
    let mut cursor = Cursor::new(bytes);
    let Ok((_, size)) = header(&mut cursor) else {
        return Probe::No;
    };
    let token = cursor.rest();
    let token = token.get(..size).unwrap_or(token);
    if gss::mechanism(token).is_some() {
        Probe::Yes
    } else if token.len() < size.min(TOKEN_BEGINNING) {
        Probe::More
    } else {
        Probe::No
    }
}

/// Identifier and size of a handshake frame.
fn header(cursor: &mut Cursor<'_>) -> Result<(u8, usize), Reject> {
    let kind = cursor.u8()?;
    let version = cursor.u16()?;
    if !matches!(kind, DONE | FAILED | GOING_ON) || version != 0x0100 {
        return Err(Reject::Other);
    }
    Ok((kind, usize::from(cursor.u16()?)))
}

/// The beginning of a frame of data that Kerberos protects.
struct Wrap {
    sealed: bool,
}

impl Wrap {
    /// Size, least byte first; then the wrap token's identifier, flags, filler, and a sequence number, which counts from
    /// 32 bits.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(bytes);
        let size = cursor.u32_le().ok()?;
        let [5, 4, flags @ 0..=7, 0xff] = *cursor.array::<4>().ok()? else {
            return None;
        };
        let _extra_and_rotation = cursor.u32().ok()?;
        let sequence = cursor.u64().ok()?;
        let fits = (WRAP_BYTES..=MAX_DATA).contains(&size) && sequence <= u64::from(u32::MAX);
        fits.then_some(Self {
            sealed: flags & 2 != 0,
        })
    }
}

/// One connection.
struct Connection;

impl StreamDecoder for Connection {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let mut cursor = Cursor::new(bytes);
        loop {
            let consumed = cursor.offset();
            let rest = cursor.rest();
            let more = |missing: usize| Step::NeedMore {
                consumed,
                at_least: rest.len().saturating_add(missing.max(1)),
            };
            match rest {
                [] => return Step::Consumed,
                [DONE | FAILED | GOING_ON] | [DONE | FAILED | GOING_ON, 1] => return more(1),
                [DONE | FAILED | GOING_ON, 1, 0, ..] => {}
                _ if rest.len() < HEADER_BYTES.saturating_mul(4) => {
                    return more(HEADER_BYTES.saturating_mul(4).saturating_sub(rest.len()));
                }
                _ => return data_begins(rest, notes),
            }
            let frame = header(&mut cursor).and_then(|(kind, size)| Ok((kind, cursor.take(size)?)));
            match frame {
                Ok((kind, token)) => handshake(side, kind, token, notes),
                Err(reject) => return reject.into_step(consumed, rest.len()),
            }
        }
    }
}

fn handshake(side: Side, kind: u8, token: &[u8], notes: &mut Notes<'_>) {
    if kind == FAILED {
        // 32 bits of zeros, or of the sign, come before the status.
        if let Some((_, status)) = token.split_last_chunk::<4>() {
            notes.text(ERROR, &format!("0x{:08x}", u32::from_be_bytes(*status)));
        }
        return;
    }
    let Some(read) = gss::mechanism(token) else {
        return;
    };
    notes.proved();
    read.note(notes);
    if matches!(token, [0x60, ..]) || token.starts_with(b"NTLMSSP\0\x01") {
        notes.client(side);
    }
}

fn data_begins(bytes: &[u8], notes: &mut Notes<'_>) -> Step {
    if let Some(wrap) = Wrap::parse(bytes) {
        notes.proved();
        notes.text(PROTECTION, if wrap.sealed { "sealed" } else { "signed" });
    }
    Step::Done
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::testing::{
        CLIENT as C, SERVER as S, conversation, midstream, only_registered_attributes, protocols,
        survives_every_cut, values,
    };

    fn frame(kind: u8, token: &[u8]) -> Vec<u8> {
        let size = u16::try_from(token.len()).unwrap().to_be_bytes();
        [&[kind, 1, 0][..], &size, token].concat()
    }

    /// An NTLM negotiate message with a domain and a workstation.
    const NEGOTIATE: &[u8] =
        b"NTLMSSP\0\x01\0\0\0\x07\x32\0\0\x07\0\x07\0\x23\0\0\0\x03\0\x03\0\x20\0\0\0MX1CONTOSO";

    /// SPNEGO that offers Kerberos and NTLM.
    const OFFER: &[u8] = b"\x60\x27\x06\x06\x2b\x06\x01\x05\x05\x02\xa0\x1d\x30\x1b\xa0\x19\x30\x17\
        \x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x06\x0a\x2b\x06\x01\x04\x01\x82\x37\x02\x02\x0a";

    fn data(flags: u8) -> Vec<u8> {
        [
            &[
                20, 0, 0, 0, 5, 4, flags, 0xff, 0, 0, 0, 28, 0, 0, 0, 0, 1, 2, 3, 4,
            ][..],
            &[9; 4],
        ]
        .concat()
    }

    #[test]
    fn tokens_name_mechanism_host_and_domain_and_data_shows_its_seal() {
        let (offer, refused) = (frame(GOING_ON, OFFER), frame(GOING_ON, NEGOTIATE));
        let sealed = data(6);
        let segments = [(C, &offer[..]), (C, &refused), (S, &sealed)];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["nns"]);
        assert_eq!(recorder.client, Some(C));
        assert_eq!(
            values(&recorder, "nns", "gss_offered"),
            ["kerberos", "ntlm"]
        );
        assert_eq!(
            values(&recorder, "nns", "gss_mechanism"),
            ["negotiate", "ntlm"]
        );
        assert_eq!(values(&recorder, "nns", "gss_host"), ["MX1"]);
        assert_eq!(values(&recorder, "nns", "gss_domain"), ["CONTOSO"]);
        assert_eq!(values(&recorder, "nns", "protection"), ["sealed"]);
        only_registered_attributes(&recorder, &[&NNS]);
        survives_every_cut(&segments);
    }

    #[test]
    fn a_kerberos_ticket_names_its_service() {
        let ticket =
            b"\x6e\x4a\x30\x48\xa0\x03\x02\x01\x05\xa1\x03\x02\x01\x0e\xa2\x07\x03\x05\0\0\0\0\0\
            \xa3\x33\x61\x31\x30\x2f\xa0\x03\x02\x01\x05\xa1\x09\x1b\x07EXAMPLE\
            \xa2\x1d\x30\x1b\xa0\x03\x02\x01\x02\xa1\x14\x30\x12\x1b\x04host\x1b\x0amx1.domain";
        let recorder = conversation(&[(C, &frame(GOING_ON, ticket))]);
        assert_eq!(values(&recorder, "nns", "gss_service"), ["host/mx1.domain"]);
        assert_eq!(values(&recorder, "nns", "gss_domain"), ["EXAMPLE"]);
    }

    #[test]
    fn nobody_is_said_to_be_anonymous_but_who_sends_no_name() {
        let mut message = b"NTLMSSP\0\x03\0\0\0".to_vec();
        message.extend([0; 48]);
        message.extend([0, 0, 0, 2, 10, 0, 0x63, 0x45, 0, 0, 0, 0x0f]);
        let recorder = conversation(&[(C, &frame(GOING_ON, &message))]);
        assert_eq!(values(&recorder, "nns", "gss_anonymous"), ["1"]);
        assert_eq!(values(&recorder, "nns", "gss_version"), ["10.0.17763"]);
    }

    #[test]
    fn a_failed_handshake_gives_its_status() {
        let (offer, failed) = (
            frame(GOING_ON, OFFER),
            frame(FAILED, &[0, 0, 0, 0, 0x80, 9, 3, 0x0c]),
        );
        let recorder = conversation(&[(C, &offer), (S, &failed)]);
        assert_eq!(values(&recorder, "nns", "error"), ["0x8009030c"]);
    }

    #[test]
    fn data_without_its_handshake_is_known_by_its_wrap_token() {
        let recorder = midstream(&[(S, &data(1))]);
        assert_eq!(protocols(&recorder), ["nns"]);
        assert_eq!(values(&recorder, "nns", "protection"), ["signed"]);
        let nothing: [&str; 0] = [];
        let (mut long, mut counted) = (data(1), data(1));
        long[2] = 1;
        counted[12] = 1;
        for other in [&long[..], &counted, &data(8), &data(1)[..19]] {
            assert_eq!(protocols(&midstream(&[(S, other)])), nothing);
        }
        assert_eq!(protocols(&conversation(&[(S, &data(1))])), nothing);
    }

    #[test]
    fn other_openings_are_not_negotiate_stream() {
        let noise = frame(GOING_ON, &[7; 80]);
        let tls = [0x16, 3, 1, 0, 0x2d, 1, 0, 0, 0x29, 3, 1];
        for other in [&noise[..], &tls, &frame(FAILED, OFFER)] {
            assert!(!protocols(&conversation(&[(C, other)])).contains(&"nns"));
        }
    }
}
