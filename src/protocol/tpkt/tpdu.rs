//! One packet: the header of TPKT (RFC 1006 section 6) and the unit of X.224 in it (section 13). Knows no upper layer.

use crate::bytes::{Cursor, Short};
use crate::protocol::Reject;

/// Version of TPKT.
const VERSION: u8 = 3;
/// Octets of the header of TPKT.
pub(super) const HEADER: usize = 4;
/// Shortest packet that carries a unit of X.224: a data unit without data.
const SHORTEST: usize = HEADER + 3;

/// Length of the packet of TPKT that `bytes` begin with, header included; the content may be of any protocol.
fn packet_length(bytes: &[u8]) -> Result<usize, Reject> {
    let mut cursor = Cursor::new(bytes);
    if cursor.u8()? != VERSION || cursor.u8()? != 0 {
        return Err(Reject::Other);
    }
    let length = usize::from(cursor.u16()?);
    // H.323 keeps connections alive with empty packets.
    if length >= HEADER {
        Ok(length)
    } else {
        Err(Reject::Invalid("length"))
    }
}

/// The packet of TPKT that `bytes` begin with: its content where it is whole, and its length with the header.
pub(in crate::protocol) fn packet(bytes: &[u8]) -> Result<(&[u8], usize), Reject> {
    let length = packet_length(bytes)?;
    let mut cursor = Cursor::new(bytes);
    cursor.skip(HEADER)?;
    let content = cursor.take(length.saturating_sub(HEADER))?;
    Ok((content, length))
}

/// What a unit of X.224 says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit<'a> {
    /// CR or CC: class and variable part.
    Connection {
        is_request: bool,
        class: u8,
        variable: &'a [u8],
    },
    /// DR: the reason (section 13.5.3).
    Disconnect { reason: u8 },
    /// DT or ED: a part of a message, and whether it is the last one.
    Data { is_last: bool },
    /// DC, ER and the like: nothing of interest.
    Other,
}

/// A unit, its header checked. Data may not be there as a whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tpdu<'a> {
    /// Octets of the whole packet.
    pub(super) length: usize,
    /// Octets before the user data.
    pub(super) header: usize,
    pub(super) unit: Unit<'a>,
}

impl<'a> Tpdu<'a> {
    /// Reads the headers that `bytes` begin with. Lengths must agree; classes 0 and 2 are those that RFC 1006 and RFC 2126
    /// allow over TCP.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Reject> {
        let length = packet_length(bytes)?;
        let mut cursor = Cursor::new(bytes);
        cursor.skip(HEADER)?;
        let indicator = usize::from(cursor.u8()?);
        let header = indicator.saturating_add(HEADER + 1);
        if length < SHORTEST || indicator < 2 || indicator == 255 || header > length {
            return Err(Reject::Invalid("length indicator"));
        }
        let code = cursor.u8()?;
        let mut rest = cursor;
        let has_no_data = header == length;
        let unit = match code {
            0xe0 | 0xd0 if indicator >= 6 && has_no_data => {
                let (to, _from, class) = (rest.u16()?, rest.u16()?, rest.u8()?);
                let is_class = matches!(class, 0 | 0x20..=0x23);
                // A request knows no reference of the other side yet.
                if !is_class || (code == 0xe0 && to != 0) {
                    return Err(Reject::Invalid("class"));
                }
                Unit::Connection {
                    is_request: code == 0xe0,
                    class: class >> 4,
                    variable: rest.take(indicator.saturating_sub(6))?,
                }
            }
            0x80 if indicator >= 6 && has_no_data => {
                rest.skip(4)?;
                let reason = rest.u8()?;
                if !matches!(reason, 0..=3 | 128..=138) {
                    return Err(Reject::Invalid("reason"));
                }
                Unit::Disconnect { reason }
            }
            0xf0 | 0x10 => {
                // Class 0 has no reference, class 2 has one.
                match indicator {
                    2 => {}
                    4 => rest.skip(2)?,
                    _ => return Err(Reject::Invalid("length indicator")),
                }
                let number = rest.u8()?;
                if indicator == 2 && number & 0x7f != 0 {
                    return Err(Reject::Invalid("number"));
                }
                Unit::Data {
                    is_last: number & 0x80 != 0,
                }
            }
            0xc0 if indicator == 5 && has_no_data => Unit::Other,
            0x70 if indicator >= 4 && has_no_data => Unit::Other,
            _ => return Err(Reject::Other),
        };
        Ok(Self {
            length,
            header,
            unit,
        })
    }
}

/// Parameters of a connection unit (section 13.3.4), `None` where they do not fill the variable part. Applications that put
/// something else there (RDP) have none.
pub(super) fn parameters(variable: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    let mut cursor = Cursor::new(variable);
    let mut parameters = Vec::new();
    while !cursor.is_empty() {
        let next = |cursor: &mut Cursor<'_>| -> Result<(u8, usize), Short> {
            Ok((cursor.u8()?, usize::from(cursor.u8()?)))
        };
        let (code, length) = next(&mut cursor).ok()?;
        let value = cursor.take(length).ok()?;
        // All defined codes have the highest bit.
        if code < 0x80 {
            return None;
        }
        parameters.push((code, value));
    }
    Some(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_both_layers_must_agree() {
        let request = [3, 0, 0, 11, 6, 0xe0, 0, 0, 0, 1, 0];
        assert!(matches!(
            Tpdu::parse(&request).unwrap().unit,
            Unit::Connection {
                is_request: true,
                class: 0,
                variable: []
            }
        ));
        for (at, value) in [
            (0, 2),
            (1, 1),
            (3, 12),
            (3, 4),
            (4, 5),
            (5, 0xe1),
            (6, 1),
            (10, 0x40),
        ] {
            let mut broken = request;
            broken[at] = value;
            assert!(
                !matches!(Tpdu::parse(&broken), Ok(_) | Err(Reject::Short(_))),
                "{at}"
            );
        }
    }

    #[test]
    fn data_of_class_0_and_2_differ_by_a_reference() {
        let first = Tpdu::parse(&[3, 0, 0, 8, 2, 0xf0, 0x80, 9]).unwrap();
        assert_eq!(
            (first.header, first.unit),
            (7, Unit::Data { is_last: true })
        );
        let second = Tpdu::parse(&[3, 0, 0, 10, 4, 0xf0, 0, 1, 0x05, 9]).unwrap();
        assert_eq!(
            (second.header, second.unit),
            (9, Unit::Data { is_last: false })
        );
        assert!(Tpdu::parse(&[3, 0, 0, 8, 2, 0xf0, 0x81, 9]).is_err());
    }

    #[test]
    fn parameters_fill_the_variable_part() {
        assert_eq!(
            parameters(&[0xc1, 2, 1, 0, 0xc0, 1, 10]).unwrap(),
            [(0xc1, &[1, 0][..]), (0xc0, &[10][..])]
        );
        assert!(parameters(&[0xc1, 3, 1, 0]).is_none());
        assert!(parameters(b"Cookie: mstshash=a\r\n").is_none());
    }
}
