//! The transport of Remote Desktop in datagrams (MS-RDPEUDP, MS-RDPEUDP2): its opening, and the TLS or DTLS handshake that
//! it carries.
//!
//! Proves: a SYN of the fixed length, with flags and sizes that the specification allows, filled up with zeros. Data is read
//! after such an opening only, for the handshake in it; acknowledgements and corrections are passed over.

use super::dtls;
use super::tls::{self, Carried};
use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::{PerSide, Side};

/// Remote Desktop's transport over UDP.
pub(super) const RDP_UDP: Protocol = Protocol {
    name: "rdp_udp",
    about: About {
        title: "Remote Desktop Protocol: UDP Transport",
        sources: "MS-RDPEUDP 2.2, MS-RDPEUDP2 2.2",
        reads: "The opening with its version and mode, and the TLS or DTLS handshake in the first data.",
        proves: "A SYN datagram of its fixed length, with sane sizes, filled up with zeros.",
        limits: "A flow without its opening is not recognised.",
    },
    attributes: &[VERSION, MODE],
    stream: None,
    datagram: Some(DatagramEntry {
        first_byte: |_| true,
        start: || Box::<RdpUdp>::default(),
    }),
};

/// The version that a side offers, or the server chose: `1`, `2`, `3`, or its number.
const VERSION: &str = "version";
/// `reliable` (TLS inside) or `lossy` (DTLS inside).
const MODE: &str = "mode";

/// Length of an opening datagram, and the sizes that it may name (MS-RDPEUDP 3.1.5.1.1, 2.2.2.2).
const SYN_LENGTH: usize = 1232;
const SIZES: std::ops::RangeInclusive<u16> = 1132..=1232;
/// Bytes of an opening that may carry something; what follows is zeros.
const SYN_USED: usize = 128;
/// Flags (MS-RDPEUDP 2.2.2.1): those of an opening, and those that decide what a datagram carries.
const SYN: u16 = 0x0001;
const ACK: u16 = 0x0004;
const DATA: u16 = 0x0008;
const FEC: u16 = 0x0010;
const ACK_OF_ACKS: u16 = 0x0100;
const LOSSY: u16 = 0x0200;
const CORRELATION: u16 = 0x0800;
const EXTENSION: u16 = 0x1000;
/// The version from which on MS-RDPEUDP2 frames the data.
const VERSION_3: u16 = 0x0101;
/// Bytes of the header and what stands in front of data in MS-RDPEUDP2: the swapped start, and the rest with a full vector.
const HEAD: usize = 7;
const MAX_PARTS: usize = 256;
/// Parts of a datagram of MS-RDPEUDP2 (section 2.2.1), in the order in which they stand.
mod part {
    pub(super) const ACK: u16 = 0x001;
    pub(super) const DATA: u16 = 0x004;
    pub(super) const ACK_VECTOR: u16 = 0x008;
    pub(super) const ACK_OF_ACKS: u16 = 0x010;
    pub(super) const OVERHEAD: u16 = 0x040;
    pub(super) const DELAY: u16 = 0x100;
}

/// One flow.
#[derive(Default)]
struct RdpUdp {
    proven: bool,
    versions: PerSide<Option<u16>>,
    inside: Inside,
}

/// What the data is.
#[derive(Default)]
enum Inside {
    #[default]
    Unknown,
    Tls(Box<Carried>),
    Dtls(Box<dyn DatagramDecoder>),
}

impl DatagramDecoder for RdpUdp {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        match Opening::parse(datagram) {
            Ok(opening) => {
                self.open(&opening, notes);
                Ok(())
            }
            Err(reject) if !self.proven => Err(reject),
            Err(_) => {
                let side = notes.side();
                // What cannot be read is corrections, or cut.
                if let Ok(Some((number, data))) = self.data(datagram.bytes) {
                    self.carried(side, number, data, notes);
                }
                Ok(())
            }
        }
    }
}

impl RdpUdp {
    fn open(&mut self, opening: &Opening, notes: &mut Notes<'_>) {
        self.proven = true;
        notes.proved();
        let sender = notes.side();
        let is_answer = opening.flags & ACK != 0;
        notes.client(if is_answer { sender.other() } else { sender });
        if opening.flags & LOSSY != 0 {
            notes.text(MODE, "lossy");
            if let (Inside::Unknown, Some(entry)) = (&self.inside, &dtls::DTLS.datagram) {
                self.inside = Inside::Dtls((entry.start)());
            }
        } else {
            notes.text(MODE, "reliable");
            if matches!(self.inside, Inside::Unknown) {
                self.inside = Inside::Tls(Box::default());
            }
        }
        self.versions[sender] = opening.version;
        match opening.version {
            Some(VERSION_3) => notes.text(VERSION, "3"),
            Some(version @ 1..=2) => notes.text(VERSION, &version.to_string()),
            Some(version) => notes.text(VERSION, &format!("0x{version:04x}")),
            None => {}
        }
    }

    /// Number and content of a datagram with data.
    fn data<'a>(&self, bytes: &'a [u8]) -> Result<Option<(u32, &'a [u8])>, Reject> {
        // Both must have offered it.
        let is_new = self
            .versions
            .iter()
            .all(|(_, version)| *version == Some(VERSION_3));
        if is_new { second(bytes) } else { first(bytes) }
    }

    fn carried(&mut self, side: Side, number: u32, bytes: &[u8], notes: &mut Notes<'_>) {
        match &mut self.inside {
            Inside::Unknown => {}
            Inside::Tls(carried) => {
                carried.message(side, number, bytes, &mut notes.inside(tls::TLS.name));
            }
            Inside::Dtls(decoder) => {
                let datagram = Datagram {
                    bytes,
                    wire_len: bytes.len(),
                };
                // It refuses before it notes anything.
                let _refused = decoder.datagram(datagram, &mut notes.inside(dtls::DTLS.name));
            }
        }
    }
}

/// An opening datagram.
struct Opening {
    flags: u16,
    version: Option<u16>,
}

impl Opening {
    fn parse(datagram: Datagram<'_>) -> Result<Self, Reject> {
        if datagram.wire_len != SYN_LENGTH {
            return Err(Reject::Other);
        }
        let mut cursor = Cursor::new(datagram.bytes);
        let acknowledged = cursor.u32()?;
        let _window = cursor.u16()?;
        let flags = cursor.u16()?;
        let _number = cursor.u32()?;
        let (up, down) = (cursor.u16()?, cursor.u16()?);
        let is_flags =
            flags & SYN != 0 && flags & !(SYN | ACK | LOSSY | CORRELATION | EXTENSION) == 0;
        let is_first = flags & ACK == 0;
        let is_sane = SIZES.contains(&up) && SIZES.contains(&down);
        let fill = datagram.bytes.get(SYN_USED..).unwrap_or_default();
        let is_filled = fill.iter().all(|byte| *byte == 0);
        if !is_flags || !is_sane || !is_filled || is_first != (acknowledged == u32::MAX) {
            return Err(Reject::Other);
        }
        if flags & CORRELATION != 0 {
            cursor.skip(32)?;
        }
        let version = if flags & EXTENSION != 0 {
            let is_valid = cursor.u16()? & 1 != 0;
            let version = cursor.u16()?;
            is_valid.then_some(version)
        } else {
            None
        };
        Ok(Self { flags, version })
    }
}

/// Data of MS-RDPEUDP 2.2.2.
fn first(bytes: &[u8]) -> Result<Option<(u32, &[u8])>, Reject> {
    let mut cursor = Cursor::new(bytes);
    cursor.skip(6)?;
    let flags = cursor.u16()?;
    if flags & DATA == 0 || flags & (SYN | FEC) != 0 {
        return Ok(None);
    }
    if flags & ACK != 0 {
        let elements = usize::from(cursor.u16()?);
        cursor.skip(elements)?;
        cursor.align(4);
    }
    if flags & ACK_OF_ACKS != 0 {
        cursor.skip(4)?;
    }
    let _coded = cursor.u32()?;
    let number = cursor.u32()?;
    Ok(Some((number, cursor.rest())))
}

/// Data of MS-RDPEUDP2 2.2.1. The byte that describes the packet stands eighth; the one that belongs there, first.
fn second(bytes: &[u8]) -> Result<Option<(u32, &[u8])>, Reject> {
    let &[moved, ref head @ .., prefix] = bytes.first_chunk::<8>().ok_or(Reject::Other)?;
    // Another kind of packet than data.
    if prefix >> 1 & 0xf != 0 {
        return Ok(None);
    }
    let mut start = [0; HEAD];
    let (six, last) = start.split_at_mut(head.len());
    six.copy_from_slice(head);
    last.fill(moved);
    let rest = bytes.get(8..).unwrap_or_default();
    // Everything before the data is short: what lies in front of it is read from a copy.
    let mut front = start.to_vec();
    front.extend_from_slice(rest.get(..rest.len().min(MAX_PARTS)).unwrap_or_default());
    let mut cursor = Cursor::new(&front);
    let Some(number) = parts(&mut cursor)? else {
        return Ok(None);
    };
    let data = cursor
        .offset()
        .checked_sub(HEAD)
        .and_then(|at| rest.get(at..));
    Ok(data.map(|data| (number, data)))
}

/// Reads the parts before the data; the number of the data in its channel.
fn parts(cursor: &mut Cursor<'_>) -> Result<Option<u32>, Reject> {
    let flags = cursor.u16_le()?;
    if flags & part::DATA == 0 {
        return Ok(None);
    }
    if flags & part::ACK != 0 {
        cursor.skip(6)?;
        let delayed = cursor.u8()? & 0xf;
        cursor.skip(usize::from(delayed))?;
    }
    if flags & part::OVERHEAD != 0 {
        cursor.skip(1)?;
    }
    if flags & part::DELAY != 0 {
        cursor.skip(3)?;
    }
    if flags & part::ACK_OF_ACKS != 0 {
        cursor.skip(2)?;
    }
    let _packet = cursor.u16_le()?;
    if flags & part::ACK_VECTOR != 0 {
        cursor.skip(2)?;
        let size = cursor.u8()?;
        if size & 0x80 != 0 {
            cursor.skip(4)?;
        }
        cursor.skip(usize::from(size & 0x7f))?;
    }
    Ok(Some(u32::from(cursor.u16_le()?)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, datagrams, only_registered_attributes, protocols, values,
    };
    use super::*;

    fn opening(flags: u16, version: u16) -> Vec<u8> {
        let is_first = flags & ACK == 0;
        let mut bytes = if is_first { vec![0xff; 4] } else { vec![1; 4] };
        bytes.extend([0, 64]);
        bytes.extend((flags | SYN | EXTENSION).to_be_bytes());
        bytes.extend([7, 7, 7, 7, 4, 0xd0, 4, 0xd0]);
        bytes.extend([0, 1]);
        bytes.extend(version.to_be_bytes());
        bytes.resize(SYN_LENGTH, 0);
        bytes
    }

    /// A TLS hello for `rd.test`, as a record.
    fn hello() -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([0, 0, 2, 0xc0, 0x2f, 1, 0, 0, 16]);
        body.extend(b"\0\0\0\x0c\0\x0a\0\0\x07rd.test");
        let length = body.len() as u8;
        let mut record = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
        record.extend(body);
        record
    }

    fn data(number: u8, acks: &[u8], bytes: &[u8]) -> Vec<u8> {
        let mut packet = vec![7, 7, 7, 7, 0, 64];
        packet.extend((DATA | ACK).to_be_bytes());
        packet.extend((acks.len() as u16).to_be_bytes());
        packet.extend(acks);
        packet.resize(packet.len().next_multiple_of(4), 0);
        packet.extend([0, 0, 0, number, 0, 0, 0, number]);
        packet.extend(bytes);
        packet
    }

    fn data_of_version_3(number: u8, bytes: &[u8]) -> Vec<u8> {
        let flags = part::DATA | part::ACK | part::DELAY | part::ACK_OF_ACKS | part::OVERHEAD;
        let mut packet = flags.to_le_bytes().to_vec();
        packet.extend([1, 0, 2, 0, 0, 3, 1, 9]);
        packet.push(10);
        packet.extend([1, 0xf4, 1]);
        packet.extend([100, 0, 100, 0, number, 0]);
        packet.extend(bytes);
        // The eighth byte and the one before the packet change places.
        packet.insert(0, 0xe0);
        packet.swap(0, 7);
        packet
    }

    #[test]
    fn the_handshake_of_a_reliable_transport_is_read() {
        let hello = hello();
        let (start, end) = hello.split_at(30);
        let client = opening(0, 2);
        let server = opening(ACK, 2);
        let recorder = datagrams(&[
            (CLIENT, &client),
            (SERVER, &server),
            (CLIENT, &data(1, &[], start)),
            (CLIENT, &data(2, &[5], end)),
        ]);
        assert_eq!(protocols(&recorder), ["rdp_udp", "tls"]);
        assert_eq!(values(&recorder, "rdp_udp", "version"), ["2", "2"]);
        assert_eq!(
            values(&recorder, "rdp_udp", "mode"),
            ["reliable", "reliable"]
        );
        assert_eq!(values(&recorder, "tls", "server_name"), ["rd.test"]);
        assert_eq!(recorder.client, Some(CLIENT));
        only_registered_attributes(&recorder, &[&RDP_UDP]);
    }

    #[test]
    fn the_handshake_of_version_3_is_read() {
        let hello = hello();
        let (start, end) = hello.split_at(30);
        let recorder = datagrams(&[
            (CLIENT, &opening(0, VERSION_3)),
            (SERVER, &opening(ACK, VERSION_3)),
            (CLIENT, &data_of_version_3(1, start)),
            (CLIENT, &data_of_version_3(2, end)),
        ]);
        assert_eq!(values(&recorder, "rdp_udp", "version"), ["3", "3"]);
        assert_eq!(values(&recorder, "tls", "server_name"), ["rd.test"]);
    }

    #[test]
    fn a_lossy_transport_carries_dtls() {
        let alert = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 2, 40];
        let recorder = datagrams(&[
            (CLIENT, &opening(LOSSY, 1)),
            (SERVER, &opening(LOSSY | ACK, 1)),
            (CLIENT, &data(1, &[], &alert)),
        ]);
        assert_eq!(protocols(&recorder), ["rdp_udp", "dtls"]);
        assert_eq!(values(&recorder, "rdp_udp", "mode"), ["lossy", "lossy"]);
    }

    #[test]
    fn other_datagrams_of_that_length_are_refused() {
        let noise = vec![0xff; SYN_LENGTH];
        let mut filled = opening(0, 2);
        filled[1000] = 1;
        let mut size = opening(0, 2);
        size[12] = 9;
        let mut answer = opening(0, 2);
        answer[7] |= 4;
        for bad in [&noise, &filled, &size, &answer] {
            assert!(!protocols(&datagrams(&[(CLIENT, bad)])).contains(&"rdp_udp"));
        }
        for length in [0, 8, 20, 1231] {
            let cut = &opening(0, 2)[..length];
            assert!(protocols(&datagrams(&[(CLIENT, cut)])).is_empty());
        }
        let start = (CLIENT, opening(0, VERSION_3));
        let packet = data_of_version_3(1, &hello());
        for length in 0..packet.len() {
            datagrams(&[(start.0, &start.1), (CLIENT, &packet[..length])]);
        }
    }
}
