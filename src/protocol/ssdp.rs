//! Simple Service Discovery Protocol (UPnP Device Architecture 2.0, chapter 1): who looks for devices, and who is one.
//!
//! Messages have the form of HTTP heads in datagrams: `M-SEARCH *` and `NOTIFY *` to a group, and answers to a search. Each
//! kind has fields that no other use of the form has; only with them it is proved. Events over multicast (chapter 4) and
//! everything over TCP are left alone.

use super::http::Fields;
use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject};
use crate::evidence::Notes;
use crate::protocol::text::{begins, first_line};

/// `search`, `response`, `alive`, `byebye` or `update`.
const MESSAGE: &str = "message";
/// What is looked for or announced: a type of device or service, or one device.
const TARGET: &str = "target";
/// Where the device describes itself.
const LOCATION: &str = "location";
/// The software of a device.
const SERVER: &str = "server";
/// The software that searches.
const USER_AGENT: &str = "user_agent";

/// Discovery of UPnP devices.
pub(super) const SSDP: Protocol = Protocol {
    name: "ssdp",
    about: About {
        title: "Simple Service Discovery Protocol",
        sources: "UPnP Device Architecture 2.0 chapter 1, draft-cai-ssdp-v1-03",
        reads: "Searches, their answers and announcements: target, location, software.",
        proves: "The first line of a message with the fields that its kind must have.",
        limits: "Descriptions of devices and events are not read.",
    },
    attributes: &[MESSAGE, TARGET, LOCATION, SERVER, USER_AGENT],
    stream: None,
    datagram: Some(DatagramEntry {
        first_byte: |byte| matches!(byte, b'M' | b'N' | b'H'),
        start: || Box::new(Messages),
    }),
};

struct Messages;

impl DatagramDecoder for Messages {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let (line, end) = first_line(datagram.bytes).ok_or(Reject::Other)?;
        let rest = datagram.bytes.get(end..).unwrap_or_default();
        let fields = Fields::parse(rest);
        if datagram.is_cut() && !rest.windows(4).any(|end| end == b"\r\n\r\n") {
            return cut(line, rest, &fields, notes);
        }
        let (message, target) = match line {
            b"M-SEARCH * HTTP/1.1" => {
                // Some send it without its quotation marks.
                let man = fields.text("man").ok_or(Reject::Other)?;
                if man.trim_matches('"') != "ssdp:discover" {
                    return Err(Reject::Other);
                }
                notes.client(notes.side());
                ("search", fields.text("st"))
            }
            b"NOTIFY * HTTP/1.1" => {
                let message = match &*fields.text("nts").ok_or(Reject::Other)? {
                    "ssdp:alive" => "alive",
                    "ssdp:byebye" => "byebye",
                    "ssdp:update" => "update",
                    _ => return Err(Reject::Other),
                };
                (message, fields.text("usn").and(fields.text("nt")))
            }
            line if line.starts_with(b"HTTP/1.1 200") => {
                notes.client(notes.side().other());
                ("response", fields.text("usn").and(fields.text("st")))
            }
            _ => return Err(Reject::Other),
        };
        let target = target.ok_or(Reject::Other)?;
        notes.proved();
        notes.text(MESSAGE, message);
        notes.text(TARGET, &target);
        for (name, field) in [
            (LOCATION, "location"),
            (SERVER, "server"),
            (USER_AGENT, "user-agent"),
        ] {
            notes.text(name, &fields.text(field).unwrap_or_default());
        }
        Ok(())
    }
}

/// The group that messages are sent to, UPnP Device Architecture 2.0 section 1.1 and appendix A.2.
const GROUPS: [&[u8]; 4] = [b" 239.255.255.250", b"239.255.255.250", b" [FF0", b"[FF0"];

/// A message that the capture cuts before its fields end: the method that only discovery has, a notification that names the
/// group first, or a field of an answer that nobody else sends.
fn cut(line: &[u8], rest: &[u8], fields: &Fields<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
    let to_group = begins(rest, b"HOST:")
        && GROUPS
            .iter()
            .any(|group| begins(rest.get(5..).unwrap_or_default(), group));
    let discovers = fields
        .text("man")
        .is_none_or(|man| man.trim_matches('"') == "ssdp:discover");
    match line {
        b"M-SEARCH * HTTP/1.1" if discovers => notes.client(notes.side()),
        b"NOTIFY * HTTP/1.1" if to_group => {}
        line if line.starts_with(b"HTTP/1.1 200")
            && (fields.get("ext").is_some() || fields.text("usn").is_some()) =>
        {
            notes.client(notes.side().other());
        }
        _ => return Err(Reject::Other),
    }
    notes.proved();
    for (name, field) in [(LOCATION, "location"), (SERVER, "server")] {
        notes.text(name, &fields.text(field).unwrap_or_default());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::testing::{
        CLIENT as C, SERVER as S, datagrams, only_registered_attributes, protocols, values,
    };

    const SEARCH: &[u8] =
        b"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\n\
        ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\nUSER-AGENT: Test/1.0\r\n\r\n";
    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=1800\r\nEXT:\r\n\
        LOCATION: http://192.0.2.1:5000/root.xml\r\nSERVER: Box/2 UPnP/1.0\r\nST: upnp:rootdevice\r\n\
        USN: uuid:1::upnp:rootdevice\r\n\r\n";
    const ALIVE: &[u8] =
        b"NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nlOCATION: http://192.0.2.1/a\r\n\
        NT: upnp:rootdevice\r\nNTS: ssdp:alive\r\nUSN: uuid:1::upnp:rootdevice\r\n\r\n";

    #[test]
    fn a_search_and_its_answer_are_read() {
        let recorder = datagrams(&[(C, SEARCH), (S, ANSWER)]);
        let of = |name| values(&recorder, "ssdp", name);
        assert_eq!(protocols(&recorder), ["ssdp"]);
        assert_eq!(recorder.client, Some(C));
        assert_eq!(of("message"), ["response", "search"]);
        assert_eq!(
            of("target"),
            [
                "upnp:rootdevice",
                "urn:schemas-upnp-org:device:InternetGatewayDevice:1"
            ]
        );
        assert_eq!(of("location"), ["http://192.0.2.1:5000/root.xml"]);
        assert_eq!(of("server"), ["Box/2 UPnP/1.0"]);
        assert_eq!(of("user_agent"), ["Test/1.0"]);
        only_registered_attributes(&recorder, &[&SSDP]);
    }

    #[test]
    fn announcements_are_told_apart() {
        let leaves = String::from_utf8_lossy(ALIVE).replace("alive", "byebye");
        let changes = String::from_utf8_lossy(ALIVE).replace("alive", "update");
        let recorder = datagrams(&[(S, ALIVE), (S, leaves.as_bytes()), (S, changes.as_bytes())]);
        assert_eq!(
            values(&recorder, "ssdp", "message"),
            ["alive", "byebye", "update"]
        );
        assert_eq!(recorder.client, None);
    }

    #[test]
    fn prefixes_prove_it_only_with_the_fields_of_their_kind() {
        for message in [SEARCH, ANSWER, ALIVE] {
            for length in 0..message.len() {
                let cut = &message[..length];
                let text = String::from_utf8_lossy(cut);
                let whole = |name: &str| {
                    text.split_once(name)
                        .is_some_and(|(_, rest)| rest.contains("\r\n"))
                };
                let fields = [["ST: ", "MAN: "], ["ST: ", "USN: "], ["NTS: ", "USN: "]];
                let expected = fields
                    .iter()
                    .any(|pair| pair.iter().all(|name| whole(name)));
                let found = !protocols(&datagrams(&[(C, cut)])).is_empty();
                assert!(!found || expected, "{text}");
            }
            let mut padded = message.to_vec();
            padded.push(0);
            assert_eq!(protocols(&datagrams(&[(C, &padded)])), ["ssdp"]);
        }
    }

    #[test]
    fn other_heads_in_datagrams_are_refused() {
        for other in [
            &b"GET / HTTP/1.1\r\nST: a\r\nMAN: \"ssdp:discover\"\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 0\r\n\r\n",
            b"NOTIFY * HTTP/1.0\r\nNT: upnp:event\r\nNTS: upnp:propchange\r\nUSN: x\r\n\r\n",
            b"NOTIFY sip:a@b.example SIP/2.0\r\nNTS: ssdp:alive\r\nNT: a\r\nUSN: b\r\n\r\n",
            b"M-SEARCH * HTTP/1.1\r\nMAN: \"other:discover\"\r\nST: a\r\n\r\n",
        ] {
            assert!(!protocols(&datagrams(&[(C, other)])).contains(&"ssdp"));
        }
    }

    #[test]
    fn messages_that_are_cut_before_their_fields_end_are_known_by_what_is_there() {
        use crate::protocol::testing::cut_datagram;
        for cut in [
            &b"M-SEARCH * HTTP/1.1\r\nHOST: 239.2"[..],
            b"NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nCACHE",
            b"NOTIFY * HTTP/1.1\r\nHost:[FF02::C]:1900\r\nCAC",
            b"HTTP/1.1 200 OK\r\nEXT:\r\nLOCATION: http://192",
        ] {
            let shown = String::from_utf8_lossy(cut);
            assert_eq!(protocols(&cut_datagram(cut, 300)), ["ssdp"], "{shown}");
            assert!(protocols(&datagrams(&[(C, cut)])).is_empty(), "{shown}");
        }
        for other in [
            &b"M-SEARCH * HTTP/1.1\r\nMAN: \"other:discover\"\r\nS"[..],
            b"NOTIFY * HTTP/1.1\r\nHOST: 192.0.2.1:1900\r\nCACHE",
            b"HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=1",
        ] {
            let shown = String::from_utf8_lossy(other);
            assert!(protocols(&cut_datagram(other, 300)).is_empty(), "{shown}");
        }
    }
}
