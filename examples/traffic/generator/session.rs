//! A conversation as a script, and its packets one by one.

use std::io;
use std::rc::Rc;

use super::random::Random;
use super::wire::{ACK, End, FIN, PSH, RST, SYN, Segment, Wire};

/// Payload of a full segment.
const SEGMENT: usize = 1440;
/// Longest TLS record (RFC 8446 §5.1) and its header.
const RECORD: usize = (1 << 14) + 5;
/// How long data waits for an acknowledgment that travels alone, microseconds.
const DELAYED: u64 = 40_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client = 0,
    Server = 1,
}
use Side::{Client, Server};

impl Side {
    fn other(self) -> Self {
        match self {
            Client => Server,
            Server => Client,
        }
    }
}

/// Bytes of one message: known ones, then noise.
#[derive(Clone, Debug, Default)]
pub(crate) struct Payload {
    pub(crate) head: Rc<[u8]>,
    tail: usize,
    /// Whether it is all TLS records of application data.
    records: bool,
}

impl Payload {
    pub(crate) fn len(&self) -> usize {
        self.head.len() + self.tail
    }

    /// Writes the headers of TLS records into `bytes`, which start at `offset`.
    pub(crate) fn frame_records(&self, offset: usize, bytes: &mut [u8]) {
        if !self.records {
            return;
        }
        for record in offset / RECORD..=(offset + bytes.len()) / RECORD {
            let start = record * RECORD;
            let rest = self.len().saturating_sub(start).min(RECORD);
            let [high, low] = (rest.saturating_sub(5) as u16).to_be_bytes();
            for (number, byte) in [23, 3, 3, high, low].into_iter().enumerate() {
                let at = (start + number).checked_sub(offset);
                if let Some(place) = at.and_then(|at| bytes.get_mut(at)) {
                    *place = byte;
                }
            }
        }
    }
}

/// One message of a script.
#[derive(Clone, Debug)]
struct Step {
    from: Side,
    /// Microseconds before it, beyond those of the network.
    wait: u64,
    payload: Payload,
}

/// How a TCP connection goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Closed by this side.
    Closed(Side),
    /// Reset by this side after its last message.
    Reset(Side),
    /// Still open when the script ends.
    Open,
    /// The SYN is answered by a reset.
    Refused,
    /// The SYN is not answered, thrice.
    Ignored,
    /// The SYN is not answered, and not repeated.
    Once,
    /// It was open before the capture began: neither the handshake nor the first half of the script is seen.
    Older,
}

/// What the network between the ends does, in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    pub(crate) round_trip: u64,
    /// Between full segments.
    pub(crate) gap: u64,
    /// Segments sent again, of 10,000.
    pub(crate) lost: usize,
}

impl Path {
    /// A switched gigabit network.
    pub(crate) const LOCAL: Self = Self {
        round_trip: 350,
        gap: 13,
        lost: 2,
    };
    /// The same, without any loss.
    pub(crate) const LOSSLESS: Self = Self {
        lost: 0,
        ..Self::LOCAL
    };
    /// The Internet access of an office.
    pub(crate) const INTERNET: Self = Self {
        round_trip: 18_000,
        gap: 130,
        lost: 30,
    };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Syn(u8),
    SynAck,
    Opened,
    Data,
    Acknowledge(Side),
    Fin(Side),
    LastFin(Side),
    LastAck(Side),
    Reset(Side),
}

#[derive(Debug)]
struct Tcp {
    path: Path,
    fate: Fate,
    phase: Phase,
    sequence: [u32; 2],
    unacknowledged: u8,
    /// Wait after the acknowledgment that comes first.
    after: u64,
}

/// Two directions of media, a packet each in turn.
#[derive(Debug)]
struct Media {
    header: [u8; 2],
    number: u16,
    clock: u32,
    sources: [u32; 2],
    bytes: usize,
    ticks: u32,
    period: u64,
    left: u32,
    turn: Side,
}

#[derive(Debug)]
enum Manner {
    Tcp(Tcp),
    Udp,
    Media(Media),
    Raw,
}

/// A flow of the capture.
#[derive(Debug)]
pub(crate) struct Session {
    /// Which application it belongs to.
    pub(crate) name: &'static str,
    /// Microseconds after the arrival that it is part of.
    pub(crate) start: u64,
    ends: [End; 2],
    vlan: Option<u16>,
    steps: Vec<Step>,
    at: usize,
    offset: usize,
    manner: Manner,
}

impl Session {
    fn new(name: &'static str, client: End, server: End, manner: Manner) -> Self {
        Self {
            name,
            start: 0,
            ends: [client, server],
            vlan: None,
            steps: Vec::new(),
            at: 0,
            offset: 0,
            manner,
        }
    }

    pub(crate) fn tcp(
        name: &'static str,
        (client, server): (End, End),
        path: Path,
        random: &mut Random,
    ) -> Self {
        let tcp = Tcp {
            path,
            fate: Fate::Closed(Client),
            phase: Phase::Syn(0),
            sequence: [random.word(), random.word()],
            unacknowledged: 0,
            after: 0,
        };
        Self::new(name, client, server, Manner::Tcp(tcp))
    }

    pub(crate) fn udp(name: &'static str, (client, server): (End, End)) -> Self {
        Self::new(name, client, server, Manner::Udp)
    }

    /// Frames without IP; each message is one, with its Ethernet header.
    pub(crate) fn raw(name: &'static str, end: End) -> Self {
        Self::new(name, end, end, Manner::Raw)
    }

    /// RTP both ways: `payload_type`, bytes and clock ticks of a packet, its microseconds, and packets of both together.
    pub(crate) fn media(
        (client, server): (End, End),
        random: &mut Random,
        payload_type: u8,
        (bytes, ticks, period): (usize, u32, u64),
        left: u32,
    ) -> Self {
        let media = Media {
            header: [0x80, payload_type],
            number: random.short(),
            clock: random.word(),
            sources: [random.word(), random.word()],
            bytes,
            ticks,
            period,
            left,
            turn: Client,
        };
        Self::new("rtp", client, server, Manner::Media(media))
    }

    pub(crate) fn starting(mut self, start: u64) -> Self {
        self.start = start;
        self
    }

    pub(crate) fn tagged(mut self, vlan: u16) -> Self {
        self.vlan = Some(vlan);
        self
    }

    pub(crate) fn ending(mut self, ending: Fate) -> Self {
        if let Manner::Tcp(tcp) = &mut self.manner {
            tcp.fate = ending;
            if ending == Fate::Older {
                tcp.phase = Phase::Data;
                self.at = self.steps.len() / 2;
            }
        }
        self
    }

    /// A message: bytes, then `tail` bytes of noise.
    pub(crate) fn say(&mut self, from: Side, head: impl Into<Rc<[u8]>>, tail: usize) -> &mut Self {
        let payload = Payload {
            head: head.into(),
            tail,
            records: false,
        };
        self.steps.push(Step {
            from,
            wait: 0,
            payload,
        });
        self
    }

    pub(crate) fn client(&mut self, bytes: impl Into<Rc<[u8]>>) -> &mut Self {
        self.say(Client, bytes, 0)
    }

    pub(crate) fn server(&mut self, bytes: impl Into<Rc<[u8]>>) -> &mut Self {
        self.say(Server, bytes, 0)
    }

    /// TLS records of application data, `length` bytes with their headers.
    pub(crate) fn sealed(&mut self, from: Side, length: usize) -> &mut Self {
        let payload = Payload {
            head: Rc::default(),
            // The last record is not shorter than its header and tag.
            tail: length.max(30) + if length % RECORD < 30 { 30 } else { 0 },
            records: true,
        };
        self.steps.push(Step {
            from,
            wait: 0,
            payload,
        });
        self
    }

    /// Makes the last message wait so many microseconds.
    pub(crate) fn after(&mut self, wait: u64) -> &mut Self {
        if let Some(step) = self.steps.last_mut() {
            step.wait = wait;
        }
        self
    }

    /// Writes the next packet; after how many microseconds another one follows.
    pub(crate) fn next(
        &mut self,
        now: u64,
        wire: &mut Wire<'_>,
        random: &mut Random,
    ) -> io::Result<Option<u64>> {
        match &mut self.manner {
            Manner::Tcp(_) => self.next_segment(now, wire, random),
            Manner::Media(media) => {
                let Some(left) = media.left.checked_sub(1) else {
                    return Ok(None);
                };
                media.left = left;
                let mut head = media.header.to_vec();
                head.extend(media.number.to_be_bytes());
                head.extend(media.clock.to_be_bytes());
                head.extend(media.sources[media.turn as usize].to_be_bytes());
                let payload = Payload {
                    head: head.into(),
                    tail: media.bytes,
                    records: false,
                };
                let ends = self.ends.each_ref();
                let ends = match media.turn {
                    Client => (ends[0], ends[1]),
                    Server => (ends[1], ends[0]),
                };
                if media.turn == Server {
                    media.number = media.number.wrapping_add(1);
                    media.clock = media.clock.wrapping_add(media.ticks);
                }
                media.turn = media.turn.other();
                let wait = media.period / 2 - 300 + random.below(600) as u64;
                wire.udp(now, self.vlan, ends, &payload)?;
                Ok((left > 0).then_some(wait))
            }
            Manner::Udp | Manner::Raw => {
                let Some(step) = self.steps.get(self.at) else {
                    return Ok(None);
                };
                if matches!(self.manner, Manner::Raw) {
                    wire.raw(now, &step.payload.head)?;
                } else {
                    let [client, server] = &self.ends;
                    let ends = match step.from {
                        Client => (client, server),
                        Server => (server, client),
                    };
                    wire.udp(now, self.vlan, ends, &step.payload)?;
                }
                self.at += 1;
                Ok(self.steps.get(self.at).map(|next| next.wait.max(10)))
            }
        }
    }

    fn next_segment(
        &mut self,
        now: u64,
        wire: &mut Wire<'_>,
        random: &mut Random,
    ) -> io::Result<Option<u64>> {
        let Manner::Tcp(tcp) = &mut self.manner else {
            return Ok(None);
        };
        let empty = Payload::default();
        let mut send = |tcp: &mut Tcp, from: Side, flags: u8, payload: &Payload, offset, length| {
            let ends = self.ends.each_ref();
            let ends = match from {
                Client => (ends[0], ends[1]),
                Server => (ends[1], ends[0]),
            };
            let segment = Segment {
                flags,
                sequence: tcp.sequence[from as usize],
                acknowledgment: if flags & ACK == 0 {
                    0
                } else {
                    tcp.sequence[from.other() as usize]
                },
            };
            let taken = length as u32 + u32::from(flags & (SYN | FIN) != 0);
            tcp.sequence[from as usize] = segment.sequence.wrapping_add(taken);
            wire.tcp(now, self.vlan, ends, &segment, (payload, offset, length))
        };
        let trip = tcp.path.round_trip / 2;
        let wait = match tcp.phase {
            Phase::Syn(tries) => {
                send(tcp, Client, SYN, &empty, 0, 0)?;
                match tcp.fate {
                    Fate::Refused => {
                        tcp.phase = Phase::Reset(Server);
                        trip
                    }
                    Fate::Once => return Ok(None),
                    Fate::Ignored if tries == 2 => return Ok(None),
                    Fate::Ignored => {
                        tcp.sequence[0] = tcp.sequence[0].wrapping_sub(1);
                        tcp.phase = Phase::Syn(tries + 1);
                        1_000_000 << tries
                    }
                    _ => {
                        tcp.phase = Phase::SynAck;
                        trip
                    }
                }
            }
            Phase::SynAck => {
                send(tcp, Server, SYN | ACK, &empty, 0, 0)?;
                tcp.phase = Phase::Opened;
                trip
            }
            Phase::Opened => {
                send(tcp, Client, ACK, &empty, 0, 0)?;
                let Some(first) = self.steps.first() else {
                    return Ok(finish(tcp).map(|wait| wait + trip));
                };
                tcp.phase = Phase::Data;
                first.wait + if first.from == Client { 60 } else { trip }
            }
            Phase::Data => {
                let Some(step) = self.steps.get(self.at) else {
                    return Ok(None);
                };
                let length = (step.payload.len() - self.offset).min(SEGMENT);
                let ends = self.offset + length == step.payload.len();
                let push = if ends { PSH } else { 0 };
                let sequence = tcp.sequence[step.from as usize];
                send(
                    tcp,
                    step.from,
                    ACK | push,
                    &step.payload,
                    self.offset,
                    length,
                )?;
                if random.below(10_000) < tcp.path.lost {
                    // It is lost behind the tap, and sent again.
                    tcp.sequence[step.from as usize] = sequence;
                    return Ok(Some(tcp.path.round_trip * 2));
                }
                tcp.unacknowledged += 1;
                let from = step.from;
                let pause = if ends {
                    self.at += 1;
                    self.offset = 0;
                    match self.steps.get(self.at) {
                        Some(next) if next.from == from => next.wait + tcp.path.gap,
                        Some(next) => {
                            if next.wait < DELAYED {
                                tcp.unacknowledged = 0;
                            }
                            next.wait + trip
                        }
                        None => {
                            tcp.phase = Phase::Acknowledge(from.other());
                            return Ok(Some(trip));
                        }
                    }
                } else {
                    self.offset += length;
                    tcp.path.gap
                };
                if tcp.unacknowledged >= 2 || (tcp.unacknowledged > 0 && pause >= DELAYED) {
                    tcp.phase = Phase::Acknowledge(from.other());
                    let late = if pause >= DELAYED { DELAYED } else { pause / 2 };
                    tcp.after = pause - late;
                    late
                } else {
                    pause
                }
            }
            Phase::Acknowledge(by) => {
                send(tcp, by, ACK, &empty, 0, 0)?;
                tcp.unacknowledged = 0;
                if self.at == self.steps.len() {
                    return Ok(finish(tcp));
                }
                tcp.phase = Phase::Data;
                tcp.after
            }
            Phase::Fin(side) => {
                send(tcp, side, FIN | ACK, &empty, 0, 0)?;
                tcp.phase = Phase::LastFin(side.other());
                trip + 50
            }
            Phase::LastFin(side) => {
                send(tcp, side, FIN | ACK, &empty, 0, 0)?;
                tcp.phase = Phase::LastAck(side.other());
                trip
            }
            Phase::LastAck(side) => {
                send(tcp, side, ACK, &empty, 0, 0)?;
                return Ok(None);
            }
            Phase::Reset(side) => {
                if tcp.fate == Fate::Refused {
                    tcp.sequence[1] = 0;
                }
                send(tcp, side, RST | ACK, &empty, 0, 0)?;
                return Ok(None);
            }
        };
        Ok(Some(wait))
    }
}

/// What follows the last acknowledgment.
fn finish(tcp: &mut Tcp) -> Option<u64> {
    tcp.phase = match tcp.fate {
        Fate::Closed(side) => Phase::Fin(side),
        Fate::Reset(side) => Phase::Reset(side),
        Fate::Open | Fate::Older | Fate::Refused | Fate::Ignored | Fate::Once => return None,
    };
    Some(2000)
}
