//! The resolution protocol of SQL Server (MC-SQLR): which instances a machine has, and on which ports.
//!
//! Answers prove it and offer the ports; requests are one octet, or little more, and are believed once they are answered.

use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject};
use crate::bytes::Cursor;
use crate::evidence::{Notes, Offered};
use crate::net::{Endpoint, Transport};

/// Name of the machine.
const SERVER: &str = "server";
/// Name of an instance, asked for or listed.
const INSTANCE: &str = "instance";
/// Version of an instance.
const VERSION: &str = "version";

/// SQL Server's browser.
pub(super) const SQL_BROWSER: Protocol = Protocol {
    name: "sql_browser",
    about: About {
        title: "SQL Server Resolution Protocol",
        sources: "MC-SQLR sections 2.2.1 to 2.2.6",
        reads: "Machine, instances and their versions; the TCP port of each instance is offered for TDS.",
        proves: "A list of instances of stated length, or the answer to a request for an administrator's port.",
        limits: "A request without an answer is too short to prove anything.",
    },
    attributes: &[SERVER, INSTANCE, VERSION],
    stream: None,
    datagram: Some(DatagramEntry {
        first_byte: |byte| matches!(byte, BROADCAST..=RESPONSE | ADMINISTRATOR),
        start: || Box::<Browser>::default(),
    }),
};

/// Requests: to all machines, to one, for an instance, for the administrator's port of an instance; and the answer.
const BROADCAST: u8 = 2;
const UNICAST: u8 = 3;
const NAMED: u8 = 4;
const RESPONSE: u8 = 5;
const ADMINISTRATOR: u8 = 0xf;
/// Octets of an answer with an administrator's port.
const ADMINISTRATOR_ANSWER: usize = 6;
/// Characters of an instance's name (MC-SQLR section 2.2.3).
const MAX_NAME: usize = 32;
/// What is spoken at the ports.
const TDS: &str = "tds";

/// What a client asked for, until it is answered.
#[derive(Default)]
struct Browser {
    asked: Option<Request>,
}

enum Request {
    List,
    Instance(String),
    Administrator(String),
}

impl DatagramDecoder for Browser {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let mut cursor = Cursor::new(datagram.bytes);
        match cursor.u8()? {
            RESPONSE => {
                let length = usize::from(cursor.u16_le()?);
                // The size of an administrator's port counts the whole answer (MC-SQLR section 2.2.6).
                let fits = length == datagram.wire_len.saturating_sub(3)
                    || (length == datagram.wire_len && length == ADMINISTRATOR_ANSWER);
                if !fits {
                    return Err(Reject::Other);
                }
                self.answered(cursor.rest(), notes)
            }
            kind => {
                self.asked = Some(request(kind, cursor.rest())?);
                Ok(())
            }
        }
    }
}

fn request(kind: u8, rest: &[u8]) -> Result<Request, Reject> {
    match (kind, rest) {
        (BROADCAST | UNICAST, []) => Ok(Request::List),
        (NAMED, name) => instance(name).map(Request::Instance),
        (ADMINISTRATOR, [1, name @ ..]) => instance(name).map(Request::Administrator),
        _ => Err(Reject::Other),
    }
}

/// A name with the zero that ends it, and the datagram.
fn instance(name: &[u8]) -> Result<String, Reject> {
    let name = name.strip_suffix(b"\0").ok_or(Reject::Other)?;
    let is_name = (1..=MAX_NAME).contains(&name.len()) && !name.iter().any(u8::is_ascii_control);
    if !is_name {
        return Err(Reject::Other);
    }
    Ok(String::from_utf8_lossy(name).into_owned())
}

impl Browser {
    fn answered(&mut self, answer: &[u8], notes: &mut Notes<'_>) -> Result<(), Reject> {
        let sender = notes.sender();
        let offer = |notes: &mut Notes<'_>, port: u16, name: &str| {
            let offered = Offered::Protocol {
                protocol: TDS,
                name: name.into(),
            };
            let endpoint = Endpoint::new(sender.address, port);
            notes.offer(Transport::TCP, endpoint, offered);
        };
        match (&self.asked, answer) {
            // Version 1, and a port.
            (Some(Request::Administrator(name)), &[1, low, high]) => {
                offer(notes, u16::from_le_bytes([low, high]), name);
            }
            (asked, list) => {
                if !list.starts_with(b"ServerName;") {
                    return Err(Reject::Other);
                }
                if let Some(Request::Instance(name)) = asked {
                    notes.text(INSTANCE, name);
                }
                // An instance ends with two semicolons; names are pairs with what follows them.
                let list = String::from_utf8_lossy(list);
                for entry in list.split(";;").filter(|entry| !entry.is_empty()) {
                    let mut name = "";
                    let mut words = entry.split(';');
                    while let (Some(key), Some(value)) = (words.next(), words.next()) {
                        match key {
                            "ServerName" => notes.text(SERVER, value),
                            "InstanceName" => {
                                name = value;
                                notes.text(INSTANCE, value);
                            }
                            "Version" => notes.text(VERSION, value),
                            "tcp" => {
                                if let Some(port) = value.parse().ok().filter(|&port| port > 0) {
                                    offer(notes, port, name);
                                }
                            }
                            _ => {}
                        }
                    }
                }
            }
        }
        notes.proved();
        notes.client(notes.side().other());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER as B, datagrams, offers, only_registered_attributes, protocols, values,
    };
    use super::*;

    const LIST: &[u8] = b"ServerName;SQL1;InstanceName;RTC;IsClustered;No;Version;10.50.2500.0;tcp;49321;np;\\\\SQL1\\pipe\\q;;ServerName;SQL1;InstanceName;RTCLOCAL;IsClustered;No;Version;11.0.2100.60;tcp;49400;;";

    fn answer(list: &[u8]) -> Vec<u8> {
        let length = u16::try_from(list.len()).unwrap();
        [&[5], &length.to_le_bytes()[..], list].concat()
    }

    fn offered(recorder: &crate::evidence::Recorder) -> Vec<(String, String)> {
        let shown = |offer: &crate::evidence::Offer| {
            let Offered::Protocol { protocol, name } = &offer.offered else {
                panic!("{offer:?}");
            };
            (offer.endpoint.to_string(), format!("{protocol} {name}"))
        };
        offers(recorder).iter().map(shown).collect()
    }

    #[test]
    fn a_list_offers_each_instance() {
        let recorder = datagrams(&[(CLIENT, &[3]), (B, &answer(LIST))]);
        assert_eq!(protocols(&recorder), ["sql_browser"]);
        assert_eq!(recorder.client, Some(CLIENT));
        assert_eq!(values(&recorder, "sql_browser", "server"), ["SQL1"]);
        let instances = values(&recorder, "sql_browser", "instance");
        assert_eq!(instances, ["RTC", "RTCLOCAL"]);
        let versions = values(&recorder, "sql_browser", "version");
        assert_eq!(versions, ["10.50.2500.0", "11.0.2100.60"]);
        let expected = [
            ("10.0.0.2:49321", "tds RTC"),
            ("10.0.0.2:49400", "tds RTCLOCAL"),
        ];
        assert_eq!(
            offered(&recorder),
            expected.map(|(at, what)| (at.to_owned(), what.to_owned()))
        );
        only_registered_attributes(&recorder, &[&SQL_BROWSER]);
    }

    #[test]
    fn an_administrators_port_is_believed_when_it_was_asked_for() {
        let port = [5, 6, 0, 1, 0x9a, 5];
        assert!(protocols(&datagrams(&[(B, &port)])).is_empty());
        let asked = b"\x0f\x01RTC\0";
        let recorder = datagrams(&[(CLIENT, asked), (B, &port)]);
        assert_eq!(
            offered(&recorder),
            [("10.0.0.2:1434".to_owned(), "tds RTC".to_owned())]
        );
    }

    #[test]
    fn requests_alone_wrong_sizes_and_other_lists_prove_nothing() {
        let mut wrong = answer(LIST);
        wrong[1] = wrong[1].wrapping_add(1);
        let other = answer(b"InstanceName;RTC;;");
        for bytes in [
            &[2][..],
            &[3],
            b"\x04RTC\0",
            b"\x0f\x01RTC\0",
            &wrong,
            &other,
            b"\x05",
        ] {
            assert!(protocols(&datagrams(&[(CLIENT, bytes)])).is_empty());
        }
        let whole = answer(LIST);
        for length in 0..whole.len() {
            assert!(protocols(&datagrams(&[(B, &whole[..length])])).is_empty());
        }
    }
}
