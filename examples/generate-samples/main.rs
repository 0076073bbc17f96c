//! Writes the samples of `samples/`: captures, their manifests, and the README that lists them.
//!
//! `cargo run --example generate-samples -- OUTDIR`. The same bytes every time: see `generator`.

mod generator;

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io};

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let [directory] = arguments.as_slice() else {
        return fail("usage: generate-samples OUTDIR");
    };
    match write_all(Path::new(directory)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

fn write_all(directory: &Path) -> io::Result<()> {
    for file in generator::generate() {
        let path = directory.join(&file.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, file.bytes)?;
    }
    Ok(())
}

#[expect(
    clippy::print_stderr,
    reason = "an example is its own command line, and this is its message"
)]
fn fail(message: &str) -> ExitCode {
    eprintln!("generate-samples: {message}");
    ExitCode::from(2)
}
