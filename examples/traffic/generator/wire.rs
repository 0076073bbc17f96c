//! Frames into a pcap file: headers with true lengths and checksums around payloads.

use std::io::{self, Write};
use std::net::IpAddr;

use super::session::Payload;

const TCP: u8 = 6;
const UDP: u8 = 17;
/// Random bytes that stand for what is encrypted or compressed: payloads are cut out of these.
const NOISE: usize = 1 << 20;
/// Shortest frame without its checksum (IEEE 802.3 §3.2.7): shorter ones are padded.
const SHORTEST: usize = 60;

/// One end of a flow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    pub(crate) mac: [u8; 6],
    /// Time to live at the tap.
    pub(crate) hops: u8,
}

/// Header fields of a segment.
pub(crate) struct Segment {
    pub(crate) flags: u8,
    pub(crate) sequence: u32,
    pub(crate) acknowledgment: u32,
}

pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const RST: u8 = 0x04;
pub(crate) const PSH: u8 = 0x08;
pub(crate) const ACK: u8 = 0x10;

/// The file, and what is in it so far.
pub(crate) struct Wire<'a> {
    out: &'a mut dyn Write,
    frame: Vec<u8>,
    noise: Vec<u8>,
    noise_at: usize,
    identification: u16,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

impl<'a> Wire<'a> {
    /// A pcap file with microseconds, little-endian, of Ethernet frames.
    pub(crate) fn new(
        out: &'a mut dyn Write,
        noise: impl FnOnce(usize) -> Vec<u8>,
    ) -> io::Result<Self> {
        for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 262_144, 1_u32] {
            out.write_all(&word.to_le_bytes())?;
        }
        Ok(Self {
            out,
            frame: Vec::with_capacity(2048),
            noise: noise(NOISE),
            noise_at: 0,
            identification: 0,
            packets: 0,
            bytes: 24,
        })
    }

    /// A frame as it is.
    pub(crate) fn raw(&mut self, at: u64, frame: &[u8]) -> io::Result<()> {
        self.frame.clear();
        self.frame.extend(frame);
        self.put(at)
    }

    pub(crate) fn udp(
        &mut self,
        at: u64,
        vlan: Option<u16>,
        (from, to): (&End, &End),
        payload: &Payload,
    ) -> io::Result<()> {
        let start = self.headers(vlan, from, to, UDP, 8 + payload.len());
        let length = (8 + payload.len()) as u16;
        for field in [from.port, to.port, length, 0] {
            self.frame.extend(field.to_be_bytes());
        }
        self.payload(payload, 0, payload.len());
        let sum = match self.checksum(from, to, UDP, start) {
            0 => 0xffff,
            sum => sum,
        };
        self.frame[start + 6..start + 8].copy_from_slice(&sum.to_be_bytes());
        self.put(at)
    }

    /// A segment with the bytes of `payload` from `offset` on, `length` of them.
    pub(crate) fn tcp(
        &mut self,
        at: u64,
        vlan: Option<u16>,
        (from, to): (&End, &End),
        segment: &Segment,
        (payload, offset, length): (&Payload, usize, usize),
    ) -> io::Result<()> {
        // MSS 1460, window scale 8, SACK permitted (RFC 9293, RFC 7323, RFC 2018)
        const OPTIONS: [u8; 12] = [2, 4, 5, 180, 1, 3, 3, 8, 1, 1, 4, 2];
        let options: &[u8] = if segment.flags & SYN != 0 {
            &OPTIONS
        } else {
            &[]
        };
        let header = 20 + options.len();
        let start = self.headers(vlan, from, to, TCP, header + length);
        self.frame.extend(from.port.to_be_bytes());
        self.frame.extend(to.port.to_be_bytes());
        self.frame.extend(segment.sequence.to_be_bytes());
        self.frame.extend(segment.acknowledgment.to_be_bytes());
        self.frame
            .extend([(header as u8 / 4) << 4, segment.flags, 2, 1, 0, 0, 0, 0]);
        self.frame.extend(options);
        self.payload(payload, offset, length);
        let sum = self.checksum(from, to, TCP, start);
        self.frame[start + 16..start + 18].copy_from_slice(&sum.to_be_bytes());
        self.put(at)
    }

    /// Ethernet and IP; where the transport header starts.
    fn headers(
        &mut self,
        vlan: Option<u16>,
        from: &End,
        to: &End,
        protocol: u8,
        length: usize,
    ) -> usize {
        self.frame.clear();
        self.frame.extend(to.mac);
        self.frame.extend(from.mac);
        if let Some(vlan) = vlan {
            self.frame.extend([0x81, 0]);
            self.frame.extend(vlan.to_be_bytes());
        }
        match (from.address, to.address) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                self.frame.extend([0x08, 0, 0x45, 0]);
                let ip = self.frame.len() - 2;
                self.identification = self.identification.wrapping_add(1);
                self.frame.extend((20 + length as u16).to_be_bytes());
                self.frame.extend(self.identification.to_be_bytes());
                self.frame.extend([0x40, 0, from.hops, protocol, 0, 0]);
                self.frame.extend(source.octets());
                self.frame.extend(destination.octets());
                let sum = !fold(sum(&self.frame[ip..]));
                self.frame[ip + 10..ip + 12].copy_from_slice(&sum.to_be_bytes());
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                self.frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
                self.frame.extend((length as u16).to_be_bytes());
                self.frame.extend([protocol, from.hops]);
                self.frame.extend(source.octets());
                self.frame.extend(destination.octets());
            }
            _ => unreachable!("both ends are of one family"),
        }
        self.frame.len()
    }

    /// What of a payload lies between `offset` and `offset + length`.
    fn payload(&mut self, payload: &Payload, offset: usize, length: usize) {
        let (start, end) = (self.frame.len(), offset + length);
        let head = payload.head.len();
        if offset < head {
            self.frame.extend(&payload.head[offset..end.min(head)]);
        }
        let noise = end.saturating_sub(head.max(offset));
        if noise > 0 {
            // A prime step, so that no two packets are alike.
            self.noise_at = (self.noise_at + 7919) % (NOISE - noise);
            self.frame
                .extend(&self.noise[self.noise_at..self.noise_at + noise]);
        }
        payload.frame_records(offset, &mut self.frame[start..]);
    }

    /// The checksum of what starts at `start`, with the pseudo header (RFC 9293 §3.1, RFC 8200 §8.1).
    fn checksum(&self, from: &End, to: &End, protocol: u8, start: usize) -> u16 {
        let address = |end: &End| match end.address {
            IpAddr::V4(address) => sum(&address.octets()),
            IpAddr::V6(address) => sum(&address.octets()),
        };
        let length = (self.frame.len() - start) as u64;
        let pseudo = address(from) + address(to) + u64::from(protocol) + length;
        !fold(pseudo + sum(&self.frame[start..]))
    }

    fn put(&mut self, at: u64) -> io::Result<()> {
        let length = self.frame.len().max(SHORTEST);
        self.frame.resize(length, 0);
        let mut header = [0; 16];
        let words = [at / 1_000_000, at % 1_000_000, length as u64, length as u64];
        for (field, word) in header.chunks_exact_mut(4).zip(words) {
            field.copy_from_slice(&(word as u32).to_le_bytes());
        }
        self.out.write_all(&header)?;
        self.out.write_all(&self.frame)?;
        self.packets += 1;
        self.bytes += 16 + length as u64;
        Ok(())
    }
}

/// The sum of the Internet checksum (RFC 1071), not folded.
fn sum(bytes: &[u8]) -> u64 {
    let words = bytes.chunks_exact(4);
    let rest = match *words.remainder() {
        [] => 0,
        [a] => u32::from_be_bytes([a, 0, 0, 0]),
        [a, b] => u32::from_be_bytes([a, b, 0, 0]),
        [a, b, c, ..] => u32::from_be_bytes([a, b, c, 0]),
    };
    words
        .map(|word| u64::from(u32::from_be_bytes([word[0], word[1], word[2], word[3]])))
        .sum::<u64>()
        + u64::from(rest)
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}
