//! The program as its tests run it.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    dead_code,
    reason = "a test may panic, and needs only some of this"
)]

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

/// What a run gave.
pub struct Run {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Run {
    pub fn of(arguments: &[&str]) -> Self {
        Self::with(arguments, |_| {})
    }

    pub fn with(arguments: &[&str], prepare: impl FnOnce(&mut Command)) -> Self {
        let mut command = program();
        command.args(arguments);
        prepare(&mut command);
        let output = command.output().unwrap();
        Self {
            status: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The records of `--format jsonl`.
    pub fn records(&self) -> Vec<Value> {
        self.out
            .lines()
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
            })
            .collect()
    }

    /// Fails with that status and without output, and says all of that.
    pub fn assert_fails(&self, status: i32, said: &[&str]) {
        assert_eq!(self.status, status, "{}", self.err);
        assert_eq!(self.out, "");
        self.assert_says(said);
    }

    pub fn assert_says(&self, said: &[&str]) {
        for part in said {
            assert!(
                self.err.contains(part),
                "expected `{part}` in:\n{}",
                self.err
            );
        }
    }
}

pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_exwire"));
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS"] {
        command.env_remove(name);
    }
    command
}

pub fn sample(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("samples")
        .join(name);
    path.to_str().unwrap().to_owned()
}

/// A folder with one file.
pub fn folder_with(name: &str, bytes: &[u8]) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    (folder, path.to_str().unwrap().to_owned())
}

pub fn names(folder: &TempDir) -> Vec<PathBuf> {
    let mut names: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into())
        .collect();
    names.sort();
    names
}
