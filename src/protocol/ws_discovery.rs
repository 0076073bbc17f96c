//! Web Services Dynamic Discovery (WS-Discovery 1.0 and 1.1): who looks for devices and services, over UDP.
//!
//! Reads the action of each message; names and addresses inside are not kept. Proof is an envelope in XML with an action of the
//! discovery namespace.

use memchr::memmem;

use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject};
use crate::evidence::Notes;

/// `probe`, `probe_matches`, `resolve`, `resolve_matches`, `hello` or `bye`.
const MESSAGE: &str = "message";

/// Discovery of devices.
pub(super) const WS_DISCOVERY: Protocol = Protocol {
    name: "ws_discovery",
    about: About {
        title: "Web Services Dynamic Discovery",
        sources: "WS-Discovery (April 2005) section 4, OASIS WS-Discovery 1.1, SOAP over UDP",
        reads: "The action of each message.",
        proves: "An envelope in XML with an action of the discovery namespace.",
        limits: "Types, names and addresses of devices are not kept.",
    },
    attributes: &[MESSAGE],
    stream: None,
    datagram: Some(DatagramEntry {
        first_byte: |byte| matches!(byte, b'<' | 0xef),
        start: || Box::new(Messages),
    }),
};

/// How an envelope may begin: with or without a byte order mark and a declaration.
const BEGINNINGS: [&[u8]; 3] = [b"<?xml ", b"\xef\xbb\xbf<", b"<"];
const NAMESPACES: [&[u8]; 2] = [
    b"http://schemas.xmlsoap.org/ws/2005/04/discovery/",
    b"http://docs.oasis-open.org/ws-dd/ns/discovery/2009/01/",
];
const ACTIONS: [(&[u8], &str); 6] = [
    (b"ProbeMatches", "probe_matches"),
    (b"Probe", "probe"),
    (b"ResolveMatches", "resolve_matches"),
    (b"Resolve", "resolve"),
    (b"Hello", "hello"),
    (b"Bye", "bye"),
];

struct Messages;

impl DatagramDecoder for Messages {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let text = datagram.bytes;
        let is_xml = BEGINNINGS.iter().any(|start| text.starts_with(start));
        if !is_xml || memmem::find(text, b"Envelope").is_none() {
            return Err(Reject::Other);
        }
        notes.text(MESSAGE, action(text).ok_or(Reject::Other)?);
        notes.proved();
        Ok(())
    }
}

/// The action, which is the only text that goes on behind the namespace.
fn action(text: &[u8]) -> Option<&'static str> {
    NAMESPACES.iter().find_map(|namespace| {
        let at = memmem::find(text, namespace)?;
        let rest = text.get(at..)?.strip_prefix(*namespace)?;
        let is_named = |(name, _): &&(&[u8], _)| {
            let end = rest.strip_prefix(*name).and_then(<[u8]>::first);
            end.is_some_and(|end| matches!(end, b'<' | b'"' | b' ' | b'\r' | b'\n'))
        };
        ACTIONS.iter().find(is_named).map(|(_, action)| *action)
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, datagrams, only_registered_attributes, protocols, values,
    };
    use super::*;

    fn envelope(namespace: &str, action: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"x\" xmlns:d=\"{namespace}\"><s:Header>\
             <a:Action>{namespace}/{action}</a:Action></s:Header></s:Envelope>"
        )
    }

    const OLD: &str = "http://schemas.xmlsoap.org/ws/2005/04/discovery";
    const NEW: &str = "http://docs.oasis-open.org/ws-dd/ns/discovery/2009/01";

    #[test]
    fn actions_of_both_versions_are_read() {
        let (probe, matches) = (envelope(OLD, "Probe"), envelope(NEW, "ProbeMatches"));
        let recorder = datagrams(&[(CLIENT, probe.as_bytes()), (SERVER, matches.as_bytes())]);
        assert_eq!(protocols(&recorder), ["ws_discovery"]);
        assert_eq!(
            values(&recorder, "ws_discovery", "message"),
            ["probe", "probe_matches"]
        );
        only_registered_attributes(&recorder, &[&WS_DISCOVERY]);
        for length in 0..probe.len() {
            datagrams(&[(CLIENT, &probe.as_bytes()[..length])]);
        }
    }

    #[test]
    fn other_namespaces_and_actions_are_refused() {
        for text in [
            envelope("http://schemas.example.com/discovery", "Probe"),
            envelope(OLD, "Prober"),
            envelope(OLD, "Sing"),
            format!("{OLD}/Probe<"),
            format!("<html>{OLD}/Probe<"),
        ] {
            assert!(protocols(&datagrams(&[(CLIENT, text.as_bytes())])).is_empty());
        }
    }
}
