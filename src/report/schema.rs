//! The types of a record's fields, for formats whose columns have types.

/// A field, by its name in JSON.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The contract's name.
    pub name: &'static str,
    /// What it holds; any field may be null.
    pub kind: Kind,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// True or false.
    Boolean,
    /// A whole number of 64 bits.
    Integer,
    /// A number with decimals.
    Number,
    /// Text.
    Text,
    /// A time, RFC 3339 in JSON; never an element of a list.
    Time,
    /// Any number of values.
    List(&'static Self),
    /// An object.
    Group(&'static [Field]),
}

/// A list of texts.
pub(super) const TEXTS: Kind = Kind::List(&Kind::Text);
/// A list of whole numbers.
pub(super) const INTEGERS: Kind = Kind::List(&Kind::Integer);

/// One field.
pub(super) const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind }
}
