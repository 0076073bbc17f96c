//! A change between two captures, as `diff` puts it out.

use std::net::IpAddr;

use serde::Serialize;

use super::schema::{Field, Kind, TEXTS, field};
use super::{Column, Record};
use crate::attribution::{Change, ChangeKind, Conversation, Name, NameSource};

/// One end.
#[derive(Clone, Debug, Serialize)]
struct End<'a> {
    address: IpAddr,
    name: Option<&'a str>,
    name_source: Option<NameSource>,
}

impl<'a> End<'a> {
    fn new(address: IpAddr, name: Option<&'a Name>) -> Self {
        Self {
            address,
            name: name.map(|name| &*name.text),
            name_source: name.map(|name| name.source),
        }
    }

    fn text(&self) -> String {
        match (self.name, self.name_source) {
            (Some(name), Some(source)) => format!("{} ({name}{})", self.address, source.mark()),
            _ => self.address.to_string(),
        }
    }
}

/// A conversation in one of the captures.
#[derive(Clone, Debug, Serialize)]
struct Side {
    flows: u64,
    failed: u64,
    verdicts: Vec<&'static str>,
    encryption: Vec<&'static str>,
    handshake_us: Option<u64>,
    answer_us: Option<u64>,
}

impl Side {
    fn new(conversation: &Conversation) -> Self {
        Self {
            flows: conversation.flows,
            failed: conversation.failed,
            verdicts: conversation.verdicts.iter().copied().collect(),
            encryption: conversation.encryption.iter().copied().collect(),
            handshake_us: conversation.handshake_us(),
            answer_us: conversation.answer_us(),
        }
    }

    fn text(&self) -> String {
        let flows = match self.flows {
            1 => "1 flow".to_owned(),
            flows => format!("{flows} flows"),
        };
        let mut parts = vec![match self.failed {
            0 => flows,
            failed => format!("{flows}, {failed} failed"),
        }];
        if !self.verdicts.is_empty() {
            parts.push(self.verdicts.join(" "));
        }
        if !self.encryption.is_empty() {
            parts.push(self.encryption.join(" "));
        }
        let time = |name: &str, us: u64| format!("{name} {}.{:03} ms", us / 1000, us % 1000);
        parts.extend(self.handshake_us.map(|us| time("handshake", us)));
        parts.extend(self.answer_us.map(|us| time("answer", us)));
        parts.join(", ")
    }
}

/// What differs in one conversation.
#[derive(Clone, Debug, Serialize)]
pub struct ChangeRecord<'a> {
    changes: &'a [ChangeKind],
    service: &'a str,
    client: End<'a>,
    server: End<'a>,
    before: Option<Side>,
    after: Option<Side>,
}

impl<'a> ChangeRecord<'a> {
    /// The record of a change.
    pub fn new(change: &'a Change) -> Self {
        let either = change.after.as_ref().or(change.before.as_ref());
        let [client, server] =
            [0, 1].map(|end| either.and_then(|one| one.names.get(end)?.as_ref()));
        Self {
            changes: &change.kinds,
            service: &change.pair.service,
            client: End::new(change.pair.client, client),
            server: End::new(change.pair.server, server),
            before: change.before.as_ref().map(Side::new),
            after: change.after.as_ref().map(Side::new),
        }
    }
}

const fn column(name: &'static str, from_width: u16) -> Column {
    Column {
        name,
        from_width,
        is_number: false,
    }
}

/// One end.
const END: Kind = Kind::Group(&[
    field("address", Kind::Text),
    field("name", Kind::Text),
    field("name_source", Kind::Text),
]);

/// A conversation in one of the captures.
const SIDE: Kind = Kind::Group(&[
    field("flows", Kind::Integer),
    field("failed", Kind::Integer),
    field("verdicts", TEXTS),
    field("encryption", TEXTS),
    field("handshake_us", Kind::Integer),
    field("answer_us", Kind::Integer),
]);

impl Record for ChangeRecord<'_> {
    const CSV: &'static [&'static str] = &[
        "changes",
        "service",
        "client_address",
        "client_name",
        "client_name_source",
        "server_address",
        "server_name",
        "server_name_source",
        "before_flows",
        "before_failed",
        "before_verdicts",
        "before_encryption",
        "before_handshake_us",
        "before_answer_us",
        "after_flows",
        "after_failed",
        "after_verdicts",
        "after_encryption",
        "after_handshake_us",
        "after_answer_us",
    ];
    const FIELDS: &'static [Field] = &[
        field("changes", TEXTS),
        field("service", Kind::Text),
        field("client", END),
        field("server", END),
        field("before", SIDE),
        field("after", SIDE),
    ];
    const TABLE: &'static [Column] = &[
        column("change", 0),
        column("service", 0),
        column("client", 0),
        column("server", 0),
        column("before", 100),
        column("after", 100),
    ];

    fn cell(&self, column: &str) -> String {
        let side = |side: &Option<Side>| side.as_ref().map(Side::text).unwrap_or_default();
        match column {
            "change" => {
                let words: Vec<&str> = self.changes.iter().map(|kind| kind.word()).collect();
                words.join(" ")
            }
            "service" => self.service.to_owned(),
            "client" => self.client.text(),
            "server" => self.server.text(),
            "before" => side(&self.before),
            "after" => side(&self.after),
            _ => String::new(),
        }
    }
}
