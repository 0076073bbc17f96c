//! CSV: the record's JSON, flattened: nested names joined by `_`, lists by `;`, empty for null.

use std::fmt::{Display, Write as _};
use std::io;

use serde::Serialize;
use serde_json::Value;

use super::Record;

/// Lines that are gathered.
#[derive(Debug)]
pub(super) struct Lines {
    writer: csv::Writer<Vec<u8>>,
}

impl Lines {
    pub(super) fn new() -> Self {
        Self {
            writer: csv::Writer::from_writer(Vec::new()),
        }
    }

    /// Appends the names of the columns.
    pub(super) fn header(&mut self, columns: &[&str]) -> io::Result<()> {
        self.writer.write_record(columns).map_err(io::Error::other)
    }

    /// Appends one record.
    pub(super) fn push<R: Record>(&mut self, record: &R) -> io::Result<()> {
        let mut row = Row {
            writer: &mut self.writer,
            cell: String::new(),
            failed: None,
        };
        record.csv(&mut row);
        if let Some(error) = row.failed {
            return Err(io::Error::other(error));
        }
        let end = self.writer.write_record(None::<&[u8]>);
        end.map_err(io::Error::other)
    }

    /// The lines.
    pub(super) fn take(&mut self) -> io::Result<Vec<u8>> {
        let writer = csv::Writer::from_writer(Vec::new());
        let full = std::mem::replace(&mut self.writer, writer);
        full.into_inner().map_err(io::Error::other)
    }
}

/// One line that is being written, cell by cell in the order of the columns.
#[derive(Debug)]
pub struct Row<'a> {
    writer: &'a mut csv::Writer<Vec<u8>>,
    cell: String,
    failed: Option<csv::Error>,
}

impl Row<'_> {
    /// A text.
    pub fn text(&mut self, text: &str) {
        if let Err(error) = self.writer.write_field(text) {
            self.failed.get_or_insert(error);
        }
    }

    /// Anything that has a text.
    pub fn value(&mut self, value: impl Display) {
        let mut cell = std::mem::take(&mut self.cell);
        cell.clear();
        // A text takes all that is written to it.
        let _ = write!(cell, "{value}");
        self.text(&cell);
        self.cell = cell;
    }

    /// What may be unknown: then the cell is empty.
    pub fn optional(&mut self, value: Option<impl Display>) {
        match value {
            Some(value) => self.value(value),
            None => self.text(""),
        }
    }

    /// A list of texts.
    pub fn list(&mut self, texts: impl Iterator<Item = impl AsRef<str>>) {
        let mut cell = std::mem::take(&mut self.cell);
        cell.clear();
        for (index, text) in texts.enumerate() {
            if index > 0 {
                cell.push(';');
            }
            cell.push_str(text.as_ref());
        }
        self.text(&cell);
        self.cell = cell;
    }

    /// The cell of a column of a record, from its JSON.
    pub fn flattened(&mut self, record: &Value, column: &str) {
        self.text(&cell(record, column));
    }
}

/// All columns of a record, from its JSON: slow, and right for any record.
pub(super) fn flatten(record: &(impl Serialize + ?Sized), columns: &[&str], row: &mut Row<'_>) {
    match serde_json::to_value(record) {
        Ok(value) => {
            for column in columns {
                row.flattened(&value, column);
            }
        }
        Err(error) => row.failed = Some(io::Error::other(error).into()),
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
