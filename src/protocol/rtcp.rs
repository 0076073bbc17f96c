//! RTP Control Protocol (RFC 3550 section 6): compound packets, what receivers report, and round trips.
//!
//! Proves: packets whose lengths add up to the datagram, of which the first is a report as long as its own count of blocks
//! says, a lone goodbye or an application's packet with a name (RFC 3550 A.2, RFC 5506), or several packets of one source.
//! Beside RTP on one flow (RFC 5761) a compound may begin with any type, after a proof a single packet may be of any type. Of SRTCP (RFC 3711 section 3.4) the first header and the index at
//! the end are in clear: the one must be exact, the other flagged as encrypted and small; beside RTP the header is enough.
//! Reads no names, and does not follow who left.

use arrayvec::ArrayVec;

use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject};
use crate::bytes::Cursor;
use crate::evidence::{Notes, ReceivedReport, SentReport, StreamKey};
use crate::net::{PerSide, Timestamp};
use crate::open_enum;

/// The RTP Control Protocol.
pub(super) const RTCP: Protocol = Protocol {
    name: "rtcp",
    about: About {
        title: "RTP Control Protocol",
        sources: "RFC 3550 6, RFC 3611, RFC 4585, RFC 5506",
        reads: "Sender and receiver reports, descriptions, byes, feedback.",
        proves: "A compound packet whose lengths add up to the datagram, with SRTCP told by its index.",
        limits: "Encrypted reports show their first header only.",
    },
    attributes: &[
        PACKET_TYPE,
        REPORTED_LOST,
        REPORTED_JITTER,
        ROUND_TRIP_MS,
        PROTECTED,
    ],
    stream: None,
    datagram: Some(DatagramEntry {
        first_byte: |byte| byte >> 6 == VERSION,
        start: || Box::new(Rtcp::default()),
    }),
};

/// `SR`, `RR`, `SDES`, `BYE`, `APP`, `RTPFB`, `PSFB`, `XR`.
const PACKET_TYPE: &str = "packet_type";
/// Cumulative number of packets lost that a receiver reports. About the source; growth below an eighth is not noted.
const REPORTED_LOST: &str = "reported_lost";
/// Interarrival jitter that a receiver reports, in timestamp units. About the source; growth below an eighth is not noted.
const REPORTED_JITTER: &str = "reported_jitter";
/// From the capturing point to the reporter and back, in milliseconds (RFC 3550 section 6.4.1). About the source.
const ROUND_TRIP_MS: &str = "round_trip_ms";
/// 1 where the packets are SRTCP.
const PROTECTED: &str = "protected";

const VERSION: u8 = 2;
/// Packets read of one datagram: a report, names, a goodbye and some feedback.
const MAX_PACKETS: usize = 32;
/// Sender reports of one side that a receiver report may refer to: it refers to the last one, or the one before.
const MAX_SENT: usize = 8;
/// Sources of one flow whose reports are followed.
const MAX_SOURCES: usize = 64;
/// A round trip above this is a report that refers to something else.
const MAX_ROUND_TRIP_MS: u64 = 60_000;
/// Bytes of SRTCP after its index: the tag of HMAC-SHA1-80, the same with a key identifier of one byte as Lync sends it
/// (MS-SRTP), nothing for AES-GCM (RFC 7714 section 9.2).
const TAILS: [usize; 3] = [10, 11, 0];
/// Streams of a flow beside which RTCP is expected: random bytes make one of each datagram.
const MAX_STREAMS: usize = 12;
/// Blocks of a report that an exact header beside RTP may claim where no index is found.
const MAX_BLIND_COUNT: u8 = 3;
/// Least bytes of SRTCP after its first packet: the index and a tag (RFC 3711 section 3.4).
const MIN_TAIL: usize = 8;

open_enum! {
    /// Packet types (IANA "RTP Parameters").
    struct PacketType(u8) {
        /// Sender report.
        SR = 200 => "SR",
        /// Receiver report.
        RR = 201 => "RR",
        /// Source description.
        SDES = 202 => "SDES",
        /// Goodbye.
        BYE = 203 => "BYE",
        /// Application-defined.
        APP = 204 => "APP",
        /// Generic feedback (RFC 4585).
        RTPFB = 205 => "RTPFB",
        /// Payload-specific feedback (RFC 4585).
        PSFB = 206 => "PSFB",
        /// Extended report (RFC 3611).
        XR = 207 => "XR",
        /// AVB (IEEE 1733).
        AVB = 208 => "AVB",
        /// Receiver summary (RFC 5760).
        RSI = 209 => "RSI",
        /// Port mapping (RFC 6284).
        TOKEN = 210 => "TOKEN",
        /// Media synchronisation (RFC 7272).
        IDMS = 211 => "IDMS",
    }
}

/// What else was seen on the flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Nothing that speaks for RTCP.
    Unknown,
    /// Packets that may be RTP, of few enough sources not to be random bytes.
    BesideRtp,
    /// RTCP was proven.
    Proven,
}

/// One flow.
#[derive(Default)]
struct Rtcp {
    proven: bool,
    sent: PerSide<ArrayVec<Sent, MAX_SENT>>,
    noted: Vec<Block>,
}

/// What is read of a report block.
#[derive(Clone, Copy, Debug)]
struct Block {
    ssrc: u32,
    fraction_lost: u8,
    lost: i32,
    jitter: u32,
}

/// A sender report.
#[derive(Clone, Copy, Debug)]
struct Sent {
    ssrc: u32,
    /// The middle 32 bits of its NTP timestamp, by which receivers refer to it.
    ntp: u32,
    time: Timestamp,
}

impl DatagramDecoder for Rtcp {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let place = if self.proven {
            Place::Proven
        } else if (1..=MAX_STREAMS).contains(&notes.streams()) {
            Place::BesideRtp
        } else {
            Place::Unknown
        };
        // On a shared port (RFC 5761), RTP must not make this decoder look out of place.
        if place != Place::Unknown && !matches!(datagram.bytes, [_, 192..=223, ..]) {
            return Ok(());
        }
        if let Some(packets) = compound(datagram, place) {
            self.proven = true;
            notes.proved();
            for packet in &packets {
                notes.about(0);
                notes.text(PACKET_TYPE, packet.kind.name().unwrap_or_default());
                // What is broken inside one packet of a compound does not touch the others.
                let _ = self.reports(packet, notes);
            }
            return Ok(());
        }
        let kind = protected(datagram, place).ok_or(Reject::Invalid("compound"))?;
        self.proven = true;
        notes.proved();
        notes.number(PROTECTED, 1);
        notes.text(PACKET_TYPE, kind.name().unwrap_or_default());
        Ok(())
    }
}

impl Rtcp {
    /// Reads the report blocks of a sender or receiver report.
    fn reports(&mut self, packet: &Packet<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let mut cursor = Cursor::new(packet.body);
        let ssrc = match packet.kind {
            PacketType::SR | PacketType::RR => cursor.u32()?,
            _ => return Ok(()),
        };
        if packet.kind == PacketType::SR {
            let _seconds_high = cursor.u16()?;
            let ntp = cursor.u32()?;
            cursor.skip(6)?;
            let time = notes.moment().time;
            let report = SentReport {
                time,
                packets: cursor.u32()?,
                octets: cursor.u32()?,
            };
            let key = StreamKey {
                side: notes.side(),
                ssrc,
            };
            if let Some(reports) = notes.reports(key) {
                reports.sent = reports.sent.max(Some(report));
            }
            let sent = &mut self.sent[notes.side()];
            if sent.is_full() {
                sent.remove(0);
            }
            sent.push(Sent { ssrc, ntp, time });
        }
        for _ in 0..packet.count {
            let mut block = cursor.sub(24)?;
            let ssrc = block.u32()?;
            let word = block.u32()?;
            let _highest = block.u32()?;
            let read = Block {
                ssrc,
                fraction_lost: word.to_be_bytes()[0],
                // The rest of the word is a signed number.
                lost: (word << 8).cast_signed() >> 8,
                jitter: block.u32()?,
            };
            self.report(read, notes);
            self.round_trip(ssrc, block.u32()?, block.u32()?, notes);
        }
        Ok(())
    }

    fn report(&mut self, report: Block, notes: &mut Notes<'_>) {
        let key = StreamKey {
            side: notes.side().other(),
            ssrc: report.ssrc,
        };
        let received = ReceivedReport {
            time: notes.moment().time,
            lost: report.lost,
            jitter: report.jitter,
        };
        if let Some(reports) = notes.reports(key) {
            reports.received = reports.received.max(Some(received));
            reports.blocks = reports.blocks.saturating_add(1);
            reports.max_fraction_lost = reports.max_fraction_lost.max(report.fraction_lost);
            reports.max_jitter = reports.max_jitter.max(report.jitter);
        }
        notes.about(u64::from(report.ssrc));
        let lost = u32::try_from(report.lost).unwrap_or(0);
        let known = self
            .noted
            .iter_mut()
            .find(|known| known.ssrc == report.ssrc);
        let Some(known) = known else {
            if self.noted.len() < MAX_SOURCES {
                self.noted.push(report);
                notes.number(REPORTED_LOST, u64::from(lost));
                notes.number(REPORTED_JITTER, u64::from(report.jitter));
            }
            return;
        };
        let known_lost = u32::try_from(known.lost).unwrap_or(0);
        if has_grown(known_lost, lost) {
            known.lost = report.lost;
            notes.number(REPORTED_LOST, u64::from(lost));
        }
        if has_grown(known.jitter, report.jitter) {
            known.jitter = report.jitter;
            notes.number(REPORTED_JITTER, u64::from(report.jitter));
        }
    }

    /// The time since the sender report that a block refers to, less the time that the reporter held it.
    fn round_trip(&self, ssrc: u32, last_sr: u32, held: u32, notes: &mut Notes<'_>) {
        let sent = &self.sent[notes.side().other()];
        let Some(sent) = sent
            .iter()
            .rev()
            .find(|sent| last_sr != 0 && sent.ssrc == ssrc && sent.ntp == last_sr)
        else {
            return;
        };
        let held_ns = i64::from(held).saturating_mul(1_000_000_000) / 65_536;
        let round_trip_ns = notes.moment().time.since(sent.time).saturating_sub(held_ns);
        let Ok(round_trip_ns) = u64::try_from(round_trip_ns) else {
            return;
        };
        let round_trip_ms = round_trip_ns / 1_000_000;
        if round_trip_ms >= MAX_ROUND_TRIP_MS {
            return;
        }
        notes.about(u64::from(ssrc));
        notes.number(ROUND_TRIP_MS, round_trip_ms);
        let key = StreamKey {
            side: notes.side().other(),
            ssrc,
        };
        if let Some(reports) = notes.reports(key) {
            reports.round_trips = reports.round_trips.saturating_add(1);
            reports.round_trip_sum_ns = reports.round_trip_sum_ns.saturating_add(round_trip_ns);
            reports.round_trip_max_ns = reports.round_trip_max_ns.max(round_trip_ns);
        }
    }
}

/// Facts are few and bounded: a value that creeps upwards is noted in steps of an eighth.
const fn has_grown(before: u32, now: u32) -> bool {
    now > before.saturating_add(before / 8)
}

/// One packet of a compound, without its padding.
#[derive(Clone, Copy, Debug)]
struct Packet<'a> {
    kind: PacketType,
    count: u8,
    is_padded: bool,
    /// Bytes on the wire, header included.
    length: usize,
    /// What follows the header, as far as it was captured.
    body: &'a [u8],
}

impl<'a> Packet<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor::new(bytes);
        let first = cursor.u8().ok()?;
        let kind = PacketType(cursor.u8().ok()?);
        let words = cursor.u16().ok()?;
        let body_bytes = usize::from(words).saturating_mul(4);
        (first >> 6 == VERSION).then_some(())?;
        kind.name()?;
        Some(Self {
            kind,
            count: first & 0x1f,
            is_padded: first & 0x20 != 0,
            length: body_bytes.saturating_add(4),
            body: cursor.rest().get(..body_bytes).unwrap_or(cursor.rest()),
        })
    }

    /// Bytes that the fields of its type fill at least; exactly, in a report without profile-specific extension.
    fn least_length(&self) -> usize {
        let count = usize::from(self.count);
        match self.kind {
            PacketType::SR => count.saturating_mul(24).saturating_add(28),
            PacketType::RR => count.saturating_mul(24).saturating_add(8),
            PacketType::SDES => count.saturating_mul(8).saturating_add(4),
            PacketType::BYE => count.saturating_mul(4).saturating_add(4),
            PacketType::APP | PacketType::RTPFB | PacketType::PSFB => 12,
            _ => 8,
        }
    }
}

/// The packets of a compound whose lengths add up. A lone report must be exactly as long as its count says, and
/// applications name what they send alone; a compound may begin with any type where its packets are of one source or stand
/// beside RTP, after a proof a single packet too.
fn compound(datagram: Datagram<'_>, place: Place) -> Option<ArrayVec<Packet<'_>, MAX_PACKETS>> {
    let mut packets = ArrayVec::new();
    let mut rest = datagram.bytes;
    let mut left = datagram.wire_len;
    while left > 0 {
        // The snap length cut here; what stands before was whole.
        if rest.is_empty() && datagram.is_cut() {
            break;
        }
        let packet = Packet::parse(rest)?;
        let is_last = packet.length == left;
        if packet.length < packet.least_length() || packet.length > left {
            return None;
        }
        if packet.is_padded && !(is_last && is_padding(&packet, datagram.is_cut())) {
            return None;
        }
        packets.try_push(packet).ok()?;
        left = left.saturating_sub(packet.length);
        rest = rest.get(packet.length..).unwrap_or_default();
    }
    let first: &Packet<'_> = packets.first()?;
    let is_exact = first.length == first.least_length();
    let is_compound = packets.len() > 1;
    let is_whole = first.length <= datagram.bytes.len();
    let is_proof = match first.kind {
        PacketType::SR | PacketType::RR => is_whole && (is_exact || is_compound),
        PacketType::BYE if !is_compound => is_whole && is_exact && first.count == 1,
        // Senders that were told to leave begin with their goodbye, and say who they were after it.
        _ if is_compound && is_of_one_source(&packets) => true,
        PacketType::APP => is_whole && !is_compound && is_named(first),
        _ => match place {
            Place::Unknown => false,
            Place::BesideRtp => is_compound,
            Place::Proven => true,
        },
    };
    is_proof.then_some(packets)
}

/// Whether the first two packets name the same source, which every type has first.
fn is_of_one_source(packets: &[Packet<'_>]) -> bool {
    match packets {
        [first, second, ..] => {
            let source = first.body.first_chunk::<4>();
            source.is_some_and(|it| *it != [0; 4]) && source == second.body.first_chunk::<4>()
        }
        _ => false,
    }
}

/// RFC 3550 section 6.7: an application's packet has a name of four ASCII characters after its source.
fn is_named(packet: &Packet<'_>) -> bool {
    let name = packet.body.get(4..8);
    name.is_some_and(|name| name.iter().all(u8::is_ascii_alphanumeric))
}

/// RFC 3550 section 6.4.1: the last octet counts the padding, in multiples of four.
fn is_padding(packet: &Packet<'_>, is_cut: bool) -> bool {
    let count = packet.body.last().copied().map_or(0, usize::from);
    is_cut || (count != 0 && count % 4 == 0 && count <= packet.body.len())
}

/// The type of the first packet, if the datagram is SRTCP; beside RTP or RTCP, a first header that is exact is enough:
/// other senders put the index elsewhere.
fn protected(datagram: Datagram<'_>, place: Place) -> Option<PacketType> {
    let first = Packet::parse(datagram.bytes)?;
    let is_report = matches!(first.kind, PacketType::SR | PacketType::RR);
    let is_exact = first.length == first.least_length();
    // What an application sends is as long as it likes.
    let is_sent_alone = first.kind == PacketType::APP && first.length >= first.least_length();
    let is_whole = !first.is_padded && !datagram.is_cut();
    (is_whole && (is_report && is_exact || is_sent_alone)).then_some(())?;
    let tail = datagram.bytes.get(first.length..)?;
    let has_index = TAILS.iter().any(|after| {
        let index = tail
            .len()
            .checked_sub(after.saturating_add(4))
            .and_then(|at| tail.get(at..))
            .and_then(|bytes| bytes.first_chunk::<4>());
        // Encrypted, and among the first 65,536 packets under its key: days, at one in some seconds.
        index.is_some_and(|[flag, high, ..]| (*flag, *high) == (0x80, 0))
    });
    let is_expected = is_report
        && place != Place::Unknown
        && first.count <= MAX_BLIND_COUNT
        && tail.len() >= MIN_TAIL;
    (has_index || is_expected).then_some(first.kind)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, datagrams, noise, only_registered_attributes, protocols, values,
    };
    use super::*;

    /// A sender report of `ssrc` at NTP time `ntp` (middle bits), without blocks.
    fn sender_report(ssrc: u32, ntp: u32) -> Vec<u8> {
        let mut bytes = vec![0x80, 200, 0, 6];
        bytes.extend(ssrc.to_be_bytes());
        bytes.extend([0xdd, 0x3a]);
        bytes.extend(ntp.to_be_bytes());
        bytes.extend([0; 14]);
        bytes
    }

    /// A receiver report on `about`.
    fn receiver_report(about: u32, lost: i32, jitter: u32, last_sr: u32, held: u32) -> Vec<u8> {
        let mut bytes = vec![0x81, 201, 0, 7, 0, 0, 0, 9];
        bytes.extend(about.to_be_bytes());
        bytes.push(3);
        bytes.extend(&lost.to_be_bytes()[1..]);
        bytes.extend([0, 0, 1, 0]);
        bytes.extend(jitter.to_be_bytes());
        bytes.extend(last_sr.to_be_bytes());
        bytes.extend(held.to_be_bytes());
        bytes
    }

    const NAMES: [u8; 16] = [0x81, 202, 0, 3, 0, 0, 0, 9, 1, 3, b'a', b'@', b'b', 0, 0, 0];

    #[test]
    fn reports_and_round_trips_are_read() {
        // Frames are a millisecond apart; the reporter held the report for half of one.
        let mut report = receiver_report(7, -2, 40, 0x1234_5678, 33);
        report.extend(NAMES);
        let recorder = datagrams(&[
            (CLIENT, &sender_report(7, 0x1234_5678)),
            (CLIENT, &sender_report(7, 0x1234_9999)),
            (SERVER, &report),
        ]);
        assert_eq!(protocols(&recorder), ["rtcp"]);
        assert_eq!(values(&recorder, "rtcp", PACKET_TYPE), ["RR", "SDES", "SR"]);
        assert_eq!(values(&recorder, "rtcp", REPORTED_LOST), ["0"]);
        assert_eq!(values(&recorder, "rtcp", REPORTED_JITTER), ["40"]);
        assert_eq!(values(&recorder, "rtcp", ROUND_TRIP_MS), ["1"]);
        only_registered_attributes(&recorder, &[&RTCP]);
    }

    #[test]
    fn lengths_must_add_up() {
        let mut whole = receiver_report(7, 0, 0, 0, 0);
        whole.extend(NAMES);
        for length in 0..whole.len() {
            let proven = !protocols(&datagrams(&[(CLIENT, &whole[..length])])).is_empty();
            assert_eq!(proven, length == 32, "{length}");
        }
        let mut trailing = whole.clone();
        trailing.extend([0; 4]);
        assert!(protocols(&datagrams(&[(CLIENT, &trailing)])).is_empty());
        let mut padded_first = whole.clone();
        padded_first[0] |= 0x20;
        assert!(protocols(&datagrams(&[(CLIENT, &padded_first)])).is_empty());
        let mut more_blocks = whole;
        more_blocks[0] = 0x85;
        assert!(protocols(&datagrams(&[(CLIENT, &more_blocks)])).is_empty());
    }

    #[test]
    fn feedback_alone_proves_nothing_but_is_read_after_a_report() {
        let feedback = [0x81, 206, 0, 2, 0, 0, 0, 9, 0, 0, 0, 7];
        assert!(protocols(&datagrams(&[(CLIENT, &feedback)])).is_empty());
        let recorder = datagrams(&[(CLIENT, &sender_report(7, 1)), (SERVER, &feedback)]);
        assert_eq!(values(&recorder, "rtcp", PACKET_TYPE), ["PSFB", "SR"]);
    }

    #[test]
    fn a_lone_goodbye_is_read() {
        let recorder = datagrams(&[(CLIENT, &[0x81, 203, 0, 1, 1, 2, 3, 4])]);
        assert_eq!(values(&recorder, "rtcp", PACKET_TYPE), ["BYE"]);
        assert!(protocols(&datagrams(&[(CLIENT, &[0x80, 203, 0, 0])])).is_empty());
    }

    #[test]
    fn a_goodbye_with_a_reason_and_the_names_of_its_source_is_read() {
        let mut bytes = vec![
            0x81, 203, 0, 3, 1, 2, 3, 4, 4, b'A', b'd', b'j', b'o', 0, 0, 0,
        ];
        bytes.extend([0x81, 202, 0, 3, 1, 2, 3, 4, 1, 3, b'a', b'@', b'b', 0, 0, 0]);
        let recorder = datagrams(&[(CLIENT, &bytes)]);
        assert_eq!(values(&recorder, "rtcp", PACKET_TYPE), ["BYE", "SDES"]);
        bytes[20] = 9;
        assert!(protocols(&datagrams(&[(CLIENT, &bytes)])).is_empty());
    }

    #[test]
    fn an_application_packet_alone_is_told_by_its_name() {
        let ping = [
            0x80, 204, 0, 3, 1, 2, 3, 4, b'P', b'I', b'N', b'G', 1, 2, 3, 4,
        ];
        let recorder = datagrams(&[(CLIENT, &ping)]);
        assert_eq!(values(&recorder, "rtcp", PACKET_TYPE), ["APP"]);
        let mut unnamed = ping;
        unnamed[8] = 0x9c;
        assert!(protocols(&datagrams(&[(CLIENT, &unnamed)])).is_empty());
        // The same under SRTCP: the name is sealed, the index shows.
        let mut sealed = unnamed.to_vec();
        sealed.extend([0x80, 0, 0, 1]);
        sealed.extend([0xc7; 10]);
        let recorder = datagrams(&[(CLIENT, &sealed)]);
        assert_eq!(values(&recorder, "rtcp", PROTECTED), ["1"]);
    }

    #[test]
    fn srtcp_is_told_by_its_index() {
        for after in TAILS {
            let mut bytes = vec![0x80, 201, 0, 1, 0, 0, 0, 7];
            bytes.extend([0xc7; 24]);
            bytes.extend([0x80, 0, 0, 5]);
            bytes.extend(vec![0xc7; after]);
            let recorder = datagrams(&[(CLIENT, &bytes)]);
            assert_eq!(values(&recorder, "rtcp", PROTECTED), ["1"]);
            bytes[35 - 3] = 0;
            assert!(protocols(&datagrams(&[(CLIENT, &bytes)])).is_empty());
        }
    }

    #[test]
    fn a_creeping_count_of_losses_is_noted_in_steps() {
        let reports: Vec<_> = (0..2000)
            .map(|lost| receiver_report(7, lost, 1, 0, 0))
            .collect();
        let played: Vec<_> = reports.iter().map(|bytes| (CLIENT, &bytes[..])).collect();
        let recorder = datagrams(&played);
        let noted = values(&recorder, "rtcp", REPORTED_LOST);
        assert!(noted.len() < 64);
        assert!(noted.last().unwrap().parse::<u32>().unwrap() > 1700);
    }

    #[test]
    fn random_bytes_are_not_rtcp() {
        let mut random = noise();
        let noise: Vec<Vec<u8>> = (0..50_000)
            .map(|_| {
                let mut bytes: Vec<u8> = (0..32).map(|_| random()).collect();
                bytes[0] = 0x80 | bytes[0] & 0x3f;
                bytes[1] = 200 + bytes[1] % 8;
                bytes
            })
            .collect();
        for flow in noise.chunks(500) {
            let flow: Vec<_> = flow.iter().map(|bytes| (CLIENT, &bytes[..])).collect();
            assert!(protocols(&datagrams(&flow)).is_empty());
        }
    }
}
