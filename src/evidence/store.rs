//! Where packed episodes lie: in memory as long as they may, then in a temporary file.
//!
//! The file has no name (it is unlinked before anything is written), so it is gone when the process is, however that ends.
//! Blocks are the same bytes in either place: what was spilled is read like what was not. Trouble with the file never loses
//! what was seen: what cannot be written stays in memory, and what cannot be read ends the reading and is told
//! ([`Store::trouble`]).

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The place of packed episodes of one scan, shared by its workers.
#[derive(Debug)]
pub struct Store {
    /// Bytes that may be held in memory.
    limit: u64,
    held: AtomicU64,
    spilled: AtomicU64,
    spill: Mutex<Spill>,
}

#[derive(Debug, Default)]
struct Spill {
    file: Option<File>,
    trouble: Option<Arc<io::Error>>,
}

impl Default for Store {
    fn default() -> Self {
        Self::with_limit(u64::MAX)
    }
}

impl Store {
    /// A store that holds that many bytes in memory before it uses a file.
    pub fn with_limit(limit: u64) -> Self {
        Self {
            limit,
            held: AtomicU64::new(0),
            spilled: AtomicU64::new(0),
            spill: Mutex::default(),
        }
    }

    /// Bytes in memory.
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Bytes in the file.
    pub fn spilled(&self) -> u64 {
        self.spilled.load(Ordering::Relaxed)
    }

    /// What went wrong with the file, if anything did.
    pub fn trouble(&self) -> Option<Arc<io::Error>> {
        self.lock().trouble.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Spill> {
        self.spill.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a block.
    pub(super) fn keep(&self, block: &[u8]) -> Stored {
        let length = block.len() as u64;
        if self.held().saturating_add(length) > self.limit {
            match self.append(block) {
                Ok(at) => {
                    self.spilled.fetch_add(length, Ordering::Relaxed);
                    return Stored::File { at };
                }
                Err(error) => self.fail(error),
            }
        }
        self.held.fetch_add(length, Ordering::Relaxed);
        Stored::Memory(block.into())
    }

    fn append(&self, block: &[u8]) -> io::Result<u64> {
        let mut spill = self.lock();
        if let Some(error) = &spill.trouble {
            return Err(io::Error::new(error.kind(), Arc::clone(error)));
        }
        let file = match &mut spill.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile()?),
        };
        let at = file.seek(SeekFrom::End(0))?;
        file.write_all(block)?;
        Ok(at)
    }

    /// Reads a block of that many bytes; `false`, and told by [`Store::trouble`], where the file does not give it back.
    pub(super) fn read(&self, stored: &Stored, length: usize, block: &mut Vec<u8>) -> bool {
        block.clear();
        let at = match stored {
            Stored::Memory(bytes) => {
                block.extend_from_slice(bytes);
                return true;
            }
            Stored::File { at } => *at,
        };
        block.resize(length, 0);
        let mut read = || {
            let mut spill = self.lock();
            let file = spill.file.as_mut().ok_or(io::ErrorKind::NotFound)?;
            file.seek(SeekFrom::Start(at))?;
            file.read_exact(block)
        };
        let done: io::Result<()> = read();
        match done {
            Ok(()) => true,
            Err(error) => {
                self.fail(error);
                false
            }
        }
    }

    /// Notes the first trouble.
    pub(super) fn fail(&self, error: io::Error) {
        self.lock().trouble.get_or_insert_with(|| Arc::new(error));
    }
}

/// Where a block lies.
#[derive(Debug)]
pub(super) enum Stored {
    Memory(Box<[u8]>),
    File { at: u64 },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_the_limit_goes_to_the_file_and_comes_back() {
        let store = Store::with_limit(10);
        let blocks: Vec<Vec<u8>> = (0..5_u8).map(|n| vec![n; 4]).collect();
        let kept: Vec<Stored> = blocks.iter().map(|block| store.keep(block)).collect();
        assert_eq!((store.held(), store.spilled()), (8, 12));
        let mut found = Vec::new();
        for (block, stored) in blocks.iter().zip(&kept).rev() {
            assert!(store.read(stored, 4, &mut found));
            assert_eq!(*block, found);
        }
        assert!(store.trouble().is_none());
    }

    #[test]
    fn a_block_that_the_file_does_not_hold_is_trouble_and_no_panic() {
        let store = Store::with_limit(0);
        store.keep(b"abc");
        let mut found = Vec::new();
        assert!(!store.read(&Stored::File { at: 2 }, 9, &mut found));
        assert_eq!(
            store.trouble().map(|error| error.kind()),
            Some(io::ErrorKind::UnexpectedEof)
        );
    }
}
