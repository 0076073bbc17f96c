//! Writes captures byte by byte, and reads them as a consumer does.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::io::Read;

use exwire::capture::{Block, CaptureError, FileSummary, Options, Reader};

/// A packet as a test looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub nanos: i64,
    pub link: u16,
    pub bytes: Vec<u8>,
    pub wire_len: u32,
    pub number: u64,
    pub interface: u32,
}

/// Reads all that a reader has.
pub fn drain(mut reader: Reader) -> (Vec<Seen>, Vec<FileSummary>) {
    let mut block = Block::new();
    let mut seen = Vec::new();
    while reader.fill(&mut block).unwrap() {
        assert!(!block.is_empty());
        seen.extend(block.packets().map(|packet| Seen {
            nanos: packet.time.nanos(),
            link: packet.link.0,
            bytes: packet.bytes.to_vec(),
            wire_len: packet.wire_len,
            number: packet.number,
            interface: packet.interface,
        }));
    }
    (seen, reader.summary().to_vec())
}

/// Reads a stream.
pub fn read(stream: impl Read + Send + 'static) -> Result<(Vec<Seen>, FileSummary), CaptureError> {
    let reader = Reader::from_stream(stream, "x", &Options::default())?;
    let (seen, mut summaries) = drain(reader);
    assert_eq!(summaries.len(), 1);
    Ok((seen, summaries.remove(0)))
}

/// Reads bytes.
pub fn read_bytes(bytes: &[u8]) -> Result<(Vec<Seen>, FileSummary), CaptureError> {
    read(std::io::Cursor::new(bytes.to_vec()))
}

/// Yields one byte per read.
pub struct Drip(pub std::io::Cursor<Vec<u8>>);

impl Drip {
    pub fn new(bytes: &[u8]) -> Self {
        Self(std::io::Cursor::new(bytes.to_vec()))
    }
}

impl Read for Drip {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let one = out.len().min(1);
        self.0.read(&mut out[..one])
    }
}

/// Writes numbers in one byte order.
#[derive(Clone, Copy)]
pub struct Order {
    pub big: bool,
}

pub const LITTLE: Order = Order { big: false };
pub const BIG: Order = Order { big: true };

impl Order {
    pub fn u16(self, value: u16) -> [u8; 2] {
        if self.big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    }

    pub fn u32(self, value: u32) -> [u8; 4] {
        if self.big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    }

    pub fn u64(self, value: u64) -> [u8; 8] {
        if self.big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    }

    /// A pcap file header.
    pub fn pcap(self, magic: u32, minor: u16, link: u32) -> Vec<u8> {
        let mut out = self.u32(magic).to_vec();
        out.extend(self.u16(2));
        out.extend(self.u16(minor));
        out.extend([0; 8]);
        out.extend(self.u32(65535));
        out.extend(self.u32(link));
        out
    }

    /// A pcap record of 16 + n bytes.
    pub fn record(self, seconds: u32, fraction: u32, wire_len: u32, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for word in [seconds, fraction, bytes.len() as u32, wire_len] {
            out.extend(self.u32(word));
        }
        out.extend(bytes);
        out
    }

    /// A pcapng block.
    pub fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let padded = body.len().next_multiple_of(4);
        let total = self.u32((padded + 12) as u32);
        let mut out = self.u32(kind).to_vec();
        out.extend(total);
        out.extend(body);
        out.resize(padded + 8, 0);
        out.extend(total);
        out
    }

    /// A section header.
    pub fn section(self, minor: u16) -> Vec<u8> {
        let mut body = self.u32(0x1a2b_3c4d).to_vec();
        body.extend(self.u16(1));
        body.extend(self.u16(minor));
        body.extend(self.u64(u64::MAX));
        self.block(0x0a0d_0d0a, &body)
    }

    /// An interface description.
    pub fn interface(self, link: u16, snaplen: u32, options: &[u8]) -> Vec<u8> {
        let mut body = self.u16(link).to_vec();
        body.extend(self.u16(0));
        body.extend(self.u32(snaplen));
        body.extend(options);
        self.block(1, &body)
    }

    /// An option with its padding.
    pub fn option(self, code: u16, value: &[u8]) -> Vec<u8> {
        let mut out = self.u16(code).to_vec();
        out.extend(self.u16(value.len() as u16));
        out.extend(value);
        out.resize(4 + value.len().next_multiple_of(4), 0);
        out
    }

    /// An Enhanced Packet Block.
    pub fn packet(
        self,
        interface: u32,
        ticks: u64,
        wire_len: u32,
        bytes: &[u8],
        options: &[u8],
    ) -> Vec<u8> {
        let mut body = self.u32(interface).to_vec();
        body.extend(self.u32((ticks >> 32) as u32));
        body.extend(self.u32(ticks as u32));
        body.extend(self.u32(bytes.len() as u32));
        body.extend(self.u32(wire_len));
        body.extend(bytes);
        body.resize(body.len().next_multiple_of(4), 0);
        body.extend(options);
        self.block(6, &body)
    }
}

/// A pcap file of Ethernet packets: one per (seconds, bytes).
pub fn pcap(packets: &[(u32, &[u8])]) -> Vec<u8> {
    let mut out = LITTLE.pcap(0xa1b2_c3d4, 4, 1);
    for (seconds, bytes) in packets {
        out.extend(LITTLE.record(*seconds, 0, bytes.len() as u32, bytes));
    }
    out
}

/// A snoop file header.
pub fn snoop_header(version: u32, datalink: u32) -> Vec<u8> {
    [&b"snoop\0\0\0"[..], &BIG.u32(version), &BIG.u32(datalink)].concat()
}

/// A snoop record, padded to a multiple of four.
pub fn snoop_record(drops: u32, seconds: u32, micros: u32, wire_len: u32, bytes: &[u8]) -> Vec<u8> {
    let length = (24 + bytes.len()).next_multiple_of(4);
    let mut out = Vec::new();
    for word in [
        wire_len,
        bytes.len() as u32,
        length as u32,
        drops,
        seconds,
        micros,
    ] {
        out.extend(BIG.u32(word));
    }
    out.extend(bytes);
    out.resize(length, 0);
    out
}

/// A snoop file of Ethernet packets: one per (seconds, bytes).
pub fn snoop(packets: &[(u32, &[u8])]) -> Vec<u8> {
    let mut out = snoop_header(2, 4);
    for (seconds, bytes) in packets {
        out.extend(snoop_record(0, *seconds, 0, bytes.len() as u32, bytes));
    }
    out
}

/// A pcapng file of Ethernet packets in microseconds.
pub fn pcapng(packets: &[(u32, &[u8])]) -> Vec<u8> {
    let mut out = LITTLE.section(0);
    out.extend(LITTLE.interface(1, 0, &[]));
    for (seconds, bytes) in packets {
        out.extend(LITTLE.packet(
            0,
            u64::from(*seconds) * 1_000_000,
            bytes.len() as u32,
            bytes,
            &[],
        ));
    }
    out
}

/// A Network Monitor capture of version `2.minor` that starts at 2010-03-04 05:06:07.008: frames of a delta in
/// microseconds, a media type and bytes, then the frame table.
pub fn netmon(minor: u8, frames: &[(u64, u16, &[u8])]) -> Vec<u8> {
    let mut file = b"GMBU".to_vec();
    file.extend([minor, 2, 1, 0]);
    for word in [2010_u16, 3, 4, 4, 5, 6, 7, 8] {
        file.extend(word.to_le_bytes());
    }
    file.resize(128, 0);
    let mut places = Vec::new();
    for (delta, media, bytes) in frames {
        places.push(file.len() as u32);
        file.extend(delta.to_le_bytes());
        file.extend(
            [bytes.len() as u32 + 10, bytes.len() as u32]
                .map(u32::to_le_bytes)
                .concat(),
        );
        file.extend(*bytes);
        if minor >= 1 {
            file.extend(media.to_le_bytes());
        }
        if minor >= 2 {
            file.extend(u32::MAX.to_le_bytes());
        }
        if minor >= 3 {
            // 1970-01-01 and the delta.
            file.extend((116_444_736_000_000_000 + delta * 10).to_le_bytes());
            file.push(0);
        }
    }
    let table = file.len() as u32;
    for place in &places {
        file.extend(place.to_le_bytes());
    }
    file[24..28].copy_from_slice(&table.to_le_bytes());
    file[28..32].copy_from_slice(&(4 * places.len() as u32).to_le_bytes());
    file
}
