//! Decompression of captures: gzip, zstd, lz4 frame, bzip2 and xz, told by magic, with any number of members or frames
//! behind each other.
//!
//! Memory is bounded: no decoder buffers more than its window, and windows are limited.

use std::fmt;
use std::io::{self, BufRead, Read};

use super::lookahead::{Bytes, Lookahead};

/// Most memory that an xz decoder may take: `xz -9` needs 65 MiB, and a stream may claim up to 4 GiB. (The zstd decoder
/// has a limit of its own, a window of 128 MiB.)
const XZ_MEMORY_BYTES: u64 = 512 * 1024 * 1024;

/// Bytes that tell a compression by its magic.
const MAGIC_BYTES: usize = 6;

/// A compression around a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// LZ4 frame format.
    Lz4,
    /// bzip2.
    Bzip2,
    /// The .xz format.
    Xz,
}

impl Compression {
    /// From the first bytes. A skippable frame, which both zstd and lz4 allow first, counts as zstd here; what follows
    /// it is told by its own magic.
    pub(super) fn of(head: &[u8]) -> Option<Self> {
        match head {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            _ if is_skippable(head) => Some(Self::Zstd),
            [0x04, 0x22, 0x4d, 0x18, ..] => Some(Self::Lz4),
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some(Self::Bzip2),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            _ => None,
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
        })
    }
}

/// RFC 8878 section 3.1.2.
fn is_skippable(head: &[u8]) -> bool {
    matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

/// Decompresses members one after the other. A stream that ends inside a member is an `UnexpectedEof` after all that
/// could be decompressed.
pub(super) struct Members {
    member: Option<Member>,
}

enum Member {
    Gzip(flate2::bufread::GzDecoder<Lookahead>),
    Zstd(zstd::Decoder<'static, Lookahead>),
    Lz4(Box<lz4_flex::frame::FrameDecoder<Lookahead>>),
    Bzip2(bzip2::bufread::BzDecoder<Lookahead>),
    Xz(liblzma::bufread::XzDecoder<Lookahead>),
}

impl Members {
    /// Starts at the first member; `input` stands at the magic that [`Compression::of`] accepted.
    pub(super) fn new(input: Lookahead) -> io::Result<Self> {
        Ok(Self {
            member: next_member(input)?,
        })
    }
}

/// Opens the member at which `input` stands, past skippable frames and zero padding; none at the end.
fn next_member(mut input: Lookahead) -> io::Result<Option<Member>> {
    loop {
        let head = input.peek(MAGIC_BYTES.saturating_add(2))?;
        if is_skippable(head) {
            let length = head.get(4..).and_then(|rest| rest.first_chunk()).copied();
            let length = length.ok_or(io::ErrorKind::UnexpectedEof)?;
            let whole = u64::from(u32::from_le_bytes(length)).saturating_add(8);
            if io::copy(&mut input.by_ref().take(whole), &mut io::sink())? < whole {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            continue;
        }
        match head {
            [] => return Ok(None),
            // The .xz format pads streams with zeros (section 2.2), and tapes pad whatever they hold.
            [0, ..] => {
                input.consume(1);
                continue;
            }
            _ => {}
        }
        let Some(compression) = Compression::of(head) else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "bytes that are no further compressed member",
            ));
        };
        return Member::open(compression, input).map(Some);
    }
}

impl Member {
    fn open(compression: Compression, input: Lookahead) -> io::Result<Self> {
        Ok(match compression {
            Compression::Gzip => Self::Gzip(flate2::bufread::GzDecoder::new(input)),
            Compression::Zstd => Self::Zstd(zstd::Decoder::with_buffer(input)?.single_frame()),
            Compression::Lz4 => Self::Lz4(Box::new(lz4_flex::frame::FrameDecoder::new(input))),
            Compression::Bzip2 => Self::Bzip2(bzip2::bufread::BzDecoder::new(input)),
            Compression::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY_BYTES, 0)?;
                Self::Xz(liblzma::bufread::XzDecoder::new_stream(input, stream))
            }
        })
    }

    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(decoder) => decoder.read(out),
            Self::Zstd(decoder) => decoder.read(out),
            Self::Lz4(decoder) => decoder.read(out),
            Self::Bzip2(decoder) => decoder.read(out),
            Self::Xz(decoder) => decoder.read(out),
        }
    }

    /// The input behind this member, which has said that it is at its end.
    fn finish(self) -> io::Result<Lookahead> {
        match self {
            Self::Gzip(decoder) => Ok(decoder.into_inner()),
            Self::Zstd(decoder) => Ok(decoder.finish()),
            Self::Lz4(decoder) => {
                let input = decoder.into_inner();
                // `lz4_flex` takes the end of its input between two blocks for the end of the frame; a whole frame ends
                // with a mark, and nothing is asked for after that.
                if input.ran_dry() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Ok(input)
            }
            Self::Bzip2(decoder) => Ok(decoder.into_inner()),
            Self::Xz(decoder) => Ok(decoder.into_inner()),
        }
    }
}

impl Read for Members {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        while let Some(member) = &mut self.member {
            let count = member.read(out)?;
            if count > 0 {
                return Ok(count);
            }
            let Some(member) = self.member.take() else {
                break;
            };
            self.member = next_member(member.finish()?)?;
        }
        Ok(0)
    }
}

impl Members {
    /// As a byte source.
    pub(super) fn boxed(self) -> Bytes {
        Box::new(self)
    }
}
