//! Tables for people: as wide as the terminal, the important columns first.

use std::io::{self, Write};

use comfy_table::{Cell, CellAlignment, Color, ContentArrangement, LineStyle, Table, TableStyle};

use super::{Record, Style};

/// A line below the headings and nothing else: rows stand close, and cut and paste well.
const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));
/// Rows drawn at once: a table must know all of its cells, so a long one is drawn in parts.
const ROWS: usize = 2000;

pub(super) fn write<R: Record>(
    records: impl Iterator<Item = R>,
    style: Style,
    out: &mut dyn Write,
) -> io::Result<()> {
    let columns: Vec<_> = R::TABLE
        .iter()
        .filter(|column| column.from_width <= style.width)
        .collect();
    let new_table = || {
        let mut table = Table::new();
        table.load_style(STYLE);
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(style.width);
        table.set_header(columns.iter().map(|column| column.name));
        for (index, column) in columns.iter().enumerate() {
            if let (true, Some(drawn)) = (column.is_number, table.column_mut(index)) {
                drawn.set_cell_alignment(CellAlignment::Right);
            }
        }
        table
    };
    let mut table = new_table();
    let mut rows = 0_usize;
    for record in records {
        table.add_row(
            columns
                .iter()
                .map(|column| cell(record.cell(column.name), style.colour)),
        );
        for index in 0..record.details() {
            table.add_row(
                columns
                    .iter()
                    .map(|column| cell(record.detail(index, column.name), style.colour)),
            );
        }
        rows = rows.saturating_add(1).saturating_add(record.details());
        if rows >= ROWS {
            writeln!(out, "{table}")?;
            (table, rows) = (new_table(), 0);
        }
    }
    if rows > 0 {
        writeln!(out, "{table}")?;
    }
    Ok(())
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
