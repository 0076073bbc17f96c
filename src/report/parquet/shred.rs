//! Records into columns, as Dremel does it (Melnik et al. 2010; the Parquet format's "Nested Encoding"): each value with the
//! level down to which its path is defined, and the level at which its list goes on.
//!
//! A record is serialized straight into the columns; what its fields do not name is an error, so that no field is lost.

use std::fmt;
use std::ops::Range;

use serde::ser::{self, Impossible, Serialize, Serializer};

use super::super::schema::{Field, Kind};

/// What a record has that its fields do not say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Mismatch(String);

impl ser::Error for Mismatch {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// The values of a leaf that are not null.
#[derive(Debug)]
pub(super) enum Values {
    Boolean(Vec<bool>),
    Integer(Vec<i64>),
    Number(Vec<f64>),
    /// Nanoseconds since 1970, UTC.
    Time(Vec<i64>),
    /// All texts, and where each ends.
    Text {
        bytes: Vec<u8>,
        ends: Vec<usize>,
    },
}

/// A leaf of the schema.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) values: Values,
    pub(super) definitions: Vec<i16>,
    /// None where no list is on the path.
    pub(super) repetitions: Option<Vec<i16>>,
}

impl Column {
    /// Bytes of what it holds.
    pub(super) fn bytes(&self) -> usize {
        let values = match &self.values {
            Values::Boolean(values) => values.len(),
            Values::Integer(values) | Values::Time(values) => size_of_val(&values[..]),
            Values::Number(values) => size_of_val(&values[..]),
            Values::Text { bytes, ends } => bytes.len().saturating_add(size_of_val(&ends[..])),
        };
        values.saturating_add(size_of_val(&self.definitions[..]).saturating_mul(2))
    }

    /// Moves what `more` holds behind its own.
    pub(super) fn append(&mut self, more: &mut Self) {
        self.definitions.append(&mut more.definitions);
        if let (Some(own), Some(more)) = (&mut self.repetitions, &mut more.repetitions) {
            own.append(more);
        }
        match (&mut self.values, &mut more.values) {
            (Values::Boolean(own), Values::Boolean(more)) => own.append(more),
            (Values::Integer(own), Values::Integer(more))
            | (Values::Time(own), Values::Time(more)) => own.append(more),
            (Values::Number(own), Values::Number(more)) => own.append(more),
            (
                Values::Text { bytes, ends },
                Values::Text {
                    bytes: more,
                    ends: more_ends,
                },
            ) => {
                let start = bytes.len();
                bytes.append(more);
                ends.extend(more_ends.drain(..).map(|end| start.saturating_add(end)));
            }
            _ => debug_assert!(false, "rows of one file have one schema"),
        }
    }

    fn level(&mut self, definition: i16, repetition: i16) {
        self.definitions.push(definition);
        if let Some(repetitions) = &mut self.repetitions {
            repetitions.push(repetition);
        }
    }
}

/// A node of the schema, with the leaves below it.
#[derive(Debug)]
pub(super) struct Node {
    name: &'static str,
    leaves: Range<usize>,
    shape: Shape,
}

#[derive(Debug)]
enum Shape {
    Leaf,
    /// With the level at which an element after the first is repeated.
    List(Box<Node>, i16),
    Group(Vec<Node>),
}

impl Node {
    /// The root, and its leaves.
    pub(super) fn record(fields: &'static [Field], columns: &mut Vec<Column>) -> Self {
        Self::of("record", &Kind::Group(fields), 0, columns)
    }

    fn of(name: &'static str, kind: &Kind, lists: i16, columns: &mut Vec<Column>) -> Self {
        let first = columns.len();
        let mut leaf = |values| {
            columns.push(Column {
                values,
                definitions: Vec::new(),
                repetitions: (lists > 0).then(Vec::new),
            });
            Shape::Leaf
        };
        let shape = match kind {
            Kind::Boolean => leaf(Values::Boolean(Vec::new())),
            Kind::Integer => leaf(Values::Integer(Vec::new())),
            Kind::Number => leaf(Values::Number(Vec::new())),
            Kind::Time => leaf(Values::Time(Vec::new())),
            Kind::Text => leaf(Values::Text {
                bytes: Vec::new(),
                ends: Vec::new(),
            }),
            Kind::List(of) => {
                let level = lists.saturating_add(1);
                Shape::List(Box::new(Self::of(name, of, level, columns)), level)
            }
            Kind::Group(fields) => Shape::Group(
                fields
                    .iter()
                    .map(|field| Self::of(field.name, &field.kind, lists, columns))
                    .collect(),
            ),
        };
        Self {
            name,
            leaves: first..columns.len(),
            shape,
        }
    }

    /// Adds a record to the columns.
    pub(super) fn shred(
        &self,
        columns: &mut [Column],
        record: &impl Serialize,
    ) -> Result<(), Mismatch> {
        // The record itself is always there, and has no level.
        record.serialize(Shred {
            node: self,
            columns,
            definition: -1,
            repetition: 0,
        })
    }
}

fn mismatch(node: &Node, found: &str) -> Mismatch {
    let expected = match &node.shape {
        Shape::Leaf => "another type",
        Shape::List(..) => "a list",
        Shape::Group(_) => "an object",
    };
    Mismatch(format!("{}: expected {expected}, found {found}", node.name))
}

/// Where the next value goes: `definition` is the level if it is null.
struct Shred<'a> {
    node: &'a Node,
    columns: &'a mut [Column],
    definition: i16,
    repetition: i16,
}

impl<'a> Shred<'a> {
    fn null(self) {
        let leaves = self.columns.get_mut(self.node.leaves.clone());
        for column in leaves.unwrap_or_default() {
            column.level(self.definition, self.repetition);
        }
    }

    /// The column of a leaf, with the level of a value noted.
    fn leaf(self, found: &str) -> Result<&'a mut Column, Mismatch> {
        let node = self.node;
        match (
            &self.node.shape,
            self.columns.get_mut(self.node.leaves.start),
        ) {
            (Shape::Leaf, Some(column)) => {
                column.level(self.definition.saturating_add(1), self.repetition);
                Ok(column)
            }
            _ => Err(mismatch(node, found)),
        }
    }

    fn integer(self, number: Option<i64>) -> Result<(), Mismatch> {
        let Some(number) = number else {
            // Beyond 63 bits: no count gets there, and a wrong number would be worse than none.
            self.null();
            return Ok(());
        };
        let node = self.node;
        match &mut self.leaf("a whole number")?.values {
            Values::Integer(values) => values.push(number),
            #[expect(clippy::cast_precision_loss, reason = "as JSON readers do")]
            Values::Number(values) => values.push(number as f64),
            _ => return Err(mismatch(node, "a whole number")),
        }
        Ok(())
    }

    fn group(self) -> Result<Fields<'a>, Mismatch> {
        let node = self.node;
        match &self.node.shape {
            Shape::Group(fields) => Ok(Fields {
                fields,
                columns: self.columns,
                definition: self.definition.saturating_add(1),
                repetition: self.repetition,
                given: 0,
                next: 0,
                key: String::new(),
            }),
            _ => Err(mismatch(node, "an object")),
        }
    }

    fn list(self) -> Result<Elements<'a>, Mismatch> {
        let node = self.node;
        match &self.node.shape {
            Shape::List(element, level) => Ok(Elements {
                element,
                columns: self.columns,
                definition: self.definition.saturating_add(1),
                repetition: self.repetition,
                level: *level,
                is_empty: true,
            }),
            _ => Err(mismatch(node, "a list")),
        }
    }
}

/// The fields of an object, in any order; those that are not given are null.
struct Fields<'a> {
    fields: &'a [Node],
    columns: &'a mut [Column],
    definition: i16,
    repetition: i16,
    /// A bit for each field that was given.
    given: u64,
    /// Where the next field probably is: fields mostly come in the schema's order.
    next: usize,
    key: String,
}

impl Fields<'_> {
    fn value<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), Mismatch> {
        let is_next = self
            .fields
            .get(self.next)
            .is_some_and(|node| node.name == key);
        let place = if is_next {
            Some(self.next)
        } else {
            self.fields.iter().position(|node| node.name == key)
        };
        let Some((place, node)) = place.and_then(|place| Some((place, self.fields.get(place)?)))
        else {
            return Err(Mismatch(format!("no column for the field {key}")));
        };
        self.given |= bit(place);
        self.next = place.saturating_add(1);
        value.serialize(Shred {
            node,
            columns: self.columns,
            definition: self.definition,
            repetition: self.repetition,
        })
    }

    fn finish(self) {
        for (place, node) in self.fields.iter().enumerate() {
            if self.given & bit(place) == 0 {
                let shred = Shred {
                    node,
                    columns: self.columns,
                    definition: self.definition,
                    repetition: self.repetition,
                };
                shred.null();
            }
        }
    }
}

/// No object of this program has 64 fields; one that had would be found by the tests of its record.
fn bit(place: usize) -> u64 {
    u32::try_from(place)
        .ok()
        .and_then(|place| 1_u64.checked_shl(place))
        .unwrap_or(0)
}

/// The elements of a list.
struct Elements<'a> {
    element: &'a Node,
    columns: &'a mut [Column],
    definition: i16,
    repetition: i16,
    level: i16,
    is_empty: bool,
}

impl Elements<'_> {
    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Mismatch> {
        let repetition = if self.is_empty {
            self.repetition
        } else {
            self.level
        };
        self.is_empty = false;
        value.serialize(Shred {
            node: self.element,
            columns: self.columns,
            definition: self.definition.saturating_add(1),
            repetition,
        })
    }

    fn finish(self) {
        if self.is_empty {
            let shred = Shred {
                node: self.element,
                columns: self.columns,
                definition: self.definition,
                repetition: self.repetition,
            };
            shred.null();
        }
    }
}

macro_rules! integers {
    ($($method:ident: $type:ty),*) => {
        $(fn $method(self, number: $type) -> Result<(), Mismatch> {
            self.integer(i64::try_from(number).ok())
        })*
    };
}

impl<'a> Serializer for Shred<'a> {
    type Ok = ();
    type Error = Mismatch;
    type SerializeSeq = Elements<'a>;
    type SerializeTuple = Elements<'a>;
    type SerializeTupleStruct = Impossible<(), Mismatch>;
    type SerializeTupleVariant = Impossible<(), Mismatch>;
    type SerializeMap = Fields<'a>;
    type SerializeStruct = Fields<'a>;
    type SerializeStructVariant = Impossible<(), Mismatch>;

    integers!(
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64
    );

    fn serialize_bool(self, value: bool) -> Result<(), Mismatch> {
        let node = self.node;
        match &mut self.leaf("true or false")?.values {
            Values::Boolean(values) => values.push(value),
            _ => return Err(mismatch(node, "true or false")),
        }
        Ok(())
    }

    fn serialize_f32(self, number: f32) -> Result<(), Mismatch> {
        self.serialize_f64(f64::from(number))
    }

    fn serialize_f64(self, number: f64) -> Result<(), Mismatch> {
        let node = self.node;
        match &mut self.leaf("a number")?.values {
            Values::Number(values) => values.push(number),
            _ => return Err(mismatch(node, "a number")),
        }
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), Mismatch> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, text: &str) -> Result<(), Mismatch> {
        let node = self.node;
        match &mut self.leaf("text")?.values {
            Values::Text { bytes, ends } => {
                bytes.extend_from_slice(text.as_bytes());
                ends.push(bytes.len());
            }
            Values::Time(values) => {
                let time: jiff::Timestamp = text.parse().map_err(ser::Error::custom)?;
                let nanos = i64::try_from(time.as_nanosecond());
                values.push(nanos.map_err(ser::Error::custom)?);
            }
            _ => return Err(mismatch(node, "text")),
        }
        Ok(())
    }

    fn serialize_bytes(self, _bytes: &[u8]) -> Result<(), Mismatch> {
        Err(mismatch(self.node, "bytes"))
    }

    fn serialize_none(self) -> Result<(), Mismatch> {
        self.null();
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Mismatch> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Mismatch> {
        self.serialize_none()
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Mismatch> {
        self.serialize_none()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), Mismatch> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), Mismatch> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _value: &T,
    ) -> Result<(), Mismatch> {
        Err(mismatch(self.node, variant))
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<Elements<'a>, Mismatch> {
        self.list()
    }

    fn serialize_tuple(self, _length: usize) -> Result<Elements<'a>, Mismatch> {
        self.list()
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeTupleStruct, Mismatch> {
        Err(mismatch(self.node, name))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeTupleVariant, Mismatch> {
        Err(mismatch(self.node, variant))
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Fields<'a>, Mismatch> {
        self.group()
    }

    fn serialize_struct(self, _name: &'static str, _length: usize) -> Result<Fields<'a>, Mismatch> {
        self.group()
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeStructVariant, Mismatch> {
        Err(mismatch(self.node, variant))
    }
}

impl ser::SerializeStruct for Fields<'_> {
    type Ok = ();
    type Error = Mismatch;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), Mismatch> {
        self.value(key, value)
    }

    fn end(self) -> Result<(), Mismatch> {
        self.finish();
        Ok(())
    }
}

impl ser::SerializeMap for Fields<'_> {
    type Ok = ();
    type Error = Mismatch;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Mismatch> {
        let key = serde_json::to_value(key).map_err(ser::Error::custom)?;
        self.key = key.as_str().unwrap_or_default().to_owned();
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Mismatch> {
        let key = std::mem::take(&mut self.key);
        self.value(&key, value)
    }

    fn end(self) -> Result<(), Mismatch> {
        self.finish();
        Ok(())
    }
}

impl ser::SerializeSeq for Elements<'_> {
    type Ok = ();
    type Error = Mismatch;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Mismatch> {
        self.value(value)
    }

    fn end(self) -> Result<(), Mismatch> {
        self.finish();
        Ok(())
    }
}

impl ser::SerializeTuple for Elements<'_> {
    type Ok = ();
    type Error = Mismatch;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Mismatch> {
        self.value(value)
    }

    fn end(self) -> Result<(), Mismatch> {
        self.finish();
        Ok(())
    }
}
