//! What one flow holds besides its counters: reassembly, decoders, and what they said.

use std::sync::Arc;

use smallvec::SmallVec;

use super::worker::Names;
use crate::evidence::{Episode, Moment, Peek, Recorder, Seen};
use crate::flow::Tracker;
use crate::net::{FlowKey, PerSide, Side, TcpFlags, Timestamp, Transport};
use crate::protocol::{Context, Conversation, Datagram, Datagrams};
use crate::stream::{Chunk, Stream};
use crate::wire::{Layers, TcpHeader, Tunnel};

/// The application side of one flow.
#[derive(Debug)]
pub(super) struct Application {
    body: Body,
    recorder: Recorder,
    /// The first payload, as long as no protocol is proven.
    payload: Vec<Peek>,
    tunnels: Box<[Tunnel]>,
    /// Files that hold its packets, by index in the chain.
    files: SmallVec<[u32; 2]>,
    last_frame: u64,
    last_time: Timestamp,
}

#[derive(Debug)]
enum Body {
    Tcp(Box<Connection>),
    Datagrams(Datagrams),
    Other,
}

#[derive(Debug, Default)]
struct Connection {
    streams: PerSide<Stream>,
    conversation: Conversation,
    /// A SYN of either side was seen.
    is_open: bool,
}

impl Application {
    pub(super) fn new(key: FlowKey, layers: &Layers<'_>) -> Self {
        let body = match key.transport {
            Transport::TCP => Body::Tcp(Box::default()),
            Transport::UDP => Body::Datagrams(Datagrams::default()),
            _ => Body::Other,
        };
        Self {
            body,
            recorder: Recorder::default(),
            payload: Vec::new(),
            tunnels: layers.tunnels.as_slice().into(),
            files: SmallVec::new(),
            last_frame: 0,
            last_time: Timestamp::default(),
        }
    }

    /// The flow of a tunnel: nothing of its payload is its own.
    pub(super) fn carrier(layers: &Layers<'_>) -> Self {
        let around = layers.tunnels.split_last().map(|(_, around)| around);
        Self {
            body: Body::Other,
            recorder: Recorder::default(),
            payload: Vec::new(),
            tunnels: around.unwrap_or_default().into(),
            files: SmallVec::new(),
            last_frame: 0,
            last_time: Timestamp::default(),
        }
    }

    /// Takes one packet in. Returns how many bytes reassembly holds more (or less) than before.
    pub(super) fn packet(
        &mut self,
        moment: Moment,
        file: u32,
        tcp: Option<&TcpHeader>,
        layers: &Layers<'_>,
    ) -> (usize, usize) {
        if self.files.last() != Some(&file) && !self.files.contains(&file) {
            self.files.push(file);
        }
        self.last_frame = self.last_frame.max(moment.frame);
        self.last_time = self.last_time.max(moment.time);
        let held = match (&mut self.body, tcp) {
            (Body::Tcp(connection), Some(tcp)) => {
                connection.segment(moment, tcp, layers, &mut self.recorder)
            }
            (Body::Datagrams(datagrams), _) => {
                let datagram = Datagram {
                    bytes: layers.payload,
                    wire_len: layers.payload_wire_len as usize,
                };
                datagrams.datagram(datagram, moment, &mut self.recorder);
                (0, 0)
            }
            (Body::Tcp(_) | Body::Other, _) => (0, 0),
        };
        self.peek(moment, tcp, layers);
        held
    }

    /// Keeps the first payload, until a protocol is proven.
    fn peek(&mut self, moment: Moment, tcp: Option<&TcpHeader>, layers: &Layers<'_>) {
        if !self.recorder.protocols.is_empty() {
            self.payload = Vec::new();
            return;
        }
        let is_reset = tcp.is_some_and(|tcp| tcp.flags.contains(TcpFlags::RST));
        if self.payload.len() >= Peek::MAX
            || layers.payload.is_empty()
            || is_reset
            || matches!(self.body, Body::Other)
        {
            return;
        }
        let kept = layers.payload.len().min(Peek::MAX_BYTES);
        self.payload.push(Peek {
            seen: Seen {
                time: moment.time,
                frame: moment.frame,
            },
            side: moment.side,
            length: layers.payload_wire_len,
            bytes: layers.payload.get(..kept).unwrap_or_default().into(),
        });
    }

    /// Gives up what reassembly holds out of order, with the gaps that it waited for.
    pub(super) fn flush(&mut self, key: FlowKey) {
        let Self {
            body: Body::Tcp(connection),
            recorder,
            ..
        } = self
        else {
            return;
        };
        for side in Side::BOTH {
            let moment = Moment {
                time: self.last_time,
                frame: self.last_frame,
                key,
                side,
            };
            connection.flush(moment, recorder);
        }
    }

    /// The episode that this flow was.
    pub(super) fn finish(mut self, key: FlowKey, tracker: Tracker, names: &Names) -> Episode {
        self.flush(key);
        if !self.recorder.protocols.is_empty() {
            self.payload = Vec::new();
        }
        let (mut gap_bytes, mut disagreements) = (0_u64, 0_u64);
        if let Body::Tcp(connection) = &self.body {
            for (_, stream) in connection.streams.iter() {
                gap_bytes = gap_bytes.saturating_add(stream.counters().gap_bytes);
                disagreements =
                    disagreements.saturating_add(u64::from(stream.counters().disagreements));
            }
        }
        let name = |file: &u32| names.files.get(*file as usize).cloned();
        let mut captures: Vec<Arc<str>> = self.files.iter().filter_map(name).collect();
        captures.sort_unstable();
        captures.dedup();
        Episode {
            key,
            tap: Arc::clone(&names.tap),
            tracker,
            last_frame: self.last_frame,
            captures,
            tunnel: self
                .tunnels
                .iter()
                .map(|tunnel| tunnel.to_string().into())
                .collect(),
            protocols: self.recorder.protocols,
            facts: self.recorder.facts,
            offers: self.recorder.offers,
            streams: self.recorder.streams,
            payload: self.payload,
            reports: self.recorder.reports,
            client: self.recorder.client,
            gap_bytes,
            disagreements,
            left_out: self.recorder.left_out,
        }
    }
}

impl Connection {
    fn segment(
        &mut self,
        moment: Moment,
        tcp: &TcpHeader,
        layers: &Layers<'_>,
        recorder: &mut Recorder,
    ) -> (usize, usize) {
        let side = moment.side;
        let before = self.held();
        // What the other side sent and the capture lacks comes before the answer to it.
        if tcp.flags.contains(TcpFlags::ACK) {
            let there = Moment {
                side: side.other(),
                ..moment
            };
            let Self {
                streams,
                conversation,
                is_open,
            } = self;
            let mut sink = deliver(conversation, *is_open, there, recorder);
            streams[side.other()].acknowledged(tcp.acknowledgment, &mut sink);
        }
        let mut sequence = tcp.sequence;
        if tcp.flags.contains(TcpFlags::SYN) {
            self.is_open = true;
            self.streams[side].syn(sequence);
            sequence = sequence.wrapping_add(1);
        }
        // The text of a RST is a diagnostic, not data (RFC 9293 §3.5.3).
        if layers.payload_wire_len > 0 && !tcp.flags.contains(TcpFlags::RST) {
            let Self {
                streams,
                conversation,
                is_open,
            } = self;
            let mut sink = deliver(conversation, *is_open, moment, recorder);
            streams[side].push(sequence, layers.payload, layers.payload_wire_len, &mut sink);
        }
        if self.conversation.is_done() {
            for side in Side::BOTH {
                if !self.streams[side].is_stopped() {
                    self.streams[side].stop();
                }
            }
        }
        (before, self.held())
    }

    fn flush(&mut self, moment: Moment, recorder: &mut Recorder) {
        let Self {
            streams,
            conversation,
            is_open,
        } = self;
        streams[moment.side].finish(&mut deliver(conversation, *is_open, moment, recorder));
    }

    fn held(&self) -> usize {
        self.streams
            .a
            .held_bytes()
            .saturating_add(self.streams.b.held_bytes())
    }
}

/// Gives chunks of a stream to the conversation.
fn deliver<'a>(
    conversation: &'a mut Conversation,
    is_open: bool,
    moment: Moment,
    recorder: &'a mut Recorder,
) -> impl FnMut(Chunk<'_>) + 'a {
    let context = Context {
        moment,
        midstream: !is_open,
    };
    move |chunk| match chunk {
        Chunk::Data(bytes) => conversation.data(bytes, context, recorder),
        Chunk::Gap { bytes } => conversation.gap(bytes, context, recorder),
    }
}
