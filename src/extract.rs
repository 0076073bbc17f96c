//! Packets of chosen flows, taken out of captures in a second pass, as pcapng with the evidence as comments.
//!
//! Captures are read again as they were read before: compressed, rotated, with the same packet numbers. What is written keeps link
//! types, original lengths, nanoseconds, and an interface for each that the captures have. Fragments go with the datagram that
//! they make up, ICMP errors with the flow that they quote. Packets come chain after chain, each in its own order.
//!
//! It decides nothing: which flows are wanted, and what is said of their packets, is handed in as [`Wanted`].

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::{PcapNgBlock, PcapNgWriter};
use pcap_file::{DataLink, PcapError};

use crate::capture::{Block, CaptureError, Chain, Options, Packet, Reader};
use crate::net::{FlowKey, LinkType, Timestamp, Transport};
use crate::wire::{Dissector, Layers, Limits, Stop};

/// Comments that are kept: a person reads hundreds, and a flood has facts without end.
const MAX_COMMENTS: usize = 200_000;
/// Comments on one packet; Wireshark shows each in a line of its own.
const MAX_PER_PACKET: usize = 16;
/// Bytes of a comment: far below the 65535 of an option.
const MAX_COMMENT_BYTES: usize = 1000;
/// Bytes of fragments that wait for the rest of their datagrams.
const MAX_WAITING_BYTES: usize = 32 * 1024 * 1024;

/// Trouble while packets are taken out.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// A filter that cannot be compiled, or a chain of which no file can be opened.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// The output cannot be written.
    #[error(transparent)]
    Write(#[from] io::Error),
    /// The writer refuses a block.
    #[error("cannot write a block of pcapng: {0}")]
    Block(String),
}

impl From<PcapError> for ExtractError {
    fn from(error: PcapError) -> Self {
        match error {
            PcapError::IoError(error) => Self::Write(error),
            other => Self::Block(other.to_string()),
        }
    }
}

/// A span of time of one flow.
#[derive(Clone, Debug)]
struct Span {
    first: Timestamp,
    last: Timestamp,
    /// What is said of its first packet.
    opening: Vec<String>,
}

/// Which packets are wanted, and what is said of them.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    flows: HashMap<FlowKey, Vec<Span>>,
    comments: BTreeMap<(String, u64), Vec<String>>,
    /// Comments beyond the bounds.
    left_out: u64,
    kept: usize,
}

impl Wanted {
    /// Wants the packets of a flow from its first to its last; `opening` is said of the first that comes.
    pub fn flow(&mut self, key: FlowKey, first: Timestamp, last: Timestamp, opening: Vec<String>) {
        let span = Span {
            first,
            last,
            opening,
        };
        self.flows.entry(key).or_default().push(span);
    }

    /// Wants a packet of a tap by its number, and says something of it.
    pub fn packet(&mut self, tap: &str, frame: u64, comment: String) {
        if self.kept >= MAX_COMMENTS {
            self.left_out = self.left_out.saturating_add(1);
            return;
        }
        let comments = self.comments.entry((tap.to_owned(), frame)).or_default();
        if comments.contains(&comment) {
            return;
        }
        if comments.len() >= MAX_PER_PACKET {
            self.left_out = self.left_out.saturating_add(1);
            return;
        }
        comments.push(comment);
        self.kept = self.kept.saturating_add(1);
    }

    /// Whether nothing is wanted.
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty() && self.comments.is_empty()
    }

    /// Whether a packet of that flow is wanted; what is to be said of a first one is taken.
    fn holds(&mut self, key: FlowKey, time: Timestamp, said: &mut Vec<String>) -> bool {
        let mut found = false;
        for span in self.flows.get_mut(&key).into_iter().flatten() {
            if span.first <= time && time <= span.last {
                found = true;
                said.append(&mut span.opening);
            }
        }
        found
    }
}

/// What was taken out.
#[derive(Clone, Debug, Default)]
pub struct Extracted {
    /// Packets written.
    pub packets: u64,
    /// Comments written.
    pub comments: u64,
    /// Comments that the bounds left out.
    pub comments_left_out: u64,
    /// Fragments that the bound on waiting ones left out.
    pub fragments_left_out: u64,
    /// Captures that were not read to their end.
    pub failures: Vec<CaptureError>,
}

/// Takes the wanted packets out of chains.
///
/// # Errors
/// [`ExtractError`]; what is wrong with single captures is in [`Extracted::failures`].
pub fn extract(
    chains: &[Chain],
    filter: Option<&str>,
    mut wanted: Wanted,
    out: &mut dyn Write,
) -> Result<Extracted, ExtractError> {
    let mut writer = Output {
        writer: PcapNgWriter::new(out)?,
        interfaces: BTreeMap::new(),
        extracted: Extracted::default(),
    };
    for chain in chains {
        let options = Options {
            filter: filter.map(str::to_owned),
        };
        let mut reader = match Reader::open(chain, &options) {
            Ok(reader) => reader,
            Err(error @ CaptureError::Filter { .. }) => return Err(error.into()),
            Err(error) => {
                writer.extracted.failures.push(error);
                continue;
            }
        };
        let tap = chain
            .inputs()
            .first()
            .map_or_else(String::new, |input| input.path().display().to_string());
        let mut pass = Pass {
            wanted: &mut wanted,
            dissector: Dissector::new(Limits::default()),
            tap,
            waiting: HashMap::new(),
            waiting_bytes: 0,
        };
        let mut block = Block::new();
        while reader.fill(&mut block)? {
            let file = reader.summary().get(block.file());
            let file = file.map(|file| file.path.clone()).unwrap_or_default();
            for packet in block.packets() {
                pass.packet(&packet, &file, &mut writer)?;
            }
        }
        let failed = reader
            .summary()
            .iter()
            .filter_map(|file| file.error.clone());
        writer.extracted.failures.extend(failed);
    }
    writer.extracted.comments_left_out = wanted.left_out;
    Ok(writer.extracted)
}

/// The datagram that a fragment belongs to.
type Datagram = (IpAddr, IpAddr, Transport, u16);

/// A fragment that waits for the rest of its datagram.
struct Held {
    time: Timestamp,
    link: LinkType,
    bytes: Vec<u8>,
    wire_len: u32,
    number: u64,
    interface: u32,
    file: PathBuf,
}

/// The second pass over one chain.
struct Pass<'a> {
    wanted: &'a mut Wanted,
    dissector: Dissector,
    tap: String,
    waiting: HashMap<Datagram, Vec<Held>>,
    waiting_bytes: usize,
}

impl Pass<'_> {
    fn packet<W: Write>(
        &mut self,
        packet: &Packet<'_>,
        file: &PathBuf,
        output: &mut Output<W>,
    ) -> Result<(), ExtractError> {
        let layers =
            self.dissector
                .dissect(packet.time, packet.link, packet.bytes, packet.wire_len);
        let keys = keys(&layers);
        let datagram = layers
            .network
            .filter(|network| network.is_fragment)
            .map(|network| {
                let Network {
                    source,
                    destination,
                    protocol,
                    identification,
                } = Network::of(&network);
                (source, destination, protocol, identification)
            });
        let is_waiting = layers.stop == Stop::Fragment;
        let mut said = Vec::new();
        let mut is_wanted = false;
        for key in keys.into_iter().flatten() {
            is_wanted |= self.wanted.holds(key, packet.time, &mut said);
        }
        // A completed datagram takes its earlier fragments with it, and frees them where it is not wanted.
        if let (Some(datagram), false) = (datagram, is_waiting) {
            let parts = self.waiting.remove(&datagram).unwrap_or_default();
            for part in parts {
                self.waiting_bytes = self.waiting_bytes.saturating_sub(part.bytes.len());
                if is_wanted {
                    let comments = self.comments(part.number);
                    output.write(&part.packet(), &part.file, comments)?;
                }
            }
        }
        said.extend(self.comments(packet.number));
        if is_wanted || !said.is_empty() {
            return output.write(packet, file, said);
        }
        if let (Some(datagram), true) = (datagram, is_waiting) {
            self.hold(datagram, packet, file, output);
        }
        Ok(())
    }

    fn comments(&mut self, number: u64) -> Vec<String> {
        let place = (self.tap.clone(), number);
        self.wanted.comments.remove(&place).unwrap_or_default()
    }

    fn hold<W: Write>(
        &mut self,
        datagram: Datagram,
        packet: &Packet<'_>,
        file: &PathBuf,
        output: &mut Output<W>,
    ) {
        self.waiting_bytes = self.waiting_bytes.saturating_add(packet.bytes.len());
        if self.waiting_bytes > MAX_WAITING_BYTES {
            let parts: usize = self.waiting.drain().map(|(_, parts)| parts.len()).sum();
            let lost = &mut output.extracted.fragments_left_out;
            *lost = lost.saturating_add(parts as u64);
            self.waiting_bytes = packet.bytes.len();
        }
        self.waiting.entry(datagram).or_default().push(Held {
            time: packet.time,
            link: packet.link,
            bytes: packet.bytes.to_vec(),
            wire_len: packet.wire_len,
            number: packet.number,
            interface: packet.interface,
            file: file.clone(),
        });
    }
}

impl Held {
    fn packet(&self) -> Packet<'_> {
        Packet {
            time: self.time,
            link: self.link,
            bytes: &self.bytes,
            wire_len: self.wire_len,
            number: self.number,
            interface: self.interface,
        }
    }
}

/// The parts of an IP header that name a datagram.
struct Network {
    source: IpAddr,
    destination: IpAddr,
    protocol: Transport,
    identification: u16,
}

impl Network {
    fn of(network: &crate::wire::Network) -> Self {
        Self {
            source: network.source,
            destination: network.destination,
            protocol: network.protocol,
            identification: network.identification,
        }
    }
}

/// The flows that a packet belongs to or speaks of.
fn keys(layers: &Layers<'_>) -> [Option<FlowKey>; 3] {
    let own = layers
        .flow()
        .map(|(transport, source, destination)| FlowKey::of(transport, source, destination).0);
    let carrier = layers
        .carrier_flow()
        .map(|(source, destination)| FlowKey::of(Transport::UDP, source, destination).0);
    let quoted = layers
        .quoted
        .map(|quoted| FlowKey::of(quoted.transport, quoted.source, quoted.destination).0);
    [own, carrier, quoted]
}

struct Output<W: Write> {
    writer: PcapNgWriter<W>,
    interfaces: BTreeMap<(PathBuf, u32, u16), u32>,
    extracted: Extracted,
}

impl<W: Write> Output<W> {
    fn write(
        &mut self,
        packet: &Packet<'_>,
        file: &PathBuf,
        comments: Vec<String>,
    ) -> Result<(), ExtractError> {
        let interface = self.interface(packet, file)?;
        let written = comments.len() as u64;
        let options = comments.into_iter().map(|comment| {
            let end = comment.floor_char_boundary(MAX_COMMENT_BYTES);
            let comment = comment.get(..end).unwrap_or_default().to_owned();
            EnhancedPacketOption::Comment(Cow::Owned(comment))
        });
        let block = EnhancedPacketBlock {
            interface_id: interface,
            // Times before 1970 cannot be written.
            timestamp: Duration::from_nanos(u64::try_from(packet.time.nanos()).unwrap_or(0)),
            original_len: packet.wire_len,
            data: Cow::Borrowed(packet.bytes),
            options: options.collect(),
        };
        self.writer.write_block(&block.into_block())?;
        self.extracted.packets = self.extracted.packets.saturating_add(1);
        self.extracted.comments = self.extracted.comments.saturating_add(written);
        Ok(())
    }

    /// The interface that stands for that of the capture.
    fn interface(&mut self, packet: &Packet<'_>, file: &PathBuf) -> Result<u32, ExtractError> {
        let place = (file.clone(), packet.interface, packet.link.0);
        if let Some(known) = self.interfaces.get(&place) {
            return Ok(*known);
        }
        let number = u32::try_from(self.interfaces.len()).unwrap_or(u32::MAX);
        let description = format!("interface {} of {}", packet.interface, file.display());
        let end = description.floor_char_boundary(MAX_COMMENT_BYTES);
        let description = description.get(..end).unwrap_or_default().to_owned();
        let block = InterfaceDescriptionBlock {
            linktype: DataLink::from(u32::from(packet.link.0)),
            // No limit: packets keep the lengths that they have.
            snaplen: 0,
            options: vec![
                InterfaceDescriptionOption::IfDescription(Cow::Owned(description)),
                // Nanoseconds.
                InterfaceDescriptionOption::IfTsResol(9),
            ],
        };
        self.writer.write_block(&block.into_block())?;
        self.interfaces.insert(place, number);
        Ok(number)
    }
}
