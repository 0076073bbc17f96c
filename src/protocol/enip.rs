//! EtherNet/IP (ODVA, The CIP Networks Library volume 2, chapter 2): sessions with controllers.
//!
//! Reads the encapsulation header of each message; what the Common Industrial Protocol carries is never looked at. Proof is a
//! known command and status, options of zero, and data as the command must have.

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
        proves: "A known command and status, options of zero, and data as the command must have; a bare question only over UDP.",
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
/// Items of data, and of an answer to a search.
const ITEMS: std::ops::RangeInclusive<u16> = 1..=16;
const IDENTITY: u16 = 0x000c;
const SERVICE: u16 = 0x0100;
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
    /// The data shows it as well.
    is_proof: bool,
}

impl Message {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Reject> {
        let (command, length) = (Command(cursor.u16_le()?), cursor.u16_le()?);
        let (session, status) = (cursor.u32_le()?, cursor.u32_le()?);
        let _context = cursor.u64()?;
        let options = cursor.u32()?;
        if options != 0 || !STATUSES.contains(&status) {
            return Err(Reject::Other);
        }
        let is_proof = match (command, length) {
            // An error says no more.
            (Command::SEND_RR_DATA | Command::SEND_UNIT_DATA, 0) if status != 0 => false,
            (Command::SEND_RR_DATA | Command::SEND_UNIT_DATA, 16..) if session != 0 => {
                let (interface, _time_out) = (cursor.u32()?, cursor.u16()?);
                if interface != 0 || !ITEMS.contains(&cursor.u16_le()?) {
                    return Err(Reject::Invalid("interface or items"));
                }
                true
            }
            (Command::REGISTER_SESSION, 4) => {
                let (version, flags) = (cursor.u16_le()?, cursor.u16_le()?);
                if version != 1 || flags != 0 {
                    return Err(Reject::Invalid("version"));
                }
                true
            }
            (Command::UNREGISTER_SESSION, 0) => false,
            (Command::LIST_SERVICES | Command::LIST_IDENTITY | Command::LIST_INTERFACES, 0) => {
                false
            }
            (Command::LIST_SERVICES | Command::LIST_IDENTITY | Command::LIST_INTERFACES, 6..) => {
                let (items, kind) = (cursor.u16_le()?, cursor.u16_le()?);
                if !ITEMS.contains(&items) || !matches!(kind, IDENTITY | SERVICE) {
                    return Err(Reject::Invalid("items"));
                }
                true
            }
            (Command::LIST_INTERFACES, 2) => false,
            _ => return Err(Reject::Other),
        };
        Ok(Self {
            command,
            length,
            status,
            is_proof,
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
    opening.agreed(|bytes| match Message::parse(&mut Cursor::new(bytes)) {
        Ok(message) if !message.is_proof => Probe::More,
        read => Probe::of(read),
    })
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

    const DATA: &[u8] = &[0, 0, 0, 0, 10, 0, 2, 0, 0, 0, 0, 0, 0xb2, 0, 0, 0];

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
        let recorder = midstream(&[(S, &message(0x70, 7, 0, DATA))]);
        assert_eq!(values(&recorder, "enip", "command"), ["send_unit_data"]);
    }

    #[test]
    fn a_bare_question_over_tcp_needs_its_answer() {
        let asked = message(0x63, 0, 0, &[]);
        assert!(protocols(&conversation(&[(C, &asked)])).is_empty());
        let answered = message(0x63, 0, 0, &[1, 0, 0x0c, 0, 2, 0, 9, 9]);
        let segments = [(C, &asked[..]), (S, &answered[..])];
        assert_eq!(protocols(&conversation(&segments)), ["enip"]);
        survives_every_cut(&segments);
        let other = message(0x63, 0, 0, &[1, 0, 0x0d, 0, 2, 0, 9, 9]);
        assert!(protocols(&conversation(&[(C, &asked), (S, &other)])).is_empty());
    }

    #[test]
    fn other_commands_lengths_and_options_are_refused() {
        let mut options = message(0x65, 0, 0, &[1, 0, 0, 0]);
        options[20] = 1;
        for other in [
            message(0x65, 0, 0, &[1, 0]),
            message(0x67, 0, 0, &[]),
            message(0x6f, 0, 0, DATA),
            message(0x6f, 7, 0, &[1; 16]),
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
