//! `audit`: what is shown, what is allowed, what is new.

use super::args::{Auditing, FormatArgument};
use super::output::{Output, say};
use super::summary::{LeftOut, Tally};
use super::{Ending, Run, summary, unbroken};
use crate::audit::{Auditor, Baseline, Review, Selection};
use crate::report::Sarif;
use crate::topology::Topology;

pub(super) fn run(auditing: &Auditing) -> anyhow::Result<Ending> {
    let selection = Selection::new(
        auditing.only.iter().map(String::as_str),
        auditing.ignore.iter().map(String::as_str),
    )?;
    let reading = &auditing.scanning.reading;
    let is_sarif = reading.output.format == Some(FormatArgument::Sarif);
    let output = if is_sarif {
        Output::with(&reading.output, None)?
    } else {
        Output::new(&reading.output)?
    };
    let baseline = auditing
        .baseline
        .as_deref()
        .map(Baseline::read)
        .transpose()?;
    let (run, ledger) = Run::with(&auditing.scanning.captures, reading, output, |topology| {
        topology.product = auditing.product.or(topology.product);
        if let Some(path) = &auditing.waivers {
            topology.read_waivers(path)?;
        }
        Ok(())
    })?;
    let judged = run.judge(ledger);
    let mut tally = Tally::default();
    let mut auditor = Auditor::new(&judged, &run.signatures, &run.topology);
    judged.for_each(|flow, attribution| {
        tally.count(attribution);
        auditor.observe(flow, attribution);
    });
    let mut review = auditor.finish();
    selection.apply(&mut review);
    let mut left_out = LeftOut {
        waived: review.waived.len(),
        is_selected: !auditing.only.is_empty() || !auditing.ignore.is_empty(),
        ..LeftOut::default()
    };
    if let Some(baseline) = &baseline {
        left_out.gone = baseline.gone(&review.findings);
        let before = review.findings.len();
        baseline.apply(&mut review);
        left_out.known = Some(before.saturating_sub(review.findings.len()));
    }
    unbroken(&judged)?;
    if is_sarif {
        let log = Sarif::new(&judged, &review, baseline.is_some());
        run.output.write_plain(|out| log.write(out))?;
    } else {
        run.output.write(review.findings.iter())?;
    }
    expired(&review, &run.topology);
    if !reading.output.quiet {
        let ledger = judged.ledger();
        summary::findings(&tally, &run, ledger, &review.findings, &left_out);
    }
    let fails = review
        .findings
        .iter()
        .any(|finding| auditing.fail_on.admits(finding.severity));
    let ending = if fails {
        Ending::Findings
    } else {
        Ending::Clean
    };
    Ok(run.ending(ending, judged))
}

/// Says which waivers no longer hold, also where nothing else is said: their findings are back.
fn expired(review: &Review, topology: &Topology) {
    let waivers = topology.waivers().iter().enumerate();
    for (_, waiver) in waivers.filter(|(index, _)| review.expired.contains(index)) {
        say(&format!(
            "warning: {}:{}: what is allowed here expired at {}: {}",
            waiver.path.display(),
            waiver.line,
            waiver.expires,
            waiver.reason
        ));
    }
}
