//! CSV: the record's JSON, flattened: nested names joined by `_`, lists by `;`, empty for null.

use std::io::{self, Write};

use serde_json::Value;

use super::Record;

pub(super) fn write<R: Record>(
    records: impl Iterator<Item = R>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(R::CSV).map_err(plain)?;
    for record in records {
        let value = serde_json::to_value(&record)?;
        writer
            .write_record(R::CSV.iter().map(|column| cell(&value, column)))
            .map_err(plain)?;
    }
    writer.flush()
}

/// The output's own error: wrapped, its kind is lost, and a broken pipe is no trouble.
fn plain(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        kind => io::Error::other(format!("{kind:?}")),
    }
}

/// The text of a flattened column: of the longest matching name at each level. A list of objects gives one text each, so that
/// the columns of its fields run in step.
fn cell(value: &Value, column: &str) -> String {
    let Value::Object(fields) = value else {
        return String::new();
    };
    if let Some(field) = fields.get(column) {
        return text(Some(field));
    }
    let nested = fields.iter().find_map(|(name, field)| {
        let rest = column.strip_prefix(name.as_str())?.strip_prefix('_')?;
        match (field, rest) {
            (Value::Array(items), _) if items.iter().all(Value::is_object) => {
                let cells: Vec<String> = items.iter().map(|item| cell(item, rest)).collect();
                Some(cells.join(";"))
            }
            (Value::Array(pair), "client") => Some(text(pair.first())),
            (Value::Array(pair), "server") => Some(text(pair.get(1))),
            (Value::Object(_), _) => Some(cell(field, rest)),
            _ => None,
        }
    });
    nested.unwrap_or_default()
}

fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| text(Some(item)))
            .collect::<Vec<_>>()
            .join(";"),
        Some(Value::Object(fields)) => {
            let filled = |(_, field): &(&String, &Value)| !field.is_null();
            fields
                .iter()
                .filter(filled)
                .map(|(_, field)| text(Some(field)))
                .collect::<Vec<_>>()
                .join(" ")
        }
        Some(other) => other.to_string(),
    }
}
