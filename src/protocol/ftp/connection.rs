//! One control connection.

use super::super::lines::{LineReader, Lines};
use super::super::{Reject, Step, StreamDecoder, text};
use super::line::{Command, Reply, feature};
use super::{
    AUTH_MECHANISM, AUTH_RESULT, BANNER, COMMAND, DATA, FEATURE, PROTECTION, REPLY_ERROR, STARTTLS,
    STARTTLS_REFUSED, SYSTEM,
};
use crate::evidence::{Notes, Offered};
use crate::net::{Endpoint, Side, Transport};

/// Longest line: paths are long.
const MAX_LINE: usize = 8192;
/// Lines in a row that are neither command nor reply, before the stream is taken for something else: longer than any notice
/// of a server, whose lines need not begin with a code.
const MAX_STRANGE: u16 = 1024;

/// One connection.
#[derive(Debug, Default)]
pub(super) struct Connection {
    client: Option<Side>,
    greeted: bool,
    /// The server lists its features.
    listing: bool,
    /// What the next final reply answers, where it is worth noting.
    awaited: Awaited,
    lines: Lines,
    strange: u16,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Awaited {
    #[default]
    Other,
    Login,
    /// AUTH with a mechanism that TLS follows.
    Tls(&'static str),
}

impl StreamDecoder for Connection {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        self.read(side, bytes, notes)
    }

    fn resume(&mut self, side: Side, bytes: &[u8]) -> Option<usize> {
        self.lines.restart(side);
        self.awaited = Awaited::Other;
        let (line, _) = text::first_line(bytes)?;
        let is_line = match self.client {
            Some(client) if client == side => Command::parse(line).is_some(),
            Some(_) => Reply::parse(line).is_some(),
            None => Command::parse(line).is_some() || Reply::parse(line).is_some(),
        };
        is_line.then_some(0)
    }
}

impl LineReader for Connection {
    fn lines(&mut self) -> &mut Lines {
        &mut self.lines
    }

    fn longest(&self, _side: Side) -> usize {
        MAX_LINE
    }

    fn line(&mut self, side: Side, line: &[u8], notes: &mut Notes<'_>) -> Result<(), Reject> {
        if self.client != Some(side)
            && let Some(reply) = Reply::parse(line)
        {
            self.identify(side.other(), notes);
            self.reply(reply, notes);
            return Ok(());
        }
        if self.client != Some(side.other())
            && let Some(command) = Command::parse(line)
        {
            self.identify(side, notes);
            self.command(command, notes);
            return Ok(());
        }
        if self.listing
            && let Some(name) = feature(line)
        {
            notes.bytes(FEATURE, name.trim_ascii());
            return Ok(());
        }
        self.strange = self.strange.saturating_add(1);
        if self.strange >= MAX_STRANGE {
            return Err(Reject::Other);
        }
        Ok(())
    }
}

impl Connection {
    fn identify(&mut self, client: Side, notes: &mut Notes<'_>) {
        self.strange = 0;
        self.client = Some(client);
        notes.proved();
        notes.client(client);
    }

    fn command(&mut self, command: Command<'_>, notes: &mut Notes<'_>) {
        notes.text(COMMAND, command.verb);
        let argument = command.argument.trim_ascii().to_ascii_uppercase();
        match command.verb {
            "USER" => {
                notes.text(AUTH_MECHANISM, "USER");
                self.awaited = Awaited::Login;
            }
            "PASS" | "ACCT" => self.awaited = Awaited::Login,
            "AUTH" => {
                notes.bytes(AUTH_MECHANISM, &argument);
                self.awaited = match argument.as_slice() {
                    b"TLS" | b"TLS-C" => Awaited::Tls("AUTH TLS"),
                    b"SSL" | b"TLS-P" => Awaited::Tls("AUTH SSL"),
                    _ => Awaited::Login,
                };
            }
            "PROT" if matches!(argument.as_slice(), b"C" | b"S" | b"E" | b"P") => {
                notes.bytes(PROTECTION, &argument);
            }
            "PORT" | "EPRT" => announce(command.announced(notes.sender().address), notes),
            _ => {}
        }
    }

    fn reply(&mut self, reply: Reply<'_>, notes: &mut Notes<'_>) {
        if !self.greeted {
            self.greeted = true;
            if reply.code == 220 {
                notes.bytes(BANNER, reply.text.trim_ascii());
            }
        }
        self.listing = reply.code == 211 && reply.more;
        match reply.code {
            215 => notes.bytes(SYSTEM, reply.text.trim_ascii()),
            227 | 229 => announce(reply.announced(notes.sender().address), notes),
            400..=599 => notes.number(REPLY_ERROR, u64::from(reply.code)),
            _ => {}
        }
        // A name alone does not end a login: the password is asked for.
        if reply.more || matches!(reply.code, 100..=199 | 300..=399) {
            return;
        }
        match (std::mem::take(&mut self.awaited), reply.code) {
            (Awaited::Tls(agreed), 234) => {
                notes.text(STARTTLS, agreed);
                self.lines.expect_tls();
            }
            (Awaited::Tls(_), code @ 400..) => notes.number(STARTTLS_REFUSED, u64::from(code)),
            (Awaited::Login, code @ (230 | 232 | 400..)) => {
                notes.number(AUTH_RESULT, u64::from(code));
            }
            (Awaited::Login | Awaited::Tls(_) | Awaited::Other, _) => {}
        }
    }
}

/// The sender waits for a data connection.
fn announce(endpoint: Option<(std::net::IpAddr, u16)>, notes: &mut Notes<'_>) {
    let Some((address, port)) = endpoint else {
        return;
    };
    notes.offer(
        Transport::TCP,
        Endpoint::new(address, port),
        Offered::Data { protocol: DATA },
    );
    // Behind a translation of addresses the named one is not the one that is reached.
    let sender = notes.sender().address;
    if sender != address {
        notes.offer(
            Transport::TCP,
            Endpoint::new(sender, port),
            Offered::Data { protocol: DATA },
        );
    }
}
