//! SMB 2 and 3 (MS-SMB2 2.2): messages and their compounds, the sealed and the compressed ones by their headers alone.

mod session;

use super::super::Probe;
use super::connection::{Carried, Connection, MAX_UNIT, Pending, Unit, names_pipes, slice, utf16};
use super::pipes::Handle;
use super::{CREATE_STATUS, NEGOTIATE_STATUS, SESSION_STATUS, TREE, TREE_STATUS, status};
use crate::bytes::{Cursor, Short};
use crate::evidence::Notes;

/// Bytes of a header, and what its first field says of that.
const HEADER: usize = 64;
/// Bytes of the header of a sealed message (2.2.41), and of a compressed one (2.2.42).
const SEALED_HEADER: u64 = 52;
const COMPRESSED_HEADER: u64 = 16;
/// The id of "the file (tree, session) of the message before" within a compound (3.2.4.1.4).
const RELATED_FILE: u128 = u128::MAX;
const RELATED_TREE: u32 = u32::MAX;
const RELATED_SESSION: u64 = u64::MAX;
/// Sends bytes through a pipe and reads the answer (MS-FSCC 2.3).
const PIPE_TRANSCEIVE: u32 = 0x0011_c017;
crate::open_enum! {
    /// Commands, 2.2.1.2.
    pub(super) struct Command(u16) {
        NEGOTIATE = 0 => "negotiate",
        SESSION_SETUP = 1 => "session_setup",
        LOGOFF = 2 => "logoff",
        TREE_CONNECT = 3 => "tree_connect",
        TREE_DISCONNECT = 4 => "tree_disconnect",
        CREATE = 5 => "create",
        CLOSE = 6 => "close",
        FLUSH = 7 => "flush",
        READ = 8 => "read",
        WRITE = 9 => "write",
        LOCK = 10 => "lock",
        IOCTL = 11 => "ioctl",
        CANCEL = 12 => "cancel",
        ECHO = 13 => "echo",
        QUERY_DIRECTORY = 14 => "query_directory",
        CHANGE_NOTIFY = 15 => "change_notify",
        QUERY_INFO = 16 => "query_info",
        SET_INFO = 17 => "set_info",
        OPLOCK_BREAK = 18 => "oplock_break",
        SERVER_TO_CLIENT_NOTIFICATION = 19 => "server_to_client_notification",
    }
}

/// The header, 2.2.1.
#[derive(Clone, Copy, Debug)]
struct Header {
    status: u32,
    command: Command,
    flags: u32,
    next: u32,
    message: u64,
    tree: u32,
    session: u64,
}

impl Header {
    const RESPONSE: u32 = 1;
    const RELATED: u32 = 4;

    fn parse(bytes: &[u8]) -> Result<Self, Short> {
        let mut cursor = Cursor::new(bytes);
        // Magic number, size, credit charge.
        cursor.skip(8)?;
        let status = cursor.u32_le()?;
        let command = Command(cursor.u16_le()?);
        cursor.skip(2)?;
        let flags = cursor.u32_le()?;
        let next = cursor.u32_le()?;
        let message = cursor.u64_le()?;
        cursor.skip(4)?;
        let tree = cursor.u32_le()?;
        let session = cursor.u64_le()?;
        cursor.skip(16)?;
        Ok(Self {
            status,
            command,
            flags,
            next,
            message,
            tree,
            session,
        })
    }

    const fn is_response(&self) -> bool {
        self.flags & Self::RESPONSE != 0
    }
}

/// What the messages of one compound refer to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Compound {
    session: u64,
    tree: u32,
    file: Option<u128>,
}

/// Whether a message of `length` bytes begins here: the size in the header, a known command, flags that exist.
pub(super) fn begins(bytes: &[u8], length: u64) -> Probe {
    if length < HEADER as u64 + 2 {
        return Probe::No;
    }
    let mut cursor = Cursor::new(bytes);
    let mut fits = || {
        cursor.skip(4)?;
        let size = cursor.u16_le()?;
        cursor.skip(6)?;
        let command = Command(cursor.u16_le()?);
        Ok::<_, Short>(usize::from(size) == HEADER && command.name().is_some())
    };
    match fits() {
        Ok(true) => Probe::Yes,
        Ok(false) => Probe::No,
        Err(_) => Probe::More,
    }
}

/// Whether a sealed message of `length` bytes begins here: it states its own length, and that it is sealed.
pub(super) fn sealed_begins(bytes: &[u8], length: u64) -> Probe {
    let mut cursor = Cursor::new(bytes);
    let mut fits = || {
        // Magic number, signature, nonce.
        cursor.skip(36)?;
        let size = u64::from(cursor.u32_le()?);
        cursor.skip(2)?;
        // 1 in 3.1.1 (sealed), the cipher AES-128-CCM before.
        let sealed = cursor.u16_le()?;
        Ok::<_, Short>(sealed == 1 && size.checked_add(SEALED_HEADER) == Some(length))
    };
    match fits() {
        Ok(true) => Probe::Yes,
        Ok(false) => Probe::No,
        Err(_) => Probe::More,
    }
}

/// Whether a compressed message begins here: an original size, a known algorithm, flags of 2.2.42.
pub(super) fn compressed_begins(bytes: &[u8], length: u64) -> Probe {
    let mut cursor = Cursor::new(bytes);
    let mut fits = || {
        cursor.skip(4)?;
        let size = cursor.u32_le()?;
        let algorithm = cursor.u16_le()?;
        let flags = cursor.u16_le()?;
        let fits = size > 0 && algorithm <= 5 && flags <= 1;
        Ok::<_, Short>(fits && length > COMPRESSED_HEADER)
    };
    match fits() {
        Ok(true) => Probe::Yes,
        Ok(false) => Probe::No,
        Err(_) => Probe::More,
    }
}

/// Reads one message; `left` bytes belong to it and to those compounded with it.
pub(super) fn unit(
    connection: &mut Connection,
    bytes: &[u8],
    left: u64,
    notes: &mut Notes<'_>,
) -> Unit {
    let Ok(header) = Header::parse(bytes) else {
        return Unit::Need(HEADER);
    };
    let next = u64::from(header.next);
    let length = if next >= HEADER as u64 && next < left {
        next
    } else {
        left
    };
    let whole = usize::try_from(length).unwrap_or(usize::MAX);
    let bytes = bytes.get(..whole).unwrap_or(bytes);
    let side = notes.side();
    notes.client(if header.is_response() {
        side.other()
    } else {
        side
    });
    let message = Message {
        header,
        bytes,
        length: whole,
    };
    let read = if header.is_response() {
        message.response(connection, notes)
    } else {
        message.request(connection, notes)
    };
    match read {
        Ok(()) => Unit::Pass(length),
        Err(need) => Unit::Need(need),
    }
}

/// One message, of which bytes may be missing.
struct Message<'a> {
    header: Header,
    bytes: &'a [u8],
    length: usize,
}

/// The bytes of the message that must be there.
type Need = usize;

impl Message<'_> {
    /// The first `count` bytes must be there, if the message has so many.
    fn require(&self, count: usize) -> Result<(), Need> {
        let count = count.min(self.length).min(MAX_UNIT);
        if self.bytes.len() < count {
            Err(count)
        } else {
            Ok(())
        }
    }

    /// The fields after the header.
    fn body(&self) -> Cursor<'_> {
        Cursor::new(self.bytes.get(HEADER..).unwrap_or_default())
    }

    fn request(&self, connection: &mut Connection, notes: &mut Notes<'_>) -> Result<(), Need> {
        let header = self.header;
        let is_related = header.flags & Header::RELATED != 0;
        let before = if is_related {
            connection.compounds[notes.side()]
        } else {
            Compound::default()
        };
        let mut now = Compound {
            session: header.session,
            tree: header.tree,
            file: before.file,
        };
        if is_related && header.session == RELATED_SESSION {
            now.session = before.session;
        }
        if is_related && header.tree == RELATED_TREE {
            now.tree = before.tree;
        }
        // Every reader stops at the end of what is there; what is not there says nothing.
        match header.command {
            Command::NEGOTIATE => {
                self.require(self.length)?;
                let _cut = self.offer(notes);
            }
            Command::SESSION_SETUP => {
                self.require(self.length)?;
                let _cut = self.session_request(notes);
            }
            Command::TREE_CONNECT => {
                self.require(self.length)?;
                if let Ok(path) = self.path(4) {
                    notes.text(TREE, &path);
                    connection.expect(header.message, Pending::Tree(names_pipes(&path)));
                }
            }
            Command::TREE_DISCONNECT => connection.forget_tree(now.session, now.tree),
            Command::CREATE => {
                self.require(self.length)?;
                // The file that later messages refer to is known by the answer alone.
                now.file = None;
                let share = connection.holds_pipes(now.session, now.tree);
                if share != Some(false)
                    && let Ok(name) = self.path(44)
                {
                    let pending = Pending::open(&name, share == Some(true));
                    connection.expect(header.message, pending);
                }
            }
            Command::CLOSE | Command::READ | Command::WRITE | Command::IOCTL => {
                self.require(HEADER.saturating_add(56))?;
                if let Ok(fields) = self.file_fields() {
                    if fields.file != RELATED_FILE {
                        now.file = Some(fields.file);
                    }
                    let share = connection.holds_pipes(now.session, now.tree);
                    if let (Some(file), true) = (now.file, share != Some(false)) {
                        self.file_request((now.session, file), fields, connection, notes)?;
                    }
                }
            }
            _ => {}
        }
        connection.compounds[notes.side()] = now;
        Ok(())
    }

    fn response(&self, connection: &mut Connection, notes: &mut Notes<'_>) -> Result<(), Need> {
        let header = self.header;
        if header.status == status::PENDING {
            return Ok(());
        }
        let failure = match header.command {
            Command::NEGOTIATE => NEGOTIATE_STATUS,
            Command::SESSION_SETUP => SESSION_STATUS,
            Command::TREE_CONNECT => TREE_STATUS,
            Command::CREATE => CREATE_STATUS,
            Command::READ | Command::IOCTL => "",
            _ => return Ok(()),
        };
        if status::is_failure(header.status) {
            if !failure.is_empty() {
                notes.text(failure, &status::text(header.status));
            }
            connection.answered(header.message);
            return Ok(());
        }
        match header.command {
            Command::NEGOTIATE => {
                self.require(self.length)?;
                let _cut = self.choice(notes);
            }
            Command::SESSION_SETUP => {
                self.require(self.length)?;
                let _cut = self.session_response(notes);
            }
            Command::TREE_CONNECT => {
                self.require(HEADER.saturating_add(3))?;
                let mut body = self.body();
                let kind = body.skip(2).and_then(|()| body.u8());
                let asked = connection.answered(header.message);
                let pipes = match (kind, asked) {
                    (Ok(1 | 3), _) => Some(false),
                    (Ok(2), _) => Some(true),
                    (_, Some(Pending::Tree(pipes))) => Some(pipes),
                    _ => None,
                };
                if let Some(pipes) = pipes {
                    connection.tree(header.session, header.tree, pipes);
                }
            }
            Command::CREATE => {
                self.require(HEADER.saturating_add(80))?;
                let mut body = self.body();
                let file = body.skip(64).and_then(|()| body.u128());
                if let (Some(Pending::Open(name, known)), Ok(file)) =
                    (connection.answered(header.message), file)
                {
                    let handle = (header.session, file);
                    connection.pipes.open(handle, &name, known, notes);
                }
            }
            Command::READ | Command::IOCTL => {
                let Some(&Pending::Read(handle)) = connection.expected(header.message) else {
                    return Ok(());
                };
                self.require(HEADER.saturating_add(48))?;
                let carried = if header.command == Command::READ {
                    self.read_response()
                } else {
                    self.transceive_response()
                };
                if let Ok(carried) = carried {
                    connection.carried(self.bytes, self.length, handle, carried, notes)?;
                }
                connection.answered(header.message);
            }
            _ => {}
        }
        Ok(())
    }

    /// Bytes that the next two fields, offset and length, point at.
    fn buffer(&self, body: &mut Cursor<'_>) -> Result<&[u8], Short> {
        let offset = usize::from(body.u16_le()?);
        let length = usize::from(body.u16_le()?);
        Ok(slice(self.bytes, offset, length))
    }

    /// The text that the two fields at `at` of the body point at.
    fn path(&self, at: usize) -> Result<String, Short> {
        let mut body = self.body();
        body.skip(at)?;
        Ok(utf16(self.buffer(&mut body)?))
    }

    /// The fields of a request on an open file: CLOSE (2.2.15), READ (2.2.19), WRITE (2.2.21), IOCTL (2.2.31).
    fn file_fields(&self) -> Result<FileFields, Short> {
        let mut body = self.body();
        let mut fields = FileFields {
            file: 0,
            control: 0,
            carried: Carried {
                offset: 0,
                length: 0,
            },
        };
        let long = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        body.skip(2)?;
        match self.header.command {
            Command::WRITE => {
                fields.carried.offset = usize::from(body.u16_le()?);
                fields.carried.length = long(body.u32_le()?);
                body.skip(8)?;
                fields.file = body.u128()?;
            }
            Command::READ => {
                body.skip(14)?;
                fields.file = body.u128()?;
            }
            Command::IOCTL => {
                body.skip(2)?;
                fields.control = body.u32_le()?;
                fields.file = body.u128()?;
                fields.carried.offset = long(body.u32_le()?);
                fields.carried.length = long(body.u32_le()?);
            }
            _ => {
                body.skip(6)?;
                fields.file = body.u128()?;
            }
        }
        Ok(fields)
    }

    fn file_request(
        &self,
        handle: Handle,
        fields: FileFields,
        connection: &mut Connection,
        notes: &mut Notes<'_>,
    ) -> Result<(), Need> {
        let is_transceive =
            self.header.command == Command::IOCTL && fields.control == PIPE_TRANSCEIVE;
        if self.header.command == Command::WRITE || is_transceive {
            connection.carried(self.bytes, self.length, handle, fields.carried, notes)?;
        }
        if self.header.command == Command::READ || is_transceive {
            connection.expect(self.header.message, Pending::Read(handle));
        }
        if self.header.command == Command::CLOSE {
            connection.pipes.close(handle);
        }
        Ok(())
    }

    /// READ response, 2.2.20.
    fn read_response(&self) -> Result<Carried, Short> {
        let mut body = self.body();
        body.skip(2)?;
        let offset = usize::from(body.u8()?);
        body.skip(1)?;
        let length = usize::try_from(body.u32_le()?).unwrap_or(usize::MAX);
        Ok(Carried { offset, length })
    }

    /// IOCTL response, 2.2.32: its output.
    fn transceive_response(&self) -> Result<Carried, Short> {
        let mut body = self.body();
        body.skip(32)?;
        let offset = usize::try_from(body.u32_le()?).unwrap_or(usize::MAX);
        let length = usize::try_from(body.u32_le()?).unwrap_or(usize::MAX);
        Ok(Carried { offset, length })
    }
}

/// A request on an open file.
struct FileFields {
    file: u128,
    control: u32,
    carried: Carried,
}
