//! Where packed episodes lie: in memory as long as they may, then in a temporary file.
//!
//! The file has no name (it is unlinked before anything is written), so it is gone when the process is, however that ends.
//! Blocks are the same bytes in either place: what was spilled is read like what was not. Trouble with the file never loses
//! what was seen: what cannot be written stays in memory, and what cannot be read ends the reading and is told
//! ([`Store::trouble`]).

use std::cell::RefCell;
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

    /// Compresses a block and keeps it.
    pub fn press(&self, plain: &[u8]) -> Pressed {
        thread_local! {
            /// Room for a block at its worst, which is made once.
            static ROOM: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        let size = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        ROOM.with_borrow_mut(|room| {
            let most = lz4_flex::block::get_maximum_output_size(plain.len());
            if room.len() < most {
                room.resize(most, 0);
            }
            // There is room for the worst case, so this cannot fail.
            let length = lz4_flex::block::compress_into(plain, room).unwrap_or_default();
            Pressed {
                plain: size(plain.len()),
                pressed: size(length),
                stored: self.keep(room.get(..length).unwrap_or_default()),
            }
        })
    }

    /// Reads a compressed block; `false`, and told by [`Store::trouble`], where the file does not give it back.
    pub fn unpress(&self, pressed: &Pressed, plain: &mut Vec<u8>) -> bool {
        plain.resize(pressed.plain as usize, 0);
        let length = pressed.pressed as usize;
        let done = self.read(&pressed.stored, length, |bytes| {
            lz4_flex::block::decompress_into(bytes, plain)
        });
        let is_whole = matches!(done, Some(Ok(length)) if length == plain.len());
        if !is_whole {
            plain.clear();
            if done.is_some() {
                self.broken();
            }
        }
        is_whole
    }

    /// What was written is not what is read: the file was changed by somebody, or is on a bad disk.
    pub(super) fn broken(&self) {
        let message = "packed flows cannot be read back";
        self.fail(io::Error::new(io::ErrorKind::InvalidData, message));
    }

    /// Keeps a block.
    fn keep(&self, block: &[u8]) -> Stored {
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

    /// Reads a block of that many bytes where it lies; `None`, and told by [`Store::trouble`], where the file does not give it
    /// back.
    fn read<T>(
        &self,
        stored: &Stored,
        length: usize,
        use_it: impl FnOnce(&[u8]) -> T,
    ) -> Option<T> {
        let at = match stored {
            Stored::Memory(bytes) => return Some(use_it(bytes)),
            Stored::File { at } => *at,
        };
        let mut block = vec![0; length];
        let mut read = || {
            let mut spill = self.lock();
            let file = spill.file.as_mut().ok_or(io::ErrorKind::NotFound)?;
            file.seek(SeekFrom::Start(at))?;
            file.read_exact(&mut block)
        };
        let done: io::Result<()> = read();
        match done {
            Ok(()) => Some(use_it(&block)),
            Err(error) => {
                self.fail(error);
                None
            }
        }
    }

    /// Notes the first trouble.
    fn fail(&self, error: io::Error) {
        self.lock().trouble.get_or_insert_with(|| Arc::new(error));
    }
}

/// A compressed block of a store.
#[derive(Debug)]
pub struct Pressed {
    /// Bytes of the block.
    plain: u32,
    /// Bytes that are stored.
    pressed: u32,
    stored: Stored,
}

/// Where a block lies.
#[derive(Debug)]
enum Stored {
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
        for (block, stored) in blocks.iter().zip(&kept).rev() {
            let found = store.read(stored, 4, <[u8]>::to_vec);
            assert_eq!(found.as_ref(), Some(block));
        }
        assert!(store.trouble().is_none());
    }

    #[test]
    fn a_block_that_the_file_does_not_hold_is_trouble_and_no_panic() {
        let store = Store::with_limit(0);
        store.keep(b"abc");
        assert!(store.read(&Stored::File { at: 2 }, 9, |_| ()).is_none());
        assert_eq!(
            store.trouble().map(|error| error.kind()),
            Some(io::ErrorKind::UnexpectedEof)
        );
    }

    #[test]
    fn a_pressed_block_comes_back_from_either_place_and_a_changed_one_is_trouble() {
        let block = b"one two one two one two".repeat(9);
        for limit in [u64::MAX, 0] {
            let store = Store::with_limit(limit);
            let mut pressed = store.press(&block);
            let mut found = Vec::new();
            assert!(store.unpress(&pressed, &mut found) && found == block);
            pressed.pressed /= 2;
            if let Stored::Memory(bytes) = &mut pressed.stored {
                *bytes = bytes[..bytes.len() / 2].into();
            }
            assert!(!store.unpress(&pressed, &mut found) && found.is_empty());
            let kind = store.trouble().map(|error| error.kind());
            assert_eq!(kind, Some(io::ErrorKind::InvalidData));
        }
    }
}
