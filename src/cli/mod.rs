//! The program around the library: arguments, progress, messages, exit codes.
//!
//! Results go to standard output, everything else to standard error. Exit codes are decided in one place.

mod args;
mod audit;
mod explain;
mod output;
mod progress;
mod summary;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;

use crate::attribution::{self, Judged};
use crate::audit::{self as findings, Finding};
use crate::capture::{Input, PassedOver, plan};
use crate::protocol::PROTOCOLS;
use crate::report::{CallRecord, EndpointRecord, FlowRecord};
use crate::scan::{self, Scanned};
use crate::signature::{Overrides, PortOverride, Query, ServiceId, Signatures, Vocabulary};
use crate::topology::Topology;
use args::{Arguments, Command, Explaining, PortArgument, Scanning, Searching, SignatureFiles};
use output::{Output, say};
use progress::Bar;

/// How a run ended; the numbers are the contract's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Clean = 0,
    Findings = 1,
    Trouble = 2,
    Partial = 3,
}

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() {
                Ending::Trouble as u8
            } else {
                Ending::Clean as u8
            });
        }
    };
    let done = match arguments.command {
        Command::Classify(scanning) => classify(&scanning),
        Command::Audit(auditing) => audit::run(&auditing),
        Command::Endpoints(scanning) => endpoints(&scanning),
        Command::Calls(scanning) => calls(&scanning),
        Command::Matrix(searching) => matrix(&searching),
        Command::Explain(explaining) => explain(&explaining),
    };
    match done {
        Ok(ending) => ExitCode::from(ending as u8),
        Err(error) if output::is_broken_pipe(&error) => ExitCode::from(Ending::Clean as u8),
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::from(Ending::Trouble as u8)
        }
    }
}

fn classify(scanning: &Scanning) -> anyhow::Result<Ending> {
    let mut run = Run::of(scanning)?;
    let findings = findings::audit(&run.judged, &run.signatures, &run.topology);
    let codes = codes_by_flow(&run.judged, &findings);
    let none: Vec<&'static str> = Vec::new();
    let records = run
        .judged
        .iter()
        .zip(codes.iter().map(Some).chain(std::iter::repeat(None)));
    run.output
        .write(records.map(|((flow, attribution), codes)| {
            FlowRecord::new(flow, attribution, codes.unwrap_or(&none))
        }))?;
    if !scanning.output.quiet {
        summary::flows(&run.judged, &run.scanned, &findings);
    }
    Ok(run.ending(Ending::Clean))
}

fn endpoints(scanning: &Scanning) -> anyhow::Result<Ending> {
    let mut run = Run::of(scanning)?;
    let records = EndpointRecord::all(&run.judged, &run.signatures);
    let count = records.len();
    run.output.write(records.into_iter())?;
    if !scanning.output.quiet {
        summary::endpoints(count, &run.scanned);
    }
    Ok(run.ending(Ending::Clean))
}

fn calls(scanning: &Scanning) -> anyhow::Result<Ending> {
    let mut run = Run::of(scanning)?;
    let findings = findings::audit(&run.judged, &run.signatures, &run.topology);
    let codes = codes_by_flow(&run.judged, &findings);
    let calls = attribution::calls(&run.judged);
    run.output
        .write(calls.iter().map(|call| CallRecord::new(call, &codes)))?;
    if !scanning.output.quiet {
        summary::calls(&calls, &run.scanned);
    }
    Ok(run.ending(Ending::Clean))
}

fn matrix(searching: &Searching) -> anyhow::Result<Ending> {
    let mut changed = Vec::new();
    let mut wanted = None;
    for argument in &searching.port {
        match argument {
            PortArgument::Wanted(port) => wanted = Some(*port),
            PortArgument::Changed(port) => changed.push(port.clone()),
        }
    }
    let signatures = signatures(&searching.signatures, &changed)?;
    let service = searching
        .service
        .as_ref()
        .map(|id| ServiceId(id.as_str().into()));
    if let Some(id) = service
        .as_ref()
        .filter(|id| signatures.catalog.service(id).is_none())
    {
        let known = signatures
            .catalog
            .services()
            .map(|service| service.id.as_str());
        let error = crate::signature::UnknownWord::new("service", id.as_str(), known);
        anyhow::bail!("--service: {error}");
    }
    let query = Query {
        port: wanted,
        role: searching.role,
        product: searching.product,
        row: searching.row.clone(),
        service,
        text: searching.text.clone(),
    };
    let rows = signatures.matrix.search(&query);
    let count = rows.len();
    Output::new(&searching.output).write(rows.into_iter())?;
    if !searching.output.quiet {
        say(&format!(
            "{count} of {} rows",
            signatures.matrix.rows().len()
        ));
    }
    Ok(Ending::Clean)
}

fn explain(explaining: &Explaining) -> anyhow::Result<Ending> {
    let signatures = signatures(&explaining.signatures, &[])?;
    explain::explain(explaining.code.as_deref(), &signatures)?;
    Ok(Ending::Clean)
}

/// A scan that has been judged.
struct Run {
    signatures: Signatures,
    topology: Topology,
    scanned: Scanned,
    judged: Judged,
    output: Output,
}

impl Run {
    fn of(scanning: &Scanning) -> anyhow::Result<Self> {
        Self::with(scanning, |_| Ok(()))
    }

    /// A run whose topology the command adds to.
    fn with(
        scanning: &Scanning,
        add: impl FnOnce(&mut Topology) -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        // Everything that can be wrong with the arguments is said before the first packet.
        let signatures = signatures(&scanning.signatures, &scanning.port)?;
        let mut topology = match &scanning.topology {
            Some(path) => Topology::read(path)?,
            None => Topology::default(),
        };
        add(&mut topology)?;
        findings::verify(&topology, &signatures)?;
        let output = Output::new(&scanning.output);
        let inputs: Vec<Input> = scanning
            .captures
            .iter()
            .map(|argument| Input::from_argument(argument))
            .collect();
        let plan = plan(&inputs, scanning.grouping())?;
        passed_over(&plan.passed_over, scanning.output.quiet);
        let threads = scanning
            .threads
            .map(usize::from)
            .or_else(|| std::thread::available_parallelism().ok().map(usize::from))
            .unwrap_or(1);
        let options = scan::Options {
            threads,
            filter: scanning.filter.clone(),
        };
        let bar = Bar::new(&plan.chains, scanning.output.quiet);
        let mut scanned = scan::scan(&plan.chains, &options, &bar)?;
        bar.finish();
        scanned.failures.splice(0..0, plan.rejected);
        for failure in &scanned.failures {
            say(&format!("warning: {failure}"));
        }
        if scanned.packets == 0
            && let Some(first) = scanned.failures.first()
        {
            return Err(first.clone()).context("nothing could be read");
        }
        let judged = Judged::of(&scanned.ledger, &signatures, &topology);
        Ok(Self {
            signatures,
            topology,
            scanned,
            judged,
            output,
        })
    }

    /// How the run ended. The process ends with it, so nothing is given back piece by piece: that took a tenth of a run.
    fn ending(self, otherwise: Ending) -> Ending {
        let ending = match otherwise {
            Ending::Clean if !self.scanned.failures.is_empty() => Ending::Partial,
            _ => otherwise,
        };
        std::mem::forget(self);
        ending
    }
}

/// The vocabulary of conditions: what the decoders register.
fn signatures(files: &SignatureFiles, ports: &[PortOverride]) -> anyhow::Result<Signatures> {
    let known: Vec<(&str, &[&str])> = PROTOCOLS
        .iter()
        .map(|protocol| (protocol.name, protocol.attributes))
        .collect();
    let overrides = Overrides {
        directories: files.signatures.clone(),
        ports: ports.to_vec(),
    };
    Ok(Signatures::load(
        &overrides,
        &Vocabulary { protocols: &known },
    )?)
}

fn passed_over(files: &[PassedOver], quiet: bool) {
    if let (Some(first), false) = (files.first(), quiet) {
        say(&format!(
            "note: {} files in folders are no captures and were passed over, the first is {}",
            files.len(),
            first.path.display()
        ));
    }
}

/// Codes of the findings that name each flow, in the order of flows.
fn codes_by_flow(judged: &Judged, findings: &[Finding]) -> Vec<Vec<&'static str>> {
    let mut codes: Vec<Vec<&'static str>> = vec![Vec::new(); judged.attributions.len()];
    for finding in findings {
        for number in &finding.flows {
            let index = usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
            if let Some(codes) = codes.get_mut(index)
                && !codes.contains(&finding.code)
            {
                codes.push(finding.code);
            }
        }
    }
    codes
}
