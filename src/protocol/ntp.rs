//! The network time protocol (RFC 5905, RFC 4330, RFC 1305) and its messages of control (RFC 9327) and of `ntpdc`.
//!
//! Proves messages whose length, levels and timestamps agree. Offsets and delays are not computed, keys and digests not
//! read.

use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject};
use crate::bytes::Cursor;
use crate::evidence::Notes;

/// Version, 1 to 4.
const VERSION: &str = "version";
/// `client`, `server`, `broadcast`, `control` ...
const MODE: &str = "mode";
/// Stratum of a server: 1 has a clock of its own, 0 and 16 have no time.
const STRATUM: &str = "stratum";
/// Code of a clock (stratum 1) or of a refusal (stratum 0), RFC 5905 section 7.3.
const REFERENCE: &str = "reference";

/// Network time.
pub(super) const NTP: Protocol = Protocol {
    name: "ntp",
    about: About {
        title: "Network Time Protocol",
        sources: "RFC 5905, RFC 4330, RFC 9327, RFC 7822",
        reads: "Version, mode, stratum, and the code of a clock or refusal.",
        proves: "A length, levels and timestamps that agree; for control and private messages, counts that agree with the length.",
        limits: "Times are not compared with the capture's; digests are not checked.",
    },
    attributes: &[VERSION, MODE, STRATUM, REFERENCE],
    stream: None,
    datagram: Some(DatagramEntry {
        first_byte: |byte| can_begin(byte),
        start: || Box::new(Clock),
    }),
};

const SYMMETRIC_ACTIVE: u8 = 1;
const CLIENT: u8 = 3;
const SERVER: u8 = 4;
const BROADCAST: u8 = 5;
const CONTROL: u8 = 6;
const PRIVATE: u8 = 7;

const fn can_begin(byte: u8) -> bool {
    let version = byte >> 3 & 7;
    1 <= version && version <= 4 && byte & 7 != 0
}

struct Clock;

impl DatagramDecoder for Clock {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let first = datagram.bytes.first().copied().unwrap_or(0);
        let side = notes.side();
        let mode = match first & 7 {
            mode @ SYMMETRIC_ACTIVE..=BROADCAST => {
                let packet = Packet::parse(datagram)?;
                match mode {
                    CLIENT => notes.client(side),
                    SERVER => notes.client(side.other()),
                    _ => {}
                }
                packet.note(mode, notes);
                match mode {
                    SYMMETRIC_ACTIVE => "symmetric_active",
                    CLIENT => "client",
                    SERVER => "server",
                    BROADCAST => "broadcast",
                    _ => "symmetric_passive",
                }
            }
            CONTROL => {
                let is_response = control(datagram)?;
                notes.client(if is_response { side.other() } else { side });
                "control"
            }
            PRIVATE => {
                private(datagram)?;
                let is_response = first & 0x80 != 0;
                notes.client(if is_response { side.other() } else { side });
                "private"
            }
            _ => return Err(Reject::Other),
        };
        notes.proved();
        notes.number(VERSION, (first >> 3 & 7).into());
        notes.text(MODE, mode);
        Ok(())
    }
}

/// Seconds between a question and its answer, by the server's clock, that are still sane.
const MAX_HELD: u64 = 3600;

/// A timestamp: seconds since 1900 (RFC 5905 section 6), and their fraction.
type Stamp = u64;

/// Whether a timestamp is zero, or lies between 1980 and the year 2070 (era 1 begins in 2036).
const fn is_sane(stamp: Stamp) -> bool {
    const FROM_1980: u64 = 2_524_521_600;
    const TO_2070: u64 = 1_069_600_000;
    let seconds = stamp >> 32;
    stamp == 0 || seconds >= FROM_1980 || (seconds > 0 && seconds <= TO_2070)
}

/// The fixed part, RFC 5905 section 7.3.
struct Packet {
    stratum: u8,
    reference_id: [u8; 4],
}

impl Packet {
    const BYTES: usize = 48;
    /// The greatest root delay and dispersion that real servers state, in seconds.
    const MAX_ROOT_SECONDS: u32 = 64;

    fn parse(datagram: Datagram<'_>) -> Result<Self, Reject> {
        let mut cursor = Cursor::new(datagram.bytes);
        let first = cursor.u8()?;
        let (stratum, poll, precision) = (cursor.u8()?, cursor.u8()?, cursor.u8()?);
        let length_fits = match datagram.wire_len.checked_sub(Self::BYTES) {
            // A key identifier alone refuses, a digest follows it, and extension fields are of four octets times n (RFC 7822).
            Some(0 | 4 | 20 | 24) => true,
            Some(more) => more >= 16 && more % 4 == 0 && first >> 3 & 7 >= 3,
            None => false,
        };
        // Exponents of two: of the poll interval up to a day and a half, of the precision below a second.
        let levels_fit = stratum <= 16
            && (poll <= 17 || poll >= 0xf8)
            && (precision == 0 || precision >= 0xe0 || first & 7 == CLIENT && precision <= 20);
        if !length_fits || !levels_fit {
            return Err(Reject::Other);
        }
        let (delay, dispersion) = (cursor.u32()?, cursor.u32()?);
        let reference_id = *cursor.array()?;
        let stamps = [cursor.u64()?, cursor.u64()?, cursor.u64()?, cursor.u64()?];
        let [reference, origin, receive, transmit] = stamps;
        let root_fits = delay >> 16 <= Self::MAX_ROOT_SECONDS || delay >> 16 >= 0xffc0;
        let stamps_fit = match first & 7 {
            // A client may hide its clock: it then says nothing else, and sends chance (draft-ietf-ntp-data-minimization).
            CLIENT if reference == 0 && origin == 0 && receive == 0 => {
                delay == 0 && dispersion == 0 && reference_id == [0; 4] || is_sane(transmit)
            }
            CLIENT => [reference, receive, transmit].into_iter().all(is_sane),
            // The origin is what the client sent.
            SERVER => {
                let held = (transmit >> 32).abs_diff(receive >> 32);
                [transmit, receive].into_iter().all(|stamp| stamp != 0)
                    && [reference, receive, transmit].into_iter().all(is_sane)
                    && held <= MAX_HELD
            }
            BROADCAST => transmit != 0 && [reference, transmit].into_iter().all(is_sane),
            _ => stamps.into_iter().all(is_sane) && transmit != 0,
        };
        if !root_fits || !stamps_fit {
            return Err(Reject::Invalid("timestamps"));
        }
        Ok(Self {
            stratum,
            reference_id,
        })
    }

    fn note(&self, mode: u8, notes: &mut Notes<'_>) {
        if mode == CLIENT {
            return;
        }
        notes.number(STRATUM, self.stratum.into());
        let text = self.reference_id.trim_ascii_end();
        let end = memchr::memchr(0, text).unwrap_or(text.len());
        let code = text.get(..end).unwrap_or_default();
        if self.stratum < 2 && code.len() > 1 && code.iter().all(u8::is_ascii_graphic) {
            notes.bytes(REFERENCE, code);
        }
    }
}

/// A message of control (RFC 9327 section 2); whether it is a response.
fn control(datagram: Datagram<'_>) -> Result<bool, Reject> {
    const HEADER: usize = 12;
    const MAX_DATA: u16 = 480;
    let mut cursor = Cursor::new(datagram.bytes);
    let (first, flags) = (cursor.u8()?, cursor.u8()?);
    let (_sequence, status) = (cursor.u16()?, cursor.u16()?);
    let (_association, offset, count) = (cursor.u16()?, cursor.u16()?, cursor.u16()?);
    let is_response = flags & 0x80 != 0;
    let operation = flags & 0x1f;
    let padded = usize::from(count).next_multiple_of(4);
    // Without padding, with it, and with key and digest after it.
    let length_fits =
        datagram
            .wire_len
            .checked_sub(HEADER)
            .is_some_and(|left| match left.checked_sub(padded) {
                Some(more) => matches!(more, 0 | 20 | 24),
                None => left == usize::from(count),
            });
    let operation_fits = matches!(operation, 1..=12 | 31);
    let request_fits = is_response || (flags & 0x60 == 0 && status == 0 && offset == 0);
    if first >> 6 != 0 || !length_fits || !operation_fits || !request_fits || count > MAX_DATA {
        return Err(Reject::Other);
    }
    Ok(is_response)
}

/// A message of `ntpdc` (`ntp_request.h` of the reference implementation).
fn private(datagram: Datagram<'_>) -> Result<(), Reject> {
    const HEADER: usize = 8;
    let mut cursor = Cursor::new(datagram.bytes);
    let (first, _sequence) = (cursor.u8()?, cursor.u8()?);
    let (implementation, request) = (cursor.u8()?, cursor.u8()?);
    let (error_count, size) = (cursor.u16()?, cursor.u16()?);
    let (error, count) = (error_count >> 12, error_count & 0xfff);
    let stated = usize::from(count).saturating_mul(usize::from(size));
    let left = datagram.wire_len.saturating_sub(HEADER);
    let is_response = first & 0x80 != 0;
    let fits = if is_response {
        left == stated && error <= 7
    } else {
        // Requests are filled up with zeros to one of the sizes of their structure.
        first & 0x40 == 0
            && error == 0
            && stated <= left
            && matches!(left, 0 | 40 | 160 | 176 | 184 | 208)
            && cursor.rest().iter().skip(stated).all(|&byte| byte == 0)
    };
    if !matches!(implementation, 2 | 3) || request > 45 || size & 0xf000 != 0 || !fits {
        return Err(Reject::Other);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT as A, SERVER as B, datagrams, only_registered_attributes, protocols, values,
    };
    use super::*;

    fn packet(first: u8, stratum: u8, reference: &[u8; 4], stamps: [u64; 4]) -> Vec<u8> {
        let mut bytes = vec![first, stratum, 6, 0xe9, 0, 0, 0x10, 0, 0, 0, 0x20, 0];
        bytes.extend(reference);
        bytes.extend(stamps.iter().flat_map(|stamp| stamp.to_be_bytes()));
        bytes
    }

    const NOW: u64 = 0xe800_0000_1234_5678;

    #[test]
    fn a_question_and_its_answer_are_read() {
        let asked = packet(0x23, 0, b"\0\0\0\0", [0, 0, 0, NOW]);
        let answered = packet(0x24, 1, b"GPS\0", [NOW; 4]);
        let recorder = datagrams(&[(A, &asked), (B, &answered)]);
        assert_eq!(protocols(&recorder), ["ntp"]);
        assert_eq!(values(&recorder, "ntp", "version"), ["4", "4"]);
        assert_eq!(values(&recorder, "ntp", "mode"), ["client", "server"]);
        assert_eq!(values(&recorder, "ntp", "stratum"), ["1"]);
        assert_eq!(values(&recorder, "ntp", "reference"), ["GPS"]);
        assert_eq!(recorder.client, Some(A));
        only_registered_attributes(&recorder, &[&NTP]);
        for length in 0..answered.len() {
            assert!(protocols(&datagrams(&[(B, &answered[..length])])).is_empty());
        }
    }

    #[test]
    fn clients_may_say_nothing_or_hide_their_clock() {
        let mut bare = vec![0; 48];
        bare[0] = 0x1b;
        assert_eq!(protocols(&datagrams(&[(A, &bare)])), ["ntp"]);
        bare[40..].copy_from_slice(b"\x12\x34\x56\x78\x9a\xbc\xde\xf0");
        assert_eq!(protocols(&datagrams(&[(A, &bare)])), ["ntp"]);
        bare.extend([0; 20]);
        assert_eq!(protocols(&datagrams(&[(A, &bare)])), ["ntp"]);
    }

    #[test]
    fn control_and_private_messages_agree_with_their_counts() {
        let read = b"\x16\x02\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00";
        let answer = b"\x16\x82\x00\x01\x06\x18\x00\x00\x00\x00\x00\x05abcde\0\0\0";
        let recorder = datagrams(&[(A, read), (B, answer)]);
        assert_eq!(values(&recorder, "ntp", "mode"), ["control"; 2]);
        let list = b"\x17\x00\x03\x2a\x00\x00\x00\x00";
        let listed = b"\xd7\x00\x03\x2a\x00\x02\x00\x04abcdefgh";
        let recorder = datagrams(&[(A, list), (B, listed)]);
        assert_eq!(values(&recorder, "ntp", "mode"), ["private"; 2]);
        for bytes in [&answer[..19], &listed[..15], &read[..11], &list[..7]] {
            assert!(protocols(&datagrams(&[(A, bytes)])).is_empty());
        }
    }

    #[test]
    fn wrong_levels_lengths_and_times_are_refused() {
        let good = packet(0x24, 2, &[192, 0, 2, 1], [NOW; 4]);
        assert!(values(&datagrams(&[(A, &good)]), "ntp", "reference").is_empty());
        for (at, value) in [
            (0, 0x3c),
            (0, 0),
            (1, 17),
            (2, 40),
            (3, 0x80),
            (4, 9),
            (40, 0x60),
        ] {
            let mut bytes = good.clone();
            bytes[at] = value;
            assert!(
                !protocols(&datagrams(&[(A, &bytes)])).contains(&"ntp"),
                "{at}"
            );
        }
        for more in [1, 7, 19] {
            let bytes = [&good[..], &vec![0; more]].concat();
            assert!(protocols(&datagrams(&[(A, &bytes)])).is_empty());
        }
    }
}
