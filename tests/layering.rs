//! Who imports whom: every path from the crate root in `src`, against the table of the architecture.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Each module and what it may import besides itself. A module imports only what stands above it.
const LAYERS: &[(&str, &[&str])] = &[
    ("net", &[]),
    ("bytes", &[]),
    ("parallel", &[]),
    ("capture", &["net", "bytes"]),
    ("wire", &["net", "bytes"]),
    ("flow", &["net"]),
    ("stream", &["net"]),
    ("evidence", &["net", "flow"]),
    ("protocol", &["net", "bytes", "evidence"]),
    (
        "scan",
        &[
            "net", "bytes", "capture", "wire", "flow", "stream", "evidence", "protocol",
        ],
    ),
    ("extract", &["net", "capture", "wire"]),
    ("signature", &["net", "evidence"]),
    ("topology", &["net", "evidence", "signature"]),
    (
        "attribution",
        &[
            "net",
            "parallel",
            "flow",
            "evidence",
            "signature",
            "topology",
        ],
    ),
    (
        "audit",
        &[
            "net",
            "flow",
            "evidence",
            "signature",
            "topology",
            "attribution",
        ],
    ),
    (
        "report",
        &[
            "net",
            "evidence",
            "signature",
            "topology",
            "attribution",
            "audit",
        ],
    ),
    (
        "cli",
        &[
            "net",
            "bytes",
            "parallel",
            "capture",
            "wire",
            "flow",
            "stream",
            "evidence",
            "protocol",
            "scan",
            "extract",
            "signature",
            "topology",
            "attribution",
            "audit",
            "report",
        ],
    ),
];

/// Exported macros stand at the root, whichever module they belong to.
const MACROS: &[(&str, &str)] = &[("open_enum", "bytes")];

/// The roots of the library and the program, which put everything together.
const ROOTS: &[&str] = &["lib", "main"];

/// What a module may import; `None` for a module that the table does not know.
fn allowed(module: &str) -> Option<&'static [&'static str]> {
    let (_, imports) = LAYERS.iter().find(|(name, _)| *name == module)?;
    Some(imports)
}

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// The names that follow the crate root in the paths of a source text; those of groups, each on its own.
///
/// `depth` is how deep the file's module lies below the root: that many `super` lead to the root too. A test module
/// within the file lies deeper, so that of such paths only those to a module of the table count.
fn names_at_root(text: &str, depth: usize) -> BTreeSet<String> {
    let code: String = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or(line))
        .flat_map(|line| [line, "\n"])
        .collect();
    let mut names = BTreeSet::new();
    let starts_word = |at: usize| {
        !code[..at].ends_with(|before: char| before.is_alphanumeric() || "_:".contains(before))
    };
    for root in ["crate", "exwire"] {
        for (at, found) in code.match_indices(&format!("{root}::")) {
            if starts_word(at) {
                names.extend(heads(&code[at + found.len()..]));
            }
        }
    }
    let to_root = "super::".repeat(depth);
    for (at, found) in code.match_indices(&to_root) {
        if starts_word(at) {
            let rest = code[at + found.len()..].trim_start_matches("super::");
            names.extend(
                heads(rest)
                    .into_iter()
                    .filter(|name| allowed(name).is_some()),
            );
        }
    }
    names
}

/// The first name of a path, or of each path of a group.
fn heads(path: &str) -> Vec<String> {
    let Some(group) = path.strip_prefix('{') else {
        let end = path.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
        return vec![path[..end.unwrap_or(path.len())].to_owned()];
    };
    let (mut depth, mut starts) = (0_u32, vec![0]);
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => starts.push(at + 1),
            _ => {}
        }
    }
    starts
        .into_iter()
        .map(|start| group[start..].trim_start())
        .filter(|path| !path.starts_with('}'))
        .flat_map(heads)
        .collect()
}

#[test]
fn every_module_imports_only_what_its_layer_allows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut violations = BTreeSet::new();
    for file in files {
        let inside = file.strip_prefix(&root).unwrap().with_extension("");
        let mut modules: Vec<&str> = inside.iter().map(|part| part.to_str().unwrap()).collect();
        modules.pop_if(|last| *last == "mod");
        let module = modules[0];
        if ROOTS.contains(&module) {
            continue;
        }
        let Some(imports) = allowed(module) else {
            violations.insert(format!("{module} is not in the table"));
            continue;
        };
        for name in names_at_root(&std::fs::read_to_string(&file).unwrap(), modules.len()) {
            let owner = MACROS.iter().find(|(exported, _)| *exported == name);
            let imported = owner.map_or(name.as_str(), |(_, owner)| owner);
            if imported != module && !imports.contains(&imported) {
                violations.insert(format!("{}: {module} imports {name}", inside.display()));
            }
        }
    }
    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn the_table_has_no_circle() {
    for (index, (module, imports)) in LAYERS.iter().enumerate() {
        for import in *imports {
            let above = LAYERS[..index].iter().any(|(name, _)| name == import);
            assert!(above, "{module} imports {import}, which is not above it");
        }
    }
}

#[test]
fn paths_of_all_forms_are_found() {
    let found = |text, depth| names_at_root(text, depth).into_iter().collect::<Vec<_>>();
    assert_eq!(
        found("use crate::net::{Side, Endpoint};", 1),
        ["net"],
        "a plain use"
    );
    assert_eq!(
        found("use crate::{\n    wire::{ip, tcp},\n    flow,\n};", 1),
        ["flow", "wire"],
        "a group"
    );
    assert_eq!(
        found("let x = f(crate::scan::run); // crate::cli", 1),
        ["scan"],
        "an expression, and a comment"
    );
    assert_eq!(
        found("use super::super::audit;\nuse super::flow;", 2),
        ["audit"],
        "as many `super` as lead to the root"
    );
    assert_eq!(
        found("$crate::stream::Chunk; mycrate::cli::x", 1),
        ["stream"],
        "a macro"
    );
}
