//! Output in the contract's formats: one record type a command, one file a format. Read only: nothing is decided here.

mod call;
mod csv;
mod endpoint;
mod finding;
mod flow;
mod json;
mod matrix;
mod table;

pub use call::CallRecord;
pub use endpoint::{EndpointRecord, NamedEndpoint};
pub use flow::FlowRecord;

use std::io::{self, Write};

use serde::Serialize;

use crate::signature::vocabulary::vocabulary;

vocabulary! {
    /// An output format.
    Format, "format" {
        /// A table for people.
        Table = "table",
        /// Comma-separated values, nested names joined by `_`, lists by `;`.
        Csv = "csv",
        /// One JSON array.
        Json = "json",
        /// One JSON object a line.
        Jsonl = "jsonl",
    }
}

/// What a command puts out: one object a record.
pub trait Record: Serialize {
    /// Columns of CSV: names of nested fields joined by `_`.
    const CSV: &'static [&'static str];
    /// Columns of the table, by importance: those that do not fit the width are left out from the end.
    const TABLE: &'static [Column];

    /// The text of a table cell.
    fn cell(&self, column: &str) -> String;

    /// Further lines of the table below the record's own: its parts.
    fn details(&self) -> usize {
        0
    }

    /// The text of a cell of such a line.
    fn detail(&self, index: usize, column: &str) -> String {
        let _ = (index, column);
        String::new()
    }
}

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Heading, and name for [`Record::cell`].
    pub name: &'static str,
    /// Least width of the terminal at which it is shown.
    pub from_width: u16,
    /// Numbers are aligned to the right.
    pub is_number: bool,
}

/// How a table is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Width in columns.
    pub width: u16,
    /// Whether colours may be used.
    pub colour: bool,
}

/// Writes all records.
///
/// # Errors
/// What the output says; a broken pipe is for the caller to take quietly.
pub fn write<R: Record>(
    records: impl Iterator<Item = R>,
    format: Format,
    style: Style,
    out: &mut dyn Write,
) -> io::Result<()> {
    match format {
        Format::Table => table::write(records, style, out),
        Format::Csv => csv::write(records, out),
        Format::Json => json::array(records, out),
        Format::Jsonl => json::lines(records, out),
    }
}
