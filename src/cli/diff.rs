//! `diff`: what is new, gone, changed, slower or failing between two captures.

use std::collections::BTreeMap;
use std::ffi::OsString;

use anyhow::bail;

use super::args::Diffing;
use super::output::{Output, say};
use super::{Ending, Run};
use crate::attribution::{Change, ChangeKind, Conversations, changes};
use crate::report::ChangeRecord;

pub(super) fn run(diffing: &Diffing) -> anyhow::Result<Ending> {
    let Diffing {
        before,
        after,
        reading,
    } = diffing;
    if before == "-" && after == "-" {
        bail!("standard input is one capture: expected another one to compare it with");
    }
    let read = |capture: &OsString| -> anyhow::Result<(Run, Conversations)> {
        let output = Output::new(&reading.output)?;
        let captures = std::slice::from_ref(capture);
        let (run, ledger) = Run::with(captures, reading, output, |_| Ok(()))?;
        let judged = run.judge(ledger);
        let conversations = Conversations::of(&judged);
        drop(judged);
        Ok((run, conversations))
    };
    let (first, was) = read(before)?;
    let (second, is) = read(after)?;
    let left_out = was.left_out.saturating_add(is.left_out);
    let changes = changes(was, is);
    second.output.write(changes.iter().map(ChangeRecord::new))?;
    if left_out > 0 {
        say(&format!(
            "warning: not compared: {left_out} flows of conversations beyond the bound"
        ));
    }
    if !reading.output.quiet {
        say(&summary(&changes));
    }
    let ending = if changes.is_empty() {
        Ending::Clean
    } else {
        Ending::Findings
    };
    // What one of them lacks is no difference: a broken capture shows, where nothing else does.
    Ok(match first.ending(ending, ()) {
        Ending::Clean => second.ending(ending, ()),
        other => other,
    })
}

fn summary(changes: &[Change]) -> String {
    let mut counts: BTreeMap<ChangeKind, u64> = BTreeMap::new();
    for kind in changes.iter().flat_map(|change| &change.kinds) {
        let count = counts.entry(*kind).or_default();
        *count = count.saturating_add(1);
    }
    if counts.is_empty() {
        return "no differences; captures show only what passed by them".to_owned();
    }
    let counts: Vec<String> = counts
        .iter()
        .map(|(kind, count)| format!("{kind} {count}"))
        .collect();
    format!("differences: {}", counts.join(", "))
}
