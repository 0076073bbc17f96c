//! Shared files: SMB 3.0 (MS-SMB2 §2.2) in NetBIOS session messages.

use super::super::samples::bytes::{cat, u16_of, u32_of, utf16};
use super::super::samples::tokens;
use super::super::session::{Path, Session, Side};
use super::super::world::{Server, World};

const NEGOTIATE: u16 = 0;
const SESSION_SETUP: u16 = 1;
const TREE_CONNECT: u16 = 3;
const CREATE: u16 = 5;
const CLOSE: u16 = 6;
const READ: u16 = 8;
const WRITE: u16 = 9;

/// Most that one message carries here.
const CHUNK: usize = 65_536;

/// A connection to a share: log-on, then files read and, less often, written.
pub(super) fn share(world: &mut World, sessions: &mut Vec<Session>) {
    let host = world.workplace();
    let from = world.from(host);
    let mut connection = Connection::open(world, (from, Server::Files.at(445)));
    for _ in 0..world.random.between(1, 10) {
        let size = world.random.heavy_tailed(1500, 6_000_000);
        let writes = world.random.per_mille(250);
        let name = format!(
            "reports\\{:04}\\{:08x}.docx",
            host.0 % 100,
            world.random.word()
        );
        connection.file(&name, size, writes);
        let pause = world.random.exponential(300_000.0) as u64;
        connection.session.after(pause);
    }
    sessions.push(connection.session);
}

/// A connection that is logged on to a tree.
pub(super) struct Connection {
    pub(super) session: Session,
    message: u64,
    id: u64,
    file: u64,
}

impl Connection {
    pub(super) fn open(
        world: &mut World,
        ends: (super::super::wire::End, super::super::wire::End),
    ) -> Self {
        let session = Session::tcp("smb", ends, Path::LOCAL, &mut world.random);
        let mut connection = Self {
            session,
            message: 0,
            id: 0,
            file: 1,
        };
        let client = world.random.prng.bytes(16);
        // four dialects, 2.0.2 to 3.0.2; signing enabled
        let question = cat(&[
            &[36, 0, 4, 0, 1, 0, 0, 0, 0x7f, 0, 0, 0],
            &client,
            &[0; 8],
            &[0x02, 0x02, 0x10, 0x02, 0, 3, 2, 3],
        ]);
        let answer = cat(&[
            &[65, 0, 1, 0, 2, 3, 0, 0],
            &world.random.prng.bytes(16),
            &[0x2f, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0x80, 0, 0, 0, 0x80, 0],
            &[0x80, 0x3e, 0xd5, 0xde, 0xb1, 0x9d, 1, 1],
            &[0; 8],
            &[128, 0, 0, 0, 0, 0, 0, 0],
        ]);
        connection.turn(NEGOTIATE, (&question, 0), (&answer, 0));
        connection.id = 0x0000_4000_0000_0001 + (world.random.prng.next() & 0xffff_fff0);
        let token = tokens::spnego_kerberos(&mut world.random.prng, "cifs/files1.example.com");
        let question = cat(&[
            &[25, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 88, 0],
            &u16_of(token.len()).to_le_bytes(),
            &[0; 8],
            &token,
        ]);
        let token = tokens::spnego_accepted_kerberos(&mut world.random.prng);
        let answer = cat(&[
            &[9, 0, 0, 0, 72, 0],
            &u16_of(token.len()).to_le_bytes(),
            &token,
        ]);
        connection.turn(SESSION_SETUP, (&question, 0), (&answer, 0));
        let path = utf16("\\\\files1.example.com\\office");
        let question = cat(&[
            &[9, 0, 0, 0, 72, 0],
            &u16_of(path.len()).to_le_bytes(),
            &path,
        ]);
        let answer = [16, 0, 1, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0xff, 1, 0x1f, 0];
        connection.turn(TREE_CONNECT, (&question, 0), (&answer, 0));
        connection
    }

    /// A file opened, read or written from start to end, and closed.
    pub(super) fn file(&mut self, name: &str, size: usize, writes: bool) {
        self.file += 1;
        let id = cat(&[&self.file.to_le_bytes(), &self.file.to_le_bytes()]);
        let path = utf16(name);
        let question = cat(&[
            &[57, 0, 0, 0, 2, 0, 0, 0],
            &[0; 16],
            &[
                0x9f, 1, 0x12, 0, 0x80, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 0x40, 0, 0, 0,
            ],
            &[120, 0],
            &u16_of(path.len()).to_le_bytes(),
            &[0; 8],
            &path,
        ]);
        let answer = cat(&[
            &[89, 0, 0, 0, 1, 0, 0, 0],
            &[0x80, 0x3e, 0xd5, 0xde, 0xb1, 0x9d, 1, 1].repeat(4),
            &(size as u64).to_le_bytes(),
            &(size as u64).to_le_bytes(),
            &[0x20, 0, 0, 0, 0, 0, 0, 0],
            &id,
            &[0; 8],
        ]);
        self.turn(CREATE, (&question, 0), (&answer, 0));
        for offset in (0..size).step_by(CHUNK) {
            let length = (size - offset).min(CHUNK);
            let (length_bytes, offset) = (u32_of(length).to_le_bytes(), offset as u64);
            if writes {
                let question = cat(&[
                    &[49, 0, 112, 0],
                    &length_bytes,
                    &offset.to_le_bytes(),
                    &id,
                    &[0; 16],
                ]);
                let answer = cat(&[&[17, 0, 0, 0], &length_bytes, &[0; 8]]);
                self.turn(WRITE, (&question, length), (&answer, 0));
            } else {
                let question = cat(&[
                    &[49, 0, 80, 0],
                    &length_bytes,
                    &offset.to_le_bytes(),
                    &id,
                    &[0; 17],
                ]);
                let answer = cat(&[&[17, 0, 80, 0], &length_bytes, &[0; 8]]);
                self.turn(READ, (&question, 0), (&answer, length));
            }
        }
        let question = cat(&[&[24, 0, 0, 0, 0, 0, 0, 0], &id]);
        let answer = cat(&[&[60, 0], &[0; 58]]);
        self.turn(CLOSE, (&question, 0), (&answer, 0));
    }

    /// A request and its response, each with data behind it.
    fn turn(&mut self, command: u16, question: (&[u8], usize), answer: (&[u8], usize)) {
        for (side, flags, (body, data)) in [(Side::Client, 0, question), (Side::Server, 1, answer)]
        {
            let tree = if matches!(command, NEGOTIATE | SESSION_SETUP) {
                0
            } else {
                5
            };
            let [_, high, middle, low] = u32_of(64 + body.len() + data).to_be_bytes();
            let head = cat(&[
                &[0, high, middle, low],
                b"\xfeSMB",
                &[64, 0, 1, 0, 0, 0, 0, 0],
                &command.to_le_bytes(),
                &[31, 0, flags, 0, 0, 0, 0, 0, 0, 0],
                &self.message.to_le_bytes(),
                &[0xff, 0xfe, 0, 0, tree, 0, 0, 0],
                &self.id.to_le_bytes(),
                &[0; 16],
                body,
            ]);
            self.session.say(side, head, data);
        }
        self.message += 1;
    }
}
