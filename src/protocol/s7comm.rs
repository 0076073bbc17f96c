//! S7 communication of Siemens controllers: kinds of messages and functions, in X.224 ([`super::tpkt`]).
//!
//! Siemens publishes no description; the header is as commonly understood: identifier, kind, reference, and two lengths that
//! must add up to the message. Values of a plant are never looked at. Its successor (identifier 0x72) is not read.

use super::{About, Protocol};
use crate::bytes::{Cursor, Short};
use crate::evidence::Notes;
use crate::open_enum;

/// Kind of message: `job`, `ack`, `ack_data` or `userdata`.
const MESSAGE: &str = "message";
/// Function of a job or its answer: `setup_communication`, `read`, `write` ...
const FUNCTION: &str = "function";

/// S7 communication: carried by X.224, no stream of its own.
pub(super) const S7COMM: Protocol = Protocol {
    name: "s7comm",
    about: About {
        title: "S7 communication",
        sources: "No public specification; the header as commonly understood",
        reads: "Kinds of messages and functions.",
        proves: "The identifier, a known kind and lengths that fill the X.224 message.",
        limits: "Data items are not looked at; S7comm-plus is not read.",
    },
    attributes: &[MESSAGE, FUNCTION],
    stream: None,
    datagram: None,
};

/// First octet of a message.
const IDENTIFIER: u8 = 0x32;

open_enum! {
    /// Functions of jobs and their answers.
    struct Function(u8) {
        /// Item of the processor's own services.
        CPU_SERVICES = 0x00 => "cpu_services",
        /// Reads variables.
        READ = 0x04 => "read",
        /// Writes variables.
        WRITE = 0x05 => "write",
        /// A program goes to the controller: begin, block and end.
        REQUEST_DOWNLOAD = 0x1a => "request_download",
        /// A block of a program.
        DOWNLOAD_BLOCK = 0x1b => "download_block",
        /// The end of a program.
        DOWNLOAD_ENDED = 0x1c => "download_ended",
        /// A program comes from the controller: begin, block and end.
        START_UPLOAD = 0x1d => "start_upload",
        /// A block of a program.
        UPLOAD = 0x1e => "upload",
        /// The end of a program.
        END_UPLOAD = 0x1f => "end_upload",
        /// Starts a program.
        CONTROL = 0x28 => "control",
        /// Stops the controller.
        STOP = 0x29 => "stop",
        /// Agrees on sizes.
        SETUP = 0xf0 => "setup_communication",
    }
}

/// Reads a whole message; `false`, and nothing noted, where it is not one.
pub(super) fn message(bytes: &[u8], notes: &mut Notes<'_>) -> bool {
    let Ok(Some((kind, function))) = parse(bytes) else {
        return false;
    };
    notes.proved();
    notes.text(MESSAGE, kind);
    if let Some(function) = function {
        notes.text(FUNCTION, &function.to_string());
    }
    true
}

fn parse(bytes: &[u8]) -> Result<Option<(&'static str, Option<Function>)>, Short> {
    let mut cursor = Cursor::new(bytes);
    if cursor.u8()? != IDENTIFIER {
        return Ok(None);
    }
    let (kind, has_error) = match cursor.u8()? {
        1 => ("job", false),
        2 => ("ack", true),
        3 => ("ack_data", true),
        7 => ("userdata", false),
        _ => return Ok(None),
    };
    let reserved = cursor.u16()?;
    let _reference = cursor.u16()?;
    let lengths = usize::from(cursor.u16()?).saturating_add(usize::from(cursor.u16()?));
    if has_error {
        cursor.skip(2)?;
    }
    if reserved != 0 || cursor.len() != lengths {
        return Ok(None);
    }
    // Services of userdata have another form.
    let function = cursor.peek().filter(|_| kind != "userdata").map(Function);
    Ok(Some((kind, function)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, conversation, only_registered_attributes, protocols, survives_every_cut,
        values,
    };
    use super::*;

    const REQUEST: [u8; 22] = [
        3, 0, 0, 22, 17, 0xe0, 0, 0, 0, 1, 0, 0xc0, 1, 10, 0xc1, 2, 1, 0, 0xc2, 2, 1, 2,
    ];
    const SETUP: [u8; 25] = [
        3, 0, 0, 25, 2, 0xf0, 0x80, 0x32, 1, 0, 0, 0, 1, 0, 8, 0, 0, 0xf0, 0, 0, 1, 0, 1, 1, 0xe0,
    ];
    const ACK: [u8; 19] = [
        3, 0, 0, 19, 2, 0xf0, 0x80, 0x32, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0,
    ];

    #[test]
    fn jobs_and_answers_are_named() {
        let segments = [
            (CLIENT, &REQUEST[..]),
            (CLIENT, &SETUP[..]),
            (SERVER, &ACK[..]),
        ];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["tpkt", "s7comm"]);
        assert_eq!(values(&recorder, "s7comm", "message"), ["ack", "job"]);
        assert_eq!(
            values(&recorder, "s7comm", "function"),
            ["setup_communication"]
        );
        assert_eq!(values(&recorder, "tpkt", "called_tsap"), ["0102"]);
        only_registered_attributes(&recorder, &[&S7COMM]);
        survives_every_cut(&segments);
    }

    #[test]
    fn lengths_must_fill_the_message() {
        let mut wrong = SETUP;
        wrong[14] = 7;
        assert_eq!(protocols(&conversation(&[(CLIENT, &wrong)])), ["tpkt"]);
    }
}
