//! DHCP for IPv6 (RFC 8415): clients, servers and relays.
//!
//! Identifiers of clients and their addresses are not kept.

use std::net::IpAddr;

use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject, dns};
use crate::bytes::Cursor;
use crate::evidence::{Notes, Value};

/// `solicit`, `advertise`, `request` ...
const MESSAGE: &str = "message";
/// Full name of the client (RFC 4704).
const HOST: &str = "host";
/// A DNS server that the client is told (RFC 3646).
const DNS_SERVER: &str = "dns_server";
/// A SIP server that the client is told: a name or an address (RFC 3319).
const SIP_SERVER: &str = "sip_server";

/// Dynamic configuration of IPv6 hosts.
pub(super) const DHCPV6: Protocol = Protocol {
    name: "dhcpv6",
    about: About {
        title: "Dynamic Host Configuration Protocol for IPv6",
        sources: "RFC 8415, RFC 3319, RFC 3646, RFC 4704",
        reads: "Type, the client's name, DNS and SIP servers; through relays as well.",
        proves: "A known type and options to the end, among them those that the type must have.",
        limits: "Identifiers and addresses of clients are not kept.",
    },
    attributes: &[MESSAGE, HOST, DNS_SERVER, SIP_SERVER],
    stream: None,
    datagram: Some(DatagramEntry {
        first_byte: |byte| matches!(byte, 1..=RELAY_REPLY),
        start: || Box::new(Hosts),
    }),
};

const RELAY_FORWARD: u8 = 12;
const RELAY_REPLY: u8 = 13;
/// Relays upon each other (RFC 8415 section 7.6, HOP_COUNT_LIMIT).
const MAX_RELAYS: u8 = 8;
/// Names of one option: a site has a few servers. Compressed names may be long on two octets each.
const MAX_NAMES: u8 = 32;
/// Options assigned by IANA end below.
const MAX_OPTION: u16 = 160;

crate::open_enum! {
    /// Types of messages, RFC 8415 section 7.3.
    struct Message(u8) {
        /// A client looks for servers.
        SOLICIT = 1 => "solicit",
        /// A server answers.
        ADVERTISE = 2 => "advertise",
        /// A client asks one server.
        REQUEST = 3 => "request",
        /// Are my addresses right here?
        CONFIRM = 4 => "confirm",
        /// A client renews.
        RENEW = 5 => "renew",
        /// A client renews with whoever hears.
        REBIND = 6 => "rebind",
        /// A server's last word.
        REPLY = 7 => "reply",
        /// A client gives up.
        RELEASE = 8 => "release",
        /// The address is in use.
        DECLINE = 9 => "decline",
        /// The client shall ask anew.
        RECONFIGURE = 10 => "reconfigure",
        /// A client with an address asks for the rest.
        INFORMATION = 11 => "information_request",
        /// A relay's message to a server.
        FORWARD = 12 => "relay_forward",
        /// A server's message to a relay.
        RELAY_REPLY = 13 => "relay_reply",
    }
}

struct Hosts;

impl DatagramDecoder for Hosts {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let mut bytes = datagram.bytes;
        let is_cut = datagram.is_cut();
        for _ in 0..=MAX_RELAYS {
            match options(bytes, is_cut, notes)? {
                Some(relayed) => bytes = relayed,
                None => {
                    notes.proved();
                    let from_server = matches!(datagram.bytes.first(), Some(2 | 7 | 10 | 13));
                    let side = notes.side();
                    notes.client(if from_server { side.other() } else { side });
                    return Ok(());
                }
            }
        }
        Err(Reject::Invalid("relays"))
    }
}

/// Reads one message; the one inside, where it is a relay's.
fn options<'a>(
    bytes: &'a [u8],
    is_cut: bool,
    notes: &mut Notes<'_>,
) -> Result<Option<&'a [u8]>, Reject> {
    let mut cursor = Cursor::new(bytes);
    let kind = cursor.u8()?;
    let is_relay = matches!(kind, RELAY_FORWARD | RELAY_REPLY);
    if !(1..=RELAY_REPLY).contains(&kind) {
        return Err(Reject::Other);
    }
    // A transaction, or hops and two addresses.
    cursor.skip(if is_relay { 33 } else { 3 })?;
    notes.text(MESSAGE, &Message(kind).to_string());
    let mut relayed = None;
    let mut proof = false;
    while !cursor.is_empty() {
        let option = cursor
            .u16()
            .and_then(|code| Ok((code, cursor.u16()?)))
            .and_then(|(code, length)| Ok((code, cursor.take(usize::from(length))?)));
        let (code, value) = match option {
            Ok(option) => option,
            Err(_) if is_cut && proof => break,
            Err(short) => return Err(short.into()),
        };
        if code == 0 || code > MAX_OPTION {
            return Err(Reject::Invalid("option"));
        }
        match code {
            // Identifiers of client and server (RFC 8415 section 11): 1 to 4, then what identifies.
            1 | 2 => {
                if !matches!(value, [0, 1..=4, _, _, ..]) {
                    return Err(Reject::Invalid("identifier"));
                }
                proof = true;
            }
            // A client that wants to stay unknown asks without (RFC 7844): then its time must be there.
            8 => {
                if value.len() != 2 {
                    return Err(Reject::Invalid("elapsed time"));
                }
                proof |= kind == Message::INFORMATION.0;
            }
            9 => relayed = Some(value),
            21 => names(SIP_SERVER, value, notes),
            22 => addresses(SIP_SERVER, value, notes),
            23 => addresses(DNS_SERVER, value, notes),
            39 => names(HOST, value.get(1..).unwrap_or_default(), notes),
            _ => {}
        }
    }
    match (is_relay, relayed) {
        (true, Some(inside)) => Ok(Some(inside)),
        (false, None) if proof => Ok(None),
        _ => Err(Reject::Other),
    }
}

fn addresses(attribute: &'static str, list: &[u8], notes: &mut Notes<'_>) {
    let (list, _) = list.as_chunks::<16>();
    for &address in list {
        notes.value(attribute, Value::Address(IpAddr::from(address)));
    }
}

/// Names in DNS form, the last of which may lack its zero (RFC 4704 section 4.2).
fn names(attribute: &'static str, list: &[u8], notes: &mut Notes<'_>) {
    let whole = [list, &[0]].concat();
    let mut at = 0;
    for _ in 0..MAX_NAMES {
        let Ok((name, behind)) = dns::read_name(&whole, at) else {
            return;
        };
        if at >= list.len() || behind <= at {
            return;
        }
        notes.text(attribute, &name);
        at = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, datagrams, only_registered_attributes, protocols, values,
    };
    use super::*;

    const SOLICIT: &[u8] = b"\x01\xab\xcd\xef\0\x01\0\x0a\0\x03\0\x01\x02\0\0\0\0\x01\0\x08\0\x02\0\0\0\x27\0\x07\0\x05phone";

    fn reply() -> Vec<u8> {
        let dns = "2001:db8::53".parse::<std::net::Ipv6Addr>().unwrap();
        let sip = "2001:db8::5".parse::<std::net::Ipv6Addr>().unwrap();
        [
            &b"\x07\xab\xcd\xef\0\x02\0\x0a\0\x03\0\x01\x02\0\0\0\0\x09\0\x17\0\x10"[..],
            &dns.octets(),
            b"\0\x16\0\x10",
            &sip.octets(),
            b"\0\x15\0\x0e\x04lync\x07example\0",
        ]
        .concat()
    }

    #[test]
    fn a_client_and_its_server_are_read() {
        let recorder = datagrams(&[(CLIENT, SOLICIT), (SERVER, &reply())]);
        assert_eq!(protocols(&recorder), ["dhcpv6"]);
        assert_eq!(values(&recorder, "dhcpv6", "message"), ["reply", "solicit"]);
        assert_eq!(values(&recorder, "dhcpv6", "host"), ["phone"]);
        assert_eq!(values(&recorder, "dhcpv6", "dns_server"), ["2001:db8::53"]);
        let servers = values(&recorder, "dhcpv6", "sip_server");
        assert_eq!(servers, ["lync.example", "2001:db8::5"]);
        assert_eq!(recorder.client, Some(CLIENT));
        only_registered_attributes(&recorder, &[&DHCPV6]);
    }

    #[test]
    fn a_relayed_message_is_read() {
        let length = u8::try_from(SOLICIT.len()).unwrap();
        let relay = [&[12, 0][..], &[0; 32], &[0, 9, 0, length], SOLICIT].concat();
        let recorder = datagrams(&[(CLIENT, &relay)]);
        let messages = values(&recorder, "dhcpv6", "message");
        assert_eq!(messages, ["relay_forward", "solicit"]);
        for length in 0..relay.len() {
            let found = protocols(&datagrams(&[(CLIENT, &relay[..length])]));
            assert!(found.is_empty(), "{length} {found:?}");
        }
    }

    #[test]
    fn an_information_request_may_hide_its_client() {
        let hidden = b"\x0b\x01\x02\x03\0\x08\0\x02\0\0\0\x06\0\x02\0\x17";
        assert_eq!(protocols(&datagrams(&[(CLIENT, hidden)])), ["dhcpv6"]);
    }

    #[test]
    fn names_of_one_option_are_few() {
        let names: Vec<u8> = (0..60)
            .flat_map(|n| [2, b'a' + n / 26, b'a' + n % 26, 0])
            .collect();
        let start = b"\x07\xab\xcd\xef\0\x02\0\x0a\0\x03\0\x01\x02\0\0\0\0\x09\0\x15\0\xf0";
        let recorder = datagrams(&[(SERVER, &[&start[..], &names].concat())]);
        let found = values(&recorder, "dhcpv6", "sip_server");
        assert_eq!(found.len(), usize::from(MAX_NAMES));
    }

    #[test]
    fn wrong_options_are_refused() {
        for (at, value) in [(0, 14), (4, 9), (5, 0), (7, 200), (8, 1), (9, 9)] {
            let mut bytes = SOLICIT.to_vec();
            bytes[at] = value;
            assert!(
                protocols(&datagrams(&[(CLIENT, &bytes)])).is_empty(),
                "{at}"
            );
        }
        let bare = b"\x01\xab\xcd\xef\0\x08\0\x02\0\0";
        assert!(protocols(&datagrams(&[(CLIENT, bare)])).is_empty());
    }
}
