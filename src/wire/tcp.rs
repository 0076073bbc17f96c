//! TCP headers (RFC 9293 §3.1).

use std::fmt;

use super::checksum;
use super::dissector::{Next, Step, Walk};
use super::udp;
use super::{Checksum, Layer, Reason, TransportHeader};
use crate::bytes::Cursor;

const HEADER: usize = 20;

/// The control bits of TCP, the low nine bits of the word they stand in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TcpFlags(pub u16);

impl TcpFlags {
    /// The sender has finished.
    pub const FIN: Self = Self(0x001);
    /// Synchronize sequence numbers.
    pub const SYN: Self = Self(0x002);
    /// Reset the connection.
    pub const RST: Self = Self(0x004);
    /// Push.
    pub const PSH: Self = Self(0x008);
    /// The acknowledgment counts.
    pub const ACK: Self = Self(0x010);
    /// The urgent pointer counts.
    pub const URG: Self = Self(0x020);
    /// Echo of a congestion mark (RFC 3168).
    pub const ECE: Self = Self(0x040);
    /// Congestion window reduced (RFC 3168).
    pub const CWR: Self = Self(0x080);
    /// Accurate ECN, once the nonce sum (RFC 9768).
    pub const AE: Self = Self(0x100);

    /// Whether all bits of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any bit of `other` is set.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The bits of both.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Display for TcpFlags {
    /// The names of the bits that are set, as in `SYN,ACK`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [(TcpFlags, &str); 9] = [
            (TcpFlags::SYN, "SYN"),
            (TcpFlags::FIN, "FIN"),
            (TcpFlags::RST, "RST"),
            (TcpFlags::PSH, "PSH"),
            (TcpFlags::ACK, "ACK"),
            (TcpFlags::URG, "URG"),
            (TcpFlags::ECE, "ECE"),
            (TcpFlags::CWR, "CWR"),
            (TcpFlags::AE, "AE"),
        ];
        let set = NAMES.iter().filter(|(flag, _)| self.contains(*flag));
        for (index, (_, name)) in set.enumerate() {
            if index != 0 {
                f.write_str(",")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

/// A TCP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpHeader {
    /// The port of the sender.
    pub source_port: u16,
    /// The port of the receiver.
    pub destination_port: u16,
    /// Sequence number of the first payload byte (of the SYN, where there is one).
    pub sequence: u32,
    /// The sequence number expected next from the other side, where [`TcpFlags::ACK`] is set.
    pub acknowledgment: u32,
    /// The control bits.
    pub flags: TcpFlags,
    /// The receive window as it stands in the header, not scaled.
    pub window: u16,
    /// The maximum segment size that a SYN announces (RFC 9293 §3.7.1), in bytes.
    pub maximum_segment: Option<u16>,
}

/// From the source port on.
pub(super) fn segment(walk: &mut Walk<'_>) -> Step {
    let segment = walk.window;
    let header: &[u8; HEADER] = match walk.window.array(Layer::Tcp) {
        Ok(header) => header,
        Err(stop) => return udp::ports_and_stop(walk, stop),
    };
    let flags = TcpFlags(u16::from_be_bytes([header[12], header[13]]) & 0x01ff);
    let mut tcp = TcpHeader {
        source_port: u16::from_be_bytes([header[0], header[1]]),
        destination_port: u16::from_be_bytes([header[2], header[3]]),
        sequence: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
        acknowledgment: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
        flags,
        window: u16::from_be_bytes([header[14], header[15]]),
        maximum_segment: None,
    };
    let options_len = usize::from(header[12] >> 4)
        .saturating_mul(4)
        .checked_sub(HEADER)
        .filter(|&length| length <= walk.window.wire());
    let Some(options_len) = options_len else {
        // Without the end of the header there is no telling where a payload starts.
        walk.layers.transport = Some(TransportHeader::Tcp(tcp));
        walk.note(Layer::Tcp, Reason::Length);
        return Ok(Next::Done);
    };
    let options = match walk.window.take(options_len, Layer::Tcp) {
        Ok(options) => options,
        Err(stop) => {
            let left = walk.window.wire().saturating_sub(options_len);
            walk.layers.transport = Some(TransportHeader::Tcp(tcp));
            walk.layers.payload_wire_len = u32::try_from(left).unwrap_or(u32::MAX);
            return Err(stop);
        }
    };
    if flags.contains(TcpFlags::SYN) {
        tcp.maximum_segment = maximum_segment(options);
    }
    if walk.verify_checksums {
        walk.layers.checksums.transport = match walk.layers.network {
            Some(network) if !segment.is_cut() && walk.checkable => checksum::of_segment(
                &network,
                segment.bytes(),
                u16::from_be_bytes([header[16], header[17]]),
            ),
            _ => Checksum::Unverifiable,
        };
    }
    walk.deliver(TransportHeader::Tcp(tcp));
    Ok(Next::Done)
}

/// The value of option 2; options that end early or lie about their length hide what is behind them.
fn maximum_segment(options: &[u8]) -> Option<u16> {
    let mut cursor = Cursor::new(options);
    loop {
        match cursor.u8().ok()? {
            0 => return None,
            1 => {}
            kind => {
                let length = usize::from(cursor.u8().ok()?);
                let mut value = cursor.sub(length.checked_sub(2)?).ok()?;
                if kind == 2 {
                    return value.u16().ok();
                }
            }
        }
    }
}
