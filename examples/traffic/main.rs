//! Writes a capture for measurements: `cargo run --release --example traffic -- KIND SIZE FILE [--seed N] [--flows N]`.
//!
//! SIZE is bytes (`1.2G`, `300M`) or packets (`3Mp`). FILE may be `-`. The same arguments give the same bytes.

mod generator;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use generator::{Extent, Kind, Made, generate};

/// Seed and flows where none are given.
const SEED: u64 = 1;
const FLOWS: usize = 1000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(made) => {
            say(&report(&made));
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(&format!("traffic: {error}"));
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &[String]) -> io::Result<Made> {
    let (mut seed, mut flows, mut plain) = (SEED, FLOWS, Vec::new());
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut number = || {
            let text = rest.next().map_or("", String::as_str);
            text.parse::<u64>()
                .map_err(|_| wrong(&format!("{argument}: expected a number, found `{text}`")))
        };
        match argument.as_str() {
            "--seed" => seed = number()?,
            "--flows" => flows = usize::try_from(number()?).unwrap_or(usize::MAX),
            _ => plain.push(argument.as_str()),
        }
    }
    let [kind, size, file] = plain[..] else {
        let kinds: Vec<&str> = Kind::ALL.iter().map(|(name, _)| *name).collect();
        return Err(wrong(&format!(
            "usage: traffic KIND SIZE FILE [--seed N] [--flows N]; KIND is one of {}; SIZE as 1.2G or 3Mp",
            kinds.join(", ")
        )));
    };
    let kind = named(kind).ok_or_else(|| wrong(&format!("no kind of traffic `{kind}`")))?;
    let extent = extent(size).ok_or_else(|| wrong(&format!("no size: `{size}`")))?;
    let out: Box<dyn Write> = match file {
        "-" => Box::new(io::stdout().lock()),
        path => Box::new(File::create(path)?),
    };
    let mut out = BufWriter::with_capacity(1 << 20, out);
    let made = generate(kind, extent, flows, seed, &mut out)?;
    out.flush()?;
    Ok(made)
}

fn named(name: &str) -> Option<Kind> {
    let mut all = Kind::ALL.iter();
    all.find_map(|(of, kind)| (*of == name).then_some(*kind))
}

/// `1.2G` is bytes, `3Mp` packets.
fn extent(text: &str) -> Option<Extent> {
    let (text, is_packets) = match text.strip_suffix('p') {
        Some(text) => (text, true),
        None => (text, false),
    };
    let (number, unit) = match text.split_at_checked(text.len().checked_sub(1)?)? {
        (number, "k") => (number, 1e3),
        (number, "M") => (number, 1e6),
        (number, "G") => (number, 1e9),
        _ => (text, 1.0),
    };
    let size = number.parse::<f64>().ok()? * unit;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a size in bytes; what is too large is cut"
    )]
    let size = size as u64;
    Some(if is_packets {
        Extent::Packets(size)
    } else {
        Extent::Bytes(size)
    })
}

fn report(made: &Made) -> String {
    let mut lines = vec![format!(
        "{:<14} {:>10} {:>12} {:>15} {:>7} {:>7}",
        "application", "flows", "packets", "bytes", "packets", "bytes"
    )];
    let mut names: Vec<_> = made.by_name.iter().collect();
    names.sort_by_key(|(name, counts)| (std::cmp::Reverse(counts[2]), **name));
    let mut flows = 0;
    for (name, [of, packets, bytes]) in names {
        let part =
            |count: u64, all: u64| format!("{:.1} %", 100.0 * count as f64 / all.max(1) as f64);
        flows += of;
        lines.push(format!(
            "{name:<14} {of:>10} {packets:>12} {bytes:>15} {:>7} {:>7}",
            part(*packets, made.packets),
            part(*bytes, made.bytes)
        ));
    }
    lines.push(format!(
        "{:<14} {flows:>10} {:>12} {:>15}, {:.1} s, {} bytes a packet",
        "all",
        made.packets,
        made.bytes,
        made.microseconds as f64 / 1e6,
        made.bytes / made.packets.max(1)
    ));
    lines.join("\n")
}

fn wrong(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

#[expect(
    clippy::print_stderr,
    reason = "an example is its own command line, and this is its message"
)]
fn say(line: &str) {
    eprintln!("{line}");
}
