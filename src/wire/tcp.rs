//! TCP headers (RFC 9293 §3.1).

use etherparse::TcpHeaderSlice;

use super::checksum;
use super::dissector::{Next, Step, Walk};
use super::udp;
use super::{Checksum, Layer, Reason, Stop, TransportHeader};
use crate::bytes::Cursor;
use crate::net::TcpFlags;

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

impl TcpHeader {
    fn of(header: &TcpHeaderSlice<'_>) -> Self {
        // The low nine bits of the word with the header's length, as they stand there.
        let &[.., high, low] = header.slice().first_chunk::<14>().unwrap_or(&[0; 14]);
        let flags = TcpFlags(u16::from_be_bytes([high & 1, low]));
        Self {
            source_port: header.source_port(),
            destination_port: header.destination_port(),
            sequence: header.sequence_number(),
            acknowledgment: header.acknowledgment_number(),
            flags,
            window: header.window_size(),
            maximum_segment: if flags.contains(TcpFlags::SYN) {
                maximum_segment(header.options())
            } else {
                None
            },
        }
    }
}

/// From the source port on.
pub(super) fn segment(walk: &mut Walk<'_>) -> Step {
    let segment = walk.window;
    let header: TcpHeaderSlice<'_> = match walk.window.header(Layer::Tcp) {
        Ok(header) => header,
        Err(stop) => return without_options(walk, stop),
    };
    if walk.verify_checksums {
        walk.layers.checksums.transport = match walk.layers.network {
            Some(network) if !segment.is_cut() && walk.checkable => {
                checksum::of_segment(&network, segment.bytes(), header.checksum())
            }
            _ => Checksum::Unverifiable,
        };
    }
    walk.deliver(TransportHeader::Tcp(TcpHeader::of(&header)));
    Ok(Next::Done)
}

/// What is readable of a header whose options are cut, or whose length lies: its fixed part, which etherparse reads
/// where the length says that there are no options.
fn without_options(walk: &mut Walk<'_>, stop: Stop) -> Step {
    let Some(&(mut fixed)) = walk
        .window
        .bytes()
        .first_chunk::<{ etherparse::TcpHeader::MIN_LEN }>()
    else {
        return udp::ports_and_stop(walk, stop);
    };
    let header_len = usize::from(fixed[12] >> 4).saturating_mul(4);
    fixed[12] = 0x50 | fixed[12] & 0x0f;
    if let Ok(header) = TcpHeaderSlice::from_slice(&fixed) {
        walk.layers.transport = Some(TransportHeader::Tcp(TcpHeader::of(&header)));
    }
    if matches!(stop, Stop::Truncated { .. }) {
        let left = walk.window.wire().saturating_sub(header_len);
        walk.layers.payload_wire_len = u32::try_from(left).unwrap_or(u32::MAX);
        return Err(stop);
    }
    // Without the end of the header there is no telling where a payload starts.
    walk.note(Layer::Tcp, Reason::Length);
    Ok(Next::Done)
}

/// The value of option 2; options that end early or lie about their length hide what is behind them.
///
/// Read here: etherparse stops at every kind it does not know, and MD5 signatures (RFC 2385) stand before this option.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_segment_size_is_found_behind_a_signature() {
        let mut options = vec![19, 18];
        options.extend([0xaa; 16]);
        options.extend([2, 4, 5, 180]);
        assert_eq!(maximum_segment(&options), Some(1460));
        assert_eq!(maximum_segment(&[19, 1, 2, 4, 5, 180]), None);
    }
}
