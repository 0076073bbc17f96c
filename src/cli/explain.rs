//! What a code means, what it rests on, and what to do; and the chain from packets to verdict of one flow.

use std::ffi::OsString;
use std::io::Write as _;

use anyhow::bail;

use super::args::{Explaining, Reading};
use super::output::Output;
use super::{Ending, Run, signatures};
use crate::audit::{self as findings, CODES};
use crate::report::Chain;
use crate::signature::{Signatures, UnknownWord};

pub(super) fn run(explaining: &Explaining) -> anyhow::Result<Ending> {
    let Explaining {
        words,
        flow,
        reading,
    } = explaining;
    match (flow, words.as_slice()) {
        (Some(_), []) => bail!("--flow: expected captures to find the flow in, found none"),
        (Some(number), captures) => flow_of(number.get(), captures, reading),
        (None, [] | [_]) => {
            let signatures = signatures(&reading.signatures, &[])?;
            let code = words.first().map(|word| word.to_string_lossy());
            code_of(code.as_deref(), &signatures)?;
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
    if reading.output.format.is_some() {
        bail!("--format: an explanation is text, and has no other format");
    }
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

fn code_of(code: Option<&str>, signatures: &Signatures) -> anyhow::Result<()> {
    let mut out = anstream::stdout().lock();
    let Some(wanted) = code else {
        for code in CODES {
            writeln!(out, "{}  {:24} {}", code.code, code.name, code.meaning)?;
        }
        return Ok(());
    };
    let wanted = wanted.to_ascii_uppercase();
    let Some(code) = CODES.iter().find(|code| code.code == wanted) else {
        bail!(UnknownWord::new(
            "code",
            &wanted,
            CODES.iter().map(|code| code.code)
        ));
    };
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
