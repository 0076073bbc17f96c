//! Whether tests show all that decoders can say: the decoders' tests run once more, and each attribute and each kind of offer
//! that one of them asks for, and gets, is written down.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::Write;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use super::super::PROTOCOLS;
use crate::evidence::Offer;

/// Names the file that a run of the tests writes what they show to; where it is not set, nothing is written.
const FILE: &str = "EXWIRE_SHOWN";

/// What this run has written.
static WRITTEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// A test asked for an attribute and got values.
pub(super) fn attribute(protocol: &str, name: &str) {
    write(&format!("{protocol}.{name}"));
}

/// A test at `caller` asked for offers and got this one.
pub(super) fn offer(caller: &Location<'_>, offer: &Offer) {
    let described = format!("{:?}", offer.offered);
    let kind = described.split(|c: char| !c.is_alphanumeric()).next();
    if let (Some(home), Some(kind)) = (home(Path::new(caller.file())), kind) {
        write(&format!("{home}: {kind}"));
    }
}

fn write(line: &str) {
    let Some(path) = std::env::var_os(FILE) else {
        return;
    };
    if WRITTEN.lock().unwrap().insert(line.to_owned()) {
        let mut file = OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}

/// The decoder that a file belongs to: its file, or its folder.
fn home(file: &Path) -> Option<&str> {
    let inside = file.iter().skip_while(|part| *part != "protocol").nth(1)?;
    Path::new(inside).file_stem().and_then(OsStr::to_str)
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension() == Some(OsStr::new("rs")) {
            files.push(path);
        }
    }
}

/// The kinds of offers that decoders make, by their code.
fn made() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/protocol");
    let mut files = Vec::new();
    rust_files(&folder, &mut files);
    let mut made = BTreeSet::new();
    for path in files {
        let is_test = path.ends_with("tests.rs") || path.iter().any(|part| part == "testing");
        if is_test || path.iter().any(|part| part == "tests") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for kind in code.split("Offered::").skip(1) {
            let kind = kind.split(|c: char| !c.is_alphanumeric()).next().unwrap();
            let inside = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap();
            made.insert(format!("{}: {kind}", home(inside).unwrap()));
        }
    }
    made
}

#[test]
fn tests_show_every_attribute_and_offer_of_every_decoder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shown");
    std::fs::write(&path, "").unwrap();
    let tests = Command::new(std::env::current_exe().unwrap())
        .args(["protocol::", "--skip", "tests_show_every_attribute"])
        .env(FILE, &path)
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&tests.stdout);
    assert!(tests.status.success(), "{printed}");
    let shown = std::fs::read_to_string(&path).unwrap();
    let shown: BTreeSet<&str> = shown.lines().collect();
    let registered = PROTOCOLS.iter().flat_map(|protocol| {
        let of = |name: &&str| format!("{}.{name}", protocol.name);
        protocol.attributes.iter().map(of)
    });
    let made = made();
    assert!(made.len() >= 15, "{made:?}");
    let unseen: Vec<String> = registered
        .chain(made)
        .filter(|what| !shown.contains(what.as_str()))
        .collect();
    assert!(unseen.is_empty(), "no test shows {}", unseen.join(", "));
}
