//! CRYPTO frames of one side put together (RFC 9000 §19.6).

use super::super::Reject;
use super::varint;
use crate::bytes::Cursor;

/// Bytes of a side's handshake that are kept: a ClientHello with a post-quantum key and tickets has some kilobytes.
/// Frames that reach further are left out, and a hello that needs them is read as far as it is there.
const MAX_BYTES: usize = 16 * 1024;

/// What one side sent of its handshake: pieces in any order, of which the start is read.
#[derive(Default)]
pub(super) struct Crypto {
    bytes: Vec<u8>,
    /// Which of `bytes` are there.
    filled: Vec<bool>,
    /// How many are there without a gap.
    whole: usize,
    /// How many of these were passed over.
    passed: usize,
}

impl Crypto {
    /// What is there without a gap, and was not passed over.
    pub(super) fn whole(&self) -> &[u8] {
        self.bytes.get(self.passed..self.whole).unwrap_or_default()
    }

    /// Passes over `count` bytes.
    pub(super) fn pass(&mut self, count: usize) {
        self.passed = self.passed.saturating_add(count).min(self.whole);
    }

    /// Takes in the frames of an Initial packet, up to the first that may not be there (RFC 9000 §12.4).
    pub(super) fn frames(&mut self, payload: &[u8]) {
        let mut cursor = Cursor::new(payload);
        while !cursor.is_empty() && self.frame(&mut cursor).is_ok() {}
        while self.filled.get(self.whole) == Some(&true) {
            self.whole = self.whole.saturating_add(1);
        }
    }

    fn frame(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Reject> {
        const PADDING: u64 = 0;
        const PING: u64 = 1;
        const ACK: u64 = 2;
        const ACK_ECN: u64 = 3;
        const CRYPTO: u64 = 6;
        match varint(cursor)? {
            PADDING | PING => {}
            kind @ (ACK | ACK_ECN) => {
                let (_largest, _delay) = (varint(cursor)?, varint(cursor)?);
                let (ranges, _first) = (varint(cursor)?, varint(cursor)?);
                for _ in 0..ranges {
                    let (_gap, _length) = (varint(cursor)?, varint(cursor)?);
                }
                if kind == ACK_ECN {
                    let _counts = [varint(cursor)?, varint(cursor)?, varint(cursor)?];
                }
            }
            CRYPTO => {
                let offset = usize::try_from(varint(cursor)?).unwrap_or(usize::MAX);
                let length = usize::try_from(varint(cursor)?).unwrap_or(usize::MAX);
                self.put(offset, cursor.take(length)?);
            }
            _ => return Err(Reject::Invalid("frame")),
        }
        Ok(())
    }

    /// What came first stays.
    fn put(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset.saturating_add(bytes.len());
        if end > MAX_BYTES {
            return;
        }
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
            self.filled.resize(end, false);
        }
        let places = self.bytes.iter_mut().zip(&mut self.filled).skip(offset);
        for ((place, is_filled), byte) in places.zip(bytes) {
            if !*is_filled {
                (*place, *is_filled) = (*byte, true);
            }
        }
    }
}
