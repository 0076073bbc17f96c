//! The program around the library: arguments, progress, messages, exit codes.
//!
//! Results go to standard output, everything else to standard error. Exit codes are decided in one place.

mod args;
mod audit;
mod diff;
mod explain;
mod extract;
mod output;
mod progress;
mod summary;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;

use crate::attribution::{self, Call, CallFlows, Judged, JudgedFlow, Sketch};
use crate::audit::{self as findings, Auditor, FlowCodes, codes_of};
use crate::capture::{CaptureError, Input, PassedOver, plan};
use crate::evidence::Ledger;
use crate::parallel::in_order;
use crate::protocol::PROTOCOLS;
use crate::report::Format;
use crate::report::{
    CallRecord, Early, EndpointRecord, FlowRecord, NamedEndpoint, Rows, write_ladders,
    write_topology,
};
use crate::scan::{self, Scanned};
use crate::signature::{Overrides, PortOverride, Query, ServiceId, Signatures, Vocabulary};
use crate::topology::Topology;
use args::{
    Arguments, Calling, Command, FormatArgument, PortArgument, Reading, Scanning, Searching,
    SignatureFiles,
};
use output::{Output, say};
use progress::Bar;
use summary::Tally;

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
        Command::Calls(calling) => calls(&calling),
        Command::Diff(diffing) => diff::run(&diffing),
        Command::Extract(extracting) => extract::run(&extracting),
        Command::Topology(scanning) => topology(&scanning),
        Command::Matrix(searching) => matrix(&searching),
        Command::Explain(explaining) => explain::run(&explaining),
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
    let (run, ledger) = Run::of(scanning)?;
    let judged = run.judge(ledger);
    let store = judged.ledger().store();
    let mut auditor = Auditor::new(&judged, judged.signatures(), judged.topology());
    let mut tally = Tally::default();
    let (mut kept, mut findings) = (Vec::new(), Vec::new());
    run.output.write_with::<FlowRecord<'_>>(|writer| {
        let (format, style) = (writer.format(), writer.style());
        judged.map(
            |flows| {
                let mut early = Early::new(format, style);
                for (flow, attribution) in &flows {
                    early.push(&FlowRecord::new(flow, attribution, &[]))?;
                }
                let first = flows.first().map_or(0, |(flow, _)| flow.number);
                Ok((early.press(first, &store), flows))
            },
            |made: io::Result<(Rows, Vec<JudgedFlow>)>| {
                let (rows, flows) = made?;
                for (flow, attribution) in &flows {
                    tally.count(attribution);
                    auditor.observe(flow, attribution);
                }
                kept.push(rows);
                io::Result::Ok(())
            },
        )?;
        findings = auditor.finish().findings;
        let mut codes = FlowCodes::of(&findings);
        in_order(
            run.threads,
            kept.into_iter()
                .map(|rows| (codes.over(rows.numbers()), rows)),
            Vec::new,
            |room, (codes, rows)| rows.with_findings(format, style, &codes, room),
            |batch| writer.extend(batch?),
        )?;
        unbroken(&judged)
    })?;
    if !scanning.reading.output.quiet {
        summary::flows(&tally, &run, judged.ledger(), &findings);
    }
    Ok(run.ending(Ending::Clean, judged))
}

/// Whether all flows could be read back: a result that lacks some must not look whole.
fn unbroken(judged: &Judged<'_>) -> io::Result<()> {
    match judged.ledger().trouble() {
        None => Ok(()),
        Some(error) => {
            let message = format!("the temporary file for flows: {error}");
            Err(io::Error::other(message))
        }
    }
}

fn endpoints(scanning: &Scanning) -> anyhow::Result<Ending> {
    let (run, ledger) = Run::of(scanning)?;
    let judged = run.judge(ledger);
    let records = EndpointRecord::all(&judged, judged.signatures());
    let count = records.len();
    let named = |record| NamedEndpoint::new(record, &judged);
    run.output.write(records.into_iter().map(named))?;
    if !scanning.reading.output.quiet {
        summary::endpoints(count, run.packets);
    }
    Ok(run.ending(Ending::Clean, judged))
}

fn calls(calling: &Calling) -> anyhow::Result<Ending> {
    let scanning = &calling.scanning;
    let output = &scanning.reading.output;
    if calling.ladder
        && !matches!(
            output.format,
            None | Some(FormatArgument::Records(Format::Table))
        )
    {
        anyhow::bail!("--ladder: a ladder is text, and has no other format");
    }
    let (run, ledger) = Run::of(scanning)?;
    let judged = run.judge(ledger);
    let findings = findings::audit(&judged, judged.signatures(), judged.topology());
    let flows = CallFlows::of(&judged);
    let calls = attribution::calls(&flows);
    let numbers: BTreeSet<u64> = calls.iter().flat_map(Call::flows).collect();
    let codes = codes_of(&findings, numbers);
    if calling.ladder {
        let of = |number: u64| codes.get(&number).cloned().unwrap_or_default();
        let width = run.output.width();
        run.output
            .write_plain(|out| write_ladders(&calls, &judged, &of, width, out))?;
    } else {
        run.output.write(
            calls
                .iter()
                .map(|call| CallRecord::new(call, &codes).named(&judged)),
        )?;
    }
    if !output.quiet {
        summary::calls(&calls, run.packets);
    }
    Ok(run.ending(Ending::Clean, ()))
}

fn topology(scanning: &Scanning) -> anyhow::Result<Ending> {
    if scanning.reading.output.format.is_some() {
        anyhow::bail!("--format: a topology file is TOML, and has no other format");
    }
    let (run, ledger) = Run::of(scanning)?;
    let judged = run.judge(ledger);
    let sketch = Sketch::of(&judged);
    let captures: Vec<&str> = judged
        .ledger()
        .captures()
        .values()
        .flat_map(|record| record.files.iter().map(|file| &**file))
        .collect();
    run.output
        .write_plain(|out| write_topology(&sketch, &captures, out))?;
    if !scanning.reading.output.quiet {
        let servers = sketch.hosts.values().filter(|host| host.is_server());
        say(&format!(
            "{} hosts with a role, from {} flows; correct what is wrong, and give the file to --topology",
            servers.count(),
            judged.len()
        ));
    }
    Ok(run.ending(Ending::Clean, judged))
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
    Output::new(&searching.output)?.write(rows.into_iter())?;
    if !searching.output.quiet {
        say(&format!(
            "{count} of {} rows",
            signatures.matrix.rows().len()
        ));
    }
    Ok(Ending::Clean)
}

/// A scan, and what it is judged by.
struct Run {
    signatures: Signatures,
    topology: Topology,
    threads: usize,
    packets: u64,
    failures: Vec<CaptureError>,
    output: Output,
}

impl Run {
    fn of(scanning: &Scanning) -> anyhow::Result<(Self, Ledger)> {
        let Scanning { captures, reading } = scanning;
        Self::with(captures, reading, Output::new(&reading.output)?, |_| Ok(()))
    }

    /// A run whose topology the command adds to.
    fn with(
        captures: &[OsString],
        reading: &Reading,
        output: Output,
        add: impl FnOnce(&mut Topology) -> anyhow::Result<()>,
    ) -> anyhow::Result<(Self, Ledger)> {
        // Everything that can be wrong with the arguments is said before the first packet.
        let signatures = signatures(&reading.signatures, &reading.port)?;
        let mut topology = match &reading.topology {
            Some(path) => Topology::read(path)?,
            None => Topology::default(),
        };
        add(&mut topology)?;
        findings::verify(&topology, &signatures)?;
        let inputs: Vec<Input> = captures
            .iter()
            .map(|argument| Input::from_argument(argument))
            .collect();
        let plan = plan(&inputs, reading.grouping())?;
        passed_over(&plan.passed_over, reading.output.quiet);
        let threads = reading
            .threads
            .map(usize::from)
            .or_else(|| std::thread::available_parallelism().ok().map(usize::from))
            .unwrap_or(1);
        let options = scan::Options {
            threads,
            filter: reading.filter.clone(),
            memory_limit: reading
                .memory_limit
                .map(|size| size.0)
                .or_else(half_of_memory),
        };
        let bar = Bar::new(&plan.chains, reading.output.quiet);
        let Scanned {
            ledger,
            mut failures,
            packets,
        } = scan::scan(&plan.chains, &options, &bar)?;
        bar.finish();
        failures.splice(0..0, plan.rejected);
        for failure in &failures {
            say(&format!("warning: {failure}"));
        }
        if packets == 0
            && let Some(first) = failures.first()
        {
            return Err(first.clone()).context("nothing could be read");
        }
        let run = Self {
            signatures,
            topology,
            threads,
            packets,
            failures,
            output,
        };
        Ok((run, ledger))
    }

    /// Judges what was scanned.
    fn judge(&self, ledger: Ledger) -> Judged<'_> {
        Judged::with_threads(ledger, &self.signatures, &self.topology, self.threads)
    }

    /// How the run ended. The process ends with it, so what was used is not given back piece by piece: that took a tenth of
    /// a run.
    fn ending<T>(&self, otherwise: Ending, used: T) -> Ending {
        std::mem::forget(used);
        match otherwise {
            Ending::Clean if !self.failures.is_empty() => Ending::Partial,
            _ => otherwise,
        }
    }
}

/// Half of the memory that this process may use: of the machine, or of the group that it runs in.
fn half_of_memory() -> Option<u64> {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    let machine = system.total_memory();
    let group = system.cgroup_limits().map(|limits| limits.total_memory);
    let all = group.map_or(machine, |group| group.min(machine));
    // A system that does not say is taken to have enough.
    (all > 0).then_some(all / 2)
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
