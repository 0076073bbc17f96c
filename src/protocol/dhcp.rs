//! DHCP over BOOTP (RFC 2131, RFC 2132): who asks, what it is told.
//!
//! Read are the options that matter to a site of Lync phones: SIP servers (RFC 3361), and the vendor's option with which the
//! DHCP server tells them where to fetch their certificate. Hardware addresses and identifiers of clients are not kept.

use std::net::{IpAddr, Ipv4Addr};

use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject, dns};
use crate::bytes::Cursor;
use crate::evidence::{Notes, Offered, Value};
use crate::net::{Endpoint, Transport};

/// `discover`, `offer`, `request` ...; `bootp` where there is no type.
const MESSAGE: &str = "message";
/// Name of the client.
const HOST: &str = "host";
/// Domain that the client is told.
const DOMAIN: &str = "domain";
/// Vendor class: what kind of client it is.
const VENDOR_CLASS: &str = "vendor_class";
/// A router that the client is told.
const ROUTER: &str = "router";
/// A DNS server that the client is told.
const DNS_SERVER: &str = "dns_server";
/// A SIP server that the client is told: a name or an address (RFC 3361).
const SIP_SERVER: &str = "sip_server";
/// Where Lync phones fetch their certificate, from the vendor's option of class `MS-UC-Client`.
const CERTIFICATE_SERVICE: &str = "certificate_service";

/// Dynamic configuration of hosts.
pub(super) const DHCP: Protocol = Protocol {
    name: "dhcp",
    about: About {
        title: "Dynamic Host Configuration Protocol",
        sources: "RFC 951, RFC 2131, RFC 2132, RFC 3361, RFC 4702",
        reads: "Type, names of host and domain, vendor class, routers, DNS and SIP servers, the certificate service of Lync phones; a host that gets an address is offered by name.",
        proves: "The fixed part with its cookie, and options to their end; without a cookie an Ethernet address filled up with zeros.",
        limits: "Hardware addresses and identifiers of clients are not kept; options in the fields of names are not read.",
    },
    attributes: &[
        MESSAGE,
        HOST,
        DOMAIN,
        VENDOR_CLASS,
        ROUTER,
        DNS_SERVER,
        SIP_SERVER,
        CERTIFICATE_SERVICE,
    ],
    stream: None,
    datagram: Some(DatagramEntry {
        first_byte: |byte| matches!(byte, REQUEST | REPLY),
        start: || Box::new(Hosts),
    }),
};

const REQUEST: u8 = 1;
const REPLY: u8 = 2;
/// Octets of a server's name and a file name.
const NAMES: usize = 64 + 128;
/// Octets of a message before its first option.
const LEAST: usize = 240;
/// Octets of a message of RFC 951.
const BOOTP: usize = 300;
/// In place of a type: the capture ends before the options.
const UNSEEN: u8 = u8::MAX;
/// RFC 1497.
const COOKIE: u32 = 0x6382_5363;

crate::open_enum! {
    /// Types of messages (RFC 2132 section 9.6, RFC 3203, RFC 4388).
    struct Message(u8) {
        /// A client looks for servers.
        DISCOVER = 1 => "discover",
        /// A server answers.
        OFFER = 2 => "offer",
        /// A client takes an offer or renews.
        REQUEST = 3 => "request",
        /// The address is in use.
        DECLINE = 4 => "decline",
        /// The server agrees.
        ACK = 5 => "ack",
        /// It does not.
        NAK = 6 => "nak",
        /// The client gives its address up.
        RELEASE = 7 => "release",
        /// A client with an address asks for the rest.
        INFORM = 8 => "inform",
        /// The client shall renew.
        FORCE_RENEW = 9 => "force_renew",
        /// A relay asks for leases.
        LEASE_QUERY = 10 => "lease_query",
        /// Nobody has it.
        LEASE_UNASSIGNED = 11 => "lease_unassigned",
        /// It is not known.
        LEASE_UNKNOWN = 12 => "lease_unknown",
        /// Somebody has it.
        LEASE_ACTIVE = 13 => "lease_active",
    }
}

struct Hosts;

impl DatagramDecoder for Hosts {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let mut cursor = Cursor::new(datagram.bytes);
        let operation = cursor.u8()?;
        let (hardware, length, hops) = (cursor.u8()?, cursor.u8()?, cursor.u8()?);
        if length > 16 || hops > 16 || datagram.wire_len < LEAST {
            return Err(Reject::Other);
        }
        let (_transaction, _seconds, flags) = (cursor.u32()?, cursor.u16()?, cursor.u16()?);
        let (_client, yours) = (cursor.u32()?, Ipv4Addr::from(*cursor.array::<4>()?));
        cursor.skip(8)?;
        let [address @ .., a, b, c, d, e, f, g, h, i, j] = cursor.array::<16>()?;
        // Ethernet, and nothing but zeros after its address.
        let is_ethernet = (hardware, length) == (1, 6) && address != &[0; 6];
        let is_filled_up = is_ethernet && [a, b, c, d, e, f, g, h, i, j] == [&0; 10];
        let cookie = cursor.skip(NAMES).and_then(|()| cursor.u32());
        let options = match cookie {
            Ok(COOKIE) => Options::parse(&mut cursor, datagram.is_cut())?,
            // RFC 951 knows no cookie, and the capture may end before it.
            Ok(0) if is_filled_up && datagram.wire_len == BOOTP => Options::default(),
            Err(_) if is_filled_up && datagram.is_cut() => Options {
                message: UNSEEN,
                ..Options::default()
            },
            _ => return Err(Reject::Other),
        };
        if flags & 0x7fff != 0 {
            return Err(Reject::Other);
        }
        notes.proved();
        let side = notes.side();
        notes.client(if operation == REQUEST {
            side
        } else {
            side.other()
        });
        let host = options.note(notes);
        if options.message == Message::ACK.0
            && operation == REPLY
            && !yours.is_unspecified()
            && let Some(name) = host
        {
            let endpoint = Endpoint::new(yours.into(), 0);
            notes.offer(Transport::TCP, endpoint, Offered::Host { name });
        }
        Ok(())
    }
}

/// The options of a message; those in several parts are taken by their first one.
#[derive(Default)]
struct Options<'a> {
    message: u8,
    host: Option<&'a [u8]>,
    full_name: Option<&'a [u8]>,
    domain: Option<&'a [u8]>,
    vendor_class: Option<&'a [u8]>,
    vendor: Option<&'a [u8]>,
    routers: Option<&'a [u8]>,
    dns_servers: Option<&'a [u8]>,
    sip_servers: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    fn parse(cursor: &mut Cursor<'a>, is_cut: bool) -> Result<Self, Reject> {
        const PAD: u8 = 0;
        const END: u8 = 255;
        let mut options = Self::default();
        while let Ok(code) = cursor.u8() {
            if code == PAD {
                continue;
            }
            if code == END {
                break;
            }
            let value = cursor
                .u8()
                .and_then(|length| cursor.take(usize::from(length)));
            let value = match value {
                Ok(value) => value,
                Err(_) if is_cut => break,
                Err(short) => return Err(short.into()),
            };
            let place = match code {
                3 => &mut options.routers,
                6 => &mut options.dns_servers,
                12 => &mut options.host,
                15 => &mut options.domain,
                43 => &mut options.vendor,
                60 => &mut options.vendor_class,
                81 => &mut options.full_name,
                120 => &mut options.sip_servers,
                53 => {
                    let &[message] = value else {
                        return Err(Reject::Invalid("message type"));
                    };
                    options.message = message;
                    continue;
                }
                _ => continue,
            };
            place.get_or_insert(value);
        }
        Ok(options)
    }

    /// Notes what they say; the name of the host, as it is offered.
    fn note(&self, notes: &mut Notes<'_>) -> Option<Box<str>> {
        match Message(self.message) {
            Message(0) => notes.text(MESSAGE, "bootp"),
            Message(UNSEEN) => {}
            message => notes.text(MESSAGE, &message.to_string()),
        }
        // Flags and two obsolete codes precede the name (RFC 4702 section 2); flag E says that it is in DNS form.
        let full_name = self.full_name.and_then(|value| match value {
            [flags, _, _, name @ ..] if flags & 4 != 0 => domain_name(name),
            [_, _, _, name @ ..] => text(name),
            _ => None,
        });
        let host = full_name.or_else(|| self.host.and_then(text));
        notes.text(HOST, host.as_deref().unwrap_or_default());
        for (attribute, value) in [(DOMAIN, self.domain), (VENDOR_CLASS, self.vendor_class)] {
            let value = value.and_then(text);
            notes.text(attribute, value.as_deref().unwrap_or_default());
        }
        for (attribute, value) in [(ROUTER, self.routers), (DNS_SERVER, self.dns_servers)] {
            addresses(attribute, value.unwrap_or_default(), notes);
        }
        match self.sip_servers {
            Some([0, names @ ..]) => {
                let mut at = 0;
                while at < names.len()
                    && let Ok((name, behind)) = dns::read_name(names, at)
                    && behind > at
                {
                    notes.text(SIP_SERVER, &name);
                    at = behind;
                }
            }
            Some([1, list @ ..]) => addresses(SIP_SERVER, list, notes),
            _ => {}
        }
        if let Some(place) = self.vendor.and_then(certificate_service) {
            notes.text(CERTIFICATE_SERVICE, &place);
        }
        host.filter(|name| is_host(name))
            .map(|name| name.to_ascii_lowercase().trim_end_matches('.').into())
    }
}

fn addresses(attribute: &'static str, list: &[u8], notes: &mut Notes<'_>) {
    let (list, _) = list.as_chunks::<4>();
    for &address in list {
        notes.value(attribute, Value::Address(IpAddr::from(address)));
    }
}

/// Printable text, without the zeros that some clients end it with.
fn text(value: &[u8]) -> Option<String> {
    let end = memchr::memchr(0, value).unwrap_or(value.len());
    let value = value.get(..end)?;
    let is_plain = !value.is_empty() && !value.iter().any(u8::is_ascii_control);
    is_plain.then(|| String::from_utf8_lossy(value).into_owned())
}

/// A name in DNS form, which may lack its last zero (RFC 4702 section 2.3.1).
fn domain_name(value: &[u8]) -> Option<String> {
    let whole = [value, &[0]].concat();
    dns::read_name(&whole, 0).ok().map(|(name, _)| name)
}

fn is_host(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    name.bytes().all(fits) && !name.starts_with('.')
}

/// The address in the vendor's option of Lync: scheme, host, port and path in sub-options 2 to 5 after the class in 1.
fn certificate_service(vendor: &[u8]) -> Option<String> {
    let mut cursor = Cursor::new(vendor);
    let mut parts: [Option<String>; 5] = Default::default();
    while let Ok(code) = cursor.u8() {
        let length = usize::from(cursor.u8().ok()?);
        let value = cursor.take(length).ok()?;
        if let Some(part) = usize::from(code)
            .checked_sub(1)
            .and_then(|index| parts.get_mut(index))
        {
            *part = text(value);
        }
    }
    let [class, scheme, host, port, path] = parts;
    if class.as_deref() != Some("MS-UC-Client") {
        return None;
    }
    let (port, path) = (port.unwrap_or_default(), path.unwrap_or_default());
    Some(format!("{}://{}:{port}{path}", scheme?, host?))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, datagrams, offers, only_registered_attributes, protocols, values,
    };
    use super::*;

    fn message(operation: u8, options: &[u8]) -> Vec<u8> {
        let mut bytes = vec![operation, 1, 6, 0, 1, 2, 3, 4];
        bytes.resize(16, 0);
        bytes.extend([192, 0, 2, 40]);
        bytes.resize(236, 0);
        bytes.extend(COOKIE.to_be_bytes());
        bytes.extend(options);
        bytes
    }

    fn option(code: u8, value: &[u8]) -> Vec<u8> {
        [&[code, u8::try_from(value.len()).unwrap()], value].concat()
    }

    fn acknowledgement() -> Vec<u8> {
        let vendor = [
            option(1, b"MS-UC-Client"),
            option(2, b"https"),
            option(3, b"lync.example.com"),
            option(4, b"443"),
            option(5, b"/CertProv/Service.svc"),
        ];
        let options = [
            option(53, &[5]),
            option(3, &[192, 0, 2, 1]),
            option(6, &[192, 0, 2, 53, 192, 0, 2, 54]),
            option(12, b"PHONE1"),
            option(15, b"example.com\0"),
            option(43, &vendor.concat()),
            option(120, b"\0\x04lync\x07example\x03com\0"),
            vec![255],
        ];
        message(2, &options.concat())
    }

    #[test]
    fn an_acknowledgement_tells_a_phone_its_servers() {
        let bytes = acknowledgement();
        let recorder = datagrams(&[(SERVER, &bytes)]);
        assert_eq!(protocols(&recorder), ["dhcp"]);
        for (attribute, expected) in [
            ("message", &["ack"][..]),
            ("host", &["PHONE1"]),
            ("domain", &["example.com"]),
            ("router", &["192.0.2.1"]),
            ("dns_server", &["192.0.2.53", "192.0.2.54"]),
            ("sip_server", &["lync.example.com"]),
            (
                "certificate_service",
                &["https://lync.example.com:443/CertProv/Service.svc"],
            ),
        ] {
            assert_eq!(values(&recorder, "dhcp", attribute), expected);
        }
        let offers = offers(&recorder);
        assert_eq!(offers.len(), 1);
        assert_eq!(offers[0].endpoint.to_string(), "192.0.2.40:0");
        let name = "phone1".into();
        assert_eq!(offers[0].offered, Offered::Host { name });
        only_registered_attributes(&recorder, &[&DHCP]);
        for length in 0..bytes.len() {
            datagrams(&[(SERVER, &bytes[..length])]);
        }
    }

    #[test]
    fn a_request_shows_its_class_and_full_name() {
        let options = [
            option(53, &[3]),
            option(60, b"CPE-OCPHONE"),
            option(81, b"\x04\0\0\x06phone2\x07example"),
            option(120, b"\x01\xc0\0\x02\x05"),
        ];
        let recorder = datagrams(&[(CLIENT, &message(1, &options.concat()))]);
        assert_eq!(recorder.client, Some(CLIENT));
        assert_eq!(values(&recorder, "dhcp", "message"), ["request"]);
        assert_eq!(values(&recorder, "dhcp", "vendor_class"), ["CPE-OCPHONE"]);
        assert_eq!(values(&recorder, "dhcp", "host"), ["phone2.example"]);
        assert_eq!(values(&recorder, "dhcp", "sip_server"), ["192.0.2.5"]);
        assert!(offers(&recorder).is_empty());
    }

    #[test]
    fn bootp_has_no_type_and_other_vendors_no_service() {
        let other = [option(1, b"other"), option(2, b"x"), option(3, b"y")].concat();
        let bytes = message(2, &option(43, &other));
        let recorder = datagrams(&[(SERVER, &bytes)]);
        assert_eq!(values(&recorder, "dhcp", "message"), ["bootp"]);
        assert!(values(&recorder, "dhcp", "certificate_service").is_empty());
        let mut old = message(1, &[0; 60]);
        old[28..34].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
        old[236..240].fill(0);
        assert_eq!(protocols(&datagrams(&[(CLIENT, &old)])), ["dhcp"]);
        old[40] = 1;
        assert!(protocols(&datagrams(&[(CLIENT, &old)])).is_empty());
    }

    #[test]
    fn a_wrong_cookie_or_option_is_refused() {
        for (at, value) in [(2, 17), (3, 17), (10, 1), (236, 0), (241, 200)] {
            let mut bytes = message(1, &option(53, &[1]));
            bytes[at] = value;
            assert!(
                protocols(&datagrams(&[(CLIENT, &bytes)])).is_empty(),
                "{at}"
            );
        }
    }
}
