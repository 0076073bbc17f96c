//! Findings, as `audit` puts them out.

use super::schema::{Field, INTEGERS, Kind, TEXTS, field};
use super::{Column, Record};
use crate::audit::Finding;

const fn column(name: &'static str, from_width: u16) -> Column {
    Column {
        name,
        from_width,
        is_number: false,
    }
}

/// A passage of a document.
const CITATION: Kind = Kind::Group(&[
    field("document", Kind::Text),
    field("table", Kind::Text),
    field("quote", Kind::Text),
]);

impl Record for &Finding {
    const CSV: &'static [&'static str] = &[
        "code",
        "name",
        "severity",
        "message",
        "row",
        "flows",
        "evidence",
        "documents",
        "advice",
        "display_filter",
        "fingerprint",
    ];
    const FIELDS: &'static [Field] = &[
        field("code", Kind::Text),
        field("name", Kind::Text),
        field("severity", Kind::Text),
        field("message", Kind::Text),
        field("row", Kind::Text),
        field("flows", INTEGERS),
        field("evidence", TEXTS),
        field("documents", Kind::List(&CITATION)),
        field("advice", Kind::Text),
        field("display_filter", Kind::Text),
        field("fingerprint", Kind::Text),
    ];
    const TABLE: &'static [Column] = &[
        column("severity", 0),
        column("code", 0),
        column("message", 0),
        column("row", 110),
        column("evidence", 140),
    ];

    fn cell(&self, column: &str) -> String {
        match column {
            "severity" => self.severity.word().to_owned(),
            "code" => self.code.to_owned(),
            "message" => self.message.clone(),
            "row" => self
                .row
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            "evidence" => self
                .evidence
                .iter()
                .take(2)
                .cloned()
                .collect::<Vec<_>>()
                .join("\n"),
            _ => String::new(),
        }
    }
}
