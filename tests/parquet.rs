//! Parquet holds what JSON lines hold, field by field, with types.
#![cfg(feature = "parquet")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use serde_json::Value;

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples")
}

fn run(arguments: &[&str]) -> std::process::Output {
    let mut program = Command::cargo_bin("exwire").unwrap();
    program
        .current_dir(samples())
        .args(arguments)
        .args(["--quiet"]);
    program.output().unwrap()
}

/// The records of a command as JSON lines, and its Parquet file.
fn both(arguments: &[&str]) -> (Vec<Value>, SerializedFileReader<File>) {
    let lines = run(&[arguments, &["--format", "jsonl"]].concat());
    let lines = String::from_utf8(lines.stdout).unwrap();
    let records = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.parquet");
    let name = path.to_str().unwrap();
    let ran = run(&[arguments, &["--format", "parquet", "--output", name]].concat());
    assert!(ran.stdout.is_empty() && ran.stderr.is_empty(), "{ran:?}");
    (
        records.collect(),
        SerializedFileReader::new(File::open(path).unwrap()).unwrap(),
    )
}

fn nanos(time: &str) -> i64 {
    let time: jiff::Timestamp = time.parse().unwrap();
    i64::try_from(time.as_nanosecond()).unwrap()
}

/// Whether an object says what JSON says. Beside a time stands what it is in nanoseconds.
fn object_agrees(row: &Row, values: &serde_json::Map<String, Value>) -> bool {
    let mut left: BTreeMap<_, _> = values.iter().collect();
    let mut is_same = |name: &String, field: &Field| {
        let base = name
            .strip_suffix("_ns")
            .filter(|_| !values.contains_key(name));
        match (base.map(|base| values.get(base)), field) {
            (None, _) => agrees(field, left.remove(name)),
            (Some(Some(Value::String(time))), Field::Long(exact)) => *exact == nanos(time),
            (Some(None | Some(Value::Null)), field) => *field == Field::Null,
            _ => false,
        }
    };
    let is_same = row
        .get_column_iter()
        .all(|(name, field)| is_same(name, field));
    is_same && left.is_empty()
}

/// Whether a field says what JSON says; a time is cut to microseconds, and what JSON leaves out is null.
fn agrees(field: &Field, value: Option<&Value>) -> bool {
    match (field, value.unwrap_or(&Value::Null)) {
        (Field::Null, Value::Null) => true,
        (Field::Bool(one), Value::Bool(other)) => one == other,
        (Field::Long(one), Value::Number(other)) => Some(*one) == other.as_i64(),
        (Field::TimestampMicros(micros), Value::String(time)) => {
            *micros == nanos(time).div_euclid(1000)
        }
        (Field::Double(one), Value::Number(other)) => Some(*one) == other.as_f64(),
        (Field::Str(one), Value::String(other)) => one == other,
        (Field::ListInternal(list), Value::Array(values)) => {
            list.elements().len() == values.len()
                && list
                    .elements()
                    .iter()
                    .zip(values)
                    .all(|(field, value)| agrees(field, Some(value)))
        }
        (Field::Group(row), Value::Object(values)) => object_agrees(row, values),
        _ => false,
    }
}

fn compare(arguments: &[&str], least: usize) {
    let (records, file) = both(arguments);
    assert!(
        records.len() >= least,
        "{arguments:?} has {} records",
        records.len()
    );
    let rows: Vec<_> = file
        .get_row_iter(None)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(rows.len(), records.len());
    for (row, record) in rows.into_iter().zip(&records) {
        let columns = row.to_string();
        assert!(
            agrees(&Field::Group(row), Some(record)),
            "{columns} is not {record}"
        );
    }
}

#[test]
fn flows_are_those_of_json_lines() {
    compare(
        &[
            "classify",
            "exchange2010-site.pcap",
            "--topology",
            "exchange2010-site.topology.toml",
        ],
        20,
    );
    compare(&["classify", "mirror-erspan-vlan.pcapng", "rotated"], 10);
}

#[test]
fn findings_are_those_of_json_lines() {
    compare(
        &[
            "audit",
            "perimeter-unhealthy.pcap",
            "--topology",
            "perimeter-unhealthy.topology.toml",
        ],
        5,
    );
}

#[test]
fn endpoints_are_those_of_json_lines() {
    compare(
        &["endpoints", "exchange2010-site.pcap", "um-lync-calls.pcap"],
        5,
    );
}

#[test]
fn calls_are_those_of_json_lines() {
    compare(&["calls", "um-lync-calls.pcap"], 3);
}

#[test]
fn rows_of_the_matrix_are_those_of_json_lines() {
    compare(&["matrix"], 100);
}

#[test]
fn no_records_are_a_file_with_columns() {
    let (records, file) = both(&["calls", "perimeter-unhealthy.pcap"]);
    assert!(records.is_empty());
    assert_eq!(file.metadata().file_metadata().num_rows(), 0);
    assert_eq!(
        file.metadata()
            .file_metadata()
            .schema_descr()
            .root_schema()
            .get_fields()
            .len(),
        14
    );
}

#[test]
fn columns_have_the_types_of_their_fields() {
    let (_, file) = both(&["classify", "exchange2010-site.pcap"]);
    let schema = file.metadata().file_metadata().schema_descr();
    let column = |path: &str| {
        let mut all = schema.columns().iter();
        all.find(|column| column.path().string() == path)
            .unwrap_or_else(|| panic!("no column {path}"))
    };
    let time = column("first_seen");
    assert_eq!(time.physical_type(), Type::INT64);
    let micros = LogicalType::timestamp(true, TimeUnit::MICROS);
    assert_eq!(time.logical_type_ref(), Some(&micros));
    assert_eq!(column("first_seen_ns").physical_type(), Type::INT64);
    assert_eq!(
        column("client.address").converted_type(),
        ConvertedType::UTF8
    );
    assert_eq!(column("client.port").physical_type(), Type::INT64);
    assert_eq!(column("packets.list.element").physical_type(), Type::INT64);
    assert_eq!(column("encryption.mutual").physical_type(), Type::BOOLEAN);
    assert_eq!(
        column("rpc.list.element.operations.list.element.name").max_rep_level(),
        2
    );
}

#[test]
fn flows_are_marked_as_sorted_by_their_number() {
    let (_, file) = both(&["classify", "exchange2010-site.pcap"]);
    for group in file.metadata().row_groups() {
        let sorting = group.sorting_columns().unwrap();
        assert!(matches!(&sorting[..], [by] if by.column_idx == 0 && !by.descending));
        assert_eq!(group.column(0).column_path().string(), "flow");
    }
}
