//! The header of SMB 1 (MS-CIFS 2.2.3.1), and the blocks of parameters and data that a chain of commands is made of.

use super::super::status;
use crate::bytes::{Cursor, Short};

/// No further command in a chain.
const NO_ANDX: u8 = 0xff;

crate::open_enum! {
    /// Commands (MS-CIFS 2.2.2.1) that are read.
    pub(super) struct Command(u8) {
        CLOSE = 0x04 => "close",
        TRANSACTION = 0x25 => "transaction",
        TRANSACTION_SECONDARY = 0x26 => "transaction_secondary",
        OPEN_ANDX = 0x2d => "open_andx",
        READ_ANDX = 0x2e => "read_andx",
        WRITE_ANDX = 0x2f => "write_andx",
        TREE_DISCONNECT = 0x71 => "tree_disconnect",
        NEGOTIATE = 0x72 => "negotiate",
        SESSION_SETUP_ANDX = 0x73 => "session_setup_andx",
        LOGOFF_ANDX = 0x74 => "logoff_andx",
        TREE_CONNECT_ANDX = 0x75 => "tree_connect_andx",
        NT_CREATE_ANDX = 0xa2 => "nt_create_andx",
    }
}

impl Command {
    /// Whether MS-CIFS 2.2.2.1 lists the command.
    pub(super) const fn is_documented(self) -> bool {
        matches!(
            self.0,
            0x00..=0x14 | 0x1a..=0x35 | 0x70..=0x75 | 0x7e | 0x80..=0x84 | 0xa0..=0xa2 | 0xa4 | 0xa5 | 0xc0..=0xc3 | 0xd0..=0xd7 | 0xd8..=0xda
        )
    }

    /// Whether its parameters begin with the next command of the chain.
    const fn is_chained(self) -> bool {
        matches!(self.0, 0x24 | 0x2d..=0x2f | 0x73..=0x75 | 0xa2)
    }
}

/// The header, MS-CIFS 2.2.3.1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) command: Command,
    status: u32,
    pub(super) is_response: bool,
    nt_status: bool,
    pub(super) unicode: bool,
    pub(super) tree: u32,
    /// Process and multiplex id: what an answer repeats.
    pub(super) request: u64,
}

impl Header {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Short> {
        let mut cursor = Cursor::new(bytes);
        cursor.skip(4)?;
        let command = Command(cursor.u8()?);
        let status = cursor.u32_le()?;
        let flags = cursor.u8()?;
        let flags2 = cursor.u16_le()?;
        // High part of the process id, signature, reserved.
        cursor.skip(12)?;
        let tree = u32::from(cursor.u16_le()?);
        let process = u64::from(cursor.u16_le()?);
        cursor.skip(2)?;
        let multiplex = u64::from(cursor.u16_le()?);
        Ok(Self {
            command,
            status,
            is_response: flags & 0x80 != 0,
            nt_status: flags2 & 0x4000 != 0,
            unicode: flags2 & 0x8000 != 0,
            tree,
            request: process << 16 | multiplex,
        })
    }

    /// The text of a failure; `None` where there is none.
    pub(super) fn failure(&self) -> Option<String> {
        if self.nt_status {
            status::is_failure(self.status).then(|| status::text(self.status))
        } else {
            status::dos_text(self.status)
        }
    }
}

/// A command of a chain: its parameters and data, as far as they are there.
pub(super) struct Block<'a> {
    pub(super) command: Command,
    pub(super) words: &'a [u8],
    /// Offset of the data in the message.
    pub(super) at: usize,
    pub(super) data: &'a [u8],
}

impl<'a> Block<'a> {
    pub(super) fn parse(message: &'a [u8], offset: usize, command: Command) -> Option<Self> {
        let mut cursor = Cursor::new(message);
        cursor.skip(offset).ok()?;
        let words = usize::from(cursor.u8().ok()?).saturating_mul(2);
        let Ok(parameters) = cursor.take(words) else {
            return Some(Self {
                command,
                words: cursor.rest(),
                at: message.len(),
                data: &[],
            });
        };
        // The count is 16 bits where data may be longer: nobody relies on it.
        let _count = cursor.u16_le().ok();
        Some(Self {
            command,
            words: parameters,
            at: cursor.offset(),
            data: cursor.rest(),
        })
    }

    /// The fields of the parameters.
    pub(super) fn fields(&self) -> Cursor<'a> {
        Cursor::new(self.words)
    }

    /// The next command of the chain, and its offset in the message.
    pub(super) fn next(&self) -> Option<(Command, usize)> {
        if !self.command.is_chained() {
            return None;
        }
        let mut fields = self.fields();
        let next = fields.u8().ok().filter(|&next| next != NO_ANDX)?;
        fields.skip(1).ok()?;
        Some((Command(next), usize::from(fields.u16_le().ok()?)))
    }
}
