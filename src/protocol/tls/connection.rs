//! One connection: records of both directions, and what their order shows.

use super::handshake::{self, Exchange, Handshake};
use super::hello::{self, Ssl2, Version};
use super::probe::{Look, look};
use super::record::{Content, PSEUDO_CLIENT, PSEUDO_SERVER, Record, alert, pseudo};
use super::{
    ALERT, APPLICATION_DATA, CLIENT_VERSION, ESTABLISHED, PSEUDO, RESUMED, SERVER_VERSION,
};
use crate::bytes::{Cursor, Short};
use crate::evidence::Notes;
use crate::net::{PerSide, Side};
use crate::protocol::{Next, Reject, Step, StreamDecoder};

/// A Finished message of TLS 1.3 under encryption: 4 + 32 + 1 + 16 bytes. Alerts are shorter.
const LEAST_FINISHED: u16 = 53;

/// One connection.
#[derive(Debug, Default)]
pub(super) struct Connection {
    phase: Phase,
    pub(super) exchange: Exchange,
    established: bool,
    pub(super) sides: PerSide<Half>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Phase {
    /// Nothing was read.
    #[default]
    Start,
    /// The handshake, or what the capture has of it.
    Handshake,
    /// The imitation: what follows is something else.
    Pseudo,
    /// SSL 2.0: the server's hello is the last that can be read.
    Ssl2,
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Half {
    /// It sent records before.
    seen: bool,
    pub(super) handshake: Handshake,
    /// After ChangeCipherSpec up to TLS 1.2.
    encrypted: bool,
    /// It sent its Finished.
    finished: bool,
    /// It was looked at before the first record was whole.
    peeked: bool,
}

impl StreamDecoder for Connection {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let mut used: usize = 0;
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            if rest.is_empty() {
                return Step::Consumed;
            }
            match self.record(side, rest, notes) {
                Ok(Progress::Record(length)) => used = used.saturating_add(length),
                Ok(Progress::More(at_least)) => {
                    return Step::NeedMore {
                        consumed: used,
                        at_least,
                    };
                }
                Ok(Progress::Pass(length)) => {
                    return Step::Skip {
                        consumed: used,
                        bytes: length as u64,
                    };
                }
                Ok(Progress::Handover(length)) => {
                    return Step::Handover {
                        consumed: used.saturating_add(length),
                        next: Next::Probe,
                    };
                }
                Ok(Progress::Done) => return Step::Done,
                Err(reject) => return Step::Reject(reject),
            }
        }
    }

    fn resume(&mut self, side: Side, bytes: &[u8]) -> Option<usize> {
        let half = &mut self.sides[side];
        half.handshake = Handshake::default();
        // A certificate may have been in the gap: a resumption cannot be told any more.
        self.exchange.full = true;
        (look(bytes) == Look::Sure).then_some(0)
    }

    fn held_bytes(&self) -> usize {
        let waiting = self
            .sides
            .iter()
            .map(|(_, half)| half.handshake.held_bytes());
        waiting.fold(size_of_val(self), usize::saturating_add)
    }
}

/// What became of a record.
enum Progress {
    /// So many bytes were read.
    Record(usize),
    /// So many bytes are needed.
    More(usize),
    /// So many bytes are of no interest.
    Pass(usize),
    /// So many bytes were read, then comes something else.
    Handover(usize),
    /// Nothing more can be seen.
    Done,
}

impl Connection {
    fn record(
        &mut self,
        side: Side,
        bytes: &[u8],
        notes: &mut Notes<'_>,
    ) -> Result<Progress, Reject> {
        match self.phase {
            Phase::Start | Phase::Ssl2 => match hello::ssl2(bytes) {
                Ok(Some((hello, length))) => return Ok(self.ssl2(side, hello, length, notes)),
                Err(short) if bytes.first().is_some_and(|byte| byte & 0x80 != 0) => {
                    return Ok(Progress::More(bytes.len().saturating_add(short.missing)));
                }
                _ => {}
            },
            // The server's message may not be in the capture.
            Phase::Pseudo if pseudo(bytes).is_none() && self.exchange.client == Some(side) => {
                return Ok(Progress::Handover(0));
            }
            Phase::Pseudo | Phase::Handshake => {}
        }
        let mut cursor = Cursor::new(bytes);
        let record = match Record::parse(&mut cursor) {
            Err(Reject::Short(_)) => return Ok(Progress::More(Record::HEADER)),
            other => other?,
        };
        let body = cursor.rest().get(..usize::from(record.length));
        let encrypted = self.sides[side].encrypted;
        match (record.content, body) {
            (Content::HANDSHAKE, None) if !encrypted => {
                self.peek(side, record, cursor.rest(), notes);
                Ok(Progress::More(record.total()))
            }
            (Content::HANDSHAKE, Some(body)) if !encrypted => {
                if let Some(client) = pseudo(bytes) {
                    return Ok(self.pseudo(side, client, record, notes));
                }
                notes.proved();
                self.phase = Phase::Handshake;
                self.sides[side].seen = true;
                self.handshake(side, body, notes)?;
                Ok(Progress::Record(record.total()))
            }
            (Content::CHANGE_CIPHER_SPEC | Content::ALERT, None) if record.length <= 2 => {
                Ok(Progress::More(record.total()))
            }
            (Content::ALERT, Some(body)) if !encrypted && record.length == 2 => {
                let (level, description) =
                    alert(record, body).ok_or(Reject::Invalid("alert level"))?;
                notes.proved();
                notes.text(ALERT, &format!("{level} {description}"));
                self.phase = Phase::Handshake;
                self.sides[side].seen = true;
                if level == "fatal" {
                    return Ok(Progress::Done);
                }
                Ok(Progress::Record(record.total()))
            }
            (Content::CHANGE_CIPHER_SPEC, Some(&[1])) => {
                notes.proved();
                self.change_cipher(side, notes);
                Ok(Progress::Record(record.total()))
            }
            (Content::CHANGE_CIPHER_SPEC, _) => Err(Reject::Invalid("change cipher spec")),
            _ => Ok(self.opaque(side, record, notes)),
        }
    }

    /// An SSL 2.0 hello. A client that knows more is answered in records.
    fn ssl2(&mut self, side: Side, hello: Ssl2, length: usize, notes: &mut Notes<'_>) -> Progress {
        notes.proved();
        match hello {
            Ssl2::Client(version) => {
                self.exchange.client = Some(side);
                notes.client(side);
                notes.text(CLIENT_VERSION, version.name().unwrap_or_default());
                self.phase = Phase::Ssl2;
                self.sides[side].seen = true;
                Progress::Record(length)
            }
            Ssl2::Server => {
                notes.client(side.other());
                notes.text(SERVER_VERSION, Version::SSL2.name().unwrap_or_default());
                Progress::Done
            }
        }
    }

    /// The imitation. The server's message ends it.
    fn pseudo(
        &mut self,
        side: Side,
        client: bool,
        record: Record,
        notes: &mut Notes<'_>,
    ) -> Progress {
        notes.proved();
        notes.number(PSEUDO, 1);
        self.phase = Phase::Pseudo;
        let (sender, progress) = if client {
            (side, Progress::Record(record.total()))
        } else {
            (side.other(), Progress::Handover(record.total()))
        };
        notes.client(sender);
        self.exchange.client = Some(sender);
        progress
    }

    /// The first record of a side is not whole yet, and may never be: says what its beginning proves.
    fn peek(&mut self, side: Side, record: Record, body: &[u8], notes: &mut Notes<'_>) {
        let half = &mut self.sides[side];
        if half.seen || half.peeked || body.len() < 4 {
            return;
        }
        half.peeked = true;
        if !handshake::begins_with_hello(record.length, Cursor::new(body)) {
            return;
        }
        notes.proved();
        if PSEUDO_CLIENT.get(Record::HEADER..) == body.get(..6)
            || PSEUDO_SERVER.get(Record::HEADER..) == body.get(..6)
        {
            return;
        }
        let cut = handshake::Message::cut(body);
        let _cut: Result<(), Short> = self.exchange.message(side, cut, notes);
    }

    fn change_cipher(&mut self, side: Side, notes: &mut Notes<'_>) {
        self.phase = Phase::Handshake;
        self.sides[side].seen = true;
        // In TLS 1.3 it only pleases middleboxes, and hellos in clear may follow.
        if self.exchange.retry || self.exchange.version >= Some(Version::TLS13) {
            return;
        }
        self.sides[side].encrypted = true;
        let server = self.exchange.client == Some(side.other());
        if server && self.exchange.version.is_some() && !self.exchange.full {
            notes.number(RESUMED, 1);
        }
    }

    /// A record that cannot be read: what its place in the stream shows.
    fn opaque(&mut self, side: Side, record: Record, notes: &mut Notes<'_>) -> Progress {
        notes.proved();
        let modern = self.exchange.version >= Some(Version::TLS13);
        let unread = self.phase == Phase::Start;
        self.phase = Phase::Handshake;
        let alone = !self.sides[side.other()].seen;
        let half = &mut self.sides[side];
        half.seen = true;
        match record.content {
            Content::HANDSHAKE => half.finished = true,
            Content::APPLICATION_DATA if modern => {
                half.finished |=
                    self.exchange.client != Some(side) || record.length >= LEAST_FINISHED;
            }
            Content::APPLICATION_DATA if unread || half.encrypted => {
                // Before its own ChangeCipherSpec a side sends data only in early data of TLS 1.3, or where the
                // handshake is not in the capture.
                notes.number(APPLICATION_DATA, 1);
                if unread || alone || self.both_finished() {
                    self.establish(notes);
                    return Progress::Done;
                }
            }
            Content::ALERT if !self.both_finished() && !unread => notes.text(ALERT, "encrypted"),
            _ => {}
        }
        if self.both_finished() {
            self.establish(notes);
            if modern {
                return Progress::Done;
            }
        }
        Progress::Pass(record.total())
    }

    fn establish(&mut self, notes: &mut Notes<'_>) {
        if !std::mem::replace(&mut self.established, true) {
            notes.number(ESTABLISHED, 1);
        }
    }

    fn both_finished(&self) -> bool {
        self.sides.iter().all(|(_, half)| half.finished)
    }
}
