//! What a decoder sees of the recorder: notes of one message, which count once the message is accepted.

use super::{Moment, Note, Recorder, Seen};
use crate::evidence::fact::ValueRef;
use crate::evidence::{
    Attribute, Fact, Layer, Offer, Offered, Reports, RtpStream, StreamKey, Value,
};
use crate::net::{Endpoint, Side, Transport};

/// What a decoder may say about the flow it reads.
#[derive(Debug)]
pub struct Notes<'a> {
    recorder: &'a mut Recorder,
    moment: Moment,
    protocol: &'static str,
    depth: u8,
    part: u64,
    subject: u64,
}

impl Recorder {
    /// A view for the decoder of `protocol`, which lies `depth` protocols above the transport.
    pub fn notes(&mut self, moment: Moment, protocol: &'static str, depth: u8) -> Notes<'_> {
        Notes {
            recorder: self,
            moment,
            protocol,
            depth,
            part: 0,
            subject: 0,
        }
    }
}

impl Notes<'_> {
    const fn seen(&self) -> Seen {
        self.moment.seen()
    }

    /// The packet that is read.
    pub const fn moment(&self) -> Moment {
        self.moment
    }

    /// The side that sent it.
    pub const fn side(&self) -> Side {
        self.moment.side
    }

    /// The endpoint that sent it.
    pub const fn sender(&self) -> Endpoint {
        self.moment.key.endpoint(self.moment.side)
    }

    /// The endpoint that it was sent to.
    pub const fn receiver(&self) -> Endpoint {
        self.moment.key.endpoint(self.moment.side.other())
    }

    /// The bytes prove the decoder's protocol.
    pub fn proved(&mut self) {
        let (protocol, depth) = (self.protocol, self.depth);
        let layer = Layer {
            depth,
            seen: self.seen(),
        };
        let known = self
            .recorder
            .protocols
            .get(&protocol, |&name| name == protocol);
        if known.is_none_or(|least| layer < least) {
            self.recorder.note(Note::Proved { protocol, depth });
        }
    }

    /// Notes of `protocol`, which the decoder's protocol carries (SDP in SIP, TLS in QUIC): in its name, one level deeper,
    /// about the same subject. They are kept or forgotten together with these.
    pub fn inside(&mut self, protocol: &'static str) -> Notes<'_> {
        Notes {
            recorder: self.recorder,
            moment: self.moment,
            protocol,
            depth: self.depth.saturating_add(1),
            part: self.part,
            subject: self.subject,
        }
    }

    /// The same notes for one of several like connections inside this one (named pipes of SMB), numbered from 1: their
    /// subjects, below 2^32, stay apart, because the number stands above them.
    pub fn part(&mut self, number: u32) -> Notes<'_> {
        let part = u64::from(number) << 32;
        Notes {
            recorder: self.recorder,
            moment: self.moment,
            protocol: self.protocol,
            depth: self.depth,
            part,
            subject: part,
        }
    }

    /// The bytes show that `side` is the client.
    pub fn client(&mut self, side: Side) {
        if self.recorder.client.is_none() {
            self.recorder.note(Note::Client(side));
        }
    }

    /// What the following facts are about (see [`Fact::subject`]).
    pub const fn about(&mut self, subject: u64) {
        self.subject = self.part | subject;
    }

    /// Notes a number.
    pub fn number(&mut self, name: &'static str, number: u64) {
        self.value(name, Value::Number(number));
    }

    /// Notes a text; empty texts say nothing and are not kept.
    pub fn text(&mut self, name: &'static str, text: &str) {
        let attribute = self.attribute(name);
        let is_known = Value::is_kept_as_it_is(text) && self.knows(attribute, ValueRef::Text(text));
        if !text.is_empty() && !is_known {
            self.carried(attribute, Value::text(text));
        }
    }

    /// Notes a text of bytes that may not be UTF-8.
    pub fn bytes(&mut self, name: &'static str, bytes: &[u8]) {
        self.text(name, &String::from_utf8_lossy(bytes));
    }

    /// Notes any value.
    pub fn value(&mut self, name: &'static str, value: Value) {
        self.carried(self.attribute(name), value);
    }

    /// Notes a value of a protocol that is carried inside this one (SDP in SIP, NTLM in SMTP), under its own name.
    pub fn carried(&mut self, attribute: Attribute, value: Value) {
        if self.knows(attribute, ValueRef::from(&value)) {
            return;
        }
        let fact = Fact {
            attribute,
            subject: self.subject,
            value,
            side: self.moment.side,
        };
        self.recorder.note(Note::Fact(fact));
    }

    const fn attribute(&self, name: &'static str) -> Attribute {
        Attribute {
            protocol: self.protocol,
            name,
        }
    }

    /// Whether the recorder knows a value from an earlier packet. Then there is nothing to note, whether the message is
    /// accepted or not.
    fn knows(&self, attribute: Attribute, value: ValueRef<'_>) -> bool {
        let fact = (attribute, self.subject, value, self.moment.side);
        self.recorder.knows(fact, self.seen())
    }

    /// Announces that `endpoint` will serve `offered`.
    pub fn offer(&mut self, transport: Transport, endpoint: Endpoint, offered: Offered) {
        let (by, to) = (self.sender().address, self.receiver().address);
        self.recorder.note(Note::Offer(Offer {
            transport,
            endpoint,
            by,
            to,
            offered,
        }));
    }

    /// The measurement of a stream, to be updated in place; made by `start` at its first packet. Not held back.
    pub fn stream(&mut self, key: StreamKey, start: impl FnOnce() -> RtpStream) -> &mut RtpStream {
        self.recorder.streams.entry(key).or_insert_with(start)
    }

    /// What RTCP says of a stream, to be updated in place. `None`, and counted, where the flow has no room for another.
    /// Not held back.
    pub fn reports(&mut self, key: StreamKey) -> Option<&mut Reports> {
        let reports = &mut self.recorder.reports;
        if reports.len() >= Recorder::MAX_REPORTS && !reports.contains_key(&key) {
            self.recorder.left_out = self.recorder.left_out.saturating_add(1);
            return None;
        }
        Some(reports.entry(key).or_default())
    }

    /// Streams measured in this flow so far.
    pub fn streams(&self) -> usize {
        self.recorder.streams.len()
    }

    /// Keeps what was noted since the last commit or discard.
    pub fn commit(&mut self) {
        if self.recorder.journal.is_empty() {
            return;
        }
        let seen = self.seen();
        let mut journal = std::mem::take(&mut self.recorder.journal);
        self.recorder.make_room(&journal);
        for note in journal.drain(..) {
            match note {
                Note::Proved { protocol, depth } => {
                    self.recorder
                        .protocols
                        .insert(protocol, Layer { depth, seen });
                }
                Note::Fact(fact) => self.recorder.fact(fact, seen),
                Note::Offer(offer) => self.recorder.offer(offer, seen),
                Note::Client(side) => {
                    self.recorder.client.get_or_insert(side);
                }
            }
        }
        Recorder::keep(journal);
    }

    /// Forgets what was noted since the last commit.
    pub fn discard(&mut self) {
        if self.recorder.journal.is_empty() {
            return;
        }
        let mut journal = std::mem::take(&mut self.recorder.journal);
        journal.clear();
        Recorder::keep(journal);
    }
}
