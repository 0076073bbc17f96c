//! The strict loader: text to typed rows, with file and line for everything that is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use toml::Spanned;

use super::Vocabulary;
use super::catalog::{Interface, Service};
use super::entry::{Defaults, Entry, File};
use super::error::SignatureError;
use super::row::{Row, ServiceId};
use super::vocabulary::UnknownWord;

/// Files in one folder: nobody writes more by hand, so more of them are the wrong folder.
const MAX_FILES: usize = 1000;

/// A value, and where it was read.
struct Placed<T> {
    value: T,
    file: usize,
    line: usize,
}

/// What the files hold so far, before references between them are checked.
#[derive(Default)]
pub(super) struct Loader {
    files: Vec<String>,
    rows: Vec<Placed<Row>>,
    services: Vec<Placed<Service>>,
    interfaces: Vec<Placed<Interface>>,
}

impl Loader {
    /// Reads every `.toml` file of a folder, in order of names.
    pub(super) fn folder(&mut self, folder: &Path) -> Result<(), SignatureError> {
        let failed = |source| SignatureError::Read {
            path: folder.to_owned(),
            source,
        };
        let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
            .map_err(failed)?
            .collect::<Result<Vec<_>, _>>()
            .map_err(failed)?
            .into_iter()
            .map(|entry| entry.path())
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "toml")
            })
            .collect();
        files.sort();
        if files.is_empty() || files.len() > MAX_FILES {
            let message = format!(
                "expected 1 to {MAX_FILES} .toml files, found {}",
                files.len()
            );
            let source = std::io::Error::new(std::io::ErrorKind::NotFound, message);
            return Err(SignatureError::Read {
                path: folder.to_owned(),
                source,
            });
        }
        for path in files {
            let text = std::fs::read_to_string(&path).map_err(|source| SignatureError::Read {
                path: path.clone(),
                source,
            })?;
            self.text(&path.display().to_string(), &text)?;
        }
        Ok(())
    }

    /// Reads one file's text.
    pub(super) fn text(&mut self, name: &str, text: &str) -> Result<(), SignatureError> {
        let lines = Lines::of(text);
        let mut file: File = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| lines.number(span.start));
            SignatureError::Wrong {
                file: name.to_owned(),
                line,
                row: id_around(text, line).map(str::to_owned),
                message: error.message().trim().replace('\n', ", "),
            }
        })?;
        self.files.push(name.to_owned());
        let reading = Reading {
            files: &self.files,
            lines,
            replace: file.replace,
            defaults: file.defaults(),
        };
        reading.tables(file.row, &mut self.rows)?;
        reading.tables(file.service, &mut self.services)?;
        reading.tables(file.interface, &mut self.interfaces)
    }

    /// Checks what files say of each other, and gives out the result.
    #[expect(
        clippy::type_complexity,
        reason = "three lists, taken apart by the only caller"
    )]
    pub(super) fn finish(
        self,
        known: &Vocabulary<'_>,
    ) -> Result<(Vec<Row>, BTreeMap<ServiceId, Service>, Vec<Interface>), SignatureError> {
        let ids: BTreeSet<&ServiceId> = self
            .services
            .iter()
            .map(|placed| &placed.value.id)
            .collect();
        let at = |file: usize, line: usize, row: &str, message: String| SignatureError::Wrong {
            file: self.files.get(file).cloned().unwrap_or_default(),
            line,
            row: Some(row.to_owned()),
            message,
        };
        let unknown_service = |id: &ServiceId| {
            let known = ids.iter().map(|id| id.as_str());
            UnknownWord::new("service", id.as_str(), known).to_string()
        };
        for Placed {
            value: row,
            file,
            line,
        } in &self.rows
        {
            if let Some(id) = row.services.iter().find(|id| !ids.contains(id)) {
                return Err(at(*file, *line, &row.id.0, unknown_service(id)));
            }
        }
        for Placed {
            value: interface,
            file,
            line,
        } in &self.interfaces
        {
            if let Some(id) = interface.service.as_ref().filter(|id| !ids.contains(id)) {
                return Err(at(
                    *file,
                    *line,
                    &interface.uuid.to_string(),
                    unknown_service(id),
                ));
            }
        }
        for Placed {
            value: service,
            file,
            line,
        } in &self.services
        {
            if let Some(id) = service.part_of.as_ref().filter(|id| !ids.contains(id)) {
                return Err(at(*file, *line, &service.id.0, unknown_service(id)));
            }
            known
                .check(service)
                .map_err(|message| at(*file, *line, &service.id.0, message))?;
        }
        let services = self
            .services
            .into_iter()
            .map(|placed| (placed.value.id.clone(), placed.value))
            .collect();
        let rows = self.rows.into_iter().map(|placed| placed.value).collect();
        let interfaces = self
            .interfaces
            .into_iter()
            .map(|placed| placed.value)
            .collect();
        Ok((rows, services, interfaces))
    }
}

/// Where the lines of a text end.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(at, _)| at).collect())
    }

    /// The number of the line that holds a byte.
    fn number(&self, offset: usize) -> usize {
        self.0
            .partition_point(|end| *end < offset)
            .saturating_add(1)
    }
}

/// A file on its way into the lists.
struct Reading<'a> {
    /// Names of the files so far, its own last.
    files: &'a [String],
    lines: Lines,
    replace: bool,
    defaults: Defaults,
}

impl Reading<'_> {
    /// Adds what all tables of one kind say. Where another file has the same, it is replaced if this one says so, else its
    /// place is the error.
    fn tables<E: Entry>(
        &self,
        entries: Vec<Spanned<E>>,
        list: &mut Vec<Placed<E::Value>>,
    ) -> Result<(), SignatureError> {
        let file = self.files.len().saturating_sub(1);
        for entry in entries {
            let line = self.lines.number(entry.span().start);
            let entry = entry.into_inner();
            let id = entry.id();
            let wrong = |message| SignatureError::Wrong {
                file: self.files.last().cloned().unwrap_or_default(),
                line,
                row: Some(id.clone()),
                message,
            };
            let value = entry.read(&self.defaults).map_err(wrong)?;
            let new = Placed { value, file, line };
            let is_same = |old: &&mut Placed<E::Value>| E::is_same(&old.value, &new.value);
            match list.iter_mut().find(is_same) {
                None => list.push(new),
                Some(old) if self.replace && old.file != file => *old = new,
                Some(old) => {
                    let name = self.files.get(old.file).map_or("", String::as_str);
                    return Err(wrong(format!(
                        "expected a new {}, found one that {name}:{} has already (set `replace = true` to replace it)",
                        E::WORD,
                        old.line
                    )));
                }
            }
        }
        Ok(())
    }
}

/// The id of the table (row, service, interface) that the line is in, where the text could not be read as TOML of ours.
fn id_around(text: &str, line: usize) -> Option<&str> {
    let lines: Vec<&str> = text.lines().collect();
    let (before, after) = lines.split_at_checked(line)?;
    let is_header = |line: &&str| line.trim_start().starts_with("[[");
    let head = before.iter().rposition(is_header)?;
    before
        .iter()
        .skip(head)
        .chain(after.iter().take_while(|line| !is_header(line)))
        .find_map(|line| {
            let (key, value) = line.split_once('=')?;
            let value = value.trim().strip_prefix('"')?.split('"').next()?;
            matches!(key.trim(), "id" | "uuid").then_some(value)
        })
}
