//! Opening one input: decompression and format are settled by its first bytes.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::compression::{Compression, Members};
use super::error::CaptureError;
use super::format::{Content, Format, HEAD_BYTES, Variant};
use super::frame::Framer;
use super::lookahead::{Bytes, Lookahead};
use super::{netmon, pcap, snoop};

/// How deep compression may be nested: a compressed capture in a compressed archive member happens, more is an attack.
const MAX_COMPRESSIONS: usize = 2;

/// A capture that stands at its first byte.
pub(super) struct Source {
    pub(super) bytes: Lookahead,
    pub(super) format: Format,
    pub(super) compression: Vec<Compression>,
    pub(super) framer: Framer,
}

impl Source {
    /// Opens a file; `read` counts the bytes that are read of it.
    pub(super) fn open(path: &Path, read: Arc<AtomicU64>) -> Result<Self, CaptureError> {
        let file =
            File::open(path).map_err(|error| CaptureError::from_io(path.to_owned(), error))?;
        Self::from_bytes(Box::new(file), path, read)
    }

    /// From any byte source; `path` names it in errors.
    pub(super) fn from_bytes(
        inner: Bytes,
        path: &Path,
        read: Arc<AtomicU64>,
    ) -> Result<Self, CaptureError> {
        let mut bytes = Lookahead::new(Box::new(Counted { inner, read }));
        let mut compression = Vec::new();
        loop {
            let head = bytes
                .peek(HEAD_BYTES)
                .map_err(|error| broken_head(path, &compression, error))?;
            let Some(found) = Compression::of(head) else {
                break;
            };
            if compression.len() >= MAX_COMPRESSIONS {
                return Err(CaptureError::NotCapture {
                    path: path.to_owned(),
                    found: format!("a file compressed more than {MAX_COMPRESSIONS} times over"),
                });
            }
            compression.push(found);
            let members =
                Members::new(bytes).map_err(|error| broken_head(path, &compression, error))?;
            bytes = Lookahead::new(members.boxed());
        }
        let head = bytes
            .peek(HEAD_BYTES)
            .map_err(|error| broken_head(path, &compression, error))?;
        let (format, framer) = framer(Content::of(head), path, &compression)?;
        Ok(Self {
            bytes,
            format,
            compression,
            framer,
        })
    }
}

fn framer(
    content: Content,
    path: &Path,
    compression: &[Compression],
) -> Result<(Format, Framer), CaptureError> {
    let path: PathBuf = path.to_owned();
    match content {
        Content::Pcap(order, variant) => {
            let format = match variant {
                Variant::Micro => Format::Pcap,
                Variant::Nano => Format::PcapNano,
                Variant::Modified => Format::PcapModified,
            };
            Ok((format, Framer::Pcap(pcap::Framer::new(order, variant))))
        }
        Content::PcapNg => Ok((Format::PcapNg, Framer::PcapNg(Box::default()))),
        Content::Snoop => Ok((Format::Snoop, Framer::Snoop(snoop::Framer::default()))),
        Content::NetMon => Ok((
            Format::NetMon,
            Framer::NetMon(Box::<netmon::Framer>::default()),
        )),
        Content::Foreign(format) => Err(CaptureError::Unsupported { path, format }),
        Content::Empty if compression.is_empty() => Err(CaptureError::Empty { path }),
        Content::Empty => Err(CaptureError::NotCapture {
            path,
            found: "a compressed file with nothing in it".to_owned(),
        }),
        Content::Other(found) => Err(CaptureError::NotCapture { path, found }),
    }
}

/// The error for a file of which not even the first bytes can be had.
fn broken_head(path: &Path, compression: &[Compression], error: io::Error) -> CaptureError {
    let path = path.to_owned();
    match compression.last() {
        None => CaptureError::from_io(path, error),
        Some(compression) => {
            let (expected, offset, compressed) = (format!("a {compression} stream"), 0, true);
            if error.kind() == io::ErrorKind::UnexpectedEof {
                CaptureError::Truncated {
                    path,
                    offset,
                    compressed,
                    expected,
                    found: "the end of the file".to_owned(),
                }
            } else {
                CaptureError::Malformed {
                    path,
                    offset,
                    compressed,
                    expected,
                    found: error.to_string(),
                }
            }
        }
    }
}

/// Counts what is read through it.
struct Counted {
    inner: Bytes,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(bytes: &[u8]) -> Result<Source, CaptureError> {
        let bytes = io::Cursor::new(bytes.to_vec());
        Source::from_bytes(Box::new(bytes), Path::new("x"), Arc::default())
    }

    #[test]
    fn each_kind_of_wrong_input_has_its_own_message() {
        let message = |bytes: &[u8]| open(bytes).err().unwrap().to_string();
        assert_eq!(message(b""), "x: expected a capture, found an empty file");
        assert_eq!(
            message(b"hello, world"),
            "x: expected a capture (pcap, pcapng, snoop or Network Monitor), found text"
        );
        assert_eq!(
            message(b"%PDF-1.4"),
            "x: expected a capture (pcap, pcapng, snoop or Network Monitor), found a PDF document"
        );
        assert_eq!(
            message(b"TRSNIFF data    \x1a"),
            "x: expected pcap, pcapng, snoop or Network Monitor, found a Sniffer capture; convert it: editcap -F pcapng IN OUT.pcapng"
        );
        assert_eq!(
            message(&[0x1f, 0x8b, 8]),
            "x: truncated at byte 0 of the decompressed stream: expected a gzip stream, found the end of the file"
        );
    }

    #[test]
    fn a_file_compressed_three_times_over_is_refused() {
        let mut bytes = b"anything".to_vec();
        for _ in 0..3 {
            bytes = zstd::encode_all(&bytes[..], 1).unwrap();
        }
        let message = open(&bytes).err().unwrap().to_string();
        assert!(message.contains("more than 2 times"), "{message}");
    }
}
