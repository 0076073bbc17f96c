//! NetFlow 5 and 9 (RFC 3954) and IPFIX (RFC 7011): reports of flows to a collector.
//!
//! Reads the header and walks the sets; the flows that are reported are never looked at. Proof is a version whose records or
//! sets fill the datagram exactly.

use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject};
use crate::bytes::Cursor;
use crate::evidence::Notes;

/// `5`, `9`, or `10`, which is IPFIX.
const VERSION: &str = "version";

/// Reports of flows.
pub(super) const NETFLOW: Protocol = Protocol {
    name: "netflow",
    about: About {
        title: "NetFlow and IPFIX",
        sources: "RFC 3954 sections 5 and 9, RFC 7011 section 3; NetFlow 5 as Cisco documents it",
        reads: "The version.",
        proves: "A version whose records or sets fill the datagram exactly.",
        limits: "The flows that are reported are not looked at.",
    },
    attributes: &[VERSION],
    stream: None,
    datagram: Some(DatagramEntry {
        first_byte: |byte| byte == 0,
        start: || Box::new(Reports),
    }),
};

/// Octets of the header and of each record of version 5, of which there are thirty at most.
const HEADER_5: usize = 24;
const RECORD_5: usize = 48;
const MAX_RECORDS_5: u16 = 30;
/// Sets below are templates or reserved.
const FIRST_DATA_SET: u16 = 256;

struct Reports;

impl DatagramDecoder for Reports {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let mut cursor = Cursor::new(datagram.bytes);
        let version = cursor.u16()?;
        let count = cursor.u16()?;
        let length = usize::from(count);
        let is_whole = match version {
            5 => {
                let records = length.saturating_mul(RECORD_5);
                (1..=MAX_RECORDS_5).contains(&count)
                    && records.saturating_add(HEADER_5) == datagram.wire_len
            }
            9 => {
                cursor.skip(16)?;
                count > 0 && sets(&mut cursor, [0, 1], datagram.is_cut())?
            }
            10 => {
                cursor.skip(12)?;
                length == datagram.wire_len && sets(&mut cursor, [2, 3], datagram.is_cut())?
            }
            _ => false,
        };
        if !is_whole {
            return Err(Reject::Other);
        }
        notes.proved();
        notes.number(VERSION, u64::from(version));
        Ok(())
    }
}

/// Whether sets of data and of `templates` fill what is left, and there is one.
fn sets(cursor: &mut Cursor<'_>, templates: [u16; 2], is_cut: bool) -> Result<bool, Reject> {
    let mut count = 0_u32;
    while !cursor.is_empty() {
        let (id, length) = (cursor.u16()?, usize::from(cursor.u16()?));
        let is_known = templates.contains(&id) || id >= FIRST_DATA_SET;
        if !is_known || length <= 4 {
            return Ok(false);
        }
        match cursor.skip(length.saturating_sub(4)) {
            Ok(()) => count = count.saturating_add(1),
            Err(_) if is_cut && count > 0 => break,
            Err(short) => return Err(short.into()),
        }
    }
    Ok(count > 0)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, cut_datagram, datagrams, only_registered_attributes, protocols, values,
    };
    use super::*;

    fn nine() -> Vec<u8> {
        let header = [&[0, 9, 0, 2][..], &[1; 16]].concat();
        [&header[..], &[0, 0, 0, 8, 1, 4, 0, 0], &[1, 4, 0, 6, 9, 9]].concat()
    }

    fn ipfix() -> Vec<u8> {
        let header = [&[0, 10, 0, 24][..], &[1; 12]].concat();
        [&header[..], &[0, 2, 0, 8, 1, 4, 0, 0]].concat()
    }

    fn five(count: u8, records: usize) -> Vec<u8> {
        [&[0, 5, 0, count][..], &vec![0; 20 + records * RECORD_5]].concat()
    }

    #[test]
    fn each_version_is_known_where_it_fills_the_datagram() {
        for (bytes, version) in [(five(2, 2), "5"), (nine(), "9"), (ipfix(), "10")] {
            let recorder = datagrams(&[(CLIENT, &bytes)]);
            assert_eq!(protocols(&recorder), ["netflow"]);
            assert_eq!(values(&recorder, "netflow", "version"), [version]);
            only_registered_attributes(&recorder, &[&NETFLOW]);
        }
    }

    #[test]
    fn sets_that_do_not_fill_it_are_refused() {
        let mut low = nine();
        low[29] = 5;
        low[28] = 0;
        let mut long = ipfix();
        long[3] = 25;
        for bytes in [
            five(2, 1),
            five(31, 31),
            five(0, 0),
            low,
            long,
            nine()[..20].to_vec(),
        ] {
            assert!(protocols(&datagrams(&[(CLIENT, &bytes)])).is_empty());
        }
    }

    #[test]
    fn a_cut_report_needs_a_whole_set() {
        let whole = nine();
        let cut = cut_datagram(&whole[..32], whole.len());
        assert_eq!(protocols(&cut), ["netflow"]);
        for length in 0..28 {
            assert!(protocols(&cut_datagram(&whole[..length], whole.len())).is_empty());
        }
    }
}
