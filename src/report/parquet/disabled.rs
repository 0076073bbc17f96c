//! What stands for Parquet in a build without it.

use std::io::{self, Write};

use serde::Serialize;

use super::super::schema::Field;

fn unavailable() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "this build cannot write parquet: expected one with the feature `parquet`",
    )
}

/// Always empty.
#[derive(Debug, Default)]
pub(in super::super) struct Rows;

impl Rows {
    /// Nothing.
    pub(in super::super) const fn new() -> Self {
        Self
    }

    /// Refuses every record.
    pub(in super::super) fn push(
        &mut self,
        _fields: &'static [Field],
        _record: &impl Serialize,
    ) -> io::Result<()> {
        Err(unavailable())
    }
}

/// No value of it exists.
#[derive(Debug)]
pub(in super::super) enum File {}

impl File {
    /// Refuses.
    pub(in super::super) fn new(_fields: &'static [Field]) -> io::Result<Self> {
        Err(unavailable())
    }

    /// Cannot be called.
    pub(in super::super) fn extend(
        &mut self,
        _rows: &mut Rows,
        _out: &mut dyn Write,
    ) -> io::Result<()> {
        match *self {}
    }

    /// Cannot be called.
    pub(in super::super) fn finish(self, _out: &mut dyn Write) -> io::Result<()> {
        match self {}
    }
}
