//! The file: its schema, and its row groups out of shredded records.

use std::io::{self, Write};
use std::mem;
use std::sync::Arc;

use ::parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use ::parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::SortingColumn;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::types::{Type, TypePtr};
use serde::Serialize;

use super::super::schema::{Field, Kind};
use super::shred::{Column, Node, Values};

/// A row group is written when it has so many records: readers take a group at a time, and find by its least and greatest
/// values whether they need it.
const MAX_ROWS: usize = 1 << 17;
/// Or when its values and levels take so many bytes: this is held in memory.
const MAX_BYTES: usize = 32 << 20;
/// The number of a flow; records that begin with it are in its order.
const FLOW: &str = "flow";

/// Records as columns.
#[derive(Debug, Default)]
pub(in super::super) struct Rows {
    root: Option<Node>,
    columns: Vec<Column>,
    count: usize,
}

impl Rows {
    /// No records.
    pub(in super::super) const fn new() -> Self {
        Self {
            root: None,
            columns: Vec::new(),
            count: 0,
        }
    }

    /// Adds a record.
    ///
    /// # Errors
    /// The record is not what its fields say.
    pub(in super::super) fn push(
        &mut self,
        fields: &'static [Field],
        record: &impl Serialize,
    ) -> io::Result<()> {
        let columns = &mut self.columns;
        let root = self
            .root
            .get_or_insert_with(|| Node::record(fields, columns));
        root.shred(columns, record).map_err(io::Error::other)?;
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    /// Whether there are none.
    pub(in super::super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes that they take.
    pub(in super::super) fn bytes(&self) -> usize {
        self.columns.iter().map(Column::bytes).sum()
    }

    /// Moves those of `other` behind these.
    fn append(&mut self, other: &mut Self) {
        if self.is_empty() {
            mem::swap(self, other);
            return;
        }
        self.count = self.count.saturating_add(mem::take(&mut other.count));
        for (column, more) in self.columns.iter_mut().zip(&mut other.columns) {
            column.append(more);
        }
    }
}

/// A file under construction: what the writer of the format has made goes on to the output at each group's end.
pub(in super::super) struct File {
    writer: SerializedFileWriter<Vec<u8>>,
    rows: Rows,
}

impl File {
    /// A file of records with these fields.
    ///
    /// # Errors
    /// The schema has no form in the format, which none of this program has.
    pub(in super::super) fn new(fields: &'static [Field]) -> io::Result<Self> {
        let schema = schema(fields).map_err(io::Error::other)?;
        let is_sorted = fields.first().is_some_and(|first| first.name == FLOW);
        let sorting = is_sorted.then(|| {
            vec![SortingColumn {
                column_idx: 0,
                descending: false,
                nulls_first: false,
            }]
        });
        let properties = WriterProperties::builder()
            .set_created_by(concat!("exwire ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(Compression::SNAPPY)
            .set_sorting_columns(sorting)
            .build();
        let writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))
            .map_err(io::Error::other)?;
        Ok(Self {
            writer,
            rows: Rows::new(),
        })
    }

    /// Takes all of `rows`, and writes a group where enough are gathered.
    ///
    /// # Errors
    /// What the output says.
    pub(in super::super) fn extend(
        &mut self,
        rows: &mut Rows,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        self.rows.append(rows);
        if self.rows.count >= MAX_ROWS || self.rows.bytes() >= MAX_BYTES {
            self.group(out)?;
        }
        Ok(())
    }

    /// Writes what is left, and the footer.
    ///
    /// # Errors
    /// What the output says.
    pub(in super::super) fn finish(mut self, out: &mut dyn Write) -> io::Result<()> {
        self.group(out)?;
        let footer = self.writer.into_inner().map_err(io::Error::other)?;
        out.write_all(&footer)
    }

    /// Writes the gathered rows as one group.
    fn group(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if !self.rows.is_empty() {
            let rows = mem::take(&mut self.rows);
            encode(&mut self.writer, rows.columns).map_err(io::Error::other)?;
        }
        let made = self.writer.inner_mut();
        out.write_all(made)?;
        made.clear();
        Ok(())
    }
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("File")
            .field("rows", &self.rows.count)
            .finish_non_exhaustive()
    }
}

fn encode(
    writer: &mut SerializedFileWriter<Vec<u8>>,
    columns: Vec<Column>,
) -> Result<(), ParquetError> {
    let mut group = writer.next_row_group()?;
    for column in columns {
        let Some(mut out) = group.next_column()? else {
            break;
        };
        let Column {
            values,
            definitions,
            repetitions,
            ..
        } = column;
        let (definitions, repetitions) = (Some(&definitions[..]), repetitions.as_deref());
        match values {
            Values::Boolean(values) => {
                let typed = out.typed::<BoolType>();
                typed.write_batch(&values, definitions, repetitions)?;
            }
            Values::Integer(values) => {
                let typed = out.typed::<Int64Type>();
                typed.write_batch(&values, definitions, repetitions)?;
            }
            Values::Time(nanos) => {
                let micros: Vec<i64> = nanos.iter().map(|nanos| nanos.div_euclid(1000)).collect();
                let typed = out.typed::<Int64Type>();
                typed.write_batch(&micros, definitions, repetitions)?;
                out.close()?;
                let Some(exact) = group.next_column()? else {
                    break;
                };
                out = exact;
                let typed = out.typed::<Int64Type>();
                typed.write_batch(&nanos, definitions, repetitions)?;
            }
            Values::Number(values) => {
                let typed = out.typed::<DoubleType>();
                typed.write_batch(&values, definitions, repetitions)?;
            }
            Values::Text { bytes, ends } => {
                let all = ByteArray::from(bytes);
                let mut start = 0;
                let texts: Vec<ByteArray> = ends
                    .into_iter()
                    .map(|end| {
                        let text = all.slice(start, end.saturating_sub(start));
                        start = end;
                        text
                    })
                    .collect();
                let typed = out.typed::<ByteArrayType>();
                typed.write_batch(&texts, definitions, repetitions)?;
            }
        }
        out.close()?;
    }
    group.close()?;
    Ok(())
}

fn schema(fields: &[Field]) -> Result<TypePtr, ParquetError> {
    let record = Type::group_type_builder("record").with_fields(types(fields)?);
    Ok(Arc::new(record.build()?))
}

/// What the column with a time's nanoseconds is called behind the time's name.
const EXACT: &str = "_ns";

/// The columns of fields. A time has two: a timestamp in microseconds, because many readers know no finer one, and what it is
/// to the nanosecond as a number.
fn types(fields: &[Field]) -> Result<Vec<TypePtr>, ParquetError> {
    let mut types = Vec::new();
    for field in fields {
        types.push(Arc::new(optional(field.name, &field.kind)?));
        if matches!(field.kind, Kind::Time) {
            let name = format!("{}{EXACT}", field.name);
            types.push(Arc::new(optional(&name, &Kind::Integer)?));
        }
    }
    Ok(types)
}

fn optional(name: &str, kind: &Kind) -> Result<Type, ParquetError> {
    let leaf = |physical, logical| {
        Type::primitive_type_builder(name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical)
            .build()
    };
    match kind {
        Kind::Boolean => leaf(Physical::BOOLEAN, None),
        Kind::Integer => leaf(Physical::INT64, None),
        Kind::Number => leaf(Physical::DOUBLE, None),
        Kind::Text => leaf(Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Kind::Time => leaf(
            Physical::INT64,
            Some(LogicalType::timestamp(true, TimeUnit::MICROS)),
        ),
        Kind::Group(fields) => Type::group_type_builder(name)
            .with_repetition(Repetition::OPTIONAL)
            .with_fields(types(fields)?)
            .build(),
        // The three levels that the format asks for, with its names.
        Kind::List(of) => {
            let element = Arc::new(optional("element", of)?);
            let repeated = Type::group_type_builder("list")
                .with_repetition(Repetition::REPEATED)
                .with_fields(vec![element])
                .build()?;
            Type::group_type_builder(name)
                .with_repetition(Repetition::OPTIONAL)
                .with_logical_type(Some(LogicalType::List))
                .with_fields(vec![Arc::new(repeated)])
                .build()
        }
    }
}

#[cfg(test)]
mod tests {
    use ::parquet::file::reader::{FileReader, SerializedFileReader};
    use serde::Serialize;

    use super::super::super::schema::{INTEGERS, field};
    use super::*;

    #[derive(Serialize)]
    struct Numbered {
        flow: u64,
        parts: Vec<u32>,
    }

    const FIELDS: &[Field] = &[field("flow", Kind::Integer), field("parts", INTEGERS)];

    fn record(flow: u64) -> Numbered {
        let parts = (0..u32::try_from(flow % 3).unwrap()).collect();
        Numbered { flow, parts }
    }

    fn file_of(bytes: &[u8]) -> std::fs::File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn many_records_make_groups_of_bounded_size_in_order() {
        let (mut file, mut out) = (File::new(FIELDS).unwrap(), Vec::new());
        let count = 5 * MAX_ROWS as u64 / 2;
        let mut rows = Rows::new();
        for flow in 0..count {
            rows.push(FIELDS, &record(flow)).unwrap();
            // Batches of any size, as threads hand them over.
            if flow % 1000 == flow % 7 {
                file.extend(&mut rows, &mut out).unwrap();
                assert!(rows.is_empty() && file.rows.count < MAX_ROWS);
            }
        }
        file.extend(&mut rows, &mut out).unwrap();
        assert!(!out.is_empty(), "groups are written as they are full");
        file.finish(&mut out).unwrap();
        let read = SerializedFileReader::new(file_of(&out)).unwrap();
        assert!(read.num_row_groups() >= 3);
        let flows = read.get_row_iter(None).unwrap().map(Result::unwrap);
        let mut seen = 0;
        for (row, flow) in flows.zip(0..) {
            let expected = record(flow);
            let parts: Vec<String> = expected.parts.iter().map(ToString::to_string).collect();
            let text = format!("{{flow: {flow}, parts: [{}]}}", parts.join(", "));
            assert_eq!(row.to_string(), text);
            seen += 1;
        }
        assert_eq!(seen, count);
    }

    #[test]
    fn a_field_without_a_column_is_an_error_that_names_it() {
        #[derive(Serialize)]
        struct More {
            flow: u64,
            added: u64,
        }
        let error = Rows::new().push(FIELDS, &More { flow: 1, added: 2 });
        assert_eq!(
            error.unwrap_err().to_string(),
            "no column for the field added"
        );
    }

    #[test]
    fn a_value_of_another_type_is_an_error() {
        #[derive(Serialize)]
        struct Worded {
            flow: &'static str,
        }
        let error = Rows::new().push(FIELDS, &Worded { flow: "one" });
        let error = error.unwrap_err().to_string();
        assert_eq!(error, "flow: expected another type, found text");
    }
}
