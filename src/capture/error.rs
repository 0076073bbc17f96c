//! What can be wrong with a capture, in words for its owner.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::format::Foreign;

/// Why a capture cannot be read, or not to its end.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CaptureError {
    /// Nothing has this name.
    #[error("{path}: expected a capture or a folder, found no such file", path = path.display())]
    Missing {
        /// As given.
        path: PathBuf,
    },
    /// The operating system refuses.
    #[error("{path}: cannot be read: {source}", path = path.display())]
    Unreadable {
        /// As given.
        path: PathBuf,
        /// What the system says.
        source: Arc<io::Error>,
    },
    /// No bytes at all.
    #[error("{path}: expected a capture, found an empty file", path = path.display())]
    Empty {
        /// As given.
        path: PathBuf,
    },
    /// Not a capture of any kind that is known.
    #[error("{path}: expected a capture (pcap, pcapng, snoop or Network Monitor), found {found}", path = path.display())]
    NotCapture {
        /// As given.
        path: PathBuf,
        /// What its first bytes look like.
        found: String,
    },
    /// A capture in a format that is recognised and not read.
    #[error("{path}: expected pcap, pcapng, snoop or Network Monitor, found {format}; {advice}", path = path.display(), advice = format.advice())]
    Unsupported {
        /// As given.
        path: PathBuf,
        /// What it is.
        format: Foreign,
    },
    /// A folder in which no file is a capture.
    #[error("{path}: expected a folder with captures, found none (files: {files})", path = path.display())]
    NoCaptures {
        /// As given.
        path: PathBuf,
        /// Files that were looked at.
        files: usize,
    },
    /// The file ends inside a record: it was cut.
    #[error("{path}: truncated at {place}: expected {expected}, found {found}", path = path.display(), place = place(*offset, *compressed))]
    Truncated {
        /// As given.
        path: PathBuf,
        /// Where the record starts, in bytes.
        offset: u64,
        /// Whether the offset counts decompressed bytes.
        compressed: bool,
        /// What should stand there.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// The file contradicts its format: it was damaged or badly written. Nothing after that place is read.
    #[error("{path}: malformed at {place}: expected {expected}, found {found}", path = path.display(), place = place(*offset, *compressed))]
    Malformed {
        /// As given.
        path: PathBuf,
        /// Where the record starts, in bytes.
        offset: u64,
        /// Whether the offset counts decompressed bytes.
        compressed: bool,
        /// What should stand there.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// The filter expression cannot be compiled.
    #[error("filter `{expression}`: expected an expression for link type {link}, found: {message}")]
    Filter {
        /// As given.
        expression: String,
        /// The link type it was compiled for.
        link: u16,
        /// What libpcap says.
        message: String,
    },
    /// A filter was given to a program that was built without libpcap.
    #[error(
        "filter `{expression}`: expected a build with the feature `libpcap`, found one without"
    )]
    FilterUnavailable {
        /// As given.
        expression: String,
    },
    /// Standard input was named together with other inputs where all were to be one chain, or twice.
    #[error("expected standard input once and in a chain of its own, found it among other inputs")]
    StandardInputShared,
    /// No input was named.
    #[error("expected a capture, found no input")]
    NoInput,
}

impl CaptureError {
    /// From an error of the operating system, where `path` was to be opened or read.
    pub(super) fn from_io(path: PathBuf, error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound {
            Self::Missing { path }
        } else {
            Self::Unreadable {
                path,
                source: Arc::new(error),
            }
        }
    }
}

fn place(offset: u64, compressed: bool) -> String {
    if compressed {
        format!("byte {offset} of the decompressed stream")
    } else {
        format!("byte {offset}")
    }
}
