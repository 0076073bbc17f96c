//! What a code means, what it rests on, and what to do; and the chain from packets to verdict of one flow.

use std::ffi::OsString;
use std::io::{self, Write};

use anyhow::bail;

use super::args::{Explaining, Reading};
use super::output::Output;
use super::{Ending, Run, signatures};
use crate::audit::{self as findings, CODES, Code};
use crate::report::Chain;
use crate::signature::{Signatures, UnknownWord};

pub(super) fn run(explaining: &Explaining) -> anyhow::Result<Ending> {
    let Explaining {
        words,
        flow,
        reading,
    } = explaining;
    if reading.output.format.is_some() {
        bail!("--format: an explanation is text, and has no other format");
    }
    match (flow, words.as_slice()) {
        (Some(_), []) => bail!("--flow: expected captures to find the flow in, found none"),
        (Some(number), captures) => flow_of(number.get(), captures, reading),
        (None, [] | [_]) => {
            let signatures = signatures(&reading.signatures, &[])?;
            let code = words.first().map(|word| word.to_string_lossy());
            let output = Output::new(&reading.output)?;
            match code.as_deref() {
                None => output.write_plain(codes)?,
                Some(code) => {
                    let code = known(code)?;
                    output.write_plain(|out| code_of(code, &signatures, out))?;
                }
            }
            Ok(Ending::Clean)
        }
        (None, [_, second, ..]) => bail!(
            "expected one code, or captures with --flow, found also `{}`",
            second.to_string_lossy()
        ),
    }
}

/// The chain of one flow.
fn flow_of(number: u64, captures: &[OsString], reading: &Reading) -> anyhow::Result<Ending> {
    let output = Output::new(&reading.output)?;
    let (run, ledger) = Run::with(captures, reading, output, |_| Ok(()))?;
    let judged = run.judge(ledger);
    let kept = judged.keep(|flow, _| flow.number == number);
    let Some((flow, attribution)) = kept.first() else {
        bail!(
            "--flow: expected a number from 1 to {}, found {number}",
            judged.len()
        );
    };
    let findings = findings::audit(&judged, judged.signatures(), judged.topology());
    let chain = Chain::new(&judged, flow, attribution, &findings);
    run.output.write_plain(|out| chain.write(out))?;
    Ok(run.ending(Ending::Clean, judged))
}

/// All codes, a line each.
fn codes(out: &mut dyn Write) -> io::Result<()> {
    for code in CODES {
        writeln!(out, "{}  {:24} {}", code.code, code.name, code.meaning)?;
    }
    Ok(())
}

/// The code of that name.
fn known(name: &str) -> anyhow::Result<&'static Code> {
    let name = name.to_ascii_uppercase();
    let Some(code) = CODES.iter().find(|code| code.code == name) else {
        bail!(UnknownWord::new(
            "code",
            &name,
            CODES.iter().map(|code| code.code)
        ));
    };
    Ok(code)
}

fn code_of(code: &Code, signatures: &Signatures, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "{} {}\n\n{}\n\nWhat to do: {}",
        code.code, code.name, code.meaning, code.advice
    )?;
    let rules: Vec<_> = signatures
        .matrix
        .rows()
        .iter()
        .filter(|row| row.check.as_deref() == Some(code.code))
        .collect();
    if !rules.is_empty() {
        writeln!(out, "\nWhat it rests on:")?;
    }
    for row in rules {
        writeln!(out, "  {} ({}, {})", row.id, row.document, row.table)?;
        writeln!(out, "    {}", row.rule.as_ref().unwrap_or(&row.title))?;
        if let Some(quote) = &row.quote {
            writeln!(out, "    \"{quote}\"")?;
        }
    }
    Ok(())
}
