//! Network Monitor captures, versions 1 and 2 (Network Monitor 3 writes version 2): a file header, frames, and a table
//! of where each frame stands, all little-endian ("Capture File Format" of the Network Monitor 3 help).
//!
//! Frames are read as they follow each other, so that a pipe or a compressed file needs no seeking; at the end they are
//! held against the table, which usually stands behind them. Frames that are no packets (events, names of processes
//! and interfaces) are passed over.
//!
//! Up to version 2.2 a file says only what the clock on the wall of the recording machine showed: see
//! [`Framer::times_are_local`].

use jiff::civil;

use super::block::PacketIndex;
use super::frame::{Damage, max_captured};
use crate::bytes::{Cursor, Short};
use crate::net::{LinkType, Timestamp};

const FILE_HEADER_BYTES: usize = 128;
/// Bytes of an entry of the frame table.
const TABLE_ENTRY_BYTES: usize = 4;
/// Seconds from 1601, where Windows counts from, to 1970.
const WINDOWS_EPOCH_SECONDS: i64 = 11_644_473_600;
/// Hundreds of nanoseconds in a second.
const FILETIME_UNITS: u64 = 10_000_000;
/// Media types from here on are events and annotations.
const FIRST_NO_PACKET: u16 = 0xffe0;
/// Media types from here on are LINKTYPE values.
const LINKTYPES: u16 = 0xe000;

/// Frames the records of one file.
#[derive(Clone, Debug, Default)]
pub(super) struct Framer {
    header: Option<Header>,
    /// Bytes of the file before `position`.
    at: u64,
    /// Bytes of a part without frames that are still to come.
    skip: u64,
    /// Frames read, and where they stood.
    read: Places,
    /// Entries of the frame table.
    listed: Places,
    /// Bytes of the frame table that are still to come.
    table: u64,
}

/// The places of some frames, in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Places {
    count: u64,
    sum: u64,
}

impl Places {
    fn add(&mut self, place: u64) {
        self.count = self.count.wrapping_add(1);
        // Odd multiplier: two sets that differ do not have the same sum by accident.
        self.sum = self
            .sum
            .wrapping_add((place ^ place >> 7).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    }
}

#[derive(Clone, Debug)]
struct Header {
    version: Version,
    /// The link of all frames, where they do not say it themselves.
    link: LinkType,
    start: Timestamp,
    /// Frames that the table lists.
    frames: u64,
    /// Parts of the file that hold no frames, in order: where they begin, their length, and whether it is the table.
    parts: Vec<(u64, u64, bool)>,
}

/// What the version of the format says of its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version {
    major: u8,
    minor: u8,
}

impl Version {
    const fn record_header_bytes(self) -> usize {
        if self.major == 1 { 8 } else { 16 }
    }

    /// Bytes behind a frame: its media type (2.1), process (2.2), time and time zone (2.3).
    const fn trailer_bytes(self) -> usize {
        match (self.major, self.minor) {
            (2, 1) => 2,
            (2, 2) => 6,
            (2, 3..) => 15,
            _ => 0,
        }
    }

    /// Whether each frame has its time in UTC.
    const fn has_utc(self) -> bool {
        self.major == 2 && self.minor >= 3
    }
}

/// One frame: header, bytes and trailer.
struct Record {
    delta_us: u64,
    wire_len: u32,
    captured_len: u32,
}

impl Framer {
    /// Whether the packets' times are those of the recording machine's zone, which the file does not name.
    pub(super) fn times_are_local(&self) -> bool {
        self.header
            .as_ref()
            .is_some_and(|header| !header.version.has_utc())
    }

    /// What the file should still have had.
    pub(super) fn unfinished(&self) -> Option<Damage> {
        let header = self.header.as_ref()?;
        let left = self.skip.saturating_add(self.table);
        if left > 0 {
            return Some(Damage::new(
                format!("{left} more bytes of the frame table or another part"),
                "the end of the file",
            ));
        }
        (self.read.count < header.frames || self.listed.count < header.frames).then(|| {
            Damage::new(
                format!("{} frames and their table", header.frames),
                format!("the end of the file after {} frames", self.read.count),
            )
        })
    }

    /// See [`super::frame::Framer::frame`].
    pub(super) fn frame(
        &mut self,
        bytes: &[u8],
        position: &mut usize,
        packets: &mut Vec<PacketIndex>,
    ) -> Result<usize, Damage> {
        if self.header.is_none() {
            let Some(raw) = bytes
                .get(*position..)
                .and_then(|rest| rest.first_chunk::<FILE_HEADER_BYTES>())
            else {
                return Ok(FILE_HEADER_BYTES);
            };
            self.header = Some(Header::read(raw)?);
            self.advance(position, FILE_HEADER_BYTES);
        }
        loop {
            let rest = bytes.get(*position..).unwrap_or_default();
            let needed = if self.skip > 0 {
                self.pass_over(rest.len(), position)
            } else if self.table > 0 {
                self.read_table(rest, position)?
            } else if self.begin_part() {
                None
            } else {
                self.read_record(rest, position, packets)?
            };
            if let Some(needed) = needed {
                return Ok(needed);
            }
        }
    }

    fn advance(&mut self, position: &mut usize, bytes: usize) {
        *position = position.saturating_add(bytes);
        self.at = self.at.saturating_add(bytes as u64);
    }

    /// Whether a part without frames begins here; it is entered.
    fn begin_part(&mut self) -> bool {
        let Some(header) = &mut self.header else {
            return false;
        };
        let Some(&(begin, length, is_table)) = header.parts.first() else {
            return false;
        };
        let all_read = self.read.count >= header.frames;
        if begin > self.at && !all_read {
            return false;
        }
        if begin > self.at {
            // Behind the last frame, bytes up to the next part are padding.
            self.skip = begin.saturating_sub(self.at);
            return true;
        }
        header.parts.remove(0);
        if begin < self.at {
            // It lies inside what was read: the header is wrong about it, and the table's check will tell.
            return true;
        }
        if is_table {
            self.table = length;
        } else {
            self.skip = length;
        }
        true
    }

    fn pass_over(&mut self, available: usize, position: &mut usize) -> Option<usize> {
        let passed = usize::try_from(self.skip)
            .unwrap_or(usize::MAX)
            .min(available);
        self.advance(position, passed);
        self.skip = self.skip.saturating_sub(passed as u64);
        (self.skip > 0).then_some(1)
    }

    /// Reads what there is of the frame table; once it is complete and all frames are read, both must agree.
    fn read_table(&mut self, rest: &[u8], position: &mut usize) -> Result<Option<usize>, Damage> {
        let mut used = 0_usize;
        for entry in rest.chunks_exact(TABLE_ENTRY_BYTES) {
            if self.table < TABLE_ENTRY_BYTES as u64 {
                break;
            }
            let place = entry.first_chunk().copied().map_or(0, u32::from_le_bytes);
            self.listed.add(u64::from(place));
            self.table = self.table.saturating_sub(TABLE_ENTRY_BYTES as u64);
            used = used.saturating_add(entry.len());
        }
        self.advance(position, used);
        if self.table > 0 {
            return Ok(Some(TABLE_ENTRY_BYTES));
        }
        self.check_table()?;
        Ok(None)
    }

    fn check_table(&self) -> Result<(), Damage> {
        let frames = self.header.as_ref().map_or(0, |header| header.frames);
        let complete = self.read.count >= frames && self.listed.count >= frames;
        if complete && self.read != self.listed {
            return Err(Damage::new(
                format!("a table of the {} frames before it", self.read.count),
                format!("one of {} frames at other places", self.listed.count),
            ));
        }
        Ok(())
    }

    /// Reads one frame. Like the other parts, it answers how many bytes it needs where there are too few.
    fn read_record(
        &mut self,
        rest: &[u8],
        position: &mut usize,
        packets: &mut Vec<PacketIndex>,
    ) -> Result<Option<usize>, Damage> {
        let Some(header) = &self.header else {
            return Ok(Some(FILE_HEADER_BYTES));
        };
        if self.read.count >= header.frames {
            self.check_table()?;
            // Behind the last part nothing matters.
            self.advance(position, rest.len());
            return Ok(Some(1));
        }
        let version = header.version;
        let header_bytes = version.record_header_bytes();
        let Ok(record) = Record::read(version, rest) else {
            return Ok(Some(header_bytes));
        };
        let most = max_captured(header.link);
        if record.captured_len > most {
            return Err(Damage::new(
                format!("a captured length of at most {most}"),
                format!("{}", record.captured_len),
            ));
        }
        // At most a quarter of a megabyte, a header and a trailer: no overflow.
        let trailer_at = header_bytes.saturating_add(record.captured_len as usize);
        let length = trailer_at.saturating_add(version.trailer_bytes());
        let Some(trailer) = rest.get(trailer_at..length) else {
            return Ok(Some(length));
        };
        let trailer = Trailer::read(version, trailer)
            .map_err(|_| Damage::new("a frame's trailer", "bytes that are none"))?;
        let media = trailer.media.map_or(Media::Link(header.link), media);
        let time = trailer
            .filetime
            .map_or_else(|| later(header.start, record.delta_us), from_filetime);
        if let Media::Link(link) | Media::Wireless(link) = media {
            let mut packet = PacketIndex {
                time,
                offset: position.saturating_add(header_bytes),
                number: 0,
                captured_len: record.captured_len,
                wire_len: record.wire_len,
                interface: 0,
                link,
                timed: true,
            };
            if matches!(media, Media::Wireless(_)) {
                let frame = rest.get(header_bytes..trailer_at).unwrap_or_default();
                without_wireless_header(&mut packet, frame);
            }
            packets.push(packet);
        }
        self.read.add(self.at);
        self.advance(position, length);
        Ok(None)
    }
}

impl Header {
    fn read(raw: &[u8; FILE_HEADER_BYTES]) -> Result<Self, Damage> {
        Self::fields(raw).unwrap_or_else(|_: Short| {
            Err(Damage::new("a Network Monitor header", "one that is cut"))
        })
    }

    fn fields(raw: &[u8]) -> Result<Result<Self, Damage>, Short> {
        let mut cursor = Cursor::new(raw);
        cursor.skip(4)?;
        let version = Version {
            minor: cursor.u8()?,
            major: cursor.u8()?,
        };
        if !matches!(version.major, 1 | 2) {
            return Ok(Err(Damage::new(
                "Network Monitor version 1 or 2",
                format!("version {}.{}", version.major, version.minor),
            )));
        }
        let network = cursor.u16_le()?;
        let link = match media(network) {
            Media::Link(link) => link,
            Media::Wireless(_) | Media::None => LinkType::UNKNOWN,
        };
        let [
            year,
            month,
            _weekday,
            day,
            hour,
            minute,
            second,
            millisecond,
        ] = {
            let mut words = [0; 8];
            for word in &mut words {
                *word = cursor.u16_le()?;
            }
            words
        };
        let small = |word: u16| i8::try_from(word).unwrap_or(-1);
        let start = civil::DateTime::new(
            i16::try_from(year).unwrap_or(-1),
            small(month),
            small(day),
            small(hour),
            small(minute),
            small(second),
            i32::from(millisecond).saturating_mul(1_000_000),
        );
        let Some(start) = start
            .ok()
            .and_then(|start| start.to_zoned(jiff::tz::TimeZone::UTC).ok())
        else {
            return Ok(Err(Damage::new(
                "a date and time of the first frame",
                format!("{year}-{month}-{day} {hour}:{minute}:{second}.{millisecond}"),
            )));
        };
        let mut part = || Ok((u64::from(cursor.u32_le()?), u64::from(cursor.u32_le()?)));
        let (table, user, comments) = (part()?, part()?, part()?);
        // Offset and number of process records, whose length only they themselves tell: they stand behind all frames.
        let _processes = part()?;
        let networks = part()?;
        let mut parts: Vec<(u64, u64, bool)> = [user, comments, networks]
            .into_iter()
            .map(|(begin, length)| (begin, length, false))
            .chain([(table.0, table.1, true)])
            .filter(|&(begin, length, _)| length > 0 && begin >= FILE_HEADER_BYTES as u64)
            .collect();
        parts.sort_unstable();
        Ok(Ok(Self {
            version,
            link,
            start: Timestamp::from_parts(
                start.timestamp().as_second(),
                i64::from(start.timestamp().subsec_nanosecond()),
            ),
            frames: table.1.checked_div(TABLE_ENTRY_BYTES as u64).unwrap_or(0),
            parts,
        }))
    }
}

impl Record {
    fn read(version: Version, bytes: &[u8]) -> Result<Self, Short> {
        let mut cursor = Cursor::new(bytes);
        Ok(if version.major == 1 {
            Self {
                delta_us: u64::from(cursor.u32_le()?).saturating_mul(1_000),
                wire_len: u32::from(cursor.u16_le()?),
                captured_len: u32::from(cursor.u16_le()?),
            }
        } else {
            Self {
                delta_us: cursor.u64_le()?,
                wire_len: cursor.u32_le()?,
                captured_len: cursor.u32_le()?,
            }
        })
    }
}

/// What stands behind a frame.
#[derive(Default)]
struct Trailer {
    media: Option<u16>,
    filetime: Option<u64>,
}

impl Trailer {
    fn read(version: Version, bytes: &[u8]) -> Result<Self, Short> {
        let mut cursor = Cursor::new(bytes);
        let mut trailer = Self::default();
        if version.trailer_bytes() > 0 {
            trailer.media = Some(cursor.u16_le()?);
        }
        if version.has_utc() {
            // The index of the process.
            cursor.skip(4)?;
            trailer.filetime = Some(cursor.u64_le()?);
        }
        Ok(trailer)
    }
}

enum Media {
    Link(LinkType),
    /// 802.11 with Network Monitor's own header before it.
    Wireless(LinkType),
    /// An event or an annotation.
    None,
}

/// What a network or media type is.
fn media(number: u16) -> Media {
    const TOKEN_RING: LinkType = LinkType(6);
    const FDDI: LinkType = LinkType(10);
    const IEEE802_11: LinkType = LinkType(105);
    const RAW: LinkType = LinkType(101);
    Media::Link(match number {
        0 | 1 => LinkType::ETHERNET,
        2 => TOKEN_RING,
        3 => FDDI,
        6 => return Media::Wireless(IEEE802_11),
        7..=9 => RAW,
        FIRST_NO_PACKET.. => return Media::None,
        LINKTYPES.. => LinkType(number.wrapping_sub(LINKTYPES)),
        _ => LinkType::UNKNOWN,
    })
}

/// Takes Network Monitor's own header (version 2, its length, radio measurements) from an 802.11 frame.
fn without_wireless_header(packet: &mut PacketIndex, frame: &[u8]) {
    let [2, low, high, ..] = *frame else {
        packet.link = LinkType::UNKNOWN;
        return;
    };
    let length = u16::from_le_bytes([low, high]);
    packet.offset = packet
        .offset
        .saturating_add(usize::from(length).min(frame.len()));
    packet.captured_len = packet.captured_len.saturating_sub(u32::from(length));
    packet.wire_len = packet.wire_len.saturating_sub(u32::from(length));
}

fn later(start: Timestamp, delta_us: u64) -> Timestamp {
    let delta = i64::try_from(delta_us)
        .unwrap_or(i64::MAX)
        .saturating_mul(1_000);
    Timestamp::from_nanos(start.nanos().saturating_add(delta))
}

/// A FILETIME: hundreds of nanoseconds since 1601.
fn from_filetime(units: u64) -> Timestamp {
    let seconds = i64::try_from(units / FILETIME_UNITS).unwrap_or(i64::MAX);
    let nanos = i64::try_from(units % FILETIME_UNITS)
        .unwrap_or(0)
        .saturating_mul(100);
    Timestamp::from_parts(seconds.saturating_sub(WINDOWS_EPOCH_SECONDS), nanos)
}
