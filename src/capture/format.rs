//! Telling formats by their first bytes.

use std::fmt;

/// First bytes that are enough to tell every format here.
pub(super) const HEAD_BYTES: usize = 96;

/// The byte order of a file or a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    pub(super) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    pub(super) fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    pub(super) fn u64(self, bytes: [u8; 8]) -> u64 {
        match self {
            Self::Little => u64::from_le_bytes(bytes),
            Self::Big => u64::from_be_bytes(bytes),
        }
    }
}

/// Which of the three record layouts a pcap file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variant {
    Micro,
    Nano,
    /// Kuznetsov's patch: microseconds, and eight more bytes in a record header.
    Modified,
}

/// A capture format that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// pcap with microseconds (draft-ietf-opsawg-pcap).
    Pcap,
    /// pcap with nanoseconds.
    PcapNano,
    /// pcap with the 24-byte record headers of Kuznetsov's patch.
    PcapModified,
    /// pcapng (draft-ietf-opsawg-pcapng).
    PcapNg,
    /// snoop (RFC 1761).
    Snoop,
    /// Network Monitor 1 and 2 ("Capture File Format" of the Network Monitor 3 help).
    NetMon,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pcap => "pcap",
            Self::PcapNano => "nanosecond pcap",
            Self::PcapModified => "modified pcap",
            Self::PcapNg => "pcapng",
            Self::Snoop => "snoop",
            Self::NetMon => "Network Monitor",
        })
    }
}

/// A capture format that is recognised, and not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// Network Associates Sniffer.
    Sniffer,
    /// NetXray, Sniffer for Windows.
    NetXray,
    /// Windows event trace (`netsh trace`, `pktmon`).
    Etl,
    /// pcapng after a transfer in text mode.
    TextModePcapNg,
}

impl Foreign {
    /// How to make a capture of it that can be read.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Sniffer | Self::NetXray => "convert it: editcap -F pcapng IN OUT.pcapng",
            Self::Etl => {
                "convert it: etl2pcapng IN.etl OUT.pcapng, or pktmon etl2pcap IN.etl --out OUT.pcapng"
            }
            Self::TextModePcapNg => "copy it again in binary mode",
        }
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sniffer => "a Sniffer capture",
            Self::NetXray => "a NetXray capture",
            Self::Etl => "a Windows event trace (ETL)",
            Self::TextModePcapNg => "a pcapng capture that a transfer in text mode has damaged",
        })
    }
}

/// What the first bytes of a (decompressed) file are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Pcap(Order, Variant),
    PcapNg,
    Snoop,
    NetMon,
    Foreign(Foreign),
    Empty,
    /// Something else, in words.
    Other(String),
}

impl Content {
    /// From the first [`HEAD_BYTES`] of a file, or all of it where it is shorter.
    pub(super) fn of(head: &[u8]) -> Self {
        match head {
            [] => Self::Empty,
            [0xd4, 0xc3, 0xb2, 0xa1, ..] => Self::Pcap(Order::Little, Variant::Micro),
            [0xa1, 0xb2, 0xc3, 0xd4, ..] => Self::Pcap(Order::Big, Variant::Micro),
            [0x4d, 0x3c, 0xb2, 0xa1, ..] => Self::Pcap(Order::Little, Variant::Nano),
            [0xa1, 0xb2, 0x3c, 0x4d, ..] => Self::Pcap(Order::Big, Variant::Nano),
            [0x34, 0xcd, 0xb2, 0xa1, ..] => Self::Pcap(Order::Little, Variant::Modified),
            [0xa1, 0xb2, 0xcd, 0x34, ..] => Self::Pcap(Order::Big, Variant::Modified),
            [0x0a, 0x0d, 0x0d, 0x0a, ..] => Self::PcapNg,
            [b'R', b'T', b'S', b'S', ..] | [b'G', b'M', b'B', b'U', ..] => Self::NetMon,
            [b's', b'n', b'o', b'o', b'p', 0, 0, 0, ..] => Self::Snoop,
            [b'T', b'R', b'S', b'N', b'I', b'F', b'F', ..] => Self::Foreign(Foreign::Sniffer),
            [b'X', b'C', b'P', 0, ..] => Self::Foreign(Foreign::NetXray),
            _ if is_text_mode_section(head) => Self::Foreign(Foreign::TextModePcapNg),
            _ if is_etl(head) => Self::Foreign(Foreign::Etl),
            _ => Self::Other(describe(head)),
        }
    }
}

/// Whether a file starts with what is left of a pcapng section header after line ends were rewritten.
fn is_text_mode_section(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [0x0a, 0x0d, 0x0a, ..] | [0x0d, 0x0d, 0x0a, ..] | [0x0d, 0x0a, 0x0d, 0x0d, 0x0d, 0x0a, ..]
    )
}

/// An ETW log starts with a buffer header of 0x48 bytes (its size, the bytes in use), then the system's own trace
/// header, whose marker is 0xC0 and type 1 or 2 (32 or 64 bits).
fn is_etl(head: &[u8]) -> bool {
    const LARGEST_BUFFER: u32 = 16 * 1024 * 1024;
    let word = |at: usize| {
        let bytes = head.get(at..)?.first_chunk()?;
        Some(u32::from_le_bytes(*bytes))
    };
    let (Some(size), Some(saved), Some(marker)) = (word(0), word(4), word(0x48)) else {
        return false;
    };
    size >= 1024
        && size.is_multiple_of(1024)
        && size <= LARGEST_BUFFER
        && saved <= size
        && matches!(marker.to_be_bytes(), [0xc0, 1 | 2, 0, _])
}

/// Says what a file that is no capture looks like.
fn describe(head: &[u8]) -> String {
    let known = match head {
        [b'%', b'P', b'D', b'F', ..] => Some("a PDF document"),
        [b'P', b'K', 3, 4, ..] => Some("a zip archive (unpack it first)"),
        [b'7', b'z', 0xbc, 0xaf, ..] => Some("a 7z archive (unpack it first)"),
        [b'R', b'a', b'r', b'!', ..] => Some("a rar archive (unpack it first)"),
        [0x89, b'P', b'N', b'G', ..] => Some("a PNG image"),
        [0x7f, b'E', b'L', b'F', ..] | [b'M', b'Z', ..] => Some("a program"),
        _ => None,
    };
    if let Some(known) = known {
        return known.to_owned();
    }
    let is_text = |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~' | 0x80..);
    if head.iter().all(is_text) {
        return "text".to_owned();
    }
    let start: Vec<String> = head
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("unknown bytes {}", start.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_documents_are_named() {
        let found = |bytes: &[u8]| match Content::of(bytes) {
            Content::Other(found) => found,
            other => panic!("{other:?}"),
        };
        assert_eq!(found(b"time,source,destination\n"), "text");
        assert_eq!(found(b"%PDF-1.7\n%\xe2"), "a PDF document");
        assert_eq!(found(&[0, 1, 2]), "unknown bytes 00 01 02");
    }

    #[test]
    fn an_event_trace_is_told_by_its_first_two_headers() {
        let mut head = [0u8; HEAD_BYTES];
        head[0..4].copy_from_slice(&0x1_0000u32.to_le_bytes());
        head[4..8].copy_from_slice(&0x400u32.to_le_bytes());
        head[0x48..0x4c].copy_from_slice(&0xc002_0002u32.to_le_bytes());
        let marker = u32::from_le_bytes([2, 0, 2, 0xc0]);
        assert_eq!(marker, 0xc002_0002);
        assert_eq!(Content::of(&head), Content::Foreign(Foreign::Etl));
        head[0x4b] = 0;
        assert_ne!(Content::of(&head), Content::Foreign(Foreign::Etl));
    }

    #[test]
    fn a_section_header_with_rewritten_line_ends_is_named() {
        for head in [
            &[0x0a, 0x0d, 0x0a, 0x1c][..],
            &[0x0d, 0x0a, 0x0d, 0x0d, 0x0d, 0x0a, 0x1c],
            &[0x0d, 0x0d, 0x0a, 0x1c],
        ] {
            assert_eq!(Content::of(head), Content::Foreign(Foreign::TextModePcapNg));
        }
    }
}
