//! One TCP connection between reassembly and decoders: detection, buffering of incomplete messages, skipping, handover
//! and resuming after gaps.
//!
//! In-order data is shown to probes and decoders where it lies in the packet; only what a decoder could not yet use is
//! kept. It never interprets a byte itself.

use std::sync::LazyLock;

use super::{Mask, Next, Opening, PROTOCOLS, Probe, Protocol, Step, StreamDecoder, by_first_byte};
use crate::evidence::{Moment, Recorder, Seen};
use crate::net::{PerSide, Side};

/// Bytes of each side that probes may look at before the connection counts as unknown: a banner and a greeting fit.
const PROBE_BYTES: usize = 2048;
/// Bytes that a decoder may wait for: larger than any DCE/RPC fragment (65,535) or TLS record, and than any sane SIP
/// message or LDAP entry that must be whole.
const PENDING_BYTES: usize = 128 * 1024;
/// Bytes of one message that a decoder may be shown again because more of it came. The largest message in segments of
/// ordinary size takes six million, one of 4,000 bytes that come one by one eight; a decoder that looks for the end of
/// a line from its start would else take the square of what it may wait for.
const SHOWN_AGAIN: usize = 8 * 1024 * 1024;
/// Segments of a connection without a known beginning at which probes are tried, before it counts as unknown.
const MIDSTREAM_TRIES: u8 = 32;
/// Protocols upon each other: SMTP, TLS and one more is ordinary, a longer chain is an attack.
const MAX_DEPTH: u8 = 6;
/// Messages refused before a decoder is taken from the connection.
const MAX_REJECTS: u8 = 8;

static FIRST_BYTES: LazyLock<Vec<Mask>> = LazyLock::new(|| {
    by_first_byte(|protocol, byte| {
        protocol
            .stream
            .as_ref()
            .is_some_and(|entry| (entry.first_byte)(byte))
    })
});

/// What the caller knows of the segment at hand.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// Packet, flow and side.
    pub moment: Moment,
    /// The beginning of the connection is not in the capture.
    pub midstream: bool,
}

/// The application side of one TCP connection.
pub struct Conversation {
    state: State,
    depth: u8,
    rejects: u8,
    sides: PerSide<Inbox>,
    first: Option<Side>,
    /// Sides whose first bytes a decoder accepted, or that are not in the capture.
    heard: PerSide<bool>,
    tries: u8,
}

enum State {
    Undecided,
    Decoding(&'static Protocol, Box<dyn StreamDecoder>),
    Done,
}

/// What waits on one side.
#[derive(Default)]
struct Inbox {
    pending: Vec<u8>,
    /// The packet that the last of them came in.
    seen: Option<Seen>,
    at_least: usize,
    /// Pending bytes that were shown again since a decoder last was done with any.
    again: usize,
    skip: u64,
    /// A gap came: the decoder must find a message start first.
    lost: bool,
}

impl Default for Conversation {
    fn default() -> Self {
        Self {
            state: State::Undecided,
            depth: 0,
            rejects: 0,
            sides: PerSide::default(),
            first: None,
            heard: PerSide::default(),
            tries: MIDSTREAM_TRIES,
        }
    }
}

impl std::fmt::Debug for Conversation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match &self.state {
            State::Undecided => "undecided",
            State::Decoding(protocol, _) => protocol.name,
            State::Done => "done",
        };
        f.debug_struct("Conversation")
            .field("state", &state)
            .field("depth", &self.depth)
            .finish_non_exhaustive()
    }
}

impl Conversation {
    /// Whether nobody wants more of this connection: reassembly may stop.
    pub const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Bytes that it holds beside its own size, about; takes the same time however much that is.
    pub fn held_bytes(&self) -> usize {
        let decoder = match &self.state {
            State::Decoding(_, decoder) => decoder.held_bytes(),
            State::Undecided | State::Done => 0,
        };
        let pending = self.sides.iter().map(|(_, inbox)| inbox.pending.capacity());
        pending.fold(decoder, usize::saturating_add)
    }

    /// Gives back what buffers have free: the connection is idle.
    pub fn rest(&mut self) {
        for side in Side::BOTH {
            self.sides[side].pending.shrink_to_fit();
        }
    }

    /// `bytes` come next on the side that `context` names.
    pub fn data(&mut self, bytes: &[u8], context: Context, recorder: &mut Recorder) {
        let side = context.moment.side;
        let mut bytes = bytes;
        if self.is_done() || bytes.is_empty() {
            return;
        }
        self.first.get_or_insert(side);
        let inbox = &mut self.sides[side];
        if inbox.skip > 0 {
            let skipped = usize::try_from(inbox.skip)
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            inbox.skip = inbox.skip.saturating_sub(skipped as u64);
            bytes = bytes.get(skipped..).unwrap_or_default();
            if bytes.is_empty() {
                return;
            }
        }
        if inbox.lost && !matches!(self.state, State::Undecided) {
            let State::Decoding(_, decoder) = &mut self.state else {
                return;
            };
            let Some(rest) = decoder
                .resume(side, bytes)
                .and_then(|offset| bytes.get(offset..))
            else {
                return;
            };
            inbox.lost = false;
            bytes = rest;
        }
        if inbox.pending.is_empty() {
            let used = self.offer(bytes, context, recorder);
            self.keep(bytes.get(used..).unwrap_or_default(), context);
            return;
        }
        inbox.pending.extend_from_slice(bytes);
        inbox.seen = Some(context.moment.seen());
        if inbox.pending.len() < inbox.at_least {
            self.check_bound(side);
            return;
        }
        inbox.again = inbox.again.saturating_add(inbox.pending.len());
        let pending = std::mem::take(&mut inbox.pending);
        let used = self.offer(&pending, context, recorder);
        self.restore(side, pending, used);
    }

    /// `bytes` bytes are missing from the capture on the side that `context` names.
    pub fn gap(&mut self, bytes: u64, context: Context, recorder: &mut Recorder) {
        let side = context.moment.side;
        self.detect_before_gap(bytes, context, recorder);
        self.heard[side] = true;
        let inbox = &mut self.sides[side];
        if inbox.skip >= bytes && inbox.pending.is_empty() {
            inbox.skip = inbox.skip.saturating_sub(bytes);
            return;
        }
        *inbox = Inbox {
            lost: true,
            ..Inbox::default()
        };
    }

    /// What waits will never be whole: asks the probes a last time, who may accept a beginning now.
    fn detect_before_gap(&mut self, missing: u64, context: Context, recorder: &mut Recorder) {
        let side = context.moment.side;
        if !matches!(self.state, State::Undecided) || self.sides[side].pending.is_empty() {
            return;
        }
        let pending = std::mem::take(&mut self.sides[side].pending);
        let context = self.before(side, context);
        let opening = self.opening(&pending, missing, context);
        if let Verdict::Is(protocol) = probe(&opening) {
            let other = std::mem::take(&mut self.sides[side.other()].pending);
            let used = self.begin(protocol, &pending, other, context, recorder);
            self.restore(side, pending, used);
        } else {
            self.sides[side].pending = pending;
        }
    }

    /// The context of what waits on `side`: the packet that it came in, not the one at hand.
    fn before(&self, side: Side, context: Context) -> Context {
        let Seen { time, frame } = self.sides[side].seen.unwrap_or(context.moment.seen());
        let moment = Moment {
            time,
            frame,
            side,
            ..context.moment
        };
        Context { moment, ..context }
    }

    /// What the probes are shown: `bytes` of one side, and what waits on the other.
    fn opening<'a>(&'a self, bytes: &'a [u8], missing: u64, context: Context) -> Opening<'a> {
        let side = context.moment.side;
        let mut opening = Opening {
            bytes: PerSide::default(),
            missing: PerSide::default(),
            first: self.first.unwrap_or(side),
            midstream: context.midstream || self.sides.iter().any(|(_, inbox)| inbox.lost),
        };
        opening.bytes[side] = bytes;
        opening.missing[side] = missing;
        opening.bytes[side.other()] = &self.sides[side.other()].pending;
        opening
    }

    /// Makes `protocol` the reader, and shows it what both sides sent so far.
    fn begin(
        &mut self,
        protocol: &'static Protocol,
        bytes: &[u8],
        other: Vec<u8>,
        context: Context,
        recorder: &mut Recorder,
    ) -> usize {
        self.become_protocol(protocol);
        for side in Side::BOTH {
            self.sides[side].lost = false;
        }
        self.feed_both(bytes, other, context, recorder)
    }

    /// Shows `bytes` to whoever reads this connection; returns how many are done with.
    fn offer(&mut self, bytes: &[u8], context: Context, recorder: &mut Recorder) -> usize {
        match self.state {
            State::Undecided => self.detect(bytes, context, recorder),
            State::Decoding(..) => self.decode(bytes, context, recorder),
            State::Done => bytes.len(),
        }
    }

    /// Asks the probes. Nothing is consumed until one says yes.
    fn detect(&mut self, bytes: &[u8], context: Context, recorder: &mut Recorder) -> usize {
        let side = context.moment.side;
        let opening = self.opening(bytes, 0, context);
        let (midstream, alone) = (opening.midstream, opening.bytes[side.other()].is_empty());
        match probe(&opening) {
            Verdict::Is(protocol) => {
                let other = std::mem::take(&mut self.sides[side.other()].pending);
                self.begin(protocol, bytes, other, context, recorder)
            }
            Verdict::Unsure if bytes.len() < PROBE_BYTES => {
                self.sides[side].at_least = 0;
                0
            }
            Verdict::Unsure | Verdict::None if midstream && self.tries > 0 => {
                self.sides[side.other()].pending.clear();
                self.tries = self.tries.saturating_sub(1);
                self.first = None;
                bytes.len()
            }
            // One side alone may not tell: the other has not spoken yet.
            Verdict::None if alone && bytes.len() < PROBE_BYTES && self.tries > 0 => {
                self.tries = self.tries.saturating_sub(1);
                self.sides[side].at_least = 0;
                0
            }
            Verdict::Unsure | Verdict::None => {
                self.finish();
                bytes.len()
            }
        }
    }

    /// A protocol was just found: shows it what both sides sent so far, the side that spoke first first.
    fn feed_both(
        &mut self,
        bytes: &[u8],
        other: Vec<u8>,
        context: Context,
        recorder: &mut Recorder,
    ) -> usize {
        let side = context.moment.side;
        if other.is_empty() {
            return self.decode(bytes, context, recorder);
        }
        let there = self.before(side.other(), context);
        if self.first == Some(side) {
            let used = self.decode(bytes, context, recorder);
            let used_other = self.offer(&other, there, recorder);
            self.restore(side.other(), other, used_other);
            used
        } else {
            let used_other = self.decode(&other, there, recorder);
            self.restore(side.other(), other, used_other);
            self.offer(bytes, context, recorder)
        }
    }

    fn decode(&mut self, bytes: &[u8], context: Context, recorder: &mut Recorder) -> usize {
        let side = context.moment.side;
        let mut used = 0;
        // Every turn consumes something or ends: the number of turns is bounded by the bytes.
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            if rest.is_empty() {
                return used;
            }
            let State::Decoding(protocol, decoder) = &mut self.state else {
                return used.saturating_add(self.offer(rest, context, recorder));
            };
            let protocol = *protocol;
            let mut notes = recorder.notes(context.moment, protocol.name, self.depth);
            let step = decoder.data(side, rest, &mut notes);
            if let Step::Reject(_) = step {
                notes.discard();
            } else {
                notes.commit();
                self.heard[side] = true;
            }
            match step {
                Step::NeedMore { consumed, at_least } => {
                    self.sides[side].at_least = at_least.max(1);
                    return used.saturating_add(consumed);
                }
                Step::Consumed => return bytes.len(),
                Step::Skip {
                    consumed,
                    bytes: skip,
                } => {
                    let left = rest.len().saturating_sub(consumed);
                    let here = usize::try_from(skip).unwrap_or(usize::MAX).min(left);
                    self.sides[side].skip = skip.saturating_sub(here as u64);
                    if consumed == 0 && here == 0 && skip == 0 {
                        return bytes.len();
                    }
                    used = used.saturating_add(consumed).saturating_add(here);
                }
                Step::Handover { consumed, next } => {
                    used = used.saturating_add(consumed);
                    self.handover(next);
                    let rest = bytes.get(used..).unwrap_or_default();
                    if rest.is_empty() || self.is_done() {
                        return bytes.len();
                    }
                    return used.saturating_add(self.offer(rest, context, recorder));
                }
                Step::Done => {
                    self.finish();
                    return bytes.len();
                }
                Step::Reject(_) => {
                    match self.said_alone(side, rest, context) {
                        Verdict::Is(spoken) if spoken.name != protocol.name => {
                            recorder.withdraw();
                            self.contradict(side, spoken);
                            continue;
                        }
                        Verdict::Unsure if rest.len() < PROBE_BYTES => {
                            self.sides[side].at_least = 0;
                            return used;
                        }
                        Verdict::Is(_) | Verdict::Unsure | Verdict::None => {}
                    }
                    self.rejects = self.rejects.saturating_add(1);
                    if self.rejects >= MAX_REJECTS {
                        self.finish();
                    } else {
                        self.sides[side] = Inbox {
                            lost: true,
                            ..Inbox::default()
                        };
                    }
                    return bytes.len();
                }
            }
        }
    }

    /// What the first bytes of `side` prove on their own, where they are not what the other side began with.
    fn said_alone(&self, side: Side, bytes: &[u8], context: Context) -> Verdict {
        let is_answer = self.heard[side.other()] && !self.heard[side];
        if self.depth > 0 || !is_answer || context.midstream {
            return Verdict::None;
        }
        let mut opening = Opening {
            bytes: PerSide::default(),
            missing: PerSide::default(),
            first: side,
            midstream: false,
        };
        opening.bytes[side] = bytes;
        probe(&opening)
    }

    /// `side` answers in a protocol of its own: a server says what it is, whatever a scanner or a misled client sends it.
    fn contradict(&mut self, side: Side, spoken: &'static Protocol) {
        self.heard[side] = true;
        self.sides[side.other()] = Inbox {
            lost: true,
            ..Inbox::default()
        };
        self.become_protocol(spoken);
    }

    fn handover(&mut self, next: Next) {
        self.depth = self.depth.saturating_add(1);
        if self.depth >= MAX_DEPTH {
            self.finish();
            return;
        }
        for side in Side::BOTH {
            self.sides[side].at_least = 0;
            self.sides[side].skip = 0;
        }
        match next {
            Next::Protocol(protocol) => self.become_protocol(protocol),
            Next::Probe => {
                self.state = State::Undecided;
                self.first = None;
                self.tries = MIDSTREAM_TRIES;
            }
        }
    }

    fn become_protocol(&mut self, protocol: &'static Protocol) {
        self.state = match &protocol.stream {
            Some(stream) => State::Decoding(protocol, (stream.start)()),
            None => State::Done,
        };
    }

    fn finish(&mut self) {
        self.state = State::Done;
        self.sides = PerSide::default();
    }

    fn keep(&mut self, rest: &[u8], context: Context) {
        if !rest.is_empty() && !self.is_done() {
            let side = context.moment.side;
            self.sides[side].pending.extend_from_slice(rest);
            self.sides[side].seen = Some(context.moment.seen());
            self.check_bound(side);
        }
    }

    /// Gives a buffer back after `used` of its bytes were consumed.
    fn restore(&mut self, side: Side, mut buffer: Vec<u8>, used: usize) {
        if used > 0 {
            self.sides[side].again = 0;
        }
        if self.is_done() || used >= buffer.len() {
            return;
        }
        buffer.drain(..used);
        self.sides[side].pending = buffer;
        self.check_bound(side);
    }

    fn check_bound(&mut self, side: Side) {
        let inbox = &mut self.sides[side];
        let is_too_long = inbox.pending.len().max(inbox.at_least) > PENDING_BYTES;
        if is_too_long || inbox.again > SHOWN_AGAIN {
            *inbox = Inbox {
                lost: true,
                ..Inbox::default()
            };
        }
    }
}

enum Verdict {
    Is(&'static Protocol),
    Unsure,
    None,
}

/// The protocol whose probe says yes. Probes are strict enough that at most one does (a test holds them to it).
fn probe(opening: &Opening<'_>) -> Verdict {
    let candidates = opening.bytes.iter().fold(0, |mask, (_, bytes)| {
        mask | bytes
            .first()
            .and_then(|&byte| FIRST_BYTES.get(usize::from(byte)))
            .copied()
            .unwrap_or(0)
    });
    let mut unsure = false;
    let mut left = candidates;
    while left != 0 {
        let index = left.trailing_zeros() as usize;
        left &= left.wrapping_sub(1);
        let Some((protocol, stream)) = PROTOCOLS
            .get(index)
            .and_then(|p| p.stream.as_ref().map(|s| (p, s)))
        else {
            continue;
        };
        match (stream.probe)(opening) {
            Probe::Yes => return Verdict::Is(protocol),
            Probe::More => unsure = true,
            Probe::No => {}
        }
    }
    if unsure {
        Verdict::Unsure
    } else {
        Verdict::None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::http::HTTP;
    use super::*;
    use crate::evidence::Notes;
    use crate::net::{Endpoint, FlowKey, Timestamp, Transport};

    /// Waits for the end of a message that has none, and counts what it is shown.
    #[derive(Clone, Default)]
    struct Endless {
        shown: Arc<AtomicUsize>,
        longest: Arc<AtomicUsize>,
    }

    impl StreamDecoder for Endless {
        fn data(&mut self, _: Side, bytes: &[u8], _: &mut Notes<'_>) -> Step {
            self.shown.fetch_add(bytes.len(), Ordering::Relaxed);
            self.longest.fetch_max(bytes.len(), Ordering::Relaxed);
            Step::NeedMore {
                consumed: 0,
                at_least: bytes.len() + 1,
            }
        }

        fn resume(&mut self, _: Side, _: &[u8]) -> Option<usize> {
            Some(0)
        }
    }

    /// Bytes shown, and the most at once, of so many bytes in segments of one size.
    fn shown(bytes: usize, segment: usize) -> (usize, usize) {
        let end = |port| Endpoint::new([10, 0, 0, 1].into(), port);
        let (key, side) = FlowKey::of(Transport::TCP, end(1), end(2));
        let moment = Moment {
            time: Timestamp::default(),
            frame: 1,
            key,
            side,
        };
        let context = Context {
            moment,
            midstream: false,
        };
        let endless = Endless::default();
        let mut conversation = Conversation {
            state: State::Decoding(&HTTP, Box::new(endless.clone())),
            ..Conversation::default()
        };
        let mut recorder = Recorder::default();
        for part in vec![b'x'; bytes].chunks(segment) {
            conversation.data(part, context, &mut recorder);
        }
        let value = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        (value(&endless.shown), value(&endless.longest))
    }

    #[test]
    fn a_message_without_an_end_is_not_shown_again_and_again() {
        for size in [PENDING_BYTES, 4 * PENDING_BYTES] {
            let (bytes, _) = shown(size, 1);
            assert!(bytes / size < 2100, "{bytes} of {size}");
        }
    }

    #[test]
    fn the_longest_message_in_ordinary_segments_is_shown_whole() {
        let (_, longest) = shown(PENDING_BYTES, 1400);
        assert_eq!(longest, PENDING_BYTES);
        let (_, longest) = shown(4000, 1);
        assert_eq!(longest, 4000);
    }
}
