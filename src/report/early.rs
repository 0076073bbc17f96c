//! Records of flows that are made before it is known which findings name them: all else is in its format already, so that a
//! flow is judged once, for the audit and for its record.
//!
//! Rows wait compressed, in memory or in the temporary file of the run. The findings are put in where the format has them
//! empty: behind them come numbers only, so that the place is found from the end of the row, whatever the packets said.

use std::cell::Cell;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::csv::Lines;
use super::{Batch, FlowRecord, Format, Record, Style, json, table};
use crate::evidence::{Pressed, Store};

/// The name of the field that comes late.
const LATE: &str = "findings";
/// How JSON has it while it is empty, up to where codes go.
const EMPTY: &[u8] = b"\"findings\":[";

/// Rows of flows with numbers in a row, made on any thread.
#[derive(Debug)]
pub struct Early {
    format: Format,
    style: Style,
    lines: Lines,
    /// Rows, each with its length before it.
    bytes: Vec<u8>,
    count: u64,
}

thread_local! {
    /// Room for rows, which each thread makes once.
    static ROOM: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Early {
    /// No rows.
    pub fn new(format: Format, style: Style) -> Self {
        Self {
            format,
            style,
            lines: Lines::new(),
            bytes: ROOM.take(),
            count: 0,
        }
    }

    /// Adds the row of a record without findings.
    ///
    /// # Errors
    /// A record that has no form in the format, which none of this program is.
    pub fn push(&mut self, record: &FlowRecord<'_>) -> io::Result<()> {
        let Self {
            format,
            style,
            lines,
            bytes,
            count,
        } = self;
        put_sized(bytes, |bytes| match format {
            Format::Csv => {
                lines.push(record)?;
                bytes.append(&mut lines.take()?);
                Ok(())
            }
            Format::Table => table::columns::<FlowRecord<'_>>(*style).try_for_each(|column| {
                put_sized(bytes, |bytes| {
                    bytes.extend_from_slice(record.cell(column.name).as_bytes());
                    Ok(())
                })
            }),
            // Parquet's columns are filled from it in the end.
            Format::Json | Format::Jsonl | Format::Parquet => json::push(record, bytes),
        })?;
        *count = count.saturating_add(1);
        Ok(())
    }

    /// Compresses the rows into the store. `first` is the number of the first flow.
    pub fn press(mut self, first: u64, store: &Arc<Store>) -> Rows {
        let pressed = store.press(&self.bytes);
        self.bytes.clear();
        ROOM.set(self.bytes);
        Rows {
            first,
            store: Arc::clone(store),
            bytes: pressed,
            count: self.count,
        }
    }
}

/// Rows that wait for their findings.
#[derive(Debug)]
pub struct Rows {
    first: u64,
    store: Arc<Store>,
    bytes: Pressed,
    count: u64,
}

impl Rows {
    /// The numbers of their flows.
    pub fn numbers(&self) -> Range<u64> {
        self.first..self.first.saturating_add(self.count)
    }

    /// The rows with the findings that name each flow, ready to be written; none where the store's file does not give them
    /// back, which the store tells. `codes` are those of [`Rows::numbers`], as [`FlowCodes::over`] gives them; `room` is for
    /// unpacking, and need not be made anew each time.
    ///
    /// # Errors
    /// A row that has no form in the format, which none of this program is.
    ///
    /// [`FlowCodes::over`]: crate::audit::FlowCodes::over
    pub fn with_findings(
        &self,
        format: Format,
        style: Style,
        codes: &[(u64, Vec<&'static str>)],
        room: &mut Vec<u8>,
    ) -> io::Result<Batch> {
        let mut batch = Batch::new(format, style);
        self.store.unpress(&self.bytes, room);
        if matches!(format, Format::Csv | Format::Json | Format::Jsonl) {
            batch.bytes.reserve(room.len());
        }
        let mut stretches = codes.iter();
        let mut stretch = stretches.next();
        for (row, number) in sized(room).zip(self.numbers()) {
            while stretch.is_some_and(|(end, _)| *end <= number) {
                stretch = stretches.next();
            }
            batch.fill(row, stretch.map_or(&[], |(_, codes)| codes))?;
        }
        Ok(batch)
    }
}

impl Batch {
    /// Adds a row with the codes of its findings.
    fn fill(&mut self, row: &[u8], codes: &[&str]) -> io::Result<()> {
        match self.format {
            Format::Csv => {
                // Nothing behind the findings has a comma.
                let late = FlowRecord::CSV
                    .iter()
                    .rev()
                    .take_while(|name| **name != LATE);
                let at = memchr::memrchr_iter(b',', row).nth(late.count().saturating_sub(1));
                put(row, at, codes.join(";").as_bytes(), &mut self.bytes);
            }
            Format::Table => {
                let text = |cell| String::from_utf8_lossy(cell).into_owned();
                let mut cells: Vec<String> = sized(row).map(text).collect();
                let columns = table::columns::<FlowRecord<'_>>(self.style);
                for (cell, column) in cells.iter_mut().zip(columns) {
                    if column.name == LATE {
                        *cell = codes.join(" ");
                    }
                }
                self.rows.push(cells);
            }
            Format::Json => {
                self.bytes.extend_from_slice(json::BETWEEN);
                put_json(row, codes, &mut self.bytes);
            }
            Format::Jsonl => {
                put_json(row, codes, &mut self.bytes);
                self.bytes.push(b'\n');
            }
            Format::Parquet => {
                let mut text = Vec::new();
                put_json(row, codes, &mut text);
                let record: serde_json::Value = serde_json::from_slice(&text)?;
                self.columns.push(FlowRecord::FIELDS, &record)?;
            }
        }
        self.records = self.records.saturating_add(1);
        Ok(())
    }
}

/// Copies a JSON object, with codes in its empty list.
fn put_json(row: &[u8], codes: &[&str], out: &mut Vec<u8>) {
    let behind = |at: usize| at.saturating_add(1);
    let is_it = |at: &usize| row.get(..*at).is_some_and(|row| row.ends_with(EMPTY));
    // A few lists of numbers come behind it.
    let at = memchr::memrchr_iter(b'[', row).map(behind).find(is_it);
    let list = if codes.is_empty() {
        String::new()
    } else {
        format!("\"{}\"", codes.join("\",\""))
    };
    put(row, at, list.as_bytes(), out);
}

/// Copies a row, with `more` at a place.
fn put(row: &[u8], at: Option<usize>, more: &[u8], out: &mut Vec<u8>) {
    debug_assert!(at.is_some(), "every row has the field");
    let (before, after) = row
        .split_at_checked(at.unwrap_or_default())
        .unwrap_or((row, &[]));
    out.extend_from_slice(before);
    out.extend_from_slice(more);
    out.extend_from_slice(after);
}

/// Appends what `write` writes, with its length before it.
fn put_sized(
    bytes: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
) -> io::Result<()> {
    let start = bytes.len();
    bytes.extend_from_slice(&[0; 4]);
    let from = bytes.len();
    write(bytes)?;
    let length = u32::try_from(bytes.len().saturating_sub(from)).map_err(io::Error::other)?;
    if let Some(place) = bytes.get_mut(start..from) {
        place.copy_from_slice(&length.to_le_bytes());
    }
    Ok(())
}

/// What [`put_sized`] wrote, one after the other.
fn sized(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = bytes.split_first_chunk()?;
        let (one, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        bytes = rest;
        Some(one)
    })
}
