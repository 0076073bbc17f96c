//! `docs/adding-a-protocol.md`, done as it is written: the file and the two lines go into a copy of the crate, whose tests for
//! the new decoder are run.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may panic"
)]

use std::fs;
use std::path::Path;
use std::process::Command;

/// The fenced blocks of a page: language and text.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    page.split("```")
        .skip(1)
        .step_by(2)
        .map(|block| block.split_once('\n').unwrap())
        .collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Puts a line where it belongs in the sorted run of lines that `like` tells.
fn insert(text: &str, line: &str, like: impl Fn(&str) -> bool) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    let begin = lines.iter().position(|line| like(line)).unwrap();
    let run = lines
        .iter()
        .skip(begin)
        .take_while(|line| like(line))
        .count();
    lines.insert(begin + run, line);
    lines.join("\n") + "\n"
}

#[test]
fn the_page_builds_a_decoder_as_it_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/adding-a-protocol.md")).unwrap();
    let blocks = blocks(&page);
    let [
        ("rust", file),
        ("text", module),
        ("text", entry),
        ("sh", commands),
    ] = blocks[..]
    else {
        panic!("the page has a file, two lines and commands");
    };
    let folder = tempfile::tempdir().unwrap();
    let crate_root = folder.path().join("exwire");
    for part in ["src", "signatures", "benches"] {
        copy(&root.join(part), &crate_root.join(part));
    }
    for part in ["Cargo.toml", "Cargo.lock", "README.md"] {
        fs::copy(root.join(part), crate_root.join(part)).unwrap();
    }
    assert!(page.contains("`src/protocol/gearman.rs`:"));
    fs::write(crate_root.join("src/protocol/gearman.rs"), file).unwrap();
    let registry = crate_root.join("src/protocol/mod.rs");
    let text = fs::read_to_string(&registry).unwrap();
    let text = insert(&text, module.trim_end(), |line| {
        line.starts_with("mod ") && line.ends_with(';')
    });
    let text = insert(&text, entry.trim_end(), |line| {
        line.starts_with("    ")
            && line.ends_with(',')
            && line.contains("::")
            && !line.contains('(')
    });
    fs::write(&registry, text).unwrap();

    let test = commands.lines().next().unwrap();
    let arguments: Vec<&str> = test.strip_prefix("cargo ").unwrap().split(' ').collect();
    // Beside this build, so that dependencies are not built again; fast to build rather than to run.
    let target = Path::new(env!("CARGO_BIN_EXE_exwire")).parent().unwrap();
    let without = (!cfg!(feature = "libpcap")).then_some("--no-default-features");
    let output = Command::new(env!("CARGO"))
        .args(&arguments)
        .arg("--offline")
        .args(without)
        .current_dir(&crate_root)
        .env("CARGO_TARGET_DIR", target.parent().unwrap())
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "0")
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    assert!(text.contains("4 passed"), "{text}");
    assert!(!errors.contains("warning: "), "{errors}");
}
