//! The PROXY protocol, versions 1 and 2 (HAProxy, `proxy-protocol.txt` §2.1 and §2.2): a header by which a load balancer
//! tells the addresses of the connection that it forwards.
//!
//! Reads the header and hands over to whatever follows, which either side may begin. Of the extensions of version 2 only
//! the authority is read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    About, Next, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry, text,
};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::{Endpoint, Side};

/// 1 or 2.
const VERSION: &str = "version";
/// The client's endpoint, as the sender saw it.
const SOURCE: &str = "source";
/// The endpoint that the client connected to.
const DESTINATION: &str = "destination";
/// The host that the client asked for.
const AUTHORITY: &str = "authority";

pub(super) const PROXY_PROTOCOL: Protocol = Protocol {
    name: "proxy_protocol",
    about: About {
        title: "PROXY protocol",
        sources: "HAProxy PROXY protocol, versions 1 and 2",
        reads: "The header before a proxied connection: version and the endpoints that it names.",
        proves: "A whole header of either version.",
        limits: "What the proxy claims is noted as its claim, not used as an address of the flow; what follows the header is detected anew.",
    },
    attributes: &[VERSION, SOURCE, DESTINATION, AUTHORITY],
    stream: Some(StreamEntry {
        first_byte: |byte| matches!(byte, b'P' | b'\r'),
        probe,
        start: || Box::new(Header),
    }),
    datagram: None,
};

const SIGNATURE_1: &[u8] = b"PROXY ";
const SIGNATURE_2: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Longest header of version 1 with its line end, §2.1.
const MAX_LINE: usize = 107;
/// Type of the authority extension, §2.2.2.
const TYPE_AUTHORITY: u8 = 2;

fn probe(opening: &Opening<'_>) -> Probe {
    match parse(opening.spoken()) {
        Ok(_) => Probe::Yes,
        // A whole header is proof anywhere; the beginning of one only where a connection begins.
        Err(Reject::Short(_)) if !opening.midstream => Probe::More,
        Err(_) => Probe::No,
    }
}

/// A header.
#[derive(Debug, Default, PartialEq, Eq)]
struct Proxied {
    version: u64,
    /// Source and destination, where the header tells them.
    endpoints: Option<(Endpoint, Endpoint)>,
    authority: Option<String>,
    /// Bytes of the header.
    length: usize,
}

fn parse(bytes: &[u8]) -> Result<Proxied, Reject> {
    if text::may_begin(bytes, SIGNATURE_1) {
        return version_1(bytes);
    }
    if text::may_begin(bytes, SIGNATURE_2) {
        return version_2(bytes);
    }
    Err(Reject::Other)
}

fn version_1(bytes: &[u8]) -> Result<Proxied, Reject> {
    let Some((line, length)) = text::first_line(bytes) else {
        return match bytes.len() < MAX_LINE && text::is_plain(text::trimmed(bytes)) {
            // One byte more may end the line.
            true => Cursor::new(bytes)
                .skip(bytes.len().saturating_add(1))
                .map_err(Reject::from)
                .and(Err(Reject::Other)),
            false => Err(Reject::Other),
        };
    };
    let line = std::str::from_utf8(line).map_err(|_| Reject::Invalid("line"))?;
    let words: Vec<&str> = line.split(' ').collect();
    let endpoints = match words.as_slice() {
        ["PROXY", "UNKNOWN", ..] => None,
        ["PROXY", "TCP4" | "TCP6", source, destination, from, to] => {
            let endpoint = |address: &str, port: &str| {
                let address: IpAddr = address.parse().ok()?;
                Some(Endpoint::new(address, port.parse().ok()?))
            };
            let both = endpoint(source, from).zip(endpoint(destination, to));
            Some(both.ok_or(Reject::Invalid("address"))?)
        }
        _ => return Err(Reject::Other),
    };
    Ok(Proxied {
        version: 1,
        endpoints,
        length,
        ..Proxied::default()
    })
}

fn version_2(bytes: &[u8]) -> Result<Proxied, Reject> {
    let mut cursor = Cursor::new(bytes);
    if cursor.array::<12>()? != SIGNATURE_2 {
        return Err(Reject::Other);
    }
    // LOCAL or PROXY.
    if !matches!(cursor.u8()?, 0x20 | 0x21) {
        return Err(Reject::Invalid("version"));
    }
    let family = cursor.u8()?;
    let length = usize::from(cursor.u16()?);
    let mut body = cursor.sub(length)?;
    let endpoints = match family {
        0x11 | 0x12 => {
            let (source, destination) = (body.u32()?, body.u32()?);
            let address = |bits| IpAddr::from(Ipv4Addr::from_bits(bits));
            Some((
                Endpoint::new(address(source), body.u16()?),
                Endpoint::new(address(destination), body.u16()?),
            ))
        }
        0x21 | 0x22 => {
            let (source, destination) = (body.u128()?, body.u128()?);
            let address = |bits| IpAddr::from(Ipv6Addr::from_bits(bits));
            Some((
                Endpoint::new(address(source), body.u16()?),
                Endpoint::new(address(destination), body.u16()?),
            ))
        }
        _ => None,
    };
    let mut authority = None;
    while let (true, Ok(kind), Ok(length)) = (endpoints.is_some(), body.u8(), body.u16()) {
        let Ok(value) = body.take(usize::from(length)) else {
            break;
        };
        if kind == TYPE_AUTHORITY {
            authority = Some(String::from_utf8_lossy(value).to_ascii_lowercase());
        }
    }
    Ok(Proxied {
        version: 2,
        endpoints,
        authority,
        length: cursor.offset(),
    })
}

/// Reads the header of one connection.
#[derive(Debug)]
struct Header;

impl StreamDecoder for Header {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let header = match parse(bytes) {
            Ok(header) => header,
            Err(reject) => return reject.into_step(0, bytes.len()),
        };
        notes.proved();
        notes.client(side);
        notes.number(VERSION, header.version);
        if let Some((source, destination)) = header.endpoints {
            notes.text(SOURCE, &source.to_string());
            notes.text(DESTINATION, &destination.to_string());
        }
        notes.text(AUTHORITY, header.authority.as_deref().unwrap_or_default());
        Step::Handover {
            consumed: header.length,
            next: Next::Probe,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::testing::{
        CLIENT as C, SERVER as S, conversation, only_registered_attributes, protocols,
        survives_every_cut, values,
    };

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    #[test]
    fn http_is_found_after_a_header_of_version_1() {
        let both = [
            &b"PROXY TCP4 192.0.2.7 198.51.100.9 51000 443\r\n"[..],
            REQUEST,
        ]
        .concat();
        let recorder = conversation(&[(C, &both)]);
        assert_eq!(protocols(&recorder), ["proxy_protocol", "http"]);
        assert_eq!(values(&recorder, "proxy_protocol", VERSION), ["1"]);
        assert_eq!(
            values(&recorder, "proxy_protocol", SOURCE),
            ["192.0.2.7:51000"]
        );
        assert_eq!(
            values(&recorder, "proxy_protocol", DESTINATION),
            ["198.51.100.9:443"]
        );
        only_registered_attributes(&recorder, &[&PROXY_PROTOCOL]);
        survives_every_cut(&[(C, &both)]);
    }

    #[test]
    fn a_server_may_speak_first_after_a_header_of_version_2() {
        let mut header = SIGNATURE_2.to_vec();
        header.extend([
            0x21, 0x11, 0, 20, 192, 0, 2, 7, 198, 51, 100, 9, 0xc7, 0x38, 0, 25,
        ]);
        header.extend([2, 0, 5, b'E', b'x', b'.', b'o', b'r']);
        let segments = [(C, header.as_slice()), (S, b"220 x ESMTP\r\n")];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["proxy_protocol", "smtp"]);
        assert_eq!(values(&recorder, "proxy_protocol", VERSION), ["2"]);
        assert_eq!(
            values(&recorder, "proxy_protocol", SOURCE),
            ["192.0.2.7:51000"]
        );
        assert_eq!(values(&recorder, "proxy_protocol", AUTHORITY), ["ex.or"]);
        survives_every_cut(&segments);
    }

    #[test]
    fn a_header_without_addresses_is_one() {
        let recorder = conversation(&[(C, b"PROXY UNKNOWN\r\n")]);
        assert_eq!(protocols(&recorder), ["proxy_protocol"]);
    }

    #[test]
    fn other_openings_are_not_headers() {
        let nothing: [&str; 0] = [];
        for bytes in [
            &b"PROXY TCP4 here there 1 2\r\n"[..],
            b"PROXY it\r\n",
            b"POST / HTTP/1.1\r\n",
            b"\r\n\r\nhello, this is text",
        ] {
            assert!(!protocols(&conversation(&[(C, bytes)])).contains(&"proxy_protocol"));
        }
        let long = [b'x'; 200];
        let line = [SIGNATURE_1, &long].concat();
        assert_eq!(protocols(&conversation(&[(C, &line)])), nothing);
    }
}
