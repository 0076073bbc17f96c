//! Rows of the matrix, as `matrix` puts them out.

use super::schema::{Field, INTEGERS, Kind, TEXTS, field};
use super::{Column, Record};
use crate::signature::Row;

const fn column(name: &'static str, from_width: u16) -> Column {
    Column {
        name,
        from_width,
        is_number: false,
    }
}

/// A port of a row: fixed, a range of two, or dynamic.
const PORT: Kind = Kind::Group(&[
    field("transport", Kind::Text),
    field("port", Kind::Integer),
    field("range", INTEGERS),
    field("dynamic", Kind::Text),
    field("protocol", Kind::Text),
    field("secured", Kind::Boolean),
    field("reversed", Kind::Boolean),
    field("services", TEXTS),
]);

/// What a row says of encryption.
const ENCRYPTION: Kind = Kind::Group(&[
    field("supported", Kind::Boolean),
    field("how", Kind::Text),
    field("default", Kind::Boolean),
]);

impl Record for &Row {
    const CSV: &'static [&'static str] = &[
        "id",
        "document",
        "table",
        "product",
        "kind",
        "title",
        "from_roles",
        "to_roles",
        "direction",
        "ports",
        "auth_default",
        "auth_supported",
        "encryption_supported",
        "encryption_how",
        "encryption_default",
        "configurable",
        "condition",
        "polarity",
        "program",
        "rule",
        "check",
        "check_reason",
        "quote",
        "services",
    ];
    const FIELDS: &'static [Field] = &[
        field("id", Kind::Text),
        field("document", Kind::Text),
        field("table", Kind::Text),
        field("product", Kind::Text),
        field("products", TEXTS),
        field("kind", Kind::Text),
        field("title", Kind::Text),
        field("from_roles", TEXTS),
        field("to_roles", TEXTS),
        field("direction", Kind::Text),
        field("ports", Kind::List(&PORT)),
        field("auth_default", TEXTS),
        field("auth_supported", TEXTS),
        field("encryption", ENCRYPTION),
        field("configurable", Kind::Text),
        field("condition", Kind::Text),
        field("polarity", Kind::Text),
        field("program", Kind::Text),
        field("rule", Kind::Text),
        field("check", Kind::Text),
        field("check_reason", Kind::Text),
        field("quote", Kind::Text),
        field("services", TEXTS),
        field("inferred", Kind::Boolean),
    ];
    const TABLE: &'static [Column] = &[
        column("row", 0),
        column("title", 0),
        column("ports", 0),
        column("from", 100),
        column("to", 100),
        column("encrypted", 120),
        column("authentication", 130),
        column("check", 150),
    ];

    fn cell(&self, column: &str) -> String {
        let words = |roles: &[crate::signature::Role]| {
            roles
                .iter()
                .map(|role| role.word())
                .collect::<Vec<_>>()
                .join(" ")
        };
        match column {
            "row" => self.id.to_string(),
            "title" => self.rule.as_ref().unwrap_or(&self.title).to_string(),
            "ports" => self
                .ports
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" "),
            "from" => words(&self.from_roles),
            "to" => words(&self.to_roles),
            "encrypted" => match (self.encryption.supported, self.encryption.default) {
                (_, Some(true)) => "by default".to_owned(),
                (Some(true), _) => "supported".to_owned(),
                (Some(false), _) => "no".to_owned(),
                (None, _) => String::new(),
            },
            "authentication" => self.auth_default.join(" "),
            "check" => self.check.as_deref().unwrap_or_default().to_owned(),
            _ => String::new(),
        }
    }
}
