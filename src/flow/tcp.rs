//! What TCP headers prove about a connection, as facts that only grow, and the state that follows from them.

use serde::{Serialize, Serializer};

use super::TcpObservation;
use super::order::MisorderCounts;
use crate::net::TcpFlags;
use crate::net::{PerSide, Side, Timestamp};

/// What one side was seen to send: a set that only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Facts(u8);

impl Facts {
    /// A SYN without ACK: it asked for the connection.
    pub const SYN: Self = Self(1);
    /// A SYN with ACK: it accepted.
    pub const SYN_ACK: Self = Self(1 << 1);
    /// An acknowledgment without SYN or RST: it knows the other's sequence numbers.
    pub const ACK: Self = Self(1 << 2);
    /// Payload, outside of a RST.
    pub const DATA: Self = Self(1 << 3);
    /// A FIN.
    pub const FIN: Self = Self(1 << 4);
    /// A RST that breaks a connection.
    pub const RST: Self = Self(1 << 5);
    /// A RST with ACK and sequence number 0: the answer of a host that knows no connection to a segment without ACK,
    /// which is a SYN in practice (RFC 9293 §3.10.7.1).
    pub const REFUSAL: Self = Self(1 << 6);
    /// A FIN before the capture showed one of the other side: it closed first. Where parts of a connection were merged, both
    /// sides may have it, and who did is not known.
    pub const FIN_FIRST: Self = Self(1 << 7);

    const NAMES: [(Self, &str); 8] = [
        (Self::SYN, "syn"),
        (Self::SYN_ACK, "syn_ack"),
        (Self::ACK, "ack"),
        (Self::DATA, "data"),
        (Self::FIN, "fin"),
        (Self::RST, "rst"),
        (Self::REFUSAL, "refusal"),
        (Self::FIN_FIRST, "fin_first"),
    ];

    /// What one segment proves.
    pub(super) fn of(tcp: &TcpObservation, payload_len: u32) -> Self {
        let flags = tcp.flags;
        if flags.contains(TcpFlags::RST) {
            let is_refusal = flags.contains(TcpFlags::ACK) && tcp.sequence == 0;
            return if is_refusal { Self::REFUSAL } else { Self::RST };
        }
        let opening = match (flags.contains(TcpFlags::SYN), flags.contains(TcpFlags::ACK)) {
            (true, true) => Self::SYN_ACK,
            (true, false) => Self::SYN,
            (false, true) => Self::ACK,
            (false, false) => Self::default(),
        };
        let data = if payload_len > 0 {
            Self::DATA
        } else {
            Self::default()
        };
        let fin = if flags.contains(TcpFlags::FIN) {
            Self::FIN
        } else {
            Self::default()
        };
        opening.with(data).with(fin)
    }

    /// Whether all of `facts` are known.
    pub const fn has(self, facts: Self) -> bool {
        self.0 & facts.0 == facts.0
    }

    /// Whether any of `facts` is known.
    pub const fn has_any(self, facts: Self) -> bool {
        self.0 & facts.0 != 0
    }

    /// Whether the side was not seen at all, or only with segments that prove nothing.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The set as bits, for a compact record.
    pub(crate) const fn bits(self) -> u8 {
        self.0
    }

    /// The set of such bits.
    pub(crate) const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// The facts of both.
    pub const fn with(self, facts: Self) -> Self {
        Self(self.0 | facts.0)
    }

    /// Whether a RST of either kind, and nothing else, is known.
    const fn is_only_reset(self) -> bool {
        self.0 != 0 && self.0 & !(Self::RST.0 | Self::REFUSAL.0) == 0
    }
}

impl Serialize for Facts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let names = Self::NAMES.iter().filter(|&&(fact, _)| self.has(fact));
        serializer.collect_seq(names.map(|(_, name)| name))
    }
}

/// The first SYN (with or without ACK) of a side. Ordered by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Opening {
    /// Packet time.
    pub time: Timestamp,
    /// Initial sequence number.
    pub isn: u32,
}

/// What is known of one TCP connection. All of it adds: parts of a connection merge to the whole, except `misorder`,
/// which needs the packets before.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct TcpTracker {
    /// What each side was seen to send.
    pub facts: PerSide<Facts>,
    /// Earliest SYN of each side.
    pub opening: PerSide<Option<Opening>>,
    /// Earliest acknowledgment of each side that is neither SYN nor RST.
    pub first_ack: PerSide<Option<Timestamp>>,
    /// Earliest payload of each side: what the server's is late by, the service took.
    pub first_data: PerSide<Option<Timestamp>>,
    /// Segments with SYN: those beyond the first are retries.
    pub syns: PerSide<u32>,
    /// Segments with RST.
    pub resets: PerSide<u32>,
    /// Segments that say that the receiver's buffer is full: window 0, without SYN, FIN and RST.
    pub zero_windows: PerSide<u32>,
    /// Retransmissions and misorder.
    pub misorder: PerSide<MisorderCounts>,
}

/// Round trips of a three-way handshake, as seen from the capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Handshake {
    /// The side that asked.
    pub client: Side,
    /// From SYN to SYN with ACK: between capture and server, in nanoseconds.
    pub server_ns: i64,
    /// From there to the first acknowledgment: between capture and client, in nanoseconds.
    pub client_ns: Option<i64>,
}

impl TcpTracker {
    /// Takes a segment into account, all but its order.
    pub(super) fn record(
        &mut self,
        time: Timestamp,
        side: Side,
        tcp: &TcpObservation,
        payload_len: u32,
    ) {
        let mut facts = Facts::of(tcp, payload_len);
        if facts.has(Facts::FIN) && !self.facts[side.other()].has(Facts::FIN) {
            facts = facts.with(Facts::FIN_FIRST);
        }
        self.facts[side] = self.facts[side].with(facts);
        if facts.has(Facts::ACK) {
            self.first_ack[side] = earliest(self.first_ack[side], Some(time));
        }
        if facts.has(Facts::DATA) && self.first_data[side].is_none_or(|first| time < first) {
            self.first_data[side] = Some(time);
        }
        if facts.has_any(Facts::SYN.with(Facts::SYN_ACK)) {
            let isn = tcp.sequence;
            self.opening[side] = earliest(self.opening[side], Some(Opening { time, isn }));
            self.syns[side] = self.syns[side].saturating_add(1);
        } else if facts.has_any(Facts::RST.with(Facts::REFUSAL)) {
            self.resets[side] = self.resets[side].saturating_add(1);
        } else if tcp.window == 0 && !facts.has(Facts::FIN) {
            self.zero_windows[side] = self.zero_windows[side].saturating_add(1);
        }
    }

    /// The tracker of two parts of one connection.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        let Self {
            facts,
            opening,
            first_ack,
            first_data,
            syns,
            resets,
            zero_windows,
            misorder,
        } = other;
        for side in Side::BOTH {
            self.facts[side] = self.facts[side].with(facts[side]);
            self.opening[side] = earliest(self.opening[side], opening[side]);
            self.first_ack[side] = earliest(self.first_ack[side], first_ack[side]);
            self.first_data[side] = earliest(self.first_data[side], first_data[side]);
            self.syns[side] = self.syns[side].saturating_add(syns[side]);
            self.resets[side] = self.resets[side].saturating_add(resets[side]);
            self.zero_windows[side] = self.zero_windows[side].saturating_add(zero_windows[side]);
            self.misorder[side] = self.misorder[side].merge(misorder[side]);
        }
        self
    }

    /// The state that follows: see [`state`].
    pub fn state(&self) -> TcpState {
        state(self)
    }

    /// The side that closed the connection in order before the other did, if that was seen.
    pub fn closed_first(&self) -> Option<Side> {
        match Side::BOTH.map(|side| self.facts[side].has(Facts::FIN_FIRST)) {
            [true, false] => Some(Side::A),
            [false, true] => Some(Side::B),
            [true, true] | [false, false] => None,
        }
    }

    /// The side that asked for the connection, if that was seen: by its SYN, or by the other's SYN with ACK.
    pub fn client(&self) -> Option<Side> {
        let asked = |&side: &Side| self.facts[side].has(Facts::SYN);
        let accepted = |&side: &Side| self.facts[side].has(Facts::SYN_ACK);
        let only = |holds: &dyn Fn(&Side) -> bool| match Side::BOTH.map(|side| holds(&side)) {
            [true, false] => Some(Side::A),
            [false, true] => Some(Side::B),
            [true, true] | [false, false] => None,
        };
        only(&asked).or_else(|| only(&accepted).map(Side::other))
    }

    /// How long the server took for its first payload, if the handshake was seen.
    pub fn first_answer(&self) -> Option<FirstAnswer> {
        let client = self.client()?;
        let server = client.other();
        if !self.facts[server].has(Facts::SYN_ACK) {
            return None;
        }
        let answered = self.first_data[server]?;
        let asked = self.first_data[client].filter(|&asked| asked <= answered);
        let since = asked.or(self.first_ack[client])?;
        let server_ns = answered.since(since);
        (server_ns >= 0).then_some(FirstAnswer {
            is_greeting: asked.is_none(),
            server_ns,
        })
    }

    /// The round trips of the handshake, if it was seen and nothing in it was sent twice: then no one can say which
    /// copy was answered (RFC 6298 §3, Karn's algorithm).
    pub fn handshake(&self) -> Option<Handshake> {
        let client = self.client()?;
        let server = client.other();
        if self.syns != PerSide::new(1, 1) || !self.facts[server].has(Facts::SYN_ACK) {
            return None;
        }
        let accepted = self.opening[server]?.time;
        let server_ns = accepted.since(self.opening[client]?.time);
        let client_ns = self.first_ack[client].map(|time| time.since(accepted));
        (server_ns >= 0).then_some(Handshake {
            client,
            server_ns,
            client_ns: client_ns.filter(|&ns| ns >= 0),
        })
    }

    /// Both ways of the handshake together, in microseconds.
    pub(super) fn round_trip_micros(&self) -> Option<u32> {
        let handshake = self.handshake()?;
        let nanos = handshake.server_ns.checked_add(handshake.client_ns?)?;
        u32::try_from(nanos / 1000).ok()
    }
}

/// What the first answer of a server took beyond the way to it, as seen from the capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FirstAnswer {
    /// The server speaks first: its greeting, after the client's acknowledgment; else its answer, after the client's first
    /// payload.
    pub is_greeting: bool,
    /// In nanoseconds.
    pub server_ns: i64,
}

fn earliest<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// The state of a TCP connection, as far as the capture shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TcpState {
    /// A SYN that nobody answers.
    Attempted,
    /// A RST answers the SYN.
    Refused,
    /// Opened, and not seen to end.
    Established,
    /// Each side that was seen sent FIN.
    Closed,
    /// Broken by a RST.
    Reset,
    /// The opening was not seen.
    Midstream,
}

/// How a connection was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opened {
    /// No SYN of any kind.
    Unseen,
    /// SYN, and no sign that it was answered by anything but RST.
    Asked,
    /// SYN with ACK; or SYN and an acknowledgment of either side, which proves the answer.
    Answered,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// A side sent RST and nothing else; the other, if seen, did not.
    Refused,
    /// FIN of each side that was seen.
    Closed,
    /// RST.
    Reset,
    /// Not seen to end.
    Open,
}

/// The state of a connection: a pure function of the facts, whatever their order.
pub fn state(tracker: &TcpTracker) -> TcpState {
    match (opened(tracker.facts), ended(tracker.facts)) {
        (Opened::Unseen, Ended::Refused) if is_lone_refusal(tracker.facts) => TcpState::Refused,
        (Opened::Unseen, _) => TcpState::Midstream,
        (Opened::Asked, Ended::Refused) => TcpState::Refused,
        (Opened::Asked, Ended::Closed | Ended::Reset | Ended::Open) => TcpState::Attempted,
        (Opened::Answered, Ended::Closed) => TcpState::Closed,
        (Opened::Answered, Ended::Reset) => TcpState::Reset,
        // the side that only resets was missed when it accepted: the other acknowledged it
        (Opened::Answered, Ended::Refused) => TcpState::Reset,
        (Opened::Answered, Ended::Open) => TcpState::Established,
    }
}

fn opened(facts: PerSide<Facts>) -> Opened {
    let all = facts.a.with(facts.b);
    match (
        all.has(Facts::SYN),
        all.has(Facts::SYN_ACK),
        all.has(Facts::ACK),
    ) {
        (false, false, _) => Opened::Unseen,
        (true, false, false) => Opened::Asked,
        (_, true, _) | (true, false, true) => Opened::Answered,
    }
}

fn ended(facts: PerSide<Facts>) -> Ended {
    let only_resets = Side::BOTH.map(|side| facts[side].is_only_reset());
    let says_fin = Side::BOTH.map(|side| facts[side].is_empty() || facts[side].has(Facts::FIN));
    let all = facts.a.with(facts.b);
    match (only_resets, says_fin) {
        ([true, false] | [false, true], _) => Ended::Refused,
        (_, [true, true]) if all.has(Facts::FIN) => Ended::Closed,
        _ if all.has(Facts::RST) => Ended::Reset,
        _ => Ended::Open,
    }
}

/// Whether refusals of one side are all that was captured.
fn is_lone_refusal(facts: PerSide<Facts>) -> bool {
    facts.a.with(facts.b) == Facts::REFUSAL
}

#[cfg(test)]
#[path = "tcp_tests.rs"]
mod tests;
