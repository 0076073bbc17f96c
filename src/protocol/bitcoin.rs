//! Bitcoin's peer-to-peer network (Bitcoin Developer Reference, "Message headers"): which network, which messages.
//!
//! Reads the header of each message; transactions and addresses are never looked at. Proof is the mark of a network with a
//! padded command and a sane size.

use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;

/// `mainnet`, `testnet`, `signet` or `regtest`.
const NETWORK: &str = "network";
/// Command: `version`, `verack`, `inv` ...
const COMMAND: &str = "command";

/// Cryptocurrency.
pub(super) const BITCOIN: Protocol = Protocol {
    name: "bitcoin",
    about: About {
        title: "Bitcoin peer-to-peer",
        sources: "Bitcoin Developer Reference, P2P network; BIP 325",
        reads: "The network, and the commands of messages.",
        proves: "The mark of a network with a padded command and a sane size.",
        limits: "Transactions and peers are not looked at; the encrypted transport (BIP 324) is not known.",
    },
    attributes: &[NETWORK, COMMAND],
    stream: Some(StreamEntry {
        first_byte: |byte| matches!(byte, 0xf9 | 0x0b | 0x1c | 0x0a | 0xfa),
        probe,
        start: || Box::new(Messages),
    }),
    datagram: None,
};

/// Largest message that a node takes.
const MAX_SIZE: u32 = 32 * 1024 * 1024;

struct Header<'a> {
    network: &'static str,
    command: &'a [u8],
    size: u32,
}

impl<'a> Header<'a> {
    fn parse(cursor: &mut Cursor<'a>) -> Result<Self, Reject> {
        let network = match *cursor.array::<4>()? {
            [0xf9, 0xbe, 0xb4, 0xd9] => "mainnet",
            [0x0b, 0x11, 0x09, 0x07] | [0x1c, 0x16, 0x3f, 0x28] => "testnet",
            [0x0a, 0x03, 0xcf, 0x40] => "signet",
            [0xfa, 0xbf, 0xb5, 0xda] => "regtest",
            _ => return Err(Reject::Other),
        };
        let field = cursor.array::<12>()?;
        let end = field
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(field.len());
        let (command, padding) = field.split_at_checked(end).unwrap_or_default();
        let size = cursor.u32_le()?;
        let _checksum = cursor.u32()?;
        let is_command = !command.is_empty() && command.iter().all(u8::is_ascii_alphanumeric);
        if !is_command || padding.iter().any(|byte| *byte != 0) || size > MAX_SIZE {
            return Err(Reject::Invalid("command or size"));
        }
        Ok(Self {
            network,
            command,
            size,
        })
    }
}

fn probe(opening: &Opening<'_>) -> Probe {
    opening.either(|bytes| Probe::of(Header::parse(&mut Cursor::new(bytes))))
}

/// All messages of one connection.
struct Messages;

impl StreamDecoder for Messages {
    fn data(&mut self, _side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let mut cursor = Cursor::new(bytes);
        match Header::parse(&mut cursor) {
            Ok(header) => {
                notes.proved();
                notes.text(NETWORK, header.network);
                notes.bytes(COMMAND, header.command);
                Step::Skip {
                    consumed: cursor.offset(),
                    bytes: u64::from(header.size),
                }
            }
            Err(reject) => reject.into_step(0, bytes.len()),
        }
    }

    fn resume(&mut self, _side: Side, bytes: &[u8]) -> Option<usize> {
        Header::parse(&mut Cursor::new(bytes)).is_ok().then_some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT as C, SERVER as S, conversation, midstream, only_registered_attributes, protocols,
        survives_every_cut, values,
    };
    use super::*;

    fn message(mark: [u8; 4], command: &[u8; 12]) -> Vec<u8> {
        [&mark[..], command, &[3, 0, 0, 0], &[1, 2, 3, 4], b"abc"].concat()
    }

    const MAIN: [u8; 4] = [0xf9, 0xbe, 0xb4, 0xd9];

    #[test]
    fn network_and_commands_are_read() {
        let hello = message(MAIN, b"version\0\0\0\0\0");
        let answer = message(MAIN, b"verack\0\0\0\0\0\0");
        let segments = [(C, &hello[..]), (S, &answer[..])];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["bitcoin"]);
        assert_eq!(
            values(&recorder, "bitcoin", "network"),
            ["mainnet", "mainnet"]
        );
        assert_eq!(
            values(&recorder, "bitcoin", "command"),
            ["verack", "version"]
        );
        only_registered_attributes(&recorder, &[&BITCOIN]);
        survives_every_cut(&segments);
    }

    #[test]
    fn the_networks_for_tests_are_told_apart() {
        for (mark, network) in [
            ([0x0b, 0x11, 0x09, 0x07], "testnet"),
            ([0x0a, 0x03, 0xcf, 0x40], "signet"),
            ([0xfa, 0xbf, 0xb5, 0xda], "regtest"),
        ] {
            let recorder = midstream(&[(S, &message(mark, b"inv\0\0\0\0\0\0\0\0\0"))]);
            assert_eq!(values(&recorder, "bitcoin", "network"), [network]);
        }
    }

    #[test]
    fn other_marks_commands_and_sizes_are_refused() {
        let mut large = message(MAIN, b"inv\0\0\0\0\0\0\0\0\0");
        large[19] = 9;
        for other in [
            message([0xf9, 0xbe, 0xb4, 0xda], b"inv\0\0\0\0\0\0\0\0\0"),
            message(MAIN, b"inv\0x\0\0\0\0\0\0\0"),
            message(MAIN, b"\0\0\0\0\0\0\0\0\0\0\0\0"),
            large,
        ] {
            assert!(protocols(&conversation(&[(C, &other)])).is_empty());
        }
    }
}
