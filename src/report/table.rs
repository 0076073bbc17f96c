//! Tables for people: as wide as the terminal, the important columns first.

use std::io::{self, Write};

use comfy_table::{Cell, CellAlignment, Color, ContentArrangement, LineStyle, Table, TableStyle};

use super::{Column, Record, Style};

/// A line below the headings and nothing else: rows stand close, and cut and paste well.
const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));
/// Rows drawn at once: a table must know all of its cells, so a long one is drawn in parts.
const ROWS: usize = 2000;

/// The columns that fit the width.
pub(super) fn columns<R: Record>(style: Style) -> impl Iterator<Item = &'static Column> {
    R::TABLE
        .iter()
        .filter(move |column| column.from_width <= style.width)
}

/// The cells of one record: its own line, then those of its parts.
pub(super) fn push<R: Record>(record: &R, style: Style, rows: &mut Vec<Vec<String>>) {
    rows.push(
        columns::<R>(style)
            .map(|column| record.cell(column.name))
            .collect(),
    );
    for index in 0..record.details() {
        let cells = columns::<R>(style).map(|column| record.detail(index, column.name));
        rows.push(cells.collect());
    }
}

/// A table that is drawn in parts.
#[derive(Debug)]
pub(super) struct Drawing {
    columns: Vec<&'static Column>,
    style: Style,
    rows: Vec<Vec<String>>,
}

impl Drawing {
    pub(super) fn of<R: Record>(style: Style) -> Self {
        Self {
            columns: columns::<R>(style).collect(),
            style,
            rows: Vec::new(),
        }
    }

    pub(super) fn extend(&mut self, rows: Vec<Vec<String>>, out: &mut dyn Write) -> io::Result<()> {
        for row in rows {
            self.rows.push(row);
            if self.rows.len() >= ROWS {
                self.draw(out)?;
            }
        }
        Ok(())
    }

    pub(super) fn draw(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let mut table = Table::new();
        table.load_style(STYLE);
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(self.style.width);
        table.set_header(self.columns.iter().map(|column| column.name));
        for (index, column) in self.columns.iter().enumerate() {
            if let (true, Some(drawn)) = (column.is_number, table.column_mut(index)) {
                drawn.set_cell_alignment(CellAlignment::Right);
            }
        }
        for row in self.rows.drain(..) {
            table.add_row(row.into_iter().map(|text| cell(text, self.style.colour)));
        }
        writeln!(out, "{table}")
    }
}

fn cell(text: String, colour: bool) -> Cell {
    let tint = match text.as_str() {
        _ if !colour => None,
        "documented" | "proven" => Some(Color::Green),
        "unproven" | "warning" => Some(Color::Yellow),
        "undocumented" | "contradicted" | "error" => Some(Color::Red),
        "unattributed" | "info" => Some(Color::DarkGrey),
        _ => None,
    };
    let cell = Cell::new(text);
    match tint {
        Some(tint) => cell.fg(tint),
        None => cell,
    }
}
