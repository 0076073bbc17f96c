//! The envelope of call signalling (ITU-T Q.931 as H.225.0 section 7.2 profiles it): kind of message, call reference, and of
//! the information elements the cause and the user-to-user element, in which the part of H.323 is.

use crate::bytes::Cursor;
use crate::open_enum;
use crate::protocol::Reject;

/// Protocol discriminator of Q.931.
const DISCRIMINATOR: u8 = 8;
const CAUSE: u8 = 0x08;
const USER_USER: u8 = 0x7e;
/// Discriminator of a user-to-user element in ASN.1 (H.225.0 section 7.2.2.31).
const ASN1: u8 = 5;

open_enum! {
    /// Kinds of messages.
    pub(super) struct Kind(u8) {
        /// The called party is called.
        ALERTING = 0x01 => "alerting",
        /// The call is on its way.
        CALL_PROCEEDING = 0x02 => "call_proceeding",
        /// What happens meanwhile.
        PROGRESS = 0x03 => "progress",
        /// A call begins.
        SETUP = 0x05 => "setup",
        /// The called party answered.
        CONNECT = 0x07 => "connect",
        /// More digits are wanted.
        SETUP_ACKNOWLEDGE = 0x0d => "setup_acknowledge",
        /// The call ends.
        RELEASE_COMPLETE = 0x5a => "release_complete",
        /// Supplementary services, and tunnelled control.
        FACILITY = 0x62 => "facility",
        /// Of a change.
        NOTIFY = 0x6e => "notify",
        /// Asks for the state.
        STATUS_INQUIRY = 0x75 => "status_inquiry",
        /// Digits.
        INFORMATION = 0x7b => "information",
        /// The state.
        STATUS = 0x7d => "status",
    }
}

/// One message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    pub(super) kind: Kind,
    /// Number of the call, as the side that began it chose.
    pub(super) call: u16,
    /// The side that began the call sent it.
    pub(super) is_from_caller: bool,
    /// Why the call ends (Q.850).
    pub(super) cause: Option<u8>,
    /// The part of H.323.
    pub(super) user: Option<&'a [u8]>,
}

impl<'a> Message<'a> {
    /// Reads a whole message; its information elements fill it.
    pub(super) fn parse(content: &'a [u8]) -> Result<Self, Reject> {
        let mut cursor = Cursor::new(content);
        // References are of two octets (H.225.0 section 7.2.2.4).
        if cursor.u8()? != DISCRIMINATOR || cursor.u8()? != 2 {
            return Err(Reject::Other);
        }
        let reference = cursor.u16()?;
        let kind = Kind(cursor.u8()?);
        if kind.name().is_none() {
            return Err(Reject::Invalid("message type"));
        }
        let mut message = Self {
            kind,
            call: reference & 0x7fff,
            is_from_caller: reference & 0x8000 == 0,
            cause: None,
            user: None,
        };
        while !cursor.is_empty() {
            message.element(&mut cursor)?;
        }
        Ok(message)
    }

    fn element(&mut self, cursor: &mut Cursor<'a>) -> Result<(), Reject> {
        let identifier = cursor.u8()?;
        // Elements of one octet (Q.931 section 4.5.1).
        if identifier & 0x80 != 0 {
            return Ok(());
        }
        let length = match identifier {
            USER_USER => usize::from(cursor.u16()?),
            _ => usize::from(cursor.u8()?),
        };
        let value = cursor.take(length)?;
        match (identifier, value) {
            (CAUSE, [_, .., cause]) => self.cause = Some(cause & 0x7f),
            (USER_USER, [ASN1, user @ ..]) => self.user = Some(user),
            (USER_USER, _) => return Err(Reject::Invalid("user-to-user")),
            _ => {}
        }
        Ok(())
    }
}
