//! SMB 1 (MS-CIFS 2.2, MS-SMB 2.2): messages and their AndX chains.

mod header;
mod session;

use super::super::Probe;
use super::connection::{Carried, Connection, MAX_UNIT, Pending, Unit, names_pipes, utf16};
use super::pipes::Handle;
use super::{CREATE_STATUS, NEGOTIATE_STATUS, PIPE, SESSION_STATUS, TREE, TREE_STATUS};
use crate::bytes::{Cursor, Short};
use crate::evidence::Notes;
use header::{Block, Command, Header};
pub(super) use session::Terms;

/// Bytes of the header.
const HEADER: usize = 32;
/// Bytes that prove a message which the snap length cut: magic number, command, status.
const CUT: usize = 9;
/// Bytes of header and parameters that tell which file's data a message carries, with the first bytes of the data.
const DATA_FIELDS: usize = 64;
/// Commands of one chain that are read: four are documented to follow each other.
const MAX_CHAIN: usize = 8;
/// Subcommands of a transaction (MS-CIFS 2.2.5).
const TRANSACT_PIPE: u16 = 0x26;
/// A WRITE_ANDX that begins a message of a pipe in raw mode: its length comes first (MS-CIFS 2.2.4.43.1).
const RAW_MESSAGE_START: u16 = 0x0c;

/// Whether a message of `length` bytes begins here: a documented command, and parameters that fit.
pub(super) fn begins(bytes: &[u8], length: u64) -> Probe {
    let known = bytes
        .get(4)
        .is_none_or(|&byte| Command(byte).is_documented());
    if !known || length < HEADER as u64 + 3 {
        return Probe::No;
    }
    match bytes.get(HEADER) {
        Some(&words) if HEADER as u64 + 3 + 2 * u64::from(words) <= length => Probe::Yes,
        Some(_) => Probe::No,
        // Short snap lengths leave no more; magic number, command and carrier agree.
        None if bytes.len() >= CUT => Probe::Yes,
        None => Probe::More,
    }
}

/// Reads one message of `left` bytes.
pub(super) fn unit(
    connection: &mut Connection,
    bytes: &[u8],
    left: u64,
    notes: &mut Notes<'_>,
) -> Unit {
    let Ok(header) = Header::parse(bytes) else {
        return Unit::Need(HEADER);
    };
    let length = usize::try_from(left).unwrap_or(usize::MAX);
    let bytes = bytes.get(..length).unwrap_or(bytes);
    let side = notes.side();
    notes.client(if header.is_response {
        side.other()
    } else {
        side
    });
    let wanted = match header.command {
        Command::READ_ANDX | Command::WRITE_ANDX => DATA_FIELDS,
        command if command.name().is_some() => MAX_UNIT,
        _ => 0,
    };
    let wanted = wanted.min(length);
    if bytes.len() < wanted {
        return Unit::Need(wanted);
    }
    if wanted == 0 {
        return Unit::Pass(left);
    }
    let message = Message {
        header,
        bytes,
        length,
    };
    match message.chain(connection, notes) {
        Ok(()) => Unit::Pass(left),
        Err(need) => Unit::Need(need),
    }
}

/// One message, of which bytes may be missing.
struct Message<'a> {
    header: Header,
    bytes: &'a [u8],
    length: usize,
}

impl<'a> Message<'a> {
    /// Every command of the chain; an error says how many bytes must be there.
    fn chain(&self, connection: &mut Connection, notes: &mut Notes<'_>) -> Result<(), usize> {
        let header = self.header;
        if header.is_response
            && let Some(failure) = header.failure()
        {
            let name = match header.command {
                Command::NEGOTIATE => NEGOTIATE_STATUS,
                Command::SESSION_SETUP_ANDX => SESSION_STATUS,
                Command::TREE_CONNECT_ANDX => TREE_STATUS,
                Command::NT_CREATE_ANDX | Command::OPEN_ANDX => CREATE_STATUS,
                _ => "",
            };
            if !name.is_empty() {
                notes.text(name, &failure);
            }
            connection.answered(header.request);
            return Ok(());
        }
        let (mut command, mut offset) = (header.command, HEADER);
        for _ in 0..MAX_CHAIN {
            let Some(block) = Block::parse(self.bytes, offset, command) else {
                break;
            };
            if header.is_response {
                self.response(&block, connection, notes)?;
            } else {
                self.request(&block, connection, notes)?;
            }
            match block.next() {
                Some((next, at)) if at > offset => (command, offset) = (next, at),
                _ => break,
            }
        }
        Ok(())
    }

    fn request(
        &self,
        block: &Block<'a>,
        connection: &mut Connection,
        notes: &mut Notes<'_>,
    ) -> Result<(), usize> {
        let header = self.header;
        let is_disk = connection.holds_pipes(0, header.tree) == Some(false);
        // Readers stop at the end of what is there; what is not there says nothing.
        match block.command {
            Command::NEGOTIATE => session::offer(block.data, &mut connection.one, notes),
            Command::SESSION_SETUP_ANDX => {
                let _cut = self.session_request(block, connection.one.plain, notes);
            }
            Command::TREE_CONNECT_ANDX => {
                if let Ok(path) = self.tree_path(block) {
                    notes.text(TREE, &path);
                    connection.expect(header.request, Pending::Tree(names_pipes(&path)));
                }
            }
            Command::TREE_DISCONNECT => connection.forget_tree(0, header.tree),
            Command::NT_CREATE_ANDX | Command::OPEN_ANDX if !is_disk => {
                let name = self.texts(block, 0, 1).pop().unwrap_or_default();
                let known = connection.holds_pipes(0, header.tree) == Some(true);
                connection.expect(header.request, Pending::open(&name, known));
            }
            Command::CLOSE => {
                if let Ok(file) = block.fields().u16_le() {
                    connection.pipes.close(handle(file));
                }
            }
            Command::READ_ANDX if !is_disk => {
                let mut fields = block.fields();
                if let Ok(file) = fields.skip(4).and_then(|()| fields.u16_le()) {
                    connection.expect(header.request, Pending::Read(handle(file)));
                }
            }
            Command::WRITE_ANDX if !is_disk => {
                if let Ok((file, carried)) = write_fields(block) {
                    connection.carried(self.bytes, self.length, file, carried, notes)?;
                }
            }
            Command::TRANSACTION => self.transaction(block, connection, notes)?,
            Command::TRANSACTION_SECONDARY => {
                let mut fields = block.fields();
                let carried = fields.skip(10).and_then(|()| part(&mut fields));
                if let (Some(&Pending::Transact(file)), Ok(carried)) =
                    (connection.expected(header.request), carried)
                {
                    connection.carried(self.bytes, self.length, file, carried, notes)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn response(
        &self,
        block: &Block<'a>,
        connection: &mut Connection,
        notes: &mut Notes<'_>,
    ) -> Result<(), usize> {
        let header = self.header;
        match block.command {
            Command::NEGOTIATE => {
                let _cut = self.choice(block, &mut connection.one, notes);
            }
            Command::SESSION_SETUP_ANDX => {
                let _cut = self.session_response(block, notes);
            }
            Command::TREE_CONNECT_ANDX => {
                let asked = connection.answered(header.request);
                let service = block.data.split(|&byte| byte == 0).next();
                let pipes = match (service, asked) {
                    (Some(b"IPC"), _) => Some(true),
                    (Some([_, b':']), _) => Some(false),
                    (_, Some(Pending::Tree(pipes))) => Some(pipes),
                    _ => None,
                };
                if let Some(pipes) = pipes {
                    connection.tree(0, header.tree, pipes);
                }
            }
            Command::NT_CREATE_ANDX | Command::OPEN_ANDX => {
                let Some(Pending::Open(name, on_pipes)) = connection.answered(header.request)
                else {
                    return Ok(());
                };
                match opened(block) {
                    Ok((file, Some(is_pipe))) if is_pipe || on_pipes => {
                        connection.pipes.open(file, &name, true, notes);
                    }
                    Ok((file, None)) => connection.pipes.open(file, &name, on_pipes, notes),
                    Ok(_) | Err(_) => {}
                }
            }
            Command::READ_ANDX => {
                let Some(&Pending::Read(file)) = connection.expected(header.request) else {
                    return Ok(());
                };
                let mut fields = block.fields();
                let carried = fields.skip(10).and_then(|()| {
                    let length = usize::from(fields.u16_le()?);
                    let offset = usize::from(fields.u16_le()?);
                    Ok(Carried { offset, length })
                });
                if let Ok(carried) = carried {
                    connection.carried(self.bytes, self.length, file, carried, notes)?;
                }
                connection.answered(header.request);
            }
            Command::TRANSACTION => {
                let Some(&Pending::Transact(file)) = connection.expected(header.request) else {
                    return Ok(());
                };
                let mut fields = block.fields();
                let part = fields.skip(2).and_then(|()| {
                    let total = usize::from(fields.u16_le()?);
                    fields.skip(8)?;
                    let carried = part(&mut fields)?;
                    let before = usize::from(fields.u16_le()?);
                    Ok((carried, before.saturating_add(carried.length) >= total))
                });
                if let Ok((carried, is_last)) = part {
                    connection.carried(self.bytes, self.length, file, carried, notes)?;
                    if is_last {
                        connection.answered(header.request);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// TRANSACTION, MS-CIFS 2.2.4.33.1: on an open pipe, or on a pipe by its name.
    fn transaction(
        &self,
        block: &Block<'a>,
        connection: &mut Connection,
        notes: &mut Notes<'_>,
    ) -> Result<(), usize> {
        let mut fields = block.fields();
        let read = fields.skip(22).and_then(|()| {
            let carried = part(&mut fields)?;
            let words = fields.u8()?;
            fields.skip(1)?;
            let setup = match words {
                0 | 1 => None,
                _ => Some((fields.u16_le()?, fields.u16_le()?)),
            };
            Ok((carried, setup))
        });
        match read {
            Ok((carried, Some((TRANSACT_PIPE, file)))) => {
                let file = handle(file);
                connection.carried(self.bytes, self.length, file, carried, notes)?;
                connection.expect(self.header.request, Pending::Transact(file));
            }
            // Without set-up words: the remote administration protocol (MS-RAP 2.5.1) on its pipe.
            Ok((_, None)) => {
                let name = self.texts(block, 0, 1).pop().unwrap_or_default();
                if let Some(name) = name.strip_prefix("\\PIPE\\") {
                    notes.text(PIPE, name);
                }
            }
            Ok(_) | Err(_) => {}
        }
        Ok(())
    }

    /// Up to `count` texts, each ended by NUL, from `offset` of the data on. UTF-16 stands at even offsets of the message.
    fn texts(&self, block: &Block<'a>, offset: usize, count: usize) -> Vec<String> {
        let at = block.at.saturating_add(offset);
        let at = if self.header.unicode && !at.is_multiple_of(2) {
            at.saturating_add(1)
        } else {
            at
        };
        let mut rest = self.bytes.get(at..).unwrap_or_default();
        let mut texts = Vec::new();
        while texts.len() < count && !rest.is_empty() {
            let end = if self.header.unicode {
                let units = rest.as_chunks::<2>().0;
                let end = units.iter().position(|unit| *unit == [0; 2]);
                end.map(|units| units.saturating_mul(2))
            } else {
                memchr::memchr(0, rest)
            };
            let text = end.and_then(|end| rest.get(..end)).unwrap_or(rest);
            texts.push(if self.header.unicode {
                utf16(text)
            } else {
                String::from_utf8_lossy(text).into_owned()
            });
            let nul = if self.header.unicode { 2 } else { 1 };
            let length = text.len().saturating_add(nul);
            rest = rest.get(length..).unwrap_or_default();
        }
        texts
    }
}

/// The handle of a file id: one connection numbers its files on its own.
fn handle(file: u16) -> Handle {
    (0, u128::from(file))
}

/// File and data of a WRITE_ANDX request, MS-CIFS 2.2.4.43.1.
fn write_fields(block: &Block<'_>) -> Result<(Handle, Carried), Short> {
    let mut fields = block.fields();
    fields.skip(4)?;
    let file = handle(fields.u16_le()?);
    fields.skip(8)?;
    let mode = fields.u16_le()?;
    fields.skip(2)?;
    let high = usize::from(fields.u16_le()?);
    let mut carried = Carried {
        length: usize::from(fields.u16_le()?) | high << 16,
        offset: usize::from(fields.u16_le()?),
    };
    if mode & RAW_MESSAGE_START == RAW_MESSAGE_START {
        carried.offset = carried.offset.saturating_add(2);
        carried.length = carried.length.saturating_sub(2);
    }
    Ok((file, carried))
}

/// File of an open response, and whether it is a pipe, where the response says (MS-CIFS 2.2.4.41.2, 2.2.4.64.2).
fn opened(block: &Block<'_>) -> Result<(Handle, Option<bool>), Short> {
    let mut fields = block.fields();
    let (before, after) = if block.command == Command::OPEN_ANDX {
        (4, 12)
    } else {
        (5, 56)
    };
    fields.skip(before)?;
    let file = handle(fields.u16_le()?);
    fields.skip(after)?;
    let kind = fields.u16_le().ok();
    Ok((file, kind.map(|kind| matches!(kind, 1 | 2))))
}

/// Count and offset of data, as transactions write them.
fn part(fields: &mut Cursor<'_>) -> Result<Carried, Short> {
    let length = usize::from(fields.u16_le()?);
    let offset = usize::from(fields.u16_le()?);
    Ok(Carried { offset, length })
}
