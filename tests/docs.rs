//! What the documentation shows is what the program does.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

#[path = "../examples/generate-samples/generator/mod.rs"]
#[allow(dead_code, reason = "the samples are another test's")]
mod generator;
mod signature_support;

use std::path::Path;
use std::process::Command;

use exwire::audit::CODES;
use exwire::protocol::PROTOCOLS;
use exwire::signature::Row;
use generator::faults::Case;
use signature_support::signatures;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Quotes of the documents that the page shows of one code; `docs/checks.md` has all.
const MAX_QUOTES: usize = 3;

/// The page is written from the code: `EXWIRE_WRITE_DOCS=1 cargo test --test docs` writes it again.
#[test]
fn every_finding_code_is_on_its_page() {
    let mut page = String::from(
        "# Findings\n\nEvery code, what it means, what to do, and two small captures of `tests/findings.rs`: one that raises it, and one that looks alike\n\
         and does not. Where rules of the documents ask for it, they are quoted; other codes are about documented paths that do not work, and\n\
         their findings quote the row of the path. `exwire explain CODE` shows all rules, [checks.md](checks.md) all rows.\n\
         Severity follows the documents and the evidence. What a port alone claims never makes an error of what a flow is (that nobody answers\n\
         it is seen, not assumed), and without a topology file\n\
         nothing is held against a host for its role.\n",
    );
    let signatures = signatures();
    let cases = generator::faults::cases();
    for code in CODES {
        page.push_str(&format!(
            "\n## {} {}\n\n{}\n\nWhat to do: {}\n\n",
            code.code, code.name, code.meaning, code.advice
        ));
        for (said, raises) in [("Raised by", true), ("Not by", false)] {
            let shows = |case: &&Case| case.code == code.code && case.raises == raises;
            for case in cases.iter().filter(shows) {
                page.push_str(&format!("* {said}: {}.\n", case.shows));
            }
        }
        let mut rules: Vec<&Row> = signatures
            .matrix
            .rows()
            .iter()
            .filter(|row| row.check.as_deref() == Some(code.code) && row.quote.is_some())
            .collect();
        // What is said of all services and hosts comes first.
        rules.sort_by_key(|row| {
            let names_hosts = !row.from_roles.is_empty() || !row.to_roles.is_empty();
            (!row.services.is_empty(), names_hosts)
        });
        for row in rules.iter().take(MAX_QUOTES) {
            let quote = row.quote.as_deref().unwrap_or_default();
            page.push_str(&format!(
                "* Documents: \"{quote}\" ({}, {})\n",
                row.document, row.table
            ));
        }
        if let Some(more) = rules.len().checked_sub(MAX_QUOTES).filter(|more| *more > 0) {
            page.push_str(&format!("* And {more} more.\n"));
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/findings.md");
    if std::env::var_os("EXWIRE_WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    assert_eq!(read("docs/findings.md"), page, "docs/findings.md is stale");
}

/// The page is written from the matrix: `EXWIRE_WRITE_DOCS=1 cargo test --test docs` writes it again.
#[test]
fn every_row_is_on_the_page_of_checks() {
    let signatures = signatures();
    let rows = signatures.matrix.rows();
    let mut page = String::from(
        "# Checks\n\nEach row of the documents, and the codes that measure flows by it ([findings.md](findings.md)) or the reason why no packet can decide it.\n\
         This page is written from the matrix; `exwire matrix --format json` holds the same under `check`, `checks` and `check_reason`.\n",
    );
    let checked = rows.iter().filter(|row| !row.checks.is_empty()).count();
    page.push_str(&format!(
        "\n{checked} of {} rows are checked.\n",
        rows.len()
    ));
    let mut heading = String::new();
    for row in rows {
        let next = format!("{}: {}", row.document, row.table);
        if heading != next {
            page.push_str(&format!(
                "\n## {next}\n\n| row | says | checks |\n| --- | --- | --- |\n"
            ));
            heading = next;
        }
        let says = row.rule.as_ref().unwrap_or(&row.title).replace('|', "\\|");
        let how = match row.checks.as_slice() {
            [] => row.check_reason.as_deref().unwrap_or_default().to_owned(),
            checks => checks.join(" "),
        };
        page.push_str(&format!("| `{}` | {says} | {how} |\n", row.id));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/checks.md");
    if std::env::var_os("EXWIRE_WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    assert_eq!(read("docs/checks.md"), page, "docs/checks.md is stale");
}

/// Each example of the README: the lines below a command are lines of its output, in order; `...` stands for lines that are left
/// out. `head` shows what the command before it wrote; programs of others are not run.
#[test]
fn the_examples_of_the_readme_are_real() {
    let readme = read("README.md");
    let folder = tempfile::tempdir().unwrap();
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    std::os::unix::fs::symlink(samples, folder.path().join("samples")).unwrap();
    let mut examples = 0;
    for block in readme.split("```console\n").skip(1) {
        let block = block.split("\n```").next().unwrap();
        for example in block.split("$ ").skip(1) {
            let (command, shown) = example.split_once('\n').unwrap_or((example, ""));
            let words: Vec<&str> = command.split(' ').collect();
            let text = match words.as_slice() {
                ["exwire", arguments @ ..] => printed(arguments, folder.path()),
                ["head", _, file] => std::fs::read_to_string(folder.path().join(file)).unwrap(),
                _ => continue,
            };
            let mut lines = text.lines().map(str::trim_end);
            for line in shown.lines().filter(|line| *line != "...") {
                assert!(
                    lines.any(|real| real == line),
                    "`{command}` does not print: {line}\nit prints: {text}"
                );
            }
            examples += 1;
        }
    }
    assert_eq!(examples, 10);
}

/// What a command prints on a terminal of 120 columns; where it writes a file, what it says of it.
fn printed(arguments: &[&str], folder: &Path) -> String {
    let has_table = matches!(
        arguments,
        ["classify" | "endpoints" | "calls" | "audit" | "diff", ..]
    ) && !arguments.contains(&"--ladder");
    let writes = arguments.contains(&"-o");
    let more: &[&str] = if has_table {
        &["--format", "table", "--quiet"]
    } else {
        &[]
    };
    let output = Command::new(env!("CARGO_BIN_EXE_exwire"))
        .args(arguments)
        .args(more)
        .env("COLUMNS", "120")
        .current_dir(folder)
        .output()
        .unwrap();
    String::from_utf8(if writes { output.stderr } else { output.stdout }).unwrap()
}

#[test]
fn links_between_pages_lead_somewhere() {
    for page in [
        "README.md",
        "docs/output.md",
        "docs/protocols.md",
        "docs/checks.md",
        "docs/detection.md",
        "docs/adding-a-protocol.md",
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

/// The page is written from the registrations: `EXWIRE_WRITE_DOCS=1 cargo test --test docs` writes it again.
#[test]
fn every_decoder_is_on_its_page() {
    let mut page = String::from(
        "# Protocols\n\nWhat each decoder reads, from which documents, which bytes prove it, and where its knowledge ends. Detection is by content, on any port.\n\
         A name stands in `protocols` of a flow only where bytes proved it; attributes are the facts that evidence and findings quote.\n\
         This page is written from the decoders' registrations.\n",
    );
    for protocol in PROTOCOLS {
        let about = &protocol.about;
        let carriers: Vec<&str> = [
            protocol.stream.as_ref().map(|_| "TCP"),
            protocol.datagram.as_ref().map(|_| "UDP"),
        ]
        .into_iter()
        .flatten()
        .collect();
        let carriers = if carriers.is_empty() {
            "other protocols".to_owned()
        } else {
            carriers.join(", ")
        };
        let attributes: Vec<String> = protocol
            .attributes
            .iter()
            .map(|name| format!("`{name}`"))
            .collect();
        page.push_str(&format!(
            "\n## `{}`: {}\n\n* Over: {carriers}\n* Documents: {}\n* Reads: {}\n* Proven by: {}\n* Limits: {}\n",
            protocol.name, about.title, about.sources, about.reads, about.proves, about.limits
        ));
        if !attributes.is_empty() {
            page.push_str(&format!("* Attributes: {}\n", attributes.join(", ")));
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/protocols.md");
    if std::env::var_os("EXWIRE_WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    assert_eq!(
        read("docs/protocols.md"),
        page,
        "docs/protocols.md is stale"
    );
}
