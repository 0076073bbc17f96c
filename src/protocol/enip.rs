//! EtherNet/IP (ODVA, The CIP Networks Library volume 2, chapter 2): sessions with controllers.
//!
//! Reads the encapsulation header of each message; what the Common Industrial Protocol carries is never looked at. Proof is a
//! known command and status, options of zero and a length that the command may have.

use super::{
    About, Datagram, DatagramDecoder, DatagramEntry, Opening, Probe, Protocol, Reject, Step,
    StreamDecoder, StreamEntry,
};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;
use crate::open_enum;

/// Command: `register_session`, `send_rr_data` ...
const COMMAND: &str = "command";
/// Status of an answer that is not success.
const STATUS: &str = "status";

/// Automation.
pub(super) const ENIP: Protocol = Protocol {
    name: "enip",
    about: About {
        title: "EtherNet/IP",
        sources: "The CIP Networks Library, volume 2, chapter 2",
        reads: "Commands and their status.",
        proves: "A known command and status, options of zero and a length that the command may have.",
        limits: "What the Common Industrial Protocol carries is not looked at; its input and output over UDP is not known.",
    },
    attributes: &[COMMAND, STATUS],
    stream: Some(StreamEntry {
        first_byte: |byte| Command(u16::from(byte)).name().is_some(),
        probe,
        start: || Box::new(Messages),
    }),
    datagram: Some(DatagramEntry {
        first_byte: |byte| Command(u16::from(byte)).name().is_some(),
        start: || Box::new(Messages),
    }),
};

/// Octets before the data.
const HEADER: usize = 24;
/// Status codes (table 2-3.3).
const STATUSES: [u32; 7] = [0, 1, 2, 3, 0x64, 0x65, 0x69];

open_enum! {
    /// Commands (table 2-3.2).
    struct Command(u16) {
        /// What do you offer?
        LIST_SERVICES = 0x04 => "list_services",
        /// Who are you?
        LIST_IDENTITY = 0x63 => "list_identity",
        /// Which networks are behind you?
        LIST_INTERFACES = 0x64 => "list_interfaces",
        /// Opens a session.
        REGISTER_SESSION = 0x65 => "register_session",
        /// Ends a session.
        UNREGISTER_SESSION = 0x66 => "unregister_session",
        /// A request or its answer.
        SEND_RR_DATA = 0x6f => "send_rr_data",
        /// Data of a connection.
        SEND_UNIT_DATA = 0x70 => "send_unit_data",
    }
}

struct Message {
    command: Command,
    length: u16,
    status: u32,
}

impl Message {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Reject> {
        let (command, length) = (Command(cursor.u16_le()?), cursor.u16_le()?);
        let (session, status) = (cursor.u32_le()?, cursor.u32_le()?);
        let _context = cursor.u64()?;
        let options = cursor.u32()?;
        let fits = match command {
            // Interface, time-out and items; an error has none of them.
            Command::SEND_RR_DATA | Command::SEND_UNIT_DATA => {
                session != 0 && (length >= 16 || (length == 0 && status != 0))
            }
            Command::REGISTER_SESSION => length == 4,
            Command::UNREGISTER_SESSION => length == 0,
            Command::LIST_SERVICES | Command::LIST_IDENTITY | Command::LIST_INTERFACES => {
                length == 0 || length >= 2
            }
            _ => false,
        };
        if !fits || options != 0 || !STATUSES.contains(&status) {
            return Err(Reject::Other);
        }
        Ok(Self {
            command,
            length,
            status,
        })
    }

    fn note(&self, notes: &mut Notes<'_>) {
        notes.proved();
        notes.text(COMMAND, &self.command.to_string());
        if self.status != 0 {
            notes.number(STATUS, u64::from(self.status));
        }
    }
}

fn probe(opening: &Opening<'_>) -> Probe {
    opening.either(|bytes| Probe::of(Message::parse(&mut Cursor::new(bytes))))
}

/// All messages of one connection or flow.
struct Messages;

impl StreamDecoder for Messages {
    fn data(&mut self, _side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        match Message::parse(&mut Cursor::new(bytes)) {
            Ok(message) => {
                message.note(notes);
                Step::Skip {
                    consumed: HEADER,
                    bytes: u64::from(message.length),
                }
            }
            Err(reject) => reject.into_step(0, bytes.len()),
        }
    }

    fn resume(&mut self, _side: Side, bytes: &[u8]) -> Option<usize> {
        Message::parse(&mut Cursor::new(bytes)).is_ok().then_some(0)
    }
}

impl DatagramDecoder for Messages {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let message = Message::parse(&mut Cursor::new(datagram.bytes))?;
        if usize::from(message.length).saturating_add(HEADER) != datagram.wire_len {
            return Err(Reject::Invalid("length"));
        }
        message.note(notes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT as C, SERVER as S, conversation, datagrams, midstream, only_registered_attributes,
        protocols, survives_every_cut, values,
    };
    use super::*;

    fn message(command: u8, session: u8, status: u8, data: &[u8]) -> Vec<u8> {
        let length = u8::try_from(data.len()).unwrap();
        let head = [command, 0, length, 0, session, 0, 0, 0, status, 0, 0, 0];
        [&head[..], &[0; 12], data].concat()
    }

    #[test]
    fn a_session_is_read() {
        let opened = message(0x65, 0, 0, &[1, 0, 0, 0]);
        let refused = message(0x6f, 9, 0x64, &[]);
        let segments = [(C, &opened[..]), (S, &opened), (S, &refused)];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["enip"]);
        let commands = values(&recorder, "enip", "command");
        assert_eq!(
            commands,
            ["register_session", "register_session", "send_rr_data"]
        );
        assert_eq!(values(&recorder, "enip", "status"), ["100"]);
        only_registered_attributes(&recorder, &[&ENIP]);
        survives_every_cut(&segments);
    }

    #[test]
    fn a_search_over_udp_and_data_in_the_middle_are_known() {
        let recorder = datagrams(&[(C, &message(0x63, 0, 0, &[]))]);
        assert_eq!(values(&recorder, "enip", "command"), ["list_identity"]);
        let recorder = midstream(&[(S, &message(0x70, 7, 0, &[0; 20]))]);
        assert_eq!(values(&recorder, "enip", "command"), ["send_unit_data"]);
    }

    #[test]
    fn other_commands_lengths_and_options_are_refused() {
        let mut options = message(0x65, 0, 0, &[1, 0, 0, 0]);
        options[20] = 1;
        for other in [
            message(0x65, 0, 0, &[1, 0]),
            message(0x67, 0, 0, &[]),
            message(0x6f, 0, 0, &[0; 16]),
            message(0x6f, 7, 0, &[]),
            message(0x63, 0, 9, &[]),
            options,
        ] {
            assert!(protocols(&conversation(&[(C, &other)])).is_empty());
            assert!(protocols(&datagrams(&[(C, &other)])).is_empty());
        }
        let long = [&message(0x63, 0, 0, &[])[..], &[0]].concat();
        assert!(protocols(&datagrams(&[(C, &long)])).is_empty());
    }
}
