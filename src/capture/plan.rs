//! From what was named on the command line to chains of files.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::CaptureError;
use super::series;
use super::source::Source;

/// How deep folders are entered; deeper ones are a loop of mounts.
const MAX_FOLDER_DEPTH: usize = 64;

/// What stands for standard input on the command line.
const STANDARD_INPUT: &str = "-";

/// One input of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A file or a folder.
    Path(PathBuf),
    /// Standard input.
    Stdin,
}

impl Input {
    /// From a command line argument: `-` is standard input.
    pub fn from_argument(argument: &OsStr) -> Self {
        if argument == STANDARD_INPUT {
            Self::Stdin
        } else {
            Self::Path(argument.into())
        }
    }

    /// As given.
    pub fn path(&self) -> &Path {
        match self {
            Self::Path(path) => path,
            Self::Stdin => Path::new(STANDARD_INPUT),
        }
    }
}

/// How files are put into chains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grouping {
    /// Files that look like one rotated series form one chain; each other file is a chain of its own.
    #[default]
    Auto,
    /// All files form one chain, in the order of their first packets.
    Chain,
    /// Each file is a chain of its own.
    Separate,
}

/// Files that are read as if they were one, or a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    inputs: Vec<Input>,
    total_bytes: Option<u64>,
}

impl Chain {
    pub(super) fn new(inputs: Vec<Input>) -> Self {
        let size = |input: &Input| match input {
            Input::Path(path) => {
                let metadata = fs::metadata(path).ok()?;
                metadata.is_file().then_some(metadata.len())
            }
            Input::Stdin => None,
        };
        let total_bytes = inputs
            .iter()
            .try_fold(0_u64, |sum, input| Some(sum.saturating_add(size(input)?)));
        Self {
            inputs,
            total_bytes,
        }
    }

    /// Its inputs in time order; none of them is a folder.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// Bytes of all its files; none where one is a stream.
    pub fn total_bytes(&self) -> Option<u64> {
        self.total_bytes
    }
}

/// A file in a folder that is not read, because it is no capture that can be read.
#[derive(Clone, Debug)]
pub struct PassedOver {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub reason: CaptureError,
}

/// What a run reads.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The chains, in the order of their first inputs.
    pub chains: Vec<Chain>,
    /// Inputs that were named and cannot be read.
    pub rejected: Vec<CaptureError>,
    /// Files found in folders that are no captures: to be counted, not to be complained about.
    pub passed_over: Vec<PassedOver>,
}

/// Finds the captures among `inputs` and puts them into chains. A file that is named twice is read once.
///
/// A rotated series is told by names that differ in digits only (a counter, a time stamp), in one folder, with the same
/// format and link types, and by times: sorted by their first packets, each file ends before the next one starts. See
/// `series.rs` for how that is found without reading the files.
///
/// # Errors
/// When nothing can be read: the error of the first input. Where something can, the others' errors are in
/// [`Plan::rejected`].
pub fn plan(inputs: &[Input], grouping: Grouping) -> Result<Plan, CaptureError> {
    let mut found = Found::default();
    for input in inputs {
        match input {
            Input::Stdin if found.inputs.contains(&Input::Stdin) => {
                return Err(CaptureError::StandardInputShared);
            }
            Input::Stdin => found.inputs.push(Input::Stdin),
            Input::Path(path) => found.add_named(path),
        }
    }
    if found.inputs.is_empty() {
        return Err(found
            .rejected
            .into_iter()
            .next()
            .unwrap_or(CaptureError::NoInput));
    }
    let chains = match grouping {
        Grouping::Separate => found
            .inputs
            .into_iter()
            .map(|input| Chain::new(vec![input]))
            .collect(),
        Grouping::Chain if found.inputs.len() > 1 && found.inputs.contains(&Input::Stdin) => {
            return Err(CaptureError::StandardInputShared);
        }
        Grouping::Chain => vec![series::forced(found.inputs)],
        Grouping::Auto => series::detect(found.inputs),
    };
    Ok(Plan {
        chains,
        rejected: found.rejected,
        passed_over: found.passed_over,
    })
}

/// What the inputs come to.
#[derive(Default)]
struct Found {
    inputs: Vec<Input>,
    rejected: Vec<CaptureError>,
    passed_over: Vec<PassedOver>,
    seen: BTreeSet<PathBuf>,
}

impl Found {
    fn add_named(&mut self, path: &Path) {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) => {
                self.rejected
                    .push(CaptureError::from_io(path.to_owned(), error));
                return;
            }
        };
        if metadata.is_dir() {
            let mut files = 0;
            if self.add_folder(path, 0, &mut files) == 0 {
                self.rejected.push(CaptureError::NoCaptures {
                    path: path.to_owned(),
                    files,
                });
            }
        } else if !metadata.is_file() {
            // A pipe or a device: what is looked at is gone, so that the reader must look.
            self.inputs.push(Input::Path(path.to_owned()));
        } else if self.is_new(path) {
            match Source::open(path, Arc::default()) {
                Ok(_) => self.inputs.push(Input::Path(path.to_owned())),
                Err(error) => self.rejected.push(error),
            }
        }
    }

    /// Adds the captures below a folder, sorted by name, and counts the files it looks at. Answers how many captures
    /// there are, those that are known already included. Links to folders are not followed.
    fn add_folder(&mut self, folder: &Path, depth: usize, files: &mut usize) -> usize {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => {
                self.rejected
                    .push(CaptureError::from_io(folder.to_owned(), error));
                return 0;
            }
        };
        let mut entries: Vec<(PathBuf, bool)> = entries
            .flatten()
            .map(|entry| {
                (
                    entry.path(),
                    entry.file_type().is_ok_and(|kind| kind.is_dir()),
                )
            })
            .collect();
        entries.sort();
        let mut captures: usize = 0;
        for (path, is_folder) in entries {
            if is_folder {
                if depth < MAX_FOLDER_DEPTH {
                    captures = captures.saturating_add(self.add_folder(
                        &path,
                        depth.saturating_add(1),
                        files,
                    ));
                }
            } else if fs::metadata(&path).is_ok_and(|metadata| metadata.is_file()) {
                *files = files.saturating_add(1);
                captures = captures.saturating_add(usize::from(self.add_found(path)));
            }
        }
        captures
    }

    /// Adds a file of a folder if it is a capture, and answers whether it is one.
    fn add_found(&mut self, path: PathBuf) -> bool {
        match Source::open(&path, Arc::default()) {
            Ok(_) => {
                if self.is_new(&path) {
                    self.inputs.push(Input::Path(path));
                }
                return true;
            }
            Err(reason @ (CaptureError::NotCapture { .. } | CaptureError::Empty { .. })) => {
                self.passed_over.push(PassedOver { path, reason });
            }
            Err(error) => self.rejected.push(error),
        }
        false
    }

    /// Whether a file has not been met under any name.
    fn is_new(&mut self, path: &Path) -> bool {
        let known = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        self.seen.insert(known)
    }
}
