//! CSV: the record's JSON, flattened: nested names joined by `_`, lists by `;`, empty for null.

use std::io;

use serde_json::Value;

use super::Record;

/// Appends the names of the columns.
pub(super) fn header(columns: &[&str], bytes: &mut Vec<u8>) -> io::Result<()> {
    line(columns.iter().map(|name| (*name).to_owned()), bytes)
}

/// Appends one record.
pub(super) fn push<R: Record>(record: &R, bytes: &mut Vec<u8>) -> io::Result<()> {
    let value = serde_json::to_value(record)?;
    line(R::CSV.iter().map(|column| cell(&value, column)), bytes)
}

fn line(cells: impl Iterator<Item = String>, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(bytes);
    writer.write_record(cells).map_err(io::Error::other)?;
    writer.flush()
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
