//! Where results go: standard output, or a file that is written whole or not at all.

use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use anyhow::{Context as _, bail};

use super::args::{self, FormatArgument};
use crate::report::{Format, Record, Style, Writer};

/// Width of a table where the terminal does not say.
const DEFAULT_WIDTH: u16 = 120;
/// A width below this is no width: cells would be a letter wide.
const LEAST_WIDTH: u16 = 40;

/// The output of one run.
pub(super) struct Output {
    format: Format,
    file: Option<std::path::PathBuf>,
    style: Style,
}

impl Output {
    /// # Errors
    /// A format that only findings have, or that cannot be written there.
    pub(super) fn new(args: &args::Output) -> anyhow::Result<Self> {
        let format = match args.format {
            None => None,
            Some(FormatArgument::Records(format)) => Some(format),
            Some(FormatArgument::Sarif) => bail!("--format: only `audit` has sarif"),
        };
        Self::with(args, format)
    }

    /// The output in that format, else in the usual one.
    ///
    /// # Errors
    /// A format that cannot be written there.
    pub(super) fn with(args: &args::Output, format: Option<Format>) -> anyhow::Result<Self> {
        let to_terminal = args.output.is_none() && io::stdout().is_terminal();
        let format = format.unwrap_or(if to_terminal {
            Format::Table
        } else {
            Format::Jsonl
        });
        if !format.is_available() {
            bail!(
                "--format {format}: this build cannot write it, expected one with the feature `{format}`"
            );
        }
        if format.is_binary() && to_terminal {
            bail!(
                "--format {format} is binary, which no terminal shows: name a file with --output"
            );
        }
        let width = match terminal_width() {
            Some(width) if to_terminal => width,
            _ => columns().unwrap_or(DEFAULT_WIDTH),
        };
        let choice = anstream::AutoStream::choice(&io::stdout());
        let colour = to_terminal && choice != anstream::ColorChoice::Never;
        Ok(Self {
            format,
            file: args.output.clone(),
            style: Style { width, colour },
        })
    }

    /// The width of a page, in columns.
    pub(super) const fn width(&self) -> u16 {
        self.style.width
    }

    /// Writes all records of the run.
    pub(super) fn write<R: Record>(
        &self,
        mut records: impl Iterator<Item = R>,
    ) -> anyhow::Result<()> {
        self.write_with::<R>(|writer| records.try_for_each(|record| writer.push(&record)))
    }

    /// Writes the records that `write` gives to the writer.
    pub(super) fn write_with<R: Record>(
        &self,
        write: impl FnOnce(&mut Writer<'_>) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        self.write_plain(|out| {
            let mut writer = Writer::new::<R>(self.format, self.style, out)?;
            write(&mut writer)?;
            writer.finish()
        })
    }

    /// Writes what has a form of its own.
    pub(super) fn write_plain(
        &self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        match &self.file {
            None => write(&mut io::stdout().lock())?,
            Some(path) => write_file(path, write)
                .with_context(|| format!("cannot write {}", path.display()))?,
        }
        Ok(())
    }
}

/// Writes beside the file and renames, so that a reader never sees half of it. What a link leads to is written, and the link
/// stays; a device or a pipe cannot be replaced, and is written as it is.
pub(super) fn write_file(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let place = std::fs::canonicalize(path);
    let path = place.as_deref().unwrap_or(path);
    if path
        .metadata()
        .is_ok_and(|found| !found.is_file() && !found.is_dir())
    {
        let mut out = io::BufWriter::new(OpenOptions::new().write(true).open(path)?);
        write(&mut out)?;
        return out.flush();
    }
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".exwire-");
    // Like any new file: for whom the umask admits, not for its owner alone.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    // What is wrong with the folder is said before the name of a file that the user never sees.
    std::fs::metadata(folder)?;
    let mut file = builder
        .tempfile_in(folder)
        .map_err(|error| io::Error::from(error.kind()))?;
    write(file.as_file_mut())?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// A line on standard error; nobody is told where that is closed.
pub(super) fn say(line: &str) {
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// Whether the reader of standard output has gone: that ends a run quietly.
pub(super) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}

fn terminal_width() -> Option<u16> {
    // A terminal without a size (under `script`, in a container) says 0.
    let is_sized = |width: &u16| *width >= LEAST_WIDTH;
    comfy_table::Table::new()
        .width()
        .filter(is_sized)
        .or_else(columns)
}

/// The width that the user's shell names.
fn columns() -> Option<u16> {
    std::env::var("COLUMNS")
        .ok()?
        .parse()
        .ok()
        .filter(|width| *width >= LEAST_WIDTH)
}
