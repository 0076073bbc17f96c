//! Trivial file transfer (RFC 1350) with options (RFC 2347 to 2349, RFC 7440).
//!
//! A request proves itself, and offers the port of its sender, to which the server answers from another one: a flow of its
//! own. There, blocks that follow each other, or blocks and their acknowledgements, are the proof.

use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject};
use crate::bytes::Cursor;
use crate::evidence::{Notes, Offered};
use crate::net::{PerSide, Transport};

/// `read` or `write`.
const REQUEST: &str = "request";
/// Name of the file.
const FILE: &str = "file";
/// `netascii`, `octet` or `mail`.
const MODE: &str = "mode";
/// An option, with its value: `blksize 1428`.
const OPTION: &str = "option";
/// Error and its text.
const ERROR: &str = "error";

/// Trivial file transfer.
pub(super) const TFTP: Protocol = Protocol {
    name: "tftp",
    about: About {
        title: "Trivial File Transfer Protocol",
        sources: "RFC 1350, RFC 2347, RFC 2348, RFC 2349, RFC 7440",
        reads: "Requests with file, mode and options; errors; the client's port is offered for the data.",
        proves: "A request with a known mode, an error with its text, known options, or blocks in sequence.",
        limits: "Contents of files are not read.",
    },
    attributes: &[REQUEST, FILE, MODE, OPTION, ERROR],
    stream: None,
    datagram: Some(DatagramEntry {
        // The high octet of the operation.
        first_byte: |byte| byte == 0,
        start: || Box::<Transfer>::default(),
    }),
};

const READ: u16 = 1;
const WRITE: u16 = 2;
const DATA: u16 = 3;
const ACKNOWLEDGE: u16 = 4;
const FAILED: u16 = 5;
const AGREE: u16 = 6;
/// Codes of errors (RFC 1350 section 5, RFC 2347).
const MAX_ERROR: u16 = 8;
/// Characters of a name: a request must fit a datagram of 512 octets (RFC 2347).
const MAX_NAME: usize = 512;
/// Options of one message: some ten are defined. Each is looked for behind the zeros before it.
const MAX_OPTIONS: u8 = 32;
/// Octets of the smallest block that may be agreed upon (RFC 2348), with its head.
const LEAST_BLOCK: usize = 8 + 4;
/// Blocks in sequence from one side, the other of which is not in the capture, that are beyond chance.
const ENOUGH: u8 = 3;

/// The last block of each side, and whether it was data.
#[derive(Default)]
struct Transfer {
    last: PerSide<Option<Block>>,
    known: bool,
}

#[derive(Clone, Copy)]
struct Block {
    is_data: bool,
    number: u16,
    length: usize,
    /// Blocks up to this one that followed each other.
    run: u8,
}

impl DatagramDecoder for Transfer {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let mut cursor = Cursor::new(datagram.bytes);
        let is_cut = datagram.is_cut();
        match cursor.u16()? {
            operation @ (READ | WRITE) => {
                request(&mut cursor, is_cut, operation == READ, notes)?;
                self.known = true;
            }
            operation @ (DATA | ACKNOWLEDGE) => {
                let is_data = operation == DATA;
                let number = cursor.u16()?;
                if !is_data && datagram.wire_len != 4 {
                    return Err(Reject::Other);
                }
                self.block(is_data, number, datagram.wire_len, notes);
            }
            FAILED => {
                let code = cursor.u16()?;
                let text = cursor.rest().strip_suffix(b"\0").ok_or(Reject::Other)?;
                let is_text = text.iter().all(|byte| !byte.is_ascii_control());
                // An error without text is too little to be believed alone.
                if code > MAX_ERROR || !is_text || (text.len() < 4 && !self.known) {
                    return Err(Reject::Other);
                }
                self.known = true;
                let text = String::from_utf8_lossy(text);
                notes.text(ERROR, format!("{code} {text}").trim_end());
            }
            AGREE => {
                if !options(&mut cursor, is_cut, notes)? {
                    return Err(Reject::Other);
                }
                self.known = true;
                let side = notes.side();
                notes.client(side.other());
            }
            _ => return Err(Reject::Other),
        }
        if self.known {
            notes.proved();
        }
        Ok(())
    }
}

impl Transfer {
    fn block(&mut self, is_data: bool, number: u16, length: usize, notes: &Notes<'_>) {
        let side = notes.side();
        let answered = self.last[side.other()];
        let before = self.last[side];
        // An acknowledgement names the block, or the one before it: the next may be sent already.
        let answers = answered.is_some_and(|block| {
            block.is_data != is_data
                && if is_data {
                    number == block.number.wrapping_add(1)
                } else {
                    number == block.number
                }
        });
        let follows = before.is_some_and(|block| {
            block.is_data == is_data
                && number == block.number.wrapping_add(1)
                && length <= block.length
                && (!is_data || block.length >= LEAST_BLOCK)
        });
        let run = match before {
            Some(block) if follows => block.run.saturating_add(1),
            _ => 1,
        };
        self.known |= answers || run >= ENOUGH;
        self.last[side] = Some(Block {
            is_data,
            number,
            length,
            run,
        });
    }
}

fn request(
    cursor: &mut Cursor<'_>,
    is_cut: bool,
    is_read: bool,
    notes: &mut Notes<'_>,
) -> Result<(), Reject> {
    let file = string(cursor)?;
    let mode = string(cursor)?.to_ascii_lowercase();
    if file.is_empty() || !matches!(&*mode, "netascii" | "octet" | "mail") {
        return Err(Reject::Other);
    }
    options(cursor, is_cut, notes)?;
    notes.text(REQUEST, if is_read { "read" } else { "write" });
    notes.text(FILE, &file);
    notes.text(MODE, &mode);
    let side = notes.side();
    notes.client(side);
    let offered = Offered::Protocol {
        protocol: TFTP.name,
        name: file.into(),
    };
    notes.offer(Transport::UDP, notes.sender(), offered);
    Ok(())
}

/// Pairs of name and value to the end; whether there is one that is known.
fn options(cursor: &mut Cursor<'_>, is_cut: bool, notes: &mut Notes<'_>) -> Result<bool, Reject> {
    const KNOWN: [&str; 6] = [
        "blksize",
        "timeout",
        "tsize",
        "windowsize",
        "multicast",
        "rollover",
    ];
    let mut known = false;
    let mut left = MAX_OPTIONS;
    // Some clients fill requests up with zeros.
    while cursor.rest().iter().any(|&byte| byte != 0) {
        left = left.checked_sub(1).ok_or(Reject::Invalid("options"))?;
        let mut pair = || Ok::<_, Reject>((string(cursor)?, string(cursor)?));
        match pair() {
            Ok((name, value)) => {
                known |= KNOWN.iter().any(|known| name.eq_ignore_ascii_case(known));
                notes.text(OPTION, format!("{name} {value}").trim_end());
            }
            Err(Reject::Short(_)) if is_cut => break,
            Err(reject) => return Err(reject),
        }
    }
    Ok(known)
}

/// Characters up to a zero.
fn string(cursor: &mut Cursor<'_>) -> Result<String, Reject> {
    let rest = cursor.rest();
    let end = memchr::memchr(0, rest).unwrap_or(rest.len());
    let text = rest.get(..end).unwrap_or_default();
    if end > MAX_NAME || text.iter().any(u8::is_ascii_control) {
        return Err(Reject::Other);
    }
    let text = String::from_utf8_lossy(text).into_owned();
    cursor.skip(end.saturating_add(1))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, datagrams, offers, only_registered_attributes, protocols, values,
    };
    use super::*;

    const ASKED: &[u8] = b"\0\x01phone.cfg\0OCTET\0blksize\x001428\0";

    fn data(number: u8, length: usize) -> Vec<u8> {
        let mut bytes = vec![0, 3, 0, number];
        bytes.resize(length + 4, b'x');
        bytes
    }

    #[test]
    fn a_request_names_its_file_and_offers_its_port() {
        let recorder = datagrams(&[(CLIENT, ASKED), (SERVER, b"\0\x05\0\x01File not found\0")]);
        assert_eq!(protocols(&recorder), ["tftp"]);
        assert_eq!(recorder.client, Some(CLIENT));
        for (attribute, value) in [
            ("request", "read"),
            ("file", "phone.cfg"),
            ("mode", "octet"),
            ("option", "blksize 1428"),
            ("error", "1 File not found"),
        ] {
            assert_eq!(values(&recorder, "tftp", attribute), [value]);
        }
        let offers = offers(&recorder);
        assert_eq!(offers[0].endpoint.to_string(), "10.0.0.1:40000");
        assert_eq!(offers[0].transport, Transport::UDP);
        assert!(matches!(
            &offers[0].offered,
            Offered::Protocol {
                protocol: "tftp",
                ..
            }
        ));
        only_registered_attributes(&recorder, &[&TFTP]);
        for length in 0..ASKED.len() - 15 {
            assert!(protocols(&datagrams(&[(CLIENT, &ASKED[..length])])).is_empty());
        }
    }

    #[test]
    fn blocks_and_acknowledgements_prove_the_flow_of_data() {
        let acknowledged = datagrams(&[(SERVER, &data(1, 512)), (CLIENT, b"\0\x04\0\x01")]);
        assert_eq!(protocols(&acknowledged), ["tftp"]);
        let written = datagrams(&[(SERVER, b"\0\x04\0\0"), (CLIENT, &data(1, 3))]);
        assert_eq!(protocols(&written), ["tftp"]);
        let one_way = datagrams(&[
            (SERVER, &data(7, 512)),
            (SERVER, &data(8, 512)),
            (SERVER, &data(9, 5)),
        ]);
        assert_eq!(protocols(&one_way), ["tftp"]);
        let agreed = datagrams(&[(SERVER, b"\0\x06tsize\x009\0")]);
        assert_eq!(protocols(&agreed), ["tftp"]);
        assert_eq!(agreed.client, Some(CLIENT));
    }

    #[test]
    fn options_without_end_are_refused() {
        let many: Vec<u8> = [ASKED.to_vec(), b"a\0b\0".repeat(40)].concat();
        assert!(protocols(&datagrams(&[(CLIENT, &many)])).is_empty());
        let zeros = [&ASKED[..18], &[0; 60_000], b"x\0y\0"].concat();
        assert!(protocols(&datagrams(&[(CLIENT, &zeros)])).is_empty());
        let few: Vec<u8> = [ASKED.to_vec(), b"a\0b\0".repeat(8)].concat();
        assert_eq!(protocols(&datagrams(&[(CLIENT, &few)])), ["tftp"]);
    }

    #[test]
    fn single_blocks_gaps_and_growing_blocks_prove_nothing() {
        for played in [
            &[(SERVER, data(1, 512))][..],
            &[(SERVER, data(1, 512)), (CLIENT, vec![0, 4, 0, 2])],
            &[
                (SERVER, data(1, 512)),
                (SERVER, data(2, 512)),
                (SERVER, data(4, 512)),
            ],
            &[
                (SERVER, data(1, 5)),
                (SERVER, data(2, 6)),
                (SERVER, data(3, 7)),
            ],
            &[(SERVER, b"\0\x05\0\x01\0".to_vec())],
            &[(SERVER, b"\0\x06other\x009\0".to_vec())],
            &[(CLIENT, b"\0\x01a\0binary\0".to_vec())],
            &[(CLIENT, b"\0\x01\0octet\0".to_vec())],
        ] {
            let played: Vec<_> = played
                .iter()
                .map(|(side, bytes)| (*side, &bytes[..]))
                .collect();
            assert!(protocols(&datagrams(&played)).is_empty(), "{played:x?}");
        }
    }
}
