//! Output in the contract's formats: one record type a command, one file a format. Read only: nothing is decided here.

mod call;
mod chain;
mod change;
mod csv;
mod early;
mod endpoint;
mod finding;
mod flow;
mod json;
mod ladder;
mod matrix;
mod parquet;
mod sarif;
mod schema;
mod table;
mod topology;

pub use call::CallRecord;
pub use chain::Chain;
pub use change::ChangeRecord;
pub use csv::Row;
pub use early::{Early, Rows};
pub use endpoint::{EndpointRecord, NamedEndpoint};
pub use flow::FlowRecord;
pub use ladder::write_ladders;
pub use sarif::Sarif;
pub use schema::{Field, Kind};
pub use topology::write_topology;

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
        /// Typed columns, for files.
        Parquet = "parquet",
    }
}

impl Format {
    /// Whether a terminal can show nothing of it.
    pub const fn is_binary(self) -> bool {
        matches!(self, Self::Parquet)
    }

    /// Whether this build can write it.
    pub const fn is_available(self) -> bool {
        !matches!(self, Self::Parquet) || parquet::IS_AVAILABLE
    }
}

/// What a command puts out: one object a record.
pub trait Record: Serialize {
    /// Columns of CSV: names of nested fields joined by `_`.
    const CSV: &'static [&'static str];
    /// Columns of the table, by importance: those that do not fit the width are left out from the end.
    const TABLE: &'static [Column];
    /// The fields, with their types.
    const FIELDS: &'static [Field];

    /// The text of a table cell.
    fn cell(&self, column: &str) -> String;

    /// Writes the cells of the columns of CSV, in their order. Records that come by the million do it by themselves.
    fn csv(&self, row: &mut Row<'_>) {
        csv::flatten(self, Self::CSV, row);
    }

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

/// Records that are ready to be written: made on any thread, written in order by a [`Writer`].
#[derive(Debug)]
pub struct Batch {
    format: Format,
    style: Style,
    bytes: Vec<u8>,
    lines: csv::Lines,
    rows: Vec<Vec<String>>,
    records: usize,
    columns: parquet::Rows,
}

impl Batch {
    /// Nothing yet.
    pub fn new(format: Format, style: Style) -> Self {
        Self {
            format,
            style,
            bytes: Vec::new(),
            lines: csv::Lines::new(),
            rows: Vec::new(),
            records: 0,
            columns: parquet::Rows::new(),
        }
    }

    /// Adds a record.
    ///
    /// # Errors
    /// A record that has no form in the format, which none of this program is.
    pub fn push<R: Record>(&mut self, record: &R) -> io::Result<()> {
        match self.format {
            Format::Table => table::push(record, self.style, &mut self.rows),
            Format::Csv => self.lines.push(record)?,
            Format::Json => {
                self.bytes.extend_from_slice(json::BETWEEN);
                json::push(record, &mut self.bytes)?;
            }
            Format::Jsonl => {
                json::push(record, &mut self.bytes)?;
                self.bytes.push(b'\n');
            }
            Format::Parquet => self.columns.push(R::FIELDS, record)?,
        }
        self.records = self.records.saturating_add(1);
        Ok(())
    }
}

/// Records that are gathered before they are written.
const GATHERED: usize = 64;
/// Records that are gathered as columns before they go to the file's row group.
const GATHERED_ROWS: usize = 1 << 10;

/// Writes the records of one command, in the order in which they come.
pub struct Writer<'a> {
    out: &'a mut dyn Write,
    batch: Batch,
    drawing: table::Drawing,
    file: Option<parquet::File>,
    is_first: bool,
}

impl<'a> Writer<'a> {
    /// A writer of records of that type.
    ///
    /// # Errors
    /// What the output says.
    pub fn new<R: Record>(
        format: Format,
        style: Style,
        out: &'a mut dyn Write,
    ) -> io::Result<Self> {
        let mut batch = Batch::new(format, style);
        if format == Format::Csv {
            batch.lines.header(R::CSV)?;
        }
        Ok(Self {
            out,
            batch,
            drawing: table::Drawing::of::<R>(style),
            file: (format == Format::Parquet)
                .then(|| parquet::File::new(R::FIELDS))
                .transpose()?,
            is_first: true,
        })
    }

    /// The format, for batches.
    pub const fn format(&self) -> Format {
        self.batch.format
    }

    /// How tables are drawn, for batches.
    pub const fn style(&self) -> Style {
        self.batch.style
    }

    /// Writes a record.
    ///
    /// # Errors
    /// What the output says; a broken pipe is for the caller to take quietly.
    pub fn push<R: Record>(&mut self, record: &R) -> io::Result<()> {
        self.batch.push(record)?;
        let most = match self.batch.format {
            Format::Parquet => GATHERED_ROWS,
            Format::Table | Format::Csv | Format::Json | Format::Jsonl => GATHERED,
        };
        if self.batch.records >= most {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes the records of a batch.
    ///
    /// # Errors
    /// What the output says.
    pub fn extend(&mut self, mut batch: Batch) -> io::Result<()> {
        self.flush()?;
        std::mem::swap(&mut self.batch, &mut batch);
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.batch.records = 0;
        if self.batch.format == Format::Csv {
            self.out.write_all(&self.batch.lines.take()?)?;
        }
        let mut bytes = self.batch.bytes.as_slice();
        if self.batch.format == Format::Json
            && self.is_first
            && let Some(rest) = bytes.strip_prefix(json::BETWEEN)
        {
            self.out.write_all(b"[\n")?;
            self.is_first = false;
            bytes = rest;
        }
        self.out.write_all(bytes)?;
        self.batch.bytes.clear();
        if let Some(file) = &mut self.file {
            file.extend(&mut self.batch.columns, self.out)?;
        }
        let rows = std::mem::take(&mut self.batch.rows);
        self.drawing.extend(rows, self.out)
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// What the output says.
    pub fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        if self.batch.format == Format::Json {
            self.out
                .write_all(if self.is_first { b"[]\n" } else { b"\n]\n" })?;
        }
        if let Some(file) = self.file {
            file.finish(self.out)?;
        }
        self.drawing.draw(self.out)?;
        self.out.flush()
    }
}

impl std::fmt::Debug for Writer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("batch", &self.batch)
            .finish_non_exhaustive()
    }
}

/// Writes all records.
///
/// # Errors
/// What the output says; a broken pipe is for the caller to take quietly.
pub fn write<R: Record>(
    mut records: impl Iterator<Item = R>,
    format: Format,
    style: Style,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut writer = Writer::new::<R>(format, style, out)?;
    records.try_for_each(|record| writer.push(&record))?;
    writer.finish()
}
