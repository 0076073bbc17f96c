//! Writing of facts: [`Notes`] is what a decoder sees, [`Recorder`] what is kept for one flow.
//!
//! Notes of one message are held back until the message is accepted ([`Notes::commit`]), so that a rejected message
//! leaves no trace.

mod notes;
mod weight;

pub use notes::Notes;

use std::cell::Cell;
use std::collections::BTreeMap;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use weight::{fact_bytes, offer_bytes};

use super::fact::{FactParts, ValueRef};
use super::{
    Attribute, Episode, Fact, Layer, Least, Offer, Peek, Reports, RtpStream, StreamKey, Value,
};
use crate::net::{FlowKey, Side, Timestamp};

/// Where in the capture something was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Packet time.
    pub time: Timestamp,
    /// Packet number within its chain of captures, from 1.
    pub frame: u64,
    /// The flow.
    pub key: FlowKey,
    /// The side that sent the packet.
    pub side: Side,
}

impl Moment {
    /// The packet alone.
    pub const fn seen(self) -> Seen {
        Seen {
            time: self.time,
            frame: self.frame,
        }
    }
}

/// First sight of something: packet number and time of the earliest packet that says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Seen {
    /// Packet time: the earliest counts, also across taps that number their packets on their own.
    pub time: Timestamp,
    /// Packet number within its chain of captures, from 1.
    pub frame: u64,
}

/// Everything that decoders said about one flow. Sets with bounds: bounded sets keep the least values, so that the
/// result does not depend on order.
#[derive(Debug, Default)]
pub struct Recorder {
    /// Protocols that the payload proved, with their depth (0 = directly on the transport).
    pub protocols: Least<&'static str, Layer>,
    /// Facts, each with the packet that said it first.
    pub facts: Least<Fact, Seen>,
    /// Offers, each with the packet that made it first.
    pub offers: Least<Offer, Seen>,
    /// RTP streams that were measured.
    pub streams: BTreeMap<StreamKey, RtpStream>,
    /// What RTCP says of streams.
    pub reports: BTreeMap<StreamKey, Reports>,
    /// The side that the protocol showed to be the client.
    pub client: Option<Side>,
    /// Facts and offers that the bounds below left out.
    pub left_out: u64,
    /// Bytes that facts and offers take, about.
    said_bytes: usize,
    /// Values of each attribute, of one subject and of all; none as long as there are too few to count. Bounded like the
    /// facts themselves.
    counts: Option<Box<Counts>>,
    journal: Vec<Note>,
}

type Counts = HashMap<(Attribute, Option<u64>), usize, foldhash::fast::RandomState>;

thread_local! {
    /// The room of the journal that was written last: a thread writes one at a time, and a flow keeps none.
    static SPARE: Cell<Vec<Note>> = const { Cell::new(Vec::new()) };
}

#[derive(Debug)]
enum Note {
    Proved { protocol: &'static str, depth: u8 },
    Fact(Fact),
    Offer(Offer),
    Client(Side),
}

impl Recorder {
    /// Values kept for one attribute of one subject of one flow: enough for every value a person would read, few enough
    /// that a hostile flow costs kilobytes.
    pub const MAX_VALUES: usize = 64;
    /// Values kept for one attribute of one flow over all of its subjects: a SIP trunk carries many calls in one flow.
    pub const MAX_SUBJECT_VALUES: usize = 8192;
    /// Offers kept for one flow: an endpoint mapper of a large server lists some hundreds, a DNS forwarder serves many names.
    pub const MAX_OFFERS: usize = 4096;

    /// Streams of one flow whose reports are kept: as many as are measured of RTP, in each direction.
    pub const MAX_REPORTS: usize = 128;
    /// Notes of one message that the next one finds room for: more than a usual message has. One packet of nothing but notes
    /// would else cost its flow megabytes for as long as it lasts.
    const KEPT_NOTES: usize = 64;

    /// Goes on with what an episode says, and gives its payload back.
    pub fn resume(episode: Episode) -> (Self, Vec<Peek>) {
        let mut recorder = Self {
            protocols: episode.protocols.into(),
            facts: episode.facts.into(),
            offers: episode.offers.into(),
            streams: episode.streams,
            reports: episode.reports,
            client: episode.client,
            left_out: episode.left_out,
            ..Self::default()
        };
        let facts = recorder.facts.iter().map(|(fact, _)| fact_bytes(fact));
        let offers = recorder.offers.iter().map(|(offer, _)| offer_bytes(offer));
        recorder.said_bytes = facts.chain(offers).sum();
        if recorder.facts.len() > Self::MAX_VALUES {
            recorder.counts = Some(Box::new(counts(&recorder.facts)));
        }
        (recorder, episode.payload)
    }

    /// Bytes that it holds, about; takes the same time however much that is.
    pub fn held_bytes(&self) -> usize {
        /// Of a tree's entry beside what it holds, with what its nodes have free.
        const AROUND: usize = 64;
        let streams = self
            .streams
            .len()
            .saturating_mul(size_of::<RtpStream>().saturating_add(AROUND));
        let reports = self
            .reports
            .len()
            .saturating_mul(size_of::<Reports>().saturating_add(AROUND));
        let protocols = self
            .protocols
            .len()
            .saturating_mul(size_of::<(&str, Layer)>());
        let counts = self.counts.as_ref().map_or(0, |counts| counts.len());
        let counts = counts.saturating_mul(size_of::<((Attribute, Option<u64>), usize)>());
        self.said_bytes
            .saturating_add(counts)
            .saturating_add(streams)
            .saturating_add(reports)
            .saturating_add(protocols)
    }

    /// Takes back the protocols that were proven so far: one side alone spoke them, and the other shows that it speaks another.
    /// What was said in them stays.
    pub fn withdraw(&mut self) {
        self.protocols = Least::default();
    }

    fn fact(&mut self, fact: Fact, seen: Seen) {
        let (attribute, subject) = (fact.attribute, fact.subject);
        let bytes = fact_bytes(&fact);
        if !self.facts.insert(fact, seen) {
            return;
        }
        self.said_bytes = self.said_bytes.saturating_add(bytes);
        match &mut self.counts {
            // So few that no attribute can have too many.
            None if self.facts.len() <= Self::MAX_VALUES => return,
            None => self.counts = Some(Box::new(counts(&self.facts))),
            Some(counts) => {
                for subject in [Some(subject), None] {
                    let count = counts.entry((attribute, subject)).or_default();
                    *count = count.saturating_add(1);
                }
            }
        }
        if self.counted(attribute, Some(subject)) > Self::MAX_VALUES {
            self.leave_out(attribute, Some(subject));
        } else if self.counted(attribute, None) > Self::MAX_SUBJECT_VALUES {
            self.leave_out(attribute, None);
        }
    }

    /// Values of an attribute, of one subject or of all.
    fn counted(&self, attribute: Attribute, subject: Option<u64>) -> usize {
        let counts = self.counts.as_ref();
        let count = counts.and_then(|counts| counts.get(&(attribute, subject)));
        count.copied().unwrap_or_default()
    }

    /// Drops the greatest value of an attribute, of one subject or of all.
    fn leave_out(&mut self, attribute: Attribute, subject: Option<u64>) {
        let fact = |subject, value, side| Fact {
            attribute,
            subject,
            value,
            side,
        };
        let first = fact(subject.unwrap_or(0), Value::Number(0), Side::A);
        let last = Value::Time(Timestamp::from_nanos(i64::MAX));
        let last = fact(subject.unwrap_or(u64::MAX), last, Side::B);
        const {
            assert!(
                Least::<Fact, Seen>::FEW <= Self::MAX_VALUES,
                "what is counted lies in order"
            )
        };
        let (Least::Many(facts), Some(counts)) = (&mut self.facts, &mut self.counts) else {
            return;
        };
        let greatest = facts.range(first..=last).next_back();
        let Some(fact) = greatest.map(|(fact, _)| fact.clone()) else {
            return;
        };
        facts.remove(&fact);
        self.said_bytes = self.said_bytes.saturating_sub(fact_bytes(&fact));
        for key in [(attribute, Some(fact.subject)), (attribute, None)] {
            if let Entry::Occupied(mut count) = counts.entry(key) {
                *count.get_mut() = count.get().saturating_sub(1);
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
        self.left_out = self.left_out.saturating_add(1);
    }

    fn make_room(&mut self, journal: &[Note]) {
        let (mut protocols, mut facts, mut offers) = (0_usize, 0_usize, 0_usize);
        for note in journal {
            let count = match note {
                Note::Proved { .. } => &mut protocols,
                Note::Fact(_) => &mut facts,
                Note::Offer(_) => &mut offers,
                Note::Client(_) => continue,
            };
            *count = count.saturating_add(1);
        }
        self.protocols.make_room(protocols);
        self.facts.make_room(facts);
        self.offers.make_room(offers);
    }

    fn note(&mut self, note: Note) {
        if self.journal.capacity() == 0 {
            self.journal = SPARE.take();
        }
        self.journal.push(note);
    }

    /// Keeps the room of an empty journal for the next message of whatever flow, unless it is large.
    fn keep(journal: Vec<Note>) {
        if (1..=Self::KEPT_NOTES).contains(&journal.capacity()) {
            SPARE.set(journal);
        }
    }

    /// Whether a fact is known that was seen before, so that seeing it again says nothing.
    fn knows(&self, fact: (Attribute, u64, ValueRef<'_>, Side), seen: Seen) -> bool {
        let (attribute, subject, value, side) = fact;
        let is_equal = |known: &Fact| {
            // Values differ most often, and tell at once.
            known.subject == subject
                && ValueRef::from(&known.value) == value
                && known.side == side
                && known.attribute == attribute
        };
        let key: &dyn FactParts = &fact;
        self.facts
            .get(key, is_equal)
            .is_some_and(|first| first <= seen)
    }

    fn offer(&mut self, offer: Offer, seen: Seen) {
        let bytes = offer_bytes(&offer);
        if self.offers.insert(offer, seen) {
            self.said_bytes = self.said_bytes.saturating_add(bytes);
        }
        if let Least::Many(offers) = &mut self.offers {
            while offers.len() > Self::MAX_OFFERS
                && let Some((offer, _)) = offers.pop_last()
            {
                self.said_bytes = self.said_bytes.saturating_sub(offer_bytes(&offer));
                self.left_out = self.left_out.saturating_add(1);
            }
        }
    }
}

/// Values of all attributes, of one subject and of all.
fn counts(facts: &Least<Fact, Seen>) -> Counts {
    let mut counts = Counts::default();
    for fact in facts.keys() {
        for subject in [Some(fact.subject), None] {
            let count: &mut usize = counts.entry((fact.attribute, subject)).or_default();
            *count = count.saturating_add(1);
        }
    }
    counts
}
#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Endpoint, Transport};

    fn moment(frame: u64) -> Moment {
        let a = Endpoint::new("10.0.0.1".parse().unwrap(), 1);
        let b = Endpoint::new("10.0.0.2".parse().unwrap(), 2);
        let (key, side) = FlowKey::of(Transport::TCP, a, b);
        Moment {
            time: Timestamp::default(),
            frame,
            key,
            side,
        }
    }

    #[test]
    fn notes_of_a_rejected_message_leave_no_trace() {
        let mut recorder = Recorder::default();
        let mut notes = recorder.notes(moment(1), "smtp", 0);
        notes.proved();
        notes.text("banner", "220 x");
        notes.discard();
        notes.commit();
        assert!(recorder.protocols.is_empty() && recorder.facts.is_empty());
    }

    #[test]
    fn a_carried_protocol_lies_one_level_deeper_and_shares_the_fate_of_its_carrier() {
        let mut recorder = Recorder::default();
        let mut notes = recorder.notes(moment(1), "sip", 1);
        notes.proved();
        notes.about(7);
        let mut inside = notes.inside("sdp");
        inside.proved();
        inside.text("origin", "192.0.2.1");
        notes.commit();
        let depths: Vec<_> = recorder
            .protocols
            .iter()
            .map(|(name, layer)| (*name, layer.depth))
            .collect();
        assert_eq!(depths, [("sdp", 2), ("sip", 1)]);
        let fact = recorder.facts.keys().next().unwrap();
        assert_eq!((fact.attribute.protocol, fact.subject), ("sdp", 7));

        let mut notes = recorder.notes(moment(2), "quic", 0);
        notes.inside("tls").proved();
        notes.discard();
        notes.commit();
        assert!(recorder.protocols.keys().all(|name| *name != "tls"));
    }

    #[test]
    fn a_repeated_fact_keeps_its_first_frame() {
        let mut recorder = Recorder::default();
        for frame in [7, 3, 9] {
            let mut notes = recorder.notes(moment(frame), "smtp", 0);
            notes.text("banner", "220 x");
            notes.commit();
        }
        assert_eq!(
            recorder
                .facts
                .iter()
                .map(|(_, seen)| seen.frame)
                .collect::<Vec<_>>(),
            [3]
        );
    }

    #[test]
    fn each_subject_has_a_bound_of_its_own() {
        let mut recorder = Recorder::default();
        for subject in 0..300 {
            let mut notes = recorder.notes(moment(1), "sip", 0);
            notes.about(subject);
            notes.text("call_id", "x");
            notes.commit();
        }
        assert_eq!(recorder.facts.len(), 300);
        assert_eq!(recorder.left_out, 0);
    }

    #[test]
    fn subjects_that_were_left_out_are_not_counted_any_more() {
        let mut recorder = Recorder::default();
        let most = Recorder::MAX_SUBJECT_VALUES;
        for subject in 0..most as u64 + 100 {
            let mut notes = recorder.notes(moment(1), "h225", 0);
            notes.about(subject);
            notes.number("cause", 1);
            notes.commit();
        }
        assert_eq!(recorder.facts.len(), most);
        assert_eq!(recorder.counts.unwrap().len(), most + 1);
    }

    #[test]
    fn a_message_of_many_notes_leaves_no_room_behind() {
        for is_accepted in [true, false] {
            let mut recorder = Recorder::default();
            let mut notes = recorder.notes(moment(1), "xmpp", 0);
            for number in 0..10_000 {
                notes.number("mechanism", number);
            }
            if is_accepted {
                notes.commit();
            } else {
                notes.discard();
            }
            assert!(recorder.journal.is_empty());
            assert!(recorder.journal.capacity() <= Recorder::KEPT_NOTES);
        }
    }

    #[test]
    fn values_are_counted_from_the_first_on_although_counting_begins_late() {
        let mut recorder = Recorder::default();
        let most = Recorder::MAX_VALUES as u64;
        for number in 0..most {
            let mut notes = recorder.notes(moment(1), "dns", 0);
            notes.number("rcode", number);
            notes.text("query", "mail.example.com");
            notes.commit();
        }
        assert_eq!(
            (recorder.facts.len() as u64, recorder.left_out),
            (most + 1, 0)
        );
        let mut notes = recorder.notes(moment(2), "dns", 0);
        notes.number("rcode", most);
        notes.text("query", "exchange.example.com");
        notes.commit();
        assert_eq!(
            (recorder.facts.len() as u64, recorder.left_out),
            (most + 2, 1)
        );
    }

    #[test]
    fn bounded_sets_keep_the_least_values_in_any_order() {
        let fill = |numbers: &mut dyn Iterator<Item = u64>| {
            let mut recorder = Recorder::default();
            for number in numbers {
                let mut notes = recorder.notes(moment(1), "dns", 0);
                notes.number("rcode", number);
                notes.commit();
            }
            (recorder.facts.into_sorted(), recorder.left_out)
        };
        let most = Recorder::MAX_VALUES as u64;
        let (up, left_out) = fill(&mut (0..most + 9));
        let (down, _) = fill(&mut (0..most + 9).rev());
        assert_eq!(up, down);
        assert_eq!(up.len() as u64, most);
        assert_eq!(left_out, 9);
    }
}
