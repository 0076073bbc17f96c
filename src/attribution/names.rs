//! Names of addresses, by what says them.
//!
//! A name comes from the host itself, from another host, or from the machine that recorded the capture, and says so: what one
//! host claims of another is never shown as if it were known. Of several sources the one in front of [`NameSource`] stands;
//! of several names of one source the first by packet time. Names never decide a verdict.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::flow::Flow;
use crate::evidence::{Ledger, Offered, Sorted, Value};
use crate::net::{Side, Timestamp};
use crate::signature::vocabulary::vocabulary;

vocabulary! {
    /// What names an address, the most trusted first.
    NameSource, "source of a name" {
        /// The topology file.
        Topology = "topology",
        /// The host's own name, with its domain, in its NTLM messages.
        Ntlm = "ntlm",
        /// The certificate that the host presented.
        Certificate = "certificate",
        /// The greeting of the host's SMTP service.
        SmtpBanner = "smtp_banner",
        /// The host's own announcement: NetBIOS, multicast DNS, the LDAP ping.
        Announced = "announced",
        /// The host's own name in its NTLM messages, without a domain.
        Workstation = "workstation",
        /// Another host's answer: DNS and its multicast forms.
        Dns = "dns",
        /// Another host's answer of the NetBIOS name service.
        NetBios = "netbios",
        /// A DHCP server.
        Dhcp = "dhcp",
        /// The machine that recorded the capture: name resolution blocks of pcapng.
        Capture = "capture",
        /// What the host called itself in HELO or EHLO, which nobody checks.
        Helo = "helo",
        /// The service of the Kerberos ticket that a client brought to it.
        Ticket = "ticket",
        /// The server name that a client asked for in TLS.
        ServerName = "server_name",
        /// The contact in SIP messages that it sent, which may be another host's, passed on.
        Sip = "sip",
    }
}

impl NameSource {
    /// Whether the host says it of itself. What is not its own is hearsay.
    pub const fn is_own(self) -> bool {
        matches!(
            self,
            Self::Ntlm
                | Self::Certificate
                | Self::SmtpBanner
                | Self::Announced
                | Self::Workstation
                | Self::Helo
        )
    }
}

impl NameSource {
    /// What stands behind a name in a table: a question mark where neither the topology nor the host itself says it.
    pub const fn mark(self) -> &'static str {
        if self.is_own() || matches!(self, Self::Topology) {
            ""
        } else {
            "?"
        }
    }
}

/// A name, and what says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The name.
    pub text: Arc<str>,
    /// What says it.
    pub source: NameSource,
}

/// Names of addresses.
#[derive(Clone, Debug, Default)]
pub struct Names {
    known: HashMap<IpAddr, OfSources, RandomState>,
}

/// The first name of each source, and when it was given.
type OfSources = Sorted<NameSource, (Timestamp, Arc<str>)>;

impl Names {
    /// The names that the captures themselves give.
    pub fn of(ledger: &Ledger) -> Self {
        let mut names = Self::default();
        for record in ledger.captures().values() {
            let time = record.first_seen.unwrap_or_default();
            for (address, name) in &record.names {
                names.add(*address, NameSource::Capture, time, name);
            }
        }
        names
    }

    /// Takes in what a flow says of names.
    pub fn learn(&mut self, flow: &Flow) {
        for (offer, sight) in &flow.offers {
            if let Offered::Host { name } = &offer.offered {
                let source = if offer.by == offer.endpoint.address {
                    NameSource::Announced
                } else if flow.proves("netbios_ns") || flow.proves("netbios_dgm") {
                    NameSource::NetBios
                } else if flow.proves("dhcp") {
                    NameSource::Dhcp
                } else {
                    NameSource::Dns
                };
                self.add(offer.endpoint.address, source, sight.seen.time, name);
            }
        }
        for (fact, sight) in &flow.facts {
            let Value::Text(text) = &fact.value else {
                continue;
            };
            let (protocol, attribute) = (fact.attribute.protocol, fact.attribute.name);
            let Some((source, name)) = said(protocol, attribute, text) else {
                continue;
            };
            let names_other = matches!(source, NameSource::Ticket | NameSource::ServerName);
            // What a client asks for names its server; a server asks for nothing.
            if names_other && fact.side != flow.client {
                continue;
            }
            let side: Side = if names_other {
                fact.side.other()
            } else {
                fact.side
            };
            let address = flow.key.endpoint(side).address;
            self.add(address, source, sight.seen.time, name);
        }
    }

    fn add(&mut self, address: IpAddr, source: NameSource, time: Timestamp, name: &str) {
        if !is_host(name) {
            return;
        }
        let candidate = (time, name.to_ascii_lowercase().into());
        let known = self.known.entry(address).or_default();
        known.insert_least(source, candidate);
    }

    /// The name of an address that stands.
    pub fn get(&self, address: IpAddr) -> Option<Name> {
        self.all(address).next()
    }

    /// The names of an address, one a source, the most trusted first.
    pub fn all(&self, address: IpAddr) -> impl Iterator<Item = Name> {
        let known = self.known.get(&address).into_iter().flatten();
        known.map(|(source, (_, text))| Name {
            text: Arc::clone(text),
            source: *source,
        })
    }
}

/// The name in a fact, and what it is worth.
fn said<'a>(protocol: &str, attribute: &str, text: &'a str) -> Option<(NameSource, &'a str)> {
    Some(match (protocol, attribute) {
        (_, "gss_host") if text.contains('.') => (NameSource::Ntlm, text),
        (_, "gss_host") => (NameSource::Workstation, text),
        ("tls" | "dtls", "certificate_subject" | "client_certificate_subject") => {
            let name = common_name(text)?;
            // A name without a domain is what tools and telephones make up for themselves.
            (NameSource::Certificate, name.contains('.').then_some(name)?)
        }
        ("smtp", "banner") => {
            let mut words = text.split_whitespace();
            let name = words.find(|word| word.contains('.') && is_host(word))?;
            (NameSource::SmtpBanner, name)
        }
        ("smtp", "helo") => (NameSource::Helo, text),
        ("tls", "server_name") => (NameSource::ServerName, text),
        // Of requests to the KDC the name is no host's that answers here.
        ("kerberos", _) => return None,
        (_, "gss_service" | "service") => {
            let mut parts = text.split('/');
            let host = parts.nth(1)?;
            let host = host.split(['@', ':']).next()?;
            (NameSource::Ticket, host.contains('.').then_some(host)?)
        }
        ("sip", "contact") => {
            let uri = text
                .split_once("sip:")
                .or_else(|| text.split_once("sips:"))?
                .1;
            let uri = uri.split(['>', ';']).next()?;
            let host = uri.rsplit('@').next()?.split(':').next()?;
            (NameSource::Sip, host.contains('.').then_some(host)?)
        }
        _ => return None,
    })
}

/// The first common name of a distinguished name.
fn common_name(subject: &str) -> Option<&str> {
    let mut parts = subject.split(',').map(str::trim);
    parts.find_map(|part| part.strip_prefix("CN="))
}

/// Whether a text can name one host: letters, digits, hyphens and dots, and no address.
fn is_host(text: &str) -> bool {
    let of_names = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    text.len() <= MAX_NAME
        && text.chars().all(of_names)
        && text.chars().any(|c| c.is_ascii_alphabetic())
        && !text.to_ascii_lowercase().starts_with("localhost")
        && text.parse::<IpAddr>().is_err()
}

/// Characters of a name: RFC 1035 §3.1.
const MAX_NAME: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> IpAddr {
        "10.0.0.10".parse().unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_parts(second, 0)
    }

    #[test]
    fn the_most_trusted_source_stands_and_of_one_source_the_first() {
        let mut names = Names::default();
        names.add(address(), NameSource::Dns, at(1), "web.example.com");
        names.add(address(), NameSource::Helo, at(0), "me.example.net");
        names.add(address(), NameSource::Ntlm, at(9), "DC1.example.com");
        names.add(address(), NameSource::Ntlm, at(5), "dc2.example.com");
        names.add(address(), NameSource::Ntlm, at(5), "dc3.example.com");
        let name = names.get(address()).unwrap();
        assert_eq!(
            (&*name.text, name.source),
            ("dc2.example.com", NameSource::Ntlm)
        );
        let sources: Vec<_> = names.all(address()).map(|name| name.source).collect();
        assert_eq!(
            sources,
            [NameSource::Ntlm, NameSource::Dns, NameSource::Helo]
        );
    }

    #[test]
    fn what_is_no_host_names_nobody() {
        let mut names = Names::default();
        for text in [
            "",
            "[10.0.0.1]",
            "10.0.0.1",
            "*.example.com",
            "localhost.localdomain",
            "a b",
            "fe80::1",
            "123",
        ] {
            names.add(address(), NameSource::Helo, at(0), text);
        }
        assert_eq!(names.get(address()), None);
    }

    #[test]
    fn names_are_found_where_protocols_carry_them() {
        let cases = [
            (
                "smtp",
                "banner",
                "hub1.example.com Microsoft ESMTP MAIL Service ready",
                Some("hub1.example.com"),
            ),
            ("smtp", "banner", "220 ready", None),
            (
                "tls",
                "certificate_subject",
                "O=Example, CN=edge1.example.com",
                Some("edge1.example.com"),
            ),
            ("tls", "certificate_subject", "CN=Media Relay", None),
            ("tls", "certificate_subject", "CN=WebRTC", None),
            (
                "ldap",
                "service",
                "ldap/dc1.example.com/example.com",
                Some("dc1.example.com"),
            ),
            (
                "http",
                "gss_service",
                "HTTP/cas1.example.com:443@EXAMPLE.COM",
                Some("cas1.example.com"),
            ),
            ("kerberos", "service", "host/cas1.example.com", None),
            (
                "sip",
                "contact",
                "<sip:um1.example.com:5065;transport=TCP>",
                Some("um1.example.com"),
            ),
            (
                "sip",
                "contact",
                "sip:+15550100@10.0.2.5:5060",
                Some("10.0.2.5"),
            ),
            ("http", "server", "x.example.com", None),
        ];
        for (protocol, attribute, text, name) in cases {
            let found = said(protocol, attribute, text).map(|(_, name)| name);
            assert_eq!(found, name, "{protocol} {attribute} {text}");
        }
    }
}
