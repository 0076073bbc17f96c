//! JSON: one array, or one object a line.

use std::io::{self, Write};

use super::Record;

pub(super) fn lines<R: Record>(
    records: impl Iterator<Item = R>,
    out: &mut dyn Write,
) -> io::Result<()> {
    for record in records {
        serde_json::to_writer(&mut *out, &record)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

pub(super) fn array<R: Record>(
    records: impl Iterator<Item = R>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut before = "[\n";
    for record in records {
        out.write_all(before.as_bytes())?;
        serde_json::to_writer(&mut *out, &record)?;
        before = ",\n";
    }
    out.write_all(if before == "[\n" { b"[]\n" } else { b"\n]\n" })
}
