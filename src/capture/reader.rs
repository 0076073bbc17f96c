//! Reading a chain of files block by block.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::block::{BLOCK_BYTES, Block};
use super::error::CaptureError;
use super::filter::Filter;
use super::frame::{Damage, Framer, MAX_RECORD_BYTES};
use super::lookahead::{Lookahead, retry};
use super::plan::{Chain, Input};
use super::source::Source;
use super::summary::{Drops, FileSummary};
use crate::net::Timestamp;

/// How captures are read.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A capture filter in libpcap's language (pcap-filter(7)); packets that it rejects are counted, and not delivered.
    /// It sees the captured bytes: `len` is the captured length.
    pub filter: Option<String>,
}

/// Reads one chain: its files in order, or a stream.
pub struct Reader {
    upcoming: std::vec::IntoIter<Upcoming>,
    current: Option<Current>,
    /// Read while opening, and not yet delivered.
    ready: Option<Block>,
    filter: Option<Filter>,
    summaries: Vec<FileSummary>,
    packets: u64,
    /// The latest packet time of the files that are done.
    latest: Option<Timestamp>,
    bytes_read: Arc<AtomicU64>,
    total_bytes: Option<u64>,
}

enum Upcoming {
    File(PathBuf),
    Stream(PathBuf, Box<dyn Read + Send>),
}

/// The file that is being read.
struct Current {
    bytes: Lookahead,
    framer: Framer,
    /// The start of a record whose end was not in the last block.
    carry: Vec<u8>,
    /// Where `carry` starts in the decompressed stream.
    offset: u64,
}

/// Why reading of a file ends.
enum End {
    /// Nothing is left.
    Clean,
    /// It cannot be read on.
    Broken(CaptureError),
}

impl Reader {
    /// Opens a chain and reads up to its first packets.
    ///
    /// # Errors
    /// When no file of the chain can be opened (the first error), and when the filter cannot be compiled for the first
    /// packets. Other errors of a file are in its summary.
    pub fn open(chain: &Chain, options: &Options) -> Result<Self, CaptureError> {
        let upcoming = chain.inputs().iter().map(|input| match input {
            Input::Path(path) => Upcoming::File(path.clone()),
            Input::Stdin => Upcoming::Stream(Input::Stdin.path().to_owned(), Box::new(io::stdin())),
        });
        Self::start(upcoming.collect(), chain.total_bytes(), options)
    }

    /// Reads a stream; `name` stands for its path in errors and summaries.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn from_stream(
        stream: impl Read + Send + 'static,
        name: impl Into<PathBuf>,
        options: &Options,
    ) -> Result<Self, CaptureError> {
        Self::start(
            vec![Upcoming::Stream(name.into(), Box::new(stream))],
            None,
            options,
        )
    }

    fn start(
        upcoming: Vec<Upcoming>,
        total_bytes: Option<u64>,
        options: &Options,
    ) -> Result<Self, CaptureError> {
        let filter = options.filter.as_deref().map(Filter::new).transpose()?;
        let mut reader = Self {
            upcoming: upcoming.into_iter(),
            current: None,
            ready: None,
            filter,
            summaries: Vec::new(),
            packets: 0,
            latest: None,
            bytes_read: Arc::default(),
            total_bytes,
        };
        let mut block = Block::new();
        if reader.fill(&mut block)? {
            reader.ready = Some(block);
        } else if reader.summaries.iter().all(|file| file.format.is_none())
            && let Some(error) = reader.summaries.iter().find_map(|file| file.error.clone())
        {
            return Err(error);
        }
        Ok(reader)
    }

    /// Clears `block` and fills it with the next packets, all of one file. Answers whether there were any: after `false`
    /// the chain is at its end.
    ///
    /// # Errors
    /// Only [`CaptureError::Filter`], where the filter cannot be compiled for a link type that comes up: reading ends.
    /// Errors of files are in their summaries.
    pub fn fill(&mut self, block: &mut Block) -> Result<bool, CaptureError> {
        if let Some(ready) = self.ready.take() {
            *block = ready;
            return Ok(true);
        }
        loop {
            block.clear();
            let Some(mut current) = self.current.take().or_else(|| self.open_next()) else {
                return Ok(false);
            };
            block.file = self.summaries.len().saturating_sub(1);
            let end = current.read(block, self.summaries.last_mut());
            self.count(block);
            match end {
                None => self.current = Some(current),
                Some(end) => self.finish(&current.framer, end),
            }
            self.apply_filter(block)?;
            if !block.is_empty() {
                return Ok(true);
            }
        }
    }

    /// The files that have been opened so far, in order.
    pub fn summary(&self) -> &[FileSummary] {
        &self.summaries
    }

    /// Bytes read so far of the files as they lie on disk.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// Bytes of all files of the chain as they lie on disk; none for a stream.
    pub fn total_bytes(&self) -> Option<u64> {
        self.total_bytes
    }

    /// The framer of the file that is being read.
    pub(super) fn framer(&self) -> Option<&Framer> {
        self.current.as_ref().map(|current| &current.framer)
    }

    /// Opens the next file that can be opened; each gets a summary.
    fn open_next(&mut self) -> Option<Current> {
        loop {
            let read = Arc::clone(&self.bytes_read);
            let (path, source) = match self.upcoming.next()? {
                Upcoming::File(path) => {
                    let source = Source::open(&path, read);
                    (path, source)
                }
                Upcoming::Stream(path, stream) => {
                    let source = Source::from_bytes(stream, &path, read);
                    (path, source)
                }
            };
            let mut summary = FileSummary {
                path,
                ..FileSummary::default()
            };
            match source {
                Ok(source) => {
                    summary.format = Some(source.format);
                    summary.compression = source.compression;
                    self.summaries.push(summary);
                    return Some(Current {
                        bytes: source.bytes,
                        framer: source.framer,
                        carry: Vec::new(),
                        offset: 0,
                    });
                }
                Err(error) => {
                    summary.error = Some(error);
                    self.summaries.push(summary);
                }
            }
        }
    }

    /// Numbers the packets of a block and adds them to the summary of its file.
    fn count(&mut self, block: &mut Block) {
        let Some(summary) = self.summaries.last_mut() else {
            return;
        };
        let Some(first) = block.packets.first() else {
            return;
        };
        if summary.packets == 0 {
            summary.overlaps = first.timed && self.latest.is_some_and(|latest| first.time < latest);
        }
        let mut last_link = None;
        let (mut earliest, mut latest, mut untimed) =
            (Timestamp::from_nanos(i64::MAX), None, 0_u64);
        for packet in &mut block.packets {
            self.packets = self.packets.saturating_add(1);
            packet.number = self.packets;
            if packet.timed {
                earliest = earliest.min(packet.time);
                latest = latest.max(Some(packet.time));
            } else {
                untimed = untimed.saturating_add(1);
            }
            summary.bytes = summary.bytes.saturating_add(u64::from(packet.captured_len));
            if last_link != Some(packet.link) {
                last_link = Some(packet.link);
                if !summary.links.contains(&packet.link) {
                    summary.links.push(packet.link);
                }
            }
        }
        summary.packets = summary.packets.saturating_add(block.packets.len() as u64);
        summary.untimed = summary.untimed.saturating_add(untimed);
        if latest.is_some() {
            summary.first_time = Some(
                summary
                    .first_time
                    .map_or(earliest, |time| time.min(earliest)),
            );
            summary.last_time = summary.last_time.max(latest);
        }
    }

    /// Closes the summary of the current file.
    fn finish(&mut self, framer: &Framer, end: End) {
        let Some(summary) = self.summaries.last_mut() else {
            return;
        };
        match framer {
            Framer::PcapNg(framer) => {
                let notes = framer.notes();
                summary.drops = Drops {
                    packets: notes.packet_drops,
                    interfaces: notes.interface_drops,
                    system: notes.system_drops,
                };
                summary.names = notes.names.into_iter().collect();
                summary.names_dropped = notes.names_dropped;
            }
            Framer::Snoop(framer) => summary.drops.packets = u64::from(framer.drops()),
            Framer::NetMon(framer) => summary.local_times = framer.times_are_local(),
            Framer::Pcap(_) => {}
        }
        if let End::Broken(error) = end {
            summary.error = Some(error);
        }
        self.latest = self.latest.max(summary.last_time);
    }

    fn apply_filter(&mut self, block: &mut Block) -> Result<(), CaptureError> {
        let Some(filter) = &mut self.filter else {
            return Ok(());
        };
        let before = block.len();
        let applied = filter.apply(block);
        if let Some(summary) = self.summaries.get_mut(block.file) {
            let rejected = before.saturating_sub(block.len()) as u64;
            summary.filtered = summary.filtered.saturating_add(rejected);
        }
        if applied.is_err() {
            self.current = None;
            self.upcoming = Vec::new().into_iter();
        }
        applied
    }
}

impl Current {
    /// Reads and frames until the block is full or the file ends. Answers how the file ended, if it did.
    fn read(&mut self, block: &mut Block, summary: Option<&mut FileSummary>) -> Option<End> {
        let (path, compressed) = summary.map_or((PathBuf::new(), false), |summary| {
            (summary.path.clone(), !summary.compression.is_empty())
        });
        let place = Place {
            path: &path,
            compressed,
        };
        block.grow(BLOCK_BYTES.max(self.carry.len().saturating_mul(2)));
        block.append(&self.carry);
        self.carry.clear();
        let mut position = 0;
        loop {
            let read = self.read_to_full(block);
            let bytes = block.bytes.get(..block.filled).unwrap_or_default();
            let framed = self.framer.frame(bytes, &mut position, &mut block.packets);
            let left = block.filled.saturating_sub(position);
            let offset = self.offset.saturating_add(position as u64);
            let needed = match framed {
                Ok(needed) => needed,
                Err(damage) => return Some(End::Broken(place.malformed(offset, damage))),
            };
            match read {
                Ok(true) => {}
                Ok(false) => {
                    return Some(match self.framer.missing(needed, left) {
                        Some(damage) => End::Broken(place.truncated(offset, damage)),
                        None => End::Clean,
                    });
                }
                Err(error) => return Some(End::Broken(place.unreadable(offset, error))),
            }
            if !block.packets.is_empty() {
                let rest = block.bytes.get(position..block.filled).unwrap_or_default();
                self.carry.extend_from_slice(rest);
                self.offset = offset;
                return None;
            }
            // No packet yet: drop what was framed, or make room for the one record that is larger than the block.
            if position > 0 {
                block.bytes.copy_within(position..block.filled, 0);
                block.filled = left;
                self.offset = offset;
                position = 0;
            } else {
                let doubled = block.bytes.len().saturating_mul(2);
                block.grow(doubled.min(MAX_RECORD_BYTES));
            }
        }
    }

    /// Reads until the block is full; false at the end of the file.
    fn read_to_full(&mut self, block: &mut Block) -> io::Result<bool> {
        loop {
            let Some(room) = block
                .bytes
                .get_mut(block.filled..)
                .filter(|room| !room.is_empty())
            else {
                return Ok(true);
            };
            let count = retry(|| self.bytes.read(room))?;
            if count == 0 {
                return Ok(false);
            }
            block.filled = block.filled.saturating_add(count).min(block.bytes.len());
        }
    }
}

impl Block {
    /// Makes room for `length` bytes in all.
    fn grow(&mut self, length: usize) {
        if self.bytes.len() < length {
            self.bytes.resize(length, 0);
        }
    }

    /// Appends bytes for which there is room.
    fn append(&mut self, bytes: &[u8]) {
        let end = self.filled.saturating_add(bytes.len());
        if let Some(place) = self.bytes.get_mut(self.filled..end) {
            place.copy_from_slice(bytes);
            self.filled = end;
        }
    }
}

/// Makes errors of one file.
struct Place<'a> {
    path: &'a Path,
    compressed: bool,
}

impl Place<'_> {
    fn truncated(&self, offset: u64, damage: Damage) -> CaptureError {
        CaptureError::Truncated {
            path: self.path.to_owned(),
            offset,
            compressed: self.compressed,
            expected: damage.expected,
            found: damage.found,
        }
    }

    fn malformed(&self, offset: u64, damage: Damage) -> CaptureError {
        CaptureError::Malformed {
            path: self.path.to_owned(),
            offset,
            compressed: self.compressed,
            expected: damage.expected,
            found: damage.found,
        }
    }

    /// A failed read: of the disk, or of the decompressor, which cannot go on.
    fn unreadable(&self, offset: u64, error: io::Error) -> CaptureError {
        if !self.compressed {
            return CaptureError::from_io(self.path.to_owned(), error);
        }
        let expected = "more compressed data";
        match error.kind() {
            io::ErrorKind::UnexpectedEof => self.truncated(
                offset,
                Damage::new(expected, "the end of the compressed file"),
            ),
            _ => self.malformed(offset, Damage::new(expected, error.to_string())),
        }
    }
}
