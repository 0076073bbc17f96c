//! Allowed extras: what the user knows of and has agreed to, for a reason and for a time.
//!
//! One `[[allow]]` table is one [`Waiver`]. It silences the findings that it describes until it expires, by packet time. It
//! stands in the topology file, or in a file of its own; a table that would allow everything is an error.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use ipnet::IpNet;
use serde::Deserialize;
use toml::Spanned;
use toml::value::{Datetime, Offset};

use super::Topology;
use super::file::{line, network};
use crate::net::{Endpoint, Timestamp, Transport};

/// A finding that is allowed until a time. Every list that is not empty must hold what the finding is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiver {
    /// Why it is allowed.
    pub reason: Arc<str>,
    /// The last moment at which it is.
    pub expires: Timestamp,
    /// Codes of findings.
    pub codes: Vec<Arc<str>>,
    /// Services.
    pub services: Vec<Arc<str>>,
    /// Rows of the matrix.
    pub rows: Vec<Arc<str>>,
    /// Fingerprints of single findings.
    pub fingerprints: Vec<Arc<str>>,
    /// Line of its file, from 1.
    pub line: usize,
    /// Its file.
    pub path: Arc<Path>,
    clients: Vec<Hosts>,
    servers: Vec<Hosts>,
    hosts: Vec<Hosts>,
    ports: Vec<u16>,
    transport: Option<Transport>,
}

/// Hosts as a waiver names them.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    /// An address or a network.
    Network(IpNet),
    /// A host or network of the topology file.
    Named(Arc<str>),
}

impl Hosts {
    fn hold(&self, address: IpAddr, topology: &Topology) -> bool {
        match self {
            Self::Network(network) => network.contains(&address),
            Self::Named(name) => topology
                .host(address)
                .is_some_and(|host| host.name.as_ref() == Some(name)),
        }
    }
}

/// What a finding is about.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// Its code.
    pub code: &'a str,
    /// Its fingerprint.
    pub fingerprint: &'a str,
    /// Its row of the matrix.
    pub row: Option<&'a str>,
    /// The service of the flow.
    pub service: Option<&'a str>,
    /// The transport of the flow.
    pub transport: Option<Transport>,
    /// The client.
    pub client: Option<IpAddr>,
    /// The server, port 0 where there is none.
    pub server: Option<Endpoint>,
}

impl Waiver {
    /// Whether it speaks of that finding, expired or not.
    pub fn speaks_of(&self, about: &About<'_>, topology: &Topology) -> bool {
        let word = |list: &[Arc<str>], word: Option<&str>| {
            list.is_empty() || word.is_some_and(|word| list.iter().any(|known| **known == *word))
        };
        let held = |list: &[Hosts], ends: &[Option<IpAddr>]| {
            let mut ends = ends.iter().flatten();
            list.is_empty() || ends.any(|end| list.iter().any(|hosts| hosts.hold(*end, topology)))
        };
        let server = about.server.map(|server| server.address);
        word(&self.codes, Some(about.code))
            && word(&self.fingerprints, Some(about.fingerprint))
            && word(&self.rows, about.row)
            && word(&self.services, about.service)
            && held(&self.clients, &[about.client])
            && held(&self.servers, &[server])
            && held(&self.hosts, &[about.client, server])
            && (self.ports.is_empty()
                || about
                    .server
                    .is_some_and(|end| self.ports.contains(&end.port)))
            && self
                .transport
                .is_none_or(|wanted| about.transport == Some(wanted))
    }

    /// Whether its time is over at that moment.
    pub fn is_expired(&self, at: Timestamp) -> bool {
        self.expires < at
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AllowEntry {
    reason: Spanned<Arc<str>>,
    expires: Datetime,
    #[serde(default)]
    codes: Vec<Arc<str>>,
    #[serde(default)]
    services: Vec<Arc<str>>,
    #[serde(default)]
    rows: Vec<Arc<str>>,
    #[serde(default)]
    fingerprints: Vec<Arc<str>>,
    #[serde(default)]
    clients: Vec<Spanned<Arc<str>>>,
    #[serde(default)]
    servers: Vec<Spanned<Arc<str>>>,
    #[serde(default)]
    hosts: Vec<Spanned<Arc<str>>>,
    #[serde(default)]
    ports: Vec<std::num::NonZeroU16>,
    transport: Option<Spanned<Arc<str>>>,
}

impl Topology {
    /// The waiver of a table; an error is a line, from 1, and a message.
    pub(super) fn waiver(
        &self,
        text: &str,
        entry: Spanned<AllowEntry>,
    ) -> Result<Waiver, (usize, String)> {
        let at = line(text, entry.span().start);
        let entry = entry.into_inner();
        if entry.reason.get_ref().trim().is_empty() {
            let at = line(text, entry.reason.span().start);
            return Err((at, "expected a reason, found an empty one".to_owned()));
        }
        let expires = moment(&entry.expires).ok_or_else(|| {
            let message =
                "expected `expires` to be a date such as 2027-03-31, or a time with its offset";
            (at, format!("{message}, found {}", entry.expires))
        })?;
        let hosts = |list: Vec<Spanned<Arc<str>>>| {
            let one = |word: Spanned<Arc<str>>| self.hosts_of(text, word);
            list.into_iter().map(one).collect::<Result<Vec<_>, _>>()
        };
        let waiver = Waiver {
            reason: entry.reason.into_inner(),
            expires,
            codes: entry.codes,
            services: entry.services,
            rows: entry.rows,
            fingerprints: entry.fingerprints,
            line: at,
            path: Path::new("").into(),
            clients: hosts(entry.clients)?,
            servers: hosts(entry.servers)?,
            hosts: hosts(entry.hosts)?,
            ports: entry
                .ports
                .into_iter()
                .map(std::num::NonZeroU16::get)
                .collect(),
            transport: entry
                .transport
                .map(|word| transport(text, &word))
                .transpose()?,
        };
        let words = [
            &waiver.codes,
            &waiver.services,
            &waiver.rows,
            &waiver.fingerprints,
        ];
        let named = [&waiver.clients, &waiver.servers, &waiver.hosts];
        if words.iter().all(|list| list.is_empty())
            && named.iter().all(|list| list.is_empty())
            && waiver.ports.is_empty()
        {
            let expected = "expected one of codes, services, rows, fingerprints, clients, servers, hosts or ports";
            return Err((
                at,
                format!("{expected}, found a table that allows everything"),
            ));
        }
        Ok(waiver)
    }

    fn hosts_of(&self, text: &str, word: Spanned<Arc<str>>) -> Result<Hosts, (usize, String)> {
        let at = line(text, word.span().start);
        let word = word.into_inner();
        if let Ok(network) = network(&word) {
            return Ok(Hosts::Network(network));
        }
        if self.knows(&word) {
            return Ok(Hosts::Named(word));
        }
        let expected = "expected an address, a network, or the name of a host of the topology file";
        Err((at, format!("{expected}, found `{word}`")))
    }
}

fn transport(text: &str, word: &Spanned<Arc<str>>) -> Result<Transport, (usize, String)> {
    match &**word.get_ref() {
        "tcp" => Ok(Transport::TCP),
        "udp" => Ok(Transport::UDP),
        other => Err((
            line(text, word.span().start),
            format!("expected `tcp` or `udp`, found `{other}`"),
        )),
    }
}

/// The last moment that a date or time names: of a date without a time the end of that day, UTC.
fn moment(given: &Datetime) -> Option<Timestamp> {
    let date = given.date?;
    let day = jiff::civil::Date::new(
        i16::try_from(date.year).ok()?,
        i8::try_from(date.month).ok()?,
        i8::try_from(date.day).ok()?,
    )
    .ok()?;
    let (at, offset) = match (given.time, given.offset) {
        (None, _) => (day.at(23, 59, 59, 999_999_999), 0),
        (Some(_), None) => return None,
        (Some(time), Some(offset)) => {
            let minutes = match offset {
                Offset::Z => 0,
                Offset::Custom { minutes } => minutes,
            };
            let at = jiff::civil::Time::new(
                i8::try_from(time.hour).ok()?,
                i8::try_from(time.minute).ok()?,
                i8::try_from(time.second.unwrap_or(0)).ok()?,
                i32::try_from(time.nanosecond.unwrap_or(0)).ok()?,
            );
            (day.to_datetime(at.ok()?), minutes)
        }
    };
    let offset = jiff::tz::Offset::from_seconds(i32::from(offset).checked_mul(60)?).ok()?;
    let nanos = offset.to_timestamp(at).ok()?.as_nanosecond();
    i64::try_from(nanos).ok().map(Timestamp::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABOUT: About<'static> = About {
        code: "EXW102",
        fingerprint: "f",
        row: None,
        service: None,
        transport: Some(Transport::TCP),
        client: Some(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 9))),
        server: Some(Endpoint::new(
            IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 25)),
            3389,
        )),
    };

    fn speaks(keys: &str) -> bool {
        let text = format!(
            "[[host]]\nname = \"edge1\"\naddresses = [\"192.0.2.25\"]\n\
             [[allow]]\nreason = \"agreed\"\nexpires = 2027-03-31\n{keys}"
        );
        let topology = Topology::parse(&text).unwrap();
        topology.waivers()[0].speaks_of(&ABOUT, &topology)
    }

    #[test]
    fn a_waiver_speaks_of_a_finding_where_every_key_agrees() {
        assert!(speaks("codes = [\"EXW101\", \"EXW102\"]"));
        assert!(speaks(
            "servers = [\"edge1\"]\nports = [3389]\ntransport = \"tcp\""
        ));
        assert!(speaks("hosts = [\"10.0.0.0/24\"]"));
        assert!(!speaks("servers = [\"10.0.0.0/24\"]"));
        assert!(!speaks("codes = [\"EXW102\"]\nports = [3390]"));
        assert!(!speaks("services = [\"smtp\"]"), "none is known");
    }

    #[test]
    fn a_date_lasts_to_its_end_and_a_time_to_its_second() {
        let expires = |value: &str| {
            let text =
                format!("[[allow]]\nreason = \"r\"\ncodes = [\"EXW102\"]\nexpires = {value}");
            Topology::parse(&text).map(|topology| topology.waivers()[0].expires.to_string())
        };
        assert_eq!(
            expires("2027-03-31").unwrap(),
            "2027-03-31T23:59:59.999999999Z"
        );
        assert_eq!(
            expires("2027-03-31T12:00:00+02:00").unwrap(),
            "2027-03-31T10:00:00.000000000Z"
        );
        assert_eq!(expires("2027-03-31T12:00:00").unwrap_err().0, 1);
        assert_eq!(expires("12:00:00").unwrap_err().0, 1);
    }

    #[test]
    fn a_table_that_allows_everything_or_gives_no_reason_is_an_error() {
        let cases = [
            (
                "reason = \"r\"\nexpires = 2027-03-31",
                1,
                "allows everything",
            ),
            (
                "reason = \" \"\nexpires = 2027-03-31\ncodes = []",
                2,
                "expected a reason",
            ),
            (
                "expires = 2027-03-31\ncodes = [\"EXW102\"]",
                1,
                "missing field `reason`",
            ),
            (
                "reason = \"r\"\ncodes = [\"EXW102\"]",
                1,
                "missing field `expires`",
            ),
            (
                "reason = \"r\"\nexpires = 2027-03-31\nservers = [\"edge9\"]",
                4,
                "name of a host of the topology file, found `edge9`",
            ),
            (
                "reason = \"r\"\nexpires = 2027-03-31\nports = [25]\ntransport = \"ip\"",
                5,
                "expected `tcp` or `udp`",
            ),
        ];
        for (keys, line, said) in cases {
            let (at, message) = Topology::parse(&format!("[[allow]]\n{keys}")).unwrap_err();
            assert_eq!(at, line, "{message}");
            assert!(message.contains(said), "{message}");
        }
    }
}
