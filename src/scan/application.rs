//! What one flow holds besides its counters: reassembly, decoders, and what they said.
//!
//! A flow that is idle rests: what was said of it is packed as it will be when it is over, and taken out again when it goes
//! on. Nobody sees that in a result.

use std::sync::Arc;

use smallvec::SmallVec;

use super::worker::Names;
use crate::evidence::{Episode, Moment, Packer, Peek, Recorder, Rested, Seen};
use crate::flow::{FlowTable, TcpTracker, Tracker};
use crate::net::{FlowKey, PerSide, Side, TcpFlags, Timestamp, Transport};
use crate::protocol::{Context, Conversation, Datagram, Datagrams};
use crate::stream::{Chunk, Mark, Stream};
use crate::wire::{Layers, TcpHeader, Tunnel};

/// The application side of one flow.
#[derive(Debug)]
pub(super) struct Application {
    body: Body,
    /// What its payload says: a flow without payload (most of a scan or a flood) has no room for that.
    talk: Talk,
    tunnels: Box<[Tunnel]>,
    /// Files that hold its packets, by index in the chain.
    files: SmallVec<[u32; 2]>,
    last_frame: u64,
    last_time: Timestamp,
    /// Bytes that it took when that was last looked at.
    weight: usize,
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

/// The payload of one flow. Invariant: it is awake or resting or, where there was none, neither.
#[derive(Debug, Default)]
struct Talk {
    awake: Option<Box<Awake>>,
    /// It is idle: everything that was seen of the flow, packed, as no packet came since.
    resting: Option<Box<Resting>>,
}

/// Who reads a flow, and what they said.
#[derive(Debug, Default)]
struct Awake {
    recorder: Recorder,
    /// The first payload, as long as no protocol is proven.
    payload: Vec<Peek>,
    readers: Readers,
}

#[derive(Debug)]
struct Resting {
    episode: Rested,
    /// Facts and offers that bounds left out of it.
    left_out: u64,
    readers: Readers,
}

#[derive(Debug, Default)]
enum Readers {
    #[default]
    None,
    Stream(Box<Conversation>),
    Datagrams(Datagrams),
    /// Nobody wants more of a connection.
    Done,
}

/// Bytes that a flow takes, before and after something happened to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    pub(super) before: usize,
    pub(super) after: usize,
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
            talk: Talk::default(),
            tunnels: tunnels.into(),
            files: SmallVec::new(),
            last_frame: 0,
            last_time: Timestamp::default(),
            weight: 0,
        }
    }

    /// Takes one packet in; `packer` is the one with which it rests. Says how many bytes the flow takes.
    pub(super) fn packet(
        &mut self,
        moment: Moment,
        file: u32,
        tcp: Option<&TcpHeader>,
        layers: &Layers<'_>,
        packer: &Packer,
    ) -> Change {
        let is_woken = self.talk.wake(packer);
        if self.files.last() != Some(&file) && !self.files.contains(&file) {
            self.files.push(file);
        }
        self.last_frame = self.last_frame.max(moment.frame);
        self.last_time = self.last_time.max(moment.time);
        match (&mut self.body, tcp) {
            (Body::Tcp(connection), Some(tcp)) => {
                connection.segment(moment, tcp, layers, &mut self.talk);
            }
            (Body::Datagrams, _) => {
                if !layers.payload.is_empty() {
                    let datagram = Datagram {
                        bytes: layers.payload,
                        wire_len: layers.payload_wire_len as usize,
                    };
                    self.talk.awake().datagram(datagram, moment);
                }
            }
            (Body::Tcp(_) | Body::Other, _) => {}
        }
        self.peek(moment, tcp, layers);
        if is_woken || !layers.payload.is_empty() || self.weight == 0 {
            return self.weigh();
        }
        Change {
            before: self.weight,
            after: self.weight,
        }
    }

    /// Keeps the first payload, until a protocol is proven.
    fn peek(&mut self, moment: Moment, tcp: Option<&TcpHeader>, layers: &Layers<'_>) {
        let is_reset = tcp.is_some_and(|tcp| tcp.flags.contains(TcpFlags::RST));
        if layers.payload.is_empty() || is_reset || matches!(self.body, Body::Other) {
            return;
        }
        let talk = self.talk.awake();
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

    /// Bytes that reassembly holds.
    pub(super) fn held(&self) -> usize {
        match &self.body {
            Body::Tcp(connection) => connection.held(),
            Body::Datagrams | Body::Other => 0,
        }
    }

    /// Bytes that the flow took when that was last looked at.
    pub(super) const fn weight(&self) -> usize {
        self.weight
    }

    /// Looks at how many bytes the flow takes, about, what reassembly holds apart.
    fn weigh(&mut self) -> Change {
        const PLACE: usize = FlowTable::<Box<Application>>::PLACE_BYTES + size_of::<Application>();
        const TCP: usize = size_of::<Connection>() + size_of::<TcpTracker>();
        let body = match &self.body {
            Body::Tcp(_) => PLACE.saturating_add(TCP),
            Body::Datagrams | Body::Other => PLACE,
        };
        let around = self.tunnels.len().saturating_mul(size_of::<Tunnel>());
        let before = self.weight;
        self.weight = body
            .saturating_add(around)
            .saturating_add(self.talk.weight());
        Change {
            before,
            after: self.weight,
        }
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

    /// The flow is idle: packs what was said of it, unless that is nothing.
    pub(super) fn rest(
        &mut self,
        key: FlowKey,
        tracker: &Tracker,
        names: &Names,
        packer: &mut Packer,
    ) -> Change {
        if let Some(talk) = self.talk.awake.take() {
            let Awake {
                recorder,
                payload,
                mut readers,
            } = *talk;
            readers.rest();
            let episode = self.episode(key, tracker.clone(), names, recorder, payload);
            self.talk.resting = Some(Box::new(Resting {
                episode: packer.rest(&episode),
                left_out: episode.left_out,
                readers,
            }));
        }
        self.weigh()
    }

    /// The flow is over: gives the packer the episode that it was. Says how many facts and offers bounds left out of it.
    pub(super) fn finish(
        mut self,
        key: FlowKey,
        tracker: Tracker,
        names: &Names,
        packer: &mut Packer,
    ) -> u64 {
        if let Some(resting) = &self.talk.resting
            && self.is_quiet()
        {
            packer.push_rested(&resting.episode);
            return resting.left_out;
        }
        self.talk.wake(packer);
        self.flush(key);
        let Awake {
            recorder, payload, ..
        } = self.talk.awake.take().map(|talk| *talk).unwrap_or_default();
        let episode = self.episode(key, tracker, names, recorder, payload);
        packer.push(&episode);
        episode.left_out
    }

    /// Whether reassembly has nothing left to give.
    fn is_quiet(&self) -> bool {
        match &self.body {
            Body::Tcp(connection) => connection.streams.iter().all(|(_, side)| side.is_quiet()),
            Body::Datagrams | Body::Other => true,
        }
    }

    /// The episode that this flow is so far.
    fn episode(
        &self,
        key: FlowKey,
        tracker: Tracker,
        names: &Names,
        recorder: Recorder,
        payload: Vec<Peek>,
    ) -> Episode {
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
    /// Takes out again what was packed when the flow began to rest, if it did.
    fn wake(&mut self, packer: &Packer) -> bool {
        let Some(resting) = self.resting.take() else {
            return false;
        };
        let Resting {
            episode, readers, ..
        } = *resting;
        let woken = packer.wake(&episode).map(Recorder::resume);
        let (recorder, payload) = woken.unwrap_or_default();
        self.awake = Some(Box::new(Awake {
            recorder,
            payload,
            readers,
        }));
        true
    }

    /// The flow speaks, if it did not before.
    fn awake(&mut self) -> &mut Awake {
        debug_assert!(self.resting.is_none(), "it was woken before");
        self.awake.get_or_insert_default()
    }

    /// Whether nobody wants more of a connection.
    fn is_done(&self) -> bool {
        let awake = self.awake.as_ref();
        awake.is_some_and(|talk| matches!(talk.readers, Readers::Done))
    }

    fn weight(&self) -> usize {
        let awake = self.awake.as_ref().map_or(0, |talk| talk.weight());
        let resting = self.resting.as_ref().map_or(0, |talk| talk.weight());
        awake.saturating_add(resting)
    }
}

impl Resting {
    fn weight(&self) -> usize {
        size_of::<Self>()
            .saturating_add(self.episode.bytes())
            .saturating_add(self.readers.held_bytes())
    }
}

impl Awake {
    fn weight(&self) -> usize {
        let peek = size_of::<Peek>().saturating_add(Peek::MAX_BYTES);
        size_of::<Self>()
            .saturating_add(self.payload.len().saturating_mul(peek))
            .saturating_add(self.recorder.held_bytes())
            .saturating_add(self.readers.held_bytes())
    }

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
            self.readers = Readers::Stream(Box::default());
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
        if conversation.is_done() {
            self.readers = Readers::Done;
        }
    }
}

impl Readers {
    fn held_bytes(&self) -> usize {
        match self {
            Self::Stream(conversation) => {
                size_of::<Conversation>().saturating_add(conversation.held_bytes())
            }
            Self::Datagrams(datagrams) => datagrams.held_bytes(),
            Self::None | Self::Done => 0,
        }
    }

    fn rest(&mut self) {
        match self {
            Self::Stream(conversation) => conversation.rest(),
            Self::Datagrams(datagrams) => datagrams.rest(),
            Self::None | Self::Done => {}
        }
    }
}

impl Connection {
    fn segment(&mut self, moment: Moment, tcp: &TcpHeader, layers: &Layers<'_>, talk: &mut Talk) {
        let side = moment.side;
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
        if talk.is_done() {
            for side in Side::BOTH {
                if !self.streams[side].is_stopped() {
                    self.streams[side].stop();
                }
            }
        }
    }

    fn flush(&mut self, moment: Moment, talk: &mut Talk) {
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
fn deliver<'a>(talk: &'a mut Talk, is_open: bool, moment: Moment) -> impl FnMut(Chunk<'_>) + 'a {
    let context = Context {
        moment,
        midstream: !is_open,
    };
    move |chunk| talk.awake().chunk(chunk, context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_without_payload_has_no_room_for_it() {
        let application = size_of::<Application>();
        let silent = application + size_of::<Connection>();
        let talk = size_of::<Awake>();
        let resting = size_of::<Resting>();
        println!(
            "application {application}, with streams {silent}, talk {talk}, at rest {resting}"
        );
        assert!(
            silent <= 320 && talk <= 320 && resting <= 128,
            "{silent}, {talk}, {resting}"
        );
    }
}
