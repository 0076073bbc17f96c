//! Every cell of `classify --format csv` says what the JSON of its flow says.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod cli_support;

use cli_support::{Run, sample};
use serde_json::Value;

/// The text of a value: lists joined by `;`, fields of objects by a blank, nothing for null.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(";"),
        Value::Object(fields) => {
            let filled = fields.values().filter(|field| !field.is_null());
            filled.map(text).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

/// The value that a column names: nested names are joined by `_`, pairs end in `_client` and `_server`.
fn cell(record: &Value, column: &str) -> String {
    if let Some(value) = record.get(column) {
        return text(value);
    }
    let nested = record
        .as_object()
        .into_iter()
        .flatten()
        .find_map(|(name, value)| {
            let rest = column.strip_prefix(name.as_str())?.strip_prefix('_')?;
            match (value, rest) {
                (Value::Array(pair), "client") => Some(text(&pair[0])),
                (Value::Array(pair), "server") => Some(text(&pair[1])),
                (Value::Object(_), rest) => Some(cell(value, rest)),
                _ => None,
            }
        });
    nested.unwrap_or_default()
}

#[test]
fn cells_are_those_of_the_json() {
    let mut compared = 0;
    for name in [
        "exchange2010-site.pcap",
        "perimeter-unhealthy.pcap",
        "um-lync-calls.pcap",
    ] {
        let path = sample(name);
        let of = |format| Run::of(&["classify", "-q", "--format", format, &path]);
        let (records, lines) = (of("jsonl").records(), of("csv").out);
        let mut reader = csv::Reader::from_reader(lines.as_bytes());
        let columns = reader.headers().unwrap().clone();
        let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
        assert_eq!(records.len(), rows.len());
        for (record, row) in records.iter().zip(&rows) {
            for (column, found) in columns.iter().zip(row) {
                assert_eq!(found, cell(record, column), "{column} of {record}");
                compared += usize::from(!found.is_empty());
            }
        }
    }
    assert!(compared > 1000, "{compared}");
}
