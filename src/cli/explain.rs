//! What a code means, what it rests on, and what to do.

use std::io::Write as _;

use anyhow::bail;

use crate::audit::CODES;
use crate::signature::{Signatures, UnknownWord};

pub(super) fn explain(code: Option<&str>, signatures: &Signatures) -> anyhow::Result<()> {
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
