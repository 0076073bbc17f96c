//! JSON: one array, or one object a line.

use serde::Serialize;

/// What stands between two records of an array.
pub(super) const BETWEEN: &[u8] = b",\n";

/// Appends one record.
pub(super) fn push(record: &impl Serialize, bytes: &mut Vec<u8>) -> std::io::Result<()> {
    serde_json::to_writer(bytes, record)?;
    Ok(())
}
