//! Records of a ledger by the hundred, copied out of it: what is handed from the thread that reads to those that unpack.

use std::ops::Range;

use crate::evidence::Record;

/// Records of a chunk: enough that handing it over costs nothing, few enough that the chunks at work are megabytes.
const RECORDS: usize = 256;
/// Bytes of a chunk of common records, about: what is set aside for it at once.
const USUAL_BYTES: usize = 64 << 10;

/// Some records, in order.
pub(super) struct Chunk {
    /// Place of each record, its packer, and where it lies in `bytes`.
    records: Vec<(u64, usize, Range<usize>)>,
    bytes: Vec<u8>,
}

impl Default for Chunk {
    fn default() -> Self {
        Self {
            records: Vec::with_capacity(RECORDS),
            bytes: Vec::with_capacity(USUAL_BYTES),
        }
    }
}

impl Chunk {
    /// Adds the record of that place.
    pub(super) fn push(&mut self, place: u64, record: &Record<'_>) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(record.bytes);
        let range = start..self.bytes.len();
        self.records.push((place, record.packed, range));
    }

    /// How many records it holds.
    pub(super) const fn len(&self) -> u64 {
        self.records.len() as u64
    }

    /// Whether it is time for the next one.
    pub(super) const fn is_full(&self) -> bool {
        self.records.len() >= RECORDS
    }

    /// The chunk, if it holds anything.
    pub(super) fn some(self) -> Option<Self> {
        (!self.records.is_empty()).then_some(self)
    }

    /// The place of each record, its packer, and its bytes.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, usize, &[u8])> {
        self.records.iter().map(|(place, packed, range)| {
            let bytes = self.bytes.get(range.clone()).unwrap_or_default();
            (*place, *packed, bytes)
        })
    }
}
