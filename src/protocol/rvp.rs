//! RVP, the instant messaging of Exchange 2000 (draft-calsyn-rvp-01): HTTP with methods and fields of its own.
//!
//! Read from the heads of HTTP messages, which carry it. A subscriber names the URL at which it wants to be notified: the
//! server will open a connection to that port, so it becomes an offer. Principals are persons and are not kept.

use super::http::Fields;
use super::{About, Protocol};
use crate::evidence::{Notes, Offered};
use crate::net::{Endpoint, Transport};

/// The version of the notification protocol, as each side says it.
const VERSION: &str = "version";
/// The method of a request.
const METHOD: &str = "method";
/// What a subscription is for: `update/propchange`, `pragma/notify`.
const NOTIFICATION_TYPE: &str = "notification_type";
/// The port at which a subscriber wants to be notified.
const CALL_BACK_PORT: &str = "call_back_port";

/// Instant messaging over HTTP: no stream of its own.
pub(super) const RVP: Protocol = Protocol {
    name: NAME,
    about: About {
        title: "RVP instant messaging",
        sources: "draft-calsyn-rvp-01",
        reads: "Methods, version and kind of subscription in HTTP heads; the call-back URL becomes an offer.",
        proves: "An HTTP head with the version of RVP notifications, or one of its methods on a node of instant messaging.",
        limits: "Messages, presence and principals are not read.",
    },
    attributes: &[VERSION, METHOD, NOTIFICATION_TYPE, CALL_BACK_PORT],
    stream: None,
    datagram: None,
};

const NAME: &str = "rvp";
/// Where the nodes of instant messaging begin.
const ROOT: &str = "/instmsg/";
/// Methods, draft §6. Those of plain HTTP prove nothing.
const METHODS: &[&str] = &[
    "ACL",
    "NOTIFY",
    "PROPFIND",
    "PROPPATCH",
    "SUBSCRIBE",
    "SUBSCRIPTIONS",
    "UNSUBSCRIBE",
];

/// Notes what the head of an HTTP message says of RVP. `request` is its method and path.
pub(super) fn note(request: Option<(&str, &str)>, fields: &Fields<'_>, notes: &mut Notes<'_>) {
    let version = fields.text("rvp-notifications-version");
    let is_node = |(method, path): (&str, &str)| {
        let root = path.get(..ROOT.len());
        root.is_some_and(|root| root.eq_ignore_ascii_case(ROOT)) && METHODS.contains(&method)
    };
    if version.is_none() && !request.is_some_and(is_node) {
        return;
    }
    let mut notes = notes.inside(NAME);
    notes.proved();
    notes.text(VERSION, &version.unwrap_or_default());
    let Some((method, _)) = request else {
        return;
    };
    notes.text(METHOD, method);
    let kind = fields.text("notification-type").unwrap_or_default();
    notes.text(NOTIFICATION_TYPE, &kind);
    let call_back = fields.text("call-back").unwrap_or_default();
    if let Some((host, port)) = endpoint(&call_back) {
        notes.number(CALL_BACK_PORT, u64::from(port));
        // A name is that of the subscriber, who sends this.
        let address = host.parse().unwrap_or(notes.sender().address);
        let offered = Offered::Protocol {
            protocol: NAME,
            name: Box::default(),
        };
        notes.offer(Transport::TCP, Endpoint::new(address, port), offered);
    }
}

/// Host and port of an `http` URL that names a port.
fn endpoint(url: &str) -> Option<(&str, u16)> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split('/').next()?;
    let (host, port) = authority.rsplit_once(':')?;
    let port = port.parse().ok().filter(|&port| port != 0)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    scheme.eq_ignore_ascii_case("http").then_some((host, port))
}

/// A path without the name of the person whose node it is.
pub(super) fn without_alias(path: &str) -> &str {
    const ALIASES: &str = "/instmsg/aliases/";
    let lower = path.to_ascii_lowercase();
    match lower.find(ALIASES) {
        Some(at) => path.get(..at.saturating_add(ALIASES.len())).unwrap_or(path),
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Side;
    use crate::protocol::http;
    use crate::protocol::testing::{
        CLIENT as C, SERVER as S, conversation, offers, only_registered_attributes, protocols,
        survives_every_cut, values,
    };

    const SUBSCRIBE: &[u8] = b"SUBSCRIBE /instmsg/aliases/anna HTTP/1.1\r\nHost: im.example\r\n\
        RVP-Notifications-Version: 0.2\r\nRVP-From-Principal: http://im.example/instmsg/aliases/bert\r\n\
        Notification-Type: pragma/notify\r\nCall-Back: http://pc1.example:2980/\r\nContent-Length: 0\r\n\r\n";
    const DONE: &[u8] =
        b"HTTP/1.1 200 Successful\r\nRVP-Notifications-Version: 0.2\r\nContent-Length: 0\r\n\r\n";

    #[test]
    fn a_subscription_offers_the_port_that_will_be_called() {
        let segments: [(Side, &[u8]); 2] = [(C, SUBSCRIBE), (S, DONE)];
        let recorder = conversation(&segments);
        let of = |name| values(&recorder, "rvp", name);
        assert_eq!(protocols(&recorder), ["http", "rvp"]);
        assert_eq!(of("version"), ["0.2", "0.2"]);
        assert_eq!(of("method"), ["SUBSCRIBE"]);
        assert_eq!(of("notification_type"), ["pragma/notify"]);
        assert_eq!(of("call_back_port"), ["2980"]);
        let offered = offers(&recorder);
        assert_eq!(offered.len(), 1);
        assert_eq!(offered[0].endpoint.to_string(), "10.0.0.1:2980");
        assert!(matches!(
            offered[0].offered,
            Offered::Protocol {
                protocol: "rvp",
                ..
            }
        ));
        let facts = format!("{:?}", recorder.facts);
        assert!(!facts.contains("anna") && !facts.contains("bert"));
        only_registered_attributes(&recorder, &[&RVP, &http::HTTP]);
        survives_every_cut(&segments);
    }

    #[test]
    fn an_address_in_the_url_is_what_will_be_called() {
        let text = String::from_utf8_lossy(SUBSCRIBE).replace("pc1.example", "192.0.2.5");
        let recorder = conversation(&[(C, text.as_bytes())]);
        assert_eq!(offers(&recorder)[0].endpoint.to_string(), "192.0.2.5:2980");
        let text = String::from_utf8_lossy(SUBSCRIBE).replace("pc1.example:2980", "pc1.example");
        assert!(offers(&conversation(&[(C, text.as_bytes())])).is_empty());
    }

    #[test]
    fn events_of_other_protocols_are_not_rvp() {
        for other in [
            &b"SUBSCRIBE /events HTTP/1.1\r\nCALLBACK: <http://192.0.2.5:2980/>\r\nNT: upnp:event\r\n\r\n"[..],
            b"GET /instmsg/about.html HTTP/1.1\r\nHost: a\r\n\r\n",
            b"PROPFIND /webdav/ HTTP/1.1\r\nCall-Back: http://a:1\r\n\r\n",
        ] {
            assert_eq!(protocols(&conversation(&[(C, other)])), ["http"]);
        }
    }
}
