//! What can be typed.

use std::ffi::OsString;
use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::audit::Severity;
use crate::capture::Grouping;
use crate::report::Format;
use crate::signature::{PortOverride, Product, Role, UnknownWord};

/// Reads packet captures and says, flow by flow, which Exchange or Lync service it sees, how it knows, which documented
/// data path that is, and what does not belong.
#[derive(Debug, Parser)]
#[command(
    name = "exwire",
    version,
    max_term_width = 100,
    arg_required_else_help = true
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// One record per flow: what it is, how we know, what matrix rows it fits
    Classify(Scanning),
    /// Findings: what does not belong, is not protected as documented, or does not work
    Audit(Auditing),
    /// What was offered: RPC endpoints by the endpoint mapper, media endpoints by signalling
    Endpoints(Scanning),
    /// SIP dialogues with their media streams, both directions, and their quality
    Calls(Calling),
    /// What is new, gone, changed, slower or failing between two captures
    Diff(Diffing),
    /// The packets of findings, flows, services or calls as pcapng, with the evidence as comments
    #[command(mut_arg("format", |format| format.hide(true)))]
    Extract(Extracting),
    /// Who is who, as captures show it: a topology file to correct, for `--topology`
    #[command(mut_arg("format", |format| format.hide(true)))]
    Topology(Scanning),
    /// The documented matrix, searchable, with its sources
    Matrix(Searching),
    /// What a finding's code means, what it rests on, and what to do
    #[command(mut_arg("format", |format| format.hide(true)))]
    Explain(Explaining),
}

/// Which captures, read how, judged by what.
#[derive(Debug, Args)]
pub(super) struct Scanning {
    /// Capture files or folders, or `-` for standard input
    #[arg(required = true, value_name = "CAPTURE")]
    pub(super) captures: Vec<OsString>,
    #[command(flatten)]
    pub(super) reading: Reading,
}

/// How captures are read and judged, and where results go.
#[derive(Debug, Args)]
pub(super) struct Reading {
    /// Hosts, networks, zones and roles (TOML; see samples/topology.toml)
    #[arg(long, value_name = "FILE")]
    pub(super) topology: Option<PathBuf>,
    /// Read only packets that this libpcap filter admits, such as 'tcp port 25'
    #[arg(long, value_name = "BPF")]
    pub(super) filter: Option<String>,
    /// Read all captures as one chain, in the order of their first packets
    #[arg(long, conflicts_with = "separate")]
    pub(super) chain: bool,
    /// Take every capture as a tap of its own, also where names look like one rotated series
    #[arg(long)]
    pub(super) separate: bool,
    /// Memory to keep to, such as 512M or 2G; flows beyond it wait in a temporary file, and where too many are under way,
    /// the longest idle are ended early and joined later [default: half of the machine's]
    #[arg(long, value_name = "SIZE")]
    pub(super) memory_limit: Option<Size>,
    /// Threads that scan and judge [default: as many as there are processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) threads: Option<u16>,
    #[command(flatten)]
    pub(super) signatures: SignatureFiles,
    /// A port that this organisation has changed, such as log_shipping=64400
    #[arg(long, value_name = "SERVICE=PORT")]
    pub(super) port: Vec<PortOverride>,
    #[command(flatten)]
    pub(super) output: Output,
}

impl Reading {
    pub(super) const fn grouping(&self) -> Grouping {
        match (self.chain, self.separate) {
            (true, _) => Grouping::Chain,
            (false, true) => Grouping::Separate,
            (false, false) => Grouping::Auto,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct Auditing {
    #[command(flatten)]
    pub(super) scanning: Scanning,
    /// Least severity that makes the exit status 1
    #[arg(long, value_name = "SEVERITY", default_value = "error")]
    pub(super) fail_on: FailOn,
    /// Only findings of these codes, such as EXW101,EXW103
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    pub(super) only: Vec<String>,
    /// No findings of these codes
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    pub(super) ignore: Vec<String>,
    /// Product of every host for which the topology file names none
    #[arg(long, value_name = "PRODUCT")]
    pub(super) product: Option<Product>,
    /// Show only what is new against this earlier output (JSON or JSON lines)
    #[arg(long, value_name = "FILE")]
    pub(super) baseline: Option<PathBuf>,
    /// Findings that are allowed for a time: `[[allow]]` tables (TOML; see samples/topology.toml)
    #[arg(long, value_name = "FILE")]
    pub(super) waivers: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Calling {
    #[command(flatten)]
    pub(super) scanning: Scanning,
    /// Who sent what to whom, when: a ladder in text for each call
    #[arg(long)]
    pub(super) ladder: bool,
}

#[derive(Debug, Args)]
pub(super) struct Diffing {
    /// The earlier capture: a file, a folder, or `-` for standard input
    #[arg(value_name = "BEFORE")]
    pub(super) before: OsString,
    /// The later capture
    #[arg(value_name = "AFTER")]
    pub(super) after: OsString,
    #[command(flatten)]
    pub(super) reading: Reading,
}

#[derive(Debug, Args)]
pub(super) struct Extracting {
    #[command(flatten)]
    pub(super) scanning: Scanning,
    /// Flows that findings of these codes name
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    pub(super) finding: Vec<String>,
    /// Flows of these numbers, as `classify` counts them
    #[arg(long, value_name = "N", value_delimiter = ',')]
    pub(super) flow: Vec<NonZeroU64>,
    /// Flows of these services
    #[arg(long, value_name = "SERVICE", value_delimiter = ',')]
    pub(super) service: Vec<String>,
    /// Signalling and media of the call with this Call-ID
    #[arg(long, value_name = "ID")]
    pub(super) call: Vec<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum FailOn {
    /// Any finding
    Info,
    /// Warnings and errors
    Warning,
    /// Errors
    Error,
    /// Nothing
    Never,
}

impl FailOn {
    pub(super) fn admits(self, severity: Severity) -> bool {
        match self {
            Self::Info => true,
            Self::Warning => severity >= Severity::Warning,
            Self::Error => severity >= Severity::Error,
            Self::Never => false,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct Searching {
    /// Rows that list this port; or a changed port, such as log_shipping=64400
    #[arg(long, value_name = "N")]
    pub(super) port: Vec<PortArgument>,
    /// Rows with this role at either end
    #[arg(long, value_name = "ROLE")]
    pub(super) role: Option<Role>,
    /// Rows for this product
    #[arg(long, value_name = "PRODUCT")]
    pub(super) product: Option<Product>,
    /// The row of this id, or all whose ids begin with it
    #[arg(long, value_name = "ID")]
    pub(super) row: Option<String>,
    /// Rows of this service
    #[arg(long, value_name = "SERVICE")]
    pub(super) service: Option<String>,
    /// Rows whose title, rule, condition or quote contains this
    #[arg(long, value_name = "TEXT")]
    pub(super) text: Option<String>,
    #[command(flatten)]
    pub(super) signatures: SignatureFiles,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Debug, Args)]
pub(super) struct Explaining {
    /// The code, such as EXW201; all codes without it. With --flow the captures
    #[arg(value_name = "CODE|CAPTURE")]
    pub(super) words: Vec<OsString>,
    /// The whole chain from packets to the verdict of this flow, by its number
    #[arg(long, value_name = "N")]
    pub(super) flow: Option<NonZeroU64>,
    #[command(flatten)]
    pub(super) reading: Reading,
}

/// What rows and services there are.
#[derive(Debug, Args)]
pub(super) struct SignatureFiles {
    /// Folder of further signature files, which extend or replace the built-in ones
    #[arg(long, value_name = "DIR")]
    pub(super) signatures: Vec<PathBuf>,
}

/// A size in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size(pub(super) u64);

impl std::str::FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("expected a size such as 512M or 2G, found `{text}`");
        let digits = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let shift = match unit
            .to_ascii_uppercase()
            .trim_end_matches("IB")
            .trim_end_matches('B')
        {
            "" => 0,
            "K" => 10,
            "M" => 20,
            "G" => 30,
            "T" => 40,
            _ => return Err(wrong()),
        };
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let bytes = number.checked_mul(1 << shift).ok_or_else(wrong)?;
        if bytes == 0 {
            return Err(wrong());
        }
        Ok(Self(bytes))
    }
}

/// What `matrix --port` takes: a port to look for, or a changed one.
#[derive(Clone, Debug)]
pub(super) enum PortArgument {
    /// Rows that list this port.
    Wanted(u16),
    /// A port that the organisation has changed.
    Changed(PortOverride),
}

impl std::str::FromStr for PortArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains('=') {
            return text.parse().map(Self::Changed);
        }
        match text.parse::<u16>() {
            Ok(port) if port > 0 => Ok(Self::Wanted(port)),
            _ => Err(format!(
                "expected a port from 1 to 65535, or SERVICE=PORT, found `{text}`"
            )),
        }
    }
}

/// What `--format` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FormatArgument {
    /// Records, which every command has.
    Records(Format),
    /// The log of findings that other tools read, which only `audit` has.
    Sarif,
}

impl std::str::FromStr for FormatArgument {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "sarif" {
            return Ok(Self::Sarif);
        }
        text.parse().map(Self::Records)
    }
}

/// Where results go, and how they look.
#[derive(Debug, Args)]
pub(super) struct Output {
    /// table, csv, json, jsonl or parquet; for audit also sarif [default: table on a terminal, else jsonl]
    #[arg(long, value_name = "FORMAT")]
    pub(super) format: Option<FormatArgument>,
    /// Write to this file, whole or not at all
    #[arg(long, short, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Neither progress nor summary
    #[arg(long, short)]
    pub(super) quiet: bool,
}
