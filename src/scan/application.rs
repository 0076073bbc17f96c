//! What one flow holds besides its counters: reassembly, decoders, and what they said.

use std::sync::Arc;

use smallvec::SmallVec;

use super::worker::Names;
use crate::evidence::{Episode, Moment, Peek, Recorder, Seen};
use crate::flow::Tracker;
use crate::net::{FlowKey, PerSide, Side, TcpFlags, Timestamp, Transport};
use crate::protocol::{Context, Conversation, Datagram, Datagrams};
use crate::stream::{Chunk, Mark, Stream};
use crate::wire::{Layers, TcpHeader, Tunnel};

/// The application side of one flow.
#[derive(Debug)]
pub(super) struct Application {
    body: Body,
    /// What its payload says: a flow without payload (most of a scan or a flood) has no room for that.
    talk: Option<Box<Talk>>,
    tunnels: Box<[Tunnel]>,
    /// Files that hold its packets, by index in the chain.
    files: SmallVec<[u32; 2]>,
    last_frame: u64,
    last_time: Timestamp,
}

#[derive(Debug)]
enum Body {
    Tcp(Box<Connection>),
    Datagrams,
    Other,
}

#[derive(Debug, Default)]
struct Connection {
    streams: PerSide<Stream>,
    /// A SYN of either side was seen.
    is_open: bool,
}

/// The payload of one flow: who reads it, and what they said.
#[derive(Debug, Default)]
struct Talk {
    recorder: Recorder,
    /// The first payload, as long as no protocol is proven.
    payload: Vec<Peek>,
    readers: Readers,
}

#[derive(Debug, Default)]
enum Readers {
    #[default]
    None,
    Stream(Conversation),
    Datagrams(Datagrams),
}

impl Application {
    pub(super) fn new(key: FlowKey, layers: &Layers<'_>) -> Self {
        let body = match key.transport {
            Transport::TCP => Body::Tcp(Box::default()),
            Transport::UDP => Body::Datagrams,
            _ => Body::Other,
        };
        Self::of(body, &layers.tunnels)
    }

    /// The flow of a tunnel: nothing of its payload is its own.
    pub(super) fn carrier(layers: &Layers<'_>) -> Self {
        let around = layers.tunnels.split_last().map(|(_, around)| around);
        Self::of(Body::Other, around.unwrap_or_default())
    }

    fn of(body: Body, tunnels: &[Tunnel]) -> Self {
        Self {
            body,
            talk: None,
            tunnels: tunnels.into(),
            files: SmallVec::new(),
            last_frame: 0,
            last_time: Timestamp::default(),
        }
    }

    /// Takes one packet in. Returns how many bytes reassembly held before, and holds now.
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
                connection.segment(moment, tcp, layers, &mut self.talk)
            }
            (Body::Datagrams, _) => {
                if !layers.payload.is_empty() {
                    let datagram = Datagram {
                        bytes: layers.payload,
                        wire_len: layers.payload_wire_len as usize,
                    };
                    let talk = self.talk.get_or_insert_default();
                    talk.datagram(datagram, moment);
                }
                (0, 0)
            }
            (Body::Tcp(_) | Body::Other, _) => (0, 0),
        };
        self.peek(moment, tcp, layers);
        held
    }

    /// Keeps the first payload, until a protocol is proven.
    fn peek(&mut self, moment: Moment, tcp: Option<&TcpHeader>, layers: &Layers<'_>) {
        let is_reset = tcp.is_some_and(|tcp| tcp.flags.contains(TcpFlags::RST));
        if layers.payload.is_empty() || is_reset || matches!(self.body, Body::Other) {
            return;
        }
        let talk = self.talk.get_or_insert_default();
        if !talk.recorder.protocols.is_empty() {
            talk.payload = Vec::new();
            return;
        }
        if talk.payload.len() >= Peek::MAX {
            return;
        }
        let kept = layers.payload.len().min(Peek::MAX_BYTES);
        talk.payload.push(Peek {
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
            talk,
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
            connection.flush(moment, talk);
        }
    }

    /// The episode that this flow was.
    pub(super) fn finish(mut self, key: FlowKey, tracker: Tracker, names: &Names) -> Episode {
        self.flush(key);
        let Talk {
            recorder, payload, ..
        } = self.talk.map(|talk| *talk).unwrap_or_default();
        let is_unknown = recorder.protocols.is_empty();
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
            protocols: recorder.protocols.into_sorted(),
            facts: recorder.facts.into_sorted(),
            offers: recorder.offers.into_sorted(),
            streams: recorder.streams,
            payload: if is_unknown { payload } else { Vec::new() },
            reports: recorder.reports,
            client: recorder.client,
            gap_bytes,
            disagreements,
            left_out: recorder.left_out,
        }
    }
}

impl Talk {
    fn datagram(&mut self, datagram: Datagram<'_>, moment: Moment) {
        if let Readers::None = self.readers {
            self.readers = Readers::Datagrams(Datagrams::default());
        }
        if let Readers::Datagrams(datagrams) = &mut self.readers {
            datagrams.datagram(datagram, moment, &mut self.recorder);
        }
    }

    fn chunk(&mut self, chunk: Chunk<'_>, context: Context) {
        if let Readers::None = self.readers {
            self.readers = Readers::Stream(Conversation::default());
        }
        let Readers::Stream(conversation) = &mut self.readers else {
            return;
        };
        match chunk {
            Chunk::Data(bytes) => conversation.data(bytes, context, &mut self.recorder),
            Chunk::Held(bytes, Mark { time, frame }) => {
                let moment = Moment {
                    time,
                    frame,
                    ..context.moment
                };
                let context = Context { moment, ..context };
                conversation.data(bytes, context, &mut self.recorder);
            }
            Chunk::Gap { bytes } => conversation.gap(bytes, context, &mut self.recorder),
        }
    }

    /// Whether nobody wants more of a connection.
    const fn is_done(&self) -> bool {
        match &self.readers {
            Readers::Stream(conversation) => conversation.is_done(),
            Readers::None | Readers::Datagrams(_) => false,
        }
    }
}

impl Connection {
    fn segment(
        &mut self,
        moment: Moment,
        tcp: &TcpHeader,
        layers: &Layers<'_>,
        talk: &mut Option<Box<Talk>>,
    ) -> (usize, usize) {
        let side = moment.side;
        let before = self.held();
        // What the other side sent and the capture lacks comes before the answer to it.
        if tcp.flags.contains(TcpFlags::ACK) {
            let there = Moment {
                side: side.other(),
                ..moment
            };
            let mut sink = deliver(talk, self.is_open, there);
            self.streams[side.other()].acknowledged(tcp.acknowledgment, &mut sink);
        }
        let mut sequence = tcp.sequence;
        if tcp.flags.contains(TcpFlags::SYN) {
            self.is_open = true;
            self.streams[side].syn(sequence);
            sequence = sequence.wrapping_add(1);
        }
        // The text of a RST is a diagnostic, not data (RFC 9293 §3.5.3).
        if layers.payload_wire_len > 0 && !tcp.flags.contains(TcpFlags::RST) {
            let mut sink = deliver(talk, self.is_open, moment);
            let mark = Mark {
                time: moment.time,
                frame: moment.frame,
            };
            let wire_len = layers.payload_wire_len;
            self.streams[side].push(sequence, layers.payload, wire_len, mark, &mut sink);
        }
        if talk.as_ref().is_some_and(|talk| talk.is_done()) {
            for side in Side::BOTH {
                if !self.streams[side].is_stopped() {
                    self.streams[side].stop();
                }
            }
        }
        (before, self.held())
    }

    fn flush(&mut self, moment: Moment, talk: &mut Option<Box<Talk>>) {
        let mut sink = deliver(talk, self.is_open, moment);
        self.streams[moment.side].finish(&mut sink);
    }

    fn held(&self) -> usize {
        self.streams
            .a
            .held_bytes()
            .saturating_add(self.streams.b.held_bytes())
    }
}

/// Gives chunks of a stream to those who read it.
fn deliver<'a>(
    talk: &'a mut Option<Box<Talk>>,
    is_open: bool,
    moment: Moment,
) -> impl FnMut(Chunk<'_>) + 'a {
    let context = Context {
        moment,
        midstream: !is_open,
    };
    move |chunk| talk.get_or_insert_default().chunk(chunk, context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_without_payload_has_no_room_for_it() {
        let application = size_of::<Application>();
        let silent = application + size_of::<Connection>();
        let talk = size_of::<Talk>();
        println!("application {application}, with streams {silent}, talk {talk}");
        assert!(silent <= 320 && talk <= 512, "{silent}, {talk}");
    }
}
