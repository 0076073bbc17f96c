//! What the documentation shows is what the program does.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::process::Command;

use exwire::audit::CODES;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The page is written from the code: `EXWIRE_WRITE_DOCS=1 cargo test --test docs` writes it again.
#[test]
fn every_finding_code_is_on_its_page() {
    let mut page = String::from(
        "# Findings\n\nEvery code, what it means, and what to do. `exwire explain CODE` adds the rules of the documents that it rests on.\n\
         Severity follows the documents and the evidence. What a port alone claims never makes an error of what a flow is (that nobody answers\n\
         it is seen, not assumed), and without a topology file\n\
         nothing is held against a host for its role.\n",
    );
    for code in CODES {
        page.push_str(&format!(
            "\n## {} {}\n\n{}\n\nWhat to do: {}\n",
            code.code, code.name, code.meaning, code.advice
        ));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/findings.md");
    if std::env::var_os("EXWIRE_WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    assert_eq!(read("docs/findings.md"), page, "docs/findings.md is stale");
}

/// Each example of the README: the lines below a command are lines of its output, in order.
#[test]
fn the_examples_of_the_readme_are_real() {
    let readme = read("README.md");
    let mut examples = 0;
    for block in readme.split("```console\n").skip(1) {
        let block = block.split("```").next().unwrap();
        let (command, shown) = block.split_once('\n').unwrap();
        let arguments: Vec<&str> = command
            .strip_prefix("$ exwire ")
            .unwrap()
            .split(' ')
            .collect();
        let output = Command::new(env!("CARGO_BIN_EXE_exwire"))
            .args(&arguments)
            .args(["--format", "table", "--quiet"])
            .env("COLUMNS", "120")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let mut lines = text.lines().map(str::trim_end);
        for line in shown.lines() {
            assert!(
                lines.any(|real| real == line),
                "`{command}` does not print: {line}"
            );
        }
        examples += 1;
    }
    assert_eq!(examples, 4);
}

#[test]
fn links_between_pages_lead_somewhere() {
    for page in [
        "README.md",
        "docs/output.md",
        "docs/matrix.md",
        "signatures/README.md",
        "samples/README.md",
    ] {
        let folder = Path::new(page).parent().unwrap();
        for link in read(page)
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let target = link.split('#').next().unwrap();
            if !target.is_empty() && !target.contains("://") {
                let path = Path::new(env!("CARGO_MANIFEST_DIR"))
                    .join(folder)
                    .join(target);
                assert!(path.exists(), "{page} links to {link}");
            }
        }
    }
}
