//! Rotated series: which files are parts of one capture.
//!
//! Writers rotate by counter, by time stamp, or by both (`dumpcap -b`: `name_00001_20240101120000.pcapng`; `tcpdump -C`:
//! `name`, `name1`, `name2`; `tcpdump -G`: a pattern of date and time). So candidates are files of one folder whose names
//! are equal once digits are left out. Two taps may be named like that, too (`server1`, `server2`), so that times decide:
//! sorted by first packet, each file must end before the next one starts, and no later than [`MAX_GAP_NANOS`] before;
//! and the numbers in the names must rise with time.
//!
//! The first packet is cheap. The last one is, too: small files are read, and the tail of a large plain file is
//! searched for a place from which records follow each other. Only the end of a large compressed file is unknown; there
//! a time stamp in the names must tell the same order as the first packets do. Where that errs, or a capture is out of
//! order, [`super::FileSummary::overlaps`] shows it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::block::{Block, PacketIndex};
use super::format::Format;
use super::frame::Framer;
use super::plan::{Chain, Input};
use super::reader::{Options, Reader};
use crate::net::{LinkType, Timestamp};

/// Longest pause between two files of a series: a day. Rotation by size starts the next file with the next packet.
const MAX_GAP_NANOS: i64 = 86_400 * 1_000_000_000;

/// Files up to this size on disk are read as a whole to find their last packet.
const MAX_SCANNED_BYTES: u64 = 1024 * 1024;

/// Bytes at the end of a larger file in which its last packet is looked for: several of the longest packets.
const TAIL_BYTES: u64 = 1024 * 1024;

/// Packets that must follow each other from a place in the tail to show that records start there.
const MIN_TAIL_PACKETS: usize = 3;

/// Longest time that one file spans; a later time in the tail shows that what was found there are no records.
const MAX_SPAN_NANOS: i64 = 366 * MAX_GAP_NANOS;

/// Digits in a name that make a time stamp: a date.
const TIME_STAMP_DIGITS: usize = 8;

/// Puts files into chains; each input that is in no series is a chain of its own.
pub(super) fn detect(inputs: Vec<Input>) -> Vec<Chain> {
    let mut chains: Vec<(usize, Vec<Input>)> = Vec::new();
    let mut candidates: BTreeMap<(PathBuf, String), Vec<(usize, PathBuf)>> = BTreeMap::new();
    for (index, input) in inputs.into_iter().enumerate() {
        match &input {
            Input::Path(path) if path.is_file() => {
                let folder = path
                    .parent()
                    .map(|parent| Path::new(".").join(parent))
                    .unwrap_or_default();
                let key = (folder, Name::of(path).without_digits(0));
                candidates
                    .entry(key)
                    .or_default()
                    .push((index, path.clone()));
            }
            _ => chains.push((index, vec![input])),
        }
    }
    for files in candidates.into_values() {
        if let [(index, path)] = &files[..] {
            chains.push((*index, vec![Input::Path(path.clone())]));
            continue;
        }
        let parts = files
            .into_iter()
            .map(|(index, path)| Part::look(index, path));
        for series in split(parts.collect(), 0) {
            let index = series
                .iter()
                .map(|part| part.index)
                .min()
                .unwrap_or_default();
            chains.push((
                index,
                series
                    .into_iter()
                    .map(|part| Input::Path(part.path))
                    .collect(),
            ));
        }
    }
    chains.sort_by_key(|(index, _)| *index);
    chains
        .into_iter()
        .map(|(_, inputs)| Chain::new(inputs))
        .collect()
}

/// One chain of all files, in the order of their first packets; those without a packet come last.
pub(super) fn forced(inputs: Vec<Input>) -> Chain {
    let mut parts: Vec<(Option<Timestamp>, Input)> = inputs
        .into_iter()
        .map(|input| match &input {
            Input::Path(path) if path.is_file() => {
                (first_packets(path).map(|(_, first, _)| first), input)
            }
            _ => (None, input),
        })
        .collect();
    parts.sort_by_key(|(first, _)| (first.is_none(), *first));
    Chain::new(parts.into_iter().map(|(_, input)| input).collect())
}

/// Splits files into series. The first `kept` digit runs of their names are equal; where times overlap, one run more
/// must be (`eth0_00001` and `eth1_00001` are two series).
fn split(parts: Vec<Part>, kept: usize) -> Vec<Vec<Part>> {
    let mut groups: BTreeMap<(String, Kind), Vec<Part>> = BTreeMap::new();
    for part in parts {
        let key = (part.name.without_digits(kept), part.kind.clone());
        groups.entry(key).or_default().push(part);
    }
    let mut series = Vec::new();
    for mut group in groups.into_values() {
        group.sort_by(|a, b| a.first.cmp(&b.first).then_with(|| a.path.cmp(&b.path)));
        let in_turn = group
            .windows(2)
            .all(|pair| matches!(pair, [a, b] if a.is_before(b)));
        if in_turn && names_agree(&group) {
            series.extend(cut_at_gaps(group));
        } else if group.iter().all(|part| part.name.runs() <= kept) {
            series.extend(group.into_iter().map(|part| vec![part]));
        } else {
            series.extend(split(group, kept.saturating_add(1)));
        }
    }
    series
}

/// Whether the numbers in the names rise with time. They may start again once, where a writer goes round a ring of
/// files; in fewer than three files that could not be told from any disorder.
fn names_agree(group: &[Part]) -> bool {
    let numbers: Vec<_> = group.iter().map(|part| part.name.numbers()).collect();
    let falls = numbers
        .windows(2)
        .filter(|pair| matches!(pair, [a, b] if a > b))
        .count();
    match falls {
        0 => true,
        1 => numbers.len() > 2 && numbers.last() < numbers.first(),
        _ => false,
    }
}

fn cut_at_gaps(group: Vec<Part>) -> Vec<Vec<Part>> {
    let mut series: Vec<Vec<Part>> = Vec::new();
    for part in group {
        match series.last_mut() {
            Some(open) if open.last().is_some_and(|before| before.is_near(&part)) => {
                open.push(part)
            }
            _ => series.push(vec![part]),
        }
    }
    series
}

/// What files of a series have in common; none for a file in which no packet was found.
type Kind = Option<(String, Vec<LinkType>)>;

/// A file that may be part of a series.
struct Part {
    index: usize,
    path: PathBuf,
    name: Name,
    kind: Kind,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

impl Part {
    fn look(index: usize, path: PathBuf) -> Self {
        let name = Name::of(&path);
        let seen = first_packets(&path);
        let (kind, first, last) = match seen {
            Some((kind, first, reader)) => {
                let last = last_packet(&path, first, reader);
                (Some(kind), Some(first), last)
            }
            None => (None, None, None),
        };
        Self {
            index,
            path,
            name,
            kind,
            first,
            last,
        }
    }

    /// Whether this file ends before `next` starts.
    fn is_before(&self, next: &Self) -> bool {
        let (Some(own), Some(next_first)) = (self.first, next.first) else {
            return false;
        };
        match self.last {
            Some(last) => last <= next_first,
            None => {
                own < next_first
                    && self.name.has_time_stamp()
                    && self.name.numbers() < next.name.numbers()
            }
        }
    }

    fn is_near(&self, next: &Self) -> bool {
        let end = self.last.or(self.first);
        end.zip(next.first)
            .is_some_and(|(end, start)| start.since(end) <= MAX_GAP_NANOS)
    }
}

/// A file name as text and digit runs in turn: text first, and both of any length.
struct Name(Vec<(String, String)>);

impl Name {
    fn of(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut pieces: Vec<(String, String)> = vec![(String::new(), String::new())];
        for character in name.chars() {
            let Some((text, digits)) = pieces.last_mut() else {
                break;
            };
            if character.is_ascii_digit() {
                digits.push(character);
            } else if digits.is_empty() {
                text.push(character);
            } else {
                pieces.push((character.to_string(), String::new()));
            }
        }
        Self(pieces)
    }

    /// The name without its digits, but for the first `kept` runs.
    fn without_digits(&self, kept: usize) -> String {
        let mut name = String::new();
        for (index, (text, digits)) in self.0.iter().enumerate() {
            name.push_str(text);
            if index < kept {
                name.push_str(digits);
            }
        }
        name
    }

    fn runs(&self) -> usize {
        self.0.len()
    }

    fn has_time_stamp(&self) -> bool {
        let digits: usize = self.0.iter().map(|(_, digits)| digits.len()).sum();
        digits >= TIME_STAMP_DIGITS
    }

    /// The digit runs, so that they compare as numbers.
    fn numbers(&self) -> Vec<(usize, &str)> {
        self.0
            .iter()
            .map(|(_, digits)| digits.trim_start_matches('0'))
            .map(|digits| (digits.len(), digits))
            .collect()
    }
}

/// Format, link types and time of the first packets of a file, and a reader behind them; none where there is no packet.
fn first_packets(path: &Path) -> Option<((String, Vec<LinkType>), Timestamp, Reader)> {
    let chain = Chain::new(vec![Input::Path(path.to_owned())]);
    let reader = Reader::open(&chain, &Options::default()).ok()?;
    let summary = reader.summary().first()?;
    let first = summary.first_time?;
    let format = summary.format.as_ref().map(Format::to_string)?;
    let mut links = match reader.framer() {
        Some(Framer::PcapNg(framer)) => framer.links().collect(),
        _ => summary.links.clone(),
    };
    links.sort();
    links.dedup();
    Some(((format, links), first, reader))
}

/// The time of the last packet, where it can be had without reading a large file.
fn last_packet(path: &Path, first: Timestamp, mut reader: Reader) -> Option<Timestamp> {
    let size = fs::metadata(path).ok()?.len();
    if size <= MAX_SCANNED_BYTES {
        let mut block = Block::new();
        while reader.fill(&mut block).ok()? {}
        return reader.summary().first()?.last_time;
    }
    let plain = reader.summary().first()?.compression.is_empty();
    if !plain {
        return None;
    }
    let mut tail = Vec::new();
    let mut file = File::open(path).ok()?;
    // Blocks of pcapng start at multiples of four.
    file.seek(SeekFrom::Start(
        size.saturating_sub(TAIL_BYTES).next_multiple_of(4),
    ))
    .ok()?;
    file.take(TAIL_BYTES).read_to_end(&mut tail).ok()?;
    last_in_tail(reader.framer()?.clone(), &tail, first)
}

/// Looks for the first place in `tail` from which records follow each other to its end, and takes the latest time.
fn last_in_tail(mut framer: Framer, tail: &[u8], first: Timestamp) -> Option<Timestamp> {
    let step = match framer {
        Framer::Pcap(_) | Framer::Snoop(_) => 1,
        Framer::PcapNg(_) => 4,
        // Records are found from the header on only.
        Framer::NetMon(_) => return None,
    };
    let mut packets: Vec<PacketIndex> = Vec::new();
    // The first record starts within the longest record of the start; later places need not be tried.
    for start in (0..tail.len().div_ceil(2)).step_by(step) {
        packets.clear();
        if let Framer::PcapNg(framer) = &mut framer {
            framer.restart();
        }
        let mut position = start;
        let framed = framer.frame(tail, &mut position, &mut packets);
        let plausible = |packet: &PacketIndex| {
            let span = packet.time.since(first);
            (-MAX_GAP_NANOS..=MAX_SPAN_NANOS).contains(&span)
                && packet.captured_len <= packet.wire_len
        };
        if framed.is_ok() && packets.len() >= MIN_TAIL_PACKETS && packets.iter().all(plausible) {
            return packets.iter().map(|packet| packet.time).max();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_digits_only_are_alike() {
        let base = |name: &str| Name::of(Path::new(name)).without_digits(0);
        assert_eq!(base("trace"), base("trace12"));
        assert_eq!(
            base("ex_00001_20240101120000.pcapng"),
            base("ex_00002_20240101130000.pcapng")
        );
        assert_ne!(base("client.pcap"), base("server.pcap"));
        assert_eq!(
            Name::of(Path::new("eth0_0001.pcap")).without_digits(1),
            "eth0_.pcap"
        );
    }

    #[test]
    fn digit_runs_compare_as_numbers() {
        let numbers = |name: &str| -> Vec<(usize, String)> {
            let name = Name::of(Path::new(name));
            name.numbers()
                .into_iter()
                .map(|(length, digits)| (length, digits.to_owned()))
                .collect()
        };
        assert!(numbers("a9") < numbers("a10"));
        assert!(numbers("a_0099_5") < numbers("a_100_1"));
    }
}
